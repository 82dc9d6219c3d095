/*
 * The splits of a head's attention, merged in the decode kernel (decode_kernel.cuh) in their order
 * (attend.cuh, 5). Many are asked for at once, and what can be known of each without those before it is made
 * by a thread of its own: its place among the largest scores, hence what the totals and it are multiplied by.
 * One fused multiply-add a split and column is left to do in order. Blocks share the heads' columns.
 */
#ifndef COMPUTE_CUDA_DECODE_MERGE_CUH
#define COMPUTE_CUDA_DECODE_MERGE_CUH

#include "compute/cuda/decode/decode_operand.cuh"

namespace
{

enum {
	MERGE_FOUR = 4,    /* splits that are merged without looking whether there are so many */
	MERGE_EIGHT = 8,   /* columns that a warp asks for with four splits */
	MERGE_AT_ONCE = 8, /* words of outputs that a thread waits for */
	MERGE_FEW = 4,     /* splits for which it is not worth to meet at barriers */
};
static_assert(MERGE_AT_ONCE * WORKERS == (DECODE_MERGE_SPLITS / 2) * 32, "a batch is asked for at once");
enum { PART_FLOATS = 2 * TILE_SEGMENTS * LOT * TILE_SUMS };
static_assert(SEQS > 1 ||
		      (3 * DECODE_MERGE_SPLITS + 16 * (DECODE_MERGE_SPLITS + MERGE_FOUR) <= PART_FLOATS &&
		       3 * DECODE_MERGE_SPLITS + 32 * (DECODE_MERGE_SPLITS / 2 + MERGE_FOUR) <= PART_FLOATS),
	      "a batch takes the place of the sums of segments");

/* What a split leaves of a head, counted over all sequences: its largest score, its sum of p, its part of the
 * output's columns. */
__device__ __forceinline__ uint64_t *attention_part(const struct decode_args *a, uint32_t head,
						    uint32_t split)
{
	return a->tagged + 4 * SEQS * gridDim.x +
	       ((uint64_t)head * a->n_split_max + split) * (2 + a->head_dim);
}

/* The value at p, v having been read there. */
__device__ __forceinline__ float await_tagged_after(uint64_t v, const uint64_t *p, uint32_t tag)
{
	for (uint32_t i = 0; (uint32_t)(v >> 32) != tag; i++, v = load_tagged(p))
		if (i == SPINS)
			give_up();
	return __uint_as_float((uint32_t)v);
}

__device__ __forceinline__ float await_tagged(const uint64_t *p, uint32_t tag)
{
	return await_tagged_after(load_tagged(p), p, tag);
}

/* Some columns of a head, and the batch of its splits that is being merged. */
struct merge {
	const uint64_t *part; /* of the batch's first split */
	uint32_t n;           /* splits */
	uint32_t column;      /* first */
	uint32_t tag;
	uint32_t log; /* 2^log columns */
};

/* Splits of a batch. */
__device__ __forceinline__ uint32_t batch_splits(const struct merge *m)
{
	return m->log < 5 ? DECODE_MERGE_SPLITS : DECODE_MERGE_SPLITS / 2;
}

/* In shared memory by splits of the batch: what the totals are multiplied by, what the split is, and its sum
 * then; and the outputs of a column. */
enum merge_row { ROW_BEFORE, ROW_NOW, ROW_SUM, MERGE_ROWS };
__device__ __forceinline__ float *merge_row(const struct block *b, uint32_t row)
{
	return shared_part(b) + row * DECODE_MERGE_SPLITS;
}
__device__ __forceinline__ float *merge_column(const struct block *b, const struct merge *m, uint32_t column)
{
	return merge_row(b, MERGE_ROWS) + column * (batch_splits(m) + MERGE_FOUR);
}

/* Which outputs a thread brings: those of its lane in MERGE_AT_ONCE tiles of four splits and eight columns.
 */
__device__ __forceinline__ uint2 merge_place(const struct block *b, const struct merge *m, uint32_t k)
{
	uint32_t tile = b->warp + k * DECODE_WARPS, eights = 1u << (m->log - 3);
	return make_uint2((tile >> (m->log - 3)) * MERGE_FOUR + b->lane / MERGE_EIGHT,
			  (tile & (eights - 1)) * MERGE_EIGHT + b->lane % MERGE_EIGHT);
}

/* Where the output of a place is; of splits and columns that are none, that of the last. */
__device__ __forceinline__ const uint64_t *merge_from(const struct block *b, const struct merge *m, uint2 at)
{
	uint32_t column = least(m->column + at.y, b->a->head_dim - 1);
	return m->part + least(at.x, m->n - 1) * (2 + b->a->head_dim) + 2 + column;
}

/* Brings the outputs of a batch to shared memory. */
__device__ __forceinline__ void bring_outputs(const struct block *b, const struct merge *m)
{
	uint32_t n_tiles = (m->n + MERGE_FOUR - 1) / MERGE_FOUR << (m->log - 3);
	uint64_t v[MERGE_AT_ONCE] = {};
#pragma unroll
	for (uint32_t k = 0; k < MERGE_AT_ONCE; k++) {
		if (b->warp + k * DECODE_WARPS >= n_tiles)
			break;
		v[k] = load_tagged(merge_from(b, m, merge_place(b, m, k)));
	}
#pragma unroll
	for (uint32_t k = 0; k < MERGE_AT_ONCE; k++) {
		if (b->warp + k * DECODE_WARPS >= n_tiles)
			break;
		uint2 at = merge_place(b, m, k);
		float out = await_tagged_after(v[k], merge_from(b, m, at), m->tag);
		merge_column(b, m, at.y)[at.x] = at.x < m->n ? out : 0.0f;
	}
}

/* What each split of the batch is multiplied by, and the totals before it: a thread a split. largest: of all
 * splits before the batch, then of its own too. Splits that are none leave every bit as it is (attend_weigh).
 * All threads call; a barrier lies in between, and one is at the end. */
__device__ __forceinline__ void weigh_splits(const struct block *b, const struct merge *m, float peak,
					     float sum, float *largest)
{
	enum { SPLIT_WARPS = DECODE_MERGE_SPLITS / 32 };
	float *peaks = reinterpret_cast<float *>(shared_reduce(b));
	float upto = peak; /* the largest of the warp's splits up to this one */
#pragma unroll
	for (uint32_t step = 1; step < 32; step *= 2) {
		float other = __shfl_up_sync(FULL_WARP, upto, step);
		upto = b->lane >= step ? fmaxf(other, upto) : upto;
	}
	if (b->lane == 31 && b->warp < (uint32_t)SPLIT_WARPS)
		peaks[b->warp] = upto;
	float before = __shfl_up_sync(FULL_WARP, upto, 1);
	before = fmaxf(*largest, b->lane ? before : -INFINITY);
	sync_workers();
#pragma unroll
	for (uint32_t w = 0; w < SPLIT_WARPS; w++) {
		float v = peaks[w];
		before = w < b->warp ? fmaxf(before, v) : before;
		*largest = fmaxf(*largest, v);
	}
	uint32_t s = b->thread;
	if (s < batch_splits(m)) {
		bool none = s >= m->n;
		float top = fmaxf(before, peak), now = none ? -0.0f : expf(peak - top);
		merge_row(b, ROW_BEFORE)[s] = none ? 1.0f : expf(before - top);
		merge_row(b, ROW_NOW)[s] = now;
		merge_row(b, ROW_SUM)[s] = sum * now;
	}
	sync_workers();
}

/* Brings a batch to shared memory. Begins and ends with a barrier. */
__device__ __forceinline__ void bring_batch(const struct block *b, const struct merge *m, float *largest)
{
	bool none = b->thread >= m->n;
	const uint64_t *part = m->part + b->thread * (2 + b->a->head_dim);
	ulonglong2 v = {};
	if (!none)
		v = load_two_tagged(part);
	sync_workers(); /* nobody reads what was there before */
	bring_outputs(b, m);
	float peak = -INFINITY, sum = 0;
	if (!none) {
		peak = await_tagged_after(v.x, part, m->tag);
		sum = await_tagged_after(v.y, part + 1, m->tag);
	}
	weigh_splits(b, m, peak, sum, largest);
}

struct merged {
	float out, sum;
};

/* Adds the batch to the totals of the lane's column, in order. */
__device__ __forceinline__ void add_batch(const struct block *b, const struct merge *m, struct merged *to)
{
	const float *outs = merge_column(b, m, b->lane & ((1u << m->log) - 1));
	float out = to->out, sum = to->sum;
#pragma unroll 2
	for (uint32_t s = 0; s < m->n; s += MERGE_FOUR) {
		float4 part = *reinterpret_cast<const float4 *>(outs + s),
		       before = *reinterpret_cast<const float4 *>(merge_row(b, ROW_BEFORE) + s),
		       now = *reinterpret_cast<const float4 *>(merge_row(b, ROW_NOW) + s),
		       more = *reinterpret_cast<const float4 *>(merge_row(b, ROW_SUM) + s);
		out = attend_merge(out, before.x, part.x, now.x), sum = fmaf(sum, before.x, more.x);
		out = attend_merge(out, before.y, part.y, now.y), sum = fmaf(sum, before.y, more.y);
		out = attend_merge(out, before.z, part.z, now.z), sum = fmaf(sum, before.z, more.z);
		out = attend_merge(out, before.w, part.w, now.w), sum = fmaf(sum, before.w, more.w);
	}
	to->out = out;
	to->sum = sum;
}

/* Splits first to last of some columns of a head. All threads call. */
__device__ __forceinline__ void merge_columns(const struct block *b, struct merge *m, uint32_t words,
					      uint32_t head, uint32_t first, uint32_t last)
{
	const struct decode_args *a = b->a;
	struct merged total = {0, 0};
	float largest = -INFINITY;
	for (uint32_t s = first; s <= last; s += batch_splits(m)) {
		m->part = attention_part(a, head, s);
		m->n = least(last + 1 - s, batch_splits(m));
		bring_batch(b, m, &largest);
		if (b->warp == 0)
			add_batch(b, m, &total);
	}
	if (b->warp != 0)
		return;
	uint32_t column = m->column + b->lane,
		 v = word_of_halves(to_halves(attend_finish(total.out, total.sum)), 1);
	if (b->lane < 1u << m->log && column < a->head_dim && column % WORD_NUMBERS == 0)
		publish(b, words + a->at.attended + (head * a->head_dim + column) / WORD_NUMBERS, v);
}

/* The same of few splits and a whole head: a thread a column, for itself. */
__device__ __forceinline__ void merge_few(const struct block *b, uint32_t tag, uint32_t words, uint32_t head,
					  uint32_t first, uint32_t n)
{
	const struct decode_args *a = b->a;
	uint32_t column = least(b->thread, a->head_dim - 1);
	const uint64_t *part = attention_part(a, head, first);
	ulonglong2 weight[MERGE_FEW];
	uint64_t out[MERGE_FEW];
	uint32_t missing = 1;
	for (uint32_t i = 0; missing; i++) {
		missing = 0;
#pragma unroll
		for (uint32_t s = 0; s < MERGE_FEW; s++) {
			uint32_t from = least(s, n - 1) * (2 + a->head_dim);
			weight[s] = load_two_tagged(part + from);
			out[s] = load_tagged(part + from + 2 + column);
		}
#pragma unroll
		for (uint32_t s = 0; s < MERGE_FEW; s++)
			missing |= ((uint32_t)(weight[s].x >> 32) ^ tag) |
				   ((uint32_t)(weight[s].y >> 32) ^ tag) | ((uint32_t)(out[s] >> 32) ^ tag);
		if (i == SPINS)
			give_up();
	}
	struct attend_total t = {-INFINITY, 0};
	float total = 0;
#pragma unroll
	for (uint32_t s = 0; s < MERGE_FEW; s++) {
		float before, now;
		bool none = s >= n;
		attend_weigh(&t, __uint_as_float((uint32_t)weight[s].x),
			     none ? 0.0f : __uint_as_float((uint32_t)weight[s].y), none, &before, &now);
		total = attend_merge(total, before, none ? 0.0f : __uint_as_float((uint32_t)out[s]), now);
	}
	uint32_t v = word_of_halves(to_halves(attend_finish(total, t.sum)), 1);
	if (b->thread < a->head_dim && column % WORD_NUMBERS == 0)
		publish(b, words + a->at.attended + (head * a->head_dim + column) / WORD_NUMBERS, v);
}

/* The block's share of the columns of all heads. */
__device__ __forceinline__ void merge_heads(const struct block *b, uint32_t l, uint32_t words, uint32_t first,
					    uint32_t last)
{
	const struct decode_args *a = b->a;
	struct merge m = {};
	m.tag = a->launch * a->n_layers + l;
	m.log = a->merge_log;
	if (last - first < MERGE_FEW) {
		for (uint32_t head = blockIdx.x; head < a->n_heads; head += gridDim.x)
			if (b->thread - b->lane < a->head_dim)
				merge_few(b, m.tag, words, head, first, last + 1 - first);
		return;
	}
	uint32_t shares = (a->head_dim + (1u << m.log) - 1) >> m.log;
	for (uint32_t i = blockIdx.x; i < a->n_heads * shares; i += gridDim.x) {
		uint32_t head = i / shares;
		m.column = (i - head * shares) << m.log;
		merge_columns(b, &m, words, head, first, last);
	}
}

/* The same of several sequences, whose sums of segments lie elsewhere: the splits of one head of all
 * sequences' from 0 to last, one after the other, a thread a column. */
__device__ __forceinline__ void combine(const struct block *b, uint32_t l, uint32_t words, uint32_t head,
					uint32_t last)
{
	const struct decode_args *a = b->a;
	uint32_t column = b->thread, tag = a->launch * a->n_layers + l;
	if (column - b->lane >= a->head_dim)
		return;
	column = least(column, a->head_dim - 1);
	float total_largest = -INFINITY, total_sum = 0, total = 0;
	for (uint32_t s = 0; s <= last; s++) {
		const uint64_t *part = attention_part(a, head, s);
		float largest = await_tagged(part, tag), sum = await_tagged(part + 1, tag),
		      out = await_tagged(part + 2 + column, tag);
		float top = fmaxf(total_largest, largest);
		float before = expf(total_largest - top), now = expf(largest - top);
		total_largest = top;
		total_sum = fmaf(total_sum, before, sum * now);
		total = fmaf(total, before, out * now);
	}
	uint32_t v = word_of_halves(to_halves(attend_finish(total, total_sum)), 1);
	if (b->thread < a->head_dim && column % WORD_NUMBERS == 0)
		publish(b, words + a->at.attended + (head * a->head_dim + column) / WORD_NUMBERS, v);
}

__device__ __forceinline__ void combine_few(const struct block *b, uint32_t l, uint32_t words)
{
	const struct decode_args *a = b->a;
	for (uint32_t i = blockIdx.x; i < n_seqs_of(b) * a->n_heads; i += gridDim.x) {
		uint32_t seq = i / a->n_heads, last = pos_of(b, seq) / SPLIT;
		/* parts count heads over all sequences, words over a sequence's */
		if (last)
			combine(b, l, words + words_of(b, seq) - seq * (a->q_dim / WORD_NUMBERS), i, last);
	}
}

} // namespace
#endif
