/*
 * What KV memory stores: the fast path rounds keys and values as cpu:reference does, which has the formats'
 * own functions for it; what a type takes of memory, and which types a device refuses. That rounding changes
 * no promise of compute.h is in test_exact.c and test_kv_groups.c, what a type does to a number in
 * test_cpu_kernels.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "model_run.h"
#include "small.h"
#include "tiny_model.h"

static struct tiny_set set;
static char path[512];
static struct cache_types cache;

static void set_cache(struct model *m, struct compute_params *p)
{
	(void)m;
	p->cache = cache;
}

static float *logits_of(const struct tiny *t, const char *device, struct cache_types types)
{
	struct run r;
	float *out = malloc((size_t)t->n_prompt * t->n_vocab * sizeof *out);
	assert_non_null(out);
	cache = types;
	assert_true(run_open_as(&r, path, device, t->n_prompt, 1, 2, set_cache));
	assert_true(run_logits(&r, 0, t->prompt, t->n_prompt, 7, out));
	run_close(&r);
	return out;
}

/* D is what a type's rounding does to the reference's logits (root mean square). The fast path's must be as
 * far from those of float32, and nearer to the reference's rounded ones than another rounding would be: two
 * unrelated ones are 1.41 D apart (docs/exactness.md). */
static void the_fast_path_rounds_as_the_reference(void **state)
{
	(void)state;
	static const char *const models[] = {"odd", "gqa7", "mha128"};
	static const struct {
		struct cache_types types;
		double most; /* of D */
	} cases[] = {
		{{CACHE_Q8_0, CACHE_Q8_0}, 2e-2}, {{CACHE_Q8_0, CACHE_F32}, 2e-2},
		{{CACHE_F32, CACHE_Q8_0}, 2e-2},  {{CACHE_BF16, CACHE_BF16}, 1e-2},
		{{CACHE_F16, CACHE_Q8_0}, 2e-2},  {{CACHE_F16, CACHE_F16}, 1e-3},
	};
	const struct cache_types f32 = {CACHE_DEFAULT, CACHE_F32};
	for (size_t m = 0; m < sizeof models / sizeof models[0]; m += small_step(3)) {
		const struct tiny *t = tiny_find(&set, models[m]);
		size_t n = (size_t)t->n_prompt * t->n_vocab;
		tiny_write(&set, t, "F32", path);
		float *exact = logits_of(t, "cpu:reference", f32);
		for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
			struct cache_types types = cases[i].types;
			float *want = logits_of(t, "cpu:reference", types), *got = logits_of(t, "cpu", types);
			double d = rms_relative_error(want, exact, n);
			double from_float = rms_relative_error(got, exact, n) / d;
			double from_rounded = rms_relative_error(got, want, n) / d;
			printf("%-7s keys %-5s values %-5s D %.1e; cpu %.2f D from float32, %.2f from rounded\n",
			       t->name, cache_type_name(types.k), cache_type_name(types.v), d, from_float,
			       from_rounded);
			assert_true(d > 1e-6 && d < cases[i].most);
			assert_true(from_float < 1.1 && from_rounded < 0.6);
			free(want);
			free(got);
		}
		free(exact);
	}
	unlink(path);
}

static enum hokku_code open_with(struct run *r, const char *device, struct cache_types types,
				 uint64_t kv_bytes, struct compute_memory *memory, struct hokku_error *err)
{
	struct compute *c;
	const struct compute_params p = {.model = &r->model,
					 .device = device,
					 .n_threads = 1,
					 .n_ctx = 64,
					 .n_seqs = 1,
					 .kv_bytes = kv_bytes,
					 .cache = types};
	enum hokku_code rc = compute_open(&p, &c, err);
	if (rc)
		return rc;
	compute_get_memory(c, memory);
	compute_close(c);
	return HOKKU_OK;
}

/* A block's bytes by hand; what is asked for in bytes holds so many more of them. */
static void bytes_of_a_block(void **state)
{
	(void)state;
	static const struct {
		struct cache_types types;
		uint32_t key_bytes, value_bytes; /* of a position of a head of 64 */
	} cases[] = {
		{{CACHE_DEFAULT, CACHE_DEFAULT}, 256, 256}, {{CACHE_F32, CACHE_Q8_0}, 256, 68},
		{{CACHE_Q8_0, CACHE_Q8_0}, 68, 68},         {{CACHE_F16, CACHE_BF16}, 128, 128},
		{{CACHE_Q8_0, CACHE_F16}, 68, 128},
	};
	static const char *const devices[] = {"cpu", "cpu:reference"};
	const struct tiny *t = tiny_find(&set, "gqa7");
	struct compute_memory m;
	struct hokku_error err;
	struct run r;
	tiny_write(&set, t, "F32", path);
	cache = (struct cache_types){CACHE_DEFAULT, CACHE_DEFAULT};
	assert_true(run_open(&r, path, "cpu", 64, 1, 1));
	assert_int_equal(r.model.hp.head_dim, 64);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (size_t d = 0; d < 2; d++) {
			uint64_t block = (uint64_t)COMPUTE_KV_BLOCK * t->n_kv_heads * t->n_layers *
					 (cases[i].key_bytes + cases[i].value_bytes);
			for (uint32_t n = 2; n < 5; n++) {
				assert_int_equal(
					open_with(&r, devices[d], cases[i].types, n * block, &m, &err),
					HOKKU_OK);
				assert_int_equal(m.n_kv_blocks, n);
				assert_int_equal(m.kv_bytes, n * block);
			}
			assert_int_equal(open_with(&r, devices[d], cases[i].types, 3 * block - 1, &m, &err),
					 HOKKU_OK);
			assert_int_equal(m.n_kv_blocks, 2);
			assert_int_equal(open_with(&r, devices[d], cases[i].types, 2 * block - 1, &m, &err),
					 HOKKU_INVALID_REQUEST);
			assert_int_equal(m.cache.k, cases[i].types.k ? cases[i].types.k : CACHE_F32);
			assert_int_equal(m.cache.v, cases[i].types.v ? cases[i].types.v : CACHE_F32);
		}
	run_close(&r);
	unlink(path);
}

static void what_is_not_stored_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *device;
		struct cache_types types;
		const char *message;
	} cases[] = {
		{"cpu",
		 {CACHE_F16X2, CACHE_F32},
		 "cpu cannot do cache type f16x2 (of keys); it stores f32, f16, bf16, q8_0"},
		{"cpu:reference",
		 {CACHE_Q8_0, CACHE_F16X2},
		 "cpu:reference cannot do cache type f16x2 (of values); it stores f32, f16, bf16, q8_0"},
		{"cpu",
		 {CACHE_N_TYPES, CACHE_F32},
		 "cpu cannot do cache type ? (of keys); it stores f32, f16, bf16, q8_0"},
		{"cpu",
		 {CACHE_F32, (enum cache_type)99},
		 "cpu cannot do cache type ? (of values); it stores f32, f16, bf16, q8_0"},
	};
	const struct tiny *t = tiny_find(&set, "odd");
	struct compute_memory m;
	struct run r;
	tiny_write(&set, t, "F32", path);
	assert_true(run_open(&r, path, "cpu", 64, 1, 1));
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct hokku_error err = {0};
		assert_int_equal(open_with(&r, cases[i].device, cases[i].types, 0, &m, &err),
				 HOKKU_INVALID_REQUEST);
		assert_string_equal(err.message, cases[i].message);
	}
	run_close(&r);
	unlink(path);
}

int main(void)
{
	tiny_load(&set);
	snprintf(path, sizeof path, "%s/test_cache_types.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_fast_path_rounds_as_the_reference),
		cmocka_unit_test(bytes_of_a_block),
		cmocka_unit_test(what_is_not_stored_is_refused),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	tiny_free(&set);
	return failed;
}
