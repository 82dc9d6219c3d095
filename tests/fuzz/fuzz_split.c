/* Two files of a split model out of any bytes: they are refused with a message, or make one model of which
 * everything can be read. The first two bytes say how long the first file is. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gguf/gguf_internal.h"

static void check_tensors(const struct gguf *g)
{
	struct hokku_error err;
	for (uint64_t i = 0; i < gguf_n_tensors(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);
		uint64_t at;
		const struct gguf *part = gguf_part(g, gguf_part_of(g, t->offset, &at));
		uint8_t *bytes = malloc(t->n_bytes + 1);
		char *name = strndup(t->name.ptr, t->name.len);
		if (!bytes || !name || gguf_find_tensor(g, name) != t)
			abort();
		/* Its bytes are in one part, which has it under the same name, and are those at data. */
		const struct gguf_tensor *own = gguf_find_tensor(part, name);
		if (!own || own->offset != at || own->n_bytes != t->n_bytes)
			abort();
		if (gguf_read(g, t->offset, bytes, t->n_bytes, &err) ||
		    memcmp(bytes, t->data, t->n_bytes) != 0)
			abort();
		free(bytes);
		free(name);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"m-00001-of-00002.gguf", "m-00002-of-00002.gguf"};
	struct gguf *parts[2] = {NULL, NULL}, *g = NULL;
	struct hokku_error err = {0};
	if (size < 2)
		return 0;
	size_t first = data[0] | (size_t)data[1] << 8;
	data += 2;
	size -= 2;
	if (first > size)
		first = size;
	if (gguf_open_memory(data, first, names[0], &parts[0], &err) ||
	    gguf_open_memory(data + first, size - first, names[1], &parts[1], &err)) {
		gguf_close(parts[0]);
		return 0;
	}
	uint64_t sum = gguf_n_tensors(parts[0]) + gguf_n_tensors(parts[1]);
	if (gguf_join(parts, 2, &g, &err)) {
		if (g || !strstr(err.message, ".gguf: "))
			abort();
		return 0;
	}
	if (gguf_n_tensors(g) != sum || gguf_n_parts(g) != 2 || gguf_file_bytes(g) != size ||
	    gguf_find(g, "split.count"))
		abort();
	check_tensors(g);
	gguf_close(g);
	return 0;
}
