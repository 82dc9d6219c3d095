/* Bringing a model into the cache: what a name is on the hub, which files, those that are missing, all
 * checked. */
#ifndef HUB_PULL_H
#define HUB_PULL_H

#include "hub/cache.h"
#include "hub/choose.h"

/* What is going to be pulled. */
struct hub_plan {
	const struct hub_name *name;
	const char *commit;
	const struct hub_files *files; /* of the repository */
	const struct hub_choice *choice;
	struct http *http;
	uint64_t n_bytes, n_here; /* of the files that were chosen, and of these, what is here already */
};

/* For begin: the first n bytes of file i of the choice, fewer where it has fewer, into path, a file that has
 * the length of the whole one, with a hole for the rest. */
enum hokku_code hub_plan_head(const struct hub_plan *plan, size_t i, size_t n, const char *path,
			      struct hokku_error *err);

enum hub_phase { HUB_BRINGING, HUB_CHECKING };

struct hub_pull {
	const struct hub_config *config;
	const struct hub_name *name;     /* HUB_REPO or HUB_URL */
	const struct observer *observer; /* may be NULL */
	/* Before the first byte of a model comes, unless all is here; other than HOKKU_OK ends it. May be
	 * NULL.
	 */
	enum hokku_code (*begin)(void *user, const struct hub_plan *plan, struct hokku_error *err);
	/* Bytes done of all of the plan; of HUB_CHECKING, of the file. May be NULL. */
	void (*progress)(void *user, enum hub_phase phase, const char *file, uint64_t done, uint64_t all);
	void *user;
};

/*
 * *path (malloc): the file to open, or the folder. Offline, only what is here is found. What has come of a
 * file stays for the next pull, unless its checksum is wrong: then nothing of it does. The snapshot and the
 * revision are written when all files are whole.
 */
enum hokku_code hub_pull(const struct hub_pull *p, char **path, struct hokku_error *err);

/* The same of a file of any host, or of all parts of a split one beside it: it lies in config->urls, and
 * where the host tells no checksum none is checked. For hub_pull. */
enum hokku_code hub_pull_url(const struct hub_pull *p, char **path, struct hokku_error *err);

/* Where hub_pull_url has put a URL's file (malloc); NOT_FOUND: it has not. */
enum hokku_code hub_find_url(const struct hub_config *c, const char *url, char **path,
			     struct hokku_error *err);

#endif
