/* Small vocabularies made by hand: the 256 byte tokens come first (id = byte), then what a test adds. */
#ifndef TEST_TEXT_VOCAB_H
#define TEST_TEXT_VOCAB_H

#include "gguf/builder.h"
#include "text/tokenizer.h"

struct vocab {
	struct strbuf tokens, types, scores, merges, extra; /* encoded; extra: whole key-value pairs */
	uint32_t n_tokens, n_merges, n_extra;
	const char *model, *pre; /* NULL: key left out */
	bool no_types, no_merges;
	bool has_scores; /* v_scored was called */
};

#define VOCAB static inline __attribute__((unused))

/* Byte b in GPT-2's alphabet. Written from the published rule: printable Latin-1 as it is, the rest from
 * U+0100 on. */
VOCAB const char *alphabet(unsigned b, char out[3])
{
	unsigned c = b, other = 256;
	for (unsigned i = 0; i <= b; i++) {
		bool printable =
			(i >= '!' && i <= '~') || (i >= 0xA1 && i <= 0xAC) || (i >= 0xAE && i <= 0xFF);
		c = printable ? i : other++;
	}
	if (c < 128) {
		out[0] = (char)c;
		out[1] = '\0';
	} else {
		out[0] = (char)(0xC0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3F));
		out[2] = '\0';
	}
	return out;
}

VOCAB uint32_t v_token(struct vocab *v, const char *piece, enum tok_type type)
{
	b_str(&v->tokens, piece);
	b_u32(&v->types, (uint32_t)type);
	return v->n_tokens++;
}

VOCAB uint32_t v_scored(struct vocab *v, const char *piece, enum tok_type type, float score)
{
	uint32_t bits;
	memcpy(&bits, &score, 4);
	b_u32(&v->scores, bits);
	v->has_scores = true;
	return v_token(v, piece, type);
}

VOCAB void v_merge(struct vocab *v, const char *merge)
{
	b_str(&v->merges, merge);
	v->n_merges++;
}

/* Both: the merge "a b" and its token "ab". */
VOCAB uint32_t v_pair(struct vocab *v, const char *left, const char *right)
{
	char joined[512], merge[512];
	snprintf(joined, sizeof joined, "%s%s", left, right);
	snprintf(merge, sizeof merge, "%s %s", left, right);
	v_merge(v, merge);
	return v_token(v, joined, TOK_NORMAL);
}

VOCAB struct vocab v_new(const char *pre)
{
	struct vocab v = {.model = "gpt2", .pre = pre};
	char text[3];
	for (unsigned b = 0; b < 256; b++)
		v_token(&v, alphabet(b, text), TOK_NORMAL);
	return v;
}

VOCAB void v_key_u32(struct vocab *v, const char *key, uint32_t value)
{
	b_key_u32(&v->extra, key, value);
	v->n_extra++;
}

VOCAB void v_key_str(struct vocab *v, const char *key, const char *value)
{
	b_key_str(&v->extra, key, value);
	v->n_extra++;
}

VOCAB void v_key_bool(struct vocab *v, const char *key, bool value)
{
	b_key(&v->extra, key, GGUF_BOOL);
	b_u8(&v->extra, value);
	v->n_extra++;
}

VOCAB void v_array(struct strbuf *b, const char *key, uint32_t type, uint32_t n, const struct strbuf *encoded)
{
	b_key(b, key, GGUF_ARRAY);
	b_array(b, type, n);
	strbuf_add(b, encoded->ptr, encoded->len);
}

/* The file; v is used up. */
VOCAB struct strbuf v_file(struct vocab *v)
{
	struct strbuf b = {0};
	uint64_t n_kv =
		1u + !!v->model + !!v->pre + !v->no_types + !v->no_merges + v->has_scores + v->n_extra;
	b_header(&b, 3, 0, n_kv);
	if (v->model)
		b_key_str(&b, "tokenizer.ggml.model", v->model);
	if (v->pre)
		b_key_str(&b, "tokenizer.ggml.pre", v->pre);
	v_array(&b, "tokenizer.ggml.tokens", GGUF_STRING, v->n_tokens, &v->tokens);
	if (!v->no_types)
		v_array(&b, "tokenizer.ggml.token_type", GGUF_I32, v->n_tokens, &v->types);
	if (v->has_scores)
		v_array(&b, "tokenizer.ggml.scores", GGUF_F32, v->n_tokens, &v->scores);
	if (!v->no_merges)
		v_array(&b, "tokenizer.ggml.merges", GGUF_STRING, v->n_merges, &v->merges);
	strbuf_add(&b, v->extra.ptr, v->extra.len);
	strbuf_free(&v->tokens);
	strbuf_free(&v->types);
	strbuf_free(&v->scores);
	strbuf_free(&v->merges);
	strbuf_free(&v->extra);
	return b;
}

/* The tokenizer of v, or NULL with err filled. The file is closed and freed before this returns, so that a
 * sanitizer sees whatever was not copied. */
VOCAB struct tok *v_open(struct vocab *v, struct hokku_error *err)
{
	struct strbuf b = v_file(v);
	struct gguf *g;
	struct tok *t = NULL;
	void *copy;
	if (b_open(&b, &copy, &g, err))
		fail_msg("%s", err->message);
	enum hokku_code rc = tok_create(g, &t, err);
	assert_true(rc ? t == NULL && err->code == rc : t != NULL);
	gguf_close(g);
	free(copy);
	strbuf_free(&b);
	return t;
}

/* Ids as "1 2 3". */
VOCAB const char *v_ids(const struct tok *t, struct str text, unsigned flags, char *out, size_t size)
{
	struct tok_ids ids = {0};
	struct hokku_error err;
	size_t n = 0;
	out[0] = '\0';
	if (tok_encode(t, text, flags, &ids, &err))
		fail_msg("%s", err.message);
	for (size_t i = 0; i < ids.n && n < size; i++)
		n += (size_t)snprintf(out + n, size - n, i ? " %d" : "%d", ids.ids[i]);
	tok_ids_free(&ids);
	return out;
}

#define assert_ids(t, text, flags, want)                                                      \
	do {                                                                                  \
		char ids_[1024];                                                              \
		assert_string_equal(v_ids(t, STR_LIT(text), flags, ids_, sizeof ids_), want); \
	} while (0)

#endif
