/* Warnings of a request as a header's value (Hokku-Warnings). */
#ifndef SERVER_WARNINGS_H
#define SERVER_WARNINGS_H

#include "base/str.h"

enum { WARNINGS_MAX_HEADER_BYTES = 2048 };

/* Appends an array of strings, JSON that is ASCII alone. warnings_json: JSON strings separated by commas, at
 * least one. What does not fit into WARNINGS_MAX_HEADER_BYTES is left out, and a last string says so. */
void warnings_header(struct str warnings_json, struct strbuf *out);

#endif
