/*
 * RoPE, the KV write and attention over paged KV memory against double precision, at contexts around the
 * sizes of blocks and splits and at the longest. What nobody wrote is NaN.
 */
#include "kernel_data.h"

/* One sequence whose keys and values come through plain_rope_kv, and the same in double precision. */
struct attention_case {
	uint32_t n_heads, n_kv_heads, head_dim, n_ctx;
	bool neox, full; /* full: too large for the emulator */
};

enum { MOST_QUERIES = 300, STRIDE = 7 }; /* of contexts longer than that the last tokens are asked */

static double rope_column(const struct attention_case *c, const float *head, const float *frequency,
			  uint32_t pos, uint32_t column)
{
	uint32_t half = c->head_dim / 2, i = c->neox ? column % half : column / 2;
	bool second = c->neox ? column >= half : column % 2;
	uint32_t a = c->neox ? i : 2 * i, b = c->neox ? i + half : 2 * i + 1;
	double angle = (double)((float)pos * frequency[i]);
	double p = (double)head[a], q = (double)head[b];
	return second ? q * cos(angle) + p * sin(angle) : p * cos(angle) - q * sin(angle);
}

struct attention_data {
	float *q, *k, *v; /* (n_ctx, heads * head_dim) */
	float frequency[CUDA_MAX_HEAD_DIM / 2];
	struct cuda_token *tokens;
	uint32_t *tables; /* (1 + n_blocks), neither sorted nor gapless */
	uint32_t n_blocks, q_pitch, kv_pitch;
};

static double *reference_attention(const struct attention_case *c, const struct attention_data *d, uint32_t t)
{
	uint32_t n = c->head_dim, n_pos = t + 1;
	double *out = calloc(c->n_heads * n, sizeof *out), *score = calloc(n_pos, sizeof *score);
	double *q = calloc(n, sizeof *q);
	for (uint32_t h = 0; h < c->n_heads; h++) {
		uint32_t kh = h / (c->n_heads / c->n_kv_heads);
		double largest = -INFINITY, sum = 0;
		for (uint32_t i = 0; i < n; i++)
			q[i] = rope_column(c, d->q + t * d->q_pitch + h * n, d->frequency, t, i);
		for (uint32_t p = 0; p < n_pos; p++) {
			for (uint32_t i = 0; i < n; i++)
				score[p] += q[i] * rope_column(c, d->k + p * d->kv_pitch + kh * n,
							       d->frequency, p, i);
			score[p] /= sqrt(n);
			largest = fmax(largest, score[p]);
		}
		for (uint32_t p = 0; p < n_pos; p++)
			sum += score[p] = exp(score[p] - largest);
		for (uint32_t p = 0; p < n_pos; p++) {
			for (uint32_t i = 0; i < n; i++)
				out[h * n + i] += score[p] / sum * (double)d->v[p * d->kv_pitch + kh * n + i];
			score[p] = 0;
		}
	}
	free(q);
	free(score);
	return out;
}

/* A case's noise, and where its KV blocks lie: a pool one block larger than it needs. */
static struct attention_data make_data(const struct attention_case *c)
{
	uint32_t n = c->n_ctx, q_dim = c->n_heads * c->head_dim, kv_dim = c->n_kv_heads * c->head_dim;
	struct attention_data d = {.q_pitch = pitch_of(q_dim), .kv_pitch = pitch_of(kv_dim)};
	d.q = padded_noise(40, n, q_dim);
	d.k = padded_noise(41, n, kv_dim);
	d.v = padded_noise(42, n, kv_dim);
	d.tokens = calloc(n, sizeof *d.tokens);
	d.n_blocks = (n + CUDA_KV_BLOCK - 1) / CUDA_KV_BLOCK;
	d.tables = calloc(d.n_blocks + 1, sizeof *d.tables);
	assert_non_null(d.tokens);
	assert_non_null(d.tables);
	for (uint32_t t = 0; t < n; t++)
		d.tokens[t] = (struct cuda_token){0, t, 1};
	uint32_t pool = d.n_blocks + 1 + ((d.n_blocks + 1) % STRIDE == 0);
	for (uint32_t i = 0; i <= d.n_blocks; i++)
		d.tables[i] = (i * STRIDE + 5) % pool;
	for (uint32_t i = 0; i < c->head_dim / 2; i++)
		d.frequency[i] = powf(10000, -2.0f * (float)i / (float)c->head_dim);
	return d;
}

static void free_data(struct attention_data *d)
{
	free(d->q);
	free(d->k);
	free(d->v);
	free(d->tokens);
	free(d->tables);
}

/* The last token alone, its splits spread over blocks, under other schedules: the bits of `want`. */
static void check_alone(const struct attention_case *c, const struct plain_attention_args *last,
			const float *want)
{
	size_t part = (size_t)c->n_heads * last->n_splits * (2 + c->head_dim) * sizeof(float);
	struct plain_attention_args a = *last;
	for (uint32_t s = 0; s < N_SCHEDULES; s++) {
		set_schedule(s);
		float *partial = on_device(NULL, part);
		a.partial = partial;
		a.out = on_device(NULL, a.pitch * sizeof(float));
		assert_int_equal(plain_attention(&a, test_stream()), cudaSuccess);
		finish();
		float *alone = from_device(a.out, a.pitch * sizeof *alone);
		assert_memory_equal(alone, want, a.pitch * sizeof *alone);
		free(alone);
		cudaFree(a.out);
		cudaFree(partial);
	}
	set_schedule(0);
}

static void check_attention(const struct attention_case *c)
{
	struct attention_data d = make_data(c);
	uint32_t n = c->n_ctx, q_dim = c->n_heads * c->head_dim, kv_dim = c->n_kv_heads * c->head_dim;
	uint32_t first = n > MOST_QUERIES ? n - MOST_QUERIES : 0, n_queries = n - first;
	size_t kv_bytes = (size_t)(d.n_blocks + 2) * kv_dim * 2 * CUDA_KV_BLOCK * sizeof(float);
	size_t q_bytes = (size_t)n * d.q_pitch * sizeof(float),
	       v_bytes = (size_t)n * d.kv_pitch * sizeof(float),
	       out_bytes = (size_t)n_queries * d.q_pitch * sizeof(float);
	float *kv = on_device(NULL, kv_bytes), *dq = on_device(d.q, q_bytes),
	      *dout = on_device(NULL, out_bytes);
	float *dk = on_device(d.k, v_bytes), *dv = on_device(d.v, v_bytes);
	float *frequency = on_device(d.frequency, sizeof d.frequency);
	uint32_t *tables = on_device(d.tables, (d.n_blocks + 1) * sizeof *tables);
	struct cuda_token *tokens = on_device(d.tokens, n * sizeof *tokens);
	struct plain_kv shape = {kv, tables, c->n_heads, c->n_kv_heads, c->head_dim};
	const struct plain_rope_args rope = {shape,     tokens,     frequency, dq,      dk,          dv,
					     d.q_pitch, d.kv_pitch, n,         c->neox, c->head_dim, 1};
	assert_int_equal(plain_rope_kv(&rope, test_stream()), cudaSuccess);
	struct plain_attention_args a = {
		.kv = shape,
		.tokens = tokens + first,
		.q = dq + (size_t)first * d.q_pitch,
		.out = dout,
		.pitch = d.q_pitch,
		.n_tokens = n_queries,
		.n_splits = (n - 1) / CUDA_ATTN_SPLIT + 1,
		.scale = 1 / sqrtf((float)c->head_dim),
	};
	assert_int_equal(plain_attention(&a, test_stream()), cudaSuccess);
	finish();
	float *got = from_device(dout, out_bytes), *last = got + (size_t)(n_queries - 1) * d.q_pitch;
	for (uint32_t t = n > 2 ? n - 2 : 0; t < n; t++) {
		double *want = reference_attention(c, &d, t);
		for (uint32_t i = 0; i < d.q_pitch; i++)
			assert_near(got[(t - first) * d.q_pitch + i], i < q_dim ? want[i] : 0, 2e-6,
				    "attention", t, i);
		free(want);
	}
	a.q += (size_t)(n_queries - 1) * d.q_pitch;
	a.tokens += n_queries - 1;
	a.n_tokens = 1;
	check_alone(c, &a, last);
	void *const all[] = {kv, dq, dk, dv, dout, frequency, tables, tokens};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		cudaFree(all[i]);
	free(got);
	free_data(&d);
}

static void attentions(void **state)
{
	(void)state;
	static const struct attention_case cases[] = {
		{2, 1, 6, 1, true, false},      {2, 1, 6, 15, false, false},
		{3, 3, 20, 16, true, false},    {3, 1, 34, 17, true, false},
		{2, 2, 64, 31, false, false},   {7, 1, 64, 32, true, false},
		{1, 1, 128, 33, true, false},   {4, 2, 2, 127, true, false},
		{2, 1, 64, 128, true, false},   {2, 1, 32, 129, true, false},
		{2, 1, 256, 40, true, false},   {3, 1, 64, 300, true, false},
		{14, 2, 64, 15, true, true},    {14, 2, 64, 4095, true, true},
		{28, 4, 128, 4097, true, true}, {3, 1, 64, 32768, false, true},
		{2, 2, 128, 32768, true, true},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (!cases[i].full || full_sizes())
			check_attention(&cases[i]);
}

static void nothing_is_left(void **state)
{
	(void)state;
	EMULATOR_ONLY();
	assert_int_equal(cudasim_live_bytes(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attentions),
		cmocka_unit_test(nothing_is_left),
	};
	return cmocka_run_group_tests_name("cuda attention", tests, NULL, NULL);
}
