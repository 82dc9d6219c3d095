/* Products with weights of 32- and 16-bit floats: one fused multiply-add a weight and token, columns in
 * order. */
#include "compute/cpu/tier.h"

/* `panels` x `tokens` accumulators stay in registers. weights: (depth, stride) elements, at the first panel.
 */
#define FLOAT_TILE_BODY(load, bytes)                                                                         \
	v16 sum[MM_PANELS][FLOAT_TILE];                                                                      \
	EACH(t, tokens)                                                                                      \
	{                                                                                                    \
		EACH(s, panels) sum[s][t] = first ? v16_set1(0) : v16_load(out + t * SLAB_ROWS + s * PANEL); \
	}                                                                                                    \
	for (uint32_t k = 0; k < depth; k++) {                                                               \
		if (tokens == 1)                                                                             \
			EACH(j, (panels * PANEL * bytes + 63) / 64)                                          \
		__builtin_prefetch(weights + PREFETCH_AHEAD + 64 * j);                                       \
		v16 w[MM_PANELS];                                                                            \
		EACH(s, panels) w[s] = load(weights + s * PANEL * bytes);                                    \
		EACH(t, tokens)                                                                              \
		{                                                                                            \
			v16 x = v16_set1(acts[t]);                                                           \
			EACH(s, panels) sum[s][t] = v16_fma(w[s], x, sum[s][t]);                             \
		}                                                                                            \
		weights += stride;                                                                           \
		acts += width;                                                                               \
	}                                                                                                    \
	EACH(t, tokens)                                                                                      \
	{                                                                                                    \
		EACH(s, panels) v16_store(out + t * SLAB_ROWS + s * PANEL, sum[s][t]);                       \
	}

/* Every width of tile has its kernel where code is small; else tokens go one by one. */
#if MM_TOKENS > 1
#define FLOAT_CASES(tile, panels)   \
	switch (p->tokens) {        \
	case 1:                     \
		tile(panels, 0, 1); \
		break;              \
	case 2:                     \
		tile(panels, 0, 2); \
		break;              \
	case 3:                     \
		tile(panels, 0, 3); \
		break;              \
	case 4:                     \
		tile(panels, 0, 4); \
		break;              \
	case 5:                     \
		tile(panels, 0, 5); \
		break;              \
	default:                    \
		tile(panels, 0, 6); \
	}
_Static_assert(FLOAT_TILE == 6, "FLOAT_CASES lists every width");
#else
#define FLOAT_CASES(tile, panels)                \
	for (uint32_t t = 0; t < p->tokens; t++) \
		tile(panels, t, 1);
#endif

#define FLOAT_PRODUCT(name, load, bytes)                                                                    \
	KERNEL void name##_tile(const uint8_t *weights, size_t stride, uint32_t depth, const float *acts,   \
				uint32_t width, bool first, float *out, const int panels, const int tokens) \
	{                                                                                                   \
		FLOAT_TILE_BODY(load, bytes)                                                                \
	}                                                                                                   \
	static void name(const struct product *p)                                                           \
	{                                                                                                   \
		size_t stride = (size_t)p->panels * PANEL * (bytes);                                        \
		uint32_t s = 0;                                                                             \
		for (; s + MM_PANELS <= p->panels; s += MM_PANELS)                                          \
			FLOAT_CASES(name##_CALL, MM_PANELS)                                                 \
		for (; s < p->panels; s++)                                                                  \
			FLOAT_CASES(name##_CALL, 1)                                                         \
	}

#define FLOAT_CALL(name, bytes, panels, t, n)                                                              \
	name##_tile(p->head + (size_t)s * PANEL * (bytes), stride, p->depth, (const float *)p->acts + (t), \
		    p->tokens, p->first, p->out + (size_t)(t)*SLAB_ROWS + s * PANEL, panels, n)
#define product_F32_CALL(panels, t, n)  FLOAT_CALL(product_F32, 4, panels, t, n)
#define product_F16_CALL(panels, t, n)  FLOAT_CALL(product_F16, 2, panels, t, n)
#define product_BF16_CALL(panels, t, n) FLOAT_CALL(product_BF16, 2, panels, t, n)

static inline v16 load_f32_bytes(const uint8_t *p)
{
	return v16_load((const float *)(const void *)p);
}

FLOAT_PRODUCT(product_F32, load_f32_bytes, 4)
FLOAT_PRODUCT(product_F16, v16_load_f16, 2)
FLOAT_PRODUCT(product_BF16, v16_load_bf16, 2)
