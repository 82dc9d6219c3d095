/*
 * From an open file to a struct model. Two tables say which tensors an architecture has and what shape each
 * must have; a tensor that is missing, has another shape, is stored in a format without kernels, or is not in
 * the tables at all (it would mean a computation that hokku does not do) is an error that names it.
 */
#include <inttypes.h>
#include <stdio.h>

#include "model/hparams.h"
#include "model/model.h"

#define FAIL(...) return err_set(err, HOKKU_MODEL_LOAD_FAILED, __VA_ARGS__)

enum { NAME_BYTES = 64, MAX_VOCAB = 1 << 22 };

/* What a tensor is as long as. */
enum dim { DIM_ONE, DIM_MODEL, DIM_Q, DIM_KV, DIM_FF, DIM_VOCAB };

struct tensor_row {
	const char *name;    /* without "blk.N." in the layers' table */
	size_t field;        /* offset of the struct weight */
	enum dim cols, rows; /* rows DIM_ONE: a vector */
	bool bias;           /* only where the architecture has biases on q, k and v */
};

static const struct tensor_row layer_tensors[] = {
	{"attn_norm.weight", offsetof(struct layer, attn_norm), DIM_MODEL, DIM_ONE, false},
	{"attn_q.weight", offsetof(struct layer, wq), DIM_MODEL, DIM_Q, false},
	{"attn_q.bias", offsetof(struct layer, bq), DIM_Q, DIM_ONE, true},
	{"attn_k.weight", offsetof(struct layer, wk), DIM_MODEL, DIM_KV, false},
	{"attn_k.bias", offsetof(struct layer, bk), DIM_KV, DIM_ONE, true},
	{"attn_v.weight", offsetof(struct layer, wv), DIM_MODEL, DIM_KV, false},
	{"attn_v.bias", offsetof(struct layer, bv), DIM_KV, DIM_ONE, true},
	{"attn_output.weight", offsetof(struct layer, wo), DIM_Q, DIM_MODEL, false},
	{"ffn_norm.weight", offsetof(struct layer, ffn_norm), DIM_MODEL, DIM_ONE, false},
	{"ffn_gate.weight", offsetof(struct layer, w_gate), DIM_MODEL, DIM_FF, false},
	{"ffn_up.weight", offsetof(struct layer, w_up), DIM_MODEL, DIM_FF, false},
	{"ffn_down.weight", offsetof(struct layer, w_down), DIM_FF, DIM_MODEL, false},
};

static const struct tensor_row model_tensors[] = {
	{"token_embd.weight", offsetof(struct model, embedding), DIM_MODEL, DIM_VOCAB, false},
	{"output_norm.weight", offsetof(struct model, output_norm), DIM_MODEL, DIM_ONE, false},
	{"output.weight", offsetof(struct model, output), DIM_MODEL, DIM_VOCAB, false}, /* absent: tied */
};

enum {
	N_LAYER_TENSORS = sizeof layer_tensors / sizeof layer_tensors[0],
	N_MODEL_TENSORS = sizeof model_tensors / sizeof model_tensors[0],
};

static uint64_t dim_size(const struct hparams *hp, enum dim d)
{
	switch (d) {
	case DIM_MODEL:
		return hp->d_model;
	case DIM_Q:
		return (uint64_t)hp->n_heads * hp->head_dim;
	case DIM_KV:
		return (uint64_t)hp->n_kv_heads * hp->head_dim;
	case DIM_FF:
		return hp->d_ff;
	case DIM_VOCAB:
		return hp->n_vocab;
	case DIM_ONE:
		break;
	}
	return 1;
}

/* Where a size comes from, for messages: "qwen2.attention.head_count_kv 2 x head dim 64". */
static const char *dim_origin(const struct model *m, enum dim d, char *out, size_t size)
{
	const struct hparams *hp = &m->hp;
	const char *arch = m->arch->name;
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

/* "alpha, beta, gamma" */
static const char *join(const char *const *list, char *out, size_t size)
{
	size_t used = 0;
	out[0] = '\0';
	for (size_t i = 0; list[i] && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "", list[i]);
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

static enum hokku_code check_shape(const struct model *m, const struct tensor_row *row, const char *name,
				   const struct gguf_tensor *t, struct hokku_error *err)
{
	uint64_t cols = dim_size(&m->hp, row->cols), rows = dim_size(&m->hp, row->rows);
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

/* Fills the weight of one table row. An absent tensor leaves it zero when `optional`. */
static enum hokku_code bind_one(const struct model *m, const struct tensor_row *row, const char *name,
				bool optional, struct weight *w, struct hokku_error *err)
{
	const struct gguf_tensor *t = gguf_find_tensor(m->file, name);
	char known[160];
	if (!t && optional)
		return HOKKU_OK;
	if (!t)
		FAIL("tensor %s is missing; every %s model has it", name, m->arch->name);
	enum hokku_code rc = check_shape(m, row, name, t, err);
	if (rc)
		return rc;
	const struct format *fmt = format_get(t->type);
	const struct tensor_type_info *info = tensor_type_get(t->type);
	if (!fmt)
		FAIL("%s is stored as %s, which hokku cannot compute with; it knows %s", name,
		     info ? info->name : "an unknown type", join(format_names(), known, sizeof known));
	if (t->dims[0] % fmt->block_elements)
		FAIL("%s is stored as %s, whose blocks hold %u elements; its rows of %" PRIu64
		     " are no whole blocks",
		     name, fmt->name, fmt->block_elements, t->dims[0]);
	*w = (struct weight){
		.tensor = t,
		.fmt = fmt,
		.data = t->data,
		.rows = (uint32_t)t->dims[1],
		.cols = (uint32_t)t->dims[0],
		.row_bytes = t->dims[0] / fmt->block_elements * fmt->block_bytes,
	};
	return HOKKU_OK;
}

/* The vocabulary is as large as the embedding says; the header and the tokenizer must agree where they speak.
 */
static enum hokku_code read_vocab(struct model *m, struct hokku_error *err)
{
	const struct gguf_tensor *t = gguf_find_tensor(m->file, "token_embd.weight");
	char key[64];
	if (!t)
		FAIL("tensor token_embd.weight is missing; every %s model has it", m->arch->name);
	if (t->dims[1] < 1 || t->dims[1] > MAX_VOCAB)
		FAIL("token_embd.weight has %" PRIu64 " rows; hokku takes a vocabulary of 1 to %d",
		     t->dims[1], MAX_VOCAB);
	m->hp.n_vocab = (uint32_t)t->dims[1];

	uint32_t declared = m->hp.n_vocab;
	bool found;
	snprintf(key, sizeof key, "%s.vocab_size", m->arch->name);
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

static enum hokku_code bind_tensors(struct model *m, struct hokku_error *err)
{
	char name[NAME_BYTES];
	for (size_t i = 0; i < N_MODEL_TENSORS; i++) {
		const struct tensor_row *row = &model_tensors[i];
		bool optional = row->field == offsetof(struct model, output);
		struct weight *w = (struct weight *)((char *)m + row->field);
		enum hokku_code rc = bind_one(m, row, row->name, optional, w, err);
		if (rc)
			return rc;
	}
	m->tied = m->output.tensor == NULL;
	if (m->tied)
		m->output = m->embedding;

	m->layers = arena_array(&m->arena, m->hp.n_layers, sizeof *m->layers);
	if (!m->layers)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the table of %u layers",
			       m->hp.n_layers);
	for (uint32_t l = 0; l < m->hp.n_layers; l++)
		for (size_t i = 0; i < N_LAYER_TENSORS; i++) {
			const struct tensor_row *row = &layer_tensors[i];
			if (row->bias && !m->arch->qkv_bias)
				continue;
			snprintf(name, sizeof name, "blk.%u.%s", l, row->name);
			struct weight *w = (struct weight *)((char *)&m->layers[l] + row->field);
			enum hokku_code rc = bind_one(m, row, name, false, w, err);
			if (rc)
				return rc;
		}
	return HOKKU_OK;
}

static bool is_bound(const struct model *m, const struct gguf_tensor *t)
{
	for (size_t i = 0; i < N_MODEL_TENSORS; i++)
		if (((const struct weight *)((const char *)m + model_tensors[i].field))->tensor == t)
			return true;
	for (uint32_t l = 0; l < m->hp.n_layers; l++)
		for (size_t i = 0; i < N_LAYER_TENSORS; i++)
			if (((const struct weight *)((const char *)&m->layers[l] + layer_tensors[i].field))
				    ->tensor == t)
				return true;
	return false;
}

/* A tensor that nothing uses means that the file's model computes something that this architecture does not.
 */
static enum hokku_code refuse_leftovers(const struct model *m, struct hokku_error *err)
{
	uint64_t per_layer = 0;
	for (size_t i = 0; i < N_LAYER_TENSORS; i++)
		per_layer += !layer_tensors[i].bias || m->arch->qkv_bias;
	uint64_t bound = N_MODEL_TENSORS - m->tied + per_layer * m->hp.n_layers;
	if (gguf_n_tensors(m->file) == bound)
		return HOKKU_OK;
	char quoted[96];
	for (uint64_t i = 0; i < gguf_n_tensors(m->file); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(m->file, i);
		if (!is_bound(m, t))
			FAIL("tensor %s is in the file, but a %s model of %u layers has no such tensor",
			     str_quote(t->name, quoted, sizeof quoted), m->arch->name, m->hp.n_layers);
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
	if (!m->arch)
		FAIL("general.architecture is %s; hokku knows %s", str_quote(arch, quoted, sizeof quoted),
		     join(arch_names(), known, sizeof known));

	if (gguf_n_tensors(m->file) == 0)
		FAIL("the file has no tensors: it holds a vocabulary, not a model");
	uint32_t parts = 1, part = 0;
	rc = gguf_get_u32(m->file, "split.count", &parts, &found, err);
	if (!rc)
		rc = gguf_get_u32(m->file, "split.no", &part, &found, err);
	if (rc)
		return rc;
	if (parts > 1)
		FAIL("split.count is %u: this is part %u of a model cut into files; hokku takes a model in "
		     "one file",
		     parts, part + 1);

	if (!name.len) {
		const char *path = gguf_path(m->file), *slash = strrchr(path, '/');
		name = str_c(slash ? slash + 1 : path);
	}
	m->name = arena_strdup(&m->arena, name.ptr, name.len);
	if (!m->name)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the model's name");
	return HOKKU_OK;
}

enum hokku_code model_bind(struct model *m, const struct gguf *g, struct hokku_error *err)
{
	*m = (struct model){.file = g, .arena = {.chunk_bytes = 4096}};
	enum hokku_code rc = read_identity(m, err);
	if (!rc)
		rc = hparams_read(&m->hp, m->arch, g, err);
	if (!rc)
		rc = read_vocab(m, err);
	if (!rc)
		rc = bind_tensors(m, err);
	if (!rc)
		rc = refuse_leftovers(m, err);
	if (rc) {
		model_unbind(m);
		/* The reader calls a missing key BAD_FILE and has named the file already; here it is a model
		 * that cannot be served, like all the rest. */
		if (rc == HOKKU_BAD_FILE && err)
			err->code = HOKKU_MODEL_LOAD_FAILED;
		if (rc == HOKKU_BAD_FILE)
			return HOKKU_MODEL_LOAD_FAILED;
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
