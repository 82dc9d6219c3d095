/* A step's input in one piece of pinned memory, so that it crosses the bus in one copy. */
#include <string.h>

#include "compute/cuda/late.h"

static uint64_t align_up(uint64_t n)
{
	return (n + 15) / 16 * 16;
}

static uint64_t mask_words(const struct cuda *c)
{
	return ((uint64_t)c->model->hp.n_vocab + 31) / 32;
}

/* Where the parts lie: one after another, so that a short step is a short copy. */
static void lay_out(struct cuda_input *in, uint32_t n_tokens, uint32_t n_rows, uint32_t n_draws)
{
	in->tokens_at = 0;
	in->rows_at = align_up(n_tokens * sizeof(struct cuda_token));
	in->draws_at = in->rows_at + align_up(n_rows * sizeof(uint32_t));
	in->words_at = in->draws_at + align_up(n_draws * sizeof(struct cuda_draw));
}

void cuda_input_plan(struct cuda *c)
{
	struct cuda_input *in = &c->input;
	uint64_t tables = (uint64_t)c->tables_pitch * c->model->n_kv_groups;
	in->n_words_max =
		c->n_seqs * (tables + 2 * (uint64_t)COMPUTE_MAX_BIASES + c->n_ctx + 1 + mask_words(c));
	if (c->path->input_words)
		in->n_words_max += c->path->input_words(c);
	lay_out(in, c->n_batch, c->n_batch, c->n_seqs);
	in->bytes = in->words_at + in->n_words_max * sizeof(uint32_t);
}

/* Empties the input for step k of these sequences. */
static void begin(struct cuda *c, uint32_t k, const struct compute_seq *seqs, uint32_t n)
{
	struct cuda_input *in = &c->input;
	uint32_t n_tokens = 0, n_rows = 0, n_draws = 0, end = 1;
	for (uint32_t s = 0; s < n; s++) {
		uint32_t its_end = seqs[s].pos + seqs[s].n_tokens;
		end = end > its_end ? end : its_end;
		bool all = seqs[s].logits && seqs[s].all_logits;
		n_tokens += seqs[s].n_tokens;
		n_rows += all ? seqs[s].n_tokens : 1;
		n_draws += seqs[s].sampling != NULL;
	}
	lay_out(in, n_tokens, n_rows, n_draws);
	in->host = in->hosts[k];
	in->device = in->devices[k];
	in->tokens = (struct cuda_token *)(void *)(in->host + in->tokens_at);
	in->rows = (uint32_t *)(void *)(in->host + in->rows_at);
	in->draws = (struct cuda_draw *)(void *)(in->host + in->draws_at);
	in->words = (uint32_t *)(void *)(in->host + in->words_at);
	in->n_tokens = in->n_rows = in->n_draws = in->n_splits = in->n_fed = 0;
	in->n_words = 0;
	in->tables_pitch = (end - 1) / CUDA_KV_BLOCK + 1;
	in->logits = in->states = false;
	c->late->n[k] = 0;
}

/* Appends n words and returns where they lie. */
static uint32_t put_words(struct cuda_input *in, const void *words, uint64_t n)
{
	uint64_t at = in->n_words;
	if (n)
		memcpy(in->words + at, words, n * sizeof(uint32_t));
	in->n_words += n;
	return (uint32_t)at;
}

static bool wants_history(const struct sampling *p)
{
	return p->repetition_penalty != 1 || p->frequency_penalty != 0 || p->presence_penalty != 0;
}

/* Of the history what the device has not got: its end is in the step, and what it was told before of the same
 * sequence it keeps. The sequence's tokens are in the step already. */
static void put_history(struct cuda *c, const struct compute_seq *seq, struct cuda_draw *d)
{
	/* A late draw comes when the place may be another sequence's: it has none. */
	struct cuda_kept *kept = seq->id && !seq->mask_open ? &c->kept_of[seq->slot] : NULL;
	bool ends = seq->n_history == seq->pos + seq->n_tokens;
	d->n_history = seq->n_history;
	d->n_prompt = seq->n_prompt;
	d->n_told = ends ? seq->pos : seq->n_history;
	d->first = c->input.n_tokens - seq->n_tokens;
	if (kept && ends) {
		d->kept = seq->slot + 1;
		d->n_kept = kept->id == seq->id ? kept->n : 0;
		d->n_kept = d->n_kept < seq->pos ? d->n_kept : seq->pos;
		*kept = (struct cuda_kept){seq->id, seq->n_history};
	}
	d->history = put_words(&c->input, seq->history + d->n_kept, d->n_told - d->n_kept);
}

static enum hokku_code put_draw(struct cuda *c, const struct compute_seq *seq, uint32_t s, uint32_t row,
				struct hokku_error *err)
{
	_Static_assert(sizeof(struct hokku_logit_bias) == 8, "a bias is two words");
	struct cuda_input *in = &c->input;
	const struct sampling *p = seq->sampling;
	bool history = wants_history(p);
	if (history && seq->n_history > c->n_ctx + 1)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "a history of %u tokens for the penalties; the device keeps %u",
			       seq->n_history, c->n_ctx + 1);
	struct cuda_draw *d = &in->draws[in->n_draws];
	*d = (struct cuda_draw){
		.seed = p->seed,
		.pos = (uint64_t)seq->pos + seq->n_tokens,
		.temperature = p->temperature,
		.top_p = p->top_p,
		.min_p = p->min_p,
		.repetition_penalty = p->repetition_penalty,
		.frequency_penalty = p->frequency_penalty,
		.presence_penalty = p->presence_penalty,
		.top_k = p->top_k,
		.row = row,
		.slot = in->n_draws++,
		.n_bias = p->n_bias,
		.mask = CUDA_NOTHING,
	};
	if (p->n_bias)
		d->bias = put_words(in, p->bias, 2 * (uint64_t)p->n_bias);
	if (history && seq->n_history)
		put_history(c, seq, d);
	if (seq->mask)
		d->mask = put_words(in, seq->mask, mask_words(c));
	if (seq->mask_open) {
		uint32_t k = c->n_submitted % COMPUTE_MAX_AHEAD;
		d->late = 1;
		d->mask = (uint32_t)in->n_words;
		in->n_words += mask_words(c); /* room */
		d->row = d->slot = k * c->late->n_max + late_add(c, k, s, d->slot, d->mask);
	}
	return HOKKU_OK;
}

/* Puts a block that the sequence has in place of those that lie behind the window: attention reads whole
 * splits, and hides what is not seen. All of it has been written (struct kv_group). */
static void fill_behind(uint32_t *table, uint32_t n_blocks)
{
	uint32_t first = 0;
	while (first + 1 < n_blocks && table[first] == (uint32_t)COMPUTE_NO_BLOCK)
		first++;
	for (uint32_t i = 0; i < first; i++)
		table[i] = table[first];
}

/* A sequence's block tables, and where the first of them lies: one right after what is there already, others
 * at a pitch that all sequences share, so that a layer finds its group's by the same step from each. */
static uint32_t put_tables(struct cuda *c, const struct compute_seq *seq, uint32_t n_blocks)
{
	struct cuda_input *in = &c->input;
	uint32_t table = (uint32_t)in->n_words;
	for (uint32_t g = 0; g < c->model->n_kv_groups; g++) {
		in->n_words = table + (uint64_t)g * in->tables_pitch;
		uint32_t at = put_words(in, seq->blocks + (uint64_t)g * seq->blocks_pitch, n_blocks);
		fill_behind(in->words + at, n_blocks);
	}
	return table;
}

static void put_tokens(struct cuda *c, const struct compute_seq *seq)
{
	struct cuda_input *in = &c->input;
	const uint32_t *draws_before = c->draws_of[(c->n_submitted + 1) % COMPUTE_MAX_AHEAD];
	uint32_t end = seq->pos + seq->n_tokens, splits = (end - 1) / CUDA_ATTN_SPLIT + 1;
	uint32_t table = put_tables(c, seq, (end - 1) / CUDA_KV_BLOCK + 1);
	in->n_splits = in->n_splits > splits ? in->n_splits : splits;
	for (uint32_t i = 0; i < seq->n_tokens; i++) {
		bool fed = seq->from && i + 1 == seq->n_tokens;
		int32_t id = fed ? -1 - (int32_t)draws_before[seq->from - 1] : seq->tokens[i];
		in->tokens[in->n_tokens + i] = (struct cuda_token){id, seq->pos + i, table};
	}
	in->n_fed += seq->from > 0;
}

enum hokku_code cuda_input_pack(struct cuda *c, const struct compute_seq *seqs, uint32_t n,
				struct hokku_error *err)
{
	struct cuda_input *in = &c->input;
	uint32_t now = c->n_submitted % COMPUTE_MAX_AHEAD;
	begin(c, now, seqs, n);
	for (uint32_t s = 0; s < n; s++) {
		const struct compute_seq *seq = &seqs[s];
		bool all = seq->logits && seq->all_logits, last = seq->logits || seq->sampling;
		in->logits |= seq->logits != NULL;
		in->states |= seq->pooling != COMPUTE_POOL_OFF;
		put_tokens(c, seq);
		for (uint32_t i = all ? 0 : seq->n_tokens - 1; i < seq->n_tokens && (all || last); i++)
			in->rows[in->n_rows++] = in->n_tokens + i;
		in->n_tokens += seq->n_tokens;
		c->draws_of[now][s] = seq->sampling ? in->n_draws : CUDA_NOTHING;
		if (seq->sampling) {
			enum hokku_code rc = put_draw(c, seq, s, (in->n_rows - 1) % c->logit_rows, err);
			if (rc)
				return rc;
		}
	}
	return HOKKU_OK;
}
