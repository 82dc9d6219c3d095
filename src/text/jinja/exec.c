/* Statements, and what has variables of its own: loops, macros, blocks. */
#include "text/jinja/internal.h"

/* ---- variables ---- */

void scope_set(struct jinja_run *r, struct scope *s, uint32_t name, jval v)
{
	for (uint32_t i = 0; i < s->n; i++) {
		if (s->slots[i].name == name) {
			s->slots[i].v = v;
			return;
		}
	}
	if (s->n == s->cap) {
		uint32_t cap = s->cap ? s->cap * 2 : 8;
		struct slot *more = j_array(r, cap, sizeof *more);
		if (s->n)
			memcpy(more, s->slots, s->n * sizeof *more);
		s->slots = more;
		s->cap = cap;
	}
	s->slots[s->n++] = (struct slot){name, v};
}

struct scope *scope_push(struct jinja_run *r, struct scope *parent)
{
	struct scope *s = r->spare;
	if (s)
		r->spare = s->parent;
	else
		s = j_alloc(r, sizeof *s);
	s->n = 0;
	s->parent = parent;
	s->kept = false;
	r->scope = s;
	return s;
}

void scope_pop(struct jinja_run *r, struct scope *s, struct scope *back)
{
	r->scope = back;
	if (s->kept)
		return;
	s->parent = r->spare;
	r->spare = s;
}

static jval closure(struct jinja_run *r, const struct macro *m)
{
	struct jfunction *f = j_alloc(r, sizeof *f);
	*f = (struct jfunction){.macro = m, .scope = r->scope};
	for (struct scope *s = r->scope; s && !s->kept; s = s->parent)
		s->kept = true;
	return (jval){J_FUNCTION, false, {.p = f}};
}

static void assign(struct jinja_run *r, struct scope *s, const struct node *target, jval v)
{
	if (target->kind == N_NAME) {
		scope_set(r, s, target->name, v);
		return;
	}
	r->line = target->line;
	if (target->kind == N_NSREF) {
		struct node name = *target;
		name.kind = N_NAME;
		jval space = eval(r, &name);
		if (space.type != J_NAMESPACE)
			j_fail(r, "a member can be set of a namespace alone, not of a %s", type_name(space));
		dict_put(r, as_dict(space), j_str(r, target->text.ptr, target->text.len, true), v);
		return;
	}
	const struct jlist *items = j_items(r, v);
	if (items->n != target->n)
		j_fail(r, "%zu values are to be set from %zu", target->n, items->n);
	for (size_t i = 0; i < items->n; i++)
		assign(r, s, target->list[i], items->v[i]);
}

/* ---- what is written into a string ---- */

/* The block's output, with variables of its own. */
static jval capture(struct jinja_run *r, const struct node *block, enum exec_result *result)
{
	struct jbuild b = jb_new(r), *outer = r->out;
	struct scope *back = r->scope, *s = scope_push(r, back);
	r->out = &b;
	*result = exec(r, block);
	r->out = outer;
	scope_pop(r, s, back);
	return jb_done(&b);
}

/* ---- loops ---- */

static bool passes(struct jinja_run *r, struct jloop *l, jval item)
{
	if (!l->node->c)
		return true;
	struct scope *back = r->scope, *s = scope_push(r, l->outer);
	assign(r, s, l->node->a, item);
	bool ok = j_true(r, eval(r, l->node->c));
	scope_pop(r, s, back);
	return ok;
}

/* The next item that the loop's condition lets through; J_MISSING: there is none. */
static jval fetch(struct jinja_run *r, struct jloop *l)
{
	while (l->next < l->items->n) {
		jval item = l->items->v[l->next++];
		if (passes(r, l, item))
			return item;
	}
	return j_missing();
}

static jval look_ahead(struct jinja_run *r, struct jloop *l)
{
	if (l->after.type == J_MISSING)
		l->after = fetch(r, l);
	return l->after;
}

static size_t loop_length(struct jinja_run *r, struct jloop *l)
{
	if (!l->node->c)
		return l->items->n;
	if (!l->is_counted) { /* what passes is fixed from here on, as when jinja2 makes a list of it */
		struct jlist *rest = as_list(j_list(r, K_LIST, 0));
		size_t before = l->index + 1;
		if (l->after.type != J_MISSING)
			list_push(r, rest, l->after);
		for (jval v; (v = fetch(r, l)).type != J_MISSING;)
			list_push(r, rest, v);
		l->after = j_missing();
		l->items = rest;
		l->next = 0;
		l->length = before + rest->n;
		l->is_counted = true;
	}
	return l->length;
}

static jval next_item(struct jinja_run *r, struct jloop *l)
{
	if (l->after.type != J_MISSING) {
		jval v = l->after;
		l->after = j_missing();
		return v;
	}
	if (!l->is_counted)
		return fetch(r, l);
	return l->next < l->items->n ? l->items->v[l->next++] : j_missing();
}

jval loop_member(struct jinja_run *r, struct jloop *l, struct str name)
{
	if (str_eq_c(name, "index"))
		return j_int((int64_t)l->index + 1, true);
	if (str_eq_c(name, "index0"))
		return j_int((int64_t)l->index, true);
	if (str_eq_c(name, "first"))
		return j_bool(l->index == 0);
	if (str_eq_c(name, "last"))
		return j_bool(l->is_counted ? l->index + 1 == l->length : look_ahead(r, l).type == J_MISSING);
	if (str_eq_c(name, "length"))
		return j_int((int64_t)loop_length(r, l), true);
	if (str_eq_c(name, "revindex"))
		return j_int((int64_t)(loop_length(r, l) - l->index), true);
	if (str_eq_c(name, "revindex0"))
		return j_int((int64_t)(loop_length(r, l) - l->index) - 1, true);
	if (str_eq_c(name, "depth"))
		return j_int((int64_t)l->depth + 1, true);
	if (str_eq_c(name, "depth0"))
		return j_int((int64_t)l->depth, true);
	if (str_eq_c(name, "previtem"))
		return l->before.type == J_MISSING ? j_undefined(r, name, "loop at its first item")
						   : l->before;
	if (str_eq_c(name, "nextitem")) {
		if (l->is_counted && l->next < l->items->n)
			return l->items->v[l->next];
		jval v = l->is_counted ? j_missing() : look_ahead(r, l);
		return v.type == J_MISSING ? j_undefined(r, name, "loop at its last item") : v;
	}
	return j_missing();
}

static enum exec_result run_loop(struct jinja_run *r, const struct node *n, jval list, struct scope *outer,
				 size_t depth)
{
	struct jloop *l = j_alloc(r, sizeof *l);
	*l = (struct jloop){.node = n, .outer = outer, .depth = depth, .up = r->loop};
	l->items = j_items(r, list);
	struct scope *back = r->scope, *s = scope_push(r, outer);
	enum exec_result result = EXEC_ON;
	bool any = false, whole = false;
	for (jval item; result != EXEC_BREAK && (item = next_item(r, l)).type != J_MISSING;) {
		l->index = any ? l->index + 1 : 0;
		l->before = l->current;
		l->current = item;
		any = true;
		s->n = 0;
		scope_set(r, s, NAME_LOOP, (jval){J_LOOP, false, {.p = l}});
		assign(r, s, n->a, item);
		r->scope = s;
		r->loop = l;
		result = exec(r, n->d);
		whole = whole || result == EXEC_ON;
	}
	r->loop = l->up;
	scope_pop(r, s, back);
	result = EXEC_ON;
	if (!whole && n->e) { /* as jinja2 has it: also where no body came to its end */
		s = scope_push(r, outer);
		result = exec(r, n->e);
		scope_pop(r, s, back);
	}
	return result;
}

jval call_loop(struct jinja_run *r, struct jloop *loop, jval list)
{
	if (!loop->node->op)
		j_fail(r, "loop() is called, but the for is not recursive");
	struct jbuild b = jb_new(r), *outer = r->out;
	r->out = &b;
	j_enter(r);
	run_loop(r, loop->node, list, loop->outer, loop->depth + 1);
	j_leave(r);
	r->out = outer;
	return jb_done(&b);
}

/* ---- macros ---- */

/* Takes the named argument out of args, into *v. */
static bool take_named(const struct jargs *args, bool *taken, struct str name, jval *v)
{
	for (size_t i = 0; i < args->n_named; i++) {
		if (!taken[i] && str_eq(args->names[i], name)) {
			taken[i] = true;
			*v = args->named[i];
			return true;
		}
	}
	return false;
}

static void bind_rest(struct jinja_run *r, const struct macro *m, const struct jargs *args, bool *taken,
		      struct scope *s)
{
	jval caller = j_missing();
	if (m->uses_caller) {
		take_named(args, taken, STR_LIT("caller"), &caller);
		if (caller.type == J_MISSING)
			caller = j_undefined(r, STR_LIT("caller"), NULL);
		scope_set(r, s, NAME_CALLER, caller);
	}
	if (m->uses_varargs) {
		jval rest = j_list(r, K_TUPLE, 0);
		for (size_t i = m->n_params; i < args->n; i++)
			list_push(r, as_list(rest), args->v[i]);
		scope_set(r, s, NAME_VARARGS, rest);
	} else if (args->n > m->n_params) {
		j_fail(r, "the macro \"%.*s\" takes %zu arguments, and is given %zu", STR_ARG(m->name),
		       m->n_params, args->n);
	}
	jval rest = m->uses_kwargs ? j_dict(r) : j_missing();
	for (size_t i = 0; i < args->n_named; i++) {
		if (taken[i])
			continue;
		if (!m->uses_kwargs)
			j_fail(r, "the macro \"%.*s\" takes no argument \"%.*s\"", STR_ARG(m->name),
			       STR_ARG(args->names[i]));
		dict_put(r, as_dict(rest), args_name(r, args, i), args->named[i]);
	}
	if (m->uses_kwargs)
		scope_set(r, s, NAME_KWARGS, rest);
}

jval call_macro(struct jinja_run *r, const struct jfunction *f, const struct jargs *args)
{
	const struct macro *m = f->macro;
	struct jbuild b = jb_new(r), *outer = r->out;
	struct scope *back = r->scope, *s = scope_push(r, f->scope);
	bool *taken = j_array(r, args->n_named, sizeof *taken);
	jval given;
	for (size_t i = 0; i < m->n_params; i++) {
		given = j_missing();
		if (i < args->n)
			given = args->v[i];
		else
			take_named(args, taken, m->param_names[i], &given);
		scope_set(r, s, m->params[i], given);
	}
	bind_rest(r, m, args, taken, s);
	j_enter(r);
	for (size_t i = 0; i < m->n_params; i++) {
		if (s->slots[i].v.type != J_MISSING)
			continue;
		jval v = m->defaults[i] ? eval(r, m->defaults[i]) : j_undefined(r, m->param_names[i], NULL);
		scope_set(r, s, m->params[i], v);
	}
	r->out = &b;
	exec(r, m->body);
	r->out = outer;
	j_leave(r);
	scope_pop(r, s, back);
	return jb_done(&b);
}

/* ---- statements ---- */

static enum exec_result exec_block(struct jinja_run *r, const struct node *n)
{
	for (size_t i = 0; i < n->n; i++) {
		enum exec_result result = exec(r, n->list[i]);
		if (result != EXEC_ON)
			return result;
	}
	return EXEC_ON;
}

static enum exec_result exec_if(struct jinja_run *r, const struct node *n)
{
	while (n && n->kind == N_IF) {
		j_work(r, 0);
		if (j_true(r, eval(r, n->a)))
			return exec(r, n->b);
		n = n->c;
	}
	return n ? exec(r, n) : EXEC_ON;
}

static enum exec_result exec_set_block(struct jinja_run *r, const struct node *n)
{
	enum exec_result result;
	jval text = capture(r, n->d, &result);
	assign(r, r->scope, n->a, eval_filters(r, n->b, text));
	return result;
}

static enum exec_result exec_filter_block(struct jinja_run *r, const struct node *n)
{
	enum exec_result result;
	jval text = capture(r, n->d, &result);
	print_str(r->out, eval_filters(r, n->b, text));
	return result;
}

static enum exec_result exec_scope(struct jinja_run *r, const struct node *n)
{
	struct scope *back = r->scope, *s = scope_push(r, back);
	for (size_t i = 0; i + 1 < n->n; i += 2) { /* of with */
		r->scope = back;
		jval v = eval(r, n->list[i + 1]);
		r->scope = s;
		assign(r, s, n->list[i], v);
	}
	enum exec_result result = exec(r, n->d);
	scope_pop(r, s, back);
	return result;
}

static enum exec_result exec_for(struct jinja_run *r, const struct node *n)
{
	jval list = eval(r, n->b);
	r->line = n->line;
	return run_loop(r, n, list, r->scope, 0);
}

static enum exec_result exec_node(struct jinja_run *r, const struct node *n)
{
	switch (n->kind) {
	case N_TEXT:
		jb_str(r->out, as_str(n->value));
		break;
	case N_OUTPUT: {
		jval v = eval(r, n->a);
		r->line = n->line;
		print_str(r->out, v);
		break;
	}
	case N_BLOCK:
		return exec_block(r, n);
	case N_IF:
		return exec_if(r, n);
	case N_FOR:
		return exec_for(r, n);
	case N_SET:
		assign(r, r->scope, n->a, eval(r, n->b));
		break;
	case N_SET_BLOCK:
		return exec_set_block(r, n);
	case N_FILTER_BLOCK:
		return exec_filter_block(r, n);
	case N_MACRO: {
		jval f = closure(r, n->macro);
		scope_set(r, r->scope, n->macro->name_id, f);
		break;
	}
	case N_CALL_BLOCK: {
		jval caller = closure(r, n->macro);
		print_str(r->out, eval_call(r, n->a, caller));
		break;
	}
	case N_WITH:
	case N_SCOPE:
		return exec_scope(r, n);
	case N_BREAK:
		return EXEC_BREAK;
	case N_CONTINUE:
		return EXEC_CONTINUE;
	default:
		j_fail(r, "something that is no statement");
	}
	return EXEC_ON;
}

enum exec_result exec(struct jinja_run *r, const struct node *n)
{
	r->line = n->line;
	j_work(r, 0);
	j_enter(r);
	enum exec_result result = exec_node(r, n);
	j_leave(r);
	return result;
}
