#include "cli/heads.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/load.h"

enum {
	FIRST_BYTES = 1 << 20, /* of a file's beginning; then 8 times as many */
	MOST_BYTES = 64 << 20,
	MOST_FILES = 16, /* whose beginnings are asked for */
};

static const char *place_of(const char *dir, const struct hub_plan *plan, size_t i, char out[4096])
{
	const char *path = plan->files->all[plan->choice->index[i]].path;
	snprintf(out, 4096, "%s/%s", dir, file_base_name(path));
	return out;
}

/* Files of n bytes of each beginning, small ones whole. */
static enum hokku_code fetch(const struct hub_plan *plan, const char *dir, size_t n, struct hokku_error *err)
{
	char path[4096];
	for (size_t i = 0; i < plan->choice->n; i++) {
		const struct hub_file *f = &plan->files->all[plan->choice->index[i]];
		bool text = !str_ends(str_c(f->path), STR_LIT(".gguf")) &&
			    !str_ends(str_c(f->path), STR_LIT(".safetensors"));
		enum hokku_code rc =
			hub_plan_head(plan, i, text ? MOST_BYTES : n, place_of(dir, plan, i, path), err);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

/* Does the first file begin as its format does? A folder's is read as text. */
static bool is_gguf(const struct hub_plan *plan, const char *dir)
{
	char path[4096], magic[4] = "";
	if (plan->choice->folder)
		return true;
	FILE *f = fopen(place_of(dir, plan, 0, path), "re");
	bool ok = f && fread(magic, 1, sizeof magic, f) == sizeof magic && memcmp(magic, "GGUF", 4) == 0;
	if (f)
		fclose(f);
	return ok;
}

/* Is all that g was read from in the first n bytes of its files? */
static bool is_whole(const struct gguf *g, size_t n)
{
	for (uint32_t i = 0; i < gguf_n_parts(g); i++)
		if (gguf_data_offset(gguf_part(g, i)) > n)
			return false;
	return gguf_is_assembled(g) || gguf_n_parts(g) || gguf_data_offset(g) <= n;
}

static enum hokku_code open_once(const struct hub_plan *plan, const char *dir, size_t n, struct gguf **g,
				 struct hokku_error *err)
{
	char path[4096];
	enum hokku_code rc = fetch(plan, dir, n, err);
	if (!rc)
		rc = engine_open_file(plan->choice->folder ? dir : place_of(dir, plan, 0, path), g, err);
	if (!rc && !is_whole(*g, n)) {
		gguf_close(*g);
		*g = NULL;
		rc = err_set(err, HOKKU_BAD_FILE, "its header is longer than %zu bytes", n);
	}
	return rc;
}

/* Where a beginning is no file that can be read, more of it may be one. */
static enum hokku_code open_heads(const struct hub_plan *plan, const char *dir, struct gguf **g,
				  struct hokku_error *err)
{
	uint64_t longest = 0;
	for (size_t i = 0; i < plan->choice->n; i++)
		if (plan->files->all[plan->choice->index[i]].n_bytes > longest)
			longest = plan->files->all[plan->choice->index[i]].n_bytes;
	for (size_t n = FIRST_BYTES;; n *= 8) {
		enum hokku_code rc = open_once(plan, dir, n, g, err);
		if (rc != HOKKU_BAD_FILE || n >= longest || n >= MOST_BYTES || !is_gguf(plan, dir))
			return rc;
	}
}

enum hokku_code cli_open_heads(const struct hub_plan *plan, cli_looked *fn, void *user,
			       struct hokku_error *err)
{
	char dir[4096 - HUB_MAX_FILE - 1], path[4096];
	struct gguf *g = NULL;
	const char *tmp = getenv("TMPDIR");
	if (plan->choice->n > MOST_FILES)
		return err_set(err, HOKKU_INVALID_REQUEST, "it has more than %d files", MOST_FILES);
	int n = snprintf(dir, sizeof dir, "%s/hokku-heads-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (n < 0 || (size_t)n >= sizeof dir || !mkdtemp(dir))
		return err_set(err, HOKKU_IO_ERROR, "there is no place for its beginning");
	enum hokku_code rc = open_heads(plan, dir, &g, err);
	if (!rc)
		rc = fn(user, g, err);
	gguf_close(g);
	for (size_t i = 0; i < plan->choice->n; i++)
		unlink(place_of(dir, plan, i, path));
	rmdir(dir);
	/* A message about a file here would name one that nobody has. */
	if (rc && err) {
		char *at = strstr(err->message, dir);
		size_t len = strlen(dir) + 1;
		if (at && at[len - 1] == '/')
			memmove(at, at + len, strlen(at + len) + 1);
	}
	return rc;
}
