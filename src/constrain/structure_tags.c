/* Tags: alone, with a separator between them, and behind triggers that stand in free text. */
#include <stdio.h>
#include <string.h>

#include "constrain/rx_internal.h"
#include "constrain/structure_internal.h"

static struct marks read_ends(struct structure *s, const struct jv *tag)
{
	const struct jv *end = jv_get(tag, "end");
	if (!end)
		structure_refuse(s, tag, NULL, "\"end\" is missing; it takes a string, or several");
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
		structure_refuse(s, tag, NULL, "\"begin\" is missing; it takes a string");
	return structure_mark(s, begin, true);
}

struct tag structure_read_tag(struct structure *s, const struct jv *v)
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
	struct tag t = {
		.at = v, .begin = read_begin(s, v), .content = jv_get(v, "content"), .ends = read_ends(s, v)};
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
	struct tag t = {
		.at = v, .begin = read_begin(s, v), .schema = jv_get(v, "schema"), .ends = read_ends(s, v)};
	if (!t.schema)
		structure_refuse(s, v, NULL, "\"schema\" is missing; it takes a JSON Schema");
	return t;
}

/* Free text needs something that ends it. */
static void check_end(struct structure *s, const struct tag *t)
{
	struct str type = jv_str(jv_get(t->content, "type"));
	bool is_free = str_eq_c(type, "any_text") || str_eq_c(type, "triggered_tags");
	if (is_free && !structure_not_empty(s, t->ends).n && !jv_len(jv_get(t->content, "excludes")))
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
	if (t->content)
		check_end(s, t);
	inside.after = &ends;
	inside.tag_ends = structure_not_empty(s, t->ends);
	inside.depth++;
	if (site.after)
		inside.to = structure_place(s, site);
	if (t->schema)
		structure_put_schema(s, t->schema, s->space, inside);
	else
		structure_put(s, t->content, inside);
	if (site.after)
		grammar_reads(s->g, inside.to, site.to, structure_one_of(s, site.after->texts));
}

void structure_put_tag(struct structure *s, const struct jv *v, struct site site)
{
	struct tag t = structure_read_tag(s, v);
	if (t.begin.len) {
		place_id from = structure_place(s, site);
		grammar_reads(s->g, site.from, from, rx_literal(s->p, t.begin.ptr, t.begin.len));
		site.from = from;
	}
	put_rest(s, &t, site);
}

/* ---- several tags ---- */

/* Tags, each with a rule of its own for what comes behind its begin, so that it may stand in several places.
 */
struct tags {
	struct tag *at;
	rule_id *rests;
	uint32_t n;
};

static struct tags read_tags(struct structure *s, const struct jv *list,
			     struct tag (*read)(struct structure *, const struct jv *), uint32_t depth)
{
	struct tags tags = {structure_alloc(s, list->n, sizeof *tags.at),
			    structure_alloc(s, list->n, sizeof *tags.rests), list->n};
	for (uint32_t i = 0; i < list->n; i++) {
		char name[24];
		tags.at[i] = read(s, &list->items[i]);
		snprintf(name, sizeof name, "tag-%u", (unsigned)i);
		rule_id r = tags.rests[i] = grammar_rule(s->g, name);
		put_rest(s, &tags.at[i],
			 (struct site){.from = grammar_start(s->g, r),
				       .to = grammar_end(s->g, r),
				       .depth = depth + 1});
	}
	return tags;
}

/* The tag from byte `skip` of its begin on. */
static void put_one(struct structure *s, const struct tags *tags, uint32_t i, size_t skip, place_id from,
		    place_id to)
{
	struct str begin = tags->at[i].begin;
	place_id at = grammar_place(s->g, from);
	grammar_reads(s->g, from, at, rx_literal(s->p, begin.ptr + skip, begin.len - skip));
	grammar_calls(s->g, at, to, tags->rests[i]);
}

static void put_any(struct structure *s, const struct tags *tags, place_id from, place_id to)
{
	for (uint32_t i = 0; i < tags->n; i++)
		put_one(s, tags, i, 0, from, to);
}

void structure_put_separated(struct structure *s, const struct jv *v, struct site site)
{
	struct tags tags = read_tags(s, structure_list(s, v, "tags"), structure_read_tag, site.depth);
	struct str separator = structure_string(s, v, "separator", true);
	bool at_least_one = structure_bool(s, v, "at_least_one", false),
	     stop = structure_bool(s, v, "stop_after_first", false);
	place_id before = structure_place(s, site), behind = structure_place(s, site);
	grammar_skips(s->g, site.from, before);
	put_any(s, &tags, before, behind);
	if (!stop)
		grammar_reads(s->g, behind, before, rx_literal(s->p, separator.ptr, separator.len));
	grammar_skips(s->g, behind, site.to);
	if (!at_least_one)
		grammar_skips(s->g, site.from, site.to);
}

/* ---- triggers ---- */

/* Free text with triggers in it: what follows each is put by `put`. */
struct triggers {
	struct marks texts;
	const struct jv **at; /* where each stands */
	struct marks excludes;
	bool stop_after_first;
};

/* A trigger that holds an exclude or another trigger could not come, or would come twice. */
static void check_triggers(struct structure *s, const struct triggers *t, struct marks tag_ends)
{
	char quoted[64];
	struct marks never = structure_join(s, t->excludes, tag_ends);
	for (uint32_t i = 0; i < t->texts.n; i++) {
		if (!rx_charge(s->p, ((uint64_t)t->texts.n + never.n) * (1 + t->texts.at[i].len / 64)))
			return;
		for (uint32_t k = 0; k < t->texts.n; k++)
			if (k != i && structure_holds(t->texts.at[i], t->texts.at[k]))
				structure_refuse(
					s, t->at[i], NULL,
					"it holds the trigger %s, which would open before it; triggers "
					"that hold no other are wanted",
					str_quote(t->texts.at[k], quoted, sizeof quoted));
		for (uint32_t k = 0; k < never.n; k++)
			if (structure_holds(t->texts.at[i], never.at[k]))
				structure_refuse(s, t->at[i], NULL,
						 "it holds %s, which %s, so that it could never come",
						 str_quote(never.at[k], quoted, sizeof quoted),
						 k < t->excludes.n ? "is excluded"
								   : "ends the tag around it");
	}
}

/* What is opened by each trigger goes from opened[i] to done. */
struct doors {
	place_id loop, done;
	place_id *opened;
};

static struct doors put_triggers(struct structure *s, const struct triggers *t, struct site site)
{
	struct doors d = {.loop = structure_place(s, site),
			  .opened = structure_alloc(s, t->texts.n, sizeof *d.opened)};
	check_triggers(s, t, site.tag_ends);
	const struct free_text text = {
		structure_join(s, structure_join(s, t->texts, t->excludes), site.tag_ends), RX_UNBOUNDED};
	for (uint32_t i = 0; i < t->texts.n; i++) {
		d.opened[i] = grammar_place(s->g, d.loop);
		grammar_reads(s->g, d.loop, d.opened[i],
			      structure_free_then(s, &text, text.never, t->texts.at[i]));
	}
	grammar_reads(s->g, d.loop, site.to, structure_free_after(s, &text, t->texts, site.after));
	d.done = d.loop;
	if (t->stop_after_first) {
		d.done = structure_place(s, site);
		grammar_reads(s->g, d.done, site.to,
			      site.after ? structure_one_of(s, site.after->texts) : RX_EMPTY);
	}
	return d;
}

static struct triggers read_triggers(struct structure *s, const struct jv *list, const struct jv *excludes)
{
	struct marks all = structure_marks(s, list, false);
	struct str *texts = structure_alloc(s, all.n, sizeof *texts);
	struct triggers t = {.at = structure_alloc(s, all.n, sizeof *t.at),
			     .excludes = structure_marks(s, excludes, false)};
	for (uint32_t i = 0; i < all.n; i++) {
		uint32_t k = 0;
		while (k < t.texts.n && !str_eq(texts[k], all.at[i]))
			k++;
		if (k < t.texts.n || !rx_charge(s->p, 1 + k / 8))
			continue; /* the same once more says nothing new */
		t.at[t.texts.n] = &list->items[i];
		texts[t.texts.n++] = all.at[i];
	}
	t.texts.at = texts;
	return t;
}

/* The trigger that a tag begins with, of those that hold no other. */
static uint32_t trigger_of(struct structure *s, const struct triggers *t, const struct tag *tag)
{
	char quoted[64];
	for (uint32_t k = 0; k < t->texts.n; k++)
		if (str_starts(tag->begin, t->texts.at[k]))
			return k;
	structure_refuse(s, tag->at, "begin",
			 "it is %s and begins with none of the triggers, so that nothing would open the tag",
			 str_quote(tag->begin, quoted, sizeof quoted));
}

static void put_triggered(struct structure *s, const struct triggers *t, const struct tags *tags,
			  bool at_least_one, struct site site)
{
	bool *used = structure_alloc(s, t->texts.n, sizeof *used);
	uint32_t *trigger = structure_alloc(s, tags->n, sizeof *trigger);
	struct doors d = put_triggers(s, t, site);
	for (uint32_t i = 0; i < tags->n; i++)
		used[trigger[i] = trigger_of(s, t, &tags->at[i])] = true;
	for (uint32_t k = 0; k < t->texts.n; k++)
		if (!used[k])
			structure_refuse(s, t->at[k], NULL,
					 "none of the tags begins with it, so that nothing could follow it");
	if (at_least_one)
		put_any(s, tags, site.from, d.done);
	else
		grammar_skips(s->g, site.from, d.loop);
	for (uint32_t i = 0; i < tags->n; i++)
		put_one(s, tags, i, t->texts.at[trigger[i]].len, d.opened[trigger[i]], d.done);
}

void structure_put_triggered(struct structure *s, const struct jv *v, struct site site)
{
	struct triggers t = read_triggers(s, structure_list(s, v, "triggers"), jv_get(v, "excludes"));
	t.stop_after_first = structure_bool(s, v, "stop_after_first", false);
	bool at_least_one = structure_bool(s, v, "at_least_one", false);
	struct tags tags = read_tags(s, structure_list(s, v, "tags"), structure_read_tag, site.depth);
	put_triggered(s, &t, &tags, at_least_one, site);
}

void structure_put_older(struct structure *s, const struct jv *v, struct site site)
{
	struct triggers t = read_triggers(s, structure_list(s, v, "triggers"), NULL);
	struct tags tags = read_tags(s, structure_list(s, v, "structures"), read_older_tag, site.depth);
	put_triggered(s, &t, &tags, false, site);
}

/* Rules of a trigger and what follows it. */
void structure_put_dispatch(struct structure *s, const struct jv *v, struct site site)
{
	char found[64];
	const struct jv *rules = structure_list(s, v, "rules");
	struct str *texts = structure_alloc(s, rules->n, sizeof *texts);
	struct triggers t = {.at = structure_alloc(s, rules->n, sizeof *t.at),
			     .excludes = structure_marks(s, jv_get(v, "excludes"), false),
			     .stop_after_first = !structure_bool(s, v, "loop", true)};
	for (uint32_t i = 0; i < rules->n; i++) {
		const struct jv *rule = &rules->items[i];
		if (jv_len(rule) != 2)
			structure_refuse(s, rule, NULL,
					 "it is %s; an array of a string and a format is wanted",
					 jv_is(rule, JV_ARRAY) ? "an array of another length"
							       : structure_found(rule, found));
		t.at[i] = jv_at(rule, 0);
		texts[i] = structure_mark(s, t.at[i], false);
	}
	t.texts = (struct marks){texts, rules->n};
	struct site inside = site;
	inside.tag_ends = (struct marks){NULL, 0}; /* what ends it stands in excludes alone */
	struct doors d = put_triggers(s, &t, inside);
	inside.tag_ends = site.tag_ends;
	inside.after = NULL;
	inside.to = d.done;
	inside.depth++;
	grammar_skips(s->g, site.from, d.loop);
	for (uint32_t i = 0; i < rules->n; i++) {
		inside.from = d.opened[i];
		structure_put(s, jv_at(&rules->items[i], 1), inside);
	}
}
