/* Parts of an answer (text/parts.h), kept. */
#ifndef SERVER_PART_LIST_H
#define SERVER_PART_LIST_H

#include "base/str.h"
#include "text/parts.h"

struct part_list {
	struct strbuf bytes;
	struct part *parts; /* (n); their text points into bytes once part_list_get has run */
	size_t n, cap;
	bool failed;
};

/* Appends a copy; what goes on with the last part becomes one with it. Without memory the list has failed. */
void part_list_add(struct part_list *l, const struct part *part);

/* All of them, valid until the list changes. *n: how many. */
const struct part *part_list_get(struct part_list *l, size_t *n);

void part_list_clear(struct part_list *l); /* keeps the memory */
void part_list_free(struct part_list *l);

#endif
