/* How POST /completion and /infill answer: one object, or a stream of them, the last with all that there is
 * to tell. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "server/llama.h"

static const char *stop_type(const struct answer_start *s, const struct answer_end *e)
{
	if (s->no_answer)
		return "limit";
	switch (e->stop) {
	case HOKKU_STOP_END:
		return "eos";
	case HOKKU_STOP_STOP:
		return e->stop_text.ptr ? "word" : "eos"; /* a token that the request named */
	default:
		return "limit";
	}
}

/* A sample's own prompt. */
static struct tok_ids prompt_of(const struct answer_start *s, uint32_t sample)
{
	struct tok_ids ids = s->prompt_ids ? *s->prompt_ids : (struct tok_ids){0};
	if (!s->prompts)
		return ids;
	const struct prepare_prompt *p = &s->prompts[sample / s->n_each];
	return (struct tok_ids){ids.n ? ids.ids + p->first : NULL, ids.n ? p->n : 0, 0};
}

static uint32_t prompt_tokens(const struct answer_start *s, uint32_t sample)
{
	return s->prompts ? (uint32_t)s->prompts[sample / s->n_each].n : s->prompt_tokens;
}

/* "prompt_n":.., "prompt_ms":.. and the like of n tokens, of which `timed` fell into ms. Rates are those of
 * the milliseconds as they are written. */
static void add_pace(struct strbuf *b, const char *name, uint32_t n, uint32_t timed, double ms)
{
	ms = round(ms * 1e6) / 1e6;
	strbuf_addf(b,
		    "\"%s_n\":%" PRIu32 ",\"%s_ms\":%.12g,\"%s_per_token_ms\":%.12g,\"%s_per_second\":%.12g",
		    name, n, name, ms, name, timed ? ms / timed : 0, name, ms > 0 ? timed / ms * 1000 : 0);
}

static void add_timings(struct strbuf *b, const struct answer_start *s, const struct answer_end *e)
{
	strbuf_addf(b, "\"timings\":{\"cache_n\":%" PRIu32 ",", e->cached_tokens);
	uint32_t n = prompt_tokens(s, e->sample) - e->cached_tokens;
	add_pace(b, "prompt", n, n, e->prefill_ms);
	strbuf_add_c(b, ",");
	/* The first is drawn with the prompt. */
	add_pace(b, "predicted", e->tokens_out, e->tokens_out ? e->tokens_out - 1 : 0, e->decode_ms);
	strbuf_add_c(b, "}");
}

/* The text of ids as a JSON string. */
static void add_text(struct strbuf *b, const struct tok *tok, const struct tok_ids *ids)
{
	struct strbuf text = {0};
	for (size_t i = 0; ids && i < ids->n; i++) {
		struct str bytes = tok_bytes(tok, ids->ids[i]);
		strbuf_add(&text, bytes.ptr, bytes.len);
	}
	strbuf_add_json(b, text.ptr ? text.ptr : "", text.len);
	b->failed = b->failed || text.failed;
	strbuf_free(&text);
}

static bool has_line_end(const struct tok *tok, const struct tok_ids *ids)
{
	for (size_t i = 0; ids && i < ids->n; i++) {
		struct str bytes = tok_bytes(tok, ids->ids[i]);
		if (bytes.len && memchr(bytes.ptr, '\n', bytes.len))
			return true;
	}
	return false;
}

static void add_ids(struct strbuf *b, const struct tok_ids *ids)
{
	strbuf_add_c(b, "[");
	for (size_t i = 0; ids && i < ids->n; i++)
		strbuf_addf(b, "%s%" PRId32, i ? "," : "", ids->ids[i]);
	strbuf_add_c(b, "]");
}

/* All that is told of a sample; text and ids are those that this object brings. */
static void add_members(struct strbuf *b, const struct answer_start *s, const struct answer_end *e,
			struct str text, const struct tok_ids *ids)
{
	const struct gen_request *r = s->request;
	const struct tok_ids prompt = prompt_of(s, e->sample);
	const char *type = stop_type(s, e);
	struct str word = strcmp(type, "word") == 0 ? e->stop_text : (struct str){"", 0};
	strbuf_addf(b, "{\"index\":%" PRIu32 ",\"content\":", e->sample);
	strbuf_add_json(b, text.ptr ? text.ptr : "", text.len);
	strbuf_add_c(b, ",\"tokens\":");
	add_ids(b, ids);
	strbuf_addf(b, ",\"id_slot\":%" PRIu32 ",\"stop\":true,\"id\":", s->slot);
	answer_text(b, s->id);
	strbuf_add_c(b, ",\"model\":");
	answer_text(b, s->asked_model ? s->asked_model : s->model);
	strbuf_addf(b, ",\"tokens_predicted\":%" PRIu32 ",\"tokens_evaluated\":%" PRIu32, e->tokens_out,
		    prompt_tokens(s, e->sample));
	strbuf_add_c(b, ",\"generation_settings\":{");
	llama_settings(b, s->sampling, r);
	strbuf_add_c(b, "},\"prompt\":");
	add_text(b, s->tok, &prompt);
	strbuf_addf(b, ",\"has_new_line\":%s,\"truncated\":false,\"stop_type\":\"%s\",\"stopping_word\":",
		    has_line_end(s->tok, e->ids) ? "true" : "false", type);
	strbuf_add_json(b, word.ptr, word.len);
	strbuf_addf(b, ",\"tokens_cached\":%" PRIu32 ",", e->cached_tokens);
	add_timings(b, s, e);
	answer_warnings(b, s);
}

/* The value that "timings/prompt_n" names; NULL: there is none. */
static const struct jv *find(const struct jv *v, const char *path)
{
	while (v) {
		size_t n = strcspn(path, "/");
		v = jv_get_str(v, (struct str){path, n});
		if (!path[n])
			return v;
		path += n + 1;
	}
	return NULL;
}

/* Of a whole object those members that were asked for, each under the name by which it was. */
static void pick(struct strbuf *b, const struct strbuf *whole, const struct strbuf *fields)
{
	struct jv_doc doc;
	size_t n = 0;
	if (whole->failed || jv_parse((struct str){whole->ptr, whole->len}, JV_STRICT, &doc, NULL)) {
		b->failed = true;
		return;
	}
	strbuf_add_c(b, "{");
	for (const char *name = fields->ptr, *end = name + fields->len; name < end;
	     name += strlen(name) + 1) {
		const struct jv *v = find(&doc.root, name);
		if (!v)
			continue;
		strbuf_add_c(b, n++ ? "," : "");
		answer_text(b, name);
		strbuf_add_c(b, ":");
		jv_write(v, b);
	}
	strbuf_add_c(b, "}");
	jv_doc_free(&doc);
}

static void add_final(struct strbuf *b, const struct answer_start *s, const struct answer_sample *sample,
		      bool whole)
{
	const struct llama_fields *f = &s->request->llama;
	struct strbuf own = {0}, *to = f->fields.len ? &own : b;
	add_members(to, s, &sample->end, sample->text, whole && f->return_tokens ? sample->end.ids : NULL);
	if (whole && s->logprobs) {
		strbuf_add_c(to, ",\"completion_probabilities\":[");
		strbuf_add(to, sample->logprobs_json.ptr, sample->logprobs_json.len);
		strbuf_add_c(to, "]");
	}
	strbuf_add_c(to, "}");
	if (f->fields.len)
		pick(b, &own, &f->fields);
	strbuf_free(&own);
}

static void started(struct strbuf *b, const struct answer_start *start, uint32_t sample, bool first)
{
	(void)b;
	(void)start;
	(void)sample;
	(void)first;
}

/* A token with its chance after all stages. */
static void add_chance(struct strbuf *b, const struct tok *tok, int32_t id, float prob)
{
	struct str bytes = tok_bytes(tok, id);
	strbuf_addf(b, "{\"id\":%" PRId32 ",\"token\":", id);
	strbuf_add_json(b, bytes.ptr, bytes.len);
	strbuf_add_c(b, ",\"bytes\":[");
	for (size_t i = 0; i < bytes.len; i++)
		strbuf_addf(b, "%s%u", i ? "," : "", (unsigned char)bytes.ptr[i]);
	strbuf_add_c(b, "],\"prob\":");
	answer_float(b, prob);
}

static void logprobs(struct strbuf *b, const struct answer_start *s, const struct answer_token *t)
{
	const struct token_logprobs *l = t->logprobs;
	if (!s->request->llama.post_probs) {
		answer_logprobs(b, s->tok, t, true);
		return;
	}
	add_chance(b, s->tok, t->token, l->logprob);
	strbuf_add_c(b, ",\"top_probs\":[");
	for (uint32_t i = 0; i < l->n_top; i++) {
		strbuf_add_c(b, i ? "," : "");
		add_chance(b, s->tok, l->top[i].token, l->top[i].logprob);
		strbuf_add_c(b, "}");
	}
	strbuf_add_c(b, "]}");
}

static void token(struct strbuf *b, const struct answer_start *s, const struct answer_token *t)
{
	/* Text that an end token sets free has no token of its own. */
	const struct tok_ids one = {(int32_t[]){t->token}, !tok_is_end(s->tok, t->token), 1};
	strbuf_addf(b, "data: {\"index\":%" PRIu32 ",\"content\":", t->sample);
	strbuf_add_json(b, t->text.ptr, t->text.len);
	strbuf_add_c(b, ",\"tokens\":");
	add_ids(b, &one);
	strbuf_addf(b,
		    ",\"stop\":false,\"id_slot\":%" PRIu32 ",\"tokens_predicted\":%" PRIu32
		    ",\"tokens_evaluated\":%" PRIu32,
		    s->slot, t->index + (uint32_t)one.n, prompt_tokens(s, t->sample));
	if (t->logprobs) {
		strbuf_add_c(b, ",\"completion_probabilities\":[");
		logprobs(b, s, t);
		strbuf_add_c(b, "]");
	}
	strbuf_add_c(b, "}\n\n");
}

static void end(struct strbuf *b, const struct answer_start *start, const struct answer_end *end)
{
	const struct answer_sample sample = {.end = *end};
	strbuf_add_c(b, "data: ");
	add_final(b, start, &sample, false);
	strbuf_add_c(b, "\n\n");
}

static void failed(struct strbuf *b, enum hokku_code code, const char *message)
{
	strbuf_add_c(b, "data: ");
	llama_error_body(b, code, message, NULL);
	strbuf_add_c(b, "\n");
}

static void whole(struct strbuf *b, const struct answer_start *start, const struct answer_sample *samples)
{
	strbuf_add_c(b, start->n > 1 ? "[" : "");
	for (uint32_t i = 0; i < start->n; i++) {
		strbuf_add_c(b, i ? "," : "");
		add_final(b, start, &samples[i], true);
	}
	strbuf_add_c(b, start->n > 1 ? "]\n" : "\n");
}

#define COMPLETION_API(form_)                                                                                \
	{                                                                                                    \
		.id_prefix = "cmpl-", .form = &(form_), .keep_alive = answer_keep_alive, .started = started, \
		.token = token, .end = end, .failed = failed, .whole = whole, .logprobs = logprobs,          \
		.error = llama_error_body, .too_long = llama_too_long                                        \
	}
const struct api api_llama_completion = COMPLETION_API(request_llama_completion);
const struct api api_llama_infill = COMPLETION_API(request_llama_infill);
