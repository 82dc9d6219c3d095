#include "hub/transfer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <curl/curl.h>

#include "base/clock.h"

enum { POLL_MS = 100, MAX_LOCATES = 8 };

struct job;

/* One connection and the range it brings. */
struct stream {
	struct job *job;
	CURL *easy;
	uint64_t at, end;   /* bytes still to come; at == end: idle */
	uint64_t asked_at;  /* where the request that runs began */
	uint64_t farthest;  /* that at has been since the range was given */
	bool running;       /* is in the multi handle */
	bool checked;       /* the reply's head is as it should be */
	uint32_t n_failed;  /* requests in a row that brought nothing */
	uint64_t resume_ns; /* not before */
	struct http_headers headers;
	char text[CURL_ERROR_SIZE];
};

struct job {
	struct transfer *t;
	CURLM *multi;
	struct stream streams[HUB_MAX_CONNECTIONS];
	uint32_t n_streams;
	uint8_t *taken;    /* bits of pieces that some stream brings */
	uint64_t n_pieces; /* of those that are wanted */
	bool no_ranges, restart;
	char url[HUB_MAX_URL];
	uint32_t n_located; /* addresses asked for since the last that was good */
	enum hokku_code rc; /* of a callback */
	struct hokku_error *err;
};

/* ---- what comes ---- */

static bool fail(struct job *j, enum hokku_code rc)
{
	j->rc = rc;
	return false;
}

static uint64_t number(const char *text)
{
	return *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : UINT64_MAX;
}

/* "bytes 0-99/1000" is of the range that was asked for, and of the size that was told. */
static bool check_range(struct stream *s)
{
	struct job *j = s->job;
	uint64_t size = j->t->to->size;
	const char *range = s->headers.content_range;
	const char *slash = strchr(range, '/'), *first = strpbrk(range, "0123456789");
	if (!slash || !first || number(first) != s->asked_at)
		return fail(j, err_set(j->err, HOKKU_BAD_FILE,
				       "%s: bytes %" PRIu64 "-%" PRIu64
				       " were asked for; the server sends \"%s\"",
				       j->t->name, s->asked_at, s->end - 1, range));
	if (slash[1] != '*' && number(slash + 1) != size)
		return fail(j, err_set(j->err, HOKKU_BAD_FILE,
				       "%s: the hub says that it has %" PRIu64
				       " bytes, the server that sends them %s",
				       j->t->name, size, slash + 1));
	return true;
}

/* The head of a reply, when its first byte is there. False: no byte of it is taken. */
static bool check_head(struct stream *s)
{
	struct job *j = s->job;
	long status = 0;
	if (j->restart) /* another has found that there are no ranges: these bytes are of the beginning */
		return false;
	curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status == 206 && !j->no_ranges)
		return check_range(s);
	if (status != 200)
		return false; /* an error's text; the end of the request tells */
	if (!j->no_ranges) {
		j->no_ranges = j->restart = true;
		return false;
	}
	uint64_t told = number(s->headers.content_length);
	if (told != UINT64_MAX && told != j->t->to->size)
		return fail(j, err_set(j->err, HOKKU_BAD_FILE,
				       "%s: the hub says that it has %" PRIu64
				       " bytes, the server that sends them %" PRIu64,
				       j->t->name, j->t->to->size, told));
	return true;
}

/* Bytes up to s->at are written: notes the pieces that end there. from: where this began. */
static bool mark_pieces(struct stream *s, uint64_t from)
{
	struct partial *p = s->job->t->to;
	for (uint64_t i = from / p->piece_bytes; i < p->n_pieces; i++) {
		if (i * p->piece_bytes + partial_piece_len(p, i) > s->at)
			break;
		enum hokku_code rc = partial_mark(p, i, s->job->err);
		if (rc)
			return fail(s->job, rc);
	}
	return true;
}

static size_t on_bytes(char *bytes, size_t size, size_t n, void *user)
{
	struct stream *s = user;
	struct job *j = s->job;
	n *= size;
	if (!s->checked && !check_head(s))
		return 0;
	s->checked = true;
	if (n > s->end - s->at) {
		fail(j, err_set(j->err, HOKKU_BAD_FILE,
				"%s: the server sends more bytes than it was asked for, or than the %" PRIu64
				" that the hub tells",
				j->t->name, j->t->to->size));
		return 0;
	}
	enum hokku_code rc = partial_write(j->t->to, s->at, bytes, n, j->err);
	if (rc) {
		fail(j, rc);
		return 0;
	}
	uint64_t from = s->at;
	s->at += n;
	if (s->at > s->farthest) { /* where all begins again, what was there before is no progress */
		s->farthest = s->at;
		s->n_failed = 0;
		j->n_located = 0; /* an address was good: of a file that takes hours many run out */
	}
	return mark_pieces(s, from) ? n : 0;
}

static size_t on_header(char *line, size_t size, size_t n, void *user)
{
	struct stream *s = user;
	http_take_header(&s->headers, line, size * n);
	return size * n;
}

/* ---- who brings what ---- */

static bool is_free(const struct job *j, uint64_t piece)
{
	return !partial_has(j->t->to, piece) && !(j->taken[piece / 8] >> piece % 8 & 1);
}

/* The next pieces that nobody brings, shared evenly by those that are idle; false: there are none. */
static bool give_run(struct job *j, struct stream *s)
{
	const struct partial *p = j->t->to;
	uint64_t first = 0, left = 0, n_idle = 0;
	while (first < j->n_pieces && !is_free(j, first))
		first++;
	if (first == j->n_pieces)
		return false;
	for (uint64_t i = first; i < j->n_pieces; i++)
		left += is_free(j, i);
	for (uint32_t i = 0; i < j->n_streams; i++)
		n_idle += j->streams[i].at == j->streams[i].end;
	uint64_t most = (left + n_idle - 1) / n_idle, last = first;
	if (most > TRANSFER_RUN_BYTES / p->piece_bytes)
		most = TRANSFER_RUN_BYTES / p->piece_bytes;
	for (; last < first + most && last < j->n_pieces && is_free(j, last); last++)
		j->taken[last / 8] |= (uint8_t)(1u << last % 8);
	s->at = s->farthest = first * p->piece_bytes;
	s->end = (last - 1) * p->piece_bytes + partial_piece_len(p, last - 1);
	return true;
}

static void stop_stream(struct job *j, struct stream *s)
{
	if (s->running)
		curl_multi_remove_handle(j->multi, s->easy);
	s->running = false;
}

/* From the beginning, in one. */
static enum hokku_code start_over(struct job *j)
{
	for (uint32_t i = 0; i < j->n_streams; i++) {
		stop_stream(j, &j->streams[i]);
		j->streams[i].at = j->streams[i].end = j->streams[i].farthest = 0;
	}
	j->restart = false;
	j->n_streams = 1;
	j->streams[0].end = j->t->to->size;
	return partial_forget(j->t->to, j->err);
}

/* No token goes to other hosts than the hub's, so these may send on to others; never from https to http. */
static bool follow(CURL *easy, const char *url)
{
	bool secure = strncmp(url, "https://", 8) == 0;
	return !curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L) &&
	       !curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)HTTP_MAX_REDIRECTS) &&
	       !curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
}

static enum hokku_code start_stream(struct job *j, struct stream *s)
{
	char range[64];
	if (j->no_ranges)
		s->at = 0;
	s->easy = http_easy(j->t->http, s->easy, j->url, s->text);
	bool ok = s->easy != NULL;
	snprintf(range, sizeof range, "%" PRIu64 "-%" PRIu64, s->at, s->end - 1);
	ok = ok && !curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, on_bytes) &&
	     !curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, s) &&
	     !curl_easy_setopt(s->easy, CURLOPT_HEADERFUNCTION, on_header) &&
	     !curl_easy_setopt(s->easy, CURLOPT_HEADERDATA, s) &&
	     !curl_easy_setopt(s->easy, CURLOPT_BUFFERSIZE, 256L << 10) &&
	     !curl_easy_setopt(s->easy, CURLOPT_PRIVATE, s) &&
	     (j->no_ranges || !curl_easy_setopt(s->easy, CURLOPT_RANGE, range)) &&
	     (http_is_hub(j->t->http, j->url) || follow(s->easy, j->url)) &&
	     !curl_multi_add_handle(j->multi, s->easy);
	if (!ok)
		return err_set(j->err, HOKKU_OUT_OF_MEMORY, "%s: no memory for a connection", j->t->name);
	s->headers = (struct http_headers){0};
	s->asked_at = s->at;
	s->checked = false;
	s->running = true;
	return HOKKU_OK;
}

/* Every stream that is idle gets work, where there is some. *n_busy: those that have. */
static enum hokku_code start_streams(struct job *j, uint32_t *n_busy)
{
	*n_busy = 0;
	for (uint32_t i = 0; i < j->n_streams; i++) {
		struct stream *s = &j->streams[i];
		if (s->at == s->end && (j->no_ranges || !give_run(j, s)))
			continue;
		++*n_busy;
		if (s->running || clock_ns() < s->resume_ns)
			continue;
		enum hokku_code rc = start_stream(j, s);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

/* ---- what went wrong ---- */

static enum hokku_code locate(struct job *j)
{
	if (j->n_located++ == MAX_LOCATES)
		return err_set(j->err, HOKKU_IO_ERROR,
			       "%s: the server refuses every address that the hub gives", j->t->name);
	return j->t->locate(j->t->user, j->url, j->err);
}

/* The request of s ended with what is not all of its bytes. */
static enum hokku_code after_failure(struct job *j, struct stream *s, CURLcode code, long status)
{
	bool refused = !code && (status == 401 || status == 403 || status == 410 ||
				 (status >= 300 && status < 400)); /* an address has its time */
	if (++s->n_failed >= HTTP_ATTEMPTS) {
		if (!code && status >= 300)
			return err_set(j->err, HOKKU_IO_ERROR, "%s: the server answers with HTTP %ld",
				       j->t->name, status);
		return err_set(j->err, HOKKU_IO_ERROR,
			       "%s: the connection ends at byte %" PRIu64 " of %" PRIu64
			       ": %s; the same command goes on from there",
			       j->t->name, s->at, j->t->to->size,
			       !code      ? "the answer is too short"
			       : *s->text ? s->text
					  : curl_easy_strerror(code));
	}
	if (!code && status >= 400 && !refused && !http_is_busy(status))
		return err_set(j->err, status == 404 ? HOKKU_NOT_FOUND : HOKKU_IO_ERROR,
			       "%s: the server answers with HTTP %ld", j->t->name, status);
	bool brought = s->at > s->asked_at;
	if (!brought || refused)
		s->resume_ns =
			clock_ns() + (uint64_t)http_wait_ms(j->t->http, s->n_failed,
							    http_is_busy(status) ? &s->headers : NULL) *
					     1000000u;
	return refused ? locate(j) : HOKKU_OK;
}

static enum hokku_code take_ends(struct job *j)
{
	int left;
	for (CURLMsg *m; (m = curl_multi_info_read(j->multi, &left));) {
		if (m->msg != CURLMSG_DONE)
			continue;
		struct stream *s = NULL;
		long status = 0;
		CURLcode code = m->data.result;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &s);
		curl_easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE, &status);
		stop_stream(j, s);
		if (j->rc)
			return j->rc;
		if (j->restart) {
			enum hokku_code rc = start_over(j);
			if (rc)
				return rc;
			continue;
		}
		if (s->at == s->end && s->checked)
			continue;
		/* The callback takes nothing of an error's text, which curl calls a failed write. */
		if (code == CURLE_WRITE_ERROR && !s->checked)
			code = CURLE_OK;
		enum hokku_code rc = after_failure(j, s, code, status);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

/* ---- the whole ---- */

static void tell(struct job *j)
{
	const struct partial *p = j->t->to;
	uint64_t done = p->n_done_bytes;
	for (uint32_t i = 0; i < j->n_streams; i++)
		done += j->streams[i].at % p->piece_bytes && j->streams[i].at < p->size
				? j->streams[i].at % p->piece_bytes
				: 0;
	if (j->t->progress)
		j->t->progress(j->t->user, done);
}

static enum hokku_code loop(struct job *j)
{
	for (;;) {
		uint32_t n_busy;
		int running;
		enum hokku_code rc = start_streams(j, &n_busy);
		if (rc || !n_busy)
			return rc;
		if (observer_stopped(http_observer(j->t->http)))
			return err_set(j->err, HOKKU_CANCELLED, "interrupted");
		if (curl_multi_perform(j->multi, &running))
			return err_set(j->err, HOKKU_IO_ERROR, "%s: the network cannot be used", j->t->name);
		if (j->rc)
			return j->rc;
		rc = take_ends(j);
		if (rc)
			return rc;
		tell(j);
		curl_multi_poll(j->multi, NULL, 0, POLL_MS, NULL);
	}
}

enum hokku_code transfer_run(struct transfer *t, struct hokku_error *err)
{
	struct job *j = calloc(1, sizeof *j);
	struct hokku_error own;
	const struct partial *p = t->to;
	enum hokku_code rc = HOKKU_OK;
	if (j) {
		*j = (struct job){
			.t = t, .err = err ? err : &own, .n_streams = http_config(t->http)->n_connections};
		j->n_pieces = t->limit && t->limit < p->size
				      ? (t->limit + p->piece_bytes - 1) / p->piece_bytes
				      : p->n_pieces;
		j->taken = calloc(p->n_pieces / 8 + 1, 1);
		j->multi = curl_multi_init();
	}
	if (!j || !j->taken || !j->multi)
		rc = err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory to pull it", t->name);
	for (uint32_t i = 0; !rc && i < HUB_MAX_CONNECTIONS; i++)
		j->streams[i].job = j;
	if (!rc && p->n_done_bytes < p->size)
		rc = locate(j);
	if (!rc && p->n_done_bytes < p->size && p->size <= TRANSFER_WHOLE_BYTES) {
		j->no_ranges = true;
		rc = start_over(j);
	}
	if (!rc && p->n_done_bytes < p->size)
		rc = loop(j);
	if (!rc)
		tell(j);
	for (uint32_t i = 0; j && i < HUB_MAX_CONNECTIONS; i++) {
		stop_stream(j, &j->streams[i]);
		curl_easy_cleanup(j->streams[i].easy);
	}
	if (j) {
		curl_multi_cleanup(j->multi);
		free(j->taken);
	}
	free(j);
	return rc;
}
