/* The ways that the backend has to run a model, and golden models run in one after another of them. */
#ifndef TEST_CUDA_WAYS_H
#define TEST_CUDA_WAYS_H

#include <unistd.h>

#include "direct.h"

/* What HOKKU_CUDA_PATH and HOKKU_CUDA_PRECISION force, and how far from the model's float32 logits those of
 * the device may be. */
struct way {
	const char *key, *name, *path, *precision; /* key: the program's argument */
	double tolerance; /* of the largest logit; 0: what its roundings cost (rounds) */
	bool rounds;      /* activations and weights to halves */
};
static const struct way ways[] = {
	/* as cpu:reference (tests/unit/compute/test_golden.c): only the order of sums differs */
	{"plain", "plain", "plain", "", 5e-5, false},
	/* activations are two halves, 22 bits */
	{"full", "tile, full precision", "tile", "full", 5e-5, false},
	/* activations, keys, values, probabilities and weights are rounded to 11 bits */
	{"half", "tile, half precision", "tile", "half", 0, true},
};
static const struct way *way;
static struct tiny_set set;
static struct cache_types cache; /* of the models that are opened from now on */
static uint32_t n_open_masks;    /* the same */

__attribute__((unused)) static void set_cache(struct model *m, struct compute_params *p)
{
	(void)m;
	p->cache = cache;
	p->n_open_masks = n_open_masks;
}

GOLDEN_INLINE void model_path(char *path, size_t size)
{
	snprintf(path, size, "%s/test_cuda_model.%d.gguf", TEST_BINARY_DIR, (int)getpid());
}

GOLDEN_INLINE void open_long(struct direct *d, const struct tiny *t, const char *format, uint32_t n_ctx,
			     uint32_t n_seqs, uint32_t n_batch, uint32_t shift)
{
	char path[512];
	struct hokku_error err = {0};
	model_path(path, sizeof path);
	tiny_write(&set, t, format, path);
	enum hokku_code rc = direct_open_as(d, path, n_ctx, n_seqs, n_batch, shift, set_cache, &err);
	unlink(path);
	if (rc)
		fail_msg("%s %s: %s", t->name, format, err.message);
}

GOLDEN_INLINE void open_tiny(struct direct *d, const struct tiny *t, const char *format, uint32_t n_seqs,
			     uint32_t n_batch, uint32_t shift)
{
	open_long(d, t, format, t->n_prompt + t->n_greedy, n_seqs, n_batch, shift);
}

/* (n_prompt, n_vocab), NaN. */
GOLDEN_INLINE float *logits_of(const struct tiny *t)
{
	size_t n = (size_t)t->n_prompt * t->n_vocab * sizeof(float);
	float *p = malloc(n);
	assert_non_null(p);
	memset(p, 0xFF, n);
	return p;
}

/*
 * A way that rounds activations and weights cannot be as near to float32 as float32 is; how near, is not our
 * choice. The same model in double precision with those roundings and no other is D away (root mean square
 * over all logits). The device must be at D from float32, and nearer to the rounded model than chance allows:
 * what rounds elsewhere, twice or not at all would be sqrt(2) D away. Its worst logit may be as bad as the
 * rounded model's worst, and half as much again.
 */
static const double of_rounding_from_float = 1.2, of_rounding_from_rounded = 0.6, of_largest = 1.5;

/* Prints how far the n logits are from float32's; true if that is near enough. rounded: the judge's with the
 * way's roundings, of ways that round. */
GOLDEN_INLINE bool near_enough(const char *model, const char *format, const float *got, const float *rounded,
			       const float *want, size_t n)
{
	double error = max_relative_error(got, want, n), allowed = way->tolerance;
	if (!way->rounds) {
		printf("%-9s %-5s largest error %.1e (%g) %s%s\n", model, format, error, allowed, way->name,
		       error <= allowed ? "" : "  TOO MUCH");
		return error <= allowed;
	}
	double rounding = rms_relative_error(rounded, want, n);
	double from_float = rms_relative_error(got, want, n) / rounding;
	double from_rounded = rms_relative_error(got, rounded, n) / rounding;
	allowed = of_largest * max_relative_error(rounded, want, n);
	bool good = from_float <= of_rounding_from_float && from_rounded <= of_rounding_from_rounded &&
		    error <= allowed;
	printf("%-9s %-5s largest error %.1e (%.1e) %s: rms of rounding %.1e, %.2f (%g) of it from float32, "
	       "%.2f (%g) "
	       "from rounded%s\n",
	       model, format, error, allowed, way->name, rounding, from_float, of_rounding_from_float,
	       from_rounded, of_rounding_from_rounded, good ? "" : "  TOO MUCH");
	return good;
}

/* Makes `way` the one that models are run in. False, and why on stdout, where this device or build has not
 * got it. */
GOLDEN_INLINE bool force_way(void)
{
	char path[512];
	struct direct d;
	struct hokku_error err = {0};
	setenv("HOKKU_CUDA_PATH", way->path, 1);
	setenv("HOKKU_CUDA_PRECISION", way->precision, 1);
	model_path(path, sizeof path);
	tiny_write(&set, tiny_find(&set, "odd"), "F16", path);
	enum hokku_code rc = direct_open(&d, path, 8, 1, 0, 0, &err);
	unlink(path);
	direct_close(&d);
	if (rc)
		printf("[  SKIPPED ] %s: %s\n", way->name, err.message);
	return !rc || strcmp(way->path, "plain") == 0;
}

/* A test program's main: the tests in each way, or, with an argument, in that way alone. */
GOLDEN_INLINE int run_ways(int argc, char **argv, const char *what, const struct CMUnitTest *tests, size_t n)
{
	int failed = 0, known = argc < 2;
	setenv("HOKKU_CUDA_FEW", "8", 0); /* launches of several sequences, too */
	without_warm_up();
	tiny_load(&set);
	for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		char name[96];
		way = &ways[i];
		if (argc > 1 && strcmp(argv[1], way->key) != 0)
			continue;
		known = 1;
		snprintf(name, sizeof name, "%s, %s", what, way->name);
		if (force_way())
			failed += _cmocka_run_group_tests(name, tests, n, NULL, NULL);
	}
	tiny_free(&set);
	if (!known)
		printf("there is no way \"%s\"\n", argv[1]);
	return known ? failed : 2;
}

#endif
