#include "server/request.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/field.h"
#include "server/responses.h"

/* ---- JSON itself ---- */

/* A small body can ask for a lot of memory ("[{},{},{}, ..."): counts what would be made of it before
 * anything is. */
static enum hokku_code check_size(struct str body, struct request_error *err)
{
	size_t containers = 0, elements = 0;
	bool in_string = false;
	for (size_t i = 0; i < body.len; i++) {
		char c = body.ptr[i];
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			containers++;
		} else if (c == ',') {
			elements++;
		}
	}
	if (containers > REQUEST_MAX_CONTAINERS)
		return bad(err, "", "the body has %zu objects and arrays; %d are allowed", containers,
			   REQUEST_MAX_CONTAINERS);
	if (elements >= REQUEST_MAX_ELEMENTS)
		return bad(err, "", "the body has %zu values; %d are allowed", elements + 1,
			   REQUEST_MAX_ELEMENTS);
	return HOKKU_OK;
}

static enum hokku_code parse_object(struct str body, struct jv_doc *out, struct request_error *err)
{
	char found[96];
	*out = (struct jv_doc){0};
	if (body.len == 0)
		return bad(err, "", "the body is empty; it must be a JSON object");
	enum hokku_code rc = check_size(body, err);
	if (rc)
		return rc;
	struct hokku_error why = {0};
	rc = jv_parse(body, JV_STRICT, out, &why);
	if (rc == HOKKU_OUT_OF_MEMORY)
		return field_no_memory(err);
	if (rc)
		return bad(err, "", "the body is no valid JSON, at %s", why.message);
	if (out->root.type == JV_OBJECT)
		return HOKKU_OK;
	field_describe(&out->root, found);
	jv_doc_free(out);
	return bad(err, "", "the body is %s; it must be a JSON object", found);
}

/* ---- a form's table ---- */

enum { MAX_KNOWN = 192 };

/* Returns false if there is no such field. */
static bool take_field(const struct request_form *form, struct gen_request *r, struct str key,
		       const struct jv *v, enum hokku_code *rc, struct request_error *err)
{
	for (const struct field *f = form->fields; f->name; f++) {
		if (str_eq_c(key, f->name)) {
			*rc = jv_none(v) ? HOKKU_OK : f->take(r, f->name, v, err);
			return true;
		}
	}
	for (size_t i = 0; i < n_sampling_fields && !form->no_sampling; i++) {
		if (str_eq_c(key, sampling_fields[i].name)) {
			*rc = jv_none(v) ? HOKKU_OK : field_sampling(r, &sampling_fields[i], v, err);
			return true;
		}
	}
	return false;
}

static void list_known(const struct request_form *form, const char *known[MAX_KNOWN])
{
	size_t n = 0;
	for (const struct field *f = form->fields; f->name && n + 1 < MAX_KNOWN; f++)
		known[n++] = f->name;
	for (size_t i = 0; i < n_sampling_fields && n + 1 < MAX_KNOWN && !form->no_sampling; i++)
		known[n++] = sampling_fields[i].name;
	known[n] = NULL;
}

/* Nobody knows what an unknown field would have changed. */
static enum hokku_code refuse_unknown(struct str key, const char *const *known, struct request_error *err)
{
	char quoted[80], field[64];
	const char *near = str_nearest(key.ptr, known);
	str_quote(key, quoted, sizeof quoted);
	bad(err, "",
	    near ? "%s is no field of this route; did you mean \"%s\"?" : "%s is no field of this route%s",
	    quoted, near ? near : "");
	snprintf(field, sizeof field, "%s", key.ptr);
	field[utf8_valid_prefix(field, strlen(field))] = '\0'; /* it may be cut */
	memcpy(err->field, field, sizeof err->field);
	return HOKKU_INVALID_REQUEST;
}

/* What a stray field may have been meant for. */
static const char *const prompt_fields[] = {"prompt", "messages", NULL};

enum hokku_code request_check_logprobs(const struct gen_request *r, struct request_error *err)
{
	if (r->n_top && !r->logprobs)
		return bad(err, "top_logprobs", "is %u; it goes with \"logprobs\": true, which is not there",
			   r->n_top);
	return HOKKU_OK;
}

enum hokku_code request_check_prompt_logprobs(const struct gen_request *r, size_t n_tokens,
					      struct request_error *err)
{
	char tokens[32], asked[32], most[32];
	bool echo = r->echo && r->logprobs;
	uint64_t n = (uint64_t)n_tokens * (r->n_prompt_top + 1) * (echo ? r->n : 1);
	if (!r->prompt_logprobs || r->stream || n <= REQUEST_MAX_PROMPT_LOGPROBS)
		return HOKKU_OK;
	return bad(
		err, echo ? "logprobs" : "prompt_logprobs",
		"is %u: of the prompt's %s tokens that is %s log probabilities, and an answer in one piece "
		"has %s at most; ask for fewer or stream it (\"stream\": true)",
		r->n_prompt_top, str_thousands(n_tokens, tokens), str_thousands(n, asked),
		str_thousands(REQUEST_MAX_PROMPT_LOGPROBS, most));
}

enum hokku_code request_make(struct gen_request *r, const struct strbuf *json, const struct jv **out,
			     struct request_error *err)
{
	struct hokku_error why;
	*out = NULL;
	if (json->failed)
		return field_no_memory(err);
	jv_doc_free(&r->made);
	r->made = (struct jv_doc){0};
	enum hokku_code rc =
		jv_parse((struct str){json->ptr ? json->ptr : "", json->len}, JV_STRICT, &r->made, &why);
	if (rc == HOKKU_OUT_OF_MEMORY)
		return field_no_memory(err);
	if (rc) {
		r->made = (struct jv_doc){0};
		return err_set(&err->error, HOKKU_INTERNAL,
			       "what the request was translated to cannot be read: %.200s", why.message);
	}
	*out = &r->made.root;
	return HOKKU_OK;
}

void request_defaults(const struct request_form *form, const struct sampling_advice *advice,
		      struct sampling *out)
{
	sampling_defaults(out, form->sampling, advice);
	for (const struct sampling_default *d = form->defaults; d && d->name; d++) {
		for (size_t i = 0; i < n_sampling_fields; i++) {
			const struct sampling_field *f = &sampling_fields[i];
			char *at = (char *)out + f->offset;
			if (strcmp(f->name, d->name) != 0 || (advice && advice->given >> i & 1))
				continue;
			if (f->kind == SAMPLING_INT)
				*(int32_t *)at = (int32_t)d->value;
			else
				*(float *)at = (float)d->value;
		}
	}
}

enum hokku_code request_parse(struct str body, const struct request_form *form,
			      const struct sampling_advice *advice, struct gen_request *out,
			      struct request_error *err)
{
	*out = (struct gen_request){
		.stream = form->stream, .n = 1, .priority = REQUEST_PRIORITY, .cache_prompt = true};
	err->field[0] = '\0';
	request_defaults(form, advice, &out->sampling);
	enum hokku_code rc = parse_object(body, &out->json, err);
	if (rc)
		return rc;
	const struct jv *root = &out->json.root;
	const char *known[MAX_KNOWN];
	struct str stray = {0};
	uint32_t n_warnings = 0;
	list_known(form, known);
	for (uint32_t i = 0; i < root->n; i++) {
		rc = HOKKU_OK;
		struct str key = jv_key(root, i);
		if (!take_field(form, out, key, jv_value(root, i), &rc, err)) {
			if (form->strict)
				return refuse_unknown(key, known, err);
			field_warn_unknown(&out->warnings, &n_warnings, "the request", key, known);
			stray = stray.ptr || !str_nearest(key.ptr, prompt_fields) ? stray : key;
		}
		if (rc)
			return rc;
	}
	return form->check(out, stray, err);
}

/* ---- hokku's own ---- */

static enum hokku_code check_prompt(struct gen_request *r, struct str stray, struct request_error *err)
{
	char quoted[80];
	int given = (r->prompt.ptr != NULL) + (r->tokens != NULL) + (r->messages != NULL);
	if (given == 0 && stray.ptr)
		return bad(err, "prompt", "is missing; the request has %s: did you mean \"%s\"?",
			   str_quote(stray, quoted, sizeof quoted), str_nearest(stray.ptr, prompt_fields));
	if (given == 0)
		return bad(err, "prompt", "is missing: give prompt (a string or token ids) or messages");
	if (given > 1)
		return bad(err, "prompt", "and messages are both given; give one of them");
	if (!r->messages && (r->tools || r->template_kwargs))
		return bad(err, r->tools ? "tools" : "chat_template_kwargs",
			   "is for the chat template, which messages go through; the request has a prompt");
	enum hokku_code rc = request_check_shape(r, err);
	if (!rc)
		rc = request_check_rules(r, err);
	return rc ? rc : request_check_logprobs(r, err);
}

static const struct field native_fields[] = {
	/* clang-format off */
	{"prompt", field_prompt},
	{"messages", field_messages},
	{"tools", field_tools},
	{"chat_template_kwargs", field_template_kwargs},
	{"now", field_now},
	{"id", field_id},
	{"stream", field_stream},
	{"stop", field_stop},
	{"max_tokens", field_max_tokens},
	{"seed", field_seed},
	FIELDS_OF_QUEUE,
	{"logprobs", field_logprobs},
	{"top_logprobs", field_top_logprobs},
	{"prompt_logprobs", field_prompt_logprobs},
	{"model", field_model},
	FIELDS_OF_RULES,
	FIELDS_OF_SHAPES,
	{NULL, NULL},
	/* clang-format on */
};

const struct request_form request_native = {
	.sampling = SAMPLING_OWN, .stream = true, .fields = native_fields, .check = check_prompt};

/* Copies the bytes of texts to *at. */
static void move_texts(struct str *texts, uint32_t n, char **at)
{
	for (uint32_t i = 0; i < n; i++) {
		memcpy(*at, texts[i].ptr, texts[i].len);
		texts[i].ptr = *at;
		*at += texts[i].len;
	}
}

bool request_drop_prompt(struct gen_request *r)
{
	size_t n = 0;
	for (uint32_t i = 0; i < r->n_stop; i++)
		n += r->stop[i].len;
	for (uint32_t i = 0; i < r->n_dry_breakers; i++)
		n += r->dry_breakers[i].len;
	r->stop_bytes = malloc(n + 1);
	if (!r->stop_bytes)
		return false;
	char *at = r->stop_bytes;
	move_texts(r->stop, r->n_stop, &at);
	move_texts(r->dry_breakers, r->n_dry_breakers, &at);
	free(r->tokens);
	free(r->before);
	free(r->prompts);
	free(r->messages);
	free(r->bias_texts);
	free(r->bad_words);
	free(r->origins);
	jv_doc_free(&r->json);
	jv_doc_free(&r->made);
	r->json = r->made = (struct jv_doc){0};
	r->bias_texts = NULL;
	r->bad_words = NULL;
	r->n_bias_texts = r->n_bad_words = 0;
	r->tokens = r->before = NULL;
	r->prompts = NULL;
	r->messages = NULL;
	r->tools = r->allowed_tools = r->template_kwargs = NULL;
	r->origins = NULL;
	r->begun = (struct str){NULL, 0};
	r->llama.content = r->llama.prompt = r->llama.prefix = r->llama.suffix = r->llama.extra = NULL;
	r->prompt = r->suffix = r->tool_name = r->effort = (struct str){NULL, 0};
	r->n_tokens = r->n_before = r->n_messages = 0;
	return true;
}

void request_free(struct gen_request *r)
{
	free(r->stop_bytes);
	free(r->tokens);
	free(r->before);
	free(r->prompts);
	free(r->messages);
	free(r->origins);
	free(r->bias);
	free(r->bias_texts);
	free(r->stop_tokens);
	free(r->allowed_tokens);
	free(r->bad_words);
	tok_ids_free(&r->bad_ids);
	free(r->model);
	strbuf_free(&r->warnings);
	strbuf_free(&r->cache_salt);
	strbuf_free(&r->llama.fields);
	strbuf_free(&r->shape_text);
	responses_request_free(r->responses);
	jv_doc_free(&r->json);
	jv_doc_free(&r->made);
	*r = (struct gen_request){0};
}

const char *const request_cancel_fields[] = {"id", NULL};

enum hokku_code request_parse_cancel(struct str body, char id[REQUEST_MAX_ID_BYTES + 1],
				     struct strbuf *warnings, struct request_error *err)
{
	err->field[0] = '\0';
	struct jv_doc json;
	enum hokku_code rc = parse_object(body, &json, err);
	if (rc)
		return rc;
	const struct jv *root = &json.root, *v = jv_get(root, "id");
	rc = v && !jv_is(v, JV_NULL) ? field_read_id(id, "id", v, err)
				     : bad(err, "id", "is missing; it names the request to cancel");
	uint32_t n_warnings = 0;
	for (uint32_t i = 0; i < root->n; i++)
		if (!str_eq_c(jv_key(root, i), "id"))
			field_warn_unknown(warnings, &n_warnings, "the request", jv_key(root, i),
					   request_cancel_fields);
	jv_doc_free(&json);
	return rc;
}
