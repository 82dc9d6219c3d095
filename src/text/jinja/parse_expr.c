/* Expressions, with jinja2's grammar and its binding: or, and, not, comparisons, + -, ~, * / // %, **, signs.
 */
#include "text/jinja/internal.h"

static struct node *parse_unary(struct parser *p, bool with_filter);
static struct node *parse_primary(struct parser *p, bool with_namespace);
static struct node *parse_postfix(struct parser *p, struct node *of);

static struct node *two(struct parser *p, enum node_kind kind, struct node *a, struct node *b)
{
	struct node *n = p_node(p, kind);
	n->a = a;
	n->b = b;
	return n;
}

static struct node *constant(struct parser *p, jval v)
{
	struct node *n = p_node(p, N_CONST);
	n->value = v;
	return n;
}

/* The template's own words. */
static struct node *literal(struct parser *p, struct str text)
{
	struct jstr *s = p_alloc(p, sizeof *s);
	*s = (struct jstr){.p = text.ptr, .n = text.len, .trusted = true};
	s->n_chars = str_count_chars(text);
	return constant(p, (jval){J_STRING, false, {.p = s}});
}

struct node *parse_expression(struct parser *p)
{
	p_enter(p);
	struct node *n = parse_or(p);
	while (p_skip_name(p, "if")) {
		struct node *condition = p_node(p, N_COND);
		condition->b = n;
		condition->a = parse_or(p);
		condition->c = p_skip_name(p, "else") ? parse_expression(p) : NULL;
		n = condition;
	}
	p_leave(p);
	return n;
}

static struct node *parse_not(struct parser *p);

static struct node *parse_and(struct parser *p)
{
	struct node *n = parse_not(p);
	while (p_skip_name(p, "and"))
		n = two(p, N_AND, n, parse_not(p));
	return n;
}

struct node *parse_or(struct parser *p)
{
	p_enter(p);
	struct node *n = parse_and(p);
	while (p_skip_name(p, "or"))
		n = two(p, N_OR, n, parse_and(p));
	p_leave(p);
	return n;
}

struct operator_row {
	const char *sign;
	uint8_t op;
};

static const struct operator_row *find_operator(const struct parser *p, const struct operator_row *rows)
{
	while (rows->sign && !p_is_sign(p, rows->sign))
		rows++;
	return rows->sign ? rows : NULL;
}

static struct node *binary(struct parser *p, const struct operator_row *rows,
			   struct node *(*operand)(struct parser *))
{
	struct node *n = operand(p);
	for (const struct operator_row *o; (o = find_operator(p, rows));) {
		struct node *both = p_node(p, N_BINARY);
		p_next(p);
		both->op = o->op;
		both->a = n;
		both->b = operand(p);
		n = both;
	}
	return n;
}

static struct node *unary(struct parser *p)
{
	return parse_unary(p, true);
}

static struct node *parse_power(struct parser *p)
{
	static const struct operator_row rows[] = {{"**", OP_POW}, {0}};
	return binary(p, rows, unary);
}

static struct node *parse_product(struct parser *p)
{
	static const struct operator_row rows[] = {
		{"*", OP_MUL}, {"/", OP_DIV}, {"//", OP_FLOORDIV}, {"%", OP_MOD}, {0}};
	return binary(p, rows, parse_power);
}

static struct node *parse_concat(struct parser *p)
{
	struct node *n = parse_product(p), *all;
	if (!p_is_sign(p, "~"))
		return n;
	size_t cap = 0;
	all = p_node(p, N_CONCAT);
	p_push(p, &all->list, &all->n, &cap, n);
	while (p_skip_sign(p, "~"))
		p_push(p, &all->list, &all->n, &cap, parse_product(p));
	return all;
}

static struct node *parse_sum(struct parser *p)
{
	static const struct operator_row rows[] = {{"+", OP_ADD}, {"-", OP_SUB}, {0}};
	return binary(p, rows, parse_concat);
}

/* The operator of a comparison, if one stands here; it is read over. */
static bool compare_operator(struct parser *p, uint8_t *op)
{
	static const struct operator_row rows[] = {{"==", OP_EQ}, {"!=", OP_NE}, {"<", OP_LT}, {"<=", OP_LE},
						   {">", OP_GT},  {">=", OP_GE}, {0}};
	const struct operator_row *o = find_operator(p, rows);
	if (o) {
		p_next(p);
		*op = o->op;
		return true;
	}
	if (p_skip_name(p, "in")) {
		*op = OP_IN;
		return true;
	}
	const struct token *after = p_now(p) + 1;
	if (!p_is_name(p, "not") || after->kind != T_NAME || !str_eq_c(after->text, "in"))
		return false;
	p_next(p);
	p_next(p);
	*op = OP_NOT_IN;
	return true;
}

static struct node *parse_compare(struct parser *p)
{
	struct node *n = parse_sum(p), *all = NULL;
	size_t cap = 0;
	uint8_t op;
	while (compare_operator(p, &op)) {
		struct node *operand = p_node(p, N_OPERAND);
		operand->op = op;
		operand->a = parse_sum(p);
		if (!all) {
			all = p_node(p, N_COMPARE);
			all->a = n;
		}
		p_push(p, &all->list, &all->n, &cap, operand);
	}
	return all ? all : n;
}

static struct node *parse_not(struct parser *p)
{
	if (!p_is_name(p, "not"))
		return parse_compare(p);
	struct node *n = p_node(p, N_NOT);
	p_next(p);
	p_enter(p);
	n->a = parse_not(p);
	p_leave(p);
	return n;
}

/* ---- what stands in brackets ---- */

static struct call_args *parse_args(struct parser *p)
{
	struct call_args *args = p_alloc(p, sizeof *args);
	size_t cap = 0, cap_named = 0;
	p_want_sign(p, "(");
	for (bool first = true; !p_is_sign(p, ")"); first = false) {
		if (!first) {
			p_want_sign(p, ",");
			if (p_is_sign(p, ")"))
				break;
		}
		const struct token *now = p_now(p), *after = now + 1;
		if (p_skip_sign(p, "*")) {
			if (args->star || args->star_star)
				p_fail(p, now->line, "a second *, or one after **, in a call");
			args->star = parse_expression(p);
		} else if (p_skip_sign(p, "**")) {
			if (args->star_star)
				p_fail(p, now->line, "a second ** in a call");
			args->star_star = parse_expression(p);
		} else if (now->kind == T_NAME && after->kind == T_SIGN && str_eq_c(after->text, "=")) {
			if (args->star_star)
				p_fail(p, now->line, "an argument after ** in a call");
			p_next(p);
			p_next(p);
			if (args->n_named == cap_named) {
				size_t cap_now = cap_named ? cap_named * 2 : 4;
				struct named_arg *more = p_alloc(p, cap_now * sizeof *more);
				if (args->n_named)
					memcpy(more, args->named, args->n_named * sizeof *more);
				args->named = more;
				cap_named = cap_now;
			}
			for (size_t i = 0; i < args->n_named; i++)
				if (str_eq(args->named[i].name, now->text))
					p_fail(p, now->line, "the argument \"%.*s\" is given twice",
					       STR_ARG(now->text));
			args->named[args->n_named++] = (struct named_arg){now->text, parse_expression(p)};
		} else {
			if (args->n_named || args->star || args->star_star)
				p_fail(p, now->line, "an argument without a name after one with a name");
			p_push(p, &args->v, &args->n, &cap, parse_expression(p));
		}
	}
	p_want_sign(p, ")");
	return args;
}

static struct node *parse_list(struct parser *p)
{
	struct node *n = p_node(p, N_LIST);
	size_t cap = 0;
	p_want_sign(p, "[");
	while (!p_is_sign(p, "]")) {
		if (n->n) {
			p_want_sign(p, ",");
			if (p_is_sign(p, "]"))
				break;
		}
		p_push(p, &n->list, &n->n, &cap, parse_expression(p));
	}
	p_want_sign(p, "]");
	return n;
}

static struct node *parse_dict(struct parser *p)
{
	struct node *n = p_node(p, N_DICT);
	size_t cap = 0;
	p_want_sign(p, "{");
	while (!p_is_sign(p, "}")) {
		if (n->n) {
			p_want_sign(p, ",");
			if (p_is_sign(p, "}"))
				break;
		}
		p_push(p, &n->list, &n->n, &cap, parse_expression(p));
		p_want_sign(p, ":");
		p_push(p, &n->list, &n->n, &cap, parse_expression(p));
	}
	p_want_sign(p, "}");
	return n;
}

/* Where no more items of a tuple can come. */
static bool tuple_ends(const struct parser *p)
{
	uint8_t kind = p_now(p)->kind;
	return kind == T_OUTPUT_END || kind == T_BLOCK_END || kind == T_END || p_is_sign(p, ")") ||
	       p_is_name(p, "in") || p_is_name(p, "recursive");
}

static struct node *tuple_of(struct parser *p, struct node *(*item)(struct parser *), bool in_brackets)
{
	struct node *all = p_node(p, N_TUPLE);
	size_t cap = 0;
	bool has_comma = false;
	while (!tuple_ends(p)) {
		if (all->n) {
			if (!p_skip_sign(p, ","))
				break;
			has_comma = true;
			if (tuple_ends(p))
				break;
		}
		p_push(p, &all->list, &all->n, &cap, item(p));
	}
	if (!has_comma && all->n)
		return all->list[0];
	if (!all->n && !in_brackets)
		p_unexpected(p, "an expression");
	return all;
}

struct node *parse_tuple(struct parser *p, bool with_condition)
{
	return tuple_of(p, with_condition ? parse_expression : parse_or, false);
}

static struct node *namespace_target(struct parser *p)
{
	return parse_primary(p, true);
}

static struct node *plain_target(struct parser *p)
{
	return parse_primary(p, false);
}

static void check_target(struct parser *p, const struct node *n)
{
	if (n->kind == N_TUPLE)
		for (size_t i = 0; i < n->n; i++)
			check_target(p, n->list[i]);
	else if (n->kind != N_NAME && n->kind != N_NSREF)
		p_fail(p, n->line, "something that is no name is to be set");
}

struct node *parse_target(struct parser *p, bool with_namespace)
{
	struct node *n = tuple_of(p, with_namespace ? namespace_target : plain_target, false);
	check_target(p, n);
	return n;
}

static struct node *parse_name(struct parser *p, bool with_namespace)
{
	static const struct {
		const char *name;
		uint8_t type, b;
	} constants[] = {{"true", J_BOOL, 1},  {"True", J_BOOL, 1}, {"false", J_BOOL, 0},
			 {"False", J_BOOL, 0}, {"none", J_NONE, 0}, {"None", J_NONE, 0}};
	struct node *n = p_node(p, N_NAME);
	struct str name = p_next(p)->text;
	for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
		if (str_eq_c(name, constants[i].name)) {
			n->kind = N_CONST;
			n->value = constants[i].type == J_BOOL ? j_bool(constants[i].b) : j_none();
			return n;
		}
	}
	n->text = name;
	n->name = p_name_id(p, name);
	if (with_namespace && p_skip_sign(p, ".")) {
		n->kind = N_NSREF;
		n->text = p_want_name(p, "a name after the dot");
	} else if (p->macro) {
		p->macro->uses_caller |= n->name == NAME_CALLER;
		p->macro->uses_varargs |= n->name == NAME_VARARGS;
		p->macro->uses_kwargs |= n->name == NAME_KWARGS;
	}
	return n;
}

static struct node *parse_string(struct parser *p)
{
	struct str text = p_next(p)->text;
	while (p_now(p)->kind == T_STRING) {
		struct str more = p_next(p)->text;
		char *both = p_alloc(p, text.len + more.len + 1);
		memcpy(both, text.ptr, text.len);
		memcpy(both + text.len, more.ptr, more.len);
		text = (struct str){both, text.len + more.len};
	}
	return literal(p, text);
}

static struct node *parse_primary(struct parser *p, bool with_namespace)
{
	const struct token *now = p_now(p);
	struct node *n;
	switch (now->kind) {
	case T_NAME:
		return parse_name(p, with_namespace);
	case T_STRING:
		return parse_string(p);
	case T_INT:
		n = constant(p, j_int(now->i, true));
		p_next(p);
		return n;
	case T_FLOAT:
		n = constant(p, j_float(now->f, true));
		p_next(p);
		return n;
	default:
		break;
	}
	p_enter(p);
	if (p_skip_sign(p, "(")) {
		n = tuple_of(p, parse_expression, true);
		p_want_sign(p, ")");
	} else if (p_is_sign(p, "[")) {
		n = parse_list(p);
	} else if (p_is_sign(p, "{")) {
		n = parse_dict(p);
	} else {
		p_unexpected(p, "an expression");
	}
	p_leave(p);
	return n;
}

/* ---- what follows an operand ---- */

static bool subscript_ends(const struct parser *p)
{
	return p_is_sign(p, "]") || p_is_sign(p, ",");
}

/* One of the things in a[...]: an expression, or a slice (of which a is not set yet). */
static struct node *parse_subscript_item(struct parser *p)
{
	struct node *from = NULL;
	if (!p_is_sign(p, ":")) {
		from = parse_expression(p);
		if (!p_is_sign(p, ":"))
			return from;
	}
	struct node *n = p_node(p, N_SLICE);
	p_want_sign(p, ":");
	n->b = from;
	if (!p_is_sign(p, ":") && !subscript_ends(p))
		n->c = parse_expression(p);
	if (p_skip_sign(p, ":") && !subscript_ends(p))
		n->d = parse_expression(p);
	return n;
}

static struct node *parse_subscript(struct parser *p, struct node *of)
{
	const struct token *begin = p_now(p);
	if (p_skip_sign(p, ".")) {
		const struct token *name = p_next(p);
		if (name->kind == T_INT)
			return two(p, N_ITEM, of, constant(p, j_int(name->i, true)));
		if (name->kind != T_NAME)
			p_fail(p, name->line, "a dot is followed by no name");
		struct node *n = p_node(p, N_ATTR);
		n->line = name->line;
		n->a = of;
		n->text = name->text;
		n->value = literal(p, name->text)->value;
		return n;
	}
	p_want_sign(p, "[");
	if (p_is_sign(p, "]"))
		p_fail(p, begin->line, "[] without what is wanted of a value");
	struct node *item = parse_subscript_item(p);
	if (p_is_sign(p, ",")) {
		struct node *all = p_node(p, N_TUPLE);
		size_t cap = 0;
		p_push(p, &all->list, &all->n, &cap, item);
		while (p_skip_sign(p, ",") && !p_is_sign(p, "]"))
			p_push(p, &all->list, &all->n, &cap, parse_subscript_item(p));
		for (size_t i = 0; i < all->n; i++)
			if (all->list[i]->kind == N_SLICE)
				p_fail(p, begin->line, "a slice among several indices");
		item = all;
	}
	p_want_sign(p, "]");
	if (item->kind == N_SLICE && !item->a) {
		item->a = of;
		return item;
	}
	return two(p, N_ITEM, of, item);
}

static struct node *parse_call(struct parser *p, struct node *of)
{
	struct node *n = p_node(p, N_CALL);
	n->a = of;
	n->args = parse_args(p);
	return n;
}

static struct node *parse_postfix(struct parser *p, struct node *of)
{
	for (;;) {
		if (p_is_sign(p, ".") || p_is_sign(p, "["))
			of = parse_subscript(p, of);
		else if (p_is_sign(p, "("))
			of = parse_call(p, of);
		else
			return of;
	}
}

/* "name" or "name.of.a.package", which no filter of ours has. */
static struct str dotted_name(struct parser *p, const char *what)
{
	struct str name = p_want_name(p, what);
	if (p_is_sign(p, "."))
		p_fail(p, p_now(p)->line, "%s named \"%.*s.\" is not known", what, STR_ARG(name));
	return name;
}

struct node *parse_filters(struct parser *p, struct node *of, bool begun)
{
	while (begun || p_skip_sign(p, "|")) {
		begun = false;
		struct node *n = p_node(p, N_FILTER);
		n->a = of;
		n->text = dotted_name(p, "a filter");
		if (p_is_sign(p, "("))
			n->args = parse_args(p);
		of = n;
	}
	return of;
}

/* Can the argument of a test without brackets begin here? */
static bool test_argument_begins(const struct parser *p)
{
	uint8_t kind = p_now(p)->kind;
	if (kind == T_NAME)
		return !p_is_name(p, "else") && !p_is_name(p, "or") && !p_is_name(p, "and");
	return kind == T_STRING || kind == T_INT || kind == T_FLOAT || p_is_sign(p, "(") ||
	       p_is_sign(p, "[") || p_is_sign(p, "{");
}

static struct node *parse_test(struct parser *p, struct node *of)
{
	struct node *n = p_node(p, N_TEST);
	bool negated = p_skip_name(p, "not");
	n->a = of;
	n->text = dotted_name(p, "a test");
	if (p_is_sign(p, "(")) {
		n->args = parse_args(p);
	} else if (test_argument_begins(p)) {
		if (p_is_name(p, "is"))
			p_fail(p, p_now(p)->line, "tests cannot be chained with \"is\"");
		size_t cap = 0;
		n->args = p_alloc(p, sizeof *n->args);
		p_push(p, &n->args->v, &n->args->n, &cap, parse_postfix(p, parse_primary(p, false)));
	}
	return negated ? two(p, N_NOT, n, NULL) : n;
}

static struct node *parse_unary(struct parser *p, bool with_filter)
{
	struct node *n;
	p_enter(p);
	if (p_is_sign(p, "-") || p_is_sign(p, "+")) {
		n = p_node(p, p_is_sign(p, "-") ? N_NEGATE : N_PLUS);
		p_next(p);
		n->a = parse_unary(p, false);
	} else {
		n = parse_primary(p, false);
	}
	n = parse_postfix(p, n);
	while (with_filter) {
		if (p_is_sign(p, "|"))
			n = parse_filters(p, n, false);
		else if (p_skip_name(p, "is"))
			n = parse_test(p, n);
		else if (p_is_sign(p, "("))
			n = parse_call(p, n);
		else
			break;
	}
	p_leave(p);
	return n;
}
