/* Fields that OpenAI's routes share. */
#ifndef SERVER_OPENAI_FIELDS_H
#define SERVER_OPENAI_FIELDS_H

#include "server/field.h"

field_take openai_take_seed, openai_take_top_p, openai_take_stream_options;

/* What clients send along and no answer depends on here: a warning says so. */
field_take openai_pass_over;

/* Whose names these are. */
#define OPENAI_PASSED_OVER                                                                            \
	{"user", openai_pass_over}, {"metadata", openai_pass_over}, {"store", openai_pass_over},      \
		{"service_tier", openai_pass_over}, {"safety_identifier", openai_pass_over},          \
		{"prompt_cache_key", openai_pass_over}, {"prompt_cache_retention", openai_pass_over}, \
		{"prompt_cache_options", openai_pass_over},                                           \
	{                                                                                             \
		"prediction", openai_pass_over                                                        \
	}

/* That calls in messages are such, and that each result belongs to one; for forms' checks. */
enum hokku_code openai_check_messages(const struct jv *messages, struct request_error *err);

/* That options of a stream come with one; for forms' checks. */
enum hokku_code openai_check_stream(const struct gen_request *r, struct request_error *err);

#endif
