/* SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", INDOCRYPT 2012): a table keyed with a
 * secret stays fast whatever keys a stranger chooses. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash(uint64_t key0, uint64_t key1, const void *bytes, size_t n);

#endif
