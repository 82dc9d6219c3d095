/* What passes through the engine's door: requests, what they are told, and whether it is open at all. */
#ifndef ENGINE_REQUEST_H
#define ENGINE_REQUEST_H

#include "base/str.h"
#include "compute/logprobs.h"
#include "constrain/constrain.h"
#include "engine/dry.h"
#include "engine/miss.h"
#include "engine/rules.h"
#include "gguf/gguf.h"

enum {
	ENGINE_MAX_STOP = 16,
	ENGINE_MAX_STOP_BYTES = 512,
	ENGINE_MAX_LOGIT_BIAS = 1000, /* most that a logit may be raised or lowered by */
};

/* FAILED: the model cannot be loaded. LOST: it was READY, then its device failed, or its memory is no longer
 * on the device; requests are refused with that error. */
enum engine_phase { ENGINE_LOADING, ENGINE_READY, ENGINE_FAILED, ENGINE_LOST, ENGINE_STOPPED };

/* A token of the prompt, after those before it. */
struct prompt_logprob {
	int32_t token;
	uint32_t rank; /* logprobs_rank */
	struct token_logprobs logprobs;
};

/* What a request's callback is told. started comes when the request leaves the queue, then, where they were
 * asked for, the prompt's logprobs in pieces, each position but the first once, then one token event a
 * token, then exactly one of end and error; a request refused while still queued gets error alone. Pointers
 * live during the call. Control tokens have an event but no text, unless control_text asks for it. An end
 * token ends the answer, is not counted, and has an event only if text was still held back: then with its own
 * id and the index it would have had. Callbacks must not take long, and may call engine_submit, engine_cancel
 * and engine_get_state, but neither engine_wait_ready nor engine_destroy. */
enum engine_event_kind { ENGINE_STARTED, ENGINE_PROMPT, ENGINE_TOKEN, ENGINE_END, ENGINE_ERROR };
struct engine_event {
	enum engine_event_kind kind;
	uint64_t request;       /* what engine_submit gave */
	uint32_t prompt_tokens; /* started */
	uint64_t seed;          /* started */
	struct str text; /* token: may be empty while a character or a possible stop text is held back */
	int32_t token;   /* token: the id drawn; end, with logprobs: of the end token that is not counted */
	uint32_t index;  /* token: 0, 1, 2 ...; prompt: position of the piece's first token, 1 at least */
	const struct prompt_logprob *prompt; /* (n_prompt) prompt */
	uint32_t n_prompt;                   /* SCHED_MAX_ROWS at most */
	/* Where they were asked for: token; NULL with an end token, whose are told with the end. */
	const struct token_logprobs *logprobs;
	const struct hokku_result *result;   /* end */
	int32_t stop_text;                   /* end by a stop text: which of the request's it was; else -1 */
	int32_t stop_token;                  /* end by one of rules.stop_tokens: its id; else -1 */
	uint32_t cached_tokens;              /* end: prompt tokens that were found in KV memory */
	const struct cache_miss *cache_miss; /* end: why no more were, where that was asked; else NULL */
	const struct hokku_error *error;     /* error */
};

struct engine_request {
	const int32_t *tokens; /* (n_tokens) the prompt; copied by engine_submit */
	size_t n_tokens;
	/* Of tokens the last so many are an answer that was begun elsewhere: frequency and presence penalty
	 * count them as such. */
	uint32_t n_answered;
	uint32_t max_tokens; /* 0: until the context is full */
	bool logprobs;       /* token events tell the token's, and those of the n_top likeliest */
	uint32_t n_top;      /* LOGPROBS_MAX_TOP at most */
	bool chances;        /* with logprobs: they are probabilities after all stages (logprobs.h) */
	/* Events tell the prompt's tokens' too, with the n_prompt_top likeliest. All of the prompt is
	 * computed for it, though it may be known; others find what it computes. */
	bool prompt_logprobs;
	uint32_t n_prompt_top;
	struct sampling sampling; /* bias is copied; a request without a seed is given one by the caller */
	const struct str *stop;   /* (n_stop), copied */
	uint32_t n_stop;
	struct token_rules rules; /* copied */
	/* (n_dry_breakers) of DRY, copied; NULL: dry_default_breakers. */
	const struct str *dry_breakers;
	uint32_t n_dry_breakers;
	uint32_t priority; /* 0, which goes first, to SCHED_N_PRIORITIES - 1 */
	/* The shape that the answer has, as engine_make_shape compiled it; NULL: none. The engine takes a
	 * reference of its own. What n_answered counts is the beginning of it. */
	struct constrain *shape;
	/* Control tokens that have their names as text: none, those of the dialect's markers, all. */
	enum engine_control { ENGINE_HIDDEN, ENGINE_MARKERS, ENGINE_ALL } control_text;
	bool no_cache;    /* nothing of it is found in KV memory, nor can be by others */
	bool cache_debug; /* the end tells why no more of the prompt was found */
	uint64_t group;   /* other than 0: with no_cache those of the same group are no others */
	uint32_t owner;   /* whose it is: owners take turns, and find nothing of each other's in KV memory */
	/* Nor do those of one owner with another salt, of 256 bytes at most; empty: none. Copied. */
	struct str cache_salt;
	void (*on_event)(void *user, const struct engine_event *event);
	void *user;
};

/* The one table of sampling fields: name, range, where it lives. Request parsers and messages use it. */
enum sampling_kind { SAMPLING_FLOAT, SAMPLING_INT };

/* Whose defaults: hokku's own routes, commands and library, OpenAI's, or Ollama's. */
enum sampling_api { SAMPLING_OWN, SAMPLING_OPENAI, SAMPLING_OLLAMA, SAMPLING_N_APIS };
struct sampling_field {
	const char *name; /* "temperature" */
	enum sampling_kind kind;
	double min, max;
	double fallback[SAMPLING_N_APIS]; /* where neither the request nor the model's file says */
	bool min_open;                    /* min itself is not allowed */
	bool rare;                        /* told where it is not at its fallback alone */
	size_t offset;                    /* in struct sampling */
	const char *text;                 /* one line of help */
};
extern const struct sampling_field sampling_fields[];
extern const size_t n_sampling_fields;

/* The value of a field's row, whichever type it has. */
double sampling_get(const struct sampling *s, const struct sampling_field *f);

/* What a model's file recommends (general.sampling.*): values of the fields whose bit is set in given, by
 * their rows in sampling_fields. */
struct sampling_advice {
	struct sampling values;
	uint32_t given;
};

/* What is in effect where a request says nothing: the file's advice (NULL: none) before the API's own. */
void sampling_defaults(struct sampling *s, enum sampling_api api, const struct sampling_advice *advice);

/* Reads the advice of an open file. A value that cannot be taken, and a stage that there is none of here, is
 * told to note (may be NULL) by its key and left out. */
void sampling_read_advice(const struct gguf *g, struct sampling_advice *out,
			  void (*note)(void *user, const char *text), void *user);

/* Are all values in their ranges (sampling_fields), and all biased tokens below n_vocab? INVALID_REQUEST
 * names the field, the value and the range. */
enum hokku_code sampling_check(const struct sampling *s, uint32_t n_vocab, struct hokku_error *err);

#endif
