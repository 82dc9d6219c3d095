/* DRY against its definition read over texts and tokens one by one, with the fake's words; and what of the
 * past the engine tells a draw: windows of the history, and biases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "engine/past.h"
#include "record.h"

enum { MAX_N = 60 };

static struct hokku_error err;

static struct sampling dry_sampling(float multiplier, float base, int32_t allowed, int32_t last_n)
{
	struct sampling p;
	sampling_defaults(&p, SAMPLING_OWN, NULL);
	p.dry_multiplier = multiplier;
	p.dry_base = base;
	p.dry_allowed_length = allowed;
	p.dry_penalty_last_n = last_n;
	return p;
}

static bool text_holds(const char *text, size_t n, struct str what)
{
	for (size_t i = 0; i + what.len <= n; i++)
		if (memcmp(text + i, what.ptr, what.len) == 0)
			return true;
	return false;
}

/* Where the tokens begin that no breaker's end is in, nor behind: the text up to each is looked through. */
static uint32_t define_begin(const int32_t *ids, uint32_t n, const struct str *breakers, uint32_t n_breakers)
{
	for (uint32_t end = n; end > 0; end--) {
		char text[1024] = "";
		size_t len = 0, last = 0;
		if (ids[end - 1] <= FAKE_BOS)
			return end;
		for (uint32_t i = 0; i < end; i++) {
			struct str s = str_c(fake_pieces[ids[i]]);
			last = len;
			if (ids[i] <= FAKE_BOS) { /* no text goes on across it */
				len = last = 0;
				continue;
			}
			memcpy(text + len, s.ptr, s.len);
			len += s.len;
		}
		for (uint32_t b = 0; b < n_breakers; b++) /* one that ends behind `last` */
			for (size_t at = last + 1; at <= len; at++)
				if (breakers[b].len <= at && memcmp(text + at - breakers[b].len,
								    breakers[b].ptr, breakers[b].len) == 0)
					return end;
	}
	return 0;
}

/* What is taken off a token's logit. */
static double define(const struct sampling *p, const struct str *breakers, uint32_t n_breakers,
		     const int32_t *ids, uint32_t n, int32_t token)
{
	struct str bytes = str_c(fake_pieces[token]);
	uint32_t most = n - define_begin(ids, n, breakers, n_breakers), longest = 0;
	uint32_t first = p->dry_penalty_last_n >= 0 && n > (uint32_t)p->dry_penalty_last_n
				 ? n - (uint32_t)p->dry_penalty_last_n
				 : 0;
	if (token <= FAKE_BOS)
		return 0;
	for (uint32_t b = 0; b < n_breakers; b++)
		if (text_holds(bytes.ptr, bytes.len, breakers[b]))
			return 0;
	for (uint32_t i = first; i + 1 < n; i++) {
		uint32_t length = 0;
		while (length < most && length <= i - first && ids[i - length] == ids[n - 1 - length])
			length++;
		if (ids[i + 1] == token && length > longest)
			longest = length;
	}
	if (longest < (uint32_t)p->dry_allowed_length)
		return 0;
	double penalty = (double)p->dry_multiplier *
			 pow((double)p->dry_base, (double)(longest - (uint32_t)p->dry_allowed_length));
	return penalty < 1e6 ? penalty : 1e6;
}

static uint32_t below(uint64_t seed, uint64_t *at, uint32_t n)
{
	uint32_t words[4];
	rng_words(seed, 4, (*at)++, words);
	return words[0] % n;
}

static void test_definition(void **state)
{
	(void)state;
	static const struct str all[] = {STR_LIT("STO"),  STR_LIT("b"),  STR_LIT("a c"),
					 STR_LIT("lo w"), STR_LIT("ba"), STR_LIT("TS")};
	uint32_t n_some = 0, n_most = 0;
	for (uint64_t seed = 0; seed < 100; seed++) {
		uint64_t at = 0;
		int32_t ids[MAX_N];
		struct hokku_logit_bias out[DRY_MAX_TOKENS];
		struct dry *d;
		struct sampling p = dry_sampling(
			0.5f + (float)below(seed, &at, 3), seed % 5 ? 1 + (float)below(seed, &at, 5) / 4 : 60,
			1 + (int32_t)below(seed, &at, 3),
			below(seed, &at, 3) ? -1 : 1 + (int32_t)below(seed, &at, 30));
		uint32_t n_breakers = below(seed, &at, 4), width = 2 + below(seed, &at, 4);
		const struct str *breakers = all + below(seed, &at, 3);
		assert_int_equal(
			dry_new(&p, breakers, n_breakers, (struct tok *)&fake_object, MAX_N, &d, &err),
			HOKKU_OK);
		uint32_t from = 3 + below(seed, &at, 10);
		for (uint32_t i = 0; i < MAX_N; i++)
			ids[i] = below(seed, &at, 40) == 0
					 ? FAKE_CTL
					 : FAKE_N_VOCAB - 1 - (int32_t)below(seed, &at, width);
		for (uint32_t n = 1; n <= MAX_N; n += n == 1 ? from : 1) {
			uint32_t n_out = dry_make(d, ids, n, out), k = 0;
			for (int32_t t = 0; t < FAKE_N_VOCAB; t++) {
				double wanted = define(&p, breakers, n_breakers, ids, n, t);
				double got = k < n_out && out[k].token == t ? -(double)out[k++].bias : 0;
				if (fabs(got - wanted) > 1e-6 * wanted)
					fail_msg("seed %d, %u ids, token %d: %g, not %g", (int)seed, n, t,
						 got, wanted);
				n_some += wanted > 0;
				n_most += wanted >= 1e6;
			}
			assert_int_equal(k, n_out); /* ascending, and each once */
		}
		dry_free(d);
	}
	assert_true(n_some > 500 && n_most > 5);
}

/* By hand. */
static void test_lengths(void **state)
{
	(void)state;
	static const int32_t ids[] = {FAKE_A, FAKE_B, FAKE_S, FAKE_A, FAKE_B,
				      FAKE_T, FAKE_B, FAKE_S, FAKE_A, FAKE_B};
	struct sampling p = dry_sampling(2, 3, 2, -1);
	struct hokku_logit_bias out[DRY_MAX_TOKENS];
	struct dry *d;
	assert_int_equal(dry_new(&p, NULL, 0, (struct tok *)&fake_object, 10, &d, &err), HOKKU_OK);
	/* "a b" before S: two alike, 2; "b S a b" before T: four alike, 2 * 3^2. */
	assert_int_equal(dry_make(d, ids, 10, out), 2);
	assert_true(out[0].token == FAKE_S && out[0].bias == -2 && out[1].token == FAKE_T &&
		    out[1].bias == -18);
	dry_free(d);
	/* Nothing goes across S. */
	const struct str s = STR_LIT("S");
	assert_int_equal(dry_new(&p, &s, 1, (struct tok *)&fake_object, 10, &d, &err), HOKKU_OK);
	assert_int_equal(dry_make(d, ids, 10, out), 1);
	assert_true(out[0].token == FAKE_T && out[0].bias == -2); /* S itself breaks */
	dry_free(d);
	p.dry_multiplier = 0;
	assert_int_equal(dry_new(&p, &s, 1, (struct tok *)&fake_object, 10, &d, &err), HOKKU_OK);
	assert_null(d);
	p = dry_sampling(1, 2, 2, 0);
	assert_int_equal(dry_new(&p, &s, 1, (struct tok *)&fake_object, 10, &d, &err), HOKKU_OK);
	assert_null(d);
}

/* Of more tokens than there may be biases the longest repetitions count, of equal ones the smallest ids. */
static void test_most(void **state)
{
	(void)state;
	enum { N = DRY_MAX_TOKENS + 1 };
	static int32_t ids[2 * N + 4];
	static struct hokku_logit_bias out[DRY_MAX_TOKENS];
	for (uint32_t more = 0; more < 3; more++) { /* n - 1, n and n + 1 */
		struct sampling p = dry_sampling(1, 2, 1, -1);
		struct dry *d;
		uint32_t n = 0, n_tokens = DRY_MAX_TOKENS - 1 + more;
		/* A before each, the largest first; before the largest "b A". */
		ids[n++] = FAKE_B;
		for (uint32_t i = 0; i < n_tokens; i++) {
			ids[n++] = FAKE_A;
			ids[n++] = 100 + (int32_t)(n_tokens - i);
		}
		ids[n++] = FAKE_B;
		ids[n++] = FAKE_A;
		assert_int_equal(dry_new(&p, NULL, 0, (struct tok *)&fake_object, n, &d, &err), HOKKU_OK);
		uint32_t n_out = dry_make(d, ids, n, out);
		assert_int_equal(n_out, n_tokens < DRY_MAX_TOKENS ? n_tokens : DRY_MAX_TOKENS);
		for (uint32_t i = 0; i + 1 < n_out; i++)
			assert_true(out[i].token == 101 + (int32_t)i && out[i].bias == -1);
		assert_true(out[n_out - 1].token == 100 + (int32_t)n_tokens && out[n_out - 1].bias == -2);
		dry_free(d);
	}
}

static void test_breakers(void **state)
{
	(void)state;
	struct str many[DRY_MAX_BREAKERS + 1];
	static const char text[DRY_MAX_BREAKER_BYTES + 1] = {1};
	for (uint32_t i = 0; i <= DRY_MAX_BREAKERS; i++)
		many[i] = str_c("x");
	for (uint32_t n = DRY_MAX_BREAKERS - 1; n <= DRY_MAX_BREAKERS + 1; n++)
		assert_int_equal(dry_check(many, n, &err),
				 n <= DRY_MAX_BREAKERS ? HOKKU_OK : HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message, "dry_sequence_breakers has 65 texts; 64 are allowed");
	for (size_t n = DRY_MAX_BREAKER_BYTES - 1; n <= DRY_MAX_BREAKER_BYTES + 1; n++) {
		many[1] = (struct str){text, n};
		assert_int_equal(dry_check(many, 2, &err),
				 n <= DRY_MAX_BREAKER_BYTES ? HOKKU_OK : HOKKU_INVALID_REQUEST);
	}
	assert_string_equal(err.message, "dry_sequence_breakers[1] has 65 bytes; it takes 1 to 64");
	many[0].len = 0;
	assert_int_equal(dry_check(many, 1, &err), HOKKU_INVALID_REQUEST);
}

/* ---- what a draw is told ---- */

static void describe(struct sampling p, uint32_t n, uint32_t n_prompt, struct compute_seq *out)
{
	static const int32_t ids[20] = {0};
	struct job job = {.sampling = p};
	*out = (struct compute_seq){.history = ids, .n_history = n, .n_prompt = n_prompt, .id = 7};
	past_describe(&job, out);
	assert_ptr_equal(out->history, ids + n - out->n_history);
}

static void test_windows(void **state)
{
	(void)state;
	struct sampling p;
	struct compute_seq seq;
	sampling_defaults(&p, SAMPLING_OWN, NULL);
	assert_false(past_is_looked_at(&p));
	p.repeat_last_n = 4; /* of no use without a penalty */
	describe(p, 9, 6, &seq);
	assert_true(!past_is_looked_at(&p) && seq.n_history == 9 && seq.id == 7);
	p.repetition_penalty = 1.5f;
	assert_true(past_is_looked_at(&p));
	const struct {
		int32_t last_n;
		uint32_t n_history, n_prompt;
	} rows[] = {{-1, 9, 6}, {10, 9, 6}, {9, 9, 6}, {8, 8, 5}, {4, 4, 1}, {3, 3, 0}, {2, 2, 0}, {0, 0, 0}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		p.repeat_last_n = rows[i].last_n;
		describe(p, 9, 6, &seq);
		assert_true(seq.n_history == rows[i].n_history && seq.n_prompt == rows[i].n_prompt);
		assert_true(seq.id == (rows[i].n_history == 9 ? 7u : 0u));
	}
}

/* The device is given the biases of what came before, its own first; alone and running ahead. */
static void test_through_engine(void **state)
{
	(void)state;
	for (int ahead = 0; ahead < 2; ahead++) {
		struct record r;
		const struct hokku_logit_bias own = {FAKE_C, 1};
		fake_runs_ahead = ahead;
		fake_reset(SCRIPT(FAKE_S, FAKE_A, FAKE_B, FAKE_S, FAKE_END));
		struct engine *e = start();
		record_init(&r, e);
		struct engine_request q = request_for(&r); /* a, b, " c" */
		q.sampling.dry_multiplier = 1;
		q.sampling.dry_base = 2;
		q.sampling.bias = &own;
		q.sampling.n_bias = 1;
		q.dry_breakers = &(struct str){0};
		q.logprobs = true;
		assert_int_equal(engine_submit(e, &q, &r.id, &err), HOKKU_OK);
		wait_end(&r);
		assert_string_equal(r.log.ptr, "start:3 0:12=S 1:3=a 2:4=b 3:12=S end:end");
		/* As of the last draw, behind a b c S a b S: nothing is repeated; before it " c" was. */
		assert_int_equal(fake.most_biases, 2);
		engine_destroy(e, 0);
		record_free(&r);
	}
	fake_runs_ahead = false;
}

/* An answer that was begun elsewhere has no state of mirostat; greedy there is none. */
static void test_mirostat_elsewhere(void **state)
{
	(void)state;
	struct record r;
	uint64_t id;
	fake_reset(SCRIPT(FAKE_END));
	struct engine *e = start();
	record_init(&r, e);
	struct engine_request q = request_for(&r);
	q.sampling.mirostat = 2;
	q.n_answered = 1;
	assert_int_equal(engine_submit(e, &q, &id, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message,
			    "mirostat is 2; it cannot go on with an answer that was begun elsewhere, "
			    "as what it has come to there is not known");
	q.sampling.temperature = 0;
	assert_int_equal(engine_submit(e, &q, &id, &err), HOKKU_OK);
	wait_end(&r);
	engine_destroy(e, 0);
	record_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_definition),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_breakers),
		cmocka_unit_test(test_most),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_through_engine),
		cmocka_unit_test(test_mirostat_elsewhere),
	};
	return cmocka_run_group_tests_name("dry", tests, NULL, NULL);
}
