/* What this machine can do at most, measured: the limits that figures of speed are held against. */
#ifndef COMPUTE_CPU_MEASURE_H
#define COMPUTE_CPU_MEASURE_H

#include "base/error.h"

struct cpu_limits {
	uint32_t n_threads;
	const char *tier;
	double read_bytes_per_s; /* from memory, all threads together */
	double float_ops_per_s;  /* float32 multiply-adds in registers, counted as two */
	double byte_ops_per_s;   /* products of bytes summed to 32 bits, counted as two */
};

/* Takes about a second and a buffer of 512 MiB for that time. */
enum hokku_code cpu_measure(uint32_t n_threads, struct cpu_limits *out, struct hokku_error *err);

#endif
