/* Figures and ends: what the times of an answer mean, memory at a full context, the first and the last of
 * several. */
#include "record.h"

#include "engine/queue.h"

/* A request has had its last event a moment before the engine is done with it, and a step that was submitted
 * for it may be under way still. */
static void wait_idle(struct engine *e)
{
	struct engine_state s;
	do
		engine_get_state(e, &s);
	while (s.n_running || s.n_queued);
	fake_wait_still();
}

/* Milliseconds, from the right moment to the right one: no less than the device slept, no more than passed
 * here. */
static void test_times(void **state)
{
	(void)state;
	struct record a, b;
	fake_reset(SCRIPT(FAKE_A, FAKE_A, FAKE_A, FAKE_END));
	fake.step_us = 30000;
	struct engine *e = start();
	record_init(&a, e);
	record_init(&b, e);
	atomic_store(&fake.gate_closed, true);
	uint64_t begin = clock_ns();
	submit(e, &a, 0);
	submit(e, &b, 0);
	atomic_store(&fake.gate_closed, false); /* neither has had a step before both were there */
	wait_end(&a);
	double first_ms = clock_ms_since(begin);
	wait_end(&b);
	double all_ms = clock_ms_since(begin);
	/* One step for the prompt, which draws the first token, and one for each of the others, the end among
	 * them. */
	assert_true(a.result.prefill_ms >= 29 && a.result.ttft_ms >= a.result.prefill_ms);
	assert_true(a.result.decode_ms >= 88);
	assert_true(a.result.ttft_ms + a.result.decode_ms <= first_ms);
	/* The second waited for the first. */
	assert_true(b.result.prefill_ms >= 29 && b.result.prefill_ms <= all_ms - 118);
	assert_true(b.result.ttft_ms >= 148 && b.result.ttft_ms >= a.result.ttft_ms + b.result.prefill_ms);
	assert_true(b.result.ttft_ms + b.result.decode_ms <= all_ms);
	engine_destroy(e, 0);
	record_free(&a);
	record_free(&b);
}

/* An answer whose last token needs no position of its own: it still has a place in the history. 190 is a
 * context at which one place or one block less would lie beyond what the allocator gave. */
static void test_full_context(void **state)
{
	(void)state;
	enum { N_CTX = 190 };
	static const int32_t ids[N_CTX] = {FAKE_B};
	for (uint32_t n = 1; n <= N_CTX; n += 27) {
		struct record r;
		fake_reset(NULL, 0);
		struct engine *e = start_with((struct engine_config){.n_ctx = N_CTX});
		assert_int_equal(engine_wait_ready(e, NULL), HOKKU_OK);
		assert_int_equal(e->sched.kv.n_blocks, 6);
		assert_int_equal(e->sched.pitch, 6);
		/* Any token's text fits what was set aside: each byte of the longest as U+FFFD. */
		assert_true(e->max_piece >= strlen("hello world") * 3);
		record_init(&r, e);
		struct engine_request q = request_for(&r);
		q.tokens = ids;
		q.n_tokens = n;
		assert_int_equal(engine_submit(e, &q, &r.id, NULL), HOKKU_OK);
		wait_end(&r);
		assert_int_equal(r.result.stop, HOKKU_STOP_CONTEXT);
		assert_int_equal(n + r.result.tokens_out, N_CTX + 1);
		assert_int_equal(r.result.text_bytes, r.result.tokens_out);
		engine_destroy(e, 0);
		record_free(&r);
	}
}

/* What the device is asked for holds one context, and where KV memory may grow, many. */
static void test_device_memory(void **state)
{
	(void)state;
	static const uint32_t contexts[] = {1, 31, 32, 33, 190, 192, 193};
	for (size_t i = 0; i < sizeof contexts / sizeof *contexts; i++) {
		for (int grows = 0; grows < 2; grows++) {
			fake_reset(NULL, 0);
			struct engine *e = start_with((struct engine_config){.n_ctx = contexts[i],
									     .kv_grows = grows,
									     .n_threads = 3,
									     .vram_limit = 5,
									     .kv_bytes = 7});
			assert_int_equal(engine_wait_ready(e, NULL), HOKKU_OK);
			const struct compute_params *p = &fake.params;
			uint32_t blocks =
				contexts[i] / COMPUTE_KV_BLOCK + (contexts[i] % COMPUTE_KV_BLOCK != 0);
			assert_int_equal(p->n_ctx, contexts[i]);
			assert_int_equal(p->n_seqs, grows ? ENGINE_PARALLEL_GPU : 1);
			assert_int_equal(p->n_kv_blocks_host,
					 grows ? ENGINE_PARALLEL_CPU * blocks : 0); /* contexts below 512 */
			assert_int_equal(p->n_kv_blocks, blocks);
			assert_int_equal(p->n_kv_blocks_max, grows ? blocks * ENGINE_MAX_KV_CONTEXTS : 0);
			assert_int_equal(p->n_threads, 3);
			assert_int_equal(p->vram_limit, 5);
			assert_int_equal(p->kv_bytes, 7);
			engine_destroy(e, 0);
		}
	}
}

/* The counters: prompt tokens once, drawn ones without the end token, requests that failed too. */
static void test_counts(void **state)
{
	(void)state;
	struct record r;
	struct engine_state s;
	fake_reset(SCRIPT(FAKE_A, FAKE_B, FAKE_END));
	fake.fail_step = fake.ahead ? 9 : 7; /* running ahead, each has a step after its end */
	fake.fail_code = HOKKU_INTERNAL;
	struct engine *e = start();
	for (uint32_t i = 1; i <= 3; i++) { /* the third fails at its first step */
		record_init(&r, e);
		submit(e, &r, 0);
		wait_end(&r);
		wait_idle(e);
		engine_get_state(e, &s);
		assert_int_equal(s.n_finished, i);
		assert_int_equal(s.n_tokens_in, i < 3 ? 3 * i : 6);
		assert_int_equal(s.n_tokens_out, i < 3 ? 2 * i : 4);
		assert_int_equal(r.code, i < 3 ? HOKKU_OK : HOKKU_INTERNAL);
		record_free(&r);
	}
	engine_destroy(e, 0);
}

static void test_empty_prompt(void **state)
{
	(void)state;
	struct record r;
	fake_reset(SCRIPT(FAKE_B, FAKE_END));
	fake.has_bos = true;
	struct engine *e = start();
	record_init(&r, e);
	struct engine_request q = request_for(&r);
	q.n_tokens = 0;
	assert_int_equal(engine_submit(e, &q, &r.id, NULL), HOKKU_OK);
	wait_end(&r);
	assert_int_equal(fake.steps[0].token, FAKE_BOS);
	assert_int_equal(fake.steps[0].n_tokens, 1);
	assert_int_equal(r.result.prompt_tokens, 1);
	engine_destroy(e, 0);
	record_free(&r);
}

/* Whichever of those that wait: the others go on in their order. The ring has turned meanwhile. */
static void test_cancel_each(void **state)
{
	(void)state;
	enum { N = 4 };
	struct record r[N];
	fake_reset(SCRIPT(FAKE_A, FAKE_END));
	struct engine *e = start_with((struct engine_config){.max_queue = N - 1});
	assert_int_equal(engine_wait_ready(e, NULL), HOKKU_OK);
	for (int victim = 1; victim < N; victim++) {
		unsigned turn = 0;
		wait_idle(e);
		atomic_store(&fake.gate_closed, true);
		for (int i = 0; i < N; i++) {
			struct engine_state s;
			record_init(&r[i], e);
			r[i].turn = &turn;
			submit(e, &r[i], 0);
			do
				engine_get_state(e, &s);
			while (s.n_running == 0);
		}
		engine_cancel(e, r[victim].id);
		atomic_store(&fake.gate_closed, false);
		for (int i = 0; i < N; i++) {
			wait_end(&r[i]);
			assert_string_equal(r[i].log.ptr,
					    i == victim ? "error:CANCELLED" : "start:3 0:3=a end:end");
			assert_int_equal(r[i].my_turn, i == victim ? 0 : i < victim ? i + 1 : i);
			record_free(&r[i]);
		}
	}
	engine_destroy(e, 0);
}

/* Of those that wait when the engine stops none begins, first or last. */
static void test_stop_all(void **state)
{
	(void)state;
	enum { N = 4 };
	struct record r[N];
	for (int before = 0; before < 3; before++) { /* how far the ring has turned */
		fake_reset(SCRIPT(FAKE_A, FAKE_END));
		struct engine *e = start_with((struct engine_config){.max_queue = N - 1});
		assert_int_equal(engine_wait_ready(e, NULL), HOKKU_OK);
		for (int i = 0; i < before; i++) {
			record_init(&r[0], e);
			submit(e, &r[0], 0);
			wait_end(&r[0]);
			record_free(&r[0]);
		}
		wait_idle(e);
		atomic_store(&fake.gate_closed, true);
		for (int i = 0; i < N; i++) {
			struct engine_state s;
			record_init(&r[i], e);
			submit(e, &r[i], 0);
			do
				engine_get_state(e, &s);
			while (s.n_running == 0);
		}
		assert_false(engine_stop(e, 1));
		atomic_store(&fake.gate_closed, false);
		engine_destroy(e, 0);
		for (int i = 0; i < N; i++) {
			assert_true(r[i].ended);
			assert_int_equal(r[i].code, HOKKU_CANCELLED);
			assert_true(i == 0 || !r[i].started);
			record_free(&r[i]);
		}
	}
}

/* An answer that has ended stays ended, whoever cancels it in its last event. */
static void test_cancel_too_late(void **state)
{
	(void)state;
	struct record r;
	fake_reset(NULL, 0);
	struct engine *e = start();
	record_init(&r, e);
	r.cancel_at = 2;
	submit(e, &r, 2);
	wait_end(&r);
	assert_string_equal(r.log.ptr, "start:3 0:3=a 1:3=a end:length");
	engine_destroy(e, 0);
	record_free(&r);
}

/* Each stage's failure is the one that is told, with the file's name. */
static void test_load_stages(void **state)
{
	(void)state;
	static const struct {
		enum hokku_code tok, chat;
		const char *told;
	} cases[] = {{HOKKU_BAD_FILE, 0, "fake.gguf: the fake has no words"},
		     {0, HOKKU_INVALID_REQUEST, "fake.gguf: the fake does not chat"},
		     {HOKKU_BAD_FILE, HOKKU_INVALID_REQUEST, "fake.gguf: the fake has no words"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct hokku_error err;
		fake_reset(NULL, 0);
		fake.tok_code = cases[i].tok;
		fake.chat_code = cases[i].chat;
		struct engine *e = start_with((struct engine_config){0});
		assert_int_equal(engine_wait_ready(e, &err), cases[i].tok ? cases[i].tok : cases[i].chat);
		assert_string_equal(err.message, cases[i].told);
		assert_null(engine_tok(e));
		engine_destroy(e, 0);
	}
}

/* How far loading is goes with the bytes of weights, from 6% to the whole. */
static void test_load_part(void **state)
{
	(void)state;
	struct engine_state s;
	unsigned n_seen = 0;
	fake_reset(NULL, 0);
	fake.load_ms = 300;
	struct engine *e = start_with((struct engine_config){0});
	do {
		engine_get_state(e, &s);
		if (s.phase == ENGINE_LOADING && s.load_bytes > 0) {
			/* The part is told a moment after the bytes. */
			double part = 0.06 + 0.94 * (double)s.load_bytes / 10, step = 0.094;
			assert_int_equal(s.load_all_bytes, 10);
			assert_true(s.load_part > part - step - 0.01 && s.load_part < part + 0.01);
			assert_true(s.load_s > 0 && s.load_s < 60);
			n_seen++;
		}
		fake_sleep_us(1000);
	} while (s.phase == ENGINE_LOADING);
	assert_true(n_seen > 1);
	assert_int_equal(s.phase, ENGINE_READY);
	assert_true(s.load_part == 1);
	engine_destroy(e, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times),         cmocka_unit_test(test_full_context),
		cmocka_unit_test(test_device_memory), cmocka_unit_test(test_counts),
		cmocka_unit_test(test_empty_prompt),  cmocka_unit_test(test_cancel_each),
		cmocka_unit_test(test_stop_all),      cmocka_unit_test(test_cancel_too_late),
		cmocka_unit_test(test_load_stages),   cmocka_unit_test(test_load_part),
	};
	int failed = cmocka_run_group_tests_name("edges", tests, NULL, NULL);
	fake_runs_ahead = true;
	return failed + cmocka_run_group_tests_name("edges, running ahead", tests, NULL, NULL);
}
