/* A Hugging Face folder of shards, of any bytes: it is refused with a message, or it is a model of which
 * every tensor can be read. The files stand one after another with a zero byte between: config.json,
 * tokenizer.json, model.safetensors.index.json; then the first shard, whose length the two bytes before it
 * say, and the second. */
#include <stddef.h>
#include <stdint.h>

#include "hf/folder.h"
#include "scratch.h"
#include "text/tokenizer.h"

static const char *const names[] = {"config.json", "tokenizer.json", "model.safetensors.index.json",
				    "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"};
enum { N_TEXTS = 3, N_FILES = 5, MAX_BYTES = 1 << 20 };

static void check_tensors(const struct gguf *g)
{
	static uint8_t bytes[MAX_BYTES];
	struct hokku_error err = {0};
	for (uint64_t i = 0; i < gguf_n_tensors(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);
		CHECK(t->n_elements > 0);
		if (t->n_bytes <= MAX_BYTES)
			CHECK(gguf_read(g, t->offset, bytes, t->n_bytes, &err) == HOKKU_OK);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	scratch_make(names, N_FILES);
	for (size_t i = 0; i < N_TEXTS; i++)
		scratch_put_text(i, &data, &size);
	size_t first = size >= 2 ? (size_t)data[0] | (size_t)data[1] << 8 : 0;
	data += size >= 2 ? 2 : size;
	size -= size >= 2 ? 2 : size;
	first = first < size ? first : size;
	scratch_put(N_TEXTS, data, first);
	scratch_put(N_TEXTS + 1, data + first, size - first);
	struct hokku_error err = {0};
	struct hf_folder *f;
	struct tok *t;
	if (hf_open(&(struct hf_options){.dir = scratch_dir}, &f, &err)) {
		CHECK(err.message[0]);
		return 0;
	}
	check_tensors(hf_model(f));
	if (tok_create(hf_model(f), &t, &err) == HOKKU_OK)
		tok_destroy(t);
	else
		CHECK(err.message[0]);
	hf_close(f);
	return 0;
}
