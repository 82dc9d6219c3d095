#include "hub/partial.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"

/* What stands behind the file's own bytes; then one bit a piece. */
struct tail {
	char magic[8];
	uint64_t size, piece_bytes;
};
#define MAGIC "HOKKUPT1"

static uint64_t n_map_bytes(const struct partial *p)
{
	return (p->n_pieces + 7) / 8;
}

static uint64_t whole_bytes(const struct partial *p)
{
	return p->size + sizeof(struct tail) + n_map_bytes(p);
}

uint64_t partial_piece_len(const struct partial *p, uint64_t piece)
{
	uint64_t left = p->size - piece * p->piece_bytes;
	return left < p->piece_bytes ? left : p->piece_bytes;
}

bool partial_has(const struct partial *p, uint64_t piece)
{
	return p->done[piece / 8] >> piece % 8 & 1;
}

static enum hokku_code failed(const struct partial *p, const char *what, struct hokku_error *err)
{
	return err_set(err, HOKKU_IO_ERROR, "%s: %s: %s", p->path, what, strerror(errno));
}

static enum hokku_code write_all(struct partial *p, uint64_t at, const void *bytes, size_t n,
				 struct hokku_error *err)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = pwrite(p->fd, (const char *)bytes + done, n - done, (off_t)(at + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			p->full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
			return failed(p, "cannot be written", err);
		}
		done += (size_t)got;
	}
	return HOKKU_OK;
}

/* ---- room ---- */

static enum hokku_code no_room(const struct partial *p, uint64_t needed, struct hokku_error *err)
{
	char need[32], have[32], *folder = file_folder_of(p->path);
	struct statvfs fs;
	uint64_t left = folder && statvfs(folder, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
	enum hokku_code rc = err_set(
		err, HOKKU_IO_ERROR,
		"%s: the disk has no room for it: %s are needed, %s free; make room, or set HF_HUB_CACHE to a "
		"folder on another disk",
		folder ? folder : p->path, str_bytes(needed, need), str_bytes(left, have));
	free(folder);
	return rc;
}

/* The disk's blocks are taken now, so that it cannot be full later; where a file system has no such call,
 * what is free is asked. */
static enum hokku_code take_room(const struct partial *p, struct hokku_error *err)
{
	struct stat st;
	uint64_t all = whole_bytes(p), have = 0;
	if (fstat(p->fd, &st) == 0)
		have = (uint64_t)st.st_blocks * 512;
	if (fallocate(p->fd, 0, 0, (off_t)all) == 0)
		return HOKKU_OK;
	if (errno == ENOSPC || errno == EDQUOT)
		return no_room(p, all > have ? all - have : all, err);
	if (errno == EFBIG)
		return failed(p, "a file of its size may not be written here", err);
	if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINTR)
		return failed(p, "no room can be set aside", err);
	struct statvfs fs;
	if (all > have && fstatvfs(p->fd, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < all - have)
		return no_room(p, all - have, err);
	return ftruncate(p->fd, (off_t)all) ? failed(p, "cannot be made so long", err) : HOKKU_OK;
}

/* ---- opening ---- */

static void choose_pieces(struct partial *p)
{
	p->piece_bytes = PARTIAL_MIN_PIECE;
	while (p->piece_bytes < PARTIAL_MAX_PIECE && p->size / p->piece_bytes >= PARTIAL_PIECES)
		p->piece_bytes *= 2;
	p->n_pieces = p->size / p->piece_bytes + (p->size % p->piece_bytes != 0);
}

/* The list of an older pull; false: there is none that fits. */
static bool read_list(struct partial *p)
{
	struct tail tail;
	struct stat st;
	size_t n = (size_t)n_map_bytes(p);
	if (fstat(p->fd, &st) || (uint64_t)st.st_size != whole_bytes(p) ||
	    pread(p->fd, &tail, sizeof tail, (off_t)p->size) != (ssize_t)sizeof tail ||
	    memcmp(tail.magic, MAGIC, sizeof tail.magic) != 0 || tail.size != p->size ||
	    tail.piece_bytes != p->piece_bytes ||
	    pread(p->fd, p->done, n, (off_t)(p->size + sizeof tail)) != (ssize_t)n)
		return false;
	p->n_done_bytes = 0;
	for (uint64_t i = 0; i < p->n_pieces; i++)
		p->n_done_bytes += partial_has(p, i) ? partial_piece_len(p, i) : 0;
	return true;
}

static enum hokku_code write_list(struct partial *p, struct hokku_error *err)
{
	struct tail tail = {.size = p->size, .piece_bytes = p->piece_bytes};
	memcpy(tail.magic, MAGIC, sizeof tail.magic);
	memset(p->done, 0, n_map_bytes(p));
	p->n_done_bytes = 0;
	enum hokku_code rc = write_all(p, p->size + sizeof tail, p->done, n_map_bytes(p), err);
	return rc ? rc : write_all(p, p->size, &tail, sizeof tail, err);
}

enum hokku_code partial_open(struct partial *p, const char *path, uint64_t size, struct hokku_error *err)
{
	char shown[32], most[32];
	*p = (struct partial){.fd = -1};
	if (size > PARTIAL_MAX_BYTES)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: the hub says that it has %s bytes; a file may have %s", path,
			       str_thousands(size, shown), str_thousands(PARTIAL_MAX_BYTES, most));
	*p = (struct partial){.fd = -1, .size = size, .path = strdup(path)};
	choose_pieces(p);
	p->done = calloc(n_map_bytes(p) + 1, 1);
	if (!p->path || !p->done) {
		partial_close(p);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its list of pieces", path);
	}
	enum hokku_code rc = HOKKU_OK;
	p->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (p->fd < 0)
		rc = failed(p, "cannot be created", err);
	if (!rc && !read_list(p)) {
		if (ftruncate(p->fd, 0))
			rc = failed(p, "cannot be emptied", err);
		if (!rc)
			rc = take_room(p, err);
		if (!rc)
			rc = write_list(p, err);
		if (rc) {
			partial_remove(p);
			return rc;
		}
	}
	if (rc)
		partial_close(p);
	return rc;
}

/* ---- pieces ---- */

enum hokku_code partial_write(struct partial *p, uint64_t offset, const void *bytes, size_t n,
			      struct hokku_error *err)
{
	return write_all(p, offset, bytes, n, err);
}

enum hokku_code partial_mark(struct partial *p, uint64_t piece, struct hokku_error *err)
{
	if (partial_has(p, piece))
		return HOKKU_OK;
	p->done[piece / 8] |= (uint8_t)(1u << piece % 8);
	p->n_done_bytes += partial_piece_len(p, piece);
	return write_all(p, p->size + sizeof(struct tail) + piece / 8, &p->done[piece / 8], 1, err);
}

enum hokku_code partial_forget(struct partial *p, struct hokku_error *err)
{
	return write_list(p, err);
}

/* ---- ends ---- */

enum hokku_code partial_finish(struct partial *p, const char *name, struct hokku_error *err)
{
	enum hokku_code rc = HOKKU_OK;
	if (ftruncate(p->fd, (off_t)p->size) || fsync(p->fd))
		rc = failed(p, "cannot be finished", err);
	else if (rename(p->path, name))
		rc = failed(p, "cannot get its name", err);
	partial_close(p);
	return rc;
}

void partial_close(struct partial *p)
{
	if (p->fd >= 0)
		close(p->fd);
	free(p->path);
	free(p->done);
	*p = (struct partial){.fd = -1};
}

void partial_remove(struct partial *p)
{
	if (p->path)
		unlink(p->path);
	partial_close(p);
}
