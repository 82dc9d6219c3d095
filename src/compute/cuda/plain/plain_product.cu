/*
 * Products of activations with a weight matrix of any format, and rows of the embedding.
 *
 * A warp owns whole rows of the weight. Lane l takes the eights (of elements, plain_unpack.cuh) l, l + 32, ... in
 * order, with one sum for the first four elements of each and one for the last four; then lanes are added in
 * a tree (16, 8, 4, 2, 1). That order depends on the format and the number of columns alone: how many tokens
 * share the weights in registers is a template parameter that leaves every token's sum as it is.
 */
#include "compute/cuda/plain/plain_unpack.cuh"

namespace
{

enum { WARPS = 4, WIDE_TOKENS = 8, WIDE_ROWS = 2 };

/* Adds each of N values over the lanes of a warp in the tree (16, 8, 4, 2, 1). At first each step also halves
 * the number of values a lane cares for; afterwards lane l holds the sum of value l / (32 / N). */
template <int N> __device__ __forceinline__ float add_lanes(float *v)
{
	uint32_t lane = threadIdx.x % 32;
	int bit = 16;
#pragma unroll
	for (int n = N / 2; n >= 1; n /= 2, bit /= 2) {
		bool upper = lane & (uint32_t)bit;
#pragma unroll
		for (int i = 0; i < n; i++) {
			float give = upper ? v[i] : v[i + n], keep = upper ? v[i + n] : v[i];
			v[i] = keep + __shfl_xor_sync(FULL_WARP, give, bit);
		}
	}
#pragma unroll
	for (; bit >= 1; bit /= 2)
		v[0] = v[0] + __shfl_xor_sync(FULL_WARP, v[0], bit);
	return v[0];
}

template <int FORMAT, int ROWS, int TOKENS>
__global__ void __launch_bounds__(WARPS * 32) product_kernel(const struct plain_product_args a)
{
	uint32_t lane = threadIdx.x % 32, row = (blockIdx.x * WARPS + threadIdx.x / 32) * ROWS;
	uint32_t first = blockIdx.y * TOKENS;
	if (row >= a.w.rows)
		return;
	uint32_t n_eights = (a.w.cols + 7) / 8; /* blocks are whole eights; a float row is padded with zeros */
	float sums[ROWS * TOKENS][2] = {};
	for (uint32_t u = lane; u < n_eights; u += 32) {
		struct eight w[ROWS];
#pragma unroll
		for (int r = 0; r < ROWS; r++) {
			uint32_t at = row + (uint32_t)r < a.w.rows ? row + (uint32_t)r : row;
			load8<FORMAT>(a.w.main + at * a.w.main_pitch, a.w.side + at * a.w.side_pitch, u,
				      &w[r]);
		}
#pragma unroll
		for (int t = 0; t < TOKENS; t++) {
			if (first + (uint32_t)t >= a.n_tokens)
				break;
			const float *x = a.x + (uint64_t)(first + (uint32_t)t) * a.x_pitch;
			float4 p = *reinterpret_cast<const float4 *>(x + w[0].a);
			float4 q = *reinterpret_cast<const float4 *>(x + w[0].b);
#pragma unroll
			for (int r = 0; r < ROWS; r++) {
				float *sum = sums[r * TOKENS + t];
				sum[0] = fmaf(w[r].w[0], p.x, sum[0]);
				sum[1] = fmaf(w[r].w[4], q.x, sum[1]);
				sum[0] = fmaf(w[r].w[1], p.y, sum[0]);
				sum[1] = fmaf(w[r].w[5], q.y, sum[1]);
				sum[0] = fmaf(w[r].w[2], p.z, sum[0]);
				sum[1] = fmaf(w[r].w[6], q.z, sum[1]);
				sum[0] = fmaf(w[r].w[3], p.w, sum[0]);
				sum[1] = fmaf(w[r].w[7], q.w, sum[1]);
			}
		}
	}
	float totals[ROWS * TOKENS];
#pragma unroll
	for (int i = 0; i < ROWS * TOKENS; i++)
		totals[i] = sums[i][0] + sums[i][1];
	float y = add_lanes<ROWS * TOKENS>(totals);

	const uint32_t lanes_per_value = 32 / (ROWS * TOKENS);
	uint32_t value = lane / lanes_per_value, token = first + value % TOKENS;
	row += value / TOKENS;
	if (lane % lanes_per_value || token >= a.n_tokens || row >= a.w.rows)
		return;
	float *out = a.out + (uint64_t)token * a.out_pitch + row;
	if (a.bias)
		y = y + a.bias[row];
	*out = a.add ? *out + y : y;
}

template <int FORMAT> void launch_product(const struct plain_product_args *a, cudaStream_t stream)
{
	if (a->n_tokens == 1) {
		void (*kernel)(struct plain_product_args) = product_kernel<FORMAT, 1, 1>;
		LAUNCH(kernel, dim3((a->w.rows + WARPS - 1) / WARPS), dim3(WARPS * 32), 0, stream, *a);
	} else {
		void (*kernel)(struct plain_product_args) = product_kernel<FORMAT, WIDE_ROWS, WIDE_TOKENS>;
		dim3 grid((a->w.rows + WARPS * WIDE_ROWS - 1) / (WARPS * WIDE_ROWS),
			  (a->n_tokens + WIDE_TOKENS - 1) / WIDE_TOKENS);
		LAUNCH(kernel, grid, dim3(WARPS * 32), 0, stream, *a);
	}
}

/* A block a token. */
template <int FORMAT> __global__ void embed_kernel(const struct plain_embed_args a)
{
	uint64_t row = (uint64_t)a.tokens[blockIdx.x].id;
	const struct plain_matrix *e = &a.embedding;
	float *x = a.x + (uint64_t)blockIdx.x * a.pitch;
	for (uint32_t u = threadIdx.x; u < (e->cols + 7) / 8; u += blockDim.x) {
		struct eight w;
		load8<FORMAT>(e->main + row * e->main_pitch, e->side + row * e->side_pitch, u, &w);
#pragma unroll
		for (uint32_t j = 0; j < 8; j++) {
			uint32_t column = j < 4 ? w.a + j : w.b + j - 4;
			if (column < e->cols)
				x[column] = w.w[j] * a.scale;
		}
	}
}

template <int FORMAT> void launch_embed(const struct plain_embed_args *a, cudaStream_t stream)
{
	void (*kernel)(struct plain_embed_args) = embed_kernel<FORMAT>;
	LAUNCH(kernel, dim3(a->n_tokens), dim3(128), 0, stream, *a);
}

} // namespace

#define PRODUCT_CASE(name)                              \
	case CUDA_##name:                               \
		launch_product<CUDA_##name>(a, stream); \
		break;
#define EMBED_CASE(name)                              \
	case CUDA_##name:                             \
		launch_embed<CUDA_##name>(a, stream); \
		break;

cudaError_t plain_product(const struct plain_product_args *a, cudaStream_t stream)
{
	switch (a->w.format) {
		CUDA_FORMATS(PRODUCT_CASE)
	default:
		return cudaErrorInvalidValue;
	}
	return cudaGetLastError();
}

cudaError_t plain_embed(const struct plain_embed_args *a, cudaStream_t stream)
{
	switch (a->embedding.format) {
		CUDA_FORMATS(EMBED_CASE)
	default:
		return cudaErrorInvalidValue;
	}
	return cudaGetLastError();
}
