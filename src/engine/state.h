/*
 * Saving what KV memory holds of a sequence in a file, and putting it back (state_file.h). Both wait, on a
 * thread of the caller's that is neither the engine's nor one that others wait for; the engine's thread is
 * asked for some blocks at a time between its steps (call.h), so streams go on meanwhile.
 *
 * What is restored is in the prefix cache, as if it had been computed: a request that begins with these ids
 * finds it. It can be found until its blocks are needed, like all that nobody uses.
 */
#ifndef ENGINE_STATE_H
#define ENGINE_STATE_H

#include "engine/engine.h"

enum {
	STATE_ENDED = 64,            /* requests whose ids are kept after their end, at most */
	STATE_SLICE_BYTES = 4 << 20, /* of blocks that are copied between two steps, or one block */
};

struct engine_saving {
	/* Either a request's id: one that answers or has ended, of the last n_ended of engine_config; or ids,
	 * which are computed first, but for what is found. */
	uint64_t request;
	const int32_t *tokens; /* (n_tokens) */
	size_t n_tokens;
	uint32_t priority; /* of that computing */
	/* Whose they are: of tokens as of an engine_request; a request must be this owner's. */
	uint32_t owner;
	struct str cache_salt;
	const char *path; /* an older file stays whole until the new one is */
	const char *name; /* of the state in messages */
	/* Asked now and then; true ends it (CANCELLED). May be NULL. */
	bool (*stopped)(void *user);
	void *user;
};

struct engine_restoring {
	uint32_t owner; /* who will find it, as of an engine_request */
	struct str cache_salt;
	const char *path, *name;
	bool (*stopped)(void *user);
	void *user;
};

struct engine_state_told {
	uint32_t n_tokens, n_prompt;
	uint32_t n_kept; /* tokens whose keys and values are in the file: those of full blocks */
	uint64_t bytes;  /* of the file */
	int32_t *tokens; /* restored: (n_tokens), the caller frees it; saved: NULL */
};

/* NOT_FOUND: there is no such request, or not all of its blocks are found any more; why. IO_ERROR, also where
 * there is not room for the file, whose size is in the message. INVALID_REQUEST: the engine was created
 * without states or with no_prefix_cache. CANCELLED; and as engine_submit. */
enum hokku_code engine_save(struct engine *e, const struct engine_saving *saving,
			    struct engine_state_told *told, struct hokku_error *err);

/* NOT_FOUND: there is no such file. BAD_FILE: it was cut or changed, or is none. INVALID_REQUEST: it belongs
 * to another model, device, build ...: which, and both values. CONTEXT_EXCEEDED: it is longer than the
 * context. OVERLOADED: those who run leave too few blocks. IO_ERROR, CANCELLED. Nothing of it can be found
 * then. */
enum hokku_code engine_restore(struct engine *e, const struct engine_restoring *restoring,
			       struct engine_state_told *told, struct hokku_error *err);

struct job;

/* For the engine's own files. What identifies its states, and the fingerprint, once the model is loaded. */
enum hokku_code state_identify(struct engine *e, struct hokku_error *err);

/* The ids of requests that have ended, the latest n of them. */
struct ended_request {
	uint64_t id; /* 0: none yet */
	int32_t *ids;
	uint32_t n_ids, n_prompt;
	bool no_cache;
	uint32_t owner;
	uint64_t root;
};
/* job is about to be freed: takes its ids over. */
void state_remember(struct engine *e, struct job *job);
void state_forget_all(struct engine *e);

#endif
