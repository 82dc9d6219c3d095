/*
 * Models in formats for which transformers made no logits: a file of blocks and a file of F32 with the
 * numbers that the blocks stand for are one model. The numbers are golden (model/test_format.c), and so is
 * what F32 gives (test_golden.c).
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

/* Q8_0 and Q6_K, which have goldens, are there to show what the tolerance is worth. */
static const char *const formats[] = {"Q8_0", "Q6_K", "Q2_K", "Q3_K", "IQ4_NL", "IQ4_XS"};
static const double tolerance = 1e-1; /* docs/exactness.md: of cpu for block formats */

static float *logits_of(const struct tiny *t, const char *format, bool values, const char *device)
{
	char path[512];
	struct run r;
	float *out = calloc((size_t)t->n_prompt * t->n_vocab, sizeof *out);
	assert_non_null(out);
	snprintf(path, sizeof path, "%s/test_formats.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	tiny_write_as(&set, t, format, values, path, NULL);
	assert_true(run_open(&r, path, device, t->n_prompt, 1, 2));
	assert_true(run_logits(&r, 0, t->prompt, t->n_prompt, t->n_prompt, out));
	run_close(&r);
	unlink(path);
	return out;
}

static void check_model(const struct tiny *t)
{
	size_t n = (size_t)t->n_prompt * t->n_vocab;
	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i += small_step(3)) {
		float *want = logits_of(t, formats[i], true, "cpu:reference");
		float *reference = logits_of(t, formats[i], false, "cpu:reference");
		float *cpu = logits_of(t, formats[i], false, "cpu");
		if (memcmp(reference, want, n * sizeof *want) != 0)
			fail_msg("%s: the reference gives other bits than for the same numbers in F32",
				 formats[i]);
		double error = max_relative_error(cpu, want, n);
		printf("%s %s: largest error of cpu %.1e (%g)\n", t->tied ? "tied" : "untied", formats[i],
		       error, tolerance);
		assert_true(error > 0 && error <= tolerance);
		free(want);
		free(reference);
		free(cpu);
	}
}

static void blocks_and_their_numbers_are_one_model(void **state)
{
	(void)state;
	struct tiny t = *tiny_find(&set, "mha128");
	check_model(&t);
	t.tied = true; /* tokens are looked up in the packed output matrix */
	check_model(&t);
}

int main(void)
{
	tiny_load(&set);
	const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_and_their_numbers_are_one_model)};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	tiny_free(&set);
	return failed;
}
