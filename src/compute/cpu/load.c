/* Loading: the threads of the pool read the weights from the file and lay them out, matrix by matrix. */
#include <inttypes.h>
#include <stdlib.h>

#include "compute/cpu/cpu.h"

static enum hokku_code fill_vectors(struct cpu *c, struct hokku_error *err)
{
	const struct model *m = c->model;
	enum hokku_code rc = weight_floats(&m->w[ROLE_OUTPUT_NORM], 0, c->output_norm, err);
	for (uint32_t l = 0; l < m->hp.n_layers; l++)
		for (uint32_t i = 0; i < N_LAYER_ROLES && !rc; i++)
			if (c->layers[l].v[i])
				rc = weight_floats(&m->layers[l].w[i], 0, c->layers[l].v[i], err);
	return rc;
}

struct loading {
	struct cpu *c;
	const struct compute_params *params;
	uint64_t done;               /* bytes */
	uint8_t *buffers;            /* (n_threads, buffer_bytes); NULL where nothing is read */
	uint64_t buffer_bytes;       /* of the largest slab */
	struct hokku_error *errors;  /* (n_threads) */
	const struct packed *matrix; /* at work */
	uint32_t first, end;         /* rows of the embedding at work */
};

static void pack_thread(void *arg, uint32_t thread)
{
	const struct loading *l = arg;
	uint64_t n = l->matrix->n_slabs, threads = l->c->n_threads;
	pack_slabs(l->matrix, (uint32_t)(n * thread / threads), (uint32_t)(n * (thread + 1) / threads),
		   l->buffers ? l->buffers + thread * l->buffer_bytes : NULL, &l->errors[thread]);
}

static void embedding_thread(void *arg, uint32_t thread)
{
	const struct loading *l = arg;
	const struct weight *w = &l->c->model->w[ROLE_EMBEDDING];
	uint64_t n = l->end - l->first, threads = l->c->n_threads;
	uint32_t first = l->first + (uint32_t)(n * thread / threads),
		 end = l->first + (uint32_t)(n * (thread + 1) / threads);
	weight_rows(w, first, end - first, l->c->embedding_copy + first * w->row_bytes, &l->errors[thread]);
}

static enum hokku_code load_some(struct loading *l, void (*fn)(void *arg, uint32_t thread), uint64_t bytes,
				 struct hokku_error *err)
{
	const struct compute_params *p = l->params;
	if (p->stopped && p->stopped(p->user))
		return err_set(err, HOKKU_CANCELLED, "loading was interrupted");
	pool_run(l->c->pool, fn, l);
	for (uint32_t i = 0; i < l->c->n_threads; i++)
		if (l->errors[i].code)
			return err_set(err, l->errors[i].code, "%s", l->errors[i].message);
	l->done += bytes;
	if (p->on_progress)
		p->on_progress(p->user, l->done, l->c->memory.weight_bytes);
	return HOKKU_OK;
}

static enum hokku_code pack_set(struct loading *l, const struct product_set *set, struct hokku_error *err)
{
	enum hokku_code rc = HOKKU_OK;
	for (uint32_t i = 0; i < set->n && !rc; i++) {
		l->matrix = &set->m[i];
		rc = load_some(l, pack_thread, set->m[i].bytes, err);
	}
	return rc;
}

/* A tied one is looked up in the panels of the output matrix. */
static enum hokku_code read_embedding(struct loading *l, struct hokku_error *err)
{
	enum { AT_ONCE_BYTES = 64 << 20 };
	const struct weight *w = &l->c->model->w[ROLE_EMBEDDING];
	enum hokku_code rc = HOKKU_OK;
	uint32_t step = (uint32_t)(AT_ONCE_BYTES / w->row_bytes) + 1;
	for (l->first = 0; l->c->embedding_copy && l->first < w->rows && !rc; l->first = l->end) {
		l->end = w->rows - l->first < step ? w->rows : l->first + step;
		rc = load_some(l, embedding_thread, (l->end - l->first) * w->row_bytes, err);
	}
	return rc;
}

static enum hokku_code load_all(struct loading *l, struct hokku_error *err)
{
	const struct cpu *c = l->c;
	const struct compute_params *p = l->params;
	enum hokku_code rc = HOKKU_OK;
	for (uint32_t i = 0; i < c->model->hp.n_layers; i++) {
		const struct cpu_layer *layer = &c->layers[i];
		const struct product_set *const sets[] = {&layer->qkv, &layer->wo, &layer->gate_up,
							  &layer->down};
		for (size_t k = 0; k < sizeof sets / sizeof sets[0] && !rc; k++)
			rc = pack_set(l, sets[k], err);
	}
	if (!rc)
		rc = pack_set(l, &c->output, err);
	if (!rc)
		rc = read_embedding(l, err);
	if (!rc && p->on_progress && l->done != c->memory.weight_bytes) /* vectors count too */
		p->on_progress(p->user, c->memory.weight_bytes, c->memory.weight_bytes);
	return rc;
}

static uint64_t largest_unit(const struct cpu *c)
{
	uint64_t most = pack_buffer_bytes(&c->output.m[0]);
	for (uint32_t i = 0; i < c->model->hp.n_layers; i++) {
		const struct cpu_layer *layer = &c->layers[i];
		const struct product_set *const sets[] = {&layer->qkv, &layer->wo, &layer->gate_up,
							  &layer->down};
		for (size_t k = 0; k < sizeof sets / sizeof sets[0]; k++)
			for (uint32_t m = 0; m < sets[k]->n; m++) {
				uint64_t bytes = pack_buffer_bytes(&sets[k]->m[m]);
				most = bytes > most ? bytes : most;
			}
	}
	return most;
}

enum hokku_code cpu_load(struct cpu *c, const struct compute_params *p, struct hokku_error *err)
{
	struct loading l = {.c = c, .params = p, .buffer_bytes = largest_unit(c)};
	bool in_memory = c->model->w[ROLE_EMBEDDING].data; /* all of a file is, or nothing */
	l.errors = calloc(c->n_threads, sizeof *l.errors);
	l.buffers = in_memory ? NULL : malloc(c->n_threads * l.buffer_bytes);
	enum hokku_code rc = HOKKU_OK;
	if (!l.errors || (!in_memory && !l.buffers))
		rc = err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for %u pieces of %" PRIu64 " bytes",
			     c->n_threads, l.buffer_bytes);
	if (!rc)
		rc = fill_vectors(c, err);
	if (!rc)
		rc = load_all(&l, err);
	free(l.errors);
	free(l.buffers);
	return rc;
}
