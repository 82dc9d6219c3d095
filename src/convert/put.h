/* What convert and synth share: the keys of a model and of its vocabulary, declared in a file to be written.
 */
#ifndef CONVERT_PUT_H
#define CONVERT_PUT_H

#include "gguf/writer.h"
#include "hf/hf.h"

/* The keys of general.* and of the architecture. file_type: llama.cpp's number, -1 for a file without
 * weights. */
void put_shape(struct gguf_writer *w, const struct hf_shape *s, const char *name, int file_type);

/* The keys of tokenizer.*. */
void put_vocab(struct gguf_writer *w, const struct vocab *v);

/* llama.cpp's number for a file whose matrices are all of a type; -1 if it has none. */
int file_type_of(enum tensor_type type);

#endif
