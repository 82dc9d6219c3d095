#include "engine/conversation.h"

#include <stdlib.h>

static enum hokku_code read_json(const char *name, const char *text, size_t n_bytes, enum jv_type type,
				 struct jv_doc *out, struct hokku_error *err)
{
	struct hokku_error why;
	char found[96];
	const struct str json = {text, n_bytes ? n_bytes : strlen(text)};
	enum hokku_code rc = jv_parse(json, JV_STRICT, out, &why);
	if (rc) {
		*out = (struct jv_doc){0};
		return err_set(err, rc == HOKKU_OUT_OF_MEMORY ? rc : HOKKU_INVALID_REQUEST,
			       "%s is no JSON: %.300s", name, why.message);
	}
	if (out->root.type == type)
		return HOKKU_OK;
	return err_set(err, HOKKU_INVALID_REQUEST, "%s is %s; it takes %s", name,
		       jv_text(&out->root, found, sizeof found), type == JV_ARRAY ? "an array" : "an object");
}

static enum hokku_code read_messages(struct conversation *c, struct hokku_error *err)
{
	char field[64];
	size_t n = jv_len(&c->messages.root);
	if (n == 0)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "messages is an empty array; it takes at least one message");
	c->list = calloc(n, sizeof *c->list);
	if (!c->list)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for %zu messages", n);
	enum hokku_code rc = HOKKU_OK;
	for (size_t i = 0; i < n && !rc; i++)
		rc = chat_message_read(jv_at(&c->messages.root, i), i, &c->list[i], field, err);
	return rc;
}

static enum hokku_code read_tools(struct conversation *c, struct hokku_error *err)
{
	const struct hokku_conversation *g = &c->given;
	struct str name = str_c(g->tool_name ? g->tool_name : "");
	bool found = false;
	for (size_t i = 0; i < jv_len(&c->tools.root); i++) {
		const struct jv *f = jv_get(jv_at(&c->tools.root, i), "function"), *own = jv_get(f, "name");
		if (!jv_str(own).len)
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "tools[%zu].function.name is %s; it takes a string", i,
				       jv_is(own, JV_STRING) ? "empty" : "missing");
		found |= str_eq(jv_str(own), name);
	}
	bool must = g->tool_choice == HOKKU_TOOLS_REQUIRED || g->tool_choice == HOKKU_TOOLS_NAMED;
	if (must && !jv_len(&c->tools.root))
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "tool_choice asks for a call, and there are no tools");
	if (g->tool_choice == HOKKU_TOOLS_NAMED && !found)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "tool_name is \"%.60s\", which none of tools is called", name.ptr);
	return HOKKU_OK;
}

static enum hokku_code read_given(struct conversation *c, struct hokku_error *err)
{
	const struct hokku_conversation *g = &c->given;
	if (!g->messages)
		return err_set(err, HOKKU_INVALID_REQUEST, "messages of the conversation is NULL");
	if ((unsigned)g->tool_choice > HOKKU_TOOLS_NAMED)
		return err_set(err, HOKKU_INVALID_REQUEST, "tool_choice is %d; there are 0 to %d",
			       (int)g->tool_choice, HOKKU_TOOLS_NAMED);
	if ((unsigned)g->thinking > HOKKU_THINKING_ON)
		return err_set(err, HOKKU_INVALID_REQUEST, "thinking is %d; there are 0 to %d",
			       (int)g->thinking, HOKKU_THINKING_ON);
	enum hokku_code rc =
		read_json("messages", g->messages, g->messages_bytes, JV_ARRAY, &c->messages, err);
	if (!rc)
		rc = read_messages(c, err);
	if (!rc && g->tools)
		rc = read_json("tools", g->tools, g->tools_bytes, JV_ARRAY, &c->tools, err);
	if (!rc)
		rc = read_tools(c, err);
	if (!rc && g->template_arguments)
		rc = read_json("template_arguments", g->template_arguments, 0, JV_OBJECT, &c->kwargs, err);
	if (!rc && g->template_arguments && chat_check_kwargs(&c->kwargs.root, err))
		rc = err_prefix(err, HOKKU_INVALID_REQUEST, "template_arguments");
	return rc;
}

/* There is nobody to hear it: what cannot be enforced and was not promised is drawn freely (hokku.h). */
static void not_told(void *user, const char *text)
{
	(void)user;
	(void)text;
}

static void on_dialect_part(void *user, const struct part *part)
{
	static const enum hokku_part_kind kinds[] = {
		[PART_TEXT] = HOKKU_PART_TEXT,         [PART_THINKING] = HOKKU_PART_THINKING,
		[PART_CALL] = HOKKU_PART_CALL,         [PART_ARGUMENTS] = HOKKU_PART_ARGUMENTS,
		[PART_CALL_END] = HOKKU_PART_CALL_END,
	};
	struct conversation *c = user;
	const struct hokku_part told = {kinds[part->kind], part->call, part->text.ptr ? part->text.ptr : "",
					part->text.len};
	if (c->given.on_part && !c->refused)
		c->refused = !c->given.on_part(c->user, &told);
}

static enum hokku_code render(struct conversation *c, const struct engine *e, struct tok_ids *ids,
			      struct request_error *fault)
{
	const struct chat_input in = {
		.messages = c->list,
		.n_messages = jv_len(&c->messages.root),
		.tools = c->given.tool_choice == HOKKU_TOOLS_NONE || !jv_len(&c->tools.root) ? NULL
											     : &c->tools.root,
		.kwargs = {c->calling.kwargs.root.n ? &c->calling.kwargs.root : NULL,
			   c->given.template_arguments ? &c->kwargs.root : NULL},
		.now = c->now,
	};
	return dialect_render(engine_dialect(e), engine_chat(e), engine_tok(e), &in, ids, NULL,
			      &fault->error);
}

enum hokku_code conversation_open(struct conversation *c, const struct engine *e, struct tok_ids *ids,
				  struct hokku_error *err)
{
	static const enum tool_choice choices[] = {
		[HOKKU_TOOLS_AUTO] = TOOLS_AUTO,
		[HOKKU_TOOLS_NONE] = TOOLS_NONE,
		[HOKKU_TOOLS_REQUIRED] = TOOLS_REQUIRED,
		[HOKKU_TOOLS_NAMED] = TOOLS_NAMED,
	};
	static const enum thinking thinkings[] = {
		[HOKKU_THINKING_UNSAID] = THINKING_UNSAID,
		[HOKKU_THINKING_OFF] = THINKING_OFF,
		[HOKKU_THINKING_ON] = THINKING_ON,
	};
	struct request_error fault = {.field = ""};
	const struct dialect_found *found = engine_dialect(e);
	enum hokku_code rc = read_given(c, err);
	if (rc)
		return rc;
	c->ask.tools = jv_len(&c->tools.root) ? &c->tools.root : NULL;
	c->ask.choice = choices[c->given.tool_choice];
	c->ask.tool_name = str_c(c->given.tool_name ? c->given.tool_name : "");
	c->ask.one_call = c->given.one_call;
	c->ask.thinking = thinkings[c->given.thinking];
	c->ask.effort = c->given.effort ? str_c(c->given.effort) : (struct str){NULL, 0};
	c->ask.budget = c->given.thinking_budget;
	c->ask.shape_text = &c->shape_text;
	c->ask.warn = not_told;
	rc = calling_begin(&c->calling, &c->ask, found, &fault);
	if (!rc)
		rc = render(c, e, ids, &fault);
	if (!rc)
		rc = calling_go_on(&c->calling, &c->ask, found, engine_tok(e), ids, &fault);
	if (!rc && c->calling.reads) {
		c->reader = calling_reader(&c->calling, on_dialect_part, c);
		if (!c->reader)
			rc = err_set(&fault.error, HOKKU_OUT_OF_MEMORY, "no memory for the request");
	}
	if (rc && err)
		*err = fault.error;
	return rc;
}

bool conversation_feed(struct conversation *c, uint32_t index, struct str text)
{
	struct hokku_error err;
	if (c->reader) {
		thinking_count_token(&c->thought, c->reader, index);
		return !dialect_reader_feed(c->reader, text, &err) && !c->refused;
	}
	if (text.len)
		on_dialect_part(c, &(struct part){.kind = PART_TEXT, .text = text});
	return !c->refused;
}

bool conversation_end(struct conversation *c)
{
	struct hokku_error err;
	return (!c->reader || !dialect_reader_end(c->reader, &err)) && !c->refused;
}

uint32_t conversation_thinking(struct conversation *c, uint32_t n_tokens)
{
	return thinking_count_end(&c->thought, n_tokens);
}

void conversation_close(struct conversation *c)
{
	dialect_reader_free(c->reader);
	calling_free(&c->calling);
	strbuf_free(&c->shape_text);
	free(c->list);
	jv_doc_free(&c->messages);
	jv_doc_free(&c->tools);
	jv_doc_free(&c->kwargs);
	*c = (struct conversation){0};
}
