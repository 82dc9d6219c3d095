/*
 * POST /v1/completions: texts that the model goes on with, OpenAI's older route, and what other servers take
 * on it. Strict as /v1/chat/completions is (openai_request.c).
 */
#include <stdio.h>
#include <stdlib.h>

#include "server/openai_fields.h"

enum { DEFAULT_MAX_TOKENS = 16 }; /* OpenAI's */

/* ---- prompts ---- */

static enum hokku_code take_ids(struct gen_request *r, const char *name, const struct jv *v, int32_t *next,
				struct request_error *err)
{
	if (!jv_len(v))
		return field_no_ids(name, err);
	enum hokku_code rc = field_read_ids(name, v, next, err);
	if (rc)
		return rc;
	r->n_tokens += jv_len(v);
	return HOKKU_OK;
}

/* v: what the field has, (n) its prompts, or v itself where it is one. */
static enum hokku_code take_prompts(struct gen_request *r, const char *name, const struct jv *v, bool several,
				    struct request_error *err)
{
	char found[96], field[64];
	size_t n = several ? jv_len(v) : 1, n_tokens = 0;
	if (n > REQUEST_MAX_PROMPTS)
		return bad(err, name, "has %zu prompts; it takes up to %d", n, REQUEST_MAX_PROMPTS);
	for (size_t i = 0; i < n; i++)
		n_tokens += jv_len(several ? jv_at(v, i) : v);
	r->prompts = calloc(n ? n : 1, sizeof *r->prompts);
	r->tokens = calloc(n_tokens ? n_tokens : 1, sizeof *r->tokens);
	if (!r->prompts || !r->tokens)
		return field_no_memory(err);
	r->n_prompts = (uint32_t)n;
	r->tokens_name = several && n == 1 ? "prompt[0]" : name;
	enum jv_type kind = several ? jv_at(v, 0)->type : v->type;
	for (size_t i = 0; i < n; i++) {
		const struct jv *one = several ? jv_at(v, i) : v;
		snprintf(field, sizeof field, several ? "%s[%zu]" : "%s", name, i);
		if (!jv_is(one, kind))
			return bad(err, field, "is %s; it takes %s, as the first is one",
				   field_describe(one, found),
				   kind == JV_STRING ? "a string" : "an array of token ids");
		r->prompts[i] = (struct request_prompt){jv_str(one), jv_len(one)};
		enum hokku_code rc =
			kind == JV_ARRAY ? take_ids(r, field, one, r->tokens + r->n_tokens, err) : HOKKU_OK;
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

/* A text, texts, token ids, or arrays of them. */
static enum hokku_code take_prompt(struct gen_request *r, const char *name, const struct jv *v,
				   struct request_error *err)
{
	char found[96];
	const struct jv *first = jv_at(v, 0);
	bool one = jv_is(v, JV_STRING) || jv_is(first, JV_NUMBER),
	     several = jv_is(first, JV_STRING) || jv_is(first, JV_ARRAY);
	if (one || several)
		return take_prompts(r, name, v, several, err);
	return bad(err, name,
		   "is %s; it takes a string, an array of strings, an array of token ids, or an array of "
		   "these arrays",
		   jv_is(v, JV_ARRAY) ? jv_text(v, found, sizeof found) : field_describe(v, found));
}

static enum hokku_code take_suffix(struct gen_request *r, const char *name, const struct jv *v,
				   struct request_error *err)
{
	char found[96];
	if (!jv_is(v, JV_STRING))
		return bad(err, name, "is %s; it takes a string", field_describe(v, found));
	if (v->n) /* clients send "" where there is none */
		r->suffix = jv_str(v);
	return HOKKU_OK;
}

/* ---- the rest ---- */

static enum hokku_code take_echo(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	return field_bool(name, v, &r->echo, err);
}

/* How many of the likeliest tokens. */
static enum hokku_code take_logprobs(struct gen_request *r, const char *name, const struct jv *v,
				     struct request_error *err)
{
	r->logprobs = true;
	return field_top_logprobs(r, name, v, err);
}

/* Of more samples than are answered nobody here chooses the best. */
static enum hokku_code take_best_of(struct gen_request *r, const char *name, const struct jv *v,
				    struct request_error *err)
{
	char found[96];
	int64_t n;
	if (!field_whole(v, &n) || n < 1 || n > REQUEST_MAX_N)
		return bad(err, name, "is %s; it takes a whole number from 1 to %d", field_describe(v, found),
			   REQUEST_MAX_N);
	r->best_of = (uint32_t)n;
	return HOKKU_OK;
}

static const struct field completion_fields[] = {
	/* clang-format off */
	{"prompt", take_prompt},
	{"suffix", take_suffix},
	{"echo", take_echo},
	{"best_of", take_best_of},
	{"model", field_model},
	{"stream", field_stream},
	{"stream_options", openai_take_stream_options},
	{"max_tokens", field_max_tokens_or_none},
	FIELDS_OF_QUEUE,
	{"return_token_ids", field_return_ids},
	{"stop", field_stop},
	{"seed", openai_take_seed},
	{"top_p", openai_take_top_p},
	FIELDS_OF_RULES,
	{"logprobs", take_logprobs},
	{"prompt_logprobs", field_prompt_logprobs},
	FIELDS_OF_SHAPES,
	{"id", field_id},
	OPENAI_PASSED_OVER,
	{NULL, NULL},
	/* clang-format on */
};

static enum hokku_code check_completion(struct gen_request *r, struct str stray, struct request_error *err)
{
	(void)stray;
	if (!r->prompts)
		return bad(err, "prompt",
			   "is missing; it takes a string, an array of strings, an array of token ids, or "
			   "an array of these arrays");
	if (r->best_of && r->best_of != r->n)
		return bad(err, "best_of",
			   "is %u and n is %u; this server answers with all that it draws: leave it out, or "
			   "make them equal",
			   r->best_of, r->n);
	if (r->suffix.ptr && r->n_tokens)
		return bad(err, "suffix", "goes with a prompt that is text; this one is token ids");
	if (r->suffix.ptr && r->echo && r->logprobs)
		return bad(err, "suffix",
			   "is given with echo and logprobs: the prompt's tokens are not those of its text "
			   "then; leave one of them out");
	if (r->echo && r->logprobs && r->prompt_logprobs)
		return bad(err, "prompt_logprobs",
			   "is given with echo and logprobs, which tell the same; give either");
	if (r->echo && r->logprobs) {
		r->prompt_logprobs = true;
		r->n_prompt_top = r->n_top;
	}
	if (!r->max_tokens)
		r->max_tokens = DEFAULT_MAX_TOKENS;
	enum hokku_code rc = openai_check_stream(r, err);
	if (!rc)
		rc = request_check_rules(r, err);
	return rc ? rc : request_check_shape(r, err);
}

const struct request_form request_completion = {
	.sampling = SAMPLING_OPENAI, .strict = true, .fields = completion_fields, .check = check_completion};
