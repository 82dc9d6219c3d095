/* Terms into a grammar: scalars as expressions, arrays and objects as rules, a rule for each term. */
#include "constrain/schema_internal.h"

rx schema_mark(struct schema *s, char c, unsigned spaces)
{
	rx r = rx_byte(s->p, (uint8_t)c);
	if (s->space == CONSTRAIN_SPACED)
		return c == ':' || c == ',' ? rx_cat(s->p, r, rx_byte(s->p, ' ')) : r;
	if (spaces & SPACE_BEFORE)
		r = rx_cat(s->p, s->space_rx, r);
	return spaces & SPACE_AFTER ? rx_cat(s->p, r, s->space_rx) : r;
}

rx schema_key_rx(struct schema *s, struct str key)
{
	if (s->space != CONSTRAIN_FREE)
		return schema_word_rx(s, key, s->space == CONSTRAIN_SPACED ? ": " : ":");
	return rx_cat(s->p, schema_word_rx(s, key, ""), schema_mark(s, ':', SPACE_BEFORE | SPACE_AFTER));
}

static const struct json_any_rules *any_rules(struct schema *s)
{
	struct json_any_rules *r = &s->shared->json[s->space];
	if (!r->made) {
		struct json_rules made = json_rules(s->g, s->space);
		*r = (struct json_any_rules){true, made.value, made.array, made.object};
	}
	return r;
}

/* null, true, false, words. */
static rx finite_rx(struct schema *s, const struct set *set)
{
	rx parts[4];
	size_t n = 0;
	if (set->null)
		parts[n++] = rx_literal(s->p, "null", 4);
	if (set->bools & 1)
		parts[n++] = rx_literal(s->p, "false", 5);
	if (set->bools & 2)
		parts[n++] = rx_literal(s->p, "true", 4);
	if (set->strings.n_words)
		parts[n++] = schema_words_rx(s, set->strings.words, set->strings.n_words);
	return n ? rx_or_many(s->p, parts, n) : RX_NONE;
}

static rx text_rx(struct schema *s, const struct set *set)
{
	if (set->strings.rx == RX_NONE)
		return RX_NONE;
	rx quote = rx_byte(s->p, '"');
	return rx_cat(s->p, quote, rx_cat(s->p, set->strings.rx, quote));
}

static rx numbers_rx(struct schema *s, const struct set *set)
{
	rx *parts = schema_alloc(s, set->nums.n, sizeof *parts);
	for (uint32_t i = 0; i < set->nums.n; i++)
		parts[i] = schema_num_rx(s, set->nums.at[i]);
	return set->nums.n ? rx_or_many(s->p, parts, set->nums.n) : RX_NONE;
}

/* Its body is written later, so that schemas as deep as you like need no deep stack. */
static rule_id rule_of(struct schema *s, term_id t)
{
	if (!s->terms[t].has_rule) {
		s->queue = schema_grow(s, s->queue, s->n_queue, &s->cap_queue, sizeof *s->queue);
		s->queue[s->n_queue++] = t;
		s->terms[t].rule = grammar_rule(s->g, NULL);
		s->terms[t].has_rule = true;
	}
	return s->terms[t].rule;
}

static bool all_free(struct schema *s, const struct set *set)
{
	return (!set->arrs.n || (set->arrs.n == 1 && schema_arr_free(set->arrs.at[0]))) &&
	       (!set->objs.n || (set->objs.n == 1 && schema_obj_free(s, set->objs.at[0])));
}

void schema_emit(struct schema *s, place_id from, place_id to, term_id t)
{
	const struct set *set = schema_set(s, t);
	term_id outer = s->writing;
	if (set == s->any) {
		grammar_calls(s->g, from, to, any_rules(s)->value);
		return;
	}
	s->writing = t;
	rx parts[] = {finite_rx(s, set), text_rx(s, set), numbers_rx(s, set)};
	s->writing = outer;
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (parts[i] != RX_NONE)
			grammar_reads(s->g, from, to, parts[i]);
	if (all_free(s, set)) {
		if (set->arrs.n)
			grammar_calls(s->g, from, to, any_rules(s)->array);
		if (set->objs.n)
			grammar_calls(s->g, from, to, any_rules(s)->object);
		return;
	}
	grammar_calls(s->g, from, to, rule_of(s, t));
}

void schema_emit_queue(struct schema *s)
{
	for (uint32_t i = 0; i < s->n_queue; i++) {
		s->writing = s->queue[i];
		const struct set *set = schema_set(s, s->writing);
		rule_id r = s->terms[s->queue[i]].rule;
		place_id from = grammar_start(s->g, r), to = grammar_end(s->g, r);
		for (uint32_t k = 0; k < set->arrs.n; k++)
			schema_emit_arr(s, from, to, set->arrs.at[k]);
		for (uint32_t k = 0; k < set->objs.n; k++)
			schema_emit_obj(s, from, to, set->objs.at[k]);
	}
}
