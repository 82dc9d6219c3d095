/*
 * The fields of requests for an answer: what takes a value, named as the form at hand names it. Forms
 * (request.h) are tables of these.
 */
#ifndef SERVER_FIELD_H
#define SERVER_FIELD_H

#include "server/request.h"

typedef enum hokku_code field_take(struct gen_request *r, const char *name, const struct jv *v,
				   struct request_error *err);

/* A row of a form; v is neither absent nor null. */
struct field {
	const char *name;
	field_take *take;
};

field_take field_generation_prompt, field_prompt, field_messages, field_tools, field_template_kwargs,
	field_now, field_stop, field_max_tokens, field_max_tokens_or_none, field_stream, field_seed, field_id,
	field_logit_bias, field_n, field_logprobs, field_top_logprobs, field_prompt_logprobs, field_priority,
	field_cache_prompt, field_cache_salt, field_cache_debug, field_tokens, field_response_format,
	field_grammar, field_regex, field_choice, field_json_schema, field_structural_tag,
	field_structured_outputs, field_json_space, field_min_tokens, field_ignore_eos, field_stop_token_ids,
	field_thinking_budget, field_skip_special, field_return_ids, field_allowed_token_ids, field_bad_words,
	field_include_stop, field_model, field_function_tools, field_format, field_dry_breakers,
	field_samplers, field_refuse; /* what is not done whatever it says: told with what to do instead */

/* rule_fields.c: which tokens may come, and which end an answer. */
/* clang-format off */
#define FIELDS_OF_RULES \
	{"logit_bias", field_logit_bias}, \
	{"min_tokens", field_min_tokens}, \
	{"ignore_eos", field_ignore_eos}, \
	{"stop_token_ids", field_stop_token_ids}, \
	{"allowed_token_ids", field_allowed_token_ids}, \
	{"bad_words", field_bad_words}, \
	{"include_stop_str_in_output", field_include_stop}, \
	{"dry_sequence_breakers", field_dry_breakers}, \
	{"samplers", field_samplers}

/* What an answer may look like, and other APIs' names for it. */
#define FIELDS_OF_SHAPES \
	{"response_format", field_response_format}, \
	{"json_schema", field_json_schema}, \
	{"grammar", field_grammar}, \
	{"regex", field_regex}, \
	{"choice", field_choice}, \
	{"json_space", field_json_space}, \
	{"structured_outputs", field_structured_outputs}, \
	{"structural_tag", field_structural_tag}, \
	{"guided_json", field_json_schema}, \
	{"guided_regex", field_regex}, \
	{"guided_choice", field_choice}, \
	{"guided_grammar", field_grammar}

/* How many samples, when, and what of the prompt's memory is used again. */
#define FIELDS_OF_QUEUE \
	{"n", field_n}, \
	{"priority", field_priority}, \
	{"cache_prompt", field_cache_prompt}, \
	{"cache_salt", field_cache_salt}, \
	{"cache_debug", field_cache_debug}, \
	{"skip_special_tokens", field_skip_special}
/* clang-format on */

extern const struct field
	openai_chat_fields[]; /* of POST /v1/chat/completions, for forms that take the same */

/* The name in {"type": "function", "function": {"name"}}; NULL: there is none. */
const struct jv *field_function_name(const struct jv *tool);

/* A number of the engine's table, within its range. */
enum hokku_code field_sampling(struct gen_request *r, const struct sampling_field *f, const struct jv *v,
			       struct request_error *err);

/* An integer from min to max. */
enum hokku_code field_u32(const char *name, const struct jv *v, uint32_t min, uint32_t max, uint32_t *out,
			  struct request_error *err);
enum hokku_code field_bool(const char *name, const struct jv *v, bool *out, struct request_error *err);
/* v is an array, of which token ids are to be read. */
enum hokku_code field_check_ids(const char *name, const struct jv *v, struct request_error *err);
/* The ids of an array, (jv_len(v)) to out. */
enum hokku_code field_read_ids(const char *name, const struct jv *v, int32_t *out, struct request_error *err);
/* What an array of none is told where one is wanted. */
enum hokku_code field_no_ids(const char *name, struct request_error *err);
enum hokku_code field_read_id(char id[REQUEST_MAX_ID_BYTES + 1], const char *name, const struct jv *v,
			      struct request_error *err);

/* Puts the field that is at fault before the message. */
enum hokku_code field_blame(struct request_error *err, const char *field);
enum hokku_code field_no_memory(struct request_error *err);

/* bad(err, FIELD, FORMAT, ...): INVALID_REQUEST with the message "FIELD TEXT"; field "" where none is at
 * fault. */
#define bad(err, field, ...) \
	(err_set(&(err)->error, HOKKU_INVALID_REQUEST, __VA_ARGS__), field_blame(err, field))

/* What a value is, for messages: `the string "hot"`, `1e+09`, `an array`. Returns out. */
const char *field_describe(const struct jv *v, char out[96]);

/* A number; NaN for anything else, and for one that no double holds. */
double field_number(const struct jv *v);

/* A whole number, also one written 40.0. */
bool field_whole(const struct jv *v, int64_t *out);

/* One sentence more. */
void field_warn(struct strbuf *warnings, const char *text);

/* That key was ignored, with the nearest of known; *n counts, REQUEST_MAX_WARNINGS are told. */
void field_warn_unknown(struct strbuf *warnings, uint32_t *n, const char *where, struct str key,
			const char *const *known);

#endif
