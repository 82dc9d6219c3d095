/*
 * What the hub says of a repository: the commit that a revision is, its files with sizes and checksums, and
 * where a file's bytes are. What it refuses is told with what can be done about it.
 */
#ifndef HUB_REPO_H
#define HUB_REPO_H

#include "hub/http.h"
#include "hub/name.h"

struct hub_file {
	char *path; /* in the repository */
	uint64_t n_bytes;
	bool sized;                  /* the hub has told n_bytes; else it is 0 */
	char hash[HUB_HASH_MAX + 1]; /* hub_is_hash, or "" where the hub told none */
};

struct hub_files {
	struct hub_file *all; /* (n) by path */
	size_t n, cap;
};
bool hub_files_add(struct hub_files *f, struct str path, uint64_t n_bytes, const char *hash);
void hub_files_sort(struct hub_files *f);
void hub_files_free(struct hub_files *f);

struct hub_repo {
	char commit[41];
	struct hub_files files;
};

/* NOT_FOUND: no such repository or revision (with the nearest of the user's); UNAUTHORIZED: private, gated,
 * or the token is refused; BAD_FILE: an answer that cannot be, a name that leaves its folder. */
enum hokku_code hub_repo_ask(struct http *h, const struct hub_name *name, struct hub_repo *out,
			     struct hokku_error *err);
/* The answer's text, read. BAD_FILE. */
enum hokku_code hub_repo_read(const struct hub_name *name, struct str text, struct hub_repo *out,
			      struct hokku_error *err);
void hub_repo_free(struct hub_repo *r);

/* A file's address, checked against what is known of it: size, checksum and commit must be the same. Fills in
 * a checksum and a size that are not known yet. NOT_FOUND: no such file at this commit. */
enum hokku_code hub_repo_locate(struct http *h, const struct hub_name *name, const char *commit,
				struct hub_file *file, char url[HUB_MAX_URL], struct hokku_error *err);

#endif
