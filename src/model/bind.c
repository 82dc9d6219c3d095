/*
 * From an open file to a struct model. roles.h says what tensors there are and what shape each must have, the
 * architecture's row which of them a layer holds; a tensor that is missing, has another shape, is stored in a
 * format without kernels, or is not in the tables at all (it would mean a computation that hokku does not do)
 * is an error that names it.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/file.h"
#include "model/arch.h"
#include "model/kind.h"
#include "model/refuse.h"
#include "model/rope.h"

#define FAIL(...) return err_set(err, HOKKU_MODEL_LOAD_FAILED, __VA_ARGS__)

enum { NAME_BYTES = 64, MAX_VOCAB = 1 << 22 };

static uint64_t dim_size(const struct model *m, const struct layer_spec *spec, enum dim d)
{
	const struct attn_spec *attn = &spec->attn;
	switch (d) {
	case DIM_MODEL:
		return m->hp.d_model;
	case DIM_Q:
		return (uint64_t)attn->n_heads * attn->head_dim;
	case DIM_KV:
		return (uint64_t)attn->n_kv_heads * attn->head_dim;
	case DIM_Q_NORM:
		return attn->qk_norm == QK_NORM_WIDTH ? dim_size(m, spec, DIM_Q) : attn->head_dim;
	case DIM_K_NORM:
		return attn->qk_norm == QK_NORM_WIDTH ? dim_size(m, spec, DIM_KV) : attn->head_dim;
	case DIM_FF:
		return spec->ffn.d_ff;
	case DIM_VOCAB:
		return m->hp.n_vocab;
	case DIM_ROPE:
		return m->ropes[0].n_dims / 2;
	case DIM_ONE:
		break;
	}
	return 1;
}

/* Where a size comes from, for messages: "qwen2.attention.head_count_kv 2 x head dim 64". */
static const char *dim_origin(const struct model *m, enum dim d, char *out, size_t size)
{
	const struct hparams *hp = &m->hp;
	const char *arch = m->arch_name;
	switch (d) {
	case DIM_MODEL:
		snprintf(out, size, "%s.embedding_length %u", arch, hp->d_model);
		break;
	case DIM_Q:
		snprintf(out, size, "%s.attention.head_count %u x head dim %u", arch, hp->n_heads,
			 hp->head_dim);
		break;
	case DIM_KV:
		snprintf(out, size, "%s.attention.head_count_kv %u x head dim %u", arch, hp->n_kv_heads,
			 hp->head_dim);
		break;
	case DIM_Q_NORM:
	case DIM_K_NORM:
		snprintf(out, size, "head dim %u", hp->head_dim);
		break;
	case DIM_ROPE:
		snprintf(out, size, "half of the %u numbers of a head that RoPE turns", m->ropes[0].n_dims);
		break;
	case DIM_FF:
		snprintf(out, size, "%s.feed_forward_length %u", arch, hp->d_ff);
		break;
	case DIM_VOCAB:
		snprintf(out, size, "a vocabulary of %u, the rows of token_embd.weight", hp->n_vocab);
		break;
	case DIM_ONE:
		snprintf(out, size, "a vector");
		break;
	}
	return out;
}

/* "896 x 128" */
static const char *shape_text(const struct gguf_tensor *t, char *out, size_t size)
{
	size_t used = 0;
	out[0] = '\0';
	for (uint32_t i = 0; i < t->n_dims && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%" PRIu64, i ? " x " : "", t->dims[i]);
	return out;
}

/* The tensor must have the row's columns, and so many rows. */
static enum hokku_code check_shape(const struct model *m, const struct layer_spec *spec,
				   const struct role_row *row, const char *name, const struct gguf_tensor *t,
				   uint64_t rows, struct hokku_error *err)
{
	uint64_t cols = dim_size(m, spec, row->cols);
	uint32_t n_dims = row->rows == DIM_ONE ? 1 : 2;
	bool more = false; /* GGUF writers may add dimensions of 1 */
	for (uint32_t i = n_dims; i < t->n_dims; i++)
		more = more || t->dims[i] != 1;
	if (!more && t->dims[0] == cols && t->dims[1] == rows)
		return HOKKU_OK;
	char found[96], wanted[48], origin[128];
	snprintf(wanted, sizeof wanted, n_dims == 1 ? "%" PRIu64 : "%" PRIu64 " x %" PRIu64, cols, rows);
	dim_origin(m, t->dims[0] != cols ? row->cols : row->rows, origin, sizeof origin);
	FAIL("%s has shape %s, the header wants %s (%s)", name, shape_text(t, found, sizeof found), wanted,
	     origin);
}

static enum hokku_code check_format(const char *name, const struct gguf_tensor *t, struct hokku_error *err)
{
	const struct format *fmt = format_get(t->type);
	if (!fmt)
		return refuse_type(t, name, err);
	if (t->dims[0] % fmt->block_elements)
		FAIL("%s is stored as %s, whose blocks hold %u elements; its rows of %" PRIu64
		     " are no whole blocks",
		     name, fmt->name, fmt->block_elements, t->dims[0]);
	return HOKKU_OK;
}

/* Rows first .. first + rows - 1 of t. */
static struct weight slice(const struct model *m, const struct gguf_tensor *t, uint64_t first, uint64_t rows)
{
	const struct format *fmt = format_get(t->type);
	uint64_t row_bytes = t->dims[0] / fmt->block_elements * fmt->block_bytes;
	return (struct weight){
		.tensor = t,
		.fmt = fmt,
		.file = m->file,
		.data = t->data ? (const char *)t->data + first * row_bytes : NULL,
		.offset = first * row_bytes,
		.rows = (uint32_t)rows,
		.cols = (uint32_t)t->dims[0],
		.row_bytes = row_bytes,
	};
}

/* Numbers first .. first + n - 1 of a vector of floats. */
static struct weight slice_vector(const struct model *m, const struct gguf_tensor *t, uint64_t first,
				  uint64_t n)
{
	const struct format *fmt = format_get(t->type);
	return (struct weight){
		.tensor = t,
		.fmt = fmt,
		.file = m->file,
		.data = t->data ? (const char *)t->data + first * fmt->block_bytes : NULL,
		.offset = first * fmt->block_bytes,
		.rows = 1,
		.cols = (uint32_t)n,
		.row_bytes = n * fmt->block_bytes,
	};
}

/* Fills the weight of one role. An absent tensor leaves it zero when `optional`. */
static enum hokku_code bind_one(const struct model *m, const struct layer_spec *spec,
				const struct role_row *row, const char *name, bool optional, struct weight *w,
				struct hokku_error *err)
{
	const struct gguf_tensor *t = gguf_find_tensor(m->file, name);
	if (!t && optional)
		return HOKKU_OK;
	if (!t)
		return refuse_missing(m, name, err);
	uint64_t rows = dim_size(m, spec, row->rows);
	enum hokku_code rc = check_shape(m, spec, row, name, t, rows, err);
	if (!rc)
		rc = check_format(name, t, err);
	if (!rc)
		*w = slice(m, t, 0, rows);
	return rc;
}

/* The vocabulary is as large as the embedding says; the header and the tokenizer must agree where they speak.
 */
static enum hokku_code read_vocab(struct model *m, struct hokku_error *err)
{
	const struct gguf_tensor *t = gguf_find_tensor(m->file, "token_embd.weight");
	char key[64];
	if (!t)
		return refuse_missing(m, "token_embd.weight", err);
	if (t->dims[1] < 1 || t->dims[1] > MAX_VOCAB)
		FAIL("token_embd.weight has %" PRIu64 " rows; hokku takes a vocabulary of 1 to %d",
		     t->dims[1], MAX_VOCAB);
	m->hp.n_vocab = (uint32_t)t->dims[1];

	uint32_t declared = m->hp.n_vocab;
	bool found;
	snprintf(key, sizeof key, "%s.vocab_size", m->arch_name);
	enum hokku_code rc = gguf_get_u32(m->file, key, &declared, &found, err);
	if (rc)
		return rc;
	if (declared != m->hp.n_vocab)
		FAIL("%s is %u, but token_embd.weight has %u rows", key, declared, m->hp.n_vocab);

	struct gguf_array tokens;
	rc = gguf_get_array(m->file, "tokenizer.ggml.tokens", GGUF_STRING, &tokens, &found, err);
	if (rc)
		return rc;
	if (found && tokens.n != m->hp.n_vocab)
		FAIL("tokenizer.ggml.tokens has %" PRIu64 " entries, but token_embd.weight has %u rows",
		     tokens.n, m->hp.n_vocab);
	return HOKKU_OK;
}

static enum hokku_code bind_model_tensors(struct model *m, struct hokku_error *err)
{
	for (uint32_t i = 0; i < N_MODEL_ROLES; i++) {
		bool optional = i != ROLE_EMBEDDING && i != ROLE_OUTPUT_NORM; /* no output: tied */
		if (i > ROLE_OUTPUT && !(m->arch->may_model & 1u << i))
			continue;
		enum hokku_code rc = bind_one(m, &m->specs[0], &model_roles[i], model_roles[i].name, optional,
					      &m->w[i], err);
		if (rc)
			return rc;
	}
	m->tied = m->w[ROLE_OUTPUT].tensor == NULL;
	if (m->tied)
		m->w[ROLE_OUTPUT] = m->w[ROLE_EMBEDDING];
	return HOKKU_OK;
}

/* How long a role's part of a fused tensor is: rows of a matrix, numbers of a vector. */
static uint64_t part_size(const struct model *m, uint32_t l, enum layer_role role)
{
	const struct role_row *row = &layer_roles[role];
	return dim_size(m, m->layers[l].spec, row->rows == DIM_ONE ? row->cols : row->rows);
}

static enum hokku_code check_fused(const struct model *m, const struct fused_row *f, const char *name,
				   const struct gguf_tensor *t, uint64_t size, struct hokku_error *err)
{
	bool vector = layer_roles[f->roles[0]].rows == DIM_ONE;
	uint64_t cols = vector ? size : m->hp.d_model, rows = vector ? 1 : size;
	char found[96];
	if (t->dims[0] != cols || t->dims[1] != rows || t->dims[2] != 1 || t->dims[3] != 1)
		FAIL("%s has shape %s, the header wants %" PRIu64 " x %" PRIu64
		     " (%u of them, one after another)",
		     name, shape_text(t, found, sizeof found), cols, rows, f->n);
	enum hokku_code rc = check_format(name, t, err);
	if (!rc && vector && format_get(t->type)->block_elements != 1)
		FAIL("%s is stored as %s; hokku cuts vectors of F32, F16 and BF16 alone", name,
		     format_get(t->type)->name);
	return rc;
}

/* Binds the roles of a fused tensor, where the layer has it in place of the roles' own. */
static enum hokku_code bind_fused(struct model *m, const struct fused_row *f, uint32_t l,
				  struct hokku_error *err)
{
	char name[NAME_BYTES];
	struct weight *w = m->layers[l].w;
	if (!((m->arch->must | m->arch->may) >> f->roles[0] & 1))
		return HOKKU_OK;
	snprintf(name, sizeof name, "blk.%u.%s", l, layer_roles[f->roles[0]].name);
	if (gguf_find_tensor(m->file, name))
		return HOKKU_OK;
	snprintf(name, sizeof name, "blk.%u.%s", l, f->name);
	const struct gguf_tensor *t = gguf_find_tensor(m->file, name);
	bool vector = layer_roles[f->roles[0]].rows == DIM_ONE, is_own = false;
	uint64_t size = 0, at = 0;
	for (uint32_t i = 0; i < f->n; i++) {
		uint64_t n = part_size(m, l, f->roles[i]);
		is_own = is_own || (t && strcmp(f->name, layer_roles[f->roles[i]].name) == 0 &&
				    t->dims[vector ? 0 : 1] == n);
		size += n;
	}
	if (!t || is_own) /* "ffn_up" is a name of both kinds */
		return HOKKU_OK;
	enum hokku_code rc = check_fused(m, f, name, t, size, err);
	for (uint32_t i = 0; i < f->n && !rc; i++) {
		uint64_t n = part_size(m, l, f->roles[i]);
		w[f->roles[i]] = vector ? slice_vector(m, t, at, n) : slice(m, t, at, n);
		at += n;
	}
	return rc;
}

static enum hokku_code bind_layer(struct model *m, uint32_t l, struct hokku_error *err)
{
	char name[NAME_BYTES];
	struct layer *layer = &m->layers[l];
	layer->spec = &m->specs[l];
	for (size_t i = 0; i < N_FUSED_ROWS; i++) {
		enum hokku_code rc = bind_fused(m, &fused_rows[i], l, err);
		if (rc)
			return rc;
	}
	for (uint32_t i = 0; i < N_LAYER_ROLES; i++) {
		bool must = m->arch->must >> i & 1, may = m->arch->may >> i & 1;
		if ((!must && !may) || layer->w[i].tensor)
			continue;
		snprintf(name, sizeof name, "blk.%u.%s", l, layer_roles[i].name);
		enum hokku_code rc =
			bind_one(m, layer->spec, &layer_roles[i], name, !must, &layer->w[i], err);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

static enum hokku_code bind_tensors(struct model *m, struct hokku_error *err)
{
	enum hokku_code rc = bind_model_tensors(m, err);
	m->layers = arena_array(&m->arena, m->hp.n_layers, sizeof *m->layers);
	if (!rc && !m->layers)
		rc = err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the table of %u layers",
			     m->hp.n_layers);
	for (uint32_t l = 0; l < m->hp.n_layers && !rc; l++)
		rc = bind_layer(m, l, err);
	return rc;
}

static bool is_bound(const struct model *m, const struct gguf_tensor *t)
{
	for (size_t i = 0; i < N_MODEL_ROLES; i++)
		if (m->w[i].tensor == t)
			return true;
	for (uint32_t l = 0; l < m->hp.n_layers; l++)
		for (size_t i = 0; i < N_LAYER_ROLES; i++)
			if (m->layers[l].w[i].tensor == t)
				return true;
	return false;
}

/* Roles may be slices of one tensor. */
static uint32_t n_tensors(const struct layer *layer)
{
	uint32_t n = 0;
	for (size_t i = 0; i < N_LAYER_ROLES; i++) {
		bool first = layer->w[i].tensor != NULL;
		for (size_t j = 0; j < i && first; j++)
			first = layer->w[j].tensor != layer->w[i].tensor;
		n += first;
	}
	return n;
}

/* A tensor that nothing uses means that the file's model computes something that this architecture does not.
 */
static enum hokku_code refuse_leftovers(const struct model *m, struct hokku_error *err)
{
	uint64_t bound = 0;
	for (size_t i = 0; i < N_MODEL_ROLES; i++)
		bound += m->w[i].tensor && !(m->tied && i == ROLE_OUTPUT);
	for (uint32_t l = 0; l < m->hp.n_layers; l++)
		bound += n_tensors(&m->layers[l]);
	if (gguf_n_tensors(m->file) == bound)
		return HOKKU_OK;
	char quoted[96];
	for (uint64_t i = 0; i < gguf_n_tensors(m->file); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(m->file, i);
		if (!is_bound(m, t))
			FAIL("tensor %s is in the file, but a %s model of %u layers has no such tensor",
			     str_quote(t->name, quoted, sizeof quoted), m->arch_name, m->hp.n_layers);
	}
	return HOKKU_OK;
}

/* Every tensor of the file is bound by now, so the file's sums are the model's. */
static void sum_up(struct model *m)
{
	uint64_t bytes[TENSOR_N_TYPES] = {0}, most = 0;
	for (uint64_t i = 0; i < gguf_n_tensors(m->file); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(m->file, i);
		m->n_params += t->n_elements;
		m->n_weight_bytes += t->n_bytes;
		bytes[t->type] += t->n_bytes;
		if (bytes[t->type] > most) {
			most = bytes[t->type];
			m->format_name = format_get(t->type)->name;
		}
	}
}

static enum hokku_code read_identity(struct model *m, struct hokku_error *err)
{
	struct str arch = {0}, type = STR_LIT("model"), name = {0};
	char quoted[96], known[256];
	bool found;
	enum hokku_code rc = gguf_get_str(m->file, "general.architecture", &arch, NULL, err);
	if (!rc)
		rc = gguf_get_str(m->file, "general.type", &type, &found, err);
	if (!rc)
		rc = gguf_get_str(m->file, "general.name", &name, &found, err);
	if (rc)
		return rc;
	if (!str_eq_c(type, "model"))
		FAIL("general.type is %s; hokku runs \"model\" files",
		     str_quote(type, quoted, sizeof quoted));
	m->arch = arch_get(arch);
	m->arch_name = m->arch ? m->arch->name : NULL;
	if (!m->arch)
		FAIL("general.architecture is %s; hokku knows %s", str_quote(arch, quoted, sizeof quoted),
		     refuse_join(arch_names(), known, sizeof known));

	if (gguf_n_tensors(m->file) == 0)
		FAIL("the file has no tensors: it holds no model");
	if (!name.len)
		name = str_c(file_base_name(gguf_path(m->file)));
	char *plain = arena_strdup(&m->arena, name.ptr, name.len);
	if (!plain)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the model's name");
	str_make_plain(plain, name.len); /* it is shown on terminals, and is an id in answers */
	m->name = plain;
	return HOKKU_OK;
}

enum hokku_code model_bind(struct model *m, const struct gguf *g, struct hokku_error *err)
{
	*m = (struct model){.file = g, .arena = {.chunk_bytes = 4096}};
	enum hokku_code rc = file_kind_check(g, err);
	if (rc) {
		model_unbind(m);
		return rc;
	}
	rc = read_identity(m, err);
	if (!rc)
		rc = arch_read(m, err);
	if (!rc)
		rc = read_vocab(m, err);
	if (!rc)
		rc = bind_tensors(m, err);
	if (!rc)
		rc = refuse_leftovers(m, err);
	if (!rc)
		rc = rope_prepare(m, err);
	if (rc) {
		model_unbind(m);
		/* The reader calls a missing key BAD_FILE and has named the file already; here it is a model
		 * that cannot be served, like all the rest. */
		if (rc == HOKKU_BAD_FILE && err)
			err->code = HOKKU_MODEL_LOAD_FAILED;
		if (rc == HOKKU_BAD_FILE)
			return HOKKU_MODEL_LOAD_FAILED;
		if (rc == HOKKU_IO_ERROR) /* named as well */
			return rc;
		return err_prefix(err, rc, "%s", gguf_path(g));
	}
	sum_up(m);
	return HOKKU_OK;
}

void model_unbind(struct model *m)
{
	arena_free(&m->arena);
	*m = (struct model){0};
}
