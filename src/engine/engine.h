/*
 * The engine owns the model on one thread of its own. Requests reach it through a bounded queue; what it
 * makes of them leaves through each request's callback, called on the engine's thread. Nobody else touches
 * the device or KV blocks.
 *
 * engine_create returns at once and the model is loaded on the engine's thread: engine_get_state tells how
 * far it is, from cached values, without ever waiting for a step.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/histogram.h"
#include "engine/load.h"
#include "engine/pace.h"
#include "engine/request.h"
#include "engine/sched.h"
#include "engine/shapes.h"
#include "engine/watch.h"
#include "text/dialect.h"

enum {
	ENGINE_BATCH = 512,        /* most tokens of a step */
	ENGINE_MAX_PARALLEL = 256, /* leaves half of a step's tokens to prompts */
	ENGINE_PARALLEL_GPU = 64,  /* defaults of a server's engine_config.n_parallel */
	ENGINE_PARALLEL_CPU = 8,
	ENGINE_MAX_QUEUE = 256, /* default of engine_config.max_queue */
	ENGINE_MAX_ITL_MS = 10000,
	ENGINE_CHECK_MS = 60000, /* the device's memory is checked so often */
	ENGINE_LEAST_CTX = 4096, /* a default context is not made smaller to fit */
};

/* Of an owner's requests; ENGINE_UNLIMITED: none of its own. */
struct engine_limits {
	uint32_t max_running; /* at a time, at least 1; more wait */
	uint32_t max_waiting; /* those not counted that could run at once; more are RATE_LIMITED */
	bool absent;          /* nobody is this owner now: no place of the queue is set aside for it */
};
#define ENGINE_UNLIMITED UINT32_MAX

struct engine_config {
	const char *model_path;        /* NULL: the bundled model */
	const char *device;            /* NULL: "auto" */
	struct str chat_template;      /* in place of the file's own; ptr NULL: none. Copied */
	const struct dialect *dialect; /* of calls; NULL: what the template writes */
	/* 0: the model's own, ENGINE_DEFAULT_MAX_CTX at most, or as much of it as fits
	 * (engine_settle_context).
	 */
	uint32_t n_ctx;
	uint32_t n_ctx_most; /* where n_ctx is 0: what is known to fit of the default, ENGINE_LEAST_CTX or
			      * more where that is not all; 0: nothing is known */
	bool ctx_whole;      /* a default that does not fit is refused, as one that was asked for is */
	uint32_t n_threads;
	uint64_t vram_limit; /* most bytes of a GPU's memory; 0: no limit */
	uint64_t ram_limit;  /* the same of the host's, on a CPU; 0: what is available */
	uint64_t kv_bytes;   /* KV memory; 0: one context, or with kv_grows what a GPU has left */
	bool kv_grows; /* for a server, which has its GPU for itself: up to kv_contexts whole contexts */
	uint32_t kv_contexts; /* 0: ENGINE_MAX_KV_CONTEXTS */
	/* 0: ENGINE_MAX_QUEUE; requests waiting, those that run not counted. With owners each has max_queue /
	 * (owners that are not absent) places, one at least, that are its own although the others fill the
	 * queue. */
	uint32_t max_queue;
	/* Requests that run at a time, ENGINE_MAX_PARALLEL at most. 0: 1, or with kv_grows what suits the
	 * device. */
	uint32_t n_parallel;
	uint32_t itl_ms;      /* most that a step shall take because of prompts, 1 to ENGINE_MAX_ITL_MS; 0:
				 PACE_TARGET_MS */
	bool no_prefix_cache; /* nothing is found again in KV memory */
	bool no_jump_ahead;   /* tokens that must come, by an answer's shape, are drawn one by one */
	bool states;          /* engine_save and engine_restore (state.h) will be asked for */
	/* What else answers depend on beside model and template, for engine_fingerprint: "" where there is
	 * nothing; NULL: no fingerprint is made. Copied. */
	const char *fingerprint_of;
	bool prompt_logprobs; /* requests may ask for their prompt's: a device sets scratch aside for it */
	/* (n_owners) of owners 1, 2 ...; copied. Owner 0 is there without, and has no limits. */
	const struct engine_limits *owners;
	uint32_t n_owners;
	struct cache_types cache; /* how keys and values are stored; zeros: as the device does it best */
	uint32_t check_ms;        /* for tests; 0: ENGINE_CHECK_MS */
	struct constrain_limits shape_limits; /* for tests; zeros: the defaults */
	/* Asked on the engine's thread while weights are loaded; true ends it (CANCELLED). May be NULL. */
	bool (*stopped)(void *user);
	/* Called on the engine's thread when loading made progress, and when the phase changes. */
	void (*on_state)(void *user);
	void *user;
};

/* A snapshot; strings live as long as the engine and are set from READY on. */
struct engine_state {
	enum engine_phase phase;
	double load_part;                    /* 0 to 1 */
	uint64_t load_bytes, load_all_bytes; /* of weights, so far and in all; 0 before they are begun */
	double load_s;                       /* seconds since they were begun */
	struct hokku_error failure;          /* when FAILED or LOST */
	struct hokku_info info;              /* when READY */
	struct compute_memory memory;        /* when READY */
	const char *device_why;              /* compute_why, when READY */
	bool device_why_notable;
	/* When READY: the default context, of which info.n_ctx is what fits, or all. */
	uint32_t n_ctx_wanted;
	const char *const *tokenizer_notes; /* tok_notes, when READY; else NULL */
	double checked_s;                   /* since the device's memory was last checked and asked about */
	uint32_t n_queued, n_running;
	uint32_t n_parallel; /* most that run */
	struct sched_counters counters;
	struct shape_counters shapes;
	/* Since the start, as counters. n_accepted = n_queued + n_running + n_finished; n_cancelled and
	 * n_failed are of n_finished. */
	uint64_t n_accepted, n_finished, n_cancelled, n_failed, n_tokens_in, n_tokens_out;
};

/* Where a default context did not fit: what was wanted, what fits and which option says so, for whoever
 * starts it. name: the model's where there are several; NULL. False: there is nothing to tell. */
enum { ENGINE_CONTEXT_TEXT = 384 };
bool engine_context_text(const struct engine_state *s, const char *name, char out[ENGINE_CONTEXT_TEXT]);

/* Starts the engine's thread, which loads the model; strings of config are copied. *out is set before
 * on_state is first called. Fails only where the host has no memory or no thread. */
enum hokku_code engine_create(const struct engine_config *config, struct engine **out,
			      struct hokku_error *err);

/* Stops: running and queued requests end with CANCELLED, or, with drain_ms > 0, running and queued ones may
 * finish for so long; new ones are refused with SHUTTING_DOWN from the first moment. Joins the thread and
 * frees all. */
void engine_destroy(struct engine *e, uint32_t drain_ms);

/* The same without freeing anything, for a device that may not answer: waits for the thread's end for wait_ms
 * at most. False: it goes on, and the engine must be left as it is. */
bool engine_stop(struct engine *e, uint32_t wait_ms);

/* Refuses new requests from now on (SHUTTING_DOWN), lets the present ones go on. */
void engine_close_door(struct engine *e);

/* What is so now, all of one moment; from any thread, and never waits for the device. Strings live as long as
 * the engine. */
void engine_get_state(struct engine *e, struct engine_state *out);

/* The steps so far, by what they were, and how full KV memory is. */
struct engine_steps {
	struct histogram tokens, sequences, seconds; /* of each step that was done */
	uint64_t busy_ns, idle_ns;       /* since the model was loaded: a step was under way; none was */
	uint32_t n_kv_blocks, n_kv_held; /* there are, and sequences hold */
};

/* As engine_get_state: a copy, made between two steps; no step is waited for. */
void engine_get_steps(struct engine *e, struct engine_steps *out);

/* What the engine's thread is at, for a watchdog; no lock is taken, now or by those who read it. */
const struct watch_turn *engine_turn(const struct engine *e);

/* Other limits for an owner below n_owners + 1, from any thread; what runs and waits stays, and more of it
 * runs as they allow from the next step on. */
void engine_set_owner(struct engine *e, uint32_t owner, const struct engine_limits *limits);

/* How many of an owner's requests run, and wait. */
void engine_get_owner(struct engine *e, uint32_t owner, uint32_t *n_running, uint32_t *n_waiting);

/* Waits until loading is over; the load error, if it failed. */
enum hokku_code engine_wait_ready(struct engine *e, struct hokku_error *err);

/* NULL until READY; then immutable and safe to use from any thread. */
const struct tok *engine_tok(const struct engine *e);
const struct chat *engine_chat(const struct engine *e);
const char *engine_fingerprint(const struct engine *e); /* fingerprint.h; NULL also where none is made */
const struct dialect_found *engine_dialect(const struct engine *e);  /* of calls and thinking */
const struct sampling_advice *engine_advice(const struct engine *e); /* of the model's file, */
const struct gguf *engine_file(const struct engine *e);              /* and itself */

/* Has a shape compiled, whatever thread asks; owner and what comes back are in the order (shapes.h). Its done
 * is called before this returns where that cannot be (NOT_READY). */
void engine_order_shape(struct engine *e, struct shape_order *order);

/* The same, and waits for it. *out is the caller's to constrain_unref, before the engine is destroyed. Not
 * from the engine's thread. INVALID_REQUEST: the shape cannot be read, enforced or compiled in bounds; err
 * begins with the place, which fault (may be NULL) has too. NOT_READY, SHUTTING_DOWN, OUT_OF_MEMORY. */
enum hokku_code engine_make_shape(struct engine *e, const struct constrain_shape *shape,
				  struct constrain **out, struct constrain_fault *fault,
				  struct hokku_error *err);

/* Shapes that wait to be compiled, and later ones, are refused (SHUTTING_DOWN). */
void engine_close_shapes(struct engine *e);

/* Queues a request. Checked here: NOT_READY, SHUTTING_DOWN, OVERLOADED (queue full, and with it the owner's
 * share of it), RATE_LIMITED (a limit of the owner's own), CONTEXT_EXCEEDED (with both numbers),
 * INVALID_REQUEST (token, owner, salt or sampling out of range: engine_check_sampling). */
enum hokku_code engine_submit(struct engine *e, const struct engine_request *request, uint64_t *id,
			      struct hokku_error *err);

/* Is there a place for n requests of an owner (below what there are) that come together? INVALID_REQUEST:
 * there never is; else as engine_submit. */
enum hokku_code engine_check_samples(struct engine *e, uint32_t owner, uint32_t n, struct hokku_error *err);

/* Asks request id to end; it gets its error event (CANCELLED) from the engine's thread soon, unless it has
 * ended. Idempotent; never blocks. */
void engine_cancel(struct engine *e, uint64_t id);

#endif
