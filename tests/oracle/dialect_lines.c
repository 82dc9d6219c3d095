/*
 * For dialects.test.mjs: what dialect_probe finds in templates, and what a reader makes of answers. A JSON
 * object a line on standard input, one a line on standard output.
 *   {"template"}: what was found
 *   {"dialect", "thinking", "prompt", "tools", "answer"}: {"text", "thinking", "calls": [[name, arguments,
 * whole]]}
 */
#include "gguf/builder.h"

#include "text/dialect.h"

static void print_found(const struct chat *c)
{
	struct dialect_found f;
	struct hokku_error err;
	if (dialect_probe(c, &f, &err)) {
		printf("{\"error\": \"out of memory\"}\n");
		return;
	}
	printf("{\"dialect\": \"%s\", \"why\": \"%s\", \"lists\": %d, \"calls\": %d, \"several\": %d, \"both\": %d, \"system\": %d, \"results\": %d, \"exact\": %d, "
	       "\"form\": %u, \"thinking\": \"%s\", \"marks\": %d, \"opens\": %d, \"switch\": \"%s\", \"without\": %d, "
	       "\"effort\": \"%s\", \"none\": \"%s\", \"budget\": \"%s\"}\n",
	       dialect_name(f.dialect), f.why, f.lists_tools, f.writes_calls, f.writes_several,
	       f.exact_several, f.takes_system, f.writes_results, f.exact, f.form, f.thinking->name,
	       f.marks_thinking, f.opens_thinking, f.switch_argument ? f.switch_argument : "",
	       f.thinks_without, f.effort_argument ? f.effort_argument : "",
	       f.effort_none ? f.effort_none : "", f.budget_argument ? f.budget_argument : "");
}

struct told {
	struct strbuf text, thinking, calls;
	bool open; /* the last call has no end yet */
	struct strbuf args;
};

static void end_call(struct told *t, bool whole)
{
	if (!t->open)
		return;
	strbuf_add_json(&t->calls, t->args.ptr ? t->args.ptr : "", t->args.len);
	strbuf_addf(&t->calls, ", %s]", whole ? "true" : "false");
	strbuf_clear(&t->args);
	t->open = false;
}

static void hear(void *user, const struct part *p)
{
	struct told *t = user;
	if (p->kind == PART_TEXT || p->kind == PART_THINKING) {
		strbuf_add(p->kind == PART_TEXT ? &t->text : &t->thinking, p->text.ptr, p->text.len);
	} else if (p->kind == PART_CALL) {
		end_call(t, false);
		strbuf_add_c(&t->calls, t->calls.len ? ", [" : "[");
		strbuf_add_json(&t->calls, p->text.ptr, p->text.len);
		strbuf_add_c(&t->calls, ", ");
		t->open = true;
	} else if (p->kind == PART_ARGUMENTS) {
		strbuf_add(&t->args, p->text.ptr, p->text.len);
	} else {
		end_call(t, true);
	}
}

static void read_answer(const struct jv *line)
{
	const struct jv *thinking = jv_get(line, "thinking");
	struct told t = {0};
	struct strbuf out = {0};
	struct dialect_reading how = {.dialect = dialect_find(jv_get(line, "dialect")->text),
				      .tools = jv_get(line, "tools"),
				      .prompt = jv_str(jv_get(line, "prompt"))};
	if (jv_is(thinking, JV_STRING))
		how.thinking = dialect_thinking_find(thinking->text);
	struct dialect_reader *r = dialect_reader_new(&how, hear, &t);
	dialect_reader_feed(r, jv_str(jv_get(line, "answer")), NULL);
	dialect_reader_end(r, NULL);
	dialect_reader_free(r);
	end_call(&t, false);
	strbuf_add_c(&out, "{\"text\": ");
	strbuf_add_json(&out, t.text.ptr ? t.text.ptr : "", t.text.len);
	strbuf_add_c(&out, ", \"thinking\": ");
	strbuf_add_json(&out, t.thinking.ptr ? t.thinking.ptr : "", t.thinking.len);
	printf("%s, \"calls\": [%s]}\n", out.ptr, t.calls.ptr ? t.calls.ptr : "");
	strbuf_free(&out);
	strbuf_free(&t.text);
	strbuf_free(&t.thinking);
	strbuf_free(&t.calls);
	strbuf_free(&t.args);
}

int main(void)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	struct strbuf b = {0};
	struct gguf *g;
	void *copy;
	struct hokku_error err;
	b_header(&b, 3, 0, 0);
	if (b_open(&b, &copy, &g, &err))
		return 1;
	while ((n = getline(&line, &cap, stdin)) > 0) {
		struct jv_doc doc;
		struct chat c;
		if (jv_parse((struct str){line, (size_t)n}, JV_STRICT, &doc, &err))
			return 1;
		if (jv_get(&doc.root, "answer")) {
			read_answer(&doc.root);
			fflush(stdout);
			jv_doc_free(&doc);
			continue;
		}
		if (chat_init(&c, g, jv_str(jv_get(&doc.root, "template")), &err))
			return 1;
		print_found(&c);
		fflush(stdout);
		chat_deinit(&c);
		jv_doc_free(&doc);
	}
	gguf_close(g);
	free(copy);
	free(line);
	strbuf_free(&b);
	return 0;
}
