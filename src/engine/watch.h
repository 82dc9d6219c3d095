/*
 * Notices that the engine does not come round: a step that never ends, a device that does not answer a check.
 *
 * The engine's thread says when a turn of its loop begins, what step it carries out, and when it has nothing
 * to do. Whoever watches reads that with no lock at all, so that nothing the thread may hold can keep him
 * from seeing it. He counts the time himself, by his own looks: a process that was stopped as a whole
 * (SIGSTOP, a paused machine) has a watchdog that did not look either, and no alarm comes of it.
 */
#ifndef ENGINE_WATCH_H
#define ENGINE_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { WATCH_MAX_GAP_MS = 1000 }; /* most that counts between two looks */

/* The engine's thread writes, anybody reads. */
struct watch_turn {
	_Atomic uint64_t since_ns;    /* the turn's beginning; 0: there is nothing to do */
	atomic_uint n_seqs, n_tokens; /* of its step; 0: none has begun in it */
};

/* By the engine's thread: a turn begins; a step of it with so many sequences and tokens; there is nothing to
 * do. */
void watch_begin_turn(struct watch_turn *t);
void watch_begin_step(struct watch_turn *t, uint32_t n_seqs, uint32_t n_tokens);
void watch_rest(struct watch_turn *t);

/* A watchdog; its owner's alone. */
struct watchdog {
	uint64_t limit_ns; /* a turn that takes so long is stuck; 0: none ever is */
	uint64_t turn_ns;  /* since_ns of the turn that was seen last */
	uint64_t looked_ns;
	uint64_t seen_ns; /* for how long that turn has been seen */
	uint32_t n_seqs, n_tokens;
};

/* limit_s: seconds after which a turn is stuck. */
void watchdog_init(struct watchdog *w, double limit_s);

/* To be called often. True: the turn is stuck. */
bool watchdog_look(struct watchdog *w, const struct watch_turn *t, uint64_t now_ns);

/* As the last look found it. */
bool watchdog_is_stuck(const struct watchdog *w);
double watchdog_seen_s(const struct watchdog *w);

/* "a step of 3 sequences with 80 tokens has not ended for 301.2 s" */
void watchdog_describe(const struct watchdog *w, char out[128]);

#endif
