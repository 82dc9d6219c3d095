/*
 * What is counted of requests beside the engine's own counters, and GET /metrics, which tells both. All of it
 * belongs to the loop's thread: a scrape takes no lock but for the copies that engine_get_state and
 * engine_get_steps make. docs/metrics.md has every name.
 */
#ifndef SERVER_METRICS_H
#define SERVER_METRICS_H

#include "base/histogram.h"
#include "engine/engine.h"

struct http_request;
struct server;

enum {
	METRICS_MAX_SERIES = 20000, /* of requests by method, route, key and outcome; what more there would be
				       is counted under the key "(others)" */
	METRICS_N_STOPS = 4,        /* reasons to end, of enum hokku_stop */
};

/* What is measured of each request or sample: name, bounds, vLLM's name or NULL, help. */
#define METRICS_HISTOGRAMS(X)                                                                             \
	X(prepare, "prepare_seconds", HISTOGRAM_SECONDS, NULL,                                            \
	  "From a request's arrival until it is with the engine: JSON, template, tokens")                 \
	X(queue, "queue_seconds", HISTOGRAM_SECONDS, "vllm:request_queue_time_seconds",                   \
	  "From there until its first step, of each sample")                                              \
	X(prefill, "prefill_seconds", HISTOGRAM_SECONDS, "vllm:request_prefill_time_seconds",             \
	  "From its first step until its first token is drawn, of each sample")                           \
	X(ttft, "time_to_first_token_seconds", HISTOGRAM_SECONDS, "vllm:time_to_first_token_seconds",     \
	  "From a request's arrival until its first token is drawn, of each sample")                      \
	X(itl, "inter_token_latency_seconds", HISTOGRAM_STEP_SECONDS, "vllm:inter_token_latency_seconds", \
	  "From one token of a sample to the next")                                                       \
	X(decode, "decode_seconds", HISTOGRAM_SECONDS, "vllm:request_decode_time_seconds",                \
	  "From a sample's first token to its end, of those that ended by themselves")                    \
	X(inference, "inference_seconds", HISTOGRAM_SECONDS, "vllm:request_inference_time_seconds",       \
	  "From a sample's first step to its end, of those that ended by themselves")                     \
	X(tpot, "time_per_token_seconds", HISTOGRAM_STEP_SECONDS,                                         \
	  "vllm:request_time_per_output_token_seconds",                                                   \
	  "Mean time of a token behind the first, of samples that ended by themselves with two or more")  \
	X(total, "answer_seconds", HISTOGRAM_SECONDS, "vllm:e2e_request_latency_seconds",                 \
	  "From a request's arrival to the end of its answer, of those that ended by themselves")         \
	X(prompt, "prompt_length_tokens", HISTOGRAM_LENGTHS, "vllm:request_prompt_tokens",                \
	  "Tokens of a request's prompt")                                                                 \
	X(answer, "answer_length_tokens", HISTOGRAM_LENGTHS, "vllm:request_generation_tokens",            \
	  "Tokens of a sample's answer, of those that ended by themselves")                               \
	X(longest, "longest_answer_tokens", HISTOGRAM_LENGTHS, "vllm:request_max_num_generation_tokens",  \
	  "Tokens of the longest of a request's answers, where the last ended by itself")                 \
	X(asked, "asked_tokens", HISTOGRAM_LENGTHS, "vllm:request_params_max_tokens",                     \
	  "max_tokens of requests that say it")                                                           \
	X(samples, "samples", HISTOGRAM_SIZES, "vllm:request_params_n", "n of requests")

/* Of the requests for one model. */
struct metrics_times {
#define METRICS_X(name, told, bounds, vllm, help) struct histogram name;
	METRICS_HISTOGRAMS(METRICS_X)
#undef METRICS_X
	uint64_t stops[METRICS_N_STOPS]; /* samples, by why they ended */
};

/* All counts 0, with the bounds of METRICS. */
void metrics_times_init(struct metrics_times *t);

/* Requests by route, key and outcome. */
struct metrics_requests {
	uint32_t n_routes, n_owners;
	uint32_t n_series, max_series;
	uint64_t **counts; /* (n_owners + 2) of each key, NULL: none yet; (n_routes + 1, METRICS_N_OUTCOMES)
			      each. The last: of the keys that there was no room for */
};

#define METRICS_X(name, http, text) +1
enum {
	METRICS_N_CODES = 1 HOKKU_ERRORS(METRICS_X), /* with HOKKU_OK */
	METRICS_GONE = METRICS_N_CODES,              /* the client left before its answer was complete */
	METRICS_N_OUTCOMES,
};
#undef METRICS_X

/* n_routes: of the table of routes; n_owners: keys beside owner 0. False: no memory. */
bool metrics_init(struct metrics_requests *m, uint32_t n_routes, uint32_t n_owners, uint32_t max_series);
void metrics_deinit(struct metrics_requests *m);

/* One request more. route: its row, or n_routes where none has it; outcome: an enum hokku_code or
 * METRICS_GONE. */
void metrics_count(struct metrics_requests *m, uint32_t route, uint32_t owner, unsigned outcome);

/* "ok", "invalid_request" ..., "gone". */
const char *metrics_outcome(unsigned outcome, char out[32]);

/* GET /metrics. */
void metrics_route(struct server *s, struct http_request *r);

/* What is told of one model; strings live as long as its engine. */
struct metrics_model {
	const char *name; /* "" until it is loaded */
	bool stuck, in_memory;
	struct engine_state state;
	struct engine_steps steps;
	const struct metrics_times *times;
};

/* metrics_vllm.c: the same facts under vLLM's names. */
void metrics_add_vllm(struct strbuf *out, const struct metrics_model *models, uint32_t n_models);

#endif
