/* Whose turn it is: owners take turns within a priority, nobody waits longer than the stated bound, and an
 * owner at its limit keeps nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "engine/sched.h"
#include "small.h"

enum { N_OWNERS = 6, N_SEQS = 600 };

static struct sched_seq seqs[N_SEQS];
static uint64_t last_order;

static struct sched_seq *add(struct turns *t, uint32_t i, uint32_t owner, uint32_t priority)
{
	seqs[i] = (struct sched_seq){.owner = owner, .priority = priority, .order = ++last_order};
	turns_add(t, &seqs[i]);
	return &seqs[i];
}

/* The next one has its turn, and is over at once. */
static struct sched_seq *serve(struct turns *t)
{
	struct sched_seq *seq = turns_first(t);
	if (seq) {
		turns_let_in(t, seq);
		turns_let_out(t, seq);
	}
	return seq;
}

static void expect(struct turns *t, const uint32_t *wanted, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		assert_ptr_equal(serve(t), &seqs[wanted[i]]);
	assert_null(serve(t));
	assert_int_equal(t->n_waiting, 0);
}
#define EXPECT(t, ...) \
	expect(t, (uint32_t[]){__VA_ARGS__}, sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

/* 500 of one owner, then one of another: that is second. Then one at a time of each. */
static void test_many_and_one(void **state)
{
	(void)state;
	struct turns t;
	assert_true(turns_init(&t, N_OWNERS));
	for (uint32_t i = 0; i < 500; i++)
		add(&t, i, 1, 1);
	assert_ptr_equal(serve(&t), &seqs[0]);
	struct sched_seq *one = add(&t, 500, 2, 1);
	assert_ptr_equal(serve(&t), &seqs[1]);
	assert_ptr_equal(serve(&t), one);
	/* Of three others the one waits for one each. */
	add(&t, 501, 3, 1);
	add(&t, 502, 3, 1);
	add(&t, 503, 4, 1);
	add(&t, 504, 4, 1);
	one = add(&t, 505, 2, 1);
	assert_ptr_equal(serve(&t), &seqs[2]);
	assert_ptr_equal(serve(&t), &seqs[501]);
	assert_ptr_equal(serve(&t), &seqs[503]);
	assert_ptr_equal(serve(&t), one);
	assert_ptr_equal(serve(&t), &seqs[3]);
	assert_ptr_equal(serve(&t), &seqs[502]);
	assert_int_equal(t.n_waiting, 497);
	turns_deinit(&t);
}

/* First come, first served within an owner; a better priority goes first, whoever owns it; who leaves the
 * list takes nobody's turn. */
static void test_order(void **state)
{
	(void)state;
	struct turns t;
	assert_true(turns_init(&t, N_OWNERS));
	add(&t, 0, 1, 1);
	add(&t, 1, 1, 1);
	add(&t, 2, 1, 0);
	add(&t, 3, 2, 1);
	add(&t, 4, 1, 1);
	add(&t, 5, 0, 3);
	turns_remove(&t, add(&t, 6, 3, 1));
	turns_remove(&t, &seqs[1]);
	EXPECT(&t, 2, 0, 3, 4, 5);
	turns_deinit(&t);
}

/* Who had to go takes no turn, and goes before all that never ran; the oldest first. */
static void test_preempted(void **state)
{
	(void)state;
	struct turns t;
	assert_true(turns_init(&t, N_OWNERS));
	for (uint32_t i = 0; i < 5; i++)
		add(&t, i, 1 + i % 2, 1); /* 0 2 4 of owner 1; 1 3 of owner 2 */
	for (uint32_t i = 0; i < 3; i++)
		turns_let_in(&t, turns_first(&t));
	assert_int_equal(t.owners[1].n_running, 2);
	for (uint32_t i = 3; i-- > 1;) {
		turns_let_out(&t, &seqs[i]);
		seqs[i].preempted = true;
		turns_add(&t, &seqs[i]);
	}
	assert_ptr_equal(t.priorities[1].again.first, &seqs[1]);
	EXPECT(&t, 1, 2, 3, 4);
	turns_deinit(&t);
}

/* Limits at n - 1, n and n + 1; who is at its limit keeps nobody, keeps its turn, and is nobody's due. */
static void test_limit(void **state)
{
	(void)state;
	struct turns t;
	for (uint32_t limit = 1; limit <= 3; limit++) {
		assert_true(turns_init(&t, N_OWNERS));
		t.owners[1].max_running = limit;
		for (uint32_t i = 0; i < 5; i++)
			add(&t, i, 1, 0);
		for (uint32_t i = 0; i < limit; i++) {
			struct sched_seq *seq = turns_first(&t);
			assert_ptr_equal(seq, &seqs[i]);
			turns_let_in(&t, seq);
		}
		assert_null(turns_first(&t));
		/* The others go on, of a worse priority too, and in their own at once. */
		for (uint32_t i = 0; i < 100; i++) {
			add(&t, 10, 2, i % 4);
			assert_ptr_equal(serve(&t), &seqs[10]);
		}
		assert_int_equal(t.priorities[0].n_passed, 0);
		turns_let_out(&t, &seqs[0]);
		add(&t, 10, 2, 0);
		assert_ptr_equal(serve(&t), &seqs[limit]);
		assert_ptr_equal(serve(&t), limit < 4 ? &seqs[10] : NULL);
		/* Preempted at the limit: it waits for its own place too. */
		turns_let_out(&t, &seqs[limit - 1]);
		turns_deinit(&t);
	}
	assert_true(turns_init(&t, N_OWNERS));
	t.owners[1].max_running = 1;
	struct sched_seq *first = add(&t, 0, 1, 1), *second;
	turns_let_in(&t, first);
	turns_let_out(&t, first);
	first->preempted = true;
	turns_add(&t, first);
	second = add(&t, 1, 1, 0); /* better, and so before it */
	assert_ptr_equal(turns_first(&t), second);
	turns_let_in(&t, second);
	assert_null(turns_first(&t));
	add(&t, 2, 2, 1);
	assert_ptr_equal(serve(&t), &seqs[2]);
	turns_let_out(&t, second);
	EXPECT(&t, 0);
	turns_deinit(&t);
}

/* ---- the bound ---- */

/* A sequence's wait. */
struct wait {
	bool waits;
	uint32_t n_before;       /* of its own owner and priority, when it came */
	uint32_t owners;         /* that waited there meanwhile, a bit each */
	uint32_t n_own, n_other; /* by how many it was passed, of its priority and of others */
};
static struct wait waits[N_SEQS];

static uint32_t n_bits(uint32_t set)
{
	return (uint32_t)__builtin_popcount(set);
}

static void wait_begin(struct turns *t, uint32_t i, uint32_t owner, uint32_t priority)
{
	struct wait *w = &waits[i];
	*w = (struct wait){.waits = true, .owners = 1u << owner};
	for (uint32_t k = 0; k < N_SEQS; k++) {
		if (k == i || !waits[k].waits || seqs[k].priority != priority)
			continue;
		w->n_before += seqs[k].owner == owner;
		w->owners |= 1u << seqs[k].owner;
		waits[k].owners |= 1u << owner;
	}
	add(t, i, owner, priority);
}

/* seq was let in: was it in time, and whom has it passed? */
static void wait_end(const struct sched_seq *seq, uint32_t *most_own, uint32_t *most_other)
{
	struct wait *w = &waits[seq - seqs];
	uint32_t k = (w->n_before + 1) * n_bits(w->owners) - 1;
	assert_true(w->n_own <= k);
	assert_true(w->n_other <= (k + 1) * (SCHED_MAX_PASSED + SCHED_N_PRIORITIES - 2));
	*most_own = w->n_own == k && k > *most_own ? k : *most_own;
	*most_other = w->n_other > *most_other ? w->n_other : *most_other;
	w->waits = false;
	for (uint32_t i = 0; i < N_SEQS; i++) {
		if (!waits[i].waits)
			continue;
		waits[i].n_own += seqs[i].priority == seq->priority;
		waits[i].n_other += seqs[i].priority != seq->priority;
	}
}

/* Arrivals of all kinds, more than can be served for a while; every single wait keeps the bound, and some
 * reach it. */
static void test_bound(void **state)
{
	(void)state;
	uint32_t most_own = 0, most_other = 0;
	for (uint32_t seed = 0; seed < 60 / small_step(20); seed++) {
		struct turns t;
		uint64_t n_drawn = 0;
		assert_true(turns_init(&t, N_OWNERS));
		memset(waits, 0, sizeof waits);
		for (uint32_t turn = 0; turn < 1500; turn++) {
			for (uint32_t i = 0; i < 2 && turn < 1000; i++) {
				uint32_t words[4], at = 0;
				while (at < N_SEQS && waits[at].waits)
					at++;
				rng_words(seed, 1, n_drawn++, words);
				/* Some schedules crowd one owner, some one priority. */
				uint32_t owner = words[0] % (1 + seed % N_OWNERS);
				uint32_t priority = words[1] % (1 + words[2] % SCHED_N_PRIORITIES);
				if (at < N_SEQS && t.n_waiting < 40 + seed)
					wait_begin(&t, at, owner, priority);
			}
			struct sched_seq *seq = serve(&t);
			if (seq)
				wait_end(seq, &most_own, &most_other);
		}
		assert_int_equal(t.n_waiting, 0);
		turns_deinit(&t);
	}
	assert_true(most_own > 2 && most_other > SCHED_MAX_PASSED);
}

/* The worst there can be: all others always have one more, in every priority. */
static void test_worst(void **state)
{
	(void)state;
	struct turns t;
	assert_true(turns_init(&t, N_OWNERS));
	uint32_t at = 1, n_passed = 0, n_own = 0;
	for (uint32_t i = 0; i < 3 * (N_OWNERS - 1); i++, at++)
		add(&t, at, 1 + i % (N_OWNERS - 1), i % 3 + 1 == 3 ? 0 : i % 3 + 1);
	for (uint32_t owner = 1; owner < N_OWNERS; owner++, at++)
		add(&t, at, owner, 3);
	struct sched_seq *one = add(&t, 0, 0, 3), *seq;
	while ((seq = serve(&t)) != one) {
		n_passed += seq->priority != 3;
		n_own += seq->priority == 3;
		add(&t, (uint32_t)(seq - seqs), seq->owner, seq->priority);
	}
	assert_int_equal(n_own, N_OWNERS - 1);
	assert_true(n_passed <= N_OWNERS * (SCHED_MAX_PASSED + SCHED_N_PRIORITIES - 2));
	assert_true(n_passed >= N_OWNERS * SCHED_MAX_PASSED);
	turns_deinit(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_and_one), cmocka_unit_test(test_order),
		cmocka_unit_test(test_preempted),    cmocka_unit_test(test_limit),
		cmocka_unit_test(test_bound),        cmocka_unit_test(test_worst),
	};
	return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}
