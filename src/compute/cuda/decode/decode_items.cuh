/*
 * What the decode kernel (decode_kernel.cuh) attends to. An item is one KV head and one split of 128
 * positions; a block takes each so manieth. Which the block's items are and where their KV blocks lie is
 * looked up ahead of their turn, and the blocks come to the L2.
 */
#ifndef COMPUTE_CUDA_DECODE_ITEMS_CUH
#define COMPUTE_CUDA_DECODE_ITEMS_CUH

#include "compute/cuda/decode/decode_block.cuh"

namespace
{

enum {
	KV_BLOCKS = SPLIT / KV_BLOCK, /* of a split */
	PLACE_WORDS = KV_BLOCKS + 1,
	ITEMS_AHEAD = 2, /* that are looked up, and come to the L2, before their turn */
	ITEM_RING = 8,
};
static_assert(ITEMS_AHEAD + ITEM_RING == DECODE_PLACES && ITEMS_AHEAD + 1 < ITEM_RING,
	      "an item's place is not needed any more");

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

/* Places of the block's first items. */
template <int CHUNKS> __device__ __forceinline__ void place_first(const struct block *b, uint32_t l)
{
	if (b->warp < (SEQS > 1 ? 1u : (uint32_t)ITEMS_AHEAD))
		place_item<CHUNKS>(b, l, b->warp, b->lane);
}
} // namespace
#endif
