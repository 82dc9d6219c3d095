/*
 * Enough of the Jinja template language to run a chat template over a list of plain messages and see what it
 * writes: output, for, if, set, string and integer expressions, the few tests, filters and methods that such
 * templates use. chat.c learns from it what a template does. Whatever is not known is an error that names it,
 * never skipped.
 *
 * Spaces are handled as transformers does (trim_blocks and lstrip_blocks on).
 */
#ifndef TEXT_TEMPLATE_H
#define TEXT_TEMPLATE_H

#include "base/error.h"
#include "base/str.h"

struct template_message {
	struct str role, content;
};

struct template_input {
	const struct template_message *messages;
	size_t n_messages;
	bool add_generation_prompt;
	struct str bos_token, eos_token;
};

/* Appends what source writes for input. Errors: INVALID_REQUEST where the template asked for it
 * (raise_exception), BAD_FILE where it is malformed or uses what is not known here. */
enum hokku_code template_render(struct str source, const struct template_input *input, struct strbuf *out,
				struct hokku_error *err);

#endif
