#include "constrain/vocab_set.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
	N_SETS = 16,
	MAX_POINTS = 255,
	N_ASKED = 64,
	MIN_ASKED = 4, /* times before one is made, which takes about a walk of the trie */
};

/* A set that was asked for and is not made. */
struct asked {
	uint64_t bytes[2];
	bool broad;
	uint32_t times;
};

struct vocab_set {
	uint64_t bytes[2];
	bool broad, whole;             /* whole: all plain ones, of which the vocabulary has masks */
	uint32_t longest;              /* code points of the set in front of a plain token */
	uint32_t *all;                 /* bits */
	uint32_t *ids;                 /* by code points */
	uint32_t from[MAX_POINTS + 2]; /* of ids: those of so many; the last: as many or more */
	uint32_t n_held;
	uint64_t used;
};

struct vocab_sets {
	pthread_mutex_t lock;
	struct vocab_set *at[N_SETS];
	uint64_t clock;
	struct asked asked[N_ASKED];
	uint32_t next_asked;
};

struct vocab_sets *vocab_sets_new(void)
{
	struct vocab_sets *s = calloc(1, sizeof *s);
	if (s && pthread_mutex_init(&s->lock, NULL)) {
		free(s);
		return NULL;
	}
	return s;
}

static void set_free(struct vocab_set *s)
{
	if (!s)
		return;
	free(s->all);
	free(s->ids);
	free(s);
}

void vocab_sets_free(struct vocab_sets *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < N_SETS; i++)
		set_free(s->at[i]);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static bool has(const struct vocab_set *s, uint8_t byte)
{
	return byte < 0x80 ? s->bytes[byte >> 6] >> (byte & 63) & 1 : s->broad;
}

/* A token that was found, and its code points. */
struct found {
	uint32_t id, points;
};

struct level {
	uint32_t end, points;
};

/* The tokens of the set in the order of the trie. Returns how many. */
static uint32_t find(const struct vocab_trie *t, struct vocab_set *s, struct level *way, struct found *found)
{
	uint32_t depth = 0, n = 0;
	way[0] = (struct level){t->n, 0};
	for (uint32_t i = 1; i < t->n;) {
		while (way[depth].end <= i)
			depth--;
		if (!has(s, t->byte[i])) {
			i = t->end[i];
			continue;
		}
		uint32_t points = way[depth].points + ((t->byte[i] & 0xC0) != 0x80);
		s->longest = points > s->longest ? points : s->longest;
		for (uint32_t j = t->tokens[i]; j < t->tokens[i + 1]; j++)
			found[n++] = (struct found){t->ids[j], points < MAX_POINTS ? points : MAX_POINTS};
		if (t->end[i] > i + 1)
			way[++depth] = (struct level){t->end[i], points};
		i++;
	}
	return n;
}

/* Sorted by code points. */
static bool keep(const struct constrain_vocab *v, struct vocab_set *s, const struct found *found, uint32_t n)
{
	uint32_t sum = 0, at[MAX_POINTS + 1];
	s->ids = malloc(((size_t)n + 1) * sizeof *s->ids);
	s->all = calloc(v->n_words, sizeof *s->all);
	if (!s->ids || !s->all)
		return false;
	for (uint32_t i = 0; i < n; i++)
		s->from[found[i].points]++;
	for (uint32_t i = 0; i <= MAX_POINTS; i++) {
		at[i] = sum;
		sum += s->from[i];
		s->from[i] = at[i];
	}
	s->from[MAX_POINTS + 1] = sum;
	for (uint32_t i = 0; i < n; i++) {
		s->ids[at[found[i].points]++] = found[i].id;
		s->all[found[i].id / 32] |= UINT32_C(1) << found[i].id % 32;
	}
	return true;
}

static bool is_whole(const uint64_t bytes[2], bool broad)
{
	return broad && bytes[0] == ~(UINT64_C(0xffffffff) | UINT64_C(1) << '"') &&
	       bytes[1] == ~(UINT64_C(1) << ('\\' - 64));
}

static bool make(const struct constrain_vocab *v, struct vocab_set *s)
{
	const struct vocab_trie *t = &v->plain;
	s->whole = is_whole(s->bytes, s->broad);
	if (s->whole) {
		s->longest = v->longest_plain;
		return true;
	}
	struct level *way = malloc(((size_t)t->depth + 2) * sizeof *way);
	struct found *found = malloc(((size_t)t->tokens[t->n] + 1) * sizeof *found);
	bool good = way && found && keep(v, s, found, find(t, s, way, found));
	free(way);
	free(found);
	return good;
}

/* The one that was asked for first among those that nobody holds. NULL: all are held. */
static struct vocab_set **slot_of(struct vocab_sets *sets)
{
	struct vocab_set **oldest = NULL;
	for (uint32_t i = 0; i < N_SETS; i++) {
		struct vocab_set **at = &sets->at[i];
		if (!*at)
			return at;
		if (!(*at)->n_held && (!oldest || (*at)->used < (*oldest)->used))
			oldest = at;
	}
	return oldest;
}

/* It has been asked for often enough. */
static bool is_worth_it(struct vocab_sets *sets, const uint64_t bytes[2], bool broad)
{
	for (uint32_t i = 0; i < N_ASKED; i++) {
		struct asked *a = &sets->asked[i];
		if (a->times && a->bytes[0] == bytes[0] && a->bytes[1] == bytes[1] && a->broad == broad)
			return ++a->times >= MIN_ASKED;
	}
	sets->asked[sets->next_asked++ % N_ASKED] = (struct asked){{bytes[0], bytes[1]}, broad, 1};
	return MIN_ASKED <= 1;
}

static struct vocab_set *find_or_make(const struct constrain_vocab *v, const uint64_t bytes[2], bool broad)
{
	for (uint32_t i = 0; i < N_SETS; i++) {
		struct vocab_set *s = v->sets->at[i];
		if (s && s->bytes[0] == bytes[0] && s->bytes[1] == bytes[1] && s->broad == broad)
			return s;
	}
	if (!is_whole(bytes, broad) && !is_worth_it(v->sets, bytes, broad))
		return NULL;
	struct vocab_set **slot = slot_of(v->sets), *s = slot ? calloc(1, sizeof *s) : NULL;
	if (!s)
		return NULL;
	s->bytes[0] = bytes[0];
	s->bytes[1] = bytes[1];
	s->broad = broad;
	if (!make(v, s)) {
		set_free(s);
		return NULL;
	}
	set_free(*slot);
	return *slot = s;
}

const struct vocab_set *vocab_set_of(const struct constrain_vocab *v, const uint64_t bytes[2], bool broad)
{
	pthread_mutex_lock(&v->sets->lock);
	struct vocab_set *s = find_or_make(v, bytes, broad);
	if (s)
		s->used = ++v->sets->clock;
	if (s && !s->longest)
		s = NULL;
	if (s)
		s->n_held++;
	pthread_mutex_unlock(&v->sets->lock);
	return s;
}

void vocab_set_release(const struct constrain_vocab *v, const struct vocab_set *s)
{
	pthread_mutex_lock(&v->sets->lock);
	for (uint32_t i = 0; i < N_SETS; i++)
		if (v->sets->at[i] == s)
			v->sets->at[i]->n_held--;
	pthread_mutex_unlock(&v->sets->lock);
}

uint32_t vocab_set_longest(const struct vocab_set *s)
{
	return s->longest;
}

bool vocab_set_knows(const struct vocab_set *s, uint32_t most)
{
	return s->whole ? most <= VOCAB_MAX_PLAIN || most >= s->longest
			: most < MAX_POINTS || most >= s->longest;
}

void vocab_set_take(const struct constrain_vocab *v, const struct vocab_set *s, uint32_t most, uint32_t *bits)
{
	if (s->whole) {
		uint32_t row = most <= VOCAB_MAX_PLAIN ? most : VOCAB_MAX_PLAIN + 1;
		memcpy(bits, v->plain_masks + (size_t)row * v->n_words, v->n_words * sizeof *bits);
		return;
	}
	uint32_t end = s->from[MAX_POINTS + 1], cut = most < MAX_POINTS ? s->from[most + 1] : end;
	if (cut < end / 2) {
		memset(bits, 0, v->n_words * sizeof *bits);
		for (uint32_t i = 0; i < cut; i++)
			bits[s->ids[i] / 32] |= UINT32_C(1) << s->ids[i] % 32;
		return;
	}
	memcpy(bits, s->all, v->n_words * sizeof *bits);
	for (uint32_t i = cut; i < end; i++)
		bits[s->ids[i] / 32] &= ~(UINT32_C(1) << s->ids[i] % 32);
}
