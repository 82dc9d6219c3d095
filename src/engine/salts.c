#include "engine/salts.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/rng.h"
#include "engine/kv.h"

/* Owners' own roots are below, those of salts from here on. */
static const uint64_t first_root = KV_ROOT | (UINT64_C(1) << 32);

static struct salt **bucket_of(struct salts *t, uint32_t owner, struct str salt)
{
	return &t->buckets[siphash(t->secret, owner, salt.ptr, salt.len) % SALTS_BUCKETS];
}

static uint32_t with_most(const struct salts *t)
{
	uint32_t owner = 0;
	for (uint32_t i = 1; i < SALTS_OWNERS; i++)
		owner = t->n_of[i] > t->n_of[owner] ? i : owner;
	return owner;
}

static void forget_one(struct salts *t)
{
	uint32_t owner = with_most(t);
	struct salt **oldest = NULL;
	for (uint32_t i = 0; i < SALTS_BUCKETS; i++)
		for (struct salt **at = &t->buckets[i]; *at; at = &(*at)->next)
			if ((*at)->owner == owner && (!oldest || (*at)->used < (*oldest)->used))
				oldest = at;
	struct salt *gone = *oldest;
	*oldest = gone->next;
	free(gone);
	t->n--;
	t->n_of[owner]--;
}

uint64_t salts_root(struct salts *t, uint32_t owner, struct str salt)
{
	if (salt.len == 0)
		return owner ? KV_ROOT | owner : 0;
	for (struct salt *s = *bucket_of(t, owner, salt); s; s = s->next)
		if (s->owner == owner && str_eq((struct str){s->bytes, s->n_bytes}, salt)) {
			s->used = ++t->clock;
			return s->root;
		}
	uint64_t root = first_root + t->last_root++;
	struct salt *s = malloc(sizeof *s + salt.len);
	if (!s)
		return root;
	if (t->n == SALTS_MAX)
		forget_one(t);
	struct salt **bucket = bucket_of(t, owner, salt);
	*s = (struct salt){
		.next = *bucket, .root = root, .used = ++t->clock, .owner = owner, .n_bytes = salt.len};
	memcpy(s->bytes, salt.ptr, salt.len);
	*bucket = s;
	t->n++;
	t->n_of[owner]++;
	return root;
}

void salts_init(struct salts *t)
{
	*t = (struct salts){.secret = rng_os_seed()};
}

void salts_deinit(struct salts *t)
{
	for (uint32_t i = 0; i < SALTS_BUCKETS; i++)
		while (t->buckets[i]) {
			struct salt *s = t->buckets[i];
			t->buckets[i] = s->next;
			free(s);
		}
	*t = (struct salts){0};
}
