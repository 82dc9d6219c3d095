/* The streaming decoder: whatever the cuts, the text is that of the whole. The expected texts are those of
 * the Encoding Standard's decoder (Unicode 15, table 3-8 "U+FFFD replacement of maximal subparts" and the
 * like). */
#include "gguf/builder.h"
#include "text/stream.h"

#define R "\xEF\xBF\xBD"

static const struct {
	const char *bytes, *text;
} cases[] = {
	{"", ""},
	{"plain", "plain"},
	{"gr\xC3\xBC\xC3\x9F", "gr\xC3\xBC\xC3\x9F"},
	{"\xE4\xBF\xB3\xE5\x8F\xA5", "\xE4\xBF\xB3\xE5\x8F\xA5"},
	{"\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB", "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB"},
	{"\x80", R},
	{"a\xBF"
	 "b",
	 "a" R "b"},
	{"\xC0\xAF", R R}, /* overlong */
	{"\xC1\xBF", R R},
	{"\xE0\x80\xBF", R R R}, /* overlong */
	{"\xE0\x9F\xBF", R R R},
	{"\xE0\xA0", R}, /* cut off: one for the whole beginning */
	{"\xE0\xA0"
	 "a",
	 R "a"},
	{"\xED\xA0\x80", R R R}, /* a surrogate */
	{"\xED\x9F\xBF", "\xED\x9F\xBF"},
	{"\xEE\x80\x80", "\xEE\x80\x80"},
	{"\xF0\x8F\xBF\xBF", R R R R}, /* overlong */
	{"\xF0\x90\x80\x80", "\xF0\x90\x80\x80"},
	{"\xF4\x8F\xBF\xBF", "\xF4\x8F\xBF\xBF"},
	{"\xF4\x90\x80\x80", R R R R}, /* past U+10FFFF */
	{"\xF5\x80\x80\x80", R R R R},
	{"\xFF\xFE", R R},
	{"\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64",
	 R R R "b" R "c" R R "d"},                             /* the Standard's table 3-8 */
	{"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", R R R R "A"}, /* table 3-11 */
	{"\xC3\xC3\xBC", R "\xC3\xBC"},
	{"\xF0\x9F\x91\xF0\x9F\x91\xA9", R "\xF0\x9F\x91\xA9"},
	{"\xEF\xBB\xBFx", "\xEF\xBB\xBFx"}, /* a byte-order mark is text like any other */
	{"\xF0\x9F\x91", R},
	{"\xF0", R},
};

static void check(const char *bytes, size_t n, unsigned cuts, const char *want)
{
	struct text_stream s = {0};
	struct strbuf out = {0};
	size_t from = 0;
	for (size_t i = 0; i < n; i++) {
		if (i + 1 < n && !(cuts >> i & 1))
			continue;
		text_stream_push(&s, (struct str){bytes + from, i + 1 - from}, &out);
		assert_int_equal(utf8_valid_prefix(out.ptr, out.len), out.len); /* never half a character */
		text_stream_push(&s, (struct str){"", 0}, &out);                /* nothing changes nothing */
		from = i + 1;
	}
	text_stream_finish(&s, &out);
	assert_int_equal(s.n_held, 0);
	assert_string_equal(out.ptr ? out.ptr : "", want);
	strbuf_free(&out);
}

static void every_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t n = strlen(cases[i].bytes);
		for (unsigned cuts = 0; cuts < (n ? 1u << (n - 1) : 1u); cuts++)
			check(cases[i].bytes, n, cuts, cases[i].text);
	}
}

/* A whole character goes out with its last byte, not later. */
static void nothing_is_held_longer_than_needed(void **state)
{
	(void)state;
	struct text_stream s = {0};
	struct strbuf out = {0};
	text_stream_push(&s, STR_LIT("a\xE4\xBF"), &out);
	assert_string_equal(out.ptr, "a");
	text_stream_push(&s, STR_LIT("\xB3"), &out);
	assert_string_equal(out.ptr, "a\xE4\xBF\xB3");
	text_stream_push(&s, STR_LIT("\xF4\x90"), &out); /* F4 90 can never become a character */
	assert_string_equal(out.ptr, "a\xE4\xBF\xB3" R R);
	strbuf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cut),
		cmocka_unit_test(nothing_is_held_longer_than_needed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
