/* GET /metrics: one table a kind of fact, each row a name, its help and where it lives. */
#include <stdlib.h>

#include "base/clock.h"
#include "server/access.h"
#include "server/gate.h"
#include "server/hosting.h"
#include "server/metrics.h"
#include "server/prom.h"
#include "server/routes.h"
#include "server/state.h"

/* A figure a model: name, type, help, expression over m. */
#define MODEL_ROWS(X)                                                                                        \
	X("ready", "gauge", "1: the model answers requests", m->state.phase == ENGINE_READY && !m->stuck)    \
	X("in_memory", "gauge", "1: the model is in memory or on its way there, as an only one always is",   \
	  m->in_memory)                                                                                      \
	X("load_ratio", "gauge", "How much of the model is loaded, 0 to 1",                                  \
	  m->state.phase == ENGINE_LOADING ? m->state.load_part : m->state.phase == ENGINE_READY)            \
	X("running_requests", "gauge", "Samples that run", m->state.n_running)                               \
	X("waiting_requests", "gauge", "Samples that wait for those that run", m->state.n_queued)            \
	X("parallel_requests", "gauge", "Most samples that run at a time (--parallel)", m->state.n_parallel) \
	X("context_tokens", "gauge", "Tokens of the context, prompt and answer together",                    \
	  m->state.info.n_ctx)                                                                               \
	X("kv_blocks", "gauge", "Blocks of KV memory", m->steps.n_kv_blocks)                                 \
	X("kv_held_blocks", "gauge", "Of these those that running requests hold", m->steps.n_kv_held)        \
	X("kv_usage_ratio", "gauge", "The share of KV memory that running requests hold, 0 to 1",            \
	  share(m->steps.n_kv_held, m->steps.n_kv_blocks))                                                   \
	X("kv_block_tokens", "gauge", "Positions of a block", COMPUTE_KV_BLOCK)                              \
	X("accepted_requests_total", "counter", "Samples that were taken into the queue",                    \
	  m->state.n_accepted)                                                                               \
	X("finished_requests_total", "counter", "Samples that ended, however", m->state.n_finished)          \
	X("cancelled_requests_total", "counter", "Of these those that were cancelled", m->state.n_cancelled) \
	X("failed_requests_total", "counter", "Of these those that ended with an error", m->state.n_failed)  \
	X("prompt_tokens_total", "counter", "Tokens of the prompts of samples that drew a token",            \
	  m->state.n_tokens_in)                                                                              \
	X("answer_tokens_total", "counter", "Tokens that were drawn", m->state.n_tokens_out)                 \
	X("device_busy_seconds_total", "counter", "Time in which a step was under way",                      \
	  (double)m->steps.busy_ns * 1e-9)                                                                   \
	X("device_idle_seconds_total", "counter", "Time since the model was loaded in which none was",       \
	  (double)m->steps.idle_ns * 1e-9)

/* Of the server as a whole: expression over s. */
#define SERVER_ROWS(X)                                                                                \
	X("uptime_seconds", "gauge", "Time since the server was started",                             \
	  clock_ms_since(s->started_ns) * 1e-3)                                                       \
	X("connections", "gauge", "Connections of clients", http_n_connections(s->http))              \
	X("connections_limit", "gauge", "Most connections at a time (--max-connections)",             \
	  s->config.max_connections)                                                                  \
	X("held_bytes", "gauge", "Of answers that clients have not read yet",                         \
	  (double)http_held_bytes(s->http))                                                           \
	X("preparing_requests", "gauge", "Requests that are becoming tokens", s->n_preparing)         \
	X("queue_limit", "gauge", "Most samples that wait (--max-queue)", s->config.engine.max_queue) \
	X("stopping", "gauge", "1: the server was told to stop", s->stopping_ns != 0)                 \
	X("request_series", "gauge", "Series of hokku_requests_total; there are 20000 at most",       \
	  s->requests.n_series)

/* Bytes by class. */
#define MEMORY_ROWS(X)              \
	X("weights", weight_bytes)  \
	X("kv", kv_bytes)           \
	X("scratch", scratch_bytes) \
	X("graphs", graph_bytes)    \
	X("runtime", runtime_bytes)

static double share(uint32_t part, uint32_t of)
{
	return of ? (double)part / of : 0;
}

struct row {
	const char *name, *type, *help;
};

#define ROW(name_, type_, help_, value_) {"hokku_" name_, type_, help_},
#define COUNTER(name_, help_)            {"hokku_" #name_ "_total", "counter", help_},
static const struct row model_rows[] = {MODEL_ROWS(ROW) SCHED_COUNTERS(COUNTER) SHAPE_COUNTERS(COUNTER)};
static const struct row server_rows[] = {SERVER_ROWS(ROW)};
#undef COUNTER
#define COUNTER(name_, help_) {"hokku_key_" #name_ "_total", "counter", help_},
static const struct row key_rows[] = {ALLOWANCE_COUNTERS(COUNTER)};
#undef COUNTER
#undef ROW
enum {
	N_MODEL_ROWS = sizeof model_rows / sizeof *model_rows,
	N_SERVER_ROWS = sizeof server_rows / sizeof *server_rows,
	N_KEY_ROWS = sizeof key_rows / sizeof *key_rows,
};

static void add_head(struct strbuf *out, const struct row *row)
{
	prom_family(out, row->name, row->type, row->help);
}

#define VALUE(name_, type_, help_, value_) (double)(value_),

static void add_server(struct strbuf *out, const struct server *s)
{
	struct strbuf labels = {0};
	const double values[N_SERVER_ROWS] = {SERVER_ROWS(VALUE)};
	prom_family(out, "hokku_build_info", "gauge", "1, with the program's version");
	prom_label(&labels, "version", str_c(hokku_version()));
	prom_sample(out, "hokku_build_info", &labels, 1);
	strbuf_clear(&labels);
	for (uint32_t i = 0; i < N_SERVER_ROWS; i++) {
		add_head(out, &server_rows[i]);
		prom_sample(out, server_rows[i].name, &labels, values[i]);
	}
	strbuf_free(&labels);
}

/* What the rows of a model say, in their order. */
static void take_values(const struct metrics_model *m, double out[N_MODEL_ROWS])
{
#define SCHED_VALUE(name_, help_) (double)m->state.counters.name_,
#define SHAPE_VALUE(name_, help_) (double)m->state.shapes.name_,
	const double values[N_MODEL_ROWS] = {MODEL_ROWS(VALUE) SCHED_COUNTERS(SCHED_VALUE)
						     SHAPE_COUNTERS(SHAPE_VALUE)};
#undef SCHED_VALUE
#undef SHAPE_VALUE
	memcpy(out, values, sizeof values);
}

/* {model="..."} */
static void label_model(struct strbuf *labels, const struct metrics_model *m)
{
	strbuf_clear(labels);
	prom_label(labels, "model", str_c(m->name));
}

static void add_info(struct strbuf *out, const struct metrics_model *models, uint32_t n)
{
	struct strbuf labels = {0};
	prom_family(out, "hokku_model_info", "gauge", "1, with what the model is");
	for (uint32_t i = 0; i < n; i++) {
		const struct hokku_info *info = &models[i].state.info;
		if (!info->name)
			continue;
		label_model(&labels, &models[i]);
		prom_label(&labels, "architecture", str_c(info->architecture));
		prom_label(&labels, "quantization", str_c(info->format));
		prom_label(&labels, "device", str_c(info->device));
		prom_sample(out, "hokku_model_info", &labels, 1);
	}
	strbuf_free(&labels);
}

static void add_memory(struct strbuf *out, const struct metrics_model *models, uint32_t n)
{
	struct strbuf labels = {0};
	prom_family(out, "hokku_memory_bytes", "gauge",
		    "Memory that the model takes where it is computed, by class");
	for (uint32_t i = 0; i < n; i++) {
		const struct compute_memory *memory = &models[i].state.memory;
#define CLASS(name_, field_)                        \
	label_model(&labels, &models[i]);           \
	prom_label(&labels, "class", str_c(name_)); \
	prom_sample(out, "hokku_memory_bytes", &labels, (double)memory->field_);
		MEMORY_ROWS(CLASS)
#undef CLASS
	}
	prom_family(out, "hokku_device_memory_bytes", "gauge",
		    "Of a GPU, as its driver says: there is, and is free");
	for (uint32_t i = 0; i < n; i++) {
		const struct compute_memory *memory = &models[i].state.memory;
		if (!memory->device_total_bytes)
			continue;
		label_model(&labels, &models[i]);
		prom_label(&labels, "state", STR_LIT("total"));
		prom_sample(out, "hokku_device_memory_bytes", &labels, (double)memory->device_total_bytes);
		label_model(&labels, &models[i]);
		prom_label(&labels, "state", STR_LIT("free"));
		prom_sample(out, "hokku_device_memory_bytes", &labels, (double)memory->device_free_bytes);
	}
	strbuf_free(&labels);
}

static void add_stops(struct strbuf *out, const struct metrics_model *models, uint32_t n)
{
	struct strbuf labels = {0};
	prom_family(out, "hokku_answers_total", "counter", "Samples that ended by themselves, by why");
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t stop = 0; stop < METRICS_N_STOPS; stop++) {
			label_model(&labels, &models[i]);
			prom_label(&labels, "reason", str_c(hokku_stop_name((enum hokku_stop)stop)));
			prom_sample(out, "hokku_answers_total", &labels,
				    (double)models[i].times->stops[stop]);
		}
	}
	strbuf_free(&labels);
}

/* where: its place in struct metrics_model, or with of_times in the struct metrics_times. */
static void add_histogram(struct strbuf *out, const struct metrics_model *models, uint32_t n,
			  const char *name, const char *help, bool of_times, size_t where)
{
	struct strbuf labels = {0};
	prom_family(out, name, "histogram", help);
	for (uint32_t i = 0; i < n; i++) {
		const char *base = of_times ? (const char *)models[i].times : (const char *)&models[i];
		label_model(&labels, &models[i]);
		prom_histogram(out, name, &labels, (const struct histogram *)(const void *)(base + where));
	}
	strbuf_free(&labels);
}

static void add_histograms(struct strbuf *out, const struct metrics_model *models, uint32_t n)
{
#define STEP(name_, field_, help_)                                       \
	add_histogram(out, models, n, "hokku_step_" name_, help_, false, \
		      offsetof(struct metrics_model, steps.field_));
	STEP("tokens", tokens, "Tokens of a step of the model")
	STEP("sequences", sequences, "Sequences of a step of the model")
	STEP("seconds", seconds, "Time that a step of the model took")
#undef STEP
#define TIMES(name_, told_, bounds_, vllm_, help_) \
	add_histogram(out, models, n, "hokku_" told_, help_, true, offsetof(struct metrics_times, name_));
	METRICS_HISTOGRAMS(TIMES)
#undef TIMES
}

static void add_models(struct strbuf *out, const struct metrics_model *models, uint32_t n)
{
	struct strbuf labels = {0};
	double(*values)[N_MODEL_ROWS] = calloc((size_t)n + 1, sizeof *values);
	out->failed |= !values;
	for (uint32_t m = 0; m < n && values; m++)
		take_values(&models[m], values[m]);
	for (uint32_t i = 0; i < N_MODEL_ROWS && values; i++) {
		add_head(out, &model_rows[i]);
		for (uint32_t m = 0; m < n; m++) {
			label_model(&labels, &models[m]);
			prom_sample(out, model_rows[i].name, &labels, values[m][i]);
		}
	}
	strbuf_free(&labels);
	free(values);
	add_info(out, models, n);
	add_memory(out, models, n);
	add_stops(out, models, n);
	add_histograms(out, models, n);
}

/* Whose figures the key `reader` sees: all where no key is an administrator's, or it is one; else its own. */
static bool may_see(const struct server *s, uint32_t reader, uint32_t owner)
{
	return owner == reader || !s->keys || !keys_have_admin(s->keys) ||
	       (reader && keys_get(s->keys, reader)->admin);
}

/* The name of a key where it is a label; "" of requests without one. */
static struct str key_label(const struct server *s, uint32_t owner)
{
	if (owner > s->n_owners)
		return STR_LIT("(others)");
	return owner ? str_c(owner_name(s, owner)) : STR_LIT("");
}

static void add_keys(struct strbuf *out, const struct server *s, uint32_t reader)
{
	struct strbuf labels = {0};
	for (uint32_t i = 0; i < N_KEY_ROWS; i++) {
		add_head(out, &key_rows[i]);
		for (uint32_t owner = 0; owner <= (s->keys ? keys_count(s->keys) : 0); owner++) {
			const struct allowance_counters *c = &s->allowances[owner].counters;
#define COUNT(name_, help_) c->name_,
			const uint64_t values[N_KEY_ROWS] = {ALLOWANCE_COUNTERS(COUNT)};
#undef COUNT
			if ((owner == 0 && s->keys && values[i] == 0) || !may_see(s, reader, owner))
				continue;
			strbuf_clear(&labels);
			prom_label(&labels, "key", key_label(s, owner));
			prom_sample(out, key_rows[i].name, &labels, (double)values[i]);
		}
	}
	strbuf_free(&labels);
}

/* Of one key, those that there were. */
static void add_requests_of(struct strbuf *out, const struct server *s, uint32_t owner, struct strbuf *labels)
{
	const uint64_t *counts = s->requests.counts[owner];
	char outcome[32];
	for (uint32_t route = 0; counts && route <= s->requests.n_routes; route++) {
		struct route_told told = {.method = "", .path = "other"};
		routes_tell(route, &told);
		for (unsigned o = 0; o < METRICS_N_OUTCOMES; o++) {
			uint64_t n = counts[(size_t)route * METRICS_N_OUTCOMES + o];
			if (n == 0)
				continue;
			strbuf_clear(labels);
			prom_label(labels, "method", str_c(told.method));
			prom_label(labels, "route", str_c(told.path));
			prom_label(labels, "key", key_label(s, owner));
			prom_label(labels, "outcome", str_c(metrics_outcome(o, outcome)));
			prom_sample(out, "hokku_requests_total", labels, (double)n);
		}
	}
}

static void add_requests(struct strbuf *out, const struct server *s, uint32_t reader)
{
	struct strbuf labels = {0};
	prom_family(
		out, "hokku_requests_total", "counter",
		"HTTP requests that were answered, by route, key and outcome: ok, the error's code, or gone");
	for (uint32_t owner = 0; owner < s->requests.n_owners + 2; owner++)
		if (may_see(s, reader, owner))
			add_requests_of(out, s, owner, &labels);
	strbuf_free(&labels);
}

/* A copy of what the model's engine has counted; of one that is not in memory nothing. */
static void take_model(struct hosted *h, struct metrics_model *m)
{
	*m = (struct metrics_model){.name = hosted_model(h),
				    .stuck = h->stuck_told,
				    .in_memory = h->engine != NULL,
				    .times = &h->times,
				    .steps = {.tokens = HISTOGRAM_SIZES,
					      .sequences = HISTOGRAM_SIZES,
					      .seconds = HISTOGRAM_STEP_SECONDS}};
	if (h->engine) {
		engine_get_state(h->engine, &m->state);
		engine_get_steps(h->engine, &m->steps);
	}
	hosting_add_past(h, &m->state);
}

/* The models that the key `reader` may use, each name once, as a scraper takes a series but once: those that
 * have none yet are one. *out is to be freed; NULL: no memory. */
static uint32_t take_models(struct server *s, uint32_t reader, struct metrics_model **out)
{
	uint32_t n = 0, i;
	for (struct hosted *h = s->hosted; h; h = h->next)
		n++;
	*out = calloc((size_t)n + 1, sizeof **out);
	n = 0;
	for (struct hosted *h = s->hosted; h && *out; h = h->next) {
		take_model(h, &(*out)[n]);
		for (i = 0; i < n && strcmp((*out)[i].name, (*out)[n].name) != 0; i++)
			;
		n += i == n && gate_may_use(s, reader, (*out)[n].name);
	}
	return n;
}

void metrics_route(struct server *s, struct http_request *r)
{
	struct strbuf out = {0};
	struct metrics_model *models;
	uint32_t reader = owner_of(s, r);
	uint32_t n = take_models(s, reader, &models);
	out.failed = !models;
	add_server(&out, s);
	add_models(&out, models, n);
	add_keys(&out, s, reader);
	add_requests(&out, s, reader);
	if (s->config.metrics_vllm)
		metrics_add_vllm(&out, models, n);
	if (out.failed)
		http_reply(r, 500, NULL, (struct str){"", 0});
	else
		http_reply(r, 200, PROM_CONTENT_TYPE, (struct str){out.ptr, out.len});
	strbuf_free(&out);
	free(models);
}
