/*
 * Quantised products by AMX tiles, for whole tiles of QUANT_TILE tokens; what is left over goes the other
 * way. The layouts are those of kernel_quant.h: a body's quads are rows of a tile of weights (8 x 64 bytes:
 * four columns of 16 rows each), the q of the tokens' chunks are rows of a tile of activations (tokens x 32
 * bytes, a cache line apart). A tile of sums is exact integers, so what follows is the arithmetic of
 * add_group and gives its bits.
 *
 * Two panels are unpacked once for all tokens of a call, into signed bytes, so that no sum needs a
 * correction. Two tiles of tokens by two panels are four registers of sums. Those of two chunks are stored
 * before any is brought into floats: the two kinds of work take turns, as they cannot share a core (beside
 * tile instructions the processor starts one vector operation of 64 bytes a cycle where alone it starts two),
 * and more sums at a time drive the rest out of the first-level cache. A register is stored just before it is
 * used again: right behind its product the store would wait, and all that follows with it. What was tried and
 * what it gave is in docs/performance.md.
 *
 * tile_*: simd_amx.h, or their meaning in plain C (simd_amx_emulated.h), with which tests run this on any
 * machine.
 */

/* Registers: sums of tile of tokens m and panel n in 2 m + n, activations of m in 4 + m, weights of n in 6 +
 * n. */
enum {
	TILE_UNITS = 2,      /* products (chunks or halves) whose sums are stored together: 8 KB */
	TILE_MAX_DEPTH = 32, /* chunks that are unpacked at a time */
	TILE_SUMS = 4 * QUANT_TILE * PANEL,
};

/* What _tile_loadconfig reads. It must lie in memory that was written long before: gcc 12 takes the
 * instruction to read no more than its first eight bytes, and may leave out what was just stored behind
 * them. */
struct tile_config {
	uint8_t palette, start_row, reserved[14];
	uint16_t column_bytes[16];
	uint8_t rows[16];
};
_Static_assert(sizeof(struct tile_config) == 64, "the size is the instruction's");

/* For units of `bytes` columns: whole chunks, or halves. */
#define TILE_CONFIG(bytes)                                                                      \
	{                                                                                       \
		.palette = 1, .column_bytes = {64, 64, 64, 64, bytes, bytes, 64, 64}, .rows = { \
			QUANT_TILE,                                                             \
			QUANT_TILE,                                                             \
			QUANT_TILE,                                                             \
			QUANT_TILE,                                                             \
			QUANT_TILE,                                                             \
			QUANT_TILE,                                                             \
			(bytes) / 4,                                                            \
			(bytes) / 4                                                             \
		}                                                                               \
	}
_Alignas(64) static const struct tile_config tile_config_whole = TILE_CONFIG(32), tile_config_halves =
											  TILE_CONFIG(16);

/* Up to two panels, unpacked: signed bytes, and the floats of each chunk. */
struct tile_weights {
	_Alignas(64) uint8_t quads[TILE_MAX_DEPTH][2][512];
	float scale[TILE_MAX_DEPTH][2][PANEL];
	float other[TILE_MAX_DEPTH][2][PANEL];
	float min[TILE_MAX_DEPTH][2][2][PANEL];
};

/* Sums by unit, register, token, row. */
struct tile_sums {
	_Alignas(64) int32_t dot[TILE_UNITS][4][QUANT_TILE][PANEL];
};

/* How far above its value a byte of a quad is stored. */
KERNEL uint8_t tile_bias(const enum shape shape, const int quad)
{
	switch (shape) {
	case SHAPE_8:
		return 128;
	case SHAPE_4:
		return 8;
	case SHAPE_5:
		return 16;
	case SHAPE_6_HALVES:
		return 32;
	case SHAPE_3_HALVES: /* of the second half eight times as large as they are */
		return quad < 4 ? 4 : 32;
	default:
		return 0;
	}
}

/* `blocks` blocks of a panel as panel n of w. */
KERNEL void tile_unpack(const struct layout l, const uint8_t *head, const uint8_t *body, uint32_t blocks,
			uint32_t n, struct tile_weights *w)
{
	uint32_t c = 0;
	for (uint32_t b = 0; b < blocks; b++, head += l.head_bytes) {
		struct scales s;
		unpack_block(l, head, &s);
		for (int g = 0; g < l.chunks; g++, c++, body += l.body_bytes) {
			struct wchunk chunk;
			EACH(j, (l.body_bytes + 63) / 64) __builtin_prefetch(body + PREFETCH_AHEAD + 64 * j);
			unpack_group(l, &s, g, body, &chunk);
			EACH(j, 8)
			v64_store(w->quads[c][n] + 64 * j, v64_sub(chunk.quad[j], tile_bias(l.shape, j)));
			v16_store(w->scale[c][n], chunk.scale);
			if (l.shape == SHAPE_MIN || shape_has_halves(l.shape))
				v16_store(w->other[c][n], chunk.other);
			if (l.shape == SHAPE_MIN_HALVES)
				EACH(i, 2) v16_store(w->min[c][n][i], chunk.min[i]);
		}
	}
}

/* One product into register `sum`, whose present sums are stored first, unless there are none yet. Register
 * numbers must be constants. */
#define TILE_STEP(sum, acts, weights)                        \
	do {                                                 \
		if (before)                                  \
			tile_store(sum, before[sum][0], 64); \
		tile_zero(sum);                              \
		tile_dot(sum, acts, weights);                \
	} while (0)

/* What one call of tile_block multiplies: depth chunks of one or two tiles of tokens, acts_stride chunks
 * apart, with one or two panels. */
struct tile_work {
	const struct qchunk *acts;
	size_t acts_stride;
	const struct tile_weights *w;
	uint32_t depth;
	bool first;
	float *out;
};

/* Products of the n units of chunks from chunk c on. */
KERNEL void tile_multiply(const enum shape shape, const int tiles, const int panels,
			  const struct tile_work *work, uint32_t c, uint32_t n, struct tile_sums *out)
{
	const uint32_t parts = shape_has_halves(shape) ? 2 : 1;
	int32_t(*before)[QUANT_TILE][PANEL] = NULL;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t chunk = c + i / parts, half = i % parts;
		const struct qchunk *acts = work->acts + (size_t)chunk * QUANT_TILE;
		const uint8_t *quads = work->w->quads[chunk][0] + 256 * half;
		tile_load(4, acts->q + 16 * half, sizeof *acts);
		tile_load(6, quads, 64);
		if (tiles == 2)
			tile_load(5, acts[work->acts_stride].q + 16 * half, sizeof *acts);
		if (panels == 2)
			tile_load(7, quads + 512, 64);
		TILE_STEP(0, 4, 6);
		if (panels == 2)
			TILE_STEP(1, 4, 7);
		if (tiles == 2)
			TILE_STEP(2, 5, 6);
		if (tiles == 2 && panels == 2)
			TILE_STEP(3, 5, 7);
		before = out->dot[i];
	}
	tile_store(0, before[0][0], 64);
	if (panels == 2)
		tile_store(1, before[1][0], 64);
	if (tiles == 2)
		tile_store(2, before[2][0], 64);
	if (tiles == 2 && panels == 2)
		tile_store(3, before[3][0], 64);
}

/* add_group with the dot products at hand: of a whole chunk, or of its halves. */
KERNEL v16 tile_add(v16 sum, const enum shape shape, const struct qchunk *a, v16 scale, v16 other,
		    const float *min, const int32_t *whole, const int32_t *half)
{
	v16 x = v16_mul(v16_from_i32(v16i_load(whole)), scale);
	if (shape_has_halves(shape))
		x = v16_fma(v16_from_i32(v16i_load(half)), other, x);
	if (shape == SHAPE_MIN_HALVES) {
		EACH(i, 2)
		x = v16_fma(v16_load(min + i * PANEL), v16_from_i32(v16i_set1(a->half_minus_32[i])), x);
	}
	sum = v16_fma(x, v16_set1(a->d), sum);
	if (shape == SHAPE_MIN)
		sum = v16_fma(other, v16_set1(a->d_sum), sum);
	return sum;
}

/* The n units of chunks from chunk c on into the floats of eight tokens, from token t of tile m on. */
KERNEL void tile_collect(const enum shape shape, const int panels, const struct tile_work *work, uint32_t c,
			 uint32_t n, const struct tile_sums *sums, uint32_t m, uint32_t t)
{
	const uint32_t parts = shape_has_halves(shape) ? 2 : 1;
	const struct qchunk *acts = work->acts + m * work->acts_stride + (size_t)c * QUANT_TILE + t;
	float *out = work->out + (m * QUANT_TILE + t) * SLAB_ROWS;
	bool first = work->first && c == 0;
	v16 sum[2][8];
	EACH(p, panels)
	{
		EACH(r, 8) sum[p][r] = first ? v16_set1(0) : v16_load(out + r * SLAB_ROWS + p * PANEL);
	}
	const int32_t *dots = sums->dot[0][2 * m][t];
	const float *scale = work->w->scale[c][0], *other = work->w->other[c][0],
		    *min = work->w->min[c][0][0];
	for (uint32_t i = 0; i < n; i += parts) {
		v16 s[2], o[2];
		EACH(p, panels)
		{
			s[p] = v16_load(scale + p * PANEL);
			if (shape != SHAPE_8)
				o[p] = v16_load(other + p * PANEL);
		}
		EACH(r, 8)
		{
			const struct qchunk *x = acts + r;
			EACH(p, panels)
			{
				const int32_t *at = dots + (p * QUANT_TILE + r) * PANEL;
				sum[p][r] = tile_add(sum[p][r], shape, x, s[p], o[p], min + 2 * p * PANEL, at,
						     at + TILE_SUMS);
			}
		}
		acts += QUANT_TILE;
		dots += parts * TILE_SUMS;
		scale += 2 * PANEL;
		other += 2 * PANEL;
		min += 4 * PANEL;
	}
	EACH(p, panels)
	{
		EACH(r, 8) v16_store(out + r * SLAB_ROWS + p * PANEL, sum[p][r]);
	}
}

KERNEL void tile_block(const enum shape shape, const int tiles, const int panels,
		       const struct tile_work *work)
{
	struct tile_sums sums;
	const uint32_t parts = shape_has_halves(shape) ? 2 : 1, most = TILE_UNITS / parts;
	for (uint32_t c = 0; c < work->depth; c += most) {
		uint32_t n = parts * (work->depth - c < most ? work->depth - c : most);
		tile_multiply(shape, tiles, panels, work, c, n, &sums);
		for (uint32_t m = 0; m < (uint32_t)tiles; m++)
			for (uint32_t t = 0; t < QUANT_TILE; t += 8)
				tile_collect(shape, panels, work, c, n, &sums, m, t);
	}
}

/* `tiles` tiles of tokens with one or two panels. One function for each way the floats go, not one a format.
 */
typedef void tile_tokens_fn(struct tile_work *work, uint32_t tiles, uint32_t panels);
#define TILE_TOKENS(shape)                                                                       \
	static void tile_tokens_##shape(struct tile_work *work, uint32_t tiles, uint32_t panels) \
	{                                                                                        \
		for (uint32_t t = 0; t < tiles; t += 2) {                                        \
			if (tiles - t >= 2 && panels == 2)                                       \
				tile_block(shape, 2, 2, work);                                   \
			else if (tiles - t >= 2)                                                 \
				tile_block(shape, 2, 1, work);                                   \
			else if (panels == 2)                                                    \
				tile_block(shape, 1, 2, work);                                   \
			else                                                                     \
				tile_block(shape, 1, 1, work);                                   \
			work->acts += 2 * work->acts_stride;                                     \
			work->out += 2 * QUANT_TILE * SLAB_ROWS;                                 \
		}                                                                                \
	}
TILE_TOKENS(SHAPE_8)
TILE_TOKENS(SHAPE_MIN)
TILE_TOKENS(SHAPE_3_HALVES)
TILE_TOKENS(SHAPE_MIN_HALVES)

KERNEL tile_tokens_fn *tile_tokens(const enum shape shape)
{
	switch (shape) {
	case SHAPE_MIN:
		return tile_tokens_SHAPE_MIN;
	case SHAPE_6_HALVES:
	case SHAPE_3_HALVES:
		return tile_tokens_SHAPE_3_HALVES;
	case SHAPE_MIN_HALVES:
		return tile_tokens_SHAPE_MIN_HALVES;
	default:
		return tile_tokens_SHAPE_8;
	}
}

/* Some blocks of all panels, two at a time, with all tiles. */
KERNEL void tile_piece(const struct layout l, const struct product *p, uint32_t block, uint32_t blocks)
{
	struct tile_weights w;
	const size_t head = (size_t)block * (size_t)l.head_bytes,
		     body = (size_t)block * (size_t)(l.chunks * l.body_bytes);
	for (uint32_t panel = 0; panel < p->panels; panel += 2) {
		uint32_t panels = p->panels - panel < 2 ? 1 : 2;
		for (uint32_t n = 0; n < panels; n++)
			tile_unpack(l, p->head + (panel + n) * p->panel_bytes + head,
				    p->body + (panel + n) * p->panel_bytes + body, blocks, n, &w);
		struct tile_work work = {
			.acts = (const struct qchunk *)p->acts +
				(size_t)block * (size_t)l.chunks * QUANT_TILE,
			.acts_stride = p->acts_stride,
			.w = &w,
			.depth = blocks * (uint32_t)l.chunks,
			.first = p->first && block == 0,
			.out = p->out + panel * PANEL,
		};
		tile_tokens(l.shape)(&work, 1 + p->more_tiles, panels);
	}
}

KERNEL void tile_product(const struct layout l, const struct product *p)
{
	if (p->tokens != QUANT_TILE) {
		quant_product(l, p);
		return;
	}
	const uint32_t most = TILE_MAX_DEPTH / (uint32_t)l.chunks;
	tile_configure(shape_has_halves(l.shape) ? &tile_config_halves : &tile_config_whole);
	for (uint32_t block = 0; block < p->depth; block += most)
		tile_piece(l, p, block, p->depth - block < most ? p->depth - block : most);
	tile_release();
}

#define TILE_PRODUCT(name, shape, chunks, head_bytes, body_bytes)                                     \
	static void product_##name(const struct product *p)                                           \
	{                                                                                             \
		tile_product((struct layout){PACK_##name, shape, chunks, head_bytes, body_bytes}, p); \
	}
QUANT_LAYOUTS(TILE_PRODUCT)
