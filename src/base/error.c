#include "base/error.h"

#include <stdio.h>
#include <string.h>

/* what error.h makes of them for clang-tidy */
#undef err_set
#undef err_prefix

static const struct {
	const char *name;
	int http;
} codes[HOKKU_N_CODES] = {[HOKKU_OK] = {"OK", 200},
#define HOKKU_X(id, status, text) [HOKKU_##id] = {#id, status},
			  HOKKU_ERRORS(HOKKU_X)
#undef HOKKU_X
};

const char *hokku_code_name(enum hokku_code code)
{
	return (unsigned)code < HOKKU_N_CODES ? codes[code].name : "UNKNOWN";
}

int hokku_code_http(enum hokku_code code)
{
	return (unsigned)code < HOKKU_N_CODES ? codes[code].http : 500;
}

const char *hokku_stop_name(enum hokku_stop stop)
{
	static const char *const names[] = {
#define HOKKU_X(name, text) [HOKKU_STOP_##name] = text,
		HOKKU_STOPS(HOKKU_X)
#undef HOKKU_X
	};
	return (unsigned)stop < sizeof names / sizeof *names ? names[stop] : "unknown";
}

/* Marks a message that did not fit; never cuts a UTF-8 character in two. */
static void mark_cut(char *message, size_t size)
{
	size_t end = size - 4;
	while (end > 0 && ((unsigned char)message[end] & 0xC0) == 0x80)
		end--;
	memcpy(message + end, "...", 4);
}

enum hokku_code err_set(struct hokku_error *err, enum hokku_code code, const char *format, ...)
{
	if (!err)
		return code;
	va_list args;
	va_start(args, format);
	int n = vsnprintf(err->message, sizeof err->message, format, args);
	va_end(args);
	err->code = code;
	if (n >= (int)sizeof err->message)
		mark_cut(err->message, sizeof err->message);
	return code;
}

enum hokku_code err_prefix(struct hokku_error *err, enum hokku_code code, const char *format, ...)
{
	if (!err)
		return code;
	char inner[sizeof err->message];
	memcpy(inner, err->message, sizeof inner);
	va_list args;
	va_start(args, format);
	int n = vsnprintf(err->message, sizeof err->message, format, args);
	va_end(args);
	err->code = code;
	if (n >= 0 && n < (int)sizeof err->message) {
		size_t room = sizeof err->message - (size_t)n;
		int m = snprintf(err->message + n, room, ": %s", inner);
		if (m >= (int)room)
			mark_cut(err->message, sizeof err->message);
	} else {
		mark_cut(err->message, sizeof err->message);
	}
	return code;
}
