#include "engine/stop.h"

#include <stdlib.h>

#include "engine/request.h"

enum hokku_code stop_check(const struct str *texts, uint32_t n, struct hokku_error *err)
{
	if (n > ENGINE_MAX_STOP)
		return err_set(err, HOKKU_INVALID_REQUEST, "stop has %u texts; %d are allowed", n,
			       ENGINE_MAX_STOP);
	for (uint32_t i = 0; i < n; i++) {
		size_t valid = utf8_valid_prefix(texts[i].ptr, texts[i].len);
		if (texts[i].len == 0)
			return err_set(err, HOKKU_INVALID_REQUEST, "stop text %u is empty", i);
		if (texts[i].len > ENGINE_MAX_STOP_BYTES)
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "stop text %u has %zu bytes; %d are allowed", i, texts[i].len,
				       ENGINE_MAX_STOP_BYTES);
		if (valid != texts[i].len)
			return err_set(err, HOKKU_INVALID_REQUEST, "stop text %u is not UTF-8 at byte %zu", i,
				       valid);
	}
	return HOKKU_OK;
}

static void compute_fail(struct stop_text *t)
{
	uint16_t k = 0;
	t->fail[0] = 0;
	for (size_t i = 1; i < t->text.len; i++) {
		while (k > 0 && t->text.ptr[i] != t->text.ptr[k])
			k = t->fail[k - 1];
		k = (uint16_t)(k + (t->text.ptr[i] == t->text.ptr[k]));
		t->fail[i] = k;
	}
}

enum hokku_code stop_init(struct stop_matcher *m, const struct str *texts, uint32_t n, size_t max_piece,
			  struct hokku_error *err)
{
	size_t total = 0;
	*m = (struct stop_matcher){0};
	if (n == 0)
		return HOKKU_OK;
	for (uint32_t i = 0; i < n; i++)
		total += texts[i].len;
	m->texts = calloc(n, sizeof *m->texts);
	m->bytes = malloc(total);
	m->fails = calloc(total, sizeof *m->fails);
	if (!m->texts || !m->bytes || !m->fails ||
	    !strbuf_reserve(&m->held, ENGINE_MAX_STOP_BYTES + max_piece)) {
		stop_deinit(m);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for %u stop texts", n);
	}
	m->n_texts = n;
	for (size_t i = 0, at = 0; i < n; at += texts[i].len, i++) {
		memcpy(m->bytes + at, texts[i].ptr, texts[i].len);
		m->texts[i] =
			(struct stop_text){.text = {m->bytes + at, texts[i].len}, .fail = m->fails + at};
		compute_fail(&m->texts[i]);
	}
	return HOKKU_OK;
}

void stop_deinit(struct stop_matcher *m)
{
	free(m->texts);
	free(m->bytes);
	free(m->fails);
	strbuf_free(&m->held);
	*m = (struct stop_matcher){0};
}

bool stop_advance(struct stop_text *t, char byte)
{
	if (t->state == t->text.len)
		t->state = t->fail[t->state - 1];
	while (t->state > 0 && t->text.ptr[t->state] != byte)
		t->state = t->fail[t->state - 1];
	t->state += t->text.ptr[t->state] == byte;
	return t->state == t->text.len;
}

bool stop_push(struct stop_matcher *m, struct str piece, struct strbuf *out)
{
	if (m->found)
		return true;
	if (m->n_texts == 0) {
		strbuf_add(out, piece.ptr, piece.len);
		return false;
	}
	size_t begin = m->held.len, longest = 0;
	strbuf_add(&m->held, piece.ptr, piece.len);
	for (size_t i = 0; i < piece.len; i++) {
		for (uint32_t j = 0; j < m->n_texts; j++) {
			bool complete = stop_advance(&m->texts[j], piece.ptr[i]);
			if (complete && m->texts[j].text.len > longest) {
				longest = m->texts[j].text.len;
				m->which = j;
			}
			m->found |= complete;
		}
		if (m->found) {
			strbuf_add(out, m->held.ptr, begin + i + 1 - (m->shows ? 0 : longest));
			strbuf_clear(&m->held);
			return true;
		}
	}
	for (uint32_t j = 0; j < m->n_texts; j++)
		if (m->texts[j].state > longest)
			longest = m->texts[j].state;
	size_t free_bytes = m->held.len - longest;
	strbuf_add(out, m->held.ptr, free_bytes);
	if (longest && free_bytes)
		memmove(m->held.ptr, m->held.ptr + free_bytes, longest);
	m->held.len = longest;
	return false;
}

void stop_finish(struct stop_matcher *m, struct strbuf *out)
{
	if (!m->found && m->held.len)
		strbuf_add(out, m->held.ptr, m->held.len);
	strbuf_clear(&m->held);
}
