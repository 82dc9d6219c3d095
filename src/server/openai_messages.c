/* What OpenAI asks of a conversation beyond what each message must have: results belong to calls. */
#include <stdio.h>

#include "server/openai_fields.h"

static enum hokku_code check_calls(const struct jv *calls, size_t message, struct request_error *err)
{
	char found[96], field[96];
	snprintf(field, sizeof field, "messages[%zu].tool_calls", message);
	if (!jv_none(calls) && !jv_is(calls, JV_ARRAY))
		return bad(err, field, "is %s; it takes an array of calls", field_describe(calls, found));
	for (size_t i = 0; i < jv_len(calls); i++) {
		const struct jv *call = jv_at(calls, i), *name = field_function_name(call),
				*arguments = jv_get(jv_get(call, "function"), "arguments"),
				*id = jv_get(call, "id");
		snprintf(field, sizeof field, "messages[%zu].tool_calls[%zu].function.name", message, i);
		if (!jv_str(name).len)
			return bad(err, field, "is %s; it takes the name of a function",
				   jv_text(name, found, sizeof found));
		snprintf(field, sizeof field, "messages[%zu].tool_calls[%zu].function.arguments", message, i);
		if (!jv_none(arguments) && !jv_is(arguments, JV_STRING) && !jv_is(arguments, JV_OBJECT))
			return bad(err, field, "is %s; it takes JSON as a string",
				   field_describe(arguments, found));
		snprintf(field, sizeof field, "messages[%zu].tool_calls[%zu].id", message, i);
		if (!jv_none(id) && !jv_is(id, JV_STRING))
			return bad(err, field, "is %s; it takes a string", field_describe(id, found));
	}
	return HOKKU_OK;
}

static bool has_call(const struct jv *calls, struct str id)
{
	for (size_t i = 0; i < jv_len(calls); i++)
		if (str_eq(jv_str(jv_get(jv_at(calls, i), "id")), id))
			return true;
	return false;
}

/* calls: of the last message that had any; NULL: none had, or others than results came since. */
static enum hokku_code check_result(const struct jv *message, size_t i, const struct jv *calls,
				    struct request_error *err)
{
	char quoted[96], field[96];
	const struct jv *id = jv_get(message, "tool_call_id");
	if (!calls) {
		snprintf(field, sizeof field, "messages[%zu].role", i);
		return bad(err, field,
			   "is \"tool\", and the messages before it have no call that it could be the result "
			   "of: it follows an assistant's message with tool_calls, or another result");
	}
	snprintf(field, sizeof field, "messages[%zu].tool_call_id", i);
	if (!jv_str(id).len)
		return bad(err, field, "is %s; it takes the id of a call",
			   jv_text(id, quoted, sizeof quoted));
	if (!has_call(calls, jv_str(id)))
		return bad(err, field, "is %s, which no call before it has",
			   str_quote(jv_str(id), quoted, sizeof quoted));
	return HOKKU_OK;
}

enum hokku_code openai_check_messages(const struct jv *messages, struct request_error *err)
{
	const struct jv *calls = NULL;
	char found[96], field[96];
	for (size_t i = 0; i < jv_len(messages); i++) {
		const struct jv *message = jv_at(messages, i), *name = jv_get(message, "name"),
				*own = jv_get(message, "tool_calls");
		struct str role = jv_str(jv_get(message, "role"));
		enum hokku_code rc = check_calls(own, i, err);
		snprintf(field, sizeof field, "messages[%zu].name", i);
		if (!rc && !jv_none(name) && !jv_is(name, JV_STRING))
			rc = bad(err, field, "is %s; it takes a string", field_describe(name, found));
		if (!rc && str_eq_c(role, "tool"))
			rc = check_result(message, i, calls, err);
		else
			calls = str_eq_c(role, "assistant") && jv_len(own) ? own : NULL;
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}
