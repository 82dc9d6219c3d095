/* A folder of any bytes: it is refused with a message and no file, or it becomes a file that opens. The files
 * stand one after another with a zero byte between: config.json, tokenizer.json, then, if the first byte of
 * all is '+', tokenizer_config.json, special_tokens_map.json, added_tokens.json and generation_config.json;
 * the rest is model.safetensors. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "convert/convert.h"
#include "gguf/gguf.h"

/* The weights and the result last. */
static const char *const names[] = {
	"config.json",       "tokenizer.json",         "tokenizer_config.json", "special_tokens_map.json",
	"added_tokens.json", "generation_config.json", "model.safetensors",     "out.gguf"};
enum { N_SHORT = 2, N_TEXTS = 6, WEIGHTS = 6, OUT = 7, N_FILES = 8 };
static char folder[] = "/dev/shm/hokku-fuzz-XXXXXX";
static char paths[N_FILES][64];

static void clean(void)
{
	for (size_t i = 0; i < N_FILES; i++)
		unlink(paths[i]);
	rmdir(folder);
}

static void start(void)
{
	if (paths[0][0])
		return;
	if (!mkdtemp(folder))
		abort();
	for (size_t i = 0; i < N_FILES; i++)
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
	size_t n_texts = size && data[0] == '+' ? N_TEXTS : N_SHORT;
	if (n_texts == N_TEXTS) {
		data++;
		size--;
	}
	for (size_t i = 0; i < N_TEXTS; i++) {
		const uint8_t *end = i < n_texts && size ? memchr(data, 0, size) : NULL;
		size_t n = i >= n_texts ? 0 : end ? (size_t)(end - data) : size;
		if (n)
			put(paths[i], data, n);
		else
			unlink(paths[i]);
		data += end ? n + 1 : n;
		size -= end ? n + 1 : n;
	}
	put(paths[WEIGHTS], data, size);
	unlink(paths[OUT]);
	unsigned asked = 0;
	struct hokku_error err = {0};
	const struct convert_options o = {.dir = folder,
					  .out = paths[OUT],
					  .type = TENSOR_Q8_0,
					  .observer = {.user = &asked, .stopped = too_much}};
	if (convert_hf(&o, &err)) {
		if (!err.message[0] || access(paths[OUT], F_OK) == 0)
			abort();
		return 0;
	}
	struct gguf *g;
	if (gguf_open_file(paths[OUT], &g, &err))
		abort();
	gguf_close(g);
	return 0;
}
