/*
 * What a template leaves out of a conversation with tools, put into the messages' contents: which tools there
 * are and how to call them, calls in the dialect's own way, results as what the user says.
 */
#include "text/dialect_internal.h"

static bool is_result(const struct jv *m)
{
	struct str role = jv_str(jv_get(m, "role"));
	return str_eq_c(role, "tool") || str_eq_c(role, "function");
}

static bool is_system(const struct jv *m)
{
	struct str role = jv_str(jv_get(m, "role"));
	return str_eq_c(role, "system") || str_eq_c(role, "developer");
}

static bool is_user(const struct jv *m)
{
	return str_eq_c(jv_str(jv_get(m, "role")), "user");
}

bool dialect_completes(const struct dialect_found *f, const struct jv *messages, const struct jv *tools)
{
	if (jv_len(tools) && !f->lists_tools)
		return true;
	for (size_t i = 0; i < jv_len(messages); i++) {
		size_t n_calls = jv_len(jv_get(jv_at(messages, i), "tool_calls"));
		if ((n_calls && !f->writes_calls) || (n_calls > 1 && !f->writes_several) ||
		    (f->short_ids && !dialect_ids_fit(jv_at(messages, i))) ||
		    (is_result(jv_at(messages, i)) && !f->writes_results))
			return true;
	}
	return false;
}

/* ---- what is told ---- */

static void tell_tools(const struct dialect_found *f, const struct jv *tools, struct strbuf *out)
{
	struct jv_doc example = {0};
	struct dialect_call call = {.name = STR_LIT("NAME"), .id = STR_LIT("000000000")};
	if (!jv_parse(STR_LIT("{\"PARAMETER\": \"VALUE\"}"), JV_STRICT, &example, NULL))
		call.args = &example.root;
	strbuf_add_c(out, "You can call these tools, each described by a line of JSON:\n\n");
	for (size_t i = 0; i < jv_len(tools); i++) {
		const struct jv *function = jv_get(jv_at(tools, i), "function");
		dialect_write_json(function ? function : jv_at(tools, i), true, out);
		strbuf_add_c(out, "\n");
	}
	strbuf_add_c(out, "\nTo call a tool, write its name and its arguments in this form:\n\n");
	dialect_write_calls(f->dialect, f->form, &call, 1, out);
	strbuf_add_c(
		out,
		"\n\nSeveral calls may follow one another. After them end your message: what the tools answer "
		"comes next.");
	jv_doc_free(&example);
}

/* ---- messages ---- */

/* A content as the request has it, a text added: before it or behind. */
static void add_content(const struct jv *content, struct str more, bool before, struct strbuf *out)
{
	struct strbuf text = {0};
	if (jv_is(content, JV_ARRAY)) {
		struct strbuf part = {0};
		strbuf_add_c(&part, "{\"type\": \"text\", \"text\": ");
		strbuf_add_json(&part, more.ptr, more.len);
		strbuf_add_c(&part, "}");
		strbuf_add_c(out, "[");
		if (before)
			strbuf_addf(out, "%s%s", part.ptr ? part.ptr : "", content->n ? ", " : "");
		for (size_t i = 0; i < content->n; i++) {
			strbuf_add_c(out, i ? ", " : "");
			jv_write(jv_at(content, i), out);
		}
		if (!before)
			strbuf_addf(out, "%s%s", content->n ? ", " : "", part.ptr ? part.ptr : "");
		strbuf_add_c(out, "]");
		out->failed = out->failed || part.failed;
		strbuf_free(&part);
		return;
	}
	struct str is = jv_str(content);
	if (before)
		strbuf_add(&text, more.ptr, more.len);
	strbuf_add_c(&text, before && is.len ? "\n\n" : "");
	strbuf_add(&text, is.ptr ? is.ptr : "", is.len);
	if (!before)
		strbuf_addf(&text, "%s%.*s", is.len ? "\n\n" : "", STR_ARG(more));
	strbuf_add_json(out, text.ptr ? text.ptr : "", text.len);
	out->failed = out->failed || text.failed;
	strbuf_free(&text);
}

/* m with another content (JSON) and without the calls in it. */
static void put_message(const struct jv *m, struct str content, struct strbuf *out)
{
	bool any = false;
	strbuf_add_c(out, "{");
	for (uint32_t i = 0; i < m->n; i++) {
		struct str key = jv_key(m, i);
		if (str_eq_c(key, "content") || str_eq_c(key, "tool_calls"))
			continue;
		strbuf_add_c(out, any ? ", " : "");
		strbuf_add_json(out, key.ptr, key.len);
		strbuf_add_c(out, ": ");
		jv_write(jv_value(m, i), out);
		any = true;
	}
	strbuf_addf(out, "%s\"content\": ", any ? ", " : "");
	strbuf_add(out, content.ptr, content.len);
	strbuf_add_c(out, "}");
}

static void put_with(const struct jv *m, struct str more, bool before, struct strbuf *out)
{
	struct strbuf content = {0};
	add_content(jv_get(m, "content"), more, before, &content);
	put_message(m, (struct str){content.ptr, content.len}, out);
	out->failed = out->failed || content.failed;
	strbuf_free(&content);
}

static void put_calls(const struct dialect_found *f, const struct jv *m, struct strbuf *out)
{
	struct dialect_call calls[DIALECT_MAX_CALLS];
	struct jv_doc args[DIALECT_MAX_CALLS];
	struct strbuf text = {0};
	size_t n = dialect_read_calls(m, calls, args);
	dialect_write_calls(f->dialect, f->form, calls, n, &text);
	put_with(m, (struct str){text.ptr, text.len}, false, out);
	out->failed = out->failed || text.failed;
	strbuf_free(&text);
	for (size_t i = 0; i < n; i++)
		jv_doc_free(&args[i]);
}

/* m with call k alone; but for the first, without what it says besides. */
static void put_call_of(const struct jv *m, size_t k, struct strbuf *out)
{
	strbuf_add_c(out, "{\"role\": \"assistant\"");
	for (uint32_t i = 0; i < m->n; i++) {
		struct str key = jv_key(m, i);
		bool content = str_eq_c(key, "content");
		if (str_eq_c(key, "role") || (k && !content && !str_eq_c(key, "tool_calls")))
			continue;
		strbuf_add_c(out, ", ");
		strbuf_add_json(out, key.ptr, key.len);
		strbuf_add_c(out, ": ");
		if (str_eq_c(key, "tool_calls")) {
			strbuf_add_c(out, "[");
			jv_write(jv_at(jv_value(m, i), k), out);
			strbuf_add_c(out, "]");
		} else if (k && content) {
			strbuf_add_c(out, "\"\"");
		} else {
			jv_write(jv_value(m, i), out);
		}
	}
	strbuf_add_c(out, "}");
}

/* Several calls where the template takes one of a message: a message each, its results behind it. Returns the
 * last message that was used. */
static size_t put_split(const struct jv *messages, size_t at, struct strbuf *out)
{
	const struct jv *m = jv_at(messages, at), *calls = jv_get(m, "tool_calls");
	size_t n = jv_len(calls), end = at + 1;
	while (end < jv_len(messages) && is_result(jv_at(messages, end)))
		end++;
	for (size_t k = 0; k < n; k++) {
		struct str id = jv_str(jv_get(jv_at(calls, k), "id"));
		strbuf_add_c(out, k ? ", " : "");
		put_call_of(m, k, out);
		for (size_t i = at + 1; i < end; i++) {
			struct str of = jv_str(jv_get(jv_at(messages, i), "tool_call_id"));
			bool known = false; /* of one of the calls; else it goes with the last */
			for (size_t c = 0; c < n; c++)
				known = known ||
					(of.ptr && str_eq(jv_str(jv_get(jv_at(calls, c), "id")), of));
			if (known ? !str_eq(id, of) : k + 1 < n)
				continue;
			strbuf_add_c(out, ", ");
			jv_write(jv_at(messages, i), out);
		}
	}
	return end - 1;
}

/* Results that stand side by side are one message of the user's: many templates want the roles in turns. */
static size_t put_results(const struct jv *messages, size_t i, struct strbuf *out)
{
	struct strbuf text = {0};
	for (; i < jv_len(messages) && is_result(jv_at(messages, i)); i++) {
		const struct jv *content = jv_get(jv_at(messages, i), "content");
		strbuf_addf(&text, "%s<tool_response>\n", text.len ? "\n" : "");
		strbuf_add(&text, jv_str(content).ptr ? jv_str(content).ptr : "", jv_str(content).len);
		for (size_t k = 0; k < jv_len(content); k++) {
			struct str part = jv_str(jv_get(jv_at(content, k), "text"));
			strbuf_addf(&text, "%s%.*s", k ? "\n" : "", STR_ARG(part));
		}
		strbuf_add_c(&text, "\n</tool_response>");
	}
	strbuf_add_c(out, "{\"role\": \"user\", \"content\": ");
	strbuf_add_json(out, text.ptr, text.len);
	strbuf_add_c(out, "}");
	out->failed = out->failed || text.failed;
	strbuf_free(&text);
	return i - 1;
}

enum hokku_code dialect_complete(const struct dialect_found *f, const struct jv *messages,
				 const struct jv *tools, struct strbuf *out, struct hokku_error *err)
{
	struct strbuf told = {0};
	struct jv_doc shortened = {0};
	bool tells = jv_len(tools) && !f->lists_tools;
	if (f->short_ids && dialect_shorten_ids(messages, &shortened, err))
		return HOKKU_OUT_OF_MEMORY;
	messages = f->short_ids ? &shortened.root : messages;
	if (tells)
		tell_tools(f, tools, &told);
	struct str text = {told.ptr, told.len};
	strbuf_add_c(out, "[");
	if (tells && f->takes_system && !is_system(jv_at(messages, 0))) {
		strbuf_add_c(out, "{\"role\": \"system\", \"content\": ");
		strbuf_add_json(out, text.ptr ? text.ptr : "", text.len);
		strbuf_add_c(out, "}, ");
		tells = false;
	}
	for (size_t i = 0; i < jv_len(messages); i++) {
		const struct jv *m = jv_at(messages, i);
		size_t n_calls = jv_len(jv_get(m, "tool_calls"));
		strbuf_add_c(out, i ? ", " : "");
		if (tells && (f->takes_system ? is_system(m) : is_user(m))) {
			put_with(m, text, !f->takes_system, out);
			tells = false;
		} else if (n_calls && !f->writes_calls) {
			put_calls(f, m, out);
		} else if (n_calls > 1 && !f->writes_several) {
			i = put_split(messages, i, out);
		} else if (is_result(m) && !f->writes_results) {
			i = put_results(messages, i, out);
		} else {
			jv_write(m, out);
		}
	}
	strbuf_add_c(out, "]");
	bool failed = out->failed || told.failed;
	jv_doc_free(&shortened);
	strbuf_free(&told);
	return failed ? err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the messages") : HOKKU_OK;
}
