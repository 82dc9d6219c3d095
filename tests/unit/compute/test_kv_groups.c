/*
 * Block tables a KV group: a model whose windowed layers are a group of their own gives the bits that it
 * gives as one group, in any steps, alone and beside others, although the blocks that lie behind its window
 * are named no more and another sequence has them. And what the door refuses of such tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch_model.h"
#include "compute/kv_blocks.h"
#include "model_run.h"

static struct arch_set set;
static char path[512];
static const char *const devices[] = {"cpu:reference", "cpu"};
/* windows of 24 and 20; the second has two RoPEs */
static const char *const names[] = {"gemma2-a", "olmo3"};

static const struct cache_types caches[] = {{CACHE_DEFAULT, CACHE_DEFAULT}, {CACHE_Q8_0, CACHE_Q8_0}};
static struct cache_types cache;

static void set_cache(struct model *m, struct compute_params *p)
{
	(void)m;
	p->cache = cache;
}

enum { N_SEQS = 2, N_BLOCKS = 3, N_KV = 16 };

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
	assert_true(n[0] > 0 && n[1] > 0);
	p->n_kv_blocks = N_KV;
	p->cache = cache;
}

/* Tables of a sequence, neither sorted nor gapless, other ones in each group. */
static void fill_tables(uint32_t table[2][N_BLOCKS], uint32_t s)
{
	for (uint32_t i = 0; i < N_BLOCKS; i++) {
		table[0][i] = N_KV - 1 - (2 * i + s);
		table[1][i] = 3 * i + 4 * s % 3;
	}
}

/* Without the blocks behind the window of position pos. */
static void leave_behind(const struct model *m, uint32_t table[2][N_BLOCKS], uint32_t pos)
{
	uint32_t window = m->kv_groups[1].window, first = pos >= window ? pos - window + 1 : 0;
	for (uint32_t i = 0; i < first / COMPUTE_KV_BLOCK; i++)
		table[1][i] = (uint32_t)COMPUTE_NO_BLOCK;
}

/* Two sequences of the same tokens, the second so far behind that it gets blocks that the first has left. */
static void in_groups(const char *device, const struct arch_entry *a, uint32_t chunk, float *got)
{
	struct hokku_error err = {0};
	struct run r;
	uint32_t table[2][2][N_BLOCKS], n_left = 0;
	assert_true(run_open_as(&r, path, device, a->n_prompt, N_SEQS, 2, into_groups));
	size_t n_vocab = r.model.hp.n_vocab;
	fill_tables(table[0], 0);
	fill_tables(table[1], 1);
	for (uint32_t pos = 0; pos < a->n_prompt; pos += chunk) {
		uint32_t n = a->n_prompt - pos < chunk ? a->n_prompt - pos : chunk;
		leave_behind(&r.model, table[0], pos);
		if (table[0][1][0] == (uint32_t)COMPUTE_NO_BLOCK && table[1][1][0] != 0)
			table[1][1][0] = 0; /* the block that the first sequence had there */
		n_left += table[0][1][0] == (uint32_t)COMPUTE_NO_BLOCK;
		struct compute_seq seqs[2] = {
			{.tokens = a->prompt + pos,
			 .n_tokens = n,
			 .pos = pos,
			 .blocks = table[0][0],
			 .blocks_pitch = N_BLOCKS,
			 .logits = got + pos * n_vocab,
			 .all_logits = true},
			{.tokens = a->prompt, .n_tokens = 1, .blocks = table[1][0], .blocks_pitch = N_BLOCKS},
		};
		if (compute_step(r.compute, seqs, 2, &err) || seqs[0].code || seqs[1].code)
			fail_msg("%s, position %u: %s", a->name, pos, err.message);
	}
	assert_true(chunk > 32 || n_left > 0);
	run_close(&r);
}

static void bits_are_those_of_one_group(void **state)
{
	(void)state;
	static float one[128 * 512], got[128 * 512];
	for (size_t i = 0; i < 2 * sizeof names / sizeof names[0]; i++) {
		const struct arch_entry *a = arch_find(&set, names[i / 2]);
		cache = caches[i % 2];
		arch_write_gguf(a, TENSOR_F16, path);
		for (size_t d = 0; d < 2; d++) {
			struct run r;
#ifdef __SANITIZE_THREAD__ /* the reference has one thread */
			if (strcmp(devices[d], "cpu:reference") == 0)
				continue;
#endif
			assert_true(run_open_as(&r, path, devices[d], a->n_prompt, 1, 2, set_cache));
			assert_true(run_logits(&r, 0, a->prompt, a->n_prompt, 512, one));
			size_t bytes = (size_t)a->n_prompt * r.model.hp.n_vocab * sizeof *one;
			run_close(&r);
			for (size_t k = 0; k < 2; k++) {
				static const uint32_t chunks[] = {512, 7};
				memset(got, 0, bytes);
				in_groups(devices[d], a, chunks[k], got);
				if (memcmp(one, got, bytes) != 0)
					fail_msg("%s on %s in steps of %u: other bits", a->name, devices[d],
						 chunks[k]);
			}
		}
		unlink(path);
	}
	cache = caches[0];
}

/* What follows 32 tokens of one text in one group and of another text in the other is what neither text
 * gives: layers look where their own group's table says. */
static void each_group_looks_into_its_own_table(void **state)
{
	(void)state;
	static float logits[3][512];
	const struct arch_entry *a = arch_find(&set, "gemma2-a");
	const uint32_t tables[3][4] = {{0, 2, 5, 3}, {1, 4, 6, 7}, {0, 8, 6, 9}}; /* (group, block) */
	arch_write_gguf(a, TENSOR_F16, path);
	for (size_t d = 0; d < 2; d++) {
		struct hokku_error err = {0};
		struct run r;
		assert_true(run_open_as(&r, path, devices[d], 80, N_SEQS, 2, into_groups));
		for (uint32_t s = 0; s < 3; s++) {
			struct compute_seq seq = {.tokens = a->prompt + s,
						  .n_tokens = 32,
						  .blocks = tables[s],
						  .blocks_pitch = 2};
			if (s < 2) /* the third has a block of each of the others */
				assert_int_equal(compute_step(r.compute, &seq, 1, &err), HOKKU_OK);
			seq.tokens = a->prompt + 40;
			seq.n_tokens = 1;
			seq.pos = 32;
			seq.logits = logits[s];
			assert_int_equal(compute_step(r.compute, &seq, 1, &err), HOKKU_OK);
		}
		size_t bytes = r.model.hp.n_vocab * sizeof(float);
		assert_memory_not_equal(logits[2], logits[0], bytes);
		assert_memory_not_equal(logits[2], logits[1], bytes);
		run_close(&r);
	}
	unlink(path);
}

static void refused(struct run *r, uint32_t pos, const uint32_t *blocks, uint32_t pitch, const char *message)
{
	static const int32_t tokens[4] = {1, 2, 3, 4};
	struct hokku_error err = {0};
	struct compute_seq seq = {
		.tokens = tokens, .n_tokens = 4, .pos = pos, .blocks = blocks, .blocks_pitch = pitch};
	enum hokku_code rc = compute_step(r->compute, &seq, 1, &err);
	if (!message && rc)
		fail_msg("%s", err.message);
	if (message && (rc != HOKKU_INTERNAL || !strstr(err.message, message)))
		fail_msg("the message is\n  %s\nwanted\n  %s", err.message, message);
}

static void short_window(struct model *m, struct compute_params *p)
{
	into_groups(m, p);
	m->kv_groups[1].window = KV_MIN_WINDOW - 1;
}

static void tables_are_checked(void **state)
{
	(void)state;
	const uint32_t none = (uint32_t)COMPUTE_NO_BLOCK;
	const struct arch_entry *a = arch_find(&set, "gemma2-a");
	struct run r;
	arch_write_gguf(a, TENSOR_F16, path);
	assert_false(run_open_as(&r, path, "cpu", 80, N_SEQS, 2, short_window));
	assert_true(run_open_as(&r, path, "cpu", 80, N_SEQS, 2, into_groups));
	refused(&r, 64, (uint32_t[]){0, 1, 2, 3, 4, 5}, 3, NULL);
	refused(&r, 64, (uint32_t[]){0, 1, 2, 3, 4, 4}, 3,
		"KV block 4 stands twice in the tables of sequence 0");
	/* a block serves one group */
	refused(&r, 64, (uint32_t[]){0, 1, 2, 3, 4, 1}, 3,
		"KV block 1 stands twice in the tables of sequence 0");
	refused(&r, 64, (uint32_t[]){0, 1, 2, 3, 4, N_KV}, 3, "KV block 2 of sequence 0 is 16; there are 16");
	/* of a window of 33: tokens from 64 on see nothing before 32, those from 63 on see 31 */
	refused(&r, 64, (uint32_t[]){0, 1, 2, none, 4, 5}, 3, NULL);
	refused(&r, 63, (uint32_t[]){0, 1, 2, none, 4, 5}, 3,
		"KV block 0 of sequence 0 is 4294967295; there are 16");
	refused(&r, 64, (uint32_t[]){0, 1, 2, none, 4, none}, 3, "KV block 2 of sequence 0 is 4294967295");
	/* a group without a window sees all */
	refused(&r, 64, (uint32_t[]){none, 1, 2, 3, 4, 5}, 3, "KV block 0 of sequence 0 is 4294967295");
	refused(&r, 64, (uint32_t[]){0, 1, 2, 3, 4, 5}, 2,
		"has tables of 2 blocks, a KV group each; its tokens need 3");
	run_close(&r);
	unlink(path);
}

/* A model of layers with these windows, one after another. */
static void group(struct model *m, struct layer_spec *specs, const uint32_t *windows, uint32_t n,
		  uint32_t n_layers)
{
	static struct layer layers[62];
	*m = (struct model){.specs = specs, .layers = layers, .hp.n_layers = n_layers};
	memset(specs, 0, n_layers * sizeof *specs);
	for (uint32_t l = 0; l < n_layers; l++) {
		specs[l].attn.window = windows[l % n];
		layers[l].spec = &specs[l];
	}
	model_group_kv(m);
}

/* Layers of one window are in groups of their own, all about as large; in a group each has another place. */
static void layers_come_into_groups(void **state)
{
	(void)state;
	static const struct {
		uint32_t n_layers, n, windows[6];
		uint32_t n_places, n_groups, n_whole; /* the first n_whole groups see all */
	} cases[] = {
		{28, 1, {0}, 28, 1, 1},                               /* most models */
		{32, 1, {4096}, 32, 1, 0},                            /* Mistral 7B */
		{26, 2, {4096, 0}, 13, 2, 1},                         /* Gemma 2 2B */
		{26, 6, {512, 512, 512, 512, 512, 0}, 4, 7, 1},       /* Gemma 3 1B: 4 and 22 */
		{34, 6, {1024, 1024, 1024, 1024, 1024, 0}, 5, 7, 1},  /* Gemma 3 4B: 5 and 29 */
		{48, 6, {1024, 1024, 1024, 1024, 1024, 0}, 8, 6, 1},  /* Gemma 3 12B: 8 and 40 */
		{62, 6, {1024, 1024, 1024, 1024, 1024, 0}, 11, 6, 1}, /* Gemma 3 27B: 10 and 52 */
		{32, 4, {4096, 4096, 4096, 0}, 8, 4, 1},              /* OLMo 3 7B */
		{24, 2, {128, 0}, 12, 2, 1},                          /* gpt-oss 20B */
		{12, 3, {0, 0, 100}, 4, 3, 2},
		{1, 1, {0}, 1, 1, 1},
		{2, 2, {24, 0}, 1, 2, 1}, /* 24 counts as 33 */
		{6, 6, {0, 100, 200, 300, 400, 500}, 1, 6, 1},
		{40, 5, {0, 100, 200, 300, 400}, 8, 5, 1}, /* 300 and 400 share their groups */
	};
	struct layer_spec specs[62];
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct model m;
		bool taken[MODEL_MAX_KV_GROUPS][62] = {0};
		group(&m, specs, cases[i].windows, cases[i].n, cases[i].n_layers);
		if (model_kv_places(&m) != cases[i].n_places || m.n_kv_groups != cases[i].n_groups)
			fail_msg("case %zu: %u places, %u groups", i, model_kv_places(&m), m.n_kv_groups);
		for (uint32_t g = 0; g < m.n_kv_groups; g++)
			assert_int_equal(m.kv_groups[g].window == 0, g < cases[i].n_whole);
		for (uint32_t l = 0; l < cases[i].n_layers; l++) {
			uint32_t window = m.kv_groups[specs[l].kv_group].window;
			assert_true(specs[l].attn.window ? window >= specs[l].attn.window : window == 0);
			assert_true(window == 0 || window >= KV_MIN_WINDOW);
			assert_false(taken[specs[l].kv_group][specs[l].kv_place]);
			taken[specs[l].kv_group][specs[l].kv_place] = true;
		}
	}
}

/* Until somebody asks for groups a model has one, each layer its place. */
static void one_group_without(void **state)
{
	(void)state;
	struct hokku_error err = {0};
	struct gguf *g;
	struct model m;
	arch_write_gguf(arch_find(&set, "gemma2-b"), TENSOR_F16, path);
	assert_int_equal(gguf_open_file(path, &g, &err), HOKKU_OK);
	assert_int_equal(model_bind(&m, g, &err), HOKKU_OK);
	assert_int_equal(m.n_kv_groups, 1);
	assert_int_equal(m.kv_groups[0].window, 0);
	assert_int_equal(model_kv_places(&m), m.hp.n_layers);
	model_unbind(&m);
	gguf_close(g);
	unlink(path);
}

static uint64_t wanted_kv_bytes;

static void as_engine(struct model *m, struct compute_params *p)
{
	model_group_kv(m);
	p->n_batch = 64;
	p->n_kv_blocks = kv_blocks_all_groups(m, p->n_ctx, p->n_batch);
	p->kv_bytes = wanted_kv_bytes;
}

/* Memory is that of whole blocks, each with room for the layers of any group; the fewest are those of the
 * longest sequence, of a window what it shows and a step writes. */
static void memory_follows_the_windows(void **state)
{
	(void)state;
	arch_write_gguf(arch_find(&set, "gemma2-b"), TENSOR_F16,
			path); /* windows on layers 0 and 2 of three */
	const uint32_t fewest = 512 / 32 + 2 * ((33 + 30) / 32 + (64 + 30) / 32 + 1);
	for (size_t d = 0; d < 2; d++) {
		struct compute_memory memory;
		struct run r;
		wanted_kv_bytes = 0;
		assert_true(run_open_as(&r, path, devices[d], 512, 1, 1, as_engine));
		compute_get_memory(r.compute, &memory);
		uint64_t block = compute_kv_bytes(r.compute, 0);
		assert_int_equal(model_kv_places(&r.model), 1);
		assert_int_equal(memory.n_kv_blocks, fewest);
		assert_int_equal(memory.kv_bytes, fewest * block);
		run_close(&r);
		for (int over = -1; over <= 1; over++) {
			wanted_kv_bytes = 40 * block + (uint64_t)over;
			assert_true(run_open_as(&r, path, devices[d], 512, 1, 1, as_engine));
			compute_get_memory(r.compute, &memory);
			assert_int_equal(memory.n_kv_blocks, over < 0 ? 39 : 40);
			run_close(&r);
			wanted_kv_bytes = fewest * block + (uint64_t)over;
			bool opened = run_open_as(&r, path, devices[d], 512, 1, 1, as_engine);
			assert_int_equal(opened, over >= 0);
			if (opened)
				run_close(&r);
		}
	}
	unlink(path);
}

int main(void)
{
	arch_load(&set);
	snprintf(path, sizeof path, "%s/test_kv_groups.%d.gguf", TEST_BINARY_DIR, (int)getpid());
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bits_are_those_of_one_group),
		cmocka_unit_test(each_group_looks_into_its_own_table),
		cmocka_unit_test(tables_are_checked),
		cmocka_unit_test(layers_come_into_groups),
		cmocka_unit_test(one_group_without),
		cmocka_unit_test(memory_follows_the_windows),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	arch_free(&set);
	return failed;
}
