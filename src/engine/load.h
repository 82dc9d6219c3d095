/* From a file to an engine that can compute: the parts of it that others open too, and the whole. */
#ifndef ENGINE_LOAD_H
#define ENGINE_LOAD_H

#include "base/str.h"
#include "gguf/gguf.h"
#include "text/chat.h"
#include "text/tokenizer.h"

enum {
	ENGINE_DEFAULT_MAX_CTX = 32768,
	ENGINE_MAX_KV_CONTEXTS = 256, /* whole contexts that KV memory grows to, where it may grow */
};

struct engine;

/* The model inside the binary; empty where it was built without. */
struct str bundled_model(void);

/* Opens the model at path: a GGUF file, or a folder as transformers writes it (hf/folder.h); NULL: the
 * bundled one. */
enum hokku_code engine_open_file(const char *path, struct gguf **g, struct hokku_error *err);

/* The tokenizer of an open file and, unless chat is NULL, its chat template. Errors name the file; then *t is
 * NULL. */
enum hokku_code engine_open_tok(const struct gguf *g, struct tok **t, struct chat *chat,
				struct str chat_template, struct hokku_error *err);

/* The context that a model trained for n_train has where `asked` (0: nothing) is asked for and there is room.
 * INVALID_REQUEST where that is more. */
enum hokku_code engine_choose_context(uint32_t n_train, uint32_t asked, uint32_t *out,
				      struct hokku_error *err);

/* Fills the engine from its file; on the engine's thread. engine_unload frees whatever there is. */
enum hokku_code engine_load(struct engine *e, struct hokku_error *err);
void engine_unload(struct engine *e);

#endif
