/*
 * One request from its first prompt token to its last event. The prompt goes in by chunks and between any two
 * steps the request may end, so that a cancel acts within one step; how the prompt is cut changes no result
 * (compute.h).
 */
#include "engine/generate.h"
#include "base/clock.h"

struct run {
	struct engine *e;
	struct job *job;
	struct text_stream stream;
	struct hokku_result result;
	uint64_t first_ns; /* when the first token was drawn */
	uint32_t n_out;    /* tokens drawn, an end token not counted */
	int32_t token;     /* drawn last */
};

/* A step over n new tokens from pos on; draw: and a token after them. */
static enum hokku_code step(struct run *r, uint32_t pos, uint32_t n, bool draw, struct hokku_error *err)
{
	struct engine *e = r->e;
	struct compute_seq seq = {
		.tokens = e->history + pos,
		.n_tokens = n,
		.pos = pos,
		.blocks = e->blocks,
		.sampling = draw ? &r->job->sampling : NULL,
		.history = e->history,
		.n_history = pos + n,
		.n_prompt = r->job->n_tokens,
		.logits = draw && r->job->logprobs ? e->logits : NULL,
		.token = -1,
	};
	uint64_t begin = clock_ns();
	enum hokku_code rc = compute_step(e->compute, &seq, 1, err);
	if (rc)
		return rc;
	/* Of the many steps of decoding the first is enough to know what one costs. */
	if (pos <= r->job->n_tokens)
		pace_add(&e->pace, n, clock_ms_since(begin));
	if (draw && (seq.token < 0 || (uint32_t)seq.token >= e->n_vocab))
		return err_set(
			err, HOKKU_INTERNAL,
			"no token can be drawn at position %u: every logit is NaN, minus infinity or masked",
			pos + n);
	r->token = seq.token;
	return HOKKU_OK;
}

enum hokku_code engine_check(struct engine *e, struct hokku_error *err)
{
	struct compute_memory memory;
	uint64_t now = clock_ns();
	if (now < e->next_check_ns)
		return HOKKU_OK;
	enum hokku_code rc = compute_check(e->compute, err);
	if (rc)
		return rc;
	compute_get_memory(e->compute, &memory);
	pthread_mutex_lock(&e->lock);
	e->memory = memory;
	e->checked_ns = now;
	pthread_mutex_unlock(&e->lock);
	e->next_check_ns = now + e->check_ns;
	return HOKKU_OK;
}

/* Shall the request go on, and can it? */
static enum hokku_code between_steps(struct run *r, struct hokku_error *err)
{
	if (atomic_load_explicit(&r->e->n_cancelled, memory_order_relaxed))
		engine_reap_cancelled(r->e);
	if (atomic_load_explicit(&r->job->cancelled, memory_order_relaxed))
		return err_set(err, HOKKU_CANCELLED, "the request was cancelled after %u tokens", r->n_out);
	return engine_check(r->e, err);
}

static enum hokku_code prefill(struct run *r, struct hokku_error *err)
{
	struct engine *e = r->e;
	uint32_t n_prompt = r->job->n_tokens;
	memcpy(e->history, r->job->tokens, n_prompt * sizeof *e->history);
	uint64_t begin = clock_ns();
	for (uint32_t pos = 0, n; pos < n_prompt; pos += n) {
		enum hokku_code rc = between_steps(r, err);
		if (rc)
			return rc;
		n = pace_chunk(&e->pace);
		n = n_prompt - pos < n ? n_prompt - pos : n;
		rc = step(r, pos, n, pos + n == n_prompt, err);
		if (rc)
			return rc;
	}
	r->first_ns = clock_ns();
	r->result.prefill_ms = (double)(r->first_ns - begin) * 1e-6;
	r->result.ttft_ms = (double)(r->first_ns - r->job->submitted_ns) * 1e-6;
	engine_count(e, n_prompt, 0);
	return HOKKU_OK;
}

/* Why the answer ends with the token drawn last, if max_tokens or the context end it. */
static bool is_full(const struct run *r, enum hokku_stop *stop)
{
	if (r->job->max_tokens && r->n_out == r->job->max_tokens) {
		*stop = HOKKU_STOP_LENGTH;
		return true;
	}
	*stop = HOKKU_STOP_CONTEXT;
	return r->job->n_tokens + r->n_out >
	       r->e->n_ctx; /* the token itself would need a position of its own */
}

/* Puts into e->shown what the token releases. True if a stop text is complete. */
static bool decode_text(struct run *r)
{
	struct engine *e = r->e;
	strbuf_clear(&e->decoded);
	strbuf_clear(&e->shown);
	/* Control tokens steer; their names are no part of an answer. */
	if (tok_type(e->tok, r->token) != TOK_CONTROL)
		text_stream_push(&r->stream, tok_bytes(e->tok, r->token), &e->decoded);
	return stop_push(&r->job->stop, (struct str){e->decoded.ptr, e->decoded.len}, &e->shown);
}

/* The answer has ended without a stop text: gives free what was held back. True if that completed a stop text
 * (one that holds U+FFFD). */
static bool flush_text(struct run *r)
{
	struct engine *e = r->e;
	strbuf_clear(&e->decoded);
	text_stream_finish(&r->stream, &e->decoded);
	if (stop_push(&r->job->stop, (struct str){e->decoded.ptr, e->decoded.len}, &e->shown))
		return true;
	stop_finish(&r->job->stop, &e->shown);
	return false;
}

static void emit_token(struct run *r, uint32_t index)
{
	const struct strbuf *shown = &r->e->shown;
	r->result.text_bytes += shown->len;
	struct token_logprobs logprobs;
	bool told = r->job->logprobs && index < r->n_out; /* an end token is not counted */
	if (told)
		logprobs_take(r->e->logits, r->e->n_vocab, r->token, r->job->n_top, &logprobs);
	job_emit(r->job, &(struct engine_event){.kind = ENGINE_TOKEN,
						.logprobs = told ? &logprobs : NULL,
						.text = {shown->len ? shown->ptr : "", shown->len},
						.token = r->token,
						.index = index});
}

/* Deals with the token drawn last: its event, and whether it ends the answer (*ended, result.stop). */
static enum hokku_code take_token(struct run *r, bool *ended, struct hokku_error *err)
{
	struct engine *e = r->e;
	if (tok_is_end(e->tok, r->token)) {
		strbuf_clear(&e->shown);
		r->result.stop = flush_text(r) ? HOKKU_STOP_STOP : HOKKU_STOP_END;
		if (e->shown.len)
			emit_token(r, r->n_out);
		*ended = true;
		return HOKKU_OK;
	}
	e->history[r->job->n_tokens + r->n_out] = r->token;
	r->n_out++;
	engine_count(e, 0, 1);
	*ended = true;
	if (decode_text(r))
		r->result.stop = HOKKU_STOP_STOP;
	else if (!is_full(r, &r->result.stop))
		*ended = false;
	else if (flush_text(r))
		r->result.stop = HOKKU_STOP_STOP;
	if (e->decoded.failed || e->shown.failed || r->job->stop.held.failed)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the text of token %d", r->token);
	emit_token(r, r->n_out - 1);
	return HOKKU_OK;
}

static enum hokku_code run(struct run *r, struct hokku_error *err)
{
	bool ended = false;
	enum hokku_code rc = prefill(r, err);
	while (!rc && !ended) {
		rc = take_token(r, &ended, err);
		if (!rc && !ended)
			rc = between_steps(r, err);
		if (!rc && !ended)
			rc = step(r, r->job->n_tokens + r->n_out - 1, 1, true, err);
		if (!rc)
			r->result.decode_ms = clock_ms_since(r->first_ns);
	}
	return rc;
}

enum hokku_code engine_generate(struct engine *e, struct job *job, struct hokku_error *err)
{
	struct run r = {.e = e, .job = job};
	enum hokku_code rc = between_steps(&r, err);
	if (!rc) {
		job_emit(job, &(struct engine_event){.kind = ENGINE_STARTED,
						     .prompt_tokens = job->n_tokens,
						     .seed = job->sampling.seed});
		rc = run(&r, err);
	}
	if (rc) {
		job_fail(job, err);
		return rc == HOKKU_DEVICE_ERROR ? rc : HOKKU_OK;
	}
	r.result.seed = job->sampling.seed;
	r.result.prompt_tokens = job->n_tokens;
	r.result.tokens_out = r.n_out;
	job_emit(job, &(struct engine_event){.kind = ENGINE_END, .result = &r.result});
	return HOKKU_OK;
}
