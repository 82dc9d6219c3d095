#include "compute/cuda/decode/decode.h"

#include <stdlib.h>
#include <string.h>

#include "compute/cuda/decode/decode_plan.h"

enum {
	SHARED_BYTES = 227 << 10, /* that a block of compute capability 9.0 may have */
	PLAIN_HD = 128,           /* heads up to which kernels of models that are not rich are for */
	RICH_HD = 256,
};

static uint32_t most(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* clang-format off */
#define PLAIN_ROLES                                                                                         \
	(SPEC_PLAIN_ROLES | ROLE_BIT(BQ) | ROLE_BIT(BK) | ROLE_BIT(BV) | ROLE_BIT(Q_NORM) | ROLE_BIT(K_NORM))
/* clang-format on */

/* What kernels of models that are not rich carry out, and what those of rich ones do. */
static const struct spec_support plain_can = {
	.must = SPEC_PLAIN_ROLES,
	.roles = PLAIN_ROLES,
	.features = FEATURE_BIT(QK_NORM_HEAD),
};
static const struct spec_support rich_can = {
	.must = SPEC_PLAIN_ROLES & ~(ROLE_BIT(ATTN_NORM) | ROLE_BIT(FFN_NORM)),
	.roles = PLAIN_ROLES | ROLE_BIT(ATTN_POST_NORM) | ROLE_BIT(FFN_POST_NORM),
	.features =
		SPEC_ALL_FEATURES & ~(SPEC_OTHER_SHAPES | FEATURE_BIT(QK_NORM_WIDTH) | FEATURE_BIT(UNGATED)),
};

static bool is_rich(const struct model *m)
{
	char lacks[MODEL_SUPPORT_TEXT];
	return model_unsupported(m, &plain_can, lacks) || tile_hd(m->hp.head_dim) > PLAIN_HD;
}

/* The kernel takes what layers may differ in from struct decode_layer; all else is of the model. */
static bool is_uniform(const struct model *m)
{
	const struct layer_spec *first = m->layers[0].spec;
	for (uint32_t i = 1; i < m->n_ropes; i++)
		if (m->ropes[i].kind != m->ropes[0].kind || m->ropes[i].n_dims != m->ropes[0].n_dims)
			return false;
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		const struct layer_spec *s = m->layers[l].spec;
		if (s->attn.scale != first->attn.scale || s->attn.temperature != first->attn.temperature ||
		    s->attn.temperature_every != first->attn.temperature_every ||
		    s->ffn.act != first->ffn.act || s->norm_eps != m->hp.norm_eps ||
		    s->attn.qk_norm != first->attn.qk_norm)
			return false;
	}
	return true;
}

/* The kernel passes four words at a time, and takes a group of heads as the columns of one product or two. */
const char *decode_lacks(const struct cuda *c, char out[MODEL_SUPPORT_TEXT])
{
	const struct model *m = c->model;
	const struct hparams *hp = &m->hp;
	uint32_t hd = tile_hd(hp->head_dim);
	bool head_norms = m->layers[0].spec->attn.qk_norm == QK_NORM_HEAD;
	bool whole = hp->d_model % 8 == 0 && c->q_dim % 8 == 0 && c->kv_dim % 8 == 0 && hp->d_ff % 8 == 0;
	const struct {
		bool lacks;
		const char *what;
	} cases[] = {
		{!is_uniform(m), "layers that differ in scale, temperature, act or pairs of rope"},
		{head_norms && !head_norm_fits(hp->head_dim),
		 "qk_norm of heads other than 32, 64, 128 or 256"},
		{c->cache.k == CACHE_Q8_0, "cache type q8_0"},
		{!whole, "widths that are no multiple of 8"},
		{hp->head_dim % 4 || (hd > PLAIN_HD && hd != RICH_HD), "head_dim"},
		{hp->n_heads / hp->n_kv_heads > DECODE_MAX_GROUP, "more than 16 heads on a KV head"},
	};
	if (model_unsupported(m, &rich_can, out))
		return out;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (cases[i].lacks)
			return cases[i].what;
	return NULL;
}

static void list_matrices(const struct cuda *c, struct decode_handle *d)
{
	const struct tile_handle *h = tile_of(c);
	uint32_t n_layers = c->model->hp.n_layers;
	for (uint32_t l = 0; l < n_layers; l++) {
		const struct tile_layer *w = &h->layers[l];
		const struct layer_spec *spec = c->model->layers[l].spec;
		struct tile_matrix *to = d->matrices + (size_t)l * DECODE_N_ROLES;
		to[DECODE_Q] = w->m[ROLE_WQ];
		to[DECODE_K] = w->m[ROLE_WK];
		to[DECODE_V] = w->m[ROLE_WV];
		to[DECODE_O] = w->m[ROLE_WO];
		to[DECODE_GATE] = w->m[ROLE_W_GATE];
		to[DECODE_UP] = w->m[ROLE_W_UP];
		to[DECODE_DOWN] = w->m[ROLE_W_DOWN];
		d->layers[l] = (struct decode_layer){
			.attn_norm = w->v[ROLE_ATTN_NORM],
			.ffn_norm = w->v[ROLE_FFN_NORM],
			.bias = {w->v[ROLE_BQ], w->v[ROLE_BK], w->v[ROLE_BV]},
			.qk_norm = {w->v[ROLE_Q_NORM], w->v[ROLE_K_NORM]},
			.post_norm = {w->v[ROLE_ATTN_POST_NORM], w->v[ROLE_FFN_POST_NORM]},
			.residual_scale = spec->residual_scale,
			.soft_cap = spec->attn.soft_cap,
			.window = spec->attn.window,
			.table = spec->kv_group * c->tables_pitch,
			.kv_place = spec->kv_place,
			.rope = spec->attn.rope ? (uint32_t)(spec->attn.rope - c->model->ropes)
						: DECODE_STILL,
		};
	}
	d->matrices[n_layers * DECODE_N_ROLES] = h->output;
	d->args.formats = 0;
	for (size_t i = 0; i <= (size_t)n_layers * DECODE_N_ROLES; i++)
		d->args.formats |= 1u << d->matrices[i].format;
}

static struct decode_args describe(const struct cuda *c)
{
	const struct model *m = c->model;
	const struct hparams *hp = &m->hp;
	const struct attn_spec *attn = &m->layers[0].spec->attn;
	const struct tile_handle *h = tile_of(c);
	uint32_t k_max = most(most(hp->d_model, c->q_dim), hp->d_ff);
	uint32_t qkv = c->q_dim + 2 * c->kv_dim, per_layer = qkv + c->q_dim + 2 * hp->d_model + hp->d_ff;
	struct decode_args a = {
		.n_layers = hp->n_layers,
		.d_model = hp->d_model,
		.q_dim = c->q_dim,
		.kv_dim = c->kv_dim,
		.d_ff = hp->d_ff,
		.n_vocab = hp->n_vocab,
		.n_heads = hp->n_heads,
		.n_kv_heads = hp->n_kv_heads,
		.head_dim = hp->head_dim,
		.hd = tile_hd(hp->head_dim),
		.group = hp->n_heads / hp->n_kv_heads,
		.group_rows = hp->n_heads / hp->n_kv_heads > 8 ? 16 : 8,
		.quarter_inverse = (1u << 18) / (hp->head_dim / 4) + 1,
		.planes = h->planes,
		.neox = m->ropes[0].kind == ROPE_NEOX,
		.rich = is_rich(m),
		.n_ropes = m->n_ropes,
		.n_turns = is_rich(m) ? DECODE_ROPES + 1 : 1,
		.n_dims = m->ropes[0].n_dims,
		.factor = {m->ropes[0].attn_factor, m->ropes[1].attn_factor},
		.embedding_scale = m->embedding_scale,
		.logit_scale = m->logit_scale,
		.logit_cap = m->logit_cap,
		.act = m->layers[0].spec->ffn.act,
		.temperature = attn->temperature,
		.every = attn->temperature != 0 ? attn->temperature_every : 0,
		.inverse_head = 1.0f / (float)c->model->hp.head_dim,
		.any_mins = h->any_mins,
		.inverse_d = 1.0f / (float)hp->d_model,
		.eps = hp->norm_eps,
		.scale = attn->scale,
		.at = {0, qkv, qkv + c->q_dim, qkv + c->q_dim + hp->d_model,
		       qkv + c->q_dim + hp->d_model + hp->d_ff, per_layer},
		.n_split_max = (c->n_ctx + CUDA_ATTN_SPLIT - 1) / CUDA_ATTN_SPLIT,
		.k_max = (k_max + 31) / 32 * 32,
		.seq_words = hp->n_layers * per_layer,
	};
	return a;
}

/* Stints of all blocks, each as many as the longest list; what is left of a list is never reached. */
static bool list_stints(const struct cuda *c, struct decode_handle *d)
{
	uint32_t n_layers = c->model->hp.n_layers, n = 0;
	bool few = d->args.most_seqs != 0;
	for (uint32_t b = 0; b < d->grid; b++)
		n = most(n, decode_plan_stints(d->matrices, n_layers, d->args.planes, few, b, d->grid, NULL));
	d->args.n_stints = n;
	d->stints = n ? calloc((size_t)d->grid * n, sizeof *d->stints) : NULL;
	for (uint32_t b = 0; b < d->grid && d->stints; b++)
		decode_plan_stints(d->matrices, n_layers, d->args.planes, few, b, d->grid,
				   d->stints + (size_t)b * n);
	return d->stints != NULL;
}

static enum hokku_code no_memory(struct hokku_error *err)
{
	return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the decode kernel's tables");
}

static uint64_t n_table_words(const struct cuda *c)
{
	return (uint64_t)c->model->n_kv_groups * c->tables_pitch;
}

/* How many sequences a launch may take; below two: steps of several go to tile/. HOKKU_CUDA_FEW=N in the
 * environment says N or fewer. */
static uint32_t most_seqs(const struct cuda *c)
{
	const char *wanted = getenv("HOKKU_CUDA_FEW");
	uint32_t most = tile_of(c)->planes == 2 ? DECODE_SEQS_FULL : DECODE_SEQS_HALF;
	most = most < c->n_seqs ? most : c->n_seqs;
	most = most < c->n_batch ? most : c->n_batch;
	unsigned long n = wanted ? strtoul(wanted, NULL, 10) : most;
	return n < most ? (uint32_t)n : most;
}

static enum hokku_code fill(const struct cuda *c, struct decode_handle *d, bool few, struct hokku_error *err)
{
	uint32_t n_layers = c->model->hp.n_layers;
	d->matrices = calloc((size_t)n_layers * DECODE_N_ROLES + 1, sizeof *d->matrices);
	d->layers = calloc(n_layers, sizeof *d->layers);
	d->table_sent = calloc(n_table_words(c), sizeof *d->table_sent);
	if (!d->matrices || !d->layers || !d->table_sent)
		return no_memory(err);
	d->grid = tile_of(c)->n_together;
	d->args = describe(c);
	d->args.most_seqs = few ? most_seqs(c) : 0;
	d->args.merge_log = decode_merge_log(d->args.n_heads, d->args.head_dim, d->grid);
	list_matrices(c, d);
	if (!list_stints(c, d))
		return no_memory(err);
	d->words_bytes = (uint64_t)d->args.seq_words * decode_kernel_seqs(&d->args) * sizeof(uint32_t);
	d->tagged_bytes = decode_tagged_bytes(&d->args, d->grid);
	return HOKKU_OK;
}

/* Of several sequences: as many as there is room for, two at least. */
static bool plan_shared(struct decode_handle *d)
{
	while (!decode_plan_shared(&d->args, SHARED_BYTES, &d->shared_bytes))
		if (d->args.most_seqs-- <= 2)
			return false;
	return true;
}

enum hokku_code decode_create(const struct cuda *c, bool few, struct decode_handle **out,
			      struct hokku_error *err)
{
	*out = NULL;
	char lacks[MODEL_SUPPORT_TEXT];
	if (decode_lacks(c, lacks) || (few && most_seqs(c) < 2))
		return HOKKU_OK;
	struct decode_handle *d = calloc(1, sizeof *d);
	enum hokku_code rc = d ? fill(c, d, few, err) : no_memory(err);
	if (!rc && decode_has_kernel(&d->args) && plan_shared(d))
		*out = d;
	else
		decode_destroy(d);
	return rc;
}

void decode_destroy(struct decode_handle *d)
{
	if (!d)
		return;
	free(d->matrices);
	free(d->layers);
	free(d->stints);
	free(d->table_sent);
	free(d);
}

void decode_take(const struct cuda *c, struct decode_handle *d, struct cuda_taker *t)
{
	uint32_t n_layers = c->model->hp.n_layers;
	d->device.matrices = cuda_take(t, LEDGER_SCRATCH, (uint64_t)n_layers * DECODE_N_ROLES + 1,
				       sizeof(struct decode_matrix), "scratch");
	d->device.layers = cuda_take(t, LEDGER_SCRATCH, n_layers, sizeof *d->layers, "scratch");
	d->device.stints = cuda_take(t, LEDGER_SCRATCH, (uint64_t)d->grid * d->args.n_stints,
				     sizeof *d->stints, "scratch");
	for (int i = 0; i < 2; i++)
		d->words[i] = cuda_take(t, LEDGER_SCRATCH, d->words_bytes, 1, "scratch");
	d->args.tagged = cuda_take(t, LEDGER_SCRATCH, d->tagged_bytes, 1, "scratch");
	d->table = cuda_take(t, LEDGER_SCRATCH, n_table_words(c), sizeof *d->table, "scratch");
}

static enum hokku_code send(struct cuda *c, void *to, const void *from, uint64_t bytes,
			    struct hokku_error *err)
{
	CUDA_TRY(&c->device, err, cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, c->stream));
	return HOKKU_OK;
}

static enum hokku_code send_matrices(struct cuda *c, struct decode_handle *d, struct hokku_error *err)
{
	size_t n = (size_t)c->model->hp.n_layers * DECODE_N_ROLES + 1;
	struct decode_matrix *m = malloc(n * sizeof *m);
	if (!m)
		return no_memory(err);
	list_matrices(c, d); /* now with their places */
	for (size_t i = 0; i < n; i++)
		m[i] = decode_plan_matrix(&d->matrices[i], d->args.most_seqs != 0);
	enum hokku_code rc = send(c, d->device.matrices, m, n * sizeof *m, err);
	cudaError_t e = cudaStreamSynchronize(c->stream);
	free(m);
	return rc ? rc : cuda_check(&c->device, e, "cudaStreamSynchronize", err);
}

/* HALF: whether a scale is too large for the short way to weights. The word of a drawn token, which
 * nobody needs yet, serves. */
static enum hokku_code find_wide(struct cuda *c, struct decode_handle *d, struct hokku_error *err)
{
	size_t n = tile_of(c)->planes == 1 ? (size_t)c->model->hp.n_layers * DECODE_N_ROLES + 1 : 0;
	uint32_t *any = (uint32_t *)c->drawn;
	CUDA_TRY(&c->device, err, cudaMemsetAsync(any, 0, sizeof *any, c->stream));
	for (size_t i = 0; i < n; i++)
		CUDA_TRY(&c->device, err, tile_find_wide(&d->matrices[i], any, c->stream));
	CUDA_TRY(&c->device, err,
		 cudaMemcpyAsync(&d->args.wide, any, sizeof *any, cudaMemcpyDeviceToHost, c->stream));
	CUDA_TRY(&c->device, err, cudaStreamSynchronize(c->stream));
	return HOKKU_OK;
}

enum hokku_code decode_prepare(struct cuda *c, struct decode_handle *d, struct hokku_error *err)
{
	const struct tile_handle *h = tile_of(c);
	uint64_t n_layers = c->model->hp.n_layers;
	enum hokku_code rc = send_matrices(c, d, err);
	if (!rc)
		rc = find_wide(c, d, err);
	if (!rc)
		rc = send(c, d->device.layers, d->layers, n_layers * sizeof *d->layers, err);
	if (!rc)
		rc = send(c, d->device.stints, d->stints,
			  (uint64_t)d->grid * d->args.n_stints * sizeof *d->stints, err);
	if (rc)
		return rc;
	for (int i = 0; i < 2; i++)
		CUDA_TRY(&c->device, err, cudaMemsetAsync(d->words[i], 0xFF, d->words_bytes, c->stream));
	CUDA_TRY(&c->device, err, cudaMemsetAsync(d->args.tagged, 0, d->tagged_bytes, c->stream));
	CUDA_TRY(&c->device, err,
		 cudaMemsetAsync(d->table, 0, n_table_words(c) * sizeof *d->table, c->stream));
	CUDA_TRY(&c->device, err, cudaStreamSynchronize(c->stream));
	d->args.table = d->table;
	d->args.matrices = d->device.matrices;
	d->args.layers = d->device.layers;
	d->args.stints = d->device.stints;
	d->args.output_norm = h->output_norm;
	for (uint32_t i = 0; i < c->model->n_ropes; i++)
		d->args.frequency[i] = h->rope_frequency[i];
	d->args.embedding = h->embedding;
	d->args.kv = c->kv;
	d->args.kv_layer_bytes = c->kv_layer_bytes;
	d->args.logits = c->logits;
	return HOKKU_OK;
}

bool decode_is_greedy(const struct cuda_draw *draw)
{
	return draw->temperature == 0 && draw->n_bias == 0 && draw->n_history == 0 &&
	       draw->mask == CUDA_NOTHING;
}

/* Counts the launch. Before tags would come twice, all that are there are emptied, on the stream between two
 * launches; even and odd launches take shifts across it, as the sets of words do. */
static enum hokku_code count_launch(struct cuda *c, struct decode_handle *d, struct hokku_error *err)
{
	if (d->args.launch >= decode_last_launch(d->args.n_layers)) {
		CUDA_TRY(&c->device, err, cudaMemsetAsync(d->args.tagged, 0, d->tagged_bytes, c->stream));
		d->args.launch &= 1;
	}
	d->args.launch++;
	d->args.now = d->words[d->args.launch & 1];
	d->args.other = d->words[~d->args.launch & 1];
	return HOKKU_OK;
}

/* Of several sequences: a launch empties the other set's words of its own sequences alone. Where there are
 * more of them than in the one before, words of old are left in the set that it is to fill. */
static enum hokku_code empty_words(struct cuda *c, struct decode_handle *d, struct hokku_error *err)
{
	uint32_t now = d->args.launch & 1, n = d->args.n_seqs;
	if (d->args.most_seqs == 0)
		return HOKKU_OK;
	if (d->filled[now])
		CUDA_TRY(&c->device, err,
			 cudaMemsetAsync(d->args.now, 0xFF,
					 (uint64_t)d->filled[now] * d->args.seq_words * sizeof(uint32_t),
					 c->stream));
	d->filled[now] = n;
	if (d->filled[1 - now] <= n)
		d->filled[1 - now] = 0;
	return HOKKU_OK;
}

enum hokku_code decode_launch(struct cuda *c, struct decode_handle *d, struct hokku_error *err)
{
	enum hokku_code rc = count_launch(c, d, err);
	if (!rc)
		rc = empty_words(c, d, err);
	if (rc)
		return rc;
	cudaError_t e = decode_start(&d->args, d->grid, d->shared_bytes, c->stream);
	return cuda_check(&c->device, e, "decode_start", err);
}

/* What of a KV group's table is not there yet: a word every 32 tokens, mostly. */
static enum hokku_code send_table(struct cuda *c, struct decode_handle *d, uint32_t group,
				  struct hokku_error *err)
{
	const struct cuda_token *token = &c->input.tokens[0];
	const uint32_t *table = c->input.words + token->table + (uint64_t)group * c->input.tables_pitch;
	uint32_t *sent = d->table_sent + (uint64_t)group * c->tables_pitch;
	uint32_t n = token->pos / CUDA_KV_BLOCK + 1, i = 0;
	while (i < n && table[i] == sent[i])
		i++;
	if (i == n)
		return HOKKU_OK;
	memcpy(sent + i, table + i, (n - i) * sizeof *table);
	return send(c, d->table + (sent - d->table_sent) + i, table + i, (n - i) * sizeof *table, err);
}

enum hokku_code decode_run(struct cuda *c, struct decode_handle *d, struct hokku_error *err)
{
	const struct cuda_input *in = &c->input;
	const struct cuda_token *token = &in->tokens[0];
	for (uint32_t g = 0; g < c->model->n_kv_groups; g++) {
		enum hokku_code rc = send_table(c, d, g, err);
		if (rc)
			return rc;
	}
	d->args.pos = token->pos;
	d->args.token = token->id;
	d->args.fed = token->id < 0 ? &c->drawn[-1 - token->id].token : NULL;
	d->args.greedy = in->n_draws == 1 && decode_is_greedy(&in->draws[0]);
	d->args.drawn = c->drawn;
	c->is_drawn = d->args.greedy;
	return decode_launch(c, d, err);
}

bool decode_takes_together(const struct cuda *c, const struct decode_handle *d)
{
	const struct cuda_input *in = &c->input;
	if (!d || in->n_tokens < 2 || in->n_tokens > d->args.most_seqs)
		return false;
	for (uint32_t i = 1; i < in->n_tokens; i++) /* of one sequence they are neighbours */
		if (in->tokens[i].table == in->tokens[i - 1].table)
			return false;
	return true;
}

static struct decode_seq seq_of(struct cuda *c, uint32_t i)
{
	const struct cuda_input *in = &c->input;
	const struct cuda_token *token = &in->tokens[i];
	struct decode_seq seq = {
		.pos = token->pos,
		.token = token->id,
		.fed = token->id < 0 ? &cuda_tokens(c)[i].id : NULL, /* of the step before, already */
		.table = cuda_words(c) + token->table,
		.drawn = c->drawn + i,
	};
	for (uint32_t r = 0; r < in->n_rows; r++)
		if (in->rows[r] == i)
			seq.logits = c->logits + (uint64_t)r * c->vocab_pitch;
	return seq;
}

enum hokku_code decode_run_together(struct cuda *c, struct decode_handle *d, struct hokku_error *err)
{
	const struct cuda_input *in = &c->input;
	uint32_t n = in->n_tokens;
	bool greedy = in->n_draws == n;
	for (uint32_t i = 0; i < in->n_draws; i++)
		greedy = greedy && decode_is_greedy(&in->draws[i]);
	d->args.greedy = greedy;
	c->is_drawn = greedy;
	for (uint32_t i = 0; i < n; i++)
		d->args.seqs[i] = seq_of(c, i);
	d->args.n_seqs = n;
	return decode_launch(c, d, err);
}
