/*
 * A file that appears under its name when it is whole, and not before: until then it has no name at all, so
 * that nothing is left of it however the program ends. On file systems that know no files without a name (and
 * without /proc) it is NAME.HEX.part beside its place meanwhile, which is removed unless the program is
 * killed at once. An older file of its name stays as it is until it is replaced, in one step.
 */
#ifndef BASE_NEW_FILE_H
#define BASE_NEW_FILE_H

#include <stdbool.h>

#include "base/error.h"

struct new_file {
	int fd;     /* to write to; -1: closed */
	char *path; /* the name it will have: links of the path that was given are followed */
	char *part; /* the name it has until then; NULL: none */
};

/*
 * Where path is a link, the file it names is the one to write, be it there yet or not. Other things than
 * files are not replaced. IO_ERROR, OUT_OF_MEMORY; then there is nothing to close.
 */
enum hokku_code new_file_create(struct new_file *f, const char *path, struct hokku_error *err);

/* Puts it on the disk, closes it and gives it its name. Whatever comes of it: new_file_close is next. */
enum hokku_code new_file_finish(struct new_file *f, struct hokku_error *err);

/* Frees everything, and removes what was not finished. {.fd = -1} is allowed. */
void new_file_close(struct new_file *f);

/* The path with its links followed, as far as they go (malloc); NULL: IO_ERROR or OUT_OF_MEMORY in err. */
char *new_file_resolve(const char *path, struct hokku_error *err);

#endif
