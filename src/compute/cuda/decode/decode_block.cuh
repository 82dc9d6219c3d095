/*
 * A block of the decode kernel (decode_kernel.cuh): its shared memory, its streams of weights, and the words
 * that it passes to other blocks.
 */
#ifndef COMPUTE_CUDA_DECODE_BLOCK_CUH
#define COMPUTE_CUDA_DECODE_BLOCK_CUH

#include "compute/cuda/decode/decode_kernels.h"
#include "compute/cuda/decode/decode_ptx.cuh"
#include "compute/cuda/sample.cuh"
#include "compute/cuda/tile/frag.cuh"

namespace
{

enum {
	FULL = DECODE_FULL, /* decode_full_*.cu: 1; decode_half_*.cu: 0 */
#ifdef DECODE_RICH
	RICH = 1, /* decode_*_rich*.cu */
#else
	RICH = 0,
#endif
#ifdef DECODE_FEW
	SEQS = FULL ? DECODE_SEQS_FULL : DECODE_SEQS_HALF, /* decode_*_few*.cu: at most */
#else
	SEQS = 1,
#endif
	PLANES = FULL ? 2 : 1,
	COLUMNS = SEQS * PLANES, /* of the right operand of products, in use */
	LOT = FULL ? DECODE_LOT_FULL : DECODE_LOT_HALF,
	LOT_DOWN = FULL ? DECODE_LOT_DOWN_FULL : DECODE_LOT_DOWN_HALF,
	PART_SEGMENTS =
		TILE_SEGMENTS / COLUMNS, /* of several sequences: whose sums lie together (part_column) */
	DECODE_WARPS = TILE_SEGMENTS,
	STREAM_WARPS = DECODE_STREAM_WARPS,
	DECODE_THREADS = (DECODE_WARPS + STREAM_WARPS) * 32,
	WORKERS = DECODE_WARPS * 32, /* threads that compute; those of the warps after them stream */
	WORKER_REGISTERS = 112,      /* most of those of the last four warps go to the others */
	STREAM_REGISTERS = 32,
	WORD_NUMBERS = FULL ? 1 : 2, /* in a word of `attended` and `hidden`: the halves of one, or two */
	NORM_KEPT = FULL ? 1 : 2,    /* fours of columns that a thread keeps in registers when it norms */
	PARCELS = DECODE_PARCELS,
	NO_PARCEL = 1u << 31,            /* number of a parcel for which there never is room */
	TILE_SUMS = TILE_ROWS * COLUMNS, /* of a segment: floats */
	SPINS = 1 << 21,                 /* polls before a word counts as lost: a second or more */
	KV_BLOCK = 32,
	SPLIT = CUDA_ATTN_SPLIT,
};

/* A segment of a matrix. */
struct view {
	uint32_t from, n;                  /* units of the segment: first, how many */
	uint32_t unit_bytes, pairs, units; /* of a parcel (struct decode_matrix) */
};

/* A warp's ring as the warp sees it. */
struct ring {
	uint32_t parcel, read; /* the next parcel; bytes up to the end of the one before */
	shared_place bars;
	volatile uint64_t *done;
	shared_place wake; /* of the warp that fills it */
};

struct block {
	const struct decode_args *a;
	uint32_t stint, part_at; /* next stint; which of the two parts */
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
IN_SHARED(const struct decode_stint, stints)
IN_SHARED(float, x)       /* (d_model) the residual */
IN_SHARED(uint16_t, high) /* (k_max) what the next product multiplies */
IN_SHARED(uint16_t, low)
IN_SHARED(uint16_t, zeros) /* (DECODE_ZEROS) */
IN_SHARED(float, sums)     /* (k_max / 32, 2): of high, of low */
IN_SHARED(float, part)     /* (2, segments, lot, 8, planes); of several sequences see part_of_few */
IN_SHARED(float, peaks)  /* (3, group_rows, 8) of a head's scores by warp: the largest, of even and odd items;
			    the sum of p */
IN_SHARED(uint16_t, p16) /* (planes, group, SPLIT + DECODE_ROW_PAD) */
IN_SHARED(uint16_t, query) /* (planes, group, hd + DECODE_ROW_PAD) */
IN_SHARED(uint16_t, fresh) /* (planes, 2, hd) the new token's k and v */
IN_SHARED(float, turn)     /* (n_turns, 2, hd / 2) cosines, sines */
IN_SHARED(uint64_t,
	  table) /* (DECODE_PLACES) items of attention: where their KV blocks begin; head and split */
IN_SHARED(uint64_t, reduce)
IN_SHARED(uint64_t, bars) /* (segments, PARCELS): a parcel has come; (STREAM_WARPS): some parcel was read */
IN_SHARED(uint2, notes) /* (segments, PARCELS) of a parcel: its place in shared memory, bytes up to its end */
IN_SHARED(uint64_t, done) /* (segments) bytes that a warp has read, and parcels in the upper half */
IN_SHARED(uint4, kept)    /* (warps) struct block's next stint and so on, from phase to phase */
IN_SHARED(uint8_t, ring)  /* (segments, ring_bytes) */
#undef IN_SHARED

/* Sequences of the launch. */
__device__ __forceinline__ uint32_t n_seqs_of(const struct block *b)
{
	return SEQS == 1 ? 1 : b->a->n_seqs;
}

__device__ __forceinline__ uint32_t pos_of(const struct block *b, uint32_t seq)
{
	return SEQS == 1 ? b->a->pos : b->a->seqs[seq].pos;
}

/* From the first sequence's words to those of sequence `seq`. */
__device__ __forceinline__ uint32_t words_of(const struct block *b, uint32_t seq)
{
	return SEQS == 1 ? 0 : seq * b->a->seq_words;
}

/* Of sequence `seq`: its residual, and the planes of what the next product multiplies. */
__device__ __forceinline__ float *residual_of(const struct block *b, uint32_t seq)
{
	return SEQS == 1 ? shared_x(b) : shared_x(b) + seq * b->a->d_model;
}
__device__ __forceinline__ uint16_t *high_of(const struct block *b, uint32_t seq)
{
	return SEQS == 1 ? shared_high(b) : shared_high(b) + seq * PLANES * b->a->column;
}
__device__ __forceinline__ uint16_t *low_of(const struct block *b, uint32_t seq)
{
	return SEQS == 1 ? shared_low(b) : high_of(b, seq) + b->a->column;
}
__device__ __forceinline__ float *sums_of_chunks(const struct block *b, uint32_t seq)
{
	return SEQS == 1 ? shared_sums(b) : shared_sums(b) + seq * (b->a->k_max / 16);
}

/* All threads but the streaming warps'. */
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

/* Of streaming warp w: a phase ends with each parcel that somebody has read of a ring that it fills. FULL
 * alone: there, rings drain in bursts, and it is time that counts; HALF streams all the time, and a warp that
 * rests a while finds room in several rings, for which it starts copies at the price of one. */
__device__ __forceinline__ shared_place wake_barrier(const struct block *b, uint32_t w)
{
	return place_in_shared(shared_bars(b) + TILE_SEGMENTS * PARCELS + w);
}

/* What a warp remembers between phases lies in shared memory: attention needs the registers. By one lane, so
 * that no two threads touch it. */
__device__ __forceinline__ void keep(const struct block *b)
{
	if (b->lane == 0)
		shared_kept(b)[b->warp] = make_uint4(b->stint, b->part_at, b->ring.parcel, 0);
}

__device__ __forceinline__ void remember(struct block *b)
{
	uint4 k = make_uint4(0, 0, 0, 0);
	if (b->lane == 0)
		k = shared_kept(b)[b->warp];
	b->stint = __shfl_sync(FULL_WARP, k.x, 0);
	b->part_at = __shfl_sync(FULL_WARP, k.y, 0);
	b->ring.parcel = __shfl_sync(FULL_WARP, k.z, 0);
	b->ring.bars = place_in_shared(shared_bars(b) + b->warp * PARCELS);
	b->ring.done = shared_done(b) + b->warp;
	b->ring.wake = wake_barrier(b, b->warp % STREAM_WARPS);
}

/* ---- streaming weights ---- */

/* The segment that a warp takes of a pair of tiles, the first of which has place `at` in its lot. */
__device__ __forceinline__ uint32_t decode_segment(const struct decode_matrix *m, uint32_t warp, uint32_t at)
{
	return m->shifts ? (warp + at / 2) % TILE_SEGMENTS : warp;
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

/* Units of a tile in a parcel that holds parts of two tiles, or of one. */
__device__ __forceinline__ uint32_t cut_units(const struct view *v, uint32_t tiles)
{
	return FULL && tiles == 1 ? 2 * v->units : v->units;
}

/* HALF: up to whole lines, so that the ring's parcels begin with them too. */
__device__ __forceinline__ uint32_t whole_lines(uint32_t bytes)
{
	return (bytes + TILE_LINE - 1) / TILE_LINE * TILE_LINE;
}

/*
 * What there is to stream for a warp. A *stretch* is what parcels are cut from without looking anything up:
 * all tiles of a stint, one after another, or (where parcels hold parts of two tiles, or segments change) one
 * pair. HALF: of a tile alone, what is in one bundle.
 */
struct feed {
	uint32_t warp, stint;     /* the next one */
	uint32_t tile, at, tiles; /* after the present stretch: tile, its place in the lot, how many */
	const uint8_t *from;      /* of the stretch: what comes next, */
	uint32_t left, most;      /* bytes that are left, and those of a parcel; FULL: of each copy, if two */
	uint32_t second; /* FULL: two copies a parcel: from the first's bytes to the second's; else 0.
			    HALF: bytes of a pair's segment */
	uint32_t steady; /* pairs follow one another, cut in the same way */
	uint32_t unit;   /* HALF: of a tile alone, the next */
	uint32_t offset, filled, parcel; /* of the next parcel, in the ring; bytes before it; its number */
	uint32_t one, freed; /* its bytes (of each copy); bytes that must have been read before it fits */
};

/* FULL: the stretch of n tiles; tiles lie one by one. 32 bits count units: 2^32 of the smallest are 618 GB.
 */
__device__ __forceinline__ uint32_t begin_stretch(struct feed *f, const struct decode_matrix *m,
						  const struct view *v, uint32_t n)
{
	uint32_t tile_bytes = v->n * v->unit_bytes, n_tiles = (m->rows + TILE_ROWS - 1) / TILE_ROWS;
	f->from = m->data + (uint64_t)(v->from * n_tiles + f->tile * v->n) * v->unit_bytes;
	f->left = v->pairs ? n * tile_bytes : n ? tile_bytes : 0;
	f->most = v->pairs ? 2 * v->pairs * tile_bytes : cut_units(v, n) * v->unit_bytes;
	f->second = v->pairs || n < 2 ? 0 : tile_bytes;
	f->steady = f->second && !m->shifts;
	return n;
}

/* HALF: the same; tiles lie in pairs. Returns the tiles that are done with: of one alone, none until its last
 * bundle. */
__device__ __forceinline__ uint32_t begin_paired_stretch(struct feed *f, const struct decode_matrix *m,
							 const struct view *v, uint32_t segment, uint32_t n)
{
	uint32_t least_units = m->n_units / TILE_SEGMENTS, longer = v->from - segment * least_units,
		 n_pairs = (m->rows + 2 * TILE_ROWS - 1) / (2 * TILE_ROWS);
	uint32_t pair = m->pair_bytes + (v->n - least_units) * m->more_bytes;
	f->from = m->data + (uint64_t)n_pairs * (segment * m->pair_bytes + longer * m->more_bytes) +
		  (uint64_t)(f->tile / 2) * pair;
	f->second = pair;
	f->steady = n > 1 && !v->pairs && !m->shifts;
	if (n > 1) {
		f->left = v->pairs ? (n + 1) / 2 * pair : pair;
		f->most = v->pairs ? v->pairs * pair : m->bundle_bytes;
		return n;
	}
	uint32_t units = least(v->units, v->n - f->unit);
	f->from += tile_pair_bytes(f->unit, v->unit_bytes, v->units) + f->tile % 2 * units * v->unit_bytes;
	f->left = f->most = units * v->unit_bytes;
	f->unit = f->unit + units < v->n ? f->unit + units : 0;
	return f->unit ? 0 : n;
}

/* To the next stretch that is not empty, if there is one. */
__device__ __forceinline__ void next_stretch(const struct block *b, struct feed *f)
{
	if (f->steady && f->tiles >= 2) { /* the next pair, right after this one */
		if (FULL)
			f->from += f->second;
		f->left = f->second;
		f->tiles -= 2;
		f->tile += 2;
		f->at += 2;
		return;
	}
	while (f->left == 0 && (f->tiles || f->stint < b->a->n_stints)) {
		const struct decode_stint *j = &shared_stints(b)[f->tiles ? f->stint - 1 : f->stint++];
		if (f->tiles == 0) {
			f->tile = j->tile;
			f->at = j->at;
			f->tiles = j->n_tiles;
			if (f->tiles == 0)
				continue;
		}
		const struct decode_matrix *m = &shared_matrices(b)[j->matrix];
		uint32_t n = m->pairs && !m->shifts ? f->tiles : least(f->tiles, 2),
			 segment = decode_segment(m, f->warp, f->at);
		struct view v = look(m, segment);
		if constexpr (FULL) {
			n = begin_stretch(f, m, &v, n);
		} else {
			if (f->tile % 2)
				n = 1;
			n = begin_paired_stretch(f, m, &v, segment, n);
		}
		f->tile += n;
		f->at += n;
		f->tiles -= n;
	}
}

/* Of the planned parcel; in the ring. */
__device__ __forceinline__ uint32_t parcel_bytes(const struct feed *f)
{
	return FULL ? (f->second ? 2 * f->one : f->one) : whole_lines(f->one);
}

/* The next parcel and its place. */
__device__ __forceinline__ void plan_parcel(const struct block *b, struct feed *f)
{
	const uint32_t ring_bytes = b->a->ring_bytes;
	if (f->left == 0)
		next_stretch(b, f);
	f->one = least(f->left, f->most);
	uint32_t bytes = parcel_bytes(f), before = f->filled;
	if (f->offset + bytes > ring_bytes) {
		f->filled += ring_bytes - f->offset;
		f->offset = 0;
	}
	f->freed = f->filled + bytes - ring_bytes;
	if ((int32_t)(f->freed - before) > 0) /* what was left out at the ring's end is nobody's to read */
		f->freed = before;
	if (bytes == 0)
		f->parcel = NO_PARCEL;
}

/* Whether the planned parcel has room. */
__device__ __forceinline__ bool has_room(const struct feed *f, shared_place done)
{
	uint2 read = load_shared_words(done);
	return (int32_t)(read.x - f->freed) >= 0 && f->parcel - read.y < PARCELS;
}

/* Starts the copies of the planned parcel. HALF: of a bundle too there are two, side by side faster than one.
 */
__device__ __forceinline__ void fill(const struct block *b, struct feed *f, uint64_t policy)
{
	uint32_t bytes = parcel_bytes(f), slot = f->warp * PARCELS + f->parcel % PARCELS,
		 place = b->a->shared.ring + f->warp * b->a->ring_bytes + f->offset;
	SHARED(unsigned char, base);
	shared_place bar = place_in_shared(shared_bars(b) + slot), to = place_in_shared(base) + place;
	shared_notes(b)[slot] = make_uint2(place, f->filled + bytes);
	if (FULL) {
		barrier_expect(bar, bytes);
		copy_bulk_once(to, f->from, f->one, bar, policy);
		if (f->second)
			copy_bulk_once(to + f->one, f->from + f->second, f->one, bar, policy);
	} else {
		uint32_t half = whole_lines(f->one / 2);
		barrier_expect(bar, f->one);
		copy_bulk_once(to, f->from, half, bar, policy);
		if (f->one > half)
			copy_bulk_once(to + half, f->from + half, f->one - half, bar, policy);
	}
	f->offset += bytes;
	f->filled += bytes;
	f->parcel++;
	f->from += f->one;
	f->left -= f->one;
}

/* A streaming warp: each of its first lanes fills the ring of one warp as far as there is room, until all
 * stints are through. Lanes start their copies one after another, and a copy takes its time to start: one
 * warp for all rings would be slower than the memory. It rests between rounds: the workers want the issue
 * slots.
 */
__device__ __forceinline__ void stream_weights(const struct block *b)
{
	uint64_t policy = policy_read_once();
	uint32_t own = b->warp - DECODE_WARPS, phase = 0;
	struct feed f = {};
	f.parcel = NO_PARCEL;
	f.warp = own + STREAM_WARPS * b->lane;
	if (f.warp < TILE_SEGMENTS) {
		f.parcel = 0;
		plan_parcel(b, &f);
	}
	shared_place done = place_in_shared(shared_done(b) + f.warp % TILE_SEGMENTS);
	while (__any_sync(FULL_WARP, f.parcel != NO_PARCEL)) {
		bool ready = has_room(&f, done);
		while (!__any_sync(FULL_WARP, ready)) {
			if (FULL)
				phase ^= barrier_nap(wake_barrier(b, own), phase);
			else
				rest();
			ready = has_room(&f, done);
		}
		if (ready) {
			fill(b, &f, policy);
			plan_parcel(b, &f);
		}
	}
}

/* The next parcel of the ring, once it is there. */
__device__ __forceinline__ const uint8_t *open_parcel(struct block *b)
{
	struct ring *r = &b->ring;
	uint32_t slot = r->parcel % PARCELS;
	SHARED(unsigned char, base);
	barrier_wait(r->bars + slot * (uint32_t)sizeof(uint64_t), r->parcel / PARCELS & 1);
	uint2 note = shared_notes(b)[b->warp * PARCELS + slot];
	r->read = note.y;
	r->parcel++;
	return base + note.x;
}

/* All lanes have read the parcel. */
__device__ __forceinline__ void close_parcel(const struct block *b)
{
	__syncwarp();
	if (b->lane == 0) {
		*b->ring.done = b->ring.read | (uint64_t)b->ring.parcel << 32;
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
__device__ __forceinline__ uint32_t to_halves(float v)
{
	float high = half_limit(v);
	if (!FULL)
		return half2_pack(high, 0);
	high = half_bits_to_float((uint16_t)half2_pack(high, 0));
	return half2_pack(high, half_limit(v - high));
}

/* The word of a number of to_halves's; HALF: of this and of the lane `next` further on. By a whole warp. */
__device__ __forceinline__ uint32_t word_of_halves(uint32_t v, int next)
{
	return FULL ? v : v | __shfl_xor_sync(FULL_WARP, v, next) << 16;
}

} // namespace
#endif
