#include "constrain/mask.h"

#include <stdlib.h>
#include <string.h>

#include "constrain/share.h"

enum { MAX_SHARED = 256 }; /* expressions of one state */

bool masks_init(struct masks *m, const struct constrain_vocab *v, struct machine *machine, size_t max_bytes)
{
	size_t one = v->n_words * sizeof(uint32_t) + sizeof(struct mask_entry);
	uint32_t depth = v->plain.depth > v->other.depth ? v->plain.depth : v->other.depth;
	memset(m, 0, sizeof *m);
	m->vocab = v;
	m->machine = machine;
	m->newest = m->oldest = MASK_NONE;
	m->max_share_bytes = max_bytes;
	m->cap = max_bytes / one > 65536 ? 65536 : (uint32_t)(max_bytes / one);
	if (m->cap == 0)
		m->cap = 1;
	m->entries = calloc(m->cap, sizeof *m->entries);
	m->levels = malloc(((size_t)depth + 2) * sizeof *m->levels);
	return m->entries && m->levels;
}

void masks_free(struct masks *m)
{
	for (uint32_t i = 0; i < m->n; i++)
		free(m->entries[i].bits);
	shares_free(m);
	free(m->entries);
	free(m->levels);
}

void masks_forget(struct masks *m)
{
	for (uint32_t i = 0; i < m->n; i++)
		m->entries[i].state = STATE_DEAD;
	shares_clear(m);
}

size_t masks_bytes(const struct masks *m)
{
	return m->n * (m->vocab->n_words * sizeof(uint32_t)) + m->cap * sizeof *m->entries + m->share_bytes +
	       m->class_bytes + share_likes_bytes(m);
}

/* ---- remembering ---- */

static void unlink_entry(struct masks *m, uint32_t i)
{
	struct mask_entry *e = &m->entries[i];
	if (e->newer == MASK_NONE)
		m->newest = e->older;
	else
		m->entries[e->newer].older = e->older;
	if (e->older == MASK_NONE)
		m->oldest = e->newer;
	else
		m->entries[e->older].newer = e->newer;
}

static void link_newest(struct masks *m, uint32_t i)
{
	m->entries[i].newer = MASK_NONE;
	m->entries[i].older = m->newest;
	if (m->newest == MASK_NONE)
		m->oldest = i;
	else
		m->entries[m->newest].newer = i;
	m->newest = i;
}

/* An entry for s, empty: a new one or that which was not used for longest. NULL: no memory. */
static struct mask_entry *take_entry(struct masks *m, state_id s)
{
	uint32_t i = m->n;
	if (m->n < m->cap) {
		m->entries[i].bits = malloc(m->vocab->n_words * sizeof *m->entries[i].bits);
		if (!m->entries[i].bits)
			return NULL;
		m->n++;
	} else {
		i = m->oldest;
		unlink_entry(m, i);
		if (m->entries[i].state != STATE_DEAD)
			m->machine->states[m->entries[i].state].mask = 0;
	}
	m->entries[i].state = s;
	m->machine->states[s].mask = i + 1;
	link_newest(m, i);
	return &m->entries[i];
}

/* ---- making ---- */

static inline void set_bit(uint32_t *bits, uint32_t i)
{
	bits[i / 32] |= UINT32_C(1) << i % 32;
}

/* All tokens below a node to which s was read. */
static bool walk_below(struct masks *m, const struct vocab_trie *t, uint32_t node, state_id s, uint32_t *bits)
{
	struct machine *machine = m->machine;
	uint32_t end = t->end[node];
	struct mask_level *top = m->levels;
	uint64_t visited = 0;
	*top = (struct mask_level){end, s};
	for (uint32_t i = node + 1; i < end;) {
		while (i >= top->end)
			top--;
		visited++;
		state_id next = machine_step(machine, top->state, t->byte[i]);
		if (next == STATE_DEAD) {
			i = t->end[i];
			continue;
		}
		if (next == STATE_FAILED || !machine_see(machine, next))
			return false;
		for (uint32_t k = t->tokens[i]; k < t->tokens[i + 1]; k++)
			set_bit(bits, t->ids[k]);
		if (t->end[i] > i + 1)
			*++top = (struct mask_level){t->end[i], next};
		i++;
	}
	return machine_pay(machine, visited / 16);
}

enum share_answer { SHARED, NOT_SHARED, FAILED };

/* The tokens that an expression takes, and those that go on at the place behind it. */
static enum share_answer take_share(struct masks *m, rx text, struct reached behind, uint32_t *bits)
{
	const struct constrain_vocab *v = m->vocab;
	state_id after = machine_reached(m->machine, behind.place, behind.callers);
	if (after == STATE_FAILED || !machine_see(m->machine, after) ||
	    !machine_pay(m->machine, (uint64_t)(v->plain.n + v->other.n) / 512))
		return FAILED;
	const struct share *sh = share_get(m, text, !m->machine->states[after].reads);
	if (!sh)
		return FAILED;
	if (sh->too_wide)
		return NOT_SHARED;
	for (uint32_t i = 0; i < v->n_words; i++)
		bits[i] |= sh->inside[i];
	for (uint32_t i = 0; i < sh->n_exits; i++)
		if (!walk_below(m, sh->exits[i].other ? &v->other : &v->plain, sh->exits[i].node, after,
				bits))
			return FAILED;
	return SHARED;
}

static int compare_texts(const void *a, const void *b)
{
	const rx *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* Expressions of one state, by what became of them. */
struct parted {
	rx shared[MAX_SHARED], walked[MAX_SHARED];
	uint32_t n_shared, n_walked;
};

/* Takes the shares of s. False: failed. */
static bool take_shares(struct masks *m, state_id s, uint32_t *bits, struct parted *p)
{
	struct machine *machine = m->machine;
	uint32_t n, n_configs;
	lists_get(&machine->contents, s, &n);
	for (uint32_t i = 1; i < n; i += 2) { /* lists may move while there are new ones */
		uint32_t configs = lists_get(&machine->contents, s, &n)[i];
		uint32_t callers = lists_get(&machine->contents, s, &n)[i + 1];
		lists_get(&machine->configs, configs, &n_configs);
		for (uint32_t c = 0; c < n_configs; c += 2) {
			const uint32_t *config = lists_get(&machine->configs, configs, &n_configs) + c;
			rx text = config[0];
			if (!share_is_wide(m, text))
				continue;
			if (p->n_shared == MAX_SHARED || p->n_walked == MAX_SHARED) {
				p->n_shared = 0; /* too many: all are walked */
				return true;
			}
			enum share_answer answer =
				take_share(m, text, (struct reached){config[1], callers}, bits);
			if (answer == FAILED)
				return false;
			if (answer == SHARED)
				p->shared[p->n_shared++] = text;
			else
				p->walked[p->n_walked++] = text;
		}
	}
	/* One that stands at several places is left out of the walk if it was shared at all of them. */
	uint32_t kept = 0;
	for (uint32_t i = 0, k; i < p->n_shared; i++) {
		for (k = 0; k < p->n_walked && p->walked[k] != p->shared[i]; k++)
			;
		if (k == p->n_walked)
			p->shared[kept++] = p->shared[i];
	}
	p->n_shared = kept;
	qsort(p->shared, p->n_shared, sizeof *p->shared, compare_texts);
	return true;
}

static bool make(struct masks *m, state_id s, uint32_t *bits)
{
	struct parted p;
	p.n_shared = p.n_walked = 0;
	memset(bits, 0, m->vocab->n_words * sizeof *bits);
	if (m->machine->states[s].names)
		machine_add_named(m->machine, s, bits);
	if (!take_shares(m, s, bits, &p))
		return false;
	state_id rest = p.n_shared ? machine_without(m->machine, s, p.shared, p.n_shared) : s;
	if (rest == STATE_FAILED || !machine_see(m->machine, rest))
		return false;
	return !m->machine->states[rest].reads || (walk_below(m, &m->vocab->plain, 0, rest, bits) &&
						   walk_below(m, &m->vocab->other, 0, rest, bits));
}

bool masks_get(struct masks *m, state_id s, uint32_t *bits)
{
	uint32_t at = m->machine->states[s].mask;
	m->n_asked++;
	if (at) {
		m->n_found++;
		memcpy(bits, m->entries[at - 1].bits, m->vocab->n_words * sizeof *bits);
		unlink_entry(m, at - 1);
		link_newest(m, at - 1);
		return true;
	}
	if (!make(m, s, bits))
		return false;
	struct mask_entry *e = take_entry(m, s);
	if (e)
		memcpy(e->bits, bits, m->vocab->n_words * sizeof *bits);
	return true;
}
