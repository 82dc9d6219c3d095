/*
 * The two checksums by which a hub names contents: SHA-256 of what is kept beside git (64 hexadecimal
 * digits), and git's own SHA-1 of "blob SIZE", a zero byte and the bytes (40).
 */
#ifndef HUB_HASH_H
#define HUB_HASH_H

#include "base/error.h"
#include "base/observer.h"

/* Is text such a checksum, in small letters? */
bool hub_is_hash(const char *text);

/* Of the first n bytes of fd, compared with wanted (hub_is_hash). BAD_FILE where they differ, with both; path
 * and what stand in messages. CANCELLED, IO_ERROR. progress may be NULL; it is told bytes. */
enum hokku_code hub_hash_check(int fd, uint64_t n, const char *wanted, const char *path,
			       const struct observer *observer, struct hokku_error *err);

/* SHA-256 of n bytes as 64 digits. */
void hub_sha256_hex(const void *bytes, size_t n, char out[65]);

#endif
