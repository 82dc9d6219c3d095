#include "server/responses.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "server/answer.h"
#include "server/peek.h"
#include "server/reply.h"
#include "server/state.h"
#include "server/warnings.h"

/* A list by last use, the latest first; there are as many as answers fit into the store's bytes: thousands.
 */
struct kept {
	struct kept *next;
	uint32_t owner;
	char *id, *object, *items;
	size_t n_object, n_items, n_bytes;
	uint64_t used_ns;
};

struct responses {
	pthread_mutex_t lock;
	size_t max_bytes, n_bytes;
	uint64_t ttl_ns;
	struct kept *first;
	uint32_t n;
};

struct responses *responses_new(size_t max_bytes, double ttl_s)
{
	struct responses *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	s->max_bytes = max_bytes;
	s->ttl_ns = (uint64_t)(ttl_s * 1e9);
	return s;
}

static void kept_free(struct kept *k)
{
	free(k->id);
	free(k->object);
	free(k->items);
	free(k);
}

/* Under the lock: takes the one behind at out of the list. */
static struct kept *take(struct responses *s, struct kept **at)
{
	struct kept *k = *at;
	*at = k->next;
	s->n--;
	s->n_bytes -= k->n_bytes;
	return k;
}

/* Under the lock: lets go of those whose time is over, and of the oldest until there is room for so many more
 * bytes. */
static void make_room(struct responses *s, size_t n_bytes, uint64_t now_ns)
{
	size_t sum = 0;
	for (struct kept **at = &s->first; *at;) {
		struct kept *k = *at;
		bool old = now_ns > k->used_ns && now_ns - k->used_ns > s->ttl_ns;
		sum += k->n_bytes;
		if (!old && sum <= s->max_bytes - n_bytes) {
			at = &k->next;
			continue;
		}
		sum -= k->n_bytes;
		kept_free(take(s, at));
	}
}

void responses_free(struct responses *s)
{
	if (!s)
		return;
	while (s->first)
		kept_free(take(s, &s->first));
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static char *copy(struct str text)
{
	char *out = malloc(text.len + 1);
	if (!out)
		return NULL;
	memcpy(out, text.ptr ? text.ptr : "", text.len);
	out[text.len] = '\0';
	return out;
}

bool responses_put(struct responses *s, uint32_t owner, const char *id, struct str object, struct str items,
		   uint64_t now_ns)
{
	size_t n_bytes = sizeof(struct kept) + strlen(id) + 1 + object.len + 1 + items.len + 1;
	if (n_bytes > s->max_bytes)
		return false;
	struct kept *k = calloc(1, sizeof *k);
	if (!k)
		return false;
	*k = (struct kept){.owner = owner,
			   .id = copy(str_c(id)),
			   .object = copy(object),
			   .items = copy(items),
			   .n_object = object.len,
			   .n_items = items.len,
			   .n_bytes = n_bytes,
			   .used_ns = now_ns};
	if (!k->id || !k->object || !k->items) {
		kept_free(k);
		return false;
	}
	pthread_mutex_lock(&s->lock);
	make_room(s, n_bytes, now_ns);
	k->next = s->first;
	s->first = k;
	s->n++;
	s->n_bytes += n_bytes;
	pthread_mutex_unlock(&s->lock);
	return true;
}

/* Under the lock; NULL: there is none of that key. */
static struct kept **find(struct responses *s, uint32_t owner, const char *id, uint64_t now_ns)
{
	make_room(s, 0, now_ns);
	for (struct kept **at = &s->first; *at; at = &(*at)->next)
		if ((*at)->owner == owner && strcmp((*at)->id, id) == 0)
			return at;
	return NULL;
}

bool responses_get(struct responses *s, uint32_t owner, const char *id, struct strbuf *object,
		   struct strbuf *items, uint64_t now_ns)
{
	pthread_mutex_lock(&s->lock);
	struct kept **at = find(s, owner, id, now_ns);
	if (at) {
		struct kept *k = *at;
		*at = k->next;
		k->next = s->first;
		s->first = k;
		k->used_ns = now_ns;
		if (object)
			strbuf_add(object, k->object, k->n_object);
		if (items)
			strbuf_add(items, k->items, k->n_items);
	}
	pthread_mutex_unlock(&s->lock);
	return at != NULL;
}

bool responses_drop(struct responses *s, uint32_t owner, const char *id, uint64_t now_ns)
{
	pthread_mutex_lock(&s->lock);
	struct kept **at = find(s, owner, id, now_ns);
	if (at)
		kept_free(take(s, at));
	pthread_mutex_unlock(&s->lock);
	return at != NULL;
}

void responses_count(struct responses *s, uint32_t *n, size_t *n_bytes)
{
	pthread_mutex_lock(&s->lock);
	*n = s->n;
	*n_bytes = s->n_bytes;
	pthread_mutex_unlock(&s->lock);
}

/* ---- a request's ---- */

void responses_request_free(struct responses_request *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n_renamed; i++) {
		free(r->renamed[i].flat);
		free(r->renamed[i].name);
		free(r->renamed[i].of);
	}
	free(r->renamed);
	free(r->previous);
	strbuf_free(&r->echo);
	strbuf_free(&r->items);
	strbuf_free(&r->made_from);
	free(r);
}

const struct responses_tool *responses_find(const struct responses_request *r, struct str flat)
{
	for (size_t i = 0; i < r->n_renamed; i++)
		if (str_eq_c(flat, r->renamed[i].flat))
			return &r->renamed[i];
	return NULL;
}

/* ---- routes ---- */

static const char prefix[] = "/v1/responses/";

static void no_response(struct server *s, struct http_request *r, const char *id)
{
	char text[512], quoted[160];
	snprintf(text, sizeof text, "there is no response %s%s", str_quote(str_c(id), quoted, sizeof quoted),
		 s->config.response_store_bytes
			 ? " here; they are kept for a time, up to a number of bytes, and are a key's own"
			 : ": this server keeps none (--response-store 0)");
	reply_error(r, HOKKU_NOT_FOUND, 404, text, "response_id");
}

/* What a client may ask for by the query. A response that is kept is over, and comes whole. */
static bool query_is_refused(struct http_request *r)
{
	static const char *const refused[] = {"stream", "starting_after"};
	struct str query = http_get_query(r);
	char text[256], quoted[96];
	bool bad = false;
	for (size_t i = 0; i < sizeof refused / sizeof *refused && !bad; i++) {
		struct strbuf value = {0};
		bad = peek_query(query, refused[i], &value) &&
		      !str_eq_c((struct str){value.ptr, value.len}, "false");
		if (bad) {
			snprintf(text, sizeof text,
				 "%s is %s in the query; a response that is kept comes whole: leave it out",
				 refused[i],
				 str_quote((struct str){value.ptr, value.len}, quoted, sizeof quoted));
			reply_error(r, HOKKU_INVALID_REQUEST, 400, text, refused[i]);
		}
		strbuf_free(&value);
	}
	return bad;
}

/* "include", "include[]" or "include%5B0%5D", as clients write an array. */
static void warn_of_include(struct http_request *r)
{
	static const char name[] = "include";
	static const char warning[] =
		"\"include has no effect here: a response that is kept has what it was made with\"";
	struct str query = http_get_query(r);
	struct strbuf header = {0};
	bool first = true, given = false;
	for (size_t i = 0; i + sizeof name <= query.len && !given; i++) {
		char behind = query.ptr[i + sizeof name - 1];
		given = first && memcmp(query.ptr + i, name, sizeof name - 1) == 0 &&
			(behind == '=' || behind == '[' || behind == '%');
		first = query.ptr[i] == '&';
	}
	if (!given)
		return;
	warnings_header(str_c(warning), &header);
	if (!header.failed)
		http_add_header(r, "Hokku-Warnings", header.ptr);
	strbuf_free(&header);
}

void response_route(struct server *s, struct http_request *r)
{
	const char *id = http_get_path(r) + sizeof prefix - 1;
	struct strbuf b = {0};
	if (query_is_refused(r))
		return;
	warn_of_include(r);
	if (responses_get(s->responses, owner_of(s, r), id, &b, NULL, clock_ns())) {
		strbuf_add_c(&b, "\n");
		reply_json(r, 200, &b);
	} else {
		no_response(s, r, id);
	}
	strbuf_free(&b);
}

void response_delete_route(struct server *s, struct http_request *r)
{
	const char *id = http_get_path(r) + sizeof prefix - 1;
	struct strbuf b = {0};
	if (!responses_drop(s->responses, owner_of(s, r), id, clock_ns())) {
		no_response(s, r, id);
		return;
	}
	strbuf_add_c(&b, "{\"id\":");
	answer_text(&b, id);
	strbuf_add_c(&b, ",\"object\":\"response\",\"deleted\":true}\n");
	reply_json(r, 200, &b);
	strbuf_free(&b);
}
