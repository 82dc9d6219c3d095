/*
 * Every byte of device memory that hokku takes, by class. One function lists what a model needs and runs
 * twice: first on a ledger that only counts, so that what does not fit is refused before anything is taken,
 * then on one that takes it.
 *
 * The driver rounds an allocation up to 2 MiB. Classes with many members of a few MiB (weights) are therefore
 * taken at once, ledger_take_stock, and their members cut from it.
 */
#ifndef COMPUTE_CUDA_LEDGER_H
#define COMPUTE_CUDA_LEDGER_H

#include "compute/cuda/device.h"

/* clang-format off */
#define LEDGER_CLASSES(X) \
	X(WEIGHTS, "weights") \
	X(KV, "KV") \
	X(SCRATCH, "scratch") \
	X(GRAPHS, "graphs") \
	X(RUNTIME, "runtime")
/* clang-format on */

enum { LEDGER_ALIGNMENT = 256 }; /* of what is cut from a stock: its size is rounded up to it */

enum ledger_class {
#define LEDGER_X(name, text) LEDGER_##name,
	LEDGER_CLASSES(LEDGER_X)
#undef LEDGER_X
		LEDGER_N_CLASSES
};

struct ledger_entry {
	void *p;
	uint64_t bytes;
	enum ledger_class class;
	const char *what; /* borrowed */
};

struct ledger {
	const struct cuda_device *device; /* NULL: only counts */
	struct ledger_entry *entries;
	size_t n, cap;
	uint64_t bytes[LEDGER_N_CLASSES];
	bool overflow;  /* a size that no 64-bit number holds was asked for */
	uint8_t *stock; /* what is left of it */
	uint64_t stock_left;
};

/* Takes at once what ledger_take will be asked for of the class LEDGER_WEIGHTS: `bytes` as a ledger that
 * counts has found them. INSUFFICIENT_VRAM. */
enum hokku_code ledger_take_stock(struct ledger *l, uint64_t bytes, const char *what,
				  struct hokku_error *err);

/* count x size bytes. *out is NULL on a ledger that counts. INSUFFICIENT_VRAM names what was wanted. */
enum hokku_code ledger_take(struct ledger *l, enum ledger_class class, uint64_t count, uint64_t size,
			    const char *what, void **out, struct hokku_error *err);

/* Gives back what ledger_take gave. DEVICE_ERROR. */
enum hokku_code ledger_give(struct ledger *l, void *p, struct hokku_error *err);

/* Bytes of all classes together. */
uint64_t ledger_total(const struct ledger *l);

/* DEVICE_ERROR if an allocation is not memory of the device itself (managed, mapped, gone). */
enum hokku_code ledger_check_resident(const struct ledger *l, struct hokku_error *err);

/* Frees everything; errors of a device that is lost are passed over. */
void ledger_free(struct ledger *l);

/* "weights", ... */
const char *ledger_class_name(enum ledger_class class);

#endif
