/* Of the kernel of tile_product.cuh: blocks of a cluster that share a patch. */
#ifndef COMPUTE_CUDA_TILE_TEAM_CUH
#define COMPUTE_CUDA_TILE_TEAM_CUH

#include "compute/cuda/tile/tile_bring.cuh"
#include "compute/cuda/tile/tile_segment.cuh"

/* A thread of a crew has sums of a segment in pairs of neighbouring columns, float2 `i` of N / 4; of those,
 * block i % team adds up all segments'. What it gets lies where the rings were: (segment, i / team, thread of
 * 128). */
template <class S> struct team_shape {
	enum {
		pairs = S::N / 4,
		least = S::N <= 32 ? 2 : 4,                  /* blocks */
		held = TILE_SEGMENTS / (S::KS * (int)least), /* segments a crew has, at most */
		most_pairs = (pairs + least - 1) / least,    /* that a block adds up, of a thread */
		bytes = (S::bytes + 1023) / 1024 * 1024,     /* of shared memory, a block */
	};
	static_assert(TILE_SEGMENTS * most_pairs * 128 * sizeof(float2) <= (size_t)(S::KS * S::crew_bytes),
		      "sums have room where the rings were");
	static_assert((int)bytes <= (int)S::most_bytes && S::ROWS == 1, "as team_store counts");
};

/* Results of one pair of sums, as store() has them: of row h of the two (of eight apart) that a thread has,
 * of columns 8 j + 2 t and the next. at: the thread of 128. */
template <class S>
static __device__ __forceinline__ void store_pair(const struct tile_product_launch &l,
						  const struct patch_place &p, uint32_t at, uint32_t i,
						  float2 sum)
{
	const struct tile_product_part *part = &l.part[p.part];
	bool pairs = S::both ? l.planes == 2 : S::full != 0;
	uint32_t row = (p.tile + at / 32 * 2) * 8 + at % 32 / 4 + i % 2 * 8;
	uint32_t column = p.column + i / 2 * 8 + 2 * (at % 4);
	if (row >= part->w.rows || column >= l.n_columns)
		return;
	float v[2] = {sum.x + (pairs ? sum.y : 0.0f), sum.y};
	float scale = S::halves > 0 && tile_has_row_scales(part->w.format)
			      ? *tile_row_scale(part->w.data, row)
			      : 1.0f;
	float bias = part->bias ? part->bias[row] : 0;
	float *out = l.out + part->out_col + row + (uint64_t)(pairs ? column / 2 : column) * l.out_pitch;
#pragma unroll
	for (uint32_t e = 0; e < 2; e++, out += l.out_pitch) {
		if (e && (pairs || column + 1 >= l.n_columns))
			break;
		if (S::halves > 0 && tile_has_row_scales(part->w.format))
			v[e] = v[e] * scale;
		if (part->bias)
			v[e] = v[e] + bias;
		*out = l.add ? *out + v[e] : v[e];
	}
}

/* Adds up the block's part of a patch's sums, segment after segment, and stores the results. thread: of all
 * that multiply. */
template <class S>
static __device__ __forceinline__ void team_store(const struct tile_product_launch &l,
						  const struct patch_place &p, const float2 *sums,
						  uint32_t thread, uint32_t rank, uint32_t team)
{
	const uint32_t n = (team_shape<S>::pairs + team - 1) / team * 128;
	for (uint32_t at = thread; at < n; at += S::warpgroups * 128) {
		uint32_t i = at / 128 * team + rank;
		if (i >= team_shape<S>::pairs)
			break;
		float2 sum = sums[at];
#pragma unroll 5
		for (uint32_t s = 1; s < TILE_SEGMENTS; s++) {
			float2 more = sums[s * n + at];
			sum.x = sum.x + more.x;
			sum.y = sum.y + more.y;
		}
		store_pair<S>(l, p, at % 128, i, sum);
	}
}

template <class S>
static __device__ __forceinline__ void
consume_in_team(const struct tile_product_launch &l, unsigned char *shared, uint32_t crew, struct share share)
{
	typedef team_shape<S> T;
	struct consumer k = consumer_of<S>(shared, crew);
	struct patch_place p = place_of<S>(l, share.index);
	uint32_t n_units = l.part[p.part].w.n_units, rank = cluster_rank<0>(), team = cluster_size<0>(),
		 n = (T::pairs + team - 1) / team,
		 shift = team == 8   ? 3
			 : team == 4 ? 2
				     : 1,
		 first = share.first + crew * share.spread;
	float held[T::held][S::N / 2];
#pragma unroll
	for (uint32_t h = 0; h < T::held; h++)
		if (first + h * share.apart < TILE_SEGMENTS)
			segment<S>(&k, n_units, first + h * share.apart, held[h]);
	chain_wait();
	cluster_sync<0>(); /* nobody's rings are read any more */
#pragma unroll
	for (uint32_t h = 0; h < T::held; h++) {
		uint32_t s = first + h * share.apart;
#pragma unroll
		for (uint32_t i = 0; i < T::pairs && s < TILE_SEGMENTS; i++) {
			float2 *to =
				cluster_peer<0>(reinterpret_cast<float2 *>(shared), i & (team - 1), T::bytes);
			to[(s * n + (i >> shift)) * 128 + threadIdx.x % 128] = {held[h][2 * i],
										held[h][2 * i + 1]};
		}
	}
	cluster_sync<0>();
	team_store<S>(l, p, reinterpret_cast<const float2 *>(shared), crew * 128 + threadIdx.x % 128, rank,
		      team);
}

#endif
