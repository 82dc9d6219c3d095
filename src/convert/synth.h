/*
 * Models of real shapes with random weights and a made-up vocabulary, so that speed and correctness can be
 * measured without a download. The same shape, type and seed give the same bytes on every machine: weights
 * come from Philox, keyed by (seed, tensor, position), and only IEEE arithmetic touches them.
 */
#ifndef CONVERT_SYNTH_H
#define CONVERT_SYNTH_H

#include "base/error.h"
#include "base/observer.h"

struct synth_options {
	const char
		*shape; /* a name of synth_shapes(), or a config.json of an architecture that convert takes */
	const char *type; /* a name of synth_types() */
	const char *out;
	uint64_t seed;
	struct observer observer;
};

/* NULL-terminated, for messages and help. */
const char *const *synth_shapes(void);
const char *const *synth_types(void);

/*
 * Matrices have zero mean and a standard deviation of 1/sqrt(columns), so that activations stay near 1; norms
 * lie around 1, biases around 0. A plain type holds all matrices; Q4_K_M and Q5_K_M mix as llama.cpp's
 * quantiser does. Rows that a type's blocks do not divide take llama.cpp's fallback (Q4_K -> Q5_0, Q5_K ->
 * Q5_1, Q6_K -> Q8_0, then F16), with a note. Errors: INVALID_REQUEST (a name, a setting of the config),
 * NOT_FOUND, BAD_FILE, IO_ERROR, CANCELLED.
 */
enum hokku_code synth_model(const struct synth_options *o, struct hokku_error *err);

#endif
