#include "server/request.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Puts the field that is at fault before the message. */
static enum hokku_code name_field(struct request_error *err, const char *field)
{
	char text[sizeof err->error.message];
	memcpy(text, err->error.message, sizeof text);
	snprintf(err->field, sizeof err->field, "%s", field);
	if (*field)
		err_set(&err->error, HOKKU_INVALID_REQUEST, "%s %s", field, text);
	return HOKKU_INVALID_REQUEST;
}

/* bad(err, FIELD, FORMAT, ...): INVALID_REQUEST with the message "FIELD TEXT"; field "" where none is at
 * fault. */
#define bad(err, field, ...) \
	(err_set(&(err)->error, HOKKU_INVALID_REQUEST, __VA_ARGS__), name_field(err, field))

static enum hokku_code no_memory(struct request_error *err)
{
	return err_set(&err->error, HOKKU_OUT_OF_MEMORY, "no memory for the request");
}

/* What a value is, for messages: `the string "hot"`, `1e+09`, `an array`. Returns out. */
static const char *describe(const struct jv *v, char out[96])
{
	char quoted[64];
	double real;
	switch (v->type) {
	case JV_STRING:
		str_quote(jv_str(v), quoted, sizeof quoted);
		snprintf(out, 96, "the string %s", quoted);
		break;
	case JV_NUMBER:
		jv_text(v, out, 96);
		if (strpbrk(v->text, ".eE") && jv_double(v, &real))
			snprintf(out, 96, "%.10g", real);
		break;
	case JV_BOOL:
	case JV_NULL:
		jv_text(v, out, 96);
		break;
	case JV_ARRAY:
		snprintf(out, 96, "an array of %zu", jv_len(v));
		break;
	case JV_OBJECT:
		snprintf(out, 96, "an object");
		break;
	}
	return out;
}

/* A number; NaN for anything else, and for one that no double holds. */
static double number_of(const struct jv *v)
{
	double x;
	return jv_double(v, &x) ? x : (double)NAN;
}

/* A whole number, also one written 40.0. */
static bool get_whole(const struct jv *v, int64_t *out)
{
	if (jv_int(v, out))
		return true;
	double real = number_of(v);
	if (!(fabs(real) < 0x1p53) || real != floor(real))
		return false;
	*out = (int64_t)real;
	return true;
}

/* ---- the fields of POST /v1/generate ---- */

static enum hokku_code take_prompt(struct gen_request *r, const struct jv *v, struct request_error *err)
{
	char found[96], field[64];
	if (jv_is(v, JV_STRING)) {
		r->prompt = jv_str(v);
		if (r->prompt.len == 0)
			return bad(err, "prompt", "is empty; it takes at least one character or token id");
		return HOKKU_OK;
	}
	if (!jv_is(v, JV_ARRAY))
		return bad(err, "prompt", "is %s; it takes a string or an array of token ids",
			   describe(v, found));
	size_t n = jv_len(v);
	if (n == 0)
		return bad(err, "prompt", "is an empty array; it takes at least one token id");
	r->tokens = malloc(n * sizeof *r->tokens);
	if (!r->tokens)
		return no_memory(err);
	r->n_tokens = n;
	for (size_t i = 0; i < n; i++) {
		int64_t id;
		const struct jv *item = jv_at(v, i);
		if (!get_whole(item, &id) || id < 0 || id > INT32_MAX) {
			snprintf(field, sizeof field, "prompt[%zu]", i);
			return bad(err, field, "is %s; it takes a token id, a whole number from 0 to %d",
				   describe(item, found), INT32_MAX);
		}
		r->tokens[i] = (int32_t)id;
	}
	return HOKKU_OK;
}

static void warn_unknown(struct strbuf *warnings, uint32_t *n, const char *where, struct str key,
			 const char *const *known)
{
	char quoted[80], text[256];
	if (++*n > REQUEST_MAX_WARNINGS)
		return;
	const char *near = str_nearest(key.ptr, known);
	str_quote(key, quoted, sizeof quoted);
	if (*n == REQUEST_MAX_WARNINGS)
		snprintf(text, sizeof text, "there are more unknown fields");
	else if (near)
		snprintf(text, sizeof text, "%s is no field of %s and was ignored; did you mean \"%s\"?",
			 quoted, where, near);
	else
		snprintf(text, sizeof text, "%s is no field of %s and was ignored", quoted, where);
	if (warnings->len)
		strbuf_add_c(warnings, ",");
	strbuf_add_json(warnings, text, strlen(text));
}

static enum hokku_code take_messages(struct gen_request *r, const struct jv *v, struct request_error *err)
{
	/* All of a message goes to the template; a member that looks like a slip of the pen is told. */
	static const char *const known[] = {"role",         "content",           "name",     "tool_calls",
					    "tool_call_id", "reasoning_content", "thinking", NULL};
	char found[96];
	if (!jv_is(v, JV_ARRAY) || jv_len(v) == 0)
		return bad(err, "messages", "is %s; it takes an array of at least one {role, content}",
			   describe(v, found));
	size_t n = jv_len(v);
	r->messages = malloc(n * sizeof *r->messages);
	if (!r->messages)
		return no_memory(err);
	r->n_messages = n;
	uint32_t n_warnings = 0;
	for (size_t i = 0; i < n; i++) {
		const struct jv *item = jv_at(v, i);
		enum hokku_code rc = chat_message_read(item, i, &r->messages[i], err->field, &err->error);
		if (rc)
			return rc;
		for (uint32_t k = 0; k < item->n; k++) {
			const char *near = str_nearest(jv_key(item, k).ptr, known);
			if (near && !str_eq_c(jv_key(item, k), near))
				warn_unknown(&r->warnings, &n_warnings, "a message", jv_key(item, k), known);
		}
	}
	return HOKKU_OK;
}

static enum hokku_code take_tools(struct gen_request *r, const struct jv *v, struct request_error *err)
{
	char found[96], field[64];
	if (!jv_is(v, JV_ARRAY))
		return bad(err, "tools", "is %s; it takes an array of objects", describe(v, found));
	for (size_t i = 0; i < jv_len(v); i++) {
		snprintf(field, sizeof field, "tools[%zu]", i);
		if (!jv_is(jv_at(v, i), JV_OBJECT))
			return bad(err, field, "is %s; it takes an object", describe(jv_at(v, i), found));
	}
	r->tools = jv_len(v) ? v : NULL;
	return HOKKU_OK;
}

static enum hokku_code take_template_kwargs(struct gen_request *r, const struct jv *v,
					    struct request_error *err)
{
	r->template_kwargs = v;
	if (chat_check_kwargs(v, &err->error))
		return name_field(err, "chat_template_kwargs");
	return HOKKU_OK;
}

static enum hokku_code take_now(struct gen_request *r, const struct jv *v, struct request_error *err)
{
	char found[96];
	r->has_now = jv_is(v, JV_STRING) && jinja_time_parse(jv_str(v), &r->now);
	if (!r->has_now)
		return bad(err, "now", "is %s; it takes a date as \"2026-07-31\" or \"2026-07-31T12:00:00\"",
			   describe(v, found));
	return HOKKU_OK;
}

static enum hokku_code take_one_stop(struct gen_request *r, const struct jv *v, const char *field,
				     struct request_error *err)
{
	char found[96];
	if (!jv_is(v, JV_STRING))
		return bad(err, field, "is %s; it takes a string", describe(v, found));
	struct str s = jv_str(v);
	if (s.len < 1 || s.len > ENGINE_MAX_STOP_BYTES)
		return bad(err, field, "has %zu bytes; it takes 1 to %d", s.len, ENGINE_MAX_STOP_BYTES);
	r->stop[r->n_stop++] = s;
	return HOKKU_OK;
}

static enum hokku_code take_stop(struct gen_request *r, const struct jv *v, struct request_error *err)
{
	char found[96], field[64];
	if (jv_is(v, JV_STRING))
		return take_one_stop(r, v, "stop", err);
	if (!jv_is(v, JV_ARRAY))
		return bad(err, "stop", "is %s; it takes a string or an array of up to %d strings",
			   describe(v, found), ENGINE_MAX_STOP);
	if (jv_len(v) > ENGINE_MAX_STOP)
		return bad(err, "stop", "has %zu strings; it takes up to %d", jv_len(v), ENGINE_MAX_STOP);
	for (size_t i = 0; i < jv_len(v); i++) {
		snprintf(field, sizeof field, "stop[%zu]", i);
		enum hokku_code rc = take_one_stop(r, jv_at(v, i), field, err);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

static enum hokku_code take_max_tokens(struct gen_request *r, const struct jv *v, struct request_error *err)
{
	char found[96];
	int64_t n;
	if (!get_whole(v, &n) || n < 1 || n > INT32_MAX)
		return bad(err, "max_tokens", "is %s; it takes a whole number from 1 to %d",
			   describe(v, found), INT32_MAX);
	r->max_tokens = (uint32_t)n;
	return HOKKU_OK;
}

static enum hokku_code take_stream(struct gen_request *r, const struct jv *v, struct request_error *err)
{
	char found[96];
	if (!jv_is(v, JV_BOOL))
		return bad(err, "stream", "is %s; it takes true or false", describe(v, found));
	r->stream = jv_is_true(v);
	return HOKKU_OK;
}

/* 64 bits. JSON numbers of programs in between often hold 53 only, hence the string form as well. */
static enum hokku_code take_seed(struct gen_request *r, const struct jv *v, struct request_error *err)
{
	char found[96];
	int64_t n;
	bool ok = false;
	if (jv_is(v, JV_STRING)) {
		struct str s = jv_str(v);
		uint64_t seed = 0;
		ok = s.len > 0 && s.len <= 20;
		for (size_t i = 0; i < s.len && ok; i++) {
			unsigned digit = (unsigned)s.ptr[i] - '0';
			ok = digit <= 9 && !__builtin_mul_overflow(seed, 10, &seed) &&
			     !__builtin_add_overflow(seed, digit, &seed);
		}
		r->sampling.seed = seed;
	} else if (get_whole(v, &n) && n >= 0) {
		ok = true;
		r->sampling.seed = (uint64_t)n;
	}
	if (!ok)
		return bad(err, "seed",
			   "is %s; it takes a whole number from 0 to 18446744073709551615 (as a string of "
			   "digits "
			   "when it is above 9223372036854775807)",
			   describe(v, found));
	r->has_seed = true;
	return HOKKU_OK;
}

static bool is_id_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
	       c == '_' || c == '.' || c == ':';
}

static enum hokku_code take_id(char id[REQUEST_MAX_ID_BYTES + 1], const struct jv *v,
			       struct request_error *err)
{
	char found[96];
	struct str s = jv_is(v, JV_STRING) ? jv_str(v) : (struct str){NULL, 0};
	bool ok = s.len >= 1 && s.len <= REQUEST_MAX_ID_BYTES;
	for (size_t i = 0; ok && i < s.len; i++)
		ok = is_id_char(s.ptr[i]);
	if (!ok)
		return bad(err, "id", "is %s; it takes 1 to %d characters out of A-Z a-z 0-9 - _ . :",
			   describe(v, found), REQUEST_MAX_ID_BYTES);
	memcpy(id, s.ptr, s.len);
	id[s.len] = '\0';
	return HOKKU_OK;
}

static enum hokku_code take_request_id(struct gen_request *r, const struct jv *v, struct request_error *err)
{
	return take_id(r->id, v, err);
}

/* A key of logit_bias: a token id in digits. */
static bool parse_token_key(struct str key, int32_t *out)
{
	int64_t n = 0;
	size_t i = 0;
	for (; i < key.len && key.ptr[i] >= '0' && key.ptr[i] <= '9' && i < 10; i++)
		n = n * 10 + (key.ptr[i] - '0');
	*out = (int32_t)n;
	return i > 0 && i == key.len && n <= INT32_MAX && !(key.ptr[0] == '0' && i > 1);
}

static enum hokku_code take_logit_bias(struct gen_request *r, const struct jv *v, struct request_error *err)
{
	char found[96], quoted[64];
	if (!jv_is(v, JV_OBJECT))
		return bad(err, "logit_bias", "is %s; it takes an object of token ids and numbers",
			   describe(v, found));
	size_t n = v->n;
	if (n > COMPUTE_MAX_LOGIT_BIAS)
		return bad(err, "logit_bias", "has %zu entries; it takes up to %d", n,
			   COMPUTE_MAX_LOGIT_BIAS);
	struct hokku_logit_bias *bias = malloc((n + 1) * sizeof *bias);
	if (!bias)
		return no_memory(err);
	r->sampling.bias = r->bias = bias;
	for (uint32_t i = 0; i < v->n; i++) {
		const struct jv *value = jv_value(v, i);
		struct str key = jv_key(v, i);
		struct hokku_logit_bias *b = &bias[r->sampling.n_bias];
		if (!parse_token_key(key, &b->token))
			return bad(err, "logit_bias", "has the key %s; a key is a token id in digits",
				   str_quote(key, quoted, sizeof quoted));
		double x = number_of(value);
		if (!(fabs(x) <= ENGINE_MAX_LOGIT_BIAS))
			return bad(err, "logit_bias", "of token %d is %s; it takes a number from -%d to %d",
				   b->token, describe(value, found), ENGINE_MAX_LOGIT_BIAS,
				   ENGINE_MAX_LOGIT_BIAS);
		b->bias = (float)x;
		r->sampling.n_bias++;
	}
	return HOKKU_OK;
}

static const struct field {
	const char *name;
	enum hokku_code (*take)(struct gen_request *r, const struct jv *v, struct request_error *err);
} fields[] = {
	/* clang-format off */
	{"prompt", take_prompt},
	{"messages", take_messages},
	{"tools", take_tools},
	{"chat_template_kwargs", take_template_kwargs},
	{"now", take_now},
	{"id", take_request_id},
	{"stream", take_stream},
	{"stop", take_stop},
	{"max_tokens", take_max_tokens},
	{"seed", take_seed},
	{"logit_bias", take_logit_bias},
	/* clang-format on */
};
enum { N_FIELDS = sizeof fields / sizeof *fields, MAX_KNOWN = 64 };

/* The engine's table says which numbers are allowed. */
static enum hokku_code take_sampling(struct gen_request *r, const struct sampling_field *f,
				     const struct jv *v, struct request_error *err)
{
	char found[96];
	char *target = (char *)&r->sampling + f->offset;
	const char *kind = f->kind == SAMPLING_INT ? "a whole number" : "a number";
	double x = number_of(v);
	int64_t whole = 0;
	bool ok = f->kind == SAMPLING_INT ? get_whole(v, &whole) : true;
	ok = ok && x <= f->max && (f->min_open ? x > f->min : x >= f->min);
	if (ok && f->kind == SAMPLING_FLOAT) {
		float narrow = (float)x;
		ok = !f->min_open || (double)narrow > f->min; /* 1e-60 is 0 as a float */
		memcpy(target, &narrow, sizeof narrow);
	} else if (ok) {
		int32_t narrow = (int32_t)whole;
		memcpy(target, &narrow, sizeof narrow);
	}
	if (ok)
		return HOKKU_OK;
	return bad(err, f->name,
		   f->min_open ? "is %s; it takes %s above %.10g and up to %.10g"
			       : "is %s; it takes %s from %.10g to %.10g",
		   describe(v, found), kind, f->min, f->max);
}

/* Returns false if there is no such field. */
static bool take_field(struct gen_request *r, struct str key, const struct jv *v, enum hokku_code *rc,
		       struct request_error *err)
{
	for (size_t i = 0; i < N_FIELDS; i++) {
		if (str_eq_c(key, fields[i].name)) {
			*rc = jv_none(v) ? HOKKU_OK : fields[i].take(r, v, err);
			return true;
		}
	}
	for (size_t i = 0; i < n_sampling_fields; i++) {
		if (str_eq_c(key, sampling_fields[i].name)) {
			*rc = jv_none(v) ? HOKKU_OK : take_sampling(r, &sampling_fields[i], v, err);
			return true;
		}
	}
	return false;
}

static void list_known(const char *known[MAX_KNOWN])
{
	size_t n = 0;
	for (size_t i = 0; i < N_FIELDS; i++)
		known[n++] = fields[i].name;
	for (size_t i = 0; i < n_sampling_fields && n + 1 < MAX_KNOWN; i++)
		known[n++] = sampling_fields[i].name;
	known[n] = NULL;
}

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
		return no_memory(err);
	if (rc)
		return bad(err, "", "the body is no valid JSON, at %s", why.message);
	if (out->root.type == JV_OBJECT)
		return HOKKU_OK;
	describe(&out->root, found);
	jv_doc_free(out);
	return bad(err, "", "the body is %s; it must be a JSON object", found);
}

static const char *const prompt_fields[] = {"prompt", "messages", NULL};

/* stray: an unknown field that may have been meant for the prompt, terminated; NULL: none. */
static enum hokku_code check_prompt(const struct gen_request *r, struct str stray, struct request_error *err)
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
	return HOKKU_OK;
}

enum hokku_code request_parse(struct str body, struct gen_request *out, struct request_error *err)
{
	*out = (struct gen_request){.stream = true};
	err->field[0] = '\0';
	sampling_defaults(&out->sampling, SAMPLING_OWN, NULL);
	enum hokku_code rc = parse_object(body, &out->json, err);
	if (rc)
		return rc;
	const struct jv *root = &out->json.root;
	const char *known[MAX_KNOWN];
	struct str stray = {0};
	uint32_t n_warnings = 0;
	list_known(known);
	for (uint32_t i = 0; i < root->n; i++) {
		rc = HOKKU_OK;
		struct str key = jv_key(root, i);
		if (!take_field(out, key, jv_value(root, i), &rc, err)) {
			warn_unknown(&out->warnings, &n_warnings, "the request", key, known);
			stray = stray.ptr || !str_nearest(key.ptr, prompt_fields) ? stray : key;
		}
		if (rc)
			return rc;
	}
	return check_prompt(out, stray, err);
}

bool request_drop_prompt(struct gen_request *r)
{
	size_t n = 0;
	for (uint32_t i = 0; i < r->n_stop; i++)
		n += r->stop[i].len;
	r->stop_bytes = malloc(n + 1);
	if (!r->stop_bytes)
		return false;
	char *at = r->stop_bytes;
	for (uint32_t i = 0; i < r->n_stop; i++) {
		memcpy(at, r->stop[i].ptr, r->stop[i].len);
		r->stop[i].ptr = at;
		at += r->stop[i].len;
	}
	free(r->tokens);
	free(r->messages);
	jv_doc_free(&r->json);
	r->tokens = NULL;
	r->messages = NULL;
	r->tools = r->template_kwargs = NULL;
	r->prompt = (struct str){NULL, 0};
	r->n_tokens = r->n_messages = 0;
	return true;
}

void request_free(struct gen_request *r)
{
	free(r->stop_bytes);
	free(r->tokens);
	free(r->messages);
	free(r->bias);
	strbuf_free(&r->warnings);
	jv_doc_free(&r->json);
	*r = (struct gen_request){0};
}

enum hokku_code request_parse_cancel(struct str body, char id[REQUEST_MAX_ID_BYTES + 1],
				     struct strbuf *warnings, struct request_error *err)
{
	static const char *const known[] = {"id", NULL};
	err->field[0] = '\0';
	struct jv_doc json;
	enum hokku_code rc = parse_object(body, &json, err);
	if (rc)
		return rc;
	const struct jv *root = &json.root, *v = jv_get(root, "id");
	rc = v ? take_id(id, v, err) : bad(err, "id", "is missing; it names the request to cancel");
	uint32_t n_warnings = 0;
	for (uint32_t i = 0; i < root->n; i++)
		if (!str_eq_c(jv_key(root, i), "id"))
			warn_unknown(warnings, &n_warnings, "the request", jv_key(root, i), known);
	jv_doc_free(&json);
	return rc;
}
