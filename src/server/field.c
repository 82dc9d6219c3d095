#include "server/field.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/salts.h"

enum hokku_code field_blame(struct request_error *err, const char *field)
{
	char text[sizeof err->error.message];
	memcpy(text, err->error.message, sizeof text);
	snprintf(err->field, sizeof err->field, "%s", field);
	if (*field)
		err_set(&err->error, HOKKU_INVALID_REQUEST, "%s %s", field, text);
	return HOKKU_INVALID_REQUEST;
}

enum hokku_code field_no_memory(struct request_error *err)
{
	return err_set(&err->error, HOKKU_OUT_OF_MEMORY, "no memory for the request");
}

const char *field_describe(const struct jv *v, char out[96])
{
	char quoted[64];
	switch (v->type) {
	case JV_STRING:
		str_quote(jv_str(v), quoted, sizeof quoted);
		snprintf(out, 96, "the string %s", quoted);
		break;
	case JV_NUMBER:
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

double field_number(const struct jv *v)
{
	double x;
	return jv_double(v, &x) ? x : (double)NAN;
}

/* By its text, for a double may be whole where the number is not: 1e-400, or 1 and 0.1 twenty digits behind.
 */
static bool is_whole(const struct jv *v)
{
	const char *at = v->text;
	long n_behind = 0, n_zeros = 0; /* digits behind the point; zeros at the end of all digits */
	bool point = false, zero = true;
	for (; *at && (*at | 0x20) != 'e'; at++) {
		point = point || *at == '.';
		if (*at < '0' || *at > '9')
			continue;
		n_behind += point;
		n_zeros = *at == '0' ? n_zeros + 1 : 0;
		zero = zero && *at == '0';
	}
	return zero || n_behind - n_zeros <= (*at ? strtol(at + 1, NULL, 10) : 0);
}

bool field_whole(const struct jv *v, int64_t *out)
{
	if (jv_int(v, out))
		return true;
	double real = field_number(v);
	if (!(fabs(real) < 0x1p53) || !is_whole(v))
		return false;
	*out = (int64_t)real;
	return true;
}

/* ---- numbers and switches ---- */

enum hokku_code field_u32(const char *name, const struct jv *v, uint32_t min, uint32_t max, uint32_t *out,
			  struct request_error *err)
{
	char found[96];
	int64_t n;
	if (!field_whole(v, &n) || n < min || n > max)
		return bad(err, name, "is %s; it takes a whole number from %u to %u",
			   field_describe(v, found), min, max);
	*out = (uint32_t)n;
	return HOKKU_OK;
}

enum hokku_code field_bool(const char *name, const struct jv *v, bool *out, struct request_error *err)
{
	char found[96];
	if (!jv_is(v, JV_BOOL))
		return bad(err, name, "is %s; it takes true or false", field_describe(v, found));
	*out = jv_is_true(v);
	return HOKKU_OK;
}

enum hokku_code field_n(struct gen_request *r, const char *name, const struct jv *v,
			struct request_error *err)
{
	return field_u32(name, v, 1, REQUEST_MAX_N, &r->n, err);
}

enum hokku_code field_logprobs(struct gen_request *r, const char *name, const struct jv *v,
			       struct request_error *err)
{
	return field_bool(name, v, &r->logprobs, err);
}

enum hokku_code field_top_logprobs(struct gen_request *r, const char *name, const struct jv *v,
				   struct request_error *err)
{
	return field_u32(name, v, 0, LOGPROBS_MAX_TOP, &r->n_top, err);
}

enum hokku_code field_prompt_logprobs(struct gen_request *r, const char *name, const struct jv *v,
				      struct request_error *err)
{
	r->prompt_logprobs = true;
	return field_u32(name, v, 0, LOGPROBS_MAX_TOP, &r->n_prompt_top, err);
}

/* ---- what an answer is made of ---- */

enum hokku_code field_check_ids(const char *name, const struct jv *v, struct request_error *err)
{
	char found[96];
	if (jv_is(v, JV_ARRAY))
		return HOKKU_OK;
	return bad(err, name, "is %s; it takes an array of token ids", field_describe(v, found));
}

enum hokku_code field_no_ids(const char *name, struct request_error *err)
{
	return bad(err, name, "is an empty array; it takes at least one token id");
}

enum hokku_code field_read_ids(const char *name, const struct jv *v, int32_t *out, struct request_error *err)
{
	char found[96], field[64];
	for (size_t i = 0; i < jv_len(v); i++) {
		int64_t id;
		if (!field_whole(jv_at(v, i), &id) || id < 0 || id > INT32_MAX) {
			snprintf(field, sizeof field, "%s[%zu]", name, i);
			return bad(err, field, "is %s; it takes a token id, a whole number from 0 to %d",
				   field_describe(jv_at(v, i), found), INT32_MAX);
		}
		out[i] = (int32_t)id;
	}
	return HOKKU_OK;
}

enum hokku_code field_refuse(struct gen_request *r, const char *name, const struct jv *v,
			     struct request_error *err)
{
	static const struct {
		const char *name, *instead;
	} rows[] = {
		/* OpenAI's */
		{"functions", "give them as tools"},
		{"function_call", "give functions as tools, which may have a tool_choice"},
		{"audio", "answers are text"},
		{"web_search_options", "nothing is searched"},
		{"moderation", "nothing is moderated"},
		{"conversation", "give its items as input, or a previous_response_id"},
		{"prompt", "templates of prompts are kept nowhere here: give instructions and input"},
		{"max_tool_calls", "no tool runs on this server; the client that runs them can count them"},
		{"context_management", "nothing is ever cut or summed up here"},
		/* Anthropic's */
		{"container", "no code runs on this server"},
		{"mcp_servers", "this server calls no others: give their tools as tools"},
		{"diagnostics", "cache_debug tells why no more of a prompt was found again"},
		/* Ollama's */
		{"template",
		 "templates of Go are not run; the model's own is (another: hokku serve --chat-template), "
		 "or none with \"raw\": true"},
		{"width", "images are not made"},
		{"height", "images are not made"},
		{"steps", "images are not made"},
	};
	size_t i = 0;
	(void)r;
	(void)v;
	while (strcmp(rows[i].name, name) != 0)
		i++;
	return bad(err, name, "is given, but is not done by this server: %s", rows[i].instead);
}

enum hokku_code field_prompt(struct gen_request *r, const char *name, const struct jv *v,
			     struct request_error *err)
{
	char found[96];
	if (jv_is(v, JV_STRING)) {
		r->prompt = jv_str(v);
		if (r->prompt.len == 0)
			return bad(err, name, "is empty; it takes at least one character or token id");
		return HOKKU_OK;
	}
	if (!jv_is(v, JV_ARRAY))
		return bad(err, name, "is %s; it takes a string or an array of token ids",
			   field_describe(v, found));
	size_t n = jv_len(v);
	if (n == 0)
		return field_no_ids(name, err);
	if (r->tokens)
		return bad(err, name, "and %s are both given; give one of them", r->tokens_name);
	r->tokens = malloc(n * sizeof *r->tokens);
	if (!r->tokens)
		return field_no_memory(err);
	r->n_tokens = n;
	r->tokens_name = name;
	return field_read_ids(name, v, r->tokens, err);
}

enum hokku_code field_tokens(struct gen_request *r, const char *name, const struct jv *v,
			     struct request_error *err)
{
	enum hokku_code rc = field_check_ids(name, v, err);
	return rc ? rc : field_prompt(r, name, v, err);
}

void field_warn(struct strbuf *warnings, const char *text)
{
	if (warnings->len)
		strbuf_add_c(warnings, ",");
	strbuf_add_json(warnings, text, strlen(text));
}

void field_warn_unknown(struct strbuf *warnings, uint32_t *n, const char *where, struct str key,
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
	field_warn(warnings, text);
}

enum hokku_code field_messages(struct gen_request *r, const char *name, const struct jv *v,
			       struct request_error *err)
{
	/* All of a message goes to the template; a member that looks like a slip of the pen is told. */
	static const char *const known[] = {"role",       "content",      "name",
					    "tool_calls", "tool_call_id", "reasoning_content",
					    "thinking",   "refusal",      NULL};
	char found[96];
	if (!jv_is(v, JV_ARRAY) || jv_len(v) == 0)
		return bad(err, name, "is %s; it takes an array of at least one {role, content}",
			   field_describe(v, found));
	size_t n = jv_len(v);
	r->messages = malloc(n * sizeof *r->messages);
	if (!r->messages)
		return field_no_memory(err);
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
				field_warn_unknown(&r->warnings, &n_warnings, "a message", jv_key(item, k),
						   known);
		}
	}
	return HOKKU_OK;
}

enum hokku_code field_tools(struct gen_request *r, const char *name, const struct jv *v,
			    struct request_error *err)
{
	char found[96], field[64];
	if (!jv_is(v, JV_ARRAY))
		return bad(err, name, "is %s; it takes an array of objects", field_describe(v, found));
	for (size_t i = 0; i < jv_len(v); i++) {
		snprintf(field, sizeof field, "%s[%zu]", name, i);
		if (!jv_is(jv_at(v, i), JV_OBJECT))
			return bad(err, field, "is %s; it takes an object",
				   field_describe(jv_at(v, i), found));
	}
	r->tools = jv_len(v) ? v : NULL;
	return HOKKU_OK;
}

enum hokku_code field_skip_special(struct gen_request *r, const char *name, const struct jv *v,
				   struct request_error *err)
{
	bool skip = true;
	enum hokku_code rc = field_bool(name, v, &skip, err);
	r->control_text = !skip;
	return rc;
}

enum hokku_code field_return_ids(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	enum hokku_code rc = field_bool(name, v, &r->return_ids, err);
	r->keep_ids = r->return_ids;
	return rc;
}

enum hokku_code field_thinking_budget(struct gen_request *r, const char *name, const struct jv *v,
				      struct request_error *err)
{
	char found[96];
	int64_t n;
	if (!field_whole(v, &n) || n < 1 || n > INT32_MAX)
		return bad(err, name, "is %s; it takes a whole number from 1 to %d", field_describe(v, found),
			   INT32_MAX);
	r->thinking_budget = (uint32_t)n;
	return HOKKU_OK;
}

enum hokku_code field_template_kwargs(struct gen_request *r, const char *name, const struct jv *v,
				      struct request_error *err)
{
	r->template_kwargs = v;
	if (chat_check_kwargs(v, &err->error))
		return field_blame(err, name);
	return HOKKU_OK;
}

enum hokku_code field_generation_prompt(struct gen_request *r, const char *name, const struct jv *v,
					struct request_error *err)
{
	bool begun = true;
	enum hokku_code rc = field_bool(name, v, &begun, err);
	r->no_answer_begun = !begun;
	return rc;
}

enum hokku_code field_now(struct gen_request *r, const char *name, const struct jv *v,
			  struct request_error *err)
{
	char found[96];
	r->has_now = jv_is(v, JV_STRING) && jinja_time_parse(jv_str(v), &r->now);
	if (!r->has_now)
		return bad(err, name, "is %s; it takes a date as \"2026-07-31\" or \"2026-07-31T12:00:00\"",
			   field_describe(v, found));
	return HOKKU_OK;
}

static enum hokku_code take_one_stop(struct gen_request *r, const char *field, const struct jv *v,
				     struct request_error *err)
{
	char found[96];
	if (!jv_is(v, JV_STRING))
		return bad(err, field, "is %s; it takes a string", field_describe(v, found));
	struct str s = jv_str(v);
	if (s.len < 1 || s.len > ENGINE_MAX_STOP_BYTES)
		return bad(err, field, "has %zu bytes; it takes 1 to %d", s.len, ENGINE_MAX_STOP_BYTES);
	r->stop[r->n_stop++] = s;
	return HOKKU_OK;
}

enum hokku_code field_stop(struct gen_request *r, const char *name, const struct jv *v,
			   struct request_error *err)
{
	char found[96], field[64];
	if (jv_is(v, JV_STRING))
		return take_one_stop(r, name, v, err);
	if (!jv_is(v, JV_ARRAY))
		return bad(err, name, "is %s; it takes a string or an array of up to %d strings",
			   field_describe(v, found), ENGINE_MAX_STOP);
	if (jv_len(v) > ENGINE_MAX_STOP)
		return bad(err, name, "has %zu strings; it takes up to %d", jv_len(v), ENGINE_MAX_STOP);
	for (size_t i = 0; i < jv_len(v); i++) {
		snprintf(field, sizeof field, "%s[%zu]", name, i);
		enum hokku_code rc = take_one_stop(r, field, jv_at(v, i), err);
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

enum hokku_code field_max_tokens_or_none(struct gen_request *r, const char *name, const struct jv *v,
					 struct request_error *err)
{
	char found[96];
	int64_t n;
	if (!field_whole(v, &n) || n < 0 || n > INT32_MAX)
		return bad(err, name, "is %s; it takes a whole number from 0 to %d", field_describe(v, found),
			   INT32_MAX);
	r->no_answer = n == 0;
	r->max_tokens = n ? (uint32_t)n : 1; /* to the engine: the prompt is computed either way */
	return HOKKU_OK;
}

enum hokku_code field_max_tokens(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	return field_u32(name, v, 1, INT32_MAX, &r->max_tokens, err);
}

enum hokku_code field_priority(struct gen_request *r, const char *name, const struct jv *v,
			       struct request_error *err)
{
	return field_u32(name, v, 0, SCHED_N_PRIORITIES - 1, &r->priority, err);
}

enum hokku_code field_cache_prompt(struct gen_request *r, const char *name, const struct jv *v,
				   struct request_error *err)
{
	return field_bool(name, v, &r->cache_prompt, err);
}

enum hokku_code field_cache_debug(struct gen_request *r, const char *name, const struct jv *v,
				  struct request_error *err)
{
	return field_bool(name, v, &r->cache_debug, err);
}

enum hokku_code field_cache_salt(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	char found[96];
	if (!jv_is(v, JV_STRING))
		return bad(err, name, "is %s; it takes a string", field_describe(v, found));
	struct str s = jv_str(v);
	if (s.len < 1 || s.len > SALTS_MAX_BYTES)
		return bad(err, name, "has %zu bytes; it takes 1 to %d", s.len, SALTS_MAX_BYTES);
	strbuf_add(&r->cache_salt, s.ptr, s.len);
	return r->cache_salt.failed ? field_no_memory(err) : HOKKU_OK;
}

enum hokku_code field_stream(struct gen_request *r, const char *name, const struct jv *v,
			     struct request_error *err)
{
	return field_bool(name, v, &r->stream, err);
}

/* 64 bits. JSON numbers of programs in between often hold 53 only, hence the string form as well. */
enum hokku_code field_seed(struct gen_request *r, const char *name, const struct jv *v,
			   struct request_error *err)
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
	} else if (field_whole(v, &n) && n >= 0) {
		ok = true;
		r->sampling.seed = (uint64_t)n;
	}
	if (!ok)
		return bad(err, name,
			   "is %s; it takes a whole number from 0 to 18446744073709551615 (as a string of "
			   "digits "
			   "when it is above 9223372036854775807)",
			   field_describe(v, found));
	r->has_seed = true;
	return HOKKU_OK;
}

enum hokku_code field_model(struct gen_request *r, const char *name, const struct jv *v,
			    struct request_error *err)
{
	char found[96];
	struct str s = jv_str(v);
	if (!jv_is(v, JV_STRING) || s.len < 1 || s.len > REQUEST_MAX_MODEL_BYTES)
		return bad(err, name, "is %s; it takes a string of 1 to %d bytes", field_describe(v, found),
			   REQUEST_MAX_MODEL_BYTES);
	r->model = strndup(s.ptr, s.len);
	return r->model ? HOKKU_OK : field_no_memory(err);
}

static bool is_id_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
	       c == '_' || c == '.' || c == ':';
}

enum hokku_code field_read_id(char id[REQUEST_MAX_ID_BYTES + 1], const char *name, const struct jv *v,
			      struct request_error *err)
{
	char found[96];
	struct str s = jv_is(v, JV_STRING) ? jv_str(v) : (struct str){NULL, 0};
	bool ok = s.len >= 1 && s.len <= REQUEST_MAX_ID_BYTES;
	for (size_t i = 0; ok && i < s.len; i++)
		ok = is_id_char(s.ptr[i]);
	if (!ok)
		return bad(err, name, "is %s; it takes 1 to %d characters out of A-Z a-z 0-9 - _ . :",
			   field_describe(v, found), REQUEST_MAX_ID_BYTES);
	memcpy(id, s.ptr, s.len);
	id[s.len] = '\0';
	return HOKKU_OK;
}

enum hokku_code field_id(struct gen_request *r, const char *name, const struct jv *v,
			 struct request_error *err)
{
	return field_read_id(r->id, name, v, err);
}

/* The engine's table says which numbers are allowed. */
enum hokku_code field_sampling(struct gen_request *r, const struct sampling_field *f, const struct jv *v,
			       struct request_error *err)
{
	char found[96];
	char *target = (char *)&r->sampling + f->offset;
	const char *kind = f->kind == SAMPLING_INT ? "a whole number" : "a number";
	double x = field_number(v);
	int64_t whole = 0;
	bool ok = f->kind == SAMPLING_INT ? field_whole(v, &whole) : true;
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
		   field_describe(v, found), kind, f->min, f->max);
}
