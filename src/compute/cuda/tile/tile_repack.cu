/*
 * Rows as the file has them to the tile layout (tile_layout.h). A warp writes a unit; what a lane reads are
 * single bytes, because blocks of most formats are aligned to two: this runs once, next to a bus that is
 * slower by far.
 */
#include "compute/cuda/tile/frag.cuh"

namespace
{

enum { WARPS = 4 };

/* Blocks of a file's format; structures: model/format_block32.c and format_block256.c. What they become is
 * TO. */
template <int FILE> struct block_traits;
#define BLOCK_TRAITS(NAME, TO, BYTES, SCALES_FROM, SCALE_HALVES, SCALES_TO)                      \
	template <> struct block_traits<CUDA_##NAME> {                                           \
		enum {                                                                           \
			to = CUDA_##TO,                                                          \
			bytes = BYTES,                                                           \
			scales_from = SCALES_FROM,   /* of the block's float16 scales */         \
			scale_halves = SCALE_HALVES, /* d, or d and m */                         \
			scales_to = SCALES_TO,       /* where they begin in the unit, by rows */ \
		};                                                                               \
	}
BLOCK_TRAITS(Q8_0, Q8_0, 34, 0, 1, 256);
BLOCK_TRAITS(Q4_0, Q4_0, 18, 0, 1, 128);
BLOCK_TRAITS(Q4_1, Q4_1, 20, 0, 2, 128);
BLOCK_TRAITS(Q5_0, Q5_0, 22, 0, 1, 160);
BLOCK_TRAITS(Q5_1, Q5_1, 24, 0, 2, 160);
BLOCK_TRAITS(Q4_K, Q4_K, 144, 0, 2, FRAG_K_SCALES_Q4 + 128);
BLOCK_TRAITS(Q5_K, Q5_K, 176, 0, 2, FRAG_K_SCALES_Q5 + 128);
BLOCK_TRAITS(Q6_K, Q6_K, 210, 208, 1, FRAG_K_SCALES_Q6 + 128);
BLOCK_TRAITS(Q3_K, Q6_K, 110, 108, 1, FRAG_K_SCALES_Q6 + 128);
BLOCK_TRAITS(Q2_K, Q2_K, 84, 80, 2, FRAG_K_SCALES_Q2 + 128);
BLOCK_TRAITS(IQ4_NL, IQ4_NL, 18, 0, 0, 128);
BLOCK_TRAITS(IQ4_XS, IQ4_NL, 136, 0, 0, 128);
#undef BLOCK_TRAITS

__device__ __forceinline__ uint32_t half_word(const uint8_t *p)
{
	return *reinterpret_cast<const uint16_t *>(p);
}

/* Element j (0 .. 31) of chunk c of a block, as the layout stores it. */
template <int FORMAT> __device__ __forceinline__ uint32_t quant(const uint8_t *b, uint32_t c, uint32_t j)
{
	if (FORMAT == CUDA_Q8_0)
		return b[2 + j] ^ 0x80u; /* from -128: + 128 */
	if (FORMAT == CUDA_IQ4_NL || FORMAT == CUDA_IQ4_XS) {
		const uint8_t *q = FORMAT == CUDA_IQ4_NL ? b + 2 : b + 8 + 16 * c;
		return q[j % 16] >> 4 * (j / 16) & 15u;
	}
	if (FORMAT == CUDA_Q2_K)
		return b[16 + 32 * (c / 4) + j] >> 2 * (c % 4) & 3u;
	if (FORMAT == CUDA_Q3_K) /* from -4; of Q6_K: + 32 */
		return (b[32 + 32 * (c / 4) + j] >> 2 * (c % 4) & 3u) + ((b[j] >> c & 1u) << 2) + 28;
	if (FORMAT == CUDA_Q4_K || FORMAT == CUDA_Q5_K) {
		uint32_t q = b[(FORMAT == CUDA_Q4_K ? 16 : 48) + 32 * (c / 2) + j] >> 4 * (c % 2) & 15u;
		return FORMAT == CUDA_Q4_K ? q : q | (b[16 + j] >> c & 1u) << 4;
	}
	if (FORMAT == CUDA_Q6_K) {
		uint32_t half = c / 4, quarter = c % 4;
		uint32_t low = b[64 * half + 32 * (quarter % 2) + j] >> 4 * (quarter / 2) & 15u;
		return low | (b[128 + 32 * half + j] >> 2 * quarter & 3u) << 4;
	}
	const uint32_t at = FORMAT == CUDA_Q4_0 ? 2 : FORMAT == CUDA_Q4_1 ? 4 : FORMAT == CUDA_Q5_0 ? 6 : 8;
	uint32_t q = b[at + j % 16] >> 4 * (j / 16) & 15u;
	if (FORMAT == CUDA_Q5_0 || FORMAT == CUDA_Q5_1)
		q |= (b[at - 4 + j / 8] >> j % 8 & 1u) << 4;
	return q;
}

__device__ __forceinline__ uint2 pack_bytes(const uint32_t q[8])
{
	uint2 w = {q[0] | q[1] << 8 | q[2] << 16 | q[3] << 24, q[4] | q[5] << 8 | q[6] << 16 | q[7] << 24};
	return w;
}

__device__ __forceinline__ uint32_t pack_nibbles(const uint32_t q[8])
{
	uint32_t nibbles = 0;
#pragma unroll
	for (uint32_t i = 0; i < 4; i++)
		nibbles |= (q[2 * i] & 15u) << 4 * i | (q[2 * i + 1] & 15u) << (16 + 4 * i);
	return nibbles;
}

__device__ __forceinline__ uint32_t pack_rotated(const uint32_t q[8])
{
	const uint32_t turns[4] = {0, 4, 28, 8};
	uint32_t nibbles = 0;
#pragma unroll
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t two = q[2 * i] << 6 | q[2 * i + 1] << 22;
		nibbles |= i ? rotate_left(two, 32 - turns[i]) : two;
	}
	return nibbles;
}

/* What is above a number's low four bits, as tile_layout.h packs a lane's eight. */
__device__ __forceinline__ uint32_t pack_fifth(const uint32_t q[8])
{
	uint32_t high = 0;
#pragma unroll
	for (uint32_t i = 0; i < 8; i++)
		high |= q[i] >> 4 << (i / 2 % 2 * 4 + i / 4 * 2 + i % 2);
	return high;
}

/* Q6_K: a word, and two bytes in *high. */
__device__ __forceinline__ uint32_t pack_six(const uint32_t q[8], uint32_t *high)
{
	uint32_t low = 0;
	*high = 0;
#pragma unroll
	for (uint32_t i = 0; i < 2; i++) {
		low |= (q[i] << 4 | q[2 + i] << 10 | (q[6 + i] & 15u)) << 16 * i;
		*high |= (q[4 + i] << 2 | q[6 + i] >> 4) << 8 * i;
	}
	return low;
}

/* Q2_K: sixteen bits. */
__device__ __forceinline__ uint32_t pack_two(const uint32_t q[8])
{
	uint32_t w = 0;
#pragma unroll
	for (uint32_t i = 0; i < 8; i++)
		w |= q[i] << (i % 2 * 8 + i / 2 * 2);
	return w;
}

/* Chunk c of a block of the file's is chunk c % chunks of a unit: IQ4_XS becomes units of 32 columns. */
template <int FILE> struct unit_of {
	enum { format = block_traits<FILE>::to, chunks = frag_traits<format>::chunks };
};

/* A lane's eight numbers of chunk c of block b, which are of its unit's chunk c too, or of its only one. b
 * NULL: the row is padding. */
template <int FILE>
__device__ __forceinline__ void put_quants(uint8_t *unit, const uint8_t *b, uint32_t c, uint32_t lane)
{
	const int FORMAT = unit_of<FILE>::format;
	uint32_t q[8] = {};
#pragma unroll
	for (uint32_t i = 0; i < 8; i++)
		if (b)
			q[i] = quant<FILE>(b, c, lane % 4 * 8 + i);
	c %= unit_of<FILE>::chunks;
	uint32_t *word = reinterpret_cast<uint32_t *>(unit + 128 * c + 4 * lane), high;
	if (FORMAT == CUDA_Q8_0) {
		*reinterpret_cast<uint2 *>(unit + 8 * lane) = pack_bytes(q);
	} else if (FORMAT == CUDA_Q2_K) {
		*reinterpret_cast<uint16_t *>(unit + 64 * c + 2 * lane) = (uint16_t)pack_two(q);
	} else if (FORMAT == CUDA_IQ4_NL) {
		*word = q[0] | q[1] << 4 | q[2] << 8 | q[3] << 12 | q[4] << 16 | q[5] << 20 | q[6] << 24 |
			q[7] << 28;
	} else if (FORMAT == CUDA_Q6_K) {
		*word = pack_six(q, &high);
		*reinterpret_cast<uint16_t *>(unit + FRAG_SIX_HIGH + c / 2 * 128 + 4 * lane + c % 2 * 2) =
			(uint16_t)high;
	} else {
		*word = FORMAT == CUDA_Q4_K ? pack_rotated(q) : pack_nibbles(q);
	}
	if (FORMAT == CUDA_Q5_0 || FORMAT == CUDA_Q5_1)
		unit[128 + lane] = (uint8_t)pack_fifth(q);
	if (FORMAT == CUDA_Q5_K)
		unit[1024 + 32 * c + lane] = (uint8_t)pack_fifth(q);
}

/* The scale (low byte) and min of columns 32 c .. 32 c + 31 of a Q4_K or Q5_K block, as format_block256.c
 * says. */
__device__ __forceinline__ uint32_t k_scale_min(const uint8_t *b, uint32_t c)
{
	const uint8_t *s = b + 4;
	if (c < 4)
		return (s[c] & 63u) | (s[c + 4] & 63u) << 8;
	uint32_t scale = (s[c + 4] & 15u) | (uint32_t)(s[c - 4] >> 6) << 4;
	uint32_t min = (uint32_t)(s[c + 4] >> 4) | (uint32_t)(s[c] >> 6) << 4;
	return scale | min << 8;
}

/* Scale i (of 16 columns) of a Q3_K block, as format_block256.c says. */
__device__ __forceinline__ uint32_t q3_scale(const uint8_t *b, uint32_t i)
{
	const uint8_t *s = b + 96;
	return ((s[i % 8] >> i / 8 * 4 & 15u) | (s[8 + i % 4] >> i / 4 * 2 & 3u) << 4) - 32;
}

/* Two bytes of scales of a K block's chunk c. */
template <int FILE> __device__ __forceinline__ uint32_t k_scales(const uint8_t *b, uint32_t c)
{
	if (FILE == CUDA_Q2_K)
		return half_word(b + 2 * c);
	if (FILE == CUDA_Q3_K)
		return (q3_scale(b, 2 * c) & 0xFFu) | (q3_scale(b, 2 * c + 1) & 0xFFu) << 8;
	return FILE == CUDA_Q6_K ? half_word(b + 192 + 2 * c) : k_scale_min(b, c);
}

/* What the numbers of IQ4_NL, and of chunk c of IQ4_XS, are multiplied by. */
template <int FILE> __device__ __forceinline__ float table_scale(const uint8_t *b, uint32_t c)
{
	float d = half_bits_to_float((uint16_t)half_word(b));
	if (FILE == CUDA_IQ4_NL)
		return d;
	uint32_t low = b[4 + c / 2] >> c % 2 * 4 & 15u, high = half_word(b + 2) >> 2 * c & 3u;
	return d * (float)((int)(low | high << 4) - 32);
}

/* Where row `row` (0 .. 7) of a tile has the block that chunk `chunk` of the row is in; NULL: the row is
 * padding. */
template <int FILE>
__device__ __forceinline__ const uint8_t *block_at(const struct tile_repack_args *a, uint32_t tile,
						   uint32_t row, uint32_t chunk)
{
	const uint32_t chunks = FILE == CUDA_IQ4_XS ? 8 : unit_of<FILE>::chunks; /* of a block */
	uint32_t i = tile * TILE_ROWS + row; /* of the rows that are here */
	return i < a->n ? a->rows + i * a->row_bytes + (uint64_t)(chunk / chunks) * block_traits<FILE>::bytes
			: NULL;
}

template <int FILE>
__device__ __forceinline__ void put_unit(const struct tile_repack_args *a, uint32_t tile, uint32_t u,
					 uint8_t *unit, uint32_t lane)
{
	typedef block_traits<FILE> traits;
	const uint32_t chunks = unit_of<FILE>::chunks, first = u * chunks; /* first: of the row */
	const uint8_t *b = block_at<FILE>(a, tile, lane / 4, first);
	for (uint32_t c = 0; c < chunks; c++)
		put_quants<FILE>(unit, b, (first + c) % 8, lane);
	if (chunks > 1)
		for (uint32_t i = lane; i < 64; i += 32) { /* [chunk][row] */
			b = block_at<FILE>(a, tile, i % 8, first);
			*reinterpret_cast<uint16_t *>(unit + traits::scales_to - 128 + 2 * i) =
				(uint16_t)(b ? k_scales<FILE>(b, i / 8) : 0);
		}
	if ((int)unit_of<FILE>::format == CUDA_IQ4_NL && lane < 8) {
		b = block_at<FILE>(a, tile, lane, first);
		*reinterpret_cast<float *>(unit + traits::scales_to + 4 * lane) =
			b ? table_scale<FILE>(b, first % 8) : 0;
	}
	if constexpr (traits::scale_halves > 0) {
		const uint32_t halves = traits::scale_halves;
		if (lane < 8 * halves) {
			b = block_at<FILE>(a, tile, lane / halves, first);
			*reinterpret_cast<uint16_t *>(unit + traits::scales_to + 2 * lane) =
				(uint16_t)(b ? half_word(b + traits::scales_from + 2 * (lane % halves)) : 0);
		}
	}
}

/* ---- formats of halves ---- */

/* Column `column` of a row of BF16 or F32, as the bits of a float. */
template <int FILE> __device__ __forceinline__ uint32_t float_at(const uint8_t *row, uint32_t column)
{
	if (FILE == CUDA_BF16)
		return half_word(row + 2 * column) << 16;
	return *reinterpret_cast<const uint32_t *>(row + 4 * column);
}

enum {
	LARGEST_EXPONENT = 127 + 14, /* of a row's numbers, when they are scaled */
	MOST_SHIFT = 126,            /* that 2^shift and 2^-shift are normal floats */
};

/* A warp a row: its scale, 2^-shift. Infinities and NaN stay what they are. */
template <int FILE>
__global__ void __launch_bounds__(WARPS * 32) scale_kernel(const struct tile_repack_args a)
{
	uint32_t i = blockIdx.x * WARPS + threadIdx.x / 32, largest = 0;
	if (i >= (a.n + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS)
		return;
	for (uint32_t c = threadIdx.x % 32; c < a.m.cols && i < a.n; c += 32) {
		uint32_t exponent = float_at<FILE>(a.rows + i * a.row_bytes, c) >> 23 & 0xFFu;
		largest = exponent < 0xFFu && exponent > largest ? exponent : largest;
	}
	for (int bit = 16; bit >= 1; bit /= 2) {
		uint32_t other = __shfl_xor_sync(FULL_WARP, largest, bit);
		largest = other > largest ? other : largest;
	}
	int shift = (int)LARGEST_EXPONENT - (int)largest;
	shift = shift < MOST_SHIFT ? shift : (int)MOST_SHIFT;
	if (threadIdx.x % 32 == 0)
		*tile_row_scale(a.m.data, a.first + i) = __uint_as_float((uint32_t)(127 - shift) << 23);
}

/* A lane's eight halves of a unit. */
__device__ __forceinline__ void put_halves(uint8_t *unit, uint32_t lane, const uint32_t h[8])
{
	uint4 w = {h[0] | h[1] << 16, h[2] | h[3] << 16, h[4] | h[5] << 16, h[6] | h[7] << 16};
	*reinterpret_cast<uint4 *>(unit + 16 * lane) = w;
}

/* BF16 and F32. PLANES: of halves. */
template <int FILE, int PLANES>
__device__ __forceinline__ void put_scaled(const struct tile_repack_args *a, uint32_t tile, uint32_t u,
					   uint8_t *unit, uint32_t lane)
{
	uint32_t i = tile * TILE_ROWS + lane / 4, first = 32 * u + lane % 4 * 8, high[8] = {}, low[8] = {};
	const uint8_t *row = a->rows + i * a->row_bytes;
	float times = 0;
	if (i < a->n) /* 2^shift from 2^-shift, whose exponents are 127 + shift and 127 - shift */
		times = __uint_as_float((254u << 23) -
					__float_as_uint(*tile_row_scale(a->m.data, a->first + i)));
#pragma unroll
	for (uint32_t j = 0; j < 8; j++) {
		if (i >= a->n || first + j >= a->m.cols)
			continue;
		float v = __uint_as_float(float_at<FILE>(row, first + j)) * times;
		high[j] = half2_pack(v, 0);
		float left = v - half_bits_to_float((uint16_t)high[j]);
		low[j] = left == left ? half2_pack(left, 0) : 0; /* nothing, of infinity and NaN */
	}
	put_halves(unit, lane, high);
	if (PLANES > 1)
		put_halves(unit + 512, lane, low);
}

template <>
__device__ __forceinline__ void put_unit<CUDA_BF16>(const struct tile_repack_args *a, uint32_t tile,
						    uint32_t u, uint8_t *unit, uint32_t lane)
{
	put_scaled<CUDA_BF16, 1>(a, tile, u, unit, lane);
}

template <>
__device__ __forceinline__ void put_unit<CUDA_F32>(const struct tile_repack_args *a, uint32_t tile,
						   uint32_t u, uint8_t *unit, uint32_t lane)
{
	if (a->m.format == CUDA_F32)
		put_scaled<CUDA_F32, 2>(a, tile, u, unit, lane);
	else
		put_scaled<CUDA_F32, 1>(a, tile, u, unit, lane);
}

template <>
__device__ __forceinline__ void put_unit<CUDA_F16>(const struct tile_repack_args *a, uint32_t tile,
						   uint32_t u, uint8_t *unit, uint32_t lane)
{
	uint32_t i = tile * TILE_ROWS + lane / 4, first = 32 * u + lane % 4 * 8, h[8] = {};
	const uint8_t *row = a->rows + i * a->row_bytes;
#pragma unroll
	for (uint32_t j = 0; j < 8; j++)
		if (i < a->n && first + j < a->m.cols)
			h[j] = half_word(row + 2 * (first + j));
	put_halves(unit, lane, h);
}

/* Tiles to write: those of the rows that are here, and the one that makes the last a pair. */
__host__ __device__ __forceinline__ uint32_t tiles_here(const struct tile_repack_args *a)
{
	uint32_t n = (a->n + TILE_ROWS - 1) / TILE_ROWS;
	bool last = a->first + a->n == a->m.rows;
	return n + (a->m.bundle && last && a->m.n_tiles % 2 ? 1 : 0);
}

/* Paired: what is left of the lines after unit u of the segment's n, if it is the last of its bundle. */
__device__ __forceinline__ void pad_group(const struct tile_matrix *m, uint32_t n, uint32_t u, uint8_t *unit,
					  uint32_t lane)
{
	const uint32_t bytes = m->unit_bytes;
	if (u + 1 < n && (u + 1) % m->bundle)
		return;
	uint32_t units = u % m->bundle + 1, pad = tile_bundle_bytes(units, bytes) - 2 * units * bytes;
	for (uint32_t i = lane; i < pad / 4; i += 32)
		reinterpret_cast<uint32_t *>(unit + bytes)[i] = 0;
}

template <int FILE>
__global__ void __launch_bounds__(WARPS * 32) repack_kernel(const struct tile_repack_args a)
{
	uint32_t at = blockIdx.x * WARPS + threadIdx.x / 32, tile = at / a.m.n_units, u = at % a.m.n_units;
	if (tile >= tiles_here(&a))
		return;
	uint32_t s = 0, to_tile = a.first / TILE_ROWS + tile;
	while (tile_segment(a.m.n_units, s + 1) <= u)
		s++;
	uint8_t *unit = const_cast<uint8_t *>(a.m.data) + tile_offset(&a.m, to_tile, s, u);
	put_unit<FILE>(&a, tile, u, unit, threadIdx.x % 32);
	if (a.m.bundle && to_tile % 2) {
		uint32_t first = tile_segment(a.m.n_units, s), n = tile_segment(a.m.n_units, s + 1) - first;
		pad_group(&a.m, n, u - first, unit, threadIdx.x % 32);
	}
}

struct wide_args {
	struct tile_matrix m;
	uint32_t *any;
};

/* A warp a tile and segment: lane 4 g + t looks at row g's chunks t, t + 4. */
template <int FORMAT> __global__ void wide_kernel(const struct wide_args a)
{
	uint32_t g = threadIdx.x / 4, t = threadIdx.x % 4, tile = blockIdx.x, s = blockIdx.y;
	bool wide = false;
	for (uint32_t u = tile_segment(a.m.n_units, s); u < tile_segment(a.m.n_units, s + 1); u++) {
		const uint8_t *unit = a.m.data + tile_offset(&a.m, tile, s, u);
		for (uint32_t c = t; c < 8; c += 4)
			for (uint32_t i = 0; i < frag_traits<FORMAT>::scales; i++)
				wide |= frag_wide<FORMAT>(frag_scale_word<FORMAT>(unit, c, g, 2 * i));
	}
	if (wide)
		*a.any = 1;
}

template <int FILE> void launch_scales(const struct tile_repack_args *a, cudaStream_t stream)
{
	void (*kernel)(struct tile_repack_args) = scale_kernel<FILE>;
	uint32_t rows = (a->n + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
	LAUNCH(kernel, dim3((rows + WARPS - 1) / WARPS), dim3(WARPS * 32), 0, stream, *a);
}

template <int FILE> void launch_repack(const struct tile_repack_args *a, cudaStream_t stream)
{
	void (*kernel)(struct tile_repack_args) = repack_kernel<FILE>;
	uint64_t units = (uint64_t)tiles_here(a) * a->m.n_units;
	LAUNCH(kernel, dim3((unsigned)((units + WARPS - 1) / WARPS)), dim3(WARPS * 32), 0, stream, *a);
}

} // namespace

#define REPACK_CASE(name)                              \
	case CUDA_##name:                              \
		launch_repack<CUDA_##name>(a, stream); \
		break;

cudaError_t tile_repack(const struct tile_repack_args *a, cudaStream_t stream)
{
	if (a->m.file == CUDA_BF16)
		launch_scales<CUDA_BF16>(a, stream);
	if (a->m.file == CUDA_F32)
		launch_scales<CUDA_F32>(a, stream);
	switch (a->m.file) {
		CUDA_FORMATS(REPACK_CASE)
	default:
		return cudaErrorInvalidValue;
	}
	return cudaGetLastError();
}

cudaError_t tile_find_wide(const struct tile_matrix *m, uint32_t *any, cudaStream_t stream)
{
	const struct wide_args a = {*m, any};
	void (*kernel)(struct wide_args) = m->format == CUDA_Q4_K   ? wide_kernel<CUDA_Q4_K>
					   : m->format == CUDA_Q6_K ? wide_kernel<CUDA_Q6_K>
								    : NULL;
	if (!kernel || m->n_tiles == 0)
		return cudaSuccess;
	LAUNCH(kernel, dim3(m->n_tiles, TILE_SEGMENTS), dim3(32), 0, stream, a);
	return cudaGetLastError();
}
