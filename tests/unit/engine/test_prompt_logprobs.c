/* The prompt's logprobs through the engine's door: which pieces they come in, that each position is told
 * once, and what else of the request they leave as it was. */
#include "record.h"

enum { MOST = 200 };

struct told {
	uint32_t n, n_drawn, cancel_at; /* cancel_at: from the callback of the piece that has this position */
	struct prompt_logprob rows[MOST + 1]; /* by position */
	struct token_logprobs drawn[16];
	char why[16];
	struct record record;
};

static void on_told(void *user, const struct engine_event *event)
{
	struct told *t = user;
	if (event->kind == ENGINE_PROMPT) {
		assert_int_equal(event->index, t->n + 1);
		assert_in_range(event->n_prompt, 1, SCHED_MAX_ROWS);
		assert_true(t->n + event->n_prompt < MOST);
		memcpy(t->rows + t->n + 1, event->prompt, event->n_prompt * sizeof *event->prompt);
		t->n += event->n_prompt;
		if (t->cancel_at && t->n >= t->cancel_at)
			engine_cancel(t->record.engine, event->request);
	} else if (event->kind == ENGINE_TOKEN && event->logprobs) {
		t->drawn[t->n_drawn++] = *event->logprobs;
	} else if (event->kind == ENGINE_END && event->cache_miss) {
		snprintf(t->why, sizeof t->why, "%s", cache_miss_name(event->cache_miss->why));
	}
	on_event(&t->record, event);
}

static struct engine *start_able(void)
{
	struct engine *e = start_with((struct engine_config){.prompt_logprobs = true});
	assert_int_equal(engine_wait_ready(e, NULL), HOKKU_OK);
	return e;
}

static int32_t ids[MOST]; /* never one twice in a row */

static struct engine_request told_request(struct told *t, struct engine *e, uint32_t n)
{
	memset(t, 0, sizeof *t);
	record_init(&t->record, e);
	struct engine_request q = request_for(&t->record);
	for (int32_t i = 0; i < MOST; i++)
		ids[i] = FAKE_A + i % 11;
	q.tokens = ids;
	q.n_tokens = n;
	q.on_event = on_told;
	q.user = t;
	q.prompt_logprobs = true;
	q.n_prompt_top = 2;
	q.max_tokens = 2;
	return q;
}

static void submit_told(struct told *t, const struct engine_request *q)
{
	struct hokku_error err;
	if (engine_submit(t->record.engine, q, &t->record.id, &err))
		fail_msg("%s", err.message);
}

static void check_rows(const struct told *t, uint32_t n)
{
	assert_int_equal(t->n, n - 1);
	for (uint32_t i = 1; i < n; i++) {
		const struct prompt_logprob *row = &t->rows[i];
		assert_int_equal(row->token, ids[i]);
		assert_int_equal(row->rank, 1); /* the fake's likeliest, then by their ids */
		assert_int_equal(row->logprobs.n_top, 2);
		assert_int_equal(row->logprobs.top[0].token, ids[i]);
		assert_int_equal(row->logprobs.top[1].token, 0);
		assert_true(row->logprobs.logprob == row->logprobs.top[0].logprob);
	}
}

static void pieces(void **state)
{
	(void)state;
	static const struct {
		uint32_t n;
		const char *log;
	} rows[] = {
		{1, "start:1 0:3=a 1:4=b end:length"},
		{2, "start:2 prompt:1+1 0:3=a 1:4=b end:length"},
		{32, "start:32 prompt:1+31 0:3=a 1:4=b end:length"},
		{33, "start:33 prompt:1+32 0:3=a 1:4=b end:length"},
		{34, "start:34 prompt:1+32 prompt:33+1 0:3=a 1:4=b end:length"},
		{100, "start:100 prompt:1+32 prompt:33+32 prompt:65+32 prompt:97+3 0:3=a 1:4=b end:length"},
	};
	for (size_t i = 0; i < 4 * (sizeof rows / sizeof *rows); i++) {
		struct told t;
		uint32_t n = rows[i / 4].n;
		fake_reset(SCRIPT(FAKE_A, FAKE_B));
		fake.ahead = i % 2;
		struct engine *e =
			start_with((struct engine_config){.itl_ms = 1000, .prompt_logprobs = true});
		assert_int_equal(engine_wait_ready(e, NULL), HOKKU_OK);
		assert_true(fake.params.all_logits);
		struct engine_request q = told_request(&t, e, n);
		q.logprobs = i / 2 % 2;
		q.n_top = 1;
		for (uint32_t warm = 0; warm < 8; warm++) { /* until a step may take as many as there are */
			struct record r;
			record_init(&r, e);
			struct engine_request plain = request_for(&r);
			plain.tokens = ids;
			plain.n_tokens = MOST;
			plain.no_cache = true;
			plain.max_tokens = 1;
			assert_int_equal(engine_submit(e, &plain, &r.id, NULL), HOKKU_OK);
			wait_end(&r);
			record_free(&r);
		}
		submit_told(&t, &q);
		wait_end(&t.record);
		assert_string_equal(t.record.log.ptr, rows[i / 4].log);
		check_rows(&t, n);
		assert_int_equal(t.n_drawn, q.logprobs ? 2 : 0);
		if (q.logprobs) /* told of the step that showed the prompt too */
			assert_true(t.drawn[0].top[0].token == FAKE_A && t.drawn[1].top[0].token == FAKE_B);
		engine_destroy(e, 0);
		record_free(&t.record);
	}
}

/* What is known is computed again to be told; others find what was computed for it. */
static void the_cache(void **state)
{
	(void)state;
	struct told t;
	fake_reset(NULL, 0);
	struct engine *e = start_able();
	for (int turn = 0; turn < 6; turn++) {
		struct engine_request q = told_request(&t, e, 100);
		q.cache_debug = true;
		q.prompt_logprobs = turn == 0 || turn == 2 || turn == 4;
		q.no_cache = turn == 4 || turn == 5;
		submit_told(&t, &q);
		wait_end(&t.record);
		assert_int_equal(t.record.code, HOKKU_OK);
		assert_int_equal(t.record.cached_tokens, turn == 1 || turn == 3 ? 96 : 0);
		assert_string_equal(t.why, turn == 1 || turn == 3 ? "all_found" : "off");
		if (q.prompt_logprobs)
			check_rows(&t, 100);
		else
			assert_int_equal(t.n, 0);
		record_free(&t.record);
	}
	engine_destroy(e, 0);
}

static void limits(void **state)
{
	(void)state;
	struct told t;
	struct hokku_error err;
	fake_reset(NULL, 0);
	struct engine *e = start_able();
	for (uint32_t n = LOGPROBS_MAX_TOP - 1; n <= LOGPROBS_MAX_TOP + 1; n++) {
		struct engine_request q = told_request(&t, e, 10);
		q.n_prompt_top = n;
		enum hokku_code rc = engine_submit(e, &q, &t.record.id, &err);
		assert_int_equal(rc, n <= LOGPROBS_MAX_TOP ? HOKKU_OK : HOKKU_INVALID_REQUEST);
		if (!rc) {
			wait_end(&t.record);
			assert_int_equal(t.rows[9].logprobs.n_top, FAKE_N_VOCAB); /* no more than there are */
		}
		record_free(&t.record);
	}
	assert_string_equal(err.message, "the logprobs of 21 tokens are asked for at each position of the "
					 "prompt; 20 are told at most");
	engine_destroy(e, 0);
}

/* One that has set nothing aside for it says so. */
static void an_engine_without(void **state)
{
	(void)state;
	struct told t;
	struct hokku_error err;
	fake_reset(NULL, 0);
	struct engine *e = start();
	assert_false(fake.params.all_logits);
	struct engine_request q = told_request(&t, e, 10);
	assert_int_equal(engine_submit(e, &q, &t.record.id, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message,
			    "the prompt's logprobs are asked for; the engine was created without them");
	engine_destroy(e, 0);
	record_free(&t.record);
}

static void an_empty_prompt(void **state)
{
	(void)state;
	struct told t;
	fake_reset(NULL, 0);
	fake.has_bos = true;
	struct engine *e = start_able();
	struct engine_request q = told_request(&t, e, 0);
	submit_told(&t, &q);
	wait_end(&t.record);
	assert_string_equal(t.record.log.ptr, "start:1 0:3=a 1:3=a end:length");
	record_free(&t.record);
	engine_destroy(e, 0);
}

static void cancelled_in_the_middle(void **state)
{
	(void)state;
	struct told t;
	fake_reset(NULL, 0);
	struct engine *e = start_able();
	struct engine_request q = told_request(&t, e, 190);
	t.cancel_at = 60;
	submit_told(&t, &q);
	wait_end(&t.record);
	assert_int_equal(t.record.code, HOKKU_CANCELLED);
	assert_in_range(t.n, 60, 60 + SCHED_MAX_ROWS); /* nothing is told after it */
	record_free(&t.record);
	q = told_request(&t, e, 190);
	submit_told(&t, &q);
	wait_end(&t.record);
	check_rows(&t, 190);
	record_free(&t.record);
	engine_destroy(e, 0);
}

/* A step that fails is not told; those that come after it are. */
static void a_failed_step(void **state)
{
	(void)state;
	struct told t;
	fake_reset(NULL, 0);
	fake.fail_step = 3;
	fake.fail_code = HOKKU_INTERNAL;
	struct engine *e = start_able();
	for (int turn = 0; turn < 2; turn++) {
		struct engine_request q = told_request(&t, e, 190);
		submit_told(&t, &q);
		wait_end(&t.record);
		assert_int_equal(t.record.code, turn ? HOKKU_OK : HOKKU_INTERNAL);
		if (turn)
			check_rows(&t, 190);
		else
			assert_true(t.n > 0 && t.n <= 64);
		record_free(&t.record);
	}
	engine_destroy(e, 0);
}

/* Several share the rows of a step, KV memory is for little more than one, and those that go are computed
 * again: each is told all of its own, once. On a device that runs ahead steps wait for it, and run ahead
 * again when it has ended. */
static void several_in_little_memory(void **state)
{
	(void)state;
	enum { N = 4 };
	for (int ahead = 0; ahead < 2; ahead++) {
		struct told t[N];
		struct record plain;
		struct engine_state now;
		fake_reset(NULL, 0);
		fake.ahead = ahead;
		fake.n_ctx_train = 256;
		fake.n_kv_blocks = 12;
		struct engine *e =
			start_with((struct engine_config){.n_parallel = N, .prompt_logprobs = true});
		assert_int_equal(engine_wait_ready(e, NULL), HOKKU_OK);
		record_init(&plain, e);
		atomic_store(&fake.gate_closed, true);
		for (int i = 0; i < N; i++) {
			struct engine_request q = told_request(&t[i], e, (uint32_t)(40 + 50 * i));
			q.max_tokens = 60;
			q.no_cache = i == 1;
			submit_told(&t[i], &q);
		}
		atomic_store(&fake.gate_closed, false);
		for (int i = 0; i < N; i++) {
			wait_end(&t[i].record);
			assert_int_equal(t[i].record.code, HOKKU_OK);
			assert_int_equal(t[i].record.n_tokens, 60);
			check_rows(&t[i], (uint32_t)(40 + 50 * i));
			record_free(&t[i].record);
		}
		engine_get_state(e, &now);
		assert_true(now.counters.preempted > 0);
		assert_int_equal(atomic_load(&fake.most_under_way), 1);
		fake_wait_still();
		struct engine_request q = request_for(&plain);
		q.max_tokens = 60;
		assert_int_equal(engine_submit(e, &q, &plain.id, NULL), HOKKU_OK);
		wait_end(&plain);
		assert_int_equal(atomic_load(&fake.most_under_way), ahead ? 2 : 1);
		record_free(&plain);
		engine_destroy(e, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces),          cmocka_unit_test(the_cache),
		cmocka_unit_test(limits),          cmocka_unit_test(an_engine_without),
		cmocka_unit_test(an_empty_prompt), cmocka_unit_test(cancelled_in_the_middle),
		cmocka_unit_test(a_failed_step),   cmocka_unit_test(several_in_little_memory),
	};
	return cmocka_run_group_tests_name("prompt_logprobs", tests, NULL, NULL);
}
