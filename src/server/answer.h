/*
 * What the server says: JSON objects and server-sent events (the WHATWG HTML standard's text/event-stream),
 * appended to a strbuf. Pure functions without state.
 */
#ifndef SERVER_ANSWER_H
#define SERVER_ANSWER_H

#include "server/prepare.h"
#include "text/parts.h"

/* {"error":{"code":"...","message":"...","field":"..."}}; field is left out where it is NULL or "". */
void answer_error(struct strbuf *b, enum hokku_code code, const char *message, const char *field);

/* A seed as JSON: a number where every JSON reader keeps it exact (up to 2^53 - 1), else a string of digits.
 */
void answer_seed(struct strbuf *b, uint64_t seed);

/* The shortest decimal that reads back as the same float. */
void answer_float(struct strbuf *b, float value);

/* What a form remembers of a sample's stream from one call to the next, as it likes; zeroed before the first.
 */
struct answer_memo {
	uint64_t n_events;      /* sent */
	uint32_t n_blocks;      /* begun */
	bool open;              /* the last of these goes on */
	enum part_kind kind;    /* and is one of these */
	struct strbuf text;     /* of it, so far */
	struct strbuf done;     /* the blocks before it, as the last event tells them */
	struct strbuf name;     /* of the call that goes on */
	struct strbuf logprobs; /* of the text that goes on, as api.logprobs adds them */
};

/* What is known of a request before its first token. */
struct answer_start {
	const char *id, *model;
	const char *fingerprint; /* engine/fingerprint.h */
	const char *key;         /* the name of the client's; NULL: there are none */
	const char *asked_model; /* as the request named it; NULL: it did not */
	uint64_t seed;           /* of sample 0; number k of a prompt has the seed + k */
	uint32_t prompt_tokens;  /* of all prompts */
	uint32_t max_tokens;     /* 0: no limit but the context, shown as null; */
	bool no_answer;          /* of these none at all */
	const char *started_at;
	int64_t created;                 /* the same in seconds since 1970 */
	uint64_t now_ns;                 /* nanoseconds since 1970, when this is told */
	const char *template_date;       /* the date that the chat template put into the prompt; "": none */
	const struct prepare_back *back; /* (n_back) with cache_debug */
	uint32_t n_back;
	const struct sampling *sampling;
	const struct token_rules *rules; /* NULL: none */
	struct str stop_json;            /* strings separated by commas */
	struct str warnings_json;        /* the same */
	uint32_t n;                      /* samples */
	bool logprobs;                   /* were asked for */
	/* Of forms that take several prompts: number p (of n / n_each) has the samples from p * n_each on.
	 * Else NULL: there is one, of whose text nothing is told. */
	const struct prepare_prompt *prompts;
	uint32_t n_each;
	bool echo; /* answers begin with their prompts; with logprobs these are told of each sample's prompt
		      too */
	struct str prompt_json; /* what api.prompt_logprobs added of sample 0, separated by commas; ptr NULL:
				   nobody asked */
	bool include_usage;     /* OpenAI's */
	bool return_ids;        /* are told, prompt_ids and the answer's */
	const struct tok_ids *prompt_ids;          /* where request.keep_ids asked; else NULL */
	const struct responses_request *responses; /* of POST /v1/responses; NULL */
	struct answer_memo *memo;                  /* of the sample at hand, of a stream; else NULL */
	const struct gen_request *request;
	uint32_t slot; /* slots.h */
	const struct tok *tok;
};

struct answer_token {
	uint32_t sample, index;
	int32_t token;
	struct str text; /* all that it released */
	/* The same, told apart: text, thinking, calls. A form that knows no such things reads text. */
	const struct part *parts; /* (n_parts) */
	size_t n_parts;
	const struct token_logprobs *logprobs; /* NULL: none */
};

/* Log probabilities of a piece of the prompt: of the tokens from position `first` on. At 0 stands null, and
 * rows begin at 1. */
struct answer_prompt {
	uint32_t sample; /* whose prompt it is: a prompt's first; with echo and logprobs each */
	uint32_t first, n;
	const struct prompt_logprob *rows; /* (n) */
};

/* Of the whole request. */
struct answer_usage {
	uint32_t prompt_tokens;
	uint64_t completion_tokens;
	uint32_t cached_tokens;   /* of the prompt, as its first sample found it */
	uint64_t thinking_tokens; /* of the completion's */
};

/* A sample's end: times in milliseconds. */
struct answer_end {
	uint32_t sample;
	enum hokku_stop stop;
	uint32_t tokens_out;
	uint32_t cached_tokens;
	struct cache_miss cache_miss; /* NOT_ASKED: it was not */
	uint64_t text_bytes;
	double prefill_ms, decode_ms, ttft_ms;
	double total_ms;           /* since the request was there */
	struct str stop_text;      /* of HOKKU_STOP_STOP: the one that occurred; ptr NULL: a token did */
	const struct tok_ids *ids; /* of the answer, where request.keep_ids asked; else NULL */
	/* What came to light when there was no more to come; after all tokens' parts. */
	const struct part *parts; /* (n_parts) */
	size_t n_parts;
	uint32_t n_calls;         /* whole ones, in the sample's answer */
	uint32_t thinking_tokens; /* of tokens_out */
	/* The token that ended it, uncounted, where logprobs were asked and the form tells it; else NULL. Of
	 * a whole answer it is in logprobs_json. */
	const struct answer_token *end_token;
	bool last; /* of the request's samples: usage is filled */
	struct answer_usage usage;
};

/* A sample of an answer that leaves in one piece. */
struct answer_sample {
	struct str text, logprobs_json; /* the latter: what api.logprobs added, separated by commas */
	struct str prompt_json;         /* as answer_start's, of this sample */
	/* All of text, told apart; pieces of a kind that stood side by side are one. */
	const struct part *parts; /* (n_parts) */
	size_t n_parts;
	struct answer_end end;
};

/*
 * How a family of routes speaks: what it takes, and how it says what the engine told. Each function appends
 * to b; a stream is started, token, end in this order for each sample, samples in any order among one
 * another, and ends with the last end or with failed. After the first sample's started comes prompt, in
 * pieces in the order of positions, where it was asked for.
 */
struct api {
	enum {
		API_ANSWERS,
		API_SAVES, /* states.h: one object at the end */
		API_RESTORES,
		API_TELLS /* form->tell makes the whole of what is said */
	} does;
	const char *id_prefix; /* of an id that is drawn */
	const struct request_form *form;
	bool tells_end_token;                 /* beside those that are counted */
	const struct request_form *form_kept; /* with --keep-billing-header; NULL: form */
	const char *stream_type;              /* Content-Type of a stream; NULL: text/event-stream */
	void (*keep_alive)(struct strbuf *b); /* NULL: nothing is sent while there is nothing to tell */
	void (*started)(struct strbuf *b, const struct answer_start *start, uint32_t sample, bool first);
	void (*prompt)(struct strbuf *b, const struct answer_start *start,
		       const struct answer_prompt *prompt);
	void (*token)(struct strbuf *b, const struct answer_start *start, const struct answer_token *token);
	void (*end)(struct strbuf *b, const struct answer_start *start, const struct answer_end *end);
	void (*failed)(struct strbuf *b, enum hokku_code code, const char *message);
	/* In place of failed, where the stream has begun and its events have more to say; NULL: failed. */
	void (*broken)(struct strbuf *b, const struct answer_start *start, enum hokku_code code,
		       const char *message);
	bool text_logprobs; /* log probabilities are of what is for people alone */
	/* After the last sample's end: what is to be remembered of the answer (responses.h); NULL: nothing.
	 */
	void (*keep)(struct responses *responses, uint32_t owner, const struct answer_start *start,
		     const struct answer_sample *sample);
	/* All of it in one object: (start->n) samples. */
	void (*whole)(struct strbuf *b, const struct answer_start *start,
		      const struct answer_sample *samples);
	/* A token's entry in logprobs_json. */
	void (*logprobs)(struct strbuf *b, const struct answer_start *start,
			 const struct answer_token *token);
	/* The same of the prompt's, separated by commas. */
	void (*prompt_logprobs)(struct strbuf *b, const struct answer_start *start,
				const struct answer_prompt *prompt);
	/* The body of an error; field as in answer_error. */
	void (*error)(struct strbuf *b, enum hokku_code code, const char *message, const char *field);
	/* The same of a prompt that does not fit the context, where it tells both numbers; NULL: error does.
	 */
	void (*too_long)(struct strbuf *b, const char *message, uint32_t n_prompt, uint32_t n_ctx);
	/* The same where it takes the status and the request's id, too; NULL: error does. Returns the status
	 * that this API has for it. */
	int (*refused)(struct strbuf *b, enum hokku_code code, int status, const char *message,
		       const char *request_id);
	const char *request_id_header; /* every answer has one of its own in it; NULL: none has */
	const char *request_id_prefix;
};
extern const struct api api_native;                           /* POST /v1/generate */
extern const struct api api_openai_chat;                      /* POST /v1/chat/completions */
extern const struct api api_completion;                       /* POST /v1/completions */
extern const struct api api_ollama_chat, api_ollama_generate; /* POST /api/... */
extern const struct api api_openai_responses;                 /* POST /v1/responses */
extern const struct api api_anthropic, api_anthropic_count; /* POST /v1/messages, /v1/messages/count_tokens */

extern const struct api api_state_save, api_state_restore; /* POST /v1/state/... */

/* Whose form errors have at a path (routes.c). */
const struct api *api_of_path(const char *path);

void answer_keep_alive(struct strbuf *b); /* a comment */

/* What the forms share. */
void answer_text(struct strbuf *b, const char *text);
/* A value of s as JSON. */
void answer_sampling_value(struct strbuf *b, const struct sampling *s, const struct sampling_field *f);
void answer_sampling(struct strbuf *b, const struct sampling *s);
/* Members that tell what was granted, after a comma: max_tokens, stop, sampling. */
void answer_terms(struct strbuf *b, const struct answer_start *s);
/* OpenAI's usage, an object. */
void answer_usage(struct strbuf *b, const struct answer_usage *usage);
/* After a comma, of a whole answer and of the chunk that ends the last sample: "hokku", and "warnings" where
 * there are any. end: in forms that have "cache_debug" in there; else NULL. */
void answer_own(struct strbuf *b, const struct answer_start *s, const struct answer_end *end);
void answer_warnings(struct strbuf *b, const struct answer_start *s); /* the latter alone */
/* "cache_debug":{..} after a comma, where it was asked. */
void answer_cache_debug(struct strbuf *b, const struct answer_start *s, const struct answer_end *end);
/* A log probability; -9999, as OpenAI has it, where a token can never come. */
void answer_logprob(struct strbuf *b, float logprob);
/* ,"prompt_logprobs":[..] where it was asked. */
void answer_prompt_logprobs(struct strbuf *b, const struct answer_start *start);
/* {"token","id","logprob","bytes","top_logprobs"}; ids false: without "id". */
void answer_logprobs(struct strbuf *b, const struct tok *tok, const struct answer_token *token, bool ids);

#endif
