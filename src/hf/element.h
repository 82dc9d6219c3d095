/* Element types of a folder's tensors that we read. */
#ifndef HF_ELEMENT_H
#define HF_ELEMENT_H

#include "gguf/safetensors.h"
#include "gguf/tensor_type.h"

struct hf_element {
	size_t bytes;
	enum tensor_type matrix; /* what a matrix of them is in the model */
	void (*to_f32)(const uint8_t *src, float *dst, size_t n);
};

/* NULL: a type that is not read. */
const struct hf_element *hf_element_get(enum st_dtype dtype);

#endif
