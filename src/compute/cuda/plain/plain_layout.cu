/* Rows as the file has them to the arrays of plain_layout.h. */
#include "compute/cuda/plain/plain_kernels.h"
#include "compute/cuda/ptx.cuh"

namespace
{

enum { THREADS = 256 };

/* A thread two bytes of a row: of its main array, then of its side array. */
__global__ void layout_kernel(const struct plain_layout_args a)
{
	uint64_t width = (a.m.main_pitch + a.m.side_pitch) / 2, i = (uint64_t)blockIdx.x * THREADS + threadIdx.x;
	if (i >= width * a.n)
		return;
	uint32_t row = (uint32_t)(i / width), at = (uint32_t)(i % width) * 2, block, from;
	uint8_t *to;
	if (at < a.m.main_pitch) {
		uint32_t in_block = at % (a.main_bytes[0] + a.main_bytes[1]);
		block = at / (a.main_bytes[0] + a.main_bytes[1]);
		from = in_block < a.main_bytes[0] ? a.main_from[0] + in_block
						  : a.main_from[1] + in_block - a.main_bytes[0];
		to = const_cast<uint8_t *>(a.m.main) + (a.first + row) * a.m.main_pitch + at;
	} else {
		at -= (uint32_t)a.m.main_pitch;
		block = at / a.side_bytes;
		from = a.side_from + at % a.side_bytes;
		to = const_cast<uint8_t *>(a.m.side) + (a.first + row) * a.m.side_pitch + at;
	}
	uint16_t two = 0; /* beyond the last block: the padding of rows of plain floats */
	if (block < a.n_blocks)
		two = *reinterpret_cast<const uint16_t *>(a.rows + row * a.row_bytes +
							  (uint64_t)block * a.block_bytes + from);
	*reinterpret_cast<uint16_t *>(to) = two;
}

} // namespace

cudaError_t plain_layout(const struct plain_layout_args *a, cudaStream_t stream)
{
	uint64_t n = (a->m.main_pitch + a->m.side_pitch) / 2 * a->n;
	LAUNCH(layout_kernel, dim3((unsigned)((n + THREADS - 1) / THREADS)), dim3(THREADS), 0, stream, *a);
	return cudaGetLastError();
}
