/* Whole files: mapped to read, or read into memory under a limit. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct file_map {
	const uint8_t *data; /* NULL for an empty file */
	size_t size;
	int fd; /* of the file, while data is not NULL */
};

/* Maps path read-only and shared; pages are read when touched. Refuses directories and other non-files by
 * name. */
enum hokku_code file_map(const char *path, struct file_map *out, struct hokku_error *err);
void file_unmap(struct file_map *m);

/* Copies bytes offset .. offset + n - 1 of the file to `to` past the mapping. Any number of threads at once.
 * path is for the message: IO_ERROR, also of a file that has become shorter. */
enum hokku_code file_read_at(const struct file_map *m, const char *path, uint64_t offset, void *to, size_t n,
			     struct hokku_error *err);

/* Reads path whole into *out (malloc; terminated with a zero byte that *n_bytes does not count). More than
 * max_bytes is BAD_FILE. "-" is standard input. */
enum hokku_code file_read(const char *path, size_t max_bytes, char **out, size_t *n_bytes,
			  struct hokku_error *err);

#endif
