/* A pattern read into a tree. */
#include "constrain/pattern.h"

#include <stdio.h>

#include "constrain/rx_internal.h"

uint32_t pattern_column(struct str pattern, size_t at)
{
	uint32_t column = 1;
	for (size_t i = 0; i < at && i < pattern.len; i++)
		column += ((uint8_t)pattern.ptr[i] & 0xc0) != 0x80;
	return column;
}

bool pattern_fail(struct pattern_parser *p, size_t at, const char *format, ...)
{
	char text[400];
	va_list args;
	if (p->rc)
		return false;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	p->rc = err_set(p->err, HOKKU_INVALID_REQUEST, "column %u: %s", pattern_column(p->text, at), text);
	return false;
}

bool pattern_no_memory(struct pattern_parser *p)
{
	if (!p->rc)
		p->rc = err_set(p->err, HOKKU_OUT_OF_MEMORY, "no memory for a pattern");
	return false;
}

enum hokku_code pattern_too_much(struct hokku_error *err)
{
	return err_set(err, HOKKU_INVALID_REQUEST,
		       "the pattern takes more memory or work than a shape may; smaller counts or fewer "
		       "alternatives would do");
}

uint32_t pattern_peek(const struct pattern_parser *p, size_t *n)
{
	const uint8_t *s = (const uint8_t *)p->text.ptr + p->at;
	*n = 0;
	if (p->at >= p->text.len)
		return 0;
	*n = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	uint32_t c = *n == 1 ? s[0] : s[0] & (0x7fu >> *n);
	for (size_t i = 1; i < *n; i++)
		c = c << 6 | (s[i] & 63);
	return c;
}

static bool is_at(const struct pattern_parser *p, const char *what)
{
	return str_starts((struct str){p->text.ptr + p->at, p->text.len - p->at}, str_c(what));
}

static bool skip(struct pattern_parser *p, const char *what)
{
	bool is = is_at(p, what);
	p->at += is ? strlen(what) : 0;
	return is;
}

static struct pattern_node *new_node(struct pattern_parser *p, enum pattern_kind kind, size_t at)
{
	struct pattern_node *n = arena_alloc(p->arena, sizeof *n, _Alignof(struct pattern_node));
	if (!n) {
		pattern_no_memory(p);
		return NULL;
	}
	n->kind = kind;
	n->at = (uint32_t)at;
	n->asserts = kind >= P_AHEAD;
	return n;
}

/* Kids are kept in arrays of a power of two of places. */
static bool add_kid(struct pattern_parser *p, struct pattern_node *n, struct pattern_node *kid)
{
	if ((n->n_kids & (n->n_kids - 1)) == 0) {
		struct pattern_node **more =
			arena_array(p->arena, n->n_kids ? n->n_kids * 2 : 1, sizeof(struct pattern_node *));
		if (!more)
			return pattern_no_memory(p);
		if (n->n_kids)
			memcpy(more, n->kids, n->n_kids * sizeof(struct pattern_node *));
		n->kids = more;
	}
	n->kids[n->n_kids++] = kid;
	n->asserts |= kid->asserts;
	return true;
}

/* Takes what the set holds. */
static struct pattern_node *chars(struct pattern_parser *p, size_t at, struct spans *set)
{
	struct pattern_node *n = NULL;
	if (set->failed)
		pattern_no_memory(p);
	else if (rx_charge(p->pool, 1 + set->n / 4))
		n = new_node(p, P_CHARS, at);
	if (n && set->n) {
		n->spans = arena_array(p->arena, set->n, sizeof *n->spans);
		if (n->spans) {
			memcpy(n->spans, set->at, set->n * sizeof *n->spans);
			n->n_spans = (uint32_t)set->n;
		} else {
			pattern_no_memory(p);
			n = NULL;
		}
	}
	spans_free(set);
	return n;
}

static bool parse_or(struct pattern_parser *p, struct pattern_node **out);

/* A group's name, ">" after it. */
static bool group_name(struct pattern_parser *p)
{
	size_t from = p->at, n;
	while (p->at < p->text.len && p->text.ptr[p->at] != '>') {
		uint32_t c = pattern_peek(p, &n);
		bool letter = (c | 0x20) - 'a' < 26 || c == '_' || c == '$' || c >= 128;
		if (!letter && (p->at == from || c - '0' > 9))
			break;
		p->at += n;
	}
	struct str name = {p->text.ptr + from, p->at - from};
	if (!name.len || !skip(p, ">"))
		return pattern_fail(p, from,
				    "a group's name is letters, digits, \"_\" and \"$\", then \">\"");
	for (struct pattern_name *other = p->names; other; other = other->next)
		if (str_eq(other->name, name))
			return pattern_fail(p, from, "two groups have this name; give them different ones");
	struct pattern_name *mine = arena_alloc(p->arena, sizeof *mine, _Alignof(struct pattern_name));
	if (!mine)
		return pattern_no_memory(p);
	*mine = (struct pattern_name){name, p->names};
	p->names = mine;
	return true;
}

/* The letters of (?ims-ims: or (?ims) ; p->at is behind "(?". */
static bool read_flags(struct pattern_parser *p, size_t open)
{
	static const char letters[] = "ims";
	bool *const set[] = {&p->flags.any_case, &p->flags.lines, &p->flags.dot_all};
	bool off = false, any = false;
	for (; p->at < p->text.len; p->at++) {
		char c = p->text.ptr[p->at];
		const char *letter = memchr(letters, c, sizeof letters - 1);
		if (letter)
			*set[letter - letters] = !off;
		else if (c == '-' && !off)
			off = true;
		else
			break;
		any = true;
	}
	if (any && p->at < p->text.len && (p->text.ptr[p->at] == ':' || p->text.ptr[p->at] == ')'))
		return true;
	return pattern_fail(p, open,
			    "\"(?\" begins no group that ECMA-262 has; there are (?:...), (?<name>...), "
			    "(?=...), (?!...), (?<=...), (?<!...), and here (?ims-ims:...)");
}

static bool close_group(struct pattern_parser *p, size_t open)
{
	return skip(p, ")") ||
	       pattern_fail(p, open, "\"(\" is not closed; write \")\" after the group, or \"\\(\"");
}

/* (?i) and the like: from here to the end of the group around it. true: it was one. */
static bool flags_alone(struct pattern_parser *p)
{
	size_t open = p->at;
	struct pattern_flags before = p->flags;
	if (!is_at(p, "(?") || p->text.len - p->at < 4 || !p->text.ptr[p->at + 2] ||
	    !strchr("ims-", p->text.ptr[p->at + 2]))
		return false;
	p->at += 2;
	if (read_flags(p, open) && skip(p, ")"))
		return true;
	p->at = open;
	p->flags = before;
	return false;
}

static bool other_dialect(struct pattern_parser *p, size_t open)
{
	static const char *const rows[][2] = {
		{"(?P<", "\"(?P<name>\" is Python's; write \"(?<name>\""},
		{"(?P=", "\"(?P=name)\" refers back to what a group matched; write out what may stand there"},
		{"(?>", "atomic groups are not ECMA-262's; write \"(?:\""},
		{"(?#", "comments are not ECMA-262's; leave it out"},
		{"(?|", "branch reset is not ECMA-262's; write \"(?:\""},
		{"(?R", "recursion is no regular expression; a grammar can have it"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (is_at(p, rows[i][0]))
			return pattern_fail(p, open, "%s", rows[i][1]);
	return true;
}

static bool parse_group(struct pattern_parser *p, struct pattern_node **out)
{
	static const struct {
		const char *sign;
		enum pattern_kind kind;
		bool negative;
	} looks[] = {{"(?=", P_AHEAD, false},
		     {"(?!", P_AHEAD, true},
		     {"(?<=", P_BEHIND, false},
		     {"(?<!", P_BEHIND, true}};
	size_t open = p->at;
	struct pattern_flags flags = p->flags;
	struct pattern_node *look = NULL;
	bool fine = other_dialect(p, open);
	for (size_t i = 0; fine && !look && i < sizeof looks / sizeof *looks; i++)
		if (skip(p, looks[i].sign)) {
			look = new_node(p, looks[i].kind, open);
			if (!look)
				return false;
			look->negative = looks[i].negative;
		}
	if (!fine)
		return false;
	if (!look) {
		if (skip(p, "(?<"))
			fine = group_name(p);
		else if (skip(p, "(?"))
			fine = skip(p, ":") ||
			       (read_flags(p, open) &&
				(skip(p, ":") ||
				 pattern_fail(p, open, "\"(?i)\" stands at the beginning of a group")));
		else
			p->at++;
	}
	if (fine && ++p->depth > PATTERN_MAX_DEPTH)
		fine = pattern_fail(p, open, "more than %d groups in each other, the limit",
				    PATTERN_MAX_DEPTH);
	fine = fine && parse_or(p, out) && close_group(p, open);
	p->depth--;
	p->flags = flags;
	if (!fine || !look)
		return fine;
	if (!add_kid(p, look, *out))
		return false;
	*out = look;
	return true;
}

/* The number at p->at, RX_UNBOUNDED - 1 for all that are greater; false: no digit. */
static bool read_count(struct pattern_parser *p, uint32_t *n)
{
	uint64_t value = 0;
	size_t from = p->at;
	for (; p->at < p->text.len && (unsigned)(p->text.ptr[p->at] - '0') < 10; p->at++) {
		value = value * 10 + (uint64_t)(p->text.ptr[p->at] - '0');
		if (value >= RX_UNBOUNDED)
			value = RX_UNBOUNDED - 1;
	}
	*n = (uint32_t)value;
	return p->at > from;
}

/* {m}, {m,}, {m,n}: true; else p->at stays, and "{" is itself. */
static bool read_braces(struct pattern_parser *p, uint32_t *min, uint32_t *max)
{
	size_t from = p->at++;
	if (read_count(p, min)) {
		*max = *min;
		if (skip(p, "}"))
			return true;
		if (skip(p, ",")) {
			if (!read_count(p, max))
				*max = RX_UNBOUNDED;
			if (skip(p, "}"))
				return true;
		}
	}
	p->at = from;
	return false;
}

/* A quantifier at p->at: 1 and its counts; 0: none; -1: a fault. */
static int read_quantifier(struct pattern_parser *p, uint32_t *min, uint32_t *max)
{
	size_t from = p->at;
	*min = 0;
	*max = RX_UNBOUNDED;
	if (skip(p, "?"))
		*max = 1;
	else if (skip(p, "+"))
		*min = 1;
	else if (!skip(p, "*") && !(is_at(p, "{") && read_braces(p, min, max)))
		return 0;
	if (*min > *max) {
		pattern_fail(p, from, "{%u,%u}: the least count is above the greatest; turn them round", *min,
			     *max);
		return -1;
	}
	if (is_at(p, "+")) {
		pattern_fail(p, p->at, "possessive quantifiers are not ECMA-262's; leave the \"+\" out");
		return -1;
	}
	skip(p, "?"); /* lazy: the same texts */
	return 1;
}

static bool quantified(struct pattern_parser *p, size_t from, struct pattern_node **out)
{
	uint32_t min, max;
	size_t at = p->at;
	int is = read_quantifier(p, &min, &max);
	if (is <= 0)
		return is == 0;
	if ((*out)->kind >= P_AHEAD)
		return pattern_fail(p, at, "nothing to repeat: what stands before matches no character");
	struct pattern_node *repeat = new_node(p, P_REPEAT, from);
	if (!repeat || !add_kid(p, repeat, *out))
		return false;
	repeat->min = min;
	repeat->max = max;
	*out = repeat;
	at = p->at;
	is = read_quantifier(p, &min, &max);
	return is == 0 || (is > 0 && pattern_fail(p, at,
						  "a quantifier after a quantifier; put what it "
						  "repeats into \"(?:...)\""));
}

/* An assertion of one or two characters: the node, or NULL and nothing read. */
static struct pattern_node *simple_assertion(struct pattern_parser *p)
{
	static const struct {
		const char *sign;
		enum pattern_kind kind;
		bool negative;
	} rows[] = {{"^", P_START, false},
		    {"$", P_END, false},
		    {"\\b", P_BOUNDARY, false},
		    {"\\B", P_BOUNDARY, true}};
	size_t from = p->at;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (!skip(p, rows[i].sign))
			continue;
		struct pattern_node *n = new_node(p, rows[i].kind, from);
		if (n) {
			n->negative = rows[i].negative;
			n->lines = p->flags.lines;
			n->any_case = p->flags.any_case;
		}
		return n;
	}
	return NULL;
}

/* A character, a class or an escape. */
static bool parse_char(struct pattern_parser *p, struct pattern_node **out)
{
	struct spans set = {0};
	size_t from = p->at, n;
	bool fine = true, folded = false;
	uint32_t c = pattern_peek(p, &n), min, max;
	if (c == '[') {
		fine = pattern_class(p, &set);
		folded = true;
	} else if (c == '\\') {
		fine = pattern_escape(p, &set);
	} else if (c == '.') {
		p->at++;
		if (!p->flags.dot_all)
			pattern_line_ends(&set);
		spans_invert(&set);
		folded = true;
	} else if (c == '*' || c == '+' || c == '?' || (c == '{' && read_braces(p, &min, &max))) {
		fine = pattern_fail(
			p, from, "nothing to repeat before \"%c\"; for the character itself write \"\\%c\"",
			(char)c, (char)c);
	} else {
		if (is_at(p, "{,"))
			fine = pattern_fail(p, from,
					    "\"{,\": a least count is wanted, {0,n}; for the character "
					    "itself write \"\\{\"");
		p->at += n; /* "{", "}" and "]" that begin or end nothing are themselves */
		spans_put(&set, c, c);
	}
	if (fine) {
		spans_sort(&set);
		if (p->flags.any_case && !folded)
			pattern_any_case(p, &set);
		*out = chars(p, from, &set);
	}
	spans_free(&set);
	return fine && *out;
}

static bool parse_item(struct pattern_parser *p, struct pattern_node **out)
{
	size_t from = p->at;
	*out = simple_assertion(p);
	if (!*out && !p->rc && !(is_at(p, "(") ? parse_group(p, out) : parse_char(p, out)))
		return false;
	return !p->rc && quantified(p, from, out);
}

static bool parse_cat(struct pattern_parser *p, struct pattern_node **out)
{
	*out = new_node(p, P_CAT, p->at);
	if (!*out)
		return false;
	while (p->at < p->text.len && !is_at(p, "|") && !is_at(p, ")")) {
		struct pattern_node *item;
		if ((*out)->n_kids == 0 && flags_alone(p))
			continue;
		if (p->rc || !parse_item(p, &item) || !add_kid(p, *out, item))
			return false;
	}
	return true;
}

static bool parse_or(struct pattern_parser *p, struct pattern_node **out)
{
	size_t from = p->at;
	if (!parse_cat(p, out))
		return false;
	if (!is_at(p, "|"))
		return true;
	struct pattern_node * or = new_node(p, P_OR, from);
	if (! or || !add_kid(p, or, *out))
		return false;
	while (skip(p, "|")) {
		struct pattern_node *branch;
		if (!parse_cat(p, &branch) || !add_kid(p, or, branch))
			return false;
	}
	*out = or ;
	return true;
}

enum hokku_code pattern_parse(struct rx_pool *pool, struct str pattern, struct arena *arena,
			      struct pattern_node **out, struct hokku_error *err)
{
	struct pattern_parser p = {.text = pattern, .arena = arena, .pool = pool, .err = err};
	char thousands[32];
	if (pattern.len > PATTERN_MAX_BYTES)
		return err_set(err, HOKKU_INVALID_REQUEST, "the pattern has %s bytes; the limit is %d",
			       str_thousands(pattern.len, thousands), PATTERN_MAX_BYTES);
	size_t valid = pattern.len ? utf8_valid_prefix(pattern.ptr, pattern.len) : 0;
	if (valid < pattern.len) {
		pattern_fail(&p, valid, "no UTF-8");
		return p.rc;
	}
	if (!parse_or(&p, out))
		return p.rc ? p.rc : pattern_too_much(err);
	if (p.at < pattern.len)
		pattern_fail(&p, p.at,
			     "\")\" without \"(\" before it; for the character itself write \"\\)\"");
	return p.rc;
}
