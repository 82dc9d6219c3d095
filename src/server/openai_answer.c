/*
 * Conversations as OpenAI's clients expect them: chat.completion objects, and chunks of a stream that ends
 * with [DONE]. What is hokku's own (the sampling in effect, the seed) goes into a member "hokku" of the whole
 * answer, and of the chunk that ends the last sample.
 */
#include <inttypes.h>

#include "base/hash.h"
#include "server/openai.h"

/* ---- what a message is made of ---- */

/* Of a call: the same in a stream and in a whole answer, and no other call's in any answer. */
static void add_call_id(struct strbuf *b, const struct answer_start *s, uint32_t sample, uint32_t call)
{
	strbuf_addf(b, "\"call_%016" PRIx64 "\"", siphash(sample, call, s->id, strlen(s->id)));
}

static void add_text(struct strbuf *b, const char *name, struct str text)
{
	strbuf_addf(b, "\"%s\":", name);
	strbuf_add_json(b, text.ptr, text.len);
}

/* A delta's member that tells of a part. */
static void add_delta(struct strbuf *b, const struct answer_start *s, uint32_t sample,
		      const struct part *part)
{
	if (part->kind == PART_TEXT || part->kind == PART_THINKING) {
		add_text(b, part->kind == PART_TEXT ? "content" : "reasoning_content", part->text);
		return;
	}
	strbuf_addf(b, "\"tool_calls\":[{\"index\":%" PRIu32, part->call);
	if (part->kind == PART_CALL) {
		strbuf_add_c(b, ",\"id\":");
		add_call_id(b, s, sample, part->call);
		strbuf_add_c(b, ",\"type\":\"function\",\"function\":{");
		add_text(b, "name", part->text);
		strbuf_add_c(b, ",\"arguments\":\"\"}}]");
	} else {
		strbuf_add_c(b, ",\"function\":{");
		add_text(b, "arguments", part->text);
		strbuf_add_c(b, "}}]");
	}
}

static bool has(const struct part *parts, size_t n, enum part_kind kind)
{
	for (size_t i = 0; i < n; i++)
		if (parts[i].kind == kind)
			return true;
	return false;
}

/* All of a kind as one string after its name. */
static void add_joined(struct strbuf *b, const char *name, const struct part *parts, size_t n,
		       enum part_kind kind)
{
	struct strbuf all = {0};
	for (size_t i = 0; i < n; i++)
		if (parts[i].kind == kind)
			strbuf_add(&all, parts[i].text.ptr, parts[i].text.len);
	add_text(b, name, (struct str){all.ptr ? all.ptr : "", all.len});
	b->failed |= all.failed;
	strbuf_free(&all);
}

/* The calls of a sample after a comma, where there are any. */
static void add_calls(struct strbuf *b, const struct answer_start *start, const struct answer_sample *s)
{
	bool any = false;
	for (size_t i = 0, n; i < s->n_parts; i += n) {
		const struct part *call = &s->parts[i];
		n = 1;
		if (call->kind != PART_CALL)
			continue;
		while (i + n < s->n_parts && s->parts[i + n].kind != PART_CALL)
			n++;
		strbuf_add_c(b, any ? ",{\"id\":" : ",\"tool_calls\":[{\"id\":");
		add_call_id(b, start, s->end.sample, call->call);
		strbuf_add_c(b, ",\"type\":\"function\",\"function\":{");
		add_text(b, "name", call->text);
		strbuf_add_c(b, ",");
		add_joined(b, "arguments", call, n, PART_ARGUMENTS);
		strbuf_add_c(b, "}}");
		any = true;
	}
	strbuf_add_c(b, any ? "]" : "");
}

/* content is null where there are calls alone; reasoning_content is there where the model thought. */
static void add_message(struct strbuf *b, const struct answer_start *start, const struct answer_sample *s)
{
	bool silent = has(s->parts, s->n_parts, PART_CALL) && !has(s->parts, s->n_parts, PART_TEXT);
	strbuf_add_c(b, "{\"role\":\"assistant\",");
	if (silent)
		strbuf_add_c(b, "\"content\":null");
	else
		add_joined(b, "content", s->parts, s->n_parts, PART_TEXT);
	strbuf_add_c(b, ",\"refusal\":null");
	if (has(s->parts, s->n_parts, PART_THINKING)) {
		strbuf_add_c(b, ",");
		add_joined(b, "reasoning_content", s->parts, s->n_parts, PART_THINKING);
	}
	add_calls(b, start, s);
	strbuf_add_c(b, "}");
}

static const char *finish_reason(const struct answer_end *end)
{
	bool cut = end->stop == HOKKU_STOP_LENGTH || end->stop == HOKKU_STOP_CONTEXT;
	return end->n_calls && !cut ? "tool_calls" : openai_finish_reason(end->stop);
}

/* ,"NAME":[ids] */
void openai_add_ids(struct strbuf *b, const char *name, const int32_t *ids, size_t n)
{
	strbuf_addf(b, ",\"%s\":[", name);
	for (size_t i = 0; i < n; i++)
		strbuf_addf(b, "%s%" PRId32, i ? "," : "", ids[i]);
	strbuf_add_c(b, "]");
}

/* ---- streams ---- */

/* A chunk up to its delta's members. */
static void begin_chunk(struct strbuf *b, const struct answer_start *s, uint32_t sample)
{
	strbuf_add_c(b, "data: {");
	openai_add_head(b, s, "chat.completion.chunk");
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
		answer_text(b, finish_reason(end));
		answer_cache_debug(b, s, end);
	} else {
		strbuf_add_c(b, "null");
	}
	if (s->return_ids && token) /* what ends an answer is none of it */
		openai_add_ids(b, "token_ids", &token->token, !tok_is_end(s->tok, token->token));
	strbuf_add_c(b, "}]");
	if (s->include_usage)
		strbuf_add_c(b, ",\"usage\":null");
	if (end && end->last)
		answer_own(b, s, NULL);
	strbuf_add_c(b, "}\n\n");
}

static void chat_started(struct strbuf *b, const struct answer_start *start, uint32_t sample, bool first)
{
	begin_chunk(b, start, sample);
	strbuf_add_c(b, "\"role\":\"assistant\",\"content\":\"\",\"refusal\":null");
	if (!first || !start->return_ids || !start->prompt_ids) {
		finish_chunk(b, start, NULL, NULL);
		return;
	}
	strbuf_add_c(b, "},\"logprobs\":null,\"finish_reason\":null}]");
	openai_add_ids(b, "prompt_token_ids", start->prompt_ids->ids, start->prompt_ids->n);
	strbuf_add_c(b, start->include_usage ? ",\"usage\":null}\n\n" : "}\n\n");
}

static void chat_prompt(struct strbuf *b, const struct answer_start *start, const struct answer_prompt *p)
{
	strbuf_add_c(b, "data: {");
	openai_add_head(b, start, "chat.completion.chunk");
	strbuf_add_c(b, ",\"choices\":[],\"prompt_logprobs\":[");
	openai_prompt_logprobs(b, start, p);
	strbuf_add_c(b, start->include_usage ? "],\"usage\":null}\n\n" : "]}\n\n");
}

/* A chunk for each part; the first has the token's logprobs (token: NULL, none). False: there was none. */
static bool add_parts(struct strbuf *b, const struct answer_start *start, uint32_t sample,
		      const struct part *parts, size_t n, const struct answer_token *token)
{
	bool any = false;
	for (size_t i = 0; i < n; i++) {
		bool piece = parts[i].kind != PART_CALL && parts[i].kind != PART_CALL_END;
		if (parts[i].kind == PART_CALL_END || (piece && !parts[i].text.len))
			continue;
		begin_chunk(b, start, sample);
		add_delta(b, start, sample, &parts[i]);
		finish_chunk(b, start, any ? NULL : token, NULL);
		any = true;
	}
	return any;
}

/* A token that releases nothing says nothing, unless somebody asked what it is. */
static void chat_token(struct strbuf *b, const struct answer_start *start, const struct answer_token *t)
{
	if (add_parts(b, start, t->sample, t->parts, t->n_parts, t) || (!t->logprobs && !start->return_ids))
		return;
	begin_chunk(b, start, t->sample);
	strbuf_add_c(b, "\"content\":\"\"");
	finish_chunk(b, start, t, NULL);
}

static void chat_end(struct strbuf *b, const struct answer_start *start, const struct answer_end *end)
{
	add_parts(b, start, end->sample, end->parts, end->n_parts, NULL);
	begin_chunk(b, start, end->sample);
	finish_chunk(b, start, NULL, end);
	if (!end->last)
		return;
	if (start->include_usage) {
		strbuf_add_c(b, "data: {");
		openai_add_head(b, start, "chat.completion.chunk");
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
	strbuf_addf(b, "{\"index\":%" PRIu32 ",\"message\":", s->end.sample);
	add_message(b, start, s);
	strbuf_add_c(b, ",\"logprobs\":");
	if (start->logprobs) {
		strbuf_add_c(b, "{\"content\":[");
		strbuf_add(b, s->logprobs_json.ptr, s->logprobs_json.len);
		strbuf_add_c(b, "],\"refusal\":null}");
	} else {
		strbuf_add_c(b, "null");
	}
	strbuf_addf(b, ",\"finish_reason\":\"%s\"", finish_reason(&s->end));
	answer_cache_debug(b, start, &s->end);
	if (start->return_ids && s->end.ids)
		openai_add_ids(b, "token_ids", s->end.ids->ids, s->end.ids->n);
	strbuf_add_c(b, "}");
}

static void chat_whole(struct strbuf *b, const struct answer_start *start,
		       const struct answer_sample *samples)
{
	const struct answer_usage *usage = &samples[0].end.usage;
	strbuf_add_c(b, "{");
	openai_add_head(b, start, "chat.completion");
	strbuf_add_c(b, ",\"choices\":[");
	for (uint32_t i = 0; i < start->n; i++) {
		strbuf_add_c(b, i ? "," : "");
		add_choice(b, start, &samples[i]);
		usage = samples[i].end.last ? &samples[i].end.usage : usage;
	}
	strbuf_add_c(b, "],\"usage\":");
	answer_usage(b, usage);
	answer_prompt_logprobs(b, start);
	if (start->return_ids && start->prompt_ids)
		openai_add_ids(b, "prompt_token_ids", start->prompt_ids->ids, start->prompt_ids->n);
	answer_own(b, start, NULL);
	strbuf_add_c(b, "}\n");
}

const struct api api_openai_chat = {
	.id_prefix = "chatcmpl-",
	.form = &request_openai_chat,
	.keep_alive = answer_keep_alive,
	.started = chat_started,
	.prompt = chat_prompt,
	.token = chat_token,
	.end = chat_end,
	.failed = openai_failed,
	.whole = chat_whole,
	.logprobs = chat_logprobs,
	.prompt_logprobs = openai_prompt_logprobs,
	.error = openai_error,
};
