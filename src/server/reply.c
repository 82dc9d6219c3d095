#include "server/reply.h"

#include <inttypes.h>
#include <stdio.h>

#include "server/access.h"
#include "server/answer.h"

void reply_json(struct http_request *r, int status, const struct strbuf *body)
{
	if (body->failed)
		http_reply(r, 500, NULL, (struct str){"", 0});
	else
		http_reply(r, status, "application/json", (struct str){body->ptr, body->len});
}

void reply_refused(struct http_request *r, enum hokku_code code, int status, const char *message,
		   const char *field, uint32_t retry_after_s)
{
	char seconds[16];
	struct strbuf body = {0};
	access_fail(r, code, field, message);
	const struct api *api = api_of_path(http_get_path(r));
	if (api->refused)
		status =
			api->refused(&body, code, status, message, http_get_added(r, api->request_id_header));
	else
		api->error(&body, code, message, field);
	if (retry_after_s == 0)
		retry_after_s = code == HOKKU_SHUTTING_DOWN ? 5 : 1;
	snprintf(seconds, sizeof seconds, "%" PRIu32, retry_after_s);
	if (status == 503 || status == 529 || status == 429)
		http_add_header(r, "Retry-After", seconds);
	reply_json(r, status, &body);
	strbuf_free(&body);
}

void reply_error(struct http_request *r, enum hokku_code code, int status, const char *message,
		 const char *field)
{
	reply_refused(r, code, status, message, field, 0);
}
