/*
 * Quantised products by AMX tiles, for whole tiles of QUANT_TILE tokens; what is left over goes the other
 * way. The layouts are those of kernel_quant.h: a body's quads are rows of a tile of weights (8 x 64 bytes:
 * four columns of 16 rows each), the q of the tokens' chunks are rows of a tile of activations (tokens x 32
 * bytes, a cache line apart). A tile of sums is exact integers, so what follows is the arithmetic of
 * add_group and gives its bits.
 *
 * tile_*: simd_amx.h, or their meaning in plain C (simd_amx_emulated.h), with which tests run this on any
 * machine.
 */

/* Registers. Two chunks are under way at a time, so that the sums of one are stored while the next is
 * multiplied. */
#define TILE_SUM_A     0
#define TILE_SUM_B     1
#define TILE_SUM_C     2
#define TILE_SUM_D     3
#define TILE_ACTS      4 /* (QUANT_TILE, 32 bytes) */
#define TILE_WEIGHTS   5 /* (8, 64 bytes) */
#define TILE_ACTS_16   6 /* (QUANT_TILE, 16 bytes): half a chunk */
#define TILE_WEIGHTS_4 7 /* (4, 64 bytes) */

/* What _tile_loadconfig reads. */
struct tile_config {
	uint8_t palette, start_row, reserved[14];
	uint16_t column_bytes[16];
	uint8_t rows[16];
};
_Static_assert(sizeof(struct tile_config) == 64, "the size is the instruction's");

static void tile_set_up(void)
{
	_Alignas(64) struct tile_config c = {.palette = 1};
	for (int i = TILE_SUM_A; i <= TILE_SUM_D; i++) {
		c.rows[i] = QUANT_TILE;
		c.column_bytes[i] = 64;
	}
	c.rows[TILE_ACTS] = c.rows[TILE_ACTS_16] = QUANT_TILE;
	c.column_bytes[TILE_ACTS] = 32;
	c.column_bytes[TILE_ACTS_16] = 16;
	c.rows[TILE_WEIGHTS] = 8;
	c.rows[TILE_WEIGHTS_4] = 4;
	c.column_bytes[TILE_WEIGHTS] = c.column_bytes[TILE_WEIGHTS_4] = 64;
	tile_configure(&c);
}

/* The sums of one chunk. */
struct tile_sums {
	_Alignas(64) int32_t whole[QUANT_TILE][PANEL]; /* or of the first half */
	int32_t half[QUANT_TILE][PANEL];
};

/* Bytes of a chunk as the tile instructions read them: of Q8_0 they lie so in memory. */
KERNEL const uint8_t *tile_bytes(const struct layout l, const uint8_t *body, const struct wchunk *w,
				 uint8_t *room)
{
	if (l.kind == PACK_Q8_0)
		return body;
	EACH(j, 8) v64_store(room + 64 * j, w->quad[j]);
	return room;
}

/* The sum registers have to be named: even chunks use two of them, odd chunks the others. */
#define TILE_CHUNK_SUMS(sum, half_sum)                                       \
	do {                                                                 \
		if (shape_has_halves(l.shape)) {                             \
			tile_zero(sum);                                      \
			tile_load(TILE_ACTS_16, acts->q, sizeof *acts);      \
			tile_load(TILE_WEIGHTS_4, bytes, 64);                \
			tile_dot(sum, TILE_ACTS_16, TILE_WEIGHTS_4);         \
			tile_store(sum, out->whole, 64);                     \
			tile_zero(half_sum);                                 \
			tile_load(TILE_ACTS_16, acts->q + 16, sizeof *acts); \
			tile_load(TILE_WEIGHTS_4, bytes + 256, 64);          \
			tile_dot(half_sum, TILE_ACTS_16, TILE_WEIGHTS_4);    \
			tile_store(half_sum, out->half, 64);                 \
		} else {                                                     \
			tile_zero(sum);                                      \
			tile_load(TILE_ACTS, acts->q, sizeof *acts);         \
			tile_load(TILE_WEIGHTS, bytes, 64);                  \
			tile_dot(sum, TILE_ACTS, TILE_WEIGHTS);              \
			tile_store(sum, out->whole, 64);                     \
		}                                                            \
	} while (0)

KERNEL void tile_chunk(const struct layout l, bool odd, const struct qchunk *acts, const uint8_t *bytes,
		       struct tile_sums *out)
{
	if (odd)
		TILE_CHUNK_SUMS(TILE_SUM_C, TILE_SUM_D);
	else
		TILE_CHUNK_SUMS(TILE_SUM_A, TILE_SUM_B);
}

KERNEL v16i tile_row(const int32_t *row, int32_t correction)
{
	return v16i_add(v16i_load(row), v16i_set1(correction));
}

/* add_group with the dot products at hand. */
KERNEL v16 tile_add(v16 sum, const struct layout l, const struct wchunk *w, const struct qchunk *a,
		    const struct tile_sums *dots, int t)
{
	if (shape_has_halves(l.shape)) {
		v16i lo = tile_row(dots->whole[t], half_offset(a, 0, l.shape));
		v16i hi = tile_row(dots->half[t], half_offset(a, 1, l.shape));
		return add_halves(sum, lo, hi, w, a, l.shape);
	}
	int32_t correction = l.shape == SHAPE_8   ? a->minus_128
			     : l.shape == SHAPE_4 ? a->minus_8
			     : l.shape == SHAPE_5 ? a->minus_16
						  : 0;
	v16i dot = tile_row(dots->whole[t], correction);
	sum = v16_fma(v16_mul(v16_from_i32(dot), w->scale), v16_set1(a->d), sum);
	if (l.shape == SHAPE_MIN)
		sum = v16_fma(w->other, v16_set1(a->d_sum), sum);
	return sum;
}

/* One panel with QUANT_TILE tokens. */
KERNEL void tile_panel(const struct layout l, const struct product *p, uint32_t panel)
{
	_Alignas(64) uint8_t room[512];
	struct tile_sums dots[2];
	const uint8_t *head = p->head + panel * p->panel_bytes, *body = p->body + panel * p->panel_bytes;
	const struct qchunk *acts = p->acts;
	float *out = p->out + panel * PANEL;
	v16 sum[QUANT_TILE];
	EACH(t, QUANT_TILE) sum[t] = p->first ? v16_set1(0) : v16_load(out + t * SLAB_ROWS);
	bool odd = false;
	for (uint32_t b = 0; b < p->depth; b++) {
		struct scales s;
		unpack_block(l, head, &s);
		for (int g = 0; g < l.chunks; g++) {
			struct wchunk w;
			unpack_group(l, &s, g, body, &w);
			tile_chunk(l, odd, acts, tile_bytes(l, body, &w, room), &dots[odd]);
			EACH(t, QUANT_TILE) sum[t] = tile_add(sum[t], l, &w, acts + t, &dots[odd], t);
			odd = !odd;
			body += l.body_bytes;
			acts += p->tokens;
		}
		head += l.head_bytes;
	}
	EACH(t, QUANT_TILE) v16_store(out + t * SLAB_ROWS, sum[t]);
}

KERNEL void tile_product(const struct layout l, const struct product *p)
{
	if (p->tokens != QUANT_TILE) {
		quant_product(l, p);
		return;
	}
	tile_set_up();
	for (uint32_t panel = 0; panel < p->panels; panel++)
		tile_panel(l, p, panel);
	tile_release();
}

#define TILE_PRODUCT(name, shape, chunks, head_bytes, body_bytes)                                     \
	static void product_##name(const struct product *p)                                           \
	{                                                                                             \
		tile_product((struct layout){PACK_##name, shape, chunks, head_bytes, body_bytes}, p); \
	}
QUANT_LAYOUTS(TILE_PRODUCT)
