/*
 * KV blocks as bytes: what one handle has read from the blocks of a prompt's beginning another one, which has
 * computed nothing of it, writes into other blocks and goes on from there with the same bits; also where a
 * window's layers are a group of their own. And what the door refuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch_model.h"
#include "model_run.h"

static struct arch_set set;
static char path[512];
static const char *const devices[] = {"cpu:reference", "cpu"};

enum { N_GROUPS = 2, N_BLOCKS = 3, N_KV = 16, N_SAVED = 2, N_VOCAB = 512 };

static struct cache_types cache;

static void into_groups(struct model *m, struct compute_params *p)
{
	uint32_t n[2] = {0};
	m->n_kv_groups = 2;
	m->kv_groups[1].window = KV_MIN_WINDOW; /* theirs are shorter */
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		struct layer_spec *spec = &m->specs[l];
		spec->kv_group = spec->attn.window != 0;
		spec->kv_place = n[spec->kv_group]++;
	}
	p->n_kv_blocks = N_KV;
	p->cache = cache;
}

/* Logits of the token at pos; of n tokens from there on the last one's. */
static void step(struct run *r, const int32_t *tokens, uint32_t pos, uint32_t n,
		 const uint32_t table[N_GROUPS][N_BLOCKS], float *logits)
{
	struct hokku_error err = {0};
	struct compute_seq seq = {.tokens = tokens + pos,
				  .n_tokens = n,
				  .pos = pos,
				  .blocks = table[0],
				  .blocks_pitch = N_BLOCKS,
				  .logits = logits};
	if (compute_step(r->compute, &seq, 1, &err))
		fail_msg("step at %u: %s", pos, err.message);
}

static void read_all(struct run *r, const uint32_t table[N_GROUPS][N_BLOCKS],
		     uint8_t *bytes[N_GROUPS][N_SAVED])
{
	struct hokku_error err = {0};
	for (uint32_t g = 0; g < N_GROUPS; g++)
		for (uint32_t i = 0; i < N_SAVED; i++) {
			bytes[g][i] = malloc(compute_kv_bytes(r->compute, g));
			assert_int_equal(compute_kv_read(r->compute, g, table[g][i], bytes[g][i], &err),
					 HOKKU_OK);
		}
}

static void write_all(struct run *r, const uint32_t table[N_GROUPS][N_BLOCKS],
		      uint8_t *bytes[N_GROUPS][N_SAVED])
{
	struct hokku_error err = {0};
	for (uint32_t g = 0; g < N_GROUPS; g++)
		for (uint32_t i = 0; i < N_SAVED; i++) {
			assert_int_equal(compute_kv_write(r->compute, g, table[g][i], bytes[g][i], &err),
					 HOKKU_OK);
			free(bytes[g][i]);
		}
}

static void bits_go_from_handle_to_handle(void **state)
{
	(void)state;
	static const uint32_t from[N_GROUPS][N_BLOCKS] = {{4, 2, 9}, {0, 7, 3}};
	static const uint32_t to[N_GROUPS][N_BLOCKS] = {{15, 0, 1}, {6, 5, 8}};
	static float wanted[N_VOCAB], got[N_VOCAB], without[N_VOCAB];
	const struct arch_entry *a = arch_find(&set, "gemma2-a"); /* a window of 24 */
	uint32_t n = N_SAVED * COMPUTE_KV_BLOCK;
	arch_write_gguf(a, TENSOR_F16, path);
	for (size_t i = 0; i < 4; i++) {
		size_t d = i % 2;
		cache = i < 2 ? (struct cache_types){0} : (struct cache_types){CACHE_Q8_0, CACHE_F16};
		struct run first, second;
		struct compute_kv_kind kind, other;
		uint8_t *bytes[N_GROUPS][N_SAVED];
		assert_true(run_open_as(&first, path, devices[d], 96, 1, 2, into_groups));
		assert_true(run_open_as(&second, path, devices[d], 96, 1, 1, into_groups));
		compute_kv_describe(first.compute, &kind);
		compute_kv_describe(second.compute, &other);
		assert_string_equal(kind.device, devices[d]);
		assert_non_null(strstr(kind.layout, i < 2 ? "keys f32" : "keys q8_0"));
		assert_non_null(strstr(kind.layout, i < 2 ? "values f32" : "values f16"));
		assert_string_equal(kind.device, other.device);
		assert_string_equal(kind.layout, other.layout);
		assert_string_equal(kind.build, other.build);
		uint64_t of[] = {compute_kv_bytes(first.compute, 0), compute_kv_bytes(first.compute, 1)};
		uint64_t kv_bytes = of[0] > of[1] ? of[0] : of[1]; /* a block has room for either */
		struct compute_memory memory;
		compute_get_memory(first.compute, &memory);
		assert_int_equal(memory.kv_bytes, kv_bytes * memory.n_kv_blocks);
		step(&first, a->prompt, 0, n, from, NULL);
		step(&first, a->prompt, n, 2, from, wanted);
		read_all(&first, from, bytes);
		step(&second, a->prompt, n, 2, to, without);
		write_all(&second, to, bytes);
		step(&second, a->prompt, n, 2, to, got);
		size_t size = first.model.hp.n_vocab * sizeof *got;
		assert_memory_equal(wanted, got, size);
		assert_memory_not_equal(wanted, without, size); /* it is what was written that did it */
		run_close(&first);
		run_close(&second);
	}
	cache = (struct cache_types){0};
	unlink(path);
}

static void what_is_not_there_is_refused(void **state)
{
	(void)state;
	static uint8_t bytes[1];
	const struct arch_entry *a = arch_find(&set, "gemma2-a");
	struct hokku_error err = {0};
	struct run r;
	arch_write_gguf(a, TENSOR_F16, path);
	assert_true(run_open_as(&r, path, "cpu", 96, 1, 1, into_groups));
	assert_int_equal(compute_kv_read(r.compute, 1, N_KV, bytes, &err), HOKKU_INTERNAL);
	assert_string_equal(err.message,
			    "there is no KV block 16 of KV group 1; there are 16 blocks and 2 groups");
	assert_int_equal(compute_kv_write(r.compute, N_GROUPS, 0, bytes, &err), HOKKU_INTERNAL);
	assert_string_equal(err.message,
			    "there is no KV block 0 of KV group 2; there are 16 blocks and 2 groups");
	run_close(&r);
	unlink(path);
}

int main(void)
{
	arch_load(&set);
	snprintf(path, sizeof path, "%s/test_kv_bytes.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bits_go_from_handle_to_handle),
		cmocka_unit_test(what_is_not_there_is_refused),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	arch_free(&set);
	return failed;
}
