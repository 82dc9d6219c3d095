/* Roots of KV blocks: one for each pair of owner and salt, none twice, in a bounded table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "engine/kv.h"
#include "engine/salts.h"

static uint64_t root(struct salts *t, uint32_t owner, const char *salt)
{
	return salts_root(t, owner, str_c(salt));
}

static void test_pairs(void **state)
{
	(void)state;
	static struct salts t;
	salts_init(&t);
	/* Without a salt it follows from the owner, and takes no place. */
	assert_int_equal(root(&t, 0, ""), 0);
	assert_true(root(&t, 1, "") == (KV_ROOT | 1) && root(&t, 1024, "") == (KV_ROOT | 1024));
	assert_int_equal(t.n, 0);
	uint64_t a = root(&t, 0, "a"),
		 roots[] = {root(&t, 0, ""),   root(&t, 1, ""),         a,
			    root(&t, 1, "a"),  root(&t, 0, "b"),        root(&t, 0, "aa"),
			    root(&t, 11, "a"), root(&t, UINT32_MAX, "")};
	for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
		assert_true(roots[i] == 0 || roots[i] & KV_ROOT);
		for (size_t k = 0; k < i; k++)
			assert_true(roots[i] != roots[k]);
	}
	assert_int_equal(root(&t, 0, "a"), a);
	assert_int_equal(root(&t, 1, "a"), roots[3]);
	assert_int_equal(t.n, 5);
	/* Owners are told apart in a bucket too: each has the next root. */
	uint64_t next = roots[6] + 1;
	for (uint32_t owner = 20; owner < SALTS_OWNERS; owner++)
		assert_int_equal(root(&t, owner, "a"), next++);
	/* Bytes, a zero among them, and none but these. */
	uint64_t zero = salts_root(&t, 0, STR_LIT("a\0b"));
	assert_true(zero != a && zero != salts_root(&t, 0, STR_LIT("a\0c")));
	assert_int_equal(zero, salts_root(&t, 0, STR_LIT("a\0b")));
	salts_deinit(&t);
}

/* At SALTS_MAX the pair that was used least recently goes, and comes back as somebody new. */
static void test_bound(void **state)
{
	(void)state;
	static struct salts t;
	static uint64_t roots[SALTS_MAX];
	char text[16];
	salts_init(&t);
	for (int i = 0; i < SALTS_MAX; i++) {
		snprintf(text, sizeof text, "%d", i);
		roots[i] = root(&t, 3, text);
		assert_int_equal(t.n, i + 1);
	}
	for (int i = 0; i < SALTS_MAX; i++) {
		snprintf(text, sizeof text, "%d", i);
		assert_int_equal(root(&t, 3, text), roots[i]);
	}
	assert_int_equal(root(&t, 3, "0"), roots[0]);
	uint64_t more = root(&t, 3, "more");
	assert_int_equal(t.n, SALTS_MAX);
	assert_int_equal(root(&t, 3, "0"), roots[0]);
	assert_int_equal(root(&t, 3, "2"), roots[2]);
	uint64_t back = root(&t, 3, "1");
	for (int i = 0; i < SALTS_MAX; i++)
		assert_true(back != roots[i]);
	assert_true(back != more);
	assert_int_equal(t.n, SALTS_MAX);
	salts_deinit(&t);
}

/* An owner with many pushes out its own alone. */
static void test_others_stay(void **state)
{
	(void)state;
	static struct salts t;
	char text[32];
	salts_init(&t);
	uint64_t mine = root(&t, 5, "mine"), other = root(&t, 6, "mine");
	for (int i = 0; i < SALTS_MAX + 100; i++) {
		snprintf(text, sizeof text, "%d", i);
		root(&t, 7, text);
	}
	assert_int_equal(t.n, SALTS_MAX);
	assert_int_equal(t.n_of[7], SALTS_MAX - 2);
	assert_true(root(&t, 5, "mine") == mine && root(&t, 6, "mine") == other);
	salts_deinit(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_pairs), cmocka_unit_test(test_bound),
					   cmocka_unit_test(test_others_stay)};
	return cmocka_run_group_tests_name("salts", tests, NULL, NULL);
}
