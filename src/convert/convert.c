/* The converter: a folder that answers like a file (hf/folder.h) is written as one, matrices in another type.
 */
#include "convert/convert.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "convert/output.h"
#include "convert/put.h"
#include "hf/folder.h"
#include "model/format.h"

/* Elements converted at a time; a multiple of every block. */
enum { CHUNK = 1 << 16, MAX_ELEMENT_BYTES = 4 };

/* A conversion under way. */
struct conversion {
	const struct convert_options *o;
	struct hf_folder *folder;
	const struct gguf *model; /* the folder's */
	struct gguf_writer *writer;
	uint64_t n_elements, n_done;
	uint8_t *source; /* CHUNK elements of any type, as read */
	float *floats;   /* (CHUNK) */
	uint8_t *blocks; /* CHUNK elements of any type */
	struct hokku_error *err;
};

/* Vectors are small and sums start from them, so they stay float32; a matrix whose rows the blocks do not
 * divide becomes F16, as llama.cpp's converter does. */
static enum tensor_type stored_type(const struct conversion *c, const struct gguf_tensor *t, bool *fell_back)
{
	*fell_back = false;
	if (t->n_dims == 1)
		return TENSOR_F32;
	*fell_back = t->dims[0] % tensor_type_get(c->o->type)->block_elements != 0;
	return *fell_back ? TENSOR_F16 : c->o->type;
}

static void declare_tensors(struct conversion *c)
{
	for (uint64_t i = 0; i < gguf_n_tensors(c->model); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(c->model, i);
		bool fell_back;
		enum tensor_type type = stored_type(c, t, &fell_back);
		if (fell_back)
			observer_note(&c->o->observer,
				      "%.*s: rows of %" PRIu64 " are no multiple of %s's %u; written as F16",
				      STR_ARG(t->name), t->dims[0], tensor_type_get(c->o->type)->name,
				      tensor_type_get(c->o->type)->block_elements);
		gguf_put_tensor(c->writer, t->name.ptr, type, t->n_dims, t->dims);
		c->n_elements += t->n_elements;
	}
}

/* What is no number cannot be meant, and what F16 would turn into infinity would be silent damage. */
static enum hokku_code check_values(const struct conversion *c, const char *name, uint64_t first, size_t n,
				    enum tensor_type type)
{
	const float limit = type == TENSOR_F16 ? 65520.0f : INFINITY; /* rounds to infinity from here on */
	for (size_t i = 0; i < n; i++) {
		float magnitude = fabsf(c->floats[i]);
		if (magnitude < limit) /* not NaN, not infinite */
			continue;
		if (isfinite(magnitude))
			return err_set(c->err, HOKKU_BAD_FILE,
				       "%s: tensor \"%s\", element %" PRIu64
				       " is %g; F16 holds up to 65504: take BF16 or F32",
				       c->o->dir, name, first + i, (double)c->floats[i]);
		return err_set(c->err, HOKKU_BAD_FILE,
			       "%s: tensor \"%s\", element %" PRIu64 " is %g; a finite float32 is wanted",
			       c->o->dir, name, first + i, (double)c->floats[i]);
	}
	return HOKKU_OK;
}

static enum hokku_code write_tensor(struct conversion *c, uint64_t i)
{
	bool fell_back;
	const struct gguf_tensor *t = gguf_tensor_at(c->model, i);
	enum tensor_type type = stored_type(c, t, &fell_back);
	const struct format *to = format_get(type), *from = format_get(t->type); /* a plain float's */
	for (uint64_t at = 0; at < t->n_elements;) {
		size_t n = t->n_elements - at < CHUNK ? (size_t)(t->n_elements - at) : CHUNK;
		if (observer_stopped(&c->o->observer))
			return err_set(c->err, HOKKU_CANCELLED, "interrupted; %s was not written", c->o->out);
		enum hokku_code rc = gguf_read(c->model, t->offset + at * from->block_bytes, c->source,
					       n * from->block_bytes, c->err);
		if (!rc) {
			from->dequantise(c->source, c->floats, n);
			rc = check_values(c, hf_tensor_name(c->folder, i), at, n, type);
		}
		if (!rc) {
			to->quantise(c->floats, c->blocks, n);
			rc = gguf_writer_data(c->writer, c->blocks, n / to->block_elements * to->block_bytes,
					      c->err);
		}
		if (rc)
			return rc;
		at += n;
		c->n_done += n;
		if (c->n_done < c->n_elements)
			observer_progress(&c->o->observer, (double)c->n_done / (double)c->n_elements);
	}
	return HOKKU_OK;
}

static enum hokku_code write_all(struct conversion *c)
{
	enum hokku_code rc = output_check_folder(c->o->out, c->o->dir, c->err);
	if (!rc)
		rc = gguf_writer_create(c->o->out, &c->writer, c->err);
	if (rc)
		return rc;
	put_keys(c->writer, c->model, c->o->vocab_only ? -1 : file_type_of(c->o->type));
	declare_tensors(c);
	rc = gguf_writer_begin_data(c->writer, c->err);
	for (uint64_t i = 0; i < gguf_n_tensors(c->model) && !rc; i++)
		rc = write_tensor(c, i);
	if (!rc)
		rc = gguf_unchanged(c->model, c->err);
	if (!rc)
		rc = gguf_writer_finish(c->writer, c->err);
	if (!rc)
		observer_progress(&c->o->observer, 1);
	return rc;
}

static enum hokku_code allocate(struct conversion *c)
{
	c->source = malloc((size_t)CHUNK * MAX_ELEMENT_BYTES);
	c->floats = malloc(CHUNK * sizeof *c->floats);
	c->blocks = malloc((size_t)CHUNK * MAX_ELEMENT_BYTES);
	if (c->source && c->floats && c->blocks)
		return HOKKU_OK;
	return err_set(c->err, HOKKU_OUT_OF_MEMORY, "no memory for %d elements", CHUNK);
}

enum hokku_code convert_hf(const struct convert_options *o, struct hokku_error *err)
{
	struct conversion c = {.o = o, .err = err};
	const struct hf_options folder = {
		.dir = o->dir, .name = o->name, .vocab_only = o->vocab_only, .observer = &o->observer};
	if (o->type != TENSOR_F32 && o->type != TENSOR_F16 && o->type != TENSOR_BF16 &&
	    o->type != TENSOR_Q8_0)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "the type is %s; hokku converts to F32, F16, BF16 and Q8_0",
			       tensor_type_get(o->type) ? tensor_type_get(o->type)->name : "unknown");
	enum hokku_code rc = hf_open(&folder, &c.folder, err);
	if (!rc)
		rc = allocate(&c);
	if (!rc) {
		c.model = hf_model(c.folder);
		rc = write_all(&c);
	}
	gguf_writer_destroy(c.writer);
	hf_close(c.folder);
	free(c.source);
	free(c.floats);
	free(c.blocks);
	return rc;
}
