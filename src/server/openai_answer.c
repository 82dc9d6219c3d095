/*
 * Answers as OpenAI's clients expect them: chat.completion objects, chunks of a stream that ends with [DONE],
 * and errors. What is hokku's own (the sampling in effect, the seed, warnings) goes into a member "hokku" of
 * the whole answer, and of the chunk that ends the last sample.
 */
#include <ctype.h>
#include <inttypes.h>

#include "server/answer.h"

static const char *model_of(const struct answer_start *s)
{
	return s->asked_model ? s->asked_model : s->model;
}

static const char *finish_reason(enum hokku_stop stop)
{
	return stop == HOKKU_STOP_LENGTH || stop == HOKKU_STOP_CONTEXT ? "length" : "stop";
}

/* "id", "object", "created" and "model" of an answer or a chunk of it, without braces. */
static void add_head(struct strbuf *b, const struct answer_start *s, const char *object)
{
	strbuf_add_c(b, "\"id\":");
	answer_text(b, s->id);
	strbuf_addf(b, ",\"object\":\"%s\",\"created\":%" PRId64 ",\"model\":", object, s->created);
	answer_text(b, model_of(s));
}

static void add_own(struct strbuf *b, const struct answer_start *s)
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
	strbuf_add_c(b, ",\"warnings\":[");
	strbuf_add(b, s->warnings_json.ptr, s->warnings_json.len);
	strbuf_add_c(b, "]}");
}

/* A chunk up to its delta's members. */
static void begin_chunk(struct strbuf *b, const struct answer_start *s, uint32_t sample)
{
	strbuf_add_c(b, "data: {");
	add_head(b, s, "chat.completion.chunk");
	strbuf_addf(b, ",\"choices\":[{\"index\":%" PRIu32 ",\"delta\":{", sample);
}

/* From the delta's end on; token: whose logprobs it has, NULL: none. */
static void finish_chunk(struct strbuf *b, const struct answer_start *s, const struct answer_token *token,
			 const struct answer_end *end)
{
	strbuf_add_c(b, "},\"logprobs\":");
	if (token && token->logprobs) {
		strbuf_add_c(b, "{\"content\":[");
		answer_logprobs(b, s->tok, token, false);
		strbuf_add_c(b, "],\"refusal\":null}");
	} else {
		strbuf_add_c(b, "null");
	}
	strbuf_add_c(b, ",\"finish_reason\":");
	if (end) {
		answer_text(b, finish_reason(end->stop));
		answer_cache_debug(b, s->tok, end);
	} else {
		strbuf_add_c(b, "null");
	}
	strbuf_add_c(b, "}]");
	if (s->include_usage)
		strbuf_add_c(b, ",\"usage\":null");
	if (end && end->last)
		add_own(b, s);
	strbuf_add_c(b, "}\n\n");
}

static void chat_started(struct strbuf *b, const struct answer_start *start, uint32_t sample, bool first)
{
	(void)first;
	begin_chunk(b, start, sample);
	strbuf_add_c(b, "\"role\":\"assistant\",\"content\":\"\",\"refusal\":null");
	finish_chunk(b, start, NULL, NULL);
}

/* vLLM's: a token's id and what there is to tell of it. */
static void add_ranked(struct strbuf *b, const struct tok *tok, int32_t token, float logprob, uint32_t rank)
{
	struct str bytes = tok_bytes(tok, token);
	strbuf_addf(b, "\"%" PRId32 "\":{\"logprob\":", token);
	answer_logprob(b, logprob);
	strbuf_addf(b, ",\"rank\":%" PRIu32 ",\"decoded_token\":", rank);
	strbuf_add_json(b, bytes.ptr, bytes.len);
	strbuf_add_c(b, "}");
}

/* As vLLM tells them: of each position the prompt's own token, then the likeliest others. */
static void chat_prompt_logprobs(struct strbuf *b, const struct answer_start *start,
				 const struct answer_prompt *p)
{
	strbuf_add_c(b, p->first ? "" : p->n ? "null," : "null");
	for (uint32_t i = 0; i < p->n; i++) {
		const struct prompt_logprob *row = &p->rows[i];
		strbuf_add_c(b, i ? ",{" : "{");
		add_ranked(b, start->tok, row->token, row->logprobs.logprob, row->rank);
		for (uint32_t k = 0; k < row->logprobs.n_top; k++) {
			const struct token_logprob *top = &row->logprobs.top[k];
			if (top->token == row->token)
				continue;
			strbuf_add_c(b, ",");
			add_ranked(b, start->tok, top->token, top->logprob, k + 1);
		}
		strbuf_add_c(b, "}");
	}
}

static void chat_prompt(struct strbuf *b, const struct answer_start *start, const struct answer_prompt *p)
{
	strbuf_add_c(b, "data: {");
	add_head(b, start, "chat.completion.chunk");
	strbuf_add_c(b, ",\"choices\":[],\"prompt_logprobs\":[");
	chat_prompt_logprobs(b, start, p);
	strbuf_add_c(b, start->include_usage ? "],\"usage\":null}\n\n" : "]}\n\n");
}

/* A token that releases no text says nothing, unless somebody asked what it is. */
static void chat_token(struct strbuf *b, const struct answer_start *start, const struct answer_token *t)
{
	if (!t->text.len && !t->logprobs)
		return;
	begin_chunk(b, start, t->sample);
	strbuf_add_c(b, "\"content\":");
	strbuf_add_json(b, t->text.ptr, t->text.len);
	finish_chunk(b, start, t, NULL);
}

static void chat_end(struct strbuf *b, const struct answer_start *start, const struct answer_end *end)
{
	begin_chunk(b, start, end->sample);
	finish_chunk(b, start, NULL, end);
	if (!end->last)
		return;
	if (start->include_usage) {
		strbuf_add_c(b, "data: {");
		add_head(b, start, "chat.completion.chunk");
		strbuf_add_c(b, ",\"choices\":[],\"usage\":");
		answer_usage(b, &end->usage);
		strbuf_add_c(b, "}\n\n");
	}
	strbuf_add_c(b, "data: [DONE]\n\n");
}

static void chat_logprobs(struct strbuf *b, const struct answer_start *start, const struct answer_token *t)
{
	answer_logprobs(b, start->tok, t, false);
}

static void add_choice(struct strbuf *b, const struct answer_start *start, const struct answer_sample *s)
{
	strbuf_addf(b,
		    "{\"index\":%" PRIu32 ",\"message\":{\"role\":\"assistant\",\"content\":", s->end.sample);
	strbuf_add_json(b, s->text.ptr, s->text.len);
	strbuf_add_c(b, ",\"refusal\":null},\"logprobs\":");
	if (start->logprobs) {
		strbuf_add_c(b, "{\"content\":[");
		strbuf_add(b, s->logprobs_json.ptr, s->logprobs_json.len);
		strbuf_add_c(b, "],\"refusal\":null}");
	} else {
		strbuf_add_c(b, "null");
	}
	strbuf_addf(b, ",\"finish_reason\":\"%s\"", finish_reason(s->end.stop));
	answer_cache_debug(b, start->tok, &s->end);
	strbuf_add_c(b, "}");
}

static void chat_whole(struct strbuf *b, const struct answer_start *start,
		       const struct answer_sample *samples)
{
	const struct answer_usage *usage = &samples[0].end.usage;
	strbuf_add_c(b, "{");
	add_head(b, start, "chat.completion");
	strbuf_add_c(b, ",\"choices\":[");
	for (uint32_t i = 0; i < start->n; i++) {
		strbuf_add_c(b, i ? "," : "");
		add_choice(b, start, &samples[i]);
		usage = samples[i].end.last ? &samples[i].end.usage : usage;
	}
	strbuf_add_c(b, "],\"usage\":");
	answer_usage(b, usage);
	answer_prompt_logprobs(b, start);
	add_own(b, start);
	strbuf_add_c(b, "}\n");
}

/* ---- errors ---- */

/* A code's name in small letters, where OpenAI has no own for it. */
static void add_code(struct strbuf *b, enum hokku_code code, const char *field)
{
	static const struct {
		enum hokku_code code;
		const char *name; /* NULL: null */
	} rows[] = {
		{HOKKU_INVALID_REQUEST, NULL},
		{HOKKU_CONTEXT_EXCEEDED, "context_length_exceeded"},
		{HOKKU_UNAUTHORIZED, "invalid_api_key"},
		{HOKKU_RATE_LIMITED, "rate_limit_exceeded"},
	};
	char name[64];
	size_t n = 0;
	if (code == HOKKU_NOT_FOUND && field && strcmp(field, "model") == 0) {
		answer_text(b, "model_not_found");
		return;
	}
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (rows[i].code != code)
			continue;
		if (rows[i].name)
			answer_text(b, rows[i].name);
		else
			strbuf_add_c(b, "null");
		return;
	}
	for (const char *c = hokku_code_name(code); *c && n + 1 < sizeof name; c++)
		name[n++] = (char)tolower((unsigned char)*c);
	name[n] = '\0';
	answer_text(b, name);
}

static void add_error(struct strbuf *b, enum hokku_code code, const char *message, const char *field)
{
	strbuf_add_c(b, "{\"error\":{\"message\":");
	answer_text(b, message);
	strbuf_addf(b, ",\"type\":\"%s\",\"param\":",
		    code == HOKKU_RATE_LIMITED    ? "rate_limit_error"
		    : hokku_code_http(code) < 500 ? "invalid_request_error"
						  : "server_error");
	if (field && *field)
		answer_text(b, field);
	else if (code == HOKKU_CONTEXT_EXCEEDED)
		strbuf_add_c(b, "\"messages\"");
	else
		strbuf_add_c(b, "null");
	strbuf_add_c(b, ",\"code\":");
	add_code(b, code, field);
	strbuf_add_c(b, "}}");
}

static void chat_error(struct strbuf *b, enum hokku_code code, const char *message, const char *field)
{
	add_error(b, code, message, field);
	strbuf_add_c(b, "\n");
}

static void chat_failed(struct strbuf *b, enum hokku_code code, const char *message)
{
	strbuf_add_c(b, "data: ");
	add_error(b, code, message, NULL);
	strbuf_add_c(b, "\n\n");
}

const struct api api_openai_chat = {
	.id_prefix = "chatcmpl-",
	.form = &request_openai_chat,
	.keep_alive = answer_keep_alive,
	.started = chat_started,
	.prompt = chat_prompt,
	.token = chat_token,
	.end = chat_end,
	.failed = chat_failed,
	.whole = chat_whole,
	.logprobs = chat_logprobs,
	.prompt_logprobs = chat_prompt_logprobs,
	.error = chat_error,
};
