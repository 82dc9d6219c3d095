/* POST /completion and /infill: which fields are done, which have no effect, which are refused, at their
 * limits; and the tokens that prompts become. With a vocabulary made by hand that wants BOS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/llama.h"
#include "text/vocab.h"

enum { BOS = 256, MARK, PREFIX, SUFFIX, MIDDLE, REPO, FILE_SEP };

static struct tok *full, *bare; /* with all tokens of a gap; without those of files */
static struct chat no_chat = {.kind = CHAT_NONE};
static struct prepare_job job;

static struct tok *open_vocab(bool files)
{
	struct hokku_error err;
	struct vocab v = v_new("gpt-2");
	v_token(&v, "<s>", TOK_CONTROL);
	v_token(&v, "<|mark|>", TOK_CONTROL);
	v_token(&v, "<|fim_prefix|>", TOK_CONTROL);
	v_token(&v, "<|fim_suffix|>", TOK_CONTROL);
	v_token(&v, "<|fim_middle|>", TOK_CONTROL);
	if (files) {
		v_token(&v, "<|repo_name|>", TOK_CONTROL);
		v_token(&v, "<|file_sep|>", TOK_CONTROL);
	}
	v_key_u32(&v, "tokenizer.ggml.bos_token_id", BOS);
	v_key_bool(&v, "tokenizer.ggml.add_bos_token", true);
	return v_open(&v, &err);
}

static int set_up(void **state)
{
	(void)state;
	full = open_vocab(true);
	bare = open_vocab(false);
	return full && bare ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	tok_destroy(full);
	tok_destroy(bare);
	return 0;
}

static void prepare(const struct request_form *form, const struct tok *tok, const char *body)
{
	static const struct prepare_chat no_defaults;
	job = (struct prepare_job){.form = form};
	strbuf_add_c(&job.body, body);
	prepare_run_job(&job, tok, &no_chat, NULL, &no_defaults);
}

/* {"prompt":"a", REST} */
static const struct gen_request *good(const char *rest)
{
	char body[4096];
	prepare_job_free(&job);
	snprintf(body, sizeof body, "{\"prompt\":\"a\"%s%s}", *rest ? "," : "", rest);
	prepare(&request_llama_completion, full, body);
	if (job.rc)
		fail_msg("%s: %s", body, job.err.error.message);
	return &job.request;
}

static void bad_body(const struct request_form *form, const char *body, const char *field, const char *part)
{
	prepare_job_free(&job);
	prepare(form, full, body);
	if (job.rc != HOKKU_INVALID_REQUEST || strcmp(job.err.field, field) != 0 ||
	    !strstr(job.err.error.message, part))
		fail_msg("%s: field %s, message %s", body, job.err.field, job.err.error.message);
}

static void bad(const char *rest, const char *field, const char *part)
{
	char body[4096];
	snprintf(body, sizeof body, "{\"prompt\":\"a\",%s}", rest);
	bad_body(&request_llama_completion, body, field, part);
}

/* Before id i: a stroke where a prompt begins. */
static const char *separator(size_t i)
{
	for (uint32_t p = 1; p < job.n_prompts; p++)
		if (job.prompts[p].first == i)
			return " | ";
	return i ? " " : "";
}

/* The prompts' ids with blanks between, or what is wrong. */
static const char *ids_of(const struct request_form *form, const struct tok *tok, const char *body)
{
	static char text[1024];
	size_t n = 0;
	text[0] = '\0';
	prepare_job_free(&job);
	prepare(form, tok, body);
	if (job.rc)
		snprintf(text, sizeof text, "%s", job.err.error.message);
	for (size_t i = 0; !job.rc && i < job.ids.n; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "%s%d", separator(i), job.ids.ids[i]);
	return text;
}

static void test_prompts(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"\"a\"", "256 97"},
		{"\"\"", "256"},
		{"\"a<|mark|>\"", "256 97 257"},
		{"[1,2]", "1 2"},
		{"[\"a\"]", "256 97"},
		{"[\"a\",1,\"b<s>\",2]", "256 97 1 98 256 2"},
		{"[1,\"a\"]", "1 97"},
		{"[[1,2]]", "1 2"},
		{"{\"prompt_string\":\"a\"}", "256 97"},
		{"[{\"prompt_string\":\"a\",\"multimodal_data\":null}]", "256 97"},
		{"[262]", "262"},
		{"[263]", "prompt[0] is 263; this model's token ids run from 0 to 262"},
		{"[0,-1]", "prompt[1] is -1; this model's token ids run from 0 to 262"},
		{"[1,true]", "prompt[1] is true; it takes a string or a token id"},
		{"[\"a\",\"b\"]", "256 97 | 256 98"},
		{"[[1,\"a\"],{\"prompt_string\":\"b\"},\"\"]", "1 97 | 256 98 | 256"},
		{"[]", "prompt has 0 prompts; it takes 1 to 2048"},
		{"[\"a\",[]]", "prompt[1] gives no token at all"},
		{"[\"a\",[1,263]]", "prompt[1][1] is 263; this model's token ids run from 0 to 262"},
		{"[\"a\",null]",
		 "prompt[1] is null; it takes a string, or an array of strings and token ids"},
		{"[\"a\",{}]", "prompt[1] has the prompt_string absent; it takes a string"},
		{"[[]]", "prompt gives no token at all"},
		{"7", "prompt is 7; it takes a string, or an array of strings and token ids"},
		{"[null]", "prompt[0] is null; it takes a string, or an array of strings and token ids"},
		{"{}", "prompt has the prompt_string absent; it takes a string"},
		{"{\"prompt_string\":\"a\",\"multimodal_data\":[\"x\"]}",
		 "prompt has multimodal_data; this server reads text"},
		{"null", "prompt is missing; it takes a string, or an array of strings and token ids"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char body[256];
		snprintf(body, sizeof body, "{\"prompt\":%s}", rows[i][0]);
		assert_string_equal(ids_of(&request_llama_completion, full, body), rows[i][1]);
	}
}

static void test_many_prompts(void **state)
{
	(void)state;
	for (int n = REQUEST_MAX_PROMPTS - 1; n <= REQUEST_MAX_PROMPTS + 1; n++) {
		struct strbuf b = {0};
		prepare_job_free(&job);
		strbuf_add_c(&b, "{\"prompt\":[");
		for (int i = 0; i < n; i++)
			strbuf_add_c(&b, i ? ",\"a\"" : "\"a\"");
		strbuf_add_c(&b, "]}");
		prepare(&request_llama_completion, full, b.ptr);
		strbuf_free(&b);
		if (n <= REQUEST_MAX_PROMPTS)
			assert_true(!job.rc && job.n_prompts == (uint32_t)n && job.ids.n == 2 * (size_t)n);
		else
			assert_string_equal(job.err.error.message,
					    "prompt has 2049 prompts; it takes 1 to 2048");
	}
}

static void test_defaults(void **state)
{
	(void)state;
	const struct gen_request *r = good("");
	assert_true(r->sampling.temperature == 0.8f && r->sampling.top_k == 40 && r->sampling.top_p == 0.95f);
	assert_true(r->sampling.min_p == 0.05f && r->sampling.repetition_penalty == 1 && !r->has_seed);
	assert_true(!r->stream && r->n == 1 && r->max_tokens == 0 && !r->logprobs && r->cache_prompt);
	assert_true(!r->no_answer && r->llama.slot == 0 && r->keep_ids);
	assert_int_equal(r->warnings.len, 0);
	/* What the model's file advises goes before. */
	struct sampling s;
	struct sampling_advice advice = {.values = {.top_k = 7}, .given = 2};
	request_defaults(&request_llama_completion, &advice, &s);
	assert_true(s.top_k == 7 && s.temperature == 0.8f);
}

static void test_done(void **state)
{
	(void)state;
	const struct gen_request *r = good(
		"\"n_predict\":9,\"n_cmpl\":3,\"stream\":true,\"stop\":[\"x\",\"\",\"y\"],\"seed\":7,"
		"\"temperature\":0.5,\"top_k\":3,\"top_p\":0.5,\"min_p\":0.1,\"repeat_penalty\":1.5,"
		"\"presence_penalty\":1,\"frequency_penalty\":-1,\"n_probs\":2,\"return_tokens\":true,"
		"\"logit_bias\":[[5,-1.5],[6,false],[\"ab\",2]],\"cache_prompt\":false,\"id_slot\":0,"
		"\"ignore_eos\":true,\"lora\":[],\"grammar\":\"\",\"model\":\"any\",\"samplers\":[\"penalties\","
		"\"dry\",\"top_n_sigma\",\"top_k\",\"typ_p\",\"top_p\",\"min_p\",\"xtc\",\"temperature\"]");
	assert_true(r->max_tokens == 9 && r->n == 3 && r->stream && r->n_stop == 2);
	assert_true(str_eq_c(r->stop[0], "x") && str_eq_c(r->stop[1], "y"));
	assert_true(r->has_seed && r->sampling.seed == 7 && r->sampling.temperature == 0.5f);
	assert_true(r->sampling.top_k == 3 && r->sampling.top_p == 0.5f && r->sampling.min_p == 0.1f);
	assert_true(r->sampling.repetition_penalty == 1.5f && r->sampling.presence_penalty == 1);
	assert_true(r->sampling.frequency_penalty == -1 && r->logprobs && r->n_top == 2);
	assert_true(!r->cache_prompt && r->llama.slot == 1 && r->llama.return_tokens && r->rules.ignore_eos);
	assert_int_equal(r->sampling.n_bias, 4);
	assert_true(isinf(r->sampling.bias[1].bias) && r->sampling.bias[3].token == 'b');
	assert_string_equal(r->model, "any");
	assert_non_null(strstr(r->warnings.ptr, "order"));
	assert_false(r->shape_field);
}

static void test_special_values(void **state)
{
	(void)state;
	const struct gen_request *r =
		good("\"n_predict\":-1,\"seed\":-1,\"temperature\":-1,\"top_k\":-5,"
		     "\"top_p\":0,\"min_p\":-1,\"stop\":\"\",\"id_slot\":-1,\"n_probs\":0");
	assert_true(r->max_tokens == 0 && !r->has_seed && r->sampling.temperature == 0);
	assert_true(r->sampling.top_k == 0 && r->sampling.top_p > 0 && r->sampling.top_p < 1e-30f);
	assert_true(r->sampling.min_p == 0 && r->n_stop == 0 && r->llama.slot == 0 && !r->logprobs);
	assert_false(good("\"seed\":4294967295")->has_seed);
	assert_true(good("\"seed\":4294967294")->sampling.seed == 4294967294);
	r = good("\"n_predict\":0");
	assert_true(r->no_answer && r->max_tokens == 1);
	r = good("\"max_tokens\":0,\"n_predict\":5");
	assert_true(!r->no_answer && r->max_tokens == 5);
	/* One that is not named does nothing; an empty array names none. */
	r = good("\"samplers\":[\"top_k\"],\"top_p\":0.5,\"repeat_penalty\":2,\"presence_penalty\":1");
	assert_true(r->sampling.top_k == 40 && r->sampling.top_p == 1 && r->sampling.min_p == 0);
	assert_true(r->sampling.temperature == 1 && r->sampling.repetition_penalty == 1);
	assert_true(r->sampling.presence_penalty == 0 && r->warnings.len == 0);
	r = good("\"samplers\":[]");
	assert_true(r->sampling.top_k == 0 && r->sampling.temperature == 1);
	assert_true(!llama_has_sampler(r, "top_k") && llama_has_sampler(good(""), "top_k"));
	r = good("\"samplers\":\"pk\",\"top_p\":0.5");
	assert_true(llama_has_sampler(r, "top_k") && llama_has_sampler(r, "top_p") &&
		    !llama_has_sampler(r, "xtc"));
	assert_true(r->sampling.top_k == 40 && r->sampling.top_p == 0.5f && r->sampling.min_p == 0);
	r = good("\"samplers\":[\"top-k\",\"nucleus\",\"temp\"],\"temperature\":1");
	assert_true(r->sampling.top_k == 40 && r->sampling.top_p == 0.95f && r->warnings.len == 0);
}

/* What an answer cannot depend on is told; so is what may be at the value that asks for nothing. */
static void test_without_effect(void **state)
{
	(void)state;
	static const char *const told[] = {
		"\"n_keep\":4",
		"\"n_discard\":1",
		"\"n_indent\":4",
		"\"n_cache_reuse\":256",
		"\"t_max_predict_ms\":50",
		"\"return_progress\":true",
		"\"timings_per_token\":true",
		"\"stream_options\":{\"include_usage\":true}",
		"\"samplers\":[\"top_k\",\"top_p\",\"infill\"]",
		"\"nothing_known\":1",
	};
	static const char *const silent[] = {
		"\"mirostat\":0,\"mirostat_tau\":5,\"mirostat_eta\":0.1",
		"\"typical_p\":1,\"dynatemp_range\":0,\"dynatemp_exponent\":1,\"top_n_sigma\":-1",
		"\"xtc_probability\":0,\"xtc_threshold\":0.1,\"min_keep\":0",
		"\"dry_multiplier\":0,\"dry_base\":1.75,\"dry_allowed_length\":2,\"dry_penalty_last_n\":64",
		"\"repeat_penalty\":1.1,\"repeat_last_n\":64",
		"\"mirostat\":2,\"typical_p\":0.5,\"xtc_probability\":0.1,\"dry_sequence_breakers\":[\"x\"]",
		"\"top_n_sigma\":-3,\"xtc_probability\":-1,\"dry_base\":0,\"dry_allowed_length\":0",
		"\"backend_sampling\":true,\"verbose\":true,\"timings_per_token\":false",
		"\"post_sampling_probs\":true",
		"\"post_sampling_probs\":true,\"n_probs\":20",
	};
	for (size_t i = 0; i < sizeof told / sizeof *told; i++)
		if (good(told[i])->warnings.len == 0)
			fail_msg("%s is not told of", told[i]);
	for (size_t i = 0; i < sizeof silent / sizeof *silent; i++)
		if (good(silent[i])->warnings.len)
			fail_msg("%s: %s", silent[i], job.request.warnings.ptr);
}

static void test_limits(void **state)
{
	(void)state;
	static const struct {
		const char *field, *low, *lowest, *highest, *high;
	} rows[] = {
		{"n_predict", "-2", "-1", "2147483647", "2147483648"},
		{"n_cmpl", "0", "1", "128", "129"},
		{"n_probs", "-1", "0", "20", "21"},
		{"id_slot", "-2", "-1", "255", "256"},
		{"repeat_penalty", "0", "0.01", "10", "10.1"},
		{"presence_penalty", "-2.01", "-2", "2", "2.01"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *values[] = {rows[i].low, rows[i].lowest, rows[i].highest, rows[i].high};
		for (size_t k = 0; k < 4; k++) {
			char text[128];
			snprintf(text, sizeof text, "\"%s\":%s", rows[i].field, values[k]);
			if (k == 0 || k == 3)
				bad(text, rows[i].field, "takes");
			else
				good(text);
		}
	}
	struct strbuf b = {0};
	for (int n = ENGINE_MAX_STOP - 1; n <= ENGINE_MAX_STOP + 1; n++) {
		strbuf_clear(&b);
		for (int i = 0; i < n; i++)
			strbuf_add_c(&b, i ? ",\"x\"" : "\"stop\":[\"x\"");
		strbuf_add_c(&b, ",\"\"]"); /* is none */
		if (n > ENGINE_MAX_STOP)
			bad(b.ptr, "stop", "has more than 16 strings");
		else
			assert_int_equal(good(b.ptr)->n_stop, n);
	}
	for (int n = LLAMA_MAX_RESPONSE_FIELDS - 1; n <= LLAMA_MAX_RESPONSE_FIELDS + 1; n++) {
		strbuf_clear(&b);
		for (int i = 0; i < n; i++)
			strbuf_addf(&b, "%s\"x%02d\"", i ? "," : "\"response_fields\":[", i);
		strbuf_add_c(&b, "]");
		if (n > LLAMA_MAX_RESPONSE_FIELDS)
			bad(b.ptr, "response_fields",
			    "is an array of 65; it takes an array of up to 64 names");
		else
			assert_int_equal(good(b.ptr)->llama.fields.len, 4 * n);
	}
	/* One that is named again is told once: an answer has no member twice, and is no larger for it. */
	const struct strbuf *fields =
		&good("\"response_fields\":[\"content\",\"prompt\",\"content\",\"prompt\",\"\",\"\",\"pro\"]")
			 ->llama.fields;
	assert_int_equal(fields->len, sizeof "content\0prompt\0\0pro");
	assert_memory_equal(fields->ptr, "content\0prompt\0\0pro", fields->len);
	/* Nothing of a request points into its body, which is gone, once its tokens are there. */
	const struct llama_fields *f = &good("\"n_predict\":1")->llama;
	assert_true(!f->prompt && !f->content && !f->prefix && !f->suffix && !f->extra);
	strbuf_free(&b);
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const rows[][3] = {
		{"\"mirostat\":\"2\"", "mirostat", "is the string \"2\""},
		{"\"min_keep\":2", "min_keep", "no such sampler"},
		{"\"samplers\":5", "samplers", "is 5; it takes an array of names"},
		{"\"samplers\":[\"top_kk\"]", "samplers[0]", "is \"top_kk\"; there are penalties, dry,"},
		{"\"samplers\":[1]", "samplers[0]", "is 1; it takes a string"},
		{"\"samplers\":[\"top_k\",\"top-k\"]", "samplers[1]", "is there twice"},
		{"\"samplers\":\"kzp\"", "samplers[1]", "is \"z\""},
		{"\"post_sampling_probs\":1,\"n_probs\":1", "post_sampling_probs",
		 "is 1; it takes true or false"},
		{"\"response_fields\":[1]", "response_fields[0]", "is 1; it takes a member's name"},
		{"\"response_fields\":[\"a\\u0000b\"]", "response_fields[0]", "it takes a member's name"},
		{"\"stop\":[\"a\",1]", "stop[1]", "is 1; it takes a string"},
		{"\"stop\":{}", "stop", "is an object"},
		{"\"lora\":[{\"id\":0,\"scale\":1}]", "lora", "no adapters"},
		{"\"id_slot\":\"0\"", "id_slot", "is the string \"0\""},
		{"\"seed\":-2", "seed", "is -2"},
		{"\"grammar\":5", "grammar", "is 5"},
		{"\"json_schema\":{},\"grammar\":\"root ::= [a]\"", "grammar", "give one of them"},
		{"\"return_tokens\":1", "return_tokens", "it takes true or false"},
		{"\"repeat_last_n\":-2", "repeat_last_n", "takes"},
		{"\"temperature\":\"hot\"", "temperature", "is the string \"hot\""},
		{"\"top_k\":1.5", "top_k", "a whole number"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		bad(rows[i][0], rows[i][1], rows[i][2]);
}

static void test_infill(void **state)
{
	(void)state;
	const struct request_form *form = &request_llama_infill;
	/* myproject\n and filename\n, byte by byte */
	const char *head = "256 261 109 121 112 114 111 106 101 99 116 10 ";
	const char *name = "262 102 105 108 101 110 97 109 101 10 ";
	char want[512];
	assert_string_equal(ids_of(form, bare, "{\"input_prefix\":\"a\",\"input_suffix\":\"b\"}"),
			    "256 258 97 259 98 260");
	assert_string_equal(
		ids_of(form, bare, "{\"input_prefix\":\"\",\"input_suffix\":\"\",\"prompt\":\"c\"}"),
		"256 258 99 259 260");
	/* Names of special tokens in what is sent are text. */
	assert_string_equal(ids_of(form, bare, "{\"input_prefix\":\"<s>\",\"input_suffix\":\"\"}"),
			    "256 258 60 115 62 259 260");
	snprintf(want, sizeof want, "%s%s258 97 259 98 260", head, name);
	assert_string_equal(ids_of(form, full, "{\"input_prefix\":\"a\",\"input_suffix\":\"b\"}"), want);
	snprintf(want, sizeof want, "%s262 120 10 121 262 116 109 112 10 122 %s258 97 259 98 260", head,
		 name);
	assert_string_equal(
		ids_of(form, full,
		       "{\"input_prefix\":\"a\",\"input_suffix\":\"b\",\"input_extra\":[{\"filename\":"
		       "\"x\",\"text\":\"y\"},{\"text\":\"z\"}]}"),
		want);
	/* Its marks end what is written into the gap. */
	assert_int_equal(job.request.rules.n_stop_tokens, TOK_N_FIM);
	assert_string_equal(
		ids_of(form, bare,
		       "{\"input_prefix\":\"a\",\"input_suffix\":\"b\",\"stop_token_ids\":[5],"
		       "\"input_extra\":[{\"text\":\"y\"}]}"),
		"256 10 10 45 45 45 32 115 110 105 112 112 101 116 32 45 45 45 10 10 121 258 97 259 98 "
		"260");
	assert_int_equal(job.request.rules.n_stop_tokens, 4);
	assert_int_equal(job.request.rules.stop_tokens[0], 5);
	assert_int_equal(job.request.rules.stop_tokens[3], MIDDLE);
	bad_body(form, "{}", "input_prefix", "is missing");
	bad_body(form, "{\"input_prefix\":\"a\"}", "input_suffix", "is missing");
	bad_body(form, "{\"input_prefix\":1,\"input_suffix\":\"\"}", "input_prefix",
		 "is 1; it takes a string");
	bad_body(form, "{\"input_prefix\":\"\",\"input_suffix\":\"\",\"prompt\":[1]}", "prompt",
		 "is an array of 1; it takes a string");
	static const char *const extras[][3] = {
		{"5", "input_extra", "it takes an array"},
		{"[{}]", "input_extra[0].text", "is absent; it takes a string"},
		{"[5]", "input_extra[0].text", "is absent; it takes a string"},
		{"[{\"text\":\"\"},{\"filename\":\"ok\"}]", "input_extra[1].text", "is absent"},
		{"[{\"filename\":123,\"text\":\"abc\"}]", "input_extra[0].filename", "is 123"},
		{"[{\"text\":456}]", "input_extra[0].text", "is 456"},
	};
	for (size_t i = 0; i < sizeof extras / sizeof *extras; i++) {
		char body[256];
		snprintf(body, sizeof body,
			 "{\"input_prefix\":\"a\",\"input_suffix\":\"b\",\"input_extra\":%s}", extras[i][0]);
		bad_body(form, body, extras[i][1], extras[i][2]);
	}
}

static int free_job(void **state)
{
	(void)state;
	prepare_job_free(&job);
	job = (struct prepare_job){0};
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_prompts, free_job),
		cmocka_unit_test_teardown(test_many_prompts, free_job),
		cmocka_unit_test_teardown(test_defaults, free_job),
		cmocka_unit_test_teardown(test_done, free_job),
		cmocka_unit_test_teardown(test_special_values, free_job),
		cmocka_unit_test_teardown(test_without_effect, free_job),
		cmocka_unit_test_teardown(test_limits, free_job),
		cmocka_unit_test_teardown(test_refused, free_job),
		cmocka_unit_test_teardown(test_infill, free_job),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
