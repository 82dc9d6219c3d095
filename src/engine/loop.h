/* The engine's thread once the model is loaded: schedule, compute, deliver, over and over. */
#ifndef ENGINE_LOOP_H
#define ENGINE_LOOP_H

#include "engine/queue.h"

/* Until the engine is stopped (HOKKU_OK); or the device cannot go on: DEVICE_ERROR, err saying why. Requests
 * that are there then have not been told. */
enum hokku_code engine_loop(struct engine *e, struct hokku_error *err);

#endif
