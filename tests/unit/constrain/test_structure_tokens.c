/* Structural tags with tokens in them: control tokens, which are no bytes, and tokens that have some but are
 * meant by themselves. In the texts here \1 is [CALL], \2 is [/CALL], \3 the token <t>, other bytes theirs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "constrain/constrain.h"

enum { END = 256, CALL, CALL_END, T, N_PIECES = 6, N_TOKENS = T + 1 + N_PIECES };
static const char *const pieces[N_PIECES] = {"ab", "{\"a\"", "1}", "\xC3\xA9", "<t>x", "}<"};

static struct str bytes_of(void *user, uint32_t token)
{
	static char one[1];
	(void)user;
	if (token < 256) {
		one[0] = (char)token;
		return (struct str){one, 1};
	}
	if (token == T)
		return STR_LIT("<t>");
	return token > T ? str_c(pieces[token - T - 1]) : (struct str){NULL, 0};
}

static int32_t find(void *user, struct str name)
{
	(void)user;
	return str_eq_c(name, "[CALL]")    ? CALL
	       : str_eq_c(name, "[/CALL]") ? CALL_END
	       : str_eq_c(name, "</s>")    ? END
	       : str_eq_c(name, "wild")    ? 1000000
					   : -1;
}

/* A byte each. */
static size_t encode(void *user, struct str text, int32_t *out, size_t max)
{
	(void)user;
	for (size_t i = 0; i < text.len && i < max; i++)
		out[i] = (unsigned char)text.ptr[i];
	return text.len;
}

static struct constrain_vocab *vocab, *forcing;

static struct constrain_vocab *make_vocab(bool encodes)
{
	static const int32_t ends[] = {END};
	const struct constrain_words words = {.n = N_TOKENS,
					      .bytes = bytes_of,
					      .ends = ends,
					      .n_ends = 1,
					      .encode = encodes ? encode : NULL,
					      .find = find};
	struct constrain_vocab *v = NULL;
	assert_int_equal(constrain_vocab_new(&words, &v, NULL), HOKKU_OK);
	return v;
}

static int set_up(void **state)
{
	(void)state;
	vocab = make_vocab(false);
	forcing = make_vocab(true);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	constrain_vocab_free(vocab);
	constrain_vocab_free(forcing);
	return 0;
}

static struct constrain *compile(struct constrain_vocab *v, const char *text)
{
	const struct constrain_shape shape = {.kind = CONSTRAIN_STRUCTURE, .text = str_c(text)};
	struct constrain *c = NULL;
	struct hokku_error err = {0};
	if (constrain_new(v, &shape, NULL, &c, NULL, &err))
		fail_msg("%s: %s", text, err.message);
	return c;
}

static int32_t token_of(char c)
{
	return c == 1 ? CALL : c == 2 ? CALL_END : c == 3 ? T : (unsigned char)c;
}

static bool has(const uint32_t *bits, uint32_t i)
{
	return bits[i / 32] >> i % 32 & 1;
}

/* The mask has a token if and only if it is taken; returns how many it has. */
static uint32_t check_mask(struct constrain_walk *w, uint32_t *bits)
{
	uint32_t n = 0;
	assert_int_equal(constrain_mask(w, bits), CONSTRAIN_TAKEN);
	for (uint32_t t = 0; t < N_TOKENS; t++) {
		struct constrain_walk *fork = constrain_fork(w);
		enum constrain_taken taken = constrain_take(fork, (int32_t)t);
		bool may = taken == CONSTRAIN_TAKEN || taken == CONSTRAIN_DONE;
		if (has(bits, t) != may)
			fail_msg("token %u: mask %d, taken %d", t, has(bits, t), may);
		n += may;
		constrain_end(fork);
	}
	return n;
}

static bool accepts(struct constrain *c, const char *text, bool masks)
{
	struct constrain_walk *w = constrain_begin(c);
	uint32_t bits[(N_TOKENS + 31) / 32];
	bool good = true;
	for (; *text && good; text++) {
		if (masks)
			assert_true(check_mask(w, bits) > 0);
		good = constrain_take(w, token_of(*text)) == CONSTRAIN_TAKEN;
	}
	if (good && masks)
		assert_true(check_mask(w, bits) > 0);
	good = good && constrain_may_end(w);
	constrain_end(w);
	return good;
}

#define OF(format)  "{\"format\":" format "}"
#define CALL_TOKEN  "{\"type\":\"token\",\"token\":\"[CALL]\"}"
#define END_TOKEN   "{\"type\":\"token\",\"token\":\"[/CALL]\"}"
#define ANY         "{\"type\":\"any_text\"}"
#define CONST(text) "{\"type\":\"const_string\",\"value\":\"" text "\"}"
#define TAG(begin, content, end) \
	"{\"type\":\"tag\",\"begin\":" begin ",\"content\":" content ",\"end\":" end "}"
#define TRIGGERED(flags)                                                                        \
	OF("{\"type\":\"token_triggered_tags\",\"trigger_tokens\":[\"[CALL]\"],\"tags\":[" TAG( \
		CALL_TOKEN, CONST("a"), END_TOKEN) "]," flags "}")

static const struct {
	const char *tag;
	const char *good[8], *bad[10];
} examples[] = {
	{OF(CALL_TOKEN), {"\1"}, {"", "\2", "a", "\1\1", "[CALL]"}},
	{OF("{\"type\":\"token\",\"token\":257}"), {"\1"}, {"\2"}},
	{OF("{\"type\":\"token\",\"token\":\"<t>\"}"), {"\3"}, {"<t>", "\1"}},
	{OF("{\"type\":\"sequence\",\"elements\":[" CONST("x") "," CALL_TOKEN "," CONST("y") "]}"),
	 {"x\1y"},
	 {"xy", "\1y", "x\2y", "x\1"}},
	{OF("{\"type\":\"repeat\",\"min\":1,\"max\":2,\"content\":" CALL_TOKEN "}"),
	 {"\1", "\1\1"},
	 {"", "\1\1\1"}},
	{OF(TAG(CALL_TOKEN, ANY, END_TOKEN)),
	 {"\1\2", "\1abc\2", "\1<t>\2", "\1\3\2"},
	 {"\1", "abc\2", "\1\1\2", "\1a", "\1\xC3\2", "\1a\2b"}},
	{OF(TAG("\"<\"", ANY, END_TOKEN)), {"<a<\2", "<\2"}, {"\2", "<", "<>", "<\1"}},
	{OF(TAG(CALL_TOKEN, ANY, "[\">\",\"/>\"]")), {"\1a>", "\1a/>"}, {"\1a>>", "\1\2", "a>"}},
	{OF("{\"type\":\"sequence\",\"elements\":[" TAG(CALL_TOKEN, CONST("a"),
							END_TOKEN) "," CONST("b") "]}"),
	 {"\1a\2b"},
	 {"\1a\2", "\1ab"}},
	/* A token with bytes is meant by itself: it ends the text, its bytes in other tokens do not. */
	{OF("{\"type\":\"sequence\",\"elements\":[" ANY
	    ",{\"type\":\"token\",\"token\":\"<t>\"}," CONST("z") "]}"),
	 {"\3z", "ab\3z", "<t>\3z"},
	 {"", "<t>z", "\3", "\3\3z", "a\3a"}},
	{TRIGGERED("\"exclude_tokens\":[\"</s>\",\"[/CALL]\"]"),
	 {"", "ab", "\1a\2", "x\1a\2y\1a\2"},
	 {"\1", "\1a", "\2", "\1b\2", "\1a\2\2", "\xC3"}},
	{TRIGGERED("\"at_least_one\":true"), {"\1a\2", "\1a\2x"}, {"", "x", "x\1a\2"}},
	{TRIGGERED("\"stop_after_first\":true"), {"", "x", "x\1a\2"}, {"\1a\2x", "\1a\2\1a\2"}},
	{TRIGGERED("\"stop_after_first\":true,\"at_least_one\":true"), {"\1a\2"}, {"", "x\1a\2", "\1a\2x"}},
	{OF("{\"type\":\"token_dispatch\",\"rules\":[[\"[CALL]\"," CONST("a") "],[258," CONST("b") "]]}"),
	 {"", "x", "\1a", "x\2b\1ay"},
	 {"\1", "\1b", "\2a"}},
	{OF("{\"type\":\"token_dispatch\",\"rules\":[[\"<t>\"," CONST("a") "]],\"loop\":false}"),
	 {"", "x<t>", "x\3a"},
	 {"\3", "\3x", "\3ax"}},
	{OF(TAG("\"\"", "{\"type\":\"any_tokens\",\"exclude_tokens\":[\"[CALL]\"],\"max_tokens\":null}",
		END_TOKEN)),
	 {"\2", "ab<t>\2"},
	 {"", "\1\2", "a"}},
	/* Within free text, tags of both kinds. */
	{OF("{\"type\":\"tags_with_separator\",\"separator\":\",\",\"tags\":[" TAG(
		 CALL_TOKEN, CONST("a"), END_TOKEN) "," TAG("\"<\"", ANY, "\">\"") "]}"),
	 {"", "\1a\2", "<>,\1a\2,<x>"},
	 {"\1a\2,", "\1a\2<>"}},
};

static void test_examples(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
		for (int forced = 0; forced < 2; forced++) {
			struct constrain *c = compile(forced ? forcing : vocab, examples[i].tag);
			for (size_t k = 0; k < 8 && examples[i].good[k]; k++)
				if (!accepts(c, examples[i].good[k], true))
					fail_msg("%s: example %zu is refused", examples[i].tag, k);
			for (size_t k = 0; k < 10 && examples[i].bad[k]; k++)
				if (accepts(c, examples[i].bad[k], false))
					fail_msg("%s: bad example %zu is accepted", examples[i].tag, k);
			constrain_unref(c);
		}
}

/* What the masks are at the borders. */
static void test_masks(void **state)
{
	(void)state;
	struct constrain *c = compile(vocab, TRIGGERED("\"at_least_one\":false"));
	struct constrain_walk *w = constrain_begin(c);
	uint32_t bits[(N_TOKENS + 31) / 32];
	check_mask(w, bits);
	assert_true(has(bits, CALL) && has(bits, END) && has(bits, T) && has(bits, 'a'));
	assert_false(has(bits, CALL_END));
	assert_int_equal(constrain_take(w, CALL), CONSTRAIN_TAKEN);
	assert_int_equal(check_mask(w, bits), 1);
	assert_true(has(bits, 'a'));
	assert_int_equal(constrain_take(w, 'a'), CONSTRAIN_TAKEN);
	assert_int_equal(check_mask(w, bits), 1);
	assert_true(has(bits, CALL_END));
	assert_int_equal(constrain_take(w, CALL_END), CONSTRAIN_TAKEN);
	check_mask(w, bits);
	assert_true(has(bits, CALL) && has(bits, END));
	assert_int_equal(constrain_take(w, 0xC3), CONSTRAIN_TAKEN); /* half a character */
	check_mask(w, bits);
	assert_false(has(bits, CALL) || has(bits, END));
	constrain_end(w);
	constrain_unref(c);
}

/* Bytes that must come are forced up to where a token could come, and no further. */
static void test_forced(void **state)
{
	(void)state;
	struct constrain *c =
		compile(forcing, OF("{\"type\":\"sequence\",\"elements\":[" CONST(
					 "abc") ",{\"type\":\"optional\",\"content\":" CALL_TOKEN
						"}," CONST("def") "]}"));
	struct constrain_walk *w = constrain_begin(c);
	uint32_t bits[(N_TOKENS + 31) / 32];
	int32_t ids[16];
	assert_int_equal(constrain_forced(w, ids, 16), 2); /* the last might go on */
	assert_int_equal(constrain_take(w, 'a'), CONSTRAIN_TAKEN);
	assert_int_equal(constrain_take(w, 'b'), CONSTRAIN_TAKEN);
	assert_int_equal(constrain_take(w, 'c'), CONSTRAIN_TAKEN);
	assert_int_equal(constrain_forced(w, ids, 16), 0); /* [CALL] or d */
	assert_int_equal(check_mask(w, bits), 2);
	assert_int_equal(constrain_take(w, CALL), CONSTRAIN_TAKEN);
	assert_int_equal(constrain_forced(w, ids, 16), 3);
	constrain_end(w);
	constrain_unref(c);
}

/* Little memory: states are forgotten and made again, and what is taken stays the same. */
static void test_little_memory(void **state)
{
	(void)state;
	static const char tag[] = TRIGGERED("\"at_least_one\":false");
	const struct constrain_shape shape = {.kind = CONSTRAIN_STRUCTURE, .text = STR_LIT(tag)};
	struct constrain *c = NULL;
	for (size_t bytes = 16384; bytes < 1 << 20; bytes += bytes / 8) {
		const struct constrain_limits limits = {.bytes = bytes};
		if (constrain_new(vocab, &shape, &limits, &c, NULL, NULL))
			continue;
		if (c) {
			struct constrain_walk *w = constrain_begin(c);
			for (int i = 0; i < 50; i++) {
				static const char text[] = "ab\1a\2\xC3\xA9zq<t>\3";
				enum constrain_taken taken = CONSTRAIN_TAKEN;
				for (const char *t = text; *t && taken == CONSTRAIN_TAKEN; t++)
					taken = constrain_take(w, token_of(*t));
				assert_true(taken == CONSTRAIN_TAKEN || taken == CONSTRAIN_SPENT);
			}
			constrain_end(w);
		}
		constrain_unref(c);
	}
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *tag, *place, *message;
	} rows[] = {
		{OF("{\"type\":\"token\"}"), "/format", "\"token\" is missing"},
		{OF("{\"type\":\"token\",\"token\":\"[NONE]\"}"), "/format/token",
		 "it is the string \"[NONE]\", and no token of the vocabulary is written so"},
		{OF("{\"type\":\"token\",\"token\":\"wild\"}"), "/format/token",
		 "no token of the vocabulary"},
		{OF("{\"type\":\"token\",\"token\":\"\"}"), "/format/token", "it is empty; a token's number"},
		{OF("{\"type\":\"token\",\"token\":-1}"), "/format/token",
		 "it is the number -1; a token's number"},
		{OF("{\"type\":\"token\",\"token\":1.5}"), "/format/token", "1.5"},
		{OF("{\"type\":\"token\",\"token\":266}"), "/format/token",
		 "it is the number 266; the vocabulary's last token is 265"},
		{OF("{\"type\":\"token\",\"token\":null}"), "/format/token", "it is null"},
		{OF("{\"type\":\"token\",\"token\":1,\"id\":1}"), "/format/id", "not known here"},
		{OF("{\"type\":\"token\",\"token\":\"</s>\"}"), "/format/token",
		 "which ends an answer wherever"},
		{OF(TAG("{\"type\":\"token\",\"token\":\"</s>\"}", ANY, "\"x\"")), "/format/begin/token",
		 "ends an"},
		{OF(TAG("\"x\"", ANY, "{\"type\":\"token\",\"token\":9999}")), "/format/end/token", "is 265"},
		{OF("{\"type\":\"any_tokens\",\"exclude_tokens\":[\"<t>\"]}"), "/format/exclude_tokens/0",
		 "it is the string \"<t>\", which has text"},
		{OF("{\"type\":\"any_tokens\",\"exclude_tokens\":1}"), "/format/exclude_tokens",
		 "an array of tokens"},
		{OF("{\"type\":\"any_tokens\",\"max_tokens\":5}"), "/format/max_tokens", "not counted here"},
		{OF("{\"type\":\"exclude_token\"}"), "/format/type", "any_tokens, token_triggered_tags"},
		{OF("{\"type\":\"token_triggered_tags\",\"trigger_tokens\":[\"[CALL]\"],\"tags\":[" TAG(
			 "\"a\"", ANY, "\"b\"") "]}"),
		 "/format/tags/0/begin", "it is a text; a token is wanted, or triggered_tags"},
		{OF("{\"type\":\"triggered_tags\",\"triggers\":[\"a\"],\"tags\":[" TAG(CALL_TOKEN, ANY,
										       "\"b\"") "]}"),
		 "/format/tags/0/begin", "it is a token; a text is wanted, or token_triggered_tags"},
		{OF("{\"type\":\"token_triggered_tags\",\"trigger_tokens\":[\"[/CALL]\"],\"tags\":[" TAG(
			 CALL_TOKEN, ANY, "\"b\"") "]}"),
		 "/format/tags/0/begin", "it is token 257 and none of the triggers"},
		{OF("{\"type\":\"token_triggered_tags\",\"trigger_tokens\":[257,258,\"[CALL]\"],\"tags\":[" TAG(
			 CALL_TOKEN, ANY, "\"b\"") "]}"),
		 "/format/trigger_tokens/1", "none of the tags begins with it"},
		{OF("{\"type\":\"token_triggered_tags\",\"trigger_tokens\":[\"</s>\"],\"tags\":[" TAG(
			 CALL_TOKEN, ANY, "\"b\"") "]}"),
		 "/format/trigger_tokens/0", "which ends an answer"},
		{OF("{\"type\":\"token_dispatch\",\"rules\":[[257," ANY "],[\"[CALL]\"," ANY "]]}"),
		 "/format/rules/1/0", "it opens two of the rules"},
		{OF("{\"type\":\"token_dispatch\",\"rules\":[257]}"), "/format/rules/0",
		 "an array of what opens"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct constrain_shape shape = {.kind = CONSTRAIN_STRUCTURE,
						      .text = str_c(rows[i].tag)};
		struct constrain *c = NULL;
		struct constrain_fault fault;
		struct hokku_error err = {0};
		if (constrain_new(vocab, &shape, NULL, &c, &fault, &err) != HOKKU_INVALID_REQUEST)
			fail_msg("%s is not refused", rows[i].tag);
		if (strcmp(fault.place, rows[i].place) != 0 || !strstr(err.message, rows[i].message))
			fail_msg("%s: at \"%s\": %s", rows[i].tag, fault.place, err.message);
	}
}

static void test_printed(void **state)
{
	(void)state;
	struct strbuf b = {0};
	struct constrain *c = compile(vocab, OF(CALL_TOKEN));
	assert_int_equal(constrain_print(c, &b, NULL), HOKKU_OK);
	assert_non_null(strstr(b.ptr, "<[257]>"));
	strbuf_free(&b);
	constrain_unref(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples), cmocka_unit_test(test_masks),
		cmocka_unit_test(test_forced),   cmocka_unit_test(test_little_memory),
		cmocka_unit_test(test_refused),  cmocka_unit_test(test_printed),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
