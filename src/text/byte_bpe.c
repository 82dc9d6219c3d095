/* Byte-level BPE (tokenizer.ggml.model is "gpt2"): its pre-tokenizer, its alphabet and its merges, out of a
 * file's metadata. */
#include <stdio.h>
#include <stdlib.h>

#include "text/nfc.h"
#include "text/tokenizer_internal.h"
#include "text/unicode.h"

static const char key_pre[] = "tokenizer.ggml.pre", key_merges[] = "tokenizer.ggml.merges";

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

enum hokku_code byte_bpe_open(const struct gguf *g, struct tok *t, struct hokku_error *err)
{
	struct str pre;
	bool found;
	enum hokku_code rc = gguf_get_str(g, key_pre, &pre, &found, err);
	if (!rc && !found)
		pre = missing_pre(g, t);
	if (!rc)
		rc = pretok_create(pre, &t->pretok, err);
	if (rc)
		return rc;
	t->add_bos = pretok_add_bos(t->pretok);
	snprintf(t->kind, sizeof t->kind, "gpt2/%s", pretok_name(t->pretok));
	return HOKKU_OK;
}

static void mark(void *user, uint32_t id)
{
	((bool *)user)[id] = true;
}

/* The Rust tokenizers look for such a name as their normaliser writes it; of two that it writes alike the
 * first counts. */
static enum hokku_code put_normalised(struct tok *t, struct str name, int32_t id, struct hokku_error *err)
{
	struct strbuf buffer = {0};
	size_t at = 0, len = 0;
	int32_t other;
	enum hokku_code rc = HOKKU_OK;
	if (pretok_nfc(t->pretok) && utf8_valid_prefix(name.ptr, name.len) == name.len)
		rc = nfc(name, &buffer, &name, err);
	bool known = !rc &&
		     added_find(&t->normal, name, &(struct added_trust){.all = false}, &at, &len, &other) &&
		     len == name.len;
	if (!rc && !known)
		rc = added_put(&t->normal, name, id, false, err);
	strbuf_free(&buffer);
	return rc;
}

/* Names that are looked for in text: as it is, or once it is normalised. */
static enum hokku_code build_added(const struct gguf *g, struct tok *t, struct hokku_error *err)
{
	bool *normalised = calloc(t->n_vocab, sizeof *normalised);
	if (!normalised)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the added tokens");
	enum hokku_code rc = tok_each_own_id(g, t, "normalized", mark, normalised, NULL, err);
	for (uint32_t id = 0; !rc && id < t->n_vocab; id++) {
		unsigned type = t->flags[id] & TOK_TYPE_MASK;
		struct str piece = tok_piece(t, (int32_t)id);
		if (piece.len == 0 ||
		    (type != TOK_CONTROL && type != TOK_USER_DEFINED && type != TOK_UNKNOWN))
			continue;
		if (normalised[id] && type == TOK_USER_DEFINED)
			rc = put_normalised(t, piece, (int32_t)id, err);
		else
			rc = added_put(&t->added, piece, (int32_t)id, type != TOK_USER_DEFINED, err);
	}
	free(normalised);
	return rc;
}

/* What each token is in bytes, which tokens plain text can become, and which names are looked for in text. */
static enum hokku_code build_bytes(const struct gguf *g, struct tok *t, struct hokku_error *err)
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
	}
	if (!rc)
		rc = build_added(g, t, err);
	for (unsigned byte = 0; !rc && byte < 256; byte++) {
		char text = (char)byte;
		t->byte_ids[byte] = string_table_get(&t->by_bytes, &text, 1);
	}
	bool ignore_merges = pretok_ignore_merges(t->pretok);
	if (!rc)
		rc = tok_read_own_bool(g, "ignore_merges", &ignore_merges, err);
	if (!rc && ignore_merges)
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

enum hokku_code tok_read_merges(const struct gguf *g, struct tok *t, const struct string_table *by_piece,
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

enum hokku_code byte_bpe_build(const struct gguf *g, struct tok *t, const struct string_table *by_piece,
			       struct hokku_error *err)
{
	enum hokku_code rc = build_bytes(g, t, err);
	return rc ? rc : tok_read_merges(g, t, by_piece, err);
}
