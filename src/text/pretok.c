#include "text/pretok.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/limits.h"
#include "text/pretok_scan.h"
#include "text/unicode.h"

/*
 * The rules are those of the models' own tokenizer.json files, which are written for Oniguruma; here they are
 * spelt for PCRE2 so that both cut the same way:
 *   - \s is Unicode's White_Space. PCRE2's own \s also takes U+180E, so the set is written out.
 *   - Repeats are possessive (++), which forbids retries that could not succeed anyway: a megabyte of one
 * class then costs one pass and no stack. \s+(?!\S) becomes "all up to the end, or all but the last", and
 * \s*[\r\n]+ becomes "up to the last line break", for the same reason.
 */
#define WS                                                                                                   \
	"\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}" \
	"\\x{3000}"
#define WS_NO_BREAK                                                                                          \
	"\\x{9}\\x{b}\\x{c}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{" \
	"205f}\\x{3000}"
#define SPACES  "[" WS "]++\\z|(?:[" WS "](?=[" WS "]))++|[" WS "]++"
#define OTHERS  "[^" WS "\\p{L}\\p{N}]++"
#define ENDINGS "'s|'t|'re|'ve|'m|'ll|'d"
#define GPT2    ENDINGS "| ?\\p{L}++| ?\\p{N}++| ?" OTHERS "|" SPACES
#define LLAMA3_(digits)                                                              \
	"(?i:" ENDINGS ")|[^\\r\\n\\p{L}\\p{N}]?\\p{L}++|\\p{N}" digits "| ?" OTHERS \
	"[\\r\\n]*+|(?:[" WS_NO_BREAK "]*+[\\r\\n]++)++|" SPACES

/* The cased letters that deepseek-llm's rule lists one by one. */
#define DEEPSEEK_LETTERS                                                                                   \
	"A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}\\x{1c4}-\\x{293}"    \
	"\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}\\x{37f}\\x{386}\\x{388}-\\x{" \
	"38a}"                                                                                             \
	"\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}\\x{531}-\\x{556}"    \
	"\\x{10a0}-\\x{10c5}\\x{13a0}-\\x{13f5}\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}"  \
	"\\x{1d00}-\\x{1d2b}\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}\\x{1f18}-\\x{1f1d}"  \
	"\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}\\x{1f59}\\x{1f5b}\\x{1f5d}"             \
	"\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}\\x{1fbe}\\x{1fc2}-\\x{1fc4}"            \
	"\\x{1fc6}-\\x{1fcc}\\x{1fd0}-\\x{1fd3}\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}"  \
	"\\x{1ff6}-\\x{1ffc}\\x{2102}\\x{2107}\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-\\x{211d}\\x{2124}"    \
	"\\x{2126}\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}\\x{2139}\\x{213c}-\\x{213f}"             \
	"\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}"             \
	"\\x{2ceb}-\\x{2cee}\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}\\x{a722}-\\x{a76f}"   \
	"\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}"  \
	"\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}"                 \
	"\\x{104d8}-\\x{104fb}\\x{10c80}-\\x{10cb2}\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}"             \
	"\\x{1e900}-\\x{1e943}"

static const struct pretok_family gpt2 = {false, false, 0, false};
static const struct pretok_family qwen2 = {true, true, 1, true};
static const struct pretok_family llama3 = {true, true, 3, true};

enum { RULES_MAX = 8 };

static const struct row {
	const char *name;
	const struct pretok_family *family; /* with it goes exactly one rule, which cuts all of any text */
	const char *rules[RULES_MAX];       /* applied one after the other; what a rule finds, and what lies
					       between, are pieces */
	bool nfc, ignore_merges, add_bos;
} rows[] = {
	{.name = "default", .rules = {"[\\p{P}$+<=>^~|]++", GPT2, "\\p{N}++", "[0-9][0-9][0-9]"}},
	{.name = "gpt-2", .family = &gpt2, .rules = {GPT2}},
	{.name = "qwen2", .family = &qwen2, .rules = {LLAMA3_("")}, .nfc = true},
	{.name = "deepseek-r1-qwen", .family = &qwen2, .rules = {LLAMA3_("")}},
	{.name = "llama-bpe",
	 .family = &llama3,
	 .rules = {LLAMA3_("{1,3}+")},
	 .ignore_merges = true,
	 .add_bos = true},
	{.name = "deepseek-llm",
	 .rules = {"[\\r\\n]", "[" WS "]?[" DEEPSEEK_LETTERS "]++",
		   "[" WS
		   "]?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]++",
		   "(?<![" WS "])[" WS "]++\\z", "[\\x{800}-\\x{9fa5}\\x{ac00}-\\x{d7ff}]++", "\\p{N}"}},
};
enum { N_ROWS = sizeof rows / sizeof *rows };

const char *const *pretok_names(void)
{
	static const char *const names[] = {"default",   "gpt-2",        "qwen2", "deepseek-r1-qwen",
					    "llama-bpe", "deepseek-llm", NULL};
	_Static_assert(sizeof names / sizeof *names == N_ROWS + 1, "names has one entry a row");
	return names;
}

struct pretok {
	const struct row *row;
	pcre2_code *rules[RULES_MAX];
	size_t n_rules;
};

static enum hokku_code unknown(struct str name, struct hokku_error *err)
{
	char quoted[64], list[256];
	size_t n = 0;
	for (size_t i = 0; i < N_ROWS; i++)
		n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", rows[i].name);
	return err_set(err, HOKKU_BAD_FILE, "tokenizer.ggml.pre is %s; the pre-tokenizers known are %s",
		       str_quote(name, quoted, sizeof quoted), list);
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
			       p->row->name);
	}
	pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern.ptr, pattern.len,
					 PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK, &number, &at, NULL);
	strbuf_free(&pattern);
	if (!code)
		return err_set(err, HOKKU_INTERNAL, "pre-tokenizer %s, rule %zu: error %d at %zu",
			       p->row->name, p->n_rules, number, at);
	pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* where it cannot, the interpreter serves */
	p->rules[p->n_rules++] = code;
	return HOKKU_OK;
}

static enum hokku_code create(struct str name, bool by_regex, struct pretok **out, struct hokku_error *err)
{
	*out = NULL;
	unicode_init();
	const struct row *row = NULL;
	for (size_t i = 0; i < N_ROWS; i++)
		if (str_eq_c(name, rows[i].name))
			row = &rows[i];
	if (!row)
		return unknown(name, err);
	struct pretok *p = calloc(1, sizeof *p);
	if (!p)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a pre-tokenizer");
	p->row = row;
	enum hokku_code rc = HOKKU_OK;
	size_t n = row->family && !by_regex ? 0 : RULES_MAX;
	for (size_t i = 0; !rc && i < n && row->rules[i]; i++)
		rc = compile(p, row->rules[i], err);
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
	return p->row->name;
}

bool pretok_nfc(const struct pretok *p)
{
	return p->row->nfc;
}

bool pretok_ignore_merges(const struct pretok *p)
{
	return p->row->ignore_merges;
}

bool pretok_add_bos(const struct pretok *p)
{
	return p->row->add_bos;
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
		return err_set(err, HOKKU_INTERNAL, "pre-tokenizer %s, rule %zu: %s", p->row->name, rule,
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
		size_t n, start, end;
		enum hokku_code rc = HOKKU_OK;
		if (p->n_rules == 0) {
			n = pretok_scan(p->row->family, (const unsigned char *)text.ptr + i, text.len - i);
		} else {
			bool found = false;
			rc = work_prepare(w, err);
			if (!rc)
				rc = find(p, 0, w, text, i, true, &found, &start, &end, err);
			if (!rc && (!found || end == i))
				rc = err_set(err, HOKKU_INTERNAL,
					     "pre-tokenizer %s cuts nothing off at byte %zu", p->row->name,
					     i);
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
			rc = cut_piece(p, rule, w, text, from, to, !present, &n_new, err);
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
	if (p->row->family)
		return split_family(p, w, text, piece, user, err);
	return split_sequence(p, w, text, piece, user, err);
}
