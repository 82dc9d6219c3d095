/*
 * Architectures as Hugging Face folders describe them: a row each, with its tables of config.json's numbers,
 * of settings that must have one value, and of tensors, and a function for the rest. Names: transformers'
 * modeling and configuration files, llama.cpp's gguf-py/gguf/constants.py.
 */
#include "hf/archs.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#define FIELD(name) offsetof(struct hf_shape, name)

enum { TEXT_BYTES = 96 };

/* ---- numbers ---- */

static const struct config_row numbers[] = {
	{"max_position_embeddings", "context_length", false, 1 << 24, FIELD(n_ctx)},
	{"hidden_size", "embedding_length", false, 1 << 16, FIELD(d_model)},
	{"num_hidden_layers", "block_count", false, HF_MAX_LAYERS, FIELD(n_layers)},
	{"intermediate_size", "feed_forward_length", false, 1 << 20, FIELD(d_ff)},
	{"num_attention_heads", "attention.head_count", false, 1024, FIELD(n_heads)},
	{"num_key_value_heads", "attention.head_count_kv", false, 1024, FIELD(n_kv_heads)},
	{"rope_theta", "rope.freq_base", true, 0, FIELD(rope_theta)},
	{"rms_norm_eps", "attention.layer_norm_rms_epsilon", true, 0, FIELD(norm_eps)},
	{"vocab_size", NULL, false, HF_MAX_VOCAB, FIELD(n_vocab)},
	{0},
};

/* ---- settings of one value ---- */

static const struct refuse_row silu_alone[] = {
	{"hidden_act", "\"silu\""},
	{"is_causal", "true"},
	{0},
};

static const struct refuse_row gelu_alone[] = {
	{"hidden_activation", "\"gelu_pytorch_tanh\""},
	{"attention_bias", "false"},
	{"use_bidirectional_attention", "false"},
	{"is_causal", "true"},
	{0},
};

static const struct refuse_row silu_no_bias[] = {
	{"hidden_act", "\"silu\""},
	{"attention_bias", "false"},
	{"mlp_bias", "false"},
	{"is_causal", "true"},
	{0},
};

/* ---- tensors ---- */

/* clang-format off */
#define OF_LAYER true
#define EMBEDDING \
	{"model.embed_tokens.weight", "token_embd.weight", SIDE_VOCAB, SIDE_MODEL, PART_EMBEDDING, false, WHEN_ALWAYS, CHANGE_NONE}
#define NORM_ROW(hf, gguf, side, change) \
	{hf, gguf, SIDE_NONE, side, PART_NORM, OF_LAYER, WHEN_ALWAYS, change}
#define MATRIX_ROW(hf, gguf, rows, cols, role, change) \
	{hf ".weight", gguf ".weight", rows, cols, role, OF_LAYER, WHEN_ALWAYS, change}
#define BIAS_ROW(hf, gguf, side, when, change) \
	{hf ".bias", gguf ".bias", SIDE_NONE, side, PART_BIAS, OF_LAYER, when, change}
#define QKV_ROWS(change, bias) \
	MATRIX_ROW("self_attn.q_proj", "attn_q", SIDE_Q, SIDE_MODEL, PART_OTHER, change),      \
	BIAS_ROW("self_attn.q_proj", "attn_q", SIDE_Q, bias, change),                          \
	MATRIX_ROW("self_attn.k_proj", "attn_k", SIDE_KV, SIDE_MODEL, PART_OTHER, change),    \
	BIAS_ROW("self_attn.k_proj", "attn_k", SIDE_KV, bias, change),                        \
	MATRIX_ROW("self_attn.v_proj", "attn_v", SIDE_KV, SIDE_MODEL, PART_ATTN_V, CHANGE_NONE), \
	BIAS_ROW("self_attn.v_proj", "attn_v", SIDE_KV, bias, CHANGE_NONE)
#define O_ROW MATRIX_ROW("self_attn.o_proj", "attn_output", SIDE_MODEL, SIDE_Q, PART_OTHER, CHANGE_NONE)
#define O_BIAS BIAS_ROW("self_attn.o_proj", "attn_output", SIDE_MODEL, WHEN_ATTN_BIAS, CHANGE_NONE)
#define FFN_ROWS \
	MATRIX_ROW("mlp.gate_proj", "ffn_gate", SIDE_FF, SIDE_MODEL, PART_OTHER, CHANGE_NONE), \
	MATRIX_ROW("mlp.up_proj", "ffn_up", SIDE_FF, SIDE_MODEL, PART_OTHER, CHANGE_NONE),     \
	MATRIX_ROW("mlp.down_proj", "ffn_down", SIDE_MODEL, SIDE_FF, PART_FFN_DOWN, CHANGE_NONE)
#define FFN_BIASES \
	BIAS_ROW("mlp.gate_proj", "ffn_gate", SIDE_FF, WHEN_MLP_BIAS, CHANGE_NONE), \
	BIAS_ROW("mlp.up_proj", "ffn_up", SIDE_FF, WHEN_MLP_BIAS, CHANGE_NONE),     \
	BIAS_ROW("mlp.down_proj", "ffn_down", SIDE_MODEL, WHEN_MLP_BIAS, CHANGE_NONE)
#define HEAD(change) \
	{"model.norm.weight", "output_norm.weight", SIDE_NONE, SIDE_MODEL, PART_NORM, false, WHEN_ALWAYS, change}, \
	{"lm_head.weight", "output.weight", SIDE_VOCAB, SIDE_MODEL, PART_OUTPUT, false, WHEN_UNTIED, CHANGE_NONE}, \
	{0}
#define PRE_NORM NORM_ROW("input_layernorm.weight", "attn_norm.weight", SIDE_MODEL, CHANGE_NONE)
#define MID_NORM NORM_ROW("post_attention_layernorm.weight", "ffn_norm.weight", SIDE_MODEL, CHANGE_NONE)

/* The order is that of synth's seeds: rows are added at other places only. */
static const struct hf_tensor_row qwen2_tensors[] = {
	EMBEDDING, PRE_NORM, QKV_ROWS(CHANGE_NONE, WHEN_ALWAYS), O_ROW, MID_NORM, FFN_ROWS,
	HEAD(CHANGE_NONE),
};
static const struct hf_tensor_row qwen3_tensors[] = {
	EMBEDDING, PRE_NORM, QKV_ROWS(CHANGE_NONE, WHEN_ATTN_BIAS),
	NORM_ROW("self_attn.q_norm.weight", "attn_q_norm.weight", SIDE_HEAD, CHANGE_NONE),
	NORM_ROW("self_attn.k_norm.weight", "attn_k_norm.weight", SIDE_HEAD, CHANGE_NONE),
	O_ROW, O_BIAS, MID_NORM, FFN_ROWS, HEAD(CHANGE_NONE),
};
static const struct hf_tensor_row llama_tensors[] = {
	EMBEDDING, PRE_NORM, QKV_ROWS(CHANGE_PERMUTE, WHEN_ATTN_BIAS), O_ROW, O_BIAS, MID_NORM,
	FFN_ROWS, FFN_BIASES, HEAD(CHANGE_NONE),
};
static const struct hf_tensor_row phi3_tensors[] = {
	EMBEDDING, PRE_NORM,
	MATRIX_ROW("self_attn.qkv_proj", "attn_qkv", SIDE_QKV, SIDE_MODEL, PART_ATTN_V, CHANGE_NONE),
	O_ROW, MID_NORM,
	MATRIX_ROW("mlp.gate_up_proj", "ffn_up", SIDE_2FF, SIDE_MODEL, PART_OTHER, CHANGE_NONE),
	MATRIX_ROW("mlp.down_proj", "ffn_down", SIDE_MODEL, SIDE_FF, PART_FFN_DOWN, CHANGE_NONE),
	HEAD(CHANGE_NONE),
};
static const struct hf_tensor_row gemma_tensors[] = {
	EMBEDDING, NORM_ROW("input_layernorm.weight", "attn_norm.weight", SIDE_MODEL, CHANGE_PLUS_ONE),
	QKV_ROWS(CHANGE_NONE, WHEN_ATTN_BIAS), O_ROW,
	NORM_ROW("post_attention_layernorm.weight", "ffn_norm.weight", SIDE_MODEL, CHANGE_PLUS_ONE), FFN_ROWS,
	HEAD(CHANGE_PLUS_ONE),
};
#define FOUR_NORMS_BEFORE NORM_ROW("input_layernorm.weight", "attn_norm.weight", SIDE_MODEL, CHANGE_PLUS_ONE)
#define FOUR_NORMS_REST                                                                                           \
	NORM_ROW("post_attention_layernorm.weight", "post_attention_norm.weight", SIDE_MODEL, CHANGE_PLUS_ONE),   \
	NORM_ROW("pre_feedforward_layernorm.weight", "ffn_norm.weight", SIDE_MODEL, CHANGE_PLUS_ONE),             \
	NORM_ROW("post_feedforward_layernorm.weight", "post_ffw_norm.weight", SIDE_MODEL, CHANGE_PLUS_ONE)
static const struct hf_tensor_row gemma2_tensors[] = {
	EMBEDDING, FOUR_NORMS_BEFORE, QKV_ROWS(CHANGE_NONE, WHEN_ATTN_BIAS), O_ROW, FOUR_NORMS_REST, FFN_ROWS,
	HEAD(CHANGE_PLUS_ONE),
};
static const struct hf_tensor_row gemma3_tensors[] = {
	EMBEDDING, FOUR_NORMS_BEFORE, QKV_ROWS(CHANGE_NONE, WHEN_ATTN_BIAS),
	NORM_ROW("self_attn.q_norm.weight", "attn_q_norm.weight", SIDE_HEAD, CHANGE_PLUS_ONE),
	NORM_ROW("self_attn.k_norm.weight", "attn_k_norm.weight", SIDE_HEAD, CHANGE_PLUS_ONE),
	O_ROW, FOUR_NORMS_REST, FFN_ROWS, HEAD(CHANGE_PLUS_ONE),
};
#define TWO_NORMS_AFTER                                                                                       \
	NORM_ROW("post_attention_layernorm.weight", "post_attention_norm.weight", SIDE_MODEL, CHANGE_NONE),   \
	NORM_ROW("post_feedforward_layernorm.weight", "post_ffw_norm.weight", SIDE_MODEL, CHANGE_NONE)
static const struct hf_tensor_row olmo2_tensors[] = {
	EMBEDDING, QKV_ROWS(CHANGE_NONE, WHEN_ATTN_BIAS),
	NORM_ROW("self_attn.q_norm.weight", "attn_q_norm.weight", SIDE_Q, CHANGE_NONE),
	NORM_ROW("self_attn.k_norm.weight", "attn_k_norm.weight", SIDE_KV, CHANGE_NONE),
	O_ROW, TWO_NORMS_AFTER, FFN_ROWS, HEAD(CHANGE_NONE),
};
static const struct hf_tensor_row exaone4_tensors[] = {
	EMBEDDING, QKV_ROWS(CHANGE_NONE, WHEN_ATTN_BIAS),
	NORM_ROW("self_attn.q_norm.weight", "attn_q_norm.weight", SIDE_HEAD, CHANGE_NONE),
	NORM_ROW("self_attn.k_norm.weight", "attn_k_norm.weight", SIDE_HEAD, CHANGE_NONE),
	O_ROW, TWO_NORMS_AFTER, FFN_ROWS, HEAD(CHANGE_NONE),
};
/* clang-format on */

/* Buffers that old checkpoints saved; their values follow from config.json. */
static const char *const ignored_suffixes[] = {".rotary_emb.inv_freq", ".attention.masked_bias", NULL};

/* ---- what readers share ---- */

static struct hf_key *add_key(struct hf_shape *s, const char *name)
{
	assert(s->n_keys < HF_MAX_KEYS);
	struct hf_key *k = &s->keys[s->n_keys++];
	*k = (struct hf_key){.name = name};
	return k;
}

void hf_put_u32(struct hf_shape *s, const char *name, uint32_t value)
{
	struct hf_key *k = add_key(s, name);
	k->type = HF_U32;
	k->u32 = value;
}

void hf_put_f32(struct hf_shape *s, const char *name, float value)
{
	struct hf_key *k = add_key(s, name);
	k->type = HF_F32;
	k->f32 = value;
}

void hf_put_str(struct hf_shape *s, const char *name, const char *value)
{
	struct hf_key *k = add_key(s, name);
	k->type = HF_STR;
	k->str = value;
}

static enum hokku_code read_biases(const struct hf_reader *r, const struct jv *root, struct hf_shape *s)
{
	enum hokku_code rc =
		hf_read_bool(r, "attention_bias", jv_get(root, "attention_bias"), &s->attn_bias, NULL);
	return rc ? rc : hf_read_bool(r, "mlp_bias", jv_get(root, "mlp_bias"), &s->mlp_bias, NULL);
}

/* A window of tokens; null: 0, absent: the class's. */
static enum hokku_code read_window(const struct hf_reader *r, const struct jv *root, const struct hf_shape *s,
				   uint32_t *out)
{
	const struct jv *v = jv_get(root, "sliding_window");
	*out = v ? 0 : s->arch->window;
	return jv_none(v) ? HOKKU_OK : hf_read_u32(r, "sliding_window", v, 1, 1 << 24, out);
}

/* Which layers have the window: layer_types, or sliding_window_pattern ("LLLG", or a period whose last layer
 * sees all), or the architecture's own period. *own: is it that one? */
static enum hokku_code read_pattern(const struct hf_reader *r, const struct jv *root, uint32_t period,
				    struct hf_shape *s, bool *own)
{
	const struct jv *types = jv_get(root, "layer_types"),
			*pattern = jv_get(root, "sliding_window_pattern");
	struct str letters = jv_str(pattern);
	char found[TEXT_BYTES];
	uint32_t given = period;
	*own = true;
	if (jv_none(types) && !letters.len && !jv_none(pattern)) {
		enum hokku_code rc =
			hf_read_u32(r, "sliding_window_pattern", pattern, 1, HF_MAX_LAYERS, &given);
		if (rc)
			return rc;
	}
	int64_t other; /* beside layer_types it is only compared */
	bool compared = !jv_none(types) &&
			(letters.len || (jv_int(pattern, &other) && other > 0 && other <= HF_MAX_LAYERS));
	if (compared && !letters.len)
		given = (uint32_t)other;
	if (!jv_none(types) && jv_len(types) != s->n_layers)
		return hf_wrong(r, "layer_types", types, "an array of %u strings, one for each layer",
				s->n_layers);
	bool differs = false;
	for (uint32_t l = 0; l < s->n_layers; l++) {
		struct str type = jv_str(jv_at(types, l));
		bool full = str_eq_c(type, "full_attention"), slides = str_eq_c(type, "sliding_attention");
		bool by_pattern = letters.len ? letters.ptr[l % letters.len] == 'L' : l % given < given - 1;
		if (!jv_none(types) && !full && !slides)
			return hf_wrong(r, "layer_types", jv_at(types, l),
					"\"full_attention\" or \"sliding_attention\" for layer %u", l);
		s->windowed[l] = jv_none(types) ? by_pattern : slides;
		differs = differs || s->windowed[l] != by_pattern;
		*own = *own && s->windowed[l] == (l % period < period - 1);
	}
	if (differs && compared)
		hf_note(r,
			"sliding_window_pattern is %s, and layer_types has other layers slide: layer_types counts",
			jv_text(pattern, found, sizeof found));
	return HOKKU_OK;
}

static void put_pattern(struct hf_shape *s, bool own)
{
	if (!own)
		add_key(s, "attention.sliding_window_pattern")->type = HF_LAYERS;
}

static enum hokku_code read_number(const struct hf_reader *r, const struct jv *root, const char *name,
				   const char *key, float otherwise, struct hf_shape *s)
{
	float value = otherwise;
	const struct jv *v = jv_get(root, name);
	enum hokku_code rc = jv_none(v) ? HOKKU_OK : hf_read_positive(r, name, v, &value);
	if (!rc && value != 0)
		hf_put_f32(s, key, value);
	return rc;
}

static void put_head(struct hf_shape *s)
{
	if ((uint64_t)s->head_dim * s->n_heads == s->d_model)
		return;
	hf_put_u32(s, "attention.key_length", s->head_dim);
	hf_put_u32(s, "attention.value_length", s->head_dim);
}

/* ---- the architectures ---- */

static enum hokku_code read_llama(const struct hf_reader *r, const struct jv *root, struct hf_shape *s)
{
	uint32_t window = 0;
	enum hokku_code rc = read_biases(r, root, s);
	if (!rc)
		rc = hf_rope_scaling(r, root, s);
	if (!rc && s->arch->one_window)
		rc = read_window(r, root, s, &window);
	put_head(s);
	if (!rc && window)
		hf_put_u32(s, "attention.sliding_window", window);
	return rc;
}

static enum hokku_code read_qwen2(const struct hf_reader *r, const struct jv *root, struct hf_shape *s)
{
	put_head(s);
	return hf_rope_scaling(r, root, s);
}

static enum hokku_code read_qwen3(const struct hf_reader *r, const struct jv *root, struct hf_shape *s)
{
	enum hokku_code rc = read_biases(r, root, s);
	if (!rc)
		rc = hf_rope_scaling(r, root, s);
	put_head(s);
	return rc;
}

static enum hokku_code read_mistral3(const struct hf_reader *r, const struct jv *root, struct hf_shape *s)
{
	enum hokku_code rc = read_llama(r, root, s);
	const struct jv *rope = hf_rope_of(root, "full_attention");
	/* the class has a YaRN of its own then, which no published folder leaves to it */
	if (!rc && !rope && strcmp(s->arch->text_type ? s->arch->text_type : "ministral3", "ministral3") == 0)
		return hf_wrong(r, "rope_parameters", jv_get(root, "rope_parameters"), "an object");
	if (!rc)
		rc = read_number(r, rope, "llama_4_scaling_beta", "attention.temperature_scale", 0, s);
	return rc;
}

static enum hokku_code read_phi3(const struct hf_reader *r, const struct jv *root, struct hf_shape *s)
{
	uint32_t n_dims, window;
	enum hokku_code rc = hf_rope_dims(r, root, s, &n_dims);
	if (!rc)
		rc = hf_rope_scaling(r, root, s);
	if (!rc)
		rc = read_window(r, root, s, &window);
	if (rc)
		return rc;
	hf_put_u32(s, "rope.dimension_count", n_dims);
	hf_put_u32(s, "attention.sliding_window", window);
	put_head(s);
	return HOKKU_OK;
}

/* What scores are divided by the root of is the width of a head, or of d_model's share in the largest model
 * of a generation: the file has no key for another. */
static enum hokku_code check_scalar(const struct hf_reader *r, const struct jv *root,
				    const struct hf_shape *s, uint32_t largest)
{
	const struct jv *v = jv_get(root, "query_pre_attn_scalar");
	uint32_t wanted = s->n_layers == largest ? s->d_model / s->n_heads : s->head_dim;
	double found = 256; /* absent: the classes' */
	if ((!v || jv_double(v, &found)) && found == wanted)
		return HOKKU_OK;
	return hf_wrong(r, "query_pre_attn_scalar", v, "%u", wanted);
}

static enum hokku_code read_windows(const struct hf_reader *r, const struct jv *root, uint32_t period,
				    struct hf_shape *s)
{
	uint32_t window;
	bool own = true;
	enum hokku_code rc = read_window(r, root, s, &window);
	if (!rc)
		rc = read_pattern(r, root, period, s, &own);
	bool any = false;
	for (uint32_t l = 0; l < s->n_layers; l++)
		any = any || s->windowed[l];
	if (rc || (!window && !any))
		return rc;
	if (!window)
		return hf_wrong(r, "sliding_window", jv_get(root, "sliding_window"),
				"the window of the layers that slide");
	if (!any)
		return HOKKU_OK; /* no layer slides: the window cuts nothing off */
	hf_put_u32(s, "attention.sliding_window", window);
	put_pattern(s, own);
	return HOKKU_OK;
}

static enum hokku_code read_gemma2(const struct hf_reader *r, const struct jv *root, struct hf_shape *s)
{
	static const char *const caps[] = {"attn_logit_softcapping", "final_logit_softcapping"};
	enum hokku_code rc = read_qwen2(r, root, s);
	if (!rc)
		rc = check_scalar(r, root, s, 46);
	if (!rc)
		rc = read_windows(r, root, 2, s);
	for (size_t i = 0; i < 2 && !rc; i++) {
		const struct jv *cap = jv_get(root, caps[i]);
		if (jv_is(cap, JV_NULL))
			return hf_wrong(r, caps[i], cap, "a number");
		rc = read_number(r, root, caps[i], caps[i], i ? 30 : 50, s);
	}
	return rc;
}

static enum hokku_code read_gemma3(const struct hf_reader *r, const struct jv *root, struct hf_shape *s)
{
	const struct jv *cap = jv_get(root, "attn_logit_softcapping");
	float base = 10000;
	put_head(s);
	if (!jv_none(cap))
		return hf_wrong(r, "attn_logit_softcapping", cap, "null");
	enum hokku_code rc = hf_rope_scaling(r, root, s);
	if (!rc)
		rc = check_scalar(r, root, s, 62);
	if (!rc)
		rc = read_windows(r, root, 6, s);
	if (!rc)
		rc = read_number(r, root, "final_logit_softcapping", "final_logit_softcapping", 0, s);
	if (!rc)
		rc = hf_rope_sliding(r, root, s, "rope_local_base_freq", &base);
	if (!rc)
		hf_put_f32(s, "rope.freq_base_swa", base);
	return rc;
}

static enum hokku_code read_granite(const struct hf_reader *r, const struct jv *root, struct hf_shape *s)
{
	static const struct {
		const char *config, *key;
	} scales[] = {{"embedding_multiplier", "embedding_scale"},
		      {"residual_multiplier", "residual_scale"},
		      {"attention_multiplier", "attention.scale"},
		      {"logits_scaling", "logit_scale"}};
	enum hokku_code rc = read_llama(r, root, s);
	/* transformers' default of each is 1, of scores too */
	for (size_t i = 0; i < sizeof scales / sizeof scales[0] && !rc; i++)
		rc = read_number(r, root, scales[i].config, scales[i].key, 1, s);
	return rc;
}

static enum hokku_code read_olmo(const struct hf_reader *r, const struct jv *root, struct hf_shape *s)
{
	float base = s->rope_theta;
	enum hokku_code rc = hf_rope_scaling(r, root, s);
	put_head(s);
	if (rc || strcmp(s->arch->model_type, "olmo3") != 0)
		return rc;
	rc = hf_rope_sliding(r, root, s, NULL, &base);
	if (!rc && base != s->rope_theta) /* the file has one key for both */
		return err_set(r->err, HOKKU_INVALID_REQUEST,
			       "%s: RoPE's base is %.9g in layers that slide, and %.9g in the others; hokku "
			       "converts %s with one",
			       r->path, (double)base, (double)s->rope_theta, s->arch->class_name);
	return rc ? rc : read_windows(r, root, 4, s);
}

/* Every fourth layer has no RoPE: the file has no key for another pattern. */
static enum hokku_code read_smollm3(const struct hf_reader *r, const struct jv *root, struct hf_shape *s)
{
	const struct jv *layers = jv_get(root, "no_rope_layers"),
			*every = jv_get(root, "no_rope_layer_interval");
	int64_t n = 4, has;
	if (jv_none(layers) && !jv_none(every) && !(jv_int(every, &n) && n == 4))
		return hf_wrong(r, "no_rope_layer_interval", every, "4");
	for (uint32_t l = 0; l < s->n_layers && !jv_none(layers); l++)
		if (!jv_int(jv_at(layers, l), &has) || has != ((l + 1) % 4 != 0))
			return hf_wrong(r, "no_rope_layers", jv_at(layers, l), "%d for layer %u",
					(l + 1) % 4 != 0, l);
	return read_llama(r, root, s);
}

static enum hokku_code read_exaone4(const struct hf_reader *r, const struct jv *root, struct hf_shape *s)
{
	enum hokku_code rc = hf_rope_scaling(r, root, s);
	bool none = jv_is(jv_get(root, "sliding_window"), JV_NULL) && jv_none(jv_get(root, "layer_types"));
	put_head(s);
	return rc || none ? rc : read_windows(r, root, 4, s);
}

/* ---- the table ---- */

/* What the configuration classes of transformers have (models/NAME/configuration_NAME.py), as far as the
 * shapes of tensors do not show it. */
/* clang-format off */
#define CLASS(eps, theta, ctx, vocab, kv, tied, more) \
	"{\"rms_norm_eps\":" #eps ",\"rope_theta\":" #theta ",\"max_position_embeddings\":" #ctx ",\"vocab_size\":" #vocab \
	",\"num_key_value_heads\":" #kv ",\"tie_word_embeddings\":" #tied more "}"
#define QWEN2_CLASS      CLASS(1e-6, 10000.0, 32768, 151936, 32, false, "")
#define QWEN3_CLASS      CLASS(1e-6, 10000.0, 32768, 151936, 32, false, ",\"head_dim\":128")
#define LLAMA_CLASS      CLASS(1e-6, 10000.0, 2048, 32000, null, false, "") /* Granite's, too */
#define MISTRAL_CLASS    CLASS(1e-6, 10000.0, 131072, 32000, 8, false, "")
#define MINISTRAL3_CLASS CLASS(1e-5, 10000.0, 262144, 131072, 8, false, ",\"head_dim\":128")
#define PHI3_CLASS       CLASS(1e-5, 10000.0, 4096, 32064, null, false, "")
#define GEMMA_CLASS      CLASS(1e-6, 10000.0, 8192, 256000, 16, true, ",\"head_dim\":256")
#define GEMMA2_CLASS     CLASS(1e-6, 10000.0, 8192, 256000, 4, true, ",\"head_dim\":256,\"num_attention_heads\":8")
#define GEMMA3_CLASS     CLASS(1e-6, 1000000.0, 131072, 262208, 4, true, ",\"head_dim\":256,\"num_attention_heads\":8")
#define OLMO2_CLASS      CLASS(1e-5, 10000.0, 2048, 50304, null, false, "")
#define OLMO3_CLASS      CLASS(1e-5, 500000.0, 2048, 50304, null, false, "")
#define SMOLLM3_CLASS    CLASS(1e-6, 2000000.0, 32768, 128256, 4, true, "")
#define EXAONE4_CLASS    CLASS(1e-5, 10000.0, 2048, 102400, 32, false, "")
/* clang-format on */
#define ROW(...)                                                                                          \
	{                                                                                                 \
		__VA_ARGS__, .hf_layers = "model.layers.", .config = numbers, .ignored = ignored_suffixes \
	}

const struct hf_arch hf_archs[] = {
	ROW("qwen2", "Qwen2ForCausalLM", "qwen2", .defaults = QWEN2_CLASS, .read = read_qwen2,
	    .refuse = silu_alone, .tensors = qwen2_tensors, .windows = true),
	ROW("qwen3", "Qwen3ForCausalLM", "qwen3", .defaults = QWEN3_CLASS, .read = read_qwen3,
	    .refuse = silu_alone, .tensors = qwen3_tensors, .windows = true),
	ROW("llama", "LlamaForCausalLM", "llama", .defaults = LLAMA_CLASS, .read = read_llama,
	    .refuse = silu_alone, .tensors = llama_tensors),
	ROW("mistral", "MistralForCausalLM", "llama", .defaults = MISTRAL_CLASS, .read = read_llama,
	    .refuse = silu_alone, .tensors = llama_tensors, .one_window = true, .window = 4096),
	ROW("ministral3", "Ministral3ForCausalLM", "mistral3", .defaults = MINISTRAL3_CLASS,
	    .read = read_mistral3, .refuse = silu_alone, .tensors = llama_tensors, .one_window = true),
	ROW("mistral3", "Mistral3ForConditionalGeneration", "mistral3", .defaults = MINISTRAL3_CLASS,
	    .read = read_mistral3, .refuse = silu_alone, .tensors = llama_tensors, .text_type = "ministral3",
	    .one_window = true),
	ROW("mistral3", "Mistral3ForConditionalGeneration", "mistral3", .defaults = MISTRAL_CLASS,
	    .read = read_mistral3, .refuse = silu_alone, .tensors = llama_tensors, .text_type = "mistral",
	    .one_window = true, .window = 4096),
	ROW("phi3", "Phi3ForCausalLM", "phi3", .defaults = PHI3_CLASS, .read = read_phi3,
	    .refuse = silu_no_bias, .tensors = phi3_tensors, .partial_rope = true, .original_ctx = 4096),
	ROW("gemma", "GemmaForCausalLM", "gemma", .defaults = GEMMA_CLASS, .read = read_qwen2,
	    .refuse = gelu_alone, .tensors = gemma_tensors),
	ROW("gemma2", "Gemma2ForCausalLM", "gemma2", .defaults = GEMMA2_CLASS, .read = read_gemma2,
	    .refuse = gelu_alone, .tensors = gemma2_tensors, .layer_types = true, .window = 4096),
	ROW("gemma3_text", "Gemma3ForCausalLM", "gemma3", .defaults = GEMMA3_CLASS, .read = read_gemma3,
	    .refuse = gelu_alone, .tensors = gemma3_tensors, .layer_ropes = true, .layer_types = true,
	    .window = 4096),
	ROW("gemma3", "Gemma3ForConditionalGeneration", "gemma3", .defaults = GEMMA3_CLASS,
	    .read = read_gemma3, .refuse = gelu_alone, .tensors = gemma3_tensors, .layer_ropes = true,
	    .text_type = "gemma3_text", .layer_types = true, .window = 4096),
	ROW("granite", "GraniteForCausalLM", "granite", .defaults = LLAMA_CLASS, .read = read_granite,
	    .refuse = silu_alone, .tensors = llama_tensors),
	ROW("olmo2", "Olmo2ForCausalLM", "olmo2", .defaults = OLMO2_CLASS, .read = read_olmo,
	    .refuse = silu_no_bias, .tensors = olmo2_tensors),
	ROW("olmo3", "Olmo3ForCausalLM", "olmo2", .defaults = OLMO3_CLASS, .read = read_olmo,
	    .refuse = silu_no_bias, .tensors = olmo2_tensors, .layer_ropes = true, .layer_types = true,
	    .window = 4096),
	ROW("smollm3", "SmolLM3ForCausalLM", "smollm3", .defaults = SMOLLM3_CLASS, .read = read_smollm3,
	    .refuse = silu_alone, .tensors = llama_tensors, .windows = true),
	ROW("exaone4", "Exaone4ForCausalLM", "exaone4", .defaults = EXAONE4_CLASS, .read = read_exaone4,
	    .refuse = silu_no_bias, .tensors = exaone4_tensors, .layer_types = true, .window = 4096),
};
const size_t hf_n_archs = sizeof hf_archs / sizeof hf_archs[0];
