/*
 * Draws that a device leaves to the host: the engine over a "device" that runs ahead and has the plain stages
 * alone, made of the CPU's path in place of the plugin (the linker takes these definitions first). Whatever a
 * request asks for, alone and among others, its answer has the tokens and bits that it has on the CPU, where
 * all stages are. And what the door refuses of such draws.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "compute/plugin.h"
#include "compute/sample.h"
#include "engine/engine.h"

/* ---- the device ---- */

enum { MAX_SEQS = 8 };

struct step {
	uint32_t n;
	int32_t tokens[MAX_SEQS];
	float logprobs[MAX_SEQS];
	/* Of draws whose masks follow. */
	struct compute_seq open[MAX_SEQS];
	float *logits[MAX_SEQS];
	int32_t *histories[MAX_SEQS];
};

static struct {
	uint32_t n_vocab, n_submitted, n_collected, most_under_way, n_fed;
	struct sampler *sampler;
	struct step steps[COMPUTE_MAX_AHEAD];
} device;

static struct compute_backend backend;

static enum hokku_code device_open(const struct compute_params *p, void **self, struct hokku_error *err)
{
	device.n_vocab = p->model->hp.n_vocab;
	device.n_submitted = device.n_collected = 0;
	device.sampler = sampler_create(device.n_vocab);
	return compute_cpu.open(p, self, err);
}

static void device_close(void *self)
{
	sampler_destroy(device.sampler);
	compute_cpu.close(self);
}

static void draw(struct step *step, uint32_t s, struct compute_seq *seq, const float *logits)
{
	assert_true(sampling_is_plain(seq->sampling) && !seq->chances); /* it has no others */
	sampler_draw(device.sampler, logits, (uint64_t)seq->pos + seq->n_tokens, seq);
	step->tokens[s] = seq->token;
	step->logprobs[s] = seq->logprob;
}

/* As a device takes over what it is given: nothing is looked at later. */
static enum hokku_code device_submit(void *self, const struct compute_seq *seqs, uint32_t n,
				     struct hokku_error *err)
{
	const struct step *before = &device.steps[(device.n_submitted + 1) % COMPUTE_MAX_AHEAD];
	struct step *now = &device.steps[device.n_submitted % COMPUTE_MAX_AHEAD];
	struct compute_seq copies[MAX_SEQS];
	now->n = n;
	for (uint32_t s = 0; s < n; s++) {
		struct compute_seq *c = &copies[s];
		*c = seqs[s];
		now->histories[s] = malloc((c->n_history + 1) * sizeof(int32_t));
		memcpy(now->histories[s], c->history, c->n_history * sizeof(int32_t));
		if (c->from) {
			now->histories[s][c->n_history - 1] = before->tokens[c->from - 1];
			c->tokens = now->histories[s] + c->pos; /* they end alike */
			device.n_fed++;
		}
		c->history = now->histories[s];
		now->logits[s] = malloc((size_t)c->n_tokens * device.n_vocab * sizeof(float));
		c->logits = c->logits ? c->logits : now->logits[s];
		c->sampling = NULL;
	}
	enum hokku_code rc = compute_cpu.step(self, copies, n, err);
	for (uint32_t s = 0; s < n && !rc; s++) {
		struct compute_seq *c = &copies[s];
		size_t row = c->all_logits ? c->n_tokens - 1 : 0;
		c->sampling = seqs[s].sampling;
		if (!c->sampling)
			continue;
		memmove(now->logits[s], c->logits + row * device.n_vocab, device.n_vocab * sizeof(float));
		now->open[s] = *c;
		if (!c->mask_open)
			draw(now, s, c, now->logits[s]);
	}
	device.n_submitted++;
	uint32_t n_under_way = device.n_submitted - device.n_collected;
	device.most_under_way = n_under_way > device.most_under_way ? n_under_way : device.most_under_way;
	return rc;
}

static enum hokku_code device_mask(void *self, uint32_t s, const uint32_t *mask, struct hokku_error *err)
{
	struct step *step = &device.steps[device.n_collected % COMPUTE_MAX_AHEAD];
	(void)self, (void)err;
	step->open[s].mask = mask;
	draw(step, s, &step->open[s], step->logits[s]);
	return HOKKU_OK;
}

static enum hokku_code device_collect(void *self, struct compute_seq *seqs, uint32_t n,
				      struct hokku_error *err)
{
	struct step *step = &device.steps[device.n_collected++ % COMPUTE_MAX_AHEAD];
	(void)self, (void)err;
	for (uint32_t s = 0; s < n; s++) {
		if (seqs[s].sampling) {
			seqs[s].token = step->tokens[s];
			seqs[s].logprob = step->logprobs[s];
		}
		free(step->histories[s]);
		free(step->logits[s]);
	}
	return HOKKU_OK;
}

enum hokku_code plugin_get(const struct compute_plugin **out, struct hokku_error *err)
{
	*out = NULL;
	return err_set(err, HOKKU_NOT_FOUND, "there is no plugin");
}

enum hokku_code plugin_backend(const char *name, const struct compute_backend **out, struct hokku_error *err)
{
	(void)name, (void)err;
	backend = compute_cpu;
	backend.name = "cuda";
	backend.open = device_open;
	backend.close = device_close;
	backend.step = NULL;
	backend.submit = device_submit;
	backend.mask = device_mask;
	backend.collect = device_collect;
	backend.all_stages = false;
	*out = &backend;
	return HOKKU_OK;
}

enum hokku_code plugin_first_usable(const struct compute_backend **out, uint32_t *index,
				    struct hokku_error *err)
{
	*out = NULL;
	*index = 0;
	return err_set(err, HOKKU_NOT_FOUND, "there is no plugin");
}

/* ---- requests ---- */

struct told {
	struct strbuf log;
	sem_t done;
};

static void on_event(void *user, const struct engine_event *event)
{
	struct told *t = user;
	uint32_t bits;
	if (event->kind == ENGINE_PROMPT) {
		for (uint32_t i = 0; i < event->n_prompt; i++)
			strbuf_addf(&t->log, "%u:%d ", event->index + i, event->prompt[i].token);
	} else if (event->kind == ENGINE_TOKEN) {
		strbuf_addf(&t->log, "%d", event->token);
		if (event->logprobs) {
			memcpy(&bits, &event->logprobs->logprob, sizeof bits);
			strbuf_addf(&t->log, "/%08x", bits);
			for (uint32_t i = 0; i < event->logprobs->n_top; i++) {
				memcpy(&bits, &event->logprobs->top[i].logprob, sizeof bits);
				strbuf_addf(&t->log, ",%d:%08x", event->logprobs->top[i].token, bits);
			}
		}
		strbuf_add_c(&t->log, " ");
	} else if (event->kind == ENGINE_END) {
		strbuf_add_c(&t->log, hokku_stop_name(event->result->stop));
		sem_post(&t->done);
	} else if (event->kind == ENGINE_ERROR) {
		strbuf_addf(&t->log, "error: %s", event->error->message);
		sem_post(&t->done);
	}
}

enum { N_KINDS = 17, N_PROMPT = 44 };

static void set_kind(struct engine_request *q, uint32_t kind)
{
	/* Of few tokens some come again and again. */
	static const int32_t few[] = {300, 301, 302, 400, 500}, stops[] = {500},
			     bad[] = {300, 301, -1, 301, 301, -1, 302, -1};
	struct sampling *p = &q->sampling;
	struct sampling set[N_KINDS];
	for (uint32_t i = 0; i < N_KINDS; i++)
		set[i] = *p;
	set[1].typical_p = 0.6f;
	set[2].top_n_sigma = 1.2f;
	set[3].xtc_probability = 0.7f;
	set[3].xtc_threshold = 0.02f;
	set[4].dynatemp_range = 0.6f;
	set[5].mirostat = 1;
	set[6].mirostat = 2;
	set[6].mirostat_eta = 1;
	set[14] = set[6];
	set[14].mirostat_eta = 0; /* what was drawn before is of no matter */
	set[7].repeat_last_n = 5;
	set[7].repetition_penalty = 1.6f;
	set[7].frequency_penalty = 0.7f;
	set[8].dry_multiplier = 2;
	set[8].dry_allowed_length = 1;
	set[9].temperature = 0;
	set[9].mirostat = 2;
	set[10].typical_p = 0.9f;
	set[10].top_k = 30;
	set[10].xtc_probability = 1;
	set[10].dry_multiplier = 1;
	set[16] = set[10];
	*p = set[kind];
	if (kind >= 8 && kind < 12) {
		q->rules.min_tokens = 12;
		q->rules.allowed = few;
		q->rules.n_allowed = 5;
		q->rules.bad_words = bad;
		q->rules.n_bad_ids = 8;
	}
	if (kind == 11) {
		q->rules.stop_tokens = stops;
		q->rules.n_stop_tokens = 1;
	}
	q->rules.ignore_eos = kind != 12 && kind != 13; /* as long as it may be */
	q->chances = kind == 15 || kind == 16;
	q->logprobs = kind == 3 || kind == 7 || kind == 10 || q->chances;
	q->n_top = 2;
}

static enum hokku_code submit(struct engine *e, uint32_t kind, struct constrain *shape, struct told *t)
{
	/* A block and some more: the first is found again, and there are blocks for two or three at a time.
	 */
	static const int32_t text[] = {10, 259, 300, 31, 263, 10, 259, 300};
	int32_t ids[N_PROMPT];
	struct hokku_error err;
	uint64_t id;
	for (uint32_t i = 0; i < N_PROMPT; i++)
		ids[i] = text[(i + i / 8) % 8];
	struct engine_request q = {.tokens = ids,
				   .n_tokens = N_PROMPT,
				   .max_tokens = 16,
				   .prompt_logprobs = kind == 2,
				   .on_event = on_event,
				   .user = t};
	sampling_defaults(&q.sampling, SAMPLING_OWN, NULL);
	q.sampling.temperature = 1;
	q.sampling.seed = 5;
	set_kind(&q, kind);
	q.shape = kind == 12 || kind == 13 ? shape : NULL;
	if (kind == 13) {
		q.sampling.mirostat = 2;
		q.sampling.mirostat_tau = 0.5f;
		q.sampling.mirostat_eta = 1;
		q.sampling.temperature = 8; /* flat: much is cut */
	}
	*t = (struct told){0};
	sem_init(&t->done, 0, 0);
	enum hokku_code rc = engine_submit(e, &q, &id, &err);
	if (rc)
		fail_msg("%s", err.message);
	return rc;
}

static void wait_for(struct told *t)
{
	while (sem_wait(&t->done)) {
	}
	sem_destroy(&t->done);
}

static struct engine *start(const char *name, uint32_t n_parallel, struct constrain **shape)
{
	struct hokku_error err;
	struct engine *e;
	/* Where a shape leaves but one token, the CPU takes it ahead and the device draws it. */
	const struct engine_config config = {.device = name,
					     .n_ctx = 128,
					     .prompt_logprobs = true,
					     .n_parallel = n_parallel,
					     .no_jump_ahead = strcmp(name, "cpu") != 0};
	const struct constrain_shape regex = {.kind = CONSTRAIN_REGEX,
					      .text = STR_LIT("((a|c|1|th)(bcd|12)|[xyz] ){4,12}!")};
	assert_int_equal(engine_create(&config, &e, &err), HOKKU_OK);
	if (engine_wait_ready(e, &err) || engine_make_shape(e, &regex, shape, NULL, &err))
		fail_msg("%s", err.message);
	return e;
}

/* Those beside which steps run ahead: the device draws them, and nothing is told of logits. */
static const bool runs_ahead[N_KINDS] = {[0] = true, [8] = true, [9] = true, [11] = true, [12] = true};
enum round { ALONE, TOGETHER, AHEAD, N_ROUNDS };

/* All kinds on the CPU, one after another; then on the device, alone and together. */
static void test_same_bits(void **state)
{
	(void)state;
	struct told cpu[N_KINDS], t[N_KINDS];
	struct constrain *shape;
	struct engine *e = start("cpu", 1, &shape);
	for (uint32_t k = 0; k < N_KINDS; k++) {
		submit(e, k, shape, &cpu[k]);
		wait_for(&cpu[k]);
		assert_null(strstr(cpu[k].log.ptr, "error"));
	}
	constrain_unref(shape);
	engine_destroy(e, 0);
	for (uint32_t k = 1; k < N_KINDS; k++) /* each kind does something */
		assert_string_not_equal(cpu[k].log.ptr, cpu[k == 14 ? 6 : 0].log.ptr);
	e = start("cuda", 6, &shape);
	for (enum round round = 0; round < N_ROUNDS; round++) {
		for (uint32_t i = 0; i < N_KINDS; i++) {
			uint32_t k = round == TOGETHER ? N_KINDS - 1 - i : i;
			if (round == AHEAD && !runs_ahead[k])
				continue;
			submit(e, k, shape, &t[k]);
			if (round == ALONE)
				wait_for(&t[k]);
		}
		for (uint32_t k = 0; k < N_KINDS; k++) {
			if (round == AHEAD && !runs_ahead[k])
				continue;
			if (round != ALONE)
				wait_for(&t[k]);
			if (strcmp(t[k].log.ptr, cpu[k].log.ptr) != 0)
				fail_msg("kind %u, round %d:\n%s\n%s", k, (int)round, t[k].log.ptr,
					 cpu[k].log.ptr);
			strbuf_free(&t[k].log);
		}
	}
	struct engine_state counted;
	engine_get_state(e, &counted);
	assert_true(counted.counters.cache_hits > 0);
	assert_int_equal(device.most_under_way, 2);
	assert_true(device.n_fed > 0);
	constrain_unref(shape);
	engine_destroy(e, 0);
	for (uint32_t k = 0; k < N_KINDS; k++)
		strbuf_free(&cpu[k].log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits)};
	return cmocka_run_group_tests_name("by_host", tests, NULL, NULL);
}
