/* What a request that asks is told of the prompt's way through KV memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/miss.h"

enum { BLOCK = COMPUTE_KV_BLOCK, N = 5 * BLOCK, ROOT = 7 };

static struct kv_pool pool;
static int32_t ids[N];

static void begin(void)
{
	assert_true(kv_init(&pool, 8));
	for (uint32_t i = 0; i < N; i++)
		ids[i] = (int32_t)(i * i % 1000);
}

/* The first n blocks of ids are computed, kept and let go. */
static void compute(uint64_t root, const int32_t *of, uint32_t n)
{
	uint64_t before = root, hash = root;
	uint32_t blocks[8];
	for (uint32_t i = 0; i < n; i++) {
		hash = kv_hash(hash, of + (size_t)i * BLOCK);
		blocks[i] = kv_take(&pool);
		assert_int_not_equal(blocks[i], KV_NONE);
		blocks[i] = kv_keep(&pool, blocks[i], before, hash, of + (size_t)i * BLOCK);
		before = kv_name(&pool, blocks[i]);
	}
	while (n)
		kv_release(&pool, blocks[--n]);
}

static void expect(uint32_t n_ids, enum cache_miss_why why, uint32_t pos, int32_t token)
{
	struct cache_miss miss = cache_explain(&pool, ROOT, ids, n_ids);
	assert_string_equal(cache_miss_name(miss.why), cache_miss_name(why));
	assert_int_equal(miss.pos, pos);
	assert_int_equal(miss.token, token);
}

static void test_found(void **state)
{
	(void)state;
	begin();
	expect(1, CACHE_MISS_ALL_FOUND, 0, 0); /* no whole block before the last token */
	expect(BLOCK, CACHE_MISS_ALL_FOUND, 0, 0);
	expect(BLOCK + 1, CACHE_MISS_NOTHING_FOLLOWS, 0, 0);
	compute(ROOT, ids, 2);
	expect(BLOCK + 1, CACHE_MISS_ALL_FOUND, BLOCK, 0);
	expect(2 * BLOCK, CACHE_MISS_ALL_FOUND, BLOCK, 0);
	expect(2 * BLOCK + 1, CACHE_MISS_ALL_FOUND, 2 * BLOCK, 0);
	expect(3 * BLOCK + 1, CACHE_MISS_NOTHING_FOLLOWS, 2 * BLOCK, 0);
	kv_deinit(&pool);
}

/* Of two that go on otherwise the one that does so later; none of another root. */
static void test_other(void **state)
{
	(void)state;
	int32_t other[N];
	begin();
	memcpy(other, ids, sizeof ids);
	other[BLOCK + 3] = 5000;
	compute(ROOT, other, 2);
	expect(N, CACHE_MISS_OTHER_TOKEN, BLOCK + 3, ids[BLOCK + 3]);
	memcpy(other, ids, sizeof ids);
	other[BLOCK + 31] = 6000;
	compute(ROOT, other, 2);
	expect(N, CACHE_MISS_OTHER_TOKEN, BLOCK + 31, ids[BLOCK + 31]);
	memcpy(other, ids, sizeof ids);
	other[BLOCK] = 7000; /* less far */
	compute(ROOT, other, 2);
	expect(N, CACHE_MISS_OTHER_TOKEN, BLOCK + 31, ids[BLOCK + 31]);
	expect(BLOCK + 1, CACHE_MISS_ALL_FOUND, BLOCK, 0);
	kv_deinit(&pool);
	begin();
	compute(ROOT + 1, ids, 3);
	expect(N, CACHE_MISS_NOTHING_FOLLOWS, 0, 0);
	kv_deinit(&pool);
}

static void test_evicted(void **state)
{
	(void)state;
	uint32_t taken[6];
	begin();
	compute(ROOT, ids, 4);
	/* those nobody has used go first, then the end of what was let go first */
	for (uint32_t i = 0; i < 5; i++)
		taken[i] = kv_take(&pool);
	expect(N, CACHE_MISS_EVICTED, 3 * BLOCK, 0);
	taken[5] = kv_take(&pool);
	expect(N, CACHE_MISS_EVICTED, 2 * BLOCK, 0);
	for (uint32_t i = 0; i < 6; i++)
		kv_release(&pool, taken[i]);
	compute(ROOT, ids, 4); /* again */
	expect(4 * BLOCK + 1, CACHE_MISS_ALL_FOUND, 4 * BLOCK, 0);
	kv_deinit(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_found), cmocka_unit_test(test_other),
					   cmocka_unit_test(test_evicted)};
	return cmocka_run_group_tests_name("cache misses", tests, NULL, NULL);
}
