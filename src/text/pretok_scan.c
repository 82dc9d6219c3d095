#include "text/pretok_scan.h"

#include "text/unicode.h"

/* What the rules tell apart: letters (\p{L}), digits (\p{N}), spaces (\s) that break a line or do not, and
 * the rest. */
enum { LETTER = 1, DIGIT = 2, BLANK = 4, BREAK = 8, SIGN = 16, CAPITAL = 32, SMALL = 64 };

/* CAPITAL and SMALL beside the others: what a word of the o200k family begins and goes on with. Letters
 * without case and marks are both. */
static unsigned class_of_value(unsigned value)
{
	static const uint8_t of_category[32] = {
		[UNICODE_CN] = SIGN,
		[UNICODE_LU] = LETTER | CAPITAL,
		[UNICODE_LL] = LETTER | SMALL,
		[UNICODE_LT] = LETTER | CAPITAL,
		[UNICODE_LM] = LETTER | CAPITAL | SMALL,
		[UNICODE_LO] = LETTER | CAPITAL | SMALL,
		[UNICODE_MN] = SIGN | CAPITAL | SMALL,
		[UNICODE_MC] = SIGN | CAPITAL | SMALL,
		[UNICODE_ME] = SIGN | CAPITAL | SMALL,
		[UNICODE_ND] = DIGIT,
		[UNICODE_NL] = DIGIT,
		[UNICODE_NO] = DIGIT,
		[UNICODE_PC] = SIGN,
		[UNICODE_PD] = SIGN,
		[UNICODE_PS] = SIGN,
		[UNICODE_PE] = SIGN,
		[UNICODE_PI] = SIGN,
		[UNICODE_PF] = SIGN,
		[UNICODE_PO] = SIGN,
		[UNICODE_SM] = SIGN,
		[UNICODE_SC] = SIGN,
		[UNICODE_SK] = SIGN,
		[UNICODE_SO] = SIGN,
		[UNICODE_ZS] = BLANK,
		[UNICODE_ZL] = BLANK,
		[UNICODE_ZP] = BLANK,
		[UNICODE_CC] = SIGN,
		[UNICODE_CF] = SIGN,
		[UNICODE_CS] = SIGN,
		[UNICODE_CO] = SIGN,
	};
	return value & UNICODE_SPACE ? BLANK : of_category[value & UNICODE_CATEGORY];
}

/* ASCII by class, so that usual text needs no decoding. */
static inline unsigned class_of_ascii(unsigned char c)
{
	static const uint8_t table[128] = {
#define R4(x)  x, x, x, x
#define R8(x)  R4(x), R4(x)
#define R16(x) R8(x), R8(x)
#define R26(x) R16(x), R8(x), x, x
		/* clang-format off */
		R8(SIGN), SIGN, BLANK, BREAK, BLANK, BLANK, BREAK, SIGN, SIGN, /* 00 to 0f */
		R16(SIGN),                                                     /* 10 to 1f */
		BLANK, R8(SIGN), R4(SIGN), SIGN, SIGN, SIGN,                   /* blank to / */
		R8(DIGIT), DIGIT, DIGIT, R4(SIGN), SIGN, SIGN, SIGN,           /* 0 to @ */
		R26(LETTER | CAPITAL), R4(SIGN), SIGN, SIGN,                   /* A to ` */
		R26(LETTER | SMALL), R4(SIGN), SIGN,                           /* a to 7f */
	/* clang-format on */
#undef R26
#undef R16
#undef R8
#undef R4
	};
	return table[c];
}

/* The class of the character at s and its bytes. */
static inline unsigned class_at(const unsigned char *s, size_t *bytes)
{
	if (s[0] < 0x80) {
		*bytes = 1;
		return class_of_ascii(s[0]);
	}
	uint32_t c;
	*bytes = unicode_decode(s, &c);
	return class_of_value(unicode_of(c));
}

/* Where the run of characters of these classes ends that goes on at i. */
static size_t run_of(const unsigned char *s, size_t i, size_t n, unsigned classes)
{
	while (i < n) {
		size_t bytes;
		if (!(class_at(s + i, &bytes) & classes))
			break;
		i += bytes;
	}
	return i;
}

/* Bytes of the ending ('s, 'll) at s, which begins with the apostrophe; 0: none. */
static size_t ending(const struct pretok_family *f, const unsigned char *s, size_t n)
{
	unsigned char fold = f->any_case_endings ? 0x20 : 0;
	if (n < 2)
		return 0;
	if (f->any_case_endings && n > 2 && s[1] == 0xC5 && s[2] == 0xBF) /* U+017F, the long s, folds to s */
		return 3;
	switch (s[1] | fold) {
	case 's':
	case 't':
	case 'm':
	case 'd':
		return 2;
	case 'r':
	case 'v':
	case 'l':
		break;
	default:
		return 0;
	}
	unsigned char want = (s[1] | fold) == 'l' ? 'l' : 'e';
	return n > 2 && (s[2] | fold) == want ? 3 : 0;
}

/* A run of blanks and line breaks from 0: up to the last break where the family keeps breaks together, else
 * all of it at the end of the text or where it is one character, else all but the last character. */
static size_t scan_space(const struct pretok_family *f, const unsigned char *s, size_t n)
{
	size_t end = 0, last = 0, after_break = 0, bytes;
	while (end < n) {
		unsigned class = class_at(s + end, &bytes);
		if (!(class & (BLANK | BREAK)))
			break;
		last = end;
		end += bytes;
		if (class == BREAK)
			after_break = end;
	}
	if (f->breaks && after_break)
		return after_break;
	return end == n || last == 0 ? end : last;
}

/* first: bytes of the first character, a digit or the blank before one. */
static size_t scan_number(const struct pretok_family *f, const unsigned char *s, size_t n, size_t first)
{
	if (!f->digits_max)
		return run_of(s, first, n, DIGIT);
	size_t end = first, bytes;
	for (unsigned i = 1; i < f->digits_max && end < n && (class_at(s + end, &bytes) & DIGIT); i++)
		end += bytes;
	return end;
}

/* The class of the character at s in a word; where Han is apart, it belongs to none. */
static inline unsigned word_class_at(const struct pretok_family *f, const unsigned char *s, size_t *bytes)
{
	unsigned class = class_at(s, bytes);
	uint32_t c;
	if (!f->han || s[0] < 0x80)
		return class;
	unicode_decode(s, &c);
	return unicode_of(c) & UNICODE_HAN ? class & ~(unsigned)(CAPITAL | SMALL) : class;
}

/*
 * A word of the o200k family from `from` on: U*L+ if there is such, else, *plain being false then, U+. U are
 * capitals, L small letters, both what has no case. Where no small letter follows U*, it gives back up to the
 * last that is both.
 */
static size_t scan_cased(const struct pretok_family *f, const unsigned char *s, size_t from, size_t n,
			 bool *plain)
{
	size_t i = from, after_both = 0, bytes;
	unsigned class = 0;
	for (; i < n; i += bytes) {
		class = word_class_at(f, s + i, &bytes);
		if (!(class & CAPITAL))
			break;
		if (class & SMALL)
			after_both = i + bytes;
	}
	*plain = true;
	if (i < n && (class & SMALL)) {
		for (; i < n && (word_class_at(f, s + i, &bytes) & SMALL); i += bytes)
			;
		return i;
	}
	if (after_both)
		return after_both;
	*plain = false;
	return i;
}

/* A run of Han characters, letters or not. */
static size_t scan_han(const unsigned char *s, size_t n)
{
	size_t i = 0, bytes;
	for (uint32_t c; i < n; i += bytes) {
		bytes = unicode_decode(s + i, &c);
		if (!(unicode_of(c) & UNICODE_HAN))
			break;
	}
	return i;
}

/* The two rules for words, each with one character before it and then without; 0: none. */
static size_t scan_cased_word(const struct pretok_family *f, const unsigned char *s, size_t n, unsigned class,
			      size_t first)
{
	bool plain = false;
	size_t end = 0, capitals = 0;
	if (!(class & (LETTER | DIGIT | BREAK))) {
		end = scan_cased(f, s, first, n, &plain);
		capitals = !plain && end > first ? end : 0;
		end = plain ? end : 0;
	}
	if (!end && (class & (CAPITAL | SMALL))) {
		end = scan_cased(f, s, 0, n, &plain);
		if (!plain && capitals)
			end = capitals;
	}
	end = end ? end : capitals;
	return end && end < n && f->word_endings && s[end] == '\'' ? end + ending(f, s + end, n - end) : end;
}

size_t pretok_scan(const struct pretok_family *f, const unsigned char *s, size_t n)
{
	size_t first, bytes, end;
	unsigned class = class_at(s, &first), next = n > first ? class_at(s + first, &bytes) : 0;
	if (f->cased) {
		end = f->han ? scan_han(s, n) : 0;
		end = end ? end : scan_cased_word(f, s, n, class, first);
		if (end)
			return end;
	} else if (s[0] == '\'') {
		end = ending(f, s, n);
		if (end)
			return end;
	}
	bool takes_word = f->any_prefix ? (class & (BLANK | SIGN)) != 0 : s[0] == ' ';
	if (!f->cased && ((class & LETTER) || (takes_word && (next & LETTER))))
		return run_of(s, first, n, LETTER);
	if ((class & DIGIT) || (!f->digits_max && s[0] == ' ' && (next & DIGIT)))
		return scan_number(f, s, n, first);
	if ((class & SIGN) || (s[0] == ' ' && (next & SIGN))) {
		end = run_of(s, first, n, SIGN);
		while (f->slashes && end < n && (s[end] == '\r' || s[end] == '\n' || s[end] == '/'))
			end++;
		return f->breaks ? run_of(s, end, n, BREAK) : end;
	}
	return scan_space(f, s, n);
}
