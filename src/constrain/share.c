#include "constrain/share.h"

#include <stdlib.h>
#include <string.h>

enum {
	SHARE_BUCKETS = 256,
	MAX_EXITS = 1 << 15,
	WIDE_BYTES = 24, /* so many of the printable bytes of ASCII may come next */
	MAX_PLAIN_NEXT = 6,
	MAX_PLAIN_SEEN = 256,
	MAX_STEPS = 1 << 16,
	MAX_REACH = 64,  /* of a chain: few tokens are longer */
	MAX_GROWING = 4, /* it ends where something more leads away, but not for its first ones */
	FOR_EVER = UINT16_MAX,
};

/* So many code points lead from one lead to the next, FOR_EVER: any number, as far as was looked. */
struct reach {
	rx of, at; /* behind n of them; of RX_NONE: nobody has asked */
	uint16_t n;
	bool over;     /* there are no more */
	bool broad;    /* all that is no ASCII may be among them */
	bool ends;     /* it may end at one of them */
	uint64_t away; /* kinds of bytes of which none may be among them */
};

/* What one plain code point makes of an expression. */
struct plain_steps {
	rx r;            /* RX_NONE: a free slot */
	uint8_t n_next;  /* distinct expressions after one */
	bool all;        /* every plain code point goes on */
	bool more;       /* than next holds */
	uint8_t n_bytes; /* printable ones that go on */
	bool mixed;      /* what is no ASCII leads to several */
	bool broad;      /* all that is no ASCII leads to `lead` */
	rx lead; /* what all of `bytes` lead to, no other ASCII, and what is no ASCII as one; RX_NONE: none */
	uint64_t bytes[2]; /* of ASCII */
	uint64_t apart;    /* kinds of the other plain ones that go on */
	rx main;           /* what every plain code point leads to but some of ASCII; RX_NONE: none */
	uint64_t away;     /* kinds of all bytes of ASCII that do not lead to `lead` */
	struct reach reach;
	rx next[MAX_PLAIN_NEXT];
};

/* What of ASCII the classes of an expression hold, those with plain bytes first, in the order of these: so
 * that an expression is looked at a class at a time. */
struct plain_classes {
	unsigned n;
	struct plain_class {
		uint8_t byte; /* one of it */
		uint8_t n_plain;
		bool beyond;                      /* has a byte that begins what is no ASCII */
		uint64_t plain[2];                /* bytes of ASCII */
		uint64_t plain_kinds, more_kinds; /* of these, and of the rest of ASCII */
	} of[];
};

static bool is_alive(struct rx_pool *p, rx r)
{
	return r != RX_NONE && (p->nodes[r].life == RX_ALIVE || rx_alive(p, r));
}

static void add_next(struct rx_pool *p, struct plain_steps *s, rx r)
{
	if (!is_alive(p, r)) {
		s->all = false;
		return;
	}
	for (unsigned i = 0; i < s->n_next; i++)
		if (s->next[i] == r)
			return;
	if (s->n_next == MAX_PLAIN_NEXT)
		s->more = true;
	else
		s->next[s->n_next++] = r;
}

static void add_main(struct rx_pool *p, struct plain_steps *s, rx r)
{
	s->mixed = s->mixed || (s->main != RX_NONE && s->main != r);
	s->main = r;
	add_next(p, s, r);
}

static bool is_plain(unsigned b)
{
	return b >= 0x20 && b < 0x80 && b != '"' && b != '\\';
}

/* Adds the class of b, unless it is there. */
static void add_class(struct plain_classes *c, const struct rx_classes *classes, unsigned b,
		      uint8_t places[256])
{
	uint8_t *place = &places[classes->of[b]];
	if (*place)
		return;
	c->of[c->n] = (struct plain_class){.byte = (uint8_t)b};
	*place = (uint8_t)++c->n;
}

/* NULL: no memory. */
static const struct plain_classes *classes_of(struct masks *k, rx r)
{
	const struct rx_pool *p = k->machine->pool;
	uint32_t number = p->nodes[r].classes;
	const struct rx_classes *classes = &p->classes[number];
	uint8_t places[256] = {0}; /* + 1; of the 179 bytes that are looked at */
	if (number >= k->n_classes) {
		uint32_t n = number + 64;
		struct plain_classes **more = realloc(k->classes, n * sizeof(struct plain_classes *));
		if (!more)
			return NULL;
		memset(more + k->n_classes, 0, (n - k->n_classes) * sizeof(struct plain_classes *));
		k->classes = more;
		k->n_classes = n;
	}
	if (k->classes[number])
		return k->classes[number];
	size_t n_bytes = sizeof(struct plain_classes) + classes->n * sizeof(struct plain_class);
	struct plain_classes *c = calloc(1, n_bytes);
	if (!c)
		return NULL;
	k->class_bytes += n_bytes;
	for (unsigned b = 0x20; b < 0x80; b++)
		if (is_plain(b))
			add_class(c, classes, b, places);
	for (unsigned b = 0; b <= 0xF4; b++) {
		if (b >= 0x80 && b < 0xC2)
			continue;
		add_class(c, classes, b, places);
		struct plain_class *x = &c->of[places[classes->of[b]] - 1];
		if (b >= 0x80) {
			x->beyond = true;
		} else if (is_plain(b)) {
			x->n_plain++;
			x->plain[b >> 6] |= UINT64_C(1) << (b & 63);
			x->plain_kinds |= vocab_kinds((uint8_t)b);
		} else {
			x->more_kinds |= vocab_kinds((uint8_t)b);
		}
	}
	return k->classes[number] = c;
}

/* What bytes lead to: once for those that need not be told apart, when it is asked for. */
struct ways {
	struct rx_pool *pool;
	rx r;
	uint8_t of[256];
	rx to[256];
	enum { UNASKED, DEAD_END, ALIVE } life[256];
};

static void begin_ways(struct ways *w, struct rx_pool *p, rx r)
{
	const struct rx_classes *classes = rx_classes_of(p, r);
	w->pool = p;
	w->r = r;
	memcpy(w->of, classes->of, sizeof w->of);
	memset(w->life, 0, classes->n * sizeof *w->life);
}

static rx way(struct ways *w, unsigned byte)
{
	unsigned i = w->of[byte];
	if (w->life[i] == UNASKED) {
		w->to[i] = rx_derive(w->pool, w->r, (uint8_t)byte);
		w->life[i] = is_alive(w->pool, w->to[i]) ? ALIVE : DEAD_END;
	}
	return w->to[i];
}

static bool is_way(struct ways *w, unsigned byte)
{
	return way(w, byte) != RX_NONE && w->life[w->of[byte]] == ALIVE;
}

/* All continuations of so many bytes more, 80 to BF, the first of them within bounds. */
static void add_continued(struct rx_pool *p, struct plain_steps *s, rx r, unsigned more, unsigned first,
			  unsigned last)
{
	int before = -1;
	for (unsigned b = first; b <= last && s->all; b++) {
		int class = rx_classes_of(p, r)->of[b];
		if (class == before)
			continue;
		before = class;
		rx d = rx_derive(p, r, (uint8_t)b);
		if (!is_alive(p, d))
			s->all = false;
		else if (more == 1)
			add_main(p, s, d);
		else
			add_continued(p, s, d, more - 1, 0x80, 0xBF);
	}
}

/* The leading bytes of UTF-8 that ask for the same bytes behind them. */
static const struct {
	uint8_t first, last, more, low, high;
} leads[] = {{0xC2, 0xDF, 1, 0x80, 0xBF}, {0xE0, 0xE0, 2, 0xA0, 0xBF}, {0xE1, 0xEC, 2, 0x80, 0xBF},
	     {0xED, 0xED, 2, 0x80, 0x9F}, {0xEE, 0xEF, 2, 0x80, 0xBF}, {0xF0, 0xF0, 3, 0x90, 0xBF},
	     {0xF1, 0xF3, 3, 0x80, 0xBF}, {0xF4, 0xF4, 3, 0x80, 0x8F}};

/* All that is no ASCII: s->all, main, mixed. */
static void look_beyond_ascii(struct rx_pool *p, struct plain_steps *s, struct ways *w)
{
	s->all = true;
	for (size_t i = 0; i < sizeof leads / sizeof *leads && s->all; i++) {
		rx before = RX_NONE;
		for (unsigned b = leads[i].first; b <= leads[i].last && s->all; b++) {
			if (b > leads[i].first && way(w, b) == before)
				continue;
			before = way(w, b);
			if (!is_way(w, b))
				s->all = false;
			else
				add_continued(p, s, before, leads[i].more, leads[i].low, leads[i].high);
		}
	}
}

/* What most of ASCII leads to, where nothing else goes on. RX_NONE: none. */
static rx most_of_ascii(const struct plain_steps *s, const struct plain_classes *c, struct ways *w)
{
	unsigned counts[MAX_PLAIN_NEXT] = {0}, most = 0;
	for (unsigned i = 0; i < c->n; i++) {
		if (c->of[i].beyond && is_way(w, c->of[i].byte))
			return RX_NONE;
		for (unsigned j = 0; c->of[i].n_plain && j < s->n_next; j++)
			if (way(w, c->of[i].byte) == s->next[j])
				counts[j] += c->of[i].n_plain;
	}
	for (unsigned j = 1; j < s->n_next; j++)
		most = counts[j] > counts[most] ? j : most;
	return counts[most] ? s->next[most] : RX_NONE;
}

static void look_for_lead(struct plain_steps *s, const struct plain_classes *c, struct ways *w,
			  bool all_beyond)
{
	s->broad = all_beyond && !s->mixed;
	s->lead = s->broad ? s->main : all_beyond ? (rx)RX_NONE : most_of_ascii(s, c, w);
	for (unsigned i = 0; i < c->n && s->lead != RX_NONE; i++) {
		const struct plain_class *x = &c->of[i];
		bool leads_on = (x->n_plain || s->broad) && way(w, x->byte) == s->lead;
		s->away |= leads_on ? (s->broad ? 0 : x->more_kinds) : x->plain_kinds | x->more_kinds;
		s->bytes[0] |= leads_on ? x->plain[0] : 0;
		s->bytes[1] |= leads_on ? x->plain[1] : 0;
		if (!leads_on && x->n_plain && is_way(w, x->byte))
			s->apart |= x->plain_kinds;
	}
}

static void look(struct rx_pool *p, struct plain_steps *s, const struct plain_classes *c)
{
	struct ways w;
	begin_ways(&w, p, s->r);
	s->all = true;
	for (unsigned i = 0; i < c->n && c->of[i].n_plain; i++) {
		if (is_way(&w, c->of[i].byte))
			s->n_bytes = (uint8_t)(s->n_bytes + c->of[i].n_plain);
		add_next(p, s, way(&w, c->of[i].byte));
	}
	bool all_ascii = s->all;
	look_beyond_ascii(p, s, &w);
	look_for_lead(s, c, &w, s->all);
	s->all &= all_ascii;
	if (!s->all || s->mixed)
		s->main = RX_NONE;
}

static struct plain_steps *slot_of(struct plain_steps *steps, uint32_t cap, rx r)
{
	uint32_t i = (r * 2654435761u) & (cap - 1);
	while (steps[i].r != RX_NONE && steps[i].r != r)
		i = (i + 1) & (cap - 1);
	return &steps[i];
}

/* r is not RX_NONE. NULL: no memory. */
static struct plain_steps *steps_of(struct masks *k, rx r)
{
	if (k->n_steps >= MAX_STEPS) {
		memset(k->steps, 0, k->cap_steps * sizeof *k->steps);
		k->n_steps = 0;
	}
	if (2 * (k->n_steps + 1) > k->cap_steps) {
		uint32_t cap = k->cap_steps ? 2 * k->cap_steps : 256;
		struct plain_steps *more = calloc(cap, sizeof *more);
		if (!more)
			return NULL;
		for (uint32_t i = 0; i < k->cap_steps; i++)
			if (k->steps[i].r != RX_NONE)
				*slot_of(more, cap, k->steps[i].r) = k->steps[i];
		free(k->steps);
		k->steps = more;
		k->cap_steps = cap;
	}
	struct plain_steps *s = slot_of(k->steps, k->cap_steps, r);
	if (s->r == RX_NONE) {
		const struct plain_classes *c = classes_of(k, r);
		if (!c)
			return NULL;
		*s = (struct plain_steps){.r = r};
		look(k->machine->pool, s, c);
		k->n_steps++;
	}
	return s;
}

bool share_is_wide(struct masks *k, rx r)
{
	const struct plain_steps *s = r == RX_NONE ? NULL : steps_of(k, r);
	return s && s->n_bytes >= WIDE_BYTES;
}

/* So many plain code points may come, whichever they are: 0 to VOCAB_MAX_PLAIN, which means any number that a
 * token has if it is found that none ever fails. Where r may end on the way does not
 * matter: what is inside r as a whole need not be found behind it. */
static uint32_t free_run(struct masks *k, rx r)
{
	rx seen[MAX_PLAIN_SEEN] = {r};
	uint32_t n = 1, from = 0;
	for (uint32_t run = 0; run < VOCAB_MAX_PLAIN; run++) {
		uint32_t to = n;
		for (uint32_t i = from; i < to; i++) {
			const struct plain_steps *s = steps_of(k, seen[i]);
			if (!s || !s->all || s->more)
				return run;
			for (unsigned j = 0; j < s->n_next; j++) {
				uint32_t at = 0;
				while (at < n && seen[at] != s->next[j])
					at++;
				if (at < n)
					continue;
				if (n == MAX_PLAIN_SEEN)
					return run;
				seen[n++] = s->next[j];
			}
		}
		if (n == to)
			return UINT32_MAX; /* nothing new: for ever */
		from = to;
	}
	return VOCAB_MAX_PLAIN;
}

/* Any plain text may come, and the same expression remains. */
static bool is_forever(struct masks *k, rx r)
{
	const struct plain_steps *s = steps_of(k, r);
	return s && s->all && !s->more && s->n_next == 1 && s->next[0] == r;
}

/* What is known of r. False: no memory. */
static bool reach_of(struct masks *k, rx r, struct reach *out)
{
	const struct plain_steps *s = steps_of(k, r);
	if (!s)
		return false;
	*out = s->reach.of == r
		       ? s->reach
		       : (struct reach){
				 .of = r, .at = r, .broad = true, .ends = rx_nullable(k->machine->pool, r)};
	return true;
}

/* A lead further. False: no memory. */
static bool reach_on(struct masks *k, struct reach *x)
{
	const struct plain_steps *s = steps_of(k, x->at);
	if (!s)
		return false;
	x->over = s->lead == RX_NONE || x->n == MAX_REACH || (x->n >= MAX_GROWING && s->away & ~x->away);
	if (x->over)
		return true;
	x->away |= s->away;
	x->broad &= s->broad;
	x->ends |= rx_nullable(k->machine->pool, s->lead);
	if (s->lead == x->at) {
		x->n = FOR_EVER;
		x->over = true;
	} else {
		x->at = s->lead;
		x->n++;
	}
	return true;
}

/* Goes as far as the answer needs: is everything alive of at most `longest` code points, whose bytes have the
 * kinds `below`, behind x->of? False: it may be. *failed: no memory. */
static bool reaches(struct masks *k, struct reach *x, uint32_t longest, uint64_t below, bool other,
		    bool *failed)
{
	uint16_t before = x->n;
	bool was_over = x->over, clear;
	for (;;) {
		uint64_t away = other ? x->away : (x->away & ~VOCAB_BEYOND) | (x->broad ? 0 : VOCAB_BEYOND);
		clear = !(below & away);
		if (!clear || x->n >= longest || x->over)
			break;
		if ((*failed = !reach_on(k, x)))
			return false;
	}
	if (x->n != before || x->over != was_over) {
		struct plain_steps *s = steps_of(k, x->of);
		if ((*failed = !s))
			return false;
		s->reach = *x;
	}
	return clear && x->n >= longest;
}

static uint64_t kinds_of(const uint64_t bytes[2])
{
	uint64_t kinds = 0;
	for (unsigned b = 0; b < 0x80; b++)
		if (bytes[b >> 6] >> (b & 63) & 1)
			kinds |= vocab_kinds((uint8_t)b);
	return kinds;
}

/* Nothing of the chain's bytes goes on at its last expression, nor what is no ASCII. */
static bool is_closed(struct rx_pool *p, rx last, const struct share_chain *c)
{
	struct ways w;
	begin_ways(&w, p, last);
	for (unsigned b = 0; b <= 0xF4; b++)
		if ((b >= 0xC2 || (b < 0x80 && c->bytes[b >> 6] >> (b & 63) & 1)) && is_way(&w, b))
			return false;
	return true;
}

static bool is_of_chain(const struct plain_steps *s, const struct share_chain *c)
{
	return s->lead != RX_NONE && s->broad == c->broad && s->bytes[0] == c->bytes[0] &&
	       s->bytes[1] == c->bytes[1];
}

/*
 * Where the bytes of a set lead from r on to one expression after the other, and all others are dead or go
 * apart: the plain tokens of the set alone are inside as far as they are short enough. False: that does not
 * settle them all, or exits would have to be looked for among them.
 */
static bool chain_of(struct masks *k, rx r, bool open, struct share_chain *c)
{
	struct rx_pool *p = k->machine->pool;
	const struct plain_steps *s = steps_of(k, r);
	if (!s || s->lead == RX_NONE)
		return false;
	*c = (struct share_chain){.bytes = {s->bytes[0], s->bytes[1]}, .broad = s->broad};
	if (!(c->set = vocab_set_of(k->vocab, c->bytes, c->broad)))
		return false;
	bool ends = false;
	rx at = r;
	for (;;) {
		c->apart |= s->apart;
		ends |= rx_nullable(p, at);
		if (!is_of_chain(s, c)) {
			c->apart |= kinds_of(s->bytes);
			if (!is_closed(p, at, c))
				return false;
			break;
		}
		c->reach = s->lead == at ? UINT32_MAX : c->reach;
		if (c->reach >= vocab_set_longest(c->set))
			break;
		at = s->lead;
		c->reach++;
		if (!(s = steps_of(k, at)))
			return false;
	}
	return (open || !ends) && vocab_set_knows(c->set, c->reach);
}

void share_mark(struct share *sh, const struct vocab_trie *t, uint32_t first, uint32_t last, bool inside)
{
	for (uint32_t j = first; j < last; j++) {
		uint32_t bit = UINT32_C(1) << t->ids[j] % 32, *word = &sh->inside[t->ids[j] / 32];
		*word = inside ? *word | bit : *word & ~bit;
	}
}

bool share_walk(struct masks *k, struct share *sh, const struct share_walk *w, uint32_t *n_found)
{
	struct rx_pool *p = k->machine->pool;
	const struct vocab_trie *t = w->t;
	struct mask_level *way = k->levels;
	uint32_t depth = 0;
	struct reach reach = {.of = RX_NONE};
	uint32_t n_pure = w->chain ? 1 : 0; /* levels to which the chain's bytes alone lead */
	way[0] = (struct mask_level){t->end[w->from], w->state};
	for (uint32_t i = w->from + 1; i < t->end[w->from];) {
		while (way[depth].end <= i)
			depth--;
		n_pure = n_pure > depth + 1 ? depth + 1 : n_pure;
		bool pure = depth < n_pure && share_chain_has(w->chain, t->byte[i]);
		if ((t->longest && t->longest[i] <= w->run) ||
		    (depth < n_pure && share_chain_settles(w->chain, t->byte[i], t->below[i]))) {
			i = t->end[i];
			continue;
		}
		rx d = rx_derive_known(p, way[depth].state, t->byte[i]);
		if (!is_alive(p, d)) {
			if (rx_failed(p))
				return false;
			if (w->taken)
				share_mark(sh, t, t->tokens[i], t->tokens[t->end[i]], false);
			i = t->end[i];
			continue;
		}
		uint32_t n_below = t->end[i] - i - 1;
		if (n_below && d != reach.of && !reach_of(k, d, &reach))
			return false;
		bool failed = false, settled = n_below && (t->longest || t->below[i] != UINT64_MAX) &&
					       reaches(k, &reach, t->longest ? t->longest[i] : t->depth,
						       t->below[i], w->other, &failed);
		if (failed)
			return false;
		bool whole = settled || (w->taken && is_forever(k, d));
		if (!w->taken)
			share_mark(sh, t, t->tokens[i], t->tokens[whole ? t->end[i] : i + 1], true);
		if (whole) {
			sh->skips |= reach.of == d && reach.ends; /* else there were none to be found */
			i = t->end[i];
			continue;
		}
		if (t->end[i] > i + 1) {
			if (!sh->open && rx_nullable(p, d)) {
				if (*n_found == MAX_EXITS) {
					sh->too_wide = true;
					return true;
				}
				k->found[2 * *n_found] = i;
				k->found[2 * (*n_found)++ + 1] = w->other;
			}
			way[++depth] = (struct mask_level){t->end[i], d};
			n_pure += pure;
		}
		i++;
	}
	return true;
}

/* The plain tokens of the chain's set at once; those that go apart, and what is not plain, node by node. */
static bool fill_by_chain(struct masks *k, struct share *sh, const struct share_chain *c)
{
	const struct constrain_vocab *v = k->vocab;
	uint32_t n_found = 0;
	vocab_set_take(v, c->set, c->reach, sh->inside);
	const struct share_walk other = {&v->other, true, false, 0, 0, sh->r, NULL},
				plain = {&v->plain, false, false, 0, 0, sh->r, c};
	if (!share_walk(k, sh, &other, &n_found))
		return false;
	if (!sh->too_wide && c->apart && !share_walk(k, sh, &plain, &n_found))
		return false;
	return share_keep(k, sh, n_found);
}

/* Most text leads from r, or from behind one code point, to one expression each time. */
static bool goes_straight(struct masks *k, rx r)
{
	const struct plain_steps *s = steps_of(k, r);
	rx next[MAX_PLAIN_NEXT];
	unsigned n = s ? s->n_next : 0;
	bool straight = s && s->main != RX_NONE;
	if (n)
		memcpy(next, s->next, n * sizeof *next); /* the table may move */
	for (unsigned i = 0; i < n && !straight; i++)
		straight = (s = steps_of(k, next[i])) && s->main != RX_NONE;
	return straight;
}

static bool fill(struct masks *k, struct share *sh)
{
	const struct constrain_vocab *v = k->vocab;
	const struct plain_steps *steps = steps_of(k, sh->r);
	bool all = steps && steps->all && steps->more;
	uint32_t run = all ? 0 : free_run(k, sh->r), n_found = 0;
	all = all || run == UINT32_MAX || goes_straight(k, sh->r);
	if (!steps || rx_failed(k->machine->pool))
		return false;
	uint32_t row = all ? VOCAB_MAX_PLAIN + 1 : run;
	memcpy(sh->inside, v->plain_masks + (size_t)row * v->n_words, v->n_words * sizeof *sh->inside);
	const struct share_walk other = {&v->other, true, false, 0, 0, sh->r, NULL},
				plain = {&v->plain, false, all, run < 254 ? run : 254, 0, sh->r, NULL};
	sh->skips = all || run > 0;
	if (!share_walk(k, sh, &other, &n_found))
		return false;
	if (!sh->too_wide && run < v->longest_plain && !share_walk(k, sh, &plain, &n_found))
		return false;
	return share_keep(k, sh, n_found);
}

static bool make_share(struct masks *k, struct share *sh)
{
	struct share_chain chain = {.set = NULL};
	bool by_chain = chain_of(k, sh->r, sh->open, &chain), made = by_chain && fill_by_chain(k, sh, &chain);
	if (chain.set)
		vocab_set_release(k->vocab, chain.set);
	if (by_chain || rx_failed(k->machine->pool))
		return made;
	enum share_like like = share_from_likes(k, sh);
	return like == SHARE_LIKE || (like == SHARE_UNLIKE && fill(k, sh));
}

bool share_keep(const struct masks *k, struct share *sh, uint32_t n_found)
{
	if (sh->too_wide) {
		free(sh->inside);
		sh->inside = NULL;
		return true;
	}
	sh->exits = malloc((n_found + 1) * sizeof *sh->exits);
	if (!sh->exits)
		return false;
	for (uint32_t i = 0; i < n_found; i++)
		sh->exits[i] = (struct share_exit){k->found[2 * i], k->found[2 * i + 1]};
	sh->n_exits = n_found;
	return true;
}

static size_t bytes_of(const struct masks *k, const struct share *sh)
{
	return sizeof *sh + (sh->inside ? k->vocab->n_words * sizeof *sh->inside : 0) +
	       sh->n_exits * sizeof *sh->exits;
}

static void share_free(struct share *sh)
{
	free(sh->inside);
	free(sh->exits);
	free(sh);
}

static struct share **find_oldest(const struct masks *k)
{
	struct share **oldest = NULL;
	for (uint32_t i = 0; k->shares && i < SHARE_BUCKETS; i++)
		for (struct share **at = &k->shares[i]; *at; at = &(*at)->next)
			if (!oldest || (*at)->used < (*oldest)->used)
				oldest = at;
	return oldest;
}

static void forget_oldest(struct masks *k)
{
	struct share **at = find_oldest(k), *gone = *at;
	*at = gone->next;
	k->share_bytes -= bytes_of(k, gone);
	share_free(gone);
}

static struct share **bucket_of(const struct masks *k, rx r)
{
	return &k->shares[(r * 2654435761u) >> 24];
}

struct share *share_find(struct masks *k, rx r, bool open)
{
	for (struct share *sh = *bucket_of(k, r); sh; sh = sh->next)
		if (sh->r == r && sh->open == open) {
			sh->used = ++k->clock;
			return sh;
		}
	return NULL;
}

struct share *share_get(struct masks *k, rx r, bool open)
{
	if (!k->shares && !(k->shares = calloc(SHARE_BUCKETS, sizeof(struct share *))))
		return NULL;
	if (!k->found && !(k->found = malloc(2 * MAX_EXITS * sizeof *k->found)))
		return NULL;
	struct share **bucket = bucket_of(k, r);
	struct share *known = share_find(k, r, open);
	if (known)
		return known;
	while (k->share_bytes > k->max_share_bytes)
		forget_oldest(k);
	struct share *sh = calloc(1, sizeof *sh);
	if (!sh)
		return NULL;
	*sh = (struct share){.r = r, .open = open, .used = ++k->clock};
	sh->inside = malloc(k->vocab->n_words * sizeof *sh->inside);
	if (!sh->inside || !make_share(k, sh)) {
		share_free(sh);
		return NULL;
	}
	k->share_bytes += bytes_of(k, sh);
	sh->next = *bucket;
	*bucket = sh;
	return sh;
}

void shares_clear(struct masks *k)
{
	while (find_oldest(k))
		forget_oldest(k);
	if (k->steps)
		memset(k->steps, 0, k->cap_steps * sizeof *k->steps);
	k->n_steps = 0;
	for (uint32_t i = 0; i < k->n_classes; i++) {
		free(k->classes[i]);
		k->classes[i] = NULL;
	}
	k->class_bytes = 0;
	share_likes_clear(k);
}

void shares_free(struct masks *k)
{
	shares_clear(k);
	share_likes_free(k);
	free(k->shares);
	free(k->steps);
	free(k->classes);
	free(k->found);
}
