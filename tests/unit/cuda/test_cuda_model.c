/*
 * Whole golden models on the emulated device: transformers' logits as the CPU's float32 path reaches them,
 * and the promise of compute.h bit for bit: chunks, neighbours, where KV blocks lie and in which order the
 * device runs its threads change nothing.
 */
#include "direct.h"

#include <unistd.h>

static struct tiny_set set;

/* Weights are dequantised and multiplied by float32 activations, so every format is as near to transformers
 * as cpu:reference is (tests/unit/compute/test_golden.c). */
static const double tolerance = 5e-5;

static void model_path(char *path, size_t size)
{
	snprintf(path, size, "%s/test_cuda_model.%d.gguf", TEST_BINARY_DIR, (int)getpid());
}

static void open_tiny(struct direct *d, const struct tiny *t, const char *format, uint32_t n_seqs,
		      uint32_t n_batch, uint32_t shift)
{
	char path[512];
	struct hokku_error err = {0};
	model_path(path, sizeof path);
	tiny_write(&set, t, format, path);
	if (direct_open(d, path, t->n_prompt + t->n_greedy, n_seqs, n_batch, shift, &err))
		fail_msg("%s %s: %s", t->name, format, err.message);
	unlink(path);
}

static float *logits_of(const struct tiny *t)
{
	size_t n = (size_t)t->n_prompt * t->n_vocab * sizeof(float);
	float *p = malloc(n);
	assert_non_null(p);
	memset(p, 0xFF, n);
	return p;
}

static void golden_logits(void **state)
{
	(void)state;
	bool good = true;
	for (size_t i = 0; i < set.n_models; i++)
		for (const char *const *f = set.models[i].formats; *f; f++) {
			const struct tiny *t = &set.models[i];
			struct direct d;
			struct npy want;
			char path[512];
			float *got = logits_of(t);
			open_tiny(&d, t, *f, 1, 0, 0);
			direct_logits(&d, 0, t->prompt, t->n_prompt, t->n_prompt, got);
			direct_close(&d);
			snprintf(path, sizeof path, "%s/models/%s.%s.npy", TEST_GOLDEN_DIR, t->name, *f);
			assert_true(npy_read(path, "<f4", &want));
			double error = max_relative_error(got, want.data, (size_t)t->n_prompt * t->n_vocab);
			printf("%-9s %-5s largest error %.1e (%g)%s\n", t->name, *f, error, tolerance,
			       error <= tolerance ? "" : "  TOO MUCH");
			good = good && error <= tolerance;
			npy_free(&want);
			free(got);
		}
	assert_true(good);
}

static void golden_greedy(void **state)
{
	(void)state;
	const struct sampling greedy = {.top_p = 1, .repetition_penalty = 1};
	const struct tiny *t = tiny_find(&set, "odd");
	struct direct d;
	struct hokku_error err = {0};
	open_tiny(&d, t, "F32", 1, 0, 0);
	int32_t last = 0;
	for (uint32_t i = 0; i < t->n_greedy; i++) {
		struct compute_seq seq = {
			.tokens = i ? &last : t->prompt,
			.n_tokens = i ? 1 : t->n_prompt,
			.pos = i ? t->n_prompt + i - 1 : 0,
			.blocks = direct_blocks(&d, 0),
			.sampling = &greedy,
		};
		assert_int_equal(compute_cuda.step(d.self, &seq, 1, &err), HOKKU_OK);
		assert_int_equal(seq.token, t->greedy[i]);
		last = seq.token;
	}
	direct_close(&d);
}

static void assert_rows(const struct tiny *t, const char *what, const float *got, const float *want,
			uint32_t from, uint32_t n)
{
	for (uint32_t p = from; p < from + n; p++)
		if (memcmp(got + (size_t)p * t->n_vocab, want + (size_t)p * t->n_vocab,
			   t->n_vocab * sizeof *got) != 0)
			fail_msg("%s, %s: the logits of position %u differ", t->name, what, p);
}

/* One cut into steps with other KV blocks, another schedule and, where asked, device memory that is out of
 * reach but for the device. */
struct cut {
	uint32_t chunk, shift, n_batch;
	uint64_t seed;
	bool fence;
};

static void check_cut(const struct tiny *t, const char *format, const struct cut *cut, const float *whole)
{
	struct direct d;
	struct cudasim_settings plain, s;
	float *got = logits_of(t);
	cudasim_get(&plain);
	s = plain;
	s.seed = cut->seed;
	s.fence = cut->fence;
	cudasim_set(&s);
	open_tiny(&d, t, format, 1, cut->n_batch, cut->shift);
	direct_logits(&d, 0, t->prompt, t->n_prompt, cut->chunk, got);
	assert_rows(t, "cut into steps", got, whole, 0, t->n_prompt);
	direct_close(&d);
	cudasim_set(&plain);
	free(got);
}

static void exact(void **state)
{
	(void)state;
	static const struct cut cuts[] = {
		{1, 1, 0, 0, false}, {7, 2, 0, 1000, false}, {17, 0, 17, 0, true}, {33, 3, 40, 3000, false}};
	static const struct {
		const char *name, *format;
		unsigned n_cuts;
	} cases[] = {{"odd", "F32", 4}, {"gqa7", "Q5_1", 1}, {"mha128", "MIXED", 2}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct tiny *t = tiny_find(&set, cases[i].name);
		struct direct d;
		float *whole = logits_of(t);
		open_tiny(&d, t, cases[i].format, 1, 0, 0);
		direct_logits(&d, 0, t->prompt, t->n_prompt, t->n_prompt, whole);
		direct_close(&d);
		for (unsigned k = 0; k < cases[i].n_cuts; k++)
			check_cut(t, cases[i].format, &cuts[k], whole);
		free(whole);
	}
}

/* Three sequences of the same tokens in one step, each at another position; then a token each, drawn. */
static void neighbours(void **state)
{
	(void)state;
	const struct tiny *t = tiny_find(&set, "odd");
	const uint32_t starts[] = {0, 5, 17}, lengths[] = {9, 1, t->n_prompt - 18};
	const struct sampling p = {.temperature = 1, .top_p = 0.9f, .repetition_penalty = 1.2f, .seed = 5};
	float *whole = logits_of(t), *got[3];
	struct direct d;
	struct compute_seq seqs[3];
	struct hokku_error err = {0};
	open_tiny(&d, t, "BF16", 3, 0, 0);
	direct_logits(&d, 0, t->prompt, t->n_prompt, t->n_prompt, whole);
	for (uint32_t s = 0; s < 3; s++) {
		got[s] = logits_of(t);
		if (starts[s])
			direct_logits(&d, s, t->prompt, starts[s], starts[s], got[s]);
		seqs[s] = (struct compute_seq){
			.tokens = t->prompt + starts[s],
			.n_tokens = lengths[s],
			.pos = starts[s],
			.blocks = direct_blocks(&d, s),
			.logits = got[s] + (size_t)starts[s] * t->n_vocab,
			.all_logits = true,
		};
	}
	assert_int_equal(compute_cuda.step(d.self, seqs, 3, &err), HOKKU_OK);
	struct compute_seq alone[3];
	for (uint32_t s = 0; s < 3; s++) {
		uint32_t next = starts[s] + lengths[s];
		assert_rows(t, "three in a step", got[s], whole, starts[s], lengths[s]);
		seqs[s] = (struct compute_seq){
			.tokens = t->prompt + next,
			.n_tokens = 1,
			.pos = next,
			.blocks = direct_blocks(&d, s),
			.logits = s == 1 ? NULL : got[s] + (size_t)next * t->n_vocab,
			.sampling = s == 2 ? NULL : &p,
			.history = t->prompt,
			.n_history = next + 1,
			.n_prompt = 3,
			.token = -2,
		};
		alone[s] = seqs[s];
		alone[s].logits = NULL;
		alone[s].sampling = &p;
		assert_int_equal(compute_cuda.step(d.self, &alone[s], 1, &err), HOKKU_OK);
	}
	assert_int_equal(compute_cuda.step(d.self, seqs, 3, &err), HOKKU_OK);
	for (uint32_t s = 0; s < 3; s++) {
		if (s != 1)
			assert_rows(t, "three decoding", got[s], whole, starts[s] + lengths[s], 1);
		assert_int_equal(seqs[s].token, s == 2 ? -2 : alone[s].token);
		if (s != 2)
			assert_memory_equal(&seqs[s].logprob, &alone[s].logprob, sizeof(float));
		free(got[s]);
	}
	free(whole);
	direct_close(&d);
}

/* More rows of logits, and more draws, than are computed together. */
static void many_draws(void **state)
{
	(void)state;
	enum { N = CUDA_LOGIT_ROWS + 3 };
	const struct tiny *t = tiny_find(&set, "odd");
	struct direct d;
	struct hokku_error err = {0};
	struct compute_seq seqs[N];
	struct sampling p[N];
	open_tiny(&d, t, "F32", N, 0, 0);
	for (uint32_t s = 0; s < N; s++) {
		p[s] = (struct sampling){.temperature = 2, .top_p = 1, .repetition_penalty = 1, .seed = s};
		seqs[s] = (struct compute_seq){.tokens = t->prompt + s % 7,
					       .n_tokens = 1 + s % 3,
					       .blocks = direct_blocks(&d, s),
					       .sampling = s % 5 == 4 ? NULL : &p[s]};
	}
	assert_int_equal(compute_cuda.step(d.self, seqs, N, &err), HOKKU_OK);
	for (uint32_t s = 0; s < N; s++) {
		struct compute_seq alone = seqs[s];
		alone.sampling = &p[s];
		assert_int_equal(compute_cuda.step(d.self, &alone, 1, &err), HOKKU_OK);
		if (seqs[s].sampling) {
			assert_int_equal(seqs[s].token, alone.token);
			assert_memory_equal(&seqs[s].logprob, &alone.logprob, sizeof(float));
		}
	}
	direct_close(&d);
}

static void nothing_is_left(void **state)
{
	(void)state;
	EMULATOR_ONLY();
	assert_int_equal(cudasim_live_bytes(), 0);
	assert_int_equal(cudasim_live_pinned(), 0);
}

int main(void)
{
	tiny_load(&set);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_logits), cmocka_unit_test(golden_greedy),
		cmocka_unit_test(exact),         cmocka_unit_test(neighbours),
		cmocka_unit_test(many_draws),    cmocka_unit_test(nothing_is_left),
	};
	int failed = cmocka_run_group_tests_name("cuda model", tests, NULL, NULL);
	tiny_free(&set);
	return failed;
}
