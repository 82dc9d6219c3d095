/*
 * The new token of the decode kernel (decode_kernel.cuh): its q, k and v are awaited, normed where the model
 * norms heads, turned, and left as halves in shared memory; k and v go to the KV memory as well.
 */
#ifndef COMPUTE_CUDA_DECODE_QUERY_CUH
#define COMPUTE_CUDA_DECODE_QUERY_CUH

#include "compute/cuda/decode/decode_items.cuh"
#include "compute/cuda/tile/a16.cuh"

namespace
{

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
} // namespace
#endif
