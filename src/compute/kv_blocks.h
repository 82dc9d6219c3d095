/* How many KV blocks a backend takes, of what was asked for. */
#ifndef COMPUTE_KV_BLOCKS_H
#define COMPUTE_KV_BLOCKS_H

#include <inttypes.h>
#include <stdio.h>

#include "compute/compute.h"

/* Blocks of one KV group that a step of a sequence, with n new tokens, sees and writes at most, where those
 * are named no more that lie wholly behind the window of the first position of the block in which they begin.
 * window 0: none. */
static inline uint32_t kv_blocks_most(uint32_t window, uint32_t n_ctx, uint32_t n)
{
	uint32_t all = (n_ctx + COMPUTE_KV_BLOCK - 1) / COMPUTE_KV_BLOCK;
	uint64_t seen = ((uint64_t)window + COMPUTE_KV_BLOCK - 2) / COMPUTE_KV_BLOCK +
			((uint64_t)n + COMPUTE_KV_BLOCK - 2) / COMPUTE_KV_BLOCK + 1;
	return window && seen < all ? (uint32_t)seen : all;
}

/* The same of all groups together, of which there is one at least. */
static inline uint32_t kv_blocks_all_groups(const struct model *m, uint32_t n_ctx, uint32_t n)
{
	uint32_t all = kv_blocks_most(m->kv_groups[0].window, n_ctx, n);
	for (uint32_t g = 1; g < m->n_kv_groups; g++)
		all += kv_blocks_most(m->kv_groups[g].window, n_ctx, n);
	return all;
}

/* block_bytes: of one block in all places for layers (model_kv_places). spare_bytes: what the device has left
 * beyond the fewest blocks. INVALID_REQUEST if kv_bytes is given and does not hold the fewest. */
static inline enum hokku_code kv_blocks_choose(const struct compute_params *p, uint64_t block_bytes,
					       uint64_t spare_bytes, uint32_t *n, struct hokku_error *err)
{
	*n = p->n_kv_blocks;
	if (p->kv_bytes) {
		uint64_t fit = p->kv_bytes / block_bytes;
		uint32_t contexts = p->n_kv_blocks / kv_blocks_all_groups(p->model, p->n_ctx, p->n_batch);
		if (fit < p->n_kv_blocks)
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "%" PRIu64 " bytes of KV memory hold %" PRIu64
				       " blocks of %d positions; %u request%s of up to %u positions need %u "
				       "blocks, which are %" PRIu64 " bytes",
				       p->kv_bytes, fit, (int)COMPUTE_KV_BLOCK, contexts,
				       contexts == 1 ? "" : "s", p->n_ctx, p->n_kv_blocks,
				       p->n_kv_blocks * block_bytes);
		*n = fit < UINT32_MAX ? (uint32_t)fit : UINT32_MAX;
	} else if (p->n_kv_blocks_max > *n) {
		uint64_t more = spare_bytes / block_bytes, most = p->n_kv_blocks_max - *n;
		*n += (uint32_t)(more < most ? more : most);
	}
	return HOKKU_OK;
}

/* The same of host memory. */
static inline enum hokku_code kv_blocks_choose_host(const struct compute_params *p, uint64_t block_bytes,
						    uint64_t spare_bytes, uint32_t *n,
						    struct hokku_error *err)
{
	struct compute_params host = *p;
	host.n_kv_blocks_max = p->n_kv_blocks_host;
	return kv_blocks_choose(&host, block_bytes, spare_bytes, n, err);
}

/* What would fit where `fixed_bytes` (weights and scratch) and KV memory are more than available_bytes, for
 * the message that refuses: "; a context of 4,096 positions would fit". Returns out. */
static inline const char *kv_blocks_advise(const struct compute_params *p, uint64_t weight_bytes,
					   uint64_t fixed_bytes, uint64_t block_bytes,
					   uint64_t available_bytes, char out[96])
{
	uint32_t a_context = kv_blocks_all_groups(p->model, p->n_ctx, p->n_batch);
	uint32_t contexts = p->n_kv_blocks > a_context ? p->n_kv_blocks / a_context : 1;
	uint64_t fit = fixed_bytes < available_bytes ? (available_bytes - fixed_bytes) / block_bytes : 0;
	uint32_t low = 0, high = (p->n_ctx - 1) / COMPUTE_KV_BLOCK; /* blocks of a context that is less */
	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;
		uint64_t blocks = kv_blocks_all_groups(p->model, middle * COMPUTE_KV_BLOCK, p->n_batch);
		if (blocks * contexts <= fit)
			low = middle;
		else
			high = middle - 1;
	}
	out[0] = '\0';
	if (weight_bytes >= available_bytes)
		snprintf(out, 96, "; its weights alone do not fit");
	else if (p->kv_bytes && fit)
		snprintf(out, 96, "; %" PRIu64 " bytes of KV memory would fit", fit * block_bytes);
	else if (low)
		snprintf(out, 96, "; a context of %" PRIu32 " positions would fit", low * COMPUTE_KV_BLOCK);
	return out;
}

#endif
