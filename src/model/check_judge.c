#include "model/check_judge.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void check_runs_add(struct check_runs *r, uint64_t begin, uint64_t end)
{
	if (r->n == r->cap) {
		size_t cap = r->cap ? 2 * r->cap : 16;
		struct check_run *list = realloc(r->list, cap * sizeof *list);
		if (!list) {
			r->failed = true;
			return;
		}
		r->list = list;
		r->cap = cap;
	}
	r->list[r->n++] = (struct check_run){begin, end};
}

bool check_part_of(const struct check_run *run, const struct gguf_tensor *t,
		   const struct check_layout *layout, struct check_finding *out)
{
	uint64_t begin = run->begin > t->offset ? run->begin : t->offset;
	uint64_t tensor_end = t->offset + t->n_bytes, end = run->end < tensor_end ? run->end : tensor_end;
	if (begin >= end || !layout->is_number)
		return false;
	*out = (struct check_finding){.tensor = t,
				      .kind = CHECK_ZEROS,
				      .n = end - begin,
				      .first = (begin - t->offset) / layout->unit_bytes *
					       layout->unit_elements,
				      .begin = run->begin,
				      .end = run->end};
	return true;
}

/* ---- joining ---- */

static int by_begin(const void *a, const void *b)
{
	const struct check_run *x = a, *y = b;
	return (x->begin > y->begin) - (x->begin < y->begin);
}

/* Is all between from and to padding after a tensor that ends at from, before one that begins at to? */
static bool is_padding(const struct check_judge *j, uint64_t from, uint64_t to)
{
	uint64_t low = 0, high = j->n;
	while (low < high) { /* the first tensor that begins at `to` or later */
		uint64_t middle = low + (high - low) / 2;
		if (j->tensors[middle]->offset < to)
			low = middle + 1;
		else
			high = middle;
	}
	uint64_t at;
	return low > 0 && low < j->n && j->tensors[low]->offset == to &&
	       gguf_part_of(j->file, from - 1, &at) == gguf_part_of(j->file, to, &at) &&
	       j->tensors[low - 1]->offset + j->tensors[low - 1]->n_bytes == from &&
	       to - from < gguf_alignment(j->file);
}

static void join(const struct check_judge *j, struct check_runs *r)
{
	size_t n = 0;
	if (r->n)
		qsort(r->list, r->n, sizeof *r->list, by_begin);
	for (size_t i = 0; i < r->n; i++) {
		struct check_run *last = n ? &r->list[n - 1] : NULL;
		if (last && (last->end == r->list[i].begin || is_padding(j, last->end, r->list[i].begin)))
			last->end = r->list[i].end;
		else
			r->list[n++] = r->list[i];
	}
	r->n = n;
}

/* ---- judging ---- */

struct matrix {
	const struct gguf_tensor *t;
	struct check_layout layout;
	uint64_t row_bytes, n_rows;
};

/* Are bytes from .. from + n - 1 of a row zero? */
static enum hokku_code row_is_zero(const struct check_judge *j, const struct matrix *m, uint64_t row,
				   uint64_t from, uint64_t n, bool *zero, struct hokku_error *err)
{
	uint8_t bytes[4096];
	uint64_t at = m->t->offset + row * m->row_bytes + from, end = at + n;
	*zero = true;
	while (at < end && *zero) {
		size_t some = end - at < sizeof bytes ? (size_t)(end - at) : sizeof bytes;
		enum hokku_code rc = gguf_read(j->file, at, bytes, some, err);
		if (rc)
			return rc;
		*zero = check_zeros_from(bytes, 1, 0, some) == some;
		at += some;
	}
	return HOKKU_OK;
}

/* Bytes from .. from + n - 1 of `row`, at its beginning or its end, are part of a run that covers rows first
 * .. last. Is that a cut: not chance, and not what the row beside the run has too? */
static enum hokku_code is_cut(const struct check_judge *j, const struct matrix *m, uint64_t first,
			      uint64_t last, bool at_end_of_row, uint64_t from, uint64_t n, bool *cut,
			      struct hokku_error *err)
{
	bool zero = false, before = first > 0, after = last + 1 < m->n_rows;
	enum hokku_code rc = HOKKU_OK;
	*cut = n / m->layout.unit_bytes * m->layout.unit_elements >= CHECK_CHANCE;
	if (!*cut || (!before && !after))
		return rc;
	/* a run begins at the end of a row: the row before is the one that is like it, if there is one */
	uint64_t beside = (at_end_of_row && before) || !after ? first - 1 : last + 1;
	rc = row_is_zero(j, m, beside, from, n, &zero, err);
	*cut = !zero;
	return rc;
}

/* begin .. end - 1: bytes of the matrix. */
static enum hokku_code judge_matrix(const struct check_judge *j, const struct matrix *m, uint64_t begin,
				    uint64_t end, bool *fault, struct hokku_error *err)
{
	uint64_t first = begin / m->row_bytes, last = (end - 1) / m->row_bytes;
	uint64_t in_first = begin % m->row_bytes, in_last = end - last * m->row_bytes;
	enum hokku_code rc = HOKKU_OK;
	*fault = end - begin > m->t->n_bytes / 2;
	if (*fault)
		return rc;
	if (first == last && in_first && in_last < m->row_bytes) { /* inside of one row */
		rc = is_cut(j, m, first, last, true, in_first, end - begin, fault, err);
		return rc;
	}
	if (in_first)
		rc = is_cut(j, m, first, last, true, in_first, m->row_bytes - in_first, fault, err);
	if (!rc && !*fault && in_last < m->row_bytes)
		rc = is_cut(j, m, first, last, false, 0, in_last, fault, err);
	return rc;
}

static enum hokku_code judge_part(const struct check_judge *j, const struct gguf_tensor *t,
				  const struct check_run *run, bool *fault, struct hokku_error *err)
{
	struct matrix m = {.t = t};
	struct check_finding part;
	check_layout_of(t->type, &m.layout);
	*fault = false;
	if (!check_part_of(run, t, &m.layout, &part))
		return HOKKU_OK;
	m.n_rows = t->n_elements / t->dims[0];
	m.row_bytes = t->n_bytes / m.n_rows;
	uint64_t begin = part.first / m.layout.unit_elements * m.layout.unit_bytes;
	if (m.n_rows > 1)
		return judge_matrix(j, &m, begin, begin + part.n, fault, err);
	uint64_t elements = part.n / m.layout.unit_bytes * m.layout.unit_elements;
	*fault = str_ends(t->name, STR_LIT("norm.weight")) &&
		 (elements >= CHECK_NORM || elements == t->n_elements);
	return HOKKU_OK;
}

static enum hokku_code judge_run(const struct check_judge *j, const struct check_run *run, bool *fault,
				 struct hokku_error *err)
{
	enum hokku_code rc = HOKKU_OK;
	uint64_t low = 0, high = j->n;
	while (low < high) { /* the first tensor that ends after the run's begin */
		uint64_t middle = low + (high - low) / 2;
		if (j->tensors[middle]->offset + j->tensors[middle]->n_bytes <= run->begin)
			low = middle + 1;
		else
			high = middle;
	}
	*fault = false;
	for (; low < j->n && j->tensors[low]->offset < run->end && !*fault && !rc; low++)
		rc = judge_part(j, j->tensors[low], run, fault, err);
	return rc;
}

enum hokku_code check_judge_runs(const struct check_judge *j, struct check_runs *r, struct hokku_error *err)
{
	enum hokku_code rc = HOKKU_OK;
	size_t n = 0;
	join(j, r);
	for (size_t i = 0; i < r->n && !rc; i++) {
		bool fault = false;
		if (r->list[i].end - r->list[i].begin < CHECK_ZERO_BYTES)
			continue;
		rc = judge_run(j, &r->list[i], &fault, err);
		if (fault)
			r->list[n++] = r->list[i];
	}
	r->n = n;
	return rc;
}
