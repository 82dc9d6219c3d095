/*
 * The bytes of one file, over several connections at a time, each of which asks for ranges of the pieces that
 * are not there yet. A connection that breaks is made again and goes on where it was; an address that has run
 * out is asked for anew. Where a server knows no ranges, one connection brings all from the beginning.
 */
#ifndef HUB_TRANSFER_H
#define HUB_TRANSFER_H

#include "hub/http.h"
#include "hub/partial.h"

enum {
	TRANSFER_RUN_BYTES = 64 << 20,  /* one range at most */
	TRANSFER_WHOLE_BYTES = 1 << 20, /* up to so many come in one, without ranges */
};

struct transfer {
	struct http *http;
	struct partial *to;
	const char *name; /* in messages */
	/* Where the bytes are now; asked at the beginning, and again when an address is refused. */
	enum hokku_code (*locate)(void *user, char url[HUB_MAX_URL], struct hokku_error *err);
	/* Bytes that are on the disk of this file; may be NULL. */
	void (*progress)(void *user, uint64_t done);
	void *user;
	uint64_t limit; /* stop when bytes 0 .. limit - 1 are there; 0: all */
};

/* CANCELLED, IO_ERROR (the network, the disk), BAD_FILE (the server sends other bytes than were asked for, or
 * tells another size), UNAUTHORIZED, NOT_FOUND. What has come is kept in to. */
enum hokku_code transfer_run(struct transfer *t, struct hokku_error *err);

#endif
