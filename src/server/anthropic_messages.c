/*
 * What Anthropic's API calls messages and system, as chat templates read them (OpenAI's form). Turns
 * that follow one another from one side are one turn, as that API has it. A turn becomes as many messages as
 * the order of its blocks wants: each result of a tool is one of its own, and of the assistant's a message
 * has thinking, then text, then calls. Nothing is left out but what is told as a warning.
 */
#include <stdio.h>
#include <stdlib.h>

#include "server/anthropic.h"

/* A call of the conversation so far. */
struct call {
	struct str id, name;
};

struct translation {
	struct gen_request *r;
	struct request_error *err;
	struct strbuf out;  /* the messages, separated by commas */
	uint32_t *origins;  /* (n) */
	size_t n, cap;      /* messages in out */
	struct call *calls; /* (n_calls) */
	size_t n_calls, cap_calls;
	bool no_memory;
	/* The message that is being put together. */
	bool assistant, begun;
	uint32_t origin;
	struct strbuf parts, thinking, tool_calls;
	uint32_t n_parts;
	struct str only; /* the text of the first part */
	bool has_thinking;
	struct left_out {
		uint32_t n;
		char first[64]; /* its path */
	} redacted, cut, billing;
};

static void add_str(struct strbuf *b, struct str s)
{
	strbuf_add_json(b, s.len ? s.ptr : "", s.len);
}

static bool grow(void **array, size_t *cap, size_t n, size_t size)
{
	if (n < *cap)
		return true;
	size_t more = *cap ? 2 * *cap : 16;
	void *grown = realloc(*array, more * size);
	if (!grown)
		return false;
	*array = grown;
	*cap = more;
	return true;
}

/* A message of out begins: its brace and role. */
static void open_message(struct translation *t, const char *role, uint32_t origin)
{
	void *origins = t->origins;
	if (!grow(&origins, &t->cap, t->n, sizeof *t->origins)) {
		t->no_memory = true;
		return;
	}
	t->origins = origins;
	t->origins[t->n] = origin;
	strbuf_addf(&t->out, "%s{\"role\":\"%s\",\"content\":", t->n ? "," : "", role);
	t->n++;
}

static void add_text(struct translation *t, struct str text)
{
	if (t->n_parts++ == 0)
		t->only = text;
	strbuf_add_c(&t->parts,
		     t->n_parts > 1 ? ",{\"type\":\"text\",\"text\":" : "{\"type\":\"text\",\"text\":");
	add_str(&t->parts, text);
	strbuf_add_c(&t->parts, "}");
}

/* A text alone is a string, as the other way to write it is. */
static void put_parts(struct translation *t)
{
	if (t->n_parts > 1) {
		strbuf_add_c(&t->out, "[");
		strbuf_add(&t->out, t->parts.ptr, t->parts.len);
		strbuf_add_c(&t->out, "]");
	} else {
		add_str(&t->out, t->only);
	}
	t->no_memory |= t->parts.failed;
	strbuf_clear(&t->parts);
	t->n_parts = 0;
	t->only = (struct str){"", 0};
}

/* Ends the message that is being put together, if there is one. */
static void flush(struct translation *t)
{
	if (!t->begun)
		return;
	t->begun = false;
	open_message(t, t->assistant ? "assistant" : "user", t->origin);
	put_parts(t);
	if (t->has_thinking) {
		strbuf_add_c(&t->out, ",\"reasoning_content\":");
		strbuf_add_json(&t->out, t->thinking.len ? t->thinking.ptr : "", t->thinking.len);
	}
	if (t->tool_calls.len) {
		strbuf_add_c(&t->out, ",\"tool_calls\":[");
		strbuf_add(&t->out, t->tool_calls.ptr, t->tool_calls.len);
		strbuf_add_c(&t->out, "]");
	}
	strbuf_add_c(&t->out, "}");
	t->no_memory |= t->thinking.failed || t->tool_calls.failed;
	strbuf_clear(&t->thinking);
	strbuf_clear(&t->tool_calls);
	t->has_thinking = false;
}

/* What comes next belongs to the message at hand, or to a new one. */
static void begin(struct translation *t, size_t index)
{
	if (!t->begun)
		t->origin = (uint32_t)index;
	t->begun = true;
}

static const struct call *find_call(const struct translation *t, struct str id)
{
	for (size_t i = 0; i < t->n_calls; i++)
		if (str_eq(t->calls[i].id, id))
			return &t->calls[i];
	return NULL;
}

static void leave_out(struct left_out *l, const char *path)
{
	if (l->n++ == 0)
		snprintf(l->first, sizeof l->first, "%s", path);
}

/* One sentence, however many there are. */
static void warn_left_out(struct translation *t, const struct left_out *l, const char *what)
{
	char text[256], more[48] = "";
	if (l->n == 0)
		return;
	if (l->n > 1)
		snprintf(more, sizeof more, " (and %u more)", l->n - 1);
	snprintf(text, sizeof text, "%s%s %s", l->first, more, what);
	field_warn(&t->r->warnings, text);
}

/* ---- blocks; path: of the block ---- */

static enum hokku_code check_text(const char *path, const struct jv *block, struct request_error *err)
{
	static const char *const known[] = {"type", "text", "cache_control", "citations", NULL};
	char field[64], found[96];
	const struct jv *text = jv_get(block, "text"), *citations = jv_get(block, "citations");
	enum hokku_code rc = anthropic_check_members(path, "a text block", block, known, err);
	if (!rc)
		rc = anthropic_check_cache_control(path, jv_get(block, "cache_control"), err);
	if (rc)
		return rc;
	if (!jv_is(text, JV_STRING)) {
		anthropic_at(path, "text", field);
		return bad(err, field, "is %s; it takes a string",
			   text ? field_describe(text, found) : "missing");
	}
	if (!jv_none(citations) && !(jv_is(citations, JV_ARRAY) && jv_len(citations) == 0)) {
		anthropic_at(path, "citations", field);
		return bad(err, field, "is %s; this server knows no citations: leave them out",
			   field_describe(citations, found));
	}
	return HOKKU_OK;
}

static enum hokku_code take_text(struct translation *t, const char *path, size_t index,
				 const struct jv *block)
{
	enum hokku_code rc = check_text(path, block, t->err);
	if (rc)
		return rc;
	if (t->tool_calls.len)
		flush(t);
	begin(t, index);
	add_text(t, jv_str(jv_get(block, "text")));
	return HOKKU_OK;
}

static enum hokku_code take_thinking(struct translation *t, const char *path, size_t index,
				     const struct jv *block)
{
	static const char *const known[] = {"type", "thinking", "signature", NULL};
	char field[64], found[96];
	const struct jv *text = jv_get(block, "thinking"), *signature = jv_get(block, "signature");
	enum hokku_code rc = anthropic_check_members(path, "a thinking block", block, known, t->err);
	if (rc)
		return rc;
	if (!jv_is(text, JV_STRING)) {
		anthropic_at(path, "thinking", field);
		return bad(t->err, field, "is %s; it takes a string",
			   text ? field_describe(text, found) : "missing");
	}
	if (!jv_none(signature) && !jv_is(signature, JV_STRING)) {
		anthropic_at(path, "signature", field);
		return bad(t->err, field, "is %s; it takes a string", field_describe(signature, found));
	}
	if (t->n_parts || t->tool_calls.len)
		flush(t);
	begin(t, index);
	if (t->has_thinking)
		strbuf_add_c(&t->thinking, "\n");
	t->has_thinking = true;
	strbuf_add(&t->thinking, text->text, text->n);
	return HOKKU_OK;
}

/* Thinking that another server has encrypted: nobody here can read it. */
static enum hokku_code take_redacted(struct translation *t, const char *path, size_t index,
				     const struct jv *block)
{
	static const char *const known[] = {"type", "data", NULL};
	char field[64], found[96];
	const struct jv *data = jv_get(block, "data");
	enum hokku_code rc = anthropic_check_members(path, "a redacted_thinking block", block, known, t->err);
	if (rc)
		return rc;
	if (!jv_is(data, JV_STRING)) {
		anthropic_at(path, "data", field);
		return bad(t->err, field, "is %s; it takes a string",
			   data ? field_describe(data, found) : "missing");
	}
	begin(t, index);
	leave_out(&t->redacted, path);
	return HOKKU_OK;
}

static enum hokku_code take_id(const char *path, const char *name, const struct jv *v,
			       struct request_error *err)
{
	char field[64], found[96];
	size_t n = jv_str(v).len;
	anthropic_at(path, name, field);
	if (n >= 1 && n <= ANTHROPIC_MAX_ID_BYTES)
		return HOKKU_OK;
	return bad(err, field, "is %s; it takes a string of 1 to %d bytes",
		   v ? field_describe(v, found) : "missing", ANTHROPIC_MAX_ID_BYTES);
}

/* Only direct calls: no program of this server's calls tools. */
static enum hokku_code check_caller(const char *path, const struct jv *v, struct request_error *err)
{
	char field[64], found[96];
	anthropic_at(path, "caller", field);
	if (jv_none(v) || str_eq_c(jv_str(jv_get(v, "type")), "direct"))
		return HOKKU_OK;
	return bad(err, field,
		   "is %s; it takes {\"type\": \"direct\"}: no tool of this server's calls others",
		   jv_text(v, found, sizeof found));
}

static enum hokku_code take_tool_use(struct translation *t, const char *path, size_t index,
				     const struct jv *block)
{
	/* partial_json is our own: clients send a call that was cut back as it came. */
	static const char *const known[] = {
		"type",   "id",           "name",         "input", "cache_control",
		"caller", "toolset_name", "partial_json", NULL};
	char field[64], found[96];
	const struct jv *id = jv_get(block, "id"), *name = jv_get(block, "name"),
			*input = jv_get(block, "input"), *cut = jv_get(block, "partial_json");
	enum hokku_code rc = anthropic_check_members(path, "a tool_use block", block, known, t->err);
	if (!rc)
		rc = anthropic_check_cache_control(path, jv_get(block, "cache_control"), t->err);
	if (!rc)
		rc = check_caller(path, jv_get(block, "caller"), t->err);
	if (!rc)
		rc = take_id(path, "id", id, t->err);
	anthropic_at(path, "name", field);
	if (!rc)
		rc = anthropic_check_name(field, name, t->err);
	anthropic_at(path, "input", field);
	if (!rc)
		rc = anthropic_check_object(field, input, t->err);
	if (rc)
		return rc;
	anthropic_at(path, "toolset_name", field);
	if (!jv_none(jv_get(block, "toolset_name")))
		return bad(t->err, field, "is %s; this server knows no toolsets: leave it out",
			   field_describe(jv_get(block, "toolset_name"), found));
	anthropic_at(path, "partial_json", field);
	if (!jv_none(cut) && !jv_is(cut, JV_STRING))
		return bad(t->err, field, "is %s; it takes a string", field_describe(cut, found));
	if (jv_str(cut).len)
		leave_out(&t->cut, field);
	anthropic_at(path, "id", field);
	if (find_call(t, jv_str(id)))
		return bad(t->err, field, "is %s, which another call before it has; each has one of its own",
			   field_describe(id, found));
	void *calls = t->calls;
	if (!grow(&calls, &t->cap_calls, t->n_calls, sizeof *t->calls))
		return field_no_memory(t->err);
	t->calls = calls;
	t->calls[t->n_calls++] = (struct call){jv_str(id), jv_str(name)};
	begin(t, index);
	strbuf_add_c(&t->tool_calls, t->tool_calls.len ? ",{\"id\":" : "{\"id\":");
	add_str(&t->tool_calls, jv_str(id));
	strbuf_add_c(&t->tool_calls, ",\"type\":\"function\",\"function\":{\"name\":");
	add_str(&t->tool_calls, jv_str(name));
	strbuf_add_c(&t->tool_calls, ",\"arguments\":");
	jv_write(input, &t->tool_calls);
	strbuf_add_c(&t->tool_calls, "}}");
	return HOKKU_OK;
}

/* That v is a string or an array of text blocks; what: what it is of. */
static enum hokku_code check_texts(const char *path, const struct jv *v, bool empty,
				   struct request_error *err)
{
	char element[64], number[24], field[64], found[96];
	if (jv_is(v, JV_STRING))
		return HOKKU_OK;
	if (!jv_is(v, JV_ARRAY) || (jv_len(v) == 0 && !empty))
		return bad(err, path, "is %s; it takes a string or an array of %stext blocks",
			   v ? field_describe(v, found) : "missing", empty ? "" : "at least one of ");
	for (size_t i = 0; i < jv_len(v); i++) {
		const struct jv *block = jv_at(v, i), *type = jv_get(block, "type");
		snprintf(number, sizeof number, "%zu", i);
		anthropic_at(path, number, element);
		if (!jv_is(block, JV_OBJECT))
			return bad(err, element, "is %s; it takes {\"type\": \"text\", \"text\": \"...\"}",
				   field_describe(block, found));
		if (str_eq_c(jv_str(type), "text")) {
			enum hokku_code rc = check_text(element, block, err);
			if (rc)
				return rc;
			continue;
		}
		anthropic_at(element, "type", field);
		return bad(err, field, "is %s; it takes \"text\": this server reads text alone here",
			   type ? field_describe(type, found) : "missing");
	}
	return HOKKU_OK;
}

/* The content of a tool's result; templates have no field for one that failed: its text says so. */
static void put_result(struct translation *t, const struct jv *content, bool failed)
{
	struct strbuf text = {0};
	struct str first =
		jv_is(content, JV_ARRAY) ? jv_str(jv_get(jv_at(content, 0), "text")) : jv_str(content);
	strbuf_add_c(&text, failed ? first.len ? "Error: " : "Error" : "");
	strbuf_add(&text, first.len ? first.ptr : "", first.len);
	t->no_memory |= text.failed;
	add_text(t, (struct str){text.ptr ? text.ptr : "", text.len});
	for (size_t i = 1; i < jv_len(content); i++)
		add_text(t, jv_str(jv_get(jv_at(content, i), "text")));
	put_parts(t);
	strbuf_free(&text);
}

static enum hokku_code take_tool_result(struct translation *t, const char *path, size_t index,
					const struct jv *block)
{
	static const char *const known[] = {"type",          "tool_use_id",  "content", "is_error",
					    "cache_control", "toolset_name", NULL};
	char field[64], found[96];
	bool failed = false;
	const struct jv *id = jv_get(block, "tool_use_id"), *content = jv_get(block, "content"),
			*is_error = jv_get(block, "is_error"), *toolset = jv_get(block, "toolset_name");
	enum hokku_code rc = anthropic_check_members(path, "a tool_result block", block, known, t->err);
	if (!rc)
		rc = anthropic_check_cache_control(path, jv_get(block, "cache_control"), t->err);
	if (!rc)
		rc = take_id(path, "tool_use_id", id, t->err);
	anthropic_at(path, "is_error", field);
	if (!rc && !jv_none(is_error))
		rc = field_bool(field, is_error, &failed, t->err);
	anthropic_at(path, "content", field);
	if (!rc && !jv_none(content))
		rc = check_texts(field, content, true, t->err);
	if (rc)
		return rc;
	anthropic_at(path, "toolset_name", field);
	if (!jv_none(toolset))
		return bad(t->err, field, "is %s; this server knows no toolsets: leave it out",
			   field_describe(toolset, found));
	const struct call *call = find_call(t, jv_str(id));
	anthropic_at(path, "tool_use_id", field);
	if (!call)
		return bad(t->err, field, "is %s, and no tool_use block before it has that id",
			   field_describe(id, found));
	flush(t);
	open_message(t, "tool", (uint32_t)index);
	put_result(t, content, failed);
	strbuf_add_c(&t->out, ",\"tool_call_id\":");
	add_str(&t->out, call->id);
	strbuf_add_c(&t->out, ",\"name\":");
	add_str(&t->out, call->name);
	strbuf_add_c(&t->out, "}");
	return HOKKU_OK;
}

/* What each side's blocks may be. */
static const struct block {
	const char *type;
	bool user, assistant;
	enum hokku_code (*take)(struct translation *t, const char *path, size_t index,
				const struct jv *block);
} blocks[] = {
	{"text", true, true, take_text},          {"tool_result", true, false, take_tool_result},
	{"thinking", false, true, take_thinking}, {"redacted_thinking", false, true, take_redacted},
	{"tool_use", false, true, take_tool_use},
};

static enum hokku_code take_block(struct translation *t, const char *path, size_t index,
				  const struct jv *block)
{
	char field[64], found[96];
	const struct jv *type = jv_get(block, "type");
	if (!jv_is(block, JV_OBJECT))
		return bad(t->err, path,
			   "is %s; it takes an object as {\"type\": \"text\", \"text\": \"...\"}",
			   field_describe(block, found));
	for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
		if (str_eq_c(jv_str(type), blocks[i].type) &&
		    (t->assistant ? blocks[i].assistant : blocks[i].user))
			return blocks[i].take(t, path, index, block);
	anthropic_at(path, "type", field);
	return bad(
		t->err, field,
		t->assistant
			? "is %s; of the assistant it takes \"text\", \"thinking\", \"redacted_thinking\" or "
			  "\"tool_use\""
			: "is %s; of the user it takes \"text\" or \"tool_result\": this server reads text alone",
		type ? field_describe(type, found) : "missing");
}

/* ---- messages ---- */

/* A message of system's, on top or among the others. */
static void put_system(struct translation *t, const struct jv *content, const bool *left_out, uint32_t origin)
{
	flush(t);
	t->assistant = false;
	if (jv_is(content, JV_STRING))
		add_text(t, jv_str(content));
	for (size_t i = 0; i < jv_len(content); i++)
		if (!left_out || !left_out[i])
			add_text(t, jv_str(jv_get(jv_at(content, i), "text")));
	if (!t->n_parts)
		return;
	open_message(t, "system", origin);
	put_parts(t);
	strbuf_add_c(&t->out, "}");
}

static enum hokku_code take_message(struct translation *t, const struct jv *m, size_t index)
{
	static const char *const known[] = {"role", "content", NULL};
	char path[64], field[64], found[96];
	snprintf(path, sizeof path, "messages.%zu", index);
	if (!jv_is(m, JV_OBJECT))
		return bad(t->err, path, "is %s; it takes an object with role and content",
			   field_describe(m, found));
	const struct jv *role = jv_get(m, "role"), *content = jv_get(m, "content");
	bool assistant = str_eq_c(jv_str(role), "assistant"), system = str_eq_c(jv_str(role), "system");
	enum hokku_code rc = anthropic_check_members(path, "a message", m, known, t->err);
	if (rc)
		return rc;
	anthropic_at(path, "role", field);
	if (!assistant && !system && !str_eq_c(jv_str(role), "user"))
		return bad(t->err, field, "is %s; it takes \"user\", \"assistant\" or \"system\"",
			   role ? field_describe(role, found) : "missing");
	anthropic_at(path, "content", field);
	if (system) {
		rc = check_texts(field, content, false, t->err);
		if (!rc)
			put_system(t, content, NULL, (uint32_t)index);
		return rc;
	}
	if (!jv_is(content, JV_STRING) && jv_len(content) == 0)
		return bad(t->err, field, "is %s; it takes a string or an array of at least one block",
			   content ? field_describe(content, found) : "missing");
	if (assistant != t->assistant)
		flush(t);
	t->assistant = assistant;
	if (jv_is(content, JV_STRING)) {
		if (t->tool_calls.len)
			flush(t);
		begin(t, index);
		add_text(t, jv_str(content));
	}
	for (size_t i = 0; i < jv_len(content) && !rc; i++) {
		snprintf(path, sizeof path, "messages.%zu.content.%zu", index, i);
		rc = take_block(t, path, index, jv_at(content, i));
	}
	return rc;
}

/* The last message is the assistant's: the answer begins with it. */
static enum hokku_code take_begun(struct translation *t, const struct jv *messages)
{
	char path[64], field[64], found[96];
	size_t last = jv_len(messages) - 1;
	const struct jv *content = jv_get(jv_at(messages, last), "content"), *only = jv_at(content, 0);
	snprintf(path, sizeof path, "messages.%zu", last);
	if (!t->n)
		return bad(t->err, "messages",
			   "holds nothing but the beginning of an answer; it takes what is answered, too");
	if (jv_is(content, JV_ARRAY) &&
	    (jv_len(content) > 1 || !str_eq_c(jv_str(jv_get(only, "type")), "text")))
		return bad(t->err, anthropic_at(path, "content", field),
			   "is %s; the last message is the user's, or one text, with which the answer begins",
			   field_describe(content, found));
	if (t->origin != last)
		return bad(
			t->err, anthropic_at(path, "role", field),
			"is \"assistant\", as that of the message before it; an answer begins with one text");
	t->r->begun = t->only;
	t->begun = false;
	return HOKKU_OK;
}

static enum hokku_code take_messages(struct translation *t, const struct jv *v)
{
	char found[96];
	if (jv_none(v) || jv_len(v) == 0)
		return bad(t->err, "messages", "is %s; it takes an array of at least one {role, content}",
			   v ? field_describe(v, found) : "missing");
	for (size_t i = 0; i < jv_len(v); i++) {
		enum hokku_code rc = take_message(t, jv_at(v, i), i);
		if (rc)
			return rc;
	}
	warn_left_out(t, &t->redacted,
		      "is redacted_thinking, which no model here can read: it has no effect");
	warn_left_out(t, &t->cut, "is of a call that was cut and has no effect: its input counts");
	if (t->assistant)
		return take_begun(t, v);
	flush(t);
	return HOKKU_OK;
}

/* The one rule by which something is left out of a prompt: such a block changes with every request, and
 * everything behind it would be computed anew. */
static enum hokku_code take_system(struct translation *t, const struct jv *v, bool keep)
{
	static const char header[] = "x-anthropic-billing-header:";
	char path[64];
	if (jv_none(v))
		return HOKKU_OK;
	enum hokku_code rc = check_texts("system", v, true, t->err);
	bool *left_out = rc ? NULL : calloc(jv_len(v) + 1, sizeof *left_out);
	if (!left_out)
		return rc ? rc : field_no_memory(t->err);
	for (size_t i = 0; i < jv_len(v) && !keep; i++) {
		left_out[i] = str_starts(jv_str(jv_get(jv_at(v, i), "text")), str_c(header));
		snprintf(path, sizeof path, "system.%zu", i);
		if (left_out[i])
			leave_out(&t->billing, path);
	}
	warn_left_out(t, &t->billing,
		      "begins with x-anthropic-billing-header: and was left out of the prompt "
		      "(--keep-billing-header keeps it)");
	put_system(t, v, left_out, REQUEST_ORIGIN_SYSTEM);
	free(left_out);
	return HOKKU_OK;
}

/* ---- all of it ---- */

/* What was written is read as a request of OpenAI's would be. */
static enum hokku_code read_back(struct translation *t, const struct strbuf *tools)
{
	struct gen_request *r = t->r;
	struct strbuf json = {0};
	char field[64];
	const struct jv *made;
	json.failed = t->out.failed || tools->failed || t->no_memory;
	strbuf_add_c(&json, "{\"messages\":[");
	strbuf_add(&json, t->out.ptr, t->out.len);
	strbuf_add_c(&json, "],\"tools\":[");
	strbuf_add(&json, tools->ptr, tools->len);
	strbuf_add_c(&json, "]}");
	strbuf_free(&t->out);
	enum hokku_code rc = request_make(r, &json, &made, t->err);
	strbuf_free(&json);
	if (rc)
		return rc;
	r->tools = jv_len(jv_get(made, "tools")) ? jv_get(made, "tools") : NULL;
	r->messages = malloc(t->n * sizeof *r->messages);
	if (!r->messages)
		return field_no_memory(t->err);
	r->n_messages = t->n;
	r->origins = t->origins;
	t->origins = NULL;
	for (size_t i = 0; i < t->n && !rc; i++)
		rc = chat_message_read(jv_at(jv_get(made, "messages"), i), i, &r->messages[i], field,
				       &t->err->error);
	return rc ? err_set(&t->err->error, HOKKU_INTERNAL, "a message was translated to what cannot be read")
		  : rc;
}

enum hokku_code anthropic_translate(struct gen_request *r, bool keep, struct request_error *err)
{
	struct translation t = {.r = r, .err = err, .only = {"", 0}};
	struct strbuf tools = {0};
	const struct jv *root = &r->json.root;
	enum hokku_code rc = take_system(&t, jv_get(root, "system"), keep);
	if (!rc)
		rc = take_messages(&t, jv_get(root, "messages"));
	if (!rc)
		rc = anthropic_put_tools(jv_get(root, "tools"), &tools, err);
	if (!rc)
		rc = read_back(&t, &tools);
	strbuf_free(&tools);
	strbuf_free(&t.out);
	strbuf_free(&t.parts);
	strbuf_free(&t.thinking);
	strbuf_free(&t.tool_calls);
	free(t.origins);
	free(t.calls);
	return rc;
}
