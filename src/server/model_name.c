#include "server/model_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { MAX_LISTED_BYTES = 240, MAX_NAMED_BYTES = 120 };

/* Less "suffix", whatever its case. */
static struct str without(struct str s, const char *suffix)
{
	size_t n = strlen(suffix);
	if (s.len > n && strncasecmp(s.ptr + s.len - n, suffix, n) == 0)
		s.len -= n;
	return s;
}

/* Less "-00001-of-00003". */
static struct str without_part(struct str s)
{
	unsigned part, all;
	int used = 0;
	if (s.len <= 15 || s.ptr[s.len - 15] != '-')
		return s;
	char tail[16];
	memcpy(tail, s.ptr + s.len - 15, 15);
	tail[15] = '\0';
	if (sscanf(tail, "-%5u-of-%5u%n", &part, &all, &used) == 2 && used == 15)
		s.len -= 15;
	return s;
}

bool model_name_of(const char *path, unsigned n_parts, char out[MODEL_NAME_MAX_BYTES + 1])
{
	struct str s = str_c(path);
	while (s.len > 1 && s.ptr[s.len - 1] == '/') /* a folder's */
		s.len--;
	s = without_part(without(s, ".gguf"));
	const char *at = s.ptr + s.len;
	for (; n_parts > 0; n_parts--) {
		if (at == s.ptr)
			return false;
		for (at--; at > s.ptr && at[-1] != '/'; at--) {
		}
		while (n_parts > 1 && at > s.ptr && at[-1] == '/')
			at--;
	}
	while (*at == '/')
		at++;
	size_t n = (size_t)(s.ptr + s.len - at);
	if (n == 0 || n > MODEL_NAME_MAX_BYTES)
		return false;
	memcpy(out, at, n);
	out[n] = '\0';
	return true;
}

static bool same(struct str a, struct str b)
{
	return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

static struct str last_part(struct str s)
{
	for (size_t i = s.len; i > 0; i--)
		if (s.ptr[i - 1] == '/')
			return (struct str){s.ptr + i, s.len - i};
	return s;
}

static bool is_exact(struct str asked, struct str name)
{
	return str_eq(asked, name);
}

static bool is_same(struct str asked, struct str name)
{
	return same(without(without(asked, ":latest"), ".gguf"), name);
}

static bool is_last_part(struct str asked, struct str name)
{
	return same(without(without(asked, ":latest"), ".gguf"), last_part(name));
}

void model_name_list(const char *const *names, uint32_t n, struct strbuf *out)
{
	uint32_t told = 0;
	size_t begin = out->len;
	for (; told < n && (told == 0 || out->len - begin + strlen(names[told]) < MAX_LISTED_BYTES); told++)
		strbuf_addf(out, "%s'%.200s'", !told ? "" : told + 1 == n ? " and " : ", ", names[told]);
	if (told < n)
		strbuf_addf(out, " and %u more", n - told);
}

static int not_found(const char *asked, const char *const *names, uint32_t n, struct hokku_error *err)
{
	struct strbuf list = {0};
	char quoted[MAX_NAMED_BYTES];
	const char **words = calloc((size_t)n + 1, sizeof *words);
	for (uint32_t i = 0; words && i < n; i++)
		words[i] = names[i];
	const char *near = words ? str_nearest(asked, words) : NULL;
	model_name_list(names, n, &list);
	str_quote(str_c(asked), quoted, sizeof quoted);
	err_set(err, HOKKU_NOT_FOUND, "model %s not found%s%.200s%s server has %s", quoted,
		near ? ": did you mean '" : "", near ? near : "", near ? "'? This" : "; this",
		list.ptr ? list.ptr : "none");
	strbuf_free(&list);
	free(words);
	return -1;
}

int model_name_find(const char *asked, const char *const *names, uint32_t n, struct hokku_error *err)
{
	static bool (*const ways[])(struct str asked, struct str name) = {is_exact, is_same, is_last_part};
	for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
		int found = -1;
		for (uint32_t i = 0; i < n; i++) {
			if (!ways[w](str_c(asked), str_c(names[i])))
				continue;
			if (found >= 0) {
				char quoted[MAX_NAMED_BYTES];
				err_set(err, HOKKU_NOT_FOUND,
					"model %s not found: it may be '%.200s' or '%.200s'; name one of them",
					str_quote(str_c(asked), quoted, sizeof quoted), names[found],
					names[i]);
				return -1;
			}
			found = (int)i;
		}
		if (found >= 0)
			return found;
	}
	return not_found(asked, names, n, err);
}
