/* A conversation with tools to a prompt: what the template leaves out is put in first. */
#include <stdlib.h>

#include "text/dialect_internal.h"

static bool needs_completing(const struct dialect_found *f, const struct chat_input *in)
{
	if (jv_len(in->tools) && !f->lists_tools)
		return true;
	for (size_t i = 0; i < in->n_messages; i++) {
		const struct chat_message *m = &in->messages[i];
		size_t n_calls = jv_len(jv_get(m->json, "tool_calls"));
		bool result = str_eq_c(m->role, "tool") || str_eq_c(m->role, "function");
		if ((n_calls && !f->writes_calls) || (n_calls > 1 && !f->writes_several) ||
		    (f->short_ids && !dialect_ids_fit(m->json)) || (result && !f->writes_results))
			return true;
	}
	return false;
}

static void write_messages(const struct chat_input *in, struct strbuf *out)
{
	strbuf_add_c(out, "[");
	for (size_t i = 0; i < in->n_messages; i++) {
		const struct chat_message *m = &in->messages[i];
		strbuf_add_c(out, i ? "," : "");
		if (m->json) {
			jv_write(m->json, out);
			continue;
		}
		strbuf_add_c(out, "{\"role\":");
		strbuf_add_json(out, m->role.ptr, m->role.len);
		strbuf_add_c(out, ",\"content\":");
		strbuf_add_json(out, m->content.ptr ? m->content.ptr : "", m->content.len);
		strbuf_add_c(out, "}");
	}
	strbuf_add_c(out, "]");
}

/* The messages, what the template leaves out put in, as JSON. */
static enum hokku_code complete(const struct dialect_found *f, const struct chat_input *in,
				struct jv_doc *made, struct hokku_error *err)
{
	struct strbuf text = {0};
	struct jv_doc given;
	write_messages(in, &text);
	enum hokku_code rc = text.failed ? err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the messages")
					 : jv_parse((struct str){text.ptr, text.len}, JV_STRICT, &given, err);
	strbuf_clear(&text);
	if (!rc) {
		rc = dialect_complete(f, &given.root, in->tools, &text, err);
		jv_doc_free(&given);
	}
	if (!rc)
		rc = jv_parse((struct str){text.ptr, text.len}, JV_STRICT, made, err);
	strbuf_free(&text);
	return rc;
}

/* Where a prompt goes: ids, or text. */
struct goal {
	struct tok_ids *ids;
	struct strbuf *text;
};

static enum hokku_code render(const struct chat *c, const struct tok *t, const struct chat_input *in,
			      struct goal g, struct chat_told *told, struct hokku_error *err)
{
	return g.ids ? chat_render(c, t, in, g.ids, told, err)
		     : chat_render_text(c, t, in, g.text, told, err);
}

/* Numbers of messages are no longer the request's: the error that begins with one speaks of them all. */
static void forget_number(enum hokku_code rc, struct chat_told *told, struct hokku_error *err)
{
	static const char begin[] = "messages[";
	struct hokku_error before = *err;
	const char *end = strstr(before.message, "]: ");
	told->message = -1;
	if (rc == HOKKU_INVALID_REQUEST && end && strncmp(before.message, begin, sizeof begin - 1) == 0)
		err_set(err, rc, "messages%s", end + 1);
}

static enum hokku_code render_completed(const struct dialect_found *f, const struct chat *c,
					const struct tok *t, const struct chat_input *in, struct goal g,
					struct chat_told *told, struct hokku_error *err)
{
	struct jv_doc made;
	char field[64];
	bool usable = c->kind == CHAT_CHATML || c->kind == CHAT_JINJA;
	if (!f || !usable || !needs_completing(f, in))
		return render(c, t, in, g, told, err);
	enum hokku_code rc = complete(f, in, &made, err);
	if (rc)
		return rc;
	struct chat_input completed = *in;
	struct chat_message *messages = calloc(jv_len(&made.root) + 1, sizeof *messages);
	if (!messages)
		rc = err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the messages");
	for (size_t i = 0; i < jv_len(&made.root) && !rc; i++)
		rc = chat_message_read(jv_at(&made.root, i), i, &messages[i], field, err);
	completed.messages = messages;
	completed.n_messages = jv_len(&made.root);
	completed.tools = f->lists_tools ? in->tools : NULL;
	if (!rc)
		rc = render(c, t, &completed, g, told, err);
	if (rc && told)
		forget_number(rc, told, err);
	free(messages);
	jv_doc_free(&made);
	return rc;
}

enum hokku_code dialect_render(const struct dialect_found *f, const struct chat *c, const struct tok *t,
			       const struct chat_input *in, struct tok_ids *out, struct chat_told *told,
			       struct hokku_error *err)
{
	return render_completed(f, c, t, in, (struct goal){.ids = out}, told, err);
}

enum hokku_code dialect_render_text(const struct dialect_found *f, const struct chat *c, const struct tok *t,
				    const struct chat_input *in, struct strbuf *out, struct chat_told *told,
				    struct hokku_error *err)
{
	return render_completed(f, c, t, in, (struct goal){.text = out}, told, err);
}
