#include "hokku.h"

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

const char *hokku_version(void)
{
	return TEXT(HOKKU_VERSION_MAJOR) "." TEXT(HOKKU_VERSION_MINOR) "." TEXT(HOKKU_VERSION_PATCH);
}
