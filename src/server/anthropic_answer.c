/*
 * Answers as Anthropic's clients expect them: a message of blocks (text, thinking, tool_use), the events of a
 * stream, and errors. What is hokku's own (the sampling in effect, the seed) goes into a member "hokku" of
 * the message, and of message_delta in a stream; warnings beside it.
 */
#include <inttypes.h>
#include <stdio.h>

#include "server/answer.h"

/* Clients keep thinking that bears a signature; nobody looks at this one. */
static const char signature[] = "hokku";

static const char *stop_reason(const struct answer_end *end)
{
	switch (end->stop) {
	case HOKKU_STOP_STOP:
		if (end->stop_text.ptr)
			return "stop_sequence";
		break; /* a token that the request named */
	case HOKKU_STOP_LENGTH:
		return "max_tokens";
	case HOKKU_STOP_CONTEXT:
		return "model_context_window_exceeded";
	case HOKKU_STOP_END:
		break;
	}
	return end->n_calls ? "tool_use" : "end_turn";
}

/* "stop_reason" and what belongs to it; end NULL: nobody knows yet. */
static void add_stop(struct strbuf *b, const struct answer_end *end)
{
	if (!end) {
		strbuf_add_c(b, "\"stop_reason\":null,\"stop_sequence\":null,\"stop_details\":null");
		return;
	}
	strbuf_addf(b, "\"stop_reason\":\"%s\",\"stop_sequence\":", stop_reason(end));
	if (end->stop == HOKKU_STOP_STOP && end->stop_text.ptr)
		strbuf_add_json(b, end->stop_text.ptr, end->stop_text.len);
	else
		strbuf_add_c(b, "null");
	strbuf_add_c(b, ",\"stop_details\":null");
}

/* Tokens that were found again are no input tokens, as that API counts. */
static void add_usage(struct strbuf *b, const struct answer_usage *u)
{
	strbuf_addf(b,
		    "\"usage\":{\"input_tokens\":%" PRIu32
		    ",\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":%" PRIu32
		    ",\"output_tokens\":%" PRIu64 ",\"output_tokens_details\":{\"thinking_tokens\":%" PRIu64
		    "},\"server_tool_use\":null",
		    u->prompt_tokens - u->cached_tokens, u->cached_tokens, u->completion_tokens,
		    u->thinking_tokens);
}

/* What a message says before its content. */
static void add_head(struct strbuf *b, const struct answer_start *s)
{
	strbuf_add_c(b, "\"id\":");
	answer_text(b, s->id);
	strbuf_add_c(b, ",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
	answer_text(b, s->asked_model ? s->asked_model : s->model);
	strbuf_add_c(b, ",\"container\":null,\"content\":[");
}

/* The id of an answer's call: unlike any other's, and of the characters that ids of that API have. */
static void add_call_id(struct strbuf *b, const struct answer_start *s, uint32_t call)
{
	const char *id = strncmp(s->id, "msg_", 4) == 0 ? s->id + 4 : s->id;
	strbuf_add_c(b, "\"toolu_");
	for (; *id; id++)
		strbuf_addf(b, "%c", *id == '.' || *id == ':' ? '-' : *id);
	strbuf_addf(b, "_%" PRIu32 "\"", call);
}

static void add_call_head(struct strbuf *b, const struct answer_start *s, const struct part *part)
{
	strbuf_add_c(b, "{\"type\":\"tool_use\",\"id\":");
	add_call_id(b, s, part->call);
	strbuf_add_c(b, ",\"caller\":{\"type\":\"direct\"},\"name\":");
	strbuf_add_json(b, part->text.ptr, part->text.len);
	strbuf_add_c(b, ",\"input\":");
}

/* ---- a stream ---- */

static void begin_event(struct strbuf *b, const char *type)
{
	strbuf_addf(b, "event: %s\ndata: {\"type\":\"%s\"", type, type);
}

static void end_event(struct strbuf *b)
{
	strbuf_add_c(b, "}\n\n");
}

static void message_started(struct strbuf *b, const struct answer_start *start, uint32_t sample, bool first)
{
	(void)sample;
	(void)first;
	begin_event(b, "message_start");
	strbuf_add_c(b, ",\"message\":{");
	add_head(b, start);
	strbuf_add_c(b, "],");
	add_stop(b, NULL);
	strbuf_add_c(b, ",");
	/* how much of the prompt was found again is told in message_delta */
	add_usage(b, &(struct answer_usage){.prompt_tokens = start->prompt_tokens});
	strbuf_add_c(b, ",\"service_tier\":\"standard\"}}");
	end_event(b);
}

static void add_delta(struct strbuf *b, uint32_t index, const char *type, const char *member, struct str text)
{
	begin_event(b, "content_block_delta");
	strbuf_addf(b, ",\"index\":%" PRIu32 ",\"delta\":{\"type\":\"%s\",\"%s\":", index, type, member);
	strbuf_add_json(b, text.ptr, text.len);
	strbuf_add_c(b, "}");
	end_event(b);
}

static void close_block(struct strbuf *b, struct answer_memo *memo)
{
	uint32_t index = memo->n_blocks - 1;
	if (!memo->open)
		return;
	memo->open = false;
	if (memo->kind == PART_THINKING)
		add_delta(b, index, "signature_delta", "signature", str_c(signature));
	begin_event(b, "content_block_stop");
	strbuf_addf(b, ",\"index\":%" PRIu32, index);
	end_event(b);
}

static void open_block(struct strbuf *b, const struct answer_start *start, const struct part *part)
{
	struct answer_memo *memo = start->memo;
	close_block(b, memo);
	begin_event(b, "content_block_start");
	strbuf_addf(b, ",\"index\":%" PRIu32 ",\"content_block\":", memo->n_blocks++);
	memo->open = true;
	memo->kind = part->kind;
	if (part->kind == PART_TEXT) {
		strbuf_add_c(b, "{\"type\":\"text\",\"text\":\"\",\"citations\":null}");
	} else if (part->kind == PART_THINKING) {
		strbuf_add_c(b, "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}");
	} else {
		add_call_head(b, start, part);
		strbuf_add_c(b, "{}}");
	}
	end_event(b);
}

static void stream_part(struct strbuf *b, const struct answer_start *start, const struct part *part)
{
	struct answer_memo *memo = start->memo;
	switch (part->kind) {
	case PART_TEXT:
	case PART_THINKING:
		if (!part->text.len)
			return;
		if (!memo->open || memo->kind != part->kind)
			open_block(b, start, part);
		if (part->kind == PART_TEXT)
			add_delta(b, memo->n_blocks - 1, "text_delta", "text", part->text);
		else
			add_delta(b, memo->n_blocks - 1, "thinking_delta", "thinking", part->text);
		break;
	case PART_CALL:
		open_block(b, start, part);
		break;
	case PART_ARGUMENTS:
		if (part->text.len)
			add_delta(b, memo->n_blocks - 1, "input_json_delta", "partial_json", part->text);
		break;
	case PART_CALL_END:
		close_block(b, memo);
		break;
	}
}

static void message_token(struct strbuf *b, const struct answer_start *start, const struct answer_token *t)
{
	for (size_t i = 0; i < t->n_parts; i++)
		stream_part(b, start, &t->parts[i]);
}

static void message_end(struct strbuf *b, const struct answer_start *start, const struct answer_end *end)
{
	for (size_t i = 0; i < end->n_parts; i++)
		stream_part(b, start, &end->parts[i]);
	close_block(b, start->memo);
	begin_event(b, "message_delta");
	strbuf_add_c(b, ",\"delta\":{\"container\":null,");
	add_stop(b, end);
	strbuf_add_c(b, "},");
	add_usage(b, &end->usage);
	strbuf_add_c(b, "}");
	answer_own(b, start, end);
	end_event(b);
	begin_event(b, "message_stop");
	end_event(b);
}

static void message_ping(struct strbuf *b)
{
	begin_event(b, "ping");
	end_event(b);
}

/* ---- a whole message ---- */

/* The call that begins at parts[i], to its end: what follows is the next part's index. */
static size_t add_call(struct strbuf *b, const struct answer_start *start, const struct part *parts, size_t n,
		       size_t i)
{
	struct str arguments = {"", 0};
	add_call_head(b, start, &parts[i++]);
	if (i < n && parts[i].kind == PART_ARGUMENTS)
		arguments = parts[i++].text;
	bool is_whole = i < n && parts[i].kind == PART_CALL_END;
	if (is_whole && arguments.len)
		strbuf_add(b, arguments.ptr, arguments.len);
	else
		strbuf_add_c(b, "{}");
	if (!is_whole) { /* no object: told as it is */
		strbuf_add_c(b, ",\"partial_json\":");
		strbuf_add_json(b, arguments.ptr, arguments.len);
	}
	strbuf_add_c(b, "}");
	return i + is_whole;
}

static void add_content(struct strbuf *b, const struct answer_start *start, const struct part *parts,
			size_t n)
{
	bool first = true;
	for (size_t i = 0; i < n;) {
		const struct part *p = &parts[i];
		bool text = p->kind == PART_TEXT || p->kind == PART_THINKING;
		if ((text && !p->text.len) || (!text && p->kind != PART_CALL)) {
			i++;
			continue;
		}
		strbuf_add_c(b, first ? "" : ",");
		first = false;
		if (!text) {
			i = add_call(b, start, parts, n, i);
			continue;
		}
		strbuf_add_c(b, p->kind == PART_TEXT ? "{\"type\":\"text\",\"text\":"
						     : "{\"type\":\"thinking\",\"thinking\":");
		strbuf_add_json(b, p->text.ptr, p->text.len);
		if (p->kind == PART_TEXT)
			strbuf_add_c(b, ",\"citations\":null}");
		else
			strbuf_addf(b, ",\"signature\":\"%s\"}", signature);
		i++;
	}
}

static void message_whole(struct strbuf *b, const struct answer_start *start, const struct answer_sample *s)
{
	strbuf_add_c(b, "{");
	add_head(b, start);
	add_content(b, start, s->parts, s->n_parts);
	strbuf_add_c(b, "],");
	add_stop(b, &s->end);
	strbuf_add_c(b, ",");
	add_usage(b, &s->end.usage);
	strbuf_add_c(b, ",\"service_tier\":\"standard\"}");
	answer_own(b, start, &s->end);
	strbuf_add_c(b, "}\n");
}

/* ---- errors ---- */

/* What that API calls them; 0: of any code, or of any status. The first row that fits counts. */
static const struct {
	enum hokku_code code;
	int status;
	const char *type;
	int told; /* the status that it has there; 0: the same */
} errors[] = {
	{0, 401, "authentication_error", 0}, {0, 403, "permission_error", 0},
	{0, 404, "not_found_error", 0},      {0, 413, "request_too_large", 0},
	{0, 429, "rate_limit_error", 0},     {HOKKU_OVERLOADED, 0, "overloaded_error", 529},
	{0, 504, "timeout_error", 0},
};

static const char *error_type(enum hokku_code code, int *status)
{
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		if ((errors[i].code && errors[i].code != code) ||
		    (errors[i].status && errors[i].status != *status))
			continue;
		*status = errors[i].told ? errors[i].told : *status;
		return errors[i].type;
	}
	return *status < 500 ? "invalid_request_error" : "api_error";
}

static int add_error(struct strbuf *b, enum hokku_code code, int status, const char *message,
		     const char *request_id)
{
	/* The words by which clients of this API know that a conversation must be made shorter. */
	const char *before = code == HOKKU_CONTEXT_EXCEEDED ? "prompt is too long: " : "";
	char text[sizeof((struct hokku_error *)0)->message + 32];
	snprintf(text, sizeof text, "%s%s", before, message);
	strbuf_addf(b,
		    "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", error_type(code, &status));
	answer_text(b, text);
	strbuf_add_c(b, "},\"request_id\":");
	if (request_id)
		answer_text(b, request_id);
	else
		strbuf_add_c(b, "null");
	strbuf_add_c(b, "}");
	return status;
}

static int message_refused(struct strbuf *b, enum hokku_code code, int status, const char *message,
			   const char *request_id)
{
	status = add_error(b, code, status, message, request_id);
	strbuf_add_c(b, "\n");
	return status;
}

static void message_error(struct strbuf *b, enum hokku_code code, const char *message, const char *field)
{
	(void)field; /* the message begins with it */
	message_refused(b, code, hokku_code_http(code), message, NULL);
}

static void message_failed(struct strbuf *b, enum hokku_code code, const char *message)
{
	strbuf_add_c(b, "event: error\ndata: ");
	add_error(b, code, hokku_code_http(code), message, NULL);
	strbuf_add_c(b, "\n\n");
}

const struct api api_anthropic = {
	.id_prefix = "msg_",
	.form = &request_anthropic,
	.form_kept = &request_anthropic_kept,
	.keep_alive = message_ping,
	.started = message_started,
	.token = message_token,
	.end = message_end,
	.failed = message_failed,
	.whole = message_whole,
	.error = message_error,
	.refused = message_refused,
	.request_id_header = "request-id",
	.request_id_prefix = "req_",
};

const struct api api_anthropic_count = {
	.does = API_TELLS,
	.id_prefix = "msg_",
	.form = &request_anthropic_count,
	.form_kept = &request_anthropic_count_kept,
	.failed = message_failed,
	.error = message_error,
	.refused = message_refused,
	.request_id_header = "request-id",
	.request_id_prefix = "req_",
};
