#include "cli/bench_batch.h"

#include <stdlib.h>

static const struct sampling greedy = {.temperature = 0, .top_p = 1, .repetition_penalty = 1};

enum hokku_code bench_batch_init(struct bench_batch *b, const struct model *m, uint32_t n_seqs,
				 uint32_t n_positions, struct hokku_error *err)
{
	uint32_t pitch = (n_positions + COMPUTE_KV_BLOCK - 1) / COMPUTE_KV_BLOCK;
	uint64_t n_blocks = (uint64_t)n_seqs * m->n_kv_groups * pitch;
	if (n_blocks > UINT32_MAX)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "%u sequences of %u positions need %llu KV blocks; %u is the most", n_seqs,
			       n_positions, (unsigned long long)n_blocks, UINT32_MAX);
	*b = (struct bench_batch){
		.n_seqs = n_seqs,
		.n_vocab = m->hp.n_vocab,
		.n_blocks = (uint32_t)n_blocks,
		.pitch = pitch,
		.n_groups = m->n_kv_groups,
		.tables = calloc(n_blocks, sizeof *b->tables),
		.tokens = calloc(COMPUTE_MAX_BATCH, sizeof *b->tokens),
		.seqs = calloc((size_t)n_seqs * COMPUTE_MAX_AHEAD, sizeof *b->seqs),
	};
	if (!b->tables || !b->tokens || !b->seqs)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for %u sequences of %u tokens", n_seqs,
			       n_positions);
	for (uint32_t i = 0; i < b->n_blocks; i++)
		b->tables[i] = i;
	return HOKKU_OK;
}

void bench_batch_deinit(struct bench_batch *b)
{
	free(b->tables);
	free(b->tokens);
	free(b->seqs);
	*b = (struct bench_batch){0};
}

/* Sequences differ from their first token on. */
static int32_t made_up(const struct bench_batch *b, uint32_t seq, uint32_t pos)
{
	return (int32_t)((pos * 2654435761u + seq * 40503u) % b->n_vocab);
}

/* The next piece of sequence s, of n tokens, as one of a step. */
static struct compute_seq piece(const struct bench_batch *b, uint32_t s, uint32_t pos, uint32_t n,
				int32_t *tokens)
{
	return (struct compute_seq){
		.tokens = tokens,
		.n_tokens = n,
		.pos = pos,
		.blocks = b->tables + (size_t)s * b->n_groups * b->pitch,
		.blocks_pitch = b->pitch,
	};
}

/* A sequence that the step left out has a code of its own; compute_step's is the step's. */
static enum hokku_code step(struct bench_batch *b, struct compute *c, uint32_t n, struct hokku_error *err)
{
	for (uint32_t i = 0; i < n; i++)
		b->seqs[i].error = err;
	enum hokku_code rc = compute_step(c, b->seqs, n, err);
	for (uint32_t i = 0; !rc && i < n; i++)
		rc = b->seqs[i].code;
	return rc;
}

enum hokku_code bench_batch_prefill(struct bench_batch *b, struct compute *c, uint32_t n, uint32_t n_batch,
				    bool draws, void (*on_progress)(double part), struct hokku_error *err)
{
	uint32_t pos = 0;
	for (uint32_t s = 0; s < b->n_seqs;) {
		uint32_t used = 0, pieces = 0;
		while (s < b->n_seqs && used < n_batch) {
			uint32_t left = n - pos, now = left < n_batch - used ? left : n_batch - used;
			int32_t *tokens = b->tokens + used;
			for (uint32_t i = 0; i < now; i++)
				tokens[i] = made_up(b, s, pos + i);
			b->seqs[pieces] = piece(b, s, pos, now, tokens);
			if (draws && now == left)
				b->seqs[pieces].sampling = &greedy;
			pieces++;
			used += now;
			pos += now;
			if (pos == n) {
				s++;
				pos = 0;
			}
		}
		enum hokku_code rc = step(b, c, pieces, err);
		if (rc)
			return rc;
		if (on_progress)
			on_progress((s + (double)pos / n) / b->n_seqs);
	}
	return HOKKU_OK;
}

/* The sequences of step k, one token each: those that the step before draws, where that is under way. */
static struct compute_seq *lay_out(struct bench_batch *b, uint32_t k, uint32_t pos, bool fed,
				   struct hokku_error *err)
{
	struct compute_seq *seqs = b->seqs + (size_t)(k % COMPUTE_MAX_AHEAD) * b->n_seqs;
	for (uint32_t s = 0; s < b->n_seqs; s++) {
		seqs[s] = piece(b, s, pos + k, 1, &b->tokens[s]);
		seqs[s].sampling = &greedy;
		seqs[s].from = fed ? s + 1 : 0;
		seqs[s].error = err;
	}
	return seqs;
}

/* Collects step k and keeps its draws. */
static enum hokku_code collect(struct bench_batch *b, struct compute *c, uint32_t k, struct hokku_error *err)
{
	const struct compute_seq *seqs = b->seqs + (size_t)(k % COMPUTE_MAX_AHEAD) * b->n_seqs;
	enum hokku_code rc = compute_collect(c, err);
	for (uint32_t s = 0; s < b->n_seqs && !rc; s++) {
		rc = seqs[s].code;
		b->tokens[s] = seqs[s].token;
	}
	return rc;
}

enum hokku_code bench_batch_decode(struct bench_batch *b, struct compute *c, uint32_t pos, uint32_t n,
				   struct hokku_error *err)
{
	uint32_t ahead = compute_runs_ahead(c) ? 1 : 0, n_collected = 0;
	enum hokku_code rc = HOKKU_OK;
	for (uint32_t s = 0; s < b->n_seqs; s++)
		b->tokens[s] = made_up(b, s, pos);
	for (uint32_t k = 0; k < n && !rc; k++) {
		struct compute_seq *seqs = lay_out(b, k, pos, ahead && k, err);
		rc = compute_submit(c, seqs, b->n_seqs, err);
		if (!rc && k + 1 - n_collected > ahead)
			rc = collect(b, c, n_collected++, err);
	}
	while (!rc && n_collected < n)
		rc = collect(b, c, n_collected++, err);
	return rc;
}
