/* The scheduler: its policy, rule by rule, without a model; then some hundred random schedules over a tiny
 * one, each request's tokens and log-probabilities being those of its lone run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schedule.h"
#include "small.h"

enum { CTX = 2048, BATCH = 512, MAX_SEQS = 64 };

/* A sequence of the rules' tests, whose ids are told by a number: those of the same number are alike. */
struct item {
	struct sched_seq seq;
	int32_t ids[CTX + 1];
	uint64_t hashes[CTX / COMPUTE_KV_BLOCK];
};

/* Sanitizers make a schedule eight times as long; the other builds run them all. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { N_SCHEDULES = 100 };
#else
enum { N_SCHEDULES = 300 };
#endif
#if defined(__SANITIZE_ADDRESS__)
enum { SMALL_STEP = 4 };
#else
enum { SMALL_STEP = 60 };
#endif

static struct item items[200];
static struct sched_seq *out[MAX_SEQS];

static void start(struct sched *s, uint32_t n_seqs, uint32_t n_blocks)
{
	const struct sched_params p = {
		.n_seqs = n_seqs, .n_ctx = CTX, .n_batch = BATCH, .n_blocks = n_blocks, .n_groups = 1};
	assert_true(sched_init(s, &p));
}

static struct sched_seq *add_for(struct sched *s, uint32_t i, uint32_t alike, uint32_t n, uint32_t priority,
				 uint32_t owner, uint64_t root)
{
	struct item *it = &items[i];
	for (uint32_t t = 0; t < n; t++)
		it->ids[t] = (int32_t)(alike * 100000 + t);
	it->seq = (struct sched_seq){.ids = it->ids,
				     .n_ids = n,
				     .n_prompt = n,
				     .n_most = CTX + 1,
				     .hashes = it->hashes,
				     .priority = priority,
				     .owner = owner,
				     .root = root};
	sched_add(s, &it->seq);
	return &it->seq;
}

static struct sched_seq *add(struct sched *s, uint32_t i, uint32_t alike, uint32_t n, uint32_t priority)
{
	return add_for(s, i, alike, n, priority, 0, 0);
}

/* A step in which everybody who draws goes on. */
static uint32_t step(struct sched *s, uint32_t budget)
{
	uint32_t n = sched_plan(s, budget, out);
	for (uint32_t i = 0; i < n; i++) {
		sched_advance(s, out[i]);
		if (out[i]->n_open)
			sched_fill(s, out[i], 7);
	}
	return n;
}

/* Everyone who decodes has one token; of the rest of the budget the oldest prompt has half, the next half of
 * what is left, and what nobody needs is the oldest's. */
static void test_budget(void **state)
{
	(void)state;
	struct sched s;
	start(&s, 8, 1000);
	struct sched_seq *a = add(&s, 0, 0, 10, 0), *b, *c, *d;
	assert_int_equal(sched_plan(&s, 100, out), 1); /* alone: all that it has, or all that there is */
	assert_int_equal(a->n_new, 10);
	sched_advance(&s, a);
	sched_fill(&s, a, 7);
	b = add(&s, 1, 1, 1000, 0);
	assert_int_equal(sched_plan(&s, 100, out), 2);
	assert_int_equal(a->n_new, 1);
	assert_int_equal(b->n_new, 99);
	c = add(&s, 2, 2, 1000, 0);
	d = add(&s, 3, 3, 20, 0);
	a->n_new = b->n_new = 0;
	assert_int_equal(sched_plan(&s, 101, out), 4);
	assert_int_equal(a->n_new, 1);
	assert_int_equal(b->n_new, 50 + 9);
	assert_int_equal(c->n_new, 25);
	assert_int_equal(d->n_new, 16);
	/* However many decode, prompts go on; but a budget of 5 tokens is 5 tokens. */
	for (uint32_t budget = 0; budget <= 20; budget++) {
		a->n_new = b->n_new = c->n_new = d->n_new = 0;
		sched_plan(&s, budget, out);
		uint32_t n = b->n_new + c->n_new + d->n_new, rest = budget ? budget - 1 : 0;
		uint32_t least = budget < SCHED_MIN_PROMPT ? budget : SCHED_MIN_PROMPT;
		assert_int_equal(n, rest > least ? rest : least);
	}
	/* Never more than a step takes. */
	a->n_new = b->n_new = c->n_new = d->n_new = 0;
	sched_plan(&s, 100000, out);
	assert_int_equal(a->n_new + b->n_new + c->n_new + d->n_new, BATCH);
	sched_deinit(&s);
}

/* First come, first served within a priority; a better one goes first. */
static void test_order(void **state)
{
	(void)state;
	static const uint32_t priorities[] = {2, 1, 3, 1, 0, 2, 0}, wanted[] = {4, 6, 1, 3, 0, 5, 2};
	struct sched s;
	start(&s, 1, 1000);
	for (uint32_t i = 0; i < 7; i++)
		add(&s, i, i, 3, priorities[i]);
	for (uint32_t i = 0; i < 7; i++) {
		assert_int_equal(sched_plan(&s, 64, out), 1);
		assert_ptr_equal(out[0], &items[wanted[i]].seq);
		sched_remove(&s, out[0]);
	}
	assert_int_equal(sched_plan(&s, 64, out), 0);
	sched_deinit(&s);
}

/* Of the others however many come, one that waits is passed over SCHED_MAX_PASSED times, and once more for
 * each priority that is due at the same time. */
static void test_no_starvation(void **state)
{
	(void)state;
	struct sched s;
	start(&s, 1, 1000);
	for (uint32_t n_low = 1; n_low < SCHED_N_PRIORITIES; n_low++) {
		uint32_t most = 0;
		for (uint32_t i = 1; i <= n_low; i++)
			add(&s, i, i, 3, i);
		add(&s, 10, 10, 3, 0);
		for (uint32_t turn = 0, left = n_low; left; turn++) {
			assert_true(turn < 1000);
			add(&s, 11 + turn, 11, 3, 0); /* there is always another one */
			sched_plan(&s, 64, out);
			uint32_t priority = out[0]->priority;
			left -= priority > 0;
			most = priority > 0 ? turn : most;
			if (priority > 0 && left == n_low - 1)
				assert_int_equal(turn, SCHED_MAX_PASSED);
			sched_remove(&s, out[0]);
		}
		assert_int_equal(most, SCHED_MAX_PASSED + n_low - 1);
		while (sched_plan(&s, 64, out))
			sched_remove(&s, out[0]);
	}
	/* The second of a priority waits for another round. */
	add(&s, 1, 1, 3, 1);
	add(&s, 2, 2, 3, 1);
	for (uint32_t turn = 0, n_seen = 0; n_seen < 2; turn++) {
		add(&s, 11 + turn, 11, 3, 0);
		sched_plan(&s, 64, out);
		if (out[0]->priority)
			assert_int_equal(turn, n_seen++ ? 2 * SCHED_MAX_PASSED + 1 : SCHED_MAX_PASSED);
		sched_remove(&s, out[0]);
	}
	sched_deinit(&s);
}

/* Where blocks run out the youngest gives its own back, waits before those that came after it, and loses
 * nothing. */
static void test_preemption(void **state)
{
	(void)state;
	struct sched s;
	start(&s, 3, 64);
	struct sched_seq *a = add(&s, 0, 0, 960, 1), *b = add(&s, 1, 1, 928, 1), *c;
	a->hashes = b->hashes = NULL;
	while (a->n_done < 960 || b->n_done < 928) /* 30 + 29 blocks of 64 */
		assert_true(step(&s, 512) > 0);
	c = add(&s, 2, 2, 200,
		1); /* waits: there is no room for it beside the next blocks of those that run */
	while (s.counters.preempted == 0)
		assert_true(step(&s, 512) > 0);
	assert_int_equal(a->state, SCHED_RUNNING);
	assert_int_equal(b->state, SCHED_WAITING);
	assert_int_equal(c->state, SCHED_WAITING);
	assert_true(b->n_ids > 928 && b->n_done == 0 && b->n_blocks == 0);
	assert_int_equal(a->n_blocks + s.kv.n_free, 64);
	assert_ptr_equal(turns_first(&s.waiting), b);
	sched_remove(&s, a);
	step(&s, 512);
	assert_int_equal(b->state, SCHED_RUNNING);
	assert_int_equal(c->state, SCHED_RUNNING);
	while (b->n_done + 1 < b->n_ids)
		step(&s, 512);
	sched_remove(&s, b);
	sched_remove(&s, c);
	assert_int_equal(s.kv.n_free, 64);
	sched_deinit(&s);
}

/* A beginning that many share is computed once, whether they come together or later. */
static void test_shared(void **state)
{
	(void)state;
	enum { N = 64, SHARED = 2000 };
	struct sched s;
	start(&s, N, 1000);
	for (uint32_t i = 0; i < N; i++) {
		struct sched_seq *seq = add(&s, i, 0, SHARED + 20, 0);
		for (uint32_t t = SHARED; t < SHARED + 20; t++)
			seq->ids[t] = (int32_t)(i * 50 + t);
	}
	uint32_t n_left = N, n_steps = 0, n_computed = 0;
	while (n_left) {
		uint32_t n = sched_plan(&s, 512, out);
		assert_true(n > 0 && n_steps++ < 100);
		for (uint32_t i = 0; i < n; i++) {
			n_computed += out[i]->n_ids == SHARED + 20 ? out[i]->n_new : 0;
			sched_advance(&s, out[i]);
			n_left -= out[i]->n_done == SHARED + 20;
			if (out[i]->n_open)
				sched_fill(&s, out[i], 7);
		}
	}
	/* 62 whole blocks once; the rest, 2,020 - 1,984 tokens, by each. */
	assert_int_equal(n_computed, 1984 + N * 36);
	assert_int_equal(items[0].seq.n_cached, 0);
	for (uint32_t i = 1; i < N; i++)
		assert_int_equal(items[i].seq.n_cached, 1984);
	assert_int_equal(s.kv.n_blocks - s.kv.n_free, 62 + N * 2);
	/* What is counted says so, and adds up: each whole block before the last token was looked for (63),
	 * the shared ones found by all but the first. */
	assert_int_equal(s.counters.prompt_tokens_computed, n_computed);
	assert_int_equal(s.counters.cache_queries, N * 63);
	assert_int_equal(s.counters.cache_hits, (N - 1) * 62);
	assert_int_equal(s.counters.cache_evictions, 0);
	for (uint32_t i = 0; i < N; i++)
		sched_remove(&s, &items[i].seq);
	assert_int_equal(s.kv.n_free, 1000);
	/* The very same prompt again: all whole blocks before its last token. */
	struct sched_seq *again = add(&s, 0, 0, 1984, 0);
	sched_plan(&s, 512, out);
	assert_int_equal(again->n_cached, 1984 - 32);
	assert_int_equal(again->n_new, 32);
	sched_remove(&s, again);
	/* One that wants none of it, and what it computed. */
	again = add(&s, 0, 0, 1984, 0);
	again->hashes = NULL;
	sched_plan(&s, 512, out);
	assert_int_equal(again->n_cached, 0);
	assert_int_equal(again->n_done, 0);
	sched_deinit(&s);
}

/* A hash only leads to a block: ids, and the blocks before, are compared. */
static void test_compared(void **state)
{
	(void)state;
	struct kv_pool p;
	int32_t x[COMPUTE_KV_BLOCK] = {1}, y[COMPUTE_KV_BLOCK] = {2};
	assert_true(kv_init(&p, 8));
	uint32_t a = kv_take(&p), b = kv_take(&p), c = kv_take(&p);
	assert_int_equal(kv_keep(&p, a, 0, 5, x), a);
	assert_int_equal(kv_keep(&p, b, 0, 5, y), b);
	uint64_t after_a = kv_name(&p, a), after_b = kv_name(&p, b);
	assert_int_equal(kv_keep(&p, c, after_a, 5, x), c);
	assert_int_equal(kv_find(&p, 0, 5, x), a);
	assert_int_equal(kv_find(&p, 0, 5, y), b);
	assert_int_equal(kv_find(&p, after_a, 5, x), c);
	assert_int_equal(kv_find(&p, after_b, 5, x), KV_NONE);
	assert_int_equal(kv_find(&p, after_a, 5, y), KV_NONE);
	assert_int_equal(kv_find(&p, 0, 6, x), KV_NONE);
	assert_int_equal(kv_find(&p, KV_ROOT | 1, 5, x),
			 KV_NONE); /* another root, though the hash is alike */
	/* The same again: the caller gets the first, and the second is free. */
	uint32_t d = kv_take(&p);
	assert_int_equal(kv_keep(&p, d, after_a, 5, x), c);
	assert_int_equal(p.blocks[c].n_held, 2);
	assert_int_equal(p.n_free, 5);
	/* Its place being taken by other ids with the same hash, what followed it is not found behind those.
	 */
	kv_release(&p, c);
	kv_release(&p, c);
	kv_release(&p, a);
	for (uint32_t i = 0; i < 5; i++) /* the five that nothing was known of */
		kv_take(&p);
	assert_int_equal(p.n_evicted, 0);
	assert_int_equal(kv_take(&p), c); /* free longest of those that could be found */
	assert_int_equal(p.n_evicted, 1);
	assert_int_equal(kv_find(&p, after_a, 5, x), KV_NONE);
	assert_int_equal(kv_find(&p, 0, 5, x), a);
	kv_hold(&p, a);
	assert_int_equal(kv_take(&p), KV_NONE);
	kv_forget(&p);
	assert_int_equal(kv_find(&p, 0, 5, x), KV_NONE);
	kv_deinit(&p);
}

/* Gives a prompt of 200 tokens the hashes that all such have. */
static void collide(struct sched_seq *seq, bool alike)
{
	for (; alike && seq->n_hashed < 6; seq->n_hashed++)
		seq->hashes[seq->n_hashed] = 1000 + seq->n_hashed;
}

/* Of equal prompts those of one root share blocks, and no others, even where hashes are alike; nor does one
 * wait for another's. */
static void test_roots(void **state)
{
	(void)state;
	static const uint64_t roots[] = {0, KV_ROOT | 1, KV_ROOT | 2, KV_ROOT | 1};
	for (int alike = 0; alike < 2; alike++) {
		struct sched s;
		start(&s, 8, 1000);
		for (uint32_t i = 0; i < 4; i++)
			collide(add_for(&s, i, 7, 200, 0, 0, roots[i]), alike);
		assert_int_equal(sched_plan(&s, 512, out), 3); /* the last one waits for the second */
		for (uint32_t i = 0; i < 3; i++)
			assert_true(items[i].seq.n_new > 0);
		for (uint32_t i = 0; i < 3; i++)
			sched_advance(&s, out[i]);
		while (items[3].seq.n_done < 200)
			assert_true(step(&s, 512) > 0);
		for (uint32_t i = 0; i < 4; i++) {
			assert_int_equal(items[i].seq.n_cached, i == 3 ? 192 : 0);
			sched_remove(&s, &items[i].seq);
		}
		for (uint32_t i = 0; i < 3; i++) {
			uint64_t root = i == 2 ? KV_ROOT | 3 : roots[i];
			struct sched_seq *again = add_for(&s, 0, 7, 200, 0, 0, root);
			collide(again, alike);
			sched_plan(&s, 512, out);
			assert_int_equal(again->n_cached, i == 2 ? 0 : 192);
			sched_remove(&s, again);
		}
		sched_deinit(&s);
	}
}

/* Owners take turns at places (turns.h), each up to its limit, and at the tokens of a step: the oldest prompt
 * of each before the second of any. */
static void test_owners(void **state)
{
	(void)state;
	struct sched s;
	const struct sched_params p = {
		.n_seqs = 8, .n_ctx = CTX, .n_batch = BATCH, .n_blocks = 1000, .n_groups = 1, .n_owners = 2};
	assert_true(sched_init(&s, &p));
	sched_limit(&s, 1, 5);
	for (uint32_t i = 0; i < 20; i++)
		add_for(&s, i, i, 1500, 1, 1, 0);
	struct sched_seq *one = add_for(&s, 20, 20, 40, 1, 2, 0);
	/* Five of the many, in their order, and the one that came last of all. */
	assert_int_equal(sched_plan(&s, 512, out), 6);
	assert_int_equal(s.n_running, 6);
	assert_int_equal(s.waiting.n_waiting, 15);
	for (uint32_t i = 0; i < 5; i++)
		assert_ptr_equal(out[i], &items[i].seq);
	assert_ptr_equal(out[5], one);
	assert_int_equal(one->n_new, 40);
	assert_int_equal(items[0].seq.n_new, 256 + 11);
	assert_int_equal(items[1].seq.n_new, (512 - 256 - 40) / 2);
	/* The places that are left are the other's, up to all there are. */
	for (uint32_t i = 0; i < 3; i++)
		add_for(&s, 21 + i, 21 + i, 10, 1, 2, 0);
	sched_plan(&s, 512, out);
	assert_int_equal(s.n_running, 8);
	assert_int_equal(items[23].seq.state, SCHED_WAITING);
	/* One of the many ends: its place is the next in turn's, which is the other owner's. */
	sched_remove(&s, &items[0].seq);
	sched_plan(&s, 512, out);
	assert_int_equal(s.n_running, 8);
	assert_int_equal(items[5].seq.state + items[23].seq.state, SCHED_RUNNING + SCHED_WAITING);
	while (s.n_running || s.waiting.n_waiting) {
		uint32_t n = sched_plan(&s, 512, out), n_many = 0;
		for (uint32_t i = 0; i < n; i++)
			n_many += out[i]->owner == 1;
		assert_true(n > 0 && n_many <= 5);
		sched_remove(&s, out[0]);
	}
	sched_deinit(&s);
}

/* Hashes follow from all ids before. */
static void test_hash(void **state)
{
	(void)state;
	int32_t x[COMPUTE_KV_BLOCK] = {0};
	uint64_t first = kv_hash(0, x), second = kv_hash(first, x);
	assert_true(first != second);
	x[COMPUTE_KV_BLOCK - 1] = 1;
	assert_true(kv_hash(0, x) != first && kv_hash(first, x) != second);
}

/* Positions that are to be shown: so many a step, each once, though others hold their blocks. */
static void test_rows(void **state)
{
	(void)state;
	struct sched s;
	start(&s, 4, 1000);
	for (uint32_t n_more = 0; n_more <= 2;
	     n_more++) { /* the last token alone, with others, and once more */
		struct sched_seq *a = add(&s, 0, n_more, 95 + n_more, 0);
		a->n_rows = 94 + n_more;
		for (uint32_t done = 0; done < a->n_prompt; done += a->n_new) {
			a->n_new = 0;
			assert_int_equal(sched_plan(&s, 512, out), 1);
			assert_int_equal(a->n_new, a->n_prompt - done > 32 ? 32 : a->n_prompt - done);
			assert_int_equal(sched_shows(a), done < a->n_rows);
			assert_int_equal(a->n_done, done);
			uint32_t n_new = a->n_new;
			sched_advance(&s, a);
			assert_int_equal(a->n_shown, done + n_new < a->n_rows ? done + n_new : a->n_rows);
			a->n_new = n_new; /* for the sum */
		}
		a->n_new = 0;
		sched_remove(&s, a);
	}
	uint64_t n_queries = s.counters.cache_queries;
	/* What was computed for it is found by others, not by one that wants to see it. */
	struct sched_seq *a = add(&s, 0, 0, 95, 0), *b = add(&s, 1, 0, 95, 0), *c, *d;
	a->n_rows = 94;
	assert_int_equal(sched_plan(&s, 512, out), 2);
	assert_int_equal(a->n_cached, 0);
	assert_int_equal(b->n_cached, 64);
	assert_int_equal(s.counters.cache_queries, n_queries + 2);
	assert_int_equal(a->n_new, 32);
	assert_int_equal(b->n_new, 31);
	sched_remove(&s, a);
	sched_remove(&s, b);
	/* Shared as prompts are; those that want none have what they always have, and wait for nobody who
	 * does. */
	a = add(&s, 0, 10, 1000, 0);
	b = add(&s, 1, 11, 1000, 0);
	c = add(&s, 2, 12, 1000, 0);
	d = add(&s, 3, 10, 300, 0);
	a->n_rows = b->n_rows = c->n_rows = 999;
	assert_int_equal(sched_plan(&s, 512, out), 4);
	assert_int_equal(a->n_new, 16 + 4);
	assert_int_equal(b->n_new, 8);
	assert_int_equal(c->n_new, 4);
	assert_int_equal(d->n_new, 300);
	for (uint32_t i = 0; i < 4; i++)
		sched_remove(&s, &items[i].seq);
	assert_int_equal(s.kv.n_free, 1000);
	sched_deinit(&s);
}

/* Who had to go is not shown again what was: it finds that, or computes it at once, and goes on where it was.
 */
static void test_rows_preempted(void **state)
{
	(void)state;
	enum { N_BLOCKS = 64, BEFORE = 320 };
	for (int finds = 0; finds < 2; finds++) {
		struct sched s;
		uint32_t taken[N_BLOCKS], n_taken = 0, n_seen = 0;
		start(&s, 2, N_BLOCKS);
		struct sched_seq *a = add(&s, 0, 0, 10, 0), *b = add(&s, 1, 1, 900, 0);
		b->n_rows = 899;
		b->hashes = finds ? b->hashes : NULL;
		while (b->n_shown < BEFORE)
			step(&s, 512);
		while (s.kv.n_free)
			taken[n_taken++] = kv_take(&s.kv);
		while (b->state == SCHED_RUNNING)
			step(&s, 512);
		assert_true(b->n_shown == BEFORE && b->n_done == 0 && a->state == SCHED_RUNNING);
		while (n_taken)
			kv_release(&s.kv, taken[--n_taken]);
		sched_plan(&s, 512, out);
		assert_int_equal(b->n_done, finds ? BEFORE : 0);
		assert_int_equal(b->n_new, finds ? 32 : BEFORE);
		assert_int_equal(sched_shows(b), finds);
		assert_int_equal(b->n_cached, 0); /* known to it alone */
		for (uint32_t i = 0; i < 2; i++) {
			sched_advance(&s, out[i]);
			if (out[i]->n_open)
				sched_fill(&s, out[i], 7);
		}
		for (n_seen = b->n_shown; n_seen < b->n_rows; n_seen = b->n_shown) {
			assert_int_equal(b->n_done, n_seen);
			step(&s, 512);
		}
		sched_deinit(&s);
	}
}

static void run_schedules(enum schedule_model which, uint64_t n_seeds)
{
	struct schedule_world *w = calloc(1, sizeof *w);
	uint64_t n = 0;
	schedule_open(w, which, "cpu");
	for (uint64_t seed = 0; seed < n_seeds; seed += small_step(SMALL_STEP), n++)
		schedule_run(w, &(struct dice){.seed = seed});
	print_message(
		"%s: %llu schedules: %llu steps of %llu sequences, %llu ended, %llu cancelled, %llu failed, "
		"%llu preempted, %llu blocks found, %llu evicted, %llu behind, %llu positions shown, "
		"%llu tokens forced, %llu waits for masks\n",
		schedule_shapes[which].name, (unsigned long long)n, (unsigned long long)w->sum.steps,
		(unsigned long long)w->sum.step_sequences, (unsigned long long)w->n_ended,
		(unsigned long long)w->n_cancelled, (unsigned long long)w->n_failed,
		(unsigned long long)w->sum.preempted, (unsigned long long)w->sum.cache_hits,
		(unsigned long long)w->sum.cache_evictions, (unsigned long long)w->n_left_behind,
		(unsigned long long)w->n_shown, (unsigned long long)w->n_forced,
		(unsigned long long)w->n_held);
	/* They did meet what they are for; a handful need not meet it often. */
	if (test_small() || which != SCHEDULE_PLAIN)
		n = 0;
	assert_true(w->n_ended > 5 * n);
	assert_true(which == SCHEDULE_PLAIN ? w->n_left_behind == 0 : w->n_left_behind > 10);
	if (which == SCHEDULE_PLAIN) {
		assert_true(w->n_cancelled > n && w->n_failed >= n && w->n_passed > n);
		assert_true(w->n_shown > 20 * n && w->n_forced > 5 * n && w->n_held > n);
		assert_true(w->sum.preempted > n / 4 && w->sum.cache_hits > n && w->sum.cache_evictions > n);
	}
	schedule_close(w);
	free(w);
}

static void test_schedules(void **state)
{
	(void)state;
	for (int which = 0; which < SCHEDULE_N_MODELS; which++)
		run_schedules(which, which == SCHEDULE_PLAIN ? N_SCHEDULES : N_SCHEDULES / 20);
}

/* One that is held computes all but its last id, and nobody waits for that; ids that were not drawn go into
 * one step with it. */
static void test_held(void **state)
{
	(void)state;
	struct sched s;
	start(&s, 4, 1000);
	struct sched_seq *a = add(&s, 0, 0, 64, 0), *b;
	a->held = true;
	assert_int_equal(sched_plan(&s, 100, out), 1);
	assert_int_equal(a->n_new, 63);
	assert_false(sched_draws(a));
	sched_advance(&s, a);
	assert_int_equal(sched_plan(&s, 100, out), 0); /* nothing is left to it */
	b = add(&s, 1, 0, 70, 0); /* the block that ends with a's last id is b's to compute */
	assert_int_equal(step(&s, 100), 1);
	assert_ptr_equal(out[0], b);
	assert_int_equal(b->n_done, 70);
	a->held = false;
	assert_int_equal(step(&s, 100), 2);
	assert_int_equal(a->n_done, 64);
	assert_int_equal(a->n_ids, 65); /* it drew */
	for (int32_t i = 0; i < 5; i++)
		sched_append(a, i);
	assert_int_equal(sched_plan(&s, 100, out), 2);
	assert_int_equal(a->n_new, 6);
	assert_true(sched_draws(a));
	sched_advance(&s, a);
	sched_fill(&s, a, 9);
	assert_int_equal(a->ids[70], 9);
	sched_deinit(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_budget),        cmocka_unit_test(test_order),
		cmocka_unit_test(test_no_starvation), cmocka_unit_test(test_preemption),
		cmocka_unit_test(test_shared),        cmocka_unit_test(test_compared),
		cmocka_unit_test(test_hash),          cmocka_unit_test(test_schedules),
		cmocka_unit_test(test_roots),         cmocka_unit_test(test_owners),
		cmocka_unit_test(test_rows),          cmocka_unit_test(test_rows_preempted),
		cmocka_unit_test(test_held),
	};
	return cmocka_run_group_tests_name("sched", tests, NULL, NULL);
}
