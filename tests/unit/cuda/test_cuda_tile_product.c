/*
 * Tile products: the reference kernel (tile_reference.h) against sums in double precision, and every shape of
 * every format and precision mode against the reference kernel, to the bit. Outputs are NaN before.
 */
#include "tile_data.h"
#include "tile_weight.h"

#include "tile_reference.h"

enum { FIRST_OF_TEAMS = 10 }; /* shapes */

struct sizes {
	uint32_t rows, cols, tokens;
};

/* Activations of n tokens as they come: noise, zeros beyond the columns, and the sums of each chunk. */
static struct tile_copy noise_planes(uint32_t n, uint32_t cols, uint32_t planes)
{
	struct tile_copy c = {NULL, NULL, n, cols, tile_pitch(cols), planes};
	size_t rows = (size_t)n * planes, chunks = c.pitch / TILE_CHUNK;
	c.halves = calloc(rows * c.pitch, sizeof *c.halves);
	c.sums = calloc(rows * chunks, sizeof *c.sums);
	assert_non_null(c.halves);
	assert_non_null(c.sums);
	for (size_t r = 0; r < rows; r++) {
		for (uint32_t i = 0; i < cols; i++) {
			float size = planes == 2 && r % 2 ? 0x1p-11f : 1.0f;
			c.halves[r * c.pitch + tile_slot(i)] = f16_from_f32(size * noise(40 + r, i));
		}
		for (uint32_t i = 0; i < c.pitch; i++)
			c.sums[r * chunks + i / TILE_CHUNK] += f32_from_f16(c.halves[r * c.pitch + i]);
	}
	return c;
}

static struct tile_activations activations_on_device(const struct tile_copy *c)
{
	size_t rows = (size_t)c->n * c->planes;
	return (struct tile_activations){
		.halves = on_device(c->halves, rows * c->pitch * sizeof *c->halves),
		.sums = on_device(c->sums, rows * (c->pitch / TILE_CHUNK) * sizeof *c->sums),
		.cols = c->cols,
		.pitch = c->pitch,
		.planes = c->planes,
	};
}

/* A product of up to three matrices; out lies between columns that must stay as they are. */
struct product {
	struct tiled w[TILE_PRODUCT_MATRICES];
	struct tile_copy x;
	float *bias;
	struct tile_product_args a;
	size_t out_bytes;
};

static struct product make_product(enum tensor_type type, const struct sizes *s, uint32_t n_parts,
				   uint32_t planes, bool add)
{
	struct product p = {.x = noise_planes(s->tokens, s->cols, planes)};
	uint32_t width = 1;
	p.bias = noise_floats(77, s->rows);
	for (uint32_t i = 0; i < n_parts; i++) {
		uint32_t rows = i ? (s->rows + i) / (i + 1) : s->rows;
		p.w[i] = make_tiled(type, rows, s->cols, (rows + 7) / 8 * 8, 900 + i, planes);
		p.a.part[i] = (struct tile_product_part){.w = p.w[i].m, .out_col = width};
		if (i % 2 == 0)
			p.a.part[i].bias = on_device(p.bias, rows * sizeof(float));
		width += rows;
	}
	p.a.x = activations_on_device(&p.x);
	p.a.n_parts = n_parts;
	p.a.n_tokens = s->tokens;
	p.a.out_pitch = width + 2;
	p.a.add = add;
	p.a.n_sms = 3;
	p.out_bytes = (size_t)s->tokens * p.a.out_pitch * sizeof(float);
	p.a.out = on_device(NULL, p.out_bytes);
	return p;
}

static void free_product(struct product *p)
{
	for (uint32_t i = 0; i < p->a.n_parts; i++) {
		free_tiled(&p->w[i]);
		cudaFree((void *)(uintptr_t)p->a.part[i].bias);
	}
	cudaFree(p->a.x.halves);
	cudaFree(p->a.x.sums);
	cudaFree(p->a.out);
	free_copy(&p->x);
	free(p->bias);
}

/* What out holds before: noise to add to, or NaN. */
static void prepare_out(const struct product *p)
{
	poison_device(p->a.out, p->out_bytes);
	if (!p->a.add)
		return;
	float *before = noise_floats(78, p->out_bytes / sizeof(float));
	assert_int_equal(cudaMemcpy(p->a.out, before, p->out_bytes, cudaMemcpyHostToDevice), cudaSuccess);
	free(before);
}

static float *reference_out(const struct product *p)
{
	prepare_out(p);
	assert_int_equal(tile_product_reference(&p->a, test_stream()), cudaSuccess);
	finish();
	return from_device(p->a.out, p->out_bytes);
}

/* FULL sums exact weights in float32; HALF rounds each weight's scale, min and value to halves. */
static void check_reference(const struct product *p, const float *got)
{
	enum tensor_type type = p->w[0].w.fmt->type;
	double step = p->x.planes == 2 || type == TENSOR_F16 || type == TENSOR_BF16 ? 1e-6 : 0x1p-9;
	for (uint32_t i = 0; i < p->a.n_parts; i++)
		for (uint32_t t = 0; t < p->a.n_tokens; t++)
			for (uint32_t r = 0; r < p->w[i].m.rows; r++) {
				const float *w = p->w[i].values + (size_t)r * p->x.cols;
				size_t at = (size_t)t * p->a.out_pitch + p->a.part[i].out_col + r;
				double want = (p->a.part[i].bias ? (double)p->bias[r] : 0) +
					      (p->a.add ? (double)noise(78, at) : 0);
				double size = fabs(want) + 0.1;
				for (uint32_t c = 0; c < p->x.cols; c++) {
					double term = (double)w[c] * tile_value(&p->x, t, c);
					want += term;
					size += fabs(term);
				}
				if (!(fabs((double)got[at] - want) <= size * step))
					fail_msg("%s, planes %u: token %u, row %u is %.9g, wanted %.9g",
						 p->w[i].w.fmt->name, p->x.planes, t, r, (double)got[at],
						 want);
			}
}

static uint32_t check_shape(const struct product *p, uint32_t shape, const float *want)
{
	prepare_out(p);
	cudaError_t e = tile_product_shaped(&p->a, shape, test_stream());
	if (e)
		return e;
	finish();
	float *got = from_device(p->a.out, p->out_bytes);
	for (size_t i = 0; i < p->out_bytes / sizeof *got; i++)
		if (memcmp(&got[i], &want[i], sizeof *got) != 0)
			fail_msg("%s, planes %u, %u x %u, %u tokens, shape %u: token %zu, column %zu is %a, "
				 "wanted %a",
				 p->w[0].w.fmt->name, p->x.planes, p->w[0].m.rows, p->x.cols, p->a.n_tokens,
				 shape, i / p->a.out_pitch, i % p->a.out_pitch, (double)got[i],
				 (double)want[i]);
	free(got);
	return cudaSuccess;
}

static void check(enum tensor_type type, const struct sizes *s, uint32_t n_parts, uint32_t planes, bool add,
		  uint32_t every)
{
	uint32_t block = format_get(type)->block_elements;
	struct sizes own = *s;
	if (own.cols % block)
		own.cols = (own.cols + block - 1) / block * block;
	struct product p = make_product(type, &own, n_parts, planes, add);
	float *want = reference_out(&p);
	check_reference(&p, want);
	uint32_t n_shapes = 0;
	for (uint32_t shape = every ? 0 : (uint32_t)type % 4;; shape += every ? every : 4) {
		/* on the emulator each type has a third of the teams: of up to 5,120 threads */
		if (!full_sizes() && shape >= FIRST_OF_TEAMS && (shape + (uint32_t)type) % 3)
			continue;
		uint32_t e = check_shape(&p, shape, want);
		if (e == cudaErrorInvalidValue)
			break;
		assert_true(e == cudaSuccess || e == cudaErrorInvalidConfiguration);
		n_shapes += e == cudaSuccess;
	}
	assert_true(n_shapes > 0);
	free(want);
	free_product(&p);
}

/* All shapes at a size with edges on all sides. */
static void shapes(void **state)
{
	(void)state;
	static const struct sizes s = {70, 224, 37};
	for (size_t i = 0; i < N_TYPES; i++)
		for (uint32_t planes = 1; planes <= 2; planes++)
			check(types[i], &s, 1, planes, false, 1);
}

/* Segments of many lengths, so that stages of weights are full, odd and even. */
static void segments(void **state)
{
	(void)state;
	static const uint32_t units[] = {16, 44, 75, 116, 152};
	for (size_t k = 0; k < sizeof units / sizeof units[0]; k++) {
		const struct sizes s = {9, 32 * units[k], 2};
		check(TENSOR_F16, &s, 1, 2, false, 1);
		check(TENSOR_F32, &s, 1, 2, false, 1);
		check(TENSOR_Q8_0, &s, 1, 1, false, 1);
		check(TENSOR_Q5_1, &s, 1, 2, false, 1);
	}
	static const struct sizes s = {9, 256 * 37, 2};
	check(TENSOR_Q4_K, &s, 1, 1, false, 1);
	check(TENSOR_Q6_K, &s, 1, 2, false, 1);
	check(TENSOR_Q2_K, &s, 1, 1, false, 1);
	check(TENSOR_Q2_K, &s, 1, 2, false, 1);
}

/* Awkward sizes, some of the shapes each. */
static void sizes(void **state)
{
	(void)state;
	static const struct sizes all[] = {{1, 32, 1},    {7, 96, 2},   {8, 224, 5},   {9, 256, 9},
					   {63, 896, 33}, {65, 512, 3}, {130, 40, 70}, {17, 1568, 2}};
	for (size_t i = 0; i < N_TYPES; i++)
		for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
			check(types[i], &all[k], 1, 1 + (uint32_t)(i + k) % 2, k % 3 == 1, 0);
	static const struct sizes full[] = {{896, 4864, 67}, {130, 18944, 33}, {1153, 3584, 1}};
	for (size_t i = 0; i < N_TYPES && full_sizes(); i++)
		for (size_t k = 0; k < sizeof full / sizeof full[0]; k++)
			check(types[i], &full[k], 1, 1 + (uint32_t)(i + k) % 2, false, 0);
}

/* Several matrices at once, with biases, added to what is there; and what the host chooses. */
static void parts(void **state)
{
	(void)state;
	static const struct sizes s = {70, 256, 9};
	static const enum tensor_type some[] = {TENSOR_F16,  TENSOR_Q8_0, TENSOR_Q4_1, TENSOR_Q6_K,
						TENSOR_BF16, TENSOR_F32,  TENSOR_Q2_K};
	for (size_t i = 0; i < sizeof some / sizeof some[0]; i++)
		for (uint32_t n = 2; n <= 3; n++)
			check(some[i], &s, n, n - 1, n == 3, 3);
	struct product p = make_product(TENSOR_Q4_K, &s, 2, 2, false),
		       q = make_product(TENSOR_Q6_K, &s, 1, 2, false);
	p.a.part[2] = q.a.part[0];
	p.a.part[2].out_col = 0;
	p.a.n_parts = 3;
	float *want = reference_out(&p);
	prepare_out(&p);
	assert_int_equal(tile_product(&p.a, test_stream()), cudaSuccess);
	finish();
	float *got = from_device(p.a.out, p.out_bytes);
	assert_memory_equal(got, want, p.out_bytes);
	free(got);
	free(want);
	p.a.n_parts = 2;
	free_product(&p);
	free_product(&q);
}

/* The same bits in any order of threads. */
static void schedules(void **state)
{
	(void)state;
	static const struct sizes s = {130, 288, 20};
	for (uint64_t seed = 1; seed <= 2; seed++) {
		set_schedule(seed);
		check(TENSOR_F16, &s, 1, 2, false, 3);
		check(TENSOR_Q5_1, &s, 1, 2, false, 3);
		check(TENSOR_Q6_K, &s, 1, 1, true, 3);
	}
	set_schedule(0);
}

/* Every shape on all multiprocessors, again and again: where copies, products and barriers race, it shows
 * there. */
static void again(void **state)
{
	(void)state;
	enum { TIMES = 10 };
	static const enum tensor_type some[] = {TENSOR_F16, TENSOR_F32, TENSOR_Q5_1};
	static const struct sizes all[] = {{9728, 896, 32}, {896, 4864, 8}};
	for (size_t i = 0; i < sizeof some / sizeof some[0] && full_sizes(); i++)
		for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) {
			struct product p = make_product(some[i], &all[k], 1, 2, false);
			p.a.n_sms = 132;
			float *want = reference_out(&p);
			for (uint32_t shape = 0, e = cudaSuccess; e != cudaErrorInvalidValue; shape++)
				for (uint32_t t = 0; t < TIMES && e != cudaErrorInvalidValue; t++)
					e = check_shape(&p, shape, want);
			free(want);
			free_product(&p);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes),          cmocka_unit_test(segments), cmocka_unit_test(sizes),
		cmocka_unit_test(again),           cmocka_unit_test(parts),    cmocka_unit_test(schedules),
		cmocka_unit_test(nothing_is_left),
	};
	return cmocka_run_group_tests_name("cuda tile product", tests, NULL, NULL);
}
