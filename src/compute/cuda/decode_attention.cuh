/*
 * Attention of the decode kernel (decode_kernel.cuh). A block takes one KV head and one split of 128
 * positions: its sixteen warps score an n8 tile of positions each for all query heads of the group, then a
 * warp does the softmax of a row, then warps add up eight columns of the output each. The sums are those of
 * attend.cuh.
 */
#ifndef COMPUTE_CUDA_DECODE_ATTENTION_CUH
#define COMPUTE_CUDA_DECODE_ATTENTION_CUH

#include "compute/cuda/decode_operand.cuh"

namespace
{

/* What a warp needs of the KV memory: its eight positions of K, its eight columns of V; [..][plane]. */
template <int CHUNKS> struct key_fragments {
	uint4 k[CHUNKS][PLANES];
	uint32_t position; /* of this lane's */
};
struct value_fragments {
	uint4 v[SPLIT / KV_BLOCK][PLANES];
};

struct item {
	uint32_t head, split, first; /* KV head; first position of the split */
	bool fresh;                  /* the split that the new token is in */
	bool cached; /* the block's first item: its part of the block table is in shared memory */
};

__device__ __forceinline__ struct item item_at(const struct decode_args *a, uint32_t i)
{
	struct item it;
	it.head = i % a->n_kv_heads;
	it.split = i / a->n_kv_heads;
	it.first = it.split * SPLIT;
	it.fresh = it.first + SPLIT > a->pos;
	it.cached = i < gridDim.x;
	return it;
}

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
		STRIDE = HD + 8, /* halves from a query row to the next */
	};
};

/* Where KV block n of the item's split begins, in a layer. */
template <int CHUNKS>
__device__ __forceinline__ uint64_t kv_offset(const struct decode_args *a, const struct item *it, uint32_t n)
{
	uint64_t id = a->table[it->first / KV_BLOCK + n];
	return (id * a->n_kv_heads + it->head) * head_shape<CHUNKS>::BLOCK_BYTES;
}

/* What does not change from layer to layer: the places of the block's first item. */
template <int CHUNKS> __device__ __forceinline__ void prepare_attention(struct block *b)
{
	const struct decode_args *a = b->a;
	struct item it = item_at(a, first_item());
	if (b->thread < SPLIT / KV_BLOCK && it.first + b->thread * KV_BLOCK <= a->pos)
		shared_table(b)[b->thread] = kv_offset<CHUNKS>(a, &it, b->thread);
}

template <int CHUNKS>
__device__ __forceinline__ uint8_t *kv_block(const struct block *b, uint32_t l, const struct item *it,
					     uint32_t n)
{
	const struct decode_args *a = b->a;
	uint64_t offset = it->cached ? shared_table(b)[n] : kv_offset<CHUNKS>(a, it, n);
	return a->kv + l * a->kv_layer_bytes + offset;
}

template <int CHUNKS>
__device__ __forceinline__ void fetch_keys(const struct block *b, uint32_t l, const struct item *it,
					   uint32_t tile16, struct key_fragments<CHUNKS> *f)
{
	typedef head_shape<CHUNKS> shape;
	uint32_t g = b->lane / 4, t = b->lane % 4;
	uint32_t own = tile16 / 4, tile = tile16 % 4, in_block = 8 * (g / 2) + 2 * tile + g % 2;
	f->position = it->first + own * KV_BLOCK + in_block;
#pragma unroll
	for (uint32_t c = 0; c < CHUNKS; c++)
#pragma unroll
		for (uint32_t p = 0; p < PLANES; p++)
			f->k[c][p] = make_uint4(0, 0, 0, 0);
	if (it->first + own * KV_BLOCK > b->a->pos)
		return;
	const uint8_t *keys = kv_block<CHUNKS>(b, l, it, own) + (in_block * shape::HD + 8 * t) * 2;
	if (f->position < b->a->pos)
#pragma unroll
		for (uint32_t c = 0; c < CHUNKS; c++)
#pragma unroll
			for (uint32_t p = 0; p < PLANES; p++)
				f->k[c][p] = load_l2(keys + p * shape::PLANE_BYTES + 64 * c);
}

template <int CHUNKS>
__device__ __forceinline__ void fetch_values(const struct block *b, uint32_t l, const struct item *it,
					     uint32_t column, struct value_fragments *f)
{
	typedef head_shape<CHUNKS> shape;
	uint32_t g = b->lane / 4, t = b->lane % 4;
	uint32_t at = PLANES * shape::PLANE_BYTES + ((column + g) * KV_BLOCK + 8 * t) * 2;
#pragma unroll
	for (uint32_t n = 0; n < SPLIT / KV_BLOCK; n++) {
#pragma unroll
		for (uint32_t p = 0; p < PLANES; p++)
			f->v[n][p] = make_uint4(0, 0, 0, 0);
		if (it->first + n * KV_BLOCK > b->a->pos)
			continue;
		const uint8_t *values = kv_block<CHUNKS>(b, l, it, n) + at;
		if (it->first + n * KV_BLOCK + 8 * t < b->a->pos)
#pragma unroll
			for (uint32_t p = 0; p < PLANES; p++)
				f->v[n][p] = load_l2(values + p * shape::PLANE_BYTES);
	}
}

/* Of eight halves those at and beyond position `n` (0 .. 8) become 0, and half n itself `fresh`. */
__device__ __forceinline__ void patch(uint4 *v, int n, uint32_t fresh)
{
	uint32_t *w = &v->x;
#pragma unroll
	for (int i = 0; i < 4; i++) {
		uint32_t x = w[i];
		x = n <= 2 * i ? 0 : n == 2 * i + 1 ? x & 0xFFFFu : x;
		if (n == 2 * i)
			x = fresh;
		if (n == 2 * i + 1)
			x |= fresh << 16;
		w[i] = x;
	}
}

/* The new token's k and v, which are in shared memory. */
template <int CHUNKS>
__device__ __forceinline__ void patch_keys(const struct block *b, struct key_fragments<CHUNKS> *f)
{
	if (f->position != b->a->pos)
		return;
#pragma unroll
	for (uint32_t p = 0; p < PLANES; p++)
#pragma unroll
		for (uint32_t c = 0; c < CHUNKS; c++)
			f->k[c][p] = *reinterpret_cast<const uint4 *>(shared_fresh(b) +
								      p * 2 * head_shape<CHUNKS>::HD +
								      32 * c + 8 * (b->lane % 4));
}

template <int CHUNKS>
__device__ __forceinline__ void patch_values(const struct block *b, const struct item *it, uint32_t column,
					     struct value_fragments *f)
{
	const uint16_t *fresh = shared_fresh(b) + head_shape<CHUNKS>::HD + column + b->lane / 4;
#pragma unroll
	for (uint32_t n = 0; n < SPLIT / KV_BLOCK; n++) {
		uint32_t before = b->a->pos - (it->first + n * KV_BLOCK + 8 * (b->lane % 4));
		if (before < 8)
#pragma unroll
			for (uint32_t p = 0; p < PLANES; p++)
				patch(&f->v[n][p], (int)before, fresh[2 * p * head_shape<CHUNKS>::HD]);
	}
}

/* Leaves a pair of columns of the new token's q, k or v (row: head of the group, then k, then v) in shared
 * memory as halves; k and v also go to the KV memory. */
template <int CHUNKS>
__device__ __forceinline__ void put_pair(const struct block *b, uint8_t *to, uint32_t row, uint32_t first,
					 uint32_t second, uint32_t x, uint32_t y)
{
	typedef head_shape<CHUNKS> shape;
	const struct decode_args *a = b->a;
	uint32_t group = a->group, slot = a->pos % KV_BLOCK;
	bool is_v = row > group;
	uint16_t *put = row < group ? shared_query(b) + row * shape::STRIDE
				    : shared_fresh(b) + (is_v ? shape::HD : 0);
	uint32_t stride = row < group ? a->group_rows * shape::STRIDE : 2 * shape::HD;
	uint8_t *cache = to + (is_v ? PLANES * shape::PLANE_BYTES : 0);
#pragma unroll
	for (uint32_t plane = 0; plane < PLANES; plane++, x >>= 16, y >>= 16, put += stride) {
		put[first] = (uint16_t)x;
		put[second] = (uint16_t)y;
		if (row < group)
			continue;
		uint16_t *c = reinterpret_cast<uint16_t *>(cache + plane * shape::PLANE_BYTES);
		c[is_v ? first * KV_BLOCK + slot : slot * shape::HD + first] = (uint16_t)x;
		c[is_v ? second * KV_BLOCK + slot : slot * shape::HD + second] = (uint16_t)y;
	}
}

/* Waits for the new token's q (and k, v) and turns them. */
template <int CHUNKS>
__device__ __forceinline__ void take_query(const struct block *b, uint32_t l, uint32_t words,
					   const struct item *it)
{
	typedef head_shape<CHUNKS> shape;
	const struct decode_args *a = b->a;
	uint32_t half = a->head_dim / 2, group = a->group, n_rows = group + (it->fresh ? 2 : 0);
	uint8_t *to = it->fresh ? kv_block<CHUNKS>(b, l, it, a->pos % SPLIT / KV_BLOCK) : NULL;
	for (uint32_t i = b->thread; i < n_rows * half; i += WORKERS) {
		uint32_t r = i * a->half_inverse >> 18, pair = i - r * half;
		uint32_t first = a->neox ? pair : 2 * pair, second = a->neox ? pair + half : 2 * pair + 1;
		uint32_t from = r < group    ? (it->head * group + r) * a->head_dim
				: r == group ? a->q_dim + it->head * a->head_dim
					     : a->q_dim + a->kv_dim + it->head * a->head_dim;
		const uint32_t *w = b->a->now + words + a->at.qkv + from;
		float c = shared_turn(b)[pair], s = shared_turn(b)[shape::HD / 2 + pair];
		uint32_t u = load_word(w + first), v = load_word(w + second);
		for (uint32_t k = 0; u == DECODE_EMPTY || v == DECODE_EMPTY; k++) {
			u = load_word(w + first);
			v = load_word(w + second);
			if (k == SPINS)
				give_up();
		}
		float p = __uint_as_float(u), q = __uint_as_float(v);
		float x = r <= group ? p * c - q * s : p, y = r <= group ? q * c + p * s : q;
		put_pair<CHUNKS>(b, to, r, first, second, split_half(x), split_half(y));
	}
	/* padding of the key stays 0 */
	if (it->fresh && a->head_dim < (uint32_t)shape::HD)
		for (uint32_t i = a->head_dim + b->thread; i < (uint32_t)shape::HD; i += WORKERS)
			for (uint32_t plane = 0; plane < PLANES; plane++)
				reinterpret_cast<uint16_t *>(
					to + plane * shape::PLANE_BYTES)[a->pos % KV_BLOCK * shape::HD + i] =
					0;
}

__device__ __forceinline__ uint32_t word_in(uint4 v, uint32_t i)
{
	return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}

/* Rows g and g + 8 of a left operand, 32 columns, by plane. */
struct left_rows {
	uint4 up[PLANES], down[PLANES];
};

/* both: there are rows from 8 on. */
__device__ __forceinline__ void load_left(struct left_rows *r, bool both, const uint16_t *rows,
					  uint32_t stride, uint32_t plane, uint32_t lane)
{
#pragma unroll
	for (uint32_t p = 0; p < PLANES; p++) {
		const uint16_t *row = rows + p * plane + lane / 4 * stride + 8 * (lane % 4);
		r->up[p] = *reinterpret_cast<const uint4 *>(row);
		r->down[p] = make_uint4(0, 0, 0, 0);
		if (both)
			r->down[p] = *reinterpret_cast<const uint4 *>(row + 8 * stride);
	}
}

/* acc += left times right: high by high, then low by high, high by low. */
__device__ __forceinline__ void multiply(float acc[4], const struct left_rows *r, const uint4 right[PLANES])
{
#pragma unroll
	for (uint32_t j = 0; j < 2; j++) {
		uint32_t high[4] = {word_in(r->up[0], 2 * j), word_in(r->down[0], 2 * j),
				    word_in(r->up[0], 2 * j + 1), word_in(r->down[0], 2 * j + 1)};
		mma_f16(acc, high, word_in(right[0], 2 * j), word_in(right[0], 2 * j + 1));
		if (FULL) {
			uint32_t low[4] = {word_in(r->up[PLANES - 1], 2 * j),
					   word_in(r->down[PLANES - 1], 2 * j),
					   word_in(r->up[PLANES - 1], 2 * j + 1),
					   word_in(r->down[PLANES - 1], 2 * j + 1)};
			mma_f16(acc, low, word_in(right[0], 2 * j), word_in(right[0], 2 * j + 1));
			mma_f16(acc, high, word_in(right[PLANES - 1], 2 * j),
				word_in(right[PLANES - 1], 2 * j + 1));
		}
	}
}

template <int CHUNKS>
__device__ __forceinline__ void score(const struct block *b, const struct item *it, uint32_t tile16,
				      const struct key_fragments<CHUNKS> *f)
{
	typedef head_shape<CHUNKS> shape;
	const struct decode_args *a = b->a;
	uint32_t g = b->lane / 4, t = b->lane % 4, group = a->group;
	float acc[4] = {};
	if (it->first + tile16 / 4 * KV_BLOCK <= a->pos) {
#pragma unroll
		for (uint32_t c = 0; c < CHUNKS; c++) {
			struct left_rows q;
			load_left(&q, group > 8, shared_query(b) + 32 * c, shape::STRIDE,
				  a->group_rows * shape::STRIDE, b->lane);
			multiply(acc, &q, f->k[c]);
		}
	}
	uint32_t column = tile16 / 4 * KV_BLOCK + 8 * t + 2 * (tile16 % 4), position = it->first + column;
	float *to = shared_scores(b) + g * (SPLIT + 4) + column;
#pragma unroll
	for (uint32_t e = 0; e < 4; e += 2) {
		float2 s = make_float2(position <= a->pos ? acc[e] * a->scale : -INFINITY,
				       position + 1 <= a->pos ? acc[e + 1] * a->scale : -INFINITY);
		if (g + e / 2 * 8 < group)
			*reinterpret_cast<float2 *>(to + e / 2 * 8 * (SPLIT + 4)) = s;
	}
}

/* A row of the scores becomes weights, by one warp; largest and sum go to shared memory. */
__device__ __forceinline__ void soften(const struct block *b, uint32_t r)
{
	float *row = shared_scores(b) + r * (SPLIT + 4),
	      *ends = reinterpret_cast<float *>(shared_reduce(b)) + 16;
	float v[SPLIT / 32], largest = -INFINITY;
#pragma unroll
	for (uint32_t i = 0; i < SPLIT / 32; i++) {
		v[i] = row[32 * i + b->lane];
		largest = fmaxf(largest, v[i]);
	}
	for (int bit = 16; bit >= 1; bit /= 2)
		largest = fmaxf(largest, __shfl_xor_sync(FULL_WARP, largest, bit));
#pragma unroll
	for (uint32_t i = 0; i < SPLIT / 32; i++) {
		float p = expf(v[i] - largest);
		uint32_t both = split_half(p);
		row[32 * i + b->lane] = p;
		for (uint32_t plane = 0; plane < PLANES; plane++, both >>= 16)
			shared_p16(b)[(plane * b->a->group_rows + r) * (SPLIT + 8) + 32 * i + b->lane] =
				(uint16_t)both;
	}
	__syncwarp();
	/* lane t of the fragment: its eight positions of each KV block in order */
	float sum = 0;
	if (b->lane < 4) {
		float4 part[SPLIT / 16];
#pragma unroll
		for (uint32_t i = 0; i < SPLIT / 16; i++)
			part[i] =
				*reinterpret_cast<const float4 *>(row + i / 2 * 32 + 8 * b->lane + i % 2 * 4);
#pragma unroll
		for (uint32_t i = 0; i < SPLIT / 16; i++)
			sum = sum + part[i].x + part[i].y + part[i].z + part[i].w;
	}
	sum = sum + __shfl_xor_sync(FULL_WARP, sum, 1);
	sum = sum + __shfl_xor_sync(FULL_WARP, sum, 2);
	if (b->lane == 0) {
		ends[2 * r] = largest;
		ends[2 * r + 1] = sum;
	}
}

__device__ __forceinline__ uint64_t *attention_part(const struct decode_args *a, uint32_t head,
						    uint32_t split)
{
	return a->tagged + 4 * gridDim.x + ((uint64_t)head * a->n_split_max + split) * (2 + a->head_dim);
}

/* Eight columns of the output of all rows, by one warp. */
__device__ __forceinline__ void gather(const struct block *b, uint32_t l, uint32_t words,
				       const struct item *it, uint32_t first_column,
				       const struct value_fragments *f, bool whole)
{
	const struct decode_args *a = b->a;
	const float *ends = reinterpret_cast<const float *>(shared_reduce(b)) + 16;
	uint32_t g = b->lane / 4, t = b->lane % 4, group = a->group, tag = a->run * a->n_layers + l;
	float acc[4] = {};
#pragma unroll
	for (uint32_t n = 0; n < SPLIT / KV_BLOCK; n++)
		if (it->first + n * KV_BLOCK <= a->pos) {
			struct left_rows p;
			load_left(&p, group > 8, shared_p16(b) + n * KV_BLOCK, SPLIT + 8,
				  a->group_rows * (SPLIT + 8), b->lane);
			multiply(acc, &p, f->v[n]);
		}
#pragma unroll
	for (uint32_t e = 0; e < 4; e++) {
		uint32_t row = g + e / 2 * 8, column = first_column + 2 * t + e % 2,
			 head = it->head * group + row;
		if (row >= group || column >= a->head_dim)
			continue;
		if (whole) {
			publish(b, words + a->at.attended + head * a->head_dim + column,
				split_half(acc[e] / ends[2 * row + 1]));
			continue;
		}
		uint64_t *part = attention_part(a, head, it->split);
		store_tagged(part + 2 + column, __float_as_uint(acc[e]), tag);
		if (column == 0) {
			store_tagged(part, __float_as_uint(ends[2 * row]), tag);
			store_tagged(part + 1, __float_as_uint(ends[2 * row + 1]), tag);
		}
	}
}

__device__ __forceinline__ float await_tagged(const uint64_t *p, uint32_t tag)
{
	uint64_t v;
	for (uint32_t i = 0; (uint32_t)((v = load_tagged(p)) >> 32) != tag; i++)
		if (i == SPINS)
			give_up();
	return __uint_as_float((uint32_t)v);
}

/* Adds the splits of one head, in order: a thread a column. */
__device__ __forceinline__ void combine(const struct block *b, uint32_t l, uint32_t words, uint32_t head,
					uint32_t n_splits)
{
	const struct decode_args *a = b->a;
	uint32_t column = b->thread, tag = a->run * a->n_layers + l;
	if (column >= a->head_dim)
		return;
	float total_largest = -INFINITY, total_sum = 0, total = 0;
	for (uint32_t s = 0; s < n_splits; s++) {
		const uint64_t *part = attention_part(a, head, s);
		float largest = await_tagged(part, tag), sum = await_tagged(part + 1, tag),
		      out = await_tagged(part + 2 + column, tag);
		float top = fmaxf(total_largest, largest);
		float before = expf(total_largest - top), now = expf(largest - top);
		total_largest = top;
		total_sum = fmaf(total_sum, before, sum * now);
		total = fmaf(total, before, out * now);
	}
	publish(b, words + a->at.attended + head * a->head_dim + column, split_half(total / total_sum));
}

template <int CHUNKS>
__device__ __forceinline__ void attention(const struct block *b, uint32_t l, uint32_t words)
{
	const struct decode_args *a = b->a;
	uint32_t n_splits = a->pos / SPLIT + 1, group = a->group;
	for (uint32_t i = first_item(); i < a->n_kv_heads * n_splits; i += gridDim.x) {
		struct item it = item_at(a, i);
		struct key_fragments<CHUNKS> keys;
		struct value_fragments values;
		uint32_t tile16 = b->warp, column = 8 * b->warp;
		fetch_keys<CHUNKS>(b, l, &it, tile16, &keys);
		fetch_values<CHUNKS>(b, l, &it, column % head_shape<CHUNKS>::HD, &values); /* some in vain */
		take_query<CHUNKS>(b, l, words, &it);
		sync_workers();
		if (it.fresh)
			patch_keys<CHUNKS>(b, &keys);
		score<CHUNKS>(b, &it, tile16, &keys);
		if (it.fresh)
			patch_values<CHUNKS>(b, &it, column % head_shape<CHUNKS>::HD, &values);
		sync_workers();
		for (uint32_t r = b->warp; r < group; r += DECODE_WARPS)
			soften(b, r);
		sync_workers();
		if (column < (uint32_t)head_shape<CHUNKS>::HD)
			gather(b, l, words, &it, column, &values, n_splits == 1);
		sync_workers();
	}
	if (n_splits > 1)
		for (uint32_t head = blockIdx.x; head < a->n_heads; head += gridDim.x)
			combine(b, l, words, head, n_splits);
}

} // namespace
#endif
