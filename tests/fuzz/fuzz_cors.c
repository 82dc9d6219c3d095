/* Lists of origins and the origins that pages send: nothing may crash, what a list takes it allows itself,
 * two origins are the same both ways round, and no header that is written has anything in it that a header
 * may not have. */
#include <stdlib.h>
#include <string.h>

#include "server/cors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void add(void *to, const char *name, const char *value)
{
	(void)to;
	require(name[0] && !strpbrk(value, "\r\n"));
}

/* The list, a line feed, an origin, a line feed, headers that are asked for. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hokku_error err = {.message = ""};
	struct origins o = {0}, back = {0};
	char *text = malloc(size + 1);
	require(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	char *origin = strchr(text, '\n');
	if (origin)
		*origin++ = '\0';
	char *headers = origin ? strchr(origin, '\n') : NULL;
	if (headers)
		*headers++ = '\0';
	if (origins_add(&o, text, &err)) {
		require(err.message[0] && err.code == HOKKU_INVALID_REQUEST);
	} else {
		require(origins_any(&o) && o.n <= ORIGINS_MAX);
		for (uint32_t i = 0; i < o.n; i++)
			require(origins_allow(&o, o.names[i]));
		if (origin && o.n == 1 && !o.local && !strchr(origin, ',') && strcmp(origin, "*") != 0 &&
		    strcmp(origin, "localhost") != 0 && origin[0] > ' ' && origin[strlen(origin) - 1] > ' ' &&
		    !origins_add(&back, origin, &err))
			require(origins_allow(&o, str_c(origin)) == origins_allow(&back, o.names[0]));
		/* A header's value has no control character (framing.h). */
		if (origin && !strpbrk(origin, "\r")) {
			cors_answer(&o, origin, add, NULL);
			cors_preflight(&o, origin, "GET", headers, "true", add, NULL);
		}
	}
	free(text);
	return 0;
}
