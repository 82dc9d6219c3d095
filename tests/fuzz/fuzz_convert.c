/* A folder of any bytes (config.json, tokenizer.json, model.safetensors, with a zero byte after each of the
 * first two): it is refused with a message and no file, or it becomes a file that opens. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gguf/gguf.h"
#include "convert/convert.h"

static const char *const names[] = {"config.json", "tokenizer.json", "model.safetensors", "out.gguf"};
static char folder[] = "/dev/shm/hokku-fuzz-XXXXXX";
static char paths[4][64];

static void clean(void)
{
	for (size_t i = 0; i < 4; i++)
		unlink(paths[i]);
	rmdir(folder);
}

static void start(void)
{
	if (paths[0][0])
		return;
	if (!mkdtemp(folder))
		abort();
	for (size_t i = 0; i < 4; i++)
		snprintf(paths[i], sizeof paths[i], "%s/%s", folder, names[i]);
	atexit(clean);
}

static void put(const char *path, const uint8_t *bytes, size_t n)
{
	FILE *f = fopen(path, "wb");
	if (!f || fwrite(bytes, 1, n, f) != n || fclose(f))
		abort();
}

static bool too_much(void *user)
{
	return ++*(unsigned *)user > 64; /* 4 Mi elements: a shape may be large though its file is not */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	start();
	for (size_t i = 0; i < 3; i++) {
		const uint8_t *end = i < 2 && size ? memchr(data, 0, size) : NULL;
		size_t n = end ? (size_t)(end - data) : size;
		put(paths[i], data, n);
		data += end ? n + 1 : n;
		size -= end ? n + 1 : n;
	}
	unlink(paths[3]);
	unsigned asked = 0;
	struct hokku_error err = {0};
	const struct convert_options o = {.dir = folder,
					  .out = paths[3],
					  .type = TENSOR_Q8_0,
					  .observer = {.user = &asked, .stopped = too_much}};
	if (convert_hf(&o, &err)) {
		if (!err.message[0] || access(paths[3], F_OK) == 0)
			abort();
		return 0;
	}
	struct gguf *g;
	if (gguf_open_file(paths[3], &g, &err))
		abort();
	gguf_close(g);
	return 0;
}
