#include "compute/cuda/load.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* ---- the list ---- */

static enum hokku_code check_format(const struct weight *w, bool (*has)(const struct weight *w),
				    const char *what, struct hokku_error *err)
{
	if (has(w))
		return HOKKU_OK;
	return err_set(err, HOKKU_MODEL_LOAD_FAILED, "tensor \"%.*s\": the device cuda has no %s for %s",
		       STR_ARG(w->tensor->name), what, w->fmt->name);
}

enum hokku_code load_check_formats(const struct model *m, bool (*has)(const struct weight *w),
				   const char *what, struct hokku_error *err)
{
	enum hokku_code rc = check_format(&m->w[ROLE_EMBEDDING], has, what, err);
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		const struct weight *w = m->layers[l].w;
		for (uint32_t i = 0; i < N_LAYER_ROLES && !rc; i++)
			if (role_is_matrix(i) && w[i].tensor)
				rc = check_format(&w[i], has, what, err);
	}
	return rc || m->tied ? rc : check_format(&m->w[ROLE_OUTPUT], has, what, err);
}

void load_add(struct load_list *l, const struct weight *w, const void *to, load_place_fn *place)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		struct load_item *items = realloc(l->items, cap * sizeof *items);
		if (!items) {
			l->failed = true;
			return;
		}
		l->items = items;
		l->cap = cap;
	}
	l->items[l->n++] = (struct load_item){w, to, place};
}

static uint64_t item_bytes(const struct load_item *item)
{
	return item->w->rows * item->w->row_bytes;
}

static uint32_t n_cpus(void)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	return sched_getaffinity(0, sizeof set, &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
}

struct load_how load_choose(const struct load_list *l, uint64_t room)
{
	uint64_t all = 0, least = 0, largest = 0, cpus = n_cpus();
	for (size_t i = 0; i < l->n; i++) {
		const struct weight *w = l->items[i].w;
		uint64_t eight = (w->rows < LOAD_ROWS ? w->rows : LOAD_ROWS) * w->row_bytes,
			 bytes = item_bytes(&l->items[i]);
		least = eight > least ? eight : least;
		largest = bytes > largest ? bytes : largest;
		all += bytes;
	}
	uint64_t threads = 1 + all / LOAD_THREAD_BYTES;
	threads = threads < LOAD_THREADS ? threads : LOAD_THREADS;
	threads = threads < cpus ? threads : cpus;
	uint64_t parcel = all / LOAD_PARCELS;
	parcel = parcel < LOAD_PARCEL_BYTES_MIN ? LOAD_PARCEL_BYTES_MIN : parcel;
	parcel = parcel > LOAD_PARCEL_BYTES_MAX ? LOAD_PARCEL_BYTES_MAX : parcel;
	parcel = parcel < largest ? parcel : largest;
	parcel = parcel < room ? parcel : room;
	parcel = parcel / LOAD_ALIGNMENT * LOAD_ALIGNMENT;
	least = (least + LOAD_ALIGNMENT - 1) / LOAD_ALIGNMENT * LOAD_ALIGNMENT;
	parcel = parcel > least ? parcel : least;
	while (threads > 1 && threads * parcel > room)
		threads--;
	return (struct load_how){(uint32_t)threads, parcel};
}

/* ---- threads ---- */

struct loader {
	struct cuda *c;
	const struct load_list *list; /* in the order of the file */
	const struct compute_params *params;
	struct load_how how;
	uint8_t *pinned;  /* (n_threads, LOAD_BUFFERS, parcel_bytes) */
	uint8_t *staging; /* (n_threads, parcel_bytes) on the device */
	uint64_t all;     /* bytes of the file */
	uint64_t told;    /* to on_progress */

	pthread_mutex_t lock;
	size_t item; /* of the next parcel, */
	uint32_t row;
	uint64_t done; /* bytes that are on their way */
	enum hokku_code rc;
	struct hokku_error err; /* of the first failure */
};

struct worker {
	struct loader *l;
	uint32_t index;
	pthread_t thread;
	cudaStream_t stream;
	cudaEvent_t copied[LOAD_BUFFERS];
	bool busy[LOAD_BUFFERS];
	unsigned next; /* buffer */
};

struct parcel {
	const struct load_item *item;
	uint32_t first, n; /* rows */
	uint64_t bytes;
};

/* False: there is none left, or somebody failed. */
static bool next_parcel(struct loader *l, struct parcel *p)
{
	pthread_mutex_lock(&l->lock);
	bool more = !l->rc && l->item < l->list->n;
	if (more) {
		const struct load_item *item = &l->list->items[l->item];
		uint64_t fit = l->how.parcel_bytes / item->w->row_bytes, left = item->w->rows - l->row;
		fit = fit < left ? fit / LOAD_ROWS * LOAD_ROWS : left;
		*p = (struct parcel){item, l->row, (uint32_t)fit, fit * item->w->row_bytes};
		l->row += p->n;
		if (l->row == item->w->rows) {
			l->row = 0;
			l->item++;
		}
	}
	pthread_mutex_unlock(&l->lock);
	return more;
}

static void fail(struct loader *l, enum hokku_code rc, const struct hokku_error *err)
{
	pthread_mutex_lock(&l->lock);
	if (!l->rc) {
		l->rc = rc;
		l->err = *err;
	}
	pthread_mutex_unlock(&l->lock);
}

static enum hokku_code open_worker(struct worker *w, struct hokku_error *err)
{
	const struct cuda_device *d = &w->l->c->device;
	CUDA_TRY(d, err, cudaSetDevice(d->index));
	CUDA_TRY(d, err, cudaStreamCreateWithFlags(&w->stream, cudaStreamNonBlocking));
	for (int i = 0; i < LOAD_BUFFERS; i++)
		CUDA_TRY(d, err,
			 cudaEventCreateWithFlags(&w->copied[i],
						  cudaEventDisableTiming | cudaEventBlockingSync));
	return HOKKU_OK;
}

static void close_worker(struct worker *w)
{
	for (int i = 0; i < LOAD_BUFFERS; i++)
		if (w->copied[i])
			cudaEventDestroy(w->copied[i]);
	if (w->stream)
		cudaStreamDestroy(w->stream);
}

/* Reads a parcel and queues the rest of its way. */
static enum hokku_code load_parcel(struct worker *w, const struct parcel *p, struct hokku_error *err)
{
	const struct loader *l = w->l;
	const struct cuda_device *d = &l->c->device;
	unsigned i = w->next;
	uint8_t *buffer = l->pinned + (w->index * LOAD_BUFFERS + i) * l->how.parcel_bytes;
	uint8_t *staging = l->staging + w->index * l->how.parcel_bytes;
	uint64_t offset = p->item->w->tensor->offset + p->item->w->offset + p->first * p->item->w->row_bytes;
	if (w->busy[i])
		CUDA_TRY(d, err, cudaEventSynchronize(w->copied[i]));
	enum hokku_code rc = gguf_read(l->c->model->file, offset, buffer, p->bytes, err);
	if (rc)
		return rc;
	CUDA_TRY(d, err, cudaMemcpyAsync(staging, buffer, p->bytes, cudaMemcpyHostToDevice, w->stream));
	CUDA_TRY(d, err, cudaEventRecord(w->copied[i], w->stream));
	CUDA_TRY(d, err, p->item->place(p->item, staging, p->first, p->n, w->stream));
	w->busy[i] = true;
	w->next = (i + 1) % LOAD_BUFFERS;
	return HOKKU_OK;
}

/* After each parcel of the thread that called load_run, and after all. */
static enum hokku_code report(struct loader *l, struct hokku_error *err)
{
	const struct compute_params *p = l->params;
	pthread_mutex_lock(&l->lock);
	uint64_t done = l->done;
	pthread_mutex_unlock(&l->lock);
	if (p->on_progress && done > l->told && done < l->all) {
		p->on_progress(p->user, done, l->all);
		l->told = done;
	}
	if (p->stopped && p->stopped(p->user))
		return err_set(err, HOKKU_CANCELLED, "loading was interrupted");
	return HOKKU_OK;
}

static void work(struct worker *w)
{
	struct loader *l = w->l;
	struct hokku_error err = {0};
	struct parcel p;
	enum hokku_code rc = open_worker(w, &err);
	while (!rc && next_parcel(l, &p)) {
		rc = load_parcel(w, &p, &err);
		pthread_mutex_lock(&l->lock);
		l->done += p.bytes;
		pthread_mutex_unlock(&l->lock);
		if (!rc && w->index == 0)
			rc = report(l, &err);
	}
	/* what is queued uses the buffers: it is waited for after an error too */
	cudaError_t e = w->stream ? cudaStreamSynchronize(w->stream) : cudaSuccess;
	if (!rc)
		rc = cuda_check(&l->c->device, e, "cudaStreamSynchronize", &err);
	if (rc)
		fail(l, rc, &err);
	close_worker(w);
}

static void *thread_main(void *arg)
{
	work(arg);
	return NULL;
}

/* The calling thread is worker 0. Fewer threads than wanted are enough. */
static void run_workers(struct loader *l)
{
	struct worker workers[LOAD_THREADS] = {{0}};
	uint32_t n = 1;
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the program's, not the workers' */
	for (; n < l->how.n_threads; n++) {
		workers[n] = (struct worker){.l = l, .index = n};
		if (pthread_create(&workers[n].thread, NULL, thread_main, &workers[n]))
			break;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	workers[0].l = l;
	work(&workers[0]);
	for (uint32_t i = 1; i < n; i++)
		pthread_join(workers[i].thread, NULL);
}

static int by_offset(const void *a, const void *b)
{
	const struct weight *first = ((const struct load_item *)a)->w,
			    *second = ((const struct load_item *)b)->w;
	uint64_t x = first->tensor->offset + first->offset, y = second->tensor->offset + second->offset;
	return (x > y) - (x < y);
}

static enum hokku_code take_buffers(struct loader *l, struct hokku_error *err)
{
	struct ledger *ledger = &l->c->ledger;
	void *staging;
	enum hokku_code rc = ledger_take(ledger, LEDGER_SCRATCH, l->how.n_threads, l->how.parcel_bytes,
					 "loading of weights", &staging, err);
	l->staging = staging;
	if (rc)
		return rc;
	CUDA_TRY(&l->c->device, err,
		 cudaMallocHost((void **)&l->pinned, l->how.n_threads * LOAD_BUFFERS * l->how.parcel_bytes));
	return HOKKU_OK;
}

static enum hokku_code run_list(struct loader *l, struct hokku_error *err)
{
	for (size_t i = 0; i < l->list->n; i++)
		l->all += item_bytes(&l->list->items[i]);
	enum hokku_code rc = take_buffers(l, err);
	if (!rc) {
		run_workers(l);
		rc = l->rc;
		if (rc)
			err_set(err, rc, "%s", l->err.message);
		else
			rc = report(l, err);
	}
	cudaFreeHost(l->pinned);
	if (l->staging) {
		enum hokku_code freed = ledger_give(&l->c->ledger, l->staging, rc ? NULL : err);
		rc = rc ? rc : freed;
	}
	return rc;
}

enum hokku_code load_run(struct cuda *c, struct load_list *list, struct load_how how,
			 const struct compute_params *p, struct hokku_error *err)
{
	struct loader l = {.c = c, .list = list, .params = p, .how = how};
	enum hokku_code rc = HOKKU_OK;
	if (l.how.n_threads > LOAD_THREADS)
		l.how.n_threads = LOAD_THREADS;
	pthread_mutex_init(&l.lock, NULL);
	if (list->failed)
		rc = err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the list of weights");
	if (!rc) {
		qsort(list->items, list->n, sizeof *list->items, by_offset);
		rc = run_list(&l, err);
	}
	pthread_mutex_destroy(&l.lock);
	free(list->items);
	*list = (struct load_list){0};
	if (!rc && p->on_progress)
		p->on_progress(p->user, l.all, l.all);
	return rc;
}

/* ---- vectors ---- */

enum hokku_code load_floats(struct cuda *c, float *to, const float *from, uint32_t n, struct hokku_error *err)
{
	CUDA_TRY(&c->device, err,
		 cudaMemcpyAsync(to, from, n * sizeof *from, cudaMemcpyHostToDevice, c->stream));
	CUDA_TRY(&c->device, err, cudaStreamSynchronize(c->stream));
	return HOKKU_OK;
}

enum hokku_code load_vector(struct cuda *c, float *to, const struct weight *w, uint32_t n,
			    struct hokku_error *err)
{
	float *values = calloc(n, sizeof *values);
	if (!values)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a vector of %u", n);
	enum hokku_code rc = weight_floats(w, 0, values, err);
	if (!rc)
		rc = load_floats(c, to, values, n, err);
	free(values);
	return rc;
}
