/*
 * HTTP requests as they come in: the verdict must not depend on how the bytes arrived, must be one the server
 * can send, and a reader that takes more than we do (as libevent does) must see a good request end where we
 * see it end.
 */
#include <stdlib.h>
#include <strings.h>

#include "server/framing.h"
#include "server/hosts.h"

enum { MAX_HEAD = 512, MAX_BODY = 1000, MAX_INPUT = 8192 };

static void require(bool ok)
{
	if (!ok)
		abort();
}

struct verdict {
	int status;
	enum framing_part part;
	size_t n_taken, n_empty;
};

/* The verdict on the bytes, fed `step` at a time until there is one; they become what the parser would see.
 */
static struct verdict judge(char *bytes, size_t size, size_t step)
{
	static const struct framing_limits limits = {MAX_HEAD, MAX_BODY};
	struct framing f = {0};
	struct framing_fault fault = {0};
	struct verdict v = {0};
	struct str name;
	while (v.n_taken < size && f.part != FRAMING_OVER && !fault.status)
		v.n_taken += framing_take(&f, bytes + v.n_taken,
					  size - v.n_taken < step ? size - v.n_taken : step, &limits, &fault);
	v.status = fault.status;
	v.part = f.part;
	v.n_empty = f.n_empty;
	require(v.n_taken <= size && v.n_empty <= v.n_taken);
	require(v.status == 0 || v.status == 400 || v.status == 413 || v.status == 501 || v.status == 505);
	require((v.status == 0) == (fault.text[0] == '\0'));
	require(utf8_valid_prefix(fault.text, strlen(fault.text)) == strlen(fault.text));
	if (f.part == FRAMING_OVER && !v.status) {
		const char *path = framing_path(&f);
		require(path[0] == '/' || strcmp(path, "*") == 0);
		require(framing_authority(&f).len < MAX_HEAD);
		hosts_of_origin(str_c(path), &name);
	}
	strbuf_free(&f.head);
	return v;
}

/* The next line of [*at, end), terminated, with LF or CR LF; NULL: there is none. */
static char *read_line(char **at, char *end)
{
	static char line[MAX_INPUT];
	char *lf = memchr(*at, '\n', (size_t)(end - *at));
	if (!lf)
		return NULL;
	size_t n = (size_t)(lf - *at);
	memcpy(line, *at, n);
	line[n - (n > 0 && line[n - 1] == '\r')] = '\0';
	*at = lf + 1;
	return line;
}

/* Where a lenient reader sees the request end; NULL: not in these bytes. */
static char *read_leniently(char *at, char *end)
{
	bool chunked = false;
	long long length = -1;
	char *line = read_line(&at, end);
	while (line && (line = read_line(&at, end)) && *line) {
		char *value = strchr(line, ':');
		require(value != NULL);
		*value++ = '\0';
		value += strspn(value, " ");
		for (size_t n = strlen(value); n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'); n--)
			value[n - 1] = '\0';
		if (strcasecmp(line, "Transfer-Encoding") == 0)
			chunked = strcasecmp(value, "chunked") == 0;
		else if (strcasecmp(line, "Content-Length") == 0 && length < 0)
			length = strtoll(value, NULL, 10);
	}
	if (!line)
		return NULL;
	if (!chunked)
		return length > end - at ? NULL : at + (length > 0 ? length : 0);
	while ((line = read_line(&at, end))) {
		char *after;
		long long size = strtoll(line, &after, 16);
		if (!*line)
			continue;
		require(size >= 0 && after > line && (*after == '\0' || *after == ' '));
		if (size == 0)
			break;
		if (size > end - at)
			return NULL;
		at += size;
	}
	while (line && (line = read_line(&at, end)) && *line)
		require(line[0] == 'x' && strchr(line, ':'));
	return line ? at : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char whole[MAX_INPUT], pieces[MAX_INPUT];
	if (size > MAX_INPUT)
		return 0;
	if (size) {
		memcpy(whole, data, size);
		memcpy(pieces, data, size);
	}
	struct verdict a = judge(whole, size, size ? size : 1), b = judge(pieces, size, 1);
	require(a.status == b.status && a.part == b.part && a.n_taken == b.n_taken && a.n_empty == b.n_empty);
	require(memcmp(whole, pieces, size) == 0);
	if (a.part == FRAMING_OVER && !a.status)
		require(read_leniently(whole + a.n_empty, whole + a.n_taken) == whole + a.n_taken);
	return 0;
}
