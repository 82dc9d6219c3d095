#include "text/pretok.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/limits.h"

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

/* How the rules of the GPT-2 family differ where text is ASCII. */
struct family {
	bool any_case_endings; /* 'S as well as 's */
	bool any_prefix; /* a word takes any one character before it that is no letter, digit or line break */
	unsigned digits_max; /* of one number; 0: any, and a space before it belongs to it */
	bool breaks;         /* line breaks stay with the signs or the blanks before them */
};
static const struct family gpt2 = {false, false, 0, false};
static const struct family qwen2 = {true, true, 1, true};
static const struct family llama3 = {true, true, 3, true};

enum { RULES_MAX = 8 };

static const struct row {
	const char *name;
	const struct family *family;  /* with it goes exactly one rule, which cuts all of any text */
	const char *rules[RULES_MAX]; /* applied one after the other; what a rule finds, and what lies
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

enum hokku_code pretok_create(struct str name, struct pretok **out, struct hokku_error *err)
{
	*out = NULL;
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
	for (; p->n_rules < RULES_MAX && row->rules[p->n_rules]; p->n_rules++) {
		int number;
		size_t at;
		pcre2_code *code =
			pcre2_compile((PCRE2_SPTR)row->rules[p->n_rules], PCRE2_ZERO_TERMINATED,
				      PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK, &number, &at, NULL);
		if (!code) {
			rc = err_set(err, HOKKU_INTERNAL, "pre-tokenizer %s, rule %zu: error %d at %zu",
				     row->name, p->n_rules, number, at);
			break;
		}
		pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* where it cannot, the interpreter serves */
		p->rules[p->n_rules] = code;
	}
	if (rc)
		pretok_destroy(p);
	else
		*out = p;
	return rc;
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

/* ASCII by class. BEYOND is every byte of a longer character: what it is, only the regular expression knows.
 */
enum { LETTER = 1, DIGIT = 2, BLANK = 4, BREAK = 8, SIGN = 16, BEYOND = 32 };
static inline unsigned class_of(unsigned char c)
{
	static const uint8_t table[256] = {
#define R4(x)  x, x, x, x
#define R8(x)  R4(x), R4(x)
#define R16(x) R8(x), R8(x)
#define R26(x) R16(x), R8(x), x, x
		R8(SIGN),    SIGN,        BLANK,       BREAK,       BLANK,       BLANK,
		BREAK,       SIGN,        SIGN,                                        /* 00 to 0f */
		R16(SIGN),                                                             /* 10 to 1f */
		BLANK,       R8(SIGN),    R4(SIGN),    SIGN,        SIGN,        SIGN, /* blank to / */
		R8(DIGIT),   DIGIT,       DIGIT,       R4(SIGN),    SIGN,        SIGN,
		SIGN,                                        /* 0 to @ */
		R26(LETTER), R4(SIGN),    SIGN,        SIGN, /* A to ` */
		R26(LETTER), R4(SIGN),    SIGN,              /* a to 7f */
		R16(BEYOND), R16(BEYOND), R16(BEYOND), R16(BEYOND), R16(BEYOND), R16(BEYOND),
		R16(BEYOND), R16(BEYOND),
#undef R26
#undef R16
#undef R8
#undef R4
	};
	return table[c];
}

static size_t run_of(const unsigned char *s, size_t i, size_t n, unsigned classes)
{
	while (i < n && (class_of(s[i]) & classes))
		i++;
	return i;
}

/* Bytes of the ending ('s, 'll) at s; 0: none; n + 1: a byte past ASCII decides it. s[0] is the apostrophe.
 */
static size_t ending(const struct family *f, const unsigned char *s, size_t n)
{
	if (n < 2)
		return 0;
	unsigned char fold = f->any_case_endings ? 0x20 : 0;
	if (s[1] >= 0x80)
		return n + 1;
	switch (s[1] | fold) {
	case 's':
	case 't':
	case 'm':
	case 'd':
		return 2;
	case 'r':
	case 'v':
	case 'l':
		break;
	default:
		return 0;
	}
	if (n < 3)
		return 0;
	if (s[2] >= 0x80)
		return n + 1;
	unsigned char want = (s[1] | fold) == 'l' ? 'l' : 'e';
	return (s[2] | fold) == want ? 3 : 0;
}

/* A run of blanks and line breaks from 0. */
static size_t scan_space(const struct family *f, const unsigned char *s, size_t n)
{
	size_t end = run_of(s, 0, n, BLANK | BREAK);
	if (end < n && class_of(s[end]) == BEYOND)
		return 0;
	if (f->breaks)
		for (size_t i = end; i > 0; i--)
			if (class_of(s[i - 1]) == BREAK)
				return i;
	return end == n || end == 1 ? end : end - 1;
}

/*
 * The bytes of the piece that s begins with, as the family's rule finds it, when ASCII alone decides; 0 as
 * soon as a byte past ASCII could matter. n is at least 1.
 */
static size_t scan(const struct family *f, const unsigned char *s, size_t n)
{
	unsigned class = class_of(s[0]), next = n > 1 ? class_of(s[1]) : 0;
	size_t end;
	if (s[0] == '\'') {
		end = ending(f, s, n);
		if (end)
			return end > n ? 0 : end;
	}
	bool takes_word = f->any_prefix ? (class & (BLANK | SIGN)) != 0 : s[0] == ' ';
	if (class == LETTER || (takes_word && next == LETTER)) {
		end = run_of(s, 1, n, LETTER);
		return end < n && class_of(s[end]) == BEYOND ? 0 : end;
	}
	if (class == BEYOND || ((takes_word || s[0] == ' ') && next == BEYOND))
		return 0;
	if (class == DIGIT || (!f->digits_max && s[0] == ' ' && next == DIGIT)) {
		size_t max = f->digits_max && f->digits_max < n ? f->digits_max : n;
		end = run_of(s, 1, max, DIGIT);
		return end < max && class_of(s[end]) == BEYOND ? 0 : end;
	}
	if (class == SIGN || (s[0] == ' ' && next == SIGN)) {
		end = run_of(s, 1, n, SIGN);
		if (end < n && class_of(s[end]) == BEYOND)
			return 0;
		return f->breaks ? run_of(s, end, n, BREAK) : end;
	}
	return scan_space(f, s, n);
}

static enum hokku_code split_family(const struct pretok *p, struct pretok_work *w, struct str text,
				    bool by_regex, pretok_piece piece, void *user, struct hokku_error *err)
{
	enum hokku_code rc;
	for (size_t i = 0; i < text.len;) {
		size_t n = by_regex ? 0
				    : scan(p->row->family, (const unsigned char *)text.ptr + i, text.len - i);
		if (n == 0) {
			bool found;
			size_t start, end;
			rc = work_prepare(w, err);
			if (!rc)
				rc = find(p, 0, w, text, i, true, &found, &start, &end, err);
			if (rc)
				return rc;
			if (!found || end == i)
				return err_set(err, HOKKU_INTERNAL,
					       "pre-tokenizer %s cuts nothing off at byte %zu", p->row->name,
					       i);
			n = end - i;
		}
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
		return split_family(p, w, text, false, piece, user, err);
	return split_sequence(p, w, text, piece, user, err);
}

enum hokku_code pretok_split_by_regex(const struct pretok *p, struct pretok_work *w, struct str text,
				      pretok_piece piece, void *user, struct hokku_error *err)
{
	if (text.len == 0)
		return HOKKU_OK;
	if (p->row->family)
		return split_family(p, w, text, true, piece, user, err);
	return split_sequence(p, w, text, piece, user, err);
}
