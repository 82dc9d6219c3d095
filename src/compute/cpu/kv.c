/* KV blocks as bytes: a block's part of each layer of its group, layer by layer, as it lies in memory. */
#include <stdio.h>
#include <string.h>

#include "compute/cpu/cpu.h"

static bool is_of(const struct cpu *c, uint32_t layer, uint32_t group)
{
	return c->model->layers[layer].spec->kv_group == group;
}

static uint8_t *block_at(const struct cpu *c, uint32_t layer, uint32_t block)
{
	return c->layers[layer].kv + block * c->kv_block_bytes;
}

uint64_t cpu_kv_bytes(const void *self, uint32_t group)
{
	const struct cpu *c = self;
	uint64_t n = 0;
	for (uint32_t l = 0; l < c->model->hp.n_layers; l++)
		n += is_of(c, l, group) ? c->kv_block_bytes : 0;
	return n;
}

enum hokku_code cpu_kv_read(void *self, uint32_t group, uint32_t block, void *to, struct hokku_error *err)
{
	const struct cpu *c = self;
	uint8_t *at = to;
	(void)err;
	for (uint32_t l = 0; l < c->model->hp.n_layers; l++)
		if (is_of(c, l, group)) {
			memcpy(at, block_at(c, l, block), c->kv_block_bytes);
			at += c->kv_block_bytes;
		}
	return HOKKU_OK;
}

enum hokku_code cpu_kv_write(void *self, uint32_t group, uint32_t block, const void *from,
			     struct hokku_error *err)
{
	const struct cpu *c = self;
	const uint8_t *at = from;
	(void)err;
	for (uint32_t l = 0; l < c->model->hp.n_layers; l++)
		if (is_of(c, l, group)) {
			memcpy(block_at(c, l, block), at, c->kv_block_bytes);
			at += c->kv_block_bytes;
		}
	return HOKKU_OK;
}

/* Bits do not depend on threads and instruction sets. */
void cpu_kv_describe(const void *self, struct compute_kv_kind *out)
{
	const struct cpu *c = self;
	const struct hparams *hp = &c->model->hp;
	build_id(out->build);
	snprintf(out->device, sizeof out->device, "cpu");
	snprintf(out->layout, sizeof out->layout,
		 "keys %s by columns, values %s in rows %u wide, %u layers, %u heads of %u numbers",
		 cache_type_name(c->memory.cache.k), cache_type_name(c->memory.cache.v), c->head_stride,
		 hp->n_layers, hp->n_kv_heads, hp->head_dim);
}
