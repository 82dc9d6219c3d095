/* What the server says: framing of events, numbers that read back exactly, the mailbox, listening. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "server/answer.h"
#include "server/mailbox.h"

static struct strbuf b;

static void expect(const char *text)
{
	assert_string_equal(b.ptr, text);
	strbuf_free(&b);
}

static void test_events(void **state)
{
	(void)state;
	const struct answer_start one = {.n = 1}, three = {.n = 3};
	struct answer_token token = {
		.sample = 2, .index = 3, .token = 99, .text = STR_LIT("a\"\n\\\x01\xE3\x81\xAE")};
	api_native.token(&b, &one, &token);
	expect("event: token\ndata: {\"t\":\"a\\\"\\n\\\\\\u0001\xE3\x81\xAE\",\"i\":3,\"id\":99}\n\n");
	token.text = (struct str){NULL, 0};
	api_native.token(&b, &three, &token); /* of several, which */
	expect("event: token\ndata: {\"t\":\"\",\"i\":3,\"id\":99,\"index\":2}\n\n");
	api_native.failed(&b, HOKKU_CANCELLED, "line\nbreak");
	expect("event: error\ndata: {\"code\":\"CANCELLED\",\"message\":\"line\\nbreak\"}\n\n");
	struct answer_end end = {.sample = 2,
				 .stop = HOKKU_STOP_LENGTH,
				 .tokens_out = 5,
				 .cached_tokens = 64,
				 .text_bytes = 12,
				 .prefill_ms = 1.5,
				 .decode_ms = 2.25,
				 .ttft_ms = 0.125};
	api_native.end(&b, &three, &end);
	expect("event: end\ndata: "
	       "{\"stop_reason\":\"length\",\"tokens_out\":5,\"cached_tokens\":64,\"text_bytes\":12,\"prefill_ms\":1.500,"
	       "\"decode_ms\":2.250,\"ttft_ms\":0.125,\"index\":2}\n\n");
	end.last = true;
	end.usage = (struct answer_usage){7, 5, 3, 0};
	api_native.end(&b, &one, &end);
	expect("event: end\ndata: "
	       "{\"stop_reason\":\"length\",\"tokens_out\":5,\"cached_tokens\":64,\"text_bytes\":12,\"prefill_ms\":1.500,"
	       "\"decode_ms\":2.250,\"ttft_ms\":0.125,"
	       "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5,\"total_tokens\":12,\"prompt_tokens_details\":{\"cached_tokens\":3},\"completion_tokens_details\":{\"reasoning_tokens\":0}}}\n\n");
	answer_keep_alive(&b);
	expect(": keep-alive\n\n");
	answer_error(&b, HOKKU_INVALID_REQUEST, "x", "stop[1]");
	expect("{\"error\":{\"code\":\"INVALID_REQUEST\",\"message\":\"x\",\"field\":\"stop[1]\"}}\n");
	answer_error(&b, HOKKU_NOT_FOUND, "x", "");
	expect("{\"error\":{\"code\":\"NOT_FOUND\",\"message\":\"x\"}}\n");
}

static void test_started(void **state)
{
	(void)state;
	const struct hokku_logit_bias bias[] = {{7, -100}, {8, 0.1f}};
	struct sampling s;
	sampling_defaults(&s, SAMPLING_OWN, NULL);
	s.bias = bias;
	s.n_bias = 2;
	struct answer_start start = {.id = "i",
				     .model = "m\"",
				     .seed = 5,
				     .prompt_tokens = 2,
				     .max_tokens = 0,
				     .started_at = "now",
				     .sampling = &s,
				     .stop_json = STR_LIT("\"x\",\"y\""),
				     .warnings_json = STR_LIT("\"w\"")};
	api_native.started(&b, &start, 1, false); /* once is enough */
	assert_int_equal(b.len, 0);
	api_native.started(&b, &start, 0, true);
	expect("event: started\ndata: "
	       "{\"id\":\"i\",\"model\":\"m\\\"\",\"seed\":5,\"prompt_tokens\":2,\"started_at\":\"now\","
	       "\"max_tokens\":null,\"stop\":[\"x\",\"y\"],\"sampling\":{\"temperature\":0.7,\"top_k\":0,"
	       "\"top_p\":1,\"min_p\":0,"
	       "\"repetition_penalty\":1,\"frequency_penalty\":0,\"presence_penalty\":0,"
	       "\"logit_bias\":{\"7\":-100,\"8\":0.1}},\"warnings\":[\"w\"]}\n\n");
}

static void test_numbers(void **state)
{
	(void)state;
	answer_seed(&b, 0);
	expect("0");
	answer_seed(&b, (UINT64_C(1) << 53) - 1);
	expect("9007199254740991");
	answer_seed(&b, UINT64_C(1) << 53);
	expect("\"9007199254740992\"");
	answer_seed(&b, UINT64_MAX);
	expect("\"18446744073709551615\"");
	static const float values[] = {0.7f, 1e-30f, 0.1f, 16777217.0f, 3.4e38f, 1.0f / 3, -2.0f};
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		answer_float(&b, values[i]);
		assert_true(strtof(b.ptr, NULL) == values[i]);
		strbuf_free(&b);
	}
}

/* ---- the mailbox ---- */

enum { N_MAILS = 20000 };

static void *put_mails(void *arg)
{
	for (uint32_t i = 0; i < N_MAILS; i++) {
		char text[16];
		int n = snprintf(text, sizeof text, "%u", i);
		mailbox_put(
			arg, arg,
			&(struct engine_event){
				.kind = ENGINE_TOKEN, .text = {text, (size_t)n}, .index = i, .token = -1});
	}
	return NULL;
}

static void test_mailbox(void **state)
{
	(void)state;
	struct mailbox m;
	struct mail mail;
	pthread_t thread;
	bool lost;
	char text[16];
	mailbox_init(&m);
	assert_int_equal(mailbox_take(&m, &lost).len, 0);
	pthread_create(&thread, NULL, put_mails, &m);
	for (uint32_t i = 0; i < N_MAILS;) {
		struct str rest = mailbox_take(&m, &lost);
		assert_false(lost);
		for (; mail_next(&rest, &mail); i++) {
			assert_ptr_equal(mail.to, &m);
			assert_int_equal(mail.index, i);
			snprintf(text, sizeof text, "%u", i);
			assert_true(str_eq_c(mail.text, text));
		}
		assert_int_equal(rest.len, 0);
	}
	pthread_join(thread, NULL);
	const struct hokku_result result = {.tokens_out = 9};
	const struct hokku_error error = {.code = HOKKU_DEVICE_ERROR, .message = "why"};
	assert_true(mailbox_put(
		&m, NULL, &(struct engine_event){.kind = ENGINE_STARTED, .prompt_tokens = 4, .seed = 5}));
	assert_false(mailbox_put(
		&m, NULL, &(struct engine_event){.kind = ENGINE_END, .result = &result, .cached_tokens = 8}));
	assert_false(mailbox_put(&m, NULL, &(struct engine_event){.kind = ENGINE_ERROR, .error = &error}));
	struct str rest = mailbox_take(&m, &lost);
	assert_true(mail_next(&rest, &mail) && mail.kind == ENGINE_STARTED && mail.prompt_tokens == 4 &&
		    mail.seed == 5);
	assert_true(mail_next(&rest, &mail) && mail.kind == ENGINE_END && mail.result.tokens_out == 9 &&
		    mail.cached_tokens == 8);
	assert_true(mail_next(&rest, &mail) && mail.code == HOKKU_DEVICE_ERROR && str_eq_c(mail.text, "why"));
	assert_false(mail_next(&rest, &mail));
	/* Logprobs between tokens that have none. */
	const struct token_logprobs logprobs = {-1.5f, 2, {{7, -0.5f}, {8, -1.5f}}};
	for (int i = 0; i < 3; i++)
		mailbox_put(&m, NULL,
			    &(struct engine_event){.kind = ENGINE_TOKEN,
						   .text = STR_LIT("odd"),
						   .token = i,
						   .logprobs = i == 1 ? &logprobs : NULL});
	rest = mailbox_take(&m, &lost);
	for (int i = 0; i < 3; i++) {
		assert_true(mail_next(&rest, &mail) && mail.token == i && str_eq_c(mail.text, "odd"));
		assert_int_equal(mail.has_logprobs, i == 1);
		assert_true(i != 1 || memcmp(&mail.logprobs, &logprobs, sizeof logprobs) == 0);
	}
	assert_false(mail_next(&rest, &mail));
	/* And a prompt's, which lie anywhere. */
	const struct prompt_logprob rows[] = {{5, 2, logprobs}, {6, 1, {-1, 0, {{0, 0}}}}};
	for (uint32_t n = 1; n <= 2; n++) {
		const struct engine_event prompt = {
			.kind = ENGINE_PROMPT, .index = 32, .prompt = rows, .n_prompt = n};
		mailbox_put(&m, NULL, &(struct engine_event){.kind = ENGINE_TOKEN, .text = STR_LIT("odd")});
		mailbox_put(&m, NULL, &prompt);
	}
	rest = mailbox_take(&m, &lost);
	for (uint32_t n = 1; n <= 2; n++) {
		assert_true(mail_next(&rest, &mail) && mail.kind == ENGINE_TOKEN);
		assert_true(mail_next(&rest, &mail) && mail.kind == ENGINE_PROMPT && mail.index == 32);
		assert_int_equal(mail.text.len, n * sizeof *rows);
		assert_memory_equal(mail.text.ptr, rows, n * sizeof *rows);
	}
	assert_false(mail_next(&rest, &mail));
	mailbox_deinit(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_started),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_mailbox),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
