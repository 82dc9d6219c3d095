#include "compute/cuda/ledger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
#define LEDGER_X(name, text) text,
	LEDGER_CLASSES(LEDGER_X)
#undef LEDGER_X
};

const char *ledger_class_name(enum ledger_class class)
{
	return names[class];
}

static bool grow(struct ledger *l)
{
	if (l->n < l->cap)
		return true;
	size_t cap = l->cap ? 2 * l->cap : 64;
	struct ledger_entry *entries = realloc(l->entries, cap * sizeof *entries);
	if (!entries)
		return false;
	l->entries = entries;
	l->cap = cap;
	return true;
}

/* An allocation of its own. */
static enum hokku_code allocate(struct ledger *l, enum ledger_class class, uint64_t bytes, const char *what,
				void **out, struct hokku_error *err)
{
	if (!grow(l))
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the ledger of device memory");
	cudaError_t e = cudaMalloc(out, bytes);
	if (e == cudaErrorMemoryAllocation) {
		cudaGetLastError();
		return err_set(err, HOKKU_INSUFFICIENT_VRAM,
			       "cuda:%d (%s) has no %" PRIu64 " bytes left for the %s", l->device->index,
			       l->device->name, bytes, what);
	}
	enum hokku_code rc = cuda_check(l->device, e, "cudaMalloc", err);
	if (rc)
		return rc;
	l->entries[l->n++] = (struct ledger_entry){*out, bytes, class, what};
	l->bytes[class] += bytes;
	return HOKKU_OK;
}

enum hokku_code ledger_take_stock(struct ledger *l, uint64_t bytes, const char *what, struct hokku_error *err)
{
	void *p;
	enum hokku_code rc = allocate(l, LEDGER_WEIGHTS, bytes, what, &p, err);
	if (!rc) {
		l->stock = p;
		l->stock_left = bytes;
	}
	return rc;
}

static enum hokku_code cut(struct ledger *l, uint64_t bytes, const char *what, void **out,
			   struct hokku_error *err)
{
	if (bytes > l->stock_left)
		return err_set(err, HOKKU_INTERNAL,
			       "%" PRIu64 " bytes of the %s were not counted before they were taken",
			       bytes - l->stock_left, what);
	*out = l->stock;
	l->stock += bytes;
	l->stock_left -= bytes;
	return HOKKU_OK;
}

enum hokku_code ledger_take(struct ledger *l, enum ledger_class class, uint64_t count, uint64_t size,
			    const char *what, void **out, struct hokku_error *err)
{
	uint64_t bytes;
	*out = NULL;
	if (__builtin_mul_overflow(count, size, &bytes) || bytes > UINT64_MAX / 4 - ledger_total(l)) {
		l->overflow = true;
		return HOKKU_OK;
	}
	if (class == LEDGER_WEIGHTS)
		bytes = (bytes + LEDGER_ALIGNMENT - 1) / LEDGER_ALIGNMENT * LEDGER_ALIGNMENT;
	if (!l->device) {
		l->bytes[class] += bytes;
		return HOKKU_OK;
	}
	return class == LEDGER_WEIGHTS ? cut(l, bytes, what, out, err)
				       : allocate(l, class, bytes, what, out, err);
}

enum hokku_code ledger_give(struct ledger *l, void *p, struct hokku_error *err)
{
	for (size_t i = l->n; i-- > 0;)
		if (l->entries[i].p == p) {
			l->bytes[l->entries[i].class] -= l->entries[i].bytes;
			memmove(&l->entries[i], &l->entries[i + 1], (--l->n - i) * sizeof *l->entries);
			return cuda_check(l->device, cudaFree(p), "cudaFree", err);
		}
	return HOKKU_OK;
}

uint64_t ledger_total(const struct ledger *l)
{
	uint64_t sum = 0;
	for (int i = 0; i < LEDGER_N_CLASSES; i++)
		sum += l->bytes[i];
	return sum;
}

enum hokku_code ledger_check_resident(const struct ledger *l, struct hokku_error *err)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct ledger_entry *e = &l->entries[i];
		struct cudaPointerAttributes at;
		CUDA_TRY(l->device, err, cudaPointerGetAttributes(&at, e->p));
		if (at.type != cudaMemoryTypeDevice || at.device != l->device->index)
			return err_set(err, HOKKU_DEVICE_ERROR,
				       "cuda:%d (%s): the %s (%s, %" PRIu64
				       " bytes) are not in its own memory: memory type %d of device %d",
				       l->device->index, l->device->name, e->what, names[e->class], e->bytes,
				       (int)at.type, at.device);
	}
	return HOKKU_OK;
}

void ledger_free(struct ledger *l)
{
	for (size_t i = l->n; i-- > 0;)
		cudaFree(l->entries[i].p);
	free(l->entries);
	*l = (struct ledger){.device = l->device};
}
