/* What Ollama's routes share (ollama_*.c): requests read here, answers and what is served told there. */
#ifndef SERVER_OLLAMA_H
#define SERVER_OLLAMA_H

#include "server/answer.h"
#include "server/field.h"

enum { OLLAMA_TIME_BYTES = 40 };

extern const struct api api_ollama_show, api_ollama_embed, api_ollama_embeddings; /* POST /api/... */

/* ---- requests ---- */

/* The object of options: each is done, or has no effect and that is told, or is refused by its name. */
field_take ollama_options;

/* The name of option number i; NULL: there are no more. */
const char *ollama_option_name(size_t i);

/* A string, of which nothing more is wanted here. */
field_take ollama_take_text;

/* How long the model stays. */
field_take ollama_take_keep_alive;

/* Of a request for the only model there is: that it goes by its name, and that keep_alive has no effect on
 * it. Of several both have been seen to. */
enum hokku_code ollama_admit_model(struct gen_request *r, const struct request_served *served,
				   struct request_error *err);

/* Messages in Ollama's form, which become OpenAI's; an empty array is none. */
field_take ollama_messages;

/* Nanoseconds of keep_alive, a number of seconds or a duration as Go writes them ("1h30m"); below zero: for
 * ever. False: it is neither. */
bool ollama_keep_alive(const struct jv *v, double *ns);

/* The same of a text, which may be a number of seconds too. */
bool ollama_keep_alive_text(const char *text, double *ns);

/* Does a request that names `asked` mean what is served? Small letters and capitals are the same, and so is a
 * name with and without the tag "latest". */
bool ollama_is_name(const char *asked, const char *served);

/* NOT_FOUND as Ollama says it, where it does not. */
enum hokku_code ollama_check_name(const char *asked, const char *served, struct request_error *err);

/* A name with its tag, "latest" where it has none. */
void ollama_add_name(struct strbuf *b, const char *served);

/* ---- answers ---- */

/* When the model's file was last written, as ollama_time; the one inside the program was with the program. */
const char *ollama_modified(const struct gguf *file, char out[OLLAMA_TIME_BYTES]);

/* The object of details. */
void ollama_add_details(struct strbuf *b, const struct hokku_info *info, const struct gguf *file);
void ollama_add_details_of(struct strbuf *b, const struct hokku_info *info, bool assembled);

/* Nanoseconds since 1970 as RFC 3339 writes them: "2026-11-30T12:00:00.123456789Z". Returns out. */
const char *ollama_time(uint64_t ns, char out[OLLAMA_TIME_BYTES]);

/* {"error":"MESSAGE"} */
void ollama_error(struct strbuf *b, enum hokku_code code, const char *message, const char *field);

/* What a request that asks for nothing but the model is answered; reason: "load" or "unload". */
void ollama_add_loaded(struct strbuf *b, bool chat, const char *model, uint64_t now_ns, const char *reason);

#endif
