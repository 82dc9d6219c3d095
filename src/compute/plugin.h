/*
 * Finds and loads the device plugin (libhokku-cuda.so), so that one binary serves machines with and without a
 * GPU.
 *
 * Looked for, in this order: each folder of the variable HOKKU_PLUGIN_PATH (separated by ':'; a file's own
 * path does as well), the folder of the running program or library, and ../lib beside it. The first that
 * exists counts: one that does not load is an error, never passed over in silence. A loaded plugin stays for
 * the life of the process.
 */
#ifndef COMPUTE_PLUGIN_H
#define COMPUTE_PLUGIN_H

#include "compute/plugin_abi.h"

/* The plugin, loaded at the first call; the same answer for every later one. NOT_FOUND names the folders that
 * were looked in; DEVICE_ERROR says why a file there cannot be used (not loadable, no plugin, another
 * version). */
enum hokku_code plugin_get(const struct compute_plugin **out, struct hokku_error *err);

/* The backend that serves `device` ("cuda", "cuda:1"), once it is known to exist and to have kernels. Errors
 * name the device, what there is instead, and the fix. */
enum hokku_code plugin_backend(const char *device, const struct compute_backend **out,
			       struct hokku_error *err);

/* For "auto": the first GPU with kernels, and its backend. NOT_FOUND where there is none to expect (no
 * plugin, no driver, no device); DEVICE_ERROR says what keeps the GPU that is there from being used. */
enum hokku_code plugin_first_usable(const struct compute_backend **out, uint32_t *index,
				    struct hokku_error *err);

#endif
