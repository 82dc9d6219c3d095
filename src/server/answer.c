#include "server/answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const uint64_t max_exact_seed = (UINT64_C(1) << 53) - 1;

static void add_text(struct strbuf *b, const char *text)
{
	strbuf_add_json(b, text, strlen(text));
}

static void add_error(struct strbuf *b, enum hokku_code code, const char *message, const char *field)
{
	strbuf_addf(b, "{\"code\":\"%s\",\"message\":", hokku_code_name(code));
	add_text(b, message);
	if (field && *field) {
		strbuf_add_c(b, ",\"field\":");
		add_text(b, field);
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

static void add_sampling(struct strbuf *b, const struct sampling *s)
{
	strbuf_add_c(b, "{");
	for (size_t i = 0; i < n_sampling_fields; i++) {
		const struct sampling_field *f = &sampling_fields[i];
		const char *at = (const char *)s + f->offset;
		float real;
		int32_t whole;
		strbuf_addf(b, "%s\"%s\":", i ? "," : "", f->name);
		if (f->kind == SAMPLING_INT) {
			memcpy(&whole, at, sizeof whole);
			strbuf_addf(b, "%" PRId32, whole);
		} else {
			memcpy(&real, at, sizeof real);
			answer_float(b, real);
		}
	}
	strbuf_add_c(b, ",\"logit_bias\":{");
	for (uint32_t i = 0; i < s->n_bias; i++) {
		strbuf_addf(b, "%s\"%" PRId32 "\":", i ? "," : "", s->bias[i].token);
		answer_float(b, s->bias[i].bias);
	}
	strbuf_add_c(b, "}}");
}

/* The members of start without braces. */
static void add_start(struct strbuf *b, const struct answer_start *s)
{
	strbuf_add_c(b, "\"id\":");
	add_text(b, s->id);
	strbuf_add_c(b, ",\"model\":");
	add_text(b, s->model);
	strbuf_add_c(b, ",\"seed\":");
	answer_seed(b, s->seed);
	strbuf_addf(b,
		    ",\"prompt_tokens\":%" PRIu32 ",\"started_at\":\"%s\",\"max_tokens\":", s->prompt_tokens,
		    s->started_at);
	if (s->max_tokens)
		strbuf_addf(b, "%" PRIu32, s->max_tokens);
	else
		strbuf_add_c(b, "null");
	strbuf_add_c(b, ",\"stop\":[");
	strbuf_add(b, s->stop_json.ptr, s->stop_json.len);
	strbuf_add_c(b, "],\"sampling\":");
	add_sampling(b, s->sampling);
	if (s->template_date && *s->template_date)
		strbuf_addf(b, ",\"template_date\":\"%s\"", s->template_date);
	if (s->warnings_json.len) {
		strbuf_add_c(b, ",\"warnings\":[");
		strbuf_add(b, s->warnings_json.ptr, s->warnings_json.len);
		strbuf_add_c(b, "]");
	}
}

static void add_end(struct strbuf *b, const struct answer_end *e)
{
	strbuf_addf(b,
		    "\"stop_reason\":\"%s\",\"tokens_out\":%" PRIu32 ",\"text_bytes\":%" PRIu64
		    ",\"prefill_ms\":%.3f,\"decode_ms\":%.3f,\"ttft_ms\":%.3f",
		    hokku_stop_name(e->stop), e->tokens_out, e->text_bytes, e->prefill_ms, e->decode_ms,
		    e->ttft_ms);
}

void answer_event_started(struct strbuf *b, const struct answer_start *start)
{
	strbuf_add_c(b, "event: started\ndata: {");
	add_start(b, start);
	strbuf_add_c(b, "}\n\n");
}

void answer_event_token(struct strbuf *b, struct str text, uint32_t index, int32_t token)
{
	strbuf_add_c(b, "event: token\ndata: {\"t\":");
	strbuf_add_json(b, text.ptr, text.len);
	strbuf_addf(b, ",\"i\":%" PRIu32 ",\"id\":%" PRId32 "}\n\n", index, token);
}

void answer_event_end(struct strbuf *b, const struct answer_end *end)
{
	strbuf_add_c(b, "event: end\ndata: {");
	add_end(b, end);
	strbuf_add_c(b, "}\n\n");
}

void answer_event_error(struct strbuf *b, enum hokku_code code, const char *message)
{
	strbuf_add_c(b, "event: error\ndata: ");
	add_error(b, code, message, NULL);
	strbuf_add_c(b, "\n\n");
}

void answer_keep_alive(struct strbuf *b)
{
	strbuf_add_c(b, ": keep-alive\n\n");
}

void answer_whole(struct strbuf *b, const struct answer_start *start, struct str text,
		  const struct answer_end *end)
{
	strbuf_add_c(b, "{");
	add_start(b, start);
	strbuf_add_c(b, ",\"text\":");
	strbuf_add_json(b, text.ptr, text.len);
	strbuf_add_c(b, ",");
	add_end(b, end);
	strbuf_add_c(b, "}\n");
}
