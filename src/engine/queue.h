/* What the engine's thread shares with its callers: jobs that wait, how far loading is, counters. See
 * engine.h for the contract. */
#ifndef ENGINE_QUEUE_H
#define ENGINE_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/pace.h"
#include "engine/request.h"
#include "engine/stop.h"
#include "gguf/gguf.h"
#include "text/chat.h"
#include "text/stream.h"
#include "text/tokenizer.h"

/* A request from submit to its last event. Owned by the queue, then by the engine's thread. */
struct job {
	struct job *next; /* in a list of jobs taken out of the queue */
	uint64_t id;
	int32_t *tokens; /* (n_tokens) */
	uint32_t n_tokens, max_tokens;
	bool logprobs;
	uint32_t n_top;
	struct sampling sampling;
	struct hokku_logit_bias *bias;
	struct stop_matcher stop;
	void (*on_event)(void *user, const struct engine_event *event);
	void *user;
	uint64_t submitted_ns;
	atomic_bool cancelled;
};

struct engine {
	/* Set at creation, then constant. */
	char *model_path;    /* NULL: bundled */
	char *chat_template; /* NULL: the file's own */
	size_t chat_template_bytes;
	char *device;
	uint32_t config_ctx, n_threads, max_queue;
	uint64_t vram_limit, kv_bytes;
	bool kv_grows;
	void (*on_state)(void *user);
	bool (*stopped)(void *user);
	void *user;
	pthread_t thread;

	/* The model: written by the engine's thread while it loads, constant once published. */
	struct gguf *file;
	struct tok *tok;
	struct chat chat;
	struct sampling_advice advice;
	struct model model;
	struct compute *compute;
	uint32_t n_ctx, n_vocab, n_batch;
	_Atomic(const struct tok *) public_tok; /* NULL until ready */
	_Atomic(const struct chat *) public_chat;

	/* The engine's thread alone. */
	int32_t *history;                 /* (n_ctx + 1) prompt and answer of the running request */
	uint32_t *blocks;                 /* block table of the one sequence */
	float *logits;                    /* (n_vocab) of the token drawn last, for its logprobs */
	struct pace pace;                 /* prompt tokens a step */
	uint64_t check_ns, next_check_ns; /* the device's memory is checked every check_ns */
	struct strbuf decoded, shown;
	size_t max_piece; /* bytes of text that one token may release */

	/* Everything below: under lock, which is never held during a step or a callback. */
	pthread_mutex_t lock;
	pthread_cond_t work;    /* to the engine's thread: queue or flags changed */
	pthread_cond_t changed; /* to waiters: phase changed, or the engine became idle */
	enum engine_phase phase;
	double load_part;
	uint64_t load_bytes, load_all_bytes, load_begun_ns;
	struct hokku_error failure;
	struct hokku_info info;
	struct compute_memory memory;
	const char *device_why;
	bool device_why_notable;
	const char *const *tokenizer_notes;
	struct job **queue; /* (max_queue) ring */
	uint32_t queue_head, n_queued;
	struct job *running;
	uint64_t next_id, n_finished, n_tokens_in, n_tokens_out;
	uint64_t checked_ns;
	bool door_closed, stopping;
	bool over;               /* the thread has done its last work */
	atomic_uint n_cancelled; /* of the jobs queued; read without the lock */
};

/* The ring, under the lock. */
struct job *queue_pop(struct engine *e);
void queue_push(struct engine *e, struct job *job);

/* Takes jobs out of the queue, in order: the cancelled ones, or all. Under the lock. */
struct job *queue_take_out(struct engine *e, bool all);

/* Ends a list of jobs with err. */
void queue_fail(struct engine *e, struct job *list, const struct hokku_error *err);

/* Takes cancelled jobs out of the queue and ends them. Called between steps. */
void engine_reap_cancelled(struct engine *e);

/* err: why, or NULL. */
void engine_enter_phase(struct engine *e, enum engine_phase phase, const struct hokku_error *err);

/* Reports how far loading is (0 to 1). */
void engine_set_load_part(struct engine *e, double part);

/* The same in bytes of weights; the first call marks the beginning. */
void engine_set_load_bytes(struct engine *e, uint64_t done, uint64_t all);

/* Shall loading end? */
bool engine_is_stopped(struct engine *e);

/* Adds to the counters that engine_get_state shows. */
void engine_count(struct engine *e, uint32_t tokens_in, uint32_t tokens_out);

/* Sends a job's event: on the engine's thread, never under the lock. */
void job_emit(const struct job *job, struct engine_event *event);
void job_fail(const struct job *job, const struct hokku_error *err);
void job_destroy(struct job *job);

#endif
