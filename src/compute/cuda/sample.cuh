/* The arithmetic of drawing a token (docs/sampling.md), shared by the sampler and the decode kernel. */
#ifndef COMPUTE_CUDA_SAMPLE_CUH
#define COMPUTE_CUDA_SAMPLE_CUH

#include "compute/cuda/ptx.cuh"

#define LARGEST_FLOAT 3.402823466e+38f
#define EXP_MIN       -28.0f /* below it a weight is under 2^-40 and counts as 0 */

static __device__ __forceinline__ float clean(float v)
{
	v = v != v ? -INFINITY : v;
	return v > LARGEST_FLOAT ? LARGEST_FLOAT : v;
}

/* exp(d) for EXP_MIN <= d <= 0; every operation is rounded on its own. */
static __device__ __forceinline__ float weight_exp(float d)
{
	float k = (d * 1.44269504f + 12582912.0f) - 12582912.0f;
	float r = d - k * 0.693359375f;
	r = r - k * -2.12194440e-4f;
	float p = 1.9875691500e-4f;
	p = p * r + 1.3981999507e-3f;
	p = p * r + 8.3334519073e-3f;
	p = p * r + 4.1665795894e-2f;
	p = p * r + 1.6666665459e-1f;
	p = p * r + 5.0000001201e-1f;
	p = p * (r * r) + r + 1.0f;
	return p * __uint_as_float((uint32_t)((int32_t)k + 127) << 23);
}

static __device__ __forceinline__ float weight_of(float x, float largest, float temperature)
{
	float d = (x - largest) / temperature;
	return d < EXP_MIN ? 0.0f : weight_exp(d);
}

static __device__ __forceinline__ unsigned long long units_of(float weight)
{
	return (unsigned long long)(long long)(weight * 1099511627776.0f); /* 2^40 */
}

/* sum: units of all tokens at temperature 1. */
static __device__ __forceinline__ float logprob_of(float logit, float largest, unsigned long long sum)
{
	double log_sum = log((double)sum * 9.094947017729282379150390625e-13); /* 2^-40 */
	return (float)((double)(logit - largest) - log_sum);
}

#endif
