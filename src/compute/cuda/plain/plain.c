/* The plain path: one launch an operation, any device from sm_75 up. Read layer() first: it is the model. */
#include <stdlib.h>

#include "compute/cuda/load.h"
#include "compute/cuda/plain/plain_layout.h"

struct plain_layer {
	struct plain_matrix m[N_LAYER_ROLES]; /* of the roles that are matrices */
	float *v[N_LAYER_ROLES];              /* of those that are vectors; NULL: the layer has none */
};

/* What the path keeps in c->own. Pointers inside are the device's, but for layers. */
struct plain_handle {
	struct plain_layer *layers; /* (n_layers) */
	struct plain_matrix embedding, output;
	float *output_norm;                     /* (d_model) */
	float *rope_frequency[MODEL_MAX_ROPES]; /* (n_dims / 2) */
	float *x, *normed;                      /* (n_batch, d_pitch) */
	float *q, *attended;                    /* (n_batch, q_pitch) */
	float *k, *v;                           /* (n_batch, kv_pitch) */
	float *gate, *up;                       /* (n_batch, ff_pitch) */
	float *pooled;                          /* (n_seqs, d_pitch) sums; NULL: no step asks for one */
	float *partial; /* (PLAIN_SPLIT_TOKENS, n_heads, splits of n_ctx, 2 + head_dim) */
	bool can_split; /* partial is there */
};

static struct plain_handle *plain_of(const struct cuda *c)
{
	return c->own;
}

/* out = x * w^T + bias, or added to out */
static enum hokku_code product(struct cuda *c, const struct plain_matrix *w, const float *bias,
			       const float *x, uint32_t x_pitch, float *out, uint32_t out_pitch, bool add,
			       struct hokku_error *err)
{
	const struct plain_product_args a = {*w, x, bias, out, x_pitch, out_pitch, c->input.n_tokens, add};
	CUDA_TRY(&c->device, err, plain_product(&a, c->stream));
	return HOKKU_OK;
}

/* h->normed = norm(x), and where it is: x itself if the layer has no such norm */
static enum hokku_code norm(struct cuda *c, const struct layer_spec *spec, const float *weight,
			    const float **at, struct hokku_error *err)
{
	struct plain_handle *h = plain_of(c);
	const struct plain_norm_args a = {
		.x = h->x,
		.weight = weight,
		.out = h->normed,
		.n = c->input.n_tokens,
		.cols = c->model->hp.d_model,
		.pitch = c->d_pitch,
		.eps = spec->norm_eps,
	};
	*at = weight ? h->normed : h->x;
	if (weight)
		CUDA_TRY(&c->device, err, plain_norm(&a, c->stream));
	return HOKKU_OK;
}

/* q or k in place, each head by itself or all together */
static enum hokku_code qk_norm(struct cuda *c, const struct layer_spec *spec, const float *weight, float *x,
			       uint32_t n_heads, uint32_t pitch, struct hokku_error *err)
{
	bool heads = spec->attn.qk_norm == QK_NORM_HEAD;
	const struct plain_norm_args a = {
		.x = x,
		.weight = weight,
		.out = x,
		.n = c->input.n_tokens,
		.cols = spec->attn.head_dim * (heads ? 1 : n_heads),
		.pitch = pitch,
		.eps = spec->norm_eps,
		.groups = heads ? n_heads : 1,
	};
	if (spec->attn.qk_norm != QK_NORM_NONE)
		CUDA_TRY(&c->device, err, plain_norm(&a, c->stream));
	return HOKKU_OK;
}

/* x += residual_scale * norm(x_in * w^T + bias), by way of h->normed where it is more than a product. */
static enum hokku_code add_block(struct cuda *c, const struct layer_spec *spec, const struct plain_matrix *w,
				 const float *bias, const float *post_norm, const float *in,
				 uint32_t in_pitch, struct hokku_error *err)
{
	struct plain_handle *h = plain_of(c);
	bool later = post_norm || spec->residual_scale != 1;
	const struct plain_norm_args a = {
		.x = h->normed,
		.weight = post_norm,
		.out = h->x,
		.n = c->input.n_tokens,
		.cols = c->model->hp.d_model,
		.pitch = c->d_pitch,
		.eps = spec->norm_eps,
		.add = true,
		.scale = spec->residual_scale,
	};
	enum hokku_code rc =
		product(c, w, bias, in, in_pitch, later ? h->normed : h->x, c->d_pitch, !later, err);
	if (!rc && later)
		CUDA_TRY(&c->device, err, plain_norm(&a, c->stream));
	return rc;
}

/* Keys and values of the new tokens into the KV memory, then what attention gives. */
static enum hokku_code attention(struct cuda *c, uint32_t l, struct hokku_error *err)
{
	struct plain_handle *h = plain_of(c);
	const struct attn_spec *attn = &c->model->layers[l].spec->attn;
	struct plain_kv kv = plain_kv_of(attn->n_heads, attn->n_kv_heads, attn->head_dim, c->cache);
	kv.layer = cuda_kv(c, l);
	kv.tables = cuda_tables(c, l);
	const struct plain_rope_args rope = {
		.kv = kv,
		.tokens = cuda_tokens(c),
		.frequency = attn->rope ? h->rope_frequency[attn->rope - c->model->ropes] : NULL,
		.q = h->q,
		.k = h->k,
		.v = h->v,
		.q_pitch = c->q_pitch,
		.kv_pitch = c->kv_pitch,
		.n_tokens = c->input.n_tokens,
		.neox = attn->rope && attn->rope->kind == ROPE_NEOX,
		.n_dims = attn->rope ? attn->rope->n_dims : 0,
		.factor = attn->rope ? attn->rope->attn_factor : 1,
	};
	bool split = h->can_split && c->input.n_tokens <= PLAIN_SPLIT_TOKENS && c->input.n_splits > 1;
	const struct plain_attention_args a = {
		.kv = kv,
		.tokens = cuda_tokens(c),
		.q = h->q,
		.out = h->attended,
		.partial = split ? h->partial : NULL,
		.pitch = c->q_pitch,
		.n_tokens = c->input.n_tokens,
		.n_splits = c->input.n_splits,
		.scale = attn->scale,
		.window = attn->window,
		.soft_cap = attn->soft_cap,
		.temperature = attn->temperature,
		.every = attn->temperature != 0 ? attn->temperature_every : 0,
	};
	CUDA_TRY(&c->device, err, plain_rope_kv(&rope, c->stream));
	CUDA_TRY(&c->device, err, plain_attention(&a, c->stream));
	return HOKKU_OK;
}

static enum hokku_code gate(struct cuda *c, const struct ffn_spec *ffn, struct hokku_error *err)
{
	struct plain_handle *h = plain_of(c);
	const struct plain_gate_args a = {
		.gate = h->gate,
		.up = h->up,
		.cols = ffn->d_ff,
		.pitch = c->ff_pitch,
		.n_tokens = c->input.n_tokens,
		.act = ffn->act,
		.ungated = !ffn->gated,
	};
	CUDA_TRY(&c->device, err, plain_gate(&a, c->stream));
	return HOKKU_OK;
}

static enum hokku_code attention_block(struct cuda *c, uint32_t l, struct hokku_error *err)
{
	struct plain_handle *h = plain_of(c);
	const struct plain_layer *w = &h->layers[l];
	const struct layer_spec *spec = c->model->layers[l].spec;
	const uint32_t d = c->d_pitch, q = c->q_pitch, kv = c->kv_pitch;
	const float *x;
	enum hokku_code rc = norm(c, spec, w->v[ROLE_ATTN_NORM], &x, err);
	if (!rc)
		rc = product(c, &w->m[ROLE_WQ], w->v[ROLE_BQ], x, d, h->q, q, false, err);
	if (!rc)
		rc = product(c, &w->m[ROLE_WK], w->v[ROLE_BK], x, d, h->k, kv, false, err);
	if (!rc)
		rc = product(c, &w->m[ROLE_WV], w->v[ROLE_BV], x, d, h->v, kv, false, err);
	if (!rc)
		rc = qk_norm(c, spec, w->v[ROLE_Q_NORM], h->q, spec->attn.n_heads, q, err);
	if (!rc)
		rc = qk_norm(c, spec, w->v[ROLE_K_NORM], h->k, spec->attn.n_kv_heads, kv, err);
	if (!rc)
		rc = attention(c, l, err);
	if (!rc)
		rc = add_block(c, spec, &w->m[ROLE_WO], w->v[ROLE_BO], w->v[ROLE_ATTN_POST_NORM], h->attended,
			       q, err);
	return rc;
}

static enum hokku_code ffn_block(struct cuda *c, uint32_t l, struct hokku_error *err)
{
	struct plain_handle *h = plain_of(c);
	const struct plain_layer *w = &h->layers[l];
	const struct layer_spec *spec = c->model->layers[l].spec;
	const uint32_t d = c->d_pitch, ff = c->ff_pitch;
	const float *x;
	enum hokku_code rc = norm(c, spec, w->v[ROLE_FFN_NORM], &x, err);
	if (!rc && spec->ffn.gated)
		rc = product(c, &w->m[ROLE_W_GATE], w->v[ROLE_B_GATE], x, d, h->gate, ff, false, err);
	if (!rc)
		rc = product(c, &w->m[ROLE_W_UP], w->v[ROLE_B_UP], x, d, h->up, ff, false, err);
	if (!rc)
		rc = gate(c, &spec->ffn, err);
	if (!rc)
		rc = add_block(c, spec, &w->m[ROLE_W_DOWN], w->v[ROLE_B_DOWN], w->v[ROLE_FFN_POST_NORM],
			       h->gate, ff, err);
	return rc;
}

static enum hokku_code plain_layers(struct cuda *c, struct hokku_error *err)
{
	struct plain_handle *h = plain_of(c);
	const struct plain_embed_args embed = {h->embedding, cuda_tokens(c),    h->x,
					       c->d_pitch,   c->input.n_tokens, c->model->embedding_scale};
	CUDA_TRY(&c->device, err, plain_embed(&embed, c->stream));
	for (uint32_t l = 0; l < c->model->hp.n_layers; l++) {
		enum hokku_code rc = attention_block(c, l, err);
		if (!rc)
			rc = ffn_block(c, l, err);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

/* What sequence s wants of its states, which begin at row `from` of h->normed. */
static enum hokku_code pool(struct cuda *c, const struct compute_seq *seq, uint32_t s, uint32_t from,
			    struct hokku_error *err)
{
	struct plain_handle *h = plain_of(c);
	const uint32_t d_model = c->model->hp.d_model, n = seq->n_tokens;
	const uint64_t bytes = d_model * sizeof(float);
	const float *rows = h->normed + (uint64_t)from * c->d_pitch;
	bool mean = seq->pooling == COMPUTE_POOL_MEAN;
	const struct plain_pool_args a = {
		.states = rows,
		.sum = h->pooled + (uint64_t)s * c->d_pitch,
		.n = n,
		.cols = d_model,
		.pitch = c->d_pitch,
		.begins = seq->pos == 0,
		.divisor = seq->ends ? seq->pos + n : 0,
	};
	if (mean && seq->pos)
		CUDA_TRY(&c->device, err,
			 cudaMemcpyAsync(a.sum, seq->states, bytes, cudaMemcpyHostToDevice, c->stream));
	if (mean) {
		CUDA_TRY(&c->device, err, plain_pool(&a, c->stream));
		rows = a.sum;
	} else if (seq->pooling == COMPUTE_POOL_LAST) {
		rows += (uint64_t)(n - 1) * c->d_pitch;
	}
	uint32_t n_rows = seq->pooling == COMPUTE_POOL_NONE ? n : seq->pooling == COMPUTE_POOL_OFF ? 0 : 1;
	for (uint32_t i = 0; i < n_rows; i++)
		CUDA_TRY(&c->device, err,
			 cudaMemcpyAsync(seq->states + (uint64_t)i * d_model, rows + (uint64_t)i * c->d_pitch,
					 bytes, cudaMemcpyDeviceToHost, c->stream));
	return HOKKU_OK;
}

static enum hokku_code plain_states(struct cuda *c, const struct compute_seq *seqs, uint32_t n,
				    struct hokku_error *err)
{
	struct plain_handle *h = plain_of(c);
	const struct plain_norm_args norm = {
		.x = h->x,
		.weight = h->output_norm,
		.out = h->normed,
		.n = c->input.n_tokens,
		.cols = c->model->hp.d_model,
		.pitch = c->d_pitch,
		.eps = c->model->hp.norm_eps,
	};
	enum hokku_code rc = HOKKU_OK;
	CUDA_TRY(&c->device, err, plain_norm(&norm, c->stream));
	for (uint32_t s = 0, from = 0; s < n && !rc; from += seqs[s++].n_tokens)
		rc = pool(c, &seqs[s], s, from, err);
	return rc;
}

static enum hokku_code plain_logits(struct cuda *c, uint32_t first, uint32_t n, struct hokku_error *err)
{
	struct plain_handle *h = plain_of(c);
	const struct model *m = c->model;
	const uint32_t *rows = (const uint32_t *)(const void *)(c->input.device + c->input.rows_at);
	const struct plain_norm_args norm = {
		.x = h->x,
		.weight = h->output_norm,
		.rows = rows + first,
		.out = h->normed,
		.n = n,
		.cols = m->hp.d_model,
		.pitch = c->d_pitch,
		.eps = m->hp.norm_eps,
	};
	const struct plain_product_args product = {
		.w = h->output,
		.x = h->normed,
		.out = c->logits,
		.x_pitch = c->d_pitch,
		.out_pitch = c->vocab_pitch,
		.n_tokens = n,
	};
	const struct cuda_bend_args bend = {c->logits,      n,           m->hp.n_vocab, c->vocab_pitch,
					    m->logit_scale, m->logit_cap};
	CUDA_TRY(&c->device, err, plain_norm(&norm, c->stream));
	CUDA_TRY(&c->device, err, plain_product(&product, c->stream));
	if (m->logit_scale != 1 || m->logit_cap != 0)
		CUDA_TRY(&c->device, err, cuda_bend(&bend, c->stream));
	return HOKKU_OK;
}

/* ---- what it takes from the device ---- */

static bool has_kernel(const struct weight *w)
{
	struct plain_matrix m;
	return plain_layout_plan(&m, w);
}

static enum hokku_code plain_fits(struct cuda *c, struct hokku_error *err)
{
	const struct model *m = c->model;
	if (m->hp.head_dim > CUDA_MAX_HEAD_DIM)
		return err_set(err, HOKKU_MODEL_LOAD_FAILED,
			       "%s has heads of %u columns; the device cuda takes at most %d", m->name,
			       m->hp.head_dim, CUDA_MAX_HEAD_DIM);
	enum hokku_code rc = load_check_formats(m, has_kernel, "kernel", err);
	if (rc)
		return rc;
	struct plain_handle *h = calloc(1, sizeof *h);
	if (h)
		h->layers = calloc(m->hp.n_layers, sizeof *h->layers);
	if (!h || !h->layers) {
		free(h);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the device cuda");
	}
	c->own = h;
	return HOKKU_OK;
}

static void plain_close(struct cuda *c)
{
	struct plain_handle *h = plain_of(c);
	if (h)
		free(h->layers);
	free(h);
	c->own = NULL;
}

static enum hokku_code plain_cache(struct cuda *c, struct cache_types *types, struct hokku_error *err)
{
	(void)c;
	return cache_types_settle("cuda/plain", PLAIN_CACHE_TYPES, CACHE_F32, types, err);
}

static uint64_t plain_kv_block_bytes(const struct cuda *c)
{
	const struct hparams *hp = &c->model->hp;
	return (uint64_t)plain_kv_of(hp->n_heads, hp->n_kv_heads, hp->head_dim, c->cache).kv_bytes *
	       hp->n_kv_heads;
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
	struct plain_handle *h = plain_of(c);
	const struct model *m = c->model;
	take_matrix(t, &h->embedding, &m->w[ROLE_EMBEDDING]);
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		const struct weight *from = m->layers[l].w;
		struct plain_layer *to = &h->layers[l];
		for (uint32_t i = 0; i < N_LAYER_ROLES; i++)
			if (role_is_matrix(i) && from[i].tensor)
				take_matrix(t, &to->m[i], &from[i]);
		for (uint32_t i = 0; i < N_LAYER_ROLES; i++)
			if (!role_is_matrix(i))
				to->v[i] = take_vector(t, &from[i]);
	}
	h->output_norm = take_vector(t, &m->w[ROLE_OUTPUT_NORM]);
	if (m->tied)
		h->output = h->embedding;
	else
		take_matrix(t, &h->output, &m->w[ROLE_OUTPUT]);
	for (uint32_t i = 0; i < m->n_ropes; i++)
		h->rope_frequency[i] =
			cuda_take(t, LEDGER_WEIGHTS, m->ropes[i].n_dims / 2, sizeof(float), "weights");
}

static cudaError_t place(const struct load_item *item, const uint8_t *rows, uint32_t first, uint32_t n,
			 cudaStream_t stream)
{
	return plain_layout_rows(item->to, item->w, rows, first, n, stream);
}

static void list_layer(struct load_list *list, const struct plain_layer *to, const struct weight *from)
{
	for (uint32_t i = 0; i < N_LAYER_ROLES; i++)
		if (role_is_matrix(i) && from[i].tensor)
			load_add(list, &from[i], &to->m[i], place);
}

static enum hokku_code load_vectors(struct cuda *c, struct hokku_error *err)
{
	struct plain_handle *h = plain_of(c);
	const struct model *m = c->model;
	enum hokku_code rc = load_vector(c, h->output_norm, &m->w[ROLE_OUTPUT_NORM], m->hp.d_model, err);
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		const struct weight *from = m->layers[l].w;
		float *const *to = h->layers[l].v;
		for (uint32_t i = 0; i < N_LAYER_ROLES && !rc; i++)
			if (to[i])
				rc = load_vector(c, to[i], &from[i], from[i].cols, err);
	}
	for (uint32_t i = 0; i < m->n_ropes && !rc; i++)
		rc = load_floats(c, h->rope_frequency[i], m->ropes[i].freq, m->ropes[i].n_dims / 2, err);
	return rc;
}

static enum hokku_code plain_load(struct cuda *c, const struct compute_params *p, struct hokku_error *err)
{
	struct plain_handle *h = plain_of(c);
	const struct model *m = c->model;
	struct load_list list = {0};
	enum hokku_code rc = load_vectors(c, err);
	if (rc)
		return rc;
	load_add(&list, &m->w[ROLE_EMBEDDING], &h->embedding, place);
	for (uint32_t l = 0; l < m->hp.n_layers; l++)
		list_layer(&list, &h->layers[l], m->layers[l].w);
	if (!m->tied)
		load_add(&list, &m->w[ROLE_OUTPUT], &h->output, place);
	return load_run(c, &list, load_choose(&list, c->load_room), p, err);
}

static float *take_floats(struct cuda_taker *t, uint64_t rows, uint64_t columns)
{
	return cuda_take(t, LEDGER_SCRATCH, rows, columns * sizeof(float), "scratch");
}

static void plain_take_scratch(struct cuda *c, struct cuda_taker *t)
{
	struct plain_handle *h = plain_of(c);
	const struct hparams *hp = &c->model->hp;
	uint64_t n = c->n_batch, splits = ((uint64_t)c->n_ctx + CUDA_ATTN_SPLIT - 1) / CUDA_ATTN_SPLIT;
	h->x = take_floats(t, n, c->d_pitch);
	h->normed = take_floats(t, n > c->logit_rows ? n : c->logit_rows, c->d_pitch);
	h->q = take_floats(t, n, c->q_pitch);
	h->attended = take_floats(t, n, c->q_pitch);
	h->k = take_floats(t, n, c->kv_pitch);
	h->v = take_floats(t, n, c->kv_pitch);
	h->gate = take_floats(t, n, c->ff_pitch);
	h->up = take_floats(t, n, c->ff_pitch);
	h->pooled = c->pooled ? take_floats(t, c->n_seqs, c->d_pitch) : NULL;
	h->can_split = splits > 1 && splits <= 65535; /* of a grid's second dimension */
	if (h->can_split)
		h->partial = take_floats(t, (uint64_t)PLAIN_SPLIT_TOKENS * hp->n_heads,
					 splits * (2 + (uint64_t)hp->head_dim));
}

/* What of a model's specs the kernels carry out. */
static const struct spec_support plain_can = {
	.must = ROLE_BIT(WQ) | ROLE_BIT(WK) | ROLE_BIT(WV) | ROLE_BIT(WO) | ROLE_BIT(W_UP) | ROLE_BIT(W_DOWN),
	.roles = SPEC_ALL_ROLES,
	.features = SPEC_ALL_FEATURES & ~SPEC_OTHER_SHAPES,
};

const struct cuda_path cuda_path_plain = {
	.name = "plain",
	.min_cc = 75,
	.logit_rows = PLAIN_LOGIT_ROWS,
	.can = &plain_can,
	.fits = plain_fits,
	.cache = plain_cache,
	.kv_block_bytes = plain_kv_block_bytes,
	.take_weights = plain_take_weights,
	.load = plain_load,
	.take_scratch = plain_take_scratch,
	.layers = plain_layers,
	.logits = plain_logits,
	.states = plain_states,
	.close = plain_close,
};
