/* Shared by chat.c (which template, ChatML), chat_run.c (running it) and chat_forms.c (what it understands).
 */
#ifndef TEXT_CHAT_INTERNAL_H
#define TEXT_CHAT_INTERNAL_H

#include "base/arena.h"
#include "text/chat.h"
#include "text/limits.h"

/* The variables of special tokens, in the order of chat.specials. */
extern const struct chat_special {
	const char *name, *key; /* key: of the file */
} chat_specials[CHAT_N_SPECIALS];

/* Why the assistant would not answer, where a message says so: text of its turn, behind its content. */
struct str chat_refusal(const struct jv *message);
/* Of a content's part: its text, or its refusal. */
struct str chat_part_text(const struct jv *part);

/* One rendering of a template. */
struct chat_run {
	struct jinja_run *jinja; /* has the text */
	struct arena arena;
	struct jv_doc *docs; /* (n_docs) arguments of tool calls that came as text */
	size_t n_docs, cap_docs;
};

/* specials: the words of the special tokens, ptr NULL where there is none. The caller frees *run with
 * chat_run_deinit, whatever the result. */
enum hokku_code chat_run(const struct chat *c, const struct str specials[CHAT_N_SPECIALS],
			 const struct chat_input *in, struct chat_run *run, struct chat_told *told,
			 struct hokku_error *err);
void chat_run_deinit(struct chat_run *run);

/* Finds out c->forms by trying. */
void chat_learn_forms(struct chat *c);

#endif
