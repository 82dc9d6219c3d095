/* Answers to what never becomes a request: whole messages, for every status that is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/answer.h"
#include "server/refusal.h"

static int owner;

/* As Anthropic's API says it where the path is one of its, else as ours. */
static int error_body(void *user, const char *path, enum hokku_code code, int status, const char *text,
		      struct strbuf *out)
{
	assert_ptr_equal(user, &owner);
	if (path)
		return api_anthropic.refused(out, code, status, text, NULL);
	answer_error(out, code, text, NULL);
	return status;
}

static const struct http_config config = {
	.max_body_bytes = 4711, .read_ms = 1500, .error_body = error_body, .user = &owner};

/* RFC 9110, 15; 499 is nginx's, 507 RFC 4918's. */
static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{200, "OK"},
	{202, "Accepted"},
	{204, "No Content"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{408, "Request Timeout"},
	{413, "Content Too Large"},
	{415, "Unsupported Media Type"},
	{417, "Expectation Failed"},
	{499, "Client Closed Request"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
	{505, "HTTP Version Not Supported"},
	{507, "Insufficient Storage"},
};

static void test_reasons(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		assert_string_equal(refusal_reason(reasons[i].status), reasons[i].reason);
	assert_string_equal(refusal_reason(299), "Unknown");
#define HAS_REASON(name, http, text) assert_string_not_equal(refusal_reason(http), "Unknown");
	HOKKU_ERRORS(HAS_REASON)
#undef HAS_REASON
}

static const struct {
	int status, sent;
	const char *code, *own; /* a part of the text where none is given */
} refusals[] = {
	{400, 400, "INVALID_REQUEST", "this is no HTTP/1.1 request"},
	{408, 408, "INVALID_REQUEST", "within 1.5 seconds of its first byte"},
	{413, 413, "INVALID_REQUEST", "larger than the 4711 bytes allowed (--max-body)"},
	{417, 417, "INVALID_REQUEST", "Expect may only say 100-continue"},
	{501, 501, "INVALID_REQUEST", "no HTTP/1.1 request"},
	{503, 503, "OVERLOADED", "try again later"},
	{505, 505, "INVALID_REQUEST", "no HTTP/1.1 request"},
	{200, 400, "INVALID_REQUEST", "no HTTP/1.1 request"},
	{414, 400, "INVALID_REQUEST", "no HTTP/1.1 request"},
	{500, 400, "INVALID_REQUEST", "no HTTP/1.1 request"},
};

static void check(const char *message, int sent, const char *code, const char *text)
{
	char line[64], wanted[64];
	snprintf(line, sizeof line, "HTTP/1.1 %d %s\r\n", sent, refusal_reason(sent));
	assert_int_equal(strncmp(message, line, strlen(line)), 0);
	const char *body = strstr(message, "\r\n\r\n"), *length = strstr(message, "\r\nContent-Length: ");
	assert_true(body && length && length < body);
	assert_int_equal(strtoul(length + 18, NULL, 10), strlen(body + 4));
	assert_non_null(strstr(message, "\r\nConnection: close\r\n"));
	assert_non_null(strstr(message, "\r\nContent-Type: application/json\r\n"));
	assert_int_equal(strstr(message, "\r\nRetry-After: 1\r\n") != NULL, sent == 503);
	snprintf(wanted, sizeof wanted, "{\"error\":{\"code\":\"%s\",", code);
	assert_int_equal(strncmp(body + 4, wanted, strlen(wanted)), 0);
	assert_non_null(strstr(body, text));
}

static void test_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		for (int given = 0; given < 2; given++) {
			char heard[1024];
			int ends[2];
			struct strbuf b = {0};
			const char *text = given ? "the moon is \"full\"" : NULL;
			refusal_write(&config, NULL, refusals[i].status, text, &b);
			check(b.ptr, refusals[i].sent, refusals[i].code,
			      given ? "\"the moon is \\\"full\\\"\"" : refusals[i].own);
			/* The same through a socket. */
			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
			refusal_send(&config, NULL, ends[0], refusals[i].status, text);
			close(ends[0]);
			ssize_t n = recv(ends[1], heard, sizeof heard, 0);
			assert_int_equal(n, b.len);
			assert_memory_equal(heard, b.ptr, b.len);
			/* Nobody is there: no signal, no harm. */
			int fd = dup(ends[1]);
			close(ends[1]);
			refusal_send(&config, NULL, fd, 400, text);
			close(fd);
			strbuf_free(&b);
		}
	}
}

/* Where it is known what was asked for, the error is in that API's form and has its status. */
static void test_form(void **state)
{
	(void)state;
	struct strbuf b = {0};
	refusal_write(&config, "/v1/messages", 413, NULL, &b);
	assert_int_equal(strncmp(b.ptr, "HTTP/1.1 413 Content Too Large\r\n", 32), 0);
	assert_non_null(strstr(b.ptr, "{\"type\":\"error\",\"error\":{\"type\":\"request_too_large\","));
	strbuf_clear(&b);
	refusal_write(&config, "/v1/messages", 503, NULL, &b);
	assert_int_equal(strncmp(b.ptr, "HTTP/1.1 529 Overloaded\r\n", 25), 0);
	assert_non_null(strstr(b.ptr, "\r\nRetry-After: 1\r\n"));
	assert_non_null(strstr(b.ptr, "\"overloaded_error\""));
	strbuf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_reasons), cmocka_unit_test(test_messages),
					   cmocka_unit_test(test_form)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
