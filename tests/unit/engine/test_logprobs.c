/* Logprobs through the engine's door: with which tokens they come, and whose they are. */
#include "record.h"

struct told {
	unsigned n, n_without;
	int32_t end_token; /* -1: its logprobs were not told */
	struct token_logprobs end;
	struct {
		int32_t token;
		struct token_logprobs logprobs;
	} rows[16];
	struct record record;
};

static void on_told(void *user, const struct engine_event *event)
{
	struct told *t = user;
	if (event->kind == ENGINE_TOKEN && event->logprobs && t->n < 16) {
		t->rows[t->n].token = event->token;
		t->rows[t->n++].logprobs = *event->logprobs;
	} else if (event->kind == ENGINE_TOKEN) {
		t->n_without++;
	} else if (event->kind == ENGINE_END && event->logprobs) {
		t->end_token = event->token;
		t->end = *event->logprobs;
	}
	on_event(&t->record, event);
}

static enum hokku_code ask(struct told *t, bool logprobs, uint32_t n_top, struct hokku_error *err)
{
	struct engine *e = start();
	memset(t, 0, sizeof *t);
	t->end_token = -1;
	record_init(&t->record, e);
	struct engine_request q = request_for(&t->record);
	q.on_event = on_told;
	q.user = t;
	q.logprobs = logprobs;
	q.n_top = n_top;
	enum hokku_code rc = engine_submit(e, &q, &t->record.id, err);
	if (!rc)
		wait_end(&t->record);
	engine_destroy(e, 0);
	record_free(&t->record);
	return rc;
}

static void every_counted_token_has_them(void **state)
{
	(void)state;
	struct told t;
	fake_reset(SCRIPT(FAKE_A, FAKE_CTL, FAKE_E3, FAKE_END));
	assert_int_equal(ask(&t, true, 3, NULL), HOKKU_OK);
	assert_int_equal(t.n, 3);
	assert_int_equal(t.n_without, 1); /* the end token, with the text that was held back */
	const int32_t drawn[] = {FAKE_A, FAKE_CTL, FAKE_E3};
	for (unsigned i = 0; i < 3; i++) {
		const struct token_logprobs *l = &t.rows[i].logprobs;
		assert_int_equal(t.rows[i].token, drawn[i]);
		assert_int_equal(l->n_top, 3);
		assert_int_equal(l->top[0].token, drawn[i]); /* the fake's likeliest, then by their ids */
		assert_int_equal(l->top[1].token, 0);
		assert_int_equal(l->top[2].token, drawn[i] == 1 ? 2 : 1);
		assert_true(l->top[0].logprob == l->logprob && l->logprob < 0);
		assert_float_equal(l->top[1].logprob, l->logprob - 2, 1e-6);
	}
	/* Those of the token that is not counted come with the end. */
	assert_int_equal(t.end_token, FAKE_END);
	assert_true(t.end.n_top == 3 && t.end.top[0].token == FAKE_END &&
		    t.end.top[0].logprob == t.end.logprob);
}

/* What is ended by a limit or a stop text is ended by a token that is counted. */
static void other_ends_have_none(void **state)
{
	(void)state;
	struct told t;
	fake_reset(SCRIPT(FAKE_A, FAKE_A, FAKE_A));
	fake.n_ctx_train = 4;
	assert_int_equal(ask(&t, true, 1, NULL), HOKKU_OK);
	assert_true(t.n > 0 && t.end_token == -1 && t.record.result.stop == HOKKU_STOP_CONTEXT);
}

static void without_being_asked_for_there_are_none(void **state)
{
	(void)state;
	struct told t;
	fake_reset(SCRIPT(FAKE_A, FAKE_END));
	assert_int_equal(ask(&t, false, 0, NULL), HOKKU_OK);
	assert_int_equal(t.n, 0);
	assert_int_equal(t.end_token, -1);
	assert_int_equal(ask(&t, true, 0, NULL), HOKKU_OK); /* the token's alone */
	assert_int_equal(t.n, 1);
	assert_int_equal(t.rows[0].logprobs.n_top, 0);
}

static void the_number_has_a_limit(void **state)
{
	(void)state;
	struct told t;
	struct hokku_error err;
	fake_reset(SCRIPT(FAKE_A, FAKE_END));
	for (uint32_t n = LOGPROBS_MAX_TOP - 1; n <= LOGPROBS_MAX_TOP + 1; n++)
		assert_int_equal(ask(&t, true, n, &err),
				 n <= LOGPROBS_MAX_TOP ? HOKKU_OK : HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message, "the logprobs of 21 tokens are asked for; 20 are told at most");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_counted_token_has_them),
		cmocka_unit_test(other_ends_have_none),
		cmocka_unit_test(without_being_asked_for_there_are_none),
		cmocka_unit_test(the_number_has_a_limit),
	};
	return cmocka_run_group_tests_name("logprobs", tests, NULL, NULL);
}
