/* Free text in which something opens what has a shape: texts, or tokens. */
#include "constrain/rx_internal.h"
#include "constrain/structure_internal.h"

/* What opens: texts, or tokens where there are any. */
struct triggers {
	struct marks texts;
	const int32_t *tokens;
	uint32_t n;
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

/* Free text that tokens open: they are none of its bytes. */
static void put_tokens(struct structure *s, const struct triggers *t, const struct free_text *text,
		       struct doors *d)
{
	place_id closed = grammar_place(s->g, d->loop);
	grammar_reads(s->g, d->loop, closed, structure_free(s, text));
	for (uint32_t i = 0; i < t->n; i++) {
		d->opened[i] = grammar_place(s->g, d->loop);
		grammar_reads(s->g, closed, d->opened[i], rx_token(s->p, (uint32_t)t->tokens[i]));
	}
}

static struct doors put_triggers(struct structure *s, const struct triggers *t, struct site site)
{
	struct doors d = {.loop = structure_place(s, site),
			  .opened = structure_alloc(s, t->n, sizeof *d.opened)};
	check_triggers(s, t, site.tag_ends);
	const struct free_text text = {
		.never = structure_join(s, structure_join(s, t->texts, t->excludes), site.tag_ends),
		.max_chars = RX_UNBOUNDED,
		.also = RX_ALL};
	if (t->tokens)
		put_tokens(s, t, &text, &d);
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

/* Which of the triggers the last one is, if that was there before it; n - 1: it is new. */
static uint32_t find_first(const struct triggers *t)
{
	uint32_t last = t->n - 1, k = 0;
	while (k < last &&
	       (t->tokens ? t->tokens[k] != t->tokens[last] : !str_eq(t->texts.at[k], t->texts.at[last])))
		k++;
	return k;
}

/* Of a list, or of the rules of a list: what stands first in each. */
static struct triggers read_triggers(struct structure *s, const struct jv *list, bool tokens, bool rules)
{
	struct str *texts = tokens ? NULL : structure_alloc(s, list->n, sizeof *texts);
	int32_t *ids = tokens ? structure_alloc(s, list->n, sizeof *ids) : NULL;
	struct triggers t = {.at = structure_alloc(s, list->n, sizeof(struct jv *))};
	t.texts.at = texts;
	t.tokens = ids;
	for (uint32_t i = 0; i < list->n; i++) {
		const struct jv *v = rules ? jv_at(&list->items[i], 0) : &list->items[i];
		if (tokens)
			ids[t.n] = structure_opening_token(s, v);
		else
			texts[t.n] = structure_mark(s, v, false);
		t.at[t.n++] = v;
		if (!rx_charge(s->p, 1 + t.n / 8) || find_first(&t) == t.n - 1)
			continue;
		if (rules)
			structure_refuse(s, v, NULL, "it opens two of the rules; one with \"or\" would do");
		t.n--; /* the same once more says nothing new */
	}
	t.texts.n = tokens ? 0 : t.n;
	return t;
}

/* The trigger that a tag begins with, of those that hold no other. */
static uint32_t trigger_of(struct structure *s, const struct triggers *t, const struct tag *tag)
{
	char quoted[64];
	if ((tag->begin_token >= 0) != (t->tokens != NULL))
		structure_refuse(s, tag->at, "begin",
				 t->tokens ? "it is a text; a token is wanted, or triggered_tags"
					   : "it is a token; a text is wanted, or token_triggered_tags");
	for (uint32_t k = 0; k < t->n; k++)
		if (t->tokens ? t->tokens[k] == tag->begin_token : str_starts(tag->begin, t->texts.at[k]))
			return k;
	if (t->tokens)
		structure_refuse(
			s, tag->at, "begin",
			"it is token %d and none of the triggers, so that nothing would open the tag",
			tag->begin_token);
	structure_refuse(s, tag->at, "begin",
			 "it is %s and begins with none of the triggers, so that nothing would open the tag",
			 str_quote(tag->begin, quoted, sizeof quoted));
}

static void put_triggered(struct structure *s, const struct triggers *t, const struct tags *tags,
			  bool at_least_one, struct site site)
{
	bool *used = structure_alloc(s, t->n, sizeof *used);
	uint32_t *trigger = structure_alloc(s, tags->n, sizeof *trigger);
	struct doors d = put_triggers(s, t, site);
	for (uint32_t i = 0; i < tags->n; i++)
		used[trigger[i] = trigger_of(s, t, &tags->at[i])] = true;
	for (uint32_t k = 0; k < t->n; k++)
		if (!used[k])
			structure_refuse(s, t->at[k], NULL,
					 "none of the tags begins with it, so that nothing could follow it");
	if (at_least_one)
		structure_put_any(s, tags, site.from, d.done);
	else
		grammar_skips(s->g, site.from, d.loop);
	for (uint32_t i = 0; i < tags->n; i++)
		structure_put_one(s, tags, i, t->tokens ? 1 : t->texts.at[trigger[i]].len,
				  d.opened[trigger[i]], d.done);
}

void structure_put_triggered(struct structure *s, const struct jv *v, struct site site)
{
	struct triggers t = read_triggers(s, structure_list(s, v, "triggers"), false, false);
	t.excludes = structure_marks(s, jv_get(v, "excludes"), false);
	t.stop_after_first = structure_bool(s, v, "stop_after_first", false);
	bool at_least_one = structure_bool(s, v, "at_least_one", false);
	struct tags tags = structure_read_tags(s, structure_list(s, v, "tags"), false, site.depth);
	put_triggered(s, &t, &tags, at_least_one, site);
}

void structure_put_token_triggered(struct structure *s, const struct jv *v, struct site site)
{
	struct triggers t = read_triggers(s, structure_list(s, v, "trigger_tokens"), true, false);
	structure_check_excluded(s, jv_get(v, "exclude_tokens"));
	t.stop_after_first = structure_bool(s, v, "stop_after_first", false);
	bool at_least_one = structure_bool(s, v, "at_least_one", false);
	struct tags tags = structure_read_tags(s, structure_list(s, v, "tags"), false, site.depth);
	site.tag_ends = (struct marks){NULL, 0};
	put_triggered(s, &t, &tags, at_least_one, site);
}

void structure_put_older(struct structure *s, const struct jv *v, struct site site)
{
	struct triggers t = read_triggers(s, structure_list(s, v, "triggers"), false, false);
	struct tags tags = structure_read_tags(s, structure_list(s, v, "structures"), true, site.depth);
	put_triggered(s, &t, &tags, false, site);
}

/* Rules of a trigger and what follows it. */
static void put_dispatch(struct structure *s, const struct jv *v, struct marks excludes, bool tokens,
			 struct site site)
{
	char found[64];
	const struct jv *rules = structure_list(s, v, "rules");
	for (uint32_t i = 0; i < rules->n; i++) {
		const struct jv *rule = &rules->items[i];
		if (jv_len(rule) != 2)
			structure_refuse(s, rule, NULL,
					 "it is %s; an array of what opens and a format is wanted",
					 jv_is(rule, JV_ARRAY) ? "an array of another length"
							       : structure_found(rule, found));
	}
	struct triggers t = read_triggers(s, rules, tokens, true);
	t.excludes = excludes;
	t.stop_after_first = !structure_bool(s, v, "loop", true);
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

void structure_put_dispatch(struct structure *s, const struct jv *v, struct site site)
{
	put_dispatch(s, v, structure_marks(s, jv_get(v, "excludes"), false), false, site);
}

void structure_put_token_dispatch(struct structure *s, const struct jv *v, struct site site)
{
	structure_check_excluded(s, jv_get(v, "exclude_tokens"));
	put_dispatch(s, v, (struct marks){NULL, 0}, true, site);
}
