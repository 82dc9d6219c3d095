/*
 * Attention of the decode kernel (decode_kernel.cuh). An item is one KV head and one split of 128 positions;
 * a block takes each so manieth. Eight warps score sixteen positions each for all query heads of the group,
 * the other eight add up columns of the output. Keys and values are the left operand, the heads are the
 * columns of the right one. FULL: eight of the left's rows are the high plane, the other eight the low plane
 * of the same positions or columns; HALF: all sixteen are positions or columns of their own. The sums are
 * those of attend.cuh.
 *
 * From item to item no warp waits for all others: those that score fetch the next keys while the others add
 * up, and go on until they would overwrite what these read (the first of an item's two barriers).
 */
#ifndef COMPUTE_CUDA_DECODE_ATTENTION_CUH
#define COMPUTE_CUDA_DECODE_ATTENTION_CUH

#include "compute/cuda/decode/decode_merge.cuh"

namespace
{

enum {
	SCORE_WARPS = 8,
	COLUMN_ROWS = FULL ? 1 : 2, /* columns that a lane of a warp that adds up has */
	WARP_COLUMNS = 8 * COLUMN_ROWS,
	ALL_COLUMNS = (DECODE_WARPS - SCORE_WARPS) * WARP_COLUMNS,
	HEAD_EIGHTS = DECODE_MAX_GROUP / 8,
	KV_BLOCKS = SPLIT / KV_BLOCK, /* of a split */
	PLACE_WORDS = KV_BLOCKS + 1,
	ITEMS_AHEAD = 2, /* that are looked up, and come to the L2, before their turn */
	ITEM_RING = 8,
};
static_assert(ITEMS_AHEAD + ITEM_RING == DECODE_PLACES && ITEMS_AHEAD + 1 < ITEM_RING,
	      "an item's place is not needed any more");

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

struct item {
	uint32_t head, split, first; /* KV head; first position of the split */
	uint32_t seq;                /* of the launch */
	uint32_t places;             /* of its KV blocks, in shared memory */
	uint32_t odd;                /* of the block's items, it is an odd one */
	bool fresh;                  /* the split that the new token is in */
};

/* Blocks from the last one on, as the first ones have more tiles at times. */
__device__ __forceinline__ uint32_t first_item(void)
{
	return gridDim.x - 1 - blockIdx.x;
}

template <int CHUNKS> struct head_shape {
	enum {
		HD = CHUNKS * 32,                /* dimensions of a head, with padding */
		PLANE_BYTES = KV_BLOCK * HD * 2, /* of a KV block: K or V of one head */
		BLOCK_BYTES = 2 * PLANES * PLANE_BYTES,
		STRIDE = HD + DECODE_ROW_PAD, /* halves from a query row to the next */
	};
};

/* The first position that the layer's window shows. */
__device__ __forceinline__ uint32_t first_seen(const struct block *b, uint32_t l)
{
	uint32_t window = RICH ? b->a->layers[l].window : 0;
	return window && b->a->pos >= window ? b->a->pos - window + 1 : 0;
}

/* Of the sequence of an item. */
__device__ __forceinline__ uint32_t item_pos(const struct block *b, const struct item *it)
{
	(void)it; /* of several, its place is not kept: attention needs the registers */
	return SEQS == 1 ? b->a->pos : pos_of(b, (uint32_t)shared_table(b)[KV_BLOCKS] >> 16);
}

__device__ __forceinline__ uint32_t first_split(const struct block *b, uint32_t l)
{
	return first_seen(b, l) / SPLIT;
}

/* Items of a sequence; of several, windows hide nothing. */
__device__ __forceinline__ uint32_t seq_items(const struct block *b, uint32_t l, uint32_t seq)
{
	return b->a->n_kv_heads * (pos_of(b, seq) / SPLIT + 1 - first_split(b, l));
}

/* All blocks' items of a layer. */
__device__ __forceinline__ uint32_t items_of(const struct block *b, uint32_t l)
{
	uint32_t n = seq_items(b, l, 0);
	for (uint32_t s = 1; s < n_seqs_of(b); s++)
		n += seq_items(b, l, s);
	return n;
}

/* Where the places of the block's item k are in shared memory. Those of the first stay there from layer to
 * layer (but in rich models), others until some more have had their turn. Of several sequences there are
 * those of one item. */
__device__ __forceinline__ uint32_t places_of(uint32_t k)
{
	return SEQS > 1 ? 0 : (k < ITEMS_AHEAD ? k : ITEMS_AHEAD + k % ITEM_RING) * PLACE_WORDS;
}

/* From where on a layer's blocks are. */
__device__ __forceinline__ uint8_t *kv_layer(const struct block *b, uint32_t l)
{
	const struct decode_args *a = b->a;
	return a->kv + (RICH ? a->layers[l].kv_place : l) * a->kv_layer_bytes;
}

/* Asks for the KV block at a place of layer l to come to the L2. At short contexts all of them stay there
 * from token to token. */
template <int CHUNKS>
__device__ __forceinline__ void bring_block(const struct block *b, uint32_t l, uint64_t place)
{
	if (items_of(b, l) >= gridDim.x / 4)
		bring_to_l2(kv_layer(b, l) + place, head_shape<CHUNKS>::BLOCK_BYTES);
}

/* Puts the block's item k of layer l into shared memory: where its KV blocks are (in any layer, but of rich
 * models), and what it is; the blocks come to the L2. Threads n = 0 .. KV_BLOCKS. */
template <int CHUNKS>
__device__ __forceinline__ void place_item(const struct block *b, uint32_t l, uint32_t k, uint32_t n)
{
	const struct decode_args *a = b->a;
	uint32_t i = first_item() + k * gridDim.x, seq = 0;
	if (SEQS > 1) {
		for (; seq < n_seqs_of(b) && i >= seq_items(b, l, seq); seq++)
			i -= seq_items(b, l, seq);
		if (seq == n_seqs_of(b)) /* the block has no item */
			return;
	}
	const uint32_t *table = SEQS > 1 ? a->seqs[seq].table
				: RICH   ? a->table + a->layers[l].table
					 : a->table;
	uint32_t split = first_split(b, l) + i / a->n_kv_heads, head = i % a->n_kv_heads;
	uint64_t *to = shared_table(b) + places_of(k);
	if (n == KV_BLOCKS)
		to[n] = head | seq << 16 | (uint64_t)split << 32;
	if (n < KV_BLOCKS && split * SPLIT + n * KV_BLOCK <= pos_of(b, seq)) {
		uint64_t place = ((uint64_t)table[split * KV_BLOCKS + n] * a->n_kv_heads + head) *
				 head_shape<CHUNKS>::BLOCK_BYTES;
		to[n] = place;
		if (SEQS == 1)
			bring_block<CHUNKS>(b, l, place);
	}
}

/* By a warp, at the block's item k: the one after the next is looked up; at the last, the first ones' blocks
 * in the next layer come to the L2 (of rich models, they are not known yet). */
template <int CHUNKS>
__device__ __forceinline__ void look_ahead(const struct block *b, uint32_t l, uint32_t k)
{
	uint32_t n_items = items_of(b, l), i = first_item() + k * gridDim.x;
	if (i + ITEMS_AHEAD * gridDim.x < n_items)
		place_item<CHUNKS>(b, l, k + ITEMS_AHEAD, b->lane);
	if (RICH || i + gridDim.x < n_items || l + 1 == b->a->n_layers)
		return;
	uint32_t first = b->lane / KV_BLOCKS, n = b->lane % KV_BLOCKS;
	const uint64_t *places = shared_table(b) + places_of(first);
	if (first < ITEMS_AHEAD && first_item() + first * gridDim.x < n_items &&
	    (uint32_t)(places[KV_BLOCKS] >> 32) * SPLIT + n * KV_BLOCK <= b->a->pos)
		bring_block<CHUNKS>(b, l + 1, places[n]);
}

__device__ __forceinline__ struct item present_item(const struct block *b, uint32_t k)
{
	struct item it;
	it.places = places_of(k);
	it.odd = SEQS > 1 ? 0 : k % 2;
	uint64_t both = shared_table(b)[it.places + KV_BLOCKS];
	it.head = SEQS > 1 ? (uint32_t)both & 0xFFFFu : (uint32_t)both;
	it.seq = SEQS > 1 ? (uint32_t)both >> 16 : 0;
	it.split = (uint32_t)(both >> 32);
	it.first = it.split * SPLIT;
	it.fresh = it.first + SPLIT > item_pos(b, &it);
	return it;
}

__device__ __forceinline__ uint8_t *kv_block(const struct block *b, uint32_t l, const struct item *it,
					     uint32_t n)
{
	return kv_layer(b, l) + shared_table(b)[it->places + n];
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

/* Leaves two neighbouring columns of the new token's q, k or v (row: head of the group, then k, then v) in
 * shared memory as halves; k and v also go to the KV memory. */
template <int CHUNKS>
__device__ __forceinline__ void put_two(const struct block *b, uint32_t pos, uint8_t *to, uint32_t row,
					uint32_t column, uint32_t x, uint32_t y)
{
	typedef head_shape<CHUNKS> shape;
	const struct decode_args *a = b->a;
	uint32_t group = a->group, slot = pos % KV_BLOCK;
	bool is_v = row > group;
	uint16_t *put = row < group ? shared_query(b) + row * shape::STRIDE
				    : shared_fresh(b) + (is_v ? shape::HD : 0);
	uint32_t stride = row < group ? a->group_rows * shape::STRIDE : 2 * shape::HD;
#pragma unroll
	for (uint32_t plane = 0; plane < PLANES; plane++, put += stride) {
		uint32_t both = byte_select(x, y, plane ? 0x7632 : 0x5410);
		*reinterpret_cast<uint32_t *>(put + column) = both;
		if (row < group)
			continue;
		uint16_t *cache = reinterpret_cast<uint16_t *>(to + (is_v ? PLANES + plane : plane) *
									    shape::PLANE_BYTES);
		if (is_v) {
			cache[column * KV_BLOCK + slot] = (uint16_t)both;
			cache[(column + 1) * KV_BLOCK + slot] = (uint16_t)(both >> 16);
		} else {
			*reinterpret_cast<uint32_t *>(cache + slot * shape::HD + column) = both;
		}
	}
}

/* Two pairs of columns of a row, and the columns that they are: first, first + 1, second and second + 1. */
struct two_pairs {
	float p0, q0, p1, q1;
	uint32_t row, pair, first, second;
	bool neox; /* else they lie side by side */
};

/* Waits for pairs i of the new token's q (and k, v: rows group and group + 1) of a KV head. */
__device__ __forceinline__ struct two_pairs await_pairs(const struct block *b, uint32_t words, uint32_t head,
							uint32_t i)
{
	const struct decode_args *a = b->a;
	uint32_t quarter = a->head_dim / 4, group = a->group;
	struct two_pairs t;
	t.row = i * a->quarter_inverse >> 18;
	t.pair = 2 * (i - t.row * quarter);
	bool neox = a->neox && (!RICH || 2 * t.pair < a->n_dims);
	t.neox = neox;
	t.first = neox ? t.pair : 2 * t.pair;
	t.second = !neox ? 2 * t.pair + 2 : RICH ? t.pair + a->n_dims / 2 : t.pair + 2 * quarter;
	uint32_t from = t.row < group    ? (head * group + t.row) * a->head_dim
			: t.row == group ? a->q_dim + head * a->head_dim
					 : a->q_dim + a->kv_dim + head * a->head_dim;
	const uint32_t *w = b->a->now + words + a->at.qkv + from;
	uint2 u = load_two_words(w + t.first), v = load_two_words(w + t.second);
	for (uint32_t k = 0;
	     u.x == DECODE_EMPTY || u.y == DECODE_EMPTY || v.x == DECODE_EMPTY || v.y == DECODE_EMPTY; k++) {
		u = load_two_words(w + t.first);
		v = load_two_words(w + t.second);
		if (k == SPINS)
			give_up();
	}
	t.p0 = __uint_as_float(u.x), t.q0 = __uint_as_float(neox ? v.x : u.y);
	t.p1 = __uint_as_float(neox ? u.y : v.x), t.q1 = __uint_as_float(v.y);
	return t;
}

/* Turns them, but for those of v, and leaves them as halves. */
template <int CHUNKS>
__device__ __forceinline__ void put_pairs(const struct block *b, uint32_t pos, uint8_t *to,
					  const struct two_pairs *t, float2 c, float2 s)
{
	bool turned = t->row <= b->a->group, neox = RICH ? t->neox : (bool)b->a->neox;
	float px = turned ? t->p0 * c.x - t->q0 * s.x : t->p0,
	      qx = turned ? t->q0 * c.x + t->p0 * s.x : t->q0;
	float py = turned ? t->p1 * c.y - t->q1 * s.y : t->p1,
	      qy = turned ? t->q1 * c.y + t->p1 * s.y : t->q1;
	if (RICH && b->a->every && t->row < b->a->group) {
		float grown = a16_temperature(b->a->temperature, b->a->every, b->a->pos);
		px = px * grown, qx = qx * grown, py = py * grown, qy = qy * grown;
	}
	uint32_t x0 = to_halves(px), y0 = to_halves(qx), x1 = to_halves(py), y1 = to_halves(qy);
	put_two<CHUNKS>(b, pos, to, t->row, t->first, x0, neox ? x1 : y0);
	put_two<CHUNKS>(b, pos, to, t->row, t->second, neox ? y0 : x1, y1);
}

/* The cosines and sines of a layer, at a sequence's position. */
__device__ __forceinline__ const float *turns_of(const struct block *b, uint32_t l, uint32_t seq)
{
	return shared_turn(b) + (RICH ? b->a->layers[l].rope * b->a->hd : SEQS > 1 ? seq * b->a->hd : 0);
}

__device__ __forceinline__ float squares_of(float sum, const struct two_pairs *t)
{
	return head_norm_squares(sum, t->p0, t->p1, t->q0, t->q1);
}

__device__ __forceinline__ void norm_pairs(struct two_pairs *t, float scale, const float *w, bool neox)
{
	t->p0 = t->p0 * scale * w[t->first];
	t->q0 = t->q0 * scale * w[neox ? t->second : t->first + 1];
	t->p1 = t->p1 * scale * w[neox ? t->first + 1 : t->second];
	t->q1 = t->q1 * scale * w[t->second + 1];
}

/* The same where heads of q and k are normed first: a row's pairs are those of neighbouring lanes of a warp,
 * FOURS times two of each. The sum is that of tile_ops.cu. */
template <int CHUNKS>
__device__ __forceinline__ void receive_normed_query(const struct block *b, uint32_t l, uint32_t words,
						     const struct item *it, uint32_t from, uint32_t n_rows,
						     uint8_t *to)
{
	enum { FOURS = CHUNKS == 8 ? 2 : 1 };
	typedef head_shape<CHUNKS> shape;
	const struct decode_args *a = b->a;
	uint32_t quarter = a->head_dim / 4, lanes = quarter / FOURS, n = n_rows * lanes;
	const float *turns = turns_of(b, l, it->seq);
	for (uint32_t i = from * lanes + b->thread; i - b->lane < n; i += WORKERS) {
		struct two_pairs t[FOURS] = {};
		float sum = 0;
#pragma unroll
		for (uint32_t k = 0; k < FOURS; k++) {
			uint32_t at = FOURS == 1 ? i : (i / 32 * FOURS + k) * 32 + b->lane;
			if (i < n)
				t[k] = await_pairs(b, words, it->head, at);
			sum = squares_of(sum, &t[k]);
		}
		float scale = head_norm_scale(sum, lanes, a->inverse_head, a->eps);
		if (i >= n)
			continue;
#pragma unroll
		for (uint32_t k = 0; k < FOURS; k++) {
			if (t[k].row <= a->group)
				norm_pairs(&t[k], scale, a->layers[l].qk_norm[t[k].row == a->group],
					   RICH ? t[k].neox : (bool)a->neox);
			put_pairs<CHUNKS>(
				b, item_pos(b, it), to, &t[k],
				*reinterpret_cast<const float2 *>(turns + t[k].pair),
				*reinterpret_cast<const float2 *>(turns + shape::HD / 2 + t[k].pair));
		}
	}
}

/* Waits for the new token's q (and k, v) and turns them: a thread two pairs of columns. known: q is there. */
template <int CHUNKS>
__device__ __forceinline__ void receive_query(const struct block *b, uint32_t l, uint32_t words,
					      const struct item *it, bool known)
{
	typedef head_shape<CHUNKS> shape;
	const struct decode_args *a = b->a;
	uint32_t quarter = a->head_dim / 4, group = a->group, n_rows = group + (it->fresh ? 2 : 0),
		 from = known ? group : 0;
	uint32_t pos = item_pos(b, it);
	uint8_t *to = it->fresh ? kv_block(b, l, it, pos % SPLIT / KV_BLOCK) : NULL;
	if (a->layers[l].qk_norm[0])
		receive_normed_query<CHUNKS>(b, l, words, it, from, n_rows, to);
	else
		for (uint32_t i = from * quarter + b->thread; i < n_rows * quarter; i += WORKERS) {
			uint32_t pair = 2 * (i - (i * a->quarter_inverse >> 18) * quarter);
			const float *turns = turns_of(b, l, it->seq);
			float2 c = *reinterpret_cast<const float2 *>(turns + pair),
			       s = *reinterpret_cast<const float2 *>(turns + shape::HD / 2 + pair);
			struct two_pairs t = await_pairs(b, words, it->head, i);
			put_pairs<CHUNKS>(b, pos, to, &t, c, s);
		}
	/* padding of the key stays 0 */
	if (it->fresh && a->head_dim < (uint32_t)shape::HD)
		for (uint32_t i = a->head_dim + b->thread; i < (uint32_t)shape::HD; i += WORKERS)
			for (uint32_t plane = 0; plane < PLANES; plane++)
				reinterpret_cast<uint16_t *>(
					to + plane * shape::PLANE_BYTES)[pos % KV_BLOCK * shape::HD + i] = 0;
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

/* Places of the block's first items. */
template <int CHUNKS> __device__ __forceinline__ void place_first(const struct block *b, uint32_t l)
{
	if (b->warp < (SEQS > 1 ? 1u : (uint32_t)ITEMS_AHEAD))
		place_item<CHUNKS>(b, l, b->warp, b->lane);
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
