/*
 * Running a template over messages. What transformers' apply_chat_template passes is passed: messages, tools,
 * documents, add_generation_prompt, the special tokens and the template's arguments. A message that came as
 * JSON is passed whole, its contents and arguments in a form that the template understands (chat_forms.c).
 */
#include <stdio.h>
#include <stdlib.h>

#include "text/chat_internal.h"
#include "text/jinja/json.h"

const struct chat_special chat_specials[CHAT_N_SPECIALS] = {
	{"bos_token", "tokenizer.ggml.bos_token_id"},     {"eos_token", "tokenizer.ggml.eos_token_id"},
	{"unk_token", "tokenizer.ggml.unknown_token_id"}, {"sep_token", "tokenizer.ggml.seperator_token_id"},
	{"pad_token", "tokenizer.ggml.padding_token_id"}, {"cls_token", "tokenizer.ggml.cls_token_id"},
	{"mask_token", "tokenizer.ggml.mask_token_id"},
};

/* ---- a message as the template's value ---- */

struct work {
	struct chat_run *run;
	struct jinja_run *r;
	const struct chat_forms *forms;
	bool fill_tools; /* what they leave out is put in */
	bool tell_nulls; /* of a schema's types "null" is none */
	bool tell_more;  /* and its objects say what else they hold */
	bool no_memory;
};

/* Text i of an assistant's content that is a string or parts, behind which a refusal stands. */
static struct str content_text(const struct jv *content, size_t i, struct str refusal)
{
	size_t n = jv_is(content, JV_ARRAY) ? jv_len(content) : jv_str(content).len > 0;
	if (i >= n)
		return refusal;
	return jv_is(content, JV_ARRAY) ? chat_part_text(jv_at(content, i)) : jv_str(content);
}

static size_t n_content_texts(const struct jv *content, struct str refusal)
{
	size_t n = jv_is(content, JV_ARRAY) ? jv_len(content) : jv_str(content).len > 0;
	return n + (refusal.len > 0);
}

/* The texts, a line each. */
static struct jinja_value joined(struct work *w, const struct jv *content, struct str refusal)
{
	size_t n = 0, at = 0, n_texts = n_content_texts(content, refusal);
	for (size_t i = 0; i < n_texts; i++)
		n += content_text(content, i, refusal).len + 1;
	char *text = arena_alloc(&w->run->arena, n + 1, 1);
	if (!text) {
		w->no_memory = true;
		return jinja_none();
	}
	for (size_t i = 0; i < n_texts; i++) {
		struct str part = content_text(content, i, refusal);
		if (i)
			text[at++] = '\n';
		if (part.len)
			memcpy(text + at, part.ptr, part.len);
		at += part.len;
	}
	return jinja_string(w->r, (struct str){text, at}, false);
}

static void push_part(struct work *w, struct jinja_value list, struct str text)
{
	struct jinja_value part = jinja_dict(w->r);
	jinja_put(w->r, part, STR_LIT("type"), jinja_string(w->r, STR_LIT("text"), false));
	jinja_put(w->r, part, STR_LIT("text"), jinja_string(w->r, text, false));
	jinja_push(w->r, list, part);
}

static struct jinja_value one_part(struct work *w, struct str text)
{
	struct jinja_value list = jinja_list(w->r);
	push_part(w, list, text);
	return list;
}

/* A content with a refusal in it or behind it: text like any other of the assistant's. */
static struct jinja_value refused_value(struct work *w, const struct jv *content, struct str refusal)
{
	size_t n = n_content_texts(content, refusal);
	if (jv_is(content, JV_ARRAY) ? !w->forms->parts : w->forms->strings)
		return joined(w, content, refusal);
	struct jinja_value list = jinja_list(w->r);
	for (size_t i = 0; i < n; i++)
		push_part(w, list, content_text(content, i, refusal));
	return list;
}

static bool has_refusal(const struct jv *content)
{
	for (size_t i = 0; i < jv_len(content); i++)
		if (str_eq_c(jv_str(jv_get(jv_at(content, i), "type")), "refusal"))
			return true;
	return false;
}

static struct jinja_value content_value(struct work *w, const struct jv *v, struct str refusal)
{
	if (refusal.len || has_refusal(v))
		return refused_value(w, v, refusal);
	if (jv_none(v) && !w->forms->nulls)
		return jinja_string(w->r, (struct str){"", 0}, false);
	if (jv_is(v, JV_STRING) && !w->forms->strings)
		return one_part(w, jv_str(v));
	if (jv_is(v, JV_ARRAY) && !w->forms->parts)
		return joined(w, v, refusal);
	return jinja_from_json(w->r, v);
}

/* The JSON object that text holds; NULL: it holds none. */
static const struct jv *object_in(struct work *w, struct str text)
{
	struct chat_run *run = w->run;
	if (run->n_docs == run->cap_docs) {
		size_t cap = run->cap_docs ? run->cap_docs * 2 : 8;
		struct jv_doc *more = realloc(run->docs, cap * sizeof *more);
		if (!more) {
			w->no_memory = true;
			return NULL;
		}
		run->docs = more;
		run->cap_docs = cap;
	}
	struct jv_doc *doc = &run->docs[run->n_docs];
	if (jv_parse(text, JV_STRICT, doc, NULL))
		return NULL;
	run->n_docs++;
	/* the values' own arrays stay where they are when docs moves; the root is copied out */
	struct jv *root = arena_alloc(&run->arena, sizeof *root, _Alignof(struct jv));
	if (!root) {
		w->no_memory = true;
		return NULL;
	}
	*root = doc->root;
	return jv_is(root, JV_OBJECT) ? root : NULL;
}

/* Clients write a call without arguments as {} or as no text at all. */
static bool is_blank(struct str text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!strchr(" \t\r\n", text.ptr[i]) || !text.ptr[i])
			return false;
	return true;
}

/* Text that holds an object is given as one wherever the template takes objects, even if it takes text too:
 * then a call is rendered to one text, however a client has written its JSON. */
static struct jinja_value arguments_value(struct work *w, const struct jv *v)
{
	const struct chat_forms *f = w->forms;
	if (jv_is(v, JV_STRING) && f->object_args) {
		if (is_blank(jv_str(v)))
			return jinja_dict(w->r);
		const struct jv *object = object_in(w, jv_str(v));
		if (object)
			return jinja_from_json(w->r, object);
	}
	struct jinja_value made = jinja_from_json(w->r, v);
	if (jv_is(v, JV_OBJECT) && f->string_args && !f->object_args)
		made = jinja_to_json(w->r, made);
	return made;
}

/* v, in which every object named "arguments" of a call is in the template's form. */
static struct jinja_value call_value(struct work *w, const struct jv *v)
{
	if (!jv_is(v, JV_OBJECT))
		return jinja_from_json(w->r, v);
	struct jinja_value made = jinja_dict(w->r);
	for (uint32_t i = 0; i < v->n; i++) {
		struct str key = jv_key(v, i);
		const struct jv *value = jv_value(v, i);
		struct jinja_value member = str_eq_c(key, "arguments")  ? arguments_value(w, value)
					    : str_eq_c(key, "function") ? call_value(w, value)
									: jinja_from_json(w->r, value);
		jinja_put(w->r, made, key, member);
	}
	return made;
}

static struct jinja_value calls_value(struct work *w, const struct jv *v)
{
	if (!jv_is(v, JV_ARRAY))
		return jinja_from_json(w->r, v);
	struct jinja_value made = jinja_list(w->r);
	for (size_t i = 0; i < jv_len(v); i++)
		jinja_push(w->r, made, call_value(w, jv_at(v, i)));
	return made;
}

static struct jinja_value message_value(struct work *w, const struct chat_message *m)
{
	struct jinja_value made = jinja_dict(w->r);
	/* A role is of our list: as trusted as the template, which may make a token of it. */
	struct jinja_value role = jinja_string(w->r, m->role, true);
	if (!m->json) {
		struct jinja_value content =
			w->forms->strings ? jinja_string(w->r, m->content, false) : one_part(w, m->content);
		jinja_put(w->r, made, STR_LIT("role"), role);
		jinja_put(w->r, made, STR_LIT("content"), content);
		return made;
	}
	struct str refusal = chat_refusal(m->json);
	bool assistant = str_eq_c(m->role, "assistant"), no_content = !jv_get(m->json, "content");
	for (uint32_t i = 0; i < m->json->n; i++) {
		struct str key = jv_key(m->json, i);
		const struct jv *v = jv_value(m->json, i);
		if (assistant && str_eq_c(key, "refusal"))
			continue;
		struct jinja_value value = str_eq_c(key, "role")         ? role
					   : str_eq_c(key, "content")    ? content_value(w, v, refusal)
					   : str_eq_c(key, "tool_calls") ? calls_value(w, v)
									 : jinja_from_json(w->r, v);
		jinja_put(w->r, made, key, value);
	}
	if (refusal.len && no_content)
		jinja_put(w->r, made, STR_LIT("content"), refused_value(w, NULL, refusal));
	return made;
}

/* ---- tools ---- */

static struct jinja_value no_properties(struct work *w)
{
	struct jinja_value made = jinja_dict(w->r);
	jinja_put(w->r, made, STR_LIT("type"), jinja_string(w->r, STR_LIT("object"), false));
	jinja_put(w->r, made, STR_LIT("properties"), jinja_dict(w->r));
	return made;
}

/* JSON Schema's own default, for a template that reads it of each object. */
static void put_additional(struct work *w, const struct jv *v, struct jinja_value made)
{
	bool object = str_eq_c(jv_str(jv_get(v, "type")), "object");
	if (w->tell_more && object && !jv_get(v, "additionalProperties"))
		jinja_put(w->r, made, STR_LIT("additionalProperties"), jinja_bool(true));
}

/* A member of a schema, in which the type "null" is none, by itself and in lists of types, at any depth. */
static struct jinja_value with_nulls(struct work *w, struct str key, const struct jv *v)
{
	static const char *const values[] = {"enum", "const", "default", "examples"};
	bool type = str_eq_c(key, "type"), is_value = false;
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		is_value = is_value || str_eq_c(key, values[i]);
	if (type && str_eq_c(jv_str(v), "null"))
		return jinja_none();
	if (is_value || (!jv_is(v, JV_OBJECT) && !jv_is(v, JV_ARRAY)))
		return jinja_from_json(w->r, v);
	if (jv_is(v, JV_OBJECT)) {
		struct jinja_value made = jinja_dict(w->r);
		for (uint32_t i = 0; i < v->n; i++)
			jinja_put(w->r, made, jv_key(v, i), with_nulls(w, jv_key(v, i), jv_value(v, i)));
		put_additional(w, v, made);
		return made;
	}
	struct jinja_value list = jinja_list(w->r);
	for (size_t i = 0; i < jv_len(v); i++)
		jinja_push(w->r, list, with_nulls(w, type ? key : (struct str){"", 0}, jv_at(v, i)));
	return list;
}

static struct jinja_value member_value(struct work *w, struct str key, const struct jv *v)
{
	return w->tell_nulls ? with_nulls(w, key, v) : jinja_from_json(w->r, v);
}

static struct jinja_value filled(struct work *w, const struct jv *v, bool described);

/* Of "properties" each member is a schema. */
static struct jinja_value filled_properties(struct work *w, const struct jv *v)
{
	if (!jv_is(v, JV_OBJECT))
		return jinja_from_json(w->r, v);
	struct jinja_value made = jinja_dict(w->r);
	for (uint32_t i = 0; i < v->n; i++)
		jinja_put(w->r, made, jv_key(v, i), filled(w, jv_value(v, i), true));
	return made;
}

/* A tool, a function or a schema with all that a template may ask for without asking whether it is there: an
 * empty description where described, a tool's parameters with their type and properties. */
static struct jinja_value filled(struct work *w, const struct jv *v, bool described)
{
	if (!jv_is(v, JV_OBJECT))
		return jinja_from_json(w->r, v);
	struct jinja_value made = jinja_dict(w->r);
	bool function = jv_is(jv_get(v, "name"), JV_STRING) && !jv_get(v, "properties");
	for (uint32_t i = 0; i < v->n; i++) {
		struct str key = jv_key(v, i);
		const struct jv *value = jv_value(v, i);
		if ((described && str_eq_c(key, "description") && jv_none(value)) ||
		    (function && str_eq_c(key, "parameters") && jv_none(value)))
			continue;
		jinja_put(w->r, made, key,
			  str_eq_c(key, "function")     ? filled(w, value, true)
			  : str_eq_c(key, "parameters") ? filled(w, value, false)
			  : str_eq_c(key, "properties") ? filled_properties(w, value)
							: member_value(w, key, value));
	}
	if (described && jv_none(jv_get(v, "description")))
		jinja_put(w->r, made, STR_LIT("description"), jinja_string(w->r, STR_LIT(""), false));
	if (described && !function)
		put_additional(w, v, made);
	if (function && jv_none(jv_get(v, "parameters")))
		jinja_put(w->r, made, STR_LIT("parameters"), no_properties(w));
	if (!described && !function && !jv_get(v, "function")) { /* the parameters themselves */
		if (!jv_get(v, "type"))
			jinja_put(w->r, made, STR_LIT("type"), jinja_string(w->r, STR_LIT("object"), false));
		if (!jv_get(v, "properties"))
			jinja_put(w->r, made, STR_LIT("properties"), jinja_dict(w->r));
	}
	return made;
}

static struct jinja_value tools_value(struct work *w, const struct jv *tools)
{
	if (!w->fill_tools || !jv_is(tools, JV_ARRAY))
		return jinja_from_json(w->r, tools);
	struct jinja_value made = jinja_list(w->r);
	for (size_t i = 0; i < jv_len(tools); i++)
		jinja_push(w->r, made, filled(w, jv_at(tools, i), !jv_get(jv_at(tools, i), "function")));
	return made;
}

/* ---- the variables ---- */

static void set_variables(struct work *w, const struct str specials[CHAT_N_SPECIALS],
			  const struct chat_input *in, bool with_none)
{
	struct jinja_run *r = w->r;
	struct jinja_value messages = jinja_list(r);
	for (size_t i = 0; i < in->n_messages; i++) {
		struct jinja_value m = message_value(w, &in->messages[i]);
		jinja_mark_message(r, m, i);
		jinja_push(r, messages, m);
	}
	if (with_none) {
		jinja_set(r, STR_LIT("tools"), jinja_none());
		jinja_set(r, STR_LIT("documents"), jinja_none());
	}
	jinja_set(r, STR_LIT("add_generation_prompt"), jinja_bool(!in->no_answer));
	for (size_t k = 0; k < 3; k++)
		for (uint32_t i = 0; in->kwargs[k] && i < in->kwargs[k]->n; i++)
			jinja_set(r, jv_key(in->kwargs[k], i),
				  jinja_from_json(r, jv_value(in->kwargs[k], i)));
	jinja_set(r, STR_LIT("messages"), messages);
	if (in->tools)
		jinja_set(r, STR_LIT("tools"), tools_value(w, in->tools));
	for (size_t i = 0; i < CHAT_N_SPECIALS; i++)
		if (specials[i].ptr)
			jinja_set(r, str_c(chat_specials[i].name), jinja_string(r, specials[i], true));
	if (in->now)
		jinja_set_now(r, in->now);
}

/* How transformers runs a template, and how what fails so is tried again. */
enum attempt { AS_TRANSFORMERS, WITHOUT_NONE, WITH_TOOLS_FILLED, WITH_NULLS_TOLD, WITH_MORE_TOLD };

static enum hokku_code run_once(const struct chat *c, const struct str specials[CHAT_N_SPECIALS],
				const struct chat_input *in, enum attempt attempt, struct chat_run *run,
				struct hokku_error *err)
{
	jinja_run_destroy(run->jinja);
	run->jinja = jinja_run_create();
	if (!run->jinja)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the messages");
	if (in->trial)
		jinja_limit(run->jinja, CHAT_MAX_TRIAL_STEPS, CHAT_MAX_TRIAL_BYTES);
	struct work w = {.run = run,
			 .r = run->jinja,
			 .forms = &c->forms,
			 .fill_tools = attempt >= WITH_TOOLS_FILLED,
			 .tell_nulls = attempt >= WITH_NULLS_TOLD,
			 .tell_more = attempt == WITH_MORE_TOLD};
	set_variables(&w, specials, in, attempt != WITHOUT_NONE);
	if (w.no_memory)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the messages");
	return jinja_render(c->jinja, run->jinja, err);
}

static enum hokku_code explain(const struct chat_run *run, enum hokku_code rc, struct chat_told *told,
			       struct hokku_error *err)
{
	if (rc != HOKKU_INVALID_REQUEST)
		return rc;
	told->message = jinja_message_index(run->jinja);
	const char *what = jinja_refused(run->jinja) ? "the model's chat template refuses"
						     : "the model's chat template cannot render";
	if (told->message >= 0)
		return err_prefix(err, rc, "messages[%td]: %s it", told->message, what);
	return err_prefix(err, rc, "messages: %s them", what);
}

/* Of a conversation that could not be rendered, by a template that takes arguments as objects alone: text in
 * their place that holds none, as of a call that was cut, is the reason that can be told by its place. */
static enum hokku_code blame_arguments(const struct chat *c, const struct chat_input *in,
				       struct chat_told *told, struct hokku_error *err)
{
	char shown[64];
	for (size_t i = 0; i < in->n_messages && c->forms.object_args && !c->forms.string_args; i++) {
		const struct jv *calls = jv_get(in->messages[i].json, "tool_calls");
		for (size_t k = 0; k < jv_len(calls); k++) {
			const struct jv *function = jv_get(jv_at(calls, k), "function");
			const struct jv *v = jv_get(function ? function : jv_at(calls, k), "arguments");
			struct jv_doc doc;
			if (!jv_is(v, JV_STRING) || is_blank(jv_str(v)))
				continue;
			bool read = jv_parse(jv_str(v), JV_STRICT, &doc, NULL) == HOKKU_OK;
			bool object = read && jv_is(&doc.root, JV_OBJECT);
			if (read)
				jv_doc_free(&doc);
			if (object)
				continue;
			told->message = (ptrdiff_t)i;
			return err_set(
				err, HOKKU_INVALID_REQUEST,
				"messages[%zu]: tool_calls[%zu].function.arguments is the string %s, "
				"which holds no JSON object; the model's chat template takes nothing else",
				i, k, str_quote(jv_str(v), shown, sizeof shown));
		}
	}
	return HOKKU_INVALID_REQUEST;
}

enum hokku_code chat_run(const struct chat *c, const struct str specials[CHAT_N_SPECIALS],
			 const struct chat_input *in, struct chat_run *run, struct chat_told *told,
			 struct hokku_error *err)
{
	struct hokku_error other;
	*run = (struct chat_run){0};
	enum hokku_code rc = run_once(c, specials, in, AS_TRANSFORMERS, run, err);
	if (rc == HOKKU_INVALID_REQUEST)
		rc = explain(run, rc, told, err);
	bool again = rc == HOKKU_INVALID_REQUEST && !jinja_refused(run->jinja);
	/* Some templates take "no tools" only as a variable that is not there, not as none, which
	 * transformers passes. What fails with none, and does not refuse, is tried so. Some read a tool's
	 * description, or a property's, which may be left out. Hermes' and Command R+'s look for the types
	 * of what is no list, letter by letter for ever: of "null", which is none of those that they know,
	 * and not of none. Command R+'s reads additionalProperties of each object. */
	enum attempt last = in->tools ? WITH_MORE_TOLD : WITHOUT_NONE;
	for (int attempt = WITHOUT_NONE; again && rc && attempt <= (int)last; attempt++)
		rc = run_once(c, specials, in, (enum attempt)attempt, run, &other);
	if (again && rc == HOKKU_OK)
		told->message = -1;
	if (rc == HOKKU_INVALID_REQUEST)
		rc = blame_arguments(c, in, told, err);
	told->used_time = jinja_used_time(run->jinja, &told->time);
	return rc;
}

void chat_run_deinit(struct chat_run *run)
{
	jinja_run_destroy(run->jinja);
	for (size_t i = 0; i < run->n_docs; i++)
		jv_doc_free(&run->docs[i]);
	free(run->docs);
	arena_free(&run->arena);
	*run = (struct chat_run){0};
}
