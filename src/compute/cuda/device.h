/* Devices: parsing "cuda:N", describing them, and the check that stands behind every call of the runtime. */
#ifndef COMPUTE_CUDA_DEVICE_H
#define COMPUTE_CUDA_DEVICE_H

#include <cuda_runtime_api.h>

#include "compute/plugin_abi.h"

/* Which device a call was for; what messages say of it. */
struct cuda_device {
	int index;
	int cc; /* compute capability, 90 for 9.0 */
	char name[96];
};

/* HOKKU_OK for cudaSuccess; otherwise DEVICE_ERROR with call (cut at its parenthesis), device and error. */
enum hokku_code cuda_check(const struct cuda_device *d, cudaError_t e, const char *call,
			   struct hokku_error *err);

#define CUDA_TRY(device, err, call)                                            \
	do {                                                                   \
		enum hokku_code try_rc = cuda_check(device, call, #call, err); \
		if (try_rc)                                                    \
			return try_rc;                                         \
	} while (0)

/* text: "cuda" (device 0) or "cuda:N". Makes the device the calling thread's. INVALID_REQUEST for a number
 * that no device has, DEVICE_ERROR for a device below COMPUTE_MIN_CC_MAJOR.MINOR and for an old driver,
 * NOT_FOUND for none. */
enum hokku_code cuda_device_open(struct cuda_device *d, const char *text, struct hokku_error *err);

/* The same of device N. */
enum hokku_code cuda_device_open_index(struct cuda_device *d, uint32_t index, struct hokku_error *err);

/* The functions of struct compute_plugin. */
int cuda_list_devices(struct compute_device_info *out, uint32_t cap, struct hokku_error *err);
enum hokku_code cuda_free_bytes(uint32_t device, uint64_t *out, struct hokku_error *err);
enum hokku_code cuda_measure(uint32_t device, struct compute_measured *out, struct hokku_error *err);

#endif
