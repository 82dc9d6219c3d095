#include "server/access.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/state.h"

_Static_assert(sizeof(struct access) <= HTTP_NOTE_BYTES, "it lives there");

struct access *access_of(struct http_request *r)
{
	return http_note(r);
}

/* n small hexadecimal digits, which are not all 0 unless zeros says that they may be. */
static bool is_hex(const char *text, size_t n, bool zeros)
{
	for (size_t i = 0; i < n; i++) {
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
			return false;
		zeros = zeros || text[i] != '0';
	}
	return zeros;
}

bool access_is_trace(const char *text)
{
	size_t n = strlen(text);
	if (n < ACCESS_TRACE_BYTES || !is_hex(text, 2, true) || strncmp(text, "ff", 2) == 0)
		return false;
	/* A later version may have more behind it, which begins with a dash; it goes into a header again. */
	if (n > ACCESS_TRACE_BYTES && (strncmp(text, "00", 2) == 0 || text[ACCESS_TRACE_BYTES] != '-'))
		return false;
	for (size_t i = ACCESS_TRACE_BYTES; i < n; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return text[2] == '-' && is_hex(text + 3, 32, false) && text[35] == '-' &&
	       is_hex(text + 36, 16, false) && text[52] == '-' && is_hex(text + 53, 2, true);
}

void access_begin(struct server *s, struct http_request *r, uint32_t route, uint32_t owner)
{
	struct access *a = access_of(r);
	const char *trace = http_get_header(r, "traceparent");
	(void)s;
	*a = (struct access){.begun = true, .route = route, .owner = owner, .arrived_ns = clock_ns()};
	if (!trace || !access_is_trace(trace))
		return;
	memcpy(a->trace, trace, ACCESS_TRACE_BYTES);
	http_add_header(r, "traceparent", trace);
}

void access_take_body(const struct server *s, struct http_request *r, struct str body)
{
	struct access *a = access_of(r);
	if (!s->config.log_prompts)
		return;
	a->body_bytes = body.len;
	strbuf_add(&a->body, body.ptr, body.len < ACCESS_BODY_BYTES ? body.len : ACCESS_BODY_BYTES);
}

void access_fail(struct http_request *r, enum hokku_code code, const char *field, const char *message)
{
	struct access *a = access_of(r);
	a->code = code;
	snprintf(a->field, sizeof a->field, "%s", field ? field : "");
	strbuf_clear(&a->message);
	strbuf_add_c(&a->message, message);
}

/* The trace's id and the id of the caller's span. */
static void log_trace(struct log_line *l, const struct access *a)
{
	if (!a->trace[0])
		return;
	log_str(l, "trace_id", (struct str){a->trace + 3, 32});
	log_str(l, "parent_id", (struct str){a->trace + 36, 16});
}

static void log_answer(struct log_line *l, const struct access *a)
{
	if (a->id[0])
		log_str(l, "id", str_c(a->id));
	if (a->prompt_tokens) {
		log_u64(l, "prompt_tokens", a->prompt_tokens);
		log_u64(l, "cached_tokens", a->cached_tokens);
		log_u64(l, "answer_tokens", a->answer_tokens);
	}
	if (a->stop)
		log_str(l, "stop", str_c(a->stop));
	if (a->prepare_ms > 0) {
		log_ms(l, "prepare_ms", a->prepare_ms);
		log_ms(l, "queue_ms", a->queue_ms);
	}
	if (a->ttft_ms > 0)
		log_ms(l, "ttft_ms", a->ttft_ms);
}

/* Messages about a wrong request quote it. */
static void log_fault(struct log_line *l, const struct server *s, const struct access *a)
{
	bool quotes =
		a->code == HOKKU_INVALID_REQUEST || a->code == HOKKU_NOT_FOUND || a->code == HOKKU_FORBIDDEN;
	if (a->field[0])
		log_str(l, "field", str_c(a->field));
	if (a->message.len && (!quotes || s->config.log_prompts))
		log_str(l, "error", (struct str){a->message.ptr, a->message.len});
}

static void log_request(struct server *s, struct http_request *r, const struct access *a, int status,
			unsigned outcome)
{
	struct log_line l;
	char path[160], text[256], name[32];
	const char *full = http_get_path(r), *method = http_get_method_name(r);
	/* Whoever watches the server asks for these all the time. */
	bool watches = strcmp(full, "/health") == 0 || strcmp(full, "/metrics") == 0;
	str_quote(str_c(full), path, sizeof path);
	snprintf(text, sizeof text, "%.40s %s %d", method, path, status);
	log_begin(&l, watches && (outcome == HOKKU_OK || outcome == HOKKU_NOT_READY) ? LOG_DEBUG : LOG_INFO,
		  text);
	log_detail(&l, "method", method);
	log_detail(&l, "path", full);
	if (l.json)
		log_u64(&l, "status", (uint64_t)status);
	if (outcome != HOKKU_OK || l.json)
		log_str(&l, "outcome", str_c(metrics_outcome(outcome, name)));
	if (a->owner)
		log_str(&l, "key", str_c(owner_name(s, a->owner)));
	log_answer(&l, a);
	log_fault(&l, s, a);
	log_ms(&l, "ms", clock_ms_since(a->arrived_ns));
	log_trace(&l, a);
	if (s->config.log_prompts && a->body_bytes) {
		log_u64(&l, "body_bytes", a->body_bytes);
		log_str(&l, "body", (struct str){a->body.ptr, a->body.len});
	}
	log_end(&l);
}

void access_end(struct server *s, struct http_request *r, int status)
{
	struct access *a = access_of(r);
	unsigned outcome = a->code;
	if (!a->begun)
		return;
	if (status == 0) {
		status = 499;
		outcome = METRICS_GONE;
	} else if (!a->code && status >= 400) { /* without memory for an answer */
		outcome = status >= 500 ? HOKKU_INTERNAL : HOKKU_INVALID_REQUEST;
	}
	metrics_count(&s->requests, a->route, a->owner, outcome);
	log_request(s, r, a, status, outcome);
	strbuf_free(&a->message);
	strbuf_free(&a->body);
	a->begun = false;
}

void access_refused(struct server *s, int status)
{
	struct log_line l;
	char text[64], name[32];
	unsigned outcome = status == 503 || status == 529 ? HOKKU_OVERLOADED : HOKKU_INVALID_REQUEST;
	metrics_count(&s->requests, s->requests.n_routes, 0, outcome);
	snprintf(text, sizeof text, "no whole request %d", status);
	log_begin(&l, LOG_INFO, text);
	if (l.json)
		log_u64(&l, "status", (uint64_t)status);
	log_str(&l, "outcome", str_c(metrics_outcome(outcome, name)));
	log_end(&l);
}
