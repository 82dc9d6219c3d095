/*
 * One thing said in two places of config.json. transformers (5.x, configuration_utils.py,
 * modeling_rope_utils.py, models/qwen2) has a rule for most of it; the rule is followed, and where the places
 * differ a note names both. docs/convert.md has the table.
 */
#include <stdio.h>

#include "hf/config.h"

enum { TEXT_BYTES = 96 };

static bool same_text(const struct jv *a, const struct jv *b)
{
	char one[512], two[512];
	return strcmp(jv_text(a, one, sizeof one), jv_text(b, two, sizeof two)) == 0;
}

static bool same_number(const struct jv *a, const struct jv *b)
{
	double x, y;
	return jv_double(a, &x) && jv_double(b, &y) && x == y;
}

/* ---- RoPE ---- */

/* An object under key that is not empty, or NULL. */
static enum hokku_code rope_object(const struct hf_reader *r, const struct jv *root, const char *key,
				   const struct jv **out)
{
	const struct jv *v = jv_get(root, key);
	*out = NULL;
	if (jv_none(v))
		return HOKKU_OK;
	if (!jv_is(v, JV_OBJECT))
		return hf_wrong(r, key, v, "an object");
	*out = v->n ? v : NULL;
	return HOKKU_OK;
}

/* rope_type, or type as it was called. A RoPE for each kind of layer is read where the architecture has it,
 * from the kind that sees all. */
static enum hokku_code check_kind(const struct hf_reader *r, const struct hf_arch *arch, const char *key,
				  const struct jv **rope)
{
	static const char *const layer_kinds[] = {"full_attention", "sliding_attention", "chunked_attention"};
	char found[TEXT_BYTES], other[TEXT_BYTES];
	const struct jv *full = jv_get(*rope, layer_kinds[0]);
	for (size_t i = 0; i < sizeof layer_kinds / sizeof *layer_kinds && !arch->layer_ropes; i++)
		if (jv_get(*rope, layer_kinds[i]))
			return err_set(r->err, HOKKU_INVALID_REQUEST,
				       "%s: %s.%s gives a kind of layer a RoPE of its own; hokku converts "
				       "%s with one RoPE",
				       r->path, key, layer_kinds[i], arch->class_name);
	if (jv_is(full, JV_OBJECT))
		*rope = full;
	const struct jv *type = jv_get(*rope, "rope_type"), *old = jv_get(*rope, "type");
	if (type && old && !same_text(type, old))
		hf_note(r, "%s.rope_type is %s and %s.type %s: rope_type counts", key,
			jv_text(type, found, sizeof found), key, jv_text(old, other, sizeof other));
	return HOKKU_OK;
}

static enum hokku_code check_partial(const struct hf_reader *r, const struct hf_arch *arch, const char *field,
				     const struct jv *v)
{
	char found[TEXT_BYTES];
	double part;
	if (arch->partial_rope || jv_none(v) || (jv_double(v, &part) && part == 1))
		return HOKKU_OK;
	return err_set(r->err, HOKKU_INVALID_REQUEST,
		       "%s: %s is %s; hokku converts %s whose RoPE turns whole heads (1)", r->path, field,
		       jv_text(v, found, sizeof found), arch->class_name);
}

/* transformers: rope_scaling, unless it is empty, takes the place of rope_parameters; the base in there goes
 * before the one beside it. */
enum hokku_code hf_rope(const struct hf_reader *r, const struct jv *root, const struct hf_arch *arch,
			const char **theta_field, const struct jv **theta)
{
	char found[TEXT_BYTES], other[TEXT_BYTES];
	const struct jv *scaling, *parameters, *beside = jv_get(root, "rope_theta");
	enum hokku_code rc = rope_object(r, root, "rope_scaling", &scaling);
	if (!rc)
		rc = rope_object(r, root, "rope_parameters", &parameters);
	if (!rc)
		rc = check_partial(r, arch, "partial_rotary_factor", jv_get(root, "partial_rotary_factor"));
	if (rc)
		return rc;
	const struct jv *rope = scaling ? scaling : parameters;
	bool old = rope == scaling && scaling;
	const char *key = old ? "rope_scaling" : "rope_parameters";
	*theta_field = "rope_theta";
	*theta = jv_none(beside) ? NULL : beside;
	if (!rope)
		return HOKKU_OK;
	if (scaling && parameters && !same_text(scaling, parameters))
		hf_note(r, "rope_scaling is %s and rope_parameters %s: rope_scaling counts",
			jv_text(scaling, found, sizeof found), jv_text(parameters, other, sizeof other));
	rc = check_kind(r, arch, key, &rope);
	const struct jv *part = jv_get(rope, "partial_rotary_factor"),
			*part_beside = jv_get(root, "partial_rotary_factor");
	if (!jv_none(part) && !jv_none(part_beside) && !same_number(part, part_beside))
		hf_note(r, "%s.partial_rotary_factor is %s and partial_rotary_factor %s: the former counts",
			key, jv_text(part, found, sizeof found), jv_text(part_beside, other, sizeof other));
	if (!rc)
		rc = check_partial(r, arch,
				   old ? "rope_scaling.partial_rotary_factor"
				       : "rope_parameters.partial_rotary_factor",
				   part);
	const struct jv *inside = jv_get(rope, "rope_theta");
	if (rc || jv_none(inside))
		return rc;
	if (*theta && !same_number(inside, beside))
		hf_note(r, "%s.rope_theta is %s and rope_theta %s: %s.rope_theta counts", key,
			jv_text(inside, found, sizeof found), jv_text(beside, other, sizeof other), key);
	*theta_field = old ? "rope_scaling.rope_theta" : "rope_parameters.rope_theta";
	*theta = inside;
	return HOKKU_OK;
}

/* ---- windows ---- */

/* The first layer that layer_types makes slide; n_layers if there is none. */
static enum hokku_code first_sliding(const struct hf_reader *r, const struct jv *root, const struct jv *types,
				     const struct hf_arch *arch, size_t *out)
{
	char found[TEXT_BYTES], field[48];
	int64_t n_layers;
	if (!jv_is(types, JV_ARRAY))
		return hf_wrong(r, "layer_types", types, "an array of strings");
	*out = jv_len(types);
	if (jv_int(jv_get(root, "num_hidden_layers"), &n_layers) && (uint64_t)n_layers != jv_len(types))
		return err_set(r->err, HOKKU_BAD_FILE,
			       "%s: layer_types has %zu layers; num_hidden_layers is %lld", r->path,
			       jv_len(types), (long long)n_layers);
	for (size_t i = jv_len(types); i-- > 0;) {
		const struct jv *type = jv_at(types, i);
		snprintf(field, sizeof field, "layer_types[%zu]", i);
		if (!jv_is(type, JV_STRING))
			return hf_wrong(r, field, type, "a string");
		if (str_eq_c(jv_str(type), "sliding_attention"))
			*out = i;
		else if (!str_eq_c(jv_str(type), "full_attention"))
			return err_set(r->err, HOKKU_INVALID_REQUEST,
				       "%s: %s is %s; hokku converts %s with \"full_attention\"", r->path,
				       field, jv_text(type, found, sizeof found), arch->class_name);
	}
	return HOKKU_OK;
}

/* What an absent setting is, as models/qwen2/configuration_qwen2.py has it. */
static enum hokku_code number_or(const struct hf_reader *r, const struct jv *root, const char *key,
				 uint32_t otherwise, uint32_t *out)
{
	*out = otherwise;
	const struct jv *v = jv_get(root, key);
	return v ? hf_read_u32(r, key, v, 0, UINT32_MAX, out) : HOKKU_OK;
}

/* use_sliding_window is true: layers slide from max_window_layers on, unless layer_types says which; and a
 * window as wide as the context cuts nothing off. */
static enum hokku_code check_window(const struct hf_reader *r, const struct jv *root,
				    const struct hf_arch *arch, size_t first, bool by_type)
{
	enum { WINDOW = 4096, FULL_LAYERS = 28 };
	uint32_t window, full_layers;
	int64_t n_layers = INT64_MAX, n_ctx = INT64_MAX;
	const struct jv *given = jv_get(root, "sliding_window");
	if (given && jv_none(given))
		return HOKKU_OK; /* null: none */
	enum hokku_code rc = number_or(r, root, "sliding_window", WINDOW, &window);
	if (!rc)
		rc = number_or(r, root, "max_window_layers", FULL_LAYERS, &full_layers);
	if (rc)
		return rc;
	jv_int(jv_get(root, "num_hidden_layers"), &n_layers);
	jv_int(jv_get(root, "max_position_embeddings"), &n_ctx);
	if (!by_type)
		first = full_layers;
	bool slides = by_type ? first < jv_len(jv_get(root, "layer_types")) : (int64_t)first < n_layers;
	if (!slides)
		hf_note(r, "use_sliding_window is true, but no layer slides: %s",
			by_type ? "layer_types has full_attention alone"
				: "max_window_layers is not below num_hidden_layers");
	else if (window >= n_ctx)
		hf_note(r,
			"use_sliding_window is true, but sliding_window %u is not below "
			"max_position_embeddings: it cuts nothing off",
			window);
	else
		return err_set(
			r->err, HOKKU_INVALID_REQUEST,
			"%s: use_sliding_window is true; hokku converts %s with false (layers from %zu "
			"on have a window of %u)",
			r->path, arch->class_name, first, window);
	return HOKKU_OK;
}

enum hokku_code hf_windows(const struct hf_reader *r, const struct jv *root, const struct hf_arch *arch)
{
	bool used = false;
	size_t first = SIZE_MAX;
	const struct jv *types = jv_get(root, "layer_types");
	enum hokku_code rc =
		hf_read_bool(r, "use_sliding_window", jv_get(root, "use_sliding_window"), &used, NULL);
	bool by_type = !jv_none(types);
	if (!rc && by_type)
		rc = first_sliding(r, root, types, arch, &first);
	if (rc)
		return rc;
	if (used)
		return check_window(r, root, arch, first, by_type);
	if (by_type && first < jv_len(types)) /* transformers has no window then, and stops */
		return err_set(r->err, HOKKU_INVALID_REQUEST,
			       "%s: layer_types[%zu] is \"sliding_attention\", but use_sliding_window is %s; "
			       "hokku cannot tell which is meant, and converts %s without windows",
			       r->path, first,
			       jv_get(root, "use_sliding_window") ? "false" : "absent (false)",
			       arch->class_name);
	return HOKKU_OK;
}

/* ---- the rest ---- */

enum hokku_code hf_twice(const struct hf_reader *r, const struct jv *root)
{
	char one[TEXT_BYTES], two[TEXT_BYTES];
	const struct jv *dtype = jv_get(root, "dtype"), *old = jv_get(root, "torch_dtype");
	if (!jv_none(dtype) && !jv_none(old) && !same_text(dtype, old))
		hf_note(r,
			"dtype is %s and torch_dtype %s: neither counts, each tensor has the type it is "
			"stored "
			"in",
			jv_text(dtype, one, sizeof one), jv_text(old, two, sizeof two));
	return HOKKU_OK;
}

/* transformers' class has one kind of layer: what layer_types says is not read there. */
void hf_unread_layers(const struct hf_reader *r, const struct jv *root, const struct hf_arch *arch)
{
	char found[TEXT_BYTES];
	const struct jv *types = jv_get(root, "layer_types");
	for (size_t i = 0; i < jv_len(types) && !arch->windows && !arch->layer_types; i++)
		if (!str_eq_c(jv_str(jv_at(types, i)), "full_attention")) {
			hf_note(r,
				"layer_types[%zu] is %s, which does not count: all layers of a %s are alike",
				i, jv_text(jv_at(types, i), found, sizeof found), arch->class_name);
			return;
		}
}

/* The weights are stored in a form that is no number for each. */
enum hokku_code hf_plain(const struct hf_reader *r, const struct jv *root)
{
	static const char *const keys[] = {"quantization_config", "compression_config"};
	char found[TEXT_BYTES];
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const struct jv *v = jv_get(root, keys[i]), *method = jv_get(v, "quant_method");
		bool named = jv_is(method, JV_STRING);
		if (jv_none(v))
			continue;
		return err_set(
			r->err, HOKKU_INVALID_REQUEST,
			"%s: %s%s is %s: the weights are quantised; hokku converts plain ones (F32, F16, "
			"BF16, F64), as the folder has them that this one was made of",
			r->path, keys[i], named ? ".quant_method" : "",
			jv_text(named ? method : v, found, sizeof found));
	}
	return HOKKU_OK;
}
