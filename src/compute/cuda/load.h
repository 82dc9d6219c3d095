/*
 * Weights from the model's file to the device. Threads read parcels of the file into pinned buffers; each
 * parcel is copied to the device as it is, and a kernel brings it from there to its place in the path's
 * layout. The host never holds more of the model than the buffers, and computes nothing.
 *
 * A path lists what it wants, an item a matrix; vectors are few and go by load_vector.
 */
#ifndef COMPUTE_CUDA_LOAD_H
#define COMPUTE_CUDA_LOAD_H

#include "compute/cuda/cuda.h"

enum {
	LOAD_ROWS = 8,    /* parcels are whole eights of rows, as far as there are */
	LOAD_THREADS = 8, /* at most: one reads 6 GB/s from the page cache, all of them fill a PCIe 5 bus */
	LOAD_BUFFERS = 2, /* a thread: one is copied by the device while the next is read */
	LOAD_PARCELS = 1024, /* of a model: larger parcels pay for themselves only where there are more,
			      * because pinning memory takes up to a millisecond a MiB */
	LOAD_PARCEL_BYTES_MIN = 256 << 10,
	LOAD_PARCEL_BYTES_MAX = 2 << 20,
	LOAD_ALIGNMENT = 256,         /* of a parcel's size: buffers lie one after another */
	LOAD_THREAD_BYTES = 16 << 20, /* of a model: what is worth a thread */
};

/* MODEL_LOAD_FAILED, and the tensor named, unless has() says of every matrix of m that the path has what
 * multiplies it; what: how the message calls that ("kernel"). */
enum hokku_code load_check_formats(const struct model *m, bool (*has)(const struct weight *w),
				   const char *what, struct hokku_error *err);

struct load_item;
/* Queues what brings the rows first .. first + n - 1, which lie in `rows` on the device as they lie in the
 * file, to their place in item->to. first is a multiple of LOAD_ROWS; n too, unless they are the last. */
typedef cudaError_t load_place_fn(const struct load_item *item, const uint8_t *rows, uint32_t first,
				  uint32_t n, cudaStream_t stream);

struct load_item {
	const struct weight *w;
	const void *to; /* the path's own: where w goes */
	load_place_fn *place;
};

struct load_list {
	struct load_item *items; /* (n), malloc'ed */
	size_t n, cap;
	bool failed; /* for lack of memory; load_run says so */
};
/* to must stay until load_run has returned. */
void load_add(struct load_list *l, const struct weight *w, const void *to, load_place_fn *place);

/* How a list is loaded; device memory for it is n_threads * parcel_bytes. */
struct load_how {
	uint32_t n_threads;
	uint64_t parcel_bytes; /* LOAD_ROWS rows of any item fit */
};

/* room: the device memory that may be used beside the weights. More is used only if eight rows are more. */
struct load_how load_choose(const struct load_list *l, uint64_t room);

/* Loads all of them, waits for them, and empties the list, after an error too. Tells and asks p (on_progress,
 * stopped) from the calling thread. IO_ERROR, DEVICE_ERROR, INSUFFICIENT_VRAM, OUT_OF_MEMORY, CANCELLED. */
enum hokku_code load_run(struct cuda *c, struct load_list *l, struct load_how how,
			 const struct compute_params *p, struct hokku_error *err);

/* The vector w as float32, and zeros after it up to n floats. Waits. */
enum hokku_code load_vector(struct cuda *c, float *to, const struct weight *w, uint32_t n,
			    struct hokku_error *err);
enum hokku_code load_floats(struct cuda *c, float *to, const float *from, uint32_t n,
			    struct hokku_error *err);

#endif
