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

/* A part of a path, its escapes undone: a plus is a plus there. */
void peek_path(struct str part, struct strbuf *out);

/* The value of a parameter of a query ("a=b&model=x%2Fy"), its escapes undone, a plus a blank; false: it is
 * not there. */
bool peek_query(struct str query, const char *name, struct strbuf *out);

#endif
