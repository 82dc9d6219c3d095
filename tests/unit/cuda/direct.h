/* A model on the emulated device, reached through the backend's own functions: what compute.c puts before
 * them (the checks of a step) has tests of its own. */
#ifndef TEST_CUDA_DIRECT_H
#define TEST_CUDA_DIRECT_H

#include "compute/cuda/cuda.h"
#include "device_memory.h"
#include "tiny_model.h"

struct direct {
	struct gguf *file;
	struct model model;
	struct compute_params params;
	void *self;
	uint32_t *blocks; /* (n_seqs, n_blocks) a table that is neither sorted nor gapless */
	uint32_t n_blocks;
};

/* On the emulator models are opened without the two steps that an opening runs: a quarter of what programs
 * took that open many. test_cuda_device, test_cuda_door and warm_up of test_cuda_model open them with those.
 */
GOLDEN_INLINE void without_warm_up(void)
{
	if (!full_sizes())
		setenv("HOKKU_CUDA_WARM_UP", "off", 1);
}

/* n_batch 0: 512. `shift` chooses other KV blocks. change: NULL, or what is done to the bound model and the
 * parameters before. */
GOLDEN_INLINE enum hokku_code direct_open_as(struct direct *d, const char *path, uint32_t n_ctx,
					     uint32_t n_seqs, uint32_t n_batch, uint32_t shift,
					     void (*change)(struct model *m, struct compute_params *p),
					     struct hokku_error *err)
{
	*d = (struct direct){.n_blocks = (n_ctx + COMPUTE_KV_BLOCK - 1) / COMPUTE_KV_BLOCK};
	enum hokku_code rc = gguf_open_file(path, &d->file, err);
	if (!rc)
		rc = model_bind(&d->model, d->file, err);
	assert_int_equal(rc, HOKKU_OK);
	model_set_context(&d->model, n_ctx);
	uint32_t n = d->n_blocks * n_seqs;
	d->params = (struct compute_params){
		.model = &d->model,
		.device = "cuda",
		.n_ctx = n_ctx,
		.n_seqs = n_seqs,
		.n_kv_blocks = 3 * n + 1 + shift,
		.n_batch = n_batch ? n_batch : 512,
		.all_logits = true,
	};
	d->blocks = calloc(n, sizeof *d->blocks);
	assert_non_null(d->blocks);
	for (uint32_t i = 0; i < n; i++)
		d->blocks[i] = 3 * (n - i) - (shift ? 3 * (n - i) * shift % 3 : 0) + shift;
	if (change)
		change(&d->model, &d->params);
	return compute_cuda.open(&d->params, &d->self, err);
}

GOLDEN_INLINE enum hokku_code direct_open(struct direct *d, const char *path, uint32_t n_ctx, uint32_t n_seqs,
					  uint32_t n_batch, uint32_t shift, struct hokku_error *err)
{
	return direct_open_as(d, path, n_ctx, n_seqs, n_batch, shift, NULL, err);
}

/* Is what was told before (compute_need) what the device then holds? Of KV memory that does not grow. */
GOLDEN_INLINE bool direct_need_is_taken(const struct direct *d)
{
	struct compute_memory took;
	struct compute_need need = {0};
	struct hokku_error err;
	compute_cuda.get_memory(d->self, &took);
	return compute_cuda.need(&d->params, &need, &err) == HOKKU_OK && need.fits &&
	       strcmp(need.device, compute_cuda.device(d->self)) == 0 &&
	       need.memory.weight_bytes == took.weight_bytes && need.memory.kv_bytes == took.kv_bytes &&
	       need.memory.scratch_bytes == took.scratch_bytes &&
	       need.memory.n_kv_blocks == took.n_kv_blocks && need.memory.cache.k == took.cache.k &&
	       need.memory.cache.v == took.cache.v && need.kv_block_bytes * took.n_kv_blocks == took.kv_bytes;
}

GOLDEN_INLINE void direct_close(struct direct *d)
{
	if (d->self)
		compute_cuda.close(d->self);
	model_unbind(&d->model);
	gguf_close(d->file);
	free(d->blocks);
	*d = (struct direct){0};
}

GOLDEN_INLINE const uint32_t *direct_blocks(const struct direct *d, uint32_t s)
{
	return d->blocks + (size_t)s * d->n_blocks;
}

/* A greedy step of one token of sequence s, which the decode kernel makes where it takes the model: the next.
 */
GOLDEN_INLINE enum hokku_code direct_greedy(struct direct *d, uint32_t s, int32_t *token, uint32_t pos,
					    float *logprob, struct hokku_error *err)
{
	static const struct sampling greedy = {.top_p = 1, .repetition_penalty = 1};
	struct compute_seq seq = {.tokens = token,
				  .n_tokens = 1,
				  .pos = pos,
				  .blocks = direct_blocks(d, s),
				  .sampling = &greedy};
	*err = (struct hokku_error){0};
	enum hokku_code rc = compute_cuda.step(d->self, &seq, 1, err);
	*token = seq.token;
	*logprob = seq.logprob;
	return rc;
}

/* How many tokens the step at pos of n has, in steps of `chunk`. On the emulator, of steps of one token those
 * alone where something begins or ends: the first three, those on both sides of a KV block's edge, the last
 * two. What lies between them, more of the same, is a step of several. */
GOLDEN_INLINE uint32_t direct_step(uint32_t pos, uint32_t n, uint32_t chunk)
{
	if (chunk == 1 && !full_sizes() && pos > 2 && pos + 2 < n) {
		uint32_t in_block = pos % COMPUTE_KV_BLOCK;
		if (in_block > 1 && in_block < COMPUTE_KV_BLOCK - 1)
			chunk = COMPUTE_KV_BLOCK - 1 - in_block;
		return chunk < n - 2 - pos ? chunk : n - 2 - pos;
	}
	return n - pos < chunk ? n - pos : chunk;
}

/* Logits of all n tokens, in steps of `chunk`, as sequence s. */
GOLDEN_INLINE void direct_logits(struct direct *d, uint32_t s, const int32_t *ids, uint32_t n, uint32_t chunk,
				 float *out)
{
	struct hokku_error err = {0};
	for (uint32_t pos = 0, step; pos < n; pos += step) {
		step = direct_step(pos, n, chunk);
		struct compute_seq seq = {
			.tokens = ids + pos,
			.n_tokens = step,
			.pos = pos,
			.blocks = direct_blocks(d, s),
			.logits = out + (size_t)pos * d->model.hp.n_vocab,
			.all_logits = true,
		};
		if (compute_cuda.step(d->self, &seq, 1, &err))
			fail_msg("step at %u: %s", pos, err.message);
	}
}

#endif
