#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static enum hokku_code open_failed(const char *path, struct hokku_error *err)
{
	enum hokku_code code = errno == ENOENT || errno == ENOTDIR ? HOKKU_NOT_FOUND : HOKKU_IO_ERROR;
	return err_set(err, code, "%s: %s", path, strerror(errno));
}

enum hokku_code file_open(const char *path, struct file *out, struct hokku_error *err)
{
	enum hokku_code rc = HOKKU_OK;
	struct stat st;
	*out = (struct file){.fd = -1};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return open_failed(path, err);
	if (fstat(fd, &st))
		rc = open_failed(path, err);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(err, HOKKU_IO_ERROR, "%s: is %s, not a file", path,
			     S_ISDIR(st.st_mode) ? "a directory" : "a device, pipe or socket");
	if (rc) {
		close(fd);
		return rc;
	}
	*out = (struct file){fd, (uint64_t)st.st_size, st.st_mtim};
	return HOKKU_OK;
}

void file_close(struct file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	*f = (struct file){.fd = -1};
}

enum hokku_code file_read_at(const struct file *f, const char *path, uint64_t offset, void *to, size_t n,
			     struct hokku_error *err)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = pread(f->fd, (char *)to + done, n - done, (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_set(err, HOKKU_IO_ERROR, "%s: byte %" PRIu64 ": %s", path, offset + done,
				       strerror(errno));
		if (got == 0)
			return err_set(err, HOKKU_IO_ERROR,
				       "%s: ends at byte %" PRIu64 "; it had %" PRIu64
				       " bytes when it was opened",
				       path, offset + done, f->size);
		done += (size_t)got;
	}
	return HOKKU_OK;
}

enum hokku_code file_unchanged(const struct file *f, const char *path, struct hokku_error *err)
{
	struct stat st;
	if (fstat(f->fd, &st))
		return open_failed(path, err);
	if ((uint64_t)st.st_size != f->size)
		return err_set(err, HOKKU_IO_ERROR,
			       "%s: was changed while it was read: it had %" PRIu64
			       " bytes and has %lld now; "
			       "try again when nothing writes to it",
			       path, f->size, (long long)st.st_size);
	if (st.st_mtim.tv_sec != f->change.tv_sec || st.st_mtim.tv_nsec != f->change.tv_nsec)
		return err_set(err, HOKKU_IO_ERROR,
			       "%s: was changed while it was read; try again when nothing writes to it",
			       path);
	return HOKKU_OK;
}

/* ---- the beginning of a file ---- */

enum { HEAD_STEP = 1 << 18 }; /* bytes read at once: a header's tail of which costs little */

enum hokku_code file_head_open(struct file_head *h, const struct file *f, const char *path,
			       struct hokku_error *err)
{
	*h = (struct file_head){.file = f};
	if (!f->size)
		return HOKKU_OK;
	void *data = mmap(NULL, f->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (data == MAP_FAILED)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no address space for its %" PRIu64 " bytes: %s",
			       path, f->size, strerror(errno));
	h->data = data;
	h->mapped = f->size;
	return HOKKU_OK;
}

/* Whole pages: the last one is filled up beyond what was read. */
static uint64_t page_up(uint64_t n)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	return (n + page - 1) / page * page;
}

enum hokku_code file_head_reach(struct file_head *h, uint64_t n, const char *path, struct hokku_error *err)
{
	if (n <= h->have)
		return HOKKU_OK;
	uint64_t begin = page_up(h->have), to = n - h->have < HEAD_STEP ? h->have + HEAD_STEP : n;
	if (to > h->file->size)
		to = h->file->size;
	if (page_up(to) > begin && mprotect(h->data + begin, page_up(to) - begin, PROT_READ | PROT_WRITE))
		return err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for the first %" PRIu64 " bytes",
			       path, to);
	enum hokku_code rc = file_read_at(h->file, path, h->have, h->data + h->have, to - h->have, err);
	if (!rc)
		h->have = to;
	return rc;
}

void file_head_trim(struct file_head *h)
{
	uint64_t used = page_up(h->have);
	if (!h->have || used >= h->mapped)
		return;
	munmap(h->data + used, h->mapped - used);
	h->mapped = used;
}

void file_head_close(struct file_head *h)
{
	if (h->data)
		munmap(h->data, h->mapped);
	*h = (struct file_head){0};
}

enum hokku_code file_read(const char *path, size_t max_bytes, char **out, size_t *n_bytes,
			  struct hokku_error *err)
{
	*out = NULL;
	*n_bytes = 0;
	bool is_stdin = strcmp(path, "-") == 0;
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return open_failed(path, err);
	if (is_stdin)
		path = "standard input";
	enum hokku_code rc = HOKKU_OK;
	size_t cap = 4096, n = 0;
	char *bytes = malloc(cap);
	while (!rc && bytes) {
		ssize_t got = read(fd, bytes + n, cap - n - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			rc = open_failed(path, err);
		if (got <= 0)
			break;
		n += (size_t)got;
		if (n > max_bytes) {
			rc = err_set(err, HOKKU_BAD_FILE, "%s: longer than the %zu bytes allowed", path,
				     max_bytes);
		} else if (cap - n - 1 == 0) {
			char *more = realloc(bytes, cap * 2);
			if (!more)
				rc = err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for %zu bytes", path,
					     cap * 2);
			else
				bytes = more;
			cap *= 2;
		}
	}
	if (!is_stdin)
		close(fd);
	if (!bytes)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for %zu bytes", path, cap);
	if (rc) {
		free(bytes);
		return rc;
	}
	bytes[n] = '\0';
	*out = bytes;
	*n_bytes = n;
	return HOKKU_OK;
}

enum hokku_code file_read_named(const char *path, size_t max_bytes, char **out, size_t *n_bytes,
				struct hokku_error *err)
{
	struct file f;
	*out = NULL;
	*n_bytes = 0;
	enum hokku_code rc = file_open(path, &f, err);
	if (rc)
		return rc;
	if (f.size > max_bytes)
		rc = err_set(err, HOKKU_BAD_FILE, "%s: longer than the %zu bytes allowed", path, max_bytes);
	char *bytes = rc ? NULL : malloc((size_t)f.size + 1);
	if (!rc && !bytes)
		rc = err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for %" PRIu64 " bytes", path, f.size);
	if (!rc)
		rc = file_read_at(&f, path, 0, bytes, (size_t)f.size, err);
	if (!rc)
		rc = file_unchanged(&f, path, err);
	if (rc) {
		free(bytes);
	} else {
		bytes[f.size] = '\0';
		*out = bytes;
		*n_bytes = (size_t)f.size;
	}
	file_close(&f);
	return rc;
}

const char *file_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

char *file_folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash == path ? strdup("/") : slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
}
