/* The methods of Python's str. */
#include <utf8proc.h>

#include "text/jinja/internal.h"

#define METHOD(name) static jval name(struct jinja_run *r, jval self, const jval *v, const struct jargs *args)
#define UNUSED(a, b, c)    \
	do {               \
		(void)(a); \
		(void)(b); \
		(void)(c); \
	} while (0)

static const struct jstr *want_str(struct jinja_run *r, jval v, const char *of)
{
	if (v.type == J_UNDEFINED)
		j_undefined_fail(r, v);
	if (v.type != J_STRING)
		j_fail(r, "%s takes a str, not a %s", of, type_name(v));
	return as_str(v);
}

/* NULL where none is given. */
static const struct jstr *maybe_str(struct jinja_run *r, jval v, const char *of)
{
	return v.type == J_MISSING || v.type == J_NONE ? NULL : want_str(r, v, of);
}

/* ---- case ---- */

#define CASE_METHOD(name, kind)                         \
	METHOD(name)                                    \
	{                                               \
		UNUSED(r, v, args);                     \
		return str_case(r, as_str(self), kind); \
	}
CASE_METHOD(s_upper, CASE_UPPER)
CASE_METHOD(s_lower, CASE_LOWER)
CASE_METHOD(s_title, CASE_TITLE)
CASE_METHOD(s_capitalize, CASE_CAPITAL)
CASE_METHOD(s_swapcase, CASE_SWAP)
CASE_METHOD(s_casefold, CASE_FOLD)

/* ---- cutting ---- */

METHOD(s_strip)
{
	UNUSED(r, v, args);
	return str_strip(r, as_str(self), maybe_str(r, v[0], "strip"), true, true);
}

METHOD(s_lstrip)
{
	UNUSED(r, v, args);
	return str_strip(r, as_str(self), maybe_str(r, v[0], "lstrip"), true, false);
}

METHOD(s_rstrip)
{
	UNUSED(r, v, args);
	return str_strip(r, as_str(self), maybe_str(r, v[0], "rstrip"), false, true);
}

static bool begins_at(const struct jstr *s, size_t at, const struct jstr *what)
{
	return what->n <= s->n - at && memcmp(s->p + at, what->p, what->n) == 0;
}

/* Is there an end of s before to that is what? */
static bool ends_at(const struct jstr *s, size_t to, const struct jstr *what)
{
	return what->n <= to && (!what->n || memcmp(s->p + to - what->n, what->p, what->n) == 0);
}

METHOD(s_removeprefix)
{
	UNUSED(r, v, args);
	const struct jstr *s = as_str(self), *what = want_str(r, v[0], "removeprefix");
	return begins_at(s, 0, what) ? j_sub(r, s, what->n, s->n) : self;
}

METHOD(s_removesuffix)
{
	UNUSED(r, v, args);
	const struct jstr *s = as_str(self), *what = want_str(r, v[0], "removesuffix");
	return ends_at(s, s->n, what) ? j_sub(r, s, 0, s->n - what->n) : self;
}

/* At white space, from the left. */
static jval split_words(struct jinja_run *r, const struct jstr *s, int64_t max)
{
	jval made = j_list(r, K_LIST, 0);
	size_t at = 0, len;
	j_work(r, s->n);
	for (;;) {
		while (at < s->n && is_space(utf8_at(s->p + at, s->n - at, &len)))
			at += len;
		if (at == s->n)
			return made;
		size_t from = at;
		if (max >= 0 && (int64_t)as_list(made)->n == max) {
			list_push(r, as_list(made), j_sub(r, s, from, s->n));
			return made;
		}
		while (at < s->n && !is_space(utf8_at(s->p + at, s->n - at, &len)))
			at += len;
		list_push(r, as_list(made), j_sub(r, s, from, at));
	}
}

/* At white space, from the right. */
static jval rsplit_words(struct jinja_run *r, const struct jstr *s, int64_t max)
{
	jval all = split_words(r, s, -1);
	struct jlist *l = as_list(all);
	if (max < 0 || (int64_t)l->n <= max)
		return all;
	jval made = j_list(r, K_LIST, 0);
	size_t first = l->n - (size_t)max;
	const struct jstr *end = as_str(l->v[first - 1]);
	list_push(r, as_list(made), j_sub(r, s, 0, (size_t)(end->p + end->n - s->p)));
	for (size_t i = first; i < l->n; i++)
		list_push(r, as_list(made), l->v[i]);
	return made;
}

METHOD(s_split)
{
	UNUSED(r, v, args);
	const struct jstr *s = as_str(self), *by = maybe_str(r, v[0], "split");
	int64_t max = arg_whole(r, v[1], -1, "split");
	if (!by)
		return split_words(r, s, max);
	if (!by->n)
		j_fail(r, "split has an empty separator");
	jval made = j_list(r, K_LIST, 0);
	size_t from = 0;
	ptrdiff_t at;
	j_work(r, s->n);
	while ((max < 0 || (int64_t)as_list(made)->n < max) && (at = str_find(s, from, str_view(by))) >= 0) {
		list_push(r, as_list(made), j_sub(r, s, from, (size_t)at));
		from = (size_t)at + by->n;
	}
	list_push(r, as_list(made), j_sub(r, s, from, s->n));
	return made;
}

/* The last place of what that ends before to; -1: there is none. */
static ptrdiff_t find_last(struct jinja_run *r, const struct jstr *s, size_t from, size_t to,
			   const struct jstr *what)
{
	j_work(r, to - from);
	if (what->n > to - from)
		return -1;
	for (size_t at = to - what->n;; at--) {
		if (!what->n)
			return (ptrdiff_t)at;
		if (s->p[at] == what->p[0]) {
			j_work(r,
			       what->n); /* a stranger's texts may be alike at every place, but for the end */
			if (memcmp(s->p + at, what->p, what->n) == 0)
				return (ptrdiff_t)at;
		}
		if (at == from)
			return -1;
	}
}

METHOD(s_rsplit)
{
	UNUSED(r, v, args);
	const struct jstr *s = as_str(self), *by = maybe_str(r, v[0], "rsplit");
	int64_t max = arg_whole(r, v[1], -1, "rsplit");
	if (!by)
		return rsplit_words(r, s, max);
	if (!by->n)
		j_fail(r, "rsplit has an empty separator");
	jval made = j_list(r, K_LIST, 0);
	size_t to = s->n;
	ptrdiff_t at;
	while ((max < 0 || (int64_t)as_list(made)->n < max) && (at = find_last(r, s, 0, to, by)) >= 0) {
		list_push(r, as_list(made), j_sub(r, s, (size_t)at + by->n, to));
		to = (size_t)at;
	}
	list_push(r, as_list(made), j_sub(r, s, 0, to));
	list_reverse(as_list(made));
	return made;
}

static jval three(struct jinja_run *r, const struct jstr *s, size_t a, size_t b)
{
	jval made = j_list(r, K_TUPLE, 3);
	list_push(r, as_list(made), j_sub(r, s, 0, a));
	list_push(r, as_list(made), j_sub(r, s, a, b));
	list_push(r, as_list(made), j_sub(r, s, b, s->n));
	return made;
}

METHOD(s_partition)
{
	UNUSED(r, v, args);
	const struct jstr *s = as_str(self), *by = want_str(r, v[0], "partition");
	if (!by->n)
		j_fail(r, "partition has an empty separator");
	j_work(r, s->n);
	ptrdiff_t at = str_find(s, 0, str_view(by));
	return at < 0 ? three(r, s, s->n, s->n) : three(r, s, (size_t)at, (size_t)at + by->n);
}

METHOD(s_rpartition)
{
	UNUSED(r, v, args);
	const struct jstr *s = as_str(self), *by = want_str(r, v[0], "rpartition");
	if (!by->n)
		j_fail(r, "rpartition has an empty separator");
	ptrdiff_t at = find_last(r, s, 0, s->n, by);
	return at < 0 ? three(r, s, 0, 0) : three(r, s, (size_t)at, (size_t)at + by->n);
}

/* The length of the line end at at; 0: there is none. */
static size_t line_end_at(const struct jstr *s, size_t at)
{
	size_t len;
	uint32_t c = utf8_at(s->p + at, s->n - at, &len);
	if (c == '\r')
		return at + 1 < s->n && s->p[at + 1] == '\n' ? 2 : 1;
	bool ends = (c >= 10 && c <= 12) || (c >= 28 && c <= 30) || c == 0x85 || c == 0x2028 || c == 0x2029;
	return ends && (c < 128 || len > 1) ? len : 0;
}

jval str_lines(struct jinja_run *r, const struct jstr *s, bool keep_ends)
{
	jval made = j_list(r, K_LIST, 0);
	size_t from = 0;
	j_work(r, s->n);
	for (size_t at = 0; at < s->n;) {
		size_t end = line_end_at(s, at);
		if (end) {
			list_push(r, as_list(made), j_sub(r, s, from, at + (keep_ends ? end : 0)));
			from = at + end;
		}
		at += end ? end : 1;
	}
	if (from < s->n)
		list_push(r, as_list(made), j_sub(r, s, from, s->n));
	return made;
}

METHOD(s_splitlines)
{
	UNUSED(r, v, args);
	return str_lines(r, as_str(self), v[0].type != J_MISSING && j_true(r, v[0]));
}

/* ---- looking for ---- */

/* The bytes that start and end (in characters, as slices count) leave; false: start lies past the end. */
static bool window(struct jinja_run *r, const struct jstr *s, const jval *v, size_t *from, size_t *to)
{
	*from = 0;
	*to = s->n;
	if (v[0].type == J_MISSING && v[1].type == J_MISSING)
		return true;
	int64_t n = (int64_t)str_chars(s);
	int64_t a = v[0].type == J_NONE ? 0 : arg_whole(r, v[0], 0, "start"),
		b = v[1].type == J_NONE ? n : arg_whole(r, v[1], n, "end");
	a = a < 0 ? (a + n < 0 ? 0 : a + n) : a;
	b = b < 0 ? (b + n < 0 ? 0 : b + n) : b > n ? n : b;
	if (a > n || a > b)
		return false;
	j_work(r, s->n);
	*from = str_byte_of(s, (size_t)a);
	*to = str_byte_of(s, (size_t)b);
	return true;
}

static bool edge_is(struct jinja_run *r, const struct jstr *s, const jval *v, bool end)
{
	const char *name = end ? "endswith" : "startswith";
	size_t from, to;
	bool is_tuple = v[0].type == J_LIST && as_list(v[0])->kind == K_TUPLE;
	size_t n = is_tuple ? as_list(v[0])->n : 1;
	bool fits = window(r, s, v + 1, &from, &to);
	for (size_t i = 0; i < n; i++) {
		const struct jstr *what = want_str(r, is_tuple ? as_list(v[0])->v[i] : v[0], name);
		if (fits && what->n <= to - from && (end ? ends_at(s, to, what) : begins_at(s, from, what)))
			return true;
	}
	return false;
}

METHOD(s_startswith)
{
	UNUSED(r, v, args);
	return j_bool(edge_is(r, as_str(self), v, false));
}

METHOD(s_endswith)
{
	UNUSED(r, v, args);
	return j_bool(edge_is(r, as_str(self), v, true));
}

static jval find(struct jinja_run *r, const struct jstr *s, const jval *v, bool last, bool must)
{
	const struct jstr *what = want_str(r, v[0], "find");
	size_t from, to;
	ptrdiff_t at = -1;
	if (window(r, s, v + 1, &from, &to) && what->n <= to - from) {
		if (last) {
			at = find_last(r, s, from, to, what);
		} else {
			struct jstr part = {.p = s->p, .n = to};
			j_work(r, to - from);
			at = str_find(&part, from, str_view(what));
		}
	}
	if (at < 0 && must)
		j_fail(r, "index: the text is not there");
	if (at > 0)
		at = (ptrdiff_t)str_count_chars((struct str){s->p, (size_t)at});
	return j_int(at, false);
}

METHOD(s_find)
{
	UNUSED(r, v, args);
	return find(r, as_str(self), v, false, false);
}

METHOD(s_rfind)
{
	UNUSED(r, v, args);
	return find(r, as_str(self), v, true, false);
}

METHOD(s_index)
{
	UNUSED(r, v, args);
	return find(r, as_str(self), v, false, true);
}

METHOD(s_rindex)
{
	UNUSED(r, v, args);
	return find(r, as_str(self), v, true, true);
}

METHOD(s_count)
{
	UNUSED(r, v, args);
	const struct jstr *s = as_str(self), *what = want_str(r, v[0], "count");
	size_t from, to;
	int64_t n = 0;
	if (!window(r, s, v + 1, &from, &to))
		return j_int(0, false);
	struct jstr part = {.p = s->p, .n = to};
	if (!what->n)
		return j_int((int64_t)str_count_chars((struct str){s->p + from, to - from}) + 1, false);
	j_work(r, to - from);
	for (ptrdiff_t at; (at = str_find(&part, from, str_view(what))) >= 0; n++)
		from = (size_t)at + what->n;
	return j_int(n, false);
}

/* ---- making ---- */

jval str_replace(struct jinja_run *r, const struct jstr *s, const struct jstr *old, const struct jstr *with,
		 int64_t max)
{
	struct jbuild b = jb_new(r);
	size_t from = 0;
	max = max < 0 ? INT64_MAX : max;
	j_work(r, s->n);
	if (!old->n) { /* between all characters */
		size_t len;
		for (size_t at = 0; max-- != 0; at += len) {
			jb_sub(&b, s, from, at);
			jb_str(&b, with);
			from = at;
			if (at == s->n)
				break;
			utf8_at(s->p + at, s->n - at, &len);
		}
	} else {
		for (ptrdiff_t at; max-- != 0 && (at = str_find(s, from, str_view(old))) >= 0;) {
			jb_sub(&b, s, from, (size_t)at);
			jb_str(&b, with);
			from = (size_t)at + old->n;
		}
		if (!from)
			return j_sub(r, s, 0, s->n);
	}
	jb_sub(&b, s, from, s->n);
	return jb_done(&b);
}

METHOD(s_replace)
{
	UNUSED(r, v, args);
	const struct jstr *s = as_str(self), *old = want_str(r, v[0], "replace"),
			  *with = want_str(r, v[1], "replace");
	if (s->markup) {
		with = with->markup ? with : as_str(str_escape(r, with));
	}
	jval made = str_replace(r, s, old, with, arg_whole(r, v[2], -1, "replace"));
	as_str(made)->markup = s->markup;
	return made;
}

METHOD(s_join)
{
	UNUSED(r, v, args);
	const struct jlist *items = j_items(r, v[0]);
	struct jbuild b = jb_new(r);
	for (size_t i = 0; i < items->n; i++) {
		if (i)
			jb_str(&b, as_str(self));
		jb_str(&b, want_str(r, items->v[i], "join"));
	}
	return jb_done(&b);
}

METHOD(s_format)
{
	UNUSED(r, v, args);
	return format_braces(r, as_str(self), args);
}

jval str_pad(struct jinja_run *r, const struct jstr *s, int64_t width, const struct jstr *fill,
	     enum pad_side side)
{
	int64_t n = (int64_t)str_chars(s), pad = width > n ? width - n : 0;
	/* Python's rule for what is odd */
	int64_t left = side == PAD_LEFT ? pad : side == PAD_RIGHT ? 0 : pad / 2 + (pad & width & 1);
	struct jbuild b = jb_new(r);
	if (fill && str_chars(fill) != 1)
		j_fail(r, "what fills a text up is to be one character");
	for (int64_t i = 0; i < pad + 1; i++) {
		if (i == left)
			jb_str(&b, s);
		if (i == pad)
			break;
		if (fill)
			jb_str(&b, fill);
		else
			jb_text(&b, " ", false);
	}
	return jb_done(&b);
}

METHOD(s_center)
{
	UNUSED(r, v, args);
	return str_pad(r, as_str(self), arg_whole(r, v[0], 0, "center"), maybe_str(r, v[1], "center"),
		       PAD_BOTH);
}

METHOD(s_ljust)
{
	UNUSED(r, v, args);
	return str_pad(r, as_str(self), arg_whole(r, v[0], 0, "ljust"), maybe_str(r, v[1], "ljust"),
		       PAD_RIGHT);
}

METHOD(s_rjust)
{
	UNUSED(r, v, args);
	return str_pad(r, as_str(self), arg_whole(r, v[0], 0, "rjust"), maybe_str(r, v[1], "rjust"),
		       PAD_LEFT);
}

METHOD(s_zfill)
{
	UNUSED(r, v, args);
	const struct jstr *s = as_str(self);
	int64_t width = arg_whole(r, v[0], 0, "zfill"), n = (int64_t)str_chars(s);
	size_t sign = s->n && (s->p[0] == '-' || s->p[0] == '+');
	struct jbuild b = jb_new(r);
	jb_sub(&b, s, 0, sign);
	for (int64_t i = n; i < width; i++)
		jb_text(&b, "0", false);
	jb_sub(&b, s, sign, s->n);
	return jb_done(&b);
}

METHOD(s_expandtabs)
{
	UNUSED(r, v, args);
	const struct jstr *s = as_str(self);
	int64_t tab = arg_whole(r, v[0], 8, "expandtabs"), column = 0;
	struct jbuild b = jb_new(r);
	size_t len;
	for (size_t i = 0; i < s->n; i += len) {
		utf8_at(s->p + i, s->n - i, &len);
		if (s->p[i] != '\t') {
			jb_sub(&b, s, i, i + len);
			column = s->p[i] == '\n' || s->p[i] == '\r' ? 0 : column + 1;
			continue;
		}
		for (int64_t pad = tab > 0 ? tab - column % tab : 0; pad > 0; pad--, column++)
			jb_text(&b, " ", false);
	}
	return jb_done(&b);
}

/* ---- what a text is made of ---- */

static bool is_category(uint32_t c, utf8proc_category_t from, utf8proc_category_t to)
{
	utf8proc_category_t k = utf8proc_category((int32_t)c);
	return k >= from && k <= to;
}

static bool c_alpha(uint32_t c)
{
	return is_category(c, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LO);
}
static bool c_decimal(uint32_t c)
{
	return is_category(c, UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_ND);
}
static bool c_digit(uint32_t c)
{
	return c_decimal(c) || c == 0xB2 || c == 0xB3 || c == 0xB9 ||
	       (c >= 0x2070 && c <= 0x2089 && c != 0x2071) || (c >= 0x2460 && c <= 0x2468);
}
static bool c_numeric(uint32_t c)
{
	return is_category(c, UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO);
}
bool char_is_alnum(uint32_t c)
{
	return c_alpha(c) || c_numeric(c);
}
static bool c_ascii(uint32_t c)
{
	return c < 128;
}

/* Are all characters such? Of an empty text, empty. */
static jval all_are(struct jinja_run *r, jval self, bool (*is)(uint32_t c), bool empty)
{
	const struct jstr *s = as_str(self);
	size_t len;
	j_work(r, s->n);
	for (size_t i = 0; i < s->n; i += len)
		if (!is(utf8_at(s->p + i, s->n - i, &len)))
			return j_bool(false);
	return j_bool(s->n ? true : empty);
}

#define KIND_METHOD(name, is, empty)                \
	METHOD(name)                                \
	{                                           \
		UNUSED(r, v, args);                 \
		return all_are(r, self, is, empty); \
	}
KIND_METHOD(s_isalpha, c_alpha, false)
KIND_METHOD(s_isalnum, char_is_alnum, false)
KIND_METHOD(s_isdecimal, c_decimal, false)
KIND_METHOD(s_isdigit, c_digit, false)
KIND_METHOD(s_isnumeric, c_numeric, false)
KIND_METHOD(s_isspace, is_space, false)
KIND_METHOD(s_isascii, c_ascii, true)
KIND_METHOD(s_isprintable, char_is_printable, true)

METHOD(s_islower)
{
	UNUSED(r, v, args);
	return j_bool(call_test(r, STR_LIT("lower"), self, &(struct jargs){0}));
}

METHOD(s_isupper)
{
	UNUSED(r, v, args);
	return j_bool(call_test(r, STR_LIT("upper"), self, &(struct jargs){0}));
}

METHOD(s_istitle)
{
	UNUSED(r, v, args);
	const struct jstr *s = as_str(self);
	bool any = false, in_word = false;
	size_t len;
	for (size_t i = 0; i < s->n; i += len) {
		uint32_t c = utf8_at(s->p + i, s->n - i, &len);
		bool upper = char_is_upper(c), lower = char_is_lower(c);
		if ((upper && in_word) || (lower && !in_word))
			return j_bool(false);
		in_word = upper || lower;
		any = any || in_word;
	}
	return j_bool(any);
}

const struct builtin jinja_string_methods[] = {
	{"split", "sep,maxsplit", 0, s_split},
	{"strip", "chars", 0, s_strip},
	{"lstrip", "chars", 0, s_lstrip},
	{"rstrip", "chars", 0, s_rstrip},
	{"startswith", "prefix,start,end", 1, s_startswith},
	{"endswith", "suffix,start,end", 1, s_endswith},
	{"replace", "old,new,count", 2, s_replace},
	{"upper", "", 0, s_upper},
	{"lower", "", 0, s_lower},
	{"title", "", 0, s_title},
	{"capitalize", "", 0, s_capitalize},
	{"swapcase", "", 0, s_swapcase},
	{"casefold", "", 0, s_casefold},
	{"format", NULL, 0, s_format},
	{"join", "iterable", 1, s_join},
	{"find", "sub,start,end", 1, s_find},
	{"rfind", "sub,start,end", 1, s_rfind},
	{"index", "sub,start,end", 1, s_index},
	{"rindex", "sub,start,end", 1, s_rindex},
	{"count", "sub,start,end", 1, s_count},
	{"rsplit", "sep,maxsplit", 0, s_rsplit},
	{"splitlines", "keepends", 0, s_splitlines},
	{"partition", "sep", 1, s_partition},
	{"rpartition", "sep", 1, s_rpartition},
	{"removeprefix", "prefix", 1, s_removeprefix},
	{"removesuffix", "suffix", 1, s_removesuffix},
	{"center", "width,fillchar", 1, s_center},
	{"ljust", "width,fillchar", 1, s_ljust},
	{"rjust", "width,fillchar", 1, s_rjust},
	{"zfill", "width", 1, s_zfill},
	{"expandtabs", "tabsize", 0, s_expandtabs},
	{"isalpha", "", 0, s_isalpha},
	{"isalnum", "", 0, s_isalnum},
	{"isdigit", "", 0, s_isdigit},
	{"isdecimal", "", 0, s_isdecimal},
	{"isnumeric", "", 0, s_isnumeric},
	{"isspace", "", 0, s_isspace},
	{"isascii", "", 0, s_isascii},
	{"isprintable", "", 0, s_isprintable},
	{"islower", "", 0, s_islower},
	{"isupper", "", 0, s_isupper},
	{"istitle", "", 0, s_istitle},
	{0},
};
