/*
 * Lines from standard input: on a terminal edited and with a history (libedit), from a pipe or a file as they
 * are. A byte in the pipe that is given wakes a terminal's reader: what came so, and the line so far, is
 * dropped.
 */
#ifndef CLI_LINE_READER_H
#define CLI_LINE_READER_H

#include <stdbool.h>

#include "base/error.h"
#include "base/str.h"

struct line_reader;

enum line_end { LINE_READ, LINE_OVER, LINE_INTERRUPTED, LINE_FAILED };

enum { LINE_MAX_BYTES = 64 << 20 };

/* wake: the descriptor to read from. max_bytes: of a line that comes through a pipe, without its end. NULL:
 * no memory, or a terminal that cannot be used, in err. */
struct line_reader *line_reader_open(bool terminal, int wake, size_t max_bytes, struct hokku_error *err);
void line_reader_close(struct line_reader *r); /* NULL is allowed */

/* The next line, without its end (LF or CRLF), in *line, until the next call. prompt: on a terminal. FAILED:
 * err has why. */
enum line_end line_reader_next(struct line_reader *r, const char *prompt, struct str *line,
			       struct hokku_error *err);

#endif
