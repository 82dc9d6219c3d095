/* A file read whole and opened from memory, so that its tensors' data can be looked at where they lie. */
#ifndef TEST_IN_MEMORY_H
#define TEST_IN_MEMORY_H

#include <stdlib.h>

#include "base/file.h"
#include "gguf/gguf.h"

/* The bytes stay until the program ends. */
static inline enum hokku_code open_in_memory(const char *path, struct gguf **out, struct hokku_error *err)
{
	enum { MAX = 1 << 30 };
	static char *kept[1024];
	static size_t n_kept;
	size_t n_bytes;
	*out = NULL;
	if (n_kept == sizeof kept / sizeof *kept)
		abort();
	enum hokku_code rc = file_read(path, MAX, &kept[n_kept], &n_bytes, err);
	return rc ? rc : gguf_open_memory(kept[n_kept++], n_bytes, path, out, err);
}

#endif
