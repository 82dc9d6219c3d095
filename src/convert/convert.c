/* The converter's main road: read the folder's descriptions, declare every key and tensor, then stream the
 * tensors. */
#include "convert/convert.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/half.h"
#include "convert/put.h"
#include "gguf/safetensors.h"
#include "hf/found.h"
#include "model/format.h"

/* Elements converted at a time; a multiple of every block. */
enum { CHUNK = 1 << 16, MAX_ELEMENT_BYTES = 4 };

/* Source element types: how many bytes, and how a run of them becomes float32. */
static void load_f32(const uint8_t *src, float *dst, size_t n)
{
	memcpy(dst, src, n * sizeof *dst);
}

static void load_f16(const uint8_t *src, float *dst, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t h;
		memcpy(&h, src + 2 * i, sizeof h);
		dst[i] = f32_from_f16(h);
	}
}

static void load_bf16(const uint8_t *src, float *dst, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t h;
		memcpy(&h, src + 2 * i, sizeof h);
		dst[i] = f32_from_bf16(h);
	}
}

static void load_f64(const uint8_t *src, float *dst, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		double d;
		memcpy(&d, src + 8 * i, sizeof d);
		dst[i] = (float)d;
	}
}

static const struct {
	size_t bytes;
	void (*load)(const uint8_t *src, float *dst, size_t n);
} sources[ST_N_DTYPES] = {
	[ST_F32] = {4, load_f32},
	[ST_F16] = {2, load_f16},
	[ST_BF16] = {2, load_bf16},
	[ST_F64] = {8, load_f64},
};

/* A conversion under way. */
struct conversion {
	const struct convert_options *o;
	struct hf_shape shape;
	struct vocab vocab;
	struct safetensors *weights;
	struct gguf_writer *writer;
	uint64_t n_elements, n_done;
	uint8_t *source; /* CHUNK elements of any dtype, as read */
	float *floats;   /* (CHUNK) */
	uint8_t *blocks; /* CHUNK elements of any type */
	struct hokku_error *err;
};

/* Vectors are small and sums start from them, so they stay float32; a matrix whose rows the blocks do not
 * divide becomes F16, as llama.cpp's converter does. */
static enum tensor_type stored_type(const struct conversion *c, const struct tensor_iter *it, bool *fell_back)
{
	*fell_back = false;
	if (it->row->rows == SIDE_NONE)
		return TENSOR_F32;
	*fell_back = it->cols % tensor_type_get(c->o->type)->block_elements != 0;
	return *fell_back ? TENSOR_F16 : c->o->type;
}

static const struct st_tensor *source_of(const struct conversion *c, const struct tensor_iter *it)
{
	return st_find(c->weights, it->hf);
}

/* One tensor of the table against what the folder has. */
static enum hokku_code check_source(const struct conversion *c, const struct tensor_iter *it)
{
	char found[192];
	const struct st_tensor *t = source_of(c, it);
	if (!t)
		return hf_no_tensor(c->o->dir, c->weights, it->hf, c->err);
	bool vector = it->row->rows == SIDE_NONE;
	bool fits = vector ? t->n_dims == 1 && t->dims[0] == it->cols
			   : t->n_dims == 2 && t->dims[0] == it->rows && t->dims[1] == it->cols;
	st_shape(t, found, sizeof found);
	if (!fits && vector)
		return err_set(c->err, HOKKU_BAD_FILE,
			       "%s: tensor \"%s\" has the shape %s; config.json makes it [%" PRIu64 "]",
			       c->o->dir, it->hf, found, it->cols);
	if (!fits)
		return err_set(c->err, HOKKU_BAD_FILE,
			       "%s: tensor \"%s\" has the shape %s; config.json makes it [%" PRIu64
			       ", %" PRIu64 "]%s",
			       c->o->dir, it->hf, found, it->rows, it->cols,
			       it->row->rows == SIDE_VOCAB ? " (vocab_size, hidden_size)" : "");
	if (!sources[t->dtype].load)
		return err_set(c->err, HOKKU_INVALID_REQUEST,
			       "%s: tensor \"%s\" is %s; hokku converts F32, F16, BF16 and F64", c->o->dir,
			       it->hf, st_dtype_name(t->dtype));
	return HOKKU_OK;
}

static bool ends_with(struct str s, const char *suffix)
{
	size_t n = strlen(suffix);
	return s.len >= n && memcmp(s.ptr + s.len - n, suffix, n) == 0;
}

/* Tensors of the folder that no row takes: buffers and a tied head are left out, anything else is an error,
 * since the model would not be what its weights say. */
static enum hokku_code check_leftovers(const struct conversion *c)
{
	const uint64_t n = st_n_tensors(c->weights);
	bool *taken = calloc(n + 1, sizeof *taken);
	char name[160];
	enum hokku_code rc = HOKKU_OK;
	if (!taken)
		return err_set(c->err, HOKKU_OUT_OF_MEMORY, "%s: no memory for %" PRIu64 " tensors",
			       c->o->dir, n);
	for (struct tensor_iter it = {0}; tensor_iter_next(&c->shape, &it);) {
		const struct st_tensor *t = source_of(c, &it);
		uint64_t low = 0, high = n; /* its place in the sorted list */
		while (low < high) {
			uint64_t mid = (low + high) / 2;
			const struct st_tensor *m = st_tensor_at(c->weights, mid);
			int order = memcmp(m->name.ptr, t->name.ptr,
					   m->name.len < t->name.len ? m->name.len : t->name.len);
			if (order < 0 || (order == 0 && m->name.len < t->name.len))
				low = mid + 1;
			else
				high = mid;
		}
		taken[low] = true;
	}
	for (uint64_t i = 0; i < n && !rc; i++) {
		const struct st_tensor *t = st_tensor_at(c->weights, i);
		bool ignored = taken[i];
		for (const char *const *suffix = c->shape.arch->ignored; *suffix && !ignored; suffix++)
			ignored = ends_with(t->name, *suffix);
		if (ignored)
			continue;
		str_quote(t->name, name, sizeof name);
		if (c->shape.tied && str_eq_c(t->name, "lm_head.weight"))
			observer_note(&c->o->observer, "tensor %s is left out: tie_word_embeddings is true",
				      name);
		else
			rc = err_set(c->err, HOKKU_BAD_FILE, "%s: tensor %s has no place in a %s%s",
				     c->o->dir, name, c->shape.arch->class_name, hf_why_tensor(t->name));
	}
	free(taken);
	return rc;
}

static enum hokku_code declare_tensors(struct conversion *c)
{
	for (struct tensor_iter it = {0}; tensor_iter_next(&c->shape, &it);) {
		bool fell_back;
		enum hokku_code rc = check_source(c, &it);
		if (rc)
			return rc;
		enum tensor_type type = stored_type(c, &it, &fell_back);
		if (fell_back)
			observer_note(&c->o->observer,
				      "%s: rows of %" PRIu64 " are no multiple of %s's %u; written as F16",
				      it.gguf, it.cols, tensor_type_get(c->o->type)->name,
				      tensor_type_get(c->o->type)->block_elements);
		const uint64_t dims[2] = {it.cols, it.rows};
		gguf_put_tensor(c->writer, it.gguf, type, it.row->rows == SIDE_NONE ? 1 : 2, dims);
		c->n_elements += it.cols * it.rows;
	}
	return check_leftovers(c);
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

/* n elements from `at` on as float32. */
static enum hokku_code load(const struct conversion *c, const struct st_tensor *t, uint64_t at, float *out,
			    size_t n)
{
	const size_t bytes = sources[t->dtype].bytes;
	enum hokku_code rc = st_read(c->weights, t, at * bytes, c->source, n * bytes, c->err);
	if (!rc)
		sources[t->dtype].load(c->source, out, n);
	return rc;
}

static enum hokku_code write_tensor(struct conversion *c, const struct tensor_iter *it)
{
	bool fell_back;
	const struct st_tensor *t = source_of(c, it);
	enum tensor_type type = stored_type(c, it, &fell_back);
	const struct format *fmt = format_get(type);
	for (uint64_t at = 0; at < t->n_elements;) {
		size_t n = t->n_elements - at < CHUNK ? (size_t)(t->n_elements - at) : CHUNK;
		if (observer_stopped(&c->o->observer))
			return err_set(c->err, HOKKU_CANCELLED, "interrupted; %s was not written", c->o->out);
		enum hokku_code rc = load(c, t, at, c->floats, n);
		if (!rc)
			rc = check_values(c, it->hf, at, n, type);
		if (!rc) {
			fmt->quantise(c->floats, c->blocks, n);
			rc = gguf_writer_data(c->writer, c->blocks,
					      n / fmt->block_elements * fmt->block_bytes, c->err);
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

/* Whether two tensors hold the same numbers; other is (CHUNK). */
static enum hokku_code compare_values(const struct conversion *c, const struct st_tensor *a,
				      const struct st_tensor *b, float *other, bool *same)
{
	*same = a->n_dims == b->n_dims && memcmp(a->dims, b->dims, sizeof a->dims) == 0 &&
		sources[a->dtype].load && sources[b->dtype].load;
	for (uint64_t at = 0; *same && at < a->n_elements; at += CHUNK) {
		size_t n = a->n_elements - at < CHUNK ? (size_t)(a->n_elements - at) : CHUNK;
		enum hokku_code rc = load(c, a, at, c->floats, n);
		if (!rc)
			rc = load(c, b, at, other, n);
		if (rc)
			return rc;
		for (size_t i = 0; i < n && *same; i++)
			*same = c->floats[i] == other[i];
	}
	return HOKKU_OK;
}

/* Absent a setting, a head of its own is what tells a model that is not tied. A tied model whose head differs
 * from its embedding is not tied: so transformers 5 takes it. */
static enum hokku_code settle_tied(struct conversion *c)
{
	const struct st_tensor *head = st_find(c->weights, "lm_head.weight");
	const struct st_tensor *embedding = st_find(c->weights, "model.embed_tokens.weight");
	if (!c->shape.tied_given)
		c->shape.tied = !head;
	if (!c->shape.tied || !head || !embedding)
		return HOKKU_OK;
	float *other = malloc(CHUNK * sizeof *other);
	if (!other)
		return err_set(c->err, HOKKU_OUT_OF_MEMORY, "no memory for %d elements", CHUNK);
	enum hokku_code rc = compare_values(c, head, embedding, other, &c->shape.tied);
	free(other);
	if (!rc && !c->shape.tied)
		observer_note(&c->o->observer,
			      "tie_word_embeddings is true, but lm_head.weight differs from "
			      "model.embed_tokens.weight: it is kept, as transformers 5 keeps it");
	return rc;
}

/* "a/b/Name/" -> "Name" */
static void folder_name(const char *dir, char *out, size_t size)
{
	char *whole = realpath(dir, NULL);
	const char *name = whole ? strrchr(whole, '/') : NULL;
	snprintf(out, size, "%s", name && name[1] ? name + 1 : "model");
	free(whole);
}

static enum hokku_code read_config(struct conversion *c)
{
	char path[4096];
	struct jv_doc config;
	snprintf(path, sizeof path, "%s/config.json", c->o->dir);
	if (c->o->vocab_only && access(path, F_OK) != 0)
		return HOKKU_OK;
	enum hokku_code rc = jv_read_file(path, HF_MAX_CONFIG_BYTES, &config, c->err);
	if (rc)
		return hf_explain_config(c->o->dir, rc, c->err);
	rc = hf_shape_read(&config.root, path, &c->o->observer, &c->shape, c->err);
	jv_doc_free(&config);
	return rc;
}

static enum hokku_code read_vocab(struct conversion *c)
{
	uint32_t n_vocab = c->shape.arch ? c->shape.n_vocab : 0;
	enum hokku_code rc = vocab_read(&c->vocab, c->o->dir, n_vocab, &c->o->observer, c->err);
	return rc ? rc : vocab_read_ids(&c->vocab, c->o->dir, &c->o->observer, c->err);
}

static void put_metadata(struct conversion *c)
{
	char name[256];
	folder_name(c->o->dir, name, sizeof name);
	if (c->o->name)
		snprintf(name, sizeof name, "%s", c->o->name);
	if (c->shape.arch) {
		put_shape(c->writer, &c->shape, name, c->o->vocab_only ? -1 : file_type_of(c->o->type));
	} else {
		gguf_put_str(c->writer, "general.architecture", str_c(c->vocab.arch));
		gguf_put_str(c->writer, "general.type", STR_LIT("model"));
		gguf_put_str(c->writer, "general.name", str_c(name));
	}
	put_vocab(c->writer, &c->vocab);
}

static enum hokku_code write_all(struct conversion *c)
{
	enum hokku_code rc = gguf_writer_create(c->o->out, &c->writer, c->err);
	if (rc)
		return rc;
	put_metadata(c);
	if (!c->o->vocab_only)
		rc = declare_tensors(c);
	if (!rc)
		rc = gguf_writer_begin_data(c->writer, c->err);
	struct tensor_iter it = {0};
	while (!rc && !c->o->vocab_only && tensor_iter_next(&c->shape, &it))
		rc = write_tensor(c, &it);
	if (!rc && !c->o->vocab_only)
		rc = st_unchanged(c->weights, c->err);
	if (!rc)
		rc = gguf_writer_finish(c->writer, c->err);
	if (!rc)
		observer_progress(&c->o->observer, 1);
	return rc;
}

enum hokku_code convert_hf(const struct convert_options *o, struct hokku_error *err)
{
	struct conversion c = {.o = o, .err = err};
	if (o->type != TENSOR_F32 && o->type != TENSOR_F16 && o->type != TENSOR_BF16 &&
	    o->type != TENSOR_Q8_0)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "the type is %s; hokku converts to F32, F16, BF16 and Q8_0",
			       tensor_type_get(o->type) ? tensor_type_get(o->type)->name : "unknown");
	enum hokku_code rc = read_config(&c);
	if (!rc)
		rc = read_vocab(&c);
	if (!rc && !o->vocab_only) {
		rc = hf_explain_weights(o->dir, st_open_dir(o->dir, &c.weights, err), err);
		c.source = malloc(CHUNK * sizeof(double));
		c.floats = malloc(CHUNK * sizeof *c.floats);
		c.blocks = malloc((size_t)CHUNK * MAX_ELEMENT_BYTES);
		if (!rc && (!c.source || !c.floats || !c.blocks))
			rc = err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for %d elements", CHUNK);
		if (!rc)
			rc = settle_tied(&c);
		if (!rc)
			hf_note_adapter(o->dir, &o->observer);
	}
	if (!rc)
		rc = write_all(&c);
	gguf_writer_destroy(c.writer);
	st_close(c.weights);
	vocab_free(&c.vocab);
	free(c.source);
	free(c.floats);
	free(c.blocks);
	return rc;
}
