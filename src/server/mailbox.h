/*
 * How the engine's events reach the event loop: the engine's thread puts copies in, the loop takes all of
 * them at once. Once warm, nothing is allocated: two buffers change places.
 */
#ifndef SERVER_MAILBOX_H
#define SERVER_MAILBOX_H

#include <pthread.h>

#include "engine/engine.h"

struct mailbox {
	pthread_mutex_t lock;
	struct strbuf in;  /* under the lock */
	struct strbuf out; /* the loop's */
};

/* A copy of an engine_event. */
struct mail {
	void *to;
	enum engine_event_kind kind;
	enum hokku_code code;         /* error */
	uint32_t prompt_tokens;       /* started */
	uint32_t index;               /* token, prompt */
	int32_t token;                /* token, end */
	uint64_t seed;                /* started */
	uint64_t at_ns;               /* when the engine told it */
	struct hokku_result result;   /* end */
	uint32_t cached_tokens;       /* end */
	int32_t stop_text;            /* end */
	struct cache_miss cache_miss; /* end; NOT_ASKED: it was not */
	/* token: its text; error: the message; prompt: its struct prompt_logprob, not aligned */
	struct str text;
	bool has_logprobs;              /* token, end */
	struct token_logprobs logprobs; /* the last member: kept only where there are any */
};

/* An empty one; deinit frees what was not taken, when nobody puts anything in any more. */
void mailbox_init(struct mailbox *m);
void mailbox_deinit(struct mailbox *m);

/* Any thread. Returns true if the mailbox was empty: then the loop needs waking. */
bool mailbox_put(struct mailbox *m, void *to, const struct engine_event *event);

/* The loop: everything that came since the last call, for mail_next; valid until the next call. *lost: an
 * event could not be kept for want of memory. */
struct str mailbox_take(struct mailbox *m, bool *lost);

/* Takes the first mail off *rest; false when there is none. */
bool mail_next(struct str *rest, struct mail *out);

#endif
