/* What the cache holds: models, by the names that bring them, and what has come of pulls that did not end. */
#ifndef HUB_INVENTORY_H
#define HUB_INVENTORY_H

#include "hub/choose.h"

enum hub_item_kind { HUB_ITEM_GGUF, HUB_ITEM_FOLDER, HUB_ITEM_PART, HUB_ITEM_URL };

struct hub_item {
	enum hub_item_kind kind;
	char *name;                              /* as a command takes it; of a PART the repository */
	char *path;                              /* what is opened, or the part */
	char repo[HUB_MAX_REPO + 1], commit[41]; /* empty of an URL's file */
	uint64_t n_bytes;                        /* of a PART, what it takes of the disk */
	uint64_t n_files;
	int64_t used_s; /* when the newest file came, in seconds since 1970 */
};

struct hub_inventory {
	struct hub_item *items; /* (n) by name */
	size_t n, cap;
};

/* A cache that is not there is empty. What is no model of the hub's layout is passed over, also links that
 * lead out of the cache. */
enum hokku_code hub_inventory_read(const struct hub_config *c, struct hub_inventory *out,
				   struct hokku_error *err);
void hub_inventory_free(struct hub_inventory *v);

struct hub_removed {
	uint64_t n_bytes, n_files;
};

/* What removing a name would take: all of the repository where nothing stands after its colon, else the files
 * of that model, as far as no other snapshot has them. NOT_FOUND: it is not here. */
enum hokku_code hub_remove_look(const struct hub_config *c, const struct hub_name *name,
				struct hub_removed *out, struct hokku_error *err);

/* Removes it. Waits for pulls of the same files. */
enum hokku_code hub_remove(const struct hub_config *c, const struct hub_name *name,
			   const struct observer *observer, struct hub_removed *out, struct hokku_error *err);

#endif
