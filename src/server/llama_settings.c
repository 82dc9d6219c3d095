/* llama-server's defaults, and what its generation_settings tell. */
#include <inttypes.h>
#include <math.h>

#include "server/llama.h"

/* As its documentation has them; penalties and the like are neutral there as here. */
const struct sampling_default llama_sampling[] = {
	{"temperature", 0.8}, {"top_k", 40},         {"top_p", 0.95},
	{"min_p", 0.05},      {"repeat_last_n", 64}, {NULL, 0},
};

/* The fields that it has under another name. */
static const char *llama_name(const char *name)
{
	return strcmp(name, "repetition_penalty") == 0 ? "repeat_penalty" : name;
}

/* Its others, as they are where a sampler does nothing. */
static void add_neutral(struct strbuf *b)
{
	strbuf_add_c(b, ",\"adaptive_target\":-1,\"adaptive_decay\":0.9,\"min_keep\":0");
}

static void add_fields(struct strbuf *b, const struct sampling *s)
{
	for (size_t i = 0; i < n_sampling_fields; i++) {
		const struct sampling_field *f = &sampling_fields[i];
		strbuf_addf(b, ",\"%s\":", llama_name(f->name));
		answer_sampling_value(b, s, f);
	}
	add_neutral(b);
}

static void add_bias(struct strbuf *b, const struct sampling *s)
{
	strbuf_add_c(b, ",\"logit_bias\":[");
	for (uint32_t i = 0; i < s->n_bias; i++) {
		strbuf_addf(b, "%s{\"token\":%" PRId32 ",\"bias\":", i ? "," : "", s->bias[i].token);
		if (isfinite(s->bias[i].bias))
			answer_float(b, s->bias[i].bias);
		else
			strbuf_add_c(b, "null"); /* as its JSON has minus infinity */
		strbuf_add_c(b, "}");
	}
	strbuf_add_c(b, "]");
}

static void add_stop(struct strbuf *b, const struct gen_request *r)
{
	strbuf_add_c(b, ",\"stop\":[");
	for (uint32_t i = 0; i < r->n_stop; i++) {
		strbuf_add_c(b, i ? "," : "");
		strbuf_add_json(b, r->stop[i].ptr, r->stop[i].len);
	}
	strbuf_add_c(b, "]");
}

/* Those that run, in the order in which they do. */
static void add_samplers(struct strbuf *b, const struct gen_request *r)
{
	static const char *const order[] = {"dry",   "penalties", "top_n_sigma", "temperature", "top_k",
					    "typ_p", "top_p",     "min_p",       "xtc"};
	bool any = false;
	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		if (r && !llama_has_sampler(r, order[i]))
			continue;
		strbuf_addf(b, "%s\"%s\"", any ? "," : "", order[i]);
		any = true;
	}
}

void llama_settings(struct strbuf *b, const struct sampling *sampling, const struct gen_request *r)
{
	int64_t most = !r || (!r->max_tokens && !r->no_answer) ? -1
		       : r->no_answer                          ? 0
							       : (int64_t)r->max_tokens;
	strbuf_add_c(b, "\"seed\":");
	if (r)
		answer_seed(b, r->sampling.seed);
	else
		strbuf_add_c(b, "4294967295"); /* as it says that one is drawn for each request */
	add_fields(b, sampling);
	strbuf_addf(b, ",\"max_tokens\":%" PRId64 ",\"n_predict\":%" PRId64 ",\"n_keep\":0,\"n_discard\":0",
		    most, most);
	if (r) {
		add_stop(b, r);
		add_bias(b, sampling);
		strbuf_addf(b, ",\"ignore_eos\":%s,\"stream\":%s,\"n_probs\":%" PRIu32,
			    r->rules.ignore_eos ? "true" : "false", r->stream ? "true" : "false",
			    r->logprobs ? r->n_top : 0);
	}
	strbuf_addf(b, ",\"post_sampling_probs\":%s,\"samplers\":[",
		    r && r->llama.post_probs ? "true" : "false");
	add_samplers(b, r);
	strbuf_add_c(b, "],\"lora\":[]");
}
