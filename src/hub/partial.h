/*
 * A file that is being pulled, under a name of our own beside the blob it will be: BLOB.hokku-part. Pieces
 * come in any order, so it may have holes, which a program that takes it for the beginning of the file would
 * not see; hence the name. Its own bytes are followed by a list of the pieces that are whole: a pull that was
 * killed is gone on with. Whoever opens it holds the blob's lock.
 */
#ifndef HUB_PARTIAL_H
#define HUB_PARTIAL_H

#include "hub/hub.h"

#define PARTIAL_SUFFIX ".hokku-part"

#define PARTIAL_MAX_BYTES (UINT64_C(1) << 44) /* of a file: 16 TiB */

enum {
	PARTIAL_MIN_PIECE = 64 << 10, /* bytes; a power of two */
	PARTIAL_MAX_PIECE = 8 << 20,
	PARTIAL_PIECES = 1024, /* at most, as long as they are smaller than the largest */
};

struct partial {
	int fd;
	char *path;
	uint64_t size;        /* of the file that it becomes */
	uint64_t piece_bytes; /* the last piece may be shorter */
	uint64_t n_pieces;
	uint8_t *done;         /* ((n_pieces + 7) / 8) */
	bool full;             /* the disk took no more: what there is is not worth its room */
	uint64_t n_done_bytes; /* in pieces that are whole */
};

/*
 * Opens path, or makes it with room for all of it. IO_ERROR: among others a disk that has no such room; the
 * message tells what is needed and what there is, and nothing is left. One of another size is made anew.
 * BAD_FILE: of more than PARTIAL_MAX_BYTES.
 */
enum hokku_code partial_open(struct partial *p, const char *path, uint64_t size, struct hokku_error *err);

/* Bytes at an offset. IO_ERROR: of a disk that is full, too. */
enum hokku_code partial_write(struct partial *p, uint64_t offset, const void *bytes, size_t n,
			      struct hokku_error *err);

/* Have the bytes of a piece, from 0 on, been written? */
bool partial_has(const struct partial *p, uint64_t piece);
/* Notes a piece whose bytes have been written. */
enum hokku_code partial_mark(struct partial *p, uint64_t piece, struct hokku_error *err);
/* All of it is to come again. */
enum hokku_code partial_forget(struct partial *p, struct hokku_error *err);

/* How long piece i is. */
uint64_t partial_piece_len(const struct partial *p, uint64_t piece);

/* All pieces are there and right: cuts the list off, puts it on the disk and gives it its name. p is closed.
 */
enum hokku_code partial_finish(struct partial *p, const char *name, struct hokku_error *err);

void partial_close(struct partial *p);  /* what there is stays; {.fd = -1} is allowed */
void partial_remove(struct partial *p); /* nothing stays */

#endif
