/*
 * For jinja.test.mjs: renders what standard input asks for, a JSON object a line, and answers with one a
 * line.
 *   {"template", "vars": {...}, "trusted": {names of special tokens}, "now": "2026-07-31T12:00:00"}
 *   {"text", "trusted": the trusted bytes alone, "date"} or {"error", "refused", "message"}
 * The list "messages" of vars is the conversation.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/jinja/json.h"

static struct str text_of(const json_t *v)
{
	return (struct str){json_string_value(v), json_string_length(v)};
}

static void set_all(struct jinja_run *r, json_t *vars, bool trusted)
{
	const char *name;
	json_t *v;
	json_object_foreach(vars, name, v)
	{
		struct jinja_value made = trusted ? jinja_string(r, text_of(v), true) : jinja_from_json(r, v);
		if (strcmp(name, "messages") == 0 && json_is_array(v)) {
			made = jinja_list(r);
			for (size_t i = 0; i < json_array_size(v); i++) {
				struct jinja_value m = jinja_from_json(r, json_array_get(v, i));
				jinja_mark_message(r, m, i);
				jinja_push(r, made, m);
			}
		}
		jinja_set(r, str_c(name), made);
	}
}

static json_t *answer(struct jinja_run *r, enum hokku_code rc, const struct hokku_error *err)
{
	struct strbuf trusted = {0};
	struct jinja_time used;
	char date[20];
	size_t n, at = 0;
	if (rc)
		return json_pack("{s:s, s:b, s:I}", "error", err->message, "refused", jinja_refused(r),
				 "message", (json_int_t)jinja_message_index(r));
	struct str text = jinja_text(r);
	const struct tok_part *parts = jinja_parts(r, &n);
	for (size_t i = 0; i < n; at += parts[i++].len)
		if (parts[i].trusted)
			strbuf_add(&trusted, text.ptr + at, parts[i].len);
	if (at != text.len)
		abort();
	json_t *made = json_pack("{s:o, s:o, s:s*}", "text", json_stringn_nocheck(text.ptr, text.len),
				 "trusted", json_stringn_nocheck(trusted.ptr ? trusted.ptr : "", trusted.len),
				 "date", jinja_used_time(r, &used) ? jinja_time_text(&used, date) : NULL);
	strbuf_free(&trusted);
	return made;
}

static json_t *render(json_t *line)
{
	struct hokku_error err;
	struct jinja *t;
	struct jinja_time now;
	if (jinja_compile(text_of(json_object_get(line, "template")), &t, &err))
		return json_pack("{s:s, s:b, s:i}", "error", err.message, "refused", 0, "message", -1);
	struct jinja_run *r = jinja_run_create();
	set_all(r, json_object_get(line, "vars"), false);
	set_all(r, json_object_get(line, "trusted"), true);
	if (json_object_get(line, "now") && jinja_time_parse(text_of(json_object_get(line, "now")), &now))
		jinja_set_now(r, &now);
	enum hokku_code rc = jinja_render(t, r, &err);
	json_t *made = answer(r, rc, &err);
	jinja_run_destroy(r);
	jinja_destroy(t);
	return made;
}

int main(void)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	while ((n = getline(&line, &cap, stdin)) > 0) {
		json_t *v = json_loadb(line, (size_t)n, JSON_ALLOW_NUL, NULL);
		json_t *made = v ? render(v) : json_pack("{s:s}", "error", "the line is no JSON");
		char *text = json_dumps(made, JSON_COMPACT);
		puts(text);
		fflush(stdout);
		free(text);
		json_decref(made);
		json_decref(v);
	}
	free(line);
	return 0;
}
