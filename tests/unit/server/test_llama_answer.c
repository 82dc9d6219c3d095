/* The bytes of answers of POST /completion: one object, a stream, members picked out. */
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

static struct tok *tok;
static struct strbuf b;
static struct gen_request request;
static struct answer_start start;
static struct tok_ids prompt_ids = {(int32_t[]){'p', 'q'}, 2, 2}, ids = {(int32_t[]){'x', '\n'}, 2, 2};

enum { END = 256 };

static int set_up(void **state)
{
	(void)state;
	struct hokku_error err;
	struct vocab v = v_new("gpt-2");
	v_token(&v, "</s>", TOK_CONTROL);
	v_key_u32(&v, "tokenizer.ggml.eos_token_id", END);
	tok = v_open(&v, &err);
	return tok ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	tok_destroy(tok);
	strbuf_free(&b);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	strbuf_clear(&b);
	request = (struct gen_request){.max_tokens = 9, .n = 1};
	request_defaults(&request_llama_completion, NULL, &request.sampling);
	request.sampling.seed = 7;
	start = (struct answer_start){.id = "cmpl-1",
				      .model = "m",
				      .prompt_tokens = 2,
				      .n = 1,
				      .sampling = &request.sampling,
				      .prompt_ids = &prompt_ids,
				      .request = &request,
				      .slot = 3,
				      .tok = tok};
	return 0;
}

static int finish(void **state)
{
	(void)state;
	strbuf_free(&request.llama.fields);
	return 0;
}

static struct answer_end ended(enum hokku_stop stop)
{
	return (struct answer_end){.stop = stop,
				   .tokens_out = 2,
				   .cached_tokens = 1,
				   .prefill_ms = 2,
				   .decode_ms = 4,
				   .ids = &ids,
				   .last = true};
}

static void add_field(const char *name)
{
	strbuf_add(&request.llama.fields, name, strlen(name) + 1);
}

/* The whole answer of one sample. */
static const char *whole(struct answer_end end)
{
	const struct answer_sample sample = {.text = STR_LIT("x\n"), .end = end};
	strbuf_clear(&b);
	api_llama_completion.whole(&b, &start, &sample);
	return b.ptr;
}

static void test_whole(void **state)
{
	(void)state;
	const char *text = whole(ended(HOKKU_STOP_LENGTH));
	const char *head =
		"{\"index\":0,\"content\":\"x\\n\",\"tokens\":[],\"id_slot\":3,\"stop\":true,"
		"\"id\":\"cmpl-1\",\"model\":\"m\",\"tokens_predicted\":2,\"tokens_evaluated\":2,"
		"\"generation_settings\":{\"seed\":7,\"temperature\":0.8,\"top_k\":40,\"top_p\":0.95,"
		"\"min_p\":0.05,\"repeat_penalty\":1,";
	const char *tail =
		"},\"prompt\":\"pq\",\"has_new_line\":true,\"truncated\":false,\"stop_type\":\"limit\","
		"\"stopping_word\":\"\",\"tokens_cached\":1,\"timings\":{\"cache_n\":1,"
		"\"prompt_n\":1,\"prompt_ms\":2,\"prompt_per_token_ms\":2,\"prompt_per_second\":500,"
		"\"predicted_n\":2,\"predicted_ms\":4,\"predicted_per_token_ms\":4,"
		"\"predicted_per_second\":250}}\n";
	assert_memory_equal(text, head, strlen(head));
	assert_string_equal(text + strlen(text) - strlen(tail), tail);
	request.llama.return_tokens = true;
	assert_non_null(strstr(whole(ended(HOKKU_STOP_END)), "\"tokens\":[120,10]"));
	start.warnings_json = STR_LIT("\"w\"");
	assert_non_null(strstr(whole(ended(HOKKU_STOP_END)), ",\"warnings\":[\"w\"]}\n"));
}

/* The first token is drawn with the prompt: none was timed where there is but one. */
static void test_rates(void **state)
{
	(void)state;
	static const struct {
		uint32_t n;
		double ms;
		const char *want;
	} rows[] = {
		{0, 0,
		 "\"predicted_n\":0,\"predicted_ms\":0,\"predicted_per_token_ms\":0,\"predicted_per_second\":0}"},
		{1, 0.5,
		 "\"predicted_n\":1,\"predicted_ms\":0.5,\"predicted_per_token_ms\":0,\"predicted_per_second\":0}"},
		{4, 0.0707994999,
		 "\"predicted_n\":4,\"predicted_ms\":0.070799,\"predicted_per_token_ms\":0.0235996666667,"
		 "\"predicted_per_second\":42373.4798514}"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct answer_end end = ended(HOKKU_STOP_LENGTH);
		end.tokens_out = rows[i].n;
		end.decode_ms = rows[i].ms;
		if (!strstr(whole(end), rows[i].want))
			fail_msg("%u tokens in %g ms: %s", rows[i].n, rows[i].ms,
				 strstr(b.ptr, "\"timings\""));
	}
}

/* Settings of samplers are there once, whether the engine's table has them or not. */
static void test_settings(void **state)
{
	(void)state;
	static const char *const names[] = {"temperature",
					    "top_k",
					    "top_p",
					    "min_p",
					    "repeat_penalty",
					    "typical_p",
					    "dynatemp_range",
					    "top_n_sigma",
					    "mirostat",
					    "min_keep",
					    "adaptive_target",
					    "adaptive_decay",
					    "dry_multiplier",
					    "xtc_threshold",
					    "n_predict",
					    "stop",
					    "logit_bias",
					    "samplers",
					    "lora"};
	struct hokku_logit_bias bias[] = {{5, -1.5F}, {6, -INFINITY}};
	struct jv_doc doc;
	struct hokku_error err;
	request.sampling.bias = bias;
	request.sampling.n_bias = 2;
	request.stop[0] = STR_LIT("a\"");
	request.n_stop = 1;
	whole(ended(HOKKU_STOP_END));
	assert_int_equal(jv_parse((struct str){b.ptr, b.len}, JV_STRICT, &doc, &err),
			 HOKKU_OK); /* no key twice */
	const struct jv *settings = jv_get(&doc.root, "generation_settings");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!jv_get(settings, names[i]))
			fail_msg("%s is not there", names[i]);
	jv_doc_free(&doc);
	assert_non_null(strstr(b.ptr, "\"stop\":[\"a\\\"\"],\"logit_bias\":[{\"token\":5,\"bias\":-1.5},"
				      "{\"token\":6,\"bias\":null}]"));
	request.llama.has_samplers = true;
	strbuf_clear(&b);
	llama_settings(&b, &request.sampling, &request);
	assert_non_null(strstr(b.ptr, ",\"samplers\":[],"));
	strbuf_clear(&b);
	strbuf_add_c(&b, "{");
	llama_settings(&b, &request.sampling, NULL);
	strbuf_add_c(&b, "}");
	assert_int_equal(jv_parse((struct str){b.ptr, b.len}, JV_STRICT, &doc, &err), HOKKU_OK);
	int64_t n;
	assert_true(jv_int(jv_get(&doc.root, "n_predict"), &n) && n == -1);
	assert_true(jv_int(jv_get(&doc.root, "seed"), &n) && n == 4294967295);
	jv_doc_free(&doc);
}

static void test_ends(void **state)
{
	(void)state;
	struct answer_end end = ended(HOKKU_STOP_STOP);
	assert_non_null(strstr(whole(ended(HOKKU_STOP_END)), "\"stop_type\":\"eos\",\"stopping_word\":\"\""));
	assert_non_null(strstr(whole(ended(HOKKU_STOP_CONTEXT)), "\"stop_type\":\"limit\""));
	assert_non_null(strstr(whole(end), "\"stop_type\":\"eos\"")); /* a token that was named */
	end.stop_text = STR_LIT("\n");
	assert_non_null(strstr(whole(end), "\"stop_type\":\"word\",\"stopping_word\":\"\\n\""));
	/* No token at all was asked for: none was told. */
	start.no_answer = request.no_answer = true;
	end = ended(HOKKU_STOP_LENGTH);
	end.tokens_out = 0;
	end.ids = &(struct tok_ids){0};
	end.stop_text = STR_LIT("x"); /* what was drawn all the same */
	const struct answer_sample sample = {.end = end};
	strbuf_clear(&b);
	api_llama_completion.whole(&b, &start, &sample);
	assert_non_null(strstr(b.ptr, "\"content\":\"\",\"tokens\":[]"));
	assert_non_null(strstr(b.ptr, "\"tokens_predicted\":0"));
	assert_non_null(strstr(b.ptr, "\"has_new_line\":false,\"truncated\":false,\"stop_type\":\"limit\","
				      "\"stopping_word\":\"\""));
	assert_non_null(strstr(b.ptr, "\"predicted_n\":0,"));
	assert_non_null(strstr(b.ptr, "\"n_predict\":0"));
}

/* Each sample tells its own prompt. */
static void test_prompts(void **state)
{
	(void)state;
	const struct prepare_prompt prompts[] = {{.first = 0, .n = 1}, {.first = 1, .n = 1}};
	struct answer_sample samples[4];
	start.prompts = prompts;
	start.n_each = 2;
	start.n = 4;
	for (uint32_t i = 0; i < 4; i++) {
		samples[i] = (struct answer_sample){.text = STR_LIT("x"), .end = ended(HOKKU_STOP_END)};
		samples[i].end.sample = i;
	}
	add_field("index");
	add_field("prompt");
	add_field("tokens_evaluated");
	api_llama_completion.whole(&b, &start, samples);
	assert_string_equal(b.ptr, "[{\"index\":0,\"prompt\":\"p\",\"tokens_evaluated\":1},"
				   "{\"index\":1,\"prompt\":\"p\",\"tokens_evaluated\":1},"
				   "{\"index\":2,\"prompt\":\"q\",\"tokens_evaluated\":1},"
				   "{\"index\":3,\"prompt\":\"q\",\"tokens_evaluated\":1}]\n");
}

static void test_fields(void **state)
{
	(void)state;
	add_field("content");
	add_field("timings/prompt_n");
	add_field("generation_settings/top_k");
	add_field("nothing");
	add_field("timings/nothing");
	add_field("content/x");
	add_field("");
	assert_string_equal(whole(ended(HOKKU_STOP_END)), "{\"content\":\"x\\n\",\"timings/prompt_n\":1,"
							  "\"generation_settings/top_k\":40}\n");
	start.n = 2;
	const struct answer_sample samples[] = {{.text = STR_LIT("x"), .end = ended(HOKKU_STOP_END)},
						{.text = STR_LIT("y"), .end = ended(HOKKU_STOP_END)}};
	request.llama.fields.len = strlen("content") + 1;
	strbuf_clear(&b);
	api_llama_completion.whole(&b, &start, samples);
	assert_string_equal(b.ptr, "[{\"content\":\"x\"},{\"content\":\"y\"}]\n");
}

static void test_stream(void **state)
{
	(void)state;
	struct token_logprobs l = {.logprob = -1.5F, .n_top = 1, .top = {{'y', -0.5F}}};
	struct answer_token t = {.sample = 1, .index = 4, .token = 'x', .text = STR_LIT("x")};
	const struct api *api = &api_llama_completion;
	api->started(&b, &start, 0, true);
	assert_int_equal(b.len, 0);
	api->token(&b, &start, &t);
	assert_string_equal(b.ptr, "data: {\"index\":1,\"content\":\"x\",\"tokens\":[120],\"stop\":false,"
				   "\"id_slot\":3,\"tokens_predicted\":5,\"tokens_evaluated\":2}\n\n");
	strbuf_clear(&b);
	t.logprobs = &l;
	api->token(&b, &start, &t);
	assert_non_null(strstr(b.ptr,
			       ",\"completion_probabilities\":[{\"token\":\"x\",\"id\":120,\"logprob\":-1.5,"
			       "\"bytes\":[120],\"top_logprobs\":[{\"token\":\"y\",\"id\":121,"
			       "\"logprob\":-0.5,\"bytes\":[121]}]}]}\n\n"));
	/* An end token that sets text free. */
	strbuf_clear(&b);
	t = (struct answer_token){.index = 5, .token = END, .text = STR_LIT("z")};
	api->token(&b, &start, &t);
	assert_string_equal(b.ptr, "data: {\"index\":0,\"content\":\"z\",\"tokens\":[],\"stop\":false,"
				   "\"id_slot\":3,\"tokens_predicted\":5,\"tokens_evaluated\":2}\n\n");
	strbuf_clear(&b);
	const struct answer_end end = ended(HOKKU_STOP_END);
	start.logprobs = true;
	api->end(&b, &start, &end);
	const char *head = "data: {\"index\":0,\"content\":\"\",\"tokens\":[],\"id_slot\":3,\"stop\":true,";
	assert_memory_equal(b.ptr, head, strlen(head));
	assert_true(str_ends((struct str){b.ptr, b.len}, STR_LIT("}\n\n")));
	assert_null(strstr(b.ptr, "completion_probabilities")); /* they came with their tokens */
	assert_null(strchr(b.ptr, '\r'));
	strbuf_clear(&b);
	api->failed(&b, HOKKU_DEVICE_ERROR, "gone");
	assert_string_equal(
		b.ptr, "data: {\"error\":{\"code\":500,\"message\":\"gone\",\"type\":\"server_error\"}}\n\n");
}

static void test_probabilities(void **state)
{
	(void)state;
	const struct answer_sample sample = {
		.text = STR_LIT("x"), .logprobs_json = STR_LIT("{},{}"), .end = ended(HOKKU_STOP_END)};
	start.logprobs = true;
	api_llama_completion.whole(&b, &start, &sample);
	assert_true(
		str_ends((struct str){b.ptr, b.len}, STR_LIT(",\"completion_probabilities\":[{},{}]}\n")));
	/* Chances after all stages have names of their own. */
	struct token_logprobs l = {.logprob = 0.25F, .n_top = 2, .top = {{'y', 0.75F}, {'x', 0.25F}}};
	const struct answer_token t = {.token = 'x', .text = STR_LIT("x"), .logprobs = &l};
	request.llama.post_probs = true;
	strbuf_clear(&b);
	api_llama_completion.logprobs(&b, &start, &t);
	assert_string_equal(b.ptr, "{\"id\":120,\"token\":\"x\",\"bytes\":[120],\"prob\":0.25,\"top_probs\":["
				   "{\"id\":121,\"token\":\"y\",\"bytes\":[121],\"prob\":0.75},"
				   "{\"id\":120,\"token\":\"x\",\"bytes\":[120],\"prob\":0.25}]}");
	strbuf_clear(&b);
	api_llama_completion.token(&b, &start, &t);
	assert_non_null(strstr(b.ptr,
			       ",\"completion_probabilities\":[{\"id\":120,\"token\":\"x\",\"bytes\":[120],"
			       "\"prob\":0.25,\"top_probs\":["));
	strbuf_clear(&b);
	api_llama_completion.whole(&b, &start, &sample);
	assert_non_null(strstr(b.ptr, "\"post_sampling_probs\":true"));
	request.llama.post_probs = false;
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, finish)
	const struct CMUnitTest tests[] = {TEST(test_whole),  TEST(test_rates),        TEST(test_settings),
					   TEST(test_ends),   TEST(test_prompts),      TEST(test_fields),
					   TEST(test_stream), TEST(test_probabilities)};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
