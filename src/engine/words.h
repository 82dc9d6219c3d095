/* A tokenizer as the vocabulary that shapes are compiled against (constrain/constrain.h). */
#ifndef ENGINE_WORDS_H
#define ENGINE_WORDS_H

#include "constrain/constrain.h"
#include "text/tokenizer.h"

/* out borrows t and holds memory of its own until words_deinit; what constrain_vocab_new keeps of it (encode)
 * needs both as long as the vocabulary lives. A shape may use every token with text but control, unknown and
 * unused ones; those that end an answer (tok_is_end) end it. OUT_OF_MEMORY. */
enum hokku_code words_init(const struct tok *t, struct constrain_words *out, struct hokku_error *err);
void words_deinit(struct constrain_words *w); /* {0} is allowed */

#endif
