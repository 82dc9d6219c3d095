/*
 * Who waits, and whose turn it is: the part of the scheduler's policy (sched.h) that says which sequence gets
 * a place next. Pure lists over the caller's sequences; nothing is allocated after turns_init.
 *
 * - A better priority goes first; one that has been passed over SCHED_MAX_PASSED times in a row is due before
 *   all that are not.
 * - Within a priority the owners take turns, a sequence each; within an owner it is first come, first served.
 *   An owner that runs as many as it may keeps its place in the ring and is passed over meanwhile.
 * - Who was let in before and had to go (preempted) takes no turn: it goes before the others of its priority,
 *   the oldest first, and is no admission in what follows.
 *
 * The bound. Of m owners that wait in a priority, a sequence with j before it of its own owner has
 * k = (j + 1) m - 1 before it in that priority at most, and is passed by (k + 1) (SCHED_MAX_PASSED +
 * SCHED_N_PRIORITIES - 2) sequences of other priorities at most. So the only one that an owner has waits for
 * one of each other owner's, however many these have.
 */
#ifndef ENGINE_TURNS_H
#define ENGINE_TURNS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	SCHED_N_PRIORITIES = 4, /* 0 goes first */
	SCHED_MAX_PASSED = 32,  /* times that a priority with one that could go is passed over in a row */
};

struct sched_seq;

struct turns_list {
	struct sched_seq *first, *last;
};

/* Those of an owner that wait in a priority: a link of the ring, while there are any. */
struct turns_queue {
	struct turns_list list;
	struct turns_queue *next, *prev;
	uint32_t owner;
};

struct turns_priority {
	struct turns_list again;          /* preempted ones, the oldest first */
	struct turns_queue *first, *last; /* the owners, in the order of their turns */
	uint32_t n_passed; /* admissions of others since one of these was, while one could go */
};

struct turns_owner {
	uint32_t max_running;         /* UINT32_MAX: no limit */
	uint32_t n_running, n_ranked; /* the latter: sched.c's, while it shares a step */
	struct turns_queue queues[SCHED_N_PRIORITIES];
};

struct turns {
	struct turns_owner *owners; /* (n_owners) */
	uint32_t n_owners, n_waiting;
	struct turns_priority priorities[SCHED_N_PRIORITIES];
};

/* Owners 0 to n_owners - 1, without limits. False: no memory. */
bool turns_init(struct turns *t, uint32_t n_owners);
void turns_deinit(struct turns *t);

/* seq, whose owner and priority there are, waits: behind its owner's others, or where it was preempted before
 * all that came later. */
void turns_add(struct turns *t, struct sched_seq *seq);

/* One that waits does so no longer, and nobody is passed by it. */
void turns_remove(struct turns *t, struct sched_seq *seq);

/* Whose turn it is; NULL: nobody waits that may run. */
struct sched_seq *turns_first(const struct turns *t);

/* What turns_first gave has its turn, and runs. */
void turns_let_in(struct turns *t, struct sched_seq *seq);

/* One that ran does so no longer. */
void turns_let_out(struct turns *t, const struct sched_seq *seq);

#endif
