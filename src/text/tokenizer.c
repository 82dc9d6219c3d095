/* Reads a vocabulary out of a GGUF file's metadata, and answers questions about it. */
#include <stdio.h>
#include <stdlib.h>

#include "text/tokenizer_internal.h"

static const char key_model[] = "tokenizer.ggml.model", key_pre[] = "tokenizer.ggml.pre",
		  key_tokens[] = "tokenizer.ggml.tokens", key_types[] = "tokenizer.ggml.token_type",
		  key_merges[] = "tokenizer.ggml.merges", key_added[] = "tokenizer.ggml.added_tokens";

static enum hokku_code no_memory(struct hokku_error *err)
{
	return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the vocabulary");
}

/*
 * The byte alphabet of GPT-2: a vocabulary writes byte b as the character of that number where Latin-1 prints
 * it, and the 68 others, in order, as U+0100 and up. Returns the byte that character c stands for, or -1.
 */
static int alphabet_byte(uint32_t c)
{
	if ((c >= 33 && c <= 126) || (c >= 161 && c <= 172) || (c >= 174 && c <= 255))
		return (int)c;
	if (c < 256 || c > 323)
		return -1;
	c -= 256;
	return c <= 32 ? (int)c : c <= 66 ? (int)c - 33 + 127 : 173;
}

/* Turns a piece into its bytes; false if it holds a character outside the alphabet. out has room for n bytes.
 */
static bool alphabet_decode(const char *piece, size_t n, char *out, size_t *n_out)
{
	*n_out = 0;
	for (size_t i = 0; i < n;) {
		unsigned char c = (unsigned char)piece[i++];
		uint32_t character = c;
		if (c >= 0xC2 && c <= 0xC5 && i < n && ((unsigned char)piece[i] & 0xC0) == 0x80)
			character = (c & 0x1Fu) << 6 | ((unsigned char)piece[i++] & 0x3Fu);
		else if (c >= 0x80)
			return false;
		int byte = alphabet_byte(character);
		if (byte < 0)
			return false;
		out[(*n_out)++] = (char)byte;
	}
	return true;
}

/* The pre-tokenizer of a file that names none: what every published model of its architecture has. Files from
 * before the key was there are such. */
static struct str missing_pre(const struct gguf *g, struct tok *t)
{
	static const struct {
		const char *architecture, *pre;
	} usual[] = {{"qwen2", "qwen2"}};
	const struct gguf_value *v = gguf_find(g, "general.architecture");
	for (size_t i = 0; v && v->type == GGUF_STRING && i < sizeof usual / sizeof *usual; i++) {
		if (!str_eq_c(v->string, usual[i].architecture))
			continue;
		tok_add_note(t, "%s is missing: text is cut by %s's rules, since the architecture is %s",
			     key_pre, usual[i].pre, usual[i].architecture);
		return str_c(usual[i].pre);
	}
	tok_add_note(
		t,
		"%s is missing: text is cut by the rules of \"default\", which may not be the model's own; "
		"then its answers are worse: a file converted anew names its own",
		key_pre);
	return STR_LIT("default");
}

static enum hokku_code check_model(const struct gguf *g, struct tok *t, struct hokku_error *err)
{
	struct str model, pre;
	enum hokku_code rc = gguf_get_str(g, key_model, &model, NULL, err);
	if (rc)
		return rc;
	if (!str_eq_c(model, "gpt2")) {
		char quoted[64];
		return err_set(err, HOKKU_BAD_FILE, "%s is %s; the tokenizer models known are gpt2",
			       key_model, str_quote(model, quoted, sizeof quoted));
	}
	bool found;
	rc = gguf_get_str(g, key_pre, &pre, &found, err);
	if (!rc && !found)
		pre = missing_pre(g, t);
	if (!rc)
		rc = pretok_create(pre, &t->pretok, err);
	if (!rc)
		snprintf(t->kind, sizeof t->kind, "gpt2/%s", pretok_name(t->pretok));
	return rc;
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

/* Every text once; empty ones stand for nothing and may repeat. */
static enum hokku_code index_pieces(const struct tok *t, struct string_table *by_piece,
				    struct hokku_error *err)
{
	enum hokku_code rc = string_table_create(by_piece, t->n_vocab, t->pieces, t->piece_offsets, err);
	for (uint32_t id = 0; !rc && id < t->n_vocab; id++) {
		int32_t other =
			t->piece_offsets[id + 1] > t->piece_offsets[id] ? string_table_put(by_piece, id) : -1;
		if (other >= 0) {
			char quoted[96];
			rc = err_set(err, HOKKU_BAD_FILE, "%s: token %u is %s, and so is token %d",
				     key_tokens, id, str_quote(tok_piece(t, other), quoted, sizeof quoted),
				     other);
		}
	}
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

/* What each token is in bytes, which tokens plain text can become, and which names are looked for in text. */
static enum hokku_code build_bytes(struct tok *t, struct hokku_error *err)
{
	enum hokku_code rc = string_table_create(&t->by_bytes, t->n_vocab, t->bytes, t->byte_offsets, err);
	uint32_t offset = 0;
	for (uint32_t id = 0; !rc && id < t->n_vocab; id++) {
		struct str piece = tok_piece(t, (int32_t)id);
		unsigned type = t->flags[id] & TOK_TYPE_MASK;
		bool is_added = type == TOK_CONTROL || type == TOK_USER_DEFINED || type == TOK_UNKNOWN;
		size_t n = 0;
		bool is_text = !is_added && alphabet_decode(piece.ptr, piece.len, t->bytes + offset, &n);
		if (type == TOK_UNUSED) { /* stands for nothing, whatever it is called */
			n = 0;
		} else if (!is_text && piece.len) { /* written as it is */
			memcpy(t->bytes + offset, piece.ptr, piece.len);
			n = piece.len;
		}
		offset += (uint32_t)n;
		t->byte_offsets[id + 1] = offset;
		if (is_text && n && type == TOK_NORMAL)
			string_table_put(&t->by_bytes, id);
		if (is_added && n)
			rc = added_put(&t->added, piece, (int32_t)id, type != TOK_USER_DEFINED, err);
	}
	for (unsigned byte = 0; !rc && byte < 256; byte++) {
		char text = (char)byte;
		t->byte_ids[byte] = string_table_get(&t->by_bytes, &text, 1);
	}
	if (!rc && pretok_ignore_merges(t->pretok))
		for (uint32_t id = 0; id < t->n_vocab; id++)
			atomic_init(&t->whole[id], WHOLE_YES);
	return rc;
}

static enum hokku_code bad_merge(uint64_t i, struct str merge, const char *what, struct hokku_error *err)
{
	char quoted[96];
	return err_set(err, HOKKU_BAD_FILE, "%s: merge %llu, %s, %s", key_merges, (unsigned long long)i,
		       str_quote(merge, quoted, sizeof quoted), what);
}

static enum hokku_code read_merge(struct tok *t, const struct string_table *by_piece, uint64_t i,
				  struct str merge, struct hokku_error *err)
{
	const char *blank = merge.len > 1 ? memchr(merge.ptr + 1, ' ', merge.len - 1) : NULL;
	if (!blank || merge.len > 2 * TOK_MAX_TOKEN_BYTES + 1)
		return bad_merge(i, merge, "is not two tokens with a blank between", err);
	size_t n_left = (size_t)(blank - merge.ptr), n_right = merge.len - n_left - 1;
	char joined[2 * TOK_MAX_TOKEN_BYTES];
	memcpy(joined, merge.ptr, n_left);
	memcpy(joined + n_left, blank + 1, n_right);
	int32_t left = string_table_get(by_piece, merge.ptr, n_left);
	int32_t right = string_table_get(by_piece, blank + 1, n_right);
	int32_t made = string_table_get(by_piece, joined, n_left + n_right);
	if (left < 0 || right < 0)
		return bad_merge(i, merge,
				 left < 0 ? "has a left part that is no token"
					  : "has a right part that is no token",
				 err);
	if (made < 0)
		return bad_merge(i, merge, "makes no token of the vocabulary", err);
	/* Plain text never becomes a control token, not by merging either. */
	if ((t->flags[made] & TOK_TYPE_MASK) == TOK_CONTROL)
		return HOKKU_OK;
	uint64_t earlier;
	if (merges_put(&t->merges, (uint32_t)left, (uint32_t)right, i << 32 | (uint32_t)made, &earlier))
		return HOKKU_OK;
	char what[64];
	snprintf(what, sizeof what, "repeats merge %llu", (unsigned long long)(earlier >> 32));
	return bad_merge(i, merge, what, err);
}

static enum hokku_code read_merges(const struct gguf *g, struct tok *t, const struct string_table *by_piece,
				   struct hokku_error *err)
{
	struct gguf_array array;
	enum hokku_code rc = gguf_get_array(g, key_merges, GGUF_STRING, &array, NULL, err);
	if (rc)
		return rc;
	if (array.n > TOK_MAX_MERGES)
		return err_set(err, HOKKU_BAD_FILE, "%s has %llu entries; %d are allowed", key_merges,
			       (unsigned long long)array.n, TOK_MAX_MERGES);
	rc = merges_create(&t->merges, array.n, err);
	struct gguf_array_iter it;
	struct gguf_value value;
	gguf_array_iter_init(&it, &array);
	for (uint64_t i = 0; !rc && gguf_array_next(&it, &value); i++)
		rc = read_merge(t, by_piece, i, value.string, err);
	return rc;
}

enum hokku_code tok_create(const struct gguf *g, struct tok **out, struct hokku_error *err)
{
	*out = NULL;
	struct tok *t = calloc(1, sizeof *t);
	if (!t)
		return no_memory(err);
	t->bos = t->eos = -1;
	struct string_table by_piece = {0};
	bool has_types = false;
	enum hokku_code rc = check_model(g, t, err);
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
		rc = build_bytes(t, err);
	if (!rc)
		rc = read_merges(g, t, &by_piece, err);
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
	pretok_destroy(t->pretok);
	string_table_destroy(&t->by_bytes);
	merges_destroy(&t->merges);
	added_destroy(&t->added);
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
	size_t at = 0, len;
	int32_t id;
	bool found = added_find(&t->added, name, &(struct added_trust){.all = true}, &at, &len, &id);
	return found && len == name.len ? id : -1;
}

int32_t tok_bos(const struct tok *t)
{
	return t->bos;
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
