#include "cli/needs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/fit.h"
#include "cli/heads.h"
#include "compute/plugin.h"
#include "model/kind.h"

enum { MAX_GPUS = 16 };

/* What one request takes, by hokku run. */
static enum hokku_code look(void *user, const struct gguf *g, struct hokku_error *err)
{
	const struct engine_config config = {0};
	struct model m = {0};
	enum hokku_code rc = file_kind_check(g, err);
	if (!rc)
		rc = model_bind(&m, g, err);
	if (!rc)
		rc = fit_gather(&m, &config, user, err);
	model_unbind(&m);
	return rc;
}

/* Of a device that cannot run the model, why. */
static void tell_device(const struct fit_device *d)
{
	const struct engine_fit *f = &d->fit;
	const struct compute_memory *m = &f->need.memory;
	bool cpu = strcmp(d->name, "cpu") == 0;
	char a[32], b[32], c[32], e[32];
	if (d->err.code) {
		fprintf(stderr, "hokku: on %s what it takes cannot be said: %s\n", d->name, d->err.message);
		return;
	}
	fprintf(stderr, "hokku: on %s it takes %s for weights, %s for KV at a context of %s, %s to compute",
		cpu ? "the CPU" : d->name, str_bytes(m->weight_bytes, a), str_bytes(m->kv_bytes, b),
		str_thousands(f->n_ctx, c), str_bytes(m->scratch_bytes, e));
	if (!f->need.fits && f->most_ctx_alone)
		fprintf(stderr, ": more than is available; a context of %s would fit",
			str_thousands(f->most_ctx_alone, a));
	else if (!f->need.fits)
		fprintf(stderr, ": more than is available, with any context");
	fprintf(stderr, "\n");
}

/* What the plugin shows, whether the model can be looked at or not. */
static void tell_gpus(void)
{
	static struct compute_device_info info[MAX_GPUS];
	const struct compute_plugin *plugin;
	struct hokku_error silent;
	char all[32], left[32];
	if (plugin_get(&plugin, &silent))
		return;
	int n = plugin->list_devices(info, MAX_GPUS, &silent);
	for (int i = 0; i < n && i < MAX_GPUS; i++) {
		uint64_t bytes = 0;
		if (!info[i].usable || plugin->free_bytes(info[i].index, &bytes, &silent))
			continue;
		fprintf(stderr, "; cuda:%u, %s, %s, %s free", info[i].index, info[i].name,
			str_bytes(info[i].vram_bytes, all), str_bytes(bytes, left));
	}
}

void cli_tell_needs(const struct hub_config *c, const struct hub_plan *plan)
{
	static struct fit_list list;
	struct hokku_error err;
	char a[32], b[32], d[32];
	bool fits = false;
	enum hokku_code rc = cli_open_heads(plan, look, &list, &err);
	if (rc == HOKKU_CANCELLED)
		return;
	if (rc)
		fprintf(stderr, "hokku: what it takes cannot be said: %s\n", err.message);
	for (uint32_t i = 0; !rc && i < list.n; i++) {
		tell_device(&list.devices[i]);
		fits |= !list.devices[i].err.code && list.devices[i].fit.most_ctx_alone;
	}
	fprintf(stderr, "hokku: this machine has %s of memory, %s of it available; %s of disk are free",
		str_bytes(memory_total(), a), str_bytes(memory_available(), b),
		str_bytes(hub_cache_free_bytes(c->cache), d));
	tell_gpus();
	fprintf(stderr, "\n");
	if (!rc && !fits)
		fprintf(stderr, "hokku: as this machine is now, it cannot run here\n");
}
