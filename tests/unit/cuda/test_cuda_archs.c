/*
 * Architectures on the device (golden/archs): logits at all positions against transformers in float32, on
 * each path that takes the model, in one step and in steps of 7 and 1, with the same bits; then greedy text.
 * On the emulator one model of each feature runs, on a device all of them.
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

static const size_t n_on_emulator = sizeof on_emulator / sizeof on_emulator[0];

static size_t place_on_emulator(const char *name)
{
	size_t i = 0;
	while (i < n_on_emulator && strcmp(on_emulator[i], name) != 0)
		i++;
	return i;
}

static bool runs_here(const char *name)
{
	return full_sizes() || place_on_emulator(name) < n_on_emulator;
}

/* Whether the model also runs in steps of 7, or of 1. The emulator takes one of them: on the plain path 7, as
 * a step of 1 is no other there; in the tile path's precisions, of which each has a kernel for steps of 1,
 * the one and the other in turn. */
static bool has_steps(const struct arch_entry *a, uint32_t size)
{
	const char *path = getenv("HOKKU_CUDA_PATH"), *precision = getenv("HOKKU_CUDA_PRECISION");
	if (full_sizes())
		return true;
	bool half = precision && strcmp(precision, "half") == 0;
	bool ones = strcmp(path, "tile") == 0 && (place_on_emulator(a->name) + half) % 2;
	return size == (ones ? 1 : 7);
}

/* Greedy text after the prompt, which the KV memory has: 64 tokens on a device, a few on the emulator. HALF
 * may draw another token where two are near. */
static bool check_greedy(struct direct *d, const struct arch_entry *a, const float *last)
{
	const char *precision = getenv("HOKKU_CUDA_PRECISION");
	uint32_t n = full_sizes() ? a->n_greedy : 3, n_vocab = d->model.hp.n_vocab;
	float *logits = malloc(n_vocab * sizeof *logits);
	assert_non_null(logits);
	memcpy(logits, last, n_vocab * sizeof *logits);
	bool good = true;
	for (uint32_t k = 0; k < n && good && !(precision && strcmp(precision, "half") == 0); k++) {
		int32_t best = 0;
		struct hokku_error err = {0};
		for (uint32_t i = 1; i < n_vocab; i++)
			if (logits[i] > logits[best])
				best = (int32_t)i;
		good = best == a->greedy[k];
		if (!good)
			printf("%s: greedy token %u is %d, wanted %d  TOO MUCH\n", a->name, k, best,
			       a->greedy[k]);
		struct compute_seq seq = {.tokens = &best,
					  .n_tokens = 1,
					  .pos = a->n_prompt + k,
					  .blocks = direct_blocks(d, 0),
					  .logits = logits};
		assert_int_equal(compute_cuda.step(d->self, &seq, 1, &err), HOKKU_OK);
	}
	free(logits);
	return good;
}

static bool check(const struct arch_entry *a, double tolerance)
{
	struct direct d;
	struct hokku_error err = {0};
	struct npy want;
	char path[512];
	snprintf(path, sizeof path, "%s/test_cuda_archs.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	arch_write_gguf(a, TENSOR_F16, path);
	if (direct_open(&d, path, a->n_prompt + a->n_greedy, 1, 0, 0, &err))
		fail_msg("%s: %s", a->name, err.message);
	assert_true(direct_need_is_taken(&d));
	unlink(path);
	snprintf(path, sizeof path, TEST_GOLDEN_DIR "/archs/%s.npy", a->name);
	assert_true(npy_read(path, "<f4", &want));
	size_t n = want.rows * want.cols;
	float *got = calloc(n, sizeof *got), *first = calloc(n, sizeof *first);
	bool good = true;
	static const uint32_t chunks[] = {512, 7, 1};
	for (size_t i = 0; i < 3; i++) {
		if (i && !has_steps(a, chunks[i]))
			continue;
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
	good = check_greedy(&d, a, first + n - want.cols) && good;
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
	bool good = true;
	setenv("HOKKU_CUDA_PRECISION", precision, 1);
	for (size_t i = 0; i < set.n; i++)
		if (runs_here(set.entries[i].name))
			good = check(&set.entries[i], tolerance) && good;
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

/* Dimension i of a tensor's shape in gguf.json becomes n. */
static void set_dim(const struct arch_entry *a, const char *role, size_t i, uint32_t n)
{
	json_t *row;
	size_t k;
	json_array_foreach(json_object_get(a->gguf, "tensors"), k, row)
	{
		const char *name = json_string_value(json_array_get(row, 0));
		if (strstr(name, role))
			json_array_set_new(json_array_get(row, 2), i, json_integer(n));
	}
}

/* Gives gemma3-a, four heads on one KV head, heads of 256. */
static void widen(struct arch_entry *a)
{
	enum { HD = 256, N_HEADS = 4 };
	for (struct arch_tensor *t = a->tensors; t < a->tensors + a->n_tensors; t++) {
		if (strstr(t->name, "q_proj"))
			t->rows = N_HEADS * HD;
		if (strstr(t->name, "k_proj") || strstr(t->name, "v_proj"))
			t->rows = HD;
		if (strstr(t->name, "q_norm") || strstr(t->name, "k_norm"))
			t->cols = HD;
		if (strstr(t->name, "o_proj"))
			t->cols = N_HEADS * HD;
	}
	set_dim(a, "attn_q.weight", 1, N_HEADS * HD);
	set_dim(a, "attn_k.weight", 1, HD);
	set_dim(a, "attn_v.weight", 1, HD);
	set_dim(a, "attn_output.weight", 0, N_HEADS * HD);
	set_dim(a, "attn_q_norm.weight", 0, HD);
	set_dim(a, "attn_k_norm.weight", 0, HD);
	json_t *keys = json_object_get(a->gguf, "keys");
	json_object_set_new(keys, "gemma3.attention.key_length", json_integer(HD));
	json_object_set_new(keys, "gemma3.attention.value_length", json_integer(HD));
}

/* Logits of n tokens on a path, from token `ones` to `rest` in steps of one; malloc'ed. */
static float *run_far(const char *path_name, const char *file, const int32_t *ids, uint32_t n, uint32_t ones,
		      uint32_t rest, size_t *n_logits)
{
	struct direct d;
	struct hokku_error err = {0};
	setenv("HOKKU_CUDA_PATH", path_name, 1);
	if (direct_open(&d, file, n, 1, 0, 0, &err))
		fail_msg("%s: %s", path_name, err.message);
	*n_logits = (size_t)n * d.model.hp.n_vocab;
	float *out = calloc(*n_logits, sizeof *out);
	direct_logits(&d, 0, ids, ones, 512, out);
	for (uint32_t pos = ones, size; pos < n; pos += size) {
		size = pos < rest ? 1 : n - pos;
		struct compute_seq seq = {.tokens = ids + pos,
					  .n_tokens = size,
					  .pos = pos,
					  .blocks = direct_blocks(&d, 0),
					  .logits = out + (size_t)pos * d.model.hp.n_vocab,
					  .all_logits = true};
		assert_int_equal(compute_cuda.step(d.self, &seq, 1, &err), HOKKU_OK);
	}
	direct_close(&d);
	unsetenv("HOKKU_CUDA_PATH");
	return out;
}

/* Beyond the first splits of attention, where windows begin within one and reach over the border of two: the
 * tile path and the decode kernel (which steps of one token take) against the plain path, which the goldens
 * judge. */
static bool check_far(const struct arch_entry *a, enum tensor_type type, const char *name)
{
	enum { FAR = 2 * CUDA_ATTN_SPLIT + 37 };
	const uint32_t n_ids = full_sizes() ? FAR : CUDA_ATTN_SPLIT + 37;
	const uint32_t ones = full_sizes() ? 1 : CUDA_ATTN_SPLIT - 6,
		       rest = full_sizes() ? FAR : CUDA_ATTN_SPLIT + 6;
	static const struct {
		const char *name;
		double tolerance;
	} precisions[] = {{"full", 5e-5}, {"half", 1e-2}};
	int32_t ids[FAR];
	char file[512];
	size_t n;
	bool good = true;
	for (uint32_t i = 0; i < n_ids; i++)
		ids[i] = a->prompt[(i + i / a->n_prompt) % a->n_prompt];
	snprintf(file, sizeof file, "%s/test_cuda_archs.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	arch_write_gguf(a, type, file);
	float *want = run_far("plain", file, ids, n_ids, n_ids, n_ids, &n);
	for (size_t p = 0; p < 2; p++) {
		setenv("HOKKU_CUDA_PRECISION", precisions[p].name, 1);
		float *all = run_far("tile", file, ids, n_ids, n_ids, n_ids, &n),
		      *steps = run_far("tile", file, ids, n_ids, ones, rest, &n);
		double error = max_relative_error(all, want, n);
		bool same = memcmp(all, steps, n * sizeof *all) == 0;
		printf("%-15s %s, %u tokens: largest error %.1e (%g)%s%s\n", name, precisions[p].name, n_ids,
		       error, precisions[p].tolerance, error <= precisions[p].tolerance ? "" : "  TOO MUCH",
		       same ? "" : "  OTHER BITS");
		good = good && same && error <= precisions[p].tolerance;
		free(all);
		free(steps);
	}
	unsetenv("HOKKU_CUDA_PRECISION");
	free(want);
	unlink(file);
	return good;
}

static void far_windows_and_wide_heads(void **state)
{
	(void)state;
	setenv("HOKKU_CUDA_PATH", "tile", 1);
	bool has = has_tile_path();
	unsetenv("HOKKU_CUDA_PATH");
	if (!has)
		skip();
	bool good = check_far(arch_find(&set, "gemma2-b"), TENSOR_F16, "gemma2-b");
	if (full_sizes()) /* the emulator has no such kernel */
		good = check_far(arch_find(&set, "gemma2-b"), TENSOR_BF16, "gemma2-b, BF16") && good;
	struct arch_entry *wide = (struct arch_entry *)(uintptr_t)arch_find(&set, "gemma3-a");
	widen(wide); /* the last to use it */
	good = check_far(wide, TENSOR_F16, "heads of 256") && good;
	if (full_sizes())
		good = check_far(wide, TENSOR_BF16, "heads of 256, BF16") && good;
	assert_true(good);
}

int main(void)
{
	without_warm_up();
	arch_load(&set);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_path),
		cmocka_unit_test(tile_path),
		cmocka_unit_test(far_windows_and_wide_heads),
		cmocka_unit_test(nothing_is_left),
	};
	int failed = cmocka_run_group_tests_name("architectures on CUDA", tests, NULL, NULL);
	arch_free(&set);
	return failed;
}
