#include "base/plain_locale.h"

#include <pthread.h>

static locale_t plain;

static void make(void)
{
	plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
}

locale_t plain_locale(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, make);
	return plain;
}
