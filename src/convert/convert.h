/*
 * A Hugging Face folder (config.json, *.safetensors, tokenizer.json, tokenizer_config.json,
 * generation_config.json) becomes a GGUF file: keys and names as llama.cpp writes them, so that it reads our
 * files and we read its. What a folder says is hf's business (hf/hf.h).
 */
#ifndef CONVERT_CONVERT_H
#define CONVERT_CONVERT_H

#include "base/error.h"
#include "base/observer.h"
#include "gguf/tensor_type.h"

struct convert_options {
	const char *dir;       /* the folder */
	const char *out;       /* the file to write */
	const char *name;      /* general.name; NULL: the folder's own */
	enum tensor_type type; /* of matrices: F32, F16, BF16 or Q8_0; vectors stay F32 */
	bool vocab_only;       /* the tokenizer without weights; config.json may then be absent */
	struct observer observer;
};

/*
 * Matrices whose rows the type's blocks do not divide are written as F16, with a note. Holds a few hundred
 * KiB besides the mapped files. Errors: NOT_FOUND, BAD_FILE, INVALID_REQUEST (an architecture, a tokenizer or
 * an element type that is not served, by name), CANCELLED. No file is left behind on any of them.
 */
enum hokku_code convert_hf(const struct convert_options *o, struct hokku_error *err);

#endif
