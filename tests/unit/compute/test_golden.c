/*
 * Every device of this build against transformers' Qwen2 in float32 (golden/models): logits at all positions
 * for each format, and greedy continuations. docs/exactness.md derives the tolerances; they are relative to
 * the largest logit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "model_run.h"
#include "tiny_model.h"

static struct tiny_set set;

/* The most that a device's logits may differ; format NULL: every other one. */
static const struct {
	const char *device, *format;
	double tolerance;
} tolerances[] = {
	{"cpu:reference", NULL, 5e-5},
	{"cpu", "F32", 1e-4},
	{"cpu", NULL, 2e-2},
};

static double tolerance_of(const char *device, const char *format)
{
	for (size_t i = 0; i < sizeof tolerances / sizeof tolerances[0]; i++)
		if (strcmp(tolerances[i].device, device) == 0 &&
		    (!tolerances[i].format || strcmp(tolerances[i].format, format) == 0))
			return tolerances[i].tolerance;
	fail_msg("there is no tolerance for device %s", device);
	return 0;
}

static void model_path(char *path, size_t size, const struct tiny *t, const char *format)
{
	snprintf(path, size, "%s/test_golden.%s.%s.%d.gguf", TEST_BINARY_DIR, t->name, format, (int)getpid());
}

static void check_logits(const struct tiny *t, const char *format, const char *device, const char *path)
{
	char golden[512];
	struct npy want;
	snprintf(golden, sizeof golden, "%s/models/%s.%s.npy", TEST_GOLDEN_DIR, t->name, format);
	assert_true(npy_read(golden, "<f4", &want));
	assert_int_equal(want.rows, t->n_prompt);
	assert_int_equal(want.cols, t->n_vocab);
	struct run r;
	assert_true(run_open(&r, path, device, t->n_prompt, 1, 2));
	float *got = malloc(want.rows * want.cols * sizeof *got);
	assert_true(run_logits(&r, 0, t->prompt, t->n_prompt, t->n_prompt, got));
	double error = max_relative_error(got, want.data, want.rows * want.cols);
	printf("%-9s %-5s %-14s error %.2e\n", t->name, format, device, error);
	if (error > tolerance_of(device, format))
		fail_msg("%s %s on %s: the error is %g, more than %g", t->name, format, device, error,
			 tolerance_of(device, format));
	free(got);
	run_close(&r);
	npy_free(&want);
}

static void check_device(const char *device)
{
	for (size_t i = 0; i < set.n_models; i++)
		for (const char *const *f = set.models[i].formats; *f; f++) {
			char path[512];
			model_path(path, sizeof path, &set.models[i], *f);
			tiny_write(&set, &set.models[i], *f, path);
			check_logits(&set.models[i], *f, device, path);
			unlink(path);
		}
}

static void check_greedy(const char *device)
{
	for (size_t i = 0; i < set.n_models; i++) {
		const struct tiny *t = &set.models[i];
		char path[512];
		model_path(path, sizeof path, t, "F32");
		tiny_write(&set, t, "F32", path);
		struct run r;
		assert_true(run_open(&r, path, device, t->n_prompt + t->n_greedy, 1, 2));
		assert_int_equal(t->n_greedy, 64);
		int32_t *got = calloc(t->n_greedy, sizeof *got);
		assert_true(run_greedy(&r, t->prompt, t->n_prompt, got, t->n_greedy));
		for (uint32_t k = 0; k < t->n_greedy; k++)
			if (got[k] != t->greedy[k])
				fail_msg("%s on %s: greedy token %u is %d, wanted %d", t->name, device, k,
					 got[k], t->greedy[k]);
		free(got);
		run_close(&r);
		unlink(path);
	}
}

static void reference_logits(void **state)
{
	(void)state;
	check_device("cpu:reference");
}

static void reference_greedy(void **state)
{
	(void)state;
	check_greedy("cpu:reference");
}

static void cpu_logits(void **state)
{
	(void)state;
	check_device("cpu");
}

static void cpu_greedy(void **state)
{
	(void)state;
	check_greedy("cpu");
}

int main(void)
{
	tiny_load(&set);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reference_logits),
		cmocka_unit_test(reference_greedy),
		cmocka_unit_test(cpu_logits),
		cmocka_unit_test(cpu_greedy),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	tiny_free(&set);
	return failed;
}
