/* What the kernels that measure share. */
#ifndef COMPUTE_CUDA_MEASURE_CUH
#define COMPUTE_CUDA_MEASURE_CUH

#include "compute/cuda/measure.h"
#include "compute/cuda/ptx.cuh"

/* Two halves of 1 to 2, either sign: zeros would take less power, and the sums stay small. */
static __device__ __forceinline__ uint32_t random_halves(uint32_t i)
{
	i = (i + 1) * 0x9E3779B1u;
	i = (i ^ i >> 15) * 0x85EBCA77u;
	return ((i ^ i >> 13) & 0x83FF83FFu) | 0x3C003C00u;
}

#endif
