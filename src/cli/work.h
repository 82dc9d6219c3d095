/* What computing with a model is, in bytes that are read and operations: what speeds are held against. */
#ifndef CLI_WORK_H
#define CLI_WORK_H

#include "model/model.h"

/* Bytes of weights that one step reads. device: as compute_device says; weight_bytes: that it has. */
double work_step_bytes(const struct model *m, const char *device, uint64_t weight_bytes);

/* Positions that n tokens from `from` on look at in all layers, each at its own and those before. */
double work_positions_seen(const struct model *m, double from, double n);

/* Operations, two a multiply-add: of a token in the layers' matrices; in the output's; of all heads' look at
 * one position. */
double work_layer_ops(const struct model *m);
double work_output_ops(const struct model *m);
double work_look_ops(const struct model *m);

/* Are most matrices quantised, so that a CPU multiplies bytes? */
bool work_is_of_bytes(const struct model *m);

#endif
