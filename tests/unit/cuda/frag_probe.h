/* What fragments give (frag.cuh), for test_cuda_tile.c. */
#ifndef TEST_CUDA_FRAG_PROBE_H
#define TEST_CUDA_FRAG_PROBE_H

#include "compute/cuda/tile/tile_layout.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is known of one weight, padding too. */
struct probed {
	float half;       /* frag_load, HALF */
	float full;       /* frag_load, FULL */
	float scale, add; /* frag_scale */
	float exact;      /* frag_exact */
	float tiny;       /* the short way (Q4_K, Q6_K); else as half */
};

struct probe_args {
	struct tile_matrix m;
	struct probed *out; /* (n_tiles * 8, n_units * columns of a unit) */
};
cudaError_t probe_frags(const struct probe_args *a, cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
