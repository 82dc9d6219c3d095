/* Records of objects: brought together, negated. */
#include "constrain/schema_internal.h"

static uint64_t hash_key(struct str key)
{
	uint64_t h = 0xcbf29ce484222325ull;
	for (size_t i = 0; i < key.len; i++)
		h = (h ^ (unsigned char)key.ptr[i]) * 0x100000001b3ull;
	return h ^ h >> 31;
}

/* Props by key. Few are looked at one by one. */
struct finder {
	const struct prop *props;
	uint32_t n, *slots, mask;
};

struct prop *schema_prop_find(struct schema *s, struct prop *props, uint32_t n, struct str key)
{
	schema_work(s, n / 8);
	for (uint32_t i = 0; i < n; i++)
		if (str_eq(props[i].key, key))
			return &props[i];
	return NULL;
}

static struct finder finder_of(struct schema *s, const struct prop *props, uint32_t n)
{
	struct finder f = {.props = props, .n = n};
	if (n <= 8)
		return f;
	for (f.mask = 15; f.mask < n * 2; f.mask = f.mask * 2 + 1)
		;
	f.slots = schema_alloc(s, (size_t)f.mask + 1, sizeof *f.slots);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = (uint32_t)hash_key(props[i].key) & f.mask;
		while (f.slots[at])
			at = (at + 1) & f.mask;
		f.slots[at] = i + 1;
	}
	return f;
}

static const struct prop *find(const struct finder *f, struct str key)
{
	if (!f->slots) {
		for (uint32_t i = 0; i < f->n; i++)
			if (str_eq(f->props[i].key, key))
				return &f->props[i];
		return NULL;
	}
	for (uint32_t at = (uint32_t)hash_key(key) & f->mask; f->slots[at]; at = (at + 1) & f->mask)
		if (str_eq(f->props[f->slots[at] - 1].key, key))
			return &f->props[f->slots[at] - 1];
	return NULL;
}

static term_id region_term(struct schema *s, const struct obj *o, struct str key)
{
	for (uint32_t i = 0; i < o->n_regions; i++)
		if (schema_key_in(s, o->regions[i].keys, key))
			return o->regions[i].term;
	return TERM_NONE;
}

term_id schema_obj_term(struct schema *s, const struct obj *o, struct str key)
{
	for (uint32_t i = 0; i < o->n_props; i++)
		if (str_eq(o->props[i].key, key))
			return o->props[i].term;
	return region_term(s, o, key);
}

bool schema_obj_free(struct schema *s, const struct obj *o)
{
	return !o->n_props && o->n_regions == 1 && o->regions[0].keys == s->any_text &&
	       o->regions[0].term == TERM_ANY && !o->n_somes && !o->min && o->max == SCHEMA_UNBOUNDED;
}

static bool same_keys(const struct keys *a, uint32_t n_a, const struct keys *b, uint32_t n_b)
{
	if (n_a != n_b)
		return false;
	for (uint32_t i = 0; i < n_a; i++)
		if (a[i].keys != b[i].keys || a[i].term != b[i].term)
			return false;
	return true;
}

static bool term_within(struct schema *s, term_id a, term_id b)
{
	if (a == b || b == TERM_ANY || a == TERM_NONE)
		return true;
	if (b == TERM_NONE)
		return false;
	const struct term *x = &s->terms[a], *y = &s->terms[b];
	for (uint32_t i = 0; i < y->n; i++) {
		uint32_t k = 0;
		while (k < x->n && x->lits[k] != y->lits[i])
			k++;
		if (k == x->n)
			return false;
	}
	return true;
}

/* Declared ones are the same, in the same order, so that each text of a is one of b as well. */
static bool props_within(struct schema *s, const struct obj *a, const struct obj *b)
{
	uint32_t at = 0;
	for (uint32_t i = 0; i < b->n_props; i++) {
		const struct prop *y = &b->props[i], *x = NULL;
		for (uint32_t k = y->late ? 0 : at; k < a->n_props && !x; k++)
			if (str_eq(a->props[k].key, y->key)) {
				x = &a->props[k];
				at = y->late ? at : k + 1;
			} else if (!y->late && !a->props[k].late) {
				return false;
			}
		if (!x ? y->required || y->term != TERM_ANY
		       : x->late != y->late || (y->required && !x->required) ||
				    !term_within(s, x->term, y->term))
			return false;
	}
	for (uint32_t i = 0; i < a->n_props; i++) {
		bool known = !a->props[i].late && i < at;
		for (uint32_t k = 0; k < b->n_props && !known; k++)
			known = str_eq(a->props[i].key, b->props[k].key);
		if (!known && (!a->props[i].late ||
			       !term_within(s, a->props[i].term, region_term(s, b, a->props[i].key))))
			return false;
	}
	return true;
}

bool schema_obj_within(struct schema *s, const struct obj *a, const struct obj *b)
{
	if (a->min < b->min || a->max > b->max || a->seen != b->seen ||
	    !same_keys(a->regions, a->n_regions, b->regions, b->n_regions))
		return false;
	for (uint32_t i = 0; i < b->n_somes; i++) {
		uint32_t k = 0;
		while (k < a->n_somes && !same_keys(&a->somes[k], 1, &b->somes[i], 1))
			k++;
		if (k == a->n_somes)
			return false;
	}
	schema_work(s, 1 + (a->n_props + b->n_props) / 8);
	return props_within(s, a, b);
}

static uint64_t mark(uint64_t a, uint64_t b)
{
	uint64_t h = (a ^ b * 0x9e3779b97f4a7c15ull) * 0xff51afd7ed558ccdull;
	return 1ull << (h >> 58);
}

static uint64_t marks_of(const struct schema *s, const struct obj *o)
{
	uint64_t marks = 0;
	for (uint32_t i = 0; i < o->n_props; i++) {
		uint64_t key = hash_key(o->props[i].key);
		if (o->props[i].required)
			marks |= mark(key, 1);
		const struct term *t = &s->terms[o->props[i].term];
		for (uint32_t k = 0; k < t->n; k++)
			marks |= mark(key, 2 + (uint64_t)t->lits[k]);
	}
	for (uint32_t i = 0; i < o->n_somes; i++)
		marks |= mark(o->somes[i].keys, o->somes[i].term);
	return marks;
}

/* Records of a list that a new one is compared with. */
enum { MAX_COMPARED = 1024 };

/* Records that ask for more than another one of the list are left out. */
static bool is_new(struct schema *s, struct obj_list *l, const struct obj *o, uint64_t marks)
{
	uint32_t n = l->n < MAX_COMPARED ? l->n : MAX_COMPARED, kept = 0;
	schema_work(s, 1 + n / 16);
	for (uint32_t i = 0; i < n; i++)
		if (!(l->marks[i] & ~marks) && (l->at[i] == o || schema_obj_within(s, o, l->at[i])))
			return false;
	for (uint32_t i = 0; i < n; i++) {
		if (!(marks & ~l->marks[i]) && schema_obj_within(s, l->at[i], o))
			continue;
		l->marks[kept] = l->marks[i];
		l->at[kept++] = l->at[i];
	}
	if (kept == n)
		return true;
	memmove(l->marks + kept, l->marks + n, (l->n - n) * sizeof *l->marks);
	memmove(l->at + kept, l->at + n, (l->n - n) * sizeof(void *));
	l->n -= n - kept;
	return true;
}

void schema_objs_add(struct schema *s, struct obj_list *l, const struct obj *o)
{
	if (!o)
		return;
	if (!s->wants_seen) {
		if (l->n && schema_obj_free(s, l->at[0]))
			return;
		if (schema_obj_free(s, o))
			l->n = 0;
	}
	uint64_t marks = marks_of(s, o);
	if (!is_new(s, l, o, marks))
		return;
	if (!(l->n & (l->n - 1))) { /* full at each power of two */
		size_t cap = l->n ? (size_t)l->n * 2 : 1;
		const struct obj **at = schema_alloc(s, cap, sizeof(void *));
		uint64_t *all = schema_alloc(s, cap, sizeof *all);
		if (l->n) {
			memcpy(at, l->at, l->n * sizeof(void *));
			memcpy(all, l->marks, l->n * sizeof *all);
		}
		l->at = at;
		l->marks = all;
	}
	l->marks[l->n] = marks;
	l->at[l->n++] = o;
}

/* Two records that become one. */
struct joining {
	struct schema *s;
	const struct obj *a, *b;
	struct finder in_a, in_b;
	struct prop *props;
	uint32_t n;
	bool dead;
};

static void add_prop(struct joining *j, const struct prop *x, const struct prop *y)
{
	const struct prop *any = x ? x : y;
	term_id tx = x ? x->term : region_term(j->s, j->a, any->key);
	term_id ty = y ? y->term : region_term(j->s, j->b, any->key);
	struct prop *p = &j->props[j->n++];
	*p = (struct prop){.key = any->key,
			   .required = (x && x->required) || (y && y->required),
			   .late = (!x || x->late) && (!y || y->late),
			   .term = schema_term_and(j->s, tx, ty)};
	if (p->term != tx && p->term != ty && schema_dead(j->s, p->term))
		p->term = TERM_NONE;
	if (p->term == TERM_NONE && p->required)
		j->dead = true;
}

static void join_props(struct joining *j)
{
	const struct obj *a = j->a, *b = j->b;
	for (int late = 0; late < 2 && !j->dead; late++) {
		for (uint32_t i = 0; i < a->n_props && !j->dead; i++) {
			const struct prop *y = find(&j->in_b, a->props[i].key);
			if (a->props[i].late == late && !(late && y && !y->late))
				add_prop(j, &a->props[i], y);
		}
		for (uint32_t i = 0; i < b->n_props && !j->dead; i++) {
			const struct prop *x = find(&j->in_a, b->props[i].key);
			if (b->props[i].late == late && !(x && (!x->late || late)))
				add_prop(j, x, &b->props[i]);
		}
	}
}

static rx both_keys(struct schema *s, rx a, rx b)
{
	if (a == s->any_text || a == b)
		return b;
	if (b == s->any_text)
		return a;
	rx both = rx_and(s->p, a, b);
	schema_work(s, 64);
	return rx_alive(s->p, both) ? both : RX_NONE;
}

static void join_regions(struct schema *s, const struct obj *a, const struct obj *b, struct obj *o)
{
	struct keys *all = schema_alloc(s, (size_t)a->n_regions * b->n_regions, sizeof *all);
	for (uint32_t i = 0; i < a->n_regions; i++)
		for (uint32_t k = 0; k < b->n_regions; k++) {
			term_id t = schema_term_and(s, a->regions[i].term, b->regions[k].term);
			rx keys = t == TERM_NONE ? RX_NONE
						 : both_keys(s, a->regions[i].keys, b->regions[k].keys);
			if (keys != RX_NONE)
				all[o->n_regions++] = (struct keys){keys, t};
		}
	o->regions = all;
}

static void join_somes(struct schema *s, const struct obj *a, const struct obj *b, struct obj *o)
{
	struct keys *all = schema_alloc(s, (size_t)a->n_somes + b->n_somes, sizeof *all);
	if (a->n_somes)
		memcpy(all, a->somes, a->n_somes * sizeof *all);
	o->n_somes = a->n_somes;
	for (uint32_t i = 0; i < b->n_somes; i++) {
		bool known = false;
		for (uint32_t k = 0; k < a->n_somes && !known; k++)
			known = all[k].keys == b->somes[i].keys && all[k].term == b->somes[i].term;
		if (!known)
			all[o->n_somes++] = b->somes[i];
	}
	o->somes = all;
}

static void join_orders(struct schema *s, const struct obj *a, const struct obj *b, struct obj *o)
{
	const struct obj *one = !a->n_orders ? b : !b->n_orders ? a : NULL;
	if (one) {
		o->orders = one->orders;
		o->n_orders = one->n_orders;
		return;
	}
	struct order *all = schema_alloc(s, (size_t)a->n_orders + b->n_orders, sizeof *all);
	memcpy(all, a->orders, a->n_orders * sizeof *all);
	o->n_orders = a->n_orders;
	schema_work(s, (uint64_t)a->n_orders * b->n_orders / 8);
	for (uint32_t i = 0; i < b->n_orders; i++) {
		uint32_t k = 0;
		while (k < a->n_orders && all[k].keys != b->orders[i].keys)
			k++;
		if (k == a->n_orders)
			all[o->n_orders++] = b->orders[i];
	}
	o->orders = all;
}

bool schema_obj_dead(const struct obj *o)
{
	uint32_t required = 0, possible = 0;
	for (uint32_t i = 0; i < o->n_props; i++) {
		if (o->props[i].required && o->props[i].term == TERM_NONE)
			return true;
		required += o->props[i].required;
		possible += o->props[i].term != TERM_NONE;
	}
	return o->min > o->max || required > o->max || (!o->n_regions && possible < o->min);
}

/* A property that must be there can be none of a kind: no key, or no value. */
static bool some_dead(struct schema *s, const struct obj *o, const struct keys *some)
{
	for (uint32_t i = 0; i < o->n_props; i++)
		if (o->props[i].term != TERM_NONE && schema_key_in(s, some->keys, o->props[i].key) &&
		    schema_term_and(s, o->props[i].term, some->term) != TERM_NONE)
			return false;
	for (uint32_t i = 0; i < o->n_regions; i++)
		if (schema_term_and(s, o->regions[i].term, some->term) != TERM_NONE &&
		    both_keys(s, o->regions[i].keys, some->keys) != RX_NONE)
			return false;
	return true;
}

const struct obj *schema_obj_and(struct schema *s, const struct obj *a, const struct obj *b)
{
	if (!s->wants_seen && schema_obj_free(s, a))
		return b;
	if ((!s->wants_seen && schema_obj_free(s, b)) || a == b)
		return a;
	schema_work(s, 8 + a->n_props + b->n_props);
	struct joining j = {.s = s, .a = a, .b = b};
	j.in_a = finder_of(s, a->props, a->n_props);
	j.in_b = finder_of(s, b->props, b->n_props);
	j.props = schema_alloc(s, (size_t)a->n_props + b->n_props, sizeof *j.props);
	join_props(&j);
	if (j.dead)
		return NULL;
	struct obj *o = schema_alloc(s, 1, sizeof *o);
	*o = (struct obj){.props = j.props,
			  .n_props = j.n,
			  .min = a->min > b->min ? a->min : b->min,
			  .max = a->max < b->max ? a->max : b->max,
			  .seen = s->wants_seen ? rx_or(s->p, a->seen, b->seen) : RX_NONE};
	join_regions(s, a, b, o);
	join_somes(s, a, b, o);
	join_orders(s, a, b, o);
	for (uint32_t i = 0; i < o->n_somes; i++)
		if (some_dead(s, o, &o->somes[i]))
			return NULL;
	return schema_obj_dead(o) ? NULL : o;
}

static struct obj *free_copy(struct schema *s)
{
	struct obj *o = schema_alloc(s, 1, sizeof *o);
	*o = (struct obj){.regions = s->any->objs.at[0]->regions,
			  .n_regions = 1,
			  .max = SCHEMA_UNBOUNDED,
			  .seen = RX_NONE};
	return o;
}

static const struct obj *one_prop(struct schema *s, struct prop prop)
{
	struct obj *o = free_copy(s);
	struct prop *p = schema_alloc(s, 1, sizeof *p);
	*p = prop;
	o->props = p;
	o->n_props = 1;
	return o;
}

const struct obj *schema_obj_requires(struct schema *s, struct str key, term_id term)
{
	return one_prop(s, (struct prop){.key = key, .required = true, .late = true, .term = term});
}

const struct obj *schema_obj_forbids(struct schema *s, struct str key)
{
	return one_prop(s, (struct prop){.key = key, .late = true, .term = TERM_NONE});
}

/* A property that must be there and fit fails by being none or another: one record says both. */
static void not_prop(struct schema *s, const struct prop *p, struct obj_list *out)
{
	const struct term *t = &s->terms[p->term];
	if (p->term == TERM_NONE)
		schema_objs_add(s, out, schema_obj_requires(s, p->key, TERM_ANY));
	else if (p->required && p->term == TERM_ANY)
		schema_objs_add(s, out, schema_obj_forbids(s, p->key));
	for (uint32_t i = 0; p->term > TERM_NONE && i < t->n; i++) {
		uint32_t other = schema_lit_not(s, s->terms[p->term].lits[i]);
		struct prop fails = {.key = p->key,
				     .required = !p->required,
				     .late = true,
				     .term = schema_term_of_lit(s, other)};
		schema_objs_add(s, out, one_prop(s, fails));
		t = &s->terms[p->term]; /* they move */
	}
}

static const struct obj *some_of(struct schema *s, rx keys, term_id term)
{
	struct obj *o = free_copy(s);
	struct keys *k = schema_alloc(s, 1, sizeof *k);
	*k = (struct keys){keys, term};
	o->somes = k;
	o->n_somes = 1;
	return o;
}

/* Keys that the record's props do not name. */
rx schema_keys_beside(struct schema *s, const struct obj *o, rx keys)
{
	struct str *names = schema_alloc(s, o->n_props, sizeof *names);
	for (uint32_t i = 0; i < o->n_props; i++)
		names[i] = o->props[i].key;
	if (!o->n_props)
		return keys;
	return rx_and(s->p, keys, rx_not(s->p, schema_names_rx(s, names, o->n_props)));
}

static void not_regions(struct schema *s, const struct obj *a, struct obj_list *out)
{
	rx named = RX_NONE;
	for (uint32_t i = 0; i < a->n_regions; i++) {
		struct keys r = a->regions[i];
		named = rx_or(s->p, named, r.keys);
		if (r.term == TERM_ANY)
			continue;
		rx keys = schema_keys_beside(s, a, r.keys);
		for (uint32_t k = 0; k < s->terms[r.term].n && rx_alive(s->p, keys); k++) {
			uint32_t other = schema_lit_not(s, s->terms[r.term].lits[k]);
			schema_objs_add(s, out, some_of(s, keys, schema_term_of_lit(s, other)));
		}
	}
	if (named == s->any_text)
		return;
	rx rest = schema_keys_beside(s, a, rx_and(s->p, s->any_text, rx_not(s->p, named)));
	if (rx_alive(s->p, rest))
		schema_objs_add(s, out, some_of(s, rest, TERM_ANY));
}

/* "Some property fits" is violated where all keys of its kind have other values: one record for each literal
 * is not enough, as each key may fail another. */
static const struct obj *not_some(struct schema *s, const struct keys *some)
{
	if (some->term != TERM_ANY && s->terms[some->term].n > 1)
		schema_refuse(
			s, schema_here(s), NULL,
			"a negation of a negation of patternProperties or additionalProperties that come from "
			"several schemas cannot be enforced; one schema for them would do");
	struct obj *o = free_copy(s);
	struct keys *k = schema_alloc(s, 2, sizeof *k);
	rx rest = rx_and(s->p, s->any_text, rx_not(s->p, some->keys));
	o->n_regions = 0;
	if (rx_alive(s->p, rest))
		k[o->n_regions++] = (struct keys){rest, TERM_ANY};
	if (some->term != TERM_ANY) {
		uint32_t other = schema_lit_not(s, s->terms[some->term].lits[0]);
		k[o->n_regions++] = (struct keys){some->keys, schema_term_of_lit(s, other)};
	}
	o->regions = k;
	return o;
}

void schema_obj_not(struct schema *s, const struct obj *a, struct obj_list *out)
{
	for (uint32_t i = 0; i < a->n_props; i++)
		not_prop(s, &a->props[i], out);
	not_regions(s, a, out);
	for (uint32_t i = 0; i < a->n_somes; i++)
		schema_objs_add(s, out, not_some(s, &a->somes[i]));
	if (a->min) {
		struct obj *fewer = free_copy(s);
		fewer->max = a->min - 1;
		schema_objs_add(s, out, fewer);
	}
	if (a->max < SCHEMA_UNBOUNDED - 1) {
		struct obj *more = free_copy(s);
		more->min = a->max + 1;
		schema_objs_add(s, out, more);
	}
}
