/*
 * `golden_gguf DIR`: writes every golden model in every format as DIR/NAME.FORMAT.gguf, for programs that
 * read files. They get a vocabulary, since such programs want one: byte-level BPE, the 256 bytes in GPT-2's
 * order and, for the ids above, pairs of letters with their merges; token types are all normal, so that no id
 * ends a text by its type.
 */
#include "base/error.h"
#include "gguf/gguf.h"
#include "tiny_model.h"

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

static void put_vocabulary(struct gguf_writer *w, const struct tiny *t)
{
	static char names[MAX_VOCAB][5], pairs[MAX_VOCAB][8];
	struct str tokens[MAX_VOCAB], merges[MAX_VOCAB];
	int32_t types[MAX_VOCAB];
	size_t n = 0, n_merges = 0;
	TINY_NEED(t->n_vocab >= N_BYTES && t->n_vocab <= MAX_VOCAB);
	for (int printable = 1; printable >= 0; printable--)
		for (int byte = 0, others = 0; byte < N_BYTES; byte++)
			if (is_printable(byte) == printable)
				byte_letter(printable ? byte : 0x100 + others++, names[n++]);
	TINY_NEED(n == N_BYTES);
	for (; n < t->n_vocab; n++, n_merges++) {
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

int main(int argc, char **argv)
{
	struct tiny_set set;
	if (argc != 2) {
		fprintf(stderr, "usage: golden_gguf DIR\n");
		return 2;
	}
	tiny_load(&set);
	for (size_t i = 0; i < set.n_models; i++)
		for (const char *const *format = set.models[i].formats; *format; format++) {
			char path[4096];
			int n = snprintf(path, sizeof path, "%s/%s.%s.gguf", argv[1], set.models[i].name,
					 *format);
			TINY_NEED(n > 0 && (size_t)n < sizeof path);
			tiny_write_with(&set, &set.models[i], *format, path, put_vocabulary);
		}
	tiny_free(&set);
	return 0;
}
