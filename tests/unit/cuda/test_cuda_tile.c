/*
 * The tile layout (compute/cuda/tile/tile_layout.h) on the emulator: rows of every format, as files have
 * them, are laid out by tile_repack and read back through the fragments (frag.cuh), which must agree
 * with model/format.h's dequantise.
 */
#include "tile_weight.h"

#include "frag_probe.h"

static uint32_t unit_columns(const struct tile_matrix *m)
{
	static const uint32_t columns[CUDA_N_FORMATS] = {
#define ROW(name, bytes, n) [CUDA_##name] = n,
		TILE_FORMATS(ROW)
#undef ROW
	};
	return columns[m->format];
}

static bool same(float a, float b)
{
	return memcmp(&a, &b, sizeof a) == 0;
}

/* How far the layout may be from a number, of its size: F32 is one half or two. */
static double layout_rounding(enum tensor_type type, uint32_t planes)
{
	return type != TENSOR_F32 ? 0 : planes == 2 ? 0x1p-23 : 0x1p-11;
}

/* What stands in `p` for the weight `want`. */
static void check_weight(const char *name, const struct probed *p, float want, double rounding, uint32_t row,
			 uint32_t col)
{
	/* HALF rounds the scale, the min and the result: each by 2^-11 of its size or half of the smallest
	 * half (2^-25) */
	double product = fabs((double)p->full * (double)p->scale), min = fabs((double)p->add);
	double tolerance = (product + min) * 0x1p-10 + (fabs((double)p->full) + 2) * 0x1p-25;
	float full = p->full * p->scale;
	if (p->add != 0)
		full = full + p->add;
	double allowed = rounding * (fabs((double)want) + 0x1p-14);
	if (rounding > 0 ? fabs((double)p->exact - (double)want) > allowed : !same(p->exact, want))
		fail_msg("%s: exact: row %u, column %u is %a, wanted %a", name, row, col, (double)p->exact,
			 (double)want);
	if (fabs((double)full - (double)want) > allowed)
		fail_msg("%s: full: row %u, column %u is %a * %a + %a, wanted %a", name, row, col,
			 (double)p->full, (double)p->scale, (double)p->add, (double)want);
	if (!(fabs((double)p->half - (double)want) <= tolerance))
		fail_msg("%s: half: row %u, column %u is %a, wanted %a to %g", name, row, col,
			 (double)p->half, (double)want, tolerance);
}

static void check_layout(enum tensor_type type, uint32_t rows, uint32_t cols, uint32_t piece, uint32_t planes)
{
	struct tiled t = make_tiled(type, rows, cols, piece, 500 + type, planes);
	uint32_t all_rows = t.m.n_tiles * TILE_ROWS, all_cols = t.m.n_units * unit_columns(&t.m);
	size_t n_bytes = (size_t)all_rows * all_cols * sizeof(struct probed);
	struct probe_args a = {t.m, on_device(NULL, n_bytes)};
	assert_int_equal(probe_frags(&a, test_stream()), cudaSuccess);
	finish();
	struct probed *got = from_device(a.out, n_bytes);
	for (uint32_t r = 0; r < all_rows; r++)
		for (uint32_t c = 0; c < all_cols; c++) {
			const struct probed *p = &got[(size_t)r * all_cols + c];
			bool real = r < rows && c < cols;
			if (real)
				check_weight(t.w.fmt->name, p, t.values[(size_t)r * cols + c],
					     layout_rounding(type, planes), r, c);
			else if (p->half != 0 || p->exact != 0 ||
				 (t.w.fmt->block_elements > 1 && p->scale != 0) ||
				 (t.w.fmt->block_elements == 1 && p->full != 0) || p->add != 0)
				fail_msg("%s: row %u, column %u is padding and not 0", t.w.fmt->name, r, c);
		}
	free(got);
	cudaFree(a.out);
	free_tiled(&t);
}

static void check_format(enum tensor_type type, uint32_t rows, uint32_t cols, uint32_t piece)
{
	for (uint32_t planes = 1; planes <= 2; planes++)
		check_layout(type, rows, cols, piece, planes);
}

static void fragments(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_TYPES; i++) {
		uint32_t block = format_get(types[i])->block_elements;
		static const uint32_t widths[] = {1, 31, 32, 33, 250, 256, 320, 896, 2560, 4864};
		for (size_t k = 0; k < sizeof widths / sizeof widths[0]; k++)
			if (widths[k] % block == 0)
				check_format(types[i], 8, widths[k], 8);
		check_format(types[i], 1, block == 1 ? 40 : 2 * block, 8);
		check_format(types[i], 29, block == 1 ? 300 : 10 * block, 29);
		check_format(types[i], 29, 512, 16);
		check_format(types[i], 67, 256, 8);
	}
}

/* The same bytes in any order of the device's threads, every byte of them written, and none beyond. */
static void schedules(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * N_TYPES; i++) {
		uint8_t *first = NULL;
		for (uint64_t seed = 0; seed < 3; seed++) {
			set_schedule(seed);
			struct tiled t = make_tiled(types[i / 2], 21, 768, 8, 700, 1 + i % 2);
			uint8_t *got = from_device(t.device, tile_bytes(&t.m));
			if (first)
				assert_memory_equal(got, first, tile_bytes(&t.m));
			free(first);
			first = got;
			free_tiled(&t);
		}
		free(first);
	}
	set_schedule(0);
}

static void embeddings(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * N_TYPES; i++) {
		enum tensor_type type = types[i / 2];
		uint32_t cols = format_get(type)->block_elements == 1 ? 37 : 768,
			 pitch = (cols + 7) / 8 * 8 + 16;
		struct tiled t = make_tiled(type, 21, cols, 16, 300, 1 + i % 2);
		const struct cuda_token tokens[] = {{20, 0, 0}, {0, 0, 0}, {11, 0, 0}, {20, 0, 0}};
		struct cuda_token *dtokens = on_device(tokens, sizeof tokens);
		float *dx = on_device(NULL, 4 * pitch * sizeof(float));
		const struct tile_embed_args a = {t.m, dtokens, dx, pitch, 4, 1};
		assert_int_equal(tile_embed(&a, test_stream()), cudaSuccess);
		finish();
		float *x = from_device(dx, 4 * pitch * sizeof *x);
		for (size_t k = 0; k < 4; k++) {
			const float *want = t.values + (size_t)tokens[k].id * cols;
			double rounding = layout_rounding(type, 1 + i % 2);
			if (rounding == 0)
				assert_memory_equal(x + k * pitch, want, cols * sizeof *x);
			for (uint32_t c = 0; c < cols; c++)
				assert_true(fabs((double)x[k * pitch + c] - (double)want[c]) <=
					    rounding * (fabs((double)want[c]) + 0x1p-14));
			for (uint32_t c = cols; c < pitch; c++)
				assert_true(same(x[k * pitch + c], 0));
		}
		free(x);
		cudaFree(dx);
		cudaFree(dtokens);
		free_tiled(&t);
	}
}

static void plans(void **state)
{
	(void)state;
	struct tile_matrix m;
	struct weight w = {.fmt = format_get(TENSOR_Q6_K), .rows = 151936, .cols = 18944};
	assert_true(tile_plan(&m, &w, 2));
	assert_int_equal(m.n_tiles, 18992);
	assert_int_equal(m.n_units, 74);
	assert_int_equal(m.bundle, 0);
	assert_int_equal(tile_bytes(&m), UINT64_C(18992) * 74 * 1680); /* the file's 210 bytes a block */
	assert_true(tile_plan(&m, &w, 1));
	assert_int_equal(m.bundle, 1);
	assert_int_equal(tile_bytes(&m), UINT64_C(18992) / 2 * 74 * 27 * 128); /* 3,360 in whole lines */
	w = (struct weight){.fmt = format_get(TENSOR_F16), .rows = 9, .cols = 33};
	assert_true(tile_plan(&m, &w, 2));
	assert_int_equal(tile_bytes(&m), 2 * 2 * 512);
	w = (struct weight){.fmt = format_get(TENSOR_Q8_0), .rows = 17, .cols = 3584};
	assert_true(tile_plan(&m, &w, 1));
	assert_int_equal(m.bundle, 4);
	/* segments of seven units: four of each tile, 2,176 bytes, and three, 1,632 in whole lines */
	assert_int_equal(tile_bytes(&m), 2 * 16 * (2176 + 13 * 128));
	assert_int_equal(tile_lead_bytes(&m), 0);
	/* formats that become others, and those whose rows have scales */
	static const struct {
		enum tensor_type type;
		enum cuda_format full, half;
		uint32_t lead_bytes;
	} others[] = {
		{TENSOR_BF16, CUDA_BF16, CUDA_BF16, 128},     {TENSOR_F32, CUDA_F32, CUDA_BF16, 128},
		{TENSOR_Q3_K, CUDA_Q6_K, CUDA_Q6_K, 0},       {TENSOR_IQ4_XS, CUDA_IQ4_NL, CUDA_IQ4_NL, 0},
		{TENSOR_IQ4_NL, CUDA_IQ4_NL, CUDA_IQ4_NL, 0}, {TENSOR_Q2_K, CUDA_Q2_K, CUDA_Q2_K, 0},
	};
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		w.fmt = format_get(others[i].type);
		assert_true(tile_plan(&m, &w, 2));
		assert_int_equal(m.format, others[i].full);
		assert_int_equal(tile_lead_bytes(&m), others[i].lead_bytes); /* 24 floats, in whole lines */
		assert_true(tile_plan(&m, &w, 1));
		assert_int_equal(m.format, others[i].half);
	}
}

/* Rows of BF16 of any size are what they were: nothing, the smallest numbers, the largest, both with all
 * between that a row's largest leaves, infinities, NaN. What is too small beside the largest is rounded. */
static void row_scales(void **state)
{
	(void)state;
	enum { ROWS = 9, COLS = 40 };
	static const float rows[ROWS][3] = {
		{0, -0.0f, 0},
		{0x1p-133f, -0x1p-133f, 0x7Fp-133f}, /* the smallest that BF16 has */
		{0xFFp120f, -0xFFp89f, 0x1p97f},     /* the largest, and 2^-31 of it */
		{INFINITY, 1, -0x1p-17f},
		{NAN, 0xFFp-7f, 0x81p-7f},
		{0x1p-126f, 0x1p-127f, -0x1p-133f},
		{1, 0x1p-39f, 0x3p-39f}, /* half a step, to even */
		{1, 0x3p-40f, -0x1p-40f},
		{-INFINITY, -NAN, 0},
	};
	static const float rounded[2][3] = {{1, 0, 0x1p-37f}, {1, 0x1p-38f, 0}}; /* rows 6 and 7 */
	for (uint32_t planes = 1; planes <= 2; planes++) {
		struct tiled t = make_tiled(TENSOR_BF16, ROWS, COLS, 8, 3, planes);
		float values[ROWS * COLS] = {0};
		for (uint32_t r = 0; r < ROWS; r++)
			for (uint32_t c = 0; c < 3; c++)
				values[r * COLS + 13 * c] = rows[r][c];
		t.w.fmt->quantise(values, t.bytes, ROWS * COLS);
		void *staging = on_device(t.bytes, ROWS * t.w.row_bytes);
		const struct tile_repack_args repack = {t.m, staging, t.w.row_bytes, 0, ROWS};
		assert_int_equal(tile_repack(&repack, test_stream()), cudaSuccess);
		struct cuda_token tokens[ROWS] = {{0}};
		for (uint32_t r = 0; r < ROWS; r++)
			tokens[r].id = (int32_t)r;
		struct cuda_token *dtokens = on_device(tokens, sizeof tokens);
		float *dx = on_device(NULL, sizeof values);
		const struct tile_embed_args a = {t.m, dtokens, dx, COLS, ROWS, 1};
		assert_int_equal(tile_embed(&a, test_stream()), cudaSuccess);
		finish();
		float *x = from_device(dx, sizeof values);
		for (uint32_t r = 0; r < ROWS; r++)
			for (uint32_t c = 0; c < 3; c++) {
				float got = x[r * COLS + 13 * c],
				      want = r == 6 || r == 7 ? rounded[r - 6][c] : rows[r][c];
				if (got != want && !(got != got && want != want))
					fail_msg("row %u, number %u is %a, wanted %a", r, c, (double)got,
						 (double)want);
			}
		free(x);
		cudaFree(dx);
		cudaFree(dtokens);
		cudaFree(staging);
		free_tiled(&t);
	}
}

/* Units of a matrix lie apart, in whole: every byte of it is of one unit, or of what pads a group. */
static void places(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_TYPES; i++) {
		static const uint32_t widths[] = {256, 512, 3584, 4864, 18944};
		for (size_t k = 0; k < 2 * sizeof widths / sizeof widths[0]; k++) {
			struct tile_matrix m;
			struct weight w = {.fmt = format_get(types[i]), .rows = 37, .cols = widths[k / 2]};
			assert_true(tile_plan(&m, &w, 1 + k % 2));
			uint8_t *seen = calloc(tile_bytes(&m), 1);
			uint64_t n_padded = m.bundle ? 6 : 5;
			assert_non_null(seen);
			for (uint32_t s = 0; s < TILE_SEGMENTS; s++)
				for (uint32_t u = tile_segment(m.n_units, s);
				     u < tile_segment(m.n_units, s + 1); u++)
					for (uint32_t tile = 0; tile < n_padded; tile++) {
						uint64_t at = tile_offset(&m, tile, s, u);
						assert_true(at + m.unit_bytes <= tile_bytes(&m));
						assert_int_equal(at % 16, 0);
						for (uint32_t j = 0; j < m.unit_bytes; j++)
							assert_int_equal(seen[at + j]++, 0);
					}
			uint64_t pads = 0;
			for (uint64_t j = 0; j < tile_bytes(&m); j++)
				pads += !seen[j];
			assert_int_equal(pads, tile_bytes(&m) - n_padded * m.n_units * m.unit_bytes);
			free(seen);
		}
	}
}

static uint32_t find_wide(const struct tile_matrix *m)
{
	uint32_t *any = on_device(NULL, sizeof *any);
	cudaMemsetAsync(any, 0, sizeof *any, test_stream());
	assert_int_equal(tile_find_wide(m, any, test_stream()), cudaSuccess);
	finish();
	uint32_t *got = from_device(any, sizeof *any), found = *got;
	free(got);
	cudaFree(any);
	return found;
}

/* A block whose largest scale is d times 63 (Q4_K), or 128 (Q6_K). */
static void set_scale(uint8_t *block, enum tensor_type type, uint16_t d)
{
	memcpy(block + (type == TENSOR_Q4_K ? 0 : 208), &d, sizeof d);
	if (type == TENSOR_Q4_K)
		block[4] |= 63; /* the first chunk's */
	else
		block[192] = 0x80;
}

/* The short way to weights gives the bits of the long one, for any scale below 1/4 (Q4_K) or 1/16 (Q6_K), the
 * smallest too; and where some scale is not below, that is seen. */
static void short_way(void **state)
{
	(void)state;
	static const struct {
		enum tensor_type type;
		uint16_t d;
		uint32_t wide;
	} cases[] = {
		{TENSOR_Q4_K, 0x0000, 0},
		{TENSOR_Q4_K, 0x0001, 0},
		{TENSOR_Q4_K, 0x0003, 0},
		{TENSOR_Q4_K, 0x0200, 0},
		{TENSOR_Q4_K, 0x03FF, 0},
		{TENSOR_Q4_K, 0x0400, 0},
		{TENSOR_Q4_K, 0x0401, 0},
		{TENSOR_Q4_K, 0x0777, 0},
		/* times 63: rounds to the last half below 1/4; to 1/4 */
		{TENSOR_Q4_K, 0x1C0F, 0},
		{TENSOR_Q4_K, 0x1C10, 1},
		{TENSOR_Q4_K, 0x3C00, 1},
		{TENSOR_Q4_K, 0x7BFF, 1},
		{TENSOR_Q4_K, 0x7C00, 1},
		{TENSOR_Q4_K, 0x7E00, 1},
		{TENSOR_Q4_K, 0x9C0F, 0},
		{TENSOR_Q4_K, 0x9C10, 1},
		{TENSOR_Q6_K, 0x0000, 0},
		{TENSOR_Q6_K, 0x0001, 0},
		{TENSOR_Q6_K, 0x0003, 0},
		{TENSOR_Q6_K, 0x0200, 0},
		{TENSOR_Q6_K, 0x03FF, 0},
		{TENSOR_Q6_K, 0x0400, 0},
		{TENSOR_Q6_K, 0x0401, 0},
		{TENSOR_Q6_K, 0x0777, 0},
		/* times 128: the last half below 1/16; 1/16 */
		{TENSOR_Q6_K, 0x0FFF, 0},
		{TENSOR_Q6_K, 0x1000, 1},
		{TENSOR_Q6_K, 0x3C00, 1},
		{TENSOR_Q6_K, 0x7BFF, 1},
		{TENSOR_Q6_K, 0x7C00, 1},
		{TENSOR_Q6_K, 0x7E00, 1},
		{TENSOR_Q6_K, 0x8FFF, 0},
		{TENSOR_Q6_K, 0x9000, 1},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct weight w = {.fmt = format_get(cases[i].type), .rows = 24, .cols = 512};
		struct tiled t = make_tiled(cases[i].type, w.rows, w.cols, 24, 40 + i, 1);
		for (uint32_t b = 0; b < w.rows * 2; b++)
			set_scale(t.bytes + b * (t.w.row_bytes / 2), cases[i].type, cases[i].d);
		void *staging = on_device(t.bytes, w.rows * t.w.row_bytes);
		const struct tile_repack_args repack = {t.m, staging, t.w.row_bytes, 0, w.rows};
		assert_int_equal(tile_repack(&repack, test_stream()), cudaSuccess);
		finish();
		assert_int_equal(find_wide(&t.m), cases[i].wide);
		size_t n = (size_t)t.m.n_tiles * 8 * w.cols;
		struct probe_args a = {t.m, on_device(NULL, n * sizeof(struct probed))};
		assert_int_equal(probe_frags(&a, test_stream()), cudaSuccess);
		finish();
		struct probed *got = from_device(a.out, n * sizeof *got);
		for (size_t k = 0; k < n && !cases[i].wide; k++)
			if (got[k].tiny != got[k].half)
				fail_msg("%s, d %#x: weight %zu is %a, and %a the short way", w.fmt->name,
					 cases[i].d, k, (double)got[k].half, (double)got[k].tiny);
		free(got);
		cudaFree(a.out);
		cudaFree(staging);
		free_tiled(&t);
	}
	struct tiled other = make_tiled(TENSOR_Q8_0, 8, 32, 8, 1, 1);
	assert_int_equal(find_wide(&other.m), 0);
	free_tiled(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plans),      cmocka_unit_test(places),          cmocka_unit_test(fragments),
		cmocka_unit_test(schedules),  cmocka_unit_test(embeddings),      cmocka_unit_test(short_way),
		cmocka_unit_test(row_scales), cmocka_unit_test(nothing_is_left),
	};
	return cmocka_run_group_tests_name("cuda tile", tests, NULL, NULL);
}
