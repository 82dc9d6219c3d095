/* Walks and masks: each mask against what every token's bytes do, shapes of every kind. */
#include "constrain/walk_try.h"

static const char *const texts[] = {"a",        "ab",    "abc",      "b",         "ba",
				    "{\"",      "\":",   "\",\"",    "\"}",       "{\"a\":",
				    "true",     "tr",    "ue",       "null",      "nu",
				    "12",       "123",   "1.",       "e5",        "\xc3",
				    "\xc3\xa9", "\xa9x", "\xe2\x82", "\xac",      "x\xe2",
				    " ",        "  ",    "\n",       "\\u",       "\\n",
				    "\\\"",     "00",    "a\"",      "aa",        "aaaa",
				    "aaaaaaaa", "bb",    "},{",      "]",         "],[",
				    "}}",       "\"a\"", "prefix_",  "abcabcabc", "\xf0\x9f\x98\x80",
				    "\xf0\x9f", NULL};

struct sample {
	enum constrain_kind kind;
	const char *text;
};

static const struct sample samples[] = {
	{CONSTRAIN_CHOICE, "[\"abc\",\"abd\",\"b\",\"prefix_1\",\"prefix_2\"]"},
	{CONSTRAIN_CHOICE, "[\"a\",\"a\"]"},
	{CONSTRAIN_CHOICE, "[\"\",\"a\"]"},
	{CONSTRAIN_CHOICE, "[\"\\u00e9\",\"\\u20ac\",\"\\ud83d\\ude00\"]"},
	{CONSTRAIN_REGEX, "(a|ab)*c?"},
	{CONSTRAIN_REGEX, "a{3,10}b"},
	{CONSTRAIN_REGEX, "[ab]{2,20}"},
	{CONSTRAIN_REGEX, "(abc)+|b*"},
	{CONSTRAIN_REGEX, ".{0,5}"},
	{CONSTRAIN_JSON_OBJECT, ""},
	{CONSTRAIN_JSON_SCHEMA, "{\"type\":\"string\"}"},
	{CONSTRAIN_JSON_SCHEMA, "{\"type\":\"string\",\"maxLength\":5}"},
	{CONSTRAIN_JSON_SCHEMA, "{\"type\":\"string\",\"minLength\":3,\"maxLength\":40}"},
	{CONSTRAIN_JSON_SCHEMA, "{\"type\":\"string\",\"pattern\":\"^[a-c]{1,12}$\"}"},
	{CONSTRAIN_JSON_SCHEMA, "{\"type\":\"string\",\"pattern\":\"b\"}"},
	{CONSTRAIN_JSON_SCHEMA, "{\"type\":\"number\"}"},
	{CONSTRAIN_JSON_SCHEMA, "{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}"},
	{CONSTRAIN_JSON_SCHEMA, "{\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"enum\":[1,12,\"a\"]}},"
				"\"required\":[\"b\"],\"additionalProperties\":false}"},
	{CONSTRAIN_JSON_SCHEMA, "{}"},
	{CONSTRAIN_JSON_SCHEMA,
	 "{\"$defs\":{\"t\":{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/t\"}},"
	 "\"additionalProperties\":false}},\"$ref\":\"#/$defs/t\"}"},
};

static void masks_are_what_the_bytes_do(void **state)
{
	(void)state;
	struct try_words *words = try_words_new(texts);
	struct constrain_vocab *v = try_vocab(words, false);
	for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
		struct constrain *c = try_shape(v, samples[i].kind, samples[i].text);
		for (uint32_t seed = 0; seed < 4; seed++)
			try_random_walk(c, words, seed, 30);
		constrain_unref(c);
	}
	constrain_vocab_free(v);
	try_words_free(words);
}

static bool accepts(struct constrain *c, const char *text, size_t *n)
{
	struct constrain_walk *w = constrain_begin(c);
	size_t n_taken;
	constrain_take_bytes(w, str_c(text), &n_taken);
	bool all = n_taken == strlen(text) && constrain_may_end(w);
	if (n)
		*n = n_taken;
	constrain_end(w);
	return all;
}

static void choices(void **state)
{
	(void)state;
	static const struct {
		const char *list, *place, *message;
	} bad[] = {
		{"{}", "", "the choices are an object: an array of strings is wanted"},
		{"[]", "", "there are no choices: an array of at least one string is wanted"},
		{"[\"a\",1]", "[1]", "[1]: this choice is a number: a string is wanted"},
		{"[\"a\"", "", "the list of choices is no JSON: "},
		{"[\"a\",\"\\u00ff\"", "", "the list of choices is no JSON: "},
	};
	struct try_words *words = try_words_new(texts);
	struct constrain_vocab *v = try_vocab(words, false);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct constrain *c = NULL;
		struct constrain_fault fault;
		struct hokku_error err;
		const struct constrain_shape shape = {.kind = CONSTRAIN_CHOICE, .text = str_c(bad[i].list)};
		assert_int_equal(constrain_new(v, &shape, NULL, &c, &fault, &err), HOKKU_INVALID_REQUEST);
		assert_string_equal(fault.place, bad[i].place);
		if (strncmp(err.message, bad[i].message, strlen(bad[i].message)) != 0)
			fail_msg("%s", err.message);
	}
	struct constrain *c = try_shape(v, CONSTRAIN_CHOICE, "[\"yes\",\"no\",\"\",\"yes\"]");
	size_t n;
	assert_true(accepts(c, "yes", NULL) && accepts(c, "no", NULL) && accepts(c, "", NULL));
	assert_false(accepts(c, "yess", &n));
	assert_int_equal(n, 3);
	assert_false(accepts(c, "ye", &n));
	assert_int_equal(n, 2);
	constrain_unref(c);
	constrain_vocab_free(v);
	try_words_free(words);
}

/* Takes `text` in canonical tokens, checks that each mask on the way is one bit where forced. */
static void forced_texts_are_canonical(void **state)
{
	(void)state;
	struct try_words *words = try_words_new(texts);
	struct constrain_vocab *v = try_vocab(words, true);
	/* One text: all its tokens, then the end alone. */
	struct constrain *c = try_shape(v, CONSTRAIN_CHOICE, "[\"abcabx\"]");
	struct constrain_walk *w = constrain_begin(c);
	int32_t forced[8], expected[8];
	uint32_t bits[TRY_MAX / 32 + 1];
	assert_int_equal(try_encode(words, STR_LIT("abcabx"), expected, 8), 3);
	assert_int_equal(constrain_forced(w, forced, 8), 3);
	assert_memory_equal(forced, expected, 3 * sizeof *forced);
	assert_int_equal(constrain_forced(w, forced, 2), 2);
	assert_int_equal(constrain_take(w, (int32_t)('a' + TRY_FIRST)), CONSTRAIN_REFUSED);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(constrain_mask(w, bits), CONSTRAIN_TAKEN);
		for (uint32_t k = 0; k < words->n; k++)
			assert_int_equal(try_bit(bits, k), k == (uint32_t)expected[i]);
		assert_int_equal(constrain_take(w, TRY_END), CONSTRAIN_REFUSED);
		assert_int_equal(constrain_take(w, expected[i]), CONSTRAIN_TAKEN);
	}
	assert_int_equal(constrain_mask(w, bits), CONSTRAIN_TAKEN);
	for (uint32_t k = 0; k < words->n; k++)
		assert_int_equal(try_bit(bits, k), k == TRY_END);
	assert_int_equal(constrain_take(w, TRY_END), CONSTRAIN_DONE);
	assert_int_equal(constrain_take(w, TRY_END), CONSTRAIN_REFUSED);
	constrain_end(w);
	constrain_unref(c);

	/* What follows may merge with the last one: that is free. */
	c = try_shape(v, CONSTRAIN_CHOICE, "[\"abcaba\",\"abcabb\"]");
	w = constrain_begin(c);
	assert_int_equal(constrain_forced(w, forced, 8), 1); /* abc, of abc and ab */
	assert_int_equal(constrain_take(w, forced[0]), CONSTRAIN_TAKEN);
	assert_int_equal(constrain_forced(w, forced, 8), 0);
	assert_true(try_mask(w, words) > 1); /* a, ab, and such */
	constrain_end(w);
	constrain_unref(c);
	constrain_vocab_free(v);
	try_words_free(words);
}

static void a_byte_without_a_token_is_never_wanted(void **state)
{
	(void)state;
	struct try_words *words = calloc(1, sizeof *words);
	words->n = TRY_FIRST;
	for (const char *c = "ab\"dx"; *c; c++)
		try_add(words, c, 1);
	try_add(words, "ac", 2); /* c stands in a token, but not by itself */
	try_add(words, "bc", 2);
	struct constrain_vocab *v = try_vocab(words, false);
	struct constrain *c = try_shape(v, CONSTRAIN_CHOICE, "[\"abd\",\"acd\",\"bdc\"]");
	uint32_t bits[TRY_MAX / 32 + 1];
	struct constrain_walk *w = constrain_begin(c);
	assert_int_equal(constrain_mask(w, bits), CONSTRAIN_TAKEN);
	assert_true(try_bit(bits, 1));  /* a: abd is left */
	assert_false(try_bit(bits, 2)); /* b: bdc would want a c */
	constrain_end(w);
	constrain_unref(c);
	const struct constrain_shape shape = {.kind = CONSTRAIN_CHOICE, .text = STR_LIT("[\"c\",\"ddc\"]")};
	struct hokku_error err;
	assert_int_equal(constrain_new(v, &shape, NULL, &c, NULL, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message, "no text at all has this shape");
	constrain_vocab_free(v);
	try_words_free(words);
}

/* A shape in little memory forgets and makes again: the same masks as with much. */
static void little_memory_gives_the_same_masks(void **state)
{
	(void)state;
	struct try_words *words = try_words_new(texts);
	struct constrain_vocab *v = try_vocab(words, false);
	const struct constrain_shape shape = {
		.kind = CONSTRAIN_JSON_SCHEMA,
		.text = STR_LIT("{\"type\":\"string\",\"pattern\":\"^([a-z ]{3,7}[0-9]?)*$\","
				"\"maxLength\":9000}")};
	struct constrain *much, *little = NULL;
	assert_int_equal(constrain_new(v, &shape, NULL, &much, NULL, NULL), HOKKU_OK);
	struct constrain_limits limits = {.bytes = 1 << 18};
	while (constrain_new(v, &shape, &limits, &little, NULL, NULL) != HOKKU_OK)
		limits.bytes += 1 << 16;
	struct constrain_stats stats;
	struct constrain_walk *w = constrain_begin(much), *x = constrain_begin(little), *aside = NULL;
	uint32_t bits[2][TRY_MAX / 32 + 1], draw[4];
	assert_int_equal(constrain_take(w, '"' + TRY_FIRST), CONSTRAIN_TAKEN);
	assert_int_equal(constrain_take(x, '"' + TRY_FIRST), CONSTRAIN_TAKEN);
	for (uint32_t i = 0; i < 900; i++) {
		memset(bits, 0, sizeof bits);
		assert_int_equal(constrain_mask(w, bits[0]), CONSTRAIN_TAKEN);
		assert_int_equal(constrain_mask(x, bits[1]), CONSTRAIN_TAKEN);
		assert_memory_equal(bits[0], bits[1], sizeof bits[0]);
		uint32_t token, n_tries = 0;
		do {
			rng_words(n_tries++, RNG_STREAM_TEST, i, draw);
			token = draw[0] % words->n;
		} while (!try_bit(bits[0], token) || token == TRY_END ||
			 memchr(words->word[token].ptr, '"', words->word[token].len));
		assert_int_equal(constrain_take(w, (int32_t)token), CONSTRAIN_TAKEN);
		assert_int_equal(constrain_take(x, (int32_t)token), CONSTRAIN_TAKEN);
		if (i == 300)
			aside = constrain_fork(x); /* stands still while others make it forget */
	}
	constrain_get_stats(little, &stats);
	assert_true(stats.bytes <= limits.bytes + (1 << 18));
	constrain_get_stats(much, &stats);
	assert_true(stats.bytes > 2 * limits.bytes);
	assert_true(try_mask(aside, words) > 0);
	constrain_end(aside);
	constrain_end(w);
	constrain_end(x);
	constrain_unref(much);
	constrain_unref(little);
	constrain_vocab_free(v);
	try_words_free(words);
}

/* What one walk cannot do within the work of a mask ends that walk, not the shape. */
static void spent_walks_leave_the_shape(void **state)
{
	(void)state;
	struct try_words *words = try_words_new(texts);
	struct constrain_vocab *v = try_vocab(words, false);
	const struct constrain_shape shape = {.kind = CONSTRAIN_REGEX,
					      .text = STR_LIT("a|b(a|b)*a(a|b){500}x")};
	struct constrain *c = NULL;
	uint32_t bits[TRY_MAX / 32 + 1];
	size_t n;
	const struct constrain_limits limits = {.mask_work = 150};
	assert_int_equal(constrain_new(v, &shape, &limits, &c, NULL, NULL), HOKKU_OK);
	for (int i = 0; i < 3; i++) {
		struct constrain_walk *w = constrain_begin(c), *good = constrain_begin(c);
		bool spent = constrain_take_bytes(w, STR_LIT("babbabaabbbabaababababbaabbba"), &n) ==
			     CONSTRAIN_SPENT;
		for (int k = 0; k < 40 && !spent; k++)
			spent = constrain_mask(w, bits) == CONSTRAIN_SPENT ||
				constrain_take_bytes(w, STR_LIT("ab"), &n) == CONSTRAIN_SPENT;
		assert_true(spent);
		assert_int_equal(constrain_mask(w, bits), CONSTRAIN_SPENT); /* and stays so */
		assert_int_equal(constrain_take(w, 'a' + TRY_FIRST), CONSTRAIN_SPENT);
		assert_int_equal(constrain_forced(w, (int32_t[4]){0}, 4), 0);
		assert_false(constrain_may_end(w));
		assert_int_equal(constrain_take(good, 'a' + TRY_FIRST), CONSTRAIN_TAKEN);
		assert_true(constrain_may_end(good));
		constrain_end(w);
		constrain_end(good);
	}
	constrain_unref(c);
	constrain_vocab_free(v);
	try_words_free(words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(masks_are_what_the_bytes_do),
		cmocka_unit_test(choices),
		cmocka_unit_test(forced_texts_are_canonical),
		cmocka_unit_test(a_byte_without_a_token_is_never_wanted),
		cmocka_unit_test(little_memory_gives_the_same_masks),
		cmocka_unit_test(spent_walks_leave_the_shape),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
