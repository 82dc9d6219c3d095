/*
 * Shares made from those of expressions that are alike. A counter that has gone one further ([a-z]{0,63}
 * after [a-z]{0,64}) lets the same tokens through but for those that are long enough to meet its end: what
 * two expressions read alike is compared once, and below the nodes where that ends the tries are walked anew.
 */
#include <stdlib.h>
#include <string.h>

#include "constrain/share.h"

enum {
	MAX_PAIRS = 256, /* of expressions that are compared */
	PAIR_SLOTS = 2 * MAX_PAIRS,
	MIN_DEPTH = 12, /* bytes that must be read alike: with fewer, walking all is no more work */
	MAX_DEPTH = 48,
	MAX_DEEP = 1 << 16, /* nodes at least MIN_DEPTH deep that are kept of one set of bytes */
	N_KEPT = 2,
	PATIENCE = 4, /* after so many that were like none */
	PAUSE = 8,    /* one of so many is compared */
};

struct pair {
	rx a, b;
};

struct deep_node {
	uint32_t node, depth;
};

/* Nodes, with others below, to which bytes of a set alone lead. */
struct deep_list {
	uint64_t used[4];        /* none: not made yet */
	struct deep_node *at[2]; /* of plain, of other; in preorder */
	uint32_t n[2];
	bool too_many;
};

struct share_likes {
	struct pair pairs[MAX_PAIRS];
	uint16_t slots[PAIR_SLOTS]; /* a table of them: number + 1 */
	struct deep_list kept[N_KEPT];
	uint32_t next;
	struct {
		rx r;
		bool open;
	} recent[N_KEPT];
	uint32_t next_recent;
	uint32_t n_unlike; /* expressions in a row that were like none */
};

static struct share_likes *likes_of(struct masks *k)
{
	if (!k->likes)
		k->likes = calloc(1, sizeof *k->likes);
	return k->likes;
}

void share_likes_clear(struct masks *k)
{
	if (k->likes)
		memset(k->likes->recent, 0, sizeof k->likes->recent);
}

void share_likes_free(struct masks *k)
{
	for (uint32_t i = 0; k->likes && i < N_KEPT; i++)
		for (int other = 0; other < 2; other++)
			free(k->likes->kept[i].at[other]);
	free(k->likes);
	k->likes = NULL;
}

size_t share_likes_bytes(const struct masks *k)
{
	size_t n = k->likes ? sizeof *k->likes : 0;
	for (uint32_t i = 0; k->likes && i < N_KEPT; i++)
		n += ((size_t)k->likes->kept[i].n[0] + k->likes->kept[i].n[1]) * sizeof(struct deep_node);
	return n;
}

/* ---- how far two expressions are alike ---- */

/* False: it is there already. */
static bool add_pair(struct share_likes *l, uint32_t *n, rx a, rx b)
{
	uint32_t at = ((a * 2654435761u) ^ (b * 40503u)) & (PAIR_SLOTS - 1);
	for (; l->slots[at]; at = (at + 1) & (PAIR_SLOTS - 1))
		if (l->pairs[l->slots[at] - 1].a == a && l->pairs[l->slots[at] - 1].b == b)
			return false;
	l->pairs[(*n)++] = (struct pair){a, b};
	l->slots[at] = (uint16_t)*n;
	return true;
}

static bool is_alive(struct rx_pool *p, rx r)
{
	return r != RX_NONE && rx_alive(p, r);
}

/* What follows a pair. False: after some byte one is alive and the other is not, or one may end. */
static bool follow(struct rx_pool *p, struct share_likes *l, struct pair x, uint32_t *n, uint64_t used[4])
{
	uint32_t classes = rx_meet(p, p->nodes[x.a].classes, p->nodes[x.b].classes);
	unsigned n_alive = p->classes[classes].n_alive;
	bool live[256];
	for (unsigned i = 0; i < n_alive; i++) {
		uint8_t byte = p->classes[classes].first[i];
		rx a = rx_derive_known(p, x.a, byte), b = rx_derive_known(p, x.b, byte);
		live[i] = is_alive(p, a);
		if (live[i] != is_alive(p, b))
			return false;
		if (!live[i])
			continue;
		if (rx_nullable(p, a) != rx_nullable(p, b) || *n == MAX_PAIRS)
			return false;
		if (a != b)
			add_pair(l, n, a, b);
	}
	for (unsigned b = 0; b < 256; b++) {
		uint8_t i = p->classes[classes].of[b];
		if (i < n_alive && live[i])
			used[b >> 6] |= UINT64_C(1) << (b & 63);
	}
	return true;
}

/*
 * So many bytes both read alike: after each of them they are alive or not, and may end or not, together.
 * used: the bytes of the texts that lead there. UINT32_MAX: all texts.
 */
static uint32_t alike(struct masks *k, rx a, rx b, uint64_t used[4])
{
	struct share_likes *l = k->likes;
	uint32_t n = 0, from = 0;
	memset(l->slots, 0, sizeof l->slots);
	memset(used, 0, 4 * sizeof *used);
	add_pair(l, &n, a, b);
	for (uint32_t depth = 0; depth < MAX_DEPTH; depth++) {
		uint32_t to = n;
		if (from == to)
			return UINT32_MAX;
		for (; from < to; from++)
			if (!follow(k->machine->pool, l, l->pairs[from], &n, used) ||
			    rx_failed(k->machine->pool))
				return depth;
	}
	return MAX_DEPTH;
}

/* ---- nodes that lie deep ---- */

static bool put_deep(struct deep_list *d, int other, uint32_t *cap, struct deep_node node)
{
	if (d->n[other] == *cap) {
		*cap = *cap ? 2 * *cap : 64;
		struct deep_node *more = *cap > MAX_DEEP ? NULL : realloc(d->at[other], *cap * sizeof *more);
		if (!more)
			return false;
		d->at[other] = more;
	}
	d->at[other][d->n[other]++] = node;
	return true;
}

static bool find_deep(struct masks *k, struct deep_list *d, int other)
{
	const struct vocab_trie *t = other ? &k->vocab->other : &k->vocab->plain;
	struct mask_level *way = k->levels;
	uint32_t depth = 0, cap = 0;
	way[0] = (struct mask_level){t->n, 0};
	for (uint32_t i = 1; i < t->n;) {
		while (way[depth].end <= i)
			depth--;
		if (!(d->used[t->byte[i] >> 6] >> (t->byte[i] & 63) & 1)) {
			i = t->end[i];
			continue;
		}
		if (t->end[i] > i + 1) {
			way[++depth] = (struct mask_level){t->end[i], 0};
			if (depth >= MIN_DEPTH && !put_deep(d, other, &cap, (struct deep_node){i, depth}))
				return false;
		}
		i++;
	}
	return true;
}

static const struct deep_list *deep_of(struct masks *k, const uint64_t used[4])
{
	struct share_likes *l = k->likes;
	for (uint32_t i = 0; i < N_KEPT; i++)
		if (memcmp(l->kept[i].used, used, sizeof l->kept[i].used) == 0)
			return &l->kept[i];
	struct deep_list *d = &l->kept[l->next++ % N_KEPT];
	free(d->at[0]);
	free(d->at[1]);
	*d = (struct deep_list){.n = {0, 0}};
	memcpy(d->used, used, sizeof d->used);
	d->too_many = !find_deep(k, d, 0) || !find_deep(k, d, 1);
	return d;
}

/* ---- a share of another ---- */

/* The expression after the bytes on the way to a node. RX_NONE: dead, or the pool has failed. */
static rx read_way(struct masks *k, const struct vocab_trie *t, struct deep_node d, rx r)
{
	struct str token = vocab_bytes(k->vocab, (int32_t)t->ids[t->tokens[d.node + 1]]);
	for (uint32_t i = 0; i < d.depth && i < token.len && r != RX_NONE; i++)
		r = rx_derive_known(k->machine->pool, r, (uint8_t)token.ptr[i]);
	return is_alive(k->machine->pool, r) ? r : RX_NONE;
}

/* Below a node that lies `depth` deep. */
static bool lies_below(const struct vocab_trie *t, const struct deep_list *d, int other, uint32_t depth,
		       uint32_t node)
{
	uint32_t low = 0, high = d->n[other];
	while (low < high) { /* the last node up to this one */
		uint32_t middle = low + (high - low) / 2;
		if (d->at[other][middle].node <= node)
			low = middle + 1;
		else
			high = middle;
	}
	while (low-- > 0) {
		struct deep_node x = d->at[other][low];
		if (x.depth < depth)
			return false;
		if (x.depth == depth)
			return x.node < node && node < t->end[x.node];
	}
	return false;
}

static bool walk_deep(struct masks *k, struct share *sh, const struct deep_list *d, int other, uint32_t depth,
		      uint32_t *n_found)
{
	const struct vocab_trie *t = other ? &k->vocab->other : &k->vocab->plain;
	for (uint32_t i = 0; i < d->n[other]; i++) {
		struct deep_node x = d->at[other][i];
		if (x.depth != depth)
			continue;
		rx r = read_way(k, t, x, sh->r);
		share_mark(sh, t, t->tokens[x.node + 1], t->tokens[t->end[x.node]], false);
		const struct share_walk walk = {.t = t, .other = other, .from = x.node, .state = r};
		if (rx_failed(k->machine->pool) || (r != RX_NONE && !share_walk(k, sh, &walk, n_found)))
			return false;
	}
	return true;
}

static enum share_like make_from(struct masks *k, struct share *sh, const struct share *old)
{
	uint64_t used[4];
	uint32_t depth = alike(k, sh->r, old->r, used), n_found = 0;
	if (rx_failed(k->machine->pool))
		return SHARE_FAILED;
	if (depth < MIN_DEPTH || (depth != UINT32_MAX && old->skips))
		return SHARE_UNLIKE;
	const struct deep_list *d = deep_of(k, used);
	if (d->too_many && depth != UINT32_MAX)
		return SHARE_UNLIKE;
	memcpy(sh->inside, old->inside, k->vocab->n_words * sizeof *sh->inside);
	sh->skips = old->skips;
	for (uint32_t i = 0; i < old->n_exits; i++) {
		const struct share_exit *e = &old->exits[i];
		const struct vocab_trie *t = e->other ? &k->vocab->other : &k->vocab->plain;
		if (depth != UINT32_MAX && lies_below(t, d, e->other, depth, e->node))
			continue;
		k->found[2 * n_found] = e->node;
		k->found[2 * n_found++ + 1] = e->other;
	}
	for (int other = 0; other < 2 && depth != UINT32_MAX && !sh->too_wide; other++)
		if (!walk_deep(k, sh, d, other, depth, &n_found))
			return SHARE_FAILED;
	return share_keep(k, sh, n_found) ? SHARE_LIKE : SHARE_FAILED;
}

enum share_like share_from_likes(struct masks *k, struct share *sh)
{
	struct share_likes *l = likes_of(k);
	if (!l)
		return SHARE_FAILED;
	enum share_like made = SHARE_UNLIKE;
	bool tries = l->n_unlike < PATIENCE || l->n_unlike % PAUSE == 0;
	for (uint32_t i = 1; i <= N_KEPT && tries && made == SHARE_UNLIKE; i++) {
		uint32_t at = (l->next_recent - i) % N_KEPT;
		const struct share *old = l->recent[at].r == RX_NONE || l->recent[at].open != sh->open
						  ? NULL
						  : share_find(k, l->recent[at].r, sh->open);
		if (old && !old->too_wide)
			made = make_from(k, sh, old);
	}
	l->n_unlike = made == SHARE_LIKE ? 0 : l->n_unlike + 1;
	l->recent[l->next_recent % N_KEPT].r = sh->r;
	l->recent[l->next_recent++ % N_KEPT].open = sh->open;
	return made;
}
