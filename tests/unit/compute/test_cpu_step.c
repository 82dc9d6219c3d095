/*
 * Whole steps of the fast path: every instruction set and any number of threads give the same bits, and a
 * step takes no memory from anybody. (Chunks, neighbours and scattered blocks: test_exact.c; transformers:
 * test_golden.c.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "compute/cpu/tier.h"
#include "model_run.h"
#include "small.h"
#include "tiny_model.h"

/* Every allocation of the process is counted: by the sanitizers' hook where there is one, else by standing in
 * for glibc's functions. */
static atomic_ulong n_allocations;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
					      void (*on_free)(const volatile void *));
static void count_malloc(const volatile void *p, size_t n)
{
	(void)p;
	(void)n;
	atomic_fetch_add(&n_allocations, 1);
}

static void count_free(const volatile void *p)
{
	(void)p;
}

static void count_allocations(void)
{
	assert_true(__sanitizer_install_malloc_and_free_hooks(count_malloc, count_free));
}
#else
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

void *malloc(size_t n)
{
	atomic_fetch_add(&n_allocations, 1);
	return __libc_malloc(n);
}

void *calloc(size_t count, size_t n)
{
	atomic_fetch_add(&n_allocations, 1);
	return __libc_calloc(count, n);
}

void *realloc(void *p, size_t n)
{
	atomic_fetch_add(&n_allocations, 1);
	return __libc_realloc(p, n);
}

void *aligned_alloc(size_t align, size_t n)
{
	atomic_fetch_add(&n_allocations, 1);
	return __libc_memalign(align, n);
}

static void count_allocations(void)
{
}
#endif

/* Across a KV block. */
enum { N_TOKENS = 33 };

static struct tiny_set set;

static const struct {
	const char *model, *format;
} cases[] = {{"odd", "F32"},     {"gqa7", "F16"},    {"gqa7", "Q8_0"},     {"mha128", "MIXED"},
	     {"mha128", "Q2_K"}, {"mha128", "Q3_K"}, {"mha128", "IQ4_NL"}, {"mha128", "IQ4_XS"}};

static void write_model(char *path, size_t size, const struct tiny *t, const char *format)
{
	snprintf(path, size, "%s/test_cpu_step.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	tiny_write(&set, t, format, path);
}

static float *logits_of(const char *path, const struct tiny *t, const char *tier, uint32_t threads)
{
	float *out = malloc((size_t)N_TOKENS * t->n_vocab * sizeof *out);
	struct run r;
	assert_true(t->n_prompt >= N_TOKENS);
	setenv("HOKKU_CPU_TIER", tier, 1);
	assert_true(run_open(&r, path, "cpu", N_TOKENS, 1, threads));
	char device[64];
	snprintf(device, sizeof device, "cpu (%s, %u thread%s)", tier, threads, threads == 1 ? "" : "s");
	assert_string_equal(compute_device(r.compute), device);
	assert_true(run_logits(&r, 0, t->prompt, N_TOKENS, N_TOKENS, out));
	run_close(&r);
	unsetenv("HOKKU_CPU_TIER");
	return out;
}

/* The tier whose bits the others must have. Under the thread sanitizer the machine's best, and the portable
 * one is left out: it takes most of the time there, and differs from the others in nothing that threads
 * share. */
static const char *judging_tier(void)
{
#ifdef __SANITIZE_THREAD__
	return cpu_tier_get("")->name;
#else
	return "portable";
#endif
}

static void tiers_and_threads_give_the_same_bits(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i += small_step(3)) {
		const struct tiny *t = tiny_find(&set, cases[i].model);
		char path[512];
		write_model(path, sizeof path, t, cases[i].format);
		const char *first = judging_tier();
		const bool judge_is_best = strcmp(first, "portable") != 0;
		float *want = logits_of(path, t, first, 1);
		uint32_t threads = 1;
		for (const struct cpu_tier *const *tier = cpu_tiers; *tier; tier++) {
			if (!(*tier)->available() ||
			    (judge_is_best && strcmp((*tier)->name, "portable") == 0))
				continue;
			threads += 2;
			float *got = logits_of(path, t, (*tier)->name, threads);
			if (memcmp(got, want, (size_t)N_TOKENS * t->n_vocab * sizeof *got) != 0)
				fail_msg("%s %s: %s with %u threads gives other bits than %s with one",
					 t->name, cases[i].format, (*tier)->name, threads, first);
			free(got);
		}
		free(want);
		unlink(path);
	}
}

static void unknown_tiers_are_refused(void **state)
{
	(void)state;
	const struct tiny *t = tiny_find(&set, "odd");
	char path[512];
	write_model(path, sizeof path, t, "F32");
	struct hokku_error err;
	struct gguf *g;
	struct model m;
	struct compute *c;
	assert_int_equal(gguf_open_file(path, &g, &err), HOKKU_OK);
	assert_int_equal(model_bind(&m, g, &err), HOKKU_OK);
	setenv("HOKKU_CPU_TIER", "abacus", 1);
	const struct compute_params p = {.model = &m, .device = "cpu", .n_ctx = 1, .n_seqs = 1};
	assert_int_equal(compute_open(&p, &c, &err), HOKKU_INVALID_REQUEST);
	assert_non_null(strstr(err.message, "abacus"));
	unsetenv("HOKKU_CPU_TIER");
	model_unbind(&m);
	gguf_close(g);
	unlink(path);
}

static uint64_t last_done, last_all;

static void on_progress(void *user, uint64_t done, uint64_t all)
{
	(void)user;
	assert_true(done > last_done && done <= all);
	assert_true(!last_all || last_all == all);
	last_done = done;
	last_all = all;
}

/* Lets `user` pieces of weights pass. */
static bool stop_after(void *user)
{
	unsigned *left = user;
	return (*left)-- == 0;
}

static void progress_and_memory_are_told(void **state)
{
	(void)state;
	const struct tiny *t = tiny_find(&set, "mha128");
	char path[512];
	write_model(path, sizeof path, t, "Q4_K");
	struct hokku_error err;
	struct gguf *g;
	struct model m;
	struct compute *c;
	struct compute_memory memory;
	assert_int_equal(gguf_open_file(path, &g, &err), HOKKU_OK);
	assert_int_equal(model_bind(&m, g, &err), HOKKU_OK);
	const struct compute_params p = {
		.model = &m, .device = "cpu", .n_ctx = 64, .n_seqs = 3, .on_progress = on_progress};
	last_done = last_all = 0;
	assert_int_equal(compute_open(&p, &c, &err), HOKKU_OK);
	compute_get_memory(c, &memory);
	assert_int_equal(last_done, memory.weight_bytes);
	assert_int_equal(last_all, memory.weight_bytes);
	assert_int_equal(memory.n_kv_blocks, 6);
	assert_int_equal(memory.device_total_bytes, 0);
	/* two blocks a sequence, keys and values, float32 */
	assert_int_equal(memory.kv_bytes, 3 * 2 * COMPUTE_KV_BLOCK * 2 * sizeof(float) * t->n_layers *
						  t->d_model / t->n_heads * t->n_kv_heads);
	assert_true(memory.weight_bytes > m.n_weight_bytes / 2 && memory.weight_bytes < 2 * m.n_weight_bytes);
	assert_true(memory.scratch_bytes > 0);
	compute_close(c);
	model_unbind(&m);
	gguf_close(g);
	unlink(path);
}

static void opening_can_be_stopped(void **state)
{
	(void)state;
	char path[512];
	write_model(path, sizeof path, tiny_find(&set, "gqa7"), "F16");
	struct hokku_error err;
	struct gguf *g;
	struct model m;
	struct compute *c;
	assert_int_equal(gguf_open_file(path, &g, &err), HOKKU_OK);
	assert_int_equal(model_bind(&m, g, &err), HOKKU_OK);
	for (unsigned n = 0; n < 3; n++) {
		unsigned left = n;
		const struct compute_params p = {.model = &m,
						 .device = "cpu",
						 .n_ctx = 64,
						 .n_seqs = 1,
						 .stopped = stop_after,
						 .user = &left};
		assert_int_equal(compute_open(&p, &c, &err), HOKKU_CANCELLED);
		assert_null(c);
		assert_string_equal(err.message, "loading was interrupted");
	}
	model_unbind(&m);
	gguf_close(g);
	unlink(path);
}

/* Whole blocks of what kv_bytes gives, and no less than a step may need. */
static void kv_memory_as_asked_for(void **state)
{
	(void)state;
	char path[512];
	const struct tiny *t = tiny_find(&set, "mha128");
	write_model(path, sizeof path, t, "F16");
	struct hokku_error err;
	struct gguf *g;
	struct model m;
	struct compute *c;
	struct compute_memory memory;
	const uint64_t block =
		COMPUTE_KV_BLOCK * 2 * sizeof(float) * t->n_layers * t->d_model / t->n_heads * t->n_kv_heads;
	assert_int_equal(gguf_open_file(path, &g, &err), HOKKU_OK);
	assert_int_equal(model_bind(&m, g, &err), HOKKU_OK);
	static const char *const devices[] = {"cpu", "cpu:reference"};
	for (size_t i = 0; i < 2; i++) {
		struct compute_params p = {.model = &m,
					   .device = devices[i],
					   .n_ctx = 64,
					   .n_seqs = 3,
					   .kv_bytes = 10 * block - 1};
		assert_int_equal(compute_open(&p, &c, &err), HOKKU_OK);
		compute_get_memory(c, &memory);
		assert_int_equal(memory.n_kv_blocks, 9);
		assert_int_equal(memory.kv_bytes, 9 * block);
		compute_close(c);
		p.kv_bytes = 6 * block - 1;
		assert_int_equal(compute_open(&p, &c, &err), HOKKU_INVALID_REQUEST);
		char wanted[128];
		snprintf(wanted, sizeof wanted,
			 "hold 5 blocks of 32 positions; 3 requests of up to 64 positions need 6 blocks, "
			 "which are %llu bytes",
			 (unsigned long long)(6 * block));
		assert_non_null(strstr(err.message, wanted));
		p.kv_bytes = 0;
		p.n_kv_blocks_max = 1000; /* host memory does not grow by itself */
		assert_int_equal(compute_open(&p, &c, &err), HOKKU_OK);
		compute_get_memory(c, &memory);
		assert_int_equal(memory.n_kv_blocks, 6);
		compute_close(c);
	}
	model_unbind(&m);
	gguf_close(g);
	unlink(path);
}

static void a_step_allocates_nothing(void **state)
{
	(void)state;
	const struct tiny *t = tiny_find(&set, "gqa7");
	const struct sampling sampling = {.temperature = 0.7f,
					  .top_k = 40,
					  .top_p = 0.9f,
					  .min_p = 0.01f,
					  .repetition_penalty = 1.1f,
					  .seed = 1};
	struct hokku_error err;
	char path[512];
	struct run r;
	write_model(path, sizeof path, t, "Q8_0");
	assert_true(run_open(&r, path, "cpu", t->n_prompt + 8, 1, 2));
	struct compute_seq seq = {.tokens = t->prompt,
				  .n_tokens = t->n_prompt,
				  .blocks = run_blocks(&r, 0),
				  .sampling = &sampling,
				  .history = t->prompt,
				  .n_history = t->n_prompt,
				  .n_prompt = t->n_prompt};
	assert_int_equal(compute_step(r.compute, &seq, 1, &err), HOKKU_OK);
	unsigned long before = atomic_load(&n_allocations);
	assert_true(before > 0);
	for (uint32_t i = 0; i < 8; i++) {
		int32_t token = seq.token;
		seq.tokens = &token;
		seq.n_tokens = 1;
		seq.pos = t->n_prompt + i;
		assert_int_equal(compute_step(r.compute, &seq, 1, &err), HOKKU_OK);
	}
	seq.tokens = t->prompt;
	seq.n_tokens = t->n_prompt;
	seq.pos = 0;
	assert_int_equal(compute_step(r.compute, &seq, 1, &err), HOKKU_OK);
	assert_int_equal(atomic_load(&n_allocations) - before, 0);
	run_close(&r);
	unlink(path);
}

enum { N_DRAWS = 11, DRAW_TOKENS = 3 };

/* Sequence s of the test below: each with a sampling of its own, from the cheapest to the dearest. */
static struct compute_seq drawn_seq(const struct tiny *t, const uint32_t *blocks, uint32_t s,
				    struct sampling *p)
{
	*p = (struct sampling){.temperature = s % 4 ? 0.3f * (float)(s + 1) : 0,
			       .top_k = s % 3 ? 0 : 5,
			       .top_p = s % 2 ? 0.8f : 1,
			       .min_p = s % 5 ? 0 : 0.02f,
			       .repetition_penalty = s % 3 ? 1 : 1.3f,
			       .frequency_penalty = s % 4 ? 0 : 0.5f,
			       .seed = s};
	return (struct compute_seq){.tokens = t->prompt + s,
				    .n_tokens = DRAW_TOKENS,
				    .blocks = blocks,
				    .sampling = p,
				    .history = t->prompt + s,
				    .n_history = DRAW_TOKENS,
				    .n_prompt = 1};
}

/* Threads share what is drawn: fewer than there are sequences, as many, more. */
static void draws_are_those_of_one_thread(void **state)
{
	static const uint32_t threads[] = {1, 2, 3, N_DRAWS, 16};
	const struct tiny *t = tiny_find(&set, "gqa7");
	struct compute_seq lone[N_DRAWS], all[N_DRAWS];
	struct sampling sampling[N_DRAWS];
	struct hokku_error err;
	char path[512];
	struct run r;
	(void)state;
	assert_true(t->n_prompt >= N_DRAWS + DRAW_TOKENS);
	write_model(path, sizeof path, t, "Q8_0");
	assert_true(run_open(&r, path, "cpu", 32, 1, 1));
	for (uint32_t s = 0; s < N_DRAWS; s++) {
		lone[s] = drawn_seq(t, run_blocks(&r, 0), s, &sampling[s]);
		assert_int_equal(compute_step(r.compute, &lone[s], 1, &err), HOKKU_OK);
	}
	run_close(&r);
	for (size_t i = 0; i < sizeof threads / sizeof *threads; i += small_step(2)) {
		assert_true(run_open(&r, path, "cpu", 32, N_DRAWS, threads[i]));
		for (int round = 0; round < 10; round++) {
			for (uint32_t s = 0; s < N_DRAWS; s++)
				all[s] = drawn_seq(t, run_blocks(&r, s), s, &sampling[s]);
			assert_int_equal(compute_step(r.compute, all, N_DRAWS, &err), HOKKU_OK);
			for (uint32_t s = 0; s < N_DRAWS; s++) {
				assert_in_range(all[s].token, 0, t->n_vocab - 1);
				assert_int_equal(all[s].token, lone[s].token);
				assert_memory_equal(&all[s].logprob, &lone[s].logprob, sizeof all[s].logprob);
			}
		}
		run_close(&r);
	}
	unlink(path);
}

int main(void)
{
	count_allocations();
	tiny_load(&set);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tiers_and_threads_give_the_same_bits),
		cmocka_unit_test(unknown_tiers_are_refused),
		cmocka_unit_test(progress_and_memory_are_told),
		cmocka_unit_test(opening_can_be_stopped),
		cmocka_unit_test(kv_memory_as_asked_for),
		cmocka_unit_test(a_step_allocates_nothing),
		cmocka_unit_test(draws_are_those_of_one_thread),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	tiny_free(&set);
	return failed;
}
