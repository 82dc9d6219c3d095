/* What matches one character of a pattern: escapes and classes. */
#include <stdio.h>

#include "constrain/pattern.h"
#include "constrain/rx_internal.h"
#include "constrain/unicode.h"

static const struct rx_span digits[] = {{'0', '9'}};
static const struct rx_span words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
static const struct rx_span words_any_case[] = {{0x17f, 0x17f}, {0x212a, 0x212a}}; /* fold to s and k */
static const struct rx_span spaces[] = {
	{9, 13},          {32, 32},         {0xa0, 0xa0},     {0x1680, 0x1680}, {0x2000, 0x200a},
	{0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}};
static const struct rx_span line_ends[] = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

static bool is_letter(char c)
{
	return ((unsigned char)c | 0x20u) - 'a' < 26u;
}

#define PUT(out, table) spans_put_all((out), (table), sizeof(table) / sizeof *(table))

void pattern_words(bool any_case, struct spans *out)
{
	PUT(out, words);
	if (any_case)
		PUT(out, words_any_case);
	spans_sort(out);
}

void pattern_line_ends(struct spans *out)
{
	PUT(out, line_ends);
}

static void put_class(struct pattern_parser *p, char letter, struct spans *out)
{
	struct spans set = {0};
	switch (letter | 0x20) {
	case 'd':
		PUT(&set, digits);
		break;
	case 's':
		PUT(&set, spaces);
		break;
	default:
		pattern_words(p->flags.any_case, &set);
	}
	if (!(letter & 0x20))
		spans_invert(&set);
	spans_put_all(out, set.at, set.n);
	out->failed |= set.failed;
	spans_free(&set);
}

/* n hexadecimal digits at p->at + skip; UINT32_MAX: no. */
static uint32_t hex_at(const struct pattern_parser *p, size_t skip, size_t n)
{
	uint32_t c = 0;
	if (p->text.len - p->at < skip + n)
		return UINT32_MAX;
	for (size_t i = 0; i < n; i++) {
		int d = hex_digit(p->text.ptr[p->at + skip + i]);
		if (d < 0)
			return UINT32_MAX;
		c = c << 4 | (uint32_t)d;
	}
	return c;
}

/* \u{...}, \uXXXX, two of these that are one character. */
static bool unicode_escape(struct pattern_parser *p, size_t from, uint32_t *c)
{
	size_t left = p->text.len - p->at;
	if (left > 2 && p->text.ptr[p->at + 2] == '{') {
		size_t i = 3;
		int d;
		*c = 0;
		for (; i < left && (d = hex_digit(p->text.ptr[p->at + i])) >= 0; i++)
			if ((*c = *c << 4 | (uint32_t)d) > CODE_POINT_MAX)
				return pattern_fail(p, from, "\"\\u{...}\" is past U+10FFFF");
		if (i == 3 || i >= left || p->text.ptr[p->at + i] != '}')
			return pattern_fail(p, from, "\"\\u{\" wants hexadecimal digits and \"}\"");
		p->at += i + 1;
		return true;
	}
	*c = hex_at(p, 2, 4);
	if (*c == UINT32_MAX)
		return pattern_fail(p, from,
				    "\"\\u\" wants four hexadecimal digits, or \"{\", some and \"}\"");
	p->at += 6;
	if (*c >> 10 == 0xd800 >> 10 && p->text.len - p->at >= 6 && p->text.ptr[p->at] == '\\' &&
	    p->text.ptr[p->at + 1] == 'u') {
		uint32_t low = hex_at(p, 2, 4);
		if (low != UINT32_MAX && low >> 10 == 0xdc00 >> 10) {
			*c = 0x10000 + ((*c & 1023) << 10 | (low & 1023));
			p->at += 6;
		}
	}
	return true;
}

void pattern_any_case(struct pattern_parser *p, struct spans *s)
{
	rx_charge(p->pool, unicode_any_case(s));
}

static bool property(struct pattern_parser *p, size_t from, struct spans *out)
{
	const char *start = p->text.ptr + p->at + 3, *end = p->text.ptr + p->text.len, *close, *equals;
	bool negative = p->text.ptr[p->at + 1] == 'P';
	char quoted[80];
	if (p->text.len - p->at < 4 || start[-1] != '{' ||
	    !(close = memchr(start, '}', (size_t)(end - start))))
		return pattern_fail(p, from, "\"\\p\" wants \"{\", a property's name and \"}\"");
	struct str name = {start, (size_t)(close - start)}, value = {NULL, 0};
	equals = memchr(start, '=', name.len);
	if (equals) {
		value = (struct str){equals + 1, (size_t)(close - equals - 1)};
		name.len = (size_t)(equals - start);
	}
	struct spans set = {0};
	rx_charge(p->pool, 1500); /* a property is looked up in tables of thousands */
	if ((equals && !value.len) || !unicode_property(name, value, &set)) {
		str_quote((struct str){start, (size_t)(close - start)}, quoted, sizeof quoted);
		return pattern_fail(p, from,
				    "the property %s is not known here: general categories are (\\p{L}, "
				    "\\p{Lu}, \\p{gc=Nd}), Any, ASCII, Assigned, White_Space",
				    quoted);
	}
	if (negative)
		spans_invert(&set);
	spans_put_all(out, set.at, set.n);
	out->failed |= set.failed;
	spans_free(&set);
	p->at = (size_t)(close - p->text.ptr) + 1;
	return true;
}

/* What other dialects write that ECMA-262 does not have. */
static bool unknown_escape(struct pattern_parser *p, size_t from, char c)
{
	static const struct {
		char letter;
		const char *instead;
	} others[] = {
		{'A', "for the beginning of the text write \"^\""},
		{'Z', "for the end of the text write \"$\""},
		{'z', "for the end of the text write \"$\""},
		{'G', "it has no place where the last match ended"},
		{'h', "write \"[ \\t]\""},
		{'R', "write \"(?:\\r\\n|\\n)\""},
		{'K', "write a lookbehind, \"(?<=...)\""},
		{'Q', "write each character with \"\\\" before it"},
		{'X', "write what it is to match"},
		{'a', "write \"\\x07\""},
		{'e', "write \"\\x1b\""},
		{'x', "it wants two hexadecimal digits"},
		{'c', "it wants a letter"},
	};
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (others[i].letter == c)
			return pattern_fail(p, from, "\"\\%c\" is no escape of ECMA-262; %s", c,
					    others[i].instead);
	return pattern_fail(p, from, "\"\\%c\" is no escape of ECMA-262; for the letter leave out the \"\\\"",
			    c);
}

static bool reference(struct pattern_parser *p, size_t from, char c)
{
	return pattern_fail(
		p, from,
		"\"\\%c\" refers back to what a group matched, which cannot be known before it is "
		"written; write out what may stand there",
		c);
}

/* An escape that is one character: true and *c, its end in p->at. */
static bool escaped_char(struct pattern_parser *p, size_t from, uint32_t *c)
{
	static const char letters[] = "tnvfr", chars[] = "\t\n\v\f\r";
	size_t left = p->text.len - p->at;
	char e = p->text.ptr[p->at + 1];
	const char *letter = memchr(letters, e, sizeof letters - 1);
	if (letter) {
		*c = (uint8_t)chars[letter - letters];
		p->at += 2;
		return true;
	}
	if (e == 'u')
		return unicode_escape(p, from, c);
	if (e == 'x' && (*c = hex_at(p, 2, 2)) != UINT32_MAX) {
		p->at += 4;
		return true;
	}
	if (e == 'c' && left > 2 && is_letter(p->text.ptr[p->at + 2])) {
		*c = (uint8_t)p->text.ptr[p->at + 2] & 31;
		p->at += 3;
		return true;
	}
	if (e == '0' && (left < 3 || p->text.ptr[p->at + 2] < '0' || p->text.ptr[p->at + 2] > '9')) {
		*c = 0;
		p->at += 2;
		return true;
	}
	if (e == '0')
		return pattern_fail(p, from,
				    "\"\\0\" before a digit; for a character by its number write \"\\x..\"");
	if ((e >= '1' && e <= '9') || e == 'k')
		return reference(p, from, e);
	if (is_letter(e))
		return unknown_escape(p, from, e);
	/* Punctuation stands for itself, also where the u flag would not have it. */
	size_t n;
	p->at++;
	*c = pattern_peek(p, &n);
	p->at += n;
	return true;
}

bool pattern_escape(struct pattern_parser *p, struct spans *out)
{
	size_t from = p->at;
	uint32_t c = 0;
	if (p->text.len - p->at < 2)
		return pattern_fail(
			p, from, "\"\\\" at the end of the pattern; for the character itself write \"\\\\\"");
	char e = p->text.ptr[p->at + 1];
	if (e && strchr("dDsSwW", e)) {
		put_class(p, e, out);
		p->at += 2;
		return true;
	}
	if (e == 'p' || e == 'P')
		return property(p, from, out);
	if (!escaped_char(p, from, &c))
		return false;
	spans_put(out, c, c);
	return true;
}

/* One member of a class: a character (*single, *c) or a set, which is put. */
static bool member(struct pattern_parser *p, struct spans *out, bool *single, uint32_t *c)
{
	size_t n, from = p->at;
	*single = true;
	if (p->text.ptr[p->at] != '\\') {
		*c = pattern_peek(p, &n);
		p->at += n;
		return true;
	}
	char e = p->text.len - p->at > 1 ? p->text.ptr[p->at + 1] : 0;
	if (e && strchr("dDsSwWpP", e)) {
		*single = false;
		return pattern_escape(p, out);
	}
	if (e == 'b') {
		*c = '\b';
		p->at += 2;
		return true;
	}
	if (p->text.len - p->at < 2)
		return pattern_fail(
			p, from, "\"\\\" at the end of the pattern; for the character itself write \"\\\\\"");
	return escaped_char(p, from, c);
}

bool pattern_class(struct pattern_parser *p, struct spans *out)
{
	size_t open = p->at++;
	bool negative = p->at < p->text.len && p->text.ptr[p->at] == '^';
	p->at += negative;
	for (;;) {
		bool single, range_single;
		uint32_t first = 0, last = 0;
		if (p->at >= p->text.len)
			return pattern_fail(p, open,
					    "\"[\" is not closed; write \"]\" after the class, or \"\\[\"");
		if (p->text.ptr[p->at] == ']')
			break;
		size_t from = p->at;
		if (!member(p, out, &single, &first))
			return false;
		bool range =
			p->text.len - p->at > 1 && p->text.ptr[p->at] == '-' && p->text.ptr[p->at + 1] != ']';
		if (!range || !single) {
			if (single)
				spans_put(out, first, first);
			continue; /* after a set "-" is itself */
		}
		p->at++;
		if (!member(p, out, &range_single, &last))
			return false;
		if (!range_single) {
			spans_put(out, first, first);
			spans_put(out, '-', '-');
			continue;
		}
		if (first > last)
			return pattern_fail(
				p, from, "the range begins with U+%04X, past its end U+%04X; turn it round",
				first, last);
		spans_put(out, first, last);
	}
	p->at++;
	spans_sort(out);
	if (p->flags.any_case)
		pattern_any_case(p, out);
	if (negative)
		spans_invert(out);
	return true;
}
