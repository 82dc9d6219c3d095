/* POST /v1/completions: its fields at their limits, what prompts become, and the answers' bytes. The official
 * client reads them in tests/e2e/completions.test.mjs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/answer.h"
#include "text/vocab.h"

static struct gguf *file;
static struct tok *tok;
static struct prepare_job job;
static struct strbuf b;

static int set_up(void **state)
{
	(void)state;
	struct hokku_error err;
	return engine_open_file(NULL, &file, &err) ||
	       engine_open_tok(file, &tok, NULL, (struct str){NULL, 0}, &err);
}

static int tear_down(void **state)
{
	(void)state;
	tok_destroy(tok);
	gguf_close(file);
	return 0;
}

static enum hokku_code prepare(const char *body)
{
	static const struct prepare_chat none;
	prepare_job_free(&job);
	job = (struct prepare_job){.form = &request_completion};
	strbuf_add_c(&job.body, body);
	prepare_run_job(&job, tok, NULL, NULL, &none);
	return job.rc;
}

static void good(const char *body)
{
	if (prepare(body))
		fail_msg("%s: %s", body, job.err.error.message);
}

static void bad(const char *body, const char *field, const char *part)
{
	if (prepare(body) != HOKKU_INVALID_REQUEST || strcmp(job.err.field, field) != 0 ||
	    !strstr(job.err.error.message, part))
		fail_msg("%s: %d, field %s, message %s", body, job.rc, job.err.field, job.err.error.message);
}

static void test_fields(void **state)
{
	(void)state;
	good("{\"prompt\":\"the\"}");
	const struct gen_request *r = &job.request;
	assert_true(r->max_tokens == 16 && r->n == 1 && !r->stream && !r->echo && !r->logprobs);
	assert_true(r->sampling.temperature == 1 && !r->no_answer && r->warnings.len == 0);
	good("{\"prompt\":\"the\",\"max_tokens\":0,\"echo\":true,\"logprobs\":20,\"n\":2,\"best_of\":2,\"user\":\"u\","
	     "\"stream\":true,\"stream_options\":{\"include_usage\":true},\"suffix\":\"\",\"seed\":-1,\"top_p\":0}");
	assert_true(r->no_answer && r->echo && r->logprobs && r->n_top == 20 && r->n == 2 &&
		    r->include_usage);
	assert_true(r->prompt_logprobs && r->n_prompt_top == 20 && r->has_seed);
	assert_string_equal(r->warnings.ptr, "\"user has no effect here\"");
	good("{\"prompt\":\"the\",\"logprobs\":0,\"suffix\":null,\"echo\":null,\"best_of\":null,\"max_tokens\":null}");
	assert_true(r->logprobs && r->n_top == 0 && !r->prompt_logprobs && r->max_tokens == 16);
	static const struct {
		const char *field, *low, *lowest, *highest, *high;
	} rows[] = {
		{"logprobs", "-1", "0", "20", "21"},
		{"prompt_logprobs", "-1", "0", "20", "21"},
		{"max_tokens", "-1", "0", "2147483647", "2147483648"},
		{"n", "0", "1", "128", "129"},
		{"n\":128,\"best_of", "0", "128", "128", "129"},
		{"temperature", "-1", "0", "2", "101"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *values[] = {rows[i].low, rows[i].lowest, rows[i].highest, rows[i].high};
		const char *quote = strrchr(rows[i].field, '"'), *field = quote ? quote + 1 : rows[i].field;
		for (size_t k = 0; k < 4; k++) {
			char body[128];
			snprintf(body, sizeof body, "{\"prompt\":\"the\",\"%s\":%s}", rows[i].field,
				 values[k]);
			if (k == 0 || k == 3)
				bad(body, field, "takes");
			else
				good(body);
		}
	}
	static const char *const wrong[][3] = {
		{"{}", "prompt", "is missing"},
		{"{\"prompt\":null}", "prompt", "is missing"},
		{"{\"prompt\":\"\"}", "prompt", "gives no token at all"},
		{"{\"prompt\":[\"the\",\"\"]}", "prompt[1]", "gives no token at all"},
		{"{\"prompt\":[]}", "prompt", "is []; it takes a string"},
		{"{\"prompt\":{}}", "prompt", "is an object; it takes"},
		{"{\"prompt\":5}", "prompt", "is 5; it takes"},
		{"{\"prompt\":[true]}", "prompt", "is [true]; it takes"},
		{"{\"prompt\":[\"a\",1]}", "prompt[1]", "is 1; it takes a string, as the first is one"},
		{"{\"prompt\":[1,\"a\"]}", "prompt[1]", "is the string \"a\"; it takes a token id"},
		{"{\"prompt\":[[1],\"a\"]}", "prompt[1]", "takes an array of token ids"},
		{"{\"prompt\":[[1],[]]}", "prompt[1]", "is an empty array"},
		{"{\"prompt\":[[1],[2,-1]]}", "prompt[1][1]", "is -1; it takes a token id"},
		{"{\"prompt\":[[1,2],[3,999999]]}", "prompt[1][1]", "is 999999; this model's token ids"},
		{"{\"prompt\":[[999999]]}", "prompt[0][0]", "is 999999; this model's token ids"},
		{"{\"prompt\":[1,999999]}", "prompt[1]", "is 999999; this model's token ids"},
		{"{\"prompt\":\"a\",\"best_of\":2}", "best_of", "is 2 and n is 1"},
		{"{\"prompt\":\"a\",\"best_of\":1,\"n\":2}", "best_of", "is 1 and n is 2"},
		{"{\"prompt\":\"a\",\"echo\":1}", "echo", "true or false"},
		{"{\"prompt\":\"a\",\"logprobs\":true}", "logprobs", "is true; it takes a whole number"},
		{"{\"prompt\":\"a\",\"suffix\":1}", "suffix", "takes a string"},
		{"{\"prompt\":\"a\",\"suffix\":\"b\"}", "suffix", "has no tokens that part a text"},
		{"{\"prompt\":[1],\"suffix\":\"b\"}", "suffix", "goes with a prompt that is text"},
		{"{\"prompt\":\"a\",\"suffix\":\"b\",\"echo\":true,\"logprobs\":1}", "suffix",
		 "leave one of them"},
		{"{\"prompt\":\"a\",\"prompt_logprobs\":1,\"echo\":true,\"logprobs\":1}", "prompt_logprobs",
		 "give either"},
		{"{\"prompt\":\"a\",\"stream_options\":{}}", "stream_options", "goes with"},
		{"{\"prompt\":\"a\",\"messages\":[]}", "messages", "is no field of this route"},
		{"{\"prompt\":\"a\",\"top_logprobs\":1}", "top_logprobs", "is no field of this route"},
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		bad(wrong[i][0], wrong[i][1], wrong[i][2]);
	for (int n = REQUEST_MAX_PROMPTS - 1; n <= REQUEST_MAX_PROMPTS + 1; n++) {
		struct strbuf body = {0};
		strbuf_add_c(&body, "{\"prompt\":[");
		for (int i = 0; i < n; i++)
			strbuf_add_c(&body, i ? ",\"the\"" : "\"the\"");
		strbuf_add_c(&body, "]}");
		if (n <= REQUEST_MAX_PROMPTS)
			good(body.ptr);
		else
			bad(body.ptr, "prompt", "has 2049 prompts; it takes up to 2048");
		assert_int_equal(job.n_prompts, n <= REQUEST_MAX_PROMPTS ? n : 1);
		strbuf_free(&body);
	}
}

/* Where each prompt lies, and what is told of it. */
static void test_prompts(void **state)
{
	(void)state;
	struct tok_ids ids = {0};
	struct hokku_error err;
	good("{\"prompt\":[\"the\",\"\xE3\x81\xAE the\"],\"echo\":true}");
	assert_int_equal(job.n_prompts, 2);
	for (uint32_t p = 0; p < 2; p++) {
		struct str text = p ? (struct str)STR_LIT("\xE3\x81\xAE the") : (struct str)STR_LIT("the");
		ids.n = 0;
		assert_int_equal(tok_encode(tok, text, TOK_ADD_BOS, &ids, &err), HOKKU_OK);
		assert_int_equal(job.prompts[p].n, ids.n);
		assert_memory_equal(job.ids.ids + job.prompts[p].first, ids.ids, ids.n * sizeof *ids.ids);
		assert_true(str_eq(job.prompts[p].text.text, text));
		assert_int_equal(job.prompts[p].text.n_chars, p ? 5 : 3);
		assert_int_equal(job.prompts[p].text.n_surplus, 0);
		assert_int_equal(job.prompts[p].text.first, ids.ids[0]);
	}
	/* The same by ids, of which one alone is half a character. */
	char body[256];
	snprintf(body, sizeof body, "{\"prompt\":[[%d],[%d,%d]],\"echo\":true}", ids.ids[ids.n - 1],
		 ids.ids[0], ids.ids[ids.n - 1]);
	good(body);
	assert_true(str_eq_c(job.prompts[0].text.text, " the"));
	assert_int_equal(job.prompts[0].text.n_chars, 4);
	assert_int_equal(job.prompts[1].first, 1);
	assert_int_equal(job.prompts[1].n, 2);
	good("{\"prompt\":\"the\"}"); /* nothing is kept that nobody echoes */
	assert_int_equal(job.texts.len, 0);
	assert_int_equal(job.prompts[0].text.n_chars, 3);
	tok_ids_free(&ids);
}

/* Before a gap, behind it, and the gap; special names in a text are text. */
static void test_gap(void **state)
{
	(void)state;
	struct hokku_error err;
	struct tok *bundled = tok;
	struct vocab v = v_new("gpt-2");
	v_token(&v, "<|fim_prefix|>", TOK_CONTROL); /* 256 */
	v_token(&v, "<|fim_suffix|>", TOK_CONTROL);
	v_token(&v, "<|fim_middle|>", TOK_CONTROL);
	v_token(&v, "<s>", TOK_CONTROL); /* 259 */
	v_key_u32(&v, "tokenizer.ggml.bos_token_id", 259);
	v_key_bool(&v, "tokenizer.ggml.add_bos_token", true);
	tok = v_open(&v, &err);
	assert_non_null(tok);
	good("{\"prompt\":[\"a\",\"\"],\"suffix\":\"bc\"}");
	static const int32_t ids[] = {259, 256, 'a', 257, 'b', 'c', 258, 259, 256, 257, 'b', 'c', 258};
	assert_int_equal(job.ids.n, sizeof ids / sizeof *ids);
	assert_memory_equal(job.ids.ids, ids, sizeof ids);
	assert_true(job.prompts[0].n == 7 && job.prompts[1].first == 7 && job.prompts[1].n == 6);
	assert_int_equal(job.prompts[0].text.n_chars, 1);
	good("{\"prompt\":\"<|fim_middle|>\",\"suffix\":\"<s>\"}");
	assert_int_equal(job.ids.n, 1 + 1 + 14 + 1 + 3 + 1);
	good("{\"prompt\":[\"x<|fim_middle|>\",\"<s>x\",\"<s><s>\"]}"); /* without a gap they are meant */
	static const int32_t meant[] = {259, 'x', 258, 259, 'x', 259, 259};
	assert_int_equal(job.ids.n, sizeof meant / sizeof *meant);
	assert_memory_equal(job.ids.ids, meant, sizeof meant);
	good("{\"prompt\":\"\"}"); /* a token alone that begins a text */
	assert_int_equal(job.ids.n, 1);
	tok_destroy(tok);
	tok = bundled;
}

/* ---- answers ---- */

static void expect(const char *text)
{
	assert_string_equal(b.ptr ? b.ptr : "", text);
	strbuf_free(&b);
}

#define HEAD  "{\"id\":\"c-1\",\"object\":\"text_completion\",\"created\":5,\"model\":\"m\",\"choices\":["
#define CHUNK "data: " HEAD
#define USAGE                                                                                         \
	"\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":6,\"total_tokens\":10,"                 \
	"\"prompt_tokens_details\":{\"cached_tokens\":3},\"completion_tokens_details\":{\"reasoning_" \
	"tokens\":0}}"

static struct sampling sampling;
static struct answer_memo memo;
static struct answer_start start = {
	.id = "c-1", .model = "m", .created = 5, .sampling = &sampling, .n = 4, .n_each = 2, .memo = &memo};

/* b up to "hokku", which test_openai has to the byte. */
static void expect_before_own(const char *text)
{
	char *own = strstr(b.ptr, ",\"hokku\":{");
	assert_non_null(own);
	*own = '\0';
	expect(text);
}

static void test_stream(void **state)
{
	(void)state;
	const struct api *api = &api_completion;
	good("{\"prompt\":[\"the\",\" the\"],\"echo\":true}");
	start.prompts = job.prompts;
	start.tok = tok;
	api->started(&b, &start, 3, true);
	expect("");
	struct answer_token token = {.sample = 3, .text = STR_LIT("\"x")};
	api->token(&b, &start, &token);
	expect(CHUNK "{\"index\":3,\"text\":\"\\\"x\",\"logprobs\":null,\"finish_reason\":null}]}\n\n");
	token.text.len = 0;
	api->token(&b, &start, &token);
	expect("");
	start.echo = true;
	api->started(&b, &start, 2, false);
	expect(CHUNK "{\"index\":2,\"text\":\" the\",\"logprobs\":null,\"finish_reason\":null}]}\n\n");
	start.echo = false;
	struct answer_end end = {.sample = 1, .stop = HOKKU_STOP_LENGTH};
	api->end(&b, &start, &end);
	expect(CHUNK "{\"index\":1,\"text\":\"\",\"logprobs\":null,\"finish_reason\":\"length\"}]}\n\n");
	end = (struct answer_end){.sample = 1, .stop = HOKKU_STOP_END, .last = true, .usage = {4, 6, 3, 0}};
	start.include_usage = true;
	api->end(&b, &start, &end);
	const char *rest = strstr(b.ptr, "}\n\ndata: ");
	assert_string_equal(rest, "}\n\n" CHUNK "]," USAGE "}\n\ndata: [DONE]\n\n");
	expect_before_own(
		CHUNK
		"{\"index\":1,\"text\":\"\",\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":null");
	start.include_usage = false;
	api->failed(&b, HOKKU_DEVICE_ERROR, "why");
	expect("data: {\"error\":{\"message\":\"why\",\"type\":\"server_error\",\"param\":null,\"code\":\"device_"
	       "error\"}}\n\n");
	api->error(&b, HOKKU_CONTEXT_EXCEEDED, "long", NULL);
	expect("{\"error\":{\"message\":\"long\",\"type\":\"invalid_request_error\",\"param\":\"prompt\",\"code\":"
	       "\"context_length_exceeded\"}}\n");
	assert_ptr_equal(api_of_path("/v1/completions"), api);
}

/* " the", then a byte that is no character, then an end token: with and without the prompt's. */
static void test_logprobs(void **state)
{
	(void)state;
	const struct api *api = &api_completion;
	int32_t odd = 0, control = 0;
	while (tok_bytes(tok, odd).len != 1 || (unsigned char)tok_bytes(tok, odd).ptr[0] != 0xE3)
		odd++;
	while (!tok_is_end(tok, control))
		control++;
	good("{\"prompt\":\"no the\",\"echo\":true}");
	const int32_t *ids = job.ids.ids;
	assert_int_equal(job.ids.n, 2);
	start = (struct answer_start){.id = "c-1",
				      .model = "m",
				      .created = 5,
				      .sampling = &sampling,
				      .n = 1,
				      .n_each = 1,
				      .memo = &memo,
				      .prompts = job.prompts,
				      .tok = tok,
				      .logprobs = true};
	const struct token_logprobs the = {-0.5f, 2, {{odd, -0.25f}, {ids[1], -0.5f}}},
				    none = {-INFINITY, 1, {{ids[1], -0.125f}}}, alone = {-2, 0, {{0, 0}}};
	const struct prompt_logprob row = {ids[1], 2, the};
	const struct answer_prompt prompt = {.first = 0, .n = 1, .rows = &row};
	struct answer_token tokens[] = {
		{.index = 0, .token = ids[1], .text = STR_LIT(" the"), .logprobs = &the},
		{.index = 1, .token = odd, .logprobs = &none},
		{.index = 2, .token = control, .logprobs = &alone},
	};
	char end_name[64], wanted[2048];
	snprintf(end_name, sizeof end_name, "%.*s", STR_ARG(tok_bytes(tok, control)));
#define TOP_THE "{\"bytes:\\\\xe3\":-0.25,\" the\":-0.5}"
#define TOP_ODD "{\" the\":-0.125,\"bytes:\\\\xe3\":-9999}"
	for (int echo = 0; echo < 2; echo++) {
		struct strbuf records = {0}, prompts = {0};
		memo = (struct answer_memo){0};
		start.echo = echo;
		/* Streamed: the prompt's where it is echoed, each token's, the end token's with the end. */
		api->started(&b, &start, 0, true);
		expect("");
		if (echo) {
			api->prompt(&b, &start, &prompt);
			expect(CHUNK
			       "{\"index\":0,\"text\":\"no the\",\"logprobs\":{\"tokens\":[\"no\",\" the\"],\"token_"
			       "logprobs\":[null,-0.5],\"top_logprobs\":[null," TOP_THE
			       "],\"text_offset\":[0,2]},\"finish_reason\":null}]}\n\n");
		}
		api->token(&b, &start, &tokens[0]);
		expect(CHUNK
		       "{\"index\":0,\"text\":\" the\",\"logprobs\":{\"tokens\":[\" the\"],\"token_logprobs\":[-0.5],"
		       "\"top_logprobs\":[" TOP_THE "],\"text_offset\":[6]},\"finish_reason\":null}]}\n\n");
		api->token(&b, &start, &tokens[1]);
		expect(CHUNK
		       "{\"index\":0,\"text\":\"\",\"logprobs\":{\"tokens\":[\"bytes:\\\\xe3\"],\"token_logprobs\":["
		       "-9999],\"top_logprobs\":[" TOP_ODD
		       "],\"text_offset\":[10]},\"finish_reason\":null}]}\n\n");
		struct answer_end end = {.stop = HOKKU_STOP_END, .end_token = &tokens[2]};
		api->end(&b, &start, &end);
		snprintf(
			wanted, sizeof wanted,
			CHUNK
			"{\"index\":0,\"text\":\"\",\"logprobs\":{\"tokens\":[\"%s\"],\"token_logprobs\":[-2],\"top_"
			"logprobs\":[{\"%s\":-2}],\"text_offset\":[11]},\"finish_reason\":\"stop\"}]}\n\n",
			end_name, end_name);
		expect(wanted);
		/* Whole: the same, from what was kept. */
		for (int i = 0; i < 3; i++) {
			strbuf_add_c(&records, i ? "," : "");
			api->logprobs(&records, &start, &tokens[i]);
		}
		api->prompt_logprobs(&prompts, &start, &prompt);
		const struct answer_sample sample = {
			.text = STR_LIT(" the\xEF\xBF\xBD"),
			.logprobs_json = {records.ptr, records.len},
			.prompt_json = {prompts.ptr, prompts.len},
			.end = {.stop = HOKKU_STOP_END, .last = true, .usage = {4, 6, 3, 0}}};
		start.memo = NULL;
		api->whole(&b, &start, &sample);
		start.memo = &memo;
		snprintf(
			wanted, sizeof wanted,
			HEAD
			"{\"index\":0,\"text\":\"%s the\xEF\xBF\xBD\",\"logprobs\":{\"tokens\":[%s\" the\",\"bytes:"
			"\\\\xe3\",\"%s\"],\"token_logprobs\":[%s-0.5,-9999,-2],\"top_logprobs\":[%s" TOP_THE
			"," TOP_ODD
			",{\"%s\":-2}],\"text_offset\":[%s6,10,11]},\"finish_reason\":\"stop\"}]," USAGE,
			echo ? "no the" : "", echo ? "\"no\",\" the\"," : "", end_name,
			echo ? "null,-0.5," : "", echo ? "null," TOP_THE "," : "", end_name,
			echo ? "0,2," : "");
		if (!echo) { /* vLLM's, where they were asked for by themselves */
			char *at = strstr(b.ptr, ",\"prompt_logprobs\":[null,{");
			assert_non_null(at);
			char *to = strstr(at, "]}],\"usage");
			memmove(at, to + 1, strlen(to + 1) + 1);
		}
		expect_before_own(wanted);
		strbuf_free(&records);
		strbuf_free(&prompts);
	}
}

/* Prompts' choices, in order; the space that a vocabulary puts before a text is not counted. */
static void test_whole(void **state)
{
	(void)state;
	struct answer_sample samples[4];
	good("{\"prompt\":[\"the\",\" the\"],\"echo\":true}");
	start = (struct answer_start){.id = "c-1",
				      .model = "m",
				      .created = 5,
				      .sampling = &sampling,
				      .n = 4,
				      .n_each = 2,
				      .prompts = job.prompts,
				      .tok = tok,
				      .echo = true};
	for (uint32_t i = 0; i < 4; i++)
		samples[i] =
			(struct answer_sample){.text = STR_LIT("!"),
					       .end = {.sample = i,
						       .stop = i == 3 ? HOKKU_STOP_CONTEXT : HOKKU_STOP_STOP,
						       .last = i == 2,
						       .usage = {4, 6, 3, 0}}};
	api_completion.whole(&b, &start, samples);
	expect_before_own(
		HEAD
		"{\"index\":0,\"text\":\"the!\",\"logprobs\":null,\"finish_reason\":\"stop\"},"
		"{\"index\":1,\"text\":\"the!\",\"logprobs\":null,\"finish_reason\":\"stop\"},"
		"{\"index\":2,\"text\":\" the!\",\"logprobs\":null,\"finish_reason\":\"stop\"},"
		"{\"index\":3,\"text\":\" the!\",\"logprobs\":null,\"finish_reason\":\"length\"}]," USAGE);
	job.prompts[0].text.n_surplus = 1;
	struct strbuf records = {0};
	const struct answer_prompt first = {.sample = 0};
	start.logprobs = true;
	start.n = start.n_each = 1;
	api_completion.prompt_logprobs(&records, &start, &first);
	const struct token_logprobs l = {-1, 0, {{0, 0}}};
	api_completion.logprobs(&records, &start,
				&(struct answer_token){.token = job.ids.ids[1], .logprobs = &l});
	samples[0].logprobs_json = (struct str){records.ptr, records.len};
	api_completion.whole(&b, &start, samples);
	assert_non_null(strstr(b.ptr, "\"text_offset\":[0,2]"));
	strbuf_free(&b);
	strbuf_free(&records);
	prepare_job_free(&job);
	job = (struct prepare_job){0};
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields), cmocka_unit_test(test_prompts),  cmocka_unit_test(test_gap),
		cmocka_unit_test(test_stream), cmocka_unit_test(test_logprobs), cmocka_unit_test(test_whole),
	};
	return cmocka_run_group_tests_name("completion", tests, set_up, tear_down);
}
