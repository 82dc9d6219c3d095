/*
 * What the door has beside logits of one KV group, on the device: block tables a KV group on every path, and
 * hidden states (whole, the last, their mean) on the plain path; the tile path says by name that it has none,
 * and the next takes the model. Against the same path without groups, and against what the states must give.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch_model.h"
#include "direct.h"
#include "pooled.h"

static struct arch_set set;

enum { N_TOKENS = 70, N_BLOCKS = 3 };

static void into_groups(struct model *m, struct compute_params *p)
{
	uint32_t n[2] = {0};
	m->n_kv_groups = 2;
	m->kv_groups[1].window = KV_MIN_WINDOW; /* theirs are shorter */
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		struct layer_spec *spec = &m->specs[l];
		spec->kv_group = spec->attn.window != 0;
		spec->kv_place = n[spec->kv_group]++;
	}
	p->n_kv_blocks = 16;
}

static void pooled(struct model *m, struct compute_params *p)
{
	(void)m;
	p->pooled = true;
}

static void a_strange_part_turns(struct model *m, struct compute_params *p)
{
	(void)p;
	m->ropes[0].n_dims = 30;
}

static enum hokku_code open_as(struct direct *d, const char *name, const char *cuda_path,
			       void (*change)(struct model *m, struct compute_params *p),
			       struct hokku_error *err)
{
	char path[512];
	snprintf(path, sizeof path, "%s/test_cuda_door.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	arch_write_gguf(arch_find(&set, name), TENSOR_F16, path);
	if (cuda_path)
		setenv("HOKKU_CUDA_PATH", cuda_path, 1);
	else
		unsetenv("HOKKU_CUDA_PATH");
	enum hokku_code rc = direct_open_as(d, path, N_TOKENS, 2, 0, 0, change, err);
	unsetenv("HOKKU_CUDA_PATH");
	unlink(path);
	return rc;
}

/* The prompt in steps of `chunk`, beside another sequence or alone; blocks behind the window are named no
 * more. */
static void run_groups(struct direct *d, const struct arch_entry *a, uint32_t chunk, bool alone, float *out)
{
	struct hokku_error err = {0};
	uint32_t tables[2][N_BLOCKS] = {{9, 4, 11}, {3, 15, 0}};
	for (uint32_t pos = 0; pos < N_TOKENS; pos += chunk) {
		if (pos + 1 >= KV_MIN_WINDOW + COMPUTE_KV_BLOCK)
			tables[1][0] = (uint32_t)COMPUTE_NO_BLOCK;
		struct compute_seq seqs[2] = {
			{.tokens = a->prompt,
			 .n_tokens = 2,
			 .blocks = (const uint32_t[]){7, 0, 7, 0},
			 .blocks_pitch = 2},
			{.tokens = a->prompt + pos,
			 .n_tokens = N_TOKENS - pos < chunk ? N_TOKENS - pos : chunk,
			 .pos = pos,
			 .blocks = tables[0],
			 .blocks_pitch = N_BLOCKS,
			 .logits = out + (size_t)pos * d->model.hp.n_vocab,
			 .all_logits = true},
		};
		if (compute_cuda.step(d->self, seqs + alone, alone ? 1 : 2, &err))
			fail_msg("step at %u: %s", pos, err.message);
	}
}

static void block_tables_on(const char *cuda_path)
{
	static float one[N_TOKENS * 512], got[N_TOKENS * 512];
	static const struct {
		uint32_t chunk;
		bool alone;
	} ways[] = {{64, false}, {8, false}, {64, true}, {1, true}};
	const struct arch_entry *a = arch_find(&set, "gemma2-a");
	struct direct d;
	struct hokku_error err = {0};
	enum hokku_code rc = open_as(&d, a->name, cuda_path, NULL, &err);
	if (rc == HOKKU_DEVICE_ERROR && strcmp(cuda_path, "plain") != 0) {
		direct_close(&d);
		return; /* an older device */
	}
	assert_int_equal(rc, HOKKU_OK);
	size_t bytes = (size_t)N_TOKENS * d.model.hp.n_vocab * sizeof *one;
	direct_logits(&d, 0, a->prompt, N_TOKENS, 64, one);
	direct_close(&d);
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		assert_int_equal(open_as(&d, a->name, cuda_path, into_groups, &err), HOKKU_OK);
		run_groups(&d, a, ways[i].chunk, ways[i].alone, got);
		if (memcmp(one, got, bytes) != 0)
			fail_msg("%s path in steps of %u%s: other bits", cuda_path, ways[i].chunk,
				 ways[i].alone ? ", alone" : "");
		direct_close(&d);
	}
}

static void block_tables_of_groups(void **state)
{
	(void)state;
	block_tables_on("plain");
	block_tables_on("tile");
}

/* 32 tokens of one text in one group, of another text in the other: what neither gives. */
static void each_group_looks_into_its_own_table(void **state)
{
	(void)state;
	static float logits[3][512];
	const struct arch_entry *a = arch_find(&set, "gemma2-a");
	const uint32_t tables[3][4] = {{0, 2, 5, 3}, {1, 4, 6, 7}, {0, 8, 6, 9}}; /* (group, block) */
	struct direct d;
	struct hokku_error err = {0};
	assert_int_equal(open_as(&d, a->name, "plain", into_groups, &err), HOKKU_OK);
	for (uint32_t s = 0; s < 3; s++) {
		struct compute_seq seq = {
			.tokens = a->prompt + s, .n_tokens = 32, .blocks = tables[s], .blocks_pitch = 2};
		if (s < 2) /* the third has a block of each of the others */
			assert_int_equal(compute_cuda.step(d.self, &seq, 1, &err), HOKKU_OK);
		seq.tokens = a->prompt + 40;
		seq.n_tokens = 1;
		seq.pos = 32;
		seq.logits = logits[s];
		assert_int_equal(compute_cuda.step(d.self, &seq, 1, &err), HOKKU_OK);
	}
	size_t bytes = d.model.hp.n_vocab * sizeof(float);
	assert_memory_not_equal(logits[2], logits[0], bytes);
	assert_memory_not_equal(logits[2], logits[1], bytes);
	direct_close(&d);
}

static void hidden_states(void **state)
{
	(void)state;
	static float states[N_TOKENS * 128], first[N_TOKENS * 128], last[128], mean[128], again[128],
		logits[512];
	const struct arch_entry *a = arch_find(&set, "qwen3-odd"); /* d_model 100 */
	struct direct d;
	struct hokku_error err = {0};
	assert_int_equal(open_as(&d, a->name, "plain", pooled, &err), HOKKU_OK);
	uint32_t d_model = d.model.hp.d_model, n = a->n_prompt;
	struct compute_seq other = {.tokens = a->prompt, .n_tokens = 3, .blocks = direct_blocks(&d, 1)};
	struct pooled_run run = {compute_cuda.step,    d.self, d_model, a->prompt, n,
				 direct_blocks(&d, 0), NULL};
	assert_true(n <= N_TOKENS && d_model <= 128);
	for (size_t k = 0; k < 2; k++) {
		static const uint32_t chunks[] = {64, 7};
		run.other = k ? &other : NULL;
		assert_true(pooled_run(&run, COMPUTE_POOL_NONE, chunks[k], k ? states : first, logits));
		assert_true(pooled_logits_error(&d.model, first + (size_t)(n - 1) * d_model, logits) < 5e-6);
		assert_true(!k || memcmp(states, first, (size_t)n * d_model * sizeof *states) == 0);
		assert_true(pooled_run(&run, COMPUTE_POOL_LAST, chunks[k], last, NULL));
		assert_memory_equal(last, first + (size_t)(n - 1) * d_model, d_model * sizeof *last);
		memset(again, 1, sizeof again); /* at position 0 it may hold anything */
		assert_true(pooled_run(&run, COMPUTE_POOL_MEAN, chunks[k], k ? again : mean, NULL));
		assert_true(!k || memcmp(again, mean, d_model * sizeof *mean) == 0);
		assert_true(pooled_mean_error(first, n, d_model, mean) < 1e-6);
	}
	direct_close(&d);
}

/* What the tile path does not do it names, and unasked the next path takes the model. */
static void the_tile_path_says_so(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		void (*change)(struct model *m, struct compute_params *p);
		const char *message;
	} cases[] = {
		{"llama-gqa", pooled, "cuda/tile cannot do pooled output"},
		{"llama-gqa", a_strange_part_turns, "cuda/tile cannot do rope.n_dims"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct direct d;
		struct hokku_error err = {0};
		enum hokku_code rc = open_as(&d, cases[i].name, "tile", cases[i].change, &err);
		assert_int_not_equal(rc, HOKKU_OK);
		if (rc != HOKKU_DEVICE_ERROR &&
		    !strstr(err.message, cases[i].message)) /* or there is no such path */
			fail_msg("%s: %s", cases[i].name, err.message);
		direct_close(&d);
		assert_int_equal(open_as(&d, cases[i].name, NULL, cases[i].change, &err), HOKKU_OK);
		assert_non_null(strstr(compute_cuda.device(d.self), "plain path"));
		direct_close(&d);
	}
}

int main(void)
{
	arch_load(&set);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(block_tables_of_groups),
		cmocka_unit_test(each_group_looks_into_its_own_table),
		cmocka_unit_test(hidden_states),
		cmocka_unit_test(the_tile_path_says_so),
		cmocka_unit_test(nothing_is_left),
	};
	int failed = cmocka_run_group_tests_name("the door on CUDA", tests, NULL, NULL);
	arch_free(&set);
	return failed;
}
