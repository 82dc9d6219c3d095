/*
 * Drawing a token: compute/sample.c's stages with the same bits (docs/sampling.md). A draw is made by a team:
 * a cluster of blocks that have a slice of the vocabulary each in their shared memory, or, where there are no
 * clusters or the slices are too long, by one block. Sums are sums of whole numbers, so threads and blocks
 * share them in any order; nothing is sorted: a candidate is what lies before a limit in the order (logit
 * descending, id ascending). The limit is found by histograms: of buckets in the order of the logits the one
 * that holds it, until so few tokens are in it that each can be compared with each.
 */
#include "base/rng.h"
#include "compute/cuda/cluster.cuh"
#include "compute/cuda/kernels.h"
#include "compute/cuda/sample.cuh"

namespace
{

enum {
	MAX_WARPS = 32,
	BUCKETS = 2048,
	LISTED = 512,      /* tokens that are compared with each other */
	FEW_THREADS = 128, /* for vocabularies of up to FEW_TOKENS */
	MANY_THREADS = 1024,
	FEW_TOKENS = SAMPLE_TEAMS_FROM - 1,
	TEAM = 8, /* blocks */
	SMALL_TEAM = 4,
};

typedef unsigned long long grains_t;

/* The tokens before a limit: all with a larger key, and of those with this key the ids up to id. */
struct limit {
	uint32_t key, id;
};

struct candidate {
	uint32_t key, id;
	grains_t grains;
};

/* A block's. What others of the team read is marked: it is written before one of the team's barriers and read
 * behind it. */
struct sample_shared {
	uint32_t low[BUCKETS], high[BUCKETS]; /* read: the two halves of each bucket's sum in this slice */
	grains_t merged[BUCKETS];             /* read: of its share of the buckets, the team's sums */
	grains_t share;                       /* read: the sum of merged */
	grains_t told[2];                     /* read: what exchange tells, in turn */
	grains_t sums[MAX_WARPS];
	float tops[MAX_WARPS];
	grains_t target; /* what is left of it in the bucket that was found */
	uint32_t bucket, id;
	uint32_t n_listed; /* read, the first block's: more than LISTED were not written down */
	struct limit limit;
	struct candidate list[LISTED]; /* read, the first block's */
};

/* A draw under way; every thread has the same, but for its warp's ids. */
template <int N> struct draw {
	struct sample_shared *s;
	struct cuda_draw p;
	/* where the history lies: kept, told, of the step */
	uint32_t *kept;
	const uint32_t *told;
	const struct cuda_token *tokens;
	uint32_t rank, thread, n_threads, turn, shared_bytes;
	uint32_t first, last; /* ids of this block's slice: first .. last - 1 */
	uint32_t from, to;    /* of this thread's warp */
	float *x;             /* (last - first) logits */
	float *w;             /* (last - first) their weights, once they have been weighed; NULL: not kept */
	uint32_t *counts;     /* (n_vocab) all zero between draws */
	float largest, temperature, min_p;
	struct limit limit;
};

template <int N> __device__ __forceinline__ struct sample_shared *peer(const struct draw<N> *d, uint32_t rank)
{
	return N == 1 ? d->s : cluster_peer<N>(d->s, rank, d->shared_bytes);
}

/* The barriers: of a block, of the team. */
template <int N> __device__ __forceinline__ void block_sync()
{
	if (N == 1)
		__syncthreads();
	else
		cluster_block_sync<N>();
}
template <int N> __device__ __forceinline__ void team_sync()
{
	if (N == 1)
		__syncthreads();
	else
		cluster_sync<N>();
}

__device__ __forceinline__ bool inside(struct limit limit, float x, uint32_t id)
{
	uint32_t key = logit_key(x);
	return key > limit.key || (key == limit.key && id <= limit.id);
}

/* Tells the team one number of each block; the block's own is what its first thread gives. Returns their sum,
 * and in *before that of the blocks before this one. */
template <int N>
__device__ __forceinline__ grains_t exchange(struct draw<N> *d, grains_t own, grains_t *before)
{
	uint32_t turn = d->turn++ & 1;
	if (d->thread == 0)
		d->s->told[turn] = own;
	team_sync<N>();
	grains_t sum = 0;
	*before = 0;
	for (uint32_t r = 0; r < N; r++) {
		if (r == d->rank)
			*before = sum;
		sum += peer(d, r)->told[turn];
	}
	return sum;
}

/* Sums over the block, warp by warp in s->sums. */
template <int N> __device__ __forceinline__ grains_t block_sum(const struct draw<N> *d, grains_t v)
{
	for (int bit = 16; bit >= 1; bit /= 2)
		v += __shfl_xor_sync(FULL_WARP, v, bit);
	if (d->thread % 32 == 0)
		d->s->sums[d->thread / 32] = v;
	block_sync<N>();
	v = 0;
	for (uint32_t warp = 0; warp < d->n_threads / 32; warp++)
		v += d->s->sums[warp];
	return v;
}

template <int N> __device__ __forceinline__ grains_t team_sum(struct draw<N> *d, grains_t v)
{
	grains_t before;
	return exchange(d, block_sum(d, v), &before);
}

template <int N> __device__ __forceinline__ float team_max(struct draw<N> *d, float v)
{
	for (int bit = 16; bit >= 1; bit /= 2)
		v = fmaxf(v, __shfl_xor_sync(FULL_WARP, v, bit));
	if (d->thread % 32 == 0)
		d->s->tops[d->thread / 32] = v;
	block_sync<N>();
	for (uint32_t warp = 0; warp < d->n_threads / 32; warp++)
		v = fmaxf(v, d->s->tops[warp]);
	uint32_t turn = d->turn++ & 1;
	if (d->thread == 0)
		d->s->told[turn] = __float_as_uint(v);
	team_sync<N>();
	for (uint32_t r = 0; r < N; r++)
		v = fmaxf(v, __uint_as_float((uint32_t)peer(d, r)->told[turn]));
	return v;
}

template <int N> __device__ __forceinline__ float &logit(const struct draw<N> *d, uint32_t id)
{
	return d->x[id - d->first];
}

/* ---- the stages that change single logits: each block's of its slice ---- */

template <int N> __device__ __forceinline__ bool own(const struct draw<N> *d, uint32_t id)
{
	return id >= d->first && id < d->last;
}

template <int N> __device__ void apply_mask(const struct draw<N> *d, const uint32_t *mask)
{
	for (uint32_t i = d->first + d->thread; i < d->last; i += d->n_threads)
		if (!(mask[i / 32] >> (i % 32) & 1))
			logit(d, i) = -INFINITY;
	block_sync<N>();
}

/* The first entry of a token adds all entries of it, in their order. */
template <int N> __device__ void apply_bias(const struct draw<N> *d, const uint32_t *pairs)
{
	for (uint32_t i = d->thread; i < d->p.n_bias; i += d->n_threads) {
		uint32_t id = pairs[2 * i];
		bool first = own(d, id);
		for (uint32_t j = 0; j < i && first; j++)
			first = pairs[2 * j] != id;
		if (!first)
			continue;
		float v = logit(d, id);
		for (uint32_t j = i; j < d->p.n_bias; j++)
			if (pairs[2 * j] == id)
				v = logit_clean(v + __uint_as_float(pairs[2 * j + 1]));
		logit(d, id) = v;
	}
	block_sync<N>();
}

template <int N> __device__ __forceinline__ uint32_t history_at(const struct draw<N> *d, uint32_t i)
{
	if (i < d->p.n_kept)
		return d->kept[i];
	return i < d->p.n_told ? d->told[i - d->p.n_kept] : (uint32_t)d->tokens[i - d->p.n_told].id;
}

/* What was told of the history need not be told again. */
template <int N> __device__ void keep_history(const struct draw<N> *d)
{
	if (d->rank == 0 && d->p.kept)
		for (uint32_t i = d->p.n_kept + d->thread; i < d->p.n_history; i += d->n_threads)
			d->kept[i] = history_at(d, i);
}

template <int N> __device__ void apply_repetition(const struct draw<N> *d)
{
	for (uint32_t i = d->thread; i < d->p.n_history; i += d->n_threads) {
		uint32_t id = history_at(d, i);
		if (!own(d, id) || atomicAdd(&d->counts[id], 1u))
			continue;
		float v = logit(d, id);
		logit(d, id) = logit_clean(v > 0 ? v / d->p.repetition_penalty : v * d->p.repetition_penalty);
	}
	block_sync<N>();
	for (uint32_t i = d->thread; i < d->p.n_history; i += d->n_threads) {
		uint32_t id = history_at(d, i);
		if (own(d, id))
			d->counts[id] = 0;
	}
	block_sync<N>();
}

template <int N> __device__ void apply_frequency(const struct draw<N> *d)
{
	for (uint32_t i = d->p.n_prompt + d->thread; i < d->p.n_history; i += d->n_threads) {
		uint32_t id = history_at(d, i);
		if (own(d, id))
			atomicAdd(&d->counts[id], 1u);
	}
	block_sync<N>();
	for (uint32_t i = d->p.n_prompt + d->thread; i < d->p.n_history; i += d->n_threads) {
		uint32_t id = history_at(d, i), count = own(d, id) ? atomicExch(&d->counts[id], 0u) : 0;
		if (count == 0)
			continue;
		float v = logit(d, id) - (float)count * d->p.frequency_penalty;
		logit(d, id) = logit_clean(v - d->p.presence_penalty);
	}
	block_sync<N>();
}

/* The stages that change single logits; true if any ran. */
template <int N> __device__ bool adjust(const struct draw<N> *d, const uint32_t *words)
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

/* ---- limits ---- */

/* Logits, in the order of which buckets lie, are looked at ever more closely: where they lie below the
 * largest, in what part of that bucket, and the digits of their keys, which part all that differ. */
enum { BY_PLACE, BY_PART, BY_DIGIT_1, BY_DIGIT_2, BY_DIGIT_3, N_LEVELS };

struct search {
	bool weighted;
	uint32_t found[N_LEVELS]; /* the buckets */
};

/* How far below the largest, in buckets: none that has a weight is BUCKETS below it. */
template <int N> __device__ __forceinline__ float place_of(const struct draw<N> *d, bool weighted, float x)
{
	return weighted ? -((x - d->largest) / d->temperature * 73.0f) : (d->largest - x) * 64.0f;
}

template <int N>
__device__ __forceinline__ uint32_t bucket_of(const struct draw<N> *d, const struct search *f, int level,
					      float x)
{
	const float last = BUCKETS - 1;
	if (level == BY_DIGIT_1)
		return logit_key(x) >> 21;
	if (level == BY_DIGIT_2)
		return logit_key(x) >> 10 & (BUCKETS - 1);
	if (level == BY_DIGIT_3)
		return logit_key(x) & 1023;
	float place = place_of(d, f->weighted, x);
	uint32_t whole = place < last ? (uint32_t)place : BUCKETS - 1;
	if (level == BY_PLACE)
		return BUCKETS - 1 - whole;
	float part = (place - (float)whole) * BUCKETS;
	return BUCKETS - 1 - (part < last ? (uint32_t)part : BUCKETS - 1);
}

template <int N> __device__ __forceinline__ float weight_at(const struct draw<N> *d, uint32_t i)
{
	return d->w ? d->w[i - d->first] : weight_of(logit(d, i), d->largest, d->temperature);
}

/* The token's weight, as far as it is one of those that are searched; 0: it is none. */
template <int N> __device__ __forceinline__ grains_t grains_at(const struct draw<N> *d, uint32_t i)
{
	float x = logit(d, i);
	if (!inside(d->limit, x, i))
		return 0;
	return weight_grains(weight_at(d, i));
}

template <int N>
__device__ __forceinline__ grains_t count_at(const struct draw<N> *d, const struct search *f, int level,
					     uint32_t i)
{
	float x = logit(d, i);
	if (!(x > -INFINITY))
		return 0;
	for (int l = 0; l < level; l++)
		if (bucket_of(d, f, l, x) != f->found[l])
			return 0;
	return f->weighted ? grains_at(d, i) : inside(d->limit, x, i);
}

/* Two halves, because shared memory has no atomic sum of eight bytes that is not a loop. */
__device__ __forceinline__ void add_to_bucket(struct sample_shared *s, uint32_t bucket, grains_t v)
{
	uint32_t low = (uint32_t)v, high = (uint32_t)(v >> 32);
	if (low)
		high += atomicAdd(&s->low[bucket], low) > ~low;
	if (high)
		atomicAdd(&s->high[bucket], high);
}

/* Histograms of this level, merged by the team: each block the sums of its share of the buckets. */
template <int N> __device__ void fill_buckets(struct draw<N> *d, const struct search *f, int level)
{
	const uint32_t share = BUCKETS / N;
	struct sample_shared *s = d->s;
	for (uint32_t i = d->thread; i < BUCKETS; i += d->n_threads)
		s->low[i] = s->high[i] = 0;
	block_sync<N>();
	for (uint32_t i = d->first + d->thread; i < d->last; i += d->n_threads) {
		grains_t count = count_at(d, f, level, i);
		if (count)
			add_to_bucket(s, bucket_of(d, f, level, logit(d, i)), count);
	}
	team_sync<N>();
	grains_t sum = 0;
	for (uint32_t i = d->thread; i < share; i += d->n_threads) {
		grains_t merged = 0;
		for (uint32_t r = 0; r < N; r++) {
			const struct sample_shared *other = peer(d, r);
			merged += (grains_t)other->high[d->rank * share + i] << 32 |
				  other->low[d->rank * share + i];
		}
		s->merged[i] = merged;
		sum += merged;
	}
	sum = block_sum(d, sum);
	if (d->thread == 0) {
		s->share = sum;
		s->n_listed = 0;
	}
	team_sync<N>();
}

template <int N> __device__ grains_t sum_of_buckets(const struct draw<N> *d)
{
	grains_t sum = 0;
	for (uint32_t r = 0; r < N; r++)
		sum += peer(d, r)->share;
	return sum;
}

/* The highest bucket with which the sum from the top reaches the target, which becomes what that bucket
 * itself must give. By the first warp: lane l has a run of buckets, the highest ones first. */
template <int N> __device__ uint32_t find_bucket(const struct draw<N> *d, grains_t *target)
{
	const uint32_t share = BUCKETS / N, each = share / 32;
	uint32_t r = N - 1;
	while (r > 0 && peer(d, r)->share < *target)
		*target -= peer(d, r--)->share;
	const grains_t *merged = peer(d, r)->merged;
	if (d->thread < 32) {
		uint32_t lane = d->thread, top = share - 1 - lane * each;
		grains_t own = 0, before;
		for (uint32_t i = 0; i < each; i++)
			own += merged[top - i];
		before = own;
		for (uint32_t step = 1; step < 32; step *= 2) {
			grains_t lower = __shfl_up_sync(FULL_WARP, before, step);
			if (lane >= step)
				before += lower;
		}
		before -= own;
		if (before < *target && *target <= before + own) {
			grains_t left = *target - before;
			uint32_t bucket = top;
			while (merged[bucket] < left)
				left -= merged[bucket--];
			d->s->bucket = r * share + bucket;
			d->s->target = left;
		}
	}
	block_sync<N>();
	*target = d->s->target;
	return d->s->bucket;
}

/* Writes down the tokens of the bucket that was found; returns how many there are. */
template <int N> __device__ uint32_t list_bucket(struct draw<N> *d, const struct search *f, int level)
{
	struct sample_shared *first = peer(d, 0);
	for (uint32_t i = d->first + d->thread; i < d->last; i += d->n_threads) {
		grains_t count = count_at(d, f, level + 1, i);
		if (!count)
			continue;
		uint32_t at = atomicAdd(&first->n_listed, 1u);
		if (at < LISTED)
			first->list[at] = (struct candidate){logit_key(logit(d, i)), i, count};
	}
	team_sync<N>();
	return first->n_listed;
}

/* The limit among the n tokens of the list. */
template <int N> __device__ struct limit limit_of_list(struct draw<N> *d, uint32_t n, grains_t target)
{
	struct sample_shared *s = d->s;
	if (d->rank > 0)
		for (uint32_t i = d->thread; i < n; i += d->n_threads)
			s->list[i] = peer(d, 0)->list[i];
	block_sync<N>();
	for (uint32_t i = d->thread; i < n; i += d->n_threads) {
		const struct candidate own = s->list[i];
		grains_t before = 0;
		for (uint32_t j = 0; j < n; j++) {
			const struct candidate *c = &s->list[j];
			if (c->key > own.key || (c->key == own.key && c->id < own.id))
				before += c->grains;
		}
		if (before < target && target <= before + own.grains)
			s->limit = (struct limit){own.key, own.id};
	}
	block_sync<N>();
	return s->limit;
}

/* The id of the n-th (from 1) of the tokens inside the limit that have this key. */
template <int N> __device__ uint32_t find_tie(struct draw<N> *d, uint32_t key, grains_t n)
{
	uint32_t lane = d->thread % 32, warp = d->thread / 32;
	grains_t own = 0, before;
	for (uint32_t base = d->from; base < d->to; base += 32) {
		uint32_t i = base + lane;
		bool tie = i < d->to && logit_key(logit(d, i)) == key && inside(d->limit, logit(d, i), i);
		own += (unsigned)__popc(__ballot_sync(FULL_WARP, tie));
	}
	exchange(d, block_sum(d, lane == 0 ? own : 0), &before);
	for (uint32_t w = 0; w < warp; w++)
		before += d->s->sums[w];
	if (before < n && n <= before + own)
		for (uint32_t base = d->from; base < d->to; base += 32) {
			uint32_t i = base + lane;
			bool tie = i < d->to && logit_key(logit(d, i)) == key &&
				   inside(d->limit, logit(d, i), i);
			unsigned ties = __ballot_sync(FULL_WARP, tie);
			unsigned rank = (unsigned)__popc(ties & ((2u << lane) - 1));
			if (tie && before + rank == n)
				for (uint32_t r = 0; r < N; r++)
					peer(d, r)->id = i;
			before += (unsigned)__popc(ties);
		}
	team_sync<N>();
	return d->s->id;
}

/* The limit of the shortest beginning whose grains reach the part top_p of all, or that has top_k tokens. */
template <int N> __device__ struct limit find_limit(struct draw<N> *d, bool weighted)
{
	struct search f = {};
	f.weighted = weighted;
	grains_t target = 0;
	for (int level = 0; level < N_LEVELS; level++) {
		fill_buckets(d, &f, level);
		if (level == 0) {
			grains_t sum = sum_of_buckets(d);
			target = weighted ? (grains_t)ceil((double)d->p.top_p * (double)sum)
					  : (grains_t)d->p.top_k;
			if (!weighted && target >= sum) /* the others have no weight */
				return d->limit;
			target = target < 1 ? 1 : target > sum ? sum : target;
		}
		f.found[level] = find_bucket(d, &target);
		uint32_t n = list_bucket(d, &f, level);
		if (n <= LISTED)
			return limit_of_list(d, n, target);
	}
	/* All tokens of this key have the same logit, so the same grains. */
	uint32_t key = f.found[BY_DIGIT_1] << 21 | f.found[BY_DIGIT_2] << 10 | f.found[BY_DIGIT_3];
	uint32_t bits = key & 0x80000000u ? key ^ 0x80000000u : ~key;
	grains_t each =
		weighted ? weight_grains(weight_of(__uint_as_float(bits), d->largest, d->temperature)) : 1;
	struct limit found;
	found.key = key;
	found.id = find_tie(d, key, (target + each - 1) / each);
	return found;
}

/* ---- the draw ---- */

/* The grains with which a token takes part in the draw. */
template <int N> __device__ __forceinline__ grains_t draw_grains(const struct draw<N> *d, uint32_t i)
{
	float x = logit(d, i);
	if (!inside(d->limit, x, i))
		return 0;
	float w = weight_at(d, i);
	return w < d->min_p ? 0 : weight_grains(w);
}

/* The first two words of the draw's. */
__device__ grains_t random_64(uint64_t seed, uint64_t pos)
{
	uint32_t words[4];
	rng_words(seed, RNG_STREAM_SAMPLER, pos, words);
	return (grains_t)words[0] << 32 | words[1];
}

/* The token in whose grains, walked in the order of ids, the random point lies; CUDA_NOTHING in all threads
 * but one. */
template <int N> __device__ uint32_t draw_point(struct draw<N> *d)
{
	uint32_t lane = d->thread % 32, warp = d->thread / 32, token = CUDA_NOTHING;
	grains_t own = 0, before;
	for (uint32_t i = d->from + lane; i < d->to; i += 32)
		own += draw_grains(d, i);
	for (int bit = 16; bit >= 1; bit /= 2)
		own += __shfl_xor_sync(FULL_WARP, own, bit);
	grains_t sum = exchange(d, block_sum(d, lane == 0 ? own : 0), &before);
	for (uint32_t w = 0; w < warp; w++)
		before += d->s->sums[w];
	grains_t point = __umul64hi(random_64(d->p.seed, d->p.pos), sum);
	if (before <= point && point < before + own)
		for (uint32_t base = d->from; base < d->to; base += 32) {
			uint32_t i = base + lane;
			grains_t grains = i < d->to ? draw_grains(d, i) : 0, reached = grains;
			for (uint32_t step = 1; step < 32; step *= 2) {
				grains_t lower = __shfl_up_sync(FULL_WARP, reached, step);
				if (lane >= step)
					reached += lower;
			}
			grains_t from = before + reached - grains;
			if (from <= point && point < from + grains)
				token = i;
			before += __shfl_sync(FULL_WARP, reached, 31);
		}
	return token;
}

/* The first of the largest; in one thread, as above. */
template <int N> __device__ uint32_t draw_greedy(struct draw<N> *d)
{
	if (d->thread == 0)
		d->s->id = CUDA_NOTHING;
	block_sync<N>();
	for (uint32_t i = d->first + d->thread; i < d->last; i += d->n_threads)
		if (logit(d, i) == d->largest) {
			atomicMin(&d->s->id, i);
			break;
		}
	block_sync<N>();
	uint32_t token = d->s->id;
	grains_t before;
	exchange(d, token != CUDA_NOTHING, &before);
	return d->thread == 0 && before == 0 ? token : CUDA_NOTHING;
}

template <int N> __device__ uint32_t draw_weighted(struct draw<N> *d)
{
	d->limit.key = 0;
	d->limit.id = CUDA_NOTHING;
	if (d->w) /* each thread's own, until the next barrier */
		for (uint32_t i = d->first + d->thread; i < d->last; i += d->n_threads)
			d->w[i - d->first] = weight_of(logit(d, i), d->largest, d->temperature);
	block_sync<N>();
	if (d->p.top_k > 0)
		d->limit = find_limit(d, false);
	if (d->p.top_p < 1)
		d->limit = find_limit(d, true);
	d->min_p = d->p.min_p > 0 ? d->p.min_p : 0.0f;
	return draw_point(d);
}

template <int N> __device__ void draw_one(struct draw<N> *d, const struct sample_args *a)
{
	const float *logits = a->logits + (uint64_t)d->p.row * a->pitch;
	struct cuda_drawn *result = &a->results[d->p.slot];
	float top = -INFINITY;
	for (uint32_t i = d->first + d->thread; i < d->last; i += d->n_threads) {
		float x = logit_clean(logits[i]);
		logit(d, i) = x;
		top = fmaxf(top, x);
	}
	float model_largest = team_max(d, top);
	grains_t model_sum = 0;
	for (uint32_t i = d->first + d->thread; i < d->last && model_largest > -INFINITY; i += d->n_threads)
		model_sum += weight_grains(weight_of(logit(d, i), model_largest, 1.0f));
	model_sum = team_sum(d, model_sum);
	d->largest = model_largest;
	if (model_largest > -INFINITY && adjust(d, a->words)) {
		top = -INFINITY;
		for (uint32_t i = d->first + d->thread; i < d->last; i += d->n_threads)
			top = fmaxf(top, logit(d, i));
		d->largest = team_max(d, top);
	}
	keep_history(d);
	if (!(d->largest > -INFINITY)) {
		if (d->rank == 0 && d->thread == 0) {
			result->token = -1;
			result->logprob = -INFINITY;
		}
		return;
	}
	d->temperature = d->p.temperature;
	uint32_t token = d->p.temperature == 0 ? draw_greedy(d) : draw_weighted(d);
	if (token != CUDA_NOTHING) {
		result->token = (int32_t)token;
		result->logprob = weight_logprob(logit_clean(logits[token]), model_largest, model_sum);
	}
}

/* Ids of a slice: whole warps' of them. */
__host__ __device__ __forceinline__ uint32_t slice_of(uint32_t n_vocab, uint32_t n)
{
	return (n_vocab + 32 * n - 1) / (32 * n) * 32;
}

/* Shared memory of one block of a team of n, with its slice's logits and, if they are kept, weights. */
__host__ __device__ __forceinline__ uint32_t bytes_of(uint32_t n_vocab, uint32_t n, bool weights)
{
	uint32_t floats = (1 + weights) * slice_of(n_vocab, n);
	return ((uint32_t)sizeof(struct sample_shared) + floats * (uint32_t)sizeof(float) + 15) / 16 * 16;
}

/* Are weights kept? */
template <int N> __host__ __device__ __forceinline__ bool keeps_weights(uint32_t n_vocab)
{
	return bytes_of(n_vocab, N, true) <= CLUSTER_SHARED(N);
}

template <int N> __global__ void __launch_bounds__(MANY_THREADS) sample_kernel(const struct sample_args a)
{
	SHARED(struct sample_shared, all);
	uint32_t which = N == 1 ? blockIdx.x : cluster_number<N>();
	struct draw<N> d;
	d.p = a.draws[which];
	if (d.p.late != a.late)
		return;
	d.rank = N == 1 ? 0 : cluster_rank<N>();
	d.thread = N == 1 ? threadIdx.x : cluster_thread<N>();
	d.n_threads = N == 1 ? blockDim.x : cluster_threads<N>();
	d.turn = 0;
	d.shared_bytes = N == 1 ? 0 : bytes_of(a.n_vocab, N, keeps_weights<N>(a.n_vocab));
	d.s = N == 1 ? all : cluster_own<N>(all, d.shared_bytes);
	d.kept = d.p.kept ? a.kept + (uint64_t)(d.p.kept - 1) * a.kept_pitch : NULL;
	d.told = a.words + d.p.history;
	d.tokens = a.tokens + d.p.first;
	uint64_t place = a.late ? d.p.slot : which;
	d.counts = a.counts + place * a.n_vocab;
	uint32_t slice = N == 1 ? a.n_vocab : slice_of(a.n_vocab, N);
	d.first = d.rank * slice < a.n_vocab ? d.rank * slice : a.n_vocab;
	d.last = d.first + slice < a.n_vocab ? d.first + slice : a.n_vocab;
	d.x = N == 1 ? a.x + place * a.n_vocab : (float *)(d.s + 1);
	d.w = N > 1 && keeps_weights<N>(a.n_vocab) ? d.x + slice : NULL;
	uint32_t each = (slice + d.n_threads - 1) / d.n_threads * 32;
	d.from = d.first + d.thread / 32 * each;
	d.from = d.from < d.last ? d.from : d.last;
	d.to = d.from + each < d.last ? d.from + each : d.last;
	draw_one(&d, &a);
	if (N > 1)
		team_sync<N>(); /* nobody's shared memory goes while another reads it */
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

/* A team of N blocks a draw. */
template <int N> static cudaError_t sample_by_teams(const struct sample_args *a, cudaStream_t stream)
{
	uint32_t bytes = bytes_of(a->n_vocab, N, keeps_weights<N>(a->n_vocab));
	cudaError_t e = cudaFuncSetAttribute((const void *)sample_kernel<N>,
					     cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
	if (e != cudaSuccess)
		return e;
	return LAUNCH_CLUSTERS(N, sample_kernel<N>, a->n, CLUSTER_THREADS(MANY_THREADS, N), bytes, stream,
			       *a);
}

cudaError_t cuda_sample(const struct sample_args *a, cudaStream_t stream)
{
	bool teams = a->teams_from && a->n_vocab >= a->teams_from;
	if (teams && a->small_teams && bytes_of(a->n_vocab, SMALL_TEAM, false) <= CLUSTER_SHARED(SMALL_TEAM))
		return sample_by_teams<SMALL_TEAM>(a, stream);
	if (teams && bytes_of(a->n_vocab, TEAM, false) <= CLUSTER_SHARED(TEAM))
		return sample_by_teams<TEAM>(a, stream);
	dim3 threads(a->n_vocab <= FEW_TOKENS ? FEW_THREADS : MANY_THREADS);
	LAUNCH(sample_kernel<1>, dim3(a->n), threads, sizeof(struct sample_shared), stream, *a);
	return cudaGetLastError();
}
