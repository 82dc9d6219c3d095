#include "base/log.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

static atomic_int current_level = LOG_OFF, current_format = LOG_TEXT;
static const char *const names[] = {"", "error", "warn", "info", "debug"};

void log_level_set(enum log_level level)
{
	atomic_store(&current_level, (int)level);
}

enum log_level log_level_get(void)
{
	return (enum log_level)atomic_load(&current_level);
}

void log_format_set(enum log_format format)
{
	atomic_store(&current_format, (int)format);
}

/* The lock keeps lines of several threads apart where one is longer than a pipe takes at once. */
static void put(const char *line, size_t n)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&lock);
	while (n > 0) {
		ssize_t written = write(STDERR_FILENO, line, n);
		if (written <= 0)
			break;
		line += written;
		n -= (size_t)written;
	}
	pthread_mutex_unlock(&lock);
}

static void begin(struct log_line *l, enum log_level level, struct str text)
{
	char now[32];
	l->out = (struct strbuf){0};
	l->json = atomic_load(&current_format) == LOG_JSON;
	clock_iso8601(now);
	if (l->json) {
		strbuf_addf(&l->out, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":", now, names[level]);
		strbuf_add_json(&l->out, text.ptr, text.len);
		return;
	}
	strbuf_addf(&l->out, "%s %-5s ", now, names[level]);
	for (size_t i = 0; i < text.len; i++) { /* it may hold the name of a file, which may hold anything */
		unsigned char c = (unsigned char)text.ptr[i];
		strbuf_add(&l->out, c < ' ' || c == 0x7f ? " " : text.ptr + i, 1);
	}
}

/* Without memory a line is lost. */
static void end(struct log_line *l)
{
	strbuf_add_c(&l->out, l->json ? "}\n" : "\n");
	if (!l->out.failed)
		put(l->out.ptr, l->out.len);
	strbuf_free(&l->out);
}

void log_write(enum log_level level, const char *format, ...)
{
	struct log_line l;
	char text[1024];
	va_list args;
	if ((int)level > atomic_load(&current_level))
		return;
	va_start(args, format);
	int n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	size_t length = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
	begin(&l, level, (struct str){text, length});
	end(&l);
}

void log_begin(struct log_line *l, enum log_level level, const char *text)
{
	*l = (struct log_line){.on = (int)level <= atomic_load(&current_level)};
	if (l->on)
		begin(l, level, str_c(text));
}

static void add_name(struct log_line *l, const char *name)
{
	strbuf_addf(&l->out, l->json ? ",\"%s\":" : " %s=", name);
}

static bool is_plain(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] > '~' || s.ptr[i] == '"' || s.ptr[i] == '=')
			return false;
	return s.len > 0;
}

void log_str(struct log_line *l, const char *name, struct str value)
{
	if (!l->on)
		return;
	add_name(l, name);
	if (!l->json && is_plain(value))
		strbuf_add(&l->out, value.ptr, value.len);
	else
		strbuf_add_json(&l->out, value.ptr, value.len);
}

void log_u64(struct log_line *l, const char *name, uint64_t value)
{
	if (!l->on)
		return;
	add_name(l, name);
	strbuf_addf(&l->out, "%" PRIu64, value);
}

void log_ms(struct log_line *l, const char *name, double value)
{
	if (!l->on)
		return;
	add_name(l, name);
	strbuf_addf(&l->out, "%.1f", value);
}

void log_detail(struct log_line *l, const char *name, const char *value)
{
	if (l->on && l->json)
		log_str(l, name, str_c(value));
}

void log_end(struct log_line *l)
{
	if (l->on)
		end(l);
}
