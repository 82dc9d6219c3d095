/* API keys: a file with one key a line. */
#ifndef SERVER_KEYS_H
#define SERVER_KEYS_H

#include "base/error.h"

enum {
	KEYS_MAX = 1024,
	KEYS_MIN_BYTES = 8,
	KEYS_MAX_BYTES = 256,
	KEYS_MAX_FILE_BYTES = 512 * 1024,
};

struct keys;

/* Reads path. Blank lines and lines that begin with # do not count; spaces around a key neither. A file
 * without a key, a key of a wrong length or with other than printable ASCII is an error that names the line.
 */
enum hokku_code keys_load(const char *path, struct keys **out, struct hokku_error *err);
void keys_free(struct keys *k); /* NULL is allowed */

/* Whether the Authorization header ("Bearer KEY"; NULL: there was none) holds one of the keys. The time it
 * takes tells nothing about how much of a key was right. */
bool keys_allow(const struct keys *k, const char *authorization);

#endif
