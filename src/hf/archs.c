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
	{"quantization_config", NULL},
	{0},
};

static const struct refuse_row gelu_alone[] = {
	{"hidden_activation", "\"gelu_pytorch_tanh\""},
	{"attention_bias", "false"},
	{"use_bidirectional_attention", "false"},
	{"is_causal", "true"},
	{"quantization_config", NULL},
	{0},
};

static const struct refuse_row silu_no_bias[] = {
	{"hidden_act", "\"silu\""}, {"attention_bias", "false"},   {"mlp_bias", "false"},
	{"is_causal", "true"},      {"quantization_config", NULL}, {0},
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

/* A window of tokens; absent or null: 0. */
static enum hokku_code read_window(const struct hf_reader *r, const struct jv *root, uint32_t *out)
{
	const struct jv *v = jv_get(root, "sliding_window");
	*out = 0;
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
	uint32_t given = period;
	*own = true;
	if (jv_none(types) && !letters.len && !jv_none(pattern)) {
		enum hokku_code rc =
			hf_read_u32(r, "sliding_window_pattern", pattern, 1, HF_MAX_LAYERS, &given);
		if (rc)
			return rc;
	}
	if (!jv_none(types) && jv_len(types) != s->n_layers)
		return hf_wrong(r, "layer_types", types, "an array of %u strings, one for each layer",
				s->n_layers);
	for (uint32_t l = 0; l < s->n_layers; l++) {
		struct str type = jv_str(jv_at(types, l));
		bool full = str_eq_c(type, "full_attention"), slides = str_eq_c(type, "sliding_attention");
		if (!jv_none(types) && !full && !slides)
			return hf_wrong(r, "layer_types", jv_at(types, l),
					"\"full_attention\" or \"sliding_attention\" for layer %u", l);
		if (!jv_none(types))
			s->windowed[l] = slides;
		else if (letters.len)
			s->windowed[l] = letters.ptr[l % letters.len] == 'L';
		else
			s->windowed[l] = l % given < given - 1;
		*own = *own && s->windowed[l] == (l % period < period - 1);
	}
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
	if (!rc && strcmp(s->arch->model_type, "mistral") == 0)
		rc = read_window(r, root, &window);
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
		rc = read_window(r, root, &window);
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
	double found;
	if (jv_none(v) || (jv_double(v, &found) && found == wanted))
		return HOKKU_OK;
	return hf_wrong(r, "query_pre_attn_scalar", v, "%u", wanted);
}

static enum hokku_code read_windows(const struct hf_reader *r, const struct jv *root, uint32_t period,
				    struct hf_shape *s)
{
	uint32_t window;
	bool own = true;
	enum hokku_code rc = read_window(r, root, &window);
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
	const struct jv *local = jv_get(hf_rope_of(root, "sliding_attention"), "rope_theta");
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
	if (!rc && !jv_none(jv_get(root, "rope_local_base_freq")))
		rc = hf_read_positive(r, "rope_local_base_freq", jv_get(root, "rope_local_base_freq"), &base);
	else if (!rc && !jv_none(local) &&
		 hf_rope_of(root, "sliding_attention") != hf_rope_of(root, "full_attention"))
		rc = hf_read_positive(r, "rope_parameters.sliding_attention.rope_theta", local, &base);
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
	enum hokku_code rc = hf_rope_scaling(r, root, s);
	put_head(s);
	if (!rc && strcmp(s->arch->model_type, "olmo3") == 0)
		rc = read_windows(r, root, 4, s);
	return rc;
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
	put_head(s);
	if (!rc && !jv_none(jv_get(root, "sliding_window")))
		rc = read_windows(r, root, 4, s);
	return rc;
}

/* ---- the table ---- */

#define LLAMA_DEFAULTS                                                                                   \
	"{\"rms_norm_eps\":1e-6,\"rope_theta\":10000.0,\"max_position_embeddings\":2048,\"vocab_size\":" \
	"32000,\""                                                                                       \
	"tie_word_embeddings\":false}"
#define GEMMA_DEFAULTS                                                                                       \
	"{\"rms_norm_eps\":1e-6,\"rope_theta\":10000.0,\"max_position_embeddings\":8192,\"head_dim\":256,\"" \
	"vocab_size\":256000,\"tie_word_embeddings\":true}"
#define GEMMA3_DEFAULTS                                                                                    \
	"{\"rms_norm_eps\":1e-6,\"rope_theta\":1000000.0,\"max_position_embeddings\":131072,\"head_dim\":" \
	"256,\""                                                                                           \
	"num_attention_heads\":8,\"num_key_value_heads\":4,\"vocab_size\":262208,\"tie_word_embeddings\":" \
	"true}"
#define ROW(...)                                                                                          \
	{                                                                                                 \
		__VA_ARGS__, .hf_layers = "model.layers.", .config = numbers, .ignored = ignored_suffixes \
	}

const struct hf_arch hf_archs[] = {
	ROW("qwen2", "Qwen2ForCausalLM", "qwen2", .read = read_qwen2, .refuse = silu_alone,
	    .tensors = qwen2_tensors, .windows = true),
	ROW("qwen3", "Qwen3ForCausalLM", "qwen3",
	    .defaults = "{\"head_dim\":128,\"tie_word_embeddings\":false}", .read = read_qwen3,
	    .refuse = silu_alone, .tensors = qwen3_tensors, .windows = true),
	ROW("llama", "LlamaForCausalLM", "llama", .defaults = LLAMA_DEFAULTS, .read = read_llama,
	    .refuse = silu_alone, .tensors = llama_tensors),
	ROW("mistral", "MistralForCausalLM", "llama", .defaults = LLAMA_DEFAULTS, .read = read_llama,
	    .refuse = silu_alone, .tensors = llama_tensors),
	ROW("ministral3", "Ministral3ForCausalLM", "mistral3", .defaults = LLAMA_DEFAULTS,
	    .read = read_mistral3, .refuse = silu_alone, .tensors = llama_tensors),
	ROW("mistral3", "Mistral3ForConditionalGeneration", "mistral3", .defaults = LLAMA_DEFAULTS,
	    .read = read_mistral3, .refuse = silu_alone, .tensors = llama_tensors, .text_type = "ministral3"),
	ROW("mistral3", "Mistral3ForConditionalGeneration", "mistral3", .defaults = LLAMA_DEFAULTS,
	    .read = read_mistral3, .refuse = silu_alone, .tensors = llama_tensors, .text_type = "mistral"),
	ROW("phi3", "Phi3ForCausalLM", "phi3", .defaults = LLAMA_DEFAULTS, .read = read_phi3,
	    .refuse = silu_no_bias, .tensors = phi3_tensors, .partial_rope = true),
	ROW("gemma", "GemmaForCausalLM", "gemma", .defaults = GEMMA_DEFAULTS, .read = read_qwen2,
	    .refuse = gelu_alone, .tensors = gemma_tensors),
	ROW("gemma2", "Gemma2ForCausalLM", "gemma2", .defaults = GEMMA_DEFAULTS, .read = read_gemma2,
	    .refuse = gelu_alone, .tensors = gemma2_tensors),
	ROW("gemma3_text", "Gemma3ForCausalLM", "gemma3", .defaults = GEMMA3_DEFAULTS, .read = read_gemma3,
	    .refuse = gelu_alone, .tensors = gemma3_tensors, .layer_ropes = true),
	ROW("gemma3", "Gemma3ForConditionalGeneration", "gemma3", .defaults = GEMMA3_DEFAULTS,
	    .read = read_gemma3, .refuse = gelu_alone, .tensors = gemma3_tensors, .layer_ropes = true,
	    .text_type = "gemma3_text"),
	ROW("granite", "GraniteForCausalLM", "granite", .defaults = LLAMA_DEFAULTS, .read = read_granite,
	    .refuse = silu_alone, .tensors = llama_tensors),
	ROW("olmo2", "Olmo2ForCausalLM", "olmo2", .defaults = LLAMA_DEFAULTS, .read = read_olmo,
	    .refuse = silu_no_bias, .tensors = olmo2_tensors),
	ROW("olmo3", "Olmo3ForCausalLM", "olmo2", .defaults = LLAMA_DEFAULTS, .read = read_olmo,
	    .refuse = silu_no_bias, .tensors = olmo2_tensors, .layer_ropes = true),
	ROW("smollm3", "SmolLM3ForCausalLM", "smollm3", .defaults = LLAMA_DEFAULTS, .read = read_smollm3,
	    .refuse = silu_alone, .tensors = llama_tensors, .windows = true),
	ROW("exaone4", "Exaone4ForCausalLM", "exaone4", .defaults = LLAMA_DEFAULTS, .read = read_exaone4,
	    .refuse = silu_no_bias, .tensors = exaone4_tensors),
};
const size_t hf_n_archs = sizeof hf_archs / sizeof hf_archs[0];
