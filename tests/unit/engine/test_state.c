/*
 * States through the engine, over the haiku model on the CPU: what follows a state has the bits (ids and
 * log-probabilities) of the run that was not interrupted, in another engine as in the same; and every state
 * that is not good is refused with the reason, and nothing of it is found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/state.h"
#include "small.h"

enum { N_PROMPT = 70, N_OUT = 30, N_FULL = 64 };

static char folder[256], path[300];
static struct hokku_logit_bias no_end[16]; /* (n_no_end) no answer ends by itself */
static uint32_t n_no_end;
static int32_t prompt[N_PROMPT];

struct answer {
	sem_t over;
	uint64_t id;
	uint32_t n, cached;
	int32_t tokens[256];
	uint32_t logprobs[256]; /* their bits */
	struct hokku_error error;
	_Atomic uint32_t n_now;
};

static void on_event(void *user, const struct engine_event *event)
{
	struct answer *a = user;
	if (event->kind == ENGINE_TOKEN && event->logprobs) {
		a->tokens[a->n] = event->token;
		memcpy(&a->logprobs[a->n++], &event->logprobs->logprob, sizeof(float));
		a->n_now = a->n;
	} else if (event->kind == ENGINE_END) {
		a->cached = event->cached_tokens;
		sem_post(&a->over);
	} else if (event->kind == ENGINE_ERROR) {
		a->error = *event->error;
		sem_post(&a->over);
	}
}

static struct engine *start(struct engine_config config)
{
	struct hokku_error err;
	struct engine *e;
	config.device = config.device ? config.device : "cpu";
	config.n_threads = 1;
	config.states = true;
	if (engine_create(&config, &e, &err) || engine_wait_ready(e, &err))
		fail_msg("%s", err.message);
	const struct tok *tok = engine_tok(e);
	n_no_end = 0;
	for (int32_t id = 0; id < (int32_t)tok_n_vocab(tok); id++)
		if (tok_is_end(tok, id))
			no_end[n_no_end++] = (struct hokku_logit_bias){id, -1000};
	return e;
}

static struct engine_request request_of(struct answer *a, const int32_t *ids, uint32_t n, uint32_t max_tokens)
{
	struct sampling sampling;
	sampling_defaults(&sampling, SAMPLING_OWN, NULL);
	sampling.temperature = 2;
	sampling.repetition_penalty = 1.1f;
	sampling.seed = 5;
	sampling.bias = no_end;
	sampling.n_bias = n_no_end;
	*a = (struct answer){0};
	sem_init(&a->over, 0, 0);
	return (struct engine_request){
		.tokens = ids,
		.n_tokens = n,
		.max_tokens = max_tokens,
		.logprobs = true,
		.sampling = sampling,
		.on_event = on_event,
		.user = a,
	};
}

static void submit(struct engine *e, struct engine_request q)
{
	struct hokku_error err;
	if (engine_submit(e, &q, &((struct answer *)q.user)->id, &err))
		fail_msg("%s", err.message);
}

static void wait_over(struct answer *a)
{
	sem_wait(&a->over);
	sem_destroy(&a->over);
}

static void run(struct engine *e, struct answer *a, const int32_t *ids, uint32_t n, uint32_t max_tokens)
{
	submit(e, request_of(a, ids, n, max_tokens));
	wait_over(a);
	assert_int_equal(a->error.code, HOKKU_OK);
}

/* From the token `from` of the first on. */
static void assert_same(const struct answer *whole, uint32_t from, const struct answer *rest)
{
	assert_int_equal(rest->n, whole->n - from);
	assert_memory_equal(whole->tokens + from, rest->tokens, rest->n * sizeof *rest->tokens);
	assert_memory_equal(whole->logprobs + from, rest->logprobs, rest->n * sizeof *rest->logprobs);
}

static enum hokku_code save(struct engine *e, uint64_t id, const int32_t *ids, uint32_t n,
			    struct engine_state_told *told, struct hokku_error *err)
{
	const struct engine_saving s = {
		.request = id, .tokens = ids, .n_tokens = n, .path = path, .name = "state x"};
	*err = (struct hokku_error){0};
	return engine_save(e, &s, told, err);
}

static enum hokku_code restore(struct engine *e, struct engine_state_told *told, struct hokku_error *err)
{
	*err = (struct hokku_error){0};
	return engine_restore(e, &(struct engine_restoring){.path = path, .name = "state x"}, told, err);
}

static void must(enum hokku_code rc, const struct hokku_error *err)
{
	if (rc)
		fail_msg("%s: %s", hokku_code_name(rc), err->message);
}

/* ---- the same bits ---- */

static void a_prompt_elsewhere(void **state)
{
	static struct answer whole, rest;
	struct engine_state_told told;
	struct hokku_error err;
	struct stat st;
	(void)state;
	struct engine *e = start((struct engine_config){0});
	run(e, &whole, prompt, N_PROMPT, N_OUT);
	must(save(e, 0, prompt, N_PROMPT, &told, &err), &err);
	assert_int_equal(told.n_tokens, N_PROMPT);
	assert_int_equal(told.n_prompt, N_PROMPT);
	assert_int_equal(told.n_kept, N_FULL);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(told.bytes, st.st_size);
	engine_destroy(e, 0);
	e = start((struct engine_config){.n_ctx = 128, .n_parallel = 3}); /* other blocks, another context */
	must(restore(e, &told, &err), &err);
	assert_int_equal(told.n_tokens, N_PROMPT);
	assert_int_equal(told.n_kept, N_FULL);
	assert_memory_equal(told.tokens, prompt, sizeof prompt);
	free(told.tokens);
	run(e, &rest, prompt, N_PROMPT, N_OUT);
	assert_int_equal(rest.cached, N_FULL);
	assert_same(&whole, 0, &rest);
	must(restore(e, &told, &err), &err); /* again, where it is */
	free(told.tokens);
	run(e, &rest, prompt, N_PROMPT, N_OUT);
	assert_int_equal(rest.cached, N_FULL);
	assert_same(&whole, 0, &rest);
	engine_destroy(e, 0);
}

/* Of one that has ended, and of one that goes on meanwhile. */
static void a_request_elsewhere(void **state)
{
	static struct answer whole, first, rest;
	struct engine_state_told told;
	struct hokku_error err;
	(void)state;
	for (int running = 0; running < 2; running++) {
		struct engine *e = start((struct engine_config){0});
		run(e, &whole, prompt, N_PROMPT, 100);
		assert_int_equal(whole.n, 100);
		submit(e, request_of(&first, prompt, N_PROMPT, running ? 0 : N_OUT));
		while (running && first.n_now < N_OUT)
			usleep(100);
		if (!running)
			wait_over(&first);
		must(save(e, first.id, NULL, 0, &told, &err), &err);
		engine_cancel(e, first.id);
		if (running)
			wait_over(&first);
		engine_destroy(e, 0);
		assert_int_equal(told.n_prompt, N_PROMPT);
		uint32_t n_out = told.n_tokens - N_PROMPT;
		assert_true(running ? n_out >= N_OUT : n_out == N_OUT);
		e = start((struct engine_config){0});
		must(restore(e, &told, &err), &err);
		assert_memory_equal(told.tokens, prompt, sizeof prompt);
		assert_memory_equal(told.tokens + N_PROMPT, whole.tokens, n_out * sizeof *told.tokens);
		run(e, &rest, told.tokens, told.n_tokens, 100 - n_out);
		assert_int_equal(rest.cached, (told.n_tokens - 1) / 32 * 32);
		assert_same(&whole, n_out, &rest);
		free(told.tokens);
		engine_destroy(e, 0);
	}
}

/* Nothing but ids: there is no full block. And n tokens around a full one; each of another text. */
static void around_a_block(void **state)
{
	static const uint32_t lengths[] = {1, 31, 32, 33, 63, 64, 65};
	enum { N = sizeof lengths / sizeof *lengths };
	static struct answer whole[N], rest;
	static int32_t texts[N][65];
	struct engine_state_told told;
	struct hokku_error err;
	(void)state;
	struct engine *e = start((struct engine_config){0});
	for (uint32_t i = 0; i < N; i++) {
		for (int32_t k = 0; k < 65; k++)
			texts[i][k] = 300 + (int32_t)i + 11 * k;
		snprintf(path, sizeof path, "%s/%u", folder, i);
		run(e, &whole[i], texts[i], lengths[i], 10);
		must(save(e, 0, texts[i], lengths[i], &told, &err), &err);
		assert_int_equal(told.n_kept, lengths[i] / 32 * 32);
	}
	engine_destroy(e, 0);
	e = start((struct engine_config){0});
	for (uint32_t i = 0; i < N; i++) {
		snprintf(path, sizeof path, "%s/%u", folder, i);
		must(restore(e, &told, &err), &err);
		assert_int_equal(told.n_tokens, lengths[i]);
		free(told.tokens);
		run(e, &rest, texts[i], lengths[i], 10);
		assert_int_equal(rest.cached, (lengths[i] - 1) / 32 * 32);
		assert_same(&whole[i], 0, &rest);
		unlink(path);
	}
	engine_destroy(e, 0);
	snprintf(path, sizeof path, "%s/x", folder);
}

/* ---- what is not there ---- */

static void requests_that_cannot_be_saved(void **state)
{
	static struct answer a;
	struct engine_state_told told;
	struct hokku_error err;
	(void)state;
	struct engine *e = start((struct engine_config){.n_ctx = 96, .n_parallel = 1});
	assert_int_equal(save(e, 12345, NULL, 0, &told, &err), HOKKU_NOT_FOUND);
	assert_string_equal(err.message,
			    "the request is not among those that run, nor the last 64 that ended");
	struct engine_request q = request_of(&a, prompt, N_PROMPT, 5);
	q.no_cache = true;
	submit(e, q);
	wait_over(&a);
	assert_int_equal(save(e, a.id, NULL, 0, &told, &err), HOKKU_NOT_FOUND);
	assert_string_equal(err.message,
			    "the request kept nothing in memory for others (cache_prompt was false)");
	run(e, &a, prompt, N_PROMPT, 5);
	uint64_t id = a.id;
	run(e, &a, prompt + 3, N_PROMPT - 3, 5); /* takes the blocks: there are three */
	assert_int_equal(save(e, id, NULL, 0, &told, &err), HOKKU_NOT_FOUND);
	assert_non_null(strstr(err.message, "of the 2 full KV blocks of the request 0 are still in memory"));
	assert_int_equal(save(e, 0, prompt, 0, &told, &err), HOKKU_INVALID_REQUEST);
	static int32_t many[97];
	assert_int_equal(save(e, 0, many, 97, &told, &err), HOKKU_CONTEXT_EXCEEDED);
	assert_string_equal(err.message, "the prompt has 97 tokens, the context holds 96");
	must(save(e, 0, many, 96, &told, &err), &err);
	assert_int_equal(told.n_kept, 96);
	for (uint32_t i = 0; i < STATE_ENDED; i++)
		run(e, &a, prompt, 3, 1);
	assert_int_equal(save(e, id, NULL, 0, &told, &err), HOKKU_NOT_FOUND);
	assert_string_equal(err.message,
			    "the request is not among those that run, nor the last 64 that ended");
	engine_destroy(e, 0);
	e = start((struct engine_config){.no_prefix_cache = true});
	assert_int_equal(save(e, 0, prompt, N_PROMPT, &told, &err), HOKKU_INVALID_REQUEST);
	assert_string_equal(err.message,
			    "states are neither saved nor restored here, as the prefix cache is off");
	engine_destroy(e, 0);
}

/* ---- bad files ---- */

static void damage(uint64_t at, uint8_t bit)
{
	uint8_t byte;
	int fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
	byte ^= bit;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	close(fd);
}

/* Refused with this in the message, and no token of it is found. */
static void refused(struct engine *e, enum hokku_code code, const char *message)
{
	static struct answer a;
	struct engine_state_told told;
	struct hokku_error err;
	enum hokku_code rc = restore(e, &told, &err);
	if (rc != code || !strstr(err.message, message))
		fail_msg("%s: %s", hokku_code_name(rc), err.message);
	assert_null(told.tokens);
	run(e, &a, prompt, 65, 1);
	assert_int_equal(a.cached, 0);
	static int32_t other[96];
	run(e, &a, other, 96, 1); /* the blocks of a context of 96 */
}

static void changed_and_cut(void **state)
{
	struct engine_state_told told, ignored;
	struct hokku_error err;
	(void)state;
	struct engine *e = start((struct engine_config){.n_ctx = 96, .n_parallel = 1});
	must(save(e, 0, prompt, N_PROMPT, &told, &err), &err);
	static int32_t other[96];
	static struct answer a;
	run(e, &a, other, 96, 1);
	for (uint64_t at = 0; at < told.bytes; at += 1 + told.bytes / (test_small() ? 5 : 21)) {
		damage(at, (uint8_t)(1 << at % 8));
		refused(e, HOKKU_BAD_FILE, "state x ");
		damage(at, (uint8_t)(1 << at % 8));
	}
	damage(told.bytes / 2, 1);
	refused(e, HOKKU_BAD_FILE, "was changed since it was written: the checksum of its contents is ");
	damage(told.bytes / 2, 1);
	damage(told.bytes - 1, 128);
	refused(e, HOKKU_BAD_FILE, "the checksum of its contents is ");
	damage(told.bytes - 1, 128);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(truncate(path, (off_t)(i == 0 ? told.bytes - 1 : i == 1 ? 1000 : 0)), 0);
		refused(e, HOKKU_BAD_FILE, i == 2 ? "state x is no state" : "state x was cut: it has ");
	}
	must(save(e, 0, prompt, N_PROMPT, &told, &err), &err); /* over the bad one */
	must(restore(e, &ignored, &err), &err);
	free(ignored.tokens);
	unlink(path);
	run(e, &a, other, 96, 1);
	refused(e, HOKKU_NOT_FOUND, "state x is not there");
	mkdir(path, 0700);
	refused(e, HOKKU_IO_ERROR, "is a directory");
	assert_int_equal(save(e, 0, prompt, N_PROMPT, &told, &err), HOKKU_IO_ERROR);
	rmdir(path);
	engine_destroy(e, 0);
}

static void of_another_run(void **state)
{
	struct engine_state_told told;
	struct hokku_error err;
	(void)state;
	struct engine *e = start((struct engine_config){0});
	must(save(e, 0, prompt, N_PROMPT, &told, &err), &err);
	engine_destroy(e, 0);
	e = start((struct engine_config){.n_ctx = 96, .n_parallel = 1, .device = "cpu:reference"});
	refused(e, HOKKU_INVALID_REQUEST,
		"state x belongs to another device class: it has \"cpu\", and here is \"cpu:reference\"");
	engine_destroy(e, 0);
	e = start((struct engine_config){.n_ctx = N_PROMPT - 1});
	assert_int_equal(restore(e, &told, &err), HOKKU_CONTEXT_EXCEEDED);
	if (!strstr(err.message, "state x has 70 tokens, and keys and values of ") ||
	    !strstr(err.message, " bytes; the context holds 69 tokens, the KV memory "))
		fail_msg("%s", err.message);
	engine_destroy(e, 0);
	e = start((struct engine_config){.n_ctx = N_PROMPT});
	must(restore(e, &told, &err), &err);
	free(told.tokens);
	engine_destroy(e, 0);
}

/* A file that cannot be finished leaves the older one, and nothing beside it. */
static void no_room(void **state)
{
	struct engine_state_told told, again;
	struct hokku_error err;
	(void)state;
	struct engine *e = start((struct engine_config){0});
	must(save(e, 0, prompt, 40, &told, &err), &err);
	snprintf(path, sizeof path, "%s/nowhere/x", folder);
	assert_int_equal(save(e, 0, prompt, N_PROMPT, &again, &err), HOKKU_IO_ERROR);
	snprintf(path, sizeof path, "/dev/full");
	assert_int_equal(save(e, 0, prompt, N_PROMPT, &again, &err), HOKKU_IO_ERROR);
	snprintf(path, sizeof path, "%s/x", folder);
	must(restore(e, &again, &err), &err);
	assert_int_equal(again.n_tokens, 40);
	free(again.tokens);
	engine_destroy(e, 0);
}

static bool at_once(void *user)
{
	return ++*(int *)user > 0;
}

static void told_to_end(void **state)
{
	struct engine_state_told told;
	struct hokku_error err;
	int asked = 0;
	(void)state;
	struct engine *e = start((struct engine_config){0});
	struct engine_saving s = {.tokens = prompt, .n_tokens = N_PROMPT, .path = path, .name = "state x"};
	must(engine_save(e, &s, &told, &err), &err);
	s.stopped = at_once;
	s.user = &asked;
	assert_int_equal(engine_save(e, &s, &told, &err), HOKKU_CANCELLED);
	const struct engine_restoring r = {
		.path = path, .name = "state x", .stopped = at_once, .user = &asked};
	assert_int_equal(engine_restore(e, &r, &told, &err), HOKKU_CANCELLED);
	assert_true(asked >= 2);
	must(restore(e, &told, &err), &err); /* the first one is there */
	free(told.tokens);
	engine_close_door(e);
	assert_int_equal(engine_save(e, &s, &told, &err), HOKKU_SHUTTING_DOWN);
	engine_destroy(e, 0);
}

int main(void)
{
	snprintf(folder, sizeof folder, "%s/test_state.%d", TEST_BINARY_DIR, (int)getpid());
	mkdir(folder, 0700);
	snprintf(path, sizeof path, "%s/x", folder);
	for (int32_t i = 0; i < N_PROMPT; i++)
		prompt[i] = 261 + i * 37 % 6000;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_prompt_elsewhere),
		cmocka_unit_test(a_request_elsewhere),
		cmocka_unit_test(around_a_block),
		cmocka_unit_test(requests_that_cannot_be_saved),
		cmocka_unit_test(changed_and_cut),
		cmocka_unit_test(of_another_run),
		cmocka_unit_test(no_room),
		cmocka_unit_test(told_to_end),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	rmdir(folder);
	return failed;
}
