/* The HTTP layer alone, with limits small enough to be reached: clients that leave their answer unread, too
 * much that comes in at once, waking, pieces of an answer; all of it over TCP, over a Unix socket and over
 * TLS. tests/e2e/server_*.test.mjs tests the rest through the program. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "server/answer.h"
#include "server/certificate.h"
#include "server/http.h"
#include "server/tls.h"

enum { SENDING = 800 * 1024, MAX_UNSENT = 1024 * 1024, PIECE = 8192, LUMP = 700 * 1024, N_BEHIND = 25 };

static enum { TCP, UNIX, TLS, N_WAYS } way;
enum { MAX_FDS = 256 };
static SSL *ssl_of[MAX_FDS]; /* of clients; NULL: fd speaks plainly */
static SSL_CTX *client;
static struct tls *tls;
static char unix_path[64];

static struct http *h;
static atomic_int n_requests, n_gone, n_wakes, n_ticks;
static atomic_int n_brim; /* bytes of the second piece */
static atomic_int n_pieces;
static struct http_request *_Atomic unended; /* ended with the next tick once may_end */
static atomic_bool may_end, too_much;        /* too_much: behind a piece that is more than may wait */
static char most[MAX_UNSENT + 1];
static atomic_size_t n_held, n_reading;
static pthread_t thread;

static void on_request(void *user, struct http_request *r)
{
	static char big[64 * 1024];
	(void)user;
	n_requests++;
	const char *path = http_get_path(r);
	if (strcmp(path, "/flood") == 0) { /* 4 MiB; nobody reads them, and the limit is 1 MiB */
		memset(big, 'x', sizeof big);
		http_stream_start(r, 200, "text/plain");
		for (int i = 0; i < 64; i++)
			http_stream_send(r, (struct str){big, sizeof big});
	} else if (strcmp(path, "/brim") == 0) { /* two pieces, neither of which the loop has sent yet */
		memset(most, 'x', sizeof most);
		http_stream_start(r, 200, "text/plain");
		http_stream_send(r, STR_LIT("one "));
		http_stream_send(r, (struct str){most, (size_t)n_brim});
		http_stream_end(r);
	} else if (strcmp(path, "/slow") ==
		   0) { /* numbered pieces, more than may wait to be sent; no end yet */
		http_stream_start(r, 200, "text/plain");
		for (int i = 0; i < n_pieces; i++) {
			snprintf(big, sizeof big, "%0*d\n", PIECE - 1, i);
			http_stream_send(r, (struct str){big, PIECE});
		}
		unended = r;
	} else if (strcmp(path, "/lump") ==
		   0) { /* a large piece, and small ones that are held back; no end yet */
		static char lump[LUMP];
		memset(lump, 'l', sizeof lump);
		http_stream_start(r, 200, "text/plain");
		http_stream_send(r, (struct str){lump, sizeof lump});
		for (int i = 0; i < N_BEHIND; i++)
			http_stream_send(r, (struct str){big, PIECE});
		unended = r;
	} else if (strcmp(path, "/one") == 0) { /* no end yet */
		http_stream_start(r, 200, "text/plain");
		http_stream_send(r, STR_LIT("one "));
		unended = r;
	} else if (strcmp(path, "/pieces") == 0) {
		http_stream_start(r, 200, "text/plain");
		http_stream_send(r, STR_LIT("one "));
		http_stream_send(r, STR_LIT("two"));
		http_stream_end(r);
	} else if (strcmp(path, "/echo") == 0) {
		size_t n = 0;
		char *body = http_take_body(r, &n);
		http_reply(r, 200, "text/plain", (struct str){body, n});
		free(body);
	} else if (strcmp(path, "/key") == 0) {
		const char *key = http_get_header(r, "Authorization");
		http_reply(r, 200, "text/plain", str_c(key ? key : "none"));
	} else if (strcmp(path, "/host") == 0) {
		http_reply(r, 200, "text/plain", http_get_authority(r));
	} else if (strcmp(path, "/never") != 0) {
		http_reply(r, http_is_refused(r) ? 503 : 404, "text/plain", STR_LIT("no"));
	}
}

static void on_gone(void *user, struct http_request *r)
{
	(void)user;
	if (unended == r)
		unended = NULL;
	n_gone++;
}

static void on_wake(void *user)
{
	(void)user;
	n_wakes++;
	if (n_wakes == 1000)
		http_stop(h);
}

static void on_tick(void *user)
{
	(void)user;
	n_ticks++;
	n_held = http_held_bytes(h);
	n_reading = http_reading_bytes(h);
	if (may_end && unended) {
		if (too_much)
			http_stream_send(unended, (struct str){most, sizeof most});
		http_stream_end(unended);
		unended = NULL;
	}
}

static int error_body(void *user, const char *path, enum hokku_code code, int status, const char *text,
		      struct strbuf *out)
{
	(void)user;
	(void)path;
	answer_error(out, code, text, NULL);
	return status;
}

static void *run(void *arg)
{
	http_run(arg);
	return NULL;
}

static int start(void **state)
{
	(void)state;
	struct hokku_error err;
	const char *const host = way == UNIX ? unix_path : "127.0.0.1";
	const struct http_config config = {
		.hosts = &host,
		.n_hosts = 1,
		.tls = way == TLS ? tls : NULL,
		.max_connections = 4,
		.max_body_bytes = 100000,
		.max_reading_bytes = 150000,
		.unread = {SENDING, MAX_UNSENT, MAX_UNSENT + SENDING},
		.idle_ms = 60000,
		.read_ms = 60000,
		.write_ms = 60000,
		.on_request = on_request,
		.on_gone = on_gone,
		.on_wake = on_wake,
		.on_tick = on_tick,
		.error_body = error_body,
	};
	n_requests = n_gone = n_wakes = n_ticks = 0;
	unended = NULL;
	may_end = too_much = false;
	if (http_open(&config, &h, &err)) {
		fprintf(stderr, "%s\n", err.message);
		return -1;
	}
	return pthread_create(&thread, NULL, run, h);
}

/* The loop is stopped from its own thread, by the thousandth wake. */
static int stop(void **state)
{
	(void)state;
	n_wakes = 999;
	http_wake(h);
	pthread_join(thread, NULL);
	/* Doors that were not opened have no descriptor to close. */
	int null = open("/dev/null", O_RDONLY), kept = dup(STDIN_FILENO);
	dup2(null, STDIN_FILENO);
	http_close(h);
	int flags = fcntl(STDIN_FILENO, F_GETFD);
	if (kept >= 0)
		dup2(kept, STDIN_FILENO);
	close(kept);
	close(null);
	return flags < 0;
}

static int dial_with(int receive_bytes)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	const struct net_listener *l = http_listener(h, 0);
	in.sin_port = htons(l->port);
	snprintf(un.sun_path, sizeof un.sun_path, "%s", l->file.path);
	int fd = socket(way == UNIX ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
	struct timeval patience = {20, 0};
	int one = 1;
	if (way != UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (receive_bytes)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	if (way == UNIX)
		assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof un), 0);
	else
		assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof in), 0);
	assert_true(fd < MAX_FDS);
	if (way == TLS) {
		ssl_of[fd] = SSL_new(client);
		SSL_set_fd(ssl_of[fd], fd);
		assert_int_equal(SSL_connect(ssl_of[fd]), 1);
	}
	return fd;
}

/* send, recv and close, over TLS where fd speaks it. A client that leaves does not say so. */
static ssize_t put(int fd, const void *bytes, size_t n)
{
	size_t done = 0;
	if (!ssl_of[fd])
		return send(fd, bytes, n, MSG_NOSIGNAL);
	return SSL_write_ex(ssl_of[fd], bytes, n, &done) == 1 ? (ssize_t)done : -1;
}

static ssize_t take(int fd, void *bytes, size_t n)
{
	size_t done = 0;
	if (!ssl_of[fd])
		return recv(fd, bytes, n, 0);
	return SSL_read_ex(ssl_of[fd], bytes, n, &done) == 1 ? (ssize_t)done : 0;
}

/* Whether the server has said that no more comes. */
static bool said_goodbye(int fd)
{
	return !ssl_of[fd] || SSL_get_shutdown(ssl_of[fd]) & SSL_RECEIVED_SHUTDOWN;
}

static void leave(int fd)
{
	SSL_free(ssl_of[fd]);
	ssl_of[fd] = NULL;
	close(fd);
}

static int dial(void)
{
	return dial_with(0);
}

/* The kernel takes little of what the client does not read. */
static int dial_narrow(void)
{
	return dial_with(8192);
}

static void say(int fd, const char *text)
{
	assert_int_equal(put(fd, text, strlen(text)), strlen(text));
}

/* Everything until the server closes or resets; at least what fits in out. */
static void hear(int fd, char *out, size_t size)
{
	size_t n = 0;
	ssize_t got;
	while (n + 1 < size && (got = take(fd, out + n, size - 1 - n)) > 0)
		n += (size_t)got;
	out[n] = '\0';
	leave(fd);
}

static void wait_for(atomic_int *value, int wanted)
{
	for (int i = 0; i < 4000 && *value < wanted; i++)
		usleep(5000);
	assert_true(*value >= wanted);
}

static void test_unread(void **state)
{
	(void)state;
	char log[4096];
	FILE *logged = tmpfile();
	int before = dup(STDERR_FILENO), fd = dial();
	assert_true(logged && before >= 0);
	log_level_set(LOG_INFO);
	dup2(fileno(logged), STDERR_FILENO);
	say(fd, "GET /flood HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_for(&n_gone, 1);
	dup2(before, STDERR_FILENO);
	log_level_set(LOG_OFF);
	close(before);
	leave(fd);
	/* Told once: what was yet to come is not looked at. */
	rewind(logged);
	log[fread(log, 1, sizeof log - 1, logged)] = '\0';
	fclose(logged);
	const char *told = strstr(log, "unread: dropped");
	assert_true(told && !strstr(told + 1, "unread: dropped"));
	/* It cost that client its connection and nobody else anything. */
	char text[512];
	fd = dial();
	say(fd, "GET /pieces HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	hear(fd, text, sizeof text);
	assert_non_null(strstr(text, "\r\n\r\n4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"));
	assert_int_equal(n_gone, 1);
}

/* The answer to /brim with a second piece of n bytes; malloc'ed. */
static char *brim(size_t n, size_t *n_heard)
{
	enum { ROOM = MAX_UNSENT + 4096 };
	char *out = malloc(ROOM);
	ssize_t got;
	assert_non_null(out);
	n_brim = (int)n;
	int fd = dial();
	say(fd, "GET /brim HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	*n_heard = 0;
	while ((got = take(fd, out + *n_heard, ROOM - 1 - *n_heard)) > 0)
		*n_heard += (size_t)got;
	leave(fd);
	out[*n_heard] = '\0';
	return out;
}

/* What waits to be sent, head and all, and the piece that comes to it may be the limit together, to the byte.
 */
static void test_unsent_limit(void **state)
{
	(void)state;
	static const char tail[] = "1\r\nx\r\n0\r\n\r\n";
	size_t n_heard, n_framing = strlen("\r\n\r\n0\r\n\r\n");
	char *text = brim(1, &n_heard);
	size_t waiting = n_heard - strlen(tail);
	assert_string_equal(text + waiting, tail);
	free(text);
	for (size_t n = MAX_UNSENT - waiting - 1; n <= MAX_UNSENT - waiting + 1; n++) {
		text = brim(n, &n_heard);
		if (waiting + n <= MAX_UNSENT) {
			char size[16];
			snprintf(size, sizeof size, "%zx", n);
			assert_int_equal(n_heard, waiting + strlen(size) + n + n_framing);
		} else {
			assert_true(n_heard <= waiting); /* dropped: not a byte of that piece */
		}
		free(text);
	}
}

static char slow_text[2 * MAX_UNSENT];

/* Goes on reading what /slow sends, until `end` has come; NULL: until the connection ends. */
static void read_slow(int fd, size_t *len, const char *end)
{
	ssize_t got;
	while (!(end && strstr(slow_text, end)) &&
	       (got = take(fd, slow_text + *len, sizeof slow_text - 1 - *len)) > 0) {
		*len += (size_t)got;
		slow_text[*len] = '\0';
	}
}

/* Takes the numbered pieces out of their chunks; how many chunks there were. */
static int count_chunks(int n)
{
	char *at = strstr(slow_text, "\r\n\r\n");
	int n_chunks = 0, next = 0;
	assert_non_null(at);
	for (at += 4;; n_chunks++) {
		size_t bytes = strtoul(at, &at, 16);
		at += 2;
		if (bytes == 0)
			break;
		assert_int_equal(bytes % PIECE, 0);
		for (size_t i = 0; i < bytes / PIECE; i++, next++)
			assert_int_equal(strtol(at + i * PIECE, NULL, 10), next);
		at += bytes + 2;
	}
	assert_int_equal(next, n);
	return n_chunks;
}

/* A client that reads late loses nothing: what was held back comes in one piece, when it has read again or
 * when the answer has ended. */
static void test_slow_reader(void **state)
{
	(void)state;
	enum { N = 120, N_SENT = 99 }; /* 960 KiB, of which 800 less the chunks' heads are not held back */
	for (int ended = 0; ended < 2; ended++) {
		size_t len = 0;
		slow_text[0] = '\0';
		n_pieces = N;
		may_end = ended;
		int fd = dial_narrow();
		say(fd, "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
		wait_for(&n_requests, ended + 1);
		wait_for(&n_ticks, n_ticks + 2);
		assert_int_equal(n_held, ended ? 0 : (N - N_SENT) * PIECE);
		if (!ended) {
			read_slow(fd, &len, "0119\n");
			wait_for(&n_ticks, n_ticks + 2);
			assert_int_equal(n_held, 0);
			may_end = true;
		}
		read_slow(fd, &len, NULL);
		assert_int_equal(count_chunks(N), N_SENT + 1);
		leave(fd);
	}
	assert_int_equal(n_gone, 0);
	/* One that goes with something held back gives that free. */
	may_end = false;
	int fd = dial_narrow();
	say(fd, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_for(&n_requests, 3);
	wait_for(&n_ticks, n_ticks + 2);
	assert_int_equal(n_held, (N - N_SENT) * PIECE);
	leave(fd);
	wait_for(&n_gone, 1);
	wait_for(&n_ticks, n_ticks + 2);
	assert_int_equal(n_held, 0);
}

/* Of a large piece each part that is taken counts, not only its end. */
static void test_lump(void **state)
{
	(void)state;
	size_t len = 0;
	ssize_t got;
	int fd = dial_narrow();
	may_end = false;
	say(fd, "GET /lump HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	wait_for(&n_requests, 1);
	wait_for(&n_ticks, n_ticks + 2);
	assert_true(n_held > 0);
	while (len < LUMP - 340 * 1024 && (got = take(fd, slow_text, PIECE)) > 0)
		len += (size_t)got;
	wait_for(&n_ticks, n_ticks + 3);
	assert_int_equal(n_held, 0);
	may_end = true;
	while ((got = take(fd, slow_text, PIECE)) > 0)
		len += (size_t)got;
	assert_true(len > LUMP + N_BEHIND * PIECE);
	assert_true(said_goodbye(fd));
	leave(fd);
}

/* What comes back for a request that has its connection closed. */
static const char *ask(const char *text)
{
	static char heard[2048];
	int fd = dial();
	say(fd, text);
	hear(fd, heard, sizeof heard);
	return heard;
}

static void test_body(void **state)
{
	(void)state;
	char text[512];
	int fd = dial();
	say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: "
		"chunked\r\n\r\n3\r\nabc\r\n");
	usleep(20000);
	say(fd, "2\r\nde\r\n0\r\n\r\n");
	hear(fd, text, sizeof text);
	assert_non_null(strstr(text, "\r\n\r\nabcde"));
	assert_non_null(strstr(ask("POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
			       "Content-Length: 0\r\n"));
	/* A trailer is no header, nor is what goes by another name in a list a reason to wait. */
	assert_non_null(
		strstr(ask("POST /key HTTP/1.1\r\nHost: x\r\nConnection: x, close\r\nTransfer-Encoding:"
			   "\tchunked\r\n\r\n1;a\r\nx\r\n0\r\nAuthorization: Bearer k\r\n\r\n"),
		       "\r\n\r\nnone"));
	assert_non_null(strstr(ask("GET http://a.b:5/host HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
			       "\r\n\r\na.b:5"));
	assert_non_null(strstr(ask("GET //host HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), " 404 "));
}

/* A fault in a body is told, nothing behind it is served, and the connection ends. */
static void test_bad_chunks(void **state)
{
	(void)state;
	static const char *const chunks[] = {"0x3\r\nabc\r\n0\r\n\r\n",   "+3\r\nabc\r\n0\r\n\r\n",
					     " 3\r\nabc\r\n0\r\n\r\n",    "3\r\nabc0\r\n\r\n",
					     "3\nabc\r\n0\r\n\r\n",       "\r\n3\r\nabc\r\n0\r\n\r\n",
					     "3\r\nabc\r\n0\r\nx\r\n\r\n"};
	for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
		char request[512];
		for (int before = 0; before < 2; before++) {
			snprintf(request, sizeof request,
				 "%sPOST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%s"
				 "GET /x HTTP/1.1\r\nHost: x\r\n\r\n",
				 before ? "\r\nGET /pieces HTTP/1.1\r\nHost: x\r\n\r\n\r\n" : "", chunks[i]);
			const char *text = ask(request);
			const char *bad = strstr(text, "HTTP/1.1 400 ");
			assert_non_null(bad);
			assert_true(before == (bad != text));
			assert_null(strstr(text, "HTTP/1.1 404 "));
			assert_non_null(strstr(bad, "INVALID_REQUEST"));
		}
	}
	assert_int_equal(n_requests, sizeof chunks / sizeof *chunks); /* the good ones before them */
}

static unsigned draw(unsigned below)
{
	static unsigned long seed = 1;
	seed = seed * 6364136223846793005ul + 1442695040888963407ul;
	return (unsigned)(seed >> 33) % below;
}

/* Appends what a client may make of a body: chunks of any size with extensions, trailers, empty lines before.
 */
static void write_request(struct strbuf *out, const char *body, size_t n)
{
	static const char *const extensions[] = {"", "", ";a", ";a=b;c=\"d; e\"", " ;a", "\t; a = b"};
	for (unsigned i = draw(3); i > 0; i--)
		strbuf_add_c(out, "\r\n");
	strbuf_addf(out, "POST /echo HTTP/1.1\r\nHost:%sx\r\nTransfer-Encoding:%schunked%s\r\n\r\n",
		    draw(2) ? "\t" : "", draw(2) ? "\t " : " ", draw(2) ? "\t" : "");
	for (size_t at = 0, some; at < n; at += some) {
		some = 1 + draw(draw(4) ? 20 : 3000);
		some = some < n - at ? some : n - at;
		strbuf_addf(out, draw(2) ? "%zx%s\r\n" : "0%zX%s\r\n", some, extensions[draw(6)]);
		strbuf_add(out, body + at, some);
		strbuf_add_c(out, "\r\n");
	}
	strbuf_addf(out, "0%s\r\n%s\r\n", extensions[draw(6)], draw(2) ? "X: y\r\nHost:\t z\r\n" : "");
}

/* Whatever the chunks and however they arrive, several requests on a connection get their own bodies back. */
static void test_any_chunks(void **state)
{
	(void)state;
	static char body[8000], heard[64 * 1024];
	for (int round = 0; round < (way == TCP ? 60 : 15); round++) {
		struct strbuf request = {0}, wanted = {0};
		for (int i = 0; i < 3; i++) {
			size_t n = draw(draw(2) ? 30 : sizeof body);
			for (size_t k = 0; k < n; k++)
				body[k] = "0a\r\n;x \t"[draw(8)];
			write_request(&request, body, n);
			strbuf_addf(&wanted, "%zu\n", n);
			strbuf_add(&wanted, body, n);
		}
		strbuf_add_c(&request, "GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
		int fd = dial();
		for (size_t at = 0, some; at < request.len; at += some) {
			some = 1 + draw(round % 3 ? 4000 : 50);
			some = some < request.len - at ? some : request.len - at;
			assert_int_equal(put(fd, request.ptr + at, some), some);
			if (draw(8) == 0)
				usleep(200);
		}
		size_t n_heard = 0;
		ssize_t got;
		while ((got = take(fd, heard + n_heard, sizeof heard - n_heard)) > 0)
			n_heard += (size_t)got;
		leave(fd);
		struct strbuf found = {0};
		for (char *at = heard;
		     (at = memmem(at, n_heard - (size_t)(at - heard), "HTTP/1.1 200", 12));) {
			char *length = strstr(at, "Content-Length: "), *end = strstr(at, "\r\n\r\n");
			assert_true(length && end && length < end);
			size_t n = strtoul(length + 16, NULL, 10);
			strbuf_addf(&found, "%zu\n", n);
			strbuf_add(&found, end + 4, n);
			at = end + 4 + n;
		}
		assert_int_equal(found.len, wanted.len);
		assert_memory_equal(found.ptr, wanted.ptr, wanted.len);
		strbuf_free(&request);
		strbuf_free(&wanted);
		strbuf_free(&found);
	}
}

/* Two bodies of 99 KB may not come in at the same time: the one that goes past the sum is told so. */
static void test_reading_limit(void **state)
{
	(void)state;
	static const char head[] = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n";
	static char part[99000], text[512];
	memset(part, 'x', sizeof part);
	int first = dial(), second = dial();
	say(first, head);
	assert_int_equal(put(first, part, sizeof part), sizeof part);
	for (int i = 0; i < 4000 && n_reading < sizeof part + strlen(head); i++)
		usleep(5000);
	say(second, head);
	put(second, part, sizeof part);
	hear(second, text, sizeof text);
	assert_non_null(strstr(text, "HTTP/1.1 503 "));
	assert_non_null(strstr(text, "Retry-After: 1\r\n"));
	assert_non_null(strstr(text, "\r\n\r\n{\"error\":{\"code\":\"OVERLOADED\","));
	assert_non_null(strstr(text, "\"}}\n"));
	assert_int_equal(n_requests, 0);
	assert_int_equal(put(first, part, 1000), 1000);
	wait_for(&n_requests, 1);
	leave(first);
	/* The count went back: the same body alone is taken. */
	int third = dial();
	say(third, head);
	assert_int_equal(put(third, part, sizeof part), sizeof part);
	assert_int_equal(put(third, part, 1000), 1000);
	wait_for(&n_requests, 2);
	leave(third);
}

static void test_connections(void **state)
{
	(void)state;
	char text[512];
	int held[4];
	for (int i = 0; i < 4; i++) {
		held[i] = dial();
		say(held[i], "GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	wait_for(&n_requests, 4);
	int fd = dial();
	say(fd, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
	hear(fd, text, sizeof text);
	assert_non_null(strstr(text, "HTTP/1.1 503 "));
	for (int i = 0; i < 4; i++)
		leave(held[i]);
	wait_for(&n_gone, 4);
	fd = dial();
	say(fd, "GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	hear(fd, text, sizeof text);
	assert_non_null(strstr(text, "HTTP/1.1 404 "));
	/* One is still open when the server closes. */
	held[0] = dial();
	say(held[0], "GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_for(&n_requests, 7);
	leave(held[0]);
}

static void *wake_often(void *arg)
{
	for (int i = 0; i < 10000; i++)
		http_wake(arg);
	return NULL;
}

static void test_waking(void **state)
{
	(void)state;
	pthread_t other;
	n_wakes = -1000000;
	pthread_create(&other, NULL, wake_often, h);
	pthread_join(other, NULL);
	usleep(50000);
	int wakes = n_wakes + 1000000;
	assert_true(wakes >= 1 && wakes <= 10000);
	http_wake(h);
	for (int i = 0; i < 1000 && n_wakes + 1000000 == wakes; i++)
		usleep(5000);
	assert_int_equal(n_wakes + 1000000, wakes + 1);
	assert_true(n_ticks >= 0);
	wait_for(&n_ticks, 2);
}

/* A client that goes while its request is handled: by TCP's end, by the end inside TLS alone, and by both. */
static void test_gone(void **state)
{
	(void)state;
	for (int how = 0; how < 3; how++) {
		int fd = dial();
		say(fd, "GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
		wait_for(&n_requests, how + 1);
		if (ssl_of[fd] && how)
			assert_true(SSL_shutdown(ssl_of[fd]) >= 0);
		if (!ssl_of[fd] || how != 1)
			shutdown(fd, SHUT_WR);
		wait_for(&n_gone, how + 1);
		leave(fd);
	}
	/* One that has sent more behind its request is gone as well, also when that is more than is read
	 * ahead. */
	static char more[40000];
	memset(more, 'x', sizeof more);
	int fd = dial();
	say(fd, "GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_for(&n_requests, 4);
	assert_int_equal(put(fd, more, sizeof more), sizeof more);
	wait_for(&n_ticks, n_ticks + 2);
	assert_int_equal(n_gone, 3);
	if (ssl_of[fd])
		SSL_shutdown(ssl_of[fd]);
	leave(fd);
	wait_for(&n_gone, 4);
	fd = dial();
	say(fd, "GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_for(&n_requests, 5);
	assert_int_equal(put(fd, more, sizeof more), sizeof more);
	assert_int_equal(put(fd, more, sizeof more), sizeof more); /* 80,000: more than may be pipelined */
	wait_for(&n_gone, 5);
	leave(fd);
}

/* A hundred requests at once, more bytes together than are read ahead: each has its answer, in order. */
static void test_pipelined(void **state)
{
	(void)state;
	static char heard[64 * 1024];
	struct strbuf all = {0};
	char field[900];
	memset(field, 'f', sizeof field);
	for (int i = 0; i < 60; i++)
		strbuf_addf(&all,
			    "POST /echo HTTP/1.1\r\nHost: x\r\nX: %.*s\r\nContent-Length: 3\r\n\r\n%03d",
			    (int)sizeof field, field, i);
	strbuf_add_c(&all, "GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	int fd = dial();
	assert_int_equal(put(fd, all.ptr, all.len), all.len);
	size_t n = 0;
	ssize_t got;
	while ((got = take(fd, heard + n, sizeof heard - 1 - n)) > 0)
		n += (size_t)got;
	heard[n] = '\0';
	char *at = heard;
	for (int i = 0; i < 60; i++) {
		at = strstr(at, "\r\n\r\n");
		assert_non_null(at);
		at += 4;
		assert_int_equal(strtol((char[4]){at[0], at[1], at[2], '\0'}, NULL, 10), i);
	}
	assert_non_null(strstr(at, "HTTP/1.1 404 "));
	assert_true(said_goodbye(fd));
	leave(fd);
	strbuf_free(&all);
}

/* A request that comes while an answer waits to be read, more of it than is read ahead: its end is not
 * forgotten. Over TLS the limit lies in the middle of the last record, whose rest no descriptor tells of. */
static void test_pipelined_behind(void **state)
{
	(void)state;
	enum { BODY = HTTP_MAX_PIPELINED_BYTES + 2000, ROOM = MAX_UNSENT + 2 * BODY };
	struct strbuf all = {0};
	char *heard = malloc(ROOM);
	assert_non_null(heard);
	strbuf_addf(&all, "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n",
		    BODY);
	for (int i = 0; i < BODY; i++)
		strbuf_add_c(&all, i + 1 < BODY ? "b" : "e");
	n_brim = MAX_UNSENT - 1000;
	int fd = dial_narrow();
	say(fd, "GET /brim HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_for(&n_requests, 1);
	assert_int_equal(put(fd, all.ptr, all.len - 9000), all.len - 9000);
	assert_int_equal(put(fd, all.ptr + all.len - 9000, 9000), 9000);
	wait_for(&n_ticks, n_ticks + 3);
	assert_int_equal(n_requests, 1);
	size_t n = 0;
	ssize_t got;
	while ((got = take(fd, heard + n, ROOM - 1 - n)) > 0)
		n += (size_t)got;
	heard[n] = '\0';
	assert_int_equal(n_requests, 2);
	assert_string_equal(heard + n - 3, "bbe");
	leave(fd);
	free(heard);
	strbuf_free(&all);
}

/* Whoever gets a whole answer, or a refusal, is told that no more comes; of one that is cut off nobody says
 * so. */
static void test_goodbye(void **state)
{
	(void)state;
	static const struct {
		const char *request, *status;
	} rows[] = {
		{"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "404"},
		{"GET /pieces HTTP/1.0\r\n\r\n", "200"},
		{"GET /pieces HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "200"},
		{"GET /x HTTP/1.1\r\n\r\n", "400"},
		{"GET /x HTTP/3.0\r\nHost: x\r\n\r\n", "505"},
		{"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", "413"},
		{"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: x\r\nContent-Length: 1\r\n\r\n", "417"},
		{"\x7f\x7f", "400"},
	};
	char text[2048], line[32];
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t n = 0;
		ssize_t got;
		int fd = dial();
		say(fd, rows[i].request);
		while ((got = take(fd, text + n, sizeof text - 1 - n)) > 0)
			n += (size_t)got;
		text[n] = '\0';
		snprintf(line, sizeof line, "HTTP/1.1 %s ", rows[i].status);
		if (strncmp(text, line, strcspn(line, "1")) != 0 || !strstr(text, line + 8) ||
		    !said_goodbye(fd))
			fail_msg("%zu: %s", i, text);
		leave(fd);
	}
	int fd = dial_narrow();
	say(fd, "GET /flood HTTP/1.0\r\n\r\n");
	wait_for(&n_gone, 1);
	while (take(fd, text, sizeof text) > 0)
		;
	assert_true(!ssl_of[fd] || !said_goodbye(fd));
	leave(fd);
	/* Nor where all that went before has been sent, and the end was told behind what could not be. */
	fd = dial();
	say(fd, "GET /one HTTP/1.0\r\n\r\n");
	size_t n = 0;
	for (text[0] = '\0'; !strstr(text, "one "); text[n] = '\0') {
		ssize_t got = take(fd, text + n, sizeof text - 1 - n);
		assert_true(got > 0);
		n += (size_t)got;
	}
	too_much = may_end = true;
	assert_true(take(fd, text, sizeof text) <= 0);
	assert_true(!ssl_of[fd] || !said_goodbye(fd));
	leave(fd);
}

/* What does not speak TLS to a port that does is answered in words it can read; what breaks off is let go of.
 */
static void test_plain_to_tls(void **state)
{
	(void)state;
	static const char *const requests[] = {
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /v1/generate HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
		"CONNECT x:1 HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"};
	char text[1024];
	if (way != TLS)
		return;
	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
		way = TCP;
		int fd = dial();
		way = TLS;
		say(fd, requests[i]);
		hear(fd, text, sizeof text);
		if (strncmp(text, "HTTP/1.1 400 Bad Request\r\n", 26) != 0 ||
		    !strstr(text,
			    "this port speaks TLS, and the request came without: write https:// for http://"))
			fail_msg("%s: %s", requests[i], text);
	}
	/* Half a handshake, one that breaks off, a version that is too old. */
	way = TCP;
	int half = dial(), none = dial();
	way = TLS;
	say(half, "\x16\x03\x01");
	leave(half);
	leave(none);
	SSL_CTX_set_max_proto_version(client, TLS1_1_VERSION);
	way = TCP;
	int old = dial();
	way = TLS;
	SSL *ssl = SSL_new(client);
	SSL_set_fd(ssl, old);
	assert_true(SSL_connect(ssl) <= 0);
	SSL_free(ssl);
	leave(old);
	SSL_CTX_set_max_proto_version(client, 0);
	assert_int_equal(n_requests, 0);
	assert_non_null(strstr(ask("GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), " 404 "));
}

/* Files for TLS, and a client that believes anything. */
static int make_tls(void **state)
{
	(void)state;
	char folder[] = "/tmp/hokku_http.XXXXXX", cert[64], key[64];
	struct hokku_error err;
	if (!mkdtemp(folder))
		return -1;
	snprintf(unix_path, sizeof unix_path, "%s/http.sock", folder);
	snprintf(cert, sizeof cert, "%s/cert.pem", folder);
	snprintf(key, sizeof key, "%s/key.pem", folder);
	EVP_PKEY *pair = make_key();
	X509 *x = make_certificate(pair, "localhost", -3600, 86400);
	add_pem(cert, x, NULL);
	add_pem(key, NULL, pair);
	X509_free(x);
	EVP_PKEY_free(pair);
	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes as it likes */
	client = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_security_level(client, 0);
	SSL_CTX_set_mode(client, SSL_MODE_AUTO_RETRY);
	if (tls_load(cert, key, &tls, &err)) {
		fprintf(stderr, "%s\n", err.message);
		return -1;
	}
	unlink(cert);
	unlink(key);
	return 0;
}

static int free_tls(void **state)
{
	(void)state;
	tls_free(tls);
	SSL_CTX_free(client);
	*strrchr(unix_path, '/') = '\0';
	return rmdir(unix_path); /* the socket's file is gone */
}

/* The loop's own calls come here: what is taken off it after it was closed may by then be another thread's.
 * (The thread sanitizer, whose place this would take, says so itself.) */
static atomic_int n_closed_too_soon;
#ifndef __SANITIZE_THREAD__
__attribute__((visibility("default"))) int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	int rc = (int)syscall(SYS_epoll_ctl, epoll, op, fd, event);
	if (rc < 0 && errno == EBADF)
		atomic_fetch_add(&n_closed_too_soon, 1);
	return rc;
}
#endif

static void test_closed_last(void **state)
{
	(void)state;
	assert_int_equal(atomic_load(&n_closed_too_soon), 0);
}

int main(int argc, char **argv)
{
	static const char *const ways[N_WAYS] = {"tcp", "unix", "tls"};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_unread, start, stop),
		cmocka_unit_test_setup_teardown(test_unsent_limit, start, stop),
		cmocka_unit_test_setup_teardown(test_slow_reader, start, stop),
		cmocka_unit_test_setup_teardown(test_lump, start, stop),
		cmocka_unit_test_setup_teardown(test_body, start, stop),
		cmocka_unit_test_setup_teardown(test_bad_chunks, start, stop),
		cmocka_unit_test_setup_teardown(test_any_chunks, start, stop),
		cmocka_unit_test_setup_teardown(test_reading_limit, start, stop),
		cmocka_unit_test_setup_teardown(test_connections, start, stop),
		cmocka_unit_test_setup_teardown(test_waking, start, stop),
		cmocka_unit_test_setup_teardown(test_gone, start, stop),
		cmocka_unit_test_setup_teardown(test_pipelined, start, stop),
		cmocka_unit_test_setup_teardown(test_pipelined_behind, start, stop),
		cmocka_unit_test_setup_teardown(test_goodbye, start, stop),
		cmocka_unit_test_setup_teardown(test_plain_to_tls, start, stop),
		cmocka_unit_test(test_closed_last),
	};
	int failed = 0;
	for (int i = 0; i < N_WAYS; i++) {
		if (argc > 1 && strcmp(argv[1], ways[i]) != 0)
			continue;
		way = i;
		failed += cmocka_run_group_tests_name(ways[i], tests, make_tls, free_tls);
	}
	return failed;
}
