/*
 * What a device plugin (libhokku-cuda.so) shows the hokku binary: one function, which returns one table.
 *
 * The plugin carries its own copy of the rooms it stands on (base, gguf's and model's tables); nothing of it
 * is resolved in the binary that loads it. Plain C structs cross the boundary, laid out as both were
 * compiled: abi is checked before any other field is read, and it changes whenever a struct of this header,
 * of compute.h, of model/model.h or of gguf/gguf_internal.h does (the plugin reads the model's file itself).
 *
 * Threads: list_devices, free_bytes and measure may be called from any thread, one at a time; the
 * backend's functions follow compute.h.
 */
#ifndef COMPUTE_PLUGIN_ABI_H
#define COMPUTE_PLUGIN_ABI_H

#include "compute/compute.h"

enum {
	COMPUTE_PLUGIN_ABI = COMPUTE_ABI * 1000 + 5, /* +5: this header's own version */
	COMPUTE_MIN_CC_MAJOR = 7,                    /* the least compute capability with kernels: 7.5 */
	COMPUTE_MIN_CC_MINOR = 5,
};

/* One device as its driver tells of it. Versions as CUDA counts them: 13000 is 13.0. */
struct compute_device_info {
	char name[128];
	uint32_t index; /* N of "cuda:N" */
	uint32_t cc_major, cc_minor;
	uint64_t vram_bytes;
	uint32_t driver_version, runtime_version;
	bool usable; /* the compute capability has kernels in this plugin */
};

/* What a device was measured to do at most. */
struct compute_measured {
	double copy_bytes_per_s; /* within its memory, bytes read and written together */
	double read_bytes_per_s; /* by a kernel that only reads */
	double pinned_bytes_per_s, pageable_bytes_per_s; /* from the host's memory to the device's */
	double matrix_ops_per_s; /* float16 products summed in float32, two a multiply-add; 0: not measured */
};

struct compute_plugin {
	uint32_t abi;        /* COMPUTE_PLUGIN_ABI of its sources; stays the first field for ever */
	const char *version; /* "0.1.0": hokku's version when it was built */
	const char *name;    /* "cuda": what stands before ":N" in compute_params.device */
	const struct compute_backend *backend;

	/* Fills up to cap rows and returns the number of devices, which may be 0; -1 and err (NOT_FOUND if
	 * the driver is missing, DEVICE_ERROR if it is too old or fails). Makes no context: that takes time
	 * and memory on a device that may not be the one wanted. */
	int (*list_devices)(struct compute_device_info *out, uint32_t cap, struct hokku_error *err);

	/* The device's memory that is free now. Makes the device's context in this process, which is not
	 * counted as free. INVALID_REQUEST if there is no such device, DEVICE_ERROR if it does not answer. */
	enum hokku_code (*free_bytes)(uint32_t device, uint64_t *out, struct hokku_error *err);

	/* Measures the device, which takes up to 1 GiB of its memory and some seconds. */
	enum hokku_code (*measure)(uint32_t device, struct compute_measured *out, struct hokku_error *err);
};

/* The name that dlsym asks for, and the function's type. */
#define COMPUTE_PLUGIN_SYMBOL "hokku_compute_plugin"
typedef const struct compute_plugin *compute_plugin_fn(void);

#ifdef __cplusplus
extern "C" {
#endif
/* Defined by the plugin only. Never fails; touches no device. */
HOKKU_API const struct compute_plugin *hokku_compute_plugin(void);
#ifdef __cplusplus
}
#endif

#endif
