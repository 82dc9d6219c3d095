/* Sets of strings: finite ones as words, others as expressions; and how words are written. */
#include "constrain/schema_internal.h"

#include <stdlib.h>

static int by_bytes(const void *a, const void *b)
{
	const struct str *x = a, *y = b;
	size_t n = x->len < y->len ? x->len : y->len;
	int c = n ? memcmp(x->ptr, y->ptr, n) : 0;
	return c ? c : (x->len > y->len) - (x->len < y->len);
}

void schema_sort(struct schema *s, struct str *words, uint32_t n)
{
	schema_work(s, n); /* some comparisons each: as long as a step */
	if (n)
		qsort(words, n, sizeof *words, by_bytes);
}

struct strings schema_words(struct schema *s, struct str *words, uint32_t n)
{
	uint32_t kept = 0;
	schema_sort(s, words, n);
	for (uint32_t i = 0; i < n; i++)
		if (!i || !str_eq(words[kept - 1], words[i]))
			words[kept++] = words[i];
	return (struct strings){.words = words, .n_words = kept, .rx = RX_NONE};
}

bool schema_strings_none(const struct strings *a)
{
	return !a->n_words && a->rx == RX_NONE;
}

void schema_write(struct strbuf *out, struct str text)
{
	static const char names[] = "\b\f\n\r\t", letters[] = "bfnrt";
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		const char *name = c ? strchr(names, c) : NULL;
		if (c == '"' || c == '\\')
			strbuf_addf(out, "\\%c", c);
		else if (name)
			strbuf_addf(out, "\\%c", letters[name - names]);
		else if (c < 0x20)
			strbuf_addf(out, "\\u%04x", c);
		else
			strbuf_add(out, text.ptr + i, 1);
	}
}

bool schema_key_in(struct schema *s, rx keys, struct str key)
{
	if (keys == s->any_text)
		return true;
	if (keys == RX_NONE)
		return false;
	struct strbuf b = {0};
	schema_work(s, 1 + key.len / 2);
	schema_write(&b, key);
	bool in = rx_matches(s->p, keys, b.ptr ? b.ptr : "", b.len), failed = b.failed;
	strbuf_free(&b);
	if (failed)
		schema_no_memory(s);
	return in;
}

/* Words of a that are among b's words or match its expression, or (in: false) do neither. */
static struct strings filter(struct schema *s, struct strings a, struct strings b)
{
	struct str *words = schema_alloc(s, a.n_words, sizeof *words);
	uint32_t n = 0, j = 0;
	schema_work(s, a.n_words);
	for (uint32_t i = 0; i < a.n_words; i++) {
		while (j < b.n_words && by_bytes(&b.words[j], &a.words[i]) < 0)
			j++;
		if ((j < b.n_words && str_eq(b.words[j], a.words[i])) || schema_key_in(s, b.rx, a.words[i]))
			words[n++] = a.words[i];
	}
	return (struct strings){.words = words, .n_words = n, .rx = RX_NONE};
}

static rx rx_both(struct schema *s, rx a, rx b)
{
	if (a == RX_NONE || b == RX_NONE)
		return RX_NONE;
	if (a == s->any_text || a == b)
		return b;
	if (b == s->any_text)
		return a;
	rx both = rx_and(s->p, a, b);
	return rx_alive(s->p, both) ? both : RX_NONE;
}

struct strings schema_strings_and(struct schema *s, struct strings a, struct strings b)
{
	if (a.rx == s->any_text)
		return b;
	if (b.rx == s->any_text)
		return a;
	struct strings out = filter(s, a, b);
	if (b.n_words && a.rx != RX_NONE) {
		struct strings other = filter(s, b, (struct strings){.rx = a.rx});
		out = schema_strings_or(s, out, other);
	}
	out.rx = rx_both(s, a.rx, b.rx);
	return out;
}

struct strings schema_strings_or(struct schema *s, struct strings a, struct strings b)
{
	struct strings out;
	if (!a.n_words || !b.n_words) {
		out = a.n_words ? a : b;
	} else {
		struct str *words = schema_alloc(s, (size_t)a.n_words + b.n_words, sizeof *words);
		memcpy(words, a.words, a.n_words * sizeof *words);
		memcpy(words + a.n_words, b.words, b.n_words * sizeof *words);
		schema_work(s, a.n_words + b.n_words);
		out = schema_words(s, words, a.n_words + b.n_words);
	}
	out.rx = a.rx == RX_NONE ? b.rx : b.rx == RX_NONE ? a.rx : rx_or(s->p, a.rx, b.rx);
	return out;
}

/* The bytes of the character at t. */
static size_t char_len(struct str t)
{
	unsigned char c = (unsigned char)*t.ptr;
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	return n < t.len ? n : t.len;
}

/* A character in all its ways of being written; those of ASCII are kept. */
static rx char_rx(struct schema *s, struct str c)
{
	rx *kept = c.len == 1 && (unsigned char)*c.ptr < 128 ? &s->chars[(unsigned char)*c.ptr] : NULL;
	if (kept && *kept)
		return *kept;
	rx r = rx_text(s->p, RX_JSON, c);
	if (kept)
		*kept = r;
	return r;
}

static rx word_rx(struct schema *s, struct str word)
{
	rx r = RX_EMPTY;
	while (word.len) {
		size_t n = word.len - 1; /* from the end, so that each step makes one node */
		while (n && ((unsigned char)word.ptr[n] & 0xc0) == 0x80)
			n--;
		r = rx_cat(s->p, char_rx(s, (struct str){word.ptr + n, word.len - n}), r);
		word.len = n;
	}
	return r;
}

/* As tree, but of words as they are, each character in all its ways of being written. */
static rx name_tree(struct schema *s, const struct str *words, uint32_t n, size_t at, uint32_t depth)
{
	rx *parts = schema_alloc(s, n, sizeof *parts);
	uint32_t n_parts = 0;
	for (uint32_t i = 0, j; i < n; i = j) {
		struct str rest = {words[i].ptr + at, words[i].len - at};
		j = i + 1;
		if (!rest.len) {
			parts[n_parts++] = RX_EMPTY;
			continue;
		}
		size_t same = char_len(rest);
		while (j < n && words[j].len - at >= same && memcmp(words[j].ptr + at, rest.ptr, same) == 0)
			j++;
		if (j == i + 1 || depth > 100) {
			j = i + 1;
			parts[n_parts++] = word_rx(s, rest);
			continue;
		}
		parts[n_parts++] = rx_cat(s->p, char_rx(s, (struct str){rest.ptr, same}),
					  name_tree(s, words + i, j - i, at + same, depth + 1));
	}
	return n_parts == 1 ? parts[0] : rx_or_many(s->p, parts, n_parts);
}

rx schema_names_rx(struct schema *s, struct str *words, uint32_t n)
{
	schema_sort(s, words, n);
	return n ? name_tree(s, words, n, 0, 0) : RX_NONE;
}

rx schema_strings_rx(struct schema *s, const struct strings *a)
{
	if (!a->n_words)
		return a->rx;
	rx words = name_tree(s, a->words, a->n_words, 0, 0);
	return a->rx == RX_NONE ? words : rx_or(s->p, words, a->rx);
}

struct strings schema_strings_not(struct schema *s, struct strings a)
{
	struct strings out = {.rx = RX_NONE};
	if (a.rx == s->any_text)
		return out;
	rx all = schema_strings_rx(s, &a);
	if (all == RX_NONE) {
		out.rx = s->any_text;
		return out;
	}
	rx rest = rx_and(s->p, s->any_text, rx_not(s->p, all));
	out.rx = rx_alive(s->p, rest) ? rest : RX_NONE;
	return out;
}

rx schema_word_rx(struct schema *s, struct str word, const char *after)
{
	struct strbuf b = {0};
	strbuf_add_c(&b, "\"");
	schema_write(&b, word);
	strbuf_add_c(&b, "\"");
	strbuf_add_c(&b, after);
	bool failed = b.failed;
	rx r = failed ? RX_NONE : rx_literal(s->p, b.ptr, b.len);
	strbuf_free(&b);
	if (failed)
		schema_no_memory(s);
	return r;
}

/* Written words n, sorted, which agree up to byte `at`: their rests as a tree, so that reading a byte leaves
 * those that go on with it alone. */
static rx tree(struct schema *s, const struct str *words, uint32_t n, size_t at, uint32_t depth);

rx schema_texts_rx(struct schema *s, struct str *texts, uint32_t n)
{
	schema_sort(s, texts, n);
	return n ? tree(s, texts, n, 0, 0) : RX_NONE;
}

static rx tree(struct schema *s, const struct str *words, uint32_t n, size_t at, uint32_t depth)
{
	struct str first = words[0], last = words[n - 1];
	if (n == 1 || depth > 100) {
		rx *all = schema_alloc(s, n, sizeof *all);
		for (uint32_t i = 0; i < n; i++)
			all[i] = rx_literal(s->p, words[i].ptr + at, words[i].len - at);
		return n == 1 ? all[0] : rx_or_many(s->p, all, n);
	}
	size_t same = at;
	while (same < first.len && same < last.len && first.ptr[same] == last.ptr[same])
		same++;
	rx branches[257];
	uint32_t n_branches = 0;
	for (uint32_t i = 0, j; i < n; i = j) {
		if (words[i].len == same) { /* also those that come twice: the first, as they are sorted */
			n_branches = 1;
			branches[0] = RX_EMPTY;
			j = i + 1;
			continue;
		}
		for (j = i + 1; j < n && words[j].ptr[same] == words[i].ptr[same]; j++)
			;
		branches[n_branches++] = tree(s, words + i, j - i, same, depth + 1);
	}
	return rx_cat(s->p, rx_literal(s->p, first.ptr + at, same - at),
		      rx_or_many(s->p, branches, n_branches));
}

rx schema_words_rx(struct schema *s, const struct str *words, uint32_t n)
{
	if (!n)
		return RX_NONE;
	struct str *written = schema_alloc(s, n, sizeof *written);
	struct strbuf b = {0};
	for (uint32_t i = 0; i < n && !b.failed; i++) {
		size_t start = b.len;
		strbuf_add_c(&b, "\"");
		schema_write(&b, words[i]);
		strbuf_add_c(&b, "\"");
		written[i] = (struct str){NULL, b.len - start};
	}
	bool failed = b.failed;
	char *copy = failed ? NULL : arena_alloc(&s->arena, b.len, 1);
	if (copy)
		memcpy(copy, b.ptr, b.len);
	strbuf_free(&b);
	if (!copy)
		schema_no_memory(s);
	for (uint32_t i = 0; i < n; copy += written[i++].len)
		written[i].ptr = copy;
	return schema_texts_rx(s, written, n);
}
