/*
 * A tier under the thread sanitizer, which looks at each access of a kernel, eight bytes at a time and most
 * of them to the kernel's own variables: two thirds of the time that all tests took under it. Only the
 * portable tier, the same source, is built that way (cmake/rooms.cmake, TIER_WATCHED). The others tell it at
 * their door, once a call, what they read and what they write; of weights, which nobody writes once they are
 * laid out, the first block or column.
 */
#ifndef COMPUTE_CPU_TIER_WATCHED_H
#define COMPUTE_CPU_TIER_WATCHED_H

#include "compute/cpu/tier.h"

/* The sanitizer's own, as compiled code calls them. */
void __tsan_read_range(void *p, size_t n_bytes);
void __tsan_write_range(void *p, size_t n_bytes);

static void reads(const void *p, size_t n_bytes)
{
	__tsan_read_range((void *)(uintptr_t)p, n_bytes);
}

static void writes_sums(const struct product *p)
{
	for (uint32_t t = 0; t < p->tokens * (1 + p->more_tiles); t++)
		__tsan_write_range(p->out + (size_t)t * SLAB_ROWS,
				   (size_t)p->panels * PANEL * sizeof *p->out);
}

#define WATCHED_FLOATS(name, bytes)                                           \
	static void watched_product_##name(const struct product *p)           \
	{                                                                     \
		reads(p->head, (size_t)p->panels *PANEL *(bytes));            \
		reads(p->acts, (size_t)p->depth * p->tokens * sizeof(float)); \
		product_##name(p);                                            \
		writes_sums(p);                                               \
	}
WATCHED_FLOATS(F32, 4)
WATCHED_FLOATS(F16, 2)
WATCHED_FLOATS(BF16, 2)

#define WATCHED_QUANTS(name, shape, chunks, head_bytes, body_bytes)                           \
	static void watched_product_##name(const struct product *p)                           \
	{                                                                                     \
		for (uint32_t i = 0; i < p->panels; i++) {                                    \
			reads(p->head + i * p->panel_bytes, head_bytes);                      \
			reads(p->body + i * p->panel_bytes, body_bytes);                      \
		}                                                                             \
		for (uint32_t i = 0; i <= p->more_tiles; i++)                                 \
			reads((const struct qchunk *)p->acts + i * p->acts_stride,            \
			      (size_t)p->depth * (chunks)*p->tokens * sizeof(struct qchunk)); \
		product_##name(p);                                                            \
		writes_sums(p);                                                               \
	}
QUANT_LAYOUTS(WATCHED_QUANTS)

static void watched_quantise(const float *x, uint32_t n, struct qchunk *out, size_t stride)
{
	reads(x, (size_t)n * CHUNK * sizeof *x);
	quantise(x, n, out, stride);
	for (uint32_t g = 0; g < n; g++)
		__tsan_write_range(out + g * stride, sizeof *out);
}

static void watched_rms_norm(const float *x, const float *w, uint32_t n, float eps, float *out)
{
	reads(x, n * sizeof *x);
	reads(w, n * sizeof *w);
	rms_norm(x, w, n, eps, out);
	__tsan_write_range(out, n * sizeof *out);
}

#define WATCHED_ACTIVATION(name)                                                            \
	static void watched_##name(const float *x, const float *up, uint32_t n, float *out) \
	{                                                                                   \
		reads(x, n * sizeof *x);                                                    \
		if (up)                                                                     \
			reads(up, n * sizeof *up);                                          \
		name(x, up, n, out);                                                        \
		__tsan_write_range(out, n * sizeof *out);                                   \
	}
WATCHED_ACTIVATION(act_silu)
WATCHED_ACTIVATION(act_gelu_tanh)
WATCHED_ACTIVATION(act_gelu)

static void watched_soft_cap(float *x, uint32_t n, float cap)
{
	__tsan_write_range(x, n * sizeof *x);
	soft_cap(x, n, cap);
}

static void watched_attention(const struct attention *a)
{
	uint32_t last = a->positions[a->rows - 1];
	/* of values at least this much: what a type has beside its numbers is left out */
	size_t value_bytes = a->padded_dim * (a->types.v == CACHE_F32 ? sizeof(float) : 1);
	reads(a->q, (size_t)a->rows * a->padded_dim * sizeof *a->q);
	for (uint32_t block = first_seen(a, 0) / COMPUTE_KV_BLOCK; block * COMPUTE_KV_BLOCK <= last;
	     block++) {
		const uint8_t *kv = a->kv + a->blocks[block] * a->block_bytes;
		uint32_t seen = last - block * COMPUTE_KV_BLOCK + 1;
		reads(kv, a->value_offset);
		reads(kv + a->value_offset,
		      value_bytes * (seen < COMPUTE_KV_BLOCK ? seen : COMPUTE_KV_BLOCK));
	}
	attention(a);
	__tsan_write_range(a->acc, (size_t)a->rows * a->padded_dim * sizeof *a->acc);
}

#endif
