/*
 * The decode kernel. Each of sixteen warps works on one segment of every row; four more stream weights: for
 * each segment a ring in shared memory, filled by the copy engine in the order in which it will be used, from
 * the first layer to the output matrix, whatever the blocks wait for meanwhile.
 *
 * What blocks tell each other goes through words of global memory that hold DECODE_EMPTY until they are
 * written (one relaxed store; readers poll): each phase of each layer has its own words, in two sets for even
 * and odd launches; who writes a word in one set empties it in the other, which was read in the launch
 * before.
 *
 * What sets the pace of a small model is the chain of dependent phases, so what can be known before the words
 * of the last phase arrive is looked up before (struct view, struct target).
 *
 * Sums are those of the tile path everywhere (docs/exactness.md): the same bits as prefill's.
 */
#ifndef COMPUTE_CUDA_DECODE_KERNEL_CUH
#define COMPUTE_CUDA_DECODE_KERNEL_CUH

#include "compute/cuda/decode/decode_attention.cuh"
#include "compute/cuda/decode/decode_block.cuh"
#include "compute/cuda/decode/decode_few.cuh"
#include "compute/cuda/decode/decode_head.cuh"
#include "compute/cuda/decode/decode_operand.cuh"
#include "compute/cuda/decode/decode_product.cuh"

namespace
{

enum phase { PHASE_QKV, PHASE_O, PHASE_GATE_UP, PHASE_DOWN, PHASE_HEAD, PHASES_A_LAYER = 4 };

/* The row whose sum this thread finishes in a lot, known before the sums are. A thread for each plane of a
 * row; of gate and up for each plane of both. */
struct target {
	uint32_t place; /* of the row among the lot's rows; CUDA_NOTHING: none */
	uint32_t word;  /* where it goes; of the output matrix: its row */
	float bias;
	float scale; /* of the row, in kernels for formats whose rows have scales */
};

template <uint32_t FORMATS> struct formats_have {
	enum { row_scales = (FORMATS & (DECODE_BF16 | 1u << CUDA_F32)) != 0 };
};

__device__ __forceinline__ void aim_qkv(const struct block *b, const struct decode_stint *j, uint32_t l,
					uint32_t words, uint32_t row, struct target *to)
{
	const struct decode_args *a = b->a;
	uint32_t role = j->matrix - l * DECODE_N_ROLES;
	const float *bias = a->layers[l].bias[role];
	uint32_t before = role == DECODE_Q ? 0 : role == DECODE_K ? a->q_dim : a->q_dim + a->kv_dim;
	to->bias = bias ? bias[row] : 0.0f;
	to->word = words + a->at.qkv + before + row;
}

/* The scale of row `row` of a matrix. */
__device__ __forceinline__ float row_scale(const struct block *b, uint32_t matrix, uint32_t row)
{
	const struct decode_matrix *m = &shared_matrices(b)[matrix];
	return m->scaled ? *tile_row_scale(m->data, row) : 1.0f;
}

template <uint32_t FORMATS>
__device__ __forceinline__ struct target find_target(const struct block *b, uint32_t phase, uint32_t l,
						     uint32_t words)
{
	const struct decode_args *a = b->a;
	const struct decode_stint *j = &shared_stints(b)[b->stint];
	uint32_t t = b->thread, place = t / PLANES / (phase == PHASE_GATE_UP ? 2 : 1), tile = place / 8;
	struct target to = {CUDA_NOTHING, 0, 0.0f, 1.0f};
	if (FULL ? phase == PHASE_QKV : phase != PHASE_GATE_UP) /* the lot may be of several stints */
		while (!j->last_of_lot && tile >= (uint32_t)j->at + j->n_tiles)
			j++;
	if (tile >= (uint32_t)j->at + j->n_tiles)
		return to;
	uint32_t row = (j->tile + tile - j->at) * 8 + place % 8;
	if (row >= shared_matrices(b)[j->matrix].rows)
		return to;
	if constexpr (formats_have<FORMATS>::row_scales)
		to.scale = row_scale(b, j->matrix + (phase == PHASE_GATE_UP ? t / PLANES % 2 : 0), row);
	to.place = phase == PHASE_GATE_UP ? place + t / PLANES % 2 * j->n_tiles * 8 : place;
	switch (phase) {
	case PHASE_QKV:
		aim_qkv(b, j, l, words, row, &to);
		break;
	case PHASE_O:
		to.word = words + a->at.o + row;
		break;
	case PHASE_GATE_UP:
		to.word = words + a->at.hidden + row / WORD_NUMBERS;
		break;
	case PHASE_DOWN:
		to.word = words + a->at.down + row;
		break;
	case PHASE_HEAD:
		to.word = row;
		break;
	}
	return to;
}

/* Adds up the segments of the thread's plane of its row, then the planes; all threads of a warp call. */
__device__ __forceinline__ float add_segments(const struct block *b, uint32_t part_at, uint32_t place)
{
	enum { SEGMENT = LOT * TILE_SUMS };
	const float *part =
		shared_part(b) + part_at * TILE_SEGMENTS * SEGMENT + place * PLANES + b->thread % PLANES;
	float v[TILE_SEGMENTS], sum = 0;
	if (place != CUDA_NOTHING) {
#pragma unroll
		for (uint32_t s = 0; s < TILE_SEGMENTS; s++)
			v[s] = part[s * SEGMENT];
		sum = v[0];
#pragma unroll
		for (uint32_t s = 1; s < TILE_SEGMENTS; s++)
			sum = sum + v[s];
	}
	return FULL ? sum + __shfl_xor_sync(FULL_WARP, sum, 1) : sum;
}

template <uint32_t FORMATS>
__device__ __forceinline__ void finish_row(const struct block *b, const struct target *to, uint32_t part_at,
					   uint32_t phase)
{
	float y = add_segments(b, part_at, to->place);
	if constexpr (formats_have<FORMATS>::row_scales)
		y = y * to->scale;
	if (phase == PHASE_GATE_UP) {
		float up = __shfl_xor_sync(FULL_WARP, y, PLANES);
		float gated = RICH ? a16_gated_by(b->a->act, y, up) : a16_gated(y, up);
		uint32_t word = word_of_halves(to_halves(gated), 2);
		if (to->place != CUDA_NOTHING && b->thread % 4 == 0)
			publish(b, to->word, word);
		return;
	}
	if (to->place == CUDA_NOTHING || b->thread % PLANES)
		return;
	if (phase == PHASE_HEAD) {
		if (RICH) /* as cuda_bend has it */
			y = b->a->logit_cap != 0
				    ? b->a->logit_cap * tanhf(y * b->a->logit_scale / b->a->logit_cap)
				    : y * b->a->logit_scale;
		b->a->logits[to->word] = y;
		return;
	}
	publish(b, to->word, word_of(phase == PHASE_QKV ? y + to->bias : y));
}

/* As find_target, of several sequences. */
template <uint32_t FORMATS>
__device__ __forceinline__ struct target_few find_target_few(const struct block *b, uint32_t phase,
							     uint32_t l, uint32_t words)
{
	const struct decode_args *a = b->a;
	const struct decode_stint *j = &shared_stints(b)[b->stint];
	uint32_t place = b->thread / COLUMNS, tile = place / 8;
	struct target_few to = {CUDA_NOTHING, CUDA_NOTHING, 0, b->thread / PLANES % SEQS, 0.0f, {1.0f, 1.0f}};
	if (FULL ? phase == PHASE_QKV : phase != PHASE_GATE_UP)
		while (!j->last_of_lot && tile >= (uint32_t)j->at + j->n_tiles)
			j++;
	uint32_t row = (j->tile + tile - j->at) * 8 + place % 8;
	if (to.seq >= n_seqs_of(b) || tile >= (uint32_t)j->at + j->n_tiles ||
	    row >= shared_matrices(b)[j->matrix].rows)
		return to;
	if constexpr (formats_have<FORMATS>::row_scales) {
		to.scale[0] = row_scale(b, j->matrix, row);
		to.scale[1] = phase == PHASE_GATE_UP ? row_scale(b, j->matrix + 1, row) : 1.0f;
	}
	words += words_of(b, to.seq);
	to.place = place;
	to.up = place + j->n_tiles * 8;
	struct target one = {};
	if (phase == PHASE_QKV)
		aim_qkv(b, j, l, words, row, &one);
	to.bias = one.bias;
	to.word = phase == PHASE_QKV       ? one.word
		  : phase == PHASE_O       ? words + a->at.o + row
		  : phase == PHASE_GATE_UP ? words + a->at.hidden + row / WORD_NUMBERS
		  : phase == PHASE_DOWN    ? words + a->at.down + row
					   : row;
	return to;
}

template <uint32_t FORMATS>
__device__ __forceinline__ void finish_few(const struct block *b, const struct target_few *to, uint32_t phase)
{
	float y = add_segments_few(b, to->place);
	bool mine = to->place != CUDA_NOTHING && b->thread % PLANES == 0;
	if constexpr (formats_have<FORMATS>::row_scales)
		y = y * to->scale[0];
	if (phase == PHASE_GATE_UP) {
		float up = add_segments_few(b, to->place != CUDA_NOTHING ? to->up : CUDA_NOTHING);
		if constexpr (formats_have<FORMATS>::row_scales)
			up = up * to->scale[1];
		/* HALF: with the next row of the same sequence */
		uint32_t word = word_of_halves(to_halves(a16_gated(y, up)), SEQS);
		if (mine && to->place % WORD_NUMBERS == 0)
			publish(b, to->word, word);
	} else if (phase == PHASE_HEAD) {
		float *logits = mine ? b->a->seqs[to->seq].logits : NULL;
		if (logits)
			logits[to->word] = y;
	} else if (mine) {
		publish(b, to->word, word_of(phase == PHASE_QKV ? y + to->bias : y));
	}
}

/* A sequence's token's row of the embedding into its residual. */
template <int FORMAT> __device__ __forceinline__ void embed(const struct block *b, uint32_t token, float *x)
{
	typedef frag_traits<FORMAT> traits;
	const struct tile_matrix *m = &b->a->embedding;
	for (uint32_t i = b->thread; i < (m->cols + 7) / 8; i += WORKERS) {
		uint32_t chunk = i / 4, unit = chunk / traits::chunks, s = 0;
		while (unit >= tile_segment(m->n_units, s + 1))
			s++;
		const uint8_t *p = m->data + tile_offset(m, token / 8, s, unit);
		float w[8];
		frag_exact<FORMAT>(p, chunk % traits::chunks, token % 8, i % 4, w);
		float scale = tile_has_row_scales(FORMAT) ? *tile_row_scale(m->data, token) : 1.0f;
		for (uint32_t q = 0; q < 8 && 8 * i + q < m->cols; q++)
			x[8 * i + q] = RICH ? w[q] * scale * b->a->embedding_scale : w[q] * scale;
	}
}

__device__ __forceinline__ void embed_token(const struct block *b, const int32_t *fed, int32_t id, float *x)
{
	uint32_t token = (uint32_t)(fed ? *fed : id);
	if (token >= b->a->n_vocab) /* nothing could be drawn: what follows is thrown away */
		token = 0;
#define EMBED_CASE(name, bytes, columns)         \
	case CUDA_##name:                        \
		embed<CUDA_##name>(b, token, x); \
		break;
	switch (b->a->embedding.format) {
		TILE_FORMATS(EMBED_CASE)
	}
#undef EMBED_CASE
}

__device__ __forceinline__ void copy_in(void *to, const void *from, uint32_t bytes)
{
	for (uint32_t i = threadIdx.x; i < bytes / 4; i += blockDim.x)
		((uint32_t *)to)[i] = ((const uint32_t *)from)[i];
}

__device__ __forceinline__ void clear(void *to, uint32_t bytes)
{
	for (uint32_t i = threadIdx.x; i < bytes / 4; i += WORKERS)
		((uint32_t *)to)[i] = 0;
}

__device__ __forceinline__ void place_block(struct block *b, const struct decode_args *a)
{
	b->a = a;
	b->stint = b->part_at = 0;
	know_thread(b);
	b->ring = (struct ring){};
}

/* All that does not depend on the token: tables and barriers. Ends with a barrier of all threads. */
__device__ __forceinline__ void prepare(struct block *b)
{
	const struct decode_args *a = b->a;
	SHARED(unsigned char, base);
	copy_in(base + a->shared.matrices, a->matrices,
		(a->n_layers * DECODE_N_ROLES + 1) * (uint32_t)sizeof(struct decode_matrix));
	copy_in(base + a->shared.stints, a->stints + (uint64_t)blockIdx.x * a->n_stints,
		a->n_stints * (uint32_t)sizeof(struct decode_stint));
	/* each warp its own ring's: one after another, they would take microseconds */
	if (b->warp < (uint32_t)DECODE_WARPS) {
		if (b->lane < PARCELS)
			barrier_init(place_in_shared(shared_bars(b) + b->warp * PARCELS + b->lane), 1);
		if (b->lane == PARCELS && b->warp < (uint32_t)STREAM_WARPS)
			barrier_init(wake_barrier(b, b->warp), 1);
		if (b->lane == 0)
			shared_done(b)[b->warp] = 0;
		barrier_init_done();
	}
	__syncthreads();
}

/* Cosines and sines of all RoPEs; what is not turned has 1 and 0. */
__device__ __forceinline__ void turn_all(const struct block *b)
{
	const struct decode_args *a = b->a;
	uint32_t half = a->head_dim / 2;
	for (uint32_t k = b->thread; k < a->n_turns * half; k += WORKERS) {
		uint32_t rope = k / half, i = k - rope * half;
		bool turned = rope < a->n_ropes && 2 * i < a->n_dims;
		float angle = turned ? (float)a->pos * a->frequency[rope % DECODE_ROPES][i] : 0.0f,
		      factor = turned ? a->factor[rope % DECODE_ROPES] : 1.0f;
		float *to = shared_turn(b) + rope * a->hd + i;
		to[0] = cosf(angle) * factor;
		to[a->hd / 2] = sinf(angle) * factor;
	}
}

/* Queries that no head has, and columns that pad a head, stay 0; the token's row of the embedding. */
template <int CHUNKS> __device__ __forceinline__ void begin(struct block *b)
{
	const struct decode_args *a = b->a;
	clear(shared_query(b), PLANES * a->group_rows * (a->hd + DECODE_ROW_PAD) * 2);
	clear(shared_fresh(b), PLANES * 2 * a->hd * 2);
	clear(shared_zeros(b), DECODE_ZEROS * 2);
	if (RICH)
		turn_all(b);
	/* by the last threads, as the first have most of the embedding */
	for (uint32_t s = 0; s < n_seqs_of(b); s++)
		for (uint32_t i = WORKERS - 1 - b->thread; i < a->head_dim / 2 && !RICH; i += WORKERS) {
			float angle = (float)pos_of(b, s) * a->frequency[0][i];
			shared_turn(b)[s * a->hd + i] = cosf(angle);
			shared_turn(b)[s * a->hd + a->hd / 2 + i] = sinf(angle);
		}
	if (!RICH)
		place_first<CHUNKS>(b, 0);
	if (SEQS == 1)
		embed_token(b, a->fed, a->token, shared_x(b));
	else
		for (uint32_t s = 0; s < n_seqs_of(b); s++)
			embed_token(b, a->seqs[s].fed, a->seqs[s].token, residual_of(b, s));
	sync_workers();
}

/* Rich: x with what block `which` of layer l gave, at `at`, then what the product of a phase multiplies. */
__device__ __forceinline__ void receive_rich(struct block *b, uint32_t l, uint32_t which, uint32_t at,
					     const float *weight, bool mins)
{
	if (at != CUDA_NOTHING)
		raise_by_post(b, at, b->a->layers[l].post_norm[which], b->a->layers[l].residual_scale);
	if (weight)
		receive_norm(b, CUDA_NOTHING, weight, mins);
	else
		receive_rows(b, mins);
}

/* What the product of a phase multiplies. */
__device__ __forceinline__ void receive_operand(struct block *b, uint32_t phase, uint32_t l, uint32_t words,
						bool has_work, bool mins)
{
	const struct decode_args *a = b->a;
	uint32_t down = words - a->at.per_layer + a->at.down; /* of the layer before */
	if (RICH && (phase == PHASE_QKV || phase == PHASE_GATE_UP || phase == PHASE_HEAD)) {
		if (phase == PHASE_GATE_UP)
			receive_rich(b, l, 0, words + a->at.o, a->layers[l].ffn_norm, mins);
		else
			receive_rich(b, l - 1, 1, l ? down : CUDA_NOTHING,
				     phase == PHASE_HEAD ? a->output_norm : a->layers[l].attn_norm, mins);
		return;
	}
	switch (phase) {
	case PHASE_QKV:
		receive_norm(b, l ? down : CUDA_NOTHING, a->layers[l].attn_norm, mins);
		break;
	case PHASE_O:
		if (has_work)
			receive_packed(b, words + a->at.attended, a->q_dim, mins);
		break;
	case PHASE_GATE_UP:
		receive_norm(b, words + a->at.o, a->layers[l].ffn_norm, mins);
		break;
	case PHASE_DOWN:
		if (has_work)
			receive_packed(b, words + a->at.hidden, a->d_ff, mins);
		break;
	case PHASE_HEAD:
		receive_norm(b, down, a->output_norm, mins);
		break;
	}
}

/* The same of several sequences. */
__device__ __forceinline__ void receive_operand_few(struct block *b, uint32_t phase, uint32_t l,
						    uint32_t words, bool has_work, bool mins)
{
	const struct decode_args *a = b->a;
	uint32_t down = words - a->at.per_layer + a->at.down; /* of the layer before */
	if (phase == PHASE_O || phase == PHASE_DOWN) {
		bool o = phase == PHASE_O;
		if (has_work)
			receive_packed_few(b, words + (o ? a->at.attended : a->at.hidden),
					   o ? a->q_dim : a->d_ff, mins);
		return;
	}
	uint32_t at = phase == PHASE_GATE_UP ? words + a->at.o : l ? down : CUDA_NOTHING;
	receive_norm_few(b, at,
			 phase == PHASE_HEAD      ? a->output_norm
			 : phase == PHASE_GATE_UP ? a->layers[l].ffn_norm
						  : a->layers[l].attn_norm,
			 mins);
}

/* As run_phase below, of several sequences. There is one set of sums: a lot's are added up before the next
 * one's come, and those of a phase before its successor's operand is there. */
template <uint32_t FORMATS>
__device__ __forceinline__ void run_phase_few(struct block *b, uint32_t phase, uint32_t l, uint32_t words)
{
	remember(b);
	b->part_at = phase == PHASE_DOWN;
	struct task k = next_task(b);
	struct target_few to = find_target_few<FORMATS>(b, phase, l, words);
	bool has_work = k.stint.n_tiles != 0;
	/* An operand comes where sums are that others may still add up, or (of O) what attention has put
	 * there. */
	if (phase == PHASE_DOWN || phase == PHASE_O)
		sync_workers();
	receive_operand_few(b, phase, l, words, has_work, k.stint.mins);
	b->stint++;
	while (has_work) {
		run_stint<FORMATS>(b, &k);
		struct decode_stint done = k.stint;
		if (done.last_of_lot) {
			sync_workers();
			finish_few<FORMATS>(b, &to, phase);
		}
		if (done.last_of_phase)
			break;
		k = next_task(b);
		if (done.last_of_lot) {
			to = find_target_few<FORMATS>(b, phase, l, words);
			sync_workers();
		}
		b->stint++;
	}
	keep(b);
}

/* The lots of a phase, each a run of stints whose rows are finished together. */
template <uint32_t FORMATS>
__device__ __forceinline__ void run_phase(struct block *b, uint32_t phase, uint32_t l, uint32_t words)
{
	remember(b);
	struct task k = next_task(b);
	struct target to = find_target<FORMATS>(b, phase, l, words);
	bool has_work = k.stint.n_tiles != 0;
	receive_operand(b, phase, l, words, has_work, k.stint.mins);
	b->stint++;
	while (has_work) {
		run_stint<FORMATS>(b, &k);
		struct decode_stint done = k.stint;
		if (done.last_of_lot) {
			uint32_t part_at = b->part_at;
			b->part_at ^= 1;
			sync_workers();
			finish_row<FORMATS>(b, &to, part_at, phase);
		}
		if (done.last_of_phase)
			break;
		k = next_task(b);
		if (done.last_of_lot)
			to = find_target<FORMATS>(b, phase, l, words);
		b->stint++;
	}
	keep(b);
}

template <int CHUNKS, uint32_t FORMATS> __device__ __forceinline__ void run_model(struct block *b)
{
	const struct decode_args *a = b->a;
	begin<CHUNKS>(b);
	keep(b);
	for (uint32_t step = 0; step <= a->n_layers * PHASES_A_LAYER; step++) {
		uint32_t l = step / PHASES_A_LAYER,
			 phase = l == a->n_layers ? (uint32_t)PHASE_HEAD : step % PHASES_A_LAYER;
		know_thread(b);
		if (phase == PHASE_O)
			attention<CHUNKS>(b, l, l * a->at.per_layer);
		if constexpr (SEQS > 1)
			run_phase_few<FORMATS>(b, phase, l, l * a->at.per_layer);
		else
			run_phase<FORMATS>(b, phase, l, l * a->at.per_layer);
	}
	if (a->greedy) {
		remember(b);
		if constexpr (SEQS > 1)
			draw_greedy_few(b);
		else
			draw_greedy(b);
	}
}

typedef void decode_kernel_fn(const struct decode_args);

/* CHUNKS: a head has so many times 32 columns. FORMATS: of the matrices, a bit each. */
template <int CHUNKS, uint32_t FORMATS>
__global__ void __launch_bounds__(DECODE_THREADS, 1) decode_kernel(const GRID_CONSTANT struct decode_args a)
{
	struct block b;
	place_block(&b, &a);
	prepare(&b);
	if (b.warp < (uint32_t)DECODE_WARPS) {
		registers_up<WORKER_REGISTERS>();
		run_model<CHUNKS, FORMATS>(&b);
	} else {
		registers_down<STREAM_REGISTERS>();
		stream_weights(&b);
	}
}

/* The launch of the kernel for a head's so many times 32 columns, one of CHUNKS. */
template <uint32_t FORMATS, int... CHUNKS>
cudaError_t launch_decode(const struct decode_args *a, uint32_t grid, uint32_t shared_bytes,
			  cudaStream_t stream)
{
	decode_kernel_fn *kernel = NULL;
	((kernel = a->hd == 32 * CHUNKS ? decode_kernel<CHUNKS, FORMATS> : kernel), ...);
	if (!kernel)
		return cudaErrorInvalidValue;
	cudaError_t e = cudaFuncSetAttribute((const void *)kernel,
					     cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared_bytes);
	if (e != cudaSuccess)
		return e;
	return LAUNCH_TOGETHER(kernel, dim3(grid), dim3(DECODE_THREADS), shared_bytes, stream, *a);
}

} // namespace

#endif
