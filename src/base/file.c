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

enum hokku_code file_map(const char *path, struct file_map *out, struct hokku_error *err)
{
	enum hokku_code rc = HOKKU_OK;
	struct stat st;
	*out = (struct file_map){0};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return open_failed(path, err);
	if (fstat(fd, &st)) {
		rc = open_failed(path, err);
	} else if (!S_ISREG(st.st_mode)) {
		rc = err_set(err, HOKKU_IO_ERROR, "%s: is %s, not a file", path,
			     S_ISDIR(st.st_mode) ? "a directory" : "a device, pipe or socket");
	} else if (st.st_size > 0) {
		void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
		if (data == MAP_FAILED)
			rc = err_set(err, HOKKU_IO_ERROR, "%s: cannot be mapped: %s", path, strerror(errno));
		else
			*out = (struct file_map){data, (size_t)st.st_size, fd};
	}
	if (!out->data)
		close(fd);
	return rc;
}

void file_unmap(struct file_map *m)
{
	if (m->data) {
		munmap((void *)(uintptr_t)m->data, m->size);
		close(m->fd);
	}
	*m = (struct file_map){0};
}

enum hokku_code file_read_at(const struct file_map *m, const char *path, uint64_t offset, void *to, size_t n,
			     struct hokku_error *err)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = pread(m->fd, (char *)to + done, n - done, (off_t)(offset + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_set(err, HOKKU_IO_ERROR, "%s: byte %" PRIu64 ": %s", path, offset + done,
				       strerror(errno));
		if (got == 0)
			return err_set(err, HOKKU_IO_ERROR,
				       "%s: ends at byte %" PRIu64 "; it had %zu bytes when it was opened",
				       path, offset + done, m->size);
		done += (size_t)got;
	}
	return HOKKU_OK;
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
