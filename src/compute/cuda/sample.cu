/*
 * Drawing a token, one block a sequence: compute/sample.c's stages with the same bits (docs/sampling.md).
 * Sums are sums of whole numbers, so threads share them in any order; nothing is sorted and no list of
 * candidates is kept: a candidate is what lies before a limit in the order (logit descending, id ascending),
 * and weights are computed again where they are needed, which is cheaper than their memory.
 */
#include "base/rng.h"
#include "compute/cuda/kernels.h"
#include "compute/cuda/ptx.cuh"
#include "compute/cuda/sample.cuh"

namespace
{

enum {
	MAX_WARPS = 32,
	BUCKETS = 2048,
	FEW_THREADS = 128, /* for vocabularies of up to FEW_TOKENS */
	MANY_THREADS = 1024,
	FEW_TOKENS = 4096,
};

/* The tokens before a limit: all with a larger key, and of those with this key the ids up to id. */
struct limit {
	uint32_t key, id;
};

struct sample_shared {
	unsigned long long buckets[BUCKETS];
	unsigned long long sums[MAX_WARPS];
	float tops[MAX_WARPS];
	unsigned long long target; /* what is left of it in the bucket that was found */
	uint32_t bucket, id;
};

/* A draw under way; every thread has the same. */
struct draw {
	struct sample_shared *s;
	struct cuda_draw p;
	/* where the history lies: kept, told, of the step */
	uint32_t *kept;
	const uint32_t *told;
	const struct cuda_token *tokens;
	float *x;
	uint32_t *counts;
	uint32_t n, from, to; /* ids of this thread's warp: from .. to - 1 */
	float largest, temperature, min_p;
	struct limit limit;
};

__device__ __forceinline__ bool inside(struct limit limit, float x, uint32_t id)
{
	uint32_t key = logit_key(x);
	return key > limit.key || (key == limit.key && id <= limit.id);
}

/* Sums over the block; ends with a barrier that makes s->sums free again. */
__device__ __forceinline__ unsigned long long block_sum(struct sample_shared *s, unsigned long long v)
{
	for (int bit = 16; bit >= 1; bit /= 2)
		v += __shfl_xor_sync(FULL_WARP, v, bit);
	if (threadIdx.x % 32 == 0)
		s->sums[threadIdx.x / 32] = v;
	__syncthreads();
	v = 0;
	for (uint32_t w = 0; w < blockDim.x / 32; w++)
		v += s->sums[w];
	__syncthreads();
	return v;
}

__device__ __forceinline__ float block_max(struct sample_shared *s, float v)
{
	for (int bit = 16; bit >= 1; bit /= 2)
		v = fmaxf(v, __shfl_xor_sync(FULL_WARP, v, bit));
	if (threadIdx.x % 32 == 0)
		s->tops[threadIdx.x / 32] = v;
	__syncthreads();
	for (uint32_t w = 0; w < blockDim.x / 32; w++)
		v = fmaxf(v, s->tops[w]);
	__syncthreads();
	return v;
}

__device__ float largest_of(const struct draw *d)
{
	float top = -INFINITY;
	for (uint32_t i = threadIdx.x; i < d->n; i += blockDim.x)
		top = fmaxf(top, d->x[i]);
	return block_max(d->s, top);
}

__device__ void apply_mask(const struct draw *d, const uint32_t *mask)
{
	for (uint32_t i = threadIdx.x; i < d->n; i += blockDim.x)
		if (!(mask[i / 32] >> (i % 32) & 1))
			d->x[i] = -INFINITY;
	__syncthreads();
}

/* The first entry of a token adds all entries of it, in their order. */
__device__ void apply_bias(const struct draw *d, const uint32_t *pairs)
{
	for (uint32_t i = threadIdx.x; i < d->p.n_bias; i += blockDim.x) {
		uint32_t id = pairs[2 * i];
		bool first = id < d->n;
		for (uint32_t j = 0; j < i && first; j++)
			first = pairs[2 * j] != id;
		if (!first)
			continue;
		float v = d->x[id];
		for (uint32_t j = i; j < d->p.n_bias; j++)
			if (pairs[2 * j] == id)
				v = logit_clean(v + __uint_as_float(pairs[2 * j + 1]));
		d->x[id] = v;
	}
	__syncthreads();
}

__device__ __forceinline__ uint32_t history_at(const struct draw *d, uint32_t i)
{
	if (i < d->p.n_kept)
		return d->kept[i];
	return i < d->p.n_told ? d->told[i - d->p.n_kept] : (uint32_t)d->tokens[i - d->p.n_told].id;
}

/* What was told of the history need not be told again. */
__device__ void keep_history(const struct draw *d)
{
	for (uint32_t i = d->p.n_kept + threadIdx.x; i < d->p.n_history && d->p.kept; i += blockDim.x)
		d->kept[i] = history_at(d, i);
}

__device__ void apply_repetition(const struct draw *d)
{
	for (uint32_t i = threadIdx.x; i < d->p.n_history; i += blockDim.x) {
		uint32_t id = history_at(d, i);
		if (id >= d->n || atomicAdd(&d->counts[id], 1u))
			continue;
		float v = d->x[id];
		d->x[id] = logit_clean(v > 0 ? v / d->p.repetition_penalty : v * d->p.repetition_penalty);
	}
	__syncthreads();
	for (uint32_t i = threadIdx.x; i < d->p.n_history; i += blockDim.x) {
		uint32_t id = history_at(d, i);
		if (id < d->n)
			d->counts[id] = 0;
	}
	__syncthreads();
}

__device__ void apply_frequency(const struct draw *d)
{
	for (uint32_t i = d->p.n_prompt + threadIdx.x; i < d->p.n_history; i += blockDim.x) {
		uint32_t id = history_at(d, i);
		if (id < d->n)
			atomicAdd(&d->counts[id], 1u);
	}
	__syncthreads();
	for (uint32_t i = d->p.n_prompt + threadIdx.x; i < d->p.n_history; i += blockDim.x) {
		uint32_t id = history_at(d, i),
			 count = id < d->n ? atomicExch(&d->counts[id], 0u) : 0;
		if (count == 0)
			continue;
		float v = d->x[id] - (float)count * d->p.frequency_penalty;
		d->x[id] = logit_clean(v - d->p.presence_penalty);
	}
	__syncthreads();
}

/* The stages that change single logits; true if any ran. */
__device__ bool adjust(const struct draw *d, const uint32_t *words)
{
	bool changed = false;
	if (d->p.mask != CUDA_NOTHING) {
		apply_mask(d, words + d->p.mask);
		changed = true;
	}
	if (d->p.n_bias) {
		apply_bias(d, words + d->p.bias);
		changed = true;
	}
	if (d->p.repetition_penalty != 1 && d->p.n_history) {
		apply_repetition(d);
		changed = true;
	}
	if ((d->p.frequency_penalty != 0 || d->p.presence_penalty != 0) && d->p.n_history > d->p.n_prompt) {
		apply_frequency(d);
		changed = true;
	}
	return changed;
}

/* What a token counts in a search: nothing outside the limit; its grains, or 1. */
__device__ __forceinline__ unsigned long long count_of(const struct draw *d, uint32_t i, bool weighted)
{
	float x = d->x[i];
	if (!inside(d->limit, x, i))
		return 0;
	return weighted ? weight_grains(weight_of(x, d->largest, d->temperature)) : 1;
}

/* The highest bucket with which the sum from the top reaches the target, into s->bucket; s->target becomes
 * what that bucket itself must give. By the first warp: lane l has a run of buckets, the highest ones first.
 */
__device__ void find_bucket(struct sample_shared *s, uint32_t n_buckets)
{
	uint32_t lane = threadIdx.x, each = n_buckets / 32, top = n_buckets - 1 - lane * each;
	unsigned long long target = s->target, own = 0, before;
	for (uint32_t i = 0; i < each; i++)
		own += s->buckets[top - i];
	before = own;
	for (uint32_t step = 1; step < 32; step *= 2) {
		unsigned long long lower = __shfl_up_sync(FULL_WARP, before, step);
		if (lane >= step)
			before += lower;
	}
	before -= own;
	__syncwarp();
	if (before >= target || before + own < target)
		return;
	target -= before;
	uint32_t bucket = top;
	while (s->buckets[bucket] < target)
		target -= s->buckets[bucket--];
	s->bucket = bucket;
	s->target = target;
}

/* The id of the n-th (from 1) of the tokens inside the limit that have this key. */
__device__ uint32_t find_tie(const struct draw *d, uint32_t key, unsigned long long n)
{
	uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
	unsigned long long own = 0;
	for (uint32_t base = d->from; base < d->to; base += 32) {
		uint32_t i = base + lane;
		bool tie = i < d->to && logit_key(d->x[i]) == key && inside(d->limit, d->x[i], i);
		own += (unsigned)__popc(__ballot_sync(FULL_WARP, tie));
	}
	if (lane == 0)
		d->s->sums[warp] = own;
	__syncthreads();
	unsigned long long before = 0;
	for (uint32_t w = 0; w < warp; w++)
		before += d->s->sums[w];
	if (before < n && n <= before + own)
		for (uint32_t base = d->from; base < d->to; base += 32) {
			uint32_t i = base + lane;
			bool tie = i < d->to && logit_key(d->x[i]) == key && inside(d->limit, d->x[i], i);
			unsigned ties = __ballot_sync(FULL_WARP, tie);
			unsigned rank = (unsigned)__popc(ties & ((2u << lane) - 1));
			if (tie && before + rank == n)
				d->s->id = i;
			before += (unsigned)__popc(ties);
		}
	__syncthreads();
	uint32_t id = d->s->id;
	__syncthreads();
	return id;
}

/* The limit of the shortest beginning whose grains (or, not weighted, whose number) reach target. */
__device__ struct limit find_limit(const struct draw *d, bool weighted, unsigned long long target)
{
	struct sample_shared *s = d->s;
	uint32_t key = 0;
	if (threadIdx.x == 0)
		s->target = target;
	for (int digit = 0; digit < 3; digit++) {
		uint32_t shift = digit == 0 ? 21 : digit == 1 ? 10 : 0, n_buckets = digit < 2 ? 2048 : 1024;
		for (uint32_t i = threadIdx.x; i < n_buckets; i += blockDim.x)
			s->buckets[i] = 0;
		__syncthreads();
		for (uint32_t i = threadIdx.x; i < d->n; i += blockDim.x) {
			uint32_t k = logit_key(d->x[i]);
			if (digit && k >> (digit == 1 ? 21 : 10) != key >> (digit == 1 ? 21 : 10))
				continue;
			unsigned long long count = count_of(d, i, weighted);
			if (count)
				atomicAdd(&s->buckets[k >> shift & (n_buckets - 1)], count);
		}
		__syncthreads();
		if (threadIdx.x < 32)
			find_bucket(s, n_buckets);
		__syncthreads();
		key |= s->bucket << shift;
	}
	/* All tokens of this key have the same logit, so the same grains. */
	uint32_t bits = key & 0x80000000u ? key ^ 0x80000000u : ~key;
	unsigned long long each =
		weighted ? weight_grains(weight_of(__uint_as_float(bits), d->largest, d->temperature)) : 1;
	struct limit found;
	found.key = key;
	found.id = find_tie(d, key, (s->target + each - 1) / each);
	return found;
}

/* The grains with which a token takes part in the draw. */
__device__ __forceinline__ unsigned long long draw_grains(const struct draw *d, uint32_t i)
{
	float x = d->x[i];
	if (!inside(d->limit, x, i))
		return 0;
	float w = weight_of(x, d->largest, d->temperature);
	return w < d->min_p ? 0 : weight_grains(w);
}

/* The first two words of the draw's. */
__device__ unsigned long long random_64(uint64_t seed, uint64_t pos)
{
	uint32_t words[4];
	rng_words(seed, RNG_STREAM_SAMPLER, pos, words);
	return (unsigned long long)words[0] << 32 | words[1];
}

/* The token in whose grains, walked in the order of ids, the random point lies. */
__device__ uint32_t draw_point(const struct draw *d)
{
	uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
	unsigned long long own = 0, sum = 0, before = 0;
	for (uint32_t i = d->from + lane; i < d->to; i += 32)
		own += draw_grains(d, i);
	for (int bit = 16; bit >= 1; bit /= 2)
		own += __shfl_xor_sync(FULL_WARP, own, bit);
	if (lane == 0)
		d->s->sums[warp] = own;
	__syncthreads();
	for (uint32_t w = 0; w < blockDim.x / 32; w++) {
		before += w < warp ? d->s->sums[w] : 0;
		sum += d->s->sums[w];
	}
	unsigned long long point = __umul64hi(random_64(d->p.seed, d->p.pos), sum);
	if (before <= point && point < before + own)
		for (uint32_t base = d->from; base < d->to; base += 32) {
			uint32_t i = base + lane;
			unsigned long long grains = i < d->to ? draw_grains(d, i) : 0, reached = grains;
			for (uint32_t step = 1; step < 32; step *= 2) {
				unsigned long long lower = __shfl_up_sync(FULL_WARP, reached, step);
				if (lane >= step)
					reached += lower;
			}
			unsigned long long from = before + reached - grains;
			if (from <= point && point < from + grains)
				d->s->id = i;
			before += __shfl_sync(FULL_WARP, reached, 31);
		}
	__syncthreads();
	return d->s->id;
}

__device__ uint32_t draw_greedy(const struct draw *d)
{
	if (threadIdx.x == 0)
		d->s->id = CUDA_NOTHING;
	__syncthreads();
	for (uint32_t i = threadIdx.x; i < d->n; i += blockDim.x)
		if (d->x[i] == d->largest) {
			atomicMin(&d->s->id, i);
			break;
		}
	__syncthreads();
	return d->s->id;
}

__device__ uint32_t draw_weighted(struct draw *d)
{
	d->limit.key = 0;
	d->limit.id = CUDA_NOTHING;
	if (d->p.top_k > 0 && (uint32_t)d->p.top_k < d->n)
		d->limit = find_limit(d, false, (unsigned long long)d->p.top_k);
	if (d->p.top_p < 1) {
		unsigned long long sum = 0, target;
		for (uint32_t i = threadIdx.x; i < d->n; i += blockDim.x)
			sum += count_of(d, i, true);
		sum = block_sum(d->s, sum);
		target = (unsigned long long)ceil((double)d->p.top_p * (double)sum);
		target = target < 1 ? 1 : target > sum ? sum : target;
		d->limit = find_limit(d, true, target);
	}
	d->min_p = d->p.min_p > 0 ? d->p.min_p : 0.0f;
	return draw_point(d);
}

__global__ void __launch_bounds__(MANY_THREADS) sample_kernel(const struct sample_args a)
{
	SHARED(struct sample_shared, s);
	struct draw d;
	d.s = s;
	d.p = a.draws[blockIdx.x];
	if (d.p.late != a.late)
		return;
	d.kept = d.p.kept ? a.kept + (uint64_t)(d.p.kept - 1) * a.kept_pitch : NULL;
	d.told = a.words + d.p.history;
	d.tokens = a.tokens + d.p.first;
	d.n = a.n_vocab;
	d.x = a.x + (uint64_t)blockIdx.x * a.n_vocab;
	d.counts = a.counts + (uint64_t)blockIdx.x * a.n_vocab;
	uint32_t each = (a.n_vocab + blockDim.x - 1) / blockDim.x * 32;
	d.from = threadIdx.x / 32 * each;
	d.from = d.from < d.n ? d.from : d.n;
	d.to = d.from + each < d.n ? d.from + each : d.n;
	const float *logits = a.logits + (uint64_t)d.p.row * a.pitch;
	struct cuda_drawn *result = &a.results[d.p.slot];

	float top = -INFINITY;
	for (uint32_t i = threadIdx.x; i < d.n; i += blockDim.x) {
		d.x[i] = logit_clean(logits[i]);
		top = fmaxf(top, d.x[i]);
	}
	float model_largest = block_max(s, top);
	unsigned long long model_sum = 0;
	for (uint32_t i = threadIdx.x; i < d.n && model_largest > -INFINITY; i += blockDim.x)
		model_sum += weight_grains(weight_of(d.x[i], model_largest, 1.0f));
	model_sum = block_sum(s, model_sum);
	d.largest = model_largest;
	if (model_largest > -INFINITY && adjust(&d, a.words))
		d.largest = largest_of(&d);
	keep_history(&d);
	if (!(d.largest > -INFINITY)) {
		if (threadIdx.x == 0) {
			result->token = -1;
			result->logprob = -INFINITY;
		}
		return;
	}
	d.temperature = d.p.temperature;
	uint32_t token = d.p.temperature == 0 ? draw_greedy(&d) : draw_weighted(&d);
	if (threadIdx.x == 0) {
		result->token = (int32_t)token;
		result->logprob = weight_logprob(logit_clean(logits[token]), model_largest, model_sum);
	}
}

__global__ void feed_kernel(const struct cuda_feed_args a)
{
	uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
	if (i >= a.n || a.tokens[i].id >= 0)
		return;
	int32_t token = a.drawn[-1 - a.tokens[i].id].token;
	a.tokens[i].id = token < 0 ? 0 : token;
}

} // namespace

cudaError_t cuda_feed(const struct cuda_feed_args *a, cudaStream_t stream)
{
	dim3 blocks((a->n + FEW_THREADS - 1) / FEW_THREADS);
	LAUNCH(feed_kernel, blocks, dim3(FEW_THREADS), 0, stream, *a);
	return cudaGetLastError();
}

cudaError_t cuda_sample(const struct sample_args *a, cudaStream_t stream)
{
	dim3 threads(a->n_vocab <= FEW_TOKENS ? FEW_THREADS : MANY_THREADS);
	LAUNCH(sample_kernel, dim3(a->n), threads, sizeof(struct sample_shared), stream, *a);
	return cudaGetLastError();
}
