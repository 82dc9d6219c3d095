/* The chat page inside the binary: one file of HTML, style and script, made of page/ (docs/page.md). */
#ifndef SERVER_PAGE_H
#define SERVER_PAGE_H

#include <stdbool.h>

#include "server/http.h"

/* Whether who sends this Accept header (NULL: none) would rather have the page than JSON: it names text/html,
 * or text of every kind, and JSON no higher. What takes anything, as curl does, gets JSON. */
bool page_is_wanted(const char *accept);

/* Answers r with the page, and with what a browser may do with it: run its own script and speak to this
 * server, nothing else. */
void page_reply(struct http_request *r);

#endif
