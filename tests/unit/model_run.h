/* Runs tokens through a device in tests: open a file, ask for logits at every position, decode greedily. */
#ifndef TEST_MODEL_RUN_H
#define TEST_MODEL_RUN_H

#include "compute/compute.h"
#include "golden.h"

struct run {
	struct gguf *file;
	struct model model;
	struct compute *compute;
	uint32_t *blocks; /* (n_blocks) a table that is neither sorted nor gapless */
	uint32_t n_blocks, n_ctx;
};

GOLDEN_INLINE void run_close(struct run *r)
{
	compute_close(r->compute);
	model_unbind(&r->model);
	gguf_close(r->file);
	free(r->blocks);
	*r = (struct run){0};
}

/* Is what was told before (compute_need) what is taken? Of a device that tells. */
GOLDEN_INLINE bool run_need_is_taken(const struct run *r, const struct compute_params *params)
{
	struct compute_memory took;
	struct compute_need need;
	struct hokku_error err;
	compute_get_memory(r->compute, &took);
	if (compute_need(params, &need, &err))
		return strcmp(params->device, "cpu") != 0;
	return need.fits && strcmp(need.device, compute_device(r->compute)) == 0 &&
	       need.memory.weight_bytes == took.weight_bytes && need.memory.kv_bytes == took.kv_bytes &&
	       need.memory.scratch_bytes == took.scratch_bytes &&
	       need.memory.n_kv_blocks == took.n_kv_blocks && need.memory.cache.k == took.cache.k &&
	       need.memory.cache.v == took.cache.v &&
	       need.kv_block_bytes * took.n_kv_blocks / 64 == took.kv_bytes / 64;
}

/* False, and why on stderr, if the device does not open. change: NULL, or what is done to the bound model and
 * the parameters before. */
GOLDEN_INLINE bool run_open_as(struct run *r, const char *path, const char *device, uint32_t n_ctx,
			       uint32_t n_seqs, uint32_t n_threads,
			       void (*change)(struct model *m, struct compute_params *p))
{
	struct hokku_error err = {0};
	*r = (struct run){.n_ctx = n_ctx, .n_blocks = (n_ctx + COMPUTE_KV_BLOCK - 1) / COMPUTE_KV_BLOCK};
	enum hokku_code rc = gguf_open_file(path, &r->file, &err);
	if (!rc)
		rc = model_bind(&r->model, r->file, &err);
	if (!rc) {
		model_set_context(&r->model, n_ctx);
		struct compute_params params = {
			.model = &r->model,
			.device = device,
			.n_threads = n_threads,
			.n_ctx = n_ctx,
			.n_seqs = n_seqs,
			.n_kv_blocks = 3 * r->n_blocks * n_seqs + 1,
			.n_batch = COMPUTE_MAX_BATCH,
			.all_logits = true,
		};
		if (change)
			change(&r->model, &params);
		rc = compute_open(&params, &r->compute, &err);
		if (!rc && !run_need_is_taken(r, &params))
			rc = err_set(&err, HOKKU_INTERNAL, "it takes other than compute_need told");
	}
	if (rc) {
		fprintf(stderr, "%s on %s: %s\n", path, device, err.message);
		run_close(r);
		return false;
	}
	r->blocks = calloc((size_t)r->n_blocks * n_seqs, sizeof *r->blocks);
	for (uint32_t i = 0; i < r->n_blocks * n_seqs; i++)
		r->blocks[i] = 3 * (r->n_blocks * n_seqs - i);
	return true;
}

GOLDEN_INLINE bool run_open(struct run *r, const char *path, const char *device, uint32_t n_ctx,
			    uint32_t n_seqs, uint32_t n_threads)
{
	return run_open_as(r, path, device, n_ctx, n_seqs, n_threads, NULL);
}

/* The block table of sequence s. */
GOLDEN_INLINE const uint32_t *run_blocks(const struct run *r, uint32_t s)
{
	return r->blocks + (size_t)s * r->n_blocks;
}

/* Logits of all n tokens (n, n_vocab), in steps of `chunk` tokens, as sequence s. False if a step fails. */
GOLDEN_INLINE bool run_logits(struct run *r, uint32_t s, const int32_t *ids, uint32_t n, uint32_t chunk,
			      float *out)
{
	struct hokku_error err = {0};
	for (uint32_t pos = 0; pos < n; pos += chunk) {
		struct compute_seq seq = {
			.tokens = ids + pos,
			.n_tokens = n - pos < chunk ? n - pos : chunk,
			.pos = pos,
			.blocks = run_blocks(r, s),
			.logits = out + (size_t)pos * r->model.hp.n_vocab,
			.all_logits = true,
		};
		if (compute_step(r->compute, &seq, 1, &err)) {
			fprintf(stderr, "step at %u: %s\n", pos, err.message);
			return false;
		}
	}
	return true;
}

/* The n_new most likely tokens after the prompt, drawn by the device itself. */
GOLDEN_INLINE bool run_greedy(struct run *r, const int32_t *prompt, uint32_t n_prompt, int32_t *out,
			      uint32_t n_new)
{
	const struct sampling greedy = {.temperature = 0, .top_p = 1, .repetition_penalty = 1};
	struct hokku_error err = {0};
	for (uint32_t i = 0; i < n_new; i++) {
		struct compute_seq seq = {
			.tokens = i ? &out[i - 1] : prompt,
			.n_tokens = i ? 1 : n_prompt,
			.pos = i ? n_prompt + i - 1 : 0,
			.blocks = run_blocks(r, 0),
			.sampling = &greedy,
		};
		if (compute_step(r->compute, &seq, 1, &err)) {
			fprintf(stderr, "step %u: %s\n", i, err.message);
			return false;
		}
		out[i] = seq.token;
	}
	return true;
}

#endif
