/* NFC against utf8proc's own, and the quick check's table against the property it stands for. */
#include "gguf/builder.h"

#include <time.h>
#include <utf8proc.h>

#include "base/rng.h"
#include "text/nfc.h"
#include "text/unicode.h"

static uint8_t is_second[0x110000]; /* stands after the first character of some canonical decomposition */

static bool is_scalar(uint32_t c)
{
	return c < 0xD800 || (c > 0xDFFF && c < 0x110000);
}

static utf8proc_ssize_t decompose(uint32_t c, utf8proc_int32_t *out)
{
	int last = 0;
	return utf8proc_decompose_char((utf8proc_int32_t)c, out, 64, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
				       &last);
}

static void inert_characters_are_inert(void **state)
{
	(void)state;
	utf8proc_int32_t d[64];
	unsigned n_inert = 0;
	unicode_init();
	for (uint32_t c = 0; c < 0x110000; c++) {
		utf8proc_ssize_t n = is_scalar(c) ? decompose(c, d) : 0;
		for (utf8proc_ssize_t i = 1; i < n; i++)
			is_second[d[i]] = 1;
	}
	for (uint32_t c = 0; c < 0x110000; c++) {
		if (!nfc_is_inert(c) || (unicode_of(c) & UNICODE_AFTER_9))
			continue;
		n_inert++;
		assert_true(is_scalar(c));
		assert_int_equal(utf8proc_get_property((utf8proc_int32_t)c)->combining_class, 0);
		assert_false(is_second[c]);
		utf8proc_ssize_t n = decompose(c, d);
		n = utf8proc_normalize_utf32(d, n, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
		assert_int_equal(n, 1);
		assert_int_equal(d[0], c);
	}
	assert_true(n_inert > 100000);
	assert_true(nfc_is_inert('a') && nfc_is_inert(0x4E00) && nfc_is_inert(0xAC00));
	assert_false(nfc_is_inert(0x301) || nfc_is_inert(0x212B) || nfc_is_inert(0x1161));
}

static void check(struct str text, const char *want)
{
	struct strbuf buffer = {0};
	struct str got;
	struct hokku_error err;
	assert_int_equal(nfc(text, &buffer, &got, &err), HOKKU_OK);
	if (got.len != strlen(want) || memcmp(got.ptr, want, got.len) != 0) {
		char a[200], b[200];
		fail_msg("got %s, want %s", str_quote(got, a, sizeof a), str_quote(str_c(want), b, sizeof b));
	}
	strbuf_free(&buffer);
}

/* From Unicode's NormalizationTest.txt, part 0 and part 1, and UAX 15. */
static void known_cases(void **state)
{
	(void)state;
	check(STR_LIT(""), "");
	check(STR_LIT("e\xCC\x81"), "\xC3\xA9");
	check(STR_LIT("\xE2\x84\xAB"), "\xC3\x85");                             /* the angstrom sign */
	check(STR_LIT("\xE2\x84\xA6"), "\xCE\xA9");                             /* the ohm sign */
	check(STR_LIT("\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8"), "\xEA\xB0\x81"); /* jamo L V T */
	check(STR_LIT("\xEA\xB0\x80\xE1\x86\xA8"), "\xEA\xB0\x81");             /* syllable LV, jamo T */
	check(STR_LIT("D\xCC\x87\xCC\xA3"), "\xE1\xB8\x8C\xCC\x87"); /* marks change places, one joins */
	check(STR_LIT("\xE1\xB8\x8A\xCC\xA3"), "\xE1\xB8\x8C\xCC\x87");
	check(STR_LIT("\xE0\xA5\x98"), "\xE0\xA4\x95\xE0\xA4\xBC");   /* a composition exclusion */
	check(STR_LIT("\xE3\x81\x8B\xE3\x82\x99x"), "\xE3\x81\x8Cx"); /* ka, voiced */
	check(STR_LIT("\xEF\xA4\x80"), "\xE8\xB1\x88");               /* a compatibility ideograph */
	check(STR_LIT("\xEF\xAC\x81"), "\xEF\xAC\x81");               /* a ligature stays: NFC is canonical */
	check(STR_LIT("\xCC\x81"
		      "a"),
	      "\xCC\x81"
	      "a");
	check(STR_LIT("ae\xCC\x81zo\xCC\x88y"), "a\xC3\xA9z\xC3\xB6y");
}

/* What later versions of Unicode know of characters that came after 9.0, the tokenizers crate does not: they
 * neither decompose nor compose, and count as starters. */
static void characters_after_unicode_9_stay(void **state)
{
	(void)state;
	check(STR_LIT("\U00011938"), "\U00011938");                     /* 13.0, decomposes to the next two */
	check(STR_LIT("\U00011935\U00011930"), "\U00011935\U00011930"); /* 13.0 */
	check(STR_LIT("\u0898\u0323"), "\u0898\u0323");                 /* 14.0, class 230; then 220 */
	check(STR_LIT("\u0898\u0898\u0323\u0898"), "\u0898\u0898\u0323\u0898");
	check(STR_LIT("e\u1df6\u0301"), "e\u1df6\u0301"); /* 10.0, class 232: nothing joins across it */
	check(STR_LIT("e\u0301\u1df6e\u0301"), "\u00e9\u1df6\u00e9");
	check(STR_LIT("\u0301\u0323\u1df6\u0301\u0323"), "\u0323\u0301\u1df6\u0323\u0301");
	check(STR_LIT("\u0bd7\u0b92\u0bd7"), "\u0bd7\u0b94"); /* old ones do */
	assert_true(nfc_is_inert(0x1DF6) && nfc_is_inert(0x11938) && nfc_is_inert(0x0898));
	assert_false(nfc_is_inert(0x1DF5)); /* 9.0's last mark of its block */
}

/* NFC of the runs between characters after Unicode 9. */
static void by_utf8proc(const char *text, size_t n, struct strbuf *want)
{
	char run[512];
	size_t n_run = 0;
	strbuf_clear(want);
	for (size_t i = 0; i <= n;) {
		uint32_t c = 0;
		size_t bytes = i < n ? unicode_decode((const unsigned char *)text + i, &c) : 1;
		bool ends = i == n || (unicode_of(c) & UNICODE_AFTER_9);
		if (!ends) {
			memcpy(run + n_run, text + i, bytes);
			n_run += bytes;
		} else {
			run[n_run] = '\0';
			utf8proc_uint8_t *normal = utf8proc_NFC((const utf8proc_uint8_t *)run);
			assert_non_null(normal);
			strbuf_add_c(want, (const char *)normal);
			strbuf_add(want, text + i, i < n ? bytes : 0);
			free(normal);
			n_run = 0;
		}
		i += bytes;
	}
}

/* utf8proc normalises the whole text; ours only the stretches that need it. */
static void random_texts_as_utf8proc(void **state)
{
	(void)state;
	static const struct {
		uint32_t first, last;
	} ranges[] = {{0x20, 0x7E},     {0xC0, 0x17F},    {0x300, 0x36F},     {0x370, 0x3FF},
		      {0x591, 0x5F4},   {0x610, 0x6DC},   {0x900, 0x9FF},     {0xB40, 0xB60},
		      {0x1100, 0x11FF}, {0x1E00, 0x1FFF}, {0x2100, 0x2130},   {0x3040, 0x30FF},
		      {0xAC00, 0xD7A3}, {0x1DC0, 0x1DFF}, {0x1D150, 0x1D1FF}, {0x890, 0x8FF}};
	char text[512];
	struct strbuf want = {0};
	for (uint32_t k = 0; k < 10000; k++) {
		size_t n = 0;
		uint32_t w[4];
		rng_words(1, RNG_STREAM_TEST, k * 100ull, w);
		unsigned length = 1 + w[0] % 24, two[2] = {w[1] % 16, w[2] % 16};
		for (unsigned i = 0; i < length; i++) {
			rng_words(1, RNG_STREAM_TEST, k * 100ull + i + 1, w);
			unsigned r = w[0] % 8 == 0 ? 2 : two[w[0] / 8 % 2];
			uint32_t c = ranges[r].first + w[1] % (ranges[r].last - ranges[r].first + 1);
			if (is_scalar(c) && c)
				n += (size_t)utf8proc_encode_char((utf8proc_int32_t)c,
								  (utf8proc_uint8_t *)text + n);
		}
		text[n] = '\0';
		by_utf8proc(text, n, &want);
		check((struct str){text, n}, want.ptr ? want.ptr : "");
	}
	strbuf_free(&want);
}

/* A megabyte of marks in the worst order; an exchange sort would take many minutes. */
static void many_marks_take_linear_time(void **state)
{
	(void)state;
	enum { N = 1 << 18 };
	struct strbuf text = {0}, buffer = {0};
	struct str got;
	struct hokku_error err;
	strbuf_add_c(&text, "e");
	for (int i = 0; i < N; i++)
		strbuf_add_c(&text, "\xCC\x87"); /* class 230 */
	for (int i = 0; i < N; i++)
		strbuf_add_c(&text, "\xCC\xA3"); /* class 220: belongs before */
	clock_t start = clock();
	assert_int_equal(nfc((struct str){text.ptr, text.len}, &buffer, &got, &err), HOKKU_OK);
	assert_true(clock() - start < 20 * CLOCKS_PER_SEC);
	/* e joins the first dot below; the others follow, then the dots above. */
	assert_int_equal(got.len, 3 + 2 * (size_t)(2 * N - 1));
	assert_memory_equal(got.ptr, "\xE1\xBA\xB9\xCC\xA3", 5);
	assert_memory_equal(got.ptr + got.len - 2, "\xCC\x87", 2);
	strbuf_free(&text);
	strbuf_free(&buffer);
}

static void what_is_normal_is_not_copied(void **state)
{
	(void)state;
	struct strbuf buffer = {0};
	struct str text = STR_LIT("Stra\xC3\x9F"
				  "e \xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E \xED\x95\x9C\xEA\xB5\xAD"),
		   got;
	struct hokku_error err;
	assert_int_equal(nfc(text, &buffer, &got, &err), HOKKU_OK);
	assert_ptr_equal(got.ptr, text.ptr);
	assert_null(buffer.ptr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inert_characters_are_inert),
		cmocka_unit_test(known_cases),
		cmocka_unit_test(characters_after_unicode_9_stay),
		cmocka_unit_test(random_texts_as_utf8proc),
		cmocka_unit_test(many_marks_take_linear_time),
		cmocka_unit_test(what_is_normal_is_not_copied),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
