/* Where a file may be written that is made of others: not over one of these. */
#ifndef CONVERT_OUTPUT_H
#define CONVERT_OUTPUT_H

#include "base/error.h"

/*
 * INVALID_REQUEST if out, its links followed, is a file that a conversion of the folder dir reads (by any of
 * its names: links of both kinds count), or would be taken for one: *.json, *.safetensors, *.jinja and what
 * else makes a Hugging Face folder, in the folder itself. A GGUF file beside them is none.
 */
enum hokku_code output_check_folder(const char *out, const char *dir, struct hokku_error *err);

/* INVALID_REQUEST if out, its links followed, is the file at input. */
enum hokku_code output_check_file(const char *out, const char *input, struct hokku_error *err);

#endif
