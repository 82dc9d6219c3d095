/* What OpenAI's routes share: the members that all of their answers have, and errors. For the files
 * openai_*.c. */
#ifndef SERVER_OPENAI_H
#define SERVER_OPENAI_H

#include "server/answer.h"

/* "id", "object", "created", "model" and "system_fingerprint" of an answer or a chunk of it, without braces.
 */
void openai_add_head(struct strbuf *b, const struct answer_start *s, const char *object);

/* ,"name":[...] */
void openai_add_ids(struct strbuf *b, const char *name, const int32_t *ids, size_t n);

/* Of an answer that calls no tool. */
const char *openai_finish_reason(enum hokku_stop stop);

/* As vLLM tells them, separated by commas: of each position the prompt's own token, then the likeliest
 * others.
 */
void openai_prompt_logprobs(struct strbuf *b, const struct answer_start *start,
			    const struct answer_prompt *p);

/* prompt: the field that is at fault where the prompt does not fit. */
void openai_add_error(struct strbuf *b, enum hokku_code code, const char *message, const char *field,
		      const char *prompt);
void openai_error(struct strbuf *b, enum hokku_code code, const char *message, const char *field);
void openai_failed(struct strbuf *b, enum hokku_code code, const char *message);

#endif
