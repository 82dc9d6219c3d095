/* gpu_schedules DEVICE N: N random schedules of the engine's scheduler (tests/unit/engine/schedule.h) over a
 * tiny model on a device, and a quarter as many over each of those with windows; each request's tokens and
 * log-probabilities are those of its lone run there. A difference ends it with what differs. */
#include <stdio.h>
#include <stdlib.h>

#include "engine/schedule.h"

static void run(enum schedule_model which, const char *device, unsigned long n)
{
	if (n == 0)
		return;
	struct schedule_world *w = calloc(1, sizeof *w);
	if (!w)
		exit(1);
	schedule_open(w, which, device);
	for (unsigned long seed = 0; seed < n; seed++)
		schedule_run(w, &(struct dice){.seed = seed});
	printf("PASS %s: %s: %lu schedules, %llu steps of %llu sequences, %llu requests with the bits of "
	       "their lone runs, %llu computed again, %llu blocks found\n",
	       compute_device(w->compute), schedule_shapes[which].name, n, (unsigned long long)w->sum.steps,
	       (unsigned long long)w->sum.step_sequences, (unsigned long long)w->n_ended,
	       (unsigned long long)w->sum.preempted, (unsigned long long)w->sum.cache_hits);
	schedule_close(w);
	free(w);
}

int main(int argc, char **argv)
{
	unsigned long n = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	if (n == 0) {
		fprintf(stderr, "usage: gpu_schedules DEVICE N\n");
		return 2;
	}
	for (int which = 0; which < SCHEDULE_N_MODELS; which++)
		run(which, argv[1], which == SCHEDULE_PLAIN ? n : n / 4);
	return 0;
}
