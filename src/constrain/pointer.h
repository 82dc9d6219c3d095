/* JSON pointers, of what a message is about. */
#ifndef CONSTRAIN_POINTER_H
#define CONSTRAIN_POINTER_H

#include "base/json.h"

/* Where `at` stands in root, appended: "/properties/a~1b/0"; nothing if it is root, or stands nowhere in it.
 */
void pointer_add(const struct jv *root, const struct jv *at, struct strbuf *out);

/* A copy with "..." where it is longer than out holds. size: above 4. */
void pointer_cut(char *out, size_t size, struct str place);

#endif
