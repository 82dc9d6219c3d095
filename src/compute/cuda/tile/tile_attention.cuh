/*
 * Attention of the tile path over the paged KV memory; attend.cuh defines its bits.
 *
 * A *team* of warps (one, or four where a sequence has many new tokens) takes a band of rows of one KV head
 * and walks splits of 128 positions. K and V come to shared memory in parcels of at most 32 KB, each asked
 * for one parcel ahead, so that all warps of the team share them: first the K of the split's blocks, then its
 * V, some dimensions of all blocks at a time. Sixteens of bytes of K are exchanged between neighbouring
 * positions so that a warp reads all banks.
 *
 * With a partial buffer teams take a few splits each and leave their parts there; a second kernel adds them
 * up.
 */
#ifndef COMPUTE_CUDA_TILE_ATTENTION_CUH
#define COMPUTE_CUDA_TILE_ATTENTION_CUH

#include "compute/cuda/chain.cuh"
#include "compute/cuda/tile/attend.cuh"

namespace
{

enum {
	COPY_BYTES = 16, /* bytes that are copied at once */
	WIDE_TEAM = ATTEND_WIDE_ROWS / 16,
	MOST_PER_TEAM = 8,                            /* splits, where they are spread over the device */
	TEAMS_AT_ONCE = 384,                          /* of one warp, on a device of 132 multiprocessors */
	FEW_SPLITS = 2,                               /* are walked sooner than spread and added up */
	ENOUGH_TEAMS = 200,                           /* to fill it without spreading splits */
	CHUNK_BYTES = TILE_CHUNK * CUDA_KV_BLOCK * 2, /* a KV block's share of 32 dimensions, in one plane */
	LANE_SUMS = 16,                               /* floats of a chunk that a lane cares for: two rows */
	SCALE_BYTES = 2 * CUDA_KV_BLOCK,              /* of q8_0: a KV block's scales of 32 dimensions */
};

__host__ __device__ __forceinline__ uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* How heads of `chunks` times 32 dimensions are cut up. */
struct cut {
	uint32_t chunks, plane_bytes, head_bytes; /* bytes of a KV block: K or V of one plane; all */
	uint32_t scale_bytes;                     /* of q8_0: behind K's plane, and behind V's */
	uint32_t k_blocks;                        /* KV blocks of a parcel of K */
	uint32_t v_chunks, v_parcels;             /* chunks of a parcel of V; parcels of a split */
	uint32_t parcel_bytes;                    /* of the larger */
};

__host__ __device__ __forceinline__ struct cut cut_of(uint32_t chunks, uint32_t planes, bool q8_0)
{
	uint32_t chunk_bytes = q8_0 ? CHUNK_BYTES / 2 : CHUNK_BYTES, stored = q8_0 ? 1 : planes;
	struct cut c;
	c.chunks = chunks;
	c.plane_bytes = chunks * chunk_bytes;
	c.scale_bytes = q8_0 ? chunks * SCALE_BYTES : 0;
	c.head_bytes = 2 * (stored * c.plane_bytes + c.scale_bytes);
	c.k_blocks = planes * chunks <= 4 ? 4 : planes * chunks <= 8 ? 2 : 1;
	c.v_chunks = least(chunks, 4 / planes);
	c.v_parcels = (chunks + c.v_chunks - 1) / c.v_chunks;
	uint32_t k = c.k_blocks * (stored * c.plane_bytes + c.scale_bytes),
		 v = ATTEND_BLOCKS * c.v_chunks * (stored * chunk_bytes + (q8_0 ? SCALE_BYTES : 0));
	c.parcel_bytes = k > v ? k : v;
	return c;
}

/* What is known when compiling. CHUNKS 0: any number, for which sums stay in shared memory. BENT: there is a
 * window, or a soft cap. Q8: KV memory is q8_0. */
template <int CHUNKS, int PLANES, int TEAM, int BENT, int Q8> struct shape {
	enum {
		planes = PLANES,
		q8_0 = Q8,
		bent = BENT,
		team = TEAM,
		threads = 32 * TEAM,
		any = CHUNKS == 0,
		chunks = CHUNKS,               /* unless `any` */
		at_once = CHUNKS ? CHUNKS : 1, /* loops are unrolled by: chunks */
		v_at_once = CHUNKS == 0           ? 1
			    : CHUNKS < 4 / PLANES ? CHUNKS
						  : 4 / PLANES, /* chunks of a parcel of V */
		v_parcels = (CHUNKS + v_at_once - 1) / v_at_once + (CHUNKS == 0),
		/* copies of a thread: of a KV block's K; of a KV block's share of a parcel of V, in one plane
		 */
		k_copies = CHUNKS ? PLANES * CHUNKS * CHUNK_BYTES / COPY_BYTES / (32 * TEAM) : 1,
		v_copies = CHUNKS ? v_at_once * CHUNK_BYTES / COPY_BYTES / (32 * TEAM) : 1,
		query_stays = CHUNKS && PLANES * CHUNKS <= 4, /* in registers */
		query_chunks = CHUNKS && PLANES * CHUNKS <= 4 ? CHUNKS : 1,
	};
};

__host__ __device__ __forceinline__ uint32_t team_bytes(const struct cut *c, bool any, uint32_t threads)
{
	uint32_t parcels = 2 * c->parcel_bytes,
		 sums = threads * c->chunks * LANE_SUMS * (uint32_t)sizeof(float);
	return any ? parcels + sums : parcels > sums ? parcels : sums; /* put_rows' lie where parcels lay */
}

/* What a thread knows of its band. */
struct work {
	const struct tile_attention_args *a;
	struct cut cut;
	const uint32_t *table;
	uint8_t *shared;                      /* two parcels, then sums */
	uint32_t kv_head, thread;             /* thread: of the team */
	uint32_t last, warp_first, warp_last; /* positions: the band's last row, the warp's first and last */
	bool idle;                            /* the warp has no rows */
	/* this lane's rows g and g + 8; rows beyond the band's last repeat it */
	uint32_t token[2], head[2], n[2]; /* n: positions it sees */
	bool real[2];
};

/* The first position that the token at n - 1 sees. */
__device__ __forceinline__ uint32_t first_seen(const struct tile_attention_args *a, uint32_t n)
{
	return a->window && n > a->window ? n - a->window : 0;
}

template <typename S> __device__ __forceinline__ void team_sync(void)
{
	if (S::team == 1)
		__syncwarp();
	else
		__syncthreads();
}

template <typename S>
__device__ __forceinline__ struct work find_work(const struct tile_attention_args *a, uint8_t *shared)
{
	struct attend_band band = a->bands[blockIdx.y];
	uint32_t group = a->kv.n_heads / a->kv.n_kv_heads, warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4;
	struct work w;
	w.a = a;
	w.cut = cut_of(S::any ? (a->kv.head_dim + TILE_CHUNK - 1) / TILE_CHUNK : (uint32_t)S::chunks,
		       S::planes, S::q8_0);
	w.table = a->kv.tables + a->tokens[band.token].table;
	w.shared = shared;
	w.kv_head = blockIdx.x;
	w.thread = threadIdx.x;
	w.idle = 16 * warp >= band.n_rows;
	uint32_t first = w.idle ? 0 : 16 * warp, end = least(first + 16, band.n_rows);
	w.last = a->tokens[band.token + (band.row + band.n_rows - 1) / group].pos;
	w.warp_first = a->tokens[band.token + (band.row + first) / group].pos;
	w.warp_last = a->tokens[band.token + (band.row + end - 1) / group].pos;
#pragma unroll
	for (int r = 0; r < 2; r++) {
		uint32_t row = first + g + 8 * r;
		w.real[r] = !w.idle && row < end;
		row = band.row + least(row, end - 1);
		w.token[r] = band.token + row / group;
		w.head[r] = blockIdx.x * group + row % group;
		w.n[r] = a->tokens[w.token[r]].pos + 1;
	}
	return w;
}

/* ---- memory to shared memory ---- */

/* The KV blocks of a split; those beyond the band's last position repeat its block. */
__device__ __forceinline__ void find_blocks(const struct work *w, uint32_t split,
					    uint32_t block[ATTEND_BLOCKS])
{
	uint32_t last = w->last / CUDA_KV_BLOCK;
#pragma unroll
	for (uint32_t b = 0; b < ATTEND_BLOCKS; b++)
		block[b] = w->table[least(split * ATTEND_BLOCKS + b, last)];
}

__device__ __forceinline__ const uint8_t *kv_block(const struct work *w, uint32_t block)
{
	return reinterpret_cast<const uint8_t *>(w->a->kv.layer) +
	       ((uint64_t)block * w->a->kv.n_kv_heads + w->kv_head) * w->cut.head_bytes;
}

/* Where unit u of a row of K (positions, planes after one another) lies in shared memory. Where a row is
 * whole lines of the banks, every other one has its halves exchanged: a warp reads two at a time. */
__device__ __forceinline__ uint32_t key_at(const struct work *w, uint32_t row, uint32_t u)
{
	return (row * w->cut.chunks * 4 + (w->cut.chunks % 2 ? u : u ^ row % 2 * 4)) * COPY_BYTES;
}

/* The same of q8_0, whose rows are half as long: a warp reads thirty-twos of bytes of eight rows, four at a
 * time; those of four lie in banks of their own. */
__device__ __forceinline__ uint32_t q8_key_at(const struct work *w, uint32_t row, uint32_t u)
{
	uint32_t flip = w->cut.chunks % 4 == 0   ? row % 2 + row / 8 % 2 * 2
			: w->cut.chunks % 2 == 0 ? row / 8 % 2
						 : 0;
	return (row * w->cut.chunks * 2 + (u ^ flip * 2)) * COPY_BYTES;
}

/* As fetch_keys; each block's scales lie behind its bytes, here and there. */
template <typename S>
__device__ __forceinline__ void q8_fetch_keys(const struct work *w, uint32_t split,
					      const uint32_t block[ATTEND_BLOCKS], uint32_t first,
					      uint8_t *to)
{
	uint32_t row_units = w->cut.chunks * 2, units = w->cut.plane_bytes / COPY_BYTES,
		 all = units + w->cut.scale_bytes / COPY_BYTES;
#pragma unroll
	for (uint32_t b = 0; b < ATTEND_BLOCKS; b++) {
		if (b < first || b >= first + w->cut.k_blocks)
			continue;
		if (split * CUDA_ATTN_SPLIT + b * CUDA_KV_BLOCK > w->last)
			break;
		const uint8_t *from = kv_block(w, block[b]);
		uint8_t *there = to + (b - first) * all * COPY_BYTES;
		for (uint32_t u = w->thread; u < all; u += S::threads)
			copy_async16(there + (u < units ? q8_key_at(w, u / row_units, u % row_units)
							: u * COPY_BYTES),
				     from + u * COPY_BYTES, COPY_BYTES);
	}
	copy_async_commit();
}

/* As fetch_values: bytes may be anything beyond the last position, where their scales become 0. A block's
 * scales lie behind the bytes of v_chunks chunks. */
template <typename S>
__device__ __forceinline__ void q8_fetch_values(const struct work *w, uint32_t split,
						const uint32_t block[ATTEND_BLOCKS], uint32_t first,
						uint8_t *to)
{
	enum { UNITS = CHUNK_BYTES / 2 / COPY_BYTES, SCALE_UNITS = SCALE_BYTES / COPY_BYTES };
	uint32_t n = least(w->cut.chunks - first, w->cut.v_chunks), units = n * UNITS;
	int seen = (int)(w->last + 1 - split * CUDA_ATTN_SPLIT);
#pragma unroll
	for (int b = 0; b < ATTEND_BLOCKS; b++) {
		const uint8_t *from = kv_block(w, block[b]) + w->cut.plane_bytes + w->cut.scale_bytes;
		const uint8_t *scales = from + w->cut.plane_bytes + first * SCALE_BYTES;
		uint8_t *there = to + b * w->cut.v_chunks * (UNITS + SCALE_UNITS) * COPY_BYTES;
		uint8_t *scales_there = there + w->cut.v_chunks * UNITS * COPY_BYTES;
		for (uint32_t u = w->thread; u < units; u += S::threads)
			copy_async16(there + u * COPY_BYTES, from + (first * UNITS + u) * COPY_BYTES,
				     COPY_BYTES);
		for (uint32_t u = w->thread; u < n * SCALE_UNITS; u += S::threads) {
			int left = seen - b * CUDA_KV_BLOCK - 8 * (int)(u % SCALE_UNITS);
			copy_async16(scales_there + u * COPY_BYTES, scales + u * COPY_BYTES,
				     left <= 0 ? 0 : least(2 * (uint32_t)left, COPY_BYTES));
		}
	}
	copy_async_commit();
}

/* Starts the copy of the K of blocks first .. first + k_blocks - 1 of a split. */
template <typename S>
__device__ __forceinline__ void fetch_keys(const struct work *w, uint32_t split,
					   const uint32_t block[ATTEND_BLOCKS], uint32_t first, uint8_t *to)
{
	if constexpr (S::q8_0) {
		q8_fetch_keys<S>(w, split, block, first, to);
		return;
	}
	uint32_t bytes = S::planes * w->cut.plane_bytes, row_units = w->cut.chunks * 4;
#pragma unroll
	for (uint32_t b = 0; b < ATTEND_BLOCKS; b++) {
		if (b < first || b >= first + w->cut.k_blocks)
			continue;
		if (split * CUDA_ATTN_SPLIT + b * CUDA_KV_BLOCK > w->last)
			break;
		const uint8_t *from = kv_block(w, block[b]);
#pragma unroll(S::k_copies)
		for (uint32_t k = 0; k < bytes / COPY_BYTES / S::threads; k++) {
			uint32_t u = k * S::threads + w->thread;
			copy_async16(to + (b - first) * bytes + key_at(w, u / row_units, u % row_units),
				     from + u * COPY_BYTES, COPY_BYTES);
		}
	}
	copy_async_commit();
}

/* Starts the copy of chunks first .. first + v_chunks - 1 of the V of a split; positions beyond the last
 * become 0. */
template <typename S>
__device__ __forceinline__ void fetch_values(const struct work *w, uint32_t split,
					     const uint32_t block[ATTEND_BLOCKS], uint32_t first, uint8_t *to)
{
	if constexpr (S::q8_0) {
		q8_fetch_values<S>(w, split, block, first, to);
		return;
	}
	uint32_t plane = w->cut.v_chunks * CHUNK_BYTES,
		 n = least(w->cut.chunks - first, w->cut.v_chunks) * CHUNK_BYTES;
	int seen = (int)(w->last + 1 - split * CUDA_ATTN_SPLIT - 8 * (w->thread % 4));
#pragma unroll
	for (int b = 0; b < ATTEND_BLOCKS; b++) {
		const uint8_t *from =
			kv_block(w, block[b]) + S::planes * w->cut.plane_bytes + first * CHUNK_BYTES;
		int left = seen - b * CUDA_KV_BLOCK;
		uint32_t bytes = left <= 0 ? 0 : least(2 * (uint32_t)left, COPY_BYTES);
#pragma unroll
		for (int p = 0; p < S::planes; p++)
#pragma unroll(S::v_copies)
			for (uint32_t k = 0; k < n / COPY_BYTES / S::threads; k++) {
				uint32_t u = (k * S::threads + w->thread) * COPY_BYTES;
				copy_async16(to + (b * S::planes + p) * plane + u,
					     from + p * w->cut.plane_bytes + u, bytes);
			}
	}
	copy_async_commit();
}

/* The two buffers in turns: waits for the next parcel. *now then is where the one after it goes, which nobody
 * reads any more. */
template <typename S>
__device__ __forceinline__ const uint8_t *next_parcel(const struct work *w, uint32_t *now)
{
	copy_async_wait<0>();
	team_sync<S>();
	const uint8_t *parcel = w->shared + *now;
	*now = w->cut.parcel_bytes - *now;
	return parcel;
}

/* ---- products ---- */

__device__ __forceinline__ uint4 unit_at(const uint8_t *p)
{
	return *reinterpret_cast<const uint4 *>(p);
}

__device__ __forceinline__ uint2 q8_at(const uint8_t *p)
{
	return *reinterpret_cast<const uint2 *>(p);
}

template <typename S> struct query {
	uint4 q[S::query_chunks][S::planes][2];
};

/* Chunk c of the lane's rows. */
template <typename S>
__device__ __forceinline__ void fetch_query(const struct work *w, uint32_t c, uint4 q[S::planes][2])
{
#pragma unroll
	for (int p = 0; p < S::planes; p++)
#pragma unroll
		for (int r = 0; r < 2; r++) {
			uint64_t row =
				((uint64_t)w->token[r] * w->a->kv.n_heads + w->head[r]) * S::planes + p;
			q[p][r] = *reinterpret_cast<const uint4 *>(
				w->a->q + (row * w->cut.chunks + c) * TILE_CHUNK + 8 * (threadIdx.x % 4));
		}
}

/* Operands of the next product are asked for before the last one, as far as a parcel goes. */
template <typename S> struct operands {
	uint4 right[ATTEND_EIGHTS][S::planes], q[S::planes][2];
};

/* K of block b of a parcel, chunk c; and the query's, unless it stays. */
template <typename S>
__device__ __forceinline__ void load_keys(const struct work *w, const uint8_t *keys, uint32_t b, uint32_t c,
					  struct operands<S> *o)
{
	uint32_t g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
	if (!S::query_stays)
		fetch_query<S>(w, c, o->q);
	if constexpr (S::q8_0) {
		const uint8_t *block = keys + b * (w->cut.plane_bytes + w->cut.scale_bytes);
		const uint16_t *scales =
			reinterpret_cast<const uint16_t *>(block + w->cut.plane_bytes) + c * CUDA_KV_BLOCK;
#pragma unroll
		for (int j = 0; j < ATTEND_EIGHTS; j++) {
			uint32_t row = attend_position(j, g), s = scales[row] * 0x10001u;
			q8_unpack<S::planes>(q8_at(block + q8_key_at(w, row, 2 * c) + 8 * t),
					     make_uint4(s, s, s, s), o->right[j]);
		}
	} else {
#pragma unroll
		for (int j = 0; j < ATTEND_EIGHTS; j++)
#pragma unroll
			for (int p = 0; p < S::planes; p++)
				o->right[j][p] = unit_at(keys + (b * S::planes + p) * w->cut.plane_bytes +
							 key_at(w, attend_position(j, g), 4 * c + t));
	}
}

/* Scores of the blocks of a parcel of K, from block `first` on. */
template <typename S>
__device__ __forceinline__ void score_parcel(const struct work *w, const struct query<S> *query,
					     uint32_t n_blocks, uint32_t first, const uint8_t *keys,
					     float s[ATTEND_BLOCKS][ATTEND_EIGHTS][4])
{
	struct operands<S> now, next;
	load_keys<S>(w, keys, 0, 0, &now);
#pragma unroll
	for (uint32_t b = 0; b < ATTEND_BLOCKS; b++) {
		if (b < first || b >= first + w->cut.k_blocks)
			continue;
		if (b >= n_blocks)
			break;
		struct attend_chains<S::planes> chains = {
		};
#pragma unroll(S::at_once)
		for (uint32_t c = 0; c < w->cut.chunks; c++) {
			if (c + 1 < w->cut.chunks)
				load_keys<S>(w, keys, b - first, c + 1, &next);
			else if (b + 1 < first + w->cut.k_blocks)
				load_keys<S>(w, keys, b + 1 - first, 0, &next);
			attend_score<S::planes>(
				&chains, S::query_stays ? query->q[c % S::query_chunks] : now.q, now.right);
			now = next;
		}
		attend_close<S::planes>(&chains, s[b]);
	}
}

/* V of block b of a parcel, its chunk c. */
template <typename S>
__device__ __forceinline__ void load_values(const struct work *w, const uint8_t *values, uint32_t b,
					    uint32_t c, struct operands<S> *o)
{
	uint32_t g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
	if constexpr (S::q8_0) {
		const uint8_t *block = values + b * w->cut.v_chunks * (CHUNK_BYTES / 2 + SCALE_BYTES);
		uint4 s = unit_at(block + w->cut.v_chunks * (CHUNK_BYTES / 2) + c * SCALE_BYTES +
				  t * COPY_BYTES);
#pragma unroll
		for (int i = 0; i < ATTEND_EIGHTS; i++)
			q8_unpack<S::planes>(
				q8_at(block + c * (CHUNK_BYTES / 2) + (8 * i + g) * CUDA_KV_BLOCK + 8 * t), s,
				o->right[i]);
	} else {
#pragma unroll
		for (int i = 0; i < ATTEND_EIGHTS; i++)
#pragma unroll
			for (int p = 0; p < S::planes; p++)
				o->right[i][p] = unit_at(
					values + ((b * S::planes + p) * w->cut.v_chunks + c) * CHUNK_BYTES +
					(8 * i + g) * 64 + t * COPY_BYTES);
	}
}

/* Splits added up so far: registers, or shared memory where their number is not known. */
template <typename S> struct sums {
	struct attend_total row[2];
	float out[S::at_once][ATTEND_EIGHTS][4];
};

/* A lane's own place in shared memory for sum i of chunk c. */
__device__ __forceinline__ float *own_sum(const struct work *w, uint8_t *from, uint32_t c, uint32_t i)
{
	return reinterpret_cast<float *>(from) + (c * LANE_SUMS + i) * blockDim.x + w->thread;
}

template <typename S> __device__ __forceinline__ void clear_sums(const struct work *w, struct sums<S> *s)
{
	s->row[0].largest = s->row[1].largest = -INFINITY;
	s->row[0].sum = s->row[1].sum = 0;
#pragma unroll
	for (uint32_t i = 0; i < S::at_once * LANE_SUMS; i++)
		s->out[i / LANE_SUMS][i / 4 % 4][i % 4] = 0;
	if (S::any)
		for (uint32_t i = 0; i < w->cut.chunks * LANE_SUMS; i++)
			*own_sum(w, w->shared + 2 * w->cut.parcel_bytes, 0, i) = 0;
}

template <typename S>
__device__ __forceinline__ void merge_chunk(const struct work *w, struct sums<S> *s, uint32_t c,
					    const float before[2], const float now[2],
					    const float out[ATTEND_EIGHTS][4])
{
#pragma unroll
	for (uint32_t i = 0; i < LANE_SUMS; i++) {
		uint32_t r = i % 4 / 2;
		float *sum = S::any ? own_sum(w, w->shared + 2 * w->cut.parcel_bytes, c, i)
				    : &s->out[c % S::at_once][i / 4][i % 4];
		*sum = attend_merge(*sum, before[r], out[i / 4][i % 4], now[r]);
	}
}

/* ---- results ---- */

/* Chunk c of a head's output, as a16_put takes it. By a whole warp. */
__device__ __forceinline__ void put_chunk(const struct tile_attention_args *a, uint32_t token, uint32_t head,
					  uint32_t c, bool real, const float v[8])
{
	uint32_t n_dim = a->kv.head_dim, t = threadIdx.x % 4, cols = a->out.cols;
	bool last = real && head == a->kv.n_heads - 1 &&
		    c == (n_dim - 1) / TILE_CHUNK; /* cares for the padding */
	if (n_dim % TILE_CHUNK == 0) {
		const float zeros[8] = {};
		a16_put(&a->out, token, (head * n_dim) / TILE_CHUNK + c, real, v);
		if (cols < a->out.pitch)
			a16_put(&a->out, token, cols / TILE_CHUNK, last, zeros);
		return;
	}
	if (!real)
		return;
	uint16_t *high = a->out.halves + (uint64_t)a->kv.planes * token * a->out.pitch,
		 *low = high + a->out.pitch;
#pragma unroll
	for (uint32_t i = 0; i < 8; i++) {
		uint32_t d = TILE_CHUNK * c + 8 * (i / 2) + 2 * t + i % 2;
		if (d >= n_dim)
			continue;
		uint32_t at = a16_slot(head * n_dim + d), x = a16_high(v[i], 0);
		high[at] = (uint16_t)x;
		if (a->kv.planes == 2)
			low[at] = (uint16_t)a16_low(v[i], 0, x);
	}
	for (uint32_t column = cols + t; column < a->out.pitch && last; column += 4) {
		high[a16_slot(column)] = 0;
		if (a->kv.planes == 2)
			low[a16_slot(column)] = 0;
	}
}

/* The warp's rows, all splits added up. Each lane's sums pass through shared memory, where nobody reads
 * parcels any more, so that there is one copy of the code below. */
template <typename S> __device__ __forceinline__ void put_rows(const struct work *w, const struct sums<S> *s)
{
	uint8_t *own = w->shared + (S::any ? 2 * w->cut.parcel_bytes : 0);
	if (!S::any)
#pragma unroll
		for (uint32_t i = 0; i < S::at_once * LANE_SUMS; i++)
			*own_sum(w, own, 0, i) = s->out[i / LANE_SUMS][i / 4 % 4][i % 4];
#pragma unroll 1
	for (uint32_t k = 0; k < 2 * w->cut.chunks; k++) {
		uint32_t c = k / 2, r = k % 2;
		float v[8], sum = r ? s->row[1].sum : s->row[0].sum;
#pragma unroll
		for (uint32_t i = 0; i < 8; i++)
			v[i] = attend_finish(*own_sum(w, own, c, i / 2 * 4 + 2 * r + i % 2), sum);
		put_chunk(w->a, r ? w->token[1] : w->token[0], r ? w->head[1] : w->head[0], c,
			  r ? w->real[1] : w->real[0], v);
	}
}

__device__ __forceinline__ float *part_at(const struct tile_attention_args *a, uint32_t token, uint32_t head,
					  uint32_t split, uint32_t hd)
{
	return a->partial + (((uint64_t)token * a->kv.n_heads + head) * a->plan.n_splits + split) * (2 + hd);
}

template <typename S>
__device__ __forceinline__ void store_part(const struct work *w, uint32_t split, uint32_t c, const float m[2],
					   const float l[2], const float out[ATTEND_EIGHTS][4])
{
	uint32_t t = threadIdx.x % 4;
#pragma unroll
	for (int r = 0; r < 2; r++) {
		if (!w->real[r] || split * CUDA_ATTN_SPLIT >= w->n[r] ||
		    (S::bent && (split + 1) * CUDA_ATTN_SPLIT <= first_seen(w->a, w->n[r])))
			continue;
		float *part = part_at(w->a, w->token[r], w->head[r], split, w->cut.chunks * TILE_CHUNK);
		if (c == 0 && t == 0)
			*reinterpret_cast<float2 *>(part) = {m[r], l[r]};
#pragma unroll
		for (int i = 0; i < ATTEND_EIGHTS; i++)
			*reinterpret_cast<float2 *>(part + 2 + TILE_CHUNK * c + 8 * i +
						    2 * t) = {out[i][2 * r], out[i][2 * r + 1]};
	}
}

/* ---- a team's way through its splits ---- */

/* What is left of a split's scores. */
template <typename S> struct softened {
	struct attend_weights<S::planes> weights;
	float m[2], l[2], before[2], now[2];
};

/* A parcel of V, whose first chunk is `first`, to the sums or to the split's part. */
template <typename S>
__device__ __forceinline__ void value_parcel(const struct work *w, const struct softened<S> *soft,
					     uint32_t split, uint32_t n_blocks, uint32_t first,
					     const uint8_t *values, struct sums<S> *total)
{
	struct operands<S> now, next;
	load_values<S>(w, values, 0, 0, &now);
#pragma unroll(S::v_at_once)
	for (uint32_t c = first; c < least(first + w->cut.v_chunks, w->cut.chunks); c++) {
		struct attend_chains<S::planes> chains = {
		};
		float out[ATTEND_EIGHTS][4];
#pragma unroll
		for (uint32_t b = 0; b < ATTEND_BLOCKS; b++) {
			if (b >= n_blocks)
				break;
			bool more = b + 1 < n_blocks;
			load_values<S>(w, values, more ? b + 1 : 0, c - first + !more,
				       &next); /* at last: nobody uses it */
			attend_add<S::planes>(&chains, soft->weights.w[b], now.right);
			now = next;
		}
		attend_close<S::planes>(&chains, out);
		if (S::team == 1 && w->a->partial)
			store_part<S>(w, split, c, soft->m, soft->l, out);
		else
			merge_chunk<S>(w, total, c, soft->before, soft->now, out);
	}
}

/* Hides what a split has before the rows' windows. */
__device__ __forceinline__ void hide_before(const struct work *w, uint32_t start,
					    float s[ATTEND_BLOCKS][ATTEND_EIGHTS][4], bool unseen[2])
{
	uint32_t from[2];
#pragma unroll
	for (int r = 0; r < 2; r++) {
		uint32_t first = first_seen(w->a, w->n[r]);
		from[r] = first > start ? first - start : 0;
		unseen[r] = from[r] >= CUDA_ATTN_SPLIT;
	}
	attend_mask_before(s, from);
}

template <typename S>
__device__ __forceinline__ void walk(const struct work *w, uint32_t first, uint32_t end,
				     struct sums<S> *total)
{
	struct query<S> query;
#pragma unroll
	for (uint32_t c = 0; c < S::query_chunks && S::query_stays; c++)
		fetch_query<S>(w, c, query.q[c]);
	uint32_t block[ATTEND_BLOCKS], now = 0;
	find_blocks(w, first, block);
	fetch_keys<S>(w, first, block, 0, w->shared);
	for (uint32_t split = first; split < end; split++) {
		uint32_t start = split * CUDA_ATTN_SPLIT, following[ATTEND_BLOCKS], n[2];
		bool whole = !w->idle && start + CUDA_ATTN_SPLIT <= w->warp_first + 1;
		bool unseen[2] = {false, false}; /* before the row's window */
		/* blocks of the split that the warp sees */
		uint32_t n_blocks =
			w->idle || start > w->warp_last
				? 0
				: least((w->warp_last - start) / CUDA_KV_BLOCK + 1, ATTEND_BLOCKS);
		find_blocks(w, split + 1, following);
		float s[ATTEND_BLOCKS][ATTEND_EIGHTS][4] = {};
#pragma unroll
		for (uint32_t b = 0; b < ATTEND_BLOCKS; b++) {
			if (b % w->cut.k_blocks)
				continue;
			const uint8_t *keys = next_parcel<S>(w, &now);
			if (b + w->cut.k_blocks < ATTEND_BLOCKS)
				fetch_keys<S>(w, split, block, b + w->cut.k_blocks, w->shared + now);
			else
				fetch_values<S>(w, split, block, 0, w->shared + now);
			if (n_blocks)
				score_parcel<S>(w, &query, n_blocks, b, keys, s);
		}
		n[0] = w->n[0] > start ? w->n[0] - start : 0;
		n[1] = w->n[1] > start ? w->n[1] - start : 0;
		if (S::bent && w->a->soft_cap != 0)
			attend_cap(s, w->a->scale, w->a->soft_cap);
		if (!whole)
			attend_mask(s, n);
		if (S::bent && first_seen(w->a, w->warp_last + 1) > start)
			hide_before(w, start, s, unseen);
		struct softened<S> softened;
		attend_soften<S::planes>(s, S::bent && w->a->soft_cap != 0 ? 1.0f : w->a->scale, softened.m,
					 softened.l, &softened.weights);
#pragma unroll
		for (int r = 0; r < 2; r++)
			attend_weigh(&total->row[r], softened.m[r], softened.l[r],
				     n[r] == 0 || (S::bent && unseen[r]), &softened.before[r],
				     &softened.now[r]);
#pragma unroll(S::v_parcels)
		for (uint32_t i = 0; i < w->cut.v_parcels; i++) {
			const uint8_t *values = next_parcel<S>(w, &now);
			if (i + 1 < w->cut.v_parcels)
				fetch_values<S>(w, split, block, (i + 1) * w->cut.v_chunks, w->shared + now);
			else if (split + 1 < end)
				fetch_keys<S>(w, split + 1, following, 0, w->shared + now);
			if (n_blocks)
				value_parcel<S>(w, &softened, split, n_blocks, i * w->cut.v_chunks, values,
						total);
		}
#pragma unroll
		for (int b = 0; b < ATTEND_BLOCKS; b++)
			block[b] = following[b];
	}
	team_sync<S>();
}

/* The first split that some row of the block's band sees. */
__device__ __forceinline__ uint32_t first_split(const struct tile_attention_args *a)
{
	struct attend_band band = a->bands[blockIdx.y];
	uint32_t lowest = a->tokens[band.token + band.row / (a->kv.n_heads / a->kv.n_kv_heads)].pos;
	return first_seen(a, lowest + 1) / CUDA_ATTN_SPLIT;
}

/* Block (KV head, band, share of the splits): one team. */
template <typename S>
__global__ void __launch_bounds__(S::threads) tile_attention_kernel(const struct tile_attention_args a)
{
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
	SHARED(uint8_t, shared);
	struct work w = find_work<S>(&a, shared);
	uint32_t from = S::bent ? first_split(&a) : 0, n_splits = w.last / CUDA_ATTN_SPLIT + 1,
		 share = (n_splits - from + gridDim.z - 1) / gridDim.z;
	uint32_t first = from + blockIdx.z * share, end = least(first + share, n_splits);
	chain_next();
	chain_wait();
	if (first >= end)
		return;
	struct sums<S> total;
	clear_sums<S>(&w, &total);
	walk<S>(&w, first, end, &total);
	if (!a.partial && !w.idle)
		put_rows<S>(&w, &total);
#endif
}

/* ---- launches ---- */

template <int CHUNKS, int PLANES, int TEAM, int BENT, int Q8>
cudaError_t launch_bands(const struct tile_attention_args *a, uint32_t n_bands, uint32_t shares,
			 cudaStream_t stream)
{
	typedef struct shape<CHUNKS, PLANES, TEAM, BENT, Q8> S;
	if (!n_bands)
		return cudaSuccess;
	void (*kernel)(struct tile_attention_args) = tile_attention_kernel<S>;
	struct cut c = cut_of(tile_hd(a->kv.head_dim) / TILE_CHUNK, PLANES, Q8);
	uint32_t bytes = team_bytes(&c, S::any, S::threads);
	cudaError_t e = cudaFuncSetAttribute((const void *)kernel,
					     cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes);
	if (e)
		return e;
	return LAUNCH_CHAINED(1, kernel, dim3(a->kv.n_kv_heads, n_bands, shares), S::threads, bytes, stream,
			      *a);
}

/* Shares of the splits that fill the device, with no team's walk longer than MOST_PER_TEAM. */
__host__ inline uint32_t choose_shares(const struct tile_attention_args *a)
{
	if (!a->partial)
		return 1;
	uint32_t teams = a->plan.n_narrow * a->kv.n_kv_heads,
		 per_team = teams * a->plan.n_splits / TEAMS_AT_ONCE;
	per_team = per_team < 1 ? 1 : least(per_team, MOST_PER_TEAM);
	return (a->plan.n_splits + per_team - 1) / per_team;
}

template <int CHUNKS, int PLANES, int BENT, int Q8 = 0>
cudaError_t launch_shape(const struct tile_attention_args *a, cudaStream_t stream)
{
	cudaError_t e = launch_bands<CHUNKS, PLANES, WIDE_TEAM, BENT, Q8>(a, a->plan.n_wide, 1, stream);
	struct tile_attention_args narrow = *a;
	narrow.bands += a->plan.n_wide;
	if (!e)
		e = launch_bands<CHUNKS, PLANES, 1, BENT, Q8>(&narrow, a->plan.n_narrow, choose_shares(a),
							      stream);
	return e;
}

/* The kernel of heads padded to `hd`: those of some columns have their own, all others share a slower one. */
struct head_launch {
	uint32_t hd;
	cudaError_t (*of_planes[2])(const struct tile_attention_args *, cudaStream_t);
};

} // namespace

#endif
