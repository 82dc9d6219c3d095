#include "engine/load.h"

/* bundled.S */
extern const char hokku_bundled_begin[] __attribute__((visibility("hidden")));
extern const char hokku_bundled_end[] __attribute__((visibility("hidden")));

struct str bundled_model(void)
{
	return (struct str){hokku_bundled_begin,
			    (size_t)((uintptr_t)hokku_bundled_end - (uintptr_t)hokku_bundled_begin)};
}
