/*
 * POST /v1/state/save and /v1/state/restore: what each takes, and the thread that does it. A state is a file
 * DIR/FOLDER/NAME.state, FOLDER being its key's: names are a key's own. Files and the wait for the engine
 * (engine/state.h) are the thread's, one after the other, so that neither the loop nor an answer waits for a
 * disk.
 */
#ifndef SERVER_STATES_H
#define SERVER_STATES_H

#include <stdatomic.h>

#include "engine/state.h"
#include "server/request.h"

enum {
	STATES_MAX_WAITING = 64,
	STATES_FOLDER_BYTES = 80, /* of a key's folder, its end counted */
};

struct states_job {
	struct states_job *next;
	void *owner;
	bool save; /* else restore */
	char name[REQUEST_MAX_NAME_BYTES + 1];
	char folder[STATES_FOLDER_BYTES];
	uint64_t request;   /* to be saved, as the engine knows it; 0: the ids are */
	struct tok_ids ids; /* freed with the job */
	uint32_t priority;
	uint32_t key;             /* the number of whose it is */
	struct strbuf cache_salt; /* freed with the job */
	atomic_bool stop;         /* set by the loop: nobody waits for it */
	/* What comes back. */
	enum hokku_code rc;
	struct hokku_error err;
	struct engine_state_told told;
	double ms;
};

struct states;
struct jv;

/* A field that names a state (field.h). */
enum hokku_code states_take_name(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err);

extern const struct request_form request_state_save, request_state_restore;

/* dir: must be a folder that can be written to (NOT_FOUND, IO_ERROR). on_done is called on the thread after
 * each job. */
enum hokku_code states_create(struct engine *engine, const char *dir, void (*on_done)(void *user), void *user,
			      struct states **out, struct hokku_error *err);

/* Tells the job at hand to stop and waits for the thread's end, for wait_ms at most. False: it goes on, and
 * all must be left as it is. NULL is allowed. */
bool states_stop(struct states *s, uint32_t wait_ms);

/* Tells the job at hand to stop and joins the thread; the engine must be there, or stopped (engine_stop).
 * NULL is allowed. */
void states_destroy(struct states *s);

/* Hands job over until states_take_done gives it back. False: too many wait. */
bool states_submit(struct states *s, struct states_job *job);
struct states_job *states_take_done(struct states *s); /* linked by next; NULL: none */

void states_job_free(struct states_job *job); /* NULL is allowed */

/* {"name":...} of a job that was done. */
void states_answer(struct strbuf *b, const struct states_job *job);

#endif
