#include "hub/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/new_file.h"
#include "base/rng.h"
#include "hub/choose.h"
#include "hub/hash.h"

enum { LOCK_POLL_MS = 50, MAX_DEPTH = 16 };

static enum hokku_code no_memory(struct hokku_error *err)
{
	return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a path of the cache");
}

/* ---- paths ---- */

static void add_folder(struct strbuf *b, const char *cache, const char *under, const char *repo)
{
	strbuf_addf(b, "%s/%smodels--", cache, under);
	for (const char *c = repo; *c; c++)
		strbuf_add(b, *c == '/' ? "--" : c, *c == '/' ? 2 : 1);
}

char *hub_cache_path(const char *cache, const char *repo, const char *format, ...)
{
	struct strbuf b = {0};
	char rest[HUB_MAX_FILE + 256];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(rest, sizeof rest, format, args);
	va_end(args);
	add_folder(&b, cache, "", repo);
	strbuf_addf(&b, "%s%s", *rest ? "/" : "", rest);
	if (b.failed || n < 0 || (size_t)n >= sizeof rest) {
		strbuf_free(&b);
		return NULL;
	}
	return b.ptr;
}

enum hokku_code hub_cache_inside(const char *cache, const char *path, struct hokku_error *err)
{
	char *root = realpath(cache, NULL), *real = realpath(path, NULL);
	enum hokku_code rc = HOKKU_OK;
	size_t n = root ? strlen(root) : 0;
	if (!root || !real)
		rc = err_set(err, errno == ENOENT ? HOKKU_NOT_FOUND : HOKKU_IO_ERROR, "%s: %s",
			     root ? path : cache, strerror(errno));
	else if (strncmp(real, root, n) != 0 || (real[n] && real[n] != '/' && n > 1))
		rc = err_set(
			err, HOKKU_IO_ERROR,
			"%s: it leads out of the cache, to %s; it is not used. Remove the link, or name that "
			"file itself",
			path, real);
	free(root);
	free(real);
	return rc;
}

enum hokku_code hub_cache_make_folders(const char *cache, const char *path, struct hokku_error *err)
{
	char *copy = strdup(path);
	enum hokku_code rc = copy ? HOKKU_OK : no_memory(err);
	char *last = copy ? strrchr(copy, '/') : NULL;
	for (char *at = copy; !rc && last && at != last;) {
		at = strchr(at + 1, '/');
		*at = '\0';
		if (*copy && mkdir(copy, 0777) && errno != EEXIST)
			rc = err_set(err, HOKKU_IO_ERROR, "%s: the folder cannot be made: %s", copy,
				     strerror(errno));
		if (!rc && at == last)
			rc = hub_cache_inside(cache, copy, err);
		*at = '/';
	}
	free(copy);
	return rc;
}

uint64_t hub_cache_free_bytes(const char *cache)
{
	struct statvfs fs;
	char *path = strdup(cache);
	uint64_t n = 0;
	while (path && statvfs(path, &fs)) { /* of the nearest folder that is there */
		char *folder = file_folder_of(path);
		bool last = !folder || strcmp(folder, path) == 0;
		free(path);
		path = last ? NULL : folder;
		if (last)
			free(folder);
	}
	if (path)
		n = (uint64_t)fs.f_bavail * fs.f_frsize;
	free(path);
	return n;
}

/* ---- locks ---- */

static enum hokku_code wait_for(int fd, const char *path, const struct observer *observer,
				struct hokku_error *err)
{
	for (bool told = false; flock(fd, LOCK_EX | LOCK_NB); told = true) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return err_set(err, HOKKU_IO_ERROR, "%s: cannot be locked: %s", path,
				       strerror(errno));
		if (!told)
			observer_note(observer, "another program is pulling this file; waiting for it");
		if (observer_stopped(observer))
			return err_set(err, HOKKU_CANCELLED, "interrupted");
		nanosleep(&(struct timespec){.tv_nsec = LOCK_POLL_MS * 1000000L}, NULL);
	}
	return HOKKU_OK;
}

enum hokku_code hub_lock(const char *path, const struct observer *observer, int *fd, struct hokku_error *err)
{
	struct stat held, named;
	for (;;) {
		*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
		if (*fd < 0)
			return err_set(err, HOKKU_IO_ERROR, "%s: cannot be opened: %s", path,
				       strerror(errno));
		enum hokku_code rc = wait_for(*fd, path, observer, err);
		/* some programs remove the file with its lock: then another has the name now */
		if (!rc && fstat(*fd, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino &&
		    held.st_dev == named.st_dev)
			return HOKKU_OK;
		close(*fd);
		*fd = -1;
		if (rc)
			return rc;
	}
}

enum hokku_code hub_cache_lock(const char *cache, const char *repo, const char *hash,
			       const struct observer *observer, int *fd, struct hokku_error *err)
{
	struct strbuf path = {0};
	*fd = -1;
	add_folder(&path, cache, ".locks/", repo);
	strbuf_addf(&path, "/%s.lock", hash);
	enum hokku_code rc = path.failed ? no_memory(err) : hub_cache_make_folders(cache, path.ptr, err);
	if (!rc)
		rc = hub_lock(path.ptr, observer, fd, err);
	strbuf_free(&path);
	return rc;
}

void hub_unlock(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* ---- writing ---- */

enum hokku_code hub_cache_link(const char *cache, const char *repo, const char *commit, const char *file,
			       const char *hash, struct hokku_error *err)
{
	struct strbuf to = {0};
	char *path = hub_cache_path(cache, repo, "snapshots/%s/%s", commit, file), *part = NULL;
	strbuf_add_c(&to, "../../");
	for (const char *c = file; *c; c++)
		if (*c == '/')
			strbuf_add_c(&to, "../");
	strbuf_addf(&to, "blobs/%s", hash);
	/* beside it, under a name that is short however long the file's is */
	if (path && !to.failed)
		part = hub_cache_path(cache, repo, "snapshots/%s/%.*s.%08x.hokku-link", commit,
				      (int)(file_base_name(file) - file), file, (unsigned)rng_os_seed());
	enum hokku_code rc = part ? hub_cache_make_folders(cache, path, err) : no_memory(err);
	if (!rc && (symlink(to.ptr, part) || rename(part, path))) {
		rc = err_set(err, HOKKU_IO_ERROR, "%s: cannot be made: %s", path, strerror(errno));
		unlink(part);
	}
	free(path);
	free(part);
	strbuf_free(&to);
	return rc;
}

static enum hokku_code write_small(const char *cache, const char *path, const char *text,
				   struct hokku_error *err)
{
	struct new_file f = {.fd = -1};
	enum hokku_code rc = path ? hub_cache_make_folders(cache, path, err) : no_memory(err);
	struct stat st;
	if (!rc && lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) /* it may lead out of the cache */
		unlink(path);
	if (!rc)
		rc = new_file_create(&f, path, err);
	if (!rc && write(f.fd, text, strlen(text)) != (ssize_t)strlen(text))
		rc = err_set(err, HOKKU_IO_ERROR, "%s: cannot be written: %s", path, strerror(errno));
	if (!rc)
		rc = new_file_finish(&f, err);
	new_file_close(&f);
	return rc;
}

enum hokku_code hub_cache_write_ref(const char *cache, const char *repo, const char *revision,
				    const char *commit, struct hokku_error *err)
{
	if (strcmp(revision, commit) == 0)
		return HOKKU_OK;
	char *path = hub_cache_path(cache, repo, "refs/%s", revision);
	enum hokku_code rc = write_small(cache, path, commit, err);
	free(path);
	return rc;
}

void hub_cache_note_absent(const char *cache, const char *repo, const char *commit, const char *file)
{
	struct hokku_error silent;
	char *path = hub_cache_path(cache, repo, ".no_exist/%s/%s", commit, file);
	if (path && access(path, F_OK))
		write_small(cache, path, "", &silent);
	free(path);
}

/* ---- reading ---- */

enum hokku_code hub_cache_commit(const char *cache, const char *repo, const char *revision, char commit[41],
				 struct hokku_error *err)
{
	char *bytes;
	size_t n;
	if (strlen(revision) == 40 && hub_is_hash(revision)) {
		memcpy(commit, revision, 41);
		return HOKKU_OK;
	}
	char *path = hub_cache_path(cache, repo, "refs/%s", revision);
	enum hokku_code rc = path ? file_read(path, 1024, &bytes, &n, err) : no_memory(err);
	if (!rc) {
		while (n && strchr(" \r\n", bytes[n - 1]))
			n--;
		bytes[n] = '\0';
		if (n == 40 && hub_is_hash(bytes))
			memcpy(commit, bytes, 41);
		else
			rc = err_set(err, HOKKU_BAD_FILE, "%s: holds no commit; remove it and pull again",
				     path);
		free(bytes);
	}
	free(path);
	return rc;
}

/* The checksum in the name of the blob that a link names; empty where it is none. */
static void hash_of_link(const char *path, char out[HUB_HASH_MAX + 1])
{
	char to[PATH_MAX];
	ssize_t n = readlink(path, to, sizeof to - 1);
	*out = '\0';
	if (n <= 0)
		return;
	to[n] = '\0';
	const char *base = file_base_name(to);
	if (hub_is_hash(base))
		snprintf(out, HUB_HASH_MAX + 1, "%s", base);
}

/* inner: the path below the snapshot, "" of itself. */
static enum hokku_code add_files(const char *root, const char *inner, int depth, struct hub_files *out,
				 struct hokku_error *err)
{
	char folder[PATH_MAX], path[PATH_MAX], below[PATH_MAX], hash[HUB_HASH_MAX + 1];
	struct stat st, own;
	if (snprintf(folder, sizeof folder, "%s%s%s", root, *inner ? "/" : "", inner) >= PATH_MAX)
		return HOKKU_OK;
	DIR *d = opendir(folder);
	if (!d)
		return err_set(err, errno == ENOENT || errno == ENOTDIR ? HOKKU_NOT_FOUND : HOKKU_IO_ERROR,
			       "%s: %s", folder, strerror(errno));
	enum hokku_code rc = HOKKU_OK;
	for (const struct dirent *e; !rc && (e = readdir(d));) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    snprintf(path, sizeof path, "%s/%s", folder, e->d_name) >= PATH_MAX ||
		    snprintf(below, sizeof below, "%s%s%s", inner, *inner ? "/" : "", e->d_name) >=
			    PATH_MAX ||
		    lstat(path, &own) || stat(path, &st))
			continue; /* a link to what is not there yet too */
		if (S_ISDIR(own.st_mode) && depth < MAX_DEPTH)
			rc = add_files(root, below, depth + 1, out, err);
		hash_of_link(path, hash);
		if (S_ISREG(st.st_mode) && hub_file_name_ok(str_c(below)) &&
		    !hub_files_add(out, str_c(below), (uint64_t)st.st_size, hash))
			rc = no_memory(err);
	}
	closedir(d);
	return rc;
}

enum hokku_code hub_cache_files(const char *cache, const char *repo, const char *commit,
				struct hub_files *out, struct hokku_error *err)
{
	*out = (struct hub_files){0};
	char *root = hub_cache_path(cache, repo, "snapshots/%s", commit);
	enum hokku_code rc = root ? add_files(root, "", 0, out, err) : no_memory(err);
	if (rc)
		hub_files_free(out);
	else
		hub_files_sort(out);
	free(root);
	return rc;
}

enum hokku_code hub_cache_choose(const struct hub_config *c, const struct hub_name *name, char commit[41],
				 struct hub_files *files, struct hub_choice *choice, struct hokku_error *err)
{
	*files = (struct hub_files){0};
	*choice = (struct hub_choice){0};
	enum hokku_code rc = hub_cache_commit(c->cache, name->repo, name->revision, commit, err);
	if (!rc)
		rc = hub_cache_files(c->cache, name->repo, commit, files, err);
	return rc ? rc : hub_choose(name->repo, files, name->want, choice, err);
}

enum hokku_code hub_cache_find(const struct hub_config *c, const struct hub_name *name, char **path,
			       struct hokku_error *err)
{
	char commit[41], shown[HUB_MAX_URL];
	struct hub_files files;
	struct hub_choice choice;
	*path = NULL;
	enum hokku_code rc = hub_cache_choose(c, name, commit, &files, &choice, err);
	for (size_t i = 0; !rc && i < choice.n; i++) {
		char *file = hub_cache_path(c->cache, name->repo, "snapshots/%s/%s", commit,
					    files.all[choice.index[i]].path);
		rc = file ? hub_cache_inside(c->cache, file, err) : no_memory(err);
		if (!rc && i == 0 && !choice.folder)
			*path = strdup(file);
		free(file);
	}
	if (!rc && choice.folder)
		*path = hub_cache_path(c->cache, name->repo, "snapshots/%s", commit);
	if (!rc && !*path)
		rc = no_memory(err);
	if (rc == HOKKU_NOT_FOUND || rc == HOKKU_BAD_FILE)
		rc = err_set(err, HOKKU_NOT_FOUND, "%s is not here (in %s)", hub_name_text(name, shown),
			     c->cache);
	if (rc) {
		free(*path);
		*path = NULL;
	}
	hub_choice_free(&choice);
	hub_files_free(&files);
	return rc;
}
