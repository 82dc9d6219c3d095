/* Walks through shapes: a mask has a token if and only if its bytes may come next; no walk meets a dead end;
 * what is forced is what the masks allow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "constrain/constrain.h"

/* Every byte, then longer ones that lie across what shapes are made of. */
static const char *const more[] = {
	"{\"",
	"\":",
	"\": ",
	"\",\"",
	"\"}",
	"},{",
	"[[",
	"]]",
	"\"\"",
	"ab",
	"abc",
	"abcd",
	"name",
	"\"name",
	"name\":",
	"true",
	"false",
	"null",
	"12",
	"123",
	"0.",
	"e+",
	"-1",
	"\\n",
	"\\u00",
	"\\\"",
	" a",
	"  ",
	"\n\n",
	"\xC3\xA9",
	"\xE3\x81",
	"\x81\x82",
	"\xE3\x81\x82"
	"b",
	"\xF0\x9F\x98\x80",
	"x\"",
	"xyz\",",
	"a}",
	"\"a\":1}",
	"a]b[",
	"b"
	"\xE3",
};
enum { N_MORE = sizeof more / sizeof *more, N_TOKENS = 256 + N_MORE + 2 };
enum { END_1 = 256 + N_MORE, END_2 };

static struct str bytes_of(void *user, uint32_t token)
{
	static char one[1];
	(void)user;
	if (token < 256) {
		one[0] = (char)token;
		return (struct str){one, 1};
	}
	return token < END_1 ? str_c(more[token - 256]) : (struct str){NULL, 0};
}

/* The longest token first, from the left. */
static size_t encode(void *user, struct str text, int32_t *out, size_t max)
{
	size_t n = 0;
	(void)user;
	for (size_t at = 0; at < text.len; n++) {
		size_t best = 1;
		int32_t token = (unsigned char)text.ptr[at];
		for (int32_t i = 0; i < N_MORE; i++) {
			struct str b = str_c(more[i]);
			if (b.len > best && str_starts((struct str){text.ptr + at, text.len - at}, b)) {
				best = b.len;
				token = 256 + i;
			}
		}
		if (n < max)
			out[n] = token;
		at += best;
	}
	return n;
}

static struct constrain_vocab *make_vocab(bool encodes)
{
	static const int32_t ends[] = {END_1, END_2};
	const struct constrain_words words = {.n = N_TOKENS,
					      .bytes = bytes_of,
					      .ends = ends,
					      .n_ends = 2,
					      .encode = encodes ? encode : NULL};
	struct constrain_vocab *v = NULL;
	assert_int_equal(constrain_vocab_new(&words, &v, NULL), HOKKU_OK);
	return v;
}

static uint32_t draw(uint32_t n)
{
	static uint64_t index;
	uint32_t words[4];
	rng_words(7, 1, index++, words);
	return words[0] % n;
}

#define SHAPE(kind, text)                                        \
	{                                                        \
		kind, {text, sizeof text - 1}, CONSTRAIN_COMPACT \
	}
#define SCHEMA(text) SHAPE(CONSTRAIN_JSON_SCHEMA, text)
static const struct constrain_shape shapes[] = {
	{CONSTRAIN_JSON_OBJECT, {NULL, 0}, CONSTRAIN_COMPACT},
	{CONSTRAIN_JSON_OBJECT, {NULL, 0}, CONSTRAIN_FREE},
	SHAPE(CONSTRAIN_CHOICE, "[\"ab\",\"abcx\",\"\xE3\x81\x82\",\"name\"]"),
	SHAPE(CONSTRAIN_REGEX, "(ab|abc)+x?"),
	SHAPE(CONSTRAIN_REGEX, ".*name"),
	SCHEMA("true"),
	SCHEMA("{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":3},"
	       "\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"]}"),
	SCHEMA("{\"type\":\"array\",\"items\":{\"enum\":[1,\"abc\",null,[true]]},\"minItems\":2,\"maxItems\":3}"),
	SCHEMA("{\"type\":\"object\",\"properties\":{\"name\":{\"const\":\"abcd\"},\"abc\":{\"$ref\":\"#\"}},"
	       "\"required\":[\"name\"],\"additionalProperties\":false}"),
	SCHEMA("{\"anyOf\":[{\"type\":\"string\",\"pattern\":\"^a.c$\"},{\"type\":\"number\",\"minimum\":-12,"
	       "\"maximum\":123}]}"),
};

static bool has(const uint32_t *bits, uint32_t token)
{
	return bits[token / 32] >> token % 32 & 1;
}

static void check_mask(struct constrain_walk *w, const uint32_t *bits)
{
	for (uint32_t t = 0; t < N_TOKENS; t++) {
		struct constrain_walk *fork = constrain_fork(w);
		struct str b = bytes_of(NULL, t);
		size_t n;
		bool may = t >= END_1 ? constrain_may_end(w)
				      : constrain_take_bytes(fork, b, &n) == CONSTRAIN_TAKEN;
		if (has(bits, t) != may)
			print_error("token %u \"%.*s\"\n", t, STR_ARG(b));
		assert_int_equal(has(bits, t), may);
		constrain_end(fork);
	}
	for (uint32_t t = N_TOKENS; t % 32; t++)
		assert_false(has(bits, t));
}

static uint32_t pick(const uint32_t *bits)
{
	uint32_t n = 0, which;
	for (uint32_t t = 0; t < N_TOKENS; t++)
		n += has(bits, t);
	assert_true(n > 0); /* no dead end */
	which = draw(n);
	for (uint32_t t = 0;; t++)
		if (has(bits, t) && which-- == 0)
			return t;
}

static struct constrain *compile(struct constrain_vocab *v, const struct constrain_shape *shape)
{
	struct constrain *c = NULL;
	struct hokku_error err;
	enum hokku_code rc = constrain_new(v, shape, NULL, &c, NULL, &err);
	if (rc)
		print_error("%.*s: %s\n", STR_ARG(shape->text), err.message);
	assert_int_equal(rc, HOKKU_OK);
	return c;
}

static void test_masks(void **state)
{
	(void)state;
	struct constrain_vocab *v = make_vocab(false);
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		struct constrain *c = compile(v, &shapes[i]);
		for (unsigned round = 0; round < 4; round++) {
			struct constrain_walk *w = constrain_begin(c);
			uint32_t bits[(N_TOKENS + 31) / 32], token;
			for (unsigned step = 0; step < 25; step++) {
				assert_int_equal(constrain_mask(w, bits), CONSTRAIN_TAKEN);
				check_mask(w, bits);
				token = pick(bits);
				enum constrain_taken taken = constrain_take(w, (int32_t)token);
				assert_int_equal(taken, token >= END_1 ? CONSTRAIN_DONE : CONSTRAIN_TAKEN);
				if (taken == CONSTRAIN_DONE)
					break;
			}
			constrain_end(w);
		}
		struct constrain_stats stats;
		constrain_get_stats(c, &stats);
		assert_true(stats.n_masks > stats.n_cached && stats.bytes > 0);
		constrain_unref(c);
	}
	constrain_vocab_free(v);
}

/* With canonical tokens where one text is forced: the masks have them alone, constrain_forced tells the same
 * ones ahead, a walk that takes the same tokens again meets the same masks. */
static void test_forced(void **state)
{
	(void)state;
	struct constrain_vocab *v = make_vocab(true);
	unsigned n_forced = 0;
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		struct constrain *c = compile(v, &shapes[i]);
		for (unsigned round = 0; round < 6; round++) {
			struct constrain_walk *w = constrain_begin(c), *silent = constrain_begin(c);
			uint32_t bits[(N_TOKENS + 31) / 32];
			int32_t ahead[64];
			size_t n_ahead = 0, at = 0;
			for (unsigned step = 0; step < 40; step++) {
				if (at == n_ahead) {
					n_ahead = constrain_forced(w, ahead, 64);
					at = 0;
				}
				assert_int_equal(constrain_mask(w, bits), CONSTRAIN_TAKEN);
				uint32_t token = pick(bits);
				if (at < n_ahead) {
					n_forced++;
					for (uint32_t t = 0; t < N_TOKENS; t++)
						assert_int_equal(has(bits, t), (int32_t)t == ahead[at]);
					/* Another token with fitting bytes is not the canonical one. */
					uint32_t other = (unsigned char)bytes_of(NULL, token).ptr[0];
					if (other != token)
						assert_int_equal(constrain_take(w, (int32_t)other),
								 CONSTRAIN_REFUSED);
					at++;
				}
				enum constrain_taken taken = constrain_take(w, (int32_t)token);
				assert_int_equal(constrain_take(silent, (int32_t)token), taken);
				if (taken == CONSTRAIN_DONE)
					break;
				assert_int_equal(taken, CONSTRAIN_TAKEN);
			}
			constrain_end(w);
			constrain_end(silent);
		}
		constrain_unref(c);
	}
	assert_true(n_forced > 20);
	constrain_vocab_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_masks), cmocka_unit_test(test_forced)};
	return cmocka_run_group_tests_name("masks", tests, NULL, NULL);
}
