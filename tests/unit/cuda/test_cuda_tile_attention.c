/*
 * Attention of the tile path (tile_attention.cu) over KV memory that tile_rope_kv filled, against double
 * precision; and the same bits for a token however its step was made up: alone, in a whole prompt, in chunks,
 * beside others, splits together or spread over blocks. What nobody wrote is NaN.
 */
#include "tile_data.h"

struct heads {
	uint32_t n_heads, n_kv_heads, head_dim, planes;
	uint32_t window; /* 0: none */
	float soft_cap;  /* 0: none */
	bool q8_0;
};

enum { N_SEQS = 3, MOST_POSITIONS = 33 * CUDA_ATTN_SPLIT };

/* Sequences with their KV memory; keys, values and queries are noise of (sequence, position). */
struct world {
	struct heads h;
	uint32_t n_positions, n_blocks; /* of a sequence */
	uint32_t row;                   /* floats of q, k and v of a token */
	float *noise;                   /* (N_SEQS, n_positions, row) */
	uint32_t *tables;               /* (N_SEQS, n_blocks) neither sorted nor gapless */
	float frequency[TILE_MAX_HEAD_DIM / 2];
	/* on the device */
	uint16_t *kv;
	uint32_t *d_tables;
	float *d_frequency;
};

/* Tokens of one sequence in a step. */
struct piece {
	uint32_t seq, pos, n;
};

static size_t kv_bytes(const struct world *w)
{
	return (2 * N_SEQS * w->n_blocks + 1) *
	       tile_kv_block_bytes(w->h.n_kv_heads, w->h.head_dim, w->h.planes, w->h.q8_0);
}

static struct world make_world(const struct heads *h, uint32_t n_positions)
{
	struct world w = {.h = *h, .n_positions = n_positions};
	w.n_blocks = (n_positions + CUDA_KV_BLOCK - 1) / CUDA_KV_BLOCK;
	w.row = (h->n_heads + 2 * h->n_kv_heads) * h->head_dim;
	w.noise = noise_floats(50, (size_t)N_SEQS * n_positions * w.row);
	for (size_t i = 0; i < (size_t)N_SEQS * n_positions * w.row; i++)
		w.noise[i] *= 2;
	w.tables = malloc(N_SEQS * w.n_blocks * sizeof *w.tables);
	assert_non_null(w.tables);
	for (uint32_t i = 0; i < N_SEQS * w.n_blocks; i++)
		w.tables[i] = 2 * (N_SEQS * w.n_blocks - i);
	for (uint32_t i = 0; i < h->head_dim / 2; i++)
		w.frequency[i] = powf(10000, -2.0f * (float)i / (float)h->head_dim);
	w.kv = on_device(NULL, kv_bytes(&w));
	w.d_tables = on_device(w.tables, N_SEQS * w.n_blocks * sizeof *w.tables);
	w.d_frequency = on_device(w.frequency, h->head_dim / 2 * sizeof *w.frequency);
	return w;
}

static void forget(struct world *w)
{
	cudaFree(w->kv);
	w->kv = on_device(NULL, kv_bytes(w));
}

static void free_world(struct world *w)
{
	cudaFree(w->kv);
	cudaFree(w->d_tables);
	cudaFree(w->d_frequency);
	free(w->noise);
	free(w->tables);
}

/* One step of these pieces; with `split` the splits are spread over blocks. *q: the turned queries, unless
 * NULL. */
static struct tile_copy step(const struct world *w, const struct piece *pieces, uint32_t n_pieces, bool split,
			     uint16_t **q)
{
	const struct heads *h = &w->h;
	uint32_t n = 0, group = h->n_heads / h->n_kv_heads, hd = tile_hd(h->head_dim);
	struct cuda_token *tokens = malloc(MOST_POSITIONS * sizeof *tokens);
	float *rows = malloc((size_t)MOST_POSITIONS * w->row * sizeof *rows);
	assert_non_null(tokens);
	assert_non_null(rows);
	for (uint32_t i = 0; i < n_pieces; i++)
		for (uint32_t k = 0; k < pieces[i].n; k++, n++) {
			uint32_t pos = pieces[i].pos + k;
			tokens[n] = (struct cuda_token){0, pos, pieces[i].seq * w->n_blocks};
			memcpy(rows + (size_t)n * w->row,
			       w->noise + ((size_t)pieces[i].seq * w->n_positions + pos) * w->row,
			       w->row * sizeof *rows);
		}
	struct attend_band *bands = malloc(attend_most_bands(n, group) * sizeof *bands);
	assert_non_null(bands);
	struct attend_plan plan = attend_plan_bands(tokens, n, group, split, bands);
	assert_true(plan.n_wide + plan.n_narrow <= attend_most_bands(n, group));
	float *d_rows = on_device(rows, (size_t)n * w->row * sizeof *rows);
	struct cuda_token *d_tokens = on_device(tokens, n * sizeof *tokens);
	struct attend_band *d_bands = on_device(bands, (plan.n_wide + plan.n_narrow) * sizeof *bands);
	size_t q_bytes = (size_t)n * h->n_heads * h->planes * hd * sizeof(uint16_t);
	uint16_t *dq = on_device(NULL, q_bytes);
	size_t parts = (size_t)n * h->n_heads * plan.n_splits * (2 + hd);
	float *partial = split ? on_device(NULL, parts * sizeof(float)) : NULL;
	const struct tile_kv kv = {w->kv,       w->d_tables, h->n_heads, h->n_kv_heads,
				   h->head_dim, h->planes,   h->q8_0};
	const struct tile_rope_args rope = {.kv = kv,
					    .tokens = d_tokens,
					    .frequency = w->d_frequency,
					    .q = d_rows,
					    .k = d_rows + h->n_heads * h->head_dim,
					    .v = d_rows + (h->n_heads + h->n_kv_heads) * h->head_dim,
					    .out = dq,
					    .pitch = w->row,
					    .n_tokens = n,
					    .neox = 1,
					    .n_dims = h->head_dim,
					    .factor = 1};
	assert_int_equal(tile_rope_kv(&rope, test_stream()), cudaSuccess);
	struct tile_attention_args a = {.kv = kv,
					.tokens = d_tokens,
					.bands = d_bands,
					.q = dq,
					.out = make_activations(n, h->n_heads * h->head_dim, h->planes),
					.partial = partial,
					.plan = plan,
					.n_tokens = n,
					.scale = 1 / sqrtf((float)h->head_dim),
					.window = h->window,
					.soft_cap = h->soft_cap};
	assert_int_equal(tile_attention(&a, test_stream()), cudaSuccess);
	finish();
	if (q)
		*q = from_device(dq, q_bytes);
	void *const all[] = {d_rows, d_tokens, d_bands, dq, partial};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		cudaFree(all[i]);
	free(tokens);
	free(rows);
	free(bands);
	return fetch_activations(&a.out, n);
}

/* ---- double precision ---- */

/* A number of planes that lie `plane` halves apart. */
static double planes_value(const uint16_t *p, size_t plane, uint32_t planes)
{
	double v = (double)f32_from_f16(p[0]);
	return planes == 2 ? v + (double)f32_from_f16(p[plane]) : v;
}

/* Dimension d of position `slot` of a head's K, or V, in a block. */
static double stored(const struct world *w, const uint8_t *head, bool is_value, uint32_t slot, uint32_t d)
{
	uint32_t hd = tile_hd(w->h.head_dim), at = is_value ? d * CUDA_KV_BLOCK + slot : slot * hd + d;
	size_t plane = (size_t)CUDA_KV_BLOCK * hd;
	uint16_t scale;
	if (!w->h.q8_0) {
		const uint16_t *p = (const uint16_t *)(const void *)head;
		return planes_value(p + is_value * w->h.planes * plane + at, plane, w->h.planes);
	}
	head += is_value * (plane + hd / TILE_CHUNK * 2 * CUDA_KV_BLOCK);
	memcpy(&scale, head + plane + 2 * (d / TILE_CHUNK * CUDA_KV_BLOCK + slot), sizeof scale);
	return (double)(int8_t)head[at] * (double)f32_from_f16(scale);
}

/* Attention of one head of a token at pos to a sequence's KV memory, as it lies there. */
static void reference(const struct world *w, const uint16_t *memory, const uint16_t *q, uint32_t seq,
		      uint32_t pos, uint32_t kv_head, double *out)
{
	const struct heads *h = &w->h;
	uint32_t hd = tile_hd(h->head_dim), n = pos + 1,
		 from = h->window && n > h->window ? n - h->window : 0;
	size_t head_bytes = tile_kv_block_bytes(1, h->head_dim, h->planes, h->q8_0);
	double score[MOST_POSITIONS], largest = -INFINITY, sum = 0;
	const uint8_t *block[MOST_POSITIONS];
	for (uint32_t p = 0; p < n; p++) {
		uint32_t b = w->tables[seq * w->n_blocks + p / CUDA_KV_BLOCK], slot = p % CUDA_KV_BLOCK;
		block[p] = (const uint8_t *)memory + ((size_t)b * h->n_kv_heads + kv_head) * head_bytes;
		score[p] = 0;
		for (uint32_t d = 0; d < h->head_dim; d++)
			score[p] += planes_value(q + d, hd, h->planes) * stored(w, block[p], false, slot, d);
		score[p] /= sqrt(h->head_dim);
		if (h->soft_cap != 0)
			score[p] = (double)h->soft_cap * tanh(score[p] / (double)h->soft_cap);
		if (p < from)
			score[p] = -INFINITY;
		largest = fmax(largest, score[p]);
	}
	for (uint32_t p = 0; p < n; p++)
		sum += score[p] = exp(score[p] - largest);
	for (uint32_t d = 0; d < h->head_dim; d++) {
		out[d] = 0;
		for (uint32_t p = 0; p < n; p++)
			out[d] += score[p] / sum * stored(w, block[p], true, p % CUDA_KV_BLOCK, d);
	}
}

static void check_token(const struct world *w, const uint16_t *memory, const uint16_t *q,
			const struct tile_copy *got, uint32_t i, uint32_t seq, uint32_t pos)
{
	const struct heads *h = &w->h;
	double want[TILE_MAX_HEAD_DIM], tolerance = h->planes == 2 ? 3e-6 : 2e-3;
	for (uint32_t head = 0; head < h->n_heads; head++) {
		reference(w, memory, q + ((size_t)i * h->n_heads + head) * h->planes * tile_hd(h->head_dim),
			  seq, pos, head / (h->n_heads / h->n_kv_heads), want);
		for (uint32_t d = 0; d < h->head_dim; d++) {
			double v = tile_value(got, i, head * h->head_dim + d);
			if (!(fabs(v - want[d]) <= tolerance))
				fail_msg("position %u, head %u, dimension %u is %.9g, wanted %.9g", pos, head,
					 d, v, want[d]);
		}
	}
}

/* ---- cases ---- */

/* The last token of a piece gives the bits it had in `whole`, alone and with others, in other orders. */
static void check_alone(const struct world *w, const struct tile_copy *whole, uint32_t pos)
{
	const struct piece alone[] = {{0, pos, 1}};
	for (uint64_t seed = 0; seed < 2; seed++)
		for (int split = 0; split < 2; split++) {
			set_schedule(seed);
			struct tile_copy got = step(w, alone, 1, split, NULL);
			assert_same_token(&got, 0, whole, pos);
			free_copy(&got);
		}
	set_schedule(0);
}

static void check_heads(const struct heads *h, uint32_t n)
{
	struct world w = make_world(h, n);
	uint16_t *q;
	const struct piece all[] = {{0, 0, n}};
	struct tile_copy whole = step(&w, all, 1, false, &q);
	check_planes(&whole, "attention");
	uint16_t *memory = from_device(w.kv, kv_bytes(&w));
	static const uint32_t at[] = {0, 1, 31, 32, 63, 127, 128, 129, 255, 256};
	for (size_t i = 0; i < sizeof at / sizeof at[0] && at[i] + 1 < n; i++) {
		check_token(&w, memory, q, &whole, at[i], 0, at[i]);
		check_alone(&w, &whole, at[i]);
	}
	check_token(&w, memory, q, &whole, n - 1, 0, n - 1);
	check_alone(&w, &whole, n - 1);
	/* the same prompt in chunks, splits together or not, and beside another one */
	static const uint32_t chunks[] = {17, 130};
	for (uint32_t k = 0; k < 2; k++) {
		forget(&w);
		set_schedule(k + 5);
		for (uint32_t pos = 0; pos < n; pos += chunks[k]) {
			const struct piece chunk[] = {{1, pos,
						       pos     ? 1
						       : 3 < n ? 3
							       : n},
						      {0, pos, n - pos < chunks[k] ? n - pos : chunks[k]},
						      {2, 0, 1}};
			struct tile_copy got = step(&w, chunk, 3, k == 0, NULL);
			for (uint32_t i = 0; i < chunk[1].n; i++)
				assert_same_token(&got, chunk[0].n + i, &whole, pos + i);
			free_copy(&got);
		}
	}
	set_schedule(0);
	free_copy(&whole);
	free(memory);
	free(q);
	free_world(&w);
}

static void attentions(void **state)
{
	(void)state;
	static const struct {
		struct heads h;
		uint32_t n;
	} cases[] = {
		{{2, 1, 6, 2, 0, 0, false}, 1},
		{{2, 1, 6, 1, 0, 0, false}, 2},
		{{3, 3, 20, 2, 0, 0, false}, 33},
		{{5, 1, 34, 1, 0, 0, false}, 65},
		{{14, 2, 64, 2, 0, 0, false}, 150},
		{{7, 1, 128, 1, 0, 0, false}, 129},
		{{4, 4, 64, 1, 0, 0, false}, 40},
		{{3, 1, 128, 2, 0, 0, false}, 130},
		{{2, 2, 96, 2, 0, 0, false}, 96},
		{{19, 1, 32, 2, 0, 0, false}, 35},
		{{2, 1, 160, 1, 0, 0, false}, 33},
		{{2, 1, 254, 2, 0, 0, false}, 131},
		{{1, 1, 64, 2, 0, 0, false}, 300},
		{{3, 1, 32, 1, 0, 0, false}, 290},
		{{2, 1, 192, 2, 0, 0, false}, 20},
		{{2, 1, 224, 1, 0, 0, false}, 70},
		{{2, 1, 256, 1, 0, 0, false}, 131},
		{{3, 1, 96, 1, 0, 0, false}, 140},
		/* windows within a split, to its edges, over several; and caps */
		{{2, 1, 64, 2, 1, 0, false}, 131},
		{{2, 1, 64, 1, 20, 0, false}, 300},
		{{1, 1, 128, 1, 127, 0, false}, 258},
		{{1, 1, 64, 2, 128, 0, false}, 390},
		{{3, 1, 32, 1, 129, 0, false}, 300},
		{{1, 1, 96, 2, 255, 0, false}, 300},
		{{2, 1, 256, 1, 40, 0, false}, 170},
		{{2, 1, 254, 2, 33, 0, false}, 170},
		{{2, 2, 64, 2, 0, 5, false}, 140},
		{{2, 1, 256, 1, 64, 3, false}, 70},
		{{1, 1, 128, 2, 300, 2, false}, 290},
		/* q8_0 */
		{{2, 1, 6, 2, 0, 0, true}, 2},
		{{3, 3, 20, 1, 0, 0, true}, 33},
		{{14, 2, 64, 2, 0, 0, true}, 150},
		{{7, 1, 128, 1, 0, 0, true}, 129},
		{{3, 1, 128, 2, 0, 0, true}, 290},
		{{4, 4, 64, 1, 0, 0, true}, 300},
		{{2, 2, 96, 2, 0, 0, true}, 96},
		{{2, 1, 254, 2, 0, 0, true}, 131},
		{{2, 1, 256, 1, 40, 0, true}, 170},
		{{2, 1, 64, 2, 20, 5, true}, 300},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		check_heads(&cases[i].h, cases[i].n);
}

/* More splits than lanes of a warp: spread over blocks and together they give the same bits. */
static void many_splits(void **state)
{
	(void)state;
	const struct heads h = {1, 1, 32, 1, 0, 0, false};
	const uint32_t n = MOST_POSITIONS - 5;
	struct world w = make_world(&h, n);
	const struct piece all[] = {{0, 0, n}};
	uint16_t *q;
	struct tile_copy whole = step(&w, all, 1, false, &q);
	uint16_t *memory = from_device(w.kv, kv_bytes(&w));
	check_token(&w, memory, q, &whole, n - 1, 0, n - 1);
	check_alone(&w, &whole, n - 1);
	check_alone(&w, &whole, 32 * CUDA_ATTN_SPLIT - 1);
	free_copy(&whole);
	free(memory);
	free(q);
	free_world(&w);
}

/* Bands cover each (token, head of a KV head's group) once, and none has tokens of two sequences. */
static void plans(void **state)
{
	(void)state;
	enum { N = 200 };
	static const uint32_t groups[] = {1, 2, 7, 16, 19};
	struct cuda_token tokens[N];
	for (uint32_t i = 0; i < N; i++) /* 1, 1, 98 and 100 tokens */
		tokens[i] = (struct cuda_token){0,
						i < 2     ? 4095 + i
						: i < 100 ? i
							  : i + 28,
						i < 2     ? i
						: i < 100 ? 2
							  : 3};
	for (size_t k = 0; k < sizeof groups / sizeof groups[0]; k++)
		for (int split = 0; split < 2; split++) {
			uint32_t group = groups[k], most = attend_most_bands(N, group);
			struct attend_band *bands = calloc(most, sizeof *bands);
			uint8_t *seen = calloc(N * group, 1);
			struct attend_plan plan = attend_plan_bands(tokens, N, group, split, bands);
			assert_int_equal(plan.n_splits, 33);
			assert_true(plan.n_wide + plan.n_narrow <= most);
			assert_true(split ? plan.n_wide == 0 : plan.n_wide > 0 && plan.n_narrow >= 2);
			for (uint32_t i = 0; i < plan.n_wide + plan.n_narrow; i++) {
				assert_in_range(bands[i].n_rows, 1,
						i < plan.n_wide ? ATTEND_WIDE_ROWS : ATTEND_ROWS);
				for (uint32_t r = bands[i].row; r < bands[i].row + bands[i].n_rows; r++) {
					uint32_t token = bands[i].token + r / group;
					assert_int_equal(tokens[token].table, tokens[bands[i].token].table);
					seen[token * group + r % group]++;
				}
			}
			for (uint32_t i = 0; i < N * group; i++)
				assert_int_equal(seen[i], 1);
			free(bands);
			free(seen);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plans),
		cmocka_unit_test(attentions),
		cmocka_unit_test(many_splits),
	};
	return cmocka_run_group_tests_name("cuda band attention", tests, NULL, NULL);
}
