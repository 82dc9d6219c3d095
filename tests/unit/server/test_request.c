/* Bodies of requests: limits at n - 1, n, n + 1, what is kept of a good one, what is said of a wrong one. The
 * rest is in tests/e2e/server_requests.test.mjs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/salts.h"
#include "server/request.h"

static struct gen_request r;
static struct request_error err;

static enum hokku_code parse(const char *text)
{
	return request_parse(str_c(text), &request_native, NULL, &r, &err);
}

static void good(const char *text)
{
	if (parse(text) != HOKKU_OK)
		fail_msg("%s: %s", text, err.error.message);
}

static void bad(const char *text, const char *field, const char *part)
{
	assert_int_equal(parse(text), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.field, field);
	if (!strstr(err.error.message, part))
		fail_msg("%s lacks %s", err.error.message, part);
	request_free(&r);
}

static void test_defaults(void **state)
{
	(void)state;
	struct sampling s;
	sampling_defaults(&s, SAMPLING_OWN, NULL);
	good("{\"prompt\": \"a\\u0000b\"}");
	assert_int_equal(r.prompt.len, 3);
	assert_memory_equal(r.prompt.ptr, "a\0b", 3);
	assert_true(r.stream);
	assert_false(r.has_seed);
	assert_int_equal(r.max_tokens, 0);
	assert_int_equal(r.n_stop, 0);
	assert_string_equal(r.id, "");
	assert_memory_equal(&r.sampling, &s, sizeof s);
	assert_int_equal(r.warnings.len, 0);
	request_free(&r);
}

static void test_everything(void **state)
{
	(void)state;
	good("{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"\"}],"
	     "\"stop\":[\"one\",\"two\"],\"max_tokens\":7.0,\"stream\":false,\"id\":\"i:1\",\"seed\":"
	     "\"18446744073709551615\","
	     "\"temperature\":1,\"top_k\":40,\"top_p\":0.5,\"min_p\":0.25,\"repetition_penalty\":1.5,"
	     "\"frequency_penalty\":-2,\"presence_penalty\":2,\"logit_bias\":{\"0\":1.5,\"2147483647\":-2}}");
	assert_int_equal(r.n_messages, 2);
	assert_true(str_eq_c(r.messages[0].role, "system"));
	assert_int_equal(r.messages[1].content.len, 0);
	assert_int_equal(r.max_tokens, 7);
	assert_false(r.stream);
	assert_string_equal(r.id, "i:1");
	assert_true(r.has_seed && r.sampling.seed == UINT64_MAX);
	assert_int_equal(r.sampling.top_k, 40);
	assert_true(r.sampling.temperature == 1 && r.sampling.top_p == 0.5f && r.sampling.min_p == 0.25f);
	assert_true(r.sampling.repetition_penalty == 1.5f && r.sampling.frequency_penalty == -2);
	assert_true(r.sampling.presence_penalty == 2);
	assert_int_equal(r.sampling.n_bias, 2);
	assert_int_equal(r.sampling.bias[1].token, INT32_MAX);
	assert_true(r.sampling.bias[1].bias == -2);
	/* The large parts go, the rest stays. */
	assert_true(request_drop_prompt(&r));
	assert_null(r.json.arena.first);
	assert_int_equal(r.n_stop, 2);
	assert_true(str_eq_c(r.stop[0], "one") && str_eq_c(r.stop[1], "two"));
	assert_ptr_equal(r.stop[0].ptr, r.stop_bytes);
	assert_ptr_equal(r.stop[1].ptr, r.stop_bytes + 3);
	request_free(&r);
}

/* {"prompt":"a","FIELD":VALUE} */
static const char *with(const char *field, const char *value)
{
	static char text[4096];
	snprintf(text, sizeof text, "{\"prompt\":\"a\",\"%s\":%s}", field, value);
	return text;
}

/* A whole number is one by its digits, however it is written; what a double would only round to one is told
 * as it is. */
static void test_whole(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint32_t value;
	} rows[] = {
		{"7", 7},
		{"7.0", 7},
		{"7e0", 7},
		{"70E-1", 7},
		{"0.07e2", 7},
		{"700.00e-2", 7},
		{"0e400", 0},
		{"-0", 0},
		{"0.0", 0},
		{"-0e-9", 0},
		{"214748364.7e1", 2147483647},
	};
	static const char *const none[] = {
		"1e-400",
		"7.00000000000000000000000001",
		"6.99999999999999999999999999",
		"1e400",
		"0.5",
		"7e-1",
		"77e-1",
		"1e99999999999999999999",
		"1e-99999999999999999999",
		"99999999999999999999",
		"2147483647.5",
		"-1e0",
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		good(with("top_k", rows[i].text));
		assert_int_equal(r.sampling.top_k, rows[i].value);
		request_free(&r);
	}
	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		char told[96];
		snprintf(told, sizeof told, "top_k is %s; it takes a whole number", none[i]);
		bad(with("top_k", none[i]), "top_k", told);
	}
}

static void test_ranges(void **state)
{
	(void)state;
	static const struct {
		const char *field, *low, *lowest, *highest, *high;
	} rows[] = {
		{"temperature", "-1e-9", "0", "100", "100.001"},
		{"top_k", "-1", "0", "2147483647", "2147483648"},
		{"top_p", "0", "1e-30", "1", "1.0000001"},
		{"min_p", "-1e-300", "0", "1", "1.0000001"},
		{"repetition_penalty", "0", "1e-30", "10", "10.00001"},
		{"frequency_penalty", "-2.00001", "-2", "2", "2.00001"},
		{"presence_penalty", "-2.00001", "-2", "2", "2.00001"},
		{"max_tokens", "0", "1", "2147483647", "2147483648"},
		{"seed", "-1", "0", "9223372036854775807", "\"18446744073709551616\""},
		{"n", "0", "1", "128", "129"},
		{"logprobs\":true,\"top_logprobs", "-1", "0", "20", "21"},
		{"prompt_logprobs", "-1", "0", "20", "21"},
		{"priority", "-1", "0", "3", "4"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *quote = strrchr(rows[i].field, '"'), *field = quote ? quote + 1 : rows[i].field;
		bad(with(rows[i].field, rows[i].low), field, rows[i].low[0] == '-' ? "-" : "0");
		good(with(rows[i].field, rows[i].lowest));
		request_free(&r);
		good(with(rows[i].field, rows[i].highest));
		request_free(&r);
		bad(with(rows[i].field, rows[i].high), field, "takes");
		bad(with(rows[i].field, "{}"), field, "an object");
	}
	bad(with("top_logprobs", "1"), "top_logprobs", "goes with \"logprobs\": true");
	bad(with("logprobs", "5"), "logprobs", "is 5; it takes true or false");
	bad(with("prompt_logprobs", "true"), "prompt_logprobs",
	    "is true; it takes a whole number from 0 to 20");
	good(with("prompt_logprobs", "0")); /* which is not the same as none */
	assert_true(r.prompt_logprobs && r.n_prompt_top == 0 && !r.logprobs);
	request_free(&r);
	good(with("prompt_logprobs", "1"));
	r.stream = false;
	for (uint32_t n = REQUEST_MAX_PROMPT_LOGPROBS / 2 - 1; n <= REQUEST_MAX_PROMPT_LOGPROBS / 2 + 1; n++)
		assert_int_equal(request_check_prompt_logprobs(&r, n, &err),
				 n > REQUEST_MAX_PROMPT_LOGPROBS / 2 ? HOKKU_INVALID_REQUEST : HOKKU_OK);
	assert_string_equal(err.field, "prompt_logprobs");
	assert_string_equal(err.error.message,
			    "prompt_logprobs is 1: of the prompt's 262,145 tokens that is 524,290 log "
			    "probabilities, and an answer in one piece has 524,288 at most; ask for fewer or "
			    "stream it (\"stream\": true)");
	r.stream = true;
	assert_int_equal(request_check_prompt_logprobs(&r, 1 << 24, &err), HOKKU_OK);
	request_free(&r);
	good(with("prompt_logprobs", "null"));
	assert_false(r.prompt_logprobs);
	request_free(&r);
	good(with("seed", "\"5\""));
	assert_true(r.has_seed && r.sampling.seed == 5);
	request_free(&r);
	good(with("seed", "\"00000000000000000007\"")); /* 20 digits */
	assert_true(r.sampling.seed == 7);
	request_free(&r);
	bad(with("seed", "\"000000000000000000007\""), "seed", "takes");
	/* A prompt under another name. */
	bad("{\"Prompt\":\"a\"}", "prompt",
	    "is missing; the request has \"Prompt\": did you mean \"prompt\"?");
	bad("{\"x\":1,\"message\":[],\"promt\":\"a\"}", "prompt",
	    "has \"message\": did you mean \"messages\"?");
	bad("{\"input\":\"a\"}", "prompt", "is missing: give prompt");
	/* Token ids: 0 is one. What the model has is asked later. */
	good("{\"prompt\":[0,2147483647,0]}");
	assert_int_equal(r.n_tokens, 3);
	assert_int_equal(r.tokens[0], 0);
	assert_int_equal(r.tokens[1], INT32_MAX);
	request_free(&r);
	bad("{\"prompt\":[0,-1]}", "prompt[1]", "is -1; it takes a token id");
	bad("{\"prompt\":[2147483648]}", "prompt[0]", "is 2147483648; it takes a token id");
	bad(with("top_p", "1e-60"), "top_p", "above 0"); /* nothing of it is left in a float */
	bad(with("seed", "1e300"), "seed", "1e300");
	/* What no double and no integer holds is told of its field; where nobody reads it, it does not
	 * matter. */
	bad(with("max_tokens", "1e400"), "max_tokens", "is 1e400; it takes");
	bad(with("temperature", "-1e400"), "temperature", "is -1e400; it takes");
	bad(with("top_k", "1000000000000000019884624838656"), "top_k", "is 1000000000000000019884624838656;");
	bad(with("seed", "18446744073709551615"), "seed", "is 18446744073709551615; it takes");
	good(with("elsewhere", "[1000000000000000019884624838656, 1e400]"));
	request_free(&r);
	bad(with("temperature", "NaN"), "", "line 1 column 29: NaN is no number of JSON's");
}

static void test_lengths(void **state)
{
	(void)state;
	char text[2048], value[1024];
	for (int n = REQUEST_MAX_ID_BYTES - 1; n <= REQUEST_MAX_ID_BYTES + 1; n++) {
		snprintf(value, sizeof value, "\"%0*d\"", n, 1);
		if (n <= REQUEST_MAX_ID_BYTES) {
			good(with("id", value));
			assert_int_equal(strlen(r.id), n);
			request_free(&r);
		} else {
			bad(with("id", value), "id", "1 to 64");
		}
	}
	for (int n = SALTS_MAX_BYTES - 1; n <= SALTS_MAX_BYTES + 1; n++) {
		snprintf(value, sizeof value, "\"%0*d\"", n, 1);
		if (n <= SALTS_MAX_BYTES) {
			good(with("cache_salt", value));
			assert_int_equal(r.cache_salt.len, n);
			assert_true(request_drop_prompt(&r)); /* it outlives the JSON */
			assert_int_equal(r.cache_salt.ptr[n - 1], '1');
			request_free(&r);
		} else {
			bad(with("cache_salt", value), "cache_salt", "has 257 bytes; it takes 1 to 256");
		}
	}
	bad(with("cache_salt", "\"\""), "cache_salt", "has 0 bytes; it takes 1 to 256");
	bad(with("cache_salt", "7"), "cache_salt", "is 7; it takes a string");
	good(with("cache_salt", "\"a\\u0000b\""));
	assert_int_equal(r.cache_salt.len, 3);
	request_free(&r);
	good(with("cache_debug", "true"));
	assert_true(r.cache_debug);
	request_free(&r);
	bad(with("cache_debug", "1"), "cache_debug", "is 1; it takes true or false");
	good(with("cache_salt", "null"));
	assert_int_equal(r.cache_salt.len, 0);
	request_free(&r);
	for (int n = ENGINE_MAX_STOP_BYTES - 1; n <= ENGINE_MAX_STOP_BYTES + 1; n++) {
		snprintf(value, sizeof value, "\"%0*d\"", n, 1);
		if (n <= ENGINE_MAX_STOP_BYTES) {
			good(with("stop", value));
			request_free(&r);
		} else {
			bad(with("stop", value), "stop", "513 bytes");
		}
	}
	for (int n = ENGINE_MAX_STOP - 1; n <= ENGINE_MAX_STOP + 1; n++) {
		size_t at = (size_t)snprintf(text, sizeof text, "{\"prompt\":\"a\",\"stop\":[");
		for (int i = 0; i < n; i++)
			at += (size_t)snprintf(text + at, sizeof text - at, "%s\"x\"", i ? "," : "");
		snprintf(text + at, sizeof text - at, "]}");
		if (n <= ENGINE_MAX_STOP) {
			good(text);
			assert_int_equal(r.n_stop, n);
			request_free(&r);
		} else {
			bad(text, "stop", "17 strings");
		}
	}
}

static void many_biases(int n, struct strbuf *b)
{
	strbuf_clear(b);
	strbuf_add_c(b, "{\"prompt\":\"a\",\"logit_bias\":{");
	for (int i = 0; i < n; i++)
		strbuf_addf(b, "%s\"%d\":1", i ? "," : "", i);
	strbuf_add_c(b, "}}");
}

/* n values in arrays of the prompt, each in an array of its own if nested */
static void many_values(size_t n, bool nested, struct strbuf *b)
{
	strbuf_clear(b);
	strbuf_add_c(b, "{\"x\":[");
	for (size_t i = 0; i < n; i++)
		strbuf_add_c(b, nested ? (i ? ",[]" : "[]") : (i ? ",1" : "1"));
	strbuf_add_c(b, "],\"prompt\":\"a,[{\\\"[{\"}");
}

static void test_counts(void **state)
{
	(void)state;
	struct strbuf b = {0};
	for (int n = COMPUTE_MAX_LOGIT_BIAS - 1; n <= COMPUTE_MAX_LOGIT_BIAS + 1; n++) {
		many_biases(n, &b);
		if (n <= COMPUTE_MAX_LOGIT_BIAS) {
			good(b.ptr);
			assert_int_equal(r.sampling.n_bias, n);
			request_free(&r);
		} else {
			bad(b.ptr, "logit_bias", "1025 entries");
		}
	}
	/* The object itself, and the array x, are two. */
	many_values(REQUEST_MAX_CONTAINERS - 2, true, &b);
	good(b.ptr);
	request_free(&r);
	many_values(REQUEST_MAX_CONTAINERS - 1, true, &b);
	bad(b.ptr, "", "20001 objects and arrays");
	/* The comma before "prompt" makes one more. */
	many_values(REQUEST_MAX_ELEMENTS - 1, false, &b);
	good(b.ptr);
	request_free(&r);
	many_values(REQUEST_MAX_ELEMENTS, false, &b);
	bad(b.ptr, "", "2097153 values");
	strbuf_free(&b);
}

static void test_wrong_json(void **state)
{
	(void)state;
	bad("", "", "empty");
	bad("{\"prompt\":\n\n  tru}", "", "line 3 column 3");
	bad("null", "", "the body is null");
	bad("7", "", "the body is 7");
	bad("{\"prompt\":\"a\",\"prompt\":\"b\"}", "", "line 1 column");
	bad("{\"prompt\":\"\xff\"}", "", "line 1 column");
	bad("{\"prompt\":\"\\ud800\"}", "", "line 1 column");
	bad("{\"prompt\":\"a\"}}", "", "line 1 column");
	bad("{\"prompt\":\"a\", \"seed\": 18446744073709551615}", "seed", "as a string");
	good("\xEF\xBB\xBF{\"prompt\":\"a\"}"); /* a byte order mark */
	request_free(&r);
	bad("\xEF\xBB\xBF", "", "a value is wanted");
	bad("\xEF\xBB\xBF\xEF\xBB\xBF{\"prompt\":\"a\"}", "", "line 1 column 1: a value is wanted");
	bad("{\"prompt\":\"a\",\"promp\\u0000t\":1,\"prompt\":2}", "", "duplicate key \"prompt\"");
	good("{\"prompt\":\"a\",\"prompt\\u0000\":1}"); /* another key, which is unknown */
	assert_non_null(strstr(r.warnings.ptr, "\\\"prompt\\\\x00\\\" is no field"));
	request_free(&r);
	bad("{\"messages\":[{\"role\":\"user\",\"content\":\"\"}],\"prompt\":[1]}", "prompt", "both");
	bad("{\"messages\":{}}", "messages", "an object");
	bad("{\"prompt\":\"a\",\"logit_bias\":{\"007\":1}}", "logit_bias", "\"007\"");
	bad("{\"prompt\":\"a\",\"logit_bias\":{\"99999999999\":1}}", "logit_bias", "99999999999");
}

static void test_warnings(void **state)
{
	(void)state;
	good("{\"prompt\":\"a\",\"Temperature\":5,\"zzzzzzzzzzzz\":1,\"q\\\"\\n\":2}");
	assert_non_null(strstr(r.warnings.ptr, "did you mean \\\"temperature\\\""));
	assert_non_null(
		strstr(r.warnings.ptr, "zzzzzzzzzzzz\\\" is no field of the request and was ignored\""));
	assert_null(strchr(r.warnings.ptr, '\n'));
	request_free(&r);
	/* Of a message too: what it must have is not warned of. */
	good("{\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"contents\":\"b\"}]}");
	assert_string_equal(r.warnings.ptr, "\"\\\"contents\\\" is no field of a message and was ignored; "
					    "did you mean \\\"content\\\"?\"");
	request_free(&r);
	good("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"content\":\"a\",\"role\":\"user\"}]}");
	assert_int_equal(r.warnings.len, 0);
	request_free(&r);
	/* Each by its name up to the limit, of which the last says that there are more. */
	for (int n = REQUEST_MAX_WARNINGS - 1; n <= REQUEST_MAX_WARNINGS + 1; n++) {
		struct strbuf b = {0};
		size_t n_told = 1;
		strbuf_add_c(&b, "{\"prompt\":\"a\"");
		for (int i = 0; i < n; i++)
			strbuf_addf(&b, ",\"unknown %d\":1", i);
		strbuf_add_c(&b, "}");
		good(b.ptr);
		for (const char *at = r.warnings.ptr; (at = strstr(at, "\",\"")); at++)
			n_told++;
		assert_int_equal(n_told, n < REQUEST_MAX_WARNINGS ? n : REQUEST_MAX_WARNINGS);
		assert_int_equal(strstr(r.warnings.ptr, "there are more unknown fields") != NULL,
				 n >= REQUEST_MAX_WARNINGS);
		request_free(&r);
		strbuf_free(&b);
	}
}

static void test_cancel(void **state)
{
	(void)state;
	char id[REQUEST_MAX_ID_BYTES + 1];
	struct strbuf warnings = {0};
	assert_int_equal(request_parse_cancel(str_c("{\"id\":\"a-b\",\"idd\":1}"), id, &warnings, &err),
			 HOKKU_OK);
	assert_string_equal(id, "a-b");
	assert_non_null(strstr(warnings.ptr, "did you mean \\\"id\\\""));
	strbuf_free(&warnings);
	static const char *const wrong[] = {
		"", "{}", "{\"id\":null}", "{\"id\":7}", "{\"id\":\"\"}", "[]", "{\"id\":\"\\u0000\"}"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_int_equal(request_parse_cancel(str_c(wrong[i]), id, &warnings, &err),
				 HOKKU_INVALID_REQUEST);
		strbuf_free(&warnings);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),   cmocka_unit_test(test_everything),
		cmocka_unit_test(test_whole),      cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_lengths),    cmocka_unit_test(test_counts),
		cmocka_unit_test(test_wrong_json), cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_cancel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
