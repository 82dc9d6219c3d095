#include "compute/cuda/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { MIN_CC = COMPUTE_MIN_CC_MAJOR * 10 + COMPUTE_MIN_CC_MINOR };

enum hokku_code cuda_check(const struct cuda_device *d, cudaError_t e, const char *call,
			   struct hokku_error *err)
{
	if (e == cudaSuccess)
		return HOKKU_OK;
	return err_set(err, HOKKU_DEVICE_ERROR, "cuda:%d (%s): %.*s: %s (%s)", d->index, d->name,
		       (int)strcspn(call, "("), call, cudaGetErrorString(e), cudaGetErrorName(e));
}

/* The number of devices. Says in the operator's terms what keeps the runtime from counting. */
static enum hokku_code count_devices(int *n, struct hokku_error *err)
{
	int driver = 0, runtime = 0;
	cudaError_t e = cudaGetDeviceCount(n);
	if (e == cudaSuccess)
		return HOKKU_OK;
	*n = 0;
	cudaGetLastError(); /* it is told here: later calls must not find it */
	if (e == cudaErrorNoDevice)
		return HOKKU_OK;
	if (e == cudaErrorInsufficientDriver && cudaDriverGetVersion(&driver) == cudaSuccess &&
	    cudaRuntimeGetVersion(&runtime) == cudaSuccess) {
		if (driver == 0)
			return err_set(err, HOKKU_NOT_FOUND,
				       "there is no NVIDIA driver on this machine (cudaGetDeviceCount: %s)",
				       cudaGetErrorName(e));
		return err_set(err, HOKKU_DEVICE_ERROR,
			       "the NVIDIA driver serves CUDA %d.%d; this plugin needs %d.%d or later",
			       driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
	}
	return err_set(err, HOKKU_DEVICE_ERROR, "cudaGetDeviceCount: %s (%s)", cudaGetErrorString(e),
		       cudaGetErrorName(e));
}

static void describe(struct cuda_device *d, const struct cudaDeviceProp *prop)
{
	d->cc = prop->major * 10 + prop->minor;
	snprintf(d->name, sizeof d->name, "%.*s", (int)sizeof d->name - 1, prop->name);
}

enum hokku_code cuda_device_open(struct cuda_device *d, const char *text, struct hokku_error *err)
{
	*d = (struct cuda_device){.name = "not opened"};
	const char *number = strchr(text, ':');
	char *end = NULL, quoted[64];
	unsigned long index = number ? strtoul(number + 1, &end, 10) : 0;
	if (number && (number[1] < '0' || number[1] > '9' || *end || index > 1023))
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "the device is %s; a CUDA device is \"cuda\" or \"cuda:N\", N from 0",
			       str_quote(str_c(text), quoted, sizeof quoted));
	return cuda_device_open_index(d, (uint32_t)index, err);
}

enum hokku_code cuda_device_open_index(struct cuda_device *d, uint32_t index, struct hokku_error *err)
{
	*d = (struct cuda_device){.index = (int)index, .name = "not opened"};
	int n;
	enum hokku_code rc = count_devices(&n, err);
	if (rc)
		return rc;
	if (n == 0)
		return err_set(err, HOKKU_DEVICE_ERROR, "the NVIDIA driver shows no device");
	if (d->index >= n)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "there is no device cuda:%d; this machine has %d%s", d->index, n,
			       n == 1 ? ", cuda:0" : ", from cuda:0");
	struct cudaDeviceProp prop;
	CUDA_TRY(d, err, cudaGetDeviceProperties(&prop, d->index));
	describe(d, &prop);
	if (d->cc < MIN_CC)
		return err_set(
			err, HOKKU_DEVICE_ERROR,
			"cuda:%d (%s) has compute capability %d.%d; hokku's kernels need %d.%d or later",
			d->index, d->name, prop.major, prop.minor, COMPUTE_MIN_CC_MAJOR,
			COMPUTE_MIN_CC_MINOR);
	CUDA_TRY(d, err, cudaSetDevice(d->index));
	return HOKKU_OK;
}

static enum hokku_code device_info(int index, struct compute_device_info *out, struct hokku_error *err)
{
	struct cuda_device d = {.index = index, .name = "not opened"};
	struct cudaDeviceProp prop;
	int driver = 0, runtime = 0;
	CUDA_TRY(&d, err, cudaGetDeviceProperties(&prop, index));
	describe(&d, &prop);
	CUDA_TRY(&d, err, cudaDriverGetVersion(&driver));
	CUDA_TRY(&d, err, cudaRuntimeGetVersion(&runtime));
	*out = (struct compute_device_info){
		.index = (uint32_t)index,
		.cc_major = (uint32_t)prop.major,
		.cc_minor = (uint32_t)prop.minor,
		.vram_bytes = prop.totalGlobalMem,
		.driver_version = (uint32_t)driver,
		.runtime_version = (uint32_t)runtime,
		.usable = d.cc >= MIN_CC,
	};
	snprintf(out->name, sizeof out->name, "%s", d.name);
	return HOKKU_OK;
}

int cuda_list_devices(struct compute_device_info *out, uint32_t cap, struct hokku_error *err)
{
	int n;
	if (count_devices(&n, err))
		return -1;
	for (int i = 0; i < n && (uint32_t)i < cap; i++)
		if (device_info(i, &out[i], err))
			return -1;
	return n;
}

enum hokku_code cuda_free_bytes(uint32_t device, uint64_t *out, struct hokku_error *err)
{
	struct cuda_device d;
	size_t free_bytes = 0, total = 0;
	enum hokku_code rc = cuda_device_open_index(&d, device, err);
	if (rc)
		return rc;
	CUDA_TRY(&d, err, cudaMemGetInfo(&free_bytes, &total));
	*out = free_bytes;
	return HOKKU_OK;
}
