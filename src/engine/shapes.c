#include "engine/shapes.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/rng.h"
#include "compute/cpu/pool.h"
#include "engine/words.h"

enum {
	MAX_BRISK = 8, /* threads */
	N_PATIENT = 2,
};

/* A compiled shape that can be found again. */
struct kept {
	uint64_t hash;
	enum constrain_kind kind;
	enum constrain_space space;
	char *text;
	size_t n_text;
	struct constrain *made;
	uint64_t used; /* when it was asked for last, counted in orders */
};

struct shapes {
	const struct tok *tok;
	struct constrain_limits limits;
	struct crew *crew;
	uint64_t key[2]; /* of hashes */
	atomic_bool closed;
	/* Held while the vocabulary is made; constant once it is there. */
	pthread_mutex_t vocab_lock;
	struct constrain_words words;
	struct constrain_vocab *vocab;
	/* Under the lock. */
	pthread_mutex_t lock;
	struct kept kept[SHAPES_MAX_KEPT];
	uint32_t n_kept;
	uint64_t n_orders;
	struct shape_counts counts; /* not under it */
};

struct shapes *shapes_create(const struct tok *tok, uint32_t n_owners, const struct constrain_limits *limits)
{
	uint32_t n_cpus = pool_cpus(), n_brisk = n_cpus > MAX_BRISK ? MAX_BRISK : n_cpus > 1 ? n_cpus - 1 : 1;
	struct shapes *s = calloc(1, sizeof *s);
	if (s)
		s->crew = crew_create(n_brisk, N_PATIENT, n_owners);
	if (!s || !s->crew) {
		free(s);
		return NULL;
	}
	s->tok = tok;
	s->limits = *limits;
	s->key[0] = rng_os_seed();
	s->key[1] = rng_os_seed();
	pthread_mutex_init(&s->vocab_lock, NULL);
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

void shapes_close(struct shapes *s)
{
	atomic_store(&s->closed, true);
}

void shapes_destroy(struct shapes *s)
{
	if (!s)
		return;
	shapes_close(s);
	crew_destroy(s->crew);
	for (uint32_t i = 0; i < s->n_kept; i++) {
		constrain_unref(s->kept[i].made);
		free(s->kept[i].text);
	}
	if (s->vocab)
		constrain_vocab_free(s->vocab);
	words_deinit(&s->words);
	pthread_mutex_destroy(&s->vocab_lock);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

struct crew *shapes_crew(struct shapes *s)
{
	return s->crew;
}

struct shape_counts *shapes_counts(struct shapes *s)
{
	return &s->counts;
}

static enum hokku_code make_vocab(struct shapes *s, struct hokku_error *err)
{
	enum hokku_code rc = HOKKU_OK;
	pthread_mutex_lock(&s->vocab_lock);
	if (!s->vocab) {
		uint64_t begin = clock_ns();
		rc = words_init(s->tok, &s->words, err);
		if (!rc)
			rc = constrain_vocab_new(&s->words, &s->vocab, err);
		if (rc) {
			s->vocab = NULL;
			words_deinit(&s->words);
		} else {
			log_debug("shapes: the vocabulary of %u tokens was made ready in %.1f ms", s->words.n,
				  clock_ms_since(begin));
		}
	}
	pthread_mutex_unlock(&s->vocab_lock);
	return rc;
}

/* ---- what is kept ---- */

static uint64_t hash_of(const struct shapes *s, const struct constrain_shape *shape)
{
	return siphash(s->key[0] ^ (uint64_t)shape->kind, s->key[1] ^ (uint64_t)shape->space, shape->text.ptr,
		       shape->text.len);
}

/* Under the lock. NULL: it is not kept. */
static struct kept *find(struct shapes *s, const struct constrain_shape *shape, uint64_t hash)
{
	for (uint32_t i = 0; i < s->n_kept; i++) {
		struct kept *k = &s->kept[i];
		if (k->hash == hash && k->kind == shape->kind && k->space == shape->space &&
		    str_eq((struct str){k->text, k->n_text}, shape->text))
			return k;
	}
	return NULL;
}

static bool take_kept(struct shapes *s, const struct constrain_shape *shape, uint64_t hash,
		      struct constrain **out)
{
	pthread_mutex_lock(&s->lock);
	struct kept *k = find(s, shape, hash);
	s->n_orders++;
	if (k) {
		k->used = s->n_orders;
		constrain_ref(k->made);
		*out = k->made;
	}
	pthread_mutex_unlock(&s->lock);
	if (k)
		atomic_fetch_add(&s->counts.shapes_found, 1);
	return k != NULL;
}

static size_t bytes_of(const struct kept *k)
{
	struct constrain_stats stats;
	constrain_get_stats(k->made, &stats);
	return stats.bytes + k->n_text;
}

/* Those that were asked for longest ago go, until there is room for one more. Under the lock. */
static void make_room(struct shapes *s)
{
	size_t bytes = 0;
	for (uint32_t i = 0; i < s->n_kept; i++)
		bytes += bytes_of(&s->kept[i]);
	while (s->n_kept == SHAPES_MAX_KEPT || (s->n_kept && bytes > SHAPES_MAX_BYTES)) {
		uint32_t oldest = 0;
		for (uint32_t i = 1; i < s->n_kept; i++)
			if (s->kept[i].used < s->kept[oldest].used)
				oldest = i;
		bytes -= bytes_of(&s->kept[oldest]);
		constrain_unref(s->kept[oldest].made);
		free(s->kept[oldest].text);
		s->kept[oldest] = s->kept[--s->n_kept];
	}
}

/* Where there is no memory for it, or another thread was first, it is not kept. */
static void keep(struct shapes *s, const struct constrain_shape *shape, uint64_t hash, struct constrain *made)
{
	char *text = malloc(shape->text.len + 1);
	if (text && shape->text.len)
		memcpy(text, shape->text.ptr, shape->text.len);
	atomic_fetch_add(&s->counts.shapes_compiled, 1);
	pthread_mutex_lock(&s->lock);
	if (text && !find(s, shape, hash)) {
		make_room(s);
		constrain_ref(made);
		s->kept[s->n_kept++] = (struct kept){.hash = hash,
						     .kind = shape->kind,
						     .space = shape->space,
						     .text = text,
						     .n_text = shape->text.len,
						     .made = made,
						     .used = s->n_orders};
		text = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	free(text);
}

/* ---- orders ---- */

/* Nobody waits for it any more. */
static bool is_unwanted(void *order)
{
	const struct shape_order *o = order;
	return atomic_load(&o->shapes->closed) || (o->abandoned && atomic_load(o->abandoned));
}

static enum hokku_code unwanted(const struct shapes *s, struct hokku_error *err)
{
	if (atomic_load(&s->closed))
		return err_set(err, HOKKU_SHUTTING_DOWN, "the engine is stopping");
	return err_set(err, HOKKU_CANCELLED, "the request was cancelled");
}

static enum hokku_code compile(struct shapes *s, struct shape_order *o)
{
	uint64_t hash = hash_of(s, &o->shape);
	char found[32], allowed[32];
	if (is_unwanted(o))
		return unwanted(s, &o->err);
	if (o->shape.text.len > SHAPES_MAX_TEXT)
		return err_set(&o->err, HOKKU_INVALID_REQUEST, "the shape's text has %s; it may have %s",
			       str_bytes(o->shape.text.len, found), str_bytes(SHAPES_MAX_TEXT, allowed));
	enum hokku_code rc = make_vocab(s, &o->err);
	if (rc || take_kept(s, &o->shape, hash, &o->made))
		return rc;
	struct constrain_limits limits = s->limits;
	limits.stop = is_unwanted;
	limits.user = o;
	rc = constrain_new(s->vocab, &o->shape, &limits, &o->made, &o->fault, &o->err);
	if (rc == HOKKU_CANCELLED)
		return unwanted(s, &o->err);
	if (!rc)
		keep(s, &o->shape, hash, o->made);
	return rc;
}

static void run_order(struct crew_task *task)
{
	struct shape_order *o = (struct shape_order *)((char *)task - offsetof(struct shape_order, task));
	struct shapes *s = o->shapes;
	o->rc = compile(s, o);
	if (o->rc == HOKKU_INVALID_REQUEST)
		atomic_fetch_add(&s->counts.shapes_refused, 1);
	o->done(o);
}

void shapes_order(struct shapes *s, struct shape_order *order)
{
	order->shapes = s;
	order->made = NULL;
	order->fault.place[0] = '\0';
	order->task.run = run_order;
	order->task.patient = true;
	order->rc = crew_start(s->crew, &order->err);
	if (order->rc)
		order->done(order);
	else
		crew_submit(s->crew, &order->task, false);
}

static void wake_waiting(struct shape_order *order)
{
	sem_post(order->user);
}

enum hokku_code shapes_make(struct shapes *s, const struct constrain_shape *shape, struct constrain **out,
			    struct constrain_fault *fault, struct hokku_error *err)
{
	sem_t done;
	struct shape_order order = {.shape = *shape, .done = wake_waiting, .user = &done};
	sem_init(&done, 0, 0);
	shapes_order(s, &order);
	while (sem_wait(&done) && errno == EINTR) {
	}
	sem_destroy(&done);
	*out = order.made;
	if (fault)
		*fault = order.fault;
	if (order.rc && err)
		*err = order.err;
	return order.rc;
}
