/* Tensor-core products on the emulator. */
#ifndef CUDASIM_PRODUCTS_H
#define CUDASIM_PRODUCTS_H

#include <stdint.h>

extern "C" {

/* What a lane brings to a product of its warp (mma.sync m16n8k16, ptx.cuh) and takes from it. */
struct cudasim_mma {
	uint32_t a[4], b[2];
	float *d;
	bool done;
};

/* Computes for all 32 lanes, whose parts the words point at, unless that was done. */
void cudasim_mma_warp(const uint64_t *parts, struct cudasim_mma *own);

/* What a lane brings to its warp's part of a warpgroup's product (wgmma m64nNk16, sm90.cuh): columns 2t, 2t +
 * 1 of its two rows, then columns 2t + 8, 2t + 9; and its N / 2 sums. */
struct cudasim_wgmma {
	const uint32_t *a;
	float *d;
	bool done;
};

/* As cudasim_mma_warp; the box is read now, by each warp at its own time. */
void cudasim_wgmma_warp(const uint64_t *parts, struct cudasim_wgmma *own, uint32_t n, uintptr_t box,
			bool add);
}

#endif
