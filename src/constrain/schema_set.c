/* Sets: what one value may be, all types at once. Union, intersection, complement. */
#include "constrain/schema_internal.h"

static struct set *new_set(struct schema *s)
{
	return schema_alloc(s, 1, sizeof(struct set));
}

const struct set *schema_typed(struct schema *s, unsigned types)
{
	struct set *set = new_set(s);
	set->null = types & T_NULL;
	set->bools = types & T_BOOL ? 3 : 0;
	set->strings.rx = types & T_STRING ? s->any_text : RX_NONE;
	if (types & T_NUMBER)
		schema_nums_add(s, &set->nums, schema_alloc(s, 1, sizeof(struct num)));
	if (types & T_ARRAY) {
		struct arr *a = schema_alloc(s, 1, sizeof *a);
		a->max = SCHEMA_UNBOUNDED;
		schema_arrs_add(s, &set->arrs, a);
	}
	if (types & T_OBJECT) {
		struct obj *o = schema_alloc(s, 1, sizeof *o);
		struct keys *all = schema_alloc(s, 1, sizeof *all);
		*all = (struct keys){s->any_text, TERM_ANY};
		*o = (struct obj){.regions = all, .n_regions = 1, .max = SCHEMA_UNBOUNDED, .seen = RX_NONE};
		schema_objs_add(s, &set->objs, o);
	}
	return set;
}

bool schema_is_none(const struct set *a)
{
	return !a->null && !a->bools && schema_strings_none(&a->strings) && !a->nums.n && !a->arrs.n &&
	       !a->objs.n;
}

static void check_count(struct schema *s, uint32_t n)
{
	if (n > SCHEMA_MAX_ALTERNATIVES)
		schema_refuse(
			s, schema_here(s), NULL,
			"one value has more than %d alternatives that are numbers, arrays or objects; fewer anyOf, "
			"oneOf or not beside each other would do",
			SCHEMA_MAX_ALTERNATIVES);
}

const struct set *schema_and(struct schema *s, const struct set *a, const struct set *b)
{
	if (a == s->any || a == b)
		return b;
	if (b == s->any)
		return a;
	struct set *set = new_set(s);
	schema_work(s, 1);
	set->null = a->null && b->null;
	set->bools = a->bools & b->bools;
	set->strings = schema_strings_and(s, a->strings, b->strings);
	for (uint32_t i = 0; i < a->nums.n; i++)
		for (uint32_t j = 0; j < b->nums.n; j++)
			schema_nums_add(s, &set->nums, schema_num_and(s, a->nums.at[i], b->nums.at[j]));
	for (uint32_t i = 0; i < a->arrs.n; i++)
		for (uint32_t j = 0; j < b->arrs.n; j++)
			schema_arrs_add(s, &set->arrs, schema_arr_and(s, a->arrs.at[i], b->arrs.at[j]));
	for (uint32_t i = 0; i < a->objs.n; i++)
		for (uint32_t j = 0; j < b->objs.n; j++)
			schema_objs_add(s, &set->objs, schema_obj_and(s, a->objs.at[i], b->objs.at[j]));
	check_count(s, set->nums.n + set->arrs.n + set->objs.n);
	return set;
}

static struct strings all_strings(struct schema *s, const struct set *const *parts, uint32_t n)
{
	uint32_t n_words = 0, n_rx = 0;
	for (uint32_t i = 0; i < n; i++)
		n_words += parts[i]->strings.n_words;
	struct str *words = schema_alloc(s, n_words, sizeof *words);
	rx *rxs = schema_alloc(s, n, sizeof *rxs);
	n_words = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct strings *t = &parts[i]->strings;
		if (t->n_words)
			memcpy(words + n_words, t->words, t->n_words * sizeof *words);
		n_words += t->n_words;
		if (t->rx != RX_NONE)
			rxs[n_rx++] = t->rx;
	}
	struct strings out = schema_words(s, words, n_words);
	out.rx = n_rx == 0 ? RX_NONE : n_rx == 1 ? rxs[0] : rx_or_many(s->p, rxs, n_rx);
	return out;
}

const struct set *schema_or_many(struct schema *s, const struct set *const *parts, uint32_t n)
{
	if (n == 1)
		return parts[0];
	struct set *set = new_set(s);
	set->strings = all_strings(s, parts, n);
	for (uint32_t k = 0; k < n; k++) {
		const struct set *a = parts[k];
		schema_work(s, 1);
		set->null |= a->null;
		set->bools |= a->bools;
		for (uint32_t i = 0; i < a->nums.n; i++)
			schema_nums_add(s, &set->nums, a->nums.at[i]);
		for (uint32_t i = 0; i < a->arrs.n; i++)
			schema_arrs_add(s, &set->arrs, a->arrs.at[i]);
		for (uint32_t i = 0; i < a->objs.n; i++)
			schema_objs_add(s, &set->objs, a->objs.at[i]);
		check_count(s, set->nums.n + set->arrs.n + set->objs.n);
	}
	return set;
}

const struct set *schema_or(struct schema *s, const struct set *a, const struct set *b)
{
	if (schema_is_none(a))
		return b;
	if (schema_is_none(b))
		return a;
	const struct set *parts[] = {a, b};
	return schema_or_many(s, parts, 2);
}

/* A property that has one value in all objects of a part. */
struct mark {
	struct str key;
	const struct str *word;
	const struct decimal *point;
};

static struct mark mark_of(struct schema *s, const struct prop *p)
{
	struct mark m = {.key = p->key};
	if (!p->required || s->terms[p->term].n != 1)
		return m;
	const struct set *set = schema_peek(s, p->term);
	if (!set || set->null || set->bools || set->strings.rx != RX_NONE || set->arrs.n || set->objs.n)
		return m;
	if (set->strings.n_words == 1 && !set->nums.n)
		m.word = set->strings.words;
	if (!set->strings.n_words && set->nums.n == 1 && set->nums.at[0]->n_points == 1)
		m.point = set->nums.at[0]->points[0];
	return m;
}

static struct mark obj_mark(struct schema *s, const struct obj *o)
{
	struct mark m = {0};
	for (uint32_t i = 0; i < o->n_props && i < 64 && !m.word && !m.point; i++)
		m = mark_of(s, &o->props[i]);
	return m;
}

static struct mark part_mark(struct schema *s, const struct set *part)
{
	if (part->objs.n != 1 || part->nums.n || part->arrs.n)
		return (struct mark){0};
	return obj_mark(s, part->objs.at[0]);
}

static bool marks_differ(const struct mark *a, const struct mark *b)
{
	if (!str_eq(a->key, b->key))
		return false;
	return (a->word && b->word && !str_eq(*a->word, *b->word)) ||
	       (a->point && b->point && schema_decimal_cmp(a->point, b->point) != 0) ||
	       (a->word && b->point) || (a->point && b->word);
}

/* a's records less those of b, one by one: what is disjoint stays as it is, so that only what overlaps is
 * parted by the ways in which a value may fail to be of b. */
static struct num_list nums_less(struct schema *s, struct num_list out, const struct num_list *b)
{
	for (uint32_t i = 0; i < b->n && out.n; i++) {
		struct num_list violated = {0}, next = {0};
		bool asked = false;
		for (uint32_t j = 0; j < out.n; j++) {
			if (!schema_num_and(s, out.at[j], b->at[i])) {
				schema_nums_add(s, &next, out.at[j]);
				continue;
			}
			if (!asked)
				schema_num_not(s, b->at[i], &violated);
			asked = true;
			for (uint32_t k = 0; k < violated.n; k++)
				schema_nums_add(s, &next, schema_num_and(s, out.at[j], violated.at[k]));
		}
		out = next;
		check_count(s, out.n);
	}
	return out;
}

static struct arr_list arrs_less(struct schema *s, struct arr_list out, const struct arr_list *b)
{
	for (uint32_t i = 0; i < b->n && out.n; i++) {
		struct arr_list violated = {0}, next = {0};
		bool asked = false;
		for (uint32_t j = 0; j < out.n; j++) {
			if (!schema_arr_and(s, out.at[j], b->at[i])) {
				schema_arrs_add(s, &next, out.at[j]);
				continue;
			}
			if (!asked)
				schema_arr_not(s, b->at[i], &violated);
			asked = true;
			for (uint32_t k = 0; k < violated.n; k++)
				schema_arrs_add(s, &next, schema_arr_and(s, out.at[j], violated.at[k]));
		}
		out = next;
		check_count(s, out.n);
	}
	return out;
}

/*
 * The ways in which a value may fail to be of b's record i. Where a mark tells it from the next one, all but
 * a wrong mark keep the right one (that a value has another mark is a way already): so they are disjoint from
 * b's other records and are not parted by them again.
 */
static struct obj_list obj_violated(struct schema *s, const struct obj_list *b, uint32_t i)
{
	struct obj_list all = {0}, kept = {0};
	schema_obj_not(s, b->at[i], &all);
	if (b->n < 2)
		return all;
	struct mark mine = obj_mark(s, b->at[i]), other = obj_mark(s, b->at[i ? i - 1 : 1]);
	if (!marks_differ(&mine, &other))
		return all;
	term_id term = schema_obj_term(s, b->at[i], mine.key);
	const struct obj *marked = schema_obj_requires(s, mine.key, term);
	for (uint32_t k = 0; k < all.n; k++) {
		const struct obj *o = all.at[k];
		bool of_mark = o->n_props == 1 && str_eq(o->props[0].key, mine.key);
		schema_objs_add(s, &kept, of_mark ? o : schema_obj_and(s, o, marked));
	}
	return kept;
}

static struct obj_list objs_less(struct schema *s, struct obj_list out, const struct obj_list *b)
{
	for (uint32_t i = 0; i < b->n && out.n; i++) {
		struct obj_list violated = {0}, next = {0};
		bool asked = false;
		for (uint32_t j = 0; j < out.n; j++) {
			if (!schema_obj_and(s, out.at[j], b->at[i])) {
				schema_objs_add(s, &next, out.at[j]);
				continue;
			}
			if (!asked)
				violated = obj_violated(s, b, i);
			asked = true;
			for (uint32_t k = 0; k < violated.n; k++)
				schema_objs_add(s, &next, schema_obj_and(s, out.at[j], violated.at[k]));
		}
		out = next;
		check_count(s, out.n);
	}
	return out;
}

const struct set *schema_not(struct schema *s, const struct set *a)
{
	if (a == s->any)
		return s->none;
	struct set *set = new_set(s);
	set->null = !a->null;
	set->bools = ~a->bools & 3;
	set->strings = schema_strings_not(s, a->strings);
	set->nums = nums_less(s, s->any->nums, &a->nums);
	set->arrs = arrs_less(s, s->any->arrs, &a->arrs);
	set->objs = objs_less(s, s->any->objs, &a->objs);
	return set;
}

const struct set *schema_without(struct schema *s, const struct set *a, const struct set *b)
{
	if (a == s->any)
		return schema_not(s, b);
	if (b == s->any)
		return s->none;
	struct set *set = new_set(s);
	schema_work(s, 1);
	set->null = a->null && !b->null;
	set->bools = (uint8_t)(a->bools & ~b->bools);
	set->strings = schema_strings_and(s, a->strings, schema_strings_not(s, b->strings));
	set->nums = nums_less(s, a->nums, &b->nums);
	set->arrs = arrs_less(s, a->arrs, &b->arrs);
	set->objs = objs_less(s, a->objs, &b->objs);
	return set;
}

/* Words that one part alone has. */
static struct strings one_word_of(struct schema *s, const struct set *const *parts, uint32_t n)
{
	uint32_t n_words = 0, kept = 0;
	for (uint32_t i = 0; i < n; i++)
		n_words += parts[i]->strings.n_words;
	struct str *words = schema_alloc(s, n_words, sizeof *words);
	n_words = 0;
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < parts[i]->strings.n_words; j++)
			words[n_words++] = parts[i]->strings.words[j];
	schema_sort(s, words, n_words);
	for (uint32_t i = 0, j; i < n_words; i = j) {
		for (j = i + 1; j < n_words && str_eq(words[i], words[j]); j++)
			;
		if (j == i + 1)
			words[kept++] = words[i];
	}
	return schema_words(s, words, kept);
}

static struct strings one_string_of(struct schema *s, const struct set *const *parts, uint32_t n)
{
	uint32_t n_rx = 0;
	for (uint32_t i = 0; i < n; i++)
		n_rx += parts[i]->strings.rx != RX_NONE;
	if (!n_rx)
		return one_word_of(s, parts, n);
	struct strings once = {.rx = RX_NONE}, seen = {.rx = RX_NONE};
	for (uint32_t i = 0; i < n; i++) {
		struct strings t = parts[i]->strings, both = schema_strings_and(s, seen, t);
		if (schema_strings_none(&both)) {
			once = schema_strings_or(s, once, t);
		} else {
			struct strings before = schema_strings_and(s, once, schema_strings_not(s, t));
			struct strings alone = schema_strings_and(s, t, schema_strings_not(s, seen));
			once = schema_strings_or(s, before, alone);
		}
		seen = schema_strings_or(s, seen, t);
	}
	return once;
}

static bool has_records(const struct set *a)
{
	return a->nums.n || a->arrs.n || a->objs.n;
}

/* Numbers, arrays and objects alone. */
static const struct set *records_of(struct schema *s, const struct set *a)
{
	struct set *r = new_set(s);
	r->nums = a->nums;
	r->arrs = a->arrs;
	r->objs = a->objs;
	r->strings.rx = RX_NONE;
	return r;
}

static bool overlap(struct schema *s, const struct set *context, const struct set *a, const struct set *b)
{
	if (!(a->nums.n && b->nums.n) && !(a->arrs.n && b->arrs.n) && !(a->objs.n && b->objs.n))
		return false;
	const struct set *both = schema_and(s, a, b);
	return !schema_is_none(both) && !schema_is_none(schema_and(s, context, both));
}

/* Without the objects that cannot be where `context` has to hold too. */
static const struct set *within(struct schema *s, const struct set *context, const struct set *a)
{
	if (context == s->any || !a->objs.n)
		return a;
	struct set *kept = new_set(s);
	*kept = *a;
	kept->objs = (struct obj_list){0};
	for (uint32_t i = 0; i < a->objs.n; i++) {
		bool alive = false;
		for (uint32_t k = 0; k < context->objs.n && !alive; k++)
			alive = schema_obj_and(s, context->objs.at[k], a->objs.at[i]) != NULL;
		if (alive)
			schema_objs_add(s, &kept->objs, a->objs.at[i]);
	}
	return kept;
}

const struct set *schema_one_of(struct schema *s, const struct set *context, const struct set *const *parts,
				uint32_t n)
{
	struct set *simple = new_set(s);
	const struct set **out = schema_alloc(s, (size_t)n + 1, sizeof(void *));
	uint32_t nulls = 0, trues = 0, falses = 0, n_out = 1;
	for (uint32_t i = 0; i < n; i++) {
		nulls += parts[i]->null;
		falses += parts[i]->bools & 1;
		trues += parts[i]->bools >> 1;
	}
	simple->null = nulls == 1;
	simple->bools = (uint8_t)((falses == 1) | (trues == 1) << 1);
	simple->strings = one_string_of(s, parts, n);
	out[0] = simple;
	const struct set **records = schema_alloc(s, n, sizeof(void *));
	struct mark *marks = schema_alloc(s, n, sizeof *marks);
	for (uint32_t i = 0; i < n; i++) {
		records[i] = records_of(s, parts[i]);
		marks[i] = part_mark(s, parts[i]);
		schema_work(s, 1 + n / 16);
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct set *mine = records[i];
		for (uint32_t j = 0; j < n && has_records(mine); j++) {
			if (j == i || marks_differ(&marks[i], &marks[j]) ||
			    !overlap(s, context, mine, records[j]))
				continue;
			mine = within(s, context, schema_without(s, mine, records[j]));
		}
		if (has_records(mine))
			out[n_out++] = mine;
	}
	return schema_or_many(s, out, n_out);
}
