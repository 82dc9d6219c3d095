/*
 * Attention of the decode kernel (decode_kernel.cuh), item by item (decode_items.cuh). Eight warps score
 * sixteen positions each for all query heads of the group, the other eight add up columns of the output. Keys
 * and values are the left operand, the heads are the columns of the right one. FULL: eight of the left's rows
 * are the high plane, the other eight the low plane of the same positions or columns; HALF: all sixteen are
 * positions or columns of their own. The sums are those of attend.cuh.
 *
 * From item to item no warp waits for all others: those that score fetch the next keys while the others add
 * up, and go on until they would overwrite what these read (the first of an item's two barriers).
 */
#ifndef COMPUTE_CUDA_DECODE_ATTENTION_CUH
#define COMPUTE_CUDA_DECODE_ATTENTION_CUH

#include "compute/cuda/decode/decode_items.cuh"
#include "compute/cuda/decode/decode_merge.cuh"
#include "compute/cuda/decode/decode_query.cuh"

namespace
{

enum {
	SCORE_WARPS = 8,
	COLUMN_ROWS = FULL ? 1 : 2, /* columns that a lane of a warp that adds up has */
	WARP_COLUMNS = 8 * COLUMN_ROWS,
	ALL_COLUMNS = (DECODE_WARPS - SCORE_WARPS) * WARP_COLUMNS,
	HEAD_EIGHTS = DECODE_MAX_GROUP / 8,
};

/* What a lane needs of the KV memory: rows g and g + 8 of left operands. A warp that scores has [chunk of 32
 * dimensions][tile], one that adds up [KV block][0]. */
struct fragments {
	uint4 w[4][PLANES][2];
};

/* Row r (0, 1) of a lane's positions or columns, by plane; FULL: tile r, and one row for each plane. */
__device__ __forceinline__ uint4 *fragment(struct fragments *f, uint32_t i, uint32_t r, uint32_t plane)
{
	return FULL ? &f->w[i][FULL * r][plane] : &f->w[i][0][r];
}

/* The position of row g (r: 0) or g + 8 (r: 1) of a warp that scores; the order is that of the sum of p. */
__device__ __forceinline__ uint32_t score_position(const struct block *b, uint32_t r)
{
	return KV_BLOCK * (b->warp % 2 * 2 + r) + 8 * (b->warp / 2) + b->lane / 4;
}

/* Heads of more than 128 are scored 128 dimensions at a time: FROM is the first chunk of these. */
template <int CHUNKS> struct keys_shape {
	enum { at_once = CHUNKS < 4 ? CHUNKS : 4 };
};

template <int CHUNKS, int FROM>
__device__ __forceinline__ void fetch_keys(const struct block *b, uint32_t l, const struct item *it,
					   struct fragments *f)
{
	typedef head_shape<CHUNKS> shape;
#pragma unroll
	for (uint32_t r = 0; r < 2; r++) {
		uint32_t at = score_position(b, r);
		bool written = it->first + at < item_pos(b, it);
		const uint8_t *keys = NULL;
		if (written)
			keys = kv_block(b, l, it, at / KV_BLOCK) +
			       (at % KV_BLOCK * shape::HD + 8 * (b->lane % 4)) * 2;
#pragma unroll
		for (uint32_t c = 0; c < keys_shape<CHUNKS>::at_once; c++)
#pragma unroll
			for (uint32_t p = 0; p < PLANES; p++) {
				uint4 *to = fragment(f, c, r, p);
				*to = make_uint4(0, 0, 0, 0);
				if (written)
					*to = load_l2(keys + p * shape::PLANE_BYTES + 64 * (FROM + c));
			}
	}
}

/* column: the warp's first. */
template <int CHUNKS>
__device__ __forceinline__ void fetch_values(const struct block *b, uint32_t l, const struct item *it,
					     uint32_t column, struct fragments *f)
{
	typedef head_shape<CHUNKS> shape;
	uint32_t t = b->lane % 4,
		 at = PLANES * shape::PLANE_BYTES + ((column + b->lane / 4) * KV_BLOCK + 8 * t) * 2;
#pragma unroll
	for (uint32_t n = 0; n < KV_BLOCKS; n++) {
#pragma unroll
		for (uint32_t i = 0; i < 2; i++)
			f->w[n][0][i] = make_uint4(0, 0, 0, 0);
		if (it->first + n * KV_BLOCK + 8 * t >= item_pos(b, it))
			continue;
		const uint8_t *values = kv_block(b, l, it, n) + at;
#pragma unroll
		for (uint32_t p = 0; p < PLANES; p++)
#pragma unroll
			for (uint32_t r = 0; r < COLUMN_ROWS; r++)
				*fragment(f, n, r, p) =
					load_l2(values + p * shape::PLANE_BYTES + r * 8 * KV_BLOCK * 2);
	}
}

/* The new token's k, which is in shared memory. */
template <int CHUNKS, int FROM>
__device__ __forceinline__ void patch_keys(const struct block *b, const struct item *it, struct fragments *f)
{
	const uint16_t *fresh = shared_fresh(b) + 8 * (b->lane % 4);
#pragma unroll
	for (uint32_t r = 0; r < 2; r++)
		if (it->first + score_position(b, r) == item_pos(b, it))
#pragma unroll
			for (uint32_t c = 0; c < keys_shape<CHUNKS>::at_once; c++)
#pragma unroll
				for (uint32_t p = 0; p < PLANES; p++)
					*fragment(f, c, r, p) = *reinterpret_cast<const uint4 *>(
						fresh + p * 2 * head_shape<CHUNKS>::HD + 32 * (FROM + c));
}

/* Its v; what lies at and beyond its position becomes 0. */
template <int CHUNKS>
__device__ __forceinline__ void patch_values(const struct block *b, const struct item *it, uint32_t column,
					     struct fragments *f)
{
	const uint16_t *fresh = shared_fresh(b) + head_shape<CHUNKS>::HD + column + b->lane / 4;
	uint32_t place =
		item_pos(b, it) - it->first - 8 * (b->lane % 4); /* from the lane's first, modulo 2^32 */
	uint32_t word = place % KV_BLOCK < 8 ? place % KV_BLOCK / 2 : 4, high = place % 2 * 16;
	uint32_t keep[4], put[2][4];
#pragma unroll
	for (uint32_t i = 0; i < 4; i++) {
		keep[i] = i < word ? 0xFFFFFFFFu : i == word && high ? 0xFFFFu : 0;
#pragma unroll
		for (uint32_t k = 0; k < 2; k++) /* FULL: plane k; HALF: column row k */
			put[k][i] = i == word ? (uint32_t)fresh[FULL ? k * 2 * head_shape<CHUNKS>::HD : 8 * k]
							<< high
					      : 0;
	}
#pragma unroll
	for (uint32_t n = 0; n < KV_BLOCKS; n++) {
		bool here = place / KV_BLOCK == n;
#pragma unroll
		for (uint32_t k = 0; k < 2; k++) {
			uint4 *w = &f->w[n][0][k];
			w->x = here ? (w->x & keep[0]) | put[k][0] : w->x;
			w->y = here ? (w->y & keep[1]) | put[k][1] : w->y;
			w->z = here ? (w->z & keep[2]) | put[k][2] : w->z;
			w->w = here ? (w->w & keep[3]) | put[k][3] : w->w;
		}
	}
}

/* Fragments as they are multiplied: [chunk or KV block][tile][k16][register]. */
struct operands {
	uint32_t a[4][PLANES][2][4];
};

/* Makes them of what was fetched, now: later, others wait. */
template <int N, int TILES>
__device__ __forceinline__ void arrange(const struct fragments *f, struct operands *o)
{
#pragma unroll
	for (uint32_t n = 0; n < N; n++)
#pragma unroll
		for (uint32_t tile = 0; tile < TILES; tile++)
#pragma unroll
			for (uint32_t k = 0; k < 8; k++)
				o->a[n][tile][k / 4][k % 4] =
					anew(attend_word(f->w[n][tile][k % 2], k / 4 * 2 + k % 4 / 2));
}

/* The products of a tile: rows g and g + 8 with the heads' high plane, and (FULL) with their low one. */
struct chains {
	float high[4], low[FULL ? 4 : 1];
};

/* d += keys or values (left) times the heads' numbers of a chunk or KV block, [plane]. */
__device__ __forceinline__ void multiply(struct chains *d, const uint32_t left[2][4],
					 const uint4 heads[PLANES])
{
#pragma unroll
	for (uint32_t j = 0; j < 2; j++) {
		mma_f16(d->high, left[j], attend_word(heads[0], 2 * j), attend_word(heads[0], 2 * j + 1));
		if (FULL)
			mma_f16(d->low, left[j], attend_word(heads[PLANES - 1], 2 * j),
				attend_word(heads[PLANES - 1], 2 * j + 1));
	}
}

/* The sum of row r (FULL: 0, the tile's planes together) for head e of the lane's two. */
__device__ __forceinline__ float close_chains(const struct chains *d, uint32_t r, uint32_t e)
{
	return FULL ? d->high[e] + (d->high[2 + e] + d->low[FULL * e]) : d->high[2 * r + e];
}

/* What lane 4 g + t multiplies of head tile i: rows of `stride` halves, planes of group_rows rows. */
__device__ __forceinline__ void load_heads(const struct block *b, uint4 heads[PLANES], const uint16_t *rows,
					   uint32_t stride, uint32_t i)
{
#pragma unroll
	for (uint32_t p = 0; p < PLANES; p++)
		heads[p] = *reinterpret_cast<const uint4 *>(
			rows + (p * b->a->group_rows + 8 * i + b->lane / 4) * stride + 8 * (b->lane % 4));
}

/* The largest of, and the sum over, the lanes of equal t: rows g. */
__device__ __forceinline__ float largest_row(float v)
{
#pragma unroll
	for (int bit = 4; bit <= 16; bit *= 2)
		v = fmaxf(v, __shfl_xor_sync(FULL_WARP, v, bit));
	return v;
}
__device__ __forceinline__ float add_rows(float v)
{
#pragma unroll
	for (int bit = 4; bit <= 16; bit *= 2)
		v = v + __shfl_xor_sync(FULL_WARP, v, bit);
	return v;
}

/* By warp: the largest score of a head, of even items or of odd ones, and the sum of its p. */
__device__ __forceinline__ float *peaks_of(const struct block *b, const struct item *it, uint32_t head)
{
	return shared_peaks(b) + (it->odd * b->a->group_rows + head) * SCORE_WARPS;
}
__device__ __forceinline__ float *sums_of(const struct block *b, uint32_t head)
{
	return shared_peaks(b) + (2 * b->a->group_rows + head) * SCORE_WARPS;
}

__device__ __forceinline__ float peak(const struct block *b, const struct item *it, uint32_t head)
{
	const float4 *v = reinterpret_cast<const float4 *>(peaks_of(b, it, head));
	float4 x = v[0], y = v[1];
	return fmaxf(fmaxf(fmaxf(x.x, x.y), fmaxf(x.z, x.w)), fmaxf(fmaxf(y.x, y.y), fmaxf(y.z, y.w)));
}

__device__ __forceinline__ float total(const struct block *b, uint32_t head)
{
	const float4 *v = reinterpret_cast<const float4 *>(sums_of(b, head));
	float4 x = v[0], y = v[1];
	return (x.x + x.y + (x.z + x.w)) + (y.x + y.y + (y.z + y.w));
}

/* Adds a warp's products of tile i of heads, of the chunks of o, the first of which is FROM. */
template <int CHUNKS, int FROM>
__device__ __forceinline__ void score_chunks(const struct block *b, const struct item *it, uint32_t i,
					     const struct operands *o, struct chains d[PLANES])
{
	typedef head_shape<CHUNKS> shape;
	if (it->first + b->warp % 2 * 2 * KV_BLOCK <= item_pos(b, it))
#pragma unroll
		for (uint32_t c = 0; c < keys_shape<CHUNKS>::at_once; c++) {
			uint4 heads[PLANES];
			load_heads(b, heads, shared_query(b) + 32 * (FROM + c), shape::STRIDE, i);
#pragma unroll
			for (uint32_t tile = 0; tile < PLANES; tile++)
				multiply(&d[tile], o->a[c][tile], heads);
		}
}

/* A warp's scores of tile i of heads: v[2 r + e] of head 2 t + e and row r; and its largest, to shared
 * memory. */
__device__ __forceinline__ void close_scores(const struct block *b, uint32_t l, const struct item *it,
					     uint32_t i, const struct chains d[PLANES], float v[4])
{
	float cap = RICH ? b->a->layers[l].soft_cap : 0;
	uint32_t low = first_seen(b, l);
#pragma unroll
	for (uint32_t k = 0; k < 4; k++) {
		uint32_t at = it->first + score_position(b, k / 2);
		float s = close_chains(&d[FULL * (k / 2)], k / 2, k % 2) * b->a->scale;
		if (RICH && cap != 0)
			s = a16_capped(s, cap);
		v[k] = at <= item_pos(b, it) && (!RICH || at >= low) ? s : -INFINITY;
	}
#pragma unroll
	for (uint32_t e = 0; e < 2; e++) {
		float largest = largest_row(fmaxf(v[e], v[2 + e]));
		if (b->lane < 4)
			peaks_of(b, it, 8 * i + 2 * b->lane + e)[b->warp] = largest;
	}
}

/* Scores to weights p, as halves, and their sums, to shared memory. */
__device__ __forceinline__ void soften(const struct block *b, const struct item *it, uint32_t i,
				       const float v[4])
{
#pragma unroll
	for (uint32_t e = 0; e < 2; e++) {
		uint32_t head = 8 * i + b->lane % 4 * 2 + e;
		float largest = peak(b, it, head), p[2];
		uint16_t *to = shared_p16(b) + head * (SPLIT + DECODE_ROW_PAD);
#pragma unroll
		for (uint32_t r = 0; r < 2; r++)
			p[r] = expf(v[2 * r + e] - largest);
		uint32_t both = half2_pack(p[0], p[1]);
#pragma unroll
		for (uint32_t plane = 0; plane < PLANES;
		     plane++, to += b->a->group_rows * (SPLIT + DECODE_ROW_PAD)) {
			to[score_position(b, 0)] = (uint16_t)both;
			to[score_position(b, 1)] = (uint16_t)(both >> 16);
			both = half2_pack(p[0] - half_bits_to_float((uint16_t)both),
					  p[1] - half_bits_to_float((uint16_t)(both >> 16)));
		}
		float sum = add_rows(p[0] + p[1]);
		if (b->lane < 4)
			sums_of(b, head)[b->warp] = sum;
	}
}

/* What a split adds to the output of heads row and row + 1 of the group, for those who merge. */
__device__ __forceinline__ void put_parts(const struct block *b, const struct item *it, uint32_t tag,
					  uint32_t first_column, uint32_t row, const struct chains *d,
					  const float sum[2])
{
	const struct decode_args *a = b->a;
	uint32_t column = first_column + b->lane / 4;
	for (uint32_t e = 0; e < 2 && row + e < a->group; e++) {
		uint64_t *part =
			attention_part(a, it->seq * a->n_heads + it->head * a->group + row + e, it->split);
#pragma unroll
		for (uint32_t r = 0; r < COLUMN_ROWS; r++)
			if (column + 8 * r < a->head_dim)
				store_tagged(
					part + 2 + column + 8 * r,
					__float_as_uint(e ? close_chains(d, r, 1) : close_chains(d, r, 0)),
					tag);
		if (column == 0) {
			store_tagged(part, __float_as_uint(peak(b, it, row + e)), tag);
			store_tagged(part + 1, __float_as_uint(e ? sum[1] : sum[0]), tag);
		}
	}
}

/* A warp's columns of the output, from first_column on, of tile i of heads. */
__device__ __forceinline__ void gather(const struct block *b, uint32_t l, uint32_t words,
				       const struct item *it, uint32_t first_column, uint32_t i,
				       const struct operands *o)
{
	const struct decode_args *a = b->a;
	uint32_t row = 8 * i + b->lane % 4 * 2, head = it->head * a->group + row,
		 tag = a->launch * a->n_layers + l;
	bool whole = item_pos(b, it) / SPLIT == first_seen(b, l) / SPLIT;
	struct chains d = {};
	uint4 heads[KV_BLOCKS][PLANES];
#pragma unroll
	for (uint32_t n = 0; n < KV_BLOCKS; n++)
		load_heads(b, heads[n], shared_p16(b) + n * KV_BLOCK, SPLIT + DECODE_ROW_PAD, i);
	float sum[2] = {total(b, row), total(b, row + 1)};
#pragma unroll
	for (uint32_t n = 0; n < KV_BLOCKS; n++)
		if (it->first + n * KV_BLOCK <= item_pos(b, it))
			multiply(&d, o->a[n][0], heads[n]);
	if (!whole) {
		put_parts(b, it, tag, first_column, row, &d, sum);
		return;
	}
	float inverse[2] = {near_reciprocal(sum[0]), near_reciprocal(sum[1])};
	uint32_t column = first_column + b->lane / 4,
		 at = words + a->at.attended + (head * a->head_dim + column) / WORD_NUMBERS;
#pragma unroll
	for (uint32_t k = 0; k < 2 * COLUMN_ROWS; k++) {
		uint32_t e = k % 2, r = k / 2,
			 v = word_of_halves(to_halves(close_chains(&d, r, e) * inverse[e]), 4);
		if (row + e < a->group && column + 8 * r < a->head_dim && column % WORD_NUMBERS == 0)
			publish(b, at + (e * a->head_dim + 8 * r) / WORD_NUMBERS, v);
	}
}

/* The part of a warp that scores, from when the query is there. */
template <int CHUNKS>
__device__ __forceinline__ void score_all(const struct block *b, uint32_t l, const struct item *it,
					  struct fragments *f)
{
	struct operands o;
	float v[HEAD_EIGHTS][4] = {};
	patch_keys<CHUNKS, 0>(b, it, f);
	arrange<keys_shape<CHUNKS>::at_once, PLANES>(f, &o);
	if constexpr (CHUNKS <= 4) {
#pragma unroll
		for (uint32_t i = 0; i < HEAD_EIGHTS; i++)
			if (8 * i < b->a->group) {
				struct chains d[PLANES] = {};
				score_chunks<CHUNKS, 0>(b, it, i, &o, d);
				close_scores(b, l, it, i, d, v[i]);
			}
	} else {
		struct chains d[HEAD_EIGHTS][PLANES] = {};
		if (!FULL) /* there are registers to fetch ahead */
			fetch_keys<CHUNKS, 4>(b, l, it, f);
#pragma unroll
		for (uint32_t i = 0; i < HEAD_EIGHTS; i++)
			if (8 * i < b->a->group)
				score_chunks<CHUNKS, 0>(b, it, i, &o, d[i]);
		if (FULL)
			fetch_keys<CHUNKS, 4>(b, l, it, f);
		patch_keys<CHUNKS, 4>(b, it, f);
		arrange<4, PLANES>(f, &o);
#pragma unroll
		for (uint32_t i = 0; i < HEAD_EIGHTS; i++)
			if (8 * i < b->a->group) {
				score_chunks<CHUNKS, 4>(b, it, i, &o, d[i]);
				close_scores(b, l, it, i, d[i], v[i]);
			}
	}
	sync_workers();
#pragma unroll
	for (uint32_t i = 0; i < HEAD_EIGHTS; i++)
		if (8 * i < b->a->group)
			soften(b, it, i, v[i]);
	sync_workers();
}

/* Values of columns from `column` on become operands. */
template <int CHUNKS>
__device__ __forceinline__ void take_values(const struct block *b, const struct item *it, uint32_t column,
					    struct fragments *f, struct operands *o)
{
	patch_values<CHUNKS>(b, it, column, f);
	arrange<KV_BLOCKS, 1>(f, o);
}

/* The part of a warp that adds up. */
template <int CHUNKS>
__device__ __forceinline__ void gather_all(const struct block *b, uint32_t l, uint32_t words,
					   const struct item *it, uint32_t column, struct fragments *f)
{
	const uint32_t hd = head_shape<CHUNKS>::HD;
	struct operands o;
	take_values<CHUNKS>(b, it, column % hd, f, &o);
	sync_workers();
	sync_workers();
	while (column < hd) {
		for (uint32_t i = 0; 8 * i < b->a->group; i++)
			gather(b, l, words, it, column, i, &o);
		column += ALL_COLUMNS;
		if (ALL_COLUMNS >= hd || column >= hd)
			break;
		fetch_values<CHUNKS>(b, l, it, column, f);
		take_values<CHUNKS>(b, it, column, f, &o);
	}
}

/* The block's item k. known: its q is in shared memory. */
template <int CHUNKS>
__device__ __forceinline__ void attend(struct block *b, uint32_t l, uint32_t words, uint32_t k, bool known)
{
	know_thread(b); /* or all that follows from it would be kept over all items */
	struct item it = present_item(b, k);
	struct fragments f = {}; /* else it would be kept from item to item */
	uint32_t column = WARP_COLUMNS * (b->warp - SCORE_WARPS);
	bool scores = b->warp < (uint32_t)SCORE_WARPS;
	words += words_of(b, it.seq);
	if (scores)
		fetch_keys<CHUNKS, 0>(b, l, &it, &f);
	else if (column < (uint32_t)head_shape<CHUNKS>::HD)
		fetch_values<CHUNKS>(b, l, &it, column, &f);
	if (SEQS == 1 && b->warp == 0)
		look_ahead<CHUNKS>(b, l, k);
	if (!known || it.fresh) {
		receive_query<CHUNKS>(b, l, words, &it, known);
		sync_workers();
	}
	if (scores)
		score_all<CHUNKS>(b, l, &it, &f);
	else
		gather_all<CHUNKS>(b, l, words, &it, column, &f);
}

template <int CHUNKS> __device__ __forceinline__ void attention(struct block *b, uint32_t l, uint32_t words)
{
	const struct decode_args *a = b->a;
	if (RICH) {
		place_first<CHUNKS>(b, l);
		sync_workers();
	}
	uint32_t n_items = items_of(b, l);
	for (uint32_t k = 0; first_item() + k * gridDim.x < n_items; k++) {
		if (SEQS > 1 && n_items > gridDim.x) { /* the block's first item is not the only one */
			sync_workers();
			if (b->warp == 0)
				place_item<CHUNKS>(b, l, k, b->lane);
			sync_workers();
		}
		attend<CHUNKS>(b, l, words, k, SEQS == 1 && k && gridDim.x % a->n_kv_heads == 0);
	}
	uint32_t first = first_split(b, l), last = a->pos / SPLIT;
	if constexpr (SEQS > 1)
		combine_few(b, l, words);
	else if (first < last)
		merge_heads(b, l, words, first, last);
}

} // namespace
#endif
