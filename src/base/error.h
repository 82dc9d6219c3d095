/*
 * Errors: functions that can fail return enum hokku_code and fill a caller-owned struct hokku_error.
 * The usual line is `return err_set(err, HOKKU_BAD_FILE, "...", ...);`, and a caller passes a failure up
 * with `if (rc) return rc;`. err may be NULL everywhere: then only the code is kept.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdarg.h>

#include "hokku.h"

/* Fills err and returns code. A message longer than err holds is cut and ends in "...". */
enum hokku_code err_set(struct hokku_error *err, enum hokku_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "TEXT: " before the message that err already holds; returns its code. */
enum hokku_code err_prefix(struct hokku_error *err, enum hokku_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A reader of one file at a time does not see that these give back what they are given. */
#ifdef __clang_analyzer__
#define err_set(err, code, ...)    ((void)err_set(err, code, __VA_ARGS__), (code))
#define err_prefix(err, code, ...) ((void)err_prefix(err, code, __VA_ARGS__), (code))
#endif

#endif
