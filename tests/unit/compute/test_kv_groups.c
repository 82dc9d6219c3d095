/*
 * Block tables a KV group: a model whose windowed layers are a group of their own gives the bits that it
 * gives as one group, in any steps, alone and beside others, although the blocks that lie behind its window
 * are named no more and another sequence has them. And what the door refuses of such tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch_model.h"
#include "model_run.h"

static struct arch_set set;
static char path[512];
static const char *const devices[] = {"cpu:reference", "cpu"};
/* windows of 24 and 20; the second has two RoPEs */
static const char *const names[] = {"gemma2-a", "olmo3"};

static const struct cache_types caches[] = {{CACHE_DEFAULT, CACHE_DEFAULT}, {CACHE_Q8_0, CACHE_Q8_0}};
static struct cache_types cache;

static void set_cache(struct model *m, struct compute_params *p)
{
	(void)m;
	p->cache = cache;
}

enum { N_SEQS = 2, N_BLOCKS = 3, N_KV = 16 };

static void into_groups(struct model *m, struct compute_params *p)
{
	m->n_kv_groups = 2;
	for (uint32_t l = 0; l < m->hp.n_layers; l++)
		if (m->specs[l].attn.window) {
			m->specs[l].kv_group = 1;
			m->kv_groups[1].window = m->specs[l].attn.window;
		}
	assert_true(m->kv_groups[1].window > 0);
	p->n_kv_blocks = N_KV;
	p->cache = cache;
}

/* Tables of a sequence, neither sorted nor gapless, other ones in each group. */
static void fill_tables(uint32_t table[2][N_BLOCKS], uint32_t s)
{
	for (uint32_t i = 0; i < N_BLOCKS; i++) {
		table[0][i] = N_KV - 1 - (2 * i + s);
		table[1][i] = 3 * i + 4 * s % 3;
	}
}

/* Without the blocks behind the window of position pos. */
static void leave_behind(const struct model *m, uint32_t table[2][N_BLOCKS], uint32_t pos)
{
	uint32_t window = m->kv_groups[1].window, first = pos >= window ? pos - window + 1 : 0;
	for (uint32_t i = 0; i < first / COMPUTE_KV_BLOCK; i++)
		table[1][i] = (uint32_t)COMPUTE_NO_BLOCK;
}

/* Two sequences of the same tokens, the second so far behind that it gets blocks that the first has left. */
static void in_groups(const char *device, const struct arch_entry *a, uint32_t chunk, float *got)
{
	struct hokku_error err = {0};
	struct run r;
	uint32_t table[2][2][N_BLOCKS], n_left = 0;
	assert_true(run_open_as(&r, path, device, a->n_prompt, N_SEQS, 2, into_groups));
	size_t n_vocab = r.model.hp.n_vocab;
	fill_tables(table[0], 0);
	fill_tables(table[1], 1);
	for (uint32_t pos = 0; pos < a->n_prompt; pos += chunk) {
		uint32_t n = a->n_prompt - pos < chunk ? a->n_prompt - pos : chunk;
		leave_behind(&r.model, table[0], pos);
		if (table[0][1][0] == (uint32_t)COMPUTE_NO_BLOCK && table[1][1][0] != 0)
			table[1][1][0] = 0; /* the block that the first sequence had there */
		n_left += table[0][1][0] == (uint32_t)COMPUTE_NO_BLOCK;
		struct compute_seq seqs[2] = {
			{.tokens = a->prompt + pos,
			 .n_tokens = n,
			 .pos = pos,
			 .blocks = table[0][0],
			 .blocks_pitch = N_BLOCKS,
			 .logits = got + pos * n_vocab,
			 .all_logits = true},
			{.tokens = a->prompt, .n_tokens = 1, .blocks = table[1][0], .blocks_pitch = N_BLOCKS},
		};
		if (compute_step(r.compute, seqs, 2, &err) || seqs[0].code || seqs[1].code)
			fail_msg("%s, position %u: %s", a->name, pos, err.message);
	}
	assert_true(chunk > 32 || n_left > 0);
	run_close(&r);
}

static void bits_are_those_of_one_group(void **state)
{
	(void)state;
	static float one[128 * 512], got[128 * 512];
	for (size_t i = 0; i < 2 * sizeof names / sizeof names[0]; i++) {
		const struct arch_entry *a = arch_find(&set, names[i / 2]);
		cache = caches[i % 2];
		arch_write_gguf(a, TENSOR_F16, path);
		for (size_t d = 0; d < 2; d++) {
			struct run r;
			assert_true(run_open_as(&r, path, devices[d], a->n_prompt, 1, 2, set_cache));
			assert_true(run_logits(&r, 0, a->prompt, a->n_prompt, 512, one));
			size_t bytes = (size_t)a->n_prompt * r.model.hp.n_vocab * sizeof *one;
			run_close(&r);
			for (size_t k = 0; k < 2; k++) {
				static const uint32_t chunks[] = {512, 7};
				memset(got, 0, bytes);
				in_groups(devices[d], a, chunks[k], got);
				if (memcmp(one, got, bytes) != 0)
					fail_msg("%s on %s in steps of %u: other bits", a->name, devices[d],
						 chunks[k]);
			}
		}
		unlink(path);
	}
	cache = caches[0];
}

/* What follows 32 tokens of one text in one group and of another text in the other is what neither text
 * gives: layers look where their own group's table says. */
static void each_group_looks_into_its_own_table(void **state)
{
	(void)state;
	static float logits[3][512];
	const struct arch_entry *a = arch_find(&set, "gemma2-a");
	const uint32_t tables[3][4] = {{0, 2, 5, 3}, {1, 4, 6, 7}, {0, 8, 6, 9}}; /* (group, block) */
	arch_write_gguf(a, TENSOR_F16, path);
	for (size_t d = 0; d < 2; d++) {
		struct hokku_error err = {0};
		struct run r;
		assert_true(run_open_as(&r, path, devices[d], 80, N_SEQS, 2, into_groups));
		for (uint32_t s = 0; s < 3; s++) {
			struct compute_seq seq = {.tokens = a->prompt + s,
						  .n_tokens = 32,
						  .blocks = tables[s],
						  .blocks_pitch = 2};
			if (s < 2) /* the third has a block of each of the others */
				assert_int_equal(compute_step(r.compute, &seq, 1, &err), HOKKU_OK);
			seq.tokens = a->prompt + 40;
			seq.n_tokens = 1;
			seq.pos = 32;
			seq.logits = logits[s];
			assert_int_equal(compute_step(r.compute, &seq, 1, &err), HOKKU_OK);
		}
		size_t bytes = r.model.hp.n_vocab * sizeof(float);
		assert_memory_not_equal(logits[2], logits[0], bytes);
		assert_memory_not_equal(logits[2], logits[1], bytes);
		run_close(&r);
	}
	unlink(path);
}

static void refused(struct run *r, uint32_t pos, const uint32_t *blocks, uint32_t pitch, const char *message)
{
	static const int32_t tokens[4] = {1, 2, 3, 4};
	struct hokku_error err = {0};
	struct compute_seq seq = {
		.tokens = tokens, .n_tokens = 4, .pos = pos, .blocks = blocks, .blocks_pitch = pitch};
	enum hokku_code rc = compute_step(r->compute, &seq, 1, &err);
	if (!message && rc)
		fail_msg("%s", err.message);
	if (message && (rc != HOKKU_INTERNAL || !strstr(err.message, message)))
		fail_msg("the message is\n  %s\nwanted\n  %s", err.message, message);
}

static void tables_are_checked(void **state)
{
	(void)state;
	const uint32_t none = (uint32_t)COMPUTE_NO_BLOCK;
	const struct arch_entry *a = arch_find(&set, "gemma2-a"); /* a window of 24 */
	struct run r;
	arch_write_gguf(a, TENSOR_F16, path);
	assert_true(run_open_as(&r, path, "cpu", 80, N_SEQS, 2, into_groups));
	/* the same block in both groups is two blocks */
	refused(&r, 64, (uint32_t[]){0, 1, 2, 0, 1, 2}, 3, NULL);
	refused(&r, 64, (uint32_t[]){0, 1, 2, 3, 1, 1}, 3,
		"KV block 1 stands twice in the table of sequence 0");
	refused(&r, 64, (uint32_t[]){0, 1, 2, 3, 1, N_KV}, 3, "KV block 2 of sequence 0 is 16; there are 16");
	/* tokens from 55 on see nothing before 32, those from 54 on see 31 */
	refused(&r, 55, (uint32_t[]){0, 1, none, 2}, 2, NULL);
	refused(&r, 54, (uint32_t[]){0, 1, none, 2}, 2,
		"KV block 0 of sequence 0 is 4294967295; there are 16");
	refused(&r, 64, (uint32_t[]){0, 1, 2, none, 1, none}, 3, "KV block 2 of sequence 0 is 4294967295");
	/* a group without a window sees all */
	refused(&r, 64, (uint32_t[]){none, 1, 2, 0, 1, 2}, 3, "KV block 0 of sequence 0 is 4294967295");
	refused(&r, 64, (uint32_t[]){0, 1, 2, 0, 1, 2}, 2,
		"has tables of 2 blocks, a KV group each; its tokens need 3");
	run_close(&r);
	unlink(path);
}

int main(void)
{
	arch_load(&set);
	snprintf(path, sizeof path, "%s/test_kv_groups.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bits_are_those_of_one_group),
		cmocka_unit_test(each_group_looks_into_its_own_table),
		cmocka_unit_test(tables_are_checked),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	arch_free(&set);
	return failed;
}
