/*
 * Answers as `hokku bench serve` reads them: the first byte chooses the API, the rest is a stream of events,
 * or the body of a refusal. What is understood must not depend on how the bytes arrived, and every message is
 * text.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/load_api.h"
#include "cli/sse.h"

static void require(bool ok)
{
	if (!ok)
		abort();
}

struct reader {
	const struct load_api *api;
	struct load_answer answer;
	struct strbuf events;
};

static void on_event(void *user, struct str type, struct str data)
{
	struct reader *r = user;
	strbuf_addf(&r->events, "%zu %zu ", type.len, data.len);
	strbuf_add(&r->events, type.ptr, type.len);
	strbuf_add(&r->events, data.ptr, data.len);
	load_api_event(r->api, &r->answer, type, data);
}

static void require_text(const char *text)
{
	require(strlen(text) < LOAD_ERROR_BYTES && utf8_valid_prefix(text, strlen(text)) == strlen(text));
	require(!strchr(text, '\n') && !strchr(text, '\x1b'));
}

/* The stream, `step` bytes at a time, each piece in memory of its own. */
static struct reader read_all(const struct load_api *api, const uint8_t *data, size_t size, size_t step)
{
	struct reader r = {.api = api};
	struct sse s = {0};
	for (size_t at = 0; at < size; at += step) {
		size_t n = size - at < step ? size - at : step;
		char *piece = malloc(n);
		memcpy(piece, data + at, n);
		require(sse_take(&s, (struct str){piece, n}, on_event, &r));
		free(piece);
	}
	sse_free(&s);
	require_text(r.answer.error);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[LOAD_ERROR_BYTES];
	if (!size)
		return 0;
	const struct load_api *api = &load_apis[data[0] % 3];
	struct reader whole = read_all(api, data + 1, size - 1, size);
	struct reader pieces = read_all(api, data + 1, size - 1, 1 + data[0] / 3 % 5);
	require(whole.events.len == pieces.events.len);
	require(!whole.events.len || memcmp(whole.events.ptr, pieces.events.ptr, whole.events.len) == 0);
	require(memcmp(&whole.answer, &pieces.answer, sizeof whole.answer) == 0);
	strbuf_free(&whole.events);
	strbuf_free(&pieces.events);
	load_api_refusal(data[0], (struct str){(const char *)data + 1, size - 1}, text);
	require_text(text);
	return 0;
}
