#include "cli/needs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "compute/plugin.h"
#include "engine/look.h"

enum {
	FIRST_BYTES = 1 << 20, /* of a file's beginning; then 8 times as many */
	MOST_BYTES = 64 << 20,
	MOST_FILES = 16, /* whose beginnings are asked for */
	MAX_GPUS = 16,
};

/* ---- its beginnings ---- */

static const char *place_of(const char *dir, const struct hub_plan *plan, size_t i, char out[4096])
{
	const char *path = plan->files->all[plan->choice->index[i]].path;
	snprintf(out, 4096, "%s/%s", dir, file_base_name(path));
	return out;
}

/* Files of n bytes of each beginning, small ones whole. */
static enum hokku_code fetch(const struct hub_plan *plan, const char *dir, size_t n, struct hokku_error *err)
{
	char path[4096];
	for (size_t i = 0; i < plan->choice->n; i++) {
		const struct hub_file *f = &plan->files->all[plan->choice->index[i]];
		bool text = !str_ends(str_c(f->path), STR_LIT(".gguf")) &&
			    !str_ends(str_c(f->path), STR_LIT(".safetensors"));
		enum hokku_code rc =
			hub_plan_head(plan, i, text ? MOST_BYTES : n, place_of(dir, plan, i, path), err);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

/* Does the first file begin as its format does? A folder's is read as text. */
static bool is_gguf(const struct hub_plan *plan, const char *dir)
{
	char path[4096], magic[4] = "";
	if (plan->choice->folder)
		return true;
	FILE *f = fopen(place_of(dir, plan, 0, path), "re");
	bool ok = f && fread(magic, 1, sizeof magic, f) == sizeof magic && memcmp(magic, "GGUF", 4) == 0;
	if (f)
		fclose(f);
	return ok;
}

/* Is all that g was read from in the first n bytes of its files? */
static bool is_whole(const struct gguf *g, size_t n)
{
	for (uint32_t i = 0; i < gguf_n_parts(g); i++)
		if (gguf_data_offset(gguf_part(g, i)) > n)
			return false;
	return gguf_is_assembled(g) || gguf_n_parts(g) || gguf_data_offset(g) <= n;
}

static enum hokku_code look_once(const struct hub_plan *plan, const char *dir, size_t n,
				 struct model_look *out, struct hokku_error *err)
{
	char path[4096];
	const struct engine_config config = {0};
	struct gguf *g = NULL;
	enum hokku_code rc = fetch(plan, dir, n, err);
	if (!rc)
		rc = engine_open_file(plan->choice->folder ? dir : place_of(dir, plan, 0, path), &g, err);
	if (!rc && !is_whole(g, n))
		rc = err_set(err, HOKKU_BAD_FILE, "its header is longer than %zu bytes", n);
	if (!rc)
		rc = engine_look(g, &config, out, err);
	gguf_close(g);
	return rc;
}

/* Where a beginning is no file that can be read, more of it may be one. */
static enum hokku_code look_at_heads(const struct hub_plan *plan, const char *dir, struct model_look *out,
				     struct hokku_error *err)
{
	uint64_t longest = 0;
	for (size_t i = 0; i < plan->choice->n; i++)
		if (plan->files->all[plan->choice->index[i]].n_bytes > longest)
			longest = plan->files->all[plan->choice->index[i]].n_bytes;
	for (size_t n = FIRST_BYTES;; n *= 8) {
		enum hokku_code rc = look_once(plan, dir, n, out, err);
		if (rc != HOKKU_BAD_FILE || n >= longest || n >= MOST_BYTES || !is_gguf(plan, dir))
			return rc;
	}
}

static enum hokku_code find_needs(const struct hub_plan *plan, struct model_look *out,
				  struct hokku_error *err)
{
	char dir[4096 - HUB_MAX_FILE - 1], path[4096];
	const char *tmp = getenv("TMPDIR");
	if (plan->choice->n > MOST_FILES)
		return err_set(err, HOKKU_INVALID_REQUEST, "it has more than %d files", MOST_FILES);
	int n = snprintf(dir, sizeof dir, "%s/hokku-heads-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (n < 0 || (size_t)n >= sizeof dir || !mkdtemp(dir))
		return err_set(err, HOKKU_IO_ERROR, "there is no place for its beginning");
	enum hokku_code rc = look_at_heads(plan, dir, out, err);
	for (size_t i = 0; i < plan->choice->n; i++)
		unlink(place_of(dir, plan, i, path));
	rmdir(dir);
	/* A message about a file here would name one that nobody has. */
	if (rc && err) {
		char *at = strstr(err->message, dir);
		size_t len = strlen(dir) + 1;
		if (at && at[len - 1] == '/')
			memmove(at, at + len, strlen(at + len) + 1);
	}
	return rc;
}

/* ---- the machine ---- */

/* A line of /proc/meminfo, in bytes; 0: not told. */
static uint64_t memory_of(const char *key)
{
	char line[128];
	unsigned long long kib = 0;
	FILE *f = fopen("/proc/meminfo", "re");
	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, key, strlen(key)) == 0 &&
		    sscanf(line + strlen(key), ": %llu kB", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return (uint64_t)kib * 1024;
}

/* Returns the most that one GPU has free; 0: there is none. */
static uint64_t tell_gpus(void)
{
	static struct compute_device_info info[MAX_GPUS];
	const struct compute_plugin *plugin;
	struct hokku_error silent;
	char all[32], left[32];
	uint64_t most = 0;
	if (plugin_get(&plugin, &silent))
		return 0;
	int n = plugin->list_devices(info, MAX_GPUS, &silent);
	for (int i = 0; i < n && i < MAX_GPUS; i++) {
		uint64_t bytes = 0;
		if (!info[i].usable || plugin->free_bytes(info[i].index, &bytes, &silent))
			continue;
		fprintf(stderr, "; cuda:%u, %s, %s, %s free", info[i].index, info[i].name,
			str_bytes(info[i].vram_bytes, all), str_bytes(bytes, left));
		most = bytes > most ? bytes : most;
	}
	return most;
}

void cli_tell_needs(const struct hub_config *c, const struct hub_plan *plan)
{
	struct model_look needs = {0};
	struct hokku_error err;
	char a[32], b[32], d[32], e[32];
	uint64_t memory = memory_of("MemTotal");
	enum hokku_code rc = find_needs(plan, &needs, &err);
	if (rc == HOKKU_CANCELLED)
		return;
	if (rc)
		fprintf(stderr, "hokku: what it takes cannot be said: %s\n", err.message);
	else
		fprintf(stderr,
			"hokku: on the CPU it takes %s for weights, %s for KV at a context of %s, %s to compute\n",
			str_bytes(needs.weight_bytes, a), str_bytes(needs.kv_bytes, b),
			str_thousands(needs.n_ctx, d), str_bytes(needs.scratch_bytes, e));
	fprintf(stderr, "hokku: this machine has %s of memory, %s of it available; %s of disk are free",
		str_bytes(memory, a), str_bytes(memory_available(), b),
		str_bytes(hub_cache_free_bytes(c->cache), d));
	uint64_t gpu = tell_gpus();
	fprintf(stderr, "\n");
	if (!rc && needs.weight_bytes > memory && needs.weight_bytes > gpu)
		fprintf(stderr, "hokku: its weights alone are more than that\n");
}
