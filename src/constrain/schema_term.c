/* Literals and terms: numbers by content, so that what was unfolded once is known again. */
#include "constrain/schema_internal.h"

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

/* Doubles the table when it is half full; hash_of gives a number's hash again. */
static void reserve(struct schema *s, struct index *t, uint64_t (*hash_of)(struct schema *, uint32_t))
{
	if (t->slots && t->n < (t->mask + 1) / 2)
		return;
	uint32_t size = t->slots ? (t->mask + 1) * 2 : 64;
	uint32_t *slots = schema_alloc(s, size, sizeof *slots);
	for (uint32_t i = 0; i < t->n; i++) {
		uint32_t at = (uint32_t)hash_of(s, i) & (size - 1);
		while (slots[at])
			at = (at + 1) & (size - 1);
		slots[at] = i + 1;
	}
	t->slots = slots;
	t->mask = size - 1;
}

static uint64_t hash_lit(struct schema *s, uint32_t i)
{
	const struct lit *l = &s->lits[i];
	return mix(mix(7, (uintptr_t)l->at), (uint64_t)l->kind * 2 + l->negated);
}

static uint64_t hash_term(struct schema *s, uint32_t i)
{
	uint64_t h = 11;
	for (uint32_t j = 0; j < s->terms[i].n; j++)
		h = mix(h, s->terms[i].lits[j]);
	return h;
}

/* Schemas that say the same in the same words are one, as far as they are small. */
enum { MAX_SAME = 64 };

static uint64_t hash_text(uint64_t h, struct str t)
{
	for (size_t i = 0; i < t.len; i++)
		h = mix(h, (unsigned char)t.ptr[i]);
	return h;
}

/* *left: values that may still be looked at; 0 at the end: too large. */
static uint64_t hash_content(const struct jv *v, uint64_t h, uint32_t *left)
{
	if (!*left || !--*left)
		return 0;
	h = mix(h, (uint64_t)v->type << 32 | v->n);
	if (v->type == JV_NUMBER || v->type == JV_STRING)
		return v->n > 256 ? (*left = 0) : hash_text(h, (struct str){v->text, v->n});
	for (uint32_t i = 0; v->type == JV_ARRAY && i < v->n && *left; i++)
		h = hash_content(&v->items[i], h, left);
	for (uint32_t i = 0; v->type == JV_OBJECT && i < v->n && *left; i++)
		h = hash_content(jv_value(v, i), hash_text(h, jv_key(v, i)), left);
	return h;
}

static bool same_content(const struct jv *a, const struct jv *b)
{
	if (a->type != b->type || a->n != b->n)
		return false;
	if (a->type == JV_NUMBER || a->type == JV_STRING)
		return memcmp(a->text, b->text, a->n) == 0;
	for (uint32_t i = 0; a->type == JV_ARRAY && i < a->n; i++)
		if (!same_content(&a->items[i], &b->items[i]))
			return false;
	for (uint32_t i = 0; a->type == JV_OBJECT && i < a->n; i++)
		if (!str_eq(jv_key(a, i), jv_key(b, i)) || !same_content(jv_value(a, i), jv_value(b, i)))
			return false;
	return true;
}

static uint64_t hash_first(struct schema *s, uint32_t i)
{
	return s->firsts[i].hash;
}

/* The first that was met of those with this content. */
static const struct jv *first_of(struct schema *s, const struct jv *at)
{
	uint32_t left = MAX_SAME;
	uint64_t h = hash_content(at, 3, &left);
	if (!left || s->n_resources > 1) /* what a reference means hangs on where it stands */
		return at;
	reserve(s, &s->first_index, hash_first);
	uint32_t slot = (uint32_t)h & s->first_index.mask;
	for (; s->first_index.slots[slot]; slot = (slot + 1) & s->first_index.mask) {
		const struct first *f = &s->firsts[s->first_index.slots[slot] - 1];
		if (f->at == at || (f->hash == h && same_content(f->at, at)))
			return f->at;
	}
	s->firsts = schema_grow(s, s->firsts, s->n_firsts, &s->cap_firsts, sizeof *s->firsts);
	s->firsts[s->n_firsts] = (struct first){at, h};
	s->first_index.slots[slot] = ++s->n_firsts;
	s->first_index.n++;
	return at;
}

static uint32_t lit_of(struct schema *s, const struct jv *at, enum lit_kind kind, bool negated)
{
	at = first_of(s, at);
	reserve(s, &s->lit_index, hash_lit);
	s->lits = schema_grow(s, s->lits, s->n_lits, &s->cap_lits, sizeof *s->lits);
	s->lits[s->n_lits] = (struct lit){.at = at, .kind = kind, .negated = negated};
	uint32_t slot = (uint32_t)hash_lit(s, s->n_lits) & s->lit_index.mask;
	for (; s->lit_index.slots[slot]; slot = (slot + 1) & s->lit_index.mask) {
		const struct lit *l = &s->lits[s->lit_index.slots[slot] - 1];
		if (l->at == at && l->kind == kind && l->negated == negated)
			return s->lit_index.slots[slot] - 1;
	}
	s->lit_index.slots[slot] = s->n_lits + 1;
	s->lit_index.n++;
	return s->n_lits++;
}

/* lits are the caller's: copied if the term is new. */
static term_id term_of(struct schema *s, const uint32_t *lits, uint32_t n)
{
	reserve(s, &s->term_index, hash_term);
	s->terms = schema_grow(s, s->terms, s->n_terms, &s->cap_terms, sizeof *s->terms);
	s->terms[s->n_terms] = (struct term){.lits = lits, .n = n};
	uint32_t slot = (uint32_t)hash_term(s, s->n_terms) & s->term_index.mask;
	for (; s->term_index.slots[slot]; slot = (slot + 1) & s->term_index.mask) {
		const struct term *t = &s->terms[s->term_index.slots[slot] - 1];
		if (t->n == n && (n == 0 || memcmp(t->lits, lits, n * sizeof *lits) == 0))
			return s->term_index.slots[slot] - 1;
	}
	uint32_t *own = schema_alloc(s, n, sizeof *own);
	if (n)
		memcpy(own, lits, n * sizeof *own);
	s->terms[s->n_terms].lits = own;
	s->term_index.slots[slot] = s->n_terms + 1;
	s->term_index.n++;
	return s->n_terms++;
}

static const struct jv FALSE_SCHEMA = {.type = JV_BOOL, .n = 0};

void schema_terms_init(struct schema *s)
{
	uint32_t none = lit_of(s, &FALSE_SCHEMA, LIT_SCHEMA, false); /* the literal 0 */
	term_of(s, NULL, 0);
	term_of(s, &none, 1);
}

term_id schema_term_of_lit(struct schema *s, uint32_t lit)
{
	return term_of(s, &lit, 1);
}

uint32_t schema_lit_not(struct schema *s, uint32_t lit)
{
	return lit_of(s, s->lits[lit].at, s->lits[lit].kind, !s->lits[lit].negated);
}

term_id schema_term_not(struct schema *s, term_id t)
{
	if (t <= TERM_NONE)
		return t == TERM_ANY ? TERM_NONE : TERM_ANY;
	if (s->terms[t].n > 1)
		schema_refuse(
			s, s->lits[s->terms[t].lits[0]].at, NULL,
			"together with another schema it would have to be negated; one schema for both would do");
	return schema_term_of_lit(s, schema_lit_not(s, s->terms[t].lits[0]));
}

term_id schema_term(struct schema *s, const struct jv *at, enum lit_kind kind, bool negated)
{
	/* What only points elsewhere is what it points at; circles are told where they are unfolded. */
	for (int i = 0; kind == LIT_SCHEMA && i < SCHEMA_MAX_NESTED && schema_only_refers(at); i++)
		at = schema_resolve(s, at, "$ref");
	if (kind == LIT_SCHEMA && at->type == JV_BOOL)
		return (at->n != 0) != negated ? TERM_ANY : TERM_NONE;
	if (kind == LIT_SCHEMA && schema_says_nothing(at))
		return negated ? TERM_NONE : TERM_ANY;
	return schema_term_of_lit(s, lit_of(s, at, kind, negated));
}

term_id schema_term_and(struct schema *s, term_id a, term_id b)
{
	if (a == TERM_NONE || b == TERM_NONE)
		return TERM_NONE;
	if (a == TERM_ANY || a == b)
		return b;
	if (b == TERM_ANY)
		return a;
	struct term x = s->terms[a], y = s->terms[b];
	schema_work(s, (uint64_t)x.n * y.n + 1);
	uint32_t *lits = schema_alloc(s, (size_t)x.n + y.n, sizeof *lits), n = x.n;
	memcpy(lits, x.lits, n * sizeof *lits);
	for (uint32_t i = 0; i < y.n; i++) {
		uint32_t j = 0, other = schema_lit_not(s, y.lits[i]);
		for (; j < x.n && x.lits[j] != y.lits[i]; j++)
			if (x.lits[j] == other)
				return TERM_NONE;
		if (j == x.n)
			lits[n++] = y.lits[i];
	}
	return term_of(s, lits, n);
}

static void unfold_lit(struct schema *s, uint32_t lit)
{
	struct lit l = s->lits[lit];
	s->lits[lit].busy = true;
	s->lits[lit].level = s->level;
	s->busy = schema_grow(s, s->busy, s->n_busy, &s->cap_busy, sizeof *s->busy);
	s->busy[s->n_busy++] = lit;
	s->nested += !l.negated;
	const struct set *set;
	if (l.negated)
		set = schema_not(s, schema_lit_set(s, schema_lit_not(s, lit)));
	else
		set = l.kind == LIT_VALUE ? schema_read_value(s, l.at) : schema_read(s, l.at);
	s->nested -= !l.negated;
	s->n_busy--;
	s->lits[lit].busy = false;
	s->lits[lit].set = set;
}

const struct set *schema_lit_set(struct schema *s, uint32_t lit)
{
	struct lit l = s->lits[lit];
	if (l.set)
		return l.set;
	/* What a judgement looks at lies deeper in the value: no circle, but not to be known yet. */
	if (l.busy && l.level < s->level)
		longjmp(s->judge->jump, 1);
	if (l.busy)
		schema_refuse(
			s, l.at, NULL,
			"refers to itself without anything in between, so it says nothing; a property or an item "
			"between the two would give it a content");
	if (s->nested >= SCHEMA_MAX_NESTED)
		schema_refuse(s, l.at, NULL, "more than %d schemas inside each other hold for one value",
			      SCHEMA_MAX_NESTED);
	unfold_lit(s, lit);
	return s->lits[lit].set;
}

const struct set *schema_set(struct schema *s, term_id t)
{
	if (s->terms[t].set)
		return s->terms[t].set;
	/* First what holds, then without what must not: a complement by itself has many more alternatives. */
	const struct set *set = s->any;
	for (int without = 0; without < 2; without++) {
		for (uint32_t i = 0; i < s->terms[t].n; i++) {
			uint32_t lit = s->terms[t].lits[i];
			if (s->lits[lit].negated != without)
				continue;
			if (without && set != s->any && !s->lits[lit].set)
				set = schema_without(s, set, schema_lit_set(s, schema_lit_not(s, lit)));
			else
				set = schema_and(s, set, schema_lit_set(s, lit));
		}
	}
	s->terms[t].set = set;
	return set;
}

static bool obj_dead(struct schema *s, const struct obj *o)
{
	for (uint32_t i = 0; i < o->n_props; i++)
		if (o->props[i].required && schema_dead(s, o->props[i].term))
			return true;
	return false;
}

static bool arr_dead(struct schema *s, const struct arr *a)
{
	for (uint32_t i = 0; i < a->n_prefix && i < a->min; i++)
		if (schema_dead(s, a->prefix[i]))
			return true;
	return a->min > a->n_prefix && schema_dead(s, a->rest);
}

static bool set_dead(struct schema *s, const struct set *set)
{
	if (set->null || set->bools || !schema_strings_none(&set->strings) || set->nums.n)
		return false;
	for (uint32_t i = 0; i < set->arrs.n; i++)
		if (!arr_dead(s, set->arrs.at[i]))
			return false;
	for (uint32_t i = 0; i < set->objs.n; i++)
		if (!obj_dead(s, set->objs.at[i]))
			return false;
	return true;
}

/* What is asked of a term that lies deeper in the value than what is being unfolded. False: it cannot be
 * known yet, because it is made of that. */
static bool judge(struct schema *s, term_id t, const struct set **set, bool *dead)
{
	struct judge j = {.n_busy = s->n_busy, .nested = s->nested, .fuel = s->fuel, .outer = s->judge};
	bool known = true;
	s->judge = &j;
	s->level++;
	s->fuel--;
	if (setjmp(j.jump) == 0) {
		*set = schema_set(s, t);
		if (dead)
			*dead = set_dead(s, *set);
	} else {
		known = false;
		while (s->n_busy > j.n_busy)
			s->lits[s->busy[--s->n_busy]].busy = false;
		s->nested = j.nested;
	}
	s->fuel = j.fuel;
	s->level--;
	s->judge = j.outer;
	return known;
}

const struct set *schema_peek(struct schema *s, term_id t)
{
	const struct set *set = NULL;
	return s->terms[t].set ? s->terms[t].set : !s->fuel ? NULL : judge(s, t, &set, NULL) ? set : NULL;
}

bool schema_dead(struct schema *s, term_id t)
{
	if (t <= TERM_NONE)
		return t == TERM_NONE;
	if (s->terms[t].judged)
		return s->terms[t].dead;
	/* A term that is looked at already, or lies too deep, is believed to be alive: what is really empty
	 * then is cut from the grammar. */
	if (!s->fuel || s->terms[t].busy)
		return false;
	s->terms[t].busy = true;
	const struct set *set;
	bool dead = false, known = judge(s, t, &set, &dead);
	s->terms[t].busy = false;
	if (dead || (known && s->fuel >= 3)) {
		s->terms[t].judged = true;
		s->terms[t].dead = dead;
	}
	return dead;
}
