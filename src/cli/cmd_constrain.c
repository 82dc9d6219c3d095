/* `hokku constrain`: what a schema, a grammar, a pattern or choices mean, and whether an instance would fit.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/rng.h"
#include "cli/instance.h"
#include "cli/options_common.h"
#include "cli/shape_batch.h"

static int run(int argc, char **argv);

const struct cmd cmd_constrain = {
	.name = "constrain",
	.usage = "constrain SCHEMA [INSTANCE] [OPTIONS] | constrain --batch FILE [OPTIONS]",
	.summary = "compile a schema, explain what is refused, check instances against it",
	.help = "SCHEMA is a file that holds a JSON Schema; --grammar, --regex, --choice, --structure and --json-object stand\n"
		"in its place. It is compiled as a request's is, against the vocabulary of a model (-m; the bundled one\n"
		"without it) or of 256 bytes. What cannot be enforced is refused with its place, a JSON pointer.\n"
		"INSTANCE is a file with a text: whether it would be accepted as a whole, and if not, which byte does not fit\n"
		"and what could stand there. A file named - is standard input. JSON is compact unless --space says otherwise.\n"
		"--masks walks instances as a run does, token by token, and proves the masks on the way.\n"
		"--batch reads JSON lines {\"schema\": ... , \"tests\": [{\"data\": ..., \"valid\": true}]} (\"grammar\", \"regex\",\n"
		"\"choice\" or \"structure\" for \"schema\"; \"text\" for \"data\"; \"name\" and \"space\" where wanted) and answers each by a line.\n\n"
		"Examples:\n"
		"  hokku constrain person.schema.json person.json\n"
		"  hokku constrain --regex '[a-z]+ [0-9]{2}' --sample 5\n"
		"  hokku constrain person.schema.json --print\n",
	.run = run,
};

enum { MAX_INPUT_BYTES = 64 << 20, DRAWN_TOKENS = 200 };

/* As --vocab counts its words. --space counts as enum constrain_space does, from 1 on. */
enum { VOCAB_MODEL = 1, VOCAB_BYTES };

struct options {
	const char *operands[2];
	int n_operands;
	const char *model, *grammar, *regex, *choice, *structure, *batch;
	bool json_object, print, json, masks, bench, seed_given;
	unsigned vocab, space; /* 0: not given */
	uint32_t n_samples, max_tokens;
	uint64_t seed;
};

struct session {
	struct options o;
	struct shape_tools tools;
	struct shape_made made;
	char *shape_text, *instance;
	size_t instance_len;
	struct strbuf out;
};

static void add_shape_options(struct opt_table *t, struct options *o)
{
	static const char *const spaces[] = {"compact", "free", "spaced", NULL}, *const vocabs[] = {"model",
												    "bytes",
												    NULL};
	const struct opt rows[] = {
		{.name = "model",
		 .letter = 'm',
		 .kind = OPT_STRING,
		 .target = &o->model,
		 .metavar = "MODEL",
		 .help = "whose vocabulary: a GGUF file or a folder",
		 .fallback = "the bundled haiku model"},
		{.name = "vocab",
		 .kind = OPT_CHOICE,
		 .target = &o->vocab,
		 .metavar = "KIND",
		 .help = "the vocabulary; bytes: 256 tokens of one byte each",
		 .choices = vocabs,
		 .fallback = "model"},
		{.name = "grammar",
		 .kind = OPT_STRING,
		 .target = &o->grammar,
		 .metavar = "FILE",
		 .help = "a grammar (GBNF) in place of a schema"},
		{.name = "regex",
		 .kind = OPT_STRING,
		 .target = &o->regex,
		 .metavar = "TEXT",
		 .help = "a regular expression that the whole text matches"},
		{.name = "choice",
		 .kind = OPT_STRING,
		 .target = &o->choice,
		 .metavar = "JSON",
		 .help = "an array of strings, of which the text is one"},
		{.name = "structure",
		 .kind = OPT_STRING,
		 .target = &o->structure,
		 .metavar = "FILE",
		 .help = "a structural tag (JSON): free text, tags, triggers and schemas in one"},
		{.name = "json-object",
		 .kind = OPT_FLAG,
		 .target = &o->json_object,
		 .help = "any JSON object"},
		{.name = "space",
		 .kind = OPT_CHOICE,
		 .target = &o->space,
		 .metavar = "HOW",
		 .help = "white space between JSON's tokens; compact: none; spaced: one space behind : and ,",
		 .choices = spaces,
		 .fallback = "compact"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		opt_add(t, &rows[i]);
}

static void add_work_options(struct opt_table *t, struct options *o)
{
	const struct opt rows[] = {
		{.name = "print",
		 .kind = OPT_FLAG,
		 .target = &o->print,
		 .help = "print what was compiled, a rule a line"},
		{.name = "sample",
		 .kind = OPT_U32,
		 .target = &o->n_samples,
		 .metavar = "N",
		 .help = "draw N texts at random from the masks, a JSON string a line",
		 .max = 1000000,
		 .fallback = "none"},
		{.name = "seed",
		 .letter = 's',
		 .kind = OPT_U64,
		 .target = &o->seed,
		 .metavar = "S",
		 .help = "the same seed draws the same texts",
		 .fallback = "drawn",
		 .given = &o->seed_given},
		{.name = "max-tokens",
		 .letter = 'n',
		 .kind = OPT_U32,
		 .target = &o->max_tokens,
		 .metavar = "N",
		 .help = "what is drawn heads for its end after N tokens",
		 .min = 1,
		 .max = 1000000},
		{.name = "masks",
		 .kind = OPT_FLAG,
		 .target = &o->masks,
		 .help = "walk instances token by token, each token looked up in its mask"},
		{.name = "bench",
		 .kind = OPT_FLAG,
		 .target = &o->bench,
		 .help = "tell times, in microseconds of processor time"},
		{.name = "batch",
		 .kind = OPT_STRING,
		 .target = &o->batch,
		 .metavar = "FILE",
		 .help = "many shapes and instances, JSON lines"},
		{.name = "json", .kind = OPT_FLAG, .target = &o->json, .help = "print a JSON object"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		opt_add(t, &rows[i]);
}

/* What does not go together. Returns -1, or EXIT_USAGE after a message. */
static int check(const struct options *o)
{
	int n_shapes = !!o->grammar + !!o->regex + !!o->choice + !!o->structure + o->json_object,
	    n_instances = o->n_operands - !n_shapes;
	if (n_shapes > 1)
		return cli_usage(
			&cmd_constrain,
			"--grammar, --regex, --choice, --structure and --json-object exclude each other");
	if (o->model && o->vocab == VOCAB_BYTES)
		return cli_usage(&cmd_constrain,
				 "-m names a model and --vocab bytes takes none; one is wanted");
	if (o->batch && (n_shapes || o->n_operands))
		return cli_usage(&cmd_constrain,
				 "--batch reads its shapes and instances from FILE, and takes no other");
	if (o->batch && (o->print || o->json))
		return cli_usage(&cmd_constrain,
				 "--batch answers in JSON lines; it takes no --print and no --json");
	if (o->batch)
		return -1;
	if (!n_shapes && !o->n_operands)
		return cli_usage(
			&cmd_constrain,
			"there is no schema; name a file, or give --grammar, --regex, --choice, --structure or "
			"--json-object");
	if (n_instances > 1)
		return cli_usage(&cmd_constrain, "\"%s\" is a second instance; one is taken", o->operands[1]);
	if (o->print + (n_instances > 0) + !!o->n_samples > 1)
		return cli_usage(&cmd_constrain, "INSTANCE, --print and --sample exclude each other");
	if (o->print && o->json)
		return cli_usage(&cmd_constrain, "--print prints text; it takes no --json");
	if (o->masks && !n_instances)
		return cli_usage(&cmd_constrain, "--masks walks an INSTANCE, and there is none");
	if (o->n_operands == 2 && !strcmp(o->operands[0], "-") && !strcmp(o->operands[1], "-"))
		return cli_usage(&cmd_constrain, "schema and instance are both standard input; one can be");
	return -1;
}

static int parse(int argc, char **argv, struct options *o)
{
	struct opt_table table = {0};
	o->max_tokens = DRAWN_TOKENS;
	add_shape_options(&table, o);
	add_work_options(&table, o);
	int rc = cli_parse(&cmd_constrain, table.rows, argc, argv, o->operands, 2, &o->n_operands);
	if (rc < 0)
		rc = check(o);
	if (rc < 0 && !o->seed_given)
		o->seed = rng_os_seed();
	return rc;
}

static enum constrain_space space_of(const struct options *o)
{
	return o->space ? (enum constrain_space)(o->space - 1) : CONSTRAIN_COMPACT;
}

/* The answer is one JSON value. */
static bool is_json(const struct options *o)
{
	return !o->grammar && !o->regex && !o->choice && !o->structure;
}

/* The shape that the options name, and the instance's path (NULL: none). */
static enum hokku_code read_shape(struct session *s, struct constrain_shape *out, const char **instance,
				  struct hokku_error *err)
{
	const struct options *o = &s->o;
	const char *file = o->grammar ? o->grammar : o->structure;
	int n_read = 0;
	*out = (struct constrain_shape){.space = space_of(o)};
	if (o->regex) {
		out->kind = CONSTRAIN_REGEX;
		out->text = str_c(o->regex);
	} else if (o->choice) {
		out->kind = CONSTRAIN_CHOICE;
		out->text = str_c(o->choice);
	} else if (o->json_object) {
		out->kind = CONSTRAIN_JSON_OBJECT;
	} else if (o->grammar) {
		out->kind = CONSTRAIN_GBNF;
	} else if (o->structure) {
		out->kind = CONSTRAIN_STRUCTURE;
	} else {
		out->kind = CONSTRAIN_JSON_SCHEMA;
		file = o->operands[n_read++];
	}
	*instance = n_read < o->n_operands ? o->operands[n_read] : NULL;
	if (!file)
		return HOKKU_OK;
	enum hokku_code rc = file_read(file, MAX_INPUT_BYTES, &s->shape_text, &out->text.len, err);
	out->text.ptr = s->shape_text;
	return rc;
}

/* A byte, or several in a row, for people. */
static void add_bytes(struct strbuf *b, unsigned from, unsigned to)
{
	char quoted[16];
	for (int i = 0; i < (from == to ? 1 : 2); i++) {
		char c = (char)(i ? to : from);
		strbuf_add_c(b, i ? " to " : "");
		strbuf_add_c(b, str_quote((struct str){&c, 1}, quoted, sizeof quoted));
	}
}

/* The bytes that could come, as ranges: "\"0\" to \"9\", \"-\" or the end". */
static void add_wanted(struct strbuf *b, const struct tok *tok, const struct shape_walked *w)
{
	size_t n = 0;
	for (unsigned i = 0; i < 256; i++) {
		unsigned from = i;
		if (!(w->next[i / 64] >> (i % 64) & 1))
			continue;
		while (i < 255 && (w->next[(i + 1) / 64] >> ((i + 1) % 64) & 1))
			i++;
		strbuf_add_c(b, n++ ? ", " : "");
		add_bytes(b, from, i == from + 1 ? from : i);
		if (i == from + 1) {
			strbuf_add_c(b, ", ");
			add_bytes(b, i, i);
		}
	}
	if (w->n_named) {
		strbuf_addf(b, "%sthe token %d", n++ ? ", " : "", w->named);
		if (tok)
			strbuf_addf(b, " %.*s", STR_ARG(tok_bytes(tok, w->named)));
		if (w->n_named > 1)
			strbuf_addf(b, " and %u others", w->n_named - 1);
	}
	if (w->may_end)
		strbuf_add_c(b, n ? ", or the end" : "the end");
	else if (!n)
		strbuf_add_c(b, "nothing");
}

static void add_verdict_json(struct session *s, const struct shape_walked *w, struct str text)
{
	struct strbuf more = {0};
	bool accepted = w->verdict == SHAPE_ACCEPTED;
	strbuf_addf(&s->out, ", \"accepted\": %s", accepted ? "true" : "false");
	if (accepted)
		return;
	struct instance_place place = instance_place(text, w->at);
	strbuf_addf(&s->out, ", \"why\": \"%s\", \"at\": %zu, \"line\": %zu, \"column\": %zu, \"pointer\": ",
		    shape_verdict_name(w->verdict), w->at, place.line, place.column);
	instance_pointer(&more, text, w->at);
	strbuf_add_json(&s->out, more.ptr, more.len);
	strbuf_clear(&more);
	add_wanted(&more, s->tools.tok, w);
	strbuf_add_c(&s->out, ", \"wanted\": ");
	strbuf_add_json(&s->out, more.ptr, more.len);
	strbuf_free(&more);
}

static void add_verdict(struct session *s, const struct shape_walked *w, struct str text)
{
	char quoted[64];
	struct instance_place place = instance_place(text, w->at);
	if (w->verdict == SHAPE_ACCEPTED) {
		strbuf_add_c(&s->out, "accepted\n");
		return;
	}
	if (w->verdict == SHAPE_SPENT) {
		strbuf_addf(&s->out, "byte %zu: what the shape may use of memory or work is used up\n",
			    w->at);
		return;
	}
	strbuf_addf(&s->out, "%s at byte %zu (line %zu column %zu)", shape_verdict_name(w->verdict), w->at,
		    place.line, place.column);
	if (is_json(&s->o)) {
		strbuf_add_c(&s->out, ", in the value at \"");
		instance_pointer(&s->out, text, w->at);
		strbuf_add_c(&s->out, "\"");
	}
	if (w->verdict == SHAPE_REFUSED) {
		size_t n = text.len - w->at < 24 ? text.len - w->at : 24;
		strbuf_addf(&s->out, ": %s",
			    str_quote((struct str){text.ptr + w->at, n}, quoted, sizeof quoted));
	}
	strbuf_add_c(&s->out, "\nwhat could stand there: ");
	add_wanted(&s->out, s->tools.tok, w);
	strbuf_add_c(&s->out, "\n");
	if (w->verdict == SHAPE_REFUSED && w->at < text.len && cli_is_space(text.ptr[w->at]) &&
	    space_of(&s->o) == CONSTRAIN_COMPACT && is_json(&s->o))
		strbuf_add_c(&s->out, "JSON is written without white space here; --space free allows it\n");
}

/* --bench of one shape. */
static void add_times(struct session *s)
{
	const struct shape_made *m = &s->made;
	if (s->o.json) {
		strbuf_addf(&s->out,
			    ", \"compile_us\": %.1f, \"first_us\": %.1f, \"mask_us\": ", m->compile_us,
			    m->first_us);
		shape_write_times(&s->out, &s->tools.mask_us);
		return;
	}
	strbuf_addf(&s->out, "compiled in %.0f us, with the first mask %.0f us\n", m->compile_us,
		    m->first_us);
	struct summary t = series_summary(&s->tools.mask_us);
	if (t.n)
		strbuf_addf(&s->out, "%zu masks, us: mean %.1f, p50 %.1f, p95 %.1f, p99 %.1f, most %.1f\n",
			    t.n, t.mean, t.p50, t.p95, t.p99, t.largest);
}

static int check_instance(struct session *s)
{
	struct shape_walked w;
	struct hokku_error err;
	struct str text = s->instance ? (struct str){s->instance, s->instance_len} : (struct str){"", 0};
	shape_walk(&s->tools, s->made.shape, text, s->o.masks, &w);
	if (w.fault) {
		err_set(&err, HOKKU_INTERNAL, "byte %zu: %s", w.at, w.fault);
		return cli_fail(&err);
	}
	if (s->o.json)
		add_verdict_json(s, &w, text);
	else
		add_verdict(s, &w, text);
	return w.verdict == SHAPE_ACCEPTED ? EXIT_OK : EXIT_FAILED;
}

static int draw(struct session *s)
{
	struct hokku_error err;
	if (s->o.json)
		strbuf_add_c(&s->out, ", \"samples\": [");
	for (uint32_t i = 0; i < s->o.n_samples; i++) {
		struct shape_drawn d = {0};
		shape_draw(&s->tools, s->made.shape, s->o.seed + i, s->o.max_tokens, &d);
		if (d.fault) {
			err_set(&err, HOKKU_INTERNAL, "seed %llu: %s", (unsigned long long)(s->o.seed + i),
				d.fault);
			strbuf_free(&d.text);
			return cli_fail(&err);
		}
		if (s->o.json)
			strbuf_addf(&s->out, "%s{\"tokens\": %zu, \"ended\": %s, \"text\": ", i ? ", " : "",
				    d.n_tokens, d.ended ? "true" : "false");
		strbuf_add_json(&s->out, d.text.ptr, d.text.len);
		strbuf_add_c(&s->out, s->o.json ? "}" : "\n");
		strbuf_free(&d.text);
	}
	if (s->o.json)
		strbuf_add_c(&s->out, "]");
	return EXIT_OK;
}

static void add_refusal(struct session *s, const struct hokku_error *err)
{
	strbuf_add_c(&s->out, "{\"compiled\": false, \"place\": ");
	strbuf_add_json(&s->out, s->made.fault.place, strlen(s->made.fault.place));
	strbuf_add_c(&s->out, ", \"error\": ");
	strbuf_add_json(&s->out, err->message, strlen(err->message));
	strbuf_add_c(&s->out, "}\n");
}

static void add_compiled(struct session *s)
{
	struct constrain_stats stats;
	char bytes[32];
	constrain_get_stats(s->made.shape, &stats);
	if (s->o.json)
		strbuf_addf(&s->out, "{\"compiled\": true, \"bytes\": %zu, \"work\": %llu", stats.bytes,
			    (unsigned long long)stats.work);
	else if (!s->instance && !s->o.n_samples && !s->o.print)
		strbuf_addf(&s->out, "it compiles: %s, %llu units of work\n", str_bytes(stats.bytes, bytes),
			    (unsigned long long)stats.work);
}

static int one_shape(struct session *s)
{
	struct constrain_shape shape;
	struct hokku_error err;
	const char *path;
	if (read_shape(s, &shape, &path, &err) ||
	    (path && file_read(path, MAX_INPUT_BYTES, &s->instance, &s->instance_len, &err)))
		return cli_fail(&err);
	if (shape_make(&s->tools, &shape, &s->made, &err)) {
		if (!s->o.json)
			return cli_fail(&err);
		add_refusal(s, &err);
		return EXIT_FAILED;
	}
	add_compiled(s);
	int code = EXIT_OK;
	if (s->o.print && constrain_print(s->made.shape, &s->out, &err))
		code = cli_fail(&err);
	else if (path)
		code = check_instance(s);
	else if (s->o.n_samples)
		code = draw(s);
	if (s->o.bench)
		add_times(s);
	if (s->o.json)
		strbuf_add_c(&s->out, "}\n");
	return code;
}

static int run(int argc, char **argv)
{
	struct session s = {0};
	struct hokku_error err;
	int code = parse(argc, argv, &s.o);
	if (code >= 0)
		return code;
	const struct shape_batch batch = {.tools = &s.tools,
					  .space = space_of(&s.o),
					  .masks = s.o.masks,
					  .bench = s.o.bench,
					  .n_samples = s.o.n_samples,
					  .max_tokens = s.o.max_tokens,
					  .seed = s.o.seed};
	if (shape_tools_open(&s.tools, s.o.model, s.o.vocab == VOCAB_BYTES, &err))
		code = cli_fail(&err);
	else
		code = s.o.batch ? shape_batch_run(&batch, s.o.batch) : one_shape(&s);
	if (s.out.failed) {
		err_set(&err, HOKKU_OUT_OF_MEMORY, "no memory to print %zu bytes", s.out.len);
		code = cli_fail(&err);
	} else if (s.out.len) {
		fwrite(s.out.ptr, 1, s.out.len, stdout);
	}
	if (s.made.shape)
		constrain_unref(s.made.shape);
	shape_tools_close(&s.tools);
	free(s.shape_text);
	free(s.instance);
	strbuf_free(&s.out);
	return cli_finish(code);
}
