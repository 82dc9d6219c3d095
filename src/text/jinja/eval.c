/* Expressions. */
#include "text/jinja/internal.h"

static jval lookup(struct jinja_run *r, const struct node *n)
{
	jval v;
	for (const struct scope *s = r->scope; s; s = s->parent)
		for (uint32_t i = s->n; i-- > 0;)
			if (s->slots[i].name == n->name) {
				v = s->slots[i].v;
				goto found;
			}
	v = r->base[n->name];
found:
	return v.type == J_MISSING ? j_undefined(r, n->text, NULL) : v;
}

/* ---- members ---- */

static jval bound(struct jinja_run *r, jval self, const struct builtin *method)
{
	struct jfunction *f = j_alloc(r, sizeof *f);
	*f = (struct jfunction){.builtin = method, .self = self};
	return (jval){J_FUNCTION, false, {.p = f}};
}

static void saw(struct jinja_run *r, const struct jdict *d)
{
	if (d->message >= 0)
		r->last_message = d->message;
}

jval j_attr(struct jinja_run *r, jval of, jval name)
{
	struct str key = str_view(as_str(name));
	if (of.type == J_UNDEFINED)
		j_undefined_fail(r, of);
	if (of.type == J_LOOP) {
		jval v = loop_member(r, of.as.p, key);
		if (v.type != J_MISSING)
			return v;
	}
	if (of.type == J_DICT)
		saw(r, as_dict(of));
	const struct builtin *method = find_method(of, key);
	if (method)
		return bound(r, of, method);
	if (of.type == J_DICT || of.type == J_NAMESPACE || of.type == J_CYCLER) {
		j_work(r, 0);
		const jval *v = dict_get_text(r, as_dict(of), key);
		if (v)
			return *v;
	}
	return j_undefined(r, key, type_name(of));
}

/* -1: out of range */
static ptrdiff_t place(int64_t i, size_t n)
{
	if (i < 0)
		i += (int64_t)n;
	return i < 0 || (uint64_t)i >= n ? -1 : (ptrdiff_t)i;
}

static bool can_be_key(jval key)
{
	if (key.type == J_LIST && as_list(key)->kind == K_TUPLE) {
		for (size_t i = 0; i < as_list(key)->n; i++)
			if (!can_be_key(as_list(key)->v[i]))
				return false;
		return true;
	}
	return key.type != J_LIST && key.type != J_DICT;
}

jval j_item(struct jinja_run *r, jval of, jval key)
{
	int64_t i;
	if (of.type == J_UNDEFINED)
		j_undefined_fail(r, of);
	if (of.type == J_DICT) {
		saw(r, as_dict(of));
		const jval *v = can_be_key(key) ? dict_get(r, as_dict(of), key) : NULL;
		if (v)
			return *v;
	} else if (of.type == J_LIST && as_list(of)->kind <= K_RANGE && j_whole(key, &i)) {
		ptrdiff_t at = place(i, as_list(of)->n);
		if (at >= 0)
			return as_list(of)->v[at];
	} else if (of.type == J_STRING && j_whole(key, &i)) {
		struct jstr *s = as_str(of);
		ptrdiff_t at = place(i, str_chars(s));
		if (at >= 0) {
			size_t from = str_byte_of(s, (size_t)at), len;
			j_work(r, str_chars(s) == s->n ? 0 : from);
			utf8_at(s->p + from, s->n - from, &len);
			return j_sub(r, s, from, from + len);
		}
	}
	if (key.type == J_STRING)
		return j_attr(r, of, key);
	return j_undefined(r, str_view(j_soft_str(r, can_be_key(key) ? key : j_text(r, "..."))),
			   type_name(of));
}

/* ---- slices ---- */

static int64_t slice_bound(struct jinja_run *r, jval v, int64_t fallback)
{
	int64_t i;
	if (v.type == J_NONE || v.type == J_MISSING)
		return fallback;
	if (v.type == J_UNDEFINED)
		j_undefined_fail(r, v);
	if (!j_whole(v, &i))
		j_fail(r, "a slice has a %s where a whole number or none is wanted", type_name(v));
	return i;
}

struct span {
	int64_t from, to, step;
	size_t n;
};

static int64_t clamp(int64_t i, int64_t n, int64_t low, int64_t high)
{
	if (i < 0)
		i += n;
	return i < low ? low : i > high ? high : i;
}

static struct span slice_span(struct jinja_run *r, size_t length, jval from, jval to, jval step)
{
	int64_t n = (int64_t)length, by = slice_bound(r, step, 1);
	if (by == 0)
		j_fail(r, "a slice has the step 0");
	if (by < -n - 1)
		by = -n - 1;
	if (by > n + 1)
		by = n + 1;
	bool back = by < 0;
	int64_t a = back ? n - 1 : 0, b = back ? -1 : n;
	if (from.type != J_NONE && from.type != J_MISSING)
		a = clamp(slice_bound(r, from, 0), n, back ? -1 : 0, back ? n - 1 : n);
	if (to.type != J_NONE && to.type != J_MISSING)
		b = clamp(slice_bound(r, to, 0), n, back ? -1 : 0, back ? n - 1 : n);
	struct span s = {a, b, by, 0};
	if (!back && b > a)
		s.n = (size_t)((b - a - 1) / by + 1); /* NOLINT(clang-analyzer-core.DivideZero): not 0 */
	if (back && b < a)
		s.n = (size_t)((a - b - 1) / -by + 1);
	return s;
}

static jval slice_string(struct jinja_run *r, const struct jstr *s, jval from, jval to, jval step)
{
	size_t chars = str_chars(s), len;
	struct span span = slice_span(r, chars, from, to, step);
	j_work(r, chars == s->n ? 0 : s->n);
	if (span.step == 1) {
		size_t a = str_byte_of(s, (size_t)span.from);
		size_t b = chars == s->n ? a + span.n : str_byte_of(s, (size_t)span.from + span.n);
		return j_sub(r, s, a, b);
	}
	struct jbuild b = jb_new(r);
	size_t *at = NULL; /* where each character begins */
	if (chars != s->n) {
		at = j_array(r, chars, sizeof *at);
		size_t k = 0;
		for (size_t i = 0; i < s->n; i += len) {
			at[k++] = i;
			utf8_at(s->p + i, s->n - i, &len);
		}
	}
	for (size_t i = 0; i < span.n; i++) {
		size_t c = (size_t)(span.from + (int64_t)i * span.step);
		size_t byte = at ? at[c] : c;
		utf8_at(s->p + byte, s->n - byte, &len);
		jb_sub(&b, s, byte, byte + len);
	}
	jval made = jb_done(&b);
	as_str(made)->markup = s->markup;
	return made;
}

jval j_slice(struct jinja_run *r, jval of, jval from, jval to, jval step)
{
	if (of.type == J_UNDEFINED)
		j_undefined_fail(r, of);
	if (of.type == J_STRING)
		return slice_string(r, as_str(of), from, to, step);
	if (of.type != J_LIST || as_list(of)->kind > K_RANGE)
		j_fail(r, "a %s has no slices", type_name(of));
	const struct jlist *l = as_list(of);
	struct span s = slice_span(r, l->n, from, to, step);
	jval made = j_list(r, l->kind == K_TUPLE ? K_TUPLE : K_LIST, s.n + 3);
	j_work(r, s.n);
	for (size_t i = 0; i < s.n; i++)
		list_push(r, as_list(made), l->v[s.from + (int64_t)i * s.step]);
	if (l->kind == K_RANGE) {
		const int64_t base = l->v[l->n].as.i, step_of = l->v[l->n + 2].as.i;
		as_list(made)->kind = K_RANGE;
		range_bounds(as_list(made), base + s.from * step_of, base + s.to * step_of, step_of * s.step);
	}
	return made;
}

/* ---- calls ---- */

enum { FEW_ARGS = 6 };
struct evaluated {
	struct jargs args;
	jval few[FEW_ARGS], few_named[FEW_ARGS];
	struct str few_names[FEW_ARGS];
};

static void add_star(struct jinja_run *r, struct jargs *args, jval list)
{
	const struct jlist *more = j_items(r, list);
	jval *all = j_array(r, args->n + more->n, sizeof *all);
	memcpy(all, args->v, args->n * sizeof *all);
	if (more->n)
		memcpy(all + args->n, more->v, more->n * sizeof *all);
	args->v = all;
	args->n += more->n;
}

/* Room for more named arguments, with those there are. */
static void more_named(struct jinja_run *r, struct jargs *args, size_t more)
{
	jval *named = j_array(r, args->n_named + more, sizeof *named);
	struct str *names = j_array(r, args->n_named + more, sizeof *names);
	if (args->n_named) {
		memcpy(named, args->named, args->n_named * sizeof *named);
		memcpy(names, args->names, args->n_named * sizeof *names);
	}
	args->named = named;
	args->names = names;
}

static void add_named(struct jinja_run *r, struct jargs *args, struct str name, jval v)
{
	for (size_t i = 0; i < args->n_named; i++)
		if (str_eq(args->names[i], name))
			j_fail(r, "the argument \"%.*s\" is given twice", STR_ARG(name));
	args->names[args->n_named] = name;
	args->named[args->n_named++] = v;
}

static void add_star_star(struct jinja_run *r, struct jargs *args, jval dict)
{
	if (dict.type != J_DICT)
		j_fail(r, "what follows ** in a call is a %s, not a dict", type_name(dict));
	more_named(r, args, as_dict(dict)->n);
	for (size_t i = 0; i < as_dict(dict)->n; i++) {
		jval key = as_dict(dict)->v[i].key;
		if (key.type != J_STRING)
			j_fail(r, "what follows ** in a call has a key that is a %s", type_name(key));
		add_named(r, args, str_view(as_str(key)), as_dict(dict)->v[i].value);
	}
}

/* What from says, evaluated; caller is what a call block passes, or nothing. */
static void evaluate_args(struct jinja_run *r, const struct call_args *from, jval caller, struct evaluated *e)
{
	e->args = (struct jargs){.v = e->few, .named = e->few_named, .names = e->few_names};
	if (from) {
		if (from->n > FEW_ARGS)
			e->args.v = j_array(r, from->n, sizeof(jval));
		for (size_t i = 0; i < from->n; i++)
			e->args.v[e->args.n++] = eval(r, from->v[i]);
		if (from->n_named >= FEW_ARGS)
			more_named(r, &e->args, from->n_named + 1);
		for (size_t i = 0; i < from->n_named; i++)
			add_named(r, &e->args, from->named[i].name, eval(r, from->named[i].value));
		e->args.n_written = from->n_named;
		if (from->star)
			add_star(r, &e->args, eval(r, from->star));
		if (from->star_star)
			add_star_star(r, &e->args, eval(r, from->star_star));
	}
	if (caller.type != J_MISSING) {
		more_named(r, &e->args, 1);
		add_named(r, &e->args, STR_LIT("caller"), caller);
	}
}

/* Not part of eval, whose frame every nested expression pays for. */
__attribute__((noinline)) jval eval_call(struct jinja_run *r, const struct node *n, jval caller)
{
	struct evaluated e;
	jval f, self = j_missing();
	const struct builtin *method = NULL;
	if (n->a->kind == N_ATTR) { /* a method is called without being made a value */
		self = eval(r, n->a->a);
		r->line = n->line;
		if (self.type == J_UNDEFINED)
			j_undefined_fail(r, self);
		method = find_method(self, n->a->text);
		f = method ? j_missing() : j_attr(r, self, n->a->value);
	} else {
		f = eval(r, n->a);
	}
	evaluate_args(r, n->args, caller, &e);
	r->line = n->line;
	return method ? call_builtin(r, method, self, &e.args) : j_call(r, f, &e.args);
}

__attribute__((noinline)) static jval eval_filter(struct jinja_run *r, const struct node *n, jval v)
{
	struct evaluated e;
	evaluate_args(r, n->args, j_missing(), &e);
	r->line = n->line;
	return call_filter(r, n->text, v, &e.args);
}

__attribute__((noinline)) static jval eval_test(struct jinja_run *r, const struct node *n)
{
	struct evaluated e;
	jval v = eval(r, n->a);
	evaluate_args(r, n->args, j_missing(), &e);
	r->line = n->line;
	return j_bool(call_test(r, n->text, v, &e.args));
}

jval eval_filters(struct jinja_run *r, const struct node *n, jval v)
{
	return n ? eval_filter(r, n, eval_filters(r, n->a, v)) : v;
}

/* ---- operators ---- */

static bool compare(struct jinja_run *r, uint8_t op, jval a, jval b)
{
	static const char *const signs[] = {"==", "!=", "<", "<=", ">", ">=", "in", "not in"};
	int order;
	switch (op) {
	case OP_EQ:
		return j_equal(r, a, b);
	case OP_NE:
		return !j_equal(r, a, b);
	case OP_IN:
		return j_contains(r, b, a);
	case OP_NOT_IN:
		return !j_contains(r, b, a);
	default:
		order = j_order(r, a, b, signs[op]);
	}
	if (order < -1)
		return false;
	return op == OP_LT ? order < 0 : op == OP_LE ? order <= 0 : op == OP_GT ? order > 0 : order >= 0;
}

static jval eval_compare(struct jinja_run *r, const struct node *n)
{
	jval left = eval(r, n->a);
	for (size_t i = 0; i < n->n; i++) {
		jval right = eval(r, n->list[i]->a);
		r->line = n->list[i]->line;
		if (!compare(r, n->list[i]->op, left, right))
			return j_bool(false);
		left = right;
	}
	return j_bool(true);
}

static jval eval_concat(struct jinja_run *r, const struct node *n)
{
	jval made = j_to_str(r, eval(r, n->list[0]));
	for (size_t i = 1; i < n->n; i++) {
		jval next = eval(r, n->list[i]);
		made = j_concat(r, as_str(made), j_soft_str(r, next));
	}
	return made;
}

static jval eval_list(struct jinja_run *r, const struct node *n)
{
	jval made = j_list(r, n->kind == N_LIST ? K_LIST : K_TUPLE, n->n);
	for (size_t i = 0; i < n->n; i++)
		list_push(r, as_list(made), eval(r, n->list[i]));
	return made;
}

static jval eval_dict(struct jinja_run *r, const struct node *n)
{
	jval made = j_dict(r);
	for (size_t i = 0; i + 1 < n->n; i += 2) {
		jval key = eval(r, n->list[i]);
		dict_put(r, as_dict(made), key, eval(r, n->list[i + 1]));
	}
	return made;
}

static jval eval_sign(struct jinja_run *r, const struct node *n)
{
	jval v = eval(r, n->a);
	double f;
	r->line = n->line;
	if (v.type == J_UNDEFINED)
		j_undefined_fail(r, v);
	if (!j_number(v, &f))
		j_fail(r, "a sign cannot stand before a %s", type_name(v));
	if (n->kind == N_NEGATE && v.type == J_FLOAT)
		return j_float(-f, v.trusted);
	return j_arith(r, n->kind == N_NEGATE ? OP_SUB : OP_ADD, j_int(0, true), v);
}

static jval eval_slice(struct jinja_run *r, const struct node *n)
{
	jval of = eval(r, n->a);
	jval from = n->b ? eval(r, n->b) : j_none(), to = n->c ? eval(r, n->c) : j_none(),
	     step = n->d ? eval(r, n->d) : j_none();
	r->line = n->line;
	return j_slice(r, of, from, to, step);
}

static jval eval_two(struct jinja_run *r, const struct node *n)
{
	jval a = eval(r, n->a), b;
	if (n->kind == N_AND)
		return j_true(r, a) ? eval(r, n->b) : a;
	if (n->kind == N_OR)
		return j_true(r, a) ? a : eval(r, n->b);
	b = eval(r, n->b);
	r->line = n->line;
	return n->kind == N_ITEM ? j_item(r, a, b) : j_arith(r, n->op, a, b);
}

static jval eval_condition(struct jinja_run *r, const struct node *n)
{
	jval test = eval(r, n->a);
	if (j_true(r, test))
		return eval(r, n->b);
	return n->c ? eval(r, n->c) : j_undefined(r, STR_LIT("the value of an if without else"), NULL);
}

static jval eval_attr(struct jinja_run *r, const struct node *n)
{
	jval of = eval(r, n->a);
	r->line = n->line;
	return j_attr(r, of, n->value);
}

static jval eval_node(struct jinja_run *r, const struct node *n)
{
	switch (n->kind) {
	case N_LIST:
	case N_TUPLE:
		return eval_list(r, n);
	case N_DICT:
		return eval_dict(r, n);
	case N_ATTR:
		return eval_attr(r, n);
	case N_SLICE:
		return eval_slice(r, n);
	case N_CALL:
		return eval_call(r, n, j_missing());
	case N_FILTER:
		return eval_filter(r, n, eval(r, n->a));
	case N_TEST:
		return eval_test(r, n);
	case N_NEGATE:
	case N_PLUS:
		return eval_sign(r, n);
	case N_NOT:
		return j_bool(!j_true(r, eval(r, n->a)));
	case N_ITEM:
	case N_AND:
	case N_OR:
	case N_BINARY:
		return eval_two(r, n);
	case N_CONCAT:
		return eval_concat(r, n);
	case N_COMPARE:
		return eval_compare(r, n);
	case N_COND:
		return eval_condition(r, n);
	default:
		j_fail(r, "something that is no expression");
	}
}

jval eval(struct jinja_run *r, const struct node *n)
{
	j_work(r, 0);
	if (n->kind == N_CONST)
		return n->value;
	r->line = n->line;
	if (n->kind == N_NAME)
		return lookup(r, n);
	j_enter(r);
	jval v = eval_node(r, n);
	j_leave(r);
	return v;
}
