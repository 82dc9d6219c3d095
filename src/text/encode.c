#include <stdlib.h>

#include "text/nfc.h"
#include "text/tokenizer_internal.h"
#include "text/unicode.h"

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

enum hokku_code tok_push_byte(struct tok_work *w, unsigned char byte)
{
	int32_t id = w->t->byte_ids[byte];
	return id < 0 ? no_byte(w->err, byte) : tok_ids_push(w->out, id, w->err);
}

int32_t *tok_symbols(struct tok_work *w, size_t n_present, size_t n)
{
	if (n <= TOK_WORK_SMALL)
		return w->small;
	if (n > w->large_cap) {
		size_t cap = w->large_cap * 2 > n ? w->large_cap * 2 : n;
		int32_t *large = realloc(w->large, cap * sizeof *large);
		if (!large) {
			err_set(w->err, HOKKU_OUT_OF_MEMORY, "no memory for a piece of %zu symbols", n);
			return NULL;
		}
		w->large = large;
		w->large_cap = cap;
	}
	if (n_present && n_present <= TOK_WORK_SMALL)
		memcpy(w->large, w->small, n_present * sizeof *w->large);
	return w->large;
}

enum hokku_code tok_merge(struct tok_work *w, int32_t whole, int32_t *symbols, size_t *n)
{
	size_t n_before = *n;
	*n = bpe_merge(&w->t->merges, symbols, n_before);
	if (*n == 0)
		return err_set(w->err, HOKKU_OUT_OF_MEMORY, "no memory to merge a piece of %zu symbols",
			       n_before);
	if (whole >= 0)
		atomic_store_explicit(&w->t->whole[whole],
				      *n == 1 && symbols[0] == whole ? WHOLE_YES : WHOLE_NO,
				      memory_order_relaxed);
	return HOKKU_OK;
}

enum hokku_code tok_push_all(struct tok_work *w, const int32_t *ids, size_t n)
{
	if (w->out->cap - w->out->n < n) {
		enum hokku_code rc = grow(w->out, n, w->err);
		if (rc)
			return rc;
	}
	memcpy(w->out->ids + w->out->n, ids, n * sizeof *ids);
	w->out->n += n;
	return HOKKU_OK;
}

/* A piece that is a token of the vocabulary is that token only if merging gives it; what merging gives is
 * remembered at the token, so that common words cost one look-up. */
static enum hokku_code encode_piece(void *user, const char *piece, size_t n)
{
	struct tok_work *w = user;
	if (n == 1)
		return tok_push_byte(w, (unsigned char)piece[0]);
	int32_t whole = string_table_get(&w->t->by_bytes, piece, n);
	if (tok_is_whole(w->t, whole))
		return tok_ids_push(w->out, whole, w->err);
	int32_t *ids = tok_symbols(w, 0, n);
	if (!ids)
		return HOKKU_OUT_OF_MEMORY;
	for (size_t i = 0; i < n; i++) {
		ids[i] = w->t->byte_ids[(unsigned char)piece[i]];
		if (ids[i] < 0)
			return no_byte(w->err, (unsigned char)piece[i]);
	}
	enum hokku_code rc = tok_merge(w, whole, ids, &n);
	return rc ? rc : tok_push_all(w, ids, n);
}

/* Normalised text: the added tokens that are looked for in it, and what lies between cut into pieces. */
static enum hokku_code encode_normal(struct tok_work *w, struct str text)
{
	const struct tok *t = w->t;
	struct added_trust none = {.all = false};
	size_t done = 0, at = 0, len;
	int32_t id;
	enum hokku_code rc = HOKKU_OK;
	while (!rc && added_find(&t->normal, text, &none, &at, &len, &id)) {
		struct tok_span span = tok_span_of(t, text, done, &at, len, id);
		if (span.from > done)
			rc = pretok_split(t->pretok, &w->pretok,
					  (struct str){text.ptr + done, span.from - done}, encode_piece, w,
					  w->err);
		if (!rc && span.counts)
			rc = tok_ids_push(w->out, id, w->err);
		done = span.end;
	}
	if (!rc && (text.len > done || text.len == 0))
		rc = pretok_split(t->pretok, &w->pretok, (struct str){text.ptr + done, text.len - done},
				  encode_piece, w, w->err);
	return rc;
}

/* Valid stretches are normalised and cut on their own; a byte that is not part of valid UTF-8 is a piece of
 * its own. */
enum hokku_code byte_bpe_encode(struct tok_work *w, struct str text)
{
	enum hokku_code rc = HOKKU_OK;
	while (!rc && text.len) {
		struct str valid = {text.ptr, utf8_valid_prefix(text.ptr, text.len)};
		text.ptr += valid.len;
		text.len -= valid.len;
		if (valid.len && pretok_nfc(w->t->pretok))
			rc = nfc(valid, &w->normal, &valid, w->err);
		if (!rc)
			rc = encode_normal(w, valid);
		if (!rc && text.len) {
			rc = tok_push_byte(w, (unsigned char)text.ptr[0]);
			text.ptr++;
			text.len--;
		}
	}
	return rc;
}

/* The bytes of a blank (White_Space) that text begins with, or 0. */
static size_t blank_at(struct str text)
{
	uint32_t c;
	size_t n = text.len < 4 ? text.len : 4;
	if (n == 0 || ((unsigned char)text.ptr[0] >= 0x80 && utf8_valid_prefix(text.ptr, n) == 0))
		return 0;
	n = unicode_decode((const unsigned char *)text.ptr, &c);
	return unicode_of(c) & UNICODE_SPACE ? n : 0;
}

static size_t skip_after(struct str text, size_t at)
{
	for (size_t n; (n = blank_at((struct str){text.ptr + at, text.len - at})) > 0;)
		at += n;
	return at;
}

static size_t skip_before(struct str text, size_t from, size_t at)
{
	while (at > from) {
		size_t n = 1;
		while (n < 3 && at - from > n && ((unsigned char)text.ptr[at - n] & 0xC0) == 0x80)
			n++;
		if (blank_at((struct str){text.ptr + at - n, n}) != n)
			break;
		at -= n;
	}
	return at;
}

struct tok_span tok_span_of(const struct tok *t, struct str text, size_t done, size_t *at, size_t len,
			    int32_t id)
{
	struct tok_span s = {*at, *at + len, true};
	if (t->flags[id] & TOK_FLAG_LSTRIP)
		s.from = *at > done ? skip_before(text, done, *at) : done;
	if (t->flags[id] & TOK_FLAG_RSTRIP)
		s.end = skip_after(text, s.end);
	s.counts = s.from < s.end;
	s.end = s.counts ? s.end : done;
	*at += len;
	return s;
}

static enum hokku_code encode(const struct tok *t, struct str text, struct added_trust *trust, unsigned flags,
			      struct tok_ids *out, struct hokku_error *err)
{
	if (text.len > TOK_MAX_TEXT_BYTES)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "the text has %zu bytes; one call encodes %d at most", text.len,
			       TOK_MAX_TEXT_BYTES);
	struct tok_work w = {.t = t, .out = out, .err = err, .at_start = true};
	size_t n_before = out->n;
	enum hokku_code rc = HOKKU_OK;
	if ((flags & TOK_ADD_BOS) && t->add_bos && t->bos >= 0)
		rc = tok_ids_push(out, t->bos, err);
	size_t done = 0, at = 0, len;
	int32_t id;
	while (!rc && added_find(&t->added, text, trust, &at, &len, &id)) {
		struct tok_span span = tok_span_of(t, text, done, &at, len, id);
		if (span.from > done)
			rc = t->model->encode(&w, (struct str){text.ptr + done, span.from - done});
		if (!rc && span.counts)
			rc = tok_ids_push(out, id, err);
		done = span.end;
		w.at_start = false;
	}
	if (!rc && text.len > done)
		rc = t->model->encode(&w, (struct str){text.ptr + done, text.len - done});
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
