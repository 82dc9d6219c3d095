/*
 * hokku: a small, fast, exact engine that runs language models from GGUF files.
 *
 * The boundary in one paragraph: a `struct hokku` is one loaded model on one device. You give it a request
 * (a prompt or chat messages, and how to sample) and it calls you back with text as the text is made. You
 * never see a tensor, a token buffer or a thread. Every function that can fail returns a `enum hokku_code`
 * and fills the `struct hokku_error` you own with a sentence that names the thing at fault.
 *
 * Threads: all functions may be called from any thread at any time, save that hokku_close() must be the last
 * call on its handle. Requests from several threads are begun in the order they came,
 * and as many computed together as hokku_options.n_parallel says.
 *
 * Versions: `struct_size` fields let a library newer than its caller know which fields exist; always start
 * from the HOKKU_..._INIT value. The ABI of a major version only grows.
 */
#ifndef HOKKU_H
#define HOKKU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define HOKKU_API __attribute__((visibility("default")))
#else
#define HOKKU_API
#endif

#define HOKKU_VERSION_MAJOR 0
#define HOKKU_VERSION_MINOR 1
#define HOKKU_VERSION_PATCH 0

/* The one table of errors: name, HTTP status, meaning. HOKKU_OK is 0 and not part of it. */
#define HOKKU_ERRORS(X)                                                                             \
	X(INVALID_REQUEST, 400, "a field of the request is missing, malformed or out of its range") \
	X(CONTEXT_EXCEEDED, 400, "the prompt does not fit the model's context")                     \
	X(UNAUTHORIZED, 401, "the API key is missing or wrong")                                     \
	X(NOT_FOUND, 404, "there is no such path, file, model or request")                          \
	X(CANCELLED, 499, "the request was cancelled")                                              \
	X(INTERNAL, 500, "a fault in hokku itself")                                                 \
	X(DEVICE_ERROR, 500, "the device failed while it computed")                                 \
	X(MODEL_LOAD_FAILED, 500, "the model file cannot be served")                                \
	X(BAD_FILE, 500, "a file breaks the rules of its format")                                   \
	X(IO_ERROR, 500, "the operating system refused to read or write")                           \
	X(OUT_OF_MEMORY, 500, "the host has no memory left")                                        \
	X(OVERLOADED, 503, "the queue is full; try again later")                                    \
	X(SHUTTING_DOWN, 503, "the server is stopping and takes no new work")                       \
	X(NOT_READY, 503, "the model is still being loaded")                                        \
	X(INFERENCE_TIMEOUT, 504, "the request ran longer than it was allowed to")                  \
	X(INSUFFICIENT_VRAM, 507, "the model does not fit the device's memory")                     \
	X(RATE_LIMITED, 429, "the API key has used up what it may for now; try again later")        \
	X(FORBIDDEN, 403, "the API key may not use this route or model")                            \
	X(INSUFFICIENT_MEMORY, 507,                                                                 \
	  "the model does not fit the host's memory, or not beside those that are kept there")

enum hokku_code {
	HOKKU_OK = 0,
#define HOKKU_X(name, http, text) HOKKU_##name,
	HOKKU_ERRORS(HOKKU_X)
#undef HOKKU_X
		HOKKU_N_CODES
};

/* Owned by the caller; message is always terminated. Untouched by a call that succeeds. */
struct hokku_error {
	enum hokku_code code;
	char message[508];
};

/* "CONTEXT_EXCEEDED" and so on; "OK" for 0. Static storage. */
HOKKU_API const char *hokku_code_name(enum hokku_code code);

/* The HTTP status that the server answers for a code; 200 for HOKKU_OK. */
HOKKU_API int hokku_code_http(enum hokku_code code);

/* "0.1.0". Static storage. */
HOKKU_API const char *hokku_version(void);

struct hokku;

/* How a model is opened. */
struct hokku_options {
	size_t struct_size; /* sizeof(struct hokku_options) */
	/* A GGUF file, or a folder as transformers writes it; NULL: the haiku model inside the library. */
	const char *model_path;
	/* "cpu", "cpu:reference", "cuda", "cuda:N"; NULL or "auto": a GPU if one will do, else the CPU */
	const char *device;
	uint32_t n_ctx; /* positions a request may use; 0: what the model was trained for, 32,768 at most, or
			   what fits of that */
	uint32_t n_threads; /* 0: one a core this process may run on */
	/* Called from a thread of the library while the model loads; part runs from 0 to 1. May be NULL. */
	void (*on_progress)(void *user, double part);
	void *user;
	uint64_t vram_limit; /* most bytes of a GPU's memory for weights, KV and scratch; 0: what is free */
	uint64_t kv_bytes;   /* KV memory; 0: what one context takes */
	/* Asked from that thread while weights are loaded; true ends it: hokku_open then returns
	 * HOKKU_CANCELLED. May be NULL. */
	bool (*stopped)(void *user);
	/* Requests that are computed together, of those that several threads make at a time; more wait. 256
	 * at most; 0: 1. They share the KV memory, and none is answered otherwise than alone. */
	uint32_t n_parallel;
	/* How keys and values are stored: "f32", "f16", "bf16", "f16x2" or "q8_0"; NULL: as the device
	 * computes with them. HOKKU_INVALID_REQUEST names those that the device stores. */
	const char *cache_type_k, *cache_type_v;
	/* A chat template (Jinja) in place of the file's own; NULL: that. */
	const char *chat_template;
	/* On a CPU, most bytes of the host's memory for weights, KV and scratch; 0: what is available. More
	 * is refused (HOKKU_INSUFFICIENT_MEMORY). */
	uint64_t ram_limit;
};
#define HOKKU_OPTIONS_INIT                                                                                   \
	{                                                                                                    \
		sizeof(struct hokku_options), NULL, NULL, 0, 0, NULL, NULL, 0, 0, NULL, 0, NULL, NULL, NULL, \
			0                                                                                    \
	}

/* Opens a model and waits until it can answer. On failure *out is NULL. */
HOKKU_API enum hokku_code hokku_open(const struct hokku_options *options, struct hokku **out,
				     struct hokku_error *err);

/* Cancels what still runs, waits for it, frees everything. NULL is allowed. */
HOKKU_API void hokku_close(struct hokku *h);

/* What was loaded. Strings live as long as the handle. */
struct hokku_info {
	const char *name;         /* general.name of the file, or the file's own name */
	const char *architecture; /* "qwen2" */
	const char *format;       /* the most common block format by bytes: "Q8_0" */
	const char *device;       /* "cpu (avx512, 2 threads)" */
	const char *tokenizer;    /* "gpt2/qwen2" : model / pre-tokenizer */
	uint32_t n_vocab;
	uint32_t n_ctx;
	uint32_t n_layers, n_heads, n_kv_heads, d_model;
	uint64_t n_params;
	uint64_t weight_bytes, kv_bytes, scratch_bytes;
};
HOKKU_API void hokku_get_info(const struct hokku *h, struct hokku_info *out);

struct hokku_message {
	const char *role; /* "system", "user" or "assistant" */
	const char *content;
};

struct hokku_logit_bias {
	int32_t token;
	float bias; /* added to the token's logit, -1,000 to 1,000; -INFINITY: it is never drawn */
};

/* How a token is drawn. The order of the stages is fixed: logit_bias, repetition_penalty, frequency and
 * presence penalty, temperature, top_k, top_p, min_p, draw (docs/sampling.md); those of struct hokku_samplers
 * have their places between them. */
struct hokku_sampling {
	float temperature;        /* 0 (greedy) to 100 */
	int32_t top_k;            /* 0: off */
	float top_p;              /* (0, 1]; 1: off */
	float min_p;              /* [0, 1]; 0: off */
	float repetition_penalty; /* (0, 10]; 1: off; counts prompt and answer */
	float frequency_penalty;  /* [-2, 2]; 0: off; counts the answer only */
	float presence_penalty;   /* [-2, 2]; 0: off; counts the answer only */
	const struct hokku_logit_bias *logit_bias;
	uint32_t n_logit_bias; /* 1,024 at most */
	bool has_seed;         /* false: a seed is drawn and reported in the result */
	uint64_t seed;
};
#define HOKKU_SAMPLING_INIT                                              \
	{                                                                \
		0.7f, 0, 1.0f, 0.0f, 1.0f, 0.0f, 0.0f, NULL, 0, false, 0 \
	}

/* The defaults of h's model: HOKKU_SAMPLING_INIT, with what the model's file recommends in its place
 * (general.sampling.*, docs/sampling.md). No bias, no seed. */
HOKKU_API void hokku_get_sampling(const struct hokku *h, struct hokku_sampling *out);

/* A token and the logarithm of its probability under the model's own distribution: before bias, penalties and
 * temperature. The same bits in every run. */
struct hokku_token_logprob {
	int32_t token;
	float logprob;
};

/* What is told of each token of an answer where on_token is given. */
struct hokku_token {
	uint32_t index; /* 0, 1, 2 ... */
	struct hokku_token_logprob drawn;
	const struct hokku_token_logprob *top; /* (n_top) the likeliest in its place, largest first */
	uint32_t n_top;                        /* n_top_logprobs, or as many tokens as can be drawn at all */
};

/* What is told of each token of the prompt but the first, which has none before it, where on_prompt is given.
 */
struct hokku_prompt_token {
	uint32_t index; /* 1, 2 ... */
	struct hokku_token_logprob own;
	uint32_t rank;                         /* among all tokens in its place, 1 for the likeliest */
	const struct hokku_token_logprob *top; /* (n_top) as in struct hokku_token */
	uint32_t n_top;
};

/* What shape an answer has: it never is anything else, whatever the model would rather draw. */
enum hokku_shape {
	HOKKU_SHAPE_NONE,
	HOKKU_SHAPE_JSON_OBJECT, /* any JSON object */
	HOKKU_SHAPE_JSON_SCHEMA, /* shape_text: a JSON Schema */
	HOKKU_SHAPE_GBNF,        /* shape_text: a grammar as llama.cpp writes them */
	HOKKU_SHAPE_REGEX,       /* shape_text: a regular expression that the whole answer matches */
	HOKKU_SHAPE_CHOICE,      /* shape_text: a JSON array of strings, one of which is the answer */
	HOKKU_SHAPE_STRUCTURE /* shape_text: a structural tag, as JSON: free text, tags and shapes in one */
};

/* White space between JSON's tokens. */
enum hokku_space {
	HOKKU_SPACE_COMPACT, /* none */
	HOKKU_SPACE_FREE,    /* where JSON allows it */
	HOKKU_SPACE_SPACED   /* one space behind each ':' and ',' */
};

/* The stages of sampling that few requests ask for (docs/sampling.md has each, and their order). */
struct hokku_samplers {
	size_t struct_size;              /* sizeof(struct hokku_samplers) */
	int32_t repeat_last_n;           /* -1: all; else penalties look at so many tokens before the next */
	float typical_p;                 /* (0, 1]; 1: off */
	float top_n_sigma;               /* up to 100; 0 and -1: off */
	float xtc_probability;           /* [0, 1]; 0: off */
	float xtc_threshold;             /* [0, 1] */
	float dynatemp_range;            /* 0 (off) to 100 */
	float dynatemp_exponent;         /* 0 to 100 */
	float dry_multiplier;            /* 0 (off) to 100 */
	float dry_base;                  /* 1 to 100 */
	int32_t dry_allowed_length;      /* 1 and more */
	int32_t dry_penalty_last_n;      /* -1: all; 0: off */
	const char *const *dry_breakers; /* (n_dry_breakers) of 64 bytes at most; NULL: line end, : " and * */
	uint32_t n_dry_breakers;         /* 64 at most */
	int32_t mirostat;                /* 0: off; 1, 2: in place of all cuts */
	float mirostat_tau;              /* bits a token, 0 to 100 */
	float mirostat_eta;              /* [0, 1] */
};
#define HOKKU_SAMPLERS_INIT                                                                                 \
	{                                                                                                   \
		sizeof(struct hokku_samplers), -1, 1.0f, -1.0f, 0.0f, 0.1f, 0.0f, 1.0f, 0.0f, 1.75f, 2, -1, \
			NULL, 0, 0, 5.0f, 0.1f                                                              \
	}

/* The defaults of h's model: HOKKU_SAMPLERS_INIT, with what the model's file recommends in its place. *out
 * has its struct_size before. */
HOKKU_API enum hokku_code hokku_get_samplers(const struct hokku *h, struct hokku_samplers *out,
					     struct hokku_error *err);

/* Which tokens may come and which end an answer (docs/sampling.md). Where they, and the shape, leave no
 * token, the request ends with HOKKU_INVALID_REQUEST. */
struct hokku_token_rules {
	size_t struct_size;         /* sizeof(struct hokku_token_rules) */
	uint32_t min_tokens;        /* before so many nothing ends the answer; max_tokens at most */
	bool ignore_eos;            /* the model's end tokens are not drawn */
	bool include_stop;          /* the text or token that ends the answer is part of it */
	const int32_t *stop_tokens; /* (n_stop_tokens) end the answer, and are not part of it */
	uint32_t n_stop_tokens;     /* 256 at most */
	const int32_t *allowed;     /* (n_allowed) no other is drawn; n_allowed 0: all may be */
	uint32_t n_allowed;         /* 262,144 at most */
	const char *const
		*bad_words;   /* (n_bad_words) texts whose tokens never stand in the answer in a row */
	uint32_t n_bad_words; /* 256 at most, of 256 bytes each */
};
#define HOKKU_TOKEN_RULES_INIT                                                               \
	{                                                                                    \
		sizeof(struct hokku_token_rules), 0, false, false, NULL, 0, NULL, 0, NULL, 0 \
	}

/* What an answer is made of (docs/tools.md). */
enum hokku_part_kind {
	HOKKU_PART_TEXT,      /* a piece of what is for people */
	HOKKU_PART_THINKING,  /* a piece of what comes before it */
	HOKKU_PART_CALL,      /* a call of a tool begins; text is the tool's whole name */
	HOKKU_PART_ARGUMENTS, /* a piece of the call's arguments, JSON */
	HOKKU_PART_CALL_END   /* the call is whole; without it the answer ended in its middle */
};
struct hokku_part {
	enum hokku_part_kind kind;
	uint32_t call;    /* of the last three: the call's number in the answer, from 0 */
	const char *text; /* UTF-8, not terminated, during the callback */
	size_t n_bytes;
};

enum hokku_tool_choice {
	HOKKU_TOOLS_AUTO,     /* text, and calls where the model begins them */
	HOKKU_TOOLS_NONE,     /* no calls; the model is told of no tools */
	HOKKU_TOOLS_REQUIRED, /* one call at least, and nothing else */
	HOKKU_TOOLS_NAMED     /* one call of tool_name */
};
enum hokku_thinking { HOKKU_THINKING_UNSAID, HOKKU_THINKING_OFF, HOKKU_THINKING_ON };

/* A conversation with tools and thinking, as POST /v1/chat/completions has it. A call's arguments are held to
 * its tool's schema as they are drawn; a schema that cannot be enforced is HOKKU_INVALID_REQUEST where
 * tool_choice or "strict" promises it, and else leaves calls free. A shape of the request is what follows the
 * thinking. */
struct hokku_conversation {
	size_t struct_size;    /* sizeof(struct hokku_conversation) */
	const char *messages;  /* a JSON array of {"role", "content", "tool_calls", "tool_call_id" ...} */
	size_t messages_bytes; /* 0: terminated */
	const char *tools;  /* a JSON array of {"type": "function", "function": {"name", "parameters" ...}};
			       NULL */
	size_t tools_bytes; /* 0: terminated */
	enum hokku_tool_choice tool_choice;
	const char *tool_name; /* of HOKKU_TOOLS_NAMED */
	bool one_call;         /* at most */
	enum hokku_thinking thinking;
	const char *effort;             /* "low", "medium", "high": for templates that ask how much; NULL */
	uint32_t thinking_budget;       /* tokens of thinking, after which it is closed; 0: no limit */
	const char *template_arguments; /* a JSON object of arguments for the chat template; NULL */
	/* Called with the answer's parts in order; on_text has the same as the model writes it, control
	 * tokens by their names. Return false to cancel the request. May be NULL. */
	bool (*on_part)(void *user, const struct hokku_part *part);
};
#define HOKKU_CONVERSATION_INIT                                                                     \
	{                                                                                           \
		sizeof(struct hokku_conversation), NULL, 0, NULL, 0, HOKKU_TOOLS_AUTO, NULL, false, \
			HOKKU_THINKING_UNSAID, NULL, 0, NULL, NULL                                  \
	}

/* One request. Exactly one of prompt, tokens, messages and conversation is given. */
struct hokku_request {
	size_t struct_size;
	const char *prompt;    /* UTF-8, taken as it is: no template, no special tokens */
	size_t prompt_bytes;   /* 0: prompt is terminated */
	const int32_t *tokens; /* (n_tokens) */
	size_t n_tokens;
	const struct hokku_message *messages; /* (n_messages), rendered with the model's own template */
	size_t n_messages;
	uint32_t max_tokens;     /* 0: until the context is full */
	const char *const *stop; /* (n_stop) texts that end the answer and are not part of it */
	uint32_t n_stop;         /* 16 at most */
	struct hokku_sampling sampling;
	/* Called with each token drawn, an end token excepted, before on_text has the text that it releases;
	 * with the same user, on the same thread. Return false to cancel the request. May be NULL. */
	bool (*on_token)(void *user, const struct hokku_token *token);
	uint32_t n_top_logprobs; /* with on_token; 20 at most */
	/* Called with each token of the prompt but the first, in order, before anything is told of the
	 * answer; as on_token. What they have is what on_token would have had, had they been drawn. May be
	 * NULL. */
	bool (*on_prompt)(void *user, const struct hokku_prompt_token *token);
	uint32_t n_top_prompt_logprobs; /* with on_prompt; 20 at most */
	/* HOKKU_INVALID_REQUEST, before a token is drawn, says where a shape cannot be read or enforced. An
	 * answer of max_tokens ends with HOKKU_STOP_LENGTH, wherever in its shape that is. */
	enum hokku_shape shape;
	const char *shape_text;                /* UTF-8 */
	size_t shape_text_bytes;               /* 0: shape_text is terminated */
	enum hokku_space shape_space;          /* of JSON in the shape */
	const struct hokku_token_rules *rules; /* NULL: none */
	const struct hokku_samplers *samplers; /* NULL: none of them takes part */
	const struct hokku_conversation *conversation;
};
#define HOKKU_REQUEST_INIT                                                                                 \
	{                                                                                                  \
		sizeof(struct hokku_request), NULL, 0, NULL, 0, NULL, 0, 0, NULL, 0, HOKKU_SAMPLING_INIT,  \
			NULL, 0, NULL, 0, HOKKU_SHAPE_NONE, NULL, 0, HOKKU_SPACE_COMPACT, NULL, NULL, NULL \
	}

/* Why an answer ended. */
#define HOKKU_STOPS(X)                                                   \
	X(END, "end")         /* the model drew one of its end tokens */ \
	X(STOP, "stop")       /* a stop text or stop token occurred */   \
	X(LENGTH, "length")   /* max_tokens were drawn */                \
	X(CONTEXT, "context") /* the context is full */
enum hokku_stop {
#define HOKKU_X(name, text) HOKKU_STOP_##name,
	HOKKU_STOPS(HOKKU_X)
#undef HOKKU_X
};
/* "end" and so on. Static storage. */
HOKKU_API const char *hokku_stop_name(enum hokku_stop stop);

struct hokku_result {
	enum hokku_stop stop;
	uint32_t thinking_tokens; /* of tokens_out; where thinking is told apart: of a conversation, else 0 */
	uint64_t seed;            /* the one that was used */
	uint32_t prompt_tokens;
	uint32_t tokens_out; /* an end token is not counted */
	uint64_t text_bytes;
	double prefill_ms; /* from the first prompt token entering the device to the last */
	double decode_ms;  /* from the first token drawn to the last */
	double ttft_ms;    /* from the call to the first token drawn, waiting included */
};

/* Called with each piece of answer, in order: valid UTF-8, never empty, never half a character, not
 * terminated. token is the id whose drawing released the text. Return false to cancel the request. */
typedef bool (*hokku_on_text)(void *user, const char *text, size_t n_bytes, int32_t token);

/* Runs one request to its end; the callback runs on a thread of the library. result may be NULL.
 * Returns HOKKU_CANCELLED if the callback asked for it. */
HOKKU_API enum hokku_code hokku_generate(struct hokku *h, const struct hokku_request *request,
					 hokku_on_text on_text, void *user, struct hokku_result *result,
					 struct hokku_error *err);

/* Text to token ids. *n_out is the number of ids of the whole text, also when cap is smaller (then the first
 * cap are written). parse_special: names of special tokens in the text become those tokens. */
HOKKU_API enum hokku_code hokku_tokenize(const struct hokku *h, const char *text, size_t n_bytes,
					 bool parse_special, int32_t *ids, size_t cap, size_t *n_out,
					 struct hokku_error *err);

/* Token ids to the exact bytes they stand for, special tokens by name. Same rule for *n_out and cap. */
HOKKU_API enum hokku_code hokku_detokenize(const struct hokku *h, const int32_t *ids, size_t n_ids,
					   char *text, size_t cap, size_t *n_out, struct hokku_error *err);

#ifdef __cplusplus
}
#endif
#endif
