/* What can compute here: the CPU, and what the GPU plugin finds, or why there is none. */
#include <stdio.h>

#include <jansson.h>

#include "cli/cli.h"
#include "compute/cpu/tier.h"
#include "compute/plugin.h"

#include <unistd.h>

static int run(int argc, char **argv);

const struct cmd cmd_devices = {
	.name = "devices",
	.usage = "devices [--measure] [--json]",
	.summary = "list what can compute",
	.help = "A GPU needs the plugin libhokku-cuda.so, beside hokku or in a folder of HOKKU_PLUGIN_PATH.\n\n"
		"Example:\n"
		"  hokku devices --measure\n",
	.run = run,
};

enum { MAX_DEVICES = 64 };

struct gpu {
	uint64_t free_bytes;
	struct hokku_error silent;        /* code 0: free_bytes is known */
	struct compute_measured measured; /* all 0: not measured */
};

struct listing {
	struct compute_device_info info[MAX_DEVICES];
	struct gpu gpus[MAX_DEVICES];
	int n_gpus;
	struct hokku_error why_none; /* code 0 where the plugin could be asked */
};

static enum hokku_code look(struct listing *l, bool measure, struct hokku_error *err)
{
	const struct compute_plugin *plugin;
	if (plugin_get(&plugin, &l->why_none))
		return HOKKU_OK;
	int n = plugin->list_devices(l->info, MAX_DEVICES, &l->why_none);
	l->n_gpus = n < 0 ? 0 : n < MAX_DEVICES ? n : MAX_DEVICES;
	for (int i = 0; i < l->n_gpus; i++) {
		uint32_t index = l->info[i].index;
		if (!l->info[i].usable)
			continue;
		plugin->free_bytes(index, &l->gpus[i].free_bytes, &l->gpus[i].silent);
		if (!measure)
			continue;
		enum hokku_code rc = plugin->measure(index, &l->gpus[i].measured, err);
		if (rc)
			return err_prefix(err, rc, "cuda:%u", index);
	}
	return HOKKU_OK;
}

static void print_gpu(const struct compute_device_info *d, const struct gpu *gpu)
{
	const struct compute_measured *m = &gpu->measured;
	char text[32];
	printf("cuda:%-3u %s, compute capability %u.%u, %s", d->index, d->name, d->cc_major, d->cc_minor,
	       str_bytes(d->vram_bytes, text));
	if (d->usable && !gpu->silent.code)
		printf(" (%s free)", str_bytes(gpu->free_bytes, text));
	printf(", driver %u.%u, runtime %u.%u", d->driver_version / 1000, d->driver_version % 1000 / 10,
	       d->runtime_version / 1000, d->runtime_version % 1000 / 10);
	if (!d->usable)
		printf(", too old: hokku needs %d.%d", COMPUTE_MIN_CC_MAJOR, COMPUTE_MIN_CC_MINOR);
	if (gpu->silent.code)
		printf(", does not answer: %s", gpu->silent.message);
	if (m->copy_bytes_per_s > 0)
		printf(", copies at %.0f GB/s, reads at %.0f, takes %.1f from pinned host memory, %.1f from "
		       "pageable",
		       m->copy_bytes_per_s * 1e-9, m->read_bytes_per_s * 1e-9, m->pinned_bytes_per_s * 1e-9,
		       m->pageable_bytes_per_s * 1e-9);
	if (m->matrix_ops_per_s > 0)
		printf(", float16 products at %.0f TFLOP/s", m->matrix_ops_per_s * 1e-12);
	printf("\n");
}

static void print_text(const struct listing *l)
{
	printf("cpu      %s kernels, %ld of %ld cores\n", cpu_tier_get(NULL)->name,
	       sysconf(_SC_NPROCESSORS_ONLN), sysconf(_SC_NPROCESSORS_CONF));
	for (int i = 0; i < l->n_gpus; i++)
		print_gpu(&l->info[i], &l->gpus[i]);
	if (l->why_none.code)
		printf("cuda     none: %s\n", l->why_none.message);
	else if (!l->n_gpus)
		printf("cuda     none: the driver shows no device\n");
}

static enum hokku_code print_json(const struct listing *l, struct hokku_error *err)
{
	json_t *gpus = json_array();
	for (int i = 0; i < l->n_gpus; i++) {
		const struct compute_device_info *d = &l->info[i];
		const struct gpu *asked = &l->gpus[i];
		json_t *gpu = json_pack("{s:i, s:s, s:[i,i], s:I, s:i, s:i, s:b}", "index", (int)d->index,
					"name", d->name, "compute_capability", (int)d->cc_major,
					(int)d->cc_minor, "vram_bytes", (json_int_t)d->vram_bytes,
					"driver_version", (int)d->driver_version, "runtime_version",
					(int)d->runtime_version, "usable", d->usable);
		const struct compute_measured *m = &asked->measured;
		if (asked->silent.code)
			json_object_set_new(gpu, "error", json_string(asked->silent.message));
		else if (d->usable)
			json_object_set_new(gpu, "vram_free_bytes",
					    json_integer((json_int_t)asked->free_bytes));
		if (m->copy_bytes_per_s > 0)
			json_object_set_new(
				gpu, "measured",
				json_pack("{s:f, s:f, s:f, s:f, s:f}", "copy_bytes_per_s",
					  m->copy_bytes_per_s, "read_bytes_per_s", m->read_bytes_per_s,
					  "pinned_bytes_per_s", m->pinned_bytes_per_s, "pageable_bytes_per_s",
					  m->pageable_bytes_per_s, "matrix_ops_per_s", m->matrix_ops_per_s));
		json_array_append_new(gpus, gpu);
	}
	json_t *all = json_pack("{s:{s:s, s:i}, s:o}", "cpu", "kernels", cpu_tier_get(NULL)->name, "cores",
				(int)sysconf(_SC_NPROCESSORS_ONLN), "cuda", gpus);
	if (all && l->why_none.code)
		json_object_set_new(all, "cuda_error", json_string(l->why_none.message));
	bool ok = all && json_dumpf(all, stdout, JSON_INDENT(2)) == 0;
	json_decref(all);
	printf("\n");
	return ok ? HOKKU_OK : err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the list of devices");
}

static int run(int argc, char **argv)
{
	bool measure = false, json = false;
	const struct opt opts[] = {
		{.name = "measure",
		 .kind = OPT_FLAG,
		 .target = &measure,
		 .help = "measure each GPU: its memory, and copies to it from the host's"},
		{.name = "json", .kind = OPT_FLAG, .target = &json, .help = "for programs"},
		{0},
	};
	int n_operands, status = cli_parse(&cmd_devices, opts, argc, argv, NULL, 0, &n_operands);
	if (status >= 0)
		return status;
	static struct listing listing;
	struct hokku_error err = {0};
	enum hokku_code rc = look(&listing, measure, &err);
	if (!rc && json)
		rc = print_json(&listing, &err);
	else if (!rc)
		print_text(&listing);
	return cli_finish(rc ? cli_fail(&err) : EXIT_OK);
}
