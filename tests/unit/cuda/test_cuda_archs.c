/*
 * Architectures on the device (golden/archs): logits at all positions against transformers in float32, on
 * each path that takes the model, in one step and in steps of 7 and 1, with the same bits; and what a path
 * does not take is told by the field of the spec. On the emulator one model of each feature runs, on a device
 * all of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch_model.h"
#include "direct.h"

static struct arch_set set;

/* What each has that those before it have not. */
static const char *const on_emulator[] = {
	"llama-bias",   /* adjacent pairs, biases everywhere, one KV head */
	"phi3-long",    /* fused tensors, RoPE on a part of the head, tables of factors */
	"gemma2-a",     /* windows, soft caps, norms after, GELU, scaled embedding, capped logits */
	"olmo3",        /* no norms before, norms over the width, two RoPEs, YaRN */
	"exaone4-full", /* norms of heads, factors of Llama 3 */
	"smollm3-a",    /* layers without RoPE */
	"granite-b",    /* scaled scores, residuals and logits */
	"ministral3-a", /* scores that grow with the position */
};

static bool runs_here(const char *name)
{
	if (full_sizes())
		return true;
	for (size_t i = 0; i < sizeof on_emulator / sizeof on_emulator[0]; i++)
		if (strcmp(on_emulator[i], name) == 0)
			return true;
	return false;
}

static bool check(const struct arch_entry *a, double tolerance)
{
	const char *path_name = getenv("HOKKU_CUDA_PATH");
	bool tile = path_name && strcmp(path_name, "tile") == 0;
	struct direct d;
	struct hokku_error err = {0};
	struct npy want;
	char path[512];
	snprintf(path, sizeof path, "%s/test_cuda_archs.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	arch_write_gguf(a, TENSOR_F16, path);
	if (direct_open(&d, path, a->n_prompt, 1, 0, 0, &err))
		fail_msg("%s: %s", a->name, err.message);
	unlink(path);
	snprintf(path, sizeof path, TEST_GOLDEN_DIR "/archs/%s.npy", a->name);
	assert_true(npy_read(path, "<f4", &want));
	size_t n = want.rows * want.cols;
	float *got = calloc(n, sizeof *got), *first = calloc(n, sizeof *first);
	bool good = true;
	static const uint32_t chunks[] = {512, 7, 1};
	for (size_t i = 0; i < 3; i++) {
		if (i == 2 && !full_sizes() && !tile) /* of the plain path, the same as steps of 7 */
			break;
		direct_logits(&d, 0, a->prompt, a->n_prompt, chunks[i], i ? got : first);
		double error = max_relative_error(i ? got : first, want.data, n);
		bool same = i == 0 || memcmp(got, first, n * sizeof *got) == 0;
		printf("%-15s steps of %3u: largest error %.1e (%g)%s\n", a->name, chunks[i], error,
		       tolerance,
		       !same                ? "  OTHER BITS"
		       : error <= tolerance ? ""
					    : "  TOO MUCH");
		good = good && same && error <= tolerance;
	}
	free(got);
	free(first);
	npy_free(&want);
	direct_close(&d);
	return good;
}

static void plain_path(void **state)
{
	(void)state;
	bool good = true;
	setenv("HOKKU_CUDA_PATH", "plain", 1);
	for (size_t i = 0; i < set.n; i++)
		if (runs_here(set.entries[i].name))
			good = check(&set.entries[i], 5e-5) && good;
	unsetenv("HOKKU_CUDA_PATH");
	assert_true(good);
}

static bool has_tile_path(void)
{
	struct direct d;
	struct hokku_error err = {0};
	char path[512];
	snprintf(path, sizeof path, "%s/test_cuda_archs.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	arch_write_gguf(arch_find(&set, "llama-gqa"), TENSOR_F16, path);
	bool has = direct_open(&d, path, 64, 1, 0, 0, &err) == HOKKU_OK;
	assert_true(has || strstr(err.message, "compute capability"));
	direct_close(&d);
	unlink(path);
	return has;
}

static bool check_precision(const char *precision, double tolerance)
{
	static const char *const taken[] = {"llama-mha", "llama-gqa", "qwen3-gqa"};
	bool good = true;
	setenv("HOKKU_CUDA_PRECISION", precision, 1);
	for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
		good = check(arch_find(&set, taken[i]), tolerance) && good;
	unsetenv("HOKKU_CUDA_PRECISION");
	return good;
}

/* The tile path, whose steps of one token are the decode kernel's where it takes the model. */
static void tile_path(void **state)
{
	(void)state;
	setenv("HOKKU_CUDA_PATH", "tile", 1);
	if (!has_tile_path())
		skip();
	bool good = check_precision("full", 5e-5);
	good = check_precision("half", 5e-3) && good;
	unsetenv("HOKKU_CUDA_PATH");
	assert_true(good);
}

/* What the tile path cannot do it names, and the next path takes the model unasked. */
static void what_tile_cannot_do_is_told(void **state)
{
	(void)state;
	static const struct {
		const char *name, *message;
	} cases[] = {
		{"olmo3", "cuda/tile cannot do"},
		{"gemma2-a", "cuda/tile cannot do"},
		{"ministral3-a", "cuda/tile cannot do temperature of layer 0"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct arch_entry *a = arch_find(&set, cases[i].name);
		struct direct d;
		struct hokku_error err = {0};
		char path[512];
		snprintf(path, sizeof path, "%s/test_cuda_archs.%d.gguf", TEST_BINARY_DIR, (int)getpid());
		arch_write_gguf(a, TENSOR_F16, path);
		setenv("HOKKU_CUDA_PATH", "tile", 1);
		enum hokku_code rc = direct_open(&d, path, a->n_prompt, 1, 0, 0, &err);
		assert_int_not_equal(rc, HOKKU_OK);
		if (rc != HOKKU_DEVICE_ERROR &&
		    !strstr(err.message, cases[i].message)) /* or the device has no tile path */
			fail_msg("%s: %s", a->name, err.message);
		direct_close(&d);
		unsetenv("HOKKU_CUDA_PATH");
		assert_int_equal(direct_open(&d, path, a->n_prompt, 1, 0, 0, &err), HOKKU_OK);
		direct_close(&d);
		unlink(path);
	}
}

static void nothing_is_left(void **state)
{
	(void)state;
	EMULATOR_ONLY();
	assert_int_equal(cudasim_live_bytes(), 0);
}

int main(void)
{
	arch_load(&set);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_path),
		cmocka_unit_test(tile_path),
		cmocka_unit_test(what_tile_cannot_do_is_told),
		cmocka_unit_test(nothing_is_left),
	};
	int failed = cmocka_run_group_tests_name("architectures on CUDA", tests, NULL, NULL);
	arch_free(&set);
	return failed;
}
