/* What the device's sampler and the decode kernel draw tokens by (compute/weight.h). */
#ifndef COMPUTE_CUDA_SAMPLE_CUH
#define COMPUTE_CUDA_SAMPLE_CUH

#include "compute/cuda/ptx.cuh"
#include "compute/weight.h"

static __device__ __forceinline__ float weight_of(float x, float largest, float temperature)
{
	float d = (x - largest) / temperature;
	return d < WEIGHT_EXP_MIN ? 0.0f : weight_exp(d);
}

#endif
