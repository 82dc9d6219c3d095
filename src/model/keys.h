/*
 * Questions about the keys "ARCHITECTURE.suffix" of a file, which remember what was asked: a key that nobody
 * has asked for, and that is not known to mean nothing, changes the mathematics in a way hokku does not carry
 * out, and keys_refuse_rest names it.
 *
 * The first failure is kept (rc, err) and later questions answer with what absence stands for, so that a row
 * of questions needs one check at its end.
 */
#ifndef MODEL_KEYS_H
#define MODEL_KEYS_H

#include "base/arena.h"
#include "gguf/gguf.h"

struct keys {
	const struct gguf *file;
	const char *arch; /* general.architecture */
	bool *asked;      /* (gguf_n_kv(file)) */
	struct hokku_error *err;
	enum hokku_code rc;
};

enum { KEY_BYTES = 128 };

/* OUT_OF_MEMORY at most. */
enum hokku_code keys_init(struct keys *k, const struct gguf *file, const char *arch, struct arena *arena,
			  struct hokku_error *err);

/* "qwen2" + "block_count" -> "qwen2.block_count" */
const char *keys_name(const struct keys *k, const char *suffix, char name[KEY_BYTES]);

/* Marks a key as asked for that its caller reads itself. */
void keys_ask(struct keys *k, const char *suffix);

/* Is the key there, and has somebody asked for it? */
bool keys_asked(const struct keys *k, const char *suffix);

/* A number that must be there, from min to max. */
uint32_t keys_u32(struct keys *k, const char *suffix, uint32_t min, uint32_t max);
float keys_f32(struct keys *k, const char *suffix, float min, float max);
/* The same, where absence stands for otherwise (which need not lie between min and max). */
uint32_t keys_u32_or(struct keys *k, const char *suffix, uint32_t min, uint32_t max, uint32_t otherwise);
float keys_f32_or(struct keys *k, const char *suffix, float min, float max, float otherwise);
/* The same of a number that layers may have each for itself, an array of n_layers: hokku takes one that is
 * the same for all. */
uint32_t keys_u32_of_layers(struct keys *k, const char *suffix, uint32_t n_layers, uint32_t min,
			    uint32_t max);
uint32_t keys_u32_of_layers_or(struct keys *k, const char *suffix, uint32_t n_layers, uint32_t min,
			       uint32_t max, uint32_t otherwise);
bool keys_bool_or(struct keys *k, const char *suffix, bool otherwise);
struct str keys_str_or(struct keys *k, const char *suffix, struct str otherwise);

/* Sets rc and err: MODEL_LOAD_FAILED with a sentence that names the key. Only the first is kept. */
void keys_fail(struct keys *k, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fails if some key of the architecture was not asked for and is not neutral. */
void keys_refuse_rest(struct keys *k);

#endif
