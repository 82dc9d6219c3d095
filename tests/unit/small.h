/*
 * HOKKU_TEST_SMALL in the environment asks for less of the same kinds: under valgrind (`./do valgrind`) a
 * program runs some fifty times as long, and what it looks for needs one case of a kind, not all. So does the
 * thread sanitizer, under which programs run ten times as long. Programs whose many cases are a question of
 * results run all of them in the build `check` (tests/CMakeLists.txt): HOKKU_TEST_CHECKED says that this was
 * done, and asks them for less.
 */
#ifndef TEST_SMALL_H
#define TEST_SMALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

static inline __attribute__((unused)) bool test_small(void)
{
#if defined(__SANITIZE_THREAD__)
	return true;
#else
#if defined(TEST_CASES_IN_CHECK) && defined(__SANITIZE_ADDRESS__)
	if (getenv("HOKKU_TEST_CHECKED"))
		return true;
#endif
	return getenv("HOKKU_TEST_SMALL") != NULL;
#endif
}

/* 1, or where less is asked for: every how manieth case is taken. */
static inline __attribute__((unused)) size_t small_step(size_t step)
{
	return test_small() ? step : 1;
}

#endif
