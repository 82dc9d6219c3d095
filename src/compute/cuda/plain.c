/* The plain path: one launch an operation, any device from sm_75 up. Read from the bottom: it is the model.
 */
#include <math.h>

#include "compute/cuda/cuda.h"

/* out = x * w^T + bias, or added to out */
static enum hokku_code product(struct cuda *c, const struct cuda_matrix *w, const float *bias, const float *x,
			       uint32_t x_pitch, float *out, uint32_t out_pitch, bool add,
			       struct hokku_error *err)
{
	const struct product_args a = {*w, x, bias, out, x_pitch, out_pitch, c->input.n_tokens, add};
	CUDA_TRY(&c->device, err, cuda_product(&a, c->stream));
	return HOKKU_OK;
}

static enum hokku_code norm(struct cuda *c, const float *weight, struct hokku_error *err)
{
	const struct hparams *hp = &c->model->hp;
	const struct norm_args a = {
		.x = c->x,
		.weight = weight,
		.out = c->normed,
		.n = c->input.n_tokens,
		.cols = hp->d_model,
		.pitch = c->d_pitch,
		.eps = hp->norm_eps,
	};
	CUDA_TRY(&c->device, err, cuda_norm(&a, c->stream));
	return HOKKU_OK;
}

static enum hokku_code attention(struct cuda *c, uint32_t l, struct hokku_error *err)
{
	const struct hparams *hp = &c->model->hp;
	const struct kv_shape kv = {c->kv + l * c->kv_layer_floats, cuda_words(c), hp->n_heads,
				    hp->n_kv_heads, hp->head_dim};
	const struct rope_args rope = {
		.kv = kv,
		.tokens = cuda_tokens(c),
		.frequency = c->rope_frequency,
		.q = c->q,
		.k = c->k,
		.v = c->v,
		.q_pitch = c->q_pitch,
		.kv_pitch = c->kv_pitch,
		.n_tokens = c->input.n_tokens,
		.neox = c->model->arch->rope == ROPE_NEOX,
	};
	bool split = c->can_split && c->input.n_tokens <= CUDA_SPLIT_TOKENS && c->input.n_splits > 1;
	const struct attention_args a = {
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
	CUDA_TRY(&c->device, err, cuda_rope_kv(&rope, c->stream));
	CUDA_TRY(&c->device, err, cuda_attention(&a, c->stream));
	return HOKKU_OK;
}

static enum hokku_code silu_mul(struct cuda *c, struct hokku_error *err)
{
	const struct silu_args a = {c->gate, c->up, c->model->hp.d_ff, c->ff_pitch, c->input.n_tokens};
	CUDA_TRY(&c->device, err, cuda_silu_mul(&a, c->stream));
	return HOKKU_OK;
}

static enum hokku_code layer(struct cuda *c, uint32_t l, struct hokku_error *err)
{
	const struct cuda_layer *w = &c->layers[l];
	const uint32_t d = c->d_pitch, q = c->q_pitch, kv = c->kv_pitch, ff = c->ff_pitch;
	enum hokku_code rc = norm(c, w->attn_norm, err);
	if (!rc)
		rc = product(c, &w->wq, w->bq, c->normed, d, c->q, q, false, err);
	if (!rc)
		rc = product(c, &w->wk, w->bk, c->normed, d, c->k, kv, false, err);
	if (!rc)
		rc = product(c, &w->wv, w->bv, c->normed, d, c->v, kv, false, err);
	if (!rc)
		rc = attention(c, l, err);
	if (!rc)
		rc = product(c, &w->wo, NULL, c->attended, q, c->x, d, true, err);
	if (!rc)
		rc = norm(c, w->ffn_norm, err);
	if (!rc)
		rc = product(c, &w->w_gate, NULL, c->normed, d, c->gate, ff, false, err);
	if (!rc)
		rc = product(c, &w->w_up, NULL, c->normed, d, c->up, ff, false, err);
	if (!rc)
		rc = silu_mul(c, err);
	if (!rc)
		rc = product(c, &w->w_down, NULL, c->gate, ff, c->x, d, true, err);
	return rc;
}

static enum hokku_code plain_layers(struct cuda *c, struct hokku_error *err)
{
	const struct embed_args embed = {c->embedding, cuda_tokens(c), c->x, c->d_pitch, c->input.n_tokens};
	CUDA_TRY(&c->device, err, cuda_embed(&embed, c->stream));
	for (uint32_t l = 0; l < c->model->hp.n_layers; l++) {
		enum hokku_code rc = layer(c, l, err);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

const struct cuda_path cuda_path_plain = {"plain", 75, plain_layers};
