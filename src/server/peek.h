/*
 * Which model a request names, told without reading the request: where there are several, each reads its
 * requests itself. Of the body only the first level is looked at, and what is no JSON is left to be told by
 * who reads it.
 */
#ifndef SERVER_PEEK_H
#define SERVER_PEEK_H

#include "base/str.h"

/* Appends what "model" says, or else the key `old`, which may be NULL; false: neither is there as a string,
 * or the body is no object up to there. */
bool peek_model(struct str body, const char *old, struct strbuf *out);

/* The value of a parameter of a query ("a=b&model=x%2Fy"), its escapes undone; false: it is not there. */
bool peek_query(struct str query, const char *name, struct strbuf *out);

#endif
