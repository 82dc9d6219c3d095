/* Ollama's answers to the byte; what is told of the model; and embeddings, which other models are for. The
 * official client reads them in tests/e2e/ollama.test.mjs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/ollama.h"
#include "text/dialect.h"

static struct gen_request r;
static struct request_error err;
static struct strbuf b;

static void good(enum hokku_code rc, const char *what)
{
	if (rc)
		fail_msg("%s: %s", what, err.error.message);
}

/* field: it and the message's beginning. */
static void bad_one(enum hokku_code rc, const char *what, const char *field, const char *part)
{
	if (rc != HOKKU_INVALID_REQUEST || strcmp(err.field, field) != 0 ||
	    !strstr(err.error.message, part) || strncmp(err.error.message, field, strlen(field)) != 0)
		fail_msg("%s: field %s, message %s", what, err.field, err.error.message);
	request_free(&r);
}

/* ---- what the file says, and what only other models do ---- */

static enum hokku_code tell_body(const struct api *api, const char *body, const struct request_served *served,
				 const struct tok *tok, const struct chat *template)
{
	enum hokku_code rc = request_parse(str_c(body), api->form, NULL, &r, &err);
	const struct request_told told = {.request = &r, .served = served, .tok = tok, .chat = template};
	if (!rc)
		rc = api->form->admit(&r, served, &err);
	if (!rc)
		rc = api->form->tell(&told, &b, &err);
	request_free(&r);
	return rc;
}

static void test_show(void **state)
{
	(void)state;
	struct gguf *g;
	struct tok *t;
	struct chat template;
	struct hokku_error e;
	struct jv_doc doc;
	if (engine_open_file(NULL, &g, &e) || engine_open_tok(g, &t, &template, (struct str){NULL, 0}, &e))
		fail_msg("%s", e.message);
	const struct hokku_info info = {.name = "haiku",
					.architecture = "qwen2",
					.format = "Q8_0",
					.n_ctx = 256,
					.d_model = 192,
					.n_params = 7600000000};
	const struct sampling_advice advice = {
		.values = {.temperature = 0.6f, .repetition_penalty = 1.05f, .top_k = 20},
		.given = 1 | 2 | 16};
	const struct dialect_found dialect = {.lists_tools = true, .marks_thinking = true};
	struct strbuf can = {0};
	struct request_served served = {
		.name = "haiku", .n_ctx = 256, .info = &info, .file = g, .advice = &advice};
	for (int verbose = 0; verbose < 2; verbose++) {
		served.dialect = verbose ? &dialect : NULL;
		const char *body = verbose ? "{\"name\":\"haiku:latest\",\"verbose\":true,\"system\":\"s\"}"
					   : "{\"model\":\"haiku\",\"name\":\"\",\"options\":{}}";
		good(tell_body(&api_ollama_show, body, &served, t, &template), body);
		good(jv_parse((struct str){b.ptr, b.len}, JV_STRICT, &doc, &e), b.ptr);
		const struct jv *about = jv_get(&doc.root, "model_info"),
				*details = jv_get(&doc.root, "details");
		int64_t n;
		assert_true(str_eq_c(jv_str(jv_get(&doc.root, "parameters")),
				     "temperature                    0.6\n"
				     "top_k                          20\n"
				     "repeat_penalty                 1.05\n"));
		assert_true(str_eq_c(jv_str(jv_get(&doc.root, "modelfile")),
				     "FROM haiku\n"
				     "PARAMETER temperature                    0.6\n"
				     "PARAMETER top_k                          20\n"
				     "PARAMETER repeat_penalty                 1.05\n"));
		assert_true(str_starts(jv_str(jv_get(&doc.root, "template")), STR_LIT("{% for message in")));
		assert_true(str_eq_c(jv_str(jv_get(details, "parameter_size")), "7.6B"));
		assert_true(jv_int(jv_get(about, "general.parameter_count"), &n) && n == 7600000000);
		assert_true(jv_int(jv_get(about, "qwen2.embedding_length"), &n) && n == 192);
		assert_null(jv_get(about, "tokenizer.chat_template"));
		assert_int_equal(jv_len(jv_get(about, "tokenizer.ggml.tokens")),
				 verbose ? tok_n_vocab(t) : 0);
		assert_int_equal(jv_len(jv_get(&doc.root, "tensors")), verbose ? gguf_n_tensors(g) : 0);
		assert_true(str_eq_c(jv_str(jv_get(&doc.root, "system")), verbose ? "s" : ""));
		jv_write(jv_get(&doc.root, "capabilities"), &can);
		assert_string_equal(can.ptr,
				    verbose ? "[\"completion\",\"tools\",\"thinking\"]" : "[\"completion\"]");
		strbuf_free(&can);
		jv_doc_free(&doc);
		strbuf_free(&b);
	}
	assert_int_equal(tell_body(&api_ollama_show, "{\"model\":\"x\"}", &served, t, &template),
			 HOKKU_NOT_FOUND);
	bad_one(tell_body(&api_ollama_show, "{}", &served, t, &template), "{}", "model", "is required");
	bad_one(tell_body(&api_ollama_show, "{\"model\":\"haiku\",\"verbose\":1}", &served, t, &template),
		"1", "verbose", "true or false");
	chat_deinit(&template);
	tok_destroy(t);
	gguf_close(g);
}

static void test_embed(void **state)
{
	(void)state;
	static const struct {
		const struct api *api;
		const char *body, *field, *part;
	} rows[] = {
		{&api_ollama_embed, "{\"model\":\"m\",\"input\":[\"a\",7]}", "input[1]",
		 "is 7; it takes a string"},
		{&api_ollama_embed, "{\"model\":\"m\",\"input\":{}}", "input", "an array of strings"},
		{&api_ollama_embed, "{\"model\":\"m\",\"dimensions\":-1}", "dimensions",
		 "from 0 to 2147483647"},
		{&api_ollama_embed, "{\"model\":\"m\",\"dimensions\":2147483648}", "dimensions", "from 0"},
		{&api_ollama_embed, "{\"model\":\"m\",\"truncate\":1}", "truncate", "true or false"},
		{&api_ollama_embed, "{\"input\":\"a\"}", "model", "is required"},
		{&api_ollama_embeddings, "{\"model\":\"m\",\"prompt\":[]}", "prompt", "takes a string"},
		{&api_ollama_embeddings, "{\"model\":\"m\",\"keep_alive\":\"x\"}", "keep_alive",
		 "a duration"},
	};
	static const struct request_served served = {.name = "m"};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		bad_one(tell_body(rows[i].api, rows[i].body, &served, NULL, NULL), rows[i].body,
			rows[i].field, rows[i].part);
	static const char *const right[] = {
		"{\"model\":\"m\",\"input\":[\"a\",\"b\"],\"truncate\":true,\"dimensions\":0,\"keep_alive\":\"5m\","
		"\"options\":{\"num_ctx\":5}}",
		"{\"model\":\"m\",\"input\":\"a\",\"dimensions\":2147483647}",
		"{\"model\":\"m\",\"prompt\":\"a\"}"};
	for (size_t i = 0; i < 3; i++) {
		const struct api *api = i == 2 ? &api_ollama_embeddings : &api_ollama_embed;
		assert_int_equal(tell_body(api, right[i], &served, NULL, NULL), HOKKU_INVALID_REQUEST);
		assert_string_equal(err.field, "model");
		assert_string_equal(err.error.message,
				    "the model 'm' does not support embeddings: it writes text, "
				    "and has no layer that pools");
	}
	assert_int_equal(tell_body(&api_ollama_embed, "{\"model\":\"n\"}", &served, NULL, NULL),
			 HOKKU_NOT_FOUND);
}

/* ---- answers ---- */

static void expect(const char *text)
{
	if (strcmp(b.ptr ? b.ptr : "", text) != 0)
		fail_msg("said   %s\nwanted %s", b.ptr ? b.ptr : "", text);
	strbuf_free(&b);
}

#define HEAD "{\"model\":\"asked\",\"created_at\":\"2026-11-30T12:00:00.000000009Z\","
#define OWN                                                                                                  \
	",\"hokku\":{\"model\":\"m\",\"seed\":7,\"max_tokens\":3,\"stop\":[],\"sampling\":{\"temperature\":" \
	"0.8,\"top_k\":40,\"top_p\":0.9,\"min_p\":0,\"repetition_penalty\":1,\"frequency_penalty\":0,"       \
	"\"presence_penalty\":0,\"repeat_last_n\":64,\"logit_bias\":{}}}"
#define TIMES                                                                                                \
	",\"total_duration\":20000000,\"load_duration\":0,\"prompt_eval_count\":4,\"prompt_eval_duration\":" \
	"1500000,\"eval_count\":6,\"eval_duration\":2500000"

static struct sampling sampling;
static struct answer_memo memo;
static struct answer_start start = {.id = "o-1",
				    .model = "m",
				    .asked_model = "asked",
				    .seed = 7,
				    .max_tokens = 3,
				    .prompt_tokens = 4,
				    .now_ns = UINT64_C(1796040000000000009),
				    .sampling = &sampling,
				    .memo = &memo,
				    .n = 1};
static const struct answer_end the_end = {.stop = HOKKU_STOP_END,
					  .tokens_out = 6,
					  .prefill_ms = 1.5,
					  .decode_ms = 2.5,
					  .total_ms = 20,
					  .last = true};

static struct part part_of(enum part_kind kind, uint32_t call, const char *text)
{
	return (struct part){kind, call, {text, strlen(text)}};
}

/* One token's parts. */
static void tell(const struct api *api, const struct part *parts, size_t n)
{
	const struct answer_token token = {.parts = parts, .n_parts = n};
	api->token(&b, &start, &token);
}

static void tell_one(const struct api *api, enum part_kind kind, uint32_t call, const char *text)
{
	const struct part part = part_of(kind, call, text);
	tell(api, &part, 1);
}

static void test_stream(void **state)
{
	(void)state;
	struct answer_end end = the_end;
	sampling_defaults(&sampling, SAMPLING_OLLAMA, NULL);
	api_ollama_chat.started(&b, &start, 0, true);
	expect("");
	tell_one(&api_ollama_chat, PART_TEXT, 0, "\"x");
	expect(HEAD "\"message\":{\"role\":\"assistant\",\"content\":\"\\\"x\"},\"done\":false}\n");
	tell_one(&api_ollama_generate, PART_TEXT, 0, "x");
	expect(HEAD "\"response\":\"x\",\"done\":false}\n");
	tell(&api_ollama_chat, NULL, 0); /* held back: there is nothing to say */
	expect("");
	const struct part both[] = {part_of(PART_THINKING, 0, "t"), part_of(PART_TEXT, 0, "a")};
	tell(&api_ollama_chat, both, 2);
	expect(HEAD
	       "\"message\":{\"role\":\"assistant\",\"content\":\"a\",\"thinking\":\"t\"},\"done\":false}\n");
	tell(&api_ollama_generate, both, 1);
	expect(HEAD "\"response\":\"\",\"thinking\":\"t\",\"done\":false}\n");
	api_ollama_chat.end(&b, &start, &end);
	expect(HEAD "\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":"
		    "\"stop\"" TIMES OWN "}\n");
	/* What came to light at the end has a line of its own; the reason is why. */
	const struct part last = part_of(PART_TEXT, 0, "z");
	end.parts = &last;
	end.n_parts = 1;
	end.stop = HOKKU_STOP_LENGTH;
	start.warnings_json = STR_LIT("\"w\"");
	api_ollama_generate.end(&b, &start, &end);
	expect(HEAD "\"response\":\"z\",\"done\":false}\n" HEAD
		    "\"response\":\"\",\"done\":true,\"done_reason\":\"length\"" TIMES OWN
		    ",\"warnings\":[\"w\"]}\n");
	start.warnings_json = (struct str){NULL, 0};
	api_ollama_chat.failed(&b, HOKKU_DEVICE_ERROR, "why\"");
	expect("{\"error\":\"why\\\"\"}\n");
	assert_string_equal(api_ollama_chat.stream_type, "application/x-ndjson");
	assert_null(api_ollama_chat.keep_alive);
}

#define CALL_0 \
	"{\"id\":\"call_XXXXXXXXXXXXXXXX\",\"function\":{\"index\":0,\"name\":\"f\",\"arguments\":{\"a\":1}}}"
#define CALL_1 "{\"id\":\"call_XXXXXXXXXXXXXXXX\",\"function\":{\"index\":1,\"name\":\"g\",\"arguments\":{}}}"

/* Ids are drawn from the request's: they are checked for being of their form, and different. */
static void hide_ids(char ids[2][17])
{
	size_t n = 0;
	for (char *at = b.ptr; at && (at = strstr(at, "\"call_")) != NULL; at++) {
		assert_true(n < 2 && strspn(at + 6, "0123456789abcdef") == 16);
		memcpy(ids[n], at + 6, 16);
		ids[n++][16] = '\0';
		memcpy(at + 6, "XXXXXXXXXXXXXXXX", 16);
	}
}

static void test_calls(void **state)
{
	(void)state;
	char ids[2][17], again[2][17];
	const struct part parts[] = {
		part_of(PART_TEXT, 0, "so: "),       part_of(PART_CALL, 0, "f"),
		part_of(PART_ARGUMENTS, 0, "{\"a"),  part_of(PART_ARGUMENTS, 0, "\":1}"),
		part_of(PART_CALL_END, 0, ""),       part_of(PART_CALL, 1, "g"),
		part_of(PART_CALL_END, 1, ""),       part_of(PART_CALL, 2, "h"),
		part_of(PART_ARGUMENTS, 2, "{\"cu"),
	};
	enum { N = sizeof parts / sizeof *parts };
	/* However the stream is cut, a call is told when it is whole, and one that is not never is. */
	for (size_t cut = 0; cut <= N; cut++) {
		tell(&api_ollama_chat, parts, cut);
		tell(&api_ollama_chat, parts + cut, N - cut);
		assert_null(strstr(b.ptr, "\"h\""));
		assert_non_null(strstr(b.ptr, "\"content\":\"so: \""));
		hide_ids(again);
		assert_non_null(strstr(b.ptr, CALL_0));
		assert_non_null(strstr(b.ptr, CALL_1));
		assert_string_not_equal(again[0], again[1]);
		if (cut)
			assert_memory_equal(again, ids, sizeof ids);
		memcpy(ids, again, sizeof ids);
		strbuf_free(&b);
	}
	for (size_t i = 0; i < N; i++)
		tell(&api_ollama_chat, parts + i, 1);
	hide_ids(again);
	assert_memory_equal(again, ids, sizeof ids);
	expect(HEAD "\"message\":{\"role\":\"assistant\",\"content\":\"so: \"},\"done\":false}\n" HEAD
		    "\"message\":{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[" CALL_0
		    "]},\"done\":false}\n" HEAD
		    "\"message\":{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[" CALL_1
		    "]},\"done\":false}\n");
	strbuf_free(&memo.text);
	/* In one piece the same. */
	const struct answer_sample sample = {.parts = parts, .n_parts = N, .end = the_end};
	api_ollama_chat.whole(&b, &start, &sample);
	hide_ids(again);
	assert_memory_equal(again, ids, sizeof ids);
	expect(HEAD "\"message\":{\"role\":\"assistant\",\"content\":\"so: \",\"tool_calls\":[" CALL_0
		    "," CALL_1 "]},\"done\":true,\"done_reason\":\"stop\"" TIMES OWN "}\n");
}

static void test_whole(void **state)
{
	(void)state;
	int32_t prompt[] = {5, 6}, answer[] = {7, 8};
	const struct tok_ids prompt_ids = {prompt, 2, 2}, answer_ids = {answer, 2, 2}, none = {0};
	const struct part parts[] = {part_of(PART_THINKING, 0, "t"), part_of(PART_TEXT, 0, "a")};
	struct answer_sample sample = {.parts = parts, .n_parts = 2, .end = the_end};
	start.prompt_ids = &prompt_ids;
	sample.end.ids = &answer_ids;
	sample.end.stop = HOKKU_STOP_CONTEXT;
	api_ollama_generate.whole(&b, &start, &sample);
	expect(HEAD "\"response\":\"a\",\"thinking\":\"t\",\"done\":true,\"done_reason\":\"length\"" TIMES
		    ",\"context\":[5,6,7,8]" OWN "}\n");
	sample.end.ids = &none;
	sample.n_parts = 0;
	api_ollama_generate.whole(&b, &start, &sample);
	expect(HEAD "\"response\":\"\",\"done\":true,\"done_reason\":\"length\"" TIMES
		    ",\"context\":[5,6]" OWN "}\n");
	start.prompt_ids = NULL;
	start.logprobs = true;
	sample.logprobs_json = STR_LIT("{\"token\":\"a\"}");
	api_ollama_chat.whole(&b, &start, &sample);
	expect(HEAD "\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":[{\"token\":\"a\"}],"
		    "\"done\":true,\"done_reason\":\"length\"" TIMES OWN "}\n");
	start.logprobs = false;
	ollama_error(&b, HOKKU_NOT_FOUND, "w\"", "model");
	expect("{\"error\":\"w\\\"\"}\n");
	assert_ptr_equal(api_of_path("/api/chat"), &api_ollama_chat);
	assert_ptr_equal(api_of_path("/api/generate"), &api_ollama_generate);
	assert_ptr_equal(api_of_path("/api/nowhere"), &api_ollama_chat);
}

static void test_time(void **state)
{
	(void)state;
	char out[OLLAMA_TIME_BYTES];
	assert_string_equal(ollama_time(0, out), "1970-01-01T00:00:00.000000000Z");
	assert_string_equal(ollama_time(UINT64_C(1796040000123456789), out),
			    "2026-11-30T12:00:00.123456789Z");
	assert_string_equal(ollama_time(UINT64_MAX, out), "2554-07-21T23:34:33.709551615Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_show),  cmocka_unit_test(test_embed), cmocka_unit_test(test_stream),
		cmocka_unit_test(test_calls), cmocka_unit_test(test_whole), cmocka_unit_test(test_time),
	};
	return cmocka_run_group_tests_name("ollama_answer", tests, NULL, NULL);
}
