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
#include "small.h"
#include "tiny_model.h"

static struct tiny_set set;

/*
 * How far a device's logits may be from transformers in float32 with the dequantised weights, relative to the
 * largest logit. A device that multiplies block formats by activations rounded to bytes cannot be as near as
 * float32 is; how far it may be is not our choice: golden NAME.FORMAT.bytes.npy is what transformers computes
 * when its own activations are rounded so. The device's distance from float32 must be that of transformers,
 * and it must be nearer to the rounded transformers than chance allows (two unrelated roundings would be
 * sqrt(2) of that distance apart).
 */
static const struct {
	const char *device;
	double max_float; /* F32, F16, BF16: the largest error */
	double max_block; /* block formats: the largest error */
	bool bytes;       /* the device rounds activations to bytes */
} tolerances[] = {
	{"cpu:reference", 5e-5, 5e-5, false},
	{"cpu", 5e-5, 1e-1, true},
};
static const double distance_from_float = 1.1, distance_from_bytes = 0.6;

static bool is_block_format(const char *format)
{
	enum tensor_type type;
	return !tensor_type_by_name(str_c(format), &type) ||
	       format_get(type)->block_elements > 1; /* or MIXED */
}

static void model_path(char *path, size_t size, const struct tiny *t, const char *format)
{
	snprintf(path, size, "%s/test_golden.%s.%s.%d.gguf", TEST_BINARY_DIR, t->name, format, (int)getpid());
}

static void read_golden(struct npy *out, const struct tiny *t, const char *format, const char *kind)
{
	char path[512];
	snprintf(path, sizeof path, "%s/models/%s.%s%s.npy", TEST_GOLDEN_DIR, t->name, format, kind);
	assert_true(npy_read(path, "<f4", out));
	assert_int_equal(out->rows, t->n_prompt);
	assert_int_equal(out->cols, t->n_vocab);
}

/* Prints the device's errors; true if all are within tolerance. */
static bool compare(const struct tiny *t, const char *format, const char *device, const float *got)
{
	struct npy want, bytes;
	size_t row = 0, n = (size_t)t->n_prompt * t->n_vocab;
	while (strcmp(tolerances[row].device, device) != 0)
		row++;
	read_golden(&want, t, format, "");
	double error = max_relative_error(got, want.data, n);
	double allowed = is_block_format(format) ? tolerances[row].max_block : tolerances[row].max_float;
	bool good = error <= allowed;
	printf("%-9s %-5s %-14s largest error %.1e (%g)", t->name, format, device, error, allowed);
	if (is_block_format(format) && tolerances[row].bytes) {
		read_golden(&bytes, t, format, ".bytes");
		double rounding = rms_relative_error(bytes.data, want.data, n);
		double from_float = rms_relative_error(got, want.data, n) / rounding;
		double from_bytes = rms_relative_error(got, bytes.data, n) / rounding;
		good = good && from_float <= distance_from_float && from_bytes <= distance_from_bytes;
		printf(", rms of bytes %.1e: %.2f (%g) of it from float32, %.2f (%g) from bytes", rounding,
		       from_float, distance_from_float, from_bytes, distance_from_bytes);
		npy_free(&bytes);
	}
	printf("%s\n", good ? "" : "  TOO MUCH");
	npy_free(&want);
	return good;
}

static bool check_logits(const struct tiny *t, const char *format, const char *device, const char *path)
{
	struct run r;
	float *got = calloc((size_t)t->n_prompt * t->n_vocab, sizeof *got);
	assert_true(run_open(&r, path, device, t->n_prompt, 1, 2));
	assert_true(run_logits(&r, 0, t->prompt, t->n_prompt, t->n_prompt, got));
	bool good = compare(t, format, device, got);
	free(got);
	run_close(&r);
	return good;
}

static void check_device(const char *device)
{
	bool good = true;
	size_t n = 0;
	for (size_t i = 0; i < set.n_models; i++)
		for (const char *const *f = set.models[i].formats; *f; f++) {
			char path[512];
			if (n++ % small_step(11))
				continue;
			model_path(path, sizeof path, &set.models[i], *f);
			tiny_write(&set, &set.models[i], *f, path);
			good = check_logits(&set.models[i], *f, device, path) && good;
			unlink(path);
		}
	assert_true(good);
}

static void check_greedy(const char *device)
{
	for (size_t i = 0; i < set.n_models; i += small_step(2)) {
		const struct tiny *t = &set.models[i];
		char path[512];
		model_path(path, sizeof path, t, "F32");
		tiny_write(&set, t, "F32", path);
		struct run r;
		assert_true(run_open(&r, path, device, t->n_prompt + t->n_greedy, 1, 2));
		assert_int_equal(t->n_greedy, 64);
		uint32_t n = t->n_greedy / (uint32_t)small_step(4);
		int32_t *got = calloc(n, sizeof *got);
		assert_true(run_greedy(&r, t->prompt, t->n_prompt, got, n));
		for (uint32_t k = 0; k < n; k++)
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
