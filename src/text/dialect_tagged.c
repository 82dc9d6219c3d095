/*
 * Calls whose name stands between markers, and then arguments as JSON, or parameters in markup:
 *
 *     [TOOL_CALLS]NAME[ARGS]{...}
 *     <tool_call><function=NAME><parameter=KEY>VALUE</parameter></function></tool_call>
 *
 * White space between markers says nothing. Parameters become one JSON object: a value whose type by the
 * tool's schema is string is quoted as it stands; another is taken as it stands where it is JSON of a type
 * that the schema allows, and is quoted where it is none.
 */
#include "text/dialect_internal.h"

static step_fn step_name, step_id, step_args_or_end, step_param_key, step_param_value, params_come;

static enum step call_or_close(struct dialect_reader *r);

/* ---- names ---- */

void tagged_name(struct dialect_reader *r)
{
	strbuf_clear(&r->name);
	r->held_n = 0;
	r->step = step_name;
}

static enum step name_follows(struct dialect_reader *r, char b)
{
	(void)b;
	tagged_name(r);
	return STEP_TAKEN;
}

static enum step call_begins(struct dialect_reader *r, char b)
{
	if (r->n_section)
		reader_raw_begin(r, r->d->call, strlen(r->d->call) - 1);
	reader_new_call(r);
	if (!r->d->name_begin)
		return name_follows(r, b);
	r->step = step_id;
	return STEP_TAKEN;
}

static enum step closed(struct dialect_reader *r, char b)
{
	(void)b;
	return reader_section_end(r, STEP_TAKEN);
}

void tagged_begin(struct dialect_reader *r)
{
	expect_none(r);
	if (!r->d->call || strcmp(r->matched_open, r->d->call) == 0) {
		tagged_name(r);
		return;
	}
	expect_add(r, r->d->call, call_begins);
	r->step = step_expect;
}

static bool is_name_byte(char b)
{
	return (unsigned char)b > 0x20 && !strchr("<>[]{}()\"'\\,=|", b);
}

static enum step args_come(struct dialect_reader *r, char b)
{
	(void)b;
	r->step = step_args_or_end;
	return STEP_TAKEN;
}

static enum step id_comes(struct dialect_reader *r, char b)
{
	(void)b;
	r->step = step_id;
	return STEP_TAKEN;
}

static enum step name_whole(struct dialect_reader *r)
{
	const struct dialect *d = r->d;
	bool markup = d->body == BODY_MARKUP;
	if (d->flags & DIALECT_RECIPIENT && str_eq_c((struct str){r->name.ptr, r->name.len}, "all"))
		return reader_section_end(r, STEP_AGAIN);
	if (!reader_name_ok(r))
		return STEP_FAIL;
	r->has_name = true;
	if (!d->name_end) {
		r->step = markup ? params_come : step_args_or_end;
		return STEP_AGAIN;
	}
	expect_none(r);
	expect_add(r, d->name_end, markup ? params_come : args_come);
	expect_add(r, d->id, id_comes);
	r->step = step_expect;
	return STEP_AGAIN;
}

static enum step step_name(struct dialect_reader *r, char b)
{
	if (is_space(b) && !r->name.len)
		return STEP_TAKEN;
	if (!is_name_byte(b))
		return r->name.len ? name_whole(r) : STEP_FAIL;
	if (r->name.len == DIALECT_MAX_NAME_BYTES)
		return STEP_FAIL;
	reader_add(r, &r->name, b);
	return STEP_TAKEN;
}

static enum step step_id(struct dialect_reader *r, char b)
{
	if (is_space(b) || is_name_byte(b))
		return STEP_TAKEN;
	expect_none(r);
	if (!r->name.len && r->d->name_begin)
		expect_add(r, r->d->name_begin, name_follows);
	else
		expect_add(r, r->d->name_end, r->d->body == BODY_MARKUP ? params_come : args_come);
	r->step = step_expect;
	return STEP_AGAIN;
}

/* ---- arguments as JSON ---- */

static enum step call_closed(struct dialect_reader *r, char b)
{
	(void)b;
	if (!r->d->call)
		return reader_section_end(r, STEP_TAKEN);
	return call_or_close(r);
}

/* After a call's end in a section. */
static enum step call_or_close(struct dialect_reader *r)
{
	expect_none(r);
	expect_add(r, r->d->call, call_begins);
	expect_add(r, r->d->close, closed);
	r->step = step_expect;
	return STEP_TAKEN;
}

static enum step call_whole(struct dialect_reader *r)
{
	reader_end_call(r);
	if (!r->d->call_end) {
		if (r->d->call)
			return call_or_close(r);
		return reader_section_end(r, STEP_TAKEN);
	}
	expect_none(r);
	expect_add(r, r->d->call_end, call_closed);
	if (r->d->call) { /* one that was left out */
		expect_add(r, r->d->call, call_begins);
		expect_add(r, r->d->close, closed);
	}
	r->step = step_expect;
	return STEP_TAKEN;
}

static enum step args_whole(struct dialect_reader *r, char b)
{
	(void)b;
	return call_whole(r);
}

static enum step step_args_or_end(struct dialect_reader *r, char b)
{
	if (is_space(b))
		return STEP_TAKEN;
	if (b == '{') {
		if (!reader_begin_call(r))
			return STEP_FAIL;
		json_args_begin(r, args_whole);
		return STEP_AGAIN;
	}
	if (!r->d->call_end || b != r->d->call_end[0] || !reader_begin_call(r))
		return STEP_FAIL;
	reader_emit(r, PART_ARGUMENTS, "{}", 2);
	call_whole(r);
	return STEP_AGAIN;
}

/* ---- parameters in markup ---- */

static enum step key_begins(struct dialect_reader *r, char b)
{
	(void)b;
	if (!r->in_call && !reader_begin_call(r))
		return STEP_FAIL;
	strbuf_clear(&r->key);
	r->step = step_param_key;
	return STEP_TAKEN;
}

static enum step params_end(struct dialect_reader *r, char b)
{
	if (!r->in_call && !reader_begin_call(r))
		return STEP_FAIL;
	if (r->first_param)
		reader_arguments(r, "{", 1);
	reader_arguments(r, "}", 1);
	reader_end_call(r);
	return call_closed(r, b);
}

/* After the name and after each parameter. */
static void param_or_end(struct dialect_reader *r)
{
	expect_none(r);
	expect_add(r, r->d->param, key_begins);
	expect_add(r, r->d->call_end, params_end);
	r->step = step_expect;
}

static enum step params_come(struct dialect_reader *r, char b)
{
	(void)b;
	r->first_param = true;
	param_or_end(r);
	return r->d->name_end ? STEP_TAKEN : STEP_AGAIN;
}

static enum step value_begins(struct dialect_reader *r, char b)
{
	(void)b;
	strbuf_clear(&r->value);
	r->line_held = r->value_begun = false;
	r->value_end = r->d->param_end;
	r->held_n = 0;
	r->step = step_param_value;
	return STEP_TAKEN;
}

static unsigned param_kinds(const struct dialect_reader *r)
{
	const struct jv *tool = reader_tool(r, (struct str){r->name.ptr, r->name.len}),
			*schema = jv_get(tool, "parameters"), *properties = jv_get(schema, "properties");
	const struct jv *p = jv_get_str(properties, (struct str){r->key.ptr, r->key.len});
	p = p ? p : jv_get(schema, "additionalProperties");
	unsigned may = dialect_kinds(schema, p);
	return may ? may : MAY_ANY;
}

/* ---- keys and values ---- */

static enum step key_ends(struct dialect_reader *r, char b)
{
	char kind = r->matched->kind;
	reader_arguments(r, r->first_param ? "{" : ",", 1);
	r->first_param = false;
	reader_arguments(r, "\"", 1);
	for (size_t i = 0; i < r->key.len; i++)
		reader_argument_byte(r, r->key.ptr[i]);
	reader_arguments(r, "\":", 2);
	r->value_may = kind == 's' ? MAY_STRING : kind == 'j' ? MAY_ANY & ~MAY_STRING : param_kinds(r);
	if (r->value_may == MAY_STRING)
		reader_arguments(r, "\"", 1);
	if (!r->d->value)
		return value_begins(r, b);
	expect_none(r);
	expect_add(r, r->d->value, value_begins);
	r->step = step_expect;
	return STEP_TAKEN;
}

static enum step step_param_key(struct dialect_reader *r, char b)
{
	if ((unsigned char)b >= 0x20 && b != '"' && b != '<' && b != '>') {
		if (r->key.len == DIALECT_MAX_NAME_BYTES)
			return STEP_FAIL;
		reader_add(r, &r->key, b);
		return STEP_TAKEN;
	}
	expect_none(r);
	for (size_t i = 0; i < 8 && r->d->key_end[i]; i++) {
		expect_add(r, r->d->key_end[i] + 1, key_ends);
		r->alts[i].kind = r->d->key_end[i][0];
	}
	r->step = step_expect;
	return r->key.len && !is_space(b) ? STEP_AGAIN : STEP_FAIL;
}

static void value_byte(struct dialect_reader *r, char b)
{
	if (r->value_may == MAY_STRING)
		reader_argument_byte(r, b);
	else
		reader_add(r, &r->value, b);
}

/* A byte that is the value's. One line break at each end may be the dialect's. */
static void value_plain(struct dialect_reader *r, char b)
{
	bool lines = r->d->flags & DIALECT_LINES, first = !r->value_begun;
	r->value_begun = true;
	if (lines && first && b == '\n')
		return;
	if (r->line_held)
		value_byte(r, '\n');
	r->line_held = lines && b == '\n';
	if (!r->line_held)
		value_byte(r, b);
}

/* Is text JSON that may stand here as it is? */
static bool stands(struct str text, unsigned may)
{
	struct jv_doc doc;
	if (jv_parse(text, JV_STRICT, &doc, NULL))
		return false;
	bool string = doc.root.type == JV_STRING, allowed = may >> doc.root.type & 1;
	jv_doc_free(&doc);
	return !(may & MAY_STRING) || (allowed && !string);
}

static enum step value_ends(struct dialect_reader *r)
{
	struct str all = {r->value.len ? r->value.ptr : "", r->value.len}, v = all;
	while (v.len && is_space(v.ptr[0]))
		v = (struct str){v.ptr + 1, v.len - 1};
	while (v.len && is_space(v.ptr[v.len - 1]))
		v.len--;
	if (r->value_may == MAY_STRING) {
		reader_arguments(r, "\"", 1);
	} else if (stands(v, r->value_may)) {
		reader_arguments(r, v.ptr, v.len);
	} else {
		reader_arguments(r, "\"", 1);
		for (size_t i = 0; i < all.len; i++)
			reader_argument_byte(r, all.ptr[i]);
		reader_arguments(r, "\"", 1);
	}
	r->held_n = 0;
	param_or_end(r);
	return STEP_TAKEN;
}

/* <![CDATA[ at a value's beginning: only its end with the parameter's ends it. */
static bool in_cdata(struct dialect_reader *r)
{
	static const char opening[] = "<![CDATA[", closing[] = "]]></param>";
	if (r->value_begun || !(r->d->flags & DIALECT_CDATA) || r->value_end != r->d->param_end ||
	    memcmp(opening, r->held, r->held_n) != 0)
		return false;
	if (r->held_n < sizeof opening - 1)
		return true;
	r->held_n = 0;
	r->value_end = closing;
	return true;
}

static enum step step_param_value(struct dialect_reader *r, char b)
{
	r->held[r->held_n++] = b;
	while (r->held_n && !in_cdata(r)) {
		if (memcmp(r->value_end, r->held, r->held_n) == 0) {
			if (r->held_n == strlen(r->value_end))
				return value_ends(r);
			break;
		}
		value_plain(r, r->held[0]);
		memmove(r->held, r->held + 1, --r->held_n);
	}
	if (r->value.len <= DIALECT_MAX_VALUE_BYTES)
		return STEP_TAKEN;
	r->held_n = 0;
	return STEP_FAIL;
}
