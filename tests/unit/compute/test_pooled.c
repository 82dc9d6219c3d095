/*
 * Hidden states and pooled output. What the states are: times the output matrix they give the logits, which
 * others judge. The last one and the mean are those of the whole list, with the same bits in any steps,
 * beside another sequence, and on every tier of the CPU.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch_model.h"
#include "compute/cpu/tier.h"
#include "model_run.h"
#include "pooled.h"

static struct arch_set set;
static char path[512];

enum { MAX = 128 * 256 };
static float states[MAX], first[MAX], last[256], mean[256], again[256], logits[512], reference[MAX];

static void pooled(struct model *m, struct compute_params *p)
{
	(void)m;
	p->pooled = true;
}

static enum hokku_code step(void *self, struct compute_seq *seqs, uint32_t n, struct hokku_error *err)
{
	return compute_step(self, seqs, n, err);
}

static void check(const char *device, const struct arch_entry *a, bool is_first)
{
	struct run r;
	assert_true(run_open_as(&r, path, device, a->n_prompt, 2, 2, pooled));
	uint32_t d = r.model.hp.d_model, n = a->n_prompt;
	struct compute_seq other = {.tokens = a->prompt, .n_tokens = 3, .blocks = run_blocks(&r, 1)};
	struct pooled_run run = {step, r.compute, d, a->prompt, n, run_blocks(&r, 0), NULL};
	assert_true(n * d <= MAX && d <= 256);
	for (size_t k = 0; k < 2; k++) {
		static const uint32_t chunks[] = {512, 7};
		run.other = k == 1 ? &other : NULL;
		assert_true(pooled_run(&run, COMPUTE_POOL_NONE, chunks[k], states, logits));
		assert_true(pooled_logits_error(&r.model, states + (size_t)(n - 1) * d, logits) < 5e-6);
		if (k == 0 && is_first)
			memcpy(first, states, (size_t)n * d * sizeof *states);
		assert_memory_equal(states, first, (size_t)n * d * sizeof *states);
		memset(last, 1, sizeof last);
		assert_true(pooled_run(&run, COMPUTE_POOL_LAST, chunks[k], last, NULL));
		assert_memory_equal(last, states + (size_t)(n - 1) * d, d * sizeof *last);
		memset(again, 1, sizeof again); /* at position 0 it may hold anything */
		assert_true(
			pooled_run(&run, COMPUTE_POOL_MEAN, chunks[k], k || !is_first ? again : mean, NULL));
		if (k || !is_first)
			assert_memory_equal(again, mean, d * sizeof *mean);
		assert_true(pooled_mean_error(states, n, d, mean) < 1e-6);
	}
	run_close(&r);
}

static void every_device(void **state)
{
	(void)state;
	const struct arch_entry *a = arch_find(&set, "qwen3-odd"); /* d_model 100: no whole rows of lanes */
	bool is_first = true;
	arch_write_gguf(a, TENSOR_F16, path);
	check("cpu:reference", a, true);
	memcpy(reference, first, sizeof first);
	for (size_t t = 0; cpu_tiers[t]; t++) {
		if (!cpu_tiers[t]->available())
			continue;
		setenv("HOKKU_CPU_TIER", cpu_tiers[t]->name, 1);
		check("cpu", a, is_first);
		is_first = false;
	}
	unsetenv("HOKKU_CPU_TIER");
	assert_true(max_relative_error(first, reference, (size_t)a->n_prompt * 100) < 5e-5);
	unlink(path);
}

int main(void)
{
	arch_load(&set);
	snprintf(path, sizeof path, "%s/test_pooled.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_device),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	arch_free(&set);
	return failed;
}
