/* Calls as templates write them: the write_ texts of a row with what stands for names and arguments put in.
 */
#include "text/dialect_internal.h"

void dialect_write_json(const struct jv *v, bool spaced, struct strbuf *out)
{
	if (!spaced || (!jv_is(v, JV_ARRAY) && !jv_is(v, JV_OBJECT))) {
		jv_write(v, out);
		return;
	}
	bool array = v->type == JV_ARRAY;
	strbuf_add_c(out, array ? "[" : "{");
	for (uint32_t i = 0; i < v->n; i++) {
		strbuf_add_c(out, i ? ", " : "");
		if (!array) {
			strbuf_add_json(out, jv_key(v, i).ptr, jv_key(v, i).len);
			strbuf_add_c(out, ": ");
		}
		dialect_write_json(array ? jv_at(v, i) : jv_value(v, i), spaced, out);
	}
	strbuf_add_c(out, array ? "]" : "}");
}

bool dialect_write_next(const struct dialect *d, unsigned form, const char **at, char *op,
			struct strbuf *literal)
{
	const char *p = *at;
	bool tight = form & DIALECT_TIGHT && (d->body == BODY_JSON || d->body == BODY_MAP);
	strbuf_clear(literal);
	strbuf_add_c(literal, "");
	*op = 0;
	if (!p || !*p)
		return false;
	if ((*p >= OP_NAME && *p <= OP_ORDINAL)) {
		*op = *p;
		*at = p + 1;
		return true;
	}
	for (; *p && !(*p >= OP_NAME && *p <= OP_ORDINAL); p++) {
		if (*p == OP_SOFT) {
			strbuf_add_c(literal, form & DIALECT_SOFT_BREAKS ? "\n" : "");
			continue;
		}
		strbuf_add(literal, p, 1);
		if (tight && p[1] == ' ' && (*p == ':' || *p == ','))
			p++;
	}
	*at = p;
	return true;
}

static void put(const struct dialect *d, unsigned form, const char *text, const struct dialect_call *call,
		uint32_t param, struct strbuf *out);

static void put_value(const struct dialect *d, unsigned form, const struct jv *v, struct strbuf *out)
{
	(void)d;
	if (jv_is(v, JV_STRING))
		strbuf_add(out, v->text, v->n);
	else
		dialect_write_json(v, form & DIALECT_SPACED, out);
}

/* The key, and where the row says it by the key's end, the value's type. */
static void put_key(const struct dialect *d, const struct dialect_call *call, uint32_t param,
		    struct strbuf *out)
{
	static const char *const types[] = {
		[JV_NULL] = "null",     [JV_BOOL] = "boolean", [JV_NUMBER] = "number",
		[JV_STRING] = "string", [JV_ARRAY] = "array",  [JV_OBJECT] = "object",
	};
	struct str key = jv_key(call->args, param);
	const struct jv *v = jv_value(call->args, param);
	char want = jv_is(v, JV_STRING) ? 's' : 'j';
	strbuf_add(out, key.ptr, key.len);
	if (d->key_end[0][0] == '?')
		return;
	const char *found = NULL;
	for (size_t i = 0; i < 8 && d->key_end[i]; i++)
		if (d->key_end[i][0] == want && (!found || strstr(d->key_end[i], types[v->type])))
			found = d->key_end[i] + 1;
	strbuf_add_c(out, found ? found : "");
}

/* A string as Python's repr writes it. */
static void put_python_text(struct str s, struct strbuf *out)
{
	char quote = memchr(s.ptr, '\'', s.len) && !memchr(s.ptr, '"', s.len) ? '"' : '\'';
	static const char from[] = "\n\r\t\\", to[] = "nrt\\";
	strbuf_add(out, &quote, 1);
	for (size_t i = 0; i < s.len; i++) {
		const char *at = s.ptr[i] ? strchr(from, s.ptr[i]) : NULL;
		if (at)
			strbuf_addf(out, "\\%c", to[at - from]);
		else if ((unsigned char)s.ptr[i] < 0x20)
			strbuf_addf(out, "\\x%02x", (unsigned)(unsigned char)s.ptr[i]);
		else
			strbuf_addf(out, "%s%c", s.ptr[i] == quote ? "\\" : "", s.ptr[i]);
	}
	strbuf_add(out, &quote, 1);
}

static void put_notation_text(const struct dialect *d, struct str s, struct strbuf *out)
{
	if (d->body == BODY_PYTHON) {
		put_python_text(s, out);
		return;
	}
	strbuf_add_c(out, "<|\"|>");
	strbuf_add(out, s.ptr, s.len);
	strbuf_add_c(out, "<|\"|>");
}

/* v in Gemma's or Python's notation; depth 0: the arguments themselves. */
static void put_notation(const struct dialect *d, const struct jv *v, unsigned depth, struct strbuf *out)
{
	bool python = d->body == BODY_PYTHON, array = jv_is(v, JV_ARRAY), bare = !python || !depth;
	if (jv_is(v, JV_STRING)) {
		put_notation_text(d, jv_str(v), out);
	} else if (!array && !jv_is(v, JV_OBJECT)) {
		if (python && v->type != JV_NUMBER)
			strbuf_add_c(out, v->type == JV_NULL ? "None" : v->n ? "True" : "False");
		else
			jv_write(v, out);
	} else {
		strbuf_add_c(out, array ? "[" : python && !depth ? "" : "{");
		for (uint32_t i = 0; i < v->n; i++) {
			strbuf_add_c(out, !i ? "" : python ? ", " : ",");
			if (!array && bare)
				strbuf_add(out, jv_key(v, i).ptr, jv_key(v, i).len);
			else if (!array)
				put_notation_text(d, jv_key(v, i), out);
			if (!array)
				strbuf_add_c(out, !python ? ":" : depth ? ": " : "=");
			put_notation(d, array ? jv_at(v, i) : jv_value(v, i), depth + 1, out);
		}
		strbuf_add_c(out, array ? "]" : python && !depth ? "" : "}");
	}
}

void dialect_write_notation(const struct dialect *d, const struct jv *v, struct strbuf *out)
{
	put_notation(d, v, 1, out);
}

static void put_op(const struct dialect *d, unsigned form, char op, const struct dialect_call *call,
		   uint32_t param, struct strbuf *out)
{
	switch (op) {
	case OP_NAME:
		strbuf_add(out, call->name.ptr, call->name.len);
		break;
	case OP_ARGS:
		if (call->args && (d->body == BODY_GEMMA || d->body == BODY_PYTHON))
			put_notation(d, call->args, 0, out);
		else if (call->args)
			dialect_write_json(call->args, form & DIALECT_SPACED, out);
		else
			strbuf_add_c(out, d->body == BODY_PYTHON ? "" : "{}");
		break;
	case OP_PARAMS:
		for (uint32_t i = 0; call->args && i < call->args->n; i++)
			put(d, form, d->write_param, call, i, out);
		break;
	case OP_KEY:
		put_key(d, call, param, out);
		break;
	case OP_VALUE:
		put_value(d, form, jv_value(call->args, param), out);
		break;
	case OP_CALL_ID:
		strbuf_add(out, call->id.ptr, call->id.len);
		break;
	default:
		strbuf_addf(out, "%u", call->index + (op == OP_ORDINAL));
	}
}

static void put(const struct dialect *d, unsigned form, const char *text, const struct dialect_call *call,
		uint32_t param, struct strbuf *out)
{
	struct strbuf literal = {0};
	char op;
	while (dialect_write_next(d, form, &text, &op, &literal)) {
		if (op)
			put_op(d, form, op, call, param, out);
		else
			strbuf_add(out, literal.ptr, literal.len);
	}
	strbuf_free(&literal);
}

size_t dialect_read_calls(const struct jv *message, struct dialect_call calls[DIALECT_MAX_CALLS],
			  struct jv_doc args[DIALECT_MAX_CALLS])
{
	const struct jv *list = jv_get(message, "tool_calls");
	size_t n = jv_len(list) < DIALECT_MAX_CALLS ? jv_len(list) : DIALECT_MAX_CALLS;
	for (size_t i = 0; i < n; i++) {
		const struct jv *call = jv_at(list, i), *function = jv_get(call, "function"),
				*given = jv_get(function, "arguments");
		args[i] = (struct jv_doc){0};
		if (jv_is(given, JV_STRING) && jv_parse(jv_str(given), JV_STRICT, &args[i], NULL))
			args[i] = (struct jv_doc){0};
		const struct jv *object = jv_is(given, JV_STRING) ? &args[i].root : given;
		calls[i] = (struct dialect_call){.name = jv_str(jv_get(function, "name")),
						 .args = jv_is(object, JV_OBJECT) ? object : NULL,
						 .id = jv_str(jv_get(call, "id")),
						 .index = (uint32_t)i};
	}
	return n;
}

void dialect_write_calls(const struct dialect *d, unsigned form, const struct dialect_call *calls, size_t n,
			 struct strbuf *out)
{
	static const struct dialect_call none; /* what stands around calls names none */
	put(d, form, d->write_begin, &none, 0, out);
	for (size_t i = 0; i < n; i++) {
		if (i)
			put(d, form, d->write_between, &none, 0, out);
		put(d, form, d->write_call, &calls[i], 0, out);
	}
	put(d, form, d->write_end, &none, 0, out);
}
