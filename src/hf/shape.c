/* Architectures as Hugging Face folders describe them: a row each, with its tables of config.json's numbers,
 * of settings that must have one value, and of tensors. Names: transformers' modeling files, llama.cpp's
 * gguf-py/gguf/constants.py. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "hf/hf.h"

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
	{"use_sliding_window", "false"},
	{"is_causal", "true"},
	{"quantization_config", NULL},
	{0},
};

static const struct hf_tensor_row qwen2_tensors[] = {
	{"model.embed_tokens.weight", "token_embd.weight", SIDE_VOCAB, SIDE_MODEL, ROLE_EMBEDDING, false,
	 false},
	{"input_layernorm.weight", "attn_norm.weight", SIDE_NONE, SIDE_MODEL, ROLE_NORM, true, false},
	{"self_attn.q_proj.weight", "attn_q.weight", SIDE_Q, SIDE_MODEL, ROLE_OTHER, true, false},
	{"self_attn.q_proj.bias", "attn_q.bias", SIDE_NONE, SIDE_Q, ROLE_BIAS, true, false},
	{"self_attn.k_proj.weight", "attn_k.weight", SIDE_KV, SIDE_MODEL, ROLE_OTHER, true, false},
	{"self_attn.k_proj.bias", "attn_k.bias", SIDE_NONE, SIDE_KV, ROLE_BIAS, true, false},
	{"self_attn.v_proj.weight", "attn_v.weight", SIDE_KV, SIDE_MODEL, ROLE_ATTN_V, true, false},
	{"self_attn.v_proj.bias", "attn_v.bias", SIDE_NONE, SIDE_KV, ROLE_BIAS, true, false},
	{"self_attn.o_proj.weight", "attn_output.weight", SIDE_MODEL, SIDE_Q, ROLE_OTHER, true, false},
	{"post_attention_layernorm.weight", "ffn_norm.weight", SIDE_NONE, SIDE_MODEL, ROLE_NORM, true, false},
	{"mlp.gate_proj.weight", "ffn_gate.weight", SIDE_FF, SIDE_MODEL, ROLE_OTHER, true, false},
	{"mlp.up_proj.weight", "ffn_up.weight", SIDE_FF, SIDE_MODEL, ROLE_OTHER, true, false},
	{"mlp.down_proj.weight", "ffn_down.weight", SIDE_MODEL, SIDE_FF, ROLE_FFN_DOWN, true, false},
	{"model.norm.weight", "output_norm.weight", SIDE_NONE, SIDE_MODEL, ROLE_NORM, false, false},
	{"lm_head.weight", "output.weight", SIDE_VOCAB, SIDE_MODEL, ROLE_OUTPUT, false, true},
	{0},
};

/* Buffers that old checkpoints saved; their values follow from config.json. */
static const char *const ignored_suffixes[] = {".rotary_emb.inv_freq", ".attention.masked_bias", NULL};

static const struct hf_arch archs[] = {
	{"qwen2", "Qwen2ForCausalLM", "qwen2", "model.layers.", qwen2_config, qwen2_refuse, qwen2_tensors,
	 ignored_suffixes},
};
enum { N_ARCHS = sizeof archs / sizeof archs[0] };

enum hokku_code hf_json_read(const char *path, size_t max_bytes, json_t **out, struct hokku_error *err)
{
	char *text;
	size_t n;
	enum hokku_code rc = file_read(path, max_bytes, &text, &n, err);
	if (rc)
		return rc;
	json_error_t je;
	*out = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
	free(text);
	if (!*out)
		return err_set(err, HOKKU_BAD_FILE, "%s: line %d, column %d: %s", path, je.line, je.column,
			       je.text);
	if (json_is_object(*out))
		return HOKKU_OK;
	json_decref(*out);
	*out = NULL;
	return err_set(err, HOKKU_BAD_FILE, "%s: it must hold a JSON object", path);
}

/* A value as JSON for a message, cut to the room there is. */
static const char *json_text(const json_t *v, char *out, size_t size)
{
	char *text = v ? json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
	snprintf(out, size, "%s", text ? text : "absent");
	if (text && strlen(text) >= size)
		memcpy(out + size - 4, "...", 4);
	free(text);
	return out;
}

static void list_archs(char *out, size_t size)
{
	size_t n = 0;
	out[0] = '\0';
	for (size_t i = 0; i < N_ARCHS && n < size; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%s", i ? ", " : "", archs[i].class_name);
}

/* The class decides where it is given: one model_type serves several heads, of which we convert the language
 * model. */
static enum hokku_code find_arch(const json_t *root, const char *path, const struct hf_arch **out,
				 struct hokku_error *err)
{
	char found[96], known[256];
	const json_t *class_name = json_array_get(json_object_get(root, "architectures"), 0);
	const json_t *model_type = json_object_get(root, "model_type");
	const json_t *given = class_name ? class_name : model_type;
	for (size_t i = 0; i < N_ARCHS; i++) {
		const char *name = class_name ? archs[i].class_name : archs[i].model_type;
		if (json_is_string(given) && strcmp(json_string_value(given), name) == 0) {
			*out = &archs[i];
			return HOKKU_OK;
		}
	}
	list_archs(known, sizeof known);
	return err_set(err, HOKKU_INVALID_REQUEST, "%s: %s is %s; hokku converts %s", path,
		       class_name ? "architectures[0]" : "model_type", json_text(given, found, sizeof found),
		       known);
}

static enum hokku_code read_row(const json_t *value, const struct config_row *row, const char *path,
				struct hf_shape *s, struct hokku_error *err)
{
	char found[96];
	void *field = (char *)s + row->offset;
	if (row->is_float) {
		double number = json_number_value(value);
		if (!json_is_number(value) || !(number > 0) || !isfinite((float)number))
			return err_set(err, HOKKU_BAD_FILE, "%s: %s is %s; a number above 0 is wanted", path,
				       row->config, json_text(value, found, sizeof found));
		*(float *)field = (float)number;
		return HOKKU_OK;
	}
	json_int_t number = json_integer_value(value);
	if (!json_is_integer(value) || number < 1 || number > (json_int_t)row->max)
		return err_set(err, HOKKU_BAD_FILE, "%s: %s is %s; an integer from 1 to %u is wanted", path,
			       row->config, json_text(value, found, sizeof found), row->max);
	*(uint32_t *)field = (uint32_t)number;
	return HOKKU_OK;
}

/* RoPE's base stands at the top or, since transformers 5, in rope_parameters, which may also ask for a
 * scaling. */
static enum hokku_code check_rope(const json_t *root, const char *path, const json_t **theta,
				  struct hokku_error *err)
{
	static const char *const places[] = {"rope_parameters", "rope_scaling"};
	char found[96];
	for (size_t i = 0; i < 2; i++) {
		const json_t *rope = json_object_get(root, places[i]);
		if (!rope || json_is_null(rope))
			continue;
		const json_t *type = json_object_get(rope, "rope_type");
		if (!type)
			type = json_object_get(rope, "type");
		if (!json_is_object(rope) ||
		    (type && (!json_is_string(type) || strcmp(json_string_value(type), "default") != 0)))
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "%s: %s asks for %s; hokku converts models without RoPE scaling "
				       "(\"default\")",
				       path, places[i], json_text(type ? type : rope, found, sizeof found));
		if (!*theta)
			*theta = json_object_get(rope, "rope_theta");
	}
	return HOKKU_OK;
}

static enum hokku_code check_refused(const json_t *root, const struct hf_arch *arch, const char *path,
				     struct hokku_error *err)
{
	char found[96];
	for (const struct refuse_row *row = arch->refuse; row->config; row++) {
		const json_t *value = json_object_get(root, row->config);
		if (!value || json_is_null(value))
			continue;
		json_text(value, found, sizeof found);
		if (!row->wanted || strcmp(found, row->wanted) != 0)
			return err_set(err, HOKKU_INVALID_REQUEST, "%s: %s is %s; hokku converts %s with %s",
				       path, row->config, found, arch->class_name,
				       row->wanted ? row->wanted : "none");
	}
	return HOKKU_OK;
}

static enum hokku_code read_heads(const json_t *root, const char *path, struct hf_shape *s,
				  struct hokku_error *err)
{
	static const struct config_row head_dim = {"head_dim", NULL, false, 1024, FIELD(head_dim)};
	const json_t *value = json_object_get(root, head_dim.config);
	if (s->n_heads % s->n_kv_heads)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: num_attention_heads %u is no multiple of num_key_value_heads %u", path,
			       s->n_heads, s->n_kv_heads);
	if (value && !json_is_null(value)) {
		enum hokku_code rc = read_row(value, &head_dim, path, s, err);
		if (rc)
			return rc;
	} else if (s->d_model % s->n_heads) {
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: hidden_size %u is no multiple of num_attention_heads %u", path,
			       s->d_model, s->n_heads);
	} else {
		s->head_dim = s->d_model / s->n_heads;
	}
	if (s->head_dim % 2)
		return err_set(err, HOKKU_BAD_FILE, "%s: the head dim is %u; RoPE wants an even one", path,
			       s->head_dim);
	return HOKKU_OK;
}

enum hokku_code hf_shape_read(const json_t *root, const char *path, struct hf_shape *out,
			      struct hokku_error *err)
{
	*out = (struct hf_shape){0};
	enum hokku_code rc = find_arch(root, path, &out->arch, err);
	const json_t *theta = json_object_get(root, "rope_theta");
	if (!rc)
		rc = check_rope(root, path, &theta, err);
	if (!rc)
		rc = check_refused(root, out->arch, path, err);
	for (const struct config_row *row = rc ? NULL : out->arch->config; row && row->config && !rc; row++)
		rc = read_row(row->offset == FIELD(rope_theta) ? theta : json_object_get(root, row->config),
			      row, path, out, err);
	if (!rc)
		rc = read_heads(root, path, out, err);
	if (rc)
		return rc;
	const json_t *tied = json_object_get(root, "tie_word_embeddings");
	out->tied_given = json_is_boolean(tied);
	out->tied = json_is_true(tied);
	return HOKKU_OK;
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
