/*
 * For programs named test_no_memory: the linker gives them (--wrap) every call of malloc and its like, so
 * that the n-th can fail. What runs under it must answer OUT_OF_MEMORY with a message, leave nothing behind,
 * and do so whichever allocation it is.
 */
#ifndef TEST_FAILING_ALLOC_H
#define TEST_FAILING_ALLOC_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

static long allocations_left = -1; /* until one fails; below zero: none will */
static bool allocation_failed;

static bool fails_now(void)
{
	if (allocations_left < 0 || allocations_left-- > 0)
		return false;
	allocation_failed = true;
	errno = ENOMEM;
	return true;
}

/* The n-th allocation from now on fails, the first of them for n = 0. */
static inline void fail_allocation(long n)
{
	allocations_left = n;
	allocation_failed = false;
}

static inline bool stop_failing(void)
{
	allocations_left = -1;
	return allocation_failed;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t n)
{
	return fails_now() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails_now() ? NULL : __real_realloc(p, n);
}

char *__wrap_strdup(const char *text)
{
	return fails_now() ? NULL : __real_strdup(text);
}

#endif
