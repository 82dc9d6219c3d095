/* KV blocks as bytes: a block's part of each layer of its group, layer by layer, as the path lays it out.
 * Copies go through the handle's stream, so that they come after all steps that were begun before. */
#include <stdio.h>

#include "compute/cuda/cuda.h"

static bool is_of(const struct cuda *c, uint32_t layer, uint32_t group)
{
	return c->model->layers[layer].spec->kv_group == group;
}

uint64_t cuda_kv_bytes(const void *self, uint32_t group)
{
	const struct cuda *c = self;
	uint64_t n = 0;
	for (uint32_t l = 0; l < c->model->hp.n_layers; l++)
		n += is_of(c, l, group) ? c->path->kv_block_bytes(c) : 0;
	return n;
}

static enum hokku_code copy(struct cuda *c, uint32_t group, uint32_t block, uint8_t *to, const uint8_t *from,
			    struct hokku_error *err)
{
	uint64_t bytes = c->path->kv_block_bytes(c), at = 0;
	CUDA_TRY(&c->device, err, cudaSetDevice(c->device.index));
	for (uint32_t l = 0; l < c->model->hp.n_layers; l++) {
		uint8_t *there = cuda_kv(c, l) + block * bytes;
		if (!is_of(c, l, group))
			continue;
		if (to)
			CUDA_TRY(&c->device, err,
				 cudaMemcpyAsync(to + at, there, bytes, cudaMemcpyDeviceToHost, c->stream));
		else
			CUDA_TRY(&c->device, err,
				 cudaMemcpyAsync(there, from + at, bytes, cudaMemcpyHostToDevice, c->stream));
		at += bytes;
	}
	CUDA_TRY(&c->device, err, cudaStreamSynchronize(c->stream));
	return HOKKU_OK;
}

static enum hokku_code copy_or_fail(struct cuda *c, uint32_t group, uint32_t block, uint8_t *to,
				    const uint8_t *from, struct hokku_error *err)
{
	if (!c->failed)
		c->failed = copy(c, group, block, to, from, &c->failure) != HOKKU_OK;
	return c->failed ? err_set(err, HOKKU_DEVICE_ERROR, "%s", c->failure.message) : HOKKU_OK;
}

enum hokku_code cuda_kv_read(void *self, uint32_t group, uint32_t block, void *to, struct hokku_error *err)
{
	return copy_or_fail(self, group, block, to, NULL, err);
}

enum hokku_code cuda_kv_write(void *self, uint32_t group, uint32_t block, const void *from,
			      struct hokku_error *err)
{
	return copy_or_fail(self, group, block, NULL, from, err);
}

void cuda_kv_describe(const void *self, struct compute_kv_kind *out)
{
	const struct cuda *c = self;
	const struct hparams *hp = &c->model->hp;
	build_id(out->build);
	snprintf(out->device, sizeof out->device, "cuda, compute capability %d.%d, %s path",
		 c->device.cc / 10, c->device.cc % 10, c->path->name);
	snprintf(out->layout, sizeof out->layout, "keys %s, values %s, %u layers, %u heads of %u numbers",
		 cache_type_name(c->cache.k), cache_type_name(c->cache.v), hp->n_layers, hp->n_kv_heads,
		 hp->head_dim);
}
