/* `hokku inspect`: what its two forms of output share. */
#ifndef CLI_INSPECT_H
#define CLI_INSPECT_H

#include "cli/cli.h"
#include "engine/engine.h"
#include "gguf/gguf.h"
#include "model/check.h"

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
void inspect_summary_text(const struct gguf *g); /* on stdout */

/* The shortest decimal that reads back as the same float or double, always with a point or an exponent;
 * "NaN", "Infinity", "-Infinity" otherwise. */
const char *inspect_float(const struct gguf_value *v, char out[32]);

/* --device: the model opened on a device, and what it holds there. */
struct inspect_device {
	struct engine *engine;
	struct engine_state state;
};
/* Fills in config's callbacks. On an error there is nothing to close. */
enum hokku_code inspect_device_open(struct engine_config *config, struct inspect_device *d,
				    struct hokku_error *err);
void inspect_device_close(struct inspect_device *d);
void inspect_device_text(const struct inspect_device *d);                     /* on stdout */
void inspect_device_json(const struct inspect_device *d, struct strbuf *out); /* a member, comma included */

/* The tokenizer; nothing, or null, where the file has none. */
void inspect_tokenizer_text(const struct gguf *g);                     /* on stdout */
void inspect_tokenizer_json(const struct gguf *g, struct strbuf *out); /* a member, comma included */

/* --check: check_file with a progress line. */
enum hokku_code inspect_check(const struct gguf *g, uint32_t n_threads, struct check_result *out,
			      struct hokku_error *err);
void inspect_check_text(const struct gguf *g, const struct check_result *r); /* on stdout */
void inspect_check_json(const struct gguf *g, const struct check_result *r,
			struct strbuf *out); /* a member, comma included */

/* The whole file as one JSON object on stdout; c and d: NULL, or a member more. */
void inspect_json(const struct gguf *g, const struct check_result *c, const struct inspect_device *d);

#endif
