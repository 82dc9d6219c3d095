#include "server/refusal.h"

#include <stdio.h>
#include <sys/socket.h>

const char *refusal_reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} reasons[] = {
		{200, "OK"},
		{202, "Accepted"},
		{204, "No Content"},
		{304, "Not Modified"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{408, "Request Timeout"},
		{413, "Content Too Large"},
		{415, "Unsupported Media Type"},
		{417, "Expectation Failed"},
		{429, "Too Many Requests"},
		{499, "Client Closed Request"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{503, "Service Unavailable"},
		{504, "Gateway Timeout"},
		{505, "HTTP Version Not Supported"},
		{507, "Insufficient Storage"},
		{529, "Overloaded"},
	};
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return "Unknown";
}

static void describe(const struct http_config *config, int status, char *text, size_t size)
{
	switch (status) {
	case 408:
		snprintf(text, size, "the request was not complete within %g seconds of its first byte",
			 config->read_ms / 1000.0);
		break;
	case 413:
		snprintf(text, size, "the body is larger than the %zu bytes allowed (--max-body)",
			 config->max_body_bytes);
		break;
	case 417:
		snprintf(text, size, "the header Expect may only say 100-continue");
		break;
	case 503:
		snprintf(text, size, "too many requests are being received at once; try again later");
		break;
	default:
		snprintf(text, size, "this is no HTTP/1.1 request");
	}
}

void refusal_write(const struct http_config *config, const char *path, int status, const char *text,
		   struct strbuf *out)
{
	char own[256];
	struct strbuf body = {0};
	if (status != 408 && status != 413 && status != 417 && status != 501 && status != 503 &&
	    status != 505)
		status = 400;
	describe(config, status, own, sizeof own);
	bool busy = status == 503;
	status = config->error_body(config->user, path, busy ? HOKKU_OVERLOADED : HOKKU_INVALID_REQUEST,
				    status, text ? text : own, &body);
	if (config->on_refused)
		config->on_refused(config->user, status);
	strbuf_addf(out,
		    "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s"
		    "Connection: close\r\n\r\n",
		    status, refusal_reason(status), body.len, busy ? "Retry-After: 1\r\n" : "");
	strbuf_add(out, body.ptr, body.len);
	strbuf_free(&body);
}

void refusal_send(const struct http_config *config, const char *path, int fd, int status, const char *text)
{
	struct strbuf out = {0};
	refusal_write(config, path, status, text, &out);
	if (!out.failed) {
		ssize_t n = send(fd, out.ptr, out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)n; /* whoever cannot take it goes without */
	}
	strbuf_free(&out);
}
