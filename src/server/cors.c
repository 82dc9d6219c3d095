#include "server/cors.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "server/hosts.h"

struct origin {
	struct str scheme, host;
	unsigned port; /* 0: none */
};

static bool same_letters(struct str a, struct str b)
{
	return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

static unsigned port_of(struct str scheme, struct str port)
{
	if (port.len)
		return (unsigned)strtoul(port.ptr, NULL, 10);
	return same_letters(scheme, STR_LIT("http")) ? 80 : same_letters(scheme, STR_LIT("https")) ? 443 : 0;
}

/* "scheme://host:port"; the host may be missing, as of file://. */
static bool read_origin(struct str s, struct origin *out)
{
	struct str port;
	const char *colon = s.len ? memchr(s.ptr, ':', s.len) : NULL;
	size_t n = colon ? (size_t)(colon - s.ptr) : 0;
	if (n == 0 || !isalpha((unsigned char)s.ptr[0]) || s.len < n + 3 || memcmp(colon, "://", 3) != 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s.ptr[i]) && !strchr("+-.", s.ptr[i]))
			return false;
	out->scheme = (struct str){s.ptr, n};
	struct str rest = {s.ptr + n + 3, s.len - n - 3};
	if (rest.len && rest.ptr[rest.len - 1] == ':')
		return false; /* a colon, and no port */
	if (!hosts_split(rest, &out->host, &port))
		return false;
	out->port = port_of(out->scheme, port);
	return true;
}

static bool is_null(struct str s)
{
	return str_eq_c(s, "null");
}

static bool same_origin(struct str a, struct str b)
{
	struct origin x, y;
	if (is_null(a) || is_null(b))
		return is_null(a) && is_null(b);
	return read_origin(a, &x) && read_origin(b, &y) && same_letters(x.scheme, y.scheme) &&
	       same_letters(x.host, y.host) && x.port == y.port;
}

bool origins_any(const struct origins *o)
{
	return o->any || o->local || o->n;
}

static bool is_local(struct str text)
{
	struct origin o;
	return read_origin(text, &o) && o.host.len && hosts_allow(&(struct hosts){0}, o.host) &&
	       (same_letters(o.scheme, STR_LIT("http")) || same_letters(o.scheme, STR_LIT("https")));
}

bool origins_allow(const struct origins *o, struct str origin)
{
	if (o->any || (o->local && is_local(origin)))
		return true;
	for (uint32_t i = 0; i < o->n; i++)
		if (same_origin(o->names[i], origin))
			return true;
	return false;
}

/* Whether what is no origin becomes one without what stands behind its host. */
static bool has_path(struct str text)
{
	struct origin o;
	const char *at = text.len > 3 ? memmem(text.ptr, text.len, "://", 3) : NULL;
	const char *slash = at ? memchr(at + 3, '/', text.len - (size_t)(at + 3 - text.ptr)) : NULL;
	return slash && read_origin((struct str){text.ptr, (size_t)(slash - text.ptr)}, &o);
}

static enum hokku_code add_origin(void *to, struct str text, struct hokku_error *err)
{
	struct origins *o = to;
	char quoted[96];
	struct origin parts;
	str_quote(text, quoted, sizeof quoted);
	bool all = str_eq_c(text, "*");
	if ((all && origins_any(o)) || (o->any && !all))
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "* stands for every origin, so that no other belongs beside it");
	if (all) {
		o->any = true;
		return HOKKU_OK;
	}
	if (str_eq_c(text, "localhost")) {
		o->local = true;
		return HOKKU_OK;
	}
	if (has_path(text))
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "%s has a path; an origin ends with its host or port", quoted);
	if (text.len > ORIGINS_MAX_BYTES || (!is_null(text) && !read_origin(text, &parts)) ||
	    memchr(text.ptr, '*', text.len))
		return err_set(
			err, HOKKU_INVALID_REQUEST,
			"%s is no origin; one as https://app.example.org or http://localhost:3000, null, "
			"localhost for this machine and every port, or * for all is taken",
			quoted);
	if (o->n == ORIGINS_MAX)
		return err_set(err, HOKKU_INVALID_REQUEST, "more than %d origins are given", ORIGINS_MAX);
	o->names[o->n++] = text;
	return HOKKU_OK;
}

enum hokku_code origins_add(struct origins *o, const char *list, struct hokku_error *err)
{
	return hosts_each(list, add_origin, o, err);
}

/* ---- what is said ---- */

static bool may_read(const struct origins *o, const char *origin)
{
	return origin && origins_allow(o, str_c(origin));
}

void cors_answer(const struct origins *o, const char *origin, cors_add *add, void *to)
{
	if (!origins_any(o))
		return;
	if (!o->any)
		add(to, "Vary", "Origin"); /* of every answer, or a cache gives one origin's to another */
	if (!may_read(o, origin))
		return;
	add(to, "Access-Control-Allow-Origin", o->any ? "*" : origin);
	if (!o->any)
		add(to, "Access-Control-Allow-Credentials", "true");
	add(to, "Access-Control-Expose-Headers",
	    "Hokku-Key, Hokku-Warnings, Request-Id, Retry-After, Traceparent, WWW-Authenticate, X-Request-Id");
}

/* Names of headers with commas, as a page's browser lists them. */
static bool is_list(const char *text)
{
	size_t n = strlen(text);
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("-_.!#$%&'*+^`|~, ", text[i]))
			return false;
	return n > 0 && n <= CORS_MAX_ASKED_BYTES;
}

void cors_preflight(const struct origins *o, const char *origin, const char *methods, const char *headers,
		    const char *network, cors_add *add, void *to)
{
	if (!may_read(o, origin))
		return;
	add(to, "Access-Control-Allow-Methods", methods);
	/* Whatever is asked for: headers that nobody reads do no harm, and clients send many of their own. */
	add(to, "Access-Control-Allow-Headers",
	    headers && is_list(headers) ? headers : "Authorization, Content-Type, X-Api-Key");
	if (network && strcasecmp(network, "true") == 0)
		add(to, "Access-Control-Allow-Private-Network", "true");
	add(to, "Access-Control-Max-Age", "600");
}
