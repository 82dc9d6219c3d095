/* Device plugins for test_plugin.c: one source, built once for each FAKE_*. No device is behind them. */
#include <stdio.h>

#include "compute/plugin_abi.h"

#ifdef FAKE_SYMBOL
HOKKU_API int something_else(void);

int something_else(void)
{
	return 0;
}
#else

static enum hokku_code open_none(const struct compute_params *params, void **self, struct hokku_error *err)
{
	(void)params;
	*self = NULL;
	err->code = HOKKU_INSUFFICIENT_VRAM;
	snprintf(err->message, sizeof err->message, "the fake has no memory");
	return err->code;
}

static const struct compute_backend backend = {.name = "fake", .open = open_none};

static int list_devices(struct compute_device_info *out, uint32_t cap, struct hokku_error *err)
{
#if defined(FAKE_NONE)
	(void)out, (void)cap, (void)err;
	return 0;
#elif defined(FAKE_NODRIVER)
	(void)out, (void)cap;
	err->code = HOKKU_NOT_FOUND;
	snprintf(err->message, sizeof err->message, "the NVIDIA driver is missing");
	return -1;
#elif defined(FAKE_OLD)
	(void)cap, (void)err;
	out[0] = (struct compute_device_info){.name = "Old Card", .cc_major = 7, .vram_bytes = 1u << 30};
	return 1;
#elif defined(FAKE_LATER)
	(void)cap, (void)err;
	out[0] = (struct compute_device_info){.name = "Old Card", .cc_major = 7, .vram_bytes = 1u << 30};
	out[1] = out[0];
	out[1].index = 3;
	out[2] = (struct compute_device_info){
		.name = "Fake Five", .index = 5, .cc_major = 9, .usable = true, .vram_bytes = 1u << 30};
	return 3;
#else
	static const struct compute_device_info all[] = {
		{.name = "Fake One", .index = 0, .cc_major = 9, .usable = true, .vram_bytes = 1u << 30},
		{.name = "Fake Two",
		 .index = 1,
		 .cc_major = 8,
		 .cc_minor = 9,
		 .usable = true,
		 .vram_bytes = 1u << 31},
		{.name = "Old Card", .index = 2, .cc_major = 7, .vram_bytes = 1u << 30},
	};
	(void)err;
	for (uint32_t i = 0; i < 3 && i < cap; i++)
		out[i] = all[i];
	return 3;
#endif
}

/* The second device does not answer. */
static enum hokku_code free_bytes(uint32_t device, uint64_t *out, struct hokku_error *err)
{
	*out = 1u << 29;
	if (device == 1) {
		err->code = HOKKU_DEVICE_ERROR;
		snprintf(err->message, sizeof err->message, "cuda:1 (Fake Two) is asleep");
		return err->code;
	}
	return HOKKU_OK;
}

static enum hokku_code measure(uint32_t device, struct compute_measured *out, struct hokku_error *err)
{
	(void)err;
	*out = (struct compute_measured){(1000.0 + device) * 1e9, 1100e9, 50e9, 9e9, 0};
	return HOKKU_OK;
}

const struct compute_plugin *hokku_compute_plugin(void)
{
	static const struct compute_plugin plugin = {
#ifdef FAKE_ABI
		.abi = 1,
#else
		.abi = COMPUTE_PLUGIN_ABI,
#endif
#ifdef FAKE_VERSION
		.version = "0.0.9",
#else
		.version = "0.1.0",
#endif
		.name = "cuda",
		.backend = &backend,
		.list_devices = list_devices,
		.free_bytes = free_bytes,
		.measure = measure,
	};
	return &plugin;
}
#endif
