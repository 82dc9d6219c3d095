/*
 * The engine's thread and its door. Nothing is done under the lock (queue.h) that takes time, so
 * engine_get_state, engine_submit and engine_cancel never wait for the model.
 */
#include "engine/engine.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "engine/call.h"
#include "engine/load.h"
#include "engine/loop.h"
#include "engine/past.h"
#include "engine/queue.h"

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
}

/* The device cannot go on: whoever is there is told so, and later requests are refused with the same error.
 */
static void give_up(struct engine *e, const struct hokku_error *err)
{
	engine_enter_phase(e, ENGINE_LOST, err);
	pthread_mutex_lock(&e->lock);
	struct job *job = queue_take_new(e);
	pthread_mutex_unlock(&e->lock);
	for (; job; job = job->next_new)
		sched_add(&e->sched, &job->seq);
	queue_fail_all(e, err);
}

static void run_engine(struct engine *e)
{
	struct hokku_error err = {.code = HOKKU_OK};
	if (engine_load(e, &err)) {
		engine_unload(e);
		engine_enter_phase(e, ENGINE_FAILED, &err);
		return;
	}
	atomic_store(&e->public_tok, e->tok);
	atomic_store(&e->public_chat, &e->chat);
	uint64_t now = clock_ns(); /* the opening has checked */
	e->next_check_ns = now + e->check_ns;
	pthread_mutex_lock(&e->lock);
	e->checked_ns = e->busy_changed_ns = now;
	e->steps = e->steps_done;
	e->steps.n_kv_blocks = e->sched.kv.n_blocks;
	pthread_mutex_unlock(&e->lock);
	engine_enter_phase(e, ENGINE_READY, NULL);
	if (engine_loop(e, &err))
		give_up(e, &err);
	else
		engine_enter_phase(e, ENGINE_STOPPED, NULL);
	call_refuse_all(e, err.code ? err.code : HOKKU_SHUTTING_DOWN);
}

static void *engine_main(void *arg)
{
	struct engine *e = arg;
	run_engine(e);
	watch_rest(&e->turn);
	pthread_mutex_lock(&e->lock);
	e->over = true;
	pthread_cond_broadcast(&e->changed);
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

static char *copy_text(const char *text)
{
	return text ? strdup(text) : NULL;
}

/* Frees what engine_create made, the thread being over. */
static void engine_free(struct engine *e)
{
	engine_unload(e);
	pthread_cond_destroy(&e->changed);
	pthread_cond_destroy(&e->work);
	pthread_mutex_destroy(&e->lock);
	free(e->model_path);
	free(e->chat_template);
	free(e->device);
	free(e->fingerprint_of);
	owners_deinit(&e->owners);
	salts_deinit(&e->salts);
	free(e);
}

enum hokku_code engine_create(const struct engine_config *config, struct engine **out,
			      struct hokku_error *err)
{
	*out = NULL;
	struct engine *e = calloc(1, sizeof *e);
	if (!e)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for an engine");
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->work, &attr);
	pthread_cond_init(&e->changed, &attr);
	pthread_condattr_destroy(&attr);
	e->model_path = copy_text(config->model_path);
	if (config->chat_template.ptr) {
		e->chat_template = malloc(config->chat_template.len + 1);
		e->chat_template_bytes = config->chat_template.len;
		if (e->chat_template && config->chat_template.len)
			memcpy(e->chat_template, config->chat_template.ptr, config->chat_template.len);
	}
	e->device = copy_text(config->device ? config->device : "auto");
	e->fingerprint_of = config->fingerprint_of ? copy_text(config->fingerprint_of) : NULL;
	e->config_ctx = config->n_ctx;
	e->config_ctx_most = config->n_ctx_most;
	e->ctx_whole = config->ctx_whole;
	e->forced_dialect = config->dialect;
	e->n_threads = config->n_threads;
	e->vram_limit = config->vram_limit;
	e->ram_limit = config->ram_limit;
	e->kv_bytes = config->kv_bytes;
	e->kv_grows = config->kv_grows;
	e->kv_contexts = config->kv_contexts ? config->kv_contexts : ENGINE_MAX_KV_CONTEXTS;
	e->cache = config->cache;
	e->check_ns = (config->check_ms ? config->check_ms : ENGINE_CHECK_MS) * 1000000ull;
	e->stopped = config->stopped;
	e->max_queue = config->max_queue ? config->max_queue : ENGINE_MAX_QUEUE;
	e->on_state = config->on_state;
	e->user = config->user;
	e->config_parallel = config->n_parallel;
	e->no_prefix_cache = config->no_prefix_cache;
	e->states = config->states;
	e->prompt_logprobs = config->prompt_logprobs;
	e->no_jumps = config->no_jump_ahead;
	e->shape_limits = config->shape_limits;
	e->new_end = &e->new_jobs;
	e->calls_end = &e->calls;
	e->n_batch = ENGINE_BATCH;
	e->steps_done = (struct engine_steps){
		.tokens = HISTOGRAM_SIZES, .sequences = HISTOGRAM_SIZES, .seconds = HISTOGRAM_STEP_SECONDS};
	e->steps = e->steps_done;
	pace_init(&e->pace, e->n_batch, config->itl_ms ? config->itl_ms : PACE_TARGET_MS);
	salts_init(&e->salts);
	if (!owners_init(&e->owners, config->owners, config->n_owners) || !e->device ||
	    (config->model_path && !e->model_path) || (config->fingerprint_of && !e->fingerprint_of) ||
	    (config->chat_template.ptr && !e->chat_template)) {
		engine_free(e);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for an engine");
	}
	*out = e; /* before the thread may call on_state */
	int failed = pthread_create(&e->thread, NULL, engine_main, e);
	if (failed) {
		*out = NULL;
		engine_free(e);
		return err_set(err, HOKKU_INTERNAL, "the engine's thread cannot be started: %s",
			       strerror(failed));
	}
	return HOKKU_OK;
}

void engine_close_door(struct engine *e)
{
	pthread_mutex_lock(&e->lock);
	e->door_closed = true;
	pthread_mutex_unlock(&e->lock);
}

static struct timespec in_ms(uint32_t ms)
{
	return to_timespec(clock_ns() + ms * 1000000ull);
}

/* Waits until nothing runs and nothing waits, for drain_ms at most. Under the lock. */
static void drain(struct engine *e, uint32_t drain_ms)
{
	const struct timespec until = in_ms(drain_ms);
	while (e->n_jobs && pthread_cond_timedwait(&e->changed, &e->lock, &until) != ETIMEDOUT) {
	}
}

/* Asks the thread to end, and all requests with it. Under the lock. */
static void ask_to_stop(struct engine *e)
{
	e->door_closed = true;
	e->stopping = true;
	for (struct job *job = e->jobs; job; job = job->next)
		queue_cancel(e, job);
	pthread_cond_signal(&e->work);
}

bool engine_stop(struct engine *e, uint32_t wait_ms)
{
	const struct timespec until = in_ms(wait_ms);
	int waited = 0;
	pthread_mutex_lock(&e->lock);
	ask_to_stop(e);
	while (!e->over && waited != ETIMEDOUT)
		waited = pthread_cond_timedwait(&e->changed, &e->lock, &until);
	bool over = e->over;
	pthread_mutex_unlock(&e->lock);
	return over;
}

void engine_destroy(struct engine *e, uint32_t drain_ms)
{
	if (!e)
		return;
	pthread_mutex_lock(&e->lock);
	e->door_closed = true;
	if (drain_ms)
		drain(e, drain_ms);
	ask_to_stop(e);
	pthread_mutex_unlock(&e->lock);
	pthread_join(e->thread, NULL);
	engine_free(e);
}

/* The model is there, and what goes with it stays until the engine is freed. */
static bool is_loaded(const struct engine *e)
{
	return atomic_load(&e->public_tok) != NULL;
}

static struct shape_counters count_shapes(struct engine *e)
{
	struct shape_counters out = {0};
	if (!is_loaded(e))
		return out;
	struct shape_counts *counts = shapes_counts(e->shapes);
#define SHAPES_X(name, text) out.name = atomic_load(&counts->name);
	SHAPE_COUNTERS(SHAPES_X)
#undef SHAPES_X
	return out;
}

void engine_get_state(struct engine *e, struct engine_state *out)
{
	pthread_mutex_lock(&e->lock);
	*out = (struct engine_state){
		.phase = e->phase,
		.load_part = e->load_part,
		.load_bytes = e->load_bytes,
		.load_all_bytes = e->load_all_bytes,
		.load_s = e->load_begun_ns ? clock_ms_since(e->load_begun_ns) * 1e-3 : 0,
		.failure = e->failure,
		.info = e->info,
		.memory = e->memory,
		.device_why = e->device_why,
		.device_why_notable = e->device_why_notable,
		.n_ctx_wanted = e->n_ctx_wanted,
		.tokenizer_notes = e->tokenizer_notes,
		.checked_s = e->checked_ns ? clock_ms_since(e->checked_ns) * 1e-3 : 0,
		.n_queued = e->n_jobs - e->n_running,
		.n_running = e->n_running,
		.n_parallel = e->n_parallel,
		.counters = e->counters,
		.shapes = count_shapes(e),
		.n_accepted = e->next_id,
		.n_finished = e->n_finished,
		.n_cancelled = e->n_ended_cancelled,
		.n_failed = e->n_ended_failed,
		.n_tokens_in = e->n_tokens_in,
		.n_tokens_out = e->n_tokens_out,
	};
	pthread_mutex_unlock(&e->lock);
}

bool engine_context_text(const struct engine_state *s, const char *name, char out[ENGINE_CONTEXT_TEXT])
{
	char wanted[32], fits[32], device[32];
	if (!s->n_ctx_wanted || s->info.n_ctx >= s->n_ctx_wanted)
		return false;
	snprintf(device, sizeof device, "%.*s", (int)strcspn(s->info.device, " "), s->info.device);
	snprintf(
		out, ENGINE_CONTEXT_TEXT,
		"%s%.100s%sthe context is %s, as much as fits on %s: %s would be the default; --ctx N sets one, and is "
		"refused where it does not fit",
		name ? "model '" : "", name ? name : "", name ? "': " : "",
		str_thousands(s->info.n_ctx, fits), strcmp(device, "cpu") == 0 ? "the CPU" : device,
		str_thousands(s->n_ctx_wanted, wanted));
	return true;
}

void engine_get_steps(struct engine *e, struct engine_steps *out)
{
	pthread_mutex_lock(&e->lock);
	*out = e->steps;
	uint64_t ns = e->busy_changed_ns ? clock_ns() - e->busy_changed_ns : 0;
	out->busy_ns = e->busy_ns + (e->device_busy ? ns : 0);
	out->idle_ns = e->idle_ns + (e->device_busy ? 0 : ns);
	pthread_mutex_unlock(&e->lock);
}

const struct watch_turn *engine_turn(const struct engine *e)
{
	return &e->turn;
}

enum hokku_code engine_wait_ready(struct engine *e, struct hokku_error *err)
{
	pthread_mutex_lock(&e->lock);
	while (e->phase == ENGINE_LOADING)
		pthread_cond_wait(&e->changed, &e->lock);
	bool failed = e->phase == ENGINE_FAILED || e->phase == ENGINE_LOST;
	enum hokku_code rc = failed ? e->failure.code : HOKKU_OK;
	if (rc && err)
		*err = e->failure;
	pthread_mutex_unlock(&e->lock);
	return rc;
}

void engine_set_owner(struct engine *e, uint32_t owner, const struct engine_limits *limits)
{
	pthread_mutex_lock(&e->lock);
	owners_set(&e->owners, owner, limits);
	e->owners_changed = true; /* the scheduler, which is the engine's thread's, is told by it */
	pthread_mutex_unlock(&e->lock);
}

void engine_get_owner(struct engine *e, uint32_t owner, uint32_t *n_running, uint32_t *n_waiting)
{
	pthread_mutex_lock(&e->lock);
	const struct owner *o = &e->owners.all[owner];
	*n_running = o->n_running;
	*n_waiting = o->n_jobs - o->n_running;
	pthread_mutex_unlock(&e->lock);
}

const struct tok *engine_tok(const struct engine *e)
{
	return atomic_load(&e->public_tok);
}

const struct chat *engine_chat(const struct engine *e)
{
	return atomic_load(&e->public_chat);
}

const char *engine_fingerprint(const struct engine *e)
{
	return e->fingerprint_of && engine_tok(e) ? e->fingerprint : NULL;
}

const struct dialect_found *engine_dialect(const struct engine *e)
{
	return engine_tok(e) ? &e->dialect : NULL;
}

const struct sampling_advice *engine_advice(const struct engine *e)
{
	return engine_tok(e) ? &e->advice : NULL;
}

const struct gguf *engine_file(const struct engine *e)
{
	return engine_tok(e) ? e->file : NULL;
}

void engine_order_shape(struct engine *e, struct shape_order *order)
{
	if (is_loaded(e)) {
		shapes_order(e->shapes, order);
		return;
	}
	order->made = NULL;
	order->rc = err_set(&order->err, HOKKU_NOT_READY, "the model is still being loaded");
	order->done(order);
}

enum hokku_code engine_make_shape(struct engine *e, const struct constrain_shape *shape,
				  struct constrain **out, struct constrain_fault *fault,
				  struct hokku_error *err)
{
	*out = NULL;
	if (is_loaded(e))
		return shapes_make(e->shapes, shape, out, fault, err);
	return err_set(err, HOKKU_NOT_READY, "the model is still being loaded");
}

void engine_close_shapes(struct engine *e)
{
	if (is_loaded(e))
		shapes_close(e->shapes);
}

/* May requests come in at all? Under the lock. */
static enum hokku_code check_open(const struct engine *e, struct hokku_error *err)
{
	if (e->door_closed)
		return err_set(err, HOKKU_SHUTTING_DOWN, "the engine is stopping and takes no new requests");
	if (e->phase == ENGINE_LOADING)
		return err_set(err, HOKKU_NOT_READY, "the model is still being loaded (%.0f%%)",
			       e->load_part * 100);
	if (e->phase == ENGINE_FAILED || e->phase == ENGINE_LOST)
		return err_set(err, e->failure.code, "%s", e->failure.message);
	return HOKKU_OK;
}

static enum hokku_code check_request(const struct engine *e, const struct engine_request *r,
				     struct hokku_error *err)
{
	char found[32], allowed[32];
	if (r->n_tokens == 0 && tok_bos(e->tok) < 0)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "the prompt is empty, and the model has no token that begins a text");
	if (r->priority >= SCHED_N_PRIORITIES)
		return err_set(err, HOKKU_INVALID_REQUEST, "priority is %u; it must be from 0 to %d",
			       r->priority, SCHED_N_PRIORITIES - 1);
	if (r->cache_salt.len > SALTS_MAX_BYTES)
		return err_set(err, HOKKU_INVALID_REQUEST, "cache_salt has %zu bytes; it may have %d",
			       r->cache_salt.len, SALTS_MAX_BYTES);
	if (r->n_tokens > e->n_ctx)
		return err_set(err, HOKKU_CONTEXT_EXCEEDED, "the prompt has %s tokens, the context holds %s",
			       str_thousands(r->n_tokens, found), str_thousands(e->n_ctx, allowed));
	for (size_t i = 0; i < r->n_tokens; i++)
		if (r->tokens[i] < 0 || (uint32_t)r->tokens[i] >= e->n_vocab)
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "token %zu of the prompt is %d; the vocabulary has 0 to %u", i,
				       r->tokens[i], e->n_vocab - 1);
	if (r->n_answered > r->n_tokens)
		return err_set(err, HOKKU_INVALID_REQUEST, "of the %zu tokens %u are said to be an answer's",
			       r->n_tokens, r->n_answered);
	if (r->n_answered && r->sampling.mirostat && r->sampling.temperature != 0)
		return err_set(
			err, HOKKU_INVALID_REQUEST,
			"mirostat is %d; it cannot go on with an answer that was begun elsewhere, as what it "
			"has come to there is not known",
			r->sampling.mirostat);
	if (r->n_top > LOGPROBS_MAX_TOP)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "the logprobs of %u tokens are asked for; %d are told at most", r->n_top,
			       LOGPROBS_MAX_TOP);
	if (r->prompt_logprobs && !e->prompt_logprobs)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "the prompt's logprobs are asked for; the engine was created without them");
	if (r->n_prompt_top > LOGPROBS_MAX_TOP)
		return err_set(
			err, HOKKU_INVALID_REQUEST,
			"the logprobs of %u tokens are asked for at each position of the prompt; %d are told "
			"at most",
			r->n_prompt_top, LOGPROBS_MAX_TOP);
	enum hokku_code rc = sampling_check(&r->sampling, e->n_vocab, err);
	if (!rc)
		rc = rules_check(&r->rules, e->n_vocab, r->max_tokens, err);
	if (!rc)
		rc = dry_check(r->dry_breakers, r->dry_breakers ? r->n_dry_breakers : 0, err);
	return rc ? rc : stop_check(r->stop, r->n_stop, err);
}

static enum hokku_code no_memory(const struct engine_request *r, struct hokku_error *err)
{
	return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a request of %zu tokens", r->n_tokens);
}

/* Of a group's root, which no salt has. */
#define GROUP_ROOT (KV_ROOT | KV_ROOT >> 1)

static struct str token_bytes(const void *tok, int32_t token)
{
	return tok_bytes(tok, token);
}

/* What rules forbid in the whole answer, where it is little. */
static void forbid_by_bias(struct job *job)
{
	int32_t ids[RULES_FEW];
	uint32_t n = rules_give_away(job->rules, ids);
	for (uint32_t i = 0; i < n; i++)
		job->bias[job->n_bias++] = (struct hokku_logit_bias){ids[i], -INFINITY};
}

/* All that the request needs to its end. */

static struct job *job_create(struct engine *e, const struct engine_request *r, struct hokku_error *err)
{
	struct job *job = calloc(1, sizeof *job);
	if (!job) {
		no_memory(r, err);
		return NULL;
	}
	struct token_rules rules = r->rules;
	rules.thinking.bytes = token_bytes;
	rules.thinking.user = e->tok;
	uint32_t n_prompt = r->n_tokens ? (uint32_t)r->n_tokens : 1, n_bias = r->sampling.n_bias;
	uint32_t room = e->n_ctx + 1 - n_prompt; /* the last one drawn needs no position */
	uint32_t most = n_prompt + (r->max_tokens && r->max_tokens < room ? r->max_tokens : room);
	bool caches = !e->no_prefix_cache && (!r->no_cache || r->group);
	job->seq = (struct sched_seq){.ids = malloc((size_t)most * sizeof *job->seq.ids),
				      .n_ids = n_prompt,
				      .n_prompt = n_prompt,
				      .n_most = most,
				      .n_rows = r->prompt_logprobs ? n_prompt - 1 : 0,
				      .priority = r->priority,
				      .owner = r->owner};
	job->seq.hashes = caches ? malloc((most / COMPUTE_KV_BLOCK + 1) * sizeof *job->seq.hashes) : NULL;
	const struct str *breakers = r->dry_breakers ? r->dry_breakers : dry_default_breakers;
	uint32_t n_breakers = r->dry_breakers ? r->n_dry_breakers : n_dry_default_breakers;
	uint32_t n_biases = n_bias + RULES_FEW + (r->sampling.dry_multiplier > 0 ? DRY_MAX_TOKENS : 0);
	job->bias = calloc(n_biases, sizeof *job->bias);
	if (!job->seq.ids || (caches && !job->seq.hashes) || !job->bias ||
	    dry_new(&r->sampling, breakers, n_breakers, e->tok, most, &job->dry, err) ||
	    stop_init(&job->stop, r->stop, r->n_stop, e->max_piece, err) ||
	    rules_new(&rules, r->sampling.bias, n_bias, e->end_mask, e->n_vocab, &job->rules, err)) {
		job_destroy(job);
		no_memory(r, err);
		return NULL;
	}
	if (r->n_tokens)
		memcpy(job->seq.ids, r->tokens, n_prompt * sizeof *job->seq.ids);
	else
		job->seq.ids[0] = tok_bos(e->tok);
	job->stop.shows = rules_include_stop(job->rules);
	job->stop_token = -1;
	job->looks_back = rules_look_back(job->rules) || past_is_looked_at(&r->sampling);
	job->chances = r->logprobs && r->chances;
	job->by_host = job->chances || !compute_draws(e->compute, &r->sampling);
	job->mirostat_mu = 2 * (double)r->sampling.mirostat_tau;
	job->max_tokens = r->max_tokens;
	job->n_answered = r->n_answered;
	job->logprobs = r->logprobs;
	job->prompt_logprobs = r->prompt_logprobs;
	job->n_prompt_top = r->n_prompt_top;
	job->no_cache = r->no_cache;
	job->control_text = r->control_text;
	job->cache_debug = r->cache_debug;
	job->seq.miss = r->cache_debug ? &job->miss : NULL;
	job->n_top = r->n_top;
	job->sampling = r->sampling;
	job->sampling.bias = job->bias;
	for (uint32_t i = 0; i < n_bias; i++)
		if (isfinite(r->sampling.bias[i].bias)) /* the others are rules */
			job->bias[job->n_bias++] = r->sampling.bias[i];
	if (!r->shape && n_bias + RULES_FEW <= COMPUTE_MAX_LOGIT_BIAS)
		forbid_by_bias(job);
	job->sampling.n_bias = job->n_bias;
	job->on_event = r->on_event;
	job->user = r->user;
	job->submitted_ns = clock_ns();
	return job;
}

/* Where logprobs are told each token is drawn: what is told of it are its logits; and where rules are to be
 * kept, as the shape knows nothing of them; and with mirostat, whose state each draw changes. */
static enum hokku_code add_shape(struct engine *e, struct job *job, const struct engine_request *r,
				 struct hokku_error *err)
{
	if (!r->shape)
		return HOKKU_OK;
	return walk_new(&e->walks, r->shape, r->owner,
			!e->no_jumps && !r->logprobs && !job->rules && !r->sampling.mirostat,
			r->tokens + r->n_tokens - r->n_answered, r->n_answered, &job->walk, err);
}

/* Is there a place for n more: those that run or will at once, and those that wait? Under the lock. */
static enum hokku_code check_room(const struct engine *e, uint32_t owner, uint32_t n, struct hokku_error *err)
{
	const struct owner *o = &e->owners.all[owner];
	uint32_t n_free = e->n_parallel > e->n_running ? e->n_parallel - e->n_running : 0;
	enum hokku_code rc = owners_check(o, n, n_free, err);
	if (rc || (uint64_t)e->n_jobs + n <= (uint64_t)e->max_queue + e->n_parallel ||
	    (uint64_t)o->n_jobs - o->n_running + n <= owners_share(&e->owners, e->max_queue))
		return rc;
	return err_set(err, HOKKU_OVERLOADED,
		       "%u requests are there, as many as may run or wait; try again later", e->n_jobs);
}

enum hokku_code engine_check_samples(struct engine *e, uint32_t owner, uint32_t n, struct hokku_error *err)
{
	pthread_mutex_lock(&e->lock);
	const struct engine_limits limits = e->owners.all[owner].limits;
	pthread_mutex_unlock(&e->lock);
	uint32_t running = limits.max_running < e->n_parallel ? limits.max_running : e->n_parallel;
	uint32_t waiting = limits.max_waiting < e->max_queue ? limits.max_waiting : e->max_queue;
	if (n > (uint64_t)running + waiting)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "n is %u; %u of its samples could run at a time and %u wait", n, running,
			       waiting);
	pthread_mutex_lock(&e->lock);
	enum hokku_code rc = check_room(e, owner, n, err);
	pthread_mutex_unlock(&e->lock);
	return rc;
}

enum hokku_code engine_submit(struct engine *e, const struct engine_request *request, uint64_t *id,
			      struct hokku_error *err)
{
	if (request->owner >= e->owners.n)
		return err_set(err, HOKKU_INVALID_REQUEST, "owner is %u; there are 0 to %u", request->owner,
			       e->owners.n - 1);
	pthread_mutex_lock(&e->lock);
	enum hokku_code rc = check_open(e, err);
	if (!rc)
		rc = check_room(e, request->owner, 1, err);
	pthread_mutex_unlock(&e->lock);
	if (!rc)
		rc = check_request(e, request, err);
	if (rc)
		return rc;
	struct job *job = job_create(e, request, err);
	if (!job)
		return HOKKU_OUT_OF_MEMORY;
	rc = add_shape(e, job, request, err);
	if (rc) {
		job_destroy(job);
		return rc;
	}
	pthread_mutex_lock(&e->lock);
	rc = check_open(e, err);
	if (!rc)
		rc = check_room(e, request->owner, 1, err);
	if (!rc) {
		job->id = ++e->next_id;
		job->seq.root = request->no_cache
					? GROUP_ROOT | request->group
					: salts_root(&e->salts, request->owner, request->cache_salt);
		*id = job->id;
		queue_push(e, job);
		if (job->walk)
			atomic_fetch_add(&shapes_counts(e->shapes)->shape_requests, 1);
		pthread_cond_signal(&e->work);
	}
	pthread_mutex_unlock(&e->lock);
	if (rc)
		job_destroy(job);
	return rc;
}

void engine_cancel(struct engine *e, uint64_t id)
{
	pthread_mutex_lock(&e->lock);
	for (struct job *job = e->jobs; job; job = job->next)
		if (job->id == id)
			queue_cancel(e, job);
	pthread_mutex_unlock(&e->lock);
}
