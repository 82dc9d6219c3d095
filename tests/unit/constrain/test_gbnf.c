/* Grammars in llama.cpp's notation: what they take, and what is said of those that are none. */
#include "walk_try.h"

#include "constrain/gbnf.h"

static struct constrain_vocab *vocab;
static struct try_words *words;

static int begin(void **state)
{
	(void)state;
	static const char *const none[] = {NULL};
	struct hokku_error err = {0};
	words = try_words_new(none);
	struct constrain_words w = {
		.user = words, .n = words->n, .bytes = try_bytes, .ends = words->ends, .n_ends = 1};
	return constrain_vocab_new(&w, &vocab, &err);
}

static int end(void **state)
{
	(void)state;
	constrain_vocab_free(vocab);
	try_words_free(words);
	return 0;
}

static struct constrain *grammar(const char *text)
{
	struct constrain_shape shape = {.kind = CONSTRAIN_GBNF, .text = str_c(text)};
	struct hokku_error err = {0};
	struct constrain *c = NULL;
	if (constrain_new(vocab, &shape, NULL, &c, NULL, &err))
		fail_msg("%s\n%s", text, err.message);
	return c;
}

/* 2: the whole text; 1: it is the beginning of one; 0: neither. */
static int takes(struct constrain *c, const char *text, size_t n)
{
	struct constrain_walk *w = constrain_begin(c);
	size_t n_taken = 0;
	enum constrain_taken t = constrain_take_bytes(w, (struct str){text, n}, &n_taken);
	int verdict = t == CONSTRAIN_TAKEN && n_taken == n ? 1 + constrain_may_end(w) : 0;
	constrain_end(w);
	return verdict;
}

static void try_texts(const char *text, int wanted, const char *const *texts)
{
	struct constrain *c = grammar(text);
	for (; *texts; texts++) {
		int found = takes(c, *texts, strlen(*texts));
		if (found != wanted)
			fail_msg("%s\ntakes \"%s\": %d, not %d", text, *texts, found, wanted);
	}
	constrain_unref(c);
}
#define WHOLE(grammar, ...)     try_texts(grammar, 2, (const char *const[]){__VA_ARGS__, NULL})
#define BEGINNING(grammar, ...) try_texts(grammar, 1, (const char *const[]){__VA_ARGS__, NULL})
#define NEITHER(grammar, ...)   try_texts(grammar, 0, (const char *const[]){__VA_ARGS__, NULL})

static void test_notation(void **state)
{
	(void)state;
	WHOLE("root ::= \"a\" | \"b\" \"c\"", "a", "bc");
	BEGINNING("root ::= \"a\" | \"b\" \"c\"", "", "b");
	NEITHER("root ::= \"a\" | \"b\" \"c\"", "c", "ab", "ac");
	WHOLE("# a comment\nroot ::= # another\n  x y? # and one\n\nx ::= [a-c_]\r\ny::=\"!\"", "a", "_!",
	      "c!");
	WHOLE("root ::= (\n \"a\" # in it\n | \"b\"\n \"c\" )+\n", "a", "bcabc");
	WHOLE("root ::= \"a\" |\n\n \"b\"\n | \"c\"\nx ::= \"d\"", "a", "b", "c");
	WHOLE("root ::= [^a-c\\n\\]\\-]", "d", "[", "^", "\xc3\xa4");
	NEITHER("root ::= [^a-c\\n\\]\\-]", "a", "\n", "]", "-");
	WHOLE("root ::= [a-] [-b]", "--", "ab");
	WHOLE("root ::= \"\\x41\\u00e4\\U0001F600\\t\\\\\\\"\\[\"", "A\xc3\xa4\xf0\x9f\x98\x80\t\\\"[");
	WHOLE("root ::= .", "a", "\n", "\xf0\x9f\x98\x80");
	NEITHER("root ::= .", "ab", "\xff", "\xed\xa0");
	WHOLE("root ::=", "");
	WHOLE("root ::= \"a\" | ", "a", "");
	WHOLE("root ::= \"\" \"a\"*", "", "aa");
	WHOLE("root ::= \"ab\"+", "ab", "abab"); /* the whole literal */
	NEITHER("root ::= \"ab\"+", "abb");
	WHOLE("root ::= rule_1\nrule_1 ::= under-score2\nunder-score2 ::= \"x\"", "x");
}

static void test_counts(void **state)
{
	(void)state;
	WHOLE("root ::= \"a\"{2} \"b\"{1,} \"c\"{0,2} \"d\" { 1 , 2 }", "aabd", "aabbbccdd");
	NEITHER("root ::= \"a\"{2} \"b\"{1,} \"c\"{0,2} \"d\"{1,2}", "ab", "aad", "aabcccd");
	WHOLE("root ::= \"a\"{0} \"b\"", "b");
	WHOLE("root ::= \"a\"?+", "", "aaa");
	/* Of what is recursive: each is a list or a letter. */
#define ITEM "\nitem ::= \"[\" item* \"]\" | [a-z]\n"
	WHOLE("root ::= item{2}" ITEM, "aa", "[]a", "[a[b]][]");
	NEITHER("root ::= item{2}" ITEM, "aaa", "a]");
	BEGINNING("root ::= item{2}" ITEM, "a", "[[", "[]");
	WHOLE("root ::= item{1,3}" ITEM, "a", "aa", "[]aa");
	NEITHER("root ::= item{1,3}" ITEM, "aaaa");
	WHOLE("root ::= item{2,}" ITEM, "aa", "aaaaa[[[]]]");
	WHOLE("root ::= (item \",\")? item?" ITEM, "", "a", "a,", "[],[]");
	WHOLE("root ::= (item \",\")+" ITEM, "a,", "a,[],");
	WHOLE("root ::= (item \",\" | \";\"){2,3}" ITEM, ";;", "a,;[],");
	NEITHER("root ::= (item \",\" | \";\"){2,3}" ITEM, ";;;;", "a;");
	WHOLE("root ::= (item{0,2} \".\"){0,100} \"!\"" ITEM, "!", "ab.[].!");
	WHOLE("root ::= item{0} \"x\"" ITEM, "x");
}

static void test_recursion(void **state)
{
	(void)state;
	static const char json[] =
		"root ::= object\n"
		"value ::= object | array | string | number | (\"true\" | \"false\" | \"null\") ws\n"
		"object ::= \"{\" ws (string \":\" ws value (\",\" ws string \":\" ws value)*)? \"}\" ws\n"
		"array ::= \"[\" ws (value (\",\" ws value)*)? \"]\" ws\n"
		"string ::= \"\\\"\" ([^\"\\\\\\x7F\\x00-\\x1F] | \"\\\\\" ([\"\\\\bfnrt] | \"u\" [0-9a-fA-F]{4}))* \"\\\"\" ws\n"
		"number ::= (\"-\"? ([0-9] | [1-9] [0-9]{0,15})) (\".\" [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws\n"
		"ws ::= | \" \" | \"\\n\" [ \\t]{0,20}\n";
	WHOLE(json, "{}", "{\"a\": [1, -2.5e3, {\"b\": \"\\u00e4\\\"\"}], \"c\":null}",
	      "{ \"\":\"\xf0\x9f\x98\x80\"}\n  ");
	BEGINNING(json, "", "{", "{\"a", "{\"a\": [[[[");
	NEITHER(json, "[", "{\"a\",", "{}}", "{\"a\": 01", "{  ");
	WHOLE("root ::= \"(\" root \")\" | \"x\"", "x", "((x))");
	NEITHER("root ::= \"(\" root \")\" | \"x\"", "(x))", "xx");
	BEGINNING("root ::= \"(\" root \")\" | \"x\"", "(((x))");
	WHOLE("root ::= a\na ::= | \"1\" b\nb ::= | \"2\" a", "", "1", "12", "121");
	WHOLE("root ::= x root | \"\"\nx ::= [a-z]", "", "abc");
}

/* Rules that double sixty times stand in places of their own. */
static void test_doubling(void **state)
{
	(void)state;
	struct strbuf b = {0}, text = {0};
	strbuf_add_c(&b, "root ::= r0\n");
	for (int i = 0; i < 60; i++)
		strbuf_addf(&b, "r%d ::= r%d r%d?\n", i, i + 1, i + 1);
	strbuf_add_c(&b, "r60 ::= \"ab\"\n");
	struct constrain *c = grammar(b.ptr);
	for (int i = 0; i < 100; i++)
		strbuf_add_c(&text, "ab");
	assert_int_equal(takes(c, text.ptr, text.len), 2);
	assert_int_equal(takes(c, text.ptr, text.len - 1), 1);
	constrain_unref(c);
	strbuf_free(&b);
	strbuf_free(&text);
}

static enum hokku_code try_new(struct str text, struct constrain_fault *fault, struct hokku_error *err)
{
	struct constrain_shape shape = {.kind = CONSTRAIN_GBNF, .text = text};
	struct constrain *c = NULL;
	enum hokku_code rc = constrain_new(vocab, &shape, NULL, &c, fault, err);
	constrain_unref(c);
	return rc;
}

static void refused(const char *text, const char *place, const char *message)
{
	struct hokku_error err = {0};
	struct constrain_fault fault = {"?"};
	char wanted[sizeof err.message];
	assert_int_equal(try_new(str_c(text), &fault, &err), HOKKU_INVALID_REQUEST);
	snprintf(wanted, sizeof wanted, "%s%s%s", place, *place ? ": " : "", message);
	if (strcmp(err.message, wanted) != 0 || strcmp(fault.place, place) != 0)
		fail_msg("%s\n  found  %s (%s)\n  wanted %s", text, err.message, fault.place, wanted);
}

static void test_refused(void **state)
{
	(void)state;
	refused("", "", "the grammar has no rules: root ::= ... is wanted");
	refused("x ::= \"a\"", "",
		"there is no rule \"root\", with which texts begin: root ::= ... is wanted");
	refused("root ::= x\n", "line 1 column 10", "there is no rule \"x\"");
	refused("root ::= \"a\"\n  root ::= \"b\"", "line 2 column 3",
		"a second rule \"root\"; give it another name, or put its \"|\" into the first");
	refused("root = \"a\"", "line 1 column 6", "found \"=\" where \"::=\" is wanted after a rule's name");
	refused("root", "line 1 column 5",
		"found the end of the grammar where \"::=\" is wanted after a rule's name");
	refused("root ::= \"a\n", "line 1 column 10", "a literal is not closed; write \" after it");
	refused("root ::= \"\xc3\xa4\" [a", "line 1 column 14", "a class is not closed; write ] after it");
	refused("root ::= []", "line 1 column 10",
		"a class without characters; for any character write \".\"");
	refused("root ::= [z-a]", "line 1 column 11",
		"the range begins with U+007A, past its end U+0061; turn it round");
	refused("root ::= \"a\\d\"", "line 1 column 12",
		"no escape: \"d\" after \"\\\"; there are \\n \\r \\t \\\\ \\\" \\[ \\] \\- \\xXX \\uXXXX \\UXXXXXXXX");
	refused("root ::= \"\\u12\"", "line 1 column 11", "\"\\u\" wants 4 hexadecimal digits");
	refused("root ::= \"\\U00110000\"", "line 1 column 11",
		"U+110000 is past the last character, U+10FFFF");
	refused("root ::= \"\\ud83d\"", "line 1 column 11",
		"U+D83D is half a character and never stands alone; write the whole one, or \\U and eight digits");
	refused("root ::= (\"a\"\n", "line 2 column 1",
		"found the end of the grammar where \")\" or another item is wanted");
	refused("root ::= \"a\")", "line 1 column 13",
		"found \")\" where an item, \"|\" or the end of the line is wanted");
	refused("root ::= * \"a\"", "line 1 column 10",
		"nothing to repeat before \"*\"; for the character itself write \"\\\"*\\\"\"");
	refused("root ::= \"a\"{x}", "line 1 column 14",
		"found \"x\" where a count is wanted: {m}, {m,} or {m,n}");
	refused("root ::= \"a\"{2,1}", "line 1 column 13",
		"{2,1}: the least count is above the greatest; turn them round");
	refused("root ::= \"a\"{1;2}", "line 1 column 15", "found \";\" where \"}\" is wanted");
	refused("root ::= \"a\"{99999999999}", "line 1 column 14", "a count past 4294967294");
	refused("root ::= <[1234]> \"a\"", "line 1 column 10",
		"\"<[1234]>\" asks for a token; a grammar is told by characters here: write its text as a literal");
	refused("root ::= !<think>", "line 1 column 10",
		"\"!<think>\" asks for a token; a grammar is told by characters here: write its text as a literal");
	refused("root ::= \"a\"\n\xff", "line 2 column 1", "no UTF-8");
	refused("root ::= 'a'", "line 1 column 10",
		"found \"'\" where an item, \"|\" or the end of the line is wanted");
}

/* What the grammar is at fault for as a whole is told when it is sealed. */
static void test_sealed(void **state)
{
	(void)state;
	static const char *const bad[] = {"root ::= root \"a\" | \"b\"",
					  "root ::= a\na ::= \"x\"? b\nb ::= a \"y\" | \"z\"",
					  "root ::= \"a\" root", "root ::= [\\uD800-\\uDFFF]"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct hokku_error err = {0};
		assert_int_equal(try_new(str_c(bad[i]), NULL, &err), HOKKU_INVALID_REQUEST);
		assert_true(*err.message);
	}
}

static void repeat(struct strbuf *b, const char *what, size_t n)
{
	for (size_t i = 0; i < n; i++)
		strbuf_add_c(b, what);
}

static void test_limits(void **state)
{
	(void)state;
	for (size_t n = GBNF_MAX_DEPTH; n <= GBNF_MAX_DEPTH + 1; n++) {
		struct strbuf b = {0};
		struct hokku_error err = {0};
		strbuf_add_c(&b, "root ::= ");
		repeat(&b, "(", n);
		strbuf_add_c(&b, "\"x\"");
		repeat(&b, ")", n);
		assert_int_equal(try_new((struct str){b.ptr, b.len}, NULL, &err),
				 n > GBNF_MAX_DEPTH ? HOKKU_INVALID_REQUEST : HOKKU_OK);
		if (n > GBNF_MAX_DEPTH)
			assert_string_equal(
				err.message,
				"line 1 column 1010: more than 1000 groups in each other, the limit");
		strbuf_free(&b);
	}
	struct strbuf b = {0};
	struct hokku_error err = {0};
	strbuf_add_c(&b, "root ::= \"a\" #");
	repeat(&b, "x", GBNF_MAX_BYTES - b.len);
	assert_int_equal(try_new((struct str){b.ptr, b.len}, NULL, &err), HOKKU_OK);
	strbuf_add_c(&b, "x");
	assert_int_equal(try_new((struct str){b.ptr, b.len}, NULL, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message, "the grammar has 1,048,577 bytes; the limit is 1048576");
	strbuf_free(&b);
	refused("root ::= item{100001}" ITEM, "line 1 column 10",
		"a count of 100001 for what is recursive or large; the limit is 100000");
	assert_int_equal(try_new(STR_LIT("root ::= (((item{100} \",\"){100} \";\"){100} \".\"){100}" ITEM),
				 NULL, &err),
			 HOKKU_OK);
	WHOLE("root ::= ((\"a\"*)*)* \"b\"", "b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab");
	WHOLE("root ::= (\"a\"{0,1000}){0,1000}", "", "aaa");
	/* More places than a grammar may have. */
	strbuf_add_c(&b, "root ::= ");
	repeat(&b, "item{100000} ", 12);
	strbuf_add_c(&b, ITEM);
	assert_int_equal(try_new((struct str){b.ptr, b.len}, NULL, &err), HOKKU_INVALID_REQUEST);
	strbuf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_notation),  cmocka_unit_test(test_counts),
		cmocka_unit_test(test_recursion), cmocka_unit_test(test_doubling),
		cmocka_unit_test(test_refused),   cmocka_unit_test(test_sealed),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
