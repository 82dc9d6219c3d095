/* vLLM's names for what hokku counts, as routers and dashboards read them (--metrics-vllm). Nothing is told
 * that hokku does not know. */
#include "server/metrics.h"
#include "server/prom.h"

/* name, type, help, expression over m. */
#define VLLM_ROWS(X)                                                                           \
	X("num_requests_running", "gauge", "Number of requests that run", m->state.n_running)  \
	X("num_requests_waiting", "gauge", "Number of requests that wait", m->state.n_queued)  \
	X("kv_cache_usage_perc", "gauge", "Use of KV memory; 1 is all of it", usage(m))        \
	X("gpu_cache_usage_perc", "gauge", "The same under its older name", usage(m))          \
	X("prefix_cache_queries_total", "counter", "Tokens that were looked for in KV memory", \
	  (double)m->state.counters.cache_queries *COMPUTE_KV_BLOCK)                           \
	X("prefix_cache_hits_total", "counter", "Of these those that were found",              \
	  (double)m->state.counters.cache_hits *COMPUTE_KV_BLOCK)                              \
	X("gpu_prefix_cache_queries_total", "counter", "The same under its older name",        \
	  (double)m->state.counters.cache_queries *COMPUTE_KV_BLOCK)                           \
	X("gpu_prefix_cache_hits_total", "counter", "The same under its older name",           \
	  (double)m->state.counters.cache_hits *COMPUTE_KV_BLOCK)                              \
	X("num_preemptions_total", "counter", "Times that a request gave its KV memory back",  \
	  m->state.counters.preempted)                                                         \
	X("prompt_tokens_total", "counter", "Tokens of prompts", m->state.n_tokens_in)         \
	X("generation_tokens_total", "counter", "Tokens that were drawn", m->state.n_tokens_out)

static double usage(const struct metrics_model *m)
{
	return m->steps.n_kv_blocks ? (double)m->steps.n_kv_held / m->steps.n_kv_blocks : 0;
}

#define ROW(name_, type_, help_, value_) {"vllm:" name_, type_, help_},
static const struct row {
	const char *name, *type, *help;
} rows[] = {VLLM_ROWS(ROW)};
#undef ROW
enum { N_ROWS = sizeof rows / sizeof *rows };

static double value_of(const struct metrics_model *m, uint32_t row)
{
#define VALUE(name_, type_, help_, value_) (double)(value_),
	const double values[N_ROWS] = {VLLM_ROWS(VALUE)};
#undef VALUE
	return values[row];
}

/* {model_name="...",engine="0"} */
static void label_model(struct strbuf *labels, const struct metrics_model *m)
{
	strbuf_clear(labels);
	prom_label(labels, "model_name", str_c(m->name));
	prom_label(labels, "engine", STR_LIT("0"));
}

static void add_config(struct strbuf *out, const struct metrics_model *models, uint32_t n,
		       struct strbuf *labels)
{
	char number[24];
	prom_family(out, "vllm:cache_config_info", "gauge", "1, with what KV memory is");
	for (uint32_t i = 0; i < n; i++) {
		label_model(labels, &models[i]);
		snprintf(number, sizeof number, "%d", COMPUTE_KV_BLOCK);
		prom_label(labels, "block_size", str_c(number));
		snprintf(number, sizeof number, "%u", models[i].steps.n_kv_blocks);
		prom_label(labels, "num_gpu_blocks", str_c(number));
		prom_label(labels, "cache_dtype", str_c(cache_type_name(models[i].state.memory.cache.k)));
		prom_sample(out, "vllm:cache_config_info", labels, 1);
	}
}

static void add_success(struct strbuf *out, const struct metrics_model *models, uint32_t n,
			struct strbuf *labels)
{
	prom_family(out, "vllm:request_success_total", "counter", "Requests that ended, by why");
	for (uint32_t i = 0; i < n; i++) {
		const struct metrics_model *m = &models[i];
		const struct {
			const char *reason;
			uint64_t n;
		} reasons[] = {
			{"stop", m->times->stops[HOKKU_STOP_END] + m->times->stops[HOKKU_STOP_STOP]},
			{"length", m->times->stops[HOKKU_STOP_LENGTH] + m->times->stops[HOKKU_STOP_CONTEXT]},
			{"abort", m->state.n_cancelled},
			{"error", m->state.n_failed},
		};
		for (size_t k = 0; k < sizeof reasons / sizeof *reasons; k++) {
			label_model(labels, m);
			prom_label(labels, "finished_reason", str_c(reasons[k].reason));
			prom_sample(out, "vllm:request_success_total", labels, (double)reasons[k].n);
		}
	}
}

static void add_histogram(struct strbuf *out, const struct metrics_model *models, uint32_t n,
			  const char *name, const char *help, size_t where, struct strbuf *labels)
{
	prom_family(out, name, "histogram", help);
	for (uint32_t i = 0; i < n; i++) {
		label_model(labels, &models[i]);
		prom_histogram(
			out, name, labels,
			(const struct histogram *)(const void *)((const char *)models[i].times + where));
	}
}

static void add_steps(struct strbuf *out, const struct metrics_model *models, uint32_t n,
		      struct strbuf *labels)
{
	prom_family(out, "vllm:iteration_tokens_total", "histogram", "Tokens of a step of the model");
	for (uint32_t i = 0; i < n; i++) {
		label_model(labels, &models[i]);
		prom_histogram(out, "vllm:iteration_tokens_total", labels, &models[i].steps.tokens);
	}
}

void metrics_add_vllm(struct strbuf *out, const struct metrics_model *models, uint32_t n)
{
	struct strbuf labels = {0};
	for (uint32_t row = 0; row < N_ROWS; row++) {
		prom_family(out, rows[row].name, rows[row].type, rows[row].help);
		for (uint32_t i = 0; i < n; i++) {
			label_model(&labels, &models[i]);
			prom_sample(out, rows[row].name, &labels, value_of(&models[i], row));
		}
	}
	add_config(out, models, n, &labels);
	add_success(out, models, n, &labels);
#define TIMES(name_, told_, bounds_, vllm_, help_) \
	if (vllm_)                                 \
		add_histogram(out, models, n, vllm_, help_, offsetof(struct metrics_times, name_), &labels);
	METRICS_HISTOGRAMS(TIMES)
#undef TIMES
	add_histogram(out, models, n, "vllm:time_per_output_token_seconds",
		      "vllm:inter_token_latency_seconds under its older name",
		      offsetof(struct metrics_times, itl), &labels);
	add_steps(out, models, n, &labels);
	strbuf_free(&labels);
}
