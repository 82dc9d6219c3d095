/* Shapes: the makers of each kind, and what all kinds share. */
#include "constrain/constrain.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "constrain/choice.h"
#include "constrain/pointer.h"
#include "constrain/schema_why.h"
#include "constrain/shape.h"
#include "constrain/structure.h"
#include "constrain/text.h"

bool constrain_space_find(struct str name, enum constrain_space *out)
{
	static const char *const names[] = {
		[CONSTRAIN_COMPACT] = "compact", [CONSTRAIN_FREE] = "free", [CONSTRAIN_SPACED] = "spaced"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (str_eq_c(name, names[i])) {
			*out = (enum constrain_space)i;
			return true;
		}
	return false;
}

static const struct constrain_limits defaults = {
	.work = 2500000, /* 30 to 60 ns each on a core of 2020: about 100 ms at most */
	.bytes = 64 << 20,
	.mask_work = 2000000,
};

struct making {
	const struct constrain_shape *shape;
	const struct constrain_vocab *vocab;
	struct grammar *grammar;
	struct constrain_fault *fault;
	struct hokku_error *err;
};

static struct rx_pool *pool_of(const struct making *m)
{
	return grammar_pool(m->grammar);
}

/* Texts of the whole answer: one expression. */
static void whole(const struct making *m, rx text)
{
	rule_id root = grammar_rule(m->grammar, "root");
	grammar_reads(m->grammar, grammar_start(m->grammar, root), grammar_end(m->grammar, root), text);
}

static enum hokku_code parse(const struct making *m, const char *what, struct jv_doc *out)
{
	char thousands[32];
	size_t n = m->shape->text.len;
	if (!rx_charge(pool_of(m), n / 2)) /* 10 to 25 ns a byte */
		return err_set(
			m->err, HOKKU_INVALID_REQUEST,
			"%s has %s bytes, more than can be read in the %llu steps that one shape may take",
			what, str_thousands(n, thousands), (unsigned long long)pool_of(m)->limits.work);
	enum hokku_code rc = jv_parse(m->shape->text, JV_STRICT, out, m->err);
	if (rc == HOKKU_BAD_FILE)
		return err_prefix(m->err, HOKKU_INVALID_REQUEST, "%s is no JSON", what);
	return rc;
}

static enum hokku_code make_schema(struct making *m)
{
	struct jv_doc doc;
	enum hokku_code rc = parse(m, "the schema", &doc);
	if (rc)
		return rc;
	rc = schema_compile(m->grammar, &doc.root, m->shape->space, m->fault, m->err);
	jv_doc_free(&doc);
	return rc;
}

/* Where the schema says by itself that nothing satisfies it. */
static void tell_why_empty(struct making *m)
{
	struct jv_doc doc;
	struct strbuf pointer = {0};
	char why[200], place[sizeof m->fault->place];
	if (jv_parse(m->shape->text, JV_STRICT, &doc, NULL))
		return;
	const struct jv *at = schema_why_empty(&doc.root, why, sizeof why);
	if (at) {
		pointer_add(&doc.root, at, &pointer);
		pointer_cut(place, sizeof place, (struct str){pointer.ptr, pointer.failed ? 0 : pointer.len});
		if (m->fault)
			memcpy(m->fault->place, place, sizeof place);
		err_set(m->err, HOKKU_INVALID_REQUEST, "%s: %s; no text at all has this shape",
			place[0] ? place : "the schema", why);
	}
	strbuf_free(&pointer);
	jv_doc_free(&doc);
}

static enum hokku_code make_object(struct making *m)
{
	rule_id root = grammar_rule(m->grammar, "root");
	json_any_object(m->grammar, grammar_start(m->grammar, root), grammar_end(m->grammar, root),
			m->shape->space);
	return HOKKU_OK;
}

static enum hokku_code make_gbnf(struct making *m)
{
	return gbnf_compile(m->grammar, m->shape->text, m->fault, m->err);
}

static enum hokku_code make_regex(struct making *m)
{
	rx text = RX_NONE;
	enum hokku_code rc = rx_pattern(pool_of(m), RX_RAW, m->shape->text, true, &text, m->err);
	if (!rc)
		whole(m, text);
	return rc;
}

static enum hokku_code make_choice(struct making *m)
{
	struct jv_doc doc;
	rx text = RX_NONE;
	enum hokku_code rc = parse(m, "the list of choices", &doc);
	if (rc)
		return rc;
	rc = choice_compile(pool_of(m), &doc.root, &text, m->fault, m->err);
	if (!rc)
		whole(m, text);
	jv_doc_free(&doc);
	return rc;
}

static enum hokku_code make_structure(struct making *m)
{
	struct jv_doc doc;
	enum hokku_code rc = parse(m, "the structural tag", &doc);
	if (rc)
		return rc;
	rc = structure_compile(m->grammar, m->vocab, &doc.root, m->shape->space, m->fault, m->err);
	jv_doc_free(&doc);
	return rc;
}

static enum hokku_code (*const makers[])(struct making *m) = {
	[CONSTRAIN_JSON_SCHEMA] = make_schema, [CONSTRAIN_JSON_OBJECT] = make_object,
	[CONSTRAIN_GBNF] = make_gbnf,          [CONSTRAIN_REGEX] = make_regex,
	[CONSTRAIN_CHOICE] = make_choice,      [CONSTRAIN_STRUCTURE] = make_structure,
};

static enum hokku_code no_memory(struct hokku_error *err)
{
	return err_set(err, HOKKU_OUT_OF_MEMORY, "there is no memory for the shape of the answer");
}

static enum hokku_code make_grammar(struct constrain *c, struct making *m)
{
	size_t kind = (size_t)m->shape->kind;
	struct rx_limits limits = {.bytes = c->limits.bytes - c->limits.bytes / 4,
				   .work = c->limits.work,
				   .stop = c->limits.stop,
				   .user = c->limits.user};
	struct rx_pool *p = rx_pool_new(&limits);
	if (kind >= sizeof makers / sizeof makers[0] || !makers[kind]) {
		rx_pool_free(p);
		return err_set(m->err, HOKKU_INVALID_REQUEST, "shapes of kind %zu are not known", kind);
	}
	if (!p)
		return no_memory(m->err);
	rx_alphabet(p, c->vocab->alphabet);
	c->grammar = m->grammar = grammar_new(p);
	if (!m->grammar)
		return no_memory(m->err);
	enum hokku_code rc = makers[kind](m);
	if (!rc)
		rc = grammar_seal(m->grammar, m->err);
	if (rc == HOKKU_INVALID_REQUEST && kind == CONSTRAIN_JSON_SCHEMA && grammar_is_empty(m->grammar))
		tell_why_empty(m);
	c->work = c->limits.work - rx_work_left(p);
	c->base_nodes = p->n_nodes;
	c->base_lists = p->n_lists;
	return rc;
}

static enum hokku_code start(struct constrain *c, struct hokku_error *err)
{
	rx_more_work(grammar_pool(c->grammar), c->limits.mask_work);
	if (!masks_init(&c->masks, c->vocab, &c->machine, c->limits.bytes / 4))
		return no_memory(err);
	if (machine_init(&c->machine, c->grammar))
		c->start = machine_start(&c->machine);
	if (rx_failed(grammar_pool(c->grammar)))
		return err_set(
			err, HOKKU_INVALID_REQUEST,
			"the first byte of the shape takes more memory or work than one shape may: make it smaller");
	return HOKKU_OK;
}

enum hokku_code constrain_new(struct constrain_vocab *v, const struct constrain_shape *shape,
			      const struct constrain_limits *limits, struct constrain **out,
			      struct constrain_fault *fault, struct hokku_error *err)
{
	struct constrain *c = calloc(1, sizeof *c);
	struct constrain_fault unused;
	if (!c || pthread_mutex_init(&c->lock, NULL)) {
		free(c);
		return no_memory(err);
	}
	struct making m = {.shape = shape, .vocab = v, .fault = fault ? fault : &unused, .err = err};
	m.fault->place[0] = 0;
	c->refs = 1;
	c->vocab = v;
	c->limits = limits ? *limits : defaults;
	c->limits.work = c->limits.work ? c->limits.work : defaults.work;
	c->limits.bytes = c->limits.bytes ? c->limits.bytes : defaults.bytes;
	c->limits.mask_work = c->limits.mask_work ? c->limits.mask_work : defaults.mask_work;
	enum hokku_code rc = make_grammar(c, &m);
	if (!rc)
		rc = start(c, err);
	if (c->grammar && rx_stopped(grammar_pool(c->grammar)))
		rc = err_set(err, HOKKU_CANCELLED, "compiling the shape was stopped");
	if (rc) {
		constrain_unref(c);
		return rc;
	}
	rx_ask_no_more(grammar_pool(c->grammar));
	*out = c;
	return HOKKU_OK;
}

void constrain_ref(struct constrain *c)
{
	__atomic_fetch_add(&c->refs, 1, __ATOMIC_RELAXED);
}

void constrain_unref(struct constrain *c)
{
	if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
		return;
	masks_free(&c->masks);
	machine_free(&c->machine);
	grammar_free(c->grammar);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

enum hokku_code constrain_print(struct constrain *c, struct strbuf *out, struct hokku_error *err)
{
	grammar_print(c->grammar, out);
	return out->failed ? no_memory(err) : HOKKU_OK;
}

void constrain_get_stats(struct constrain *c, struct constrain_stats *out)
{
	pthread_mutex_lock(&c->lock);
	*out = (struct constrain_stats){
		.bytes = sizeof *c + rx_bytes(grammar_pool(c->grammar)) + masks_bytes(&c->masks),
		.work = c->work,
		.n_masks = c->masks.n_asked,
		.n_cached = c->masks.n_found,
	};
	pthread_mutex_unlock(&c->lock);
}
