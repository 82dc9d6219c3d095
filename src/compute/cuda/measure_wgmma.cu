/* Products by warpgroups, which alone reach a Hopper's full rate. */
#include "compute/cuda/measure.cuh"
#include "compute/cuda/sm90.cuh"

namespace
{

enum { GROUPS = 2, N = 192, K16S = 4 };

struct multiply_shared {
	uint32_t x[N * 32]; /* (N, 64) halves, swizzled or not: they are random */
};

/* A warpgroup multiplies its own 64 x 64 by the same N x 64. */
__global__ void __launch_bounds__(GROUPS * 128) multiply_wgmma_kernel(const struct multiply_args a)
{
	SHARED(struct multiply_shared, raw);
	unsigned char *bytes = reinterpret_cast<unsigned char *>(raw);
	bytes += (1024 - shared_offset(bytes) % 1024) % 1024;
	uint32_t *x = reinterpret_cast<uint32_t *>(bytes);
	wgmma_box box = wgmma_box_of(place_in_shared(bytes));
	float d[N / 2];
	uint32_t w[K16S][8];
	for (uint32_t i = threadIdx.x; i < N * 32; i += GROUPS * 128)
		x[i] = random_halves(i);
#pragma unroll
	for (uint32_t i = 0; i < K16S * 8; i++)
		w[i / 8][i % 8] = random_halves(threadIdx.x * 32 + i);
#pragma unroll
	for (int i = 0; i < N / 2; i++)
		d[i] = 0;
	shared_written();
	__syncthreads();
	for (uint32_t r = 0; r < a.rounds; r++) {
#pragma unroll
		for (int k = 0; k < K16S; k++)
			wgmma_operand(w[k]);
		wgmma_fence();
#pragma unroll
		for (int k = 0; k < K16S; k++)
			wgmma<N>(d, w[k], wgmma_box_plus(box, 32 * k), true);
		wgmma_commit();
		wgmma_wait<0>();
	}
	wgmma_settle<N>(d);
	float sum = 0;
#pragma unroll
	for (int i = 0; i < N / 2; i++)
		sum += d[i];
	if (sum != sum)
		*a.out = sum;
}

} // namespace

cudaError_t cuda_multiply_wgmma(const struct multiply_args *a, cudaStream_t stream)
{
	LAUNCH(multiply_wgmma_kernel, dim3(a->n_blocks), dim3(GROUPS * 128), sizeof(struct multiply_shared) + 1024, stream,
	       *a);
	return cudaGetLastError();
}
