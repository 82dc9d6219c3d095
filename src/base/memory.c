#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* The number behind a word of a file; 0: it is not there, or no number ("max"). */
static uint64_t number_in(const char *path, const char *word)
{
	char *text;
	size_t n;
	uint64_t out = 0;
	if (file_read(path, 1 << 20, &text, &n, NULL))
		return 0;
	const char *at = strstr(text, word);
	if (at)
		out = strtoull(at + strlen(word), NULL, 10);
	free(text);
	return out;
}

uint64_t memory_available(void)
{
	uint64_t there = number_in("/proc/meminfo", "MemAvailable:") * 1024;
	uint64_t limit = number_in("/sys/fs/cgroup/memory.max", "");
	uint64_t used = number_in("/sys/fs/cgroup/memory.current", "");
	uint64_t left = limit > used ? limit - used : 0;
	if (limit && (left < there || !there))
		return left ? left : 1;
	return there;
}
