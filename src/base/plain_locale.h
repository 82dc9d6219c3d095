/* Numbers as C writes them, whatever locale the program that we are linked into has set. */
#ifndef BASE_PLAIN_LOCALE_H
#define BASE_PLAIN_LOCALE_H

#include <locale.h>

/* For strtod_l and uselocale; one for the process, never freed. (locale_t)0: there was no memory for it. */
locale_t plain_locale(void);

#endif
