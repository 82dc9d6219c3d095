/*
 * One token of one sequence at depths where attention has many splits: the decode kernel, whose blocks take
 * several items of attention and merge splits in batches, gives the bits of a step of two tokens, which is
 * prefill's. A device is not asked to compute the positions before: twelve KV blocks are, and the table names
 * eight of them again and again.
 */
#include "compute/cuda/decode/decode_path.h"
#include "ways.h"

enum {
	REPEATED = 8,
	N_OWN = REPEATED + 4, /* those of the last two positions of two sequences are nobody else's */
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

/* The table of a sequence, up to a position: its last two blocks are `own` and the one behind it. */
static void fill_table(const struct direct *d, uint32_t *table, uint32_t pos, uint32_t own)
{
	uint32_t last = pos / COMPUTE_KV_BLOCK;
	for (uint32_t i = 0; i <= last; i++)
		table[i] = direct_blocks(d, 0)[i + 1 < last ? i % REPEATED : own + i % 2];
}

static struct compute_seq tokens_at(const uint32_t *table, const int32_t *ids, uint32_t pos, uint32_t n,
				    float *out)
{
	return (struct compute_seq){
		.tokens = ids + pos % PROMPT, .n_tokens = n, .pos = pos, .blocks = table, .logits = out};
}

static void logits_of_step(struct direct *d, struct compute_seq *seqs, uint32_t n)
{
	struct hokku_error err = {0};
	for (uint32_t i = 0; i < n; i++)
		memset(seqs[i].logits, 0xFF, d->model.hp.n_vocab * sizeof(float));
	if (compute_cuda.step(d->self, seqs, n, &err))
		fail_msg("step at %u: %s", seqs[0].pos, err.message);
}

static void assert_same(const struct direct *d, const char *what, uint32_t pos, const float *got,
			const float *want)
{
	if (memcmp(got, want, d->model.hp.n_vocab * sizeof *got) != 0)
		fail_msg("%s, %s: the logits of position %u differ", d->model.name, what, pos);
}

/* A token alone, as the second of a chunk; `together`: and beside that of another sequence, half as deep. */
static void check_depth(struct direct *d, const int32_t *ids, uint32_t pos, bool together)
{
	static uint32_t tables[2][N_TABLE];
	uint32_t at[2] = {pos, pos / 2};
	float *want[2], *got[2];
	struct compute_seq seqs[2];
	for (uint32_t i = 0; i < 2; i++) {
		want[i] = malloc(d->model.hp.n_vocab * sizeof(float));
		got[i] = malloc(d->model.hp.n_vocab * sizeof(float));
		assert_true(want[i] && got[i]);
		fill_table(d, tables[i], at[i], REPEATED + 2 * i);
	}
	for (uint32_t i = 0; i <= together && pos > 1; i++) {
		seqs[0] = tokens_at(tables[i], ids, at[i] - 1, 2, want[i]);
		logits_of_step(d, seqs, 1);
		seqs[0] = tokens_at(tables[i], ids, at[i], 1, got[i]);
		logits_of_step(d, seqs, 1);
		assert_same(d, "alone", at[i], got[i], want[i]);
	}
	if (together && pos > 1) {
		for (uint32_t i = 0; i < 2; i++)
			seqs[i] = tokens_at(tables[i], ids, at[i], 1, got[i]);
		logits_of_step(d, seqs, 2);
		for (uint32_t i = 0; i < 2; i++)
			assert_same(d, "two sequences", at[i], got[i], want[i]);
	}
	for (uint32_t i = 0; i < 2; i++) {
		free(want[i]);
		free(got[i]);
	}
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
		open_long(&d, &t, "F16", N_CTX, 2, 0, 0);
		struct decode_handle *h = decode_of(d.self), *few = decode_few_of(d.self);
		assert_true(h && few);
		uint32_t own_log = h->args.merge_log;
		float *logits = malloc(t.n_vocab * sizeof *logits);
		struct compute_seq prompt = tokens_at(direct_blocks(&d, 0), ids, 0, PROMPT, logits);
		logits_of_step(&d, &prompt, 1);
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
				uint32_t pos = (cases[i].n - 1) * CUDA_ATTN_SPLIT + in_split[k];
				bool together = full_sizes() || cases[i].n < 100;
				h->args.merge_log = few->args.merge_log = cases[i].log;
				check_depth(&d, ids, pos, together);
				h->args.merge_log = few->args.merge_log = own_log;
				if (full_sizes())
					check_depth(&d, ids, pos, together);
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
