#include "text/unicode.h"

#include <pthread.h>
#include <stdlib.h>

/* A byte a character: 1.1 MB of which text of a few scripts touches some pages. */
uint8_t unicode_values[UNICODE_LIMIT];

static void fill(void)
{
	for (size_t i = 0; i < unicode_n_runs; i++) {
		uint32_t first = unicode_runs[i] >> 8;
		uint32_t end = i + 1 < unicode_n_runs ? unicode_runs[i + 1] >> 8 : UNICODE_LIMIT;
		memset(unicode_values + first, (int)(unicode_runs[i] & 0xFF), end - first);
	}
}

void unicode_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, fill);
}

bool unicode_set_named(struct str name, struct unicode_set *set)
{
	/* In the order of enum unicode_category. */
	static const char categories[][3] = {"Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd",
					     "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm",
					     "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co"};
	*set = (struct unicode_set){0};
	const char *minus = name.len ? memchr(name.ptr, '-', name.len) : NULL;
	if (minus) {
		struct unicode_set but;
		size_t n = (size_t)(minus - name.ptr);
		if (!unicode_set_named((struct str){minus + 1, name.len - n - 1}, &but) || but.categories ||
		    but.but)
			return false; /* a flag is all that was ever wanted */
		set->but = but.flags;
		name.len = n;
	}
	if (str_eq_c(name, "White_Space"))
		set->flags = UNICODE_SPACE;
	if (str_eq_c(name, "Han"))
		set->flags = UNICODE_HAN;
	for (size_t i = 0; i < sizeof categories / sizeof *categories; i++)
		if (str_eq_c(name, categories[i]) || (name.len == 1 && name.ptr[0] == categories[i][0]))
			set->categories |= 1u << i;
	return set->flags || set->categories;
}

static int by_size(const void *a, const void *b)
{
	const struct unicode_range *x = a, *y = b;
	uint32_t n = x->last - x->first, m = y->last - y->first;
	if (n != m)
		return n < m ? 1 : -1;
	return x->first < y->first ? -1 : x->first > y->first;
}

bool unicode_set_ranges(const struct unicode_set *set, struct unicode_range **ranges, size_t *n)
{
	*n = 0;
	*ranges = malloc(unicode_n_runs * sizeof **ranges);
	if (!*ranges)
		return false;
	for (size_t i = 0; i < unicode_n_runs; i++) {
		uint32_t first = unicode_runs[i] >> 8;
		uint32_t end = i + 1 < unicode_n_runs ? unicode_runs[i + 1] >> 8 : UNICODE_LIMIT;
		if (!unicode_in(set, unicode_runs[i] & 0xFF))
			continue;
		if (*n && (*ranges)[*n - 1].last + 1 == first)
			(*ranges)[*n - 1].last = end - 1;
		else
			(*ranges)[(*n)++] = (struct unicode_range){first, end - 1};
	}
	qsort(*ranges, *n, sizeof **ranges, by_size);
	return true;
}
