/*
 * The APIs that `hokku bench serve` speaks: what a request looks like, and what the events of its answer
 * mean. Answers are untrusted bytes.
 */
#ifndef CLI_LOAD_API_H
#define CLI_LOAD_API_H

#include "base/json.h"
#include "cli/load_plan.h"

enum { LOAD_ERROR_BYTES = 240 };

/* What has been understood of one answer. */
struct load_answer {
	uint32_t n_events; /* that brought a token's text */
	bool has_usage;    /* the server told: */
	uint32_t tokens_in, tokens_out, tokens_cached;
	bool ended;                   /* as the API says that an answer ends */
	char error[LOAD_ERROR_BYTES]; /* what the server said of itself, "" if nothing */
};

/* What all requests have in common. */
struct load_request {
	const struct load_plan *plan;
	const char *model;     /* NULL: not sent */
	uint32_t n_vocab;      /* other than 0: prompts are token ids, where the API takes them */
	float temperature;     /* 0: the likeliest token */
	bool ignore_eos;       /* asked of servers that know the field */
	const struct jv *more; /* an object whose members go in, before our own of the same name; or NULL */
};

struct load_api {
	const char *name, *alias; /* alias: vLLM's name for it */
	const char *path;         /* of its route */
	void (*put_prompt)(const struct load_request *r, uint32_t request, struct strbuf *out);
	const char *usage; /* a member that makes the server tell its usage; or NULL */
	/* One event's object. True: it brought text of the answer. */
	bool (*take)(struct load_answer *a, struct str type, const struct jv *event);
};

extern const struct load_api load_apis[]; /* ends with a row without a name */

const struct load_api *load_api_find(const char *name); /* or its alias; NULL: none */

/* The body of a request. */
void load_api_body(const struct load_api *api, const struct load_request *r, uint32_t request,
		   struct strbuf *out);

/* One event of an answer. True: it brought a token's text. What is no JSON is an error of the answer. */
bool load_api_event(const struct load_api *api, struct load_answer *a, struct str type, struct str data);

/* The message of an answer that is an error: {"error": {"code", "message"}} and its relatives, else the
 * bytes. */
void load_api_refusal(int status, struct str body, char out[LOAD_ERROR_BYTES]);

#endif
