/* A GGUF file's parts as bytes, for targets that make files; and CHECK. */
#ifndef FUZZ_GGUF_BYTES_H
#define FUZZ_GGUF_BYTES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define CHECK(condition)          \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

static inline void put_u32(struct strbuf *b, uint32_t v)
{
	strbuf_add(b, &v, 4);
}

static inline void put_u64(struct strbuf *b, uint64_t v)
{
	strbuf_add(b, &v, 8);
}

static inline void put_str(struct strbuf *b, const char *s)
{
	put_u64(b, strlen(s));
	strbuf_add_c(b, s);
}

static inline void put_key(struct strbuf *b, const char *key, uint32_t type)
{
	put_str(b, key);
	put_u32(b, type);
}

#endif
