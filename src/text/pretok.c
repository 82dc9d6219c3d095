#include "text/pretok.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/limits.h"
#include "text/pretok_rows.h"
#include "text/unicode.h"

struct pretok {
	struct pretok_row row;
	pcre2_code *rules[PRETOK_RULES_MAX]; /* NULL: groups of digits */
	size_t n_rules;
};

static enum hokku_code unknown(struct str name, struct hokku_error *err)
{
	char quoted[64];
	str_quote(name, quoted, sizeof quoted);
	if (pretok_row_is_raw(name))
		return err_set(err, HOKKU_BAD_FILE,
			       "tokenizer.ggml.pre is %s, whose tokens are not written in byte-level BPE's "
			       "alphabet; "
			       "hokku has no tokenizer of that kind",
			       quoted);
	return err_set(err, HOKKU_BAD_FILE,
		       "tokenizer.ggml.pre is %s, none of the %zu pre-tokenizers known (qwen2, llama-bpe, "
		       "gpt-2 ...; "
		       "docs/tokenizer.md lists them)",
		       quoted, pretok_n_names());
}

/* \\p{...} in a rule becomes the ranges of our own table (unicode.h), so that PCRE2's, of whatever version,
 * decide nothing. The largest ranges come first: of a class beyond Latin-1 PCRE2 tries one after the other.
 */
static bool add_property(struct strbuf *out, struct str name, bool in_class)
{
	struct unicode_set set;
	struct unicode_range *ranges;
	size_t n;
	if (!unicode_set_named(name, &set) || !unicode_set_ranges(&set, &ranges, &n))
		return false;
	strbuf_add_c(out, in_class ? "" : "[");
	for (size_t i = 0; i < n; i++)
		strbuf_addf(out, "\\x{%x}-\\x{%x}", ranges[i].first, ranges[i].last);
	strbuf_add_c(out, in_class ? "" : "]");
	free(ranges);
	return true;
}

static bool expand(const char *rule, struct strbuf *out)
{
	bool in_class = false;
	for (const char *p = rule; *p; p++) {
		const char *close = strncmp(p, "\\p{", 3) == 0 ? strchr(p, '}') : NULL;
		if (close) {
			if (!add_property(out, (struct str){p + 3, (size_t)(close - p) - 3}, in_class))
				return false;
			p = close;
			continue;
		}
		in_class = *p == '[' || (in_class && *p != ']');
		strbuf_add(out, p, 1);
		if (*p == '\\')
			strbuf_add(out, ++p, 1);
	}
	return !out->failed;
}

static enum hokku_code compile(struct pretok *p, const char *rule, struct hokku_error *err)
{
	struct strbuf pattern = {0};
	int number;
	size_t at;
	if (!expand(rule, &pattern)) {
		strbuf_free(&pattern);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the rules of pre-tokenizer %s",
			       p->row.name);
	}
	pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern.ptr, pattern.len,
					 PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK, &number, &at, NULL);
	strbuf_free(&pattern);
	if (!code)
		return err_set(err, HOKKU_INTERNAL, "pre-tokenizer %s, rule %zu: error %d at %zu",
			       p->row.name, p->n_rules, number, at);
	pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* where it cannot, the interpreter serves */
	p->rules[p->n_rules++] = code;
	return HOKKU_OK;
}

static enum hokku_code create(struct str name, bool by_regex, struct pretok **out, struct hokku_error *err)
{
	*out = NULL;
	unicode_init();
	struct pretok_row row;
	if (!pretok_row_find(name, &row))
		return unknown(name, err);
	struct pretok *p = calloc(1, sizeof *p);
	if (!p)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a pre-tokenizer");
	p->row = row;
	enum hokku_code rc = HOKKU_OK;
	size_t n = row.recipe->family && !by_regex ? 0 : PRETOK_RULES_MAX;
	for (size_t i = 0; !rc && i < n && row.recipe->rules[i]; i++) {
		if (row.recipe->rules[i][0] == PRETOK_GROUPS[0])
			p->n_rules++;
		else
			rc = compile(p, row.recipe->rules[i], err);
	}
	if (rc)
		pretok_destroy(p);
	else
		*out = p;
	return rc;
}

enum hokku_code pretok_create(struct str name, struct pretok **out, struct hokku_error *err)
{
	return create(name, false, out, err);
}

enum hokku_code pretok_create_by_regex(struct str name, struct pretok **out, struct hokku_error *err)
{
	return create(name, true, out, err);
}

void pretok_destroy(struct pretok *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_rules; i++)
		pcre2_code_free(p->rules[i]);
	free(p);
}

const char *pretok_name(const struct pretok *p)
{
	return p->row.name;
}

bool pretok_nfc(const struct pretok *p)
{
	return p->row.nfc;
}

bool pretok_ignore_merges(const struct pretok *p)
{
	return p->row.ignore_merges;
}

bool pretok_add_bos(const struct pretok *p)
{
	return p->row.add_bos;
}

void pretok_work_free(struct pretok_work *w)
{
	pcre2_match_data_free(w->match);
	pcre2_match_context_free(w->context);
	free(w->ends[0]);
	free(w->ends[1]);
	*w = (struct pretok_work){0};
}

static enum hokku_code work_prepare(struct pretok_work *w, struct hokku_error *err)
{
	enum { HEAP_KIB_MAX = 64 * 1024 };
	if (w->match)
		return HOKKU_OK;
	w->match = pcre2_match_data_create(1, NULL);
	w->context = pcre2_match_context_create(NULL);
	if (!w->match || !w->context)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory to cut a text into pieces");
	pcre2_set_match_limit(w->context, 4u * TOK_MAX_TEXT_BYTES); /* the rules need about one a byte */
	pcre2_set_depth_limit(w->context, 10000);
	pcre2_set_heap_limit(w->context, HEAP_KIB_MAX);
	return HOKKU_OK;
}

/* The match of a rule at or after from (at from only, if anchored). *found is false where there is none. */
static enum hokku_code find(const struct pretok *p, size_t rule, struct pretok_work *w, struct str text,
			    size_t from, bool anchored, bool *found, size_t *start, size_t *end,
			    struct hokku_error *err)
{
	uint32_t options = PCRE2_NO_UTF_CHECK | (anchored ? PCRE2_ANCHORED : 0);
	int rc = pcre2_match(p->rules[rule], (PCRE2_SPTR)text.ptr, text.len, from, options, w->match,
			     w->context);
	if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
		rc = pcre2_match(p->rules[rule], (PCRE2_SPTR)text.ptr, text.len, from, options | PCRE2_NO_JIT,
				 w->match, w->context);
	*found = rc >= 0;
	if (rc == PCRE2_ERROR_NOMATCH)
		return HOKKU_OK;
	if (rc < 0) {
		PCRE2_UCHAR message[128] = "";
		pcre2_get_error_message(rc, message, sizeof message);
		return err_set(err, HOKKU_INTERNAL, "pre-tokenizer %s, rule %zu: %s", p->row.name, rule,
			       (const char *)message);
	}
	const size_t *ends = pcre2_get_ovector_pointer(w->match);
	*start = ends[0];
	*end = ends[1];
	return HOKKU_OK;
}

/* One rule that cuts all of any text, by the family's scanner or by the rule itself. */
static enum hokku_code split_family(const struct pretok *p, struct pretok_work *w, struct str text,
				    pretok_piece piece, void *user, struct hokku_error *err)
{
	for (size_t i = 0; i < text.len;) {
		size_t n, start = i, end = i;
		enum hokku_code rc = HOKKU_OK;
		if (p->n_rules == 0) {
			n = pretok_scan(p->row.recipe->family, (const unsigned char *)text.ptr + i,
					text.len - i);
		} else {
			bool found = false;
			rc = work_prepare(w, err);
			if (!rc)
				rc = find(p, 0, w, text, i, true, &found, &start, &end, err);
			if (!rc && (!found || end == i))
				rc = err_set(err, HOKKU_INTERNAL,
					     "pre-tokenizer %s cuts nothing off at byte %zu", p->row.name, i);
			n = rc ? 0 : end - i;
		}
		if (!rc)
			rc = piece(user, text.ptr + i, n);
		if (rc)
			return rc;
		i += n;
	}
	return HOKKU_OK;
}

static enum hokku_code ends_push(struct pretok_work *w, int which, size_t *n, size_t end,
				 struct hokku_error *err)
{
	if (*n == w->cap[which]) {
		size_t cap = w->cap[which] ? w->cap[which] * 2 : 256;
		size_t *ends = realloc(w->ends[which], cap * sizeof *ends);
		if (!ends)
			return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory to cut a text into pieces");
		w->ends[which] = ends;
		w->cap[which] = cap;
	}
	w->ends[which][(*n)++] = end;
	return HOKKU_OK;
}

/* Cuts the piece [from, to) by one rule; the new pieces' ends go to w->ends[which]. */
static enum hokku_code cut_piece(const struct pretok *p, size_t rule, struct pretok_work *w, struct str text,
				 size_t from, size_t to, int which, size_t *n, struct hokku_error *err)
{
	struct str piece = {text.ptr + from, to - from};
	enum hokku_code rc = HOKKU_OK;
	for (size_t done = 0; !rc && done < piece.len;) {
		bool found;
		size_t start, end;
		rc = find(p, rule, w, piece, done, false, &found, &start, &end, err);
		if (rc)
			return rc;
		if (!found)
			return ends_push(w, which, n, to, err);
		if (start > done)
			rc = ends_push(w, which, n, from + start, err);
		if (!rc)
			rc = ends_push(w, which, n, from + end, err);
		done = end;
	}
	return rc;
}

/* \w: letters, marks, decimal and letter numbers, connectors, and what else is Alphabetic or Latin-1's
 * numbers to Oniguruma. */
static bool is_word(uint32_t c)
{
	static const uint32_t categories = 1u << UNICODE_LU | 1u << UNICODE_LL | 1u << UNICODE_LT |
					   1u << UNICODE_LM | 1u << UNICODE_LO | 1u << UNICODE_MN |
					   1u << UNICODE_MC | 1u << UNICODE_ME | 1u << UNICODE_ND |
					   1u << UNICODE_NL | 1u << UNICODE_PC;
	static const struct unicode_range others[] = {
		{0xB2, 0xB3},       {0xB9, 0xB9},       {0xBC, 0xBE},       {0x24B6, 0x24E9},
		{0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189},
	};
	if (categories >> (unicode_of(c) & UNICODE_CATEGORY) & 1)
		return true;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (c >= others[i].first && c <= others[i].last)
			return true;
	return false;
}

static bool is_digit(enum pretok_groups groups, uint32_t c)
{
	unsigned category = unicode_of(c) & UNICODE_CATEGORY;
	return category == UNICODE_ND ||
	       (groups == PRETOK_OF_NUMBERS && (category == UNICODE_NL || category == UNICODE_NO));
}

/* Groups of three digits, counted from the end of each run. */
static enum hokku_code cut_groups(enum pretok_groups groups, struct pretok_work *w, struct str text,
				  size_t from, size_t to, int which, size_t *n, struct hokku_error *err)
{
	const unsigned char *p = (const unsigned char *)text.ptr;
	enum hokku_code rc = HOKKU_OK;
	size_t done = from, bytes = 0;
	uint32_t c = 0;
	for (size_t i = from; !rc && i < to;) {
		size_t end = i, n_digits = 0;
		for (; end < to; end += bytes, n_digits++) {
			bytes = unicode_decode(p + end, &c);
			if (!is_digit(groups, c))
				break;
		}
		if (n_digits == 0 || (groups == PRETOK_OF_WORDS && end < to && is_word(c))) {
			i = n_digits ? end : end + bytes;
			continue;
		}
		bool between = groups == PRETOK_BETWEEN;
		for (size_t left = n_digits; !rc && left > 0; left--) {
			bool begins = left % 3 == 0 || (!between && left == n_digits);
			if (begins && i > done) {
				rc = ends_push(w, which, n, i, err);
				done = i;
			}
			i += unicode_decode(p + i, &c);
		}
		if (!rc && !between && end < to) {
			rc = ends_push(w, which, n, end, err);
			done = end;
		}
	}
	return rc ? rc : done < to ? ends_push(w, which, n, to, err) : HOKKU_OK;
}

/* Rule after rule, each over the pieces of the one before: what tokenizer.json calls a Sequence of isolating
 * Splits. */
static enum hokku_code split_sequence(const struct pretok *p, struct pretok_work *w, struct str text,
				      pretok_piece piece, void *user, struct hokku_error *err)
{
	size_t n = 0;
	int present = 0;
	enum hokku_code rc = work_prepare(w, err);
	if (!rc)
		rc = ends_push(w, present, &n, text.len, err);
	for (size_t rule = 0; !rc && rule < p->n_rules; rule++) {
		size_t n_new = 0, from = 0;
		for (size_t i = 0; !rc && i < n; i++) {
			size_t to = w->ends[present][i];
			if (p->rules[rule])
				rc = cut_piece(p, rule, w, text, from, to, !present, &n_new, err);
			else
				rc = cut_groups((enum pretok_groups)p->row.recipe->rules[rule][1], w, text,
						from, to, !present, &n_new, err);
			from = to;
		}
		present = !present;
		n = n_new;
	}
	for (size_t i = 0, from = 0; !rc && i < n; i++) {
		size_t to = w->ends[present][i];
		rc = piece(user, text.ptr + from, to - from);
		from = to;
	}
	return rc;
}

enum hokku_code pretok_split(const struct pretok *p, struct pretok_work *w, struct str text,
			     pretok_piece piece, void *user, struct hokku_error *err)
{
	if (text.len == 0)
		return HOKKU_OK;
	if (p->row.recipe->family)
		return split_family(p, w, text, piece, user, err);
	return split_sequence(p, w, text, piece, user, err);
}
