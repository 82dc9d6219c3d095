/* States beside requests that run, over the scripted model of fake.h: on a device that runs ahead and on one
 * that does not, where KV memory is taken, and where it is lost meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "engine/state.h"
#include "record.h"

enum { N_LONG = 64 };

static char path[300];
static int32_t long_prompt[N_LONG];

static struct engine *start_states(uint32_t n_parallel, uint32_t n_ctx)
{
	struct hokku_error err;
	struct engine *e =
		start_with((struct engine_config){.n_parallel = n_parallel, .n_ctx = n_ctx, .states = true});
	assert_int_equal(engine_wait_ready(e, &err), HOKKU_OK);
	return e;
}

static enum hokku_code save(struct engine *e, uint64_t id, bool (*stopped)(void *user), void *user,
			    struct engine_state_told *told, struct hokku_error *err)
{
	struct engine_saving s = {
		.request = id, .path = path, .name = "state x", .stopped = stopped, .user = user};
	if (!id) {
		s.tokens = long_prompt;
		s.n_tokens = N_LONG;
	}
	return engine_save(e, &s, told, err);
}

static enum hokku_code restore(struct engine *e, struct engine_state_told *told, struct hokku_error *err)
{
	return engine_restore(e, &(struct engine_restoring){.path = path, .name = "state x"}, told, err);
}

static unsigned n_told(struct record *r)
{
	pthread_mutex_lock(&r->lock);
	unsigned n = r->n_tokens;
	pthread_mutex_unlock(&r->lock);
	return n;
}

/* The ids are those that clients were told by then, and each block's bytes those of its number. */
static void one_that_runs(void **state)
{
	(void)state;
	for (int ahead = 0; ahead < 2; ahead++) {
		struct engine_state_told told;
		struct hokku_error err;
		struct record r;
		fake_reset(NULL, 0); /* FAKE_A for ever */
		fake.ahead = ahead;
		fake.step_us = 300;
		for (uint32_t b = 0; b < FAKE_KV_BLOCKS; b++)
			memset(fake.kv[b], (int)b + 1, FAKE_KV_BYTES);
		struct engine *e = start_states(2, 256);
		record_init(&r, e);
		submit(e, &r, 0);
		while (n_told(&r) < 80)
			fake_sleep_us(200);
		unsigned before = n_told(&r);
		assert_int_equal(save(e, r.id, NULL, NULL, &told, &err), HOKKU_OK);
		unsigned after = n_told(&r);
		engine_cancel(e, r.id);
		wait_end(&r);
		assert_true(told.n_tokens >= 3 + before && told.n_tokens <= 3 + after + 1);
		assert_true(told.n_kept >= (told.n_tokens - 1) / 32 * 32);
		memset(fake.kv, 0, sizeof fake.kv);
		assert_int_equal(restore(e, &told, &err), HOKKU_OK);
		assert_memory_equal(told.tokens, prompt, sizeof prompt);
		for (uint32_t i = 3; i < told.n_tokens; i++)
			assert_int_equal(told.tokens[i], FAKE_A);
		free(told.tokens);
		engine_destroy(e, 0);
		record_free(&r);
	}
}

/* Bytes go where the blocks are: from the blocks of one engine to those of another. */
static void bytes_are_the_blocks(void **state)
{
	struct engine_state_told told;
	struct hokku_error err;
	unsigned n[FAKE_KV_BLOCKS] = {0};
	(void)state;
	fake_reset(NULL, 0);
	struct engine *e = start_states(1, 256);
	for (uint32_t b = 0; b < FAKE_KV_BLOCKS; b++)
		memset(fake.kv[b], (int)b + 1, FAKE_KV_BYTES);
	assert_int_equal(save(e, 0, NULL, NULL, &told, &err), HOKKU_OK);
	assert_int_equal(told.n_kept, N_LONG);
	engine_destroy(e, 0);
	e = start_states(1, 256);
	memset(fake.kv, 0, sizeof fake.kv);
	assert_int_equal(restore(e, &told, &err), HOKKU_OK);
	free(told.tokens);
	for (uint32_t b = 0; b < FAKE_KV_BLOCKS; b++) {
		n[fake.kv[b][0]]++;
		for (uint32_t i = 1; i < FAKE_KV_BYTES; i++)
			assert_int_equal(fake.kv[b][i], fake.kv[b][0]);
	}
	uint32_t n_restored = 0;
	for (uint32_t k = 1; k < FAKE_KV_BLOCKS; k++) {
		assert_true(n[k] <= 1);
		n_restored += n[k];
	}
	assert_int_equal(n_restored, N_LONG / 32);
	engine_destroy(e, 0);
}

/* Blocks that running requests have, or are about to take, are not taken from them. */
static void no_block_to_have(void **state)
{
	struct engine_state_told told;
	struct hokku_error err;
	struct record r;
	static int32_t ids[200];
	(void)state;
	fake_reset(NULL, 0);
	fake.step_us = 500;
	struct engine *e = start_states(2, 256); /* eight blocks */
	assert_int_equal(save(e, 0, NULL, NULL, &told, &err), HOKKU_OK);
	record_init(&r, e);
	struct engine_request q = request_for(&r);
	q.tokens = ids; /* seven of them */
	q.n_tokens = 200;
	q.no_cache = true;
	assert_int_equal(engine_submit(e, &q, &r.id, &err), HOKKU_OK);
	while (n_told(&r) < 2)
		fake_sleep_us(200);
	assert_int_equal(restore(e, &told, &err), HOKKU_OVERLOADED);
	assert_string_equal(err.message,
			    "state x wants 1 KV block more (of 200 bytes in all); the requests that run "
			    "leave 0: try again later"); /* the other is in memory still */
	assert_null(told.tokens);
	engine_cancel(e, r.id);
	wait_end(&r);
	assert_int_equal(r.code, HOKKU_CANCELLED);
	assert_int_equal(restore(e, &told, &err), HOKKU_OK);
	free(told.tokens);
	engine_destroy(e, 0);
	record_free(&r);
}

/* Called between the header and the blocks: a step fails. */
static bool break_a_step(void *user)
{
	struct engine *e = user;
	static bool done;
	struct record r;
	if (done)
		return false;
	done = true;
	fake.fail_step = atomic_load(&fake.n_steps) + 1;
	fake.fail_code = HOKKU_INTERNAL;
	record_init(&r, e);
	submit(e, &r, 1);
	wait_end(&r);
	assert_int_equal(r.code, HOKKU_INTERNAL);
	record_free(&r);
	return false;
}

static void memory_is_lost(void **state)
{
	struct engine_state_told told;
	struct hokku_error err;
	struct record r;
	(void)state;
	fake_reset(NULL, 0);
	unlink(path);
	struct engine *e = start_states(1, 256);
	record_init(&r, e);
	submit(e, &r, 100);
	wait_end(&r);
	assert_int_equal(save(e, r.id, break_a_step, e, &told, &err), HOKKU_DEVICE_ERROR);
	assert_string_equal(err.message,
			    "a step of the model failed meanwhile, and KV memory means nothing since");
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(save(e, r.id, NULL, NULL, &told, &err), HOKKU_NOT_FOUND);
	assert_int_equal(save(e, 0, NULL, NULL, &told, &err), HOKKU_OK); /* computed again */
	engine_destroy(e, 0);
	record_free(&r);
}

/* A lost device, and an engine that ends, are told to who waits; nobody waits for ever. */
static void the_engine_ends(void **state)
{
	struct engine_state_told told;
	struct hokku_error err;
	struct record r;
	(void)state;
	fake_reset(NULL, 0);
	struct engine *e = start_states(1, 256);
	assert_int_equal(save(e, 0, NULL, NULL, &told, &err), HOKKU_OK);
	fake.fail_step = atomic_load(&fake.n_steps) + 1;
	fake.fail_code = HOKKU_DEVICE_ERROR;
	record_init(&r, e);
	submit(e, &r, 1);
	wait_end(&r);
	assert_int_equal(restore(e, &told, &err), HOKKU_DEVICE_ERROR);
	assert_string_equal(err.message, "the fake device failed");
	assert_int_equal(save(e, r.id, NULL, NULL, &told, &err), HOKKU_DEVICE_ERROR);
	engine_destroy(e, 0);
	record_free(&r);
	fake_reset(NULL, 0);
	e = start_states(1, 256);
	assert_true(engine_stop(e, 10000));
	assert_int_equal(restore(e, &told, &err), HOKKU_SHUTTING_DOWN);
	engine_destroy(e, 0);
	e = start_with((struct engine_config){.n_parallel = 1});
	assert_int_equal(engine_wait_ready(e, &err), HOKKU_OK);
	assert_int_equal(restore(e, &told, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message, "states are neither saved nor restored here");
	engine_destroy(e, 0);
}

static struct engine_state state_of(struct engine *e)
{
	struct engine_state s;
	engine_get_state(e, &s);
	return s;
}

static bool slowly(void *user)
{
	atomic_store((atomic_bool *)user, true);
	fake_sleep_us(200000);
	return false;
}

static void *save_slowly(void *arg)
{
	static atomic_bool asked;
	struct engine_state_told told;
	struct hokku_error err;
	assert_int_equal(save(arg, 0, slowly, &asked, &told, &err), HOKKU_OK);
	return NULL;
}

/* A request that needs the blocks of a state that is being written has them when it is written, and waits
 * until then without trying again and again. */
static void who_needs_them_waits(void **state)
{
	struct record r;
	struct hokku_error err;
	pthread_t thread;
	static int32_t ids[150];
	(void)state;
	fake_reset(NULL, 0);
	struct engine *e = start_states(1, 256); /* eight blocks, of which the state holds two */
	assert_int_equal(pthread_create(&thread, NULL, save_slowly, e), 0);
	while (state_of(e).n_finished == 0) /* its tokens are computed */
		fake_sleep_us(200);
	record_init(&r, e);
	struct engine_request q = request_for(&r);
	q.tokens = ids;
	q.n_tokens = 150;
	q.max_tokens = 100;
	q.no_cache = true;
	assert_int_equal(engine_submit(e, &q, &r.id, &err), HOKKU_OK);
	wait_end(&r);
	assert_int_equal(r.code, HOKKU_OK);
	assert_int_equal(r.n_tokens, 100);
	pthread_join(thread, NULL);
	assert_true(state_of(e).counters.preempted > 0);
	assert_true(state_of(e).counters.preempted < 100);
	engine_destroy(e, 0);
	record_free(&r);
}

int main(void)
{
	snprintf(path, sizeof path, "%s/test_state_busy.%d", TEST_BINARY_DIR, (int)getpid());
	for (int32_t i = 0; i < N_LONG; i++)
		long_prompt[i] = FAKE_A + i % 5;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_runs),    cmocka_unit_test(bytes_are_the_blocks),
		cmocka_unit_test(no_block_to_have), cmocka_unit_test(who_needs_them_waits),
		cmocka_unit_test(memory_is_lost),   cmocka_unit_test(the_engine_ends),
	};
	int failed = cmocka_run_group_tests_name("state_busy", tests, NULL, NULL);
	unlink(path);
	return failed;
}
