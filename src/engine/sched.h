/*
 * Which sequences take part in the next step, and with how many tokens. Pure policy over plain data: no
 * clock, no lock, no input or output, no random number; a test can drive it with any schedule.
 *
 *     sched_add ... -> sched_plan -> (submit) -> sched_advance each -> (collect) -> sched_fill each that drew
 *
 * A step may be planned while the one before is under way: the token that it draws has its place in the
 * sequence from sched_advance on, and its id from sched_fill.
 *
 * - A sequence waits until it gets one of n_seqs places. A better priority goes first, within a priority the
 *   owners take turns, and within an owner it is first come, first served: turns.h says how, and how long the
 *   longest wait is. An owner may have a limit of its own of sequences that run.
 * - In a step those that decode have a token each. The rest of a budget of tokens goes to prompts: half of it
 *   to the oldest, half of what remains to the next, and so on, the oldest of each owner before the second of
 *   any; what they do not need, to the oldest again.
 * - Blocks of KV are taken as positions need them, the oldest sequence first. Where none is free, the
 * sequence that came last gives all of its own back and waits again, in its old rank; it is computed anew
 * later. The oldest always goes on, so that everything ends.
 * - Full blocks are found again by their ids (kv.h). A prompt whose next block is being computed by an older
 *   one waits for it, so that a shared beginning is computed once.
 * - Positions whose logits are wanted are computed, though others hold their blocks, and SCHED_MAX_ROWS of a
 *   step at most: half of those to the first prompt that wants any, half of what remains to the next, and so
 *   on; what they leave, to the oldest. None is shown twice.
 * - In a KV group with a window a sequence gives back what lies wholly behind the window of the block that it
 * has come to, and names COMPUTE_NO_BLOCK there. What is found ends where every group has what the next token
 * sees.
 *
 * Bits never depend on any of this (compute.h), so a plan can be good or bad but not wrong.
 */
#ifndef ENGINE_SCHED_H
#define ENGINE_SCHED_H

#include "engine/miss.h"
#include "engine/turns.h"

enum {
	SCHED_MIN_PROMPT =
		16,          /* prompt tokens of a step at least, or the whole budget: however many decode */
	SCHED_MAX_ROWS = 32, /* positions of a step at most whose logits are wanted */
};

enum sched_state { SCHED_OUT, SCHED_WAITING, SCHED_RUNNING };

/* One sequence: the caller fills the first part and keeps the memory. */
struct sched_seq {
	int32_t *ids; /* (n_ids) prompt and answer so far, with room for n_most */
	uint32_t n_ids, n_prompt;
	uint32_t n_most;  /* ids at most: the last of them is drawn, and nothing after it */
	uint64_t *hashes; /* room for one a full block; NULL: no block of it is found or kept */
	uint64_t root;    /* 0 or KV_ROOT and more: blocks are shared by those of one root */
	uint32_t priority, owner;
	uint32_t n_rows; /* its first positions, fewer than n_prompt, whose logits are wanted */

	struct cache_miss *miss; /* NULL, or where it is told why no more was found, before its first step */
	bool held;               /* it draws nothing now: its last id goes into no step */

	/* The scheduler's. */
	enum sched_state state;
	uint32_t n_open;   /* the last ids, which steps under way draw */
	uint32_t n_new;    /* tokens in this step, from n_done on */
	uint32_t n_done;   /* positions that its blocks hold */
	uint32_t *blocks;  /* (n_blocks) while it runs: a table a KV group, `pitch` of struct sched apart */
	uint32_t *leading; /* (n_blocks) those of them that lead, or `names` */
	uint32_t n_blocks;
	uint32_t n_left[MODEL_MAX_KV_GROUPS]; /* of each group beside the first blocks, which it holds no more
					       */
	uint32_t n_cached;                    /* prompt tokens that were found and not computed */
	uint32_t n_hashed;                    /* hashes made */
	uint32_t n_kept;  /* full blocks that can be found, or were held up against one that could */
	uint32_t n_shown; /* of n_rows those that went into steps which showed them */
	bool preempted;   /* once at least */
	uint32_t slot;
	uint32_t rank;                 /* of a prompt in this step: older ones of its owner */
	uint64_t order;                /* of arrival */
	struct sched_seq *next, *prev; /* turns.h's, while it waits */
};

/* What is counted: one row each, shown by the server. */
#define SCHED_COUNTERS(X)                                                                                  \
	X(steps, "steps of the model")                                                                     \
	X(step_sequences, "sequences of these steps, added up")                                            \
	X(prompt_tokens_computed, "tokens that went into steps to fill KV memory, drawn ones not counted") \
	X(preempted, "times that a sequence gave its KV blocks back to be computed again later")           \
	X(cache_queries, "whole blocks of prompts that were looked for")                                   \
	X(cache_hits, "of these those that were found")                                                    \
	X(cache_evictions, "blocks that could have been found and were taken for something else")

struct sched_counters {
#define SCHED_X(name, text) uint64_t name;
	SCHED_COUNTERS(SCHED_X)
#undef SCHED_X
};

struct sched {
	struct kv_pool kv;     /* all blocks */
	struct kv_pool names;  /* where each KV group has a window: what leads (kv.h) */
	struct kv_pool *lead;  /* kv or names */
	uint32_t first_beside; /* 1: group 0 leads, and those from 1 on are beside; 0: all are */
	uint32_t n_seqs, n_ctx, n_batch, n_groups;
	uint32_t n_tables;          /* of a sequence: n_groups, and one more where no group leads */
	uint32_t pitch;             /* blocks of a context */
	uint32_t *tables;           /* (n_seqs, n_tables, pitch) */
	uint32_t *found;            /* (pitch) of one that looks for what is known */
	uint32_t *slots;            /* (n_seqs - n_running) free ones */
	struct sched_seq **running; /* (n_running) the oldest first */
	uint32_t n_running;
	uint32_t rows_left; /* of SCHED_MAX_ROWS, while a step is shared */
	struct turns waiting;
	uint64_t last_order;
	struct sched_counters counters;
};

struct sched_params {
	uint32_t n_seqs, n_ctx;
	uint32_t n_batch;  /* most tokens of a step; at least n_seqs + SCHED_MIN_PROMPT */
	uint32_t n_groups; /* KV groups of the model */
	uint32_t n_blocks; /* at least those that the longest sequence holds: kv_blocks_most of each group */
	uint32_t windows[MODEL_MAX_KV_GROUPS]; /* (n_groups) 0: none; if one has none, the first */
	uint32_t n_owners;                     /* beside owner 0 */
};

/* False: no memory. */
bool sched_init(struct sched *s, const struct sched_params *p);
void sched_deinit(struct sched *s);

/* Of an owner's sequences n may run at a time, at least one; more wait. */
void sched_limit(struct sched *s, uint32_t owner, uint32_t n);

/* A new sequence, of 1 to n_ctx ids, waits. */
void sched_add(struct sched *s, struct sched_seq *seq);

/* It has ended, or must: whatever it does, it is out and its blocks are released. Never between a plan and
 * the step's sched_advance of the same sequence, but in its place. What a step under way does to its blocks
 * is of the past for every step that is submitted later. */
void sched_remove(struct sched *s, struct sched_seq *seq);

/* The next step: sequences with n_new tokens each, the oldest first, into out (n_seqs). Those whose tokens
 * end with their last id (sched_draws) draw. budget: of tokens in all; it is kept where it can be. 0 only if
 * there are no sequences at all, or all that there are wait for steps under way, or for those that are held.
 */
uint32_t sched_plan(struct sched *s, uint32_t budget, struct sched_seq **out);

/* Between plan and advance: do its new tokens end with its last id? */
static inline bool sched_draws(const struct sched_seq *seq)
{
	return seq->n_done + seq->n_new == seq->n_ids;
}

/* Then too: are the logits of its new tokens wanted? If so of all of them, though the last may be one that
 * none are wanted of. */
static inline bool sched_shows(const struct sched_seq *seq)
{
	return seq->n_shown < seq->n_rows && seq->n_done >= seq->n_shown;
}

/* The step that puts seq's new tokens into its blocks is submitted; if it draws, an open id is added. */
void sched_advance(struct sched *s, struct sched_seq *seq);

/* Blocks that those who run are about to take: for their present ids, and one more in each group. */
uint64_t sched_promised(const struct sched *s);

/* The first of seq's open ids is this. Whether it goes on is the caller's to say. */
void sched_fill(struct sched *s, struct sched_seq *seq, int32_t token);

/* seq, which has no open id, goes on with this one, though it was not drawn. Fewer than n_most are there. */
void sched_append(struct sched_seq *seq, int32_t token);

/* The device lost what blocks hold: nothing of it is found any more. All that run, and all with open ids,
 * must be removed. */
void sched_forget(struct sched *s);

#endif
