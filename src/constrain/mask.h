/*
 * Masks: which tokens may come next in a state of a machine. Made by walking the vocabulary's tries with it;
 * remembered by state, the least recently used going where there are too many.
 *
 * Expressions in which most text may stand (strings) are not walked from each state anew. Which tokens lie
 * wholly inside one depends on the expression alone, and so does at which nodes of the tries it may have
 * ended (share.h); a state takes both and goes on from those nodes with what follows the expression there.
 */
#ifndef CONSTRAIN_MASK_H
#define CONSTRAIN_MASK_H

#include "constrain/machine.h"
#include "constrain/vocab.h"

struct mask_entry {
	uint32_t *bits; /* NULL: not used yet */
	state_id state;
	uint32_t newer, older; /* in the order of use; MASK_NONE: none */
};

enum { MASK_NONE = UINT32_MAX };

/* A node of a trie, entered with a state. */
struct mask_level {
	uint32_t end;
	state_id state;
};

struct share;
struct plain_steps;
struct plain_classes;

struct masks {
	const struct constrain_vocab *vocab;
	struct machine *machine;
	struct mask_entry *entries;
	uint32_t n, cap;
	uint32_t newest, oldest;
	struct mask_level *levels; /* as many as a trie is deep */
	uint64_t n_asked, n_found;

	struct share **shares; /* by expression, in buckets */
	size_t share_bytes, max_share_bytes;
	uint64_t clock;
	struct plain_steps *steps; /* a table */
	uint32_t n_steps, cap_steps;
	struct plain_classes **classes; /* by the number of a pool's classes; NULL: not asked for yet */
	uint32_t n_classes;
	size_t class_bytes;
	struct share_likes *likes;
	uint32_t *found; /* nodes at which an expression may end, while they are looked for */
};

/* max_bytes: of the masks that are remembered, at least one, and as much again of shares. False: no memory.
 */
bool masks_init(struct masks *m, const struct constrain_vocab *v, struct machine *machine, size_t max_bytes);
void masks_free(struct masks *m);
/* The machine's states and expressions have new numbers: all is forgotten. */
void masks_forget(struct masks *m);
size_t masks_bytes(const struct masks *m);

/* The tokens that may come in s, but for the ends. False: memory is used up, or they cost more than the
 * machine's question may. */
bool masks_get(struct masks *m, state_id s, uint32_t *bits);

#endif
