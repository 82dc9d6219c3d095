#include "hub/http.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include <curl/curl.h>

#include "base/clock.h"

enum { CONNECT_S = 30, STALLED_S = 60, SLICE_MS = 50 };

struct http {
	const struct hub_config *config;
	const struct observer *observer;
	CURL *easy;                /* of http_ask */
	struct curl_slist *bearer; /* the header with the token; NULL: none */
	char origin[HUB_MAX_URL];
	char text[CURL_ERROR_SIZE]; /* easy's, which may write it as long as it lives */
};

const struct hub_config *http_config(const struct http *h)
{
	return h->config;
}

const struct observer *http_observer(const struct http *h)
{
	return h->observer;
}

/* ---- where ---- */

/* "https://host:443" of a URL; false if it is none. */
static bool origin_of(const char *url, char out[HUB_MAX_URL])
{
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL, *port = NULL;
	bool ok = u && !curl_url_set(u, CURLUPART_URL, url, 0) &&
		  !curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) &&
		  !curl_url_get(u, CURLUPART_HOST, &host, 0) &&
		  !curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
	if (ok)
		ok = snprintf(out, HUB_MAX_URL, "%s://%s:%s", scheme, host, port) < HUB_MAX_URL;
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
	return ok;
}

bool http_is_hub(const struct http *h, const char *url)
{
	char origin[HUB_MAX_URL];
	return origin_of(url, origin) && strcasecmp(origin, h->origin) == 0;
}

/* Where a redirect of url leads; false if it leads nowhere that is followed. */
static bool resolve(const char *url, const char *location, char out[HUB_MAX_URL])
{
	CURLU *u = curl_url();
	char *all = NULL;
	bool ok = u && *location && !curl_url_set(u, CURLUPART_URL, url, 0) &&
		  !curl_url_set(u, CURLUPART_URL, location, 0) && !curl_url_get(u, CURLUPART_URL, &all, 0);
	if (ok) /* never from https to http */
		ok = strncmp(all, "https://", 8) == 0 ||
		     (strncmp(all, "http://", 7) == 0 && strncmp(url, "http://", 7) == 0);
	if (ok)
		ok = snprintf(out, HUB_MAX_URL, "%s", all) < HUB_MAX_URL;
	curl_free(all);
	curl_url_cleanup(u);
	return ok;
}

void http_add_path(struct strbuf *b, const char *path)
{
	for (; *path; path++) {
		if (isalnum((unsigned char)*path) || strchr("/-._~", *path))
			strbuf_add(b, path, 1);
		else
			strbuf_addf(b, "%%%02X", (unsigned char)*path);
	}
}

/* ---- handles ---- */

void *http_easy(struct http *h, void *easy, const char *url, char *error_text)
{
	CURL *e = easy ? easy : curl_easy_init();
	if (!e)
		return NULL;
	curl_easy_reset(e);
	*error_text = '\0';
	bool ok = !curl_easy_setopt(e, CURLOPT_URL, url) &&
		  !curl_easy_setopt(e, CURLOPT_ERRORBUFFER, error_text) &&
		  !curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) &&
		  !curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") &&
		  !curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S) &&
		  !curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L) &&
		  !curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)STALLED_S) &&
		  !curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
		  !curl_easy_setopt(e, CURLOPT_USERAGENT, "hokku");
	if (ok && h->config->ca_file)
		ok = !curl_easy_setopt(e, CURLOPT_CAINFO, h->config->ca_file);
	if (ok && h->bearer && http_is_hub(h, url))
		ok = !curl_easy_setopt(e, CURLOPT_HTTPHEADER, h->bearer);
	if (!ok) {
		curl_easy_cleanup(e);
		return NULL;
	}
	return e;
}

enum hokku_code http_create(const struct hub_config *config, const struct observer *observer,
			    struct http **out, struct hokku_error *err)
{
	struct http *h = calloc(1, sizeof *h);
	*out = NULL;
	if (!h || curl_global_init(CURL_GLOBAL_DEFAULT)) {
		free(h);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the network");
	}
	h->config = config;
	h->observer = observer;
	if (!origin_of(config->endpoint, h->origin)) {
		http_destroy(h);
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "HF_ENDPOINT is \"%s\", which is no address of a hub", config->endpoint);
	}
	if (config->token) {
		struct strbuf line = {0};
		strbuf_addf(&line, "Authorization: Bearer %s", config->token);
		h->bearer = line.failed ? NULL : curl_slist_append(NULL, line.ptr);
		strbuf_free(&line);
	}
	if (config->token && !h->bearer) {
		http_destroy(h);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the network");
	}
	*out = h;
	return HOKKU_OK;
}

void http_destroy(struct http *h)
{
	if (!h)
		return;
	curl_easy_cleanup(h->easy);
	curl_slist_free_all(h->bearer);
	curl_global_cleanup();
	free(h);
}

void http_reply_free(struct http_reply *r)
{
	strbuf_free(&r->body);
}

/* ---- heads ---- */

#define AT(field) offsetof(struct http_headers, field), sizeof(((struct http_headers *)0)->field)
static const struct {
	const char *name;
	size_t offset, size;
	bool is_etag;
} known_headers[] = {
	{"location", AT(location), false},
	{"x-repo-commit", AT(commit), false},
	{"etag", AT(etag), true},
	{"x-linked-etag", AT(linked_etag), true},
	{"x-linked-size", AT(linked_size), false},
	{"x-error-code", AT(error_code), false},
	{"x-error-message", AT(error_message), false},
	{"retry-after", AT(retry_after), false},
	{"content-range", AT(content_range), false},
	{"content-length", AT(content_length), false},
};

/* What would steer the terminal that a message is read on, or end its line. */
static bool has_control(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 0x7f)
			return true;
	return false;
}

void http_take_header(struct http_headers *to, const char *line, size_t n)
{
	while (n && isspace((unsigned char)line[n - 1]))
		n--;
	if (n > 5 &&
	    strncasecmp(line, "HTTP/", 5) == 0) { /* of a proxy, or 100 Continue, before the answer's own */
		*to = (struct http_headers){0};
		return;
	}
	const char *colon = memchr(line, ':', n);
	if (!colon)
		return;
	struct str name = {line, (size_t)(colon - line)}, value = {colon + 1, n - name.len - 1};
	while (value.len && isspace((unsigned char)*value.ptr))
		value.ptr++, value.len--;
	for (size_t i = 0; i < sizeof known_headers / sizeof *known_headers; i++) {
		if (strlen(known_headers[i].name) != name.len ||
		    strncasecmp(known_headers[i].name, name.ptr, name.len) != 0)
			continue;
		if (known_headers[i].is_etag && str_starts(value, STR_LIT("W/")))
			value.ptr += 2, value.len -= 2;
		if (known_headers[i].is_etag && value.len > 1 && *value.ptr == '"')
			value.ptr++, value.len -= 2;
		char *at = (char *)to + known_headers[i].offset;
		/* one that is longer, or holds what no such value holds, is not what it says */
		if (value.len < known_headers[i].size && !has_control(value)) {
			memcpy(at, value.ptr, value.len);
			at[value.len] = '\0';
		}
	}
}

/* ---- asking ---- */

uint32_t http_wait_ms(const struct http *h, uint32_t n, const struct http_headers *reply)
{
	if (reply && isdigit((unsigned char)reply->retry_after[0])) {
		unsigned long s = strtoul(reply->retry_after, NULL, 10);
		return (uint32_t)(s < HTTP_MAX_WAIT_S ? s : HTTP_MAX_WAIT_S) * 1000;
	}
	return h->config->retry_ms << (n > 8 ? 8 : n - 1);
}

enum hokku_code http_sleep(const struct http *h, uint32_t ms, struct hokku_error *err)
{
	uint64_t begin = clock_ns();
	while (clock_ms_since(begin) < ms) {
		if (observer_stopped(h->observer))
			return err_set(err, HOKKU_CANCELLED, "interrupted");
		nanosleep(&(struct timespec){.tv_nsec = SLICE_MS * 1000000L}, NULL);
	}
	return observer_stopped(h->observer) ? err_set(err, HOKKU_CANCELLED, "interrupted") : HOKKU_OK;
}

struct asking {
	struct http *h;
	struct http_reply *reply;
	size_t max_body;
	bool first; /* what comes after max_body is not wanted, instead of too long */
	bool too_long;
};

static size_t on_header(char *line, size_t size, size_t n, void *user)
{
	struct asking *a = user;
	http_take_header(&a->reply->headers, line, size * n);
	return size * n;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *user)
{
	struct asking *a = user;
	size_t room = a->max_body - a->reply->body.len, all = size * n;
	a->too_long = all > room && !a->first;
	if (a->too_long)
		return 0;
	strbuf_add(&a->reply->body, bytes, all < room ? all : room);
	return a->reply->body.failed || all > room ? 0 : all;
}

static int on_progress(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct asking *asking = user;
	(void)a, (void)b, (void)c, (void)d;
	return observer_stopped(asking->h->observer);
}

/* One request, no redirect. */
static enum hokku_code ask_once(struct http *h, const char *url, bool head, struct asking *a, CURLcode *code,
				struct hokku_error *err)
{
	struct http_reply *r = a->reply;
	r->headers = (struct http_headers){0};
	r->status = 0;
	strbuf_clear(&r->body);
	snprintf(r->url, sizeof r->url, "%s", url);
	CURL *e = http_easy(h, h->easy, url, h->text);
	h->easy = e;
	if (!e)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for a connection", HUB_SHOWN(url));
	char range[32];
	snprintf(range, sizeof range, "0-%zu", a->max_body - 1);
	if (a->first)
		curl_easy_setopt(e, CURLOPT_RANGE, range);
	curl_easy_setopt(e, CURLOPT_NOBODY, (long)head);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, a);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, a);
	curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(e, CURLOPT_XFERINFODATA, a);
	*code = curl_easy_perform(e);
	curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &r->status);
	if (a->first && *code == CURLE_WRITE_ERROR && r->body.len == a->max_body)
		*code = CURLE_OK; /* of a server without ranges, enough */
	if (observer_stopped(h->observer))
		return err_set(err, HOKKU_CANCELLED, "interrupted");
	if (a->too_long)
		return err_set(err, HOKKU_BAD_FILE, "%s: the answer is longer than %zu bytes", HUB_SHOWN(url),
			       a->max_body);
	if (r->body.failed)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for the answer", HUB_SHOWN(url));
	return HOKKU_OK;
}

/* Asks until there is an answer worth having. */
static enum hokku_code ask_again(struct http *h, const char *url, bool head, struct asking *a,
				 struct hokku_error *err)
{
	for (uint32_t n = 1;; n++) {
		CURLcode code = CURLE_OK;
		enum hokku_code rc = ask_once(h, url, head, a, &code, err);
		if (rc)
			return rc;
		if (!code && !http_is_busy(a->reply->status))
			return HOKKU_OK;
		if (n == HTTP_ATTEMPTS && !code)
			return HOKKU_OK;
		if (n == HTTP_ATTEMPTS || code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT ||
		    code == CURLE_SSL_CACERT_BADFILE || code == CURLE_PEER_FAILED_VERIFICATION)
			return err_set(err, HOKKU_IO_ERROR, "%s: %s%s", HUB_SHOWN(url),
				       *h->text ? h->text : curl_easy_strerror(code),
				       code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT
					       ? "; --offline looks only at what is here"
					       : "");
		rc = http_sleep(h, http_wait_ms(h, n, code ? NULL : &a->reply->headers), err);
		if (rc)
			return rc;
	}
}

static enum hokku_code follow(struct asking *a, const char *url, bool head, bool stay,
			      struct hokku_error *err)
{
	struct http *h = a->h;
	struct http_reply *out = a->reply;
	char at[HUB_MAX_URL], next[HUB_MAX_URL];
	*out = (struct http_reply){0};
	snprintf(at, sizeof at, "%s", url);
	for (int n = 0;; n++) {
		struct http_headers before = out->headers;
		enum hokku_code rc = ask_again(h, at, head, a, err);
		if (rc)
			return rc;
		/* What the hub said of the file on the way is of the file, whoever keeps its bytes. */
		if (n && !*out->headers.linked_etag)
			memcpy(out->headers.linked_etag, before.linked_etag, sizeof before.linked_etag);
		if (n && !*out->headers.linked_size)
			memcpy(out->headers.linked_size, before.linked_size, sizeof before.linked_size);
		if (n && !*out->headers.commit)
			memcpy(out->headers.commit, before.commit, sizeof before.commit);
		if (out->status < 300 || out->status > 399 || out->status == 304)
			return HOKKU_OK;
		if (!resolve(at, out->headers.location, next))
			return err_set(err, HOKKU_IO_ERROR,
				       "%s: it redirects (HTTP %ld) to \"%.200s\", where nothing is followed",
				       HUB_SHOWN(at), out->status, HUB_SHOWN(out->headers.location));
		memcpy(out->headers.location, next, sizeof next);
		if (stay && http_is_hub(h, at) && !http_is_hub(h, next))
			return HOKKU_OK;
		if (n == HTTP_MAX_REDIRECTS)
			return err_set(err, HOKKU_IO_ERROR, "%s: it redirects more than %d times",
				       HUB_SHOWN(url), HTTP_MAX_REDIRECTS);
		memcpy(at, next, sizeof at);
	}
}

enum hokku_code http_ask(struct http *h, const char *url, bool head, bool stay, size_t max_body,
			 struct http_reply *out, struct hokku_error *err)
{
	struct asking a = {.h = h, .reply = out, .max_body = max_body};
	return follow(&a, url, head, stay, err);
}

enum hokku_code http_ask_first(struct http *h, const char *url, size_t n, struct http_reply *out,
			       struct hokku_error *err)
{
	struct asking a = {.h = h, .reply = out, .max_body = n, .first = true};
	return follow(&a, url, false, false, err);
}
