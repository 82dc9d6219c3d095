/*
 * One token of one sequence at depths where attention has many splits: the decode kernel, whose blocks take
 * several items of attention and merge splits in batches, gives the bits of a step of two tokens, which is
 * prefill's. A device is not asked to compute the positions before: ten KV blocks are, and the table names
 * eight of them again and again.
 */
#include "compute/cuda/decode/decode_path.h"
#include "ways.h"

enum {
	REPEATED = 8,
	N_OWN = REPEATED + 2, /* those of the last two positions are nobody else's */
	PROMPT = N_OWN * COMPUTE_KV_BLOCK,
	MOST = 2 * DECODE_MERGE_SPLITS + 1, /* splits */
	N_TABLE = MOST * CUDA_ATTN_SPLIT / COMPUTE_KV_BLOCK,
	N_CTX = N_TABLE * COMPUTE_KV_BLOCK,
};

/* One KV head, whose q a block keeps from item to item; two, and heads that are no multiple of what a block
 * merges. */
static const struct tiny shapes[] = {
	{.name = "one", .n_layers = 2, .d_model = 128, .n_heads = 2, .n_kv_heads = 1},
	{.name = "two", .n_layers = 2, .d_model = 80, .n_heads = 2, .n_kv_heads = 2},
};

static void logits_at(struct direct *d, const uint32_t *table, const int32_t *ids, uint32_t pos, uint32_t n,
		      float *out)
{
	struct hokku_error err = {0};
	struct compute_seq seq = {
		.tokens = ids + pos % PROMPT, .n_tokens = n, .pos = pos, .blocks = table, .logits = out};
	if (compute_cuda.step(d->self, &seq, 1, &err))
		fail_msg("step at %u: %s", pos, err.message);
}

static void check_depth(struct direct *d, const int32_t *ids, uint32_t pos)
{
	static uint32_t table[N_TABLE];
	size_t n = d->model.hp.n_vocab;
	float *want = malloc(n * sizeof *want), *got = malloc(n * sizeof *got);
	assert_true(want && got);
	const uint32_t *own = direct_blocks(d, 0);
	uint32_t last = pos / COMPUTE_KV_BLOCK;
	for (uint32_t i = 0; i <= last; i++)
		table[i] = own[i + 1 < last ? i % REPEATED : REPEATED + i % 2];
	memset(want, 0xFF, n * sizeof *want);
	memset(got, 0, n * sizeof *got);
	if (pos) {
		logits_at(d, table, ids, pos - 1, 2, want);
		logits_at(d, table, ids, pos, 1, got);
		if (memcmp(want, got, n * sizeof *want) != 0)
			fail_msg("%s: the logits of position %u differ", d->model.name, pos);
	}
	free(want);
	free(got);
}

/* Splits around the borders of what merging takes at once: a few, a batch, two; 2^log columns. */
static void splits(void **state)
{
	(void)state;
	static const struct {
		uint32_t log, n;
		bool small; /* the emulator takes it */
	} cases[] = {{5, 1, true},    {5, 2, true},    {3, 2, true},    {4, 3, true},    {3, 4, true},
		     {4, 5, true},    {5, 33, true},   {5, 127, false}, {5, 128, true},  {5, 129, true},
		     {3, 129, false}, {4, 255, false}, {4, 256, false}, {3, 255, false}, {3, 256, true},
		     {3, 257, true},  {4, 257, false}, {5, 256, false}, {5, 257, false}, {4, 512, false},
		     {4, 513, false}, {3, 513, false}};
	if (strcmp(way->path, "plain") == 0)
		skip();
	for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
		struct tiny t = shapes[s];
		struct direct d;
		struct cudasim_settings before, random;
		int32_t ids[PROMPT + 1];
		t.seed = 5, t.d_ff = 96, t.n_vocab = 96, t.rope_theta = 1e6f, t.norm_eps = 1e-6f;
		for (uint32_t i = 0; i <= PROMPT; i++)
			ids[i] = (int32_t)(i * 7919u % t.n_vocab);
		open_long(&d, &t, "F16", N_CTX, 1, 0, 0);
		struct decode_handle *h = decode_of(d.self);
		assert_non_null(h);
		uint32_t own_log = h->args.merge_log;
		float *logits = malloc(t.n_vocab * sizeof *logits);
		logits_at(&d, direct_blocks(&d, 0), ids, 0, PROMPT, logits);
		free(logits);
		cudasim_get(&before);
		random = before;
		for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
			/* the emulator takes long ones of the first shape alone, and in one precision each */
			if (!full_sizes() && (!cases[i].small || (cases[i].n > 100 &&
								  (s || (i % 2 == 0) != (way->rounds != 0)))))
				continue;
			/* the first, the last and a middle position of the last split */
			const uint32_t in_split[] = {0, CUDA_ATTN_SPLIT - 1, 61};
			random.seed = i;
			cudasim_set(&random);
			for (uint32_t k = 0; k < 3; k++) {
				if (!full_sizes() && cases[i].n > 5 && k != i % 3)
					continue;
				h->args.merge_log = cases[i].log;
				check_depth(&d, ids, (cases[i].n - 1) * CUDA_ATTN_SPLIT + in_split[k]);
				h->args.merge_log = own_log;
				if (full_sizes())
					check_depth(&d, ids,
						    (cases[i].n - 1) * CUDA_ATTN_SPLIT + in_split[k]);
			}
		}
		cudasim_set(&before);
		direct_close(&d);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(splits)};
	return run_ways(argc, argv, "depths", tests, 1);
}
