/* One request, and the device between two steps. On the engine's thread. */
#ifndef ENGINE_GENERATE_H
#define ENGINE_GENERATE_H

#include "engine/queue.h"

/* Runs one job to its end and sends all its events. DEVICE_ERROR when the device cannot go on; then err says
 * why (and the job has had its error). */
enum hokku_code engine_generate(struct engine *e, struct job *job, struct hokku_error *err);

/* Checks the device's memory where that is due: DEVICE_ERROR if the device cannot go on. Called between steps
 * and while idle. */
enum hokku_code engine_check(struct engine *e, struct hokku_error *err);

#endif
