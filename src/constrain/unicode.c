#include "constrain/unicode.h"

#include <pthread.h>
#include <stdlib.h>
#include <utf8proc.h>

enum { MAX_RUNS = 8192, MAX_FOLDS = 8192 }; /* twice what Unicode 15 has */

/* Runs of code points of one category, and those that have another case: made when first asked for. */
static struct {
	struct run {
		uint32_t first;
		uint8_t category;
	} runs[MAX_RUNS]; /* in rising order, each to the next one's first */
	size_t n_runs;
	struct fold {
		uint32_t to, from;
	} folds[MAX_FOLDS]; /* sorted by to, then from; from = to is among them */
	size_t n_folds;
	bool full; /* utf8proc has more than there is room for */
} tables;

static pthread_once_t made = PTHREAD_ONCE_INIT;

/* ECMA-262 folds a character to one alone; where the full folding has more, the lower case is it. */
static uint32_t fold(uint32_t c)
{
	enum { DOTTED_I = 0x130 }; /* folds in Turkish alone */
	int32_t out[8];
	int last = 0;
	if (c < 128)
		return c >= 'A' && c <= 'Z' ? c + 32 : c;
	if (c == DOTTED_I)
		return c;
	if (utf8proc_decompose_char((int32_t)c, out, 8, UTF8PROC_CASEFOLD, &last) == 1)
		return (uint32_t)out[0];
	return (uint32_t)utf8proc_tolower((int32_t)c);
}

static int by_target(const void *a, const void *b)
{
	const struct fold *x = a, *y = b;
	return x->to != y->to ? (x->to > y->to) - (x->to < y->to) : (x->from > y->from) - (x->from < y->from);
}

static void add_fold(uint32_t to, uint32_t from)
{
	if (tables.n_folds < MAX_FOLDS)
		tables.folds[tables.n_folds++] = (struct fold){to, from};
	else
		tables.full = true;
}

static void make_folds(void)
{
	enum { LAST_CASED = 0x1ffff }; /* nothing past it has a case */
	size_t n = 0;
	for (uint32_t c = 0; c <= LAST_CASED; c++) {
		uint32_t to = c >= 0xd800 && c <= 0xdfff ? c : fold(c);
		if (to != c) {
			add_fold(to, c);
			add_fold(to, to);
		}
	}
	qsort(tables.folds, tables.n_folds, sizeof *tables.folds, by_target);
	for (size_t i = 0; i < tables.n_folds; i++)
		if (!n || by_target(&tables.folds[n - 1], &tables.folds[i]) != 0)
			tables.folds[n++] = tables.folds[i];
	tables.n_folds = n;
}

static void make_tables(void)
{
	for (uint32_t c = 0; c <= CODE_POINT_MAX; c++) {
		uint8_t category = (uint8_t)utf8proc_category((int32_t)c);
		if (tables.n_runs && tables.runs[tables.n_runs - 1].category == category)
			continue;
		if (tables.n_runs == MAX_RUNS) {
			tables.full = true;
			break;
		}
		tables.runs[tables.n_runs++] = (struct run){c, category};
	}
	make_folds();
}

static const struct category {
	const char *name, *long_name;
	uint32_t bits;
} categories[] = {
#define C(x) (1u << UTF8PROC_CATEGORY_##x)
	{"L", "Letter", C(LU) | C(LL) | C(LT) | C(LM) | C(LO)},
	{"LC", "Cased_Letter", C(LU) | C(LL) | C(LT)},
	{"Lu", "Uppercase_Letter", C(LU)},
	{"Ll", "Lowercase_Letter", C(LL)},
	{"Lt", "Titlecase_Letter", C(LT)},
	{"Lm", "Modifier_Letter", C(LM)},
	{"Lo", "Other_Letter", C(LO)},
	{"M", "Mark", C(MN) | C(MC) | C(ME)},
	{"M", "Combining_Mark", C(MN) | C(MC) | C(ME)},
	{"Mn", "Nonspacing_Mark", C(MN)},
	{"Mc", "Spacing_Mark", C(MC)},
	{"Me", "Enclosing_Mark", C(ME)},
	{"N", "Number", C(ND) | C(NL) | C(NO)},
	{"Nd", "Decimal_Number", C(ND)},
	{"Nd", "digit", C(ND)},
	{"Nl", "Letter_Number", C(NL)},
	{"No", "Other_Number", C(NO)},
	{"P", "Punctuation", C(PC) | C(PD) | C(PS) | C(PE) | C(PI) | C(PF) | C(PO)},
	{"P", "punct", C(PC) | C(PD) | C(PS) | C(PE) | C(PI) | C(PF) | C(PO)},
	{"Pc", "Connector_Punctuation", C(PC)},
	{"Pd", "Dash_Punctuation", C(PD)},
	{"Ps", "Open_Punctuation", C(PS)},
	{"Pe", "Close_Punctuation", C(PE)},
	{"Pi", "Initial_Punctuation", C(PI)},
	{"Pf", "Final_Punctuation", C(PF)},
	{"Po", "Other_Punctuation", C(PO)},
	{"S", "Symbol", C(SM) | C(SC) | C(SK) | C(SO)},
	{"Sm", "Math_Symbol", C(SM)},
	{"Sc", "Currency_Symbol", C(SC)},
	{"Sk", "Modifier_Symbol", C(SK)},
	{"So", "Other_Symbol", C(SO)},
	{"Z", "Separator", C(ZS) | C(ZL) | C(ZP)},
	{"Zs", "Space_Separator", C(ZS)},
	{"Zl", "Line_Separator", C(ZL)},
	{"Zp", "Paragraph_Separator", C(ZP)},
	{"C", "Other", C(CC) | C(CF) | C(CS) | C(CO) | C(CN)},
	{"Cc", "Control", C(CC)},
	{"Cc", "cntrl", C(CC)},
	{"Cf", "Format", C(CF)},
	{"Cs", "Surrogate", C(CS)},
	{"Co", "Private_Use", C(CO)},
	{"Cn", "Unassigned", C(CN)},
#undef C
};

static void put_categories(uint32_t bits, struct spans *out)
{
	pthread_once(&made, make_tables);
	out->failed |= tables.full;
	for (size_t i = 0; i < tables.n_runs; i++) {
		uint32_t last = i + 1 < tables.n_runs ? tables.runs[i + 1].first - 1 : CODE_POINT_MAX;
		if (bits >> tables.runs[i].category & 1)
			spans_put(out, tables.runs[i].first, last);
	}
	spans_sort(out);
}

static bool general_category(struct str name, struct spans *out)
{
	for (size_t i = 0; i < sizeof categories / sizeof *categories; i++)
		if (str_eq_c(name, categories[i].name) || str_eq_c(name, categories[i].long_name)) {
			put_categories(categories[i].bits, out);
			return true;
		}
	return false;
}

bool unicode_property(struct str name, struct str value, struct spans *out)
{
	static const struct rx_span any[] = {{0, CODE_POINT_MAX}}, ascii[] = {{0, 127}},
				    hex[] = {{'0', '9'}, {'A', 'F'}, {'a', 'f'}},
				    white[] = {{9, 13},          {32, 32},         {0x85, 0x85},
					       {0xa0, 0xa0},     {0x1680, 0x1680}, {0x2000, 0x200a},
					       {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f},
					       {0x3000, 0x3000}};
	static const struct {
		const char *name, *long_name;
		const struct rx_span *at;
		size_t n;
	} sets[] = {
		{"Any", "Any", any, 1},
		{"ASCII", "ASCII", ascii, 1},
		{"AHex", "ASCII_Hex_Digit", hex, 3},
		{"space", "White_Space", white, 10},
	};
	if (value.len)
		return (str_eq_c(name, "gc") || str_eq_c(name, "General_Category")) &&
		       general_category(value, out);
	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
		if (str_eq_c(name, sets[i].name) || str_eq_c(name, sets[i].long_name)) {
			spans_put_all(out, sets[i].at, sets[i].n);
			return true;
		}
	if (str_eq_c(name, "Assigned")) {
		put_categories(~(1u << UTF8PROC_CATEGORY_CN), out);
		return true;
	}
	return general_category(name, out);
}

/* Those that fold as c does. */
static void put_equals(uint32_t c, struct spans *out)
{
	uint32_t to = c >= 0xd800 && c <= 0xdfff ? c : fold(c);
	size_t low = 0, high = tables.n_folds;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (tables.folds[middle].to < to)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < tables.n_folds && tables.folds[low].to == to; low++)
		spans_put(out, tables.folds[low].from, tables.folds[low].from);
}

/* Code points of s, up to one more than max. */
static size_t count(const struct spans *s, size_t max)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n && n <= max; i++)
		n += (size_t)s->at[i].last - s->at[i].first + 1;
	return n;
}

static void put_equals_of_many(const struct spans *s, struct spans *out)
{
	for (size_t i = 0, end; i < tables.n_folds; i = end) {
		bool any = false;
		for (end = i; end < tables.n_folds && tables.folds[end].to == tables.folds[i].to; end++)
			any |= spans_has(s, tables.folds[end].from);
		for (size_t k = i; any && k < end; k++)
			spans_put(out, tables.folds[k].from, tables.folds[k].from);
	}
}

size_t unicode_any_case(struct spans *s)
{
	enum { FEW = 64 };
	struct spans more = {0};
	size_t n = count(s, FEW);
	pthread_once(&made, make_tables);
	if (n > FEW)
		put_equals_of_many(s, &more);
	for (size_t i = 0; n <= FEW && i < s->n; i++)
		for (uint32_t c = s->at[i].first; c <= s->at[i].last; c++)
			put_equals(c, &more);
	spans_put_all(s, more.at, more.n);
	s->failed |= more.failed || tables.full;
	spans_free(&more);
	spans_sort(s);
	return n > FEW ? tables.n_folds : n;
}
