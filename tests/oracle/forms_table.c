/*
 * `forms_table`: what routes there are and what each takes, as one JSON object: "routes" in the order of
 * GET /, each with the number of its form in "forms", null where it reads none of a form; "sampling", the
 * fields that all forms take but those with "no_sampling"; "options", those of Ollama's requests.
 * tests/make_openapi.mjs makes docs/openapi.json of it, and e2e/openapi.test.mjs holds that file against it.
 */
#include <stdio.h>

#include "server/field.h"
#include "server/ollama.h"
#include "server/routes.h"

enum { MAX_FORMS = 64 };

static const struct request_form *forms[MAX_FORMS];
static size_t n_forms;

/* The number that the form has. */
static size_t number_of(const struct request_form *form)
{
	size_t i = 0;
	while (i < n_forms && forms[i] != form)
		i++;
	if (i == MAX_FORMS)
		return i;
	if (i == n_forms)
		forms[n_forms++] = form;
	return i;
}

static void add_text(struct strbuf *b, const char *text)
{
	strbuf_add_json(b, text, strlen(text));
}

static bool add_routes(struct strbuf *b)
{
	struct route_told r;
	for (size_t i = 0; routes_tell(i, &r); i++) {
		strbuf_addf(b, "%s\n{\"method\":\"%s\",\"path\":\"%s\",\"open\":%s,\"text\":", i ? "," : "",
			    r.method, r.path, r.gate == GATE_OPEN ? "true" : "false");
		add_text(b, r.text);
		if (!r.form)
			strbuf_add_c(b, ",\"form\":null}");
		else if (number_of(r.form) == MAX_FORMS)
			return false;
		else
			strbuf_addf(b, ",\"form\":%zu}", number_of(r.form));
	}
	return true;
}

static void add_form(struct strbuf *b, const struct request_form *form)
{
	struct sampling defaults;
	strbuf_addf(b, "{\"strict\":%s,\"stream\":%s,\"no_sampling\":%s,\"fields\":[",
		    form->strict ? "true" : "false", form->stream ? "true" : "false",
		    form->no_sampling ? "true" : "false");
	for (const struct field *f = form->fields; f->name; f++)
		strbuf_addf(b, "%s\"%s\"", f == form->fields ? "" : ",", f->name);
	strbuf_add_c(b, "],\"defaults\":{");
	request_defaults(form, NULL, &defaults);
	for (size_t i = 0; i < n_sampling_fields; i++)
		strbuf_addf(b, "%s\"%s\":%.7g", i ? "," : "", sampling_fields[i].name,
			    sampling_get(&defaults, &sampling_fields[i]));
	strbuf_add_c(b, "}}");
}

static void add_sampling(struct strbuf *b)
{
	for (size_t i = 0; i < n_sampling_fields; i++) {
		const struct sampling_field *f = &sampling_fields[i];
		strbuf_addf(
			b,
			"%s\n{\"name\":\"%s\",\"whole\":%s,\"min\":%.10g,\"max\":%.10g,\"min_open\":%s,\"text\":",
			i ? "," : "", f->name, f->kind == SAMPLING_INT ? "true" : "false", f->min, f->max,
			f->min_open ? "true" : "false");
		add_text(b, f->text);
		strbuf_add_c(b, "}");
	}
}

int main(void)
{
	struct strbuf b = {0};
	strbuf_add_c(&b, "{\"routes\":[");
	if (!add_routes(&b)) {
		fprintf(stderr, "forms_table: there are more than %d forms\n", MAX_FORMS);
		return 1;
	}
	strbuf_add_c(&b, "],\"forms\":[");
	for (size_t i = 0; i < n_forms; i++) {
		strbuf_add_c(&b, i ? ",\n" : "\n");
		add_form(&b, forms[i]);
	}
	strbuf_add_c(&b, "],\"cancel\":[");
	for (const char *const *name = request_cancel_fields; *name; name++)
		strbuf_addf(&b, "%s\"%s\"", name == request_cancel_fields ? "" : ",", *name);
	strbuf_add_c(&b, "],\"options\":[");
	for (size_t i = 0; ollama_option_name(i); i++)
		strbuf_addf(&b, "%s\"%s\"", i ? "," : "", ollama_option_name(i));
	strbuf_add_c(&b, "],\"sampling\":[");
	add_sampling(&b);
	strbuf_add_c(&b, "]}");
	bool ok = !b.failed && puts(b.ptr) >= 0;
	strbuf_free(&b);
	return ok ? 0 : 1;
}
