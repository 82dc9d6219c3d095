/* A compiled shape, for the files that make it, walk it and fill its masks. */
#ifndef CONSTRAIN_SHAPE_H
#define CONSTRAIN_SHAPE_H

#include <pthread.h>

#include "constrain/machine.h"
#include "constrain/mask.h"
#include "constrain/vocab.h"

enum {
	/* Bytes of a forced text that are looked at at once. */
	FORCED_MAX_BYTES = 256,
};

struct constrain {
	pthread_mutex_t lock; /* of all below but what stays as it was compiled */
	uint32_t refs;        /* atomic */
	const struct constrain_vocab *vocab;
	struct constrain_limits limits;
	struct grammar *grammar;
	struct machine machine;
	struct masks masks;
	state_id start;
	uint64_t work; /* of compiling */
};

#endif
