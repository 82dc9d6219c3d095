/*
 * A sequence's way through its shape: which tokens its next draw may give, and which must come next whatever
 * is drawn. Both are found out by the crew (crew.h) as soon as the token before is known, beside a step that
 * is under way; the engine's thread asks, goes on, and takes what was found.
 *
 *     walk_new -> walk_ask -> (walk_is_ready) -> walk_mask, walk_forced ... -> walk_took -> walk_ask ...
 *
 * Of the engine's thread but where a comment says otherwise.
 */
#ifndef ENGINE_WALK_H
#define ENGINE_WALK_H

#include "engine/shapes.h"

struct walk;

/* What the walks of an engine share. */
struct walks {
	struct shapes *shapes;
	uint32_t n_words; /* of a mask */
	bool ahead; /* they are made beside a step, by the crew; else the engine's thread helps at once */
	void (*on_ready)(void *user); /* on a thread of the crew, or on the engine's */
	void *user;
	atomic_uint n_brisk; /* asked for, and not ready: somebody is about to wait */
};

/* jumps: look for tokens that must come. answered: (n_answered) an answer that was begun elsewhere and goes
 * on. Any thread. INVALID_REQUEST: the answer does not fit the shape. OUT_OF_MEMORY. */
enum hokku_code walk_new(struct walks *all, struct constrain *shape, uint32_t owner, bool jumps,
			 const int32_t *answered, uint32_t n_answered, struct walk **out,
			 struct hokku_error *err);

/* Any thread, once nobody else knows it. NULL is allowed. */
void walk_free(struct walk *w);

/* Has the next mask made; token, unless it is negative, was drawn. */
void walk_ask(struct walk *w, int32_t token);

/* Is the mask that was asked for made? */
bool walk_is_ready(const struct walk *w);

/* It was asked for and may take long: nobody should wait for it. */
bool walk_is_slow(const struct walk *w);

/* Once ready. OK; or what the sequence has to end with. */
enum hokku_code walk_check(const struct walk *w, struct hokku_error *err);

/* Once ready: the tokens that may be drawn. Stands until the next walk_ask. */
const uint32_t *walk_mask(struct walk *w);

/* Once ready: tokens that must come now. */
uint32_t walk_forced(const struct walk *w, const int32_t **out);

/* The first of them has come, without being drawn. */
void walk_skip(struct walk *w);

/* The token was drawn. False: nothing is ready any more, walk_ask is to be called. */
bool walk_took(struct walk *w, int32_t token);

#endif
