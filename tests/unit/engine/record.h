/* Requests to the scripted model of fake.h, and what each was told. Included once by each test that wants it.
 */
#ifndef TEST_ENGINE_RECORD_H
#define TEST_ENGINE_RECORD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "fake.h"

/* What one request was told. */
struct record {
	struct engine *engine;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct strbuf text, log; /* log: one word an event: "start:N", the token as index:id=text, "end:why",
				    "error:CODE" */
	uint64_t id;
	unsigned n_tokens;
	bool started, ended;
	uint64_t ended_ns;
	unsigned cancel_at; /* cancel from the callback at this token, 1 for the first */
	enum hokku_code code;
	struct hokku_error error;
	struct hokku_result result;
	uint32_t cached_tokens;
	unsigned *turn, my_turn; /* counts the starts of several requests */
};

static inline void on_event(void *user, const struct engine_event *event)
{
	struct record *r = user;
	pthread_mutex_lock(&r->lock);
	assert_false(r->ended);
	switch (event->kind) {
	case ENGINE_STARTED:
		assert_false(r->started);
		r->started = true;
		r->my_turn = r->turn ? ++*r->turn : 0;
		strbuf_addf(&r->log, "start:%u ", event->prompt_tokens);
		assert_int_equal(event->seed, 99);
		break;
	case ENGINE_PROMPT:
		assert_true(r->started && r->n_tokens == 0);
		strbuf_addf(&r->log, "prompt:%u+%u ", event->index, event->n_prompt);
		break;
	case ENGINE_TOKEN:
		assert_true(r->started);
		r->n_tokens++;
		strbuf_add(&r->text, event->text.ptr, event->text.len);
		strbuf_addf(&r->log, "%u:%d=%.*s ", event->index, event->token, STR_ARG(event->text));
		if (r->cancel_at == r->n_tokens)
			engine_cancel(r->engine, event->request);
		break;
	case ENGINE_END:
		r->result = *event->result;
		r->cached_tokens = event->cached_tokens;
		strbuf_addf(&r->log, "end:%s", hokku_stop_name(event->result->stop));
		r->ended = true;
		break;
	case ENGINE_ERROR:
		r->error = *event->error;
		r->code = event->error->code;
		strbuf_addf(&r->log, "error:%s", hokku_code_name(r->code));
		r->ended = true;
		break;
	}
	r->ended_ns = clock_ns();
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

static inline void record_init(struct record *r, struct engine *e)
{
	*r = (struct record){.engine = e};
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
}

static inline void record_free(struct record *r)
{
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	strbuf_free(&r->text);
	strbuf_free(&r->log);
}

static inline void wait_end(struct record *r)
{
	pthread_mutex_lock(&r->lock);
	while (!r->ended)
		pthread_cond_wait(&r->changed, &r->lock);
	pthread_mutex_unlock(&r->lock);
}

static inline void wait_tokens(struct record *r, unsigned n)
{
	pthread_mutex_lock(&r->lock);
	while (r->n_tokens < n && !r->ended)
		pthread_cond_wait(&r->changed, &r->lock);
	pthread_mutex_unlock(&r->lock);
}

static inline unsigned count_tokens(struct record *r)
{
	pthread_mutex_lock(&r->lock);
	unsigned n = r->n_tokens;
	pthread_mutex_unlock(&r->lock);
	return n;
}

/* Milliseconds from begin, a clock_ns, to r's end. */
static inline double ended_ms(const struct record *r, uint64_t begin)
{
	return (double)(r->ended_ns - begin) * 1e-6;
}

/* trial returns how many milliseconds something took that is promised within `most`. A machine that stands
 * still for longer than that says nothing of the engine: of up to twenty trials one has to be in time, and
 * every one has to be right. */
static inline void assert_in_time(double (*trial)(void), double most)
{
	double ms = 0;
	for (int i = 0; i < 20; i++)
		if ((ms = trial()) < most)
			return;
	fail_msg("%.1f ms the last of twenty times, and never less than %.1f", ms, most);
}

static inline void wait_running(struct engine *e, uint32_t n)
{
	struct engine_state s;
	for (engine_get_state(e, &s); s.n_running < n; engine_get_state(e, &s))
		fake_sleep_us(1000);
}

static inline struct engine *start_with(struct engine_config config)
{
	struct engine *e;
	struct hokku_error err;
	config.model_path = config.model_path ? config.model_path : "fake.gguf";
	assert_int_equal(engine_create(&config, &e, &err), HOKKU_OK);
	return e;
}

static inline struct engine *start(void)
{
	struct hokku_error err;
	struct engine *e = start_with((struct engine_config){0});
	assert_int_equal(engine_wait_ready(e, &err), HOKKU_OK);
	return e;
}

static const int32_t prompt[] = {FAKE_A, FAKE_B, FAKE_C};

static inline struct engine_request request_for(struct record *r)
{
	struct engine_request q = {.tokens = prompt, .n_tokens = 3, .on_event = on_event, .user = r};
	sampling_defaults(&q.sampling, SAMPLING_OWN, NULL);
	q.sampling.seed = 99;
	return q;
}

static inline void submit(struct engine *e, struct record *r, uint32_t max_tokens)
{
	struct hokku_error err;
	struct engine_request q = request_for(r);
	q.max_tokens = max_tokens;
	assert_int_equal(engine_submit(e, &q, &r->id, &err), HOKKU_OK);
}

/* Runs one request with the script given and returns its log. */
static inline const char *run(const int32_t *script, uint32_t n, uint32_t max_tokens, const char *stop)
{
	static char log[1024];
	struct record r;
	struct str texts[1];
	fake_reset(script, n);
	struct engine *e = start();
	record_init(&r, e);
	struct engine_request q = request_for(&r);
	q.max_tokens = max_tokens;
	if (stop) {
		texts[0] = str_c(stop);
		q.stop = texts;
		q.n_stop = 1;
	}
	assert_int_equal(engine_submit(e, &q, &r.id, NULL), HOKKU_OK);
	wait_end(&r);
	snprintf(log, sizeof log, "%s", r.log.ptr);
	if (!r.code) {
		assert_int_equal(r.result.text_bytes, r.text.len);
		assert_int_equal(r.result.prompt_tokens, 3);
		assert_int_equal(r.result.seed, 99);
		assert_true(r.result.ttft_ms >= r.result.prefill_ms && r.result.decode_ms >= 0);
	}
	engine_destroy(e, 0);
	record_free(&r);
	return log;
}

#define SCRIPT(...) ((int32_t[]){__VA_ARGS__}), sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)

#endif
