#include "compute/cuda/late.h"

#include <stdlib.h>
#include <string.h>

void late_take(struct cuda *c, struct cuda_taker *t)
{
	struct cuda_late *l = c->late;
	uint64_t n = (uint64_t)l->n_max * COMPUTE_MAX_AHEAD, n_vocab = c->model->hp.n_vocab;
	if (!n)
		return;
	l->logits = cuda_take(t, LEDGER_SCRATCH, n, c->vocab_pitch * sizeof *l->logits, "scratch");
	l->x = cuda_take(t, LEDGER_SCRATCH, n, n_vocab * sizeof *l->x, "scratch");
	l->counts = cuda_take(t, LEDGER_SCRATCH, n, n_vocab * sizeof *l->counts, "scratch");
	l->drawn = cuda_take(t, LEDGER_SCRATCH, n, sizeof *l->drawn, "scratch");
}

enum hokku_code late_prepare(struct cuda *c, struct hokku_error *err)
{
	struct cuda_late *l = c->late;
	uint64_t n = (uint64_t)l->n_max * COMPUTE_MAX_AHEAD;
	if (!n)
		return HOKKU_OK;
	CUDA_TRY(&c->device, err, cudaStreamCreateWithFlags(&l->stream, cudaStreamNonBlocking));
	CUDA_TRY(&c->device, err, cudaMallocHost((void **)&l->drawn_host, n * sizeof *l->drawn_host));
	for (uint32_t k = 0; k < COMPUTE_MAX_AHEAD; k++) {
		CUDA_TRY(&c->device, err, cudaEventCreateWithFlags(&l->sent[k], cudaEventDisableTiming));
		CUDA_TRY(&c->device, err, cudaEventCreateWithFlags(&l->ready[k], cudaEventDisableTiming));
		l->draws[k] = calloc(l->n_max, sizeof **l->draws);
		if (!l->draws[k])
			return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the device cuda");
	}
	CUDA_TRY(&c->device, err,
		 cudaMemsetAsync(l->counts, 0, n * c->model->hp.n_vocab * sizeof *l->counts, l->stream));
	return HOKKU_OK;
}

void late_close(struct cuda *c)
{
	struct cuda_late *l = c->late;
	if (!l)
		return;
	if (l->stream) {
		cudaStreamSynchronize(l->stream);
		cudaStreamDestroy(l->stream);
	}
	cudaFreeHost(l->drawn_host);
	for (uint32_t k = 0; k < COMPUTE_MAX_AHEAD; k++) {
		if (l->sent[k])
			cudaEventDestroy(l->sent[k]);
		if (l->ready[k])
			cudaEventDestroy(l->ready[k]);
		free(l->draws[k]);
	}
	free(l);
}

uint32_t late_add(struct cuda *c, uint32_t k, uint32_t s, uint32_t draw, uint32_t mask)
{
	struct cuda_late *l = c->late;
	const struct cuda_input *in = &c->input;
	l->draws[k][l->n[k]] = (struct late_draw){
		.seq = s,
		.draw = draw,
		.draws_at = in->draws_at,
		.words_at = in->words_at,
		.mask_at = in->words_at + mask * sizeof(uint32_t),
	};
	return l->n[k]++;
}

enum hokku_code late_set_aside(struct cuda *c, uint32_t number, uint32_t row, struct hokku_error *err)
{
	CUDA_TRY(&c->device, err,
		 cudaMemcpyAsync(c->late->logits + (uint64_t)number * c->vocab_pitch,
				 c->logits + (uint64_t)row * c->vocab_pitch,
				 c->model->hp.n_vocab * sizeof(float), cudaMemcpyDeviceToDevice, c->stream));
	return HOKKU_OK;
}

enum hokku_code late_sent(struct cuda *c, uint32_t k, struct hokku_error *err)
{
	if (c->late->n[k])
		CUDA_TRY(&c->device, err, cudaEventRecord(c->late->sent[k], c->stream));
	return HOKKU_OK;
}

enum hokku_code late_queued(struct cuda *c, uint32_t k, struct hokku_error *err)
{
	if (c->late->n[k])
		CUDA_TRY(&c->device, err, cudaEventRecord(c->late->ready[k], c->stream));
	return HOKKU_OK;
}

static bool any_has_come(const struct cuda_late *l, uint32_t k)
{
	for (uint32_t i = 0; i < l->n[k]; i++)
		if (l->draws[k][i].come)
			return true;
	return false;
}

enum hokku_code late_draw(struct cuda *c, uint32_t k, struct hokku_error *err)
{
	struct cuda_late *l = c->late;
	if (!any_has_come(l, k))
		return HOKKU_OK;
	const struct late_draw *d = &l->draws[k][0];
	uint8_t *input = c->input.devices[k];
	uint64_t n_vocab = c->model->hp.n_vocab, first = (uint64_t)k * l->n_max;
	const struct sample_args a = {
		.logits = l->logits,
		.draws = (const struct cuda_draw *)(const void *)(input + d->draws_at),
		.words = (const uint32_t *)(const void *)(input + d->words_at),
		.tokens = (const struct cuda_token *)(const void *)input,
		.kept = c->kept,
		.results = l->drawn,
		.x = l->x,
		.counts = l->counts,
		.n = l->draws[k][l->n[k] - 1].draw + 1,
		.n_vocab = (uint32_t)n_vocab,
		.pitch = c->vocab_pitch,
		.kept_pitch = c->n_ctx + 1,
		.late = 1,
		.teams_from = c->device.cc >= 90 ? SAMPLE_TEAMS_FROM : 0,
	};
	CUDA_TRY(&c->device, err, cudaStreamWaitEvent(l->stream, l->ready[k], 0));
	CUDA_TRY(&c->device, err, cuda_sample(&a, l->stream));
	CUDA_TRY(&c->device, err,
		 cudaMemcpyAsync(l->drawn_host + first, l->drawn + first, l->n[k] * sizeof *l->drawn,
				 cudaMemcpyDeviceToHost, l->stream));
	return HOKKU_OK;
}

enum hokku_code late_mask(struct cuda *c, uint32_t k, uint32_t s, const uint32_t *mask,
			  struct hokku_error *err)
{
	struct cuda_late *l = c->late;
	uint32_t which = 0;
	while (which < l->n[k] && l->draws[k][which].seq != s)
		which++;
	if (which == l->n[k])
		return err_set(err, HOKKU_INTERNAL, "no mask of sequence %u is open", s);
	uint64_t bytes = ((uint64_t)c->model->hp.n_vocab + 31) / 32 * sizeof *mask,
		 at = l->draws[k][which].mask_at;
	memcpy(c->input.hosts[k] + at, mask, bytes);
	CUDA_TRY(&c->device, err, cudaSetDevice(c->device.index));
	CUDA_TRY(&c->device, err, cudaStreamWaitEvent(l->stream, l->sent[k], 0));
	CUDA_TRY(&c->device, err,
		 cudaMemcpyAsync(c->input.devices[k] + at, c->input.hosts[k] + at, bytes,
				 cudaMemcpyHostToDevice, l->stream));
	l->draws[k][which].come = true;
	return HOKKU_OK;
}

enum hokku_code late_collect(struct cuda *c, uint32_t k, struct compute_seq *seqs, struct hokku_error *err)
{
	struct cuda_late *l = c->late;
	if (!any_has_come(l, k))
		return HOKKU_OK;
	CUDA_TRY(&c->device, err, cudaStreamSynchronize(l->stream));
	for (uint32_t i = 0; i < l->n[k]; i++) {
		if (!l->draws[k][i].come)
			continue;
		struct compute_seq *seq = &seqs[l->draws[k][i].seq];
		seq->token = l->drawn_host[(uint64_t)k * l->n_max + i].token;
		seq->logprob = l->drawn_host[(uint64_t)k * l->n_max + i].logprob;
	}
	return HOKKU_OK;
}
