/*
 * Texts that go on, as OpenAI's older route has them: text_completion objects, of which a stream's chunks are
 * too. Log probabilities come as four arrays side by side; of a whole answer each token's four entries wait
 * as a record: separated by UNIT, ended by RECORD, which JSON never holds.
 */
#include <inttypes.h>
#include <math.h>

#include "server/openai.h"

enum { UNIT = 0x1f, RECORD = 0x1e, N_LISTS = 4 };

static const char *const list_names[N_LISTS] = {"tokens", "token_logprobs", "top_logprobs", "text_offset"};

static const struct prompt_text *prompt_of(const struct answer_start *s, uint32_t sample)
{
	return &s->prompts[sample / s->n_each].text;
}

/* Whether the prompt's tokens are told beside the answer's. */
static bool tells_all(const struct answer_start *s)
{
	return s->echo && s->logprobs;
}

/* ---- log probabilities ---- */

/* A token's text; bytes that are no text as OpenAI writes them: "bytes:\xe3\x81". */
static void add_token(struct strbuf *b, const struct tok *tok, int32_t token)
{
	struct str bytes = tok_bytes(tok, token);
	if (utf8_valid_prefix(bytes.ptr, bytes.len) == bytes.len) {
		strbuf_add_json(b, bytes.ptr, bytes.len);
		return;
	}
	strbuf_add_c(b, "\"bytes:");
	for (size_t i = 0; i < bytes.len; i++)
		strbuf_addf(b, "\\\\x%02x", (unsigned char)bytes.ptr[i]);
	strbuf_add_c(b, "\"");
}

/* The likeliest tokens by their texts, and the token itself. Of two with one text the likelier is told. */
static void add_top(struct strbuf *b, const struct tok *tok, int32_t token, const struct token_logprobs *l)
{
	struct str seen[LOGPROBS_MAX_TOP + 1];
	uint32_t n_seen = 0;
	strbuf_add_c(b, "{");
	for (uint32_t i = 0; i <= l->n_top; i++) {
		int32_t id = i < l->n_top ? l->top[i].token : token;
		struct str bytes = tok_bytes(tok, id);
		bool known = false;
		for (uint32_t k = 0; k < n_seen; k++)
			known |= str_eq(seen[k], bytes);
		if (known)
			continue;
		strbuf_add_c(b, n_seen ? "," : "");
		seen[n_seen++] = bytes;
		add_token(b, tok, id);
		strbuf_add_c(b, ":");
		answer_logprob(b, i < l->n_top ? l->top[i].logprob : l->logprob);
	}
	strbuf_add_c(b, "}");
}

/* How many characters of text a token begins. */
static uint32_t n_chars(const struct tok *tok, int32_t token)
{
	struct str bytes = tok_bytes(tok, token);
	uint32_t n = 0;
	for (size_t i = 0; i < bytes.len && tok_type(tok, token) != TOK_CONTROL; i++)
		n += ((unsigned char)bytes.ptr[i] & 0xc0) != 0x80;
	return n;
}

/* l: NULL of a text's first token, which nothing stands before. */
static void add_record(struct strbuf *b, const struct tok *tok, int32_t token, const struct token_logprobs *l)
{
	add_token(b, tok, token);
	strbuf_addf(b, "%c", UNIT);
	if (l)
		answer_logprob(b, l->logprob);
	else
		strbuf_add_c(b, "null");
	strbuf_addf(b, "%c", UNIT);
	if (l)
		add_top(b, tok, token, l);
	else
		strbuf_add_c(b, "null");
	strbuf_addf(b, "%c%" PRIu32 "%c", UNIT, n_chars(tok, token), RECORD);
}

static void completion_logprobs(struct strbuf *b, const struct answer_start *start,
				const struct answer_token *t)
{
	add_record(b, start->tok, t->token, t->logprobs);
}

static void completion_prompt_logprobs(struct strbuf *b, const struct answer_start *start,
				       const struct answer_prompt *p)
{
	if (!tells_all(start)) {
		openai_prompt_logprobs(b, start, p);
		return;
	}
	if (!p->first)
		add_record(b, start->tok, prompt_of(start, p->sample)->first, NULL);
	for (uint32_t i = 0; i < p->n; i++)
		add_record(b, start->tok, p->rows[i].token, &p->rows[i].logprobs);
}

/* Where tokens begin, in characters from the prompt's first on. */
struct place {
	uint64_t n_chars; /* of the tokens so far, whose first is the prompt's where it is echoed */
	const struct prompt_text *prompt;
	bool echo;
};

static uint64_t offset_of(const struct place *at)
{
	uint64_t surplus = at->prompt->n_surplus;
	if (!at->echo)
		return at->prompt->n_chars + at->n_chars;
	return at->n_chars > surplus ? at->n_chars - surplus : 0;
}

/* Puts records, which commas may stand between, into the lists. */
static void add_lists(struct strbuf lists[N_LISTS], struct str records, struct place *at)
{
	while (records.len) {
		if (*records.ptr == ',') {
			records.ptr++;
			records.len--;
		}
		for (int i = 0; i < N_LISTS; i++) {
			const char *end = memchr(records.ptr, i + 1 < N_LISTS ? UNIT : RECORD, records.len);
			if (!end) /* it is cut: there was no memory for it, and whoever wrote it knows */
				return;
			size_t n = (size_t)(end - records.ptr);
			strbuf_add_c(&lists[i], lists[i].len ? "," : "");
			if (i + 1 < N_LISTS) {
				strbuf_add(&lists[i], records.ptr, n);
			} else {
				strbuf_addf(&lists[i], "%" PRIu64, offset_of(at));
				for (uint64_t chars = 0, k = 0; k <= n; k++) {
					if (k == n)
						at->n_chars += chars;
					else
						chars = chars * 10 + (uint64_t)(records.ptr[k] - '0');
				}
			}
			records.ptr += n + 1;
			records.len -= n + 1;
		}
	}
}

/* The four lists in braces, and gone. */
static void close_lists(struct strbuf *b, struct strbuf lists[N_LISTS])
{
	for (int i = 0; i < N_LISTS; i++) {
		strbuf_addf(b, "%s\"%s\":[", i ? "," : "{", list_names[i]);
		if (lists[i].ptr)
			strbuf_add(b, lists[i].ptr, lists[i].len);
		strbuf_add_c(b, "]");
		b->failed |= lists[i].failed;
		strbuf_free(&lists[i]);
	}
	strbuf_add_c(b, "}");
}

/* ---- streams ---- */

/* The prompt's that the sample goes on with, where they were asked for. */
static void add_prompt_ids(struct strbuf *b, const struct answer_start *s, uint32_t sample)
{
	const struct prepare_prompt *prompt = &s->prompts[sample / s->n_each];
	if (s->return_ids && s->prompt_ids)
		openai_add_ids(b, "prompt_token_ids", s->prompt_ids->ids + prompt->first, prompt->n);
}

/* What else a chunk tells; all zero: nothing. */
struct more {
	bool begins;                      /* the sample */
	const struct answer_token *token; /* the text's, whose id may be told */
	const struct answer_end *end;
};

/* A chunk; records: of its tokens, those before them being counted in memo; ptr NULL: no logprobs. */
static void add_chunk(struct strbuf *b, const struct answer_start *s, uint32_t sample, struct str text,
		      struct str records, struct more more)
{
	const struct answer_end *end = more.end;
	strbuf_add_c(b, "data: {");
	openai_add_head(b, s, "text_completion");
	strbuf_addf(b, ",\"choices\":[{\"index\":%" PRIu32 ",\"text\":", sample);
	strbuf_add_json(b, text.ptr, text.len);
	strbuf_add_c(b, ",\"logprobs\":");
	if (records.ptr) {
		struct strbuf lists[N_LISTS] = {0};
		struct place at = {s->memo->n_events, prompt_of(s, sample), s->echo};
		add_lists(lists, records, &at);
		close_lists(b, lists);
		s->memo->n_events = at.n_chars;
	} else {
		strbuf_add_c(b, "null");
	}
	strbuf_add_c(b, ",\"finish_reason\":");
	if (end) {
		answer_text(b, openai_finish_reason(end->stop));
		answer_cache_debug(b, s, end);
	} else {
		strbuf_add_c(b, "null");
	}
	if (more.begins)
		add_prompt_ids(b, s, sample);
	if (s->return_ids && more.token) /* what ends an answer is none of it */
		openai_add_ids(b, "token_ids", &more.token->token, !tok_is_end(s->tok, more.token->token));
	strbuf_add_c(b, s->include_usage ? "}],\"usage\":null" : "}]");
	if (end && end->last)
		answer_own(b, s, NULL);
	strbuf_add_c(b, "}\n\n");
}

static const struct str nothing = {"", 0};

/* An echoed prompt comes first; with logprobs when they are there. So do its ids. */
static void completion_started(struct strbuf *b, const struct answer_start *start, uint32_t sample,
			       bool first)
{
	(void)first;
	bool echoes = start->echo && !start->logprobs;
	if (echoes || start->return_ids)
		add_chunk(b, start, sample, echoes ? prompt_of(start, sample)->text : nothing,
			  (struct str){NULL, 0}, (struct more){.begins = true});
}

static void completion_prompt(struct strbuf *b, const struct answer_start *start,
			      const struct answer_prompt *p)
{
	struct strbuf entries = {0};
	completion_prompt_logprobs(&entries, start, p);
	b->failed |= entries.failed;
	if (tells_all(start)) {
		add_chunk(b, start, p->sample, p->first ? nothing : prompt_of(start, p->sample)->text,
			  (struct str){entries.ptr ? entries.ptr : "", entries.len}, (struct more){0});
	} else {
		strbuf_add_c(b, "data: {");
		openai_add_head(b, start, "text_completion");
		strbuf_addf(b,
			    ",\"choices\":[{\"index\":%" PRIu32
			    ",\"text\":\"\",\"logprobs\":null,\"finish_reason\":null,\"prompt_logprobs\":[",
			    p->sample);
		strbuf_add(b, entries.ptr ? entries.ptr : "", entries.len);
		strbuf_add_c(b, start->include_usage ? "]}],\"usage\":null}\n\n" : "]}]}\n\n");
	}
	strbuf_free(&entries);
}

/* A token that releases no text says nothing, unless somebody asked what it is. */
static void completion_token(struct strbuf *b, const struct answer_start *start, const struct answer_token *t)
{
	struct strbuf record = {0};
	if (!t->text.len && !t->logprobs && !start->return_ids)
		return;
	if (t->logprobs)
		completion_logprobs(&record, start, t);
	b->failed |= record.failed;
	add_chunk(b, start, t->sample, t->text.ptr ? t->text : nothing, (struct str){record.ptr, record.len},
		  (struct more){.token = t});
	strbuf_free(&record);
}

static void completion_end(struct strbuf *b, const struct answer_start *start, const struct answer_end *end)
{
	struct strbuf record = {0};
	if (end->end_token)
		completion_logprobs(&record, start, end->end_token);
	b->failed |= record.failed;
	add_chunk(b, start, end->sample, nothing, (struct str){record.ptr, record.len},
		  (struct more){.end = end});
	strbuf_free(&record);
	if (!end->last)
		return;
	if (start->include_usage) {
		strbuf_add_c(b, "data: {");
		openai_add_head(b, start, "text_completion");
		strbuf_add_c(b, ",\"choices\":[],\"usage\":");
		answer_usage(b, &end->usage);
		strbuf_add_c(b, "}\n\n");
	}
	strbuf_add_c(b, "data: [DONE]\n\n");
}

/* ---- whole ---- */

static void add_choice(struct strbuf *b, const struct answer_start *start, const struct answer_sample *all,
		       uint32_t i)
{
	const struct answer_sample *s = &all[i], *first = &all[i - i % start->n_each];
	const struct prompt_text *prompt = prompt_of(start, i);
	struct strbuf text = {0};
	if (start->echo)
		strbuf_add(&text, prompt->text.ptr, prompt->text.len);
	strbuf_add(&text, s->text.ptr ? s->text.ptr : "", s->text.len);
	strbuf_addf(b, "{\"index\":%" PRIu32 ",\"text\":", i);
	strbuf_add_json(b, text.ptr ? text.ptr : "", text.len);
	b->failed |= text.failed;
	strbuf_free(&text);
	strbuf_add_c(b, ",\"logprobs\":");
	if (start->logprobs) {
		struct strbuf lists[N_LISTS] = {0};
		struct place at = {0, prompt, start->echo};
		if (start->echo)
			add_lists(lists, s->prompt_json, &at);
		add_lists(lists, s->logprobs_json, &at);
		close_lists(b, lists);
	} else {
		strbuf_add_c(b, "null");
	}
	strbuf_addf(b, ",\"finish_reason\":\"%s\"", openai_finish_reason(s->end.stop));
	if (first->prompt_json.ptr && !tells_all(start)) {
		strbuf_add_c(b, ",\"prompt_logprobs\":[");
		strbuf_add(b, first->prompt_json.ptr, first->prompt_json.len);
		strbuf_add_c(b, "]");
	}
	answer_cache_debug(b, start, &s->end);
	add_prompt_ids(b, start, i);
	if (start->return_ids && s->end.ids)
		openai_add_ids(b, "token_ids", s->end.ids->ids, s->end.ids->n);
	strbuf_add_c(b, "}");
}

static void completion_whole(struct strbuf *b, const struct answer_start *start,
			     const struct answer_sample *samples)
{
	const struct answer_usage *usage = &samples[0].end.usage;
	strbuf_add_c(b, "{");
	openai_add_head(b, start, "text_completion");
	strbuf_add_c(b, ",\"choices\":[");
	for (uint32_t i = 0; i < start->n; i++) {
		strbuf_add_c(b, i ? "," : "");
		add_choice(b, start, samples, i);
		usage = samples[i].end.last ? &samples[i].end.usage : usage;
	}
	strbuf_add_c(b, "],\"usage\":");
	answer_usage(b, usage);
	answer_own(b, start, NULL);
	strbuf_add_c(b, "}\n");
}

static void completion_error(struct strbuf *b, enum hokku_code code, const char *message, const char *field)
{
	openai_add_error(b, code, message, field, "prompt");
	strbuf_add_c(b, "\n");
}

const struct api api_completion = {
	.id_prefix = "cmpl-",
	.form = &request_completion,
	.tells_end_token = true,
	.keep_alive = answer_keep_alive,
	.started = completion_started,
	.prompt = completion_prompt,
	.token = completion_token,
	.end = completion_end,
	.failed = openai_failed,
	.whole = completion_whole,
	.logprobs = completion_logprobs,
	.prompt_logprobs = completion_prompt_logprobs,
	.error = completion_error,
};
