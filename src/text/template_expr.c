/* Expressions are evaluated while they are read; what a condition leaves out is read over with e->skip above
 * 0. */
#include "text/template_internal.h"

static const struct value undefined = {V_UNDEFINED, .i = 0};

static bool is_name(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	       (!first && c >= '0' && c <= '9');
}

void expr_space(struct expr *e)
{
	while (e->p < e->end && (*e->p == ' ' || (*e->p >= '\t' && *e->p <= '\r')))
		e->p++;
}

bool expr_accept(struct expr *e, const char *sign)
{
	size_t n = strlen(sign);
	expr_space(e);
	if ((size_t)(e->end - e->p) < n || memcmp(e->p, sign, n) != 0)
		return false;
	/* "=" is not the beginning of "==" */
	if (n == 1 && *sign == '=' && e->end - e->p > 1 && e->p[1] == '=')
		return false;
	e->p += n;
	return true;
}

struct str expr_name(struct expr *e)
{
	expr_space(e);
	const char *start = e->p;
	while (e->p < e->end && is_name(*e->p, e->p == start))
		e->p++;
	return (struct str){start, (size_t)(e->p - start)};
}

bool expr_accept_word(struct expr *e, const char *word)
{
	const char *start = e->p;
	if (str_eq_c(expr_name(e), word))
		return true;
	e->p = start;
	return false;
}

static struct value bad(struct expr *e, const char *what)
{
	char quoted[48];
	template_fail(e->t, HOKKU_BAD_FILE, "%s at %s", what,
		      str_quote((struct str){e->p, (size_t)(e->end - e->p)}, quoted, sizeof quoted));
	return undefined;
}

static struct value boolean(bool b)
{
	return (struct value){V_BOOL, .b = b};
}

static struct value integer(int64_t i)
{
	return (struct value){V_INT, .i = i};
}

static struct value string(struct str s)
{
	return (struct value){V_STRING, .s = s};
}

bool value_is_true(const struct value *v)
{
	switch (v->type) {
	case V_UNDEFINED:
	case V_NONE:
		return false;
	case V_BOOL:
		return v->b;
	case V_INT:
		return v->i != 0;
	case V_STRING:
		return v->s.len > 0;
	case V_MESSAGES:
		return v->range.to > v->range.from;
	case V_LIST:
		return v->list.n > 0;
	default:
		return true;
	}
}

static bool same(const struct value *a, const struct value *b)
{
	if (a->type == V_STRING && b->type == V_STRING)
		return str_eq(a->s, b->s);
	if (a->type == V_BOOL && b->type == V_BOOL)
		return a->b == b->b;
	if (a->type == V_INT && b->type == V_INT)
		return a->i == b->i;
	if (a->type == V_MESSAGE && b->type == V_MESSAGE)
		return a->message == b->message;
	return a->type == b->type && (a->type == V_NONE || a->type == V_UNDEFINED);
}

static struct value concatenate(struct expr *e, struct str a, struct str b)
{
	if (a.len + b.len > TEMPLATE_MAX_STRING_BYTES)
		return bad(e, "a text longer than is allowed");
	if (e->t->arena.used_bytes > TEMPLATE_MAX_MEMORY_BYTES)
		return bad(e, "more text made than is allowed");
	char *s = arena_alloc(&e->t->arena, a.len + b.len + 1, 1);
	if (!s) {
		template_fail(e->t, HOKKU_OUT_OF_MEMORY, "no memory to run the template");
		return undefined;
	}
	if (a.len)
		memcpy(s, a.ptr, a.len);
	if (b.len)
		memcpy(s + a.len, b.ptr, b.len);
	return string((struct str){s, a.len + b.len});
}

static struct value literal(struct expr *e, char quote)
{
	const char *start = ++e->p;
	size_t n = 0;
	while (e->p < e->end && *e->p != quote)
		e->p += *e->p == '\\' && e->p + 1 < e->end ? 2 : 1;
	if (e->p >= e->end)
		return bad(e, "a text that is not closed");
	char *s = arena_alloc(&e->t->arena, (size_t)(e->p - start) + 1, 1);
	if (!s) {
		template_fail(e->t, HOKKU_OUT_OF_MEMORY, "no memory to run the template");
		return undefined;
	}
	for (const char *c = start; c < e->p; c++) {
		if (*c != '\\') {
			s[n++] = *c;
			continue;
		}
		static const char names[] = "nrt\\'\"", values[] = "\n\r\t\\'\"";
		const char *at = strchr(names, *++c);
		if (!at || !*c)
			return bad(e, "an escape that is not known");
		s[n++] = values[at - names];
	}
	e->p++;
	return string((struct str){s, n});
}

static struct value lookup(struct expr *e, struct str name)
{
	const struct template *t = e->t;
	for (size_t i = t->n_variables; i > 0; i--)
		if (str_eq(t->variables[i - 1].name, name))
			return t->variables[i - 1].value;
	if (str_eq_c(name, "messages"))
		return (struct value){V_MESSAGES, .range = {0, t->input->n_messages}};
	if (str_eq_c(name, "add_generation_prompt"))
		return boolean(t->input->add_generation_prompt);
	if (str_eq_c(name, "bos_token"))
		return string(t->input->bos_token);
	if (str_eq_c(name, "eos_token"))
		return string(t->input->eos_token);
	if (str_eq_c(name, "tools") ||
	    str_eq_c(name, "documents")) /* what transformers passes when there are none */
		return (struct value){V_NONE, .i = 0};
	return undefined;
}

static struct value member(struct expr *e, const struct value *v, struct str name)
{
	if (v->type == V_MESSAGE) {
		const struct template_message *m = &e->t->input->messages[v->message];
		if (str_eq_c(name, "role"))
			return string(m->role);
		if (str_eq_c(name, "content"))
			return string(m->content);
		return undefined;
	}
	if (v->type == V_LOOP) {
		if (str_eq_c(name, "first"))
			return boolean(v->loop.index == 0);
		if (str_eq_c(name, "last"))
			return boolean(v->loop.index + 1 == v->loop.n);
		if (str_eq_c(name, "index0"))
			return integer((int64_t)v->loop.index);
		if (str_eq_c(name, "index"))
			return integer((int64_t)v->loop.index + 1);
		if (str_eq_c(name, "length"))
			return integer((int64_t)v->loop.n);
	}
	if (v->type == V_UNDEFINED)
		return bad(e, "a member of something undefined");
	return v->type == V_NONE || v->type == V_LOOP ? bad(e, "a member that is not known") : undefined;
}

/* v[i] and v[from:to] of the message list, m['name'] */
static struct value subscript(struct expr *e, const struct value *v)
{
	struct value from = integer(0), to = {V_NONE, .i = 0};
	bool slice = expr_accept(e, ":");
	if (!slice) {
		from = expr_eval(e);
		slice = expr_accept(e, ":");
	}
	if (slice && !expr_accept(e, "]")) {
		to = expr_eval(e);
		if (!expr_accept(e, "]"))
			return bad(e, "a [ that is not closed");
	} else if (!slice && !expr_accept(e, "]")) {
		return bad(e, "a [ that is not closed");
	}
	if (e->skip || e->t->rc)
		return undefined;
	if (!slice && from.type == V_STRING)
		return member(e, v, from.s);
	if (v->type != V_MESSAGES || from.type != V_INT || (to.type != V_NONE && to.type != V_INT))
		return bad(e, "a subscript that is not known");
	int64_t n = (int64_t)(v->range.to - v->range.from);
	int64_t first = from.i < 0 ? from.i + n : from.i;
	if (!slice)
		return first < 0 || first >= n
			       ? undefined
			       : (struct value){V_MESSAGE, .message = v->range.from + (size_t)first};
	int64_t last = to.type == V_NONE ? n : to.i < 0 ? to.i + n : to.i;
	first = first < 0 ? 0 : first > n ? n : first;
	last = last < first ? first : last > n ? n : last;
	return (struct value){V_MESSAGES,
			      .range = {v->range.from + (size_t)first, v->range.from + (size_t)last}};
}

/* ASCII blanks; chat.c's probes hold no others. */
static struct str trimmed(struct str s, bool left, bool right)
{
	while (left && s.len && (*s.ptr == ' ' || (*s.ptr >= '\t' && *s.ptr <= '\r')))
		s.ptr++, s.len--;
	while (right && s.len &&
	       (s.ptr[s.len - 1] == ' ' || (s.ptr[s.len - 1] >= '\t' && s.ptr[s.len - 1] <= '\r')))
		s.len--;
	return s;
}

enum { MAX_ITEMS = 16 };

/* Comma-separated values up to close. */
static size_t items(struct expr *e, const char *close, struct value *out)
{
	size_t n = 0;
	while (!e->t->rc && !expr_accept(e, close)) {
		if (n == MAX_ITEMS || (n && !expr_accept(e, ","))) {
			bad(e, "a list that is not understood");
			break;
		}
		out[n++] = expr_eval(e);
	}
	return n;
}

static struct value method(struct expr *e, const struct value *v, struct str name)
{
	struct value args[MAX_ITEMS];
	size_t n = items(e, ")", args);
	if (e->skip || e->t->rc)
		return undefined;
	bool left = str_eq_c(name, "lstrip"), right = str_eq_c(name, "rstrip"),
	     both = str_eq_c(name, "strip");
	if (v->type == V_STRING && n == 0 && (left || right || both))
		return string(trimmed(v->s, left || both, right || both));
	if (v->type == V_STRING && n == 1 && args[0].type == V_STRING) {
		struct str s = v->s, part = args[0].s;
		if (str_eq_c(name, "startswith"))
			return boolean(str_starts(s, part));
		if (str_eq_c(name, "endswith"))
			return boolean(s.len >= part.len &&
				       str_eq((struct str){s.ptr + s.len - part.len, part.len}, part));
	}
	if (v->type == V_MESSAGE && str_eq_c(name, "get") && n >= 1 && args[0].type == V_STRING) {
		struct value got = member(e, v, args[0].s);
		return got.type != V_UNDEFINED ? got : n > 1 ? args[1] : (struct value){V_NONE, .i = 0};
	}
	char quoted[48];
	template_fail(e->t, HOKKU_BAD_FILE, "the method %s is not known",
		      str_quote(name, quoted, sizeof quoted));
	return undefined;
}

static struct value call(struct expr *e, struct str name)
{
	struct value args[MAX_ITEMS];
	size_t n = items(e, ")", args);
	if (e->skip || e->t->rc)
		return undefined;
	char quoted[128];
	if (str_eq_c(name, "raise_exception") && n == 1 && args[0].type == V_STRING)
		template_fail(e->t, HOKKU_INVALID_REQUEST, "%s", str_quote(args[0].s, quoted, sizeof quoted));
	else
		template_fail(e->t, HOKKU_BAD_FILE, "the function %s is not known",
			      str_quote(name, quoted, 48));
	return undefined;
}

static struct value filter(struct expr *e, const struct value *v)
{
	struct str name = expr_name(e);
	struct value args[MAX_ITEMS];
	size_t n = expr_accept(e, "(") ? items(e, ")", args) : 0;
	if (e->skip || e->t->rc)
		return undefined;
	if (str_eq_c(name, "trim") && v->type == V_STRING && n == 0)
		return string(trimmed(v->s, true, true));
	if ((str_eq_c(name, "length") || str_eq_c(name, "count")) && v->type == V_MESSAGES)
		return integer((int64_t)(v->range.to - v->range.from));
	if (str_eq_c(name, "default") && n == 1)
		return v->type == V_UNDEFINED ? args[0] : *v;
	if ((str_eq_c(name, "string") || str_eq_c(name, "safe")) && v->type == V_STRING)
		return *v;
	char quoted[48];
	template_fail(e->t, HOKKU_BAD_FILE, "the filter %s is not known here",
		      str_quote(name, quoted, sizeof quoted));
	return undefined;
}

static struct value test(struct expr *e, const struct value *v)
{
	bool negative = expr_accept_word(e, "not"), yes = false;
	struct str name = expr_name(e);
	if (str_eq_c(name, "defined"))
		yes = v->type != V_UNDEFINED;
	else if (str_eq_c(name, "undefined"))
		yes = v->type == V_UNDEFINED;
	else if (str_eq_c(name, "none"))
		yes = v->type == V_NONE;
	else if (str_eq_c(name, "string"))
		yes = v->type == V_STRING;
	else if (str_eq_c(name, "mapping"))
		yes = v->type == V_MESSAGE;
	else if (str_eq_c(name, "iterable") || str_eq_c(name, "sequence"))
		yes = v->type == V_STRING || v->type == V_MESSAGES || v->type == V_LIST;
	else if (str_eq_c(name, "true") || str_eq_c(name, "false"))
		yes = v->type == V_BOOL && v->b == str_eq_c(name, "true");
	else
		return bad(e, "a test that is not known before");
	return boolean(yes != negative);
}

static struct value primary(struct expr *e)
{
	expr_space(e);
	if (!template_step(e->t))
		return undefined;
	char c = e->p < e->end ? *e->p : '\0';
	if (c == '\'' || c == '"')
		return literal(e, c);
	if (c >= '0' && c <= '9') {
		int64_t i = 0;
		while (e->p < e->end && *e->p >= '0' && *e->p <= '9' && i < 1000000)
			i = i * 10 + (*e->p++ - '0');
		return integer(i);
	}
	if (expr_accept(e, "(")) {
		struct value v = expr_eval(e);
		return expr_accept(e, ")") ? v : bad(e, "a ( that is not closed");
	}
	if (expr_accept(e, "[")) {
		struct value found[MAX_ITEMS];
		size_t n = items(e, "]", found);
		struct value *list = arena_array(&e->t->arena, n + 1, sizeof *list);
		if (!list) {
			template_fail(e->t, HOKKU_OUT_OF_MEMORY, "no memory to run the template");
			return undefined;
		}
		memcpy(list, found, n * sizeof *list);
		return (struct value){V_LIST, .list = {list, n}};
	}
	struct str name = expr_name(e);
	if (!name.len)
		return bad(e, "no value");
	if (str_eq_c(name, "true") || str_eq_c(name, "True") || str_eq_c(name, "false") ||
	    str_eq_c(name, "False"))
		return boolean(name.ptr[0] == 't' || name.ptr[0] == 'T');
	if (str_eq_c(name, "none") || str_eq_c(name, "None"))
		return (struct value){V_NONE, .i = 0};
	if (expr_accept(e, "("))
		return call(e, name);
	return e->skip ? undefined : lookup(e, name);
}

static struct value postfix(struct expr *e)
{
	struct value v = primary(e);
	while (!e->t->rc) {
		if (expr_accept(e, ".")) {
			struct str name = expr_name(e);
			if (!name.len)
				return bad(e, "no name after a dot");
			if (expr_accept(e, "("))
				v = method(e, &v, name);
			else
				v = e->skip ? undefined : member(e, &v, name);
		} else if (expr_accept(e, "[")) {
			v = subscript(e, &v);
		} else if (expr_accept(e, "|")) {
			v = filter(e, &v);
		} else if (expr_accept_word(e, "is")) {
			v = test(e, &v);
		} else {
			break;
		}
	}
	return v;
}

static struct value unary(struct expr *e)
{
	if (!expr_accept(e, "-"))
		return postfix(e);
	struct value v = postfix(e);
	if (e->skip || e->t->rc)
		return undefined;
	return v.type == V_INT ? integer(-v.i) : bad(e, "a minus before something that is no number");
}

static struct value product(struct expr *e)
{
	struct value v = unary(e);
	while (!e->t->rc && e->end - e->p > 1 && expr_accept(e, "%")) {
		struct value w = unary(e);
		if (e->skip || e->t->rc)
			continue;
		if (v.type != V_INT || w.type != V_INT || w.i <= 0 || v.i < 0)
			return bad(e, "a remainder of something that is no number");
		v = integer(v.i % w.i);
	}
	return v;
}

/* + and ~ */
static struct value sum(struct expr *e)
{
	struct value v = product(e);
	while (!e->t->rc) {
		bool plus = expr_accept(e, "+"), minus = !plus && expr_accept(e, "-");
		if (!plus && !minus && !expr_accept(e, "~"))
			break;
		struct value w = product(e);
		if (e->skip || e->t->rc)
			continue;
		if (v.type == V_STRING && w.type == V_STRING && !minus)
			v = concatenate(e, v.s, w.s);
		else if (v.type == V_INT && w.type == V_INT && (plus || minus))
			v = integer(plus ? v.i + w.i : v.i - w.i);
		else
			return bad(e, "a sum of things that do not add up");
	}
	return v;
}

static struct value contains(struct expr *e, const struct value *v, const struct value *in)
{
	if (in->type == V_LIST) {
		for (size_t i = 0; i < in->list.n; i++)
			if (same(v, &in->list.items[i]))
				return boolean(true);
		return boolean(false);
	}
	if (in->type == V_MESSAGE && v->type == V_STRING)
		return boolean(str_eq_c(v->s, "role") || str_eq_c(v->s, "content"));
	if (in->type == V_STRING && v->type == V_STRING)
		return boolean(v->s.len == 0 || memmem(in->s.ptr, in->s.len, v->s.ptr, v->s.len) != NULL);
	return bad(e, "an \"in\" that is not known");
}

static struct value compare(struct expr *e)
{
	static const char *const signs[] = {"==", "!=", "<=", ">=", "<", ">"};
	struct value v = sum(e);
	while (!e->t->rc) {
		size_t k = 0;
		while (k < 6 && !expr_accept(e, signs[k]))
			k++;
		const char *start = e->p;
		bool negative = k == 6 && expr_accept_word(e, "not"),
		     in = k == 6 && expr_accept_word(e, "in");
		if (k == 6 && !in) {
			e->p = start;
			break;
		}
		struct value w = sum(e);
		if (e->skip || e->t->rc)
			continue;
		if (in) {
			v = contains(e, &v, &w);
			v.b = v.b != negative;
		} else if (k < 2) {
			v = boolean(same(&v, &w) == (k == 0));
		} else if (v.type == V_INT && w.type == V_INT) {
			v = boolean(k == 2   ? v.i <= w.i
				    : k == 3 ? v.i >= w.i
				    : k == 4 ? v.i < w.i
					     : v.i > w.i);
		} else {
			return bad(e, "a comparison of things that have no order");
		}
	}
	return v;
}

static struct value negation(struct expr *e)
{
	bool negative = false, any = false;
	while (expr_accept_word(e, "not")) {
		negative = !negative;
		any = true;
	}
	struct value v = compare(e);
	return any ? boolean(value_is_true(&v) != negative) : v;
}

static struct value conjunction(struct expr *e)
{
	struct value v = negation(e);
	while (!e->t->rc && expr_accept_word(e, "and")) {
		bool over = !value_is_true(&v);
		e->skip += over;
		struct value w = negation(e);
		e->skip -= over;
		v = over ? v : w;
	}
	return v;
}

static struct value disjunction(struct expr *e)
{
	struct value v = conjunction(e);
	while (!e->t->rc && expr_accept_word(e, "or")) {
		bool over = value_is_true(&v);
		e->skip += over;
		struct value w = conjunction(e);
		e->skip -= over;
		v = over ? v : w;
	}
	return v;
}

/* A if CONDITION else B: A is read over first, and evaluated once the condition is known. */
struct value expr_eval(struct expr *e)
{
	if (++e->depth > TEMPLATE_MAX_DEPTH)
		return bad(e, "parentheses nested too deep");
	expr_space(e);
	const char *start = e->p;
	e->skip++;
	disjunction(e);
	e->skip--;
	bool conditional = expr_accept_word(e, "if"), take = true;
	const char *after = e->p;
	if (conditional) {
		struct value condition = disjunction(e);
		take = value_is_true(&condition);
		after = e->p;
	}
	struct value v = undefined;
	if (take && !e->t->rc && !e->skip) {
		e->p = start;
		v = disjunction(e);
		e->p = after;
	}
	if (conditional && expr_accept_word(e, "else")) {
		e->skip += take;
		struct value other = expr_eval(e);
		e->skip -= take;
		v = take ? v : other;
	}
	e->depth--;
	return e->skip ? undefined : v;
}
