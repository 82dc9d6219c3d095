#include "engine/watch.h"

#include <stdio.h>

#include "base/clock.h"

void watch_begin_turn(struct watch_turn *t)
{
	atomic_store_explicit(&t->n_seqs, 0, memory_order_relaxed);
	atomic_store_explicit(&t->n_tokens, 0, memory_order_relaxed);
	atomic_store(&t->since_ns, clock_ns());
}

void watch_begin_step(struct watch_turn *t, uint32_t n_seqs, uint32_t n_tokens)
{
	atomic_store_explicit(&t->n_tokens, n_tokens, memory_order_relaxed);
	atomic_store_explicit(&t->n_seqs, n_seqs, memory_order_relaxed);
}

void watch_rest(struct watch_turn *t)
{
	atomic_store(&t->since_ns, 0);
}

void watchdog_init(struct watchdog *w, double limit_s)
{
	*w = (struct watchdog){.limit_ns = (uint64_t)(limit_s * 1e9)};
}

bool watchdog_look(struct watchdog *w, const struct watch_turn *t, uint64_t now_ns)
{
	const uint64_t gap_most = WATCH_MAX_GAP_MS * 1000000ull;
	uint64_t turn = atomic_load(&t->since_ns);
	/* A turn that began since the last look has not lasted longer than that is ago. */
	uint64_t from = turn > w->looked_ns ? turn : w->looked_ns;
	uint64_t gap = now_ns > from ? now_ns - from : 0;
	if (turn != w->turn_ns)
		w->seen_ns = 0;
	if (turn)
		w->seen_ns += gap < gap_most ? gap : gap_most;
	w->turn_ns = turn;
	w->looked_ns = now_ns;
	w->n_seqs = atomic_load_explicit(&t->n_seqs, memory_order_relaxed);
	w->n_tokens = atomic_load_explicit(&t->n_tokens, memory_order_relaxed);
	return watchdog_is_stuck(w);
}

bool watchdog_is_stuck(const struct watchdog *w)
{
	return w->limit_ns && w->seen_ns >= w->limit_ns;
}

double watchdog_seen_s(const struct watchdog *w)
{
	return (double)w->seen_ns * 1e-9;
}

void watchdog_describe(const struct watchdog *w, char out[128])
{
	double s = watchdog_seen_s(w);
	if (w->n_seqs)
		snprintf(out, 128, "a step of %u sequence%s with %u token%s has not ended for %.1f s",
			 w->n_seqs, w->n_seqs == 1 ? "" : "s", w->n_tokens, w->n_tokens == 1 ? "" : "s", s);
	else
		snprintf(out, 128, "the engine has not come round for %.1f s, outside of any step", s);
}
