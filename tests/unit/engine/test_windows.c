/* KV groups with windows in the scheduler: what lies behind a window is given back, what is found again is
 * what every group still has, and blocks beside those that lead go with them. Without a model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compute/kv_blocks.h"
#include "engine/chain.h"

enum {
	CTX = 2048,
	BATCH = 256,
	WINDOW = 100,
	STEADY = (WINDOW + 30) / 32 + 1,                  /* blocks of one that goes on token by token */
	FEW = (WINDOW + 30) / 32 + (BATCH + 30) / 32 + 1, /* and of one with all the tokens of a step */
	WHOLE = CTX / 32,
};

/* A sequence whose ids are told by a number: those of the same number are alike. */
struct item {
	struct sched_seq seq;
	int32_t ids[CTX];
	uint64_t hashes[CTX / COMPUTE_KV_BLOCK];
};

static struct item items[8];
static struct sched_seq *out[8];

/* Groups beside each other: which sees all, and which has a window. */
static const struct kind {
	const char *name;
	uint32_t n_groups, windows[3];
	uint32_t n_whole, n_windowed; /* how many of each */
} kinds[] = {
	{"one that sees all, one with a window", 2, {0, WINDOW}, 1, 1},
	{"a window alone", 1, {WINDOW}, 0, 1},
	{"one that sees all, two with a window", 3, {0, WINDOW, WINDOW}, 1, 2},
	{"two that see all, one with a window", 3, {0, 0, WINDOW}, 2, 1},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static void start(struct sched *s, const struct kind *k, uint32_t n_blocks)
{
	struct sched_params p = {
		.n_seqs = 4, .n_ctx = CTX, .n_batch = BATCH, .n_groups = k->n_groups, .n_blocks = n_blocks};
	memcpy(p.windows, k->windows, sizeof k->windows);
	assert_true(sched_init(s, &p));
}

static struct sched_seq *add(struct sched *s, uint32_t i, uint32_t alike, uint32_t n)
{
	struct item *it = &items[i];
	for (uint32_t t = 0; t < n; t++)
		it->ids[t] = (int32_t)(alike * 100000 + t);
	it->seq = (struct sched_seq){
		.ids = it->ids, .n_ids = n, .n_prompt = n, .n_most = CTX, .hashes = it->hashes};
	sched_add(s, &it->seq);
	return &it->seq;
}

/* The step is submitted, and what it draws comes. */
static void advance(struct sched *s, struct sched_seq *seq)
{
	sched_advance(s, seq);
	if (seq->n_open)
		sched_fill(s, seq, 7);
}

static uint32_t step(struct sched *s)
{
	uint32_t n = sched_plan(s, BATCH, out);
	for (uint32_t i = 0; i < n; i++)
		advance(s, out[i]);
	return n;
}

/* Until the prompt is in; returns how much of it was found. */
static uint32_t prefill(struct sched *s, struct sched_seq *seq)
{
	while (seq->n_done < seq->n_prompt)
		assert_int_equal(step(s), 1);
	return seq->n_cached;
}

static uint32_t n_held(const struct sched *s)
{
	return s->kv.n_blocks - s->kv.n_free;
}

static void test_most(void **state)
{
	(void)state;
	assert_int_equal(kv_blocks_most(WINDOW, CTX, BATCH), FEW);
	assert_int_equal(kv_blocks_most(WINDOW, CTX, 1), STEADY);
	assert_int_equal(kv_blocks_most(0, CTX, BATCH), WHOLE);
	assert_int_equal(kv_blocks_most(CTX - 1, CTX, BATCH), WHOLE);
	assert_int_equal(kv_blocks_most(0, CTX + 1, 1), WHOLE + 1);
	/* from the first to the last position that is seen or written, wherever the step begins: no more than
	 * that, and as much somewhere */
	for (uint32_t window = 33; window < 100; window++)
		for (uint32_t n = 1; n < 70; n++) {
			uint32_t most = 0;
			for (uint32_t pos = 500; pos < 532; pos++) {
				uint32_t first = kv_behind(window, pos / 32 * 32), last = (pos + n - 1) / 32;
				most = last - first + 1 > most ? last - first + 1 : most;
			}
			assert_int_equal(kv_blocks_most(window, CTX, n), most);
		}
}

/* However long it gets, a window's group holds what the window shows and the step writes; in the fewest
 * blocks there may be one sequence has what it needs. */
static void test_held(void **state)
{
	(void)state;
	for (const struct kind *k = kinds; k < kinds + N_KINDS; k++) {
		struct sched s;
		start(&s, k, k->n_whole * WHOLE + k->n_windowed * FEW);
		struct sched_seq *a = add(&s, 0, 0, 1500);
		while (a->n_done < a->n_prompt) {
			assert_int_equal(sched_plan(&s, BATCH, out), 1);
			assert_true(n_held(&s) <= k->n_whole * a->n_blocks + k->n_windowed * FEW);
			advance(&s, a);
		}
		for (uint32_t i = 0; i < 540; i++) {
			assert_int_equal(sched_plan(&s, BATCH, out), 1);
			uint32_t all = a->n_done / 32 + 1, first = (a->n_done / 32 * 32 - WINDOW + 1) / 32;
			assert_true(all - first <= STEADY);
			assert_int_equal(n_held(&s), k->n_whole * all + k->n_windowed * (all - first));
			advance(&s, a);
		}
		assert_int_equal(a->n_done, 2040);
		assert_int_equal(s.counters.preempted, 0);
		sched_remove(&s, a);
		assert_int_equal(n_held(&s), 0);
		assert_int_equal(s.names.n_free, s.names.n_blocks);
		sched_deinit(&s);
	}
}

/* Four at a time, where there is room for the windows of four, what all four see, and one step: nobody is
 * sent away, and nobody waits. With a block less the last one waits. */
static void test_side_by_side(void **state)
{
	(void)state;
	for (const struct kind *k = kinds; k < kinds + N_KINDS; k++)
		for (uint32_t lacks = 0; lacks < 2; lacks++) {
			struct sched s;
			uint32_t n = 1800 / 32 + 1, in_step = BATCH / SCHED_MIN_PROMPT;
			/* each has a block more, but the last one that comes */
			uint32_t all = 4 * (k->n_whole * n + k->n_windowed * STEADY) + 3 * k->n_groups;
			all += 2 * k->n_windowed * in_step;
			start(&s, k, all - lacks);
			for (uint32_t i = 0; i < 4; i++)
				add(&s, i, i, 1800);
			step(&s);
			assert_int_equal(s.n_running, 4 - lacks);
			for (uint32_t i = 0, n_in = 0; n_in < 4 && !lacks; i++) {
				uint32_t planned = sched_plan(&s, BATCH, out);
				assert_true(i < 200);
				for (uint32_t j = 0; j < planned; j++) {
					advance(&s, out[j]);
					n_in += out[j]->n_done == 1800;
				}
			}
			assert_int_equal(s.counters.preempted, 0);
			sched_deinit(&s);
		}
}

/* Takes block b, which nobody holds, for something else. */
static void evict(struct kv_pool *kv, uint32_t b)
{
	bool *held = calloc(kv->n_blocks, sizeof *held);
	for (uint32_t i = 0; i < kv->n_blocks; i++)
		if (i != b && !kv->blocks[i].n_held) {
			held[i] = true;
			kv_hold(kv, i);
		}
	assert_int_equal(kv_take(kv), b);
	kv_release(kv, b);
	for (uint32_t i = 0; i < kv->n_blocks; i++)
		if (held[i])
			kv_release(kv, i);
	free(held);
}

/* What is found goes as far as it can where nothing is gone, and holds of a windowed group what is seen
 * alone. */
static void test_hits(void **state)
{
	(void)state;
	for (const struct kind *k = kinds; k < kinds + N_KINDS; k++) {
		struct sched s;
		start(&s, k, 400);
		assert_int_equal(prefill(&s, add(&s, 0, 0, 1025)), 0);
		sched_remove(&s, &items[0].seq);
		assert_int_equal(s.counters.cache_queries, 32);
		add(&s, 1, 0, 1025);
		assert_int_equal(sched_plan(&s, BATCH, out), 1);
		assert_int_equal(out[0]->n_cached, 1024);
		assert_int_equal(out[0]->n_new, 1);
		assert_int_equal(n_held(&s), k->n_whole * 33 + k->n_windowed * (4 + 1));
		/* and at the same time one that begins alike and ends earlier, in the middle of a block: what
		 * is held of the first part it shares */
		add(&s, 2, 0, 620);
		assert_int_equal(sched_plan(&s, BATCH, out), 2);
		assert_int_equal(out[1]->n_cached, 608);
		assert_int_equal(n_held(&s), k->n_whole * 34 + k->n_windowed * (4 + 1 + 4 + 1));
		assert_int_equal(s.counters.cache_queries, 32 + 32 + 19);
		assert_int_equal(s.counters.cache_hits, 32 + 19);
		sched_remove(&s, &items[1].seq);
		sched_remove(&s, &items[2].seq);
		assert_int_equal(s.kv.n_free, 400);
		sched_deinit(&s);
	}
}

/* A block of a windowed group is gone: the longest position before, for which all are there, is where
 * computing goes on, and the request is told; what is computed again is found again. */
static void test_a_hit_may_be_shorter(void **state)
{
	(void)state;
	for (uint32_t which = 0; which < N_KINDS * 32; which++) {
		const struct kind *k = &kinds[which / 32];
		uint32_t first[32], gone = which % 32, last = k->n_groups - 1 - (k->n_whole > 0);
		struct cache_miss miss = {.why = CACHE_MISS_NOT_ASKED};
		struct sched s;
		start(&s, k, 400);
		struct sched_seq *a = add(&s, 0, 0, 1025);
		prefill(&s, a);
		memcpy(first, a->leading, sizeof first);
		sched_remove(&s, a);
		evict(&s.kv, kv_beside(s.lead, last, first[gone]));
		assert_int_equal(kv_beside(s.lead, last, first[gone]), KV_NONE);
		/* the token at 1024 sees blocks 28 .. 31, that at 32 * 31 blocks 27 .. 30 ... */
		uint32_t wanted = gone < 28 ? 1024 : 32 * gone;
		add(&s, 1, 0, 1025)->miss = &miss;
		assert_int_equal(prefill(&s, &items[1].seq), wanted);
		assert_int_equal(miss.why, gone < 28 ? CACHE_MISS_ALL_FOUND : CACHE_MISS_EVICTED);
		assert_int_equal(miss.pos, wanted);
		sched_remove(&s, &items[1].seq);
		assert_int_equal(prefill(&s, add(&s, 2, 0, 1025)), 1024);
		sched_remove(&s, &items[2].seq);
		assert_int_equal(kv_beside(s.lead, last, first[gone]) == KV_NONE, gone < 28);
		assert_int_equal(s.kv.n_free, 400);
		sched_deinit(&s);
	}
}

/* A block that leads is gone: nothing beside it is found. */
static void test_gone_with_what_leads(void **state)
{
	(void)state;
	for (const struct kind *k = kinds; k < kinds + N_KINDS; k++) {
		struct sched s;
		start(&s, k, 400);
		struct sched_seq *a = add(&s, 0, 0, 1025);
		prefill(&s, a);
		uint32_t leading = a->leading[10], beside = kv_beside(s.lead, 0, leading);
		sched_remove(&s, a);
		assert_int_not_equal(beside, KV_NONE);
		evict(s.lead, leading);
		assert_int_equal(kv_beside(s.lead, 0, leading), KV_NONE);
		assert_int_equal(s.kv.blocks[beside].name, 0);
		assert_int_equal(prefill(&s, add(&s, 1, 0, 1025)), 320);
		sched_remove(&s, &items[1].seq);
		sched_forget(&s);
		assert_int_equal(prefill(&s, add(&s, 1, 0, 1025)), 0);
		sched_remove(&s, &items[1].seq);
		sched_deinit(&s);
	}
}

/* Sequences of other roots have nothing in common, those of one share. */
static void test_roots(void **state)
{
	(void)state;
	struct sched s;
	start(&s, &kinds[0], 300);
	static const struct {
		uint64_t root;
		uint32_t found;
	} cases[] = {{0, 0},   {KV_ROOT | 1, 0},  {KV_ROOT | 2, 0}, {KV_ROOT | 1, 288},
		     {0, 288}, {KV_ROOT | 2, 288}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sched_seq *a = add(&s, 0, 0, 300);
		a->root = cases[i].root;
		assert_int_equal(prefill(&s, a), cases[i].found);
		sched_remove(&s, a);
	}
	sched_deinit(&s);
}

/* What is saved of n full blocks is what a prompt of the same tokens, or of more, goes on from; and what is
 * put back is found so again. Blocks that are known already are not written. */
static void test_chains(void **state)
{
	(void)state;
	for (uint32_t which = 0; which < N_KINDS * 4; which++) {
		static const uint32_t lengths[] = {1, 4, 17, 32};
		const struct kind *k = &kinds[which / 4];
		uint32_t n = lengths[which % 4], behind = n > 4 ? n - 1 - 4 : 0, more, n_free;
		struct sched s;
		struct chain c, back;
		start(&s, k, 400);
		assert_true(chain_init(&c, n) && chain_init(&back, n));
		prefill(&s, add(&s, 0, 0, 32 * n + 1));
		assert_int_equal(chain_find(&c, &s, 0, items[0].ids, n), n);
		sched_remove(&s, &items[0].seq);
		for (uint32_t g = 0; g < k->n_groups; g++)
			assert_int_equal(c.first[g], k->windows[g] ? behind : 0);
		assert_int_equal(n_held(&s), k->n_whole * n + k->n_windowed * (n - behind));
		chain_release(&c, &s);
		assert_int_equal(n_held(&s), 0);
		/* all is known */
		assert_true(chain_take(&back, &s, 0, items[0].ids, n, c.first, &more, &n_free));
		assert_int_equal(more, 0);
		for (uint32_t g = 0; g < k->n_groups; g++)
			for (uint32_t i = c.first[g]; i < n; i++)
				assert_false(chain_is_new(&back, &s, g, i));
		chain_release(&back, &s);
		/* one block is not */
		evict(&s.kv, kv_beside(s.lead, 0, c.leading[n - 1]));
		assert_true(chain_take(&back, &s, 0, items[0].ids, n, c.first, &more, &n_free));
		assert_int_equal(more, 1);
		assert_true(chain_is_new(&back, &s, k->n_whole > 0, n - 1));
		chain_keep(&back, &s, 0, items[0].ids);
		chain_release(&back, &s);
		assert_int_equal(chain_find(&c, &s, 0, items[0].ids, n), n);
		chain_release(&c, &s);
		/* nothing is */
		sched_forget(&s);
		assert_false(chain_is_good(&c, &s));
		uint32_t all = k->n_whole * n + k->n_windowed * (n - behind);
		assert_true(chain_take(&back, &s, 0, items[0].ids, n, c.first, &more, &n_free));
		assert_int_equal(more, all);
		assert_int_equal(n_held(&s), all);
		chain_keep(&back, &s, 0, items[0].ids);
		chain_release(&back, &s);
		assert_int_equal(prefill(&s, add(&s, 1, 0, 32 * n)), 32 * (n - 1));
		sched_remove(&s, &items[1].seq);
		assert_int_equal(prefill(&s, add(&s, 1, 0, 32 * n + 1)), 32 * n);
		sched_remove(&s, &items[1].seq);
		assert_int_equal(s.names.n_free, s.names.n_blocks);
		/* nor is there room beside one that runs */
		sched_forget(&s);
		add(&s, 2, 2, 500);
		step(&s);
		uint32_t spare = s.kv.n_free - (uint32_t)sched_promised(&s);
		for (uint32_t i = all; i <= spare; i++)
			assert_int_not_equal(kv_take(&s.kv), KV_NONE);
		assert_false(chain_take(&back, &s, 0, items[0].ids, n, c.first, &more, &n_free));
		assert_int_equal(more, all);
		assert_int_equal(n_free, all - 1);
		chain_release(&back, &s);
		chain_deinit(&c);
		chain_deinit(&back);
		sched_deinit(&s);
	}
}

/* The KV groups of Gemma 3 1B (docs/glossary.md: KV group): four layers that see all, 22 with a window of
 * 512. */
static const uint32_t gemma[MODEL_MAX_KV_GROUPS] = {0, 512, 512, 512, 512, 512, 512};

/* Over a whole long context what windows hold does not grow. */
static void test_great_length(void **state)
{
	(void)state;
	enum { LONG = 131072, CHUNK = 512 };
	struct sched s;
	struct sched_params p = {.n_seqs = 1, .n_ctx = LONG, .n_batch = CHUNK, .n_groups = 7};
	uint32_t most = kv_blocks_most(512, LONG, CHUNK), steady = kv_blocks_most(512, LONG, 1);
	assert_int_equal(most, 16 + 16 + 1);
	assert_int_equal(steady, 17);
	p.n_blocks = LONG / 32 + 6 * most;
	memcpy(p.windows, gemma, sizeof gemma);
	assert_true(sched_init(&s, &p));
	struct sched_seq a = {.ids = calloc(LONG + 1, sizeof *a.ids),
			      .hashes = calloc(LONG / 32, sizeof *a.hashes),
			      .n_ids = LONG - 100,
			      .n_prompt = LONG - 100,
			      .n_most = LONG};
	sched_add(&s, &a);
	while (a.n_ids < LONG) {
		assert_int_equal(sched_plan(&s, CHUNK, out), 1);
		uint32_t beside = n_held(&s) - a.n_blocks;
		assert_true(beside <= 6 * (a.n_new > 1 ? most : steady));
		advance(&s, &a);
	}
	assert_true(n_held(&s) <= LONG / 32 + 6 * steady);
	assert_int_equal(s.counters.preempted, 0);
	sched_remove(&s, &a);
	assert_int_equal(s.kv.n_free, p.n_blocks);
	sched_deinit(&s);
	free(a.ids);
	free(a.hashes);
}

/* Sequences of 8,000 tokens, none like another, that run at a time in so many blocks. */
static uint32_t how_many(uint32_t n_blocks, uint32_t n_groups, uint32_t n_whole, uint32_t window)
{
	enum { MOST = 500, LENGTH = 8000, EACH_CTX = 8192 };
	static struct sched_seq seqs[MOST], *planned[MOST];
	struct sched s;
	struct sched_params p = {.n_seqs = MOST,
				 .n_ctx = EACH_CTX,
				 .n_batch = 512,
				 .n_groups = n_groups,
				 .n_blocks = n_blocks};
	for (uint32_t g = n_whole; g < n_groups; g++)
		p.windows[g] = window;
	assert_true(sched_init(&s, &p));
	int32_t *ids = calloc(EACH_CTX + 1, sizeof *ids);
	for (uint32_t i = 0; i < MOST; i++) {
		seqs[i] = (struct sched_seq){
			.ids = ids, .n_ids = LENGTH, .n_prompt = LENGTH, .n_most = LENGTH + 1};
		sched_add(&s, &seqs[i]);
	}
	for (uint32_t n; (n = sched_plan(&s, 512, planned)) > 0;) /* until nobody has anything to compute */
		for (uint32_t i = 0; i < n; i++)
			sched_advance(&s, planned[i]);
	uint32_t n = s.n_running;
	assert_int_equal(s.counters.preempted, 0);
	while (s.n_running)
		sched_remove(&s, s.running[0]);
	sched_deinit(&s);
	free(ids);
	return n;
}

/* The table of docs/performance.md: into 16 GiB of halves. */
static void test_how_many_fit(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint32_t n_layers, n_kv_heads, head_dim, n_places, n_groups, window;
		uint32_t before, after;
	} rows[] = {
		{"Gemma 2 9B", 42, 8, 256, 21, 2, 4096, 6, 8},
		{"Gemma 3 1B", 26, 1, 256, 4, 7, 512, 80, 364},
		{"Gemma 3 4B", 34, 4, 256, 5, 7, 1024, 15, 57},
		{"Gemma 3 12B", 48, 8, 256, 8, 6, 1024, 5, 19},
		{"Gemma 3 27B", 62, 16, 128, 11, 6, 1024, 4, 13},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t layer = UINT64_C(2) * sizeof(uint16_t) * rows[i].n_kv_heads * rows[i].head_dim * 32;
		uint64_t n = (UINT64_C(16) << 30) / layer;
		uint32_t before = how_many((uint32_t)(n / rows[i].n_layers), 1, 1, 0);
		uint32_t after =
			how_many((uint32_t)(n / rows[i].n_places), rows[i].n_groups, 1, rows[i].window);
		print_message("%s: %u before, %u after\n", rows[i].name, before, after);
		assert_int_equal(before, rows[i].before);
		assert_int_equal(after, rows[i].after);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_most),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_side_by_side),
		cmocka_unit_test(test_hits),
		cmocka_unit_test(test_a_hit_may_be_shorter),
		cmocka_unit_test(test_gone_with_what_leads),
		cmocka_unit_test(test_roots),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_great_length),
		cmocka_unit_test(test_how_many_fit),
	};
	return cmocka_run_group_tests_name("windows", tests, NULL, NULL);
}
