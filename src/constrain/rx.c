/* The pool of expressions: memory, sets of bytes, classes of bytes, and equal nodes found again. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "constrain/rx_internal.h"

enum { DEFAULT_BYTES = 64 << 20, DEFAULT_WORK = 20000000 };

bool rx_charge(struct rx_pool *p, uint64_t work)
{
	if (p->failed)
		return false;
	if (p->work_left < work) {
		p->work_left = 0;
		p->failed = true;
		return false;
	}
	p->work_left -= work;
	if (p->limits.stop && ((p->work_left + work) ^ p->work_left) >= RX_ASK_STEPS &&
	    p->limits.stop(p->limits.user))
		p->failed = p->stopped = true;
	return !p->failed;
}

bool rx_grow(struct rx_pool *p, void **array, uint32_t n, uint32_t *cap, size_t size)
{
	if (p->failed)
		return false;
	if (n < *cap)
		return true;
	size_t old_cap = *cap, new_cap = old_cap ? old_cap : 32;
	while (new_cap <= n)
		new_cap *= 2;
	size_t more = (new_cap - old_cap) * size;
	void *grown = NULL;
	if (new_cap <= UINT32_MAX / 2 && p->bytes + more <= p->limits.bytes)
		grown = realloc(*array, new_cap * size);
	if (!grown) {
		p->failed = true;
		return false;
	}
	*array = grown;
	*cap = (uint32_t)new_cap;
	p->bytes += more;
	return true;
}

/* Numbers mixed well enough for a table (the finaliser of SplitMix64). */
static uint64_t mix(uint64_t h, uint64_t x)
{
	h = (h ^ x) * 0xbf58476d1ce4e5b9u;
	return h ^ h >> 29;
}

/* A free slot for one more; every number is put again where the table grows. */
static bool index_room(struct rx_pool *p, struct rx_index *t,
		       uint64_t (*hash)(const struct rx_pool *, uint32_t))
{
	if (p->failed)
		return false;
	if (t->cap && t->n < t->cap / 2)
		return true;
	size_t cap = t->cap ? (size_t)t->cap * 2 : 256;
	size_t more = (cap - t->cap) * sizeof *t->slots;
	uint32_t *slots = NULL;
	if (cap <= UINT32_MAX / 2 && p->bytes + more <= p->limits.bytes)
		slots = calloc(cap, sizeof *slots);
	if (!slots) {
		p->failed = true;
		return false;
	}
	for (uint32_t i = 0; i < t->cap; i++) {
		if (!t->slots[i])
			continue;
		size_t at = hash(p, t->slots[i] - 1) & (cap - 1);
		while (slots[at])
			at = (at + 1) & (cap - 1);
		slots[at] = t->slots[i];
	}
	free(t->slots);
	t->slots = slots;
	t->cap = (uint32_t)cap;
	p->bytes += more;
	return true;
}

/* The slot of the number whose content is equal, or the free one where it goes. */
static uint32_t *index_find(const struct rx_pool *p, struct rx_index *t, uint64_t hash,
			    bool (*equal)(const struct rx_pool *, uint32_t number, const void *what),
			    const void *what)
{
	uint32_t at = (uint32_t)hash & (t->cap - 1);
	while (t->slots[at] && !equal(p, t->slots[at] - 1, what))
		at = (at + 1) & (t->cap - 1);
	return &t->slots[at];
}

static void index_put(struct rx_index *t, uint32_t *slot, uint32_t number)
{
	*slot = number + 1;
	t->n++;
}

/* ---- sets ---- */

static uint64_t hash_bits(const uint64_t bits[4])
{
	return mix(mix(mix(mix(7, bits[0]), bits[1]), bits[2]), bits[3]);
}

static uint64_t set_hash(const struct rx_pool *p, uint32_t number)
{
	return hash_bits(p->sets[number].bits);
}

static bool set_equal(const struct rx_pool *p, uint32_t number, const void *what)
{
	return memcmp(p->sets[number].bits, what, sizeof p->sets[number].bits) == 0;
}

uint32_t rx_intern_set(struct rx_pool *p, const uint64_t bits[4])
{
	if (!index_room(p, &p->set_index, set_hash) || !RX_ROOM(p, sets, p->n_sets))
		return 0;
	uint32_t *slot = index_find(p, &p->set_index, hash_bits(bits), set_equal, bits);
	if (*slot)
		return *slot - 1;
	memcpy(p->sets[p->n_sets].bits, bits, sizeof p->sets->bits);
	p->sets[p->n_sets].classes = 0;
	index_put(&p->set_index, slot, p->n_sets);
	return p->n_sets++;
}

/* ---- classes ---- */

static uint64_t hash_of(const uint8_t of[256])
{
	uint64_t h = 11, word;
	for (int i = 0; i < 256; i += 8) {
		memcpy(&word, of + i, sizeof word);
		h = mix(h, word);
	}
	return h;
}

static uint64_t class_hash(const struct rx_pool *p, uint32_t number)
{
	return hash_of(p->classes[number].of);
}

static bool class_equal(const struct rx_pool *p, uint32_t number, const void *what)
{
	return memcmp(p->classes[number].of, what, sizeof p->classes[number].of) == 0;
}

enum { MAX_MARKS = 1024 };

/*
 * Classes by marks below MAX_MARKS of the bytes (those in the alphabet and those outside have no mark in
 * common): numbered in the order of their first bytes, those of the alphabet first, so that equal partitions
 * are equal.
 */
static uint32_t intern_classes(struct rx_pool *p, const uint16_t mark[256])
{
	struct rx_classes c = {.n = 0};
	uint16_t number[MAX_MARKS];
	memset(number, 0xff, sizeof number);
	for (int alive = 1; alive >= 0; alive--) {
		for (unsigned b = 0; b < 256; b++) {
			if (rx_set_has(&p->alphabet, b) != (alive == 1))
				continue;
			uint16_t *k = &number[mark[b]];
			if (*k == UINT16_MAX) {
				*k = c.n;
				c.first[c.n++] = (uint8_t)b;
			}
			c.of[b] = (uint8_t)*k;
		}
		if (alive)
			c.n_alive = c.n;
	}
	if (!rx_charge(p, 10) || !index_room(p, &p->class_index, class_hash) ||
	    !RX_ROOM(p, classes, p->n_classes))
		return RX_ONE_CLASS;
	uint32_t *slot = index_find(p, &p->class_index, hash_of(c.of), class_equal, c.of);
	if (*slot)
		return *slot - 1;
	p->classes[p->n_classes] = c;
	index_put(&p->class_index, slot, p->n_classes);
	return p->n_classes++;
}

uint32_t rx_set_classes(struct rx_pool *p, uint32_t set)
{
	uint16_t mark[256];
	if (p->failed || p->sets[set].classes)
		return p->failed ? RX_ONE_CLASS : p->sets[set].classes;
	for (unsigned b = 0; b < 256; b++)
		mark[b] = rx_set_has(&p->sets[set], b);
	return p->sets[set].classes = intern_classes(p, mark);
}

/* What c tells apart too, in marks from 0 on. */
static void refine(const struct rx_classes *c, uint16_t mark[256])
{
	enum { ROOM = 4096 };
	uint16_t to[ROOM], kept[256], n = 0, most = 0;
	for (unsigned b = 0; b < 256; b++)
		most = mark[b] > most ? mark[b] : most;
	size_t n_keys = ((size_t)most + 1) * c->n;
	if (n_keys <= ROOM) {
		memset(to, 0xff, n_keys * sizeof *to);
		for (unsigned b = 0; b < 256; b++) {
			uint16_t *number = &to[mark[b] * c->n + c->of[b]];
			if (*number == UINT16_MAX)
				*number = n++;
			mark[b] = *number;
		}
		return;
	}
	for (unsigned b = 0; b < 256; b++) { /* many classes of both: each byte is looked for */
		unsigned k = 0;
		while (k < b && (mark[k] != mark[b] || c->of[k] != c->of[b]))
			k++;
		kept[b] = k < b ? kept[k] : n++;
	}
	memcpy(mark, kept, sizeof kept);
}

static uint64_t meet_hash(const struct rx_pool *p, uint32_t number)
{
	return mix(mix(13, p->meets[number].x), p->meets[number].y);
}

static bool meet_equal(const struct rx_pool *p, uint32_t number, const void *what)
{
	const struct rx_pair *w = what;
	return p->meets[number].x == w->x && p->meets[number].y == w->y;
}

uint32_t rx_meet(struct rx_pool *p, uint32_t x, uint32_t y)
{
	if (x == y || y == RX_ONE_CLASS)
		return x;
	if (x == RX_ONE_CLASS)
		return y;
	struct rx_pair pair = {x < y ? x : y, x < y ? y : x, 0};
	if (!index_room(p, &p->meet_index, meet_hash) || !RX_ROOM(p, meets, p->n_meets))
		return RX_ONE_CLASS;
	uint64_t hash = mix(mix(13, pair.x), pair.y);
	uint32_t *slot = index_find(p, &p->meet_index, hash, meet_equal, &pair);
	if (*slot)
		return p->meets[*slot - 1].z;
	uint16_t mark[256];
	for (unsigned b = 0; b < 256; b++)
		mark[b] = p->classes[pair.x].of[b];
	refine(&p->classes[pair.y], mark);
	pair.z = intern_classes(p, mark);
	if (p->failed)
		return RX_ONE_CLASS;
	p->meets[p->n_meets] = pair;
	index_put(&p->meet_index, slot, p->n_meets++);
	return pair.z;
}

/* The same where c tells the bytes of a set apart from all others: those get marks from *n on. */
static void refine_by_set(const struct rx_set *set, uint16_t mark[256], uint16_t *n)
{
	uint16_t was[256], now[256], n_was = 0;
	for (unsigned word = 0; word < 4; word++)
		for (uint64_t left = set->bits[word]; left; left &= left - 1) {
			unsigned b = word * 64 + (unsigned)__builtin_ctzll(left), k = 0;
			while (k < n_was && was[k] != mark[b])
				k++;
			if (k == n_was) {
				was[n_was] = mark[b];
				now[n_was++] = (*n)++;
			}
			mark[b] = now[k];
		}
}

/* What is read first of a node, if that is all that tells its bytes apart. NULL: more. */
static const struct rx_set *first_set(const struct rx_pool *p, rx a)
{
	const struct rx_node *n = &p->nodes[a];
	if (n->kind == RX_IS_CAT)
		n = &p->nodes[n->a];
	return n->kind == RX_IS_SET ? &p->sets[n->a] : NULL;
}

/* In one go, so that what only some of them tell apart is not kept. */
uint32_t rx_meet_parts(struct rx_pool *p, const rx *parts, size_t n)
{
	enum { FEW = 3 };
	uint32_t all = RX_ONE_CLASS, before = RX_ONE_CLASS;
	uint16_t mark[256], n_marks = 256;
	for (size_t i = 0; i < n && n <= FEW; i++)
		all = rx_meet(p, all, p->nodes[parts[i]].classes);
	if (n <= FEW)
		return all;
	for (unsigned b = 0; b < 256; b++)
		mark[b] = p->classes[RX_ONE_CLASS].of[b];
	for (size_t i = 0; i < n && !p->failed; i++) {
		uint32_t c = p->nodes[parts[i]].classes;
		const struct rx_set *set = first_set(p, parts[i]);
		if (c == before || c == RX_ONE_CLASS)
			continue;
		before = c;
		if (set && n_marks + 256 <= MAX_MARKS) {
			rx_charge(p, 1);
			refine_by_set(set, mark, &n_marks);
		} else {
			rx_charge(p, 6);
			refine(&p->classes[c], mark);
			n_marks = 256;
		}
	}
	return p->failed ? RX_ONE_CLASS : intern_classes(p, mark);
}

/* ---- nodes ---- */

struct wanted {
	struct rx_node node;
	const uint32_t *list;
};

static bool has_list(uint8_t kind)
{
	return kind == RX_IS_OR || kind == RX_IS_AND;
}

static uint64_t hash_wanted(const struct rx_node *n, const uint32_t *list)
{
	uint64_t h = mix(17, n->kind);
	if (has_list(n->kind)) {
		for (uint32_t i = 0; i < n->b; i++)
			h = mix(h, list[i]);
		return h;
	}
	return mix(mix(mix(h, n->a), n->b), n->c);
}

static uint64_t node_hash(const struct rx_pool *p, uint32_t number)
{
	return hash_wanted(&p->nodes[number], rx_list(p, &p->nodes[number]));
}

static bool node_equal(const struct rx_pool *p, uint32_t number, const void *what)
{
	const struct rx_node *n = &p->nodes[number];
	const struct wanted *w = what;
	if (n->kind != w->node.kind || n->b != w->node.b)
		return false;
	if (has_list(n->kind))
		return !n->b || (w->list && memcmp(rx_list(p, n), w->list, n->b * sizeof *w->list) == 0);
	return n->a == w->node.a && n->c == w->node.c;
}

rx rx_find_list(struct rx_pool *p, enum rx_kind kind, const rx *list, uint32_t n)
{
	struct wanted w = {{.kind = (uint8_t)kind, .b = n}, list};
	if (!rx_charge(p, 1 + n / 8) || !index_room(p, &p->node_index, node_hash))
		return RX_NONE;
	uint32_t slot = *index_find(p, &p->node_index, hash_wanted(&w.node, list), node_equal, &w);
	return slot ? slot - 1 : RX_NONE;
}

uint32_t rx_intern_node(struct rx_pool *p, struct rx_node node, const uint32_t *list)
{
	uint32_t n_list = has_list(node.kind) ? node.b : 0;
	if (!rx_charge(p, 1 + n_list / 8) || !index_room(p, &p->node_index, node_hash) ||
	    !RX_ROOM(p, nodes, p->n_nodes) || !RX_ROOM(p, lists, p->n_lists + n_list))
		return RX_NONE;
	struct wanted w = {node, list};
	uint32_t *slot = index_find(p, &p->node_index, hash_wanted(&node, list), node_equal, &w);
	if (*slot)
		return *slot - 1;
	if (!rx_charge(p, 5)) /* a new one costs memory that nobody has looked at */
		return RX_NONE;
	if (list && n_list) { /* gcc at -O3 does not see that nodes without a list have none */
		node.a = p->n_lists;
		memcpy(p->lists + p->n_lists, list, n_list * sizeof *list);
		p->n_lists += n_list;
	}
	p->nodes[p->n_nodes] = node;
	index_put(&p->node_index, slot, p->n_nodes);
	return p->n_nodes++;
}

/* ---- pools ---- */

/* The constants, and the classes that they have. */
static void add_constants(struct rx_pool *p)
{
	static const struct rx_node constants[] = {
		[RX_NONE] = {.kind = RX_IS_NONE, .life = RX_DEAD, .least = UINT32_MAX},
		[RX_EMPTY] = {.kind = RX_IS_EMPTY, .life = RX_ALIVE, .nullable = true},
		[RX_ALL] = {.kind = RX_IS_ALL, .life = RX_ALIVE, .nullable = true},
	};
	static const uint16_t all_alike[256];
	intern_classes(p, all_alike);
	for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++)
		rx_intern_node(p, constants[i], NULL);
	if (RX_ROOM(p, rows, p->n_rows))
		p->n_rows = 1; /* row 0 is none */
}

/* They are there whatever the limits: false: no memory. */
static bool begin(struct rx_pool *p)
{
	struct rx_limits limits = p->limits;
	uint64_t work = p->work_left;
	p->limits.bytes = SIZE_MAX;
	p->work_left = UINT64_MAX;
	add_constants(p);
	p->limits = limits;
	p->work_left = work;
	return !p->failed;
}

struct rx_pool *rx_pool_new(const struct rx_limits *limits)
{
	struct rx_pool *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	if (limits)
		p->limits = *limits;
	if (!p->limits.bytes)
		p->limits.bytes = DEFAULT_BYTES;
	if (!p->limits.work)
		p->limits.work = DEFAULT_WORK;
	p->work_left = p->limits.work;
	memset(&p->alphabet, 0xff, sizeof p->alphabet);
	if (begin(p))
		return p;
	rx_pool_free(p);
	return NULL;
}

void rx_pool_free(struct rx_pool *p)
{
	if (!p)
		return;
	void *all[] = {p->nodes,
		       p->lists,
		       p->rows,
		       p->sets,
		       p->classes,
		       p->meets,
		       p->node_index.slots,
		       p->set_index.slots,
		       p->class_index.slots,
		       p->meet_index.slots,
		       p->parts,
		       p->stack,
		       p->search,
		       p->heap,
		       p->seen};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		free(all[i]);
	free(p);
}

bool rx_failed(const struct rx_pool *p)
{
	return p->failed;
}

bool rx_stopped(const struct rx_pool *p)
{
	return p->stopped;
}

void rx_ask_no_more(struct rx_pool *p)
{
	p->limits.stop = NULL;
}

void rx_more_work(struct rx_pool *p, uint64_t work)
{
	p->work_left = work;
}

size_t rx_bytes(const struct rx_pool *p)
{
	return p->bytes;
}

static void clear_index(struct rx_index *t)
{
	if (t->cap)
		memset(t->slots, 0, t->cap * sizeof *t->slots);
	t->n = 0;
}

void rx_index_nodes(struct rx_pool *p)
{
	clear_index(&p->node_index);
	for (uint32_t i = 0; i < p->n_nodes; i++) {
		uint32_t at = (uint32_t)node_hash(p, i) & (p->node_index.cap - 1);
		while (p->node_index.slots[at])
			at = (at + 1) & (p->node_index.cap - 1);
		index_put(&p->node_index, &p->node_index.slots[at], i);
	}
}

void rx_alphabet(struct rx_pool *p, const uint64_t bytes[4])
{
	assert(p->failed || p->n_nodes == RX_ALL + 1);
	memcpy(p->alphabet.bits, bytes, sizeof p->alphabet.bits);
	p->n_nodes = p->n_classes = p->n_rows = 0;
	clear_index(&p->node_index);
	clear_index(&p->class_index);
	begin(p); /* in the same memory: it cannot fail */
}
