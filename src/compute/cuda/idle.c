#include "compute/cuda/idle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum hokku_code idle_prepare(struct cuda *c, struct hokku_error *err)
{
	if (!getenv("HOKKU_CUDA_IDLE"))
		return HOKKU_OK;
	c->idle = calloc(1, sizeof *c->idle);
	if (!c->idle)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the device cuda");
	for (uint32_t k = 0; k < IDLE_RING; k++) {
		CUDA_TRY(&c->device, err, cudaEventCreateWithFlags(&c->idle->begun[k], 0));
		CUDA_TRY(&c->device, err, cudaEventCreateWithFlags(&c->idle->done[k], 0));
	}
	return HOKKU_OK;
}

enum hokku_code idle_begin(struct cuda *c, struct hokku_error *err)
{
	if (c->idle)
		CUDA_TRY(&c->device, err,
			 cudaEventRecord(c->idle->begun[c->n_submitted % IDLE_RING], c->stream));
	return HOKKU_OK;
}

enum hokku_code idle_end(struct cuda *c, struct hokku_error *err)
{
	if (c->idle)
		CUDA_TRY(&c->device, err,
			 cudaEventRecord(c->idle->done[c->n_submitted % IDLE_RING], c->stream));
	return HOKKU_OK;
}

enum hokku_code idle_collect(struct cuda *c, struct hokku_error *err)
{
	struct cuda_idle *idle = c->idle;
	uint32_t now = c->n_collected % IDLE_RING, before = (c->n_collected + IDLE_RING - 1) % IDLE_RING;
	float busy_ms, gap_ms = 0;
	if (!idle)
		return HOKKU_OK;
	CUDA_TRY(&c->device, err, cudaEventSynchronize(idle->done[now]));
	CUDA_TRY(&c->device, err, cudaEventElapsedTime(&busy_ms, idle->begun[now], idle->done[now]));
	if (idle->n_steps++)
		CUDA_TRY(&c->device, err,
			 cudaEventElapsedTime(&gap_ms, idle->done[before], idle->begun[now]));
	idle->busy_ms += busy_ms;
	if (gap_ms < IDLE_MOST_MS)
		idle->idle_ms += gap_ms;
	return HOKKU_OK;
}

void idle_close(struct cuda *c)
{
	struct cuda_idle *idle = c->idle;
	if (!idle)
		return;
	double all_ms = idle->busy_ms + idle->idle_ms;
	fprintf(stderr, "cuda:%d: %" PRIu64 " steps, %.1f ms of work, %.1f ms between them: %.2f%% idle\n",
		c->device.index, idle->n_steps, idle->busy_ms, idle->idle_ms,
		all_ms > 0 ? 100 * idle->idle_ms / all_ms : 0);
	for (uint32_t k = 0; k < IDLE_RING; k++) {
		if (idle->begun[k])
			cudaEventDestroy(idle->begun[k]);
		if (idle->done[k])
			cudaEventDestroy(idle->done[k]);
	}
	free(idle);
}
