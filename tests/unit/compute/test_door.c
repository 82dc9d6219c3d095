/* compute.c: what a step and a handle refuse before any backend sees them, and what they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "model_run.h"
#include "tiny_model.h"

static struct tiny_set set;
static struct gguf *file;
static struct model model;

enum { N_CTX = 70, N_SEQS = 2, N_BATCH = 40, N_KV_BLOCKS = 6 };

static struct compute_params good_params(void)
{
	return (struct compute_params){
		.model = &model,
		.device = "cpu:reference",
		.n_ctx = N_CTX,
		.n_seqs = N_SEQS,
		.n_kv_blocks = N_KV_BLOCKS,
		.n_batch = N_BATCH,
	};
}

static void open_refuses(const struct compute_params *p, enum hokku_code code, const char *message)
{
	struct hokku_error err = {0};
	struct compute *c = (struct compute *)&err; /* anything but NULL */
	assert_int_equal(compute_open(p, &c, &err), code);
	assert_null(c);
	assert_int_equal(err.code, code);
	if (!strstr(err.message, message))
		fail_msg("the message is\n  %s\nwanted\n  %s", err.message, message);
}

static void open_takes(struct compute_params p)
{
	struct hokku_error err = {0};
	struct compute *c;
	if (compute_open(&p, &c, &err))
		fail_msg("%s", err.message);
	assert_non_null(compute_device(c));
	struct compute_memory m;
	compute_get_memory(c, &m);
	assert_true(m.weight_bytes > 0 && m.kv_bytes > 0 && m.scratch_bytes > 0);
	compute_close(c);
}

static void devices_are_known_by_name(void **state)
{
	(void)state;
	struct compute_params p = good_params();
	for (const char *const *name = compute_device_names(); *name; name++) {
		p.device = *name;
		open_takes(p);
	}
	p.device = NULL; /* auto */
	open_takes(p);
	p.device = "cpu:reverence";
	open_refuses(
		&p, HOKKU_INVALID_REQUEST,
		"there is no device \"cpu:reverence\" (did you mean cpu:reference?); hokku knows auto, cpu, "
		"cpu:reference, cuda, cuda:N");
	p.device = "";
	open_refuses(&p, HOKKU_INVALID_REQUEST, "there is no device \"\"");
}

static void no_progress(void *user, uint64_t done, uint64_t all)
{
	(void)user, (void)done, (void)all;
	fail_msg("weights are read");
}

/* The host's memory: what is one byte too little is refused before a weight is read, with both numbers and
 * what would fit; more KV blocks than the fewest come where there is room. */
static void the_host_has_a_limit(void **state)
{
	(void)state;
	struct hokku_error err = {0};
	struct compute_params p = good_params();
	struct compute_need need;
	struct compute_memory m;
	struct compute *c;
	char text[160];
	p.device = "cpu";
	p.n_ctx = 320;
	p.n_seqs = 2;
	p.n_kv_blocks = 20;
	p.n_kv_blocks_host = 25;
	p.ram_limit = 1;
	p.on_progress = no_progress;
	assert_int_equal(compute_need(&p, &need, &err), HOKKU_OK);
	assert_false(need.fits);
	assert_int_equal(need.memory.n_kv_blocks, 20);
	assert_int_equal(need.available_bytes, 1);
	const uint64_t least = compute_memory_sum(&need.memory), block = need.kv_block_bytes;
	assert_int_equal(need.memory.kv_bytes, 20 * block);
	open_refuses(&p, HOKKU_INSUFFICIENT_MEMORY,
		     "(1 B, the limit that was set); its weights alone do not fit");
	const struct {
		uint64_t limit;
		uint32_t n; /* blocks; 0: refused */
	} rows[] = {{least - 1, 0},
		    {least, 20},
		    {least + 1, 20},
		    {least + block - 1, 20},
		    {least + block, 21},
		    {least + 5 * block - 1, 24},
		    {least + 5 * block, 25},
		    {least + 6 * block, 25},
		    {0, 25}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		p.ram_limit = rows[i].limit;
		assert_int_equal(compute_need(&p, &need, &err), HOKKU_OK);
		assert_int_equal(need.fits, rows[i].n > 0);
		if (!rows[i].n) {
			snprintf(text, sizeof text, "needs %llu bytes (", (unsigned long long)least);
			open_refuses(&p, HOKKU_INSUFFICIENT_MEMORY, text);
			snprintf(text, sizeof text, "has %llu bytes of memory available (",
				 (unsigned long long)least - 1);
			open_refuses(&p, HOKKU_INSUFFICIENT_MEMORY, text);
			open_refuses(&p, HOKKU_INSUFFICIENT_MEMORY,
				     "); a context of 288 positions would fit");
			continue;
		}
		p.on_progress = NULL;
		assert_int_equal(compute_open(&p, &c, &err), HOKKU_OK);
		p.on_progress = no_progress;
		compute_get_memory(c, &m);
		assert_int_equal(m.n_kv_blocks, rows[i].n);
		assert_int_equal(compute_memory_sum(&m), least + (rows[i].n - 20) * block);
		assert_int_equal(compute_memory_sum(&m), compute_memory_sum(&need.memory));
		compute_close(c);
	}
	p.ram_limit = least;
	p.kv_bytes = 21 * block;
	open_refuses(&p, HOKKU_INSUFFICIENT_MEMORY, " bytes of KV memory would fit");
	p.kv_bytes = 20 * block - 1;
	open_refuses(&p, HOKKU_INVALID_REQUEST, " bytes of KV memory hold 19 blocks");
	assert_int_equal(compute_need(&p, &need, &err), HOKKU_INVALID_REQUEST);
	p.kv_bytes = 0;
	p.device = "cpu:reference";
	assert_int_equal(compute_need(&p, &need, &err), HOKKU_INVALID_REQUEST);
	assert_non_null(strstr(err.message, "the device cpu:reference does not tell what it would take"));
}

static void params_are_checked_on_both_sides(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		size_t field;
		uint32_t min, max;
	} rows[] = {
		{"n_ctx", offsetof(struct compute_params, n_ctx), 1, 1 << 24},
		{"n_seqs", offsetof(struct compute_params, n_seqs), 1, 4096},
		{"n_batch", offsetof(struct compute_params, n_batch), 1, COMPUTE_MAX_BATCH},
		{"n_threads", offsetof(struct compute_params, n_threads), 0, 1024},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct compute_params p = good_params();
		uint32_t *value = (uint32_t *)((char *)&p + rows[i].field);
		char message[96];
		*value = rows[i].max;
		open_takes(p);
		*value = rows[i].max - 1;
		open_takes(p);
		*value = rows[i].max + 1;
		snprintf(message, sizeof message, "%s is %u; it takes %u to %u", rows[i].name, *value,
			 rows[i].min, rows[i].max);
		open_refuses(&p, HOKKU_INVALID_REQUEST, message);
		if (rows[i].field == offsetof(struct compute_params, n_batch))
			continue; /* 0 is the default */
		*value = rows[i].min;
		open_takes(p);
		if (rows[i].min == 0)
			continue;
		*value = rows[i].min - 1;
		open_refuses(&p, HOKKU_INVALID_REQUEST, rows[i].name);
	}
	struct compute_params p = good_params();
	p.model = NULL;
	open_refuses(&p, HOKKU_INTERNAL, "no bound model");

	/* 64 blocks of 32 x 524,288 floats in each of 1,024 layers: terabytes of keys */
	static struct layer layers[1024];
	static struct layer_spec specs[1024];
	struct model huge = model;
	for (uint32_t l = 0; l < 1024; l++) {
		specs[l] = model.specs[0];
		specs[l].attn.n_heads = specs[l].attn.n_kv_heads = 512;
		specs[l].attn.head_dim = 1024;
		specs[l].kv_place = l;
		layers[l] = model.layers[0];
		layers[l].spec = &specs[l];
	}
	huge.layers = layers;
	huge.hp.n_layers = 1024;
	huge.hp.n_heads = huge.hp.n_kv_heads = 512;
	huge.hp.head_dim = 1024;
	p = good_params();
	p.model = &huge;
	p.n_batch = 1;
	p.n_kv_blocks = 64;
	open_refuses(&p, HOKKU_OUT_OF_MEMORY, "cpu:reference: no memory for 4398046511104 bytes");
}

/* The sanitizers end a program that asks for terabytes, unless told that it knows. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

/* ---- steps ---- */

static int32_t tokens[N_BATCH + 1];
static uint32_t tables[2][3] = {{0, 1, 2}, {5, 4, 3}};
static float logits[64 * 512];

static void good_seqs(struct compute_seq seqs[2])
{
	for (int s = 0; s < 2; s++)
		seqs[s] = (struct compute_seq){
			.tokens = tokens, .n_tokens = 4, .pos = 30, .blocks = tables[s], .token = -7};
}

static struct compute *open_good(bool all_logits)
{
	struct compute_params p = good_params();
	p.all_logits = all_logits;
	struct hokku_error err = {0};
	struct compute *c;
	if (compute_open(&p, &c, &err))
		fail_msg("%s", err.message);
	return c;
}

static void step_refuses(struct compute *c, struct compute_seq *seqs, uint32_t n, enum hokku_code code,
			 const char *message)
{
	struct hokku_error err = {0};
	enum hokku_code rc = compute_step(c, seqs, n, &err);
	if (rc != code || !strstr(err.message, message))
		fail_msg("code %s, the message is\n  %s\nwanted\n  %s", hokku_code_name(rc), err.message,
			 message);
}

static void step_takes(struct compute *c, struct compute_seq *seqs, uint32_t n)
{
	struct hokku_error err = {0};
	if (compute_step(c, seqs, n, &err))
		fail_msg("%s", err.message);
}

/* Of two sequences, that one. */
static void step_leaves_out(struct compute *c, struct compute_seq *seqs, uint32_t which, enum hokku_code code,
			    const char *message)
{
	struct hokku_error err = {0}, own = {0};
	seqs[which].error = &own;
	if (compute_step(c, seqs, 2, &err))
		fail_msg("%s", err.message);
	assert_int_equal(seqs[!which].code, HOKKU_OK);
	assert_int_equal(seqs[which].code, code);
	assert_int_equal(own.code, code);
	if (!strstr(own.message, message))
		fail_msg("the message is\n  %s\nwanted\n  %s", own.message, message);
	/* and without a place for the words */
	seqs[which].error = NULL;
	seqs[which].code = HOKKU_OK;
	assert_int_equal(compute_step(c, seqs, 2, &err), HOKKU_OK);
	assert_int_equal(seqs[which].code, code);
}

/* Steps that are under way: what is refused, and masks that follow, on a device that waits. */
static void submitted_and_collected(void **state)
{
	(void)state;
	struct compute_params params = good_params();
	struct hokku_error err = {0};
	struct compute *c;
	struct compute_seq s[3], there[3];
	static uint32_t mask[16] = {1u << 5};
	static const int32_t some_ids[N_CTX];
	static const struct sampling good = {.top_p = 1, .repetition_penalty = 1};
	params.n_open_masks = 1;
	assert_int_equal(compute_open(&params, &c, &err), HOKKU_OK);
	assert_false(compute_runs_ahead(c));
	assert_int_equal(compute_collect(c, &err), HOKKU_INTERNAL);
	assert_string_equal(err.message, "no step is under way");
	good_seqs(s);
	s[0].from = 1;
	s[0].history = some_ids;
	s[0].n_history = s[0].pos + s[0].n_tokens + 1;
	step_refuses(c, s, 1, HOKKU_INTERNAL, "its history does not end with it");
	s[0].n_history = 0;
	step_refuses(c, s, 1, HOKKU_INTERNAL,
		     "goes on from sequence 0 of a step before, and none is under way");
	good_seqs(s);
	s[0].id = 7;
	s[0].slot = 2;
	step_refuses(c, s, 1, HOKKU_INTERNAL, "sequence 0 has slot 2; there are 2");
	s[0].slot = s[1].slot = 1;
	s[1].id = 8;
	step_leaves_out(c, s, 1, HOKKU_INTERNAL, "sequence 1 has slot 1, as another of the step");
	good_seqs(s);
	s[0].mask_open = true;
	step_refuses(c, s, 1, HOKKU_INTERNAL, "leaves its mask open and draws nothing");
	s[0].sampling = &good;
	s[0].mask = mask;
	step_refuses(c, s, 1, HOKKU_INTERNAL, "leaves its mask open and has one");
	/* the mask that is there, and the one that follows */
	s[0].mask_open = false;
	memcpy(there, s, sizeof s);
	step_takes(c, there, 1);
	assert_int_equal(there[0].token, 5);
	s[0].mask = NULL;
	s[0].mask_open = true;
	assert_int_equal(compute_submit(c, s, 1, &err), HOKKU_OK);
	assert_int_equal(compute_submit(c, there, 1, &err), HOKKU_INTERNAL);
	assert_non_null(strstr(err.message, "1 steps are under way"));
	assert_int_equal(compute_step(c, there, 1, &err), HOKKU_INTERNAL);
	assert_string_equal(err.message, "a step is under way");
	assert_int_equal(compute_mask(c, 1, mask, &err), HOKKU_INTERNAL);
	assert_int_equal(compute_mask(c, 0, mask, &err), HOKKU_OK);
	assert_int_equal(compute_mask(c, 0, mask, &err), HOKKU_INTERNAL);
	assert_int_equal(compute_collect(c, &err), HOKKU_OK);
	assert_int_equal(s[0].token, 5);
	assert_memory_equal(&s[0].logprob, &there[0].logprob, sizeof(float));
	/* one more than the handle was opened for is left out */
	good_seqs(s);
	s[0].sampling = s[1].sampling = &good;
	s[0].mask_open = s[1].mask_open = true;
	s[1].error = &err;
	assert_int_equal(compute_submit(c, s, 2, &err), HOKKU_OK);
	assert_int_equal(s[1].code, HOKKU_INTERNAL);
	assert_non_null(strstr(err.message, "the handle was opened for 1 of a step"));
	assert_int_equal(compute_mask(c, 0, mask, &err), HOKKU_OK);
	assert_int_equal(compute_collect(c, &err), HOKKU_OK);
	assert_int_equal(s[0].token, 5);
	/* one that never comes costs its own sequence the token, and nobody else anything */
	for (int late = 0; late < 2; late++) {
		char wanted[80];
		good_seqs(s);
		s[0].sampling = s[1].sampling = &good;
		s[late].mask_open = true;
		s[0].token = s[1].token = -7;
		s[late].error = &err;
		assert_int_equal(compute_submit(c, s, 2, &err), HOKKU_OK);
		assert_int_equal(compute_collect(c, &err), HOKKU_OK);
		assert_int_equal(s[late].code, HOKKU_CANCELLED);
		snprintf(wanted, sizeof wanted, "sequence %d has drawn nothing: its mask has not come", late);
		assert_string_equal(err.message, wanted);
		assert_int_equal(s[late].token, -7);
		assert_int_equal(s[!late].code, HOKKU_OK);
		assert_in_range(s[!late].token, 0, model.hp.n_vocab - 1);
		step_takes(c, s + !late, 1);
	}
	compute_close(c);
}

static void steps_are_counted(void **state)
{
	(void)state;
	struct compute *c = open_good(false);
	struct compute_seq s[3];
	good_seqs(s);
	step_takes(c, s, 1);
	step_takes(c, s, 2);
	step_refuses(c, s, 0, HOKKU_INTERNAL, "a step of 0 sequences; it takes 1 to 2");
	step_refuses(c, s, 3, HOKKU_INTERNAL, "a step of 3 sequences; it takes 1 to 2");
	s[0].n_tokens = N_BATCH - 4;
	s[0].pos = 0;
	step_takes(c, s, 2);
	s[0].n_tokens = N_BATCH - 3;
	step_refuses(c, s, 2, HOKKU_INTERNAL, "a step of 41 tokens; the handle takes 40");
	good_seqs(s);
	s[1].n_tokens = 0;
	step_leaves_out(c, s, 1, HOKKU_INTERNAL, "sequence 1 of the step has no tokens");
	good_seqs(s);
	s[1].tokens = NULL;
	step_leaves_out(c, s, 1, HOKKU_INTERNAL, "sequence 1 of the step has no tokens");
	good_seqs(s);
	s[0].pos = N_CTX - 4;
	step_takes(c, s, 1);
	s[0].pos = N_CTX - 3;
	step_refuses(c, s, 1, HOKKU_CONTEXT_EXCEEDED, "would end at position 71; the context holds 70");
	s[0].pos = UINT32_MAX;
	step_refuses(c, s, 1, HOKKU_CONTEXT_EXCEEDED, "would end at position 4294967299");
	compute_close(c);
}

static void token_ids_are_of_the_vocabulary(void **state)
{
	(void)state;
	struct compute *c = open_good(false);
	struct compute_seq s[2];
	int32_t ids[4] = {0, (int32_t)model.hp.n_vocab - 1, 1, 2};
	good_seqs(s);
	s[0].tokens = ids;
	step_takes(c, s, 1);
	ids[2] = (int32_t)model.hp.n_vocab;
	step_refuses(c, s, 1, HOKKU_INVALID_REQUEST, "token 32 is id 263; the vocabulary has ids 0 to 262");
	ids[2] = -1;
	step_refuses(c, s, 1, HOKKU_INVALID_REQUEST, "token 32 is id -1");
	compute_close(c);
}

static void block_tables_are_checked(void **state)
{
	(void)state;
	struct compute *c = open_good(false);
	struct compute_seq s[2];
	uint32_t table[3] = {0, N_KV_BLOCKS - 1, 2};
	good_seqs(s);
	s[0].blocks = table;
	step_takes(c, s, 1);
	table[1] = N_KV_BLOCKS;
	step_refuses(c, s, 1, HOKKU_INTERNAL, "KV block 1 of sequence 0 is 6; there are 6");
	table[1] = 0;
	step_refuses(c, s, 1, HOKKU_INTERNAL, "KV block 0 stands twice in the tables of sequence 0");
	s[0].blocks = NULL;
	step_refuses(c, s, 1, HOKKU_INTERNAL, "sequence 0 of the step has no block table");

	/* positions 30..33 write the first two blocks of both tables */
	uint32_t other[3] = {4, 1, 3};
	good_seqs(s);
	s[1].blocks = other;
	step_leaves_out(c, s, 1, HOKKU_INTERNAL, "KV block 1 is in the tables of two sequences");
	/* sharing a block that both only read is what a prefix cache does */
	uint32_t shared[3] = {0, 4, 3};
	s[0].pos = s[1].pos = 32;
	s[1].blocks = shared;
	step_takes(c, s, 2);
	/* reading a block that the other writes is not, whichever comes first */
	s[0].pos = 30;
	step_leaves_out(c, s, 1, HOKKU_INTERNAL, "KV block 0 is in the tables of two sequences");
	s[0].pos = 32;
	s[1].pos = 30;
	step_leaves_out(c, s, 1, HOKKU_INTERNAL, "KV block 0 is in the tables of two sequences");
	/* and a refused step leaves no trace */
	good_seqs(s);
	step_takes(c, s, 2);
	compute_close(c);
}

static void logits_and_sampling_are_checked(void **state)
{
	(void)state;
	struct compute *c = open_good(false), *all = open_good(true);
	struct compute_seq s[2];
	good_seqs(s);
	s[0].all_logits = true;
	step_refuses(all, s, 1, HOKKU_INTERNAL, "asks for all logits and gives no room for them");
	s[0].logits = logits;
	step_refuses(c, s, 1, HOKKU_INTERNAL, "opened without all_logits");
	step_takes(all, s, 1);
	assert_int_equal(s[0].token, -7); /* nothing was to be drawn */

	const struct sampling good = {.temperature = 1, .top_p = 1, .repetition_penalty = 1};
	const struct hokku_logit_bias bias[] = {{0, 1.0f}, {(int32_t)model.hp.n_vocab, 1.0f}};
	const struct hokku_logit_bias nan_bias[] = {{0, NAN}};
	struct {
		struct sampling sampling;
		const char *message;
	} bad[] = {
		{good, "temperature is -1; it takes 0 to 100"},
		{good, "temperature is nan"},
		{good, "top_p is 1.5; it takes 0 to 1"},
		{good, "min_p is -0.5; it takes 0 to 1"},
		{good, "top_k is -1"},
		{good, "repetition_penalty is 11"},
		{good, "frequency_penalty is 3"},
		{good, "presence_penalty is -3"},
		{good, "logit_bias has 2049 entries"},
		{good, "logit_bias gives token 263"},
		{good, "logit_bias gives token 0 the bias nan"},
		{good, "typical_p is -0.1; it takes 0 to 1"},
		{good, "top_n_sigma is 101; it takes -1 to 100"},
		{good, "xtc_probability is 2"},
		{good, "xtc_threshold is nan"},
		{good, "dynatemp_range is -1"},
		{good, "dynatemp_exponent is 101"},
		{good, "mirostat is 3; it takes 0 to 2"},
		{good, "mirostat_tau is -1"},
		{good, "mirostat_eta is 1.5"},
	};
	bad[0].sampling.temperature = -1;
	bad[1].sampling.temperature = NAN;
	bad[2].sampling.top_p = 1.5f;
	bad[3].sampling.min_p = -0.5f;
	bad[4].sampling.top_k = -1;
	bad[5].sampling.repetition_penalty = 11;
	bad[6].sampling.frequency_penalty = 3;
	bad[7].sampling.presence_penalty = -3;
	bad[8].sampling.bias = bias;
	bad[8].sampling.n_bias = COMPUTE_MAX_BIASES + 1;
	bad[9].sampling.bias = bias;
	bad[9].sampling.n_bias = 2;
	bad[10].sampling.bias = nan_bias;
	bad[10].sampling.n_bias = 1;
	bad[11].sampling.typical_p = -0.1f;
	bad[12].sampling.top_n_sigma = 101;
	bad[13].sampling.xtc_probability = 2;
	bad[14].sampling.xtc_threshold = NAN;
	bad[15].sampling.dynatemp_range = -1;
	bad[16].sampling.dynatemp_exponent = 101;
	bad[17].sampling.mirostat = 3;
	bad[18].sampling.mirostat_tau = -1;
	bad[19].sampling.mirostat_eta = 1.5f;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		good_seqs(s);
		s[0].sampling = &bad[i].sampling;
		step_refuses(c, s, 1, HOKKU_INVALID_REQUEST, bad[i].message);
		assert_int_equal(s[0].token, -7);
	}
	int32_t history[] = {1, 2, (int32_t)model.hp.n_vocab};
	good_seqs(s);
	s[0].sampling = &good;
	s[0].history = history;
	s[0].n_history = 2;
	s[0].n_prompt = 2;
	step_takes(c, s, 1);
	assert_in_range(s[0].token, 0, model.hp.n_vocab - 1);
	s[0].n_prompt = 3;
	step_refuses(c, s, 1, HOKKU_INTERNAL, "a history of 2 tokens, 3 of them prompt");
	s[0].n_history = 3; /* its last id is none, and does not count */
	step_takes(c, s, 1);
	static int32_t longest[N_CTX + 2];
	s[0].history = longest;
	s[0].n_history = N_CTX + 1;
	step_takes(c, s, 1);
	s[0].n_history = N_CTX + 2;
	step_refuses(c, s, 1, HOKKU_INVALID_REQUEST,
		     "a history of 72 tokens for the penalties; a context of 70");
	compute_close(c);
	compute_close(all);
	compute_close(NULL);
}

/* A sequence that is left out takes nothing from the others: not their bits, and not the blocks that it
 * names. */
static void one_bad_sequence_of_a_step(void **state)
{
	(void)state;
	static const char *const devices[] = {"cpu", "cpu:reference"};
	static float lone[512], got[512];
	const struct sampling good = {.temperature = 1, .top_p = 1, .repetition_penalty = 1},
			      bad = {.top_p = 2};
	for (size_t d = 0; d < 2; d++)
		for (uint32_t which = 0; which < 2; which++) {
			struct compute_params p = good_params();
			struct compute_seq s[2];
			struct hokku_error err = {0}, own = {0};
			struct compute *c;
			p.device = devices[d];
			assert_int_equal(compute_open(&p, &c, &err), HOKKU_OK);
			good_seqs(s);
			struct compute_seq *runs = &s[!which];
			runs->pos = 0;
			runs->sampling = &good;
			runs->logits = lone;
			step_takes(c, runs, 1);
			int32_t token = runs->token;
			runs->token = -7;
			runs->logits = got;
			memset(got, 0, sizeof got);
			s[which].sampling = &bad;
			s[which].logits = logits;
			s[which].blocks = runs->blocks; /* which it would write as well */
			s[which].pos = 0;
			if (which == 1) /* the first of two to write a block has it */
				s[which].blocks = tables[1];
			s[which].error = &own;
			logits[0] = 12345;
			assert_int_equal(compute_step(c, s, 2, &err), HOKKU_OK);
			assert_int_equal(s[which].code, HOKKU_INVALID_REQUEST);
			assert_non_null(strstr(own.message, "top_p is 2"));
			assert_int_equal(s[which].token, -7);
			assert_true(logits[0] == 12345);
			assert_int_equal(runs->code, HOKKU_OK);
			assert_int_equal(runs->token, token);
			assert_memory_equal(lone, got, model.hp.n_vocab * sizeof *got);
			/* none can run: the first's error is the step's */
			struct compute_seq both[2] = {s[which], s[which]};
			both[1].tokens = NULL;
			assert_int_equal(compute_step(c, both, 2, &err), HOKKU_INVALID_REQUEST);
			assert_non_null(strstr(err.message, "top_p is 2"));
			assert_int_equal(both[1].code, HOKKU_INTERNAL);
			compute_close(c);
		}
}

/* A backend that takes its widths from the model's numbers says which layer is of another shape. */
static void layers_of_other_shapes_are_named(void **state)
{
	(void)state;
	const struct {
		size_t field;
		const char *name;
	} rows[] = {
		{offsetof(struct layer_spec, attn.n_heads), "n_heads"},
		{offsetof(struct layer_spec, attn.n_kv_heads), "n_kv_heads"},
		{offsetof(struct layer_spec, attn.head_dim), "head_dim"},
		{offsetof(struct layer_spec, ffn.d_ff), "d_ff"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct layer_spec kept = model.specs[1];
		struct compute_params p = good_params();
		char message[96];
		*(uint32_t *)((char *)&model.specs[1] + rows[i].field) += 2;
		for (const char *const *device = compute_device_names(); *device; device++) {
			p.device = *device;
			snprintf(message, sizeof message,
				 "cannot do %s (another than the model's) of layer 1", rows[i].name);
			open_refuses(&p, HOKKU_MODEL_LOAD_FAILED, message);
		}
		model.specs[1] = kept;
	}
}

static void hidden_states_are_asked_for(void **state)
{
	(void)state;
	struct hokku_error err = {0};
	struct compute_params p = good_params();
	struct compute *without = open_good(false), *c;
	struct compute_seq s[2];
	p.pooled = true;
	assert_int_equal(compute_open(&p, &c, &err), HOKKU_OK);
	good_seqs(s);
	s[0].states = logits;
	step_takes(without, s, 1);
	s[0].pooling = COMPUTE_POOL_LAST;
	step_refuses(without, s, 1, HOKKU_INTERNAL,
		     "asks for hidden states, but the handle was opened without pooled");
	step_takes(c, s, 1);
	s[0].pooling = COMPUTE_POOL_MEAN;
	step_takes(c, s, 1);
	s[0].pooling = COMPUTE_POOL_MEAN + 1;
	step_refuses(c, s, 1, HOKKU_INTERNAL, "asks for pooling 4, which is none");
	s[0].pooling = COMPUTE_POOL_NONE;
	s[0].states = NULL;
	step_refuses(c, s, 1, HOKKU_INTERNAL, "asks for hidden states and gives no room for them");
	compute_close(c);
	compute_close(without);
}

int main(void)
{
	char path[512];
	struct hokku_error err = {0};
	tiny_load(&set);
	snprintf(path, sizeof path, "%s/test_door.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	tiny_write(&set, tiny_find(&set, "odd"), "F32", path);
	if (gguf_open_file(path, &file, &err) || model_bind(&model, file, &err)) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(devices_are_known_by_name),
		cmocka_unit_test(params_are_checked_on_both_sides),
		cmocka_unit_test(the_host_has_a_limit),
		cmocka_unit_test(submitted_and_collected),
		cmocka_unit_test(steps_are_counted),
		cmocka_unit_test(token_ids_are_of_the_vocabulary),
		cmocka_unit_test(block_tables_are_checked),
		cmocka_unit_test(logits_and_sampling_are_checked),
		cmocka_unit_test(one_bad_sequence_of_a_step),
		cmocka_unit_test(layers_of_other_shapes_are_named),
		cmocka_unit_test(hidden_states_are_asked_for),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	model_unbind(&model);
	gguf_close(file);
	unlink(path);
	tiny_free(&set);
	return failed;
}
