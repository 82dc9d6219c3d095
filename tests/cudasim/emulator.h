/* The two halves of the emulator: api.cpp keeps devices, memory and streams; exec.cpp runs a kernel. */
#ifndef CUDASIM_EMULATOR_H
#define CUDASIM_EMULATOR_H

#include <string.h>

#include "cudasim.h"
#include "include/cuda_runtime.h"

enum { CUDASIM_MAX_ARGS = 1024 };

/* One kernel launch as it lies in a stream. */
struct cudasim_kernel {
	const char *name;
	dim3 grid, block;
	unsigned cluster; /* blocks that `block` stands for */
	size_t shared_bytes;
	void (*body)(const void *kernel, const void *args);
	const void *kernel;
	alignas(16) unsigned char args[CUDASIM_MAX_ARGS];
};

enum {
	CUDASIM_MAX_THREADS = 1024,      /* of a block */
	CUDASIM_PLAIN_SHARED = 48 << 10, /* bytes a block may have without asking for more */
	CUDASIM_MAX_SHARED = 227 << 10,
	CUDASIM_MAX_CLUSTER = 8, /* blocks */
	CUDASIM_POISON = 0xFF,
};

/* Fills memory that nobody else knows of yet with poison. Not memset, which sanitizers stand in for: a third
 * of what tests took under the thread sanitizer was the note of each byte here. */
static inline void cudasim_poison(void *p, size_t n)
{
#ifdef __x86_64__
	__asm__ volatile("rep stosb" : "+D"(p), "+c"(n) : "a"(CUDASIM_POISON) : "memory");
#else
	memset(p, CUDASIM_POISON, n);
#endif
}

/* Runs all blocks. A deadlock or a broken rule of the language ends the process with a message: it is a bug
 * in the kernel. */
void cudasim_execute(const struct cudasim_kernel *k, uint64_t seed);

__attribute__((noreturn, format(printf, 1, 2))) void cudasim_die(const char *format, ...);

#endif
