/*
 * A Hugging Face folder opened as a model: it answers the questions that a GGUF file answers, through the
 * same handle (gguf.h), with the keys and names that hokku convert would write. Matrices have the type in
 * which the folder stores them (F64 becomes F32), vectors are F32; their bytes are read when they are asked
 * for.
 */
#ifndef HF_FOLDER_H
#define HF_FOLDER_H

#include "base/observer.h"
#include "gguf/gguf.h"

struct hf_options {
	const char *dir;
	const char *name;                /* general.name; NULL: the folder's own */
	bool vocab_only;                 /* the tokenizer without weights; config.json may then be absent */
	const struct observer *observer; /* is told what counts where things are said twice; may be NULL */
};

struct hf_folder;

/* Errors: NOT_FOUND, BAD_FILE, IO_ERROR, INVALID_REQUEST (an architecture, a tokenizer or an element type
 * that is not served, by name). */
enum hokku_code hf_open(const struct hf_options *o, struct hf_folder **out, struct hokku_error *err);
void hf_close(struct hf_folder *f); /* NULL is allowed */

/* Lives until hf_close; gguf_close of it is hf_close. */
struct gguf *hf_model(const struct hf_folder *f);

/* What the folder calls tensor i of the handle. */
const char *hf_tensor_name(const struct hf_folder *f, uint64_t i);

#endif
