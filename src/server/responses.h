/*
 * POST /v1/responses and its kin: OpenAI's Responses API, without its tools that run elsewhere. A response is
 * kept in memory, of its key alone, so that a later request can go on from it (previous_response_id) or ask
 * for it: within a limit of bytes, the one that was used longest ago goes first, and for a time.
 *
 * The store is used by the loop's thread and by the one that prepares.
 */
#ifndef SERVER_RESPONSES_H
#define SERVER_RESPONSES_H

#include "server/request.h"

struct responses;
struct server;
struct http_request;

/* max_bytes 0: nothing is kept. ttl_s: seconds since it was made or last used. NULL: no memory. */
struct responses *responses_new(size_t max_bytes, double ttl_s);
void responses_free(struct responses *s); /* NULL is allowed */

/* Keeps a response: its object, and the conversation up to its end (items, separated by commas). What does
 * not fit at all is not kept: false. */
bool responses_put(struct responses *s, uint32_t owner, const char *id, struct str object, struct str items,
		   uint64_t now_ns);

/* Appends a copy; either may be NULL. False: there is none of that key. */
bool responses_get(struct responses *s, uint32_t owner, const char *id, struct strbuf *object,
		   struct strbuf *items, uint64_t now_ns);
bool responses_drop(struct responses *s, uint32_t owner, const char *id, uint64_t now_ns);

/* How many there are, and their bytes. */
void responses_count(struct responses *s, uint32_t *n, size_t *n_bytes);

/* ---- a request's ---- */

/* A tool whose calls come back under another name or form than the model gives them. */
struct responses_tool {
	char *flat;      /* as the model knows it */
	char *name, *of; /* as the request does; of: its namespace, NULL: none */
	bool custom;     /* its calls hold a text, not arguments */
};

struct responses_request {
	bool store;
	char *previous; /* a response to go on from; NULL: none */
	const struct jv *input, *instructions, *tools, *choice, *format,
		*metadata;       /* until the request is linked */
	struct strbuf echo;      /* members of the response that say what was asked for, after a comma */
	struct strbuf items;     /* the conversation so far: items separated by commas */
	struct strbuf made_from; /* of each tool as the model has it: its place, two uint32_t */
	struct responses_tool *renamed; /* (n_renamed) */
	size_t n_renamed;
};

void responses_request_free(struct responses_request *r); /* NULL is allowed */

/* The tool of that name; NULL: it is known to both by one name. */
const struct responses_tool *responses_find(const struct responses_request *r, struct str flat);

/* The routes of one response: GET and DELETE /v1/responses/{id}. */
void response_route(struct server *s, struct http_request *r);
void response_delete_route(struct server *s, struct http_request *r);

extern const struct request_form request_responses;

#endif
