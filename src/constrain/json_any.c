/* Any JSON value: three rules that call each other. */
#include "constrain/schema_internal.h"

struct maker {
	struct grammar *g;
	struct rx_pool *p;
	rx space;
	bool spaced; /* one space behind ':' and ',' */
};

static rx mark(const struct maker *m, char c, bool before, bool after)
{
	rx r = rx_byte(m->p, (uint8_t)c);
	if (m->spaced && (c == ':' || c == ','))
		return rx_cat(m->p, r, rx_byte(m->p, ' '));
	if (before)
		r = rx_cat(m->p, m->space, r);
	return after ? rx_cat(m->p, r, m->space) : r;
}

/* Between brackets, what `entry` puts between two places, any number of times. */
static void list(const struct maker *m, rule_id r, const char brackets[2], rx key, rule_id value)
{
	place_id start = grammar_start(m->g, r), end = grammar_end(m->g, r),
		 open = grammar_place(m->g, start);
	place_id entry = grammar_place(m->g, start), at = entry, after = grammar_place(m->g, start);
	grammar_reads(m->g, start, open, mark(m, brackets[0], false, true));
	grammar_reads(m->g, open, end, rx_byte(m->p, (uint8_t)brackets[1]));
	grammar_skips(m->g, open, entry);
	if (key != RX_NONE) {
		at = grammar_place(m->g, start);
		grammar_reads(m->g, entry, at, key);
	}
	grammar_calls(m->g, at, after, value);
	grammar_reads(m->g, after, entry, mark(m, ',', true, true));
	grammar_reads(m->g, after, end, mark(m, brackets[1], true, false));
}

struct json_rules json_rules(struct grammar *g, enum constrain_space space)
{
	struct maker m = {
		.g = g, .p = grammar_pool(g), .space = RX_EMPTY, .spaced = space == CONSTRAIN_SPACED};
	uint64_t white[4] = {1ull << ' ' | 1ull << '\t' | 1ull << '\n' | 1ull << '\r'};
	if (space == CONSTRAIN_FREE)
		m.space = rx_repeat(m.p, rx_byte_set(m.p, white), 0, RX_UNBOUNDED);
	struct json_rules r = {grammar_rule(g, "value"), grammar_rule(g, "array"), grammar_rule(g, "object")};
	place_id from = grammar_start(g, r.value), to = grammar_end(g, r.value);
	rx quote = rx_byte(m.p, '"'), number = RX_NONE;
	rx text = rx_cat(m.p, quote, rx_cat(m.p, rx_any_text(m.p, RX_JSON, 0, RX_UNBOUNDED), quote));
	struct rx_number all = {0};
	if (rx_number(m.p, &all, &number, NULL))
		number = RX_NONE;
	rx words[] = {rx_literal(m.p, "null", 4), rx_literal(m.p, "false", 5), rx_literal(m.p, "true", 4)};
	grammar_reads(g, from, to, text);
	grammar_reads(g, from, to, number);
	grammar_reads(g, from, to, rx_or_many(m.p, words, 3));
	grammar_calls(g, from, to, r.array);
	grammar_calls(g, from, to, r.object);
	list(&m, r.array, "[]", RX_NONE, r.value);
	list(&m, r.object, "{}", rx_cat(m.p, text, mark(&m, ':', true, true)), r.value);
	return r;
}

void json_any(struct grammar *g, place_id from, place_id to, enum constrain_space space)
{
	grammar_calls(g, from, to, json_rules(g, space).value);
}

void json_any_object(struct grammar *g, place_id from, place_id to, enum constrain_space space)
{
	grammar_calls(g, from, to, json_rules(g, space).object);
}
