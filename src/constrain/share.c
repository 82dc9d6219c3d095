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
	MAX_REACH = 254, /* below where a trie's counts of code points end */
	FOR_EVER = UINT16_MAX,
};

/* What one plain code point makes of an expression. */
struct plain_steps {
	rx r;            /* RX_NONE: a free slot */
	uint8_t n_next;  /* distinct expressions after one */
	bool all;        /* every plain code point goes on */
	bool more;       /* than next holds */
	uint8_t n_bytes; /* printable ones that go on */
	bool mixed;      /* what is no ASCII leads to several */
	rx main;       /* what every plain code point leads to but those of ASCII in `away`; RX_NONE: none */
	uint64_t away; /* kinds of bytes */
	/* So many code points lead from one main to the next, FOR_EVER: any number; kinds that lead away from
	 * one of them. Once they were asked for. */
	bool reached;
	uint16_t reach;
	uint64_t reach_away;
	bool reach_ends; /* it may end at one of them */
	rx next[MAX_PLAIN_NEXT];
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

/* All continuations of so many bytes more, 80 to BF, the first of them within bounds. */
static void add_continued(struct rx_pool *p, struct plain_steps *s, rx r, unsigned more, unsigned first,
			  unsigned last)
{
	rx before = RX_NONE;
	for (unsigned b = first; b <= last && s->all; b++) {
		rx d = rx_derive(p, r, (uint8_t)b);
		if (b > first && d == before)
			continue;
		before = d;
		if (!is_alive(p, d))
			s->all = false;
		else if (more == 1)
			add_main(p, s, d);
		else
			add_continued(p, s, d, more - 1, 0x80, 0xBF);
	}
}

static void look(struct rx_pool *p, struct plain_steps *s)
{
	/* The leading bytes of UTF-8 that ask for the same bytes behind them. */
	static const struct {
		uint8_t first, last, more, low, high;
	} leads[] = {{0xC2, 0xDF, 1, 0x80, 0xBF}, {0xE0, 0xE0, 2, 0xA0, 0xBF}, {0xE1, 0xEC, 2, 0x80, 0xBF},
		     {0xED, 0xED, 2, 0x80, 0x9F}, {0xEE, 0xEF, 2, 0x80, 0xBF}, {0xF0, 0xF0, 3, 0x90, 0xBF},
		     {0xF1, 0xF3, 3, 0x80, 0xBF}, {0xF4, 0xF4, 3, 0x80, 0x8F}};
	s->all = true;
	rx before = RX_NONE;
	for (unsigned b = 0x20; b < 0x80; b++) {
		if (b == '"' || b == '\\')
			continue;
		rx d = rx_derive(p, s->r, (uint8_t)b);
		s->n_bytes = (uint8_t)(s->n_bytes + is_alive(p, d));
		if (b == 0x20 || d != before)
			add_next(p, s, d);
		before = d;
	}
	for (size_t i = 0; i < sizeof leads / sizeof *leads && s->all; i++) {
		before = RX_NONE;
		for (unsigned b = leads[i].first; b <= leads[i].last && s->all; b++) {
			rx d = rx_derive(p, s->r, (uint8_t)b);
			if (b > leads[i].first && d == before)
				continue;
			before = d;
			if (!is_alive(p, d))
				s->all = false;
			else
				add_continued(p, s, d, leads[i].more, leads[i].low, leads[i].high);
		}
	}
	if (!s->all || s->mixed)
		s->main = RX_NONE;
	for (unsigned b = 0; b < 0x80 && s->main != RX_NONE; b++)
		if (rx_derive(p, s->r, (uint8_t)b) != s->main)
			s->away |= vocab_kinds((uint8_t)b);
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
		*s = (struct plain_steps){.r = r};
		look(k->machine->pool, s);
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

/* With reach and reach_away. NULL: no memory. */
static const struct plain_steps *reach_of(struct masks *k, rx r)
{
	struct plain_steps *s = steps_of(k, r);
	uint64_t away = 0;
	unsigned n = 0;
	rx at = r;
	if (!s || s->reached)
		return s;
	bool ends = rx_nullable(k->machine->pool, r);
	while (n < MAX_REACH && s && s->main != RX_NONE) {
		away |= s->away;
		ends |= rx_nullable(k->machine->pool, s->main);
		if (s->main == at) {
			n = FOR_EVER;
			break;
		}
		at = s->main;
		n++;
		s = steps_of(k, at);
	}
	s = s ? steps_of(k, r) : NULL; /* the table may have moved */
	if (s) {
		s->reached = true;
		s->reach = (uint16_t)n;
		s->reach_away = away;
		s->reach_ends = ends;
	}
	return s;
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
	rx looked = RX_NONE; /* reach and away are of it */
	uint64_t away = 0;
	uint32_t reach = 0;
	bool ends = false;
	way[0] = (struct mask_level){t->end[w->from], w->state};
	for (uint32_t i = w->from + 1; i < t->end[w->from];) {
		while (way[depth].end <= i)
			depth--;
		if (t->longest && t->longest[i] <= w->run) {
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
		if (d != looked) {
			const struct plain_steps *s = reach_of(k, d);
			if (!s)
				return false;
			looked = d;
			away = s->reach_away;
			reach = s->reach;
			ends = s->reach_ends;
		}
		bool settled = (t->longest ? t->longest[i] : t->depth) <= reach && !(t->below[i] & away) &&
			       (t->longest || t->below[i] != UINT64_MAX);
		bool whole = settled || (w->taken && is_forever(k, d));
		if (!w->taken)
			share_mark(sh, t, t->tokens[i], t->tokens[whole ? t->end[i] : i + 1], true);
		if (whole) {
			sh->skips |= ends; /* else there were none to be found */
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
		}
		i++;
	}
	return true;
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
	const struct share_walk other = {&v->other, true, false, 0, 0, sh->r},
				plain = {&v->plain, false, all, run < 254 ? run : 254, 0, sh->r};
	sh->skips = all || run > 0;
	if (!share_walk(k, sh, &other, &n_found))
		return false;
	if (!sh->too_wide && run < v->longest_plain && !share_walk(k, sh, &plain, &n_found))
		return false;
	return share_keep(k, sh, n_found);
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
	enum share_like like = sh->inside ? share_from_likes(k, sh) : SHARE_FAILED;
	if (like == SHARE_FAILED || (like == SHARE_UNLIKE && !fill(k, sh))) {
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
	share_likes_clear(k);
}

void shares_free(struct masks *k)
{
	shares_clear(k);
	share_likes_free(k);
	free(k->shares);
	free(k->steps);
	free(k->found);
}
