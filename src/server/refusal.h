/* Answers to what never becomes a request: whole HTTP messages, made without libevent. */
#ifndef SERVER_REFUSAL_H
#define SERVER_REFUSAL_H

#include "server/http.h"

/* The reason phrase of a status. */
const char *refusal_reason(int status);

/* Appends a message that closes the connection: 400, 408, 413, 417, 501, 503, 505; any other becomes 400.
 * path: what was asked for, in whose form the error is; NULL: that did not come. text is the sentence for
 * people; NULL: the status's own. */
void refusal_write(const struct http_config *config, const char *path, int status, const char *text,
		   struct strbuf *out);

/* Sends it, as far as the socket takes it at once. */
void refusal_send(const struct http_config *config, const char *path, int fd, int status, const char *text);

#endif
