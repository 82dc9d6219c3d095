/* Unicode's properties as sets of code points (utf8proc's tables). Any thread. */
#ifndef CONSTRAIN_UNICODE_H
#define CONSTRAIN_UNICODE_H

#include "base/str.h"
#include "constrain/spans.h"

/* Puts the code points of a \p{name} or \p{name=value} of ECMA-262: general categories by either name, Any,
 * ASCII, Assigned, ASCII_Hex_Digit, White_Space. false: not known (scripts, other properties). */
bool unicode_property(struct str name, struct str value, struct spans *out);

/* s becomes all that is equal to one of it where case is ignored (simple folding). Returns how many rows of a
 * table were looked at. */
size_t unicode_any_case(struct spans *s);

#endif
