/* The pre-tokenizers by name: docs/tokenizer.md says what each does and where that was read. */
#include "text/pretok_rows.h"

#include "text/pretok.h"

/*
 * The rules are those of the models' own tokenizer.json files, which are written for Oniguruma; here they are
 * spelt for PCRE2 so that both cut the same way:
 *   - \s is Unicode's White_Space. PCRE2's own \s also takes U+180E, so the set is written out.
 *   - Repeats are possessive (++), which forbids retries that could not succeed anyway: a megabyte of one
 * class then costs one pass and no stack. \s+(?!\S) becomes "all up to the end, or all but the last", and
 * \s*[\r\n]+ becomes "up to the last line break", for the same reason.
 *   - \p{...} is our own table's (unicode.h), and may take one set from another: \p{Lo-Han}.
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

/* A word of the o200k family: capitals, then small letters; both may be neither (Lm, Lo, marks). none: "" or
 * "-Han". */
#define UPPER(none) "[\\p{Lu" none "}\\p{Lt" none "}\\p{Lm" none "}\\p{Lo" none "}\\p{M" none "}]"
#define LOWER(none) "[\\p{Ll" none "}\\p{Lm" none "}\\p{Lo" none "}\\p{M" none "}]"
#define ANY_BEFORE  "[^\\r\\n\\p{L}\\p{N}]?"
#define CASED(none, ending)                                                                     \
	ANY_BEFORE UPPER(none) "*" LOWER(none) "+" ending "|" ANY_BEFORE UPPER(none) "+" LOWER( \
		none) "*" ending
#define ENDING_CI  "(?i:" ENDINGS ")?"
#define BREAKS     "(?:[" WS_NO_BREAK "]*+[\\r\\n]++)++"
#define O200K      CASED("", ENDING_CI) "|\\p{N}{1,3}+| ?" OTHERS "[\\r\\n/]*+|" BREAKS "|" SPACES
#define ASCII_SIGN "[!-/:-@\\[-`{-~]"
#define DEEPSEEK3                                                              \
	ASCII_SIGN "[A-Za-z]++|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]++| " \
		   "?[\\p{P}\\p{S}]++[\\r\\n]*+|" BREAKS "|" SPACES
#define CJK_KANA "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]++"
#define BLOOM    " ?[^(" WS "|.,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{964}\\x{6d4}\\x{60c})]++"
/* jais-2 cuts a run of blanks into pieces of 512, 256 ... Written as one rule with the others it would look
 * for the line break after the run once a piece; so the run is a piece first, and a second rule cuts pieces
 * that are blanks alone:
 * \A looks at all of such a piece, \G goes on where the match before has ended. */
#define BLANKS_ALONE "(?:\\A(?=[" WS_NO_BREAK "]++\\z)|\\G(?!\\A))"
#define CASCADE(n)   "[" WS_NO_BREAK "]{" n "}|"

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

static const struct pretok_family gpt2 = {0};
static const struct pretok_family qwen2 = {
	.any_case_endings = true, .any_prefix = true, .digits_max = 1, .breaks = true};
static const struct pretok_family llama3 = {
	.any_case_endings = true, .any_prefix = true, .digits_max = 3, .breaks = true};
static const struct pretok_family o200k = {.any_case_endings = true,
					   .any_prefix = true,
					   .digits_max = 3,
					   .breaks = true,
					   .cased = true,
					   .word_endings = true,
					   .slashes = true};
static const struct pretok_family kimi = {.any_case_endings = true,
					  .any_prefix = true,
					  .digits_max = 3,
					  .breaks = true,
					  .cased = true,
					  .word_endings = true,
					  .han = true};
static const struct pretok_family tekken = {
	.any_prefix = true, .digits_max = 1, .breaks = true, .cased = true, .slashes = true};

enum {
	DEFAULT,
	GPT_2,
	QWEN2,
	LLAMA3,
	DEEPSEEK_LLM,
	DEEPSEEK_CODER,
	DEEPSEEK_V3,
	DIGITS_GPT_2,
	FALCON,
	QWEN35,
	JAIS_2,
	YOUTU,
	BLOOM_,
	VIKING,
	TEKKEN,
	CHAMELEON,
	GPT_4O,
	TINY_AYA,
	KIMI_K2,
	SUPERBPE,
	BAILINGMOE,
	SEED_CODER,
	AFMOE,
	LAGUNA,
	EXAONE_MOE,
	MINICPM5,
	N_RECIPES
};

static const struct pretok_recipe recipes[N_RECIPES] = {
	/* clang-format off */
	[DEFAULT] = {NULL, {"[\\p{P}$+<=>^~|]++", GPT2, "\\p{N}++", "[0-9][0-9][0-9]"}},
	[GPT_2] = {&gpt2, {GPT2}},
	[QWEN2] = {&qwen2, {LLAMA3_("")}},
	[LLAMA3] = {&llama3, {LLAMA3_("{1,3}+")}},
	[DEEPSEEK_LLM] = {NULL, {"[\\r\\n]", "[" WS "]?[" DEEPSEEK_LETTERS "]++",
		"[" WS "]?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]++",
		"(?<![" WS "])[" WS "]++\\z", "[\\x{800}-\\x{9fa5}\\x{ac00}-\\x{d7ff}]++", "\\p{N}"}},
	[DEEPSEEK_CODER] = {NULL, {"[\\r\\n]", "[" WS "]?\\p{L}++", "[" WS "]?\\p{P}++",
		"[\\x{800}-\\x{9fa5}\\x{ac00}-\\x{d7ff}]++", "\\p{N}"}},
	[DEEPSEEK_V3] = {NULL, {"\\p{N}{1,3}+", CJK_KANA, DEEPSEEK3}},
	[DIGITS_GPT_2] = {NULL, {"\\p{N}", GPT2}},
	[FALCON] = {NULL, {"[\\p{P}$+<=>^~|`]++", GPT2, "[0-9][0-9][0-9]"}},
	[QWEN35] = {NULL, {"(?i:" ENDINGS ")|" ANY_BEFORE "[\\p{L}\\p{M}]++|\\p{N}| ?[^" WS "\\p{L}\\p{M}\\p{N}]++[\\r\\n]*+|" BREAKS "|" SPACES}},
	[JAIS_2] = {NULL, {LLAMA3_("{1,3}+"), BLANKS_ALONE "(?:" CASCADE("512") CASCADE("256") CASCADE("128") CASCADE("64") CASCADE("32")
		CASCADE("16") CASCADE("8") CASCADE("4") "[" WS_NO_BREAK "]{1,2})"}},
	[YOUTU] = {NULL, {"[\\x{ac00}-\\x{d7a3}\\x{3131}-\\x{318e}]++|[\\x{ff01}\\x{2026}\\x{201c}\\x{201d}\\x{2018}\\x{2019}\\x{2014}\\x{ff1a}\\x{ff1b}\\x{ff0c}\\x{3001}-\\x{303f}\\x{fe30}-\\x{fe4f}]++|"
		"[\\x{3105}-\\x{312f}]++|" CJK_KANA,
		CASED("", ENDING_CI) "|\\p{N}| ?" OTHERS "[\\r\\n/]*+|" BREAKS "|" SPACES}},
	[BLOOM_] = {NULL, {BLOOM}},
	[VIKING] = {NULL, {BLOOM, "\\p{N}"}},
	[TEKKEN] = {&tekken, {CASED("", "") "|\\p{N}| ?" OTHERS "[\\r\\n/]*+|" BREAKS "|" SPACES}},
	[CHAMELEON] = {NULL, {"<sentinel:[0-9]+>", "IMGIMG[A-I]{1,4}Z", "[\\t\\n]|    |  ", "\\p{N}", "[\\p{P}!-/:-@\\[-`{-~]", GPT2}},
	[GPT_4O] = {&o200k, {O200K}},
	[TINY_AYA] = {NULL, {PRETOK_GROUPS "w", O200K}},
	[KIMI_K2] = {&kimi, {"\\p{Han}++|" CASED("-Han", ENDING_CI) "|\\p{N}{1,3}+| ?" OTHERS "[\\r\\n]*+|" BREAKS "|" SPACES}},
	[SUPERBPE] = {NULL, {"\\p{N}++", PRETOK_GROUPS "b"}},
	[BAILINGMOE] = {NULL, {"'(?i:[sdmt]|ll|ve|re)|" ANY_BEFORE "+\\p{L}++|\\p{N}| ?" OTHERS "[\\r\\n]*+|" BREAKS "|" SPACES}},
	[SEED_CODER] = {NULL, {"(?i:" ENDINGS ")|" ANY_BEFORE "\\p{L}++|\\p{N}| ?[^" WS "\\p{L}\\p{N}]++|" BREAKS "|" SPACES}},
	[AFMOE] = {NULL, {PRETOK_GROUPS "n", "[\\x{4e00}-\\x{9fff}\\x{3400}-\\x{4dbf}\\x{f900}-\\x{faff}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}"
		"\\x{ff65}-\\x{ff9f}\\x{2f00}-\\x{2fdf}\\x{e40}-\\x{e7f}\\x{e80}-\\x{eff}\\x{1780}-\\x{17ff}\\x{1000}-\\x{109f}\\x{aa60}-\\x{aa7f}"
		"\\x{a9e0}-\\x{a9ff}\\x{ac00}-\\x{d7af}\\x{1100}-\\x{11ff}]++", DEEPSEEK3}},
	[LAGUNA] = {NULL, {"[^\\n]++|\\n++", LLAMA3_("")}},
	[EXAONE_MOE] = {NULL, {"(?i:" ENDINGS ")|" ANY_BEFORE "(?:\\p{L}\\p{M}*+(?: \\p{L}\\p{M}*+)*+)++|\\p{N}| ?" OTHERS "[\\r\\n/]?|" BREAKS "|" SPACES}},
	[MINICPM5] = {NULL, {"\\p{N}{1,3}+", LLAMA3_("++")}},
	/* clang-format on */
};

enum { NFC = 1, IGNORE_MERGES = 2, BOS = 4 };
static const struct {
	const char *name;
	uint8_t recipe, flags;
} names[] = {
	/* clang-format off */
	{"default", DEFAULT, 0},
	{"gpt-2", GPT_2, 0},
	{"phi-2", GPT_2, 0},
	{"jina-es", GPT_2, 0},
	{"jina-de", GPT_2, 0},
	{"jina-v2-es", GPT_2, 0},
	{"jina-v2-de", GPT_2, 0},
	{"jina-v1-en", GPT_2, 0},
	{"jina-v2-code", GPT_2, 0},
	{"roberta-bpe", GPT_2, 0},
	{"gigachat", GPT_2, 0},
	{"a.x-4.0", GPT_2, 0},
	{"mellum", GPT_2, 0},
	{"modern-bert", GPT_2, 0},
	{"exaone4", GPT_2, 0},
	{"mpt", GPT_2, NFC},
	{"olmo", GPT_2, NFC},
	{"jais", GPT_2, 0},
	{"trillion", GPT_2, 0},
	{"granite-docling", GPT_2, 0},
	{"qwen2", QWEN2, NFC},
	{"deepseek-r1-qwen", QWEN2, 0},
	{"kormo", QWEN2, 0},
	{"f2llmv2", QWEN2, 0},
	{"megrez", QWEN2, 0},
	{"stablelm2", QWEN2, NFC},
	{"hunyuan", QWEN2, 0},
	{"solar-open", QWEN2, 0},
	{"grok-2", QWEN2, 0},
	{"llama-bpe", LLAMA3, IGNORE_MERGES | BOS},
	{"llama3", LLAMA3, IGNORE_MERGES | BOS},
	{"llama-v3", LLAMA3, IGNORE_MERGES | BOS},
	{"falcon3", LLAMA3, IGNORE_MERGES | BOS},
	{"falcon-h1", LLAMA3, IGNORE_MERGES | BOS},
	{"pixtral", LLAMA3, IGNORE_MERGES | BOS},
	{"midm-2.0", LLAMA3, IGNORE_MERGES | BOS},
	{"lfm2", LLAMA3, IGNORE_MERGES | BOS},
	{"jina-v5-nano", LLAMA3, IGNORE_MERGES | BOS},
	{"dbrx", LLAMA3, 0},
	{"smaug-bpe", LLAMA3, 0},
	{"glm4", LLAMA3, 0},
	{"chatglm-bpe", LLAMA3, 0},
	{"deepseek-llm", DEEPSEEK_LLM, 0},
	{"deepseek-coder", DEEPSEEK_CODER, 0},
	{"deepseek-v3", DEEPSEEK_V3, 0},
	{"hunyuan-dense", DEEPSEEK_V3, 0},
	{"joyai-llm", DEEPSEEK_V3, 0},
	{"starcoder", DIGITS_GPT_2, 0},
	{"refact", DIGITS_GPT_2, 0},
	{"command-r", DIGITS_GPT_2, NFC},
	{"smollm", DIGITS_GPT_2, 0},
	{"codeshell", DIGITS_GPT_2, 0},
	{"exaone", DIGITS_GPT_2, 0},
	{"minerva-7b", DIGITS_GPT_2, 0},
	{"mellum2", DIGITS_GPT_2, 0},
	{"falcon", FALCON, 0},
	{"qwen35", QWEN35, NFC},
	{"jais-2", JAIS_2, 0},
	{"youtu", YOUTU, IGNORE_MERGES},
	{"bloom", BLOOM_, 0},
	{"gpt3-finnish", BLOOM_, 0},
	{"poro-chat", BLOOM_, 0},
	{"viking", VIKING, 0},
	{"tekken", TEKKEN, IGNORE_MERGES | BOS},
	{"chameleon", CHAMELEON, BOS},
	{"gpt-4o", GPT_4O, 0},
	{"llama4", GPT_4O, 0},
	{"kanana2", GPT_4O, 0},
	{"talkie", GPT_4O, 0},
	{"minimax-m2", GPT_4O, 0},
	{"granite-embed-multi-97m", GPT_4O, IGNORE_MERGES},
	{"tiny_aya", TINY_AYA, 0},
	{"cohere2moe", TINY_AYA, 0},
	{"kimi-k2", KIMI_K2, 0},
	{"superbpe", SUPERBPE, 0},
	{"bailingmoe", BAILINGMOE, 0},
	{"bailingmoe2", BAILINGMOE, 0},
	{"llada-moe", BAILINGMOE, 0},
	{"seed-coder", SEED_CODER, 0},
	{"afmoe", AFMOE, 0},
	{"laguna", LAGUNA, 0},
	{"exaone-moe", EXAONE_MOE, 0},
	{"minicpm5", MINICPM5, IGNORE_MERGES},
	/* clang-format on */
};
enum { N_NAMES = sizeof names / sizeof *names };

/* Names whose vocabularies are not written in the byte-level alphabet. */
static const char *const raw[] = {"gemma4", "granite-embed-multi-311m", "sarvam-moe", "whitespace"};

bool pretok_row_find(struct str name, struct pretok_row *row)
{
	for (size_t i = 0; i < N_NAMES; i++) {
		if (!str_eq_c(name, names[i].name))
			continue;
		*row = (struct pretok_row){
			.name = names[i].name,
			.recipe = &recipes[names[i].recipe],
			.nfc = names[i].flags & NFC,
			.ignore_merges = names[i].flags & IGNORE_MERGES,
			.add_bos = names[i].flags & BOS,
		};
		return true;
	}
	return false;
}

bool pretok_row_is_raw(struct str name)
{
	for (size_t i = 0; i < sizeof raw / sizeof *raw; i++)
		if (str_eq_c(name, raw[i]))
			return true;
	return false;
}

size_t pretok_n_names(void)
{
	return N_NAMES;
}

const char *pretok_name_at(size_t i)
{
	return names[i].name;
}
