/*
 * Notes for the operator on stderr, one line each: "2026-11-23T08:15:30.123Z info  text", or in the format
 * LOG_JSON an object: {"time":"2026-11-23T08:15:30.123Z","level":"info","message":"text"}. Library code logs
 * nothing unless a program asked for it with log_level_set (the default is LOG_OFF); results never come this
 * way. Any thread.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/str.h"

enum log_level { LOG_OFF, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

/* Of the whole process, from any thread. What is above the level is not written. */
void log_level_set(enum log_level level);
enum log_level log_level_get(void);
void log_format_set(enum log_format format);
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

/* A line with fields: "text name=value ...", where a value that is not one plain word is quoted, or members
 * of the object. Begin, fields, end; a line of a level that is off is nothing. */
struct log_line {
	struct strbuf out;
	bool on, json;
};

/* A line with members: begun, members added, ended. Nothing is done where the level says that it is not
 * written. text: what it says, before them. */
void log_begin(struct log_line *l, enum log_level level, const char *text);
void log_str(struct log_line *l, const char *name, struct str value);
void log_u64(struct log_line *l, const char *name, uint64_t value);
void log_ms(struct log_line *l, const char *name, double value); /* to a tenth */
/* A field of LOG_JSON alone, of what text says already. */
void log_detail(struct log_line *l, const char *name, const char *value);
void log_end(struct log_line *l);

#endif
