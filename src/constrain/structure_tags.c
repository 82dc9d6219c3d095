/* Tags: alone, and with a separator between them. */
#include <stdio.h>
#include <string.h>

#include "constrain/rx_internal.h"
#include "constrain/structure_internal.h"

static struct marks read_ends(struct structure *s, const struct jv *tag)
{
	const struct jv *end = jv_get(tag, "end");
	if (!end)
		structure_refuse(s, tag, NULL, "\"end\" is missing; it takes a string, several, or a token");
	if (jv_is(end, JV_ARRAY))
		return structure_marks(s, structure_list(s, tag, "end"), true);
	struct str *one = structure_alloc(s, 1, sizeof *one);
	*one = structure_mark(s, end, true);
	return (struct marks){one, 1};
}

static struct str read_begin(struct structure *s, const struct jv *tag)
{
	const struct jv *begin = jv_get(tag, "begin");
	if (!begin)
		structure_refuse(s, tag, NULL, "\"begin\" is missing; it takes a string or a token");
	return structure_mark(s, begin, true);
}

/* Begin and end, each a text or a token. */
static void read_borders(struct structure *s, const struct jv *v, struct tag *t)
{
	const struct jv *begin = jv_get(v, "begin"), *end = jv_get(v, "end");
	t->begin_token = structure_is_token(begin) ? structure_token_format(s, begin) : -1;
	t->end_token = structure_is_token(end) ? structure_token_format(s, end) : -1;
	if (t->begin_token < 0)
		t->begin = read_begin(s, v);
	if (t->end_token < 0)
		t->ends = read_ends(s, v);
}

static struct tag read_tag(struct structure *s, const struct jv *v)
{
	static const char *const known[] = {"type", "begin", "content", "end", NULL};
	char found[64];
	const struct jv *type = jv_get(v, "type");
	if (!jv_is(v, JV_OBJECT) || (type && !str_eq_c(jv_str(type), "tag")))
		structure_refuse(s, v, NULL,
				 "it is %s; a tag is wanted: {\"type\": \"tag\", \"begin\": ..., "
				 "\"content\": ..., \"end\": ...}",
				 type ? "another format" : structure_found(v, found));
	structure_refuse_others(s, v, known);
	struct tag t = {.at = v, .content = jv_get(v, "content")};
	read_borders(s, v, &t);
	if (!t.content)
		structure_refuse(s, v, NULL, "\"content\" is missing; it takes a format");
	return t;
}

/* A tag of the form before: {"begin", "schema", "end"}. */
static struct tag read_older_tag(struct structure *s, const struct jv *v)
{
	static const char *const known[] = {"begin", "schema", "end", NULL};
	char found[64];
	if (!jv_is(v, JV_OBJECT))
		structure_refuse(s, v, NULL,
				 "it is %s; {\"begin\": ..., \"schema\": ..., \"end\": ...} is wanted",
				 structure_found(v, found));
	structure_refuse_others(s, v, known);
	struct tag t = {.at = v, .schema = jv_get(v, "schema")};
	read_borders(s, v, &t);
	if (!t.schema)
		structure_refuse(s, v, NULL, "\"schema\" is missing; it takes a JSON Schema");
	return t;
}

/* Free text needs something that ends it. */
static void check_end(struct structure *s, const struct tag *t)
{
	struct str type = jv_str(jv_get(t->content, "type"));
	bool is_free = str_eq_c(type, "any_text") || str_eq_c(type, "triggered_tags");
	if (is_free && t->end_token < 0 && !structure_not_empty(s, t->ends).n &&
	    !jv_len(jv_get(t->content, "excludes")))
		structure_refuse(
			s, t->at, "end",
			"it is empty and the content is free text, so that nothing says where that ends; "
			"an end, or \"excludes\" of the content, would do");
}

/* The content and one of the ends, then what follows. */
static void put_rest(struct structure *s, const struct tag *t, struct site site)
{
	const struct after ends = {t->ends, true};
	struct site inside = site;
	place_id behind = site.after ? structure_place(s, site) : site.to;
	if (t->content)
		check_end(s, t);
	inside.after = t->end_token < 0 ? &ends : NULL;
	inside.tag_ends = structure_not_empty(s, t->ends);
	inside.depth++;
	inside.to = t->end_token < 0 ? behind : structure_place(s, site);
	if (t->schema)
		structure_put_schema(s, t->schema, s->space, inside);
	else
		structure_put(s, t->content, inside);
	if (t->end_token >= 0)
		grammar_reads(s->g, inside.to, behind, rx_token(s->p, (uint32_t)t->end_token));
	if (site.after)
		grammar_reads(s->g, behind, site.to, structure_one_of(s, site.after->texts));
}

/* The begin of a tag from byte `skip` on, or its token. */
static rx begin_rx(struct structure *s, const struct tag *t, size_t skip)
{
	if (t->begin_token >= 0)
		return skip ? RX_EMPTY : rx_token(s->p, (uint32_t)t->begin_token);
	return rx_literal(s->p, t->begin.ptr + skip, t->begin.len - skip);
}

void structure_put_tag(struct structure *s, const struct jv *v, struct site site)
{
	struct tag t = read_tag(s, v);
	rx begin = begin_rx(s, &t, 0);
	if (begin != RX_EMPTY) {
		place_id from = structure_place(s, site);
		grammar_reads(s->g, site.from, from, begin);
		site.from = from;
	}
	put_rest(s, &t, site);
}

/* ---- several tags ---- */

struct tags structure_read_tags(struct structure *s, const struct jv *list, bool older, uint32_t depth)
{
	struct tags tags = {structure_alloc(s, list->n, sizeof *tags.at),
			    structure_alloc(s, list->n, sizeof *tags.rests), list->n};
	for (uint32_t i = 0; i < list->n; i++) {
		char name[24];
		tags.at[i] = older ? read_older_tag(s, &list->items[i]) : read_tag(s, &list->items[i]);
		snprintf(name, sizeof name, "tag-%u", (unsigned)i);
		rule_id r = tags.rests[i] = grammar_rule(s->g, name);
		put_rest(s, &tags.at[i],
			 (struct site){.from = grammar_start(s->g, r),
				       .to = grammar_end(s->g, r),
				       .depth = depth + 1});
	}
	return tags;
}

void structure_put_one(struct structure *s, const struct tags *tags, uint32_t i, size_t skip, place_id from,
		       place_id to)
{
	place_id at = grammar_place(s->g, from);
	grammar_reads(s->g, from, at, begin_rx(s, &tags->at[i], skip));
	grammar_calls(s->g, at, to, tags->rests[i]);
}

void structure_put_any(struct structure *s, const struct tags *tags, place_id from, place_id to)
{
	for (uint32_t i = 0; i < tags->n; i++)
		structure_put_one(s, tags, i, 0, from, to);
}

void structure_put_separated(struct structure *s, const struct jv *v, struct site site)
{
	struct tags tags = structure_read_tags(s, structure_list(s, v, "tags"), false, site.depth);
	struct str separator = structure_string(s, v, "separator", true);
	bool at_least_one = structure_bool(s, v, "at_least_one", false),
	     stop = structure_bool(s, v, "stop_after_first", false);
	place_id before = structure_place(s, site), behind = structure_place(s, site);
	grammar_skips(s->g, site.from, before);
	structure_put_any(s, &tags, before, behind);
	if (!stop)
		grammar_reads(s->g, behind, before, rx_literal(s->p, separator.ptr, separator.len));
	grammar_skips(s->g, behind, site.to);
	if (!at_least_one)
		grammar_skips(s->g, site.from, site.to);
}
