/*
 * The architecture table, and how a file's keys become hyperparameters and specs. An architecture that
 * differs from the plainest layer has a function here that says in what; everything else follows from the
 * specs.
 */
#include "model/arch.h"

#include <math.h>

#include "model/rope.h"

/* ---- what an architecture does otherwise than the plainest layer ---- */

#define EACH_LAYER(m, s) for (struct layer_spec *s = (m)->specs; s < (m)->specs + (m)->hp.n_layers; s++)

static void read_plain(struct keys *k, struct model *m)
{
	(void)k;
	(void)m;
}

/* In which layers does a window of tokens hide the rest? The file's list of booleans, or its period; without
 * either the architecture's own: of `period` layers the last sees all. */
static bool is_windowed(struct keys *k, const struct model *m, uint32_t period, uint32_t layer)
{
	char name[KEY_BYTES];
	const struct gguf_value *v =
		gguf_find(k->file, keys_name(k, "attention.sliding_window_pattern", name));
	if (!v || v->type != GGUF_ARRAY) {
		period = keys_u32_or(k, "attention.sliding_window_pattern", 1, 1024, period);
		return layer % period < period - 1;
	}
	keys_ask(k, "attention.sliding_window_pattern");
	if (v->array.type != GGUF_BOOL || v->array.n != m->hp.n_layers) {
		keys_fail(k, "%s is an array of %llu %s; hokku takes one bool for each of the %u layers",
			  name, (unsigned long long)v->array.n, gguf_type_name(v->array.type),
			  m->hp.n_layers);
		return false;
	}
	return v->array.data[layer] != 0;
}

/* A window on the layers that have one; period 1: none has, 0: all have. */
static void set_windows(struct keys *k, struct model *m, uint32_t window, uint32_t period)
{
	for (uint32_t l = 0; l < m->hp.n_layers && window; l++)
		if (period == 0 || is_windowed(k, m, period, l))
			m->specs[l].attn.window = window;
}

/* A second RoPE for the layers that have a window: another base, no scaling. */
static void set_window_rope(struct model *m, float base)
{
	m->ropes[1] = (struct rope){.kind = m->ropes[0].kind, .n_dims = m->ropes[0].n_dims, .attn_factor = 1};
	m->rope_sources[1] = (struct rope_source){.base = base};
	m->n_ropes = 2;
	EACH_LAYER(m, s)
	if (s->attn.window)
		s->attn.rope = &m->ropes[1];
}

/* Llama and what follows it; Mistral's window is on all layers. */
static void read_llama(struct keys *k, struct model *m)
{
	set_windows(k, m, keys_u32_or(k, "attention.sliding_window", 1, 1 << 24, 0), 0);
}

static void read_qwen3(struct keys *k, struct model *m)
{
	(void)k;
	EACH_LAYER(m, s)
	s->attn.qk_norm = QK_NORM_HEAD;
}

/* Its window, which llama.cpp leaves out, is transformers'; 0 is none. */
static void read_phi3(struct keys *k, struct model *m)
{
	set_windows(k, m, keys_u32_or(k, "attention.sliding_window", 0, 1 << 24, 0), 0);
}

static void read_gemma(struct keys *k, struct model *m)
{
	(void)k;
	m->embedding_scale = sqrtf((float)m->hp.d_model);
	EACH_LAYER(m, s)
	s->ffn.act = ACT_GELU_TANH;
}

/* The largest model of a generation scales scores by the width a head would have if heads made up d_model. */
static void set_wide_scale(struct keys *k, struct model *m, uint32_t n_layers_of_largest)
{
	if (m->hp.n_layers != n_layers_of_largest)
		return;
	if (m->hp.d_model < m->hp.n_heads) {
		keys_fail(k, "%s.embedding_length is %u, less than %s.attention.head_count, which is %u",
			  k->arch, m->hp.d_model, k->arch, m->hp.n_heads);
		return;
	}
	EACH_LAYER(m, s)
	s->attn.scale = spec_plain_scale(m->hp.d_model / m->hp.n_heads);
}

static void read_gemma2(struct keys *k, struct model *m)
{
	read_gemma(k, m);
	set_wide_scale(k, m, 46);
	set_windows(k, m, keys_u32_or(k, "attention.sliding_window", 1, 1 << 24, 4096), 2);
	float cap = keys_f32_or(k, "attn_logit_softcapping", 1e-3f, 1e6f, 50);
	m->logit_cap = keys_f32_or(k, "final_logit_softcapping", 1e-3f, 1e6f, 30);
	EACH_LAYER(m, s)
	s->attn.soft_cap = cap;
}

static void read_gemma3(struct keys *k, struct model *m)
{
	read_gemma(k, m);
	read_qwen3(k, m);
	set_wide_scale(k, m, 62);
	m->logit_cap = keys_f32_or(k, "final_logit_softcapping", 1e-3f, 1e6f, 0);
	set_windows(k, m, keys_u32_or(k, "attention.sliding_window", 1, 1 << 24, 0), 6);
	set_window_rope(m, keys_f32_or(k, "rope.freq_base_swa", 1.0f, 1e12f, 10000.0f));
}

/* Ministral 3 and Mistral Small: scores grow with the logarithm of the position. */
static void read_mistral3(struct keys *k, struct model *m)
{
	float temperature = keys_f32_or(k, "attention.temperature_scale", 0, 100, 0);
	uint32_t every =
		keys_u32_or(k, "rope.scaling.original_context_length", 1, 1 << 24, m->hp.n_ctx_train);
	read_llama(k, m);
	EACH_LAYER(m, s)
	{
		s->attn.temperature = temperature;
		s->attn.temperature_every = every;
	}
}

static void read_granite(struct keys *k, struct model *m)
{
	float scale = keys_f32_or(k, "attention.scale", 1e-6f, 1e6f, m->specs[0].attn.scale);
	float residual = keys_f32_or(k, "residual_scale", 1e-6f, 1e6f, 1);
	m->embedding_scale = keys_f32_or(k, "embedding_scale", 1e-6f, 1e6f, 1);
	m->logit_scale = 1 / keys_f32_or(k, "logit_scale", 1e-6f, 1e6f, 1);
	EACH_LAYER(m, s)
	{
		s->attn.scale = scale;
		s->residual_scale = residual;
	}
}

/* OLMo 2, and OLMo 3, which has windows and scales RoPE in the other layers alone. */
static void read_olmo2(struct keys *k, struct model *m)
{
	EACH_LAYER(m, s)
	s->attn.qk_norm = QK_NORM_WIDTH;
	uint32_t window = keys_u32_or(k, "attention.sliding_window", 1, 1 << 24, 0);
	set_windows(k, m, window, 4);
	if (window)
		set_window_rope(m, keys_f32_or(k, "rope.freq_base_swa", 1.0f, 1e12f, m->hp.rope_theta));
}

static void read_smollm3(struct keys *k, struct model *m)
{
	(void)k;
	for (uint32_t l = 3; l < m->hp.n_layers; l += 4)
		m->specs[l].attn.rope = NULL;
}

/* EXAONE 4: where some layers have a window, the others have no RoPE. */
static void read_exaone4(struct keys *k, struct model *m)
{
	uint32_t window = keys_u32_or(k, "attention.sliding_window", 1, 1 << 24, 0);
	read_qwen3(k, m);
	set_windows(k, m, window, 4);
	EACH_LAYER(m, s)
	if (window && !s->attn.window)
		s->attn.rope = NULL;
}

/* ---- the table ---- */

/* What layers hold. */
#define PRE_NORMS  (ROLE_BIT(ATTN_NORM) | ROLE_BIT(FFN_NORM))
#define POST_NORMS (ROLE_BIT(ATTN_POST_NORM) | ROLE_BIT(FFN_POST_NORM))
#define MATRICES                                                                                         \
	(ROLE_BIT(WQ) | ROLE_BIT(WK) | ROLE_BIT(WV) | ROLE_BIT(WO) | ROLE_BIT(W_GATE) | ROLE_BIT(W_UP) | \
	 ROLE_BIT(W_DOWN))
#define QK_NORMS (ROLE_BIT(Q_NORM) | ROLE_BIT(K_NORM))
#define QKV_BIAS (ROLE_BIT(BQ) | ROLE_BIT(BK) | ROLE_BIT(BV))
#define ANY_BIAS (QKV_BIAS | ROLE_BIT(BO) | ROLE_BIT(B_GATE) | ROLE_BIT(B_UP) | ROLE_BIT(B_DOWN))
#define LLAMA3   (1u << ROLE_ROPE_FREQS)
#define LONGROPE (1u << ROLE_ROPE_LONG | 1u << ROLE_ROPE_SHORT)

/* clang-format off */
/* name, RoPE's pairs, what each layer holds, may hold, the model may hold, and what reads the rest */
#define ARCHS(X)                                                                                          \
	X("qwen2",    ROPE_NEOX, PRE_NORMS | MATRICES | QKV_BIAS,                0,        0,        read_plain)    \
	X("qwen3",    ROPE_NEOX, PRE_NORMS | MATRICES | QK_NORMS,                QKV_BIAS, 0,        read_qwen3)    \
	X("llama",    ROPE_NORM, PRE_NORMS | MATRICES,                           ANY_BIAS, LLAMA3,   read_llama)    \
	X("mistral3", ROPE_NORM, PRE_NORMS | MATRICES,                           ANY_BIAS, LLAMA3,   read_mistral3) \
	X("phi3",     ROPE_NEOX, PRE_NORMS | MATRICES,                           0,        LONGROPE, read_phi3)     \
	X("gemma",    ROPE_NEOX, PRE_NORMS | MATRICES,                           0,        0,        read_gemma)    \
	X("gemma2",   ROPE_NEOX, PRE_NORMS | POST_NORMS | MATRICES,              0,        0,        read_gemma2)   \
	X("gemma3",   ROPE_NEOX, PRE_NORMS | POST_NORMS | MATRICES | QK_NORMS,   0,        0,        read_gemma3)   \
	X("granite",  ROPE_NORM, PRE_NORMS | MATRICES,                           ANY_BIAS, LLAMA3,   read_granite)  \
	X("olmo2",    ROPE_NEOX, POST_NORMS | MATRICES | QK_NORMS,               0,        0,        read_olmo2)    \
	X("smollm3",  ROPE_NORM, PRE_NORMS | MATRICES,                           ANY_BIAS, LLAMA3,   read_smollm3)  \
	X("exaone4",  ROPE_NEOX, POST_NORMS | MATRICES | QK_NORMS,               0,        LLAMA3,   read_exaone4)
/* clang-format on */

#define ROW(name_, rope_, must_, may_, may_model_, read_) \
	{.name = name_, .rope = rope_, .must = must_, .may = may_, .may_model = may_model_, .read = read_},
static const struct arch archs[] = {ARCHS(ROW)};
#undef ROW

#define ROW(name_, ...) name_,
static const char *const names[] = {ARCHS(ROW) NULL};
#undef ROW

const struct arch *arch_get(struct str name)
{
	for (size_t i = 0; i < sizeof archs / sizeof archs[0]; i++)
		if (str_eq_c(name, archs[i].name))
			return &archs[i];
	return NULL;
}

const char *const *arch_names(void)
{
	return names;
}

/* ---- what all architectures have ---- */

static void read_numbers(struct keys *k, struct hparams *hp)
{
	hp->n_layers = keys_u32(k, "block_count", 1, 1024);
	hp->n_ctx_train = keys_u32(k, "context_length", 1, 1 << 24);
	hp->d_model = keys_u32(k, "embedding_length", 1, 1 << 16);
	/* which llama.cpp writes as a number or as an array of one for each layer */
	hp->d_ff = keys_u32_of_layers(k, "feed_forward_length", hp->n_layers, 1, 1 << 20);
	hp->n_heads = keys_u32_of_layers(k, "attention.head_count", hp->n_layers, 1, 1024);
	hp->n_kv_heads =
		keys_u32_of_layers_or(k, "attention.head_count_kv", hp->n_layers, 1, 1024, hp->n_heads);
	hp->head_dim = keys_u32_or(k, "attention.key_length", 2, 1024, 0);
	hp->norm_eps = keys_f32(k, "attention.layer_norm_rms_epsilon", 1e-12f, 1e-1f);
	hp->rope_theta = keys_f32_or(k, "rope.freq_base", 1.0f, 1e12f, 10000.0f);
}

static void read_heads(struct keys *k, struct hparams *hp)
{
	char name[KEY_BYTES];
	if (k->rc)
		return;
	if (hp->n_heads % hp->n_kv_heads)
		keys_fail(k, "%s.attention.head_count %u is no multiple of %s.attention.head_count_kv %u",
			  k->arch, hp->n_heads, k->arch, hp->n_kv_heads);
	if (hp->head_dim == 0) {
		if (hp->d_model % hp->n_heads)
			keys_fail(k,
				  "%s.embedding_length %u is no multiple of %s.attention.head_count %u, and "
				  "there is no %s.attention.key_length",
				  k->arch, hp->d_model, k->arch, hp->n_heads, k->arch);
		hp->head_dim = hp->d_model / hp->n_heads;
	}
	if (hp->head_dim == 0 || hp->head_dim % 2 || hp->head_dim > 1024)
		keys_fail(k,
			  "the head dim is %u (%s.attention.key_length, or embedding_length / "
			  "attention.head_count); hokku takes even numbers up to 1024",
			  hp->head_dim, k->arch);
	/* Values of another width than keys are another forward pass. */
	uint32_t v_dim = keys_u32_or(k, "attention.value_length", 0, UINT32_MAX, hp->head_dim);
	if (v_dim != hp->head_dim)
		keys_fail(k, "%s is %u; for %s hokku takes only the head dim, %u",
			  keys_name(k, "attention.value_length", name), v_dim, k->arch, hp->head_dim);
}

/* Specs of the plainest layers. */
static enum hokku_code plain_specs(struct model *m, uint32_t n_rope_dims, struct hokku_error *err)
{
	const struct hparams *hp = &m->hp;
	m->specs = arena_array(&m->arena, hp->n_layers, sizeof *m->specs);
	m->ropes = arena_array(&m->arena, MODEL_MAX_ROPES, sizeof *m->ropes);
	m->rope_sources = arena_array(&m->arena, MODEL_MAX_ROPES, sizeof *m->rope_sources);
	if (!m->specs || !m->ropes || !m->rope_sources)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the specs of %u layers",
			       hp->n_layers);
	m->embedding_scale = m->logit_scale = 1;
	m->ropes[0] = (struct rope){.kind = m->arch->rope, .n_dims = n_rope_dims, .attn_factor = 1};
	m->rope_sources[0] = (struct rope_source){.base = hp->rope_theta, .factor = 1};
	m->n_ropes = 1;
	m->n_kv_groups = 1; /* whose layers see all */
	for (uint32_t l = 0; l < hp->n_layers; l++)
		m->specs[l] = (struct layer_spec){
			.kv_place = l,
			.attn =
				{
					.n_heads = hp->n_heads,
					.n_kv_heads = hp->n_kv_heads,
					.head_dim = hp->head_dim,
					.scale = spec_plain_scale(hp->head_dim),
					.rope = &m->ropes[0],
				},
			.ffn = {.act = ACT_SILU, .gated = true, .d_ff = hp->d_ff},
			.norm_eps = hp->norm_eps,
			.residual_scale = 1,
		};
	return HOKKU_OK;
}

/* 0.1 m ln(factor) + 1: what YaRN multiplies cosines and sines by. */
static float yarn_attn_factor(float factor, float m)
{
	return factor <= 1 ? 1 : 0.1f * m * logf(factor) + 1;
}

static void read_yarn(struct keys *k, struct model *m)
{
	struct rope_source *s = &m->rope_sources[0];
	s->scaling = ROPE_YARN;
	s->factor = keys_f32(k, "rope.scaling.factor", 1, 1e6f);
	s->n_ctx_original =
		keys_u32_or(k, "rope.scaling.original_context_length", 1, 1 << 24, m->hp.n_ctx_train);
	s->beta_fast = keys_f32_or(k, "rope.scaling.yarn_beta_fast", 1e-3f, 1e6f, 32);
	s->beta_slow = keys_f32_or(k, "rope.scaling.yarn_beta_slow", 1e-3f, 1e6f, 1);
	float all_dims = keys_f32_or(k, "rope.scaling.yarn_log_multiplier", 0, 100, 0);
	keys_f32_or(k, "rope.scaling.yarn_ext_factor", 1, 1, 1); /* another is another mathematics */
	float attn_factor = yarn_attn_factor(s->factor, 1);
	if (all_dims != 0)
		attn_factor /= yarn_attn_factor(s->factor, all_dims);
	m->ropes[0].attn_factor *= keys_f32_or(k, "rope.scaling.yarn_attn_factor", 1e-3f, 1e3f, attn_factor);
}

static bool has_tensor(const struct model *m, const char *name)
{
	return gguf_find_tensor(m->file, name) != NULL;
}

static void read_rope(struct keys *k, struct model *m)
{
	char name[KEY_BYTES], quoted[64];
	struct rope_source *s = &m->rope_sources[0];
	struct str type = keys_str_or(k, "rope.scaling.type", STR_LIT("linear"));
	float linear = keys_f32_or(k, "rope.scale_linear", 1e-6f, 1e6f, 1);
	m->ropes[0].attn_factor = keys_f32_or(k, "rope.scaling.attn_factor", 1e-3f, 1e3f, 1);
	s->factor = linear;
	if (str_eq_c(type, "yarn"))
		read_yarn(k, m);
	else if (str_eq_c(type, "linear"))
		s->factor = keys_f32_or(k, "rope.scaling.factor", 1e-6f, 1e6f, linear);
	else if (str_eq_c(type,
			  "none")) { /* never scaled, whatever factors stand beside it: llama.cpp has it so */
		keys_ask(k, "rope.scaling.factor");
		s->factor = 1;
	} else if (!str_eq_c(type, "longrope") && !str_eq_c(type, "su"))
		keys_fail(k, "%s is %s; hokku takes \"none\", \"linear\", \"yarn\" and \"longrope\"",
			  keys_name(k, "rope.scaling.type", name), str_quote(type, quoted, sizeof quoted));
	if (s->scaling == ROPE_PLAIN && s->factor != 1)
		s->scaling = ROPE_LINEAR;
	bool freqs = m->arch->may_model & LLAMA3 && has_tensor(m, "rope_freqs.weight");
	bool may = m->arch->may_model & LONGROPE;
	bool both = may && has_tensor(m, "rope_factors_long.weight");
	if (may && both != has_tensor(m, "rope_factors_short.weight"))
		keys_fail(k, "the file has the tensor rope_factors_%s.weight, but not rope_factors_%s.weight",
			  both ? "long" : "short", both ? "short" : "long");
	if ((freqs || both) && s->scaling != ROPE_PLAIN)
		keys_fail(k, "the file has %s, and %s %s: two scalings of one RoPE",
			  freqs ? "rope_freqs.weight" : "rope_factors_long.weight",
			  keys_name(k, "rope.scaling.type", name), str_quote(type, quoted, sizeof quoted));
	if (freqs)
		s->scaling = ROPE_FACTORS;
	if (both) {
		s->scaling = ROPE_LONG;
		s->n_ctx_original = keys_u32(k, "rope.scaling.original_context_length", 1, 1 << 24);
	}
	if (!both && (str_eq_c(type, "longrope") || str_eq_c(type, "su")))
		keys_fail(k, "%s is %s, but the file has no tensor rope_factors_long.weight",
			  keys_name(k, "rope.scaling.type", name), str_quote(type, quoted, sizeof quoted));
}

/* Keys that every architecture may have. */
static void read_common(struct keys *k, struct model *m)
{
	char name[KEY_BYTES];
	const struct hparams *hp = &m->hp;
	/* An architecture without windows may name one that hides nothing. */
	bool has_window = keys_asked(k, "attention.sliding_window");
	uint32_t window = has_window ? 0 : keys_u32_or(k, "attention.sliding_window", 1, UINT32_MAX, 0);
	if (window != 0 && window < hp->n_ctx_train)
		keys_fail(k, "%s is %u, less than the context of %u; hokku has no sliding window for %s",
			  keys_name(k, "attention.sliding_window", name), window, hp->n_ctx_train, k->arch);
	if (!keys_bool_or(k, "attention.causal", true))
		keys_fail(k, "%s is false; hokku runs only causal models",
			  keys_name(k, "attention.causal", name));
}

enum hokku_code arch_read(struct model *m, struct hokku_error *err)
{
	struct keys k;
	enum hokku_code rc = keys_init(&k, m->file, m->arch->name, &m->arena, err);
	if (rc)
		return rc;
	read_numbers(&k, &m->hp);
	read_heads(&k, &m->hp);
	if (k.rc)
		return k.rc;
	uint32_t n_rope_dims = keys_u32_or(&k, "rope.dimension_count", 2, m->hp.head_dim, m->hp.head_dim);
	if (n_rope_dims % 2)
		keys_fail(&k, "%s.rope.dimension_count is %u; hokku takes even numbers", k.arch, n_rope_dims);
	rc = plain_specs(m, n_rope_dims, err);
	if (rc)
		return rc;
	read_rope(&k, m);
	m->arch->read(&k, m);
	read_common(&k, m);
	keys_refuse_rest(&k);
	return k.rc;
}

/* ---- what of a model a backend cannot do ---- */

float spec_plain_scale(uint32_t head_dim)
{
	return 1.0f / sqrtf((float)head_dim);
}

void model_set_context(struct model *m, uint32_t n_ctx)
{
	for (uint32_t i = 0; i < m->n_ropes; i++)
		rope_fill(m, i, n_ctx);
}

/* Layers with one window (0: all is seen). */
struct windowed {
	uint32_t window, n_layers;
};

static uint32_t window_of(const struct layer_spec *s)
{
	uint32_t window = s->attn.window;
	return window && window < KV_MIN_WINDOW ? KV_MIN_WINDOW : window;
}

/* Those that see all first; a window more than there are places joins the last one. */
static uint32_t list_windows(const struct model *m, struct windowed kinds[MODEL_MAX_KV_WINDOWS])
{
	uint32_t n = 0;
	for (int seeing = 1; seeing >= 0; seeing--)
		for (uint32_t l = 0; l < m->hp.n_layers; l++) {
			uint32_t window = window_of(&m->specs[l]), k = 0;
			if ((window == 0) != seeing)
				continue;
			while (k < n && kinds[k].window != window)
				k++;
			if (k == n && n < MODEL_MAX_KV_WINDOWS)
				kinds[n++] = (struct windowed){.window = window};
			k = k < n ? k : n - 1;
			kinds[k].window = window > kinds[k].window ? window : kinds[k].window;
			kinds[k].n_layers++;
		}
	return n;
}

static uint32_t groups_for(const struct windowed *kind, uint32_t n_places)
{
	return (kind->n_layers + n_places - 1) / n_places;
}

/* What a sequence takes whose length is four times its windows; 0: too many groups. */
static uint64_t cost_of(const struct windowed *kinds, uint32_t n, uint32_t n_places)
{
	uint64_t cost = 0;
	uint32_t n_groups = 0;
	for (uint32_t k = 0; k < n; k++) {
		uint32_t groups = groups_for(&kinds[k], n_places);
		cost += (uint64_t)groups * n_places * (kinds[k].window ? 1 : 4);
		n_groups += groups;
	}
	return n_groups <= MODEL_MAX_KV_GROUPS ? cost : 0;
}

static uint32_t choose_places(const struct windowed *kinds, uint32_t n, uint32_t n_layers)
{
	uint32_t best = n_layers ? n_layers : 1;
	for (uint32_t places = n_layers; places > 0; places--) {
		uint64_t cost = cost_of(kinds, n, places);
		if (cost && cost < cost_of(kinds, n, best))
			best = places;
	}
	return best;
}

void model_group_kv(struct model *m)
{
	struct windowed kinds[MODEL_MAX_KV_WINDOWS];
	uint32_t n = list_windows(m, kinds), n_places = choose_places(kinds, n, m->hp.n_layers);
	uint32_t taken[MODEL_MAX_KV_WINDOWS] = {0}, first[MODEL_MAX_KV_WINDOWS] = {0};
	m->n_kv_groups = 0;
	for (uint32_t k = 0; k < n; k++) {
		first[k] = m->n_kv_groups;
		for (uint32_t i = groups_for(&kinds[k], n_places); i > 0; i--)
			m->kv_groups[m->n_kv_groups++].window = kinds[k].window;
	}
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		uint32_t window = window_of(&m->specs[l]), k = 0;
		while (k + 1 < n && kinds[k].window != window)
			k++; /* the last one has also what had no place */
		m->specs[l].kv_group = first[k] + taken[k] / n_places;
		m->specs[l].kv_place = taken[k]++ % n_places;
	}
}

uint32_t model_kv_places(const struct model *m)
{
	uint32_t n = 0;
	for (uint32_t l = 0; l < m->hp.n_layers; l++) {
		uint32_t place = m->layers[l].spec->kv_place;
		n = n > place + 1 ? n : place + 1;
	}
	return n;
}
