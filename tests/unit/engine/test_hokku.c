/* The public library over the model inside it: what a program that includes hokku.h relies on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "engine/engine.h"
#include "hokku.h"
#include "small.h"

static struct hokku *model;

static int open_model(void **state)
{
	(void)state;
	struct hokku_error err;
	if (hokku_open(NULL, &model, &err) == HOKKU_OK)
		return 0;
	fprintf(stderr, "%s\n", err.message);
	return -1;
}

static int close_model(void **state)
{
	(void)state;
	hokku_close(model);
	return 0;
}

static bool collect(void *user, const char *text, size_t n_bytes, int32_t token)
{
	struct strbuf *out = user;
	assert_true(n_bytes > 0);
	assert_int_equal(utf8_valid_prefix(text, n_bytes), n_bytes);
	assert_true(token >= 0);
	strbuf_add(out, text, n_bytes);
	return true;
}

static const struct hokku_message subject = {"user", "autumn rain"};

static struct hokku_request ask(uint64_t seed)
{
	struct hokku_request r = HOKKU_REQUEST_INIT;
	r.messages = &subject;
	r.n_messages = 1;
	r.max_tokens = 60 / (uint32_t)small_step(6);
	r.sampling.has_seed = true;
	r.sampling.seed = seed;
	return r;
}

/* The answer as a terminated text the caller frees. */
static char *answer(struct hokku *h, const struct hokku_request *r, struct hokku_result *result)
{
	struct strbuf out = {0};
	struct hokku_error err;
	enum hokku_code rc = hokku_generate(h, r, collect, &out, result, &err);
	if (rc)
		fail_msg("%s", err.message);
	strbuf_add(&out, "", 0);
	return out.ptr;
}

static void test_info(void **state)
{
	(void)state;
	struct hokku_info info;
	hokku_get_info(model, &info);
	assert_string_equal(info.architecture, "qwen2");
	assert_string_equal(info.format, "Q8_0");
	assert_non_null(strstr(info.device, "cpu"));
	assert_true(info.n_vocab > 256 && info.n_ctx > 0 && info.n_layers > 0 && info.n_params > 1000000);
	assert_true(info.weight_bytes > 0 && info.kv_bytes > 0);
	assert_string_equal(hokku_version(), "0.1.0");
	assert_string_equal(hokku_code_name(HOKKU_CONTEXT_EXCEEDED), "CONTEXT_EXCEEDED");
	assert_int_equal(hokku_code_http(HOKKU_OVERLOADED), 503);
	assert_string_equal(hokku_stop_name(HOKKU_STOP_LENGTH), "length");
}

/* The same request gives the same text: again, with other requests between, and from a reported seed. */
static void test_same_seed_same_text(void **state)
{
	(void)state;
	/* The count of thinking stands where nothing did: a caller of an older header goes on. */
	_Static_assert(offsetof(struct hokku_result, thinking_tokens) == sizeof(enum hokku_stop) &&
			       offsetof(struct hokku_result, seed) == 8,
		       "what callers know has moved");
	struct hokku_result first, second;
	struct hokku_request r = ask(7);
	char *a = answer(model, &r, &first);
	assert_true(strlen(a) > 10);
	assert_int_equal(first.seed, 7);
	assert_int_equal(first.text_bytes, strlen(a));
	assert_true(first.tokens_out > 0 && first.tokens_out <= 60);
	assert_true(first.ttft_ms > 0 && first.prefill_ms > 0);
	assert_int_equal(first.thinking_tokens, 0);
	r.sampling.has_seed = false;
	char *b = answer(model, &r, &second);
	assert_int_not_equal(second.seed, 7);
	assert_string_not_equal(a, b);
	r = ask(second.seed);
	char *c = answer(model, &r, NULL);
	assert_string_equal(b, c);
	r = ask(7);
	char *d = answer(model, &r, NULL);
	assert_string_equal(a, d);
	free(a);
	free(b);
	free(c);
	free(d);
}

/* However many threads compute, and however the prompt is cut: a long prompt goes in by ever longer chunks.
 */
static void test_threads_and_chunks(void **state)
{
	(void)state;
	static char text[1200];
	struct hokku_error err;
	char *expected = NULL;
	for (size_t i = 0; i + 1 < sizeof text; i++)
		text[i] = "rain on the old roof "[i % 21];
	struct hokku_request r = ask(11);
	struct hokku_info info;
	hokku_get_info(model, &info);
	r.messages = NULL;
	r.n_messages = 0;
	text[(sizeof text - 1) / small_step(8)] = 0;
	r.prompt = text;
	r.max_tokens = 30 / (uint32_t)small_step(10);
	for (uint32_t n_threads = 1; n_threads <= 3; n_threads++) {
		struct hokku *h;
		struct hokku_options o = HOKKU_OPTIONS_INIT;
		o.n_threads = n_threads;
		assert_int_equal(hokku_open(&o, &h, &err), HOKKU_OK);
		for (int round = 0; round < 3; round++) {
			char *got = answer(h, &r, NULL);
			if (!expected)
				expected = got;
			assert_string_equal(got, expected);
			if (got != expected)
				free(got);
		}
		hokku_close(h);
	}
	free(expected);
}

static bool refuse_third(void *user, const char *text, size_t n_bytes, int32_t token)
{
	(void)text;
	(void)n_bytes;
	(void)token;
	return ++*(unsigned *)user < 3;
}

static void test_cancel(void **state)
{
	(void)state;
	unsigned n = 0;
	struct hokku_error err;
	struct hokku_request r = ask(1);
	r.max_tokens = 0;
	assert_int_equal(hokku_generate(model, &r, refuse_third, &n, NULL, &err), HOKKU_CANCELLED);
	assert_int_equal(err.code, HOKKU_CANCELLED);
	assert_int_equal(n, 3); /* not called again */
	/* refusing the very last text is a cancel too */
	n = 2;
	r.max_tokens = 1;
	assert_int_equal(hokku_generate(model, &r, refuse_third, &n, NULL, &err), HOKKU_CANCELLED);
}

static void expect_error(const struct hokku_request *r, enum hokku_code code, const char *part)
{
	struct hokku_error err;
	assert_int_equal(hokku_generate(model, r, NULL, NULL, NULL, &err), code);
	assert_int_equal(err.code, code);
	if (!strstr(err.message, part))
		fail_msg("\"%s\" does not contain \"%s\"", err.message, part);
}

static void test_bad_requests(void **state)
{
	(void)state;
	const struct hokku_message bad_role = {"poet", "x"}, no_content = {"user", NULL};
	const char *stops[17];
	static int32_t many[100000];
	struct hokku_request r = ask(1);
	r.struct_size = 0;
	expect_error(&r, HOKKU_INVALID_REQUEST, "struct_size of hokku_request is 0");
	r.struct_size = sizeof r + 8;
	expect_error(&r, HOKKU_INVALID_REQUEST, "start from the _INIT value");
	r = ask(1);
	r.prompt = "x";
	expect_error(&r, HOKKU_INVALID_REQUEST, "2 of prompt, tokens, messages and conversation are given");
	r = ask(1);
	r.messages = NULL;
	expect_error(&r, HOKKU_INVALID_REQUEST, "0 of prompt, tokens, messages and conversation are given");
	r = ask(1);
	r.messages = &bad_role;
	expect_error(&r, HOKKU_INVALID_REQUEST, "poet");
	r.messages = &no_content;
	expect_error(&r, HOKKU_INVALID_REQUEST, "the content of message 0 is NULL");
	r = ask(1);
	r.sampling.top_p = 0;
	expect_error(&r, HOKKU_INVALID_REQUEST, "top_p is 0; it must be more than 0 and at most 1");
	r = ask(1);
	for (int i = 0; i < 17; i++)
		stops[i] = "x";
	r.stop = stops;
	r.n_stop = 17;
	expect_error(&r, HOKKU_INVALID_REQUEST, "stop has 17 texts; 16 are allowed");
	stops[0] = NULL;
	r.n_stop = 1;
	expect_error(&r, HOKKU_INVALID_REQUEST, "stop text 0 is empty");
	struct hokku_token_rules rules = HOKKU_TOKEN_RULES_INIT;
	r = ask(1);
	r.max_tokens = 2;
	r.rules = &rules;
	rules.min_tokens = 3;
	expect_error(&r, HOKKU_INVALID_REQUEST, "min_tokens is 3 and max_tokens 2");
	rules.min_tokens = 0;
	rules.bad_words = stops;
	rules.n_bad_words = 1;
	expect_error(&r, HOKKU_INVALID_REQUEST, "bad_words[0] has 0 bytes; it takes 1 to 256");
	rules.n_bad_words = 257;
	expect_error(&r, HOKKU_INVALID_REQUEST, "bad_words has 257 texts; 256 are allowed");
	rules.struct_size = sizeof rules + 8;
	expect_error(&r, HOKKU_INVALID_REQUEST, "struct_size of hokku_token_rules");
	r = ask(1);
	r.messages = NULL;
	r.tokens = many;
	r.n_tokens = 100000;
	expect_error(&r, HOKKU_CONTEXT_EXCEEDED, "the prompt has 100,000 tokens, the context holds ");
	r.n_tokens = 1;
	many[0] = -1;
	expect_error(&r, HOKKU_INVALID_REQUEST, "token 0 of the prompt is -1");
}

static void test_bad_options(void **state)
{
	(void)state;
	struct hokku *h = (struct hokku *)&state;
	struct hokku_error err;
	struct hokku_options o = HOKKU_OPTIONS_INIT;
	o.model_path = "/nowhere/model.gguf";
	assert_int_equal(hokku_open(&o, &h, &err), HOKKU_NOT_FOUND);
	assert_null(h);
	assert_non_null(strstr(err.message, "/nowhere/model.gguf"));
	o.model_path = TEST_SOURCE_DIR "/LICENSE";
	assert_int_not_equal(hokku_open(&o, &h, &err), HOKKU_OK);
	o = (struct hokku_options)HOKKU_OPTIONS_INIT;
	o.device = "abacus";
	assert_int_not_equal(hokku_open(&o, &h, &err), HOKKU_OK);
	assert_non_null(strstr(err.message, "abacus"));
	o = (struct hokku_options)HOKKU_OPTIONS_INIT;
	o.struct_size = sizeof o + 1;
	assert_int_equal(hokku_open(&o, &h, &err), HOKKU_INVALID_REQUEST);
	o = (struct hokku_options)HOKKU_OPTIONS_INIT;
	o.n_parallel = 257;
	assert_int_equal(hokku_open(&o, &h, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message, "n_parallel is 257; it takes 0 to 256");
	o = (struct hokku_options)HOKKU_OPTIONS_INIT;
	o.cache_type_v = "q4_0";
	assert_int_equal(hokku_open(&o, &h, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message,
			    "cache_type_v is \"q4_0\"; it is one of f32, f16, bf16, f16x2, q8_0");
	o.device = "cpu";
	o.cache_type_v = "q8_0";
	o.cache_type_k = "f16x2";
	assert_int_equal(hokku_open(&o, &h, &err), HOKKU_INVALID_REQUEST);
	assert_non_null(strstr(err.message, "cpu cannot do cache type f16x2 (of keys)"));
	hokku_close(NULL);
}

static void test_tokens(void **state)
{
	(void)state;
	static const char text[] = "autumn rain \xE3\x81\x82\xF0\x9F\x8D\x81\n<|im_end|>";
	struct hokku_error err;
	int32_t ids[64], few[3];
	char back[128];
	size_t n, again, bytes;
	assert_int_equal(hokku_tokenize(model, text, sizeof text - 1, false, ids, 64, &n, &err), HOKKU_OK);
	assert_in_range(n, 5, 64);
	assert_int_equal(hokku_tokenize(model, text, sizeof text - 1, false, few, 3, &again, &err), HOKKU_OK);
	assert_int_equal(again, n);
	assert_memory_equal(few, ids, sizeof few);
	assert_int_equal(hokku_detokenize(model, ids, n, back, sizeof back, &bytes, &err), HOKKU_OK);
	assert_int_equal(bytes, sizeof text - 1);
	assert_memory_equal(back, text, bytes);
	memset(back, 'x', sizeof back);
	assert_int_equal(hokku_detokenize(model, ids, n, back, 9, &bytes, &err), HOKKU_OK);
	assert_int_equal(bytes, sizeof text - 1);
	assert_memory_equal(back, "autumn raxx", 11);
	assert_int_equal(hokku_tokenize(model, text, sizeof text - 1, true, ids, 64, &again, &err), HOKKU_OK);
	assert_true(again < n); /* the marker is one token now */
	ids[1] = -5;
	assert_int_equal(hokku_detokenize(model, ids, n, back, 9, &bytes, &err), HOKKU_INVALID_REQUEST);
	assert_non_null(strstr(err.message, "token 1 is -5"));
	/* the same answer from tokens as from text */
	struct hokku_request r = ask(3);
	r.messages = NULL;
	r.prompt = "autumn";
	char *a = answer(model, &r, NULL);
	assert_int_equal(hokku_tokenize(model, "autumn", 6, false, ids, 64, &n, &err), HOKKU_OK);
	r.prompt = NULL;
	r.tokens = ids;
	r.n_tokens = n;
	char *b = answer(model, &r, NULL);
	assert_string_equal(a, b);
	free(a);
	free(b);
}

enum { N_SEEDS = 4 };

static void *generate_many(void *arg)
{
	for (uint64_t seed = 0; seed < N_SEEDS / small_step(2); seed++) {
		struct hokku_request r = ask(seed);
		char *text = answer(model, &r, NULL);
		assert_string_equal(text, ((char **)arg)[seed]);
		free(text);
	}
	return NULL;
}

static void test_several_threads(void **state)
{
	(void)state;
	pthread_t threads[3];
	char *expected[N_SEEDS];
	for (uint64_t seed = 0; seed < N_SEEDS / small_step(2); seed++) {
		struct hokku_request r = ask(seed);
		expected[seed] = answer(model, &r, NULL);
	}
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, generate_many, expected);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < N_SEEDS / small_step(2); i++)
		free(expected[i]);
}

static double last_part;

static void on_progress(void *user, double part)
{
	assert_ptr_equal(user, &last_part);
	assert_true(part >= last_part && part <= 1);
	last_part = part;
}

static void test_progress(void **state)
{
	(void)state;
	struct hokku *h;
	struct hokku_options o = HOKKU_OPTIONS_INIT;
	o.on_progress = on_progress;
	o.user = &last_part;
	o.n_ctx = 100;
	assert_int_equal(hokku_open(&o, &h, NULL), HOKKU_OK);
	struct hokku_info info;
	hokku_get_info(h, &info);
	assert_int_equal(info.n_ctx, 100);
	hokku_close(h); /* the thread that reports has ended now */
	assert_true(last_part == 1);
}

static bool stopped(void *user)
{
	++*(unsigned *)user;
	return true;
}

static void test_stopped(void **state)
{
	(void)state;
	unsigned n = 0;
	struct hokku *h = (struct hokku *)&n;
	struct hokku_error err;
	struct hokku_options o = HOKKU_OPTIONS_INIT;
	o.device = "cpu";
	o.stopped = stopped;
	o.user = &n;
	assert_int_equal(hokku_open(&o, &h, &err), HOKKU_CANCELLED);
	assert_string_equal(err.message, "loading was interrupted");
	assert_null(h);
	assert_int_equal(n, 1);
	o.struct_size = offsetof(struct hokku_options, vram_limit); /* a caller who does not know the field */
	assert_int_equal(hokku_open(&o, &h, &err), HOKKU_OK);
	hokku_close(h);
	assert_int_equal(n, 1);
}

/* ---- logprobs ---- */

struct seen {
	struct strbuf text, log; /* log: index, ids and the numbers' bits of each token */
	unsigned n, n_text, stop_at;
};

static bool see_token(void *user, const struct hokku_token *t)
{
	struct seen *s = user;
	assert_int_equal(t->index, s->n++);
	assert_int_equal(t->n_top, 3);
	assert_true(t->drawn.logprob <= t->top[0].logprob && t->top[2].logprob <= t->top[1].logprob);
	strbuf_add(&s->log, &t->drawn, sizeof t->drawn);
	strbuf_add(&s->log, t->top, t->n_top * sizeof *t->top);
	return s->n != s->stop_at;
}

static bool see_text(void *user, const char *text, size_t n_bytes, int32_t token)
{
	struct seen *s = user;
	(void)token;
	s->n_text++;
	assert_true(s->n_text <= s->n); /* the token is told first */
	strbuf_add(&s->text, text, n_bytes);
	return true;
}

static void *ask_in_a_thread(void *user)
{
	struct hokku_request r = ask(7);
	r.on_token = see_token;
	r.n_top_logprobs = 3;
	assert_int_equal(hokku_generate(model, &r, see_text, user, NULL, NULL), HOKKU_OK);
	return NULL;
}

static void test_samplers(void **state)
{
	(void)state;
	struct hokku_request r = ask(7);
	struct hokku_samplers more = HOKKU_SAMPLERS_INIT, found = HOKKU_SAMPLERS_INIT;
	const char *breaker = "";
	char *plain = answer(model, &r, NULL);
	assert_int_equal(hokku_get_samplers(model, &found, NULL), HOKKU_OK);
	assert_true(found.typical_p == 1 && found.repeat_last_n == -1 && found.mirostat_tau == 5); /* the
		file says nothing of them */
	found.struct_size = offsetof(struct hokku_samplers, mirostat);
	found.mirostat = 77;
	assert_int_equal(hokku_get_samplers(model, &found, NULL), HOKKU_OK);
	assert_int_equal(found.mirostat, 77); /* not a member of an older caller's */
	found.struct_size = 0;
	assert_int_equal(hokku_get_samplers(model, &found, NULL), HOKKU_INVALID_REQUEST);
	r.samplers = &more;
	char *same = answer(model, &r, NULL);
	assert_string_equal(same, plain);
	more.xtc_probability = 1;
	more.xtc_threshold = 0.05f;
	char *other = answer(model, &r, NULL);
	assert_string_not_equal(other, plain);
	more.xtc_threshold = 1.5f;
	expect_error(&r, HOKKU_INVALID_REQUEST, "xtc_threshold is 1.5; it must be from 0 to 1");
	more.xtc_threshold = 0.1f;
	more.dry_breakers = &breaker;
	more.n_dry_breakers = 1;
	expect_error(&r, HOKKU_INVALID_REQUEST, "dry_sequence_breakers[0] has 0 bytes");
	more.n_dry_breakers = 65;
	expect_error(&r, HOKKU_INVALID_REQUEST, "dry_sequence_breakers has 65 texts; 64 are allowed");
	more.struct_size = sizeof more + 8;
	expect_error(&r, HOKKU_INVALID_REQUEST, "struct_size of hokku_samplers");
	free(plain);
	free(same);
	free(other);
}

/* What the answer ends with, and which words do not come. */
static void test_rules(void **state)
{
	(void)state;
	struct hokku_request r = ask(7);
	struct hokku_token_rules rules = HOKKU_TOKEN_RULES_INIT;
	struct hokku_result result;
	r.max_tokens = 0;
	char *text = answer(model, &r, &result), first[8] = "";
	assert_int_equal(result.stop, HOKKU_STOP_END);
	uint32_t n = result.tokens_out;
	rules.min_tokens = n + 3;
	r.rules = &rules;
	char *longer = answer(model, &r, &result);
	assert_true(result.tokens_out >= n + 3 && strncmp(text, longer, strlen(text)) == 0);
	rules.min_tokens = 0;
	sscanf(text, "%7s", first);
	rules.bad_words = (const char *const[]){first};
	rules.n_bad_words = 1;
	char *other = answer(model, &r, NULL);
	assert_string_not_equal(other, text);
	free(text);
	free(longer);
	free(other);
}

/* Requests that are computed together have the tokens and bits of those alone. */
static void test_parallel(void **state)
{
	(void)state;
	enum { N = 4 };
	static struct seen alone, others[N];
	struct hokku *one = model;
	pthread_t threads[N];
	ask_in_a_thread(&alone);
	struct hokku_options o = HOKKU_OPTIONS_INIT;
	o.n_parallel = N;
	assert_int_equal(hokku_open(&o, &model, NULL), HOKKU_OK);
	for (int i = 0; i < N; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_in_a_thread, &others[i]), 0);
	for (int i = 0; i < N; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(others[i].log.len, alone.log.len);
		assert_memory_equal(others[i].log.ptr, alone.log.ptr, alone.log.len);
		strbuf_free(&others[i].log);
		strbuf_free(&others[i].text);
	}
	hokku_close(model);
	model = one;
	strbuf_free(&alone.log);
	strbuf_free(&alone.text);
}

/* Alone, without a callback for text, and from several threads at once: the same tokens and bits. */
static void test_logprobs(void **state)
{
	(void)state;
	enum { N = 4 };
	static struct seen alone, others[N];
	struct hokku_result result;
	struct hokku_error err;
	pthread_t threads[N];
	struct hokku_request r = ask(7);
	char *text = answer(model, &r, &result);
	r.on_token = see_token;
	r.n_top_logprobs = 3;
	assert_int_equal(hokku_generate(model, &r, NULL, &alone, NULL, NULL), HOKKU_OK);
	assert_int_equal(alone.n, result.tokens_out);
	for (int i = 0; i < N; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_in_a_thread, &others[i]), 0);
	for (int i = 0; i < N; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(others[i].log.len, alone.log.len);
		assert_memory_equal(others[i].log.ptr, alone.log.ptr, alone.log.len);
		assert_int_equal(others[i].text.len, strlen(text));
		assert_memory_equal(others[i].text.ptr, text, strlen(text));
		strbuf_free(&others[i].log);
		strbuf_free(&others[i].text);
	}
	struct seen stopped = {.stop_at = 3};
	assert_int_equal(hokku_generate(model, &r, see_text, &stopped, NULL, &err), HOKKU_CANCELLED);
	assert_true(stopped.n == 3 && stopped.n_text == 2);
	r.n_top_logprobs = 21;
	assert_int_equal(hokku_generate(model, &r, NULL, &stopped, NULL, &err), HOKKU_INVALID_REQUEST);
	/* A caller that was built before there was on_token. */
	r.struct_size = offsetof(struct hokku_request, on_token);
	char *older = answer(model, &r, NULL);
	assert_string_equal(older, text);
	free(older);
	free(text);
	strbuf_free(&alone.log);
	strbuf_free(&stopped.log);
	strbuf_free(&stopped.text);
}

/* ---- the prompt's logprobs ---- */

enum { N_BEGIN = 5, N_ALL = 90, N_TOP = 20 };

/* What is told at each position: of the token there, then the likeliest. */
struct told {
	int32_t ids[N_ALL];
	struct hokku_token_logprob rows[N_ALL][1 + N_TOP];
	uint32_t n, n_drawn, stop_at;
};

static void tell(struct told *t, uint32_t at, struct hokku_token_logprob own,
		 const struct hokku_token_logprob *top, uint32_t n_top)
{
	assert_true(at < N_ALL && n_top == N_TOP);
	t->rows[at][0] = own;
	memcpy(t->rows[at] + 1, top, n_top * sizeof *top);
}

static bool tell_drawn(void *user, const struct hokku_token *token)
{
	struct told *t = user;
	t->ids[N_BEGIN + token->index] = token->drawn.token;
	tell(t, N_BEGIN + token->index, token->drawn, token->top, token->n_top);
	t->n_drawn++;
	return true;
}

static bool tell_prompt(void *user, const struct hokku_prompt_token *token)
{
	struct told *t = user;
	assert_int_equal(token->index, ++t->n);
	assert_int_equal(t->n_drawn, 0);
	tell(t, token->index, token->own, token->top, token->n_top);
	if (token->rank <= N_TOP)
		assert_int_equal(token->top[token->rank - 1].token, token->own.token);
	else
		assert_true(token->top[N_TOP - 1].logprob >= token->own.logprob);
	return t->n != t->stop_at;
}

static struct hokku_request ask_of_ids(const int32_t *ids, size_t n)
{
	static const struct hokku_logit_bias no_end[] = {{6653, -1000}, {6654, -1000}, {6655, -1000}};
	struct hokku_request r = HOKKU_REQUEST_INIT;
	r.tokens = ids;
	r.n_tokens = n;
	r.sampling.temperature = 1.5f;
	r.sampling.has_seed = true;
	r.sampling.logit_bias = no_end;
	r.sampling.n_logit_bias = 3;
	r.n_top_logprobs = r.n_top_prompt_logprobs = N_TOP;
	return r;
}

static struct told drawn; /* what was told of an answer as it was drawn */

/* Its beginning and itself as a prompt. */
static void *ask_for_prompt(void *user)
{
	struct told *t = user;
	struct hokku_request r = ask_of_ids(drawn.ids, N_ALL);
	r.max_tokens = 1;
	r.on_prompt = tell_prompt;
	*t = (struct told){0};
	assert_int_equal(hokku_generate(model, &r, NULL, t, NULL, NULL), HOKKU_OK);
	assert_int_equal(t->n, N_ALL - 1);
	assert_memory_equal(t->rows[N_BEGIN], drawn.rows[N_BEGIN], (N_ALL - N_BEGIN) * sizeof drawn.rows[0]);
	return NULL;
}

/* What is told of a prompt's tokens is what was told when they were drawn, to the last bit: alone, known,
 * beside others. */
static void test_prompt_logprobs(void **state)
{
	(void)state;
	enum { N = 4 };
	static struct told told[N], stopped = {.stop_at = 40};
	struct hokku *one = model;
	struct hokku_error err;
	pthread_t threads[N];
	for (int32_t i = 0; i < N_BEGIN; i++)
		drawn.ids[i] = 300 + 7 * i;
	struct hokku_request r = ask_of_ids(drawn.ids, N_BEGIN);
	r.max_tokens = N_ALL - N_BEGIN;
	r.on_token = tell_drawn;
	assert_int_equal(hokku_generate(model, &r, NULL, &drawn, NULL, NULL), HOKKU_OK);
	assert_int_equal(drawn.n_drawn, N_ALL - N_BEGIN);
	for (int i = 0; i < 2; i++)
		ask_for_prompt(&told[i]);
	assert_memory_equal(told[0].rows, told[1].rows, sizeof told[0].rows);
	r = ask_of_ids(drawn.ids, N_ALL);
	r.on_prompt = tell_prompt;
	assert_int_equal(hokku_generate(model, &r, NULL, &stopped, NULL, &err), HOKKU_CANCELLED);
	assert_int_equal(stopped.n, stopped.stop_at);
	r.n_top_prompt_logprobs = 21;
	assert_int_equal(hokku_generate(model, &r, NULL, &stopped, NULL, &err), HOKKU_INVALID_REQUEST);
	struct hokku_options o = HOKKU_OPTIONS_INIT;
	o.n_parallel = N;
	assert_int_equal(hokku_open(&o, &model, NULL), HOKKU_OK);
	for (int i = 0; i < N; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_for_prompt, &told[i]), 0);
	for (int i = 0; i < N; i++) {
		pthread_join(threads[i], NULL);
		assert_memory_equal(told[0].rows, told[i].rows, sizeof told[0].rows);
	}
	hokku_close(model);
	model = one;
}

/* Shapes through the library. */
static void test_shapes(void **state)
{
	(void)state;
	static const struct {
		enum hokku_shape shape;
		const char *text, *answer;
	} rows[] = {
		{HOKKU_SHAPE_JSON_SCHEMA, "{\"const\": [true, {}]}", "[true,{}]"},
		{HOKKU_SHAPE_GBNF, "root ::= \"a\" \"b\"{2}", "abb"},
		{HOKKU_SHAPE_REGEX, "x{3}y", "xxxy"},
		{HOKKU_SHAPE_CHOICE, "[\"as it is\"]", "as it is"},
		{HOKKU_SHAPE_STRUCTURE,
		 "{\"format\":{\"type\":\"tag\",\"begin\":\"<a>\",\"content\":{\"type\":\"json_schema\","
		 "\"json_schema\":{\"const\":[true,[]]}},\"end\":\"</a>\"}}",
		 "<a>[true,[]]</a>"},
	};
	struct hokku_result result;
	struct hokku_request r = ask(3);
	r.max_tokens = 60; /* under sanitizers too: the longest has some twenty */
	r.sampling.temperature = 1.5f;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		r.shape = rows[i].shape;
		r.shape_text = rows[i].text;
		char *text = answer(model, &r, &result);
		assert_string_equal(text, rows[i].answer);
		assert_int_equal(result.stop, HOKKU_STOP_END);
		free(text);
	}
	r.shape = HOKKU_SHAPE_CHOICE;
	r.shape_text = "[\"ab\"] and more";
	r.shape_text_bytes = 6;
	char *text = answer(model, &r, &result);
	assert_string_equal(text, "ab");
	free(text);
	r.shape = HOKKU_SHAPE_JSON_OBJECT;
	r.shape_text = NULL;
	text = answer(model, &r, &result);
	assert_int_equal(text[0], '{');
	free(text);
	r.shape_text_bytes = 0;
	r.shape = HOKKU_SHAPE_REGEX;
	expect_error(&r, HOKKU_INVALID_REQUEST, "shape is 4 and shape_text is NULL");
	r.shape_text = "(";
	expect_error(&r, HOKKU_INVALID_REQUEST, "shape_text: ");
	r.shape = HOKKU_SHAPE_STRUCTURE;
	r.shape_text = "{\"format\":1}";
	expect_error(&r, HOKKU_INVALID_REQUEST, "shape_text: /format: it is the number 1");
	r.shape = HOKKU_SHAPE_JSON_SCHEMA;
	r.shape_text = "{\"const\":[true,{\"a\":null}]}";
	r.shape_space = HOKKU_SPACE_SPACED;
	text = answer(model, &r, &result);
	assert_string_equal(text, "[true, {\"a\": null}]");
	free(text);
	r.shape_space = (enum hokku_space)3;
	expect_error(&r, HOKKU_INVALID_REQUEST, "shape_space is 3; there are 0 to 2");
	r.shape_space = HOKKU_SPACE_FREE;
	r.shape = (enum hokku_shape)7;
	expect_error(&r, HOKKU_INVALID_REQUEST, "shape is 7; there are 0 to 6");
}

static void test_sampling_of_the_model(void **state)
{
	(void)state;
	const struct hokku_sampling wanted = HOKKU_SAMPLING_INIT;
	struct hokku_sampling s;
	hokku_get_sampling(model, &s); /* the haiku model's file recommends nothing */
	assert_true(s.temperature == wanted.temperature && s.top_p == wanted.top_p &&
		    s.top_k == wanted.top_k && s.repetition_penalty == wanted.repetition_penalty &&
		    !s.has_seed && !s.logit_bias);
}

/* ---- conversations: tools and thinking ---- */

/* As tests/golden/templates/tools_and_thinking.jinja writes them. */
struct parted {
	struct strbuf text, thinking, names, arguments;
	uint32_t n_calls, n_whole, stop_after; /* parts; 0: all are wanted */
	uint32_t n_parts;
	uint32_t n_drawn, n_prompt; /* whose log probabilities were told */
	struct strbuf written;      /* as the model writes it */
	uint32_t n_until_closed;    /* tokens up to the one that closes thinking */
};

static bool parted_token(void *user, const struct hokku_token *token)
{
	struct parted *t = user;
	assert_true(token->index == t->n_drawn++ && token->n_top == 2);
	assert_true(token->drawn.logprob <= 0 && token->top[1].logprob <= token->top[0].logprob);
	return true;
}

static bool parted_written(void *user, const char *text, size_t n_bytes, int32_t token)
{
	struct parted *t = user;
	(void)token;
	strbuf_add(&t->written, text, n_bytes);
	if (!t->n_until_closed && strstr(t->written.ptr, "</think>"))
		t->n_until_closed = t->n_drawn;
	return true;
}

static bool parted_prompt(void *user, const struct hokku_prompt_token *token)
{
	struct parted *t = user;
	assert_true(token->index == ++t->n_prompt && token->rank >= 1 && token->own.logprob <= 0);
	return true;
}

static bool on_part(void *user, const struct hokku_part *part)
{
	struct parted *t = user;
	struct strbuf *to[] = {[HOKKU_PART_TEXT] = &t->text,
			       [HOKKU_PART_THINKING] = &t->thinking,
			       [HOKKU_PART_CALL] = &t->names,
			       [HOKKU_PART_ARGUMENTS] = &t->arguments,
			       [HOKKU_PART_CALL_END] = &t->arguments};
	strbuf_add(to[part->kind], part->text, part->n_bytes);
	t->n_calls += part->kind == HOKKU_PART_CALL;
	t->n_whole += part->kind == HOKKU_PART_CALL_END;
	return !t->stop_after || ++t->n_parts < t->stop_after;
}

static void parted_free(struct parted *t)
{
	strbuf_free(&t->text);
	strbuf_free(&t->thinking);
	strbuf_free(&t->names);
	strbuf_free(&t->arguments);
	strbuf_free(&t->written);
}

#define TOOL(name, parameters) \
	"{\"type\":\"function\",\"function\":{\"name\":\"" name "\",\"parameters\":" parameters "}}"
#define DAYS                                                                                                 \
	"{\"type\":\"object\",\"properties\":{\"days\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":9}}," \
	"\"required\":[\"days\"],\"additionalProperties\":false}"

static void conversations(void **state)
{
	(void)state;
	struct hokku *h;
	struct hokku_error err;
	struct hokku_options options = HOKKU_OPTIONS_INIT;
	char *source = NULL;
	struct str text;
	assert_int_equal(
		chat_read_file(TEST_GOLDEN_DIR "/templates/tools_and_thinking.jinja", &text, &source, &err),
		HOKKU_OK);
	options.chat_template = source;
	assert_int_equal(hokku_open(&options, &h, &err), HOKKU_OK);
	struct hokku_conversation c = HOKKU_CONVERSATION_INIT;
	struct hokku_request r = HOKKU_REQUEST_INIT;
	struct parted t = {0};
	c.messages = "[{\"role\":\"user\",\"content\":\"autumn rain\"}]";
	c.tools =
		"[" TOOL("days", DAYS) "," TOOL("odd", "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":"
						       "\"string\",\"pattern\":\"(a)\\\\1\"}}}") "]";
	c.tool_choice = HOKKU_TOOLS_NAMED;
	c.tool_name = "days";
	c.thinking = HOKKU_THINKING_ON;
	c.thinking_budget = 4;
	c.on_part = on_part;
	r.conversation = &c;
	r.max_tokens = 120;
	r.sampling.has_seed = true;
	assert_int_equal(hokku_generate(h, &r, NULL, &t, NULL, &err), HOKKU_OK);
	assert_true(t.thinking.len > 0 && t.text.len == 0);
	assert_string_equal(t.names.ptr, "days");
	assert_true(t.n_calls == 1 && t.n_whole == 1);
	assert_int_equal(strncmp(t.arguments.ptr, "{\"days\": ", 9), 0);
	/* With log probabilities of prompt and answer it is the same one. */
	struct parted told = {0};
	struct hokku_result result;
	r.on_token = parted_token;
	r.on_prompt = parted_prompt;
	r.n_top_logprobs = 2;
	assert_int_equal(hokku_generate(h, &r, parted_written, &told, &result, &err), HOKKU_OK);
	assert_string_equal(told.thinking.ptr, t.thinking.ptr);
	assert_string_equal(told.arguments.ptr, t.arguments.ptr);
	assert_int_equal(told.n_drawn, result.tokens_out);
	assert_int_equal(told.n_prompt, result.prompt_tokens - 1);
	assert_true(told.n_until_closed >= 4 && result.thinking_tokens < result.tokens_out);
	assert_int_equal(result.thinking_tokens, told.n_until_closed);
	parted_free(&told);
	r.on_token = NULL;
	r.on_prompt = NULL;
	parted_free(&t);
	/* A callback that has enough ends it. */
	t = (struct parted){.stop_after = 2};
	assert_int_equal(hokku_generate(h, &r, NULL, &t, NULL, &err), HOKKU_CANCELLED);
	assert_int_equal(t.n_parts, 2);
	parted_free(&t);
	/* A schema that cannot be enforced: refused where it is promised, else nobody minds. */
	c.tool_name = "odd";
	assert_int_equal(hokku_generate(h, &r, NULL, &t, NULL, &err), HOKKU_INVALID_REQUEST);
	assert_int_equal(strncmp(err.message, "tools[1].function.parameters/properties/a/pattern: ", 51), 0);
	c.tool_choice = HOKKU_TOOLS_AUTO;
	r.max_tokens = 3;
	t = (struct parted){0};
	assert_int_equal(hokku_generate(h, &r, NULL, &t, &result, &err), HOKKU_OK);
	assert_true(result.thinking_tokens == 3 && result.tokens_out == 3); /* cut in its middle */
	parted_free(&t);
	/* A shape is what follows the thinking. */
	t = (struct parted){0};
	c.tools = NULL;
	r.shape = HOKKU_SHAPE_CHOICE;
	r.shape_text = "[\"yes\",\"no\"]";
	r.max_tokens = 60;
	assert_int_equal(hokku_generate(h, &r, NULL, &t, NULL, &err), HOKKU_OK);
	assert_true(t.thinking.len > 0);
	assert_true(strcmp(t.text.ptr, "yes") == 0 || strcmp(t.text.ptr, "no") == 0);
	parted_free(&t);
	r.shape = HOKKU_SHAPE_NONE;
	/* What is wrong is named. */
	const struct {
		struct hokku_conversation c;
		const char *part;
	} rows[] = {
		{HOKKU_CONVERSATION_INIT, "messages of the conversation is NULL"},
		{{sizeof c, "{", 0, NULL, 0, 0, NULL, 0, 0, NULL, 0, NULL, NULL}, "messages is no JSON"},
		{{sizeof c, "{}", 0, NULL, 0, 0, NULL, 0, 0, NULL, 0, NULL, NULL}, "it takes an array"},
		{{sizeof c, "[]", 0, NULL, 0, 0, NULL, 0, 0, NULL, 0, NULL, NULL}, "at least one message"},
		{{sizeof c, "[{}]", 0, NULL, 0, 0, NULL, 0, 0, NULL, 0, NULL, NULL}, "messages[0].role"},
		{{sizeof c, c.messages, 0, "[1]", 0, 0, NULL, 0, 0, NULL, 0, NULL, NULL},
		 "tools[0].function.name is missing"},
		{{sizeof c, c.messages, 0, NULL, 0, HOKKU_TOOLS_REQUIRED, NULL, 0, 0, NULL, 0, NULL, NULL},
		 "there are no tools"},
		{{sizeof c, c.messages, 0, "[" TOOL("f", "{}") "]", 0, HOKKU_TOOLS_NAMED, "g", 0, 0, NULL, 0,
		  NULL, NULL},
		 "tool_name is \"g\""},
		{{sizeof c, c.messages, 0, NULL, 0, 9, NULL, 0, 0, NULL, 0, NULL, NULL}, "tool_choice is 9"},
		{{sizeof c, c.messages, 0, NULL, 0, 0, NULL, 0, 7, NULL, 0, NULL, NULL}, "thinking is 7"},
		{{sizeof c, c.messages, 0, NULL, 0, 0, NULL, 0, 0, NULL, 0, "[]", NULL},
		 "template_arguments is []"},
		{{sizeof c + 8, c.messages, 0, NULL, 0, 0, NULL, 0, 0, NULL, 0, NULL, NULL},
		 "struct_size of hokku_conversation"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		r.conversation = &rows[i].c;
		assert_int_equal(hokku_generate(h, &r, NULL, NULL, NULL, &err), HOKKU_INVALID_REQUEST);
		if (!strstr(err.message, rows[i].part))
			fail_msg("\"%s\" does not contain \"%s\"", err.message, rows[i].part);
	}
	r.prompt = "a";
	assert_int_equal(hokku_generate(h, &r, NULL, NULL, NULL, &err), HOKKU_INVALID_REQUEST);
	hokku_close(h);
	free(source);
}

int main(void)
{
	if (bundled_model().len == 0) {
		fprintf(stderr, "skipped: models/haiku/haiku.gguf was not there when this was built\n");
		return 77;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conversations),
		cmocka_unit_test(test_logprobs),
		cmocka_unit_test(test_prompt_logprobs),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_sampling_of_the_model),
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_same_seed_same_text),
		cmocka_unit_test(test_threads_and_chunks),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_bad_options),
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_several_threads),
		cmocka_unit_test(test_parallel),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_samplers),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_stopped),
	};
	return cmocka_run_group_tests_name("hokku", tests, open_model, close_model);
}
