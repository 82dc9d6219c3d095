/*
 * Threads beside the engine's: what must be there soon (masks of tokens) goes to brisk ones, what may take
 * long (compiling a shape) to patient ones, which have a lower share of the processor, so that no stream
 * feels them. They are started when they are first asked for.
 */
#ifndef ENGINE_CREW_H
#define ENGINE_CREW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Something to be done; its maker keeps the memory until it was run or removed. */
struct crew_task {
	void (*run)(struct crew_task *task);
	uint32_t owner; /* whose it is: owners take turns with the patient threads */
	bool patient;
	bool queued; /* the crew's */
	struct crew_task *next;
};

struct crew;

/* At least one of each. NULL: no memory. */
struct crew *crew_create(uint32_t n_brisk, uint32_t n_patient, uint32_t n_owners);

/* Runs what is queued, then joins the threads. NULL is allowed. */
void crew_destroy(struct crew *c);

/* Starts the threads, unless they run. INTERNAL: there is none to be had. */
enum hokku_code crew_start(struct crew *c, struct hokku_error *err);

/* After crew_start. helped: the caller is about to call crew_help, so that no thread need wake for one brisk
 * task. */
void crew_submit(struct crew *c, struct crew_task *task, bool helped);

/* Runs one brisk task on the caller's thread; false: none is queued. */
bool crew_help(struct crew *c);

/* Takes a task back; false: it is being run, or was. */
bool crew_remove(struct crew *c, struct crew_task *task);

#endif
