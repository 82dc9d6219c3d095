/* `hokku inspect`: what its two forms of output share. */
#ifndef CLI_INSPECT_H
#define CLI_INSPECT_H

#include "gguf/gguf.h"

/* The six lines that say what a model is. A text is empty when the file does not say; where layers differ, lo
 * and hi are the smallest and the largest. */
struct inspect_number {
	bool known;
	uint64_t lo, hi;
};
struct inspect_summary {
	struct str architecture;
	struct inspect_number n_vocab, d_model, n_layers, n_heads, n_kv_heads, n_ctx;
};
void inspect_summarise(const struct gguf *g, struct inspect_summary *out);

/* The shortest decimal that reads back as the same float or double, always with a point or an exponent;
 * "NaN", "Infinity", "-Infinity" otherwise. */
const char *inspect_float(const struct gguf_value *v, char out[32]);

/* The whole file as one JSON object on stdout. */
void inspect_json(const struct gguf *g);

#endif
