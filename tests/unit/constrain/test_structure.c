/* Structural tags: what each format lets through and what not, byte by byte, token by token, at every cut. */
#include "constrain/walk_try.h"

#include <stdarg.h>

#define TAG(begin, content, end) \
	"{\"type\":\"tag\",\"begin\":\"" begin "\",\"content\":" content ",\"end\":\"" end "\"}"
#define OF(format)     "{\"type\":\"structural_tag\",\"format\":" format "}"
#define CONST(text)    "{\"type\":\"const_string\",\"value\":\"" text "\"}"
#define ANY            "{\"type\":\"any_text\"}"
#define SCHEMA(schema) "{\"type\":\"json_schema\",\"json_schema\":" schema "}"
#define ARGS                                                                                       \
	"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"]," \
	"\"additionalProperties\":false}"
#define CALLS(flags)                                                             \
	OF("{\"type\":\"triggered_tags\",\"triggers\":[\"<f=\"],\"tags\":[" TAG( \
		"<f=x>", SCHEMA(ARGS), "</f>") "," TAG("<f=y>", ANY, "</f>") "]" flags "}")

static const char *const words[] = {"</think>{\"a",
				    "<f=x>{\"a\":",
				    "</f>",
				    "</",
				    "think",
				    ">",
				    "{\"a\":1}</f>",
				    "<f=",
				    "hello",
				    "ab",
				    "aab",
				    "}</f> x",
				    "\xC3\xA9",
				    "\xE3\x81",
				    "\x81\x82",
				    "\n\n",
				    "x\n",
				    "a b",
				    "Ab",
				    "xAbx",
				    "\xE3\x81\x82"
				    "<",
				    "z\xE3\x81",
				    "long text without",
				    "long \xC3\xA9 </think>",
				    "\n</t>",
				    "\"\\<",
				    "\n\xFF",
				    "\n\x81",
				    NULL};

static struct try_words *words_now;
static struct constrain_vocab *vocab;

static int set_up(void **state)
{
	(void)state;
	words_now = try_words_new(words);
	vocab = try_vocab(words_now, false);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	constrain_vocab_free(vocab);
	try_words_free(words_now);
	return 0;
}

/* Accepted as a whole; *at: the first byte that does not fit, or its length. */
static bool accepts_at(struct constrain *c, struct str text, size_t *at)
{
	struct constrain_walk *w = constrain_begin(c);
	enum constrain_taken taken = constrain_take_bytes(w, text, at);
	bool end = taken == CONSTRAIN_TAKEN && constrain_may_end(w);
	assert_int_not_equal(taken, CONSTRAIN_SPENT);
	constrain_end(w);
	return end;
}

static bool accepts(struct constrain *c, const char *text)
{
	size_t at;
	return accepts_at(c, str_c(text), &at);
}

struct example {
	const char *tag;
	const char *good[10], *bad[14];
};

static const struct example examples[] = {
	{OF(CONST("Hi \\u00e9")), {"Hi \xC3\xA9"}, {"", "Hi", "Hi \xC3\xA9!", "hi \xC3\xA9"}},
	{OF(CONST("")), {""}, {"x"}},
	{"{\"format\":" CONST("a") "}", {"a"}, {""}},
	{OF("{\"type\":\"regex\",\"pattern\":\"[a-z]+[0-9]?\"}"), {"abc", "a1"}, {"", "1", "a1a"}},
	{OF("{\"type\":\"grammar\",\"grammar\":\"root ::= \\\"(\\\" root? \\\")\\\"\"}"),
	 {"()", "((()))"},
	 {"", "(", "())"}},
	{OF(SCHEMA(ARGS)), {"{\"a\":1}", "{\"a\":-20}"}, {"{}", "{\"a\": 1}", "{\"a\":1,\"b\":2}", ""}},
	{OF("{\"type\":\"json_schema\",\"json_schema\":" ARGS ",\"space\":\"spaced\"}"),
	 {"{\"a\": 1}"},
	 {"{\"a\":1}", "{ \"a\": 1}", "{\"a\":  1}", "{\"a\": 1 }"}},
	{OF("{\"type\":\"json_schema\",\"json_schema\":" ARGS ",\"space\":\"free\",\"style\":\"json\","
	    "\"any_order\":false,\"max_whitespace_cnt\":null}"),
	 {"{\"a\":1}", "{ \"a\"\n:  1 }"},
	 {" {\"a\":1}", "{\"a\":1} "}},
	{OF("{\"type\":\"json_schema\",\"json_schema\":true,\"max_whitespace_cnt\":0}"),
	 {"1", "[1,{}]"},
	 {"[1, 2]"}},
	{OF(ANY), {"", "a\n\xC3\xA9\t\"", "\xF0\x9F\x98\x80"}, {"\xC3", "\xFF", "a\xC3", "\xED\xA0\x80"}},
	{OF("{\"type\":\"any_text\",\"excludes\":[\"</a>\",\"b\"]}"),
	 {"", "a", "</a", "</a<", "<</a"},
	 {"b", "</a>", "x</a>", "</a>x", "<</a>", "abc"}},
	{OF("{\"type\":\"any_text\",\"excludes\":[\"\\n\\n\",\"a b\",\"Ab\",\"\\u0001\",\"\\u3042<\"]}"),
	 {"a\nb", "ab", "AB", "\xE3\x81\x82", "z <"},
	 {"a\n\n", "xa b", "xAbx", "\x01", "\xE3\x81\x82<"}},
	{OF("{\"type\":\"any_text\",\"max_chars\":3}"),
	 {"", "abc", "\xC3\xA9\xC3\xA9\xC3\xA9"},
	 {"abcd", "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9"}},
	{OF("{\"type\":\"any_text\",\"min_chars\":2,\"max_chars\":3}"),
	 {"ab", "abc", "\xC3\xA9\xC3\xA9"},
	 {"", "a", "\xC3\xA9", "abcd"}},
	{OF("{\"type\":\"any_text\",\"pattern\":\"^[a-c]+\\\\d\",\"excludes\":[\"b\"]}"),
	 {"a1", "acc9z", "c1<\n"},
	 {"", "a", "b1", "a1b", "1a1"}},
	{OF(TAG("<", "{\"type\":\"any_text\",\"pattern\":\"x\",\"min_chars\":2}", ">")),
	 {"<ax>", "<xa<>"},
	 {"<x>", "<>", "<ab>", "<ax>>", "<ax"}},
	{OF("{\"type\":\"any_text\",\"max_chars\":8,\"excludes\":[\"th\"]}"),
	 {"", "hello t", "hello hh", "\xC3\xA9llo t\n"},
	 {"hello hhh", "hello th", "think"}},
	{OF("{\"type\":\"any_text\",\"max_chars\":0,\"max_tokens\":null}"), {""}, {"a"}},
	{OF("{\"type\":\"sequence\",\"elements\":[" CONST("a") "," CONST("b") "," SCHEMA(
		 "{\"const\":1}") "]}"),
	 {"ab1"},
	 {"a", "ab", "b1", "ab12"}},
	{OF("{\"type\":\"sequence\",\"elements\":[{\"type\":\"any_text\",\"excludes\":[\"--\"]}," CONST(
		 "--") ",{\"type\":\"or\",\"elements\":[" CONST("x") "," CONST("yy") "]}]}"),
	 {"--x", "abc--yy", "a-b--x"},
	 {"", "--", "abc", "--xx", "----x", "a--b--x"}},
	{OF("{\"type\":\"or\",\"elements\":[" CONST("a") "," CONST("ab") "]}"), {"a", "ab"}, {"", "b", "aa"}},
	{OF("{\"type\":\"optional\",\"content\":" CONST("ab") "}"), {"", "ab"}, {"a", "abab"}},
	{OF("{\"type\":\"plus\",\"content\":" CONST("ab") "}"), {"ab", "ababab"}, {"", "aba"}},
	{OF("{\"type\":\"star\",\"content\":" CONST("ab") "}"), {"", "ab", "ababab"}, {"a", "aba"}},
	{OF("{\"type\":\"star\",\"content\":{\"type\":\"optional\",\"content\":" CONST("ab") "}}"),
	 {"", "ab", "ababab"},
	 {"a"}},
	{OF("{\"type\":\"repeat\",\"min\":2,\"max\":3,\"content\":" CONST("a") "}"),
	 {"aa", "aaa"},
	 {"", "a", "aaaa"}},
	{OF("{\"type\":\"repeat\",\"min\":1,\"max\":-1,\"content\":" CONST("a") "}"),
	 {"a", "aaaaaa"},
	 {"", "b"}},
	{OF("{\"type\":\"repeat\",\"min\":0,\"max\":0,\"content\":" CONST("a") "}"), {""}, {"a"}},
	/* Tags. */
	{OF(TAG("<t>", ANY, "</t>")),
	 {"<t></t>", "<t>a<b</t</t>", "<t>\n</t>", "<t><t></t>"},
	 {"", "<t>", "<t>a", "</t>", "<t></t>x", "<t></t></t>", "x<t></t>", "<t>\xC3</t>"}},
	{OF("{\"type\":\"tag\",\"begin\":\"\",\"content\":" ANY ",\"end\":[\".\",\".\\n\",\"!\"]}"),
	 {".", "a.", "a.\n", "!"},
	 {"", "a", "a..", "a.!", "a!\n", "a.\n."}},
	{OF("{\"type\":\"tag\",\"begin\":\"<\",\"content\":" CONST("a") ",\"end\":[\"\",\">\"]}"),
	 {"<a", "<a>"},
	 {"<", "a>", "<a>>"}},
	/* The first end that comes is the end, also where it lies across itself. */
	{OF(TAG("", ANY, "aa")), {"aa", "baa", "abaa"}, {"aaa", "", "a", "aab", "aabaa"}},
	{OF(TAG("", ANY, "aba")), {"aba", "aaba", "bbaba"}, {"ababa", "ab", "abaaba"}},
	{OF("{\"type\":\"tag\",\"begin\":\"\",\"content\":" ANY ",\"end\":[\"abc\",\"bd\"]}"),
	 {"abc", "bd", "abd", "ababc"},
	 {"ab", "abcd", "bdabc"}},
	{OF("{\"type\":\"tag\",\"begin\":\"(\",\"content\":{\"type\":\"any_text\",\"excludes\":[\"x\"]},\"end\":\")\"}"),
	 {"()", "(a)"},
	 {"(x)", "(ax)", "(a", "())"}},
	{OF("{\"type\":\"tag\",\"begin\":\"(\",\"content\":{\"type\":\"any_text\",\"max_chars\":2},\"end\":\")\"}"),
	 {"()", "(ab)", "(\xC3\xA9\xC3\xA9)"},
	 {"(abc)", "(ab", "(a))"}},
	/* Thinking, then an answer of a shape. */
	{OF("{\"type\":\"sequence\",\"elements\":[" TAG("<think>", ANY, "</think>") "," SCHEMA(ARGS) "]}"),
	 {"<think></think>{\"a\":1}", "<think>{\"a\":</thin></think>{\"a\":12}"},
	 {"{\"a\":1}", "<think>{\"a\":1}", "<think></think>", "<think></think>x",
	  "<think></think></think>{\"a\":1}"}},
	/* Free text within a tag, further in: the tag's end ends it. */
	{OF(TAG("(", "{\"type\":\"sequence\",\"elements\":[" ANY "," CONST("!") "]}", ")")),
	 {"(!)", "(a!)", "(!!)", "(!a!)"},
	 {"()", "(a)", "()!)", "(!)!)"}},
	{OF(TAG("(", "{\"type\":\"star\",\"content\":" TAG("[", ANY, "]") "}", ")")),
	 {"()", "([])", "([a)b][])"},
	 {"([)", "(a)", "([]"}},
	/* Tags with a separator. */
	{OF("{\"type\":\"tags_with_separator\",\"tags\":[" TAG("<a>", ANY, "</a>") "," TAG(
		 "<b>", CONST("x"), "</b>") "],"
					    "\"separator\":\", \"}"),
	 {"", "<a></a>", "<b>x</b>", "<a>,</a>, <b>x</b>", "<b>x</b>, <a></a>, <a></a>"},
	 {"<b></b>", "<a></a>,", "<a></a>, ", "<a></a><b>x</b>", ", <a></a>", "x"}},
	{OF("{\"type\":\"tags_with_separator\",\"tags\":[" TAG("<a>", ANY, "</a>") "],\"separator\":\"\","
										   "\"at_least_one\":true}"),
	 {"<a></a>", "<a></a><a>x</a>"},
	 {"", "<a>"}},
	{OF("{\"type\":\"tags_with_separator\",\"tags\":[" TAG("<a>", ANY,
							       "</a>") "],\"separator\":\"\","
								       "\"stop_after_first\":true}"),
	 {"", "<a>b</a>"},
	 {"<a></a><a></a>"}},
	{OF("{\"type\":\"tags_with_separator\",\"tags\":[" TAG(
		 "<a>", ANY, "</a>") "],\"separator\":\"\","
				     "\"stop_after_first\":true,\"at_least_one\":true}"),
	 {"<a>b</a>"},
	 {"", "<a></a><a></a>"}},
	/* Triggers. */
	{CALLS(""),
	 {"", "hello", "<f", "<f=x>{\"a\":1}</f>", "a<f=x>{\"a\":1}</f>b", "<f=y></f><f=x>{\"a\":1}</f>",
	  "<<f=y><f=</f>", "<f=y>{</f> <f"},
	 {"<f=", "<f=z>", "<f=x>", "<f=x>{}</f>", "<f=x>{\"a\":1}", "<f=y>", "a<f=x>1</f>", "<f=y></f><f="}},
	{CALLS(",\"at_least_one\":true"),
	 {"<f=x>{\"a\":1}</f>", "<f=y></f>b", "<f=y></f>b<f=y></f>"},
	 {"", "a", "a<f=y></f>", "<f=y>"}},
	{CALLS(",\"stop_after_first\":true"),
	 {"", "a", "<f=y></f>", "a<f=y></f>"},
	 {"<f=y></f>b", "<f=y></f><f=y></f>"}},
	{CALLS(",\"at_least_one\":true,\"stop_after_first\":true"),
	 {"<f=y></f>", "<f=x>{\"a\":1}</f>"},
	 {"", "a", "a<f=y></f>", "<f=y></f>b"}},
	{CALLS(",\"excludes\":[\"no\",\"</e>\"]"),
	 {"n", "a<f=y>no</f>b", "</e"},
	 {"no", "<f=y></f>no", "</e>", "nno"}},
	/* A trigger that lies across itself and across an exclude opens the first time that it is there. */
	{OF("{\"type\":\"triggered_tags\",\"triggers\":[\"aa\"],\"tags\":[" TAG("aab", CONST("c"), "") "]}"),
	 {"", "a", "aabc", "ba", "baabc"},
	 {"aaabc", "aa", "aaa", "aac"}},
	{OF("{\"type\":\"triggered_tags\",\"triggers\":[\"ab\"],\"excludes\":[\"cab\"],\"tags\":[" TAG(
		 "ab", CONST("!"), "") "]}"),
	 {"ab!", "bab!", "ca"},
	 {"cab", "cab!", "ab"}},
	{OF("{\"type\":\"triggered_tags\",\"triggers\":[\"[\",\"<\",\"[\"],\"tags\":[" TAG(
		 "[", ANY, "]") "," TAG("<", ANY, ">") "," TAG("<<", CONST("x"), "") "]}"),
	 {"[<]", "<[>", "a[]b<>c", "<<x", "<<>"},
	 {"[", "<", "[>", "<<", "<x"}},
	/* Within a tag. */
	{OF(TAG("(", "{\"type\":\"triggered_tags\",\"triggers\":[\"<\"],\"tags\":[" TAG("<", ANY, ">") "]}",
		")")),
	 {"()", "(a)", "(<)>)", "(a<>b<>)"},
	 {"(", "(<)", "())", "(<>", "a"}},
	{OF("{\"type\":\"sequence\",\"elements\":[" TAG(
		 "(", ANY, ")") ",{\"type\":\"triggered_tags\",\"triggers\":["
				"\"<\"],\"tags\":[" TAG("<", CONST("a"), ">") "]}]}"),
	 {"()", "(<)b", "()<a>", "(x)y<a>z"},
	 {"", "()<", "()<b>", "()<a"}},
	/* Dispatch. */
	{OF("{\"type\":\"dispatch\",\"rules\":[[\"<x>\"," SCHEMA("{\"const\":1}") "],[\"<y>\"," CONST(
		 "2") "]],\"excludes\":[\"!\"]}"),
	 {"", "a", "<x>1", "a<x>1b<y>2", "<x>1<x>1"},
	 {"<x>", "<x>2", "!", "<x>1!", "<y>1"}},
	{OF("{\"type\":\"dispatch\",\"rules\":[[\"<x>\"," CONST("1") "]],\"loop\":false}"),
	 {"", "a", "<x>1", "a<x>1"},
	 {"<x>1b", "<x>1<x>1"}},
	{OF(TAG("(", "{\"type\":\"dispatch\",\"rules\":[[\"<\"," CONST("1") "]],\"excludes\":[\")\"]}", ")")),
	 {"()", "(<1)", "(a<1b)"},
	 {"(<)", "())"}},
	/* The form before. */
	{"{\"type\":\"structural_tag\",\"structures\":[{\"begin\":\"<f=x>\",\"schema\":" ARGS
	 ",\"end\":\"</f>\"}],\"triggers\":[\"<f=\"]}",
	 {"", "hello", "a<f=x>{\"a\":1}</f>b"},
	 {"<f=", "<f=x>{}</f>", "<f=x>{\"a\":1}"}},
	/* References stay in their own schema. */
	{OF("{\"type\":\"sequence\",\"elements\":[" SCHEMA("{\"$defs\":{\"x\":{\"const\":1}},\"$ref\":\"#/$defs/x\"}") "," SCHEMA(
		 "{\"$defs\":{\"x\":{\"const\":2}},\"$ref\":\"#/$defs/x\"}") "]}"),
	 {"12"},
	 {"11", "22", "1"}},
};

static void test_examples(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
		struct constrain *c = try_shape(vocab, CONSTRAIN_STRUCTURE, examples[i].tag);
		for (const char *const *t = examples[i].good; t < examples[i].good + 10 && *t; t++)
			if (!accepts(c, *t))
				fail_msg("%s\nrefuses %s", examples[i].tag, *t);
		for (const char *const *t = examples[i].bad; t < examples[i].bad + 14 && *t; t++)
			if (accepts(c, *t))
				fail_msg("%s\naccepts %s", examples[i].tag, *t);
		constrain_unref(c);
	}
}

/* Every prefix of what fits can go on; the mask at each is what the tokens' bytes do; and the text goes
 * through however it is cut. */
static void test_masks_on_the_way(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
		struct constrain *c = try_shape(vocab, CONSTRAIN_STRUCTURE, examples[i].tag);
		for (const char *const *t = examples[i].good; t < examples[i].good + 10 && *t; t++) {
			struct constrain_walk *w = constrain_begin(c);
			for (const char *b = *t;; b++) {
				size_t n;
				assert_true(try_mask(w, words_now) > 0);
				if (!*b)
					break;
				assert_int_equal(constrain_take_bytes(w, (struct str){b, 1}, &n),
						 CONSTRAIN_TAKEN);
			}
			constrain_end(w);
		}
		try_random_walk(c, words_now, (uint32_t)i, 12);
		constrain_unref(c);
	}
}

/* All texts of up to so many letters, against what `wanted` says. */
static void compare_all(const char *tag, const char *letters, unsigned n_max, bool (*wanted)(struct str))
{
	struct constrain *c = try_shape(vocab, CONSTRAIN_STRUCTURE, tag);
	unsigned n_letters = (unsigned)strlen(letters), count = 1;
	for (unsigned n = 0; n <= n_max; n++, count *= n_letters)
		for (unsigned i = 0; i < count; i++) {
			char text[16];
			size_t at;
			for (unsigned k = 0, rest = i; k < n; k++, rest /= n_letters)
				text[k] = letters[rest % n_letters];
			struct str all = {text, n};
			if (accepts_at(c, all, &at) != wanted(all))
				fail_msg("%s: %.*s is %s", tag, (int)n, text,
					 wanted(all) ? "refused" : "accepted");
		}
	constrain_unref(c);
}

static size_t find(struct str text, size_t from, const char *part)
{
	size_t n = strlen(part);
	for (size_t i = from; i + n <= text.len; i++)
		if (memcmp(text.ptr + i, part, n) == 0)
			return i;
	return SIZE_MAX;
}

static bool ends_at_first_aa(struct str t)
{
	return t.len >= 2 && find(t, 0, "aa") == t.len - 2;
}

static bool ends_at_first_aba(struct str t)
{
	return t.len >= 3 && find(t, 0, "aba") == t.len - 3;
}

/* Of abb and ba the one that begins first. */
static bool ends_at_first_of_two(struct str t)
{
	size_t x = find(t, 0, "abb"), y = find(t, 0, "ba");
	return x < y ? x + 3 == t.len : y != SIZE_MAX && y + 2 == t.len;
}

/* Free text; after the first "ab" a "c" must come, and it is free again. */
static bool triggered(struct str t)
{
	for (size_t at = find(t, 0, "ab"); at != SIZE_MAX; at = find(t, at + 3, "ab"))
		if (at + 2 >= t.len || t.ptr[at + 2] != 'c')
			return false;
	return true;
}

static bool triggered_aa(struct str t)
{
	for (size_t at = find(t, 0, "aa"); at != SIZE_MAX; at = find(t, at + 3, "aa"))
		if (at + 2 >= t.len || t.ptr[at + 2] != 'b')
			return false;
	return true;
}

static bool without(struct str t)
{
	return find(t, 0, "aba") == SIZE_MAX && find(t, 0, "bb") == SIZE_MAX;
}

static void test_all_texts(void **state)
{
	(void)state;
	compare_all(OF(TAG("", ANY, "aa")), "ab", 11, ends_at_first_aa);
	compare_all(OF(TAG("", ANY, "aba")), "ab", 11, ends_at_first_aba);
	compare_all(OF("{\"type\":\"tag\",\"begin\":\"\",\"content\":" ANY ",\"end\":[\"abb\",\"ba\"]}"),
		    "ab", 11, ends_at_first_of_two);
	compare_all(OF("{\"type\":\"any_text\",\"excludes\":[\"aba\",\"bb\"]}"), "ab", 11, without);
	compare_all(OF("{\"type\":\"triggered_tags\",\"triggers\":[\"ab\"],\"tags\":[" TAG("ab", CONST("c"),
											   "") "]}"),
		    "abc", 7, triggered);
	compare_all(OF("{\"type\":\"triggered_tags\",\"triggers\":[\"aa\"],\"tags\":[" TAG("aa", CONST("b"),
											   "") "]}"),
		    "ab", 11, triggered_aa);
}

/* A token may hold the end of the thinking and the beginning of the answer. */
static void test_borders(void **state)
{
	(void)state;
	struct constrain *c = try_shape(vocab, CONSTRAIN_STRUCTURE,
					OF("{\"type\":\"sequence\",\"elements\":[" TAG(
						"<think>", ANY, "</think>") "," SCHEMA(ARGS) "]}"));
	struct constrain_walk *w = constrain_begin(c);
	uint32_t bits[TRY_MAX / 32 + 1];
	size_t n;
	assert_int_equal(constrain_take_bytes(w, STR_LIT("<think>hm"), &n), CONSTRAIN_TAKEN);
	assert_int_equal(constrain_mask(w, bits), CONSTRAIN_TAKEN);
	assert_true(try_bit(bits, TRY_FIRST + 256)); /* </think>{"a */
	assert_true(try_bit(bits, TRY_FIRST + 257)); /* <f=x>{"a": */
	assert_false(try_bit(bits, TRY_END));
	assert_int_equal(constrain_take(w, TRY_FIRST + 256), CONSTRAIN_TAKEN);
	assert_int_equal(constrain_take_bytes(w, STR_LIT("\":1"), &n), CONSTRAIN_TAKEN);
	assert_int_equal(constrain_mask(w, bits), CONSTRAIN_TAKEN);
	assert_false(try_bit(bits, TRY_FIRST + 256));
	assert_int_equal(constrain_take_bytes(w, STR_LIT("}"), &n), CONSTRAIN_TAKEN);
	assert_int_equal(constrain_mask(w, bits), CONSTRAIN_TAKEN);
	assert_true(try_bit(bits, TRY_END));
	constrain_end(w);
	constrain_unref(c);
}

/* What is forced within a call is taken ahead; nothing is while text is free. */
static void test_forced(void **state)
{
	(void)state;
	struct constrain_vocab *v = try_vocab(words_now, true);
	struct constrain *c = try_shape(v, CONSTRAIN_STRUCTURE, CALLS(""));
	struct constrain_walk *w = constrain_begin(c);
	int32_t tokens[64];
	size_t n;
	assert_int_equal(constrain_forced(w, tokens, 64), 0);
	assert_int_equal(constrain_take_bytes(w, STR_LIT("say <f="), &n), CONSTRAIN_TAKEN);
	assert_int_equal(constrain_forced(w, tokens, 64), 0); /* x or y */
	assert_int_equal(constrain_take_bytes(w, STR_LIT("x"), &n), CONSTRAIN_TAKEN);
	assert_true(constrain_forced(w, tokens, 64) > 0);
	assert_int_equal(tokens[0], TRY_FIRST + '>');
	constrain_end(w);
	constrain_unref(c);
	constrain_vocab_free(v);
}

/* ---- what is refused ---- */

static const struct {
	const char *tag, *place, *message;
} refused[] = {
	{"[]", "",
	 "the structural tag: it is an array; {\"type\": \"structural_tag\", \"format\": ...} is wanted"},
	{"{", "", "the structural tag is no JSON"},
	{"{}", "", "\"format\" is missing"},
	{ANY, "",
	 "the structural tag: it is a format; {\"type\": \"structural_tag\", \"format\": ...} is wanted around"},
	{"{\"type\":\"tags\",\"format\":" ANY "}", "/type",
	 "it is the string \"tags\"; \"structural_tag\" is wanted"},
	{"{\"format\":" ANY ",\"triggers\":[]}", "/triggers", "not known here"},
	{OF("1"), "/format", "it is the number 1; a format is wanted"},
	{OF("{}"), "/format", "\"type\" is missing; there are const_string, json_schema, "},
	{OF("{\"type\":\"any\"}"), "/format/type", "it is the string \"any\"; there are const_string"},
	{OF("{\"type\":\"any_text\",\"exclude\":[]}"), "/format/exclude",
	 "there are type, excludes, max_tokens"},
	{OF("{\"type\":\"any_text\",\"excludes\":\"a\"}"), "/format/excludes",
	 "the string \"a\"; an array of strings"},
	{OF("{\"type\":\"any_text\",\"excludes\":[\"a\",\"\"]}"), "/format/excludes/1", "it is empty"},
	{OF("{\"type\":\"any_text\",\"excludes\":[1]}"), "/format/excludes/0", "it is the number 1"},
	{OF("{\"type\":\"any_text\",\"max_tokens\":9}"), "/format/max_tokens", "max_chars counts"},
	{OF("{\"type\":\"any_text\",\"max_chars\":-1}"), "/format/max_chars",
	 "it is the number -1; a whole number from 0"},
	{OF("{\"type\":\"any_text\",\"min_chars\":\"2\"}"), "/format/min_chars",
	 "the string \"2\"; a whole number"},
	{OF("{\"type\":\"any_text\",\"min_chars\":3,\"max_chars\":2}"), "/format/min_chars",
	 "it is 3, above \"max_chars\", 2"},
	{OF("{\"type\":\"any_text\",\"pattern\":\"[\"}"), "/format/pattern", "column"},
	{OF("{\"type\":\"any_text\",\"pattern\":\"\"}"), "/format/pattern", "it is empty"},
	{OF(TAG("", "{\"type\":\"any_text\",\"pattern\":\">\"}", ">")), "", "no text at all has this shape"},
	{OF("{\"type\":\"any_text\",\"max_chars\":1.5}"), "/format/max_chars", "1.5"},
	{OF("{\"type\":\"const_string\"}"), "/format", "\"value\" is missing"},
	{OF("{\"type\":\"const_string\",\"value\":null}"), "/format/value", "it is null; a string is wanted"},
	{OF("{\"type\":\"regex\",\"pattern\":\"(\"}"), "/format/pattern", "column"},
	{OF("{\"type\":\"regex\",\"pattern\":\"\"}"), "/format/pattern",
	 "it is empty; a string that is not empty"},
	{OF("{\"type\":\"grammar\",\"grammar\":\"root ::= x\"}"), "/format/grammar", "line 1 column 10"},
	{OF("{\"type\":\"json_schema\"}"), "/format", "\"json_schema\" is missing"},
	{OF("{\"type\":\"json_schema\",\"json_schema\":[]}"), "/format/json_schema",
	 "it is an array; a JSON Schema"},
	{OF("{\"type\":\"json_schema\",\"json_schema\":{\"properties\":{\"a/b\":{\"type\":\"strin\"}}}}"),
	 "/format/json_schema/properties/a~1b/type", "strin"},
	{OF("{\"type\":\"json_schema\",\"json_schema\":true,\"style\":\"qwen_xml\"}"), "/format/style",
	 "only \"json\""},
	{OF("{\"type\":\"json_schema\",\"json_schema\":true,\"any_order\":true}"), "/format/any_order",
	 "declared"},
	{OF("{\"type\":\"json_schema\",\"json_schema\":true,\"any_order\":1}"), "/format/any_order",
	 "true or false"},
	{OF("{\"type\":\"json_schema\",\"json_schema\":true,\"space\":\"wide\"}"), "/format/space",
	 "\"spaced\" or"},
	{OF("{\"type\":\"json_schema\",\"json_schema\":true,\"space\":\"free\",\"max_whitespace_cnt\":9}"),
	 "/format/max_whitespace_cnt", "not counted"},
	{OF("{\"type\":\"json_schema\",\"json_schema\":true,\"space\":\"spaced\",\"max_whitespace_cnt\":0}"),
	 "/format/max_whitespace_cnt", "not counted"},
	{OF("{\"type\":\"sequence\",\"elements\":[]}"), "/format/elements",
	 "it is empty; an array of at least one"},
	{OF("{\"type\":\"sequence\"}"), "/format", "\"elements\" is missing"},
	{OF("{\"type\":\"or\",\"elements\":{}}"), "/format/elements", "it is an object"},
	{OF("{\"type\":\"star\"}"), "/format", "\"content\" is missing"},
	{OF("{\"type\":\"repeat\",\"max\":1,\"content\":" ANY "}"), "/format", "\"min\" is missing"},
	{OF("{\"type\":\"repeat\",\"min\":2,\"max\":1,\"content\":" ANY "}"), "/format/max",
	 "it is 1, below \"min\", 2"},
	{OF("{\"type\":\"repeat\",\"min\":-1,\"max\":1,\"content\":" ANY "}"), "/format/min",
	 "from 0 to 10000"},
	{OF("{\"type\":\"tag\",\"content\":" ANY ",\"end\":\"x\"}"), "/format", "\"begin\" is missing"},
	{OF("{\"type\":\"tag\",\"begin\":\"x\",\"end\":\"x\"}"), "/format", "\"content\" is missing"},
	{OF("{\"type\":\"tag\",\"begin\":\"x\",\"content\":" ANY "}"), "/format", "\"end\" is missing"},
	{OF("{\"type\":\"tag\",\"begin\":1,\"content\":" ANY ",\"end\":\"x\"}"), "/format/begin",
	 "the number 1"},
	{OF("{\"type\":\"tag\",\"begin\":\"\",\"content\":" ANY ",\"end\":[]}"), "/format/end",
	 "it is empty"},
	{OF("{\"type\":\"tag\",\"begin\":\"\",\"content\":" ANY ",\"end\":[\"a\",2]}"), "/format/end/1",
	 "the number 2"},
	{OF(TAG("<t>", ANY, "")), "/format/end", "nothing says where that ends"},
	{OF("{\"type\":\"triggered_tags\",\"tags\":[" TAG("a", ANY, "b") "]}"), "/format",
	 "\"triggers\" is missing"},
	{OF("{\"type\":\"triggered_tags\",\"triggers\":[\"a\"]}"), "/format", "\"tags\" is missing"},
	{OF("{\"type\":\"triggered_tags\",\"triggers\":[\"\"],\"tags\":[" TAG("a", ANY, "b") "]}"),
	 "/format/triggers/0", "it is empty"},
	{OF("{\"type\":\"triggered_tags\",\"triggers\":[\"a\"],\"tags\":[" ANY "]}"), "/format/tags/0",
	 "it is another format; a tag is wanted"},
	{OF("{\"type\":\"triggered_tags\",\"triggers\":[\"a\"],\"tags\":[" TAG("a", ANY, "c") "," TAG(
		 "b", ANY, "c") "]}"),
	 "/format/tags/1/begin", "it is \"b\" and begins with none of the triggers"},
	{OF("{\"type\":\"triggered_tags\",\"triggers\":[\"a\",\"x\"],\"tags\":[" TAG("a", ANY, "c") "]}"),
	 "/format/triggers/1", "none of the tags begins with it"},
	{OF("{\"type\":\"triggered_tags\",\"triggers\":[\"<a>\",\"a\"],\"tags\":[" TAG("<a>", ANY, "c") "]}"),
	 "/format/triggers/0", "it holds the trigger \"a\", which would open before it"},
	{OF("{\"type\":\"triggered_tags\",\"triggers\":[\"<a\"],\"excludes\":[\"<\"],\"tags\":[" TAG(
		 "<a", ANY, "c") "]}"),
	 "/format/triggers/0", "it holds \"<\", which is excluded"},
	{OF(TAG("(", "{\"type\":\"triggered_tags\",\"triggers\":[\"<)\"],\"tags\":[" TAG("<)", ANY, ">") "]}",
		")")),
	 "/format/content/triggers/0", "which ends the tag around it"},
	{OF("{\"type\":\"triggered_tags\",\"triggers\":[\"a\"],\"at_least_one\":1,\"tags\":[" TAG("a", ANY,
												  "c") "]}"),
	 "/format/at_least_one", "true or false"},
	{OF("{\"type\":\"tags_with_separator\",\"tags\":[" TAG("a", ANY, "b") "]}"), "/format",
	 "\"separator\" is missing"},
	{OF("{\"type\":\"dispatch\",\"rules\":[[\"a\"]]}"), "/format/rules/0", "an array of another length"},
	{OF("{\"type\":\"dispatch\",\"rules\":[[\"a\",1]]}"), "/format/rules/0/1",
	 "it is the number 1; a format"},
	{OF("{\"type\":\"dispatch\",\"rules\":[[\"a\"," ANY "],[\"a\"," ANY "]]}"), "/format/rules/1/0",
	 "it opens two of the rules"},
	{"{\"structures\":[{\"begin\":\"a\",\"end\":\"b\"}],\"triggers\":[\"a\"]}", "/structures/0",
	 "\"schema\" is missing"},
	{"{\"structures\":[],\"triggers\":[\"a\"]}", "/structures", "it is empty"},
	{"{\"structures\":[{\"begin\":\"a\",\"schema\":true,\"end\":\"b\",\"x\":1}],\"triggers\":[\"a\"]}",
	 "/structures/0/x", "not known here"},
	{OF("{\"type\":\"sequence\",\"elements\":[" SCHEMA("{\"minProperties\":2}") "]}"),
	 "/format/elements/0/json_schema/minProperties", "cannot be enforced in a structural tag"},
	{OF("{\"type\":\"sequence\",\"elements\":[" SCHEMA("false") "]}"), "",
	 "no text at all has this shape"},
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		const struct constrain_shape shape = {.kind = CONSTRAIN_STRUCTURE,
						      .text = str_c(refused[i].tag)};
		struct constrain *c = NULL;
		struct constrain_fault fault;
		struct hokku_error err = {0};
		if (constrain_new(vocab, &shape, NULL, &c, &fault, &err) != HOKKU_INVALID_REQUEST)
			fail_msg("%s is not refused", refused[i].tag);
		if (strcmp(fault.place, refused[i].place) != 0 || !strstr(err.message, refused[i].message))
			fail_msg("%s: at \"%s\": %s", refused[i].tag, fault.place, err.message);
		if (refused[i].place[0] && strncmp(err.message, fault.place, strlen(fault.place)) != 0)
			fail_msg("%s does not begin with its place", err.message);
	}
}

static bool compiles(const char *text)
{
	const struct constrain_shape shape = {.kind = CONSTRAIN_STRUCTURE, .text = str_c(text)};
	struct constrain *c = NULL;
	bool good = constrain_new(vocab, &shape, NULL, &c, NULL, NULL) == HOKKU_OK;
	if (good)
		constrain_unref(c);
	return good;
}

static void test_limits(void **state)
{
	(void)state;
	struct strbuf b = {0};
	for (int n = 1023; n <= 1025; n++) {
		strbuf_clear(&b);
		strbuf_addf(&b, "{\"format\":{\"type\":\"any_text\",\"excludes\":[\"%0*d\"]}}", n, 0);
		assert_int_equal(compiles(b.ptr), n <= 1024);
	}
	for (int n = 9999; n <= 10001; n++) {
		strbuf_clear(&b);
		strbuf_addf(
			&b,
			"{\"format\":{\"type\":\"repeat\",\"min\":0,\"max\":%d,\"content\":" CONST("a") "}}",
			n);
		assert_int_equal(compiles(b.ptr), n <= 10000);
	}
	for (int n = 199; n <= 201; n++) {
		strbuf_clear(&b);
		strbuf_add_c(&b, "{\"format\":");
		for (int i = 1; i < n; i++)
			strbuf_add_c(&b, "{\"type\":\"sequence\",\"elements\":[");
		strbuf_add_c(&b, ANY);
		for (int i = 1; i < n; i++)
			strbuf_add_c(&b, "]}");
		strbuf_add_c(&b, "}");
		assert_int_equal(compiles(b.ptr), n <= 200);
	}
	strbuf_free(&b);
}

/* A thousand tools behind one trigger, and many triggers: within the bounds, or refused by them. */
static void test_many(void **state)
{
	(void)state;
	struct strbuf b = {0};
	strbuf_add_c(&b, "{\"format\":{\"type\":\"triggered_tags\",\"triggers\":[\"<f=\"],\"tags\":[");
	for (int i = 0; i < 1000; i++)
		strbuf_addf(&b,
			    "%s{\"type\":\"tag\",\"begin\":\"<f=tool%d>\",\"content\":" SCHEMA(
				    ARGS) ",\"end\":\"</f>\"}",
			    i ? "," : "", i);
	strbuf_add_c(&b, "]}}");
	struct constrain *c = try_shape(vocab, CONSTRAIN_STRUCTURE, b.ptr);
	assert_true(accepts(c, "x<f=tool999>{\"a\":1}</f>"));
	assert_false(accepts(c, "x<f=tool1000>{\"a\":1}</f>"));
	constrain_unref(c);
	strbuf_clear(&b);
	strbuf_add_c(&b, "{\"format\":{\"type\":\"any_text\",\"excludes\":[\"a0\"");
	for (int i = 1; i < 20000; i++)
		strbuf_addf(&b, ",\"%d\"", i);
	strbuf_add_c(&b, "]}}");
	compiles(b.ptr); /* either way, soon */
	strbuf_free(&b);
}

/* Tokens longer than what is looked ahead in one go, where the count of characters ends within them. */
static void test_long_tokens(void **state)
{
	(void)state;
	static const unsigned lengths[] = {31, 32, 33, 253, 254, 255, 256, 257, 300};
	static char texts[9][310];
	const char *list[10] = {NULL};
	for (size_t i = 0; i < 9; i++) {
		memset(texts[i], 'a', lengths[i]);
		list[i] = texts[i];
	}
	struct try_words *long_words = try_words_new(list);
	struct constrain_vocab *v = try_vocab(long_words, false);
	for (size_t i = 0; i < 9; i++)
		for (unsigned n = lengths[i] - 1; n <= lengths[i] + 1; n++)
			for (int tagged = 0; tagged < 2; tagged++) {
				char tag[300];
				snprintf(
					tag, sizeof tag,
					tagged ? OF(TAG("", "{\"type\":\"any_text\",\"max_chars\":%u}", "qq"))
					       : OF("{\"type\":\"any_text\",\"max_chars\":%u,\"excludes\":[\"qq\"]}"),
					n);
				struct constrain *c = try_shape(v, CONSTRAIN_STRUCTURE, tag);
				struct constrain_walk *w = constrain_begin(c);
				uint32_t bits[TRY_MAX / 32 + 1];
				try_mask(w, long_words);
				assert_int_equal(constrain_mask(w, bits), CONSTRAIN_TAKEN);
				for (uint32_t k = 0; k < 9; k++)
					assert_int_equal(try_bit(bits, TRY_FIRST + 256 + k), lengths[k] <= n);
				constrain_end(w);
				constrain_unref(c);
			}
	constrain_vocab_free(v);
	try_words_free(long_words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),    cmocka_unit_test(test_masks_on_the_way),
		cmocka_unit_test(test_all_texts),   cmocka_unit_test(test_borders),
		cmocka_unit_test(test_forced),      cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limits),      cmocka_unit_test(test_many),
		cmocka_unit_test(test_long_tokens),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
