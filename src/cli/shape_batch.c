#include "cli/shape_batch.h"

#include <stdio.h>

#include "cli/instance.h"
#include "cli/open_tok.h"

struct batch {
	const struct shape_batch *o;
	struct strbuf out, text, instance;
	size_t n_shapes, n_compiled, n_tests, n_faults;
	size_t n_wrongly_accepted, n_wrongly_refused; /* of tests that say whether they are valid */
};

/* How a line names its shape. */
static const struct {
	const char *name;
	enum constrain_kind kind;
	bool is_text; /* the field is a string that holds the shape; else any JSON value that is it */
} kinds[] = {
	{"schema", CONSTRAIN_JSON_SCHEMA, false},  {"grammar", CONSTRAIN_GBNF, true},
	{"regex", CONSTRAIN_REGEX, true},          {"choice", CONSTRAIN_CHOICE, false},
	{"structure", CONSTRAIN_STRUCTURE, false},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static enum hokku_code read_space(const struct jv *line, enum constrain_space *out, struct hokku_error *err)
{
	char found[64];
	const struct jv *space = jv_get(line, "space");
	if (jv_none(space))
		return HOKKU_OK;
	if (!constrain_space_find(jv_str(space), out))
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "\"space\" is %s; it takes \"free\", \"spaced\" or \"compact\"",
			       jv_text(space, found, sizeof found));
	return HOKKU_OK;
}

/* The line's shape; its text lies in b->text. */
static enum hokku_code read_shape(struct batch *b, const struct jv *line, struct constrain_shape *out,
				  struct hokku_error *err)
{
	const struct jv *found = NULL;
	*out = (struct constrain_shape){.space = b->o->space};
	strbuf_clear(&b->text);
	for (size_t i = 0; i < N_KINDS; i++) {
		const struct jv *v = jv_get(line, kinds[i].name);
		if (!v)
			continue;
		if (found)
			return err_set(
				err, HOKKU_INVALID_REQUEST,
				"it has more than one of \"schema\", \"grammar\", \"regex\", \"choice\" and "
				"\"structure\"; one is wanted");
		if (kinds[i].is_text && !jv_is(v, JV_STRING))
			return err_set(err, HOKKU_INVALID_REQUEST, "\"%s\" is no string", kinds[i].name);
		found = v;
		out->kind = kinds[i].kind;
		if (kinds[i].is_text)
			strbuf_add(&b->text, jv_str(v).ptr, jv_str(v).len);
		else
			instance_write_exact(&b->text, v);
	}
	if (!found)
		return err_set(
			err, HOKKU_INVALID_REQUEST,
			"it has none of \"schema\", \"grammar\", \"regex\", \"choice\" and \"structure\"");
	if (b->text.failed)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a shape of %zu bytes", b->text.len);
	out->text = (struct str){b->text.ptr, b->text.len};
	return read_space(line, &out->space, err);
}

static enum hokku_code check_tests(const struct jv *tests, struct hokku_error *err)
{
	char found[64];
	if (tests && !jv_is(tests, JV_ARRAY))
		return err_set(err, HOKKU_INVALID_REQUEST, "\"tests\" is %s; it takes an array",
			       jv_text(tests, found, sizeof found));
	for (size_t i = 0; i < jv_len(tests); i++)
		if (!jv_get(jv_at(tests, i), "data") && !jv_is(jv_get(jv_at(tests, i), "text"), JV_STRING))
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "tests[%zu] has neither \"data\" nor \"text\", a string", i);
	return HOKKU_OK;
}

/* What stands about the byte that did not fit, for people. */
static void add_near(struct strbuf *out, struct str text, size_t at)
{
	if (!text.ptr) /* a test whose text is empty */
		text = (struct str){"", 0};
	size_t from = at > 24 ? at - 24 : 0, to = at + 24 < text.len ? at + 24 : text.len;
	while (from < at && ((unsigned char)text.ptr[from] & 0xC0) == 0x80)
		from++;
	while (to > at && to < text.len && ((unsigned char)text.ptr[to] & 0xC0) == 0x80)
		to--;
	strbuf_add_c(out, ", \"near\": ");
	strbuf_add_json(out, text.ptr + from, to - from);
}

static void add_test(struct batch *b, struct constrain *shape, const struct jv *test)
{
	struct shape_walked w;
	const struct jv *data = jv_get(test, "data"), *valid = jv_get(test, "valid");
	struct str text = data ? (struct str){"", 0} : jv_str(jv_get(test, "text"));
	if (data) {
		strbuf_clear(&b->instance);
		instance_write(&b->instance, data);
		text = (struct str){b->instance.ptr, b->instance.len};
	}
	shape_walk(b->o->tools, shape, text, b->o->masks, &w);
	bool accepted = w.verdict == SHAPE_ACCEPTED;
	strbuf_addf(&b->out, "{\"accepted\": %s", accepted ? "true" : "false");
	b->n_tests++;
	if (jv_is(valid, JV_BOOL) && accepted != jv_is_true(valid)) {
		strbuf_add_c(&b->out, ", \"wrong\": true");
		*(accepted ? &b->n_wrongly_accepted : &b->n_wrongly_refused) += 1;
	}
	if (!accepted) {
		strbuf_addf(&b->out, ", \"why\": \"%s\", \"at\": %zu", shape_verdict_name(w.verdict), w.at);
		add_near(&b->out, text, w.at);
	}
	if (w.fault) {
		strbuf_addf(&b->out, ", \"fault\": \"%s\"", w.fault);
		b->n_faults++;
	}
	if (b->o->bench && b->o->masks)
		strbuf_addf(&b->out, ", \"mask_mean_us\": %.1f, \"mask_max_us\": %.1f", w.mask_mean_us,
			    w.mask_max_us);
	strbuf_add_c(&b->out, "}");
}

static void add_samples(struct batch *b, struct constrain *shape)
{
	strbuf_add_c(&b->out, ", \"samples\": [");
	for (uint32_t i = 0; i < b->o->n_samples; i++) {
		struct shape_drawn d = {0};
		shape_draw(b->o->tools, shape, b->o->seed + i, b->o->max_tokens, &d);
		strbuf_add_c(&b->out, i ? ", {\"text\": " : "{\"text\": ");
		strbuf_add_json(&b->out, d.text.ptr, d.text.len);
		strbuf_addf(&b->out, ", \"tokens\": %zu, \"ended\": %s", d.n_tokens,
			    d.ended ? "true" : "false");
		if (d.fault) {
			strbuf_addf(&b->out, ", \"fault\": \"%s\"", d.fault);
			b->n_faults++;
		}
		strbuf_add_c(&b->out, "}");
		strbuf_free(&d.text);
	}
	strbuf_add_c(&b->out, "]");
}

static void add_compiled(struct batch *b, const struct jv *line, const struct shape_made *made)
{
	const struct jv *tests = jv_get(line, "tests");
	struct constrain_stats stats;
	b->n_compiled++;
	strbuf_add_c(&b->out, "\"compiled\": true");
	if (b->o->n_samples)
		add_samples(b, made->shape);
	strbuf_add_c(&b->out, ", \"tests\": [");
	for (size_t i = 0; i < jv_len(tests); i++) {
		strbuf_add_c(&b->out, i ? ", " : "");
		add_test(b, made->shape, jv_at(tests, i));
	}
	strbuf_add_c(&b->out, "]");
	if (b->o->bench) {
		constrain_get_stats(made->shape, &stats);
		strbuf_addf(
			&b->out,
			", \"compile_us\": %.1f, \"first_us\": %.1f, \"bytes\": %zu, \"work\": %llu, \"masks\": %llu, "
			"\"masks_found\": %llu",
			made->compile_us, made->first_us, stats.bytes, (unsigned long long)stats.work,
			(unsigned long long)stats.n_masks, (unsigned long long)stats.n_cached);
	}
}

static enum hokku_code answer(struct batch *b, const struct jv *line, struct hokku_error *err)
{
	struct constrain_shape shape;
	struct shape_made made;
	const struct jv *name = jv_get(line, "name");
	if (!jv_is(line, JV_OBJECT))
		return err_set(err, HOKKU_INVALID_REQUEST, "it is no JSON object");
	enum hokku_code rc = read_shape(b, line, &shape, err);
	if (!rc)
		rc = check_tests(jv_get(line, "tests"), err);
	if (rc)
		return rc;
	b->n_shapes++;
	strbuf_add_c(&b->out, "{");
	if (name) {
		strbuf_add_c(&b->out, "\"name\": ");
		instance_write_exact(&b->out, name);
		strbuf_add_c(&b->out, ", ");
	}
	rc = shape_make(b->o->tools, &shape, &made, err);
	if (rc == HOKKU_OK) {
		add_compiled(b, line, &made);
		constrain_unref(made.shape);
	} else {
		strbuf_add_c(&b->out, "\"compiled\": false, \"place\": ");
		strbuf_add_json(&b->out, made.fault.place, strlen(made.fault.place));
		strbuf_add_c(&b->out, ", \"error\": ");
		strbuf_add_json(&b->out, err->message, strlen(err->message));
		if (b->o->bench)
			strbuf_addf(&b->out, ", \"compile_us\": %.1f", made.compile_us);
	}
	strbuf_add_c(&b->out, "}\n");
	return HOKKU_OK;
}

static int print(struct batch *b)
{
	struct hokku_error err;
	if (b->out.failed) {
		err_set(&err, HOKKU_OUT_OF_MEMORY, "no memory to print %zu bytes", b->out.len);
		return cli_fail(&err);
	}
	fwrite(b->out.ptr, 1, b->out.len, stdout);
	strbuf_clear(&b->out);
	return EXIT_OK;
}

static int on_line(void *user, struct str line, size_t number)
{
	struct batch *b = user;
	struct jv_doc doc;
	struct hokku_error err, bad;
	if (!line.len)
		return EXIT_OK;
	enum hokku_code rc = jv_parse(line, JV_STRICT, &doc, &bad);
	if (rc) {
		err_set(&err, HOKKU_INVALID_REQUEST, "line %zu: bad JSON at %s", number, bad.message);
		return cli_fail(&err);
	}
	rc = answer(b, &doc.root, &err);
	jv_doc_free(&doc);
	if (rc) {
		err_prefix(&err, err.code, "line %zu", number);
		return cli_fail(&err);
	}
	return print(b);
}

void shape_write_times(struct strbuf *out, struct series *times)
{
	struct summary s = series_summary(times);
	strbuf_addf(
		out,
		"{\"n\": %zu, \"mean\": %.1f, \"p50\": %.1f, \"p95\": %.1f, \"p99\": %.1f, \"max\": %.1f}",
		s.n, s.mean, s.p50, s.p95, s.p99, s.largest);
}

static void add_bench(struct batch *b)
{
	struct shape_tools *t = b->o->tools;
	strbuf_addf(&b->out,
		    "{\"bench\": {\"vocabulary\": %u, \"shapes\": %zu, \"compiled\": %zu, \"tests\": %zu, "
		    "\"wrongly_accepted\": %zu, \"wrongly_refused\": %zu, \"faults\": %zu, \"tokens\": %zu, "
		    "\"not_canonical\": %zu, \"compile_us\": ",
		    t->words.n, b->n_shapes, b->n_compiled, b->n_tests, b->n_wrongly_accepted,
		    b->n_wrongly_refused, b->n_faults, t->n_tokens, t->n_other);
	shape_write_times(&b->out, &t->compile_us);
	strbuf_add_c(&b->out, ", \"first_us\": ");
	shape_write_times(&b->out, &t->first_us);
	strbuf_add_c(&b->out, ", \"mask_us\": ");
	shape_write_times(&b->out, &t->mask_us);
	strbuf_add_c(&b->out, "}}\n");
}

int shape_batch_run(const struct shape_batch *o, const char *path)
{
	struct batch b = {.o = o};
	struct hokku_error err;
	int code = cli_each_line(path, on_line, &b);
	if (code == EXIT_OK && o->bench) {
		add_bench(&b);
		code = print(&b);
	}
	if (code == EXIT_OK && b.n_faults) {
		err_set(&err, HOKKU_INTERNAL,
			"%zu faults of hokku's own; \"fault\" in the lines above tells them", b.n_faults);
		code = cli_fail(&err);
	}
	strbuf_free(&b.out);
	strbuf_free(&b.text);
	strbuf_free(&b.instance);
	return code;
}
