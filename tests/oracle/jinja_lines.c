/*
 * For jinja.test.mjs: renders what standard input asks for, a JSON object a line, and answers with one a
 * line.
 *   {"template", "vars": {...}, "trusted": {names of special tokens}, "now": "2026-07-31T12:00:00"}
 *   without "template": that of the line before
 *   {"text", "trusted": the trusted bytes alone, "date"} or {"error", "refused", "message"}
 * The list "messages" of vars is the conversation.
 */
#include <stdio.h>
#include <stdlib.h>

#include "text/jinja/json.h"

static void set_all(struct jinja_run *r, const struct jv *vars, bool trusted)
{
	for (uint32_t i = 0; vars && i < vars->n; i++) {
		const struct jv *v = jv_value(vars, i);
		struct jinja_value made = trusted ? jinja_string(r, jv_str(v), true) : jinja_from_json(r, v);
		if (str_eq_c(jv_key(vars, i), "messages")) {
			made = jinja_list(r);
			for (size_t k = 0; k < jv_len(v); k++) {
				struct jinja_value m = jinja_from_json(r, jv_at(v, k));
				jinja_mark_message(r, m, k);
				jinja_push(r, made, m);
			}
		}
		jinja_set(r, jv_key(vars, i), made);
	}
}

static void print_error(const char *message, bool refused, ptrdiff_t index)
{
	struct strbuf b = {0};
	strbuf_add_json(&b, message, strlen(message));
	printf("{\"error\": %s, \"refused\": %s, \"message\": %td}\n", b.ptr, refused ? "true" : "false",
	       index);
	strbuf_free(&b);
}

static void print_text(const struct jinja_run *r)
{
	struct strbuf b = {0}, trusted = {0};
	struct jinja_time used;
	char date[20];
	size_t n, at = 0;
	struct str text = jinja_text(r);
	const struct tok_part *parts = jinja_parts(r, &n);
	for (size_t i = 0; i < n; at += parts[i++].len)
		if (parts[i].trusted)
			strbuf_add(&trusted, text.ptr + at, parts[i].len);
	if (at != text.len)
		abort();
	strbuf_add_c(&b, "{\"text\": ");
	strbuf_add_json(&b, text.ptr, text.len);
	strbuf_add_c(&b, ", \"trusted\": ");
	strbuf_add_json(&b, trusted.ptr ? trusted.ptr : "", trusted.len);
	if (jinja_used_time(r, &used))
		strbuf_addf(&b, ", \"date\": \"%s\"", jinja_time_text(&used, date));
	printf("%s}\n", b.ptr);
	strbuf_free(&b);
	strbuf_free(&trusted);
}

struct compiled {
	struct jinja *t; /* NULL: err says why */
	struct hokku_error err;
};

static void compile(struct compiled *c, const struct jv *template)
{
	jinja_destroy(c->t);
	c->t = NULL;
	if (jinja_compile(jv_str(template), &c->t, &c->err))
		c->t = NULL;
}

static void render(const struct compiled *c, const struct jv *line)
{
	struct hokku_error err;
	struct jinja_time now;
	if (!c->t) {
		print_error(c->err.message, false, -1);
		return;
	}
	struct jinja_run *r = jinja_run_create();
	set_all(r, jv_get(line, "vars"), false);
	set_all(r, jv_get(line, "trusted"), true);
	if (jinja_time_parse(jv_str(jv_get(line, "now")), &now))
		jinja_set_now(r, &now);
	if (jinja_render(c->t, r, &err))
		print_error(err.message, jinja_refused(r), jinja_message_index(r));
	else
		print_text(r);
	jinja_run_destroy(r);
}

int main(void)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	struct compiled c = {.err.message = "there is no template"};
	while ((n = getline(&line, &cap, stdin)) > 0) {
		struct jv_doc doc;
		struct hokku_error err;
		if (jv_parse((struct str){line, (size_t)n}, JV_STRICT, &doc, &err)) {
			print_error(err.message, false, -1);
		} else {
			if (jv_get(&doc.root, "template"))
				compile(&c, jv_get(&doc.root, "template"));
			render(&c, &doc.root);
			jv_doc_free(&doc);
		}
		fflush(stdout);
	}
	free(line);
	jinja_destroy(c.t);
	return 0;
}
