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

/* Of a file of the group. */
static uint64_t of_group(const char *group, const char *name, const char *word)
{
	char path[4096];
	int n = snprintf(path, sizeof path, "%s/%s", group, name);
	return n > 0 && (size_t)n < sizeof path ? number_in(path, word) : 0;
}

uint64_t memory_available_in(const char *meminfo, const char *group)
{
	uint64_t there = number_in(meminfo, "MemAvailable:") * 1024;
	uint64_t limit = of_group(group, "memory.max", "");
	uint64_t used = of_group(group, "memory.current", "");
	uint64_t files = of_group(group, "memory.stat", "\ninactive_file ") +
			 of_group(group, "memory.stat", "\nactive_file ");
	used -= files < used ? files : used;
	uint64_t left = limit > used ? limit - used : 0;
	if (limit && (left < there || !there))
		return left ? left : 1;
	return there;
}

uint64_t memory_available(void)
{
	return memory_available_in("/proc/meminfo", "/sys/fs/cgroup");
}

uint64_t memory_total(void)
{
	return number_in("/proc/meminfo", "MemTotal:") * 1024;
}
