/* Filters of lists and dicts. */
#include <stdlib.h>

#include "text/jinja/internal.h"

#define FILTER(name) static jval name(struct jinja_run *r, jval self, const jval *v, const struct jargs *args)
#define UNUSED(a, b)       \
	do {               \
		(void)(a); \
		(void)(b); \
	} while (0)

static bool is_given(jval v)
{
	return v.type != J_MISSING && v.type != J_NONE;
}

static jval generator(struct jinja_run *r, size_t cap)
{
	return j_list(r, K_GENERATOR, cap);
}

/* ---- merge sort ---- */

void stable_sort(struct jinja_run *r, void *base, size_t n, size_t size,
		 int (*order)(const void *a, const void *b, void *user), void *user)
{
	char *from = base, *to = j_array(r, n, size);
	for (size_t width = 1; width < n; width *= 2) {
		for (size_t low = 0; low < n; low += 2 * width) {
			size_t mid = low + width < n ? low + width : n,
			       high = mid + width < n ? mid + width : n;
			size_t a = low, b = mid;
			for (size_t k = low; k < high; k++) {
				bool first = a < mid && (b >= high ||
							 order(from + a * size, from + b * size, user) <= 0);
				memcpy(to + k * size, from + (first ? a++ : b++) * size, size);
			}
		}
		char *swap = from;
		from = to;
		to = swap;
	}
	if (from != base)
		memcpy(base, from, n * size);
}

/* ---- members of items ---- */

/* "a.b.0" of each item, as map, sort and others name a member. */
static jval member_of(struct jinja_run *r, jval item, jval path)
{
	if (path.type != J_STRING)
		return j_item(r, item, path);
	const struct jstr *s = as_str(path);
	for (size_t from = 0; from <= s->n;) {
		const char *dot = from < s->n ? memchr(s->p + from, '.', s->n - from) : NULL;
		size_t to = dot ? (size_t)(dot - s->p) : s->n;
		jval key = j_sub(r, s, from, to);
		int64_t i;
		size_t digits = 0;
		while (from + digits < to && s->p[from + digits] >= '0' && s->p[from + digits] <= '9')
			digits++;
		if (digits && from + digits == to && parse_whole(r, str_view(as_str(key)), 10, &i))
			key = j_int(i, false);
		item = j_item(r, item, key);
		from = to + 1;
	}
	return item;
}

static jval without_case(struct jinja_run *r, jval v)
{
	return v.type == J_STRING ? str_case(r, as_str(v), CASE_LOWER) : v;
}

/* What an item is compared by: itself, a member, or with commas several; case counts only where asked. */
static jval compare_key(struct jinja_run *r, jval item, jval attribute, bool with_case)
{
	if (is_given(attribute)) {
		if (attribute.type == J_STRING && as_str(attribute)->n &&
		    memchr(as_str(attribute)->p, ',', as_str(attribute)->n)) {
			const struct jstr *s = as_str(attribute);
			jval made = j_list(r, K_LIST, 0);
			for (size_t from = 0; from <= s->n;) {
				const char *comma =
					from < s->n ? memchr(s->p + from, ',', s->n - from) : NULL;
				size_t to = comma ? (size_t)(comma - s->p) : s->n;
				jval key = member_of(r, item, j_sub(r, s, from, to));
				list_push(r, as_list(made), with_case ? key : without_case(r, key));
				from = to + 1;
			}
			return made;
		}
		item = member_of(r, item, attribute);
	}
	return with_case ? item : without_case(r, item);
}

/* ---- one of many ---- */

FILTER(f_first)
{
	UNUSED(v, args);
	if (self.type == J_STRING && as_str(self)->n)
		return j_item(r, self, j_int(0, true));
	struct jlist *l = self.type == J_LIST ? as_list(self) : j_items(r, self);
	size_t at = l->kind == K_GENERATOR ? l->taken : 0;
	if (at >= l->n)
		return j_undefined(r, STR_LIT("the first of nothing"), NULL);
	l->taken += l->kind == K_GENERATOR;
	return l->v[at];
}

FILTER(f_last)
{
	UNUSED(v, args);
	if (self.type == J_STRING && as_str(self)->n)
		return j_item(r, self, j_int(-1, true));
	if (self.type == J_LIST && as_list(self)->kind == K_GENERATOR)
		j_fail(r, "last of a generator; it wants the filter list first");
	const struct jlist *l = j_items(r, self);
	return l->n ? l->v[l->n - 1] : j_undefined(r, STR_LIT("the last of nothing"), NULL);
}

static jval extreme(struct jinja_run *r, jval self, const jval *v, bool want_max)
{
	const struct jlist *l = j_items(r, self);
	if (!l->n)
		return j_undefined(r, STR_LIT("the least or greatest of nothing"), NULL);
	size_t best = 0;
	jval best_key = compare_key(r, l->v[0], v[1], arg_true(r, v[0]));
	for (size_t i = 1; i < l->n; i++) {
		jval key = compare_key(r, l->v[i], v[1], arg_true(r, v[0]));
		int order = j_order(r, key, best_key, want_max ? ">" : "<");
		if (want_max ? order > 0 : order == -1) {
			best = i;
			best_key = key;
		}
	}
	return l->v[best];
}

FILTER(f_min)
{
	(void)args;
	return extreme(r, self, v, false);
}

FILTER(f_max)
{
	(void)args;
	return extreme(r, self, v, true);
}

FILTER(f_sum)
{
	UNUSED(v, args);
	jval sum = v[1].type == J_MISSING ? j_int(0, true) : v[1];
	const struct jlist *l = j_items(r, self);
	for (size_t i = 0; i < l->n; i++)
		sum = j_arith(r, OP_ADD, sum, is_given(v[0]) ? member_of(r, l->v[i], v[0]) : l->v[i]);
	return sum;
}

FILTER(f_join)
{
	UNUSED(v, args);
	const struct jlist *l = j_items(r, self);
	const struct jstr *between = v[0].type == J_MISSING ? NULL : j_soft_str(r, v[0]);
	struct jbuild b = jb_new(r);
	for (size_t i = 0; i < l->n; i++) {
		if (i && between)
			jb_str(&b, between);
		print_str(&b, is_given(v[1]) ? member_of(r, l->v[i], v[1]) : l->v[i]);
	}
	return jb_done(&b);
}

/* ---- another list ---- */

FILTER(f_list)
{
	UNUSED(v, args);
	const struct jlist *l = j_items(r, self);
	jval made = j_list(r, K_LIST, l->n);
	j_work(r, l->n);
	for (size_t i = 0; i < l->n; i++)
		list_push(r, as_list(made), l->v[i]);
	return made;
}

FILTER(f_items)
{
	UNUSED(v, args);
	if (self.type == J_UNDEFINED)
		return generator(r, 0);
	if (self.type != J_DICT)
		j_fail(r, "items of a %s, which is no dict", type_name(self));
	return dict_view(r, as_dict(self), K_GENERATOR);
}

FILTER(f_reverse)
{
	UNUSED(v, args);
	if (self.type == J_STRING)
		return j_slice(r, self, j_none(), j_none(), j_int(-1, true));
	const struct jlist *l = j_items(r, self);
	jval made = generator(r, l->n);
	j_work(r, l->n);
	for (size_t i = l->n; i-- > 0;)
		list_push(r, as_list(made), l->v[i]);
	return made;
}

struct sort_item {
	jval key, item;
};

static int item_order(const void *a, const void *b, void *user)
{
	jval x = ((const struct sort_item *)a)->key, y = ((const struct sort_item *)b)->key;
	return j_order(user, x, y, "<");
}

/* Equal ones stay in their order, reversed or not. */
static int item_order_reversed(const void *a, const void *b, void *user)
{
	return item_order(b, a, user);
}

static jval sorted(struct jinja_run *r, struct sort_item *items, size_t n, bool reversed)
{
	jval made = j_list(r, K_LIST, n);
	stable_sort(r, items, n, sizeof *items, reversed ? item_order_reversed : item_order, r);
	for (size_t i = 0; i < n; i++)
		list_push(r, as_list(made), items[i].item);
	return made;
}

FILTER(f_sort)
{
	UNUSED(v, args);
	const struct jlist *l = j_items(r, self);
	struct sort_item *items = j_array(r, l->n, sizeof *items);
	for (size_t i = 0; i < l->n; i++)
		items[i] = (struct sort_item){compare_key(r, l->v[i], v[2], arg_true(r, v[1])), l->v[i]};
	return sorted(r, items, l->n, arg_true(r, v[0]));
}

FILTER(f_dictsort)
{
	UNUSED(v, args);
	bool by_value = v[1].type == J_STRING && str_is(as_str(v[1]), "value");
	if (self.type == J_UNDEFINED)
		j_undefined_fail(r, self);
	if (self.type != J_DICT)
		j_fail(r, "dictsort of a %s", type_name(self));
	if (v[1].type != J_MISSING && !by_value && !(v[1].type == J_STRING && str_is(as_str(v[1]), "key")))
		j_fail(r, "dictsort goes by \"key\" or \"value\"");
	const struct jdict *d = as_dict(self);
	struct sort_item *items = j_array(r, d->n, sizeof *items);
	for (size_t i = 0; i < d->n; i++) {
		jval key = by_value ? d->v[i].value : d->v[i].key;
		items[i].key = arg_true(r, v[0]) ? key : without_case(r, key);
		items[i].item = j_pair(r, d->v[i].key, d->v[i].value);
	}
	return sorted(r, items, d->n, arg_true(r, v[2]));
}

FILTER(f_unique)
{
	UNUSED(v, args);
	const struct jlist *l = j_items(r, self);
	jval seen = j_dict(r), made = generator(r, 0);
	for (size_t i = 0; i < l->n; i++) {
		jval key = compare_key(r, l->v[i], v[1], arg_true(r, v[0]));
		if (dict_get(r, as_dict(seen), key))
			continue;
		dict_put(r, as_dict(seen), key, j_bool(true));
		list_push(r, as_list(made), l->v[i]);
	}
	return made;
}

static int64_t positive(struct jinja_run *r, jval v, const char *of)
{
	int64_t n;
	if (!j_whole(v, &n) || n < 1)
		j_fail(r, "%s takes a whole number from 1 on", of);
	return n;
}

FILTER(f_batch)
{
	UNUSED(v, args);
	int64_t size = positive(r, v[0], "batch");
	const struct jlist *l = j_items(r, self);
	jval made = generator(r, 0), part = j_missing();
	for (size_t i = 0; i < l->n; i++) {
		if ((int64_t)i % size == 0) {
			part = j_list(r, K_LIST, 0);
			list_push(r, as_list(made), part);
		}
		list_push(r, as_list(part), l->v[i]);
	}
	for (; part.type == J_LIST && is_given(v[1]) && (int64_t)as_list(part)->n < size;)
		list_push(r, as_list(part), v[1]);
	return made;
}

FILTER(f_slice)
{
	UNUSED(v, args);
	int64_t n = positive(r, v[0], "slice");
	const struct jlist *l = j_items(r, self);
	size_t each = l->n / (size_t)n, more = l->n % (size_t)n, at = 0;
	jval made = generator(r, 0);
	for (size_t i = 0; i < (size_t)n; i++) {
		jval part = j_list(r, K_LIST, 0);
		size_t size = each + (i < more);
		j_work(r, size);
		for (size_t k = 0; k < size; k++)
			list_push(r, as_list(part), l->v[at++]);
		if (is_given(v[1]) && i >= more && more)
			list_push(r, as_list(part), v[1]);
		list_push(r, as_list(made), part);
	}
	return made;
}

FILTER(f_attr)
{
	UNUSED(v, args);
	if (v[0].type != J_STRING)
		j_fail(r, "attr takes a str, not a %s", type_name(v[0]));
	/* a member as Python has them: of a dict its methods, not its keys */
	return self.type == J_DICT && !find_method(self, str_view(as_str(v[0])))
		       ? j_undefined(r, str_view(as_str(v[0])), "dict")
		       : j_attr(r, self, v[0]);
}

/* ---- map and select ---- */

static bool named(const struct jargs *args, const char *name, jval *v)
{
	for (size_t i = 0; i < args->n_named; i++) {
		if (str_eq_c(args->names[i], name)) {
			*v = args->named[i];
			return true;
		}
	}
	return false;
}

FILTER(f_map)
{
	(void)v;
	jval attribute, fallback = j_missing();
	if (!j_true(r, self)) /* what is empty, or none, is asked nothing further */
		return generator(r, 0);
	bool by_attribute = !args->n && named(args, "attribute", &attribute);
	if (by_attribute) {
		bool has_default = named(args, "default", &fallback);
		if (args->n_named > 1u + has_default)
			j_fail(r, "map takes no arguments beside attribute and default");
	} else if (!args->n || args->v[0].type != J_STRING) {
		j_fail(r, "map wants the name of a filter, or attribute=");
	}
	struct jargs rest = *args;
	if (!by_attribute) {
		rest.v++;
		rest.n--;
	}
	const struct jlist *l = j_items(r, self);
	jval made = generator(r, l->n);
	for (size_t i = 0; i < l->n; i++) {
		jval item;
		if (!by_attribute) {
			item = call_filter(r, str_view(as_str(args->v[0])), l->v[i], &rest);
		} else {
			item = member_of(r, l->v[i], attribute);
			if (item.type == J_UNDEFINED && is_given(fallback))
				item = fallback;
		}
		list_push(r, as_list(made), item);
	}
	return made;
}

/* select, reject, selectattr and rejectattr. */
static jval choose(struct jinja_run *r, jval self, const struct jargs *args, bool by_attribute, bool keep)
{
	struct jargs rest = *args;
	jval attribute = j_missing(), test = j_missing();
	if (!j_true(r, self))
		return generator(r, 0);
	if (by_attribute) {
		if (!rest.n)
			j_fail(r, "selectattr and rejectattr want the name of a member");
		attribute = *rest.v++;
		rest.n--;
	}
	if (rest.n) {
		test = *rest.v++;
		rest.n--;
		if (test.type != J_STRING)
			j_fail(r, "the name of a test is a %s", type_name(test));
	}
	const struct jlist *l = j_items(r, self);
	jval made = generator(r, 0);
	for (size_t i = 0; i < l->n; i++) {
		jval v = by_attribute ? member_of(r, l->v[i], attribute) : l->v[i];
		j_work(r, 0);
		bool is = test.type == J_MISSING ? j_true(r, v)
						 : call_test(r, str_view(as_str(test)), v, &rest);
		if (is == keep)
			list_push(r, as_list(made), l->v[i]);
	}
	return made;
}

FILTER(f_select)
{
	(void)v;
	return choose(r, self, args, false, true);
}

FILTER(f_reject)
{
	(void)v;
	return choose(r, self, args, false, false);
}

FILTER(f_selectattr)
{
	(void)v;
	return choose(r, self, args, true, true);
}

FILTER(f_rejectattr)
{
	(void)v;
	return choose(r, self, args, true, false);
}

const struct builtin jinja_filters_list[] = {
	{"join", "d,attribute", 0, f_join},
	{"items", "", 0, f_items},
	{"list", "", 0, f_list},
	{"first", "", 0, f_first},
	{"last", "", 0, f_last},
	{"map", NULL, 0, f_map},
	{"select", NULL, 0, f_select},
	{"reject", NULL, 0, f_reject},
	{"selectattr", NULL, 0, f_selectattr},
	{"rejectattr", NULL, 0, f_rejectattr},
	{"dictsort", "case_sensitive,by,reverse", 0, f_dictsort},
	{"sort", "reverse,case_sensitive,attribute", 0, f_sort},
	{"reverse", "", 0, f_reverse},
	{"unique", "case_sensitive,attribute", 0, f_unique},
	{"min", "case_sensitive,attribute", 0, f_min},
	{"max", "case_sensitive,attribute", 0, f_max},
	{"sum", "attribute,start", 0, f_sum},
	{"batch", "linecount,fill_with", 1, f_batch},
	{"slice", "slices,fill_with", 1, f_slice},
	{"attr", "name", 1, f_attr},
	{0},
};
