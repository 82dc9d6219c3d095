/* Upper, lower and title case by Unicode's whole rules, as Python's str has them. */
#include <stdlib.h>
#include <utf8proc.h>

#include "text/jinja/internal.h"

/* The characters whose upper or title case is several characters (Unicode's SpecialCasing.txt, the rules
 * without a condition). In order. */
static const struct special {
	uint32_t c;
	const char *upper, *title;
} specials[] = {
	/* clang-format off */
	{0x00DF, "SS", "Ss"},
	{0x0149, "\u02BCN", "\u02BCN"},
	{0x01F0, "J\u030C", "J\u030C"},
	{0x0390, "\u0399\u0308\u0301", "\u0399\u0308\u0301"},
	{0x03B0, "\u03A5\u0308\u0301", "\u03A5\u0308\u0301"},
	{0x0587, "\u0535\u0552", "\u0535\u0582"},
	{0x1E96, "H\u0331", "H\u0331"},
	{0x1E97, "T\u0308", "T\u0308"},
	{0x1E98, "W\u030A", "W\u030A"},
	{0x1E99, "Y\u030A", "Y\u030A"},
	{0x1E9A, "A\u02BE", "A\u02BE"},
	{0x1F50, "\u03A5\u0313", "\u03A5\u0313"},
	{0x1F52, "\u03A5\u0313\u0300", "\u03A5\u0313\u0300"},
	{0x1F54, "\u03A5\u0313\u0301", "\u03A5\u0313\u0301"},
	{0x1F56, "\u03A5\u0313\u0342", "\u03A5\u0313\u0342"},
	{0x1F80, "\u1F08\u0399", "\u1F88"},
	{0x1F81, "\u1F09\u0399", "\u1F89"},
	{0x1F82, "\u1F0A\u0399", "\u1F8A"},
	{0x1F83, "\u1F0B\u0399", "\u1F8B"},
	{0x1F84, "\u1F0C\u0399", "\u1F8C"},
	{0x1F85, "\u1F0D\u0399", "\u1F8D"},
	{0x1F86, "\u1F0E\u0399", "\u1F8E"},
	{0x1F87, "\u1F0F\u0399", "\u1F8F"},
	{0x1F88, "\u1F08\u0399", "\u1F88"},
	{0x1F89, "\u1F09\u0399", "\u1F89"},
	{0x1F8A, "\u1F0A\u0399", "\u1F8A"},
	{0x1F8B, "\u1F0B\u0399", "\u1F8B"},
	{0x1F8C, "\u1F0C\u0399", "\u1F8C"},
	{0x1F8D, "\u1F0D\u0399", "\u1F8D"},
	{0x1F8E, "\u1F0E\u0399", "\u1F8E"},
	{0x1F8F, "\u1F0F\u0399", "\u1F8F"},
	{0x1F90, "\u1F28\u0399", "\u1F98"},
	{0x1F91, "\u1F29\u0399", "\u1F99"},
	{0x1F92, "\u1F2A\u0399", "\u1F9A"},
	{0x1F93, "\u1F2B\u0399", "\u1F9B"},
	{0x1F94, "\u1F2C\u0399", "\u1F9C"},
	{0x1F95, "\u1F2D\u0399", "\u1F9D"},
	{0x1F96, "\u1F2E\u0399", "\u1F9E"},
	{0x1F97, "\u1F2F\u0399", "\u1F9F"},
	{0x1F98, "\u1F28\u0399", "\u1F98"},
	{0x1F99, "\u1F29\u0399", "\u1F99"},
	{0x1F9A, "\u1F2A\u0399", "\u1F9A"},
	{0x1F9B, "\u1F2B\u0399", "\u1F9B"},
	{0x1F9C, "\u1F2C\u0399", "\u1F9C"},
	{0x1F9D, "\u1F2D\u0399", "\u1F9D"},
	{0x1F9E, "\u1F2E\u0399", "\u1F9E"},
	{0x1F9F, "\u1F2F\u0399", "\u1F9F"},
	{0x1FA0, "\u1F68\u0399", "\u1FA8"},
	{0x1FA1, "\u1F69\u0399", "\u1FA9"},
	{0x1FA2, "\u1F6A\u0399", "\u1FAA"},
	{0x1FA3, "\u1F6B\u0399", "\u1FAB"},
	{0x1FA4, "\u1F6C\u0399", "\u1FAC"},
	{0x1FA5, "\u1F6D\u0399", "\u1FAD"},
	{0x1FA6, "\u1F6E\u0399", "\u1FAE"},
	{0x1FA7, "\u1F6F\u0399", "\u1FAF"},
	{0x1FA8, "\u1F68\u0399", "\u1FA8"},
	{0x1FA9, "\u1F69\u0399", "\u1FA9"},
	{0x1FAA, "\u1F6A\u0399", "\u1FAA"},
	{0x1FAB, "\u1F6B\u0399", "\u1FAB"},
	{0x1FAC, "\u1F6C\u0399", "\u1FAC"},
	{0x1FAD, "\u1F6D\u0399", "\u1FAD"},
	{0x1FAE, "\u1F6E\u0399", "\u1FAE"},
	{0x1FAF, "\u1F6F\u0399", "\u1FAF"},
	{0x1FB2, "\u1FBA\u0399", "\u1FBA\u0345"},
	{0x1FB3, "\u0391\u0399", "\u1FBC"},
	{0x1FB4, "\u0386\u0399", "\u0386\u0345"},
	{0x1FB6, "\u0391\u0342", "\u0391\u0342"},
	{0x1FB7, "\u0391\u0342\u0399", "\u0391\u0342\u0345"},
	{0x1FBC, "\u0391\u0399", "\u1FBC"},
	{0x1FC2, "\u1FCA\u0399", "\u1FCA\u0345"},
	{0x1FC3, "\u0397\u0399", "\u1FCC"},
	{0x1FC4, "\u0389\u0399", "\u0389\u0345"},
	{0x1FC6, "\u0397\u0342", "\u0397\u0342"},
	{0x1FC7, "\u0397\u0342\u0399", "\u0397\u0342\u0345"},
	{0x1FCC, "\u0397\u0399", "\u1FCC"},
	{0x1FD2, "\u0399\u0308\u0300", "\u0399\u0308\u0300"},
	{0x1FD3, "\u0399\u0308\u0301", "\u0399\u0308\u0301"},
	{0x1FD6, "\u0399\u0342", "\u0399\u0342"},
	{0x1FD7, "\u0399\u0308\u0342", "\u0399\u0308\u0342"},
	{0x1FE2, "\u03A5\u0308\u0300", "\u03A5\u0308\u0300"},
	{0x1FE3, "\u03A5\u0308\u0301", "\u03A5\u0308\u0301"},
	{0x1FE4, "\u03A1\u0313", "\u03A1\u0313"},
	{0x1FE6, "\u03A5\u0342", "\u03A5\u0342"},
	{0x1FE7, "\u03A5\u0308\u0342", "\u03A5\u0308\u0342"},
	{0x1FF2, "\u1FFA\u0399", "\u1FFA\u0345"},
	{0x1FF3, "\u03A9\u0399", "\u1FFC"},
	{0x1FF4, "\u038F\u0399", "\u038F\u0345"},
	{0x1FF6, "\u03A9\u0342", "\u03A9\u0342"},
	{0x1FF7, "\u03A9\u0342\u0399", "\u03A9\u0342\u0345"},
	{0x1FFC, "\u03A9\u0399", "\u1FFC"},
	{0xFB00, "FF", "Ff"},
	{0xFB01, "FI", "Fi"},
	{0xFB02, "FL", "Fl"},
	{0xFB03, "FFI", "Ffi"},
	{0xFB04, "FFL", "Ffl"},
	{0xFB05, "ST", "St"},
	{0xFB06, "ST", "St"},
	{0xFB13, "\u0544\u0546", "\u0544\u0576"},
	{0xFB14, "\u0544\u0535", "\u0544\u0565"},
	{0xFB15, "\u0544\u053B", "\u0544\u056B"},
	{0xFB16, "\u054E\u0546", "\u054E\u0576"},
	{0xFB17, "\u0544\u053D", "\u0544\u056D"}, /* clang-format on */
};

static int by_char(const void *key, const void *row)
{
	uint32_t a = *(const uint32_t *)key, b = ((const struct special *)row)->c;
	return a < b ? -1 : a > b;
}

static const struct special *find_special(uint32_t c)
{
	return c < 0xDF
		       ? NULL
		       : bsearch(&c, specials, sizeof specials / sizeof *specials, sizeof *specials, by_char);
}

bool char_is_upper(uint32_t c)
{
	return c < 128 ? c >= 'A' && c <= 'Z' : utf8proc_isupper((int32_t)c) != 0;
}

bool char_is_lower(uint32_t c)
{
	return c < 128 ? c >= 'a' && c <= 'z' : utf8proc_islower((int32_t)c) != 0;
}

static bool is_cased(uint32_t c)
{
	return char_is_upper(c) || char_is_lower(c) || utf8proc_category((int32_t)c) == UTF8PROC_CATEGORY_LT;
}

bool char_is_printable(uint32_t c)
{
	switch (utf8proc_category((int32_t)c)) {
	case UTF8PROC_CATEGORY_CN:
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CF:
	case UTF8PROC_CATEGORY_CS:
	case UTF8PROC_CATEGORY_CO:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
		return false;
	case UTF8PROC_CATEGORY_ZS:
		return c == ' ';
	default:
		return true;
	}
}

/* What stands between letters without parting a word, where a final sigma is decided. */
static bool is_ignorable(uint32_t c)
{
	switch (utf8proc_category((int32_t)c)) {
	case UTF8PROC_CATEGORY_MN:
	case UTF8PROC_CATEGORY_ME:
	case UTF8PROC_CATEGORY_CF:
	case UTF8PROC_CATEGORY_LM:
	case UTF8PROC_CATEGORY_SK:
		return true;
	default:
		return c == '\'' || c == '.' || c == ':' || c == 0xB7 || c == 0x2018 || c == 0x2019 ||
		       c == 0x2024 || c == 0x2027;
	}
}

/* Is the sigma at from..to the last letter of a word? */
static bool is_final(const struct jstr *s, size_t from, size_t to)
{
	size_t len;
	bool before = false;
	for (size_t i = 0; i < from; i += len) {
		uint32_t c = utf8_at(s->p + i, s->n - i, &len);
		if (!is_ignorable(c))
			before = is_cased(c);
	}
	if (!before)
		return false;
	for (size_t i = to; i < s->n; i += len) {
		uint32_t c = utf8_at(s->p + i, s->n - i, &len);
		if (!is_ignorable(c))
			return !is_cased(c);
	}
	return true;
}

static void add_lower(struct jbuild *b, const struct jstr *s, size_t at, size_t len, uint32_t c, bool trusted)
{
	if (c == 0x130) {
		jb_text(b, "i\u0307", trusted);
	} else if (c == 0x3A3) {
		j_work(b->r, s->n);
		jb_char(b, is_final(s, at, at + len) ? 0x3C2 : 0x3C3, trusted);
	} else {
		jb_char(b, (uint32_t)utf8proc_tolower((int32_t)c), trusted);
	}
}

static void add_folded(struct jbuild *b, uint32_t c, bool trusted)
{
	int32_t out[8];
	int bounds = 0;
	ptrdiff_t n = utf8proc_decompose_char((int32_t)c, out, 8, UTF8PROC_CASEFOLD, &bounds);
	for (ptrdiff_t i = 0; i < n && i < 8; i++)
		jb_char(b, (uint32_t)out[i], trusted);
}

static void add_upper(struct jbuild *b, uint32_t c, bool title, bool trusted)
{
	const struct special *special = find_special(c);
	if (special)
		jb_text(b, title ? special->title : special->upper, trusted);
	else
		jb_char(b, (uint32_t)(title ? utf8proc_totitle((int32_t)c) : utf8proc_toupper((int32_t)c)),
			trusted);
}

static void add_ascii(struct jbuild *b, char c, enum case_kind how, bool trusted)
{
	bool lower = c >= 'a' && c <= 'z', upper = c >= 'A' && c <= 'Z';
	bool flip = how == CASE_UPPER || how == CASE_TITLE ? lower
		    : how == CASE_SWAP                     ? lower || upper
							   : upper;
	c = (char)(flip ? c ^ 0x20 : c);
	jb_add(b, &c, 1, NULL, trusted);
}

jval str_case(struct jinja_run *r, const struct jstr *s, enum case_kind kind)
{
	struct jbuild b = jb_new(r);
	bool in_word = false;
	size_t len;
	for (size_t i = 0; i < s->n; i += len) {
		uint32_t c = utf8_at(s->p + i, s->n - i, &len);
		bool trusted = s->mark ? s->mark[i] : s->trusted;
		enum case_kind how = kind;
		if (kind == CASE_TITLE || kind == CASE_CAPITAL) {
			bool first = kind == CASE_TITLE ? !in_word : i == 0;
			how = first ? CASE_TITLE : CASE_LOWER;
			in_word = is_cased(c);
		}
		if (how == CASE_SWAP && c >= 128)
			how = char_is_upper(c) ? CASE_LOWER : char_is_lower(c) ? CASE_UPPER : CASE_SWAP;
		if (c < 128)
			add_ascii(&b, (char)c, how, trusted);
		else if (len == 1 || how == CASE_SWAP)
			jb_sub(&b, s, i, i + len);
		else if (how == CASE_LOWER)
			add_lower(&b, s, i, len, c, trusted);
		else if (how == CASE_FOLD)
			add_folded(&b, c, trusted);
		else
			add_upper(&b, c, how == CASE_TITLE, trusted);
	}
	jval made = jb_done(&b);
	as_str(made)->markup = s->markup;
	return made;
}
