#include "text/spm.h"

#include "text/unicode.h"

/* The text as SentencePiece joins it, in w->normal: blanks as U+2581, one before it. */
static enum hokku_code normalise(struct tok_work *w, struct str text)
{
	const struct spm *s = w->t->spm;
	struct strbuf *b = &w->normal;
	strbuf_clear(b);
	while (s->remove_extra && text.len && text.ptr[0] == ' ') {
		text.ptr++;
		text.len--;
	}
	if (s->space_prefix && text.len && (w->at_start || !s->prefix_first) &&
	    !(s->prefix_once && (text.ptr[0] == ' ' || str_starts(text, STR_LIT(SPM_BLANK)))))
		strbuf_add(b, SPM_BLANK, SPM_BLANK_BYTES);
	for (size_t i = 0; i < text.len;) {
		const char *p = text.ptr + i, *blank = memchr(p, ' ', text.len - i);
		size_t n = blank ? (size_t)(blank - p) : text.len - i;
		strbuf_add(b, p, n);
		i += n;
		if (i == text.len)
			break;
		strbuf_add(b, SPM_BLANK, SPM_BLANK_BYTES);
		do
			i++;
		while (s->remove_extra && i < text.len && text.ptr[i] == ' ');
	}
	while (s->remove_extra && b->len >= SPM_BLANK_BYTES &&
	       memcmp(b->ptr + b->len - SPM_BLANK_BYTES, SPM_BLANK, SPM_BLANK_BYTES) == 0)
		b->len -= SPM_BLANK_BYTES;
	if (b->failed)
		return err_set(w->err, HOKKU_OUT_OF_MEMORY, "no memory to encode a text of %zu bytes",
			       text.len);
	return HOKKU_OK;
}

/* A character that is no token: its bytes, or the unknown token. One unknown token stands for a run of them.
 */
static enum hokku_code push_character(struct tok_work *w, uint32_t c, bool *after_unknown)
{
	unsigned char bytes[4];
	size_t n = unicode_encode(c, bytes);
	bool has_bytes = true;
	for (size_t i = 0; i < n; i++)
		has_bytes = has_bytes && w->t->byte_ids[bytes[i]] >= 0;
	if (!has_bytes && w->t->unk >= 0) {
		bool again = *after_unknown;
		*after_unknown = true;
		return again ? HOKKU_OK : tok_ids_push(w->out, w->t->unk, w->err);
	}
	*after_unknown = false;
	enum hokku_code rc = HOKKU_OK;
	for (size_t i = 0; !rc && i < n; i++)
		rc = tok_push_byte(w, bytes[i]);
	return rc;
}

static enum hokku_code push_symbols(struct tok_work *w, const int32_t *symbols, size_t n, bool *after_unknown)
{
	int32_t n_vocab = (int32_t)w->t->n_vocab;
	enum hokku_code rc = HOKKU_OK;
	for (size_t i = 0; !rc && i < n; i++) {
		int32_t symbol = symbols[i];
		if (symbol >= 0 && symbol < n_vocab) {
			*after_unknown = false;
			rc = tok_ids_push(w->out, symbol, w->err);
		} else {
			uint32_t c = symbol < 0 ? (uint32_t)(SPM_STRANGER - symbol)
						: w->t->spm->loose[symbol - n_vocab];
			rc = push_character(w, c, after_unknown);
		}
	}
	return rc;
}

/* What lies between two cuts. */
static enum hokku_code encode_piece(struct tok_work *w, struct str piece, int32_t *symbols, size_t n,
				    bool *after_unknown)
{
	enum hokku_code rc = HOKKU_OK;
	if (n > 1) {
		int32_t whole = string_table_get(&w->t->by_bytes, piece.ptr, piece.len);
		if (tok_is_whole(w->t, whole)) {
			*after_unknown = false;
			return tok_ids_push(w->out, whole, w->err);
		}
		rc = tok_merge(w, whole, symbols, &n);
	}
	return rc ? rc : push_symbols(w, symbols, n, after_unknown);
}

/* A stretch of valid UTF-8. */
static enum hokku_code encode_valid(struct tok_work *w, struct str text, bool *after_unknown)
{
	const struct spm *s = w->t->spm;
	const unsigned char *p = (const unsigned char *)text.ptr;
	for (size_t from = 0, i = 0; from < text.len; from = i) {
		int32_t *symbols = w->small;
		size_t n = 0;
		for (size_t bytes; i < text.len; i += bytes) {
			uint32_t c;
			bytes = unicode_decode(p + i, &c);
			int32_t symbol = spm_symbol(s, c);
			if (n &&
			    merges_get(&s->beside, (uint32_t)symbols[n - 1], (uint32_t)symbol) == MERGE_NONE)
				break;
			symbols = tok_symbols(w, n, n + 1);
			if (!symbols)
				return HOKKU_OUT_OF_MEMORY;
			symbols[n++] = symbol;
		}
		enum hokku_code rc =
			encode_piece(w, (struct str){text.ptr + from, i - from}, symbols, n, after_unknown);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

/* Text that is encoded by itself, with what of it is no UTF-8. */
static enum hokku_code encode_alone(struct tok_work *w, struct str text)
{
	bool after_unknown = false;
	enum hokku_code rc = HOKKU_OK;
	int32_t whole = w->t->spm->ignore_merges ? string_table_get(&w->t->by_bytes, text.ptr, text.len) : -1;
	if (whole >= 0)
		return tok_ids_push(w->out, whole, w->err);
	while (!rc && text.len) {
		struct str valid = {text.ptr, utf8_valid_prefix(text.ptr, text.len)};
		text.ptr += valid.len;
		text.len -= valid.len;
		rc = encode_valid(w, valid, &after_unknown);
		if (rc || !text.len)
			break;
		unsigned char byte = (unsigned char)text.ptr[0];
		if (w->t->byte_ids[byte] < 0 && w->t->unk >= 0) {
			rc = after_unknown ? HOKKU_OK : tok_ids_push(w->out, w->t->unk, w->err);
			after_unknown = true;
		} else {
			rc = tok_push_byte(w, byte);
			after_unknown = false;
		}
		text.ptr++;
		text.len--;
	}
	return rc;
}

/* Normalised text without added tokens. */
static enum hokku_code encode_between(struct tok_work *w, struct str text)
{
	enum hokku_code rc = HOKKU_OK;
	while (!rc && text.len) {
		const char *cut = NULL;
		if (w->t->spm->split_at_spaces)
			cut = memmem(text.ptr + 1, text.len - 1, SPM_BLANK, SPM_BLANK_BYTES);
		size_t n = cut ? (size_t)(cut - text.ptr) : text.len;
		rc = encode_alone(w, (struct str){text.ptr, n});
		text.ptr += n;
		text.len -= n;
	}
	return rc;
}

enum hokku_code spm_encode(struct tok_work *w, struct str text)
{
	const struct tok *t = w->t;
	struct added_trust all = {.all = true};
	size_t done = 0, at = 0, len;
	int32_t id;
	enum hokku_code rc = normalise(w, text);
	text = (struct str){w->normal.ptr, w->normal.len};
	while (!rc && added_find(&t->spm->normal, text, &all, &at, &len, &id)) {
		struct tok_span span = tok_span_of(t, text, done, &at, len, id);
		if (span.from > done)
			rc = encode_between(w, (struct str){text.ptr + done, span.from - done});
		if (!rc && span.counts)
			rc = tok_ids_push(w->out, id, w->err);
		done = span.end;
	}
	if (!rc && text.len > done)
		rc = encode_between(w, (struct str){text.ptr + done, text.len - done});
	return rc;
}
