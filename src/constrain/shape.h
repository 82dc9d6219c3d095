/* A compiled shape, for the files that make it, walk it and fill its masks. */
#ifndef CONSTRAIN_SHAPE_H
#define CONSTRAIN_SHAPE_H

#include <pthread.h>

#include "constrain/machine.h"
#include "constrain/mask.h"
#include "constrain/names.h"
#include "constrain/vocab.h"

enum {
	/* Bytes of a forced text that are looked at at once. */
	FORCED_MAX_BYTES = 256,
	/* Work that is really done for a question may be so many times what it may cost: never reached but
	 * by what does not count by states, the search whether anything can follow at all. */
	SHAPE_WORK_FACTOR = 64,
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
	uint64_t work;                   /* of compiling */
	uint32_t base_nodes, base_lists; /* of the pool, when the grammar was sealed */
	struct constrain_walk *walks;    /* all there are */
	bool broken;                     /* no memory even to forget: every walk is spent */
};

/* A sequence's way: a state, and the tokens of a forced text that are still to come. */
struct constrain_walk {
	struct constrain *shape;
	struct constrain_walk *next, **link; /* of the shape's walks */
	state_id state, before;              /* before: where the text that is being taken began */
	struct names names;                  /* where the shape's grammar is `distinct` */
	bool done, spent;
	bool looked; /* for a forced text, at this state */
	uint32_t at, n_forced;
	int32_t forced[FORCED_MAX_BYTES]; /* those from `at` on must come */
};

/*
 * After something failed: states and expressions that no walk stands in are forgotten. True: it is worth
 * another try (it was memory that was used up, not work).
 */
bool shape_forget(struct constrain *c);

/* A question begins: what it costs and does is counted from here. */
void shape_ask(struct constrain *c);

#endif
