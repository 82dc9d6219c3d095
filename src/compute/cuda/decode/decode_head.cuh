/*
 * The end of the decode kernel (decode_kernel.cuh). A greedy draw without penalties is made here, by all
 * blocks together; every other draw is the sampler's (sample.cu), from the logits.
 */
#ifndef COMPUTE_CUDA_DECODE_HEAD_CUH
#define COMPUTE_CUDA_DECODE_HEAD_CUH

#include "compute/cuda/decode/decode_attention.cuh"

namespace
{

struct best {
	float logit; /* logit_clean() of it */
	uint32_t id;
};

__device__ __forceinline__ void keep_better(struct best *a, float logit, uint32_t id)
{
	if (logit > a->logit || (logit == a->logit && id < a->id)) {
		a->logit = logit;
		a->id = id;
	}
}

/* The likeliest over the block, for all threads. Begins and ends with a barrier. */
__device__ __forceinline__ void block_best(const struct block *b, struct best *own)
{
	for (int bit = 16; bit >= 1; bit /= 2) {
		float logit = __shfl_xor_sync(FULL_WARP, own->logit, bit);
		uint32_t id = __shfl_xor_sync(FULL_WARP, own->id, bit);
		keep_better(own, logit, id);
	}
	float *logits = reinterpret_cast<float *>(shared_reduce(b));
	uint32_t *ids = reinterpret_cast<uint32_t *>(shared_reduce(b)) + DECODE_WARPS;
	sync_workers();
	if (b->lane == 0) {
		logits[b->warp] = own->logit;
		ids[b->warp] = own->id;
	}
	sync_workers();
	for (uint32_t w = 0; w < DECODE_WARPS; w++)
		keep_better(own, logits[w], ids[w]);
	sync_workers();
}

__device__ __forceinline__ unsigned long long block_grains(const struct block *b, unsigned long long v)
{
	for (int bit = 16; bit >= 1; bit /= 2)
		v += __shfl_xor_sync(FULL_WARP, v, bit);
	if (b->lane == 0)
		shared_reduce(b)[b->warp] = v;
	sync_workers();
	v = 0;
	for (uint32_t w = 0; w < DECODE_WARPS; w++)
		v += shared_reduce(b)[w];
	sync_workers();
	return v;
}

/* The block's rows of the output matrix: from *first on, n. */
__device__ __forceinline__ uint32_t own_rows(const struct block *b, uint32_t *first)
{
	const struct decode_stint *stints = shared_stints(b);
	uint32_t i = b->stint - 1, end;
	if (stints[i].n_tiles == 0)
		return 0;
	end = (stints[i].tile + stints[i].n_tiles) * TILE_ROWS;
	while (stints[i - 1].matrix == stints[i].matrix)
		i--;
	*first = stints[i].tile * TILE_ROWS;
	return least(end, b->a->n_vocab) - *first;
}

__device__ __forceinline__ uint32_t await_value(const uint64_t *p, uint32_t tag)
{
	return __float_as_uint(await_tagged(p, tag));
}

__device__ __forceinline__ void draw_greedy(const struct block *b)
{
	const struct decode_args *a = b->a;
	uint64_t *mine = a->tagged + 4 * blockIdx.x;
	uint32_t t = b->thread, first = 0, n = own_rows(b, &first);
	struct best own = {-INFINITY, CUDA_NOTHING};
	sync_workers(); /* all rows are written */
	for (uint32_t i = t; i < n; i += WORKERS)
		keep_better(&own, logit_clean(a->logits[first + i]), first + i);
	block_best(b, &own);
	if (t == 0) {
		store_tagged(mine, __float_as_uint(own.logit), a->launch);
		store_tagged(mine + 1, own.id, a->launch);
	}
	for (uint32_t i = t; i < gridDim.x; i += WORKERS)
		keep_better(&own, __uint_as_float(await_value(a->tagged + 4 * i, a->launch)),
			    await_value(a->tagged + 4 * i + 1, a->launch));
	block_best(b, &own);
	bool none = !(own.logit > -INFINITY);
	unsigned long long sum = 0;
	for (uint32_t i = t; i < n && !none; i += WORKERS)
		sum += weight_grains(weight_of(logit_clean(a->logits[first + i]), own.logit, 1.0f));
	sum = block_grains(b, sum);
	if (t == 0) {
		store_tagged(mine + 2, (uint32_t)sum, a->launch);
		store_tagged(mine + 3, (uint32_t)(sum >> 32), a->launch);
	}
	if (blockIdx.x)
		return;
	sum = 0;
	for (uint32_t i = t; i < gridDim.x; i += WORKERS)
		sum += await_value(a->tagged + 4 * i + 2, a->launch) |
		       (unsigned long long)await_value(a->tagged + 4 * i + 3, a->launch) << 32;
	sum = block_grains(b, sum);
	if (t)
		return;
	a->drawn->token = none ? -1 : (int32_t)own.id;
	a->drawn->logprob = none ? -INFINITY : weight_logprob(own.logit, own.logit, sum);
}

} // namespace
#endif
