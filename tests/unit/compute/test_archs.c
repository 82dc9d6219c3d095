/*
 * Every architecture against transformers in float32 (golden/archs), from the file that llama.cpp's converter
 * made: logits at all positions on the reference and on each tier of the CPU, in one step and in chunks, and
 * 64 greedy tokens. docs/exactness.md has the tolerance, relative to the largest logit.
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
#include "small.h"

static const double tolerance = 5e-5;
static struct arch_set set;
static char paths[64][512];

static bool open_entry(struct run *r, size_t i, const char *device)
{
	return run_open(r, paths[i], device, set.entries[i].n_prompt + set.entries[i].n_greedy, 1, 2);
}

/* Logits in steps of chunk tokens against transformers' and, where same is not NULL, bit for bit against it.
 */
static bool check_logits(size_t i, const char *device, uint32_t chunk, float *got, const float *same)
{
	const struct arch_entry *a = &set.entries[i];
	struct run r;
	struct npy want;
	char path[512];
	snprintf(path, sizeof path, TEST_GOLDEN_DIR "/archs/%s.npy", a->name);
	assert_true(npy_read(path, "<f4", &want));
	assert_int_equal(want.rows, a->n_prompt);
	assert_true(open_entry(&r, i, device));
	assert_int_equal(want.cols, r.model.hp.n_vocab);
	size_t n = want.rows * want.cols;
	assert_true(run_logits(&r, 0, a->prompt, a->n_prompt, chunk, got));
	double error = max_relative_error(got, want.data, n);
	bool good = error <= tolerance && (!same || memcmp(got, same, n * sizeof *got) == 0);
	printf("%-15s %-14s steps of %3u: largest error %.1e (%g)%s\n", a->name, device, chunk, error,
	       tolerance,
	       good                 ? ""
	       : error <= tolerance ? "  OTHER BITS"
				    : "  TOO MUCH");
	npy_free(&want);
	run_close(&r);
	return good;
}

/* The address sanitizer sees every architecture, where less is asked for too: each has shapes of its own. */
static size_t arch_step(void)
{
#if defined(__SANITIZE_ADDRESS__)
	return 1;
#else
	return small_step(9);
#endif
}

static void reference_logits(void **state)
{
	(void)state;
	static float got[128 * 512];
	bool good = true;
	for (size_t i = 0; i < set.n; i += arch_step())
		good = check_logits(i, "cpu:reference", 512, got, NULL) && good;
	assert_true(good);
}

/* The first tier and others. Under a sanitizer each model has one of the others, in turn, and one at all
 * where less is asked for: that tiers have the same bits is test_cpu_kernels' business, and test_cpu_step's.
 */
static bool has_tier(size_t model, size_t tier, size_t n_tiers)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	if (test_small())
		return tier == model % n_tiers;
	return tier == 0 || tier == 1 + model % (n_tiers - 1);
#else
	(void)model, (void)tier, (void)n_tiers;
	return true;
#endif
}

/* The same bits on every tier and in any steps. */
static void cpu_logits(void **state)
{
	(void)state;
	static float first[128 * 512], got[128 * 512];
	bool good = true;
	for (size_t i = 0; i < set.n; i += arch_step()) {
		const float *same = NULL;
		size_t n_tiers = 0, tier = 0;
		for (size_t t = 0; cpu_tiers[t]; t++)
			n_tiers += cpu_tiers[t]->available();
		for (size_t t = 0; cpu_tiers[t]; t++) {
			if (!cpu_tiers[t]->available() || !has_tier(i, tier++, n_tiers))
				continue;
			setenv("HOKKU_CPU_TIER", cpu_tiers[t]->name, 1);
			good = check_logits(i, "cpu", same ? 7 : 512, same ? got : first, same) && good;
			same = first;
		}
		unsetenv("HOKKU_CPU_TIER");
		good = check_logits(i, "cpu", 1, got, first) && good;
	}
	assert_true(good);
}

static void check_greedy(const char *device)
{
	for (size_t i = 0; i < set.n; i += small_step(9)) {
		const struct arch_entry *a = &set.entries[i];
		struct run r;
		int32_t got[64];
		assert_int_equal(a->n_greedy, 64);
		assert_true(open_entry(&r, i, device));
		assert_true(run_greedy(&r, a->prompt, a->n_prompt, got, 64));
		for (uint32_t k = 0; k < 64; k++)
			if (got[k] != a->greedy[k])
				fail_msg("%s on %s: greedy token %u is %d, wanted %d", a->name, device, k,
					 got[k], a->greedy[k]);
		run_close(&r);
	}
}

static void reference_greedy(void **state)
{
	(void)state;
	check_greedy("cpu:reference");
}

static void cpu_greedy(void **state)
{
	(void)state;
	check_greedy("cpu");
}

/* longrope's two tensors go together: the one, its name changed, leaves the other alone. */
static void half_of_two_factors_is_refused(void **state)
{
	(void)state;
	static const char *const tensors[] = {"rope_factors_long.weight", "rope_factors_short.weight"};
	const struct arch_entry *a = arch_find(&set, "phi3-long");
	for (size_t i = 0; i < 2; i++) {
		size_t n;
		uint8_t *bytes = golden_read(paths[a - set.entries], &n);
		uint8_t *name = memmem(bytes, n, tensors[i], strlen(tensors[i]));
		assert_non_null(name);
		name[strlen("rope_factors_")] ^= 1;
		char path[512], want[128];
		snprintf(path, sizeof path, "%s/test_archs.half.%d.gguf", TEST_BINARY_DIR, (int)getpid());
		FILE *f = fopen(path, "wb");
		assert_true(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
		free(bytes);
		struct hokku_error err = {0};
		struct gguf *g;
		struct model m;
		assert_int_equal(gguf_open_file(path, &g, &err), HOKKU_OK);
		assert_int_equal(model_bind(&m, g, &err), HOKKU_MODEL_LOAD_FAILED);
		snprintf(want, sizeof want, "the file has the tensor %s, but not %s", tensors[!i],
			 tensors[i]);
		assert_non_null(strstr(err.message, want));
		gguf_close(g);
		unlink(path);
	}
}

int main(void)
{
	arch_load(&set);
	for (size_t i = 0; i < set.n; i++) {
		snprintf(paths[i], sizeof paths[i], "%s/test_archs.%s.%d.gguf", TEST_BINARY_DIR,
			 set.entries[i].name, (int)getpid());
		arch_write_gguf(&set.entries[i], TENSOR_F16, paths[i]);
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reference_logits),
		cmocka_unit_test(reference_greedy),
		cmocka_unit_test(cpu_logits),
		cmocka_unit_test(cpu_greedy),
		cmocka_unit_test(half_of_two_factors_is_refused),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	for (size_t i = 0; i < set.n; i++)
		unlink(paths[i]);
	arch_free(&set);
	return failed;
}
