/*
 * SentencePiece's BPE: the first byte chooses among small fixed vocabularies (byte tokens or none, a blank
 * before the text or none, extra blanks kept or not), the rest is a text. Where nothing is lost the ids must
 * spell it, and ids of a text without byte tokens are what joining over the whole of it gives.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer.h"

#include "gguf_bytes.h"

#define BLANK "\xE2\x96\x81"

enum { HAS_BYTES = 1, HAS_PREFIX = 2, REMOVES_EXTRA = 4, N_KINDS = 8, MAX_NAIVE = 200 };

static const struct {
	const char *piece;
	float score;
} words[] = {{"a", -9},   {"b", -9},         {"c", -9},         {BLANK, -9},
	     {"t", -9},   {"h", -9},         {"e", -9},         {"ab", -3},
	     {"bc", -3},  {BLANK "a", -5},   {BLANK BLANK, -4}, {"th", -1},
	     {"the", -2}, {BLANK "the", -6}, {"abc", -1.5f},    {BLANK BLANK BLANK, -4},
	     {"aa", -7},  {"aaa", -8},       {"\xC3\xA9t", -2}, {"a" BLANK "b", -1}};
enum { N_WORDS = sizeof words / sizeof *words, N_SPECIAL = 3 };

static void put_array(struct strbuf *b, const char *key, uint32_t type, uint64_t n)
{
	put_key(b, key, GGUF_ARRAY);
	put_u32(b, type);
	put_u64(b, n);
}

static void put_bool(struct strbuf *b, const char *key, bool value)
{
	put_key(b, key, GGUF_BOOL);
	strbuf_add(b, &(char){value}, 1);
}

/* <unk> 0, <s> 1, <tool> 2, the words, the bytes. */
static struct tok *make(unsigned kind)
{
	unsigned n = N_SPECIAL + N_WORDS + (kind & HAS_BYTES ? 256 : 0);
	struct strbuf b = {0};
	strbuf_add_c(&b, "GGUF");
	put_u32(&b, 3);
	put_u64(&b, 0);
	put_u64(&b, 6);
	put_key(&b, "tokenizer.ggml.model", GGUF_STRING);
	put_str(&b, "llama");
	put_bool(&b, "tokenizer.ggml.add_space_prefix", kind & HAS_PREFIX);
	put_bool(&b, "tokenizer.ggml.remove_extra_whitespaces", kind & REMOVES_EXTRA);
	put_array(&b, "tokenizer.ggml.tokens", GGUF_STRING, n);
	put_str(&b, "<unk>");
	put_str(&b, "<s>");
	put_str(&b, "<tool>");
	for (unsigned i = 0; i < N_WORDS; i++)
		put_str(&b, words[i].piece);
	for (unsigned i = N_SPECIAL + N_WORDS; i < n; i++) {
		char name[16];
		snprintf(name, sizeof name, "<0x%02X>", i - N_SPECIAL - N_WORDS);
		put_str(&b, name);
	}
	put_array(&b, "tokenizer.ggml.scores", GGUF_F32, n);
	for (unsigned i = 0; i < n; i++) {
		float score = i >= N_SPECIAL && i < N_SPECIAL + N_WORDS ? words[i - N_SPECIAL].score : 0;
		strbuf_add(&b, &score, 4);
	}
	put_array(&b, "tokenizer.ggml.token_type", GGUF_I32, n);
	for (unsigned i = 0; i < n; i++)
		put_u32(&b, i == 0                    ? TOK_UNKNOWN
			    : i == 1                  ? TOK_CONTROL
			    : i == 2                  ? TOK_USER_DEFINED
			    : i < N_SPECIAL + N_WORDS ? TOK_NORMAL
						      : TOK_BYTE);
	struct gguf *g;
	struct tok *t;
	CHECK(gguf_open_memory(b.ptr, b.len, "fixed", &g, NULL) == HOKKU_OK);
	CHECK(tok_create(g, &t, NULL) == HOKKU_OK);
	gguf_close(g);
	strbuf_free(&b);
	return t;
}

static int word_of(const char *p, size_t n)
{
	for (int i = 0; i < N_WORDS; i++)
		if (strlen(words[i].piece) == n && memcmp(words[i].piece, p, n) == 0)
			return i;
	return -1;
}

/* The definition over a whole text of the words' characters. Returns how many ids, 0 where it holds others.
 */
static size_t by_definition(struct str text, int32_t *ids)
{
	size_t at[MAX_NAIVE + 1], n = 0;
	for (size_t i = 0; i < text.len;) {
		size_t bytes = text.len - i >= 3 && memcmp(text.ptr + i, BLANK, 3) == 0 ? 3 : 1;
		if (word_of(text.ptr + i, bytes) < 0)
			return 0;
		at[n++] = i;
		i += bytes;
	}
	for (at[n] = text.len;; n--) {
		size_t best = n;
		float score = 0;
		for (size_t i = 0; i + 1 < n; i++) {
			int word = word_of(text.ptr + at[i], at[i + 2] - at[i]);
			if (word >= 0 && (best == n || words[word].score > score)) {
				best = i;
				score = words[word].score;
			}
		}
		if (best == n)
			break;
		memmove(at + best + 1, at + best + 2, (n - best - 1) * sizeof *at);
	}
	for (size_t i = 0; i < n; i++)
		ids[i] = N_SPECIAL + word_of(text.ptr + at[i], at[i + 1] - at[i]);
	return n;
}

static void add_blanked(struct strbuf *b, struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == ' ')
			strbuf_add_c(b, BLANK);
		else
			strbuf_add(b, text.ptr + i, 1);
	}
}

/* U+2581 becomes a blank, as decoding has it. */
static void add_unblanked(struct strbuf *b, struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		bool is_blank = text.len - i >= 3 && memcmp(text.ptr + i, BLANK, 3) == 0;
		strbuf_add(b, is_blank ? " " : text.ptr + i, 1);
		i += is_blank ? 2 : 0;
	}
}

static void check(const struct tok *t, unsigned kind, struct str text, unsigned flags)
{
	struct tok_ids ids = {0};
	struct strbuf back = {0}, want = {0};
	CHECK(tok_encode(t, text, flags, &ids, NULL) == HOKKU_OK);
	for (size_t i = 0; i < ids.n; i++) {
		CHECK(ids.ids[i] >= 0 && (uint32_t)ids.ids[i] < tok_n_vocab(t));
		CHECK(flags || tok_type(t, ids.ids[i]) != TOK_CONTROL);
		CHECK(i == 0 || ids.ids[i] != 0 || ids.ids[i - 1] != 0 || flags); /* one <unk> a run */
		struct str bytes = tok_bytes(t, ids.ids[i]);
		strbuf_add(&back, bytes.ptr, bytes.len);
	}
	bool has_added = memmem(text.ptr, text.len, "<tool>", 6) != NULL;
	if (kind == HAS_BYTES && !flags) {
		add_unblanked(&want, text);
		CHECK(str_eq((struct str){want.ptr, want.len}, (struct str){back.ptr, back.len}));
	}
	if (!(kind & (REMOVES_EXTRA | HAS_PREFIX)) && !flags && !has_added && text.len < MAX_NAIVE / 3) {
		int32_t naive[MAX_NAIVE + 1];
		strbuf_clear(&want);
		add_blanked(&want, text);
		size_t n = by_definition((struct str){want.ptr, want.len}, naive);
		CHECK(n == 0 || (n == ids.n && memcmp(naive, ids.ids, n * sizeof *naive) == 0));
	}
	strbuf_free(&back);
	strbuf_free(&want);
	tok_ids_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tok *toks[N_KINDS];
	if (size == 0)
		return 0;
	unsigned kind = data[0] % N_KINDS;
	if (!toks[kind])
		toks[kind] = make(kind);
	struct str text = {(const char *)data + 1, size - 1};
	check(toks[kind], kind, text, 0);
	check(toks[kind], kind, text, TOK_PARSE_SPECIAL);
	return 0;
}
