/*
 * Counters of the decode kernel that come to an end: the number of a launch, and the tags that are made of
 * it. Steps across the end have the bits of steps far from it, with words of long ago lying where they must
 * not be believed.
 */
#include "direct.h"

#include <unistd.h>

#include "compute/cuda/decode/decode_path.h"

enum {
	N_CTX = 3 * CUDA_ATTN_SPLIT, /* the last split is never reached: what lies in its words, nobody writes
					over */
	PROMPT = CUDA_ATTN_SPLIT +
		 2, /* so that attention has two splits, whose parts go through tagged words */
	STEPS = 6,
	AHEAD = 8, /* greedy steps of which each is begun before it is asked for */
};

static struct tiny_set set;

struct answer {
	float *logits; /* (STEPS, n_vocab) */
	int32_t tokens[AHEAD];
	float logprobs[AHEAD];
};

static struct decode_handle *handle_of(struct direct *d)
{
	return decode_of((struct cuda *)d->self);
}

/* Words as they would have been left by the launches that are to come after the end: with the tags of a count
 * that begins again, and with those of one that goes on. */
static void poison(struct direct *d, uint32_t launch)
{
	struct decode_handle *h = handle_of(d);
	uint32_t n_layers = h->args.n_layers, head = 4 * h->grid;
	size_t n = h->tagged_bytes / sizeof(uint64_t);
	uint64_t *words = malloc(h->tagged_bytes);
	assert_non_null(words);
	const uint32_t launches[2] = {(launch & 1) + 1, launch + 1};
	for (size_t i = 0; i < n; i++) {
		uint32_t tag = launches[i % 2];
		if (i >= head)
			tag = tag * n_layers + (uint32_t)(i / 2 % n_layers);
		words[i] = (uint64_t)tag << 32 | 0x40490FDBu;
	}
	cudaStreamSynchronize(((struct cuda *)d->self)->stream);
	assert_int_equal(cudaMemcpy(h->args.tagged, words, h->tagged_bytes, cudaMemcpyHostToDevice),
			 cudaSuccess);
	free(words);
}

/* After `left` more launches is the end. */
static void go_near_the_end(struct direct *d, struct compute_seq again, uint32_t left)
{
	struct decode_handle *h = handle_of(d);
	struct hokku_error err = {0};
	uint32_t last = decode_last_launch(h->args.n_layers), launch = last - left;
	if ((launch ^ h->args.launch) &
	    1) /* the next must take the set of words that the one before has emptied */
		assert_int_equal(compute_cuda.step(d->self, &again, 1, &err), HOKKU_OK);
	assert_int_equal((launch ^ h->args.launch) & 1, 0);
	h->args.launch = launch;
	poison(d, last);
}

/* No word has the tag of a launch that is still to come. */
static void assert_nothing_ahead(struct direct *d)
{
	struct decode_handle *h = handle_of(d);
	uint32_t n_layers = h->args.n_layers, head = 4 * h->grid, launch = h->args.launch;
	cudaStreamSynchronize(((struct cuda *)d->self)->stream);
	uint64_t *words = from_device(h->args.tagged, h->tagged_bytes);
	for (size_t i = 0; i < h->tagged_bytes / sizeof *words; i++) {
		uint32_t tag = (uint32_t)(words[i] >> 32);
		if (tag > (i < head ? launch : launch * n_layers + n_layers - 1))
			fail_msg("word %zu has the tag %u after launch %u", i, tag, launch);
	}
	free(words);
}

static struct answer run(struct direct *d, const struct tiny *t, bool at_the_end)
{
	struct hokku_error err = {0};
	struct answer a = {.logits = calloc((size_t)STEPS * t->n_vocab, sizeof(float))};
	float *scratch = calloc(t->n_vocab, sizeof *scratch);
	int32_t ids[PROMPT + STEPS];
	assert_true(a.logits && scratch);
	for (uint32_t i = 0; i < PROMPT + STEPS; i++)
		ids[i] = t->prompt[i % t->n_prompt];
	struct compute_seq seq = {.tokens = ids, .n_tokens = PROMPT, .blocks = direct_blocks(d, 0)};
	assert_int_equal(compute_cuda.step(d->self, &seq, 1, &err), HOKKU_OK);
	struct compute_seq last = {.tokens = ids + PROMPT - 1,
				   .n_tokens = 1,
				   .pos = PROMPT - 1,
				   .blocks = direct_blocks(d, 0),
				   .logits = scratch};
	if (at_the_end)
		go_near_the_end(d, last, STEPS / 2);
	for (uint32_t i = 0; i < STEPS; i++) {
		seq = (struct compute_seq){.tokens = ids + PROMPT + i,
					   .n_tokens = 1,
					   .pos = PROMPT + i,
					   .blocks = direct_blocks(d, 0),
					   .logits = a.logits + (size_t)i * t->n_vocab};
		assert_int_equal(compute_cuda.step(d->self, &seq, 1, &err), HOKKU_OK);
	}
	if (at_the_end) {
		assert_in_range(handle_of(d)->args.launch, STEPS / 2, STEPS / 2 + 1);
		assert_nothing_ahead(d);
		last = seq;
		last.logits = scratch; /* not a greedy one, that another follows */
		go_near_the_end(d, last, 0);
	}
	int32_t token = ids[0];
	for (uint32_t i = 0; i < AHEAD; i++) {
		assert_int_equal(direct_greedy(d, 0, &token, PROMPT + STEPS + i, &a.logprobs[i], &err),
				 HOKKU_OK);
		a.tokens[i] = token;
	}
	if (at_the_end) {
		assert_in_range(handle_of(d)->args.launch, AHEAD, AHEAD + 2); /* one is under way */
		assert_nothing_ahead(d);
	}
	free(scratch);
	return a;
}

static void across(const char *precision)
{
	const struct tiny *t = tiny_find(&set, "gqa7"); /* of widths that the decode kernel takes */
	char path[512];
	struct direct d;
	struct hokku_error err = {0};
	setenv("HOKKU_CUDA_PATH", "tile", 1);
	setenv("HOKKU_CUDA_PRECISION", precision, 1);
	snprintf(path, sizeof path, "%s/test_cuda_decode_wrap.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	tiny_write(&set, t, "F16", path);
	enum hokku_code rc = direct_open(&d, path, N_CTX, 1, 0, 0, &err);
	unlink(path);
	if (rc) {
		direct_close(&d);
		printf("[  SKIPPED ] %s\n", err.message);
		skip(); /* a device without the tile path */
	}
	assert_non_null(handle_of(&d));
	struct cudasim_settings before, random;
	cudasim_get(&before);
	random = before;
	random.seed = 1; /* in order, each part of attention would be written before anybody asks for it */
	struct answer far = run(&d, t, false);
	cudasim_set(&random);
	struct answer near = run(&d, t, true);
	cudasim_set(&before);
	assert_memory_equal(near.logits, far.logits, (size_t)STEPS * t->n_vocab * sizeof(float));
	assert_memory_equal(near.tokens, far.tokens, sizeof far.tokens);
	assert_memory_equal(near.logprobs, far.logprobs, sizeof far.logprobs);
	free(far.logits);
	free(near.logits);
	direct_close(&d);
}

static void full(void **state)
{
	(void)state;
	across("full");
}

static void half(void **state)
{
	(void)state;
	across("half");
}

/* Tags of the last launch fit 32 bits, those of one more need not: for one layer as for many. */
static void last_launch(void **state)
{
	(void)state;
	static const uint32_t layers[] = {1, 2, 3, 24, 28, 80, 1000};
	for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
		uint64_t n = layers[i], last = decode_last_launch(layers[i]);
		assert_true(last * n + n - 1 <= UINT32_MAX);
		assert_true((last + 2) * n + n - 1 > UINT32_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_launch),
		cmocka_unit_test(full),
		cmocka_unit_test(half),
	};
	tiny_load(&set);
	int failed = cmocka_run_group_tests_name("cuda decode wrap", tests, NULL, NULL);
	tiny_free(&set);
	return failed;
}
