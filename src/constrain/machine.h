/*
 * A sealed grammar read a byte at a time. A state is the set of all ways in which what was read can be the
 * beginning of a text: pairs of a set of configurations (an expression that is being read, the place after
 * it) and the callers of the rule that these belong to. Everything is found again by its content, so equal
 * states have equal numbers, and what follows a state is remembered by number.
 *
 * No state but the dead one is without a text that completes it. Not thread-safe.
 */
#ifndef CONSTRAIN_MACHINE_H
#define CONSTRAIN_MACHINE_H

#include "constrain/grammar_internal.h"
#include "constrain/lists.h"

typedef uint32_t state_id;

enum {
	STATE_DEAD = 0,
	STATE_FAILED = UINT32_MAX, /* memory or work is used up */
	STATE_UNSET = UINT32_MAX - 1,
	PLACE_ACCEPT = UINT32_MAX, /* stands among callers: the whole text may end */
};

struct machine_state {
	uint32_t classes; /* of bytes after which the same state follows */
	uint32_t row;     /* of the states that follow, by class; 0: none yet */
	bool may_end;
	bool reads, names; /* something of bytes may come; a token by itself may */
	uint8_t n_next;    /* of the bytes that may come: 0, 1, 2: more; 255: not counted yet */
	uint8_t next;      /* the one */
	uint32_t mask;     /* where its mask is remembered, + 1; 0: nowhere */
	uint32_t weight;   /* ways that it holds: what it costs to make, whoever has made it */
	uint32_t seen;     /* by the question that was asked last with this number */
};

/* A place that was come to, of a rule with these callers. */
struct reached {
	place_id place;
	uint32_t callers;
};

struct machine {
	struct grammar *grammar; /* not owned */
	struct rx_pool *pool;    /* the grammar's */
	struct lists configs;    /* D: expression, place; expression, place; ... in order */
	struct lists callers;    /* N: place, callers; place, callers; ... in order */
	struct lists contents;   /* of states: may_end, then D, N; D, N; ... in the order of N */
	struct machine_state *states;
	uint32_t n_states, cap_states;
	state_id *rows;
	uint32_t n_rows, cap_rows;
	struct lists reached;     /* (place, callers) for which there is a state */
	state_id *reached_states; /* by number */
	uint32_t n_reached_states, cap_reached_states;

	/* Of the step that is being made. */
	struct machine_item *items;
	uint32_t n_items, cap_items;
	struct reached *todo;
	uint32_t n_todo, cap_todo;
	struct machine_call *calls;
	uint32_t n_calls, cap_calls;
	uint32_t *list;
	uint32_t n_list, cap_list;
	struct machine_seen *seen; /* a table */
	uint32_t n_seen, cap_seen;
	uint32_t step;
	bool may_end;

	/*
	 * What a question costs: counted by what it looks at, not by what has to be made, so that the answer
	 * is the same whatever others have asked before.
	 */
	uint64_t cost, max_cost;
	uint32_t question;
};

/* A question begins, which may cost so much. */
void machine_ask(struct machine *m, uint64_t max_cost);

static inline bool machine_pay(struct machine *m, uint64_t cost)
{
	m->cost += cost;
	return m->cost <= m->max_cost;
}

static inline bool machine_paid(const struct machine *m)
{
	return m->cost <= m->max_cost;
}

/* The question looks at s: false: that was too much. */
static inline bool machine_see(struct machine *m, state_id s)
{
	enum { STEPS = 4 }; /* for each way */
	struct machine_state *x = &m->states[s];
	if (x->seen == m->question)
		return true;
	x->seen = m->question;
	return machine_pay(m, (uint64_t)x->weight * STEPS);
}

/* grammar: sealed. False: no memory or past the pool's limits (machine_free all the same). */
bool machine_init(struct machine *m, struct grammar *grammar);
void machine_free(struct machine *m);

state_id machine_start(struct machine *m); /* STATE_FAILED */

/* The state after another byte: STATE_DEAD, or STATE_FAILED. */
state_id machine_step_slow(struct machine *m, state_id s, uint8_t byte);

static inline state_id machine_step(struct machine *m, state_id s, uint8_t byte)
{
	const struct machine_state *x = &m->states[s];
	if (x->row) {
		state_id next = m->rows[x->row + m->pool->classes[x->classes].of[byte]];
		if (next != STATE_UNSET)
			return next;
	}
	return machine_step_slow(m, s, byte);
}

/* Such a token of s. */
bool machine_names(const struct machine *m, state_id s, uint32_t token);
/* The state after it: where a token may come by itself, it is that and not its bytes. STATE_FAILED. */
state_id machine_token(struct machine *m, state_id s, uint32_t token);
/* Sets the bits of all of them. */
void machine_add_named(const struct machine *m, state_id s, uint32_t *bits);

/* The state of one place that was come to. */
state_id machine_reached(struct machine *m, place_id place, uint32_t callers);

/* s without what reads one of the n sorted expressions. */
state_id machine_without(struct machine *m, state_id s, const rx *sorted, uint32_t n_texts);

/* How many bytes may come: 0, 1 (*byte), 2: at least two; -1: failed. */
int machine_n_next(struct machine *m, state_id s, uint8_t *byte);
/* Which. False: failed. */
bool machine_next(struct machine *m, state_id s, uint64_t bytes[4]);

/*
 * Forgets all states but the n that are given, which get new numbers, and all expressions from base on (a
 * count of the pool's nodes and lists, taken when the grammar was sealed) that these do not need. For a pool
 * that is used up: it works again. False: no memory, and the machine is not to be used any more.
 */
bool machine_cut(struct machine *m, uint32_t base, uint32_t base_lists, state_id *const *states, uint32_t n);

#endif
