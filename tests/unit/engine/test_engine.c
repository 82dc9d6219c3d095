/* The engine over a scripted model (fake.h): events, ends, queue, cancelling, stopping. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "record.h"

static void test_events(void **state)
{
	(void)state;
	assert_string_equal(run(SCRIPT(FAKE_A, FAKE_C, FAKE_END), 0, NULL), "start:3 0:3=a 1:6= c end:end");
	assert_string_equal(run(SCRIPT(FAKE_END), 0, NULL), "start:3 end:end");
	/* control tokens have an event but no text */
	assert_string_equal(run(SCRIPT(FAKE_CTL, FAKE_B, FAKE_END), 0, NULL), "start:3 0:1= 1:4=b end:end");
	/* max_tokens, the end token not counted */
	assert_string_equal(run(SCRIPT(FAKE_A, FAKE_B, FAKE_END), 1, NULL), "start:3 0:3=a end:length");
	assert_string_equal(run(SCRIPT(FAKE_A, FAKE_B, FAKE_END), 2, NULL), "start:3 0:3=a 1:4=b end:length");
	assert_string_equal(run(SCRIPT(FAKE_A, FAKE_B, FAKE_END), 3, NULL), "start:3 0:3=a 1:4=b end:end");
}

static void test_text(void **state)
{
	(void)state;
	/* a character over three tokens comes with the third */
	assert_string_equal(run(SCRIPT(FAKE_E3, FAKE_81, FAKE_82, FAKE_END), 0, NULL),
			    "start:3 0:7= 1:8= 2:9=\xE3\x81\x82 end:end");
	assert_string_equal(run(SCRIPT(FAKE_FF, FAKE_A, FAKE_END), 0, NULL),
			    "start:3 0:10=\xEF\xBF\xBD 1:3=a end:end");
	/* half a character at the end: U+FFFD, with the end token's id, or with the last token */
	assert_string_equal(run(SCRIPT(FAKE_A, FAKE_E3, FAKE_81, FAKE_END), 0, NULL),
			    "start:3 0:3=a 1:7= 2:8= 3:0=\xEF\xBF\xBD end:end");
	assert_string_equal(run(SCRIPT(FAKE_A, FAKE_E3, FAKE_81, FAKE_END), 3, NULL),
			    "start:3 0:3=a 1:7= 2:8=\xEF\xBF\xBD end:length");
}

static void test_stop_texts(void **state)
{
	(void)state;
	assert_string_equal(run(SCRIPT(FAKE_A, FAKE_STOP, FAKE_B), 0, "STOP"),
			    "start:3 0:3=a 1:11= end:stop");
	assert_string_equal(run(SCRIPT(FAKE_A, FAKE_S, FAKE_T, FAKE_OP), 0, "STOP"),
			    "start:3 0:3=a 1:12= 2:13= 3:14= end:stop");
	/* a beginning that comes to nothing is shown as soon as that is known */
	assert_string_equal(run(SCRIPT(FAKE_S, FAKE_T, FAKE_A, FAKE_END), 0, "STOP"),
			    "start:3 0:12= 1:13= 2:3=STa end:end");
	/* or at the end */
	assert_string_equal(run(SCRIPT(FAKE_A, FAKE_S, FAKE_T, FAKE_END), 0, "STOP"),
			    "start:3 0:3=a 1:12= 2:13= 3:0=ST end:end");
	assert_string_equal(run(SCRIPT(FAKE_A, FAKE_S, FAKE_T, FAKE_END), 3, "STOP"),
			    "start:3 0:3=a 1:12= 2:13=ST end:length");
	assert_string_equal(run(SCRIPT(FAKE_A, FAKE_A, FAKE_AB), 0, "aab"),
			    "start:3 0:3= 1:3= 2:5=a end:stop");
	assert_string_equal(run(SCRIPT(FAKE_HELLO, FAKE_B), 0, "o w"), "start:3 0:15=hell end:stop");
	/* inside a character's bytes there is no text yet */
	assert_string_equal(run(SCRIPT(FAKE_A, FAKE_E3, FAKE_81, FAKE_82, FAKE_B), 0, "\xE3\x81\x82"),
			    "start:3 0:3=a 1:7= 2:8= 3:9= end:stop");
	/* the stop text wins over max_tokens reached with the same token */
	assert_string_equal(run(SCRIPT(FAKE_A, FAKE_STOP, FAKE_B), 2, "STOP"),
			    "start:3 0:3=a 1:11= end:stop");
	/* U+FFFD that only the end brings forth */
	assert_string_equal(run(SCRIPT(FAKE_A, FAKE_E3, FAKE_END), 0, "\xEF\xBF\xBD"),
			    "start:3 0:3=a 1:7= end:stop");
}

static void test_context(void **state)
{
	(void)state;
	static const int32_t ids[65] = {0};
	struct hokku_error err;
	for (uint32_t n = 62; n <= 65; n++) {
		struct record r;
		fake_reset(NULL, 0);
		struct engine *e = start_with((struct engine_config){.n_ctx = 64});
		assert_int_equal(engine_wait_ready(e, &err), HOKKU_OK);
		record_init(&r, e);
		struct engine_request q = request_for(&r);
		q.tokens = ids;
		q.n_tokens = n;
		q.max_tokens = 1000;
		enum hokku_code rc = engine_submit(e, &q, &r.id, &err);
		if (n == 65) {
			assert_int_equal(rc, HOKKU_CONTEXT_EXCEEDED);
			assert_string_equal(err.message, "the prompt has 65 tokens, the context holds 64");
		} else {
			assert_int_equal(rc, HOKKU_OK);
			wait_end(&r);
			assert_int_equal(r.result.stop, HOKKU_STOP_CONTEXT);
			assert_int_equal(r.result.tokens_out, 64 - n + 1);
			unsigned last = atomic_load(&fake.n_steps) - 1;
			assert_true(fake.steps[last].pos + fake.steps[last].n_tokens <= 64);
		}
		engine_destroy(e, 0);
		record_free(&r);
	}
	struct engine *e = start_with((struct engine_config){.n_ctx = 4097});
	assert_int_equal(engine_wait_ready(e, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message,
			    "a context of 4,097 was asked for; the model was trained for 4,096 at most");
	engine_destroy(e, 0);
	fake.n_ctx_train = 1000000; /* the default stays below */
	struct engine_state s;
	e = start();
	engine_get_state(e, &s);
	assert_int_equal(s.info.n_ctx, ENGINE_DEFAULT_MAX_CTX);
	static int32_t many[40000];
	struct record r;
	record_init(&r, e);
	struct engine_request q = request_for(&r);
	q.tokens = many;
	q.n_tokens = 40000;
	assert_int_equal(engine_submit(e, &q, &r.id, &err), HOKKU_CONTEXT_EXCEEDED);
	assert_string_equal(err.message, "the prompt has 40,000 tokens, the context holds 32,768");
	engine_destroy(e, 0);
	record_free(&r);
}

static void expect_refused(struct engine *e, const struct engine_request *q, enum hokku_code code,
			   const char *message)
{
	struct hokku_error err;
	uint64_t id;
	assert_int_equal(engine_submit(e, q, &id, &err), code);
	assert_string_equal(err.message, message);
}

static void test_refused(void **state)
{
	(void)state;
	struct record r;
	fake_reset(NULL, 0);
	struct engine *e = start();
	record_init(&r, e);
	struct engine_request q = request_for(&r);
	q.tokens = (int32_t[]){0, FAKE_N_VOCAB};
	q.n_tokens = 2;
	expect_refused(e, &q, HOKKU_INVALID_REQUEST,
		       "token 1 of the prompt is 16; the vocabulary has 0 to 15");
	q.tokens = (int32_t[]){-1};
	q.n_tokens = 1;
	expect_refused(e, &q, HOKKU_INVALID_REQUEST,
		       "token 0 of the prompt is -1; the vocabulary has 0 to 15");
	q.n_tokens = 0;
	expect_refused(e, &q, HOKKU_INVALID_REQUEST,
		       "the prompt is empty, and the model has no token that begins a text");
	q = request_for(&r);
	q.sampling.temperature = -1;
	expect_refused(e, &q, HOKKU_INVALID_REQUEST, "temperature is -1; it must be from 0 to 100");
	q = request_for(&r);
	q.stop = &STR_LIT("");
	q.n_stop = 1;
	expect_refused(e, &q, HOKKU_INVALID_REQUEST, "stop text 0 is empty");
	engine_destroy(e, 0);
	/* with a BOS token an empty prompt is that token */
	fake_reset(SCRIPT(FAKE_B, FAKE_END));
	fake.has_bos = true;
	e = start();
	q = request_for(&r);
	q.n_tokens = 0;
	assert_int_equal(engine_submit(e, &q, &r.id, NULL), HOKKU_OK);
	wait_end(&r);
	assert_string_equal(r.log.ptr, "start:1 0:4=b end:end");
	engine_destroy(e, 0);
	record_free(&r);
}

static void test_queue(void **state)
{
	(void)state;
	enum { N = 4 };
	struct record r[N + 1];
	struct engine_state s;
	unsigned turn = 0;
	fake_reset(SCRIPT(FAKE_A, FAKE_END));
	atomic_store(&fake.gate_closed, true);
	struct engine *e = start_with((struct engine_config){.max_queue = N - 1});
	assert_int_equal(engine_wait_ready(e, NULL), HOKKU_OK);
	for (int i = 0; i < N; i++) { /* one runs, three wait */
		record_init(&r[i], e);
		r[i].turn = &turn;
		submit(e, &r[i], 0);
		do
			engine_get_state(e, &s);
		while (s.n_running == 0);
	}
	record_init(&r[N], e);
	struct engine_request q = request_for(&r[N]);
	expect_refused(e, &q, HOKKU_OVERLOADED,
		       "4 requests are there, as many as may run or wait; try again later");
	engine_get_state(e, &s);
	assert_int_equal(s.n_queued, N - 1);
	assert_int_equal(s.phase, ENGINE_READY);
	atomic_store(&fake.gate_closed, false);
	for (int i = 0; i < N; i++) {
		wait_end(&r[i]);
		assert_int_equal(r[i].my_turn, i + 1); /* in the order they came */
		assert_string_equal(r[i].log.ptr, "start:3 0:3=a end:end");
	}
	submit(e, &r[N], 0); /* there is room again */
	wait_end(&r[N]);
	engine_destroy(e, 1000);
	for (int i = 0; i <= N; i++)
		record_free(&r[i]);
}

/* Cancels r->id, which ends with CANCELLED; returns the milliseconds until then. */
static double cancel(struct engine *e, struct record *r)
{
	uint64_t begin = clock_ns();
	engine_cancel(e, r->id);
	wait_end(r);
	assert_int_equal(r->code, HOKKU_CANCELLED);
	double ms = ended_ms(r, begin);
	engine_cancel(e, r->id); /* idempotent */
	engine_cancel(e, 123456);
	return ms;
}

static double cancel_decode_and_queued(void)
{
	struct record a, b, c;
	struct engine_state s;
	fake_reset(NULL, 0);
	fake.step_us = 5000;
	struct engine *e = start();
	record_init(&a, e);
	record_init(&b, e);
	record_init(&c, e);
	submit(e, &a, 0);
	submit(e, &b, 0);
	submit(e, &c, 2);
	wait_tokens(&a, 2);
	double ms = cancel(e, &b); /* while it waits; the running one goes on */
	assert_false(b.started);
	unsigned before = count_tokens(&a);
	wait_tokens(&a, before + 2);
	assert_true(count_tokens(&a) >= before + 2);
	double running_ms = cancel(e, &a);
	wait_end(&c); /* whoever waits behind comes next */
	assert_string_equal(c.log.ptr, "start:3 0:3=a 1:3=a end:length");
	do
		engine_get_state(e, &s);
	while (s.n_finished < 3);
	assert_int_equal(s.n_queued, 0);
	assert_int_equal(s.n_tokens_in, 6);
	engine_destroy(e, 0);
	record_free(&a);
	record_free(&b);
	record_free(&c);
	return ms > running_ms ? ms : running_ms;
}

static void test_cancel_decode_and_queued(void **state)
{
	(void)state;
	assert_in_time(cancel_decode_and_queued, 100);
}

static double cancel_prefill(void)
{
	static int32_t ids[4000];
	struct record r;
	fake_reset(NULL, 0);
	fake.token_us = 1000; /* four seconds of prompt */
	struct engine *e = start();
	record_init(&r, e);
	struct engine_request q = request_for(&r);
	q.tokens = ids;
	q.n_tokens = 4000;
	assert_int_equal(engine_submit(e, &q, &r.id, NULL), HOKKU_OK);
	wait_running(e, 1);
	fake_sleep_us(100000);
	double ms = cancel(e, &r);
	assert_true(r.started);
	assert_int_equal(r.n_tokens, 0);
	engine_destroy(e, 0);
	record_free(&r);
	return ms;
}

static void test_cancel_prefill(void **state)
{
	(void)state;
	assert_in_time(cancel_prefill, 100);
}

static void test_cancel_from_callback(void **state)
{
	(void)state;
	struct record r;
	fake_reset(NULL, 0);
	struct engine *e = start();
	record_init(&r, e);
	r.cancel_at = 3;
	submit(e, &r, 0);
	wait_end(&r);
	assert_string_equal(r.log.ptr, "start:3 0:3=a 1:3=a 2:3=a error:CANCELLED");
	engine_destroy(e, 0);
	record_free(&r);
}

/* The prompt goes in by whole steps in order; only the last draws. Returns the tokens of the longest. */
static double longest_step(uint32_t n_tokens, unsigned token_us)
{
	static int32_t ids[3000];
	struct record r;
	uint32_t pos = 0, longest = 0;
	fake_reset(SCRIPT(FAKE_END));
	fake.token_us = token_us;
	struct engine *e = start();
	record_init(&r, e);
	struct engine_request q = request_for(&r);
	q.tokens = ids;
	q.n_tokens = n_tokens;
	assert_int_equal(engine_submit(e, &q, &r.id, NULL), HOKKU_OK);
	wait_end(&r);
	for (unsigned i = 0; i < atomic_load(&fake.n_steps); i++) {
		assert_int_equal(fake.steps[i].pos, pos);
		pos += fake.steps[i].n_tokens;
		longest = fake.steps[i].n_tokens > longest ? fake.steps[i].n_tokens : longest;
		assert_int_equal(fake.steps[i].drew, pos == q.n_tokens);
	}
	assert_int_equal(pos, q.n_tokens);
	engine_destroy(e, 0);
	record_free(&r);
	return longest;
}

/* 75 ms of 0.5 ms each are 150 tokens; without a pace it would be 512. What a machine that stands still does
 * to the line through the steps' times is no fault of it, so that it is tried more than once. */
static double longest_of_slow(void)
{
	double longest = longest_step(600, 500);
	assert_true(longest >= 16);
	return longest;
}

static void test_chunks(void **state)
{
	(void)state;
	assert_in_time(longest_of_slow, 226);
	assert_true(longest_step(3000, 0) == 512); /* where the device is quick */
}

/* While a step is under way, for as long as it may be. */
static void test_state_never_waits(void **state)
{
	(void)state;
	struct record r;
	struct engine_state s;
	fake_reset(SCRIPT(FAKE_END));
	struct engine *e = start();
	record_init(&r, e);
	atomic_store(&fake.gate_closed, true);
	submit(e, &r, 0);
	wait_running(e, 1);
	for (int i = 0; i < 20; i++) {
		engine_get_state(e, &s); /* a call that waited for the step would never return */
		fake_sleep_us(5000);
	}
	assert_int_equal(s.n_running, 1);
	assert_int_equal(s.info.weight_bytes, 1);
	assert_string_equal(s.info.device, "fake device");
	atomic_store(&fake.gate_closed, false);
	wait_end(&r);
	engine_destroy(e, 0);
	record_free(&r);
}

static double drain(void)
{
	struct record a, b;
	double ms = 0;
	for (unsigned patient = 0; patient < 2; patient++) {
		fake_reset(SCRIPT(FAKE_A, FAKE_B, FAKE_END));
		if (!patient)
			fake_reset(NULL, 0); /* without end */
		fake.step_us = 30000;
		struct engine *e = start();
		record_init(&a, e);
		record_init(&b, e);
		submit(e, &a, 0);
		submit(e, &b, 0);
		wait_tokens(&a, 1);
		engine_close_door(e);
		struct engine_request q = request_for(&a);
		expect_refused(e, &q, HOKKU_SHUTTING_DOWN,
			       "the engine is stopping and takes no new requests");
		uint64_t begin = clock_ns();
		engine_destroy(e, patient ? 60000 : 10);
		ms = fmax(ms, clock_ms_since(begin));
		assert_true(a.ended && b.ended);
		assert_int_equal(a.code, patient ? HOKKU_OK : HOKKU_CANCELLED);
		assert_int_equal(b.code, patient ? HOKKU_OK : HOKKU_CANCELLED);
		assert_int_equal(b.started, patient);
		record_free(&a);
		record_free(&b);
	}
	return ms;
}

static void test_drain(void **state)
{
	(void)state;
	assert_in_time(drain, 1000);
}

static atomic_uint n_state_calls;

static void count_states(void *user)
{
	struct engine_state s;
	engine_get_state(*(struct engine **)user, &s);
	atomic_fetch_add(&n_state_calls, 1);
}

static void test_loading(void **state)
{
	(void)state;
	struct record r;
	struct hokku_error err;
	struct engine_state s;
	struct engine *e = NULL;
	fake_reset(SCRIPT(FAKE_A, FAKE_END));
	fake.load_ms = 200;
	atomic_store(&n_state_calls, 0);
	const struct engine_config config = {.model_path = "fake.gguf", .on_state = count_states, .user = &e};
	assert_int_equal(engine_create(&config, &e, &err), HOKKU_OK);
	record_init(&r, e);
	struct engine_request q = request_for(&r);
	uint64_t id;
	assert_int_equal(engine_submit(e, &q, &id, &err), HOKKU_NOT_READY);
	assert_null(engine_tok(e));
	assert_null(engine_chat(e));
	double last = 0;
	do {
		engine_get_state(e, &s);
		assert_true(s.load_part >= last && s.load_part <= 1);
		last = s.load_part;
	} while (s.phase == ENGINE_LOADING);
	assert_int_equal(engine_wait_ready(e, &err), HOKKU_OK);
	assert_true(s.load_part == 1);
	assert_non_null(engine_tok(e));
	assert_non_null(engine_chat(e));
	submit(e, &r, 0);
	wait_end(&r);
	assert_in_range(atomic_load(&n_state_calls), 5, 101);
	engine_destroy(e, 0);
	/* a model that goes away while it is being loaded */
	e = start_with((struct engine_config){0});
	engine_destroy(e, 5000);
	record_free(&r);
}

static void test_load_failure(void **state)
{
	(void)state;
	struct record r;
	struct hokku_error err;
	struct engine_state s;
	fake_reset(NULL, 0);
	fake.load_code = HOKKU_INSUFFICIENT_VRAM;
	struct engine *e = start_with((struct engine_config){0});
	assert_int_equal(engine_wait_ready(e, &err), HOKKU_INSUFFICIENT_VRAM);
	assert_string_equal(err.message, "the fake does not want to load");
	engine_get_state(e, &s);
	assert_int_equal(s.phase, ENGINE_FAILED);
	assert_int_equal(s.failure.code, HOKKU_INSUFFICIENT_VRAM);
	record_init(&r, e);
	struct engine_request q = request_for(&r);
	expect_refused(e, &q, HOKKU_INSUFFICIENT_VRAM, "the fake does not want to load");
	assert_null(engine_tok(e));
	engine_destroy(e, 1000);
	e = start_with((struct engine_config){.model_path = "missing.gguf"});
	assert_int_equal(engine_wait_ready(e, &err), HOKKU_NOT_FOUND);
	engine_destroy(e, 0);
	record_free(&r);
}

static void test_step_errors(void **state)
{
	(void)state;
	struct record r[3];
	struct engine_state s;
	/* a token that cannot be drawn ends its request alone */
	fake_reset(SCRIPT(FAKE_A, -1));
	struct engine *e = start();
	record_init(&r[0], e);
	submit(e, &r[0], 0);
	wait_end(&r[0]);
	assert_string_equal(r[0].log.ptr, "start:3 0:3=a error:INTERNAL");
	assert_string_equal(r[0].error.message,
			    "no token can be drawn at position 4: every logit is NaN, minus infinity "
			    "or masked");
	record_free(&r[0]);
	record_init(&r[0], e);
	submit(e, &r[0], 1);
	wait_end(&r[0]);
	assert_int_equal(r[0].code, HOKKU_OK);
	record_free(&r[0]);
	engine_destroy(e, 0);
	/* so does an error that is not the device's; the device's ends all, and nothing hangs */
	for (unsigned device = 0; device < 2; device++) {
		fake_reset(SCRIPT(FAKE_A, FAKE_A, FAKE_END));
		fake.fail_step = 2;
		fake.fail_code = device ? HOKKU_DEVICE_ERROR : HOKKU_INTERNAL;
		atomic_store(&fake.gate_closed, true);
		e = start();
		for (int i = 0; i < 3; i++) {
			record_init(&r[i], e);
			submit(e, &r[i], 0);
		}
		atomic_store(&fake.gate_closed, false);
		for (int i = 0; i < 3; i++) {
			wait_end(&r[i]);
			assert_int_equal(r[i].code, device ? HOKKU_DEVICE_ERROR
						    : i    ? HOKKU_OK
							   : HOKKU_INTERNAL);
		}
		engine_get_state(e, &s);
		assert_int_equal(s.phase, device ? ENGINE_LOST : ENGINE_READY);
		struct engine_request q = request_for(&r[0]);
		if (device)
			expect_refused(e, &q, HOKKU_DEVICE_ERROR, "the fake device failed");
		engine_destroy(e, 1000);
		for (int i = 0; i < 3; i++)
			record_free(&r[i]);
	}
}

static void wait_checks(unsigned n)
{
	for (int i = 0; i < 20000 && atomic_load(&fake.n_checks) < n; i++)
		fake_sleep_us(1000);
	assert_true(atomic_load(&fake.n_checks) >= n);
}

/* The device's memory is checked while the engine is idle and while it answers; once that fails, nothing runs
 * any more and everybody is told why. */
static void test_checks(void **state)
{
	(void)state;
	for (unsigned busy = 0; busy < 2; busy++) {
		struct record r[2];
		struct engine_state s;
		fake_reset(NULL, 0);
		struct engine *e = start_with((struct engine_config){.check_ms = 20});
		record_init(&r[0], e);
		record_init(&r[1], e);
		wait_checks(2);
		engine_get_state(e, &s);
		assert_true(s.phase == ENGINE_READY && s.checked_s < 10);
		if (busy) {
			fake.step_us = 1000;
			submit(e, &r[0], 0);
			submit(e, &r[1], 0);
			wait_checks(atomic_load(&fake.n_checks) + 3);
		}
		atomic_store(&fake.check_fails, true);
		for (unsigned i = 0; busy && i < 2; i++) {
			wait_end(&r[i]);
			assert_int_equal(r[i].code, HOKKU_DEVICE_ERROR);
			assert_string_equal(r[i].error.message, "the fake's memory is gone");
		}
		do {
			fake_sleep_us(1000);
			engine_get_state(e, &s);
		} while (s.phase == ENGINE_READY);
		assert_int_equal(s.phase, ENGINE_LOST);
		assert_string_equal(s.failure.message, "the fake's memory is gone");
		assert_string_equal(s.info.name, "fake");
		struct engine_request q = request_for(&r[0]);
		expect_refused(e, &q, HOKKU_DEVICE_ERROR, "the fake's memory is gone");
		assert_true(engine_stop(e, 10000));
		engine_destroy(e, 1000);
		record_free(&r[0]);
		record_free(&r[1]);
	}
}

/* A step that does not come back keeps nobody waiting longer than was said. */
static void test_hung_device(void **state)
{
	(void)state;
	struct record r;
	fake_reset(NULL, 0);
	struct engine *e = start();
	record_init(&r, e);
	atomic_store(&fake.gate_closed, true);
	submit(e, &r, 0);
	while (!atomic_load(&fake_n_flights))
		fake_sleep_us(200);
	assert_false(engine_stop(e, 50));
	struct engine_request q = request_for(&r);
	expect_refused(e, &q, HOKKU_SHUTTING_DOWN, "the engine is stopping and takes no new requests");
	atomic_store(&fake.gate_closed, false);
	wait_end(&r);
	assert_int_equal(r.code, HOKKU_CANCELLED);
	assert_true(engine_stop(e, 10000));
	engine_destroy(e, 0);
	record_free(&r);
}

/* Many threads submit, cancel and look at once; every request ends exactly once. */
static void *hammer(void *arg)
{
	struct engine *e = arg;
	for (unsigned i = 0; i < 40; i++) {
		struct record r;
		struct engine_state s;
		record_init(&r, e);
		struct engine_request q = request_for(&r);
		q.max_tokens = 1 + i % 7;
		enum hokku_code rc = engine_submit(e, &q, &r.id, NULL);
		engine_get_state(e, &s);
		if (rc) {
			assert_int_equal(rc, HOKKU_OVERLOADED);
		} else {
			if (i % 3 == 0)
				engine_cancel(e, r.id);
			wait_end(&r);
			assert_true(r.code == HOKKU_OK || r.code == HOKKU_CANCELLED);
			if (!r.code)
				assert_int_equal(r.result.tokens_out, q.max_tokens);
		}
		record_free(&r);
	}
	return NULL;
}

static void test_many_threads(void **state)
{
	(void)state;
	pthread_t threads[6];
	fake_reset(NULL, 0);
	struct engine *e = start_with((struct engine_config){.max_queue = 3});
	assert_int_equal(engine_wait_ready(e, NULL), HOKKU_OK);
	for (int i = 0; i < 6; i++)
		pthread_create(&threads[i], NULL, hammer, e);
	for (int i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	engine_destroy(e, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_stop_texts),
		cmocka_unit_test(test_context),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_cancel_decode_and_queued),
		cmocka_unit_test(test_cancel_prefill),
		cmocka_unit_test(test_cancel_from_callback),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_state_never_waits),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_loading),
		cmocka_unit_test(test_load_failure),
		cmocka_unit_test(test_step_errors),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_hung_device),
		cmocka_unit_test(test_many_threads),
	};
	int failed = cmocka_run_group_tests_name("engine", tests, NULL, NULL);
	fake_runs_ahead = true;
	return failed + cmocka_run_group_tests_name("engine, running ahead", tests, NULL, NULL);
}
