/*
 * What an answer's bits depend on beside its request, as one short text: answers with equal fingerprints to
 * equal requests, seed included, are equal to the bit.
 */
#ifndef ENGINE_FINGERPRINT_H
#define ENGINE_FINGERPRINT_H

#include "engine/state_file.h"

enum { FINGERPRINT_BYTES = 24 }; /* its end counted */

struct fingerprint_of {
	const struct state_identity *identity; /* model, what computes, KV types, RoPE */
	const char *build;                     /* of the program, which makes prompts and masks */
	uint32_t n_ctx;                        /* where an answer ends at the latest */
	struct str chat_template;              /* in place of the file's own; ptr NULL: none */
	const char *other;                     /* what else prompts depend on; "": nothing */
};

/* "fp_" and 16 hexadecimal digits. */
void fingerprint_make(const struct fingerprint_of *of, char out[FINGERPRINT_BYTES]);

#endif
