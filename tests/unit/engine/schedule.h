/*
 * Drives the scheduler over tiny models (of one KV group, of several, of one with a window) with whatever
 * schedule it is told: arrivals, lengths, owners, priorities, roots, cancels, sequences that fail, budgets,
 * places and KV blocks come from dice. Each token that is drawn must be the token, with the log-probability
 * to the last bit, of the request's lone run, and after each plan the accounts must add up, owners have had
 * their turns, and blocks are shared within a root alone; logits of a prompt's positions that a request wants
 * are shown once each, with the bits of steps of one token. Used by test_sched.c, by the fuzz target, and on
 * a GPU by tests/gpu/schedules.c.
 */
#ifndef TEST_SCHEDULE_H
#define TEST_SCHEDULE_H

#include <unistd.h>

#include "arch_model.h"
#include "base/hash.h"
#include "compute/kv_blocks.h"
#include "engine/sched.h"
#include "model_run.h"
#include "tiny_model.h"

enum {
	SCHEDULE_CTX = 160, /* five blocks */
	SCHEDULE_PITCH = 5,
	SCHEDULE_BLOCKS = 3 * SCHEDULE_PITCH, /* most, for each KV group */
	SCHEDULE_SEQS = 6,
	SCHEDULE_BATCH = 64,
	SCHEDULE_KINDS = 24, /* different requests */
	SCHEDULE_FEW_KINDS = 4,
	SCHEDULE_OUT = 120, /* most tokens of an answer */
	SCHEDULE_LIVE = 16, /* most requests of a schedule at once */
	SCHEDULE_STEPS = 20000,
	SCHEDULE_OWNERS = 4,
	SCHEDULE_MASK = 32,                             /* words of a mask at most */
	SCHEDULE_ROWS = SCHED_MAX_ROWS + SCHEDULE_SEQS, /* of logits of a step: shown, and drawn from here */
};

#define SCHEDULE_NEED(condition)                                                                \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                \
		}                                                                               \
	} while (0)

/* Decisions: bytes of an input while there are any, then zeros; or without an input random ones. */
struct dice {
	const uint8_t *bytes;
	size_t n, at;
	uint64_t seed, n_drawn;
};

GOLDEN_INLINE uint32_t dice_below(struct dice *d, uint32_t n)
{
	uint32_t words[4];
	if (d->bytes)
		return d->at < d->n ? d->bytes[d->at++] % n : 0;
	rng_words(d->seed, 77, d->n_drawn++, words);
	return words[0] % n;
}

GOLDEN_INLINE bool dice_is_over(const struct dice *d)
{
	return d->bytes && d->at >= d->n;
}

/* A request that schedules pick, and its lone run. */
struct kind {
	int32_t prompt[SCHEDULE_CTX];
	uint32_t n_prompt;
	struct sampling sampling;
	int32_t drawn[SCHEDULE_OUT];
	float logprobs[SCHEDULE_OUT];
	uint32_t n_drawn;
	bool masked;  /* as mask_after says */
	bool by_host; /* the device does not draw so: none of its steps runs ahead of a draw */
	uint64_t shown[SCHEDULE_CTX]; /* hashes of the logits behind each token of the prompt */
};

/* Models of worlds: windows are of 33 positions, or as short that their group's is. */
enum schedule_model {
	SCHEDULE_PLAIN,
	SCHEDULE_WINDOWS,
	SCHEDULE_ALTERNATING,
	SCHEDULE_MANY,
	SCHEDULE_WINDOWED,
	SCHEDULE_N_MODELS,
};
static const struct schedule_shape {
	const char *name, *arch;             /* NULL: a tiny one */
	uint32_t n_groups, n_places, window; /* other than 0: the last layer's */
} schedule_shapes[SCHEDULE_N_MODELS] = {
	[SCHEDULE_PLAIN] = {"one KV group", NULL, 1, 2, 0},
	[SCHEDULE_WINDOWS] = {"one that sees all, windows of 33 and 70", "gemma2-b", 3, 1, 70},
	[SCHEDULE_ALTERNATING] = {"two layers that see all, two with a window", "gemma2-a", 2, 2, 0},
	[SCHEDULE_MANY] = {"one that sees all, six with a window", "gemma3-a", 7, 1, 0},
	[SCHEDULE_WINDOWED] = {"windows alone", "mistral", 1, 3, 0},
};

/* A step from submit to collect. */
struct rider;
struct schedule_flight {
	struct compute_seq steps[SCHEDULE_SEQS];
	struct rider *riders[SCHEDULE_SEQS]; /* NULL: it has ended meanwhile */
	uint32_t masks[SCHEDULE_SEQS][SCHEDULE_MASK];
	uint32_t n;
};

struct schedule_world {
	struct gguf *file;
	struct model model;
	struct compute *compute;
	struct kind kinds[SCHEDULE_KINDS];
	uint32_t n_kinds;
	struct schedule_flight flights[COMPUTE_MAX_AHEAD];
	uint32_t n_submitted, n_collected;
	uint64_t last_id;
	/* What all schedules together did. */
	struct sched_counters sum;
	uint64_t n_ended, n_cancelled, n_failed, n_left_behind;
	uint64_t n_shown;          /* positions whose logits were shown */
	float *logits;             /* (COMPUTE_MAX_AHEAD, SCHEDULE_ROWS, n_vocab) */
	uint64_t n_passed;         /* turns of another owner while one waited that could have gone */
	uint64_t n_forced, n_held; /* tokens taken without a draw; plans without a sequence that was held */
	/* Of the present schedule. */
	uint64_t block_roots[MODEL_MAX_KV_GROUPS * SCHEDULE_BLOCKS]; /* of what full blocks hold */
	/* How often the second owner had a turn since the first did, while the first could. */
	uint32_t turns[SCHED_N_PRIORITIES][SCHEDULE_OWNERS][SCHEDULE_OWNERS];
};

/* A request on its way. */
struct rider {
	struct sched_seq seq;
	const struct kind *kind;
	uint32_t max_tokens, n_taken, n_shown;
	uint32_t place; /* in the step submitted last */
	uint64_t id;    /* no other's in any schedule */
	double mirostat_mu;
	bool live;
	bool jumps;  /* tokens that must come are not drawn */
	bool waited; /* before the last plan, for its first turn */
	int32_t ids[SCHEDULE_CTX + 1];
	uint64_t hashes[SCHEDULE_PITCH];
};

/* ---- a grammar ---- */

/* What may come after a token: of two thirds of the vocabulary one, or after every fourth a single one.
 * Returns that, or -1. */
GOLDEN_INLINE int32_t mask_after(const struct schedule_world *w, int32_t last, uint32_t mask[SCHEDULE_MASK])
{
	int32_t n = (int32_t)w->model.hp.n_vocab, only = last % 4 ? -1 : (last * 7 + 3) % n;
	SCHEDULE_NEED(n <= SCHEDULE_MASK * 32);
	memset(mask, 0, SCHEDULE_MASK * sizeof *mask);
	for (int32_t t = 0; t < n; t++)
		if (only < 0 ? (t + last) % 3 != 0 : t == only)
			mask[t / 32] |= 1u << t % 32;
	return only;
}

/* ---- lone runs ---- */

GOLDEN_INLINE uint64_t hash_logits(const struct schedule_world *w, const float *logits)
{
	return siphash(1, 2, logits, w->model.hp.n_vocab * sizeof *logits);
}

/* A table a KV group. */
GOLDEN_INLINE const uint32_t *lone_blocks(void)
{
	static uint32_t tables[MODEL_MAX_KV_GROUPS][SCHEDULE_PITCH];
	for (uint32_t g = 0; g < MODEL_MAX_KV_GROUPS; g++)
		for (uint32_t i = 0; i < SCHEDULE_PITCH; i++)
			tables[g][i] = g * SCHEDULE_PITCH + (2 * i + g + 4) % SCHEDULE_PITCH;
	return tables[0];
}

/* The prompt as if it had been drawn, token by token. */
GOLDEN_INLINE void lone_prompt(struct schedule_world *w, struct kind *k)
{
	for (uint32_t pos = 0; pos < k->n_prompt; pos++) {
		struct hokku_error err;
		struct compute_seq seq = {.tokens = k->prompt + pos,
					  .n_tokens = 1,
					  .pos = pos,
					  .blocks = lone_blocks(),
					  .blocks_pitch = SCHEDULE_PITCH,
					  .logits = w->logits};
		SCHEDULE_NEED(compute_step(w->compute, &seq, 1, &err) == HOKKU_OK);
		k->shown[pos] = hash_logits(w, w->logits);
	}
}

GOLDEN_INLINE void lone_run(struct schedule_world *w, struct kind *k)
{
	int32_t ids[SCHEDULE_CTX + 1];
	uint32_t n = k->n_prompt, pos = 0;
	double mu = 2 * (double)k->sampling.mirostat_tau;
	memcpy(ids, k->prompt, n * sizeof *ids);
	while (k->n_drawn < SCHEDULE_OUT && n <= SCHEDULE_CTX) {
		struct hokku_error err;
		struct compute_seq seq = {.tokens = ids + pos,
					  .n_tokens = n - pos > SCHEDULE_BATCH ? SCHEDULE_BATCH : n - pos,
					  .pos = pos,
					  .blocks = lone_blocks(),
					  .blocks_pitch = SCHEDULE_PITCH,
					  .history = ids,
					  .mirostat_mu = &mu,
					  .logits = k->by_host ? w->logits : NULL,
					  .n_prompt = k->n_prompt};
		pos += seq.n_tokens;
		seq.n_history = pos;
		seq.n_prompt = pos < k->n_prompt ? pos : k->n_prompt;
		seq.sampling = pos == n ? &k->sampling : NULL;
		uint32_t mask[SCHEDULE_MASK];
		mask_after(w, ids[n - 1], mask);
		seq.mask = pos == n && k->masked ? mask : NULL;
		SCHEDULE_NEED(compute_step(w->compute, &seq, 1, &err) == HOKKU_OK);
		if (pos < n)
			continue;
		k->drawn[k->n_drawn] = ids[n++] = seq.token;
		k->logprobs[k->n_drawn++] = seq.logprob;
	}
}

/* Prompts of four families that begin alike for a while, from one token to a full context; greedy and drawn.
 */
GOLDEN_INLINE void make_kind(struct schedule_world *w, uint32_t i)
{
	static const uint32_t lengths[] = {1, 31, 32, 33, 40, 64, 65, 70, 97, 100, 128, 160};
	struct kind *k = &w->kinds[i];
	uint32_t family = i % 3, alike = 32 * (i % 5) + i % 2 * 5;
	*k = (struct kind){.n_prompt = lengths[i % 12]};
	for (uint32_t t = 0; t < k->n_prompt; t++) {
		uint32_t words[4];
		rng_words(t < alike ? family : 1000 + i, 5, t, words);
		k->prompt[t] = (int32_t)(words[0] % w->model.hp.n_vocab);
	}
	k->sampling = (struct sampling){.temperature = i % 4 ? 0.5f + (float)(i % 4) : 0,
					.top_p = i % 3 ? 1 : 0.9f,
					.repetition_penalty = i % 5 ? 1 : 1.2f,
					.frequency_penalty = i % 7 ? 0 : 0.5f,
					.typical_p = i % 11 == 3 ? 0.8f : 1,
					.top_n_sigma = i % 11 == 6 ? 1.5f : 0,
					.xtc_probability = i % 11 == 7 ? 0.5f : 0,
					.xtc_threshold = 0.01f,
					.dynatemp_range = i % 11 == 9 ? 0.4f : 0,
					.dynatemp_exponent = 1,
					.mirostat = i % 11 == 2    ? 2
						    : i % 11 == 10 ? 1
								   : 0,
					.mirostat_tau = 4,
					.mirostat_eta = 0.2f,
					.seed = i};
	k->masked = i % 3 == 1;
	k->by_host = !compute_draws(w->compute, &k->sampling);
	lone_run(w, k);
	lone_prompt(w, k);
}

/* The file of a world's model. */
GOLDEN_INLINE void schedule_write(const char *arch, const char *path)
{
	if (!arch) {
		struct tiny_set set;
		tiny_load(&set);
		tiny_write(&set, tiny_find(&set, "odd"), "F32", path);
		tiny_free(&set);
	} else {
		struct arch_set set;
		arch_load(&set);
		arch_write_gguf(arch_find(&set, arch), TENSOR_F16, path);
		arch_free(&set);
	}
}

GOLDEN_INLINE void schedule_open(struct schedule_world *w, enum schedule_model which, const char *device)
{
	const struct schedule_shape *shape = &schedule_shapes[which];
	char path[512];
	struct hokku_error err = {0};
	snprintf(path, sizeof path, "/tmp/hokku_schedule.%d.gguf", (int)getpid());
	schedule_write(shape->arch, path);
	SCHEDULE_NEED(gguf_open_file(path, &w->file, &err) == HOKKU_OK);
	SCHEDULE_NEED(model_bind(&w->model, w->file, &err) == HOKKU_OK);
	model_set_context(&w->model, SCHEDULE_CTX);
	if (shape->window)
		w->model.specs[w->model.hp.n_layers - 1].attn.window = shape->window;
	model_group_kv(&w->model);
	SCHEDULE_NEED(w->model.n_kv_groups == shape->n_groups);
	SCHEDULE_NEED(model_kv_places(&w->model) == shape->n_places);
	const struct compute_params params = {.model = &w->model,
					      .device = device,
					      .n_threads = 1,
					      .n_ctx = SCHEDULE_CTX,
					      .n_seqs = SCHEDULE_SEQS,
					      .n_kv_blocks = SCHEDULE_BLOCKS * w->model.n_kv_groups,
					      .n_batch = SCHEDULE_BATCH,
					      .all_logits = true};
	w->logits =
		calloc((size_t)COMPUTE_MAX_AHEAD * SCHEDULE_ROWS * w->model.hp.n_vocab, sizeof *w->logits);
	SCHEDULE_NEED(w->logits);
	SCHEDULE_NEED(compute_open(&params, &w->compute, &err) == HOKKU_OK);
	unlink(path);
	w->n_kinds = getenv("HOKKU_TEST_SMALL") ? SCHEDULE_FEW_KINDS : SCHEDULE_KINDS;
	for (uint32_t i = 0; i < w->n_kinds; i++)
		make_kind(w, i);
}

GOLDEN_INLINE void schedule_close(struct schedule_world *w)
{
	compute_close(w->compute);
	free(w->logits);
	model_unbind(&w->model);
	gguf_close(w->file);
}

/* ---- accounts ---- */

/* Of a group with a window all that is given back that lies behind it, and no more. */
GOLDEN_INLINE void check_window(const struct sched *s, const struct sched_seq *seq, uint32_t g)
{
	uint32_t window = s->lead->windows[g], pos = seq->n_done / 32 * 32, n_left = seq->n_left[g];
	const uint32_t *table = seq->blocks + (s->first_beside + g) * s->pitch;
	uint32_t unseen = window && pos >= window ? (pos - window + 1) / 32 : 0;
	SCHEDULE_NEED(n_left <= unseen && (!seq->n_new || n_left == unseen));
	SCHEDULE_NEED(seq->n_blocks - n_left <= kv_blocks_most(window, SCHEDULE_CTX, SCHEDULE_BATCH));
	for (uint32_t b = 0; b < n_left; b++)
		SCHEDULE_NEED(table[b] == (uint32_t)COMPUTE_NO_BLOCK);
}

/* Counts who names the blocks of a table from the first on; what a step writes nobody else names. */
GOLDEN_INLINE void count_named(const struct kv_pool *kv, const struct sched_seq *seq, const uint32_t *table,
			       uint32_t first, uint32_t *n_named)
{
	for (uint32_t b = first; b < seq->n_blocks; b++)
		n_named[table[b]]++;
	for (uint32_t b = seq->n_done / 32; b < seq->n_blocks; b++)
		SCHEDULE_NEED(kv->blocks[table[b]].n_held == 1);
}

/* Every block is held by exactly those who name it; what is beside another one says so, and that does. */
GOLDEN_INLINE void check_pool(const struct kv_pool *kv, const uint32_t *n_named)
{
	uint32_t n_free = 0;
	for (uint32_t b = 0; b < kv->n_blocks; b++) {
		const struct kv_block *block = &kv->blocks[b];
		SCHEDULE_NEED(block->n_held == n_named[b]);
		n_free += n_named[b] == 0;
		if (block->name && block->group)
			SCHEDULE_NEED(kv_beside(kv->lead, block->group - 1, block->next_found) == b &&
				      kv_name(kv->lead, block->next_found) &&
				      !(kv->lead == kv && kv->blocks[block->next_found].group));
	}
	SCHEDULE_NEED(kv->n_free == n_free);
}

GOLDEN_INLINE void check_blocks_held(const struct sched *s)
{
	uint32_t *n_named = calloc(s->kv.n_blocks + s->lead->n_blocks, sizeof *n_named);
	uint32_t *n_leading = s->first_beside ? n_named : n_named + s->kv.n_blocks;
	for (uint32_t i = 0; i < s->n_running; i++) {
		const struct sched_seq *seq = s->running[i];
		SCHEDULE_NEED(i == 0 || s->running[i - 1]->order < seq->order);
		SCHEDULE_NEED(seq->n_blocks == (seq->n_done + seq->n_new + 31) / 32);
		count_named(s->lead, seq, seq->leading, 0, n_leading);
		for (uint32_t g = 0; g < s->lead->n_beside; g++) {
			check_window(s, seq, g);
			count_named(&s->kv, seq, seq->blocks + (s->first_beside + g) * s->pitch,
				    seq->n_left[g], n_named);
		}
	}
	check_pool(&s->kv, n_named);
	if (!s->first_beside)
		check_pool(s->lead, n_leading);
	free(n_named);
}

GOLDEN_INLINE bool has_to_wait(const struct sched_seq *seq)
{
	return seq->held && seq->n_ids - seq->n_done == 1;
}

GOLDEN_INLINE void check_plan(const struct sched *s, struct sched_seq *const *out, uint32_t n,
			      uint32_t budget)
{
	uint32_t n_prompt = 0, n_decode = 0, n_rows = 0;
	for (uint32_t i = 0; i < n; i++) {
		SCHEDULE_NEED(out[i]->state == SCHED_RUNNING && out[i]->n_new > 0);
		SCHEDULE_NEED(out[i]->n_done + out[i]->n_new <= out[i]->n_ids);
		bool decodes = out[i]->n_ids - out[i]->n_done == 1;
		n_decode += decodes;
		n_prompt += decodes ? 0 : out[i]->n_new;
		n_rows += sched_shows(out[i]) ? out[i]->n_new : 0;
		SCHEDULE_NEED(sched_shows(out[i]) || out[i]->n_shown == out[i]->n_rows ||
			      out[i]->n_done + out[i]->n_new <= out[i]->n_shown);
	}
	SCHEDULE_NEED(n_rows <= SCHED_MAX_ROWS);
	uint32_t least = budget < SCHED_MIN_PROMPT ? budget : SCHED_MIN_PROMPT;
	SCHEDULE_NEED(n_prompt + n_decode <= SCHEDULE_BATCH);
	SCHEDULE_NEED(n_prompt <= least || n_prompt + n_decode <= budget);
	/* The oldest goes on, and those behind one whose last token is being drawn, or that is held. */
	uint32_t first = 0;
	while (first < s->n_running &&
	       (s->running[first]->n_ids == s->running[first]->n_most || has_to_wait(s->running[first])))
		first++;
	SCHEDULE_NEED(n == 0 ? first == s->n_running && (first || s->waiting.n_waiting == 0)
			     : out[0] == s->running[first]);
	check_blocks_held(s);
}

/* The first block that a sequence has in a group. */
GOLDEN_INLINE uint32_t first_of(const struct sched *s, const struct sched_seq *seq, uint32_t group)
{
	return group < s->first_beside ? 0 : seq->n_left[group - s->first_beside];
}

/* What blocks hold was computed by a sequence of the same root. */
GOLDEN_INLINE void check_roots(const struct schedule_world *w, const struct sched *s)
{
	for (uint32_t i = 0; i < s->n_running; i++) {
		const struct sched_seq *seq = s->running[i];
		for (uint32_t g = 0; g < s->n_groups && seq->hashes; g++)
			for (uint32_t b = first_of(s, seq, g); b < seq->n_done / 32; b++)
				SCHEDULE_NEED(w->block_roots[seq->blocks[g * s->pitch + b]] == seq->root);
	}
}

/* One that waits for its first turn, the oldest of its owner in its priority. */
GOLDEN_INLINE bool is_in_front(const struct rider *riders, const struct rider *r)
{
	if (!r->live || r->seq.state != SCHED_WAITING || r->seq.preempted)
		return false;
	for (uint32_t i = 0; i < SCHEDULE_LIVE; i++) {
		const struct sched_seq *other = &riders[i].seq;
		if (riders[i].live && other->state == SCHED_WAITING && !other->preempted &&
		    other->owner == r->seq.owner && other->priority == r->seq.priority &&
		    other->order < r->seq.order)
			return false;
	}
	return true;
}

/* After a plan: limits are kept, nobody has passed an older one of its own, and no owner had two turns while
 * another waited in the same priority that could have gone. settled: nobody was preempted, which
 * makes room below a limit after the turns. */
GOLDEN_INLINE void check_turns(struct schedule_world *w, const struct sched *s, struct rider *riders,
			       bool settled)
{
	bool had[SCHED_N_PRIORITIES][SCHEDULE_OWNERS] = {0}, any[SCHEDULE_OWNERS] = {0};
	for (uint32_t o = 0; o < SCHEDULE_OWNERS; o++)
		SCHEDULE_NEED(s->waiting.owners[o].n_running <= s->waiting.owners[o].max_running);
	for (uint32_t i = 0; i < SCHEDULE_LIVE; i++) {
		const struct sched_seq *seq = &riders[i].seq;
		bool in =
			riders[i].live && riders[i].waited && (seq->state == SCHED_RUNNING || seq->preempted);
		if (!in)
			continue;
		any[seq->owner] = had[seq->priority][seq->owner] = true;
		for (uint32_t o = 0; o < SCHEDULE_OWNERS; o++)
			w->turns[seq->priority][o][seq->owner]++;
		for (uint32_t k = 0; k < SCHEDULE_LIVE; k++) {
			const struct sched_seq *other = &riders[k].seq;
			bool passed = riders[k].live && riders[k].waited && other->owner == seq->owner &&
				      other->state == SCHED_WAITING && !other->preempted &&
				      other->priority == seq->priority;
			SCHEDULE_NEED(!passed || other->order > seq->order);
		}
	}
	for (uint32_t p = 0; p < SCHED_N_PRIORITIES; p++)
		for (uint32_t o = 0; o < SCHEDULE_OWNERS; o++) {
			bool waits = false;
			for (uint32_t i = 0; i < SCHEDULE_LIVE; i++)
				waits = waits || (riders[i].seq.owner == o && riders[i].seq.priority == p &&
						  riders[i].waited && is_in_front(riders, &riders[i]));
			bool could = s->waiting.owners[o].n_running < s->waiting.owners[o].max_running;
			for (uint32_t other = 0; other < SCHEDULE_OWNERS; other++) {
				if (!waits || !could || any[o] || !settled)
					w->turns[p][o][other] = 0;
				SCHEDULE_NEED(w->turns[p][o][other] <= 1);
				w->n_passed += w->turns[p][o][other] && had[p][other];
			}
		}
}

/* ---- one schedule ---- */

GOLDEN_INLINE void rider_start(struct schedule_world *w, struct sched *s, struct rider *r, struct dice *d)
{
	const struct kind *k = &w->kinds[dice_below(d, w->n_kinds)];
	*r = (struct rider){.kind = k,
			    .id = ++w->last_id,
			    .mirostat_mu = 2 * (double)k->sampling.mirostat_tau,
			    .live = true};
	r->max_tokens = 1 + dice_below(d, k->n_drawn);
	memcpy(r->ids, k->prompt, k->n_prompt * sizeof *r->ids);
	r->seq = (struct sched_seq){.ids = r->ids,
				    .n_ids = k->n_prompt,
				    .n_prompt = k->n_prompt,
				    .n_most = k->n_prompt + r->max_tokens,
				    .priority = dice_below(d, SCHED_N_PRIORITIES),
				    .owner = dice_below(d, SCHEDULE_OWNERS),
				    .hashes = dice_below(d, 8) ? r->hashes : NULL};
	r->seq.root = dice_below(d, 4) ? 0 : KV_ROOT | r->seq.owner;
	r->jumps = k->masked && !k->sampling.mirostat && dice_below(d, 2);
	r->seq.n_rows = dice_below(d, 4) == 3 ? k->n_prompt - 1 : 0;
	sched_add(s, &r->seq);
}

GOLDEN_INLINE void rider_end(struct schedule_world *w, struct sched *s, struct rider *r)
{
	SCHEDULE_NEED(r->seq.n_cached <= r->kind->n_prompt - 1);
	sched_remove(s, &r->seq);
	r->live = false;
	for (uint32_t k = 0; k < COMPUTE_MAX_AHEAD; k++) /* what is drawn for it is nobody's */
		for (uint32_t i = 0; i < w->flights[k].n; i++)
			if (w->flights[k].riders[i] == r)
				w->flights[k].riders[i] = NULL;
}

/* Before a plan: what must come has come, and the next draw may have to wait for its mask. */
GOLDEN_INLINE void rider_settle(struct schedule_world *w, struct sched *s, struct rider *r, struct dice *d)
{
	uint32_t mask[SCHEDULE_MASK];
	int32_t only;
	r->seq.held = r->seq.n_open || dice_below(d, 4) == 3;
	w->n_held += has_to_wait(&r->seq);
	while (r->jumps && r->n_taken && !r->seq.n_open &&
	       (only = mask_after(w, r->seq.ids[r->seq.n_ids - 1], mask)) >= 0) {
		SCHEDULE_NEED(only == r->kind->drawn[r->n_taken]);
		sched_append(&r->seq, only);
		w->n_forced++;
		if (++r->n_taken < r->max_tokens)
			continue;
		rider_end(w, s, r);
		w->n_ended++;
		return;
	}
}

/* A device that does not run ahead computes at once, what is drawn being told later all the same; ids: (n) to
 * stand for those that are open. */
GOLDEN_INLINE void schedule_compute(struct schedule_world *w, struct schedule_flight *f)
{
	static int32_t ids[SCHEDULE_SEQS][SCHEDULE_CTX + 1];
	const struct schedule_flight *before = &w->flights[f == &w->flights[0]];
	struct hokku_error err;
	for (uint32_t i = 0; i < f->n; i++) {
		struct compute_seq *step = &f->steps[i];
		memcpy(ids[i], step->history, step->n_history * sizeof ids[i][0]);
		if (step->from)
			ids[i][step->n_history - 1] = before->steps[step->from - 1].token;
		step->history = ids[i];
		step->tokens = ids[i] + step->pos;
		step->from = 0;
	}
	SCHEDULE_NEED(compute_step(w->compute, f->steps, f->n, &err) == HOKKU_OK);
}

GOLDEN_INLINE void note_roots(struct schedule_world *w, const struct sched *s, const struct sched_seq *seq)
{
	for (uint32_t g = 0; g < s->n_groups; g++) {
		w->n_left_behind += first_of(s, seq, g);
		for (uint32_t b = first_of(s, seq, g); b < seq->n_done / 32; b++)
			w->block_roots[seq->blocks[g * s->pitch + b]] = seq->root;
	}
}

GOLDEN_INLINE void schedule_submit(struct schedule_world *w, struct sched *s, struct sched_seq **out,
				   uint32_t n)
{
	struct schedule_flight *f = &w->flights[w->n_submitted++ % COMPUTE_MAX_AHEAD];
	struct hokku_error err;
	size_t n_vocab = w->model.hp.n_vocab;
	float *logits = w->logits + (size_t)(f == &w->flights[1]) * SCHEDULE_ROWS * n_vocab;
	float *here = logits + SCHED_MAX_ROWS * n_vocab;
	f->n = n;
	for (uint32_t i = 0; i < n; i++) {
		const struct sched_seq *seq = out[i];
		struct rider *r = (struct rider *)(void *)out[i]; /* its first member */
		uint32_t end = seq->n_done + seq->n_new;
		f->riders[i] = r;
		f->steps[i] = (struct compute_seq){
			.tokens = seq->ids + seq->n_done,
			.n_tokens = seq->n_new,
			.from = sched_draws(seq) && seq->n_open ? r->place + 1 : 0,
			.pos = seq->n_done,
			.blocks = seq->blocks,
			.blocks_pitch = s->pitch,
			.sampling = sched_draws(seq) ? &r->kind->sampling : NULL,
			.history = seq->ids,
			.id = r->id,
			.slot = seq->slot,
			.n_history = end,
			.n_prompt = end < seq->n_prompt ? end : seq->n_prompt,
			.mirostat_mu = &r->mirostat_mu,
			.logits = sched_shows(seq)   ? logits
				  : r->kind->by_host ? here + i * n_vocab
						     : NULL,
			.all_logits = sched_shows(seq),
		};
		if (sched_draws(seq) && r->kind->masked) {
			mask_after(w, seq->ids[seq->n_ids - 1], f->masks[i]);
			f->steps[i].mask = f->masks[i];
		}
		logits += sched_shows(seq) ? (size_t)seq->n_new * n_vocab : 0;
	}
	if (compute_runs_ahead(w->compute))
		SCHEDULE_NEED(compute_submit(w->compute, f->steps, n, &err) == HOKKU_OK);
	else
		schedule_compute(w, f);
	for (uint32_t i = 0; i < n; i++) {
		SCHEDULE_NEED(f->steps[i].code == HOKKU_OK);
		f->riders[i]->place = i;
		sched_advance(s, out[i]);
		note_roots(w, s, out[i]);
	}
}

/* Each position once, in order, with the bits of the lone run. */
GOLDEN_INLINE void rider_see(struct schedule_world *w, struct rider *r, const struct compute_seq *did)
{
	SCHEDULE_NEED(did->pos == r->n_shown);
	for (uint32_t i = 0; i < did->n_tokens; i++, r->n_shown++, w->n_shown++) {
		const float *row = did->logits + (size_t)i * w->model.hp.n_vocab;
		SCHEDULE_NEED(hash_logits(w, row) == r->kind->shown[did->pos + i]);
	}
}

/* A token was drawn: is it the lone run's? */
GOLDEN_INLINE void rider_take(struct schedule_world *w, struct sched *s, struct rider *r,
			      const struct compute_seq *did)
{
	uint32_t i = r->n_taken++;
	SCHEDULE_NEED(r->n_shown >= r->seq.n_rows);
	sched_fill(s, &r->seq, did->token);
	SCHEDULE_NEED(did->token == r->kind->drawn[i]);
	SCHEDULE_NEED(r->seq.ids[r->seq.n_prompt + i] == did->token);
	SCHEDULE_NEED(memcmp(&did->logprob, &r->kind->logprobs[i], sizeof did->logprob) == 0);
	if (r->n_taken < r->max_tokens)
		return;
	rider_end(w, s, r);
	w->n_ended++;
}

GOLDEN_INLINE void schedule_collect(struct schedule_world *w, struct sched *s, struct dice *d)
{
	struct schedule_flight *f = &w->flights[w->n_collected++ % COMPUTE_MAX_AHEAD];
	struct hokku_error err;
	if (compute_runs_ahead(w->compute))
		SCHEDULE_NEED(compute_collect(w->compute, &err) == HOKKU_OK);
	for (uint32_t i = 0; i < f->n; i++) {
		struct rider *r = f->riders[i];
		if (r && f->steps[i].all_logits)
			rider_see(w, r, &f->steps[i]);
		if (r && dice_below(d, 256) == 255) { /* as if it alone had failed */
			rider_end(w, s, r);
			w->n_failed++;
		} else if (r && f->steps[i].sampling) {
			rider_take(w, s, r, &f->steps[i]);
		}
	}
}

GOLDEN_INLINE void schedule_run(struct schedule_world *w, struct dice *d)
{
	static struct rider riders[SCHEDULE_LIVE];
	struct sched s;
	struct sched_seq *out[SCHEDULE_SEQS];
	struct sched_params params = {.n_seqs = 1 + dice_below(d, SCHEDULE_SEQS),
				      .n_ctx = SCHEDULE_CTX,
				      .n_batch = SCHEDULE_BATCH,
				      .n_groups = w->model.n_kv_groups,
				      .n_owners = SCHEDULE_OWNERS - 1};
	for (uint32_t g = 0; g < params.n_groups; g++)
		params.windows[g] = w->model.kv_groups[g].window;
	uint32_t least = kv_blocks_all_groups(&w->model, SCHEDULE_CTX, SCHEDULE_BATCH);
	params.n_blocks = least + dice_below(d, 2 * least + 1);
	uint32_t ahead = dice_below(d, COMPUTE_MAX_AHEAD);
	uint32_t n_left = 1 + dice_below(d, 24), rush = 1 + dice_below(d, 8), most = 1 + dice_below(d, 64);
	SCHEDULE_NEED(sched_init(&s, &params));
	for (uint32_t o = 0; o < SCHEDULE_OWNERS; o++)
		if (dice_below(d, 2))
			sched_limit(&s, o, 1 + dice_below(d, 3));
	memset(w->turns, 0, sizeof w->turns);
	for (uint32_t i = 0; i < SCHEDULE_LIVE; i++)
		riders[i].live = false;
	for (uint32_t step = 0;; step++) {
		SCHEDULE_NEED(step < SCHEDULE_STEPS);
		for (uint32_t i = 0; i < SCHEDULE_LIVE && n_left; i++)
			if (!riders[i].live && dice_below(d, 8) < rush) {
				rider_start(w, &s, &riders[i], d);
				n_left = dice_is_over(d) ? 0 : n_left - 1;
			}
		struct rider *victim = &riders[dice_below(d, SCHEDULE_LIVE)];
		if (victim->live && dice_below(d, 64) == 63) {
			rider_end(w, &s, victim);
			w->n_cancelled++;
		}
		for (uint32_t i = 0; i < SCHEDULE_LIVE; i++)
			riders[i].waited = riders[i].live && riders[i].seq.state == SCHED_WAITING &&
					   !riders[i].seq.preempted;
		for (uint32_t i = 0; i < SCHEDULE_LIVE; i++)
			if (riders[i].live && (riders[i].kind->masked || riders[i].kind->by_host))
				rider_settle(w, &s, &riders[i], d);
		uint64_t n_preempted = s.counters.preempted;
		uint32_t budget = most - dice_below(d, most), n = sched_plan(&s, budget, out);
		check_plan(&s, out, n, budget);
		check_turns(w, &s, riders, s.counters.preempted == n_preempted);
		check_roots(w, &s);
		bool any = n_left > 0 || w->n_submitted != w->n_collected;
		for (uint32_t i = 0; i < SCHEDULE_LIVE; i++)
			any = any || riders[i].live;
		if (!any)
			break;
		if (n)
			schedule_submit(w, &s, out, n);
		while (w->n_submitted - w->n_collected > (n ? ahead : 0))
			schedule_collect(w, &s, d);
	}
	SCHEDULE_NEED(s.n_running == 0 && s.waiting.n_waiting == 0);
	SCHEDULE_NEED(s.kv.n_free == s.kv.n_blocks && s.names.n_free == s.names.n_blocks);
#define SCHEDULE_SUM(name, text) w->sum.name += s.counters.name;
	SCHED_COUNTERS(SCHEDULE_SUM)
#undef SCHEDULE_SUM
	sched_deinit(&s);
}

#endif
