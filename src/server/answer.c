#include "server/answer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const uint64_t max_exact_seed = (UINT64_C(1) << 53) - 1;

void answer_text(struct strbuf *b, const char *text)
{
	strbuf_add_json(b, text, strlen(text));
}

static void add_error(struct strbuf *b, enum hokku_code code, const char *message, const char *field)
{
	strbuf_addf(b, "{\"code\":\"%s\",\"message\":", hokku_code_name(code));
	answer_text(b, message);
	if (field && *field) {
		strbuf_add_c(b, ",\"field\":");
		answer_text(b, field);
	}
	strbuf_add_c(b, "}");
}

void answer_error(struct strbuf *b, enum hokku_code code, const char *message, const char *field)
{
	strbuf_add_c(b, "{\"error\":");
	add_error(b, code, message, field);
	strbuf_add_c(b, "}\n");
}

void answer_seed(struct strbuf *b, uint64_t seed)
{
	strbuf_addf(b, seed <= max_exact_seed ? "%" PRIu64 : "\"%" PRIu64 "\"", seed);
}

void answer_float(struct strbuf *b, float value)
{
	char text[32];
	for (int digits = 6; digits <= 9; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, (double)value);
		if (strtof(text, NULL) == value)
			break;
	}
	strbuf_add_c(b, text);
}

void answer_sampling_value(struct strbuf *b, const struct sampling *s, const struct sampling_field *f)
{
	const char *at = (const char *)s + f->offset;
	float real;
	int32_t whole;
	if (f->kind == SAMPLING_INT) {
		memcpy(&whole, at, sizeof whole);
		strbuf_addf(b, "%" PRId32, whole);
	} else {
		memcpy(&real, at, sizeof real);
		answer_float(b, real);
	}
}

void answer_sampling(struct strbuf *b, const struct sampling *s)
{
	strbuf_add_c(b, "{");
	for (size_t i = 0; i < n_sampling_fields; i++) {
		const struct sampling_field *f = &sampling_fields[i];
		if (f->rare &&
		    sampling_get(s, f) ==
			    (f->kind == SAMPLING_INT ? f->fallback[0] : (double)(float)f->fallback[0]))
			continue;
		strbuf_addf(b, "%s\"%s\":", i ? "," : "", f->name);
		answer_sampling_value(b, s, f);
	}
	strbuf_add_c(b, ",\"logit_bias\":{");
	for (uint32_t i = 0; i < s->n_bias; i++) {
		strbuf_addf(b, "%s\"%" PRId32 "\":", i ? "," : "", s->bias[i].token);
		if (isfinite(s->bias[i].bias))
			answer_float(b, s->bias[i].bias);
		else
			strbuf_add_c(b, "false");
	}
	strbuf_add_c(b, "}}");
}

static void add_ids(struct strbuf *b, const char *name, const int32_t *ids, uint32_t n)
{
	strbuf_addf(b, n ? ",\"%s\":[" : "", name);
	for (uint32_t i = 0; i < n; i++)
		strbuf_addf(b, "%s%" PRId32, i ? "," : "", ids[i]);
	strbuf_add_c(b, n ? "]" : "");
}

/* Those that were given. */
static void add_rules(struct strbuf *b, const struct token_rules *r)
{
	if (r->min_tokens)
		strbuf_addf(b, ",\"min_tokens\":%" PRIu32, r->min_tokens);
	if (r->ignore_eos)
		strbuf_add_c(b, ",\"ignore_eos\":true");
	if (r->include_stop)
		strbuf_add_c(b, ",\"include_stop_str_in_output\":true");
	add_ids(b, "stop_token_ids", r->stop_tokens, r->n_stop_tokens);
}

void answer_terms(struct strbuf *b, const struct answer_start *s)
{
	strbuf_add_c(b, ",\"max_tokens\":");
	if (s->no_answer)
		strbuf_add_c(b, "0");
	else if (s->max_tokens)
		strbuf_addf(b, "%" PRIu32, s->max_tokens);
	else
		strbuf_add_c(b, "null");
	strbuf_add_c(b, ",\"stop\":[");
	strbuf_add(b, s->stop_json.ptr, s->stop_json.len);
	strbuf_add_c(b, "]");
	if (s->rules)
		add_rules(b, s->rules);
	strbuf_add_c(b, ",\"sampling\":");
	answer_sampling(b, s->sampling);
}

/* The members of start without braces. */
static void add_start(struct strbuf *b, const struct answer_start *s)
{
	strbuf_add_c(b, "\"id\":");
	answer_text(b, s->id);
	strbuf_add_c(b, ",\"model\":");
	answer_text(b, s->model);
	if (s->key)
		strbuf_addf(b, ",\"key\":\"%s\"", s->key);
	strbuf_add_c(b, ",\"seed\":");
	answer_seed(b, s->seed);
	strbuf_addf(b, ",\"prompt_tokens\":%" PRIu32 ",\"started_at\":\"%s\"", s->prompt_tokens,
		    s->started_at);
	answer_terms(b, s);
	if (s->n > 1)
		strbuf_addf(b, ",\"n\":%" PRIu32, s->n);
	if (s->template_date && *s->template_date)
		strbuf_addf(b, ",\"template_date\":\"%s\"", s->template_date);
	answer_warnings(b, s);
}

void answer_usage(struct strbuf *b, const struct answer_usage *u)
{
	strbuf_addf(b,
		    "{\"prompt_tokens\":%" PRIu32 ",\"completion_tokens\":%" PRIu64
		    ",\"total_tokens\":%" PRIu64 ",\"prompt_tokens_details\":{\"cached_tokens\":%" PRIu32
		    "},\"completion_tokens_details\":{\"reasoning_tokens\":%" PRIu64 "}}",
		    u->prompt_tokens, u->completion_tokens, u->prompt_tokens + u->completion_tokens,
		    u->cached_tokens, u->thinking_tokens);
}

/* The message whose calls lie where no more was found, and are not as they were drawn; NULL: none. */
static const struct prepare_back *back_at(const struct answer_start *s, const struct cache_miss *miss)
{
	/* Of a token that is another it is known which; else something within a block was not there. */
	uint32_t end = miss->pos + (miss->why == CACHE_MISS_OTHER_TOKEN ? 1 : COMPUTE_KV_BLOCK);
	bool looked = miss->why == CACHE_MISS_OTHER_TOKEN || miss->why == CACHE_MISS_NOTHING_FOLLOWS;
	for (uint32_t i = 0; looked && i < s->n_back; i++)
		if (s->back[i].first < end && miss->pos < s->back[i].end)
			return &s->back[i];
	return NULL;
}

void answer_cache_debug(struct strbuf *b, const struct answer_start *s, const struct answer_end *end)
{
	const struct cache_miss *miss = &end->cache_miss;
	if (miss->why == CACHE_MISS_NOT_ASKED)
		return;
	strbuf_addf(b, ",\"cache_debug\":{\"cached_tokens\":%" PRIu32 ",\"reason\":\"%s\"",
		    end->cached_tokens, cache_miss_name(miss->why));
	if (miss->why != CACHE_MISS_OFF)
		strbuf_addf(b, ",\"position\":%" PRIu32, miss->pos);
	if (miss->why == CACHE_MISS_OTHER_TOKEN) {
		struct str bytes = tok_bytes(s->tok, miss->token);
		strbuf_addf(b, ",\"token\":{\"id\":%" PRId32 ",\"text\":", miss->token);
		strbuf_add_json(b, bytes.ptr, bytes.len);
		strbuf_add_c(b, "}");
	}
	const struct prepare_back *back = back_at(s, miss);
	if (back)
		strbuf_addf(b, ",\"call\":{\"message\":\"%s\",\"reason\":\"%s\"}", back->message,
			    dialect_back_name(back->why));
	strbuf_add_c(b, "}");
}

void answer_logprob(struct strbuf *b, float logprob)
{
	answer_float(b, logprob > -INFINITY ? logprob : -9999);
}

void answer_prompt_logprobs(struct strbuf *b, const struct answer_start *start)
{
	if (!start->prompt_json.ptr)
		return;
	strbuf_add_c(b, ",\"prompt_logprobs\":[");
	strbuf_add(b, start->prompt_json.ptr, start->prompt_json.len);
	strbuf_add_c(b, "]");
}

/* The members of one token's entry without braces. */
static void add_logprob(struct strbuf *b, const struct tok *tok, int32_t token, float logprob, bool ids)
{
	struct str bytes = tok_bytes(tok, token);
	strbuf_add_c(b, "\"token\":");
	strbuf_add_json(b, bytes.ptr, bytes.len);
	if (ids)
		strbuf_addf(b, ",\"id\":%" PRId32, token);
	strbuf_add_c(b, ",\"logprob\":");
	answer_logprob(b, logprob);
	strbuf_add_c(b, ",\"bytes\":[");
	for (size_t i = 0; i < bytes.len; i++)
		strbuf_addf(b, "%s%u", i ? "," : "", (unsigned char)bytes.ptr[i]);
	strbuf_add_c(b, "]");
}

static void add_top(struct strbuf *b, const struct tok *tok, const struct token_logprobs *l, bool ids)
{
	strbuf_add_c(b, ",\"top_logprobs\":[");
	for (uint32_t i = 0; i < l->n_top; i++) {
		strbuf_add_c(b, i ? ",{" : "{");
		add_logprob(b, tok, l->top[i].token, l->top[i].logprob, ids);
		strbuf_add_c(b, "}");
	}
	strbuf_add_c(b, "]");
}

void answer_logprobs(struct strbuf *b, const struct tok *tok, const struct answer_token *t, bool ids)
{
	strbuf_add_c(b, "{");
	add_logprob(b, tok, t->token, t->logprobs->logprob, ids);
	add_top(b, tok, t->logprobs, ids);
	strbuf_add_c(b, "}");
}

void answer_keep_alive(struct strbuf *b)
{
	strbuf_add_c(b, ": keep-alive\n\n");
}

void answer_warnings(struct strbuf *b, const struct answer_start *s)
{
	if (!s->warnings_json.len)
		return;
	strbuf_add_c(b, ",\"warnings\":[");
	strbuf_add(b, s->warnings_json.ptr, s->warnings_json.len);
	strbuf_add_c(b, "]");
}

void answer_own(struct strbuf *b, const struct answer_start *s, const struct answer_end *end)
{
	strbuf_add_c(b, ",\"hokku\":{\"model\":");
	answer_text(b, s->model);
	if (s->key)
		strbuf_addf(b, ",\"key\":\"%s\"", s->key);
	strbuf_add_c(b, ",\"seed\":");
	answer_seed(b, s->seed);
	answer_terms(b, s);
	if (s->template_date && *s->template_date)
		strbuf_addf(b, ",\"template_date\":\"%s\"", s->template_date);
	if (end)
		answer_cache_debug(b, s, end);
	strbuf_add_c(b, "}");
	answer_warnings(b, s);
}

/* ---- hokku's own routes ---- */

static void add_end(struct strbuf *b, const struct answer_start *start, const struct answer_end *e)
{
	strbuf_addf(b,
		    "\"stop_reason\":\"%s\",\"tokens_out\":%" PRIu32 ",\"cached_tokens\":%" PRIu32
		    ",\"text_bytes\":%" PRIu64 ",\"prefill_ms\":%.3f,\"decode_ms\":%.3f,\"ttft_ms\":%.3f",
		    hokku_stop_name(e->stop), e->tokens_out, e->cached_tokens, e->text_bytes, e->prefill_ms,
		    e->decode_ms, e->ttft_ms);
	answer_cache_debug(b, start, e);
}

/* Which sample, where there are several. */
static void add_index(struct strbuf *b, const struct answer_start *start, uint32_t sample)
{
	if (start->n > 1)
		strbuf_addf(b, ",\"index\":%" PRIu32, sample);
}

static void native_started(struct strbuf *b, const struct answer_start *start, uint32_t sample, bool first)
{
	(void)sample;
	if (!first)
		return;
	strbuf_add_c(b, "event: started\ndata: {");
	add_start(b, start);
	strbuf_add_c(b, "}\n\n");
}

static void native_logprobs(struct strbuf *b, const struct answer_start *start, const struct answer_token *t)
{
	answer_logprobs(b, start->tok, t, true);
}

static void native_prompt_logprobs(struct strbuf *b, const struct answer_start *start,
				   const struct answer_prompt *p)
{
	strbuf_add_c(b, p->first ? "" : p->n ? "null," : "null");
	for (uint32_t i = 0; i < p->n; i++) {
		const struct prompt_logprob *row = &p->rows[i];
		strbuf_add_c(b, i ? ",{" : "{");
		add_logprob(b, start->tok, row->token, row->logprobs.logprob, true);
		strbuf_addf(b, ",\"rank\":%" PRIu32, row->rank);
		add_top(b, start->tok, &row->logprobs, true);
		strbuf_add_c(b, "}");
	}
}

static void native_prompt(struct strbuf *b, const struct answer_start *start, const struct answer_prompt *p)
{
	strbuf_addf(b, "event: prompt\ndata: {\"i\":%" PRIu32 ",\"prompt_logprobs\":[", p->first);
	native_prompt_logprobs(b, start, p);
	strbuf_add_c(b, "]}\n\n");
}

static void native_token(struct strbuf *b, const struct answer_start *start, const struct answer_token *t)
{
	strbuf_add_c(b, "event: token\ndata: {\"t\":");
	strbuf_add_json(b, t->text.ptr, t->text.len);
	strbuf_addf(b, ",\"i\":%" PRIu32 ",\"id\":%" PRId32, t->index, t->token);
	add_index(b, start, t->sample);
	if (t->logprobs) {
		strbuf_add_c(b, ",\"logprobs\":");
		native_logprobs(b, start, t);
	}
	strbuf_add_c(b, "}\n\n");
}

static void native_end(struct strbuf *b, const struct answer_start *start, const struct answer_end *end)
{
	strbuf_add_c(b, "event: end\ndata: {");
	add_end(b, start, end);
	add_index(b, start, end->sample);
	if (end->last) {
		strbuf_add_c(b, ",\"usage\":");
		answer_usage(b, &end->usage);
	}
	strbuf_add_c(b, "}\n\n");
}

static void native_failed(struct strbuf *b, enum hokku_code code, const char *message)
{
	strbuf_add_c(b, "event: error\ndata: ");
	add_error(b, code, message, NULL);
	strbuf_add_c(b, "\n\n");
}

/* The members of a sample without braces. */
static void add_sample(struct strbuf *b, const struct answer_start *start, const struct answer_sample *s)
{
	strbuf_add_c(b, "\"text\":");
	strbuf_add_json(b, s->text.ptr, s->text.len);
	strbuf_add_c(b, ",");
	if (start->logprobs) {
		strbuf_add_c(b, "\"logprobs\":[");
		strbuf_add(b, s->logprobs_json.ptr, s->logprobs_json.len);
		strbuf_add_c(b, "],");
	}
	add_end(b, start, &s->end);
}

static void native_whole(struct strbuf *b, const struct answer_start *start,
			 const struct answer_sample *samples)
{
	const struct answer_usage *usage = &samples[0].end.usage;
	strbuf_add_c(b, "{");
	add_start(b, start);
	answer_prompt_logprobs(b, start);
	strbuf_add_c(b, start->n > 1 ? ",\"samples\":[" : ",");
	for (uint32_t i = 0; i < start->n; i++) {
		if (start->n > 1)
			strbuf_addf(b, "%s{\"index\":%" PRIu32 ",", i ? "," : "", i);
		add_sample(b, start, &samples[i]);
		strbuf_add_c(b, start->n > 1 ? "}" : "");
		usage = samples[i].end.last ? &samples[i].end.usage : usage;
	}
	strbuf_add_c(b, start->n > 1 ? "],\"usage\":" : ",\"usage\":");
	answer_usage(b, usage);
	strbuf_add_c(b, "}\n");
}

const struct api api_native = {
	.id_prefix = "gen-",
	.form = &request_native,
	.keep_alive = answer_keep_alive,
	.started = native_started,
	.prompt = native_prompt,
	.token = native_token,
	.end = native_end,
	.failed = native_failed,
	.whole = native_whole,
	.logprobs = native_logprobs,
	.prompt_logprobs = native_prompt_logprobs,
	.error = answer_error,
};
