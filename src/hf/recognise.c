/*
 * Which pre-tokenizer a tokenizer.json defines. Its normalizer and pre_tokenizer are written down as one
 * canonical text, a step a line, and looked up: a definition that is not in the table is refused with that
 * text, never guessed. The texts are those of the models' published tokenizer.json files; "default" is
 * llama.cpp's four patterns.
 */
#include <stdlib.h>

#include "hf/hf.h"

#define GPT2_REGEX   "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"
#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define TAIL         "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define LETTERS      "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
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
	{"gpt-2", "gpt2", "ByteLevel regex\n"},
	{"gpt-2", "gpt2", "Split " GPT2_REGEX "\nByteLevel\n"},
	{"gpt-2", "gpt2", "Split " GPT2_REGEX "|\\s+\nByteLevel\n"},
	{"llama-bpe", "llama", "Split " CONTRACTIONS LETTERS "\\p{N}{1,3}" TAIL "\nByteLevel\n"},
	/* No token of that vocabulary has two digits, so single digits and runs of them come out alike. */
	{"deepseek-llm", "llama", DEEPSEEK_SPLITS "Digits individual\nByteLevel\n"},
	{"deepseek-llm", "llama", DEEPSEEK_SPLITS "Split \\p{N}+\nByteLevel\n"},
	{"default", "llama",
	 "Split [\\p{P}\\$\\+<=>\\^~\\|]+\nSplit " GPT2_REGEX
	 "\nSplit \\p{N}+\nSplit [0-9][0-9][0-9]\nByteLevel\n"},
};

/* A regular expression with raw control characters written as escapes: inside it they mean the same. */
static void add_regex(struct strbuf *b, const char *regex)
{
	for (; *regex; regex++) {
		const char *escape = *regex == '\r'   ? "\\r"
				     : *regex == '\n' ? "\\n"
				     : *regex == '\t' ? "\\t"
						      : NULL;
		if (escape)
			strbuf_add_c(b, escape);
		else
			strbuf_add(b, regex, 1);
	}
}

static bool flag(const json_t *step, const char *key, bool otherwise)
{
	const json_t *v = json_object_get(step, key);
	return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

static const char *word(const json_t *step, const char *key)
{
	const char *text = json_string_value(json_object_get(step, key));
	return text ? text : "?";
}

/* One step that is no Sequence, with every setting that changes what it does. */
static void add_step(struct strbuf *b, const json_t *step)
{
	const char *type = word(step, "type");
	strbuf_add_c(b, type);
	if (strcmp(type, "Split") == 0) {
		const json_t *pattern = json_object_get(step, "pattern");
		const char *regex = json_string_value(json_object_get(pattern, "Regex"));
		if (strcmp(word(step, "behavior"), "Isolated") != 0)
			strbuf_addf(b, "(%s)", word(step, "behavior"));
		if (flag(step, "invert", false))
			strbuf_add_c(b, "(inverted)");
		strbuf_add_c(b, regex ? " " : " the string ");
		add_regex(b, regex ? regex : word(pattern, "String"));
	} else if (strcmp(type, "ByteLevel") == 0) {
		strbuf_add_c(b, flag(step, "add_prefix_space", true) ? " prefix_space" : "");
		strbuf_add_c(b, flag(step, "use_regex", true) ? " regex" : "");
	} else if (strcmp(type, "Digits") == 0) {
		strbuf_add_c(b, flag(step, "individual_digits", false) ? " individual" : "");
	} else if (strcmp(type, "NFC") != 0) {
		char *text =
			json_dumps(step, JSON_COMPACT); /* a type of no row: all of it is for the message */
		strbuf_add_c(b, " ");
		strbuf_add_c(b, text ? text : "");
		free(text);
	}
	strbuf_add_c(b, "\n");
}

/* A Sequence's steps stand one after another; a Sequence within one is no different. */
static void add_steps(struct strbuf *b, const json_t *node, const char *list, unsigned depth)
{
	enum { MAX_DEPTH = 8 };
	if (!node || json_is_null(node))
		return;
	if (strcmp(word(node, "type"), "Sequence") != 0 || depth == MAX_DEPTH) {
		add_step(b, node);
		return;
	}
	const json_t *steps = json_object_get(node, list);
	for (size_t i = 0; i < json_array_size(steps); i++)
		add_steps(b, json_array_get(steps, i), list, depth + 1);
}

enum hokku_code vocab_recognise(const json_t *tokenizer, const char *path, const char **pre,
				const char **arch, struct hokku_error *err)
{
	struct strbuf b = {0};
	enum hokku_code rc = HOKKU_OK;
	add_steps(&b, json_object_get(tokenizer, "normalizer"), "normalizers", 0);
	add_steps(&b, json_object_get(tokenizer, "pre_tokenizer"), "pretokenizers", 0);
	size_t i = 0, n = sizeof known / sizeof known[0];
	while (i < n && strcmp(known[i].definition, b.ptr ? b.ptr : "") != 0)
		i++;
	char text[300];
	if (b.failed) {
		rc = err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its pre-tokenizer", path);
	} else if (i == n) {
		rc = err_set(err, HOKKU_INVALID_REQUEST,
			     "%s: the pre-tokenizer is none of qwen2, gpt-2, llama-bpe, deepseek-llm, "
			     "default; it is %s",
			     path, str_quote((struct str){b.ptr, b.len}, text, sizeof text));
	} else {
		*pre = known[i].pre;
		*arch = known[i].arch;
	}
	strbuf_free(&b);
	return rc;
}
