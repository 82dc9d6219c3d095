/*
 * Source to tokens, as jinja2's lexer reads with trim_blocks and lstrip_blocks: a line end after a block or a
 * comment goes, as do blanks between the beginning of a line and one; "-" takes all white space on its side,
 * "+" keeps what is there. Line ends of all kinds are read as LF, and one at the end of the source goes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "text/jinja/internal.h"

struct lexer {
	struct parser *p;
	const char *s, *end, *at;
	const char *counted; /* line is that of this place */
	uint32_t line;
	char closers[JINJA_MAX_NESTING];
	size_t n_closers;
};

static uint32_t line_of(struct lexer *l, const char *at)
{
	for (; l->counted < at; l->counted++)
		l->line += *l->counted == '\n';
	return l->line;
}

static struct token *add(struct lexer *l, enum token_kind kind, const char *from, size_t n)
{
	struct parser *p = l->p;
	if (p->n_tokens == p->cap_tokens) {
		size_t cap = p->cap_tokens ? p->cap_tokens * 2 : 256;
		struct token *more = arena_array(&p->scratch, cap, sizeof *more);
		if (!more)
			p_fail(p, 0, "no memory for the template");
		if (p->n_tokens)
			memcpy(more, p->tokens, p->n_tokens * sizeof *more);
		p->tokens = more;
		p->cap_tokens = cap;
	}
	struct token *t = &p->tokens[p->n_tokens++];
	*t = (struct token){.kind = (uint8_t)kind, .line = line_of(l, l->at), .text = {from, n}};
	return t;
}

static bool starts(const struct lexer *l, const char *at, const char *what)
{
	size_t n = strlen(what);
	return (size_t)(l->end - at) >= n && memcmp(at, what, n) == 0;
}

static const char *skip_space(const struct lexer *l, const char *at)
{
	size_t n;
	while (at < l->end && is_space(utf8_at(at, (size_t)(l->end - at), &n)))
		at += n;
	return at;
}

/* Without the white space at its end. */
static size_t stripped(const char *p, size_t n)
{
	size_t keep = 0, len;
	for (size_t i = 0; i < n; i += len)
		if (!is_space(utf8_at(p + i, n - i, &len)))
			keep = i + len;
	return keep;
}

/* The template's text from..to stands before a tag with this sign. */
static void add_text(struct lexer *l, const char *from, const char *to, char sign, bool is_output)
{
	size_t n = (size_t)(to - from);
	if (sign == '-') {
		n = stripped(from, n);
	} else if (sign != '+' && !is_output) {
		const char *line = n ? memrchr(from, '\n', n) : NULL;
		size_t begin = line ? (size_t)(line - from) + 1 : 0;
		bool at_line = line || from == l->s || from[-1] == '\n';
		if (at_line && stripped(from + begin, n - begin) == 0)
			n = begin;
	}
	if (n)
		add(l, T_TEXT, from, n);
}

static char sign_at(const struct lexer *l, const char *at)
{
	return at < l->end && (*at == '-' || *at == '+') ? *at : 0;
}

/* Past the end of a comment or block at at ("#}", "%}"), whose sign stood before it. */
static const char *past_end(const struct lexer *l, const char *at, char sign)
{
	at += 2;
	if (sign == '-')
		return skip_space(l, at);
	return sign != '+' && at < l->end && *at == '\n' ? at + 1 : at;
}

static void comment(struct lexer *l)
{
	const char *begin = l->at + 2;
	begin += sign_at(l, begin) != 0;
	const char *close = begin < l->end ? memmem(begin, (size_t)(l->end - begin), "#}", 2) : NULL;
	if (!close)
		p_fail(l->p, line_of(l, l->at), "a comment {# is never closed");
	l->at = past_end(l, close, close > begin ? sign_at(l, close - 1) : 0);
}

/* {% NAME %} with its signs at at; returns what follows, or NULL. */
static const char *bare_block(const struct lexer *l, const char *at, const char *name, char *sign,
			      char *closing)
{
	const char *p = at + 2;
	*sign = sign_at(l, p);
	p = skip_space(l, p + (*sign != 0));
	if (!starts(l, p, name))
		return NULL;
	p = skip_space(l, p + strlen(name));
	*closing = sign_at(l, p);
	p += *closing != 0;
	return starts(l, p, "%}") ? p : NULL;
}

/* {% raw %}: everything up to {% endraw %} is text. */
static bool raw(struct lexer *l)
{
	char sign, closing;
	const char *p = bare_block(l, l->at, "raw", &sign, &closing);
	if (!p || closing == '+')
		return false;
	p = closing == '-' ? skip_space(l, p + 2) : p + 2;
	for (const char *at = p;; at += 2) {
		at = at < l->end ? memmem(at, (size_t)(l->end - at), "{%", 2) : NULL;
		if (!at)
			p_fail(l->p, line_of(l, l->at), "a {%% raw %%} has no {%% endraw %%}");
		const char *end = bare_block(l, at, "endraw", &sign, &closing);
		if (!end)
			continue;
		l->at = p;
		add_text(l, p, at, sign, false);
		l->at = past_end(l, end, closing);
		return true;
	}
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) ||
	       (c >= '0' && c <= '9');
}

/* Digits with single underscores between them; 0: there are none. */
static size_t digits(const struct lexer *l, const char *p)
{
	const char *at = p;
	while (at < l->end && *at >= '0' && *at <= '9') {
		at++;
		if (at + 1 < l->end && *at == '_' && at[1] >= '0' && at[1] <= '9')
			at++;
	}
	return (size_t)(at - p);
}

static size_t exponent(const struct lexer *l, const char *p)
{
	if (p >= l->end || (*p | 0x20) != 'e')
		return 0;
	size_t sign = p + 1 < l->end && (p[1] == '+' || p[1] == '-');
	size_t n = digits(l, p + 1 + sign);
	return n ? 1 + sign + n : 0;
}

static size_t float_len(const struct lexer *l)
{
	size_t n = digits(l, l->at), e;
	if (!n || (l->at > l->s && l->at[-1] == '.'))
		return 0;
	const char *p = l->at + n;
	if (p < l->end && *p == '.') {
		size_t fraction = digits(l, p + 1);
		if (fraction)
			return n + 1 + fraction + exponent(l, p + 1 + fraction);
	}
	e = exponent(l, p);
	return e ? n + e : 0;
}

static unsigned digit_value(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

static void whole_number(struct lexer *l)
{
	const char *p = l->at;
	unsigned base = 10;
	if (*p == '0' && p + 1 < l->end) {
		char c = (char)(p[1] | 0x20);
		base = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 10;
	}
	const char *at = base == 10 ? p : p + 2;
	bool zero = base == 10 && *p == '0'; /* "007" is 0, 0 and 7 */
	int64_t v = 0;
	for (; at < l->end; at++) {
		if (*at == '_' && at + 1 < l->end && is_name_char(at[1]) && at[1] != '_')
			continue;
		if (!is_name_char(*at) || *at == '_' || (*at & 0x80) || digit_value(*at) >= base ||
		    (zero && *at != '0'))
			break;
		if (__builtin_mul_overflow(v, (int64_t)base, &v) ||
		    __builtin_add_overflow(v, (int64_t)digit_value(*at), &v))
			p_fail(l->p, line_of(l, p), "a whole number past 64 bits");
	}
	if (at == p + 2 && base != 10) { /* 0x alone is 0 and a name */
		at = p + 1;
		v = 0;
	}
	add(l, T_INT, p, (size_t)(at - p))->i = v;
	l->at = at;
}

static void number(struct lexer *l)
{
	size_t n = float_len(l), k = 0;
	if (!n) {
		whole_number(l);
		return;
	}
	char text[128];
	if (n >= sizeof text)
		p_fail(l->p, line_of(l, l->at), "a number of %zu characters", n);
	for (size_t i = 0; i < n; i++)
		if (l->at[i] != '_')
			text[k++] = l->at[i];
	text[k] = '\0';
	add(l, T_FLOAT, l->at, n)->f = strtod(text, NULL);
	l->at += n;
}

static uint32_t hex(struct lexer *l, const char *p, const char *end, size_t n)
{
	uint32_t v = 0;
	for (size_t i = 0; i < n; i++) {
		bool ok = p + i < end &&
			  ((p[i] >= '0' && p[i] <= '9') || ((p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'f'));
		if (!ok)
			p_fail(l->p, line_of(l, l->at), "an escape that wants %zu hexadecimal digits", n);
		v = v << 4 | digit_value(p[i]);
	}
	if (v > 0x10FFFF || (v >= 0xD800 && v < 0xE000))
		p_fail(l->p, line_of(l, l->at), "an escape that is no character: U+%04X", v);
	return v;
}

/* The longest that an escape becomes, "\\U0001f44d", and printf's NUL. */
enum { MAX_ESCAPE_BYTES = 11 };

/* One escape at p (after the backslash) into out; returns what follows. Those that are none stay as they
 * are. */
static const char *escape(struct lexer *l, const char *p, const char *end, char *out, size_t *n)
{
	static const char names[] = "nrtabfv\\'\"", values[] = "\n\r\t\a\b\f\v\\'\"";
	const char *known = strchr(names, *p);
	if (known && *p) {
		out[(*n)++] = values[known - names];
		return p + 1;
	}
	if (*p == '\n')
		return p + 1;
	if (*p >= '0' && *p <= '7') {
		uint32_t v = 0;
		size_t k = 0;
		for (; k < 3 && p + k < end && p[k] >= '0' && p[k] <= '7'; k++)
			v = v << 3 | (uint32_t)(p[k] - '0');
		*n += utf8_put(out + *n, v);
		return p + k;
	}
	size_t width = *p == 'x' ? 2 : *p == 'u' ? 4 : *p == 'U' ? 8 : 0;
	if (width) {
		*n += utf8_put(out + *n, hex(l, p + 1, end, width));
		return p + 1 + width;
	}
	if (*p == 'N')
		p_fail(l->p, line_of(l, l->at),
		       "the escape \\N{...} is not known here; write \\u and four "
		       "hexadecimal digits");
	out[(*n)++] = '\\';
	if (!(*p & 0x80)) {
		out[(*n)++] = *p;
		return p + 1;
	}
	/* jinja2 writes a character past ASCII as an escape before it reads escapes: this one's is lost */
	size_t len;
	uint32_t c = utf8_at(p, (size_t)(end - p), &len);
	*n += (size_t)snprintf(out + *n, MAX_ESCAPE_BYTES - 1,
			       c < 0x100     ? "x%02x"
			       : c < 0x10000 ? "u%04x"
					     : "U%08x",
			       c);
	return p + len;
}

static void string(struct lexer *l)
{
	char quote = *l->at;
	const char *p = l->at + 1, *close = p;
	while (close < l->end && *close != quote)
		close += *close == '\\' ? 2 : 1;
	if (close >= l->end)
		p_fail(l->p, line_of(l, l->at), "a text that begins with %c is never closed", quote);
	/* An escape is of two bytes or more. */
	char *out = p_alloc(l->p, (size_t)(close - p) / 2 * MAX_ESCAPE_BYTES + (size_t)(close - p) + 1);
	size_t n = 0;
	while (p < close) {
		if (*p == '\\')
			p = escape(l, p + 1, close, out, &n);
		else
			out[n++] = *p++;
	}
	add(l, T_STRING, out, n);
	l->at = close + 1;
}

static void punctuation(struct lexer *l)
{
	static const char *const signs[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
					    "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
					    ">",  "<",  "=",  ".",  ":",  "|",  ",", ";", NULL};
	char quoted[16];
	const char *const *s = signs;
	while (*s && !starts(l, l->at, *s))
		s++;
	if (!*s) {
		size_t n;
		utf8_at(l->at, (size_t)(l->end - l->at), &n);
		p_fail(l->p, line_of(l, l->at), "%s is not understood here",
		       str_quote((struct str){l->at, n}, quoted, sizeof quoted));
	}
	static const char openers[] = "([{", closers[] = ")]}";
	const char *opens = strchr(openers, **s), *closes = strchr(closers, **s);
	if (opens) {
		if (l->n_closers == JINJA_MAX_NESTING)
			p_fail(l->p, line_of(l, l->at), "brackets nested deeper than %d", JINJA_MAX_NESTING);
		l->closers[l->n_closers++] = closers[opens - openers];
	} else if (closes && !l->n_closers) {
		p_fail(l->p, line_of(l, l->at), "a %s that closes nothing", *s);
	} else if (closes && l->closers[--l->n_closers] != **s) {
		p_fail(l->p, line_of(l, l->at), "a %s where %c is wanted", *s, l->closers[l->n_closers]);
	}
	add(l, T_SIGN, l->at, strlen(*s));
	l->at += strlen(*s);
}

/* The inside of {{ }} or {% %}, up to and with its end. */
static void tag(struct lexer *l, bool is_output)
{
	const char *open = l->at, *close = is_output ? "}}" : "%}";
	uint32_t line = line_of(l, open);
	add(l, is_output ? T_OUTPUT_BEGIN : T_BLOCK_BEGIN, open, 2);
	l->at += 2;
	l->at += sign_at(l, l->at) != 0;
	l->n_closers = 0;
	for (;;) {
		l->at = skip_space(l, l->at);
		if (l->at >= l->end)
			p_fail(l->p, line, "a %.2s is never closed", open);
		char c = *l->at, s = c == '-' || (c == '+' && !is_output) ? c : 0;
		if (!l->n_closers && starts(l, l->at + (s != 0), close)) {
			add(l, is_output ? T_OUTPUT_END : T_BLOCK_END, l->at, 2);
			l->at += s != 0;
			if (!is_output)
				l->at = past_end(l, l->at, s);
			else
				l->at = s == '-' ? skip_space(l, l->at + 2) : l->at + 2;
			return;
		}
		if (c >= '0' && c <= '9') {
			number(l);
		} else if (is_name_char(c)) {
			const char *from = l->at, *to = from;
			while (to < l->end && is_name_char(*to))
				to++;
			add(l, T_NAME, from, (size_t)(to - from));
			l->at = to;
		} else if (c == '\'' || c == '"') {
			string(l);
		} else {
			punctuation(l);
		}
	}
}

static struct str normalise(struct parser *p, struct str source)
{
	char *s = p_alloc(p, source.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < source.len; i++) {
		if (source.ptr[i] != '\r')
			s[n++] = source.ptr[i];
		else if (i + 1 == source.len || source.ptr[i + 1] != '\n')
			s[n++] = '\n';
	}
	if (n && s[n - 1] == '\n')
		n--;
	return (struct str){s, n};
}

void lex(struct parser *p, struct str source)
{
	source = normalise(p, source);
	struct lexer l = {.p = p, .s = source.ptr, .end = source.ptr + source.len, .at = source.ptr};
	l.counted = l.s;
	l.line = 1;
	while (l.at < l.end) {
		const char *from = l.at, *open = from;
		while (open && !(open + 1 < l.end && *open == '{' &&
				 (open[1] == '{' || open[1] == '%' || open[1] == '#'))) {
			open = open + 1 < l.end ? memchr(open + 1, '{', (size_t)(l.end - open - 1)) : NULL;
		}
		if (!open) {
			add(&l, T_TEXT, from, (size_t)(l.end - from));
			break;
		}
		add_text(&l, from, open, sign_at(&l, open + 2), open[1] == '{');
		l.at = open;
		if (open[1] == '#')
			comment(&l);
		else if (open[1] == '{' || !raw(&l))
			tag(&l, open[1] == '{');
	}
	add(&l, T_END, l.end, 0);
}
