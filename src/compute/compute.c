/*
 * Steps, and the checks that stand before every backend: what comes through here is well-formed, so a backend
 * need not ask again.
 */
#include "compute/handle.h"

#include <math.h>
#include <string.h>

/* The step that was submitted `back` steps before the next one; NULL: it is not under way. */
static struct flight *flight_back(struct compute *c, uint32_t back)
{
	if (c->n_submitted - c->n_collected < back)
		return NULL;
	return &c->flights[(c->n_submitted - back) % COMPUTE_MAX_AHEAD];
}

static enum hokku_code check_tokens(const struct compute *c, const struct compute_seq *seq, uint32_t s,
				    struct hokku_error *err)
{
	if (!seq->tokens || seq->n_tokens < 1)
		return err_set(err, HOKKU_INTERNAL, "sequence %u of the step has no tokens", s);
	if (seq->pos > c->params.n_ctx || seq->n_tokens > c->params.n_ctx - seq->pos)
		return err_set(err, HOKKU_CONTEXT_EXCEEDED,
			       "sequence %u of the step would end at position %llu; the context holds %u", s,
			       (unsigned long long)seq->pos + seq->n_tokens, c->params.n_ctx);
	for (uint32_t i = 0; i < seq->n_tokens - (seq->from > 0); i++)
		if (seq->tokens[i] < 0 || (uint32_t)seq->tokens[i] >= c->params.model->hp.n_vocab)
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "token %u is id %d; the vocabulary has ids 0 to %u", seq->pos + i,
				       seq->tokens[i], c->params.model->hp.n_vocab - 1);
	return HOKKU_OK;
}

static uint32_t n_blocks_of(const struct compute_seq *seq)
{
	return (seq->pos + seq->n_tokens - 1) / COMPUTE_KV_BLOCK + 1;
}

/* Block i of a table: does it lie wholly behind the group's window of the sequence's first token? */
static bool is_left_behind(const struct kv_group *group, const struct compute_seq *seq, uint32_t i)
{
	uint32_t first_seen = group->window && seq->pos >= group->window ? seq->pos - group->window + 1 : 0;
	return i < first_seen / COMPUTE_KV_BLOCK;
}

/* Blocks this step writes must be this sequence's alone, and no block may stand twice in its tables: either
 * would be silent corruption of somebody's context. `first` is the stamp of the step's first table. */
static enum hokku_code check_table(struct compute *c, const struct compute_seq *seq, uint32_t s,
				   uint32_t group, uint64_t first, struct hokku_error *err)
{
	const uint32_t *table = seq->blocks + (uint64_t)group * seq->blocks_pitch;
	uint32_t first_written = seq->pos / COMPUTE_KV_BLOCK, n_blocks = n_blocks_of(seq);
	for (uint32_t i = 0; i < n_blocks; i++) {
		uint32_t b = table[i];
		if (b == (uint32_t)COMPUTE_NO_BLOCK &&
		    is_left_behind(&c->params.model->kv_groups[group], seq, i))
			continue;
		if (b >= c->params.n_kv_blocks)
			return err_set(err, HOKKU_INTERNAL, "KV block %u of sequence %u is %u; there are %u",
				       i, s, b, c->params.n_kv_blocks);
		if (c->tabled_at[b] == c->stamp)
			return err_set(err, HOKKU_INTERNAL,
				       "KV block %u stands twice in the tables of sequence %u", b, s);
		if (c->written_at[b] >= first || (i >= first_written && c->named_at[b] >= first))
			return err_set(err, HOKKU_INTERNAL,
				       "KV block %u is in the tables of two sequences (one is %u), and one "
				       "of them writes it",
				       b, s);
		c->tabled_at[b] = c->stamp;
	}
	return HOKKU_OK;
}

static enum hokku_code check_blocks(struct compute *c, const struct compute_seq *seq, uint32_t s,
				    uint64_t first, struct hokku_error *err)
{
	uint32_t n_groups = c->params.model->n_kv_groups;
	if (!seq->blocks)
		return err_set(err, HOKKU_INTERNAL, "sequence %u of the step has no block table", s);
	if (n_groups > 1 && seq->blocks_pitch < n_blocks_of(seq))
		return err_set(err, HOKKU_INTERNAL,
			       "sequence %u has tables of %u blocks, a KV group each; its tokens need %u", s,
			       seq->blocks_pitch, n_blocks_of(seq));
	c->stamp++;
	for (uint32_t g = 0; g < n_groups; g++) {
		enum hokku_code rc = check_table(c, seq, s, g, first, err);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

/* The sequence will run: whose tables follow must not write what it names. */
static void record_blocks(struct compute *c, const struct compute_seq *seq)
{
	uint32_t first_written = seq->pos / COMPUTE_KV_BLOCK, n_blocks = n_blocks_of(seq);
	for (uint32_t g = 0; g < c->params.model->n_kv_groups; g++)
		for (uint32_t i = 0; i < n_blocks; i++) {
			uint32_t b = seq->blocks[(uint64_t)g * seq->blocks_pitch + i];
			if (b == (uint32_t)COMPUTE_NO_BLOCK)
				continue;
			c->named_at[b] = c->stamp;
			if (i >= first_written)
				c->written_at[b] = c->stamp;
		}
}

/* What a caller promised about ranges is checked only where breaking it would read or write out of bounds, or
 * make the draw meaningless. */
static enum hokku_code check_sampling(const struct compute *c, const struct compute_seq *seq, uint32_t s,
				      struct hokku_error *err)
{
	const struct sampling *p = seq->sampling;
	const struct {
		const char *name;
		float value, min, max;
	} ranges[] = {
		{"temperature", p->temperature, 0, 100},
		{"top_p", p->top_p, 0, 1},
		{"min_p", p->min_p, 0, 1},
		{"repetition_penalty", p->repetition_penalty, 0, 10},
		{"frequency_penalty", p->frequency_penalty, -2, 2},
		{"presence_penalty", p->presence_penalty, -2, 2},
		{"top_n_sigma", p->top_n_sigma, -1, 100},
		{"typical_p", p->typical_p, 0, 1},
		{"xtc_probability", p->xtc_probability, 0, 1},
		{"xtc_threshold", p->xtc_threshold, 0, 1},
		{"dynatemp_range", p->dynatemp_range, 0, 100},
		{"dynatemp_exponent", p->dynatemp_exponent, 0, 100},
		{"mirostat", (float)p->mirostat, 0, 2},
		{"mirostat_tau", p->mirostat_tau, 0, 100},
		{"mirostat_eta", p->mirostat_eta, 0, 1},
	};
	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
		if (!(ranges[i].value >= ranges[i].min && ranges[i].value <= ranges[i].max)) /* NaN too */
			return err_set(err, HOKKU_INVALID_REQUEST, "%s is %g; it takes %g to %g",
				       ranges[i].name, (double)ranges[i].value, (double)ranges[i].min,
				       (double)ranges[i].max);
	if (p->top_k < 0)
		return err_set(err, HOKKU_INVALID_REQUEST, "top_k is %d; it takes 0 (off) and more",
			       p->top_k);
	if (p->n_bias > COMPUTE_MAX_BIASES || (p->n_bias && !p->bias))
		return err_set(err, HOKKU_INVALID_REQUEST, "logit_bias has %u entries; %d is the most",
			       p->n_bias, COMPUTE_MAX_BIASES);
	uint32_t n_vocab = c->params.model->hp.n_vocab;
	for (uint32_t i = 0; i < p->n_bias; i++)
		if (p->bias[i].token < 0 || (uint32_t)p->bias[i].token >= n_vocab || isnan(p->bias[i].bias))
			return err_set(
				err, HOKKU_INVALID_REQUEST,
				"logit_bias gives token %d the bias %g; the vocabulary has ids 0 to %u",
				p->bias[i].token, (double)p->bias[i].bias, n_vocab - 1);
	if (seq->n_history > c->params.n_ctx + 1)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "a history of %u tokens for the penalties; a context of %u has %u at most",
			       seq->n_history, c->params.n_ctx, c->params.n_ctx + 1);
	if (seq->n_prompt > seq->n_history || (seq->n_history && !seq->history))
		return err_set(err, HOKKU_INTERNAL,
			       "sequence %u has a history of %u tokens, %u of them prompt", s, seq->n_history,
			       seq->n_prompt);
	return HOKKU_OK;
}

/* Is the sequence's token drawn here, of the logits that the device gives? */
static bool by_host(const struct compute *c, const struct compute_seq *seq)
{
	return seq->sampling &&
	       (!compute_draws(c, seq->sampling) || (seq->chances && !c->backend->all_stages));
}

static enum hokku_code check_by_host(const struct compute_seq *seq, uint32_t s, struct hokku_error *err)
{
	if (!seq->logits)
		return err_set(err, HOKKU_INTERNAL,
			       "sequence %u is drawn on the host and gives no room for its logits", s);
	if (seq->mask_open)
		return err_set(err, HOKKU_INTERNAL,
			       "sequence %u is drawn on the host and leaves its mask open", s);
	return HOKKU_OK;
}

/* What hangs on another step: a token that one under way draws, a mask that comes later. */
static enum hokku_code check_waiting(struct compute *c, const struct compute_seq *seq, uint32_t s,
				     uint64_t first, struct hokku_error *err)
{
	struct flight *f = seq->from ? flight_back(c, 1) : NULL;
	if (seq->mask_open && (!seq->sampling || seq->mask))
		return err_set(err, HOKKU_INTERNAL, "sequence %u leaves its mask open and %s", s,
			       seq->mask ? "has one" : "draws nothing");
	if (seq->mask_open && c->n_open == c->params.n_open_masks)
		return err_set(err, HOKKU_INTERNAL,
			       "sequence %u leaves its mask open; the handle was opened for %u of a step", s,
			       c->params.n_open_masks);
	if (seq->id && seq->slot >= c->params.n_seqs)
		return err_set(err, HOKKU_INTERNAL, "sequence %u has slot %u; there are %u", s, seq->slot,
			       c->params.n_seqs);
	if (seq->id && c->slotted_at[seq->slot] >= first)
		return err_set(err, HOKKU_INTERNAL, "sequence %u has slot %u, as another of the step", s,
			       seq->slot);
	if (!seq->from)
		return HOKKU_OK;
	if (seq->n_history && seq->n_history != seq->pos + seq->n_tokens)
		return err_set(err, HOKKU_INTERNAL,
			       "sequence %u goes on from a token that is being drawn, and its history does "
			       "not end with it",
			       s);
	if (!f)
		return err_set(err, HOKKU_INTERNAL,
			       "sequence %u goes on from sequence %u of a step before, and none is under way",
			       s, seq->from - 1);
	const struct compute_seq *of = seq->from <= f->n ? &f->seqs[seq->from - 1] : NULL;
	/* good[] tells of masks that were open, though they have come */
	if (!of || of->code || !of->sampling || by_host(c, of) ||
	    f->good[f->good_index[seq->from - 1]].mask_open)
		return err_set(err, HOKKU_INTERNAL,
			       "sequence %u goes on from sequence %u of the step before, which %s", s,
			       seq->from - 1, of ? "gives no token" : "had fewer");
	return HOKKU_OK;
}

/* What the sequence wants to see: logits, hidden states. */
static enum hokku_code check_outputs(const struct compute *c, const struct compute_seq *seq, uint32_t s,
				     struct hokku_error *err)
{
	if (seq->all_logits && !seq->logits)
		return err_set(err, HOKKU_INTERNAL,
			       "sequence %u asks for all logits and gives no room for them", s);
	if (seq->all_logits && !c->params.all_logits)
		return err_set(
			err, HOKKU_INTERNAL,
			"sequence %u asks for all logits, but the handle was opened without all_logits", s);
	if (seq->pooling == COMPUTE_POOL_OFF)
		return HOKKU_OK;
	if (seq->pooling > COMPUTE_POOL_MEAN)
		return err_set(err, HOKKU_INTERNAL, "sequence %u asks for pooling %d, which is none", s,
			       (int)seq->pooling);
	if (!seq->states)
		return err_set(err, HOKKU_INTERNAL,
			       "sequence %u asks for hidden states and gives no room for them", s);
	if (!c->params.pooled)
		return err_set(err, HOKKU_INTERNAL,
			       "sequence %u asks for hidden states, but the handle was opened without pooled",
			       s);
	return HOKKU_OK;
}

static enum hokku_code check_seq(struct compute *c, const struct compute_seq *seq, uint32_t s, uint64_t first,
				 struct hokku_error *err)
{
	enum hokku_code rc = check_tokens(c, seq, s, err);
	if (!rc)
		rc = check_blocks(c, seq, s, first, err);
	if (!rc && seq->sampling)
		rc = check_sampling(c, seq, s, err);
	if (!rc)
		rc = check_waiting(c, seq, s, first, err);
	if (!rc && by_host(c, seq))
		rc = check_by_host(seq, s, err);
	return rc ? rc : check_outputs(c, seq, s, err);
}

/* Fills the sequences' codes. Returns how many are good; why: what is wrong with the first that is not. */
static uint32_t check_all(struct compute *c, struct compute_seq *seqs, uint32_t n, uint64_t *n_tokens,
			  struct hokku_error *why)
{
	uint64_t first = c->stamp + 1;
	uint32_t n_good = 0;
	struct hokku_error other;
	c->n_open = 0;
	for (uint32_t s = 0; s < n; s++) {
		struct hokku_error *err = s == n_good ? why : &other;
		seqs[s].code = check_seq(c, &seqs[s], s, first, err);
		if (seqs[s].code && seqs[s].error)
			*seqs[s].error = *err;
		if (seqs[s].code)
			continue;
		record_blocks(c, &seqs[s]);
		c->n_open += seqs[s].mask_open;
		if (seqs[s].id)
			c->slotted_at[seqs[s].slot] = c->stamp;
		*n_tokens += seqs[s].n_tokens;
		n_good++;
	}
	return n_good;
}

/* What the backend gets: the sequences themselves, or the good ones alone. */
static struct compute_seq *seqs_of(const struct flight *f)
{
	return f->gathered ? f->good : f->seqs;
}

/* The good ones beside each other, where some are left out or wait for masks; `from` counted in what the
 * backend had before. */
static void gather_good(struct compute *c, struct flight *f)
{
	const struct flight *before = flight_back(c, 1);
	uint32_t n = 0;
	f->gathered = f->n_good != f->n || c->n_open > 0;
	f->drawn_here = false;
	for (uint32_t s = 0; s < f->n; s++) {
		struct compute_seq *seq = &f->seqs[s];
		if (seq->code)
			continue;
		if (seq->from)
			seq->from = before->good_index[seq->from - 1] + 1;
		f->good_index[s] = n;
		f->good[n] = *seq;
		if (by_host(c, seq)) {
			f->good[n].sampling = NULL;
			f->gathered = f->drawn_here = true;
		}
		n++;
	}
}

bool compute_draws(const struct compute *c, const struct sampling *sampling)
{
	return c->backend->all_stages || sampling_is_plain(sampling);
}

bool compute_runs_ahead(const struct compute *c)
{
	return c->backend->submit != NULL;
}

enum hokku_code compute_submit(struct compute *c, struct compute_seq *seqs, uint32_t n,
			       struct hokku_error *err)
{
	uint32_t most = compute_runs_ahead(c) ? COMPUTE_MAX_AHEAD : 1;
	struct flight *f = &c->flights[c->n_submitted % COMPUTE_MAX_AHEAD];
	if (c->n_submitted - c->n_collected == most)
		return err_set(err, HOKKU_INTERNAL, "%u steps are under way; %s takes no more", most,
			       compute_device(c));
	if (n < 1 || n > c->params.n_seqs)
		return err_set(err, HOKKU_INTERNAL, "a step of %u sequences; it takes 1 to %u", n,
			       c->params.n_seqs);
	uint64_t n_tokens = 0;
	struct hokku_error why;
	uint32_t n_good = check_all(c, seqs, n, &n_tokens, &why);
	if (n_good == 0)
		return err_set(err, why.code, "%s", why.message);
	if (n_tokens > c->params.n_batch)
		return err_set(err, HOKKU_INTERNAL, "a step of %llu tokens; the handle takes %u",
			       (unsigned long long)n_tokens, c->params.n_batch);
	f->seqs = seqs;
	f->n = n;
	f->n_good = n_good;
	gather_good(c, f);
	if (c->backend->submit) {
		enum hokku_code rc = c->backend->submit(c->self, seqs_of(f), n_good, err);
		if (rc)
			return rc;
	}
	c->n_submitted++;
	return HOKKU_OK;
}

/* For a device that is asked for the step when it is collected, and gets the mask with it. */
static enum hokku_code keep_mask(struct compute *c, const struct flight *f, uint32_t s, const uint32_t *mask)
{
	uint32_t *to = c->masks + f->good_index[s] * mask_words(c);
	memcpy(to, mask, mask_words(c) * sizeof *mask);
	f->good[f->good_index[s]].mask = to;
	return HOKKU_OK;
}

enum hokku_code compute_mask(struct compute *c, uint32_t s, const uint32_t *mask, struct hokku_error *err)
{
	struct flight *f = &c->flights[c->n_collected % COMPUTE_MAX_AHEAD];
	bool under_way = c->n_submitted != c->n_collected;
	if (!under_way || s >= f->n || f->seqs[s].code || !f->seqs[s].mask_open)
		return err_set(err, HOKKU_INTERNAL,
			       "no mask of sequence %u is open in the step that is collected next", s);
	enum hokku_code rc = c->backend->mask ? c->backend->mask(c->self, f->good_index[s], mask, err)
					      : keep_mask(c, f, s, mask);
	f->seqs[s].mask_open = rc != HOKKU_OK;
	return rc;
}

/* Those whose masks have not come draw nothing. */
static void drop_open(struct flight *f)
{
	for (uint32_t s = 0; s < f->n; s++) {
		struct compute_seq *seq = &f->seqs[s];
		if (seq->code || !seq->mask_open)
			continue;
		struct hokku_error err;
		f->good[f->good_index[s]].sampling = NULL;
		seq->code = err_set(seq->error ? seq->error : &err, HOKKU_CANCELLED,
				    "sequence %u has drawn nothing: its mask has not come", s);
	}
}

/* What the backend has filled in, where it had copies. */
static void take_results(struct flight *f)
{
	for (uint32_t s = 0; s < f->n; s++) {
		if (f->seqs[s].code)
			continue;
		f->seqs[s].token = f->good[f->good_index[s]].token;
		f->seqs[s].logprob = f->good[f->good_index[s]].logprob;
	}
}

/* Of the last rows of logits what the device could not. */
static void draw_here(struct compute *c, struct flight *f)
{
	for (uint32_t s = 0; s < f->n; s++) {
		struct compute_seq *seq = &f->seqs[s];
		if (seq->code || !by_host(c, seq))
			continue;
		size_t row = seq->all_logits ? seq->n_tokens - 1 : 0;
		sampler_draw(c->sampler, seq->logits + row * c->params.model->hp.n_vocab,
			     (uint64_t)seq->pos + seq->n_tokens, seq);
	}
}

enum hokku_code compute_collect(struct compute *c, struct hokku_error *err)
{
	if (c->n_submitted == c->n_collected)
		return err_set(err, HOKKU_INTERNAL, "no step is under way");
	struct flight *f = &c->flights[c->n_collected++ % COMPUTE_MAX_AHEAD];
	drop_open(f);
	enum hokku_code rc = c->backend->collect ? c->backend->collect(c->self, seqs_of(f), f->n_good, err)
						 : c->backend->step(c->self, seqs_of(f), f->n_good, err);
	if (f->gathered)
		take_results(f);
	if (!rc && f->drawn_here)
		draw_here(c, f);
	return rc;
}

enum hokku_code compute_step(struct compute *c, struct compute_seq *seqs, uint32_t n, struct hokku_error *err)
{
	if (c->n_submitted != c->n_collected)
		return err_set(err, HOKKU_INTERNAL, "a step is under way");
	enum hokku_code rc = compute_submit(c, seqs, n, err);
	return rc ? rc : compute_collect(c, err);
}

const char *compute_device(const struct compute *c)
{
	return c->backend->device(c->self);
}

const char *compute_why(const struct compute *c, bool *notable)
{
	*notable = c->why_notable;
	return c->why[0] ? c->why : NULL;
}

void compute_get_memory(const struct compute *c, struct compute_memory *out)
{
	c->backend->get_memory(c->self, out);
}

enum hokku_code compute_check(struct compute *c, struct hokku_error *err)
{
	return c->backend->check ? c->backend->check(c->self, err) : HOKKU_OK;
}

/* ---- the bytes of KV blocks ---- */

uint64_t compute_kv_bytes(const struct compute *c, uint32_t group)
{
	return c->backend->kv_bytes(c->self, group);
}

static enum hokku_code check_kv(const struct compute *c, uint32_t group, uint32_t block,
				struct hokku_error *err)
{
	if (group < c->params.model->n_kv_groups && block < c->params.n_kv_blocks)
		return HOKKU_OK;
	return err_set(err, HOKKU_INTERNAL,
		       "there is no KV block %u of KV group %u; there are %u blocks and %u groups", block,
		       group, c->params.n_kv_blocks, c->params.model->n_kv_groups);
}

enum hokku_code compute_kv_read(struct compute *c, uint32_t group, uint32_t block, void *to,
				struct hokku_error *err)
{
	enum hokku_code rc = check_kv(c, group, block, err);
	return rc ? rc : c->backend->kv_read(c->self, group, block, to, err);
}

enum hokku_code compute_kv_write(struct compute *c, uint32_t group, uint32_t block, const void *from,
				 struct hokku_error *err)
{
	enum hokku_code rc = check_kv(c, group, block, err);
	return rc ? rc : c->backend->kv_write(c->self, group, block, from, err);
}

void compute_kv_describe(const struct compute *c, struct compute_kv_kind *out)
{
	c->backend->kv_describe(c->self, out);
}
