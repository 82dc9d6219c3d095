/* What the engine's files share. See engine.h for the contract. */
#ifndef ENGINE_ENGINE_INTERNAL_H
#define ENGINE_ENGINE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/engine.h"
#include "engine/pace.h"
#include "engine/stop.h"
#include "text/stream.h"

/* A request from submit to its last event. Owned by the queue, then by the engine's thread. */
struct job {
	struct job *next; /* in a list of jobs taken out of the queue */
	uint64_t id;
	int32_t *tokens; /* (n_tokens) */
	uint32_t n_tokens, max_tokens;
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
	char *model_path; /* NULL: bundled */
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
	struct model model;
	struct compute *compute;
	uint32_t n_ctx, n_vocab, n_batch;
	_Atomic(const struct tok *) public_tok; /* NULL until ready */
	_Atomic(const struct chat *) public_chat;

	/* The engine's thread alone. */
	int32_t *history;                 /* (n_ctx + 1) prompt and answer of the running request */
	uint32_t *blocks;                 /* block table of the one sequence */
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
	struct job **queue; /* (max_queue) ring */
	uint32_t queue_head, n_queued;
	struct job *running;
	uint64_t next_id, n_finished, n_tokens_in, n_tokens_out;
	uint64_t checked_ns;
	bool door_closed, stopping;
	bool over;               /* the thread has done its last work */
	atomic_uint n_cancelled; /* of the jobs queued; read without the lock */
};

/* load.c: fills the engine from the file; runs on the engine's thread. engine_unload frees whatever there is.
 */
enum hokku_code engine_load(struct engine *e, struct hokku_error *err);
void engine_unload(struct engine *e);

/* engine.c: reports how far loading is (0 to 1). */
void engine_set_load_part(struct engine *e, double part);

/* engine.c: the same in bytes of weights; the first call marks the beginning. */
void engine_set_load_bytes(struct engine *e, uint64_t done, uint64_t all);

/* engine.c: shall loading end? */
bool engine_is_stopped(struct engine *e);

/* engine.c: takes cancelled jobs out of the queue and ends them. Called between steps. */
void engine_reap_cancelled(struct engine *e);

/* engine.c: checks the device's memory where that is due: DEVICE_ERROR if the device cannot go on. Called
 * between steps and while idle. */
enum hokku_code engine_check(struct engine *e, struct hokku_error *err);

/* engine.c: adds to the counters that engine_get_state shows. */
void engine_count(struct engine *e, uint32_t tokens_in, uint32_t tokens_out);

/* generate.c: runs one job to its end and sends all its events. DEVICE_ERROR when the device cannot go on;
 * then err says why (and the job has had its error). */
enum hokku_code engine_generate(struct engine *e, struct job *job, struct hokku_error *err);

void job_fail(const struct job *job, const struct hokku_error *err);
void job_destroy(struct job *job);

#endif
