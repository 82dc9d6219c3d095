/* What a folder holds instead of what is missing, so that an error can say what was found and what to do. */
#ifndef HF_FOUND_H
#define HF_FOUND_H

#include "base/observer.h"
#include "gguf/safetensors.h"

/* What dir is, where it is no folder: NOT_FOUND, INVALID_REQUEST. */
enum hokku_code hf_check_folder(const char *dir, struct hokku_error *err);

/* The folder has no config.json. Returns code with a message of err's that says what it has instead; err as
 * it is where nothing is known. */
enum hokku_code hf_explain_config(const char *dir, enum hokku_code code, struct hokku_error *err);

/* The folder has no safetensors that belong to a model: adds to err's message which weights it has. */
enum hokku_code hf_explain_weights(const char *dir, enum hokku_code code, struct hokku_error *err);

/* A note where an adapter lies beside a whole model: transformers would load another model and change it. */
void hf_note_adapter(const char *dir, const struct observer *observer);

/* "the weights have no tensor NAME", and the tensor that is most like it. BAD_FILE. */
enum hokku_code hf_no_tensor(const char *dir, const struct safetensors *st, const char *name,
			     struct hokku_error *err);

/* Why a tensor is there that a model does not have (" (...)"), or "". Static storage. */
const char *hf_why_tensor(struct str name);

#endif
