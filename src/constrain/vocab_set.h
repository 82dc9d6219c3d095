/*
 * The plain tokens of some bytes alone, by their code points: a label of a host name takes the same ones
 * after each of its characters, but for those that are too long by then. Found once for a vocabulary, when
 * they have been asked for a few times, and kept; those that were not asked for lately go first.
 */
#ifndef CONSTRAIN_VOCAB_SET_H
#define CONSTRAIN_VOCAB_SET_H

#include "constrain/vocab.h"

struct vocab_set;
struct vocab_sets;

struct vocab_sets *vocab_sets_new(void); /* NULL: no memory */
void vocab_sets_free(struct vocab_sets *s);

/* Of these bytes of ASCII, and of all that is no ASCII if broad. Held until vocab_set_release; from any
 * thread. NULL: not made yet, no memory, or no such token. */
const struct vocab_set *vocab_set_of(const struct constrain_vocab *v, const uint64_t bytes[2], bool broad);
void vocab_set_release(const struct constrain_vocab *v, const struct vocab_set *s);

/* No plain token has more code points of the set in front. */
uint32_t vocab_set_longest(const struct vocab_set *s);
/* It can tell those of at most so many code points. */
bool vocab_set_knows(const struct vocab_set *s, uint32_t most);
/* Its tokens of at most so many code points, all other bits 0. */
void vocab_set_take(const struct constrain_vocab *v, const struct vocab_set *s, uint32_t most,
		    uint32_t *bits);

#endif
