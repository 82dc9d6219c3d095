#include "server/hosts.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static bool is_name(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isalnum((unsigned char)s.ptr[i]) && !(s.ptr[i] && strchr("-._~!$&'()*+,;=", s.ptr[i])))
			return false;
	return true;
}

/* Terminates s in out, for functions that want that. */
static bool copy(struct str s, char *out, size_t size)
{
	if (s.len >= size)
		return false;
	memcpy(out, s.ptr, s.len);
	out[s.len] = '\0';
	return true;
}

static bool read_v6(struct str s, struct in6_addr *out)
{
	char text[INET6_ADDRSTRLEN];
	return copy(s, text, sizeof text) && inet_pton(AF_INET6, text, out) == 1;
}

/* In every form that programs take for an IPv4 address, 127.1 among them: none of these can be a name. */
static bool read_v4(struct str s, struct in_addr *out)
{
	char text[64];
	return copy(s, text, sizeof text) && inet_aton(text, out) == 1;
}

static bool is_port(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isdigit((unsigned char)s.ptr[i]))
			return false;
	return s.len < 5 || (s.len == 5 && memcmp(s.ptr, "65535", 5) <= 0);
}

bool hosts_split(struct str text, struct str *name, struct str *port)
{
	struct in6_addr v6;
	struct str rest;
	if (text.len && text.ptr[0] == '[') {
		const char *end = memchr(text.ptr, ']', text.len);
		if (!end)
			return false;
		*name = (struct str){text.ptr + 1, (size_t)(end - text.ptr) - 1};
		rest = (struct str){end + 1, text.len - name->len - 2};
		if (!read_v6(*name, &v6) || (rest.len && rest.ptr[0] != ':'))
			return false;
	} else {
		const char *colon = text.len ? memchr(text.ptr, ':', text.len) : NULL;
		*name = (struct str){text.ptr, colon ? (size_t)(colon - text.ptr) : text.len};
		rest = (struct str){text.ptr + name->len, text.len - name->len};
		if (!is_name(*name) || (colon && name->len == 0))
			return false;
		if (name->len > 1 && name->ptr[name->len - 1] == '.')
			name->len--;
	}
	*port = rest.len ? (struct str){rest.ptr + 1, rest.len - 1} : rest;
	return is_port(*port);
}

static bool is_scheme_char(char c)
{
	return isalnum((unsigned char)c) || c == '+' || c == '-' || c == '.';
}

bool hosts_of_origin(struct str origin, struct str *name)
{
	struct str port;
	size_t i = 0;
	while (i < origin.len && is_scheme_char(origin.ptr[i]))
		i++;
	struct str rest = {origin.ptr + i, origin.len - i};
	if (i == 0 || !str_starts(rest, STR_LIT("://")))
		return false;
	return hosts_split((struct str){rest.ptr + 3, rest.len - 3}, name, &port) && name->len > 0;
}

static bool is_loopback(struct str name)
{
	static const char local[] = "localhost";
	struct in_addr v4;
	struct in6_addr v6;
	size_t n = sizeof local - 1;
	if (name.len >= n && strncasecmp(name.ptr + name.len - n, local, n) == 0)
		return name.len == n || (name.len > n + 1 && name.ptr[name.len - n - 1] == '.');
	if (read_v4(name, &v4))
		return ntohl(v4.s_addr) >> 24 == 127;
	return read_v6(name, &v6) &&
	       (IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127));
}

/* Names without regard to case, addresses by what they say. */
static bool same(struct str a, struct str b)
{
	struct in6_addr a6, b6;
	struct in_addr a4, b4;
	if (a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0)
		return true;
	if (read_v6(a, &a6) && read_v6(b, &b6))
		return memcmp(&a6, &b6, sizeof a6) == 0;
	return read_v4(a, &a4) && read_v4(b, &b4) && a4.s_addr == b4.s_addr;
}

bool hosts_allow(const struct hosts *h, struct str name)
{
	if (h->any || is_loopback(name))
		return true;
	for (uint32_t i = 0; i < h->n; i++)
		if (same(h->names[i], name))
			return true;
	return false;
}

static enum hokku_code add_name(void *to, struct str text, struct hokku_error *err)
{
	struct hosts *h = to;
	char quoted[96];
	struct str name, port;
	struct in6_addr v6;
	if (str_eq_c(text, "*")) {
		h->any = true;
		return HOKKU_OK;
	}
	str_quote(text, quoted, sizeof quoted);
	if (read_v6(text, &v6)) {
		name = text;
		port = (struct str){0};
	} else if (!hosts_split(text, &name, &port) || name.len == 0 || name.len > HOSTS_MAX_NAME_BYTES ||
		   memchr(name.ptr, '*', name.len)) {
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "%s is no host; a name as app.example.org, an address, or * for all is taken",
			       quoted);
	}
	if (port.len)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "%s has a port; give the name alone, which stands for every port", quoted);
	if (h->n == HOSTS_MAX)
		return err_set(err, HOKKU_INVALID_REQUEST, "more than %d hosts are given", HOSTS_MAX);
	h->names[h->n++] = name;
	return HOKKU_OK;
}

enum hokku_code hosts_each(const char *list, hosts_add_fn *add, void *to, struct hokku_error *err)
{
	for (const char *at = list;; at++) {
		size_t n = strcspn(at, ",");
		struct str text = {at, n};
		while (text.len && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
			text = (struct str){text.ptr + 1, text.len - 1};
		while (text.len && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
			text.len--;
		enum hokku_code rc = add(to, text, err);
		if (rc)
			return rc;
		at += n;
		if (!*at)
			return HOKKU_OK;
	}
}

enum hokku_code hosts_add(struct hosts *h, const char *list, struct hokku_error *err)
{
	return hosts_each(list, add_name, h, err);
}
