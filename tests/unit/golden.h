/* Reading golden files in tests: whole files, NumPy arrays, and the measure of error that docs/exactness.md
 * uses. */
#ifndef TEST_GOLDEN_H
#define TEST_GOLDEN_H

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN_INLINE static inline __attribute__((unused))

/* The whole file, malloc'ed; the test program ends if it cannot be read. */
GOLDEN_INLINE void *golden_read(const char *path, size_t *n_bytes)
{
	FILE *f = fopen(path, "rb");
	if (!f) {
		fprintf(stderr, "cannot open golden file %s\n", path);
		exit(1);
	}
	size_t cap = 1 << 16, n = 0;
	char *bytes = malloc(cap);
	while (bytes) {
		size_t got = fread(bytes + n, 1, cap - n, f);
		n += got;
		if (n < cap)
			break;
		cap *= 2;
		bytes = realloc(bytes, cap);
	}
	if (!bytes || ferror(f)) {
		fprintf(stderr, "cannot read golden file %s\n", path);
		exit(1);
	}
	fclose(f);
	*n_bytes = n;
	return bytes;
}

/* A two-dimensional little-endian NumPy array of 4-byte elements, C order, format 1.0. data lies in `file`.
 */
struct npy {
	void *file;
	const void *data;
	size_t rows, cols;
};

/* descr: "<f4" or "<i4". False (and why, on stderr) if the file is anything else. A vector is one row. */
GOLDEN_INLINE bool npy_read(const char *path, const char *descr, struct npy *out)
{
	size_t n;
	unsigned char *file = golden_read(path, &n);
	*out = (struct npy){.file = file};
	char want[64];
	snprintf(want, sizeof want, "'descr': '%s'", descr);
	if (n < 10 || memcmp(file, "\x93NUMPY\x01\x00", 8) != 0) {
		fprintf(stderr, "%s: no NumPy file of format 1.0\n", path);
		return false;
	}
	size_t header = (size_t)file[8] | (size_t)file[9] << 8;
	if (n < 10 + header || (10 + header) % 64 != 0 || file[10 + header - 1] != '\n') {
		fprintf(stderr, "%s: its NumPy header is cut, unaligned or has no newline at its end\n",
			path);
		return false;
	}
	char *text = calloc(1, header + 1);
	memcpy(text, file + 10, header);
	const char *shape = strstr(text, "'shape': (");
	unsigned long rows = 0, cols = 0;
	int got = shape ? sscanf(shape, "'shape': (%lu, %lu", &rows, &cols) : 0;
	bool ok = strstr(text, want) && strstr(text, "'fortran_order': False") && got >= 1;
	if (got == 1) {
		cols = rows;
		rows = 1;
	}
	ok = ok && n - 10 - header == (size_t)rows * cols * 4;
	if (!ok)
		fprintf(stderr, "%s: wanted %s in C order; the header is %s, %zu bytes of data\n", path,
			descr, text, n - 10 - header);
	free(text);
	out->data = file + 10 + header;
	out->rows = rows;
	out->cols = cols;
	return ok;
}

GOLDEN_INLINE void npy_free(struct npy *a)
{
	free(a->file);
	*a = (struct npy){0};
}

/* The largest |a - b| over the largest |b|, over all n elements; infinite if either holds a NaN or infinity.
 */
GOLDEN_INLINE double max_relative_error(const float *a, const float *b, size_t n)
{
	double worst = 0, largest = 0;
	for (size_t i = 0; i < n; i++) {
		double difference = fabs((double)a[i] - (double)b[i]);
		if (!isfinite(difference))
			return INFINITY;
		worst = fmax(worst, difference);
		largest = fmax(largest, fabs((double)b[i]));
	}
	return largest > 0 ? worst / largest : worst > 0 ? INFINITY : 0;
}

/* The root of the mean square of a - b over the largest |b|; infinite or NaN if either holds such. */
GOLDEN_INLINE double rms_relative_error(const float *a, const float *b, size_t n)
{
	double sum = 0, largest = 0;
	for (size_t i = 0; i < n; i++) {
		double difference = (double)a[i] - (double)b[i];
		sum += difference * difference;
		largest = fmax(largest, fabs((double)b[i]));
	}
	return largest > 0 ? sqrt(sum / (double)n) / largest : sum > 0 ? INFINITY : 0;
}

#endif
