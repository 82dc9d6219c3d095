/* Removing models from the cache: links first, then the bytes that no snapshot needs any more. */
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/cache.h"
#include "hub/hash.h"
#include "hub/inventory.h"

static enum hokku_code no_memory(struct hokku_error *err)
{
	return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the files to remove");
}

/* ---- a whole repository ---- */

/* nftw has no argument for its function. */
static struct hub_removed *counted;
static bool removes;

static int visit(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)where;
	if (kind == FTW_F && S_ISREG(st->st_mode)) {
		counted->n_bytes += (uint64_t)st->st_size;
		counted->n_files++;
	}
	return removes ? remove(path) : 0;
}

static enum hokku_code walk_repo(const struct hub_config *c, const char *repo, bool remove_it,
				 struct hub_removed *out, struct hokku_error *err)
{
	enum { OPEN_FOLDERS = 16 };
	struct stat st;
	char *path = hub_cache_path(c->cache, repo, "%s", "");
	enum hokku_code rc = path ? HOKKU_OK : no_memory(err);
	if (!rc && lstat(path, &st))
		rc = err_set(err, errno == ENOENT ? HOKKU_NOT_FOUND : HOKKU_IO_ERROR,
			     "%s is not here (in %s)", repo, c->cache);
	if (!rc)
		rc = hub_cache_inside(c->cache, path, err);
	counted = out;
	removes = remove_it;
	if (!rc && nftw(path, visit, OPEN_FOLDERS, FTW_PHYS | FTW_DEPTH))
		rc = err_set(err, HOKKU_IO_ERROR, "%s: cannot be removed: %s", path, strerror(errno));
	free(path);
	return rc;
}

/* ---- one model ---- */

struct model {
	const struct hub_config *c;
	const struct hub_name *name;
	char commit[41];
	struct hub_files files;
	struct hub_choice choice;
};

static enum hokku_code find(struct model *m, struct hokku_error *err)
{
	char shown[HUB_MAX_URL];
	const char *repo = m->name->repo;
	enum hokku_code rc = hub_cache_commit(m->c->cache, repo, m->name->revision, m->commit, err);
	if (!rc)
		rc = hub_cache_files(m->c->cache, repo, m->commit, &m->files, err);
	if (rc == HOKKU_NOT_FOUND)
		rc = err_set(err, rc, "%s is not here (in %s)", hub_name_text(m->name, shown), m->c->cache);
	return rc ? rc : hub_choose(repo, &m->files, m->name->want, &m->choice, err);
}

static void forget(struct model *m)
{
	hub_choice_free(&m->choice);
	hub_files_free(&m->files);
}

struct link_count {
	const char *hash;
	size_t n;
};
static struct link_count *looked_for;

static int count_link(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	char to[PATH_MAX];
	(void)where;
	if (kind == FTW_DNR) /* what is in it cannot be seen */
		return 1;
	if ((kind == FTW_SL || kind == FTW_SLN) && S_ISLNK(st->st_mode)) {
		ssize_t n = readlink(path, to, sizeof to - 1);
		to[n > 0 ? n : 0] = '\0';
		const char *base = strrchr(to, '/');
		looked_for->n += base && strcmp(base + 1, looked_for->hash) == 0;
	}
	return 0;
}

/* Of all snapshots, how many links lead to a blob; SIZE_MAX: they cannot all be seen, and it may be any. */
static size_t n_links(const struct model *m, const char *hash)
{
	struct link_count count = {.hash = hash};
	char *path = hub_cache_path(m->c->cache, m->name->repo, "snapshots");
	looked_for = &count;
	bool seen = path && nftw(path, count_link, 16, FTW_PHYS) == 0;
	looked_for = NULL;
	free(path);
	return seen ? count.n : SIZE_MAX;
}

static enum hokku_code unlink_file(const char *path, struct hokku_error *err)
{
	if (!path)
		return no_memory(err);
	if (unlink(path) && errno != ENOENT)
		return err_set(err, HOKKU_IO_ERROR, "%s: cannot be removed: %s", path, strerror(errno));
	return HOKKU_OK;
}

static enum hokku_code remove_file(const struct model *m, const struct hub_file *f,
				   const struct observer *observer, struct hub_removed *out,
				   struct hokku_error *err)
{
	const char *cache = m->c->cache, *repo = m->name->repo;
	char *path = hub_cache_path(cache, repo, "snapshots/%s/%s", m->commit, f->path);
	char *blob = *f->hash ? hub_cache_path(cache, repo, "blobs/%s", f->hash) : NULL;
	int lock = -1;
	enum hokku_code rc = path ? hub_cache_inside(cache, path, err) : no_memory(err);
	if (!rc && blob)
		rc = hub_cache_lock(cache, repo, f->hash, observer, &lock, err);
	if (!rc)
		rc = unlink_file(path, err);
	if (!rc && blob && n_links(m, f->hash) == 0)
		rc = unlink_file(blob, err);
	else if (!rc && blob)
		out->n_bytes -= f->n_bytes; /* another snapshot has them */
	if (!rc) {
		out->n_bytes += f->n_bytes;
		out->n_files++;
	}
	hub_unlock(lock);
	free(path);
	free(blob);
	return rc;
}

static int count_file(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)path, (void)st, (void)where;
	looked_for->n += kind != FTW_D && kind != FTW_DP;
	return 0;
}

static size_t n_files_in(const struct hub_config *c, const char *repo, const char *folder)
{
	struct link_count count = {0};
	char *path = hub_cache_path(c->cache, repo, "%s", folder);
	looked_for = &count;
	if (path && nftw(path, count_file, 16, FTW_PHYS) && errno != ENOENT)
		count.n = SIZE_MAX;
	looked_for = NULL;
	free(path);
	return path ? count.n : SIZE_MAX;
}

/* ---- the two ---- */

enum hokku_code hub_remove_look(const struct hub_config *c, const struct hub_name *name,
				struct hub_removed *out, struct hokku_error *err)
{
	struct model m = {.c = c, .name = name};
	*out = (struct hub_removed){0};
	if (!*name->want)
		return walk_repo(c, name->repo, false, out, err);
	enum hokku_code rc = find(&m, err);
	if (!rc)
		*out = (struct hub_removed){m.choice.n_bytes, m.choice.n};
	forget(&m);
	return rc;
}

enum hokku_code hub_remove(const struct hub_config *c, const struct hub_name *name,
			   const struct observer *observer, struct hub_removed *out, struct hokku_error *err)
{
	struct model m = {.c = c, .name = name};
	*out = (struct hub_removed){0};
	if (!*name->want)
		return walk_repo(c, name->repo, true, out, err);
	enum hokku_code rc = find(&m, err);
	for (size_t i = 0; !rc && i < m.choice.n; i++)
		rc = remove_file(&m, &m.files.all[m.choice.index[i]], observer, out, err);
	forget(&m);
	/* Where no file of it is left, whoever brought it, nor are its folders. */
	bool used = !rc && (n_files_in(c, name->repo, "blobs") || n_files_in(c, name->repo, "snapshots"));
	struct hub_removed rest = {0};
	if (!rc && !used)
		rc = walk_repo(c, name->repo, true, &rest, err);
	out->n_bytes += rest.n_bytes;
	return rc;
}
