#include "engine/turns.h"

#include <stdlib.h>

#include "engine/sched.h"

/* ---- a list, the oldest first ---- */

static void list_insert(struct turns_list *list, struct sched_seq *seq)
{
	struct sched_seq *after = list->last;
	while (after && after->order > seq->order)
		after = after->prev;
	seq->prev = after;
	seq->next = after ? after->next : list->first;
	*(after ? &after->next : &list->first) = seq;
	*(seq->next ? &seq->next->prev : &list->last) = seq;
}

static void list_remove(struct turns_list *list, struct sched_seq *seq)
{
	*(seq->prev ? &seq->prev->next : &list->first) = seq->next;
	*(seq->next ? &seq->next->prev : &list->last) = seq->prev;
	seq->next = seq->prev = NULL;
}

/* ---- the ring of a priority's owners ---- */

static void ring_append(struct turns_priority *p, struct turns_queue *q)
{
	q->next = NULL;
	q->prev = p->last;
	*(p->last ? &p->last->next : &p->first) = q;
	p->last = q;
}

static void ring_remove(struct turns_priority *p, struct turns_queue *q)
{
	*(q->prev ? &q->prev->next : &p->first) = q->next;
	*(q->next ? &q->next->prev : &p->last) = q->prev;
	q->next = q->prev = NULL;
}

/* ---- whose turn ---- */

static bool may_run(const struct turns *t, uint32_t owner)
{
	return t->owners[owner].n_running < t->owners[owner].max_running;
}

/* The next of a priority; NULL: none of it may run. */
static struct sched_seq *first_of(const struct turns *t, const struct turns_priority *p)
{
	for (struct sched_seq *seq = p->again.first; seq; seq = seq->next)
		if (may_run(t, seq->owner))
			return seq;
	for (const struct turns_queue *q = p->first; q; q = q->next)
		if (may_run(t, q->owner))
			return q->list.first;
	return NULL;
}

struct sched_seq *turns_first(const struct turns *t)
{
	struct sched_seq *best = NULL;
	uint32_t most = 0;
	for (uint32_t i = 0; i < SCHED_N_PRIORITIES; i++) {
		const struct turns_priority *p = &t->priorities[i];
		bool due = p->n_passed >= SCHED_MAX_PASSED && p->n_passed > most;
		struct sched_seq *seq = !best || due ? first_of(t, p) : NULL;
		if (!seq)
			continue;
		best = seq;
		most = p->n_passed;
	}
	return best;
}

void turns_add(struct turns *t, struct sched_seq *seq)
{
	struct turns_priority *p = &t->priorities[seq->priority];
	struct turns_queue *q = &t->owners[seq->owner].queues[seq->priority];
	if (!seq->preempted && !q->list.first)
		ring_append(p, q);
	list_insert(seq->preempted ? &p->again : &q->list, seq);
	t->n_waiting++;
}

void turns_remove(struct turns *t, struct sched_seq *seq)
{
	struct turns_priority *p = &t->priorities[seq->priority];
	struct turns_queue *q = &t->owners[seq->owner].queues[seq->priority];
	list_remove(seq->preempted ? &p->again : &q->list, seq);
	if (!seq->preempted && !q->list.first)
		ring_remove(p, q);
	if (!p->first && !p->again.first)
		p->n_passed = 0;
	t->n_waiting--;
}

/* An admission: the others that could have gone have been passed, and the owner's next turn is after all
 * others'. */
static void take_turn(struct turns *t, const struct sched_seq *seq)
{
	struct turns_priority *own = &t->priorities[seq->priority];
	struct turns_queue *q = &t->owners[seq->owner].queues[seq->priority];
	for (struct turns_priority *p = t->priorities; p < t->priorities + SCHED_N_PRIORITIES; p++)
		if (p == own)
			p->n_passed = 0;
		else if (first_of(t, p))
			p->n_passed++;
	ring_remove(own, q);
	ring_append(own, q);
}

void turns_let_in(struct turns *t, struct sched_seq *seq)
{
	if (!seq->preempted)
		take_turn(t, seq);
	turns_remove(t, seq);
	t->owners[seq->owner].n_running++;
}

void turns_let_out(struct turns *t, const struct sched_seq *seq)
{
	t->owners[seq->owner].n_running--;
}

bool turns_init(struct turns *t, uint32_t n_owners)
{
	*t = (struct turns){.owners = calloc(n_owners, sizeof *t->owners), .n_owners = n_owners};
	for (uint32_t o = 0; t->owners && o < n_owners; o++) {
		t->owners[o].max_running = UINT32_MAX;
		for (uint32_t i = 0; i < SCHED_N_PRIORITIES; i++)
			t->owners[o].queues[i].owner = o;
	}
	return t->owners != NULL;
}

void turns_deinit(struct turns *t)
{
	free(t->owners);
	*t = (struct turns){0};
}
