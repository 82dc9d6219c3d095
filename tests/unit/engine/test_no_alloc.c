/* Nothing is allocated from a request's first prompt token to its last: every allocation of the process is
 * counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/engine.h"

static atomic_uint n_allocations;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
/* sanitizer/allocator_interface.h, which Debian's gcc does not bring */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
					      void (*on_free)(const volatile void *));

static void on_malloc(const volatile void *p, size_t n)
{
	(void)p;
	(void)n;
	atomic_fetch_add(&n_allocations, 1);
}

static void on_free(const volatile void *p)
{
	(void)p;
}

static bool count_allocations(void)
{
	return __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0;
}
#else
/* glibc's own names for what is replaced here. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n)
{
	atomic_fetch_add(&n_allocations, 1);
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	atomic_fetch_add(&n_allocations, 1);
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	atomic_fetch_add(&n_allocations, 1);
	return __libc_realloc(p, n);
}

static bool count_allocations(void)
{
	return true;
}
#endif

struct answer {
	sem_t done;
	unsigned before, after, n_tokens;
	bool failed;
};

static void on_event(void *user, const struct engine_event *event)
{
	struct answer *a = user;
	if (event->kind == ENGINE_STARTED)
		a->before = atomic_load(&n_allocations);
	a->n_tokens += event->kind == ENGINE_TOKEN;
	if (event->kind == ENGINE_END || event->kind == ENGINE_ERROR) {
		a->after = atomic_load(&n_allocations);
		a->failed = event->kind == ENGINE_ERROR;
		sem_post(&a->done);
	}
}

static void test_no_allocation(void **state)
{
	(void)state;
	struct hokku_logit_bias bias[8] = {{5, 1}, {6, -1}};
	uint32_t n_bias = 2;
	const struct engine_config config = {0};
	struct engine *e;
	struct hokku_error err;
	struct tok_ids ids = {0};
	struct answer a = {0};
	uint64_t id;
	assert_int_equal(engine_create(&config, &e, &err), HOKKU_OK);
	assert_int_equal(engine_wait_ready(e, &err), HOKKU_OK);
	assert_int_equal(tok_encode(engine_tok(e),
				    STR_LIT("the rain on the old roof of the temple, the moon and a long "
					    "road home through the fields where nobody waits"),
				    0, &ids, &err),
			 HOKKU_OK);
	const struct str stops[] = {STR_LIT("never, ever there"), STR_LIT("\n\n\n\n")};
	struct engine_request r = {.tokens = ids.ids,
				   .n_tokens = ids.n,
				   .max_tokens = 100,
				   .stop = stops,
				   .n_stop = 2,
				   .on_event = on_event,
				   .user = &a};
	sampling_defaults(&r.sampling, SAMPLING_OWN, NULL);
	r.sampling.temperature = 2;
	r.sampling.top_k = 200;
	r.sampling.top_p = 0.99f;
	r.sampling.min_p = 0.001f;
	r.sampling.repetition_penalty = 1.1f;
	r.sampling.frequency_penalty = 0.1f;
	r.sampling.bias = bias;
	for (int32_t t = 0; t < (int32_t)tok_n_vocab(engine_tok(e)) && n_bias < 8; t++)
		if (tok_is_end(engine_tok(e), t))
			bias[n_bias++] = (struct hokku_logit_bias){t, -1000}; /* go on until max_tokens */
	r.sampling.n_bias = n_bias;
	int32_t allowed[40], bad[] = {307, 310, -1};
	for (int32_t i = 0; i < 40; i++)
		allowed[i] = 300 + i;
	const struct token_rules rules = {.min_tokens = 50,
					  .ignore_eos = true,
					  .allowed = allowed,
					  .n_allowed = 40,
					  .bad_words = bad,
					  .n_bad_ids = 3};
	sem_init(&a.done, 0, 0);
	unsigned n_tokens = 0;
	for (uint64_t seed = 0; seed < 5; seed++) {
		r.sampling.seed = seed;
		r.sampling.dry_multiplier = seed >= 2 ? 1 : 0;
		r.sampling.dry_allowed_length = 1;
		r.sampling.typical_p = seed >= 2 ? 0.9f : 1;
		r.sampling.mirostat = seed >= 3 ? (int32_t)seed - 2 : 0;
		r.sampling.repeat_last_n = seed >= 3 ? 9 : -1;
		r.rules = seed >= 2 ? rules : (struct token_rules){0};
		a.n_tokens = 0;
		assert_int_equal(engine_submit(e, &r, &id, &err), HOKKU_OK);
		sem_wait(&a.done);
		assert_false(a.failed);
		assert_int_equal(a.after, a.before);
		n_tokens += a.n_tokens;
	}
	assert_int_equal(n_tokens, 500);
	assert_true(atomic_load(&n_allocations) > 0); /* the count does count */
	engine_destroy(e, 0);
	tok_ids_free(&ids);
	sem_destroy(&a.done);
}

int main(void)
{
	if (bundled_model().len == 0 || !count_allocations()) {
		fprintf(stderr, "skipped: no model was built in, or allocations cannot be counted here\n");
		return 77;
	}
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_allocation)};
	return cmocka_run_group_tests_name("no_alloc", tests, NULL, NULL);
}
