#include "server/keys.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/str.h"

struct keys {
	char *file; /* the bytes the keys point into */
	struct str keys[KEYS_MAX];
	uint32_t n;
};

static struct str trim(struct str s)
{
	while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
		s = (struct str){s.ptr + 1, s.len - 1};
	while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t' || s.ptr[s.len - 1] == '\r'))
		s.len--;
	return s;
}

static bool is_printable(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
			return false;
	return true;
}

/* Messages name the line and never show the key. */
static enum hokku_code add_line(struct keys *k, const char *path, unsigned line, struct str s,
				struct hokku_error *err)
{
	s = trim(s);
	if (s.len == 0 || s.ptr[0] == '#')
		return HOKKU_OK;
	if (k->n == KEYS_MAX)
		return err_set(err, HOKKU_BAD_FILE, "%s has more than %d keys", path, KEYS_MAX);
	if (s.len < KEYS_MIN_BYTES || s.len > KEYS_MAX_BYTES)
		return err_set(err, HOKKU_BAD_FILE, "%s, line %u: the key has %zu bytes; it takes %d to %d",
			       path, line, s.len, KEYS_MIN_BYTES, KEYS_MAX_BYTES);
	if (!is_printable(s))
		return err_set(err, HOKKU_BAD_FILE,
			       "%s, line %u: a key takes printable ASCII characters without spaces", path,
			       line);
	k->keys[k->n++] = s;
	return HOKKU_OK;
}

enum hokku_code keys_load(const char *path, struct keys **out, struct hokku_error *err)
{
	*out = NULL;
	struct keys *k = calloc(1, sizeof *k);
	if (!k)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the API keys");
	size_t n;
	enum hokku_code rc = file_read(path, KEYS_MAX_FILE_BYTES, &k->file, &n, err);
	const char *at = k->file;
	for (unsigned line = 1; rc == HOKKU_OK && at && at < k->file + n; line++) {
		const char *end = memchr(at, '\n', (size_t)(k->file + n - at));
		if (!end)
			end = k->file + n;
		rc = add_line(k, path, line, (struct str){at, (size_t)(end - at)}, err);
		at = end + 1;
	}
	if (rc == HOKKU_OK && k->n == 0)
		rc = err_set(err, HOKKU_BAD_FILE, "%s has no key in it", path);
	if (rc) {
		keys_free(k);
		return rc;
	}
	*out = k;
	return HOKKU_OK;
}

void keys_free(struct keys *k)
{
	if (!k)
		return;
	free(k->file);
	free(k);
}

/* The work depends on the length of the given text alone. */
static bool same(struct str key, const char *given, size_t n)
{
	size_t difference = key.len ^ n;
	for (size_t i = 0; i < n; i++)
		difference |= (unsigned char)(given[i] ^ key.ptr[i % key.len]);
	return difference == 0;
}

bool keys_allow(const struct keys *k, const char *authorization)
{
	static const char scheme[] = "Bearer ";
	if (!authorization || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
		return false;
	const char *given = authorization + sizeof scheme - 1;
	given += strspn(given, " ");
	size_t n = strlen(given);
	bool found = false;
	for (uint32_t i = 0; i < k->n; i++)
		found |= same(k->keys[i], given, n);
	return found;
}
