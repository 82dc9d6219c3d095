/*
 * Calls that are JSON: {"name": NAME, "arguments": {...}}, with the keys in any order, others among them,
 * arguments also called parameters, written as text, null or left out, and the whole also as OpenAI writes
 * it, {"type": "function", "function": {...}}. One, several, or an array of them.
 */
#include "text/dialect_internal.h"

static step_fn step_key, step_key_or_end, step_colon, step_value, step_comma, step_string, step_skip,
	step_args, step_args_text;

/* ---- a list of calls ---- */

void json_begin(struct dialect_reader *r)
{
	r->step = step_json_list;
	r->held_n = 0;
}

static enum step section_closed(struct dialect_reader *r, char b)
{
	(void)b;
	return reader_section_end(r, STEP_TAKEN);
}

static enum step begin_object(struct dialect_reader *r)
{
	if (r->n_section)
		reader_raw_begin(r, NULL, 0);
	reader_new_call(r);
	r->step = step_key_or_end;
	return STEP_TAKEN;
}

enum step step_json_list(struct dialect_reader *r, char b)
{
	bool any = r->n_section > 0;
	if (is_space(b) || (any && !r->list_done && (b == ',' || b == ';')))
		return STEP_TAKEN;
	if (b == '{' && !r->list_done)
		return begin_object(r);
	if (b == '[' && !any && !r->in_list) {
		r->in_list = true;
		return STEP_TAKEN;
	}
	if (b == ']' && r->in_list && !r->list_done) {
		r->list_done = true;
		if (!any) /* no call at all: nothing for people either */
			r->keeps_raw = false;
		return r->d->close ? STEP_TAKEN : reader_section_end(r, STEP_TAKEN);
	}
	if (!any && !r->in_list && !r->list_done && r->d->flags & DIALECT_ALSO_TAGGED) {
		tagged_name(r);
		return STEP_AGAIN;
	}
	if (!r->d->close)
		return any ? reader_section_end(r, STEP_AGAIN) : STEP_FAIL;
	if (!any && !r->list_done)
		return STEP_FAIL;
	expect_none(r);
	expect_add(r, r->d->close, section_closed);
	r->step = step_expect;
	return STEP_AGAIN;
}

/* ---- an object ---- */

static enum step begin_string(struct dialect_reader *r, struct strbuf *into, step_fn *after)
{
	strbuf_clear(into);
	r->into = into;
	r->after_string = after;
	r->unescape = (struct json_unescape){0};
	r->step = step_string;
	return STEP_TAKEN;
}

static enum step step_string(struct dialect_reader *r, char b)
{
	char text[8];
	size_t n;
	enum json_scanned s = json_unescape_byte(&r->unescape, b, text, &n);
	if (s == JSON_BAD)
		return STEP_FAIL;
	for (size_t i = 0; i < n; i++)
		reader_add(r, r->into, text[i]);
	if (r->into->len > DIALECT_MAX_NAME_BYTES)
		return STEP_FAIL;
	return s == JSON_WHOLE ? r->after_string(r, b) : STEP_TAKEN;
}

static enum step key_whole(struct dialect_reader *r, char b)
{
	(void)b;
	r->step = step_colon;
	return STEP_TAKEN;
}

static enum step step_key(struct dialect_reader *r, char b)
{
	if (is_space(b))
		return STEP_TAKEN;
	return b == '"' ? begin_string(r, &r->key, key_whole) : STEP_FAIL;
}

/* The call's arguments came whole, or never. */
static bool finish(struct dialect_reader *r)
{
	if (r->in_call) {
		reader_end_call(r);
		return true;
	}
	if (!r->has_name || !reader_begin_call(r))
		return false;
	if (r->args_held && r->args.len)
		reader_emit(r, PART_ARGUMENTS, r->args.ptr, r->args.len);
	else
		reader_emit(r, PART_ARGUMENTS, "{}", 2);
	r->args_held = false;
	reader_end_call(r);
	return true;
}

static enum step object_ends(struct dialect_reader *r)
{
	if (r->env_depth) {
		r->env_depth--;
		r->step = step_comma;
		return STEP_TAKEN;
	}
	if (!r->args_done && !finish(r))
		return STEP_FAIL;
	r->step = step_json_list;
	return STEP_TAKEN;
}

static enum step step_key_or_end(struct dialect_reader *r, char b)
{
	if (b == '}')
		return object_ends(r);
	return step_key(r, b);
}

static enum step step_colon(struct dialect_reader *r, char b)
{
	if (is_space(b))
		return STEP_TAKEN;
	r->step = step_value;
	return b == ':' ? STEP_TAKEN : STEP_FAIL;
}

static enum step step_comma(struct dialect_reader *r, char b)
{
	if (is_space(b))
		return STEP_TAKEN;
	if (b == '}')
		return object_ends(r);
	r->step = step_key;
	return b == ',' ? STEP_TAKEN : STEP_FAIL;
}

static enum step name_whole(struct dialect_reader *r, char b)
{
	(void)b;
	r->has_name = true;
	r->step = step_comma;
	if (!reader_name_ok(r))
		return STEP_FAIL;
	if (r->args_done) { /* they came first */
		r->args_done = finish(r);
		return r->args_done ? STEP_TAKEN : STEP_FAIL;
	}
	return STEP_TAKEN;
}

static enum step args_whole(struct dialect_reader *r)
{
	r->args_done = true;
	r->step = step_comma;
	if (r->has_name && !finish(r))
		return STEP_FAIL;
	return STEP_TAKEN;
}

static enum step after_args(struct dialect_reader *r, char b)
{
	(void)b;
	return args_whole(r);
}

static enum step args_value(struct dialect_reader *r, char b)
{
	r->args_held = !r->has_name;
	if (b == '{') {
		if (r->has_name && !reader_begin_call(r))
			return STEP_FAIL;
		json_args_begin(r, after_args);
		return STEP_AGAIN;
	}
	if (b == '"') {
		json_scan_begin(&r->scan);
		r->unescape = (struct json_unescape){0};
		r->step = step_args_text;
		return STEP_TAKEN;
	}
	json_scan_begin(&r->scan); /* null: there are none */
	r->step = step_skip;
	return b == 'n' ? STEP_AGAIN : STEP_FAIL;
}

static bool is_one_of(struct str s, const char *const *list)
{
	for (; *list; list++)
		if (str_eq_c(s, *list))
			return true;
	return false;
}

static enum step step_value(struct dialect_reader *r, char b)
{
	static const char *const names[] = {"name", "tool_name", "function", NULL};
	static const char *const args[] = {"arguments", "parameters", NULL};
	static const char *const others[] = {"type", "id", "tool_call_id", "index", NULL};
	struct str key = {r->key.ptr, r->key.len};
	if (is_space(b))
		return STEP_TAKEN;
	if (r->d->body == BODY_MAP) {
		if (r->has_name || r->args_done || b != '{')
			return STEP_FAIL;
		strbuf_clear(&r->name);
		strbuf_add(&r->name, key.ptr, key.len);
		r->has_name = true;
		return args_value(r, b);
	}
	if (is_one_of(key, names) && b == '"' && !r->has_name && (!r->args_done || r->args_held))
		return begin_string(r, &r->name, name_whole);
	if (str_eq_c(key, "function") && b == '{' && r->env_depth == 0 && !r->has_name && !r->args_done) {
		r->env_depth = 1;
		r->step = step_key_or_end;
		return STEP_TAKEN;
	}
	if (is_one_of(key, args) && !r->args_done)
		return args_value(r, b);
	if (r->keeps_raw && r->d->flags & DIALECT_BARE && !is_one_of(key, others))
		return STEP_FAIL; /* some other JSON */
	json_scan_begin(&r->scan);
	r->step = step_skip;
	return STEP_AGAIN;
}

static enum step step_skip(struct dialect_reader *r, char b)
{
	switch (json_scan_byte(&r->scan, b)) {
	case JSON_BAD:
		return STEP_FAIL;
	case JSON_MORE:
		return STEP_TAKEN;
	case JSON_WHOLE:
		r->step = step_comma;
		return STEP_TAKEN;
	default:
		r->step = step_comma;
		return STEP_AGAIN;
	}
}

/* ---- arguments ---- */

void json_args_begin(struct dialect_reader *r, step_fn *after)
{
	json_scan_begin(&r->scan);
	r->after_string = after;
	r->step = step_args;
}

/* A line break that stands in a string as it is, which JSON does not allow, is escaped. */
static enum json_scanned args_byte(struct dialect_reader *r, char b)
{
	bool bare_control = json_scan_in_text(&r->scan) && (unsigned char)b < 0x20;
	if (!r->scan.depth && b != '{')
		return JSON_BAD; /* no object */
	enum json_scanned s = json_scan_byte(&r->scan, b);
	if (s == JSON_BAD)
		return s;
	if (bare_control)
		reader_argument_byte(r, b);
	else
		reader_arguments(r, &b, 1);
	return s;
}

static enum step step_args(struct dialect_reader *r, char b)
{
	enum json_scanned s = args_byte(r, b);
	if (s == JSON_BAD)
		return STEP_FAIL;
	return s == JSON_WHOLE ? r->after_string(r, b) : STEP_TAKEN;
}

/* {"name": ..., "arguments": "{\"a\": 1}"} */
static enum step step_args_text(struct dialect_reader *r, char b)
{
	char text[8];
	size_t n;
	enum json_scanned s = json_unescape_byte(&r->unescape, b, text, &n);
	if (s == JSON_BAD)
		return STEP_FAIL;
	for (size_t i = 0; i < n; i++) {
		bool whole = r->scan.state && !r->scan.depth;
		if (!r->scan.depth && is_space(text[i]))
			continue;
		if (!r->scan.depth && !whole && text[i] == '{' && r->has_name && !reader_begin_call(r))
			return STEP_FAIL;
		if (whole || args_byte(r, text[i]) == JSON_BAD)
			return STEP_FAIL;
	}
	if (s != JSON_WHOLE)
		return STEP_TAKEN;
	return r->scan.depth ? STEP_FAIL : args_whole(r);
}
