/* What the engine's thread shares with its callers: requests from submit to their last event, how far loading
 * is, counters. See engine.h for the contract. */
#ifndef ENGINE_QUEUE_H
#define ENGINE_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/engine.h"
#include "engine/fingerprint.h"
#include "engine/owners.h"
#include "engine/pace.h"
#include "engine/request.h"
#include "engine/salts.h"
#include "engine/sched.h"
#include "engine/stop.h"
#include "engine/walk.h"
#include "engine/watch.h"
#include "gguf/gguf.h"
#include "text/chat.h"
#include "text/stream.h"
#include "text/tokenizer.h"

/* A request from submit to its last event. */
struct job {
	/* Constant from submit on. */
	uint64_t id;
	uint32_t max_tokens, n_answered;
	bool logprobs, prompt_logprobs, chances, no_cache;
	enum engine_control control_text;
	bool cache_debug;
	uint32_t n_top, n_prompt_top;
	struct sampling sampling;
	struct hokku_logit_bias *bias; /* (n_bias) and what DRY adds */
	uint32_t n_bias;
	bool by_host;    /* the device does not draw so (compute_draws) */
	bool looks_back; /* its draws need all tokens before them known: no step of it runs ahead of one */
	void (*on_event)(void *user, const struct engine_event *event);
	void *user;
	uint64_t submitted_ns;

	/* Under the lock. */
	struct job *next, *prev; /* of all there are, by id */
	struct job *next_new;    /* of those that the engine's thread has not seen */

	/* The engine's thread. */
	struct sched_seq seq;               /* ids: prompt and answer */
	uint32_t place;                     /* in the step submitted last, where it draws in it */
	struct cache_miss miss;             /* where cache_debug */
	struct rules *rules;                /* NULL: none */
	struct dry *dry;                    /* the same */
	double mirostat_mu;                 /* after what was drawn so far */
	struct token_logprobs told_chances; /* of the token drawn last, where chances */
	struct stop_matcher stop;
	int32_t stop_token; /* that ended it; -1 */
	struct text_stream stream;
	struct hokku_result result;
	bool started;
	uint64_t begin_ns, first_ns; /* its first step began; its first token was drawn */
	uint32_t n_out;              /* tokens drawn, an end token not counted */
	struct walk *walk;           /* through its answer's shape; NULL: it has none */
	struct job *next_news;       /* masks.h */
	enum hokku_code failed;      /* how it was told to have ended; 0: with its answer */

	atomic_bool cancelled;
};

/* The job whose sequence seq is. */
static inline struct job *job_of(struct sched_seq *seq)
{
	return (struct job *)((char *)seq - offsetof(struct job, seq));
}

/* A step from submit to collect. */
struct flight {
	uint32_t n, n_tokens;
	uint32_t n_rows;            /* of row_logits that are taken */
	struct sched_seq **planned; /* (n_parallel) its sequences; NULL: it has ended meanwhile */
	struct compute_seq *steps;  /* (n_parallel) the same for the device */
	struct hokku_error *errors; /* (n_parallel) */
	float *logits;              /* (n_parallel, n_vocab) of tokens whose logprobs are told */
	uint64_t submitted_ns;
	bool telling; /* what it takes is news */
};

struct engine {
	/* Set at creation, then constant. */
	char *model_path;    /* NULL: bundled */
	char *chat_template; /* NULL: the file's own */
	size_t chat_template_bytes;
	char *device;
	char *fingerprint_of; /* NULL: there is none */
	uint32_t config_ctx, config_ctx_most, n_threads, max_queue, config_parallel, kv_contexts;
	uint64_t vram_limit, ram_limit, kv_bytes;
	struct cache_types cache;
	struct constrain_limits shape_limits;
	bool ctx_whole, kv_grows, no_prefix_cache, states, prompt_logprobs, no_jumps;
	void (*on_state)(void *user);
	bool (*stopped)(void *user);
	void *user;
	pthread_t thread;

	/* The model: written by the engine's thread while it loads, constant once published. */
	struct gguf *file;
	struct tok *tok;
	struct chat chat;
	struct sampling_advice advice;
	struct dialect_found dialect;
	const struct dialect *forced_dialect; /* NULL: what the template writes */
	struct shapes *shapes;                /* of answers */
	struct walks walks;
	struct model model;
	struct compute *compute;
	uint32_t n_ctx, n_vocab, n_batch, n_parallel;
	uint32_t *marker_mask;                  /* the same: control tokens of the dialect's markers */
	uint32_t *end_mask;                     /* (n_vocab bits) tokens that end an answer */
	uint32_t n_open_masks;                  /* of a step: masks that may follow it */
	_Atomic(const struct tok *) public_tok; /* NULL until ready */
	_Atomic(const struct chat *) public_chat;
	struct state_identity *identity; /* of states and for the fingerprint; NULL: nobody asks */
	char fingerprint[FINGERPRINT_BYTES];
	uint64_t block_bytes[MODEL_MAX_KV_GROUPS]; /* of a KV block, where they are */

	/* The engine's thread alone. */
	struct sched sched;
	struct job *news; /* by next_news: their walks were asked, and the answer is not taken */
	struct flight flights[COMPUTE_MAX_AHEAD]; /* step k is number k % COMPUTE_MAX_AHEAD */
	uint32_t n_submitted, n_collected;
	uint32_t n_logprobs;   /* jobs that the thread has seen and that are told logprobs */
	float *row_logits;     /* (SCHED_MAX_ROWS, n_vocab) of prompts; of one step at a time */
	uint64_t collected_ns; /* when the last one was */
	struct pace pace;      /* tokens a step */
	struct engine_steps steps_done;
	uint64_t check_ns, next_check_ns; /* the device's memory is checked every check_ns */
	struct strbuf decoded, shown;
	size_t max_piece; /* bytes of text that one token may release */
	struct ended_request
		*ended; /* (STATE_ENDED) the latest of them, by next_ended; NULL: states are not saved */
	uint32_t next_ended;

	struct watch_turn turn; /* what the thread is at: read without the lock */

	/* Everything below: under lock, which is never held during a step or a callback. */
	pthread_mutex_t lock;
	pthread_cond_t work;    /* to the engine's thread: jobs or flags changed */
	pthread_cond_t changed; /* to waiters: phase changed, or the engine became idle */
	enum engine_phase phase;
	double load_part;
	uint64_t load_bytes, load_all_bytes, load_begun_ns;
	struct hokku_error failure;
	struct hokku_info info;
	struct compute_memory memory;
	const char *device_why;
	bool device_why_notable;
	uint32_t n_ctx_wanted;
	const char *const *tokenizer_notes;
	struct job *jobs, *last_job;            /* all */
	struct job *new_jobs, **new_end;        /* those that the engine's thread has not seen */
	uint32_t n_jobs, n_running;             /* n_running: of these those that have started */
	struct engine_call *calls, **calls_end; /* call.h: those that the engine's thread has not taken */
	struct owners owners;
	bool owners_changed; /* limits that the scheduler does not have yet */
	struct salts salts;
	uint64_t next_id, n_finished, n_tokens_in, n_tokens_out;
	uint64_t n_ended_cancelled, n_ended_failed; /* of n_finished */
	struct sched_counters counters;
	struct engine_steps steps; /* those done by then */
	uint64_t checked_ns;
	bool device_busy;                           /* a step is under way */
	uint64_t busy_changed_ns, busy_ns, idle_ns; /* since when; before that, each. 0: not loaded yet */
	bool door_closed, stopping;
	bool over;               /* the thread has done its last work */
	atomic_uint n_cancelled; /* cancelled and not yet ended; read without the lock */
};

/* Under the lock: a new job; all that came since the last call, linked by next_new; one to be cancelled. */
void queue_push(struct engine *e, struct job *job);
struct job *queue_take_new(struct engine *e);
void queue_cancel(struct engine *e, struct job *job);

/* On the engine's thread: the scheduler gets the limits of all owners. */
void queue_limit_owners(struct engine *e);

/* On the engine's thread: the job leaves the scheduler and all accounts, then its last event is sent, and it
 * is freed. */
void queue_finish(struct engine *e, struct job *job, struct engine_event *last);

/* How many steps are under way. */
static inline uint32_t n_under_way(const struct engine *e)
{
	return e->n_submitted - e->n_collected;
}

/* Ends every job with err. */
void queue_fail_all(struct engine *e, const struct hokku_error *err);

/* Ends the jobs that were cancelled. Called between steps. */
void queue_reap_cancelled(struct engine *e);

/* err: why, or NULL. */
void engine_enter_phase(struct engine *e, enum engine_phase phase, const struct hokku_error *err);

/* Reports how far loading is (0 to 1). */
void engine_set_load_part(struct engine *e, double part);

/* The same in bytes of weights; the first call marks the beginning. */
void engine_set_load_bytes(struct engine *e, uint64_t done, uint64_t all);

/* Shall loading end? */
bool engine_is_stopped(struct engine *e);

/* Does a job get logits, which no step may run ahead of? */
static inline bool job_sees_logits(const struct job *job)
{
	return job->logprobs || job->prompt_logprobs || job->by_host;
}

/* Sends a job's event: on the engine's thread, never under the lock. */
void job_emit(const struct job *job, struct engine_event *event);
void job_destroy(struct job *job);

#endif
