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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_walk_as_they_would_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
