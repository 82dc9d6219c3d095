/* Records of arrays: brought together, negated. */
#include "constrain/schema_internal.h"

bool schema_arr_free(const struct arr *a)
{
	return !a->n_prefix && a->rest == TERM_ANY && !a->min && a->max == SCHEMA_UNBOUNDED &&
	       !a->n_contains && !a->unique;
}

bool schema_arr_same(const struct arr *a, const struct arr *b)
{
	if (a->n_prefix != b->n_prefix || a->rest != b->rest || a->min != b->min || a->max != b->max ||
	    a->n_contains != b->n_contains || a->unique != b->unique || a->seen != b->seen ||
	    a->seen_some != b->seen_some)
		return false;
	for (uint32_t i = 0; i < a->n_prefix; i++)
		if (a->prefix[i] != b->prefix[i])
			return false;
	for (uint32_t i = 0; i < a->n_contains; i++) {
		const struct contains *x = &a->contains[i], *y = &b->contains[i];
		if (x->term != y->term || x->from != y->from || x->min != y->min || x->max != y->max)
			return false;
	}
	return true;
}

void schema_arrs_add(struct schema *s, struct arr_list *l, const struct arr *a)
{
	if (!a)
		return;
	if (!s->wants_seen) {
		if (l->n && schema_arr_free(l->at[0]))
			return;
		if (schema_arr_free(a))
			l->n = 0;
	}
	for (uint32_t i = l->n > 64 ? l->n - 64 : 0; i < l->n; i++)
		if (l->at[i] == a || schema_arr_same(l->at[i], a))
			return;
	if (!(l->n & (l->n - 1))) { /* full at each power of two */
		const struct arr **at = schema_alloc(s, l->n ? (size_t)l->n * 2 : 1, sizeof(void *));
		if (l->n)
			memcpy(at, l->at, l->n * sizeof(void *));
		l->at = at;
	}
	l->at[l->n++] = a;
}

static term_id item(const struct arr *a, uint32_t i)
{
	return i < a->n_prefix ? a->prefix[i] : a->rest;
}

/* What a `contains` asks, together with what the items are. */
static bool contains_dead(struct schema *s, const struct arr *a, const struct contains *c)
{
	if (c->min > c->max)
		return true;
	if (!c->min)
		return false;
	if (a->max < SCHEMA_UNBOUNDED && (uint64_t)c->from + c->min > a->max)
		return true;
	for (uint32_t i = c->from; i <= a->n_prefix && i < a->max; i++) {
		term_id t = schema_term_and(s, item(a, i), c->term);
		if (t != TERM_NONE && !schema_dead(s, t))
			return false;
	}
	if (c->from > a->n_prefix) {
		term_id t = schema_term_and(s, a->rest, c->term);
		return t == TERM_NONE || schema_dead(s, t);
	}
	return true;
}

/* The first item that cannot be is where the array ends. False: it cannot end there. */
bool schema_arr_settled(struct schema *s, struct arr *a)
{
	uint32_t end = a->n_prefix;
	for (uint32_t i = 0; i < a->n_prefix && i < end; i++)
		if (a->prefix[i] == TERM_NONE)
			end = i;
	if (a->rest == TERM_NONE || end < a->n_prefix) {
		if (end < a->max)
			a->max = end;
	}
	if (a->n_prefix > a->max)
		a->n_prefix = a->max;
	if (a->min > a->max)
		return false;
	for (uint32_t i = 0; i < a->n_contains; i++)
		if (contains_dead(s, a, &a->contains[i]))
			return false;
	return true;
}

static term_id item_and(struct schema *s, term_id a, term_id b)
{
	term_id t = schema_term_and(s, a, b);
	return t != a && t != b && schema_dead(s, t) ? TERM_NONE : t;
}

const struct arr *schema_arr_and(struct schema *s, const struct arr *a, const struct arr *b)
{
	if (!s->wants_seen && schema_arr_free(a))
		return b;
	if ((!s->wants_seen && schema_arr_free(b)) || a == b)
		return a;
	struct arr *o = schema_alloc(s, 1, sizeof *o);
	*o = (struct arr){.n_prefix = a->n_prefix > b->n_prefix ? a->n_prefix : b->n_prefix,
			  .min = a->min > b->min ? a->min : b->min,
			  .max = a->max < b->max ? a->max : b->max,
			  .unique = a->unique || b->unique,
			  .unique_at = a->unique ? a->unique_at : b->unique_at,
			  .seen = a->seen > b->seen ? a->seen : b->seen,
			  .seen_some = a->seen_some || b->seen_some};
	schema_work(s, 4 + (uint64_t)o->n_prefix);
	term_id *prefix = schema_alloc(s, o->n_prefix, sizeof *prefix);
	for (uint32_t i = 0; i < o->n_prefix; i++)
		prefix[i] = item_and(s, item(a, i), item(b, i));
	o->prefix = prefix;
	o->rest = item_and(s, a->rest, b->rest);
	struct contains *all = schema_alloc(s, (size_t)a->n_contains + b->n_contains, sizeof *all);
	if (a->n_contains)
		memcpy(all, a->contains, a->n_contains * sizeof *all);
	o->n_contains = a->n_contains;
	for (uint32_t i = 0; i < b->n_contains; i++) {
		uint32_t k = 0;
		while (k < o->n_contains &&
		       (all[k].term != b->contains[i].term || all[k].from != b->contains[i].from))
			k++;
		if (k == o->n_contains) {
			all[o->n_contains++] = b->contains[i];
			continue;
		}
		all[k].min = all[k].min > b->contains[i].min ? all[k].min : b->contains[i].min;
		all[k].max = all[k].max < b->contains[i].max ? all[k].max : b->contains[i].max;
	}
	o->contains = all;
	return schema_arr_settled(s, o) ? o : NULL;
}

static struct arr *free_copy(struct schema *s)
{
	struct arr *a = schema_alloc(s, 1, sizeof *a);
	*a = *s->any->arrs.at[0];
	return a;
}

static void counted(struct schema *s, uint32_t min, uint32_t max, struct arr_list *out)
{
	struct arr *a = free_copy(s);
	a->min = min;
	a->max = max;
	schema_arrs_add(s, out, a);
}

/* Item i is there and is not what the literal says. */
static void not_item(struct schema *s, uint32_t i, term_id t, struct arr_list *out)
{
	if (t == TERM_NONE) {
		counted(s, i + 1, SCHEMA_UNBOUNDED, out);
		return;
	}
	for (uint32_t k = 0; k < s->terms[t].n; k++) {
		struct arr *a = free_copy(s);
		term_id *prefix = schema_alloc(s, (size_t)i + 1, sizeof *prefix);
		for (uint32_t j = 0; j < i; j++)
			prefix[j] = TERM_ANY;
		prefix[i] = schema_term_of_lit(s, schema_lit_not(s, s->terms[t].lits[k]));
		schema_work(s, i + 1);
		a->prefix = prefix;
		a->n_prefix = a->min = i + 1;
		schema_arrs_add(s, out, a);
	}
}

static void contains_of(struct schema *s, struct contains c, struct arr_list *out)
{
	struct arr *a = free_copy(s);
	struct contains *copy = schema_alloc(s, 1, sizeof *copy);
	*copy = c;
	a->contains = copy;
	a->n_contains = 1;
	schema_arrs_add(s, out, a);
}

void schema_arr_not(struct schema *s, const struct arr *a, struct arr_list *out)
{
	if (a->unique && a->max > 1)
		schema_refuse(
			s, a->unique_at, "uniqueItems",
			"cannot be negated (by not, oneOf or if): that two items are the same is more than a grammar "
			"can say");
	for (uint32_t i = 0; i < a->n_prefix; i++)
		if (a->prefix[i] != TERM_ANY)
			not_item(s, i, a->prefix[i], out);
	if (a->rest == TERM_NONE) {
		if (a->max > a->n_prefix)
			counted(s, a->n_prefix + 1, SCHEMA_UNBOUNDED, out);
	} else {
		for (uint32_t k = 0; k < s->terms[a->rest].n; k++) {
			uint32_t other = schema_lit_not(s, s->terms[a->rest].lits[k]);
			contains_of(s,
				    (struct contains){schema_term_of_lit(s, other), a->n_prefix, 1,
						      SCHEMA_UNBOUNDED},
				    out);
		}
	}
	for (uint32_t i = 0; i < a->n_contains; i++) {
		struct contains c = a->contains[i];
		if (c.min)
			contains_of(s, (struct contains){c.term, c.from, 0, c.min - 1}, out);
		if (c.max < SCHEMA_UNBOUNDED)
			contains_of(s, (struct contains){c.term, c.from, c.max + 1, SCHEMA_UNBOUNDED}, out);
	}
	if (a->min)
		counted(s, 0, a->min - 1, out);
	if (a->max < SCHEMA_UNBOUNDED - 1)
		counted(s, a->max + 1, SCHEMA_UNBOUNDED, out);
}
