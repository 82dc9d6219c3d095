/* Items of POST /v1/responses as messages that chat templates know: what stands side by side and is one turn
 * of the assistant's (reasoning, a message, calls) is one message. */
#include <stdio.h>

#include "server/name_set.h"
#include "server/responses_internal.h"

void responses_end_turn(struct responses_messages *c)
{
	if (!c->in_turn)
		return;
	strbuf_add_c(&c->out, c->out.len ? ",{\"role\":\"assistant\",\"content\":"
					 : "{\"role\":\"assistant\",\"content\":");
	if (c->has_text || !c->calls.len)
		responses_add_string(&c->out, (struct str){c->text.ptr, c->text.len});
	else
		strbuf_add_c(&c->out, "null");
	if (c->thinking.len) {
		strbuf_add_c(&c->out, ",\"reasoning_content\":");
		responses_add_string(&c->out, (struct str){c->thinking.ptr, c->thinking.len});
	}
	if (c->calls.len) {
		strbuf_add_c(&c->out, ",\"tool_calls\":[");
		strbuf_add(&c->out, c->calls.ptr, c->calls.len);
		strbuf_add_c(&c->out, "]");
	}
	strbuf_add_c(&c->out, "}");
	strbuf_clear(&c->thinking);
	strbuf_clear(&c->text);
	strbuf_clear(&c->calls);
	c->in_turn = c->has_text = false;
}

/* Begins an item of the assistant's; one that a turn has already had begins another turn. */
static void go_on(struct responses_messages *c, bool ends_turn)
{
	if (ends_turn)
		responses_end_turn(c);
	c->in_turn = true;
}

static enum hokku_code no_text(struct responses_messages *c, const char *field, const struct jv *v)
{
	char found[96];
	return bad(c->err, field, "is %s; it takes a string or an array of text parts",
		   v ? jv_text(v, found, sizeof found) : "missing");
}

/* The text of a content: a string, or parts of text, one after the other. field: where it stands. */
static enum hokku_code read_text(struct responses_messages *c, const struct jv *v, const char *field,
				 struct strbuf *out)
{
	static const char *const kinds[] = {"input_text", "output_text", "text", "summary_text",
					    "reasoning_text"};
	char part[PATH_BYTES], found[96];
	if (jv_is(v, JV_STRING)) {
		strbuf_add(out, v->text, v->n);
		return HOKKU_OK;
	}
	if (!jv_is(v, JV_ARRAY))
		return no_text(c, field, v);
	for (size_t i = 0; i < jv_len(v); i++) {
		const struct jv *type = jv_get(jv_at(v, i), "type");
		bool refusal = str_eq_c(jv_str(type), "refusal");
		const struct jv *text = jv_get(jv_at(v, i), refusal ? "refusal" : "text");
		bool known = refusal;
		for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
			known |= str_eq_c(jv_str(type), kinds[k]);
		if (!known) {
			snprintf(part, sizeof part, "%.60s[%zu].type", field, i);
			return bad(
				c->err, part,
				"is %s; it takes \"input_text\" or \"output_text\": this server reads text alone",
				type ? jv_text(type, found, sizeof found) : "missing");
		}
		if (!jv_is(text, JV_STRING)) {
			snprintf(part, sizeof part, "%.60s[%zu].text", field, i);
			return bad(c->err, part, "is %s; it takes a string",
				   text ? jv_text(text, found, sizeof found) : "missing");
		}
		strbuf_add(out, text->text, text->n);
	}
	return HOKKU_OK;
}

static enum hokku_code item_message(struct responses_messages *c, const struct jv *item, const char *at)
{
	static const char *const roles[] = {"user", "system", "developer", "assistant"};
	char field[PATH_BYTES], found[96];
	const struct jv *role = jv_get(item, "role");
	struct strbuf text = {0};
	size_t k = 0;
	while (k < 4 && !str_eq_c(jv_str(role), roles[k]))
		k++;
	snprintf(field, sizeof field, "%s.role", at);
	if (k == 4)
		return bad(c->err, field,
			   "is %s; it takes \"user\", \"system\", \"developer\" or \"assistant\"",
			   role ? jv_text(role, found, sizeof found) : "missing");
	snprintf(field, sizeof field, "%s.content", at);
	enum hokku_code rc = read_text(c, jv_get(item, "content"), field, &text);
	if (!rc && k == 3) {
		go_on(c, c->has_text || c->calls.len);
		strbuf_add(&c->text, text.ptr ? text.ptr : "", text.len);
		c->has_text = true;
	} else if (!rc) {
		responses_end_turn(c);
		/* A developer's word is the system's, which is the name that templates know. */
		strbuf_addf(&c->out, "%s{\"role\":\"%s\",\"content\":", c->out.len ? "," : "",
			    k == 0 ? "user" : "system");
		responses_add_string(&c->out, (struct str){text.ptr, text.len});
		strbuf_add_c(&c->out, "}");
	}
	c->out.failed |= text.failed;
	strbuf_free(&text);
	return rc;
}

static enum hokku_code item_reasoning(struct responses_messages *c, const struct jv *item, const char *at)
{
	char field[PATH_BYTES], found[96], text[160];
	const struct jv *content = jv_get(item, "content"), *summary = jv_get(item, "summary");
	const struct jv *parts[] = {content, summary};
	static const char *const names[] = {"content", "summary"};
	for (size_t i = 0; i < 2; i++) {
		snprintf(field, sizeof field, "%s.%s", at, names[i]);
		if (!jv_none(parts[i]) && !jv_is(parts[i], JV_ARRAY))
			return bad(c->err, field, "is %s; it takes an array of texts",
				   jv_text(parts[i], found, sizeof found));
	}
	bool whole = jv_len(content) > 0;
	if (!whole && !jv_len(summary)) {
		if (jv_str(jv_get(item, "encrypted_content")).len && c->n_encrypted++ == 0) {
			snprintf(
				text, sizeof text,
				"%s is reasoning that somebody else has encrypted: it has no effect, as any other "
				"such item",
				at);
			field_warn(&c->r->warnings, text);
		}
		return HOKKU_OK;
	}
	go_on(c, c->has_text || c->calls.len);
	snprintf(field, sizeof field, "%s.%s", at, whole ? "content" : "summary");
	return read_text(c, whole ? content : summary, field, &c->thinking);
}

/* The name by which the model knows a tool of a call. */
static void add_flat_name(struct responses_messages *c, struct str name, struct str of, struct strbuf *out)
{
	struct strbuf flat = {0};
	if (of.len) {
		strbuf_add(&flat, of.ptr, of.len);
		strbuf_add_c(&flat, "__");
	}
	strbuf_add(&flat, name.ptr, name.len);
	c->out.failed |= flat.failed;
	responses_add_string(out, (struct str){flat.ptr, flat.len});
	strbuf_free(&flat);
}

static enum hokku_code item_call(struct responses_messages *c, const struct jv *item, const char *at)
{
	static const char *const wanted[] = {"call_id", "name", NULL};
	char field[PATH_BYTES], found[96];
	bool custom = str_eq_c(jv_str(jv_get(item, "type")), "custom_tool_call");
	const struct jv *arguments = jv_get(item, custom ? "input" : "arguments");
	for (const char *const *w = wanted; *w; w++) {
		const struct jv *v = jv_get(item, *w);
		snprintf(field, sizeof field, "%s.%s", at, *w);
		if (!jv_str(v).len)
			return bad(c->err, field, "is %s; it takes a string",
				   v ? jv_text(v, found, sizeof found) : "missing");
	}
	snprintf(field, sizeof field, "%s.%s", at, custom ? "input" : "arguments");
	if (!jv_is(arguments, JV_STRING))
		return bad(c->err, field, "is %s; it takes a string",
			   arguments ? jv_text(arguments, found, sizeof found) : "missing");
	struct strbuf text = {0};
	if (custom) {
		strbuf_add_c(&text, "{\"input\":");
		responses_add_string(&text, jv_str(arguments));
		strbuf_add_c(&text, "}");
	} else {
		strbuf_add(&text, arguments->text, arguments->n);
	}
	struct str id = jv_str(jv_get(item, "call_id"));
	go_on(c, false);
	strbuf_add_c(&c->calls, c->calls.len ? ",{\"id\":" : "{\"id\":");
	responses_add_string(&c->calls, id);
	strbuf_add_c(&c->calls, ",\"type\":\"function\",\"function\":{\"name\":");
	add_flat_name(c, jv_str(jv_get(item, "name")), jv_str(jv_get(item, "namespace")), &c->calls);
	strbuf_add_c(&c->calls, ",\"arguments\":");
	responses_add_string(&c->calls, (struct str){text.ptr, text.len});
	strbuf_add_c(&c->calls, "}}");
	name_set_add(&c->ids, id);
	c->out.failed |= text.failed;
	strbuf_free(&text);
	return HOKKU_OK;
}

static bool was_called(const struct responses_messages *c, struct str id)
{
	return name_set_has(&c->ids, id);
}

static enum hokku_code item_output(struct responses_messages *c, const struct jv *item, const char *at)
{
	char field[PATH_BYTES], quoted[80], found[96];
	const struct jv *id = jv_get(item, "call_id");
	struct strbuf text = {0};
	snprintf(field, sizeof field, "%s.call_id", at);
	if (!jv_str(id).len)
		return bad(c->err, field, "is %s; it takes a string",
			   id ? jv_text(id, found, sizeof found) : "missing");
	if (c->ids.failed)
		return field_no_memory(c->err);
	if (!was_called(c, jv_str(id)))
		return bad(c->err, field, "is %s, and no call before it has this id",
			   str_quote(jv_str(id), quoted, sizeof quoted));
	snprintf(field, sizeof field, "%s.output", at);
	enum hokku_code rc = read_text(c, jv_get(item, "output"), field, &text);
	responses_end_turn(c);
	strbuf_add_c(&c->out, c->out.len ? ",{\"role\":\"tool\",\"tool_call_id\":"
					 : "{\"role\":\"tool\",\"tool_call_id\":");
	responses_add_string(&c->out, jv_str(id));
	strbuf_add_c(&c->out, ",\"content\":");
	responses_add_string(&c->out, (struct str){text.ptr, text.len});
	strbuf_add_c(&c->out, "}");
	c->out.failed |= text.failed;
	strbuf_free(&text);
	return rc;
}

enum hokku_code responses_read_items(struct responses_messages *c, const struct jv *items)
{
	static const struct {
		const char *type;
		enum hokku_code (*read)(struct responses_messages *c, const struct jv *item, const char *at);
	} rows[] = {
		{"message", item_message},
		{"reasoning", item_reasoning},
		{"function_call", item_call},
		{"custom_tool_call", item_call},
		{"function_call_output", item_output},
		{"custom_tool_call_output", item_output},
	};
	enum { N = sizeof rows / sizeof *rows };
	char at[48], field[64], found[96];
	for (size_t i = 0; i < jv_len(items); i++) {
		const struct jv *item = jv_at(items, i), *type = jv_get(item, "type");
		size_t k = 0;
		snprintf(at, sizeof at, "%s[%zu]", c->where, i);
		if (!jv_is(item, JV_OBJECT))
			return bad(c->err, at, "is %s; it takes an object",
				   jv_text(item, found, sizeof found));
		if (!jv_none(type)) /* a message may do without */
			while (k < N && !str_eq_c(jv_str(type), rows[k].type))
				k++;
		snprintf(field, sizeof field, "%s.type", at);
		if (k == N)
			return bad(c->err, field,
				   "is %s; it takes message, reasoning, function_call, custom_tool_call and "
				   "the two's outputs: nothing else runs here, or is kept by an item's id",
				   jv_text(type, found, sizeof found));
		enum hokku_code rc = rows[k].read(c, item, at);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}
