/*
 * For dialects.test.mjs: what dialect_probe finds in templates. A JSON object with "template" a line on
 * standard input, one with what was found a line on standard output.
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
		if (jv_parse((struct str){line, (size_t)n}, JV_STRICT, &doc, &err) ||
		    chat_init(&c, g, jv_str(jv_get(&doc.root, "template")), &err))
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
