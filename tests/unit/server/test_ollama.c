/* POST /api/chat and /api/generate: which fields and options are done, which have no effect, which are
 * refused, at their limits; and what messages become. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/ollama.h"
#include "server/prepare.h"
#include "text/vocab.h"

static struct gen_request r;
static struct request_error err;
static struct strbuf b;

static enum hokku_code parse(const struct request_form *form, const char *before, const char *rest,
			     const char *after)
{
	static char text[65536];
	snprintf(text, sizeof text, "%s%s%s", before, rest, after);
	return request_parse(str_c(text), form, NULL, &r, &err);
}

/* A conversation and a prompt with what else there is to a request. */
static enum hokku_code chat(const char *rest)
{
	return parse(&request_ollama_chat,
		     "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]", rest, "}");
}

static enum hokku_code generate(const char *rest)
{
	return parse(&request_ollama_generate, "{\"model\":\"m\",\"prompt\":\"a\"", rest, "}");
}

static enum hokku_code options(const char *list)
{
	char text[1024];
	snprintf(text, sizeof text, ",\"options\":{%s}", list);
	return chat(text);
}

/* Messages alone. */
static enum hokku_code messages(const char *list)
{
	return parse(&request_ollama_chat, "{\"model\":\"m\",\"messages\":[", list, "]}");
}

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

static bool warned(const char *text)
{
	return r.warnings.ptr && strstr(r.warnings.ptr, text);
}

/* ---- requests ---- */

static void test_defaults(void **state)
{
	(void)state;
	good(chat(""), "chat");
	assert_true(r.stream && r.sampling.temperature == 0.8f && r.sampling.top_k == 40 &&
		    r.sampling.top_p == 0.9f && r.sampling.min_p == 0 && r.sampling.repetition_penalty == 1);
	assert_true(r.max_tokens == 0 && !r.has_seed && r.n == 1 && !r.shape_field && !r.keep_ids);
	assert_string_equal(r.model, "m");
	assert_int_equal(r.warnings.len, 0);
	request_free(&r);
	good(generate(""), "generate");
	assert_true(r.stream && r.keep_ids && r.n_messages == 1 && !r.prompt.ptr && !r.parse_special);
	assert_true(str_eq_c(r.messages[0].role, "user") && str_eq_c(r.messages[0].content, "a"));
	request_free(&r);
	/* What clients send empty, or as null. */
	good(generate(",\"suffix\":\"\",\"system\":\"\",\"template\":\"\",\"context\":[],\"images\":[],"
		      "\"format\":\"\",\"raw\":false,\"options\":{},\"think\":null,\"keep_alive\":null,"
		      "\"width\":null,\"logprobs\":false,\"top_logprobs\":0,\"shift\":false"),
	     "empty");
	assert_int_equal(r.warnings.len, 0);
	request_free(&r);
	good(chat(",\"tools\":[],\"format\":null,\"options\":{\"seed\":null,\"stop\":[]}"), "empty");
	assert_true(!r.tools && !r.has_seed && r.warnings.len == 0);
	request_free(&r);
	/* The file's advice goes before Ollama's defaults, the request before both. */
	const struct sampling_advice advice = {.values = {.temperature = 0.6f, .top_k = 20}, .given = 3};
	static const char body[] = "{\"model\":\"m\",\"prompt\":\"a\",\"options\":{\"top_k\":7}}";
	good(request_parse(str_c(body), &request_ollama_generate, &advice, &r, &err), body);
	assert_true(r.sampling.temperature == 0.6f && r.sampling.top_k == 7 && r.sampling.top_p == 0.9f);
	request_free(&r);
}

static void test_options(void **state)
{
	(void)state;
	good(options("\"temperature\":0.5,\"top_k\":3,\"top_p\":0.5,\"min_p\":0.1,\"repeat_penalty\":1.25,"
		     "\"repeat_last_n\":-1,\"presence_penalty\":-2,\"frequency_penalty\":2,\"seed\":7,"
		     "\"num_predict\":9,\"stop\":[\"x\",\"y\"]"),
	     "all");
	const struct sampling *s = &r.sampling;
	assert_true(s->temperature == 0.5f && s->top_k == 3 && s->top_p == 0.5f && s->min_p == 0.1f);
	assert_true(s->repetition_penalty == 1.25f && s->presence_penalty == -2 && s->frequency_penalty == 2);
	assert_true(r.has_seed && s->seed == 7 && r.max_tokens == 9 && r.n_stop == 2);
	assert_int_equal(r.warnings.len, 0);
	request_free(&r);
	/* Values that have a meaning of their own. */
	good(options("\"top_k\":-1,\"top_p\":0,\"seed\":-1,\"num_predict\":-1,\"stop\":\"x\""), "minus one");
	assert_true(r.sampling.top_k == 0 && r.sampling.top_p > 0 && r.sampling.top_p < 1e-30f);
	assert_true(!r.has_seed && r.max_tokens == 0 && r.n_stop == 1);
	assert_int_equal(sampling_check(&r.sampling, 10, NULL), HOKKU_OK);
	request_free(&r);
	good(options("\"repeat_last_n\":0,\"repeat_penalty\":1.5,\"typical_p\":0.5,\"mirostat\":2,"
		     "\"mirostat_tau\":4,\"mirostat_eta\":0.2"),
	     "none");
	assert_true(s->repetition_penalty == 1.5f && s->repeat_last_n == 0 && s->typical_p == 0.5f);
	assert_true(s->mirostat == 2 && s->mirostat_tau == 4 && s->mirostat_eta == 0.2f);
	assert_int_equal(r.warnings.len, 0);
	request_free(&r);
	good(options("\"repeat_penalty\":1.5"), "penalty");
	assert_int_equal(s->repeat_last_n, 64); /* its own default */
	request_free(&r);
}

static void test_limits(void **state)
{
	(void)state;
	static const struct {
		const char *option, *low, *lowest, *highest, *high;
	} rows[] = {
		{"temperature", "-0.1", "0", "100", "100.1"},
		{"top_k", "-2147483649", "-2147483648", "2147483647", "2147483648"},
		{"top_p", "-1e-30", "0", "1", "1.01"},
		{"min_p", "-0.01", "0", "1", "1.01"},
		{"repeat_penalty", "0", "0.01", "10", "10.01"},
		{"presence_penalty", "-2.01", "-2", "2", "2.01"},
		{"frequency_penalty", "-2.01", "-2", "2", "2.01"},
		{"repeat_last_n", "-2", "-1", "2147483647", "2147483648"},
		{"seed", "-2", "-1", "9223372036854775807", "9223372036854775808"},
		{"num_predict", "-3", "-2", "2147483647", "2147483648"},
		{"num_predict", "0", "1", "2", "\"2\""},
		{"num_ctx", "0", "1", "2147483647", "2147483648"},
		{"typical_p", "0", "0.01", "1.0", "1.01"},
		{"tfs_z", "0.99", "1", "1.0", "2"},
		{"mirostat", "-1", "0", "2", "3"},
		{"mirostat_tau", "-1", "0", "100", "101"},
		{"mirostat_eta", "-1", "0", "1", "1.1"},
	};
	char text[128], field[64];
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *values[] = {rows[i].low, rows[i].lowest, rows[i].highest, rows[i].high};
		snprintf(field, sizeof field, "options.%s", rows[i].option);
		for (size_t k = 0; k < 4; k++) {
			snprintf(text, sizeof text, "\"%s\":%s", rows[i].option, values[k]);
			if (k == 0 || k == 3)
				bad_one(options(text), text, field, "takes");
			else
				good(options(text), text);
			request_free(&r);
		}
		snprintf(text, sizeof text, "\"%s\":[]", rows[i].option);
		bad_one(options(text), text, field, "an array of 0");
	}
	for (uint32_t n = ENGINE_MAX_STOP; n <= ENGINE_MAX_STOP + 1; n++) {
		char stops[256] = "\"stop\":[\"a\"";
		for (uint32_t i = 1; i < n; i++)
			strcat(stops, ",\"b\"");
		strcat(stops, "]");
		assert_int_equal(options(stops), n <= ENGINE_MAX_STOP ? HOKKU_OK : HOKKU_INVALID_REQUEST);
		request_free(&r);
	}
	good(chat(",\"logprobs\":true,\"top_logprobs\":20"), "logprobs");
	assert_true(r.logprobs && r.n_top == 20);
	request_free(&r);
	bad_one(chat(",\"logprobs\":true,\"top_logprobs\":21"), "21", "top_logprobs", "from 0 to 20");
	bad_one(chat(",\"logprobs\":true,\"top_logprobs\":-1"), "-1", "top_logprobs", "from 0 to 20");
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const of_chat[][3] = {
		{"\"options\":[]", "options", "is an array of 0; it takes an object"},
		{"\"options\":{\"tempertaure\":1}", "options.tempertaure", "did you mean \"temperature\"?"},
		{"\"options\":{\"zzzzzzzz\":1}", "options.zzzzzzzz", "no option"},
		{"\"options\":{\"stop\":[1]}", "options.stop[0]", "takes a string"},
		{"\"options\":{\"stop\":[\"\"]}", "options.stop[0]", "0 bytes"},
		{"\"options\":{\"penalize_newline\":false}", "options.penalize_newline", "true alone"},
		{"\"options\":{\"vocab_only\":true}", "options.vocab_only", "false alone"},
		{"\"options\":{\"num_gpu\":\"all\"}", "options.num_gpu", "takes a number"},
		{"\"options\":{\"use_mmap\":1}", "options.use_mmap", "true or false"},
		{"\"format\":\"yaml\"", "format", "the string \"yaml\"; it takes \"json\""},
		{"\"format\":true", "format", "is true"},
		{"\"think\":\"hard\"", "think", "\"low\", \"medium\", \"high\" or \"max\""},
		{"\"think\":1", "think", "is 1"},
		{"\"keep_alive\":\"soon\"", "keep_alive", "\"soon\"; it takes a number of seconds"},
		{"\"keep_alive\":true", "keep_alive", "is true"},
		{"\"tools\":[{\"type\":\"custom\"}]", "tools[0].type", "takes \"function\""},
		{"\"tools\":{}", "tools", "takes an array"},
		{"\"truncate\":1", "truncate", "true or false"},
		{"\"top_logprobs\":1", "top_logprobs", "goes with \"logprobs\": true"},
		{"\"stream\":\"no\"", "stream", "true or false"},
	};
	static const char *const of_prompts[][3] = {
		{"\"template\":\"{{ .Prompt }}\"", "template", "templates of Go are not run"},
		{"\"images\":[\"aGk=\"]", "images", "holds 1; this server's models read text alone"},
		{"\"images\":\"aGk=\"", "images", "takes an array"},
		{"\"context\":7", "context", "takes an array of token ids"},
		{"\"context\":[1,-1]", "context[1]", "is -1"},
		{"\"context\":[2147483648]", "context[0]", "is 2147483648"},
		{"\"raw\":true,\"system\":\"s\"", "raw", "does not support template, system, or context"},
		{"\"raw\":true,\"context\":[1]", "raw", "does not support template, system, or context"},
		{"\"raw\":1", "raw", "true or false"},
		{"\"system\":1", "system", "takes a string"},
		{"\"suffix\":1", "suffix", "takes a string"},
		{"\"suffix\":\"b\",\"raw\":true", "suffix", "goes with a prompt alone"},
		{"\"suffix\":\"b\",\"system\":\"s\"", "suffix", "goes with a prompt alone"},
		{"\"suffix\":\"b\",\"context\":[1]", "suffix", "goes with a prompt alone"},
		{"\"width\":512", "width", "images are not made"},
	};
	char text[256];
	for (size_t i = 0; i < sizeof of_chat / sizeof *of_chat; i++) {
		snprintf(text, sizeof text, ",%s", of_chat[i][0]);
		bad_one(chat(text), text, of_chat[i][1], of_chat[i][2]);
		if (!strstr(text, "tools"))
			bad_one(generate(text), text, of_chat[i][1], of_chat[i][2]);
	}
	for (size_t i = 0; i < sizeof of_prompts / sizeof *of_prompts; i++) {
		snprintf(text, sizeof text, ",%s", of_prompts[i][0]);
		bad_one(generate(text), text, of_prompts[i][1], of_prompts[i][2]);
	}
	bad_one(chat(",\"temperature\":1"), "temperature", "temperature",
		"is an option; give it as {\"options\": {\"temperature\": ...}}");
	assert_int_equal(generate(",\"max_tokens\":1"), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.field, "max_tokens");
	assert_non_null(strstr(err.error.message, "is no field of this route"));
	request_free(&r);
	static const struct request_form *const forms[] = {&request_ollama_chat, &request_ollama_generate};
	for (size_t i = 0; i < 2; i++) {
		bad_one(request_parse(STR_LIT("{}"), forms[i], NULL, &r, &err), "{}", "model", "is required");
		bad_one(request_parse(STR_LIT("{\"model\":1}"), forms[i], NULL, &r, &err), "1", "model",
			"is 1");
	}
}

/* What does nothing here is told. */
static void test_without_effect(void **state)
{
	(void)state;
	static const char *const numbers[] = {"num_keep", "num_batch",  "num_gpu",
					      "main_gpu", "num_thread", "draft_num_predict"};
	static const char *const switches[] = {"numa",     "low_vram",  "f16_kv",
					       "use_mmap", "use_mlock", "logits_all"};
	char text[128], told[128];
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		snprintf(text, sizeof text, "\"%s\":5", numbers[i]);
		snprintf(told, sizeof told, "\"options.%s has no effect here\"", numbers[i]);
		good(options(text), text);
		assert_true(warned(told));
		request_free(&r);
	}
	for (size_t i = 0; i < sizeof switches / sizeof *switches; i++) {
		snprintf(text, sizeof text, "\"%s\":true", switches[i]);
		snprintf(told, sizeof told, "\"options.%s has no effect here\"", switches[i]);
		good(options(text), text);
		assert_true(warned(told));
		request_free(&r);
	}
	good(chat(",\"keep_alive\":\"5m\",\"truncate\":true,\"shift\":true,\"options\":{\"penalize_newline\":"
		  "true,\"vocab_only\":false}"),
	     "rest");
	assert_true(warned("truncate has no effect here: nothing is cut off") && warned("shift has") &&
		    !warned("keep_alive"));
	assert_true(r.has_keep_alive && r.keep_alive_ns == 3e11);
	/* Of the only model it has none; of several it says how long this one stays. */
	const struct request_served several = {.name = "another", .several = true},
				    one = {.name = r.model, .n_ctx = 512};
	assert_int_equal(request_ollama_chat.admit(&r, &several, &err), HOKKU_OK);
	assert_false(warned("keep_alive"));
	assert_int_equal(request_ollama_chat.admit(&r, &one, &err), HOKKU_OK);
	assert_true(warned("keep_alive has no effect here: the model stays"));
	request_free(&r);
	good(chat(",\"truncate\":false"), "truncate");
	assert_int_equal(r.warnings.len, 0);
	request_free(&r);
	good(chat(",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"), "tools");
	assert_true(r.tools && !r.warnings.len);
	request_free(&r);
}

static void test_thinking(void **state)
{
	(void)state;
	static const struct {
		const char *value, *effort;
		enum thinking thinking;
	} rows[] = {
		{"true", "", THINKING_ON},         {"false", "", THINKING_OFF},
		{"\"low\"", "low", THINKING_ON},   {"\"medium\"", "medium", THINKING_ON},
		{"\"high\"", "high", THINKING_ON}, {"\"max\"", "max", THINKING_ON},
	};
	char text[64];
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(text, sizeof text, ",\"think\":%s", rows[i].value);
		good(chat(text), text);
		assert_int_equal(r.thinking, rows[i].thinking);
		assert_true(str_eq_c(r.effort, rows[i].effort));
		request_free(&r);
	}
}

static void test_format(void **state)
{
	(void)state;
	good(chat(",\"format\":\"json\""), "json");
	assert_int_equal(r.shape_kind, CONSTRAIN_JSON_OBJECT);
	assert_string_equal(r.shape_field, "format");
	request_free(&r);
	good(generate(",\"format\":{\"type\":\"integer\"}"), "schema");
	assert_int_equal(r.shape_kind, CONSTRAIN_JSON_SCHEMA);
	assert_string_equal(r.shape_text.ptr, "{\"type\":\"integer\"}");
	request_free(&r);
}

static void test_generate(void **state)
{
	(void)state;
	good(generate(",\"system\":\"be brief\",\"context\":[1,2,3]"), "system");
	assert_true(r.n_messages == 2 && str_eq_c(r.messages[0].role, "system") &&
		    str_eq_c(r.messages[0].content, "be brief") && str_eq_c(r.messages[1].content, "a"));
	assert_true(r.n_before == 3 && r.before[2] == 3 && r.keep_ids);
	assert_string_equal(r.before_name, "context");
	request_free(&r);
	good(generate(",\"raw\":true"), "raw");
	assert_true(!r.messages && str_eq_c(r.prompt, "a") && r.parse_special && !r.keep_ids);
	request_free(&r);
}

/* ---- prompts ---- */

/* The ids that a request's prompt is, each a character where it is one; or the error. */
static const char *prompt_of(const struct tok *tok, const struct chat *template, const char *rest)
{
	static const struct prepare_chat none;
	static char out[512];
	struct prepare_job job = {.form = &request_ollama_generate};
	strbuf_addf(&job.body, "{\"model\":\"m\",%s}", rest);
	prepare_run_job(&job, tok, template, NULL, &none);
	snprintf(out, sizeof out, "%s: %.300s", job.err.field, job.err.error.message);
	for (size_t i = 0, n = 0; i < job.ids.n && !job.rc; i++)
		n += (size_t)snprintf(out + n, sizeof out - n, job.ids.ids[i] < 128 ? "%c" : "[%d]",
				      job.ids.ids[i]);
	assert_int_equal(job.request.keep_ids, !job.rc && !strstr(rest, "\"raw\""));
	prepare_job_free(&job);
	return out;
}

static void test_prompts(void **state)
{
	(void)state;
	struct vocab v = v_new("gpt-2");
	struct chat template;
	struct tok *bare, *tok;
	bare = v_open(&v, &err.error);
	v = v_new("gpt-2");
	v_token(&v, "<|fim_prefix|>", TOK_CONTROL); /* 256 */
	v_token(&v, "<|fim_suffix|>", TOK_CONTROL);
	v_token(&v, "<|fim_middle|>", TOK_CONTROL);
	v_token(&v, "<s>", TOK_CONTROL); /* 259 */
	v_key_u32(&v, "tokenizer.ggml.bos_token_id", 259);
	v_key_bool(&v, "tokenizer.ggml.add_bos_token", true);
	v_key_str(&v, "tokenizer.chat_template",
		  "{{ bos_token }}{% for m in messages %}{{ m.role[0] }}:{{ m.content }};{% endfor %}");
	struct strbuf bytes = v_file(&v);
	struct gguf *g;
	assert_int_equal(gguf_open_memory(bytes.ptr, bytes.len, "test", &g, NULL), HOKKU_OK);
	assert_int_equal(tok_create(g, &tok, NULL), HOKKU_OK);
	assert_int_equal(chat_init(&template, g, (struct str){NULL, 0}, NULL), HOKKU_OK);
	assert_non_null(bare);
	static const char *const rows[][2] = {
		{"\"prompt\":\"a\"", "[259]u:a;"},
		{"\"prompt\":\"<s>\",\"system\":\"b\"", "[259]s:b;u:<s>;"},
		{"\"prompt\":\"a\",\"context\":[120,121]", "xy[259]u:a;"},
		{"\"prompt\":\"a\",\"context\":[259,121]", "[259]yu:a;"}, /* a text begins once */
		{"\"prompt\":\"a\",\"context\":[259,260]",
		 "context[1]: context[1] is 260; this model's token ids run from 0 to 259"},
		{"\"prompt\":\"a<|fim_middle|>\",\"raw\":true", "[259]a[258]"},
		{"\"prompt\":\"<s>a\",\"raw\":true", "[259]a"},
		{"\"prompt\":\"<s>\",\"suffix\":\"bc\"", "[259][256]<s>[257]bc[258]"},
		{"\"prompt\":\"\",\"suffix\":\"b\"", "[259][256][257]b[258]"},
		{"\"suffix\":\"b\"", "[259][256][257]b[258]"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_string_equal(prompt_of(tok, &template, rows[i][0]), rows[i][1]);
	assert_int_equal(strncmp(prompt_of(bare, &template, rows[7][0]),
				 "suffix: suffix is given, but this model's vocabulary has no tokens that",
				 70),
			 0);
	chat_deinit(&template);
	tok_destroy(tok);
	tok_destroy(bare);
	gguf_close(g);
	strbuf_free(&bytes);
}

/* ---- messages ---- */

/* What list becomes. */
static void becomes(const char *list, const char *wanted)
{
	good(messages(list), list);
	jv_write(&r.made.root, &b);
	if (strcmp(b.ptr, wanted) != 0)
		fail_msg("%s\nbecomes %s\nnot     %s", list, b.ptr, wanted);
	assert_int_equal(r.n_messages, jv_len(&r.made.root));
	strbuf_free(&b);
	request_free(&r);
}

#define CALL(more, name) "{" more "\"function\":{\"name\":\"" name "\",\"arguments\":{\"b\":1,\"a\":[2]}}}"
#define MADE(id, name)                                                            \
	"{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"" name \
	"\",\"arguments\":{\"b\":1,\"a\":[2]}}}"

static void test_messages(void **state)
{
	(void)state;
	becomes("{\"role\":\"SYSTEM\",\"content\":\"s\"},{\"content\":\"\\\"\\u0000\",\"role\":\"User\","
		"\"images\":[],\"tool_calls\":[]}",
		"[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"\\\"\\u0000\"}]");
	becomes("{\"role\":\"assistant\",\"content\":\"c\",\"thinking\":\"t\",\"x\":{\"y\":null}}",
		"[{\"role\":\"assistant\",\"content\":\"c\",\"x\":{\"y\":null},\"reasoning_content\":\"t\","
		"\"thinking\":\"t\"}]");
	/* Calls get ids, their results the same, by name and in order. */
	becomes("{\"role\":\"assistant\",\"tool_calls\":[" CALL("", "f") "," CALL("\"id\":\"own\",", "g") "," CALL(
			"",
			"f") "]},"
			     "{\"role\":\"tool\",\"tool_name\":\"g\",\"content\":\"1\"},"
			     "{\"role\":\"tool\",\"tool_name\":\"f\",\"content\":\"2\"},"
			     "{\"role\":\"tool\",\"content\":\"3\"},"
			     "{\"role\":\"tool\",\"content\":\"4\"},"
			     "{\"role\":\"tool\",\"tool_name\":\"f\",\"tool_call_id\":\"z\",\"content\":\"5\"},"
			     "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[" CALL(
				     "", "h") "]},"
					      "{\"role\":\"tool\",\"tool_name\":\"h\",\"content\":\"6\"}",
		"[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[" MADE("call00001", "f") "," MADE("own", "g") "," MADE(
			"call00003",
			"f") "]},"
			     "{\"role\":\"tool\",\"content\":\"1\",\"name\":\"g\",\"tool_call_id\":\"own\"},"
			     "{\"role\":\"tool\",\"content\":\"2\",\"name\":\"f\",\"tool_call_id\":\"call00001\"},"
			     "{\"role\":\"tool\",\"content\":\"3\",\"tool_call_id\":\"call00003\"},"
			     "{\"role\":\"tool\",\"content\":\"4\"},"
			     "{\"role\":\"tool\",\"content\":\"5\",\"name\":\"f\",\"tool_call_id\":\"z\"},"
			     "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[" MADE(
				     "call00004",
				     "h") "]},"
					  "{\"role\":\"tool\",\"content\":\"6\",\"name\":\"h\",\"tool_call_id\":\"call00004\"}]");
	becomes("{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]}",
		"[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"call00001\",\"type\":"
		"\"function\",\"function\":{\"name\":\"f\",\"arguments\":{}}}]}]");
	/* A result without a call is a message like another. */
	becomes("{\"role\":\"tool\",\"tool_name\":\"f\",\"content\":\"1\"}",
		"[{\"role\":\"tool\",\"content\":\"1\",\"name\":\"f\"}]");
}

static void test_bad_messages(void **state)
{
	(void)state;
	static const char *const rows[][3] = {
		{"1", "messages[0]", "takes an object with role and content"},
		{"{\"content\":\"a\"}", "messages[0].role", "is missing"},
		{"{}", "messages[0].role", "is missing"},
		{"{\"role\":null}", "messages[0].role", "is null"},
		{"{\"role\":\"bot\",\"content\":\"a\"}", "messages[0].role", "\"bot\""},
		{"{\"role\":7,\"content\":\"a\"}", "messages[0].role", "is 7"},
		{"{\"role\":\"user\"}", "messages[0].content", "is missing"},
		{"{\"role\":\"user\",\"content\":7}", "messages[0].content", "is 7"},
		{"{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"a\",\"images\":[\"x\","
		 "\"y\"]}",
		 "messages[1].images", "holds 2; this server's models read text alone"},
		{"{\"role\":\"user\",\"content\":\"a\",\"images\":\"x\"}", "messages[0].images", "an array"},
		{"{\"role\":\"user\",\"content\":\"a\",\"thinking\":[]}", "messages[0].thinking", "a string"},
		{"{\"role\":\"tool\",\"content\":\"a\",\"tool_name\":1}", "messages[0].tool_name", "is 1"},
		{"{\"role\":\"assistant\",\"tool_calls\":{}}", "messages[0].tool_calls", "an array of calls"},
		{"{\"role\":\"assistant\",\"tool_calls\":[1]}", "messages[0].tool_calls[0].function.name",
		 "is absent"},
		{"{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}",
		 "messages[0].tool_calls[0].function.arguments", "takes an object"},
		{"{\"role\":\"assistant\",\"tool_calls\":[{\"id\":1,\"function\":{\"name\":\"f\"}}]}",
		 "messages[0].tool_calls[0].id", "takes a string"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		bad_one(messages(rows[i][0]), rows[i][0], rows[i][1], rows[i][2]);
	bad_one(parse(&request_ollama_chat, "{\"model\":\"m\",\"messages\":", "\"a\"", "}"), "a string",
		"messages", "takes an array");
}

/* ---- what is served ---- */

static void test_names(void **state)
{
	(void)state;
	static const struct {
		const char *asked, *served;
		bool same;
	} rows[] = {
		{"haiku", "haiku", true},
		{"haiku:latest", "haiku", true},
		{"HAIKU:Latest", "haiku", true},
		{"haiku", "haiku:latest", true},
		{"haiku:7b", "haiku", false},
		{"haiku", "haiku:7b", false},
		{"haiku:7b", "haiku:7b", true},
		{"haik", "haiku", false},
		{"haiku2", "haiku", false},
		{"org/a b", "org/a b", true},
		{":latest", "haiku", false},
		{"", "haiku", false},
		{"haiku:latest:latest", "haiku", false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (ollama_is_name(rows[i].asked, rows[i].served) != rows[i].same)
			fail_msg("%s, %s", rows[i].asked, rows[i].served);
	static const char *const tagged[][2] = {{"haiku", "\"haiku:latest\""},
						{"haiku:7b", "\"haiku:7b\""},
						{"host:80/haiku", "\"host:80/haiku:latest\""}};
	for (size_t i = 0; i < 3; i++) {
		ollama_add_name(&b, tagged[i][0]);
		assert_string_equal(b.ptr, tagged[i][1]);
		strbuf_free(&b);
	}
	assert_int_equal(ollama_check_name("x", "haiku", &err), HOKKU_NOT_FOUND);
	assert_string_equal(err.error.message, "model 'x' not found: this server has 'haiku'");
	assert_string_equal(err.field, "model");
}

/* A context that is larger than there is, as large, and smaller. */
static void test_admit(void **state)
{
	(void)state;
	const struct request_served served = {.name = "m", .n_ctx = 512};
	char text[32];
	for (int n = 511; n <= 513; n++) {
		snprintf(text, sizeof text, "\"num_ctx\":%d", n);
		good(options(text), text);
		enum hokku_code rc = request_ollama_chat.admit(&r, &served, &err);
		assert_int_equal(rc, n > 512 ? HOKKU_INVALID_REQUEST : HOKKU_OK);
		assert_int_equal(warned("options.num_ctx is 511 and has no effect here: the context has 512"),
				 n < 512);
		request_free(&r);
	}
	assert_string_equal(err.field, "options.num_ctx");
	assert_non_null(strstr(err.error.message, "is 513; this server's context has 512 tokens"));
	good(chat(""), "");
	assert_int_equal(request_ollama_generate.admit(&r, &(struct request_served){.name = "n"}, &err),
			 HOKKU_NOT_FOUND);
	request_free(&r);
}

static void test_keep_alive(void **state)
{
	(void)state;
	static const struct {
		const char *json;
		double ns; /* -7: it is none */
	} rows[] = {
		{"300", 3e11},
		{"0", 0},
		{"-1", -1e9},
		{"0.5", 5e8},
		{"\"5m\"", 3e11},
		{"\"1h30m\"", 5.4e12},
		{"\"1.5s\"", 1.5e9},
		{"\"0\"", 0},
		{"\"0s\"", 0},
		{"\"-1m\"", -6e10},
		{"\"+2ns\"", 2},
		{"\"300ms\"", 3e8},
		{"\"3\xC2\xB5s\"", 3e3},
		{"\".5s\"", 5e8},
		{"\"1.s\"", 1e9},
		{"\"\"", -7},
		{"\"5\"", -7},
		{"\"-\"", -7},
		{"\"m\"", -7},
		{"\"5 m\"", -7},
		{"\"5mm\"", -7},
		{"\"5d\"", -7},
		{"\"1..5s\"", -7},
		{"\"5m\\u0000\"", -7},
		{"true", -7},
		{"null", -7},
		{"[]", -7},
		{"\"1h-5m\"", -7},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct jv_doc doc;
		double ns;
		assert_int_equal(jv_parse(str_c(rows[i].json), JV_STRICT, &doc, NULL), HOKKU_OK);
		bool ok = ollama_keep_alive(&doc.root, &ns);
		if (ok != (rows[i].ns != -7) || (ok && ns != rows[i].ns))
			fail_msg("%s: %d %g", rows[i].json, ok, ns);
		jv_doc_free(&doc);
	}
}

/* What asks for nothing but the model, and what asks for more. */
static void test_loaded(void **state)
{
	(void)state;
	static const struct {
		const struct request_form *form;
		const char *body, *reason; /* NULL: an answer is wanted */
	} rows[] = {
		{&request_ollama_chat, "{\"model\":\"m\"}", "load"},
		{&request_ollama_chat, "{\"model\":\"m\",\"messages\":[]}", "load"},
		{&request_ollama_chat, "{\"model\":\"m\",\"messages\":[],\"keep_alive\":0}", "unload"},
		{&request_ollama_chat,
		 "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\"}]}", NULL},
		{&request_ollama_generate, "{\"model\":\"m\",\"prompt\":\"\"}", "load"},
		{&request_ollama_generate, "{\"model\":\"m\",\"raw\":true}", "load"},
		{&request_ollama_generate, "{\"model\":\"m\",\"keep_alive\":\"0s\"}", "unload"},
		{&request_ollama_generate, "{\"model\":\"m\",\"keep_alive\":\"5m\"}", "load"},
		{&request_ollama_generate, "{\"model\":\"m\",\"keep_alive\":-1}", "load"},
		{&request_ollama_generate, "{\"model\":\"m\",\"prompt\":\"a\",\"keep_alive\":0}", NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		good(request_parse(str_c(rows[i].body), rows[i].form, NULL, &r, &err), rows[i].body);
		const struct request_told told = {.request = &r};
		assert_int_equal(rows[i].form->tell(&told, &b, &err), HOKKU_OK);
		assert_int_equal(b.len > 0, rows[i].reason != NULL);
		if (rows[i].reason) {
			char end[64];
			snprintf(end, sizeof end, ",\"done\":true,\"done_reason\":\"%s\"}\n", rows[i].reason);
			assert_true(str_ends((struct str){b.ptr, b.len}, str_c(end)));
			assert_int_equal(strncmp(b.ptr, "{\"model\":\"m\",\"created_at\":\"2", 28), 0);
		}
		strbuf_free(&b);
		request_free(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),       cmocka_unit_test(test_options),
		cmocka_unit_test(test_limits),         cmocka_unit_test(test_refused),
		cmocka_unit_test(test_without_effect), cmocka_unit_test(test_thinking),
		cmocka_unit_test(test_format),         cmocka_unit_test(test_generate),
		cmocka_unit_test(test_prompts),        cmocka_unit_test(test_messages),
		cmocka_unit_test(test_bad_messages),   cmocka_unit_test(test_names),
		cmocka_unit_test(test_admit),          cmocka_unit_test(test_keep_alive),
		cmocka_unit_test(test_loaded),
	};
	return cmocka_run_group_tests_name("ollama", tests, NULL, NULL);
}
