/* Where a request ends: what RFC 9112 wants refused, what the parser behind gets to see, and that it does not
 * matter how the bytes come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/framing.h"

enum { MAX_HEAD = 1000, MAX_BODY = 5000, MAX_TEXT = 16 * 1024 };
static const struct framing_limits limits = {MAX_HEAD, MAX_BODY};

/* What came of a request in pieces of step bytes; bytes is written over as the parser would see it. */
static struct verdict {
	int status;
	bool over;
	size_t n_taken, n_empty;
	char text[256];
	char method[16], path[64], query[64], authority[64];
	bool closes;
} take(char *bytes, size_t n, size_t step)
{
	struct framing f = {0};
	struct framing_fault fault = {0};
	struct verdict v = {0};
	while (v.n_taken < n && f.part != FRAMING_OVER && !fault.status) {
		size_t some = n - v.n_taken < step ? n - v.n_taken : step;
		size_t taken = framing_take(&f, bytes + v.n_taken, some, &limits, &fault);
		assert_true(taken == some || f.part == FRAMING_OVER || fault.status);
		v.n_taken += taken;
	}
	assert_true(!fault.status == !fault.text[0]);
	v.status = fault.status;
	v.over = f.part == FRAMING_OVER;
	v.n_empty = f.n_empty;
	memcpy(v.text, fault.text, sizeof v.text);
	if (v.over && !v.status) {
		struct str authority = framing_authority(&f), query = framing_query(&f);
		snprintf(v.query, sizeof v.query, "%.*s", STR_ARG(query));
		snprintf(v.method, sizeof v.method, "%s", framing_method(&f));
		snprintf(v.path, sizeof v.path, "%s", framing_path(&f));
		snprintf(v.authority, sizeof v.authority, "%.*s", STR_ARG(authority));
		v.closes = f.closes;
	}
	strbuf_free(&f.head);
	return v;
}

/* The same for every way of cutting it, which is checked; out (n + 1 bytes), unless NULL, becomes what the
 * parser sees. */
static struct verdict judge(const char *request, size_t n, char *out)
{
	static char whole[MAX_TEXT], pieces[MAX_TEXT];
	assert_true(n < MAX_TEXT);
	memcpy(whole, request, n);
	whole[n] = '\0';
	struct verdict v = take(whole, n, n);
	for (size_t step = 1; step < n && step < 300; step += step < 40 ? 1 : 37) {
		memcpy(pieces, request, n);
		struct verdict w = take(pieces, n, step);
		if (w.status != v.status || w.over != v.over || w.n_taken != v.n_taken ||
		    w.n_empty != v.n_empty || strcmp(w.text, v.text) != 0 || strcmp(w.path, v.path) != 0 ||
		    w.closes != v.closes || memcmp(pieces, whole, n) != 0)
			fail_msg("in steps of %zu otherwise: %s", step, request);
	}
	if (out)
		memcpy(out, whole, n + 1);
	return v;
}

static struct verdict judge_c(const char *request)
{
	return judge(request, strlen(request), NULL);
}

/* Requests with a head of one version, "POST /v1/generate HTTP/1.x" before and an empty line behind these. */
static const struct {
	int status;
	const char *version, *headers;
} heads[] = {
	{0, "1.1", "Host: x\r\n"},
	{0, "1.1", "Host: x\r\nContent-Length: 0\r\n"},
	{0, "1.1", "Host: x\r\nContent-Length: 4999\r\n"},
	{0, "1.1", "Host: x\r\ncontent-length:\t5000 \r\n"},
	{0, "1.1", "Host: x\r\nContent-Length: 00000000000000000000000005\r\n"},
	{413, "1.1", "Host: x\r\nContent-Length: 5001\r\n"},
	{413, "1.1", "Host: x\r\nContent-Length: 18446744073709551617\r\n"},
	{413, "1.1", "Host: x\r\nContent-Length: 0000018446744073709551617\r\n"},
	{0, "1.1", "Host: x\r\nTransfer-Encoding: Chunked\r\n"},
	{0, "1.1", "Host: x\r\nTransfer-Encoding:\tchunked\t\r\n"},
	{501, "1.1", "Host: x\r\nTransfer-Encoding: gzip\r\n"},
	{501, "1.1", "Host: x\r\nTransfer-Encoding: identity\r\n"},
	{501, "1.1", "Host: x\r\nTransfer-Encoding: gzip, chunked\r\n"},
	{501, "1.1", "Host: x\r\nTransfer-Encoding: chunked, chunked\r\n"},
	{501, "1.1", "Host: x\r\nTransfer-Encoding: chunked,\r\n"},
	{501, "1.1", "Host: x\r\nTransfer-Encoding: chunked;a=b\r\n"},
	{501, "1.1", "Host: x\r\nTransfer-Encoding: xchunked\r\n"},
	{501, "1.1", "Host: x\r\nTransfer-Encoding: \"chunked\"\r\n"},
	{501, "1.1", "Host: x\r\nTransfer-Encoding:\r\n"},
	{400, "1.1", "Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n"},
	{400, "1.1", "Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"},
	{400, "1.1", "Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n"},
	{400, "1.1", "Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"},
	{400, "1.0", "Transfer-Encoding: chunked\r\n"},
	{400, "1.1", "Host: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n"},
	{400, "1.1", "Host: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n"},
	{400, "1.1", "Host: x\r\nContent-Length: 5, 6\r\n"},
	{400, "1.1", "Host: x\r\nContent-Length: 5, 5\r\n"},
	{400, "1.1", "Host: x\r\nContent-Length: +5\r\n"},
	{400, "1.1", "Host: x\r\nContent-Length: -5\r\n"},
	{400, "1.1", "Host: x\r\nContent-Length: -0\r\n"},
	{400, "1.1", "Host: x\r\nContent-Length: 0x5\r\n"},
	{400, "1.1", "Host: x\r\nContent-Length: 5 5\r\n"},
	{400, "1.1", "Host: x\r\nContent-Length: 5.0\r\n"},
	{400, "1.1", "Host: x\r\nContent-Length: 5;\r\n"},
	{400, "1.1", "Host: x\r\nContent-Length:\r\n"},
	{400, "1.1", "Host: x\r\nContent-Length : 5\r\n"},
	{400, "1.1", "Host: x\r\nContent-Length\t: 5\r\n"},
	{400, "1.1", "Host: x\r\n Content-Length: 5\r\n"},
	{400, "1.1", " Host: x\r\n"},
	{400, "1.1", "Host: x\r\nX: a\r\n\tb\r\n"},
	{400, "1.1", "Host: x\r\nX: a\rb\r\n"},
	{400, "1.1", "Host: x\r\nX: a\r\r\n"},
	{400, "1.1", "Host: x\r\n\rX: a\r\n"},
	{400, "1.1", "Host: x\r\nX: a\x01\r\n"},
	{400, "1.1", "Host: x\r\nX: a\x7f\r\n"},
	{0, "1.1", "Host: x\r\nX: \xC3\xA9\x80 a\tb\r\n"},
	{0, "1.1", "Host: x\r\nX:\r\n"},
	{400, "1.1", "Host: x\r\nno header\r\n"},
	{400, "1.1", "Host: x\r\n: y\r\n"},
	{400, "1.1", "Host: x\r\nX(y): z\r\n"},
	{400, "1.1", "Host: x\r\nX\xC3: z\r\n"},
	{400, "1.1", ""},
	{400, "1.1", "X-Host: x\r\n"},
	{400, "1.1", "Host: x\r\nHost: y\r\n"},
	{400, "1.1", "Host: x\r\nhost: x\r\n"},
	{400, "1.1", "Host: x\r\nOrigin: http://x\r\nOrigin: http://y\r\n"},
	{400, "1.1", "Host: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n"},
	{400, "1.1", "Host: x\r\nx-api-key: a\r\nX-API-Key: a\r\n"},
	{0, "1.1", "Host: x\r\nAccept: a\r\nAccept: b\r\n"},
	{0, "1.1", "Host:\r\n"},
	{0, "1.1", "Host: [::1]:8080\r\n"},
	{400, "1.1", "Host: ::1\r\n"},
	{400, "1.1", "Host: x y\r\n"},
	{400, "1.1", "Host: x, y\r\n"},
	{400, "1.1", "Host: x/y\r\n"},
	{400, "1.1", "Host: u@x\r\n"},
	{0, "1.1", "Host: x:65535\r\n"},
	{400, "1.1", "Host: x:65536\r\n"},
	{400, "1.0", "Host: x y\r\n"},
	{0, "1.0", ""},
	{0, "1.0", "Content-Length: 5\n"},
	/* What is wrong with a length is told before what is wrong with Host. */
	{413, "1.1", "Content-Length: 5001\r\n"},
	{501, "1.1", "Transfer-Encoding: gzip\r\n"},
	{501, "1.1", "Host: x y\r\nTransfer-Encoding: gzip\r\n"},
};

static void test_heads(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		char request[MAX_HEAD];
		snprintf(request, sizeof request, "POST /v1/generate HTTP/%s\r\n%s\r\n", heads[i].version,
			 heads[i].headers);
		struct verdict v = judge_c(request);
		if (v.status != heads[i].status)
			fail_msg("%s: %d (%s) instead of %d", request, v.status, v.text, heads[i].status);
	}
	static const char zero[] = "GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n";
	assert_int_equal(judge(zero, sizeof zero - 1, NULL).status, 400);
	static const char early[] = "GET / HTTP/1.1\r\nHost: x\r\n\0\r\n\r\n";
	assert_int_equal(judge(early, sizeof early - 1, NULL).status, 400);
}

static const struct {
	int status;
	const char *line, *path, *authority, *query;
} lines[] = {
	{0, "GET / HTTP/1.1", "/", "", ""},
	{0, "GET /health?x=1&y=/a?b HTTP/1.1", "/health", "", "x=1&y=/a?b"},
	{0, "POST //v1/generate HTTP/1.1", "//v1/generate", "", ""},
	{0, "POST //v1//generate/?x HTTP/1.1", "//v1//generate/", "", "x"},
	{0, "GET /a%20b|\"\xC3\xA9 HTTP/1.1", "/a%20b|\"\xC3\xA9", "", ""},
	{0, "get /x? HTTP/1.0", "/x", "", ""},
	{0, "BREW /x HTTP/1.1", "/x", "", ""},
	{0, "GET http://localhost:80/health?x HTTP/1.1", "/health", "localhost:80", "x"},
	{0, "GET HTTPS://[::1] HTTP/1.1", "/", "[::1]", ""},
	{0, "GET http://a.b?/x HTTP/1.1", "/", "a.b", "/x"},
	{0, "GET http://a//b HTTP/1.1", "//b", "a", ""},
	{0, "OPTIONS * HTTP/1.1", "*", "", ""},
	{400, "GET * HTTP/1.1", NULL, NULL, NULL},
	{400, "OPTIONS *x HTTP/1.1", NULL, NULL, NULL},
	{400, "GET http:// HTTP/1.1", NULL, NULL, NULL},
	{400, "GET http:///x HTTP/1.1", NULL, NULL, NULL},
	{400, "GET http://u@a/x HTTP/1.1", NULL, NULL, NULL},
	{400, "GET http://a:b/x HTTP/1.1", NULL, NULL, NULL},
	{400, "GET http:/x HTTP/1.1", NULL, NULL, NULL},
	{400, "GET ftp://a/x HTTP/1.1", NULL, NULL, NULL},
	{400, "GET health HTTP/1.1", NULL, NULL, NULL},
	{400, "GET /x#y HTTP/1.1", NULL, NULL, NULL},
	{400, "GET /x\ty HTTP/1.1", NULL, NULL, NULL},
	{400, "GET /x\x01 HTTP/1.1", NULL, NULL, NULL},
	{400, "GET /x\x7f HTTP/1.1", NULL, NULL, NULL},
	{400, "GET /x\ry HTTP/1.1", NULL, NULL, NULL},
	{400, "GET  / HTTP/1.1", NULL, NULL, NULL},
	{400, "GET /  HTTP/1.1", NULL, NULL, NULL},
	{400, "GET /a b HTTP/1.1", NULL, NULL, NULL},
	{400, "GET\t/ HTTP/1.1", NULL, NULL, NULL},
	{400, "GET / HTTP/1.1 ", NULL, NULL, NULL},
	{400, "GET /", NULL, NULL, NULL},
	{400, "GET", NULL, NULL, NULL},
	{400, "GET  HTTP/1.1", NULL, NULL, NULL},
	{400, "G@T / HTTP/1.1", NULL, NULL, NULL},
	{400, "hello world, this is no request line", NULL, NULL, NULL},
	{400, "GET / http/1.1", NULL, NULL, NULL},
	{400, "GET / HTTP/1.1x", NULL, NULL, NULL},
	{400, "GET / HTTP/1,1", NULL, NULL, NULL},
	{400, "GET / HTTP/11", NULL, NULL, NULL},
	{400, "GET / HTTP/x.1", NULL, NULL, NULL},
	{400, "GET / HTTP/1.x", NULL, NULL, NULL},
	{400, "GET / HTPP/1.1", NULL, NULL, NULL},
	{505, "GET / HTTP/1.2", NULL, NULL, NULL},
	{505, "GET / HTTP/2.0", NULL, NULL, NULL},
	{505, "GET / HTTP/0.9", NULL, NULL, NULL},
	{505, "PRI * HTTP/2.0", NULL, NULL, NULL},
	{501, "CONNECT a:443 HTTP/1.1", NULL, NULL, NULL},
};

static void test_request_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		char request[MAX_HEAD];
		snprintf(request, sizeof request, "%s\r\nHost: x\r\n\r\n", lines[i].line);
		struct verdict v = judge_c(request);
		if (v.status != lines[i].status)
			fail_msg("%s: %d (%s) instead of %d", request, v.status, v.text, lines[i].status);
		if (v.status)
			continue;
		assert_int_equal(strncmp(v.method, lines[i].line, strlen(v.method)), 0);
		assert_int_equal(lines[i].line[strlen(v.method)], ' ');
		assert_string_equal(v.path, lines[i].path);
		assert_string_equal(v.authority, lines[i].authority);
		assert_string_equal(v.query, lines[i].query);
	}
}

static void test_no_http(void **state)
{
	(void)state;
	/* A client that speaks TLS sends no line: it is told at its first byte. */
	static const char tls[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc";
	struct verdict v = judge(tls, sizeof tls - 1, NULL);
	assert_int_equal(v.status, 400);
	assert_int_equal(v.n_taken, 1);
	assert_non_null(strstr(v.text, "https://"));
	v = judge_c(" GET / HTTP/1.1\r\n");
	assert_int_equal(v.status, 400);
	assert_null(strstr(v.text, "https://"));
	assert_int_equal(judge_c("\xC3GET").n_taken, 1);
	assert_int_equal(judge_c("\177").n_taken, 1);
}

/* What is wrong with a line is told at its end, not once everything behind it has come. */
static void test_early(void **state)
{
	(void)state;
	static const struct {
		int status;
		const char *begin;
	} cases[] = {{400, "GET /\r\n"},
		     {505, "PRI * HTTP/2.0\r\n"},
		     {501, "CONNECT a:1 HTTP/1.1\n"},
		     {400, "GET x HTTP/1.1\r\n"},
		     {400, "GET / HTTP/1.1\r\nno header\r\n"},
		     {400, "GET / HTTP/1.1\r\nA: b\r\n c\r\n"},
		     {0, "GET / HTTP/1.1\r\nA: b\r\nno head"},
		     /* Only once all headers are there can it be said what they lack together. */
		     {0, "GET / HTTP/1.1\r\nContent-Length: x\r\n"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct verdict v = judge_c(cases[i].begin);
		if (v.status != cases[i].status)
			fail_msg("%s: %d (%s)", cases[i].begin, v.status, v.text);
		assert_int_equal(v.n_taken, strlen(cases[i].begin));
	}
}

static void test_empty_lines(void **state)
{
	(void)state;
	static const struct {
		int status;
		const char *before;
	} cases[] = {{0, ""},     {0, "\r\n"},     {0, "\r\n\r\n\r\n"}, {0, "\n"},      {0, "\n\r\n\n"},
		     {400, "\r"}, {400, "\r\n\r"}, {400, "\r\r\n"},     {400, " \r\n"}, {400, "\t"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char request[128], seen[128];
		snprintf(request, sizeof request, "%sGET / HTTP/1.0\r\n\r\n", cases[i].before);
		struct verdict v = judge(request, strlen(request), seen);
		assert_int_equal(v.status, cases[i].status);
		if (v.status)
			continue;
		assert_int_equal(v.n_empty, strlen(cases[i].before));
		assert_int_equal(v.n_taken, strlen(request));
		assert_string_equal(seen, request);
	}
}

/* The longest head, with empty lines and with trailers. */
static void test_longest(void **state)
{
	(void)state;
	for (size_t n = MAX_HEAD - 1; n <= MAX_HEAD + 1; n++) {
		char head[MAX_HEAD + 2];
		memset(head, 'x', sizeof head);
		memcpy(head, "GET / HTTP/1.0\r\nX:", 18);
		memcpy(head + n - 4, "\r\n\r\n", 4);
		struct verdict v = judge(head, n, NULL);
		assert_int_equal(v.status, n > MAX_HEAD ? 400 : 0);
		assert_int_equal(v.over, n <= MAX_HEAD);
		for (size_t i = 0; i + 18 < n; i++)
			head[i] = i % 2 || n % 2 ? '\n' : '\r';
		memcpy(head + n - 18, "GET / HTTP/1.0\r\n\r\n", 18);
		if (n % 2 == 0)
			for (size_t i = 0; i + 18 < n; i++)
				head[i] = i % 2 ? '\n' : '\r';
		assert_int_equal(judge(head, n, NULL).status, n > MAX_HEAD ? 400 : 0);
	}
	static const char begin[] = "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
			  end[] = "0\r\n";
	for (size_t n = MAX_HEAD - 1; n <= MAX_HEAD + 1; n++) {
		char text[MAX_HEAD + 16];
		memset(text, 'x', sizeof text);
		memcpy(text, begin, sizeof begin - 1);
		memcpy(text + sizeof begin - 1, end, 3);
		text[sizeof begin + 3] = ':';
		memcpy(text + n + 3 - 4, "\r\n\r\n", 4);
		assert_int_equal(judge(text, n + 3, NULL).status, n > MAX_HEAD ? 400 : 0);
	}
}

/* One chunk of "hello" whose line is this. */
static const struct {
	int status;
	const char *line, *seen;
} chunk_lines[] = {
	{0, "5\r\n", "5\r\n"},
	{0, "05\r\n", "05\r\n"},
	{0, "000000000000000000000000000005\r\n", "000000000000000000000000000005\r\n"},
	{0, "5;a=b\r\n", "5    \r\n"},
	{0, "5;\r\n", "5 \r\n"},
	{0, "5;;\r\n", "5  \r\n"},
	{0, "5;a;b=\"c;d\" ; e\r\n", "5              \r\n"},
	{0, "5 ;a\r\n", "5   \r\n"},
	{0, "5\t \t;a\r\n", "5     \r\n"},
	{0, "5;\xC3\xA9\r\n", "5   \r\n"},
	{400, "+5\r\n", NULL},
	{400, "-5\r\n", NULL},
	{400, " 5\r\n", NULL},
	{400, "\t5\r\n", NULL},
	{400, "5 \r\n", NULL},
	{400, "5\t\r\n", NULL},
	{400, "5 5\r\n", NULL},
	{400, "5 a;b\r\n", NULL},
	{400, "0x5\r\n", NULL},
	{400, "0X5\r\n", NULL},
	{400, "x5\r\n", NULL},
	{400, "5h\r\n", NULL},
	{400, "5_0\r\n", NULL},
	{400, "5.0\r\n", NULL},
	{400, "5,\r\n", NULL},
	{400, "\"5\"\r\n", NULL},
	{400, "\xEF\xBC\x95\r\n", NULL}, /* a full-width 5 */
	{400, "\r\n", NULL},
	{400, ";a\r\n", NULL},
	{400, " ;a\r\n", NULL},
	{400, "\n", NULL},
	{400, "5\n", NULL},
	{400, "5\r5\r\n", NULL},
	{400, "5\r\r\n", NULL},
	{400, "5;a\n", NULL},
	{400, "5;a\rb\r\n", NULL},
	{400, "5;a\x01\r\n", NULL},
	{400, "5;a\x7f\r\n", NULL},
	{400, "5;\"a\nb\"\r\n", NULL},
};

static const char chunked[] = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

static void test_chunk_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof chunk_lines / sizeof *chunk_lines; i++) {
		char request[256], seen[256], wanted[256];
		static const char *const before[] = {"", "1\r\nx\r\n"};
		for (size_t k = 0; k < 2; k++) { /* as the first chunk and as a later one */
			snprintf(request, sizeof request, "%s%s%shello\r\n0\r\n\r\nGET", chunked, before[k],
				 chunk_lines[i].line);
			struct verdict v = judge(request, strlen(request), seen);
			if (v.status != chunk_lines[i].status)
				fail_msg("%s: %d (%s) instead of %d", request, v.status, v.text,
					 chunk_lines[i].status);
			if (v.status)
				continue;
			assert_int_equal(v.n_taken, strlen(request) - 3); /* GET is the next request's */
			snprintf(wanted, sizeof wanted, "%s%s%shello\r\n0\r\n\r\nGET", chunked, before[k],
				 chunk_lines[i].seen);
			assert_string_equal(seen, wanted);
		}
	}
	for (int digit = 0; digit < 256; digit++) {
		char request[256];
		int n = snprintf(request, sizeof request, "%s%c\r\n", chunked, digit);
		int status = judge(request, (size_t)n, NULL).status;
		assert_int_equal(status, digit && strchr("0123456789abcdefABCDEF", digit) ? 0 : 400);
	}
}

static void test_longest_chunk_line(void **state)
{
	(void)state;
	static char request[MAX_TEXT];
	for (int kind = 0; kind < 3; kind++) {
		for (size_t n = FRAMING_MAX_CHUNK_LINE - 1; n <= FRAMING_MAX_CHUNK_LINE + 1; n++) {
			memcpy(request, chunked, sizeof chunked);
			char *line = request + sizeof chunked - 1;
			memset(line, kind == 0 ? '0' : kind == 1 ? 'a' : ' ', n);
			line[kind == 0 ? n - 1 : 0] = '5';
			if (kind)
				line[kind == 1 ? 1 : n - 1] = ';';
			strcpy(line + n, "\r\nhello\r\n0\r\n\r\n");
			struct verdict v = judge_c(request);
			assert_int_equal(v.status, n > FRAMING_MAX_CHUNK_LINE ? 400 : 0);
			if (v.status)
				assert_non_null(strstr(v.text, "4096"));
			else
				assert_string_equal(v.path, "/");
		}
	}
}

/* Sizes are summed: as one chunk, as two, and where the sum would not fit 64 bits. */
static void test_largest_chunks(void **state)
{
	(void)state;
	static char request[MAX_TEXT];
	static char body[MAX_BODY + 2];
	memset(body, 'x', sizeof body - 1);
	for (int n = MAX_BODY - 1; n <= MAX_BODY + 1; n++) {
		snprintf(request, sizeof request, "%s%x\r\n%.*s\r\n0\r\n\r\n", chunked, n, n, body);
		struct verdict v = judge_c(request);
		assert_int_equal(v.status, n > MAX_BODY ? 413 : 0);
		if (v.status)
			assert_non_null(strstr(v.text, "5000"));
		snprintf(request, sizeof request, "%s%x\r\n%.*s\r\n%X\r\n%.*s\r\n0\r\n\r\n", chunked, 1000,
			 1000, body, n - 1000, n - 1000, body);
		assert_int_equal(judge_c(request).status, n > MAX_BODY ? 413 : 0);
	}
	static const char *const sizes[] = {"7fffffffffffffff",
					    "8000000000000000",
					    "ffffffffffffffff",
					    "10000000000000000",
					    "fffffffffffffffffffffffffffffffff",
					    "10000000000000000000000000000000000"};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		snprintf(request, sizeof request, "%s%s\r\n", chunked, sizes[i]);
		assert_int_equal(judge_c(request).status, 413);
		snprintf(request, sizeof request, "%s1\r\nx\r\n%s\r\n", chunked, sizes[i]);
		assert_int_equal(judge_c(request).status, 413);
	}
}

/* What follows a chunk's bytes, and the trailers. */
static const struct {
	int status;
	const char *rest, *seen;
} ends[] = {
	{0, "5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"},
	{0, "0\r\n\r\n", "0\r\n\r\n"},
	{0, "000;last\r\n\r\n", "000     \r\n\r\n"},
	{400, "5\r\nhello0\r\n\r\n", NULL},
	{400, "5\r\nhello\n0\r\n\r\n", NULL},
	{400, "5\r\nhello\r0\r\n\r\n", NULL},
	{400, "5\r\nhello!\r\n0\r\n\r\n", NULL},
	{400, "5\r\nhell\r\n0\r\n\r\n", NULL},
	{400, "5\r\nhello\r\n\r\n0\r\n\r\n", NULL},
	{0, "0\r\nAuthorization: Bearer k\r\nContent-Encoding: gzip\r\n\r\n",
	 "0\r\nxxxxxxxxxxxxx:xxxxxxxxx\r\nxxxxxxxxxxxxxxxx:xxxxx\r\n\r\n"},
	{0, "0\r\na:\t b:c \r\n\r\n", "0\r\nx:xxx:xx\r\n\r\n"},
	{400, "0\r\nfoo\r\n\r\n", NULL},
	{400, "0\r\n a: b\r\n\r\n", NULL},
	{400, "0\r\na: b\r\n c\r\n\r\n", NULL},
	{400, "0\r\na : b\r\n\r\n", NULL},
	{400, "0\r\n: b\r\n\r\n", NULL},
	{400, "0\r\na: b\rc\r\n\r\n", NULL},
	{400, "0\r\nGET / HTTP/1.1\r\n\r\n", NULL},
};

static void test_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		char request[256], seen[256], wanted[256];
		snprintf(request, sizeof request, "%s%sGET", chunked, ends[i].rest);
		struct verdict v = judge(request, strlen(request), seen);
		if (v.status != ends[i].status)
			fail_msg("%s: %d (%s) instead of %d", request, v.status, v.text, ends[i].status);
		if (v.status)
			continue;
		snprintf(wanted, sizeof wanted, "%s%sGET", chunked, ends[i].seen);
		assert_string_equal(seen, wanted);
		assert_int_equal(v.n_taken, strlen(request) - 3);
	}
	/* A body of known length ends where it says, whatever it looks like. */
	static const char sized[] = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n0x5;\ta\r\n\nGET";
	char seen[sizeof sized];
	struct verdict v = judge(sized, sizeof sized - 1, seen);
	assert_int_equal(v.status, 0);
	assert_true(v.over);
	assert_int_equal(v.n_taken, sizeof sized - 1 - 3);
	assert_string_equal(seen, sized);
}

/* A tab is a blank for us and a part of the value for the parser behind. */
static void test_tabs(void **state)
{
	(void)state;
	static const char request[] = "GET / HTTP/1.1\r\nHost:\tx\r\nX:\ta\tb\t\r\n\r\n";
	char seen[sizeof request];
	assert_int_equal(judge(request, sizeof request - 1, seen).status, 0);
	assert_string_equal(seen, "GET / HTTP/1.1\r\nHost: x\r\nX: a b \r\n\r\n");
}

static void test_closing(void **state)
{
	(void)state;
	static const struct {
		bool closes;
		const char *header;
	} cases[] = {{true, "Connection: close"},
		     {true, "connection: CLOSE "},
		     {true, "Connection: keep-alive, close"},
		     {true, "Connection: close,x"},
		     {true, "Connection: x\r\nConnection: close"},
		     {true, "Connection: close\r\nConnection: x"},
		     {false, "Connection: keep-alive"},
		     {false, "Connection: closed"},
		     {false, "Connection: x close"},
		     {false, "Connection:"},
		     {false, "X-Connection: close"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char request[256];
		snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", cases[i].header);
		struct verdict v = judge_c(request);
		assert_int_equal(v.status, 0);
		if (v.closes != cases[i].closes)
			fail_msg("%s", cases[i].header);
	}
}

/* Nothing of a request is left for the next one. */
static void test_restart(void **state)
{
	(void)state;
	static const char *const before[] = {
		"GET / HTTP/1.1\r\n\r\n",
		"\r\n\r\nGET http://a/b HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: "
		"chunked\r\n\r\n5;a\r\nhello\r\n0\r\nx: y\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\nx",
		"\r",
	};
	struct framing f = {0};
	for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
		char first[256], good[] = "\nPOST /x HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc";
		struct framing_fault fault = {0};
		strcpy(first, before[i]);
		framing_take(&f, first, strlen(first), &limits, &fault);
		assert_int_equal(fault.status, i ? 0 : 400);
		framing_restart(&f);
		fault = (struct framing_fault){0};
		assert_int_equal(framing_take(&f, good, sizeof good - 1, &limits, &fault), sizeof good - 1);
		assert_int_equal(fault.status, 0);
		assert_int_equal(f.part, FRAMING_OVER);
		assert_int_equal(f.n_empty, 1);
		assert_false(f.closes);
		assert_string_equal(framing_path(&f), "/x");
		assert_int_equal(framing_authority(&f).len, 0);
		framing_restart(&f);
	}
	strbuf_free(&f.head);
}

/* The path is known as soon as the request line is read, whatever is wrong behind it. */
static void test_path_read(void **state)
{
	(void)state;
	static const struct {
		const char *text, *path;
		int status;
	} rows[] = {
		{"POST /a/b?c=d HTTP/1.1\r\n", "/a/b", 0},
		{"POST /a/b HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", "/a/b", 413},
		{"POST /a/b?c HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", "/a/b", 400},
		{"POST /a/b HTTP/1.1\r\nno header\r\n", "/a/b", 400},
		{"POST http://h?x HTTP/1.1\r\nHost: h\r\n", "/", 0},
		{"POST /a/b HTTP/1", NULL, 0},
		{"POST a HTTP/1.1\r\n", NULL, 400},
		{"", NULL, 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct framing f = {0};
		struct framing_fault fault = {0};
		char bytes[128];
		strcpy(bytes, rows[i].text);
		framing_take(&f, bytes, strlen(bytes), &limits, &fault);
		assert_int_equal(fault.status, rows[i].status);
		const char *path = framing_path_read(&f);
		if (path && rows[i].path)
			assert_string_equal(path, rows[i].path);
		else
			assert_ptr_equal(path, rows[i].path);
		strbuf_free(&f.head);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path_read),
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_request_lines),
		cmocka_unit_test(test_no_http),
		cmocka_unit_test(test_early),
		cmocka_unit_test(test_empty_lines),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_chunk_lines),
		cmocka_unit_test(test_longest_chunk_line),
		cmocka_unit_test(test_largest_chunks),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_tabs),
		cmocka_unit_test(test_closing),
		cmocka_unit_test(test_restart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
