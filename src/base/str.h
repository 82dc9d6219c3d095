/*
 * Strings. `struct str` is a borrowed view (not terminated, may hold any bytes); `struct strbuf` owns its
 * bytes and grows. A strbuf that could not grow stays valid, remembers it in .failed and drops what did not
 * fit.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *ptr;
	size_t len;
};

/* For printf: printf("%.*s", STR_ARG(s)). Lengths past INT_MAX are cut. */
#define STR_ARG(s)       ((s).len > 0x7fffffff ? 0x7fffffff : (int)(s).len), (s).ptr
#define STR_LIT(literal) ((struct str){(literal), sizeof(literal) - 1})

static inline struct str str_c(const char *terminated)
{
	return (struct str){terminated, strlen(terminated)};
}

static inline bool str_eq(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool str_eq_c(struct str a, const char *b)
{
	return str_eq(a, str_c(b));
}

static inline bool str_starts(struct str s, struct str prefix)
{
	return s.len >= prefix.len && memcmp(s.ptr, prefix.ptr, prefix.len) == 0;
}

/* Of either case; -1: c is none. */
static inline int hex_digit(char c)
{
	int lower = (unsigned char)c | 0x20;
	return c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static inline bool str_ends(struct str s, struct str suffix)
{
	return s.len >= suffix.len &&
	       (suffix.len == 0 || memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0);
}

struct strbuf {
	char *ptr; /* always terminated once anything was added; NULL before */
	size_t len, cap;
	bool failed; /* something could not be added; stays so until the buffer is cleared or freed */
};

void strbuf_free(struct strbuf *b);
void strbuf_clear(struct strbuf *b); /* keeps the memory */
bool strbuf_reserve(struct strbuf *b, size_t extra);
void strbuf_add(struct strbuf *b, const void *bytes, size_t n);
void strbuf_add_c(struct strbuf *b, const char *terminated);
void strbuf_addf(struct strbuf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds text as a JSON string literal with its quotes; invalid UTF-8 becomes U+FFFD. */
void strbuf_add_json(struct strbuf *b, const char *text, size_t n);

/* Digits alone, 18 at most: no sign, no space, nothing behind. False: text is none, *out stays. */
bool str_read_digits(const char *text, uint64_t *out);

/* Makes a "?" of each byte of text that is no UTF-8, and of those of control characters (U+0000 to U+001F,
 * U+007F to U+009F): what is left steers no terminal and breaks no line. */
void str_make_plain(char *text, size_t n);

/* A printable, quoted, at most max_bytes long rendering of untrusted bytes for messages: control characters,
 * quotes and invalid UTF-8 are escaped, a longer text is cut with "...". Returns out. */
const char *str_quote(struct str s, char *out, size_t out_size);

/* A URL, or what was meant to be one, for messages: a name and password before its host are "***". Cut where
 * out has no room. Returns out. */
const char *str_hide_login(const char *url, char *out, size_t out_size);

/* The word of list (NULL-terminated) that is nearest to word by edit distance (swaps count one), or NULL if
 * none is near enough to be what was meant. */
const char *str_nearest(const char *word, const char *const *list);

/* The character c, at most U+10FFFF, as UTF-8; returns its bytes. */
size_t utf8_put(char out[4], uint32_t c);
/* Length in bytes of the longest prefix of bytes that is complete, valid UTF-8. */
size_t utf8_valid_prefix(const char *bytes, size_t n);

/* Thousands separated by commas: 151936 -> "151,936". Returns out. */
const char *str_thousands(uint64_t value, char out[32]);

/* 1536 -> "1.5 KiB". Returns out. */
const char *str_bytes(uint64_t bytes, char out[32]);

#endif
