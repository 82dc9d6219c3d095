/*
 * KV blocks as bytes, on the device: what one handle has read another one writes into other blocks, and goes
 * on with the same bits, on each path; also while the path has begun a step that nobody asked for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "direct.h"

static struct tiny_set set;

enum { N_CTX = 96, N_PROMPT = 66, N_SAVED = 2, N_NEXT = 4 };

/* What follows the prompt, one greedy step of one token after the other. */
static void go_on(struct direct *d, const int32_t *ids, uint32_t from, int32_t *next, float *logprobs)
{
	struct hokku_error err;
	struct compute_seq seq = {.tokens = ids + from,
				  .n_tokens = N_PROMPT - 1 - from,
				  .pos = from,
				  .blocks = direct_blocks(d, 0)};
	int32_t token = ids[N_PROMPT - 1];
	assert_int_equal(compute_cuda.step(d->self, &seq, 1, &err), HOKKU_OK);
	for (uint32_t i = 0; i < N_NEXT; i++) {
		assert_int_equal(direct_greedy(d, 0, &token, N_PROMPT - 1 + i, &logprobs[i], &err), HOKKU_OK);
		next[i] = token;
	}
}

static struct cache_types cache;

static void set_cache(struct model *m, struct compute_params *p)
{
	(void)m;
	p->cache = cache;
}

static void read_and_written(const char *cuda_path, const char *precision, const char *layout)
{
	const struct tiny *t = tiny_find(&set, "gqa7");
	struct hokku_error err = {0};
	struct direct first, second;
	struct compute_kv_kind kind, other;
	int32_t ids[N_PROMPT], wanted[N_NEXT], got[N_NEXT];
	float logprobs[2][N_NEXT];
	char path[512];
	snprintf(path, sizeof path, "%s/test_cuda_kv.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	for (uint32_t i = 0; i < N_PROMPT; i++)
		ids[i] = (int32_t)(i * 7919 % t->n_vocab);
	tiny_write(&set, t, "Q8_0", path);
	setenv("HOKKU_CUDA_PATH", cuda_path, 1);
	setenv("HOKKU_CUDA_PRECISION", precision, 1);
	assert_int_equal(direct_open_as(&first, path, N_CTX, 1, 0, 0, set_cache, &err), HOKKU_OK);
	assert_int_equal(direct_open_as(&second, path, N_CTX, 1, 0, 1, set_cache, &err), HOKKU_OK);
	assert_true(direct_need_is_taken(&first) && direct_need_is_taken(&second));
	compute_cuda.kv_describe(first.self, &kind);
	compute_cuda.kv_describe(second.self, &other);
	assert_string_equal(kind.device, other.device);
	assert_string_equal(kind.layout, other.layout);
	assert_string_equal(kind.build, other.build);
	assert_int_equal(strncmp(kind.layout, layout, strlen(layout)), 0);
	assert_non_null(strstr(kind.device, cuda_path));
	go_on(&first, ids, 0, wanted, logprobs[0]); /* a step may be under way after it */
	uint8_t *bytes = malloc(compute_cuda.kv_bytes(first.self, 0));
	for (uint32_t i = 0; i < N_SAVED; i++) {
		assert_int_equal(
			compute_cuda.kv_read(first.self, 0, direct_blocks(&first, 0)[i], bytes, &err),
			HOKKU_OK);
		assert_int_equal(
			compute_cuda.kv_write(second.self, 0, direct_blocks(&second, 0)[i], bytes, &err),
			HOKKU_OK);
	}
	free(bytes);
	go_on(&second, ids, N_SAVED * COMPUTE_KV_BLOCK, got, logprobs[1]);
	assert_memory_equal(wanted, got, sizeof wanted);
	assert_memory_equal(logprobs[0], logprobs[1], sizeof logprobs[0]);
	direct_close(&first);
	direct_close(&second);
	unlink(path);
}

static void on_each_path(void **state)
{
	(void)state;
	read_and_written("plain", "full", "keys f32, values f32, ");
	read_and_written("tile", "full", "keys f16x2, values f16x2, ");
	read_and_written("tile", "half", "keys f16, values f16, ");
	cache = (struct cache_types){CACHE_Q8_0, CACHE_BF16};
	read_and_written("plain", "full", "keys q8_0, values bf16, ");
}

int main(void)
{
	tiny_load(&set);
	const struct CMUnitTest tests[] = {cmocka_unit_test(on_each_path)};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	tiny_free(&set);
	return failed;
}
