/*
 * Weights from the file's mapping to the device: laid out a piece at a time in pinned buffers, so that one
 * piece is copied by the device while the next is laid out, and no second copy of the model is ever held.
 */
#include <math.h>
#include <string.h>

#include "compute/cuda/cuda.h"

struct loader {
	struct cuda *c;
	const struct compute_params *params;
	uint8_t *buffer[CUDA_N_STAGING]; /* pinned, bytes each */
	cudaEvent_t copied[CUDA_N_STAGING];
	bool busy[CUDA_N_STAGING];
	uint64_t bytes;
	unsigned next;
	uint64_t done, all;
};

/* The next buffer, once the device has read what was in it. */
static enum hokku_code next_buffer(struct loader *l, uint8_t **out, struct hokku_error *err)
{
	unsigned i = l->next;
	if (l->busy[i])
		CUDA_TRY(&l->c->device, err, cudaEventSynchronize(l->copied[i]));
	l->busy[i] = false;
	*out = l->buffer[i];
	return HOKKU_OK;
}

static enum hokku_code send(struct loader *l, const void *to, const uint8_t *from, uint64_t bytes,
			    struct hokku_error *err)
{
	if (bytes)
		CUDA_TRY(&l->c->device, err,
			 cudaMemcpyAsync((void *)(uintptr_t)to, from, bytes, cudaMemcpyHostToDevice,
					 l->c->stream));
	return HOKKU_OK;
}

/* The present buffer is on its way. */
static enum hokku_code sent(struct loader *l, uint64_t bytes, struct hokku_error *err)
{
	CUDA_TRY(&l->c->device, err, cudaEventRecord(l->copied[l->next], l->c->stream));
	l->busy[l->next] = true;
	l->next = (l->next + 1) % CUDA_N_STAGING;
	l->done += bytes;
	if (l->params->on_progress)
		l->params->on_progress(l->params->user, l->done, l->all);
	if (l->params->stopped && l->params->stopped(l->params->user))
		return err_set(err, HOKKU_CANCELLED, "loading was interrupted");
	return HOKKU_OK;
}

static enum hokku_code load_matrix(struct loader *l, const struct cuda_matrix *m, const struct weight *w,
				   struct hokku_error *err)
{
	uint64_t row_bytes = m->main_pitch + m->side_pitch, fit = l->bytes / row_bytes;
	for (uint32_t first = 0, n; first < m->rows; first += n) {
		uint8_t *main;
		n = m->rows - first < fit ? m->rows - first : (uint32_t)fit;
		enum hokku_code rc = next_buffer(l, &main, err);
		if (rc)
			return rc;
		uint8_t *side = main + n * m->main_pitch;
		layout_rows(m, w, first, n, main, side);
		rc = send(l, m->main + first * m->main_pitch, main, n * m->main_pitch, err);
		if (!rc)
			rc = send(l, m->side + first * m->side_pitch, side, n * m->side_pitch, err);
		if (!rc)
			rc = sent(l, n * row_bytes, err);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

static enum hokku_code load_floats(struct loader *l, float *to, const float *from, const struct weight *w,
				   uint32_t n, struct hokku_error *err)
{
	uint8_t *buffer;
	if (!to)
		return HOKKU_OK;
	enum hokku_code rc = next_buffer(l, &buffer, err);
	if (rc)
		return rc;
	if (w)
		w->fmt->dequantise(w->data, (float *)(void *)buffer, n);
	else
		memcpy(buffer, from, n * sizeof(float));
	rc = send(l, to, buffer, n * sizeof(float), err);
	return rc ? rc : sent(l, n * sizeof(float), err);
}

static enum hokku_code load_layer(struct loader *l, uint32_t i, struct hokku_error *err)
{
	const struct layer *from = &l->c->model->layers[i];
	const struct cuda_layer *to = &l->c->layers[i];
	const struct {
		const struct cuda_matrix *m;
		const struct weight *w;
	} matrices[] = {{&to->wq, &from->wq},        {&to->wk, &from->wk},         {&to->wv, &from->wv},
			{&to->wo, &from->wo},        {&to->w_gate, &from->w_gate}, {&to->w_up, &from->w_up},
			{&to->w_down, &from->w_down}};
	const struct {
		float *v;
		const struct weight *w;
	} vectors[] = {{to->attn_norm, &from->attn_norm},
		       {to->ffn_norm, &from->ffn_norm},
		       {to->bq, &from->bq},
		       {to->bk, &from->bk},
		       {to->bv, &from->bv}};
	enum hokku_code rc = HOKKU_OK;
	for (size_t k = 0; k < sizeof matrices / sizeof matrices[0] && !rc; k++)
		rc = load_matrix(l, matrices[k].m, matrices[k].w, err);
	for (size_t k = 0; k < sizeof vectors / sizeof vectors[0] && !rc; k++)
		rc = load_floats(l, vectors[k].v, NULL, vectors[k].w, vectors[k].w->cols, err);
	return rc;
}

static enum hokku_code load_frequencies(struct loader *l, struct hokku_error *err)
{
	const struct hparams *hp = &l->c->model->hp;
	float frequency[CUDA_MAX_HEAD_DIM / 2];
	for (uint32_t i = 0; i < hp->head_dim / 2; i++)
		frequency[i] = (float)(1.0 / pow((double)hp->rope_theta, 2.0 * i / hp->head_dim));
	return load_floats(l, l->c->rope_frequency, frequency, NULL, hp->head_dim / 2, err);
}

static enum hokku_code load_all(struct loader *l, struct hokku_error *err)
{
	struct cuda *c = l->c;
	const struct model *m = c->model;
	for (int i = 0; i < CUDA_N_STAGING; i++) {
		CUDA_TRY(&c->device, err, cudaMallocHost((void **)&l->buffer[i], l->bytes));
		CUDA_TRY(&c->device, err, cudaEventCreateWithFlags(&l->copied[i], cudaEventDisableTiming));
	}
	enum hokku_code rc = load_matrix(l, &c->embedding, &m->embedding, err);
	for (uint32_t i = 0; i < m->hp.n_layers && !rc; i++)
		rc = load_layer(l, i, err);
	if (!rc)
		rc = load_floats(l, c->output_norm, NULL, &m->output_norm, m->hp.d_model, err);
	if (!rc && !m->tied)
		rc = load_matrix(l, &c->output, &m->output, err);
	if (!rc)
		rc = load_frequencies(l, err);
	if (rc)
		return rc;
	CUDA_TRY(&c->device, err, cudaStreamSynchronize(c->stream));
	return HOKKU_OK;
}

/* Room for the widest row. */
static uint64_t buffer_bytes(const struct cuda *c)
{
	/* no format takes more than four bytes an element, and rows are padded to eight */
	const struct hparams *hp = &c->model->hp;
	uint64_t widest = hp->d_ff > hp->d_model ? hp->d_ff : hp->d_model;
	widest = widest > c->q_dim ? widest : c->q_dim;
	uint64_t bytes = (widest + 7) * 4;
	return bytes > CUDA_STAGING_BYTES ? bytes : CUDA_STAGING_BYTES;
}

enum hokku_code cuda_load(struct cuda *c, const struct compute_params *p, struct hokku_error *err)
{
	struct loader l = {
		.c = c,
		.params = p,
		.bytes = buffer_bytes(c),
		.all = c->ledger.bytes[LEDGER_WEIGHTS],
	};
	enum hokku_code rc = load_all(&l, err);
	for (int i = 0; i < CUDA_N_STAGING; i++) {
		cudaFreeHost(l.buffer[i]);
		if (l.copied[i])
			cudaEventDestroy(l.copied[i]);
	}
	if (!rc && p->on_progress && l.done != l.all)
		p->on_progress(p->user, l.all, l.all);
	return rc;
}
