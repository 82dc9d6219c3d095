/*
 * Arrays: a place for each number of items that makes a difference, and for each count of what `contains`
 * asks; long ones by rules that stand for two, four, eight ... items; distinct ones by the set of values that
 * were written.
 */
#include "constrain/schema_internal.h"

enum { MAX_SINGLE = 64, MAX_CONTAINS = 3, MAX_VALUES = 10 };

struct list {
	struct schema *s;
	const struct arr *a;
	place_id start, end;
	uint32_t last;               /* items beyond are as this one, if there is no end */
	uint32_t tops[MAX_CONTAINS]; /* counts go up to this one */
	uint32_t n_counts;           /* of all counters together */
	place_id *item, *after;      /* item i is to come; i items are written. 0: not made */
};

static term_id term_at(const struct arr *a, uint32_t i)
{
	return i < a->n_prefix ? a->prefix[i] : a->rest;
}

static bool counts_done(const struct list *l, const uint32_t *counts)
{
	for (uint32_t k = 0; k < l->a->n_contains; k++)
		if (counts[k] < l->a->contains[k].min)
			return false;
	return true;
}

static void unpack(const struct list *l, uint32_t packed, uint32_t *counts)
{
	for (uint32_t k = 0; k < l->a->n_contains; k++) {
		counts[k] = packed % (l->tops[k] + 1);
		packed /= l->tops[k] + 1;
	}
}

static uint32_t pack(const struct list *l, const uint32_t *counts)
{
	uint32_t packed = 0;
	for (uint32_t k = l->a->n_contains; k-- > 0;)
		packed = packed * (l->tops[k] + 1) + counts[k];
	return packed;
}

static place_id item_place(struct list *l, uint32_t i, uint32_t packed)
{
	place_id *p = &l->item[(size_t)i * l->n_counts + packed];
	if (!*p)
		*p = grammar_place(l->s->g, l->start);
	return *p;
}

static place_id after_place(struct list *l, uint32_t i, uint32_t packed)
{
	struct schema *s = l->s;
	uint32_t counts[MAX_CONTAINS] = {0};
	place_id *p = &l->after[(size_t)i * l->n_counts + packed];
	if (*p)
		return *p;
	*p = grammar_place(s->g, l->start);
	if (i < l->a->max) {
		if (i)
			grammar_reads(s->g, *p, item_place(l, i, packed),
				      schema_mark(s, ',', SPACE_BEFORE | SPACE_AFTER));
		else
			grammar_skips(s->g, *p, item_place(l, i, packed));
	}
	unpack(l, packed, counts);
	if (i >= l->a->min && counts_done(l, counts))
		grammar_reads(s->g, *p, l->end, schema_mark(s, ']', i ? SPACE_BEFORE : 0));
	return *p;
}

/* Item i from one place: for each `contains` it counts or does not. Where there is a maximum, what does not
 * count must not fit; where there is none, it may, since another way counts it. */
static void write_item(struct list *l, uint32_t i, uint32_t packed)
{
	struct schema *s = l->s;
	uint32_t n = l->a->n_contains, to = i < l->last ? i + 1 : l->last;
	place_id from = l->item[(size_t)i * l->n_counts + packed];
	for (uint32_t mask = 0; mask < 1u << n; mask++) {
		uint32_t counts[MAX_CONTAINS] = {0};
		term_id terms[MAX_CONTAINS + 1] = {term_at(l->a, i)};
		uint32_t n_terms = 1;
		bool fits = true;
		unpack(l, packed, counts);
		for (uint32_t k = 0; k < n && fits; k++) {
			const struct contains *c = &l->a->contains[k];
			if (mask >> k & 1) {
				fits = i >= c->from && counts[k] < l->tops[k];
				counts[k]++;
				terms[n_terms++] = c->term;
			} else if (i >= c->from && c->max != SCHEMA_UNBOUNDED) {
				terms[n_terms++] = schema_term_not(s, c->term);
			}
		}
		term_id t = TERM_ANY;
		for (uint32_t k = 0; k < n_terms; k++)
			t = schema_term_and(s, t, terms[k]);
		if (fits && t != TERM_NONE)
			schema_emit(s, from, after_place(l, to, pack(l, counts)), t);
	}
}

static bool plan(struct list *l)
{
	const struct arr *a = l->a;
	uint64_t counts = 1;
	if (a->n_contains > MAX_CONTAINS)
		return false;
	l->last = a->max != SCHEMA_UNBOUNDED ? a->max : a->n_prefix > a->min ? a->n_prefix : a->min;
	for (uint32_t k = 0; k < a->n_contains; k++) {
		const struct contains *c = &a->contains[k];
		l->tops[k] = c->max != SCHEMA_UNBOUNDED ? c->max : c->min;
		counts *= (uint64_t)l->tops[k] + 1;
		if (c->from > l->last)
			l->last = c->from;
		if (counts > SCHEMA_MAX_STATES)
			return false;
	}
	if (!l->last)
		l->last = a->max ? 1 : 0;
	l->n_counts = (uint32_t)counts;
	return ((uint64_t)l->last + 1) * counts <= SCHEMA_MAX_STATES;
}

static void emit_counted(struct list *l)
{
	struct schema *s = l->s;
	size_t n;
	if (!plan(l))
		schema_refuse(
			s, schema_here(s), NULL,
			"an array that counts up to %u items and what `contains` finds among them takes more than %d "
			"states; smaller minItems, maxItems, minContains or maxContains would do",
			l->a->max == SCHEMA_UNBOUNDED ? l->a->min : l->a->max, SCHEMA_MAX_STATES);
	n = ((size_t)l->last + 1) * l->n_counts;
	schema_work(s, n);
	l->item = schema_alloc(s, n, sizeof *l->item);
	l->after = schema_alloc(s, n, sizeof *l->after);
	grammar_reads(s->g, l->start, after_place(l, 0, 0), schema_mark(s, '[', SPACE_AFTER));
	for (uint32_t i = 0; i <= l->last; i++)
		for (uint32_t packed = 0; packed < l->n_counts; packed++)
			if (l->item[(size_t)i * l->n_counts + packed])
				write_item(l, i, packed);
}

/* Rules of powers of two of "comma, item". */
struct powers {
	struct schema *s;
	term_id item;
	rule_id exact[32], up_to[32]; /* 2^k of them; 0 to 2^k - 1 */
	uint32_t n;
};

static rule_id exactly(struct powers *p, uint32_t k)
{
	struct grammar *g = p->s->g;
	for (; p->n <= k; p->n++) {
		rule_id r = grammar_rule(g, NULL), u = grammar_rule(g, NULL);
		place_id from = grammar_start(g, r), to = grammar_end(g, r), between = grammar_place(g, from);
		if (p->n == 0) {
			grammar_reads(g, from, between, schema_mark(p->s, ',', SPACE_BEFORE | SPACE_AFTER));
			schema_emit(p->s, between, to, p->item);
			grammar_skips(g, grammar_start(g, u), grammar_end(g, u));
		} else {
			grammar_calls(g, from, between, p->exact[p->n - 1]);
			grammar_calls(g, between, to, p->exact[p->n - 1]);
			place_id u_from = grammar_start(g, u), u_between = grammar_place(g, u_from);
			grammar_calls(g, u_from, grammar_end(g, u), p->up_to[p->n - 1]);
			grammar_calls(g, u_from, u_between, p->exact[p->n - 1]);
			grammar_calls(g, u_between, grammar_end(g, u), p->up_to[p->n - 1]);
		}
		p->exact[p->n] = r;
		p->up_to[p->n] = u;
	}
	return p->exact[k];
}

static void emit_exactly(struct powers *p, place_id from, place_id to, uint32_t n)
{
	struct grammar *g = p->s->g;
	for (uint32_t k = 0; n >> k; k++) {
		if (!(n >> k & 1))
			continue;
		place_id next = grammar_place(g, from);
		grammar_calls(g, from, next, exactly(p, k));
		from = next;
	}
	grammar_skips(g, from, to);
}

static void emit_up_to(struct powers *p, place_id from, place_id to, uint32_t n)
{
	struct grammar *g = p->s->g;
	while (n) {
		uint32_t k = 31 - (uint32_t)__builtin_clz(n + 1);
		exactly(p, k);
		if (k)
			grammar_calls(g, from, to, p->up_to[k]);
		if (n < 1u << k)
			return;
		place_id next = grammar_place(g, from);
		grammar_calls(g, from, next, p->exact[k]);
		from = next;
		n -= 1u << k;
	}
	grammar_skips(g, from, to);
}

/* The first items by themselves, then min - n to max - n more. */
static void emit_long(struct list *l)
{
	struct schema *s = l->s;
	const struct arr *a = l->a;
	struct powers p = {.s = s, .item = a->rest};
	uint32_t n = a->n_prefix ? a->n_prefix : 1; /* written one by one; the comma of the first is none */
	place_id at = grammar_place(s->g, l->start);
	grammar_reads(s->g, l->start, at, schema_mark(s, '[', SPACE_AFTER));
	for (uint32_t i = 0; i < n; i++) {
		place_id item = at, after = grammar_place(s->g, l->start);
		if (i >= a->min)
			grammar_reads(s->g, at, l->end, schema_mark(s, ']', i ? SPACE_BEFORE : 0));
		if (i) {
			item = grammar_place(s->g, l->start);
			grammar_reads(s->g, at, item, schema_mark(s, ',', SPACE_BEFORE | SPACE_AFTER));
		}
		schema_emit(s, item, after, term_at(a, i));
		at = after;
	}
	uint32_t least = a->min > n ? a->min - n : 0;
	place_id more = grammar_place(s->g, l->start), close = grammar_place(s->g, l->start);
	emit_exactly(&p, at, more, least);
	if (a->max == SCHEMA_UNBOUNDED) {
		place_id loop = grammar_place(s->g, l->start);
		grammar_skips(s->g, more, close);
		grammar_skips(s->g, more, loop);
		place_id again = grammar_place(s->g, l->start);
		grammar_calls(s->g, loop, again, exactly(&p, 0));
		grammar_skips(s->g, again, loop);
		grammar_skips(s->g, again, close);
	} else {
		emit_up_to(&p, more, close, a->max - n - least);
	}
	grammar_reads(s->g, close, l->end, schema_mark(s, ']', SPACE_BEFORE));
}

/* A set of few scalars as its single values. */
static bool values_of(struct schema *s, const struct set *set, rx *values, uint32_t *n)
{
	uint32_t points = 0;
	for (uint32_t i = 0; i < set->nums.n; i++) {
		if (!set->nums.at[i]->n_points)
			return false;
		points += set->nums.at[i]->n_points;
	}
	if (set->strings.rx != RX_NONE || set->arrs.n || set->objs.n ||
	    (uint64_t)points + set->strings.n_words > MAX_VALUES ||
	    *n + points + set->strings.n_words + 3 > 3 * MAX_VALUES)
		return false;
	if (set->null)
		values[(*n)++] = rx_literal(s->p, "null", 4);
	if (set->bools & 1)
		values[(*n)++] = rx_literal(s->p, "false", 5);
	if (set->bools & 2)
		values[(*n)++] = rx_literal(s->p, "true", 4);
	for (uint32_t i = 0; i < set->strings.n_words; i++)
		values[(*n)++] = schema_word_rx(s, set->strings.words[i], "");
	for (uint32_t i = 0; i < set->nums.n; i++)
		for (uint32_t k = 0; k < set->nums.at[i]->n_points; k++) {
			struct num one = {.integer = set->nums.at[i]->integer,
					  .points = &set->nums.at[i]->points[k],
					  .n_points = 1};
			values[(*n)++] = schema_num_rx(s, &one);
		}
	return true;
}

/* Items are all of one term, with few values. */
static void emit_unique(struct list *l)
{
	struct schema *s = l->s;
	const struct arr *a = l->a;
	rx values[3 * MAX_VALUES];
	uint32_t n = 0;
	bool one_kind = !a->n_contains;
	for (uint32_t i = 0; i < a->n_prefix; i++)
		one_kind = one_kind && a->prefix[i] == a->rest;
	if (!one_kind || !values_of(s, schema_set(s, a->rest), values, &n) || n > MAX_VALUES)
		schema_refuse(
			s, a->unique_at, "uniqueItems",
			"that all items differ is more than a grammar can say, but for maxItems 1 and items with at "
			"most %d values (enum, const, boolean, null)",
			MAX_VALUES);
	place_id *at = schema_alloc(s, (size_t)1 << n, sizeof *at);
	for (uint32_t set = 0; set < 1u << n; set++)
		at[set] = grammar_place(s->g, l->start);
	grammar_reads(s->g, l->start, at[0], schema_mark(s, '[', SPACE_AFTER));
	for (uint32_t set = 0; set < 1u << n; set++) {
		uint32_t count = (uint32_t)__builtin_popcount(set);
		place_id item = at[set];
		if (count >= a->min && count <= a->max)
			grammar_reads(s->g, at[set], l->end, schema_mark(s, ']', set ? SPACE_BEFORE : 0));
		if (count >= a->max)
			continue;
		if (set) {
			item = grammar_place(s->g, l->start);
			grammar_reads(s->g, at[set], item, schema_mark(s, ',', SPACE_BEFORE | SPACE_AFTER));
		}
		for (uint32_t v = 0; v < n; v++)
			if (!(set >> v & 1))
				grammar_reads(s->g, item, at[set | 1u << v], values[v]);
	}
}

void schema_emit_arr(struct schema *s, place_id from, place_id to, const struct arr *a)
{
	struct list l = {.s = s, .a = a, .start = from, .end = to};
	uint32_t n = a->max != SCHEMA_UNBOUNDED ? a->max : a->min;
	if (a->unique && a->max > 1)
		emit_unique(&l);
	else if (!a->n_contains && n > a->n_prefix && n - a->n_prefix > MAX_SINGLE)
		emit_long(&l);
	else
		emit_counted(&l);
}
