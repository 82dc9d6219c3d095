#include <stdlib.h>

#include "gguf/gguf_internal.h"

static struct str name_at(const struct gguf_index *index, uint64_t row)
{
	struct str name;
	memcpy(&name, (const char *)index->base + row * index->stride, sizeof name);
	return name;
}

static int compare_names(struct str a, struct str b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int sign = n ? memcmp(a.ptr, b.ptr, n) : 0;
	return sign ? sign : (a.len > b.len) - (a.len < b.len);
}

/* Equal names keep the order of the file. */
static int compare_rows(const void *a, const void *b, void *index)
{
	uint32_t row_a = *(const uint32_t *)a, row_b = *(const uint32_t *)b;
	int sign = compare_names(name_at(index, row_a), name_at(index, row_b));
	return sign ? sign : (row_a > row_b) - (row_a < row_b);
}

void gguf_index_build(struct gguf_index *index, uint32_t *order, const void *base, size_t stride, uint64_t n)
{
	*index = (struct gguf_index){.order = order, .n = n, .base = base, .stride = stride};
	for (uint64_t i = 0; i < n; i++)
		order[i] = (uint32_t)i;
	if (n > 1)
		qsort_r(order, n, sizeof *order, compare_rows, index);
}

int64_t gguf_index_find(const struct gguf_index *index, struct str name)
{
	uint64_t low = 0, high = index->n;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		int sign = compare_names(name, name_at(index, index->order[middle]));
		if (sign == 0)
			return index->order[middle];
		if (sign < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return -1;
}

int64_t gguf_index_duplicate(const struct gguf_index *index, int64_t *first)
{
	int64_t found = -1;
	for (uint64_t i = 1; i < index->n; i++) {
		uint32_t row = index->order[i], before = index->order[i - 1];
		if (!str_eq(name_at(index, row), name_at(index, before)))
			continue;
		if (found < 0 || row < found) {
			found = row;
			*first = before;
		}
	}
	return found;
}
