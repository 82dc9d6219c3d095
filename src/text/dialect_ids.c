/*
 * Ids of calls for templates that refuse all but nine letters and digits (Mistral's), while clients send back
 * those of any API. An id becomes nine characters that depend on it alone: a call and its result keep the
 * same one.
 */
#include "base/hash.h"
#include "text/dialect_internal.h"

enum { SHORT = 9 };

static bool is_short(struct str id)
{
	bool ok = id.len == SHORT;
	for (size_t i = 0; i < id.len && ok; i++)
		ok = (id.ptr[i] >= '0' && id.ptr[i] <= '9') || (id.ptr[i] >= 'a' && id.ptr[i] <= 'z') ||
		     (id.ptr[i] >= 'A' && id.ptr[i] <= 'Z');
	return ok;
}

static bool fits(const struct jv *id)
{
	return !jv_is(id, JV_STRING) || is_short(jv_str(id));
}

bool dialect_ids_fit(const struct jv *message)
{
	const struct jv *calls = jv_get(message, "tool_calls");
	for (size_t i = 0; i < jv_len(calls); i++)
		if (!fits(jv_get(jv_at(calls, i), "id")))
			return false;
	return fits(jv_get(message, "tool_call_id"));
}

static void put_id(struct str id, struct strbuf *out)
{
	static const char signs[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	uint64_t hash = siphash(UINT64_C(0x63616c6c), UINT64_C(0x6964), id.ptr, id.len);
	char text[SHORT];
	for (size_t i = 0; i < SHORT; i++, hash /= sizeof signs - 1)
		text[i] = signs[hash % (sizeof signs - 1)];
	strbuf_add_json(out, text, SHORT);
}

/* v, the string that is its member `name` with a short id in its place; of calls: their ids. */
static void put(const struct jv *v, const char *name, struct strbuf *out)
{
	strbuf_add_c(out, "{");
	for (uint32_t i = 0; i < v->n; i++) {
		const struct jv *value = jv_value(v, i);
		strbuf_add_c(out, i ? "," : "");
		strbuf_add_json(out, jv_key(v, i).ptr, jv_key(v, i).len);
		strbuf_add_c(out, ":");
		if (str_eq_c(jv_key(v, i), name) && !fits(value)) {
			put_id(jv_str(value), out);
		} else if (str_eq_c(jv_key(v, i), "tool_calls") && jv_is(value, JV_ARRAY)) {
			strbuf_add_c(out, "[");
			for (size_t k = 0; k < jv_len(value); k++) {
				strbuf_add_c(out, k ? "," : "");
				if (jv_is(jv_at(value, k), JV_OBJECT))
					put(jv_at(value, k), "id", out);
				else
					jv_write(jv_at(value, k), out);
			}
			strbuf_add_c(out, "]");
		} else {
			jv_write(value, out);
		}
	}
	strbuf_add_c(out, "}");
}

enum hokku_code dialect_shorten_ids(const struct jv *messages, struct jv_doc *out, struct hokku_error *err)
{
	struct strbuf text = {0};
	strbuf_add_c(&text, "[");
	for (size_t i = 0; i < jv_len(messages); i++) {
		strbuf_add_c(&text, i ? "," : "");
		put(jv_at(messages, i), "tool_call_id", &text);
	}
	strbuf_add_c(&text, "]");
	enum hokku_code rc = text.failed ? err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the messages")
					 : jv_parse((struct str){text.ptr, text.len}, JV_STRICT, out, err);
	strbuf_free(&text);
	return rc;
}
