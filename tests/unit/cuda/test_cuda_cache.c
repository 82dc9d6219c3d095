/*
 * What the device's KV memory stores. Each path rounds as cpu:reference does; a path that does not store
 * what is asked for leaves the model to the next, and the device's line says so; a block's bytes are those of
 * its types. The bytes themselves are in test_cuda_attention, exactness in test_cuda_model.
 */
#include "model_run.h"
#include "ways.h"

static float *reference_logits(const struct tiny *t, struct cache_types types)
{
	char path[512];
	struct run r;
	float *out = logits_of(t);
	model_path(path, sizeof path);
	tiny_write(&set, t, "F32", path);
	cache = types;
	assert_true(run_open_as(&r, path, "cpu:reference", t->n_prompt, 1, 1, set_cache));
	assert_true(run_logits(&r, 0, t->prompt, t->n_prompt, t->n_prompt, out));
	run_close(&r);
	unlink(path);
	return out;
}

/* As in tests/unit/compute/test_cache_types.c: D is what rounding does to the reference. */
static void paths_round_as_the_reference(void **state)
{
	(void)state;
	static const struct cache_types types[] = {{CACHE_Q8_0, CACHE_Q8_0},
						   {CACHE_Q8_0, CACHE_F32},
						   {CACHE_F32, CACHE_Q8_0},
						   {CACHE_F16, CACHE_F16},
						   {CACHE_BF16, CACHE_BF16}};
	const struct tiny *t = tiny_find(&set, "odd");
	size_t n = (size_t)t->n_prompt * t->n_vocab;
	float *exact = reference_logits(t, (struct cache_types){CACHE_F32, CACHE_F32}), *got = logits_of(t);
	setenv("HOKKU_CUDA_PRECISION", "full", 1);
	way = &ways[1];
	for (size_t i = 0; i < sizeof types / sizeof types[0] + 1; i++) {
		const char *path = i == 0 ? "tile" : "plain"; /* the first twice */
		size_t k = i ? i - 1 : 0;
		struct direct d;
		if (i == 0 && !force_way())
			continue;
		setenv("HOKKU_CUDA_PATH", path, 1);
		float *want = reference_logits(t, types[k]);
		open_tiny(&d, t, "F32", 1, 0, 0);
		direct_logits(&d, 0, t->prompt, t->n_prompt, 7, got);
		direct_close(&d);
		double rounding = rms_relative_error(want, exact, n);
		double from_float = rms_relative_error(got, exact, n) / rounding;
		double from_rounded = rms_relative_error(got, want, n) / rounding;
		printf("keys %-5s values %-5s D %.1e; %s %.2f D from float32, %.2f from rounded\n",
		       cache_type_name(types[k].k), cache_type_name(types[k].v), rounding, path, from_float,
		       from_rounded);
		assert_true(from_float < 1.1 && from_rounded < 0.6);
		free(want);
	}
	unsetenv("HOKKU_CUDA_PATH");
	unsetenv("HOKKU_CUDA_PRECISION");
	free(exact);
	free(got);
}

/* Opens "odd"; the line of the device, or the error. */
static enum hokku_code try_types(const char *path, const char *precision, struct cache_types types,
				 struct compute_memory *m, char text[512])
{
	char file[512];
	struct direct d;
	struct hokku_error err = {0};
	setenv("HOKKU_CUDA_PATH", path, 1);
	setenv("HOKKU_CUDA_PRECISION", precision, 1);
	model_path(file, sizeof file);
	tiny_write(&set, tiny_find(&set, "odd"), "F16", file);
	cache = types;
	enum hokku_code rc = direct_open_as(&d, file, 64, 1, 0, 0, set_cache, &err);
	unlink(file);
	snprintf(text, 512, "%s", rc ? err.message : compute_cuda.device(d.self));
	if (!rc)
		compute_cuda.get_memory(d.self, m);
	direct_close(&d);
	unsetenv("HOKKU_CUDA_PATH");
	unsetenv("HOKKU_CUDA_PRECISION");
	return rc;
}

static void who_stores_what(void **state)
{
	(void)state;
	static const struct {
		const char *path, *precision;
		struct cache_types asked, got;
		const char *text; /* the end of the device's line; of a refusal the message */
		enum hokku_code rc;
	} cases[] = {
		{"", "full", {0}, {CACHE_F16X2, CACHE_F16X2}, ", tile path)", HOKKU_OK},
		{"", "half", {0}, {CACHE_F16, CACHE_F16}, ", tile path)", HOKKU_OK},
		{"", "half", {CACHE_F16, CACHE_DEFAULT}, {CACHE_F16, CACHE_F16}, ", tile path)", HOKKU_OK},
		{"plain", "", {0}, {CACHE_F32, CACHE_F32}, ", plain path)", HOKKU_OK},
		{"",
		 "full",
		 {CACHE_Q8_0, CACHE_Q8_0},
		 {CACHE_Q8_0, CACHE_Q8_0},
		 ", tile path: without the decode kernel, which cannot do cache type q8_0)",
		 HOKKU_OK},
		{"",
		 "full",
		 {CACHE_BF16, CACHE_Q8_0},
		 {CACHE_BF16, CACHE_Q8_0},
		 ", plain path: cuda/tile cannot do cache type bf16 (of keys); it stores f16x2, q8_0)",
		 HOKKU_OK},
		{"",
		 "half",
		 {CACHE_DEFAULT, CACHE_Q8_0},
		 {CACHE_F32, CACHE_Q8_0},
		 ", plain path: cuda/tile cannot do cache types f16 and q8_0 beside each other)",
		 HOKKU_OK},
		{"tile",
		 "half",
		 {CACHE_F32, CACHE_F32},
		 {0},
		 "cuda/tile cannot do cache type f32 (of keys); it stores f16, q8_0",
		 HOKKU_INVALID_REQUEST},
		{"plain",
		 "",
		 {CACHE_F32, CACHE_F16X2},
		 {0},
		 "cuda/plain cannot do cache type f16x2 (of values); it stores f32, f16, bf16, q8_0",
		 HOKKU_INVALID_REQUEST},
		{"",
		 "half",
		 {CACHE_F16X2, CACHE_F16X2},
		 {0},
		 "cuda/plain cannot do cache type f16x2 (of keys); it stores f32, f16, bf16, q8_0",
		 HOKKU_INVALID_REQUEST},
	};
	way = &ways[1];
	if (!force_way())
		return;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct compute_memory m = {0};
		char text[512];
		assert_int_equal(try_types(cases[i].path, cases[i].precision, cases[i].asked, &m, text),
				 cases[i].rc);
		size_t n = strlen(text), end = strlen(cases[i].text);
		if (n < end || strcmp(text + n - end, cases[i].text) != 0)
			fail_msg("it says\n  %s\nwanted at the end\n  %s", text, cases[i].text);
		assert_int_equal(m.cache.k, cases[i].got.k);
		assert_int_equal(m.cache.v, cases[i].got.v);
	}
}

/* In so much memory as 8 blocks of float32 take, there are whole blocks of other types, by hand. */
static void more_blocks_fit(void **state)
{
	(void)state;
	static const struct {
		struct cache_types types;
		uint32_t key_bytes, value_bytes; /* of a position of a head of 64 */
	} cases[] = {{{0}, 256, 256}, {{CACHE_Q8_0, CACHE_Q8_0}, 68, 68}, {{CACHE_F16, CACHE_Q8_0}, 128, 68}};
	const struct tiny *t = tiny_find(&set, "gqa7");
	uint64_t numbers = (uint64_t)CUDA_KV_BLOCK * t->n_kv_heads * t->n_layers;
	setenv("HOKKU_CUDA_PATH", "plain", 1);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char file[512];
		struct direct d;
		struct hokku_error err = {0};
		struct compute_memory m = {0};
		uint64_t block = numbers * (cases[i].key_bytes + cases[i].value_bytes);
		model_path(file, sizeof file);
		tiny_write(&set, t, "F16", file);
		cache = cases[i].types;
		assert_int_equal(direct_open_as(&d, file, 64, 1, 0, 0, set_cache, &err), HOKKU_OK);
		compute_cuda.close(d.self);
		d.params.n_kv_blocks = 2;
		for (int over = -1; over <= 1; over++) {
			d.params.kv_bytes = (uint64_t)((int64_t)(8 * numbers * 512 / block * block) + over);
			assert_int_equal(compute_cuda.open(&d.params, &d.self, &err), HOKKU_OK);
			compute_cuda.get_memory(d.self, &m);
			assert_int_equal(m.n_kv_blocks, 8 * numbers * 512 / block - (over < 0));
			assert_int_equal(m.kv_bytes, m.n_kv_blocks * block);
			compute_cuda.close(d.self);
			d.self = NULL;
		}
		direct_close(&d);
		unlink(file);
	}
	unsetenv("HOKKU_CUDA_PATH");
}

int main(void)
{
	tiny_load(&set);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_round_as_the_reference),
		cmocka_unit_test(who_stores_what),
		cmocka_unit_test(more_blocks_fit),
		cmocka_unit_test(nothing_is_left),
	};
	int failed = cmocka_run_group_tests_name("cuda cache", tests, NULL, NULL);
	tiny_free(&set);
	return failed;
}
