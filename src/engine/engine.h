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

#include "compute/compute.h"
#include "text/chat.h"
#include "text/tokenizer.h"

enum {
	ENGINE_MAX_STOP = 16,
	ENGINE_MAX_STOP_BYTES = 512,
	ENGINE_MAX_QUEUE = 256, /* default of engine_config.max_queue */
	ENGINE_DEFAULT_MAX_CTX = 32768,
	ENGINE_MAX_LOGIT_BIAS = 1000, /* most that a logit may be raised or lowered by */
	ENGINE_CHECK_MS = 60000,      /* the device's memory is checked so often */
	ENGINE_MAX_KV_CONTEXTS = 256, /* whole contexts that KV memory grows to, where it may grow */
};

struct engine;

struct engine_config {
	const char *model_path; /* NULL: the bundled model */
	const char *device;     /* NULL: "auto" */
	uint32_t n_ctx;         /* 0: the model's own, ENGINE_DEFAULT_MAX_CTX at most */
	uint32_t n_threads;
	uint64_t vram_limit; /* most bytes of a GPU's memory; 0: no limit */
	uint64_t kv_bytes;   /* KV memory; 0: one context, or with kv_grows what a GPU has left */
	bool kv_grows; /* for a server, which has its GPU for itself: up to ENGINE_MAX_KV_CONTEXTS contexts */
	uint32_t max_queue; /* 0: ENGINE_MAX_QUEUE; requests waiting, the running one not counted */
	uint32_t check_ms;  /* for tests; 0: ENGINE_CHECK_MS */
	/* Asked on the engine's thread while weights are loaded; true ends it (CANCELLED). May be NULL. */
	bool (*stopped)(void *user);
	/* Called on the engine's thread when loading made progress, and when the phase changes. */
	void (*on_state)(void *user);
	void *user;
};

/* FAILED: the model cannot be loaded. LOST: it was READY, then its device failed, or its memory is no longer
 * on the device; requests are refused with that error. */
enum engine_phase { ENGINE_LOADING, ENGINE_READY, ENGINE_FAILED, ENGINE_LOST, ENGINE_STOPPED };

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
	double checked_s; /* since the device's memory was last checked and asked about */
	uint32_t n_queued, n_running;
	uint64_t n_finished, n_tokens_in, n_tokens_out; /* since the start */
};

/* What a request's callback is told. started comes when the request leaves the queue, then one token event a
 * token, then exactly one of end and error; a request refused while still queued gets error alone. Pointers
 * live during the call. Control tokens have an event but no text. An end token ends the answer, is not
 * counted, and has an event only if text was still held back: then with its own id and the index it would
 * have had. Callbacks must not take long, and may call engine_submit, engine_cancel and engine_get_state, but
 * neither engine_wait_ready nor engine_destroy. */
enum engine_event_kind { ENGINE_STARTED, ENGINE_TOKEN, ENGINE_END, ENGINE_ERROR };
struct engine_event {
	enum engine_event_kind kind;
	uint64_t request;       /* what engine_submit gave */
	uint32_t prompt_tokens; /* started */
	uint64_t seed;          /* started */
	struct str text; /* token: may be empty while a character or a possible stop text is held back */
	int32_t token;   /* token: the id drawn */
	uint32_t index;  /* token: 0, 1, 2 ... */
	const struct hokku_result *result; /* end */
	const struct hokku_error *error;   /* error */
};

struct engine_request {
	const int32_t *tokens; /* (n_tokens) the prompt; copied by engine_submit */
	size_t n_tokens;
	uint32_t max_tokens;      /* 0: until the context is full */
	struct sampling sampling; /* bias is copied; a request without a seed is given one by the caller */
	const struct str *stop;   /* (n_stop), copied */
	uint32_t n_stop;
	void (*on_event)(void *user, const struct engine_event *event);
	void *user;
};

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

void engine_get_state(struct engine *e, struct engine_state *out);

/* Waits until loading is over; the load error, if it failed. */
enum hokku_code engine_wait_ready(struct engine *e, struct hokku_error *err);

/* Both NULL until READY; then immutable and safe to use from any thread. */
const struct tok *engine_tok(const struct engine *e);
const struct chat *engine_chat(const struct engine *e);

/* Queues a request. Checked here: NOT_READY, SHUTTING_DOWN, OVERLOADED (queue full), CONTEXT_EXCEEDED (with
 * both numbers), INVALID_REQUEST (token out of range, sampling out of range: engine_check_sampling). */
enum hokku_code engine_submit(struct engine *e, const struct engine_request *request, uint64_t *id,
			      struct hokku_error *err);

/* Asks request id to end; it gets its error event (CANCELLED) from the engine's thread soon, unless it has
 * ended. Idempotent; never blocks. */
void engine_cancel(struct engine *e, uint64_t id);

/* The one table of sampling fields: name, range, where it lives. Request parsers and messages use it. */
enum sampling_kind { SAMPLING_FLOAT, SAMPLING_INT };
struct sampling_field {
	const char *name; /* "temperature" */
	enum sampling_kind kind;
	double min, max, fallback;
	bool min_open;    /* min itself is not allowed */
	size_t offset;    /* in struct sampling */
	const char *text; /* one line of help */
};
extern const struct sampling_field sampling_fields[];
extern const size_t n_sampling_fields;
void sampling_defaults(struct sampling *s);
enum hokku_code sampling_check(const struct sampling *s, uint32_t n_vocab, struct hokku_error *err);

/* The model inside the binary; empty where it was built without. */
struct str bundled_model(void);

/* Opens the model file at path; NULL: the bundled one. */
enum hokku_code engine_open_file(const char *path, struct gguf **g, struct hokku_error *err);

/* The tokenizer of an open file and, unless chat is NULL, its chat template. Errors name the file; then *t is
 * NULL. */
enum hokku_code engine_open_tok(const struct gguf *g, struct tok **t, struct chat *chat,
				struct hokku_error *err);

#endif
