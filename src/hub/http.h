/*
 * HTTP as the hub's client speaks it, on libcurl: single questions here, the bytes of files in transfer.h.
 * The token goes to the hub's own scheme, host and port and nowhere else: redirects are followed by hand.
 * Proxies are those of the environment (https_proxy, http_proxy, all_proxy, no_proxy), as curl has them.
 */
#ifndef HUB_HTTP_H
#define HUB_HTTP_H

#include "hub/hub.h"

enum { HTTP_ATTEMPTS = 5, HTTP_MAX_REDIRECTS = 8, HTTP_MAX_WAIT_S = 300 };

struct http;

/* config and observer are borrowed. */
enum hokku_code http_create(const struct hub_config *config, const struct observer *observer,
			    struct http **out, struct hokku_error *err);
void http_destroy(struct http *h); /* NULL is allowed */

/* Headers that the hub's protocol has. Texts are empty where they are absent. */
struct http_headers {
	char location[HUB_MAX_URL];
	char commit[64];                  /* X-Repo-Commit */
	char etag[128], linked_etag[128]; /* without W/ and quotes */
	char error_code[64];              /* X-Error-Code: "GatedRepo" */
	char error_message[256];
	char linked_size[32], retry_after[32], content_range[96], content_length[32];
};

struct http_reply {
	long status;
	struct http_headers headers;
	struct strbuf body;    /* of a GET */
	char url[HUB_MAX_URL]; /* that answered */
};
void http_reply_free(struct http_reply *r);

/*
 * Asks, and asks again (HTTP_ATTEMPTS in all) where the network fails or the server is busy (429 and its
 * Retry-After, 5xx). Redirects are followed; with stay, one that leads to another host is the answer. The
 * last status is no error here: it is in *out. A body longer than max_body is BAD_FILE. CANCELLED, IO_ERROR.
 */
enum hokku_code http_ask(struct http *h, const char *url, bool head, bool stay, size_t max_body,
			 struct http_reply *out, struct hokku_error *err);

/* The first n bytes of what is at url, fewer where it has fewer; status 206 or 200. */
enum hokku_code http_ask_first(struct http *h, const char *url, size_t n, struct http_reply *out,
			       struct hokku_error *err);

/* Of the hub's own scheme, host and port? */
bool http_is_hub(const struct http *h, const char *url);

/* A handle for url with what all requests share; with a token where it goes to the hub. NULL: no memory.
 * error_text (CURL_ERROR_SIZE) lives as long as the handle. */
void *http_easy(struct http *h, void *easy, const char *url, char *error_text);

/* One line of a reply's head. */
void http_take_header(struct http_headers *to, const char *line, size_t n);

/* Milliseconds before attempt number n (from 1) after a reply, NULL for none. */
uint32_t http_wait_ms(const struct http *h, uint32_t n, const struct http_headers *reply);

/* Waits; CANCELLED if it is stopped meanwhile. */
enum hokku_code http_sleep(const struct http *h, uint32_t ms, struct hokku_error *err);

/* Is it worth to ask again? */
static inline bool http_is_busy(long status)
{
	return status == 408 || status == 429 || status >= 500;
}

/* Appends a path's bytes to a URL, those escaped that need it; slashes stay. */
void http_add_path(struct strbuf *b, const char *path);

/* What http_create was given. */
const struct hub_config *http_config(const struct http *h);
const struct observer *http_observer(const struct http *h);

#endif
