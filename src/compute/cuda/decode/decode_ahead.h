/* Decoding ahead of the host (docs/decisions/0024-decoding-ahead.md): the step after the last one, begun
 * before it is asked for. */
#ifndef COMPUTE_CUDA_DECODE_AHEAD_H
#define COMPUTE_CUDA_DECODE_AHEAD_H

#include "compute/cuda/decode/decode.h"

struct decode_ahead {
	struct cuda_drawn *drawn; /* (2) pinned: of the step under way and of the one before */
	cudaEvent_t done[3];      /* when those are there; the third: a step that was asked for */
	uint32_t slot;            /* of the step under way */
	bool pending;             /* there is one */
	uint32_t pos;             /* its position */
	int32_t token;            /* its token, once the step before is through */
	uint32_t *table;          /* KV blocks of its sequence */
};

/* OUT_OF_MEMORY, DEVICE_ERROR; what is there then, destroy frees. */
enum hokku_code decode_ahead_create(const struct cuda *c, struct decode_ahead *a, struct hokku_error *err);
/* The stream has run dry, or the device is lost. */
void decode_ahead_destroy(struct decode_ahead *a);
/* Of struct cuda_path. */
enum hokku_code decode_foreseen(struct cuda *c, struct decode_handle *d, struct decode_ahead *a, bool *is,
				struct hokku_error *err);
enum hokku_code decode_foresee(struct cuda *c, struct decode_handle *d, struct decode_ahead *a,
			       struct hokku_error *err);

#endif
