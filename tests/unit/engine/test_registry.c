/* The policy of several models, driven by data alone; last, by random histories of a machine that does what
 * it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "engine/registry.h"

enum { MAX = 24 };
static struct registry_model models[MAX];
static struct registry registry;

static void begin(uint32_t n, uint64_t capacity)
{
	memset(models, 0, sizeof models);
	registry = (struct registry){.models = models, .n = n};
	for (uint32_t i = 0; i < REGISTRY_PLACES; i++)
		registry.capacity[i] = capacity;
	for (uint32_t i = 0; i < n; i++)
		models[i] = (struct registry_model){.bytes = 10, .expires_ns = REGISTRY_NEVER};
}

static void expect(enum registry_act act, uint32_t model, uint64_t now)
{
	struct registry_step step = registry_next(&registry, now);
	assert_int_equal(step.act, act);
	if (act)
		assert_int_equal(step.model, model);
}

static void waits(uint32_t i, uint64_t since)
{
	models[i].n_waiting = 1;
	models[i].waiting_since = since;
}

static void loaded(uint32_t i, uint64_t used)
{
	models[i].state = REGISTRY_LOADED;
	models[i].used_ns = used;
}

static void test_loads_what_is_asked_for(void **state)
{
	(void)state;
	begin(3, 100);
	expect(REGISTRY_NOTHING, 0, 0);
	waits(1, 5);
	waits(2, 4);
	expect(REGISTRY_LOAD, 2, 0);
	models[2].state = REGISTRY_LOADING;
	expect(REGISTRY_NOTHING, 0, 0); /* one at a time */
	models[2].state = REGISTRY_LOADED;
	models[2].n_waiting = 0;
	models[2].n_running = 1;
	expect(REGISTRY_LOAD, 1, 0);
	models[1].state = REGISTRY_FAILED;
	expect(REGISTRY_NOTHING, 0, 0);
}

static void test_capacity_at_its_edge(void **state)
{
	(void)state;
	for (uint64_t capacity = 19; capacity <= 21; capacity++) {
		begin(2, capacity);
		loaded(0, 1);
		models[0].pinned = true;
		waits(1, 1);
		expect(capacity < 20 ? REGISTRY_REFUSE : REGISTRY_LOAD, 1, 0);
	}
	for (uint64_t capacity = 9; capacity <= 11; capacity++) {
		begin(1, capacity);
		waits(0, 1);
		expect(capacity < 10 ? REGISTRY_REFUSE : REGISTRY_LOAD, 0, 0);
	}
}

static void test_least_recently_used_goes_first(void **state)
{
	(void)state;
	begin(4, 30);
	loaded(0, 7);
	loaded(1, 3);
	loaded(2, 5);
	waits(3, 1);
	expect(REGISTRY_UNLOAD, 1, 0);
	models[1].state = REGISTRY_UNLOADING;
	expect(REGISTRY_NOTHING, 0, 0); /* its bytes are there until it is gone */
	models[1].state = REGISTRY_UNLOADED;
	expect(REGISTRY_LOAD, 3, 0);
	models[3].bytes = 25; /* bytes, not models: more than one goes */
	expect(REGISTRY_UNLOAD, 2, 0);
	models[2].state = REGISTRY_UNLOADED;
	expect(REGISTRY_UNLOAD, 0, 0);
}

static void test_requests_are_never_cut(void **state)
{
	(void)state;
	begin(3, 20);
	loaded(0, 1);
	loaded(1, 9);
	models[0].n_running = 1;
	waits(2, 1);
	expect(REGISTRY_UNLOAD, 1, 0); /* the idle one, although it was used later */
	models[1].n_running = 1;
	expect(REGISTRY_CLOSE, 0, 0);
	models[0].closed = true;
	expect(REGISTRY_NOTHING, 0, 0);
	models[0].expires_ns = 1;
	expect(REGISTRY_NOTHING, 0, 2);
	models[0].n_running = 0;
	expect(REGISTRY_UNLOAD, 0, 2);
}

static void test_the_first_to_wait_is_served_first(void **state)
{
	(void)state;
	begin(3, 10);
	loaded(0, 1);
	models[0].n_running = 1;
	models[0].closed = true;
	waits(0, 8); /* asked again after it was closed */
	waits(1, 7);
	expect(REGISTRY_NOTHING, 0, 0);
	models[0].n_running = 0;
	expect(REGISTRY_UNLOAD, 0, 0);
	models[0].state = REGISTRY_UNLOADED;
	models[0].closed = false;
	expect(REGISTRY_LOAD, 1, 0);
	loaded(1, 2);
	models[1].n_waiting = 0;
	models[1].n_running = 3;
	expect(REGISTRY_CLOSE, 1, 0); /* for model 0, in its turn */
}

static void test_expiry(void **state)
{
	(void)state;
	begin(2, 100);
	loaded(0, 0);
	models[0].expires_ns = 50;
	expect(REGISTRY_NOTHING, 0, 49);
	expect(REGISTRY_UNLOAD, 0, 50);
	models[0].n_running = 1;
	expect(REGISTRY_NOTHING, 0, 51);
}

static void test_what_is_in_the_way(void **state)
{
	uint32_t out[MAX];
	(void)state;
	begin(4, 30);
	loaded(0, 1);
	loaded(1, 2);
	models[0].pinned = models[1].pinned = true;
	loaded(2, 3);
	models[3].bytes = 11;
	waits(3, 1);
	expect(REGISTRY_REFUSE, 3, 0); /* the one that may go would not do */
	assert_int_equal(registry_in_the_way(&registry, 3, out, MAX), 2);
	assert_int_equal(out[0], 0);
	assert_int_equal(out[1], 1);
	out[1] = 77;
	assert_int_equal(registry_in_the_way(&registry, 3, out, 1), 1);
	assert_int_equal(out[1], 77); /* no more is written than there is room for */
	models[3].bytes = 31;
	expect(REGISTRY_REFUSE, 3, 0);
	assert_int_equal(registry_in_the_way(&registry, 3, out, MAX), 0);
	models[3].bytes = UINT64_MAX; /* a file that lies: sums do not wrap */
	expect(REGISTRY_REFUSE, 3, 0);
}

/* What lies after the last model is none, whatever it holds. */
static void test_none_is_beyond_the_last(void **state)
{
	static const struct registry_model beyond[] = {
		{.state = REGISTRY_LOADED, .bytes = 10, .expires_ns = 0},
		{.state = REGISTRY_LOADED, .bytes = 10, .expires_ns = 9},
		{.state = REGISTRY_LOADED, .bytes = 10, .expires_ns = REGISTRY_NEVER},
		{.state = REGISTRY_LOADED, .bytes = 10, .expires_ns = REGISTRY_NEVER, .pinned = true},
		{.state = REGISTRY_LOADED, .bytes = 10, .n_running = 1, .closed = true},
		{.state = REGISTRY_LOADING, .bytes = 10, .expires_ns = REGISTRY_NEVER},
		{.state = REGISTRY_UNLOADED, .bytes = 10, .n_waiting = 1, .waiting_since = 1},
	};
	uint32_t out[MAX];
	(void)state;
	for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
		begin(2, 10);
		models[2] = beyond[i];
		loaded(0, 2);
		waits(1, 2);
		expect(REGISTRY_UNLOAD, 0, 1);
		registry.capacity[0] = 20;
		expect(REGISTRY_LOAD, 1, 1);
		assert_int_equal(registry_used(&registry, 0), 10);
		models[0].pinned = true;
		assert_int_equal(registry_in_the_way(&registry, 1, out, MAX), 1);
	}
}

static void test_places_are_apart(void **state)
{
	(void)state;
	begin(3, 10);
	loaded(0, 1);
	models[0].n_running = 1;
	models[0].closed = true;
	waits(1, 1);
	waits(2, 2);
	models[2].place = 3;
	expect(REGISTRY_LOAD, 2, 0); /* does not wait for the host's memory */
	assert_int_equal(registry_used(&registry, 0), 10);
	assert_int_equal(registry_used(&registry, 3), 0);
	registry.capacity[0] = UINT64_MAX;
	models[2].n_waiting = 0;
	expect(REGISTRY_LOAD, 1, 0);
}

/* ---- a machine ---- */

/* Does what is said, and that what is said may be done. */
static void obey(uint64_t now, uint64_t *n_refused)
{
	for (int turns = 0;; turns++) {
		struct registry_step step = registry_next(&registry, now);
		struct registry_model *m = &models[step.model];
		assert_true(turns < 4 * MAX);
		if (step.act == REGISTRY_NOTHING)
			return;
		if (step.act == REGISTRY_LOAD) {
			assert_int_equal(m->state, REGISTRY_UNLOADED);
			assert_true(m->n_waiting > 0);
			assert_true(registry_used(&registry, m->place) + m->bytes <=
				    registry.capacity[m->place]);
			m->state = REGISTRY_LOADING;
		} else if (step.act == REGISTRY_UNLOAD) {
			assert_int_equal(m->state, REGISTRY_LOADED);
			assert_int_equal(m->n_running, 0);
			m->state = REGISTRY_UNLOADING;
		} else if (step.act == REGISTRY_CLOSE) {
			assert_int_equal(m->state, REGISTRY_LOADED);
			assert_true(m->n_running > 0 && !m->closed && !m->pinned);
			m->closed = true;
		} else {
			*n_refused += m->n_waiting;
			m->n_waiting = 0;
		}
	}
}

struct counts {
	uint64_t asked, served, refused, order;
};

static void ask(struct registry_model *m, uint64_t now, struct counts *n)
{
	n->asked++;
	if (m->state == REGISTRY_LOADED && !m->closed) {
		m->n_running++;
		m->used_ns = now;
	} else if (!m->n_waiting++) {
		m->waiting_since = ++n->order;
	}
}

/* A request of m is over; its loading or unloading is. */
static void go_on(struct registry_model *m, uint64_t now, struct counts *n)
{
	if (m->n_running) {
		m->n_running--;
		n->served++;
		m->expires_ns = now + 20;
	} else if (m->state == REGISTRY_LOADING) {
		m->state = REGISTRY_LOADED;
		m->used_ns = now;
		m->n_running = m->n_waiting;
		m->n_waiting = 0;
	} else if (m->state == REGISTRY_UNLOADING) {
		m->state = REGISTRY_UNLOADED;
		m->closed = false;
	}
}

static uint32_t draw(uint64_t seed, uint64_t *index)
{
	uint32_t words[4];
	rng_words(seed, RNG_STREAM_TEST, ++*index, words);
	return words[0];
}

/* Whatever happens, all requests end, none is cut, and memory is never more than there is. */
static void test_any_history(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct counts n = {0};
		uint64_t at = 0, now = 0;
		begin(2 + draw(seed, &at) % 19, 10 + draw(seed, &at) % 60);
		for (uint32_t i = 0; i < registry.n; i++) {
			models[i].bytes = 1 + draw(seed, &at) % 30;
			models[i].place = draw(seed, &at) % 2;
		}
		/* Once nobody asks any more, what is there comes to its end. */
		for (; now < 1000 || (n.served + n.refused < n.asked && now < 100000); now++) {
			struct registry_model *m = &models[draw(seed, &at) % registry.n];
			if (now < 1000 && draw(seed, &at) % 3 == 0)
				ask(m, now, &n);
			else
				go_on(m, now, &n);
			obey(now, &n.refused);
			assert_true(registry_used(&registry, 0) <= registry.capacity[0]);
			assert_true(registry_used(&registry, 1) <= registry.capacity[1]);
		}
		assert_true(n.asked > 100);
		assert_int_equal(n.served + n.refused, n.asked);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loads_what_is_asked_for),
		cmocka_unit_test(test_capacity_at_its_edge),
		cmocka_unit_test(test_least_recently_used_goes_first),
		cmocka_unit_test(test_requests_are_never_cut),
		cmocka_unit_test(test_the_first_to_wait_is_served_first),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_what_is_in_the_way),
		cmocka_unit_test(test_none_is_beyond_the_last),
		cmocka_unit_test(test_places_are_apart),
		cmocka_unit_test(test_any_history),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
