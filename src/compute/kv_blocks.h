/* How many KV blocks a backend takes, of what was asked for. */
#ifndef COMPUTE_KV_BLOCKS_H
#define COMPUTE_KV_BLOCKS_H

#include <inttypes.h>

#include "compute/compute.h"

/* block_bytes: of one block in all layers. spare_bytes: what the device has left beyond the fewest blocks.
 * INVALID_REQUEST if kv_bytes is given and does not hold the fewest. */
static inline enum hokku_code kv_blocks_choose(const struct compute_params *p, uint64_t block_bytes,
					       uint64_t spare_bytes, uint32_t *n, struct hokku_error *err)
{
	*n = p->n_kv_blocks;
	if (p->kv_bytes) {
		uint64_t fit = p->kv_bytes / block_bytes;
		uint32_t a_context = (p->n_ctx + COMPUTE_KV_BLOCK - 1) / COMPUTE_KV_BLOCK;
		uint32_t contexts = p->n_kv_blocks / a_context;
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
						    uint32_t *n, struct hokku_error *err)
{
	struct compute_params host = *p;
	host.n_kv_blocks_max = p->n_kv_blocks_host;
	return kv_blocks_choose(&host, block_bytes, UINT64_MAX, n, err);
}

#endif
