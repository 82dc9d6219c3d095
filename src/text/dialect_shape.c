/*
 * The structural tag that lets through a dialect's calls:
 *
 *     auto:     [THINKING] TEXT (CALLS TEXT)*
 *     required: [THINKING] CALLS
 *
 * and where a call may come out of thinking that was not closed (DIALECT_ENDS_THINKING)
 *
 *     auto:     [OPEN THOUGHT] [CLOSE TEXT] (CALLS TEXT)*, or without thinking TEXT (CALLS TEXT)*
 *     required: [OPEN THOUGHT [CLOSE]] CALLS
 *
 * CALLS is what the row's write_ texts say, with a tool's schema where its arguments are.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/dialect_shape.h"

/* ---- writing formats ---- */

void shape_add(struct shaper *s, const char *text)
{
	strbuf_add_c(&s->out->text, text);
}

static void cut_place(struct shaper *s, size_t n)
{
	if (s->place.len > n)
		s->place.ptr[s->place.len = n] = '\0';
}

void shape_begin(struct shaper *s, const char *type, const char *member, struct shape_list *l)
{
	*l = (struct shape_list){.before = s->place.len};
	strbuf_addf(&s->out->text, "{\"type\":\"%s\",\"%s\":[", type, member);
	strbuf_addf(&s->place, "/%s", member);
	l->within = s->place.len;
}

void shape_item(struct shaper *s, struct shape_list *l)
{
	cut_place(s, l->within);
	shape_add(s, l->n ? "," : "");
	strbuf_addf(&s->place, "/%u", l->n++);
}

void shape_end(struct shaper *s, struct shape_list *l)
{
	cut_place(s, l->before);
	shape_add(s, "]}");
}

size_t shape_open(struct shaper *s, const char *type)
{
	size_t before = s->place.len;
	strbuf_addf(&s->out->text, "{\"type\":\"%s\",\"content\":", type);
	strbuf_add_c(&s->place, "/content");
	return before;
}

void shape_close(struct shaper *s, size_t before)
{
	cut_place(s, before);
	shape_add(s, "}");
}

static void add_member(struct shaper *s, const char *type, const char *member, struct str text)
{
	strbuf_addf(&s->out->text, "{\"type\":\"%s\",\"%s\":", type, member);
	strbuf_add_json(&s->out->text, text.ptr, text.len);
	shape_add(s, "}");
}

void shape_const(struct shaper *s, struct shape_list *l, struct str text)
{
	if (!text.len)
		return;
	shape_item(s, l);
	add_member(s, "const_string", "value", text);
}

void shape_regex(struct shaper *s, struct shape_list *l, const char *pattern)
{
	shape_item(s, l);
	add_member(s, "regex", "pattern", str_c(pattern));
}

void shape_any_text(struct shaper *s, struct shape_list *l, const char *const *excludes, size_t n)
{
	bool any = false;
	shape_item(s, l);
	shape_add(s, "{\"type\":\"any_text\"");
	for (size_t i = 0; i < n; i++) {
		if (!excludes[i] || shape_is_token(s, str_c(excludes[i])))
			continue; /* a control token is no text anyway */
		shape_add(s, any ? "," : ",\"excludes\":[");
		strbuf_add_json(&s->out->text, excludes[i], strlen(excludes[i]));
		any = true;
	}
	shape_add(s, any ? "]}" : "}");
}

bool shape_is_token(const struct shaper *s, struct str name)
{
	if (!s->how->tok)
		return false;
	int32_t id = tok_find_special(s->how->tok, name);
	return id >= 0 && (tok_type(s->how->tok, id) == TOK_CONTROL || tok_is_end(s->how->tok, id));
}

/* Bytes of text at i that are a control token's name, from its opening to its closing sign; 0: none. */
static size_t token_at(const struct shaper *s, struct str text, size_t i)
{
	char close = text.ptr[i] == '<' ? '>' : text.ptr[i] == '[' ? ']' : 0;
	for (size_t n = 2; close && i + n <= text.len && n <= READER_MAX_MARKER; n++)
		if (text.ptr[i + n - 1] == close && shape_is_token(s, (struct str){text.ptr + i, n}))
			return n;
	return 0;
}

static void literal(struct shaper *s, struct shape_list *l, struct str text)
{
	size_t from = 0;
	for (size_t i = 0; i < text.len;) {
		size_t n = token_at(s, text, i);
		if (!n) {
			i++;
			continue;
		}
		shape_const(s, l, (struct str){text.ptr + from, i - from});
		shape_item(s, l);
		add_member(s, "token", "token", (struct str){text.ptr + i, n});
		from = i += n;
	}
	shape_const(s, l, (struct str){text.ptr + from, text.len - from});
}

void shape_literal(struct shaper *s, struct shape_list *l, const char *text)
{
	literal(s, l, str_c(text));
}

void shape_refuse(struct shaper *s, const char *part, const char *format, ...)
{
	char message[256];
	va_list args;
	if (s->failed)
		return;
	if (!s->strict) {
		s->free = true;
		return;
	}
	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	s->failed = true;
	snprintf(s->field, 128, "%s%.60s", s->tool_field, part);
	err_set(s->err, HOKKU_INVALID_REQUEST, "%s %s", s->field, message);
}

/* ---- schemas ---- */

static void note_schema(struct shaper *s, const char *part)
{
	struct dialect_shape *out = s->out;
	if (out->n_schemas == out->cap_schemas) {
		size_t cap = out->cap_schemas ? out->cap_schemas * 2 : 16;
		void *more = realloc(out->schemas, cap * sizeof *out->schemas);
		if (!more) {
			out->text.failed = true;
			return;
		}
		out->schemas = more;
		out->cap_schemas = cap;
	}
	char place[512], field[256];
	snprintf(place, sizeof place, "/format%s/json_schema", s->place.ptr ? s->place.ptr : "");
	snprintf(field, sizeof field, "%s%.180s", s->tool_field, part);
	struct dialect_shape_schema made = {strdup(place), strdup(field)};
	out->text.failed = out->text.failed || !made.place || !made.field;
	out->schemas[out->n_schemas++] = made;
}

/* A schema within another: the names that it may refer to go with it. */
static void add_schema(struct shaper *s, const struct jv *schema, const struct jv *root)
{
	static const char *const defs[] = {"$defs", "definitions"};
	struct strbuf *out = &s->out->text;
	if (schema == root || !jv_is(schema, JV_OBJECT)) {
		jv_write(schema, out);
		return;
	}
	strbuf_add_c(out, "{");
	bool any = false;
	for (uint32_t i = 0; i < schema->n; i++, any = true) {
		strbuf_add_c(out, any ? "," : "");
		strbuf_add_json(out, jv_key(schema, i).ptr, jv_key(schema, i).len);
		strbuf_add_c(out, ":");
		jv_write(jv_value(schema, i), out);
	}
	for (size_t k = 0; k < 2; k++) {
		if (!jv_get(root, defs[k]) || jv_get(schema, defs[k]))
			continue;
		strbuf_addf(out, "%s\"%s\":", any ? "," : "", defs[k]);
		jv_write(jv_get(root, defs[k]), out);
		any = true;
	}
	strbuf_add_c(out, "}");
}

void shape_schema(struct shaper *s, struct shape_list *l, const struct jv *schema, const struct jv *root,
		  const char *part)
{
	shape_item(s, l);
	note_schema(s, part);
	shape_add(s, "{\"type\":\"json_schema\",\"json_schema\":");
	if (schema)
		add_schema(s, schema, root);
	else
		shape_add(s, "{\"type\":\"object\"}");
	strbuf_addf(&s->out->text, ",\"space\":\"%s\"}", s->form & DIALECT_SPACED ? "spaced" : "compact");
}

/* Whether a schema's types leave objects; without any they all do. */
static bool may_be_object(const struct jv *schema)
{
	const struct jv *type = jv_get(schema, "type");
	if (!type || str_eq_c(jv_str(type), "object"))
		return true;
	for (size_t i = 0; i < jv_len(type); i++)
		if (str_eq_c(jv_str(jv_at(type, i)), "object"))
			return true;
	return !jv_is(type, JV_STRING) && !jv_is(type, JV_ARRAY); /* no type at all: the compiler says so */
}

/* Arguments are an object, also where their schema leaves that open: else what is drawn may be no call. */
static void shape_arguments(struct shaper *s, struct shape_list *l, const struct jv *parameters)
{
	const struct jv *type = jv_get(parameters, "type");
	char quoted[80];
	if (!parameters || str_eq_c(jv_str(type), "object")) {
		shape_schema(s, l, parameters, parameters, "");
		return;
	}
	if (!may_be_object(parameters)) {
		shape_refuse(s, "", "has the \"type\" %s; the arguments of a call are an object",
			     jv_text(type, quoted, sizeof quoted));
		return;
	}
	bool fixed = !type || jv_is(type, JV_ARRAY);
	shape_item(s, l);
	note_schema(s, "");
	shape_add(s, "{\"type\":\"json_schema\",\"json_schema\":{");
	if (fixed)
		shape_add(s, "\"type\":\"object\"");
	for (uint32_t i = 0, n = fixed; i < parameters->n; i++) {
		if (fixed && str_eq_c(jv_key(parameters, i), "type"))
			continue;
		shape_add(s, n++ ? "," : "");
		strbuf_add_json(&s->out->text, jv_key(parameters, i).ptr, jv_key(parameters, i).len);
		shape_add(s, ":");
		jv_write(jv_value(parameters, i), &s->out->text);
	}
	strbuf_addf(&s->out->text, "},\"space\":\"%s\"}", s->form & DIALECT_SPACED ? "spaced" : "compact");
}

/* ---- calls ---- */

static const struct jv *function_of(const struct jv *tool)
{
	const struct jv *f = jv_get(tool, "function");
	return f ? f : tool;
}

static void write_op(struct shaper *s, struct shape_list *l, char op, const struct jv *f)
{
	const struct jv *parameters = jv_get(f, "parameters");
	parameters = jv_none(parameters) ? NULL : parameters;
	switch (op) {
	case OP_NAME:
		shape_const(s, l, jv_str(jv_get(f, "name")));
		break;
	case OP_ARGS:
		if (s->d->body == BODY_GEMMA || s->d->body == BODY_PYTHON)
			shape_notation(s, l, parameters);
		else
			shape_arguments(s, l, parameters);
		break;
	case OP_PARAMS:
		shape_params(s, l, parameters);
		break;
	case OP_CALL_ID:
		shape_regex(s, l, "[a-zA-Z0-9]{9}");
		break;
	case OP_INDEX:
		shape_regex(s, l, "0|[1-9][0-9]{0,2}");
		break;
	default:
		shape_regex(s, l, "[1-9][0-9]{0,2}");
	}
}

/* A write_ text as items of l. skip: bytes left out at its beginning. */
static void write_text(struct shaper *s, struct shape_list *l, const char *text, size_t skip,
		       const struct jv *f)
{
	struct strbuf piece = {0};
	char op;
	while (!s->failed && dialect_write_next(s->d, s->form, &text, &op, &piece)) {
		if (op)
			write_op(s, l, op, f);
		else if (s->d->body != BODY_HARMONY || *text) /* what ends Harmony's calls ends the answer */
			literal(s, l, (struct str){piece.ptr + skip, piece.len - skip});
		skip = 0;
	}
	s->out->text.failed = s->out->text.failed || piece.failed;
	strbuf_free(&piece);
}

static bool is_wanted(const struct shaper *s, const struct jv *f)
{
	return s->how->choice != DIALECT_NAMED || str_eq(jv_str(jv_get(f, "name")), s->how->name);
}

/* One call of one of the tools. */
static void one_call(struct shaper *s, struct shape_list *l, size_t skip)
{
	struct shape_list any, call;
	shape_item(s, l);
	shape_begin(s, "or", "elements", &any);
	for (size_t i = 0; i < jv_len(s->how->tools) && !s->failed; i++) {
		const struct jv *tool = jv_at(s->how->tools, i), *f = function_of(tool);
		if (!is_wanted(s, f))
			continue;
		snprintf(s->tool_field, sizeof s->tool_field, "tools[%zu].%sparameters", i,
			 f == tool ? "" : "function.");
		s->strict = s->how->choice != DIALECT_AUTO || jv_is_true(jv_get(f, "strict"));
		shape_item(s, &any);
		shape_begin(s, "sequence", "elements", &call);
		write_text(s, &call, s->d->write_call, skip, f);
		shape_end(s, &call);
	}
	shape_end(s, &any);
}

static bool several(const struct shaper *s)
{
	return s->how->parallel && s->how->choice != DIALECT_NAMED && !(s->d->flags & DIALECT_BARE);
}

/* One call, or several with what stands between them. Of the two ways to say so the one that says the calls
 * once is taken where nothing stands between. */
static void some_calls(struct shaper *s, struct shape_list *l)
{
	struct shape_list both, more;
	struct strbuf between = {0};
	char op;
	const char *text = s->d->write_between;
	if (!several(s)) {
		one_call(s, l, 0);
		return;
	}
	dialect_write_next(s->d, s->form, &text, &op, &between);
	shape_item(s, l);
	if (!between.len) {
		size_t plus = shape_open(s, "plus");
		shape_begin(s, "sequence", "elements", &both);
		one_call(s, &both, 0);
		shape_end(s, &both);
		shape_close(s, plus);
	} else {
		shape_begin(s, "sequence", "elements", &both);
		one_call(s, &both, 0);
		shape_item(s, &both);
		size_t star = shape_open(s, "star");
		shape_begin(s, "sequence", "elements", &more);
		literal(s, &more, (struct str){between.ptr, between.len});
		one_call(s, &more, 0);
		shape_end(s, &more);
		shape_close(s, star);
		shape_end(s, &both);
	}
	strbuf_free(&between);
}

/* A section of calls with what is around it. */
static void calls(struct shaper *s, struct shape_list *l)
{
	write_text(s, l, s->d->write_begin, 0, NULL);
	some_calls(s, l);
	write_text(s, l, s->d->write_end, 0, NULL);
}

/* ---- text and thinking ---- */

/* Text for people: nothing that begins a call; the markers around it that are control tokens may stand in it.
 */
static void text(struct shaper *s, struct shape_list *l)
{
	struct shape_list both, more, any;
	bool drops = false;
	for (size_t i = 0; i < 4 && s->d->drop[i]; i++)
		drops = drops || shape_is_token(s, str_c(s->d->drop[i]));
	shape_any_text(s, l, s->d->open, 3);
	if (!drops)
		return;
	shape_item(s, l);
	size_t star = shape_open(s, "star");
	shape_begin(s, "sequence", "elements", &both);
	shape_item(s, &both);
	shape_begin(s, "or", "elements", &any);
	for (size_t i = 0; i < 4 && s->d->drop[i]; i++) {
		if (!shape_is_token(s, str_c(s->d->drop[i])))
			continue;
		shape_item(s, &any);
		shape_begin(s, "sequence", "elements", &more);
		shape_literal(s, &more, s->d->drop[i]);
		shape_end(s, &more);
	}
	shape_end(s, &any);
	shape_any_text(s, &both, s->d->open, 3);
	shape_end(s, &both);
	shape_close(s, star);
}

/* What readers take for the end of thinking, and what shapes therefore keep out of it. */
size_t dialect_thinking_ends(const struct dialect *d, const struct dialect_thinking *t, bool calls,
			     const char *ends[DIALECT_THINKING_ENDS])
{
	size_t n = 0;
	ends[n++] = t->close;
	for (size_t i = 0; i < 4 && d->flags & DIALECT_TEXT_ENDS_THINKING && d->drop[i]; i++)
		if (strcmp(d->drop[i], t->close) != 0)
			ends[n++] = d->drop[i];
	for (size_t i = 0; i < 3 && calls && d->flags & DIALECT_ENDS_THINKING && d->open[i]; i++)
		ends[n++] = d->open[i];
	return n;
}

/* What closes thinking, with the text behind it where that belongs to it. */
static void closes(struct shaper *s, struct shape_list *l, bool with_text)
{
	struct shape_list any, one;
	const struct dialect_thinking *t = s->how->found->thinking;
	const char *ends[DIALECT_THINKING_ENDS];
	size_t n = dialect_thinking_ends(s->d, t, false, ends);
	if (n == 1) {
		shape_literal(s, l, t->close);
	} else {
		shape_item(s, l);
		shape_begin(s, "or", "elements", &any);
		for (size_t i = 0; i < n; i++) {
			shape_item(s, &any);
			shape_begin(s, "sequence", "elements", &one);
			shape_literal(s, &one, ends[i]);
			shape_end(s, &one);
		}
		shape_end(s, &any);
	}
	shape_regex(s, l, "\\n{0,2}");
	if (with_text)
		text(s, l);
}

/* May a call come out of thinking? */
static bool unclosed(const struct shaper *s)
{
	return s->how->thinks && s->d->flags & DIALECT_ENDS_THINKING;
}

static void thought(struct shaper *s, struct shape_list *l)
{
	struct shape_list closed;
	const char *ends[DIALECT_THINKING_ENDS];
	shape_any_text(s, l, ends, dialect_thinking_ends(s->d, s->how->found->thinking, true, ends));
	if (!unclosed(s)) {
		closes(s, l, false);
		return;
	}
	shape_item(s, l);
	size_t optional = shape_open(s, "optional");
	shape_begin(s, "sequence", "elements", &closed);
	closes(s, &closed, s->how->choice == DIALECT_AUTO);
	shape_end(s, &closed);
	shape_close(s, optional);
}

/* Thinking; where it need not be closed before a call, with the text that comes before the first. */
static void thinking(struct shaper *s, struct shape_list *l)
{
	struct shape_list opened, any;
	bool with_text = unclosed(s) && s->how->choice == DIALECT_AUTO;
	if (s->how->thinks == DIALECT_THINKING_OPEN) {
		thought(s, l);
	} else if (s->how->thinks == DIALECT_MAY_THINK) {
		size_t optional = 0;
		shape_item(s, l);
		if (with_text) {
			shape_begin(s, "or", "elements", &any);
			shape_item(s, &any);
		} else {
			optional = shape_open(s, "optional");
		}
		shape_begin(s, "sequence", "elements", &opened);
		shape_literal(s, &opened, s->how->found->thinking->open);
		thought(s, &opened);
		shape_end(s, &opened);
		if (with_text) {
			shape_item(s, &any);
			shape_begin(s, "sequence", "elements", &opened);
			text(s, &opened);
			shape_end(s, &opened);
			shape_end(s, &any);
		} else {
			shape_close(s, optional);
		}
	}
}

/* ---- answers ---- */

/* The bytes that begin a call and are no name: what a text may not begin with where calls have no marker. */
static void not_beginning_with(struct shaper *s, struct shape_list *l, struct str begin)
{
	struct strbuf pattern = {0};
	for (size_t i = 0; i < begin.len; i++) {
		strbuf_add_c(&pattern, i ? "|" : "");
		for (size_t k = 0; k < i; k++)
			strbuf_addf(&pattern, "\\x%02x", (unsigned)(unsigned char)begin.ptr[k]);
		strbuf_addf(&pattern, "[^\\x%02x]", (unsigned)(unsigned char)begin.ptr[i]);
	}
	shape_regex(s, l, pattern.ptr ? pattern.ptr : "");
	s->out->text.failed = s->out->text.failed || pattern.failed;
	strbuf_free(&pattern);
}

/* Calls without a marker: the answer is a call, or a text that does not begin as one. */
static void bare_or_text(struct shaper *s, struct shape_list *l)
{
	struct shape_list any, one;
	struct strbuf begin = {0};
	const char *at = s->d->write_begin ? s->d->write_begin : s->d->write_call;
	char op;
	dialect_write_next(s->d, s->form, &at, &op, &begin);
	shape_item(s, l);
	shape_begin(s, "or", "elements", &any);
	shape_item(s, &any);
	shape_begin(s, "sequence", "elements", &one);
	calls(s, &one);
	shape_end(s, &one);
	shape_item(s, &any);
	size_t optional = shape_open(s, "optional");
	shape_begin(s, "sequence", "elements", &one);
	not_beginning_with(s, &one, (struct str){begin.ptr, begin.len});
	shape_any_text(s, &one, NULL, 0);
	shape_end(s, &one);
	shape_close(s, optional);
	shape_end(s, &any);
	strbuf_free(&begin);
}

static void text_and_calls(struct shaper *s, struct shape_list *l)
{
	struct shape_list called;
	if (s->d->flags & DIALECT_BARE) {
		bare_or_text(s, l);
		return;
	}
	if (!unclosed(s)) /* thinking has it */
		text(s, l);
	shape_item(s, l);
	size_t times = shape_open(s, s->how->parallel ? "star" : "optional");
	shape_begin(s, "sequence", "elements", &called);
	calls(s, &called);
	if (s->how->parallel)
		text(s, &called);
	shape_end(s, &called);
	shape_close(s, times);
}

/* >>>: the prompt has written the first one. */
static void recipients(struct shaper *s, struct shape_list *l)
{
	struct shape_list first, one, more;
	size_t skip = strlen(s->d->open[0]);
	shape_item(s, l);
	shape_begin(s, "or", "elements", &first);
	one_call(s, &first, skip);
	if (s->how->choice == DIALECT_AUTO) {
		shape_item(s, &first);
		shape_begin(s, "sequence", "elements", &one);
		shape_literal(s, &one, "all\n");
		shape_any_text(s, &one, s->d->open, 1);
		shape_end(s, &one);
	}
	shape_end(s, &first);
	if (s->how->choice == DIALECT_NAMED || !s->how->parallel)
		return;
	shape_item(s, l);
	size_t star = shape_open(s, "star");
	shape_begin(s, "sequence", "elements", &more);
	one_call(s, &more, 0);
	shape_end(s, &more);
	shape_close(s, star);
}

static void harmony_message(struct shaper *s, struct shape_list *l, const char *header, bool goes_on)
{
	struct shape_list m;
	static const char *const ends[] = {"<|end|>", "<|start|>", "<|channel|>", "<|message|>"};
	shape_item(s, l);
	shape_begin(s, "sequence", "elements", &m);
	shape_literal(s, &m, header);
	shape_any_text(s, &m, ends, 4);
	if (goes_on)
		shape_literal(s, &m, "<|end|><|start|>assistant");
	shape_end(s, &m);
}

/* Messages to think and to tell people of calls that come, then the answer or a call: what ends a call ends
 * the answer, so that there is one. */
static void harmony(struct shaper *s, struct shape_list *l)
{
	struct shape_list any, last;
	if (s->how->thinks || s->how->choice == DIALECT_AUTO) {
		shape_item(s, l);
		size_t star = shape_open(s, "star");
		shape_begin(s, "or", "elements", &any);
		if (s->how->thinks)
			harmony_message(s, &any, "<|channel|>analysis<|message|>", true);
		if (s->how->choice == DIALECT_AUTO)
			harmony_message(s, &any, "<|channel|>commentary<|message|>", true);
		shape_end(s, &any);
		shape_close(s, star);
	}
	shape_item(s, l);
	shape_begin(s, "or", "elements", &last);
	one_call(s, &last, 0);
	if (s->how->choice == DIALECT_AUTO)
		harmony_message(s, &last, "<|channel|>final<|message|>", false);
	shape_end(s, &last);
}

/* ---- the door ---- */

static enum hokku_code check(const struct dialect_shaping *how, char field[128], struct hokku_error *err)
{
	char quoted[80];
	bool found = how->choice != DIALECT_NAMED;
	snprintf(field, 128, "tools");
	if (!jv_len(how->tools))
		return err_set(err, HOKKU_INVALID_REQUEST, "tools is empty; a call needs one at least");
	for (size_t i = 0; i < jv_len(how->tools); i++) {
		const struct jv *tool = jv_at(how->tools, i), *f = function_of(tool),
				*name = jv_get(f, "name"), *parameters = jv_get(f, "parameters");
		const char *inner = f == tool ? "" : "function.";
		snprintf(field, 128, "tools[%zu].%sname", i, inner);
		if (!jv_is(name, JV_STRING) || !name->n || name->n > DIALECT_MAX_NAME_BYTES)
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "%s is %s; it takes a name of 1 to %d bytes", field,
				       jv_text(name, quoted, sizeof quoted), DIALECT_MAX_NAME_BYTES);
		for (uint32_t k = 0; k < name->n; k++)
			if ((unsigned char)name->text[k] <= 0x20 || strchr("<>[]{}()\"'\\,=|", name->text[k]))
				return err_set(
					err, HOKKU_INVALID_REQUEST,
					"%s is %s; it takes no blanks, quotes and brackets, which models "
					"write around names",
					field, jv_text(name, quoted, sizeof quoted));
		snprintf(field, 128, "tools[%zu].%sparameters", i, inner);
		if (!jv_none(parameters) && !jv_is(parameters, JV_OBJECT))
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "%s is %s; it takes a JSON Schema of an object", field,
				       jv_text(parameters, quoted, sizeof quoted));
		found = found || str_eq(jv_str(name), how->name);
	}
	snprintf(field, 128, "tool_choice");
	if (!found)
		return err_set(err, HOKKU_INVALID_REQUEST, "tool_choice names %s, which is none of the tools",
			       str_quote(how->name, quoted, sizeof quoted));
	field[0] = '\0';
	return HOKKU_OK;
}

static void answer(struct shaper *s)
{
	struct shape_list l;
	shape_add(s, "{\"type\":\"structural_tag\",\"format\":");
	shape_begin(s, "sequence", "elements", &l);
	if (s->d->body == BODY_HARMONY) {
		harmony(s, &l);
	} else {
		thinking(s, &l);
		if (s->d->flags & DIALECT_RECIPIENT)
			recipients(s, &l);
		else if (s->how->choice == DIALECT_AUTO)
			text_and_calls(s, &l);
		else
			calls(s, &l);
	}
	shape_end(s, &l);
	shape_add(s, "}");
}

enum hokku_code dialect_shape(const struct dialect_shaping *how, struct dialect_shape *out, char field[128],
			      struct hokku_error *err)
{
	*out = (struct dialect_shape){0};
	enum hokku_code rc = check(how, field, err);
	if (rc)
		return rc;
	struct shaper s = {.how = how,
			   .d = how->found->dialect,
			   .form = how->found->form,
			   .out = out,
			   .field = field,
			   .err = err};
	answer(&s);
	if (s.failed)
		rc = HOKKU_INVALID_REQUEST;
	else if (out->text.failed || s.place.failed)
		rc = err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the shape of %zu tools",
			     jv_len(how->tools));
	strbuf_free(&s.place);
	if (rc || s.free)
		dialect_shape_free(out);
	return rc;
}

void dialect_shape_free(struct dialect_shape *s)
{
	for (size_t i = 0; i < s->n_schemas; i++) {
		free(s->schemas[i].place);
		free(s->schemas[i].field);
	}
	free(s->schemas);
	strbuf_free(&s->text);
	*s = (struct dialect_shape){0};
}

bool dialect_shape_place(const struct dialect_shape *s, const char *place, char *out, size_t out_size)
{
	for (size_t i = 0; i < s->n_schemas; i++) {
		size_t n = strlen(s->schemas[i].place);
		if (strncmp(place, s->schemas[i].place, n) != 0 || (place[n] && place[n] != '/'))
			continue;
		snprintf(out, out_size, "%s%s", s->schemas[i].field, place + n);
		return true;
	}
	return false;
}
