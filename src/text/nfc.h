/*
 * Unicode normalisation form C, as the tokenizers crate has it: by the tables of Unicode 9.0 (its
 * unicode-normalization-alignments 0.1). A character that came later has no decomposition and no combining
 * class there, so nothing joins it and nothing moves past it; of the others no version has changed anything.
 * Text that is in NFC already, the usual case, is recognised without being rewritten.
 */
#ifndef TEXT_NFC_H
#define TEXT_NFC_H

#include "base/error.h"
#include "base/str.h"

/* text is valid UTF-8. *out is text itself, or points into buffer (cleared first) when something had to
 * change. */
enum hokku_code nfc(struct str text, struct strbuf *buffer, struct str *out, struct hokku_error *err);

/* True for a character that NFC neither changes nor joins to what stands before it, by the tables
 * (unicode_init has been called); false means only that the full algorithm has to look. */
bool nfc_is_inert(uint32_t c);

#endif
