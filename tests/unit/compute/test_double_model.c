/*
 * double_model.h, which judges devices where no golden file can: itself judged by transformers' Qwen2 in
 * float32 (golden/models), every model and format, logits and greedy answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "double_model.h"
#include "small.h"
#include "tiny_model.h"

static struct tiny_set set;

/* What transformers' own float32 leaves. */
static const double tolerance = 2e-5;

struct opened {
	struct gguf *file;
	struct model model;
	struct double_model judge;
	uint32_t blocks[8];
};

static void judge_open(struct opened *o, const struct tiny *t, const char *format, bool halves)
{
	char path[512];
	struct hokku_error err;
	snprintf(path, sizeof path, "%s/test_double_model.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	tiny_write(&set, t, format, path);
	assert_int_equal(gguf_open_file(path, &o->file, &err), HOKKU_OK);
	assert_int_equal(model_bind(&o->model, o->file, &err), HOKKU_OK);
	unlink(path);
	assert_true(t->n_prompt + t->n_greedy <= 8 * COMPUTE_KV_BLOCK);
	for (uint32_t i = 0; i < 8; i++)
		o->blocks[i] = (i * 3 + 1) % 8; /* in no order */
	double_open(&o->judge, &o->model, halves, 8);
}

static void judge_close(struct opened *o)
{
	double_close(&o->judge);
	model_unbind(&o->model);
	gguf_close(o->file);
}

static void logits(void **state)
{
	(void)state;
	bool good = true;
	size_t k = 0;
	for (size_t i = 0; i < set.n_models; i++)
		for (const char *const *f = set.models[i].formats; *f; f++) {
			if (k++ % small_step(7))
				continue;
			const struct tiny *t = &set.models[i];
			size_t n = (size_t)t->n_prompt * t->n_vocab;
			struct opened o;
			struct npy want;
			char path[512];
			float *got = calloc(n, sizeof *got);
			judge_open(&o, t, *f, false);
			double_step(&o.judge, t->prompt, t->n_prompt, 0, o.blocks, got);
			judge_close(&o);
			snprintf(path, sizeof path, "%s/models/%s.%s.npy", TEST_GOLDEN_DIR, t->name, *f);
			assert_true(npy_read(path, "<f4", &want));
			double error = max_relative_error(got, want.data, n);
			printf("%-9s %-5s largest error %.1e%s\n", t->name, *f, error,
			       error <= tolerance ? "" : "  TOO MUCH");
			good = good && error <= tolerance;
			npy_free(&want);
			free(got);
		}
	assert_true(good);
}

static void greedy(void **state)
{
	(void)state;
	for (size_t i = 0; i < set.n_models; i += small_step(2)) {
		const struct tiny *t = &set.models[i];
		struct opened o;
		float *got = calloc((size_t)t->n_prompt * t->n_vocab, sizeof *got);
		judge_open(&o, t, "F32", false);
		double_step(&o.judge, t->prompt, t->n_prompt, 0, o.blocks, got);
		const float *row = got + (size_t)(t->n_prompt - 1) * t->n_vocab;
		for (uint32_t k = 0; k < t->n_greedy; k++, row = got) {
			int32_t best = 0;
			for (uint32_t v = 1; v < t->n_vocab; v++)
				best = row[v] > row[best] ? (int32_t)v : best;
			assert_int_equal(best, t->greedy[k]);
			double_step(&o.judge, &best, 1, t->n_prompt + k, o.blocks, got);
		}
		judge_close(&o);
		free(got);
	}
}

/* Weights as HALF has them: within the roundings of a scale, a minimum and the weight itself; exact in F16,
 * and in Q4_0, as the golden models' scales have eight bits. */
static void halves(void **state)
{
	(void)state;
	static const struct {
		const char *name, *format;
		double most; /* of the largest weight: in K formats, whose weights are differences, more */
	} cases[] = {{"gqa7", "F16", 0},         {"gqa7", "Q8_0", 0x1p-11},  {"gqa7", "Q4_0", 0},
		     {"gqa7", "Q5_1", 0x1p-11},  {"mha128", "Q4_K", 0x1p-7}, {"mha128", "Q5_K", 0x1p-7},
		     {"mha128", "Q6_K", 0x1p-10}};
	for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
		struct opened o;
		judge_open(&o, tiny_find(&set, cases[c].name), cases[c].format, true);
		const struct weight *w = &o.model.layers[0].w[ROLE_W_GATE];
		double *exact = double_weights(w, false), *rounded = double_weights(w, true), worst = 0,
		       largest = 0;
		size_t n = (size_t)w->rows * w->cols, changed = 0;
		for (size_t i = 0; i < n; i++) {
			assert_true(rounded[i] == f32_from_f16(f16_from_f32((float)rounded[i])));
			worst = fmax(worst, fabs(rounded[i] - exact[i]));
			largest = fmax(largest, fabs(exact[i]));
			changed += rounded[i] != exact[i];
		}
		printf("%-9s %-5s %.0f%% of the weights change, by %.1e of the largest\n", cases[c].name,
		       cases[c].format, 100.0 * (double)changed / (double)n, worst / largest);
		assert_true(worst <= cases[c].most * largest);
		assert_true(cases[c].most == 0 ? changed == 0 : changed > n / 20);
		free(exact);
		free(rounded);
		judge_close(&o);
	}
}

int main(void)
{
	tiny_load(&set);
	const struct CMUnitTest tests[] = {cmocka_unit_test(logits), cmocka_unit_test(greedy),
					   cmocka_unit_test(halves)};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	tiny_free(&set);
	return failed;
}
