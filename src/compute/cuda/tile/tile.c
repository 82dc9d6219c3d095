/* The tile path, for steps of any number of tokens. Read from the bottom: it is the model. */
#include <math.h>
#include <stdio.h>

#include "compute/cuda/tile/tile.h"
#include "compute/cuda/tile/tile_product.h"

enum { WORDS_A_BAND = sizeof(struct attend_band) / sizeof(uint32_t) };

/* ---- a step ---- */

static uint32_t group_of(const struct cuda *c)
{
	return c->model->hp.n_heads / c->model->hp.n_kv_heads;
}

/* h->normed = norm of x's rows; the rows as they are where weight is NULL. */
static enum hokku_code norm(struct cuda *c, const float *weight, const uint32_t *rows, uint32_t n, float eps,
			    struct hokku_error *err)
{
	struct tile_handle *h = tile_of(c);
	const struct tile_norm_args a = {
		.x = h->x,
		.weight = weight,
		.rows = rows,
		.out = h->normed,
		.n = n,
		.x_pitch = c->d_pitch,
		.eps = eps,
	};
	CUDA_TRY(&c->device, err, tile_norm(&a, c->stream));
	return HOKKU_OK;
}

static enum hokku_code product(struct cuda *c, struct tile_product_args a, struct hokku_error *err)
{
	a.n_sms = tile_of(c)->n_sms;
	a.n_tokens = a.n_tokens ? a.n_tokens : c->input.n_tokens;
	CUDA_TRY(&c->device, err, tile_product(&a, c->stream));
	return HOKKU_OK;
}

static enum hokku_code qkv(struct cuda *c, const struct tile_layer *w, struct hokku_error *err)
{
	struct tile_handle *h = tile_of(c);
	return product(c,
		       (struct tile_product_args){
			       .part = {{w->m[ROLE_WQ], w->v[ROLE_BQ], 0},
					{w->m[ROLE_WK], w->v[ROLE_BK], c->q_dim},
					{w->m[ROLE_WV], w->v[ROLE_BV], c->q_dim + c->kv_dim}},
			       .n_parts = 3,
			       .x = h->normed,
			       .out = h->qkv,
			       .out_pitch = h->qkv_pitch,
		       },
		       err);
}

/* Are heads normed where they are turned? Else before, in place. */
static bool norms_on_turning(const struct attn_spec *attn)
{
	return attn->qk_norm == QK_NORM_HEAD && head_norm_fits(attn->head_dim);
}

/* q or k in place, from column `first` on: each head by itself or all together. */
static enum hokku_code norm_heads(struct cuda *c, const struct layer_spec *spec, const float *weight,
				  uint32_t first, uint32_t n_heads, struct hokku_error *err)
{
	struct tile_handle *h = tile_of(c);
	bool heads = spec->attn.qk_norm == QK_NORM_HEAD;
	const struct tile_groups_args a = {
		.x = h->qkv + first,
		.weight = weight,
		.n = c->input.n_tokens,
		.groups = heads ? n_heads : 1,
		.cols = spec->attn.head_dim * (heads ? 1 : n_heads),
		.pitch = h->qkv_pitch,
		.eps = spec->norm_eps,
	};
	CUDA_TRY(&c->device, err, tile_norm_groups(&a, c->stream));
	return HOKKU_OK;
}

static enum hokku_code norm_qk(struct cuda *c, uint32_t l, struct hokku_error *err)
{
	const struct layer_spec *spec = c->model->layers[l].spec;
	float *const *v = tile_of(c)->layers[l].v;
	if (spec->attn.qk_norm == QK_NORM_NONE || norms_on_turning(&spec->attn))
		return HOKKU_OK;
	enum hokku_code rc = norm_heads(c, spec, v[ROLE_Q_NORM], 0, spec->attn.n_heads, err);
	return rc ? rc : norm_heads(c, spec, v[ROLE_K_NORM], c->q_dim, spec->attn.n_kv_heads, err);
}

static struct tile_rope_args rope_of(const struct cuda *c, uint32_t l, const struct tile_kv *kv)
{
	const struct layer_spec *spec = c->model->layers[l].spec;
	const struct attn_spec *attn = &spec->attn;
	const struct tile_handle *h = tile_of(c);
	/* how dimensions pair is the same in a layer that turns none */
	const struct rope *rope = attn->rope ? attn->rope : &c->model->ropes[0];
	float *const *v = h->layers[l].v;
	bool normed = norms_on_turning(attn);
	return (struct tile_rope_args){
		.kv = *kv,
		.tokens = cuda_tokens(c),
		.frequency = attn->rope ? h->rope_frequency[rope - c->model->ropes] : NULL,
		.q = h->qkv,
		.k = h->qkv + c->q_dim,
		.v = h->qkv + c->q_dim + c->kv_dim,
		.out = h->q,
		.pitch = h->qkv_pitch,
		.n_tokens = c->input.n_tokens,
		.neox = rope->kind == ROPE_NEOX,
		.q_norm = normed ? v[ROLE_Q_NORM] : NULL,
		.k_norm = normed ? v[ROLE_K_NORM] : NULL,
		.inverse_head = 1.0f / (float)attn->head_dim,
		.eps = spec->norm_eps,
		.n_dims = rope->n_dims,
		.factor = rope->attn_factor,
		.temperature = attn->temperature,
		.every = attn->temperature != 0 ? attn->temperature_every : 0,
	};
}

static enum hokku_code attention(struct cuda *c, uint32_t l, struct hokku_error *err)
{
	const struct attn_spec *attn = &c->model->layers[l].spec->attn;
	struct tile_handle *h = tile_of(c);
	const struct tile_kv kv = {
		.layer = (uint16_t *)(void *)cuda_kv(c, l),
		.tables = cuda_tables(c, l),
		.n_heads = attn->n_heads,
		.n_kv_heads = attn->n_kv_heads,
		.head_dim = attn->head_dim,
		.planes = h->planes,
		.q8_0 = c->cache.k == CACHE_Q8_0,
	};
	const struct tile_rope_args rope = rope_of(c, l, &kv);
	const struct tile_attention_args a = {
		.kv = kv,
		.tokens = cuda_tokens(c),
		.bands = (const struct attend_band *)(const void *)(cuda_words(c) + h->bands),
		.q = h->q,
		.out = h->attended,
		.partial = h->split ? h->partial : NULL,
		.plan = h->plan,
		.n_tokens = c->input.n_tokens,
		.scale = attn->scale,
		.window = attn->window,
		.soft_cap = attn->soft_cap,
	};
	CUDA_TRY(&c->device, err, tile_rope_kv(&rope, c->stream));
	CUDA_TRY(&c->device, err, tile_attention(&a, c->stream));
	return HOKKU_OK;
}

/* x += residual_scale * norm(w * from + bias), by way of h->block where that is more than a product. */
static enum hokku_code add_block(struct cuda *c, const struct layer_spec *spec, const struct tile_matrix *w,
				 const float *bias, const float *post_norm,
				 const struct tile_activations *from, struct hokku_error *err)
{
	struct tile_handle *h = tile_of(c);
	bool later = post_norm || spec->residual_scale != 1;
	const struct tile_post_args post = {
		.y = h->block,
		.weight = post_norm,
		.x = h->x,
		.n = c->input.n_tokens,
		.cols = c->model->hp.d_model,
		.pitch = c->d_pitch,
		.eps = spec->norm_eps,
		.scale = spec->residual_scale,
	};
	enum hokku_code rc = product(c,
				     (struct tile_product_args){
					     .part = {{*w, bias, 0}},
					     .n_parts = 1,
					     .x = *from,
					     .out = later ? h->block : h->x,
					     .out_pitch = c->d_pitch,
					     .add = !later,
				     },
				     err);
	if (!rc && later)
		CUDA_TRY(&c->device, err, tile_post(&post, c->stream));
	return rc;
}

static enum hokku_code gate_up(struct cuda *c, const struct ffn_spec *ffn, const struct tile_layer *w,
			       struct hokku_error *err)
{
	struct tile_handle *h = tile_of(c);
	struct tile_product_args a = {
		.part = {{w->m[ROLE_W_GATE], w->v[ROLE_B_GATE], 0},
			 {w->m[ROLE_W_UP], w->v[ROLE_B_UP], c->ff_pitch}},
		.n_parts = 2,
		.x = h->normed,
		.out = h->gate_up,
		.out_pitch = 2 * c->ff_pitch,
	};
	if (!ffn->gated) {
		a.part[0] = a.part[1];
		a.n_parts = 1;
	}
	enum hokku_code rc = product(c, a, err);
	if (rc)
		return rc;
	const struct tile_gate_args gate = {
		.gate = ffn->gated ? h->gate_up : NULL,
		.up = h->gate_up + c->ff_pitch,
		.out = h->hidden,
		.n_tokens = c->input.n_tokens,
		.pitch = 2 * c->ff_pitch,
		.step = 1,
		.act = ffn->act,
	};
	CUDA_TRY(&c->device, err, tile_gate(&gate, c->stream));
	return HOKKU_OK;
}

static enum hokku_code layer(struct cuda *c, uint32_t l, struct hokku_error *err)
{
	struct tile_handle *h = tile_of(c);
	const struct tile_layer *w = &h->layers[l];
	const struct layer_spec *spec = c->model->layers[l].spec;
	uint32_t n = c->input.n_tokens;
	enum hokku_code rc = norm(c, w->v[ROLE_ATTN_NORM], NULL, n, spec->norm_eps, err);
	if (!rc)
		rc = qkv(c, w, err);
	if (!rc)
		rc = norm_qk(c, l, err);
	if (!rc)
		rc = attention(c, l, err);
	if (!rc)
		rc = add_block(c, spec, &w->m[ROLE_WO], w->v[ROLE_BO], w->v[ROLE_ATTN_POST_NORM],
			       &h->attended, err);
	if (!rc)
		rc = norm(c, w->v[ROLE_FFN_NORM], NULL, n, spec->norm_eps, err);
	if (!rc)
		rc = gate_up(c, &spec->ffn, w, err);
	if (!rc)
		rc = add_block(c, spec, &w->m[ROLE_W_DOWN], w->v[ROLE_B_DOWN], w->v[ROLE_FFN_POST_NORM],
			       &h->hidden, err);
	return rc;
}

enum hokku_code tile_layers(struct cuda *c, struct hokku_error *err)
{
	struct tile_handle *h = tile_of(c);
	const struct tile_embed_args embed = {h->embedding, cuda_tokens(c),    h->x,
					      c->d_pitch,   c->input.n_tokens, c->model->embedding_scale};
	CUDA_TRY(&c->device, err, tile_embed(&embed, c->stream));
	for (uint32_t l = 0; l < c->model->hp.n_layers; l++) {
		enum hokku_code rc = layer(c, l, err);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

enum hokku_code tile_logits(struct cuda *c, uint32_t first, uint32_t n, struct hokku_error *err)
{
	struct tile_handle *h = tile_of(c);
	const uint32_t *rows = (const uint32_t *)(const void *)(c->input.device + c->input.rows_at);
	const struct model *m = c->model;
	const struct cuda_bend_args bend = {c->logits,      n,           m->hp.n_vocab, c->vocab_pitch,
					    m->logit_scale, m->logit_cap};
	enum hokku_code rc = norm(c, h->output_norm, rows + first, n, m->hp.norm_eps, err);
	if (!rc)
		rc = product(c,
			     (struct tile_product_args){
				     .part = {{h->output, NULL, 0}},
				     .n_parts = 1,
				     .x = h->normed,
				     .out = c->logits,
				     .n_tokens = n,
				     .out_pitch = c->vocab_pitch,
			     },
			     err);
	if (!rc && (m->logit_scale != 1 || m->logit_cap != 0))
		CUDA_TRY(&c->device, err, cuda_bend(&bend, c->stream));
	return rc;
}

uint64_t tile_input_words(const struct cuda *c)
{
	return (uint64_t)attend_most_bands(c->n_batch, group_of(c)) * WORDS_A_BAND;
}

/* Attention's bands go with the step's input. */
void tile_pack(struct cuda *c)
{
	struct cuda_input *in = &c->input;
	struct tile_handle *h = tile_of(c);
	h->split = in->n_tokens <= TILE_SPLIT_TOKENS && in->n_splits > 1 &&
		   (uint64_t)in->n_tokens * in->n_splits <= TILE_SPLITS;
	h->bands = (uint32_t)in->n_words;
	struct attend_band *bands = (struct attend_band *)(void *)(in->words + in->n_words);
	h->plan = attend_plan_bands(in->tokens, in->n_tokens, group_of(c), h->split, bands);
	in->n_words += (uint64_t)(h->plan.n_wide + h->plan.n_narrow) * WORDS_A_BAND;
}

/* ---- what it takes from the device ---- */

enum hokku_code tile_fits(struct cuda *c, struct hokku_error *err)
{
	struct cudaDeviceProp prop;
	if (c->device.cc != TILE_CC)
		return err_set(err, HOKKU_MODEL_LOAD_FAILED,
			       "the tile path is for compute capability 9.0 alone");
	CUDA_TRY(&c->device, err, cudaGetDeviceProperties(&prop, c->device.index));
	if (c->model->hp.head_dim > TILE_MAX_HEAD_DIM)
		return err_set(err, HOKKU_MODEL_LOAD_FAILED,
			       "%s has heads of %u columns; the device cuda takes at most %d", c->model->name,
			       c->model->hp.head_dim, TILE_MAX_HEAD_DIM);
	for (uint32_t i = 0; i < c->model->n_ropes; i++) {
		uint32_t n_dims = c->model->ropes[i].n_dims;
		if (n_dims != c->model->hp.head_dim && n_dims % 4)
			return err_set(
				err, HOKKU_MODEL_LOAD_FAILED,
				"cuda/tile cannot do rope.n_dims: of a part of a head it turns a multiple "
				"of 4 columns, not %u",
				n_dims);
	}
	enum hokku_code rc = tile_create(c, err);
	if (rc)
		return rc;
	struct tile_handle *h = tile_of(c);
	h->n_sms = (uint32_t)prop.multiProcessorCount;
	h->n_together = prop.cooperativeLaunch ? h->n_sms : 1;
	h->hd = tile_hd(c->model->hp.head_dim);
	h->qkv_pitch = (c->q_dim + 2 * c->kv_dim + CUDA_PITCH - 1) / CUDA_PITCH * CUDA_PITCH;
	return HOKKU_OK;
}

/* As many planes as activations have, or q8_0; keys and values alike. */
enum hokku_code tile_cache(struct cuda *c, struct cache_types *types, struct hokku_error *err)
{
	enum cache_type own = tile_of(c)->planes == 2 ? CACHE_F16X2 : CACHE_F16;
	uint32_t width = c->model->hp.n_kv_heads * tile_of(c)->hd;
	enum hokku_code rc = cache_types_settle("cuda/tile", 1u << own | CACHE_BIT(Q8_0), own, types, err);
	if (!rc && types->k != types->v)
		rc = err_set(err, HOKKU_INVALID_REQUEST,
			     "cuda/tile cannot do cache types %s and %s beside each other",
			     cache_type_name(types->k), cache_type_name(types->v));
	if (!rc && types->k == CACHE_Q8_0 && width > TILE_Q8_0_WIDTH)
		rc = err_set(err, HOKKU_INVALID_REQUEST,
			     "cuda/tile cannot do cache type q8_0 of keys of %u numbers a layer; it takes %d",
			     width, TILE_Q8_0_WIDTH);
	if (!rc && types->k == CACHE_Q8_0)
		snprintf(c->note, sizeof c->note,
			 ": without the decode kernel, which cannot do cache type q8_0");
	return rc;
}

uint64_t tile_block_bytes(const struct cuda *c)
{
	const struct hparams *hp = &c->model->hp;
	return tile_kv_block_bytes(hp->n_kv_heads, hp->head_dim, tile_of(c)->planes,
				   c->cache.k == CACHE_Q8_0);
}

static void take_activations(struct cuda *c, struct cuda_taker *t, struct tile_activations *a, uint32_t cols)
{
	struct tile_handle *h = tile_of(c);
	uint64_t rows = (uint64_t)(c->n_batch > c->logit_rows ? c->n_batch : c->logit_rows) * h->planes;
	*a = (struct tile_activations){.cols = cols, .pitch = tile_pitch(cols), .planes = h->planes};
	a->halves = cuda_take(t, LEDGER_SCRATCH, rows, a->pitch * sizeof(uint16_t), "scratch");
	if (h->any_mins)
		a->sums =
			cuda_take(t, LEDGER_SCRATCH, rows, a->pitch / TILE_CHUNK * sizeof(float), "scratch");
}

void tile_take_scratch(struct cuda *c, struct cuda_taker *t)
{
	const struct hparams *hp = &c->model->hp;
	struct tile_handle *h = tile_of(c);
	uint64_t n = c->n_batch;
	h->x = cuda_take(t, LEDGER_SCRATCH, n, c->d_pitch * sizeof(float), "scratch");
	h->qkv = cuda_take(t, LEDGER_SCRATCH, n, h->qkv_pitch * sizeof(float), "scratch");
	h->gate_up = cuda_take(t, LEDGER_SCRATCH, n, 2 * (uint64_t)c->ff_pitch * sizeof(float), "scratch");
	h->q = cuda_take(t, LEDGER_SCRATCH, n, (uint64_t)hp->n_heads * h->planes * h->hd * sizeof(uint16_t),
			 "scratch");
	if (h->any_post)
		h->block = cuda_take(t, LEDGER_SCRATCH, n, c->d_pitch * sizeof(float), "scratch");
	h->partial = cuda_take(t, LEDGER_SCRATCH, (uint64_t)TILE_SPLITS * hp->n_heads,
			       (2 + (uint64_t)h->hd) * sizeof(float), "scratch");
	take_activations(c, t, &h->normed, hp->d_model);
	take_activations(c, t, &h->attended, c->q_dim);
	take_activations(c, t, &h->hidden, hp->d_ff);
}
