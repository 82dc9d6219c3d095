/* What convert and synth share: keys, declared in a file to be written. */
#ifndef CONVERT_PUT_H
#define CONVERT_PUT_H

#include "gguf/writer.h"
#include "hf/keys.h"

/* All keys of a model; keys are terminated texts. file_type: llama.cpp's number, added after general.name; -1
 * for a file without weights. */
void put_keys(struct gguf_writer *w, const struct gguf *model, int file_type);

/* The same of a list. */
void put_list(struct gguf_writer *w, const struct hf_keys *k, int file_type);

/* llama.cpp's number for a file whose matrices are all of a type; -1 if it has none. */
int file_type_of(enum tensor_type type);

#endif
