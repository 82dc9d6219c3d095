/* What a device can do at most: copying and reading its own memory, filling it from the
 * host's, and multiplying. */
#include "compute/cuda/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "compute/cuda/device.h"

enum {
	ROUNDS = 8, /* after one that warms up */
	MAX_BYTES = 1 << 30,
	MAX_HOST_BYTES = 256 << 20,
	HOST_ROUNDS = 2,
	BLOCKS_PER_SM = 4,
	PRODUCT_MS = 100, /* long enough for the power limit to show */
	MAX_ROUNDS = 1 << 24,
	BYTE = 0x5A, /* what all memory holds: not zero, which takes less power */
};

/* What a measurement holds. */
struct bench {
	struct cuda_device device;
	size_t bytes, host_bytes;
	uint8_t *memory; /* (bytes) and a word */
	uint8_t *pinned, *pageable;
	cudaStream_t stream;
	cudaEvent_t start, stop;
};

static enum hokku_code copy_once(struct bench *b, struct hokku_error *err)
{
	CUDA_TRY(&b->device, err,
		 cudaMemcpyAsync(b->memory, b->memory + b->bytes / 2, b->bytes / 2, cudaMemcpyDeviceToDevice,
				 b->stream));
	return HOKKU_OK;
}

static enum hokku_code read_once(struct bench *b, struct hokku_error *err)
{
	struct cudaDeviceProp prop;
	CUDA_TRY(&b->device, err, cudaGetDeviceProperties(&prop, b->device.index));
	const struct read_args a = {
		.from = b->memory,
		.out = (uint32_t *)(void *)(b->memory + b->bytes),
		.bytes = b->bytes,
		.n_blocks = (uint32_t)prop.multiProcessorCount * BLOCKS_PER_SM,
		.word = BYTE * 0x01010101u,
	};
	CUDA_TRY(&b->device, err, cuda_read(&a, b->stream));
	return HOKKU_OK;
}

/* Runs one thing ROUNDS times on the stream; each moves b->bytes. */
static enum hokku_code rate_of(struct bench *b, enum hokku_code (*once)(struct bench *, struct hokku_error *),
			       double *bytes_per_s, struct hokku_error *err)
{
	float ms = 0;
	for (int i = 0; i < 1 + ROUNDS; i++) {
		if (i == 1)
			CUDA_TRY(&b->device, err, cudaEventRecord(b->start, b->stream));
		enum hokku_code rc = once(b, err);
		if (rc)
			return rc;
	}
	CUDA_TRY(&b->device, err, cudaEventRecord(b->stop, b->stream));
	CUDA_TRY(&b->device, err, cudaEventSynchronize(b->stop));
	CUDA_TRY(&b->device, err, cudaEventElapsedTime(&ms, b->start, b->stop));
	*bytes_per_s = ms > 0 ? ROUNDS * (double)b->bytes / ((double)ms * 1e-3) : 0;
	return HOKKU_OK;
}

/* From host memory whose pages are there already. */
static enum hokku_code host_rate(struct bench *b, const uint8_t *from, double *bytes_per_s,
				 struct hokku_error *err)
{
	uint64_t start = 0;
	for (int i = 0; i < 1 + HOST_ROUNDS; i++) {
		if (i == 1)
			start = clock_ns();
		CUDA_TRY(&b->device, err,
			 cudaMemcpyAsync(b->memory, from, b->host_bytes, cudaMemcpyHostToDevice, b->stream));
		CUDA_TRY(&b->device, err, cudaStreamSynchronize(b->stream));
	}
	*bytes_per_s = HOST_ROUNDS * (double)b->host_bytes / (clock_ms_since(start) * 1e-3);
	return HOKKU_OK;
}

/* Runs the products once; *ms is the device's time for them. */
static enum hokku_code time_products(struct bench *b, const struct multiply_args *a, float *ms,
				     struct hokku_error *err)
{
	bool wgmma = b->device.cc == 90;
	CUDA_TRY(&b->device, err, cudaEventRecord(b->start, b->stream));
	CUDA_TRY(&b->device, err, wgmma ? cuda_multiply_wgmma(a, b->stream) : cuda_multiply(a, b->stream));
	CUDA_TRY(&b->device, err, cudaEventRecord(b->stop, b->stream));
	CUDA_TRY(&b->device, err, cudaEventSynchronize(b->stop));
	CUDA_TRY(&b->device, err, cudaEventElapsedTime(ms, b->start, b->stop));
	return HOKKU_OK;
}

/* More rounds until they take PRODUCT_MS; devices without such products are not measured. */
static enum hokku_code product_rate(struct bench *b, double *ops_per_s, struct hokku_error *err)
{
	struct cudaDeviceProp prop;
	if (b->device.cc < 80)
		return HOKKU_OK;
	CUDA_TRY(&b->device, err, cudaGetDeviceProperties(&prop, b->device.index));
	bool wgmma = b->device.cc == 90;
	struct multiply_args a = {
		.out = (float *)(void *)b->memory,
		.n_blocks = (uint32_t)prop.multiProcessorCount * (wgmma ? 1 : 2),
		.rounds = 1,
	};
	float ms = 0;
	enum hokku_code rc = time_products(b, &a, &ms, err);
	for (; !rc && ms < PRODUCT_MS && a.rounds < MAX_ROUNDS; rc = time_products(b, &a, &ms, err))
		a.rounds *= 2;
	if (!rc && ms > 0)
		*ops_per_s = (double)a.n_blocks * a.rounds *
			     (wgmma ? CUDA_MULTIPLY_WGMMA_OPS : CUDA_MULTIPLY_OPS) / ((double)ms * 1e-3);
	return rc;
}

/* Takes an eighth of the memory that is free, MAX_BYTES at most. */
static enum hokku_code prepare(struct bench *b, struct hokku_error *err)
{
	size_t available = 0, total = 0;
	CUDA_TRY(&b->device, err, cudaMemGetInfo(&available, &total));
	b->bytes = available / 8 < MAX_BYTES ? available / 8 : MAX_BYTES;
	b->bytes -= b->bytes % CUDA_READ_GRAIN;
	b->host_bytes = b->bytes < MAX_HOST_BYTES ? b->bytes : MAX_HOST_BYTES;
	if (!b->bytes)
		return err_set(err, HOKKU_INSUFFICIENT_VRAM, "cuda:%d (%s) has %zu bytes free",
			       b->device.index, b->device.name, available);
	CUDA_TRY(&b->device, err, cudaMalloc((void **)&b->memory, b->bytes + sizeof(uint32_t)));
	CUDA_TRY(&b->device, err, cudaMallocHost((void **)&b->pinned, b->host_bytes));
	CUDA_TRY(&b->device, err, cudaStreamCreateWithFlags(&b->stream, cudaStreamNonBlocking));
	CUDA_TRY(&b->device, err, cudaEventCreateWithFlags(&b->start, cudaEventDefault));
	CUDA_TRY(&b->device, err, cudaEventCreateWithFlags(&b->stop, cudaEventDefault));
	CUDA_TRY(&b->device, err, cudaMemsetAsync(b->memory, BYTE, b->bytes, b->stream));
	b->pageable = malloc(b->host_bytes);
	if (!b->pageable)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory to copy from");
	memset(b->pinned, BYTE, b->host_bytes);
	memset(b->pageable, BYTE, b->host_bytes);
	return HOKKU_OK;
}

static enum hokku_code measure_all(struct bench *b, struct compute_measured *out, struct hokku_error *err)
{
	enum hokku_code rc = prepare(b, err);
	if (!rc)
		rc = rate_of(b, copy_once, &out->copy_bytes_per_s, err);
	if (!rc)
		rc = rate_of(b, read_once, &out->read_bytes_per_s, err);
	if (!rc)
		rc = host_rate(b, b->pinned, &out->pinned_bytes_per_s, err);
	if (!rc)
		rc = host_rate(b, b->pageable, &out->pageable_bytes_per_s, err);
	if (!rc)
		rc = product_rate(b, &out->matrix_ops_per_s, err);
	return rc;
}

enum hokku_code cuda_measure(uint32_t device, struct compute_measured *out, struct hokku_error *err)
{
	struct bench b = {0};
	*out = (struct compute_measured){0};
	enum hokku_code rc = cuda_device_open_index(&b.device, device, err);
	if (rc)
		return rc;
	rc = measure_all(&b, out, err);
	if (b.start)
		cudaEventDestroy(b.start);
	if (b.stop)
		cudaEventDestroy(b.stop);
	if (b.stream)
		cudaStreamDestroy(b.stream);
	cudaFree(b.memory);
	cudaFreeHost(b.pinned);
	free(b.pageable);
	return rc;
}
