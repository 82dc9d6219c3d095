#include "model/identity.h"

#include <stdlib.h>

#include "base/hash.h"

#define KEY UINT64_C(0x6d6f64656c206964) /* told from what else is hashed by the same function */

static uint64_t add(uint64_t h, const void *bytes, size_t n)
{
	return siphash(h, KEY, bytes, n);
}

static uint64_t add_u64(uint64_t h, uint64_t n)
{
	return add(h, &n, sizeof n);
}

static uint64_t add_str(uint64_t h, struct str s)
{
	return add(h, s.ptr, s.len);
}

static uint64_t add_key(uint64_t h, const struct gguf_kv *kv)
{
	const struct gguf_value *v = &kv->value;
	h = add_u64(add_str(h, kv->key), v->type);
	if (v->type == GGUF_STRING)
		return add_str(h, v->string);
	if (v->type == GGUF_F32 || v->type == GGUF_F64)
		return add(h, &v->f64, sizeof v->f64);
	if (v->type != GGUF_ARRAY)
		return add_u64(h, v->u64);
	h = add_u64(add_u64(h, v->array.type), v->array.n);
	return add(h, v->array.data, v->array.n_bytes);
}

/* What a tensor is, then the pages of it. */
static enum hokku_code add_tensor(const struct gguf *g, const struct gguf_tensor *t, uint8_t *page,
				  uint64_t *h, struct hokku_error *err)
{
	*h = add_u64(add_str(*h, t->name), t->type);
	*h = add_u64(add(*h, t->dims, sizeof t->dims), t->n_bytes);
	uint64_t n_pages = t->n_bytes / IDENTITY_PAGE + (t->n_bytes % IDENTITY_PAGE != 0);
	uint64_t n = n_pages < IDENTITY_PAGES ? n_pages : IDENTITY_PAGES;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t from = (n == 1 ? 0 : i * (n_pages - 1) / (n - 1)) * IDENTITY_PAGE;
		uint64_t left = t->n_bytes - from;
		size_t bytes = left < IDENTITY_PAGE ? (size_t)left : IDENTITY_PAGE;
		enum hokku_code rc = gguf_read(g, t->offset + from, page, bytes, err);
		if (rc)
			return rc;
		*h = add(*h, page, bytes);
	}
	return HOKKU_OK;
}

enum hokku_code model_identity(const struct gguf *g, uint64_t *out, struct hokku_error *err)
{
	uint64_t h = add_u64(add_u64(0, gguf_n_kv(g)), gguf_n_tensors(g));
	enum hokku_code rc = HOKKU_OK;
	uint8_t *page = malloc(IDENTITY_PAGE);
	if (!page)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a page of %s", gguf_path(g));
	for (uint64_t i = 0; i < gguf_n_kv(g); i++)
		h = add_key(h, gguf_kv_at(g, i));
	for (uint64_t i = 0; i < gguf_n_tensors(g) && !rc; i++)
		rc = add_tensor(g, gguf_tensor_at(g, i), page, &h, err);
	free(page);
	*out = h;
	return rc;
}

uint64_t model_rope_identity(const struct model *m)
{
	uint64_t h = add_u64(0, m->n_ropes);
	for (uint32_t i = 0; i < m->n_ropes; i++) {
		const struct rope *r = &m->ropes[i];
		h = add_u64(add_u64(h, r->kind), r->n_dims);
		h = add(h, &r->attn_factor, sizeof r->attn_factor);
		h = add(h, r->freq, r->n_dims / 2 * sizeof *r->freq);
	}
	return h;
}
