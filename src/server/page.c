#include "server/page.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* page.S */
extern const char hokku_page_begin[] __attribute__((visibility("hidden")));
extern const char hokku_page_end[] __attribute__((visibility("hidden")));
extern const char hokku_page_policy[] __attribute__((visibility("hidden")));

static struct str trim(struct str s)
{
	for (; s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t'); s.len--)
		s.ptr++;
	for (; s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t');)
		s.len--;
	return s;
}

/* Takes what stands before the next of at, and at itself, off *rest; of a quoted string no at counts. */
static struct str take(struct str *rest, char at)
{
	size_t n = 0;
	bool quoted = false;
	for (; n < rest->len && (quoted || rest->ptr[n] != at); n++) {
		if (rest->ptr[n] == '"')
			quoted = !quoted;
		else if (quoted && rest->ptr[n] == '\\' && n + 1 < rest->len)
			n++;
	}
	struct str part = {rest->ptr, n};
	n += n < rest->len;
	rest->ptr += n;
	rest->len -= n;
	return trim(part);
}

/* A weight of RFC 9110, 12.4.2, in thousandths; -1: it is none. */
static int weight(struct str s)
{
	int value = 0, place = 100;
	if (s.len < 1 || s.len > 5 || (s.ptr[0] != '0' && s.ptr[0] != '1') || (s.len > 1 && s.ptr[1] != '.'))
		return -1;
	for (size_t i = 2; i < s.len; i++, place /= 10) {
		if (!isdigit((unsigned char)s.ptr[i]))
			return -1;
		value += (s.ptr[i] - '0') * place;
	}
	value += s.ptr[0] == '1' ? 1000 : 0;
	return value <= 1000 ? value : -1;
}

static bool is_type(struct str s, const char *type)
{
	return s.len == strlen(type) && strncasecmp(s.ptr, type, s.len) == 0;
}

bool page_is_wanted(const char *accept)
{
	/* How much is wanted of each that is named; -1: it is not. What is named exactly goes before a kind.
	 */
	int html = -1, text = -1, json = -1;
	struct str rest = accept ? str_c(accept) : (struct str){"", 0};
	while (rest.len) {
		struct str range = take(&rest, ','), type = take(&range, ';');
		int q = 1000;
		while (range.len) {
			struct str parameter = take(&range, ';');
			if (parameter.len >= 2 && (parameter.ptr[0] | 0x20) == 'q' && parameter.ptr[1] == '=')
				q = weight((struct str){parameter.ptr + 2, parameter.len - 2});
		}
		int *named = is_type(type, "text/html")          ? &html
			     : is_type(type, "text/*")           ? &text
			     : is_type(type, "application/json") ? &json
								 : NULL;
		if (named && q > *named)
			*named = q;
	}
	int page = html >= 0 ? html : text;
	return page > 0 && page >= json;
}

void page_reply(struct http_request *r)
{
	static const char *const headers[][2] = {
		{"Cache-Control", "no-cache"},
		{"X-Content-Type-Options", "nosniff"},
		{"Referrer-Policy", "no-referrer"},
		{"Cross-Origin-Opener-Policy", "same-origin"},
		{"Permissions-Policy", "camera=(), geolocation=(), microphone=()"},
	};
	for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
		http_add_header(r, headers[i][0], headers[i][1]);
	http_add_header(r, "Content-Security-Policy", hokku_page_policy);
	http_reply(r, 200, "text/html; charset=utf-8",
		   (struct str){hokku_page_begin,
				(size_t)((uintptr_t)hokku_page_end - (uintptr_t)hokku_page_begin)});
}
