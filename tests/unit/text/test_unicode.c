/* The table of characters against Unicode 16.0's own counts, and what it was made for. */
#include "gguf/builder.h"

#include "text/unicode.h"

/* Code points of a property, from the standard's DerivedGeneralCategory.txt, PropList.txt and
 * Scripts.txt, 16.0.0. */
static const struct {
	const char *name;
	uint32_t n;
} counts[] = {
	{"Lu", 1858},   {"Ll", 2258},        {"Lt", 31},  {"Lm", 404},  {"Lo", 136477}, {"Mn", 2020},
	{"Mc", 468},    {"Me", 13},          {"Nd", 760}, {"Nl", 236},  {"No", 915},    {"Pc", 10},
	{"Pd", 27},     {"Ps", 79},          {"Pe", 77},  {"Pi", 12},   {"Pf", 10},     {"Po", 640},
	{"Sm", 950},    {"Sc", 63},          {"Sk", 125}, {"So", 7376}, {"Zs", 17},     {"Zl", 1},
	{"Zp", 1},      {"Cc", 65},          {"Cf", 170}, {"Cs", 2048}, {"Co", 137468}, {"Cn", 819533},
	{"L", 141028},  {"M", 2501},         {"N", 1911}, {"P", 855},   {"S", 8514},    {"Z", 19},
	{"Han", 99030}, {"White_Space", 25},
};

static void the_counts_are_the_standards(void **state)
{
	(void)state;
	unicode_init();
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		struct unicode_set set;
		struct unicode_range *ranges;
		size_t n;
		uint32_t by_table = 0, by_range = 0;
		assert_true(unicode_set_named(str_c(counts[i].name), &set));
		for (uint32_t c = 0; c < UNICODE_LIMIT; c++)
			by_table += unicode_in(&set, unicode_of(c));
		assert_true(unicode_set_ranges(&set, &ranges, &n));
		for (size_t k = 0; k < n; k++) {
			uint32_t size = ranges[k].last - ranges[k].first + 1;
			by_range += size;
			assert_true(k == 0 || size <= ranges[k - 1].last - ranges[k - 1].first + 1);
			assert_true(unicode_in(&set, unicode_of(ranges[k].first)));
			assert_true(unicode_in(&set, unicode_of(ranges[k].last)));
			assert_false(ranges[k].last + 1 < UNICODE_LIMIT &&
				     unicode_in(&set, unicode_of(ranges[k].last + 1)));
		}
		free(ranges);
		if (by_table != counts[i].n || by_range != counts[i].n)
			fail_msg("%s: %u in the table, %u in ranges, %u wanted", counts[i].name, by_table,
				 by_range, counts[i].n);
	}
	struct unicode_set set;
	for (const char *const *name = (const char *const[]){"", "l", "Lx", "Letter", "LL", "Greek", NULL};
	     *name; name++)
		assert_false(unicode_set_named(str_c(*name), &set));
}

/* Characters by the version that brought them (DerivedAge.txt). */
static void the_version_is_16(void **state)
{
	(void)state;
	static const struct {
		uint32_t c, category;
		bool after_9;
	} rows[] = {
		{'a', UNICODE_LL, false},     {0x1E943, UNICODE_LL, false}, /* 9.0 */
		{0x1DF6, UNICODE_MN, true},                                 /* 10.0 */
		{0x32FF, UNICODE_SO, true},                                 /* 12.1 */
		{0x0898, UNICODE_MN, true},                                 /* 14.0 */
		{0x11F04, UNICODE_LO, true},                                /* 15.0 */
		{0x2EBF0, UNICODE_LO, true},                                /* 15.1 */
		{0x1C89, UNICODE_LU, true},   {0x10D40, UNICODE_ND, true},  /* 16.0 */
		{0x0C5C, UNICODE_CN, true},                                 /* 17.0 */
		{0x10FFFF, UNICODE_CN, true},
	};
	unicode_init();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(unicode_of(rows[i].c) & UNICODE_CATEGORY, rows[i].category);
		assert_int_equal((unicode_of(rows[i].c) & UNICODE_AFTER_9) != 0, rows[i].after_9);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_counts_are_the_standards),
		cmocka_unit_test(the_version_is_16),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
