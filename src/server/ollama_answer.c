/*
 * Answers as Ollama's clients expect them: one JSON object a line, the last with "done": true, the reason and
 * the times. A call of a tool is told once it is whole, its arguments an object; one that the answer's end
 * cut is not told, and the reason is "length" then. What is hokku's own (the sampling in effect, the seed)
 * goes into a member "hokku" of the last object, warnings beside it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/hash.h"
#include "server/ollama.h"

const char *ollama_time(uint64_t ns, char out[OLLAMA_TIME_BYTES])
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	size_t n = strftime(out, OLLAMA_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, OLLAMA_TIME_BYTES - n, ".%09" PRIu64 "Z", ns % 1000000000);
	return out;
}

static void add_head(struct strbuf *b, const char *model, uint64_t now_ns)
{
	char time[OLLAMA_TIME_BYTES];
	strbuf_add_c(b, "{\"model\":");
	answer_text(b, model);
	strbuf_addf(b, ",\"created_at\":\"%s\"", ollama_time(now_ns, time));
}

void ollama_add_loaded(struct strbuf *b, bool chat, const char *model, uint64_t now_ns, const char *reason)
{
	add_head(b, model, now_ns);
	strbuf_add_c(b,
		     chat ? ",\"message\":{\"role\":\"assistant\",\"content\":\"\"}" : ",\"response\":\"\"");
	strbuf_addf(b, ",\"done\":true,\"done_reason\":\"%s\"}\n", reason);
}

/* ---- what an answer is made of ---- */

/* Pieces of an object, or the whole of it. */
struct said {
	struct strbuf text, thinking;
	struct strbuf calls; /* whole ones, separated by commas */
};

static void said_free(struct said *said)
{
	strbuf_free(&said->text);
	strbuf_free(&said->thinking);
	strbuf_free(&said->calls);
}

static void begin_call(struct strbuf *call, const struct answer_start *s, uint32_t sample,
		       const struct part *part)
{
	strbuf_clear(call);
	strbuf_addf(call, "{\"id\":\"call_%016" PRIx64 "\",\"function\":{\"index\":%" PRIu32 ",\"name\":",
		    siphash(sample, part->call, s->id, strlen(s->id)), part->call);
	strbuf_add_json(call, part->text.ptr, part->text.len);
	strbuf_add_c(call, ",\"arguments\":");
}

static bool ends_with(const struct strbuf *b, const char *what)
{
	return str_ends((struct str){b->ptr, b->len}, str_c(what));
}

/* Sorts parts; call: what there is of the one that goes on, here and from one time to the next. */
static void take_parts(struct said *said, struct strbuf *call, const struct answer_start *s, uint32_t sample,
		       const struct part *parts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct part *part = &parts[i];
		switch (part->kind) {
		case PART_TEXT:
			strbuf_add(&said->text, part->text.ptr, part->text.len);
			break;
		case PART_THINKING:
			strbuf_add(&said->thinking, part->text.ptr, part->text.len);
			break;
		case PART_CALL:
			begin_call(call, s, sample, part);
			break;
		case PART_ARGUMENTS:
			strbuf_add(call, part->text.ptr, part->text.len);
			break;
		case PART_CALL_END:
			strbuf_add_c(&said->calls, said->calls.len ? "," : "");
			strbuf_add(&said->calls, call->ptr, call->len);
			strbuf_add_c(&said->calls, ends_with(call, "\"arguments\":") ? "{}}}" : "}}");
			said->calls.failed |= call->failed;
			strbuf_clear(call);
			break;
		}
	}
}

static void add_text(struct strbuf *b, const char *name, const struct strbuf *text)
{
	strbuf_addf(b, "\"%s\":", name);
	strbuf_add_json(b, text->ptr ? text->ptr : "", text->len);
	b->failed |= text->failed;
}

/* The members of an object that say it, after a comma. */
static void add_said(struct strbuf *b, bool chat, const struct said *said)
{
	strbuf_add_c(b, chat ? ",\"message\":{\"role\":\"assistant\"," : ",");
	add_text(b, chat ? "content" : "response", &said->text);
	if (said->thinking.len) {
		strbuf_add_c(b, ",");
		add_text(b, "thinking", &said->thinking);
	}
	if (said->calls.len)
		strbuf_addf(b, ",\"tool_calls\":[%s]", said->calls.ptr);
	b->failed |= said->calls.failed;
	strbuf_add_c(b, chat ? "}" : "");
}

/* ---- the end ---- */

static void add_context(struct strbuf *b, const struct tok_ids *prompt, const struct tok_ids *answer)
{
	strbuf_add_c(b, ",\"context\":[");
	for (size_t i = 0; i < prompt->n; i++)
		strbuf_addf(b, "%s%" PRId32, i ? "," : "", prompt->ids[i]);
	for (size_t i = 0; i < answer->n; i++)
		strbuf_addf(b, "%s%" PRId32, prompt->n || i ? "," : "", answer->ids[i]);
	strbuf_add_c(b, "]");
}

static uint64_t ns_of(double ms)
{
	return ms > 0 ? (uint64_t)(ms * 1e6) : 0;
}

/* From "done" on. The model is there when a request comes: it took no time to load. */
static void add_end(struct strbuf *b, const struct answer_start *s, const struct answer_end *end)
{
	bool cut = end->stop == HOKKU_STOP_LENGTH || end->stop == HOKKU_STOP_CONTEXT;
	strbuf_addf(b,
		    ",\"done\":true,\"done_reason\":\"%s\",\"total_duration\":%" PRIu64
		    ",\"load_duration\":0,\"prompt_eval_count\":%" PRIu32 ",\"prompt_eval_duration\":%" PRIu64
		    ",\"eval_count\":%" PRIu32 ",\"eval_duration\":%" PRIu64,
		    cut ? "length" : "stop", ns_of(end->total_ms), s->prompt_tokens, ns_of(end->prefill_ms),
		    end->tokens_out, ns_of(end->decode_ms));
	if (s->prompt_ids && end->ids)
		add_context(b, s->prompt_ids, end->ids);
	answer_own(b, s, NULL);
	strbuf_add_c(b, "}\n");
}

/* ---- streams ---- */

static const char *model_of(const struct answer_start *s)
{
	return s->asked_model ? s->asked_model : s->model;
}

static void started(struct strbuf *b, const struct answer_start *start, uint32_t sample, bool first)
{
	(void)b;
	(void)start;
	(void)sample;
	(void)first;
}

static void logprobs(struct strbuf *b, const struct answer_start *start, const struct answer_token *t)
{
	answer_logprobs(b, start->tok, t, false);
}

/* A line of what parts say, where they say anything or somebody asked what the token is. */
static void add_line(struct strbuf *b, bool chat, const struct answer_start *s, uint32_t sample,
		     const struct part *parts, size_t n_parts, const struct answer_token *t)
{
	struct said said = {0};
	bool told = t && t->logprobs;
	take_parts(&said, &s->memo->text, s, sample, parts, n_parts);
	if (said.text.len || said.thinking.len || said.calls.len || told) {
		add_head(b, model_of(s), s->now_ns);
		add_said(b, chat, &said);
		strbuf_add_c(b, ",\"done\":false");
		if (told) {
			strbuf_add_c(b, ",\"logprobs\":[");
			logprobs(b, s, t);
			strbuf_add_c(b, "]");
		}
		strbuf_add_c(b, "}\n");
	}
	said_free(&said);
}

static void end_stream(struct strbuf *b, bool chat, const struct answer_start *s,
		       const struct answer_end *end)
{
	const struct said nothing = {0};
	add_line(b, chat, s, end->sample, end->parts, end->n_parts, NULL);
	add_head(b, model_of(s), s->now_ns);
	add_said(b, chat, &nothing);
	add_end(b, s, end);
}

static void add_whole(struct strbuf *b, bool chat, const struct answer_start *s,
		      const struct answer_sample *sample)
{
	struct said said = {0};
	struct strbuf call = {0};
	take_parts(&said, &call, s, 0, sample->parts, sample->n_parts);
	take_parts(&said, &call, s, 0, sample->end.parts, sample->end.n_parts);
	add_head(b, model_of(s), s->now_ns);
	add_said(b, chat, &said);
	if (s->logprobs) {
		strbuf_add_c(b, ",\"logprobs\":[");
		strbuf_add(b, sample->logprobs_json.ptr, sample->logprobs_json.len);
		strbuf_add_c(b, "]");
	}
	add_end(b, s, &sample->end);
	strbuf_free(&call);
	said_free(&said);
}

static void chat_token(struct strbuf *b, const struct answer_start *start, const struct answer_token *t)
{
	add_line(b, true, start, t->sample, t->parts, t->n_parts, t);
}

static void generate_token(struct strbuf *b, const struct answer_start *start, const struct answer_token *t)
{
	add_line(b, false, start, t->sample, t->parts, t->n_parts, t);
}

static void chat_end(struct strbuf *b, const struct answer_start *start, const struct answer_end *end)
{
	end_stream(b, true, start, end);
}

static void generate_end(struct strbuf *b, const struct answer_start *start, const struct answer_end *end)
{
	end_stream(b, false, start, end);
}

static void chat_whole(struct strbuf *b, const struct answer_start *start,
		       const struct answer_sample *samples)
{
	add_whole(b, true, start, samples);
}

static void generate_whole(struct strbuf *b, const struct answer_start *start,
			   const struct answer_sample *samples)
{
	add_whole(b, false, start, samples);
}

/* ---- errors ---- */

void ollama_error(struct strbuf *b, enum hokku_code code, const char *message, const char *field)
{
	(void)code;
	(void)field;
	strbuf_add_c(b, "{\"error\":");
	answer_text(b, message);
	strbuf_add_c(b, "}\n");
}

static void failed(struct strbuf *b, enum hokku_code code, const char *message)
{
	ollama_error(b, code, message, NULL);
}

/* Nothing is sent while there is nothing to tell: clients take every line for a piece of the answer. */
const struct api api_ollama_chat = {
	.id_prefix = "ollama-",
	.form = &request_ollama_chat,
	.stream_type = "application/x-ndjson",
	.started = started,
	.token = chat_token,
	.end = chat_end,
	.failed = failed,
	.whole = chat_whole,
	.logprobs = logprobs,
	.error = ollama_error,
};

const struct api api_ollama_generate = {
	.id_prefix = "ollama-",
	.form = &request_ollama_generate,
	.stream_type = "application/x-ndjson",
	.started = started,
	.token = generate_token,
	.end = generate_end,
	.failed = failed,
	.whole = generate_whole,
	.logprobs = logprobs,
	.error = ollama_error,
};
