/* Bytes as a schedule (unit/engine/schedule.h), the first of which says over which model: whatever comes,
 * ends, fails and is cancelled in whatever order, each request has the tokens and log-probabilities of its
 * lone run, and blocks are held by those who name them. */
#include "engine/schedule.h"

static struct schedule_world worlds[SCHEDULE_N_MODELS];
static bool closes;

static void close_worlds(void)
{
	for (int i = 0; i < SCHEDULE_N_MODELS; i++)
		if (worlds[i].compute)
			schedule_close(&worlds[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	enum schedule_model which = data[0] % SCHEDULE_N_MODELS;
	if (!worlds[which].compute)
		schedule_open(&worlds[which], which, "cpu");
	if (!closes)
		atexit(close_worlds); /* what only mapped memory points to would seem to have leaked */
	closes = true;
	schedule_run(&worlds[which], &(struct dice){.bytes = data + 1, .n = size - 1});
	return 0;
}
