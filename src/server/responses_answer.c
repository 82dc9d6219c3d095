/*
 * Answers of POST /v1/responses: items (reasoning, a message, calls of tools) in the order in which they
 * came, and of a stream an event for each beginning, piece and end of one, numbered.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "server/answer.h"
#include "server/openai.h"
#include "server/responses.h"

/* One item of the output. */
struct item {
	uint32_t index;
	enum part_kind kind; /* TEXT, THINKING, or CALL */
	struct str name;     /* of a call, as the model knows it */
	struct str text;     /* of a call: its arguments */
	struct str logprobs; /* of a text: separated by commas */
	const char *status;  /* "in_progress", "completed", "incomplete" */
};

/* "resp_0123" becomes "msg_0123_2". */
static void add_id(struct strbuf *b, const struct answer_start *start, const char *prefix, uint32_t index)
{
	const char *id = strchr(start->id, '_');
	strbuf_addf(b, "\"%s%s_%" PRIu32 "\"", prefix, id ? id + 1 : start->id, index);
}

static const struct responses_tool *tool_of(const struct answer_start *start, struct str name)
{
	return start->responses ? responses_find(start->responses, name) : NULL;
}

static const char *id_prefix(const struct answer_start *start, const struct item *item)
{
	const struct responses_tool *tool = item->kind == PART_CALL ? tool_of(start, item->name) : NULL;
	return item->kind == PART_TEXT       ? "msg_"
	       : item->kind == PART_THINKING ? "rs_"
	       : tool && tool->custom        ? "ctc_"
					     : "fc_";
}

/* The text of {"input": "..."}, the arguments of a custom tool's call. */
static void add_custom_input(struct strbuf *b, struct str arguments)
{
	struct hokku_error err;
	struct jv_doc doc = {0};
	struct str text = {"", 0}; /* of a call that was cut nothing can be told yet */
	bool read = !jv_parse(arguments, JV_STRICT, &doc, &err);
	if (read && jv_is(jv_get(&doc.root, "input"), JV_STRING))
		text = jv_str(jv_get(&doc.root, "input"));
	strbuf_add_json(b, text.ptr ? text.ptr : "", text.len);
	if (read)
		jv_doc_free(&doc);
}

static void add_text_part(struct strbuf *b, struct str text, struct str logprobs)
{
	strbuf_add_c(b, "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[");
	strbuf_add(b, logprobs.ptr ? logprobs.ptr : "", logprobs.len);
	strbuf_add_c(b, "],\"text\":");
	strbuf_add_json(b, text.ptr ? text.ptr : "", text.len);
	strbuf_add_c(b, "}");
}

static void add_thinking_part(struct strbuf *b, struct str text)
{
	strbuf_add_c(b, "{\"type\":\"reasoning_text\",\"text\":");
	strbuf_add_json(b, text.ptr ? text.ptr : "", text.len);
	strbuf_add_c(b, "}");
}

static void add_call(struct strbuf *b, const struct answer_start *start, const struct item *item)
{
	const struct responses_tool *tool = tool_of(start, item->name);
	struct str name = tool ? str_c(tool->name) : item->name;
	bool custom = tool && tool->custom;
	strbuf_addf(b, ",\"type\":\"%s\",\"call_id\":", custom ? "custom_tool_call" : "function_call");
	add_id(b, start, "call_", item->index);
	strbuf_add_c(b, ",\"name\":");
	strbuf_add_json(b, name.ptr ? name.ptr : "", name.len);
	if (tool && tool->of) {
		strbuf_add_c(b, ",\"namespace\":");
		answer_text(b, tool->of);
	}
	if (!custom) {
		strbuf_add_c(b, ",\"arguments\":");
		strbuf_add_json(b, item->text.ptr ? item->text.ptr : "", item->text.len);
		strbuf_addf(b, ",\"status\":\"%s\"", item->status);
		return;
	}
	strbuf_add_c(b, ",\"input\":");
	add_custom_input(b, item->text);
	if (strcmp(item->status, "incomplete") == 0) /* else a client would run it */
		strbuf_add_c(b, ",\"status\":\"incomplete\"");
}

static void add_item(struct strbuf *b, const struct answer_start *start, const struct item *item)
{
	bool begun = strcmp(item->status, "in_progress") != 0;
	strbuf_add_c(b, "{\"id\":");
	add_id(b, start, id_prefix(start, item), item->index);
	if (item->kind == PART_TEXT) {
		strbuf_addf(b, ",\"type\":\"message\",\"status\":\"%s\",\"role\":\"assistant\",\"content\":[",
			    item->status);
		if (begun)
			add_text_part(b, item->text, item->logprobs);
		strbuf_add_c(b, "]");
	} else if (item->kind == PART_THINKING) {
		strbuf_addf(b, ",\"type\":\"reasoning\",\"status\":\"%s\",\"summary\":[],\"content\":[",
			    item->status);
		if (begun)
			add_thinking_part(b, item->text);
		strbuf_add_c(b, "]");
	} else {
		add_call(b, start, item);
	}
	strbuf_add_c(b, "}");
}

static void add_usage(struct strbuf *b, const struct answer_usage *u)
{
	strbuf_addf(b,
		    "{\"input_tokens\":%" PRIu32
		    ",\"input_tokens_details\":{\"cache_write_tokens\":0,\"cached_tokens\":%" PRIu32
		    "},\"output_tokens\":%" PRIu64 ",\"output_tokens_details\":{\"reasoning_tokens\":%" PRIu64
		    "},\"total_tokens\":%" PRIu64 "}",
		    u->prompt_tokens, u->cached_tokens, u->completion_tokens, u->thinking_tokens,
		    u->prompt_tokens + u->completion_tokens);
}

static bool is_cut(const struct answer_end *end)
{
	return end->stop == HOKKU_STOP_LENGTH || end->stop == HOKKU_STOP_CONTEXT;
}

/* The response as it is. end NULL: it has only begun, or (error) has broken off. */
static void add_response(struct strbuf *b, const struct answer_start *start, const struct answer_end *end,
			 struct str output, const struct hokku_error *error)
{
	const char *status = error         ? "failed"
			     : !end        ? "in_progress"
			     : is_cut(end) ? "incomplete"
					   : "completed";
	strbuf_add_c(b, "{\"id\":");
	answer_text(b, start->id);
	strbuf_addf(b,
		    ",\"object\":\"response\",\"created_at\":%" PRId64 ",\"status\":\"%s\",\"completed_at\":",
		    start->created, status);
	if (end)
		strbuf_addf(b, "%" PRId64,
			    start->created + (int64_t)((end->prefill_ms + end->decode_ms) / 1000));
	else
		strbuf_add_c(b, "null");
	strbuf_add_c(b, ",\"error\":");
	if (error) {
		strbuf_addf(b, "{\"code\":\"%s\",\"message\":",
			    error->code == HOKKU_RATE_LIMITED ? "rate_limit_exceeded" : "server_error");
		answer_text(b, error->message);
		strbuf_add_c(b, "}");
	} else {
		strbuf_add_c(b, "null");
	}
	strbuf_addf(b, ",\"incomplete_details\":%s,\"model\":",
		    end && is_cut(end) ? "{\"reason\":\"max_output_tokens\"}" : "null");
	answer_text(b, start->asked_model ? start->asked_model : start->model);
	strbuf_add_c(b, ",\"output\":[");
	strbuf_add(b, output.ptr ? output.ptr : "", output.len);
	strbuf_add_c(b, "],\"usage\":");
	if (end)
		add_usage(b, &end->usage);
	else
		strbuf_add_c(b, "null");
	if (start->responses)
		strbuf_add(b, start->responses->echo.ptr, start->responses->echo.len);
	if (end)
		answer_own(b, start, NULL);
	strbuf_add_c(b, "}");
}

/* ---- streams ---- */

/* An event up to the members of its own. */
static void begin_event(struct strbuf *b, const struct answer_start *start, const char *type)
{
	strbuf_addf(b, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%" PRIu64, type, type,
		    start->memo->n_events++);
}

static void end_event(struct strbuf *b)
{
	strbuf_add_c(b, "}\n\n");
}

/* The item that goes on. */
static struct item open_item(const struct answer_start *start, const char *status)
{
	const struct answer_memo *m = start->memo;
	return (struct item){.index = m->n_blocks - 1,
			     .kind = m->kind,
			     .name = {m->name.ptr, m->name.len},
			     .text = {m->text.ptr, m->text.len},
			     .logprobs = {m->logprobs.ptr, m->logprobs.len},
			     .status = status};
}

/* An event about the open item, which names it. content: it has contents, of which this is the first. */
static void begin_item_event(struct strbuf *b, const struct answer_start *start, const char *type,
			     bool content)
{
	const struct item item = open_item(start, "in_progress");
	begin_event(b, start, type);
	strbuf_add_c(b, ",\"item_id\":");
	add_id(b, start, id_prefix(start, &item), item.index);
	strbuf_addf(b, ",\"output_index\":%" PRIu32 "%s", item.index, content ? ",\"content_index\":0" : "");
}

static void part_event(struct strbuf *b, const struct answer_start *start, const char *type, bool whole)
{
	const struct item item = open_item(start, "completed");
	struct str none = {"", 0};
	begin_item_event(b, start, type, true);
	strbuf_add_c(b, ",\"part\":");
	if (item.kind == PART_TEXT)
		add_text_part(b, whole ? item.text : none, whole ? item.logprobs : none);
	else
		add_thinking_part(b, whole ? item.text : none);
	end_event(b);
}

static void item_event(struct strbuf *b, const struct answer_start *start, const char *type,
		       const char *status)
{
	const struct item item = open_item(start, status);
	begin_event(b, start, type);
	strbuf_addf(b, ",\"output_index\":%" PRIu32 ",\"item\":", item.index);
	add_item(b, start, &item);
	end_event(b);
}

static void open_block(struct strbuf *b, const struct answer_start *start, enum part_kind kind,
		       struct str name)
{
	struct answer_memo *m = start->memo;
	m->open = true;
	m->kind = kind;
	m->n_blocks++;
	strbuf_clear(&m->text);
	strbuf_clear(&m->name);
	strbuf_clear(&m->logprobs);
	strbuf_add(&m->name, name.ptr ? name.ptr : "", name.len);
	item_event(b, start, "response.output_item.added", "in_progress");
	if (kind != PART_CALL)
		part_event(b, start, "response.content_part.added", false);
}

static void add_done_text(struct strbuf *b, const struct answer_start *start)
{
	const struct answer_memo *m = start->memo;
	strbuf_add_json(b, m->text.ptr ? m->text.ptr : "", m->text.len);
}

static bool is_custom(const struct answer_start *start)
{
	const struct responses_tool *tool = tool_of(start, open_item(start, "").name);
	return tool && tool->custom;
}

static void close_call(struct strbuf *b, const struct answer_start *start, const char *status)
{
	if (strcmp(status, "completed") != 0) /* there is no end to tell */
		return;
	const struct item item = open_item(start, "completed");
	if (!is_custom(start)) {
		const struct responses_tool *tool = tool_of(start, item.name);
		struct str name = tool ? str_c(tool->name) : item.name;
		begin_item_event(b, start, "response.function_call_arguments.done", false);
		strbuf_add_c(b, ",\"name\":");
		strbuf_add_json(b, name.ptr, name.len);
		strbuf_add_c(b, ",\"arguments\":");
		add_done_text(b, start);
		end_event(b);
		return;
	}
	/* Its text is inside the JSON that came: it is told once that is whole. */
	begin_item_event(b, start, "response.custom_tool_call_input.delta", false);
	strbuf_add_c(b, ",\"delta\":");
	add_custom_input(b, item.text);
	end_event(b);
	begin_item_event(b, start, "response.custom_tool_call_input.done", false);
	strbuf_add_c(b, ",\"input\":");
	add_custom_input(b, item.text);
	end_event(b);
}

static void close_block(struct strbuf *b, const struct answer_start *start, const char *status)
{
	struct answer_memo *m = start->memo;
	if (!m->open)
		return;
	if (m->kind == PART_CALL) {
		close_call(b, start, status);
	} else {
		bool text = m->kind == PART_TEXT;
		begin_item_event(b, start,
				 text ? "response.output_text.done" : "response.reasoning_text.done", true);
		if (text) {
			strbuf_add_c(b, ",\"logprobs\":[");
			strbuf_add(b, m->logprobs.ptr ? m->logprobs.ptr : "", m->logprobs.len);
			strbuf_add_c(b, "]");
		}
		strbuf_add_c(b, ",\"text\":");
		add_done_text(b, start);
		end_event(b);
		part_event(b, start, "response.content_part.done", true);
	}
	item_event(b, start, "response.output_item.done", status);
	const struct item item = open_item(start, status);
	strbuf_add_c(&m->done, m->done.len ? "," : "");
	add_item(&m->done, start, &item);
	m->open = false;
}

static void started(struct strbuf *b, const struct answer_start *start, uint32_t sample, bool first)
{
	static const char *const types[] = {"response.created", "response.in_progress"};
	(void)sample;
	(void)first;
	for (size_t i = 0; i < 2; i++) {
		begin_event(b, start, types[i]);
		strbuf_add_c(b, ",\"response\":");
		add_response(b, start, NULL, (struct str){"", 0}, NULL);
		end_event(b);
	}
}

static void add_logprobs(struct strbuf *b, const struct answer_start *start, const struct answer_token *t)
{
	answer_logprobs(b, start->tok, t, false);
}

/* A piece of text, thinking or arguments. t: whose logprobs it has; NULL: none. */
static void piece(struct strbuf *b, const struct answer_start *start, const struct part *part,
		  const struct answer_token *t)
{
	struct answer_memo *m = start->memo;
	strbuf_add(&m->text, part->text.ptr ? part->text.ptr : "", part->text.len);
	if (part->kind == PART_ARGUMENTS && is_custom(start))
		return;
	begin_item_event(b, start,
			 part->kind == PART_TEXT       ? "response.output_text.delta"
			 : part->kind == PART_THINKING ? "response.reasoning_text.delta"
						       : "response.function_call_arguments.delta",
			 part->kind != PART_ARGUMENTS);
	if (part->kind == PART_TEXT) {
		strbuf_add_c(b, ",\"logprobs\":[");
		if (t && t->logprobs) {
			add_logprobs(b, start, t);
			strbuf_add_c(&m->logprobs, m->logprobs.len ? "," : "");
			add_logprobs(&m->logprobs, start, t);
		}
		strbuf_add_c(b, "]");
	}
	strbuf_add_c(b, ",\"delta\":");
	strbuf_add_json(b, part->text.ptr ? part->text.ptr : "", part->text.len);
	end_event(b);
}

static void tell_parts(struct strbuf *b, const struct answer_start *start, const struct part *parts, size_t n,
		       const struct answer_token *t)
{
	struct answer_memo *m = start->memo;
	for (size_t i = 0; i < n; i++) {
		const struct part *part = &parts[i];
		switch (part->kind) {
		case PART_TEXT:
		case PART_THINKING:
			if (!m->open || m->kind != part->kind) {
				close_block(b, start, "completed");
				open_block(b, start, part->kind, (struct str){"", 0});
			}
			piece(b, start, part, t);
			t = part->kind == PART_TEXT ? NULL : t;
			break;
		case PART_CALL:
			close_block(b, start, "completed");
			open_block(b, start, PART_CALL, part->text);
			break;
		case PART_ARGUMENTS:
			piece(b, start, part, NULL);
			break;
		case PART_CALL_END:
			close_block(b, start, "completed");
			break;
		}
	}
	/* Of a token that released no text of its own. */
	if (t && t->logprobs && n == 0 && m->open && m->kind == PART_TEXT)
		piece(b, start, &(struct part){.kind = PART_TEXT, .text = {"", 0}}, t);
}

static void token(struct strbuf *b, const struct answer_start *start, const struct answer_token *t)
{
	tell_parts(b, start, t->parts, t->n_parts, t);
}

static void end(struct strbuf *b, const struct answer_start *start, const struct answer_end *e)
{
	tell_parts(b, start, e->parts, e->n_parts, NULL);
	close_block(b, start, is_cut(e) || start->memo->kind == PART_CALL ? "incomplete" : "completed");
	begin_event(b, start, is_cut(e) ? "response.incomplete" : "response.completed");
	strbuf_add_c(b, ",\"response\":");
	add_response(b, start, e, (struct str){start->memo->done.ptr, start->memo->done.len}, NULL);
	end_event(b);
}

static void failed(struct strbuf *b, enum hokku_code code, const char *message)
{
	strbuf_addf(
		b,
		"event: error\ndata: {\"type\":\"error\",\"sequence_number\":0,\"code\":\"%s\",\"message\":",
		code == HOKKU_RATE_LIMITED ? "rate_limit_exceeded" : "server_error");
	answer_text(b, message);
	strbuf_add_c(b, ",\"param\":null}\n\n");
}

static void broken(struct strbuf *b, const struct answer_start *start, enum hokku_code code,
		   const char *message)
{
	struct hokku_error error;
	err_set(&error, code, "%s", message);
	close_block(b, start, "incomplete");
	begin_event(b, start, "response.failed");
	strbuf_add_c(b, ",\"response\":");
	add_response(b, start, NULL, (struct str){start->memo->done.ptr, start->memo->done.len}, &error);
	end_event(b);
}

/* ---- in one piece ---- */

static void add_output(struct strbuf *b, const struct answer_start *start, const struct answer_sample *s)
{
	const char *last = is_cut(&s->end) ? "incomplete" : "completed";
	struct item item = {0};
	bool logprobs = true; /* of the first text */
	for (size_t i = 0; i < s->n_parts; i++) {
		const struct part *part = &s->parts[i];
		bool ends = i + 1 == s->n_parts;
		if (part->kind == PART_ARGUMENTS || part->kind == PART_CALL_END)
			continue;
		item.kind = part->kind;
		item.name = part->text;
		item.text = part->kind == PART_CALL ? (struct str){"", 0} : part->text;
		item.logprobs = (struct str){"", 0};
		item.status = ends ? last : "completed";
		if (part->kind == PART_TEXT && logprobs) {
			item.logprobs = s->logprobs_json;
			logprobs = false;
		}
		if (part->kind == PART_CALL) {
			bool whole = false;
			for (size_t k = i + 1; k < s->n_parts && s->parts[k].call == part->call &&
					       s->parts[k].kind != PART_CALL;
			     k++) {
				if (s->parts[k].kind == PART_ARGUMENTS)
					item.text = s->parts[k].text;
				whole |= s->parts[k].kind == PART_CALL_END;
			}
			item.status = whole ? "completed" : "incomplete";
		}
		strbuf_add_c(b, item.index ? "," : "");
		add_item(b, start, &item);
		item.index++;
	}
}

static void whole(struct strbuf *b, const struct answer_start *start, const struct answer_sample *samples)
{
	struct strbuf output = {0};
	add_output(&output, start, samples);
	add_response(b, start, &samples->end, (struct str){output.ptr, output.len}, NULL);
	strbuf_add_c(b, "\n");
	b->failed |= output.failed;
	strbuf_free(&output);
}

static void keep(struct responses *responses, uint32_t owner, const struct answer_start *start,
		 const struct answer_sample *s)
{
	struct strbuf output = {0}, object = {0}, items = {0};
	const struct responses_request *r = start->responses;
	if (!r || !r->store)
		return;
	if (start->memo)
		strbuf_add(&output, start->memo->done.ptr ? start->memo->done.ptr : "",
			   start->memo->done.len);
	else
		add_output(&output, start, s);
	add_response(&object, start, &s->end, (struct str){output.ptr, output.len}, NULL);
	strbuf_add(&items, r->items.ptr ? r->items.ptr : "", r->items.len);
	strbuf_add_c(&items, output.len && items.len ? "," : "");
	strbuf_add(&items, output.ptr ? output.ptr : "", output.len);
	if (!output.failed && !object.failed && !items.failed)
		responses_put(responses, owner, start->id, (struct str){object.ptr, object.len},
			      (struct str){items.ptr, items.len}, clock_ns());
	strbuf_free(&output);
	strbuf_free(&object);
	strbuf_free(&items);
}

const struct api api_openai_responses = {
	.id_prefix = "resp_",
	.form = &request_responses,
	.keep_alive = answer_keep_alive,
	.started = started,
	.token = token,
	.end = end,
	.failed = failed,
	.broken = broken,
	.keep = keep,
	.text_logprobs = true,
	.whole = whole,
	.logprobs = add_logprobs,
	.error = openai_error,
};
