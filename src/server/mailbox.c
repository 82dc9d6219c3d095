#include "server/mailbox.h"

#include "base/clock.h"

/* Of a mail without logprobs. */
enum { MAIL_BYTES = offsetof(struct mail, logprobs) };

void mailbox_init(struct mailbox *m)
{
	*m = (struct mailbox){0};
	pthread_mutex_init(&m->lock, NULL);
}

void mailbox_deinit(struct mailbox *m)
{
	pthread_mutex_destroy(&m->lock);
	strbuf_free(&m->in);
	strbuf_free(&m->out);
}

bool mailbox_put(struct mailbox *m, void *to, const struct engine_event *event)
{
	struct mail mail = {.to = to, .kind = event->kind, .at_ns = clock_ns()};
	switch (event->kind) {
	case ENGINE_STARTED:
		mail.prompt_tokens = event->prompt_tokens;
		mail.seed = event->seed;
		break;
	case ENGINE_PROMPT:
		mail.index = event->index;
		mail.text =
			(struct str){(const char *)event->prompt, event->n_prompt * sizeof *event->prompt};
		break;
	case ENGINE_TOKEN:
		mail.index = event->index;
		mail.token = event->token;
		mail.text = event->text;
		mail.has_logprobs = event->logprobs != NULL;
		if (event->logprobs)
			mail.logprobs = *event->logprobs;
		break;
	case ENGINE_END:
		mail.result = *event->result;
		mail.cached_tokens = event->cached_tokens;
		mail.stop_text = event->stop_text;
		mail.token = event->token;
		mail.has_logprobs = event->logprobs != NULL;
		if (event->logprobs)
			mail.logprobs = *event->logprobs;
		if (event->cache_miss)
			mail.cache_miss = *event->cache_miss;
		break;
	case ENGINE_ERROR:
		mail.code = event->error->code;
		mail.text = str_c(event->error->message);
		break;
	}
	pthread_mutex_lock(&m->lock);
	bool was_empty = m->in.len == 0;
	if (strbuf_reserve(&m->in, sizeof mail + mail.text.len)) {
		strbuf_add(&m->in, &mail, mail.has_logprobs ? sizeof mail : MAIL_BYTES);
		strbuf_add(&m->in, mail.text.ptr, mail.text.len);
	}
	pthread_mutex_unlock(&m->lock);
	return was_empty;
}

struct str mailbox_take(struct mailbox *m, bool *lost)
{
	pthread_mutex_lock(&m->lock);
	struct strbuf full = m->in;
	m->in = m->out;
	strbuf_clear(&m->in);
	pthread_mutex_unlock(&m->lock);
	m->out = full;
	*lost = full.failed;
	return (struct str){full.ptr, full.len};
}

bool mail_next(struct str *rest, struct mail *out)
{
	if (rest->len < MAIL_BYTES)
		return false;
	memcpy(out, rest->ptr, MAIL_BYTES);
	size_t n = out->has_logprobs ? sizeof *out : MAIL_BYTES;
	if (out->has_logprobs)
		memcpy(out, rest->ptr, sizeof *out);
	out->text.ptr = rest->ptr + n;
	n += out->text.len;
	*rest = (struct str){rest->ptr + n, rest->len - n};
	return true;
}
