/*
 * evhttp as a client (libevent 2.1). What is known of it: a connection outlives its requests and connects
 * again by itself (over TLS too: its bufferevent clears what OpenSSL had of the last), so none is freed
 * before the end; a callback that ends a request may run within evhttp_make_request, so the next request
 * begins in an event of its own (begin_due).
 */
#include "cli/load_client.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "base/clock.h"
#include "cli/sse.h"

enum { CONNECT_SECONDS = 10, STATUS_OK = 200 };

/* One request that runs, or waits to run the next. */
struct stream {
	struct load_client *client;
	struct evhttp_connection *connection;
	struct stream *next; /* of those without a request */
	uint32_t request;
	int status;
	bool is_events; /* the answer is a stream of events */
	bool too_long;  /* one of them was */
	uint64_t sent_ns, first_ns, last_ns;
	const char *failure; /* of the connection; NULL: none */
	struct sse sse;
	struct load_answer answer;
	struct series itl_ms;
	struct strbuf refusal; /* the beginning of an answer that is none */
};

struct load_client {
	const struct load_url *url;
	const char *key;
	uint32_t timeout_s;
	char address[64];     /* of url's host, in digits */
	struct load_tls *tls; /* NULL: it is spoken without */
	struct event_base *base;
	struct event *due; /* there is, or may be, a request to begin */
	struct stream **streams, *idle;
	uint32_t n_streams, cap_streams;

	/* of the present run */
	const struct load_run *run;
	struct load_result *result;
	uint32_t n_begun, n_done;
	uint64_t start_ns, next_ns; /* next_ns: when request n_begun arrives */
	bool no_memory;

	/* of the present GET */
	struct strbuf *get_body;
	int get_status;
};

/* ---- the server's address ---- */

/* A connection to it, or -1 with errno. */
static int connect_to(const struct addrinfo *a)
{
	const struct timeval limit = {.tv_sec = CONNECT_SECONDS};
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit); /* of connect too */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
		return fd;
	int failure = errno == EINPROGRESS ? ETIMEDOUT : errno;
	close(fd);
	errno = failure;
	return -1;
}

/* A name may have several addresses, of which the server listens on one. */
static enum hokku_code find_server(struct load_client *c, struct hokku_error *err)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list;
	char port[8];
	snprintf(port, sizeof port, "%u", c->url->port);
	int rc = getaddrinfo(c->url->host, port, &hints, &list), fd = -1, failure = 0;
	if (rc)
		return err_set(err, HOKKU_NOT_FOUND, "the host \"%s\" has no address: %s", c->url->host,
			       gai_strerror(rc));
	for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
		fd = connect_to(a);
		failure = errno;
		if (fd >= 0)
			getnameinfo(a->ai_addr, a->ai_addrlen, c->address, sizeof c->address, NULL, 0,
				    NI_NUMERICHOST);
	}
	freeaddrinfo(list);
	if (fd < 0)
		return err_set(err, HOKKU_NOT_FOUND, "cannot connect to %s: %s; does a server listen there?",
			       c->url->place, strerror(failure));
	enum hokku_code code = c->tls ? load_tls_try(c->tls, fd, err) : HOKKU_OK;
	close(fd);
	return code;
}

/* ---- requests ---- */

static struct evhttp_request *make_request(const struct load_client *c, const char *accept,
					   void (*on_end)(struct evhttp_request *, void *), void *user)
{
	char bearer[600];
	struct evhttp_request *r = evhttp_request_new(on_end, user);
	struct evkeyvalq *headers = r ? evhttp_request_get_output_headers(r) : NULL;
	bool good = r && !evhttp_add_header(headers, "Host", c->url->place) &&
		    !evhttp_add_header(headers, "Accept", accept);
	if (good && c->key) {
		snprintf(bearer, sizeof bearer, "Bearer %s", c->key);
		good = !evhttp_add_header(headers, "Authorization", bearer);
	}
	if (!good && r)
		evhttp_request_free(r);
	return good ? r : NULL;
}

static struct evhttp_connection *make_connection(const struct load_client *c)
{
	struct bufferevent *over = c->tls ? load_tls_connection(c->tls, c->base) : NULL;
	struct evhttp_connection *e = over || !c->tls ? evhttp_connection_base_bufferevent_new(
								c->base, NULL, over, c->address, c->url->port)
						      : NULL;
	if (!e && over)
		bufferevent_free(over);
	if (e) {
		evhttp_connection_set_timeout(e, (int)c->timeout_s);
		evhttp_connection_set_max_headers_size(e, LOAD_MAX_HEADER_BYTES);
	}
	return e;
}

/* Why an answer did not come, in words; errno is the connection's where there is a number. */
static const char *failure_text(enum evhttp_request_error error)
{
	switch (error) {
	case EVREQ_HTTP_TIMEOUT:
		return "nothing came for as long as --timeout allows";
	case EVREQ_HTTP_EOF:
		return "the connection ended before the answer did";
	case EVREQ_HTTP_INVALID_HEADER:
		return "what came is no HTTP";
	case EVREQ_HTTP_BUFFER_ERROR:
		return "the connection failed";
	case EVREQ_HTTP_REQUEST_CANCEL:
	case EVREQ_HTTP_DATA_TOO_LONG:
		break;
	}
	return "what came is longer than an answer can be";
}

static bool add_part(struct strbuf *to, struct evbuffer *from, size_t most)
{
	size_t n = evbuffer_get_length(from), room = most - to->len;
	n = n < room ? n : room;
	strbuf_add(to, evbuffer_pullup(from, (ev_ssize_t)n), n);
	return !to->failed;
}

/* ---- GET ---- */

static void on_get_end(struct evhttp_request *r, void *user)
{
	struct load_client *c = user;
	if (r)
		c->get_status = evhttp_request_get_response_code(r);
	if (c->get_status)
		add_part(c->get_body, evhttp_request_get_input_buffer(r), LOAD_MAX_GET_BYTES);
	event_base_loopbreak(c->base);
}

enum hokku_code load_client_get(struct load_client *c, const char *path, int *status, struct strbuf *body,
				struct hokku_error *err)
{
	char whole[600];
	snprintf(whole, sizeof whole, "%s%s", c->url->prefix, path);
	struct evhttp_connection *connection = make_connection(c);
	struct evhttp_request *r = make_request(c, "application/json", on_get_end, c);
	if (connection)
		evhttp_connection_set_max_body_size(connection, LOAD_MAX_GET_BYTES);
	strbuf_clear(body);
	c->get_body = body;
	c->get_status = 0;
	if (connection && r && evhttp_make_request(connection, r, EVHTTP_REQ_GET, whole) == 0)
		event_base_dispatch(c->base);
	if (connection)
		evhttp_connection_free(connection);
	*status = c->get_status;
	if (!*status || body->failed)
		return err_set(err, HOKKU_IO_ERROR, "GET %s://%s%s: no answer that is HTTP", c->url->scheme,
			       c->url->place, whole);
	return HOKKU_OK;
}

/* ---- one answer ---- */

static void on_event(void *user, struct str type, struct str data)
{
	struct stream *s = user;
	if (s->answer.error[0] || !load_api_event(s->client->run->api, &s->answer, type, data))
		return;
	uint64_t at = clock_ns();
	if (!s->first_ns)
		s->first_ns = at;
	else
		series_add(&s->itl_ms, (double)(at - s->last_ns) * 1e-6);
	s->last_ns = at;
}

static int on_header(struct evhttp_request *r, void *user)
{
	struct stream *s = user;
	const char *type = evhttp_find_header(evhttp_request_get_input_headers(r), "Content-Type");
	s->status = evhttp_request_get_response_code(r);
	s->is_events = s->status == STATUS_OK && type && strncasecmp(type, "text/event-stream", 17) == 0;
	return 0;
}

static void on_piece(struct evhttp_request *r, void *user)
{
	struct stream *s = user;
	struct evbuffer *b = evhttp_request_get_input_buffer(r);
	if (!s->is_events) {
		add_part(&s->refusal, b, LOAD_MAX_REFUSAL_BYTES);
		return;
	}
	size_t n = evbuffer_get_length(b);
	const char *bytes = (const char *)evbuffer_pullup(b, -1);
	if (bytes && !s->too_long)
		s->too_long = !sse_take(&s->sse, (struct str){bytes, n}, on_event, s);
}

static void on_error(enum evhttp_request_error error, void *user)
{
	((struct stream *)user)->failure = failure_text(error);
}

/* What is wrong with an answer that has come to its end, into out; "" if nothing. */
static void judge(const struct stream *s, char out[LOAD_ERROR_BYTES])
{
	const struct load_answer *a = &s->answer;
	struct str refusal = {s->refusal.ptr ? s->refusal.ptr : "", s->refusal.len};
	out[0] = '\0';
	if (a->error[0])
		memcpy(out, a->error, LOAD_ERROR_BYTES);
	else if (s->failure)
		snprintf(out, LOAD_ERROR_BYTES, "%s", s->failure);
	else if (!s->status)
		snprintf(out, LOAD_ERROR_BYTES, "no connection");
	else if (s->status != STATUS_OK)
		load_api_refusal(s->status, refusal, out);
	else if (!s->is_events)
		snprintf(out, LOAD_ERROR_BYTES,
			 "the answer is no stream of events (Content-Type text/event-stream)");
	else if (s->too_long)
		snprintf(out, LOAD_ERROR_BYTES, "an event is longer than %d bytes", SSE_MAX_BYTES);
	else if (!a->ended)
		snprintf(out, LOAD_ERROR_BYTES, "the stream ended before the answer did");
}

static void count_fault(struct load_result *r, const char *text)
{
	uint32_t i = 0;
	r->n_failed++;
	while (i < r->n_faults && strcmp(r->faults[i].text, text) != 0)
		i++;
	if (i == LOAD_MAX_FAULTS) { /* the last stands for all that have no place */
		i--;
		text = "others";
	}
	if (i == r->n_faults)
		r->n_faults++;
	snprintf(r->faults[i].text, sizeof r->faults[i].text, "%s", text);
	r->faults[i].n++;
}

static void count_answer(struct load_result *r, const struct stream *s, uint64_t now)
{
	const struct load_answer *a = &s->answer;
	const struct load_plan *plan = s->client->run->request->plan;
	uint32_t n = a->has_usage && a->tokens_out ? a->tokens_out : a->n_events;
	r->n_completed++;
	r->n_usage += a->has_usage;
	r->n_events += a->n_events;
	r->tokens_in += a->has_usage ? a->tokens_in : plan->n_shared + plan_input(plan, s->request);
	r->tokens_out += n;
	r->tokens_cached += a->tokens_cached;
	series_add(&r->e2e_ms, (double)(now - s->sent_ns) * 1e-6);
	if (s->first_ns)
		series_add(&r->ttft_ms, (double)(s->first_ns - s->sent_ns) * 1e-6);
	else
		r->n_empty++;
	if (s->first_ns && n > 1)
		series_add(&r->tpot_ms, (double)(s->last_ns - s->first_ns) * 1e-6 / (n - 1));
	series_add_all(&r->itl_ms, &s->itl_ms);
}

static void on_end(struct evhttp_request *r, void *user)
{
	struct stream *s = user;
	struct load_client *c = s->client;
	char fault[LOAD_ERROR_BYTES];
	uint64_t now = clock_ns();
	(void)r; /* NULL where the connection failed; judge knows why */
	c->n_done++;
	s->next = c->idle;
	c->idle = s;
	judge(s, fault);
	if (fault[0])
		count_fault(c->result, fault);
	else
		count_answer(c->result, s, now);
	c->result->seconds = (double)(now - c->start_ns) * 1e-9;
	if (c->run->on_progress)
		c->run->on_progress(c->run->user, c->n_done, c->run->n);
	if (c->n_done == c->run->n)
		event_base_loopbreak(c->base);
	else if (c->run->n_clients)
		event_active(c->due, EV_TIMEOUT, 0);
}

/* ---- a run ---- */

static void stream_free(struct stream *s)
{
	if (s->connection)
		evhttp_connection_free(s->connection);
	sse_free(&s->sse);
	series_free(&s->itl_ms);
	strbuf_free(&s->refusal);
	free(s);
}

/* One without a request; NULL: no memory. */
static struct stream *take_stream(struct load_client *c)
{
	struct stream *s = c->idle;
	if (s) {
		c->idle = s->next;
		return s;
	}
	if (c->n_streams == c->cap_streams) {
		uint32_t cap = c->cap_streams ? 2 * c->cap_streams : 64;
		struct stream **more = realloc(c->streams, cap * sizeof(struct stream *));
		if (!more)
			return NULL;
		c->streams = more;
		c->cap_streams = cap;
	}
	s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->client = c;
	s->connection = make_connection(c);
	if (!s->connection) {
		free(s);
		return NULL;
	}
	c->streams[c->n_streams++] = s;
	return s;
}

static void stream_reset(struct stream *s)
{
	sse_clear(&s->sse);
	series_clear(&s->itl_ms);
	strbuf_clear(&s->refusal);
	s->answer = (struct load_answer){0};
	s->status = 0;
	s->is_events = s->too_long = false;
	s->first_ns = s->last_ns = 0;
	s->failure = NULL;
}

/* Sends the next request of the plan. False: no memory. */
static bool begin(struct load_client *c)
{
	struct strbuf body = {0};
	char path[600];
	struct stream *s = take_stream(c);
	struct evhttp_request *r = s ? make_request(c, "text/event-stream", on_end, s) : NULL;
	if (!r)
		return false;
	stream_reset(s);
	s->request = c->run->first + c->n_begun++;
	load_api_body(c->run->api, c->run->request, s->request, &body);
	evhttp_request_set_header_cb(r, on_header);
	evhttp_request_set_chunked_cb(r, on_piece);
	evhttp_request_set_error_cb(r, on_error);
	evhttp_add_header(evhttp_request_get_output_headers(r), "Content-Type", "application/json");
	bool good =
		!body.failed && evbuffer_add(evhttp_request_get_output_buffer(r), body.ptr, body.len) == 0;
	strbuf_free(&body);
	snprintf(path, sizeof path, "%s%s", c->url->prefix, c->run->api->path);
	uint32_t running = c->n_begun - c->n_done;
	c->result->peak = running > c->result->peak ? running : c->result->peak;
	s->sent_ns = clock_ns();
	if (!good) {
		evhttp_request_free(r);
		return false;
	}
	return evhttp_make_request(s->connection, r, EVHTTP_REQ_POST, path) == 0;
}

/* Begins what is due, and asks to be called when the next is. */
static void begin_due(evutil_socket_t fd, short what, void *user)
{
	struct load_client *c = user;
	const struct load_run *run = c->run;
	(void)fd;
	(void)what;
	while (c->n_begun < run->n && !c->no_memory) {
		uint64_t now = clock_ns();
		if (run->n_clients && c->n_begun - c->n_done >= run->n_clients)
			return;
		if (!run->n_clients && c->next_ns > now) {
			uint64_t us = (c->next_ns - now) / 1000 + 1;
			const struct timeval wait = {(time_t)(us / 1000000), (suseconds_t)(us % 1000000)};
			event_add(c->due, &wait);
			return;
		}
		if (!run->n_clients) {
			double late_ms = (double)(now - c->next_ns) * 1e-6;
			if (late_ms > c->result->late_ms_max)
				c->result->late_ms_max = late_ms;
			c->next_ns +=
				(uint64_t)(1e9 * plan_wait(run->request->plan, run->first + c->n_begun + 1));
		}
		if (!begin(c)) {
			c->no_memory = true;
			event_base_loopbreak(c->base);
		}
	}
}

static void on_signal(evutil_socket_t fd, short what, void *user)
{
	struct load_client *c = user;
	(void)fd;
	(void)what;
	c->result->interrupted = true;
	event_base_loopbreak(c->base);
}

static double thread_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Each request has a descriptor. */
static void allow_descriptors(void)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static void free_streams(struct load_client *c)
{
	for (uint32_t i = 0; i < c->n_streams; i++)
		stream_free(c->streams[i]);
	c->n_streams = 0;
	c->idle = NULL;
}

enum hokku_code load_client_run(struct load_client *c, const struct load_run *run, struct load_result *out,
				struct hokku_error *err)
{
	*out = (struct load_result){0};
	c->run = run;
	c->result = out;
	c->n_begun = c->n_done = 0;
	c->no_memory = false;
	struct event *signals[] = {evsignal_new(c->base, SIGINT, on_signal, c),
				   evsignal_new(c->base, SIGTERM, on_signal, c)};
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
		if (signals[i])
			evsignal_add(signals[i], NULL);
	double cpu = thread_seconds();
	c->start_ns = clock_ns();
	c->next_ns = c->start_ns + (uint64_t)(1e9 * plan_wait(run->request->plan, run->first));
	event_active(c->due, EV_TIMEOUT, 0);
	event_base_dispatch(c->base);
	out->busy_s = thread_seconds() - cpu;
	event_del(c->due);
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
		if (signals[i])
			event_free(signals[i]);
	free_streams(c);
	bool failed = out->ttft_ms.failed || out->itl_ms.failed || out->tpot_ms.failed || out->e2e_ms.failed;
	if (c->no_memory || failed)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for request %u of %u", c->n_begun,
			       run->n);
	return HOKKU_OK;
}

void load_result_free(struct load_result *r)
{
	series_free(&r->ttft_ms);
	series_free(&r->itl_ms);
	series_free(&r->tpot_ms);
	series_free(&r->e2e_ms);
}

/* ---- the whole ---- */

enum hokku_code load_client_create(const struct load_url *url, const struct load_trust *trust,
				   const char *key, uint32_t timeout_s, struct load_client **out,
				   struct hokku_error *err)
{
	struct load_client *c = calloc(1, sizeof *c);
	*out = c;
	if (!c)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a client");
	c->url = url;
	c->key = key;
	c->timeout_s = timeout_s;
	allow_descriptors();
	signal(SIGPIPE, SIG_IGN);
	struct event_config *config = event_config_new();
	if (config)
		event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
	c->base = config ? event_base_new_with_config(config) : NULL;
	if (config)
		event_config_free(config);
	c->due = c->base ? event_new(c->base, -1, 0, begin_due, c) : NULL;
	if (!c->due)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for an event loop");
	enum hokku_code rc = url->tls ? load_tls_create(url, trust, &c->tls, err) : HOKKU_OK;
	return rc ? rc : find_server(c, err);
}

void load_client_destroy(struct load_client *c)
{
	if (!c)
		return;
	free_streams(c);
	free(c->streams);
	if (c->due)
		event_free(c->due);
	if (c->base)
		event_base_free(c->base);
	load_tls_destroy(c->tls);
	free(c);
}
