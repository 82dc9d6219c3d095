#include "engine/walk.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum {
	MAX_FORCED = 256,  /* tokens that are found out at a time */
	SLOW_NS = 2000000, /* a mask that took so long: the next one may too */
};

enum walk_state {
	WALK_IDLE,  /* the engine's thread's */
	WALK_ASKED, /* the crew's */
	WALK_READY, /* the engine's thread's */
	WALK_LEFT,  /* the crew's, which frees it */
};

struct walk {
	struct crew_task task;
	struct walks *all;
	struct constrain *shape;
	struct constrain_walk *way;
	atomic_int state; /* whose all below is */
	bool jumps, slow, asked_before;
	int32_t token;           /* that came; negative: none */
	bool spent;              /* it cannot go on */
	bool strayed;            /* the token is none that may come */
	uint32_t n_forced, next; /* of forced the first `next` have come */
	int32_t forced[MAX_FORCED];
	uint32_t *mask; /* (n_words) for what comes after all of forced */
	uint32_t *one;  /* (n_words) of a forced token */
};

static void destroy(struct walk *w)
{
	constrain_end(w->way);
	constrain_unref(w->shape);
	free(w->mask);
	free(w);
}

/* ---- the crew's part ---- */

static struct walk *walk_of(struct crew_task *task)
{
	return (struct walk *)((char *)task - offsetof(struct walk, task));
}

/* Takes the token, then those that must come, and makes the mask of what comes then. */
static enum constrain_taken go_on(struct walk *w)
{
	enum constrain_taken taken = w->token < 0 ? CONSTRAIN_TAKEN : constrain_take(w->way, w->token);
	size_t n = w->jumps && taken == CONSTRAIN_TAKEN ? constrain_forced(w->way, w->forced, MAX_FORCED) : 0;
	while (w->n_forced < n && taken == CONSTRAIN_TAKEN)
		taken = constrain_take(w->way, w->forced[w->n_forced++]);
	if (taken == CONSTRAIN_DONE && w->n_forced)
		return CONSTRAIN_TAKEN; /* an end must come, and nothing after it */
	return taken == CONSTRAIN_TAKEN ? constrain_mask(w->way, w->mask) : taken;
}

static void run(struct crew_task *task)
{
	struct walk *w = walk_of(task);
	struct walks *all = w->all;
	bool brisk = !task->patient;
	int asked = WALK_ASKED;
	uint64_t begin = clock_ns();
	w->n_forced = w->next = 0;
	enum constrain_taken taken = go_on(w);
	w->spent = taken == CONSTRAIN_SPENT;
	w->strayed = taken == CONSTRAIN_REFUSED || taken == CONSTRAIN_DONE;
	w->slow = clock_ns() - begin > SLOW_NS;
	atomic_fetch_add(&shapes_counts(all->shapes)->masks_made, 1);
	if (!atomic_compare_exchange_strong(&w->state, &asked, WALK_READY))
		destroy(w);
	if (brisk)
		atomic_fetch_sub(&all->n_brisk, 1);
	all->on_ready(all->user);
}

/* ---- the engine's ---- */

/* Tokens that came elsewhere. */
static enum hokku_code replay(struct walk *w, const int32_t *ids, uint32_t n, struct hokku_error *err)
{
	for (uint32_t i = 0; i < n; i++) {
		enum constrain_taken taken = constrain_take(w->way, ids[i]);
		if (taken != CONSTRAIN_TAKEN)
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "the answer that is to go on does not fit its shape: token %u of it, "
				       "%d, %s",
				       i, ids[i],
				       taken == CONSTRAIN_SPENT ? "takes more work than a shape may"
								: "is none that may come there");
	}
	return HOKKU_OK;
}

enum hokku_code walk_new(struct walks *all, struct constrain *shape, uint32_t owner, bool jumps,
			 const int32_t *answered, uint32_t n_answered, struct walk **out,
			 struct hokku_error *err)
{
	struct walk *w = calloc(1, sizeof *w);
	*out = NULL;
	if (!w)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for an answer of a given shape");
	constrain_ref(shape);
	*w = (struct walk){.task = {.run = run, .owner = owner}, .all = all, .shape = shape, .jumps = jumps};
	w->mask = calloc(2, all->n_words * sizeof *w->mask);
	w->way = constrain_begin(shape);
	if (!w->mask || !w->way) {
		destroy(w);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for an answer of a given shape");
	}
	w->one = w->mask + all->n_words;
	enum hokku_code rc = replay(w, answered, n_answered, err);
	if (rc)
		destroy(w);
	else
		*out = w;
	return rc;
}

void walk_free(struct walk *w)
{
	if (!w)
		return;
	int asked = WALK_ASKED;
	if (atomic_load(&w->state) == WALK_ASKED) {
		bool brisk = !w->task.patient;
		struct walks *all = w->all;
		if (crew_remove(shapes_crew(all->shapes), &w->task)) {
			if (brisk)
				atomic_fetch_sub(&all->n_brisk, 1);
		} else if (atomic_compare_exchange_strong(&w->state, &asked, WALK_LEFT)) {
			return;
		}
	}
	destroy(w);
}

void walk_ask(struct walk *w, int32_t token)
{
	w->token = token;
	/* The first is asked for before its prompt is computed. */
	w->task.patient = w->slow || !w->asked_before;
	w->asked_before = true;
	if (!w->task.patient)
		atomic_fetch_add(&w->all->n_brisk, 1);
	atomic_store(&w->state, WALK_ASKED);
	crew_submit(shapes_crew(w->all->shapes), &w->task, !w->all->ahead);
}

bool walk_is_ready(const struct walk *w)
{
	return atomic_load(&w->state) == WALK_READY;
}

bool walk_is_slow(const struct walk *w)
{
	return w->task.patient;
}

enum hokku_code walk_check(const struct walk *w, struct hokku_error *err)
{
	if (w->spent)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "the answer's shape has used up the work or memory that one shape may take; "
			       "what has come so far is the beginning of an answer of that shape");
	if (w->strayed)
		return err_set(err, HOKKU_INTERNAL,
			       "token %d was drawn, which the answer's shape does not allow", w->token);
	return HOKKU_OK;
}

const uint32_t *walk_mask(struct walk *w)
{
	if (w->next == w->n_forced)
		return w->mask;
	uint32_t id = (uint32_t)w->forced[w->next];
	memset(w->one, 0, w->all->n_words * sizeof *w->one);
	w->one[id / 32] = 1u << id % 32;
	return w->one;
}

uint32_t walk_forced(const struct walk *w, const int32_t **out)
{
	*out = w->forced + w->next;
	return w->n_forced - w->next;
}

void walk_skip(struct walk *w)
{
	w->next++;
	atomic_fetch_add(&shapes_counts(w->all->shapes)->tokens_forced, 1);
}

bool walk_took(struct walk *w, int32_t token)
{
	if (w->next == w->n_forced)
		return false;
	w->strayed = token != w->forced[w->next];
	w->token = token;
	w->next++;
	return true;
}
