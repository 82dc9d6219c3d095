/*
 * Making a request ready for the engine (parsing JSON, rendering the chat template, tokenising) can take as
 * long as a second for a body of many megabytes, so it happens on a thread of its own: the loop hands a job
 * over and gets it back when it is done; an answer's shape is compiled by the engine's own threads meanwhile.
 * Keys take turns, and of a key it is first come, first served. Bounded in number and in bytes, but that a
 * key that has no job here may always bring one.
 */
#ifndef SERVER_PREPARE_H
#define SERVER_PREPARE_H

#include <stdatomic.h>

#include "engine/calling.h"
#include "server/request.h"

enum { PREPARE_MAX_BYTES = 64 * 1024 * 1024 }; /* of all bodies that wait; one alone may be larger */

struct prepare;

/* What the server gives to chat templates where a request says nothing else. */
struct prepare_chat {
	const struct jv *kwargs;      /* NULL: none */
	const struct jinja_time *now; /* NULL: the clock */
	bool thinking_is_text;        /* it is not told apart */
	const char *model;            /* of several models the name of this one; NULL: it is the only one */
	struct responses *responses;  /* what requests may go on from; NULL: nothing */
};

enum { PREPARE_MAX_BACK = 16 }; /* messages with calls, the last ones, of which cache_debug can tell */

/* Calls that a message brings back, and that the prompt has otherwise than they were drawn. */
struct prepare_back {
	char message[64]; /* by the request's name for it */
	enum dialect_back why;
	uint32_t first, end; /* of the prompt's tokens: where it has them */
};

/* One of a job's prompts. */
struct prepare_prompt {
	size_t first, n; /* of ids */
	struct prompt_text text;
	size_t text_at; /* in texts, until all of them are there */
};

struct prepare_job {
	struct prepare_job *next;
	void *owner;
	uint32_t key;                        /* whose it is: keys take turns */
	const struct request_form *form;     /* of the route */
	const struct dialect_found *dialect; /* of the model; NULL: answers are not told apart */
	const struct request_served *served; /* the thread's; NULL: nothing is known of it */
	atomic_bool abandoned;               /* set by the loop: nobody waits for the result, skip the work */
	struct strbuf body;                  /* freed by the thread */
	/* What comes back. */
	enum hokku_code rc;
	struct request_error err;
	struct gen_request request; /* without the prompt, which is in ids */
	struct tok_ids ids;         /* of all prompts */
	/* (n_prompts) where a form takes several; NULL: there is one, all of ids */
	struct prepare_prompt *prompts;
	uint32_t n_prompts; /* 1 at least */
	struct strbuf texts;
	char template_date[20];  /* the date that the prompt holds; "": none */
	struct strbuf stop_json; /* the stop strings as JSON, separated by commas */
	struct calling calling;  /* how its answer is told apart */
	/* With cache_debug (n_back), the first in the conversation first. */
	struct prepare_back back[PREPARE_MAX_BACK];
	uint32_t n_back;
	struct constrain *shape; /* the answer's, compiled; NULL: it has none */
	struct strbuf told;      /* what form->tell said, where there is one */
	/* The thread's. */
	struct prepare *prepare;
	struct shape_order order;
	size_t n_bytes; /* of the body */
};

/* engine: its tokenizer and template are used; jobs may only come once it is ready. They have keys 0 to
 * n_keys. on_done is called on the thread after each job; prepare_take_done then has it. */
enum hokku_code prepare_create(struct engine *engine, const struct prepare_chat *defaults, uint32_t max_jobs,
			       uint32_t n_keys, void (*on_done)(void *user), void *user, struct prepare **out,
			       struct hokku_error *err);

/* Joins the thread, and waits for shapes that are being compiled; no more are, for anybody. Jobs that still
 * wait are left as they are. NULL is allowed. */
void prepare_destroy(struct prepare *p);

/* Hands job over: nobody else may touch it (but for abandoned) until it is back. False: too many wait. */
bool prepare_submit(struct prepare *p, struct prepare_job *job);

/* Finished jobs, oldest first, linked by next; NULL: none. */
struct prepare_job *prepare_take_done(struct prepare *p);

/* Frees what a job holds, not the job. */
void prepare_job_free(struct prepare_job *job);

/* The shape, if there is one: nothing of an engine's may be left when it is destroyed. */
void prepare_drop_shape(struct prepare_job *job);

/* The work itself but for the shape, on any thread. */
void prepare_run_job(struct prepare_job *job, const struct tok *tok, const struct chat *chat,
		     const struct sampling_advice *advice, const struct prepare_chat *defaults);

#endif
