/*
 * A block of the decode kernel (decode.cu): its shared memory, its streams of weights, and the words that it
 * passes to other blocks.
 */
#ifndef COMPUTE_CUDA_DECODE_BLOCK_CUH
#define COMPUTE_CUDA_DECODE_BLOCK_CUH

#include "compute/cuda/decode.h"
#include "compute/cuda/frag.cuh"
#include "compute/cuda/ptx_sm90.cuh"
#include "compute/cuda/sample.cuh"

namespace
{

enum {
	FULL = DECODE_FULL, /* decode_full.cu: 1; decode_half.cu: 0 */
	PLANES = FULL ? 2 : 1,
	BATCH = FULL ? DECODE_BATCH_FULL : DECODE_BATCH_HALF,
	DECODE_WARPS = CUDA_SEGMENTS,
	STREAM_WARPS = DECODE_STREAM_WARPS,
	DECODE_THREADS = (DECODE_WARPS + STREAM_WARPS) * 32,
	WORKERS = DECODE_WARPS * 32, /* threads that compute; those of the warps after them stream */
	WORKER_REGISTERS = 112,      /* most of those of the last four warps go to the others */
	STREAM_REGISTERS = 32,
	NORM_KEPT = FULL ? 1 : 2, /* groups of four columns that a thread keeps in registers when it norms */
	PIECES = DECODE_PIECES,
	TILE_SUMS = CUDA_TILE_ROWS * PLANES, /* of a segment: floats */
	SPINS = 1 << 21,                     /* polls before a word counts as lost: a second or more */
	KV_BLOCK = 32,
	SPLIT = CUDA_ATTN_SPLIT,
};

/* A segment of a matrix. */
struct view {
	uint32_t from, n;                  /* units of the segment: first, how many */
	uint32_t unit_bytes, pairs, units; /* of a piece (struct decode_matrix) */
};

/* A warp's ring as the warp sees it. */
struct ring {
	uint32_t offset, piece, bytes; /* of the next piece; pieces and bytes so far */
	const uint8_t *base;
	shared_place bars;
	volatile uint64_t *done;
	shared_place wake; /* of the warp that fills it */
};

struct block {
	const struct decode_args *a;
	uint32_t job, part_at; /* next job; which of the two parts */
	uint32_t thread, warp, lane;
	struct ring ring; /* the warp's */
};

/* Shared memory by name. Its place is a constant of the launch, so that no register has to keep it. */
#define IN_SHARED(type, name)                                                 \
	__device__ __forceinline__ type *shared_##name(const struct block *b) \
	{                                                                     \
		SHARED(unsigned char, base);                                  \
		return reinterpret_cast<type *>(base + b->a->shared.name);    \
	}
IN_SHARED(const struct decode_matrix, matrices)
IN_SHARED(const struct decode_job, jobs)
IN_SHARED(float, x)       /* (d_model) the residual */
IN_SHARED(uint16_t, high) /* (k_max) what the next product multiplies */
IN_SHARED(uint16_t, low)
IN_SHARED(float, sums)  /* (k_max / 32, 2): of high, of low */
IN_SHARED(float, part)  /* (2, segments, batch, 8, planes) */
IN_SHARED(float, peaks) /* (2, group_rows, 8) of a head's scores: the largest by warp, the sum of p by warp */
IN_SHARED(uint16_t, p16)   /* (planes, group, SPLIT + DECODE_ROW_PAD) */
IN_SHARED(uint16_t, query) /* (planes, group, hd + DECODE_ROW_PAD) */
IN_SHARED(uint16_t, fresh) /* (planes, 2, hd) the new token's k and v */
IN_SHARED(float, turn)     /* (2, hd / 2) cosines, sines */
IN_SHARED(uint64_t, table) /* a piece of attention: where its KV blocks begin; its head and split */
IN_SHARED(uint64_t, reduce)
IN_SHARED(uint64_t, bars) /* (segments, PIECES): a piece has come; (STREAM_WARPS): some piece was read */
IN_SHARED(uint64_t, done) /* (segments) bytes that a warp has read, and pieces in the upper half */
IN_SHARED(uint32_t, kept) /* (warps, 8) struct block's next job and so on, from phase to phase */
IN_SHARED(uint8_t, ring)  /* (segments, ring_bytes) */
#undef IN_SHARED

/* All threads but the streaming warp's. */
__device__ __forceinline__ void sync_workers(void)
{
	some_barrier(1, WORKERS);
}

/* Which thread this is, in a form that the compiler takes for new: nothing that follows from it can be
 * computed once and kept over all phases, which would take more registers than there are. */
__device__ __forceinline__ void know_thread(struct block *b)
{
	b->thread = thread_index();
	b->warp = warp_uniform(b->thread / 32);
	b->lane = b->thread % 32;
}

/* Of streaming warp w: a phase ends with each piece that somebody has read of a ring that it fills. FULL
 * alone: there, rings drain in bursts, and it is time that counts; HALF streams all the time, and a warp that
 * rests a while finds room in several rings, for which it starts copies at the price of one. */
__device__ __forceinline__ shared_place wake_barrier(const struct block *b, uint32_t w)
{
	return place_in_shared(shared_bars(b) + CUDA_SEGMENTS * PIECES + w);
}

/* What a warp remembers between phases lies in shared memory: attention needs the registers. By one lane, so
 * that no two threads touch it. */
__device__ __forceinline__ void keep(const struct block *b)
{
	if (b->lane == 0) {
		uint32_t *k = shared_kept(b) + 8 * b->warp;
		*reinterpret_cast<uint4 *>(k) = make_uint4(b->job, b->part_at, b->ring.offset, b->ring.piece);
		k[4] = b->ring.bytes;
	}
}

__device__ __forceinline__ void remember(struct block *b)
{
	uint4 k = make_uint4(0, 0, 0, 0);
	uint32_t bytes = 0;
	if (b->lane == 0) {
		k = *reinterpret_cast<const uint4 *>(shared_kept(b) + 8 * b->warp);
		bytes = shared_kept(b)[8 * b->warp + 4];
	}
	b->job = __shfl_sync(FULL_WARP, k.x, 0);
	b->part_at = __shfl_sync(FULL_WARP, k.y, 0);
	b->ring.offset = __shfl_sync(FULL_WARP, k.z, 0);
	b->ring.piece = __shfl_sync(FULL_WARP, k.w, 0);
	b->ring.bytes = __shfl_sync(FULL_WARP, bytes, 0);
	b->ring.base = shared_ring(b) + b->warp * b->a->ring_bytes;
	b->ring.bars = place_in_shared(shared_bars(b) + b->warp * PIECES);
	b->ring.done = shared_done(b) + b->warp;
	b->ring.wake = wake_barrier(b, b->warp % STREAM_WARPS);
}

/* ---- streaming weights ---- */

/* The segment that a warp takes of a pair of tiles, the first of which has place `at` in its batch. */
__device__ __forceinline__ uint32_t decode_segment(const struct decode_matrix *m, uint32_t warp, uint32_t at)
{
	return m->turns ? (warp + at / 2) % CUDA_SEGMENTS : warp;
}

__device__ __forceinline__ struct view look(const struct decode_matrix *m, uint32_t segment)
{
	struct view v;
	v.from = tile_segment(m->n_units, segment);
	v.n = tile_segment(m->n_units, segment + 1) - v.from;
	v.unit_bytes = m->unit_bytes;
	v.pairs = m->pairs;
	v.units = m->units;
	return v;
}

__device__ __forceinline__ uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Units of a tile in a piece that holds parts of two tiles, or of one. */
__device__ __forceinline__ uint32_t cut_units(const struct view *v, uint32_t tiles)
{
	return tiles == 2 ? v->units : 2 * v->units;
}

/* What there is to stream, the ring's next piece and its place. */
struct feed {
	uint32_t job;                   /* the next one */
	uint32_t tile, at, tiles, unit; /* of the present one: tile, its place in the batch, how many are
					   left; units of the pair that are through */
	uint32_t offset, filled, pieces;
	uint32_t now, units, one; /* of the next piece: tiles (0: there is none), units and bytes of each */
	uint32_t freed;           /* bytes that must have been read before it fits */
	const uint8_t *from;      /* the present pair's first unit; of whole segments: what comes next */
	const struct decode_matrix *m;
	struct view v;
};

__device__ __forceinline__ void pass_tiles(struct feed *f, uint32_t n)
{
	f->tile += n;
	f->at += n;
	f->tiles -= n;
	f->unit = 0;
}

/* To the next tiles that the warp has a segment of. 32 bits count units: 2^32 of the smallest are 618 GB. */
__device__ __forceinline__ void next_tiles(const struct block *b, struct feed *f, uint32_t warp)
{
	while (f->tiles || f->job < b->a->n_jobs) {
		if (f->tiles == 0) {
			const struct decode_job *j = &shared_jobs(b)[f->job++];
			f->m = &shared_matrices(b)[j->matrix];
			f->tile = j->tile;
			f->at = j->at;
			f->tiles = j->n_tiles;
			f->unit = 0;
		} else if (!f->m->turns) {
			return; /* the same segment goes on */
		}
		f->v = look(f->m, decode_segment(f->m, warp, f->at));
		f->from = f->m->data +
			  (uint64_t)(f->v.from * f->m->n_tiles + f->tile * f->v.n) * f->m->unit_bytes;
		if (f->v.n && f->tiles)
			return;
		pass_tiles(f, f->m->turns ? least(f->tiles, 2) : f->tiles);
	}
}

/* The next piece and its place. */
__device__ __forceinline__ void plan_piece(const struct block *b, struct feed *f, uint32_t warp)
{
	const uint32_t ring_bytes = b->a->ring_bytes;
	if (f->unit == 0)
		next_tiles(b, f, warp);
	f->now = least(f->tiles, f->v.pairs ? 2 * f->v.pairs : 2);
	f->units = f->v.pairs ? f->v.n : least(cut_units(&f->v, f->now), f->v.n - f->unit);
	f->one = f->units * f->v.unit_bytes;
	if (f->offset + f->now * f->one > ring_bytes) {
		f->filled += ring_bytes - f->offset;
		f->offset = 0;
	}
	f->freed = f->filled + f->now * f->one - ring_bytes;
}

/* Whether the planned piece has room. */
__device__ __forceinline__ bool has_room(const struct block *b, const struct feed *f, uint32_t warp)
{
	uint64_t done = *const_cast<const volatile uint64_t *>(shared_done(b) + warp);
	return (int32_t)((uint32_t)done - f->freed) >= 0 && f->pieces - (uint32_t)(done >> 32) < PIECES;
}

/* Starts the copy of the planned piece. */
__device__ __forceinline__ void fill(const struct block *b, struct feed *f, uint32_t warp, uint64_t policy)
{
	const uint32_t whole = f->v.pairs, bytes = f->now * f->one;
	shared_place bar = place_in_shared(shared_bars(b) + warp * PIECES + f->pieces % PIECES);
	shared_place to = place_in_shared(shared_ring(b) + warp * b->a->ring_bytes + f->offset);
	barrier_expect(bar, bytes);
	copy_bulk_once(to, f->from + f->unit * f->v.unit_bytes, whole ? bytes : f->one, bar, policy);
	if (!whole && f->now == 2)
		copy_bulk_once(to + f->one, f->from + (f->v.n + f->unit) * f->v.unit_bytes, f->one, bar,
			       policy);
	f->offset += bytes;
	f->filled += bytes;
	f->pieces++;
	f->unit += f->units;
	if (f->unit == f->v.n) {
		f->from += f->now * f->v.n * f->v.unit_bytes;
		pass_tiles(f, f->now);
	}
}

/* A streaming warp: each of its first lanes fills the ring of one warp as far as there is room, until all
 * jobs are through. Lanes start their copies one after another, and a copy takes its time to start: one warp
 * for all rings would be slower than the memory. It rests between rounds: the workers want the issue slots.
 */
__device__ __forceinline__ void stream_weights(const struct block *b)
{
	uint64_t policy = policy_read_once();
	uint32_t own = b->warp - DECODE_WARPS, warp = own + STREAM_WARPS * b->lane, phase = 0;
	struct feed f = {};
	bool busy = warp < CUDA_SEGMENTS;
	if (busy)
		plan_piece(b, &f, warp);
	busy = f.now != 0;
	while (__any_sync(FULL_WARP, busy)) {
		bool ready = busy && has_room(b, &f, warp);
		if (ready) {
			fill(b, &f, warp, policy);
			plan_piece(b, &f, warp);
			busy = f.now != 0;
		}
		if (__any_sync(FULL_WARP, ready))
			continue;
		if (FULL)
			phase ^= barrier_nap(wake_barrier(b, own), phase);
		else
			rest();
	}
}

/* The next piece of the ring, once it is there. */
__device__ __forceinline__ const uint8_t *open_piece(struct block *b, uint32_t bytes)
{
	struct ring *r = &b->ring;
	uint32_t ring_bytes = b->a->ring_bytes;
	if (r->offset + bytes > ring_bytes) {
		r->bytes += ring_bytes - r->offset;
		r->offset = 0;
	}
	const uint8_t *p = r->base + r->offset;
	barrier_wait(r->bars + r->piece % PIECES * sizeof(uint64_t), r->piece / PIECES & 1);
	r->offset += bytes;
	r->bytes += bytes;
	r->piece++;
	return p;
}

/* All lanes have read the piece. */
__device__ __forceinline__ void close_piece(const struct block *b)
{
	__syncwarp();
	if (b->lane == 0) {
		*b->ring.done = b->ring.bytes | (uint64_t)b->ring.piece << 32;
		if (FULL)
			barrier_arrive(b->ring.wake);
	}
}

/* ---- words ---- */

__device__ __forceinline__ void publish(const struct block *b, uint32_t at, uint32_t v)
{
	store_word(b->a->now + at, v);
	store_word(b->a->other + at, DECODE_EMPTY);
}

__device__ __forceinline__ bool all_there(uint4 v)
{
	return v.x != DECODE_EMPTY && v.y != DECODE_EMPTY && v.z != DECODE_EMPTY && v.w != DECODE_EMPTY;
}

__device__ __forceinline__ uint4 await_words(const uint32_t *p)
{
	uint4 v = load_words(p);
	for (uint32_t i = 0; !all_there(v); v = load_words(p))
		if (i++ == SPINS)
			give_up();
	return v;
}

/* Never DECODE_EMPTY: a NaN becomes another NaN. */
__device__ __forceinline__ uint32_t word_of(float v)
{
	uint32_t bits = __float_as_uint(v);
	return bits == DECODE_EMPTY ? 0x7FFFFFFFu : bits;
}

/* High half in the lower 16 bits, low half above. Not DECODE_EMPTY: a NaN that was converted is 0x7FFF. */
__device__ __forceinline__ uint32_t split_half(float v)
{
	float high = half_limit(v);
	if (!FULL)
		return half2_pack(high, 0);
	high = half_bits_to_float((uint16_t)half2_pack(high, 0));
	return half2_pack(high, half_limit(v - high));
}

} // namespace
#endif
