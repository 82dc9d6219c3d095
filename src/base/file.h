/*
 * Files: read whole under a limit, or opened and read piece by piece. Nothing is mapped: what a mapping loses
 * when somebody cuts its file ends the process, what a read loses is an error.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/error.h"

struct file {
	int fd;
	uint64_t size;          /* when it was opened, */
	struct timespec change; /* and when its bytes had last been changed by then */
};

/* Opens path to be read. Refuses directories and other non-files by name. */
enum hokku_code file_open(const char *path, struct file *out, struct hokku_error *err);
void file_close(struct file *f);

/* Copies bytes offset .. offset + n - 1 to `to`. Any number of threads at once. path is for the message:
 * IO_ERROR, also of a file that has become shorter. */
enum hokku_code file_read_at(const struct file *f, const char *path, uint64_t offset, void *to, size_t n,
			     struct hokku_error *err);

/* IO_ERROR if the file is no longer what it was when it was opened: what was read since may be of two minds.
 */
enum hokku_code file_unchanged(const struct file *f, const char *path, struct hokku_error *err);

/* The beginning of a file, read as far as it is asked for. It never moves, so that pointers into it stay good
 * while it grows: address space is set aside for the whole file, memory only for what is read. */
struct file_head {
	const struct file *file;
	uint8_t *data; /* (have) bytes; NULL of an empty file */
	uint64_t have;
	size_t mapped; /* bytes of address space */
};
enum hokku_code file_head_open(struct file_head *h, const struct file *f, const char *path,
			       struct hokku_error *err);
/* Makes bytes 0 .. n - 1 readable, at data; n is at most the file's size. */
enum hokku_code file_head_reach(struct file_head *h, uint64_t n, const char *path, struct hokku_error *err);
void file_head_trim(struct file_head *h); /* nothing more will be reached for: the rest is given back */
void file_head_close(struct file_head *h);

/* Reads path whole into *out (malloc; terminated with a zero byte that *n_bytes does not count). More than
 * max_bytes is BAD_FILE. "-" is standard input. */
enum hokku_code file_read(const char *path, size_t max_bytes, char **out, size_t *n_bytes,
			  struct hokku_error *err);

/* The same of a file that somebody else named, in a folder: "-" is a name like others, and what is no file (a
 * pipe would be waited for) is IO_ERROR. */
enum hokku_code file_read_named(const char *path, size_t max_bytes, char **out, size_t *n_bytes,
				struct hokku_error *err);

/* A path without its folders: what stands after the last '/'. */
const char *file_base_name(const char *path);

/* The folder of a path, "." where it names none (malloc; NULL: no memory). */
char *file_folder_of(const char *path);

#endif
