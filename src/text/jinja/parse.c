/* Statements and the template as a whole. */
#include <stdio.h>
#include <stdlib.h>

#include "base/plain_locale.h"
#include "text/jinja/internal.h"

void p_fail(struct parser *p, uint32_t line, const char *format, ...)
{
	char text[400];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	p->rc = line ? err_set(p->err, HOKKU_BAD_FILE, "line %u: %s", line, text)
		     : err_set(p->err, HOKKU_OUT_OF_MEMORY, "%s", text);
	longjmp(p->jump, 1);
}

void *p_alloc(struct parser *p, size_t n)
{
	void *m = arena_alloc(&p->t->mem, n ? n : 1, _Alignof(max_align_t));
	if (!m)
		p_fail(p, 0, "no memory for the template");
	return m;
}

void p_push(struct parser *p, struct node ***list, size_t *n, size_t *cap, struct node *node)
{
	if (*n == *cap) {
		size_t more = *cap ? *cap * 2 : 4;
		struct node **bigger = p_alloc(p, more * sizeof(struct node *));
		if (*n)
			memcpy(bigger, *list, *n * sizeof(struct node *));
		*list = bigger;
		*cap = more;
	}
	(*list)[(*n)++] = node;
}

const struct token *p_next(struct parser *p)
{
	const struct token *t = p_now(p);
	if (t->kind != T_END)
		p->at++;
	return t;
}

bool p_is_sign(const struct parser *p, const char *sign)
{
	return p_now(p)->kind == T_SIGN && str_eq_c(p_now(p)->text, sign);
}

bool p_is_name(const struct parser *p, const char *name)
{
	return p_now(p)->kind == T_NAME && str_eq_c(p_now(p)->text, name);
}

bool p_skip_sign(struct parser *p, const char *sign)
{
	bool is = p_is_sign(p, sign);
	p->at += is;
	return is;
}

bool p_skip_name(struct parser *p, const char *name)
{
	bool is = p_is_name(p, name);
	p->at += is;
	return is;
}

void p_unexpected(struct parser *p, const char *wanted)
{
	const struct token *t = p_now(p);
	char quoted[64];
	if (t->kind == T_END)
		p_fail(p, t->line, "the template ends where %s is wanted", wanted);
	if (t->kind == T_OUTPUT_END || t->kind == T_BLOCK_END)
		p_fail(p, t->line, "the tag ends where %s is wanted", wanted);
	p_fail(p, t->line, "%s stands where %s is wanted", str_quote(t->text, quoted, sizeof quoted), wanted);
}

void p_want_sign(struct parser *p, const char *sign)
{
	char wanted[8];
	if (!p_skip_sign(p, sign)) {
		snprintf(wanted, sizeof wanted, "\"%s\"", sign);
		p_unexpected(p, wanted);
	}
}

struct str p_want_name(struct parser *p, const char *what)
{
	if (p_now(p)->kind != T_NAME)
		p_unexpected(p, what);
	return p_next(p)->text;
}

struct node *p_node(struct parser *p, enum node_kind kind)
{
	struct node *n = p_alloc(p, sizeof *n);
	n->kind = (uint8_t)kind;
	n->line = p_now(p)->line;
	return n;
}

uint32_t p_name_id(struct parser *p, struct str name)
{
	struct jinja *t = p->t;
	for (uint32_t i = 0; i < t->n_names; i++)
		if (str_eq(t->names[i], name))
			return i;
	if (t->n_names == JINJA_MAX_NAMES)
		p_fail(p, p_now(p)->line, "more than %d names of variables", JINJA_MAX_NAMES);
	if (t->n_names == p->cap_names) {
		uint32_t cap = p->cap_names ? p->cap_names * 2 : 64;
		struct str *more = p_alloc(p, cap * sizeof *more);
		if (t->n_names)
			memcpy(more, t->names, t->n_names * sizeof *more);
		t->names = more;
		p->cap_names = cap;
	}
	t->names[t->n_names] = name;
	return t->n_names++;
}

void p_enter(struct parser *p)
{
	if (++p->depth > JINJA_MAX_NESTING)
		p_fail(p, p_now(p)->line, "blocks or brackets nested deeper than %d", JINJA_MAX_NESTING);
}

void p_leave(struct parser *p)
{
	p->depth--;
}

static void want_block_end(struct parser *p)
{
	if (p_now(p)->kind != T_BLOCK_END)
		p_unexpected(p, "the end of the tag");
	p->at++;
}

/* ---- statements ---- */

static struct node *parse_statement(struct parser *p);

/* Statements of what began at line, up to a tag that begins with one of the NULL-terminated ends; its name is
 * read, what follows is not. ends NULL: up to the end of the template. */
static struct node *parse_block(struct parser *p, const char *of, uint32_t line, const char *const *ends,
				struct str *ended_by)
{
	struct node *all = p_node(p, N_BLOCK);
	size_t cap = 0;
	p_enter(p);
	for (;;) {
		const struct token *t = p_now(p);
		if (t->kind == T_END) {
			if (ends)
				p_fail(p, line, "%s is never ended with %s", of, ends[0]);
			break;
		}
		p->at++;
		struct node *n;
		if (t->kind == T_TEXT) {
			n = p_node(p, N_TEXT);
			struct jstr *s = p_alloc(p, sizeof *s);
			*s = (struct jstr){
				.p = t->text.ptr, .n = t->text.len, .n_chars = SIZE_MAX, .trusted = true};
			n->value = (jval){J_STRING, false, {.p = s}};
		} else if (t->kind == T_OUTPUT_BEGIN) {
			n = p_node(p, N_OUTPUT);
			n->a = parse_tuple(p, true);
			if (p_now(p)->kind != T_OUTPUT_END)
				p_unexpected(p, "the end of the tag");
			p->at++;
		} else {
			for (const char *const *end = ends; end && *end; end++) {
				if (p_is_name(p, *end)) {
					*ended_by = p_next(p)->text;
					p_leave(p);
					return all;
				}
			}
			n = parse_statement(p);
			want_block_end(p);
		}
		p_push(p, &all->list, &all->n, &cap, n);
	}
	p_leave(p);
	return all;
}

/* The rest of a tag that opens a block, and the block up to its end tag. */
static struct node *parse_body(struct parser *p, const char *of, const char *end)
{
	const char *const ends[] = {end, NULL};
	struct str ended_by;
	uint32_t line = p_now(p)->line;
	want_block_end(p);
	return parse_block(p, of, line, ends, &ended_by);
}

static struct node *parse_if(struct parser *p, struct node *n)
{
	static const char *const ends[] = {"endif", "elif", "else", NULL}, *const only_end[] = {"endif",
												NULL};
	struct node *first = n;
	struct str ended_by;
	for (;;) {
		n->a = parse_tuple(p, false);
		want_block_end(p);
		n->b = parse_block(p, "an if", n->line, ends, &ended_by);
		if (!str_eq_c(ended_by, "elif"))
			break;
		n->c = p_node(p, N_IF);
		n = n->c;
	}
	if (str_eq_c(ended_by, "else")) {
		uint32_t line = p_now(p)->line;
		want_block_end(p);
		n->c = parse_block(p, "an else", line, only_end, &ended_by);
	}
	return first;
}

static struct node *parse_for(struct parser *p, struct node *n)
{
	static const char *const ends[] = {"endfor", "else", NULL}, *const only_end[] = {"endfor", NULL};
	struct str ended_by;
	n->a = parse_target(p, false);
	if (n->a->kind == N_NAME && n->a->name == NAME_LOOP)
		p_fail(p, n->line, "a for cannot set \"loop\", which tells of the loop itself");
	if (!p_skip_name(p, "in"))
		p_unexpected(p, "\"in\"");
	n->b = parse_tuple(p, false);
	if (p_skip_name(p, "if"))
		n->c = parse_expression(p);
	n->op = p_skip_name(p, "recursive");
	want_block_end(p);
	p->n_loops++;
	n->d = parse_block(p, "a for", n->line, ends, &ended_by);
	p->n_loops--;
	if (str_eq_c(ended_by, "else")) {
		uint32_t line = p_now(p)->line;
		want_block_end(p);
		n->e = parse_block(p, "an else", line, only_end, &ended_by);
	}
	return n;
}

static struct node *parse_set(struct parser *p, struct node *n)
{
	n->a = parse_target(p, true);
	if (p_skip_sign(p, "=")) {
		n->b = parse_tuple(p, true);
		return n;
	}
	n->kind = N_SET_BLOCK;
	n->b = parse_filters(p, NULL, false);
	n->d = parse_body(p, "a set", "endset");
	return n;
}

/* (a, b=1), if there is one. */
static void parse_signature(struct parser *p, struct macro *m)
{
	size_t cap = 0;
	bool has_default = false;
	p_want_sign(p, "(");
	while (!p_is_sign(p, ")")) {
		if (m->n_params)
			p_want_sign(p, ",");
		if (m->n_params == cap) {
			size_t more = cap ? cap * 2 : 4;
			uint32_t *params = p_alloc(p, more * sizeof *params);
			struct str *names = p_alloc(p, more * sizeof *names);
			struct node **defaults = p_alloc(p, more * sizeof(struct node *));
			if (m->n_params) {
				memcpy(params, m->params, m->n_params * sizeof *params);
				memcpy(names, m->param_names, m->n_params * sizeof *names);
				memcpy(defaults, m->defaults, m->n_params * sizeof(struct node *));
			}
			m->params = params;
			m->param_names = names;
			m->defaults = defaults;
			cap = more;
		}
		struct str name = p_want_name(p, "the name of a parameter");
		struct node *value = p_skip_sign(p, "=") ? parse_expression(p) : NULL;
		if (has_default && !value)
			p_fail(p, p_now(p)->line, "a parameter without a default after one with a default");
		has_default = value != NULL;
		for (size_t i = 0; i < m->n_params; i++)
			if (str_eq(m->param_names[i], name))
				p_fail(p, p_now(p)->line, "two parameters named \"%.*s\"", STR_ARG(name));
		m->param_names[m->n_params] = name;
		m->defaults[m->n_params] = value;
		m->params[m->n_params++] = p_name_id(p, name);
	}
	p_want_sign(p, ")");
}

/* The body of a macro or of a call's caller, with its signature where a bracket opens one. */
static struct macro *parse_macro_body(struct parser *p, struct macro *m, const char *of, const char *end)
{
	struct macro *outer = p->macro;
	unsigned loops = p->n_loops;
	p->macro = m;
	p->n_loops = 0;
	m->body = parse_body(p, of, end);
	p->n_loops = loops;
	p->macro = outer;
	if (outer) { /* what the inner one uses, the outer one is given too: so jinja2 has it */
		outer->uses_caller |= m->uses_caller;
		outer->uses_varargs |= m->uses_varargs;
		outer->uses_kwargs |= m->uses_kwargs;
	}
	return m;
}

static struct node *parse_macro(struct parser *p, struct node *n)
{
	struct macro *m = n->macro = p_alloc(p, sizeof *m);
	m->name = p_want_name(p, "the macro's name");
	m->name_id = p_name_id(p, m->name);
	parse_signature(p, m);
	parse_macro_body(p, m, "a macro", "endmacro");
	return n;
}

static struct node *parse_call_block(struct parser *p, struct node *n)
{
	struct macro *m = n->macro = p_alloc(p, sizeof *m);
	m->name = STR_LIT("caller");
	if (p_is_sign(p, "("))
		parse_signature(p, m);
	n->a = parse_expression(p);
	if (n->a->kind != N_CALL)
		p_fail(p, n->line, "a call block that calls nothing");
	parse_macro_body(p, m, "a call", "endcall");
	return n;
}

static struct node *parse_filter_block(struct parser *p, struct node *n)
{
	n->b = parse_filters(p, NULL, true);
	n->d = parse_body(p, "a filter", "endfilter");
	return n;
}

static struct node *parse_with(struct parser *p, struct node *n)
{
	size_t cap = 0;
	while (p_now(p)->kind != T_BLOCK_END) {
		if (n->n)
			p_want_sign(p, ",");
		struct str name = p_want_name(p, "the name of a variable");
		struct node *target = p_node(p, N_NAME);
		target->text = name;
		target->name = p_name_id(p, name);
		p_push(p, &n->list, &n->n, &cap, target);
		p_want_sign(p, "=");
		p_push(p, &n->list, &n->n, &cap, parse_expression(p));
	}
	n->d = parse_body(p, "a with", "endwith");
	return n;
}

static struct node *parse_generation(struct parser *p, struct node *n)
{
	n->d = parse_body(p, "a generation", "endgeneration");
	return n;
}

static struct node *parse_print(struct parser *p, struct node *n)
{
	size_t cap = 0;
	n->kind = N_BLOCK;
	while (p_now(p)->kind != T_BLOCK_END) {
		if (n->n)
			p_want_sign(p, ",");
		struct node *out = p_node(p, N_OUTPUT);
		out->a = parse_expression(p);
		p_push(p, &n->list, &n->n, &cap, out);
	}
	return n;
}

static struct node *parse_jump(struct parser *p, struct node *n)
{
	if (!p->n_loops)
		p_fail(p, n->line, "a %s outside a for", n->kind == N_BREAK ? "break" : "continue");
	return n;
}

static const struct statement {
	const char *name;
	enum node_kind kind;
	struct node *(*parse)(struct parser *p, struct node *n); /* NULL: refused, because */
	const char *why;
} statements[] = {
	{"if", N_IF, parse_if, NULL},
	{"for", N_FOR, parse_for, NULL},
	{"set", N_SET, parse_set, NULL},
	{"macro", N_MACRO, parse_macro, NULL},
	{"call", N_CALL_BLOCK, parse_call_block, NULL},
	{"filter", N_FILTER_BLOCK, parse_filter_block, NULL},
	{"with", N_WITH, parse_with, NULL},
	{"generation", N_SCOPE, parse_generation, NULL},
	{"print", N_BLOCK, parse_print, NULL},
	{"break", N_BREAK, parse_jump, NULL},
	{"continue", N_CONTINUE, parse_jump, NULL},
	{"include", 0, NULL, "a chat template stands alone"},
	{"import", 0, NULL, "a chat template stands alone"},
	{"from", 0, NULL, "a chat template stands alone"},
	{"extends", 0, NULL, "a chat template stands alone"},
	{"block", 0, NULL, "a chat template stands alone"},
	{"autoescape", 0, NULL, "a chat template writes no HTML"},
};

static struct node *parse_statement(struct parser *p)
{
	struct node *n = p_node(p, N_BLOCK);
	char quoted[48];
	struct str name = p_want_name(p, "the name of a statement");
	for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
		const struct statement *s = &statements[i];
		if (!str_eq_c(name, s->name))
			continue;
		if (!s->parse)
			p_fail(p, n->line, "the statement \"%s\" is refused: %s", s->name, s->why);
		n->kind = (uint8_t)s->kind;
		p_enter(p);
		n = s->parse(p, n);
		p_leave(p);
		return n;
	}
	str_quote(name, quoted, sizeof quoted);
	if (name.len > 3 && memcmp(name.ptr, "end", 3) == 0)
		p_fail(p, n->line, "%s ends what was never begun", quoted);
	if (str_eq_c(name, "else") || str_eq_c(name, "elif"))
		p_fail(p, n->line, "%s stands outside an if", quoted);
	p_fail(p, n->line, "the statement %s is not known", quoted);
}

static void compile(struct parser *p, struct str source)
{
	if (setjmp(p->jump))
		return;
	struct str ended_by;
	static const char *const fixed[N_FIXED_NAMES] = {
		[NAME_LOOP] = "loop",
		[NAME_CALLER] = "caller",
		[NAME_VARARGS] = "varargs",
		[NAME_KWARGS] = "kwargs",
	};
	lex(p, source);
	for (unsigned i = 0; i < N_FIXED_NAMES; i++)
		p_name_id(p, str_c(fixed[i]));
	p->t->root = parse_block(p, "the template", 1, NULL, &ended_by);
}

enum hokku_code jinja_compile(struct str source, struct jinja **out, struct hokku_error *err)
{
	*out = NULL;
	if (source.len > CHAT_MAX_TEMPLATE_BYTES)
		return err_set(err, HOKKU_BAD_FILE, "it has %zu bytes; %d are allowed", source.len,
			       CHAT_MAX_TEMPLATE_BYTES);
	struct parser p = {.err = err};
	p.t = calloc(1, sizeof *p.t);
	if (!p.t)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the template");
	locale_t was = uselocale(plain_locale());
	compile(&p, source);
	uselocale(was);
	arena_free(&p.scratch);
	if (p.rc) {
		jinja_destroy(p.t);
		return p.rc;
	}
	*out = p.t;
	return HOKKU_OK;
}

void jinja_destroy(struct jinja *t)
{
	if (!t)
		return;
	arena_free(&t->mem);
	free(t);
}

bool jinja_names(const struct jinja *t, struct str name)
{
	for (uint32_t i = 0; i < t->n_names; i++)
		if (str_eq(t->names[i], name))
			return true;
	return false;
}
