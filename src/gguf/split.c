/*
 * A part of a split model, and the others beside it. llama.cpp names them STEM-00001-of-00003.gguf; the stem
 * is the given file's, so that renamed parts are found as long as all have the same one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "gguf/gguf_internal.h"

enum { NUMBER_DIGITS = 5, TAIL_BYTES = 64, MISSING_SHOWN = 3 };

/* "-00002-of-00003.gguf"; no: from 0. */
static void tail_of(uint32_t no, uint32_t count, char out[TAIL_BYTES])
{
	snprintf(out, TAIL_BYTES, "-%0*" PRIu64 "-of-%0*" PRIu32 ".gguf", NUMBER_DIGITS, (uint64_t)no + 1,
		 NUMBER_DIGITS, count);
}

/* Takes a number off the end of name[0 .. *len - 1], with `before` in front of it. */
static bool take_number(const char *name, size_t *len, const char *before, uint64_t *out)
{
	size_t end = *len, at = end, n_before = strlen(before);
	uint64_t value = 0;
	while (at > 0 && name[at - 1] >= '0' && name[at - 1] <= '9' && end - at < 10)
		at--;
	for (size_t i = at; i < end; i++)
		value = 10 * value + (uint64_t)(name[i] - '0');
	if (end - at < NUMBER_DIGITS || at < n_before || memcmp(name + at - n_before, before, n_before) != 0)
		return false;
	*len = at - n_before;
	*out = value;
	return true;
}

/* path = stem + "-PART-of-COUNT.gguf". *stem: bytes of it. */
static bool read_name(const char *path, size_t *stem, uint64_t *part, uint64_t *count)
{
	static const char end[] = ".gguf";
	size_t len = strlen(path), n_end = sizeof end - 1;
	if (len < n_end || strcmp(path + len - n_end, end) != 0)
		return false;
	*stem = len - n_end;
	return take_number(path, stem, "-of-", count) && take_number(path, stem, "-", part);
}

static enum hokku_code check_name(const struct gguf *g, const struct gguf_split_keys *k, size_t *stem,
				  struct hokku_error *err)
{
	char tail[TAIL_BYTES], first[TAIL_BYTES];
	uint64_t part, count;
	tail_of(k->no, k->count, tail);
	tail_of(0, k->count, first);
	if (!read_name(g->path, stem, &part, &count))
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: this is part %" PRIu32 " of %" PRIu32
			       " of a split model; its parts are found by their names, from NAME%s on: name "
			       "this one NAME%s, and the others beside it likewise",
			       g->path, k->no + 1, k->count, first, tail);
	if (count != k->count)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: split.count is %" PRIu32 ", its name says that there are %" PRIu64
			       " parts; a name that ends in %s is wanted, or the file is another",
			       g->path, k->count, count, tail);
	if (part != (uint64_t)k->no + 1)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: split.no is %" PRIu32 ", so this is part %" PRIu32 ", its name says part "
			       "%" PRIu64 "; a name that ends in %s is wanted, or the file is another",
			       g->path, k->no, k->no + 1, part, tail);
	return HOKKU_OK;
}

/* *count stays 0 where the file is whole. */
static enum hokku_code read_keys(const struct gguf *g, struct gguf_split_keys *out, struct hokku_error *err)
{
	struct gguf_split_keys k = {0};
	bool found, has_no = true;
	enum hokku_code rc = gguf_get_u32(g, "split.count", &k.count, &found, err);
	if (rc || k.count == 0) /* absent, or what was joined again */
		return rc;
	rc = gguf_get_u32(g, "split.no", &k.no, k.count == 1 ? &has_no : NULL, err);
	if (rc)
		return rc;
	if (k.no >= k.count)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: split.no is %" PRIu32 "; with a split.count of %" PRIu32
			       " it must be 0 to %" PRIu32,
			       g->path, k.no, k.count, k.count - 1);
	if (k.count > GGUF_MAX_PARTS)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: split.count is %" PRIu32 "; at most %" PRIu64 " parts are allowed",
			       g->path, k.count, GGUF_MAX_PARTS);
	*out = k;
	return HOKKU_OK;
}

static enum hokku_code refuse_missing(const struct gguf *given, const struct gguf_split_keys *k,
				      const char *names, uint32_t n, struct hokku_error *err)
{
	return err_set(err, HOKKU_NOT_FOUND,
		       "%s: this is part %" PRIu32 " of %" PRIu32 " of a split model; %" PRIu32
		       " of them %s not beside it: %s%s",
		       given->path, k->no + 1, k->count, n, n == 1 ? "is" : "are", names,
		       n > MISSING_SHOWN ? ", ..." : "");
}

/* Fills parts, of which parts[k->no] is there. path: room for a part's path; it holds the stem. */
static enum hokku_code open_others(struct gguf **parts, const struct gguf_split_keys *k, char *path,
				   size_t stem, struct hokku_error *err)
{
	struct strbuf missing = {0};
	uint32_t n_missing = 0;
	enum hokku_code rc = HOKKU_OK;
	for (uint32_t i = 0; i < k->count && !rc; i++) {
		if (i == k->no)
			continue;
		tail_of(i, k->count, path + stem);
		rc = gguf_open_single(path, &parts[i], err);
		if (rc != HOKKU_NOT_FOUND)
			continue;
		rc = HOKKU_OK;
		if (n_missing++ < MISSING_SHOWN)
			strbuf_addf(&missing, "%s%s", n_missing > 1 ? ", " : "", file_base_name(path));
	}
	if (!rc && n_missing)
		rc = refuse_missing(parts[k->no], k, missing.len ? missing.ptr : "", n_missing, err);
	strbuf_free(&missing);
	return rc;
}

enum hokku_code gguf_complete(struct gguf *given, struct gguf **out, struct hokku_error *err)
{
	struct gguf_split_keys k = {0};
	size_t stem = 0;
	*out = NULL;
	enum hokku_code rc = read_keys(given, &k, err);
	if (!rc && k.count <= 1) {
		*out = given;
		return rc;
	}
	if (!rc)
		rc = check_name(given, &k, &stem, err);
	if (rc) {
		gguf_close(given);
		return rc;
	}
	struct gguf **parts = calloc(k.count, sizeof(struct gguf *));
	char *path = malloc(stem + TAIL_BYTES);
	if (parts && path) {
		parts[k.no] = given;
		memcpy(path, given->path, stem);
		rc = open_others(parts, &k, path, stem, err);
	} else {
		rc = err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for the paths of its parts",
			     given->path);
		gguf_close(given);
	}
	if (!rc)
		rc = gguf_join(parts, k.count, out, err);
	else if (parts && path)
		for (uint32_t i = 0; i < k.count; i++)
			gguf_close(parts[i]);
	free(parts);
	free(path);
	return rc;
}
