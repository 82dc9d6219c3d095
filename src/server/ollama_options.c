/*
 * The options of Ollama's requests. Those that draw tokens are this server's own under other names; those of
 * how a model is run have no effect on an answer here, which is told; a value that would change the answer in
 * a way that is not done here is refused.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "server/ollama.h"

struct option;
typedef enum hokku_code option_take(struct gen_request *r, const struct option *o, const struct jv *v,
				    struct request_error *err);

struct option {
	const char *name, *full; /* full: for messages */
	option_take *take;
	const char *sampling; /* its name in sampling_fields, where there is such a field; NULL: never is */
	double neutral;       /* of what is not done: the value that asks for nothing */
};

static const struct sampling_field *find_sampling(const char *name)
{
	for (size_t i = 0; name && i < n_sampling_fields; i++)
		if (strcmp(sampling_fields[i].name, name) == 0)
			return &sampling_fields[i];
	return NULL;
}

static enum hokku_code take_own(struct gen_request *r, const struct option *o, const struct jv *v,
				struct request_error *err)
{
	struct sampling_field field = *find_sampling(o->sampling);
	field.name = o->full;
	return field_sampling(r, &field, v, err);
}

/* A stage that this server may not have. */
static enum hokku_code take_neutral(struct gen_request *r, const struct option *o, const struct jv *v,
				    struct request_error *err)
{
	char found[96];
	(void)r;
	if (field_number(v) == o->neutral)
		return HOKKU_OK;
	return bad(err, o->full,
		   "is %s; this server takes %g alone, which asks for nothing: it has no such stage",
		   field_describe(v, found), o->neutral);
}

/* 0 and less: all tokens. */
static enum hokku_code take_top_k(struct gen_request *r, const struct option *o, const struct jv *v,
				  struct request_error *err)
{
	int64_t n;
	if (!field_whole(v, &n) || n >= 0 || n < INT32_MIN)
		return take_own(r, o, v, err);
	r->sampling.top_k = 0;
	return HOKKU_OK;
}

/* 0: the likeliest token alone, which the least number above it is too. */
static enum hokku_code take_top_p(struct gen_request *r, const struct option *o, const struct jv *v,
				  struct request_error *err)
{
	if (field_number(v) != 0)
		return take_own(r, o, v, err);
	r->sampling.top_p = FLT_MIN;
	return HOKKU_OK;
}

/* -1: a seed is drawn. */
static enum hokku_code take_seed(struct gen_request *r, const struct option *o, const struct jv *v,
				 struct request_error *err)
{
	char found[96];
	int64_t n;
	if (!field_whole(v, &n) || n < -1)
		return bad(err, o->full, "is %s; it takes a whole number from -1, which draws one, to %lld",
			   field_describe(v, found), (long long)INT64_MAX);
	r->has_seed = n >= 0;
	r->sampling.seed = n >= 0 ? (uint64_t)n : 0;
	return HOKKU_OK;
}

/* -1: until the model ends, -2: until the context is full; both end where either comes first. */
static enum hokku_code take_predict(struct gen_request *r, const struct option *o, const struct jv *v,
				    struct request_error *err)
{
	char found[96];
	int64_t n;
	if (!field_whole(v, &n) || n < -2 || n == 0 || n > INT32_MAX)
		return bad(err, o->full, "is %s; it takes a whole number from 1 to %d, -1 or -2",
			   field_describe(v, found), INT32_MAX);
	r->max_tokens = n > 0 ? (uint32_t)n : 0;
	return HOKKU_OK;
}

static enum hokku_code take_stop(struct gen_request *r, const struct option *o, const struct jv *v,
				 struct request_error *err)
{
	return field_stop(r, o->full, v, err);
}

/* Whether there is as much is asked where that is known. */
static enum hokku_code take_ctx(struct gen_request *r, const struct option *o, const struct jv *v,
				struct request_error *err)
{
	char found[96];
	int64_t n;
	(void)r;
	if (field_whole(v, &n) && n >= 1 && n <= INT32_MAX)
		return HOKKU_OK;
	return bad(err, o->full, "is %s; it takes a whole number from 1 to %d", field_describe(v, found),
		   INT32_MAX);
}

static void warn_no_effect(struct gen_request *r, const char *name)
{
	char text[128];
	snprintf(text, sizeof text, "%s has no effect here", name);
	field_warn(&r->warnings, text);
}

static enum hokku_code pass_number(struct gen_request *r, const struct option *o, const struct jv *v,
				   struct request_error *err)
{
	char found[96];
	if (!jv_is(v, JV_NUMBER))
		return bad(err, o->full, "is %s; it takes a number", field_describe(v, found));
	warn_no_effect(r, o->full);
	return HOKKU_OK;
}

static enum hokku_code pass_switch(struct gen_request *r, const struct option *o, const struct jv *v,
				   struct request_error *err)
{
	bool on;
	enum hokku_code rc = field_bool(o->full, v, &on, err);
	if (!rc)
		warn_no_effect(r, o->full);
	return rc;
}

/* A switch that must stand as it does here; neutral: how. */
static enum hokku_code take_fixed(struct gen_request *r, const struct option *o, const struct jv *v,
				  struct request_error *err)
{
	bool on;
	(void)r;
	enum hokku_code rc = field_bool(o->full, v, &on, err);
	if (!rc && on != (o->neutral != 0))
		return bad(err, o->full, "is %s; this server takes %s alone", on ? "true" : "false",
			   on ? "false" : "true");
	return rc;
}

#define OPTION(name, take, ...)                          \
	{                                                \
		name, "options." name, take, __VA_ARGS__ \
	}

static const struct option options[] = {
	/* clang-format off */
	OPTION("temperature", take_own, "temperature", 0),
	OPTION("top_k", take_top_k, "top_k", 0),
	OPTION("top_p", take_top_p, "top_p", 0),
	OPTION("min_p", take_own, "min_p", 0),
	OPTION("repeat_penalty", take_own, "repetition_penalty", 0),
	OPTION("presence_penalty", take_own, "presence_penalty", 0),
	OPTION("frequency_penalty", take_own, "frequency_penalty", 0),
	OPTION("repeat_last_n", take_own, "repeat_last_n", 0),
	OPTION("typical_p", take_own, "typical_p", 0),
	OPTION("tfs_z", take_neutral, NULL, 1),
	OPTION("mirostat", take_own, "mirostat", 0),
	OPTION("mirostat_tau", take_own, "mirostat_tau", 0),
	OPTION("mirostat_eta", take_own, "mirostat_eta", 0),
	OPTION("penalize_newline", take_fixed, NULL, 1),
	OPTION("seed", take_seed, NULL, 0),
	OPTION("num_predict", take_predict, NULL, 0),
	OPTION("stop", take_stop, NULL, 0),
	OPTION("num_ctx", take_ctx, NULL, 0),
	/* How the model is run, and what becomes of a context that is full: nothing is dropped from it here. */
	OPTION("num_keep", pass_number, NULL, 0),
	OPTION("num_batch", pass_number, NULL, 0),
	OPTION("num_gpu", pass_number, NULL, 0),
	OPTION("main_gpu", pass_number, NULL, 0),
	OPTION("num_thread", pass_number, NULL, 0),
	OPTION("num_gqa", pass_number, NULL, 0),
	OPTION("draft_num_predict", pass_number, NULL, 0),
	OPTION("numa", pass_switch, NULL, 0),
	OPTION("low_vram", pass_switch, NULL, 0),
	OPTION("f16_kv", pass_switch, NULL, 0),
	OPTION("logits_all", pass_switch, NULL, 0),
	OPTION("use_mmap", pass_switch, NULL, 0),
	OPTION("use_mlock", pass_switch, NULL, 0),
	OPTION("vocab_only", take_fixed, NULL, 0),
	OPTION("embedding_only", take_fixed, NULL, 0),
	/* clang-format on */
};
enum { N_OPTIONS = sizeof options / sizeof *options };

const char *ollama_option_name(size_t i)
{
	return i < N_OPTIONS ? options[i].name : NULL;
}

static enum hokku_code refuse_unknown(struct str key, struct request_error *err)
{
	const char *names[N_OPTIONS + 1] = {0};
	char field[64];
	for (size_t i = 0; i < N_OPTIONS; i++)
		names[i] = options[i].name;
	const char *near = str_nearest(key.ptr, names);
	snprintf(field, sizeof field, "options.%.50s", key.ptr);
	field[utf8_valid_prefix(field, strlen(field))] = '\0'; /* it may be cut */
	if (near)
		return bad(err, field, "is no option that this server knows; did you mean \"%s\"?", near);
	return bad(err, field, "is no option that this server knows");
}

enum hokku_code ollama_options(struct gen_request *r, const char *name, const struct jv *v,
			       struct request_error *err)
{
	char found[96];
	if (!jv_is(v, JV_OBJECT))
		return bad(err, name, "is %s; it takes an object of options", field_describe(v, found));
	for (uint32_t i = 0; i < v->n; i++) {
		const struct option *o = options;
		while (o < options + N_OPTIONS && !str_eq_c(jv_key(v, i), o->name))
			o++;
		if (o == options + N_OPTIONS)
			return refuse_unknown(jv_key(v, i), err);
		enum hokku_code rc = jv_none(jv_value(v, i)) ? HOKKU_OK : o->take(r, o, jv_value(v, i), err);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}
