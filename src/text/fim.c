/* The tokens of a text with a gap: the file's keys name them, under new names or old; where it names none,
 * those of the published vocabularies are known by theirs. */
#include "text/tokenizer_internal.h"

enum { MAX_KEYS = 2, MAX_NAMES = 8 };

static const struct {
	const char *keys[MAX_KEYS], *names[MAX_NAMES];
} rows[] = {
	/* clang-format off */
	[TOK_FIM_PREFIX] = {
		{"tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"},
		{"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<\uff5cfim\u2581begin\uff5c>", "<PRE>", "\u2581<PRE>", "<|code_prefix|>",
		 "<|prefix|>"}},
	[TOK_FIM_SUFFIX] = {
		{"tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"},
		{"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<\uff5cfim\u2581hole\uff5c>", "<SUF>", "\u2581<SUF>", "<|code_suffix|>",
		 "<|suffix|>"}},
	[TOK_FIM_MIDDLE] = {
		{"tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"},
		{"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<\uff5cfim\u2581end\uff5c>", "<MID>", "\u2581<MID>", "<|code_middle|>",
		 "<|middle|>"}},
	[TOK_FIM_REPO] = {
		{"tokenizer.ggml.fim_rep_token_id"},
		{"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
	[TOK_FIM_FILE] = {
		{"tokenizer.ggml.fim_sep_token_id"},
		{"<|file_sep|>"}},
	/* clang-format on */
};
_Static_assert(sizeof rows / sizeof *rows == TOK_N_FIM, "a row each");

static int32_t by_key(const struct gguf *g, const struct tok *t, const char *key)
{
	uint32_t id = 0;
	bool found = false;
	enum hokku_code rc = gguf_get_u32(g, key, &id, &found, NULL);
	return !rc && found && id < t->n_vocab ? (int32_t)id : -1;
}

/* A token that only looks like one is none: text could become it. */
static int32_t by_name(const struct tok *t, const struct string_table *by_piece, const char *name)
{
	int32_t id = string_table_get(by_piece, name, strlen(name));
	enum tok_type type = id >= 0 ? tok_type(t, id) : TOK_NORMAL;
	return type == TOK_CONTROL || type == TOK_USER_DEFINED ? id : -1;
}

void tok_read_fim(const struct gguf *g, struct tok *t, const struct string_table *by_piece)
{
	for (size_t i = 0; i < TOK_N_FIM; i++) {
		int32_t id = -1;
		for (size_t k = 0; k < MAX_KEYS && rows[i].keys[k] && id < 0; k++)
			id = by_key(g, t, rows[i].keys[k]);
		for (size_t k = 0; k < MAX_NAMES && rows[i].names[k] && id < 0; k++)
			id = by_name(t, by_piece, rows[i].names[k]);
		t->fim[i] = id;
	}
}
