/* A model's weights as bytes and numbers: read from the file, which somebody may have cut meanwhile. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

const void *weight_rows(const struct weight *w, uint32_t first, uint32_t n, void *buffer,
			struct hokku_error *err)
{
	uint64_t at = first * w->row_bytes;
	if (w->data)
		return (const char *)w->data + at;
	if (gguf_read(w->file, w->tensor->offset + w->offset + at, buffer, n * w->row_bytes, err))
		return NULL;
	return buffer;
}

enum hokku_code weight_floats(const struct weight *w, uint32_t row, float *out, struct hokku_error *err)
{
	void *buffer = w->data ? NULL : malloc(w->row_bytes);
	if (!w->data && !buffer)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a row of %" PRIu64 " bytes",
			       w->row_bytes);
	const void *bytes = weight_rows(w, row, 1, buffer, err);
	if (bytes)
		w->fmt->dequantise(bytes, out, w->cols);
	free(buffer);
	return bytes ? HOKKU_OK : HOKKU_IO_ERROR;
}

enum hokku_code weight_keep(struct weight *w, struct arena *arena, struct hokku_error *err)
{
	if (!w->tensor || w->data)
		return HOKKU_OK;
	void *bytes = arena_array(arena, w->rows, w->row_bytes);
	if (!bytes)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the %" PRIu64 " bytes of %.*s",
			       w->rows * w->row_bytes, STR_ARG(w->tensor->name));
	w->data = weight_rows(w, 0, w->rows, bytes, err);
	return w->data ? HOKKU_OK : HOKKU_IO_ERROR;
}

static enum hokku_code keep_all(struct model *m, struct hokku_error *err)
{
	enum hokku_code rc = HOKKU_OK;
	for (uint32_t i = 0; i < N_MODEL_ROLES && !rc; i++) {
		if (m->tied && i == ROLE_OUTPUT)
			m->w[i] = m->w[ROLE_EMBEDDING]; /* which has been kept */
		rc = weight_keep(&m->w[i], &m->arena, err);
	}
	for (uint32_t l = 0; l < m->hp.n_layers; l++)
		for (uint32_t i = 0; i < N_LAYER_ROLES && !rc; i++)
			rc = weight_keep(&m->layers[l].w[i], &m->arena, err);
	return rc;
}
_Static_assert((int)ROLE_EMBEDDING < (int)ROLE_OUTPUT, "kept before it is shared");

enum hokku_code model_read(struct model *out, const struct model *m, struct hokku_error *err)
{
	enum hokku_code rc = HOKKU_OK;
	*out = *m;
	out->arena = (struct arena){0};
	out->layers = arena_array(&out->arena, m->hp.n_layers, sizeof *m->layers);
	if (!out->layers)
		rc = err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the table of %u layers",
			     m->hp.n_layers);
	if (!rc) {
		memcpy(out->layers, m->layers, m->hp.n_layers * sizeof *m->layers);
		rc = keep_all(out, err);
	}
	if (rc)
		model_unbind(out);
	return rc;
}
