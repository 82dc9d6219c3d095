/* RoPE as config.json describes it (transformers 5: modeling_rope_utils.py): a base, and a scaling that
 * becomes keys of the file or, where each pair has a factor of its own, a table. */
#include <math.h>
#include <stdio.h>

#include "hf/archs.h"

enum { TEXT_BYTES = 96 };

static const struct jv *object_of(const struct jv *root, const char *key)
{
	const struct jv *v = jv_get(root, key);
	return jv_is(v, JV_OBJECT) && v->n ? v : NULL;
}

/* rope_scaling, unless it is empty, takes the place of rope_parameters; either may have a RoPE for each kind
 * of layer. */
const struct jv *hf_rope_of(const struct jv *root, const char *kind)
{
	const struct jv *rope = object_of(root, "rope_scaling");
	if (!rope)
		rope = object_of(root, "rope_parameters");
	const struct jv *inside = object_of(rope, kind);
	return inside ? inside : rope;
}

enum hokku_code hf_rope_dims(const struct hf_reader *r, const struct jv *root, const struct hf_shape *s,
			     uint32_t *out)
{
	double part = 1;
	const struct jv *v = jv_get(hf_rope_of(root, "full_attention"), "partial_rotary_factor");
	if (jv_none(v))
		v = jv_get(root, "partial_rotary_factor");
	*out = s->head_dim;
	if (jv_none(v))
		return HOKKU_OK;
	if (!jv_double(v, &part) || !(part > 0 && part <= 1))
		return hf_wrong(r, "partial_rotary_factor", v, "a number above 0, 1 at most");
	*out = (uint32_t)(part * s->head_dim);
	if (*out < 2 || *out % 2)
		return hf_wrong(r, "partial_rotary_factor", v, "a share of %u that is an even number",
				s->head_dim);
	return HOKKU_OK;
}

/* A positive number of the object; absent (or 0, where that is Python's falsehood), what is given. */
static enum hokku_code number(const struct hf_reader *r, const struct jv *rope, const char *name,
			      bool zero_is_none, float otherwise, float *out)
{
	char field[64];
	const struct jv *v = jv_get(rope, name);
	double zero;
	*out = otherwise;
	snprintf(field, sizeof field, "rope_parameters.%s", name);
	if (jv_none(v) || (zero_is_none && jv_double(v, &zero) && zero == 0))
		return HOKKU_OK;
	return hf_read_positive(r, field, v, out);
}

/* The context before it was extended: transformers lets what is said beside the scaling (where it is not,
 * what the class has) go before what the scaling says, unless kinds of layers have a scaling each; else the
 * model's context. */
static enum hokku_code original_context(const struct hf_reader *r, const struct jv *root,
					const struct jv *rope, const struct hf_shape *s, uint32_t *out)
{
	const char *const name = "original_max_position_embeddings";
	const struct jv *inside = jv_get(rope, name), *beside = jv_get(root, name);
	uint32_t other = s->arch->original_ctx;
	enum hokku_code rc = HOKKU_OK;
	*out = s->n_ctx;
	if (!jv_none(inside))
		rc = hf_read_u32(r, name, inside, 1, 1 << 24, out);
	if (!rc && !jv_none(beside))
		rc = hf_read_u32(r, name, beside, 1, 1 << 24, &other);
	if (rc || !other || (s->arch->layer_ropes && !jv_none(inside)))
		return rc;
	if (!jv_none(inside) && other != *out)
		hf_note(r, "%s is %u with RoPE's scaling, and %u %s: the latter counts", name, *out, other,
			jv_none(beside) ? "where transformers' class sets it" : "beside it");
	*out = other;
	return HOKKU_OK;
}

static enum hokku_code linear(const struct hf_reader *r, const struct jv *root, const struct jv *rope,
			      struct hf_shape *s)
{
	float factor;
	(void)root;
	enum hokku_code rc = hf_read_positive(r, "rope_parameters.factor", jv_get(rope, "factor"), &factor);
	hf_put_str(s, "rope.scaling.type", "linear");
	hf_put_f32(s, "rope.scaling.factor", factor);
	return rc;
}

static float mscale(float factor, float m)
{
	return factor <= 1 ? 1 : 0.1f * m * logf(factor) + 1;
}

static enum hokku_code yarn(const struct hf_reader *r, const struct jv *root, const struct jv *rope,
			    struct hf_shape *s)
{
	float factor, fast, slow, scale, all_dims, attention;
	uint32_t original;
	const struct jv *given = jv_get(rope, "factor");
	enum hokku_code rc = original_context(r, root, rope, s, &original);
	if (!rc && jv_is(given, JV_NULL)) /* null, not absent: how far the context was extended */
		factor = (float)s->n_ctx / (float)original;
	else if (!rc)
		rc = hf_read_positive(r, "rope_parameters.factor", given, &factor);
	if (!rc)
		rc = number(r, rope, "beta_fast", true, 32, &fast);
	if (!rc)
		rc = number(r, rope, "beta_slow", true, 1, &slow);
	if (!rc)
		rc = number(r, rope, "mscale", true, 0, &scale);
	if (!rc)
		rc = number(r, rope, "mscale_all_dim", true, 0, &all_dims);
	if (!rc)
		rc = number(r, rope, "attention_factor", false, 0, &attention);
	const struct jv *truncate = jv_get(rope, "truncate");
	if (!rc && !jv_none(truncate) && !jv_is_true(truncate))
		return hf_wrong(r, "rope_parameters.truncate", truncate, "true");
	if (rc)
		return rc;
	hf_put_str(s, "rope.scaling.type", "yarn");
	hf_put_f32(s, "rope.scaling.factor", factor);
	hf_put_u32(s, "rope.scaling.original_context_length", original);
	hf_put_f32(s, "rope.scaling.yarn_beta_fast", fast);
	hf_put_f32(s, "rope.scaling.yarn_beta_slow", slow);
	if (attention == 0 && scale == 1 && all_dims != 0)
		hf_put_f32(s, "rope.scaling.yarn_log_multiplier", all_dims);
	else if (attention == 0 && scale != 0 && all_dims != 0)
		attention = mscale(factor, scale) / mscale(factor, all_dims);
	if (attention != 0)
		hf_put_f32(s, "rope.scaling.yarn_attn_factor", attention);
	return HOKKU_OK;
}

/* Low frequencies are divided by the factor, high ones kept, those between by a factor between. */
static enum hokku_code llama3(const struct hf_reader *r, const struct jv *root, const struct jv *rope,
			      struct hf_shape *s)
{
	float factor, low, high, *out = s->tables[TABLE_ROPE_FREQS];
	uint32_t original, n = s->head_dim / 2;
	enum hokku_code rc = hf_read_positive(r, "rope_parameters.factor", jv_get(rope, "factor"), &factor);
	if (!rc)
		rc = hf_read_positive(r, "rope_parameters.low_freq_factor", jv_get(rope, "low_freq_factor"),
				      &low);
	if (!rc)
		rc = hf_read_positive(r, "rope_parameters.high_freq_factor", jv_get(rope, "high_freq_factor"),
				      &high);
	if (!rc)
		rc = original_context(r, root, rope, s, &original);
	if (!rc && !(high > low))
		return hf_wrong(r, "rope_parameters.high_freq_factor", jv_get(rope, "high_freq_factor"),
				"a number above low_freq_factor");
	for (uint32_t i = 0; i < n && !rc; i++) {
		float freq = 1.0f / powf(s->rope_theta, (float)(2 * i) / (float)s->head_dim);
		double wave = 2 * 3.141592653589793 / (double)freq, smooth;
		if (wave < original / (double)high)
			out[i] = 1;
		else if (wave > original / (double)low)
			out[i] = factor;
		else {
			smooth = (original / wave - (double)low) / ((double)high - (double)low);
			out[i] = (float)(1 / ((1 - smooth) / (double)factor + smooth));
		}
	}
	s->n_pairs[TABLE_ROPE_FREQS] = rc ? 0 : n;
	return rc;
}

static enum hokku_code factors(const struct hf_reader *r, const struct jv *rope, const char *name,
			       struct hf_shape *s, enum hf_table table, uint32_t n)
{
	char field[64];
	const struct jv *list = jv_get(rope, name);
	snprintf(field, sizeof field, "rope_parameters.%s", name);
	if (jv_len(list) != n)
		return hf_wrong(r, field, list, "an array of %u numbers, one for each pair that RoPE turns",
				n);
	for (uint32_t i = 0; i < n; i++) {
		enum hokku_code rc = hf_read_positive(r, field, jv_at(list, i), &s->tables[table][i]);
		if (rc)
			return rc;
	}
	s->n_pairs[table] = n;
	return HOKKU_OK;
}

static enum hokku_code longrope(const struct hf_reader *r, const struct jv *root, const struct jv *rope,
				struct hf_shape *s)
{
	uint32_t original, n_dims;
	float attention, factor;
	enum hokku_code rc = hf_rope_dims(r, root, s, &n_dims);
	if (!rc)
		rc = original_context(r, root, rope, s, &original);
	if (!rc)
		rc = factors(r, rope, "long_factor", s, TABLE_ROPE_LONG, n_dims / 2);
	if (!rc)
		rc = factors(r, rope, "short_factor", s, TABLE_ROPE_SHORT, n_dims / 2);
	if (!rc)
		rc = number(r, rope, "attention_factor", false, 0, &attention);
	if (!rc)
		rc = number(r, rope, "factor", false, 0, &factor);
	if (rc)
		return rc;
	double scale = (double)s->n_ctx / original;
	if (factor != 0 && attention == 0 && (double)factor != scale) {
		hf_note(r,
			"rope_parameters.factor is %.9g, and the context %u is %.9g times the original %u: factor "
			"counts",
			(double)factor, s->n_ctx, scale, original);
		scale = (double)factor;
	}
	if (attention == 0)
		attention = scale <= 1 ? 1 : (float)sqrt(1 + log(scale) / log(original));
	hf_put_u32(s, "rope.scaling.original_context_length", original);
	hf_put_f32(s, "rope.scaling.attn_factor", attention);
	return HOKKU_OK;
}

enum hokku_code hf_rope_scaling(const struct hf_reader *r, const struct jv *root, struct hf_shape *s)
{
	static const struct {
		const char *type;
		enum hokku_code (*read)(const struct hf_reader *r, const struct jv *root,
					const struct jv *rope, struct hf_shape *s);
	} kinds[] = {{"linear", linear},     {"yarn", yarn},   {"llama3", llama3},
		     {"longrope", longrope}, {"su", longrope}, {"default", NULL}};
	char found[TEXT_BYTES];
	const struct jv *rope = hf_rope_of(root, "full_attention"), *type = jv_get(rope, "rope_type");
	if (jv_none(type))
		type = jv_get(rope, "type");
	if (!rope || jv_none(type))
		return HOKKU_OK;
	/* what Phi-3's first folders called longrope, before YaRN had the name */
	if (s->arch->partial_rope && str_eq_c(jv_str(type), "yarn"))
		return longrope(r, root, rope, s);
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (str_eq_c(jv_str(type), kinds[i].type))
			return kinds[i].read ? kinds[i].read(r, root, rope, s) : HOKKU_OK;
	return err_set(r->err, HOKKU_INVALID_REQUEST,
		       "%s: rope_parameters.rope_type is %s; hokku converts default, linear, yarn, llama3 "
		       "and longrope%s",
		       r->path, jv_text(type, found, sizeof found),
		       str_eq_c(jv_str(type), "dynamic")
			       ? " (dynamic would give a token other bits when its sequence grows)"
			       : "");
}

enum hokku_code hf_rope_sliding(const struct hf_reader *r, const struct jv *root, const struct hf_shape *s,
				const char *beside, float *base)
{
	char one[TEXT_BYTES], two[TEXT_BYTES];
	const char *const field = "rope_parameters.sliding_attention.rope_theta";
	const struct jv *rope = hf_rope_of(root, "sliding_attention"),
			*other = beside ? jv_get(root, beside) : NULL;
	if (rope == hf_rope_of(root, "full_attention"))
		rope = NULL; /* one for all, which is that of layers that see all */
	const struct jv *type = jv_get(rope, "rope_type"), *inside = jv_get(rope, "rope_theta");
	if (jv_none(type))
		type = jv_get(rope, "type");
	if (!jv_none(type) && !str_eq_c(jv_str(type), "default"))
		return err_set(
			r->err, HOKKU_INVALID_REQUEST,
			"%s: rope_parameters.sliding_attention.rope_type is %s; hokku converts %s with "
			"\"default\" there",
			r->path, jv_text(type, one, sizeof one), s->arch->class_name);
	if (jv_none(inside))
		return jv_none(other) ? HOKKU_OK : hf_read_positive(r, beside, other, base);
	jv_text(inside, one, sizeof one);
	jv_text(other, two, sizeof two);
	double x, y;
	if (!jv_none(other) && !(jv_double(inside, &x) && jv_double(other, &y) && x == y))
		hf_note(r, "%s is %s and %s %s: the former counts", field, one, beside, two);
	return hf_read_positive(r, field, inside, base);
}
