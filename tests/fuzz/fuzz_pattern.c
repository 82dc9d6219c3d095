/*
 * A pattern, a zero byte and a text: nothing crashes or takes more than it may, and what is said of the text
 * is the same as it stands and between a JSON string's quotes, and of the whole text by "^(?:...)$".
 */
#include <stdio.h>
#include <stdlib.h>

#include "constrain/text.h"

static struct rx_pool *pool;

static bool compile(struct str pattern, enum rx_dress dress, bool whole, rx *out)
{
	struct hokku_error err;
	enum hokku_code rc = rx_pattern(pool, dress, pattern, whole, out, &err);
	if (rc && !*err.message)
		abort();
	return rc == HOKKU_OK;
}

static void same(bool a, bool b)
{
	if (a != b && !rx_failed(pool))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct rx_limits limits = {.bytes = 16 << 20, .work = 150000};
	const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
	struct str pattern = {(const char *)data, zero ? (size_t)(zero - data) : size};
	struct str text = {pattern.ptr + pattern.len + 1, zero ? size - pattern.len - 1 : 0};
	struct strbuf json = {0}, anchored = {0};
	rx raw, dressed, whole, around;
	if (zero && utf8_valid_prefix(text.ptr, text.len) < text.len)
		return 0;
	pool = rx_pool_new(&limits);
	if (!pool || !compile(pattern, RX_RAW, false, &raw)) {
		rx_pool_free(pool);
		return 0;
	}
	strbuf_add_json(&json, text.ptr, text.len);
	strbuf_add_c(&anchored, "^(?:");
	strbuf_add(&anchored, pattern.ptr, pattern.len);
	strbuf_add_c(&anchored, ")$");
	if (compile(pattern, RX_JSON, false, &dressed))
		same(rx_matches(pool, raw, text.ptr, text.len),
		     rx_matches(pool, dressed, json.ptr + 1, json.len - 2));
	/* A lookbehind that begins the pattern does not begin the other one: that may be refused. */
	if (compile(pattern, RX_RAW, true, &whole) &&
	    compile((struct str){anchored.ptr, anchored.len}, RX_RAW, false, &around))
		same(rx_matches(pool, whole, text.ptr, text.len),
		     rx_matches(pool, around, text.ptr, text.len));
	rx_alive(pool, raw);
	rx_pool_free(pool);
	strbuf_free(&json);
	strbuf_free(&anchored);
	return 0;
}
