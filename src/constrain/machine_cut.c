/* A machine that forgets what nobody walks in. */
#include <stdlib.h>
#include <string.h>

#include "constrain/machine.h"

/* What was there before, while the lists are made anew. */
struct cutting {
	struct machine *m;
	struct rx_cut rx;
	struct lists configs, callers, contents;
	struct machine_state *states;
	uint32_t n_states;
	bool *kept_callers, *kept_configs;
	uint32_t *to_callers, *to_configs; /* their new numbers */
	uint32_t *list;
};

static void take_out(struct rx_pool *p, struct lists *from, struct lists *to)
{
	*to = *from;
	p->bytes -= from->cap_values * sizeof *from->values + from->cap_first * sizeof *from->first +
		    from->cap_slots * sizeof *from->slots;
	*from = (struct lists){.pool = p};
}

static void keep_state(struct cutting *c, state_id s)
{
	uint32_t n, n_configs;
	const uint32_t *pairs = lists_get(&c->contents, s, &n);
	for (uint32_t i = 1; i < n; i += 2) {
		if (!c->kept_configs[pairs[i]]) {
			const uint32_t *texts = lists_get(&c->configs, pairs[i], &n_configs);
			for (uint32_t k = 0; k < n_configs; k += 2)
				rx_cut_keep(&c->rx, texts[k]);
		}
		c->kept_configs[pairs[i]] = true;
		c->kept_callers[pairs[i + 1]] = true;
	}
}

/* The callers of callers have smaller numbers, but for the first, which is its own. */
static void keep_callers(struct cutting *c)
{
	uint32_t n;
	for (uint32_t i = lists_count(&c->callers); i-- > 0;) {
		const uint32_t *pairs = lists_get(&c->callers, i, &n);
		for (uint32_t k = 0; c->kept_callers[i] && k < n; k += 2)
			if (pairs[k] != PLACE_ACCEPT)
				c->kept_callers[pairs[k + 1]] = true;
	}
}

static void make_lists(struct cutting *c)
{
	uint32_t n;
	for (uint32_t i = 0; i < lists_count(&c->callers); i++) {
		const uint32_t *pairs = lists_get(&c->callers, i, &n);
		if (!c->kept_callers[i])
			continue;
		for (uint32_t k = 0; k < n; k += 2) {
			c->list[k] = pairs[k];
			c->list[k + 1] = pairs[k] == PLACE_ACCEPT ? 0 : c->to_callers[pairs[k + 1]];
		}
		c->to_callers[i] = lists_intern(&c->m->callers, c->list, n, NULL);
	}
	for (uint32_t i = 0; i < lists_count(&c->configs); i++) {
		const uint32_t *pairs = lists_get(&c->configs, i, &n);
		if (!c->kept_configs[i])
			continue;
		for (uint32_t k = 0; k < n; k += 2) { /* in the same order: numbers only close up */
			c->list[k] = rx_cut_to(&c->rx, pairs[k]);
			c->list[k + 1] = pairs[k + 1];
		}
		c->to_configs[i] = lists_intern(&c->m->configs, c->list, n, NULL);
	}
}

/* The state's new number. */
static state_id make_state(struct cutting *c, state_id s)
{
	uint32_t n;
	bool is_new;
	struct machine *m = c->m;
	const uint32_t *pairs = lists_get(&c->contents, s, &n);
	c->list[0] = pairs[0];
	for (uint32_t i = 1; i < n; i += 2) {
		c->list[i] = c->to_configs[pairs[i]];
		c->list[i + 1] = c->to_callers[pairs[i + 1]];
	}
	if (!rx_grow(m->pool, (void **)&m->states, m->n_states, &m->cap_states, sizeof *m->states))
		return STATE_FAILED;
	state_id to = lists_intern(&m->contents, c->list, n, &is_new);
	if (to != LISTS_FAILED && is_new) {
		m->states[m->n_states] = c->states[s];
		m->states[m->n_states].row = m->states[m->n_states].mask = 0;
		m->n_states++;
	}
	return to;
}

static uint32_t longest_list(const struct lists *l)
{
	uint32_t longest = 2, n;
	for (uint32_t i = 0; i < lists_count(l); i++) {
		lists_get(l, i, &n);
		longest = n > longest ? n : longest;
	}
	return longest;
}

static bool begin(struct cutting *c, uint32_t base, uint32_t base_lists)
{
	struct machine *m = c->m;
	uint32_t n_callers = lists_count(&m->callers), n_configs = lists_count(&m->configs), longest;
	longest = longest_list(&m->callers);
	longest = longest_list(&m->configs) > longest ? longest_list(&m->configs) : longest;
	longest = longest_list(&m->contents) > longest ? longest_list(&m->contents) : longest;
	c->kept_callers = calloc((size_t)n_callers + 1, sizeof *c->kept_callers);
	c->kept_configs = calloc((size_t)n_configs + 1, sizeof *c->kept_configs);
	c->to_callers = calloc((size_t)n_callers + 1, sizeof *c->to_callers);
	c->to_configs = calloc((size_t)n_configs + 1, sizeof *c->to_configs);
	c->list = malloc(((size_t)longest + 1) * sizeof *c->list);
	if (!rx_cut_begin(m->pool, &c->rx, base, base_lists) || !c->kept_callers || !c->kept_configs ||
	    !c->to_callers || !c->to_configs || !c->list)
		return false;
	rx_recover(m->pool);
	take_out(m->pool, &m->callers, &c->callers);
	take_out(m->pool, &m->configs, &c->configs);
	take_out(m->pool, &m->contents, &c->contents);
	c->states = m->states;
	c->n_states = m->n_states;
	m->pool->bytes -= m->cap_states * sizeof *m->states;
	m->states = NULL;
	m->n_states = m->cap_states = 0;
	lists_clear(&m->reached);
	m->n_reached_states = 0;
	m->n_rows = 1;
	return true;
}

bool machine_cut(struct machine *m, uint32_t base, uint32_t base_lists, state_id *const *states, uint32_t n)
{
	struct cutting c = {.m = m};
	bool good = begin(&c, base, base_lists);
	if (good) {
		for (uint32_t i = 0; i < n; i++)
			keep_state(&c, *states[i]);
		keep_callers(&c);
		c.kept_callers[0] = true; /* of the first rule: what starts comes back to it */
		rx_cut_do(m->pool, &c.rx);
		rx_more_work(m->pool, UINT64_MAX);
		make_lists(&c);
		good = make_state(&c, STATE_DEAD) == STATE_DEAD;
		for (uint32_t i = 0; i < n; i++)
			*states[i] = make_state(&c, *states[i]);
		good = good && !m->pool->failed;
		lists_free(&c.callers);
		lists_free(&c.configs);
		lists_free(&c.contents);
		free(c.states);
	}
	rx_cut_end(&c.rx);
	void *all[] = {c.kept_callers, c.kept_configs, c.to_callers, c.to_configs, c.list};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		free(all[i]);
	return good;
}
