/*
 * What a GGUF file is: a model, or one of the other things that are kept in GGUF files and given for a model
 * by mistake. Asked before anything else is, so that a file is told by what it is and not by what it lacks.
 */
#ifndef MODEL_KIND_H
#define MODEL_KIND_H

#include "gguf/gguf.h"

enum file_kind {
	FILE_MODEL,          /* or nothing that says otherwise */
	FILE_PART,           /* of a split model, in memory: of a file, all parts are opened as a model */
	FILE_ADAPTER,        /* LoRA: differences to a model's weights */
	FILE_PROJECTOR,      /* an encoder of images or sound, "mmproj" */
	FILE_IMATRIX,        /* statistics for a quantiser */
	FILE_CONTROL_VECTOR, /* directions that are added to a model's layers */
	FILE_VOCABULARY,     /* a tokenizer without weights */
};

/* By its keys. FILE_MODEL where nothing says otherwise. */
enum file_kind file_kind_of(const struct gguf *g);

/* "part 2 of 3 of a split model". Returns out. */
const char *file_kind_text(const struct gguf *g, char *out, size_t size);

/* MODEL_LOAD_FAILED for everything but a model: what the file is, and which to give instead. */
enum hokku_code file_kind_check(const struct gguf *g, struct hokku_error *err);

#endif
