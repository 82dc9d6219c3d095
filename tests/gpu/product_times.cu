/*
 * What tile products take on a device, in every shape; and that every shape of every format and mode gives
 * the bits of the reference kernel (tests/unit/cuda/tile_reference.h) at many more sizes than the unit test.
 * For an H100.
 *
 *     gpu_product_times bits
 *     gpu_product_times long | medium | short [each]     tokens: 2048 | 256, 512 | 2 .. 64; each: every shape
 *     gpu_product_times one FORMAT PLANES ROWS COLS TOKENS SHAPE     three times, for a profiler
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/cuda/tile_reference.h"
#include "compute/cuda/ptx.cuh"

#define CHECK(call)                                                                                   \
	do {                                                                                          \
		cudaError_t e_ = (call);                                                              \
		if (e_) {                                                                             \
			printf("%s:%d: %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorString(e_)); \
			exit(1);                                                                      \
		}                                                                                     \
	} while (0)

static const struct {
	const char *name;
	uint32_t format, unit_bytes, cols;
} formats[] = {
#define ROW(NAME, BYTES, COLS) {#NAME, CUDA_##NAME, BYTES, COLS},
	TILE_FORMATS(ROW)
#undef ROW
};
enum { N_FORMATS = sizeof formats / sizeof formats[0] };

static __device__ uint32_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
	x = (x ^ x >> 27) * 0x94D049BB133111EBu;
	return (uint32_t)(x >> 32 ^ x);
}
static __device__ float unit_noise(uint64_t i)
{
	return (float)(mix(i + 0x9E3779B97F4A7C15u) >> 8) / 8388608.0f - 1.0f;
}

/* Any bytes, with scales of ordinary size: those of a unit are n_scales halves from `at` on. A block a tile
 * and segment. */
__global__ void fill_units(const struct tile_matrix m, uint32_t at, uint32_t n_scales, float size)
{
	uint32_t first = tile_segment(m.n_units, blockIdx.y), last = tile_segment(m.n_units, blockIdx.y + 1);
	for (uint32_t u = first; u < last; u++) {
		uint64_t to = tile_offset(&m, blockIdx.x, blockIdx.y, u);
		for (uint32_t in = 2 * threadIdx.x; in < m.unit_bytes; in += 2 * blockDim.x) {
			uint64_t i = (to + in) / 2;
			uint32_t v = mix(i * 77 + m.unit_bytes);
			if (in >= at && in < at + 2 * n_scales)
				v = half_bits(size * unit_noise(i));
			*(uint16_t *)(m.data + to + in) = (uint16_t)v;
		}
	}
}
__global__ void fill_halves(uint16_t *p, uint32_t pitch, uint32_t cols, uint64_t n, uint32_t planes)
{
	for (uint64_t i = blockIdx.x * (uint64_t)blockDim.x + threadIdx.x; i < n;
	     i += (uint64_t)gridDim.x * blockDim.x) {
		float low = planes == 2 && i / pitch % 2 ? 1.0f / 2048 : 1.0f;
		p[i] = i % pitch < cols ? half_bits(low * unit_noise(i * 3)) : (uint16_t)0;
	}
}
__global__ void fill_floats(float *p, uint64_t n)
{
	for (uint64_t i = blockIdx.x * (uint64_t)blockDim.x + threadIdx.x; i < n;
	     i += (uint64_t)gridDim.x * blockDim.x)
		p[i] = unit_noise(i * 5 + 1);
}
__global__ void count_unlike(const uint32_t *a, const uint32_t *b, uint64_t n, unsigned long long *unlike)
{
	for (uint64_t i = blockIdx.x * (uint64_t)blockDim.x + threadIdx.x; i < n;
	     i += (uint64_t)gridDim.x * blockDim.x)
		if (a[i] != b[i])
			atomicAdd(unlike, 1ull);
}

template <typename T> static T *take(uint64_t n)
{
	void *p;
	CHECK(cudaMalloc(&p, n * sizeof(T) + 256));
	CHECK(cudaMemset(p, 0xFF, n * sizeof(T) + 256));
	return (T *)p;
}

static struct tile_matrix make_matrix(uint32_t f, uint32_t planes, uint32_t rows, uint32_t cols)
{
	struct tile_matrix m;
	m.rows = rows;
	m.cols = cols;
	m.n_tiles = (rows + 7) / 8;
	m.n_units = (cols + formats[f].cols - 1) / formats[f].cols;
	m.unit_bytes = formats[f].unit_bytes;
	m.format = formats[f].format;
	m.bundle = planes == 1 ? tile_bundle_units(m.unit_bytes) : 0;
	/* of IQ4_NL the scales are floats: halves make small ones of them */
	static const uint32_t at[N_FORMATS] = {0, 0, 0, 256, 128, 128, 160, 160, 128, 1152, 1408, 1664, 640},
			      n[N_FORMATS] = {256, 256, 512, 8, 8, 16, 8, 16, 16, 16, 16, 8, 16};
	m.file = m.format;
	m.data = take<uint8_t>(tile_lead_bytes(&m) + tile_bytes(&m)) + tile_lead_bytes(&m);
	if (tile_lead_bytes(&m))
		fill_floats<<<1, 256>>>((float *)(m.data - tile_lead_bytes(&m)),
					tile_lead_bytes(&m) / sizeof(float));
	fill_units<<<dim3(m.n_tiles, TILE_SEGMENTS), 128>>>(m, at[f], n[f], n[f] >= 256 ? 1.0f : 0.01f);
	return m;
}

struct problem {
	struct tile_product_args a;
	uint64_t out_count;
};

static struct problem make_problem(uint32_t f, uint32_t planes, uint32_t n_parts, const uint32_t *rows,
				   uint32_t cols, uint32_t tokens, bool extras)
{
	struct problem p = {};
	struct tile_product_args *a = &p.a;
	uint32_t padded = 0;
	a->n_parts = n_parts;
	for (uint32_t i = 0; i < n_parts; i++) {
		a->part[i].w = make_matrix(f, planes, rows[i], cols);
		a->part[i].out_col = padded;
		padded += rows[i];
		if (extras && i != 1) {
			float *bias = take<float>(rows[i]);
			fill_floats<<<64, 256>>>(bias, rows[i]);
			a->part[i].bias = bias;
		}
	}
	a->x.planes = planes;
	a->x.cols = cols;
	a->x.pitch = tile_pitch(cols);
	a->n_tokens = tokens;
	a->out_pitch = padded + 5;
	a->add = extras;
	a->n_sms = 132;
	uint64_t n = (uint64_t)tokens * planes * a->x.pitch;
	a->x.halves = take<uint16_t>(n);
	a->x.sums = take<float>(n / TILE_CHUNK);
	fill_halves<<<1024, 256>>>(a->x.halves, a->x.pitch, cols, n, planes);
	fill_floats<<<256, 256>>>(a->x.sums, n / TILE_CHUNK);
	p.out_count = (uint64_t)tokens * a->out_pitch;
	a->out = take<float>(p.out_count);
	CHECK(cudaDeviceSynchronize());
	return p;
}
static void free_problem(struct problem *p)
{
	for (uint32_t i = 0; i < p->a.n_parts; i++) {
		cudaFree((void *)(p->a.part[i].w.data - tile_lead_bytes(&p->a.part[i].w)));
		cudaFree((void *)p->a.part[i].bias);
	}
	cudaFree(p->a.x.halves);
	cudaFree(p->a.x.sums);
	cudaFree(p->a.out);
}

static unsigned long long n_wrong;

static void check_problem(uint32_t f, uint32_t planes, uint32_t n_parts, const uint32_t *rows, uint32_t cols,
			  uint32_t tokens, bool extras)
{
	struct problem p = make_problem(f, planes, n_parts, rows, cols, tokens, extras);
	float *want = take<float>(p.out_count), *out = p.a.out;
	unsigned long long *unlike = take<unsigned long long>(1), count;
	if (extras) {
		fill_floats<<<256, 256>>>(want, p.out_count);
	}
	p.a.out = want;
	CHECK(tile_product_reference(&p.a, 0));
	CHECK(cudaDeviceSynchronize());
	p.a.out = out;
	for (uint32_t s = 0;; s++) {
		CHECK(cudaMemset(out, 0xFF, p.out_count * 4));
		if (extras)
			fill_floats<<<256, 256>>>(out, p.out_count);
		cudaError_t e = tile_product_shaped(&p.a, s, 0);
		if (e == cudaErrorInvalidValue)
			break;
		if (e == cudaErrorInvalidConfiguration) {
			cudaGetLastError();
			continue;
		}
		CHECK(e);
		CHECK(cudaDeviceSynchronize());
		CHECK(cudaMemset(unlike, 0, 8));
		count_unlike<<<256, 256>>>((uint32_t *)want, (uint32_t *)out, p.out_count, unlike);
		CHECK(cudaMemcpy(&count, unlike, 8, cudaMemcpyDeviceToHost));
		if (count && n_wrong < 40)
			printf("%s planes %u rows %u.. cols %u tokens %u shape %u: %llu of %llu unlike\n",
			       formats[f].name, planes, rows[0], cols, tokens, s, count,
			       (unsigned long long)p.out_count);
		n_wrong += count != 0;
	}
	cudaFree(want);
	cudaFree(unlike);
	free_problem(&p);
}

static void check_bits(void)
{
	static const uint32_t row_sets[][3] = {{1, 0, 0},    {7, 0, 0},   {8, 0, 0},   {9, 0, 0},
					       {63, 0, 0},   {65, 0, 0},  {130, 0, 0}, {896, 128, 128},
					       {257, 1, 64}, {1000, 0, 0}},
			      col_set[] = {32, 96, 224, 256, 288, 896, 1536, 4864},
			      token_set[] = {1, 2, 3, 4, 8, 9, 31, 65, 130, 300};
	uint32_t n = 0;
	for (uint32_t f = 0; f < N_FORMATS; f++)
		for (uint32_t planes = 1; planes <= 2;
		     planes++, printf("%s %llu\n", formats[f].name, n_wrong))
			for (uint32_t i = 0; i < 24 && (planes == 2 || formats[f].format != CUDA_F32); i++) {
				const uint32_t *rows = row_sets[(i * 3 + f) % 10];
				uint32_t cols = col_set[(i * 5 + i / 8) % 8];
				cols = (cols + formats[f].cols - 1) / formats[f].cols * formats[f].cols;
				check_problem(f, planes, rows[1] ? 3 : 1, rows, cols,
					      token_set[(i + i / 10) % 10], i % 2);
				n++;
			}
	printf("bits: %u problems, %llu wrong results\n", n, n_wrong);
}

struct model_shape {
	uint32_t rows, cols;
};

static int ascending(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return x < y ? -1 : x > y;
}

/* The median of five times `repeat` products. shape -1: what the host chooses. */
static float time_ms(const struct tile_product_args *a, int shape, uint32_t repeat)
{
	cudaEvent_t from, to;
	float all[5];
	CHECK(cudaEventCreate(&from));
	CHECK(cudaEventCreate(&to));
	for (uint32_t r = 0; r < 5; r++) {
		CHECK(cudaEventRecord(from));
		for (uint32_t i = 0; i < repeat; i++)
			CHECK(shape < 0 ? tile_product(a, 0) : tile_product_shaped(a, (uint32_t)shape, 0));
		CHECK(cudaEventRecord(to));
		CHECK(cudaEventSynchronize(to));
		CHECK(cudaEventElapsedTime(&all[r], from, to));
	}
	cudaEventDestroy(from);
	cudaEventDestroy(to);
	qsort(all, 5, sizeof all[0], ascending);
	return all[2] / (float)repeat;
}

/* TFLOP/s (of one plane) and GB/s of weights; per shape with `each`. */
static void time_model(const char *model, const struct model_shape *shapes, uint32_t n, uint32_t planes,
		       uint32_t tokens, const uint32_t *fs, uint32_t n_fs, bool each)
{
	for (uint32_t k = 0; k < n_fs; k++) {
		uint32_t f = fs[k];
		double total_ms = 0, total_flops = 0;
		for (uint32_t i = 0; i < n; i++) {
			if (shapes[i].cols % formats[f].cols)
				continue;
			struct problem p =
				make_problem(f, planes, 1, &shapes[i].rows, shapes[i].cols, tokens, false);
			double flops = 2.0 * shapes[i].rows * shapes[i].cols * tokens;
			uint32_t repeat = flops > 1e11 ? 5 : 20;
			float ms = time_ms(&p.a, -1, repeat);
			total_ms += ms;
			total_flops += flops;
			printf("%s %-4s tokens %4u %5ux%5u: %7.1f us %6.1f TFLOP/s %6.0f GB/s", model,
			       formats[f].name, tokens, shapes[i].rows, shapes[i].cols, ms * 1e3,
			       flops / ms * 1e-9, (double)tile_bytes(&p.a.part[0].w) / ms * 1e-6);
			for (int s = 0; each; s++) {
				cudaError_t e = tile_product_shaped(&p.a, (uint32_t)s, 0);
				if (e == cudaErrorInvalidValue)
					break;
				if (e == cudaErrorInvalidConfiguration)
					continue;
				printf(" %d:%.1f", s, time_ms(&p.a, s, repeat) * 1e3);
			}
			printf("\n");
			free_problem(&p);
		}
		printf("%s %-4s tokens %4u all: %.1f TFLOP/s\n", model, formats[f].name, tokens,
		       total_flops / total_ms * 1e-9);
	}
}

static void time_models(uint32_t tokens, bool each)
{
	static const struct model_shape small[] = {{1152, 896}, {896, 896}, {9728, 896}, {896, 4864}},
					large[] = {{4608, 3584}, {3584, 3584}, {37888, 3584}, {3584, 18944}};
	/* F16, BF16, Q8_0, IQ4_NL, Q4_K, Q6_K, Q2_K; F16, BF16, F32, Q8_0, Q5_0, IQ4_NL */
	static const uint32_t of_large[] = {0, 1, 3, 8, 9, 11, 12}, of_small[] = {0, 1, 2, 3, 6, 8};
	time_model("7B", large, 4, 1, tokens, of_large, 7, each);
	time_model("0.5B", small, 4, 2, tokens, of_small, 6, each);
}

static void run_one(char **argv)
{
	uint32_t v[6];
	for (int i = 0; i < 6; i++)
		v[i] = (uint32_t)atoi(argv[i]);
	struct problem p = make_problem(v[0], v[1], 1, &v[2], v[3], v[4], false);
	for (int i = 0; i < 3; i++)
		CHECK(tile_product_shaped(&p.a, v[5], 0));
	CHECK(cudaDeviceSynchronize());
	free_problem(&p);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		uint32_t first, last; /* tokens */
	} times[] = {{"long", 2048, 2048}, {"medium", 256, 512}, {"short", 2, 64}};
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && !strcmp(argv[1], "bits"))
		check_bits();
	if (argc > 7 && !strcmp(argv[1], "one"))
		run_one(argv + 2);
	for (uint32_t i = 0; argc > 1 && i < 3; i++)
		for (uint32_t tokens = times[i].first;
		     !strcmp(argv[1], times[i].name) && tokens <= times[i].last; tokens *= 2)
			time_models(tokens, argc > 2);
	return n_wrong != 0;
}
