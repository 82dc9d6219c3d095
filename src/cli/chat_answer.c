#include "cli/chat_answer.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/conversation.h"

bool chat_may_dim(int fd)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
	return isatty(fd) && !(no && *no) && term && *term && strcmp(term, "dumb") != 0;
}

void chat_add_shown(struct strbuf *out, struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i],
			      next = i + 1 < text.len ? (unsigned char)text.ptr[i + 1] : 0;
		bool c1 = c == 0xc2 && next >= 0x80 && next < 0xa0;
		if (c1 || c == 0x7f || (c < 0x20 && c != '\n' && c != '\t')) {
			strbuf_add_c(out, "\xef\xbf\xbd");
			i += c1;
		} else {
			strbuf_add(out, &text.ptr[i], 1);
		}
	}
}

/* ---- on the engine's thread ---- */

static bool put(struct chat_answer *a, const char *bytes, size_t n)
{
	if (n && !a->write_error && (fwrite(bytes, 1, n, stdout) != n || fflush(stdout)))
		a->write_error = errno ? errno : EIO;
	return !a->write_error;
}

static bool put_text(struct chat_answer *a, struct str text)
{
	if (text.len)
		a->last = text.ptr[text.len - 1];
	return put(a, text.ptr, text.len);
}

/* Between thinking and the answer: dimmed or, where nothing dims, with words around it. */
static bool turn(struct chat_answer *a, bool thinking)
{
	if (a->dims == thinking || !a->terminal)
		return true;
	bool dim = chat_may_dim(STDOUT_FILENO);
	const char *mark =
		thinking ? (dim ? CHAT_DIM : "(thinking)\n") : (dim ? CHAT_PLAIN : "(end of thinking)\n");
	a->dims = thinking;
	return (thinking || a->last == '\n' || put_text(a, STR_LIT("\n"))) && put(a, mark, strlen(mark)) &&
	       (thinking || put_text(a, STR_LIT("\n")));
}

static bool on_part(void *user, const struct hokku_part *part)
{
	struct chat_answer *a = user;
	bool thinking = part->kind == HOKKU_PART_THINKING;
	strbuf_add(thinking ? &a->thinking : &a->text, part->text, part->n_bytes);
	if (thinking && !a->terminal)
		return true;
	if (!a->terminal)
		return put_text(a, (struct str){part->text, part->n_bytes});
	struct strbuf shown = {0};
	chat_add_shown(&shown, (struct str){part->text, part->n_bytes});
	bool good = turn(a, thinking) && put_text(a, (struct str){shown.ptr, shown.len});
	strbuf_free(&shown);
	return good;
}

static void on_event(void *user, const struct engine_event *event)
{
	struct chat_answer *a = user;
	const char ended = CHAT_ENDED;
	switch (event->kind) {
	case ENGINE_STARTED:
	case ENGINE_PROMPT:
		return;
	case ENGINE_TOKEN:
		if (!conversation_feed(a->talk, event->index, event->text))
			engine_cancel(a->engine, event->request);
		return;
	case ENGINE_END:
		a->result = *event->result;
		a->result.thinking_tokens = conversation_thinking(a->talk, a->result.tokens_out);
		break;
	case ENGINE_ERROR:
		a->error = *event->error;
		a->code = a->error.code;
		break;
	}
	conversation_end(a->talk); /* of an interrupted answer, too, what was held back */
	ssize_t n = write(a->wake[1], &ended, 1);
	(void)n;
}

/* ---- on the caller's ---- */

enum { LAST_INTERRUPT = 3 };

/* Sleeps until the answer has ended; an interrupt cancels it first. Somebody who goes on to interrupt an
 * answer that does not end wants the program's end. */
static void wait_for_end(struct chat_answer *a, uint64_t id)
{
	char why = 0;
	int n_interrupts = 0;
	while (why != CHAT_ENDED) {
		ssize_t n = read(a->wake[0], &why, 1);
		if (n < 0 && errno != EINTR)
			break;
		if (n != 1 || why != CHAT_INTERRUPTED)
			continue;
		a->interrupted = true;
		engine_cancel(a->engine, id);
		if (++n_interrupts == LAST_INTERRUPT) {
			signal(SIGINT, SIG_DFL);
			raise(SIGINT);
		}
	}
}

static enum hokku_code submit(struct chat_answer *a, const struct tok_ids *ids, const struct talk_settings *s)
{
	uint64_t id;
	const struct engine_request request = {
		.tokens = ids->ids,
		.n_tokens = ids->n,
		.max_tokens = s->max_tokens,
		.sampling = s->sampling,
		.rules = {.thinking = a->talk->ask.limit},
		.control_text = a->talk->calling.reads ? ENGINE_MARKERS : ENGINE_HIDDEN,
		.on_event = on_event,
		.user = a,
	};
	enum hokku_code rc = engine_submit(a->engine, &request, &id, &a->error);
	if (rc)
		return rc;
	wait_for_end(a, id);
	turn(a, false);
	if (a->last && a->last != '\n')
		put_text(a, STR_LIT("\n"));
	return a->write_error ? HOKKU_CANCELLED : a->code;
}

enum hokku_code chat_answer_run(struct chat_answer *a, const struct talk *t, const struct talk_settings *s,
				const struct chat_options *chat, struct hokku_error *err)
{
	struct tok_ids ids = {0};
	struct strbuf messages = {0};
	talk_write(t, &messages);
	struct conversation talk = {.given = HOKKU_CONVERSATION_INIT, .user = a, .now = chat->now};
	talk.given.messages = messages.ptr;
	talk.given.messages_bytes = messages.len;
	talk.given.thinking = s->thinking;
	talk.given.thinking_budget = s->thinking_budget;
	talk.given.template_arguments = chat->kwargs_text;
	talk.given.on_part = on_part;
	a->talk = &talk;
	enum hokku_code rc =
		messages.failed ? err_set(&a->error, HOKKU_OUT_OF_MEMORY, "no memory for the conversation")
				: conversation_open(&talk, a->engine, &ids, &a->error);
	if (!rc)
		rc = submit(a, &ids, s);
	if (rc && err)
		*err = a->error;
	conversation_close(&talk);
	strbuf_free(&messages);
	tok_ids_free(&ids);
	return rc;
}

void chat_answer_free(struct chat_answer *a)
{
	strbuf_free(&a->text);
	strbuf_free(&a->thinking);
}
