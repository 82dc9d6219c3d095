/*
 * Unicode's character properties, as far as the rules of pre-tokenizers use them. The tables are hokku's own,
 * of Unicode 16.0, the version of the tokenizers crate: a library's would be older or newer, and letters
 * would cut text at other places.
 */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

#include "base/str.h"

enum unicode_category {
	UNICODE_CN,
	UNICODE_LU,
	UNICODE_LL,
	UNICODE_LT,
	UNICODE_LM,
	UNICODE_LO,
	UNICODE_MN,
	UNICODE_MC,
	UNICODE_ME,
	UNICODE_ND,
	UNICODE_NL,
	UNICODE_NO,
	UNICODE_PC,
	UNICODE_PD,
	UNICODE_PS,
	UNICODE_PE,
	UNICODE_PI,
	UNICODE_PF,
	UNICODE_PO,
	UNICODE_SM,
	UNICODE_SC,
	UNICODE_SK,
	UNICODE_SO,
	UNICODE_ZS,
	UNICODE_ZL,
	UNICODE_ZP,
	UNICODE_CC,
	UNICODE_CF,
	UNICODE_CS,
	UNICODE_CO,
};

/* What is known about a character: its category and these flags. */
enum {
	UNICODE_CATEGORY = 0x1F, /* the bits of the category */
	UNICODE_SPACE = 0x20,    /* White_Space, which is what \s means */
	UNICODE_HAN = 0x40,      /* Script=Han */
	UNICODE_AFTER_9 = 0x80,  /* not assigned in Unicode 9.0 (see nfc.h) */
	UNICODE_LIMIT = 0x110000,
};

/* Fills the table; to be called once before the first unicode_of, from any thread, as often as one likes. */
void unicode_init(void);

extern uint8_t unicode_values[UNICODE_LIMIT];

/* c is below UNICODE_LIMIT. */
static inline unsigned unicode_of(uint32_t c)
{
	return unicode_values[c];
}

/* Decodes the character at p, which is valid UTF-8. Returns its bytes. */
static inline size_t unicode_decode(const unsigned char *p, uint32_t *c)
{
	if (p[0] < 0x80) {
		*c = p[0];
		return 1;
	}
	if (p[0] < 0xE0) {
		*c = (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu);
		return 2;
	}
	if (p[0] < 0xF0) {
		*c = (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
		return 3;
	}
	*c = (p[0] & 0x07u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
	return 4;
}

/* The reverse: writes the bytes of c, a scalar value, and returns how many. */
static inline size_t unicode_encode(uint32_t c, unsigned char out[4])
{
	if (c < 0x80) {
		out[0] = (unsigned char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		out[i] = (unsigned char)(0x80 | (c & 0x3F));
	out[0] = (unsigned char)((0xF00u >> n & 0xF0) | c);
	return n;
}

/* The set that a property's name stands for in a pattern: "L", "Lu", "Han", "White_Space" ..., or one without
 * another: "Lo-Han". */
struct unicode_set {
	uint32_t categories; /* bit i: category i */
	unsigned flags;      /* or any of these */
	unsigned but;        /* and none of these */
};
bool unicode_set_named(struct str name, struct unicode_set *set); /* false: no such name */
static inline bool unicode_in(const struct unicode_set *set, unsigned value)
{
	return ((set->categories >> (value & UNICODE_CATEGORY) & 1) || (value & set->flags)) &&
	       !(value & set->but);
}

/* The set as ranges, the largest first: only asked for where a pattern is compiled. *ranges is to be freed.
 */
struct unicode_range {
	uint32_t first, last;
};
bool unicode_set_ranges(const struct unicode_set *set, struct unicode_range **ranges,
			size_t *n); /* false: no memory */

/* unicode_table.c */
extern const uint32_t unicode_runs[];
extern const size_t unicode_n_runs;

#endif
