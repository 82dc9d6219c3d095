/* The chat page inside the binary: one file of HTML, style and script, made of page/ (docs/page.md). */
#ifndef SERVER_PAGE_H
#define SERVER_PAGE_H

#include <stdbool.h>

#include "server/http.h"

/* Whether who sends this Accept header (NULL: none) would rather have the page than JSON: it names text/html,
 * or text of every kind, and JSON no higher. What takes anything, as curl does, gets JSON. */
bool page_is_wanted(const char *accept);

/* The page as it is: in the program it is compressed. */
struct page {
	char *plain; /* (n_plain) */
	size_t n_plain;
	char tag[17]; /* of its version: both forms' entity tags are made of it */
};

/* *p is page_close's to free, whatever the result. */
enum hokku_code page_open(struct page *p, struct hokku_error *err);
void page_close(struct page *p);

/* Answers r with the page, compressed where Accept-Encoding takes that, with 304 where If-None-Match has the
 * form already, and with what a browser may do with it: run its own script and speak to this server, nothing
 * else. */
void page_reply(const struct page *p, struct http_request *r);

#endif
