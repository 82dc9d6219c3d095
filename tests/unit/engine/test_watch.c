/* The watchdog: by made-up times, and over the engine with a device that hangs (fake.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/queue.h"
#include "record.h"

#define MS 1000000ull

/* A turn that began at `from`, looked at every `step` ns until `to`. */
static bool look_on(struct watchdog *w, struct watch_turn *t, uint64_t from, uint64_t to, uint64_t step)
{
	bool stuck = false;
	atomic_store(&t->since_ns, from);
	for (uint64_t now = from; now <= to; now += step)
		stuck = watchdog_look(w, t, now);
	return stuck;
}

static void test_limit(void **state)
{
	(void)state;
	const uint64_t begin = 5000 * MS, limit = 300 * MS;
	struct watchdog w;
	struct watch_turn t = {0};
	for (uint64_t n = limit - 1; n <= limit + 1; n++) {
		watchdog_init(&w, 0.3);
		assert_int_equal(w.limit_ns, limit);
		look_on(&w, &t, begin, begin + 250 * MS, 50 * MS);
		assert_int_equal(watchdog_look(&w, &t, begin + n), n >= limit);
		assert_int_equal(watchdog_is_stuck(&w), n >= limit);
	}
	/* another turn: all is well; nothing to do: all stays well */
	assert_false(look_on(&w, &t, begin + 301 * MS, begin + 301 * MS + limit - 1, 1 * MS));
	assert_false(look_on(&w, &t, 0, 900 * MS, 50 * MS));
	/* what began between two looks has not lasted longer than that */
	watchdog_init(&w, 0.3);
	look_on(&w, &t, 0, begin, begin);
	assert_int_equal(w.looked_ns, begin);
	atomic_store(&t.since_ns, begin + 400 * MS);
	watchdog_look(&w, &t, begin + 450 * MS);
	assert_int_equal(w.seen_ns, 50 * MS);
	watchdog_init(&w, 0);
	assert_false(look_on(&w, &t, begin, begin + 1000000 * MS, 500 * MS));
}

/* Time in which nobody looked counts as WATCH_MAX_GAP_MS at most. */
static void test_gap(void **state)
{
	(void)state;
	struct watchdog w;
	struct watch_turn t = {0};
	watchdog_init(&w, 10);
	look_on(&w, &t, 1 * MS, 3001 * MS, 50 * MS);
	assert_int_equal(w.seen_ns, 3000 * MS);
	assert_false(watchdog_look(&w, &t, 3600 * 1000 * MS)); /* an hour later the process goes on */
	assert_int_equal(w.seen_ns, (3000 + WATCH_MAX_GAP_MS) * MS);
	watchdog_look(&w, &t, 3600 * 1000 * MS + WATCH_MAX_GAP_MS * MS - 1);
	assert_int_equal(w.seen_ns, (3000 + 2 * WATCH_MAX_GAP_MS) * MS - 1);
}

static void test_words(void **state)
{
	(void)state;
	char text[128];
	struct watchdog w = {.seen_ns = 301240 * MS, .n_seqs = 3, .n_tokens = 80};
	watchdog_describe(&w, text);
	assert_string_equal(text, "a step of 3 sequences with 80 tokens has not ended for 301.2 s");
	w.n_seqs = w.n_tokens = 1;
	watchdog_describe(&w, text);
	assert_string_equal(text, "a step of 1 sequence with 1 token has not ended for 301.2 s");
	w.n_seqs = 0;
	watchdog_describe(&w, text);
	assert_string_equal(text, "the engine has not come round for 301.2 s, outside of any step");
}

/* Looks until it is as wanted; a test that hangs is ended by its time limit. */
static void look_until(struct watchdog *w, struct engine *e, bool stuck)
{
	while (watchdog_look(w, engine_turn(e), clock_ns()) != stuck)
		fake_sleep_us(1000);
}

static void test_step(void **state)
{
	(void)state;
	struct record r;
	struct watchdog w;
	char text[128];
	fake_reset(SCRIPT(FAKE_A, FAKE_END));
	struct engine *e = start();
	watchdog_init(&w, 0.03);
	for (int i = 0; i < 100; i++) { /* idle */
		assert_false(watchdog_look(&w, engine_turn(e), clock_ns()));
		fake_sleep_us(1000);
	}
	atomic_store(&fake.gate_closed, true);
	record_init(&r, e);
	submit(e, &r, 0);
	look_until(&w, e, true);
	assert_true(watchdog_seen_s(&w) >= 0.03);
	watchdog_describe(&w, text);
	assert_non_null(strstr(text, "a step of 1 sequence with 3 tokens has not ended for 0.0"));
	atomic_store(&fake.gate_closed, false);
	wait_end(&r);
	assert_string_equal(r.log.ptr, "start:3 0:3=a end:end");
	look_until(&w, e, false);
	engine_destroy(e, 0);
	record_free(&r);
}

/* The check of the device's memory, while nothing runs, and a thread that waits for the engine's own lock:
 * whoever looks needs none. */
static void test_outside_of_steps(void **state)
{
	(void)state;
	struct watchdog w;
	fake_reset(NULL, 0);
	struct engine *e = start_with((struct engine_config){.check_ms = 1});
	assert_int_equal(engine_wait_ready(e, NULL), HOKKU_OK);
	watchdog_init(&w, 0.03);
	atomic_store(&fake.check_hangs, true);
	look_until(&w, e, true);
	assert_int_equal(w.n_seqs, 0);
	atomic_store(&fake.check_hangs, false);
	look_until(&w, e, false);
	engine_destroy(e, 0);
	struct record r;
	fake_reset(NULL, 0);
	e = start();
	record_init(&r, e);
	submit(e, &r, 0);
	wait_tokens(&r, 3);
	pthread_mutex_lock(&e->lock);
	look_until(&w, e, true);
	pthread_mutex_unlock(&e->lock);
	look_until(&w, e, false);
	engine_destroy(e, 0);
	record_free(&r);
}

/* A device that is lost is no turn that goes on for ever. */
static void test_lost(void **state)
{
	(void)state;
	struct watchdog w;
	struct record r;
	struct engine_state s;
	fake_reset(NULL, 0);
	fake.fail_step = 2;
	fake.fail_code = HOKKU_DEVICE_ERROR;
	struct engine *e = start();
	record_init(&r, e);
	submit(e, &r, 0);
	wait_end(&r);
	do
		engine_get_state(e, &s);
	while (s.phase != ENGINE_LOST);
	watchdog_init(&w, 0.03);
	look_until(&w, e, false);
	for (int i = 0; i < 60; i++) {
		watchdog_look(&w, engine_turn(e), clock_ns());
		fake_sleep_us(1000);
	}
	assert_false(watchdog_is_stuck(&w));
	engine_destroy(e, 0);
	record_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit), cmocka_unit_test(test_gap),
		cmocka_unit_test(test_words), cmocka_unit_test(test_step),
		cmocka_unit_test(test_lost),  cmocka_unit_test(test_outside_of_steps),
	};
	return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
