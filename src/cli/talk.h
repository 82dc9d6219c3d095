/*
 * What `hokku chat` knows without a model: the lines that somebody types put together, the commands among
 * them, the messages so far with the files they are kept in, and the settings of /set. No terminal, no
 * engine's thread.
 */
#ifndef CLI_TALK_H
#define CLI_TALK_H

#include <stdio.h>

#include "base/error.h"
#include "base/str.h"
#include "engine/request.h"
#include "hokku.h"

/* ---- what is typed ---- */

/* Lines until they are whole: a line that ends with one backslash (or three ...) goes on, as does text
 * between two """, which may begin a line or what follows a command. Start from zeroes. */
struct talk_lines {
	struct strbuf text;
	bool begun;  /* there is more to come */
	bool quoted; /* inside """ */
	bool plain;  /* text began with """: it is a message, whatever it begins with */
};

/* A line without its end. True: text is whole; the next line begins another. */
bool talk_lines_add(struct talk_lines *l, struct str line);
void talk_lines_clear(struct talk_lines *l); /* keeps the memory */
void talk_lines_free(struct talk_lines *l);

enum talk_command {
	TALK_SAY,
	TALK_SYSTEM,
	TALK_SET,
	TALK_SHOW,
	TALK_SAVE,
	TALK_LOAD,
	TALK_RETRY,
	TALK_REGEN,
	TALK_CLEAR,
	TALK_HELP,
	TALK_BYE,
};

/* What text asks for; *rest of it is what follows the command's name, or the message. A message that begins
 * with
 * '/' is written with two. INVALID_REQUEST: there is no such command, or it takes other things. */
enum hokku_code talk_parse(struct str text, enum talk_command *command, struct str *rest,
			   struct hokku_error *err);

/* The list of commands. */
void talk_print_help(FILE *out);

/* ---- the messages ---- */

enum { TALK_MAX_FILE_BYTES = 64 << 20 };

struct talk_message {
	bool answer; /* else the user's */
	struct strbuf content, thinking;
};

/* Start from zeroes. */
struct talk {
	struct strbuf system; /* empty: none */
	struct talk_message *messages;
	size_t n, max;
};

/* INVALID_REQUEST: text is no UTF-8; OUT_OF_MEMORY. Nothing is added then. */
enum hokku_code talk_add(struct talk *t, bool answer, struct str content, struct str thinking,
			 struct hokku_error *err);
void talk_cut(struct talk *t, size_t n); /* leaves the first n */
void talk_free(struct talk *t);

/* Where the last message of the user stands; t->n: there is none. */
size_t talk_last_asked(const struct talk *t);

/* A JSON array of all messages, the system message first, as requests have them. */
void talk_write(const struct talk *t, struct strbuf *out);

/* {"model", "messages"}. may_replace: a file of that name may be there. INVALID_REQUEST, IO_ERROR. */
enum hokku_code talk_save(const struct talk *t, const char *path, const char *model, bool may_replace,
			  struct hokku_error *err);

/* What such a file holds, or one with the array alone, takes the place of all that t has, the system message
 * too; on failure t stays as it is. NOT_FOUND, IO_ERROR, BAD_FILE. */
enum hokku_code talk_load(struct talk *t, const char *path, struct hokku_error *err);

/* ---- the settings ---- */

struct talk_settings {
	struct sampling sampling;
	bool seed_given;     /* sampling.seed is; else each answer has its own */
	uint32_t max_tokens; /* 0: no limit */
	enum hokku_thinking thinking;
	uint32_t thinking_budget; /* 0: no limit */
};

/* "NAME VALUE", as typed; VALUE "default" is what fallback has. INVALID_REQUEST: s stays as it is. */
enum hokku_code talk_set(struct talk_settings *s, const struct talk_settings *fallback, struct str typed,
			 struct hokku_error *err);

/* One line each. */
void talk_print_settings(const struct talk_settings *s, FILE *out);

#endif
