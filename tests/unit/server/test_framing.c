/* Where a request ends: what RFC 9112 wants refused, and that it does not matter how the bytes come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/framing.h"

enum { MAX_HEAD = 1000, MAX_BODY = 5000 };

/* The status of a head that comes in pieces of step bytes. */
static int status_of(const char *head, size_t n, size_t step)
{
	struct framing f = {0};
	struct framing_fault fault = {0};
	for (size_t at = 0; at < n && !fault.status; at += step) {
		framing_add(&f, head + at, n - at < step ? n - at : step, MAX_HEAD);
		framing_check(&f, MAX_HEAD, MAX_BODY, &fault);
	}
	assert_true(f.complete || fault.status);
	assert_true(!fault.status == !fault.text[0]);
	strbuf_free(&f.head);
	return fault.status;
}

static const struct {
	int status;
	const char *version, *headers;
} cases[] = {
	{0, "1.1", "Host: x\r\n"},
	{0, "1.1", "Host: x\r\nContent-Length: 0\r\n"},
	{0, "1.1", "Host: x\r\nContent-Length: 4999\r\n"},
	{0, "1.1", "Host: x\r\ncontent-length:\t5000 \r\n"},
	{413, "1.1", "Host: x\r\nContent-Length: 5001\r\n"},
	{413, "1.1", "Host: x\r\nContent-Length: 18446744073709551617\r\n"},
	{0, "1.1", "Host: x\r\nTransfer-Encoding: Chunked\r\n"},
	{501, "1.1", "Host: x\r\nTransfer-Encoding: gzip\r\n"},
	{501, "1.1", "Host: x\r\nTransfer-Encoding: gzip, chunked\r\n"},
	{501, "1.1", "Host: x\r\nTransfer-Encoding: xchunked\r\n"},
	{501, "1.1", "Host: x\r\nTransfer-Encoding:\r\n"},
	{400, "1.1", "Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n"},
	{400, "1.1", "Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n"},
	{400, "1.0", "Transfer-Encoding: chunked\r\n"},
	{400, "1.1", "Host: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n"},
	{400, "1.1", "Host: x\r\nContent-Length: 5, 6\r\n"},
	{400, "1.1", "Host: x\r\nContent-Length: +5\r\n"},
	{400, "1.1", "Host: x\r\nContent-Length: -5\r\n"},
	{400, "1.1", "Host: x\r\nContent-Length: 0x5\r\n"},
	{400, "1.1", "Host: x\r\nContent-Length:\r\n"},
	{400, "1.1", "Host: x\r\nContent-Length : 5\r\n"},
	{400, "1.1", "Host: x\r\n Content-Length: 5\r\n"},
	{400, "1.1", "Host: x\r\nX: a\r\n\tb\r\n"},
	{400, "1.1", "Host: x\r\nno header\r\n"},
	{400, "1.1", "Host: x\r\n: y\r\n"},
	{400, "1.1", ""},
	{400, "1.1", "Host: x\r\nHost: y\r\n"},
	{0, "1.0", ""},
	{0, "1.0", "Content-Length: 5\n"},
};

static void test_heads(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char head[MAX_HEAD];
		int n = snprintf(head, sizeof head, "\r\nPOST /v1/generate HTTP/%s\r\n%s\r\nbody\n\n",
				 cases[i].version, cases[i].headers);
		for (size_t step = 1; step <= (size_t)n; step++) {
			int status = status_of(head, (size_t)n, step);
			if (status != cases[i].status)
				fail_msg("%s in steps of %zu: %d instead of %d", head, step, status,
					 cases[i].status);
		}
	}
	static const char zero[] = "GET / HTTP/1.1\r\nHost: x\r\n\0\r\n\r\n";
	assert_int_equal(status_of(zero, sizeof zero - 1, 7), 400);
}

static void test_longest(void **state)
{
	(void)state;
	for (size_t n = MAX_HEAD - 1; n <= MAX_HEAD + 1; n++) {
		char head[MAX_HEAD + 2];
		memset(head, 'x', sizeof head);
		memcpy(head, "GET / HTTP/1.0\r\nX:", 18);
		memcpy(head + n - 4, "\r\n\r\n", 4);
		assert_int_equal(status_of(head, n, n), n > MAX_HEAD ? 400 : 0);
		assert_int_equal(status_of(head, n, 1), n > MAX_HEAD ? 400 : 0);
	}
}

static void test_restart(void **state)
{
	(void)state;
	static const char bad[] = "GET / HTTP/1.1\r\n\r\n", good[] = "GET / HTTP/1.0\r\n\r\n";
	struct framing f = {0};
	struct framing_fault fault;
	framing_add(&f, bad, sizeof bad - 1, MAX_HEAD);
	framing_check(&f, MAX_HEAD, MAX_BODY, &fault);
	assert_int_equal(fault.status, 400);
	framing_restart(&f);
	framing_add(&f, good, sizeof good - 1, MAX_HEAD);
	framing_check(&f, MAX_HEAD, MAX_BODY, &fault);
	assert_true(f.complete);
	assert_int_equal(fault.status, 0);
	strbuf_free(&f.head);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_restart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
