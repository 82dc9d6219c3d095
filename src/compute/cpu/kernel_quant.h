/*
 * Products with quantised weights. Activations are bytes in chunks of 32; for each chunk the integer products
 * are exact, then one conversion and a fixed sequence of multiply-adds bring them into the float sum:
 *
 *     sum = fma(float(dot) * scale, d, sum)   and, with a minimum,   sum = fma(minimum, d_sum, sum)
 *
 * Layouts: pack.h.
 */
#include "compute/compute.h"
#include "compute/cpu/tier.h"

/* A chunk of one panel, unpacked: quad j holds columns 4 j .. 4 j + 3 of 16 rows. */
struct wchunk {
	v64 quad[8];
	v16 scale;
	v16 other;  /* the minimum, or the scale of the chunk's second half */
	v16 min[2]; /* of each half, by 32 */
};

KERNEL void unpack_nibbles(const uint8_t *body, struct wchunk *w)
{
	EACH(j, 4)
	{
		v64 x = v64_load(body + 64 * j);
		w->quad[j] = v64_and(x, 0x0F);
		w->quad[j + 4] = v64_and(v64_shr(x, 4), 0x0F);
	}
}

/* Bit j of a byte of `high` is the fifth bit of quad j. */
KERNEL void unpack_fifth_bits(const uint8_t *high, struct wchunk *w)
{
	v64 h = v64_load(high);
	w->quad[0] = v64_or(w->quad[0], v64_and(v64_shl(h, 4), 0x10));
	w->quad[1] = v64_or(w->quad[1], v64_and(v64_shl(h, 3), 0x10));
	w->quad[2] = v64_or(w->quad[2], v64_and(v64_shl(h, 2), 0x10));
	w->quad[3] = v64_or(w->quad[3], v64_and(v64_shl(h, 1), 0x10));
	w->quad[4] = v64_or(w->quad[4], v64_and(h, 0x10));
	w->quad[5] = v64_or(w->quad[5], v64_and(v64_shr(h, 1), 0x10));
	w->quad[6] = v64_or(w->quad[6], v64_and(v64_shr(h, 2), 0x10));
	w->quad[7] = v64_or(w->quad[7], v64_and(v64_shr(h, 3), 0x10));
}

/* Bits 2 j, 2 j + 1 of a byte of the first 64 are the upper two of quad j, of the next 64 those of quad j
 * + 4. */
KERNEL void unpack_upper_pairs(const uint8_t *high, struct wchunk *w)
{
	EACH(half, 2)
	{
		v64 h = v64_load(high + 64 * half);
		v64 *quad = w->quad + 4 * half;
		quad[0] = v64_or(quad[0], v64_and(v64_shl(h, 4), 0x30));
		quad[1] = v64_or(quad[1], v64_and(v64_shl(h, 2), 0x30));
		quad[2] = v64_or(quad[2], v64_and(h, 0x30));
		quad[3] = v64_or(quad[3], v64_and(v64_shr(h, 2), 0x30));
	}
}

/* Two bits; those of the second half four times as large as they are, for what is not shifted costs nothing.
 */
KERNEL void unpack_two_bits(const uint8_t *body, struct wchunk *w)
{
	EACH(i, 2)
	{
		v64 x = v64_load(body + 64 * i), y = v64_shr(x, 4);
		w->quad[2 * i] = v64_and(x, 0x03);
		w->quad[2 * i + 1] = v64_and(y, 0x03);
		w->quad[2 * i + 4] = v64_and(x, 0x0C);
		w->quad[2 * i + 5] = v64_and(y, 0x0C);
	}
}

/* Three bits; those of the second half eight times as large as they are. */
KERNEL void unpack_three_bits(const uint8_t *body, struct wchunk *w)
{
	v64 x[3];
	EACH(i, 3)
	{
		x[i] = v64_load(body + 64 * i);
		w->quad[i] = v64_and(x[i], 0x07);
		w->quad[i + 4] = v64_and(x[i], 0x38);
	}
	w->quad[3] = v64_or(v64_and(v64_shr(x[0], 6), 0x03), v64_and(v64_shr(x[2], 4), 0x04));
	w->quad[7] = v64_or(v64_and(v64_shr(x[1], 3), 0x18), v64_and(v64_shr(x[2], 2), 0x20));
}

/* IQ4_VALUES, 128 too high as Q8_0's bytes are. */
static const uint8_t iq4_bytes[16] = {1,   24,  45,  63,  79,  93,  106, 118,
				      129, 141, 153, 166, 181, 197, 217, 241};

/* How the float part of a chunk goes. */
enum shape { SHAPE_8, SHAPE_4, SHAPE_5, SHAPE_MIN, SHAPE_6_HALVES, SHAPE_3_HALVES, SHAPE_MIN_HALVES };

KERNEL v16i dot_quads(v16i acc, const v64 *quad, const int8_t *q, int n, bool bytes)
{
	EACH(j, n) acc = bytes ? dot4_q8(acc, quad[j], q + 4 * j) : dot4(acc, quad[j], q + 4 * j);
	return acc;
}

/* Does each half of a chunk have a scale of its own? */
KERNEL bool shape_has_halves(const enum shape shape)
{
	return shape == SHAPE_6_HALVES || shape == SHAPE_3_HALVES || shape == SHAPE_MIN_HALVES;
}

/* What the integer sum of a half starts from, or is put right by: six bits are stored 32 too high, three bits
 * 4, and those of the second half are eight times as large. */
KERNEL int32_t half_offset(const struct qchunk *a, int half, const enum shape shape)
{
	if (shape == SHAPE_MIN_HALVES)
		return 0;
	return shape == SHAPE_3_HALVES && half == 0 ? a->half_minus_4 : a->half_minus_32[half];
}

/* Minima are by 32, as the sums of halves are kept times -32: exact, and the sign is right. */
KERNEL v16 add_halves(v16 sum, v16i lo, v16i hi, const struct wchunk *w, const struct qchunk *a,
		      const enum shape shape)
{
	v16 x = v16_mul(v16_from_i32(lo), w->scale);
	x = v16_fma(v16_from_i32(hi), w->other, x);
	if (shape == SHAPE_MIN_HALVES) {
		EACH(i, 2) x = v16_fma(w->min[i], v16_from_i32(v16i_set1(a->half_minus_32[i])), x);
	}
	return v16_fma(x, v16_set1(a->d), sum);
}

KERNEL v16 add_group(v16 sum, const struct wchunk *w, const struct qchunk *a, const enum shape shape)
{
	if (shape_has_halves(shape)) {
		v16i lo = dot_quads(v16i_set1(half_offset(a, 0, shape)), w->quad, a->q, 4, false);
		v16i hi = dot_quads(v16i_set1(half_offset(a, 1, shape)), w->quad + 4, a->q + 16, 4, false);
		return add_halves(sum, lo, hi, w, a, shape);
	}
	v16i dot;
	if (shape == SHAPE_8)
		dot = dot4_q8_start(a);
	else
		dot = v16i_set1(shape == SHAPE_4 ? a->minus_8 : shape == SHAPE_5 ? a->minus_16 : 0);
	dot = dot_quads(dot, w->quad, a->q, 8, shape == SHAPE_8);
	sum = v16_fma(v16_mul(v16_from_i32(dot), w->scale), v16_set1(a->d), sum);
	if (shape == SHAPE_MIN)
		sum = v16_fma(w->other, v16_set1(a->d_sum), sum);
	return sum;
}

/* Scales of a super-block, as floats; or what they are made of chunk by chunk. */
struct scales {
	v16 scale[16];
	v16 min[16];
	const uint8_t *bytes;
	v16 unit[2], min_unit;
};

/* Q4_K and Q5_K keep sixteen 6-bit numbers a row in 12 bytes: scales of chunks 0-3, 4-7 and minima of chunks
 * 0-3 in the low six bits of three 64-byte vectors (4 chunks x 16 rows); minima of chunks 4-7 in their upper
 * pairs. */
KERNEL void unpack_k_scales(const uint8_t *head, struct scales *s)
{
	_Alignas(64) uint8_t six[4][64];
	v64 a = v64_load(head + 64), b = v64_load(head + 128), c = v64_load(head + 192);
	v64_store(six[0], v64_and(a, 0x3F));
	v64_store(six[1], v64_and(b, 0x3F));
	v64_store(six[2], v64_and(c, 0x3F));
	v64 top = v64_or(v64_and(v64_shr(a, 6), 0x03), v64_and(v64_shr(b, 4), 0x0C));
	v64_store(six[3], v64_or(top, v64_and(v64_shr(c, 2), 0x30)));
	v16 d = v16_load_f16(head), minus_dmin = v16_sub(v16_set1(0), v16_load_f16(head + 32));
	for (int g = 0; g < 8; g++) {
		s->scale[g] = v16_mul(d, v16_load_u8(six[g / 4] + g % 4 * 16));
		s->min[g] = v16_mul(minus_dmin, v16_load_u8(six[2 + g / 4] + g % 4 * 16));
	}
}

/* n signed bytes a row, times d; every second, where it is a second half's, times `unit`, a power of two. */
KERNEL void unpack_signed_scales(const uint8_t *head, const int n, const float unit, struct scales *s)
{
	v16 d = v16_load_f16(head), d2 = unit == 1 ? d : v16_mul(d, v16_set1(unit));
	for (int g = 0; g < n; g++)
		s->scale[g] = v16_mul(g % 2 ? d2 : d, v16_load_i8(head + 32 + 16 * g));
}

/* A byte a half chunk, scale and minimum: which byte is the lowest of a row's four is a matter of where one
 * begins to read, up to three bytes into the body. */
KERNEL void unpack_q2_scales(const struct scales *s, int g, struct wchunk *w)
{
	const uint8_t *bytes = s->bytes + 64 * (g / 2) + 2 * (g % 2);
	v64 lo = v64_load(bytes), hi = v64_load(bytes + 1);
	w->scale = v16_mul(s->unit[0], v16_nibble(lo));
	w->other = v16_mul(s->unit[1], v16_nibble(hi));
	w->min[0] = v16_mul(s->min_unit, v16_nibble(v64_shr(lo, 4)));
	w->min[1] = v16_mul(s->min_unit, v16_nibble(v64_shr(hi, 4)));
}

/* One format: where its pieces are and how they unpack. All constant, so that the compiler makes a kernel of
 * it. */
struct layout {
	enum pack_kind kind;
	enum shape shape;
	int chunks;     /* a block */
	int head_bytes; /* a block of a panel */
	int body_bytes; /* a chunk of a panel */
};

KERNEL void unpack_block(const struct layout l, const uint8_t *head, struct scales *s)
{
	switch (l.kind) {
	case PACK_Q4_K:
	case PACK_Q5_K:
		unpack_k_scales(head, s);
		break;
	case PACK_Q6_K:
		unpack_signed_scales(head, 16, 1, s);
		break;
	case PACK_Q3_K:
		unpack_signed_scales(head, 16, 1.0f / 8, s); /* as the quants are eight times as large */
		break;
	case PACK_IQ4_XS:
		unpack_signed_scales(head, 8, 1, s);
		break;
	case PACK_Q2_K:
		s->bytes = head + 64;
		s->unit[0] = v16_load_f16(head);
		s->unit[1] = v16_mul(s->unit[0], v16_set1(1.0f / 4)); /* the quants are four times as large */
		s->min_unit = v16_mul(v16_load_f16(head + 32), v16_set1(1.0f / 32));
		break;
	default:
		s->scale[0] = v16_load_f16(head);
		if (l.shape == SHAPE_MIN)
			s->min[0] = v16_load_f16(head + 32);
	}
}

KERNEL void unpack_group(const struct layout l, const struct scales *s, int g, const uint8_t *body,
			 struct wchunk *w)
{
	if (l.kind == PACK_Q2_K) {
		unpack_q2_scales(s, g, w);
	} else if (shape_has_halves(l.shape)) {
		w->scale = s->scale[2 * g];
		w->other = s->scale[2 * g + 1];
	} else {
		w->scale = s->scale[g];
		if (l.shape == SHAPE_MIN)
			w->other = s->min[g];
	}
	if (l.kind == PACK_Q8_0) {
		EACH(j, 8) w->quad[j] = v64_load(body + 64 * j);
		return;
	}
	if (l.kind == PACK_Q2_K) {
		unpack_two_bits(body, w);
		return;
	}
	if (l.kind == PACK_Q3_K) {
		unpack_three_bits(body, w);
		return;
	}
	unpack_nibbles(body, w);
	if (l.kind == PACK_IQ4_NL || l.kind == PACK_IQ4_XS)
		EACH(j, 8) w->quad[j] = v64_lookup(w->quad[j], iq4_bytes);
	if (l.kind == PACK_Q5_0 || l.kind == PACK_Q5_1 || l.kind == PACK_Q5_K)
		unpack_fifth_bits(body + 256, w);
	if (l.kind == PACK_Q6_K)
		unpack_upper_pairs(body + 256, w);
}

KERNEL void quant_tile(const struct layout l, const struct product *p, uint32_t panel, uint32_t t0,
		       const int tokens)
{
	const uint8_t *head = p->head + panel * p->panel_bytes, *body = p->body + panel * p->panel_bytes;
	const uint8_t *ahead = head + PREFETCH_AHEAD;
	const int chunk_bytes = l.body_bytes + l.head_bytes / l.chunks;
	/* Tokens that follow find in cache what the first have read. */
	const bool fetches = tokens == 1 || (p->ahead && t0 == 0);
	const struct qchunk *acts = (const struct qchunk *)p->acts + t0;
	float *out = p->out + (size_t)t0 * SLAB_ROWS + panel * PANEL;
	v16 sum[QUANT_TILE];
	EACH(t, tokens) sum[t] = p->first ? v16_set1(0) : v16_load(out + t * SLAB_ROWS);
	for (uint32_t b = 0; b < p->depth; b++) {
		struct scales s;
		unpack_block(l, head, &s);
		for (int g = 0; g < l.chunks; g++) {
			struct wchunk w;
			if (fetches)
				EACH(j, (chunk_bytes + 63) / 64) __builtin_prefetch(ahead + 64 * j);
			ahead += chunk_bytes;
			unpack_group(l, &s, g, body, &w);
			EACH(t, tokens) sum[t] = add_group(sum[t], &w, acts + t, l.shape);
			body += l.body_bytes;
			acts += p->tokens;
		}
		head += l.head_bytes;
	}
	EACH(t, tokens) v16_store(out + t * SLAB_ROWS, sum[t]);
}

/* A tile of any width, cut into widths that have a kernel. */
KERNEL void quant_product(const struct layout l, const struct product *p)
{
	for (uint32_t panel = 0; panel < p->panels; panel++) {
		uint32_t t = 0, left = p->tokens;
#if QUANT_TOKENS >= 16
		for (; left >= 16; t += 16, left -= 16)
			quant_tile(l, p, panel, t, 16);
#endif
#if QUANT_TOKENS >= 8
		for (; left >= 8; t += 8, left -= 8)
			quant_tile(l, p, panel, t, 8);
#endif
#if QUANT_TOKENS >= 4
		for (; left >= 4; t += 4, left -= 4)
			quant_tile(l, p, panel, t, 4);
#endif
		for (; left; t++, left--)
			quant_tile(l, p, panel, t, 1);
	}
}

/* name, shape, chunks a block, bytes of a head, bytes of a body */
#define QUANT_LAYOUTS(X)                       \
	X(Q8_0, SHAPE_8, 1, 32, 512)           \
	X(Q4_0, SHAPE_4, 1, 32, 256)           \
	X(Q4_1, SHAPE_MIN, 1, 64, 256)         \
	X(Q5_0, SHAPE_5, 1, 32, 320)           \
	X(Q5_1, SHAPE_MIN, 1, 64, 320)         \
	X(Q4_K, SHAPE_MIN, 8, 256, 256)        \
	X(Q5_K, SHAPE_MIN, 8, 256, 320)        \
	X(Q6_K, SHAPE_6_HALVES, 8, 288, 384)   \
	X(Q2_K, SHAPE_MIN_HALVES, 8, 320, 128) \
	X(Q3_K, SHAPE_3_HALVES, 8, 288, 192)   \
	X(IQ4_NL, SHAPE_8, 1, 32, 256)         \
	X(IQ4_XS, SHAPE_8, 8, 160, 256)

#define QUANT_PRODUCT(name, shape, chunks, head_bytes, body_bytes)                                     \
	static void product_##name(const struct product *p)                                            \
	{                                                                                              \
		quant_product((struct layout){PACK_##name, shape, chunks, head_bytes, body_bytes}, p); \
	}
#ifndef TIER_TILES
QUANT_LAYOUTS(QUANT_PRODUCT)
#endif

/* Bytes round half to even; a chunk with a NaN or an infinity becomes NaN as a whole, one of next to nothing
 * becomes zero. */
static void quantise(const float *x, uint32_t n, struct qchunk *out, size_t stride)
{
	for (uint32_t g = 0; g < n; g++, x += CHUNK, out += stride) {
		v16 a = v16_load(x), b = v16_load(x + 16), zero = v16_set1(0);
		float largest = v16_hmax(v16_max(v16_abs(a), v16_abs(b)));
		float poison = v16_sum(v16_fma(a, zero, v16_mul(b, zero)));
		float d = largest / 127.0f, inverse = 127.0f / largest;
		if (!(largest >= 0x1p-100f) || poison != 0) {
			inverse = 0;
			d = poison != 0 ? poison : 0;
			a = b = zero;
		}
		v16i qa = v16_to_i32(v16_mul(a, v16_set1(inverse)));
		v16i qb = v16_to_i32(v16_mul(b, v16_set1(inverse)));
		v16i_store_i8(out->q, qa);
		v16i_store_i8(out->q + 16, qb);
		int32_t sum_a = v16i_sum(qa), sum_b = v16i_sum(qb), sum = sum_a + sum_b;
		out->d = d;
		out->d_sum = d * (float)sum;
		out->minus_8 = -8 * sum;
		out->minus_16 = -16 * sum;
		out->minus_128 = -128 * sum;
		out->half_minus_32[0] = -32 * sum_a;
		out->half_minus_32[1] = -32 * sum_b;
		out->half_minus_4 = -4 * sum_a;
	}
}
