#include "constrain/machine.h"

#include <stdlib.h>
#include <string.h>

/* What may be read: an expression, then `to`. */
struct machine_item {
	uint32_t callers;
	rx text;
	place_id to;
};

/* A place that this step has come to. */
struct machine_seen {
	place_id place;
	uint32_t callers, step;
};

/* A rule that is called here. */
struct machine_call {
	uint32_t rank;
	rule_id callee;
	place_id to;
	uint32_t callers; /* of the caller */
};

#define ROOM(m, name) \
	rx_grow((m)->pool, (void **)&(m)->name, (m)->n_##name, &(m)->cap_##name, sizeof *(m)->name)

/* ---- one step: what was come to, and what may be read from there ---- */

static void begin(struct machine *m)
{
	m->n_items = m->n_todo = m->n_calls = m->n_list = m->n_seen = 0;
	m->may_end = false;
	m->step++;
}

static void add_item(struct machine *m, rx text, place_id to, uint32_t callers)
{
	if (ROOM(m, items))
		m->items[m->n_items++] = (struct machine_item){callers, text, to};
}

static uint32_t slot_of(const struct machine *m, place_id place, uint32_t callers)
{
	uint64_t h = ((uint64_t)place << 32 | callers) * 0x9e3779b97f4a7c15u;
	uint32_t at = (uint32_t)(h >> 32) & (m->cap_seen - 1);
	while (m->seen[at].step == m->step && (m->seen[at].place != place || m->seen[at].callers != callers))
		at = (at + 1) & (m->cap_seen - 1);
	return at;
}

static bool more_seen(struct machine *m)
{
	struct machine_seen *now = malloc((m->n_seen + 1) * sizeof *now);
	uint32_t old = m->cap_seen, n = 0;
	if (!now) {
		m->pool->failed = true;
		return false;
	}
	for (uint32_t i = 0; i < old; i++)
		if (m->seen[i].step == m->step)
			now[n++] = m->seen[i];
	bool fits = rx_grow(m->pool, (void **)&m->seen, old, &m->cap_seen, sizeof *m->seen);
	if (fits)
		memset(m->seen, 0, m->cap_seen * sizeof *m->seen);
	for (uint32_t i = 0; fits && i < n; i++)
		m->seen[slot_of(m, now[i].place, now[i].callers)] = now[i];
	free(now);
	return fits;
}

/* Puts a place on the way, once. */
static void reach(struct machine *m, place_id place, uint32_t callers)
{
	if (m->n_seen >= m->cap_seen / 2 && !more_seen(m))
		return;
	uint32_t at = slot_of(m, place, callers);
	if (m->seen[at].step == m->step || !ROOM(m, todo) || !rx_charge(m->pool, 1))
		return;
	m->seen[at] = (struct machine_seen){place, callers, m->step};
	m->n_seen++;
	m->todo[m->n_todo++] = (struct reached){place, callers};
}

static bool call_less(const struct machine_call *x, const struct machine_call *y)
{
	return x->rank < y->rank;
}

static void swap_calls(struct machine *m, uint32_t i, uint32_t k)
{
	struct machine_call x = m->calls[i];
	m->calls[i] = m->calls[k];
	m->calls[k] = x;
}

/* The calls are a heap: rules before those that they begin with. */
static void add_call(struct machine *m, rule_id callee, place_id to, uint32_t callers)
{
	if (!ROOM(m, calls))
		return;
	uint32_t i = m->n_calls++;
	m->calls[i] = (struct machine_call){m->grammar->rules[callee].rank, callee, to, callers};
	for (; i && call_less(&m->calls[i], &m->calls[(i - 1) / 2]); i = (i - 1) / 2)
		swap_calls(m, i, (i - 1) / 2);
}

static struct machine_call take_call(struct machine *m)
{
	struct machine_call top = m->calls[0];
	m->calls[0] = m->calls[--m->n_calls];
	for (uint32_t i = 0, best;; i = best) {
		best = i;
		for (uint32_t k = 2 * i + 1; k <= 2 * i + 2 && k < m->n_calls; k++)
			if (call_less(&m->calls[k], &m->calls[best]))
				best = k;
		if (best == i)
			return top;
		swap_calls(m, i, best);
	}
}

static void follow_edges(struct machine *m, place_id place, uint32_t callers)
{
	const struct grammar *g = m->grammar;
	for (uint32_t i = g->places[place].edges; i < g->places[place + 1].edges; i++) {
		const struct grammar_edge *e = &g->edges[i];
		if (e->kind == EDGE_SKIPS) {
			reach(m, e->to, callers);
		} else if (e->kind == EDGE_READS) {
			add_item(m, e->what, e->to, callers);
			if (rx_nullable(m->pool, e->what))
				reach(m, e->to, callers);
		} else {
			add_call(m, e->what, e->to, callers);
			if (g->rules[e->what].may_be_empty)
				reach(m, e->to, callers);
		}
	}
}

/* Works off what was come to. ends: a rule's end goes back to its callers; not for rules that are called at
 * this very place, which their callers have skipped where they may be empty. */
static void follow(struct machine *m, bool ends)
{
	const struct grammar *g = m->grammar;
	while (m->n_todo && !m->pool->failed) {
		struct reached r = m->todo[--m->n_todo];
		if (r.place == PLACE_ACCEPT) {
			m->may_end = true;
			continue;
		}
		follow_edges(m, r.place, r.callers);
		if (!ends || g->rules[g->places[r.place].rule].end != r.place)
			continue;
		uint32_t n;
		const uint32_t *back = lists_get(&m->callers, r.callers, &n);
		for (uint32_t i = 0; i < n; i += 2)
			reach(m, back[i], back[i + 1]);
	}
}

static int by_pair(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	if (x[0] != y[0])
		return x[0] < y[0] ? -1 : 1;
	return (x[1] > y[1]) - (x[1] < y[1]);
}

static void add_pair(struct machine *m, uint32_t x, uint32_t y)
{
	if (!rx_grow(m->pool, (void **)&m->list, m->n_list + 1, &m->cap_list, sizeof *m->list))
		return;
	m->list[m->n_list++] = x;
	m->list[m->n_list++] = y;
}

/* The pairs of m->list from `from` on in order, once each. */
static void sort_pairs(struct machine *m, uint32_t from)
{
	uint32_t kept = from;
	qsort(m->list + from, (m->n_list - from) / 2, 2 * sizeof *m->list, by_pair);
	for (uint32_t i = from; i < m->n_list; i += 2) {
		if (kept > from && m->list[kept - 2] == m->list[i] && m->list[kept - 1] == m->list[i + 1])
			continue;
		m->list[kept++] = m->list[i];
		m->list[kept++] = m->list[i + 1];
	}
	m->n_list = kept;
}

/* Nothing comes after the call: the caller's callers are those to go back to. */
static void add_callers_of(struct machine *m, uint32_t callers)
{
	uint32_t n;
	lists_get(&m->callers, callers, &n);
	for (uint32_t i = 0; i < n && !m->pool->failed; i += 2) {
		const uint32_t *back = lists_get(&m->callers, callers, &n);
		add_pair(m, back[i], back[i + 1]);
	}
}

static void enter_rules(struct machine *m)
{
	const struct grammar *g = m->grammar;
	while (m->n_calls && !m->pool->failed) {
		struct machine_call c = m->calls[0];
		rule_id callee = c.callee;
		m->n_list = 0;
		while (m->n_calls && m->calls[0].callee == callee) {
			c = take_call(m);
			if (g->places[c.to].only_end)
				add_callers_of(m, c.callers);
			else
				add_pair(m, c.to, c.callers);
		}
		sort_pairs(m, 0);
		uint32_t callers = lists_intern(&m->callers, m->list, m->n_list, NULL);
		if (callers == LISTS_FAILED)
			return;
		reach(m, g->rules[callee].start, callers);
		follow(m, false);
	}
}

/* ---- states ---- */

static int by_item(const void *a, const void *b)
{
	const struct machine_item *x = a, *y = b;
	if (x->callers != y->callers)
		return x->callers < y->callers ? -1 : 1;
	if (x->text != y->text)
		return x->text < y->text ? -1 : 1;
	return (x->to > y->to) - (x->to < y->to);
}

static uint32_t classes_of_items(struct machine *m)
{
	uint32_t classes = RX_ONE_CLASS;
	for (uint32_t i = 0; i < m->n_items; i++)
		classes = rx_meet(m->pool, classes, m->pool->nodes[m->items[i].text].classes);
	return classes;
}

/* How many expressions are read at once in a: what makes a derivative costly. */
static uint32_t ways_of(const struct rx_pool *p, rx a)
{
	enum { DEPTH = 8 };
	for (int i = 0; i < DEPTH; i++) {
		const struct rx_node *n = &p->nodes[a];
		if (n->kind == RX_IS_OR || n->kind == RX_IS_AND)
			return n->b;
		if (n->kind != RX_IS_CAT && n->kind != RX_IS_NOT)
			break;
		a = n->a;
	}
	return 1;
}

/* Of what a state holds, however it was come to. */
static uint32_t weight_of(const struct machine *m, state_id s)
{
	uint64_t weight = 1;
	uint32_t n, n_configs, most = 0;
	const uint32_t *parts = lists_get(&m->contents, s, &n);
	for (uint32_t i = 1; i < n; i += 2) {
		const uint32_t *c = lists_get(&m->configs, parts[i], &n_configs);
		for (uint32_t k = 0; k < n_configs; k += 2)
			most = ways_of(m->pool, c[k]) > most ? ways_of(m->pool, c[k]) : most;
		weight += n_configs / 2;
	}
	weight += most; /* of all together: many hold the same */
	return weight > UINT32_MAX ? UINT32_MAX : (uint32_t)weight;
}

static state_id make_state(struct machine *m)
{
	uint32_t classes = classes_of_items(m), from, first = 0;
	bool is_new;
	if (m->n_items > 1)
		qsort(m->items, m->n_items, sizeof *m->items, by_item);
	m->n_list = 0;
	if (!rx_grow(m->pool, (void **)&m->list, 0, &m->cap_list, sizeof *m->list))
		return STATE_FAILED;
	m->list[m->n_list++] = m->may_end;
	for (uint32_t i = 0; i < m->n_items && !m->pool->failed; first = i) {
		from = m->n_list;
		for (; i < m->n_items && m->items[i].callers == m->items[first].callers; i++)
			add_pair(m, m->items[i].text, m->items[i].to);
		sort_pairs(m, from);
		uint32_t configs = lists_intern(&m->configs, m->list + from, m->n_list - from, NULL);
		m->n_list = from;
		add_pair(m, configs, m->items[first].callers);
	}
	if (!ROOM(m, states))
		return STATE_FAILED;
	uint32_t s = lists_intern(&m->contents, m->list, m->n_list, &is_new);
	if (s == LISTS_FAILED)
		return STATE_FAILED;
	if (is_new) {
		struct machine_state *x = &m->states[m->n_states++];
		*x = (struct machine_state){
			.classes = classes, .may_end = m->may_end, .n_next = 255, .weight = weight_of(m, s)};
		for (uint32_t i = 0; i < m->n_items; i++) {
			bool names = m->pool->nodes[m->items[i].text].kind == RX_IS_TOKEN;
			x->names |= names;
			x->reads |= !names;
		}
	}
	return s;
}

static state_id close_step(struct machine *m)
{
	follow(m, true);
	enter_rules(m);
	return m->pool->failed ? STATE_FAILED : make_state(m);
}

state_id machine_step_slow(struct machine *m, state_id s, uint8_t byte)
{
	struct rx_pool *p = m->pool;
	uint32_t n, n_configs, n_classes = p->classes[m->states[s].classes].n;
	if (p->failed || !rx_charge(p, 1))
		return STATE_FAILED;
	if (!m->states[s].row) {
		if (!rx_grow(p, (void **)&m->rows, m->n_rows + n_classes, &m->cap_rows, sizeof *m->rows))
			return STATE_FAILED;
		m->states[s].row = m->n_rows;
		for (uint32_t i = 0; i < n_classes; i++)
			m->rows[m->n_rows++] = STATE_UNSET;
	}
	begin(m);
	const uint32_t *parts = lists_get(&m->contents, s, &n);
	for (uint32_t i = 1; i < n; i += 2) {
		const uint32_t *c = lists_get(&m->configs, parts[i], &n_configs);
		for (uint32_t k = 0; k < n_configs; k += 2) {
			rx rest = rx_derive(p, c[k], byte);
			if (rest == RX_NONE || !rx_alive(p, rest))
				continue;
			if (rest != RX_EMPTY)
				add_item(m, rest, c[k + 1], parts[i + 1]);
			if (rx_nullable(p, rest))
				reach(m, c[k + 1], parts[i + 1]);
		}
	}
	state_id next = close_step(m);
	if (next != STATE_FAILED)
		m->rows[m->states[s].row + p->classes[m->states[s].classes].of[byte]] = next;
	return next;
}

bool machine_names(const struct machine *m, state_id s, uint32_t token)
{
	const struct rx_node *nodes = m->pool->nodes;
	uint32_t n, n_configs;
	const uint32_t *parts = lists_get(&m->contents, s, &n);
	for (uint32_t i = 1; m->states[s].names && i < n; i += 2) {
		const uint32_t *c = lists_get(&m->configs, parts[i], &n_configs);
		for (uint32_t k = 0; k < n_configs; k += 2)
			if (nodes[c[k]].kind == RX_IS_TOKEN && nodes[c[k]].a == token)
				return true;
	}
	return false;
}

void machine_add_named(const struct machine *m, state_id s, uint32_t *bits)
{
	const struct rx_node *nodes = m->pool->nodes;
	uint32_t n, n_configs;
	const uint32_t *parts = lists_get(&m->contents, s, &n);
	for (uint32_t i = 1; i < n; i += 2) {
		const uint32_t *c = lists_get(&m->configs, parts[i], &n_configs);
		for (uint32_t k = 0; k < n_configs; k += 2)
			if (nodes[c[k]].kind == RX_IS_TOKEN)
				bits[nodes[c[k]].a / 32] |= UINT32_C(1) << nodes[c[k]].a % 32;
	}
}

state_id machine_token(struct machine *m, state_id s, uint32_t token)
{
	uint32_t n, n_configs;
	if (m->pool->failed || !rx_charge(m->pool, 1))
		return STATE_FAILED;
	begin(m);
	const uint32_t *parts = lists_get(&m->contents, s, &n);
	for (uint32_t i = 1; i < n; i += 2) {
		const uint32_t *c = lists_get(&m->configs, parts[i], &n_configs);
		for (uint32_t k = 0; k < n_configs; k += 2) {
			const struct rx_node *x = &m->pool->nodes[c[k]];
			if (x->kind == RX_IS_TOKEN && x->a == token)
				reach(m, c[k + 1], parts[i + 1]);
		}
	}
	return close_step(m);
}

state_id machine_reached(struct machine *m, place_id place, uint32_t callers)
{
	bool is_new;
	if (!ROOM(m, reached_states))
		return STATE_FAILED;
	uint32_t number = lists_intern(&m->reached, (uint32_t[2]){place, callers}, 2, &is_new);
	if (number == LISTS_FAILED)
		return STATE_FAILED;
	if (!is_new && m->reached_states[number] != STATE_FAILED)
		return m->reached_states[number];
	if (is_new)
		m->reached_states[m->n_reached_states++] = STATE_FAILED;
	begin(m);
	reach(m, place, callers);
	return m->reached_states[number] = close_step(m);
}

state_id machine_start(struct machine *m)
{
	uint32_t callers = lists_intern(&m->callers, (uint32_t[2]){PLACE_ACCEPT, 0}, 2, NULL);
	if (callers == LISTS_FAILED)
		return STATE_FAILED;
	return machine_reached(m, m->grammar->rules[0].start, callers);
}

bool machine_next(struct machine *m, state_id s, uint64_t bytes[4])
{
	uint32_t n = m->pool->classes[m->states[s].classes].n_alive;
	bool live[256];
	for (uint32_t k = 0; k < n; k++) {
		state_id next = machine_step(m, s, m->pool->classes[m->states[s].classes].first[k]);
		if (next == STATE_FAILED)
			return false;
		live[k] = next != STATE_DEAD;
	}
	memset(bytes, 0, 4 * sizeof *bytes);
	for (unsigned b = 0; b < 256; b++) {
		uint8_t k = m->pool->classes[m->states[s].classes].of[b];
		if (k < n && live[k])
			bytes[b >> 6] |= UINT64_C(1) << (b & 63);
	}
	return true;
}

int machine_n_next(struct machine *m, state_id s, uint8_t *byte)
{
	uint64_t bytes[4];
	if (m->states[s].n_next == 255) {
		if (!machine_next(m, s, bytes))
			return -1;
		unsigned n = 0, only = 0;
		for (unsigned b = 0; b < 256; b++) {
			if (bytes[b >> 6] >> (b & 63) & 1) {
				n++;
				only = b;
			}
		}
		m->states[s].n_next = (uint8_t)(n > 2 ? 2 : n);
		m->states[s].next = (uint8_t)only;
	}
	*byte = m->states[s].next;
	return m->states[s].n_next;
}

static bool stands_in(rx text, const rx *sorted, uint32_t n)
{
	uint32_t low = 0;
	while (low < n) {
		uint32_t middle = low + (n - low) / 2;
		if (sorted[middle] == text)
			return true;
		if (sorted[middle] < text)
			low = middle + 1;
		else
			n = middle;
	}
	return false;
}

state_id machine_without(struct machine *m, state_id s, const rx *sorted, uint32_t n_texts)
{
	uint32_t n, n_configs;
	begin(m);
	m->may_end = m->states[s].may_end;
	const uint32_t *parts = lists_get(&m->contents, s, &n);
	for (uint32_t i = 1; i < n; i += 2) {
		const uint32_t *c = lists_get(&m->configs, parts[i], &n_configs);
		for (uint32_t k = 0; k < n_configs; k += 2)
			if (!stands_in(c[k], sorted, n_texts))
				add_item(m, c[k], c[k + 1], parts[i + 1]);
	}
	return m->pool->failed ? STATE_FAILED : make_state(m);
}

void machine_ask(struct machine *m, uint64_t max_cost)
{
	m->cost = 0;
	m->max_cost = max_cost;
	if (++m->question)
		return;
	for (uint32_t i = 0; i < m->n_states; i++) /* the numbers begin anew */
		m->states[i].seen = 0;
	m->question = 1;
}

/* ---- machines ---- */

bool machine_init(struct machine *m, struct grammar *grammar)
{
	memset(m, 0, sizeof *m);
	m->grammar = grammar;
	m->pool = grammar_pool(grammar);
	m->configs.pool = m->callers.pool = m->contents.pool = m->reached.pool = m->pool;
	if (!ROOM(m, rows))
		return false;
	m->n_rows = 1; /* row 0 is none */
	begin(m);
	return make_state(m) == STATE_DEAD; /* nothing can come and it may not end */
}

void machine_free(struct machine *m)
{
	void *all[] = {m->states, m->rows, m->reached_states, m->items, m->todo, m->calls, m->list, m->seen};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		free(all[i]);
	lists_free(&m->configs);
	lists_free(&m->callers);
	lists_free(&m->contents);
	lists_free(&m->reached);
}
