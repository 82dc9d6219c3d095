/* GGUF files made by hand, right or wrong, byte after byte; and cmocka's headers in their order. */
#ifndef TEST_GGUF_BUILDER_H
#define TEST_GGUF_BUILDER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "gguf/gguf.h"

#define BUILDER static inline __attribute__((unused)) void

BUILDER b_u8(struct strbuf *b, uint8_t v)
{
	strbuf_add(b, &v, 1);
}

BUILDER b_u16(struct strbuf *b, uint16_t v)
{
	for (int i = 0; i < 2; i++)
		b_u8(b, (uint8_t)(v >> 8 * i));
}

BUILDER b_u32(struct strbuf *b, uint32_t v)
{
	const uint8_t bytes[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
	strbuf_add(b, bytes, 4);
}

BUILDER b_u64(struct strbuf *b, uint64_t v)
{
	b_u32(b, (uint32_t)v);
	b_u32(b, (uint32_t)(v >> 32));
}

BUILDER b_f32(struct strbuf *b, float v)
{
	uint32_t bits;
	memcpy(&bits, &v, 4);
	b_u32(b, bits);
}

BUILDER b_f64(struct strbuf *b, double v)
{
	uint64_t bits;
	memcpy(&bits, &v, 8);
	b_u64(b, bits);
}

BUILDER b_str(struct strbuf *b, const char *s)
{
	b_u64(b, strlen(s));
	strbuf_add_c(b, s);
}

/* 24 bytes */
BUILDER b_header(struct strbuf *b, uint32_t version, uint64_t n_tensors, uint64_t n_kv)
{
	strbuf_add_c(b, "GGUF");
	b_u32(b, version);
	b_u64(b, n_tensors);
	b_u64(b, n_kv);
}

/* 8 + strlen(key) + 4 bytes; the value follows */
BUILDER b_key(struct strbuf *b, const char *key, uint32_t type)
{
	b_str(b, key);
	b_u32(b, type);
}

BUILDER b_key_u32(struct strbuf *b, const char *key, uint32_t v)
{
	b_key(b, key, GGUF_U32);
	b_u32(b, v);
}

BUILDER b_key_str(struct strbuf *b, const char *key, const char *v)
{
	b_key(b, key, GGUF_STRING);
	b_str(b, v);
}

/* 12 bytes; the elements follow */
BUILDER b_array(struct strbuf *b, uint32_t type, uint64_t n)
{
	b_u32(b, type);
	b_u64(b, n);
}

/* 8 + strlen(name) + 4 + 8 x n_dims + 4 + 8 bytes */
BUILDER b_tensor(struct strbuf *b, const char *name, uint32_t n_dims, const uint64_t *dims, uint32_t type,
		 uint64_t offset)
{
	b_str(b, name);
	b_u32(b, n_dims);
	for (uint32_t i = 0; i < n_dims; i++)
		b_u64(b, dims[i]);
	b_u32(b, type);
	b_u64(b, offset);
}

#define DIMS(...)                                                   \
	(sizeof((uint64_t[]){__VA_ARGS__}) / 8), (const uint64_t[]) \
	{                                                           \
		__VA_ARGS__                                         \
	}

BUILDER b_zeros(struct strbuf *b, uint64_t n)
{
	assert_true(strbuf_reserve(b, n));
	memset(b->ptr + b->len, 0, n + 1);
	b->len += n;
}

BUILDER b_pad(struct strbuf *b, uint64_t alignment)
{
	while (b->len % alignment)
		b_u8(b, 0);
}

/* Opens a copy of exactly b's bytes (so that a sanitizer sees any step over their end) under the name
 * "x.gguf". *copy is the caller's to free, after gguf_close. */
static inline __attribute__((unused)) enum hokku_code b_open(const struct strbuf *b, void **copy,
							     struct gguf **g, struct hokku_error *err)
{
	*copy = malloc(b->len ? b->len : 1);
	assert_non_null(*copy);
	if (b->len)
		memcpy(*copy, b->ptr, b->len);
	return gguf_open_memory(*copy, b->len, "x.gguf", g, err);
}

/* A rich, right file: every type as a value and in an array, nested arrays, three tensors, alignment 64. */
BUILDER b_rich_kv(struct strbuf *b)
{
	b_key_str(b, "general.architecture", "test");
	b_key_u32(b, "general.alignment", 64);
	b_key(b, "v.u8", GGUF_U8), b_u8(b, 200);
	b_key(b, "v.i8", GGUF_I8), b_u8(b, (uint8_t)-100);
	b_key(b, "v.u16", GGUF_U16), b_u16(b, 60000);
	b_key(b, "v.i16", GGUF_I16), b_u16(b, (uint16_t)-30000);
	b_key(b, "v.u32", GGUF_U32), b_u32(b, 4000000000u);
	b_key(b, "v.i32", GGUF_I32), b_u32(b, (uint32_t)-2000000000);
	b_key(b, "v.f32", GGUF_F32), b_f32(b, 1e-6f);
	b_key(b, "v.true", GGUF_BOOL), b_u8(b, 1);
	b_key(b, "v.false", GGUF_BOOL), b_u8(b, 0);
	b_key(b, "v.u64", GGUF_U64), b_u64(b, UINT64_MAX);
	b_key(b, "v.i64", GGUF_I64), b_u64(b, (uint64_t)INT64_MIN);
	b_key(b, "v.f64", GGUF_F64), b_f64(b, 0.1);
	b_key_str(b, "v.empty", "");
	b_key_str(b, "v.text", "gr\xC3\xBC\xC3\x9F\x65 \"\\\n\xE4\xBF\xB3");
	b_key(b, "a.u8", GGUF_ARRAY), b_array(b, GGUF_U8, 3), b_u8(b, 0), b_u8(b, 127), b_u8(b, 255);
	b_key(b, "a.i8", GGUF_ARRAY), b_array(b, GGUF_I8, 2), b_u8(b, 0x80), b_u8(b, 0x7F);
	b_key(b, "a.u16", GGUF_ARRAY), b_array(b, GGUF_U16, 2), b_u16(b, 0), b_u16(b, 65535);
	b_key(b, "a.i16", GGUF_ARRAY), b_array(b, GGUF_I16, 2), b_u16(b, 0x8000), b_u16(b, 0x7FFF);
	b_key(b, "a.u32", GGUF_ARRAY), b_array(b, GGUF_U32, 2), b_u32(b, 7), b_u32(b, UINT32_MAX);
	b_key(b, "a.i32", GGUF_ARRAY), b_array(b, GGUF_I32, 2), b_u32(b, 0x80000000u), b_u32(b, 0x7FFFFFFF);
	b_key(b, "a.f32", GGUF_ARRAY), b_array(b, GGUF_F32, 3), b_f32(b, 3.4028235e38f), b_f32(b, -0.0f),
		b_f32(b, 1e-45f);
	b_key(b, "a.bool", GGUF_ARRAY), b_array(b, GGUF_BOOL, 3), b_u8(b, 1), b_u8(b, 0), b_u8(b, 1);
	b_key(b, "a.string", GGUF_ARRAY), b_array(b, GGUF_STRING, 3), b_str(b, "one"), b_str(b, ""),
		b_str(b, "\xC4\xA0three");
	b_key(b, "a.u64", GGUF_ARRAY), b_array(b, GGUF_U64, 2), b_u64(b, 1), b_u64(b, UINT64_MAX);
	b_key(b, "a.i64", GGUF_ARRAY), b_array(b, GGUF_I64, 2), b_u64(b, (uint64_t)INT64_MIN),
		b_u64(b, INT64_MAX);
	b_key(b, "a.f64", GGUF_ARRAY), b_array(b, GGUF_F64, 2), b_f64(b, 1.7976931348623157e308),
		b_f64(b, 5e-324);
	b_key(b, "a.none", GGUF_ARRAY), b_array(b, GGUF_STRING, 0);
	/* [[[["deep"]], []], [[[1, 2]]]]: four arrays inside one another */
	b_key(b, "a.nested", GGUF_ARRAY), b_array(b, GGUF_ARRAY, 2);
	b_array(b, GGUF_ARRAY, 2);
	b_array(b, GGUF_ARRAY, 1), b_array(b, GGUF_STRING, 1), b_str(b, "deep");
	b_array(b, GGUF_U8, 0);
	b_array(b, GGUF_ARRAY, 1), b_array(b, GGUF_ARRAY, 1), b_array(b, GGUF_U16, 2), b_u16(b, 1),
		b_u16(b, 2);
}
enum { RICH_KV = 30 };

/* trailing: bytes after the last tensor's padding */
BUILDER b_rich(struct strbuf *b, uint32_t version, uint64_t trailing)
{
	b_header(b, version, 3, RICH_KV);
	b_rich_kv(b);
	b_tensor(b, "token_embd.weight", DIMS(32, 5), TENSOR_Q8_0, 0); /* 5 x 34 = 170 bytes */
	b_tensor(b, "output_norm.weight", DIMS(3), TENSOR_F32, 192);   /* 12 bytes */
	b_tensor(b, "blk.0.cube", DIMS(2, 3, 4, 5), TENSOR_F16, 256);  /* 240 bytes */
	b_pad(b, 64);
	for (int i = 0; i < 256 + 240; i++)
		b_u8(b, (uint8_t)i);
	b_pad(b, 64);
	b_zeros(b, trailing);
}

#endif
