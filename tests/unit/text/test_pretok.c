/* Pre-tokenizers: known cuts, and the ASCII scanner against the regular expressions it stands in for. */
#include "gguf/builder.h"

#include <time.h>

#include "base/rng.h"
#include "small.h"
#include "text/pretok.h"
#include "text/unicode.h"

/* The pieces joined by '|'. */
static enum hokku_code add_piece(void *user, const char *piece, size_t n)
{
	struct strbuf *b = user;
	if (b->len)
		strbuf_add(b, "|", 1);
	strbuf_add(b, piece, n);
	return HOKKU_OK;
}

static struct pretok *open_by_regex(const char *name)
{
	struct pretok *p;
	struct hokku_error err;
	if (pretok_create_by_regex(str_c(name), &p, &err))
		fail_msg("%s", err.message);
	return p;
}

static struct pretok *open(const char *name)
{
	struct pretok *p;
	struct hokku_error err;
	if (pretok_create(str_c(name), &p, &err))
		fail_msg("%s", err.message);
	return p;
}

static const struct {
	const char *pre, *text, *pieces;
} cuts[] = {
	{"gpt-2", "Hello, it's 2024!", "Hello|,| it|'s| 2024|!"},
	{"gpt-2", "IT'S  \n x", "IT|'|S|  \n| x"},
	{"gpt-2", "a\u00a0b \u0663\u0664", "a|\u00a0|b| \u0663\u0664"},
	{"gpt-2", "tail   ", "tail|   "},
	{"gpt-2", "x'llama'll", "x|'ll|ama|'ll"},
	{"qwen2", "Hello, IT'S 2024!", "Hello|,| IT|'S| |2|0|2|4|!"},
	{"qwen2", "a\n\n  b  \r\n\tc", "a|\n\n| | b|  \r\n|\tc"},
	{"qwen2", "f(x)!!\n\ny", "f|(x|)!!\n\n|y"},
	{"qwen2", "I'\u017ft", "I|'\u017f|t"},           /* the long s folds to s */
	{"qwen2", "a\u180e\u180eb", "a|\u180e\u180e|b"}, /* U+180E is no White_Space: signs */
	{"qwen2", "x\xC2\x85\xC2\x85y", "x|\xC2\x85|\xC2\x85y"},
	{"qwen2", "\u0663\u0664", "\u0663|\u0664"},
	{"llama-bpe", "12345 6", "123|45| |6"},
	{"llama-bpe", "1\u0662\u06635", "1\u0662\u0663|5"},
	{"llama-bpe", "don'T 'tis", "don|'T| '|tis"},
	{"deepseek-llm", "Hello world\n 12 ab-c", "Hello| world|\n| |1|2| ab|-|c"},
	{"deepseek-llm", "\u4f60\u597d x   ", "\u4f60\u597d| x|   "},
	{"default", "a,b 123456 cd", "a|,|b| |123|456| cd"},
	{"deepseek-coder", "a b,c\n12 \u4f60x", "a| b|,|c|\n|1|2| |\u4f60|x"},
	{"deepseek-v3", "a 1234\u4f60\u3042 $x y.z\n\n b", "a| |123|4|\u4f60\u3042| $|x| y|.z|\n\n| b"},
	{"starcoder", "ab 12 it's", "ab| |1|2| it|'s"},
	{"falcon", "a `b 1234", "a| |`|b| |123|4"},
	{"qwen35", "e\u0301a 12 !\u0301", "e\u0301a| |1|2| !|\u0301"},
	{"jais-2", "a     b", "a|    | b"},
	{"youtu", "a\ud55c\uff0c\u4f60HelloWorld", "a|\ud55c|\uff0c|\u4f60|Hello|World"},
	{"bloom", "a b,c  d", "a| b|,|c| | d"},
	{"viking", "a1 b", "a|1| b"},
	{"tekken", "HelloWORLDs don't 12", "Hello|WORLDs| don|'t| |1|2"},
	{"gpt-4o", "HelloWORLDs don't I'LL 1234 a//\n", "Hello|WORLDs| don't| I'LL| |123|4| a|//\n"},
	{"gpt-4o", "\u00e9\u00c9a \u01c5x", "\u00e9|\u00c9a| \u01c5x"},
	{"chameleon", "a1  b<sentinel:12>.IMGIMGABZ", "a|1|  |b|<|sentinel|:|1|2|>|.|IMGIMGABZ"},
	{"tiny_aya", "1234567 12a 12345_ 1234", "1|234|567| |12|a| |123|45|_| |1|234"},
	{"kimi-k2", "ab\u4f60\u597dcd'll 1234", "ab|\u4f60\u597d|cd'll| |123|4"},
	{"superbpe", "x1234567 123 12\u00b2", "x|1|234|567| |123| |12\u00b2"},
	{"superbpe", "\u00b21234 123\u00b2", "\u00b21|234| |123\u00b2"},
	{"bailingmoe", "it'S \n\n a 12", "it|'S| \n\n| a| |1|2"},
	{"seed-coder", "a!\n\nb 12", "a|!|\n\n|b| |1|2"},
	{"tiny_aya", "1234\u00b2 1234\u2460 1234\u24b6", "123|4\u00b2| |1|234|\u2460| |123|4|\u24b6"},
	{"afmoe", "1234a \u00bd1234", "1|234|a| |\u00bd1|234"},
	{"afmoe", "\u4f601234 a,b", "\u4f60|1|234| a|,b"},
	{"laguna", "a \n b", "a| |\n| b"},
	{"exaone-moe", "ab cd  e/\n1", "ab cd| | e|/\n|1"},
	{"minicpm5", "a 12345", "a| |123|45"},
	/* Its first rule takes punctuation and nine signs off whatever stands around them. */
	{"default", "x ! y", "x| |!| y"},
	{"default", "\u00a9!\u00a9 \u00a9", "\u00a9|!|\u00a9| \u00a9"},
	{"default", " $ + < = > ^ ~ |", " |$| |+| |<| |=| |>| |^| |~| ||"},
	{"default", "\u20ac$+\u20ac", "\u20ac|$+|\u20ac"},
	{"default", "\u00a7 `it's\u2019s", "\u00a7| `|it|'|s|\u2019|s"},
	{"default", "12\u06631\u06631", "12\u06631\u06631"},
	/* Letters since Unicode 15.0, 15.1 and 16.0; the first two of 16.0's digits; assigned in 17.0. */
	{"qwen2", "a\U00011f04b \U0002ebf0\u1c89", "a\U00011f04b| \U0002ebf0\u1c89"},
	{"gpt-2", "a\U00011f04b \U0002ebf0\u1c89!", "a\U00011f04b| \U0002ebf0\u1c89|!"},
	{"qwen2", "x\U00010d40\U00010d41", "x|\U00010d40|\U00010d41"},
	{"llama-bpe", "\U00010d40\U00010d41\U00010d42\U00010d43",
	 "\U00010d40\U00010d41\U00010d42|\U00010d43"},
	{"default", "\u1c89\U00010d40 \U0002ebf0", "\u1c89|\U00010d40| \U0002ebf0"},
	{"deepseek-llm", "\U00010d40\U00010d41", "\U00010d40|\U00010d41"},
	{"qwen2", "a\u0c5cb", "a|\u0c5cb"},
	/* Marks, blanks and letters beyond ASCII by every alternative. */
	{"qwen2", "\u00e9t\u00e9 \u3000x\u3000\u3000y", "\u00e9t\u00e9| |\u3000x|\u3000|\u3000y"},
	{"qwen2", "e\u0301e !\u0301\u0301e", "e|\u0301e| !\u0301\u0301|e"},
	{"gpt-2", "e\u0301 \u0301!\u00e9 \u0663x", "e|\u0301| \u0301!|\u00e9| \u0663|x"},
	{"llama-bpe", "\u2003\n\u2003\u2003x\u2003", "\u2003\n|\u2003|\u2003x|\u2003"},
	{"gpt-2", "\u2003\n\u2003\u2003x\u2003", "\u2003\n\u2003|\u2003|x|\u2003"},
};

static void known_cuts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
		struct pretok *p = open(cuts[i].pre);
		struct pretok_work w = {0};
		struct strbuf got = {0};
		struct hokku_error err;
		assert_int_equal(pretok_split(p, &w, str_c(cuts[i].text), add_piece, &got, &err), HOKKU_OK);
		assert_string_equal(got.ptr, cuts[i].pieces);
		strbuf_free(&got);
		pretok_work_free(&w);
		pretok_destroy(p);
	}
}

/* The two of one name. */
struct both {
	struct pretok *scanner, *regex;
	struct pretok_work w;
	struct strbuf fast, slow;
};

static struct both both_open(const char *name)
{
	return (struct both){.scanner = open(name), .regex = open_by_regex(name)};
}

static void both_close(struct both *b)
{
	pretok_destroy(b->scanner);
	pretok_destroy(b->regex);
	pretok_work_free(&b->w);
	strbuf_free(&b->fast);
	strbuf_free(&b->slow);
}

static void same_by_both(struct both *p, struct str text)
{
	struct strbuf *fast = &p->fast, *slow = &p->slow;
	struct hokku_error err;
	strbuf_clear(fast);
	strbuf_clear(slow);
	assert_int_equal(pretok_split(p->scanner, &p->w, text, add_piece, fast, &err), HOKKU_OK);
	assert_int_equal(pretok_split(p->regex, &p->w, text, add_piece, slow, &err), HOKKU_OK);
	if (fast->len != slow->len || memcmp(fast->ptr, slow->ptr, fast->len) != 0) {
		char a[200], b[200], c[200];
		fail_msg("%s, %s: scanner %s, regex %s", pretok_name(p->scanner),
			 str_quote(text, c, sizeof c),
			 str_quote((struct str){fast->ptr, fast->len}, a, sizeof a),
			 str_quote((struct str){slow->ptr, slow->len}, b, sizeof b));
	}
}

static const char *const families[] = {"gpt-2",  "qwen2",  "deepseek-r1-qwen", "llama-bpe",
				       "gpt-4o", "tekken", "kimi-k2"};

/* All strings of n_max characters and fewer out of the first n_alphabet. */
static void all_strings(struct both *p, unsigned n_alphabet, unsigned n_max)
{
	static const char *const alphabet[] = {"s",  "l",  "e",      "\'",     "1",      " ",
					       "\n", "!",  "\u00e9", "\u017f", "\u3000", "x",
					       "L",  "\t", "\r",     "\x01",   "\u0663"};
	unsigned end = 1;
	for (unsigned i = 0; i < n_max; i++)
		end *= n_alphabet;
	for (unsigned k = 1; k < end; k++) {
		char text[16];
		size_t n = 0;
		for (unsigned rest = k; rest; rest /= n_alphabet)
			n += (size_t)snprintf(text + n, sizeof text - n, "%s", alphabet[rest % n_alphabet]);
		same_by_both(p, (struct str){text, n});
	}
}

/* What o200k's rules tell apart besides: capitals, small letters, letters that are neither, titlecase, marks,
 * slashes. */
static void all_cased_strings(struct both *p)
{
	static const char *const alphabet[] = {"A", "b", "\u4e2d", "\u0301", "/",      " ",      "\n",
					       "!", "'", "s",      "7",      "\u01c5", "\u05d0", "\u2e80"};
	enum { N = sizeof alphabet / sizeof *alphabet };
	for (unsigned n_max = 1; n_max <= 5; n_max++) {
		const unsigned n_alphabet = n_max == 5 ? 7 : N;
		unsigned end = 1;
		for (unsigned i = 0; i < n_max; i++)
			end *= n_alphabet;
		for (unsigned k = 0; k < end; k++) {
			char text[24];
			size_t n = 0;
			unsigned rest = k;
			for (unsigned i = 0; i < n_max; i++, rest /= n_alphabet)
				n += (size_t)snprintf(text + n, sizeof text - n, "%s",
						      alphabet[rest % n_alphabet]);
			same_by_both(p, (struct str){text, n});
		}
	}
}

static void cased_scanner_equals_regex(void **state)
{
	(void)state;
	static const char *const cased[] = {"gpt-4o", "tekken", "kimi-k2"};
	for (size_t f = 0; f < sizeof cased / sizeof *cased; f++) {
		struct both p = both_open(cased[f]);
		all_cased_strings(&p);
		for (uint32_t k = 0; k < 10000; k++) { /* longer ones */
			static const char *const some[] = {"A",      "B",   "c",  "d", "\u4e2d", "\u0301",
							   "\u01c5", "'ll", "'S", " ", "/",      "1"};
			char text[128];
			size_t n = 0;
			uint32_t r[4];
			rng_words(k, RNG_STREAM_TEST, 0, r);
			for (unsigned i = 0, length = 1 + r[0] % 20; i < length; i++) {
				rng_words(k, RNG_STREAM_TEST, i + 1, r);
				n += (size_t)snprintf(text + n, sizeof text - n, "%s", some[r[0] % 12]);
			}
			same_by_both(&p, (struct str){text, n});
		}
		both_close(&p);
	}
}

/* Up to three characters out of one of each class that any rule tells apart, four out of most of them. */
static void scanner_equals_regex_on_all_short_strings(void **state)
{
	(void)state;
	for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
		struct both p = both_open(families[f]);
		all_strings(&p, 17, test_small() ? 2 : 3);
		all_strings(&p, 12, test_small() ? 2 : 4);
		both_close(&p);
	}
}

/* Longer ones, each of the 128 ASCII characters in it, with few others. */
static void scanner_equals_regex_on_random_strings(void **state)
{
	(void)state;
	for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
		struct both p = both_open(families[f]);
		for (uint32_t k = 0; k < 5000; k += (uint32_t)small_step(50)) {
			char text[128];
			size_t n = 0;
			uint32_t r[4];
			rng_words(k, RNG_STREAM_TEST, 0, r);
			unsigned length = 1 + r[0] % 40, mode = r[1] % 4;
			for (unsigned i = 0; i < length; i++) {
				rng_words(k, RNG_STREAM_TEST, i + 1, r);
				const char *some = mode == 1   ? " \n\r\t"
						   : mode == 2 ? "'sStTrReEvVmMlLdD"
							       : "aZ09 .'\n";
				if (r[0] % 32 == 0)
					n += (size_t)snprintf(text + n, 4, "%s",
							      r[1] % 2 ? "\u00e4" : "\u2003");
				else
					text[n++] = mode ? some[r[1] % strlen(some)] : (char)(r[1] % 128);
			}
			same_by_both(&p, (struct str){text, n});
		}
		both_close(&p);
	}
}

static size_t put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3F));
	out[0] = (char)((0xF00u >> n & 0xF0) | c);
	return n;
}

/* Each character at which the table's values change, alone, doubled, between others. */
static void scanner_equals_regex_on_every_kind_of_character(void **state)
{
	(void)state;
	static const char *const frames[] = {"@", "@@", "a@b", " @1", "'@", "@\n@", "1@  @", ".@@"};
	for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
		struct both p = both_open(families[f]);
		for (size_t i = 0; i < unicode_n_runs; i += small_step(50)) {
			uint32_t c = unicode_runs[i] >> 8;
			if (c == 0 || (unicode_of(c) & UNICODE_CATEGORY) == UNICODE_CS)
				continue;
			for (size_t k = 0; k < sizeof frames / sizeof *frames; k++) {
				char text[32];
				size_t n = 0;
				for (const char *s = frames[k]; *s; s++) {
					if (*s == '@')
						n += put_utf8(text + n, c);
					else
						text[n++] = *s;
				}
				same_by_both(&p, (struct str){text, n});
			}
		}
		both_close(&p);
	}
}

static enum hokku_code count_bytes(void *user, const char *piece, size_t n)
{
	(void)piece;
	*(size_t *)user += n;
	return HOKKU_OK;
}

/* One name of each set of rules. */
static const char *const distinct[] = {
	"default",    "gpt-2",  "qwen2",     "llama-bpe",  "deepseek-llm", "deepseek-coder", "deepseek-v3",
	"starcoder",  "falcon", "qwen35",    "jais-2",     "youtu",        "bloom",          "viking",
	"tekken",     "gpt-4o", "chameleon", "tiny_aya",   "kimi-k2",      "superbpe",       "bailingmoe",
	"seed-coder", "afmoe",  "laguna",    "exaone-moe", "minicpm5"};

/* 64 KiB of one class, or of what tempts a rule to look far ahead again and again: 4 MiB a row. Quadratic
 * time would be many minutes. */
static void long_runs_take_linear_time(void **state)
{
	(void)state;
	static const char *const units[] = {" ",      "\n", "\u2003", "a",      "\u00e9", "1",
					    "\u0663", "!",  "\u3002", "\u4f60", "\n ",    " \u2003",
					    "'",      "a ", "  \x01", "\r\n\t"};
	static const char *const ends[] = {"", "x", "\x01", "\u0633"};
	for (size_t i = 0; i < sizeof distinct / sizeof *distinct; i++) {
		struct pretok *p = open(distinct[i]);
		clock_t start = clock();
		for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
			struct strbuf text = {0};
			while (text.len < (size_t)1 << (test_small() ? 10 : 16))
				strbuf_add_c(&text, units[u]);
			size_t without_end = text.len;
			for (size_t e = 0; e < sizeof ends / sizeof *ends; e++) {
				struct pretok_work w = {0};
				struct hokku_error err;
				size_t n = 0;
				text.len = without_end;
				strbuf_add_c(&text, ends[e]);
				if (pretok_split(p, &w, (struct str){text.ptr, text.len}, count_bytes, &n,
						 &err))
					fail_msg("%s, unit %zu, end %zu: %s", distinct[i], u, e, err.message);
				assert_int_equal(n, text.len);
				pretok_work_free(&w);
			}
			strbuf_free(&text);
		}
		assert_true(clock() - start < 60 * CLOCKS_PER_SEC);
		pretok_destroy(p);
	}
}

/* What looks at the rest of a run once a piece, and cuts the run into large ones, is seen in megabytes alone.
 */
static void megabytes_of_blanks_take_linear_time(void **state)
{
	(void)state;
	static char blanks[4 << 20];
	const size_t n_blanks = sizeof blanks / small_step(64);
	memset(blanks, ' ', sizeof blanks);
	for (size_t i = 0; i < sizeof distinct / sizeof *distinct; i++) {
		struct pretok *p = open(distinct[i]);
		struct pretok_work w = {0};
		struct hokku_error err;
		size_t n = 0;
		clock_t start = clock();
		assert_int_equal(pretok_split(p, &w, (struct str){blanks, n_blanks}, count_bytes, &n, &err),
				 HOKKU_OK);
		if (clock() - start > 6 * CLOCKS_PER_SEC)
			fail_msg("%s took %.1f s", distinct[i], (double)(clock() - start) / CLOCKS_PER_SEC);
		assert_int_equal(n, n_blanks);
		pretok_work_free(&w);
		pretok_destroy(p);
	}
}

static void every_name_has_its_rules(void **state)
{
	(void)state;
	struct pretok *p;
	struct hokku_error err;
	assert_int_equal(pretok_create(STR_LIT("qwen3\n"), &p, &err), HOKKU_BAD_FILE);
	assert_null(p);
	assert_string_equal(
		err.message,
		"tokenizer.ggml.pre is \"qwen3\\n\", none of the 83 pre-tokenizers known (qwen2, llama-bpe, "
		"gpt-2 ...; docs/tokenizer.md lists them)");
	for (const char *const *name = (const char *const[]){"gemma4", "sarvam-moe", "whitespace",
							     "granite-embed-multi-311m", NULL};
	     *name; name++) {
		assert_int_equal(pretok_create(str_c(*name), &p, &err), HOKKU_BAD_FILE);
		assert_non_null(
			strstr(err.message, "whose tokens are not written in byte-level BPE's alphabet"));
	}
	unsigned n_nfc = 0, n_ignore = 0, n_bos = 0;
	for (size_t i = 0; i < pretok_n_names(); i++) {
		p = open(pretok_name_at(i));
		assert_string_equal(pretok_name(p), pretok_name_at(i));
		n_nfc += pretok_nfc(p);
		n_ignore += pretok_ignore_merges(p);
		n_bos += pretok_add_bos(p);
		pretok_destroy(p);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(pretok_name_at(i), pretok_name_at(k));
		pretok_destroy(open_by_regex(pretok_name_at(i)));
	}
	assert_int_equal(pretok_n_names(), 83);
	assert_int_equal(n_nfc, 6);
	assert_int_equal(n_ignore, 13);
	assert_int_equal(n_bos, 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_cuts),
		cmocka_unit_test(scanner_equals_regex_on_all_short_strings),
		cmocka_unit_test(cased_scanner_equals_regex),
		cmocka_unit_test(scanner_equals_regex_on_random_strings),
		cmocka_unit_test(scanner_equals_regex_on_every_kind_of_character),
		cmocka_unit_test(long_runs_take_linear_time),
		cmocka_unit_test(megabytes_of_blanks_take_linear_time),
		cmocka_unit_test(every_name_has_its_rules),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
