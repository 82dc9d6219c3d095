/*
 * One step: every thread runs forward_thread from top to bottom and meets the others after each phase. What a
 * thread takes of a phase never changes a result: each number is computed by one thread, in an order of its
 * own.
 */
#include <math.h>
#include <string.h>

#include "compute/cpu/cpu.h"

/* thread's share of n things: begin .. end - 1. */
static void share(const struct cpu *c, uint64_t n, uint32_t thread, uint64_t *begin, uint64_t *end)
{
	*begin = n * thread / c->n_threads;
	*end = n * (thread + 1) / c->n_threads;
}

static void embed(struct cpu *c, uint32_t thread)
{
	const struct weight *w = &c->model->embedding;
	uint64_t begin, end;
	share(c, c->n_tokens, thread, &begin, &end);
	for (uint64_t t = begin; t < end; t++) {
		float *x = c->x + t * c->d_stride;
		w->fmt->dequantise((const char *)w->data + (uint64_t)c->tokens[t].id * w->row_bytes, x,
				   w->cols);
		memset(x + w->cols, 0, (c->d_stride - w->cols) * sizeof *x);
	}
}

static void rope_angles(struct cpu *c, uint32_t thread)
{
	uint32_t half = c->model->hp.head_dim / 2;
	uint64_t begin, end;
	share(c, (uint64_t)c->n_tokens * half, thread, &begin, &end);
	for (uint64_t i = begin; i < end; i++) {
		float angle = (float)c->tokens[i / half].pos * c->rope_frequency[i % half];
		c->rope_cos[i] = cosf(angle);
		c->rope_sin[i] = sinf(angle);
	}
}

/* Activations for set: the norm of every token's x. */
static void norm_phase(struct cpu *c, const struct product_set *set, const float *weight, uint32_t thread)
{
	const struct hparams *hp = &c->model->hp;
	float *row = c->threads[thread].row;
	uint64_t begin, end;
	share(c, c->n_tokens, thread, &begin, &end);
	for (uint64_t t = begin; t < end; t++) {
		c->tier->rms_norm(c->x + t * c->d_stride, weight, hp->d_model, hp->norm_eps, row);
		acts_put(c, set, (uint32_t)t, c->n_tokens, hp->d_model, 0, hp->d_model, row);
	}
}

static void add_bias(float *x, const float *bias, uint32_t n)
{
	for (uint32_t i = 0; bias && i < n; i++)
		x[i] += bias[i];
}

/* Turns each head's pairs by the token's angles: (i, i + half) for NeoX, else (2 i, 2 i + 1). */
static void rope(const struct cpu *c, float *heads, uint32_t n_heads, uint64_t token)
{
	uint32_t half = c->model->hp.head_dim / 2;
	const float *cosines = c->rope_cos + token * half, *sines = c->rope_sin + token * half;
	bool neox = c->model->arch->rope == ROPE_NEOX;
	uint32_t step = neox ? 1 : 2, apart = neox ? half : 1;
	for (uint32_t h = 0; h < n_heads; h++, heads += 2 * (size_t)half)
		for (uint32_t i = 0; i < half; i++) {
			float *a = &heads[i * step], *b = a + apart;
			float a0 = *a, b0 = *b;
			*a = a0 * cosines[i] - b0 * sines[i];
			*b = b0 * cosines[i] + a0 * sines[i];
		}
}

static float *kv_at(const struct cpu *c, uint32_t layer, uint32_t block, uint32_t kv_head)
{
	return c->kv + layer * c->kv_layer_floats + block * c->kv_block_floats + kv_head * c->kv_head_floats;
}

/* Biases, rotation, and the new keys and values into the cache. */
static void kv_phase(struct cpu *c, uint32_t l, uint32_t thread)
{
	const struct hparams *hp = &c->model->hp;
	const struct cpu_layer *layer = &c->layers[l];
	float scale = 1.0f / sqrtf((float)hp->head_dim);
	uint64_t begin, end;
	share(c, c->n_tokens, thread, &begin, &end);
	for (uint64_t t = begin; t < end; t++) {
		float *q = c->q + t * c->q_stride, *k = c->k + t * c->kv_stride, *v = c->v + t * c->kv_stride;
		const struct token_info *tok = &c->tokens[t];
		add_bias(q, layer->bq, c->q_dim);
		add_bias(k, layer->bk, c->kv_dim);
		add_bias(v, layer->bv, c->kv_dim);
		rope(c, q, hp->n_heads, t);
		rope(c, k, hp->n_kv_heads, t);
		for (uint32_t i = 0; i < c->q_dim; i++)
			q[i] *= scale;
		uint32_t block = tok->blocks[tok->pos / COMPUTE_KV_BLOCK], at = tok->pos % COMPUTE_KV_BLOCK;
		for (uint32_t h = 0; h < hp->n_kv_heads; h++, k += hp->head_dim, v += hp->head_dim) {
			float *keys = kv_at(c, l, block, h), *values = keys + hp->head_dim * COMPUTE_KV_BLOCK;
			for (uint32_t d = 0; d < hp->head_dim; d++)
				keys[d * COMPUTE_KV_BLOCK + at] = k[d];
			memcpy(values + at * c->head_stride, v, hp->head_dim * sizeof *v);
		}
	}
}

static void attend(struct cpu *c, uint32_t l, const struct attn_task *task, struct thread_scratch *s)
{
	const struct hparams *hp = &c->model->hp;
	uint32_t group = hp->n_heads / hp->n_kv_heads, rows = 0, dim = hp->head_dim;
	for (uint32_t t = task->first; t < task->first + task->n_tokens; t++)
		for (uint32_t h = 0; h < group; h++, rows++) {
			const float *q =
				c->q + (size_t)t * c->q_stride + (size_t)(task->kv_head * group + h) * dim;
			memcpy(s->q + (size_t)rows * c->head_stride, q, dim * sizeof *q);
			s->positions[rows] = c->tokens[t].pos;
		}
	c->tier->attention(&(struct attention){
		.kv = kv_at(c, l, 0, task->kv_head),
		.block_stride = c->kv_block_floats,
		.value_offset = (size_t)dim * COMPUTE_KV_BLOCK,
		.blocks = c->tokens[task->first].blocks,
		.head_dim = dim,
		.padded_dim = c->head_stride,
		.rows = rows,
		.q = s->q,
		.positions = s->positions,
		.acc = s->acc,
		.scores = s->scores,
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

static void activation_phase(struct cpu *c, const struct product_set *set, uint32_t thread)
{
	uint32_t d_ff = c->model->hp.d_ff, pieces = (d_ff + SPLIT_COLUMNS - 1) / SPLIT_COLUMNS;
	float *row = c->threads[thread].row;
	uint64_t begin, end;
	share(c, (uint64_t)c->n_tokens * pieces, thread, &begin, &end);
	for (uint64_t i = begin; i < end; i++) {
		uint32_t t = (uint32_t)(i / pieces), from = (uint32_t)(i % pieces) * SPLIT_COLUMNS;
		uint32_t n = d_ff - from < SPLIT_COLUMNS ? d_ff - from : SPLIT_COLUMNS;
		size_t at = (size_t)t * c->ff_stride + from;
		c->tier->silu_mul(c->gate + at, c->up + at, (n + 15) / 16 * 16, row);
		acts_put(c, set, t, c->n_tokens, d_ff, from, n, row);
	}
}

static void layer_forward(struct cpu *c, uint32_t l, uint32_t thread)
{
	const struct cpu_layer *layer = &c->layers[l];
	float *const qkv[] = {c->q, c->k, c->v}, *const gate_up[] = {c->gate, c->up};
	const uint32_t qkv_strides[] = {c->q_stride, c->kv_stride, c->kv_stride};
	const uint32_t ff_strides[] = {c->ff_stride, c->ff_stride};

	norm_phase(c, &layer->qkv, layer->attn_norm, thread);
	pool_barrier(c->pool);
	product_run(c, &layer->qkv, c->n_tokens, qkv, qkv_strides, false, thread);
	pool_barrier(c->pool);
	kv_phase(c, l, thread);
	pool_barrier(c->pool);
	attention_phase(c, l, thread);
	pool_barrier(c->pool);
	attended_phase(c, &layer->wo, thread);
	pool_barrier(c->pool);
	product_run(c, &layer->wo, c->n_tokens, &c->x, &c->d_stride, true, thread);
	pool_barrier(c->pool);

	norm_phase(c, &layer->gate_up, layer->ffn_norm, thread);
	pool_barrier(c->pool);
	product_run(c, &layer->gate_up, c->n_tokens, gate_up, ff_strides, false, thread);
	pool_barrier(c->pool);
	activation_phase(c, &layer->down, thread);
	pool_barrier(c->pool);
	product_run(c, &layer->down, c->n_tokens, &c->x, &c->d_stride, true, thread);
	pool_barrier(c->pool);
}

/* Logits of outputs first .. first + n - 1: into scratch, from there to whoever asked. */
static void output_rows(struct cpu *c, uint32_t first, uint32_t n, uint32_t thread)
{
	const struct hparams *hp = &c->model->hp;
	float *row = c->threads[thread].row;
	uint64_t begin, end;
	share(c, n, thread, &begin, &end);
	for (uint64_t i = begin; i < end; i++) {
		const float *x = c->x + (size_t)c->outputs[first + i].token * c->d_stride;
		c->tier->rms_norm(x, c->output_norm, hp->d_model, hp->norm_eps, row);
		acts_put(c, &c->output, (uint32_t)i, n, hp->d_model, 0, hp->d_model, row);
	}
	pool_barrier(c->pool);
	product_run(c, &c->output, n, &c->logits, &c->vocab_stride, false, thread);
	pool_barrier(c->pool);
	for (uint64_t i = begin; i < end; i++)
		if (c->outputs[first + i].logits)
			memcpy(c->outputs[first + i].logits, c->logits + i * c->vocab_stride,
			       hp->n_vocab * sizeof(float));
	for (uint32_t i = 0; i < n && thread == 0; i++) {
		struct compute_seq *seq = c->outputs[first + i].seq;
		if (seq)
			sampler_draw(c->sampler, c->logits + (size_t)i * c->vocab_stride,
				     (uint64_t)seq->pos + seq->n_tokens, seq);
	}
	pool_barrier(c->pool);
}

static void forward_thread(void *arg, uint32_t thread)
{
	struct cpu *c = arg;
	embed(c, thread);
	rope_angles(c, thread);
	pool_barrier(c->pool);
	for (uint32_t l = 0; l < c->model->hp.n_layers; l++)
		layer_forward(c, l, thread);
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
	for (uint32_t s = 0; s < n_seqs; s++) {
		struct compute_seq *seq = &seqs[s];
		plan_tasks(c, c->n_tokens, seq->n_tokens);
		for (uint32_t i = 0; i < seq->n_tokens; i++, c->n_tokens++) {
			bool last = i == seq->n_tokens - 1, all = seq->logits && seq->all_logits;
			c->tokens[c->n_tokens] =
				(struct token_info){seq->tokens[i], seq->pos + i, seq->blocks};
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
