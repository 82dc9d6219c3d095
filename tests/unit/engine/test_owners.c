/* Requests of several owners through the engine, over the scripted model of fake.h: limits, turns, places in
 * the queue, and what is found in KV memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/owners.h"
#include "engine/salts.h"
#include "record.h"

enum { N = 24 };

static struct record records[N];
static unsigned n_starts;

static struct engine *begin(uint32_t n_parallel, uint32_t max_queue, const struct engine_limits *limits,
			    uint32_t n)
{
	struct hokku_error err;
	fake_reset(SCRIPT(FAKE_A, FAKE_B, FAKE_END));
	atomic_store(&fake.gate_closed, true);
	n_starts = 0;
	struct engine *e = start_with((struct engine_config){
		.n_parallel = n_parallel, .max_queue = max_queue, .owners = limits, .n_owners = n});
	assert_int_equal(engine_wait_ready(e, &err), HOKKU_OK);
	for (uint32_t i = 0; i < N; i++) {
		record_init(&records[i], e);
		records[i].turn = &n_starts;
	}
	return e;
}

static void end(struct engine *e)
{
	atomic_store(&fake.gate_closed, false);
	engine_destroy(e, 0);
	for (uint32_t i = 0; i < N; i++)
		record_free(&records[i]);
}

static enum hokku_code send_for(struct engine *e, uint32_t i, uint32_t owner, struct hokku_error *err)
{
	struct engine_request q = request_for(&records[i]);
	q.owner = owner;
	return engine_submit(e, &q, &records[i].id, err);
}

static void send_ok(struct engine *e, uint32_t i, uint32_t owner)
{
	assert_int_equal(send_for(e, i, owner, NULL), HOKKU_OK);
}

static void wait_owner(struct engine *e, uint32_t owner, uint32_t n_running, uint32_t n_waiting)
{
	uint32_t running, waiting;
	do {
		fake_sleep_us(200);
		engine_get_owner(e, owner, &running, &waiting);
	} while (running != n_running || waiting != n_waiting);
}

/* Twenty of one owner, then one of another: two are running, and the one is the next. */
static void test_turns(void **state)
{
	(void)state;
	static const struct engine_limits limits[] = {{ENGINE_UNLIMITED, ENGINE_UNLIMITED, false},
						      {ENGINE_UNLIMITED, ENGINE_UNLIMITED, false}};
	struct engine *e = begin(1, 100, limits, 2);
	for (uint32_t i = 0; i < 20; i++)
		send_ok(e, i, 1);
	wait_owner(e, 1, 1, 19);
	send_ok(e, 20, 2);
	wait_owner(e, 2, 0, 1);
	atomic_store(&fake.gate_closed, false);
	for (uint32_t i = 0; i <= 20; i++)
		wait_end(&records[i]);
	assert_int_equal(records[0].my_turn, 1);
	assert_true(records[20].my_turn <= 3); /* the engine may have had the turn after the first already */
	for (uint32_t i = 1; i < 20; i++)
		assert_true(records[i].my_turn > records[i - 1].my_turn);
	end(e);
}

/* An owner's running requests, at n - 1, n and n + 1; the others have the places that it may not have. */
static void test_running(void **state)
{
	(void)state;
	for (uint32_t limit = 1; limit <= 3; limit++) {
		const struct engine_limits limits[] = {{limit, ENGINE_UNLIMITED, false},
						       {ENGINE_UNLIMITED, ENGINE_UNLIMITED, false}};
		struct engine *e = begin(8, 100, limits, 2);
		uint32_t most = 0;
		for (uint32_t i = 0; i < limit - 1; i++)
			send_ok(e, i, 1);
		atomic_store(&fake.gate_closed, false);
		for (uint32_t i = 0; i < limit - 1; i++)
			wait_end(&records[i]);
		wait_owner(e, 1, 0, 0);
		fake.step_us = 3000;
		fake.n_script = 0; /* they go on until the context is full */
		for (uint32_t i = 3; i < 3 + limit + 1; i++)
			send_ok(e, i, 1);
		send_ok(e, 10, 2);
		wait_owner(e, 1, limit, 1);
		wait_owner(e, 2, 1, 0);
		for (uint32_t i = 0; i < 20; i++) {
			uint32_t running, waiting;
			engine_get_owner(e, 1, &running, &waiting);
			most = running > most ? running : most;
			fake_sleep_us(1000);
		}
		assert_int_equal(most, limit);
		/* One ends: the one that waited runs. */
		engine_cancel(e, records[3].id);
		wait_owner(e, 1, limit, 0);
		end(e);
	}
}

/* Waiting ones at n - 1, n and n + 1, those not counted that could run at once; the other owner is not asked.
 */
static void test_waiting(void **state)
{
	(void)state;
	struct hokku_error err;
	for (uint32_t waiting = 0; waiting < 3; waiting++) {
		const struct engine_limits limits[] = {{2, waiting, false},
						       {ENGINE_UNLIMITED, ENGINE_UNLIMITED, false}};
		struct engine *e = begin(4, 100, limits, 2);
		for (uint32_t i = 0; i < 2 + waiting; i++) {
			send_ok(e, i, 1);
			if (i == 0)
				wait_owner(e, 1, 1, 0);
		}
		assert_int_equal(send_for(e, 20, 1, &err), HOKKU_RATE_LIMITED);
		assert_non_null(
			strstr(err.message, "of this owner are waiting, as many as may; try again later"));
		for (uint32_t i = 10; i < 16; i++)
			send_ok(e, i, 2);
		send_ok(e, 16, 0);
		atomic_store(&fake.gate_closed, false);
		for (uint32_t i = 0; i < 2 + waiting; i++)
			wait_end(&records[i]);
		for (uint32_t i = 10; i < 17; i++)
			wait_end(&records[i]);
		for (uint32_t owner = 0; owner < 3; owner++)
			wait_owner(e, owner, 0, 0); /* places are free again */
		send_ok(e, 20, 1);
		wait_end(&records[20]);
		end(e);
	}
	/* Where others run in all places, none of its own could: no more than it may have waiting. */
	const struct engine_limits limits[] = {{2, 1, false}, {ENGINE_UNLIMITED, ENGINE_UNLIMITED, false}};
	struct engine *e = begin(1, 100, limits, 2);
	send_ok(e, 0, 2);
	wait_owner(e, 2, 1, 0);
	send_ok(e, 1, 1);
	assert_int_equal(send_for(e, 2, 1, &err), HOKKU_RATE_LIMITED);
	end(e);
}

/* One owner fills the queue; each other has its share of it, one place at least. */
static void test_share(void **state)
{
	(void)state;
	struct hokku_error err;
	static const struct engine_limits limits[4] = {{ENGINE_UNLIMITED, ENGINE_UNLIMITED, false},
						       {ENGINE_UNLIMITED, ENGINE_UNLIMITED, false},
						       {ENGINE_UNLIMITED, ENGINE_UNLIMITED, false},
						       {ENGINE_UNLIMITED, ENGINE_UNLIMITED, false}};
	static const struct {
		uint32_t max_queue, n_owners, share;
	} cases[] = {{8, 2, 4}, {8, 4, 2}, {2, 4, 1}, {7, 3, 2}, {4, 1, 0}};
	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		struct engine *e = begin(1, cases[c].max_queue, limits, cases[c].n_owners);
		uint32_t n = 0;
		send_ok(e, n++, 1);
		wait_owner(e, 1, 1, 0);
		while (n < cases[c].max_queue + 1)
			send_ok(e, n++, 1);
		assert_int_equal(send_for(e, n, 1, &err), HOKKU_OVERLOADED);
		for (uint32_t i = 0; i < cases[c].share; i++)
			send_ok(e, n++, 2);
		if (cases[c].share)
			assert_int_equal(send_for(e, n, 2, &err), HOKKU_OVERLOADED);
		else
			assert_int_equal(send_for(e, n, 2, &err), HOKKU_INVALID_REQUEST);
		atomic_store(&fake.gate_closed, false);
		for (uint32_t i = 0; i < n; i++)
			wait_end(&records[i]);
		end(e);
	}
}

/* An owner that comes while the engine runs: limits, a share of its own, and none when it has gone. */
static void test_set(void **state)
{
	(void)state;
	struct hokku_error err;
	const struct engine_limits one = {1, 1, false}, two = {2, 1, false}, none = {2, 1, true};
	const struct engine_limits limits[] = {{ENGINE_UNLIMITED, ENGINE_UNLIMITED, false},
					       {ENGINE_UNLIMITED, ENGINE_UNLIMITED, true}};
	struct engine *e = begin(3, 4, limits, 2);
	uint32_t n = 0;
	engine_set_owner(e, 2, &one);
	send_ok(e, n++, 2);
	send_ok(e, n++, 2);
	wait_owner(e, 2, 1, 1);
	assert_int_equal(send_for(e, n, 2, &err), HOKKU_RATE_LIMITED);
	engine_set_owner(e, 2, &two);
	send_ok(e, n++, 2); /* one may run at once, and one wait */
	assert_int_equal(send_for(e, n, 2, &err), HOKKU_RATE_LIMITED);
	/* Three places run, four wait; owner 1 takes what is left, and its share of the queue is two of four.
	 */
	while (n < 7)
		send_ok(e, n++, 1);
	assert_int_equal(send_for(e, n, 1, &err), HOKKU_OVERLOADED);
	/* Where the other has gone the queue is owner 1's alone. */
	struct owners o;
	assert_true(owners_init(&o, limits, 2));
	assert_int_equal(owners_share(&o, 8), 8);
	owners_set(&o, 2, &two);
	assert_int_equal(owners_share(&o, 8), 4);
	owners_set(&o, 2, &one);
	assert_int_equal(owners_share(&o, 8), 4);
	owners_set(&o, 2, &none);
	owners_set(&o, 2, &none);
	assert_int_equal(owners_share(&o, 8), 8);
	owners_deinit(&o);
	/* What waits of one that has gone is answered too. */
	engine_set_owner(e, 2, &none);
	atomic_store(&fake.gate_closed, false);
	for (uint32_t i = 0; i < n; i++)
		wait_end(&records[i]);
	end(e);
}

/* Blocks are found by the same owner with the same salt alone. */
static void test_salts(void **state)
{
	(void)state;
	static int32_t ids[100];
	static const struct engine_limits limits[] = {{ENGINE_UNLIMITED, ENGINE_UNLIMITED, false},
						      {ENGINE_UNLIMITED, ENGINE_UNLIMITED, false}};
	static const struct {
		uint32_t owner;
		const char *salt;
		uint32_t cached;
	} rows[] = {{0, "", 0},   {0, "", 96},  {1, "", 0},   {2, "", 0},  {1, "", 96},
		    {1, "x", 0},  {1, "x", 96}, {2, "x", 0},  {0, "x", 0}, {1, "y", 0},
		    {0, "x", 96}, {2, "", 96},  {2, "x", 96}, {1, "xx", 0}};
	struct hokku_error err;
	struct engine *e = begin(2, 100, limits, 2);
	atomic_store(&fake.gate_closed, false);
	for (uint32_t i = 0; i < 100; i++)
		ids[i] = FAKE_A;
	for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct engine_request q = request_for(&records[i]);
		q.tokens = ids;
		q.n_tokens = 100;
		q.owner = rows[i].owner;
		q.cache_salt = str_c(rows[i].salt);
		assert_int_equal(engine_submit(e, &q, &records[i].id, NULL), HOKKU_OK);
		wait_end(&records[i]);
		assert_int_equal(records[i].cached_tokens, rows[i].cached);
	}
	/* The longest salt, and one byte more; the last owner, and one more. */
	static const char long_salt[SALTS_MAX_BYTES + 2];
	struct engine_request q = request_for(&records[20]);
	q.cache_salt = (struct str){long_salt, SALTS_MAX_BYTES + 1};
	assert_int_equal(engine_submit(e, &q, &records[20].id, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message, "cache_salt has 257 bytes; it may have 256");
	q.cache_salt.len--;
	assert_int_equal(engine_submit(e, &q, &records[20].id, &err), HOKKU_OK);
	wait_end(&records[20]);
	assert_int_equal(send_for(e, 21, 3, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message, "owner is 3; there are 0 to 2");
	end(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_turns), cmocka_unit_test(test_running), cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_share), cmocka_unit_test(test_set),     cmocka_unit_test(test_salts),
	};
	return cmocka_run_group_tests_name("owners", tests, NULL, NULL);
}
