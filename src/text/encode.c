#include <stdlib.h>

#include "text/nfc.h"
#include "text/tokenizer_internal.h"

/* One call's working memory. Small pieces, nearly all of them, need none of the heap. */
enum { IDS_SMALL = 256 };
struct work {
	const struct tok *t;
	struct tok_ids *out;
	struct hokku_error *err;
	struct pretok_work pretok;
	struct strbuf normal; /* the text in NFC, when it was not */
	int32_t small[IDS_SMALL];
	int32_t *large;
	size_t large_cap;
};

static enum hokku_code grow(struct tok_ids *ids, size_t extra, struct hokku_error *err)
{
	size_t cap = ids->cap ? ids->cap : 64;
	while (cap - ids->n < extra)
		cap *= 2;
	int32_t *p = realloc(ids->ids, cap * sizeof *p);
	if (!p)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for %zu token ids", cap);
	ids->ids = p;
	ids->cap = cap;
	return HOKKU_OK;
}

enum hokku_code tok_ids_push(struct tok_ids *ids, int32_t id, struct hokku_error *err)
{
	if (ids->n == ids->cap) {
		enum hokku_code rc = grow(ids, 1, err);
		if (rc)
			return rc;
	}
	ids->ids[ids->n++] = id;
	return HOKKU_OK;
}

void tok_ids_free(struct tok_ids *ids)
{
	free(ids->ids);
	*ids = (struct tok_ids){0};
}

static enum hokku_code no_byte(struct hokku_error *err, unsigned char byte)
{
	return err_set(err, HOKKU_INVALID_REQUEST,
		       "the text holds the byte 0x%02x, for which the model's vocabulary has no token", byte);
}

static enum hokku_code push_byte(struct work *w, unsigned char byte)
{
	int32_t id = w->t->byte_ids[byte];
	return id < 0 ? no_byte(w->err, byte) : tok_ids_push(w->out, id, w->err);
}

/* The piece as ids of its bytes, in *ids. */
static enum hokku_code spell(struct work *w, const char *piece, size_t n, int32_t **ids)
{
	if (n <= IDS_SMALL) {
		*ids = w->small;
	} else {
		if (n > w->large_cap) {
			free(w->large);
			w->large = malloc(n * sizeof *w->large);
			w->large_cap = w->large ? n : 0;
			if (!w->large)
				return err_set(w->err, HOKKU_OUT_OF_MEMORY,
					       "no memory for a piece of %zu bytes", n);
		}
		*ids = w->large;
	}
	for (size_t i = 0; i < n; i++) {
		(*ids)[i] = w->t->byte_ids[(unsigned char)piece[i]];
		if ((*ids)[i] < 0)
			return no_byte(w->err, (unsigned char)piece[i]);
	}
	return HOKKU_OK;
}

/* A piece that is a token of the vocabulary is that token only if merging gives it; what merging gives is
 * remembered at the token, so that common words cost one look-up. */
static enum hokku_code encode_piece(void *user, const char *piece, size_t n)
{
	struct work *w = user;
	const struct tok *t = w->t;
	if (n == 1)
		return push_byte(w, (unsigned char)piece[0]);
	int32_t whole = string_table_get(&t->by_bytes, piece, n);
	if (whole >= 0) {
		if (atomic_load_explicit(&t->whole[whole], memory_order_relaxed) == WHOLE_YES)
			return tok_ids_push(w->out, whole, w->err);
	}
	int32_t *ids = NULL;
	enum hokku_code rc = spell(w, piece, n, &ids);
	if (rc)
		return rc;
	size_t n_ids = bpe_merge(&t->merges, ids, n);
	if (n_ids == 0)
		return err_set(w->err, HOKKU_OUT_OF_MEMORY, "no memory to merge a piece of %zu bytes", n);
	if (whole >= 0)
		atomic_store_explicit(&t->whole[whole], n_ids == 1 && ids[0] == whole ? WHOLE_YES : WHOLE_NO,
				      memory_order_relaxed);
	if (w->out->cap - w->out->n < n_ids) {
		rc = grow(w->out, n_ids, w->err);
		if (rc)
			return rc;
	}
	memcpy(w->out->ids + w->out->n, ids, n_ids * sizeof *ids);
	w->out->n += n_ids;
	return HOKKU_OK;
}

/* Text without added tokens. Valid stretches are normalised and cut on their own; a byte that is not part of
 * valid UTF-8 is a piece of its own. */
static enum hokku_code encode_plain(struct work *w, struct str text)
{
	enum hokku_code rc = HOKKU_OK;
	while (!rc && text.len) {
		struct str valid = {text.ptr, utf8_valid_prefix(text.ptr, text.len)};
		text.ptr += valid.len;
		text.len -= valid.len;
		if (valid.len && pretok_nfc(w->t->pretok))
			rc = nfc(valid, &w->normal, &valid, w->err);
		if (!rc)
			rc = pretok_split(w->t->pretok, &w->pretok, valid, encode_piece, w, w->err);
		if (!rc && text.len) {
			rc = push_byte(w, (unsigned char)text.ptr[0]);
			text.ptr++;
			text.len--;
		}
	}
	return rc;
}

static enum hokku_code encode(const struct tok *t, struct str text, struct added_trust *trust, unsigned flags,
			      struct tok_ids *out, struct hokku_error *err)
{
	if (text.len > TOK_MAX_TEXT_BYTES)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "the text has %zu bytes; one call encodes %d at most", text.len,
			       TOK_MAX_TEXT_BYTES);
	struct work w = {.t = t, .out = out, .err = err};
	size_t n_before = out->n;
	enum hokku_code rc = HOKKU_OK;
	if ((flags & TOK_ADD_BOS) && t->add_bos && t->bos >= 0)
		rc = tok_ids_push(out, t->bos, err);
	size_t done = 0, at = 0, len;
	int32_t id;
	while (!rc && added_find(&t->added, text, trust, &at, &len, &id)) {
		rc = encode_plain(&w, (struct str){text.ptr + done, at - done});
		if (!rc)
			rc = tok_ids_push(out, id, err);
		done = at += len;
	}
	if (!rc)
		rc = encode_plain(&w, (struct str){text.ptr + done, text.len - done});
	if (rc)
		out->n = n_before;
	pretok_work_free(&w.pretok);
	strbuf_free(&w.normal);
	free(w.large);
	return rc;
}

enum hokku_code tok_encode(const struct tok *t, struct str text, unsigned flags, struct tok_ids *out,
			   struct hokku_error *err)
{
	return encode(t, text, &(struct added_trust){.all = flags & TOK_PARSE_SPECIAL}, flags, out, err);
}

enum hokku_code tok_encode_parts(const struct tok *t, struct str text, const struct tok_part *parts,
				 size_t n_parts, unsigned flags, struct tok_ids *out, struct hokku_error *err)
{
	size_t n = 0;
	for (size_t i = 0; i < n_parts; i++)
		n += parts[i].len;
	if (n != text.len)
		return err_set(err, HOKKU_INTERNAL, "parts of %zu bytes of a text of %zu", n, text.len);
	return encode(t, text, &(struct added_trust){.parts = parts, .n_parts = n_parts}, flags, out, err);
}
