/*
 * The names of several models: which file has which, and which one a request means. Pure functions.
 *
 * A file's name is its path without ".gguf": below a folder of models from there on ("qwen/4b"), else the
 * last part of it, and as many before it as tell it from the others. A request may leave out parts before the
 * last where that names one model, write ".gguf", or ":latest" as Ollama's clients do; capitals are the same.
 */
#ifndef SERVER_MODEL_NAME_H
#define SERVER_MODEL_NAME_H

#include "base/error.h"
#include "base/str.h"

enum { MODEL_NAME_MAX_BYTES = 200 }; /* of a name: files with longer ones are passed over */

/* The name of a path with so many parts (1: the last alone), without ".gguf" and without what tells parts of
 * a split model apart; false: it has not so many, or would be too long. */
bool model_name_of(const char *path, unsigned n_parts, char out[MODEL_NAME_MAX_BYTES + 1]);

/* Which of names (n) `asked` means; -1: NOT_FOUND says the nearest and what there is, or between which it is
 * not clear. */
int model_name_find(const char *asked, const char *const *names, uint32_t n, struct hokku_error *err);

/* Appends "'a', 'b' and 7 more", of up to as many names as a message has room for. */
void model_name_list(const char *const *names, uint32_t n, struct strbuf *out);

#endif
