/* One shape, several threads: each gets the masks that it would get alone, also while memory is short. */
#include "constrain/walk_try.h"

#include <pthread.h>

static const char *const texts[] = {"ab",   "abc", "{\"", "\":",      "\",\"",
				    "aaaa", "a\"", "}}",  "\xc3\xa9", NULL};

enum { N_THREADS = 4, N_STEPS = 60 };

struct job {
	struct constrain *shape;
	const struct try_words *words;
	uint32_t seed, n;
	int32_t taken[N_STEPS];
};

static void *walk(void *user)
{
	struct job *j = user;
	struct constrain_walk *w = constrain_begin(j->shape), *f;
	uint32_t bits[TRY_MAX / 32 + 1], draw[4], token, n_tries;
	struct constrain_stats stats;
	for (j->n = 0; j->n < N_STEPS; j->n++) {
		if (constrain_mask(w, bits) != CONSTRAIN_TAKEN)
			break;
		for (token = 0, n_tries = 0; n_tries == 0 || (!try_bit(bits, token) && n_tries < 100000);
		     n_tries++) {
			rng_words(j->seed + n_tries, RNG_STREAM_TEST, j->n, draw);
			token = draw[0] % j->words->n;
		}
		if (!try_bit(bits, token) || constrain_take(w, (int32_t)token) != CONSTRAIN_TAKEN)
			break;
		j->taken[j->n] = (int32_t)token;
		f = constrain_fork(w);
		constrain_end(w);
		w = f;
		constrain_may_end(w);
		constrain_get_stats(j->shape, &stats);
	}
	constrain_end(w);
	constrain_unref(j->shape);
	return NULL;
}

static void threads_walk_as_they_would_alone(void **state)
{
	(void)state;
	struct try_words *words = try_words_new(texts);
	struct constrain_vocab *v = try_vocab(words, true);
	const struct constrain_shape shape = {
		.kind = CONSTRAIN_JSON_SCHEMA,
		.text = STR_LIT(
			"{\"type\":\"object\",\"properties\":{\"ab\":{\"type\":\"string\",\"maxLength\":50}},"
			"\"additionalProperties\":{\"$ref\":\"#\"},\"required\":[\"ab\"]}")};
	static struct job alone[N_THREADS], beside[N_THREADS];
	pthread_t threads[N_THREADS];
	struct constrain *c = NULL;
	struct constrain_limits limits = {.bytes = 1 << 17};
	while (constrain_new(v, &shape, &limits, &c, NULL, NULL) != HOKKU_OK)
		limits.bytes += 1 << 16;
	constrain_unref(c);
	limits.bytes *= 2; /* for what several walks stand in */
	assert_int_equal(constrain_new(v, &shape, &limits, &c, NULL, NULL), HOKKU_OK);
	for (uint32_t i = 0; i < N_THREADS; i++) {
		struct constrain *own = try_shape(v, shape.kind, shape.text.ptr);
		alone[i] = (struct job){.shape = own, .words = words, .seed = i / 2 * 1000};
		walk(&alone[i]);
		beside[i] = (struct job){.shape = c, .words = words, .seed = i / 2 * 1000};
		constrain_ref(c);
	}
	for (uint32_t i = 0; i < N_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, walk, &beside[i]), 0);
	constrain_unref(c);
	for (uint32_t i = 0; i < N_THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(beside[i].n, alone[i].n);
		assert_true(alone[i].n > 3);
		assert_memory_equal(beside[i].taken, alone[i].taken, alone[i].n * sizeof *alone[i].taken);
	}
	constrain_vocab_free(v);
	try_words_free(words);
}

/* Counters go down a character at a time: each mask is made of the one before where both read alike, and must
 * be what bytes say all the same, past the lengths of the longest tokens too. */
static void counters(void **state)
{
	(void)state;
	static const struct {
		const char *schema, *text;
	} rows[] = {
		{"{\"type\":\"string\",\"pattern\":\"^[a-z]{1,40}$\"}",
		 "\"qwertyuiopasdfghjklzxcvbnmqwertyuiopasdf"},
		{"{\"type\":\"string\",\"pattern\":\"^[A-Za-z ]{25,}$\"}",
		 "\"Qwerty uiop asdfg hjkl zxcvb nm qwe"},
		{"{\"type\":\"string\",\"pattern\":\"^[A-Za-z ]+$\",\"maxLength\":36}",
		 "\"Qwerty uiop asdfg hjkl zxcvb nm qwe"},
		{"{\"type\":\"string\",\"pattern\":\"^([a-z ]{1,14}[.;] ?){1,3}$\"}",
		 "\"qwerty uiop as;df. hjkl zxcvqwer."},
		{"{\"type\":\"array\",\"items\":{\"type\":\"string\",\"pattern\":\"^[a-z]{0,30}x?$\"}}",
		 "[\"qwertyuiopasdfghjklzxcvb\",\"qwertyuiopasdfghjklzcvbnmqwertx"},
		{"{\"type\":\"string\",\"format\":\"hostname\"}", "\"qwerty-uiop.asdfghjkl.x-1.zxcvb"},
		{"{\"type\":\"array\",\"items\":{\"type\":\"string\",\"format\":\"email\"}}",
		 "[\"qwerty.uiop@asdfghjkl.zx"},
		{"{\"type\":\"string\",\"maxLength\":20}", "\"qwerty \xc3\xa9uiop asdfghj"},
		{"{\"type\":\"string\",\"pattern\":\"^[^,a]{4,22}(,|$)\"}", "\"qwerty \xc3\xa9uiop sdfghjkl"},
		{"{\"type\":\"string\",\"pattern\":\"^([a-z]{3,17}[A-Z.]){2}[a-z.]{0,9}$\"}",
		 "\"qwertyuiopAasdfghj.zxcvb"},
		{"{\"type\":\"string\",\"pattern\":\"^[a-y]{1,17}(z[a-y]{0,9})?$\"}",
		 "\"qwertyuiopasdfgzxcvb"},
		{"{\"type\":\"string\",\"pattern\":\"^(?!.*abc)[a-z]{2,36}(?:yz|[0-9])$\"}",
		 "\"ababababqwertyuiopasdfghjklxcvbnm"},
	};
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
	struct try_words *words = try_words_new((const char *const[]){"abc\"", "ab\",\"", "yz\"", NULL});
	for (size_t n = 2; n < 44; n += 1 + n / 9) { /* words of all lengths, with quotes and others behind */
		char text[64];
		memcpy(text, letters + n % 7, n);
		try_add(words, text, n);
		memcpy(text + n, n % 2 ? "\"" : ". ", 2);
		try_add(words, text, n + 1);
		try_add(words, text, n + 2);
		memset(text, n % 2 ? ' ' : 'a', n);
		try_add(words, text, n);
		memcpy(text + n, n % 2 ? "\xc3\xa9" : "Az", 2);
		try_add(words, text, n + 2);
		memcpy(text + n + 2, n % 3 ? ".ab" : "-\xc3\xa9", 3);
		try_add(words, text + n % 5, n + 5 - n % 5);
		text[n] = '"';
		text[n + 1] = ']';
		try_add(words, text, n + 2);
	}
	struct constrain_vocab *v = try_vocab(words, false);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct constrain *c = try_shape(v, CONSTRAIN_JSON_SCHEMA, rows[i].schema);
		struct constrain_walk *w = constrain_begin(c);
		for (const char *t = rows[i].text; *t; t++) {
			try_mask(w, words);
			if (constrain_take(w, TRY_FIRST + (uint8_t)*t) != CONSTRAIN_TAKEN)
				fail_msg("%s is refused from %s on", rows[i].schema, t);
		}
		assert_true(try_mask(w, words) > 0);
		constrain_end(w);
		constrain_unref(c);
	}
	constrain_vocab_free(v);
	try_words_free(words);
}

/* A host name's labels and its length are counted together, so that each way on has expressions of its own. A
 * mask looks at those that its tokens lead to, and at none as far as a token could be long. */
static void a_mask_looks_no_further_than_its_tokens(void **state)
{
	(void)state;
	static const char *const more[] = {"-a",     ".b", "-",   "a.", ".com", "-x.",
					   "server", "(",  "a(b", "--", NULL};
	static const char text[] = "\"my-server-01.internal.example.com";
	struct try_words *words = try_words_new(more);
	char longest[48];
	memset(longest, '.', sizeof longest);
	try_add(words, longest, sizeof longest);
	memset(longest, '-', sizeof longest);
	try_add(words, longest, sizeof longest);
	struct constrain_vocab *v = try_vocab(words, false);
	struct constrain *c =
		try_shape(v, CONSTRAIN_JSON_SCHEMA, "{\"type\":\"string\",\"format\":\"hostname\"}");
	struct constrain_walk *w = constrain_begin(c);
	struct constrain_stats before, after;
	constrain_get_stats(c, &before);
	for (const char *t = text; *t; t++) {
		try_mask(w, words);
		assert_int_equal(constrain_take(w, TRY_FIRST + (uint8_t)*t), CONSTRAIN_TAKEN);
	}
	constrain_get_stats(c, &after);
	/* of expressions and states: 0.6 MB, where all were looked at that tokens of 48 bytes may lead to 2.5 */
	assert_in_range(after.bytes - before.bytes, 1, 1200000);
	constrain_end(w);
	constrain_unref(c);
	constrain_vocab_free(v);
	try_words_free(words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_walk_as_they_would_alone),
		cmocka_unit_test(counters),
		cmocka_unit_test(a_mask_looks_no_further_than_its_tokens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
