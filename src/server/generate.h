/* The routes of requests for an answer, and what the loop calls for them. */
#ifndef SERVER_GENERATE_H
#define SERVER_GENERATE_H

#include "server/state.h"

void state_save_route(struct server *s, struct http_request *r);    /* POST /v1/state/save */
void state_restore_route(struct server *s, struct http_request *r); /* POST /v1/state/restore */
void gen_client_gone(struct generation *g);
void gen_prepare(struct generation *g); /* to the thread of its model; g may be gone then */
void gen_take_prepared(struct server *s);
void gen_take_job(struct generation *g); /* prepared; g may be gone then */
void gen_take_mail(struct server *s);
void gen_tick(struct server *s, uint64_t now_ns);
/* Ends the request of that key with that id, if a client still waits for it. */
bool gen_cancel(struct server *s, uint32_t owner, const char *id);
void gen_stop_all(struct server *s, enum hokku_code code);
void gen_stop_of(struct hosted *h, enum hokku_code code); /* what one model has of them */
void gen_drop_shapes(struct server *s);                   /* before the engine goes */
void gen_free_all(struct server *s);

/* gen_state.c: of a generation that is no answer but a state's. */
enum hokku_code gen_state_submit(struct generation *g); /* to the thread; the error is in its job */
void gen_take_states(struct server *s);
void gen_state_remember(struct generation *g); /* an answer, whose generation is about to go */

/* gen_submit.c: all samples of a prepared request to the engine; the error is in its job. */
enum hokku_code gen_submit(struct generation *g);
uint32_t gen_n_asked(const struct generation *g);   /* samples of all prompts */
bool gen_tells_prompt(const struct sample *sample); /* the log probabilities of its prompt */
/* Has the key used up its tokens? *retry_after_s: then, when it has some again. */
enum hokku_code gen_check_allowance(const struct server *s, uint32_t owner, uint32_t *retry_after_s,
				    struct hokku_error *err);

/* A request for an answer (routes.c), or for what is prepared as one is. */
void gen_begin(struct server *s, const struct api *api, struct http_request *r);

/* gen_answer.c: what is known of a sample's answer, for what is told of it. */
uint32_t gen_n_cached(const struct generation *g); /* of its prompts, tokens that were found in KV memory */
struct answer_start gen_sample_start(struct sample *sample, const char *model);

/* generate.c, for the files gen_*.c. */
void gen_mark_dirty(struct generation *g);     /* something of it is in out, to be sent at the turn's end */
void gen_send_dirty(struct server *s);         /* all events of one loop turn leave in one piece */
void gen_end_stream(struct generation *g);     /* the last event is in out */
void gen_note(struct generation *g);           /* while it has a client: its access has what is known of it */
void gen_add_warnings(struct generation *g);   /* the header that has what the answer warns of */
void gen_cancel_samples(struct generation *g); /* what the engine has of it ends a step later */
void gen_free(struct generation *g);
void gen_answer_error(struct generation *g, enum hokku_code code, const char *message, const char *field);

/* Why nobody is served by a model while a step does not end (h->watchdog). */
enum hokku_code stuck_error(const struct hosted *h, struct hokku_error *err);

#endif
