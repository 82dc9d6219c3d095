/* The tile path: weights in tiles (tile_layout.h), products on tensor cores, kernel by kernel, for steps of
 * any number of tokens. Steps of one token run in one launch where decode/ takes the model (decode_path.c,
 * which has the path's row); the bits are the same. */
#ifndef COMPUTE_CUDA_TILE_H
#define COMPUTE_CUDA_TILE_H

#include "compute/cuda/tile/tile_weights.h"

/* Functions of struct cuda_path; tile_fits makes c->own. */
enum hokku_code tile_fits(struct cuda *c, struct hokku_error *err);
enum hokku_code tile_cache(struct cuda *c, struct cache_types *types, struct hokku_error *err);
uint64_t tile_block_bytes(const struct cuda *c);
void tile_take_scratch(struct cuda *c, struct cuda_taker *t);
uint64_t tile_input_words(const struct cuda *c);
void tile_pack(struct cuda *c);
enum hokku_code tile_layers(struct cuda *c, struct hokku_error *err);
enum hokku_code tile_logits(struct cuda *c, uint32_t first, uint32_t n, struct hokku_error *err);

#endif
