#include "cli/load_api.h"

#include <stdio.h>

/* Numbers that no server means would only be added up to nonsense. */
static uint32_t count_of(const struct jv *v)
{
	int64_t n;
	return jv_int(v, &n) && n >= 0 && n <= INT32_MAX ? (uint32_t)n : 0;
}

static void take_usage(struct load_answer *a, const struct jv *usage)
{
	if (!jv_is(usage, JV_OBJECT))
		return;
	a->has_usage = true;
	a->tokens_in = count_of(jv_get(usage, "prompt_tokens"));
	a->tokens_out = count_of(jv_get(usage, "completion_tokens"));
	a->tokens_cached = count_of(jv_get(jv_get(usage, "prompt_tokens_details"), "cached_tokens"));
}

/* "CODE: message", whichever of the two there is, quoted; from an object {code, message}, or a text. */
static void tell_error(const struct jv *error, char out[LOAD_ERROR_BYTES])
{
	char whole[LOAD_ERROR_BYTES];
	struct str code = jv_str(jv_get(error, "code")), text = jv_str(error);
	if (!text.ptr)
		text = jv_str(jv_get(error, "message"));
	if (!text.ptr) {
		jv_text(error, out, LOAD_ERROR_BYTES);
		return;
	}
	snprintf(whole, sizeof whole, "%.*s%s%.*s", STR_ARG(code), code.len ? ": " : "", STR_ARG(text));
	whole[utf8_valid_prefix(whole, strlen(whole))] = '\0'; /* it may be cut */
	str_quote(str_c(whole), out, LOAD_ERROR_BYTES);
}

/* {"error": ...}, or {"object": "error", "message": ...}; NULL: v is no error. */
static const struct jv *error_of(const struct jv *v)
{
	const struct jv *error = jv_get(v, "error");
	if (!jv_none(error))
		return error;
	return str_eq_c(jv_str(jv_get(v, "object")), "error") ? v : NULL;
}

static bool has_text(const struct jv *v)
{
	return jv_str(v).len > 0;
}

/* ---- hokku's own route ---- */

static void put_ids(const struct load_request *r, uint32_t request, struct strbuf *out)
{
	uint32_t n = r->plan->n_shared + plan_input(r->plan, request);
	strbuf_add(out, "[", 1);
	for (uint32_t i = 0; i < n; i++)
		strbuf_addf(out, i ? ",%u" : "%u", plan_token(r->plan, request, i, r->n_vocab));
	strbuf_add(out, "]", 1);
}

static void put_text(const struct load_request *r, uint32_t request, struct strbuf *out)
{
	uint32_t n = r->plan->n_shared + plan_input(r->plan, request);
	strbuf_add(out, "\"", 1);
	for (uint32_t i = 0; i < n; i++)
		strbuf_add_c(out, plan_word(r->plan, request, i) + (i == 0)); /* no blank before the first */
	strbuf_add(out, "\"", 1);
}

static void put_prompt(const struct load_request *r, uint32_t request, struct strbuf *out)
{
	strbuf_add_c(out, "\"prompt\":");
	(r->n_vocab ? put_ids : put_text)(r, request, out);
}

static bool take_generate(struct load_answer *a, struct str type, const struct jv *event)
{
	if (str_eq_c(type, "error"))
		tell_error(event, a->error);
	if (str_eq_c(type, "end")) {
		a->ended = true;
		take_usage(a, jv_get(event, "usage"));
	}
	return str_eq_c(type, "token"); /* each is one, also where its text is held back */
}

/* ---- OpenAI's ---- */

static void put_messages(const struct load_request *r, uint32_t request, struct strbuf *out)
{
	strbuf_add_c(out, "\"messages\":[{\"role\":\"user\",\"content\":");
	put_text(r, request, out);
	strbuf_add_c(out, "}]");
}

/* What both have: the choice, if it has one. */
static const struct jv *take_choice(struct load_answer *a, const struct jv *event)
{
	const struct jv *choice = jv_at(jv_get(event, "choices"), 0), *error = error_of(event);
	if (error)
		tell_error(error, a->error);
	take_usage(a, jv_get(event, "usage"));
	if (!jv_none(jv_get(choice, "finish_reason")))
		a->ended = true;
	return choice;
}

static bool take_completion(struct load_answer *a, struct str type, const struct jv *event)
{
	(void)type;
	return has_text(jv_get(take_choice(a, event), "text"));
}

/* The first chunk of many servers has a role and no text: that is no token yet. */
static bool take_chat(struct load_answer *a, struct str type, const struct jv *event)
{
	static const char *const texts[] = {"content", "reasoning_content", "reasoning", "refusal"};
	const struct jv *delta = jv_get(take_choice(a, event), "delta");
	(void)type;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (has_text(jv_get(delta, texts[i])))
			return true;
	return jv_len(jv_get(delta, "tool_calls")) > 0;
}

static const char usage_option[] = "\"stream_options\":{\"include_usage\":true}";

const struct load_api load_apis[] = {
	{"generate", "hokku", "/v1/generate", put_prompt, NULL, take_generate},
	{"chat", "openai-chat", "/v1/chat/completions", put_messages, usage_option, take_chat},
	{"completions", "openai", "/v1/completions", put_prompt, usage_option, take_completion},
	{0},
};

const struct load_api *load_api_find(const char *name)
{
	for (const struct load_api *api = load_apis; api->name; api++)
		if (strcmp(name, api->name) == 0 || strcmp(name, api->alias) == 0)
			return api;
	return NULL;
}

/* ---- bodies ---- */

/* Whether our member of this name goes in: not where the caller gave one. */
static bool ours(const struct load_request *r, const char *name)
{
	return !jv_get(r->more, name);
}

void load_api_body(const struct load_api *api, const struct load_request *r, uint32_t request,
		   struct strbuf *out)
{
	strbuf_add(out, "{", 1);
	api->put_prompt(r, request, out);
	if (r->model && ours(r, "model")) {
		strbuf_add_c(out, ",\"model\":");
		strbuf_add_json(out, r->model, strlen(r->model));
	}
	if (ours(r, "max_tokens"))
		strbuf_addf(out, ",\"max_tokens\":%u", plan_output(r->plan, request));
	if (ours(r, "temperature"))
		strbuf_addf(out, ",\"temperature\":%g", (double)r->temperature);
	if (r->temperature > 0 && ours(r, "seed"))
		strbuf_addf(out, ",\"seed\":%u", (uint32_t)r->plan->seed + request);
	if (r->ignore_eos && ours(r, "ignore_eos"))
		strbuf_add_c(out, ",\"ignore_eos\":true");
	if (api->usage && ours(r, "stream_options"))
		strbuf_addf(out, ",%s", api->usage);
	for (uint32_t i = 0; r->more && i < r->more->n; i++) {
		strbuf_add(out, ",", 1);
		strbuf_add_json(out, jv_key(r->more, i).ptr, jv_key(r->more, i).len);
		strbuf_add(out, ":", 1);
		jv_write(jv_value(r->more, i), out);
	}
	strbuf_add_c(out, ",\"stream\":true}");
}

/* ---- answers ---- */

bool load_api_event(const struct load_api *api, struct load_answer *a, struct str type, struct str data)
{
	struct jv_doc doc;
	struct hokku_error err;
	char quoted[80];
	if (str_eq(data, STR_LIT("[DONE]"))) {
		a->ended = true;
		return false;
	}
	if (jv_parse(data, JV_NONFINITE, &doc, &err)) {
		snprintf(a->error, sizeof a->error, "an event is no JSON: %s",
			 str_quote(data, quoted, sizeof quoted));
		return false;
	}
	bool text = api->take(a, type, &doc.root);
	a->n_events += text;
	jv_doc_free(&doc);
	return text;
}

void load_api_refusal(int status, struct str body, char out[LOAD_ERROR_BYTES])
{
	enum { PREFIX = 16 }; /* "status 503: " */
	struct jv_doc doc;
	struct hokku_error err;
	char text[LOAD_ERROR_BYTES];
	if (!jv_parse(body, JV_NONFINITE, &doc, &err)) {
		const struct jv *error = error_of(&doc.root), *detail = jv_get(&doc.root, "detail");
		if (!error)
			error = jv_none(detail) ? &doc.root : detail; /* FastAPI's */
		tell_error(error, text);
		jv_doc_free(&doc);
	} else {
		str_quote(body, text, sizeof text);
	}
	snprintf(out, LOAD_ERROR_BYTES, "status %d: %.*s", status, LOAD_ERROR_BYTES - PREFIX, text);
	out[utf8_valid_prefix(out, strlen(out))] = '\0';
}
