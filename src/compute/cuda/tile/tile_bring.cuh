/* Of the kernel of tile_product.cuh: the warps that bring weights and activations to shared memory. */
#ifndef COMPUTE_CUDA_TILE_BRING_CUH
#define COMPUTE_CUDA_TILE_BRING_CUH

#include "compute/cuda/tile/tile_shape.cuh"

/* The tiles of a patch in a segment of a matrix. */
struct patch_weights {
	const uint8_t *data; /* the segment's */
	uint32_t tile, n_tiles, n_units;
};

/* Paired: units u .. u + n - 1, those of a tile one after another in shared memory. What a bundle has is
 * known when compiling: one lane does all of this, and divisions would hold the products up. */
template <class S>
static __device__ __forceinline__ void bring_pairs(const struct patch_weights *p, uint32_t u, uint32_t n,
						   shared_place to, shared_place full)
{
	const uint32_t bundle = tile_bundle_units(S::unit_bytes);
	uint32_t step = tile_pair_bytes(p->n_units, S::unit_bytes, bundle);
	for (uint32_t v = 0, here; v < n; v += here) { /* what is of one bundle */
		uint32_t in = (u + v) % bundle, before = u + v - in, left = p->n_units - before,
			 units = left < bundle ? left : bundle;
		here = n - v < units - in ? n - v : units - in;
		const uint8_t *from = p->data + (uint64_t)(p->tile / 2) * step +
				      tile_pair_bytes(before, S::unit_bytes, bundle) + in * S::unit_bytes;
		shared_place at = to + v * S::unit_bytes;
		for (uint32_t i = 0; i < p->n_tiles; i += 2, from += step, at += 2 * n * S::unit_bytes) {
			copy_bulk(at, from, here * S::unit_bytes, full);
			if (i + 1 < p->n_tiles)
				copy_bulk(at + n * S::unit_bytes, from + units * S::unit_bytes,
					  here * S::unit_bytes, full);
		}
	}
}

/* Units u .. u + n - 1 of the patch, each tile's one after another in shared memory. By one lane. */
template <class S>
static __device__ __forceinline__ void bring_weights(const struct tile_matrix *w,
						     const struct patch_weights *p, uint32_t u, uint32_t n,
						     const struct crew_memory &m, struct ring ring)
{
	shared_place to = m.w + ring.at * S::w_bytes, full = m.w_full + 8 * ring.at;
	uint32_t bytes = n * S::unit_bytes;
	barrier_expect(full, p->n_tiles * bytes);
	if (w->bundle) {
		bring_pairs<S>(p, u, n, to, full);
		return;
	}
	const uint8_t *from = p->data + tile_unit_at(w, p->tile, p->n_units, u);
	if (n == p->n_units) { /* they lie so in memory too */
		copy_bulk(to, from, p->n_tiles * bytes, full);
		return;
	}
	for (uint32_t i = 0; i < p->n_tiles; i++)
		copy_bulk(to + i * bytes, from + (uint64_t)(i * p->n_units) * S::unit_bytes, bytes, full);
}

/* Sums of the stage's two chunks: (2, N). By a whole warp. */
template <class S>
static __device__ __forceinline__ void bring_sums(const struct tile_product_launch &l,
						  const struct crew_memory &m, uint32_t stage,
						  uint32_t column, uint32_t chunk)
{
	shared_place to = m.s + stage * S::s_bytes;
	for (uint32_t i = threadIdx.x % 32; i < 2 * S::N; i += 32) {
		uint32_t c = column + i % S::N, k = chunk + i / S::N;
		if (c < l.n_columns && k < l.sum_pitch)
			copy_word(to + 4 * i, l.sums + (uint64_t)c * l.sum_pitch + k);
	}
	barrier_arrive_copied(m.b_full + 8 * stage);
}

/* Which patches a block has, index + k * step, and which segments crew c: first + c * spread + k * apart. */
struct share {
	uint32_t index, step, first, spread, apart;
};
template <class S, int TEAMS> static __device__ __forceinline__ struct share share_of(void)
{
	if (TEAMS)
		return {cluster_number<0>(), 1u << 31, cluster_rank<0>(), cluster_size<0>(),
			cluster_size<0>() * S::KS};
	return {blockIdx.x, gridDim.x, 0, 1, S::KS};
}

/* Stages of weights of segment s that a ring holds: those are brought before others' results are waited for.
 */
template <class S> static __device__ __forceinline__ uint32_t stages_ahead(uint32_t n_units)
{
	uint32_t n = (n_units + S::w_units - 1) / S::w_units;
	return n < S::w_stages ? n : (uint32_t)S::w_stages;
}

/* Brings everything of a crew. By a whole warp if there are sums to bring, otherwise by one lane. */
template <class S>
static __device__ __forceinline__ void produce(const struct tile_product_launch &l, unsigned char *shared,
					       uint32_t crew, struct share share)
{
	struct crew_memory m = crew_memory_of<S>(shared, crew);
	struct ring b = {0, 1}, w = {0, 1};
	bool waited = false;
	uint32_t ahead = 0; /* stages that have been asked for already */
	for (uint32_t index = share.index; index < l.n_patches; index += share.step) {
		struct patch_place p = place_of<S>(l, index);
		const struct tile_matrix *matrix = &l.part[p.part].w;
		uint32_t left = matrix->n_tiles - p.tile,
			 n_tiles = left < S::tiles ? left : (uint32_t)S::tiles;
		for (uint32_t s = share.first + crew * share.spread; s < TILE_SEGMENTS; s += share.apart) {
			uint32_t first = tile_segment(matrix->n_units, s),
				 last = tile_segment(matrix->n_units, s + 1);
			const struct patch_weights weights = {
				matrix->data + tile_segment_at(matrix->n_tiles, matrix->n_units,
							       S::unit_bytes, matrix->bundle, s),
				p.tile, n_tiles, last - first};
			if (!waited) {
				ahead = stages_ahead<S>(last - first);
				for (uint32_t i = 0, u = 0; i < ahead; i++, u += S::w_units)
					if (!S::mins || elected())
						bring_weights<S>(matrix, &weights, u,
								 stage_units<S>(u, last - first), m, {i, 1});
				chain_wait();
				waited = true;
			}
			for (uint32_t u = first; u < last; u += S::w_units) {
				uint32_t n = last - u < S::w_units ? last - u : (uint32_t)S::w_units;
				if (ahead) {
					ahead--;
				} else {
					barrier_wait(m.w_empty + 8 * w.at, w.phase);
					if (S::mins)
						__syncwarp(); /* or a slow lane would miss a phase */
					if (!S::mins || elected())
						bring_weights<S>(matrix, &weights, u - first, n, m, w);
				}
				ring_step<S::w_stages>(&w);
				for (uint32_t c = 0; c < n * S::unit_chunks; c += 2) {
					uint32_t chunk = u * S::unit_chunks + c;
					shared_place full = m.b_full + 8 * b.at;
					barrier_wait(m.b_empty + 8 * b.at, b.phase);
					if (S::mins)
						__syncwarp();
					if (!S::mins || elected()) {
						barrier_expect(full, S::b_bytes);
						copy_box(m.b + b.at * S::b_bytes, &l.x_map, 32 * chunk,
							 p.column, full);
					}
					if (S::mins)
						bring_sums<S>(l, m, b.at, p.column, chunk);
					ring_step<S::b_stages>(&b);
				}
			}
		}
	}
}

#endif
