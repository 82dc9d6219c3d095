#include "base/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"

enum { MAX_LINKS = 40 /* as many as the kernel follows */, PART_BYTES = 32 };

/* ---- where ---- */

/* What a link at path names (malloc), seen from where path is seen; NULL with errno. */
static char *read_link(const char *path)
{
	char to[PATH_MAX];
	ssize_t n = readlink(path, to, sizeof to - 1);
	if (n < 0)
		return NULL;
	to[n] = '\0';
	if (to[0] == '/')
		return strdup(to);
	char *folder = file_folder_of(path);
	size_t size = folder ? strlen(folder) + (size_t)n + 2 : 0;
	char *out = folder ? malloc(size) : NULL;
	if (out)
		snprintf(out, size, "%s/%s", folder, to);
	free(folder);
	return out;
}

static char *failed(const char *path, struct hokku_error *err)
{
	if (errno == ENOMEM)
		err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its path", path);
	else
		err_set(err, HOKKU_IO_ERROR, "%s: %s", path, strerror(errno));
	return NULL;
}

char *new_file_resolve(const char *path, struct hokku_error *err)
{
	if (!*path) {
		err_set(err, HOKKU_IO_ERROR, "the path of the file to write is empty");
		return NULL;
	}
	char *at = strdup(path);
	for (int links = 0; at; links++) {
		struct stat st;
		char *next = NULL;
		if (lstat(at, &st)) {
			if (errno == ENOENT) /* nothing there yet: this is the place */
				return at;
		} else if (!S_ISLNK(st.st_mode)) {
			return at;
		} else if (links == MAX_LINKS) {
			errno = ELOOP;
		} else {
			next = read_link(at);
		}
		int why = errno;
		free(at);
		errno = why;
		at = next;
	}
	return failed(path, err);
}

static enum hokku_code check_place(const char *path, const char *given, struct hokku_error *err)
{
	struct stat st;
	if (stat(path, &st) || S_ISREG(st.st_mode))
		return HOKKU_OK;
	return err_set(err, HOKKU_IO_ERROR, "%s: is %s, not a file", given,
		       S_ISDIR(st.st_mode) ? "a directory" : "a device, pipe or socket");
}

/* ---- making ---- */

/* A file without a name in the folder; -1 where that cannot be. */
static int open_unnamed(const char *path)
{
	if (access("/proc/self/fd", X_OK))
		return -1; /* nor could it be given one */
	char *folder = file_folder_of(path);
	int fd = folder ? open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666) : -1;
	free(folder);
	return fd;
}

static char *part_name(const char *path)
{
	size_t size = strlen(path) + PART_BYTES;
	char *part = malloc(size);
	if (part)
		snprintf(part, size, "%s.%016" PRIx64 ".part", path, rng_os_seed());
	return part;
}

enum hokku_code new_file_create(struct new_file *f, const char *path, struct hokku_error *err)
{
	*f = (struct new_file){.fd = -1, .path = new_file_resolve(path, err)};
	if (!f->path)
		return err ? err->code : HOKKU_IO_ERROR;
	enum hokku_code rc = check_place(f->path, path, err);
	if (!rc)
		f->fd = open_unnamed(f->path);
	if (!rc && f->fd < 0) {
		f->part = part_name(f->path);
		if (!f->part)
			rc = err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its path", path);
	}
	if (!rc && f->fd < 0) {
		f->fd = open(f->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (f->fd < 0) {
			rc = err_set(err, HOKKU_IO_ERROR, "%s: cannot be created: %s", path, strerror(errno));
			free(f->part);
			f->part = NULL;
		}
	}
	if (rc)
		new_file_close(f);
	return rc;
}

/* ---- finishing ---- */

/* An unnamed file gets a name: its own, where nothing has it, or else that of a part. 0 or errno. */
static int name_it(struct new_file *f, bool *named)
{
	char link[40];
	snprintf(link, sizeof link, "/proc/self/fd/%d", f->fd);
	*named = linkat(AT_FDCWD, link, AT_FDCWD, f->path, AT_SYMLINK_FOLLOW) == 0;
	if (*named || errno != EEXIST)
		return *named ? 0 : errno;
	char *part = part_name(f->path);
	if (!part)
		return ENOMEM;
	if (linkat(AT_FDCWD, link, AT_FDCWD, part, AT_SYMLINK_FOLLOW)) {
		int why = errno;
		free(part);
		return why;
	}
	f->part = part;
	return 0;
}

/* No signal comes between a name and the other. 0 or errno. */
static int take_place(struct new_file *f)
{
	sigset_t all, before;
	bool named = false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int why = f->part ? 0 : name_it(f, &named);
	if (!why && !named) {
		why = rename(f->part, f->path) ? errno : 0;
		if (!why) {
			free(f->part);
			f->part = NULL;
		}
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return why;
}

/* The new name must survive a crash too. Some file systems cannot sync a folder; then nothing better is
 * known. */
static void sync_folder(const char *path)
{
	char *folder = file_folder_of(path);
	int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		(void)fsync(fd);
		close(fd);
	}
	free(folder);
}

enum hokku_code new_file_finish(struct new_file *f, struct hokku_error *err)
{
	int why = fsync(f->fd) ? errno : 0;
	if (!why)
		why = take_place(f);
	int fd = f->fd;
	f->fd = -1;
	if (close(fd) && !why)
		why = errno;
	if (why)
		return err_set(err, why == ENOMEM ? HOKKU_OUT_OF_MEMORY : HOKKU_IO_ERROR,
			       "%s: cannot be finished: %s", f->path, strerror(why));
	sync_folder(f->path);
	return HOKKU_OK;
}

void new_file_close(struct new_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	if (f->part)
		unlink(f->part);
	free(f->part);
	free(f->path);
	*f = (struct new_file){.fd = -1};
}
