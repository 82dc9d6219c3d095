/*
 * llama-server's own routes: what it calls /completion, /tokenize and so on, with its fields, its answers and
 * its form of errors. docs/http.md says what is the same and what is not.
 */
#ifndef SERVER_LLAMA_H
#define SERVER_LLAMA_H

#include "server/state.h"

enum { LLAMA_MAX_RESPONSE_FIELDS = 64 };

extern const struct api api_llama_tokenize, api_llama_detokenize, api_llama_template, api_llama_completion,
	api_llama_infill, api_llama_count;

/* Routes without an API of their own have its form of errors alone. */
extern const struct api api_llama;

extern const struct request_form request_llama_tokenize, request_llama_detokenize, request_llama_template,
	request_llama_completion, request_llama_infill, request_llama_count;

/* {"error":{"code":400,"message":..,"type":"invalid_request_error"}} of a status; field is left out where it
 * is NULL or "". */
void llama_error(struct strbuf *b, int status, const char *message, const char *field);

/* Answers r with it, and no field. */
void llama_refuse(struct http_request *r, int status, const char *message);

/* Its sampling fields' defaults, where the model's file advises nothing. */
extern const struct sampling_default llama_sampling[];

/* What generation_settings tells, without braces: of a request, or (request NULL) of none. */
void llama_settings(struct strbuf *b, const struct sampling *sampling, const struct gen_request *request);

/* The same for struct api. */
void llama_error_body(struct strbuf *b, enum hokku_code code, const char *message, const char *field);

/* Does a sampler run, by its name there? All do, unless the request names those that do. */
bool llama_has_sampler(const struct gen_request *r, const char *name);

/* Of a prompt that does not fit. */
void llama_too_long(struct strbuf *b, const char *message, uint32_t n_prompt, uint32_t n_ctx);

/* v is a string or an array, as a prompt of its routes may be. */
enum hokku_code llama_check_prompt(const char *name, const struct jv *v, struct request_error *err);

/* A prompt as its routes take it: a string, or an array of strings and token ids, one after the other. flags
 * are for its strings; BOS comes before the first value alone. name: of the field. */
enum hokku_code llama_encode(const struct tok *tok, const struct jv *v, const char *name, unsigned flags,
			     struct tok_ids *out, struct request_error *err);

/* GET /props and /lora-adapters; POST /props; routes of models that this server does not run. */
void llama_props_route(struct server *s, struct http_request *r);
void llama_set_props_route(struct server *s, struct http_request *r);
void llama_adapters_route(struct server *s, struct http_request *r);
void llama_infill_route(struct server *s, struct http_request *r);
void llama_pooling_route(struct server *s, struct http_request *r);

#endif
