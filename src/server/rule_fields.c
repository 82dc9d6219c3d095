/*
 * The fields that say which tokens may come and which of them end an answer: OpenAI's logit_bias, in the
 * forms that llama-server takes besides, and what vLLM has under the same names (engine/rules.h). Texts
 * become tokens where the tokenizer is at hand (request_find_words).
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/words.h"
#include "server/field.h"

enum hokku_code field_min_tokens(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	return field_u32(name, v, 0, INT32_MAX, &r->rules.min_tokens, err);
}

enum hokku_code field_ignore_eos(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	return field_bool(name, v, &r->rules.ignore_eos, err);
}

enum hokku_code field_include_stop(struct gen_request *r, const char *name, const struct jv *v,
				   struct request_error *err)
{
	return field_bool(name, v, &r->rules.include_stop, err);
}

/* An array of up to `most` token ids; *out is the request's to free. */
static enum hokku_code take_ids(const char *name, const struct jv *v, uint32_t most, int32_t **out,
				uint32_t *n_out, struct request_error *err)
{
	enum hokku_code rc = field_check_ids(name, v, err);
	size_t n = jv_len(v);
	if (rc)
		return rc;
	if (n > most)
		return bad(err, name, "has %zu token ids; it takes up to %" PRIu32, n, most);
	free(*out); /* of the same field, given twice */
	*out = malloc((n + 1) * sizeof **out);
	*n_out = (uint32_t)n;
	if (!*out)
		return field_no_memory(err);
	return field_read_ids(name, v, *out, err);
}

enum hokku_code field_stop_token_ids(struct gen_request *r, const char *name, const struct jv *v,
				     struct request_error *err)
{
	enum hokku_code rc =
		take_ids(name, v, RULES_MAX_STOP_TOKENS, &r->stop_tokens, &r->rules.n_stop_tokens, err);
	r->rules.stop_tokens = r->stop_tokens;
	return rc;
}

enum hokku_code field_allowed_token_ids(struct gen_request *r, const char *name, const struct jv *v,
					struct request_error *err)
{
	enum hokku_code rc =
		take_ids(name, v, RULES_MAX_ALLOWED, &r->allowed_tokens, &r->rules.n_allowed, err);
	r->rules.allowed = r->allowed_tokens;
	if (!rc && r->rules.n_allowed == 0)
		return field_no_ids(name, err);
	return rc;
}

enum hokku_code field_bad_words(struct gen_request *r, const char *name, const struct jv *v,
				struct request_error *err)
{
	char found[96], field[64];
	if (!jv_is(v, JV_ARRAY) || jv_len(v) > RULES_MAX_BAD_WORDS)
		return bad(err, name, "is %s; it takes an array of up to %d strings",
			   field_describe(v, found), RULES_MAX_BAD_WORDS);
	size_t n = jv_len(v);
	free(r->bad_words); /* given twice */
	r->n_bad_words = 0;
	r->bad_words = malloc((n + 1) * sizeof *r->bad_words);
	if (!r->bad_words)
		return field_no_memory(err);
	for (size_t i = 0; i < n; i++) {
		struct str s = jv_str(jv_at(v, i));
		snprintf(field, sizeof field, "%s[%zu]", name, i);
		if (!jv_is(jv_at(v, i), JV_STRING))
			return bad(err, field, "is %s; it takes a string",
				   field_describe(jv_at(v, i), found));
		if (s.len < 1 || s.len > RULES_MAX_BAD_WORD_BYTES)
			return bad(err, field, "has %zu bytes; it takes 1 to %d", s.len,
				   RULES_MAX_BAD_WORD_BYTES);
		r->bad_words[r->n_bad_words++] = s;
	}
	return HOKKU_OK;
}

enum hokku_code field_dry_breakers(struct gen_request *r, const char *name, const struct jv *v,
				   struct request_error *err)
{
	char found[96], field[64];
	if (!jv_is(v, JV_ARRAY) || jv_len(v) > DRY_MAX_BREAKERS)
		return bad(err, name, "is %s; it takes an array of up to %d strings",
			   field_describe(v, found), DRY_MAX_BREAKERS);
	r->has_dry_breakers = true;
	r->n_dry_breakers = 0;
	for (size_t i = 0; i < jv_len(v); i++) {
		struct str s = jv_str(jv_at(v, i));
		snprintf(field, sizeof field, "%s[%zu]", name, i);
		if (!jv_is(jv_at(v, i), JV_STRING))
			return bad(err, field, "is %s; it takes a string",
				   field_describe(jv_at(v, i), found));
		if (s.len < 1 || s.len > DRY_MAX_BREAKER_BYTES)
			return bad(err, field, "has %zu bytes; it takes 1 to %d", s.len,
				   DRY_MAX_BREAKER_BYTES);
		r->dry_breakers[r->n_dry_breakers++] = s;
	}
	return HOKKU_OK;
}

/* The order of the stages is fixed: a list of them is taken where it says the same. */
enum hokku_code field_samplers(struct gen_request *r, const char *name, const struct jv *v,
			       struct request_error *err)
{
	static const char *const order[] = {"dry",   "penalties", "top_n_sigma", "temperature", "top_k",
					    "typ_p", "top_p",     "min_p",       "xtc"};
	enum { N = sizeof order / sizeof *order };
	char found[96];
	size_t n = jv_len(v), same = 0;
	(void)r;
	while (jv_is(v, JV_ARRAY) && n == N && same < N && str_eq_c(jv_str(jv_at(v, same)), order[same]))
		same++;
	if (same == N)
		return HOKKU_OK;
	return bad(err, name,
		   "is %s; the order of the stages is fixed here: leave it out, or give [\"dry\", "
		   "\"penalties\", \"top_n_sigma\", \"temperature\", \"top_k\", \"typ_p\", \"top_p\", "
		   "\"min_p\", \"xtc\"]",
		   field_describe(v, found));
}

/* ---- logit_bias ---- */

static bool looks_like_number(struct str key)
{
	size_t i = key.len && (key.ptr[0] == '-' || key.ptr[0] == '+');
	size_t begin = i;
	while (i < key.len && key.ptr[i] >= '0' && key.ptr[i] <= '9')
		i++;
	return i == key.len && i > begin;
}

/* A token id in digits. */
static bool parse_token_key(struct str key, int32_t *out)
{
	int64_t n = 0;
	size_t i = 0;
	for (; i < key.len && key.ptr[i] >= '0' && key.ptr[i] <= '9' && i < 10; i++)
		n = n * 10 + (key.ptr[i] - '0');
	*out = (int32_t)n;
	return i > 0 && i == key.len && n <= INT32_MAX && !(key.ptr[0] == '0' && i > 1);
}

/* A number, or false: the token never comes. of: whose it is, for messages. */
static enum hokku_code take_bias(const char *name, const char *of, const struct jv *v, float *out,
				 struct request_error *err)
{
	char found[96];
	double x = field_number(v);
	if (jv_is(v, JV_BOOL) && !jv_is_true(v)) {
		*out = -INFINITY;
		return HOKKU_OK;
	}
	if (!(fabs(x) <= ENGINE_MAX_LOGIT_BIAS))
		return bad(err, name, "of %s is %s; it takes a number from -%d to %d, or false: never drawn",
			   of, field_describe(v, found), ENGINE_MAX_LOGIT_BIAS, ENGINE_MAX_LOGIT_BIAS);
	*out = (float)x;
	return HOKKU_OK;
}

static enum hokku_code add_bias_id(struct gen_request *r, const char *name, int32_t id, const struct jv *v,
				   struct request_error *err)
{
	char of[32];
	struct hokku_logit_bias *b = &r->bias[r->sampling.n_bias];
	snprintf(of, sizeof of, "token %" PRId32, id);
	b->token = id;
	enum hokku_code rc = take_bias(name, of, v, &b->bias, err);
	r->sampling.n_bias += !rc;
	return rc;
}

/* A key of the object, or a string in a pair: an id in digits, or a text. */
static enum hokku_code add_bias_key(struct gen_request *r, const char *name, struct str key,
				    const struct jv *v, struct request_error *err)
{
	char quoted[64];
	int32_t id;
	if (parse_token_key(key, &id))
		return add_bias_id(r, name, id, v, err);
	str_quote(key, quoted, sizeof quoted);
	if (looks_like_number(key) || key.len == 0)
		return bad(err, name, "has the key %s; a key is a token id in digits, or a text", quoted);
	struct request_bias_text *t = &r->bias_texts[r->n_bias_texts];
	t->text = key;
	enum hokku_code rc = take_bias(name, quoted, v, &t->bias, err);
	r->n_bias_texts += !rc;
	return rc;
}

static enum hokku_code add_bias_pair(struct gen_request *r, const char *name, const struct jv *pair, size_t i,
				     struct request_error *err)
{
	char found[96], field[64];
	int64_t id;
	const struct jv *of = jv_at(pair, 0);
	snprintf(field, sizeof field, "%s[%zu]", name, i);
	if (!jv_is(pair, JV_ARRAY) || jv_len(pair) != 2)
		return bad(err, field, "is %s; it takes [token id or text, number or false]",
			   field_describe(pair, found));
	if (jv_is(of, JV_STRING))
		return add_bias_key(r, name, jv_str(of), jv_at(pair, 1), err);
	if (!field_whole(of, &id) || id < 0 || id > INT32_MAX)
		return bad(err, field,
			   "names %s; it takes a token id, a whole number from 0 to %d, or a text",
			   field_describe(of, found), INT32_MAX);
	return add_bias_id(r, name, (int32_t)id, jv_at(pair, 1), err);
}

enum hokku_code field_logit_bias(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	char found[96];
	bool pairs = jv_is(v, JV_ARRAY);
	if (!pairs && !jv_is(v, JV_OBJECT))
		return bad(err, name,
			   "is %s; it takes an object of token ids and numbers, or an array of pairs of them",
			   field_describe(v, found));
	size_t n = pairs ? jv_len(v) : v->n;
	if (n > COMPUTE_MAX_LOGIT_BIAS)
		return bad(err, name, "has %zu entries; it takes up to %d", n, COMPUTE_MAX_LOGIT_BIAS);
	free(r->bias); /* given twice */
	free(r->bias_texts);
	r->sampling.n_bias = r->n_bias_texts = 0;
	r->sampling.bias = r->bias = malloc((n + 1) * sizeof *r->bias);
	r->bias_texts = malloc((n + 1) * sizeof *r->bias_texts);
	if (!r->bias || !r->bias_texts)
		return field_no_memory(err);
	enum hokku_code rc = HOKKU_OK;
	for (uint32_t i = 0; i < n && !rc; i++)
		rc = pairs ? add_bias_pair(r, name, jv_at(v, i), i, err)
			   : add_bias_key(r, name, jv_key(v, i), jv_value(v, i), err);
	return rc;
}

/* ---- with the tokenizer ---- */

enum hokku_code request_check_rules(const struct gen_request *r, struct request_error *err)
{
	if (r->max_tokens && r->rules.min_tokens > r->max_tokens)
		return bad(err, "min_tokens",
			   "is %" PRIu32 " and max_tokens is %" PRIu32
			   "; the least cannot be more than the most",
			   r->rules.min_tokens, r->max_tokens);
	return HOKKU_OK;
}

/* All tokens of the text get the bias. */
static enum hokku_code find_bias_text(struct gen_request *r, const struct request_bias_text *t,
				      const struct tok *tok, struct request_error *err)
{
	char quoted[64];
	int32_t ids[COMPUTE_MAX_LOGIT_BIAS];
	uint32_t room = COMPUTE_MAX_LOGIT_BIAS - r->sampling.n_bias;
	size_t n = words_encode(tok, t->text, ids, room);
	str_quote(t->text, quoted, sizeof quoted);
	if (n == 0)
		return bad(err, "logit_bias", "names %s, which has no tokens in this vocabulary", quoted);
	if (n > room)
		return bad(err, "logit_bias",
			   "has more than %d entries with the %zu tokens of %s; it takes up to %d",
			   COMPUTE_MAX_LOGIT_BIAS, n, quoted, COMPUTE_MAX_LOGIT_BIAS);
	struct hokku_logit_bias *bias = realloc(r->bias, (r->sampling.n_bias + n) * sizeof *bias);
	if (!bias)
		return field_no_memory(err);
	r->sampling.bias = r->bias = bias;
	for (size_t i = 0; i < n; i++)
		bias[r->sampling.n_bias++] = (struct hokku_logit_bias){ids[i], t->bias};
	return HOKKU_OK;
}

static enum hokku_code check_ids(const char *name, const int32_t *ids, uint32_t n, uint32_t n_vocab,
				 struct request_error *err)
{
	for (uint32_t i = 0; i < n; i++)
		if ((uint32_t)ids[i] >= n_vocab)
			return bad(err, name,
				   "names token %" PRId32 "; this model's token ids run from 0 to %" PRIu32,
				   ids[i], n_vocab - 1);
	return HOKKU_OK;
}

static enum hokku_code find_bad_words(struct gen_request *r, const struct tok *tok, struct request_error *err)
{
	char field[64];
	for (uint32_t i = 0; i < r->n_bad_words; i++) {
		enum hokku_code rc = words_ban(tok, r->bad_words[i], &r->bad_ids, &err->error);
		snprintf(field, sizeof field, "bad_words[%" PRIu32 "]", i);
		if (rc)
			return rc == HOKKU_INVALID_REQUEST ? field_blame(err, field) : rc;
		if (r->bad_ids.n > RULES_MAX_BAD_IDS)
			return bad(err, "bad_words", "have more than %d tokens in all", RULES_MAX_BAD_IDS);
	}
	r->rules.bad_words = r->bad_ids.ids;
	r->rules.n_bad_ids = (uint32_t)r->bad_ids.n;
	return HOKKU_OK;
}

enum hokku_code request_find_words(struct gen_request *r, const struct tok *tok, struct request_error *err)
{
	uint32_t n_vocab = tok_n_vocab(tok);
	enum hokku_code rc = HOKKU_OK;
	for (uint32_t i = 0; i < r->n_bias_texts && !rc; i++)
		rc = find_bias_text(r, &r->bias_texts[i], tok, err);
	for (uint32_t i = 0; i < r->sampling.n_bias && !rc; i++)
		rc = check_ids("logit_bias", &r->bias[i].token, 1, n_vocab, err);
	if (!rc)
		rc = check_ids("stop_token_ids", r->stop_tokens, r->rules.n_stop_tokens, n_vocab, err);
	if (!rc)
		rc = check_ids("allowed_token_ids", r->allowed_tokens, r->rules.n_allowed, n_vocab, err);
	return rc ? rc : find_bad_words(r, tok, err);
}
