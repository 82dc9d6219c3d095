/* Constructors: what they simplify keeps the automata of derivatives small, and equal numbers mean equal
 * languages (not the other way round). */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "constrain/rx_internal.h"

static uint32_t sat_add(uint32_t a, uint32_t b)
{
	return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

static uint32_t sat_mul(uint32_t a, uint32_t b)
{
	uint64_t product = (uint64_t)a * b;
	return product > UINT32_MAX ? UINT32_MAX : (uint32_t)product;
}

/* ---- sets of bytes ---- */

static rx of_set(struct rx_pool *p, const uint64_t bits[4])
{
	const uint64_t *alphabet = p->alphabet.bits;
	if (!(bits[0] | bits[1] | bits[2] | bits[3]))
		return RX_NONE;
	bool alive = (bits[0] & alphabet[0]) | (bits[1] & alphabet[1]) | (bits[2] & alphabet[2]) |
		     (bits[3] & alphabet[3]);
	struct rx_node n = {.kind = RX_IS_SET, .life = alive ? RX_ALIVE : RX_DEAD, .least = 1};
	n.a = rx_intern_set(p, bits);
	n.classes = rx_set_classes(p, n.a);
	return rx_intern_node(p, n, NULL);
}

rx rx_byte_set(struct rx_pool *p, const uint64_t bytes[4])
{
	return of_set(p, bytes);
}

rx rx_byte(struct rx_pool *p, uint8_t byte)
{
	uint64_t bits[4] = {0};
	bits[byte >> 6] = UINT64_C(1) << (byte & 63);
	return of_set(p, bits);
}

/* ---- concatenation ---- */

/* Body and bounds of a as a repetition; false: it is none. */
static bool as_repeat(const struct rx_pool *p, rx a, struct rx_pair *out)
{
	const struct rx_node *n = &p->nodes[a];
	if (n->kind != RX_IS_REPEAT)
		return false;
	*out = (struct rx_pair){n->a, n->b, n->c};
	return true;
}

static bool can_add(const struct rx_pair *x, const struct rx_pair *y)
{
	bool bounded = x->z != RX_UNBOUNDED && y->z != RX_UNBOUNDED;
	return x->y < RX_UNBOUNDED - y->y && (!bounded || x->z < RX_UNBOUNDED - y->z);
}

static rx pair(struct rx_pool *p, rx head, rx tail)
{
	struct rx_pair x, y;
	const struct rx_node *h = &p->nodes[head], *t = &p->nodes[tail];
	if (head == RX_NONE || tail == RX_NONE)
		return RX_NONE;
	if (head == RX_EMPTY)
		return tail;
	if (tail == RX_EMPTY)
		return head;
	rx next = t->kind == RX_IS_CAT ? t->a : tail;
	if (head == RX_ALL && next == RX_ALL)
		return tail;
	if (as_repeat(p, head, &x) && as_repeat(p, next, &y) && x.x == y.x && can_add(&x, &y)) {
		rx rest = t->kind == RX_IS_CAT ? t->b : RX_EMPTY;
		uint32_t max = x.z == RX_UNBOUNDED || y.z == RX_UNBOUNDED ? RX_UNBOUNDED : x.z + y.z;
		rx both = rx_repeat(p, x.x, x.y + y.y, max);
		if (p->nodes[both].kind != RX_IS_REPEAT)
			return rest == RX_EMPTY ? both : pair(p, both, rest);
		head = both;
		tail = rest;
		if (tail == RX_EMPTY)
			return head;
		h = &p->nodes[head];
		t = &p->nodes[tail];
	}
	struct rx_node n = {.kind = RX_IS_CAT, .a = head, .b = tail, .nullable = h->nullable && t->nullable};
	n.least = sat_add(h->least, t->least);
	n.life = h->life == RX_DEAD || t->life == RX_DEAD     ? RX_DEAD
		 : h->life == RX_ALIVE && t->life == RX_ALIVE ? RX_ALIVE
							      : RX_UNKNOWN;
	n.classes = h->nullable ? rx_meet(p, h->classes, t->classes) : h->classes;
	return rx_intern_node(p, n, NULL);
}

/* To the right, so that a derivative changes the head alone. Linear in a: long ones are joined from their
 * ends. */
rx rx_cat(struct rx_pool *p, rx a, rx b)
{
	uint32_t from = p->n_stack;
	if (b == RX_NONE)
		return RX_NONE;
	while (p->nodes[a].kind == RX_IS_CAT) {
		if (!rx_charge(p, 1) || !RX_ROOM(p, stack, p->n_stack)) {
			p->n_stack = from;
			return RX_NONE;
		}
		p->stack[p->n_stack++] = p->nodes[a].a;
		a = p->nodes[a].b;
	}
	b = pair(p, a, b);
	while (p->n_stack > from)
		b = pair(p, p->stack[--p->n_stack], b);
	return p->failed ? RX_NONE : b;
}

rx rx_literal(struct rx_pool *p, const void *bytes, size_t n)
{
	const uint8_t *b = bytes;
	rx letters[256] = {RX_NONE}, out = RX_EMPTY;
	while (n && !p->failed) {
		uint8_t c = b[--n];
		if (letters[c] == RX_NONE)
			letters[c] = rx_byte(p, c);
		out = pair(p, letters[c], out);
	}
	return p->failed ? RX_NONE : out;
}

/* ---- repetition ---- */

rx rx_repeat(struct rx_pool *p, rx a, uint32_t min, uint32_t max)
{
	struct rx_pair inner;
	const struct rx_node *body = &p->nodes[a];
	assert(min <= max);
	if (p->failed)
		return RX_NONE;
	if (max == 0 || a == RX_EMPTY)
		return RX_EMPTY;
	if (a == RX_NONE)
		return min ? RX_NONE : RX_EMPTY;
	if (a == RX_ALL)
		return RX_ALL;
	if (body->nullable)
		min = 0;
	if (min == 1 && max == 1)
		return a;
	/* (x*)*, (x?)*, (x+)*: texts of x in any number, or of at least so many. */
	if (as_repeat(p, a, &inner) && inner.y <= 1 && max == RX_UNBOUNDED)
		return rx_repeat(p, inner.x, inner.y ? min : 0, RX_UNBOUNDED);
	if (as_repeat(p, a, &inner) && inner.y <= 1 && inner.z == RX_UNBOUNDED)
		return rx_repeat(p, inner.x, inner.y ? min : 0, RX_UNBOUNDED);
	if (body->nullable && max == 1)
		return a;
	struct rx_node n = {.kind = RX_IS_REPEAT, .a = a, .b = min, .c = max, .nullable = min == 0};
	n.least = sat_mul(body->least, min);
	n.life = min == 0 ? RX_ALIVE : body->life;
	n.classes = body->classes;
	return rx_intern_node(p, n, NULL);
}

/* ---- complement ---- */

rx rx_not(struct rx_pool *p, rx a)
{
	const struct rx_node *of = &p->nodes[a];
	if (p->failed)
		return RX_NONE;
	if (a == RX_NONE)
		return RX_ALL;
	if (a == RX_ALL)
		return RX_NONE;
	if (of->kind == RX_IS_NOT)
		return of->a;
	struct rx_node n = {.kind = RX_IS_NOT, .a = a, .nullable = !of->nullable, .classes = of->classes};
	n.life = n.nullable ? RX_ALIVE : RX_UNKNOWN;
	n.least = n.nullable ? 0 : 1;
	return rx_intern_node(p, n, NULL);
}

/* ---- unions and intersections ---- */

bool rx_add_part(struct rx_pool *p, rx part)
{
	if (!RX_ROOM(p, parts, p->n_parts))
		return false;
	p->parts[p->n_parts++] = part;
	return true;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void sort_parts(struct rx_pool *p, uint32_t from)
{
	uint32_t *v = p->parts + from, n = p->n_parts - from, kept = 0;
	bool sorted = true;
	for (uint32_t i = 1; i < n && sorted; i++)
		sorted = v[i - 1] < v[i];
	if (sorted)
		return;
	qsort(v, n, sizeof *v, by_number);
	for (uint32_t i = 0; i < n; i++)
		if (i == 0 || v[i] != v[i - 1])
			v[kept++] = v[i];
	p->n_parts = from + kept;
}

static bool has_part(const struct rx_pool *p, uint32_t from, rx part)
{
	return bsearch(&part, p->parts + from, p->n_parts - from, sizeof part, by_number) != NULL;
}

/* Parts of parts of the same kind side by side, the neutral ones left out, sets of bytes as one. True: an
 * absorbing one was met. */
static bool flatten(struct rx_pool *p, enum rx_kind kind, uint32_t from)
{
	rx neutral = kind == RX_IS_OR ? RX_NONE : RX_ALL, absorbing = kind == RX_IS_OR ? RX_ALL : RX_NONE;
	uint64_t flip = kind == RX_IS_OR ? 0 : UINT64_MAX; /* an intersection is a union of what is missing */
	uint64_t bits[4] = {0};
	uint32_t n_sets = 0, n = p->n_parts, kept = from;
	for (uint32_t i = from; i < n; i++) {
		rx part = p->parts[i];
		const struct rx_node *x = &p->nodes[part];
		if (part == absorbing)
			return true;
		if (part == neutral)
			continue;
		if (x->kind == RX_IS_SET) {
			for (int k = 0; k < 4; k++)
				bits[k] |= p->sets[x->a].bits[k] ^ flip;
			n_sets++;
			continue;
		}
		if (x->kind != kind) {
			p->parts[kept++] = part;
			continue;
		}
		for (uint32_t k = 0; k < x->b; k++) {
			rx inner = p->lists[x->a + k];
			if (p->nodes[inner].kind == RX_IS_SET && ++n_sets)
				for (int q = 0; q < 4; q++)
					bits[q] |= p->sets[p->nodes[inner].a].bits[q] ^ flip;
			else if (!rx_add_part(p, inner))
				return false;
		}
	}
	if (p->n_parts > n)
		memmove(p->parts + kept, p->parts + n, (p->n_parts - n) * sizeof *p->parts);
	p->n_parts -= n - kept;
	if (!n_sets)
		return false;
	for (int k = 0; k < 4; k++)
		bits[k] ^= flip;
	rx set = of_set(p, bits);
	if (set == absorbing)
		return true;
	rx_add_part(p, set);
	return false;
}

/*
 * Parts of a union that differ in one place alone: [ab]r | [cd]r = [abcd]r; hx{2,5}r | hx{4,9}r = hx{2,9}r.
 * Without it the counters of ambiguous bodies would pile up.
 */
struct merging {
	rx part, head, rest; /* part = head, what differs, rest */
	struct rx_pair of;   /* what: body and bounds, or (body 0) a set; body UINT32_MAX: nothing */
};

static void as_counted(const struct rx_pool *p, rx part, struct merging *m)
{
	const struct rx_node *n = &p->nodes[part];
	m->rest = RX_EMPTY;
	if (as_repeat(p, part, &m->of) || n->kind != RX_IS_CAT)
		return;
	m->rest = n->b;
	as_repeat(p, n->a, &m->of);
}

static struct merging merging_of(const struct rx_pool *p, rx part, bool sets)
{
	const struct rx_node *n = &p->nodes[part];
	struct merging m = {part, RX_EMPTY, RX_EMPTY, {UINT32_MAX, 0, 0}};
	if (sets) {
		const struct rx_node *head = n->kind == RX_IS_CAT ? &p->nodes[n->a] : n;
		m.rest = n->kind == RX_IS_CAT ? n->b : RX_EMPTY;
		if (head->kind == RX_IS_SET)
			m.of = (struct rx_pair){0, head->a, 0};
		return m;
	}
	as_counted(p, part, &m);
	if (m.of.x == UINT32_MAX && n->kind == RX_IS_CAT) {
		m.head = n->a;
		as_counted(p, n->b, &m);
	}
	return m;
}

/* RX_NONE: they stay two. */
static rx merge(struct rx_pool *p, const struct merging *x, const struct merging *y)
{
	uint64_t bits[4];
	if (x->of.x == UINT32_MAX || x->of.x != y->of.x || x->rest != y->rest || x->head != y->head)
		return RX_NONE;
	if (x->of.x == 0) {
		for (int k = 0; k < 4; k++)
			bits[k] = p->sets[x->of.y].bits[k] | p->sets[y->of.y].bits[k];
		return pair(p, of_set(p, bits), x->rest);
	}
	const struct merging *low = x->of.y <= y->of.y ? x : y, *high = low == x ? y : x;
	if (low->of.z != RX_UNBOUNDED && high->of.y > low->of.z + 1)
		return RX_NONE;
	uint32_t max = low->of.z > high->of.z ? low->of.z : high->of.z; /* RX_UNBOUNDED is the largest */
	return pair(p, x->head, pair(p, rx_repeat(p, x->of.x, low->of.y, max), x->rest));
}

static int by_merging(const void *a, const void *b)
{
	const struct merging *x = a, *y = b;
	if (x->of.x != y->of.x)
		return x->of.x < y->of.x ? -1 : 1;
	if (x->rest != y->rest)
		return x->rest < y->rest ? -1 : 1;
	if (x->head != y->head)
		return x->head < y->head ? -1 : 1;
	return (x->of.y > y->of.y) - (x->of.y < y->of.y);
}

static void merge_parts(struct rx_pool *p, uint32_t from, bool sets)
{
	struct merging few[16], *v = few;
	uint32_t n = p->n_parts - from, kept = from;
	if (n > 16 && !(v = malloc(n * sizeof *v))) {
		p->failed = true;
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		v[i] = merging_of(p, p->parts[from + i], sets);
	qsort(v, n, sizeof *v, by_merging);
	for (uint32_t i = 0; i < n;) {
		struct merging m = v[i++];
		for (rx both; i < n && (both = merge(p, &m, &v[i])) != RX_NONE; i++)
			m = merging_of(p, both, sets);
		p->parts[kept++] = m.part;
	}
	p->n_parts = kept;
	if (v != few)
		free(v);
	sort_parts(p, from);
}

static struct rx_node describe(struct rx_pool *p, enum rx_kind kind, uint32_t from)
{
	struct rx_node n = {.kind = (uint8_t)kind, .b = p->n_parts - from, .nullable = kind == RX_IS_AND};
	uint32_t n_dead = 0, n_alive = 0;
	n.least = kind == RX_IS_OR ? UINT32_MAX : 0;
	for (uint32_t i = from; i < p->n_parts; i++) {
		const struct rx_node *part = &p->nodes[p->parts[i]];
		n_dead += part->life == RX_DEAD;
		n_alive += part->life == RX_ALIVE;
		if (kind == RX_IS_OR) {
			n.nullable |= part->nullable;
			n.least = part->least < n.least ? part->least : n.least;
		} else {
			n.nullable &= part->nullable;
			n.least = part->least > n.least ? part->least : n.least;
		}
	}
	if (kind == RX_IS_OR)
		n.life = n_alive ? RX_ALIVE : n_dead == n.b ? RX_DEAD : RX_UNKNOWN;
	else
		n.life = n_dead ? RX_DEAD : n.nullable ? RX_ALIVE : RX_UNKNOWN;
	n.classes = rx_meet_parts(p, p->parts + from, n.b);
	return n;
}

/* x beside its complement, or (in an intersection) the empty text beside others. */
static bool absorbs(struct rx_pool *p, enum rx_kind kind, uint32_t from, rx *out)
{
	for (uint32_t i = from; i < p->n_parts; i++) {
		const struct rx_node *x = &p->nodes[p->parts[i]];
		if (x->kind == RX_IS_NOT && has_part(p, from, x->a)) {
			*out = kind == RX_IS_OR ? RX_ALL : RX_NONE;
			return true;
		}
	}
	if (kind == RX_IS_AND && has_part(p, from, RX_EMPTY)) {
		*out = describe(p, kind, from).nullable ? RX_EMPTY : RX_NONE;
		return true;
	}
	return false;
}

static void drop_empty(struct rx_pool *p, uint32_t from)
{
	if (p->n_parts == from || p->parts[from] != RX_EMPTY) /* the smallest number that stands here */
		return;
	for (uint32_t i = from + 1; i < p->n_parts; i++) {
		if (!p->nodes[p->parts[i]].nullable)
			continue;
		memmove(p->parts + from, p->parts + from + 1, (p->n_parts - from - 1) * sizeof *p->parts);
		p->n_parts--;
		return;
	}
}

rx rx_of_parts(struct rx_pool *p, enum rx_kind kind, uint32_t from)
{
	rx out = RX_NONE;
	if (!rx_charge(p, 1 + (p->n_parts - from) / 8)) {
		p->n_parts = from;
		return RX_NONE;
	}
	if (flatten(p, kind, from)) {
		p->n_parts = from;
		return kind == RX_IS_OR ? RX_ALL : RX_NONE;
	}
	sort_parts(p, from);
	for (int sets = 0; sets < 2 && kind == RX_IS_OR && p->n_parts - from > 1; sets++)
		merge_parts(p, from, sets);
	if (kind == RX_IS_OR)
		drop_empty(p, from);
	uint32_t n = p->n_parts - from;
	if (n == 0)
		out = kind == RX_IS_OR ? RX_NONE : RX_ALL;
	else if (n == 1)
		out = p->parts[from];
	else if ((out = rx_find_list(p, kind, p->parts + from, n)) == RX_NONE &&
		 !absorbs(p, kind, from, &out))
		out = rx_intern_node(p, describe(p, kind, from), p->parts + from);
	p->n_parts = from;
	return p->failed ? RX_NONE : out;
}

rx rx_or_many(struct rx_pool *p, const rx *parts, size_t n)
{
	uint32_t from = p->n_parts;
	for (size_t i = 0; i < n; i++)
		if (!rx_add_part(p, parts[i]))
			break;
	return rx_of_parts(p, RX_IS_OR, from);
}

rx rx_or(struct rx_pool *p, rx a, rx b)
{
	return a == b ? a : rx_or_many(p, (rx[2]){a, b}, 2);
}

rx rx_and(struct rx_pool *p, rx a, rx b)
{
	uint32_t from = p->n_parts;
	if (a == b)
		return a;
	if (!rx_add_part(p, a) || !rx_add_part(p, b))
		return RX_NONE;
	return rx_of_parts(p, RX_IS_AND, from);
}

bool rx_nullable(const struct rx_pool *p, rx a)
{
	return p->nodes[a].nullable;
}
