/*
 * Chat templates: messages to a prompt. The template of the file, or another that is named, is what renders
 * (text/jinja). ChatML, which a probe proves a template to be, is rendered here without running it.
 *
 * Only what the template itself writes, the special tokens that the file names (bos_token ...) and the roles,
 * which are of a fixed list, can become control tokens; never contents, names, tools or template arguments.
 */
#ifndef TEXT_CHAT_H
#define TEXT_CHAT_H

#include "base/json.h"
#include "text/jinja/jinja.h"
#include "text/tokenizer.h"

enum chat_kind {
	CHAT_NONE,   /* the file carries no template */
	CHAT_CHATML, /* <|im_start|>role\ncontent<|im_end|>\n */
	CHAT_JINJA,  /* any other */
	CHAT_BROKEN, /* one that cannot be read; name says why */
};

enum { CHAT_N_SPECIALS = 7 }; /* bos_token and the others that transformers knows */

struct chat {
	enum chat_kind kind;
	bool has_default_system; /* ChatML: the template puts a system message where the caller gives none */
	char default_system[512];
	bool adds_bos; /* ChatML: the template begins with the BOS token */
	unsigned slow; /* shapes of message lists that the template does not render as plain ChatML: chat.c */
	char name[160]; /* of what was recognised, or the beginning of what was not, for messages */
	struct jinja *jinja;
	struct strbuf source;              /* of the template, whatever its kind; empty: there is none */
	int32_t specials[CHAT_N_SPECIALS]; /* token ids; -1: none */
	/* What of a message the template understands; where it does not, the other form is given to it. */
	struct chat_forms {
		bool strings, parts, nulls;    /* contents; null: of a message that calls tools */
		bool object_args, string_args; /* of tool calls */
	} forms;
};

/* Reads the template of g. source: one that takes its place; ptr NULL: none. A template that cannot be read
 * is no error here, but where messages come. */
enum hokku_code chat_init(struct chat *c, const struct gguf *g, struct str source, struct hokku_error *err);
void chat_deinit(struct chat *c);

/* The source of a well-known template by its name ("llama3"); {NULL, 0}: there is none of that name. */
struct str chat_named(const char *name);
const char *chat_name(size_t i); /* of the table, in order; NULL past the last */

/* What --chat-template means: a name of the table, a file, or a template itself (it holds "{{" or "{%").
 * *owned is to be freed. NOT_FOUND names what there is. */
enum hokku_code chat_find(const char *wanted, struct str *source, char **owned, struct hokku_error *err);
enum hokku_code chat_read_file(const char *path, struct str *source, char **owned, struct hokku_error *err);

struct chat_message {
	struct str role;       /* one of chat_roles */
	struct str content;    /* ptr NULL: json has it in another form */
	const struct jv *json; /* the whole message, where there is more to it; NULL */
};
extern const char *const chat_roles[]; /* "system", "user" ..., NULL at the end */

/* One message as requests write it: an object with a role and a content that is a string or an array of text
 * parts. field gets the name of what is at fault, and the message begins with it. Borrowed from v. */
enum hokku_code chat_message_read(const struct jv *v, size_t index, struct chat_message *out, char field[64],
				  struct hokku_error *err);

struct chat_input {
	const struct chat_message *messages;
	size_t n_messages;
	const struct jv *tools;       /* an array; NULL */
	const struct jv *kwargs[3];   /* objects of template arguments, later ones before earlier; NULL */
	const struct jinja_time *now; /* what strftime_now reads; NULL: the clock */
	bool trial;                   /* the template may take CHAT_MAX_TRIAL_STEPS and _BYTES alone */
	bool no_answer;   /* the prompt ends with the last message: add_generation_prompt is false, unless
			     kwargs say */
	struct str begun; /* how the answer begins: the prompt's end. As little trusted as a content */
};

/* Is v what kwargs may hold? INVALID_REQUEST says what it takes; the message goes on after a field's name. */
enum hokku_code chat_check_kwargs(const struct jv *v, struct hokku_error *err);

/* What there is to tell of a rendering. */
struct chat_told {
	ptrdiff_t message; /* the one at fault; -1: none alone */
	bool used_time;    /* the prompt depends on time */
	struct jinja_time time;
};

/* Token ids of the messages, ready for the assistant's answer. Errors: INVALID_REQUEST where there is no
 * template or a broken one (named), no messages, a role unknown, or where the template refuses the messages
 * or fails on them. told may be NULL. */
enum hokku_code chat_render(const struct chat *c, const struct tok *t, const struct chat_input *in,
			    struct tok_ids *out, struct chat_told *told, struct hokku_error *err);

/* The same as text, which tokens cannot always give back. */
enum hokku_code chat_render_text(const struct chat *c, const struct tok *t, const struct chat_input *in,
				 struct strbuf *out, struct chat_told *told, struct hokku_error *err);

#endif
