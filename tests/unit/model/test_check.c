/* What the check finds: each kind in every type, zeros by each part of their definition at its limits, the
 * same with any number of threads, and a file that changes under it. */
#include "model/check.h"

#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/half.h"
#include "base/rng.h"
#include "gguf/builder.h"
#include "model/format.h"

/* ---- files ---- */

enum { MAX_TENSORS = 8 };

/* Tensors of ones (floats) or of bytes 0x11, changed before the check. */
struct file {
	struct {
		const char *name;
		uint32_t type;
		uint64_t cols, rows; /* rows 0: a vector */
		uint64_t offset, n_bytes;
	} t[MAX_TENSORS];
	uint64_t n;
	struct strbuf b;
	uint8_t *data; /* of the first tensor, in b */
};

static const struct tensor_type_info *info_of(uint32_t type)
{
	const struct tensor_type_info *info = tensor_type_get(type);
	return info ? info : tensor_type_removed(type, NULL);
}

static void add(struct file *f, const char *name, uint32_t type, uint64_t cols, uint64_t rows)
{
	const struct tensor_type_info *info = info_of(type);
	uint64_t n = f->n++;
	f->t[n].name = name;
	f->t[n].type = type;
	f->t[n].cols = cols;
	f->t[n].rows = rows;
	f->t[n].n_bytes = info ? cols * (rows ? rows : 1) / info->block_elements * info->block_bytes : 0;
	f->t[n].offset = n ? (f->t[n - 1].offset + f->t[n - 1].n_bytes + 31) / 32 * 32 : 0;
}

static void build(struct file *f)
{
	b_header(&f->b, 3, f->n, 0);
	for (uint64_t i = 0; i < f->n; i++) {
		const uint64_t dims[2] = {f->t[i].cols, f->t[i].rows};
		b_tensor(&f->b, f->t[i].name, f->t[i].rows ? 2 : 1, dims, f->t[i].type, f->t[i].offset);
	}
	b_pad(&f->b, 32);
	size_t data = f->b.len;
	b_zeros(&f->b, f->t[f->n - 1].offset + f->t[f->n - 1].n_bytes + 64);
	f->data = (uint8_t *)f->b.ptr + data;
	for (uint64_t i = 0; i < f->n; i++) {
		uint8_t *p = f->data + f->t[i].offset;
		memset(p, 0x11, f->t[i].n_bytes);
		for (uint64_t k = 0; f->t[i].type == TENSOR_F32 && k < f->t[i].n_bytes; k += 4)
			memcpy(p + k, &(float){1}, 4); /* whose low bytes are zero */
	}
}

static void zero(struct file *f, uint64_t tensor, uint64_t from, uint64_t n)
{
	memset(f->data + f->t[tensor].offset + from, 0, n);
}

static struct check_result check_open(const struct gguf *g, uint32_t n_threads)
{
	struct check_result r;
	struct hokku_error err;
	const struct check_params p = {.file = g, .n_threads = n_threads};
	if (check_file(&p, &r, &err))
		fail_msg("%s", err.message);
	return r;
}

/* The file is let go; findings keep no tensors. */
static struct check_result check(struct file *f, uint32_t n_threads, char names[][16])
{
	struct gguf *g;
	struct hokku_error err;
	if (gguf_open_memory(f->b.ptr, f->b.len, "x.gguf", &g, &err))
		fail_msg("%s", err.message);
	struct check_result r = check_open(g, n_threads);
	for (size_t i = 0; i < r.n; i++) {
		if (names)
			snprintf(names[i], 16, "%.*s", STR_ARG(r.findings[i].tensor->name));
		r.findings[i].tensor = NULL;
	}
	gguf_close(g);
	return r;
}

static void done(struct file *f, struct check_result *r)
{
	strbuf_free(&f->b);
	check_free(r);
}

/* ---- numbers ---- */

enum width { F16, F32, F64, BF16, E8M0, UE4M3, IQ1_M };

/* ggml's block structures, written down again: where each scale of a block stands. */
static const struct {
	uint32_t type;
	enum width width;
	int n, at[8];
	int blocks; /* that the positions are of; 0: one */
} scales[] = {
	{TENSOR_F32, F32, 1, {0}, 0},
	{TENSOR_F16, F16, 1, {0}, 0},
	{TENSOR_BF16, BF16, 1, {0}, 0},
	{TENSOR_F64, F64, 1, {0}, 0},
	{TENSOR_Q4_0, F16, 1, {0}, 0},
	{TENSOR_Q4_1, F16, 2, {0, 2}, 0},
	{TENSOR_Q5_0, F16, 1, {0}, 0},
	{TENSOR_Q5_1, F16, 2, {0, 2}, 0},
	{TENSOR_Q8_0, F16, 1, {0}, 0},
	{TENSOR_Q8_1, F16, 2, {0, 2}, 0},
	{TENSOR_Q2_K, F16, 2, {16 + 64, 16 + 64 + 2}, 0},
	{TENSOR_Q3_K, F16, 1, {32 + 64 + 12}, 0},
	{TENSOR_Q4_K, F16, 2, {0, 2}, 0},
	{TENSOR_Q5_K, F16, 2, {0, 2}, 0},
	{TENSOR_Q6_K, F16, 1, {128 + 64 + 16}, 0},
	{TENSOR_Q8_K, F32, 1, {0}, 0},
	{TENSOR_IQ2_XXS, F16, 1, {0}, 0},
	{TENSOR_IQ2_XS, F16, 1, {0}, 0},
	{TENSOR_IQ3_XXS, F16, 1, {0}, 0},
	{TENSOR_IQ1_S, F16, 1, {0}, 0},
	{TENSOR_IQ4_NL, F16, 1, {0}, 0},
	{TENSOR_IQ3_S, F16, 1, {0}, 0},
	{TENSOR_IQ2_S, F16, 1, {0}, 0},
	{TENSOR_IQ4_XS, F16, 1, {0}, 0},
	{TENSOR_IQ1_M, IQ1_M, 1, {32 + 16}, 0},
	{TENSOR_TQ1_0, F16, 1, {48 + 4}, 0},
	{TENSOR_TQ2_0, F16, 1, {64}, 0},
	{TENSOR_MXFP4, E8M0, 1, {0}, 0},
	{TENSOR_NVFP4, UE4M3, 4, {0, 1, 2, 3}, 0},
	{TENSOR_Q1_0, F16, 1, {0}, 0},
	{TENSOR_Q2_0, F16, 1, {0}, 0},
	{4, F16, 1, {0}, 0},
	{5, F16, 2, {0, 2}, 0},
	{31, F16, 4, {0, 2, 4, 6}, 4},
	{32, F16, 4, {0, 2, 4, 6}, 4},
	{33, F16, 8, {0, 2, 4, 6, 8, 10, 12, 14}, 8},
	{36, F16, 4, {0, 2, 4, 6}, 4},
	{37, F16, 4, {0, 2, 4, 6}, 4},
	{38, F16, 8, {0, 2, 4, 6, 8, 10, 12, 14}, 8},
};
enum { N_SCALES = sizeof scales / sizeof *scales };

/* what: 0 the largest finite number, 1 an infinity, 2 and 3 NaN. False: the width has none. */
static bool put(enum width width, uint8_t *p, int what)
{
	static const uint16_t halves[] = {0x7BFF, 0xFC00, 0x7C01, 0xFE00},
			      brains[] = {0x7F7F, 0xFF80, 0x7F81, 0xFFC0};
	static const uint32_t singles[] = {0x7F7FFFFF, 0xFF800000, 0x7F800001, 0xFFC00000};
	static const uint64_t doubles[] = {0x7FEFFFFFFFFFFFFF, 0xFFF0000000000000, 0x7FF0000000000001,
					   0xFFF8000000000000};
	static const uint8_t e8m0[] = {0xFE, 0, 0xFF, 0xFF}, ue4m3[] = {0x7E, 0, 0x7F, 0xFF};
	if (what == 1 && (width == E8M0 || width == UE4M3))
		return false;
	switch (width) {
	case F16:
		memcpy(p, &halves[what], 2);
		break;
	case BF16:
		memcpy(p, &brains[what], 2);
		break;
	case F32:
		memcpy(p, &singles[what], 4);
		break;
	case F64:
		memcpy(p, &doubles[what], 8);
		break;
	case E8M0:
		*p = e8m0[what];
		break;
	case UE4M3:
		*p = ue4m3[what];
		break;
	case IQ1_M: /* four bits in the high end of each of four words */
		for (int i = 0; i < 4; i++)
			p[2 * i + 1] = (uint8_t)((p[2 * i + 1] & 0x0F) | (halves[what] >> 4 * i & 15) << 4);
		break;
	}
	return true;
}

static void every_scale_of_every_type(void **state)
{
	(void)state;
	bool seen[TENSOR_N_TYPES] = {false};
	for (size_t s = 0; s < N_SCALES; s++) {
		const struct tensor_type_info *info = info_of(scales[s].type);
		uint32_t group = scales[s].blocks ? (uint32_t)scales[s].blocks : 1, n_blocks = 64;
		seen[scales[s].type] = true;
		for (int k = 0; k < scales[s].n; k++)
			for (uint32_t block = 0; block < n_blocks;
			     block += group * (block < group || block + 2 * group >= n_blocks
						       ? 1
						       : (n_blocks - 2 * group) / group - 1))
				for (int what = 0; what < 4; what++) {
					struct file f = {0};
					add(&f, "a", TENSOR_I8, 40, 0);
					add(&f, "w", scales[s].type, 4ull * info->block_elements,
					    n_blocks / 4);
					build(&f);
					uint8_t *p = f.data + f.t[1].offset +
						     (uint64_t)block * info->block_bytes + scales[s].at[k];
					if (!put(scales[s].width, p, what)) {
						strbuf_free(&f.b);
						continue;
					}
					char names[4][16];
					struct check_result r = check(&f, 1, names);
					assert_int_equal(r.n, what ? 1 : 0);
					if (what) {
						uint32_t hit = block + (group > 1 ? (uint32_t)k : 0);
						assert_string_equal(names[0], "w");
						assert_int_equal(r.findings[0].kind,
								 what == 1 ? CHECK_INFINITE : CHECK_NAN);
						assert_int_equal(r.findings[0].n, 1);
						assert_int_equal(r.findings[0].first,
								 (uint64_t)hit * info->block_elements);
					}
					done(&f, &r);
				}
	}
	for (uint32_t id = 0; id < TENSOR_N_TYPES; id++) {
		bool integer = id == TENSOR_I8 || id == TENSOR_I16 || id == TENSOR_I32 || id == TENSOR_I64;
		if (info_of(id) && !integer && !seen[id])
			fail_msg("type %u has no row here", id);
	}
}

/* For the formats that hokku computes with: a block is told if, and only if, a number of it is not finite. */
static void as_dequantised(void **state)
{
	(void)state;
	for (uint32_t type = 0; type < TENSOR_N_TYPES; type++) {
		const struct format *fmt = format_get((enum tensor_type)type);
		if (!fmt)
			continue;
		enum { BLOCKS = 2048 };
		struct file f = {0};
		add(&f, "w", type, fmt->block_elements, BLOCKS);
		build(&f);
		for (uint64_t i = 0; i < f.t[0].n_bytes; i++) {
			uint32_t words[4];
			rng_words(type, RNG_STREAM_TEST, i, words);
			f.data[i] = (uint8_t)(words[0] & 1 ? words[1] : words[1] | 0x7C);
		}
		uint64_t n_bad = 0;
		float values[256];
		for (uint64_t b = 0; b < BLOCKS; b++) {
			bool bad = false;
			fmt->dequantise(f.data + b * fmt->block_bytes, values, fmt->block_elements);
			for (uint32_t i = 0; i < fmt->block_elements; i++)
				bad = bad || !isfinite(values[i]);
			n_bad += bad;
		}
		struct check_result r = check(&f, 2, NULL);
		uint64_t told = 0;
		for (size_t i = 0; i < r.n; i++)
			told += r.findings[i].n;
		assert_true(n_bad > 10);
		assert_int_equal(told, n_bad);
		done(&f, &r);
	}
}

static void counts_and_first_ones(void **state)
{
	(void)state;
	for (uint32_t threads = 1; threads <= 5; threads++) {
		struct file f = {0};
		add(&f, "w", TENSOR_F16, 1024, 4096); /* two pieces of 4 MiB */
		add(&f, "q", TENSOR_Q8_0, 64, 2);
		build(&f);
		static const uint64_t nans[] = {5, 2097151, 2097152, 4194303}, infinities[] = {4194302, 77};
		for (size_t i = 0; i < 4; i++)
			put(F16, f.data + 2 * nans[i], i % 2 ? 2 : 3);
		for (size_t i = 0; i < 2; i++)
			put(F16, f.data + 2 * infinities[i], 1);
		put(F16, f.data + f.t[1].offset + 34, 2);
		char names[8][16];
		struct check_result r = check(&f, threads, names);
		assert_int_equal(r.n, 3);
		assert_int_equal(r.n_tensors, 2);
		assert_int_equal(r.n_bytes, 2 * 4194304 + 4 * 34);
		assert_int_equal(r.n_unknown, 0);
		assert_int_equal(r.findings[0].kind, CHECK_NAN);
		assert_int_equal(r.findings[0].n, 4);
		assert_int_equal(r.findings[0].first, 5);
		assert_int_equal(r.findings[1].kind, CHECK_INFINITE);
		assert_int_equal(r.findings[1].n, 2);
		assert_int_equal(r.findings[1].first, 77);
		assert_string_equal(names[2], "q");
		assert_int_equal(r.findings[2].first, 32);
		done(&f, &r);
	}
	assert_string_equal(check_kind_name(CHECK_NAN), "NaN");
	assert_string_equal(check_kind_name(CHECK_INFINITE), "infinity");
	assert_string_equal(check_kind_name(CHECK_ZEROS), "zeros");
}

/* ---- zeros ---- */

/* A matrix of 100 rows of 1,024 floats (4,096 bytes a row) between two vectors. */
static void matrix_file(struct file *f)
{
	*f = (struct file){0};
	add(f, "blk.0.attn_q.bias", TENSOR_F32, 1024, 0);
	add(f, "w", TENSOR_F32, 1024, 100);
	add(f, "blk.0.ffn_norm.weight", TENSOR_F32, 1024, 0);
	build(f);
}

/* Zeros from a byte of the matrix on: told as a fault, or not. */
static void expect(uint64_t from, uint64_t n, bool fault)
{
	struct file f;
	matrix_file(&f);
	zero(&f, 1, from, n);
	struct check_result r = check(&f, 2, NULL);
	if (r.n != fault)
		fail_msg("zeros from %llu, %llu bytes: %zu", (unsigned long long)from, (unsigned long long)n,
			 r.n);
	if (fault) {
		uint64_t head = (uint64_t)((char *)f.data - f.b.ptr) + f.t[1].offset;
		assert_int_equal(r.findings[0].kind, CHECK_ZEROS);
		assert_int_equal(r.findings[0].n, n);
		assert_int_equal(r.findings[0].first, from / 4);
		assert_int_equal(r.findings[0].begin, head + from);
		assert_int_equal(r.findings[0].end, head + from + n);
	}
	done(&f, &r);
}

static void zeros_in_a_matrix(void **state)
{
	(void)state;
	enum { ROW = 4096 };
	expect(0, ROW, false); /* whole rows */
	expect(7 * ROW, 3 * ROW, false);
	expect(99 * ROW, ROW, false);
	expect(50 * ROW, 50 * ROW, false); /* half of it */
	expect(49 * ROW, 51 * ROW, true);  /* and more */
	expect(0, 100 * ROW, true);
	expect(0, 50 * ROW + 4, true);

	expect(10 * ROW + 2000, ROW - 4, false); /* shorter than 4,096 bytes */
	expect(10 * ROW + 2000, ROW, true);
	expect(10 * ROW + 2000, ROW + 4, true);

	expect(10 * ROW - 32 * 4, 2 * ROW + 32 * 4, false); /* chance */
	expect(10 * ROW - 33 * 4, 2 * ROW + 33 * 4, true);
	expect(10 * ROW - 34 * 4, 2 * ROW + 34 * 4, true);
	expect(10 * ROW, 2 * ROW + 32 * 4, false);
	expect(10 * ROW, 2 * ROW + 33 * 4, true);
	expect(10 * ROW, 2 * ROW + 34 * 4, true);

	expect(0, ROW + 400, true); /* the first and the last row have one neighbour */
	expect(98 * ROW + 2048, ROW + 2048, true);
	expect(400, 2 * ROW, true);
}

/* Columns that are zero in every row are a width that was padded, also where they meet rows of zeros. */
static void padded_columns(void **state)
{
	(void)state;
	for (int side = 0; side < 2; side++)
		for (int rows = 0; rows < 4; rows++) {
			struct file f;
			matrix_file(&f);
			for (uint64_t r = 0; r < 100; r++)
				zero(&f, 1, r * 4096 + (side ? 3000 : 0), side ? 1096 : 1000);
			static const uint64_t first[] = {0, 40, 98, 0}, n[] = {2, 5, 2, 0};
			zero(&f, 1, first[rows] * 4096, n[rows] * 4096);
			struct check_result r = check(&f, 1, NULL);
			assert_int_equal(r.n, 0);
			check_free(&r);
			zero(&f, 1, 20 * 4096 + (side ? 2500 : 900), 4096 + 200); /* a hole all the same */
			r = check(&f, 1, NULL);
			assert_int_equal(r.n, 1);
			done(&f, &r);
		}
}

/* Wide rows: a run may begin and end inside of one. The same columns of the row before make it honest. */
static void inside_of_a_row(void **state)
{
	(void)state;
	for (uint64_t rows = 2; rows <= 4; rows++)
		for (uint64_t hole = 0; hole < rows; hole++) {
			struct file f = {0};
			add(&f, "w", TENSOR_F32, 8192, rows);
			build(&f);
			for (uint64_t r = 0; r < rows; r++)
				zero(&f, 0, r * 32768 + 8000, 6000);
			struct check_result r = check(&f, 1, NULL);
			assert_int_equal(r.n, 0);
			check_free(&r);
			zero(&f, 0, hole * 32768 + 20000, 4096); /* in one row alone */
			r = check(&f, 1, NULL);
			assert_int_equal(r.n, 1);
			assert_int_equal(r.findings[0].first, (hole * 32768 + 20000) / 4);
			done(&f, &r);
		}
}

static void zeros_in_vectors(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint64_t n, from, zeros;
		bool fault;
	} cases[] = {
		{"blk.0.attn_q.bias", 4096, 0, 4096, false},
		{"blk.0.attn_q.bias", 4096, 1000, 2000, false},
		{"output_norm.weight", 4096, 0, 4096, true},
		{"output_norm.weight", 4096, 1000, 1023, false},
		{"output_norm.weight", 4096, 1000, 1024, true},
		{"output_norm.weight", 4096, 3000, 1096, true},
		{"output_norm.bias", 4096, 0, 4096, false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct file f = {0};
		add(&f, cases[i].name, TENSOR_F32, cases[i].n, 0);
		build(&f);
		zero(&f, 0, 4 * cases[i].from, 4 * cases[i].zeros);
		struct check_result r = check(&f, 1, NULL);
		assert_int_equal(r.n, cases[i].fault);
		done(&f, &r);
	}
	/* of a longer run: so many of a norm's, or all of a short one */
	for (uint64_t n = 255; n <= 257; n++)
		for (int all = 0; all < 2; all++) {
			struct file f = {0};
			add(&f, "b", TENSOR_F32, 2000, 0);
			add(&f, "output_norm.weight", TENSOR_F32, all ? n - 200 : 1000, 0);
			build(&f);
			zero(&f, 0, 0, 8000);
			zero(&f, 1, 0, all ? 4 * (n - 200) : 4 * n);
			struct check_result r = check(&f, 1, NULL);
			assert_int_equal(r.n,
					 all || n >= CHECK_NORM ? 2 : 0); /* the bias is in the run as well */
			done(&f, &r);
		}
}

/* A run goes on from tensor to tensor, over what pads them, and is told in each. */
static void a_tail_that_never_came(void **state)
{
	(void)state;
	struct file f = {0};
	char names[8][16];
	add(&f, "first", TENSOR_Q8_0, 64, 100);  /* 6,800 bytes, 16 of padding */
	add(&f, "second", TENSOR_F16, 5, 0);     /* 10 bytes, 22 of padding */
	add(&f, "counts", TENSOR_I32, 100, 0);   /* what is no weight is passed over, */
	add(&f, "third", TENSOR_BF16, 100, 100); /* and ends the run */
	build(&f);
	zero(&f, 0, 6800 - 34 * 21, 34 * 21); /* from the middle of a row on */
	zero(&f, 1, 0, 10);
	zero(&f, 2, 0, 400);
	struct check_result r = check(&f, 1, names);
	assert_int_equal(r.n, 0); /* 746 bytes */
	check_free(&r);
	zero(&f, 0, 6800 - 34 * 121, 34 * 121);
	r = check(&f, 1, names);
	assert_int_equal(r.n, 2);
	assert_string_equal(names[0], "first");
	assert_int_equal(r.findings[0].n, 34 * 121);
	assert_int_equal(r.findings[0].first, 79 * 32);
	assert_string_equal(names[1], "second");
	assert_int_equal(r.findings[1].n, 10);
	assert_int_equal(r.findings[1].first, 0);
	assert_int_equal(r.findings[0].begin, r.findings[1].begin);
	assert_int_equal(r.findings[0].end, r.findings[1].end);
	assert_int_equal(r.findings[0].end - r.findings[0].begin, 34 * 121 + 16 + 10);
	check_free(&r);
	zero(&f, 3, 0, 4200); /* 21 rows of 200 bytes */
	r = check(&f, 1, names);
	assert_int_equal(r.n, 2);
	done(&f, &r);
}

/* Every run of a norm's weights that is long enough, and no other: as counted number by number. */
static void runs_as_counted(void **state)
{
	(void)state;
	enum { N = 6 << 20 };
	for (uint32_t round = 0; round < 12; round++) {
		static const uint32_t types[] = {TENSOR_F32, TENSOR_F16, TENSOR_F64, TENSOR_Q6_K};
		const struct tensor_type_info *info = info_of(types[round % 4]);
		uint64_t unit = info->block_bytes, n_units = N / unit, want = 0, want_bytes = 0, length = 0;
		struct file f = {0};
		add(&f, "norm.weight", types[round % 4], n_units * info->block_elements, 0);
		build(&f);
		for (uint32_t i = 0; i < 600; i++) {
			uint32_t words[4];
			rng_words(round, RNG_STREAM_TEST, i, words);
			uint64_t from = words[0] % n_units, n = words[1] % (2 * 4096 / unit + 1);
			if (i % 4 == 0) /* at the edges of pieces */
				from = (4 << 20) / unit / 8 * 8 - words[2] % (n + 1);
			if (i % 50 == 1)
				from = 0;
			zero(&f, 0, from * unit, (n < n_units - from ? n : n_units - from) * unit);
		}
		for (uint64_t u = 0; u <= n_units; u++) {
			bool is_zero = u < n_units;
			for (uint64_t k = 0; k < unit && is_zero; k++)
				is_zero = f.data[u * unit + k] == 0;
			length += is_zero;
			if (!is_zero && length * unit >= 4096) {
				want++;
				want_bytes += length * unit;
			}
			length = is_zero ? length : 0;
		}
		assert_true(want > 20);
		for (uint32_t threads = 1; threads <= 3; threads++) {
			struct check_result r = check(&f, threads, NULL);
			uint64_t bytes = 0, at = 0;
			for (size_t i = 0; i < r.n; i++) {
				bytes += r.findings[i].n;
				assert_true(r.findings[i].begin >= at); /* in order */
				at = r.findings[i].end;
			}
			assert_int_equal(r.n, want);
			assert_int_equal(bytes, want_bytes);
			check_free(&r);
		}
		strbuf_free(&f.b);
	}
}

/* ---- the file ---- */

static void unknown_types_are_passed_over(void **state)
{
	(void)state;
	struct file f = {0};
	add(&f, "w", TENSOR_F32, 4, 0);
	add(&f, "x", 99, 4, 0);
	build(&f);
	struct check_result r = check(&f, 1, NULL);
	assert_int_equal(r.n, 0);
	assert_int_equal(r.n_tensors, 1);
	assert_int_equal(r.n_unknown, 1);
	assert_int_equal(r.n_bytes, 16);
	done(&f, &r);
}

struct meddling {
	const char *path;
	int calls;
	uint64_t last;
	bool cut;
};

static void on_progress(void *user, uint64_t bytes, uint64_t all)
{
	struct meddling *m = user;
	assert_true(bytes >= m->last && bytes <= all);
	m->last = bytes;
	if (m->calls++ == 0 && m->cut)
		assert_int_equal(truncate(m->path, 5 << 20), 0);
}

static void a_file_that_changes(void **state)
{
	(void)state;
	char path[] = TEST_BINARY_DIR "/check-XXXXXX";
	struct file f = {0};
	struct gguf *g;
	struct hokku_error err;
	int fd = mkstemp(path);
	add(&f, "w", TENSOR_F16, 1024, 16384);
	build(&f);
	assert_int_equal(write(fd, f.b.ptr, f.b.len), f.b.len);
	assert_int_equal(gguf_open_file(path, &g, &err), HOKKU_OK);
	for (int cut = 0; cut < 2; cut++) {
		struct meddling m = {path, 0, 0, cut};
		struct check_result r;
		const struct check_params p = {
			.file = g, .n_threads = 1, .on_progress = on_progress, .user = &m};
		assert_int_equal(check_file(&p, &r, &err), cut ? HOKKU_IO_ERROR : HOKKU_OK);
		assert_int_equal(r.n, 0);
		assert_true(cut ? m.calls < 8 : m.calls >= 8);
		assert_true(cut || m.last == 32 << 20);
		check_free(&r);
	}
	assert_non_null(strstr(err.message, ": ends at byte 5242880; it had"));
	close(fd);
	gguf_close(g);
	unlink(path);
	strbuf_free(&f.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_scale_of_every_type),
		cmocka_unit_test(as_dequantised),
		cmocka_unit_test(counts_and_first_ones),
		cmocka_unit_test(zeros_in_a_matrix),
		cmocka_unit_test(padded_columns),
		cmocka_unit_test(inside_of_a_row),
		cmocka_unit_test(zeros_in_vectors),
		cmocka_unit_test(a_tail_that_never_came),
		cmocka_unit_test(runs_as_counted),
		cmocka_unit_test(unknown_types_are_passed_over),
		cmocka_unit_test(a_file_that_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
