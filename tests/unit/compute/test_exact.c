/*
 * The promise of compute.h on every device: a token's logits depend on the tokens before it in its own
 * sequence and on nothing else, bit for bit: not on how the prompt is cut into steps, on who else is in a
 * step, on where the KV blocks lie or whom they are shared with, or on the number of threads.
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

/* "odd" has widths that no vector length divides, and prompts across three KV blocks. The reference has one
 * thread and one way to multiply, so one model shows what there is to show of it. */
static const struct {
	const char *device, *model, *format;
	uint32_t max_threads;
	struct cache_types cache;
} cases[] = {
	{"cpu:reference", "odd", "F32", 1, {0}},
	{"cpu:reference", "odd", "F32", 1, {CACHE_Q8_0, CACHE_Q8_0}},
	{"cpu", "odd", "F32", 3, {0}},
	{"cpu", "odd", "BF16", 3, {0}},
	{"cpu", "gqa7", "Q4_0", 3, {0}},
	{"cpu", "mha128", "MIXED", 3, {0}},
	{"cpu", "odd", "F32", 2, {CACHE_Q8_0, CACHE_Q8_0}},
	{"cpu", "gqa7", "Q4_0", 3, {CACHE_Q8_0, CACHE_F16}},
	{"cpu", "mha128", "MIXED", 2, {CACHE_BF16, CACHE_Q8_0}},
};

static struct cache_types cache; /* of the present case */

static void set_cache(struct model *m, struct compute_params *p)
{
	(void)m;
	p->cache = cache;
}

static bool open_case(struct run *r, const char *path, const char *device, uint32_t n_ctx, uint32_t n_seqs,
		      uint32_t n_threads)
{
	return run_open_as(r, path, device, n_ctx, n_seqs, n_threads, set_cache);
}

struct fixture {
	const struct tiny *t;
	const char *device;
	uint32_t max_threads;
	char path[512];
	float *whole; /* (n_prompt, n_vocab), the prompt in one step on one thread */
	size_t n_bytes;
};

static void fixture_open(struct fixture *f, const char *name, const char *format, const char *device)
{
	*f = (struct fixture){.t = tiny_find(&set, name), .device = device};
	snprintf(f->path, sizeof f->path, "%s/test_exact.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	tiny_write(&set, f->t, format, f->path);
	f->n_bytes = (size_t)f->t->n_prompt * f->t->n_vocab * sizeof(float);
	f->whole = malloc(f->n_bytes);
	struct run r;
	assert_true(open_case(&r, f->path, device, f->t->n_prompt, 1, 1));
	assert_true(run_logits(&r, 0, f->t->prompt, f->t->n_prompt, f->t->n_prompt, f->whole));
	run_close(&r);
}

static void fixture_close(struct fixture *f)
{
	unlink(f->path);
	free(f->whole);
}

static void assert_same_bits(const struct fixture *f, const char *what, const float *got, uint32_t from,
			     uint32_t n)
{
	size_t n_vocab = f->t->n_vocab;
	for (uint32_t p = from; p < from + n; p++)
		if (memcmp(got + p * n_vocab, f->whole + p * n_vocab, n_vocab * sizeof *got) != 0)
			fail_msg("%s on %s, %s: the logits of position %u differ", f->t->name, f->device,
				 what, p);
}

static void chunks_and_threads_change_nothing(const struct fixture *f)
{
	static const uint32_t chunks[] = {1, 7, 32, 33};
	uint32_t n = f->t->n_prompt;
	float *got = malloc(f->n_bytes);
	for (uint32_t threads = test_small() ? f->max_threads : 1; threads <= f->max_threads; threads++) {
		struct run r;
		assert_true(open_case(&r, f->path, f->device, n, 1, threads));
		for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i += small_step(2)) {
			char what[64];
			snprintf(what, sizeof what, "%u threads, chunks of %u", threads, chunks[i]);
			memset(got, 0xFF, f->n_bytes);
			assert_true(run_logits(&r, 0, f->t->prompt, n, chunks[i], got));
			assert_same_bits(f, what, got, 0, n);
		}
		run_close(&r);
	}
	free(got);
}

/* Three sequences of the same tokens in one step, each at another position and of another length; then one
 * token of each, as in decoding. */
static void neighbours_change_nothing(const struct fixture *f)
{
	const int32_t *ids = f->t->prompt;
	const uint32_t starts[] = {0, 5, 17};
	uint32_t lengths[] = {9, 1, f->t->n_prompt - 18};
	float *got[3];
	struct run r;
	assert_true(open_case(&r, f->path, f->device, f->t->n_prompt, 3, 2));
	struct compute_seq seqs[3];
	struct hokku_error err = {0};
	for (uint32_t s = 0; s < 3; s++) {
		got[s] = malloc(f->n_bytes);
		if (starts[s])
			assert_true(run_logits(&r, s, ids, starts[s], starts[s], got[s]));
		seqs[s] = (struct compute_seq){
			.tokens = ids + starts[s],
			.n_tokens = lengths[s],
			.pos = starts[s],
			.blocks = run_blocks(&r, s),
			.logits = got[s] + (size_t)starts[s] * f->t->n_vocab,
			.all_logits = true,
		};
	}
	assert_int_equal(compute_step(r.compute, seqs, 3, &err), HOKKU_OK);
	for (uint32_t s = 0; s < 3; s++) {
		assert_same_bits(f, "three in a step", got[s], starts[s], lengths[s]);
		uint32_t next = starts[s] + lengths[s];
		seqs[s].tokens = ids + next;
		seqs[s].n_tokens = 1;
		seqs[s].pos = next;
		seqs[s].logits = got[s] + (size_t)next * f->t->n_vocab;
		seqs[s].all_logits = false;
	}
	assert_int_equal(compute_step(r.compute, seqs, 3, &err), HOKKU_OK);
	for (uint32_t s = 0; s < 3; s++) {
		assert_same_bits(f, "three decoding", got[s], starts[s] + lengths[s], 1);
		free(got[s]);
	}
	run_close(&r);
}

/* A second sequence that continues on the first one's full block, as after a hit in the prefix cache. */
static void shared_blocks_change_nothing(const struct fixture *f)
{
	uint32_t n = f->t->n_prompt, shared = COMPUTE_KV_BLOCK;
	assert_true(n > shared);
	float *got = malloc(f->n_bytes);
	struct run r;
	assert_true(open_case(&r, f->path, f->device, n, 2, 2));
	assert_true(run_logits(&r, 0, f->t->prompt, n, n, got));
	uint32_t table[8];
	memcpy(table, run_blocks(&r, 1), r.n_blocks * sizeof *table);
	table[0] = run_blocks(&r, 0)[0];
	struct compute_seq seq = {
		.tokens = f->t->prompt + shared,
		.n_tokens = n - shared,
		.pos = shared,
		.blocks = table,
		.logits = got + (size_t)shared * f->t->n_vocab,
		.all_logits = true,
	};
	struct hokku_error err = {0};
	memset(seq.logits, 0xFF, (n - shared) * f->t->n_vocab * sizeof(float));
	assert_int_equal(compute_step(r.compute, &seq, 1, &err), HOKKU_OK);
	assert_same_bits(f, "a shared prefix", got, 0, n);
	run_close(&r);
	free(got);
}

/* The drawn token is the largest logit's, its logprob that of the softmax; logits for the last token alone
 * are the last row of all logits, with and without drawing. */
static void drawing_agrees_with_logits(const struct fixture *f)
{
	const struct sampling greedy = {.temperature = 0, .top_p = 1, .repetition_penalty = 1};
	uint32_t n = f->t->n_prompt, n_vocab = f->t->n_vocab;
	const float *last = f->whole + (size_t)(n - 1) * n_vocab;
	double sum = 0;
	int32_t best = 0;
	for (uint32_t i = 0; i < n_vocab; i++)
		best = last[i] > last[best] ? (int32_t)i : best;
	for (uint32_t i = 0; i < n_vocab; i++)
		sum += exp((double)last[i] - (double)last[best]);
	struct run r;
	float *got = malloc(f->n_bytes);
	assert_true(open_case(&r, f->path, f->device, n, 1, 2));
	for (int with_logits = 0; with_logits < 2; with_logits++) {
		struct compute_seq seq = {
			.tokens = f->t->prompt,
			.n_tokens = n,
			.blocks = run_blocks(&r, 0),
			.sampling = &greedy,
			.logits = with_logits ? got : NULL,
			.token = -1,
		};
		struct hokku_error err = {0};
		assert_int_equal(compute_step(r.compute, &seq, 1, &err), HOKKU_OK);
		assert_int_equal(seq.token, best);
		assert_true(fabs((double)seq.logprob + log(sum)) < 1e-5);
		if (with_logits)
			assert_memory_equal(got, last, n_vocab * sizeof *got);
	}
	free(got);
	run_close(&r);
}

static void each(void (*check)(const struct fixture *f))
{
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fixture f;
		cache = cases[i].cache;
		fixture_open(&f, cases[i].model, cases[i].format, cases[i].device);
		f.max_threads = cases[i].max_threads;
		check(&f);
		fixture_close(&f);
	}
}

#define TEST_OF(check)                         \
	static void test_##check(void **state) \
	{                                      \
		(void)state;                   \
		each(check);                   \
	}
TEST_OF(chunks_and_threads_change_nothing)
TEST_OF(neighbours_change_nothing)
TEST_OF(shared_blocks_change_nothing)
TEST_OF(drawing_agrees_with_logits)

int main(void)
{
	tiny_load(&set);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunks_and_threads_change_nothing),
		cmocka_unit_test(test_neighbours_change_nothing),
		cmocka_unit_test(test_shared_blocks_change_nothing),
		cmocka_unit_test(test_drawing_agrees_with_logits),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	tiny_free(&set);
	return failed;
}
