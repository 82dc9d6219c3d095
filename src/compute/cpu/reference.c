/*
 * cpu:reference: the forward pass as the mathematics says it, in float32 and plain loops. It is the oracle
 * that every faster path is compared with, so it prefers being obviously right to everything else; it owns no
 * tricks and no threads. Weights are read into memory as they stand in the file: a matrix is dequantised one
 * row at a time, and each row serves all tokens of the step, so the memory beside them is the KV cache and
 * some activations.
 *
 * Refuses nothing of one shape that model_bind bound: every format of format.h has a dequantise.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compute/cache_round.h"
#include "compute/cpu/cache.h"
#include "compute/kv_blocks.h"
#include "compute/sample.h"

/* One new token of the step. */
struct token {
	int32_t id;
	uint32_t pos;
	const uint32_t *blocks; /* its sequence's block tables, one a KV group */
	uint32_t blocks_pitch;
};

/* Where a row of logits comes from and goes to. */
struct output {
	uint32_t token; /* index into the step's tokens */
	float *logits;  /* (n_vocab) */
};

/* (KV places, n_kv_blocks, COMPUTE_KV_BLOCK, n_kv_heads) heads, each a row of a block format: filled up with
 * zeros to whole blocks. */
struct store {
	uint8_t *data;
	const struct format *format;
	uint32_t n;        /* numbers of a head, with what fills it up */
	size_t head_bytes; /* that they take */
};

struct reference {
	const struct model *model; /* = &in_memory */
	struct model in_memory;
	uint32_t n_seqs, n_batch;
	uint32_t q_dim, kv_dim; /* heads * head_dim */

	/* keys after RoPE; which block of a layer is whose, the tables of the layer's KV group say */
	struct store keys, values;

	/* scratch, (n_batch, ...) where nothing else is said */
	struct token *tokens;
	struct output *outputs;
	float *x;            /* (d_model) the residual stream */
	float *normed;       /* (d_model) */
	float *q, *attended; /* (q_dim) */
	float *k, *v;        /* (kv_dim) */
	float *gate, *up;    /* (d_ff) */
	float *row;          /* (widest row) one dequantised row of a matrix, nothing else */
	float *scores;       /* (n_ctx), nothing else */
	float *head;         /* (head_dim and less than a format's block more), nothing else */
	float *logits;       /* (n_seqs, n_vocab) for sequences that draw and ask for no logits */
	struct sampler *sampler;
	struct compute_memory memory;
};

/* count zeroed elements, added to *account. *failed remembers what could not be had. */
static void *take(uint64_t count, size_t size, uint64_t *account, uint64_t *failed)
{
	void *p = count <= SIZE_MAX / size ? calloc(count ? count : 1, size) : NULL;
	if (p)
		*account += count * size;
	else if (!*failed)
		*failed = count > UINT64_MAX / size ? UINT64_MAX : count * size;
	return p;
}

static void reference_close(void *self)
{
	struct reference *r = self;
	sampler_destroy(r->sampler);
	void *const all[] = {r->keys.data, r->values.data, r->tokens, r->outputs, r->x,    r->normed,
			     r->q,         r->attended,    r->k,      r->v,       r->gate, r->up,
			     r->row,       r->scores,      r->head,   r->logits};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		free(all[i]);
	model_unbind(&r->in_memory);
	free(r);
}

static struct store store_of(enum cache_type type, uint32_t head_dim)
{
	static const enum tensor_type formats[CACHE_N_TYPES] = {
		[CACHE_F32] = TENSOR_F32,
		[CACHE_F16] = TENSOR_F16,
		[CACHE_BF16] = TENSOR_BF16,
		[CACHE_Q8_0] = TENSOR_Q8_0,
	};
	const struct format *f = format_get(formats[type]);
	uint32_t n_blocks = (head_dim + f->block_elements - 1) / f->block_elements;
	return (struct store){.format = f,
			      .n = n_blocks * f->block_elements,
			      .head_bytes = (size_t)n_blocks * f->block_bytes};
}

static enum hokku_code reference_open(const struct compute_params *p, void **self, struct hokku_error *err)
{
	const struct hparams *hp = &p->model->hp;
	struct reference *r = calloc(1, sizeof *r);
	if (!r)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for cpu:reference");
	*r = (struct reference){
		.n_seqs = p->n_seqs,
		.n_batch = p->n_batch,
		.q_dim = hp->n_heads * hp->head_dim,
		.kv_dim = hp->n_kv_heads * hp->head_dim,
		.memory.weight_bytes = p->model->n_weight_bytes,
		.memory.cache = p->cache,
		.keys = store_of(p->cache.k, hp->head_dim),
		.values = store_of(p->cache.v, hp->head_dim),
	};
	uint32_t *n_kv_blocks = &r->memory.n_kv_blocks;
	uint64_t heads = (uint64_t)COMPUTE_KV_BLOCK * hp->n_kv_heads * model_kv_places(p->model);
	uint64_t block_bytes = heads * (r->keys.head_bytes + r->values.head_bytes);
	enum hokku_code rc = kv_blocks_choose_host(p, block_bytes, UINT64_MAX, n_kv_blocks, err);
	if (rc) {
		reference_close(r);
		return rc;
	}
	uint32_t widest = hp->d_ff;
	widest = widest > hp->d_model ? widest : hp->d_model;
	widest = widest > r->q_dim ? widest : r->q_dim;

	uint64_t failed = 0, *kv = &r->memory.kv_bytes, *scratch = &r->memory.scratch_bytes;
	uint64_t n = p->n_batch,
		 all_heads = heads > UINT64_MAX / *n_kv_blocks ? UINT64_MAX : heads * *n_kv_blocks;
	r->keys.data = take(all_heads, r->keys.head_bytes, kv, &failed);
	r->values.data = take(all_heads, r->values.head_bytes, kv, &failed);
	r->tokens = take(n, sizeof *r->tokens, scratch, &failed);
	r->outputs = take(n, sizeof *r->outputs, scratch, &failed);
	r->x = take(n * hp->d_model, sizeof(float), scratch, &failed);
	r->normed = take(n * hp->d_model, sizeof(float), scratch, &failed);
	r->q = take(n * r->q_dim, sizeof(float), scratch, &failed);
	r->attended = take(n * r->q_dim, sizeof(float), scratch, &failed);
	r->k = take(n * r->kv_dim, sizeof(float), scratch, &failed);
	r->v = take(n * r->kv_dim, sizeof(float), scratch, &failed);
	r->gate = take(n * hp->d_ff, sizeof(float), scratch, &failed);
	r->up = take(n * hp->d_ff, sizeof(float), scratch, &failed);
	r->row = take(widest, sizeof(float), scratch, &failed);
	r->scores = take(p->n_ctx, sizeof(float), scratch, &failed);
	r->head = take(r->keys.n > r->values.n ? r->keys.n : r->values.n, sizeof(float), scratch, &failed);
	r->logits = take((uint64_t)p->n_seqs * hp->n_vocab, sizeof(float), scratch, &failed);
	r->sampler = sampler_create(hp->n_vocab);
	if (failed || !r->sampler) {
		err_set(err, HOKKU_OUT_OF_MEMORY,
			"cpu:reference: no memory for %" PRIu64
			" bytes; a KV cache of %u blocks takes %" PRIu64,
			failed, *n_kv_blocks,
			block_bytes > UINT64_MAX / *n_kv_blocks ? UINT64_MAX : block_bytes * *n_kv_blocks);
		reference_close(r);
		return HOKKU_OUT_OF_MEMORY;
	}
	*scratch += sampler_bytes(r->sampler);
	rc = model_read(&r->in_memory, p->model, err);
	if (rc) {
		reference_close(r);
		return rc;
	}
	r->model = &r->in_memory;

	if (p->on_progress)
		p->on_progress(p->user, r->memory.weight_bytes, r->memory.weight_bytes);
	*self = r;
	return HOKKU_OK;
}

/* Row `row` of w as float32. */
static void weight_row(const struct weight *w, uint32_t row, float *out)
{
	w->fmt->dequantise((const char *)w->data + row * w->row_bytes, out, w->cols);
}

static float dot(const float *a, const float *b, uint32_t n)
{
	float sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

/* y (n, w.rows) = x (n, w.cols) * w^T, plus bias (w.rows) where there is one. */
static void linear(struct reference *r, const struct weight *w, const struct weight *bias, const float *x,
		   uint32_t n, float *y)
{
	for (uint32_t i = 0; i < w->rows; i++) {
		weight_row(w, i, r->row);
		for (uint32_t t = 0; t < n; t++)
			y[(size_t)t * w->rows + i] = dot(r->row, x + (size_t)t * w->cols, w->cols);
	}
	if (!bias->tensor)
		return;
	weight_row(bias, 0, r->row);
	for (uint32_t t = 0; t < n; t++)
		for (uint32_t i = 0; i < w->rows; i++)
			y[(size_t)t * w->rows + i] += r->row[i];
}

/* out = x / sqrt(mean(x^2) + eps) * weight, each of n rows on its own; x itself where there is no weight. */
static void rms_norm(struct reference *r, const struct weight *w, float eps, const float *x, uint32_t n,
		     uint32_t cols, float *out)
{
	if (!w->tensor && out != x)
		memcpy(out, x, (size_t)n * cols * sizeof *out);
	if (!w->tensor)
		return;
	weight_row(w, 0, r->row);
	for (uint32_t t = 0; t < n; t++, x += cols, out += cols) {
		float scale = 1.0f / sqrtf(dot(x, x, cols) / (float)cols + eps);
		for (uint32_t i = 0; i < cols; i++)
			out[i] = x[i] * scale * r->row[i];
	}
}

/* Turns the pairs of each head's first n_dims numbers: (i, i + n_dims / 2) by the angle pos * freq[i]
 * (NeoX), or the pair (2i, 2i + 1). */
static void rotate(const struct rope *rope, float *heads, uint32_t n_heads, uint32_t head_dim, uint32_t pos)
{
	uint32_t half = rope->n_dims / 2;
	bool neox = rope->kind == ROPE_NEOX;
	for (uint32_t h = 0; h < n_heads; h++, heads += head_dim)
		for (uint32_t i = 0; i < half; i++) {
			float angle = (float)pos * rope->freq[i];
			float c = cosf(angle) * rope->attn_factor, s = sinf(angle) * rope->attn_factor;
			float *a = neox ? &heads[i] : &heads[2 * i];
			float *b = neox ? &heads[i + half] : &heads[2 * i + 1];
			float a0 = *a, b0 = *b;
			*a = a0 * c - b0 * s;
			*b = b0 * c + a0 * s;
		}
}

/* Which head of keys and values is a layer's first for a position of a token's sequence. */
static size_t first_head(const struct reference *r, uint32_t layer, const struct token *t, uint32_t pos)
{
	const uint32_t *table = t->blocks + (size_t)r->model->layers[layer].spec->kv_group * t->blocks_pitch;
	size_t place = r->model->layers[layer].spec->kv_place;
	size_t block = place * r->memory.n_kv_blocks + table[pos / COMPUTE_KV_BLOCK];
	return (block * COMPUTE_KV_BLOCK + pos % COMPUTE_KV_BLOCK) * r->model->hp.n_kv_heads;
}

/* x (head_dim) becomes what a head is stored as. */
static void store_head(struct reference *r, const struct store *to, size_t head, const float *x)
{
	uint32_t dim = r->model->hp.head_dim;
	memset(r->head, 0, to->n * sizeof *r->head);
	for (uint32_t i = 0; i < dim; i++)
		r->head[i] = to->format->type == TENSOR_F16 ? cache_limit(x[i]) : x[i];
	to->format->quantise(r->head, to->data + head * to->head_bytes, to->n);
}

/* The numbers that are stored. Valid until the next one. */
static const float *stored_head(struct reference *r, const struct store *from, size_t head)
{
	from->format->dequantise(from->data + head * from->head_bytes, r->head, from->n);
	return r->head;
}

/* What a score of a token is multiplied by, and what it is capped to. */
static float score_scale(const struct attn_spec *a, uint32_t pos)
{
	if (a->temperature == 0)
		return a->scale;
	return a->scale * (1 + a->temperature * logf(1 + floorf((float)pos / (float)a->temperature_every)));
}

static float soft_cap(float x, float cap)
{
	return cap == 0 ? x : cap * tanhf(x / cap);
}

/* out (head_dim) = sum over the positions p that the token sees of softmax(scale * q . k[p]) * v[p], for one
 * head of one token. */
static void attend(struct reference *r, uint32_t layer, const struct token *t, uint32_t head, const float *q,
		   float *out)
{
	const struct attn_spec *a = &r->model->layers[layer].spec->attn;
	uint32_t kv_head = head / (a->n_heads / a->n_kv_heads);
	uint32_t first = a->window && t->pos >= a->window ? t->pos - a->window + 1 : 0;
	float scale = score_scale(a, t->pos), largest = -INFINITY, sum = 0;
	for (uint32_t p = first; p <= t->pos; p++) {
		const float *k = stored_head(r, &r->keys, first_head(r, layer, t, p) + kv_head);
		r->scores[p] = soft_cap(dot(q, k, a->head_dim) * scale, a->soft_cap);
		largest = fmaxf(largest, r->scores[p]);
	}
	for (uint32_t p = first; p <= t->pos; p++) {
		r->scores[p] = expf(r->scores[p] - largest);
		sum += r->scores[p];
	}
	memset(out, 0, a->head_dim * sizeof *out);
	for (uint32_t p = first; p <= t->pos; p++) {
		const float *v = stored_head(r, &r->values, first_head(r, layer, t, p) + kv_head);
		float share = r->scores[p] / sum;
		for (uint32_t i = 0; i < a->head_dim; i++)
			out[i] += share * v[i];
	}
}

/* The norm of q or k, over each head or over all of them. */
static void qk_norm(struct reference *r, const struct layer_spec *spec, const struct weight *w, float *x,
		    uint32_t n, uint32_t n_heads)
{
	uint32_t dim = spec->attn.head_dim;
	if (spec->attn.qk_norm == QK_NORM_HEAD)
		rms_norm(r, w, spec->norm_eps, x, n * n_heads, dim, x);
	else if (spec->attn.qk_norm == QK_NORM_WIDTH)
		rms_norm(r, w, spec->norm_eps, x, n, n_heads * dim, x);
}

/* x += residual_scale * norm(y); y is overwritten. */
static void add_residual(struct reference *r, const struct layer_spec *spec, const struct weight *post_norm,
			 float *y, uint32_t n)
{
	uint32_t d_model = r->model->hp.d_model;
	rms_norm(r, post_norm, spec->norm_eps, y, n, d_model, y);
	for (size_t i = 0; i < (size_t)n * d_model; i++)
		r->x[i] += y[i] * spec->residual_scale;
}

/* x += wo * attention(norm(x)), with this layer's keys and values of the new tokens stored on the way. */
static void attention_block(struct reference *r, uint32_t l, uint32_t n)
{
	const struct layer *layer = &r->model->layers[l];
	const struct weight *w = layer->w;
	const struct attn_spec *a = &layer->spec->attn;
	rms_norm(r, &w[ROLE_ATTN_NORM], layer->spec->norm_eps, r->x, n, r->model->hp.d_model, r->normed);
	linear(r, &w[ROLE_WQ], &w[ROLE_BQ], r->normed, n, r->q);
	linear(r, &w[ROLE_WK], &w[ROLE_BK], r->normed, n, r->k);
	linear(r, &w[ROLE_WV], &w[ROLE_BV], r->normed, n, r->v);
	qk_norm(r, layer->spec, &w[ROLE_Q_NORM], r->q, n, a->n_heads);
	qk_norm(r, layer->spec, &w[ROLE_K_NORM], r->k, n, a->n_kv_heads);
	for (uint32_t t = 0; t < n; t++) {
		const struct token *tok = &r->tokens[t];
		size_t head = first_head(r, l, tok, tok->pos), from = (size_t)t * r->kv_dim;
		if (a->rope) {
			rotate(a->rope, r->q + (size_t)t * r->q_dim, a->n_heads, a->head_dim, tok->pos);
			rotate(a->rope, r->k + from, a->n_kv_heads, a->head_dim, tok->pos);
		}
		for (uint32_t h = 0; h < a->n_kv_heads; h++) {
			store_head(r, &r->keys, head + h, r->k + from + (size_t)h * a->head_dim);
			store_head(r, &r->values, head + h, r->v + from + (size_t)h * a->head_dim);
		}
	}
	for (uint32_t t = 0; t < n; t++)
		for (uint32_t h = 0; h < a->n_heads; h++) {
			size_t at = (size_t)t * r->q_dim + (size_t)h * a->head_dim;
			attend(r, l, &r->tokens[t], h, r->q + at, r->attended + at);
		}
	linear(r, &w[ROLE_WO], &w[ROLE_BO], r->attended, n, r->normed);
	add_residual(r, layer->spec, &w[ROLE_ATTN_POST_NORM], r->normed, n);
}

static float activate(enum activation_kind act, float x)
{
	switch (act) {
	case ACT_SILU:
	case N_ACTIVATIONS:
		break;
	case ACT_GELU_TANH: /* sqrt(2 / pi) */
		return 0.5f * x * (1.0f + tanhf(0.79788456080286535588f * (x + 0.044715f * x * x * x)));
	case ACT_GELU: /* 1 / sqrt(2) */
		return 0.5f * x * (1.0f + erff(x * 0.70710678118654752440f));
	}
	return x / (1.0f + expf(-x));
}

/* x += w_down * (act(w_gate * norm(x)) * (w_up * norm(x))), or w_down * act(w_up * norm(x)) */
static void ffn_block(struct reference *r, uint32_t l, uint32_t n)
{
	const struct layer *layer = &r->model->layers[l];
	const struct weight *w = layer->w;
	const struct ffn_spec *f = &layer->spec->ffn;
	rms_norm(r, &w[ROLE_FFN_NORM], layer->spec->norm_eps, r->x, n, r->model->hp.d_model, r->normed);
	linear(r, &w[ROLE_W_UP], &w[ROLE_B_UP], r->normed, n, r->up);
	if (f->gated)
		linear(r, &w[ROLE_W_GATE], &w[ROLE_B_GATE], r->normed, n, r->gate);
	for (size_t i = 0; i < (size_t)n * f->d_ff; i++)
		r->gate[i] = f->gated ? activate(f->act, r->gate[i]) * r->up[i] : activate(f->act, r->up[i]);
	linear(r, &w[ROLE_W_DOWN], &w[ROLE_B_DOWN], r->gate, n, r->normed);
	add_residual(r, layer->spec, &w[ROLE_FFN_POST_NORM], r->normed, n);
}

/* Lays the sequences' tokens one after another and notes which rows of logits are wanted, and where. */
static uint32_t flatten(struct reference *r, const struct compute_seq *seqs, uint32_t n_seqs,
			uint32_t *n_outputs)
{
	uint32_t n = 0, outputs = 0, n_vocab = r->model->hp.n_vocab;
	for (uint32_t s = 0; s < n_seqs; s++) {
		const struct compute_seq *seq = &seqs[s];
		for (uint32_t i = 0; i < seq->n_tokens; i++, n++) {
			bool last = i == seq->n_tokens - 1;
			r->tokens[n] =
				(struct token){seq->tokens[i], seq->pos + i, seq->blocks, seq->blocks_pitch};
			float *to = NULL;
			if (seq->logits && seq->all_logits)
				to = seq->logits + (size_t)i * n_vocab;
			else if (seq->logits && last)
				to = seq->logits;
			else if (seq->sampling && last)
				to = r->logits + (size_t)s * n_vocab;
			if (to)
				r->outputs[outputs++] = (struct output){n, to};
		}
	}
	*n_outputs = outputs;
	return n;
}

/* logits = cap(scale * output * norm(x)), for the tokens whose logits somebody wants. */
static void output_block(struct reference *r, uint32_t n_outputs)
{
	const struct model *m = r->model;
	const struct weight *w = &m->w[ROLE_OUTPUT];
	for (uint32_t i = 0; i < w->rows; i++) {
		weight_row(w, i, r->row);
		for (uint32_t o = 0; o < n_outputs; o++) {
			const float *x = r->normed + (size_t)r->outputs[o].token * m->hp.d_model;
			r->outputs[o].logits[i] =
				soft_cap(dot(r->row, x, m->hp.d_model) * m->logit_scale, m->logit_cap);
		}
	}
}

/* What a sequence wants of its hidden states, norm(x) (n_tokens, d_model). */
static void pool(const struct compute_seq *seq, const float *states, uint32_t d_model)
{
	uint32_t n = seq->n_tokens;
	size_t bytes = d_model * sizeof *states;
	if (seq->pooling == COMPUTE_POOL_NONE)
		memcpy(seq->states, states, n * bytes);
	else if (seq->pooling == COMPUTE_POOL_LAST)
		memcpy(seq->states, states + (size_t)(n - 1) * d_model, bytes);
	else if (seq->pooling == COMPUTE_POOL_MEAN && seq->pos == 0)
		memset(seq->states, 0, bytes);
	for (uint32_t i = 0; i < d_model && seq->pooling == COMPUTE_POOL_MEAN; i++) {
		for (uint32_t t = 0; t < n; t++)
			seq->states[i] += states[(size_t)t * d_model + i];
		if (seq->ends)
			seq->states[i] /= (float)(seq->pos + n);
	}
}

static bool wants_states(const struct compute_seq *seqs, uint32_t n_seqs)
{
	for (uint32_t s = 0; s < n_seqs; s++)
		if (seqs[s].pooling != COMPUTE_POOL_OFF)
			return true;
	return false;
}

/* x = embedding * scale */
static void embed(struct reference *r, uint32_t n)
{
	const struct model *m = r->model;
	for (uint32_t t = 0; t < n; t++) {
		float *x = r->x + (size_t)t * m->hp.d_model;
		weight_row(&m->w[ROLE_EMBEDDING], (uint32_t)r->tokens[t].id, x);
		for (uint32_t i = 0; i < m->hp.d_model; i++)
			x[i] *= m->embedding_scale;
	}
}

static void draw(struct reference *r, struct compute_seq *seqs, uint32_t n_seqs)
{
	size_t n_vocab = r->model->hp.n_vocab;
	for (uint32_t s = 0; s < n_seqs; s++) {
		struct compute_seq *seq = &seqs[s];
		const float *logits = r->logits + s * n_vocab;
		if (!seq->sampling)
			continue;
		if (seq->logits)
			logits = seq->logits + (seq->all_logits ? (seq->n_tokens - 1) * n_vocab : 0);
		sampler_draw(r->sampler, logits, (uint64_t)seq->pos + seq->n_tokens, seq);
	}
}

static enum hokku_code reference_step(void *self, struct compute_seq *seqs, uint32_t n_seqs,
				      struct hokku_error *err)
{
	struct reference *r = self;
	const struct model *m = r->model;
	(void)err; /* compute.c checked the step; nothing here can fail */
	uint32_t n_outputs, n = flatten(r, seqs, n_seqs, &n_outputs);
	embed(r, n);
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		attention_block(r, l, n);
		ffn_block(r, l, n);
	}
	if (n_outputs || wants_states(seqs, n_seqs))
		rms_norm(r, &m->w[ROLE_OUTPUT_NORM], m->hp.norm_eps, r->x, n, m->hp.d_model, r->normed);
	for (uint32_t s = 0, t = 0; s < n_seqs; t += seqs[s++].n_tokens)
		pool(&seqs[s], r->normed + (size_t)t * m->hp.d_model, m->hp.d_model);
	if (n_outputs)
		output_block(r, n_outputs);
	draw(r, seqs, n_seqs);
	return HOKKU_OK;
}

static const char *reference_device(const void *self)
{
	(void)self;
	return "cpu:reference (float32, plain loops, 1 thread)";
}

static void reference_get_memory(const void *self, struct compute_memory *out)
{
	*out = ((const struct reference *)self)->memory;
}

/* ---- KV blocks as bytes: of each layer of the group keys, then values ---- */

static size_t block_bytes_of(const struct reference *r, const struct store *s)
{
	return (size_t)COMPUTE_KV_BLOCK * r->model->hp.n_kv_heads * s->head_bytes;
}

static bool is_of_group(const struct reference *r, uint32_t layer, uint32_t group)
{
	return r->model->layers[layer].spec->kv_group == group;
}

static uint64_t reference_kv_bytes(const void *self, uint32_t group)
{
	const struct reference *r = self;
	uint64_t n = 0;
	for (uint32_t l = 0; l < r->model->hp.n_layers; l++)
		if (is_of_group(r, l, group))
			n += block_bytes_of(r, &r->keys) + block_bytes_of(r, &r->values);
	return n;
}

static uint8_t *block_at(const struct reference *r, const struct store *s, uint32_t layer, uint32_t block)
{
	size_t place = r->model->layers[layer].spec->kv_place;
	return s->data + (place * r->memory.n_kv_blocks + block) * block_bytes_of(r, s);
}

static enum hokku_code reference_kv_read(void *self, uint32_t group, uint32_t block, void *to,
					 struct hokku_error *err)
{
	const struct reference *r = self;
	const struct store *const both[] = {&r->keys, &r->values};
	uint8_t *at = to;
	(void)err;
	for (uint32_t l = 0; l < r->model->hp.n_layers; l++)
		for (int i = 0; i < 2 && is_of_group(r, l, group); i++) {
			memcpy(at, block_at(r, both[i], l, block), block_bytes_of(r, both[i]));
			at += block_bytes_of(r, both[i]);
		}
	return HOKKU_OK;
}

static enum hokku_code reference_kv_write(void *self, uint32_t group, uint32_t block, const void *from,
					  struct hokku_error *err)
{
	const struct reference *r = self;
	const struct store *const both[] = {&r->keys, &r->values};
	const uint8_t *at = from;
	(void)err;
	for (uint32_t l = 0; l < r->model->hp.n_layers; l++)
		for (int i = 0; i < 2 && is_of_group(r, l, group); i++) {
			memcpy(block_at(r, both[i], l, block), at, block_bytes_of(r, both[i]));
			at += block_bytes_of(r, both[i]);
		}
	return HOKKU_OK;
}

static void reference_kv_describe(const void *self, struct compute_kv_kind *out)
{
	const struct reference *r = self;
	const struct hparams *hp = &r->model->hp;
	build_id(out->build);
	snprintf(out->device, sizeof out->device, "cpu:reference");
	snprintf(out->layout, sizeof out->layout,
		 "keys %s, values %s, row by row, %u layers, %u heads of %u numbers",
		 cache_type_name(r->memory.cache.k), cache_type_name(r->memory.cache.v), hp->n_layers,
		 hp->n_kv_heads, hp->head_dim);
}

/* Widths are the model's numbers. */
static const struct spec_support can = {
	.must = ROLE_BIT(WQ) | ROLE_BIT(WK) | ROLE_BIT(WV) | ROLE_BIT(WO) | ROLE_BIT(W_UP) | ROLE_BIT(W_DOWN),
	.roles = SPEC_ALL_ROLES,
	.features = SPEC_ALL_FEATURES & ~SPEC_OTHER_SHAPES,
};

const struct compute_backend compute_cpu_reference = {
	.name = "cpu:reference",
	.can = &can,
	.cache_types = CPU_CACHE_TYPES,
	.open = reference_open,
	.close = reference_close,
	.step = reference_step,
	.device = reference_device,
	.get_memory = reference_get_memory,
	.kv_bytes = reference_kv_bytes,
	.kv_read = reference_kv_read,
	.kv_write = reference_kv_write,
	.kv_describe = reference_kv_describe,
	.all_stages = true,
};
