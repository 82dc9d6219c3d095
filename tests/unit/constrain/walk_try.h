/*
 * Small vocabularies and what a mask must be, found without one: every token's bytes are tried on a fork, and
 * whatever was let in must be completed within so many bytes.
 */
#ifndef TEST_WALK_TRY_H
#define TEST_WALK_TRY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "constrain/constrain.h"

enum { TRY_END = 0, TRY_FIRST = 1, TRY_MAX = 2000 };

struct try_words {
	struct str word[TRY_MAX]; /* 0: the end, without bytes */
	uint32_t n;
	int32_t ends[1];
	bool greedy_encode;
};

static struct str try_bytes(void *user, uint32_t token)
{
	return ((struct try_words *)user)->word[token];
}

/* The longest token each time. */
static size_t try_encode(void *user, struct str text, int32_t *out, size_t max)
{
	const struct try_words *w = user;
	size_t n = 0;
	while (text.len) {
		uint32_t best = 0;
		for (uint32_t i = TRY_FIRST; i < w->n; i++)
			if (w->word[i].len > w->word[best].len && str_starts(text, w->word[i]))
				best = i;
		if (!best)
			return 0;
		if (n < max)
			out[n] = (int32_t)best;
		n++;
		text.ptr += w->word[best].len;
		text.len -= w->word[best].len;
	}
	return n;
}

static inline void try_add(struct try_words *w, const char *text, size_t n)
{
	char *copy = malloc(n);
	assert_true(w->n < TRY_MAX);
	memcpy(copy, text, n);
	w->word[w->n++] = (struct str){copy, n};
}

/* Every byte, then these texts. */
static inline struct try_words *try_words_new(const char *const *texts)
{
	struct try_words *w = calloc(1, sizeof *w);
	w->n = TRY_FIRST;
	for (int b = 0; b < 256; b++)
		try_add(w, &(char){(char)b}, 1);
	for (; *texts; texts++)
		try_add(w, *texts, strlen(*texts));
	return w;
}

static inline void try_words_free(struct try_words *w)
{
	for (uint32_t i = 0; i < w->n; i++)
		free((void *)(uintptr_t)w->word[i].ptr);
	free(w);
}

static inline struct constrain_vocab *try_vocab(struct try_words *w, bool forced)
{
	const struct constrain_words words = {.user = w,
					      .n = w->n,
					      .bytes = try_bytes,
					      .ends = w->ends,
					      .n_ends = 1,
					      .encode = forced ? try_encode : NULL};
	struct constrain_vocab *v = NULL;
	assert_int_equal(constrain_vocab_new(&words, &v, NULL), HOKKU_OK);
	return v;
}

static inline struct constrain *try_shape(struct constrain_vocab *v, enum constrain_kind kind,
					  const char *text)
{
	struct constrain *c = NULL;
	struct hokku_error err = {0};
	const struct constrain_shape shape = {.kind = kind, .text = str_c(text)};
	if (constrain_new(v, &shape, NULL, &c, NULL, &err) != HOKKU_OK)
		fail_msg("%s: %s", text, err.message);
	return c;
}

static inline bool try_bit(const uint32_t *bits, uint32_t i)
{
	return bits[i / 32] >> i % 32 & 1;
}

/* Compares the mask of w with what each token's bytes do. Returns how many are allowed. */
static inline uint32_t try_mask(struct constrain_walk *w, const struct try_words *words)
{
	uint32_t bits[TRY_MAX / 32 + 1], n_allowed = 0;
	assert_int_equal(constrain_mask(w, bits), CONSTRAIN_TAKEN);
	for (uint32_t i = 0; i < words->n; i++) {
		size_t n_taken;
		struct constrain_walk *f = constrain_fork(w);
		bool allowed = i == TRY_END
				       ? constrain_may_end(w)
				       : constrain_take_bytes(f, words->word[i], &n_taken) == CONSTRAIN_TAKEN;
		constrain_end(f);
		if (allowed != try_bit(bits, i))
			fail_msg("token %u \"%.*s\": mask %d, its bytes %d", i, STR_ARG(words->word[i]),
				 try_bit(bits, i), allowed);
		n_allowed += allowed;
	}
	for (uint32_t i = words->n; i < (words->n + 31) / 32 * 32; i++)
		assert_false(try_bit(bits, i));
	return n_allowed;
}

/* Walks at random, n tokens at most, comparing masks on the way; each state has a way on. */
static inline void try_random_walk(struct constrain *c, const struct try_words *words, uint32_t seed,
				   unsigned n)
{
	struct constrain_walk *w = constrain_begin(c);
	uint32_t bits[TRY_MAX / 32 + 1], draw[4];
	for (unsigned i = 0; i < n; i++) {
		uint32_t n_allowed = try_mask(w, words), pick, token = 0;
		assert_true(n_allowed > 0);
		rng_words(seed, RNG_STREAM_TEST, i, draw);
		pick = draw[0] % n_allowed;
		assert_int_equal(constrain_mask(w, bits), CONSTRAIN_TAKEN);
		while (!try_bit(bits, token) || pick--)
			token++;
		enum constrain_taken taken = constrain_take(w, (int32_t)token);
		if (taken == CONSTRAIN_DONE)
			break;
		assert_int_equal(taken, CONSTRAIN_TAKEN);
	}
	constrain_end(w);
}

#endif
