/* What can be called: functions of the language, by tables; macros; loops. */
#include <math.h>

#include "text/jinja/internal.h"

const struct builtin *find_builtin(const struct builtin *table, struct str name)
{
	for (; table->name; table++)
		if (str_eq_c(name, table->name))
			return table;
	return NULL;
}

const struct builtin *find_method(jval of, struct str name)
{
	const struct builtin *table = NULL;
	if (of.type == J_STRING)
		table = jinja_string_methods;
	else if (of.type == J_DICT)
		table = jinja_dict_methods;
	else if (of.type == J_LIST && as_list(of)->kind == K_LIST)
		table = jinja_list_methods;
	else if (of.type == J_LIST && as_list(of)->kind == K_TUPLE)
		table = jinja_tuple_methods;
	else if (of.type == J_LOOP)
		table = jinja_loop_methods;
	else if (of.type == J_CYCLER)
		table = jinja_cycler_methods;
	return table ? find_builtin(table, name) : NULL;
}

/* Where name stands in "a,b,c"; -1: it does not. */
static int param_place(const char *params, struct str name)
{
	for (int i = 0;; i++) {
		size_t n = strcspn(params, ",");
		if (n && str_eq((struct str){params, n}, name))
			return i;
		if (!params[n])
			return -1;
		params += n + 1;
	}
}

static unsigned n_params(const char *params)
{
	unsigned n = *params != '\0';
	for (; *params; params++)
		n += *params == ',';
	return n;
}

jval call_builtin(struct jinja_run *r, const struct builtin *f, jval self, const struct jargs *args)
{
	jval v[MAX_PARAMS] = {0};
	j_work(r, 0);
	if (!f->params)
		return f->run(r, self, v, args);
	unsigned n = n_params(f->params);
	if (args->n > n)
		j_fail(r, "%s takes %u arguments, and is given %zu", f->name, n, args->n);
	for (size_t i = 0; i < args->n; i++)
		v[i] = args->v[i];
	for (size_t i = 0; i < args->n_named; i++) {
		int at = param_place(f->params, args->names[i]);
		if (at < 0)
			j_fail(r, "%s takes no argument \"%.*s\"", f->name, STR_ARG(args->names[i]));
		if (v[at].type != J_MISSING)
			j_fail(r, "%s is given \"%.*s\" twice", f->name, STR_ARG(args->names[i]));
		v[at] = args->named[i];
	}
	for (unsigned i = 0; i < f->n_min; i++)
		if (v[i].type == J_MISSING)
			j_fail(r, "%s wants %u argument%s, and is not given all", f->name, f->n_min,
			       f->n_min == 1 ? "" : "s");
	return f->run(r, self, v, args);
}

/* A name that came by ** may be the request's. */
jval args_name(struct jinja_run *r, const struct jargs *args, size_t i)
{
	return j_str(r, args->names[i].ptr, args->names[i].len, i < args->n_written);
}

int64_t arg_whole(struct jinja_run *r, jval v, int64_t fallback, const char *of)
{
	int64_t i;
	if (v.type == J_MISSING)
		return fallback;
	if (!j_whole(v, &i))
		j_fail(r, "%s takes a whole number, not a %s", of, type_name(v));
	return i;
}

bool arg_true(struct jinja_run *r, jval v)
{
	return v.type != J_MISSING && j_true(r, v);
}

jval j_call(struct jinja_run *r, jval f, const struct jargs *args)
{
	if (f.type == J_UNDEFINED)
		j_undefined_fail(r, f);
	if (f.type == J_LOOP) {
		if (args->n != 1 || args->n_named)
			j_fail(r, "loop() takes one argument, the list to go on with");
		return call_loop(r, f.as.p, args->v[0]);
	}
	if (f.type == J_JOINER) { /* its separator, but not the first time */
		struct jlist *l = f.as.p;
		if (l->taken++)
			return l->v[0];
		return j_text(r, "");
	}
	if (f.type != J_FUNCTION)
		j_fail(r, "a %s is called, which is no function", type_name(f));
	const struct jfunction *function = as_function(f);
	if (function->macro)
		return call_macro(r, function, args);
	return call_builtin(r, function->builtin, function->self, args);
}

jval call_filter(struct jinja_run *r, struct str name, jval v, const struct jargs *args)
{
	char quoted[48];
	const struct builtin *f = find_builtin(jinja_filters_text, name);
	if (!f)
		f = find_builtin(jinja_filters_list, name);
	if (!f)
		j_fail(r, "there is no filter %s here", str_quote(name, quoted, sizeof quoted));
	return call_builtin(r, f, v, args);
}

bool call_test(struct jinja_run *r, struct str name, jval v, const struct jargs *args)
{
	char quoted[48];
	const struct builtin *f = find_builtin(jinja_tests, name);
	if (!f)
		j_fail(r, "there is no test %s here", str_quote(name, quoted, sizeof quoted));
	return call_builtin(r, f, v, args).as.b;
}

/* ---- global functions ---- */

void range_bounds(struct jlist *l, int64_t from, int64_t to, int64_t step)
{
	l->v[l->n] = j_int(from, false);
	l->v[l->n + 1] = j_int(to, false);
	l->v[l->n + 2] = j_int(step, false);
}

static jval g_range(struct jinja_run *r, jval self, const jval *v, const struct jargs *args)
{
	int64_t n[3] = {0, 0, 1};
	(void)self;
	(void)args;
	for (int i = 0; i < 3 && v[i].type != J_MISSING; i++) {
		if (v[i].type == J_UNDEFINED)
			j_undefined_fail(r, v[i]);
		if (!j_whole(v[i], &n[i]))
			j_fail(r, "range takes whole numbers, not a %s", type_name(v[i]));
	}
	if (v[1].type == J_MISSING) {
		n[1] = n[0];
		n[0] = 0;
	}
	if (!n[2])
		j_fail(r, "range has the step 0");
	__int128 distance = n[2] > 0 ? (__int128)n[1] - n[0] : (__int128)n[0] - n[1];
	__int128 step = n[2] > 0 ? n[2] : -(__int128)n[2];
	__int128 count = distance > 0 ? (distance + step - 1) / step : 0;
	if (count > JINJA_MAX_RANGE)
		j_fail(r, "range has more than %d numbers", JINJA_MAX_RANGE);
	bool trusted = true;
	for (int i = 0; i < 3; i++)
		trusted = trusted && (v[i].type == J_MISSING || v[i].trusted);
	jval made = j_list(r, K_RANGE, (size_t)count + 3);
	struct jlist *l = as_list(made);
	j_work(r, (size_t)count);
	for (; l->n < (size_t)count; l->n++)
		l->v[l->n] = j_int(n[0] + (int64_t)l->n * n[2], trusted);
	range_bounds(l, n[0], n[1], n[2]);
	return made;
}

/* dict(...) and namespace(...): from a dict or pairs, and from named arguments. */
static jval make_dict(struct jinja_run *r, const struct jargs *args, const char *what)
{
	jval made = j_dict(r);
	if (args->n > 1)
		j_fail(r, "%s takes one argument without a name at most", what);
	if (args->n && args->v[0].type == J_DICT) {
		const struct jdict *from = as_dict(args->v[0]);
		j_work(r, from->n);
		for (size_t i = 0; i < from->n; i++)
			dict_put(r, as_dict(made), from->v[i].key, from->v[i].value);
	} else if (args->n) {
		const struct jlist *pairs = j_items(r, args->v[0]);
		for (size_t i = 0; i < pairs->n; i++) {
			const struct jlist *pair = j_items(r, pairs->v[i]);
			if (pair->n != 2)
				j_fail(r, "%s wants pairs, and is given %zu values", what, pair->n);
			dict_put(r, as_dict(made), pair->v[0], pair->v[1]);
		}
	}
	for (size_t i = 0; i < args->n_named; i++)
		dict_put(r, as_dict(made), args_name(r, args, i), args->named[i]);
	return made;
}

static jval g_dict(struct jinja_run *r, jval self, const jval *v, const struct jargs *args)
{
	(void)self;
	(void)v;
	return make_dict(r, args, "dict");
}

static jval g_namespace(struct jinja_run *r, jval self, const jval *v, const struct jargs *args)
{
	(void)self;
	(void)v;
	jval made = make_dict(r, args, "namespace");
	made.type = J_NAMESPACE;
	return made;
}

static jval g_joiner(struct jinja_run *r, jval self, const jval *v, const struct jargs *args)
{
	(void)self;
	(void)args;
	jval made = j_list(r, K_LIST, 1);
	list_push(r, as_list(made), v[0].type == J_MISSING ? j_text(r, ", ") : v[0]);
	made.type = J_JOINER;
	return made;
}

/* A cycler is a dict of "items", "at" and "current", of which templates see the last. */
static jval g_cycler(struct jinja_run *r, jval self, const jval *v, const struct jargs *args)
{
	(void)self;
	(void)v;
	if (!args->n || args->n_named)
		j_fail(r, "cycler takes at least one value, and none with a name");
	jval items = j_list(r, K_TUPLE, args->n), made = j_dict(r);
	for (size_t i = 0; i < args->n; i++)
		list_push(r, as_list(items), args->v[i]);
	dict_put(r, as_dict(made), j_text(r, "current"), args->v[0]);
	dict_put(r, as_dict(made), j_text(r, "items"), items);
	dict_put(r, as_dict(made), j_text(r, "at"), j_int(0, false));
	made.type = J_CYCLER;
	return made;
}

static jval cycler_turn(struct jinja_run *r, jval self, bool back)
{
	struct jdict *d = as_dict(self);
	const struct jlist *items = as_list(*dict_get_text(r, d, STR_LIT("items")));
	jval *at = dict_get_text(r, d, STR_LIT("at")), *current = dict_get_text(r, d, STR_LIT("current"));
	jval was = *current;
	j_work(r, 0);
	at->as.i = back ? 0 : (at->as.i + 1) % (int64_t)items->n;
	*current = items->v[at->as.i];
	return was;
}

static jval cycler_next(struct jinja_run *r, jval self, const jval *v, const struct jargs *args)
{
	(void)v;
	(void)args;
	return cycler_turn(r, self, false);
}

static jval cycler_reset(struct jinja_run *r, jval self, const jval *v, const struct jargs *args)
{
	(void)v;
	(void)args;
	cycler_turn(r, self, true);
	return j_none();
}

static jval g_raise(struct jinja_run *r, jval self, const jval *v, const struct jargs *args)
{
	(void)self;
	(void)args;
	const struct jstr *words = j_soft_str(r, v[0]);
	r->refused = true;
	j_fail(r, "%.*s", STR_ARG(str_view(words)));
}

static jval g_strftime_now(struct jinja_run *r, jval self, const jval *v, const struct jargs *args)
{
	(void)self;
	(void)args;
	if (v[0].type != J_STRING)
		j_fail(r, "strftime_now takes a text, not a %s", type_name(v[0]));
	return format_time(r, as_str(v[0]));
}

const struct builtin jinja_globals[] = {
	{"range", "start,stop,step", 1, g_range},
	{"dict", NULL, 0, g_dict},
	{"namespace", NULL, 0, g_namespace},
	{"joiner", "sep", 0, g_joiner},
	{"cycler", NULL, 0, g_cycler},
	{"raise_exception", "message", 1, g_raise},
	{"strftime_now", "format", 1, g_strftime_now},
	{0},
};

const struct builtin jinja_cycler_methods[] = {
	{"next", "", 0, cycler_next},
	{"reset", "", 0, cycler_reset},
	{0},
};

jval j_global(struct jinja_run *r, struct str name)
{
	const struct builtin *g = find_builtin(jinja_globals, name);
	if (!g)
		return j_missing();
	struct jfunction *f = j_alloc(r, sizeof *f);
	*f = (struct jfunction){.builtin = g};
	return (jval){J_FUNCTION, false, {.p = f}};
}

/* ---- methods of loop ---- */

static jval loop_cycle(struct jinja_run *r, jval self, const jval *v, const struct jargs *args)
{
	(void)v;
	const struct jloop *l = self.as.p;
	if (!args->n)
		j_fail(r, "loop.cycle wants at least one value");
	return args->v[l->index % args->n];
}

static jval loop_changed(struct jinja_run *r, jval self, const jval *v, const struct jargs *args)
{
	(void)v;
	struct jloop *l = self.as.p;
	jval now = j_list(r, K_TUPLE, args->n);
	for (size_t i = 0; i < args->n; i++)
		list_push(r, as_list(now), args->v[i]);
	bool changed = l->changed.type == J_MISSING || !j_equal(r, l->changed, now);
	l->changed = now;
	return j_bool(changed);
}

const struct builtin jinja_loop_methods[] = {
	{"cycle", NULL, 0, loop_cycle},
	{"changed", NULL, 0, loop_changed},
	{0},
};

/* ---- tests ---- */

#define TEST(name, condition)                                                                         \
	static jval t_##name(struct jinja_run *r, jval self, const jval *v, const struct jargs *args) \
	{                                                                                             \
		(void)r;                                                                              \
		(void)self;                                                                           \
		(void)v;                                                                              \
		(void)args;                                                                           \
		return j_bool(condition);                                                             \
	}

static bool is_callable(jval v)
{
	return v.type == J_FUNCTION || v.type == J_LOOP || v.type == J_JOINER || v.type == J_UNDEFINED;
}

static bool is_iterable(jval v)
{
	return v.type == J_UNDEFINED || v.type == J_STRING || v.type == J_LIST || v.type == J_DICT ||
	       v.type == J_LOOP;
}

static bool is_sequence(jval v)
{
	return v.type == J_UNDEFINED || v.type == J_STRING || v.type == J_DICT ||
	       (v.type == J_LIST && as_list(v)->kind <= K_RANGE);
}

static bool is_number(jval v)
{
	return v.type == J_INT || v.type == J_FLOAT || v.type == J_BOOL || v.type == J_BIG;
}

static bool is_whole(struct jinja_run *r, jval v, jval by, int64_t rest)
{
	jval m = j_arith(r, OP_MOD, v, by);
	return j_equal(r, m, j_int(rest, false));
}

static bool is_same(struct jinja_run *r, jval a, jval b)
{
	if (a.type != b.type)
		return false;
	return a.type == J_LIST || a.type == J_DICT ? a.as.p == b.as.p : j_equal(r, a, b);
}

/* Letters there are, and all of one case. */
static bool has_case(const struct jstr *s, bool upper)
{
	bool any = false;
	size_t len;
	for (size_t i = 0; i < s->n; i += len) {
		uint32_t c = utf8_at(s->p + i, s->n - i, &len);
		if (upper ? char_is_lower(c) : char_is_upper(c))
			return false;
		any = any || (upper ? char_is_upper(c) : char_is_lower(c));
	}
	return any;
}

static bool order_is(struct jinja_run *r, jval a, jval b, const char *sign)
{
	int order = j_order(r, a, b, sign);
	if (order < -1)
		return false;
	return *sign == '<' ? (sign[1] ? order <= 0 : order < 0) : (sign[1] ? order >= 0 : order > 0);
}

static bool is_name_of(jval v, const struct builtin *table)
{
	return v.type == J_STRING && find_builtin(table, str_view(as_str(v)));
}

TEST(callable, is_callable(self))
TEST(boolean, self.type == J_BOOL)
TEST(defined, self.type != J_UNDEFINED)
TEST(undefined, self.type == J_UNDEFINED)
TEST(divisibleby, is_whole(r, self, v[0], 0))
TEST(even, is_whole(r, self, j_int(2, false), 0))
TEST(odd, is_whole(r, self, j_int(2, false), 1))
TEST(eq, j_equal(r, self, v[0]))
TEST(ne, !j_equal(r, self, v[0]))
TEST(lt, order_is(r, self, v[0], "<"))
TEST(le, order_is(r, self, v[0], "<="))
TEST(gt, order_is(r, self, v[0], ">"))
TEST(ge, order_is(r, self, v[0], ">="))
TEST(in, j_contains(r, v[0], self))
TEST(escaped, self.type == J_STRING && as_str(self)->markup)
TEST(false, self.type == J_BOOL && !self.as.b)
TEST(true, self.type == J_BOOL && self.as.b)
TEST(none, self.type == J_NONE)
TEST(float, self.type == J_FLOAT)
TEST(integer, self.type == J_INT || self.type == J_BIG)
TEST(number, is_number(self))
TEST(string, self.type == J_STRING)
TEST(mapping, self.type == J_DICT)
TEST(iterable, is_iterable(self))
TEST(sequence, is_sequence(self))
TEST(sameas, is_same(r, self, v[0]))
TEST(lower, has_case(j_soft_str(r, self), false))
TEST(upper, has_case(j_soft_str(r, self), true))
TEST(filter, is_name_of(self, jinja_filters_text) || is_name_of(self, jinja_filters_list))
TEST(test, is_name_of(self, jinja_tests))

const struct builtin jinja_tests[] = {
	{"defined", "", 0, t_defined},
	{"string", "", 0, t_string},
	{"none", "", 0, t_none},
	{"mapping", "", 0, t_mapping},
	{"iterable", "", 0, t_iterable},
	{"sequence", "", 0, t_sequence},
	{"undefined", "", 0, t_undefined},
	{"true", "", 0, t_true},
	{"false", "", 0, t_false},
	{"boolean", "", 0, t_boolean},
	{"number", "", 0, t_number},
	{"integer", "", 0, t_integer},
	{"float", "", 0, t_float},
	{"equalto", "other", 1, t_eq},
	{"eq", "other", 1, t_eq},
	{"==", "other", 1, t_eq},
	{"ne", "other", 1, t_ne},
	{"!=", "other", 1, t_ne},
	{"lt", "other", 1, t_lt},
	{"lessthan", "other", 1, t_lt},
	{"<", "other", 1, t_lt},
	{"le", "other", 1, t_le},
	{"<=", "other", 1, t_le},
	{"gt", "other", 1, t_gt},
	{"greaterthan", "other", 1, t_gt},
	{">", "other", 1, t_gt},
	{"ge", "other", 1, t_ge},
	{">=", "other", 1, t_ge},
	{"in", "seq", 1, t_in},
	{"sameas", "other", 1, t_sameas},
	{"divisibleby", "num", 1, t_divisibleby},
	{"even", "", 0, t_even},
	{"odd", "", 0, t_odd},
	{"lower", "", 0, t_lower},
	{"upper", "", 0, t_upper},
	{"callable", "", 0, t_callable},
	{"escaped", "", 0, t_escaped},
	{"filter", "", 0, t_filter},
	{"test", "", 0, t_test},
	{0},
};
