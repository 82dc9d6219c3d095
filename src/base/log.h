/*
 * Notes for the operator on stderr, one line each: "2026-11-23T08:15:30.123Z info  text". Library code logs
 * nothing unless a program asked for it with log_level_set (the default is LOG_OFF); results never come this
 * way.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_OFF, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_level_set(enum log_level level);
enum log_level log_level_get(void);
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

#endif
