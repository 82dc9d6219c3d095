/*
 * Does a model fit a device, at which context and for how many requests at a time? Told out of the header, by
 * what an engine would ask for (need.h); no weight is read.
 */
#ifndef ENGINE_FIT_H
#define ENGINE_FIT_H

#include "engine/need.h"

struct engine_fit {
	uint32_t n_ctx, n_streams;  /* of what follows */
	uint32_t n_ctx_wanted;      /* n_ctx, or the default where a server would take what fits of it */
	struct compute_need need;   /* of so many requests at a time, each of a whole context */
	struct compute_need server; /* of a server with this config, which gives KV memory what suits it */
	uint64_t stream_bytes;      /* KV memory of one whole context, */
	uint64_t token_bytes;       /* and of a position, as long as all windows see it */
	/* What would fit; 0: nothing does. */
	uint32_t most_ctx_alone;   /* positions of one request */
	uint32_t most_ctx;         /* of each of n_streams */
	uint32_t most_streams;     /* whole contexts at a time, ENGINE_MAX_PARALLEL at most */
	uint64_t kv_bytes_to_have; /* --kv-bytes for n_streams whole contexts */
};

/* config->n_parallel, 0: 1, are the streams; config->n_ctx, 0: the default or what fits of it, is the context
 * of each. With config->kv_bytes there is so much KV memory, no more and no less. Errors are those of opening
 * the device, and of a context that the model has not; a lack of memory is none. */
enum hokku_code engine_fit(struct model *m, const struct engine_config *config, struct engine_fit *out,
			   struct hokku_error *err);

#endif
