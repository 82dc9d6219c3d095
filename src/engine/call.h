/*
 * What other threads have the engine's thread do for them between two steps: it alone touches KV blocks and
 * the device. A call must be short (a few milliseconds), as every stream waits for it.
 */
#ifndef ENGINE_CALL_H
#define ENGINE_CALL_H

#include "engine/engine.h"

struct engine_call {
	void (*run)(struct engine *e, void *arg);
	void *arg;
	struct engine_call *next;
	bool over;            /* it was run, or never will be: */
	enum hokku_code code; /* why not */
};

/* Has run(e, arg) done on the engine's thread and waits for it. Not from that thread. NOT_READY,
 * SHUTTING_DOWN, or as the engine failed: then it was not done. */
enum hokku_code engine_call(struct engine *e, void (*run)(struct engine *e, void *arg), void *arg,
			    struct hokku_error *err);

/* On the engine's thread, which does not hold the lock: runs those that wait. */
void call_run_all(struct engine *e);
void call_refuse_all(struct engine *e, enum hokku_code code); /* the same, once the thread takes no more */

#endif
