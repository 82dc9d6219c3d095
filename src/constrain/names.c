#include "constrain/names.h"

#include <stdlib.h>
#include <string.h>

enum { OUTSIDE, IN_STRING, IN_ESCAPE, IN_DIGITS };

void names_free(struct names *n)
{
	free(n->open);
	free(n->list);
	free(n->was);
	*n = (struct names){.looked = 0};
}

bool names_copy(struct names *to, const struct names *from)
{
	*to = (struct names){.at = from->at, .looked = from->looked};
	to->cap_open = from->at.n_open;
	to->cap_list = from->at.n;
	if (to->cap_open && (to->open = malloc(to->cap_open * sizeof *to->open)))
		memcpy(to->open, from->open, to->cap_open * sizeof *to->open);
	if (to->cap_list && (to->list = malloc(to->cap_list * sizeof *to->list)))
		memcpy(to->list, from->list, to->cap_list * sizeof *to->list);
	if ((to->open || !to->cap_open) && (to->list || !to->cap_list))
		return true;
	names_free(to);
	return false;
}

/* Room for one more behind the first n. */
static bool room(void **array, uint32_t n, uint32_t *cap, size_t size)
{
	if (n < *cap)
		return true;
	uint32_t more = *cap < UINT32_MAX / 2 - 8 ? *cap * 2 + 8 : 0;
	void *p = more ? realloc(*array, more * size) : NULL;
	if (!p)
		return false;
	*array = p;
	*cap = more;
	return true;
}

/* What is written over can be had back while there is a mark. */
static bool keep(struct names *n, struct names_was was)
{
	if (!n->marked)
		return true;
	if (!room((void **)&n->was, n->n_was, &n->cap_was, sizeof *n->was))
		return false;
	n->was[n->n_was++] = was;
	return true;
}

static bool push(struct names *n, bool object)
{
	uint32_t at = n->at.n_open;
	if (!room((void **)&n->open, at, &n->cap_open, sizeof *n->open) ||
	    !keep(n, (struct names_was){.where = at, .is_open = true, .open = n->open[at]}))
		return false;
	n->open[at] = (struct names_open){object, n->at.n};
	n->at.n_open++;
	n->at.wants_name = object;
	return true;
}

static void pop(struct names *n)
{
	if (n->at.n_open)
		n->at.n = n->open[--n->at.n_open].first;
	n->at.wants_name = false;
}

static enum names_step outside(struct names *n, uint8_t byte)
{
	switch (byte) {
	case '{':
	case '[':
		return push(n, byte == '{') ? NAMES_TAKEN : NAMES_NO_MEMORY;
	case '}':
	case ']':
		pop(n);
		break;
	case ',':
		n->at.wants_name = n->at.n_open && n->open[n->at.n_open - 1].object;
		break;
	case '"':
		n->at.within = IN_STRING;
		n->at.is_name = n->at.wants_name;
		n->at.wants_name = false;
		n->at.hash = UINT64_C(0xcbf29ce484222325);
		break;
	default:
		break;
	}
	return NAMES_TAKEN;
}

static void add(struct names *n, uint8_t byte)
{
	n->at.hash = (n->at.hash ^ byte) * UINT64_C(0x100000001b3);
}

/* A code point, as UTF-8. */
static void add_point(struct names *n, uint32_t c)
{
	if (c < 0x80) {
		add(n, (uint8_t)c);
		return;
	}
	unsigned more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
	static const uint8_t heads[] = {0, 0xC0, 0xE0, 0xF0};
	add(n, (uint8_t)(heads[more] | c >> 6 * more));
	while (more--)
		add(n, (uint8_t)(0x80 | (c >> 6 * more & 0x3F)));
}

static enum names_step end_name(struct names *n)
{
	uint64_t hash = n->at.hash ^ n->at.hash >> 32;
	uint32_t first = n->open[n->at.n_open - 1].first;
	n->looked += n->at.n - first;
	for (uint32_t i = first; i < n->at.n; i++)
		if (n->list[i] == hash)
			return NAMES_TWICE;
	if (!room((void **)&n->list, n->at.n, &n->cap_list, sizeof *n->list) ||
	    !keep(n, (struct names_was){.where = n->at.n, .hash = n->list[n->at.n]}))
		return NAMES_NO_MEMORY;
	n->list[n->at.n++] = hash;
	n->at.within = OUTSIDE;
	return NAMES_TAKEN;
}

static enum names_step in_string(struct names *n, uint8_t byte)
{
	if (byte == '\\')
		n->at.within = IN_ESCAPE;
	else if (byte == '"' && n->at.is_name)
		return end_name(n);
	else if (byte == '"')
		n->at.within = OUTSIDE;
	else
		add(n, byte);
	return NAMES_TAKEN;
}

static void in_escape(struct names *n, uint8_t byte)
{
	static const char said[] = "b\bf\fn\nr\rt\t";
	n->at.within = byte == 'u' ? IN_DIGITS : IN_STRING;
	n->at.point = n->at.n_digits = 0;
	for (const char *s = said; *s && byte != 'u'; s += 2)
		if (byte == (uint8_t)s[0])
			byte = (uint8_t)s[1];
	if (n->at.within == IN_STRING)
		add(n, byte);
}

static void in_digits(struct names *n, uint8_t byte)
{
	uint32_t digit = byte <= '9' ? byte - (uint32_t)'0' : (byte | 0x20) - (uint32_t)'a' + 10;
	n->at.point = n->at.point << 4 | (digit & 15);
	if (++n->at.n_digits < 4)
		return;
	n->at.within = IN_STRING;
	uint32_t c = n->at.point;
	if (c >= 0xD800 && c < 0xDC00) {
		n->at.high = c;
		return;
	}
	if (c >= 0xDC00 && c < 0xE000 && n->at.high)
		c = 0x10000 + ((n->at.high - 0xD800) << 10) + (c - 0xDC00);
	n->at.high = 0;
	add_point(n, c);
}

enum names_step names_read(struct names *n, uint8_t byte)
{
	switch (n->at.within) {
	case OUTSIDE:
		return outside(n, byte);
	case IN_STRING:
		return in_string(n, byte);
	case IN_ESCAPE:
		in_escape(n, byte);
		return NAMES_TAKEN;
	default:
		in_digits(n, byte);
		return NAMES_TAKEN;
	}
}

void names_mark(struct names *n)
{
	n->mark = n->at;
	n->n_was = 0;
	n->marked = true;
}

void names_back(struct names *n)
{
	while (n->n_was) {
		const struct names_was *was = &n->was[--n->n_was];
		if (was->is_open)
			n->open[was->where] = was->open;
		else
			n->list[was->where] = was->hash;
	}
	n->at = n->mark;
	n->marked = false;
}
