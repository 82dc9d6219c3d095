/*
 * One step: every thread runs forward_thread from top to bottom and meets the others after each phase. What a
 * thread takes of a phase never changes a result: each number is computed by one thread, in an order of its
 * own.
 */
#include <math.h>
#include <string.h>

#include "compute/cpu/cache.h"
#include "compute/cpu/cpu.h"

/* thread's share of n things: begin .. end - 1. */
static void share(const struct cpu *c, uint64_t n, uint32_t thread, uint64_t *begin, uint64_t *end)
{
	*begin = n * thread / c->n_threads;
	*end = n * (thread + 1) / c->n_threads;
}

static void embed(struct cpu *c, uint32_t thread)
{
	const struct weight *w = &c->model->w[ROLE_EMBEDDING];
	uint8_t *row = (uint8_t *)c->threads[thread].row; /* floats are no smaller than any format */
	uint64_t begin, end;
	share(c, c->n_tokens, thread, &begin, &end);
	for (uint64_t t = begin; t < end; t++) {
		float *x = c->x + t * c->d_stride;
		uint32_t id = (uint32_t)c->tokens[t].id;
		if (!c->embedding)
			pack_row(&c->output.m[0], id, row);
		w->fmt->dequantise(c->embedding ? c->embedding + id * w->row_bytes : row, x, w->cols);
		for (uint32_t i = 0; c->model->embedding_scale != 1 && i < w->cols; i++)
			x[i] *= c->model->embedding_scale;
		memset(x + w->cols, 0, (c->d_stride - w->cols) * sizeof *x);
	}
}

/* Where the cosines (or sines) of a rope's angles at a token lie. */
static float *rope_at(const struct cpu *c, float *angles, const struct rope *rope, uint64_t token)
{
	uint64_t which = (uint64_t)(rope - c->model->ropes);
	return angles + (which * c->n_batch + token) * (c->model->hp.head_dim / 2);
}

static void rope_angles(struct cpu *c, const struct rope *rope, uint32_t thread)
{
	uint32_t half = rope->n_dims / 2;
	uint64_t begin, end;
	share(c, c->n_tokens, thread, &begin, &end);
	for (uint64_t t = begin; t < end; t++) {
		float *cosines = rope_at(c, c->rope_cos, rope, t), *sines = rope_at(c, c->rope_sin, rope, t);
		for (uint32_t i = 0; i < half; i++) {
			float angle = (float)c->tokens[t].pos * rope->freq[i];
			cosines[i] = cosf(angle) * rope->attn_factor;
			sines[i] = sinf(angle) * rope->attn_factor;
		}
	}
}

/* Activations for set: the norm of every token's x, or x itself where there is no weight. */
static void norm_phase(struct cpu *c, const struct product_set *set, const float *weight, float eps,
		       uint32_t thread)
{
	uint32_t d_model = c->model->hp.d_model;
	uint64_t begin, end;
	share(c, c->n_tokens, thread, &begin, &end);
	for (uint64_t t = begin; t < end; t++) {
		float *row = c->x + t * c->d_stride;
		if (weight) {
			c->tier->rms_norm(row, weight, d_model, eps, c->threads[thread].row);
			row = c->threads[thread].row;
		}
		acts_put(c, set, (uint32_t)t, c->n_tokens, d_model, 0, d_model, row);
	}
}

static void add_bias(float *x, const float *bias, uint32_t n)
{
	for (uint32_t i = 0; bias && i < n; i++)
		x[i] += bias[i];
}

/* The norm of a token's q or k; kernels read whole vectors of lanes, so a head goes through scratch. */
static void qk_norm(const struct cpu *c, const struct layer_spec *spec, const float *weight, float *x,
		    uint32_t n_heads, float *scratch)
{
	uint32_t whole = n_heads * spec->attn.head_dim;
	uint32_t n = spec->attn.qk_norm == QK_NORM_HEAD ? spec->attn.head_dim : whole;
	if (spec->attn.qk_norm == QK_NORM_NONE)
		return;
	for (uint32_t at = 0; at < whole; at += n) {
		memcpy(scratch, x + at, n * sizeof *scratch);
		memset(scratch + n, 0, ((n + PANEL - 1) / PANEL * PANEL - n) * sizeof *scratch);
		c->tier->rms_norm(scratch, weight, n, spec->norm_eps, scratch);
		memcpy(x + at, scratch, n * sizeof *scratch);
	}
}

/* Turns each head's pairs by the token's angles: (i, i + half) for NeoX, else (2 i, 2 i + 1). */
static void rotate(const struct cpu *c, const struct attn_spec *attn, float *heads, uint32_t n_heads,
		   uint64_t token)
{
	uint32_t half = attn->rope->n_dims / 2;
	const float *cosines = rope_at(c, c->rope_cos, attn->rope, token);
	const float *sines = rope_at(c, c->rope_sin, attn->rope, token);
	bool neox = attn->rope->kind == ROPE_NEOX;
	uint32_t step = neox ? 1 : 2, apart = neox ? half : 1;
	for (uint32_t h = 0; h < n_heads; h++, heads += attn->head_dim)
		for (uint32_t i = 0; i < half; i++) {
			float *a = &heads[i * step], *b = a + apart;
			float a0 = *a, b0 = *b;
			*a = a0 * cosines[i] - b0 * sines[i];
			*b = b0 * cosines[i] + a0 * sines[i];
		}
}

/* What a token's scores are multiplied by. */
static float score_scale(const struct attn_spec *a, uint32_t pos)
{
	if (a->temperature == 0)
		return a->scale;
	return a->scale * (1 + a->temperature * logf(1 + floorf((float)pos / (float)a->temperature_every)));
}

/* A layer's block table of a token. */
static const uint32_t *table_of(const struct cpu *c, uint32_t layer, const struct token_info *t)
{
	return t->blocks + (size_t)c->model->layers[layer].spec->kv_group * t->blocks_pitch;
}

static uint8_t *kv_at(const struct cpu *c, uint32_t layer, uint32_t block, uint32_t kv_head)
{
	return c->layers[layer].kv + block * c->kv_block_bytes + kv_head * c->kv_head_bytes;
}

/* Biases, norms, rotation, and the new keys and values into the cache. */
static void kv_phase(struct cpu *c, uint32_t l, uint32_t thread)
{
	const struct layer_spec *spec = c->model->layers[l].spec;
	const struct attn_spec *attn = &spec->attn;
	float *const *vectors = c->layers[l].v, *scratch = c->threads[thread].row;
	uint32_t dim = attn->head_dim;
	uint64_t begin, end;
	share(c, c->n_tokens, thread, &begin, &end);
	for (uint64_t t = begin; t < end; t++) {
		float *q = c->q + t * c->q_stride, *k = c->k + t * c->kv_stride, *v = c->v + t * c->kv_stride;
		const struct token_info *tok = &c->tokens[t];
		add_bias(q, vectors[ROLE_BQ], c->q_dim);
		add_bias(k, vectors[ROLE_BK], c->kv_dim);
		add_bias(v, vectors[ROLE_BV], c->kv_dim);
		qk_norm(c, spec, vectors[ROLE_Q_NORM], q, attn->n_heads, scratch);
		qk_norm(c, spec, vectors[ROLE_K_NORM], k, attn->n_kv_heads, scratch);
		if (attn->rope) {
			rotate(c, attn, q, attn->n_heads, t);
			rotate(c, attn, k, attn->n_kv_heads, t);
		}
		float scale = score_scale(attn, tok->pos);
		for (uint32_t i = 0; i < c->q_dim; i++)
			q[i] *= scale;
		uint32_t block = table_of(c, l, tok)[tok->pos / COMPUTE_KV_BLOCK],
			 at = tok->pos % COMPUTE_KV_BLOCK;
		for (uint32_t h = 0; h < attn->n_kv_heads; h++, k += dim, v += dim) {
			uint8_t *keys = kv_at(c, l, block, h), *values = keys + c->kv_value_offset;
			cpu_cache_put_key(c->memory.cache.k, keys, at, k, dim);
			cpu_cache_put_value(c->memory.cache.v, values, at, v, dim, c->head_stride);
		}
	}
}

static void attend(struct cpu *c, uint32_t l, const struct attn_task *task, struct thread_scratch *s)
{
	const struct attn_spec *attn = &c->model->layers[l].spec->attn;
	uint32_t group = attn->n_heads / attn->n_kv_heads, rows = 0, dim = attn->head_dim;
	for (uint32_t t = task->first; t < task->first + task->n_tokens; t++)
		for (uint32_t h = 0; h < group; h++, rows++) {
			const float *q =
				c->q + (size_t)t * c->q_stride + (size_t)(task->kv_head * group + h) * dim;
			memcpy(s->q + (size_t)rows * c->head_stride, q, dim * sizeof *q);
			s->positions[rows] = c->tokens[t].pos;
		}
	c->tier->attention(&(struct attention){
		.kv = kv_at(c, l, 0, task->kv_head),
		.block_bytes = c->kv_block_bytes,
		.value_offset = c->kv_value_offset,
		.types = c->memory.cache,
		.blocks = table_of(c, l, &c->tokens[task->first]),
		.head_dim = dim,
		.padded_dim = c->head_stride,
		.rows = rows,
		.window = attn->window,
		.soft_cap = attn->soft_cap,
		.q = s->q,
		.positions = s->positions,
		.acc = s->acc,
		.scores = s->scores,
		.keys = s->keys,
		.values = s->values,
	});
	rows = 0;
	for (uint32_t t = task->first; t < task->first + task->n_tokens; t++)
		for (uint32_t h = 0; h < group; h++, rows++) {
			float *to = c->attended + (size_t)t * c->q_stride +
				    (size_t)(task->kv_head * group + h) * dim;
			memcpy(to, s->acc + (size_t)rows * c->head_stride, dim * sizeof *to);
		}
}

static void attention_phase(struct cpu *c, uint32_t l, uint32_t thread)
{
	for (;;) {
		uint32_t i = atomic_fetch_add_explicit(&c->next_task[l], 1, memory_order_relaxed);
		if (i >= c->n_tasks)
			return;
		/* The last tokens see most: they go first, so that no long task starts last. */
		attend(c, l, &c->tasks[c->n_tasks - 1 - i], &c->threads[thread]);
	}
}

static void attended_phase(struct cpu *c, const struct product_set *set, uint32_t thread)
{
	uint64_t begin, end;
	share(c, c->n_tokens, thread, &begin, &end);
	for (uint64_t t = begin; t < end; t++)
		acts_put(c, set, (uint32_t)t, c->n_tokens, c->q_dim, 0, c->q_dim,
			 c->attended + t * c->q_stride);
}

static void activation_phase(struct cpu *c, uint32_t l, uint32_t thread)
{
	const struct ffn_spec *ffn = &c->model->layers[l].spec->ffn;
	float *const *vectors = c->layers[l].v;
	uint32_t d_ff = ffn->d_ff, pieces = (d_ff + SPLIT_COLUMNS - 1) / SPLIT_COLUMNS;
	float *row = c->threads[thread].row;
	uint64_t begin, end;
	share(c, (uint64_t)c->n_tokens * pieces, thread, &begin, &end);
	for (uint64_t i = begin; i < end; i++) {
		uint32_t t = (uint32_t)(i / pieces), from = (uint32_t)(i % pieces) * SPLIT_COLUMNS;
		uint32_t n = d_ff - from < SPLIT_COLUMNS ? d_ff - from : SPLIT_COLUMNS;
		float *gate = c->gate + (size_t)t * c->ff_stride + from;
		float *up = c->up + (size_t)t * c->ff_stride + from;
		if (vectors[ROLE_B_GATE])
			add_bias(gate, vectors[ROLE_B_GATE] + from, n);
		if (vectors[ROLE_B_UP])
			add_bias(up, vectors[ROLE_B_UP] + from, n);
		c->tier->activation[ffn->act](ffn->gated ? gate : up, ffn->gated ? up : NULL,
					      (n + 15) / 16 * 16, row);
		acts_put(c, &c->layers[l].down, t, c->n_tokens, d_ff, from, n, row);
	}
}

/* x += residual_scale * norm(y + bias) */
static void residual_phase(struct cpu *c, uint32_t l, const float *bias, const float *post_norm,
			   uint32_t thread)
{
	const struct layer_spec *spec = c->model->layers[l].spec;
	uint32_t d_model = c->model->hp.d_model;
	uint64_t begin, end;
	share(c, c->n_tokens, thread, &begin, &end);
	for (uint64_t t = begin; t < end; t++) {
		float *x = c->x + t * c->d_stride, *y = c->y + t * c->d_stride;
		add_bias(y, bias, d_model);
		if (post_norm)
			c->tier->rms_norm(y, post_norm, d_model, spec->norm_eps, y);
		for (uint32_t i = 0; i < d_model; i++)
			x[i] += y[i] * spec->residual_scale;
	}
}

/* x += the last product of a block, with what the spec does to it on the way. */
static void add_block(struct cpu *c, uint32_t l, const struct product_set *set, enum layer_role bias,
		      enum layer_role post_norm, uint32_t thread)
{
	float *const *vectors = c->layers[l].v;
	bool adds = cpu_adds_product(&c->model->layers[l], bias, post_norm);
	product_run(c, set, c->n_tokens, adds ? &c->x : &c->y, &c->d_stride, adds, thread);
	pool_barrier(c->pool);
	if (adds)
		return;
	residual_phase(c, l, vectors[bias], vectors[post_norm], thread);
	pool_barrier(c->pool);
}

static void layer_forward(struct cpu *c, uint32_t l, uint32_t thread)
{
	const struct cpu_layer *layer = &c->layers[l];
	const struct layer_spec *spec = c->model->layers[l].spec;
	float *const qkv[] = {c->q, c->k, c->v}, *const gate_up[] = {c->gate, c->up};
	const uint32_t qkv_strides[] = {c->q_stride, c->kv_stride, c->kv_stride};
	const uint32_t ff_strides[] = {c->ff_stride, c->ff_stride};

	norm_phase(c, &layer->qkv, layer->v[ROLE_ATTN_NORM], spec->norm_eps, thread);
	pool_barrier(c->pool);
	product_run(c, &layer->qkv, c->n_tokens, qkv, qkv_strides, false, thread);
	pool_barrier(c->pool);
	kv_phase(c, l, thread);
	pool_barrier(c->pool);
	attention_phase(c, l, thread);
	pool_barrier(c->pool);
	attended_phase(c, &layer->wo, thread);
	pool_barrier(c->pool);
	add_block(c, l, &layer->wo, ROLE_BO, ROLE_ATTN_POST_NORM, thread);

	norm_phase(c, &layer->gate_up, layer->v[ROLE_FFN_NORM], spec->norm_eps, thread);
	pool_barrier(c->pool);
	product_run(c, &layer->gate_up, c->n_tokens, gate_up + !spec->ffn.gated, ff_strides, false, thread);
	pool_barrier(c->pool);
	activation_phase(c, l, thread);
	pool_barrier(c->pool);
	add_block(c, l, &layer->down, ROLE_B_DOWN, ROLE_FFN_POST_NORM, thread);
}

static void bend_logits(const struct cpu *c, float *logits)
{
	const struct model *m = c->model;
	for (uint32_t i = 0; m->logit_scale != 1 && i < m->hp.n_vocab; i++)
		logits[i] *= m->logit_scale;
	if (m->logit_cap != 0)
		c->tier->soft_cap(logits, c->vocab_stride, m->logit_cap);
}

/* What a draw takes depends on its sampling: rows are taken as threads become free. */
static void draw_phase(struct cpu *c, uint32_t first, uint32_t n, uint32_t thread)
{
	struct sampler *sampler = c->threads[thread].sampler;
	while (sampler) {
		uint32_t i = atomic_fetch_add_explicit(&c->next_draw, 1, memory_order_relaxed);
		if (i >= n)
			return;
		struct compute_seq *seq = c->outputs[first + i].seq;
		if (seq)
			sampler_draw(sampler, c->logits + (size_t)i * c->vocab_stride,
				     (uint64_t)seq->pos + seq->n_tokens, seq);
	}
}

/* Logits of outputs first .. first + n - 1: into scratch, from there to whoever asked. */
static void output_rows(struct cpu *c, uint32_t first, uint32_t n, uint32_t thread)
{
	const struct hparams *hp = &c->model->hp;
	float *row = c->threads[thread].row;
	uint64_t begin, end;
	if (thread == 0)
		atomic_store_explicit(&c->next_draw, 0, memory_order_relaxed);
	share(c, n, thread, &begin, &end);
	for (uint64_t i = begin; i < end; i++) {
		const float *x = c->x + (size_t)c->outputs[first + i].token * c->d_stride;
		c->tier->rms_norm(x, c->output_norm, hp->d_model, hp->norm_eps, row);
		acts_put(c, &c->output, (uint32_t)i, n, hp->d_model, 0, hp->d_model, row);
	}
	pool_barrier(c->pool);
	product_run(c, &c->output, n, &c->logits, &c->vocab_stride, false, thread);
	pool_barrier(c->pool);
	if (c->model->logit_scale != 1 || c->model->logit_cap != 0) {
		for (uint64_t i = begin; i < end; i++)
			bend_logits(c, c->logits + i * c->vocab_stride);
		pool_barrier(c->pool);
	}
	for (uint64_t i = begin; i < end; i++)
		if (c->outputs[first + i].logits)
			memcpy(c->outputs[first + i].logits, c->logits + i * c->vocab_stride,
			       hp->n_vocab * sizeof(float));
	draw_phase(c, first, n, thread);
	pool_barrier(c->pool);
}

/* The sum of a sequence's states (n_tokens, d_stride) in columns from .. end - 1, in the order of positions.
 */
static void add_states(const struct cpu *c, const struct compute_seq *seq, const float *states, uint64_t from,
		       uint64_t end)
{
	for (uint64_t i = from; i < end; i++) {
		float sum = seq->pos ? seq->states[i] : 0;
		for (uint32_t t = 0; t < seq->n_tokens; t++)
			sum += states[(size_t)t * c->d_stride + i];
		seq->states[i] = seq->ends ? sum / (float)(seq->pos + seq->n_tokens) : sum;
	}
}

/* Hidden states, norm(x), to whoever asked. */
static void states_phase(struct cpu *c, uint32_t thread)
{
	const struct hparams *hp = &c->model->hp;
	size_t bytes = hp->d_model * sizeof(float);
	uint64_t begin, end;
	share(c, c->n_tokens, thread, &begin, &end);
	for (uint64_t t = begin; t < end; t++)
		c->tier->rms_norm(c->x + t * c->d_stride, c->output_norm, hp->d_model, hp->norm_eps,
				  c->y + t * c->d_stride);
	pool_barrier(c->pool);
	share(c, hp->d_model, thread, &begin, &end);
	const float *states = c->y;
	for (uint32_t s = 0; s < c->n_seqs; states += (size_t)c->seqs[s++].n_tokens * c->d_stride) {
		const struct compute_seq *seq = &c->seqs[s];
		uint32_t n = seq->n_tokens;
		if (seq->pooling == COMPUTE_POOL_MEAN)
			add_states(c, seq, states, begin, end);
		else if (seq->pooling == COMPUTE_POOL_LAST && thread == 0)
			memcpy(seq->states, states + (size_t)(n - 1) * c->d_stride, bytes);
		for (uint32_t t = 0; t < n && seq->pooling == COMPUTE_POOL_NONE && thread == 0; t++)
			memcpy(seq->states + (size_t)t * hp->d_model, states + (size_t)t * c->d_stride,
			       bytes);
	}
}

static void forward_thread(void *arg, uint32_t thread)
{
	struct cpu *c = arg;
	embed(c, thread);
	for (uint32_t i = 0; i < c->model->n_ropes; i++)
		rope_angles(c, &c->model->ropes[i], thread);
	pool_barrier(c->pool);
	for (uint32_t l = 0; l < c->model->hp.n_layers; l++)
		layer_forward(c, l, thread);
	if (c->wants_states)
		states_phase(c, thread);
	for (uint32_t i = 0; i < c->n_outputs; i += c->logit_rows)
		output_rows(c, i, c->n_outputs - i < c->logit_rows ? c->n_outputs - i : c->logit_rows,
			    thread);
}

static void plan_tasks(struct cpu *c, uint32_t first, uint32_t n_tokens)
{
	const struct hparams *hp = &c->model->hp;
	uint32_t group = hp->n_heads / hp->n_kv_heads, most = ATTN_TILE_ROWS / group;
	for (uint32_t t = 0; t < n_tokens; t += most)
		for (uint32_t h = 0; h < hp->n_kv_heads; h++)
			c->tasks[c->n_tasks++] =
				(struct attn_task){first + t, n_tokens - t < most ? n_tokens - t : most, h};
}

static void plan_step(struct cpu *c, struct compute_seq *seqs, uint32_t n_seqs)
{
	c->n_tokens = c->n_outputs = c->n_tasks = 0;
	c->seqs = seqs;
	c->n_seqs = n_seqs;
	c->wants_states = false;
	for (uint32_t s = 0; s < n_seqs; s++) {
		struct compute_seq *seq = &seqs[s];
		plan_tasks(c, c->n_tokens, seq->n_tokens);
		c->wants_states = c->wants_states || seq->pooling != COMPUTE_POOL_OFF;
		for (uint32_t i = 0; i < seq->n_tokens; i++, c->n_tokens++) {
			bool last = i == seq->n_tokens - 1, all = seq->logits && seq->all_logits;
			c->tokens[c->n_tokens] = (struct token_info){seq->tokens[i], seq->pos + i,
								     seq->blocks, seq->blocks_pitch};
			float *logits = all ? seq->logits + (size_t)i * c->model->hp.n_vocab
					    : (last ? seq->logits : NULL);
			struct compute_seq *draws = last && seq->sampling ? seq : NULL;
			if (logits || draws)
				c->outputs[c->n_outputs++] = (struct output_row){c->n_tokens, logits, draws};
		}
	}
	for (uint32_t l = 0; l < c->model->hp.n_layers; l++)
		atomic_store_explicit(&c->next_task[l], 0, memory_order_relaxed);
}

void cpu_forward(struct cpu *c, struct compute_seq *seqs, uint32_t n_seqs)
{
	plan_step(c, seqs, n_seqs);
	pool_run(c->pool, forward_thread, c);
}
