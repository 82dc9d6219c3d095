/* Why nothing satisfies a schema. */
#ifndef CONSTRAIN_SCHEMA_WHY_H
#define CONSTRAIN_SCHEMA_WHY_H

#include "base/json.h"

/* Of a schema that nothing satisfies: the first place in it that says so by itself, and the reason as a
 * sentence. NULL: no place does alone. */
const struct jv *schema_why_empty(const struct jv *root, char *text, size_t size);

#endif
