/* Code points and texts as they stand in an answer: as UTF-8, or between the quotes of a JSON string. */
#include <stdlib.h>

#include "constrain/text.h"

/* How a span of numbers is written digit by digit: radix[i] digits are possible in place i, the first of them
 * is first_digit[i], and before[i] stands ahead. A number's value is that of its digits. */
struct digits {
	size_t n;
	uint32_t radix[6], first_digit[6];
	const char *before[6];
};

/* \uXXXX, and the two of them of a code point past U+FFFF (less 0x10000: ten bits and ten bits). */
static const struct digits one_unit = {4, {16, 16, 16, 16}, {0}, {"\\u", "", "", ""}};
static const struct digits two_units = {
	6, {4, 16, 16, 4, 16, 16}, {8, 0, 0, 12, 0, 0}, {"\\u\1", "", "", "\\u\1", "", ""}}; /* \1: a D */

struct writer {
	struct rx_pool *p;
	const struct digits *as;
	const struct rx_span *spans; /* of what is written, less less */
	size_t n;
	uint32_t less, first, last; /* the numbers that may be written this way */
};

static void set_bit(uint64_t bytes[4], uint8_t b)
{
	bytes[b / 64] |= (uint64_t)1 << b % 64;
}

/* Any of the hexadecimal digits, in either case. */
static rx hex_digits(struct rx_pool *p, uint32_t digits)
{
	uint64_t bytes[4] = {0};
	for (uint32_t d = 0; d < 16; d++) {
		if (!(digits >> d & 1))
			continue;
		set_bit(bytes, (uint8_t) "0123456789abcdef"[d]);
		set_bit(bytes, (uint8_t) "0123456789ABCDEF"[d]);
	}
	return rx_byte_set(p, bytes);
}

/* What stands ahead of place i, then any of digits, then rest. */
static rx digit_then(const struct writer *w, size_t i, uint32_t digits, rx rest)
{
	const char *before = w->as->before[i];
	rx r = rx_cat(w->p, hex_digits(w->p, digits << w->as->first_digit[i]), rest);
	size_t n = strlen(before);
	if (n && before[n - 1] == '\1') {
		r = rx_cat(w->p, hex_digits(w->p, 1u << 13), r);
		n--;
	}
	return n ? rx_cat(w->p, rx_literal(w->p, before, n), r) : r;
}

static rx any_from(const struct writer *w, size_t i)
{
	rx r = RX_EMPTY;
	for (size_t k = w->as->n; k-- > i;)
		r = digit_then(w, k, (1u << w->as->radix[k]) - 1, r);
	return r;
}

/* The numbers from low on that are written with the places from i; `from`: no span before it has any. */
static rx some_from(const struct writer *w, size_t i, uint32_t low, size_t from)
{
	uint32_t width = 1, n_kinds = 0, masks[16];
	rx kinds[16], parts[16];
	for (size_t k = i; k < w->as->n; k++)
		width *= w->as->radix[k];
	uint32_t high = low + width - 1;
	while (from < w->n && w->spans[from].last < low + w->less)
		from++;
	if (from == w->n || w->spans[from].first > high + w->less || low > w->last || high < w->first)
		return RX_NONE;
	if (w->spans[from].first <= low + w->less && w->spans[from].last >= high + w->less &&
	    low >= w->first && high <= w->last)
		return any_from(w, i);
	for (uint32_t d = 0; d < w->as->radix[i]; d++) {
		uint32_t k = 0;
		rx child = some_from(w, i + 1, low + d * (width / w->as->radix[i]), from);
		if (child == RX_NONE)
			continue;
		while (k < n_kinds && kinds[k] != child)
			k++;
		if (k == n_kinds) {
			kinds[n_kinds] = child;
			masks[n_kinds++] = 0;
		}
		masks[k] |= 1u << d;
	}
	for (uint32_t k = 0; k < n_kinds; k++)
		parts[k] = digit_then(w, i, masks[k], kinds[k]);
	return rx_or_many(w->p, parts, n_kinds);
}

static rx written_as(struct rx_pool *p, const struct digits *as, const struct rx_span *spans, size_t n,
		     uint32_t less, uint32_t first, uint32_t last)
{
	struct writer w = {p, as, spans, n, less, first, last};
	return some_from(&w, 0, 0, 0);
}

/* \" \\ \/ \b \f \n \r \t */
static rx short_escapes(struct rx_pool *p, const struct rx_span *spans, size_t n)
{
	static const char chars[] = "\"\\/\b\f\n\r\t", letters[] = "\"\\/bfnrt";
	uint64_t bytes[4] = {0};
	bool any = false;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < sizeof chars - 1; k++)
			if (spans[i].first <= (uint8_t)chars[k] && (uint8_t)chars[k] <= spans[i].last) {
				set_bit(bytes, (uint8_t)letters[k]);
				any = true;
			}
	return any ? rx_cat(p, rx_byte(p, '\\'), rx_byte_set(p, bytes)) : RX_NONE;
}

/* What a JSON string holds as it is: all but controls, quotes and backslashes. */
static rx unescaped(struct rx_pool *p, const struct rx_span *spans, size_t n)
{
	static const struct rx_span plain[] = {{0x20, '"' - 1}, {'"' + 1, '\\' - 1}, {'\\' + 1, 0x10ffff}};
	enum { AT_ONCE = 256 };
	struct rx_span some[AT_ONCE];
	size_t n_some = 0;
	rx r = RX_NONE;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < 3; k++) {
			uint32_t first = spans[i].first > plain[k].first ? spans[i].first : plain[k].first;
			uint32_t last = spans[i].last < plain[k].last ? spans[i].last : plain[k].last;
			if (first > last)
				continue;
			if (n_some == AT_ONCE) {
				r = rx_or(p, r, rx_chars(p, some, n_some));
				n_some = 0;
			}
			some[n_some++] = (struct rx_span){first, last};
		}
	return n_some ? rx_or(p, r, rx_chars(p, some, n_some)) : r;
}

rx rx_char(struct rx_pool *p, enum rx_dress dress, const struct rx_span *spans, size_t n)
{
	if (dress == RX_RAW)
		return rx_chars(p, spans, n);
	rx ways[] = {
		unescaped(p, spans, n),
		short_escapes(p, spans, n),
		written_as(p, &one_unit, spans, n, 0, 0, 0xd7ff),
		written_as(p, &one_unit, spans, n, 0, 0xe000, 0xffff),
		written_as(p, &two_units, spans, n, 0x10000, 0, 0xfffff),
	};
	return rx_or_many(p, ways, sizeof ways / sizeof *ways);
}

rx rx_any_text(struct rx_pool *p, enum rx_dress dress, uint32_t min, uint32_t max)
{
	static const struct rx_span all = {0, 0x10ffff};
	return rx_repeat(p, rx_char(p, dress, &all, 1), min, max);
}

/* The code point that ends at *end, which moves to its first byte. */
static uint32_t last_char(struct str s, size_t *end)
{
	uint32_t c = 0, shift = 0;
	for (;;) {
		uint8_t b = (uint8_t)s.ptr[--*end];
		if ((b & 0xc0) != 0x80 || !*end)
			return c | (uint32_t)(b < 0x80    ? b
					      : b >= 0xf0 ? b & 7
					      : b >= 0xe0 ? b & 15
							  : b & 31)
					   << shift;
		c |= (uint32_t)(b & 63) << shift;
		shift += 6;
	}
}

rx rx_text(struct rx_pool *p, enum rx_dress dress, struct str utf8)
{
	rx ascii[128] = {0}, r = RX_EMPTY;
	if (dress == RX_RAW)
		return rx_literal(p, utf8.ptr, utf8.len);
	for (size_t end = utf8.len; end > 0 && !rx_failed(p);) {
		uint32_t c = last_char(utf8, &end);
		struct rx_span span = {c, c};
		rx one = c < 128 ? ascii[c] : RX_NONE;
		if (one == RX_NONE)
			one = rx_char(p, dress, &span, 1);
		if (c < 128)
			ascii[c] = one;
		r = rx_cat(p, one, r);
	}
	return r;
}
