/* Which tokens may come and which end an answer: the masks against a plain definition, and the engine over
 * the scripted model of fake.h, on a device that waits and on one that runs ahead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "base/rng.h"
#include "record.h"

static struct hokku_error err;

/* ---- masks ---- */

enum { N_VOCAB = 70, N_WORDS = 3, N_ANSWER = 12 };

static uint32_t below(uint64_t seed, uint64_t *at, uint32_t n)
{
	uint32_t words[4];
	rng_words(seed, 3, (*at)++, words);
	return words[0] % n;
}

struct made {
	struct token_rules rules;
	int32_t stops[4], allowed[N_VOCAB], bad[64];
	struct hokku_logit_bias bias[4];
	uint32_t n_bias;
	bool is_end[N_VOCAB];
	uint32_t ends[N_WORDS];
};

static bool holds(const int32_t *ids, uint32_t n, int32_t token)
{
	for (uint32_t i = 0; i < n; i++)
		if (ids[i] == token)
			return true;
	return false;
}

/* A token at a time, as docs/sampling.md says it. */
static bool may_come(const struct made *m, const int32_t *answer, uint32_t n, uint32_t n_drawn, int32_t token)
{
	const struct token_rules *r = &m->rules;
	bool stops = holds(r->stop_tokens, r->n_stop_tokens, token);
	if (r->n_allowed && !holds(r->allowed, r->n_allowed, token))
		return false;
	for (uint32_t i = 0; i < m->n_bias; i++)
		if (m->bias[i].token == token && m->bias[i].bias == -INFINITY)
			return false;
	if (r->ignore_eos && m->is_end[token] && !stops)
		return false;
	if (n_drawn < r->min_tokens && (m->is_end[token] || stops))
		return false;
	for (uint32_t i = 0, begin = 0; i < r->n_bad_ids; i++) {
		if (r->bad_words[i] != -1)
			continue;
		uint32_t len = i - begin;
		bool same = r->bad_words[i - 1] == token && len - 1 <= n;
		for (uint32_t k = 0; same && k + 1 < len; k++)
			same = answer[n - (len - 1) + k] == r->bad_words[begin + k];
		if (same)
			return false;
		begin = i + 1;
	}
	return true;
}

static void make(struct made *m, uint64_t seed)
{
	uint64_t at = 0;
	*m = (struct made){0};
	struct token_rules *r = &m->rules;
	r->min_tokens = below(seed, &at, 3) ? 0 : below(seed, &at, 8);
	r->ignore_eos = below(seed, &at, 3) == 0;
	r->stop_tokens = m->stops;
	r->allowed = m->allowed;
	r->bad_words = m->bad;
	r->n_stop_tokens = below(seed, &at, 4);
	for (uint32_t i = 0; i < r->n_stop_tokens; i++)
		m->stops[i] = (int32_t)below(seed, &at, N_VOCAB);
	r->n_allowed = below(seed, &at, 2) ? 0 : 1 + below(seed, &at, N_VOCAB);
	for (uint32_t i = 0; i < r->n_allowed; i++)
		m->allowed[i] = (int32_t)below(seed, &at, N_VOCAB);
	uint32_t n_words = below(seed, &at, 6);
	for (uint32_t w = 0; w < n_words; w++) {
		uint32_t len = 1 + below(seed, &at, 4);
		for (uint32_t i = 0; i < len; i++)
			m->bad[r->n_bad_ids++] = (int32_t)below(seed, &at, i + 1 < len ? 3 : N_VOCAB);
		m->bad[r->n_bad_ids++] = -1;
	}
	m->n_bias = below(seed, &at, 5);
	for (uint32_t i = 0; i < m->n_bias; i++)
		m->bias[i] = (struct hokku_logit_bias){(int32_t)below(seed, &at, N_VOCAB),
						       below(seed, &at, 2) ? -INFINITY : -5};
	for (uint32_t i = 0; i < N_VOCAB; i++) {
		m->is_end[i] = below(seed, &at, 20) == 0;
		m->ends[i / 32] |= (uint32_t)m->is_end[i] << i % 32;
	}
}

static void compare(const struct made *m, struct rules *r, const int32_t *answer, uint32_t n,
		    uint32_t n_drawn, const uint32_t *shape)
{
	const uint32_t *mask = rules_mask(r, answer, n, n_drawn, shape);
	uint32_t n_left = 0;
	for (int32_t t = 0; t < N_WORDS * 32; t++) {
		bool in_shape = !shape || (shape[t / 32] >> t % 32 & 1);
		bool wanted = t < N_VOCAB && in_shape && may_come(m, answer, n, n_drawn, t);
		bool got = t < N_VOCAB && (!mask || (mask[t / 32] >> t % 32 & 1));
		if (wanted != got)
			fail_msg("token %d behind %u tokens: %d, not %d", t, n, got, wanted);
		n_left += wanted;
	}
	if (r && mask != shape)
		assert_true(rules_left_none(r) == (n_left == 0));
}

static void test_masks(void **state)
{
	(void)state;
	uint32_t n_none = 0, n_back = 0;
	for (uint64_t seed = 0; seed < 400; seed++) {
		struct made m;
		struct rules *r;
		int32_t answer[N_ANSWER];
		uint32_t shape[N_WORDS] = {0};
		uint64_t at = 1000;
		make(&m, seed);
		assert_int_equal(rules_check(&m.rules, N_VOCAB, 0, &err), HOKKU_OK);
		assert_int_equal(rules_new(&m.rules, m.bias, m.n_bias, m.ends, N_VOCAB, &r, &err), HOKKU_OK);
		n_none += !r;
		n_back += rules_look_back(r);
		for (uint32_t i = 0; i < N_ANSWER; i++)
			answer[i] = (int32_t)below(seed, &at, 3);
		for (uint32_t t = 0; t < N_VOCAB; t++)
			shape[t / 32] |= (uint32_t)(below(seed, &at, 4) == 0) << t % 32;
		for (uint32_t n = 0; n <= N_ANSWER; n++) {
			compare(&m, r, answer, n, n, NULL);
			compare(&m, r, answer, n, n / 2, seed % 2 ? shape : NULL);
		}
		for (int32_t t = 0; t < N_VOCAB; t++)
			assert_true(rules_stop(r, t) == holds(m.stops, m.rules.n_stop_tokens, t));
		rules_free(r);
	}
	assert_true(n_none > 0 && n_back > 100);
}

/* ---- limits ---- */

static void test_limits(void **state)
{
	(void)state;
	static int32_t ids[RULES_MAX_ALLOWED + 1], bad[RULES_MAX_BAD_IDS + 2];
	const struct {
		const char *what;
		uint32_t most;
	} rows[] = {{"stop_token_ids has 257 tokens; 256 are allowed", RULES_MAX_STOP_TOKENS},
		    {"allowed_token_ids has 262145 tokens; 262144 are allowed", RULES_MAX_ALLOWED}};
	for (uint32_t i = 0; i < 2; i++)
		for (uint32_t n = rows[i].most - 1; n <= rows[i].most + 1; n++) {
			const struct token_rules r = {.stop_tokens = ids,
						      .n_stop_tokens = i == 0 ? n : 0,
						      .allowed = ids,
						      .n_allowed = i == 1 ? n : 0};
			bool good = n <= rows[i].most;
			assert_int_equal(rules_check(&r, 1, 0, &err),
					 good ? HOKKU_OK : HOKKU_INVALID_REQUEST);
			if (!good)
				assert_string_equal(err.message, rows[i].what);
		}
	for (uint32_t n = RULES_MAX_BAD_IDS - 1; n <= RULES_MAX_BAD_IDS + 1; n++) {
		struct token_rules r = {.bad_words = bad, .n_bad_ids = n};
		memset(bad, 0, sizeof bad);
		bad[n - 1] = -1;
		assert_int_equal(rules_check(&r, 1, 0, &err),
				 n <= RULES_MAX_BAD_IDS ? HOKKU_OK : HOKKU_INVALID_REQUEST);
	}
	assert_string_equal(err.message,
			    "bad_words have 32769 tokens, with one more for each; 32768 are allowed");
	for (uint32_t n = 9; n <= 11; n++)
		assert_int_equal(rules_check(&(struct token_rules){.min_tokens = n}, 1, 10, &err),
				 n <= 10 ? HOKKU_OK : HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message,
			    "min_tokens is 11 and max_tokens 10; the least cannot be more than the most");
	assert_int_equal(rules_check(&(struct token_rules){.min_tokens = INT32_MAX}, 1, 0, &err), HOKKU_OK);
}

static void test_bad_ids(void **state)
{
	(void)state;
	const struct {
		struct token_rules rules;
		const char *message;
	} rows[] = {
		{{.stop_tokens = (int32_t[]){9, 10}, .n_stop_tokens = 2},
		 "stop_token_ids names token 10; the vocabulary has 0 to 9"},
		{{.allowed = (int32_t[]){-1}, .n_allowed = 1},
		 "allowed_token_ids names token -1; the vocabulary has 0 to 9"},
		{{.n_allowed = 1}, "allowed_token_ids is NULL, and is said to have 1 tokens"},
		{{.bad_words = (int32_t[]){1, 2}, .n_bad_ids = 2}, "bad_words do not end with -1"},
		{{.bad_words = (int32_t[]){1, -1, -1}, .n_bad_ids = 3}, "one of bad_words is empty"},
		{{.bad_words = (int32_t[]){-1}, .n_bad_ids = 1}, "one of bad_words is empty"},
		{{.bad_words = (int32_t[]){10, -1}, .n_bad_ids = 2},
		 "bad_words name token 10; the vocabulary has 0 to 9"},
		{{.bad_words = (int32_t[]){1, -2, -1}, .n_bad_ids = 3},
		 "bad_words name token -2; the vocabulary has 0 to 9"},
		{{.min_tokens = (uint32_t)INT32_MAX + 1},
		 "min_tokens is 2147483648; it takes 0 to 2147483647"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(rules_check(&rows[i].rules, 10, 0, &err), HOKKU_INVALID_REQUEST);
		assert_string_equal(err.message, rows[i].message);
	}
}

/* ---- answers ---- */

struct ask {
	struct token_rules rules;
	const char *stop, *choices;
	uint32_t max_tokens;
	struct hokku_logit_bias never; /* bias 0: none */
	bool logprobs;
};

static int32_t stop_text, stop_token;

static void on_end(void *user, const struct engine_event *event)
{
	if (event->kind == ENGINE_END) {
		stop_text = event->stop_text;
		stop_token = event->stop_token;
	}
	on_event(user, event);
}

/* The answer's log; on a device that waits and on one that runs ahead it is the same. */
static const char *ask(const int32_t *script, uint32_t n_script, struct ask a)
{
	static char logs[2][512];
	for (int ahead = 0; ahead < 2; ahead++) {
		struct record r;
		struct str stop = str_c(a.stop ? a.stop : "");
		fake_runs_ahead = ahead;
		fake_reset(script, n_script);
		struct engine *e = start();
		record_init(&r, e);
		struct engine_request q = request_for(&r);
		q.max_tokens = a.max_tokens;
		q.rules = a.rules;
		q.stop = &stop;
		q.n_stop = a.stop != NULL;
		q.logprobs = a.logprobs;
		q.on_event = on_end;
		q.sampling.bias = &a.never;
		q.sampling.n_bias = a.never.bias != 0;
		const struct constrain_shape shape = {.kind = CONSTRAIN_CHOICE,
						      .text = str_c(a.choices ? a.choices : "")};
		if (a.choices)
			assert_int_equal(engine_make_shape(e, &shape, &q.shape, NULL, &err), HOKKU_OK);
		if (engine_submit(e, &q, &r.id, &err))
			fail_msg("%s", err.message);
		if (q.shape)
			constrain_unref(q.shape);
		wait_end(&r);
		if (r.code)
			strbuf_addf(&r.log, " %s", r.error.message);
		snprintf(logs[ahead], sizeof logs[ahead], "%s", r.log.ptr);
		engine_destroy(e, 0);
		record_free(&r);
	}
	fake_runs_ahead = false;
	assert_string_equal(logs[0], logs[1]);
	return logs[0];
}

#define RULES(...) ((struct ask){.rules = {__VA_ARGS__}})

static void test_ends(void **state)
{
	(void)state;
	/* The fake draws its script's token, or the first that the mask allows: 1, the control token. */
	assert_string_equal(ask(SCRIPT(FAKE_A, FAKE_END, FAKE_END, FAKE_B, FAKE_END), RULES(.min_tokens = 3)),
			    "start:3 0:3=a 1:1= 2:1= 3:4=b end:end");
	for (uint32_t n = 0; n <= 2; n++) {
		const char *wanted[] = {"start:3 0:3=a end:end", "start:3 0:3=a end:end",
					"start:3 0:3=a 1:1= end:end"};
		assert_string_equal(ask(SCRIPT(FAKE_A, FAKE_END, FAKE_END), RULES(.min_tokens = n)),
				    wanted[n]);
	}
	struct ask a = RULES(.ignore_eos = true);
	a.max_tokens = 3;
	assert_string_equal(ask(SCRIPT(FAKE_END, FAKE_END, FAKE_END), a),
			    "start:3 0:1= 1:1= 2:1= end:length");
	/* One that is named all the same. */
	a.rules.stop_tokens = (int32_t[]){FAKE_END};
	a.rules.n_stop_tokens = 1;
	assert_string_equal(ask(SCRIPT(FAKE_A, FAKE_END), a), "start:3 0:3=a end:stop");
	assert_int_equal(stop_token, FAKE_END);
}

static void test_stop_tokens(void **state)
{
	(void)state;
	int32_t ids[] = {FAKE_B, FAKE_STOP};
	struct ask a = RULES(.stop_tokens = ids, .n_stop_tokens = 2);
	assert_string_equal(ask(SCRIPT(FAKE_A, FAKE_STOP), a), "start:3 0:3=a end:stop");
	assert_true(stop_token == FAKE_STOP && stop_text == -1);
	assert_string_equal(ask(SCRIPT(FAKE_A, FAKE_END), a), "start:3 0:3=a end:end");
	assert_true(stop_token == -1 && stop_text == -1);
	/* What was held back comes with it. */
	assert_string_equal(ask(SCRIPT(FAKE_A, FAKE_E3, FAKE_B), a),
			    "start:3 0:3=a 1:7= 2:4=\xEF\xBF\xBD end:stop");
	a.rules.min_tokens = 2;
	assert_string_equal(ask(SCRIPT(FAKE_B, FAKE_STOP, FAKE_B), a), "start:3 0:1= 1:1= end:stop");
	a.rules.min_tokens = 0;
	a.rules.include_stop = true;
	assert_string_equal(ask(SCRIPT(FAKE_A, FAKE_STOP, FAKE_A), a), "start:3 0:3=a 1:11=STOP end:stop");
	assert_int_equal(stop_token, FAKE_STOP);
	a.stop = "OP";
	assert_string_equal(ask(SCRIPT(FAKE_A, FAKE_STOP, FAKE_A), a), "start:3 0:3=a 1:11=STOP end:stop");
	assert_true(stop_token == -1 && stop_text == 0);
}

static void test_stop_texts(void **state)
{
	(void)state;
	struct ask a = RULES(.include_stop = true);
	a.stop = "STO";
	assert_string_equal(ask(SCRIPT(FAKE_A, FAKE_STOP, FAKE_B), a), "start:3 0:3=a 1:11=STO end:stop");
	assert_string_equal(ask(SCRIPT(FAKE_A, FAKE_S, FAKE_T, FAKE_OP), a),
			    "start:3 0:3=a 1:12= 2:13= 3:14=STO end:stop");
	assert_string_equal(ask(SCRIPT(FAKE_A, FAKE_S, FAKE_T, FAKE_END), a),
			    "start:3 0:3=a 1:12= 2:13= 3:0=ST end:end");
	/* Within the first min_tokens none is looked for, nor one that begins there. */
	a = RULES(.min_tokens = 2);
	a.stop = "ST";
	assert_string_equal(ask(SCRIPT(FAKE_STOP, FAKE_S, FAKE_T, FAKE_A, FAKE_S, FAKE_T), a),
			    "start:3 0:11=STOP 1:12=S 2:13=T 3:3=a 4:12= 5:13= end:stop");
	a.rules.min_tokens = 1;
	assert_string_equal(ask(SCRIPT(FAKE_STOP, FAKE_S, FAKE_T), a),
			    "start:3 0:11=STOP 1:12= 2:13= end:stop");
	a.rules.min_tokens = a.max_tokens = 2;
	assert_string_equal(ask(SCRIPT(FAKE_S, FAKE_T), a), "start:3 0:12=S 1:13=T end:length");
}

static void test_which_come(void **state)
{
	(void)state;
	int32_t allowed[] = {FAKE_B, FAKE_C, FAKE_END};
	struct ask a = RULES(.allowed = allowed, .n_allowed = 3);
	assert_string_equal(ask(SCRIPT(FAKE_B, FAKE_C, FAKE_A), a), "start:3 0:4=b 1:6= c end:end");
	a = (struct ask){.never = {FAKE_END, -INFINITY}, .max_tokens = 2};
	assert_string_equal(ask(SCRIPT(FAKE_A, FAKE_END), a), "start:3 0:3=a 1:1= end:length");
	/* "a", "b", "b" in a row, and the token STOP; of the prompt (a, b, " c") nothing counts. */
	int32_t bad[] = {FAKE_A, FAKE_B, FAKE_B, -1, FAKE_STOP, -1, FAKE_C, FAKE_A, -1};
	a = RULES(.bad_words = bad, .n_bad_ids = 9);
	assert_string_equal(
		ask(SCRIPT(FAKE_A, FAKE_B, FAKE_B, FAKE_B, FAKE_STOP, FAKE_A, FAKE_B, FAKE_C, FAKE_A), a),
		"start:3 0:3=a 1:4=b end:end");
	a.rules.ignore_eos = true;
	a.max_tokens = 10;
	static const int32_t script[] = {FAKE_A, FAKE_B, FAKE_B, FAKE_B, FAKE_STOP,
					 FAKE_A, FAKE_B, FAKE_C, FAKE_A, FAKE_A};
	const char *wanted = "start:3 0:3=a 1:4=b 2:1= 3:4=b 4:1= 5:3=a 6:4=b 7:6= c 8:1= 9:3=a end:length";
	assert_string_equal(ask(script, 10, a), wanted);
	a.logprobs = true;
	assert_string_equal(ask(script, 10, a), wanted);
}

/* Where nothing is left the request says which rules left it so; with a shape too, which knows of no rules.
 */
static void test_nothing_left(void **state)
{
	(void)state;
	int32_t allowed[] = {FAKE_A}, bad[] = {FAKE_A, FAKE_A, -1};
	struct ask a = RULES(.allowed = allowed, .n_allowed = 1, .bad_words = bad, .n_bad_ids = 3);
	assert_string_equal(
		ask(SCRIPT(FAKE_A, FAKE_A), a),
		"start:3 0:3=a error:INVALID_REQUEST no token may come at position 4: "
		"allowed_token_ids, bad_words, logit_bias, min_tokens and ignore_eos together leave "
		"none");
	a = RULES(.min_tokens = 2);
	a.choices = "[\"ab\"]";
	assert_string_equal(
		ask(SCRIPT(FAKE_A, FAKE_B), a),
		"start:3 0:5=ab error:INVALID_REQUEST no token may come at position 4: "
		"allowed_token_ids, bad_words, logit_bias, min_tokens and ignore_eos together leave "
		"none of those that the answer's shape allows");
	a.rules.min_tokens = 1;
	assert_string_equal(ask(SCRIPT(FAKE_A, FAKE_B), a), "start:3 0:5=ab end:end");
	/* A word that the shape would like, another way. */
	int32_t ab[] = {FAKE_AB, -1, FAKE_A, FAKE_B, -1};
	a = RULES(.bad_words = ab, .n_bad_ids = 5);
	a.choices = "[\"abT\", \"aT\"]";
	assert_string_equal(ask(SCRIPT(FAKE_A, FAKE_B), a), "start:3 0:3=a 1:13=T end:end");
}

/* ---- thinking that must end ---- */

/* Small pieces of which ends, and what looks like one, can be made in several ways; one half of a character.
 */
static const char *const pieces[] = {"<",  "/",    "t>",   "</t>",     "a", "</",
				     "<<", "\xC3", "\xA9", "\xC3\xA9", "t", ">"};
enum { N_PIECES = sizeof pieces / sizeof *pieces, N_THOUGHT = 24 };
static const int32_t close_ids[] = {5, 10, 11}; /* </ t > */

static struct str piece_bytes(const void *user, int32_t token)
{
	(void)user;
	return str_c(pieces[token]);
}

/* By the definition: all of the answer's text looked at anew. -1: nothing must come. */
static int32_t must_come(const struct rules_thinking *t, const int32_t *answer, uint32_t n)
{
	char text[128] = "";
	uint32_t thought = 0, forced_at = UINT32_MAX;
	for (uint32_t i = 0; i < n; i++) {
		bool opened = strlen(text) >= t->open.len;
		strcat(text, pieces[answer[i]]);
		if (strncmp(text, t->open.ptr, strlen(text) < t->open.len ? strlen(text) : t->open.len) != 0)
			return -1; /* it does not think */
		if (strlen(text) >= t->open.len && strstr(text + t->open.len, "</t>"))
			return -1; /* it has thought */
		thought += opened;
		bool half = answer[i] == 7 || answer[i] == 8;
		if (strlen(text) >= t->open.len && thought >= t->max && !half && forced_at == UINT32_MAX)
			forced_at = i + 1;
	}
	if (forced_at == UINT32_MAX)
		return -1;
	for (uint32_t k = 2;; k--)
		if (k <= n - forced_at && memcmp(answer + n - k, close_ids, k * sizeof *answer) == 0)
			return close_ids[k];
}

static void thinking_ends(void **state)
{
	(void)state;
	uint32_t ends[1] = {0}, seen = 0, forced = 0;
	uint64_t at = 0;
	for (uint64_t round = 0; round < 3000; round++) {
		bool marked = below(11, &at, 2);
		const struct token_rules rules = {.thinking = {.max = 1 + below(11, &at, 6),
							       .open = str_c(marked ? "<<" : ""),
							       .close = str_c("</t>"),
							       .close_ids = close_ids,
							       .n_close = 3,
							       .bytes = piece_bytes}};
		struct rules *r, *anew;
		int32_t answer[N_THOUGHT];
		assert_int_equal(rules_check(&rules, N_PIECES, 0, &err), HOKKU_OK);
		assert_int_equal(rules_new(&rules, NULL, 0, ends, N_PIECES, &r, &err), HOKKU_OK);
		assert_true(rules_look_back(r));
		for (uint32_t n = 0; n < N_THOUGHT; n++) {
			int32_t want = must_come(&rules.thinking, answer, n);
			const uint32_t *mask = rules_mask(r, answer, n, n, NULL);
			assert_int_equal(rules_new(&rules, NULL, 0, ends, N_PIECES, &anew, &err), HOKKU_OK);
			const uint32_t *other = rules_mask(anew, answer, n, n, NULL);
			assert_int_equal(mask != NULL, want >= 0);
			assert_int_equal(other != NULL, want >= 0);
			if (want >= 0) {
				assert_int_equal(mask[0], 1u << want);
				assert_int_equal(other[0], 1u << want);
				forced++;
			}
			rules_free(anew);
			/* What was forced comes, but sometimes not (a shape may force other tokens). */
			answer[n] = want >= 0 && below(11, &at, 8) ? want : (int32_t)below(11, &at, N_PIECES);
			seen++;
		}
		/* Told again from an earlier place on. */
		uint32_t n = below(11, &at, N_THOUGHT);
		const uint32_t *mask = rules_mask(r, answer, n, n, NULL);
		assert_int_equal(mask ? (int32_t)mask[0] : -1,
				 must_come(&rules.thinking, answer, n) < 0
					 ? -1
					 : 1 << must_come(&rules.thinking, answer, n));
		rules_free(r);
	}
	assert_true(seen > 1000 && forced > 1000);
	/* What the shape does not let through does not come all the same. */
	const struct token_rules one = {.thinking = {.max = 1,
						     .close = str_c("</t>"),
						     .close_ids = close_ids,
						     .n_close = 3,
						     .bytes = piece_bytes}};
	struct rules *r;
	const uint32_t shape = 1u << 4;
	assert_int_equal(rules_new(&one, NULL, 0, ends, N_PIECES, &r, &err), HOKKU_OK);
	assert_int_equal(rules_mask(r, (int32_t[]){4}, 1, 1, &shape)[0], 0);
	assert_true(rules_left_none(r));
	rules_free(r);
	/* An end that nothing marks. */
	struct token_rules bad = one;
	bad.thinking.n_close = 0;
	assert_int_equal(rules_check(&bad, N_PIECES, 0, &err), HOKKU_INVALID_REQUEST);
	bad = one;
	bad.thinking.close = (struct str){"", 0};
	assert_int_equal(rules_check(&bad, N_PIECES, 0, &err), HOKKU_INVALID_REQUEST);
}

/* ---- and what may come out of it ---- */

/* A token's text is what stands between two bars. */
struct cut {
	struct str texts[12];
	uint32_t n;
};

static struct str cut_bytes(const void *user, int32_t token)
{
	return ((const struct cut *)user)->texts[token];
}

static struct cut cut_at_bars(const char *text)
{
	struct cut c = {0};
	for (const char *end; *text; text = *end ? end + 1 : end) {
		end = strchr(text, '!') ? strchr(text, '!') : text + strlen(text);
		c.texts[c.n++] = (struct str){text, (size_t)(end - text)};
	}
	return c;
}

/* Where a call, or text, has come out of thinking, what closes thinking is not put into it. `want` has a sign
 * before each token and behind the last: + the closing token must come there, - it must not. */
static void what_leaves_thinking(void **state)
{
	(void)state;
	static const struct {
		const char *dialect, *thinking, *answer, *want;
	} rows[] = {
		{"qwen3-coder", "think", "a!b!c!d", "--+++"},
		/* A call of a tool that was given; one that was not; what looks like one. */
		{"qwen3-coder", "think", "a!<tool_call>!\n<function=f!>\n!<parameter=a>!1", "-------"},
		{"qwen3-coder", "think", "a!<tool_call>!\n<function=g!>\n!<parameter=a>!1", "----+++"},
		{"qwen3-coder", "think", "a!<tool_call>!no!b", "---++"},
		{"qwen3-coder", "think", "a!<tool_!call>!<function=f>!</function>", "--+---"},
		{"qwen3-coder", "think", "<tool_call>!<function=f>!</function>!</tool_call>!a", "------"},
		{"qwen3-coder", "think", "a!</think>!<tool_call>!<function=f>!</function>", "------"},
		/* Models that close their thinking: a call in it is thinking. */
		{"hermes", "think", "a!<tool_call>!{\"name\": \"f\"!, \"arguments\": {}}", "--+++"},
		/* Where thinking is not told apart, a call is one for every dialect. */
		{"hermes", NULL, "a!<tool_call>!{\"name\": \"f\"!, \"arguments\": {}}!b!c", "-------"},
		{"hermes", NULL, "a!b!c", "--++"},
		{"minimax-m2", "think", "a!<minimax:tool_call>!<invoke name=\"f\">!</invoke>!a", "------"},
		/* A marker around text. */
		{"command-r7b", "command", "a!<|START_RESPONSE|>!b!c", "-----"},
		{"kimi-k3", "kimi-k3", "a!<|open|>response<|sep|>!b!c", "-----"},
		{"harmony", "harmony", "<|channel|>analysis<|message|>!a!b!c", "---++"},
		{"harmony", "harmony",
		 "<|channel|>analysis<|message|>!a!<|start|>!assistant<|channel|>final<|message|>!b",
		 "------"},
	};
	struct jv_doc tools;
	uint32_t ends[1] = {0};
	assert_int_equal(jv_parse(STR_LIT("[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"),
				  JV_STRICT, &tools, NULL),
			 HOKKU_OK);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct cut cut = cut_at_bars(rows[i].answer);
		const struct dialect_thinking *marks =
			dialect_thinking_find(rows[i].thinking ? rows[i].thinking : "think");
		bool begins = strcmp(rows[i].dialect, "harmony") == 0;
		const struct dialect_reading how = {.dialect = dialect_find(rows[i].dialect),
						    .thinking = rows[i].thinking ? marks : NULL,
						    .tools = &tools.root,
						    .prompt = str_c(begins ? "" : marks->open)};
		const struct token_rules rules = {.thinking = {.max = 2,
							       .open = str_c(begins ? marks->open : ""),
							       .close = str_c(marks->close),
							       .close_ids = (const int32_t[]){12},
							       .n_close = 1,
							       .how = &how,
							       .bytes = cut_bytes,
							       .user = &cut}};
		const int32_t answer[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
		struct rules *r;
		assert_int_equal(strlen(rows[i].want), cut.n + 1);
		for (int again = 0; again < 2; again++) {
			assert_int_equal(rules_new(&rules, NULL, 0, ends, 13, &r, &err), HOKKU_OK);
			if (again) /* told again from the beginning on */
				rules_mask(r, answer, cut.n, cut.n, NULL);
			for (uint32_t n = 0; n <= cut.n; n++) {
				const uint32_t *mask = rules_mask(r, answer, n, n, NULL);
				if ((rows[i].want[n] == '+') != (mask && mask[0] == 1u << 12))
					fail_msg("row %zu, %s: before token %u", i, rows[i].answer, n);
			}
			rules_free(r);
		}
	}
	jv_doc_free(&tools);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thinking_ends),     cmocka_unit_test(test_masks),
		cmocka_unit_test(test_limits),       cmocka_unit_test(test_bad_ids),
		cmocka_unit_test(test_ends),         cmocka_unit_test(test_stop_tokens),
		cmocka_unit_test(test_stop_texts),   cmocka_unit_test(test_which_come),
		cmocka_unit_test(test_nothing_left), cmocka_unit_test(what_leaves_thinking),
	};
	return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
