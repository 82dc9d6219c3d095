/*
 * Does a call that comes back stand in the prompt as it was drawn? The prompt is looked at alone: a rendering
 * of the messages before says where the answer began, and what shapes write of the calls is looked for there.
 */
#include "text/dialect_internal.h"

const char *dialect_back_name(enum dialect_back why)
{
	static const char *const names[] = {
#define BACK_X(name, text) [DIALECT_BACK_##name] = text,
		DIALECT_BACKS(BACK_X)
#undef BACK_X
	};
	return names[why];
}

/* A prompt's tokens, and their text. */
struct prompt {
	struct tok_ids ids;
	struct strbuf text;
};

static void free_prompt(struct prompt *p)
{
	tok_ids_free(&p->ids);
	strbuf_free(&p->text);
}

static void add_text(const struct tok *t, const struct tok_ids *ids, struct strbuf *out)
{
	for (size_t i = 0; i < ids->n; i++) {
		struct str bytes = tok_bytes(t, ids->ids[i]);
		strbuf_add(out, bytes.ptr, bytes.len);
	}
}

/* The first n messages. False: the template would not, or there was no memory. */
static bool render(const struct dialect_back_ask *a, size_t n, bool for_answer, struct prompt *out)
{
	struct chat_input in = *a->in;
	in.n_messages = n;
	in.no_answer = !for_answer;
	in.begun = (struct str){NULL, 0};
	if (!n || dialect_render(a->found, a->chat, a->tok, &in, &out->ids, NULL, NULL))
		return false;
	bool twice =
		out->ids.n > 1 && out->ids.ids[0] == out->ids.ids[1] && out->ids.ids[0] == tok_bos(a->tok);
	const struct tok_ids from = {out->ids.ids + twice, out->ids.n - twice, 0};
	add_text(a->tok, &from, &out->text);
	return !out->text.failed;
}

static size_t n_alike(const struct strbuf *a, const struct strbuf *b)
{
	size_t n = 0;
	while (n < a->len && n < b->len && a->ptr[n] == b->ptr[n])
		n++;
	return n;
}

/* How many tokens lie wholly in the first n_bytes. */
static uint32_t tokens_in(const struct dialect_back_ask *a, size_t n_bytes)
{
	uint32_t n = 0;
	for (size_t at = 0; n < a->ids->n; n++) {
		at += tok_bytes(a->tok, a->ids->ids[n]).len;
		if (at > n_bytes)
			break;
	}
	return n;
}

static size_t find(struct str where, struct str what)
{
	const char *at = what.len && where.len ? memmem(where.ptr, where.len, what.ptr, what.len) : NULL;
	return at ? (size_t)(at - where.ptr) : SIZE_MAX;
}

static size_t find_calls(const struct dialect_found *f, const struct dialect_call *calls, size_t n,
			 struct str where)
{
	struct strbuf written = {0};
	dialect_write_calls(f->dialect, f->form, calls, n, &written);
	size_t at = written.failed ? SIZE_MAX : find(where, (struct str){written.ptr, written.len});
	strbuf_free(&written);
	return at;
}

static bool writes_ids(const struct dialect *d)
{
	return strchr(d->write_call, OP_CALL_ID) != NULL;
}

static bool is_blank(struct str s)
{
	while (s.len && is_space(s.ptr[s.len - 1]))
		s.len--;
	return !s.len;
}

/* Of a message's calls in the answer that the prompt has of it. */
static enum dialect_back judge(const struct dialect_found *f, const struct jv *message, struct str answer)
{
	struct dialect_call calls[DIALECT_MAX_CALLS];
	struct jv_doc args[DIALECT_MAX_CALLS];
	size_t n = dialect_read_calls(message, calls, args), at = find_calls(f, calls, n, answer);
	struct str thought = jv_str(jv_get(message, "reasoning_content"));
	bool begins = !thought.len && !jv_str(jv_get(message, "content")).len &&
		      !jv_len(jv_get(message, "content"));
	enum dialect_back why = DIALECT_BACK_SAME;
	if (thought.len && find(answer, thought) == SIZE_MAX)
		why = DIALECT_BACK_THINKING;
	else if (writes_ids(f->dialect))
		why = DIALECT_BACK_IDS;
	else if (at == SIZE_MAX && n > 1 &&
		 (!f->writes_several || find_calls(f, calls, 1, answer) != SIZE_MAX))
		why = DIALECT_BACK_SEVERAL;
	else if (at == SIZE_MAX)
		why = DIALECT_BACK_FORM;
	else if (begins && at && is_blank((struct str){answer.ptr, at}))
		why = DIALECT_BACK_SPACE;
	for (size_t i = 0; i < n; i++)
		jv_doc_free(&args[i]);
	return why;
}

enum dialect_back dialect_gives_back(const struct dialect_back_ask *a, size_t i, uint32_t *first,
				     uint32_t *end)
{
	struct prompt before = {0}, through = {0};
	struct strbuf all = {0};
	const struct jv *message = a->in->messages[i].json;
	enum dialect_back why = DIALECT_BACK_SAME;
	if (!jv_len(jv_get(message, "tool_calls")))
		return why;
	add_text(a->tok, a->ids, &all);
	if (!all.failed && render(a, i, true, &before)) {
		size_t begin = n_alike(&before.text, &all), stop = all.len;
		if (render(a, i + 1, false, &through) && n_alike(&through.text, &all) > begin)
			stop = n_alike(&through.text, &all);
		why = begin < before.text.len
			      ? DIALECT_BACK_PROMPT
			      : judge(a->found, message, (struct str){all.ptr + begin, stop - begin});
		*first = tokens_in(a, begin);
		*end = tokens_in(a, stop);
	}
	free_prompt(&before);
	free_prompt(&through);
	strbuf_free(&all);
	return why;
}
