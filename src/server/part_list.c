#include "server/part_list.h"

#include <stdlib.h>

static bool goes_on(const struct part *last, const struct part *next)
{
	bool piece = next->kind == PART_TEXT || next->kind == PART_THINKING || next->kind == PART_ARGUMENTS;
	return piece && last->kind == next->kind &&
	       (next->kind != PART_ARGUMENTS || last->call == next->call);
}

void part_list_add(struct part_list *l, const struct part *part)
{
	if (l->n && goes_on(&l->parts[l->n - 1], part)) {
		strbuf_add(&l->bytes, part->text.ptr, part->text.len);
		l->parts[l->n - 1].text.len += part->text.len;
		return;
	}
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 4;
		struct part *parts = realloc(l->parts, cap * sizeof *parts);
		if (!parts) {
			l->failed = true;
			return;
		}
		l->parts = parts;
		l->cap = cap;
	}
	strbuf_add(&l->bytes, part->text.ptr, part->text.len);
	l->parts[l->n++] = *part;
}

const struct part *part_list_get(struct part_list *l, size_t *n)
{
	const char *at = l->bytes.ptr;
	l->failed |= l->bytes.failed;
	*n = l->failed ? 0 : l->n;
	for (size_t i = 0; i < *n; i++) {
		l->parts[i].text.ptr = at ? at : "";
		at = at ? at + l->parts[i].text.len : NULL;
	}
	return l->parts;
}

void part_list_clear(struct part_list *l)
{
	strbuf_clear(&l->bytes);
	l->n = 0;
}

void part_list_free(struct part_list *l)
{
	strbuf_free(&l->bytes);
	free(l->parts);
	*l = (struct part_list){0};
}
