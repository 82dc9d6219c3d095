#include "compute/cuda/tile/tile_weights.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "compute/cuda/tile/tile_plan.h"

static const uint64_t full_params_max = 2000000000; /* below: two planes */

/* ---- every weight, once ---- */

/* Floats that a vector takes. */
static uint32_t padded(const struct weight *w)
{
	return (w->cols + 3) / 4 * 4;
}

/* ---- what may run, and how ---- */

static bool has_kernel(const struct weight *w)
{
	struct tile_matrix m;
	return tile_plan(&m, w, 1);
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
	enum hokku_code rc = load_check_formats(c->model, has_kernel, "tensor-core kernel", err);
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
	free(h);
	c->own = NULL;
}

/* ---- memory ---- */

static void take_matrix(const struct tile_handle *h, struct cuda_taker *t, struct tile_matrix *m,
			const struct weight *w)
{
	tile_plan(m, w, h->planes);
	uint8_t *data = cuda_take(t, LEDGER_WEIGHTS, tile_lead_bytes(m) + tile_bytes(m), 1, "weights");
	m->data = data ? data + tile_lead_bytes(m) : NULL;
}

static float *take_vector(struct cuda_taker *t, const struct weight *w)
{
	return w->tensor ? cuda_take(t, LEDGER_WEIGHTS, padded(w), sizeof(float), "weights") : NULL;
}

/* Does some matrix want the sums of its activations? */
static bool any_mins(const struct cuda *c)
{
	const struct tile_handle *h = tile_of(c);
	bool any = tile_has_mins(h->output.format);
	for (uint32_t l = 0; l < c->model->hp.n_layers; l++) {
		const struct tile_layer *w = &h->layers[l];
		for (uint32_t i = 0; i < N_LAYER_ROLES; i++)
			if (w->m[i].rows)
				any |= tile_has_mins(w->m[i].format);
	}
	return any && h->planes == 2;
}

static bool any_post(const struct model *m)
{
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		const struct layer *layer = &m->layers[l];
		if (layer->spec->residual_scale != 1 || layer->w[ROLE_ATTN_POST_NORM].tensor ||
		    layer->w[ROLE_FFN_POST_NORM].tensor)
			return true;
	}
	return false;
}

void tile_take_weights(struct cuda *c, struct cuda_taker *t)
{
	const struct model *m = c->model;
	struct tile_handle *h = tile_of(c);
	take_matrix(h, t, &h->embedding, &m->w[ROLE_EMBEDDING]);
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		const struct weight *from = m->layers[l].w;
		struct tile_layer *to = &h->layers[l];
		for (uint32_t i = 0; i < N_LAYER_ROLES; i++)
			if (role_is_matrix(i) && from[i].tensor)
				take_matrix(h, t, &to->m[i], &from[i]);
		for (uint32_t i = 0; i < N_LAYER_ROLES; i++)
			if (!role_is_matrix(i))
				to->v[i] = take_vector(t, &from[i]);
	}
	h->output_norm = take_vector(t, &m->w[ROLE_OUTPUT_NORM]);
	if (m->tied)
		h->output = h->embedding;
	else
		take_matrix(h, t, &h->output, &m->w[ROLE_OUTPUT]);
	for (uint32_t i = 0; i < m->n_ropes; i++)
		h->rope_frequency[i] =
			cuda_take(t, LEDGER_WEIGHTS, m->ropes[i].n_dims / 2, sizeof(float), "weights");
	h->any_mins = any_mins(c);
	h->any_post = any_post(m);
}

/* ---- loading ---- */

cudaError_t tile_place(const struct load_item *item, const uint8_t *rows, uint32_t first, uint32_t n,
		       cudaStream_t stream)
{
	const struct tile_matrix *m = item->to;
	const struct tile_repack_args a = {*m, rows, item->w->row_bytes, first, n};
	return tile_repack(&a, stream);
}

static enum hokku_code load_vectors(struct cuda *c, struct hokku_error *err)
{
	const struct model *m = c->model;
	struct tile_handle *h = tile_of(c);
	enum hokku_code rc =
		load_vector(c, h->output_norm, &m->w[ROLE_OUTPUT_NORM], padded(&m->w[ROLE_OUTPUT_NORM]), err);
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		const struct weight *from = m->layers[l].w;
		float *const *to = h->layers[l].v;
		for (uint32_t i = 0; i < N_LAYER_ROLES && !rc; i++)
			if (to[i])
				rc = load_vector(c, to[i], &from[i], padded(&from[i]), err);
	}
	for (uint32_t i = 0; i < m->n_ropes && !rc; i++)
		rc = load_floats(c, h->rope_frequency[i], m->ropes[i].freq, m->ropes[i].n_dims / 2, err);
	return rc;
}

enum hokku_code tile_load(struct cuda *c, const struct compute_params *p, struct hokku_error *err)
{
	const struct model *m = c->model;
	struct tile_handle *h = tile_of(c);
	struct load_list list = {0};
	enum hokku_code rc = load_vectors(c, err);
	if (rc)
		return rc;
	load_add(&list, &m->w[ROLE_EMBEDDING], &h->embedding, tile_place);
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		const struct weight *from = m->layers[l].w;
		for (uint32_t i = 0; i < N_LAYER_ROLES; i++)
			if (role_is_matrix(i) && from[i].tensor)
				load_add(&list, &from[i], &h->layers[l].m[i], tile_place);
	}
	if (!m->tied)
		load_add(&list, &m->w[ROLE_OUTPUT], &h->output, tile_place);
	return load_run(c, &list, load_choose(&list, c->load_room), p, err);
}
