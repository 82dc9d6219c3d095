/* What OpenAI's routes share: the members that all of their answers have, and errors. */
#include "server/openai.h"

#include <ctype.h>
#include <inttypes.h>

static const char *model_of(const struct answer_start *s)
{
	return s->asked_model ? s->asked_model : s->model;
}

const char *openai_finish_reason(enum hokku_stop stop)
{
	return stop == HOKKU_STOP_LENGTH || stop == HOKKU_STOP_CONTEXT ? "length" : "stop";
}

void openai_add_head(struct strbuf *b, const struct answer_start *s, const char *object)
{
	strbuf_add_c(b, "\"id\":");
	answer_text(b, s->id);
	strbuf_addf(b, ",\"object\":\"%s\",\"created\":%" PRId64 ",\"model\":", object, s->created);
	answer_text(b, model_of(s));
	if (s->fingerprint)
		strbuf_addf(b, ",\"system_fingerprint\":\"%s\"", s->fingerprint);
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

void openai_prompt_logprobs(struct strbuf *b, const struct answer_start *start, const struct answer_prompt *p)
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
	if (code == HOKKU_NOT_FOUND && field && strcmp(field, "previous_response_id") == 0) {
		answer_text(b, "previous_response_not_found");
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

void openai_add_error(struct strbuf *b, enum hokku_code code, const char *message, const char *field,
		      const char *prompt)
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
		answer_text(b, prompt);
	else
		strbuf_add_c(b, "null");
	strbuf_add_c(b, ",\"code\":");
	add_code(b, code, field);
	strbuf_add_c(b, "}}");
}

void openai_error(struct strbuf *b, enum hokku_code code, const char *message, const char *field)
{
	openai_add_error(b, code, message, field, "messages");
	strbuf_add_c(b, "\n");
}

void openai_failed(struct strbuf *b, enum hokku_code code, const char *message)
{
	strbuf_add_c(b, "data: ");
	openai_add_error(b, code, message, NULL, "messages");
	strbuf_add_c(b, "\n\n");
}
