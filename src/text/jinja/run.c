/* A run from outside: the values it is given, rendering, and what came of it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/plain_locale.h"
#include "base/rng.h"
#include "text/jinja/internal.h"

static void fail_text(struct jinja_run *r, const char *text)
{
	r->rc = r->refused ? err_set(r->err, HOKKU_INVALID_REQUEST, "%s", text)
			   : err_set(r->err, HOKKU_INVALID_REQUEST, "line %u: %s", r->line, text);
}

void j_fail(struct jinja_run *r, const char *format, ...)
{
	char text[500];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (n >= (int)sizeof text) { /* cut where a character ends */
		size_t keep = utf8_valid_prefix(text, sizeof text - 4);
		memcpy(text + keep, "...", 4);
	}
	r->message = r->last_message;
	for (const struct jloop *l = r->loop; l; l = l->up) {
		if (l->current.type == J_DICT && as_dict(l->current)->message >= 0) {
			r->message = as_dict(l->current)->message;
			break;
		}
	}
	fail_text(r, text);
	longjmp(r->jump, 1);
}

struct jinja_run *jinja_run_create(void)
{
	struct jinja_run *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	r->seed[0] = rng_os_seed();
	r->seed[1] = rng_os_seed();
	r->message = r->last_message = -1;
	r->max_steps = JINJA_MAX_STEPS;
	r->max_memory = JINJA_MAX_MEMORY_BYTES;
	return r;
}

void jinja_run_destroy(struct jinja_run *r)
{
	if (!r)
		return;
	arena_free(&r->mem);
	free(r->vars);
	free(r);
}

void jinja_limit(struct jinja_run *r, uint64_t max_steps, size_t max_memory_bytes)
{
	r->max_steps = max_steps;
	r->max_memory = max_memory_bytes;
}

bool jinja_ran_out(const struct jinja_run *r)
{
	return r->ran_out;
}

/* ---- values ---- */

struct jinja_value jinja_none(void)
{
	return j_none();
}

struct jinja_value jinja_bool(bool b)
{
	return j_bool(b);
}

struct jinja_value jinja_int(int64_t i)
{
	return j_int(i, false);
}

struct jinja_value jinja_float(double f)
{
	return j_float(f, false);
}

struct jinja_value jinja_big_int(struct jinja_run *r, struct str digits)
{
	struct jinja_value v = jinja_string(r, digits, false);
	if (v.type == J_STRING)
		v.type = J_BIG;
	return v;
}

struct jinja_value jinja_string(struct jinja_run *r, struct str s, bool trusted)
{
	if (r->failed || setjmp(r->jump))
		return j_none();
	return j_str(r, s.len ? s.ptr : "", s.len, trusted);
}

struct jinja_value jinja_list(struct jinja_run *r)
{
	if (r->failed || setjmp(r->jump))
		return j_none();
	return j_list(r, K_LIST, 0);
}

struct jinja_value jinja_dict(struct jinja_run *r)
{
	if (r->failed || setjmp(r->jump))
		return j_none();
	return j_dict(r);
}

void jinja_push(struct jinja_run *r, struct jinja_value list, struct jinja_value v)
{
	if (r->failed || list.type != J_LIST || setjmp(r->jump))
		return;
	list_push(r, as_list(list), v);
}

void jinja_put(struct jinja_run *r, struct jinja_value dict, struct str key, struct jinja_value v)
{
	if (r->failed || dict.type != J_DICT || setjmp(r->jump))
		return;
	dict_put(r, as_dict(dict), j_str(r, key.len ? key.ptr : "", key.len, false), v);
}

struct jinja_value jinja_to_json(struct jinja_run *r, struct jinja_value v)
{
	static const struct str filter = {"tojson",
					  6}; /* none of its frame: gcc warns of what setjmp may clobber */
	if (r->failed || setjmp(r->jump))
		return j_none();
	return call_filter(r, filter, v, &(struct jargs){0});
}

void jinja_mark_message(struct jinja_run *r, struct jinja_value dict, size_t index)
{
	if (!r->failed && dict.type == J_DICT)
		as_dict(dict)->message = (ptrdiff_t)index;
}

void jinja_set(struct jinja_run *r, struct str name, struct jinja_value v)
{
	if (r->n_vars == r->cap_vars) {
		size_t cap = r->cap_vars ? r->cap_vars * 2 : 16;
		struct slot_by_name *more = realloc(r->vars, cap * sizeof *more);
		if (!more) {
			r->failed = true;
			return;
		}
		r->vars = more;
		r->cap_vars = cap;
	}
	r->vars[r->n_vars++] = (struct slot_by_name){name, v};
}

void jinja_set_now(struct jinja_run *r, const struct jinja_time *now)
{
	r->now = *now;
	r->has_now = true;
}

/* ---- rendering ---- */

/* The last of the values set under name; else the language's own. */
static jval variable(struct jinja_run *r, struct str name)
{
	for (size_t i = r->n_vars; i-- > 0;)
		if (str_eq(r->vars[i].name, name))
			return r->vars[i].v;
	return j_global(r, name);
}

static void make_parts(struct jinja_run *r)
{
	const struct jbuild *b = &r->text;
	size_t n = 1;
	for (size_t i = 1; b->mark && i < b->n; i++)
		n += b->mark[i] != b->mark[i - 1];
	r->parts = j_array(r, n, sizeof *r->parts);
	if (!b->n)
		return;
	if (!b->mark) {
		r->parts[r->n_parts++] = (struct tok_part){b->n, b->trusted};
		return;
	}
	for (size_t i = 0; i < b->n; i++) {
		if (!i || b->mark[i] != b->mark[i - 1])
			r->parts[r->n_parts++] = (struct tok_part){0, b->mark[i]};
		r->parts[r->n_parts - 1].len++;
	}
}

static enum hokku_code render(const struct jinja *t, struct jinja_run *r, struct hokku_error *err)
{
	r->err = err;
	r->t = t;
	r->rc = HOKKU_OK;
	r->depth = 0;
	if (r->failed)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the values of the chat template");
	if (setjmp(r->jump) == 0) {
		r->base = j_array(r, t->n_names, sizeof *r->base);
		for (uint32_t i = 0; i < t->n_names; i++)
			r->base[i] = variable(r, t->names[i]);
		r->in_render = true;
		r->steps = 0;
		r->text = jb_new(r);
		r->out = &r->text;
		scope_push(r, NULL);
		exec(r, t->root);
		make_parts(r);
	}
	return r->rc;
}

enum hokku_code jinja_render(const struct jinja *t, struct jinja_run *r, struct hokku_error *err)
{
	locale_t was = uselocale(plain_locale());
	enum hokku_code rc = render(t, r, err);
	uselocale(was);
	return rc;
}

struct str jinja_text(const struct jinja_run *r)
{
	return (struct str){r->text.n ? r->text.p : "", r->text.n};
}

const struct tok_part *jinja_parts(const struct jinja_run *r, size_t *n)
{
	*n = r->n_parts;
	return r->parts;
}

bool jinja_refused(const struct jinja_run *r)
{
	return r->refused;
}

ptrdiff_t jinja_message_index(const struct jinja_run *r)
{
	return r->message;
}

bool jinja_used_time(const struct jinja_run *r, struct jinja_time *out)
{
	if (r->used_time)
		*out = r->now;
	return r->used_time;
}
