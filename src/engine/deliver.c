#include "engine/deliver.h"

#include "base/clock.h"

void deliver_start(struct engine *e, struct job *job)
{
	if (job->started)
		return;
	job->begin_ns = clock_ns();
	pthread_mutex_lock(&e->lock);
	job->started = true;
	e->n_running++;
	e->owners.all[job->seq.owner].n_running++;
	pthread_mutex_unlock(&e->lock);
	job_emit(job, &(struct engine_event){.kind = ENGINE_STARTED,
					     .prompt_tokens = job->seq.n_prompt,
					     .seed = job->sampling.seed});
}

void deliver_error(struct engine *e, struct job *job, const struct hokku_error *err)
{
	queue_finish(e, job, &(struct engine_event){.kind = ENGINE_ERROR, .error = err});
}

void deliver_nothing(struct engine *e, struct job *job, uint32_t pos)
{
	struct hokku_error err;
	if (rules_left_none(job->rules))
		err_set(&err, HOKKU_INVALID_REQUEST,
			"no token may come at position %u: allowed_token_ids, bad_words, logit_bias, "
			"min_tokens and ignore_eos together leave none%s",
			pos, job->walk ? " of those that the answer's shape allows" : "");
	else
		err_set(&err, HOKKU_INTERNAL,
			"no token can be drawn at position %u: every logit is NaN, minus infinity or masked",
			pos);
	deliver_error(e, job, &err);
}

void deliver_prompt(const struct engine *e, struct job *job, const struct compute_seq *did)
{
	struct prompt_logprob told[SCHED_MAX_ROWS];
	uint32_t n = 0;
	for (; n < did->n_tokens && did->pos + n < job->seq.n_rows; n++) {
		const float *logits = did->logits + (size_t)n * e->n_vocab;
		told[n].token = job->seq.ids[did->pos + n + 1];
		told[n].rank = logprobs_rank(logits, e->n_vocab, told[n].token);
		logprobs_take(logits, e->n_vocab, told[n].token, job->n_prompt_top, &told[n].logprobs);
	}
	job_emit(job, &(struct engine_event){
			      .kind = ENGINE_PROMPT, .index = did->pos + 1, .prompt = told, .n_prompt = n});
}

/* The prompt is in and the first token drawn. */
static void take_times(struct engine *e, struct job *job)
{
	job->first_ns = clock_ns();
	job->result.prefill_ms = (double)(job->first_ns - job->begin_ns) * 1e-6;
	job->result.ttft_ms = (double)(job->first_ns - job->submitted_ns) * 1e-6;
	pthread_mutex_lock(&e->lock);
	e->n_tokens_in += job->seq.n_prompt;
	pthread_mutex_unlock(&e->lock);
}

/* Why the answer ends with the token drawn last, if max_tokens or the context end it. */
static bool is_full(const struct engine *e, const struct job *job, enum hokku_stop *stop)
{
	if (job->max_tokens && job->n_out == job->max_tokens) {
		*stop = HOKKU_STOP_LENGTH;
		return true;
	}
	*stop = HOKKU_STOP_CONTEXT;
	return job->seq.n_prompt + job->n_out >
	       e->n_ctx; /* the token itself would need a position of its own */
}

/* What e->decoded has goes on to e->shown. True if a stop text is complete. Text of the first min_tokens is
 * none that a stop text is looked for in. */
static bool push_text(struct engine *e, struct job *job)
{
	struct str text = {e->decoded.ptr, e->decoded.len};
	if (job->n_out > rules_min_tokens(job->rules))
		return stop_push(&job->stop, text, &e->shown);
	if (text.len)
		strbuf_add(&e->shown, text.ptr, text.len);
	return false;
}

/* Puts into e->shown what the token releases. True if a stop text is complete. */
static bool decode_text(struct engine *e, struct job *job, int32_t token)
{
	strbuf_clear(&e->decoded);
	strbuf_clear(&e->shown);
	/* Control tokens steer; their names are no part of an answer, unless they are asked for. */
	bool marker = e->marker_mask[(uint32_t)token / 32] >> (uint32_t)token % 32 & 1;
	if (tok_type(e->tok, token) != TOK_CONTROL || job->control_text == ENGINE_ALL ||
	    (job->control_text == ENGINE_MARKERS && marker))
		text_stream_push(&job->stream, tok_bytes(e->tok, token), &e->decoded);
	return push_text(e, job);
}

/* The answer has ended without a stop text: gives free what was held back. True if that completed a stop text
 * (one that holds U+FFFD). */
static bool flush_text(struct engine *e, struct job *job)
{
	strbuf_clear(&e->decoded);
	text_stream_finish(&job->stream, &e->decoded);
	if (push_text(e, job))
		return true;
	stop_finish(&job->stop, &e->shown);
	return false;
}

static void take_logprobs(const struct engine *e, const struct job *job, const struct compute_seq *drawn,
			  struct token_logprobs *out)
{
	size_t row = drawn->all_logits ? drawn->n_tokens - 1 : 0;
	if (job->chances) {
		*out = job->told_chances;
		return;
	}
	logprobs_take(drawn->logits + row * e->n_vocab, e->n_vocab, drawn->token, job->n_top, out);
}

static void emit_token(const struct engine *e, struct job *job, const struct compute_seq *drawn,
		       uint32_t index)
{
	const struct strbuf *shown = &e->shown;
	struct token_logprobs logprobs;
	bool told = job->logprobs && index < job->n_out; /* an end token is not counted */
	job->result.text_bytes += shown->len;
	if (told)
		take_logprobs(e, job, drawn, &logprobs);
	job_emit(job, &(struct engine_event){.kind = ENGINE_TOKEN,
					     .logprobs = told ? &logprobs : NULL,
					     .text = {shown->len ? shown->ptr : "", shown->len},
					     .token = drawn->token,
					     .index = index});
}

/* A token that ends the answer and is no part of it: `why`, unless a stop text is complete with what was held
 * back. */
static void take_end(struct engine *e, struct job *job, const struct compute_seq *drawn, enum hokku_stop why)
{
	strbuf_clear(&e->shown);
	bool found = flush_text(e, job);
	job->result.stop = found ? HOKKU_STOP_STOP : why;
	if (!found && why == HOKKU_STOP_STOP)
		job->stop_token = drawn->token;
	if (e->shown.len)
		emit_token(e, job, drawn, job->n_out);
}

/* The token's event, unless it ends the answer without text. True: the answer has ended (result.stop). */
static bool take_token(struct engine *e, struct job *job, const struct compute_seq *drawn, bool *failed)
{
	int32_t token = drawn->token;
	bool ended = true, stops = rules_stop(job->rules, token);
	if (stops ? !rules_include_stop(job->rules) : tok_is_end(e->tok, token)) {
		take_end(e, job, drawn, stops ? HOKKU_STOP_STOP : HOKKU_STOP_END);
		return true;
	}
	job->n_out++;
	pthread_mutex_lock(&e->lock);
	e->n_tokens_out++;
	pthread_mutex_unlock(&e->lock);
	if (decode_text(e, job, token)) {
		job->result.stop = HOKKU_STOP_STOP;
	} else if (stops) {
		job->result.stop = HOKKU_STOP_STOP;
		job->stop_token = flush_text(e, job) ? -1 : token;
	} else if (!is_full(e, job, &job->result.stop))
		ended = false;
	else if (flush_text(e, job))
		job->result.stop = HOKKU_STOP_STOP;
	*failed = e->decoded.failed || e->shown.failed || job->stop.held.failed;
	if (!*failed)
		emit_token(e, job, drawn, job->n_out - 1);
	return ended;
}

bool deliver_token(struct engine *e, struct job *job, const struct compute_seq *drawn)
{
	int32_t token = drawn->token;
	struct token_logprobs logprobs;
	uint32_t n_before = job->n_out;
	bool failed = false;
	if (!job->first_ns)
		take_times(e, job);
	bool ended = take_token(e, job, drawn, &failed);
	if (failed) {
		struct hokku_error err;
		err_set(&err, HOKKU_OUT_OF_MEMORY, "no memory for the text of token %d", token);
		deliver_error(e, job, &err);
		return false;
	}
	job->result.decode_ms = clock_ms_since(job->first_ns);
	if (!ended)
		return true;
	job->result.seed = job->sampling.seed;
	job->result.prompt_tokens = job->seq.n_prompt;
	job->result.tokens_out = job->n_out;
	bool told = job->logprobs && job->n_out == n_before;
	if (told)
		take_logprobs(e, job, drawn, &logprobs);
	queue_finish(e, job,
		     &(struct engine_event){.kind = ENGINE_END,
					    .token = token,
					    .logprobs = told ? &logprobs : NULL,
					    .result = &job->result,
					    .stop_text = job->stop.found ? (int32_t)job->stop.which : -1,
					    .stop_token = job->stop_token,
					    .cached_tokens = job->seq.n_cached,
					    .cache_miss = job->cache_debug ? &job->miss : NULL});
	return false;
}
