/* Architectures as Hugging Face folders describe them: a row each, with its tables of config.json's numbers,
 * of settings that must have one value, and of tensors. Names: transformers' modeling files, llama.cpp's
 * gguf-py/gguf/constants.py. */
#include <inttypes.h>
#include <stdio.h>

#include "hf/config.h"

#define FIELD(name) offsetof(struct hf_shape, name)

static const struct config_row qwen2_config[] = {
	{"max_position_embeddings", "context_length", false, 1 << 24, FIELD(n_ctx)},
	{"hidden_size", "embedding_length", false, 1 << 16, FIELD(d_model)},
	{"num_hidden_layers", "block_count", false, 1024, FIELD(n_layers)},
	{"intermediate_size", "feed_forward_length", false, 1 << 20, FIELD(d_ff)},
	{"num_attention_heads", "attention.head_count", false, 1024, FIELD(n_heads)},
	{"num_key_value_heads", "attention.head_count_kv", false, 1024, FIELD(n_kv_heads)},
	{"rope_theta", "rope.freq_base", true, 0, FIELD(rope_theta)},
	{"rms_norm_eps", "attention.layer_norm_rms_epsilon", true, 0, FIELD(norm_eps)},
	{"vocab_size", NULL, false, HF_MAX_VOCAB, FIELD(n_vocab)},
	{0},
};

static const struct refuse_row qwen2_refuse[] = {
	{"hidden_act", "\"silu\""},
	{"is_causal", "true"},
	{"quantization_config", NULL},
	{0},
};

static const struct hf_tensor_row qwen2_tensors[] = {
	{"model.embed_tokens.weight", "token_embd.weight", SIDE_VOCAB, SIDE_MODEL, PART_EMBEDDING, false,
	 false},
	{"input_layernorm.weight", "attn_norm.weight", SIDE_NONE, SIDE_MODEL, PART_NORM, true, false},
	{"self_attn.q_proj.weight", "attn_q.weight", SIDE_Q, SIDE_MODEL, PART_OTHER, true, false},
	{"self_attn.q_proj.bias", "attn_q.bias", SIDE_NONE, SIDE_Q, PART_BIAS, true, false},
	{"self_attn.k_proj.weight", "attn_k.weight", SIDE_KV, SIDE_MODEL, PART_OTHER, true, false},
	{"self_attn.k_proj.bias", "attn_k.bias", SIDE_NONE, SIDE_KV, PART_BIAS, true, false},
	{"self_attn.v_proj.weight", "attn_v.weight", SIDE_KV, SIDE_MODEL, PART_ATTN_V, true, false},
	{"self_attn.v_proj.bias", "attn_v.bias", SIDE_NONE, SIDE_KV, PART_BIAS, true, false},
	{"self_attn.o_proj.weight", "attn_output.weight", SIDE_MODEL, SIDE_Q, PART_OTHER, true, false},
	{"post_attention_layernorm.weight", "ffn_norm.weight", SIDE_NONE, SIDE_MODEL, PART_NORM, true, false},
	{"mlp.gate_proj.weight", "ffn_gate.weight", SIDE_FF, SIDE_MODEL, PART_OTHER, true, false},
	{"mlp.up_proj.weight", "ffn_up.weight", SIDE_FF, SIDE_MODEL, PART_OTHER, true, false},
	{"mlp.down_proj.weight", "ffn_down.weight", SIDE_MODEL, SIDE_FF, PART_FFN_DOWN, true, false},
	{"model.norm.weight", "output_norm.weight", SIDE_NONE, SIDE_MODEL, PART_NORM, false, false},
	{"lm_head.weight", "output.weight", SIDE_VOCAB, SIDE_MODEL, PART_OUTPUT, false, true},
	{0},
};

/* Buffers that old checkpoints saved; their values follow from config.json. */
static const char *const ignored_suffixes[] = {".rotary_emb.inv_freq", ".attention.masked_bias", NULL};

static const struct hf_arch archs[] = {
	{"qwen2", "Qwen2ForCausalLM", "qwen2", "model.layers.", qwen2_config, qwen2_refuse, qwen2_tensors,
	 ignored_suffixes},
};
enum { N_ARCHS = sizeof archs / sizeof archs[0] };

static void list_archs(char *out, size_t size)
{
	size_t n = 0;
	out[0] = '\0';
	for (size_t i = 0; i < N_ARCHS && n < size; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%s", i ? ", " : "", archs[i].class_name);
}

static enum hokku_code unknown_arch(const struct hf_reader *r, const char *field, const struct jv *given)
{
	char found[96], known[256];
	list_archs(known, sizeof known);
	return err_set(r->err, HOKKU_INVALID_REQUEST, "%s: %s is %s; hokku converts %s", r->path, field,
		       jv_text(given, found, sizeof found), known);
}

/* The class says which head the model has, model_type which model it is: transformers goes by model_type. */
static enum hokku_code find_arch(const struct hf_reader *r, const struct jv *root, const struct hf_arch **out)
{
	char found[96];
	const struct jv *classes = jv_get(root, "architectures"), *class_name = jv_at(classes, 0);
	const struct jv *model_type = jv_get(root, "model_type");
	if (!jv_none(classes) && (!jv_is(classes, JV_ARRAY) || (class_name && !jv_is(class_name, JV_STRING))))
		return hf_wrong(r, "architectures", classes, "an array of one class's name");
	size_t i = 0;
	while (i < N_ARCHS && !(class_name ? str_eq_c(jv_str(class_name), archs[i].class_name)
					   : str_eq_c(jv_str(model_type), archs[i].model_type)))
		i++;
	if (i == N_ARCHS)
		return class_name ? unknown_arch(r, "architectures[0]", class_name)
				  : unknown_arch(r, "model_type", model_type);
	if (!jv_none(model_type) && !str_eq_c(jv_str(model_type), archs[i].model_type))
		return err_set(r->err, HOKKU_INVALID_REQUEST,
			       "%s: model_type is %s, but architectures[0] is \"%s\", whose model_type is "
			       "\"%s\"; which of them is meant?",
			       r->path, jv_text(model_type, found, sizeof found), archs[i].class_name,
			       archs[i].model_type);
	if (jv_len(classes) > 1)
		hf_note(r, "architectures is %s: the first counts", jv_text(classes, found, sizeof found));
	*out = &archs[i];
	return HOKKU_OK;
}

static enum hokku_code read_row(const struct hf_reader *r, const char *field, const struct jv *value,
				const struct config_row *row, struct hf_shape *s)
{
	void *target = (char *)s + row->offset;
	return row->is_float ? hf_read_positive(r, field, value, target)
			     : hf_read_u32(r, field, value, 1, row->max, target);
}

static enum hokku_code check_refused(const struct hf_reader *r, const struct jv *root,
				     const struct hf_arch *arch)
{
	char found[96];
	for (const struct refuse_row *row = arch->refuse; row->config; row++) {
		const struct jv *value = jv_get(root, row->config);
		if (jv_none(value))
			continue;
		jv_text(value, found, sizeof found);
		if (!row->wanted || strcmp(found, row->wanted) != 0)
			return err_set(r->err, HOKKU_INVALID_REQUEST,
				       "%s: %s is %s; hokku converts %s with %s", r->path, row->config, found,
				       arch->class_name, row->wanted ? row->wanted : "none");
	}
	return HOKKU_OK;
}

static enum hokku_code read_numbers(const struct hf_reader *r, const struct jv *root, struct hf_shape *out)
{
	const char *theta_field;
	const struct jv *theta;
	enum hokku_code rc = hf_rope(r, root, &theta_field, &theta);
	for (const struct config_row *row = out->arch->config; row->config && !rc; row++) {
		const struct jv *value = jv_get(root, row->config);
		if (row->offset == FIELD(rope_theta))
			rc = read_row(r, theta_field, theta, row, out);
		else if (row->offset == FIELD(n_kv_heads) && jv_is(value, JV_NULL))
			out->n_kv_heads = out->n_heads; /* transformers' meaning of null */
		else
			rc = read_row(r, row->config, value, row, out);
	}
	return rc;
}

/* A head is as wide as head_dim says, where it is said. */
static enum hokku_code read_heads(const struct hf_reader *r, const struct jv *root, struct hf_shape *s)
{
	static const struct config_row head_dim = {"head_dim", NULL, false, 1024, FIELD(head_dim)};
	const struct jv *value = jv_get(root, head_dim.config);
	if (s->n_heads % s->n_kv_heads)
		return err_set(r->err, HOKKU_BAD_FILE,
			       "%s: num_attention_heads %u is no multiple of num_key_value_heads %u", r->path,
			       s->n_heads, s->n_kv_heads);
	if (!jv_none(value)) {
		enum hokku_code rc = read_row(r, head_dim.config, value, &head_dim, s);
		if (rc)
			return rc;
	} else if (s->d_model % s->n_heads) {
		return err_set(r->err, HOKKU_BAD_FILE,
			       "%s: hidden_size %u is no multiple of num_attention_heads %u", r->path,
			       s->d_model, s->n_heads);
	} else {
		s->head_dim = s->d_model / s->n_heads;
	}
	if (s->head_dim % 2)
		return err_set(r->err, HOKKU_BAD_FILE, "%s: the head dim is %u; RoPE wants an even one",
			       r->path, s->head_dim);
	return HOKKU_OK;
}

enum hokku_code hf_shape_read(const struct jv *root, const char *path, const struct observer *observer,
			      struct hf_shape *out, struct hokku_error *err)
{
	const struct hf_reader r = {path, observer, err};
	*out = (struct hf_shape){0};
	enum hokku_code rc = find_arch(&r, root, &out->arch);
	if (!rc)
		rc = check_refused(&r, root, out->arch);
	if (!rc)
		rc = hf_windows(&r, root, out->arch);
	if (!rc)
		rc = read_numbers(&r, root, out);
	if (!rc)
		rc = read_heads(&r, root, out);
	if (!rc)
		rc = hf_twice(&r, root);
	if (!rc)
		rc = hf_read_bool(&r, "tie_word_embeddings", jv_get(root, "tie_word_embeddings"), &out->tied,
				  &out->tied_given);
	return rc;
}

uint32_t hf_side(const struct hf_shape *s, enum side side)
{
	const uint32_t sides[N_SIDES] = {
		[SIDE_NONE] = 1,
		[SIDE_MODEL] = s->d_model,
		[SIDE_Q] = s->n_heads * s->head_dim,
		[SIDE_KV] = s->n_kv_heads * s->head_dim,
		[SIDE_FF] = s->d_ff,
		[SIDE_VOCAB] = s->n_vocab,
	};
	return sides[side];
}

bool tensor_iter_next(const struct hf_shape *s, struct tensor_iter *it)
{
	const struct hf_tensor_row *rows = s->arch->tensors;
	if (it->row)
		it->at++;
	/* The rows of a layer stand together: after its last one the next layer begins. */
	if (it->row && it->row->per_layer && !rows[it->at].per_layer && ++it->layer < s->n_layers)
		it->at = it->per_layer_from;
	while (rows[it->at].hf && rows[it->at].unless_tied && s->tied)
		it->at++;
	const struct hf_tensor_row *row = &rows[it->at];
	if (!row->hf)
		return false;
	if (row->per_layer && (!it->row || !it->row->per_layer)) {
		it->per_layer_from = it->at;
		it->layer = 0;
	}
	it->row = row;
	it->ordinal = (uint32_t)it->at;
	if (row->per_layer) {
		snprintf(it->hf, sizeof it->hf, "%s%u.%s", s->arch->hf_layers, it->layer, row->hf);
		snprintf(it->gguf, sizeof it->gguf, "blk.%u.%s", it->layer, row->gguf);
	} else {
		it->layer = 0;
		snprintf(it->hf, sizeof it->hf, "%s", row->hf);
		snprintf(it->gguf, sizeof it->gguf, "%s", row->gguf);
	}
	it->rows = hf_side(s, row->rows);
	it->cols = hf_side(s, row->cols);
	return true;
}
