/* Unicode normalisation form C. Text that is in NFC already, the usual case, is recognised without being
 * rewritten. */
#ifndef TEXT_NFC_H
#define TEXT_NFC_H

#include "base/error.h"
#include "base/str.h"

/* text is valid UTF-8. *out is text itself, or points into buffer (cleared first) when something had to
 * change. */
enum hokku_code nfc(struct str text, struct strbuf *buffer, struct str *out, struct hokku_error *err);

/* True for a character that NFC neither changes nor joins to what stands before it, by the table of nfc.c;
 * false means only that the full algorithm has to look. */
bool nfc_is_inert(uint32_t c);

#endif
