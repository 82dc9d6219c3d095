/* What the commands that only need a tokenizer share. */
#ifndef CLI_OPEN_TOK_H
#define CLI_OPEN_TOK_H

#include "text/chat.h"
#include "text/tokenizer.h"

/* The tokenizer, and the chat template (or chat_template in its place) where chat is not NULL, of the file at
 * path; NULL: of the bundled model. Nothing else of the file is read. Its notes are told on stderr. */
enum hokku_code cli_open_tok(const char *path, struct tok **t, struct chat *chat, struct str chat_template,
			     struct hokku_error *err);

/* Each note (tok_notes) as a warning on stderr. */
void cli_tell_notes(const char *const *notes);

/* Calls on_line for each line of standard input or of the file at path ("-": standard input), without its
 * line end, until one returns other than EXIT_OK; returns that. number counts from 1. */
int cli_each_line(const char *path, int (*on_line)(void *user, struct str line, size_t number), void *user);

#endif
