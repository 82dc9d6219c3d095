/* Lists, dicts and what all values have: truth, equality, order, length. */
#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "text/jinja/internal.h"

/* ---- memory and limits ---- */

void j_no_memory(struct jinja_run *r)
{
	r->rc = err_set(r->err, HOKKU_OUT_OF_MEMORY, "no memory to run the chat template");
	r->failed = true;
	longjmp(r->jump, 1);
}

void *j_alloc(struct jinja_run *r, size_t n)
{
	if (r->in_render && (n > r->max_memory || r->mem.used_bytes > r->max_memory - n)) {
		r->ran_out = true;
		j_fail(r, "it wants more than %zu bytes of memory", r->max_memory);
	}
	void *p = arena_alloc(&r->mem, n ? n : 1, 16);
	if (!p)
		j_no_memory(r);
	return p;
}

void *j_array(struct jinja_run *r, size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes))
		bytes = SIZE_MAX;
	return j_alloc(r, bytes);
}

void j_work(struct jinja_run *r, size_t n)
{
	r->steps += 1 + n / 64;
	if (r->in_render && r->steps > r->max_steps) {
		r->ran_out = true;
		j_fail(r, "it takes more than %llu steps", (unsigned long long)r->max_steps);
	}
}

void j_enter(struct jinja_run *r)
{
	if (++r->depth > JINJA_MAX_DEPTH)
		j_fail(r, "more than %d statements, expressions or values inside each other",
		       JINJA_MAX_DEPTH);
}

/* ---- lists ---- */

jval j_list(struct jinja_run *r, enum jkind kind, size_t cap)
{
	struct jlist *l = j_alloc(r, sizeof *l);
	l->kind = (uint8_t)kind;
	if (cap) {
		l->v = j_array(r, cap, sizeof *l->v);
		l->cap = cap;
	}
	return (jval){J_LIST, false, {.p = l}};
}

void list_push(struct jinja_run *r, struct jlist *l, jval v)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 4;
		jval *more = j_array(r, cap, sizeof *more);
		if (l->n)
			memcpy(more, l->v, l->n * sizeof *more);
		l->v = more;
		l->cap = cap;
	}
	l->v[l->n++] = v;
}

jval j_pair(struct jinja_run *r, jval a, jval b)
{
	jval made = j_list(r, K_TUPLE, 2);
	list_push(r, as_list(made), a);
	list_push(r, as_list(made), b);
	return made;
}

void list_reverse(struct jlist *l)
{
	for (size_t i = 0; i < l->n / 2; i++) {
		jval v = l->v[i];
		l->v[i] = l->v[l->n - 1 - i];
		l->v[l->n - 1 - i] = v;
	}
}

/* ---- dicts ---- */

enum { DICT_SMALL = 8 }; /* so many are looked through one by one */

jval j_dict(struct jinja_run *r)
{
	struct jdict *d = j_alloc(r, sizeof *d);
	d->message = -1;
	return (jval){J_DICT, false, {.p = d}};
}

static uint64_t hash_bytes(const struct jinja_run *r, const void *p, size_t n)
{
	return siphash(r->seed[0], r->seed[1], p, n);
}

/* Equal keys hash alike: 1, 1.0 and true are one key. */
uint64_t j_hash(struct jinja_run *r, jval key)
{
	double f;
	int64_t i;
	switch (key.type) {
	case J_STRING:
		j_work(r, as_str(key)->n);
		return hash_bytes(r, as_str(key)->p, as_str(key)->n);
	case J_NONE:
		return 77;
	case J_UNDEFINED:
		return 78;
	case J_FUNCTION:
		return (uint64_t)(uintptr_t)key.as.p;
	case J_LIST:
		if (as_list(key)->kind == K_TUPLE) {
			uint64_t h = 79;
			j_enter(r);
			j_work(r, 0);
			for (size_t k = 0; k < as_list(key)->n; k++)
				h = h * 31 + j_hash(r, as_list(key)->v[k]);
			j_leave(r);
			return h;
		}
		break;
	default:
		break;
	}
	if (j_whole(key, &i))
		return (uint64_t)i * 0x9E3779B97F4A7C15u;
	if (j_number(key, &f)) {
		if (f == floor(f) && fabs(f) < 0x1p62)
			return (uint64_t)(int64_t)f * 0x9E3779B97F4A7C15u;
		return hash_bytes(r, &f, sizeof f);
	}
	j_fail(r, "a %s cannot be a key", type_name(key));
}

static void index_put(struct jdict *d, uint64_t hash, size_t at)
{
	uint32_t i = (uint32_t)hash & d->mask;
	while (d->index[i])
		i = (i + 1) & d->mask;
	d->index[i] = (uint32_t)at + 1;
}

static void make_index(struct jinja_run *r, struct jdict *d)
{
	d->index = NULL;
	if (d->n <= DICT_SMALL)
		return;
	uint32_t size = 32;
	while (size < d->cap * 2)
		size *= 2;
	d->index = j_array(r, size, sizeof *d->index);
	d->mask = size - 1;
	j_work(r, d->n);
	for (size_t i = 0; i < d->n; i++)
		index_put(d, j_hash(r, d->v[i].key), i);
}

/* The place of key in d->v, or d->n. */
static size_t dict_find(struct jinja_run *r, const struct jdict *d, jval key)
{
	uint64_t hash = j_hash(r, key); /* which keys there can be is checked here */
	if (!d->index) {
		for (size_t i = 0; i < d->n; i++)
			if (j_equal(r, d->v[i].key, key))
				return i;
		return d->n;
	}
	for (uint32_t i = (uint32_t)hash & d->mask; d->index[i]; i = (i + 1) & d->mask)
		if (j_equal(r, d->v[d->index[i] - 1].key, key))
			return d->index[i] - 1;
	return d->n;
}

jval *dict_get(struct jinja_run *r, const struct jdict *d, jval key)
{
	size_t at = dict_find(r, d, key);
	return at < d->n ? &d->v[at].value : NULL;
}

jval *dict_get_text(struct jinja_run *r, const struct jdict *d, struct str key)
{
	if (!d->index) {
		for (size_t i = 0; i < d->n; i++)
			if (d->v[i].key.type == J_STRING && str_eq(str_view(as_str(d->v[i].key)), key))
				return &d->v[i].value;
		return NULL;
	}
	for (uint32_t i = (uint32_t)hash_bytes(r, key.ptr, key.len) & d->mask; d->index[i];
	     i = (i + 1) & d->mask) {
		struct jpair *pair = &d->v[d->index[i] - 1];
		if (pair->key.type == J_STRING && str_eq(str_view(as_str(pair->key)), key))
			return &pair->value;
	}
	return NULL;
}

void dict_put(struct jinja_run *r, struct jdict *d, jval key, jval v)
{
	size_t at = dict_find(r, d, key);
	if (at < d->n) {
		d->v[at].value = v;
		return;
	}
	if (d->n == UINT32_MAX / 4)
		j_no_memory(r);
	if (d->n == d->cap) {
		size_t cap = d->cap ? d->cap * 2 : 4;
		struct jpair *more = j_array(r, cap, sizeof *more);
		if (d->n)
			memcpy(more, d->v, d->n * sizeof *more);
		d->v = more;
		d->cap = cap;
		d->v[d->n++] = (struct jpair){key, v};
		make_index(r, d);
		return;
	}
	d->v[d->n++] = (struct jpair){key, v};
	if (d->index)
		index_put(d, j_hash(r, key), d->n - 1);
	else if (d->n > DICT_SMALL)
		make_index(r, d);
}

bool dict_remove(struct jinja_run *r, struct jdict *d, jval key, jval *was)
{
	size_t at = dict_find(r, d, key);
	if (at == d->n)
		return false;
	*was = d->v[at].value;
	memmove(d->v + at, d->v + at + 1, (d->n - at - 1) * sizeof *d->v);
	d->n--;
	make_index(r, d);
	return true;
}

/* ---- what is not there ---- */

jval j_undefined(struct jinja_run *r, struct str name, const char *owner)
{
	struct jundefined *u = j_alloc(r, sizeof *u);
	*u = (struct jundefined){name, owner};
	return (jval){J_UNDEFINED, false, {.p = u}};
}

void j_undefined_fail(struct jinja_run *r, jval v)
{
	const struct jundefined *u = v.as.p;
	char quoted[64] = "it";
	if (u)
		str_quote(u->name, quoted, sizeof quoted);
	if (u && u->owner)
		j_fail(r, "a %s has no member %s", u->owner, quoted);
	j_fail(r, "%s is undefined", quoted);
}

/* ---- all values ---- */

const char *type_name(jval v)
{
	static const char *const names[] = {
		"nothing", "undefined value", "none",     "bool", "int",    "float", "int", "str", "list",
		"dict",    "namespace",       "function", "loop", "cycler", "joiner"};
	static const char *const kinds[] = {"list",        "tuple",      "range",    "dict_keys",
					    "dict_values", "dict_items", "generator"};
	return v.type == J_LIST ? kinds[as_list(v)->kind] : names[v.type];
}

bool j_whole(jval v, int64_t *i)
{
	if (v.type == J_INT)
		*i = v.as.i;
	else if (v.type == J_BOOL)
		*i = v.as.b;
	else
		return false;
	return true;
}

static double big_value(const struct jstr *s)
{
	char digits[400];
	if (s->n >= sizeof digits)
		return s->p[0] == '-' ? -HUGE_VAL : HUGE_VAL;
	memcpy(digits, s->p, s->n);
	digits[s->n] = '\0';
	return strtod(digits, NULL);
}

bool j_number(jval v, double *f)
{
	int64_t i;
	if (v.type == J_FLOAT)
		*f = v.as.f;
	else if (v.type == J_BIG)
		*f = big_value(as_str(v));
	else if (j_whole(v, &i))
		*f = (double)i;
	else
		return false;
	return true;
}

bool j_true(struct jinja_run *r, jval v)
{
	switch (v.type) {
	case J_MISSING:
	case J_UNDEFINED:
	case J_NONE:
		return false;
	case J_BOOL:
		return v.as.b;
	case J_INT:
		return v.as.i != 0;
	case J_FLOAT:
		return v.as.f != 0;
	case J_BIG:
		return true;
	case J_STRING:
		return as_str(v)->n > 0;
	case J_LIST:
		return as_list(v)->n > 0 || as_list(v)->kind == K_GENERATOR;
	case J_DICT:
		return as_dict(v)->n > 0;
	case J_LOOP:
		return j_length(r, v) > 0;
	default:
		return true;
	}
}

/* -2: they have no order between them (NaN). */
static int number_order(jval a, jval b)
{
	int64_t i, k;
	double f = 0, g = 0;
	if (j_whole(a, &i) && j_whole(b, &k))
		return i < k ? -1 : i > k;
	j_number(a, &f);
	j_number(b, &g);
	return f < g ? -1 : f > g ? 1 : f == g ? 0 : -2;
}

static bool lists_equal(struct jinja_run *r, const struct jlist *a, const struct jlist *b)
{
	if (a == b)
		return true;
	if (a->kind != b->kind || a->n != b->n || a->kind == K_GENERATOR || a->kind == K_VALUES)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!j_equal(r, a->v[i], b->v[i]))
			return false;
	return true;
}

static bool dicts_equal(struct jinja_run *r, const struct jdict *a, const struct jdict *b)
{
	if (a == b)
		return true;
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const jval *other = dict_get(r, b, a->v[i].key);
		if (!other || !j_equal(r, a->v[i].value, *other))
			return false;
	}
	return true;
}

bool j_equal(struct jinja_run *r, jval a, jval b)
{
	double f;
	if (a.type == J_BIG && b.type == J_BIG)
		return str_eq(str_view(as_str(a)), str_view(as_str(b)));
	if (j_number(a, &f))
		return j_number(b, &f) && number_order(a, b) == 0;
	if (a.type != b.type)
		return false;
	j_work(r, a.type == J_STRING && as_str(a)->n == as_str(b)->n ? as_str(a)->n : 0);
	switch (a.type) {
	case J_UNDEFINED:
	case J_NONE:
	case J_MISSING:
		return true;
	case J_STRING:
		return str_eq(str_view(as_str(a)), str_view(as_str(b)));
	case J_LIST:
	case J_DICT: {
		j_enter(r);
		bool equal = a.type == J_LIST ? lists_equal(r, as_list(a), as_list(b))
					      : dicts_equal(r, as_dict(a), as_dict(b));
		j_leave(r);
		return equal;
	}
	default:
		return a.as.p == b.as.p;
	}
}

int j_order(struct jinja_run *r, jval a, jval b, const char *sign)
{
	double f;
	if (j_number(a, &f) && j_number(b, &f))
		return number_order(a, b);
	if (a.type == J_UNDEFINED)
		j_undefined_fail(r, a);
	if (b.type == J_UNDEFINED)
		j_undefined_fail(r, b);
	if (a.type == J_STRING && b.type == J_STRING) {
		const struct jstr *s = as_str(a), *t = as_str(b);
		size_t n = s->n < t->n ? s->n : t->n;
		j_work(r, n);
		int c = n ? memcmp(s->p, t->p, n) : 0;
		return c ? (c < 0 ? -1 : 1) : s->n < t->n ? -1 : s->n > t->n;
	}
	if (a.type == J_LIST && b.type == J_LIST && as_list(a)->kind == as_list(b)->kind &&
	    as_list(a)->kind <= K_TUPLE) {
		const struct jlist *l = as_list(a), *m = as_list(b);
		j_enter(r);
		int c = 0;
		for (size_t i = 0; i < l->n && i < m->n && !c; i++)
			c = j_equal(r, l->v[i], m->v[i]) ? 0 : j_order(r, l->v[i], m->v[i], sign);
		j_leave(r);
		return c ? c : l->n < m->n ? -1 : l->n > m->n;
	}
	j_fail(r, "%s cannot stand between a %s and a %s", sign, type_name(a), type_name(b));
}

bool j_contains(struct jinja_run *r, jval list, jval item)
{
	if (list.type == J_STRING) {
		if (item.type == J_UNDEFINED)
			j_undefined_fail(r, item);
		if (item.type != J_STRING)
			j_fail(r, "a %s cannot be looked for in a str", type_name(item));
		j_work(r, as_str(list)->n);
		return str_find(as_str(list), 0, str_view(as_str(item))) >= 0;
	}
	if (list.type == J_DICT)
		return dict_get(r, as_dict(list), item) != NULL;
	if (list.type != J_LIST && list.type != J_UNDEFINED)
		j_fail(r, "nothing can be looked for in a %s", type_name(list));
	const struct jlist *items = j_items(r, list);
	for (size_t i = 0; i < items->n; i++)
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a list of n has n */
		if (j_equal(r, items->v[i], item))
			return true;
	return false;
}

static struct jlist *characters(struct jinja_run *r, const struct jstr *s)
{
	struct jlist *l = as_list(j_list(r, K_LIST, str_chars(s)));
	size_t len;
	j_work(r, s->n);
	for (size_t i = 0; i < s->n; i += len) {
		utf8_at(s->p + i, s->n - i, &len);
		list_push(r, l, j_sub(r, s, i, i + len));
	}
	return l;
}

struct jlist *j_items(struct jinja_run *r, jval v)
{
	switch (v.type) {
	case J_UNDEFINED:
		return as_list(j_list(r, K_LIST, 0));
	case J_LIST: {
		struct jlist *l = as_list(v);
		if (l->kind != K_GENERATOR)
			return l;
		struct jlist *rest = as_list(j_list(r, K_LIST, 0));
		rest->v = l->v ? l->v + l->taken : NULL;
		rest->n = rest->cap = l->n - l->taken;
		l->taken = l->n;
		return rest;
	}
	case J_DICT: {
		const struct jdict *d = as_dict(v);
		struct jlist *keys = as_list(j_list(r, K_LIST, d->n));
		j_work(r, d->n);
		for (size_t i = 0; i < d->n; i++)
			list_push(r, keys, d->v[i].key);
		return keys;
	}
	case J_STRING:
		return characters(r, as_str(v));
	default:
		j_fail(r, "a %s cannot be walked through", type_name(v));
	}
}

size_t j_length(struct jinja_run *r, jval v)
{
	switch (v.type) {
	case J_UNDEFINED:
		return 0;
	case J_STRING:
		j_work(r, as_str(v)->n);
		return str_chars(as_str(v));
	case J_LIST:
		if (as_list(v)->kind == K_GENERATOR)
			break;
		return as_list(v)->n;
	case J_DICT:
		return as_dict(v)->n;
	case J_LOOP: {
		jval n = loop_member(r, v.as.p, STR_LIT("length"));
		return (size_t)n.as.i;
	}
	default:
		break;
	}
	j_fail(r, "a %s has no length", type_name(v));
}
