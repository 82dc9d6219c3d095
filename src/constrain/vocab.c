#include "constrain/vocab_set.h"

#include <stdlib.h>
#include <string.h>

/* A token on its way into a trie. */
struct word {
	uint64_t head; /* its first eight bytes, the first one highest */
	uint32_t id;
	uint32_t n_bytes;
};

/* The code points of a plain text; 0: it is none. */
static uint32_t plain_length(const uint8_t *b, size_t n)
{
	uint32_t points = 0;
	for (size_t i = 0; i < n; points++) {
		uint8_t c = b[i];
		if (c < 0x80) {
			if (c < 0x20 || c == '"' || c == '\\')
				return 0;
			i++;
			continue;
		}
		size_t more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
		if (c < 0xC2 || c > 0xF4 || n - i <= more)
			return 0;
		uint32_t point = c & (0x3Fu >> more);
		for (size_t k = 1; k <= more; k++) {
			if ((b[i + k] & 0xC0) != 0x80)
				return 0;
			point = point << 6 | (b[i + k] & 0x3F);
		}
		if ((more == 2 && point < 0x800) || (more == 3 && point < 0x10000) || point > 0x10FFFF ||
		    (point >= 0xD800 && point < 0xE000))
			return 0;
		i += more + 1;
	}
	return points;
}

/* By head, lowest byte first, each byte in one stable pass; a byte that all share takes none. */
static void sort_heads(struct word *words, struct word *spare, uint32_t n)
{
	struct word *from = words, *to = spare;
	for (unsigned shift = 0; shift < 64; shift += 8) {
		uint32_t at[256] = {0}, sum = 0;
		for (uint32_t i = 0; i < n; i++)
			at[from[i].head >> shift & 255]++;
		if (at[from[0].head >> shift & 255] == n)
			continue;
		for (unsigned c = 0; c < 256; c++) {
			uint32_t count = at[c];
			at[c] = sum;
			sum += count;
		}
		for (uint32_t i = 0; i < n; i++)
			to[at[from[i].head >> shift & 255]++] = from[i];
		struct word *swap = from;
		from = to;
		to = swap;
	}
	if (from != words)
		memcpy(words, from, n * sizeof *words);
}

static int by_bytes(const void *a, const void *b, void *user)
{
	const struct constrain_vocab *v = user;
	const struct word *x = a, *y = b;
	uint32_t n = x->n_bytes < y->n_bytes ? x->n_bytes : y->n_bytes;
	int order = memcmp(v->bytes + v->offset[x->id], v->bytes + v->offset[y->id], n);
	if (order)
		return order;
	if (x->n_bytes != y->n_bytes)
		return x->n_bytes < y->n_bytes ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* By their bytes, then by id: the heads first, then each run of equal ones, which are longer than a head or
 * end in zero bytes. */
static void sort_words(const struct constrain_vocab *v, struct word *words, struct word *spare, uint32_t n)
{
	if (n == 0)
		return;
	sort_heads(words, spare, n);
	for (uint32_t i = 0, k; i < n; i = k) {
		for (k = i + 1; k < n && words[k].head == words[i].head; k++)
			;
		if (k - i > 1)
			/* NOLINTNEXTLINE(performance-no-int-to-ptr): qsort_r knows no const */
			qsort_r(&words[i], k - i, sizeof *words, by_bytes, (void *)(uintptr_t)v);
	}
}

static uint32_t shared_bytes(const struct constrain_vocab *v, const struct word *a, const struct word *b)
{
	const uint8_t *x = v->bytes + v->offset[a->id], *y = v->bytes + v->offset[b->id];
	uint32_t n = a->n_bytes < b->n_bytes ? a->n_bytes : b->n_bytes, i = 0;
	while (i < n && x[i] == y[i])
		i++;
	return i;
}

static bool trie_alloc(struct vocab_trie *t, uint32_t n_nodes, uint32_t n_words, bool plain)
{
	t->byte = calloc(n_nodes, 1);
	t->end = calloc(n_nodes, sizeof *t->end);
	t->tokens = calloc((size_t)n_nodes + 1, sizeof *t->tokens);
	t->ids = calloc((size_t)n_words + 1, sizeof *t->ids);
	t->longest = plain ? calloc(n_nodes, 1) : NULL;
	t->below = calloc(n_nodes, sizeof *t->below);
	return t->below && t->byte && t->end && t->tokens && t->ids && (t->longest || !plain);
}

/* Of sorted words. way (as many as the longest word has bytes, and one): the nodes on the way to the last
 * one. */
static bool make_trie(const struct constrain_vocab *v, const struct word *words, uint32_t n, bool plain,
		      struct vocab_trie *t, uint32_t *way)
{
	uint64_t n_nodes = 1;
	for (uint32_t i = 0; i < n; i++) {
		n_nodes += words[i].n_bytes - (i ? shared_bytes(v, &words[i - 1], &words[i]) : 0);
		t->depth = words[i].n_bytes > t->depth ? words[i].n_bytes : t->depth;
	}
	if (n_nodes > UINT32_MAX - 1 || !trie_alloc(t, (uint32_t)n_nodes, n, plain))
		return false;
	uint32_t next = 1, depth = 0; /* way[depth] is the last node there is */
	way[0] = 0;
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *bytes = v->bytes + v->offset[words[i].id];
		uint32_t shared = i ? shared_bytes(v, &words[i - 1], &words[i]) : 0;
		for (; depth > shared; depth--)
			t->end[way[depth]] = next;
		while (depth < words[i].n_bytes) {
			t->byte[next] = bytes[depth];
			t->tokens[next] = i;
			way[++depth] = next++;
		}
		t->ids[i] = words[i].id;
		if (plain) {
			uint32_t points = plain_length(bytes, words[i].n_bytes);
			uint8_t longest = points < 255 ? (uint8_t)points : 255;
			for (uint32_t k = depth + 1; k-- > 0 && t->longest[way[k]] < longest;)
				t->longest[way[k]] = longest;
		}
	}
	for (;; depth--) {
		t->end[way[depth]] = next;
		if (depth == 0)
			break;
	}
	t->n = next;
	t->tokens[next] = n;
	for (uint32_t i = next; i-- > 0;) /* children before parents */
		for (uint32_t k = i + 1; k < t->end[i]; k = t->end[k])
			t->below[i] |= t->below[k] |
				       (plain && t->byte[k] >= 0x80 ? VOCAB_BEYOND : vocab_kinds(t->byte[k]));
	return true;
}

static bool copy_bytes(struct constrain_vocab *v, const struct constrain_words *w)
{
	size_t cap = 8 * (size_t)w->n + 64, used = 0;
	v->bytes = malloc(cap);
	v->offset = calloc((size_t)w->n + 1, sizeof *v->offset);
	if (!v->bytes || !v->offset)
		return false;
	for (uint32_t i = 0; i < w->n; i++) {
		struct str b = w->bytes(w->user, i);
		if (b.len > VOCAB_MAX_BYTES)
			b.len = 0;
		if (b.len > cap - used) {
			cap = 2 * cap + b.len;
			uint8_t *more = cap <= UINT32_MAX ? realloc(v->bytes, cap) : NULL;
			if (!more)
				return false;
			v->bytes = more;
		}
		if (b.len)
			memcpy(v->bytes + used, b.ptr, b.len);
		used += b.len;
		v->offset[i + 1] = (uint32_t)used;
	}
	return true;
}

static uint64_t head_of(const uint8_t *b, uint32_t n)
{
	uint64_t head = 0;
	for (uint32_t i = 0; i < 8; i++)
		head = head << 8 | (i < n ? b[i] : 0);
	return head;
}

/* The words of both tries, plain ones from the front of words, others from its back on; their masks. */
static void part_words(struct constrain_vocab *v, struct word *words, uint32_t *n_plain, uint32_t *n_other)
{
	uint32_t first = 0, last = v->n_tokens;
	for (uint32_t i = 0; i < v->n_tokens; i++) {
		const uint8_t *b = v->bytes + v->offset[i];
		uint32_t n = v->offset[i + 1] - v->offset[i];
		if (n == 0)
			continue;
		struct word word = {head_of(b, n), i, n};
		uint32_t points = plain_length(b, n);
		if (n == 1)
			v->alphabet[b[0] / 64] |= UINT64_C(1) << b[0] % 64;
		if (points == 0) {
			words[--last] = word;
			continue;
		}
		words[first++] = word;
		v->longest_plain = points > v->longest_plain ? points : v->longest_plain;
		size_t row = points <= VOCAB_MAX_PLAIN ? points : VOCAB_MAX_PLAIN + 1;
		v->plain_masks[row * v->n_words + i / 32] |= UINT32_C(1) << i % 32;
	}
	for (size_t k = 1; k <= VOCAB_MAX_PLAIN + 1; k++)
		for (uint32_t i = 0; i < v->n_words; i++)
			v->plain_masks[k * v->n_words + i] |= v->plain_masks[(k - 1) * v->n_words + i];
	*n_plain = first;
	*n_other = v->n_tokens - last;
}

/* The tokens in which a JSON string can end. */
static bool find_quoted(struct constrain_vocab *v)
{
	for (int fill = 0; fill < 2; fill++) {
		v->n_quoted = 0;
		for (uint32_t i = 0; i < v->n_tokens; i++) {
			struct str b = vocab_bytes(v, (int32_t)i);
			if (!b.len || !memchr(b.ptr, '"', b.len))
				continue;
			if (fill)
				v->quoted[v->n_quoted] = i;
			v->n_quoted++;
		}
		if (!fill && !(v->quoted = malloc(((size_t)v->n_quoted + 1) * sizeof *v->quoted)))
			return false;
	}
	return true;
}

static bool make(struct constrain_vocab *v, const struct constrain_words *w)
{
	uint32_t n_plain = 0, n_other = 0;
	v->ends = malloc(((size_t)w->n_ends + 1) * sizeof *v->ends);
	v->plain_masks = calloc((size_t)(VOCAB_MAX_PLAIN + 2) * v->n_words, sizeof *v->plain_masks);
	struct word *words = malloc(((size_t)w->n + 1) * sizeof *words),
		    *spare = malloc(((size_t)w->n + 1) * sizeof *spare);
	uint32_t *way = malloc((VOCAB_MAX_BYTES + 1) * sizeof *way);
	bool good = v->ends && v->plain_masks && words && spare && way && copy_bytes(v, w);
	if (good) {
		if (w->n_ends)
			memcpy(v->ends, w->ends, w->n_ends * sizeof *v->ends);
		part_words(v, words, &n_plain, &n_other);
		struct word *other = words + (v->n_tokens - n_other);
		sort_words(v, words, spare, n_plain);
		sort_words(v, other, spare, n_other);
		v->sets = vocab_sets_new();
		good = v->sets && find_quoted(v) && make_trie(v, words, n_plain, true, &v->plain, way) &&
		       make_trie(v, other, n_other, false, &v->other, way);
	}
	free(words);
	free(spare);
	free(way);
	return good;
}

enum hokku_code constrain_vocab_new(const struct constrain_words *words, struct constrain_vocab **out,
				    struct hokku_error *err)
{
	if (words->n == 0 || words->n > VOCAB_MAX_TOKENS)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "a vocabulary of %u tokens: 1 to %d are possible for answers of a given shape",
			       words->n, VOCAB_MAX_TOKENS);
	struct constrain_vocab *v = calloc(1, sizeof *v);
	if (!v)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a vocabulary of %u tokens", words->n);
	v->n_tokens = words->n;
	v->n_words = (words->n + 31) / 32;
	v->n_ends = words->n_ends;
	v->encode = words->encode;
	v->find = words->find;
	v->user = words->user;
	if (!make(v, words)) {
		constrain_vocab_free(v);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a vocabulary of %u tokens", words->n);
	}
	if (v->plain.n + v->other.n == 2) {
		constrain_vocab_free(v);
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "none of the vocabulary's %u tokens has text: no shape can be written with it",
			       words->n);
	}
	*out = v;
	return HOKKU_OK;
}

static void trie_free(struct vocab_trie *t)
{
	free(t->byte);
	free(t->end);
	free(t->tokens);
	free(t->ids);
	free(t->longest);
	free(t->below);
}

void constrain_vocab_free(struct constrain_vocab *v)
{
	if (!v)
		return;
	trie_free(&v->plain);
	trie_free(&v->other);
	free(v->plain_masks);
	free(v->ends);
	free(v->quoted);
	vocab_sets_free(v->sets);
	free(v->bytes);
	free(v->offset);
	free(v);
}

bool vocab_is_end(const struct constrain_vocab *v, int32_t token)
{
	for (uint32_t i = 0; i < v->n_ends; i++)
		if (v->ends[i] == token)
			return true;
	return false;
}

int32_t vocab_find_token(const struct constrain_vocab *v, struct str name)
{
	int32_t found = v->find ? v->find(v->user, name) : -1;
	for (uint32_t i = 0; found < 0 && i < v->n_tokens; i++)
		if (name.len && str_eq(vocab_bytes(v, (int32_t)i), name))
			found = (int32_t)i;
	return found < 0 || (uint32_t)found >= v->n_tokens ? -1 : found;
}
