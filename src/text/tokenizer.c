/* Reads a vocabulary out of a GGUF file's metadata, and answers questions about it. */
#include <stdio.h>
#include <stdlib.h>

#include "text/tokenizer_internal.h"

static const char key_model[] = "tokenizer.ggml.model", key_tokens[] = "tokenizer.ggml.tokens",
		  key_types[] = "tokenizer.ggml.token_type", key_added[] = "tokenizer.ggml.added_tokens";

/* The tokenizers, by tokenizer.ggml.model. */
static const struct tok_model models[] = {
	{"gpt2", byte_bpe_open, byte_bpe_build, byte_bpe_encode, NULL},
	{"llama", spm_open, spm_build, spm_encode, spm_close},
};
enum { N_MODELS = sizeof models / sizeof *models };

static enum hokku_code no_memory(struct hokku_error *err)
{
	return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the vocabulary");
}

static enum hokku_code choose_model(const struct gguf *g, struct tok *t, struct hokku_error *err)
{
	struct str name;
	char quoted[64], list[64];
	size_t n = 0;
	enum hokku_code rc = gguf_get_str(g, key_model, &name, NULL, err);
	if (rc)
		return rc;
	for (size_t i = 0; i < N_MODELS; i++) {
		if (str_eq_c(name, models[i].name)) {
			t->model = &models[i];
			return t->model->open(g, t, err);
		}
		n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", models[i].name);
	}
	return err_set(err, HOKKU_BAD_FILE, "%s is %s; the tokenizer models known are %s", key_model,
		       str_quote(name, quoted, sizeof quoted), list);
}

/* Copies the token texts: t->pieces, t->piece_offsets. */
static enum hokku_code read_tokens(const struct gguf *g, struct tok *t, struct hokku_error *err)
{
	struct gguf_array array;
	enum hokku_code rc = gguf_get_array(g, key_tokens, GGUF_STRING, &array, NULL, err);
	if (rc)
		return rc;
	if (array.n == 0 || array.n > TOK_MAX_TOKENS)
		return err_set(err, HOKKU_BAD_FILE, "%s has %llu entries; 1 to %d are allowed", key_tokens,
			       (unsigned long long)array.n, TOK_MAX_TOKENS);
	t->n_vocab = (uint32_t)array.n;
	/* The encoded array holds the texts and more. */
	if (array.n_bytes > UINT32_MAX)
		return err_set(err, HOKKU_BAD_FILE, "%s has %llu bytes; %u are allowed", key_tokens,
			       (unsigned long long)array.n_bytes, UINT32_MAX);
	t->pieces = malloc(array.n_bytes + 1);
	t->bytes = malloc(array.n_bytes + 1);
	t->piece_offsets = calloc(array.n + 1, sizeof *t->piece_offsets);
	t->byte_offsets = calloc(array.n + 1, sizeof *t->byte_offsets);
	t->flags = malloc(array.n);
	t->whole = calloc(array.n, sizeof *t->whole);
	if (!t->pieces || !t->bytes || !t->piece_offsets || !t->byte_offsets || !t->flags || !t->whole)
		return no_memory(err);
	struct gguf_array_iter it;
	struct gguf_value value;
	uint32_t offset = 0;
	gguf_array_iter_init(&it, &array);
	for (uint32_t i = 0; i < t->n_vocab && gguf_array_next(&it, &value); i++) {
		if (value.string.len > TOK_MAX_TOKEN_BYTES)
			return err_set(err, HOKKU_BAD_FILE, "%s: token %u has %zu bytes; %d are allowed",
				       key_tokens, i, value.string.len, TOK_MAX_TOKEN_BYTES);
		if (value.string.len)
			memcpy(t->pieces + offset, value.string.ptr, value.string.len);
		offset += (uint32_t)value.string.len;
		t->piece_offsets[i + 1] = offset;
	}
	return HOKKU_OK;
}

static enum hokku_code read_types(const struct gguf *g, struct tok *t, bool *found, struct hokku_error *err)
{
	struct gguf_array array;
	memset(t->flags, TOK_NORMAL, t->n_vocab);
	enum hokku_code rc = gguf_get_array(g, key_types, GGUF_I32, &array, found, err);
	if (rc || !*found)
		return rc;
	if (array.n != t->n_vocab)
		return err_set(err, HOKKU_BAD_FILE, "%s has %llu entries; %s has %u", key_types,
			       (unsigned long long)array.n, key_tokens, t->n_vocab);
	for (uint32_t i = 0; i < t->n_vocab; i++) {
		int32_t type;
		memcpy(&type, array.data + 4 * (size_t)i, 4);
		if (type < TOK_NORMAL || type > TOK_BYTE)
			return err_set(err, HOKKU_BAD_FILE, "%s: token %u has type %d; %d to %d are allowed",
				       key_types, i, type, TOK_NORMAL, TOK_BYTE);
		t->flags[i] = (uint8_t)type;
	}
	return HOKKU_OK;
}

/* Tokens by their text. Of several with one text the last is found, as llama.cpp has it; empty ones stand for
 * nothing and may repeat. */
static enum hokku_code index_pieces(struct tok *t, struct string_table *by_piece, struct hokku_error *err)
{
	enum hokku_code rc = string_table_create(by_piece, t->n_vocab, t->pieces, t->piece_offsets, err);
	uint32_t n_again = 0, again = 0;
	int32_t first = -1;
	for (uint32_t id = 0; !rc && id < t->n_vocab; id++) {
		if (tok_piece(t, (int32_t)id).len == 0)
			continue;
		int32_t other = string_table_put(by_piece, id);
		if (other >= 0 && n_again++ == 0) {
			first = other;
			again = id;
		}
	}
	char quoted[64];
	if (n_again)
		tok_add_note(
			t,
			"%s: %u tokens have the text of an earlier one (token %u is %s, and so is token %d): "
			"text becomes the last of them",
			key_tokens, n_again, again, str_quote(tok_piece(t, first), quoted, sizeof quoted),
			first);
	return rc;
}

/* tokenizer.ggml.added_tokens names tokens of the vocabulary that were added to it; a normal one becomes
 * user-defined. */
static enum hokku_code read_added(const struct gguf *g, struct tok *t, const struct string_table *by_piece,
				  struct hokku_error *err)
{
	struct gguf_array array;
	bool found;
	enum hokku_code rc = gguf_get_array(g, key_added, GGUF_STRING, &array, &found, err);
	if (rc || !found)
		return rc;
	struct gguf_array_iter it;
	struct gguf_value value;
	gguf_array_iter_init(&it, &array);
	for (uint64_t i = 0; gguf_array_next(&it, &value); i++) {
		int32_t id = string_table_get(by_piece, value.string.ptr, value.string.len);
		if (id < 0) {
			char quoted[96];
			return err_set(err, HOKKU_BAD_FILE, "%s: entry %llu, %s, is no token of %s",
				       key_added, (unsigned long long)i,
				       str_quote(value.string, quoted, sizeof quoted), key_tokens);
		}
		if ((t->flags[id] & TOK_TYPE_MASK) == TOK_NORMAL)
			t->flags[id] = (uint8_t)((t->flags[id] & ~TOK_TYPE_MASK) | TOK_USER_DEFINED);
	}
	return HOKKU_OK;
}

enum hokku_code tok_create(const struct gguf *g, struct tok **out, struct hokku_error *err)
{
	*out = NULL;
	struct tok *t = calloc(1, sizeof *t);
	if (!t)
		return no_memory(err);
	t->bos = t->eos = t->unk = -1;
	struct string_table by_piece = {0};
	bool has_types = false;
	enum hokku_code rc = choose_model(g, t, err);
	if (!rc)
		rc = read_tokens(g, t, err);
	if (!rc)
		rc = read_types(g, t, &has_types, err);
	if (!rc)
		rc = index_pieces(t, &by_piece, err);
	if (!rc)
		rc = read_added(g, t, &by_piece, err);
	if (!rc)
		rc = tok_read_specials(g, t, has_types, err);
	if (!rc)
		rc = tok_read_strips(g, t, err);
	if (!rc)
		rc = t->model->build(g, t, &by_piece, err);
	if (!rc)
		tok_read_fim(g, t, &by_piece);
	string_table_destroy(&by_piece);
	if (rc) {
		tok_destroy(t);
		return rc;
	}
	*out = t;
	return HOKKU_OK;
}

void tok_destroy(struct tok *t)
{
	if (!t)
		return;
	if (t->model && t->model->close)
		t->model->close(t);
	pretok_destroy(t->pretok);
	string_table_destroy(&t->by_bytes);
	merges_destroy(&t->merges);
	added_destroy(&t->added);
	added_destroy(&t->normal);
	free(t->pieces);
	free(t->bytes);
	free(t->piece_offsets);
	free(t->byte_offsets);
	free(t->flags);
	free(t->whole);
	free(t);
}

const char *tok_kind(const struct tok *t)
{
	return t->kind;
}

uint32_t tok_n_vocab(const struct tok *t)
{
	return t->n_vocab;
}

static bool in_range(const struct tok *t, int32_t id)
{
	return id >= 0 && (uint32_t)id < t->n_vocab;
}

struct str tok_bytes(const struct tok *t, int32_t id)
{
	if (!in_range(t, id))
		return (struct str){"", 0};
	return (struct str){t->bytes + t->byte_offsets[id], t->byte_offsets[id + 1] - t->byte_offsets[id]};
}

struct str tok_piece(const struct tok *t, int32_t id)
{
	if (!in_range(t, id))
		return (struct str){"", 0};
	return (struct str){t->pieces + t->piece_offsets[id],
			    t->piece_offsets[id + 1] - t->piece_offsets[id]};
}

enum tok_type tok_type(const struct tok *t, int32_t id)
{
	return in_range(t, id) ? (enum tok_type)(t->flags[id] & TOK_TYPE_MASK) : TOK_UNUSED;
}

int32_t tok_find_special(const struct tok *t, struct str name)
{
	const struct added *const tries[] = {&t->added, &t->normal};
	for (size_t i = 0; i < 2; i++) {
		size_t at = 0, len;
		int32_t id;
		if (added_find(tries[i], name, &(struct added_trust){.all = true}, &at, &len, &id) &&
		    len == name.len)
			return id;
	}
	return -1;
}

int32_t tok_bos(const struct tok *t)
{
	return t->bos;
}

int32_t tok_fim(const struct tok *t, enum tok_fim which)
{
	return t->fim[which];
}

int32_t tok_eos(const struct tok *t)
{
	return t->eos;
}

const char *const *tok_notes(const struct tok *t)
{
	return t->note_list;
}

bool tok_is_end(const struct tok *t, int32_t id)
{
	return in_range(t, id) && (t->flags[id] & TOK_FLAG_END);
}
