/*
 * The names that the open objects of a JSON text have so far, for shapes that count them: that none comes
 * twice in an object is more than a grammar can say. Read beside the machine, which sees to it that the text
 * is JSON's beginning.
 *
 * A name is known by 64 bits of what it says, however it is written: two names that share them (one pair in
 * 2^64) are taken for one, and the second is not let through.
 */
#ifndef CONSTRAIN_NAMES_H
#define CONSTRAIN_NAMES_H

#include <stdbool.h>
#include <stdint.h>

/* Where the text stands. */
struct names_at {
	uint64_t hash;      /* of the name that is being read */
	uint32_t n, n_open; /* names of all open objects; objects and arrays that are open */
	uint32_t point;     /* of an escape that is being read */
	uint32_t high;      /* the first half of a pair; 0: none */
	uint8_t within;     /* enum, in names.c */
	uint8_t n_digits;   /* of the escape */
	bool is_name;       /* the string that is being read */
	bool wants_name;    /* the next string is one */
};

struct names_open {
	bool object;
	uint32_t first; /* of its names */
};

/* What stood somewhere before a text that may be taken back. */
struct names_was {
	uint32_t where;
	bool is_open; /* in `open`, not in `list` */
	uint64_t hash;
	struct names_open open;
};

struct names {
	struct names_at at, mark;
	struct names_open *open;
	uint32_t cap_open;
	uint64_t *list;
	uint32_t cap_list;
	struct names_was *was;
	uint32_t n_was, cap_was;
	bool marked;
	uint64_t looked; /* names that were compared: what it cost, counted */
};

enum names_step { NAMES_TAKEN, NAMES_TWICE, NAMES_NO_MEMORY };

/* Zeros are a text of no bytes. */
void names_free(struct names *n);
bool names_copy(struct names *to, const struct names *from); /* to: zeros; false: no memory */

/* The byte that comes. TWICE: it would end a name that its object has already; nothing changed. */
enum names_step names_read(struct names *n, uint8_t byte);

/* From a mark one can go back, once. */
void names_mark(struct names *n);
void names_back(struct names *n);

#endif
