/*
 * Which forms of a message a template understands, found out by trying: templates of old take a content as a
 * string, some newer ones only as a list of parts; some take the arguments of a tool call as an object,
 * others as text, some write None for a content that is null. A form that comes through is left as it is, as
 * transformers does; one that does not is turned into the other, so that nothing of a message is lost.
 */
#include "text/chat_internal.h"

static bool has(struct str text, const char *what)
{
	return text.len && memmem(text.ptr, text.len, what, strlen(what)) != NULL;
}

/* Renders the messages of json as they are; false: the template would not. */
static bool try_messages(const struct chat *c, const char *json, const char *tools_json, struct chat_run *run)
{
	static const struct jinja_time now = {2026, 1, 1, 0, 0, 0};
	struct chat as_given = *c;
	struct jv_doc doc, tools = {0};
	struct chat_message messages[4];
	struct chat_told told;
	char field[64];
	struct str specials[CHAT_N_SPECIALS] = {0};
	*run = (struct chat_run){0};
	as_given.forms =
		(struct chat_forms){true, true, true, false, false}; /* arguments are left as they are */
	specials[0] = STR_LIT("<bos>");
	specials[1] = STR_LIT("<eos>");
	if (jv_parse(str_c(json), JV_STRICT, &doc, NULL))
		return false;
	bool ok = !tools_json || !jv_parse(str_c(tools_json), JV_STRICT, &tools, NULL);
	struct chat_input in = {.messages = messages, .n_messages = jv_len(&doc.root), .now = &now};
	in.tools = tools_json ? &tools.root : NULL;
	in.trial = true;
	for (size_t i = 0; ok && i < in.n_messages; i++)
		ok = !chat_message_read(jv_at(&doc.root, i), i, &messages[i], field, NULL);
	ok = ok && !chat_run(&as_given, specials, &in, run, &told, NULL);
	jv_doc_free(&doc);
	jv_doc_free(&tools);
	return ok;
}

static bool content_comes_through(const struct chat *c, const char *json, bool two)
{
	struct chat_run run;
	bool ok = try_messages(c, json, NULL, &run);
	if (ok) {
		struct str text = jinja_text(run.jinja);
		ok = has(text, "probe-one") && (!two || has(text, "probe-two")) && !has(text, "'type'") &&
		     !has(text, "\"type\"");
	}
	chat_run_deinit(&run);
	return ok;
}

#define CALL(content, arguments)                                                                                         \
	"[{\"role\": \"user\", \"content\": \"x\"}, {\"role\": \"assistant\", \"content\": " content                     \
	", \"tool_calls\": "                                                                                             \
	"[{\"id\": \"call00001\", \"type\": \"function\", \"function\": {\"name\": \"probe\", \"arguments\": " arguments \
	"}}]}, {\"role\": \"tool\", \"tool_call_id\": \"call00001\", \"name\": \"probe\", \"content\": \"y\"}]"

/* How often what is in text. */
static size_t count(struct str text, const char *what)
{
	size_t n = 0, len = strlen(what);
	for (size_t i = 0; i + len <= text.len; i++)
		n += memcmp(text.ptr + i, what, len) == 0;
	return n;
}

/* Do the arguments of the call in json come through? *n_none: how often "None" stands in the text. */
static bool call_comes_through(const struct chat *c, const char *json, size_t *n_none)
{
	static const char tools[] =
		"[{\"type\": \"function\", \"function\": {\"name\": \"probe\", \"description\": \"d\", \"parameters\": "
		"{\"type\": \"object\", \"properties\": {\"unlike\": {\"type\": \"string\", \"description\": \"d\"}}, "
		"\"required\": [\"unlike\"]}}}]";
	struct chat_run run;
	*n_none = 0;
	bool ok = try_messages(c, json, tools, &run);
	if (ok) {
		struct str text = jinja_text(run.jinja);
		*n_none = count(text, "None");
		ok = has(text, "argument-one") && has(text, "value-one") && !has(text, "\\\"argument-one");
	}
	chat_run_deinit(&run);
	return ok;
}

#define OBJECT "{\"argument-one\": \"value-one\"}"
#define TEXT   "\"{\\\"argument-one\\\": \\\"value-one\\\"}\""

static void learn_calls(struct chat *c)
{
	size_t with_object, with_text, with_null;
	c->forms.object_args = call_comes_through(c, CALL("\"\"", OBJECT), &with_object);
	c->forms.string_args = call_comes_through(c, CALL("\"\"", TEXT), &with_text);
	bool object = c->forms.object_args;
	c->forms.nulls =
		call_comes_through(c, object ? CALL("null", OBJECT) : CALL("null", TEXT), &with_null) &&
		with_null <= (object ? with_object : with_text);
}

void chat_learn_forms(struct chat *c)
{
	c->forms.strings =
		content_comes_through(c, "[{\"role\": \"user\", \"content\": \"probe-one\"}]", false);
	c->forms.parts = content_comes_through(
		c,
		"[{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"probe-one\"}, {\"type\": \"text\", "
		"\"text\": \"probe-two\"}]}]",
		true);
	if (!c->forms.parts) /* where neither comes through, strings are what most templates take */
		c->forms.strings = true;
	learn_calls(c);
}
