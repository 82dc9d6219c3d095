/* Messages and template arguments as requests write them. */
#include <stdio.h>

#include "text/chat_internal.h"

const char *const chat_roles[] = {"system", "developer", "user", "assistant", "tool", "function", NULL};

static bool is_role(struct str s)
{
	for (const char *const *role = chat_roles; *role; role++)
		if (str_eq_c(s, *role))
			return true;
	return false;
}

/* What of a message or a part of its content is a refusal's text. */
static const char refusal_name[] = "refusal";

struct str chat_refusal(const struct jv *message)
{
	struct str role = jv_str(jv_get(message, "role"));
	return str_eq_c(role, "assistant") ? jv_str(jv_get(message, refusal_name)) : (struct str){NULL, 0};
}

struct str chat_part_text(const struct jv *part)
{
	bool refusal = str_eq_c(jv_str(jv_get(part, "type")), refusal_name);
	return jv_str(jv_get(part, refusal ? refusal_name : "text"));
}

/* may_refuse: the message is the assistant's. */
static enum hokku_code check_parts(const struct jv *parts, size_t index, bool may_refuse, char field[64],
				   struct hokku_error *err)
{
	char found[96];
	if (!jv_len(parts))
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "%s is an empty array; it takes at least one text part", field);
	for (size_t i = 0; i < jv_len(parts); i++) {
		const struct jv *part = jv_at(parts, i), *type = jv_get(part, "type");
		bool refusal = may_refuse && str_eq_c(jv_str(type), refusal_name);
		const char *name = refusal ? refusal_name : "text";
		const struct jv *text = jv_get(part, name);
		snprintf(field, 64, "messages[%zu].content[%zu]", index, i);
		if (!jv_is(part, JV_OBJECT))
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "%s is %s; it takes {\"type\": \"text\", \"text\": \"...\"}", field,
				       jv_text(part, found, sizeof found));
		if (!str_eq_c(jv_str(type), "text") && !refusal) {
			snprintf(field, 64, "messages[%zu].content[%zu].type", index, i);
			return err_set(err, HOKKU_INVALID_REQUEST, "%s is %s; it takes \"text\"%s", field,
				       jv_text(type, found, sizeof found),
				       may_refuse ? " or \"refusal\", the kinds of part there are here"
						  : ", the one kind of part there is here");
		}
		if (!jv_is(text, JV_STRING)) {
			snprintf(field, 64, "messages[%zu].content[%zu].%s", index, i, name);
			return err_set(err, HOKKU_INVALID_REQUEST, "%s is %s; it takes a string", field,
				       jv_text(text, found, sizeof found));
		}
	}
	return HOKKU_OK;
}

/* Is there anything in a message beside its role and content? */
static bool is_plain(const struct jv *v)
{
	for (uint32_t i = 0; i < v->n; i++)
		if (!str_eq_c(jv_key(v, i), "role") && !str_eq_c(jv_key(v, i), "content"))
			return false;
	return true;
}

enum hokku_code chat_message_read(const struct jv *v, size_t index, struct chat_message *out, char field[64],
				  struct hokku_error *err)
{
	char found[96];
	snprintf(field, 64, "messages[%zu]", index);
	if (!jv_is(v, JV_OBJECT))
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "%s is %s; it takes an object with role and content", field,
			       jv_text(v, found, sizeof found));
	const struct jv *role = jv_get(v, "role"), *content = jv_get(v, "content"),
			*calls = jv_get(v, "tool_calls");
	snprintf(field, 64, "messages[%zu].role", index);
	if (!is_role(jv_str(role)))
		return err_set(
			err, HOKKU_INVALID_REQUEST,
			"%s is %s; it takes \"system\", \"developer\", \"user\", \"assistant\", \"tool\" or \"function\"",
			field, role ? jv_text(role, found, sizeof found) : "missing");
	*out = (struct chat_message){.role = jv_str(role), .content = jv_str(content)};
	bool assistant = str_eq_c(out->role, "assistant");
	const struct jv *refusal = assistant ? jv_get(v, refusal_name) : NULL;
	snprintf(field, 64, "messages[%zu].refusal", index);
	if (!jv_none(refusal) && !jv_is(refusal, JV_STRING))
		return err_set(err, HOKKU_INVALID_REQUEST, "%s is %s; it takes a string", field,
			       jv_text(refusal, found, sizeof found));
	snprintf(field, 64, "messages[%zu].content", index);
	if (jv_is(content, JV_ARRAY)) {
		enum hokku_code rc = check_parts(content, index, assistant, field, err);
		if (rc)
			return rc;
	} else if (!jv_is(content, JV_STRING) &&
		   !(jv_none(content) && (jv_len(calls) || jv_str(refusal).len))) {
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "%s is %s; it takes a string or an array of text parts", field,
			       content ? jv_text(content, found, sizeof found) : "missing");
	}
	if (!jv_is(content, JV_STRING) || !is_plain(v))
		out->json = v;
	field[0] = '\0';
	return HOKKU_OK;
}

enum hokku_code chat_check_kwargs(const struct jv *v, struct hokku_error *err)
{
	char found[96];
	if (!jv_is(v, JV_OBJECT))
		return err_set(err, HOKKU_INVALID_REQUEST, "is %s; it takes an object of template arguments",
			       jv_text(v, found, sizeof found));
	for (uint32_t i = 0; i < v->n; i++) {
		struct str key = jv_key(v, i);
		bool is_special = false;
		for (size_t k = 0; k < CHAT_N_SPECIALS; k++)
			is_special = is_special || str_eq_c(key, chat_specials[k].name);
		if (str_eq_c(key, "messages") || str_eq_c(key, "tools"))
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "holds \"%.*s\", which has a field of its own", STR_ARG(key));
		if (is_special)
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "holds \"%.*s\", which the model's file sets", STR_ARG(key));
		if (str_eq_c(key, "add_generation_prompt") && !jv_is(jv_value(v, i), JV_BOOL))
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "holds \"add_generation_prompt\": %s; it takes true or false",
				       jv_text(jv_value(v, i), found, sizeof found));
	}
	return HOKKU_OK;
}
