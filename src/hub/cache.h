/*
 * The cache of the hub's programs, as its page "Hub Local Cache" lays it out, so that what one has pulled all
 * find, and nothing is stored twice:
 *
 *   CACHE/models--user--repo/blobs/HASH              the bytes, by their checksum
 *   CACHE/models--user--repo/snapshots/COMMIT/FILE   a relative link to them
 *   CACHE/models--user--repo/refs/main               the commit that a branch or tag was
 *   CACHE/models--user--repo/.no_exist/COMMIT/FILE   empty: the hub has no such file
 *   CACHE/.locks/models--user--repo/HASH.lock        held (flock) by whoever brings HASH
 *
 * A link that leads out of the cache is not followed.
 */
#ifndef HUB_CACHE_H
#define HUB_CACHE_H

#include "hub/choose.h"
#include "hub/repo.h"

/* "CACHE/models--user--repo/REST" (malloc); NULL: no memory. */
char *hub_cache_path(const char *cache, const char *repo, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Makes the folders of path that are missing, all but its last component. They must be in the cache, also
 * after links. */
enum hokku_code hub_cache_make_folders(const char *cache, const char *path, struct hokku_error *err);

/* Does path, links followed, lie in the cache? IO_ERROR tells where it leads. */
enum hokku_code hub_cache_inside(const char *cache, const char *path, struct hokku_error *err);

/* What the disk that a cache is on, or will be, has free; 0: it is not told. */
uint64_t hub_cache_free_bytes(const char *cache);

/* Waits for the blob's lock; a note tells so, where another holds it. CANCELLED. */
enum hokku_code hub_cache_lock(const char *cache, const char *repo, const char *hash,
			       const struct observer *observer, int *fd, struct hokku_error *err);
/* The same of any file, whose folder must be there. */
enum hokku_code hub_lock(const char *path, const struct observer *observer, int *fd, struct hokku_error *err);
void hub_unlock(int fd);

/* A file of a snapshot becomes a link to its blob. */
enum hokku_code hub_cache_link(const char *cache, const char *repo, const char *commit, const char *file,
			       const char *hash, struct hokku_error *err);
enum hokku_code hub_cache_write_ref(const char *cache, const char *repo, const char *revision,
				    const char *commit, struct hokku_error *err);
/* Notes that the hub has no such file. What cannot be noted is no failure. */
void hub_cache_note_absent(const char *cache, const char *repo, const char *commit, const char *file);

/* The commit that a revision was when it was last asked for; NOT_FOUND: it never was. */
enum hokku_code hub_cache_commit(const char *cache, const char *repo, const char *revision, char commit[41],
				 struct hokku_error *err);

/* The files of a snapshot that are there; of each that is a link into blobs/, its checksum. NOT_FOUND: no
 * such snapshot. */
enum hokku_code hub_cache_files(const char *cache, const char *repo, const char *commit,
				struct hub_files *out, struct hokku_error *err);

/* The commit, the files and the choice among them that a name stands for here, without asking anybody.
 * NOT_FOUND as of the two above, else as hub_choose. files and choice are the caller's to free, after an
 * error too. */
enum hokku_code hub_cache_choose(const struct hub_config *c, const struct hub_name *name, char commit[41],
				 struct hub_files *files, struct hub_choice *choice, struct hokku_error *err);

/* What is here of a name, without asking anybody: what to open (malloc). NOT_FOUND: not here, or not all of
 * it; IO_ERROR: it leads out of the cache. */
enum hokku_code hub_cache_find(const struct hub_config *c, const struct hub_name *name, char **path,
			       struct hokku_error *err);

#endif
