/* Threads read the tensors piece by piece in the order of the file; what they found is put together and
 * judged. */
#include "model/check.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "model/check_judge.h"
#include "model/check_scan.h"

enum { PIECE_BYTES = 4 << 20, SAMPLE_BYTES = 1024 };
_Static_assert(SAMPLE_BYTES * 2 <= CHECK_ZERO_BYTES, "a long run has a whole sample in it");

const char *check_kind_name(enum check_kind kind)
{
	static const char *const names[CHECK_N_KINDS] = {"NaN", "infinity", "zeros"};
	return (unsigned)kind < CHECK_N_KINDS ? names[kind] : "unknown";
}

struct checking {
	const struct check_params *p;
	const struct gguf_tensor **tensors; /* (n) of known types, in the order of the file */
	struct check_tally *tallies;        /* (n) */
	uint64_t n, all;                    /* bytes */

	pthread_mutex_t lock;
	uint64_t tensor, unit; /* where the next piece begins */
	uint64_t done;
	struct check_runs runs;
	enum hokku_code rc;
	struct hokku_error err; /* of the first failure */
};

struct piece {
	uint64_t tensor; /* index */
	struct check_layout layout;
	uint64_t first, n; /* units */
};

static bool next_piece(struct checking *c, struct piece *p)
{
	pthread_mutex_lock(&c->lock);
	bool more = !c->rc && c->tensor < c->n;
	if (more) {
		const struct gguf_tensor *t = c->tensors[c->tensor];
		check_layout_of(t->type, &p->layout);
		uint64_t units = t->n_bytes / p->layout.unit_bytes;
		uint64_t most = PIECE_BYTES / p->layout.unit_bytes / CHECK_GROUP * CHECK_GROUP;
		p->tensor = c->tensor;
		p->first = c->unit;
		p->n = units - c->unit < most ? units - c->unit : most;
		c->unit += p->n;
		if (c->unit == units) {
			c->unit = 0;
			c->tensor++;
		}
	}
	pthread_mutex_unlock(&c->lock);
	return more;
}

/* ---- one piece ---- */

/* Units from .. from + n - 1 of a piece are zero. Short runs matter at the piece's edges, where they may go
 * on. */
static void note_run(struct check_runs *runs, const struct checking *c, const struct piece *p, uint64_t from,
		     uint64_t n)
{
	uint64_t size = p->layout.unit_bytes,
		 begin = c->tensors[p->tensor]->offset + (p->first + from) * size;
	bool at_edge = from == 0 || from + n == p->n;
	if (n && (at_edge || n * size >= CHECK_ZERO_BYTES))
		check_runs_add(runs, begin, begin + n * size);
}

static void find_runs(struct check_runs *runs, const struct checking *c, const struct piece *p,
		      const uint8_t *bytes)
{
	uint32_t size = p->layout.unit_bytes;
	uint64_t from = check_zeros_from(bytes, size, 0, p->n), end = p->n;
	note_run(runs, c, p, 0, from);
	if (from == p->n)
		return;
	end -= check_zeros_before(bytes, size, p->n);
	note_run(runs, c, p, end, p->n - end);
	for (uint64_t at = from * size; at + SAMPLE_BYTES <= end * size; at += SAMPLE_BYTES) {
		uint64_t word, unit = at / size;
		memcpy(&word, bytes + at, sizeof word);
		if (word || unit < from)
			continue;
		uint64_t n = check_zeros_from(bytes, size, unit, end);
		uint64_t before = n ? check_zeros_before(bytes + from * size, size, unit - from) : 0;
		note_run(runs, c, p, unit - before, n + before);
		from = unit + n; /* never looked at twice */
		if (n)
			at = from * size / SAMPLE_BYTES * SAMPLE_BYTES;
	}
}

static void add_tally(struct check_tally *to, const struct check_tally *from)
{
	if (from->n_nan && (!to->n_nan || from->first_nan < to->first_nan))
		to->first_nan = from->first_nan;
	if (from->n_infinite && (!to->n_infinite || from->first_infinite < to->first_infinite))
		to->first_infinite = from->first_infinite;
	to->n_nan += from->n_nan;
	to->n_infinite += from->n_infinite;
}

static enum hokku_code check_piece(struct checking *c, const struct piece *p, uint8_t *buffer,
				   struct hokku_error *err)
{
	const struct gguf_tensor *t = c->tensors[p->tensor];
	uint64_t size = p->layout.unit_bytes;
	struct check_tally tally = {0};
	struct check_runs runs = {0};
	enum hokku_code rc = gguf_read(c->p->file, t->offset + p->first * size, buffer, p->n * size, err);
	if (rc)
		return rc;
	if (p->layout.is_number) {
		check_numbers(t->type, buffer, p->n, p->first, &tally);
		find_runs(&runs, c, p, buffer);
	}
	pthread_mutex_lock(&c->lock);
	add_tally(&c->tallies[p->tensor], &tally);
	for (size_t i = 0; i < runs.n; i++)
		check_runs_add(&c->runs, runs.list[i].begin, runs.list[i].end);
	c->runs.failed |= runs.failed;
	c->done += p->n * size;
	pthread_mutex_unlock(&c->lock);
	free(runs.list);
	return HOKKU_OK;
}

/* ---- threads ---- */

static void fail(struct checking *c, enum hokku_code rc, const struct hokku_error *err)
{
	pthread_mutex_lock(&c->lock);
	if (!c->rc) {
		c->rc = rc;
		c->err = *err;
	}
	pthread_mutex_unlock(&c->lock);
}

static void work(struct checking *c, bool tells)
{
	struct hokku_error err = {0};
	struct piece p;
	uint8_t *buffer = aligned_alloc(64, PIECE_BYTES);
	enum hokku_code rc =
		buffer ? HOKKU_OK : err_set(&err, HOKKU_OUT_OF_MEMORY, "no memory for %d bytes", PIECE_BYTES);
	while (!rc && next_piece(c, &p)) {
		rc = check_piece(c, &p, buffer, &err);
		pthread_mutex_lock(&c->lock);
		uint64_t done = c->done;
		pthread_mutex_unlock(&c->lock);
		if (!rc && tells && c->p->on_progress && done < c->all)
			c->p->on_progress(c->p->user, done, c->all);
	}
	if (rc)
		fail(c, rc, &err);
	free(buffer);
}

static void *thread_main(void *arg)
{
	work(arg, false);
	return NULL;
}

static uint32_t choose_threads(const struct checking *c)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	uint64_t n = c->p->n_threads;
	if (!n)
		n = sched_getaffinity(0, sizeof set, &set) == 0 ? (uint64_t)CPU_COUNT(&set) : 1;
	n = n < CHECK_MAX_THREADS ? n : CHECK_MAX_THREADS;
	uint64_t pieces = c->all / PIECE_BYTES + 1;
	return (uint32_t)(n < pieces ? n : pieces);
}

/* The calling thread is one of them; fewer than wanted are enough. */
static void run_threads(struct checking *c)
{
	pthread_t threads[CHECK_MAX_THREADS];
	uint32_t n = 0, wanted = choose_threads(c) - 1;
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the program's */
	while (n < wanted && pthread_create(&threads[n], NULL, thread_main, c) == 0)
		n++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	work(c, true);
	for (uint32_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

/* ---- all of it ---- */

static int by_offset(const void *a, const void *b)
{
	const struct gguf_tensor *x = *(const struct gguf_tensor *const *)a,
				 *y = *(const struct gguf_tensor *const *)b;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

static enum hokku_code list_tensors(struct checking *c, struct check_result *out, struct hokku_error *err)
{
	const struct gguf *g = c->p->file;
	uint64_t n = gguf_n_tensors(g);
	c->tensors = calloc(n + 1, sizeof(struct gguf_tensor *));
	c->tallies = calloc(n + 1, sizeof *c->tallies);
	if (!c->tensors || !c->tallies)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a list of %" PRIu64 " tensors", n);
	for (uint64_t i = 0; i < n; i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);
		if (!t->n_bytes) {
			out->n_unknown++;
			continue;
		}
		c->tensors[c->n++] = t;
		c->all += t->n_bytes;
	}
	qsort(c->tensors, c->n, sizeof(struct gguf_tensor *), by_offset);
	out->n_tensors = c->n;
	out->n_bytes = c->all;
	return HOKKU_OK;
}

static bool add_finding(struct check_result *out, struct check_finding f)
{
	struct check_finding *more = realloc(out->findings, (out->n + 1) * sizeof *more);
	if (!more)
		return false;
	out->findings = more;
	out->findings[out->n++] = f;
	return true;
}

/* What was found, tensor by tensor. */
static enum hokku_code collect(struct checking *c, struct check_result *out, struct hokku_error *err)
{
	struct check_judge judge = {.file = c->p->file, .tensors = c->tensors, .n = c->n};
	bool room = !c->runs.failed;
	enum hokku_code rc = room ? check_judge_runs(&judge, &c->runs, err) : HOKKU_OK;
	for (uint64_t i = 0; i < c->n && room && !rc; i++) {
		const struct gguf_tensor *t = c->tensors[i];
		const struct check_tally *tally = &c->tallies[i];
		struct check_layout layout;
		check_layout_of(t->type, &layout);
		const struct check_finding nan = {t,
						  CHECK_NAN,
						  tally->n_nan,
						  tally->first_nan * layout.unit_elements,
						  0,
						  0},
					   infinite = {t,
						       CHECK_INFINITE,
						       tally->n_infinite,
						       tally->first_infinite * layout.unit_elements,
						       0,
						       0};
		room = (!nan.n || add_finding(out, nan)) && (!infinite.n || add_finding(out, infinite));
		struct check_finding zeros;
		for (size_t r = 0; r < c->runs.n && room; r++)
			if (check_part_of(&c->runs.list[r], t, &layout, &zeros))
				room = add_finding(out, zeros);
	}
	return room ? rc : err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for what the check found");
}

enum hokku_code check_file(const struct check_params *p, struct check_result *out, struct hokku_error *err)
{
	struct checking c = {.p = p};
	*out = (struct check_result){0};
	pthread_mutex_init(&c.lock, NULL);
	enum hokku_code rc = list_tensors(&c, out, err);
	if (!rc) {
		run_threads(&c);
		rc = c.rc ? err_set(err, c.rc, "%s", c.err.message) : HOKKU_OK;
	}
	if (!rc)
		rc = collect(&c, out, err);
	if (!rc)
		rc = gguf_unchanged(p->file, err);
	if (!rc && p->on_progress)
		p->on_progress(p->user, c.all, c.all);
	if (rc)
		check_free(out);
	pthread_mutex_destroy(&c.lock);
	free(c.tensors);
	free(c.tallies);
	free(c.runs.list);
	return rc;
}

void check_free(struct check_result *r)
{
	free(r->findings);
	*r = (struct check_result){0};
}
