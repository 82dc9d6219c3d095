#include "text/template_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "text/limits.h"

void template_fail(struct template *t, enum hokku_code code, const char *format, ...)
{
	if (t->rc)
		return;
	char message[256];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	t->rc = err_set(t->err, code, "%s", message);
}

bool template_step(struct template *t)
{
	if (++t->n_steps > TEMPLATE_MAX_STEPS)
		template_fail(t, HOKKU_BAD_FILE, "more than %d steps", TEMPLATE_MAX_STEPS);
	return !t->rc;
}

/* A template is a row of parts: plain text, {{ output }} and {% statements %}. */
enum part_kind { PART_TEXT, PART_OUTPUT, PART_STATEMENT };
struct part {
	enum part_kind kind;
	struct str text; /* what stands inside the tag, or the plain text */
};
struct parts {
	struct part *p;
	size_t n, cap;
};

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void parts_push(struct template *t, struct parts *parts, enum part_kind kind, struct str text)
{
	if (parts->n == parts->cap) {
		size_t cap = parts->cap ? parts->cap * 2 : 64;
		struct part *p = realloc(parts->p, cap * sizeof *p);
		if (!p) {
			template_fail(t, HOKKU_OUT_OF_MEMORY, "no memory for the template");
			return;
		}
		parts->p = p;
		parts->cap = cap;
	}
	parts->p[parts->n++] = (struct part){kind, text};
}

/* Where the tag that opens at p with {kind closes: at its two last characters; NULL if it does not. Strings
 * inside may hold what looks like the end. */
static const char *tag_end(const char *p, const char *end, char kind)
{
	char last = kind == '{' ? '}' : kind;
	char quote = 0;
	for (p += 2; p + 1 < end; p++) {
		if (quote && *p == '\\')
			p++;
		else if (quote)
			quote = *p == quote ? 0 : quote;
		else if (kind != '#' && (*p == '\'' || *p == '"'))
			quote = *p;
		else if (p[0] == last && p[1] == '}')
			return p;
	}
	return NULL;
}

static const char *next_tag(const char *p, const char *end)
{
	for (; p + 1 < end; p++)
		if (p[0] == '{' && (p[1] == '{' || p[1] == '%' || p[1] == '#'))
			return p;
	return end;
}

/* The plain text before a tag, without the blanks that the tag takes away. */
static struct str text_before(const char *from, const char *tag, const char *end)
{
	size_t n = (size_t)(tag - from);
	if (tag < end && tag + 2 < end && tag[2] == '-') {
		while (n && is_space(from[n - 1]))
			n--;
	} else if (tag < end && tag[1] != '{' && !(tag + 2 < end && tag[2] == '+')) { /* lstrip_blocks */
		size_t i = n;
		while (i && (from[i - 1] == ' ' || from[i - 1] == '\t'))
			i--;
		if (i == 0 || from[i - 1] == '\n')
			n = i;
	}
	return (struct str){from, n};
}

/* Jinja reads CRLF and CR as LF, before anything else and inside strings, too. */
static struct str with_line_feeds(struct template *t, struct str source)
{
	if (!source.len || !memchr(source.ptr, '\r', source.len))
		return source;
	char *copy = arena_alloc(&t->arena, source.len, 1);
	if (!copy) {
		template_fail(t, HOKKU_OUT_OF_MEMORY, "no memory for the template");
		return source;
	}
	size_t n = 0;
	for (size_t i = 0; i < source.len; i++) {
		if (source.ptr[i] != '\r')
			copy[n++] = source.ptr[i];
		else if (i + 1 == source.len || source.ptr[i + 1] != '\n')
			copy[n++] = '\n';
	}
	return (struct str){copy, n};
}

static void split(struct template *t, struct str source, struct parts *parts)
{
	const char *p = source.ptr, *end = p + source.len;
	if (source.len && end[-1] == '\n') /* Jinja drops one line break at the end of a template */
		end--;
	bool line_start = true; /* text begins at a line's start, or after a tag in its middle */
	while (!t->rc) {
		const char *tag = next_tag(p, end);
		struct str text = text_before(p, tag, end);
		/* Blanks after a tag in the middle of a line are no indentation. */
		if (!line_start && tag < end && tag[2] != '-' && !memchr(p, '\n', (size_t)(tag - p)))
			text.len = (size_t)(tag - p);
		if (text.len)
			parts_push(t, parts, PART_TEXT, text);
		if (tag == end)
			break;
		const char *close = tag_end(tag, end, tag[1]);
		if (!close) {
			template_fail(t, HOKKU_BAD_FILE, "a {%c is never closed", tag[1]);
			break;
		}
		const char *inner = tag + 2;
		bool dash = close > inner && close[-1] == '-', plus = close > inner && close[-1] == '+';
		if (*inner == '-' || *inner == '+')
			inner++;
		size_t n = close > inner ? (size_t)(close - inner) : 0;
		if (n && (dash || plus))
			n--;
		if (tag[1] != '#')
			parts_push(t, parts, tag[1] == '{' ? PART_OUTPUT : PART_STATEMENT,
				   (struct str){inner, n});
		p = close + 2;
		line_start = false;
		if (dash) {
			while (p < end && is_space(*p))
				p++;
		} else if (tag[1] != '{' && !plus && p < end && *p == '\n') { /* trim_blocks */
			p++;
			line_start = true;
		}
	}
}

struct run {
	struct template *t;
	const struct parts *parts;
	unsigned depth;
};

static size_t run_block(struct run *r, size_t i, bool active, struct str *ended_by);

static struct expr tag_expr(struct run *r, size_t i)
{
	struct str s = r->parts->p[i].text;
	return (struct expr){.t = r->t, .p = s.ptr, .end = s.ptr + s.len};
}

static void expect_end(struct expr *e)
{
	expr_space(e);
	char quoted[48];
	if (e->p < e->end)
		template_fail(e->t, HOKKU_BAD_FILE, "%s is not understood",
			      str_quote((struct str){e->p, (size_t)(e->end - e->p)}, quoted, sizeof quoted));
}

static void write_value(struct template *t, const struct value *v)
{
	if (v->type == V_STRING)
		strbuf_add(t->out, v->s.ptr, v->s.len);
	else if (v->type == V_INT)
		strbuf_addf(t->out, "%lld", (long long)v->i);
	else if (v->type != V_UNDEFINED)
		template_fail(t, HOKKU_BAD_FILE, "a value that is no text is written");
	if (t->out->failed)
		template_fail(t, HOKKU_OUT_OF_MEMORY, "no memory for what the template writes");
	if (t->out->len > TEMPLATE_MAX_OUTPUT_BYTES)
		template_fail(t, HOKKU_BAD_FILE, "it writes more than %d bytes", TEMPLATE_MAX_OUTPUT_BYTES);
}

/* Sets name in the scope whose variables begin at mark. */
static void set_variable(struct template *t, size_t mark, struct str name, struct value value)
{
	for (size_t i = t->n_variables; i > mark; i--) {
		if (str_eq(t->variables[i - 1].name, name)) {
			t->variables[i - 1].value = value;
			return;
		}
	}
	if (t->n_variables == TEMPLATE_MAX_VARIABLES) {
		template_fail(t, HOKKU_BAD_FILE, "more than %d variables", TEMPLATE_MAX_VARIABLES);
		return;
	}
	t->variables[t->n_variables++] = (struct variable){name, value};
}

/* {% if %} at part i; returns the part after its endif. */
static size_t run_if(struct run *r, size_t i, bool active)
{
	bool taken = false;
	struct str keyword = STR_LIT("if");
	while (!r->t->rc) {
		struct expr e = tag_expr(r, i);
		expr_name(&e);
		bool take = active && !taken;
		if (take && !str_eq_c(keyword, "else")) {
			struct value v = expr_eval(&e);
			expect_end(&e);
			take = value_is_true(&v);
		}
		taken = taken || take;
		i = run_block(r, i + 1, take && !r->t->rc, &keyword);
		if (str_eq_c(keyword, "endif"))
			return i + 1;
		if (!str_eq_c(keyword, "elif") && !str_eq_c(keyword, "else"))
			template_fail(r->t, HOKKU_BAD_FILE, "an if is never ended");
	}
	return i;
}

/* {% for %} at part i; returns the part after its endfor. */
static size_t run_for(struct run *r, size_t i, bool active)
{
	struct template *t = r->t;
	struct str name = {"", 0}, ended_by;
	struct value list = {V_MESSAGES, .range = {0, 0}};
	if (active) {
		struct expr e = tag_expr(r, i);
		expr_name(&e);
		name = expr_name(&e);
		if (!name.len || !expr_accept_word(&e, "in"))
			template_fail(t, HOKKU_BAD_FILE, "a for that is not \"for NAME in LIST\"");
		list = expr_eval(&e);
		expect_end(&e);
		if (list.type != V_MESSAGES)
			template_fail(t, HOKKU_BAD_FILE, "a for over something that is no list of messages");
	}
	if (t->rc)
		return i;
	size_t n = list.range.to - list.range.from, mark = t->n_variables, after = i;
	for (size_t k = 0; k < n && !t->rc; k++) {
		set_variable(t, mark, name, (struct value){V_MESSAGE, .message = list.range.from + k});
		set_variable(t, mark, STR_LIT("loop"), (struct value){V_LOOP, .loop = {k, n}});
		after = run_block(r, i + 1, true, &ended_by);
		t->n_variables = mark;
		if (!t->rc && !str_eq_c(ended_by, "endfor"))
			template_fail(t, HOKKU_BAD_FILE, "a for has an else, or is never ended");
	}
	if (n == 0) {
		after = run_block(r, i + 1, false, &ended_by);
		if (!t->rc && !str_eq_c(ended_by, "endfor"))
			template_fail(t, HOKKU_BAD_FILE, "a for has an else, or is never ended");
	}
	return after + 1;
}

static void run_set(struct run *r, struct expr *e, size_t mark)
{
	struct str name = expr_name(e);
	if (!name.len || !expr_accept(e, "=")) {
		template_fail(r->t, HOKKU_BAD_FILE, "a set that is not \"set NAME = VALUE\"");
		return;
	}
	struct value v = expr_eval(e);
	expect_end(e);
	set_variable(r->t, mark, name, v);
}

/* The variables of the innermost scope begin after the last "loop"; set reaches no further out. */
static size_t scope_mark(const struct template *t)
{
	size_t i = t->n_variables;
	while (i && !str_eq_c(t->variables[i - 1].name, "loop"))
		i--;
	return i;
}

/* Runs parts from i to the tag that ends the block, and returns its number; *ended_by is its keyword (empty:
 * the template ended). Inactive blocks are only walked. */
static size_t run_block(struct run *r, size_t i, bool active, struct str *ended_by)
{
	struct template *t = r->t;
	*ended_by = (struct str){"", 0};
	if (++r->depth > TEMPLATE_MAX_DEPTH)
		template_fail(t, HOKKU_BAD_FILE, "blocks nested deeper than %d", TEMPLATE_MAX_DEPTH);
	while (i < r->parts->n && template_step(t)) {
		const struct part *part = &r->parts->p[i];
		struct expr e = tag_expr(r, i);
		if (part->kind == PART_TEXT || part->kind == PART_OUTPUT) {
			struct value v = {V_STRING, .s = part->text};
			if (active && part->kind == PART_OUTPUT) {
				v = expr_eval(&e);
				expect_end(&e);
			}
			if (active && !t->rc)
				write_value(t, &v);
			i++;
			continue;
		}
		struct str keyword = expr_name(&e);
		if (str_eq_c(keyword, "if")) {
			i = run_if(r, i, active);
		} else if (str_eq_c(keyword, "for")) {
			i = run_for(r, i, active);
		} else if (str_eq_c(keyword, "elif") || str_eq_c(keyword, "else") ||
			   str_eq_c(keyword, "endif") || str_eq_c(keyword, "endfor")) {
			*ended_by = keyword;
			break;
		} else {
			/* {% generation %} marks the answer for training and writes nothing. */
			bool ignored = str_eq_c(keyword, "generation") || str_eq_c(keyword, "endgeneration");
			char quoted[48];
			if (active && str_eq_c(keyword, "set"))
				run_set(r, &e, scope_mark(t));
			else if (active && !ignored)
				template_fail(t, HOKKU_BAD_FILE, "the statement %s is not known",
					      str_quote(keyword, quoted, sizeof quoted));
			i++;
		}
	}
	r->depth--;
	return i;
}

enum hokku_code template_render(struct str source, const struct template_input *input, struct strbuf *out,
				struct hokku_error *err)
{
	if (source.len > CHAT_MAX_TEMPLATE_BYTES)
		return err_set(err, HOKKU_BAD_FILE, "it has %zu bytes; %d are allowed", source.len,
			       CHAT_MAX_TEMPLATE_BYTES);
	struct template *t = calloc(1, sizeof *t);
	if (!t)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory to run the template");
	t->input = input;
	t->out = out;
	t->err = err;
	struct parts parts = {0};
	split(t, with_line_feeds(t, source), &parts);
	if (!t->rc) {
		struct run r = {t, &parts, 0};
		struct str ended_by;
		run_block(&r, 0, true, &ended_by);
		if (ended_by.len)
			template_fail(t, HOKKU_BAD_FILE, "a block is ended that was never begun");
	}
	enum hokku_code rc = t->rc;
	free(parts.p);
	arena_free(&t->arena);
	free(t);
	return rc;
}
