/* The plain path: one launch an operation, any device from sm_75 up. Read layer() first: it is the model. */
#include <math.h>

#include "compute/cuda/load.h"

/* out = x * w^T + bias, or added to out */
static enum hokku_code product(struct cuda *c, const struct plain_matrix *w, const float *bias,
			       const float *x, uint32_t x_pitch, float *out, uint32_t out_pitch, bool add,
			       struct hokku_error *err)
{
	const struct plain_product_args a = {*w, x, bias, out, x_pitch, out_pitch, c->input.n_tokens, add};
	CUDA_TRY(&c->device, err, plain_product(&a, c->stream));
	return HOKKU_OK;
}

static enum hokku_code norm(struct cuda *c, const float *weight, struct hokku_error *err)
{
	const struct hparams *hp = &c->model->hp;
	const struct plain_norm_args a = {
		.x = c->x,
		.weight = weight,
		.out = c->normed,
		.n = c->input.n_tokens,
		.cols = hp->d_model,
		.pitch = c->d_pitch,
		.eps = hp->norm_eps,
	};
	CUDA_TRY(&c->device, err, plain_norm(&a, c->stream));
	return HOKKU_OK;
}

static enum hokku_code attention(struct cuda *c, uint32_t l, struct hokku_error *err)
{
	const struct hparams *hp = &c->model->hp;
	float *kv_memory = (float *)(void *)(c->kv + l * c->kv_layer_bytes);
	const struct plain_kv kv = {kv_memory, cuda_words(c), hp->n_heads, hp->n_kv_heads, hp->head_dim};
	const struct plain_rope_args rope = {
		.kv = kv,
		.tokens = cuda_tokens(c),
		.frequency = c->rope_frequency,
		.q = c->q,
		.k = c->k,
		.v = c->v,
		.q_pitch = c->q_pitch,
		.kv_pitch = c->kv_pitch,
		.n_tokens = c->input.n_tokens,
		.neox = c->model->ropes[0].kind == ROPE_NEOX,
	};
	bool split = c->can_split && c->input.n_tokens <= PLAIN_SPLIT_TOKENS && c->input.n_splits > 1;
	const struct plain_attention_args a = {
		.kv = kv,
		.tokens = cuda_tokens(c),
		.q = c->q,
		.out = c->attended,
		.partial = split ? c->partial : NULL,
		.pitch = c->q_pitch,
		.n_tokens = c->input.n_tokens,
		.n_splits = c->input.n_splits,
		.scale = 1.0f / sqrtf((float)hp->head_dim),
	};
	CUDA_TRY(&c->device, err, plain_rope_kv(&rope, c->stream));
	CUDA_TRY(&c->device, err, plain_attention(&a, c->stream));
	return HOKKU_OK;
}

static enum hokku_code silu_mul(struct cuda *c, struct hokku_error *err)
{
	const struct plain_silu_args a = {c->gate, c->up, c->model->hp.d_ff, c->ff_pitch, c->input.n_tokens};
	CUDA_TRY(&c->device, err, plain_silu_mul(&a, c->stream));
	return HOKKU_OK;
}

static enum hokku_code layer(struct cuda *c, uint32_t l, struct hokku_error *err)
{
	const struct plain_layer *w = &c->layers[l];
	const uint32_t d = c->d_pitch, q = c->q_pitch, kv = c->kv_pitch, ff = c->ff_pitch;
	enum hokku_code rc = norm(c, w->v[ROLE_ATTN_NORM], err);
	if (!rc)
		rc = product(c, &w->m[ROLE_WQ], w->v[ROLE_BQ], c->normed, d, c->q, q, false, err);
	if (!rc)
		rc = product(c, &w->m[ROLE_WK], w->v[ROLE_BK], c->normed, d, c->k, kv, false, err);
	if (!rc)
		rc = product(c, &w->m[ROLE_WV], w->v[ROLE_BV], c->normed, d, c->v, kv, false, err);
	if (!rc)
		rc = attention(c, l, err);
	if (!rc)
		rc = product(c, &w->m[ROLE_WO], NULL, c->attended, q, c->x, d, true, err);
	if (!rc)
		rc = norm(c, w->v[ROLE_FFN_NORM], err);
	if (!rc)
		rc = product(c, &w->m[ROLE_W_GATE], NULL, c->normed, d, c->gate, ff, false, err);
	if (!rc)
		rc = product(c, &w->m[ROLE_W_UP], NULL, c->normed, d, c->up, ff, false, err);
	if (!rc)
		rc = silu_mul(c, err);
	if (!rc)
		rc = product(c, &w->m[ROLE_W_DOWN], NULL, c->gate, ff, c->x, d, true, err);
	return rc;
}

static enum hokku_code plain_layers(struct cuda *c, struct hokku_error *err)
{
	const struct plain_embed_args embed = {c->embedding, cuda_tokens(c), c->x, c->d_pitch,
					       c->input.n_tokens};
	CUDA_TRY(&c->device, err, plain_embed(&embed, c->stream));
	for (uint32_t l = 0; l < c->model->hp.n_layers; l++) {
		enum hokku_code rc = layer(c, l, err);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

static enum hokku_code plain_logits(struct cuda *c, uint32_t first, uint32_t n, struct hokku_error *err)
{
	const struct hparams *hp = &c->model->hp;
	const uint32_t *rows = (const uint32_t *)(const void *)(c->input.device + c->input.rows_at);
	const struct plain_norm_args norm = {
		.x = c->x,
		.weight = c->output_norm,
		.rows = rows + first,
		.out = c->normed,
		.n = n,
		.cols = hp->d_model,
		.pitch = c->d_pitch,
		.eps = hp->norm_eps,
	};
	const struct plain_product_args product = {
		.w = c->output,
		.x = c->normed,
		.out = c->logits,
		.x_pitch = c->d_pitch,
		.out_pitch = c->vocab_pitch,
		.n_tokens = n,
	};
	CUDA_TRY(&c->device, err, plain_norm(&norm, c->stream));
	CUDA_TRY(&c->device, err, plain_product(&product, c->stream));
	return HOKKU_OK;
}

/* ---- what it takes from the device ---- */

static enum hokku_code fits_matrix(const struct weight *w, struct hokku_error *err)
{
	struct plain_matrix m;
	if (plain_layout_plan(&m, w))
		return HOKKU_OK;
	return err_set(err, HOKKU_MODEL_LOAD_FAILED, "tensor \"%.*s\": the device cuda has no kernel for %s",
		       STR_ARG(w->tensor->name), w->fmt->name);
}

static enum hokku_code plain_fits(struct cuda *c, struct hokku_error *err)
{
	const struct model *m = c->model;
	if (m->hp.head_dim > CUDA_MAX_HEAD_DIM)
		return err_set(err, HOKKU_MODEL_LOAD_FAILED,
			       "%s has heads of %u columns; the device cuda takes at most %d", m->name,
			       m->hp.head_dim, CUDA_MAX_HEAD_DIM);
	enum hokku_code rc = fits_matrix(&m->w[ROLE_EMBEDDING], err);
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		const struct weight *w = m->layers[l].w;
		for (uint32_t i = 0; i < N_LAYER_ROLES && !rc; i++)
			if (role_is_matrix(i) && w[i].tensor)
				rc = fits_matrix(&w[i], err);
	}
	return rc || m->tied ? rc : fits_matrix(&m->w[ROLE_OUTPUT], err);
}

/* Keys and values in float32, see kernels.h. */
static uint64_t plain_kv_block_bytes(const struct cuda *c)
{
	return (uint64_t)c->kv_dim * 2 * CUDA_KV_BLOCK * sizeof(float);
}

static void take_matrix(struct cuda_taker *t, struct plain_matrix *m, const struct weight *w)
{
	plain_layout_plan(m, w);
	m->main = cuda_take(t, LEDGER_WEIGHTS, m->rows, m->main_pitch, "weights");
	if (m->side_pitch)
		m->side = cuda_take(t, LEDGER_WEIGHTS, m->rows, m->side_pitch, "weights");
}

static float *take_vector(struct cuda_taker *t, const struct weight *w)
{
	return w->tensor ? cuda_take(t, LEDGER_WEIGHTS, w->cols, sizeof(float), "weights") : NULL;
}

static void plain_take_weights(struct cuda *c, struct cuda_taker *t)
{
	const struct model *m = c->model;
	take_matrix(t, &c->embedding, &m->w[ROLE_EMBEDDING]);
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		const struct weight *from = m->layers[l].w;
		struct plain_layer *to = &c->layers[l];
		for (uint32_t i = 0; i < N_LAYER_ROLES; i++)
			if (role_is_matrix(i) && from[i].tensor)
				take_matrix(t, &to->m[i], &from[i]);
		for (uint32_t i = 0; i < N_LAYER_ROLES; i++)
			if (!role_is_matrix(i))
				to->v[i] = take_vector(t, &from[i]);
	}
	c->output_norm = take_vector(t, &m->w[ROLE_OUTPUT_NORM]);
	if (m->tied)
		c->output = c->embedding;
	else
		take_matrix(t, &c->output, &m->w[ROLE_OUTPUT]);
	c->rope_frequency = cuda_take(t, LEDGER_WEIGHTS, m->hp.head_dim / 2, sizeof(float), "weights");
}

static void list_layer(struct load_list *list, const struct plain_layer *to, const struct weight *from)
{
	for (uint32_t i = 0; i < N_LAYER_ROLES; i++)
		if (role_is_matrix(i) && from[i].tensor)
			load_planes(list, &to->m[i], &from[i]);
}

static enum hokku_code load_vectors(struct cuda *c, struct hokku_error *err)
{
	const struct model *m = c->model;
	enum hokku_code rc = load_vector(c, c->output_norm, &m->w[ROLE_OUTPUT_NORM], m->hp.d_model, err);
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		const struct weight *from = m->layers[l].w;
		float *const *to = c->layers[l].v;
		for (uint32_t i = 0; i < N_LAYER_ROLES && !rc; i++)
			if (to[i])
				rc = load_vector(c, to[i], &from[i], from[i].cols, err);
	}
	return rc ? rc : load_frequencies(c, c->rope_frequency, err);
}

static enum hokku_code plain_load(struct cuda *c, const struct compute_params *p, struct hokku_error *err)
{
	const struct model *m = c->model;
	struct load_list list = {0};
	enum hokku_code rc = load_vectors(c, err);
	if (rc)
		return rc;
	load_planes(&list, &c->embedding, &m->w[ROLE_EMBEDDING]);
	for (uint32_t l = 0; l < m->hp.n_layers; l++)
		list_layer(&list, &c->layers[l], m->layers[l].w);
	if (!m->tied)
		load_planes(&list, &c->output, &m->w[ROLE_OUTPUT]);
	return load_run(c, &list, load_choose(&list, c->load_room), p, err);
}

static float *take_floats(struct cuda_taker *t, uint64_t rows, uint64_t columns)
{
	return cuda_take(t, LEDGER_SCRATCH, rows, columns * sizeof(float), "scratch");
}

static void plain_take_scratch(struct cuda *c, struct cuda_taker *t)
{
	const struct hparams *hp = &c->model->hp;
	uint64_t n = c->n_batch, splits = ((uint64_t)c->n_ctx + CUDA_ATTN_SPLIT - 1) / CUDA_ATTN_SPLIT;
	c->x = take_floats(t, n, c->d_pitch);
	c->normed = take_floats(t, n > c->logit_rows ? n : c->logit_rows, c->d_pitch);
	c->q = take_floats(t, n, c->q_pitch);
	c->attended = take_floats(t, n, c->q_pitch);
	c->k = take_floats(t, n, c->kv_pitch);
	c->v = take_floats(t, n, c->kv_pitch);
	c->gate = take_floats(t, n, c->ff_pitch);
	c->up = take_floats(t, n, c->ff_pitch);
	c->can_split = splits > 1 && splits <= 65535; /* of a grid's second dimension */
	if (c->can_split)
		c->partial = take_floats(t, (uint64_t)PLAIN_SPLIT_TOKENS * hp->n_heads,
					 splits * (2 + (uint64_t)hp->head_dim));
}

/* What of a model's specs the kernels carry out. */
static const struct spec_support plain_can = {
	.must = SPEC_PLAIN_ROLES,
	.roles = SPEC_PLAIN_ROLES | ROLE_BIT(BQ) | ROLE_BIT(BK) | ROLE_BIT(BV),
};

const struct cuda_path cuda_path_plain = {
	.name = "plain",
	.min_cc = 75,
	.can = &plain_can,
	.fits = plain_fits,
	.kv_block_bytes = plain_kv_block_bytes,
	.take_weights = plain_take_weights,
	.load = plain_load,
	.take_scratch = plain_take_scratch,
	.layers = plain_layers,
	.logits = plain_logits,
};
