/* Whole answers to a request: JSON or an error. */
#ifndef SERVER_REPLY_H
#define SERVER_REPLY_H

#include "server/http.h"

/* body is JSON; one that has failed for want of memory is an empty 500. */
void reply_json(struct http_request *r, int status, const struct strbuf *body);

/* field: what is at fault; NULL or "" where that is no field. */
void reply_error(struct http_request *r, enum hokku_code code, int status, const char *message,
		 const char *field);

/* The same, with when to come back (429, 503): retry_after_s seconds; 0: nobody knows, soon. */
void reply_refused(struct http_request *r, enum hokku_code code, int status, const char *message,
		   const char *field, uint32_t retry_after_s);

#endif
