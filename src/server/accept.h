/* What a client takes, as its headers Accept and Accept-Encoding say it (RFC 9110, 12.4 and 12.5). */
#ifndef SERVER_ACCEPT_H
#define SERVER_ACCEPT_H

#include <stdbool.h>

enum { ACCEPT_FULL = 1000, ACCEPT_UNNAMED = -1 };

/* How much a header (NULL: there is none) wants what it calls name, in thousandths, 0: not at all. Of several
 * that name it the highest, case aside; one whose weight is none does not count. */
int accept_weight(const char *header, const char *name);

/* Whether an Accept-Encoding takes gzip, and wants nothing as it is more. */
bool accept_gzip(const char *header);

/* Whether If-None-Match (NULL: there is none) has this entity tag, quotes and all, or "*"; that one of them
 * is weak means nothing here (13.1.2). */
bool accept_has_tag(const char *header, const char *tag);

#endif
