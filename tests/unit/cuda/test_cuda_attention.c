/*
 * RoPE, the KV write and attention over paged KV memory against double precision, at contexts around the
 * sizes of blocks and splits and at the longest. What nobody wrote is NaN.
 */
#include "kernel_data.h"

/* One sequence whose keys and values come through plain_rope_kv, and the same in double precision. */
struct attention_case {
	uint32_t n_heads, n_kv_heads, head_dim, n_ctx;
	bool neox, full; /* full: too large for the emulator */
	struct cache_types cache;
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
	float *q, *k, *v;      /* (n_ctx, heads * head_dim) */
	double *keys, *values; /* the same of k and v, turned and as they are stored */
	float frequency[CUDA_MAX_HEAD_DIM / 2];
	struct cuda_token *tokens;
	uint32_t *tables; /* (1 + n_blocks), neither sorted nor gapless */
	uint32_t n_blocks, q_pitch, kv_pitch;
};

/* What a type stores of the n numbers of a head: what a file of the format would hold. */
static void store_head(enum cache_type type, const double *x, uint32_t n, double *out)
{
	static const enum tensor_type formats[CACHE_N_TYPES] = {
		TENSOR_F32, [CACHE_F16] = TENSOR_F16, [CACHE_BF16] = TENSOR_BF16, [CACHE_Q8_0] = TENSOR_Q8_0};
	const struct format *f = format_get(formats[type]);
	float row[CUDA_MAX_HEAD_DIM] = {0};
	uint8_t stored[CUDA_MAX_HEAD_DIM * 4];
	for (uint32_t i = 0; i < n; i++)
		row[i] = (float)x[i];
	f->quantise(row, stored, CUDA_MAX_HEAD_DIM);
	f->dequantise(stored, row, CUDA_MAX_HEAD_DIM);
	for (uint32_t i = 0; i < n; i++)
		out[i] = type == CACHE_DEFAULT || type == CACHE_F32 ? x[i] : (double)row[i];
}

static void store_all(const struct attention_case *c, struct attention_data *d)
{
	uint32_t n = c->head_dim, kv_dim = c->n_kv_heads * n;
	d->keys = calloc((size_t)c->n_ctx * kv_dim, sizeof *d->keys);
	d->values = calloc((size_t)c->n_ctx * kv_dim, sizeof *d->values);
	assert_true(d->keys && d->values);
	for (uint32_t p = 0; p < c->n_ctx; p++)
		for (uint32_t h = 0; h < c->n_kv_heads; h++) {
			double x[CUDA_MAX_HEAD_DIM];
			const float *k = d->k + p * d->kv_pitch + h * n, *v = d->v + p * d->kv_pitch + h * n;
			for (uint32_t i = 0; i < n; i++)
				x[i] = rope_column(c, k, d->frequency, p, i);
			store_head(c->cache.k, x, n, d->keys + (size_t)p * kv_dim + h * n);
			for (uint32_t i = 0; i < n; i++)
				x[i] = (double)v[i];
			store_head(c->cache.v, x, n, d->values + (size_t)p * kv_dim + h * n);
		}
}

static double *reference_attention(const struct attention_case *c, const struct attention_data *d, uint32_t t)
{
	uint32_t n = c->head_dim, n_pos = t + 1, kv_dim = c->n_kv_heads * n;
	double *out = calloc(c->n_heads * n, sizeof *out), *score = calloc(n_pos, sizeof *score);
	double *q = calloc(n, sizeof *q);
	for (uint32_t h = 0; h < c->n_heads; h++) {
		uint32_t kh = h / (c->n_heads / c->n_kv_heads);
		double largest = -INFINITY, sum = 0;
		for (uint32_t i = 0; i < n; i++)
			q[i] = rope_column(c, d->q + t * d->q_pitch + h * n, d->frequency, t, i);
		for (uint32_t p = 0; p < n_pos; p++) {
			for (uint32_t i = 0; i < n; i++)
				score[p] += q[i] * d->keys[(size_t)p * kv_dim + kh * n + i];
			score[p] /= sqrt(n);
			largest = fmax(largest, score[p]);
		}
		for (uint32_t p = 0; p < n_pos; p++)
			sum += score[p] = exp(score[p] - largest);
		for (uint32_t p = 0; p < n_pos; p++) {
			for (uint32_t i = 0; i < n; i++)
				out[h * n + i] += score[p] / sum * d->values[(size_t)p * kv_dim + kh * n + i];
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
	store_all(c, &d);
	return d;
}

static void free_data(struct attention_data *d)
{
	free(d->q);
	free(d->k);
	free(d->v);
	free(d->keys);
	free(d->values);
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
	uint32_t n = c->n_ctx, q_dim = c->n_heads * c->head_dim;
	uint32_t first = n > MOST_QUERIES ? n - MOST_QUERIES : 0, n_queries = n - first;
	const struct cache_types f32 = {CACHE_F32, CACHE_F32};
	struct plain_kv shape =
		plain_kv_of(c->n_heads, c->n_kv_heads, c->head_dim, c->cache.k ? c->cache : f32);
	size_t kv_bytes = (size_t)(d.n_blocks + 2) * c->n_kv_heads * shape.kv_bytes;
	size_t q_bytes = (size_t)n * d.q_pitch * sizeof(float),
	       v_bytes = (size_t)n * d.kv_pitch * sizeof(float),
	       out_bytes = (size_t)n_queries * d.q_pitch * sizeof(float);
	float *dq = on_device(d.q, q_bytes), *dout = on_device(NULL, out_bytes);
	float *dk = on_device(d.k, v_bytes), *dv = on_device(d.v, v_bytes);
	float *frequency = on_device(d.frequency, sizeof d.frequency);
	uint32_t *tables = on_device(d.tables, (d.n_blocks + 1) * sizeof *tables);
	struct cuda_token *tokens = on_device(d.tokens, n * sizeof *tokens);
	shape.layer = on_device(NULL, kv_bytes);
	shape.tables = tables;
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
	/* A key that the device turned may lie on the other side of a border between two stored numbers. */
	double tolerance = shape.k_type == CACHE_F32 ? 2e-6 : 1e-4;
	float *got = from_device(dout, out_bytes), *last = got + (size_t)(n_queries - 1) * d.q_pitch;
	for (uint32_t t = n > 2 ? n - 2 : 0; t < n; t++) {
		double *want = reference_attention(c, &d, t);
		for (uint32_t i = 0; i < d.q_pitch; i++)
			assert_near(got[(t - first) * d.q_pitch + i], i < q_dim ? want[i] : 0, tolerance,
				    "attention", t, i);
		free(want);
	}
	a.q += (size_t)(n_queries - 1) * d.q_pitch;
	a.tokens += n_queries - 1;
	a.n_tokens = 1;
	check_alone(c, &a, last);
	void *const all[] = {shape.layer, dq, dk, dv, dout, frequency, tables, tokens};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		cudaFree(all[i]);
	free(got);
	free_data(&d);
}

static void attentions(void **state)
{
	(void)state;
	static const struct attention_case cases[] = {
		{2, 1, 6, 1, true, false, {0}},
		{2, 1, 6, 15, false, false, {0}},
		{3, 3, 20, 16, true, false, {0}},
		{3, 1, 34, 17, true, false, {0}},
		{2, 2, 64, 31, false, false, {0}},
		{7, 1, 64, 32, true, false, {0}},
		{1, 1, 128, 33, true, false, {0}},
		{4, 2, 2, 127, true, false, {0}},
		{2, 1, 64, 128, true, false, {0}},
		{2, 1, 32, 129, true, false, {0}},
		{2, 1, 256, 40, true, false, {0}},
		{3, 1, 64, 300, true, false, {0}},
		{3, 3, 20, 16, true, false, {CACHE_Q8_0, CACHE_Q8_0}},
		{2, 1, 34, 33, true, false, {CACHE_Q8_0, CACHE_Q8_0}},
		{2, 2, 64, 31, false, false, {CACHE_Q8_0, CACHE_F32}},
		{4, 2, 80, 32, true, false, {CACHE_F32, CACHE_Q8_0}},
		{2, 1, 32, 129, true, false, {CACHE_Q8_0, CACHE_F16}},
		{2, 1, 256, 40, true, false, {CACHE_BF16, CACHE_Q8_0}},
		{3, 1, 64, 33, false, false, {CACHE_F16, CACHE_BF16}},
		{14, 2, 64, 15, true, true, {0}},
		{14, 2, 64, 4095, true, true, {0}},
		{14, 2, 64, 4095, true, true, {CACHE_Q8_0, CACHE_Q8_0}},
		{28, 4, 128, 4097, true, true, {0}},
		{3, 1, 64, 32768, false, true, {0}},
		{2, 2, 128, 32768, true, true, {0}},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (!cases[i].full || full_sizes())
			check_attention(&cases[i]);
}

/* Numbers of a head with those that are hard to store among them. */
static void hard_numbers(float *x, uint32_t n, uint32_t series)
{
	static const float odd[] = {0,     -0.0f,  1e-45f, 1e-40f,   3e-8f,  7.7e-6f, 0.5f / 127,
				    65504, -65519, 1e6f,   8.3e6f,   1e30f,  1.5f,    127,
				    63.5f, NAN,    1e38f,  INFINITY, -126.5f};
	for (uint32_t i = 0; i < n; i++)
		x[i] = noise(series, i) * (series % 3 ? 3.0f : 1e-9f);
	x[series % n] = odd[series % (sizeof odd / sizeof odd[0])];
}

/* The bytes that a token's keys and values become are those of the formats (where nothing is turned): numbers
 * of a head lie `step` apart, scales after all. */
static void assert_stored(enum cache_type type, const uint8_t *got, uint32_t first, uint32_t step,
			  uint32_t slot, const float *x, uint32_t n)
{
	static const enum tensor_type formats[CACHE_N_TYPES] = {
		TENSOR_F32, [CACHE_F16] = TENSOR_F16, [CACHE_BF16] = TENSOR_BF16, [CACHE_Q8_0] = TENSOR_Q8_0};
	const struct format *f = format_get(formats[type]);
	float row[CUDA_MAX_HEAD_DIM] = {0};
	uint8_t want[CUDA_MAX_HEAD_DIM * 4];
	size_t size = type == CACHE_F32 ? 4 : type == CACHE_Q8_0 ? 1 : 2;
	for (uint32_t i = 0; i < n; i++) /* halves are limited to what they can hold */
		row[i] = type == CACHE_F16 && fabsf(x[i]) > 65504 ? copysignf(65504, x[i]) : x[i];
	f->quantise(row, want, CUDA_MAX_HEAD_DIM);
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *at = type == CACHE_Q8_0 ? want + i / 32 * 34 + 2 + i % 32 : want + i * size;
		const uint8_t *scale = got + CUDA_KV_BLOCK * n + 2 * (i / 32 * CUDA_KV_BLOCK + slot);
		if (isnan(row[i]) && type != CACHE_Q8_0)
			continue; /* of NaN there are many */
		assert_memory_equal(got + (first + i * step) * size, at, size);
		if (type == CACHE_Q8_0 && (want[i / 32 * 34 + 1] & 0x7E) != 0x7E)
			assert_memory_equal(scale, want + i / 32 * 34, 2);
		else if (type == CACHE_Q8_0)
			assert_int_equal(scale[1] & 0x7C, 0x7C);
	}
}

static void stored_as_formats_do(void **state)
{
	(void)state;
	enum { HEADS = 2 };
	static const uint32_t dims[] = {2, 30, 32, 34, 80};
	static const struct cache_types caches[] = {{CACHE_Q8_0, CACHE_Q8_0},
						    {CACHE_F16, CACHE_BF16},
						    {CACHE_BF16, CACHE_F16},
						    {CACHE_F32, CACHE_F32}};
	for (uint32_t k = 0; k < 200; k++) {
		uint32_t n = dims[k % 5], pitch = pitch_of(HEADS * n), slot = k % CUDA_KV_BLOCK;
		struct plain_kv shape = plain_kv_of(HEADS, HEADS, n, caches[k % 4]);
		float x[2][HEADS * 96] = {{0}};
		for (uint32_t i = 0; i < 2 * HEADS; i++)
			hard_numbers(x[i / 2] + i % 2 * n, n, 5 * k + i);
		const uint32_t table = 0;
		const struct cuda_token token = {0, slot, 0};
		float *dk = on_device(x[0], sizeof x[0]), *dv = on_device(x[1], sizeof x[1]),
		      *dq = on_device(NULL, pitch * sizeof *dq);
		struct cuda_token *tokens = on_device(&token, sizeof token);
		uint32_t *tables = on_device(&table, sizeof table);
		shape.layer = on_device(NULL, (size_t)HEADS * shape.kv_bytes);
		shape.tables = tables;
		const struct plain_rope_args rope = {.kv = shape,
						     .tokens = tokens,
						     .q = dq,
						     .k = dk,
						     .v = dv,
						     .q_pitch = pitch,
						     .kv_pitch = pitch,
						     .n_tokens = 1};
		assert_int_equal(plain_rope_kv(&rope, test_stream()), cudaSuccess);
		finish();
		uint8_t *got = from_device(shape.layer, (size_t)HEADS * shape.kv_bytes);
		for (uint32_t h = 0; h < HEADS; h++) {
			const uint8_t *head = got + h * shape.kv_bytes;
			assert_stored(caches[k % 4].k, head, slot, CUDA_KV_BLOCK, slot, x[0] + h * n, n);
			assert_stored(caches[k % 4].v, head + shape.k_bytes, slot * n, 1, slot, x[1] + h * n,
				      n);
		}
		void *const all[] = {dk, dv, dq, tokens, tables, shape.layer};
		for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
			cudaFree(all[i]);
		free(got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attentions),
		cmocka_unit_test(stored_as_formats_do),
		cmocka_unit_test(nothing_is_left),
	};
	return cmocka_run_group_tests_name("cuda attention", tests, NULL, NULL);
}
