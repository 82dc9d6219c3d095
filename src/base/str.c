#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

void strbuf_free(struct strbuf *b)
{
	free(b->ptr);
	*b = (struct strbuf){0};
}

void strbuf_clear(struct strbuf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->ptr)
		b->ptr[0] = '\0';
}

bool strbuf_reserve(struct strbuf *b, size_t extra)
{
	if (extra > SIZE_MAX / 2 - b->len - 1) {
		b->failed = true;
		return false;
	}
	size_t need = b->len + extra + 1;
	if (need <= b->cap)
		return true;
	size_t cap = b->cap ? b->cap : 64;
	while (cap < need)
		cap *= 2;
	char *ptr = realloc(b->ptr, cap);
	if (!ptr) {
		b->failed = true;
		return false;
	}
	b->ptr = ptr;
	b->cap = cap;
	return true;
}

void strbuf_add(struct strbuf *b, const void *bytes, size_t n)
{
	if (!strbuf_reserve(b, n))
		return;
	if (n)
		memcpy(b->ptr + b->len, bytes, n);
	b->len += n;
	b->ptr[b->len] = '\0';
}

void strbuf_add_c(struct strbuf *b, const char *terminated)
{
	strbuf_add(b, terminated, strlen(terminated));
}

void strbuf_addf(struct strbuf *b, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0) { /* no such text: longer than INT_MAX, or a character that the locale has not */
		b->failed = true;
	} else if (strbuf_reserve(b, (size_t)n)) {
		vsnprintf(b->ptr + b->len, (size_t)n + 1, format, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

/* Bytes of the valid UTF-8 character at p (1 to 4), or 0 if there is none (RFC 3629). */
static size_t utf8_char(const unsigned char *p, size_t n)
{
	if (n == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	size_t len = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
	if (p[0] < 0xC2 || p[0] > 0xF4 || n < len)
		return 0;
	unsigned char low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
	unsigned char high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	return len;
}

size_t utf8_put(char out[4], uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = n; i-- > 1; c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3F));
	out[0] = (char)((n == 2 ? 0xC0u : n == 3 ? 0xE0u : 0xF0u) | c);
	return n;
}

size_t utf8_valid_prefix(const char *bytes, size_t n)
{
	size_t i = 0, step;
	while (i < n && (step = utf8_char((const unsigned char *)bytes + i, n - i)) > 0)
		i += step;
	return i;
}

void strbuf_add_json(struct strbuf *b, const char *text, size_t n)
{
	strbuf_add(b, "\"", 1);
	for (size_t i = 0; i < n;) {
		unsigned char c = (unsigned char)text[i];
		size_t step = utf8_char((const unsigned char *)text + i, n - i);
		if (step == 0) {
			strbuf_add(b, "\xEF\xBF\xBD", 3);
			step = 1;
		} else if (c == '"' || c == '\\') {
			char escaped[2] = {'\\', (char)c};
			strbuf_add(b, escaped, 2);
		} else if (c == '\n') {
			strbuf_add(b, "\\n", 2);
		} else if (c < 0x20 || c == 0x7F) {
			strbuf_addf(b, "\\u%04x", c);
		} else {
			strbuf_add(b, text + i, step);
		}
		i += step;
	}
	strbuf_add(b, "\"", 1);
}

bool str_read_digits(const char *text, uint64_t *out)
{
	size_t n = strlen(text);
	if (n == 0 || n > 18 || strspn(text, "0123456789") != n)
		return false;
	*out = strtoull(text, NULL, 10);
	return true;
}

void str_make_plain(char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i], next = i + 1 < n ? (unsigned char)text[i + 1] : 0;
		size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
		bool whole = i + len <= n && utf8_valid_prefix(text + i, len) == len;
		if (!whole || c < ' ' || c == 0x7f)
			text[i] = '?';
		else if (c == 0xc2 && next < 0xa0)
			text[i] = text[i + 1] = '?';
		i += whole ? len - 1 : 0;
	}
}

const char *str_quote(struct str s, char *out, size_t out_size)
{
	size_t o = 0;
	if (out_size < 8)
		return out_size ? (out[0] = '\0', out) : out;
	out[o++] = '"';
	for (size_t i = 0; i < s.len;) {
		char piece[8];
		size_t step = utf8_char((const unsigned char *)s.ptr + i, s.len - i);
		size_t n;
		unsigned char c = (unsigned char)s.ptr[i];
		if (step == 0 || c < 0x20 || c == 0x7F) {
			n = (size_t)snprintf(piece, sizeof piece,
					     c == '\n'   ? "\\n"
					     : c == '\t' ? "\\t"
							 : "\\x%02x",
					     c);
			step = 1;
		} else if (c == '"' || c == '\\') {
			piece[0] = '\\';
			piece[1] = (char)c;
			n = 2;
		} else {
			memcpy(piece, s.ptr + i, step);
			n = step;
		}
		if (o + n + 5 > out_size) {
			memcpy(out + o, "...", 3);
			o += 3;
			break;
		}
		memcpy(out + o, piece, n);
		o += n;
		i += step;
	}
	out[o++] = '"';
	out[o] = '\0';
	return out;
}

/* Optimal string alignment distance; words longer than 32 bytes count as far. */
static unsigned distance(const char *a, const char *b)
{
	enum { MAX = 32 };
	size_t n = strlen(a), m = strlen(b);
	if (n > MAX || m > MAX)
		return MAX;
	unsigned d[MAX + 1][MAX + 1];
	for (size_t i = 0; i <= n; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		for (size_t j = 1; j <= m; j++) {
			unsigned best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return d[n][m];
}

const char *str_nearest(const char *word, const char *const *list)
{
	const char *best = NULL;
	unsigned best_distance = (unsigned)strlen(word) / 3 + 2;
	for (; *list; list++) {
		unsigned d = distance(word, *list);
		if (d < best_distance) {
			best_distance = d;
			best = *list;
		}
	}
	return best;
}

const char *str_thousands(uint64_t value, char out[32])
{
	char digits[24];
	int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
	size_t o = 0;
	for (int i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			out[o++] = ',';
		out[o++] = digits[i];
	}
	out[o] = '\0';
	return out;
}

const char *str_bytes(uint64_t bytes, char out[32])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	size_t unit = 0;
	while (value >= 1024 && unit + 1 < sizeof units / sizeof *units) {
		value /= 1024;
		unit++;
	}
	snprintf(out, 32, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return out;
}

/* Where the name and password before a host end, at their "@"; NULL: there are none. A password with a slash
 * that should have been percent-encoded ends the host for whoever reads the URL, and is one all the same: a
 * port has digits alone. */
static const char *login_end(const char *start, bool has_scheme)
{
	const char *end = start + strcspn(start, "/?#"), *colon = memchr(start, ':', (size_t)(end - start));
	const char *at = NULL, *past = has_scheme ? strrchr(start, '@') : NULL;
	for (const char *c = start; c < end; c++)
		at = *c == '@' ? c : at;
	if (at)
		return has_scheme || (colon && colon < at) ? at : NULL;
	bool port = !colon || *start == '[' || colon + 1 + strspn(colon + 1, "0123456789") == end;
	return port ? NULL : past;
}

const char *str_hide_login(const char *url, char *out, size_t out_size)
{
	const char *scheme = strstr(url, "://"), *start = scheme ? scheme + 3 : url;
	const char *end = login_end(start, scheme != NULL);
	if (end)
		snprintf(out, out_size, "%.*s***%s", (int)(start - url), url, end);
	else
		snprintf(out, out_size, "%s", url);
	return out;
}
