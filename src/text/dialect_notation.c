/*
 * Arguments in notations that are not JSON, which become JSON: Gemma's, whose names are bare and whose
 * strings stand between markers, and Python's calls with keyword arguments.
 *
 *     <|tool_call>call:NAME{city:<|"|>Paris<|"|>,days:[1,2]}<tool_call|>
 *     <|tool_call_start|>[NAME(city='Paris', days=[1, 2]), OTHER()]<|tool_call_end|>
 */
#include "text/dialect_internal.h"

enum { MAX_SCALAR = 256 };

static const char text_mark[] = "<|\"|>"; /* around Gemma's strings */

static step_fn step_key_or_end, step_key, step_separator, step_value, step_after, step_gemma_text,
	step_quoted, step_scalar, step_call_name, step_calls;

static bool is_gemma(const struct dialect_reader *r)
{
	return r->d->body == BODY_GEMMA;
}

/* ---- containers ---- */

static bool in_array(const struct dialect_reader *r)
{
	return r->nests[(r->nest - 1) / 8] >> (r->nest - 1) % 8 & 1;
}

static enum step nest(struct dialect_reader *r, bool array)
{
	if (r->nest == DIALECT_MAX_DEPTH)
		return STEP_FAIL;
	uint8_t bit = (uint8_t)(1u << r->nest % 8), *byte = &r->nests[r->nest / 8];
	*byte = (uint8_t)(array ? *byte | bit : *byte & ~bit);
	r->nest++;
	r->comma = false;
	reader_arguments(r, array ? "[" : "{", 1);
	r->step = array ? step_value : step_key_or_end;
	return STEP_TAKEN;
}

static enum step args_whole(struct dialect_reader *r);

static enum step unnest(struct dialect_reader *r)
{
	reader_arguments(r, in_array(r) ? "]" : "}", 1);
	r->nest--;
	r->step = step_after;
	return r->nest ? STEP_TAKEN : args_whole(r);
}

static bool closes(const struct dialect_reader *r, char b)
{
	if (r->nest == 1)
		return b == (is_gemma(r) ? '}' : ')');
	return b == (in_array(r) ? ']' : '}');
}

/* A comma is written when something follows it: Python allows one at the end. */
static void item(struct dialect_reader *r)
{
	if (r->comma)
		reader_arguments(r, ",", 1);
	r->comma = false;
}

static enum step step_after(struct dialect_reader *r, char b)
{
	if (is_space(b))
		return STEP_TAKEN;
	if (closes(r, b))
		return unnest(r);
	r->comma = true;
	r->step = in_array(r) ? step_value : step_key_or_end;
	return b == ',' ? STEP_TAKEN : STEP_FAIL;
}

/* ---- keys ---- */

static enum step step_key_or_end(struct dialect_reader *r, char b)
{
	if (is_space(b))
		return STEP_TAKEN;
	if (closes(r, b))
		return unnest(r);
	item(r);
	strbuf_clear(&r->key);
	if (!is_gemma(r) && r->nest > 1) { /* of a dict: any string */
		r->quote = b;
		r->in_key = true;
		r->escape = 0;
		reader_arguments(r, "\"", 1);
		r->step = step_quoted;
		return b == '"' || b == '\'' ? STEP_TAKEN : STEP_FAIL;
	}
	r->step = step_key;
	return STEP_AGAIN;
}

static enum step step_key(struct dialect_reader *r, char b)
{
	char separator = is_gemma(r) ? ':' : '=';
	if (b != separator && !is_space(b)) {
		if ((unsigned char)b < 0x20 || strchr("{}[](),", b) || r->key.len == DIALECT_MAX_NAME_BYTES)
			return STEP_FAIL;
		reader_add(r, &r->key, b);
		return STEP_TAKEN;
	}
	if (!r->key.len)
		return STEP_FAIL;
	reader_arguments(r, "\"", 1);
	for (size_t i = 0; i < r->key.len; i++)
		reader_argument_byte(r, r->key.ptr[i]);
	reader_arguments(r, "\"", 1);
	r->step = step_separator;
	return STEP_AGAIN;
}

static enum step step_separator(struct dialect_reader *r, char b)
{
	if (is_space(b))
		return STEP_TAKEN;
	if (b != (is_gemma(r) || r->nest > 1 ? ':' : '='))
		return STEP_FAIL;
	reader_arguments(r, ":", 1);
	r->step = step_value;
	return STEP_TAKEN;
}

/* ---- values ---- */

static enum step step_value(struct dialect_reader *r, char b)
{
	if (is_space(b))
		return STEP_TAKEN;
	if (in_array(r) && b == ']')
		return unnest(r);
	item(r);
	if (b == '[' || b == '{')
		return nest(r, b == '[');
	if (is_gemma(r) && b == text_mark[0]) {
		r->held[0] = b;
		r->held_n = 1;
		r->value_begun = false; /* the mark before it is not whole */
		r->step = step_gemma_text;
		return STEP_TAKEN;
	}
	if (!is_gemma(r) && (b == '"' || b == '\'')) {
		r->quote = b;
		r->in_key = false;
		r->escape = 0;
		reader_arguments(r, "\"", 1);
		r->step = step_quoted;
		return STEP_TAKEN;
	}
	strbuf_clear(&r->value);
	r->step = step_scalar;
	return STEP_AGAIN;
}

static enum step step_gemma_text(struct dialect_reader *r, char b)
{
	r->held[r->held_n++] = b;
	while (r->held_n) {
		if (memcmp(text_mark, r->held, r->held_n) == 0) {
			if (r->held_n < sizeof text_mark - 1)
				return STEP_TAKEN;
			r->held_n = 0;
			reader_arguments(r, "\"", 1);
			if (r->value_begun)
				r->step = step_after;
			r->value_begun = true;
			return STEP_TAKEN;
		}
		if (!r->value_begun) {
			r->held_n = 0;
			return STEP_FAIL;
		}
		reader_argument_byte(r, r->held[0]);
		memmove(r->held, r->held + 1, --r->held_n);
	}
	return STEP_TAKEN;
}

/* An escape of Python's is over: what stands for it. */
static void escaped(struct dialect_reader *r, char b)
{
	static const char from[] = "abfnrtv0\\'\"", to[] = "\a\b\f\n\r\t\v\0\\'\"";
	const char *at = b ? strchr(from, b) : NULL;
	if (!at && b != '\n')
		reader_argument_byte(r, '\\'); /* none: it stands for itself */
	if (b != '\n')
		reader_argument_byte(r, at ? to[at - from] : b);
}

static enum step step_quoted(struct dialect_reader *r, char b)
{
	if (r->escape > 1) { /* \xHH, \uHHHH */
		if (hex_digit(b) < 0)
			return STEP_FAIL;
		r->code = r->code << 4 | (uint32_t)hex_digit(b);
		if (--r->escape > 1)
			return STEP_TAKEN;
		r->escape = 0;
		char text[4];
		size_t n = utf8_put(text, r->code >= 0xD800 && r->code < 0xE000 ? 0xFFFD : r->code);
		for (size_t i = 0; i < n; i++)
			reader_argument_byte(r, text[i]);
		return STEP_TAKEN;
	}
	if (r->escape == 1) {
		r->escape = b == 'x' ? 3 : b == 'u' ? 5 : 0;
		r->code = 0;
		if (!r->escape)
			escaped(r, b);
		return STEP_TAKEN;
	}
	if (b == '\\') {
		r->escape = 1;
	} else if (b == r->quote) {
		reader_arguments(r, "\"", 1);
		r->step = r->in_key ? step_separator : step_after;
	} else {
		reader_argument_byte(r, b);
	}
	return STEP_TAKEN;
}

static bool is_scalar_json(struct str text)
{
	struct json_scan *j = &(struct json_scan){0};
	json_scan_begin(j);
	enum json_scanned s = JSON_MORE;
	for (size_t i = 0; i < text.len && s == JSON_MORE; i++)
		s = json_scan_byte(j, text.ptr[i]);
	if (s == JSON_MORE)
		s = json_scan_byte(j, ' '); /* a number ends there */
	return s == JSON_WHOLE || s == JSON_BEFORE;
}

static enum step scalar_ends(struct dialect_reader *r)
{
	static const struct {
		const char *python, *json;
	} words[] = {{"True", "true"}, {"False", "false"}, {"None", "null"}};
	struct str text = {r->value.ptr, r->value.len};
	r->step = step_after;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (str_eq_c(text, words[i].python)) {
			reader_arguments(r, words[i].json, strlen(words[i].json));
			return STEP_AGAIN;
		}
	if (is_scalar_json(text)) {
		reader_arguments(r, text.ptr, text.len);
		return STEP_AGAIN;
	}
	if (!is_gemma(r) || !text.len)
		return STEP_FAIL;
	reader_arguments(r, "\"", 1);
	for (size_t i = 0; i < text.len; i++)
		reader_argument_byte(r, text.ptr[i]);
	reader_arguments(r, "\"", 1);
	return STEP_AGAIN;
}

static enum step step_scalar(struct dialect_reader *r, char b)
{
	if (is_space(b) || (b && strchr(",]})", b)))
		return scalar_ends(r);
	if (r->value.len == MAX_SCALAR || (b && strchr("\"'{[(<", b)))
		return STEP_FAIL;
	reader_add(r, &r->value, b);
	return STEP_TAKEN;
}

/* ---- calls ---- */

static enum step section_closed(struct dialect_reader *r, char b)
{
	(void)b;
	return reader_section_end(r, STEP_TAKEN);
}

static enum step args_whole(struct dialect_reader *r)
{
	reader_end_call(r);
	if (!is_gemma(r)) {
		r->step = step_calls;
		return STEP_TAKEN;
	}
	expect_none(r);
	expect_add(r, r->d->close, section_closed);
	r->step = step_expect;
	return STEP_TAKEN;
}

static enum step step_call_name(struct dialect_reader *r, char b)
{
	if (b == (is_gemma(r) ? '{' : '(')) {
		if (!reader_begin_call(r))
			return STEP_FAIL;
		r->nest = 0;
		return nest(r, false);
	}
	if ((unsigned char)b <= 0x20 || strchr("<>[]{}()\"',=:", b) || r->name.len == DIALECT_MAX_NAME_BYTES)
		return STEP_FAIL;
	reader_add(r, &r->name, b);
	return STEP_TAKEN;
}

static enum step gemma_name(struct dialect_reader *r, char b)
{
	(void)b;
	r->step = step_call_name;
	return STEP_TAKEN;
}

/* Between the calls of a list. */
static enum step step_calls(struct dialect_reader *r, char b)
{
	bool any = r->n_section > 0;
	if (is_space(b) || (any && !r->list_done && b == ','))
		return STEP_TAKEN;
	if (b == '[' && !any && !r->in_list) {
		r->in_list = true;
		return STEP_TAKEN;
	}
	if (b == ']' && r->in_list && any && !r->list_done) {
		r->list_done = true;
		return r->d->close ? STEP_TAKEN : reader_section_end(r, STEP_TAKEN);
	}
	if (r->list_done || (any && r->d->close && b == r->d->close[0])) {
		expect_none(r);
		expect_add(r, r->d->close, section_closed);
		r->step = step_expect;
		return STEP_AGAIN;
	}
	if (any)
		reader_raw_begin(r, NULL, 0);
	reader_new_call(r);
	r->step = step_call_name;
	return STEP_AGAIN;
}

void gemma_begin(struct dialect_reader *r)
{
	expect_none(r);
	expect_add(r, "call:", gemma_name);
	r->step = step_expect;
}

void python_begin(struct dialect_reader *r)
{
	r->held_n = 0;
	r->step = step_calls;
}
