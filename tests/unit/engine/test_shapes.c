/* Answers of a given shape through the engine, over the scripted model of fake.h: what is drawn is of the
 * shape whatever the model wants, the same alone and among others, with and without tokens taken ahead, and
 * nobody else waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <semaphore.h>

#include "engine/queue.h"
#include "record.h"

enum { N = 6 };

static struct engine *start_many(struct engine_config config)
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

static struct constrain *choices(struct engine *e, const char *json)
{
	struct hokku_error err = {0};
	struct constrain *c;
	const struct constrain_shape shape = {.kind = CONSTRAIN_CHOICE, .text = str_c(json)};
	if (engine_make_shape(e, &shape, &c, NULL, &err))
		fail_msg("%s", err.message);
	return c;
}

static void submit_shaped(struct engine *e, struct record *r, struct constrain *shape,
			  const struct engine_request *more)
{
	struct hokku_error err = {0};
	struct engine_request q = more ? *more : (struct engine_request){0};
	struct engine_request base = request_for(r);
	q.tokens = q.tokens ? q.tokens : base.tokens;
	q.n_tokens = q.n_tokens ? q.n_tokens : base.n_tokens;
	q.sampling = base.sampling;
	q.on_event = base.on_event;
	q.user = r;
	q.shape = shape;
	if (engine_submit(e, &q, &r->id, &err))
		fail_msg("%s", err.message);
}

/* One answer; its log in out. Returns how many steps the device took. */
static unsigned answer(struct engine_config config, const char *json, const struct engine_request *more,
		       char out[256])
{
	struct record r;
	struct engine *e = start_many(config);
	struct constrain *c = choices(e, json);
	record_init(&r, e);
	submit_shaped(e, &r, c, more);
	constrain_unref(c);
	wait_end(&r);
	snprintf(out, 256, "%s", r.log.ptr);
	engine_destroy(e, 0);
	record_free(&r);
	return atomic_load(&fake.n_steps);
}

/* The model would like something else all the time. */
static void test_choice(void **state)
{
	(void)state;
	char log[256];
	fake_reset(SCRIPT(FAKE_HELLO, FAKE_T, FAKE_T, FAKE_T, FAKE_T));
	answer((struct engine_config){0}, "[\"abT\"]", NULL, log);
	assert_string_equal(log, "start:3 0:5=ab 1:13=T end:end");
	fake_reset(SCRIPT(FAKE_S, FAKE_T, FAKE_T));
	answer((struct engine_config){0}, "[\"a\", \"ST\"]", NULL, log);
	assert_string_equal(log, "start:3 0:12=S 1:13=T end:end");
	/* It may stop where a choice ends, and go on where another does. */
	fake_reset(SCRIPT(FAKE_A, FAKE_END));
	answer((struct engine_config){0}, "[\"ab\", \"a\"]", NULL, log);
	assert_string_equal(log, "start:3 0:3=a end:end");
	fake_reset(SCRIPT(FAKE_A, FAKE_B));
	answer((struct engine_config){0}, "[\"ab\", \"a\"]", NULL, log);
	assert_string_equal(log, "start:3 0:3=a 1:4=b end:end");
	assert_true(atomic_load(&fake.n_masked) > 0);
}

/* Tokens that must come are taken without steps of their own, and are the ones that would be drawn. */
static void test_jumps(void **state)
{
	(void)state;
	static const char *const shapes[] = {
		"[\"abTTTTTTT\", \"SSab\"]", "[\"aSTST\", \"bTbTbTbT\"]", "[\"STSTSTSTST\"]",
		"[\"a\", \"ab\", \"abT\", \"abT\xE3\x81\x82TTT\"]", "[\"SabSabSabSababT\", \"b\"]"};
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
		for (int32_t first = FAKE_A; first < FAKE_N_VOCAB; first += 4)
			for (uint32_t most = 0; most < 4; most++) {
				char with[256], without[256];
				const struct engine_request more = {.max_tokens = most * most};
				fake_reset(SCRIPT(first, FAKE_B, FAKE_HELLO));
				unsigned n_with = answer((struct engine_config){0}, shapes[i], &more, with);
				fake_reset(SCRIPT(first, FAKE_B, FAKE_HELLO));
				unsigned n = answer((struct engine_config){.no_jump_ahead = true}, shapes[i],
						    &more, without);
				assert_string_equal(with, without);
				assert_true(n_with <= n + 1); /* the prompt's last token may wait */
				if (i == 2 && most == 0)
					assert_true(n_with < n);
			}
}

/* The end of an answer among tokens that must come: by length, by a stop text. */
static void test_ends(void **state)
{
	(void)state;
	char log[256];
	const struct str stop = str_c("TTS");
	fake_reset(SCRIPT(FAKE_A));
	answer((struct engine_config){0}, "[\"abTbTbT\"]", &(struct engine_request){.max_tokens = 3}, log);
	assert_string_equal(log, "start:3 0:5=ab 1:13=T 2:4=b end:length");
	fake_reset(SCRIPT(FAKE_A));
	answer((struct engine_config){0}, "[\"aSTTSTT\"]",
	       &(struct engine_request){.stop = &stop, .n_stop = 1}, log);
	assert_string_equal(log, "start:3 0:3=a 1:12=S 2:13= 3:13= 4:12= end:stop");
	/* The context ends it. */
	fake_reset(SCRIPT(FAKE_A));
	answer((struct engine_config){.n_ctx = 5}, "[\"abTbTbT\"]", NULL, log);
	assert_string_equal(log, "start:3 0:5=ab 1:13=T 2:4=b end:context");
}

/* Many at once, some free: each answer is its lone one, also where KV blocks run out and sequences give
 * theirs back. */
static void test_together(void **state)
{
	(void)state;
	static const char *const shapes[] = {
		"[\"abTTTTTTT\", \"SSab\"]", "[\"aST\", \"bTbTbTbT\"]",
		"[\"abTabTabTabTabTabTabTabTabTabTabTabTabTabTabTabTabTabTabTabTabTabTabTabT\","
		"\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]"};
	for (uint32_t few = 0; few < 2; few++) {
		char lone[N][4096];
		for (uint32_t pass = 0; pass < 2; pass++) { /* one by one, then together */
			struct record r[N];
			struct constrain *c[3];
			fake_reset(SCRIPT(FAKE_B, FAKE_A, FAKE_S, FAKE_AB));
			fake.n_kv_blocks = few ? 4 : 0;
			struct engine *e = start_many(
				(struct engine_config){.n_parallel = pass ? N : 1, .n_ctx = few ? 128 : 0});
			for (uint32_t i = 0; i < 3; i++)
				c[i] = choices(e, shapes[i]);
			atomic_store(&fake.gate_closed, pass);
			for (uint32_t i = 0; i < N; i++) {
				record_init(&r[i], e);
				submit_shaped(e, &r[i], i < 4 ? c[i % 3] : NULL,
					      &(struct engine_request){.max_tokens = 100});
				if (pass == 0)
					wait_end(&r[i]);
			}
			atomic_store(&fake.gate_closed, false);
			for (uint32_t i = 0; i < N; i++) {
				wait_end(&r[i]);
				if (pass == 0)
					snprintf(lone[i], sizeof lone[i], "%s", r[i].log.ptr);
				else
					assert_string_equal(r[i].log.ptr, lone[i]);
				record_free(&r[i]);
			}
			fake_wait_still(); /* counters are told between turns */
			assert_int_equal(state_of(e).shapes.shape_requests, 4);
			assert_int_equal(state_of(e).shapes.shapes_compiled, 3);
			assert_true(state_of(e).shapes.tokens_forced > 0);
			assert_int_equal(state_of(e).counters.preempted > 0, few && pass);
			for (uint32_t i = 0; i < 3; i++)
				constrain_unref(c[i]);
			engine_destroy(e, 0);
		}
	}
}

/* Where a mask takes long, others go on; whoever waits for it can be cancelled, and the engine can end. */
static void test_slow(void **state)
{
	(void)state;
	struct record slow, quick;
	fake_reset(SCRIPT(FAKE_A));
	struct engine *e = start_many((struct engine_config){.n_parallel = 2});
	struct constrain *c = choices(e, "[\"abTTTT\"]");
	record_init(&slow, e);
	record_init(&quick, e);
	fake.encode_us = 300000;
	struct constrain *other = choices(e, "[\"abT\"]");
	submit_shaped(e, &slow, other, NULL);
	constrain_unref(other);
	submit_shaped(e, &quick, NULL, &(struct engine_request){.max_tokens = 200});
	wait_end(&quick);
	assert_int_equal(count_tokens(&slow), 0);
	engine_cancel(e, slow.id);
	wait_end(&slow);
	assert_int_equal(slow.code, HOKKU_CANCELLED);
	record_free(&slow);
	record_init(&slow, e);
	submit_shaped(e, &slow, c, NULL);
	constrain_unref(c);
	record_free(&quick);
	engine_destroy(e, 0); /* while its mask is made */
	assert_int_equal(slow.code, HOKKU_CANCELLED);
	record_free(&slow);
}

/* With logprobs each token is drawn. */
static void test_logprobs(void **state)
{
	(void)state;
	char plain[256], told[256];
	fake_reset(SCRIPT(FAKE_A, FAKE_B));
	unsigned n = answer((struct engine_config){0}, "[\"abTTT\"]", NULL, plain);
	fake_reset(SCRIPT(FAKE_A, FAKE_B));
	unsigned n_told = answer((struct engine_config){0}, "[\"abTTT\"]",
				 &(struct engine_request){.logprobs = true, .n_top = 2}, told);
	assert_string_equal(plain, told);
	assert_true(n_told > n);
}

/* An answer that goes on does so in its shape, or is refused. */
static void test_answered(void **state)
{
	(void)state;
	char log[256];
	static const int32_t begun[] = {FAKE_HELLO, FAKE_HELLO, FAKE_AB};
	fake_reset(SCRIPT(FAKE_HELLO));
	answer((struct engine_config){0}, "[\"abT\"]",
	       &(struct engine_request){.tokens = begun, .n_tokens = 3, .n_answered = 1}, log);
	assert_string_equal(log, "start:3 0:13=T end:end");
	fake_reset(SCRIPT(FAKE_HELLO));
	struct hokku_error err;
	struct record r;
	struct engine *e = start_many((struct engine_config){0});
	struct constrain *c = choices(e, "[\"abT\"]");
	record_init(&r, e);
	struct engine_request q = request_for(&r);
	q.tokens = begun;
	q.n_answered = 3;
	q.shape = c;
	assert_int_equal(engine_submit(e, &q, &r.id, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message, "the answer that is to go on does not fit its shape: token 0 of it, "
					 "15, is none that may come there");
	assert_int_equal(state_of(e).shapes.shape_requests, 0);
	record_free(&r);
	constrain_unref(c);
	engine_destroy(e, 0);
}

/* Compiled once; what cannot be is refused and counted. */
static void test_compile(void **state)
{
	(void)state;
	struct hokku_error err;
	struct constrain_fault fault;
	struct constrain *c, *again, *other;
	fake_reset(NULL, 0);
	fake.load_ms = 50;
	struct engine *e = start_with((struct engine_config){0});
	const struct constrain_shape good = {.kind = CONSTRAIN_CHOICE, .text = STR_LIT("[\"a\"]")},
				     empty = {.kind = CONSTRAIN_CHOICE, .text = STR_LIT("[]")};
	assert_int_equal(engine_make_shape(e, &good, &c, NULL, &err), HOKKU_NOT_READY);
	assert_int_equal(engine_wait_ready(e, &err), HOKKU_OK);
	assert_int_equal(engine_make_shape(e, &good, &c, NULL, &err), HOKKU_OK);
	assert_int_equal(engine_make_shape(e, &good, &again, NULL, &err), HOKKU_OK);
	other = choices(e, "[\"b\"]");
	assert_ptr_equal(c, again);
	assert_ptr_not_equal(c, other);
	constrain_unref(again);
	constrain_unref(other);
	assert_int_equal(engine_make_shape(e, &empty, &again, &fault, &err), HOKKU_INVALID_REQUEST);
	char *large = malloc(SHAPES_MAX_TEXT + 1);
	memset(large, 'x', SHAPES_MAX_TEXT + 1);
	struct constrain_shape huge = good;
	huge.text = (struct str){large, SHAPES_MAX_TEXT + 1};
	assert_int_equal(engine_make_shape(e, &huge, &again, &fault, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message, "the shape's text has 8.0 MiB; it may have 8.0 MiB");
	free(large);
	struct engine_state s = state_of(e);
	assert_int_equal(s.shapes.shapes_compiled, 2);
	assert_int_equal(s.shapes.shapes_found, 1);
	assert_int_equal(s.shapes.shapes_refused, 2);
	/* More than are kept: those asked for longest ago are compiled again. */
	for (uint32_t i = 0; i < SHAPES_MAX_KEPT; i++) {
		char text[32];
		snprintf(text, sizeof text, "[\"a%.*s\"]", (int)(i % 20), "bbbbbbbbbbbbbbbbbbbbbb");
		text[2] = (char)(i / 20 % 2 ? 'a' : 'b');
		snprintf(text + strlen(text) - 2, 8, "%c\"]", "abST"[i / 40 % 4]);
		constrain_unref(choices(e, text));
	}
	engine_close_shapes(e);
	assert_int_equal(engine_make_shape(e, &good, &again, NULL, &err), HOKKU_SHUTTING_DOWN);
	constrain_unref(c);
	engine_destroy(e, 0);
}

static void post(struct shape_order *o)
{
	sem_post(o->user);
}

/* One that nobody waits for any more is not compiled. */
static void test_abandoned(void **state)
{
	(void)state;
	sem_t done;
	atomic_bool abandoned = true;
	fake_reset(NULL, 0);
	struct engine *e = start();
	sem_init(&done, 0, 0);
	struct shape_order o = {.shape = {.kind = CONSTRAIN_CHOICE, .text = STR_LIT("[\"a\"]")},
				.abandoned = &abandoned,
				.done = post,
				.user = &done};
	engine_order_shape(e, &o);
	while (sem_wait(&done)) {
	}
	assert_int_equal(o.rc, HOKKU_CANCELLED);
	assert_int_equal(state_of(e).shapes.shapes_compiled, 0);
	abandoned = false;
	engine_order_shape(e, &o);
	while (sem_wait(&done)) {
	}
	assert_int_equal(o.rc, HOKKU_OK);
	constrain_unref(o.made);
	engine_destroy(e, 0);
}

/* One that compiles already is left where nobody waits for it, or the engine stops: left alone, these states
 * would fill 2 GiB. */
static void test_stopped(void **state)
{
	(void)state;
	for (int closing = 0; closing < 2; closing++) {
		sem_t done;
		atomic_bool abandoned = false;
		fake_reset(NULL, 0);
		struct engine *e = start_many((struct engine_config){
			.shape_limits = {.work = UINT64_MAX / 2, .bytes = (size_t)2 << 30}});
		sem_init(&done, 0, 0);
		struct shape_order o = {
			.shape = {.kind = CONSTRAIN_REGEX,
				  .text = STR_LIT("(?=(a|b)*a(a|b){40}$)(?!(a|b|S)*a(a|b){40}$)(a|b)*")},
			.abandoned = &abandoned,
			.done = post,
			.user = &done};
		engine_order_shape(e, &o);
		fake_sleep_us(2000); /* so that it has begun, mostly */
		if (closing)
			engine_close_shapes(e);
		else
			atomic_store(&abandoned, true);
		while (sem_wait(&done)) {
		}
		assert_int_equal(o.rc, closing ? HOKKU_SHUTTING_DOWN : HOKKU_CANCELLED);
		assert_string_equal(o.err.message,
				    closing ? "the engine is stopping" : "the request was cancelled");
		assert_int_equal(state_of(e).shapes.shapes_refused, 0);
		engine_destroy(e, 0);
	}
}

/* One whose shape has used up what it may ends with that reason, and nobody else does. False: with so much
 * work it is not even compiled. */
static bool is_spent(uint64_t mask_work)
{
	struct hokku_error err;
	struct record spent, free_one;
	struct constrain *c;
	const struct constrain_shape shape = {.kind = CONSTRAIN_CHOICE,
					      .text = STR_LIT("[\"abTTTTT\", \"abSSSS\"]")};
	fake_reset(SCRIPT(FAKE_A, FAKE_B));
	struct engine *e =
		start_many((struct engine_config){.n_parallel = 2, .shape_limits = {.mask_work = mask_work}});
	enum hokku_code rc = engine_make_shape(e, &shape, &c, NULL, &err);
	if (!rc) {
		record_init(&spent, e);
		record_init(&free_one, e);
		submit_shaped(e, &spent, c, NULL);
		submit_shaped(e, &free_one, NULL, &(struct engine_request){.max_tokens = 4});
		constrain_unref(c);
		wait_end(&spent);
		wait_end(&free_one);
		assert_int_equal(spent.code, HOKKU_INVALID_REQUEST);
		assert_non_null(strstr(spent.error.message, "has used up the work or memory"));
		assert_string_equal(free_one.log.ptr, "start:3 0:3=a 1:4=b 2:3=a 3:3=a end:length");
		record_free(&spent);
		record_free(&free_one);
	}
	engine_destroy(e, 0);
	return rc == HOKKU_OK;
}

static void test_spent(void **state)
{
	(void)state;
	uint64_t work = 1;
	while (!is_spent(work)) /* with more, it is not spent either */
		work++;
}

/* Keeps a brisk thread busy. */
static struct sleeper {
	struct crew_task task;
	struct crew *crew;
	atomic_bool stop, stopped;
} sleepers[16];

static void run_sleeper(struct crew_task *task)
{
	struct sleeper *s = (struct sleeper *)(void *)task; /* its first member */
	fake_sleep_us(1000);
	if (atomic_load(&s->stop))
		atomic_store(&s->stopped, true);
	else
		crew_submit(s->crew, task, false);
}

/* On a device that runs ahead masks may come while the step is under way. */
static void test_late(void **state)
{
	(void)state;
	struct record r;
	if (!fake_runs_ahead)
		return;
	fake_reset(SCRIPT(FAKE_A, FAKE_B, FAKE_A, FAKE_B));
	struct engine *e = start_many((struct engine_config){.no_jump_ahead = true});
	struct constrain *c = choices(e, "[\"abTTTTT\", \"abSSSS\"]");
	for (uint32_t i = 0; i < 16; i++) {
		sleepers[i] = (struct sleeper){.task = {.run = run_sleeper}, .crew = shapes_crew(e->shapes)};
		crew_submit(sleepers[i].crew, &sleepers[i].task, false);
	}
	record_init(&r, e);
	submit_shaped(e, &r, c, NULL);
	constrain_unref(c);
	wait_end(&r);
	assert_string_equal(r.log.ptr, "start:3 0:3=a 1:4=b 2:12=S 3:12=S 4:12=S 5:12=S end:end");
	assert_true(atomic_load(&fake.n_late) > 0);
	for (uint32_t i = 0; i < 16; i++)
		atomic_store(&sleepers[i].stop, true);
	for (uint32_t i = 0; i < 16; i++)
		while (!atomic_load(&sleepers[i].stopped))
			fake_sleep_us(200);
	engine_destroy(e, 0);
	record_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choice),    cmocka_unit_test(test_jumps),
		cmocka_unit_test(test_ends),      cmocka_unit_test(test_together),
		cmocka_unit_test(test_slow),      cmocka_unit_test(test_logprobs),
		cmocka_unit_test(test_answered),  cmocka_unit_test(test_compile),
		cmocka_unit_test(test_abandoned), cmocka_unit_test(test_late),
		cmocka_unit_test(test_spent),     cmocka_unit_test(test_stopped),
	};
	int failed = cmocka_run_group_tests_name("shapes", tests, NULL, NULL);
	fake_runs_ahead = true;
	return failed + cmocka_run_group_tests_name("shapes on a device that runs ahead", tests, NULL, NULL);
}
