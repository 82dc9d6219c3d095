/* POST /api/show: what the model's file says of itself, and POST /api/embed and /api/embeddings, which models
 * that pool would answer. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/ollama.h"
#include "text/dialect.h"

/* ---- the file's keys ---- */

static void add_real(struct strbuf *b, double value, bool narrow)
{
	char text[32];
	if (!isfinite(value)) {
		strbuf_add_c(b, "null");
	} else if (narrow) {
		answer_float(b, (float)value);
	} else {
		snprintf(text, sizeof text, "%.17g", value);
		strbuf_add_c(b, text);
	}
}

/* arrays: whether they are written out, which a vocabulary makes long. */
static void add_value(struct strbuf *b, const struct gguf_value *v, bool arrays)
{
	struct gguf_array_iter it;
	struct gguf_value item;
	bool first = true;
	switch (v->type) {
	case GGUF_STRING:
		strbuf_add_json(b, v->string.ptr, v->string.len);
		break;
	case GGUF_BOOL:
		strbuf_add_c(b, v->u64 ? "true" : "false");
		break;
	case GGUF_F32:
	case GGUF_F64:
		add_real(b, v->f64, v->type == GGUF_F32);
		break;
	case GGUF_I8:
	case GGUF_I16:
	case GGUF_I32:
	case GGUF_I64:
		strbuf_addf(b, "%" PRId64, v->i64);
		break;
	case GGUF_ARRAY:
		if (!arrays) {
			strbuf_add_c(b, "null");
			break;
		}
		strbuf_add_c(b, "[");
		gguf_array_iter_init(&it, &v->array);
		for (; gguf_array_next(&it, &item); first = false) {
			strbuf_add_c(b, first ? "" : ",");
			add_value(b, &item, arrays);
		}
		strbuf_add_c(b, "]");
		break;
	default:
		strbuf_addf(b, "%" PRIu64, v->u64);
	}
}

/* All keys but those that have members of their own. */
static void add_model_info(struct strbuf *b, const struct request_served *served, bool verbose)
{
	static const char *const left_out[] = {"general.name", "tokenizer.chat_template",
					       "general.parameter_count"};
	strbuf_addf(b, ",\"model_info\":{\"general.parameter_count\":%" PRIu64, served->info->n_params);
	for (uint64_t i = 0; i < gguf_n_kv(served->file); i++) {
		const struct gguf_kv *kv = gguf_kv_at(served->file, i);
		bool out = false;
		for (size_t k = 0; k < sizeof left_out / sizeof *left_out; k++)
			out = out || str_eq_c(kv->key, left_out[k]);
		if (out)
			continue;
		strbuf_add_c(b, ",");
		strbuf_add_json(b, kv->key.ptr, kv->key.len);
		strbuf_add_c(b, ":");
		add_value(b, &kv->value, verbose);
	}
	strbuf_add_c(b, "}");
}

static void add_tensors(struct strbuf *b, const struct gguf *g)
{
	char type[16];
	strbuf_add_c(b, ",\"tensors\":[");
	for (uint64_t i = 0; i < gguf_n_tensors(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);
		strbuf_add_c(b, i ? ",{\"name\":" : "{\"name\":");
		strbuf_add_json(b, t->name.ptr, t->name.len);
		strbuf_add_c(b, ",\"type\":");
		answer_text(b, tensor_type_label((uint32_t)t->type, type));
		strbuf_add_c(b, ",\"shape\":[");
		for (uint32_t k = 0; k < t->n_dims; k++)
			strbuf_addf(b, "%s%" PRIu64, k ? "," : "", t->dims[k]);
		strbuf_add_c(b, "]}");
	}
	strbuf_add_c(b, "]");
}

/* ---- what of it is Ollama's ---- */

/* The sampling that the file recommends, a line a parameter. */
static void add_parameters(struct strbuf *out, const struct sampling_advice *advice, const char *format_of)
{
	for (size_t i = 0; advice && i < n_sampling_fields; i++) {
		const struct sampling_field *f = &sampling_fields[i];
		const char *at = (const char *)&advice->values + f->offset;
		if (!(advice->given >> i & 1))
			continue;
		const char *name = strcmp(f->name, "repetition_penalty") == 0 ? "repeat_penalty" : f->name;
		strbuf_addf(out, "%s%-30s ", format_of, name);
		if (f->kind == SAMPLING_INT)
			strbuf_addf(out, "%" PRId32, *(const int32_t *)at);
		else
			answer_float(out, *(const float *)at);
		strbuf_add_c(out, "\n");
	}
}

static void add_lines(struct strbuf *b, const char *name, const struct strbuf *lines)
{
	strbuf_addf(b, "\"%s\":", name);
	strbuf_add_json(b, lines->ptr ? lines->ptr : "", lines->len);
	b->failed |= lines->failed;
}

/* Clients offer tools and thinking where these are there. */
static void add_capabilities(struct strbuf *b, const struct tok *tok, const struct dialect_found *dialect)
{
	bool fim = tok_fim(tok, TOK_FIM_PREFIX) >= 0 && tok_fim(tok, TOK_FIM_SUFFIX) >= 0 &&
		   tok_fim(tok, TOK_FIM_MIDDLE) >= 0;
	const struct {
		bool is;
		const char *name;
	} rows[] = {{dialect && dialect->lists_tools, "tools"},
		    {dialect && dialect->marks_thinking, "thinking"},
		    {fim, "insert"}};
	strbuf_add_c(b, ",\"capabilities\":[\"completion\"");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].is)
			strbuf_addf(b, ",\"%s\"", rows[i].name);
	strbuf_add_c(b, "]");
}

static enum hokku_code tell_show(const struct request_told *told, struct strbuf *out,
				 struct request_error *err)
{
	const struct request_served *served = told->served;
	const struct jv *root = &told->request->json.root;
	struct strbuf parameters = {0}, modelfile = {0};
	struct str license = {0}, system = jv_str(jv_get(root, "system"));
	char time[OLLAMA_TIME_BYTES];
	bool found, verbose = jv_is_true(jv_get(root, "verbose"));
	(void)err;
	add_parameters(&parameters, served->advice, "");
	strbuf_addf(&modelfile, "FROM %s\n", served->name);
	add_parameters(&modelfile, served->advice, "PARAMETER ");
	strbuf_add_c(out, "{");
	if (!gguf_get_str(served->file, "general.license", &license, &found, NULL) && found) {
		strbuf_add_c(out, "\"license\":");
		strbuf_add_json(out, license.ptr, license.len);
		strbuf_add_c(out, ",");
	}
	add_lines(out, "modelfile", &modelfile);
	strbuf_add_c(out, ",");
	add_lines(out, "parameters", &parameters);
	strbuf_add_c(out, ",\"template\":");
	strbuf_add_json(out, told->chat->source.ptr ? told->chat->source.ptr : "", told->chat->source.len);
	if (system.len) {
		strbuf_add_c(out, ",\"system\":");
		strbuf_add_json(out, system.ptr, system.len);
	}
	strbuf_add_c(out, ",\"details\":");
	ollama_add_details(out, served->info, served->file);
	add_model_info(out, served, verbose);
	if (verbose)
		add_tensors(out, served->file);
	add_capabilities(out, told->tok, served->dialect);
	strbuf_addf(out, ",\"modified_at\":\"%s\"", ollama_modified(served->file, time));
	if (told->request->warnings.len) {
		strbuf_add_c(out, ",\"warnings\":[");
		strbuf_add(out, told->request->warnings.ptr, told->request->warnings.len);
		strbuf_add_c(out, "]");
	}
	strbuf_add_c(out, "}\n");
	strbuf_free(&parameters);
	strbuf_free(&modelfile);
	return HOKKU_OK;
}

/* ---- requests ---- */

/* Of old: "name" for "model". */
static enum hokku_code take_name(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	return r->model ? ollama_take_text(r, name, v, err) : field_model(r, name, v, err);
}

static enum hokku_code take_model(struct gen_request *r, const char *name, const struct jv *v,
				  struct request_error *err)
{
	free(r->model);
	r->model = NULL;
	return field_model(r, name, v, err);
}

static enum hokku_code take_verbose(struct gen_request *r, const char *name, const struct jv *v,
				    struct request_error *err)
{
	bool verbose;
	(void)r;
	return field_bool(name, v, &verbose, err);
}

static enum hokku_code pass_over(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	char text[96];
	(void)v;
	(void)err;
	snprintf(text, sizeof text, "%s has no effect here", name);
	field_warn(&r->warnings, text);
	return HOKKU_OK;
}

static enum hokku_code check_model(struct gen_request *r, struct str stray, struct request_error *err)
{
	(void)stray;
	return r->model ? HOKKU_OK : bad(err, "model", "is required; GET /api/tags lists what there is");
}

static enum hokku_code admit(struct gen_request *r, const struct request_served *served,
			     struct request_error *err)
{
	return ollama_admit_model(r, served, err);
}

/* ---- embeddings ---- */

static enum hokku_code take_input(struct gen_request *r, const char *name, const struct jv *v,
				  struct request_error *err)
{
	char found[96], field[64];
	(void)r;
	for (size_t i = 0; i < jv_len(v); i++) {
		snprintf(field, sizeof field, "%s[%zu]", name, i);
		if (!jv_is(jv_at(v, i), JV_STRING))
			return bad(err, field, "is %s; it takes a string",
				   field_describe(jv_at(v, i), found));
	}
	if (jv_is(v, JV_ARRAY) || jv_is(v, JV_STRING))
		return HOKKU_OK;
	return bad(err, name, "is %s; it takes a string or an array of strings", field_describe(v, found));
}

static enum hokku_code take_dimensions(struct gen_request *r, const char *name, const struct jv *v,
				       struct request_error *err)
{
	char found[96];
	int64_t n;
	(void)r;
	if (field_whole(v, &n) && n >= 0 && n <= INT32_MAX)
		return HOKKU_OK;
	return bad(err, name, "is %s; it takes a whole number from 0 to %d", field_describe(v, found),
		   INT32_MAX);
}

static enum hokku_code tell_embed(const struct request_told *told, struct strbuf *out,
				  struct request_error *err)
{
	(void)out;
	snprintf(err->field, sizeof err->field, "model");
	return err_set(
		&err->error, HOKKU_INVALID_REQUEST,
		"the model '%s' does not support embeddings: it writes text, and has no layer that pools",
		told->request->model);
}

static const struct field show_fields[] = {
	{"model", take_model},
	{"name", take_name},
	{"system", ollama_take_text},
	{"template", pass_over},
	{"options", pass_over},
	{"verbose", take_verbose},
	{NULL, NULL},
};

static const struct field embed_fields[] = {
	{"model", field_model},
	{"input", take_input},
	{"dimensions", take_dimensions},
	{"truncate", take_verbose},
	{"options", ollama_options},
	{"keep_alive", ollama_take_keep_alive},
	{NULL, NULL},
};

static const struct field embeddings_fields[] = {
	{"model", field_model},
	{"prompt", ollama_take_text},
	{"options", ollama_options},
	{"keep_alive", ollama_take_keep_alive},
	{NULL, NULL},
};

#define FORM(fields_, tell_)                                                                 \
	{                                                                                    \
		.strict = true, .no_sampling = true, .untokenized = true, .fields = fields_, \
		.check = check_model, .admit = admit, .tell = tell_                          \
	}

static const struct request_form request_show = FORM(show_fields, tell_show),
				 request_embed = FORM(embed_fields, tell_embed),
				 request_embeddings = FORM(embeddings_fields, tell_embed);

const struct api api_ollama_show = {.does = API_TELLS, .form = &request_show, .error = ollama_error};
const struct api api_ollama_embed = {.does = API_TELLS, .form = &request_embed, .error = ollama_error};
const struct api api_ollama_embeddings = {
	.does = API_TELLS, .form = &request_embeddings, .error = ollama_error};
