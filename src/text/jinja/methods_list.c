/* The methods of Python's dict, list and tuple. */
#include "text/jinja/internal.h"

#define METHOD(name) static jval name(struct jinja_run *r, jval self, const jval *v, const struct jargs *args)
#define UNUSED(a, b, c)    \
	do {               \
		(void)(a); \
		(void)(b); \
		(void)(c); \
	} while (0)

/* ---- dict ---- */

jval dict_view(struct jinja_run *r, const struct jdict *d, enum jkind kind)
{
	jval made = j_list(r, kind, d->n);
	j_work(r, d->n);
	for (size_t i = 0; i < d->n; i++) {
		jval item = kind == K_KEYS     ? d->v[i].key
			    : kind == K_VALUES ? d->v[i].value
					       : j_pair(r, d->v[i].key, d->v[i].value);
		list_push(r, as_list(made), item);
	}
	return made;
}

METHOD(d_items)
{
	UNUSED(r, v, args);
	return dict_view(r, as_dict(self), K_ITEMS);
}

METHOD(d_keys)
{
	UNUSED(r, v, args);
	return dict_view(r, as_dict(self), K_KEYS);
}

METHOD(d_values)
{
	UNUSED(r, v, args);
	return dict_view(r, as_dict(self), K_VALUES);
}

METHOD(d_get)
{
	UNUSED(r, v, args);
	if (as_dict(self)->message >= 0)
		r->last_message = as_dict(self)->message;
	const jval *found = dict_get(r, as_dict(self), v[0]);
	return found ? *found : v[1].type == J_MISSING ? j_none() : v[1];
}

METHOD(d_pop)
{
	UNUSED(r, v, args);
	jval was;
	if (dict_remove(r, as_dict(self), v[0], &was))
		return was;
	if (v[1].type == J_MISSING)
		j_fail(r, "pop: the dict has no such key");
	return v[1];
}

METHOD(d_setdefault)
{
	UNUSED(r, v, args);
	const jval *found = dict_get(r, as_dict(self), v[0]);
	if (found)
		return *found;
	jval value = v[1].type == J_MISSING ? j_none() : v[1];
	dict_put(r, as_dict(self), v[0], value);
	return value;
}

METHOD(d_update)
{
	UNUSED(r, v, args);
	if (args->n > 1 || (args->n && args->v[0].type != J_DICT))
		j_fail(r, "update takes one dict");
	if (args->n) {
		const struct jdict *from = as_dict(args->v[0]);
		j_work(r, from->n);
		for (size_t i = 0; i < from->n; i++)
			dict_put(r, as_dict(self), from->v[i].key, from->v[i].value);
	}
	for (size_t i = 0; i < args->n_named; i++)
		dict_put(r, as_dict(self), args_name(r, args, i), args->named[i]);
	return j_none();
}

METHOD(d_copy)
{
	UNUSED(r, v, args);
	jval made = j_dict(r);
	const struct jdict *from = as_dict(self);
	j_work(r, from->n);
	for (size_t i = 0; i < from->n; i++)
		dict_put(r, as_dict(made), from->v[i].key, from->v[i].value);
	as_dict(made)->message = from->message;
	return made;
}

METHOD(d_clear)
{
	UNUSED(r, v, args);
	j_work(r, 0);
	as_dict(self)->n = 0;
	as_dict(self)->index = NULL;
	return j_none();
}

METHOD(d_popitem)
{
	UNUSED(r, v, args);
	struct jdict *d = as_dict(self);
	if (!d->n)
		j_fail(r, "popitem: the dict is empty");
	jval pair = j_pair(r, d->v[d->n - 1].key, d->v[d->n - 1].value), was;
	dict_remove(r, d, d->v[d->n - 1].key, &was);
	return pair;
}

const struct builtin jinja_dict_methods[] = {
	{"get", "key,default", 1, d_get},
	{"items", "", 0, d_items},
	{"keys", "", 0, d_keys},
	{"values", "", 0, d_values},
	{"pop", "key,default", 1, d_pop},
	{"update", NULL, 0, d_update},
	{"setdefault", "key,default", 1, d_setdefault},
	{"copy", "", 0, d_copy},
	{"clear", "", 0, d_clear},
	{"popitem", "", 0, d_popitem},
	{0},
};

/* ---- list ---- */

METHOD(l_append)
{
	UNUSED(r, v, args);
	list_push(r, as_list(self), v[0]);
	return j_none();
}

METHOD(l_extend)
{
	UNUSED(r, v, args);
	const struct jlist *more = j_items(r, v[0]);
	size_t n = more->n; /* it may be the list itself */
	j_work(r, n);
	for (size_t i = 0; i < n; i++)
		list_push(r, as_list(self), more->v[i]);
	return j_none();
}

static size_t list_place(struct jinja_run *r, const struct jlist *l, jval v, int64_t fallback)
{
	int64_t i = arg_whole(r, v, fallback, "pop");
	if (i < 0)
		i += (int64_t)l->n;
	if (i < 0 || (uint64_t)i >= l->n)
		j_fail(r, "pop: the list has %zu items", l->n);
	return (size_t)i;
}

static jval take_out(struct jinja_run *r, struct jlist *l, size_t at)
{
	jval was = l->v[at];
	j_work(r, l->n - at);
	memmove(l->v + at, l->v + at + 1, (l->n - at - 1) * sizeof *l->v);
	l->n--;
	return was;
}

METHOD(l_pop)
{
	UNUSED(r, v, args);
	return take_out(r, as_list(self), list_place(r, as_list(self), v[0], -1));
}

METHOD(l_insert)
{
	UNUSED(r, v, args);
	struct jlist *l = as_list(self);
	int64_t at = arg_whole(r, v[0], 0, "insert"), n = (int64_t)l->n;
	at = at < 0 ? (at + n < 0 ? 0 : at + n) : at > n ? n : at;
	list_push(r, l, v[1]);
	j_work(r, l->n - (size_t)at);
	memmove(l->v + at + 1, l->v + at, (size_t)(n - at) * sizeof *l->v);
	l->v[at] = v[1];
	return j_none();
}

static size_t list_find(struct jinja_run *r, const struct jlist *l, jval what)
{
	size_t i = 0;
	while (i < l->n && !j_equal(r, l->v[i], what))
		i++;
	return i;
}

METHOD(l_remove)
{
	UNUSED(r, v, args);
	size_t at = list_find(r, as_list(self), v[0]);
	if (at == as_list(self)->n)
		j_fail(r, "remove: the value is not in the list");
	take_out(r, as_list(self), at);
	return j_none();
}

METHOD(l_index)
{
	UNUSED(r, v, args);
	size_t at = list_find(r, as_list(self), v[0]);
	if (at == as_list(self)->n)
		j_fail(r, "index: the value is not in the list");
	return j_int((int64_t)at, false);
}

METHOD(l_count)
{
	UNUSED(r, v, args);
	int64_t n = 0;
	for (size_t i = 0; i < as_list(self)->n; i++)
		n += j_equal(r, as_list(self)->v[i], v[0]);
	return j_int(n, false);
}

METHOD(l_reverse)
{
	UNUSED(r, v, args);
	j_work(r, as_list(self)->n);
	list_reverse(as_list(self));
	return j_none();
}

METHOD(l_clear)
{
	UNUSED(r, v, args);
	j_work(r, 0);
	as_list(self)->n = 0;
	return j_none();
}

METHOD(l_copy)
{
	UNUSED(r, v, args);
	return j_slice(r, self, j_none(), j_none(), j_none());
}

METHOD(l_sort)
{
	UNUSED(r, v, args);
	jval sorted = call_filter(r, STR_LIT("sort"), self,
				  &(struct jargs){.names = &(struct str){"case_sensitive", 14},
						  .named = &(jval){J_BOOL, false, {.b = true}},
						  .n_named = 1});
	if (v[0].type != J_MISSING && j_true(r, v[0]))
		list_reverse(as_list(sorted));
	if (as_list(self)->n)
		memcpy(as_list(self)->v, as_list(sorted)->v, as_list(self)->n * sizeof(jval));
	return j_none();
}

const struct builtin jinja_list_methods[] = {
	{"append", "object", 1, l_append},
	{"pop", "index", 0, l_pop},
	{"extend", "iterable", 1, l_extend},
	{"insert", "index,object", 2, l_insert},
	{"remove", "value", 1, l_remove},
	{"index", "value", 1, l_index},
	{"count", "value", 1, l_count},
	{"reverse", "", 0, l_reverse},
	{"sort", "reverse", 0, l_sort},
	{"clear", "", 0, l_clear},
	{"copy", "", 0, l_copy},
	{0},
};

const struct builtin jinja_tuple_methods[] = {
	{"index", "value", 1, l_index},
	{"count", "value", 1, l_count},
	{0},
};
