/* A folder of any bytes: it is refused with a message and no file, or it becomes a file that opens. The files
 * stand one after another with a zero byte between: config.json, tokenizer.json, then, if the first byte of
 * all is '+', tokenizer_config.json, special_tokens_map.json, added_tokens.json and generation_config.json;
 * the rest is model.safetensors. */
#include <stddef.h>
#include <stdint.h>

#include "convert/convert.h"
#include "gguf/gguf.h"
#include "scratch.h"

/* The weights and the result last. */
static const char *const names[] = {
	"config.json",       "tokenizer.json",         "tokenizer_config.json", "special_tokens_map.json",
	"added_tokens.json", "generation_config.json", "model.safetensors",     "out.gguf"};
enum { N_SHORT = 2, N_TEXTS = 6, WEIGHTS = 6, OUT = 7, N_FILES = 8 };

static bool too_much(void *user)
{
	return ++*(unsigned *)user > 64; /* 4 Mi elements: a shape may be large though its file is not */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scratch_make(names, N_FILES);
	size_t n_texts = size && data[0] == '+' ? N_TEXTS : N_SHORT, n_left = 0;
	if (n_texts == N_TEXTS) {
		data++;
		size--;
	}
	for (size_t i = 0; i < N_TEXTS; i++)
		scratch_put_text(i, &data, i < n_texts ? &size : &n_left);
	scratch_put(WEIGHTS, data, size);
	scratch_put(OUT, NULL, 0);
	unsigned asked = 0;
	struct hokku_error err = {0};
	const struct convert_options o = {.dir = scratch_dir,
					  .out = scratch_paths[OUT],
					  .type = TENSOR_Q8_0,
					  .observer = {.user = &asked, .stopped = too_much}};
	if (convert_hf(&o, &err)) {
		CHECK(err.message[0] && access(scratch_paths[OUT], F_OK) != 0);
		return 0;
	}
	struct gguf *g;
	CHECK(gguf_open_file(scratch_paths[OUT], &g, &err) == HOKKU_OK);
	gguf_close(g);
	return 0;
}
