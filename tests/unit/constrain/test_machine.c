/* Random grammars: what the machine takes against their meaning, masks against every token, before a cut and
 * after it. And what sealing refuses. */
#include "constrain/walk_try.h"

#include "constrain/grammar_try.h"

static uint32_t from_rng(struct try_source *s, uint32_t n)
{
	uint32_t words[4];
	rng_words(s->seed, RNG_STREAM_TEST, s->at++, words);
	return words[0] % n;
}

static const char *const tokens[] = {"ab",       "ba",       "aab",        "abab",     "bbbb",
				     "aaaaaaaa", "a\"",      "\"a",        "\"\"b",    "ax",
				     "xy\"",     "\xc3\xa9", "\xc3\xa9 a", "\xf0\x9f", "\x98\x80",
				     "zzzz",     " a b",     "b\"a\"b",    NULL};

static void random_grammars(void **state)
{
	(void)state;
	struct try_words *words = try_words_new(tokens);
	struct constrain_vocab *v = try_vocab(words, false);
	unsigned n_refused = 0, n = 500;
	for (uint32_t seed = 0; seed < n; seed++) {
		struct try_source s = {.draw = from_rng, .seed = seed};
		struct try_grammar t;
		bool refused;
		assert_true(try_grammar_make(&t, &s));
		const char *wrong = try_machine(&t, v, &s, &refused);
		if (wrong)
			fail_msg("seed %u: %s", (unsigned)seed, wrong);
		n_refused += refused;
		grammar_free(t.g);
	}
	assert_true(n_refused < n * 3 / 4);
	constrain_vocab_free(v);
	try_words_free(words);
}

static void left_recursion_names_the_circle(void **state)
{
	(void)state;
	struct grammar *g = grammar_new(rx_pool_new(NULL));
	rule_id root = grammar_rule(g, "root"), expr = grammar_rule(g, "expr"), term = grammar_rule(g, NULL);
	rx a = rx_byte(grammar_pool(g), 'a');
	struct hokku_error err;
	grammar_calls(g, grammar_start(g, root), grammar_end(g, root), expr);
	place_id middle = grammar_place(g, grammar_start(g, expr));
	grammar_reads(g, grammar_start(g, expr), middle,
		      rx_repeat(grammar_pool(g), a, 0, 1)); /* may be empty */
	grammar_calls(g, middle, grammar_end(g, expr), term);
	grammar_calls(g, grammar_start(g, term), grammar_end(g, term), expr);
	grammar_reads(g, grammar_start(g, term), grammar_end(g, term), a);
	assert_int_equal(grammar_seal(g, &err), HOKKU_INVALID_REQUEST);
	assert_non_null(strstr(err.message, "(expr -> rule-2 -> expr)"));
	grammar_free(g);
}

/* A rule nested so deep, each in the next, and as many brackets. */
static void depth_needs_no_stack(void **state)
{
	(void)state;
	enum { DEEP = 50000 };
	struct grammar *g = grammar_new(rx_pool_new(NULL));
	rx open = rx_byte(grammar_pool(g), '('), close = rx_byte(grammar_pool(g), ')');
	rule_id rules[2] = {grammar_rule(g, "root"), 0};
	for (int i = 0; i < DEEP; i++) {
		rules[1] = grammar_rule(g, NULL);
		grammar_calls(g, grammar_start(g, rules[0]), grammar_end(g, rules[0]), rules[1]);
		rules[0] = rules[1];
	}
	place_id start = grammar_start(g, rules[0]), end = grammar_end(g, rules[0]);
	place_id inside = grammar_place(g, start), behind = grammar_place(g, start);
	grammar_reads(g, start, inside, open);
	grammar_calls(g, inside, behind, rules[0]);
	grammar_reads(g, behind, end, close);
	grammar_skips(g, inside, behind);
	struct machine m;
	assert_int_equal(grammar_seal(g, NULL), HOKKU_OK);
	assert_true(machine_init(&m, g));
	rx_more_work(m.pool, UINT64_MAX);
	state_id s = machine_start(&m);
	for (int i = 0; i < 2 * DEEP; i++) {
		assert_false(m.states[s].may_end);
		s = machine_step(&m, s, i < DEEP ? '(' : ')');
		assert_true(s != STATE_DEAD && s != STATE_FAILED);
	}
	assert_true(m.states[s].may_end);
	assert_int_equal(machine_step(&m, s, ')'), STATE_DEAD);
	machine_free(&m);
	grammar_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_grammars),
		cmocka_unit_test(left_recursion_names_the_circle),
		cmocka_unit_test(depth_needs_no_stack),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
