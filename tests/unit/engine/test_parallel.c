/* Several requests at a time through the engine, over the scripted model of fake.h. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "record.h"

enum { N = 4 };

static struct engine *start_parallel(struct engine_config config)
{
	struct hokku_error err;
	struct engine *e = start_with(config);
	assert_int_equal(engine_wait_ready(e, &err), HOKKU_OK);
	return e;
}

static struct engine_state state_of(struct engine *e)
{
	struct engine_state s;
	engine_get_state(e, &s);
	return s;
}

/* Nobody is left, and no step that was submitted for those who were. */
static void wait_idle(struct engine *e)
{
	struct engine_state s;
	do
		engine_get_state(e, &s);
	while (s.n_running || s.n_queued || atomic_load(&engine_turn(e)->since_ns));
}

/* The device waits; so all of them are there before the second step. */
static void submit_all(struct engine *e, struct record *r, uint32_t n, uint32_t max_tokens)
{
	for (uint32_t i = 0; i < n; i++) {
		record_init(&r[i], e);
		submit(e, &r[i], max_tokens);
	}
}

/* Each gets its own answer, and they share steps. */
static void test_together(void **state)
{
	(void)state;
	struct record r[N];
	fake_reset(SCRIPT(FAKE_A, FAKE_B, FAKE_C, FAKE_END));
	atomic_store(&fake.gate_closed, true);
	struct engine *e = start_parallel((struct engine_config){.n_parallel = N});
	assert_int_equal(fake.params.n_seqs, N);
	submit_all(e, r, N, 0);
	wait_running(e, 1);
	assert_int_equal(state_of(e).n_parallel, N);
	atomic_store(&fake.gate_closed, false);
	for (uint32_t i = 0; i < N; i++) {
		wait_end(&r[i]);
		assert_string_equal(r[i].log.ptr, "start:3 0:3=a 1:4=b 2:6= c end:end");
	}
	/* One step for the first prompt alone, or with others that came in time; then all of them together. A
	 * device that runs ahead had the first one's second step already, and one after the end. */
	assert_true(atomic_load(&fake.n_steps) <= (fake.ahead ? 7 : 5));
	assert_true(fake.steps[fake.ahead ? 3 : 2].n_seqs == N);
	wait_idle(e);
	struct engine_state s = state_of(e);
	assert_int_equal(s.n_finished, N);
	assert_int_equal(s.n_tokens_in, 3 * N);
	assert_int_equal(s.n_tokens_out, 3 * N);
	engine_destroy(e, 0);
	for (uint32_t i = 0; i < N; i++)
		record_free(&r[i]);
}

/* A sequence that cannot go on ends alone; a step that fails as a whole ends those that ran, and the next
 * requests are served. */
static void test_errors(void **state)
{
	(void)state;
	struct record r[N];
	fake_reset(SCRIPT(FAKE_A, FAKE_B, FAKE_END));
	fake.fail_token = FAKE_HELLO;
	fake.fail_code = HOKKU_INTERNAL;
	atomic_store(&fake.gate_closed, true);
	struct engine *e = start_parallel((struct engine_config){.n_parallel = N});
	for (uint32_t i = 0; i < N; i++) {
		record_init(&r[i], e);
		struct engine_request q = request_for(&r[i]);
		q.tokens = i == 1 ? (int32_t[]){FAKE_HELLO, FAKE_A, FAKE_B} : prompt;
		assert_int_equal(engine_submit(e, &q, &r[i].id, NULL), HOKKU_OK);
	}
	atomic_store(&fake.gate_closed, false);
	for (uint32_t i = 0; i < N; i++) {
		wait_end(&r[i]);
		assert_string_equal(r[i].log.ptr,
				    i == 1 ? "start:3 error:INTERNAL" : "start:3 0:3=a 1:4=b end:end");
		record_free(&r[i]);
	}
	assert_string_equal(r[1].error.message, "the fake does not like this one");
	wait_idle(e);
	/* The device draws nothing for one: no token may be drawn. */
	fake.script[1] = -1;
	submit_all(e, r, 1, 0);
	wait_end(&r[0]);
	assert_string_equal(
		r[0].error.message,
		"no token can be drawn at position 4: every logit is NaN, minus infinity or masked");
	record_free(&r[0]);
	fake.script[1] = FAKE_B;
	wait_idle(e);
	atomic_store(&fake.gate_closed, true);
	fake.fail_step = atomic_load(&fake.n_steps) + 2;
	submit_all(e, r, N, 0);
	wait_running(e, 1);
	atomic_store(&fake.gate_closed, false);
	for (uint32_t i = 0; i < N; i++) {
		wait_end(&r[i]);
		assert_int_equal(r[i].code, HOKKU_INTERNAL);
		assert_string_equal(r[i].error.message, "the fake device failed");
		record_free(&r[i]);
	}
	submit_all(e, r, 1, 0);
	wait_end(&r[0]);
	assert_string_equal(r[0].log.ptr, "start:3 0:3=a 1:4=b end:end");
	record_free(&r[0]);
	engine_destroy(e, 0);
}

/* A lost device is told to all, running and waiting. */
static void test_device_lost(void **state)
{
	(void)state;
	struct record r[N];
	fake_reset(NULL, 0);
	fake.fail_step = 3;
	fake.fail_code = HOKKU_DEVICE_ERROR;
	atomic_store(&fake.gate_closed, true);
	struct engine *e = start_parallel((struct engine_config){.n_parallel = 2});
	submit_all(e, r, N, 0);
	atomic_store(&fake.gate_closed, false);
	for (uint32_t i = 0; i < N; i++) {
		wait_end(&r[i]);
		assert_int_equal(r[i].code, HOKKU_DEVICE_ERROR);
		assert_int_equal(r[i].started, i < 2);
	}
	assert_int_equal(state_of(e).phase, ENGINE_LOST);
	engine_destroy(e, 0);
	for (uint32_t i = 0; i < N; i++)
		record_free(&r[i]);
}

/* Of several that run, prefill and wait each ends within 100 ms of its cancel, and the others go on. */
static double cancel(void)
{
	enum { RUNS, PREFILLS, WAITS, GOES_ON, N_ALL };
	static int32_t ids[3000];
	static const int order[] = {WAITS, PREFILLS, RUNS};
	struct record r[N_ALL];
	fake_reset(NULL, 0);
	fake.step_us = 2000;
	fake.token_us = 1000; /* three seconds of prompt */
	struct engine *e = start_parallel((struct engine_config){.n_parallel = 3});
	for (uint32_t i = 0; i < N_ALL; i++)
		record_init(&r[i], e);
	submit(e, &r[RUNS], 0);
	submit(e, &r[GOES_ON], 0);
	struct engine_request q = request_for(&r[PREFILLS]);
	q.tokens = ids;
	q.n_tokens = 3000;
	assert_int_equal(engine_submit(e, &q, &r[PREFILLS].id, NULL), HOKKU_OK);
	submit(e, &r[WAITS], 0);
	wait_tokens(&r[RUNS], 4);
	wait_running(e, 3);
	fake_sleep_us(50000);
	double ms = 0;
	for (int i = 0; i < 3; i++) {
		struct record *victim = &r[order[i]];
		assert_int_equal(victim->started, order[i] != WAITS);
		uint64_t begin = clock_ns();
		engine_cancel(e, victim->id);
		wait_end(victim);
		assert_int_equal(victim->code, HOKKU_CANCELLED);
		ms = fmax(ms, ended_ms(victim, begin));
	}
	wait_tokens(&r[GOES_ON], count_tokens(&r[GOES_ON]) + 3);
	assert_false(r[GOES_ON].ended);
	engine_destroy(e, 0);
	for (uint32_t i = 0; i < N_ALL; i++)
		record_free(&r[i]);
	return ms;
}

static void test_cancel(void **state)
{
	(void)state;
	assert_in_time(cancel, 100);
}

/* Places and the queue: n_parallel + max_queue requests are taken and no more. */
static void test_limits(void **state)
{
	(void)state;
	struct record r[N + 1];
	struct hokku_error err;
	for (uint32_t parallel = 1; parallel < N; parallel++) {
		fake_reset(SCRIPT(FAKE_A, FAKE_END));
		atomic_store(&fake.gate_closed, true);
		struct engine *e = start_parallel(
			(struct engine_config){.n_parallel = parallel, .max_queue = N - parallel});
		submit_all(e, r, N, 0);
		wait_running(e, 1);
		record_init(&r[N], e);
		struct engine_request q = request_for(&r[N]);
		assert_int_equal(engine_submit(e, &q, &r[N].id, &err), HOKKU_OVERLOADED);
		atomic_store(&fake.gate_closed, false);
		for (uint32_t i = 0; i < N; i++)
			wait_end(&r[i]);
		wait_idle(e);
		assert_int_equal(engine_submit(e, &q, &r[N].id, &err), HOKKU_OK);
		wait_end(&r[N]);
		engine_destroy(e, 0);
		for (uint32_t i = 0; i <= N; i++)
			record_free(&r[i]);
	}
	fake_reset(NULL, 0);
	struct engine *e = start_parallel((struct engine_config){.n_parallel = 1});
	record_init(&r[0], e);
	struct engine_request q = request_for(&r[0]);
	q.priority = SCHED_N_PRIORITIES;
	assert_int_equal(engine_submit(e, &q, &r[0].id, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message, "priority is 4; it must be from 0 to 3");
	engine_destroy(e, 0);
	record_free(&r[0]);
}

static void test_priority(void **state)
{
	(void)state;
	static const uint32_t priorities[] = {1, 3, 1, 0}, turns[] = {1, 4, 3, 2};
	struct record r[N];
	unsigned turn = 0;
	fake_reset(SCRIPT(FAKE_A, FAKE_END));
	atomic_store(&fake.gate_closed, true);
	struct engine *e = start_parallel((struct engine_config){.n_parallel = 1});
	for (uint32_t i = 0; i < N; i++) {
		record_init(&r[i], e);
		r[i].turn = &turn;
		struct engine_request q = request_for(&r[i]);
		q.priority = priorities[i];
		assert_int_equal(engine_submit(e, &q, &r[i].id, NULL), HOKKU_OK);
		wait_running(e, 1);
	}
	atomic_store(&fake.gate_closed, false);
	for (uint32_t i = 0; i < N; i++) {
		wait_end(&r[i]);
		assert_int_equal(r[i].my_turn, turns[i]);
	}
	engine_destroy(e, 0);
	for (uint32_t i = 0; i < N; i++)
		record_free(&r[i]);
}

/* More than KV memory holds at once: some give it back, and nobody is told anything but its answer, once. */
static void test_preempted(void **state)
{
	(void)state;
	struct record r[N];
	fake_reset(NULL, 0);
	atomic_store(&fake.gate_closed, true);
	struct engine *e = start_parallel((struct engine_config){.n_parallel = N, .n_ctx = 256});
	submit_all(e, r, N, 200); /* seven blocks each; there are eight */
	atomic_store(&fake.gate_closed, false);
	for (uint32_t i = 0; i < N; i++) {
		wait_end(&r[i]);
		assert_int_equal(r[i].code, HOKKU_OK);
		assert_int_equal(r[i].n_tokens, 200);
		assert_int_equal(r[i].text.len, 200);
	}
	wait_idle(e);
	struct engine_state s = state_of(e);
	assert_true(s.counters.preempted > 0);
	assert_int_equal(s.n_tokens_in, 3 * N);
	assert_int_equal(s.n_tokens_out, 200 * N);
	engine_destroy(e, 0);
	for (uint32_t i = 0; i < N; i++)
		record_free(&r[i]);
}

/* What was computed is not computed again, and the answer tells; unless the request or the engine does not
 * want it. */
static void test_cached(void **state)
{
	(void)state;
	static int32_t ids[100];
	for (int off = 0; off < 2; off++) {
		struct record r;
		fake_reset(SCRIPT(FAKE_A, FAKE_END));
		struct engine *e =
			start_parallel((struct engine_config){.n_parallel = 2, .no_prefix_cache = off});
		for (int turn = 0; turn < 4; turn++) { /* cold, warm, unwanted, warm */
			record_init(&r, e);
			struct engine_request q = request_for(&r);
			q.tokens = ids;
			q.n_tokens = 100;
			q.no_cache = turn == 2;
			fake_wait_still();
			unsigned before = atomic_load(&fake.n_steps);
			assert_int_equal(engine_submit(e, &q, &r.id, NULL), HOKKU_OK);
			wait_end(&r);
			bool hit = !off && turn % 2;
			assert_int_equal(r.cached_tokens, hit ? 96 : 0);
			assert_int_equal(fake.steps[before].pos, hit ? 96 : 0);
			record_free(&r);
			/* One that fails alone in its step takes nothing from the others. */
			fake.fail_token = FAKE_HELLO;
			fake.fail_code = HOKKU_INTERNAL;
			record_init(&r, e);
			q = request_for(&r);
			q.tokens = (int32_t[]){FAKE_HELLO, FAKE_A, FAKE_B};
			assert_int_equal(engine_submit(e, &q, &r.id, NULL), HOKKU_OK);
			wait_end(&r);
			assert_int_equal(r.code, HOKKU_INTERNAL);
			record_free(&r);
		}
		wait_idle(e);
		assert_int_equal(state_of(e).counters.cache_hits, off ? 0 : 6);
		assert_int_equal(state_of(e).counters.cache_queries, off ? 0 : 9);
		engine_destroy(e, 0);
	}
}

/* The samples of one prompt share it, submitted all at once and however many run, also where they share with
 * nobody else; and what is counted adds up. */
static void test_samples(void **state)
{
	(void)state;
	enum { N_SAMPLES = 8, N_PROMPT = 500, WHOLE = (N_PROMPT - 1) / COMPUTE_KV_BLOCK };
	enum { ONCE = N_PROMPT + 7 * (N_PROMPT - COMPUTE_KV_BLOCK * WHOLE) };
	static int32_t ids[N_PROMPT];
	static struct record r[N_SAMPLES];
	/* in two groups, each alone, then as everybody does, twice */
	static const struct {
		bool no_cache;
		uint64_t group;
		uint32_t computed, hits, queries;
	} turns[] = {
		{true, 1, ONCE, 7 * WHOLE, 8 * WHOLE},
		{true, 2, ONCE, 7 * WHOLE, 8 * WHOLE},
		{true, 0, 8 * N_PROMPT, 0, 0},
		{false, 3, ONCE, 7 * WHOLE, 8 * WHOLE},
		{false, 4, 8 * (N_PROMPT - COMPUTE_KV_BLOCK * WHOLE), 8 * WHOLE, 8 * WHOLE},
	};
	for (uint32_t n_parallel = 1; n_parallel <= N_SAMPLES; n_parallel += N_SAMPLES - 1) {
		fake_reset(SCRIPT(FAKE_A, FAKE_B, FAKE_END));
		fake.n_kv_blocks = 1000;
		struct engine *e = start_parallel((struct engine_config){.n_parallel = n_parallel});
		struct sched_counters before = {0};
		for (size_t t = 0; t < sizeof turns / sizeof turns[0]; t++) {
			for (uint32_t i = 0; i < N_SAMPLES; i++) {
				record_init(&r[i], e);
				struct engine_request q = request_for(&r[i]);
				q.tokens = ids;
				q.n_tokens = N_PROMPT;
				q.no_cache = turns[t].no_cache;
				q.group = turns[t].group;
				assert_int_equal(engine_submit(e, &q, &r[i].id, NULL), HOKKU_OK);
			}
			for (uint32_t i = 0; i < N_SAMPLES; i++) {
				wait_end(&r[i]);
				assert_int_equal(r[i].result.tokens_out, 2);
				record_free(&r[i]);
			}
			wait_idle(e);
			struct sched_counters now = state_of(e).counters;
			assert_int_equal(now.prompt_tokens_computed - before.prompt_tokens_computed,
					 turns[t].computed);
			assert_int_equal(now.cache_hits - before.cache_hits, turns[t].hits);
			assert_int_equal(now.cache_queries - before.cache_queries, turns[t].queries);
			assert_int_equal(now.cache_evictions + now.preempted, 0);
			before = now;
		}
		engine_destroy(e, 0);
	}
}

/* Steps that a prompt of 800 tokens takes beside an answer, where one of n tokens takes 1 + n / 4 ms. */
static unsigned count_prompt_steps(uint32_t itl_ms)
{
	static int32_t ids[800];
	struct record r[2];
	unsigned n = 0;
	fake_reset(NULL, 0);
	fake.step_us = 1000;
	fake.token_us = 250;
	atomic_store(&fake.gate_closed, true);
	struct engine *e = start_parallel((struct engine_config){.n_parallel = 2, .itl_ms = itl_ms});
	record_init(&r[0], e);
	record_init(&r[1], e);
	struct engine_request q = request_for(&r[0]);
	q.tokens = ids;
	q.n_tokens = 800;
	assert_int_equal(engine_submit(e, &q, &r[0].id, NULL), HOKKU_OK);
	submit(e, &r[1], 0);
	atomic_store(&fake.gate_closed, false);
	wait_tokens(&r[0], 1);
	engine_destroy(e, 0);
	while (n < FAKE_MAX_STEPS && fake.steps[n].pos + fake.steps[n].n_tokens < 800)
		n++;
	record_free(&r[0]);
	record_free(&r[1]);
	return n + 1;
}

/* The time that others may wait for their next token while a prompt comes in is a setting; 0 is the usual. */
static void test_itl(void **state)
{
	(void)state;
	unsigned short_ones = count_prompt_steps(5), usual = count_prompt_steps(0),
		 long_ones = count_prompt_steps(ENGINE_MAX_ITL_MS);
	/* 50 and 5, where sleeps take what they should; a crowded machine bends the line, and the order
	 * stays. */
	assert_in_range(short_ones, usual + 1, 110);
	assert_in_range(usual, 3, 15);
	assert_in_range(long_ones, 2, usual);
}

/* A device that is lost with 200 requests in flight: each is told once, and whoever comes later too. */
static void test_lost_with_many(void **state)
{
	(void)state;
	enum { N_MANY = 200 };
	static struct record r[N_MANY];
	struct hokku_error err;
	fake_reset(NULL, 0);
	fake.fail_step = 20;
	fake.fail_code = HOKKU_DEVICE_ERROR;
	fake.step_us = 500;
	atomic_store(&fake.gate_closed, true);
	struct engine *e = start_parallel((struct engine_config){.n_parallel = 64});
	submit_all(e, r, N_MANY, 0);
	wait_running(e, 1);
	atomic_store(&fake.gate_closed, false);
	unsigned n_started = 0;
	for (uint32_t i = 0; i < N_MANY; i++) {
		wait_end(&r[i]);
		assert_int_equal(r[i].code, HOKKU_DEVICE_ERROR);
		assert_string_equal(r[i].error.message, "the fake device failed");
		n_started += r[i].started;
	}
	assert_int_equal(n_started, 64);
	wait_idle(e);
	struct engine_state s = state_of(e);
	assert_int_equal(s.phase, ENGINE_LOST);
	assert_int_equal(s.n_accepted, N_MANY);
	assert_int_equal(s.n_finished, N_MANY);
	assert_int_equal(s.n_failed, N_MANY);
	assert_int_equal(s.n_cancelled, 0);
	struct record late;
	record_init(&late, e);
	struct engine_request q = request_for(&late);
	assert_int_equal(engine_submit(e, &q, &late.id, &err), HOKKU_DEVICE_ERROR);
	engine_destroy(e, 0);
	record_free(&late);
	for (uint32_t i = 0; i < N_MANY; i++)
		record_free(&r[i]);
}

/* A thousand cancels at once, of those that run and those that wait. */
static double cancel_many(void)
{
	enum { N_MANY = 1000 };
	static struct record r[N_MANY];
	fake_reset(NULL, 0);
	fake.step_us = 1000;
	struct engine *e = start_parallel((struct engine_config){.n_parallel = 64, .max_queue = N_MANY});
	submit_all(e, r, N_MANY, 0);
	wait_running(e, 64);
	uint64_t begin = clock_ns();
	for (uint32_t i = 0; i < N_MANY; i++) {
		engine_cancel(e, r[i].id);
		engine_cancel(e, r[i].id);
	}
	double ms = 0;
	for (uint32_t i = 0; i < N_MANY; i++) {
		wait_end(&r[i]);
		assert_int_equal(r[i].code, HOKKU_CANCELLED);
		ms = fmax(ms, ended_ms(&r[i], begin));
	}
	wait_idle(e);
	struct engine_state s = state_of(e);
	assert_int_equal(s.n_finished, N_MANY);
	assert_int_equal(s.n_cancelled, N_MANY);
	assert_int_equal(s.n_failed, 0);
	engine_destroy(e, 0);
	for (uint32_t i = 0; i < N_MANY; i++)
		record_free(&r[i]);
	return ms;
}

static void test_cancel_many(void **state)
{
	(void)state;
	assert_in_time(cancel_many, 1000);
}

/* The same prompt N times at once: they fill the same blocks in the same steps, and from then on share the
 * first one's. A device that waits reads its tables when it computes (the fake looks): they are what they
 * were. */
static void test_alike(void **state)
{
	(void)state;
	struct record r[N];
	fake_reset(NULL, 0);
	fake.n_kv_blocks = 100;
	atomic_store(&fake.gate_closed, true);
	struct engine *e = start_parallel((struct engine_config){.n_parallel = N, .n_ctx = 256});
	submit_all(e, r, N, 200);
	atomic_store(&fake.gate_closed, false);
	for (uint32_t i = 0; i < N; i++) {
		wait_end(&r[i]);
		assert_int_equal(r[i].code, HOKKU_OK);
		assert_int_equal(r[i].n_tokens, 200);
		record_free(&r[i]);
	}
	engine_destroy(e, 0);
}

/* No step is submitted ahead as long as somebody has logprobs told, and they are again when it has ended. */
static void test_logprobs_wait(void **state)
{
	(void)state;
	for (int logprobs = 1; logprobs >= 0; logprobs--) {
		struct record r[2];
		fake_reset(NULL, 0);
		struct engine *e = start_parallel((struct engine_config){.n_parallel = 2});
		for (int turn = 0; turn < 2; turn++) {
			fake_wait_still();
			atomic_store(&fake.most_under_way, 0);
			for (uint32_t i = 0; i < 2; i++) {
				record_init(&r[i], e);
				struct engine_request q = request_for(&r[i]);
				q.max_tokens = 20;
				q.logprobs = logprobs && !turn; /* of all: none is there before they are */
				assert_int_equal(engine_submit(e, &q, &r[i].id, NULL), HOKKU_OK);
			}
			for (uint32_t i = 0; i < 2; i++) {
				wait_end(&r[i]);
				assert_int_equal(r[i].n_tokens, 20);
				record_free(&r[i]);
			}
			wait_idle(e);
			bool waits = !fake.ahead || (logprobs && !turn);
			assert_int_equal(atomic_load(&fake.most_under_way), waits ? 1 : 2);
		}
		engine_destroy(e, 0);
	}
}

struct chain_of_two {
	struct engine *e;
	struct record *r;
	enum hokku_code codes[2];
};

/* As soon as it hears of the end it asks for as much as there are places. */
static void ask_at_the_end(void *user, const struct engine_event *event)
{
	struct chain_of_two *c = user;
	if (event->kind != ENGINE_END)
		return;
	for (uint32_t i = 0; i < 2; i++)
		c->codes[i] =
			engine_submit(c->e,
				      &(struct engine_request){.tokens = prompt,
							       .n_tokens = 3,
							       .max_tokens = 1,
							       .sampling = request_for(&c->r[i]).sampling,
							       .on_event = request_for(&c->r[i]).on_event,
							       .user = &c->r[i]},
				      &c->r[i].id, NULL);
}

/* Whoever hears that a request has ended may have its place. */
static void test_next(void **state)
{
	(void)state;
	struct record r[2];
	fake_reset(NULL, 0);
	struct engine *e = start_parallel((struct engine_config){.n_parallel = 1, .max_queue = 1});
	struct chain_of_two c = {.e = e, .r = r, .codes = {HOKKU_INTERNAL, HOKKU_INTERNAL}};
	record_init(&r[0], e);
	record_init(&r[1], e);
	struct engine_request q = request_for(&r[0]);
	uint64_t id;
	q.max_tokens = 2;
	q.on_event = ask_at_the_end;
	q.user = &c;
	assert_int_equal(engine_submit(e, &q, &id, NULL), HOKKU_OK);
	for (uint32_t i = 0; i < 2; i++) {
		wait_end(&r[i]);
		assert_int_equal(r[i].code, HOKKU_OK);
		record_free(&r[i]);
	}
	assert_int_equal(c.codes[0], HOKKU_OK);
	assert_int_equal(c.codes[1], HOKKU_OK);
	engine_destroy(e, 0);
}

/* Samples that come together: as many as there are places for, or never. */
static void test_together_or_never(void **state)
{
	(void)state;
	struct hokku_error err = {0};
	const struct engine_limits limits[] = {{.max_running = 1, .max_waiting = 0}};
	fake_reset(NULL, 0);
	struct engine *e = start_parallel(
		(struct engine_config){.n_parallel = 2, .max_queue = 3, .owners = limits, .n_owners = 1});
	assert_int_equal(engine_check_samples(e, 0, 5, &err), HOKKU_OK);
	assert_int_equal(engine_check_samples(e, 0, 6, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message, "n is 6; 2 of its samples could run at a time and 3 wait");
	assert_int_equal(engine_check_samples(e, 1, 1, &err), HOKKU_OK);
	assert_int_equal(engine_check_samples(e, 1, 2, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message, "n is 2; 1 of its samples could run at a time and 0 wait");
	struct record r;
	atomic_store(&fake.gate_closed, true);
	record_init(&r, e);
	submit(e, &r, 5);
	wait_running(e, 1);
	assert_int_equal(engine_check_samples(e, 0, 4, &err), HOKKU_OK);
	assert_int_equal(engine_check_samples(e, 0, 5, &err), HOKKU_OVERLOADED);
	atomic_store(&fake.gate_closed, false);
	wait_end(&r);
	record_free(&r);
	engine_destroy(e, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_together_or_never),
		cmocka_unit_test(test_alike),
		cmocka_unit_test(test_logprobs_wait),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_device_lost),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_priority),
		cmocka_unit_test(test_preempted),
		cmocka_unit_test(test_cached),
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_itl),
		cmocka_unit_test(test_lost_with_many),
		cmocka_unit_test(test_cancel_many),
	};
	int failed = cmocka_run_group_tests_name("parallel", tests, NULL, NULL);
	fake_runs_ahead = true;
	return failed + cmocka_run_group_tests_name("parallel, running ahead", tests, NULL, NULL);
}
