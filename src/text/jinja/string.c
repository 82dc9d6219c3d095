/*
 * Strings: views of bytes that are never changed, each byte with its trust. A string made by adding keeps
 * room behind its end, so that one that is added to again and again grows in place.
 */
#include "text/jinja/internal.h"

bool is_space(uint32_t c)
{
	return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
	       c == 0x3000;
}

uint32_t utf8_at(const char *p, size_t n, size_t *len)
{
	const unsigned char *u = (const unsigned char *)p;
	*len = 1;
	if (u[0] < 0x80)
		return u[0];
	size_t width = u[0] >= 0xF0 ? 4 : u[0] >= 0xE0 ? 3 : 2;
	if (u[0] < 0xC2 || u[0] > 0xF4 || width > n || utf8_valid_prefix(p, width) < width)
		return u[0];
	uint32_t c = u[0] & (0x7Fu >> width);
	for (size_t i = 1; i < width; i++)
		c = c << 6 | (u[i] & 0x3F);
	*len = width;
	return c;
}

size_t str_count_chars(struct str s)
{
	size_t chars = 0, len;
	for (size_t i = 0; i < s.len; chars++) {
		if (!(s.ptr[i] & 0x80)) {
			i++;
			continue;
		}
		utf8_at(s.ptr + i, s.len - i, &len);
		i += len;
	}
	return chars;
}

struct str str_view(const struct jstr *s)
{
	return (struct str){s->p, s->n};
}

bool str_is(const struct jstr *s, const char *c)
{
	return str_eq_c(str_view(s), c);
}

static jval new_str(struct jinja_run *r, struct jstr s)
{
	struct jstr *made = j_alloc(r, sizeof *made);
	*made = s;
	return (jval){J_STRING, false, {.p = made}};
}

jval j_str(struct jinja_run *r, const char *p, size_t n, bool trusted)
{
	return new_str(r, (struct jstr){.p = p, .n = n, .n_chars = n ? SIZE_MAX : 0, .trusted = trusted});
}

jval j_text(struct jinja_run *r, const char *terminated)
{
	return j_str(r, terminated, strlen(terminated), false);
}

jval j_sub(struct jinja_run *r, const struct jstr *s, size_t from, size_t to)
{
	if (to < from)
		to = from;
	struct jstr part = {.p = s->p + from,
			    .mark = s->mark ? s->mark + from : NULL,
			    .n = to - from,
			    .n_chars = SIZE_MAX,
			    .trusted = s->trusted,
			    .markup = s->markup};
	if (s->n_chars == s->n)
		part.n_chars = part.n;
	return new_str(r, part);
}

size_t str_chars(const struct jstr *s)
{
	if (s->n_chars == SIZE_MAX)
		((struct jstr *)s)->n_chars = str_count_chars(str_view(s));
	return s->n_chars;
}

size_t str_byte_of(const struct jstr *s, size_t n_chars)
{
	if (str_chars(s) == s->n)
		return n_chars < s->n ? n_chars : s->n;
	size_t at = 0, len;
	for (; n_chars && at < s->n; n_chars--, at += len)
		utf8_at(s->p + at, s->n - at, &len);
	return at;
}

ptrdiff_t str_find(const struct jstr *s, size_t from, struct str what)
{
	if (from > s->n || what.len > s->n - from)
		return -1;
	if (!what.len)
		return (ptrdiff_t)from;
	const char *at = memmem(s->p + from, s->n - from, what.ptr, what.len);
	return at ? at - s->p : -1;
}

static bool is_among(const struct jstr *chars, const char *p, size_t len)
{
	size_t n;
	for (size_t i = 0; i < chars->n; i += n) {
		utf8_at(chars->p + i, chars->n - i, &n);
		if (n == len && memcmp(chars->p + i, p, n) == 0)
			return true;
	}
	return false;
}

static bool to_strip(const struct jstr *chars, const char *p, size_t n, size_t *len)
{
	uint32_t c = utf8_at(p, n, len);
	return chars ? is_among(chars, p, *len) : is_space(c);
}

/* Where the character before byte at begins. */
static size_t char_before(const struct jstr *s, size_t at)
{
	for (size_t back = 2; back <= 4 && back <= at; back++) {
		size_t len;
		utf8_at(s->p + at - back, back, &len);
		if (len == back)
			return at - back;
	}
	return at - 1;
}

jval str_strip(struct jinja_run *r, const struct jstr *s, const struct jstr *chars, bool left, bool right)
{
	size_t from = 0, to = s->n, len;
	j_work(r, chars ? chars->n : 0);
	while (left && from < to && to_strip(chars, s->p + from, to - from, &len))
		from += len;
	while (right && to > from) {
		size_t before = char_before(s, to);
		if (before < from || !to_strip(chars, s->p + before, to - before, &len))
			break;
		to = before;
	}
	j_work(r, (s->n - (to - from)) * (chars ? chars->n + 1 : 1));
	return j_sub(r, s, from, to);
}

/* ---- making strings ---- */

struct jbuild jb_new(struct jinja_run *r)
{
	return (struct jbuild){.r = r};
}

static void grow(struct jbuild *b, size_t n)
{
	size_t cap = b->n + n + (b->n + n) / 2 + 64;
	char *p = j_alloc(b->r, cap);
	if (b->n)
		memcpy(p, b->p, b->n);
	if (b->mark) {
		uint8_t *mark = j_alloc(b->r, cap);
		memcpy(mark, b->mark, b->n);
		b->mark = mark;
	}
	b->p = p;
	b->cap = cap;
}

void jb_add(struct jbuild *b, const char *p, size_t n, const uint8_t *mark, bool trusted)
{
	if (!n)
		return;
	j_work(b->r, n);
	if (n > b->cap - b->n)
		grow(b, n);
	if (!b->n && !mark)
		b->trusted = trusted;
	if (!b->mark && (mark || trusted != b->trusted)) {
		b->mark = j_alloc(b->r, b->cap);
		memset(b->mark, b->trusted, b->n);
	}
	memcpy(b->p + b->n, p, n);
	if (mark)
		memcpy(b->mark + b->n, mark, n);
	else if (b->mark)
		memset(b->mark + b->n, trusted, n);
	b->n += n;
}

void jb_text(struct jbuild *b, const char *terminated, bool trusted)
{
	jb_add(b, terminated, strlen(terminated), NULL, trusted);
}

void jb_sub(struct jbuild *b, const struct jstr *s, size_t from, size_t to)
{
	jb_add(b, s->p + from, to - from, s->mark ? s->mark + from : NULL, s->trusted);
}

void jb_str(struct jbuild *b, const struct jstr *s)
{
	jb_sub(b, s, 0, s->n);
}

void jb_char(struct jbuild *b, uint32_t c, bool trusted)
{
	char text[4];
	jb_add(b, text, utf8_put(text, c), NULL, trusted);
}

jval jb_done(struct jbuild *b)
{
	return new_str(b->r, (struct jstr){.p = b->n ? b->p : "",
					   .mark = b->mark,
					   .n = b->n,
					   .n_chars = SIZE_MAX,
					   .trusted = b->trusted});
}

jval j_concat(struct jinja_run *r, const struct jstr *a, const struct jstr *b)
{
	struct jbuild *tip = a->tip;
	if (!tip || !tip->p || a->p + a->n != tip->p + tip->n) {
		tip = j_alloc(r, sizeof *tip);
		*tip = jb_new(r);
		jb_str(tip, a);
	}
	jb_str(tip, b);
	jval made = jb_done(tip);
	as_str(made)->tip = tip;
	if (a->n_chars != SIZE_MAX && b->n_chars != SIZE_MAX) /* an invalid end and beginning may join up */
		as_str(made)->n_chars = a->n_chars == a->n && b->n_chars == b->n ? a->n + b->n : SIZE_MAX;
	return made;
}

jval str_escape(struct jinja_run *r, const struct jstr *s)
{
	static const struct {
		char c;
		const char *text;
	} rows[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'\'', "&#39;"}, {'"', "&#34;"}};
	struct jbuild b = jb_new(r);
	size_t from = 0;
	for (size_t i = 0; i < s->n; i++) {
		for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
			if (s->p[i] != rows[k].c)
				continue;
			jb_sub(&b, s, from, i);
			jb_text(&b, rows[k].text, s->mark ? s->mark[i] : s->trusted);
			from = i + 1;
			break;
		}
	}
	jb_sub(&b, s, from, s->n);
	jval made = jb_done(&b);
	as_str(made)->markup = true;
	return made;
}
