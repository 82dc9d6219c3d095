/* A grammar in llama.cpp's notation, read into trees. */
#include "constrain/gbnf.h"

#include <stdio.h>
#include <stdlib.h>

#include "constrain/spans.h"
#include "constrain/text.h"

struct reader {
	struct gbnf_text *t;
	size_t at;
	uint32_t depth;
};

bool gbnf_fail(struct gbnf_text *t, size_t at, const char *format, ...)
{
	char text[400], place[64];
	uint32_t line = 1, column = 1;
	va_list args;
	if (t->rc)
		return false;
	for (size_t i = 0; i < at && i < t->text.len; i++) {
		bool ends = t->text.ptr[i] == '\n' ||
			    (t->text.ptr[i] == '\r' && (i + 1 == t->text.len || t->text.ptr[i + 1] != '\n'));
		line += ends;
		column = ends ? 1 : column + (((uint8_t)t->text.ptr[i] & 0xc0) != 0x80);
	}
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	snprintf(place, sizeof place, "line %u column %u", line, column);
	if (t->fault)
		snprintf(t->fault->place, sizeof t->fault->place, "%s", place);
	t->rc = err_set(t->err, HOKKU_INVALID_REQUEST, "%s: %s", place, text);
	return false;
}

bool gbnf_no_memory(struct gbnf_text *t)
{
	if (!t->rc)
		t->rc = err_set(t->err, HOKKU_OUT_OF_MEMORY, "no memory for a grammar");
	return false;
}

static char now(const struct reader *r)
{
	return r->at < r->t->text.len ? r->t->text.ptr[r->at] : '\0';
}

static bool at_end(const struct reader *r)
{
	return r->at >= r->t->text.len;
}

static bool starts(const struct reader *r, const char *what)
{
	return str_starts((struct str){r->t->text.ptr + r->at, r->t->text.len - r->at}, str_c(what));
}

static bool is_newline(char c)
{
	return c == '\n' || c == '\r';
}

/* Blanks and comments; ends of lines too where `lines`. */
static void skip_space(struct reader *r, bool lines)
{
	while (!at_end(r)) {
		char c = now(r);
		if (c == '#')
			while (!at_end(r) && !is_newline(now(r)))
				r->at++;
		else if (c == ' ' || c == '\t' || (lines && is_newline(c)))
			r->at++;
		else
			return;
	}
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	return ((unsigned char)c | 0x20u) - 'a' < 26u || is_digit(c) || c == '-' || c == '_';
}

static struct str read_name(struct reader *r)
{
	size_t from = r->at;
	while (!at_end(r) && is_word(now(r)))
		r->at++;
	return (struct str){r->t->text.ptr + from, r->at - from};
}

/* What stands here, for messages. */
static const char *found(const struct reader *r, char out[32])
{
	struct str rest = {r->t->text.ptr + r->at, r->t->text.len - r->at};
	size_t n = 1;
	if (!rest.len)
		return "the end of the grammar";
	if (is_newline(*rest.ptr))
		return "the end of the line";
	while (n < rest.len && n < 4 && ((uint8_t)rest.ptr[n] & 0xc0) == 0x80)
		n++;
	return str_quote((struct str){rest.ptr, n}, out, 32);
}

static struct gbnf_node *new_node(struct reader *r, enum gbnf_kind kind, size_t at)
{
	struct gbnf_node *n = arena_alloc(r->t->arena, sizeof *n, _Alignof(struct gbnf_node));
	if (!n) {
		gbnf_no_memory(r->t);
		return NULL;
	}
	n->kind = kind;
	n->at = (uint32_t)at;
	return n;
}

/* Room for one more in an array whose places are doubled; NULL: no memory. */
static void *grown(struct gbnf_text *t, void *array, uint32_t n, uint32_t *cap, size_t size)
{
	if (n < *cap)
		return array;
	uint32_t more = *cap ? *cap * 2 : 4;
	void *bigger = arena_array(t->arena, more, size);
	if (!bigger) {
		gbnf_no_memory(t);
		return NULL;
	}
	if (n)
		memcpy(bigger, array, n * size);
	*cap = more;
	return bigger;
}

static bool add_kid(struct reader *r, struct gbnf_node *n, uint32_t *cap, struct gbnf_node *kid)
{
	void *kids = grown(r->t, n->kids, n->n_kids, cap, sizeof(struct gbnf_node *));
	if (!kids)
		return false;
	n->kids = kids;
	n->kids[n->n_kids++] = kid;
	return true;
}

/* \x41 \u0041 \U00000041: n digits behind the letter. */
static bool read_hex(struct reader *r, size_t n, uint32_t *c)
{
	size_t from = r->at;
	r->at += 2;
	*c = 0;
	for (size_t i = 0; i < n; i++, r->at++) {
		int d = at_end(r) ? -1 : hex_digit(now(r));
		if (d < 0)
			return gbnf_fail(r->t, from, "\"\\%c\" wants %zu hexadecimal digits",
					 r->t->text.ptr[from + 1], n);
		*c = *c << 4 | (uint32_t)d;
	}
	return *c <= CODE_POINT_MAX || gbnf_fail(r->t, from, "U+%X is past the last character, U+10FFFF", *c);
}

static bool read_escape(struct reader *r, uint32_t *c)
{
	static const char letters[] = "trn\\\"[]-", chars[] = "\t\r\n\\\"[]-";
	char quoted[32], e = r->at + 1 < r->t->text.len ? r->t->text.ptr[r->at + 1] : '\0';
	const char *letter = e ? memchr(letters, e, sizeof letters - 1) : NULL;
	if (letter) {
		*c = (uint8_t)chars[letter - letters];
		r->at += 2;
		return true;
	}
	if (e == 'x' || e == 'u' || e == 'U')
		return read_hex(r, e == 'x' ? 2 : e == 'u' ? 4 : 8, c);
	r->at++;
	return gbnf_fail(
		r->t, r->at - 1,
		"no escape: %s after \"\\\"; there are \\n \\r \\t \\\\ \\\" \\[ \\] \\- \\xXX \\uXXXX "
		"\\UXXXXXXXX",
		found(r, quoted));
}

/* One character of a literal or a class. */
static bool read_char(struct reader *r, uint32_t *c)
{
	const uint8_t *s = (const uint8_t *)r->t->text.ptr + r->at;
	if (*s == '\\')
		return read_escape(r, c);
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	*c = n == 1 ? s[0] : s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++)
		*c = *c << 6 | (s[i] & 63);
	r->at += n;
	return true;
}

static bool is_surrogate(uint32_t c)
{
	return c >= 0xd800 && c <= 0xdfff;
}

static struct gbnf_node *text_node(struct reader *r, size_t at, rx text, uint64_t size)
{
	struct gbnf_node *n = new_node(r, G_TEXT, at);
	if (n) {
		n->text = text;
		n->made = true;
		n->size = size;
	}
	return n;
}

static struct gbnf_node *read_literal(struct reader *r)
{
	size_t open = r->at++;
	struct strbuf b = {0};
	struct gbnf_node *n = NULL;
	uint32_t c;
	while (!at_end(r) && now(r) != '"') {
		char utf8[4];
		size_t from = r->at;
		if (!read_char(r, &c))
			break;
		if (is_surrogate(c)) {
			gbnf_fail(r->t, from,
				  "U+%04X is half a character and never stands alone; write the whole "
				  "one, or \\U and eight digits",
				  c);
			break;
		}
		strbuf_add(&b, utf8, utf8_put(utf8, c));
	}
	if (at_end(r))
		gbnf_fail(r->t, open, "a literal is not closed; write \" after it");
	if (b.failed)
		gbnf_no_memory(r->t);
	if (!r->t->rc) {
		r->at++;
		n = text_node(r, open, rx_literal(r->t->pool, b.ptr ? b.ptr : "", b.len), b.len);
	}
	strbuf_free(&b);
	return n;
}

/* The members of a class up to "]". */
static bool read_members(struct reader *r, size_t open, struct spans *set)
{
	while (!at_end(r) && now(r) != ']') {
		size_t from = r->at;
		uint32_t first = 0, last;
		if (!read_char(r, &first))
			return false;
		last = first;
		if (starts(r, "-") && !starts(r, "-]")) {
			r->at++;
			if (at_end(r))
				break;
			if (!read_char(r, &last))
				return false;
		}
		if (first > last)
			return gbnf_fail(r->t, from,
					 "the range begins with U+%04X, past its end U+%04X; turn it round",
					 first, last);
		spans_put(set, first, last);
	}
	return !at_end(r) || gbnf_fail(r->t, open, "a class is not closed; write ] after it");
}

static struct gbnf_node *read_class(struct reader *r)
{
	size_t open = r->at++;
	struct spans set = {0};
	struct gbnf_node *n = NULL;
	bool negative = now(r) == '^';
	r->at += negative;
	bool fine = read_members(r, open, &set);
	if (fine && !set.n && !set.failed)
		fine = gbnf_fail(r->t, open, "a class without characters; for any character write \".\"");
	if (fine) {
		r->at++;
		spans_sort(&set);
		if (negative)
			spans_invert(&set);
		if (set.failed)
			gbnf_no_memory(r->t);
		else
			n = text_node(r, open, rx_chars(r->t->pool, set.at, set.n), 1);
	}
	spans_free(&set);
	return n;
}

static struct gbnf_node *read_reference(struct reader *r)
{
	struct gbnf_text *t = r->t;
	struct gbnf_node *n = new_node(r, G_RULE, r->at);
	void *references =
		grown(t, t->references, t->n_references, &t->cap_references, sizeof(struct gbnf_node *));
	if (!n || !references)
		return NULL;
	n->name = read_name(r);
	n->within = t->n_rules;
	t->references = references;
	t->references[t->n_references++] = n;
	return n;
}

static struct gbnf_node *read_or(struct reader *r, bool nested);

static struct gbnf_node *read_group(struct reader *r)
{
	size_t open = r->at++;
	char quoted[32];
	if (++r->depth > GBNF_MAX_DEPTH) {
		gbnf_fail(r->t, open, "more than %d groups in each other, the limit", GBNF_MAX_DEPTH);
		return NULL;
	}
	skip_space(r, true);
	struct gbnf_node *n = read_or(r, true);
	r->depth--;
	if (!n)
		return NULL;
	if (now(r) != ')') {
		gbnf_fail(r->t, r->at, "found %s where \")\" or another item is wanted", found(r, quoted));
		return NULL;
	}
	r->at++;
	return n;
}

static struct gbnf_node *read_token(struct reader *r)
{
	size_t from = r->at;
	char quoted[64];
	while (!at_end(r) && now(r) != '>' && !is_newline(now(r)))
		r->at++;
	struct str token = {r->t->text.ptr + from, r->at - from + (now(r) == '>')};
	gbnf_fail(r->t, from,
		  "%s asks for a token; a grammar is told by characters here: write its text as a literal",
		  str_quote(token, quoted, sizeof quoted));
	return NULL;
}

/* An item at r->at, without its quantifiers; NULL and no fault: none begins here. */
static struct gbnf_node *read_item(struct reader *r)
{
	static const struct rx_span any = {0, CODE_POINT_MAX};
	char c = now(r);
	if (at_end(r))
		return NULL;
	switch (c) {
	case '"':
		return read_literal(r);
	case '[':
		return read_class(r);
	case '(':
		return read_group(r);
	case '<':
	case '!':
		return read_token(r);
	case '.':
		r->at++;
		return text_node(r, r->at - 1, rx_chars(r->t->pool, &any, 1), 1);
	default:
		return is_word(c) ? read_reference(r) : NULL;
	}
}

static bool read_count(struct reader *r, uint32_t *n)
{
	uint64_t value = 0;
	size_t from = r->at;
	char quoted[32];
	for (; !at_end(r) && is_digit(now(r)); r->at++) {
		value = value * 10 + (uint64_t)(now(r) - '0');
		if (value >= RX_UNBOUNDED)
			return gbnf_fail(r->t, from, "a count past %u", RX_UNBOUNDED - 1);
	}
	*n = (uint32_t)value;
	return r->at > from || gbnf_fail(r->t, from, "found %s where a count is wanted: {m}, {m,} or {m,n}",
					 found(r, quoted));
}

/* {m} {m,} {m,n} */
static bool read_braces(struct reader *r, bool nested, uint32_t *min, uint32_t *max)
{
	size_t open = r->at++;
	char quoted[32];
	skip_space(r, nested);
	if (!read_count(r, min))
		return false;
	*max = *min;
	skip_space(r, nested);
	if (now(r) == ',') {
		r->at++;
		skip_space(r, nested);
		*max = RX_UNBOUNDED;
		if (now(r) != '}' && !read_count(r, max))
			return false;
		skip_space(r, nested);
	}
	if (now(r) != '}')
		return gbnf_fail(r->t, r->at, "found %s where \"}\" is wanted", found(r, quoted));
	r->at++;
	return *min <= *max ||
	       gbnf_fail(r->t, open, "{%u,%u}: the least count is above the greatest; turn them round", *min,
			 *max);
}

/* Quantifiers, each of what stands before it; NULL: a fault. */
static struct gbnf_node *read_quantifiers(struct reader *r, struct gbnf_node *item, bool nested)
{
	for (;;) {
		uint32_t min = 0, max = RX_UNBOUNDED, cap = 0;
		size_t from = r->at;
		char c = now(r);
		if (c == '+')
			min = 1;
		else if (c == '?')
			max = 1;
		else if (c != '*' && c != '{')
			return item;
		if (c != '{')
			r->at++;
		else if (!read_braces(r, nested, &min, &max))
			return NULL;
		skip_space(r, nested);
		struct gbnf_node *n = new_node(r, G_REPEAT, from);
		if (!n || !add_kid(r, n, &cap, item))
			return NULL;
		n->at = item->at;
		n->min = min;
		n->max = max;
		item = n;
	}
}

static struct gbnf_node *read_cat(struct reader *r, bool nested)
{
	struct gbnf_node *n = new_node(r, G_CAT, r->at), *item;
	uint32_t cap = 0;
	if (!n)
		return NULL;
	if (now(r) && strchr("*+?{", now(r))) {
		gbnf_fail(r->t, r->at,
			  "nothing to repeat before \"%c\"; for the character itself write \"\\\"%c\\\"\"",
			  now(r), now(r));
		return NULL;
	}
	while ((item = read_item(r))) {
		skip_space(r, nested);
		item = read_quantifiers(r, item, nested);
		if (!item || !add_kid(r, n, &cap, item))
			return NULL;
	}
	return r->t->rc ? NULL : n;
}

/* A "|" here, or at the beginning of the next line that has something. */
static bool another_branch(struct reader *r)
{
	size_t from = r->at;
	skip_space(r, true);
	if (now(r) == '|') {
		r->at++;
		return true;
	}
	r->at = from;
	return false;
}

static struct gbnf_node *read_or(struct reader *r, bool nested)
{
	size_t from = r->at;
	uint32_t cap = 0;
	struct gbnf_node *branch = read_cat(r, nested), *n = NULL;
	while (branch && another_branch(r)) {
		if (!n) {
			n = new_node(r, G_OR, from);
			if (!n || !add_kid(r, n, &cap, branch))
				return NULL;
		}
		skip_space(r, true);
		branch = read_cat(r, nested);
		if (!branch || !add_kid(r, n, &cap, branch))
			return NULL;
	}
	return branch && n ? n : branch;
}

static bool read_rule(struct reader *r)
{
	struct gbnf_text *t = r->t;
	char quoted[32];
	size_t from = r->at;
	struct gbnf_rule *rules = grown(t, t->rules, t->n_rules, &t->cap_rules, sizeof *rules);
	struct str name = read_name(r);
	if (!rules)
		return false;
	t->rules = rules;
	if (!name.len)
		return gbnf_fail(t, r->at, "found %s where a rule's name is wanted: name ::= ...",
				 found(r, quoted));
	skip_space(r, false);
	if (!starts(r, "::="))
		return gbnf_fail(t, r->at, "found %s where \"::=\" is wanted after a rule's name",
				 found(r, quoted));
	r->at += 3;
	skip_space(r, true);
	struct gbnf_node *body = read_or(r, false);
	if (!body)
		return false;
	if (!at_end(r) && !is_newline(now(r)))
		return gbnf_fail(t, r->at, "found %s where an item, \"|\" or the end of the line is wanted",
				 found(r, quoted));
	t->rules[t->n_rules++] = (struct gbnf_rule){name, (uint32_t)from, body};
	skip_space(r, true);
	return true;
}

static int compare_names(struct str a, struct str b)
{
	int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_name(const void *a, const void *b)
{
	const struct gbnf_rule *x = *(struct gbnf_rule *const *)a, *y = *(struct gbnf_rule *const *)b;
	int order = compare_names(x->name, y->name);
	return order ? order : (x->at > y->at) - (x->at < y->at);
}

static int is_named(const void *name, const void *rule)
{
	return compare_names(*(const struct str *)name, (*(struct gbnf_rule *const *)rule)->name);
}

const struct gbnf_rule *gbnf_find(const struct gbnf_text *t, struct str name)
{
	struct gbnf_rule **found =
		bsearch(&name, t->by_name, t->n_rules, sizeof(struct gbnf_rule *), is_named);
	return found ? *found : NULL;
}

static bool resolve(struct gbnf_text *t)
{
	char quoted[80];
	t->by_name = arena_array(t->arena, t->n_rules, sizeof(struct gbnf_rule *));
	if (!t->by_name)
		return gbnf_no_memory(t);
	for (uint32_t i = 0; i < t->n_rules; i++)
		t->by_name[i] = &t->rules[i];
	qsort(t->by_name, t->n_rules, sizeof(struct gbnf_rule *), by_name);
	for (uint32_t i = 1; i < t->n_rules; i++)
		if (str_eq(t->by_name[i - 1]->name, t->by_name[i]->name))
			return gbnf_fail(
				t, t->by_name[i]->at,
				"a second rule %s; give it another name, or put its \"|\" into the first",
				str_quote(t->by_name[i]->name, quoted, sizeof quoted));
	for (uint32_t i = 0; i < t->n_references; i++) {
		struct gbnf_node *n = t->references[i];
		const struct gbnf_rule *rule = gbnf_find(t, n->name);
		if (!rule)
			return gbnf_fail(t, n->at, "there is no rule %s",
					 str_quote(n->name, quoted, sizeof quoted));
		n->rule = (uint32_t)(rule - t->rules);
	}
	return true;
}

enum hokku_code gbnf_parse(struct gbnf_text *t)
{
	struct reader r = {.t = t};
	char thousands[32];
	if (t->text.len > GBNF_MAX_BYTES)
		return t->rc = err_set(t->err, HOKKU_INVALID_REQUEST,
				       "the grammar has %s bytes; the limit is %d",
				       str_thousands(t->text.len, thousands), GBNF_MAX_BYTES);
	size_t valid = t->text.len ? utf8_valid_prefix(t->text.ptr, t->text.len) : 0;
	if (valid < t->text.len) {
		gbnf_fail(t, valid, "no UTF-8");
		return t->rc;
	}
	skip_space(&r, true);
	while (!at_end(&r) && read_rule(&r) && !rx_failed(t->pool))
		;
	if (!t->rc && !t->n_rules)
		t->rc = err_set(t->err, HOKKU_INVALID_REQUEST,
				"the grammar has no rules: root ::= ... is wanted");
	if (!t->rc && !rx_failed(t->pool))
		resolve(t);
	return t->rc;
}
