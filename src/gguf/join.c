/*
 * The parts of a split model as one handle. Its keys are those of part 1, its tensors those of all parts in
 * their order, its bytes those of the files one after another. What the parts say of themselves must agree;
 * what else they say (they need not say anything) must be what part 1 says.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "gguf/gguf_internal.h"

struct gguf_joined {
	struct gguf **parts; /* (n) */
	uint64_t *begin;     /* (n + 1) of each part's bytes among all */
	uint32_t n;
};

static const char KEY_NO[] = "split.no", KEY_COUNT[] = "split.count", KEY_TENSORS[] = "split.tensors.count";

/* ---- the handle's bytes ---- */

/* The part that holds byte offset; the last one of what lies behind. */
static uint32_t part_at(const struct gguf_joined *j, uint64_t offset)
{
	uint32_t low = 0, high = j->n - 1;
	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;
		if (j->begin[middle] <= offset)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

static enum hokku_code joined_read(void *self, uint64_t offset, void *to, size_t n_bytes,
				   struct hokku_error *err)
{
	const struct gguf_joined *j = self;
	uint8_t *at = to;
	enum hokku_code rc = HOKKU_OK;
	for (uint32_t i = part_at(j, offset); n_bytes && i < j->n && !rc; i++) {
		uint64_t left = j->begin[i + 1] - offset;
		size_t some = left < n_bytes ? (size_t)left : n_bytes;
		rc = gguf_read(j->parts[i], offset - j->begin[i], at, some, err);
		offset += some;
		at += some;
		n_bytes -= some;
	}
	return rc;
}

static enum hokku_code joined_unchanged(void *self, struct hokku_error *err)
{
	const struct gguf_joined *j = self;
	enum hokku_code rc = HOKKU_OK;
	for (uint32_t i = 0; i < j->n && !rc; i++)
		rc = gguf_unchanged(j->parts[i], err);
	return rc;
}

static void joined_close(void *self)
{
	struct gguf_joined *j = self;
	for (uint32_t i = 0; i < j->n; i++)
		gguf_close(j->parts[i]);
	free(j->parts);
	free(j->begin);
	free(j);
}

uint32_t gguf_n_parts(const struct gguf *g)
{
	return g->joined ? g->joined->n : 0;
}

const struct gguf *gguf_part(const struct gguf *g, uint32_t i)
{
	return i < gguf_n_parts(g) ? g->joined->parts[i] : NULL;
}

uint32_t gguf_part_of(const struct gguf *g, uint64_t offset, uint64_t *in_part)
{
	uint32_t i = g->joined ? part_at(g->joined, offset) : 0;
	*in_part = g->joined ? offset - g->joined->begin[i] : offset;
	return i;
}

/* ---- do they belong together? ---- */

static enum hokku_code take_key(const struct gguf_joined *j, uint32_t i, const char *key, uint32_t *out,
				struct hokku_error *err)
{
	const struct gguf *g = j->parts[i];
	if (!gguf_find(g, key))
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: key %s is missing; part %" PRIu32 " of %" PRIu32
			       " of a split model is wanted, and each part has that key",
			       g->path, key, i + 1, j->n);
	return gguf_get_u32(g, key, out, NULL, err);
}

static enum hokku_code check_numbers(const struct gguf_joined *j, uint32_t i, uint32_t *n_tensors,
				     struct hokku_error *err)
{
	const struct gguf *g = j->parts[i], *first = j->parts[0];
	struct gguf_split_keys k = {0};
	enum hokku_code rc = take_key(j, i, KEY_COUNT, &k.count, err);
	if (!rc)
		rc = take_key(j, i, KEY_NO, &k.no, err);
	if (!rc)
		rc = take_key(j, i, KEY_TENSORS, &k.n_tensors, err);
	if (rc)
		return rc;
	if (k.count != j->n)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: split.count is %" PRIu32 "; %" PRIu32
			       " is wanted, as the files are named: it is a part of another model",
			       g->path, k.count, j->n);
	if (k.no != i && k.no < j->n)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: split.no is %" PRIu32 "; %" PRIu32 " is wanted, of part %" PRIu32
			       ": it is part %" PRIu32 " again, or has the name of another (%s is that part)",
			       g->path, k.no, i, i + 1, k.no + 1, j->parts[k.no]->path);
	if (k.no != i)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: split.no is %" PRIu32 "; %" PRIu32 " is wanted, of part %" PRIu32
			       " of %" PRIu32,
			       g->path, k.no, i, i + 1, j->n);
	if (i == 0)
		*n_tensors = k.n_tensors;
	if (k.n_tensors != *n_tensors)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: split.tensors.count is %" PRIu32 "; %" PRIu32
			       " is wanted, as in %s: they are parts of different models",
			       g->path, k.n_tensors, *n_tensors, first->path);
	return HOKKU_OK;
}

static bool is_split_key(struct str key)
{
	return str_eq_c(key, KEY_NO) || str_eq_c(key, KEY_COUNT) || str_eq_c(key, KEY_TENSORS);
}

static bool same_bytes(const void *a, uint64_t n_a, const void *b, uint64_t n_b)
{
	return n_a == n_b && (n_a == 0 || memcmp(a, b, n_a) == 0);
}

static bool same_value(const struct gguf_value *a, const struct gguf_value *b)
{
	if (a->type != b->type)
		return false;
	if (a->type == GGUF_STRING)
		return str_eq(a->string, b->string);
	if (a->type == GGUF_ARRAY)
		return a->array.type == b->array.type && a->array.n == b->array.n &&
		       same_bytes(a->array.data, a->array.n_bytes, b->array.data, b->array.n_bytes);
	return same_bytes(&a->u64, sizeof a->u64, &b->u64, sizeof b->u64);
}

/* Keys that a later part repeats. An alignment that it does not name is the usual one, whatever part 1 has:
 * llama.cpp writes such files. */
static enum hokku_code check_repeated(const struct gguf_joined *j, uint32_t i, struct hokku_error *err)
{
	const struct gguf *g = j->parts[i], *first = j->parts[0];
	char quoted[100], found[160], wanted[160];
	for (uint64_t k = 0; k < g->n_kv; k++) {
		const struct gguf_kv *kv = &g->kv[k];
		if (is_split_key(kv->key))
			continue;
		if (str_eq_c(kv->key, "general.alignment")) {
			if (g->alignment == first->alignment)
				continue;
			return err_set(err, HOKKU_BAD_FILE,
				       "%s: general.alignment is %" PRIu32 "; %" PRIu32
				       " is wanted, as in %s: they are parts of different models",
				       g->path, g->alignment, first->alignment, first->path);
		}
		int64_t row = gguf_index_find(&first->keys, kv->key);
		if (row < 0)
			return err_set(err, HOKKU_BAD_FILE,
				       "%s: it has the key %s, which %s has not: they are parts of different "
				       "models",
				       g->path, str_quote(kv->key, quoted, sizeof quoted), first->path);
		if (same_value(&kv->value, &first->kv[row].value))
			continue;
		gguf_describe(&kv->value, found, sizeof found);
		gguf_describe(&first->kv[row].value, wanted, sizeof wanted);
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: key %s is %s; %s is wanted, as in %s: they are parts of different models",
			       g->path, str_quote(kv->key, quoted, sizeof quoted), found, wanted,
			       first->path);
	}
	return HOKKU_OK;
}

static enum hokku_code check_sum(const struct gguf_joined *j, uint64_t wanted, struct hokku_error *err)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < j->n; i++)
		sum += j->parts[i]->n_tensors;
	if (sum != wanted)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: split.tensors.count is %" PRIu64 ", but the %" PRIu32
			       " parts hold %" PRIu64
			       " tensors: one of them is another model's, or was split otherwise",
			       j->parts[0]->path, wanted, j->n, sum);
	if (sum > GGUF_MAX_TENSORS)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: the %" PRIu32 " parts hold %" PRIu64 " tensors; at most %" PRIu64
			       " are allowed",
			       j->parts[0]->path, j->n, sum, GGUF_MAX_TENSORS);
	return HOKKU_OK;
}

static enum hokku_code check_parts(const struct gguf_joined *j, uint64_t *n_tensors, struct hokku_error *err)
{
	uint32_t wanted = 0;
	enum hokku_code rc = HOKKU_OK;
	for (uint32_t i = 0; i < j->n && !rc; i++)
		rc = check_numbers(j, i, &wanted, err);
	for (uint32_t i = 1; i < j->n && !rc; i++)
		rc = check_repeated(j, i, err);
	*n_tensors = wanted;
	return rc ? rc : check_sum(j, wanted, err);
}

/* ---- joining ---- */

/* Keys of part 1 without those that a whole model does not have. */
static uint64_t collect_keys(const struct gguf *first, struct gguf_kv *kv)
{
	uint64_t n = 0;
	for (uint64_t i = 0; i < first->n_kv; i++)
		if (!is_split_key(first->kv[i].key))
			kv[n++] = first->kv[i];
	return n;
}

static void collect_tensors(const struct gguf_joined *j, struct gguf_tensor *t)
{
	for (uint32_t i = 0; i < j->n; i++)
		for (uint64_t k = 0; k < j->parts[i]->n_tensors; k++, t++) {
			*t = j->parts[i]->tensors[k];
			t->offset += j->begin[i];
		}
}

/* order: scratch of n words. */
static enum hokku_code check_twice(const struct gguf_joined *j, const struct gguf_tensor *t, uint64_t n,
				   uint32_t *order, struct hokku_error *err)
{
	struct gguf_index index;
	int64_t first, twice;
	char quoted[100];
	gguf_index_build(&index, order, t, sizeof *t, n);
	twice = gguf_index_duplicate(&index, &first);
	if (twice < 0)
		return HOKKU_OK;
	return err_set(err, HOKKU_BAD_FILE,
		       "%s: tensor %s is in %s too; each tensor may be in one part: one of the files is "
		       "another model's, or was split otherwise",
		       j->parts[part_at(j, t[twice].offset)]->path,
		       str_quote(t[twice].name, quoted, sizeof quoted),
		       j->parts[part_at(j, t[first].offset)]->path);
}

static void take_over(struct gguf *g, struct gguf_joined *j)
{
	g->joined = j;
	g->reader.close = joined_close;
	g->version = j->parts[0]->version;
	g->alignment = j->parts[0]->alignment;
	for (uint32_t i = 0; i < j->n; i++)
		g->trailing_bytes += j->parts[i]->trailing_bytes;
}

/* The handle takes j over where this succeeds. */
static enum hokku_code make_handle(struct gguf_joined *j, uint64_t n_tensors, struct gguf **out,
				   struct hokku_error *err)
{
	const struct gguf *first = j->parts[0];
	struct gguf_kv *kv = calloc(first->n_kv, sizeof *kv); /* it has split.* at least */
	struct gguf_tensor *tensors = calloc(n_tensors + 1, sizeof *tensors);
	uint32_t *order = calloc(n_tensors + 1, sizeof *order);
	enum hokku_code rc = HOKKU_OUT_OF_MEMORY;
	if (!kv || !tensors || !order) {
		err_set(err, rc, "%s: no memory for the tensors of %" PRIu32 " parts", first->path, j->n);
	} else {
		const struct gguf_parts made = {
			.kv = kv,
			.n_kv = collect_keys(first, kv),
			.tensors = tensors,
			.n_tensors = n_tensors,
			.n_bytes = j->begin[j->n],
			.reader = {j, joined_read, joined_unchanged, NULL},
		};
		collect_tensors(j, tensors);
		rc = check_twice(j, tensors, n_tensors, order, err);
		if (!rc)
			rc = gguf_assemble(first->path, &made, out, err);
		if (!rc)
			take_over(*out, j);
	}
	free(kv);
	free(tensors);
	free(order);
	return rc;
}

enum hokku_code gguf_join(struct gguf *const *parts, uint32_t n, struct gguf **out, struct hokku_error *err)
{
	struct gguf_joined *j = calloc(1, sizeof *j);
	struct gguf **own = calloc(n, sizeof(struct gguf *));
	uint64_t *begin = calloc((size_t)n + 1, sizeof *begin), n_tensors;
	*out = NULL;
	if (!j || !own || !begin) {
		err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its parts", parts[0]->path);
		for (uint32_t i = 0; i < n; i++)
			gguf_close(parts[i]);
		free(j);
		free(own);
		free(begin);
		return HOKKU_OUT_OF_MEMORY;
	}
	memcpy(own, parts, n * sizeof(struct gguf *));
	*j = (struct gguf_joined){.parts = own, .begin = begin, .n = n};
	for (uint32_t i = 0; i < n; i++)
		begin[i + 1] = begin[i] + parts[i]->n_bytes;
	enum hokku_code rc = check_parts(j, &n_tensors, err);
	if (!rc)
		rc = make_handle(j, n_tensors, out, err);
	if (rc)
		joined_close(j);
	return rc;
}
