/*
 * Ollama's messages as OpenAI's, which is what chat templates read: thinking becomes reasoning_content (and
 * stays, for templates that read it under that name), tool_name becomes name, calls and their results get ids
 * where they bring none, and arguments stay the objects that they are.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/ollama.h"

struct translation {
	struct strbuf *out;
	size_t index;           /* of the message at hand */
	uint32_t n_calls;       /* of all messages so far: number k has the id callK */
	const struct jv *calls; /* of the last message that has any, */
	uint32_t first;         /* the number of the first of them, */
	bool *answered;         /* (n_answered) and which of them have their result */
	size_t n_answered;
};

static void add_str(struct strbuf *b, const char *before, struct str s)
{
	strbuf_add_c(b, before);
	strbuf_add_json(b, s.ptr, s.len);
}

/* Before one more member of the object that b ends in. */
static const char *comma(const struct strbuf *b)
{
	return b->len && b->ptr[b->len - 1] == '{' ? "" : ",";
}

static void add_id(struct strbuf *b, uint32_t call)
{
	strbuf_addf(b, "\"call%05u\"", call + 1); /* nine characters: there are templates that ask for them */
}

static const struct jv *call_name(const struct jv *call)
{
	return field_function_name(call);
}

/* A role is Ollama's in capitals too. */
static void add_role(struct strbuf *b, const struct jv *v)
{
	struct strbuf lower = {0};
	struct str role = jv_str(v);
	strbuf_add_c(b, "\"role\":");
	if (!jv_is(v, JV_STRING)) {
		jv_write(v, b);
		return;
	}
	for (size_t i = 0; i < role.len; i++)
		strbuf_addf(&lower, "%c", tolower((unsigned char)role.ptr[i]));
	strbuf_add_json(b, lower.ptr ? lower.ptr : "", lower.len);
	b->failed |= lower.failed;
	strbuf_free(&lower);
}

static enum hokku_code add_call(struct translation *t, size_t i, const struct jv *call,
				struct request_error *err)
{
	char found[96], field[128];
	const struct jv *id = jv_get(call, "id"), *arguments = jv_get(jv_get(call, "function"), "arguments");
	snprintf(field, sizeof field, "messages[%zu].tool_calls[%zu].function.name", t->index, i);
	if (!jv_str(call_name(call)).len)
		return bad(err, field, "is %s; it takes a string",
			   jv_text(call_name(call), found, sizeof found));
	snprintf(field, sizeof field, "messages[%zu].tool_calls[%zu].function.arguments", t->index, i);
	if (!jv_none(arguments) && !jv_is(arguments, JV_OBJECT))
		return bad(err, field, "is %s; it takes an object", field_describe(arguments, found));
	snprintf(field, sizeof field, "messages[%zu].tool_calls[%zu].id", t->index, i);
	if (!jv_none(id) && !jv_is(id, JV_STRING))
		return bad(err, field, "is %s; it takes a string", field_describe(id, found));
	strbuf_add_c(t->out, i ? ",{\"id\":" : "{\"id\":");
	if (jv_str(id).len)
		jv_write(id, t->out);
	else
		add_id(t->out, t->first + (uint32_t)i);
	add_str(t->out, ",\"type\":\"function\",\"function\":{\"name\":", jv_str(call_name(call)));
	strbuf_add_c(t->out, ",\"arguments\":");
	if (jv_none(arguments))
		strbuf_add_c(t->out, "{}");
	else
		jv_write(arguments, t->out);
	strbuf_add_c(t->out, "}}");
	return HOKKU_OK;
}

static enum hokku_code add_calls(struct translation *t, const struct jv *calls, struct request_error *err)
{
	char found[96], field[64];
	size_t n = jv_len(calls);
	snprintf(field, sizeof field, "messages[%zu].tool_calls", t->index);
	if (!jv_is(calls, JV_ARRAY))
		return bad(err, field, "is %s; it takes an array of calls", field_describe(calls, found));
	if (n == 0)
		return HOKKU_OK;
	free(t->answered);
	t->answered = calloc(n, sizeof *t->answered);
	if (!t->answered)
		return field_no_memory(err);
	t->n_answered = n;
	t->calls = calls;
	t->first = t->n_calls;
	t->n_calls += (uint32_t)n;
	strbuf_add_c(t->out, ",\"tool_calls\":[");
	for (size_t i = 0; i < n; i++) {
		enum hokku_code rc = add_call(t, i, jv_at(calls, i), err);
		if (rc)
			return rc;
	}
	strbuf_add_c(t->out, "]");
	return HOKKU_OK;
}

/* Which call a result is of, where it does not say so itself: the first of the last calls that has none yet
 * and whose tool it names. Without such a call it has no id. */
static void add_result_id(struct translation *t, struct str tool)
{
	for (size_t i = 0; i < t->n_answered; i++) {
		const struct jv *call = jv_at(t->calls, i), *id = jv_get(call, "id");
		if (t->answered[i] || (tool.len && !str_eq(tool, jv_str(call_name(call)))))
			continue;
		t->answered[i] = true;
		strbuf_add_c(t->out, ",\"tool_call_id\":");
		if (jv_str(id).len)
			jv_write(id, t->out);
		else
			add_id(t->out, t->first + (uint32_t)i);
		return;
	}
}

/* A member of a message that has a string. */
static enum hokku_code check_string(const struct translation *t, const struct jv *message, const char *name,
				    struct request_error *err)
{
	char found[96], field[64];
	const struct jv *v = jv_get(message, name);
	snprintf(field, sizeof field, "messages[%zu].%s", t->index, name);
	if (jv_none(v) || jv_is(v, JV_STRING))
		return HOKKU_OK;
	return bad(err, field, "is %s; it takes a string", field_describe(v, found));
}

static enum hokku_code check_message(const struct translation *t, const struct jv *message,
				     struct request_error *err)
{
	static const char *const strings[] = {"thinking", "tool_name", "tool_call_id"};
	char found[96], field[64];
	const struct jv *images = jv_get(message, "images");
	enum hokku_code rc = HOKKU_OK;
	for (size_t i = 0; i < sizeof strings / sizeof *strings && !rc; i++)
		rc = check_string(t, message, strings[i], err);
	snprintf(field, sizeof field, "messages[%zu].images", t->index);
	if (rc || jv_none(images) || (jv_is(images, JV_ARRAY) && jv_len(images) == 0))
		return rc;
	if (!jv_is(images, JV_ARRAY))
		return bad(err, field, "is %s; it takes an array", field_describe(images, found));
	return bad(err, field, "holds %zu; this server's models read text alone", jv_len(images));
}

/* The members that have another name or form here: what is left goes on as it is. */
static bool is_translated(struct str key)
{
	static const char *const names[] = {"role",      "images",       "tool_calls",
					    "tool_name", "tool_call_id", "thinking"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (str_eq_c(key, names[i]))
			return true;
	return false;
}

static enum hokku_code add_message(struct translation *t, const struct jv *v, struct request_error *err)
{
	enum hokku_code rc = check_message(t, v, err);
	struct strbuf *b = t->out;
	const struct jv *content = jv_get(v, "content"), *calls = jv_get(v, "tool_calls"),
			*id = jv_get(v, "tool_call_id");
	struct str thinking = jv_str(jv_get(v, "thinking")), tool = jv_str(jv_get(v, "tool_name"));
	if (rc)
		return rc;
	strbuf_add_c(b, "{");
	if (jv_get(v, "role"))
		add_role(b, jv_get(v, "role"));
	for (uint32_t i = 0; i < v->n; i++) {
		struct str key = jv_key(v, i);
		if (is_translated(key) || jv_none(jv_value(v, i)))
			continue;
		add_str(b, comma(b), key);
		strbuf_add_c(b, ":");
		jv_write(jv_value(v, i), b);
	}
	if (jv_none(content) && (jv_len(calls) || thinking.len))
		strbuf_addf(b, "%s\"content\":\"\"", comma(b));
	if (thinking.len) {
		add_str(b, ",\"reasoning_content\":", thinking);
		add_str(b, ",\"thinking\":", thinking);
	}
	if (tool.len && !jv_get(v, "name"))
		add_str(b, ",\"name\":", tool);
	if (jv_str(id).len)
		add_str(b, ",\"tool_call_id\":", jv_str(id));
	else if (str_eq_c(jv_str(jv_get(v, "role")), "tool"))
		add_result_id(t, tool);
	rc = jv_none(calls) ? HOKKU_OK : add_calls(t, calls, err);
	strbuf_add_c(b, "}");
	return rc;
}

enum hokku_code ollama_messages(struct gen_request *r, const char *name, const struct jv *v,
				struct request_error *err)
{
	char found[96], field[64];
	struct strbuf out = {0};
	struct translation t = {.out = &out};
	const struct jv *made = NULL;
	enum hokku_code rc = HOKKU_OK;
	if (!jv_is(v, JV_ARRAY))
		return bad(err, name, "is %s; it takes an array of {role, content}",
			   field_describe(v, found));
	if (jv_len(v) == 0)
		return HOKKU_OK;
	strbuf_add_c(&out, "[");
	for (t.index = 0; t.index < jv_len(v) && !rc; t.index++) {
		snprintf(field, sizeof field, "%s[%zu]", name, t.index);
		strbuf_add_c(&out, t.index ? "," : "");
		rc = jv_is(jv_at(v, t.index), JV_OBJECT)
			     ? add_message(&t, jv_at(v, t.index), err)
			     : bad(err, field, "is %s; it takes an object with role and content",
				   field_describe(jv_at(v, t.index), found));
	}
	strbuf_add_c(&out, "]");
	if (!rc)
		rc = request_make(r, &out, &made, err);
	if (!rc)
		rc = field_messages(r, name, made, err);
	free(t.answered);
	strbuf_free(&out);
	return rc;
}
