/* Bytes as a schedule (unit/engine/schedule.h): whatever comes, ends, fails and is cancelled in whatever
 * order, each request has the tokens and log-probabilities of its lone run, and blocks are held by those who
 * name them. */
#include "engine/schedule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct schedule_world w;
	if (!w.compute)
		schedule_open(&w, "cpu");
	if (size > 0)
		schedule_run(&w, &(struct dice){.bytes = data, .n = size});
	return 0;
}
