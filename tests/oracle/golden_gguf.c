/*
 * `golden_gguf DIR`: writes every golden model in every format as DIR/NAME.FORMAT.gguf, for programs that
 * read files; `golden_gguf DIR archs`: those of golden/archs as llama.cpp's converter wrote them, in float32,
 * as DIR/NAME.gguf, one of them with 64 layers (below), and their folders as DIR/NAME. They get a vocabulary,
 * since such programs want one: byte-level BPE, the 256 bytes in GPT-2's order and, for the ids above, pairs
 * of letters with their merges; token types are all normal, so that no id ends a text by its type.
 */
#include "arch_model.h"
#include "base/error.h"
#include "gguf/gguf.h"

enum { N_BYTES = 256, MAX_VOCAB = 1024 };

/* GPT-2's letter for a byte: itself where that is printable, else one from U+0100 upwards in the bytes'
 * order. */
static bool is_printable(int byte)
{
	return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

static void byte_letter(int code_point, char out[5])
{
	if (code_point < 0x80)
		snprintf(out, 5, "%c", code_point);
	else
		snprintf(out, 5, "%c%c", 0xC0 | code_point >> 6, 0x80 | (code_point & 0x3F));
}

static void put_vocabulary(struct gguf_writer *w, uint32_t n_vocab)
{
	static char names[MAX_VOCAB][5], pairs[MAX_VOCAB][8];
	struct str tokens[MAX_VOCAB], merges[MAX_VOCAB];
	int32_t types[MAX_VOCAB];
	size_t n = 0, n_merges = 0;
	TINY_NEED(n_vocab >= N_BYTES && n_vocab <= MAX_VOCAB);
	for (int printable = 1; printable >= 0; printable--)
		for (int byte = 0, others = 0; byte < N_BYTES; byte++)
			if (is_printable(byte) == printable)
				byte_letter(printable ? byte : 0x100 + others++, names[n++]);
	TINY_NEED(n == N_BYTES);
	for (; n < n_vocab; n++, n_merges++) {
		char first = (char)('a' + n_merges % 26), second = (char)('a' + n_merges / 26 % 26);
		snprintf(names[n], sizeof names[n], "%c%c", first, second);
		snprintf(pairs[n_merges], sizeof pairs[n_merges], "%c %c", first, second);
		merges[n_merges] = str_c(pairs[n_merges]);
	}
	for (size_t i = 0; i < n; i++) {
		tokens[i] = str_c(names[i]);
		types[i] = 1; /* normal */
	}
	gguf_put_str(w, "tokenizer.ggml.model", STR_LIT("gpt2"));
	gguf_put_str(w, "tokenizer.ggml.pre", STR_LIT("qwen2"));
	gguf_put_str_array(w, "tokenizer.ggml.tokens", tokens, n);
	gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, types, n);
	gguf_put_str_array(w, "tokenizer.ggml.merges", merges, n_merges);
	gguf_put_bool(w, "tokenizer.ggml.add_bos_token", false);
}

static void put_tiny(struct gguf_writer *w, const struct tiny *t)
{
	put_vocabulary(w, t->n_vocab);
}

static void write_models(const char *dir)
{
	struct tiny_set set;
	tiny_load(&set);
	for (size_t i = 0; i < set.n_models; i++)
		for (const char *const *format = set.models[i].formats; *format; format++) {
			char path[4096];
			int n = snprintf(path, sizeof path, "%s/%s.%s.gguf", dir, set.models[i].name,
					 *format);
			TINY_NEED(n > 0 && (size_t)n < sizeof path);
			tiny_write_with(&set, &set.models[i], *format, path, put_tiny);
		}
	tiny_free(&set);
}

/* llama.cpp gives EXAONE 4 its windows in a model of 64 layers alone: the same four layers again and again,
 * without the list that says which of them have one. */
static void write_deep(const struct arch_entry *a, const char *dir)
{
	enum { N_LAYERS = 64, N_OWN = 4 };
	struct arch_entry deep = *a;
	char path[4096], name[128];
	json_t *keys, *tensors = json_array(), *row;
	size_t i;
	deep.gguf = json_deep_copy(a->gguf);
	keys = json_object_get(deep.gguf, "keys");
	json_object_set_new(keys, "exaone4.block_count", json_integer(N_LAYERS));
	json_object_del(keys, "exaone4.attention.sliding_window_pattern");
	json_array_foreach(json_object_get(deep.gguf, "tensors"), i, row)
	{
		unsigned layer = 0;
		int at = 0;
		const char *own = json_string_value(json_array_get(row, 0));
		if (sscanf(own, "blk.%u.%n", &layer, &at) != 1 || at == 0)
			json_array_append(tensors, row);
		for (unsigned l = layer; at && layer < N_OWN && l < N_LAYERS; l += N_OWN) {
			json_t *copy = json_copy(row);
			snprintf(name, sizeof name, "blk.%u.%s", l, own + at);
			json_array_set_new(copy, 0, json_string(name));
			json_array_append_new(tensors, copy);
		}
	}
	json_object_set_new(deep.gguf, "tensors", tensors);
	int n = snprintf(path, sizeof path, "%s/%s-64.gguf", dir, a->name);
	TINY_NEED(n > 0 && (size_t)n < sizeof path);
	arch_write_gguf_with(&deep, TENSOR_F32, path, put_vocabulary);
	json_decref(deep.gguf);
}

static void write_archs(const char *dir)
{
	struct arch_set set;
	arch_load(&set);
	write_deep(arch_find(&set, "exaone4-window"), dir);
	for (size_t i = 0; i < set.n; i++) {
		char folder[256], path[300];
		int n = snprintf(folder, sizeof folder, "%s/%s", dir, set.entries[i].name);
		TINY_NEED(n > 0 && (size_t)n < sizeof folder);
		arch_write_folder(&set.entries[i], folder, NULL);
		snprintf(path, sizeof path, "%s.gguf", folder);
		arch_write_gguf_with(&set.entries[i], TENSOR_F32, path, put_vocabulary);
	}
	arch_free(&set);
}

int main(int argc, char **argv)
{
	bool archs = argc == 3 && strcmp(argv[2], "archs") == 0;
	if (argc != 2 && !archs) {
		fprintf(stderr, "usage: golden_gguf DIR [archs]\n");
		return 2;
	}
	if (archs)
		write_archs(argv[1]);
	else
		write_models(argv[1]);
	return 0;
}
