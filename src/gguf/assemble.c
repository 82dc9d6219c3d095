/* A handle without a GGUF file: its keys, tensors and bytes were made elsewhere, its answers are the same. */
#include <inttypes.h>

#include "gguf/gguf_internal.h"

enum { ASSEMBLED_VERSION = 3, ASSEMBLED_ALIGNMENT = 32 };

static enum hokku_code no_memory(const struct gguf *g, struct hokku_error *err)
{
	return err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its keys and tensors", g->path);
}

static enum hokku_code take_keys(struct gguf *g, const struct gguf_parts *parts, struct hokku_error *err)
{
	int64_t first, twice;
	char quoted[96];
	g->n_kv = parts->n_kv;
	g->kv = arena_array(&g->arena, parts->n_kv, sizeof *g->kv);
	uint32_t *order = arena_array(&g->arena, parts->n_kv, sizeof *order);
	if (!g->kv || !order)
		return no_memory(g, err);
	if (parts->n_kv)
		memcpy(g->kv, parts->kv, parts->n_kv * sizeof *g->kv);
	gguf_index_build(&g->keys, order, g->kv, sizeof *g->kv, g->n_kv);
	twice = gguf_index_duplicate(&g->keys, &first);
	if (twice >= 0)
		return err_set(err, HOKKU_INTERNAL, "%s: key %s is made twice", g->path,
			       str_quote(g->kv[twice].key, quoted, sizeof quoted));
	return HOKKU_OK;
}

static enum hokku_code take_tensors(struct gguf *g, const struct gguf_parts *parts, struct hokku_error *err)
{
	int64_t first, twice;
	char quoted[96];
	g->n_tensors = parts->n_tensors;
	g->tensors = arena_array(&g->arena, parts->n_tensors, sizeof *g->tensors);
	uint32_t *order = arena_array(&g->arena, parts->n_tensors, sizeof *order);
	if (!g->tensors || !order)
		return no_memory(g, err);
	if (parts->n_tensors)
		memcpy(g->tensors, parts->tensors, parts->n_tensors * sizeof *g->tensors);
	gguf_index_build(&g->names, order, g->tensors, sizeof *g->tensors, g->n_tensors);
	twice = gguf_index_duplicate(&g->names, &first);
	if (twice >= 0)
		return err_set(err, HOKKU_INTERNAL, "%s: tensor %s is made twice", g->path,
			       str_quote(g->tensors[twice].name, quoted, sizeof quoted));
	for (uint64_t i = 0; i < g->n_tensors; i++) {
		const struct gguf_tensor *t = &g->tensors[i];
		if (t->offset > g->n_bytes || t->n_bytes > g->n_bytes - t->offset)
			return err_set(err, HOKKU_INTERNAL,
				       "%s: tensor %s lies at %" PRIu64 ", outside %" PRIu64 " bytes",
				       g->path, str_quote(t->name, quoted, sizeof quoted), t->offset,
				       g->n_bytes);
	}
	return HOKKU_OK;
}

enum hokku_code gguf_assemble(const char *path, const struct gguf_parts *parts, struct gguf **out,
			      struct hokku_error *err)
{
	*out = NULL;
	struct gguf *g = gguf_new(path, err);
	if (!g)
		return HOKKU_OUT_OF_MEMORY;
	g->assembled = true;
	g->reader = parts->reader;
	g->n_bytes = parts->n_bytes;
	g->version = ASSEMBLED_VERSION;
	g->alignment = ASSEMBLED_ALIGNMENT;
	enum hokku_code rc = take_keys(g, parts, err);
	if (!rc)
		rc = take_tensors(g, parts, err);
	if (rc) {
		gguf_close(g);
		return rc;
	}
	*out = g;
	return HOKKU_OK;
}
