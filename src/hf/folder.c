/* From a folder's files to a handle: descriptions first, then every tensor of the architecture against what
 * the folder has. */
#include "hf/folder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "hf/element.h"
#include "hf/found.h"
#include "hf/keys.h"
#include "hf/reader.h"

enum { CHUNK = 4096 }; /* elements read at a time where they are converted */

/* Where a tensor of the handle comes from. */
struct source {
	const struct st_tensor *t; /* NULL: from values, which are float32 */
	const float *values;
	enum hf_change change;
	const char *name; /* the folder's */
};

struct hf_folder {
	const struct hf_options *o; /* while it is opened */
	struct hokku_error *err;    /* the same */
	struct arena arena;
	struct hf_shape shape;
	struct vocab vocab;
	struct safetensors *weights;
	struct gguf_tensor *tensors; /* (n_tensors) in the order of the architecture's table */
	struct source *sources;      /* (n_tensors) */
	uint64_t n_tensors, n_bytes;
	struct gguf *model;
};

/* "a/b/Name/" -> "Name" */
static void folder_name(const char *dir, char *out, size_t size)
{
	char *whole = realpath(dir, NULL);
	const char *name = whole ? file_base_name(whole) : "";
	snprintf(out, size, "%s", name[0] ? name : "model");
	free(whole);
}

static enum hokku_code read_config(struct hf_folder *f)
{
	char path[HF_PATH_BYTES];
	bool there;
	struct jv_doc config;
	enum hokku_code rc = hf_join(f->o->dir, "config.json", path, &there, f->err);
	if (rc || (f->o->vocab_only && !there))
		return rc;
	rc = jv_read_named(path, HF_MAX_CONFIG_BYTES, &config, f->err);
	if (rc)
		return hf_explain_config(f->o->dir, rc, f->err);
	rc = hf_shape_read(&config.root, path, f->o->observer, &f->shape, f->err);
	jv_doc_free(&config);
	return rc;
}

static enum hokku_code read_vocab(struct hf_folder *f)
{
	uint32_t n_vocab = f->shape.arch ? f->shape.n_vocab : 0;
	enum hokku_code rc = vocab_read(&f->vocab, f->o->dir, n_vocab, f->o->observer, f->err);
	return rc ? rc : vocab_read_ids(&f->vocab, f->o->dir, f->o->observer, f->err);
}

/* ---- weights ---- */

/* n elements from `at` on as float32. */
static enum hokku_code load(const struct hf_folder *f, const struct st_tensor *t, uint64_t at, float *out,
			    size_t n, struct hokku_error *err)
{
	uint8_t bytes[CHUNK * sizeof(double)];
	const struct hf_element *e = hf_element_get(t->dtype);
	enum hokku_code rc = st_read(f->weights, t, at * e->bytes, bytes, n * e->bytes, err);
	if (!rc)
		e->to_f32(bytes, out, n);
	return rc;
}

/* A folder of more than text has its language model's tensors under names of their own. */
static const struct st_tensor *find_source(const struct hf_folder *f, const char *name)
{
	char other[192];
	const struct st_tensor *t = st_find(f->weights, name);
	bool inside = strncmp(name, "model.", 6) == 0;
	if (t || !f->shape.has_vision)
		return t;
	snprintf(other, sizeof other, "model.language_model.%s", inside ? name + 6 : name);
	t = st_find(f->weights, other);
	if (t)
		return t;
	snprintf(other, sizeof other, "language_model.%s", name);
	return st_find(f->weights, other);
}

/* What belongs to the pictures of such a folder. */
static bool is_vision(const struct hf_folder *f, struct str name)
{
	static const char *const prefixes[] = {"vision_tower.", "vision_model.", "multi_modal_projector."};
	if (!f->shape.has_vision)
		return false;
	if (str_starts(name, STR_LIT("model.")))
		name = (struct str){name.ptr + 6, name.len - 6};
	for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
		if (str_starts(name, str_c(prefixes[i])))
			return true;
	return false;
}

/* Whether two tensors hold the same numbers. */
static enum hokku_code compare_values(const struct hf_folder *f, const struct st_tensor *a,
				      const struct st_tensor *b, bool *same)
{
	float one[CHUNK], two[CHUNK];
	*same = a->n_dims == b->n_dims && memcmp(a->dims, b->dims, sizeof a->dims) == 0 &&
		hf_element_get(a->dtype) && hf_element_get(b->dtype);
	for (uint64_t at = 0; *same && at < a->n_elements; at += CHUNK) {
		size_t n = a->n_elements - at < CHUNK ? (size_t)(a->n_elements - at) : CHUNK;
		enum hokku_code rc = load(f, a, at, one, n, f->err);
		if (!rc)
			rc = load(f, b, at, two, n, f->err);
		if (rc)
			return rc;
		for (size_t i = 0; i < n && *same; i++)
			*same = one[i] == two[i];
	}
	return HOKKU_OK;
}

/* Absent a setting, a head of its own is what tells a model that is not tied, unless its class is tied. A
 * tied model whose head differs from its embedding is not tied: so transformers 5 takes it. */
static enum hokku_code settle_tied(struct hf_folder *f)
{
	const struct st_tensor *head = find_source(f, "lm_head.weight");
	const struct st_tensor *embedding = find_source(f, "model.embed_tokens.weight");
	if (!f->shape.tied_given && !head)
		f->shape.tied = true;
	if (!f->shape.tied || !head || !embedding)
		return HOKKU_OK;
	enum hokku_code rc = compare_values(f, head, embedding, &f->shape.tied);
	if (!rc && !f->shape.tied)
		observer_note(f->o->observer,
			      "tie_word_embeddings is true, but lm_head.weight differs from "
			      "model.embed_tokens.weight: it is kept, as transformers 5 keeps it");
	return rc;
}

/* One tensor of the table against what the folder has. */
static enum hokku_code check_source(const struct hf_folder *f, const struct tensor_iter *it,
				    const struct st_tensor *t)
{
	char found[192];
	if (!t && strcmp(it->hf, "lm_head.weight") == 0)
		return err_set(
			f->err, HOKKU_BAD_FILE,
			"%s: the weights have no tensor \"lm_head.weight\", and tie_word_embeddings is false, so "
			"that the embedding is no head either",
			f->o->dir);
	if (!t)
		return hf_no_tensor(f->o->dir, f->weights, it->hf, f->err);
	bool vector = it->row->rows == SIDE_NONE;
	bool fits = vector ? t->n_dims == 1 && t->dims[0] == it->cols
			   : t->n_dims == 2 && t->dims[0] == it->rows && t->dims[1] == it->cols;
	st_shape(t, found, sizeof found);
	if (!fits && vector)
		return err_set(f->err, HOKKU_BAD_FILE,
			       "%s: tensor \"%s\" has the shape %s; config.json makes it [%" PRIu64 "]",
			       f->o->dir, it->hf, found, it->cols);
	if (!fits)
		return err_set(f->err, HOKKU_BAD_FILE,
			       "%s: tensor \"%s\" has the shape %s; config.json makes it [%" PRIu64
			       ", %" PRIu64 "]%s",
			       f->o->dir, it->hf, found, it->rows, it->cols,
			       it->row->rows == SIDE_VOCAB ? " (vocab_size, hidden_size)" : "");
	if (!hf_element_get(t->dtype))
		return err_set(f->err, HOKKU_INVALID_REQUEST,
			       "%s: tensor \"%s\" is %s; hokku converts F32, F16, BF16 and F64", f->o->dir,
			       it->hf, st_dtype_name(t->dtype));
	return HOKKU_OK;
}

/* Tensors of the folder that no row takes: buffers and a tied head are left out, anything else is an error,
 * since the model would not be what its weights say. */
static enum hokku_code check_leftovers(const struct hf_folder *f)
{
	const uint64_t n = st_n_tensors(f->weights);
	bool *taken = calloc(n + 1, sizeof *taken);
	char name[160];
	enum hokku_code rc = HOKKU_OK;
	if (!taken)
		return err_set(f->err, HOKKU_OUT_OF_MEMORY, "%s: no memory for %" PRIu64 " tensors",
			       f->o->dir, n);
	for (struct tensor_iter it = {0}; tensor_iter_next(&f->shape, &it);) {
		const struct st_tensor *t = find_source(f, it.hf);
		uint64_t low = 0, high = n; /* its place in the sorted list */
		while (low < high) {
			uint64_t mid = (low + high) / 2;
			const struct st_tensor *m = st_tensor_at(f->weights, mid);
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
		const struct st_tensor *t = st_tensor_at(f->weights, i);
		bool ignored = taken[i] || is_vision(f, t->name);
		for (const char *const *suffix = f->shape.arch->ignored; *suffix && !ignored; suffix++)
			ignored = str_ends(t->name, str_c(*suffix));
		if (ignored)
			continue;
		str_quote(t->name, name, sizeof name);
		if (f->shape.tied && str_eq_c(t->name, "lm_head.weight"))
			observer_note(f->o->observer, "tensor %s is left out: tie_word_embeddings is true",
				      name);
		else
			rc = err_set(f->err, HOKKU_BAD_FILE, "%s: tensor %s has no place in a %s%s",
				     f->o->dir, name, f->shape.arch->class_name, hf_why_tensor(t->name));
	}
	free(taken);
	return rc;
}

/* Appends a tensor, whose bytes follow those before it in a space of the handle's own. */
static bool add_tensor(struct hf_folder *f, const char *name, const uint64_t dims[2], enum tensor_type type,
		       struct source source)
{
	char *copy = arena_strdup(&f->arena, name, strlen(name));
	struct gguf_tensor *t = &f->tensors[f->n_tensors];
	source.name = arena_strdup(&f->arena, source.name, strlen(source.name));
	f->sources[f->n_tensors++] = source;
	*t = (struct gguf_tensor){
		.name = {copy, strlen(name)},
		.n_dims = dims[1] ? 2 : 1,
		.dims = {dims[0], dims[1] ? dims[1] : 1, 1, 1},
		.type = type,
		.offset = f->n_bytes,
	};
	t->n_elements = t->dims[0] * t->dims[1];
	t->n_bytes = t->n_elements * tensor_type_get(type)->block_bytes;
	f->n_bytes += t->n_bytes;
	return copy && source.name;
}

static enum hokku_code describe_tensors(struct hf_folder *f)
{
	uint64_t n = N_HF_TABLES;
	for (struct tensor_iter it = {0}; tensor_iter_next(&f->shape, &it);)
		n++;
	f->tensors = arena_array(&f->arena, n, sizeof *f->tensors);
	f->sources = arena_array(&f->arena, n, sizeof *f->sources);
	bool ok = f->tensors && f->sources;
	for (uint32_t table = 0; ok && table < N_HF_TABLES; table++) {
		uint32_t n_values;
		struct source source = {0};
		source.name = hf_table(&f->shape, table, &source.values, &n_values);
		if (n_values)
			ok = add_tensor(f, source.name, (const uint64_t[]){n_values, 0}, TENSOR_F32, source);
	}
	for (struct tensor_iter it = {0}; ok && tensor_iter_next(&f->shape, &it);) {
		const struct st_tensor *t = find_source(f, it.hf);
		enum hokku_code rc = check_source(f, &it, t);
		if (rc)
			return rc;
		bool vector = it.row->rows == SIDE_NONE;
		ok = add_tensor(f, it.gguf, (const uint64_t[]){it.cols, vector ? 0 : it.rows},
				vector ? TENSOR_F32 : hf_element_get(t->dtype)->matrix,
				(struct source){.t = t, .change = it.row->change, .name = it.hf});
	}
	if (!ok)
		return err_set(f->err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its tensors", f->o->dir);
	return check_leftovers(f);
}

static enum hokku_code open_weights(struct hf_folder *f)
{
	char path[HF_PATH_BYTES];
	bool one, several;
	enum hokku_code rc = hf_join(f->o->dir, "model.safetensors.index.json", path, &several, f->err);
	if (!rc)
		rc = hf_join(f->o->dir, "model.safetensors", path, &one, f->err);
	if (rc)
		return rc;
	if (one && several)
		observer_note(f->o->observer,
			      "model.safetensors.index.json is left out: model.safetensors counts");
	rc = hf_explain_weights(f->o->dir, st_open_dir(f->o->dir, &f->weights, f->err), f->err);
	if (!rc)
		rc = settle_tied(f);
	if (rc)
		return rc;
	hf_note_adapter(f->o->dir, f->o->observer);
	return describe_tensors(f);
}

/* ---- the handle ---- */

/* The row of the folder's tensor that is row `to` of the handle's, where rows of heads are permuted: pairs
 * (i, i + half) become neighbours. */
static uint64_t permuted_row(const struct hf_shape *s, uint64_t to)
{
	uint64_t head = to / s->head_dim, i = to % s->head_dim;
	return head * s->head_dim + i / 2 + i % 2 * (s->head_dim / 2);
}

/* n elements from `at` on of a vector as float32, changed on their way. */
static enum hokku_code load_vector(const struct hf_folder *f, const struct source *s, uint64_t at, float *out,
				   size_t n, struct hokku_error *err)
{
	enum hokku_code rc = HOKKU_OK;
	if (!s->t) {
		memcpy(out, s->values + at, n * sizeof *out);
		return HOKKU_OK;
	}
	if (s->change != CHANGE_PERMUTE || s->t->n_dims == 2)
		rc = load(f, s->t, at, out, n, err);
	else
		for (size_t i = 0; i < n && !rc; i++)
			rc = load(f, s->t, permuted_row(&f->shape, at + i), out + i, 1, err);
	for (size_t i = 0; i < n && !rc && s->change == CHANGE_PLUS_ONE; i++)
		out[i] += 1;
	return rc;
}

/* Bytes from .. from + n - 1 of tensor i, which lie within it and within a row where rows are permuted. */
static enum hokku_code read_piece(const struct hf_folder *f, uint64_t i, uint64_t from, uint8_t *to, size_t n,
				  struct hokku_error *err)
{
	const struct source *s = &f->sources[i];
	if (s->t && s->change != CHANGE_PLUS_ONE && s->t->n_dims == 2 && s->t->dtype != ST_F64)
		return st_read(f->weights, s->t, from, to, n, err);
	while (n > 0) { /* float32 out of another type; the piece may begin within an element */
		float values[CHUNK];
		uint64_t first = from / sizeof(float), skip = from % sizeof(float);
		size_t count = (size_t)((skip + n + sizeof(float) - 1) / sizeof(float));
		count = count < CHUNK ? count : CHUNK;
		enum hokku_code rc = load_vector(f, s, first, values, count, err);
		if (rc)
			return rc;
		size_t part = count * sizeof(float) - skip < n ? count * sizeof(float) - skip : n;
		memcpy(to, (const uint8_t *)values + skip, part);
		to += part;
		from += part;
		n -= part;
	}
	return HOKKU_OK;
}

/* Bytes from .. from + n - 1 of tensor i, which lie within it. */
static enum hokku_code read_tensor(const struct hf_folder *f, uint64_t i, uint64_t from, uint8_t *to,
				   size_t n, struct hokku_error *err)
{
	const struct gguf_tensor *t = &f->tensors[i];
	const uint64_t row_bytes = t->n_bytes / t->dims[1];
	if (f->sources[i].change != CHANGE_PERMUTE || t->n_dims == 1)
		return read_piece(f, i, from, to, n, err);
	while (n > 0) {
		uint64_t row = from / row_bytes, skip = from % row_bytes;
		size_t part = row_bytes - skip < n ? (size_t)(row_bytes - skip) : n;
		enum hokku_code rc =
			read_piece(f, i, permuted_row(&f->shape, row) * row_bytes + skip, to, part, err);
		if (rc)
			return rc;
		to += part;
		from += part;
		n -= part;
	}
	return HOKKU_OK;
}

static enum hokku_code read_bytes(void *self, uint64_t offset, void *to, size_t n, struct hokku_error *err)
{
	const struct hf_folder *f = self;
	uint8_t *at = to;
	uint64_t low = 0, high = f->n_tensors; /* the last tensor that begins at or before offset */
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;
		if (f->tensors[middle].offset <= offset)
			low = middle;
		else
			high = middle;
	}
	for (uint64_t i = low; n > 0; i++) {
		uint64_t from = offset - f->tensors[i].offset, left = f->tensors[i].n_bytes - from;
		size_t part = left < n ? (size_t)left : n;
		enum hokku_code rc = read_tensor(f, i, from, at, part, err);
		if (rc)
			return rc;
		at += part;
		offset += part;
		n -= part;
	}
	return HOKKU_OK;
}

static enum hokku_code unchanged(void *self, struct hokku_error *err)
{
	const struct hf_folder *f = self;
	return f->weights ? st_unchanged(f->weights, err) : HOKKU_OK;
}

static void release(void *self)
{
	struct hf_folder *f = self;
	st_close(f->weights);
	vocab_free(&f->vocab);
	arena_free(&f->arena);
	free(f);
}

static enum hokku_code assemble(struct hf_folder *f)
{
	char name[256];
	struct hf_keys k = {.arena = &f->arena};
	folder_name(f->o->dir, name, sizeof name);
	if (f->o->name)
		snprintf(name, sizeof name, "%s", f->o->name);
	if (f->shape.arch) {
		hf_shape_keys(&k, &f->shape, name);
	} else {
		char *copy = arena_strdup(&f->arena, name, strlen(name));
		k.failed = !copy;
		hf_key_str(&k, "general.architecture", str_c(f->vocab.arch));
		hf_key_str(&k, "general.type", STR_LIT("model"));
		hf_key_str(&k, "general.name", str_c(copy ? copy : ""));
	}
	enum hokku_code rc = hf_generation_keys(&k, f->o->dir, f->o->observer, f->err);
	if (rc)
		return rc;
	hf_vocab_keys(&k, &f->vocab);
	if (k.failed)
		return err_set(f->err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its keys", f->o->dir);
	const struct gguf_parts parts = {k.kv,         f->tensors, k.n,
					 f->n_tensors, f->n_bytes, {f, read_bytes, unchanged, release}};
	return gguf_assemble(f->o->dir, &parts, &f->model, f->err);
}

enum hokku_code hf_open(const struct hf_options *o, struct hf_folder **out, struct hokku_error *err)
{
	*out = NULL;
	enum hokku_code bad = hf_check_folder(o->dir, err);
	if (bad)
		return bad;
	struct hf_folder *f = calloc(1, sizeof *f);
	if (!f)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory to open it", o->dir);
	f->o = o;
	f->err = err;
	enum hokku_code rc = read_config(f);
	if (!rc)
		rc = read_vocab(f);
	if (!rc && !o->vocab_only)
		rc = open_weights(f);
	if (!rc)
		rc = assemble(f);
	if (rc) {
		hf_close(f);
		return rc;
	}
	f->o = NULL;
	f->err = NULL;
	*out = f;
	return HOKKU_OK;
}

void hf_close(struct hf_folder *f)
{
	if (f && f->model)
		gguf_close(f->model); /* which releases the folder */
	else if (f)
		release(f);
}

struct gguf *hf_model(const struct hf_folder *f)
{
	return f->model;
}

const char *hf_tensor_name(const struct hf_folder *f, uint64_t i)
{
	return f->sources[i].name;
}
