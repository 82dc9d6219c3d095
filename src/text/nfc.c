#include "text/nfc.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "text/unicode.h"

/*
 * The quick check. A character is inert when it is a starter (combining class 0), NFC maps it to itself, and
 * it is not the second half of any composition: such a character ends whatever stood before it. These are the
 * longer ranges of inert characters in Unicode 15.0, the version of utf8proc 2.8; test_nfc.c derives the
 * property again and checks them. Characters that came after Unicode 9 are all inert (nfc.h).
 */
static const struct {
	uint32_t first, last;
} inert[] = {
	{0x0000, 0x02FF},   {0x03A3, 0x0482},     {0x0488, 0x052F},   {0x0531, 0x0556},   {0x0559, 0x058A},
	{0x05D0, 0x05EA},   {0x061B, 0x064A},     {0x0671, 0x06D5},   {0x06EE, 0x070D},   {0x0712, 0x072F},
	{0x074D, 0x07B1},   {0x07C0, 0x07EA},     {0x07FE, 0x0815},   {0x0840, 0x0858},   {0x0870, 0x088E},
	{0x08A0, 0x08C9},   {0x0900, 0x093B},     {0x0960, 0x0983},   {0x09E6, 0x09FD},   {0x0D12, 0x0D3A},
	{0x0D66, 0x0D7F},   {0x0D9A, 0x0DB1},     {0x0E01, 0x0E37},   {0x0E8C, 0x0EA3},   {0x0F00, 0x0F17},
	{0x0F1A, 0x0F34},   {0x1000, 0x102D},     {0x103B, 0x108C},   {0x108E, 0x10C5},   {0x10D0, 0x1160},
	{0x1176, 0x11A7},   {0x11C3, 0x1248},     {0x1260, 0x1288},   {0x1290, 0x12B0},   {0x12D8, 0x1310},
	{0x1318, 0x135A},   {0x1360, 0x137C},     {0x1380, 0x1399},   {0x13A0, 0x13F5},   {0x1400, 0x169C},
	{0x16A0, 0x16F8},   {0x1780, 0x17D1},     {0x1800, 0x1819},   {0x1820, 0x1878},   {0x1880, 0x18A8},
	{0x18B0, 0x18F5},   {0x1900, 0x191E},     {0x1944, 0x196D},   {0x1980, 0x19AB},   {0x19B0, 0x19C9},
	{0x19DE, 0x1A16},   {0x1A1E, 0x1A5E},     {0x1B00, 0x1B33},   {0x1B50, 0x1B6A},   {0x1B80, 0x1BA9},
	{0x1BAC, 0x1BE5},   {0x1BFC, 0x1C36},     {0x1C4D, 0x1C88},   {0x1C90, 0x1CBA},   {0x1D00, 0x1DBF},
	{0x1E00, 0x1F15},   {0x1F20, 0x1F45},     {0x1F80, 0x1FB4},   {0x2002, 0x2064},   {0x2074, 0x208E},
	{0x20A0, 0x20C0},   {0x2100, 0x2125},     {0x212C, 0x218B},   {0x2190, 0x2328},   {0x232B, 0x2426},
	{0x2460, 0x2ADB},   {0x2ADD, 0x2B73},     {0x2B76, 0x2B95},   {0x2B97, 0x2CEE},   {0x2CF9, 0x2D25},
	{0x2D30, 0x2D67},   {0x2E00, 0x2E5D},     {0x2E80, 0x2E99},   {0x2E9B, 0x2EF3},   {0x2F00, 0x2FD5},
	{0x3000, 0x3029},   {0x3041, 0x3096},     {0x309B, 0x30FF},   {0x3105, 0x312F},   {0x3131, 0x318E},
	{0x3190, 0x31E3},   {0x31F0, 0x321E},     {0x3220, 0xA48C},   {0xA490, 0xA4C6},   {0xA4D0, 0xA62B},
	{0xA640, 0xA66E},   {0xA67E, 0xA69D},     {0xA6A0, 0xA6EF},   {0xA700, 0xA7CA},   {0xA807, 0xA82B},
	{0xA840, 0xA877},   {0xA880, 0xA8C3},     {0xA8F2, 0xA92A},   {0xA92E, 0xA952},   {0xA95F, 0xA97C},
	{0xA980, 0xA9B2},   {0xA9DE, 0xA9FE},     {0xAA00, 0xAA36},   {0xAA5C, 0xAAAF},   {0xAADB, 0xAAF5},
	{0xAB30, 0xAB6B},   {0xAB70, 0xABEC},     {0xAC00, 0xD7A3},   {0xD7CB, 0xD7FB},   {0xE000, 0xF8FF},
	{0xFB4F, 0xFBC2},   {0xFBD3, 0xFD8F},     {0xFD92, 0xFDC7},   {0xFDF0, 0xFE19},   {0xFE30, 0xFE52},
	{0xFE76, 0xFEFC},   {0xFF01, 0xFFBE},     {0x10600, 0x10736}, {0x11FFF, 0x12399}, {0x13000, 0x13455},
	{0x14400, 0x14646}, {0x16800, 0x16A38},   {0x17000, 0x187F7}, {0x18800, 0x18CD5}, {0x1B000, 0x1B122},
	{0x1B170, 0x1B2FB}, {0x1D000, 0x1D0F5},   {0x1D552, 0x1D6A5}, {0x1D6A8, 0x1D7CB}, {0x1D7CE, 0x1DA8B},
	{0x1F300, 0x1F6D7}, {0x1F900, 0x1FA53},   {0x20000, 0x2A6DF}, {0x2A700, 0x2B739}, {0x2B740, 0x2B81D},
	{0x2B820, 0x2CEA1}, {0x2CEB0, 0x2EBE0},   {0x30000, 0x3134A}, {0x31350, 0x323AF}, {0xE0100, 0xE01EF},
	{0xF0000, 0xFFFFD}, {0x100000, 0x10FFFD},
};

bool nfc_is_inert(uint32_t c)
{
	size_t low = 0, high = sizeof inert / sizeof *inert;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (c > inert[middle].last)
			low = middle + 1;
		else
			high = middle;
	}
	return (low < sizeof inert / sizeof *inert && c >= inert[low].first) ||
	       (unicode_of(c) & UNICODE_AFTER_9);
}

/* Bytes from p that are ASCII, eight at a time. */
static size_t ascii_run(const char *p, size_t n)
{
	size_t i = 0;
	for (; i + 8 <= n; i += 8) {
		uint64_t eight;
		memcpy(&eight, p + i, 8);
		if (eight & 0x8080808080808080u)
			break;
	}
	while (i < n && (unsigned char)p[i] < 0x80)
		i++;
	return i;
}

struct codepoints {
	utf8proc_int32_t *c;
	size_t n, cap;
};

static unsigned combining_class(utf8proc_int32_t c)
{
	return (unsigned)utf8proc_get_property(c)->combining_class;
}

/*
 * Canonical order: marks between starters sorted by combining class, equals kept in order. A counting sort,
 * so that a megabyte of marks costs a pass: utf8proc's own exchange sort is quadratic.
 */
static bool canonical_order(utf8proc_int32_t *c, size_t n)
{
	utf8proc_int32_t *sorted = NULL;
	for (size_t i = 0; i < n;) {
		if (combining_class(c[i]) == 0) {
			i++;
			continue;
		}
		size_t end = i, start[257] = {0};
		bool in_order = true;
		for (unsigned last = 0; end < n; end++) {
			unsigned class = combining_class(c[end]);
			if (class == 0)
				break;
			in_order = in_order && class >= last;
			last = class;
			start[class + 1]++;
		}
		if (!in_order) {
			if (!sorted && !(sorted = malloc(n * sizeof *sorted)))
				return false;
			for (size_t class = 0; class < 256; class ++)
				start[class + 1] += start[class];
			for (size_t j = i; j < end; j++)
				sorted[start[combining_class(c[j])]++] = c[j];
			memcpy(c + i, sorted, (end - i) * sizeof *c);
		}
		i = end;
	}
	free(sorted);
	return true;
}

static bool reserve(struct codepoints *u, size_t extra)
{
	if (u->cap - u->n >= extra)
		return true;
	size_t cap = u->cap * 2 + extra + 64;
	utf8proc_int32_t *c = realloc(u->c, cap * sizeof *c);
	if (!c)
		return false;
	u->c = c;
	u->cap = cap;
	return true;
}

/* The whole algorithm on a stretch: decompose, order, compose, append. */
static bool normalise(struct codepoints *u, struct str text, struct strbuf *out)
{
	enum { LONGEST = 32 }; /* no canonical decomposition has more than 4 characters */
	u->n = 0;
	for (size_t i = 0; i < text.len;) {
		uint32_t c;
		i += unicode_decode((const unsigned char *)text.ptr + i, &c);
		if (!reserve(u, LONGEST))
			return false;
		int last_class = 0;
		utf8proc_ssize_t n =
			utf8proc_decompose_char((utf8proc_int32_t)c, u->c + u->n, LONGEST,
						UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, &last_class);
		if (n < 0 || n > LONGEST) /* cannot be: c is a scalar value */
			return false;
		u->n += (size_t)n;
	}
	if (!canonical_order(u->c, u->n))
		return false;
	utf8proc_ssize_t n =
		utf8proc_normalize_utf32(u->c, (utf8proc_ssize_t)u->n, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
	for (utf8proc_ssize_t i = 0; i < n; i++) {
		utf8proc_uint8_t bytes[4];
		strbuf_add(out, bytes, (size_t)utf8proc_encode_char(u->c[i], bytes));
	}
	return n >= 0 && !out->failed;
}

/* The next stretch at or after from that needs the whole algorithm: from the last inert character before the
 * first one that is not, to the next inert one. Its length is 0 when there is none. A character after Unicode
 * 9 is never in it: utf8proc may know more of it than is wanted. */
static struct str next_stretch(struct str text, size_t from)
{
	size_t last_inert = from, i = from;
	bool found = false;
	while (i < text.len) {
		size_t run = ascii_run(text.ptr + i, text.len - i);
		if (run && found)
			break;
		if (run) {
			i += run;
			last_inert = i - 1;
			continue;
		}
		uint32_t c;
		size_t n = unicode_decode((const unsigned char *)text.ptr + i, &c);
		if (!nfc_is_inert(c))
			found = true;
		else if (found)
			break;
		else
			last_inert = unicode_of(c) & UNICODE_AFTER_9 ? i + n : i;
		i += n;
	}
	return found ? (struct str){text.ptr + last_inert, i - last_inert}
		     : (struct str){text.ptr + text.len, 0};
}

enum hokku_code nfc(struct str text, struct strbuf *buffer, struct str *out, struct hokku_error *err)
{
	*out = text;
	unicode_init();
	struct str stretch = next_stretch(text, 0);
	if (stretch.len == 0)
		return HOKKU_OK;
	struct codepoints u = {0};
	bool ok = true;
	strbuf_clear(buffer);
	const char *done = text.ptr, *end = text.ptr + text.len;
	while (ok && stretch.len) {
		strbuf_add(buffer, done, (size_t)(stretch.ptr - done));
		ok = normalise(&u, stretch, buffer);
		done = stretch.ptr + stretch.len;
		stretch = next_stretch(text, (size_t)(done - text.ptr));
	}
	strbuf_add(buffer, done, (size_t)(end - done));
	free(u.c);
	if (!ok || buffer->failed)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory to normalise a text of %zu bytes",
			       text.len);
	*out = (struct str){buffer->ptr, buffer->len};
	return HOKKU_OK;
}
