/* structure_compile: the table of formats, and those that are made of others. */
#include "constrain/structure_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "constrain/pointer.h"

_Noreturn static void leave(struct structure *s, enum hokku_code rc)
{
	s->rc = rc;
	longjmp(s->jump, 1);
}

void *structure_alloc(struct structure *s, size_t count, size_t size)
{
	size_t n;
	void *p = __builtin_mul_overflow(count, size, &n) ? NULL : arena_alloc(&s->arena, n ? n : 1, 8);
	if (!p)
		leave(s, err_set(s->err, HOKKU_OUT_OF_MEMORY, "no memory to compile the structural tag"));
	return p;
}

/* The place of `at`, or of its member. */
static void find_place(struct structure *s, const struct jv *at, const char *key, char *out, size_t size)
{
	struct strbuf pointer = {0};
	pointer_add(s->root, at, &pointer);
	if (key)
		strbuf_addf(&pointer, "/%s", key);
	pointer_cut(out, size, (struct str){pointer.ptr, pointer.failed ? 0 : pointer.len});
	strbuf_free(&pointer);
}

void structure_refuse(struct structure *s, const struct jv *at, const char *key, const char *format, ...)
{
	char place[sizeof s->fault->place], text[400];
	find_place(s, at, key, place, sizeof place);
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (s->fault)
		memcpy(s->fault->place, place, sizeof place);
	leave(s, err_set(s->err, HOKKU_INVALID_REQUEST, "%s: %s", place[0] ? place : "the structural tag",
			 text));
}

/* What another maker refused, with its own place in a text. */
void structure_refuse_text(struct structure *s, const struct jv *text, enum hokku_code rc)
{
	char place[sizeof s->fault->place];
	find_place(s, text, NULL, place, sizeof place);
	if (rc == HOKKU_INVALID_REQUEST) {
		err_prefix(s->err, rc, "%s", place);
		if (s->fault)
			memcpy(s->fault->place, place, sizeof place);
	}
	leave(s, rc);
}

place_id structure_place(struct structure *s, struct site site)
{
	return grammar_place(s->g, site.from);
}

rx structure_one_of(struct structure *s, struct marks texts)
{
	rx *all = structure_alloc(s, texts.n, sizeof *all);
	for (uint32_t i = 0; i < texts.n; i++)
		all[i] = rx_literal(s->p, texts.at[i].ptr, texts.at[i].len);
	return rx_or_many(s->p, all, texts.n);
}

/* ---- what is one text ---- */

static void put_const(struct structure *s, const struct jv *v, struct site site)
{
	struct str value = structure_string(s, v, "value", true);
	grammar_reads(s->g, site.from, site.to, rx_literal(s->p, value.ptr, value.len));
}

static void put_regex(struct structure *s, const struct jv *v, struct site site)
{
	struct str pattern = structure_string(s, v, "pattern", false);
	rx text = RX_NONE;
	enum hokku_code rc = rx_pattern(s->p, RX_RAW, pattern, true, &text, s->err);
	if (rc)
		structure_refuse_text(s, jv_get(v, "pattern"), rc);
	grammar_reads(s->g, site.from, site.to, text);
}

static void put_grammar(struct structure *s, const struct jv *v, struct site site)
{
	struct str text = structure_string(s, v, "grammar", false);
	rule_id root;
	enum hokku_code rc = gbnf_into(s->g, text, &root, s->fault, s->err);
	if (rc)
		structure_refuse_text(s, jv_get(v, "grammar"), rc);
	grammar_calls(s->g, site.from, site.to, root);
}

void structure_put_schema(struct structure *s, const struct jv *schema, enum constrain_space space,
			  struct site site)
{
	char found[64];
	if (!jv_is(schema, JV_OBJECT) && !jv_is(schema, JV_BOOL))
		structure_refuse(s, schema, NULL, "it is %s; a JSON Schema is wanted: an object",
				 structure_found(schema, found));
	place_id to = site.after ? structure_place(s, site) : site.to;
	const struct schema_site at = {s->g, site.from, to, s->root, &s->schemas, false};
	enum hokku_code rc = schema_into(&at, schema, space, s->fault, s->err);
	if (rc)
		leave(s, rc);
	if (site.after)
		grammar_reads(s->g, to, site.to, structure_one_of(s, site.after->texts));
}

static enum constrain_space read_space(struct structure *s, const struct jv *v)
{
	char found[64];
	const struct jv *space = jv_get(v, "space");
	enum constrain_space out;
	if (jv_none(space))
		return s->space;
	if (!constrain_space_find(jv_str(space), &out))
		structure_refuse(s, space, NULL, "it is %s; \"compact\", \"spaced\" or \"free\" is wanted",
				 structure_found(space, found));
	return out;
}

static void put_schema(struct structure *s, const struct jv *v, struct site site)
{
	const struct jv *schema = jv_get(v, "json_schema"), *style = jv_get(v, "style");
	const struct jv *cap = jv_get(v, "max_whitespace_cnt");
	enum constrain_space space = read_space(s, v);
	if (!schema)
		structure_refuse(s, v, NULL, "\"json_schema\" is missing; it takes a JSON Schema");
	if (!jv_none(style) && !str_eq_c(jv_str(style), "json"))
		structure_refuse(
			s, style, NULL,
			"only \"json\" can be enforced here; tags, constants and schemas in a sequence "
			"can say how other styles write a value");
	if (structure_bool(s, v, "any_order", false))
		structure_refuse(
			s, v, "any_order",
			"properties come as they are declared, or the object could lack required ones");
	if (!jv_none(cap)) {
		int64_t n = structure_int(s, v, "max_whitespace_cnt", 0, INT32_MAX);
		if (space == CONSTRAIN_FREE || n < (space == CONSTRAIN_SPACED))
			structure_refuse(
				s, cap, NULL,
				"white space is not counted; with \"space\": \"compact\" there is none, "
				"with \"spaced\" one");
	}
	structure_put_schema(s, schema, space, site);
}

static void put_token(struct structure *s, const struct jv *v, struct site site)
{
	grammar_reads(s->g, site.from, site.to, rx_token(s->p, (uint32_t)structure_token_format(s, v)));
}

/* ---- what is made of others ---- */

static struct site step_into(struct site site)
{
	site.depth++;
	return site;
}

/* A constant that text before it may run up to. */
static bool is_const(const struct jv *v)
{
	return str_eq_c(jv_str(jv_get(v, "type")), "const_string") && v->n == 2 &&
	       jv_str(jv_get(v, "value")).len > 0;
}

/* Free text and the constant behind it are read at once. */
static void put_sequence(struct structure *s, const struct jv *v, struct site site)
{
	const struct jv *elements = structure_list(s, v, "elements");
	place_id from = site.from;
	for (uint32_t i = 0; i < elements->n; i++) {
		struct site in = step_into(site);
		const struct jv *e = &elements->items[i], *next = jv_at(elements, i + 1);
		struct str text = next && is_const(next) ? jv_str(jv_get(next, "value")) : (struct str){0};
		const struct after constant = {{&text, 1}, false};
		in.from = from;
		in.after = text.len ? &constant : next ? NULL : site.after;
		i += text.len > 0;
		bool last = i + 1 == elements->n;
		in.to = last && (!text.len || !site.after) ? site.to : structure_place(s, site);
		structure_put(s, e, in);
		from = in.to;
	}
	if (from != site.to)
		grammar_reads(s->g, from, site.to, structure_one_of(s, site.after->texts));
}

static void put_or(struct structure *s, const struct jv *v, struct site site)
{
	const struct jv *elements = structure_list(s, v, "elements");
	for (uint32_t i = 0; i < elements->n; i++)
		structure_put(s, &elements->items[i], step_into(site));
}

static const struct jv *content_of(struct structure *s, const struct jv *v)
{
	const struct jv *content = jv_get(v, "content");
	if (!content)
		structure_refuse(s, v, NULL, "\"content\" is missing; it takes a format");
	return content;
}

/* min to max times; RX_UNBOUNDED. The content is a rule, so that many times cost little. */
static void put_times(struct structure *s, const struct jv *v, struct site site, uint32_t min, uint32_t max)
{
	rule_id r = grammar_rule(s->g, NULL);
	struct site in = step_into(site);
	place_id at = site.from;
	in.from = grammar_start(s->g, r);
	in.to = grammar_end(s->g, r);
	structure_put(s, content_of(s, v), in);
	uint32_t n = max == RX_UNBOUNDED ? min : max;
	for (uint32_t i = 0; i < n && !grammar_failed(s->g); i++) {
		place_id next = structure_place(s, site);
		if (i >= min)
			grammar_skips(s->g, at, site.to);
		grammar_calls(s->g, at, next, r);
		at = next;
	}
	if (max == RX_UNBOUNDED) {
		place_id loop = structure_place(s, site);
		grammar_skips(s->g, at, loop);
		grammar_calls(s->g, loop, loop, r);
		at = loop;
	}
	grammar_skips(s->g, at, site.to);
}

static void put_optional(struct structure *s, const struct jv *v, struct site site)
{
	put_times(s, v, site, 0, 1);
}

static void put_star(struct structure *s, const struct jv *v, struct site site)
{
	put_times(s, v, site, 0, RX_UNBOUNDED);
}

static void put_plus(struct structure *s, const struct jv *v, struct site site)
{
	put_times(s, v, site, 1, RX_UNBOUNDED);
}

static void put_repeat(struct structure *s, const struct jv *v, struct site site)
{
	int64_t min = structure_int(s, v, "min", 0, STRUCTURE_MAX_REPEAT),
		max = structure_int(s, v, "max", -1, STRUCTURE_MAX_REPEAT);
	if (max >= 0 && max < min)
		structure_refuse(s, v, "max",
				 "it is %lld, below \"min\", %lld; at least that, or -1 for any "
				 "number, is wanted",
				 (long long)max, (long long)min);
	put_times(s, v, site, (uint32_t)min, max < 0 ? RX_UNBOUNDED : (uint32_t)max);
}

/* ---- all of them ---- */

struct format {
	const char *type;
	void (*put)(struct structure *s, const struct jv *v, struct site site);
	bool reads_after; /* it writes what follows it itself */
	const char *known[8];
};

static const struct format formats[] = {
	{"const_string", put_const, false, {"type", "value"}},
	{"json_schema",
	 put_schema,
	 true,
	 {"type", "json_schema", "style", "any_order", "max_whitespace_cnt", "space"}},
	{"regex", put_regex, false, {"type", "pattern"}},
	{"grammar", put_grammar, false, {"type", "grammar"}},
	{"any_text",
	 structure_put_any_text,
	 true,
	 {"type", "excludes", "max_tokens", "max_chars", "min_chars", "pattern"}},
	{"sequence", put_sequence, true, {"type", "elements"}},
	{"or", put_or, true, {"type", "elements"}},
	{"optional", put_optional, false, {"type", "content"}},
	{"plus", put_plus, false, {"type", "content"}},
	{"star", put_star, false, {"type", "content"}},
	{"repeat", put_repeat, false, {"type", "min", "max", "content"}},
	{"tag", structure_put_tag, true, {"type", "begin", "content", "end"}},
	{"triggered_tags",
	 structure_put_triggered,
	 true,
	 {"type", "triggers", "tags", "at_least_one", "stop_after_first", "excludes"}},
	{"tags_with_separator",
	 structure_put_separated,
	 false,
	 {"type", "tags", "separator", "at_least_one", "stop_after_first"}},
	{"dispatch", structure_put_dispatch, true, {"type", "rules", "loop", "excludes"}},
	{"token", put_token, false, {"type", "token"}},
	{"any_tokens", structure_put_any_tokens, true, {"type", "exclude_tokens", "max_tokens"}},
	{"token_triggered_tags",
	 structure_put_token_triggered,
	 true,
	 {"type", "trigger_tokens", "tags", "at_least_one", "stop_after_first", "exclude_tokens"}},
	{"token_dispatch", structure_put_token_dispatch, true, {"type", "rules", "loop", "exclude_tokens"}},
};

static const struct format *named_format(const struct jv *type)
{
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
		if (str_eq_c(jv_str(type), formats[i].type))
			return &formats[i];
	return NULL;
}

static const struct format *find_format(struct structure *s, const struct jv *v)
{
	char found[64];
	const struct jv *type = jv_get(v, "type");
	const struct format *f = named_format(type);
	if (!jv_is(v, JV_OBJECT))
		structure_refuse(s, v, NULL, "it is %s; a format is wanted: {\"type\": ...}",
				 structure_found(v, found));
	if (f)
		return f;
	struct strbuf names = {0};
	char text[300];
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
		strbuf_addf(&names, "%s%s", i ? ", " : "", formats[i].type);
	snprintf(text, sizeof text, "%s", names.failed ? "" : names.ptr);
	strbuf_free(&names);
	structure_refuse(s, v, type ? "type" : NULL, "%s is %s; there are %s", type ? "it" : "\"type\"",
			 structure_found(type, found), text);
}

void structure_put(struct structure *s, const struct jv *v, struct site site)
{
	const struct format *f = find_format(s, v);
	if (site.depth > STRUCTURE_MAX_DEPTH)
		structure_refuse(s, v, NULL, "formats stand in formats more than %d deep",
				 STRUCTURE_MAX_DEPTH);
	structure_refuse_others(s, v, f->known);
	if (!site.after || f->reads_after) {
		f->put(s, v, site);
		return;
	}
	struct site alone = site;
	alone.to = structure_place(s, site);
	alone.after = NULL;
	f->put(s, v, alone);
	grammar_reads(s->g, alone.to, site.to, structure_one_of(s, site.after->texts));
}

static void compile(struct structure *s)
{
	static const char *const known[] = {"type", "format", NULL}, *const older[] = {"type", "structures",
										       "triggers", NULL};
	char found[64];
	const struct jv *root = s->root, *type = jv_get(root, "type"), *format = jv_get(root, "format");
	bool is_older = !format && jv_get(root, "structures");
	if (!jv_is(root, JV_OBJECT))
		structure_refuse(s, root, NULL,
				 "it is %s; {\"type\": \"structural_tag\", \"format\": ...} is wanted",
				 structure_found(root, found));
	if (named_format(type))
		structure_refuse(
			s, root, NULL,
			"it is a format; {\"type\": \"structural_tag\", \"format\": ...} is wanted around it");
	if (type && !str_eq_c(jv_str(type), "structural_tag"))
		structure_refuse(s, type, NULL, "it is %s; \"structural_tag\" is wanted",
				 structure_found(type, found));
	structure_refuse_others(s, root, is_older ? older : known);
	if (!format && !is_older)
		structure_refuse(s, root, NULL, "\"format\" is missing; it takes a format: {\"type\": ...}");
	rule_id r = grammar_rule(s->g, "root");
	struct site site = {.from = grammar_start(s->g, r), .to = grammar_end(s->g, r), .depth = 1};
	if (is_older)
		structure_put_older(s, root, site);
	else
		structure_put(s, format, site);
}

enum hokku_code structure_compile(struct grammar *g, const struct constrain_vocab *vocab,
				  const struct jv *root, enum constrain_space space,
				  struct constrain_fault *fault, struct hokku_error *err)
{
	struct structure *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory to compile the structural tag");
	s->g = g;
	s->p = grammar_pool(g);
	s->vocab = vocab;
	s->root = root;
	s->space = space;
	s->fault = fault;
	s->err = err;
	if (setjmp(s->jump) == 0)
		compile(s);
	enum hokku_code rc = s->rc;
	arena_free(&s->arena);
	free(s);
	return rc;
}
