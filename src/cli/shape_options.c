#include "cli/shape_options.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"

void opt_add_shape(struct opt_table *t, struct shape_options *o)
{
	o->choice = (struct opt_list){.values = o->choices, .max = SHAPE_MAX_CHOICES};
	const struct opt rows[] = {
		{.name = "json-schema",
		 .letter = 'j',
		 .kind = OPT_STRING,
		 .target = &o->schema,
		 .metavar = "SCHEMA",
		 .help = "the answer is an instance of this JSON Schema, {} for any JSON"},
		{.name = "json-schema-file",
		 .alias = "jf",
		 .kind = OPT_STRING,
		 .target = &o->schema_file,
		 .metavar = "FILE",
		 .help = "the same, read from FILE; - is standard input"},
		{.name = "json-object",
		 .kind = OPT_FLAG,
		 .target = &o->json_object,
		 .help = "the answer is a JSON object"},
		{.name = "structural-tag",
		 .kind = OPT_STRING,
		 .target = &o->structure,
		 .metavar = "JSON",
		 .help = "the answer is free text, tags and shapes as this structural tag has them"},
		{.name = "structural-tag-file",
		 .kind = OPT_STRING,
		 .target = &o->structure_file,
		 .metavar = "FILE",
		 .help = "the same, read from FILE; - is standard input"},
		{.name = "json-space-free",
		 .kind = OPT_FLAG,
		 .target = &o->free_space,
		 .help = "with one of these: white space where JSON allows it; else there is none"},
		{.name = "json-space-spaced",
		 .kind = OPT_FLAG,
		 .target = &o->spaced,
		 .help = "the same: one space behind each : and , and no other"},
		{.name = "grammar",
		 .kind = OPT_STRING,
		 .target = &o->grammar,
		 .metavar = "GBNF",
		 .help = "the answer is a text of this grammar, as llama.cpp writes them"},
		{.name = "grammar-file",
		 .kind = OPT_STRING,
		 .target = &o->grammar_file,
		 .metavar = "FILE",
		 .help = "the same, read from FILE; - is standard input"},
		{.name = "regex",
		 .kind = OPT_STRING,
		 .target = &o->regex,
		 .metavar = "REGEX",
		 .help = "the whole answer matches this regular expression"},
		{.name = "choice",
		 .kind = OPT_LIST,
		 .target = &o->choice,
		 .metavar = "TEXT",
		 .help = "the answer is this text, or one of several"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		opt_add(t, &rows[i]);
}

/* What was given says what it is. Returns the first two options that did, and how many. */
static int find_given(struct shape_options *o, const char *names[2])
{
	const struct {
		const char *name;
		bool given;
		enum constrain_kind kind;
		const char *text;
	} rows[] = {
		{"--json-schema", o->schema, CONSTRAIN_JSON_SCHEMA, o->schema},
		{"--json-schema-file", o->schema_file, CONSTRAIN_JSON_SCHEMA, NULL},
		{"--json-object", o->json_object, CONSTRAIN_JSON_OBJECT, ""},
		{"--structural-tag", o->structure, CONSTRAIN_STRUCTURE, o->structure},
		{"--structural-tag-file", o->structure_file, CONSTRAIN_STRUCTURE, NULL},
		{"--grammar", o->grammar, CONSTRAIN_GBNF, o->grammar},
		{"--grammar-file", o->grammar_file, CONSTRAIN_GBNF, NULL},
		{"--regex", o->regex, CONSTRAIN_REGEX, o->regex},
		{"--choice", o->choice.n > 0, CONSTRAIN_CHOICE, NULL},
	};
	int n = 0;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (!rows[i].given)
			continue;
		if (n < 2)
			names[n] = rows[i].name;
		n++;
		o->shape.kind = rows[i].kind;
		o->shape.text = str_c(rows[i].text ? rows[i].text : "");
	}
	return n;
}

static int read_file(struct shape_options *o)
{
	const char *path = o->schema_file      ? o->schema_file
			   : o->structure_file ? o->structure_file
					       : o->grammar_file;
	struct hokku_error err;
	size_t n;
	if (!path)
		return -1;
	if (file_read(path, SHAPES_MAX_TEXT, &o->owned, &n, &err))
		return cli_fail(&err);
	o->shape.text = (struct str){o->owned, n};
	return -1;
}

int cli_read_shape(const struct cmd *cmd, struct shape_options *o)
{
	const char *names[2] = {NULL, NULL};
	int n = find_given(o, names);
	bool json = o->schema || o->schema_file || o->json_object || o->structure || o->structure_file;
	if (n > 1)
		return cli_usage(cmd, "%s and %s both say what shape the answer has; give one of them",
				 names[0], names[1]);
	if (o->free_space && o->spaced)
		return cli_usage(cmd, "--json-space-free and --json-space-spaced exclude each other");
	if ((o->free_space || o->spaced) && !json)
		return cli_usage(cmd,
				 "%s is for answers in JSON; it goes with --json-schema, "
				 "--json-schema-file, --json-object, --structural-tag or "
				 "--structural-tag-file",
				 o->spaced ? "--json-space-spaced" : "--json-space-free");
	o->given = names[0];
	o->shape.space = o->free_space ? CONSTRAIN_FREE : o->spaced ? CONSTRAIN_SPACED : CONSTRAIN_COMPACT;
	if (o->choice.n) {
		for (uint32_t i = 0; i < o->choice.n; i++) {
			strbuf_add_c(&o->text, i ? "," : "[");
			strbuf_add_json(&o->text, o->choices[i], strlen(o->choices[i]));
		}
		strbuf_add_c(&o->text, "]");
		o->shape.text = (struct str){o->text.ptr, o->text.len};
	}
	return read_file(o);
}

void cli_free_shape(struct shape_options *o)
{
	free(o->owned);
	strbuf_free(&o->text);
}

enum hokku_code cli_make_shape(const struct shape_options *o, struct engine *e, struct constrain **out,
			       struct hokku_error *err)
{
	static const char *const files[] = {"--json-schema-file", "--grammar-file", "--structural-tag-file"};
	const char *instead = NULL, *texts[] = {o->schema, o->grammar, o->structure};
	*out = NULL;
	if (!o->given)
		return HOKKU_OK;
	enum hokku_code rc = engine_make_shape(e, &o->shape, out, NULL, err);
	if (rc != HOKKU_INVALID_REQUEST)
		return rc;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) /* a path in place of what is in the file */
		if (texts[i] && access(texts[i], R_OK) == 0)
			instead = files[i];
	if (instead)
		return err_set(err, rc, "%s takes the text itself; %s reads it from a file", o->given,
			       instead);
	return err_prefix(err, rc, "%s", o->given);
}
