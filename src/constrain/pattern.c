/*
 * A pattern's tree as an expression.
 *
 * What has no assertion in it is an expression at once. The rest is read from its end: `match` takes what may
 * follow a node, to the end of the text, and gives what may stand from the node on. So a lookahead is an
 * intersection with what follows, and "$" leaves of it the empty text. What an assertion asks of the text
 * before it is at most which character is the last (or that there is none): everything is kept once for each
 * such state, the classes of characters that the pattern's assertions tell apart. A repeat with assertions in
 * it is an equation. Longer lookbehinds may stand at the beginning alone, where all that is before is known.
 */
#include <string.h>

#include "constrain/pattern.h"
#include "constrain/text.h"

enum {
	MAX_CLASSES = 8,              /* of characters that assertions look back at */
	MAX_STATES = 1 + MAX_CLASSES, /* 0: nothing stands before */
	MAX_STEPS = 100000,
	N_RECENT = 16,
};

struct states {
	rx of[MAX_STATES];
};

/* How much of the text a node is to match. */
enum extent { ANY_TEXT, SOME_TEXT, NO_TEXT };

struct compiler {
	struct rx_pool *p;
	enum rx_dress dress;
	struct str text;
	struct hokku_error *err;
	enum hokku_code rc;
	uint32_t steps;
	uint32_t n_states;
	rx any_text;
	struct spans classes[MAX_CLASSES];
	rx one_of[MAX_CLASSES], ends_in[MAX_CLASSES]; /* a character of the class, any text that ends in one;
							 RX_NONE: not made yet */
	struct recent {
		const struct pattern_node *node;
		rx r;
	} recent[N_RECENT];
	uint32_t n_recent;
};

static void refuse(struct compiler *c, const struct pattern_node *n, const char *why)
{
	if (!c->rc)
		c->rc = err_set(c->err, HOKKU_INVALID_REQUEST, "column %u: %s",
				pattern_column(c->text, n->at), why);
}

static struct spans borrow(const struct pattern_node *n)
{
	return (struct spans){.at = n->spans, .n = n->n_spans};
}

/* ---- classes of characters ---- */

/* One character, or the beginning of the text: all that a lookbehind within a pattern may ask for. */
static bool is_short(const struct pattern_node *n, struct spans *set, bool *start)
{
	switch (n->kind) {
	case P_CHARS:
		spans_put_all(set, n->spans, n->n_spans);
		return true;
	case P_START:
		*start = true;
		return !n->lines;
	case P_OR:
		for (uint32_t i = 0; i < n->n_kids; i++)
			if (!is_short(n->kids[i], set, start))
				return false;
		return true;
	case P_CAT:
		return n->n_kids == 1 && is_short(n->kids[0], set, start);
	default:
		return false;
	}
}

/* What n asks of the character before it; false: nothing. */
static bool looks_back_at(const struct pattern_node *n, struct spans *set, bool *start)
{
	*start = false;
	if (n->kind == P_BOUNDARY)
		pattern_words(n->any_case, set);
	else if (n->kind == P_START && n->lines)
		pattern_line_ends(set);
	else if (n->kind != P_BEHIND || !is_short(n->kids[0], set, start))
		return false;
	spans_sort(set);
	return true;
}

/* Each class is cut in two by the set, where both are something. */
static void cut_classes(struct compiler *c, const struct pattern_node *n, const struct spans *set)
{
	for (uint32_t i = 0, all = c->n_states - 1; i < all && !c->rc; i++) {
		struct spans in = {0}, out = {0};
		spans_cut(&in, &c->classes[i], set, true);
		spans_cut(&out, &c->classes[i], set, false);
		bool both = in.n && out.n;
		if (in.failed || out.failed || set->failed)
			c->rc = err_set(c->err, HOKKU_OUT_OF_MEMORY, "no memory for a pattern");
		else if (both && c->n_states == MAX_STATES)
			refuse(c, n,
			       "more lookbehinds and word boundaries, each of its own characters, than can "
			       "be told apart; use fewer");
		if (both && !c->rc) {
			spans_free(&c->classes[i]);
			c->classes[i] = in;
			c->classes[c->n_states++ - 1] = out;
			continue;
		}
		spans_free(&in);
		spans_free(&out);
	}
}

static void make_classes(struct compiler *c, const struct pattern_node *n)
{
	struct spans set = {0};
	bool start;
	if (!n->asserts || c->rc)
		return;
	if (looks_back_at(n, &set, &start))
		cut_classes(c, n, &set);
	spans_free(&set);
	for (uint32_t i = 0; i < n->n_kids; i++)
		make_classes(c, n->kids[i]);
}

/* ---- without assertions ---- */

/* Large sets of characters take some work: one that was made before is taken. */
static rx of_chars(struct compiler *c, const struct pattern_node *n)
{
	struct spans mine = borrow(n);
	for (uint32_t i = 0; i < N_RECENT && c->recent[i].node; i++) {
		struct spans other = borrow(c->recent[i].node);
		if (spans_same(&mine, &other))
			return c->recent[i].r;
	}
	rx r = rx_char(c->p, c->dress, n->spans, n->n_spans);
	c->recent[c->n_recent++ % N_RECENT] = (struct recent){n, r};
	return r;
}

static rx class_char(struct compiler *c, uint32_t q);

/* What n and the class of state q have in common: the spans of some. */
static rx part_of_chars(struct compiler *c, const struct pattern_node *n, const struct spans *some,
			uint32_t q)
{
	struct spans mine = borrow(n);
	if (spans_same(some, &mine))
		return of_chars(c, n);
	return spans_same(some, &c->classes[q - 1]) ? class_char(c, q)
						    : rx_char(c->p, c->dress, some->at, some->n);
}

static rx plain(struct compiler *c, struct pattern_node *n)
{
	rx r = n->kind == P_OR ? RX_NONE : RX_EMPTY;
	if (n->made || rx_failed(c->p))
		return n->plain;
	switch (n->kind) {
	case P_CHARS:
		r = of_chars(c, n);
		break;
	case P_REPEAT:
		r = rx_repeat(c->p, plain(c, n->kids[0]), n->min, n->max);
		break;
	case P_OR: {
		rx some[64];
		for (uint32_t i = 0, k = 0; i < n->n_kids; i++) {
			some[k++] = plain(c, n->kids[i]);
			if (k == 63 || i + 1 == n->n_kids) {
				some[k] = r;
				r = rx_or_many(c->p, some, k + 1);
				k = 0;
			}
		}
		break;
	}
	default:
		for (uint32_t i = n->n_kids; i-- > 0;)
			r = rx_cat(c->p, plain(c, n->kids[i]), r);
	}
	n->plain = r;
	n->made = true;
	return r;
}

/* ---- with assertions ---- */

static struct states in_all(rx r)
{
	struct states s;
	for (uint32_t q = 0; q < MAX_STATES; q++)
		s.of[q] = r;
	return s;
}

static rx then(struct compiler *c, rx r, rx rest)
{
	return rest == RX_ALL && rx_nullable(c->p, r) ? RX_ALL : rx_cat(c->p, r, rest);
}

static rx not_empty(struct compiler *c, rx r)
{
	if (!rx_nullable(c->p, r))
		return r;
	return r == c->any_text ? rx_any_text(c->p, c->dress, 1, RX_UNBOUNDED)
				: rx_and(c->p, r, rx_not(c->p, RX_EMPTY));
}

/* A character of the class that state q stands for. */
static rx class_char(struct compiler *c, uint32_t q)
{
	const struct spans *class = &c->classes[q - 1];
	if (c->one_of[q - 1] == RX_NONE)
		c->one_of[q - 1] = rx_char(c->p, c->dress, class->at, class->n);
	return c->one_of[q - 1];
}

/* The texts of r that end in one. */
static rx ends_in_class(struct compiler *c, rx r, uint32_t q)
{
	if (c->ends_in[q - 1] == RX_NONE)
		c->ends_in[q - 1] = rx_cat(c->p, c->any_text, class_char(c, q));
	return r == c->any_text ? c->ends_in[q - 1] : rx_and(c->p, r, c->ends_in[q - 1]);
}

/* After any character the same may follow. */
static bool same_after_all(const struct compiler *c, const struct states *rest)
{
	for (uint32_t q = 2; q < c->n_states; q++)
		if (rest->of[q] != rest->of[1])
			return false;
	return true;
}

/* A text of r, then what may follow the character that it ends in. */
static struct states plain_then(struct compiler *c, rx r, const struct states *rest)
{
	struct rx_pool *p = c->p;
	struct states out = in_all(RX_NONE);
	bool nullable = rx_nullable(p, r), same = same_after_all(c, rest);
	rx some = RX_NONE;
	if (same && rest->of[0] == rest->of[1])
		return in_all(then(c, r, rest->of[0]));
	if (same && rest->of[1] != RX_NONE)
		some = then(c, not_empty(c, r), rest->of[1]);
	for (uint32_t q = 1; !same && q < c->n_states; q++)
		if (rest->of[q] != RX_NONE)
			some = rx_or(p, some, then(c, ends_in_class(c, r, q), rest->of[q]));
	for (uint32_t q = 0; q < c->n_states; q++)
		out.of[q] = nullable ? rx_or(p, some, rest->of[q]) : some;
	return out;
}

/* The same for one character, without an intersection. */
static struct states char_then(struct compiler *c, struct pattern_node *n, const struct states *rest)
{
	rx r = RX_NONE;
	if (same_after_all(c, rest))
		return in_all(then(c, plain(c, n), rest->of[1]));
	for (uint32_t q = 1; q < c->n_states; q++) {
		struct spans some = {0}, mine = borrow(n);
		if (rest->of[q] == RX_NONE)
			continue;
		spans_cut(&some, &mine, &c->classes[q - 1], true);
		if (some.failed)
			c->rc = err_set(c->err, HOKKU_OUT_OF_MEMORY, "no memory for a pattern");
		else if (some.n)
			r = rx_or(c->p, r, then(c, part_of_chars(c, n, &some, q), rest->of[q]));
		spans_free(&some);
	}
	return in_all(r);
}

static struct states match(struct compiler *c, struct pattern_node *n, enum extent how,
			   const struct states *rest);

static struct states either(struct compiler *c, const struct states *a, const struct states *b)
{
	struct states out = in_all(RX_NONE);
	for (uint32_t q = 0; q < c->n_states; q++)
		out.of[q] = rx_or(c->p, a->of[q], b->of[q]);
	return out;
}

static struct states match_plain(struct compiler *c, struct pattern_node *n, enum extent how,
				 const struct states *rest)
{
	rx r;
	if (n->kind == P_CHARS)
		return how == NO_TEXT ? in_all(RX_NONE) : char_then(c, n, rest);
	r = plain(c, n);
	if (how == NO_TEXT)
		return rx_nullable(c->p, r) ? *rest : in_all(RX_NONE);
	return plain_then(c, how == SOME_TEXT ? not_empty(c, r) : r, rest);
}

/* Puts n before what any and some are: of any extent, and of some text at least. */
static void put_before(struct compiler *c, struct pattern_node *n, struct states *any, struct states *some,
		       bool want_some)
{
	if (want_some) {
		struct states first = match(c, n, SOME_TEXT, any), later = match(c, n, NO_TEXT, some);
		*some = either(c, &first, &later);
	}
	*any = match(c, n, ANY_TEXT, any);
}

static struct states match_cat(struct compiler *c, struct pattern_node *n, enum extent how,
			       const struct states *rest)
{
	struct states any = *rest, some = in_all(RX_NONE);
	for (uint32_t i = n->n_kids; i-- > 0 && !c->rc;) {
		if (how == NO_TEXT)
			any = match(c, n->kids[i], NO_TEXT, &any);
		else
			put_before(c, n->kids[i], &any, &some, how == SOME_TEXT);
	}
	return how == SOME_TEXT ? some : any;
}

static struct states match_or(struct compiler *c, struct pattern_node *n, enum extent how,
			      const struct states *rest)
{
	struct states out = in_all(RX_NONE);
	for (uint32_t i = 0; i < n->n_kids && !c->rc; i++) {
		struct states one = match(c, n->kids[i], how, rest);
		out = either(c, &out, &one);
	}
	return out;
}

/* An iteration that matches nothing changes nothing: each is of some text. */
static struct states match_star(struct compiler *c, struct pattern_node *body, const struct states *rest,
				struct states *some)
{
	struct states x = in_all(RX_NONE);
	for (uint32_t q = 0; q < c->n_states; q++)
		x.of[q] = rx_var(c->p, rx_nullable(c->p, rest->of[q]));
	*some = match(c, body, SOME_TEXT, &x);
	for (uint32_t q = 0; q < c->n_states; q++)
		rx_define(c->p, x.of[q], rx_or(c->p, rest->of[q], some->of[q]));
	return x;
}

/* A count may be 4,294,967,294: what has failed is told at once. */
static bool goes_on(const struct compiler *c)
{
	return !c->rc && !rx_failed(c->p);
}

static bool same_states(const struct compiler *c, const struct states *a, const struct states *b)
{
	return memcmp(a->of, b->of, c->n_states * sizeof *a->of) == 0;
}

static struct states match_repeat(struct compiler *c, struct pattern_node *n, enum extent how,
				  const struct states *rest)
{
	struct pattern_node *body = n->kids[0];
	struct states any = *rest, some = in_all(RX_NONE), none;
	if (n->max == 0)
		return how == SOME_TEXT ? some : any;
	if (how == NO_TEXT) {
		none = match(c, body, NO_TEXT, rest);
		return n->min ? none : *rest;
	}
	if (n->max == RX_UNBOUNDED) {
		any = match_star(c, body, rest, &some);
	} else {
		for (uint32_t i = n->min; i < n->max && goes_on(c); i++) {
			struct states before = any;
			some = match(c, body, SOME_TEXT, &any);
			any = either(c, rest, &some);
			if (same_states(c, &any, &before))
				break; /* and so for ever */
		}
	}
	for (uint32_t i = 0; i < n->min && goes_on(c); i++) {
		struct states any_before = any, some_before = some;
		put_before(c, body, &any, &some, how == SOME_TEXT);
		if (same_states(c, &any, &any_before) && same_states(c, &some, &some_before))
			break;
	}
	return how == SOME_TEXT ? some : any;
}

static struct states match_ahead(struct compiler *c, struct pattern_node *n, const struct states *rest)
{
	struct states all = in_all(RX_ALL), out = in_all(RX_NONE),
		      follows = match(c, n->kids[0], ANY_TEXT, &all);
	for (uint32_t q = 0; q < c->n_states; q++)
		out.of[q] =
			rx_and(c->p, rest->of[q], n->negative ? rx_not(c->p, follows.of[q]) : follows.of[q]);
	return out;
}

/* Assertions that hold or not by the state alone. */
static struct states match_back(struct compiler *c, struct pattern_node *n, const struct states *rest)
{
	struct states out = in_all(RX_NONE);
	struct spans set = {0};
	bool start = false;
	if (!looks_back_at(n, &set, &start) && n->kind == P_BEHIND)
		refuse(c, n,
		       "a lookbehind for more than one character can stand only at the beginning of the "
		       "pattern or of an alternative that is the whole pattern's");
	for (uint32_t q = 0; q < c->n_states; q++) {
		bool holds = q ? spans_has(&set, c->classes[q - 1].at[0].first) : start || n->kind == P_START;
		if (holds != n->negative)
			out.of[q] = rest->of[q];
	}
	spans_free(&set);
	return out;
}

static struct states match_end(struct compiler *c, struct pattern_node *n, const struct states *rest)
{
	struct states out = in_all(RX_NONE);
	struct spans set = {0};
	rx line_end = RX_NONE;
	if (n->lines) {
		pattern_line_ends(&set);
		line_end = rx_cat(c->p, rx_char(c->p, c->dress, set.at, set.n), RX_ALL);
		spans_free(&set);
	}
	for (uint32_t q = 0; q < c->n_states; q++)
		out.of[q] = rx_or(c->p, rx_nullable(c->p, rest->of[q]) ? RX_EMPTY : RX_NONE,
				  rx_and(c->p, rest->of[q], line_end));
	return out;
}

static struct states match_boundary(struct compiler *c, struct pattern_node *n, const struct states *rest)
{
	struct states out = in_all(RX_NONE);
	struct spans words = {0};
	pattern_words(n->any_case, &words);
	rx word = rx_cat(c->p, rx_char(c->p, c->dress, words.at, words.n), RX_ALL);
	rx no_word = rx_not(c->p, word);
	for (uint32_t q = 0; q < c->n_states; q++) {
		bool after_word = q && spans_has(&words, c->classes[q - 1].at[0].first);
		out.of[q] = rx_and(c->p, rest->of[q], after_word != n->negative ? no_word : word);
	}
	spans_free(&words);
	return out;
}

/* What may stand from n on, where after it comes rest. */
static struct states match(struct compiler *c, struct pattern_node *n, enum extent how,
			   const struct states *rest)
{
	if (c->rc || rx_failed(c->p))
		return in_all(RX_NONE);
	if (++c->steps > MAX_STEPS) {
		refuse(c, n,
		       "assertions within repeats here take too many steps; use fewer repeats, or smaller "
		       "counts");
		return in_all(RX_NONE);
	}
	if (!n->asserts)
		return match_plain(c, n, how, rest);
	if (how == SOME_TEXT && n->kind >= P_AHEAD)
		return in_all(RX_NONE);
	switch (n->kind) {
	case P_CAT:
		return match_cat(c, n, how, rest);
	case P_OR:
		return match_or(c, n, how, rest);
	case P_REPEAT:
		return match_repeat(c, n, how, rest);
	case P_AHEAD:
		return match_ahead(c, n, rest);
	case P_END:
		return match_end(c, n, rest);
	case P_BOUNDARY:
		return match_boundary(c, n, rest);
	default:
		return match_back(c, n, rest);
	}
}

/* ---- the whole ---- */

static bool looks_ahead(const struct pattern_node *n)
{
	if (n->kind == P_AHEAD || n->kind == P_END || n->kind == P_BOUNDARY)
		return true;
	for (uint32_t i = 0; i < n->n_kids; i++)
		if (looks_ahead(n->kids[i]))
			return true;
	return false;
}

/* All that ends in what a lookbehind has. */
static rx ends_in(struct compiler *c, struct pattern_node *n)
{
	struct states end = in_all(RX_EMPTY);
	if (looks_ahead(n)) {
		refuse(c, n, "a lookbehind with \"$\", \"\\b\" or a lookahead in it; take it out");
		return RX_NONE;
	}
	end = match(c, n, ANY_TEXT, &end);
	return plain_then(c, c->any_text, &end).of[0];
}

/* One alternative of the whole pattern: `before` is what may stand before it. */
static rx alternative(struct compiler *c, struct pattern_node *n, rx before, const struct states *rest)
{
	struct pattern_node after = *n;
	while (after.kind == P_CAT && after.n_kids && after.kids[0]->kind == P_BEHIND) {
		struct spans set = {0};
		struct pattern_node *behind = after.kids[0];
		bool start, within = looks_back_at(behind, &set, &start);
		spans_free(&set);
		if (within)
			break;
		rx before_it = ends_in(c, behind->kids[0]);
		before = rx_and(c->p, before, behind->negative ? rx_not(c->p, before_it) : before_it);
		after.kids++;
		after.n_kids--;
	}
	struct states s = match(c, &after, ANY_TEXT, rest);
	return before == RX_EMPTY ? s.of[0] : plain_then(c, before, &s).of[0];
}

/* The text ends where n ends. */
static bool ends_text(const struct pattern_node *n)
{
	switch (n->kind) {
	case P_END:
		return !n->lines;
	case P_CAT:
		return n->n_kids && ends_text(n->kids[n->n_kids - 1]);
	case P_OR:
		for (uint32_t i = 0; i < n->n_kids; i++)
			if (!ends_text(n->kids[i]))
				return false;
		return true;
	default:
		return false;
	}
}

static rx compile(struct compiler *c, struct pattern_node *root, bool whole)
{
	struct states rest = in_all(whole ? RX_EMPTY : RX_ALL);
	rx before = whole ? RX_EMPTY : c->any_text, r = RX_NONE;
	while (root->kind == P_CAT && root->n_kids == 1 && root->kids[0]->kind <= P_OR)
		root = root->kids[0];
	if (root->kind == P_OR && root->asserts) {
		for (uint32_t i = 0; i < root->n_kids && !c->rc; i++)
			r = rx_or(c->p, r, alternative(c, root->kids[i], before, &rest));
	} else {
		r = alternative(c, root, before, &rest);
	}
	return whole || ends_text(root) ? r : rx_and(c->p, c->any_text, r);
}

enum hokku_code rx_pattern(struct rx_pool *p, enum rx_dress dress, struct str pattern, bool whole, rx *out,
			   struct hokku_error *err)
{
	struct arena arena = {0};
	struct pattern_node *root;
	struct compiler c = {.p = p, .dress = dress, .text = pattern, .err = err, .n_states = 2};
	*out = RX_NONE;
	c.rc = pattern_parse(p, pattern, &arena, &root, err);
	if (!c.rc) {
		c.any_text = rx_any_text(p, dress, 0, RX_UNBOUNDED);
		spans_put(&c.classes[0], 0, CODE_POINT_MAX);
		if (c.classes[0].failed)
			c.rc = err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a pattern");
		make_classes(&c, root);
	}
	if (!c.rc)
		*out = compile(&c, root, whole);
	if (!c.rc && rx_failed(p))
		c.rc = pattern_too_much(err);
	if (c.rc)
		*out = RX_NONE;
	for (uint32_t i = 0; i < MAX_CLASSES; i++)
		spans_free(&c.classes[i]);
	arena_free(&arena);
	return c.rc;
}
