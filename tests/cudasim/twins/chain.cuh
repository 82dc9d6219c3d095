/* What src/compute/cuda/chain.cuh is on the emulator, which includes it: launches follow each other whole. */
#ifndef CUDASIM_TWINS_CHAIN_CUH
#define CUDASIM_TWINS_CHAIN_CUH

#include "twins/cluster.cuh"

static inline void chain_wait(void)
{
}
static inline void chain_next(void)
{
}
#define LAUNCH_CHAINED(n, kernel, grid, threads, shared, stream, args) \
	cudasim_start_clusters(n, #kernel, kernel, grid, threads, shared, stream, args)

#endif
