/*
 * POST /completion and /infill: llama-server's fields. A field is done, or has no effect on an answer here
 * (told as a warning), or is refused by name where its value asks for what is not done. Samplers that the
 * engine's table has are taken by it; the others may have the value at which they do nothing.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/field.h"
#include "server/llama.h"

static const struct sampling_field *find_sampling(const char *name)
{
	for (size_t i = 0; i < n_sampling_fields; i++)
		if (strcmp(sampling_fields[i].name, name) == 0)
			return &sampling_fields[i];
	return NULL;
}

static void warn(struct gen_request *r, const char *name, const char *text)
{
	char told[256];
	snprintf(told, sizeof told, "%s %s", name, text);
	field_warn(&r->warnings, told);
}

static enum hokku_code take_model(struct gen_request *r, const char *name, const struct jv *v,
				  struct request_error *err)
{
	char found[96];
	struct str s = jv_str(v);
	if (!jv_is(v, JV_STRING) || s.len > REQUEST_MAX_MODEL_BYTES)
		return bad(err, name, "is %s; it takes a string of up to %d bytes", field_describe(v, found),
			   REQUEST_MAX_MODEL_BYTES);
	free(r->model);
	r->model = s.len ? strndup(s.ptr, s.len) : NULL;
	return s.len && !r->model ? field_no_memory(err) : HOKKU_OK;
}

static enum hokku_code pass_over(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	(void)v;
	(void)err;
	warn(r, name, "has no effect here");
	return HOKKU_OK;
}

/* ---- the prompt ---- */

static bool is_one(const struct jv *v)
{
	for (size_t i = 0; i < jv_len(v); i++)
		if (jv_is(jv_at(v, i), JV_NUMBER))
			return true;
	return false;
}

/* {"prompt_string": ...}: its text. */
static enum hokku_code unwrap(const struct jv **v, const char *name, struct request_error *err)
{
	char found[96];
	const struct jv *text = jv_get(*v, "prompt_string");
	if (!jv_none(jv_get(*v, "multimodal_data")))
		return bad(err, name, "has multimodal_data; this server reads text");
	if (!jv_is(text, JV_STRING))
		return bad(err, name, "has the prompt_string %s; it takes a string",
			   jv_text(text, found, sizeof found));
	*v = text;
	return HOKKU_OK;
}

/* What one prompt may be; *v becomes the text or the array. */
static enum hokku_code check_one(const struct jv **v, const char *name, struct request_error *err)
{
	enum hokku_code rc = jv_is(*v, JV_OBJECT) ? unwrap(v, name, err) : HOKKU_OK;
	return rc ? rc : llama_check_prompt(name, *v, err);
}

/* An array without numbers is one of prompts. */
static enum hokku_code take_prompt(struct gen_request *r, const char *name, const struct jv *v,
				   struct request_error *err)
{
	char field[64];
	enum hokku_code rc = HOKKU_OK;
	r->llama.prompt = v;
	r->n_encoded = 1;
	if (!jv_is(v, JV_ARRAY) || is_one(v))
		return check_one(&v, name, err);
	size_t n = jv_len(v);
	if (n < 1 || n > REQUEST_MAX_PROMPTS)
		return bad(err, name, "has %zu prompts; it takes 1 to %d", n, REQUEST_MAX_PROMPTS);
	for (size_t i = 0; i < n && !rc; i++) {
		const struct jv *one = jv_at(v, i);
		snprintf(field, sizeof field, "%s[%zu]", name, i);
		rc = check_one(&one, field, err);
	}
	r->n_encoded = (uint32_t)n;
	return rc;
}

static enum hokku_code encode_prompt(struct gen_request *r, const struct tok *tok, uint32_t index,
				     struct tok_ids *out, struct request_error *err)
{
	const struct jv *v = r->llama.prompt;
	char name[64] = "prompt";
	if (jv_is(v, JV_ARRAY) && !is_one(v)) {
		v = jv_at(v, index);
		snprintf(name, sizeof name, "prompt[%u]", index);
	}
	enum hokku_code rc = check_one(&v, name, err);
	return rc ? rc : llama_encode(tok, v, name, TOK_ADD_BOS | TOK_PARSE_SPECIAL, out, err);
}

/* ---- how long ---- */

static enum hokku_code take_n_predict(struct gen_request *r, const char *name, const struct jv *v,
				      struct request_error *err)
{
	char found[96];
	int64_t n;
	if (!field_whole(v, &n) || n < -1 || n > INT32_MAX)
		return bad(err, name, "is %s; it takes a whole number from -1 (no limit) to %d",
			   field_describe(v, found), INT32_MAX);
	/* For none at all the first is drawn and not told. */
	r->no_answer = n == 0;
	r->max_tokens = n < 0 ? 0 : n == 0 ? 1 : (uint32_t)n;
	return HOKKU_OK;
}

/* 4294967295 is its -1 in 32 bits. */
static enum hokku_code take_seed(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	int64_t n;
	if (field_whole(v, &n) && (n == -1 || n == UINT32_MAX))
		return HOKKU_OK;
	return field_seed(r, name, v, err);
}

/* Texts that are empty are none. */
static enum hokku_code take_stop(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	r->n_stop = 0;
	if (!jv_is(v, JV_ARRAY))
		return jv_is(v, JV_STRING) && v->n == 0 ? HOKKU_OK : field_stop(r, name, v, err);
	for (size_t i = 0; i < jv_len(v); i++) {
		const struct jv *item = jv_at(v, i);
		char field[64];
		snprintf(field, sizeof field, "%s[%zu]", name, i);
		if (jv_is(item, JV_STRING) && item->n == 0)
			continue;
		if (r->n_stop == ENGINE_MAX_STOP)
			return bad(err, name, "has more than %d strings; it takes up to so many",
				   ENGINE_MAX_STOP);
		if (!jv_is(item, JV_STRING)) {
			char found[96];
			return bad(err, field, "is %s; it takes a string", field_describe(item, found));
		}
		enum hokku_code rc = field_stop(r, field, item, err);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

/* ---- sampling ---- */

/* Values that it takes for a neutral one are that here, and told. */
static enum hokku_code take_number(struct gen_request *r, const struct sampling_field *f, const char *name,
				   const struct jv *v, struct request_error *err)
{
	static const struct {
		const char *name;
		double least; /* what is less is taken for */
		double taken;
	} rows[] = {
		{"temperature", 0, 0},    {"top_k", 0, 0},           {"min_p", 0, 0},
		{"top_p", FLT_MIN, 0}, /* the likeliest token alone */
		{"top_n_sigma", 0, 0},    {"xtc_probability", 0, 0}, {"dynatemp_range", 0, 0},
		{"dry_multiplier", 0, 0}, {"dry_base", 1, 1.75},     {"dry_allowed_length", 1, 1},
	};
	double x = field_number(v);
	struct sampling_field named = *f;
	named.name = name;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (strcmp(rows[i].name, f->name) != 0 || !(x < rows[i].least))
			continue;
		if (f->kind == SAMPLING_INT)
			*(int32_t *)((char *)&r->sampling + f->offset) = (int32_t)rows[i].taken;
		else
			*(float *)((char *)&r->sampling + f->offset) =
				f->min_open ? FLT_MIN : (float)rows[i].taken;
		return HOKKU_OK;
	}
	return field_sampling(r, &named, v, err);
}

static enum hokku_code take_known(struct gen_request *r, const char *name, const struct jv *v,
				  struct request_error *err)
{
	return take_number(r, find_sampling(name), name, v, err);
}

static enum hokku_code take_repeat_penalty(struct gen_request *r, const char *name, const struct jv *v,
					   struct request_error *err)
{
	return take_number(r, find_sampling("repetition_penalty"), name, v, err);
}

/* Samplers of its own. */
static enum hokku_code take_other(struct gen_request *r, const char *name, const struct jv *v,
				  struct request_error *err)
{
	static const struct {
		const char *name;
		double from, to; /* does nothing; NaN: never does anything alone */
	} rows[] = {
		{"adaptive_target", -INFINITY, -FLT_MIN},
		{"adaptive_decay", (double)NAN, 0},
		{"min_keep", 0, 1},
	};
	char found[96];
	size_t i = 0;
	(void)r;
	while (strcmp(rows[i].name, name) != 0)
		i++;
	double x = field_number(v);
	if (isnan(x))
		return bad(err, name, "is %s; it takes a number", field_describe(v, found));
	if (isnan(rows[i].from) || (x >= rows[i].from && x <= rows[i].to))
		return HOKKU_OK;
	return bad(err, name, "is %s: there is no such sampler here; leave it out", field_describe(v, found));
}

/* Those that are not named do nothing. The order of those that are is this engine's own. */
static const struct {
	const char *name; /* its own */
	char letter;
	const char *fields[4]; /* of the table; those that there are */
	double neutral;
} samplers[] = {
	{"penalties", 'e', {"repetition_penalty", NULL}, 1},
	{"penalties", 'e', {"frequency_penalty", "presence_penalty", NULL}, 0},
	{"dry", 'd', {"dry_multiplier", NULL}, 0},
	{"top_n_sigma", 's', {"top_n_sigma", NULL}, 0},
	{"temperature", 't', {"temperature", NULL}, 1},
	{"temperature", 't', {"dynatemp_range", NULL}, 0},
	{"top_k", 'k', {"top_k", NULL}, 0},
	{"typ_p", 'y', {"typical_p", NULL}, 1},
	{"top_p", 'p', {"top_p", NULL}, 1},
	{"min_p", 'm', {"min_p", NULL}, 0},
	{"xtc", 'x', {"xtc_probability", NULL}, 0},
	{"infill", 'i', {NULL}, 0},
	{"adaptive_p", 'a', {NULL}, 0},
};
enum { N_SAMPLERS = sizeof samplers / sizeof *samplers };

/* The bit of a sampler's first row; 0: there is none of that name. */
static uint32_t sampler_bit(struct str name)
{
	static const struct {
		const char *other, *name;
	} others[] = {{"typical_p", "typ_p"},
		      {"typical", "typ_p"},
		      {"typ", "typ_p"},
		      {"temp", "temperature"},
		      {"top-k", "top_k"},
		      {"top-p", "top_p"},
		      {"min-p", "min_p"},
		      {"nucleus", "top_p"},
		      {"typical-p", "typ_p"},
		      {"top-n-sigma", "top_n_sigma"},
		      {"adaptive-p", "adaptive_p"}};
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (str_eq_c(name, others[i].other))
			name = str_c(others[i].name);
	for (size_t i = 0; i < N_SAMPLERS; i++)
		if (str_eq_c(name, samplers[i].name))
			return UINT32_C(1) << i;
	return 0;
}

bool llama_has_sampler(const struct gen_request *r, const char *name)
{
	return !r->llama.has_samplers || (r->llama.samplers & sampler_bit(str_c(name)));
}

static enum hokku_code unknown_sampler(struct str name, const char *field, struct request_error *err)
{
	char quoted[64], known[160] = "";
	size_t n = 0;
	for (size_t i = 0; i < N_SAMPLERS; i++)
		if (!i || strcmp(samplers[i].name, samplers[i - 1].name) != 0)
			n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "",
					      samplers[i].name);
	return bad(err, field, "is %s; there are %s", str_quote(name, quoted, sizeof quoted), known);
}

static enum hokku_code take_samplers(struct gen_request *r, const char *name, const struct jv *v,
				     struct request_error *err)
{
	char found[96], field[64];
	uint32_t seen = 0;
	if (!jv_is(v, JV_STRING) && !jv_is(v, JV_ARRAY))
		return bad(err, name, "is %s; it takes an array of names", field_describe(v, found));
	size_t n = jv_is(v, JV_STRING) ? v->n : jv_len(v);
	for (size_t i = 0; i < n; i++) {
		struct str one = jv_str(jv_at(v, i));
		uint32_t bit = 0;
		snprintf(field, sizeof field, "%s[%zu]", name, i);
		if (jv_is(v, JV_STRING)) {
			one = (struct str){v->text + i, 1};
			for (size_t k = N_SAMPLERS; k-- > 0;)
				bit = samplers[k].letter == v->text[i] ? UINT32_C(1) << k : bit;
		} else if (jv_is(jv_at(v, i), JV_STRING)) {
			bit = sampler_bit(one);
		} else {
			return bad(err, field, "is %s; it takes a string",
				   field_describe(jv_at(v, i), found));
		}
		if (!bit)
			return unknown_sampler(one, field, err);
		if (seen & bit)
			return bad(err, field, "is there twice; a sampler runs once here");
		seen |= bit;
	}
	r->llama.samplers = seen;
	r->llama.has_samplers = true;
	return HOKKU_OK;
}

/* After all fields, whose order means nothing. */
static void drop_samplers(struct gen_request *r)
{
	bool drawn = r->sampling.temperature > 0;
	if (!r->llama.has_samplers)
		return;
	for (size_t i = 0; i < N_SAMPLERS; i++) {
		if (llama_has_sampler(r, samplers[i].name))
			continue;
		for (size_t k = 0; samplers[i].fields[k]; k++) {
			const struct sampling_field *f = find_sampling(samplers[i].fields[k]);
			if (!f)
				continue;
			if (f->kind == SAMPLING_INT)
				*(int32_t *)((char *)&r->sampling + f->offset) = (int32_t)samplers[i].neutral;
			else
				*(float *)((char *)&r->sampling + f->offset) = (float)samplers[i].neutral;
		}
	}
	if (drawn && llama_has_sampler(r, "temperature") && r->sampling.temperature != 1)
		warn(r, "samplers",
		     "says which run; they do in this server's own order, temperature before the others");
	if (llama_has_sampler(r, "infill"))
		warn(r, "samplers", "names infill, which there is none of here");
}

/* ---- what is told ---- */

static enum hokku_code take_n_probs(struct gen_request *r, const char *name, const struct jv *v,
				    struct request_error *err)
{
	enum hokku_code rc = field_top_logprobs(r, name, v, err);
	r->logprobs = r->n_top > 0;
	return rc;
}

static enum hokku_code take_post_probs(struct gen_request *r, const char *name, const struct jv *v,
				       struct request_error *err)
{
	return field_bool(name, v, &r->llama.post_probs, err);
}

static enum hokku_code take_return_tokens(struct gen_request *r, const char *name, const struct jv *v,
					  struct request_error *err)
{
	return field_bool(name, v, &r->llama.return_tokens, err);
}

static bool is_picked(const struct strbuf *fields, struct str name)
{
	for (size_t at = 0; at < fields->len; at += strlen(fields->ptr + at) + 1)
		if (str_eq_c(name, fields->ptr + at))
			return true;
	return false;
}

/* Ends with a zero byte each; one that is named twice is told once. */
static enum hokku_code take_response_fields(struct gen_request *r, const char *name, const struct jv *v,
					    struct request_error *err)
{
	char found[96], field[64];
	if (!jv_is(v, JV_ARRAY) || jv_len(v) > LLAMA_MAX_RESPONSE_FIELDS)
		return bad(err, name, "is %s; it takes an array of up to %d names", field_describe(v, found),
			   LLAMA_MAX_RESPONSE_FIELDS);
	for (size_t i = 0; i < jv_len(v); i++) {
		struct str s = jv_str(jv_at(v, i));
		snprintf(field, sizeof field, "%s[%zu]", name, i);
		if (!s.ptr || memchr(s.ptr, 0, s.len))
			return bad(err, field, "is %s; it takes a member's name",
				   field_describe(jv_at(v, i), found));
		if (is_picked(&r->llama.fields, s))
			continue;
		strbuf_add(&r->llama.fields, s.ptr, s.len);
		strbuf_add(&r->llama.fields, "", 1);
	}
	return r->llama.fields.failed ? field_no_memory(err) : HOKKU_OK;
}

/* ---- the others ---- */

static enum hokku_code take_slot(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	char found[96];
	int64_t n;
	if (!field_whole(v, &n) || n < -1 || n >= ENGINE_MAX_PARALLEL)
		return bad(err, name, "is %s; it takes a whole number from -1 (any slot) to %d",
			   field_describe(v, found), ENGINE_MAX_PARALLEL - 1);
	r->llama.slot = (int32_t)n + 1;
	return HOKKU_OK;
}

static enum hokku_code take_grammar(struct gen_request *r, const char *name, const struct jv *v,
				    struct request_error *err)
{
	return jv_is(v, JV_STRING) && v->n == 0 ? HOKKU_OK : field_grammar(r, name, v, err);
}

/* An adapter of none that there are. */
static enum hokku_code take_lora(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	char found[96];
	(void)r;
	if (jv_is(v, JV_ARRAY) && jv_len(v) == 0)
		return HOKKU_OK;
	return bad(err, name, "is %s; this server has no adapters: leave it out", field_describe(v, found));
}

/* Where it asks for what is not told. */
static enum hokku_code take_untold(struct gen_request *r, const char *name, const struct jv *v,
				   struct request_error *err)
{
	bool asked = false;
	enum hokku_code rc = field_bool(name, v, &asked, err);
	if (asked)
		warn(r, name, "has no effect here");
	return rc;
}

static enum hokku_code take_ignored_bool(struct gen_request *r, const char *name, const struct jv *v,
					 struct request_error *err)
{
	bool ignored;
	(void)r;
	return field_bool(name, v, &ignored, err);
}

#define COMPLETION_FIELDS                                                                                  \
	{"n_predict", take_n_predict}, {"max_tokens", take_n_predict},                                     \
		{"max_completion_tokens", take_n_predict}, {"n_cmpl", field_n}, {"n", field_n},            \
		{"stream", field_stream}, {"cache_prompt", field_cache_prompt},                            \
		{"cache_salt", field_cache_salt}, {"priority", field_priority}, {"id", field_id},          \
		{"stop", take_stop}, {"seed", take_seed}, {"temperature", take_known},                     \
		{"top_k", take_known}, {"top_p", take_known}, {"min_p", take_known},                       \
		{"repeat_penalty", take_repeat_penalty}, {"repeat_last_n", take_known},                    \
		{"dynatemp_range", take_known}, {"dynatemp_exponent", take_known},                         \
		{"typical_p", take_known}, {"top_n_sigma", take_known}, {"xtc_probability", take_known},   \
		{"xtc_threshold", take_known}, {"dry_multiplier", take_known}, {"dry_base", take_known},   \
		{"dry_allowed_length", take_known}, {"dry_penalty_last_n", take_known},                    \
		{"mirostat", take_known}, {"mirostat_tau", take_known}, {"mirostat_eta", take_known},      \
		{"adaptive_target", take_other}, {"adaptive_decay", take_other}, {"min_keep", take_other}, \
		{"samplers", take_samplers}, FIELDS_OF_RULES, {"n_probs", take_n_probs},                   \
		{"logprobs", take_n_probs}, {"post_sampling_probs", take_post_probs},                      \
		{"return_tokens", take_return_tokens}, {"response_fields", take_response_fields},          \
		{"id_slot", take_slot}, {"grammar", take_grammar}, {"json_schema", field_json_schema},     \
		{"lora", take_lora}, {"backend_sampling", take_ignored_bool},                              \
		{"verbose", take_ignored_bool}, {"timings_per_token", take_untold},                        \
		{"return_progress", take_untold}, {"sse_ping_interval", pass_over},                        \
		{"stream_options", pass_over}, {"n_indent", pass_over}, {"n_keep", pass_over},             \
		{"n_discard", pass_over}, {"n_cache_reuse", pass_over}, {"t_max_predict_ms", pass_over},   \
		{"t_max_prompt_ms", pass_over},                                                            \
	{                                                                                                  \
		"model", take_model                                                                        \
	}

static const struct field completion_fields[] = {{"prompt", take_prompt}, COMPLETION_FIELDS, {NULL, NULL}};

static enum hokku_code check(struct gen_request *r, struct request_error *err)
{
	drop_samplers(r);
	r->keep_ids = true;
	enum hokku_code rc = request_check_rules(r, err);
	return rc ? rc : request_check_shape(r, err);
}

static enum hokku_code check_completion(struct gen_request *r, struct str stray, struct request_error *err)
{
	(void)stray;
	if (!r->llama.prompt)
		return bad(err, "prompt",
			   "is missing; it takes a string, or an array of strings and token ids");
	return check(r, err);
}

const struct request_form request_llama_completion = {.defaults = llama_sampling,
						      .fields = completion_fields,
						      .check = check_completion,
						      .encode = encode_prompt};

/* ---- /infill ---- */

static enum hokku_code take_text(const struct jv **to, const char *name, const struct jv *v,
				 struct request_error *err)
{
	char found[96];
	if (!jv_is(v, JV_STRING))
		return bad(err, name, "is %s; it takes a string", field_describe(v, found));
	*to = v;
	return HOKKU_OK;
}

static enum hokku_code take_before(struct gen_request *r, const char *name, const struct jv *v,
				   struct request_error *err)
{
	return take_text(&r->llama.prefix, name, v, err);
}

static enum hokku_code take_after(struct gen_request *r, const char *name, const struct jv *v,
				  struct request_error *err)
{
	return take_text(&r->llama.suffix, name, v, err);
}

static enum hokku_code take_middle(struct gen_request *r, const char *name, const struct jv *v,
				   struct request_error *err)
{
	return take_text(&r->llama.prompt, name, v, err);
}

static enum hokku_code take_extra(struct gen_request *r, const char *name, const struct jv *v,
				  struct request_error *err)
{
	char found[96], field[64];
	if (!jv_is(v, JV_ARRAY))
		return bad(err, name, "is %s; it takes an array of {\"filename\": ..., \"text\": ...}",
			   field_describe(v, found));
	for (size_t i = 0; i < jv_len(v); i++) {
		const struct jv *item = jv_at(v, i), *text = jv_get(item, "text"),
				*file = jv_get(item, "filename");
		snprintf(field, sizeof field, "%s[%zu].text", name, i);
		if (!jv_is(text, JV_STRING))
			return bad(err, field, "is %s; it takes a string",
				   jv_text(text, found, sizeof found));
		snprintf(field, sizeof field, "%s[%zu].filename", name, i);
		if (file && !jv_is(file, JV_STRING))
			return bad(err, field, "is %s; it takes a string", field_describe(file, found));
	}
	r->llama.extra = v;
	return HOKKU_OK;
}

/* What is put together; names of special tokens in it are text. */
struct pieces {
	const struct tok *tok;
	struct tok_ids *out;
	struct request_error *err;
	enum hokku_code rc;
};

static void put_token(struct pieces *p, int32_t id)
{
	if (!p->rc && id >= 0)
		p->rc = tok_ids_push(p->out, id, &p->err->error);
}

static void put_text(struct pieces *p, struct str text, const char *field)
{
	if (p->rc)
		return;
	p->rc = tok_encode(p->tok, text, 0, p->out, &p->err->error);
	if (p->rc == HOKKU_INVALID_REQUEST)
		field_blame(p->err, field);
}

static void put_extra(struct pieces *p, const struct jv *item, int32_t file_mark)
{
	struct str name = jv_str(jv_get(item, "filename"));
	put_token(p, file_mark);
	if (file_mark >= 0) {
		put_text(p, name.ptr ? name : STR_LIT("tmp"), "input_extra");
		put_text(p, STR_LIT("\n"), "input_extra");
	} else {
		put_text(p, STR_LIT("\n\n--- snippet ---\n\n"), "input_extra");
	}
	put_text(p, jv_str(jv_get(item, "text")), "input_extra");
}

/* What parts one text from another ends what is written into the gap. */
static enum hokku_code stop_at_marks(struct gen_request *r, const struct tok *tok, struct request_error *err)
{
	uint32_t n = r->rules.n_stop_tokens;
	int32_t *all = realloc(r->stop_tokens, (n + TOK_N_FIM) * sizeof *all);
	if (!all)
		return field_no_memory(err);
	for (int i = 0; i < TOK_N_FIM && n < RULES_MAX_STOP_TOKENS; i++)
		if (tok_fim(tok, (enum tok_fim)i) >= 0)
			all[n++] = tok_fim(tok, (enum tok_fim)i);
	r->rules.stop_tokens = r->stop_tokens = all;
	r->rules.n_stop_tokens = n;
	return HOKKU_OK;
}

/* BOS, what is beside the file, the file around the gap: as it puts them, but that nothing is cut. */
static enum hokku_code encode_infill(struct gen_request *r, const struct tok *tok, uint32_t index,
				     struct tok_ids *out, struct request_error *err)
{
	const struct llama_fields *f = &r->llama;
	int32_t repo = tok_fim(tok, TOK_FIM_REPO), file = tok_fim(tok, TOK_FIM_FILE);
	struct pieces p = {tok, out, err, HOKKU_OK};
	(void)index;
	if (tok_fim(tok, TOK_FIM_PREFIX) < 0 || tok_fim(tok, TOK_FIM_SUFFIX) < 0 ||
	    tok_fim(tok, TOK_FIM_MIDDLE) < 0) /* of the only model the route has told it */
		return bad(
			err, "",
			"this model's vocabulary knows no text with a gap (tokenizer.ggml.fim_*_token_id)");
	p.rc = tok_encode(tok, STR_LIT(""), TOK_ADD_BOS, out, &err->error);
	put_token(&p, repo);
	if (repo >= 0)
		put_text(&p, STR_LIT("myproject\n"), "input_extra");
	for (size_t i = 0; i < jv_len(f->extra); i++)
		put_extra(&p, jv_at(f->extra, i), file);
	put_token(&p, file);
	if (file >= 0)
		put_text(&p, STR_LIT("filename\n"), "input_extra");
	put_token(&p, tok_fim(tok, TOK_FIM_PREFIX));
	put_text(&p, jv_str(f->prefix), "input_prefix");
	if (f->prompt)
		put_text(&p, jv_str(f->prompt), "prompt");
	put_token(&p, tok_fim(tok, TOK_FIM_SUFFIX));
	put_text(&p, jv_str(f->suffix), "input_suffix");
	put_token(&p, tok_fim(tok, TOK_FIM_MIDDLE));
	return p.rc ? p.rc : stop_at_marks(r, tok, err);
}

static enum hokku_code check_infill(struct gen_request *r, struct str stray, struct request_error *err)
{
	(void)stray;
	if (!r->llama.prefix || !r->llama.suffix)
		return bad(err, r->llama.prefix ? "input_suffix" : "input_prefix",
			   "is missing; it takes a string, which may be empty");
	return check(r, err);
}

static const struct field infill_fields[] = {{"input_prefix", take_before},
					     {"input_suffix", take_after},
					     {"input_extra", take_extra},
					     {"prompt", take_middle},
					     COMPLETION_FIELDS,
					     {NULL, NULL}};

const struct request_form request_llama_infill = {
	.defaults = llama_sampling, .fields = infill_fields, .check = check_infill, .encode = encode_infill};
