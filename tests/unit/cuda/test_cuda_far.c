/*
 * Positions up to and beyond 8,192, in every way that the backend has to run a model: RoPE, the KV write,
 * block tables and attention over all of them, against the model in double precision. A device is not asked
 * to compute 8,000 positions first: some KV blocks are computed at their own positions, and the table names
 * those again and again for the rest.
 */
#include "ways.h"

#include "double_model.h"

enum { FAR = 8192, N_TABLE = FAR / COMPUTE_KV_BLOCK + 1, N_OWN = 8, N_CTX = N_TABLE * COMPUTE_KV_BLOCK };

/* Entries of the table with a block of their own: what is computed. All others repeat one that stands before
 * them. */
static const uint32_t own[N_OWN] = {0, 3, 4, 127, 128, 254, 255, 256};

/* Steps that compute them: across the borders of attention's splits, up to position 4,095 and beyond it,
 * 8,191 and 8,192. The last are the tokens of decoding. */
struct far_step {
	uint32_t pos, n;
};
static const struct far_step steps[] = {{0, 32},   {96, 64},  {4064, 64}, {8128, 62}, {8190, 1},
					{8191, 1}, {8192, 1}, {8193, 1},  {8194, 20}};
enum {
	N_STEPS = sizeof steps / sizeof steps[0],
	N_ROWS = 32 + 64 + 64 + 62 + 4 + 20,
	ROWS_BEFORE_LAST = 160
};

static const struct tiny far = {
	.name = "far",
	.seed = 11,
	.n_layers = 2,
	.d_model = 128,
	.n_heads = 2,
	.n_kv_heads = 1,
	.d_ff = 96,
	.n_vocab = 96,
	.rope_theta = 1e6f,
	.norm_eps = 1e-6f,
};

static void make_table(const struct direct *d, uint32_t *table)
{
	for (uint32_t i = 0, n = 0; i < N_TABLE; i++) {
		if (n < N_OWN && own[n] == i)
			table[i] = direct_blocks(d, 0)[own[n++]];
		else
			table[i] = direct_blocks(d, 0)[own[i % n]];
	}
}

static void run_steps(struct direct *d, const uint32_t *table, const struct far_step *s, size_t n,
		      const int32_t *ids, float *out)
{
	const struct sampling greedy = {.top_p = 1, .repetition_penalty = 1};
	struct hokku_error err = {0};
	for (size_t i = 0; i < n; out += (size_t)s[i].n * far.n_vocab, i++) {
		struct compute_seq seq = {.tokens = ids + s[i].pos,
					  .n_tokens = s[i].n,
					  .pos = s[i].pos,
					  .blocks = table,
					  .sampling = &greedy,
					  .logits = out,
					  .all_logits = true};
		if (compute_cuda.step(d->self, &seq, 1, &err))
			fail_msg("step at %u: %s", s[i].pos, err.message);
		float most = -INFINITY;
		const float *last = out + (size_t)(s[i].n - 1) * far.n_vocab;
		for (uint32_t k = 0; k < far.n_vocab; k++)
			most = fmaxf(most, last[k]);
		assert_in_range(seq.token, 0, far.n_vocab - 1);
		assert_true(last[seq.token] == most);
	}
}

static void judge_steps(const struct direct *d, const uint32_t *table, bool halves, const int32_t *ids,
			float *out)
{
	struct double_model judge;
	double_open(&judge, &d->model, halves, d->params.n_kv_blocks);
	for (size_t i = 0; i < N_STEPS; out += (size_t)steps[i].n * far.n_vocab, i++)
		double_step(&judge, ids + steps[i].pos, steps[i].n, steps[i].pos, table, out);
	double_close(&judge);
}

static void far_positions(void **state)
{
	(void)state;
	/* the last steps as one */
	const struct far_step together[] = {{8128, 86}};
	const size_t row = far.n_vocab, n = N_ROWS * row;
	struct direct d;
	uint32_t table[N_TABLE];
	int32_t *ids = calloc(N_CTX, sizeof *ids);
	float *got = calloc(n, sizeof *got), *want = calloc(n, sizeof *want),
	      *rounded = calloc(n, sizeof *rounded);
	assert_true(ids && got && want && rounded);
	for (uint32_t i = 0; i < N_CTX; i++)
		ids[i] = (int32_t)(i * 7919u % far.n_vocab);
	open_long(&d, &far, "F16", N_CTX, 1, 0, 0);
	make_table(&d, table);
	run_steps(&d, table, steps, N_STEPS, ids, got);
	judge_steps(&d, table, false, ids, want);
	if (way->rounds)
		judge_steps(&d, table, true, ids, rounded);
	assert_true(near_enough("far", "F16", got, rounded, want, n));
	/* and of the last positions alone, which a fault at near ones cannot hide */
	size_t from = ROWS_BEFORE_LAST * row;
	assert_true(near_enough("beyond", "F16", got + from, rounded + from, want + from, n - from));
	run_steps(&d, table, together, 1, ids, rounded);
	assert_memory_equal(rounded, got + from, (n - from) * sizeof *got);
	direct_close(&d);
	free(ids);
	free(got);
	free(want);
	free(rounded);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(far_positions)};
	return run_ways(argc, argv, "far positions", tests, 1);
}
