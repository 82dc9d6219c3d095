/* gpu_schedules DEVICE N: N random schedules of the engine's scheduler (tests/unit/engine/schedule.h) over a
 * tiny model on a device, each request's tokens and log-probabilities being those of its lone run there. A
 * difference ends it with what differs. */
#include <stdio.h>
#include <stdlib.h>

#include "engine/schedule.h"

int main(int argc, char **argv)
{
	static struct schedule_world w;
	unsigned long n = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	if (n == 0) {
		fprintf(stderr, "usage: gpu_schedules DEVICE N\n");
		return 2;
	}
	schedule_open(&w, argv[1]);
	for (unsigned long seed = 0; seed < n; seed++)
		schedule_run(&w, &(struct dice){.seed = seed});
	printf("PASS %s: %lu schedules, %llu steps of %llu sequences, %llu requests with the bits of their lone runs, "
	       "%llu computed again, %llu blocks found\n",
	       compute_device(w.compute), n, (unsigned long long)w.sum.steps,
	       (unsigned long long)w.sum.step_sequences, (unsigned long long)w.n_ended,
	       (unsigned long long)w.sum.preempted, (unsigned long long)w.sum.cache_hits);
	schedule_close(&w);
	return 0;
}
