/* From a config.json to a shape, by the row of its architecture (archs.c). */
#include <inttypes.h>
#include <stdio.h>

#include "hf/archs.h"
#include "hf/config.h"

#define FIELD(name) offsetof(struct hf_shape, name)

static void list_archs(char *out, size_t size)
{
	size_t n = 0;
	out[0] = '\0';
	for (size_t i = 0; i < hf_n_archs && n < size; i++)
		if (i == 0 || strcmp(hf_archs[i].class_name, hf_archs[i - 1].class_name) != 0)
			n += (size_t)snprintf(out + n, size - n, "%s%s", i ? ", " : "",
					      hf_archs[i].class_name);
}

static enum hokku_code unknown_arch(const struct hf_reader *r, const char *field, const struct jv *given)
{
	char found[96], known[640];
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
	while (i < hf_n_archs && !(class_name ? str_eq_c(jv_str(class_name), hf_archs[i].class_name)
					      : str_eq_c(jv_str(model_type), hf_archs[i].model_type)))
		i++;
	if (i == hf_n_archs)
		return class_name ? unknown_arch(r, "architectures[0]", class_name)
				  : unknown_arch(r, "model_type", model_type);
	if (!jv_none(model_type) && !str_eq_c(jv_str(model_type), hf_archs[i].model_type))
		return err_set(r->err, HOKKU_INVALID_REQUEST,
			       "%s: model_type is %s, but architectures[0] is \"%s\", whose model_type is "
			       "\"%s\"; which of them is meant?",
			       r->path, jv_text(model_type, found, sizeof found), hf_archs[i].class_name,
			       hf_archs[i].model_type);
	if (jv_len(classes) > 1)
		hf_note(r, "architectures is %s: the first counts", jv_text(classes, found, sizeof found));
	*out = &hf_archs[i];
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

static enum hokku_code read_numbers(const struct hf_reader *r, const struct jv *root,
				    const struct jv *defaults, struct hf_shape *out)
{
	const char *theta_field;
	const struct jv *theta;
	enum hokku_code rc = hf_rope(r, root, out->arch, &theta_field, &theta);
	if (!rc && !theta)
		theta = jv_get(defaults, "rope_theta");
	for (const struct config_row *row = out->arch->config; row->config && !rc; row++) {
		const struct jv *value = jv_get(root, row->config);
		if (!value)
			value = jv_get(defaults, row->config);
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
static enum hokku_code read_heads(const struct hf_reader *r, const struct jv *root, const struct jv *defaults,
				  struct hf_shape *s)
{
	static const struct config_row head_dim = {"head_dim", NULL, false, 1024, FIELD(head_dim)};
	const struct jv *value = jv_get(root, head_dim.config);
	if (!value)
		value = jv_get(defaults, head_dim.config);
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

/* The part of a model that reads pictures too which is the language model, with its own model_type. */
static enum hokku_code find_text(const struct hf_reader *r, const struct jv **root, struct hf_shape *s)
{
	const struct jv *text = jv_get(*root, "text_config");
	s->has_vision = text != NULL;
	if (!text)
		return HOKKU_OK;
	if (!jv_is(text, JV_OBJECT))
		return hf_wrong(r, "text_config", text, "an object");
	const struct jv *type = jv_get(text, "model_type");
	for (size_t i = 0; i < hf_n_archs; i++)
		if (strcmp(hf_archs[i].class_name, s->arch->class_name) == 0 &&
		    (jv_none(type) ||
		     str_eq_c(jv_str(type), hf_archs[i].text_type ? hf_archs[i].text_type : ""))) {
			s->arch = &hf_archs[i];
			*root = text;
			hf_note(r,
				"%s: the part that reads and writes text is taken, what reads pictures is "
				"left out",
				s->arch->class_name);
			return HOKKU_OK;
		}
	return unknown_arch(r, "text_config.model_type", type);
}

/* Of a folder that reads pictures too the text's part says it, or the whole. */
static enum hokku_code read_tied(const struct hf_reader *r, const struct jv *root, const struct jv *whole,
				 const struct jv *defaults, struct hf_shape *s)
{
	const char *const key = "tie_word_embeddings";
	const struct jv *tied = jv_get(root, key), *outer = jv_get(whole, key);
	if (root != whole && jv_is(tied, JV_BOOL) && jv_is(outer, JV_BOOL) &&
	    jv_is_true(tied) != jv_is_true(outer))
		hf_note(r, "text_config.%s is %s and %s %s: the former counts", key,
			jv_is_true(tied) ? "true" : "false", key, jv_is_true(outer) ? "true" : "false");
	s->tied = jv_is_true(jv_get(defaults, key));
	return hf_read_bool(r, key, jv_none(tied) ? outer : tied, &s->tied, &s->tied_given);
}

static enum hokku_code read_all(const struct hf_reader *r, const struct jv *root, const struct jv *whole,
				const struct jv *defaults, struct hf_shape *s)
{
	enum hokku_code rc = hf_plain(r, root);
	if (!rc)
		rc = hf_plain(r, whole);
	if (!rc)
		rc = check_refused(r, root, s->arch);
	hf_unread_layers(r, root, s->arch);
	if (!rc && s->arch->windows)
		rc = hf_windows(r, root, s->arch);
	if (!rc)
		rc = read_numbers(r, root, defaults, s);
	if (!rc)
		rc = read_heads(r, root, defaults, s);
	if (!rc)
		rc = hf_twice(r, root);
	if (!rc)
		rc = read_tied(r, root, whole, defaults, s);
	return rc ? rc : s->arch->read(r, root, s);
}

enum hokku_code hf_shape_read(const struct jv *root, const char *path, const struct observer *observer,
			      struct hf_shape *out, struct hokku_error *err)
{
	const struct hf_reader r = {path, observer, err};
	const struct jv *const whole = root;
	struct jv_doc defaults = {0};
	*out = (struct hf_shape){0};
	enum hokku_code rc = find_arch(&r, root, &out->arch);
	if (!rc)
		rc = find_text(&r, &root, out);
	if (!rc && out->arch->defaults)
		rc = jv_parse(str_c(out->arch->defaults), JV_STRICT, &defaults, err);
	if (!rc)
		rc = read_all(&r, root, whole, out->arch->defaults ? &defaults.root : NULL, out);
	jv_doc_free(&defaults);
	return rc;
}

uint32_t hf_side(const struct hf_shape *s, enum side side)
{
	const uint32_t sides[N_SIDES] = {
		[SIDE_NONE] = 1,
		[SIDE_MODEL] = s->d_model,
		[SIDE_Q] = s->n_heads * s->head_dim,
		[SIDE_KV] = s->n_kv_heads * s->head_dim,
		[SIDE_QKV] = (s->n_heads + 2 * s->n_kv_heads) * s->head_dim,
		[SIDE_FF] = s->d_ff,
		[SIDE_2FF] = 2 * s->d_ff,
		[SIDE_HEAD] = s->head_dim,
		[SIDE_VOCAB] = s->n_vocab,
	};
	return sides[side];
}

const char *hf_table(const struct hf_shape *s, enum hf_table which, const float **values, uint32_t *n)
{
	static const char *const names[N_HF_TABLES] = {
		[TABLE_ROPE_FREQS] = "rope_freqs.weight",
		[TABLE_ROPE_LONG] = "rope_factors_long.weight",
		[TABLE_ROPE_SHORT] = "rope_factors_short.weight",
	};
	*values = s->tables[which];
	*n = s->n_pairs[which];
	return names[which];
}

static bool has_row(const struct hf_shape *s, const struct hf_tensor_row *row)
{
	switch (row->when) {
	case WHEN_UNTIED:
		return !s->tied;
	case WHEN_ATTN_BIAS:
		return s->attn_bias;
	case WHEN_MLP_BIAS:
		return s->mlp_bias;
	case WHEN_ALWAYS:
		break;
	}
	return true;
}

bool tensor_iter_next(const struct hf_shape *s, struct tensor_iter *it)
{
	const struct hf_tensor_row *rows = s->arch->tensors;
	bool in_layers = it->row && it->row->per_layer;
	if (it->row)
		it->at++;
	for (;;) {
		/* The rows of a layer stand together: after its last one the next layer begins. */
		if (in_layers && !rows[it->at].per_layer) {
			in_layers = ++it->layer < s->n_layers;
			it->at = in_layers ? it->per_layer_from : it->at;
		}
		if (!rows[it->at].hf || has_row(s, &rows[it->at]))
			break;
		it->at++;
	}
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
