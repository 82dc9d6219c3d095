#include "server/peek.h"

#include "base/json.h"

/* What is left of the body. */
struct rest {
	const char *at, *end;
};

static void skip_space(struct rest *r)
{
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
		r->at++;
}

static bool skip_char(struct rest *r, char c)
{
	skip_space(r);
	if (r->at == r->end || *r->at != c)
		return false;
	r->at++;
	return true;
}

/* The rest begins with a string's first quote: *out becomes the string with its quotes. */
static bool take_string(struct rest *r, struct str *out)
{
	const char *begin = r->at;
	for (const char *at = begin + 1; (at = memchr(at, '"', (size_t)(r->end - at))); at++) {
		size_t n = 0;
		while (at[-1 - (ptrdiff_t)n] == '\\')
			n++;
		if (n % 2)
			continue;
		*out = (struct str){begin, (size_t)(at + 1 - begin)};
		r->at = at + 1;
		return true;
	}
	return false;
}

/* Of any value; what stands in it need not be right. */
static bool skip_value(struct rest *r)
{
	struct str s;
	size_t depth = 0;
	skip_space(r);
	while (r->at < r->end) {
		char c = *r->at;
		if (c == '"') {
			if (!take_string(r, &s))
				return false;
			if (!depth)
				return true;
			continue;
		}
		if ((c == ',' || c == '}' || c == ']') && !depth)
			return true;
		depth += c == '{' || c == '[';
		depth -= c == '}' || c == ']';
		r->at++;
		if (!depth && (c == '}' || c == ']'))
			return true;
	}
	return false;
}

/* Appends what a string with its quotes means. */
static bool add_string(struct str quoted, struct strbuf *out)
{
	struct jv_doc doc;
	if (jv_parse(quoted, JV_STRICT, &doc, NULL))
		return false;
	struct str s = jv_str(&doc.root);
	strbuf_add(out, s.ptr, s.len);
	jv_doc_free(&doc);
	return true;
}

static bool is_key(struct str quoted, const char *name)
{
	struct strbuf text = {0};
	if (!memchr(quoted.ptr, '\\', quoted.len))
		return str_eq_c((struct str){quoted.ptr + 1, quoted.len - 2}, name);
	bool is = add_string(quoted, &text) && text.ptr && str_eq_c((struct str){text.ptr, text.len}, name);
	strbuf_free(&text);
	return is;
}

bool peek_model(struct str body, const char *old, struct strbuf *out)
{
	struct rest r = {body.ptr, body.ptr + body.len};
	struct str key, name = {NULL, 0};
	if (body.len >= 3 && memcmp(body.ptr, "\xEF\xBB\xBF", 3) == 0)
		r.at += 3;
	if (!skip_char(&r, '{'))
		return false;
	do {
		skip_space(&r);
		if (r.at == r.end || *r.at != '"' || !take_string(&r, &key) || !skip_char(&r, ':'))
			break;
		skip_space(&r);
		const char *value = r.at;
		bool is_string = r.at < r.end && *r.at == '"';
		if (!skip_value(&r))
			break;
		struct str found = {value, (size_t)(r.at - value)};
		if (is_string && is_key(key, "model"))
			return add_string(found, out);
		if (is_string && old && is_key(key, old))
			name = found;
	} while (skip_char(&r, ','));
	return name.ptr && add_string(name, out);
}

/* Two hexadecimal digits behind each %; what is none stays. */
static void add_plain(struct str s, bool plus_is_blank, struct strbuf *out)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = plus_is_blank && s.ptr[i] == '+' ? ' ' : s.ptr[i];
		int high = i + 2 < s.len ? hex_digit(s.ptr[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(s.ptr[i + 2]) : -1;
		if (c == '%' && low >= 0) {
			c = (char)(high * 16 + low);
			i += 2;
		}
		strbuf_add(out, &c, 1);
	}
}

void peek_path(struct str part, struct strbuf *out)
{
	add_plain(part, false, out);
}

bool peek_query(struct str query, const char *name, struct strbuf *out)
{
	size_t n = strlen(name);
	while (query.len) {
		const char *end = memchr(query.ptr, '&', query.len);
		size_t len = end ? (size_t)(end - query.ptr) : query.len;
		if (len > n && memcmp(query.ptr, name, n) == 0 && query.ptr[n] == '=') {
			add_plain((struct str){query.ptr + n + 1, len - n - 1}, true, out);
			return true;
		}
		query.ptr += len + (end ? 1 : 0);
		query.len -= len + (end ? 1 : 0);
	}
	return false;
}
