/* A folder in memory for targets that are given folders: made for the first input, gone at the end. */
#ifndef FUZZ_SCRATCH_H
#define FUZZ_SCRATCH_H

#include <stdio.h>
#include <unistd.h>

#include "gguf_bytes.h"

enum { SCRATCH_FILES = 8 };
static char scratch_dir[] = "/dev/shm/hokku-fuzz-XXXXXX";
static char scratch_paths[SCRATCH_FILES][80];

static void scratch_remove(void)
{
	for (size_t i = 0; i < SCRATCH_FILES; i++)
		unlink(scratch_paths[i]);
	rmdir(scratch_dir);
}

static inline void scratch_make(const char *const *names, size_t n)
{
	if (scratch_paths[0][0])
		return;
	CHECK(n <= SCRATCH_FILES && mkdtemp(scratch_dir) != NULL);
	for (size_t i = 0; i < n; i++)
		snprintf(scratch_paths[i], sizeof scratch_paths[i], "%s/%s", scratch_dir, names[i]);
	atexit(scratch_remove);
}

/* What file i holds from now on; without bytes there is no such file. */
static inline void scratch_put(size_t i, const uint8_t *bytes, size_t n)
{
	if (n == 0) {
		unlink(scratch_paths[i]);
		return;
	}
	FILE *f = fopen(scratch_paths[i], "wb");
	CHECK(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

/* The same, of the bytes before the next zero byte, which is passed over. */
static inline void scratch_put_text(size_t i, const uint8_t **data, size_t *size)
{
	const uint8_t *end = *size ? memchr(*data, 0, *size) : NULL;
	size_t n = end ? (size_t)(end - *data) : *size, passed = end ? n + 1 : n;
	scratch_put(i, *data, n);
	*data += passed;
	*size -= passed;
}

#endif
