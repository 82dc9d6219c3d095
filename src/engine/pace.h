/*
 * How many prompt tokens a step should take: so many that it is over in target_ms, because those that
 * answer have their next token only then and a request can be cancelled only between steps, and no fewer,
 * because short steps waste the device. From the steps seen so far a line is fitted, `ms = fixed + each * n`,
 * later steps counting more. Where a step costs much however short it is (the weights of a large model are
 * read each time; a machine is crowded), short steps would win nothing: a step may always take twice what the
 * shortest would.
 */
#ifndef ENGINE_PACE_H
#define ENGINE_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* Where nobody says otherwise. A cancel must act within 100 ms; a step of 0.5B parameters that takes 70 ms
 * (64 tokens on two cores) still runs at four fifths of the rate of the longest steps, one of 40 ms at half.
 */
#define PACE_TARGET_MS 75

enum {
	PACE_FIRST = 16,     /* tokens of the very first step */
	PACE_MAX_CHANGE = 4, /* most that a step may be longer or shorter than the one before */
	PACE_TILE = 16,      /* longer steps are a multiple of this: kernels work in tiles */
};

struct pace {
	uint32_t n_max, chunk;
	double target_ms;
	double each;              /* ms a token, by the line */
	bool sloped;              /* steps of different lengths have been seen */
	double w, n, ms, nn, nms; /* sums over the steps seen, each weighing less as it ages */
};

/* A step is to have n_max tokens at most and to be over in target_ms. */
void pace_init(struct pace *p, uint32_t n_max, double target_ms);

/* A step of n tokens took ms. */
void pace_add(struct pace *p, uint32_t n, double ms);

/* Tokens of the next step, 1 to n_max. */
uint32_t pace_chunk(const struct pace *p);

#endif
