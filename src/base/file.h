/* Whole files: mapped to read, or read into memory under a limit. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct file_map {
	const uint8_t *data; /* NULL for an empty file */
	size_t size;
};

/* Maps path read-only and shared; pages are read when touched. Refuses directories and other non-files by
 * name. */
enum hokku_code file_map(const char *path, struct file_map *out, struct hokku_error *err);
void file_unmap(struct file_map *m);

/* Reads path whole into *out (malloc; terminated with a zero byte that *n_bytes does not count). More than
 * max_bytes is BAD_FILE. "-" is standard input. */
enum hokku_code file_read(const char *path, size_t max_bytes, char **out, size_t *n_bytes,
			  struct hokku_error *err);

#endif
