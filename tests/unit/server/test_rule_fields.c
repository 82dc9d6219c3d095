/* The fields that say which tokens may come and which end an answer: their forms, limits and errors, and what
 * becomes of texts with the bundled model's tokenizer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/prepare.h"

static struct engine *engine;
static const struct prepare_chat no_defaults;

static int set_up(void **state)
{
	(void)state;
	struct hokku_error err;
	const struct engine_config config = {0};
	return engine_create(&config, &engine, &err) || engine_wait_ready(engine, &err) ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	engine_destroy(engine, 0);
	return 0;
}

static struct prepare_job prepared(const struct request_form *form, const char *members)
{
	struct prepare_job job = {.form = form};
	strbuf_addf(&job.body, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],%s}", members);
	prepare_run_job(&job, engine_tok(engine), engine_chat(engine), NULL, &no_defaults);
	return job;
}

static void good(const char *members, struct prepare_job *job)
{
	*job = prepared(&request_native, members);
	if (job->rc)
		fail_msg("%s: %s", members, job->err.error.message);
	struct prepare_job other = prepared(&request_openai_chat, members); /* the same by each API */
	assert_int_equal(other.rc, HOKKU_OK);
	assert_int_equal(other.request.rules.n_bad_ids, job->request.rules.n_bad_ids);
	prepare_job_free(&other);
}

static void bad(const char *members, const char *field, const char *message)
{
	struct prepare_job job = prepared(&request_native, members);
	assert_int_equal(job.rc, HOKKU_INVALID_REQUEST);
	assert_string_equal(job.err.field, field);
	if (!strstr(job.err.error.message, message))
		fail_msg("%s lacks %s", job.err.error.message, message);
	prepare_job_free(&job);
}

static int32_t token_of(const char *text)
{
	struct tok_ids ids = {0};
	struct hokku_error err;
	assert_int_equal(tok_encode(engine_tok(engine), str_c(text), 0, &ids, &err), HOKKU_OK);
	assert_int_equal(ids.n, 1);
	int32_t id = ids.ids[0];
	tok_ids_free(&ids);
	return id;
}

/* "7=-5 8=false", in the order that they come in. */
static void check_bias(const char *value, const char *wanted)
{
	struct prepare_job job;
	struct strbuf b = {0};
	char members[256];
	snprintf(members, sizeof members, "\"logit_bias\":%s", value);
	good(members, &job);
	for (uint32_t i = 0; i < job.request.sampling.n_bias; i++) {
		const struct hokku_logit_bias *at = &job.request.sampling.bias[i];
		strbuf_addf(&b, isfinite(at->bias) ? "%s%d=%g" : "%s%d=false", i ? " " : "", at->token,
			    (double)at->bias);
	}
	assert_string_equal(b.ptr ? b.ptr : "", wanted);
	strbuf_free(&b);
	prepare_job_free(&job);
}

static void test_bias_forms(void **state)
{
	(void)state;
	char wanted[64];
	check_bias("{\"7\":-5,\"0\":1.5}", "7=-5 0=1.5");
	check_bias("{\"7\":false}", "7=false");
	check_bias("[[7,-5],[8,false],[\"9\",2]]", "7=-5 8=false 9=2");
	check_bias("[]", "");
	check_bias("{}", "");
	check_bias("null", "");
	snprintf(wanted, sizeof wanted, "5=1 %d=-2", token_of("x"));
	check_bias("{\"x\":-2,\"5\":1}", wanted);
	check_bias("[[\"x\",-2],[5,1]]", wanted);
	snprintf(wanted, sizeof wanted, "%d=3 %d=3", token_of("1"), token_of("!"));
	check_bias("{\"1!\":3}", wanted); /* each token of a text */
}

static void test_bias_errors(void **state)
{
	(void)state;
	const struct {
		const char *value, *field, *message;
	} rows[] = {
		{"7", "logit_bias",
		 "is 7; it takes an object of token ids and numbers, or an array of pairs of them"},
		{"{\"5\":true}", "logit_bias",
		 "logit_bias of token 5 is true; it takes a number from -1000 to 1000, or false: never drawn"},
		{"{\"x\":1001}", "logit_bias", "of \"x\" is 1001; it takes a number"},
		{"{\"\":1}", "logit_bias", "has the key \"\"; a key is a token id in digits, or a text"},
		{"{\"-1\":1}", "logit_bias", "has the key \"-1\""},
		{"[5]", "logit_bias[0]", "is 5; it takes [token id or text, number or false]"},
		{"[[5,1],[5,1,1]]", "logit_bias[1]", "is an array of 3"},
		{"[[-1,1]]", "logit_bias[0]", "names -1; it takes a token id"},
		{"[[null,1]]", "logit_bias[0]", "names null"},
		{"{\"6656\":1}", "logit_bias", "names token 6656; this model's token ids run from 0 to 6655"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char members[256];
		snprintf(members, sizeof members, "\"logit_bias\":%s", rows[i].value);
		bad(members, rows[i].field, rows[i].message);
	}
	/* Texts count with all of their tokens. */
	for (int n = COMPUTE_MAX_LOGIT_BIAS - 1; n <= COMPUTE_MAX_LOGIT_BIAS + 1; n++) {
		struct strbuf b = {0};
		struct prepare_job job;
		strbuf_add_c(&b, "\"logit_bias\":{\"");
		for (int i = 0; i < n - 1; i++)
			strbuf_add_c(&b, i % 2 ? "1" : "!");
		strbuf_add_c(&b, "\":1,\"5\":1}");
		if (n > COMPUTE_MAX_LOGIT_BIAS) {
			bad(b.ptr, "logit_bias", "it takes up to 1024");
		} else {
			good(b.ptr, &job);
			assert_int_equal(job.request.sampling.n_bias, n);
			prepare_job_free(&job);
		}
		strbuf_free(&b);
	}
}

static void test_ids(void **state)
{
	(void)state;
	struct prepare_job job;
	good("\"min_tokens\":3,\"max_tokens\":3,\"ignore_eos\":true,\"stop_token_ids\":[4,5.0],"
	     "\"allowed_token_ids\":[6],\"include_stop_str_in_output\":true",
	     &job);
	const struct token_rules *rules = &job.request.rules;
	assert_true(rules->min_tokens == 3 && rules->ignore_eos && rules->include_stop);
	assert_true(rules->n_stop_tokens == 2 && rules->stop_tokens[1] == 5);
	assert_true(rules->n_allowed == 1 && rules->allowed[0] == 6);
	prepare_job_free(&job);
	good("\"min_tokens\":null,\"ignore_eos\":false,\"stop_token_ids\":[],\"allowed_token_ids\":null,"
	     "\"bad_words\":[]",
	     &job);
	rules = &job.request.rules;
	assert_true(!rules->min_tokens && !rules->ignore_eos && !rules->n_stop_tokens && !rules->n_allowed &&
		    !rules->n_bad_ids);
	prepare_job_free(&job);
	bad("\"min_tokens\":-1", "min_tokens", "is -1; it takes a whole number from 0 to 2147483647");
	bad("\"min_tokens\":4,\"max_tokens\":3", "min_tokens",
	    "is 4 and max_tokens is 3; the least cannot be more than the most");
	bad("\"ignore_eos\":1", "ignore_eos", "is 1; it takes true or false");
	bad("\"include_stop_str_in_output\":\"x\"", "include_stop_str_in_output", "is the string \"x\"");
	bad("\"stop_token_ids\":5", "stop_token_ids", "is 5; it takes an array of token ids");
	bad("\"stop_token_ids\":[1,\"2\"]", "stop_token_ids[1]", "is the string \"2\"; it takes a token id");
	bad("\"stop_token_ids\":[6656]", "stop_token_ids", "names token 6656");
	bad("\"allowed_token_ids\":[]", "allowed_token_ids", "is an empty array");
	bad("\"allowed_token_ids\":[-1]", "allowed_token_ids[0]", "is -1");
	bad("\"allowed_token_ids\":[6655,6656]", "allowed_token_ids", "names token 6656");
	for (uint32_t n = RULES_MAX_STOP_TOKENS - 1; n <= RULES_MAX_STOP_TOKENS + 1; n++) {
		struct strbuf b = {0};
		strbuf_add_c(&b, "\"stop_token_ids\":[1");
		for (uint32_t i = 1; i < n; i++)
			strbuf_add_c(&b, ",1");
		strbuf_add_c(&b, "]");
		if (n > RULES_MAX_STOP_TOKENS) {
			bad(b.ptr, "stop_token_ids", "has 257 token ids; it takes up to 256");
		} else {
			good(b.ptr, &job);
			assert_int_equal(job.request.rules.n_stop_tokens, n);
			prepare_job_free(&job);
		}
		strbuf_free(&b);
	}
}

static void test_bad_words(void **state)
{
	(void)state;
	struct prepare_job job;
	good("\"bad_words\":[\"x\",\"1!\",\" x\"]", &job);
	const struct token_rules *rules = &job.request.rules;
	/* Each word as it is and behind a blank: sequences whose texts are just these. */
	const char *wanted[] = {"x", " x", "1!", " 1!", "x", " x"};
	uint32_t at = 0;
	for (size_t i = 0; i < 6; i++) {
		struct strbuf b = {0};
		for (; at < rules->n_bad_ids && rules->bad_words[at] != -1; at++) {
			struct str s = tok_bytes(engine_tok(engine), rules->bad_words[at]);
			strbuf_add(&b, s.ptr, s.len);
		}
		at++;
		assert_string_equal(b.ptr, wanted[i]);
		strbuf_free(&b);
	}
	assert_int_equal(at, rules->n_bad_ids);
	prepare_job_free(&job);
	good("\"bad_words\":[\"  \"]", &job); /* blanks alone */
	assert_true(job.request.rules.n_bad_ids > 1);
	prepare_job_free(&job);
	bad("\"bad_words\":\"x\"", "bad_words",
	    "is the string \"x\"; it takes an array of up to 256 strings");
	bad("\"bad_words\":[\"x\",7]", "bad_words[1]", "is 7; it takes a string");
	bad("\"bad_words\":[\"\"]", "bad_words[0]", "has 0 bytes; it takes 1 to 256");
	for (uint32_t n = RULES_MAX_BAD_WORD_BYTES - 1; n <= RULES_MAX_BAD_WORD_BYTES + 1; n++) {
		struct strbuf b = {0};
		strbuf_addf(&b, "\"bad_words\":[\"%0*d\"]", (int)n, 1);
		if (n > RULES_MAX_BAD_WORD_BYTES) {
			bad(b.ptr, "bad_words[0]", "has 257 bytes; it takes 1 to 256");
		} else {
			good(b.ptr, &job);
			prepare_job_free(&job);
		}
		strbuf_free(&b);
	}
	for (uint32_t n = RULES_MAX_BAD_WORDS - 1; n <= RULES_MAX_BAD_WORDS + 1; n++) {
		struct strbuf b = {0};
		strbuf_add_c(&b, "\"bad_words\":[\"x\"");
		for (uint32_t i = 1; i < n; i++)
			strbuf_add_c(&b, ",\"y\"");
		strbuf_add_c(&b, "]");
		if (n > RULES_MAX_BAD_WORDS) {
			bad(b.ptr, "bad_words", "is an array of 257; it takes an array of up to 256 strings");
		} else {
			good(b.ptr, &job);
			prepare_job_free(&job);
		}
		strbuf_free(&b);
	}
}

static void test_dry_breakers(void **state)
{
	(void)state;
	struct prepare_job job;
	good("\"dry_multiplier\":0.8,\"dry_sequence_breakers\":[\"\\n\",\"a\\u0000b\"],\"stop\":\"x\"", &job);
	assert_true(job.request.has_dry_breakers && job.request.n_dry_breakers == 2);
	assert_int_equal(job.request.dry_breakers[1].len, 3); /* it outlives the JSON */
	assert_memory_equal(job.request.dry_breakers[1].ptr, "a\0b", 3);
	prepare_job_free(&job);
	good("\"dry_sequence_breakers\":[]", &job);
	assert_true(job.request.has_dry_breakers && job.request.n_dry_breakers == 0);
	prepare_job_free(&job);
	bad("\"dry_sequence_breakers\":\"x\"", "dry_sequence_breakers",
	    "it takes an array of up to 64 strings");
	bad("\"dry_sequence_breakers\":[\"\"]", "dry_sequence_breakers[0]", "has 0 bytes; it takes 1 to 64");
	bad("\"dry_sequence_breakers\":[\"a\",1]", "dry_sequence_breakers[1]", "is 1; it takes a string");
	for (uint32_t n = DRY_MAX_BREAKER_BYTES - 1; n <= DRY_MAX_BREAKER_BYTES + 1; n++) {
		char members[256];
		snprintf(members, sizeof members, "\"dry_sequence_breakers\":[\"%0*d\"]", (int)n, 1);
		if (n > DRY_MAX_BREAKER_BYTES) {
			bad(members, "dry_sequence_breakers[0]", "has 65 bytes");
		} else {
			good(members, &job);
			prepare_job_free(&job);
		}
	}
	for (uint32_t n = DRY_MAX_BREAKERS - 1; n <= DRY_MAX_BREAKERS + 1; n++) {
		struct strbuf b = {0};
		strbuf_add_c(&b, "\"dry_sequence_breakers\":[\"x\"");
		for (uint32_t i = 1; i < n; i++)
			strbuf_add_c(&b, ",\"y\"");
		strbuf_add_c(&b, "]");
		if (n > DRY_MAX_BREAKERS) {
			bad(b.ptr, "dry_sequence_breakers", "is an array of 65");
		} else {
			good(b.ptr, &job);
			prepare_job_free(&job);
		}
		strbuf_free(&b);
	}
}

/* The order is fixed: it may be said, and no other. */
static void test_order(void **state)
{
	(void)state;
	struct prepare_job job;
	good("\"samplers\":[\"dry\",\"penalties\",\"top_n_sigma\",\"temperature\",\"top_k\",\"typ_p\",\"top_p\","
	     "\"min_p\",\"xtc\"]",
	     &job);
	prepare_job_free(&job);
	bad("\"samplers\":[\"top_k\"]", "samplers",
	    "is an array of 1; the order of the stages is fixed here");
	bad("\"samplers\":\"edskypmxt\"", "samplers", "is the string \"edskypmxt\"; the order");
	bad("\"samplers\":[\"penalties\",\"dry\",\"top_n_sigma\",\"temperature\",\"top_k\",\"typ_p\",\"top_p\","
	    "\"min_p\",\"xtc\"]",
	    "samplers", "is an array of 9");
}

/* A field that is there twice has its last value, and nothing is lost. */
static void test_twice(void **state)
{
	(void)state;
	struct prepare_job job =
		prepared(&request_native, "\"logit_bias\":{\"x\":1,\"5\":1},\"logit_bias\":{\"6\":1},"
					  "\"bad_words\":[\"x\"],\"bad_words\":[\"x\",\"y\"],"
					  "\"stop_token_ids\":[1],\"stop_token_ids\":[2,3]");
	if (job.rc == HOKKU_OK) /* or JSON refuses it */
		assert_true(job.request.sampling.n_bias == 1 && job.request.rules.n_stop_tokens == 2);
	prepare_job_free(&job);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bias_forms), cmocka_unit_test(test_bias_errors),
		cmocka_unit_test(test_ids),        cmocka_unit_test(test_bad_words),
		cmocka_unit_test(test_twice),      cmocka_unit_test(test_dry_breakers),
		cmocka_unit_test(test_order),
	};
	return cmocka_run_group_tests_name("rule_fields", tests, set_up, tear_down);
}
