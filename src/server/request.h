/*
 * The bodies of requests: JSON in, checked structs out. What comes in is not trusted in any way; every field
 * has a range, and what is wrong is named with the value found and the values allowed.
 *
 * Pure functions without state: any thread may call them.
 */
#ifndef SERVER_REQUEST_H
#define SERVER_REQUEST_H

#include "base/json.h"
#include "engine/calling.h"
#include "engine/engine.h"

enum {
	REQUEST_MAX_ID_BYTES = 64,
	REQUEST_PRIORITY = 1,           /* where none is given */
	REQUEST_MAX_CONTAINERS = 20000, /* objects and arrays in a body */
	REQUEST_MAX_ELEMENTS = 2097152, /* values in a body, token ids for the most part */
	REQUEST_MAX_WARNINGS = 16,      /* unknown fields named one by one */
	REQUEST_MAX_SMALL_BODY = 16384, /* of what asks for no answer: parsed on the loop's thread */
	REQUEST_MAX_N = 128,            /* samples of one prompt */
	REQUEST_MAX_PROMPTS = 2048,     /* of a request that has several */
	REQUEST_MAX_MODEL_BYTES = 256,
	REQUEST_MAX_TOOL_NAME_BYTES = 128,
	/* Log probabilities of a prompt in a whole answer, which is held in memory: each has a hundred bytes.
	 */
	REQUEST_MAX_PROMPT_LOGPROBS = 1 << 19,
	REQUEST_MAX_NAME_BYTES = 64, /* of a state */
};

/* What llama-server's routes take beside the rest. */
struct llama_fields {
	/* Of /tokenize. */
	const struct jv *content; /* NULL: not given */
	bool add_special, plain_special, with_pieces;
	/* Of /completion and /infill: until the prompt's tokens are there. */
	const struct jv *prompt, *prefix, *suffix, *extra;
	int32_t slot;      /* asked for, and 1; 0: any */
	uint32_t samplers; /* where has_samplers */
	bool has_samplers, post_probs, return_tokens;
	struct strbuf fields; /* of the answer that are told, a zero byte behind each; empty: all */
};

/* An entry of logit_bias that names a text: all of its tokens get the bias. */
struct request_bias_text {
	struct str text;
	float bias;
};
struct responses;
struct responses_request;

#define REQUEST_ORIGIN_SYSTEM UINT32_MAX

/* One of several prompts: a text, or the next n_tokens of gen_request.tokens. */
struct request_prompt {
	struct str text; /* ptr NULL: tokens */
	size_t n_tokens;
};

/* A request for an answer, whichever API it came by. Exactly one of prompt, tokens, messages and prompts is
 * there. */
struct gen_request {
	struct str prompt;
	int32_t *tokens; /* (n_tokens) */
	size_t n_tokens;
	const char *tokens_name; /* the field that gave them */
	bool parse_special;      /* names of special tokens in prompt become those tokens */
	int32_t *before;         /* (n_before) goes before what prompt or messages give */
	size_t n_before;
	const char *before_name;
	/* Of forms that take several; each has n samples of its own. tokens are those of all of them. */
	struct request_prompt *prompts; /* (n_prompts) */
	uint32_t n_prompts;
	struct str suffix;             /* what comes behind the answer; ptr NULL: nothing is said of it */
	bool echo;                     /* answers begin with their prompts */
	bool no_answer;                /* max_tokens is 0: nothing is drawn that anybody is told */
	struct chat_message *messages; /* (n_messages) */
	size_t n_messages;
	/* (n_messages) of messages that a form made of others: which of the request's each was, in its dotted
	 * names ("messages.2"), or REQUEST_ORIGIN_SYSTEM ("system"); NULL: they are the request's own. */
	uint32_t *origins;
	/* How the answer begins: the model goes on with it. It is part of the prompt; len 0: it does not. */
	struct str begun;
	bool no_answer_begun; /* add_generation_prompt is false: the prompt ends with the last message */
	const struct jv *tools, *template_kwargs; /* for the chat template; NULL. Tools in OpenAI's form */
	const struct jv *allowed_tools; /* OpenAI's tool_choice names these of tools; NULL: all are */
	/* What calls the answer may hold, where there are tools. */
	enum tool_choice tool_choice;
	struct str tool_name; /* of TOOLS_NAMED */
	bool one_call;        /* at most */
	/* Thinking: what the request says of it. */
	enum thinking thinking;
	struct str effort;        /* "low" ...; ptr NULL: not said */
	uint32_t thinking_budget; /* most tokens of it; 0: no limit of its own */
	struct jinja_time now;    /* what the template takes for now */
	bool has_now;
	char name[REQUEST_MAX_NAME_BYTES + 1]; /* of a state; "": none was given */
	char id[REQUEST_MAX_ID_BYTES + 1];     /* "": none was given */
	bool stream;
	bool has_seed;
	uint32_t max_tokens; /* 0: until the context is full */
	uint32_t n;          /* samples of a prompt; number k has the seed + k */
	bool logprobs;
	uint32_t n_top; /* 0 without logprobs */
	bool prompt_logprobs;
	uint32_t n_prompt_top;
	bool return_ids; /* the answer tells the ids of prompt and answer */
	bool keep_ids;   /* the answer's end is told the ids of prompt and answer */
	char *model;     /* as the request names it; NULL: it does not */
	bool has_keep_alive;
	double keep_alive_ns; /* the model stays for so long after this request; below 0: for ever */
	/* OpenAI's. */
	uint32_t max_completion_tokens; /* as max_tokens, under another name */
	bool stream_options, include_usage;
	uint32_t best_of; /* 0: not said */
	struct llama_fields llama;
	uint32_t n_encoded; /* prompts of a form that makes their tokens; 0: one */
	uint32_t priority;  /* 0, which goes first, to SCHED_N_PRIORITIES - 1 */
	bool control_text;  /* control tokens have their names in the text */
	bool cache_prompt, cache_debug;
	struct strbuf cache_salt; /* empty: none */
	/* The answer's shape, and the field that gave it, of static storage: NULL: it has none. */
	const char *shape_field, *space_field;
	enum constrain_kind shape_kind;
	enum constrain_space shape_space;
	struct strbuf shape_text;
	struct sampling sampling;
	struct hokku_logit_bias *bias;        /* what sampling.bias points to */
	struct request_bias_text *bias_texts; /* (n_bias_texts) until request_find_words */
	uint32_t n_bias_texts;
	struct token_rules rules; /* what it points to: */
	int32_t *stop_tokens, *allowed_tokens;
	struct tok_ids bad_ids;
	struct str *bad_words; /* (n_bad_words) until request_find_words */
	uint32_t n_bad_words;
	struct str stop[ENGINE_MAX_STOP];
	uint32_t n_stop;
	bool has_dry_breakers;
	uint32_t n_dry_breakers;
	struct str dry_breakers[DRY_MAX_BREAKERS];
	struct strbuf warnings;              /* JSON strings separated by commas; empty: none */
	struct responses_request *responses; /* of POST /v1/responses; NULL */
	struct jv_doc json;                  /* owns the bytes of all strings above, */
	struct jv_doc made;                  /* and of what a form translated (request_make) */
	char *stop_bytes;                    /* after request_drop_prompt: owns those of stop */
};

/* What an answer that goes on with a prompt tells of it. */
struct prompt_text {
	struct str text;  /* of request.echo, else empty */
	uint32_t n_chars; /* characters of it, echoed or not */
	/* Its tokens' characters beyond n_chars: a space that the vocabulary puts before a text. */
	uint32_t n_surplus;
	int32_t first; /* its first token */
};

/* What a route takes: its fields, all of sampling_fields besides, and what must hold between them. */
struct field;

/* What is served. */
struct request_served {
	const char *name;
	bool several; /* there are other models: the request has been brought to the one that it names */
	uint32_t n_ctx;
	const struct hokku_info *info;
	const struct gguf *file;
	const struct sampling_advice *advice;
	const struct dialect_found *dialect; /* of calls and thinking; NULL: none */
};

/* What a route that needs no engine knows of a request. */
struct request_told {
	const struct request_served *served;
	const struct gen_request *request; /* its fields, prompt and messages included */
	const struct tok *tok;
	const struct chat *chat;
	const struct dialect_found *dialect; /* NULL: none */
	struct chat_input chat_input;        /* of the messages, where there are any */
	const struct tok_ids *ids;           /* of the prompt; empty: form->untokenized, or there is none */
};

/* Appends the body of the answer. Errors as request_parse's. */
typedef enum hokku_code request_tell(const struct request_told *told, struct strbuf *out,
				     struct request_error *err);

/* Of a form whose defaults are another program's. */
struct sampling_default {
	const char *name; /* in sampling_fields; others are passed over */
	double value;
};

/* What the server remembers of requests before, for those of one key. */
struct request_memory {
	struct responses *responses; /* NULL: none are kept */
	uint32_t owner;
};

struct request_form {
	enum sampling_api sampling;
	const struct sampling_default *defaults; /* before those of sampling, behind the model's; ends
						    with name NULL; NULL: none */
	bool reads;                 /* answers to messages are told apart: text, thinking, calls */
	bool stream;                /* where the request says nothing */
	bool strict;                /* an unknown field is refused, not told of */
	bool no_sampling;           /* sampling_fields are unknown too */
	bool untokenized;           /* tell does without the prompt's tokens, which may be none */
	const struct field *fields; /* ends with name NULL */
	/* What it says without the engine, on the thread that prepares; nothing at all: this request
	 * is for an answer. NULL: they all are. */
	request_tell *tell;
	/* Whether a request that passed check goes with what is served; NULL: it always does.
	 * NOT_FOUND: it does not name what is served. */
	enum hokku_code (*admit)(struct gen_request *r, const struct request_served *served,
				 struct request_error *err);
	/* After the check, on the thread that prepares: what depends on requests before. NULL:
	 * nothing does.
	 */
	enum hokku_code (*link)(struct gen_request *r, const struct request_memory *memory,
				struct request_error *err);
	/* What the request calls a place in its tools, which is given as OpenAI's form has it
	 * ("tools[0].function.parameters/x"). NULL: the same. */
	void (*name_tool)(const struct gen_request *r, char field[64]);
	const char *messages; /* the field that messages came by; NULL: messages, each by its number */
	/* Appends the tokens of prompt number `index` (of r->n_encoded); NULL: they are made of prompt,
	 * tokens, messages or prompts. */
	enum hokku_code (*encode)(struct gen_request *r, const struct tok *tok, uint32_t index,
				  struct tok_ids *out, struct request_error *err);
	/* stray: an unknown field that may have been meant for the prompt, terminated; ptr NULL: none. */
	enum hokku_code (*check)(struct gen_request *r, struct str stray, struct request_error *err);
};
extern const struct request_form request_native;                               /* POST /v1/generate */
extern const struct request_form request_openai_chat;                          /* POST /v1/chat/completions */
extern const struct request_form request_completion;                           /* POST /v1/completions */
extern const struct request_form request_ollama_chat, request_ollama_generate; /* POST /api/... */
/* POST /v1/messages and /v1/messages/count_tokens; kept: with --keep-billing-header. */
extern const struct request_form request_anthropic, request_anthropic_kept, request_anthropic_count,
	request_anthropic_count_kept;

/* Fills *out, which request_free frees whatever the result. advice: of the model's file; NULL: none.
 */
enum hokku_code request_parse(struct str body, const struct request_form *form,
			      const struct sampling_advice *advice, struct gen_request *out,
			      struct request_error *err);
/* What is in effect where a request says nothing. */
void request_defaults(const struct request_form *form, const struct sampling_advice *advice,
		      struct sampling *out);
/* For forms that translate: JSON in hokku's own or OpenAI's form, read once and kept with r; *out is
 * its value. One a request. What is wrong with it is INTERNAL (a form writes what can be read), or
 * OUT_OF_MEMORY.
 */
enum hokku_code request_make(struct gen_request *r, const struct strbuf *json, const struct jv **out,
			     struct request_error *err);
/* That no top_logprobs come without logprobs; for forms' checks. */
enum hokku_code request_check_logprobs(const struct gen_request *r, struct request_error *err);
/* That what is said of a shape goes with one; the same. */
enum hokku_code request_check_shape(const struct gen_request *r, struct request_error *err);
/* That no more tokens are asked for at least than at most; the same. */
enum hokku_code request_check_rules(const struct gen_request *r, struct request_error *err);
/* Texts in logit_bias and bad_words become tokens, and tokens that rules name are found in the
 * vocabulary. */
enum hokku_code request_find_words(struct gen_request *r, const struct tok *tok, struct request_error *err);
/* That a whole answer has room for the prompt's, of n_tokens. */
enum hokku_code request_check_prompt_logprobs(const struct gen_request *r, size_t n_tokens,
					      struct request_error *err);
void request_free(struct gen_request *r);

/* Frees the JSON and the prompt, which may be large, and keeps the rest. False: no memory. */
bool request_drop_prompt(struct gen_request *r);

/* The fields of POST /v1/cancel; ends with NULL. */
extern const char *const request_cancel_fields[];

/* {"id": "..."} of POST /v1/cancel; warnings as above (the caller frees them). */
enum hokku_code request_parse_cancel(struct str body, char id[REQUEST_MAX_ID_BYTES + 1],
				     struct strbuf *warnings, struct request_error *err);

#endif
