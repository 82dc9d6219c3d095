/*
 * What a model takes from a device, settled from its header before anything is taken. Functions called take
 * run once on a ledger that counts and once on the device's, and ask for the same both times.
 */
#ifndef COMPUTE_CUDA_BUDGET_H
#define COMPUTE_CUDA_BUDGET_H

#include "compute/cuda/cuda.h"

/* Once the path is chosen: what budget_settle would decide, refusing nothing for a lack of memory. */
enum hokku_code budget_need(struct cuda *c, const struct compute_params *p, struct compute_need *out,
			    struct hokku_error *err);

/* Once the path is chosen. Refuses what does not fit, and decides how many KV blocks there will be. */
enum hokku_code budget_settle(struct cuda *c, const struct compute_params *p, struct hokku_error *err);

/* Device memory for the weights, as the path lays them out. INSUFFICIENT_VRAM, DEVICE_ERROR. */
enum hokku_code budget_take_weights(struct cuda *c, struct ledger *ledger, struct hokku_error *err);
/* KV memory and scratch. */
enum hokku_code budget_take_rest(struct cuda *c, struct ledger *ledger, struct hokku_error *err);

/* The driver's own figures, to c->memory. */
enum hokku_code budget_ask_driver(struct cuda *c, struct hokku_error *err);

/* To the ledger, when all else is there: what the driver holds beyond our own allocations (kernels and their
 * stacks, stream, and the grain of its allocator). */
enum hokku_code budget_count_runtime(struct cuda *c, struct hokku_error *err);

#endif
