/* What the files of the synthesiser share. */
#ifndef CONVERT_SYNTH_INTERNAL_H
#define CONVERT_SYNTH_INTERNAL_H

#include "convert/put.h"
#include "convert/synth.h"

/* A stream of random bytes, one for each tensor. */
struct synth_random {
	uint64_t seed, next; /* the generator's index */
};
struct synth_random synth_random_for(uint64_t seed, uint32_t layer, uint32_t ordinal);

/* How random bytes become blocks of a type. */
struct synth_kind {
	enum tensor_type type;
	uint32_t random_bytes; /* a block takes */
	/* sigma is the standard deviation its elements get. */
	void (*make)(const uint8_t *random, float sigma, uint8_t *block);
};

/* NULL if the type cannot be made: all of format.h's table can. Plain floats have no make: see synth_fill. */
const struct synth_kind *synth_kind_get(enum tensor_type type);

enum { SYNTH_CHUNK = 1 << 16 }; /* elements at a time; a multiple of 16 blocks of any type */

/* Buffers for synth_fill. */
struct synth_buffers {
	uint8_t *random; /* (2 * SYNTH_CHUNK) */
	uint8_t *blocks; /* SYNTH_CHUNK elements of any type */
	float *floats;   /* (65536) */
	uint8_t *table;  /* 65,536 elements of a plain float type */
};

/* Prepares the table of a plain float type: the 65,536 values mean + spread * x, x evenly spaced in (-1, 1).
 */
void synth_table(struct synth_buffers *b, enum tensor_type type, float mean, float spread);

/* n elements (whole blocks) of random weights into b->blocks; returns their bytes. For plain floats the
 * values are the table's. Every call but a tensor's last must ask for SYNTH_CHUNK. */
size_t synth_fill(struct synth_buffers *b, struct synth_random *r, enum tensor_type type, float sigma,
		  size_t n);

/* 256 bytes, merges of them, and ChatML's three special tokens at the end. n is at least SYNTH_MIN_VOCAB. */
enum { SYNTH_MIN_VOCAB = 259 };
enum hokku_code synth_vocab(struct vocab *v, uint32_t n, struct hokku_error *err);

#endif
