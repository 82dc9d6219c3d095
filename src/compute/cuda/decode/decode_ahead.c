/*
 * Decoding ahead of the host. After a greedy step of one sequence the kernel knows the next step's token and
 * position; so that step is begun at once, with the token fed back on the device, and the host finds its
 * result under way when it asks. If it asks for anything else, what was begun is thrown away: its one key and
 * value lie beyond the sequence's end, in a block that it has, and whoever gets the block later writes it
 * later on the same stream.
 */
#include "compute/cuda/decode/decode_ahead.h"

#include <stdlib.h>
#include <string.h>

static uint32_t blocks_to(uint32_t pos)
{
	return pos / CUDA_KV_BLOCK + 1;
}

enum hokku_code decode_ahead_create(const struct cuda *c, struct decode_ahead *a, struct hokku_error *err)
{
	a->table = calloc(blocks_to(c->n_ctx), sizeof *a->table);
	if (!a->table)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the decode kernel's tables");
	CUDA_TRY(&c->device, err, cudaMallocHost((void **)&a->drawn, 2 * sizeof *a->drawn));
	for (int i = 0; i < 3; i++)
		CUDA_TRY(&c->device, err, cudaEventCreateWithFlags(&a->done[i], cudaEventDisableTiming));
	return HOKKU_OK;
}

void decode_ahead_destroy(struct decode_ahead *a)
{
	for (int i = 0; i < 3; i++)
		if (a->done[i])
			cudaEventDestroy(a->done[i]);
	if (a->drawn)
		cudaFreeHost(a->drawn);
	free(a->table);
	*a = (struct decode_ahead){0};
}

/* Begins the step after position pos, unless it needs a block that the sequence may not have. */
static enum hokku_code begin_next(struct cuda *c, struct decode_handle *d, struct decode_ahead *a,
				  uint32_t pos, struct hokku_error *err)
{
	if ((pos + 1) % CUDA_KV_BLOCK == 0 || pos + 1 >= c->n_ctx)
		return HOKKU_OK;
	d->args.pos = pos + 1;
	d->args.fed = d->args.feed;
	enum hokku_code rc = decode_launch(c, d, err);
	if (rc)
		return rc;
	a->slot ^= 1;
	a->pos = pos + 1;
	CUDA_TRY(&c->device, err,
		 cudaMemcpyAsync(&a->drawn[a->slot], c->drawn, sizeof *a->drawn, cudaMemcpyDeviceToHost,
				 c->stream));
	CUDA_TRY(&c->device, err, cudaEventRecord(a->done[a->slot], c->stream));
	a->pending = true;
	return HOKKU_OK;
}

enum hokku_code decode_foresee(struct cuda *c, struct decode_handle *d, struct decode_ahead *a,
			       struct hokku_error *err)
{
	const struct cuda_token *token = &c->input.tokens[0];
	enum hokku_code rc = HOKKU_OK;
	if (c->input.n_tokens != 1 || !d->args.greedy || c->input.logits) {
		CUDA_TRY(&c->device, err, cudaStreamSynchronize(c->stream));
		return HOKKU_OK;
	}
	memcpy(a->table, c->input.words + token->table, blocks_to(token->pos) * sizeof *a->table);
	CUDA_TRY(&c->device, err, cudaEventRecord(a->done[2], c->stream));
	rc = begin_next(c, d, a, token->pos, err);
	if (rc)
		return rc;
	CUDA_TRY(&c->device, err, cudaEventSynchronize(a->done[2]));
	a->token = c->drawn_host[0].token;
	return HOKKU_OK;
}

/* Is this step the one that is under way? */
static bool is_pending(const struct cuda *c, const struct decode_ahead *a)
{
	const struct cuda_input *in = &c->input;
	const struct cuda_token *token = &in->tokens[0];
	return a->pending && in->n_tokens == 1 && !in->logits && in->n_draws == 1 &&
	       decode_is_greedy(&in->draws[0]) && token->pos == a->pos && token->id == a->token &&
	       memcmp(a->table, in->words + token->table, blocks_to(a->pos) * sizeof *a->table) == 0;
}

enum hokku_code decode_foreseen(struct cuda *c, struct decode_handle *d, struct decode_ahead *a, bool *is,
				struct hokku_error *err)
{
	*is = is_pending(c, a);
	uint32_t slot = a->slot;
	a->pending = false;
	if (!*is)
		return HOKKU_OK;
	enum hokku_code rc = begin_next(c, d, a, a->pos, err);
	if (rc)
		return rc;
	CUDA_TRY(&c->device, err, cudaEventSynchronize(a->done[slot]));
	c->drawn_host[0] = a->drawn[slot];
	a->token = a->drawn[slot].token;
	return HOKKU_OK;
}
