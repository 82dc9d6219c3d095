/*
 * The CUDA C language for builds on the emulator: what a .cu file sees in place of nvcc's own header, so that
 * g++ compiles the very same file. exec.cpp runs what is launched; docs/decisions/0021 says what is true to
 * the device and what is not.
 */
#ifndef CUDASIM_CUDA_RUNTIME_H
#define CUDASIM_CUDA_RUNTIME_H

#include "cuda_runtime_api.h"

#ifdef __cplusplus
#include <math.h>
#include <stdint.h>
#include <string.h>

#define __global__ static
#define __device__
#define __host__
#define __forceinline__ inline /* what a device must have in one piece would take the compiler minutes */
#define __restrict__ __restrict
#define __launch_bounds__(...)

struct dim3 {
	unsigned x, y, z;
	dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
	{
	}
};
struct alignas(8) float2 {
	float x, y;
};
struct alignas(16) float4 {
	float x, y, z, w;
};
struct alignas(16) ulonglong2 {
	unsigned long long x, y;
};
struct alignas(8) uint2 {
	unsigned x, y;
};
struct alignas(16) uint4 {
	unsigned x, y, z, w;
};
static inline float2 make_float2(float x, float y)
{
	return {x, y};
}
static inline uint2 make_uint2(unsigned x, unsigned y)
{
	return {x, y};
}
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w)
{
	return {x, y, z, w};
}

/* ---- the thread that runs now ---- */

struct cudasim_thread {
	dim3 thread;
	unsigned lane;
};
extern "C" {
extern struct cudasim_thread *cudasim_now;
extern dim3 cudasim_block, cudasim_block_dim, cudasim_grid_dim;

void cudasim_syncthreads(void);
void cudasim_syncwarp(unsigned mask);
/* A barrier with a number, of n_threads threads of the block. */
void cudasim_barrier(unsigned id, unsigned n_threads);
/* Gives value to the warp; returns what the lane `from` gave. */
uint64_t cudasim_shuffle(unsigned mask, uint64_t value, unsigned from);
/* The same, but returns what all lanes gave; it stays as it is until this lane's next shuffle but one. */
const uint64_t *cudasim_gather(unsigned mask, uint64_t value);
unsigned cudasim_ballot(unsigned mask, bool set);
void *cudasim_shared(void);
unsigned cudasim_cluster(void); /* blocks of the running kernel's clusters */
/* Lets other threads run, of other warps first: for one that waits for what they write. */
void cudasim_yield(void);

/* Queues the launch; body runs once for each thread with a copy of args (n_args bytes, 512 at most). */
void cudasim_set_cluster(unsigned n);
void cudasim_launch(const char *name, dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t s,
		    void (*body)(const void *kernel, const void *args), const void *kernel, const void *args,
		    size_t n_args);
}

#define threadIdx (cudasim_now->thread)
#define blockIdx  cudasim_block
#define blockDim  cudasim_block_dim
#define gridDim   cudasim_grid_dim

static inline void __syncthreads(void)
{
	cudasim_syncthreads();
}
static inline void __syncwarp(unsigned mask = 0xFFFFFFFFu)
{
	cudasim_syncwarp(mask);
}
static inline unsigned __ballot_sync(unsigned mask, int predicate)
{
	return cudasim_ballot(mask, predicate != 0);
}

static inline int __any_sync(unsigned mask, int predicate)
{
	return cudasim_ballot(mask, predicate != 0) != 0;
}

template <typename T> static inline uint64_t cudasim_pack(T v)
{
	uint64_t bits = 0;
	memcpy(&bits, &v, sizeof v);
	return bits;
}
template <typename T> static inline T cudasim_unpack(uint64_t bits)
{
	T v;
	memcpy(&v, &bits, sizeof v);
	return v;
}
template <typename T> static inline T __shfl_sync(unsigned mask, T v, int from)
{
	return cudasim_unpack<T>(cudasim_shuffle(mask, cudasim_pack(v), (unsigned)from & 31));
}
template <typename T> static inline T __shfl_xor_sync(unsigned mask, T v, int bits)
{
	return cudasim_unpack<T>(
		cudasim_shuffle(mask, cudasim_pack(v), (cudasim_now->lane ^ (unsigned)bits) & 31));
}
template <typename T> static inline T __shfl_up_sync(unsigned mask, T v, unsigned delta)
{
	unsigned lane = cudasim_now->lane;
	return cudasim_unpack<T>(cudasim_shuffle(mask, cudasim_pack(v), lane >= delta ? lane - delta : lane));
}

/* One thread runs at a time, so plain operations are atomic. */
template <typename T> static inline T atomicAdd(T *p, T v)
{
	T old = *p;
	*p = old + v;
	return old;
}
static inline unsigned atomicExch(unsigned *p, unsigned v)
{
	unsigned old = *p;
	*p = v;
	return old;
}
static inline unsigned atomicMin(unsigned *p, unsigned v)
{
	unsigned old = *p;
	*p = v < old ? v : old;
	return old;
}

static inline float __uint_as_float(unsigned bits)
{
	return cudasim_unpack<float>(bits);
}
static inline unsigned __float_as_uint(float f)
{
	return (unsigned)cudasim_pack(f);
}
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b)
{
	return (unsigned long long)((unsigned __int128)a * b >> 64);
}
static inline int __ffs(int v)
{
	return __builtin_ffs(v);
}
static inline int __popc(unsigned v)
{
	return __builtin_popcount(v);
}

#endif
#endif
