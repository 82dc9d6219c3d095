#include "constrain/mask.h"

#include <stdlib.h>
#include <string.h>

bool masks_init(struct masks *m, const struct constrain_vocab *v, struct machine *machine, size_t max_bytes)
{
	size_t one = v->n_words * sizeof(uint32_t) + sizeof(struct mask_entry);
	uint32_t depth = v->plain.depth > v->other.depth ? v->plain.depth : v->other.depth;
	memset(m, 0, sizeof *m);
	m->vocab = v;
	m->machine = machine;
	m->newest = m->oldest = MASK_NONE;
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
	free(m->entries);
	free(m->levels);
}

size_t masks_bytes(const struct masks *m)
{
	return m->n * (m->vocab->n_words * sizeof(uint32_t)) + m->cap * sizeof *m->entries;
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
		if (next == STATE_FAILED)
			return false;
		for (uint32_t k = t->tokens[i]; k < t->tokens[i + 1]; k++)
			set_bit(bits, t->ids[k]);
		if (t->end[i] > i + 1)
			*++top = (struct mask_level){t->end[i], next};
		i++;
	}
	return rx_charge(machine->pool, visited / 16);
}

static bool make(struct masks *m, state_id s, uint32_t *bits)
{
	memset(bits, 0, m->vocab->n_words * sizeof *bits);
	return walk_below(m, &m->vocab->plain, 0, s, bits) && walk_below(m, &m->vocab->other, 0, s, bits);
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
