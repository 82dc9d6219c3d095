#include "server/accept.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

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

static bool is_name(struct str s, const char *name)
{
	return s.len == strlen(name) && strncasecmp(s.ptr, name, s.len) == 0;
}

int accept_weight(const char *header, const char *name)
{
	int most = ACCEPT_UNNAMED;
	struct str rest = header ? str_c(header) : (struct str){"", 0};
	while (rest.len) {
		struct str range = take(&rest, ','), what = take(&range, ';');
		int q = ACCEPT_FULL;
		while (range.len) {
			struct str parameter = take(&range, ';');
			if (parameter.len >= 2 && (parameter.ptr[0] | 0x20) == 'q' && parameter.ptr[1] == '=')
				q = weight((struct str){parameter.ptr + 2, parameter.len - 2});
		}
		if (q > most && is_name(what, name))
			most = q;
	}
	return most;
}

static int larger(int a, int b)
{
	return a > b ? a : b;
}

bool accept_gzip(const char *header)
{
	int gzip = larger(accept_weight(header, "gzip"), accept_weight(header, "x-gzip"));
	if (gzip == ACCEPT_UNNAMED)
		gzip = accept_weight(header, "*");
	return gzip > 0 && gzip >= accept_weight(header, "identity");
}

bool accept_has_tag(const char *header, const char *tag)
{
	struct str rest = header ? str_c(header) : (struct str){"", 0};
	while (rest.len) {
		struct str one = take(&rest, ',');
		if (one.len > 2 && one.ptr[0] == 'W' && one.ptr[1] == '/')
			one = (struct str){one.ptr + 2, one.len - 2};
		if (str_eq_c(one, tag) || str_eq_c(one, "*"))
			return true;
	}
	return false;
}
