/* The row of the tile path: steps of one token, or of one of each of a few sequences, go to the decode
 * kernel, where it takes the model, all others to tile/.
 */
#ifndef COMPUTE_CUDA_DECODE_PATH_H
#define COMPUTE_CUDA_DECODE_PATH_H

#include "compute/cuda/decode/decode.h"

/* The handle of a model that the tile path stretches; NULL: it has no decode kernel. For tests too. */
struct decode_handle *decode_of(const struct cuda *c);
/* The same of several sequences. */
struct decode_handle *decode_few_of(const struct cuda *c);

#endif
