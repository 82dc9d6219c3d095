#include "cli/fit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "cli/work.h"
#include "compute/cpu/measure.h"
#include "compute/plugin.h"

/* ---- memory ---- */

/* Is it wrong with any device, and so the model's or the command line's? */
static bool is_of_all(enum hokku_code code)
{
	return code == HOKKU_INVALID_REQUEST;
}

static struct fit_device *add(struct fit_list *list, const char *name)
{
	struct fit_device *d = &list->devices[list->n++];
	*d = (struct fit_device){0};
	snprintf(d->name, sizeof d->name, "%s", name);
	return d;
}

static void ask(struct model *m, const struct engine_config *config, const char *device, struct fit_device *d)
{
	struct engine_config c = *config;
	c.device = device;
	if (!engine_fit(m, &c, &d->fit, &d->err)) {
		d->err.code = HOKKU_OK;
		size_t n = strnlen(d->fit.need.device, sizeof d->text - 1);
		memcpy(d->text, d->fit.need.device, n);
		d->text[n] = '\0';
	}
	if (!d->total_bytes)
		d->total_bytes = d->fit.need.memory.device_total_bytes;
}

static void ask_cpu(struct model *m, const struct engine_config *config, struct fit_list *list)
{
	struct fit_device *d = add(list, "cpu");
	d->total_bytes = memory_total();
	ask(m, config, "cpu", d);
}

static void ask_gpu(struct model *m, const struct engine_config *config,
		    const struct compute_device_info *info, struct fit_list *list)
{
	char name[16];
	snprintf(name, sizeof name, "cuda:%u", info->index);
	struct fit_device *d = add(list, name);
	d->total_bytes = info->vram_bytes;
	ask(m, config, name, d);
	if (d->err.code)
		snprintf(d->text, sizeof d->text, "%s (%.*s)", name, (int)sizeof d->text - 32, info->name);
}

static void ask_gpus(struct model *m, const struct engine_config *config, struct fit_list *list)
{
	static struct compute_device_info info[FIT_MAX_DEVICES];
	const struct compute_plugin *plugin;
	if (plugin_get(&plugin, &list->no_gpu))
		return;
	int n = plugin->list_devices(info, FIT_MAX_DEVICES, &list->no_gpu);
	if (n < 0)
		return;
	list->no_gpu.code = HOKKU_OK;
	for (int i = 0; i < n && i < FIT_MAX_DEVICES; i++)
		ask_gpu(m, config, &info[i], list);
}

/* The one that was named, or that "auto" is. */
static enum hokku_code ask_named(struct model *m, const struct engine_config *config, struct fit_list *list,
				 struct hokku_error *err)
{
	struct fit_device *d = add(list, config->device);
	ask(m, config, config->device, d);
	if (d->err.code)
		return err_set(err, d->err.code, "%s", d->err.message);
	if (strncmp(d->text, "cpu", 3) == 0)
		d->total_bytes = memory_total();
	snprintf(d->name, sizeof d->name, "%.*s", (int)strcspn(d->text, " "), d->text);
	return HOKKU_OK;
}

enum hokku_code fit_gather(struct model *m, const struct engine_config *config, struct fit_list *out,
			   struct hokku_error *err)
{
	*out = (struct fit_list){0};
	if (config->device)
		return ask_named(m, config, out, err);
	ask_cpu(m, config, out);
	const struct hokku_error *cpu = &out->devices[0].err;
	if (is_of_all(cpu->code) && !config->kv_bytes && !config->cache.k && !config->cache.v)
		return err_set(err, cpu->code, "%s", cpu->message);
	ask_gpus(m, config, out);
	for (uint32_t i = 0; i < out->n; i++)
		if (!is_of_all(out->devices[i].err.code))
			return HOKKU_OK;
	return err_set(err, cpu->code, "%s", cpu->message);
}

/* ---- speed ---- */

static void measure_cpu(const struct model *m, uint32_t n_threads, struct fit_device *d)
{
	struct cpu_limits limits;
	if (cpu_measure(n_threads, &limits, &d->unmeasured))
		return;
	d->unmeasured.code = HOKKU_OK;
	bool bytes = work_is_of_bytes(m);
	d->limits = (struct fit_limits){
		.read_bytes_per_s = limits.read_bytes_per_s,
		.ops_per_s = bytes ? limits.byte_ops_per_s : limits.float_ops_per_s,
		.ops_of = bytes ? "products of bytes" : "products in float32",
	};
}

static void measure_gpu(uint32_t index, struct fit_device *d)
{
	const struct compute_plugin *plugin;
	struct compute_measured found = {0};
	if (plugin_get(&plugin, &d->unmeasured) || plugin->measure(index, &found, &d->unmeasured))
		return;
	d->unmeasured.code = HOKKU_OK;
	d->limits =
		(struct fit_limits){found.read_bytes_per_s, found.matrix_ops_per_s, "products in float16"};
}

void fit_measure(const struct model *m, const struct engine_config *config, struct fit_list *list)
{
	unsigned index;
	list->measured = true;
	for (uint32_t i = 0; i < list->n; i++) {
		struct fit_device *d = &list->devices[i];
		if (d->err.code)
			continue;
		if (sscanf(d->name, "cuda:%u", &index) == 1)
			measure_gpu(index, d);
		else
			measure_cpu(m, config->n_threads, d);
	}
}

static struct fit_speed slowest(double tokens, const struct fit_limits *l, double bytes, double ops)
{
	double memory_s = l->read_bytes_per_s > 0 ? bytes / l->read_bytes_per_s : 0;
	double ops_s = l->ops_per_s > 0 ? ops / l->ops_per_s : 0, all = fmax(memory_s, ops_s);
	return (struct fit_speed){all > 0 ? tokens / all : 0, memory_s >= ops_s};
}

struct fit_speed fit_decode(const struct model *m, const struct fit_device *d, uint32_t n_ctx)
{
	const struct compute_need *need = &d->fit.need;
	double n = d->fit.n_streams, seen = work_positions_seen(m, n_ctx - 1, 1);
	double cached = (double)need->kv_block_bytes / model_kv_places(m) / COMPUTE_KV_BLOCK;
	double bytes = work_step_bytes(m, need->device, need->memory.weight_bytes) + n * seen * cached;
	double ops = n * (work_layer_ops(m) + work_output_ops(m) + seen * work_look_ops(m));
	return slowest(n, &d->limits, bytes, ops);
}

struct fit_speed fit_prefill(const struct model *m, const struct fit_device *d, uint32_t n_ctx)
{
	const struct compute_need *need = &d->fit.need;
	double steps = ceil((double)n_ctx / ENGINE_BATCH);
	double bytes = steps * work_step_bytes(m, need->device, need->memory.weight_bytes);
	double ops = n_ctx * work_layer_ops(m) + work_output_ops(m) +
		     work_positions_seen(m, 0, n_ctx) * work_look_ops(m);
	return slowest(n_ctx, &d->limits, bytes, ops);
}
