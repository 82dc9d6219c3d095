/*
 * What tests ask of the emulator beyond CUDA's own interface. Settings hold for the whole process; the same
 * are read once from the environment, for tests that load the plugin:
 *
 *     CUDASIM_DEVICES   number of devices (1)
 *     CUDASIM_CC        compute capability, 90 for 9.0
 *     CUDASIM_VRAM      bytes of device memory
 *     CUDASIM_USED      bytes of it that other programs hold
 *     CUDASIM_SEED      schedule: 0 in order, else blocks, warps and lanes in random order
 *     CUDASIM_FAIL      NAME:N - the N-th call of NAME from now fails, and all after it: the device is lost
 *     CUDASIM_EVICT     N - from the N-th question about a pointer on, device memory is said to be the host's
 *     CUDASIM_HANG      N - the N-th kernel does not end
 *     CUDASIM_SLOW_COPY_MS  how long a copy from the host takes at least
 *     CUDASIM_DRIVER    version the driver says it has (13000); 0: no driver
 */
#ifndef CUDASIM_H
#define CUDASIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 0 where a device runs the tests. tests/gpu/include/cudasim.h, which is then in the place of this file, has
 * an empty twin of every function here. */
enum { CUDASIM_PRESENT = 1 };

struct cudasim_settings {
	unsigned n_devices, cc;
	size_t vram_bytes, used_bytes; /* of the device; of that, by other programs */
	uint64_t seed;
	bool fence; /* device memory is unreachable but while a kernel or a copy runs */
	int driver_version;
	size_t kernel_bytes; /* of device memory that the driver takes when a kernel first runs; a change of
			      * this number gives back what was taken */
};
void cudasim_get(struct cudasim_settings *out);
void cudasim_set(const struct cudasim_settings *s);

/* The n-th call (from 1) of the function `name`, or of any with NULL, and every one after it returns `error`;
 * n 0 makes the device well again. "launch" is a kernel's execution, seen at the next synchronisation. */
void cudasim_fail(const char *name, unsigned n, int error);
unsigned cudasim_calls(void); /* calls that cudasim_fail can hit, so far */

/* From the n-th cudaPointerGetAttributes on (from 1), device memory is said to be the host's; 0: never. */
void cudasim_evict(unsigned n);

size_t cudasim_live_bytes(void);  /* device memory that is allocated */
size_t cudasim_live_pinned(void); /* pinned host memory */
unsigned cudasim_launches(void);

/* Devices that had or needed a context in a call since this was last asked: bit i for device i. */
unsigned cudasim_contexts(void);

#ifdef __cplusplus
}
#endif
#endif
