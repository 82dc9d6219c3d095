/*
 * The files of several models: those that were named, and those of a folder, which may appear, change and
 * vanish at any time. A thread of its own looks at them, every two seconds and whenever it is asked, so that
 * neither the loop nor an answer waits for a disk; of a file that is new or has changed it reads the header.
 */
#ifndef SERVER_SHELF_H
#define SERVER_SHELF_H

#include "engine/look.h"
#include "server/model_name.h"

enum {
	SHELF_MAX_MODELS = 512,     /* more are passed over, which is told */
	SHELF_MAX_DEPTH = 5,        /* of folders in the folder; links to folders are not followed */
	SHELF_MAX_ENTRIES = 100000, /* of all folders together, the same */
	SHELF_PERIOD_MS = 2000,
	SHELF_DIGEST_BYTES = 65,
};

/* What the file says. */
struct shelf_look {
	struct hokku_error err; /* code 0, or why it is no model that can be served */
	struct model_look model;
	char digest[SHELF_DIGEST_BYTES];
	uint64_t modified_ns; /* when the file was last written, since 1970 */
};

struct shelf_model {
	char name[MODEL_NAME_MAX_BYTES + 1]; /* its own alone */
	char *path;
	bool named;              /* on the command line: it stays in the list when its file goes */
	uint64_t print;          /* another one where the file is another one; 0: there is none */
	enum hokku_code failed;  /* the thread's: why it could not be looked at for now; 0: it was */
	struct shelf_look *look; /* of a print that was not there before; else NULL */
};

/* What there is, by name; named ones are first, as they were given. */
struct shelf_list {
	struct shelf_model *models; /* (n) */
	uint32_t n, n_left_out;
	uint64_t number;        /* of the question that it answers, and of all before */
	struct hokku_error err; /* of the folder; code 0: it was read. Where it could not be for want of
				 * descriptors or memory, the list is that before */
};
void shelf_list_free(struct shelf_list *list); /* NULL is allowed; looks that are still there too */

struct shelf_config {
	const char *const *paths; /* (n_paths) borrowed */
	uint32_t n_paths;
	const char *dir;             /* NULL: none; borrowed */
	struct engine_config engine; /* of the engines that will be made */
	void (*on_list)(void *user); /* on the thread: shelf_take has one */
	void *user;
};

/* The list alone, without prints that are known or looks; for the thread, and for tests. *out is
 * shelf_list_free's. OUT_OF_MEMORY; IO_ERROR: for want of descriptors or memory not all can be seen. */
enum hokku_code shelf_scan(const struct shelf_config *config, struct shelf_list **out,
			   struct hokku_error *err);

/* Digits that tell models apart by what their files say of keys and tensors. */
void shelf_digest(const struct gguf *g, char out[SHELF_DIGEST_BYTES]);

struct shelf;

/* Starts the thread, which begins to look at once (question number 1). */
enum hokku_code shelf_create(const struct shelf_config *config, struct shelf **out, struct hokku_error *err);

/* Has it look now; the number of the list that will have been made after this. */
uint64_t shelf_ask(struct shelf *s);

/* The lists since the last call in one; NULL: there is none. The caller's to free. */
struct shelf_list *shelf_take(struct shelf *s);

/* Joins the thread, after the file at hand. NULL is allowed. */
void shelf_destroy(struct shelf *s);

#endif
