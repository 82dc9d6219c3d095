#include "cli/load_url.h"

#include <stdio.h>
#include <strings.h>

#include <event2/http.h>

static bool take_path(const char *path, struct load_url *out)
{
	size_t n = path ? strlen(path) : 0;
	for (const struct load_api *api = load_apis; api->name && n; api++) {
		size_t own = strlen(api->path);
		if (n >= own && strcmp(path + n - own, api->path) == 0) {
			out->api = api;
			n -= own;
		}
	}
	while (n && path[n - 1] == '/')
		n--;
	if (!out->api && n >= 3 && memcmp(path + n - 3, "/v1", 3) == 0)
		n -= 3;
	if (n >= sizeof out->prefix)
		return false;
	if (n)
		memcpy(out->prefix, path, n);
	out->prefix[n] = '\0';
	return true;
}

static enum hokku_code bad_url(const char *text, const char *what, struct hokku_error *err)
{
	char quoted[96], shown[512];
	return err_set(
		err, HOKKU_INVALID_REQUEST,
		"the URL is %s: %s; it takes http://HOST:PORT or https://HOST:PORT, with a route's path or without",
		str_quote(str_c(str_hide_login(text, shown, sizeof shown)), quoted, sizeof quoted), what);
}

enum hokku_code load_url_parse(const char *text, struct load_url *out, struct hokku_error *err)
{
	*out = (struct load_url){0};
	struct evhttp_uri *uri = evhttp_uri_parse(text);
	const char *scheme = uri ? evhttp_uri_get_scheme(uri) : NULL,
		   *host = uri ? evhttp_uri_get_host(uri) : NULL, *what = NULL;
	int port = uri ? evhttp_uri_get_port(uri) : -1;
	if (!uri)
		what = "it is none";
	else if (!scheme || (strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0))
		what = "it does not begin with http:// or https://";
	else if (!host || !*host)
		what = "it names no host";
	else if (strlen(host) >= sizeof out->host)
		what = "its host is too long";
	else if (port == 0 || port > UINT16_MAX)
		what = "its port is none";
	else if (evhttp_uri_get_userinfo(uri) || evhttp_uri_get_query(uri) || evhttp_uri_get_fragment(uri))
		what = "it has more than a host, a port and a path";
	else if (!take_path(evhttp_uri_get_path(uri), out))
		what = "its path is too long";
	if (!what) {
		size_t n = strlen(host);
		bool brackets = host[0] == '[' && host[n - 1] == ']';
		snprintf(out->host, sizeof out->host, "%.*s", (int)(n - 2 * brackets), host + brackets);
		out->tls = strcasecmp(scheme, "https") == 0;
		out->scheme = out->tls ? "https" : "http";
		out->port = port > 0 ? (uint16_t)port : out->tls ? 443 : 80;
		snprintf(out->place, sizeof out->place, strchr(out->host, ':') ? "[%s]:%u" : "%s:%u",
			 out->host, out->port);
	}
	if (uri)
		evhttp_uri_free(uri);
	return what ? bad_url(text, what, err) : HOKKU_OK;
}
