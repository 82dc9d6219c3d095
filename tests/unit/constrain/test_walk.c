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
	/* names that may not come twice */
	{CONSTRAIN_JSON_SCHEMA,
	 "{\"type\":\"object\",\"minProperties\":4,\"additionalProperties\":{\"type\":\"null\"}}"},
	{CONSTRAIN_JSON_SCHEMA,
	 "{\"type\":\"object\",\"minProperties\":3,\"maxProperties\":3,\"patternProperties\":{"
	 "\"^[ab]+$\":{\"enum\":[12]}},\"additionalProperties\":false}"},
	{CONSTRAIN_JSON_SCHEMA,
	 "{\"items\":{\"type\":\"object\",\"properties\":{\"a\":{}},\"minProperties\":2}}"},
	{CONSTRAIN_JSON_SCHEMA,
	 "{\"type\":\"object\",\"not\":{\"additionalProperties\":{\"type\":\"null\"}}}"},
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

/* Where properties are counted, a name comes once in an object, however it is written. */
static void names_come_once(void **state)
{
	(void)state;
	static const char counts[] = "{\"type\":\"object\",\"minProperties\":2,\"properties\":{\"q\":{}}}";
	static const struct {
		const char *text;
		size_t n_taken; /* 0: all of it, and it may end */
	} rows[] = {
		{"{\"a\":1,\"b\":1}", 0},
		{"{\"q\":1,\"a\":1}", 0},
		{"{\"a\":1,\"a\":1}", 9},
		{"{\"a\":1,\"aa\":1,\"\":1}", 0},
		{"{\"\":1,\"\":1}", 7},
		{"{\"a\":1,\"\\u0061\":1}", 14},
		{"{\"\\u0061\":1,\"b\":1,\"a\":1}", 20},
		{"{\"/\":1,\"\\/\":1}", 10},
		{"{\"\\n\":1,\"\\u000A\":1}", 15},
		{"{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":1}", 23},
		{"{\"\xc3\xa9\":1,\"\\u00e9\":1}", 15},
		{"{\"\xe2\x82\xac\":1,\"\\u20AC\":1}", 16},
		{"{\"a\":\"a\",\"b\":\"a\"}", 0}, /* values are no names */
		{"{\"a\":\"\\\"\",\"b\":\"\\\",\\\"a\"}", 0},
		{"{\"a\":[\"a\",\"a\",{\"a\":1,\"b\":{\"a\":1}}],\"b\":{\"a\":1}}", 0},
		{"{\"a\":[{\"b\":1},{\"b\":1}],\"b\":1}", 0},
		{"{\"a\":{\"b\":[],\"c\":[1],\"b\":1}}", 23}, /* in any object */
		{"{\"a\":{\"b\":{}},\"a\":1}", 16},
	};
	struct try_words *words = try_words_new(texts);
	struct constrain_vocab *v = try_vocab(words, true);
	struct constrain *c = try_shape(v, CONSTRAIN_JSON_SCHEMA, counts), *free_one;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t n, wanted = rows[i].n_taken ? rows[i].n_taken : strlen(rows[i].text);
		if (accepts(c, rows[i].text, &n) != !rows[i].n_taken || n != wanted)
			fail_msg("%s: %zu bytes are taken, not %zu", rows[i].text, n, wanted);
	}
	/* A fork has names of its own; a token that is refused leaves none behind. */
	struct constrain_walk *w = constrain_begin(c);
	size_t n;
	uint64_t bytes[4];
	assert_int_equal(constrain_take_bytes(w, STR_LIT("{\"a\":1,\""), &n), CONSTRAIN_TAKEN);
	struct constrain_walk *f = constrain_fork(w);
	assert_int_equal(constrain_take_bytes(f, STR_LIT("b\":1,\"c\":{\"b\":1},\""), &n), CONSTRAIN_TAKEN);
	for (int32_t t = TRY_FIRST; t < (int32_t)words->n; t++)
		if (str_eq_c(words->word[t], "a\"")) {
			assert_int_equal(constrain_take(w, t), CONSTRAIN_REFUSED);
			assert_int_equal(constrain_take(f, t), CONSTRAIN_REFUSED);
		}
	assert_int_equal(constrain_take_bytes(f, STR_LIT("b\""), &n), CONSTRAIN_REFUSED);
	constrain_next_bytes(f, bytes);
	assert_false(bytes[0] >> '"' & 1);
	assert_int_equal(constrain_take_bytes(w, STR_LIT("b"), &n), CONSTRAIN_TAKEN);
	constrain_next_bytes(w, bytes);
	assert_true(bytes[0] >> '"' & 1);
	assert_int_equal(constrain_take_bytes(w, STR_LIT("\":1}"), &n), CONSTRAIN_TAKEN);
	constrain_end(w);
	constrain_end(f);
	/* Where nothing counts, the last one of a name is its value, as everywhere. */
	free_one = try_shape(v, CONSTRAIN_JSON_SCHEMA, "{\"type\":\"object\",\"minProperties\":1}");
	assert_true(accepts(free_one, "{\"a\":1,\"a\":1}", NULL));
	constrain_unref(free_one);
	constrain_unref(c);
	constrain_vocab_free(v);
	try_words_free(words);
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

/* ---- what a walk may take ---- */

/* Which of the masks and tokens of a text spends a walk. SIZE_MAX: none. */
static size_t spent_at(struct constrain *c, const char *text)
{
	struct constrain_walk *w = constrain_begin(c);
	uint32_t bits[TRY_MAX / 32 + 1];
	size_t at = SIZE_MAX;
	for (size_t i = 0; text[i] && at == SIZE_MAX; i++) {
		if (constrain_mask(w, bits) == CONSTRAIN_SPENT)
			at = 2 * i;
		else if (constrain_take(w, TRY_FIRST + (uint8_t)text[i]) == CONSTRAIN_SPENT)
			at = 2 * i + 1;
	}
	constrain_end(w);
	return at;
}

/* Whether a walk is spent depends on its text: alone, after itself, after others that have made much of what
 * it needs, and after those that were spent. */
static void being_spent_is_nobody_elses_doing(void **state)
{
	(void)state;
	static const struct {
		enum constrain_kind kind;
		const char *shape, *text, *others[3];
	} rows[] = {
		{CONSTRAIN_REGEX,
		 "b(a|b)*a(a|b){40}x",
		 "babbabaabbbabaababababbaabbba",
		 {"babbabaabbbabaababababbaabbb", "bbbbbbbbbbbbbbbbb", "babababababababababab"}},
		{CONSTRAIN_JSON_SCHEMA,
		 "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"maxLength\":9},\"b\":{"
		 "\"pattern\":\"^[a-z ]{2,30}$\",\"type\":\"string\"}}}",
		 "{\"a\":\"ab d\",\"b\":\"abcabc abc\",\"c\":[1,{}]}",
		 {"{\"b\":\"abcabc abc\"}", "{\"a\":\"\"}", "{\"x\":[1,{}]}"}},
		{CONSTRAIN_CHOICE,
		 "[\"abcab\",\"abd\",\"the end\",\"the other\"]",
		 "the other",
		 {"abcab", "abd", "the end"}},
	};
	struct try_words *words = try_words_new(texts);
	for (int forced = 0; forced < 2; forced++)
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
			const struct constrain_shape shape = {.kind = rows[i].kind,
							      .text = str_c(rows[i].shape)};
			struct constrain_vocab *v = try_vocab(words, forced);
			size_t last = 0, n_spent = 0;
			for (uint64_t work = 1; last != SIZE_MAX; work += 1 + work / 6) {
				struct constrain_limits limits = {.mask_work = work};
				struct constrain *c = NULL, *warm = NULL;
				if (constrain_new(v, &shape, &limits, &c, NULL, NULL) != HOKKU_OK)
					continue;
				assert_int_equal(constrain_new(v, &shape, &limits, &warm, NULL, NULL),
						 HOKKU_OK);
				last = spent_at(c, rows[i].text);
				for (size_t k = 0; k < 3; k++)
					spent_at(warm, rows[i].others[k]);
				struct constrain_walk *bytes = constrain_begin(warm);
				size_t n;
				constrain_take_bytes(bytes, str_c(rows[i].text), &n);
				size_t then = spent_at(warm, rows[i].text),
				       again = spent_at(warm, rows[i].text);
				if (then != last || again != last)
					fail_msg(
						"%s, %llu: spent at %zu alone, at %zu after others, then at %zu",
						rows[i].shape, (unsigned long long)work, last, then, again);
				n_spent += last != SIZE_MAX;
				constrain_end(bytes);
				constrain_unref(c);
				constrain_unref(warm);
			}
			assert_true(n_spent > 0);
			constrain_vocab_free(v);
		}
	try_words_free(words);
}

/* ---- what compiling may take ---- */

static bool stop_at(void *user)
{
	uint32_t *left = user;
	return --*left == 0;
}

/* A list of n texts of eight letters, no two alike. */
static char *many_choices(uint32_t n)
{
	char *text = malloc((size_t)n * 11 + 2), *at = text;
	*at++ = '[';
	for (uint32_t i = 0; i < n; i++)
		at += sprintf(at, "\"%08u\",", i * 7919 % 100000000);
	at[-1] = ']';
	return text;
}

static void compiling_can_be_stopped(void **state)
{
	(void)state;
	char *list = many_choices(1500), *schema = malloc(strlen(list) + 32), *grammar = malloc(100000);
	sprintf(schema, "{\"enum\":%s}", list);
	strcpy(grammar, "root ::= \"a\"");
	for (int i = 0; i < 1500; i++)
		sprintf(grammar + strlen(grammar), " | \"b%d\"", i);
	const struct constrain_shape shapes[] = {
		{.kind = CONSTRAIN_CHOICE, .text = str_c(list)},
		{.kind = CONSTRAIN_JSON_SCHEMA, .text = str_c(schema)},
		{.kind = CONSTRAIN_GBNF, .text = str_c(grammar)},
		{.kind = CONSTRAIN_REGEX, .text = STR_LIT("((a{1,80}b){1,80}|[^c]{9}|\\p{L}\\w{3,5}){1,70}")},
		/* bringing schemas together */
		{.kind = CONSTRAIN_JSON_SCHEMA,
		 .text = STR_LIT("{\"allOf\":[{\"anyOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]},{"
				 "\"required\":[\"c\"]}]},{\"anyOf\":[{\"required\":[\"d\"]},{\"required\":["
				 "\"e\"]},{\"required\":[\"f\"]}]},{\"anyOf\":[{\"required\":[\"g\"]},{"
				 "\"required\":[\"h\"]},{\"required\":[\"i\"]}]}]}")},
	};
	struct try_words *words = try_words_new(texts);
	struct constrain_vocab *v = try_vocab(words, false);
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		struct constrain *c = NULL;
		struct hokku_error err;
		uint32_t left = UINT32_MAX;
		struct constrain_limits limits = {.stop = stop_at, .user = &left};
		assert_int_equal(constrain_new(v, &shapes[i], &limits, &c, NULL, &err), HOKKU_OK);
		struct constrain_stats stats;
		constrain_get_stats(c, &stats);
		uint32_t asked = UINT32_MAX - left;
		if (asked < stats.work / 8192)
			fail_msg("shape %zu: asked %u times in %llu steps", i, asked,
				 (unsigned long long)stats.work);
		assert_true(asked > 0);
		for (uint32_t at = 1; at <= asked; at += 1 + asked / 8) {
			struct constrain *stopped = NULL;
			left = at;
			assert_int_equal(constrain_new(v, &shapes[i], &limits, &stopped, NULL, &err),
					 HOKKU_CANCELLED);
			assert_string_equal(err.message, "compiling the shape was stopped");
			assert_int_equal(left, 0); /* and was not asked again */
		}
		/* What has compiled asks nobody. */
		left = 1;
		uint32_t bits[TRY_MAX / 32 + 1];
		struct constrain_walk *w = constrain_begin(c);
		assert_int_equal(constrain_mask(w, bits), CONSTRAIN_TAKEN);
		assert_int_equal(left, 1);
		constrain_end(w);
		constrain_unref(c);
	}
	constrain_vocab_free(v);
	try_words_free(words);
	free(list);
	free(schema);
	free(grammar);
}

/* Reading and bringing together count as much as expressions do: a limit holds for all of it. */
static void all_work_is_counted(void **state)
{
	(void)state;
	char *list = many_choices(3000), *schema = malloc(strlen(list) + 64);
	static const char *const forms[][2] = {{"{\"enum\":", "}"},
					       {"{\"x\":", "}"},
					       {"{\"required\":", "}"},
					       {"{\"not\":{\"enum\":", "}}"}};
	struct try_words *words = try_words_new(texts);
	struct constrain_vocab *v = try_vocab(words, false);
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		struct constrain *c = NULL;
		struct constrain_stats stats;
		struct hokku_error err;
		sprintf(schema, "%s%s%s", forms[i][0], list, forms[i][1]);
		const struct constrain_shape shape = {.kind = CONSTRAIN_JSON_SCHEMA, .text = str_c(schema)};
		struct constrain_limits limits = {.work = 20000000};
		assert_int_equal(constrain_new(v, &shape, &limits, &c, NULL, &err), HOKKU_OK);
		constrain_get_stats(c, &stats);
		constrain_unref(c);
		assert_true(stats.work >= strlen(schema) / 2);
		limits.work = stats.work;
		assert_int_equal(constrain_new(v, &shape, &limits, &c, NULL, &err), HOKKU_OK);
		constrain_unref(c);
		limits.work = stats.work - 1;
		assert_int_equal(constrain_new(v, &shape, &limits, &c, NULL, &err), HOKKU_INVALID_REQUEST);
		limits.work = strlen(schema) / 2 - 1;
		assert_int_equal(constrain_new(v, &shape, &limits, &c, NULL, &err), HOKKU_INVALID_REQUEST);
		assert_non_null(strstr(err.message, "bytes, more than can be read in the"));
	}
	constrain_vocab_free(v);
	try_words_free(words);
	free(list);
	free(schema);
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
		cmocka_unit_test(names_come_once),
		cmocka_unit_test(choices),
		cmocka_unit_test(forced_texts_are_canonical),
		cmocka_unit_test(a_byte_without_a_token_is_never_wanted),
		cmocka_unit_test(little_memory_gives_the_same_masks),
		cmocka_unit_test(spent_walks_leave_the_shape),
		cmocka_unit_test(being_spent_is_nobody_elses_doing),
		cmocka_unit_test(compiling_can_be_stopped),
		cmocka_unit_test(all_work_is_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
