/* The weights of the tile path: which there are, and their way to the device. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "compute/cuda/load.h"
#include "compute/cuda/tile/tile.h"
#include "compute/cuda/tile/tile_plan.h"

static const uint64_t full_params_max = 2000000000; /* below: two planes */

/* ---- every weight, once ---- */

struct matrix_row {
	struct tile_matrix *to;
	const struct weight *from;
};
struct vector_row {
	float **to;
	const struct weight *from;
};
enum { LAYER_MATRICES = 7, LAYER_VECTORS = 5 };

static void layer_matrices(struct tile_layer *to, const struct layer *from,
			   struct matrix_row out[LAYER_MATRICES])
{
	const struct matrix_row rows[LAYER_MATRICES] = {
		{&to->wq, &from->wq},         {&to->wk, &from->wk},         {&to->wv, &from->wv},
		{&to->wo, &from->wo},         {&to->w_gate, &from->w_gate}, {&to->w_up, &from->w_up},
		{&to->w_down, &from->w_down},
	};
	memcpy(out, rows, sizeof rows);
}

static void layer_vectors(struct tile_layer *to, const struct layer *from,
			  struct vector_row out[LAYER_VECTORS])
{
	const struct vector_row rows[LAYER_VECTORS] = {
		{&to->attn_norm, &from->attn_norm},
		{&to->ffn_norm, &from->ffn_norm},
		{&to->bq, &from->bq},
		{&to->bk, &from->bk},
		{&to->bv, &from->bv},
	};
	memcpy(out, rows, sizeof rows);
}

/* Floats that a vector takes. */
static uint32_t padded(const struct weight *w)
{
	return (w->cols + 3) / 4 * 4;
}

/* ---- what may run, and how ---- */

static enum hokku_code fits_matrix(const struct weight *w, struct hokku_error *err)
{
	struct tile_matrix m;
	if (tile_plan(&m, w, 1))
		return HOKKU_OK;
	return err_set(err, HOKKU_MODEL_LOAD_FAILED,
		       "tensor \"%.*s\": the device cuda has no tensor-core kernel for %s",
		       STR_ARG(w->tensor->name), w->fmt->name);
}

static enum hokku_code fits_formats(const struct model *m, struct hokku_error *err)
{
	enum hokku_code rc = fits_matrix(&m->embedding, err);
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		struct tile_layer layer;
		struct matrix_row rows[LAYER_MATRICES];
		layer_matrices(&layer, &m->layers[l], rows);
		for (size_t i = 0; i < LAYER_MATRICES && !rc; i++)
			rc = fits_matrix(rows[i].from, err);
	}
	return rc || m->tied ? rc : fits_matrix(&m->output, err);
}

static enum hokku_code choose_planes(const struct model *m, uint32_t *planes, struct hokku_error *err)
{
	const char *forced = getenv("HOKKU_CUDA_PRECISION");
	char quoted[64];
	*planes = m->n_params < full_params_max ? 2 : 1;
	if (!forced || !*forced)
		return HOKKU_OK;
	if (strcmp(forced, "full") == 0)
		*planes = 2;
	else if (strcmp(forced, "half") == 0)
		*planes = 1;
	else
		return err_set(err, HOKKU_INVALID_REQUEST, "HOKKU_CUDA_PRECISION is %s; it is full or half",
			       str_quote(str_c(forced), quoted, sizeof quoted));
	return HOKKU_OK;
}

enum hokku_code tile_create(struct cuda *c, struct hokku_error *err)
{
	uint32_t planes;
	enum hokku_code rc = fits_formats(c->model, err);
	if (!rc)
		rc = choose_planes(c->model, &planes, err);
	if (rc)
		return rc;
	struct tile_handle *h = calloc(1, sizeof *h);
	if (h)
		h->layers = calloc(c->model->hp.n_layers, sizeof *h->layers);
	if (!h || !h->layers) {
		free(h);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the device cuda");
	}
	h->planes = planes;
	c->own = h;
	return HOKKU_OK;
}

void tile_destroy(struct cuda *c)
{
	struct tile_handle *h = tile_of(c);
	if (h)
		free(h->layers);
	if (h)
		decode_destroy(h);
	free(h);
	c->own = NULL;
}

/* ---- memory ---- */

static void take_matrix(const struct tile_handle *h, struct cuda_taker *t, struct tile_matrix *m,
			const struct weight *w)
{
	tile_plan(m, w, h->planes);
	m->data = cuda_take(t, LEDGER_WEIGHTS, tile_bytes(m), 1, "weights");
}

static float *take_vector(struct cuda_taker *t, const struct weight *w)
{
	return w->tensor ? cuda_take(t, LEDGER_WEIGHTS, padded(w), sizeof(float), "weights") : NULL;
}

void tile_take_weights(struct cuda *c, struct cuda_taker *t)
{
	const struct model *m = c->model;
	struct tile_handle *h = tile_of(c);
	take_matrix(h, t, &h->embedding, &m->embedding);
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		struct matrix_row matrices[LAYER_MATRICES];
		struct vector_row vectors[LAYER_VECTORS];
		layer_matrices(&h->layers[l], &m->layers[l], matrices);
		layer_vectors(&h->layers[l], &m->layers[l], vectors);
		for (size_t i = 0; i < LAYER_MATRICES; i++)
			take_matrix(h, t, matrices[i].to, matrices[i].from);
		for (size_t i = 0; i < LAYER_VECTORS; i++)
			*vectors[i].to = take_vector(t, vectors[i].from);
	}
	h->output_norm = take_vector(t, &m->output_norm);
	if (m->tied)
		h->output = h->embedding;
	else
		take_matrix(h, t, &h->output, &m->output);
	h->rope_frequency = cuda_take(t, LEDGER_WEIGHTS, m->hp.head_dim / 2, sizeof(float), "weights");
}

/* ---- loading ---- */

static enum hokku_code load_vectors(struct cuda *c, struct hokku_error *err)
{
	const struct model *m = c->model;
	struct tile_handle *h = tile_of(c);
	enum hokku_code rc = load_vector(c, h->output_norm, &m->output_norm, padded(&m->output_norm), err);
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		struct vector_row rows[LAYER_VECTORS];
		layer_vectors(&h->layers[l], &m->layers[l], rows);
		for (size_t i = 0; i < LAYER_VECTORS && !rc; i++)
			if (*rows[i].to)
				rc = load_vector(c, *rows[i].to, rows[i].from, padded(rows[i].from), err);
	}
	return rc ? rc : load_frequencies(c, h->rope_frequency, err);
}

enum hokku_code tile_load(struct cuda *c, const struct compute_params *p, struct hokku_error *err)
{
	const struct model *m = c->model;
	struct tile_handle *h = tile_of(c);
	struct load_list list = {0};
	enum hokku_code rc = load_vectors(c, err);
	if (rc)
		return rc;
	load_tiles(&list, &h->embedding, &m->embedding);
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		struct matrix_row rows[LAYER_MATRICES];
		layer_matrices(&h->layers[l], &m->layers[l], rows);
		for (size_t i = 0; i < LAYER_MATRICES; i++)
			load_tiles(&list, rows[i].to, rows[i].from);
	}
	if (!m->tied)
		load_tiles(&list, &h->output, &m->output);
	return load_run(c, &list, load_choose(&list, c->load_room), p, err);
}
