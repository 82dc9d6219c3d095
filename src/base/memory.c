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

/* Of a file of a group's folder. */
static uint64_t of_group(const char *group, const char *name, const char *word)
{
	char path[4096];
	int n = snprintf(path, sizeof path, "%s/%s", group, name);
	return n > 0 && (size_t)n < sizeof path ? number_in(path, word) : 0;
}

/* How the two kinds of control groups say the same. No limit is "max", or in the older kind a number that no
 * machine has; a file that is not there (the root's) sets none. */
static const struct group_kind {
	const char *limits[2], *used, *files[2];
} kinds[] = {
	{{"memory.max", "memory.high"}, "memory.current", {"\ninactive_file ", "\nactive_file "}},
	{{"memory.limit_in_bytes"},
	 "memory.usage_in_bytes",
	 {"\ntotal_inactive_file ", "\ntotal_active_file "}},
};

/* What one group leaves; UINT64_MAX: it sets no limit. */
static uint64_t left_in_group(const struct group_kind *kind, const char *group)
{
	uint64_t limit = 0, files = 0;
	for (int i = 0; i < 2 && kind->limits[i]; i++) {
		uint64_t found = of_group(group, kind->limits[i], "");
		if (found && (!limit || found < limit))
			limit = found;
	}
	if (!limit)
		return UINT64_MAX;
	uint64_t used = of_group(group, kind->used, "");
	for (int i = 0; i < 2; i++)
		files += of_group(group, "memory.stat", kind->files[i]);
	used -= files < used ? files : used;
	return limit > used ? limit - used : 1;
}

/* The least that a group and those above it leave, up to where they are mounted. A path that is not seen from
 * here (of a container whose own group is what is mounted) leaves the mount itself. */
static uint64_t left_upwards(const struct group_kind *kind, const char *mount, const char *path,
			     size_t path_bytes)
{
	char group[4096];
	size_t root = strlen(mount);
	uint64_t least = UINT64_MAX;
	int n = snprintf(group, sizeof group, "%s%.*s", mount, (int)path_bytes, path);
	if (n < 0 || (size_t)n >= sizeof group || strstr(group + root, "/.."))
		snprintf(group, sizeof group, "%s", mount);
	for (;;) {
		uint64_t left = left_in_group(kind, group);
		least = left < least ? left : least;
		char *slash = strrchr(group, '/');
		if (!slash || slash < group + root)
			return least;
		*slash = '\0';
	}
}

/* Does a list with commas have the controller "memory"? */
static bool has_memory(const char *list, const char *end)
{
	while (list < end) {
		size_t n = strcspn(list, ",:");
		if (n == 6 && memcmp(list, "memory", 6) == 0)
			return true;
		list += n + 1;
	}
	return false;
}

/* One line of /proc/self/cgroup, "number:controllers:path"; the newer kind has no controllers there. */
static uint64_t left_of_line(const char *line, const char *fs)
{
	char mount[4096];
	const char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;
	if (!path)
		return UINT64_MAX;
	size_t n = strcspn(path + 1, "\n");
	bool newer = path == names + 1;
	if (!newer && !has_memory(names + 1, path))
		return UINT64_MAX;
	snprintf(mount, sizeof mount, "%s%s", fs, newer ? "" : "/memory");
	uint64_t left = left_upwards(&kinds[!newer], mount, path + 1, n);
	if (newer) { /* beside the older kind it is mounted below */
		snprintf(mount, sizeof mount, "%s/unified", fs);
		uint64_t below = left_upwards(&kinds[0], mount, path + 1, n);
		left = below < left ? below : left;
	}
	return left;
}

uint64_t memory_available_in(const char *meminfo, const char *self, const char *fs)
{
	char *text;
	size_t n;
	uint64_t there = number_in(meminfo, "MemAvailable:") * 1024, left = UINT64_MAX;
	if (!file_read(self, 1 << 20, &text, &n, NULL)) {
		for (const char *line = text; line && *line;
		     line = strchr(line, '\n'), line += line != NULL) {
			uint64_t of_line = left_of_line(line, fs);
			left = of_line < left ? of_line : left;
		}
		free(text);
	}
	return left != UINT64_MAX && (left < there || !there) ? left : there;
}

uint64_t memory_available(void)
{
	return memory_available_in("/proc/meminfo", "/proc/self/cgroup", "/sys/fs/cgroup");
}

uint64_t memory_total(void)
{
	return number_in("/proc/meminfo", "MemTotal:") * 1024;
}
