#include <stdlib.h>

#include "text/tokenizer_internal.h"

static uint32_t new_node(struct added *a, uint8_t byte)
{
	if (a->n == 0)
		a->n = 1;
	if (a->n >= a->cap) {
		size_t cap = a->cap ? a->cap * 2 : 256;
		struct added_node *nodes = cap < UINT32_MAX ? realloc(a->nodes, cap * sizeof *nodes) : NULL;
		if (!nodes)
			return 0;
		a->nodes = nodes;
		a->cap = cap;
	}
	a->nodes[a->n] = (struct added_node){.id = -1, .byte = byte};
	return (uint32_t)a->n++;
}

enum hokku_code added_put(struct added *a, struct str name, int32_t id, bool only_special,
			  struct hokku_error *err)
{
	uint32_t parent = 0;
	for (size_t i = 0; i < name.len; i++) {
		uint8_t byte = (uint8_t)name.ptr[i];
		uint32_t node = i ? a->nodes[parent].child : a->root[byte];
		while (node && a->nodes[node].byte != byte)
			node = a->nodes[node].sibling;
		if (!node) {
			node = new_node(a, byte);
			if (!node)
				return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the added tokens");
			if (i) {
				a->nodes[node].sibling = a->nodes[parent].child;
				a->nodes[parent].child = node;
			} else {
				a->root[byte] = node;
			}
		}
		parent = node;
	}
	if (parent) {
		a->nodes[parent].id = id;
		a->nodes[parent].only_special = only_special;
	}
	return HOKKU_OK;
}

void added_destroy(struct added *a)
{
	free(a->nodes);
	a->nodes = NULL;
}

/* The longest token that text begins with, or 0; special ones within the first n_trusted bytes alone. */
static size_t longest(const struct added *a, const char *text, size_t n, size_t n_trusted, int32_t *id)
{
	size_t found = 0;
	uint32_t node = a->root[(unsigned char)text[0]];
	for (size_t i = 0; node;) {
		const struct added_node *at = &a->nodes[node];
		if (at->id >= 0 && (i < n_trusted || !at->only_special)) {
			found = i + 1;
			*id = at->id;
		}
		if (++i == n)
			break;
		node = at->child;
		while (node && a->nodes[node].byte != (uint8_t)text[i])
			node = a->nodes[node].sibling;
	}
	return found;
}

/* How many bytes from position at on are trusted without a gap. */
static size_t trusted_from(struct added_trust *t, size_t at, size_t n)
{
	if (!t->parts)
		return t->all ? n - at : 0;
	while (t->end <= at && t->i < t->n_parts) {
		t->trusted = t->parts[t->i].trusted;
		while (t->i < t->n_parts && t->parts[t->i].trusted == t->trusted)
			t->end += t->parts[t->i++].len;
	}
	return t->trusted && t->end > at ? t->end - at : 0;
}

bool added_find(const struct added *a, struct str text, struct added_trust *trust, size_t *at, size_t *len,
		int32_t *id)
{
	if (a->n == 0)
		return false;
	for (size_t i = *at; i < text.len; i++) {
		if (!a->root[(unsigned char)text.ptr[i]])
			continue;
		*len = longest(a, text.ptr + i, text.len - i, trusted_from(trust, i, text.len), id);
		if (*len) {
			*at = i;
			return true;
		}
	}
	return false;
}
