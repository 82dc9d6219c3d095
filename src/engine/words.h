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

/* The tokens of a text that stands in the middle of another; n: how many there are, of which the first max go
 * into out. 0: some of it is no token's. */
size_t words_encode(const struct tok *t, struct str text, int32_t *out, size_t max);

/* Appends a word that is not to come to out, as token_rules.bad_words has them: as it stands behind other
 * text and, as another sequence, behind a blank. INVALID_REQUEST: it has no tokens. */
enum hokku_code words_ban(const struct tok *t, struct str word, struct tok_ids *out, struct hokku_error *err);

#endif
