/*
 * Hyperparameters: read by key, checked against a table of limits and against each other. A key that would
 * change what the model computes in a way hokku does not carry out is refused by name: ignoring it would give
 * wrong text.
 */
#include "model/hparams.h"

#include <math.h>
#include <stdio.h>

#define FAIL(...) return err_set(err, HOKKU_MODEL_LOAD_FAILED, __VA_ARGS__)

enum { KEY_BYTES = 128 };

/* "qwen2" + "block_count" -> "qwen2.block_count". Every name in the tables here fits. */
static const char *arch_key(const struct arch *arch, const char *suffix, char key[KEY_BYTES])
{
	snprintf(key, KEY_BYTES, "%s.%s", arch->name, suffix);
	return key;
}

/* Whole numbers: the field, and the least and most that hokku takes. Where `optional`, absence leaves 0. */
static const struct u32_key {
	const char *suffix;
	size_t field;
	uint32_t min, max;
	bool optional;
} u32_keys[] = {
	{"block_count", offsetof(struct hparams, n_layers), 1, 1024, false},
	{"context_length", offsetof(struct hparams, n_ctx_train), 1, 1 << 24, false},
	{"embedding_length", offsetof(struct hparams, d_model), 1, 1 << 16, false},
	{"feed_forward_length", offsetof(struct hparams, d_ff), 1, 1 << 20, false},
	{"attention.head_count", offsetof(struct hparams, n_heads), 1, 1024, false},
	{"attention.head_count_kv", offsetof(struct hparams, n_kv_heads), 1, 1024, true},
	{"attention.key_length", offsetof(struct hparams, head_dim), 2, 1024, true},
};

static const struct f32_key {
	const char *suffix;
	size_t field;
	float min, max;
	bool optional;
	float otherwise; /* the value that absence stands for */
} f32_keys[] = {
	{"attention.layer_norm_rms_epsilon", offsetof(struct hparams, norm_eps), 1e-12f, 1e-1f, false, 0},
	{"rope.freq_base", offsetof(struct hparams, rope_theta), 1.0f, 1e12f, true, 10000.0f},
};

/* Numbers that scale or bend the computation; only the value that does nothing is served. */
static const struct neutral_key {
	const char *suffix;
	float neutral;
} neutral_keys[] = {
	{"rope.scale_linear", 1},
	{"rope.scaling.factor", 1},
	{"rope.scaling.attn_factor", 1},
	{"rope.scaling.yarn_log_multiplier", 0},
	{"attn_logit_softcapping", 0},
	{"final_logit_softcapping", 0},
	{"attention.max_alibi_bias", 0},
	{"attention.clamp_kqv", 0},
	{"logit_scale", 1},
	{"residual_scale", 1},
	{"embedding_scale", 1},
	{"expert_count", 0},
	{"expert_used_count", 0},
};

static enum hokku_code read_numbers(struct hparams *hp, const struct arch *arch, const struct gguf *g,
				    struct hokku_error *err)
{
	char key[KEY_BYTES];
	for (size_t i = 0; i < sizeof u32_keys / sizeof u32_keys[0]; i++) {
		const struct u32_key *k = &u32_keys[i];
		uint32_t value = 0;
		bool found = false;
		enum hokku_code rc = gguf_get_u32(g, arch_key(arch, k->suffix, key), &value,
						  k->optional ? &found : NULL, err);
		if (rc)
			return rc;
		if ((found || !k->optional) && (value < k->min || value > k->max))
			FAIL("%s is %u; hokku takes %u to %u", key, value, k->min, k->max);
		*(uint32_t *)((char *)hp + k->field) = value;
	}
	for (size_t i = 0; i < sizeof f32_keys / sizeof f32_keys[0]; i++) {
		const struct f32_key *k = &f32_keys[i];
		float value = k->otherwise;
		bool found = false;
		enum hokku_code rc = gguf_get_f32(g, arch_key(arch, k->suffix, key), &value,
						  k->optional ? &found : NULL, err);
		if (rc)
			return rc;
		if (!(value >= k->min && value <= k->max)) /* NaN too */
			FAIL("%s is %g; hokku takes %g to %g", key, (double)value, (double)k->min,
			     (double)k->max);
		*(float *)((char *)hp + k->field) = value;
	}
	return HOKKU_OK;
}

static enum hokku_code check_heads(struct hparams *hp, const struct arch *arch, const struct gguf *g,
				   struct hokku_error *err)
{
	char key[KEY_BYTES];
	if (hp->n_kv_heads == 0)
		hp->n_kv_heads = hp->n_heads;
	if (hp->n_heads % hp->n_kv_heads)
		FAIL("%s.attention.head_count %u is no multiple of %s.attention.head_count_kv %u", arch->name,
		     hp->n_heads, arch->name, hp->n_kv_heads);
	if (hp->head_dim == 0) {
		if (hp->d_model % hp->n_heads)
			FAIL("%s.embedding_length %u is no multiple of %s.attention.head_count %u, and there "
			     "is no "
			     "%s.attention.key_length",
			     arch->name, hp->d_model, arch->name, hp->n_heads, arch->name);
		hp->head_dim = hp->d_model / hp->n_heads;
	}
	if (hp->head_dim % 2 || hp->head_dim > 1024)
		FAIL("the head dim is %u (%s.attention.key_length, or embedding_length / "
		     "attention.head_count); "
		     "hokku takes even numbers up to 1024",
		     hp->head_dim, arch->name);

	/* Heads of two widths, or RoPE on a part of the head, are other forward passes. */
	static const char *const same_as_head_dim[] = {"attention.value_length", "rope.dimension_count"};
	for (size_t i = 0; i < 2; i++) {
		uint32_t value = hp->head_dim;
		bool found;
		enum hokku_code rc =
			gguf_get_u32(g, arch_key(arch, same_as_head_dim[i], key), &value, &found, err);
		if (rc)
			return rc;
		if (value != hp->head_dim)
			FAIL("%s is %u; for %s hokku takes only the head dim, %u", key, value, arch->name,
			     hp->head_dim);
	}
	return HOKKU_OK;
}

static enum hokku_code refuse_scaling(const struct arch *arch, const struct gguf *g, struct hokku_error *err)
{
	char key[KEY_BYTES], quoted[64];
	struct str type = STR_LIT("none");
	bool found;
	enum hokku_code rc = gguf_get_str(g, arch_key(arch, "rope.scaling.type", key), &type, &found, err);
	if (rc)
		return rc;
	if (!str_eq_c(type, "none") && !str_eq_c(type, "linear"))
		FAIL("%s is %s; hokku takes \"none\", and \"linear\" with factor 1", key,
		     str_quote(type, quoted, sizeof quoted));
	for (size_t i = 0; i < sizeof neutral_keys / sizeof neutral_keys[0]; i++) {
		const struct neutral_key *k = &neutral_keys[i];
		float value = k->neutral;
		rc = gguf_get_f32(g, arch_key(arch, k->suffix, key), &value, &found, err);
		if (rc)
			return rc;
		if (!(value == k->neutral))
			FAIL("%s is %g; for %s hokku takes only %g", key, (double)value, arch->name,
			     (double)k->neutral);
	}
	return HOKKU_OK;
}

static enum hokku_code refuse_attention(const struct hparams *hp, const struct arch *arch,
					const struct gguf *g, struct hokku_error *err)
{
	char key[KEY_BYTES];
	uint32_t window = 0;
	bool causal = true, found;
	enum hokku_code rc =
		gguf_get_u32(g, arch_key(arch, "attention.sliding_window", key), &window, &found, err);
	if (rc)
		return rc;
	if (window != 0 && window < hp->n_ctx_train)
		FAIL("%s is %u, less than the context of %u; hokku has no sliding window for %s", key, window,
		     hp->n_ctx_train, arch->name);
	rc = gguf_get_bool(g, arch_key(arch, "attention.causal", key), &causal, &found, err);
	if (rc)
		return rc;
	if (!causal)
		FAIL("%s is false; hokku runs only causal models", key);
	return HOKKU_OK;
}

enum hokku_code hparams_read(struct hparams *hp, const struct arch *arch, const struct gguf *g,
			     struct hokku_error *err)
{
	enum hokku_code rc = read_numbers(hp, arch, g, err);
	if (!rc)
		rc = check_heads(hp, arch, g, err);
	if (!rc)
		rc = refuse_scaling(arch, g, err);
	if (!rc)
		rc = refuse_attention(hp, arch, g, err);
	return rc;
}
