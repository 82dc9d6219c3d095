#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static atomic_int current_level = LOG_OFF;

void log_level_set(enum log_level level)
{
	atomic_store(&current_level, (int)level);
}

enum log_level log_level_get(void)
{
	return (enum log_level)atomic_load(&current_level);
}

/* One write() a line, so that lines of several threads never mix. */
void log_write(enum log_level level, const char *format, ...)
{
	static const char *const names[] = {"", "error", "warn ", "info ", "debug"};
	if ((int)level > atomic_load(&current_level))
		return;
	char line[1024], now[32];
	int n = snprintf(line, sizeof line, "%s %s ", clock_iso8601(now), names[level]);
	va_list args;
	va_start(args, format);
	int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
	va_end(args);
	size_t length = m < 0 ? (size_t)n : (size_t)n + (size_t)m;
	if (length > sizeof line - 2)
		length = sizeof line - 2;
	for (char *p = line + n; p < line + length; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	line[length++] = '\n';
	ssize_t written = write(STDERR_FILENO, line, length);
	(void)written;
}
