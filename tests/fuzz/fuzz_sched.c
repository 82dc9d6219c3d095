/* Bytes as a schedule (unit/engine/schedule.h): whatever comes, ends, fails and is cancelled in whatever
 * order, each request has the tokens and log-probabilities of its lone run, and blocks are held by those who
 * name them. */
#include "engine/schedule.h"

static struct schedule_world w;

static void close_world(void)
{
	schedule_close(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!w.compute) {
		schedule_open(&w, "cpu");
		atexit(close_world); /* what only mapped memory points to would seem to have leaked */
	}
	if (size > 0)
		schedule_run(&w, &(struct dice){.bytes = data, .n = size});
	return 0;
}
