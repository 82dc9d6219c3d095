/* Any bytes: they are refused with a message, or their tensors lie in the file, one after another. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gguf/safetensors.h"

static uint64_t check_tensor(const struct safetensors *st, const struct st_tensor *t, const uint8_t *data,
			     size_t size)
{
	const uint8_t *p = data + t->offset;
	uint64_t sum = t->n_elements, product = 1;
	char shape[64];
	uint8_t last;
	if (t->offset > size || t->n_bytes > size - t->offset)
		abort();
	if (t->n_bytes && (st_read(st, t, t->n_bytes - 1, &last, 1, NULL) || last != p[t->n_bytes - 1]))
		abort();
	if (t->n_dims > ST_MAX_DIMS || t->name.len == 0 || t->name.len > ST_MAX_NAME_BYTES)
		abort();
	for (uint32_t i = 0; i < ST_MAX_DIMS; i++)
		product *= t->dims[i];
	if (product != t->n_elements || strcmp(st_dtype_name(t->dtype), "unknown") == 0)
		abort();
	for (uint64_t i = 0; i < t->n_bytes; i++)
		sum += p[i];
	return sum + strlen(st_shape(t, shape, sizeof shape));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hokku_error err = {0};
	struct safetensors *st = NULL;
	if (st_open_memory(data, size, "fuzz", &st, &err)) {
		if (st || !err.message[0])
			abort();
		return 0;
	}
	uint64_t sum = 0, covered = 0;
	for (uint64_t i = 0; i < st_n_tensors(st); i++) {
		const struct st_tensor *t = st_tensor_at(st, i);
		char *name = strndup(t->name.ptr, t->name.len);
		if (!name || st_find(st, name) != t)
			abort();
		sum += check_tensor(st, t, data, size);
		covered += t->n_bytes;
		free(name);
	}
	if (covered > size - 8 || (st_n_tensors(st) && sum == 0))
		abort(); /* no byte belongs to two tensors; a shape is at least "[]" */
	st_close(st);
	return 0;
}
