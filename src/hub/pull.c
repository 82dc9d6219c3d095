#include "hub/pull.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/hash.h"
#include "hub/transfer.h"

struct pulling {
	const struct hub_pull *p;
	struct http *http;
	const char *commit;
	struct hub_file *file;
	uint64_t before, all; /* bytes of files that are whole, of all files */
};

/* ---- one file ---- */

static void tell(const struct pulling *g, enum hub_phase phase, uint64_t done, uint64_t all)
{
	if (g->p->progress)
		g->p->progress(g->p->user, phase, g->file->path, done, all);
}

static void on_transfer(void *user, uint64_t done)
{
	const struct pulling *g = user;
	tell(g, HUB_BRINGING, g->before + done, g->all);
}

static void on_check(void *user, double part)
{
	const struct pulling *g = user;
	tell(g, HUB_CHECKING, (uint64_t)(part * (double)g->file->n_bytes), g->file->n_bytes);
}

static bool is_stopped(void *user)
{
	const struct pulling *g = user;
	return observer_stopped(g->p->observer);
}

static enum hokku_code on_locate(void *user, char url[HUB_MAX_URL], struct hokku_error *err)
{
	struct pulling *g = user;
	return hub_repo_locate(g->http, g->p->name, g->commit, g->file, url, err);
}

/* Is the blob there, whole by its size? A link is none: it may lead out of the cache. */
static bool has_blob(const char *path, uint64_t n_bytes)
{
	struct stat st;
	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == n_bytes;
}

static enum hokku_code bring_bytes(struct pulling *g, struct partial *to, struct hokku_error *err)
{
	const struct observer checking = {.user = g, .progress = on_check, .stopped = is_stopped};
	struct transfer t = {.http = g->http,
			     .to = to,
			     .name = g->file->path,
			     .locate = on_locate,
			     .progress = on_transfer,
			     .user = g};
	enum hokku_code rc = transfer_run(&t, err);
	if (!rc)
		rc = hub_hash_check(to->fd, to->size, g->file->hash, g->file->path, &checking, err);
	return rc;
}

/* The blob's lock is held. */
static enum hokku_code bring_locked(struct pulling *g, const char *blob, struct hokku_error *err)
{
	struct partial to;
	struct strbuf part = {0};
	if (has_blob(blob, g->file->n_bytes)) /* another program brought it meanwhile */
		return HOKKU_OK;
	strbuf_addf(&part, "%s%s", blob, PARTIAL_SUFFIX);
	if (part.failed)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a path of the cache");
	enum hokku_code rc = partial_open(&to, part.ptr, g->file->n_bytes, err);
	strbuf_free(&part);
	if (rc)
		return rc;
	rc = bring_bytes(g, &to, err);
	if (rc == HOKKU_BAD_FILE) { /* bytes that are not what they should be are no beginning */
		err_prefix(err, rc, "%s", g->p->name->repo);
		partial_remove(&to);
	} else if (rc && (to.full || !to.n_done_bytes)) { /* nothing that is worth its room */
		partial_remove(&to);
	} else if (rc) {
		partial_close(&to);
	} else {
		rc = partial_finish(&to, blob, err);
	}
	return rc;
}

static enum hokku_code bring_file(struct pulling *g, struct hokku_error *err)
{
	const char *cache = g->p->config->cache, *repo = g->p->name->repo;
	int lock;
	enum hokku_code rc = HOKKU_OK;
	char *blob = hub_cache_path(cache, repo, "blobs/%s", g->file->hash);
	if (!blob)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a path of the cache");
	rc = hub_cache_make_folders(cache, blob, err);
	if (!rc && !has_blob(blob, g->file->n_bytes)) {
		rc = hub_cache_lock(cache, repo, g->file->hash, g->p->observer, &lock, err);
		if (!rc)
			rc = bring_locked(g, blob, err);
		hub_unlock(lock);
	}
	if (!rc)
		rc = hub_cache_link(cache, repo, g->commit, g->file->path, g->file->hash, err);
	free(blob);
	return rc;
}

/* ---- heads ---- */

enum hokku_code hub_plan_head(const struct hub_plan *plan, size_t i, size_t n, const char *path,
			      struct hokku_error *err)
{
	const struct hub_file *f = &plan->files->all[plan->choice->index[i]];
	struct hub_file copy = *f;
	struct http_reply reply = {0};
	char url[HUB_MAX_URL];
	if (n > f->n_bytes)
		n = (size_t)f->n_bytes;
	enum hokku_code rc = hub_repo_locate(plan->http, plan->name, plan->commit, &copy, url, err);
	if (!rc && n)
		rc = http_ask_first(plan->http, url, n, &reply, err);
	if (!rc && n && (reply.body.len != n || (reply.status != 200 && reply.status != 206)))
		rc = err_set(err, HOKKU_IO_ERROR,
			     "%s: its beginning does not come (HTTP %ld, %zu of %zu bytes)", f->path,
			     reply.status, reply.body.len, n);
	int fd = rc ? -1 : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (!rc &&
	    (fd < 0 || ftruncate(fd, (off_t)f->n_bytes) || (n && write(fd, reply.body.ptr, n) != (ssize_t)n)))
		rc = err_set(err, HOKKU_IO_ERROR, "%s: cannot be written: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	http_reply_free(&reply);
	return rc;
}

/* ---- all files ---- */

static uint64_t bytes_here(const struct hub_pull *p, const struct hub_file *f)
{
	char *blob = hub_cache_path(p->config->cache, p->name->repo, "blobs/%s", f->hash);
	bool here = blob && *f->hash && has_blob(blob, f->n_bytes);
	free(blob);
	return here ? f->n_bytes : 0;
}

/* What the list did not tell of the files, their own addresses do. */
static enum hokku_code complete(const struct hub_pull *p, struct http *h, struct hub_repo *repo,
				struct hub_choice *choice, struct hokku_error *err)
{
	char url[HUB_MAX_URL];
	enum hokku_code rc = HOKKU_OK;
	for (size_t i = 0; !rc && i < choice->n; i++) {
		struct hub_file *f = &repo->files.all[choice->index[i]];
		uint64_t before = f->n_bytes;
		if (!*f->hash || !f->sized)
			rc = hub_repo_locate(h, p->name, repo->commit, f, url, err);
		choice->n_bytes += f->n_bytes - before;
	}
	return rc;
}

/* Of the disk, for what is not here: what an older pull has set aside is its own. */
static enum hokku_code check_room(const struct hub_pull *p, const struct hub_repo *repo,
				  const struct hub_choice *choice, struct hokku_error *err)
{
	uint64_t needed = 0, left = hub_cache_free_bytes(p->config->cache);
	char need[32], have[32];
	struct stat st;
	for (size_t i = 0; i < choice->n; i++) {
		const struct hub_file *f = &repo->files.all[choice->index[i]];
		char *part = hub_cache_path(p->config->cache, p->name->repo, "blobs/%s%s", f->hash,
					    PARTIAL_SUFFIX);
		if (!part)
			return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a path of the cache");
		if (bytes_here(p, f) < f->n_bytes && f->n_bytes < UINT64_MAX - needed)
			needed +=
				lstat(part, &st) == 0 && (uint64_t)st.st_size >= f->n_bytes ? 0 : f->n_bytes;
		free(part);
	}
	if (!left || needed <= left)
		return HOKKU_OK;
	return err_set(
		err, HOKKU_IO_ERROR,
		"%s: the disk has no room for it: %s are needed, %s free; make room, or set HF_HUB_CACHE to a "
		"folder on another disk",
		p->config->cache, str_bytes(needed, need), str_bytes(left, have));
}

static enum hokku_code bring_all(const struct hub_pull *p, struct http *h, struct hub_repo *repo,
				 const struct hub_choice *choice, struct hokku_error *err)
{
	struct pulling g = {.p = p, .http = h, .commit = repo->commit, .all = choice->n_bytes};
	struct hub_plan plan = {.name = p->name,
				.commit = repo->commit,
				.http = h,
				.files = &repo->files,
				.choice = choice,
				.n_bytes = choice->n_bytes};
	enum hokku_code rc = HOKKU_OK;
	struct hub_file *missing = NULL;
	char url[HUB_MAX_URL];
	for (size_t i = 0; i < choice->n; i++) {
		struct hub_file *f = &repo->files.all[choice->index[i]];
		uint64_t n = bytes_here(p, f);
		plan.n_here += n;
		if (n < f->n_bytes && !missing)
			missing = f;
	}
	if (missing) /* a hub that refuses does so before anybody is asked, */
		rc = hub_repo_locate(h, p->name, repo->commit, missing, url, err);
	if (!rc && missing) /* and a disk that is too small for all parts before the first has come */
		rc = check_room(p, repo, choice, err);
	if (!rc && p->begin && missing)
		rc = p->begin(p->user, &plan, err);
	for (size_t i = 0; !rc && i < choice->n; i++) {
		g.file = &repo->files.all[choice->index[i]];
		rc = bring_file(&g, err);
		g.before += g.file->n_bytes;
	}
	if (!rc)
		rc = hub_cache_write_ref(p->config->cache, p->name->repo, p->name->revision, repo->commit,
					 err);
	return rc;
}

static enum hokku_code pull_repo(const struct hub_pull *p, char **path, struct hokku_error *err)
{
	struct http *h;
	struct hub_repo repo = {0};
	struct hub_choice choice = {0};
	const char *want = p->name->want;
	enum hokku_code rc = http_create(p->config, p->observer, &h, err);
	if (!rc)
		rc = hub_repo_ask(h, p->name, &repo, err);
	if (!rc)
		rc = hub_choose(p->name->repo, &repo.files, want, &choice, err);
	if (rc == HOKKU_NOT_FOUND && *repo.commit && str_ends(str_c(want), STR_LIT(".gguf")))
		hub_cache_note_absent(p->config->cache, p->name->repo, repo.commit, want);
	if (!rc)
		rc = complete(p, h, &repo, &choice, err);
	if (!rc)
		rc = bring_all(p, h, &repo, &choice, err);
	if (!rc) {
		*path = choice.folder
				? hub_cache_path(p->config->cache, p->name->repo, "snapshots/%s", repo.commit)
				: hub_cache_path(p->config->cache, p->name->repo, "snapshots/%s/%s",
						 repo.commit, repo.files.all[choice.index[0]].path);
		if (!*path)
			rc = err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a path of the cache");
	}
	hub_choice_free(&choice);
	hub_repo_free(&repo);
	http_destroy(h);
	return rc;
}

enum hokku_code hub_pull(const struct hub_pull *p, char **path, struct hokku_error *err)
{
	*path = NULL;
	if (p->name->kind == HUB_URL)
		return hub_pull_url(p, path, err);
	if (p->config->offline) {
		enum hokku_code rc = hub_cache_find(p->config, p->name, path, err);
		if (rc == HOKKU_NOT_FOUND)
			rc = err_prefix(err, rc, "offline, so the hub is not asked");
		return rc;
	}
	return pull_repo(p, path, err);
}
