/*
 * Which pre-tokenizer a tokenizer.json defines. Its normalizer and pre_tokenizer are written down as one
 * canonical text, a step a line, and looked up: a definition that is not in the table is refused with that
 * text, never guessed. The texts are those of the models' published tokenizer.json files; "default" is
 * llama.cpp's four patterns.
 */
#include <stdio.h>

#include "hf/hf.h"

#define GPT2_REGEX   "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"
#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define TAIL         "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define LETTERS      "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
#define UPPER        "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER        "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(ending, digits)                                                                         \
	"[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" ending "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER \
	"*" ending "|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define DEEPSEEK3                                                                            \
	"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?" \
	"[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
/* By code point: several of them have a canonical equivalent, which no editor may put in their place. */
#define DEEPSEEK_LETTERS                                                                         \
	"A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293"          \
	"\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c"     \
	"\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5"         \
	"\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77"         \
	"\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59"   \
	"\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc"    \
	"\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107"          \
	"\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139"     \
	"\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee"    \
	"\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e"          \
	"\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f" \
	"\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2"   \
	"\U000118a0-\U000118df\U0001e900-\U0001e943"
#define DEEPSEEK_SPLITS                                                                 \
	"Split [\\r\\n]\nSplit \\s?[" DEEPSEEK_LETTERS                                  \
	"]+\nSplit \\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+\n" \
	"Split \\s+$\nSplit [\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+\n"

static const struct {
	const char *pre, *arch, *definition;
} known[] = {
	{"qwen2", "qwen2", "NFC\nSplit " CONTRACTIONS LETTERS "\\p{N}" TAIL "\nByteLevel\n"},
	/* DeepSeek-R1-Distill-Qwen: qwen2's split without its NFC. */
	{"deepseek-r1-qwen", "qwen2", "Split " CONTRACTIONS LETTERS "\\p{N}" TAIL "\nByteLevel\n"},
	{"gpt-2", "gpt2", "ByteLevel regex\n"},
	{"gpt-2", "gpt2", "Split " GPT2_REGEX "\nByteLevel\n"},
	{"gpt-2", "gpt2", "Split " GPT2_REGEX "|\\s+\nByteLevel\n"},
	{"llama-bpe", "llama", "Split " CONTRACTIONS LETTERS "\\p{N}{1,3}" TAIL "\nByteLevel\n"},
	{"gpt-4o", "llama", "Split " CASED(CONTRACTIONS "?", "\\p{N}{1,3}") "\nByteLevel\n"},
	{"tekken", "llama", "Split " CASED("", "\\p{N}") "\nByteLevel\n"},
	{"smollm", "llama", "Digits individual\nByteLevel regex\n"},
	{"deepseek-v3", "deepseek2",
	 "Split \\p{N}{1,3}\nSplit [\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+\nSplit " DEEPSEEK3
	 "\nByteLevel\n"},
	/* No token of that vocabulary has two digits, so single digits and runs of them come out alike. */
	{"deepseek-llm", "llama", DEEPSEEK_SPLITS "Digits individual\nByteLevel\n"},
	{"deepseek-llm", "llama", DEEPSEEK_SPLITS "Split \\p{N}+\nByteLevel\n"},
	{"default", "llama",
	 "Split [\\p{P}\\$\\+<=>\\^~\\|]+\nSplit " GPT2_REGEX
	 "\nSplit \\p{N}+\nSplit [0-9][0-9][0-9]\nByteLevel\n"},
};

enum { N_KNOWN = sizeof known / sizeof known[0] };

/* A regular expression with raw control characters written as escapes: inside it they mean the same. */
static void add_regex(struct strbuf *b, struct str regex)
{
	for (size_t i = 0; i < regex.len; i++) {
		const char *c = regex.ptr + i;
		const char *escape = *c == '\r' ? "\\r" : *c == '\n' ? "\\n" : *c == '\t' ? "\\t" : NULL;
		if (escape)
			strbuf_add_c(b, escape);
		else
			strbuf_add(b, c, 1);
	}
}

static struct str word(const struct jv *step, const char *key)
{
	const struct jv *v = jv_get(step, key);
	return jv_is(v, JV_STRING) ? jv_str(v) : STR_LIT("?");
}

/* " NAME" where the setting is true; a value that is neither true nor false is written out, and is then in no
 * row. */
static void add_flag(struct strbuf *b, const struct jv *step, const char *key, bool otherwise,
		     const char *name)
{
	char text[64];
	const struct jv *v = jv_get(step, key);
	if (!jv_none(v) && !jv_is(v, JV_BOOL))
		strbuf_addf(b, " %s=%s", key, jv_text(v, text, sizeof text));
	else if (jv_none(v) ? otherwise : jv_is_true(v))
		strbuf_addf(b, " %s", name);
}

static void add_split(struct strbuf *b, const struct jv *step)
{
	const struct jv *pattern = jv_get(step, "pattern"), *regex = jv_get(pattern, "Regex");
	if (!str_eq_c(word(step, "behavior"), "Isolated"))
		strbuf_addf(b, "(%.*s)", STR_ARG(word(step, "behavior")));
	add_flag(b, step, "invert", false, "inverted");
	strbuf_add_c(b, jv_is(regex, JV_STRING) ? " " : " the string ");
	add_regex(b, jv_is(regex, JV_STRING) ? jv_str(regex) : word(pattern, "String"));
}

/* One step that is no Sequence, with every setting that changes what it does. */
static void add_step(struct strbuf *b, const struct jv *step)
{
	struct str type = word(step, "type");
	char text[256];
	strbuf_add(b, type.ptr, type.len);
	if (str_eq_c(type, "Split")) {
		add_split(b, step);
	} else if (str_eq_c(type, "ByteLevel")) {
		add_flag(b, step, "add_prefix_space", true, "prefix_space");
		add_flag(b, step, "use_regex", true, "regex");
	} else if (str_eq_c(type, "Digits")) {
		add_flag(b, step, "individual_digits", false, "individual");
	} else if (!str_eq_c(type, "NFC")) { /* a type of no row: all of it is for the message */
		strbuf_addf(b, " %s", jv_text(step, text, sizeof text));
	}
	strbuf_add_c(b, "\n");
}

/* A Sequence's steps stand one after another; a Sequence within one is no different. */
static void add_steps(struct strbuf *b, const struct jv *node, const char *list, unsigned depth)
{
	enum { MAX_DEPTH = 8 };
	if (jv_none(node))
		return;
	const struct jv *steps = jv_get(node, list);
	if (!str_eq_c(word(node, "type"), "Sequence") || !jv_is(steps, JV_ARRAY) || depth == MAX_DEPTH) {
		add_step(b, node);
		return;
	}
	for (size_t i = 0; i < jv_len(steps); i++)
		add_steps(b, jv_at(steps, i), list, depth + 1);
}

/* ---- what is in no row ---- */

/* Line i of a definition, without its end; {NULL, 0} past the last. */
static struct str line_of(struct str text, size_t i)
{
	for (;; i--) {
		const char *end = text.len ? memchr(text.ptr, '\n', text.len) : NULL;
		if (!end)
			return (struct str){NULL, 0};
		size_t n = (size_t)(end - text.ptr);
		if (i == 0)
			return (struct str){text.ptr, n};
		text = (struct str){end + 1, text.len - n - 1};
	}
}

/* Steps of `text` that `row` has as well. */
static size_t common_steps(struct str text, struct str row)
{
	size_t n = 0;
	for (size_t i = 0; line_of(text, i).ptr; i++)
		for (size_t k = 0; line_of(row, k).ptr; k++)
			if (str_eq(line_of(text, i), line_of(row, k))) {
				n++;
				break;
			}
	return n;
}

/* The two steps from a little before they part, which may be far into them. */
static void show_difference(struct str found, struct str wanted, char out[2][96])
{
	enum { BEFORE = 12 };
	size_t same = 0;
	while (same < found.len && same < wanted.len && found.ptr[same] == wanted.ptr[same])
		same++;
	size_t from = same > 2 * BEFORE ? same - BEFORE : 0;
	while (from > 0 && from < found.len && (found.ptr[from] & 0xC0) == 0x80)
		from--;
	const struct str steps[2] = {found, wanted};
	for (size_t i = 0; i < 2; i++) {
		char quoted[80];
		struct str rest = {steps[i].ptr ? steps[i].ptr + from : "", steps[i].len - from};
		str_quote(rest, quoted, sizeof quoted);
		snprintf(out[i], 96, "%s%s", from ? "..." : "", steps[i].ptr ? quoted : "nothing");
	}
}

/* Names the row that has most of its steps, and the first step in which they differ. */
static enum hokku_code unknown_tokenizer(struct str text, const char *path, struct hokku_error *err)
{
	size_t best = 0, most = 0, step = 0;
	char shown[2][96], names[160];
	size_t n_names = 0;
	for (size_t i = 0; i < N_KNOWN; i++) {
		size_t n = common_steps(text, str_c(known[i].definition));
		if (n > most) {
			most = n;
			best = i;
		}
		if (i == 0 || strcmp(known[i].pre, known[i - 1].pre) != 0)
			n_names += (size_t)snprintf(names + n_names, sizeof names - n_names, "%s%s",
						    i ? ", " : "", known[i].pre);
	}
	struct str row = str_c(known[best].definition);
	while (line_of(text, step).ptr && str_eq(line_of(text, step), line_of(row, step)))
		step++;
	show_difference(line_of(text, step), line_of(row, step), shown);
	return err_set(err, HOKKU_INVALID_REQUEST,
		       "%s: the pre-tokenizer is none of %s; the nearest is %s, whose step %zu is %s, where "
		       "this one has %s",
		       path, names, known[best].pre, step + 1, shown[1], shown[0]);
}

enum hokku_code vocab_recognise(const struct jv *tokenizer, const char *path, const char **pre,
				const char **arch, struct hokku_error *err)
{
	struct strbuf b = {0};
	enum hokku_code rc = HOKKU_OK;
	add_steps(&b, jv_get(tokenizer, "normalizer"), "normalizers", 0);
	add_steps(&b, jv_get(tokenizer, "pre_tokenizer"), "pretokenizers", 0);
	struct str text = {b.ptr ? b.ptr : "", b.len};
	size_t i = 0;
	while (i < N_KNOWN && !str_eq_c(text, known[i].definition))
		i++;
	if (b.failed) {
		rc = err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its pre-tokenizer", path);
	} else if (i == N_KNOWN) {
		rc = unknown_tokenizer(text, path, err);
	} else {
		*pre = known[i].pre;
		*arch = known[i].arch;
	}
	strbuf_free(&b);
	return rc;
}
