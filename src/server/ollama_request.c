/*
 * POST /api/chat and /api/generate: Ollama's fields. A field is done, or has no effect on an answer here
 * (told as a warning), or is refused by name.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "server/ollama.h"

/* ---- the model ---- */

/* The name without the tag that every name has. */
static struct str bare_name(const char *name)
{
	static const char latest[] = ":latest";
	struct str s = str_c(name);
	size_t n = sizeof latest - 1;
	if (s.len > n && strcasecmp(name + s.len - n, latest) == 0)
		s.len -= n;
	return s;
}

bool ollama_is_name(const char *asked, const char *served)
{
	struct str a = bare_name(asked), b = bare_name(served);
	return a.len == b.len && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

void ollama_add_name(struct strbuf *b, const char *served)
{
	const char *slash = strrchr(served, '/');
	struct strbuf name = {0};
	strbuf_add_c(&name, served);
	if (!strchr(slash ? slash : served, ':'))
		strbuf_add_c(&name, ":latest");
	answer_text(b, name.ptr ? name.ptr : "");
	b->failed |= name.failed;
	strbuf_free(&name);
}

enum hokku_code ollama_check_name(const char *asked, const char *served, struct request_error *err)
{
	if (ollama_is_name(asked, served))
		return HOKKU_OK;
	snprintf(err->field, sizeof err->field, "model");
	return err_set(&err->error, HOKKU_NOT_FOUND, "model '%s' not found: this server has '%s'", asked,
		       served);
}

enum hokku_code ollama_admit_model(struct gen_request *r, const struct request_served *served,
				   struct request_error *err)
{
	if (served->several)
		return HOKKU_OK;
	if (r->has_keep_alive)
		field_warn(&r->warnings, "keep_alive has no effect here: the model stays");
	return ollama_check_name(r->model, served->name, err);
}

/* What is known only where the model is. */
static enum hokku_code admit(struct gen_request *r, const struct request_served *served,
			     struct request_error *err)
{
	static const char field[] = "options.num_ctx";
	char text[160];
	const struct jv *v = jv_get(jv_get(&r->json.root, "options"), "num_ctx");
	enum hokku_code rc = ollama_admit_model(r, served, err);
	int64_t n;
	if (rc || jv_none(v) || !field_whole(v, &n) || n == served->n_ctx)
		return rc;
	if (n > served->n_ctx)
		return bad(
			err, field,
			"is %lld; this server's context has %u tokens: ask for that many at most, or start "
			"it with a larger --ctx",
			(long long)n, served->n_ctx);
	snprintf(text, sizeof text, "%s is %lld and has no effect here: the context has %u tokens", field,
		 (long long)n, served->n_ctx);
	field_warn(&r->warnings, text);
	return HOKKU_OK;
}

/* ---- keep_alive ---- */

/* A number of Go's durations and its unit; returns what follows, NULL: it is none. */
static const char *read_term(const char *at, double *ns)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = {{"ns", 1},   {"us", 1e3}, {"\xC2\xB5s", 1e3}, {"\xCE\xBCs", 1e3},
		     {"ms", 1e6}, {"s", 1e9},  {"m", 6e10},        {"h", 3.6e12}};
	double value = 0, part = 1;
	bool digits = false, point = false;
	for (; (*at >= '0' && *at <= '9') || (*at == '.' && !point); at++) {
		if (*at == '.') {
			point = true;
			continue;
		}
		digits = true;
		part = point ? part / 10 : part;
		value = point ? value + part * (*at - '0') : value * 10 + (*at - '0');
	}
	for (size_t i = 0; digits && i < sizeof units / sizeof *units; i++) {
		size_t n = strlen(units[i].unit);
		char next = strncmp(at, units[i].unit, n) == 0 ? at[n] : 'x';
		if (next != '\0' && next != '.' && !(next >= '0' && next <= '9'))
			continue;
		*ns += value * units[i].ns;
		return at + n;
	}
	return NULL;
}

bool ollama_keep_alive(const struct jv *v, double *ns)
{
	struct str s = jv_str(v);
	const char *at = s.ptr;
	*ns = 0;
	if (jv_is(v, JV_NUMBER)) {
		*ns = field_number(v) * 1e9;
		return !isnan(*ns);
	}
	if (s.len == 0 || strlen(at) != s.len)
		return false;
	double sign = *at == '-' ? -1 : 1;
	at += *at == '-' || *at == '+';
	if (strcmp(at, "0") == 0)
		return true;
	if (!*at)
		return false;
	while (at && *at)
		at = read_term(at, ns);
	*ns *= sign;
	return at != NULL;
}

bool ollama_keep_alive_text(const char *text, double *ns)
{
	char *end;
	double s = strtod(text, &end);
	*ns = s * 1e9;
	if (*text && !*end)
		return isfinite(*ns);
	return ollama_keep_alive(&(struct jv){.type = JV_STRING, .n = (uint32_t)strlen(text), .text = text},
				 ns);
}

enum hokku_code ollama_take_keep_alive(struct gen_request *r, const char *name, const struct jv *v,
				       struct request_error *err)
{
	char found[96];
	if (!ollama_keep_alive(v, &r->keep_alive_ns))
		return bad(err, name, "is %s; it takes a number of seconds or a duration as \"5m\"",
			   field_describe(v, found));
	r->has_keep_alive = true;
	return HOKKU_OK;
}

/* ---- fields ---- */

static enum hokku_code take_think(struct gen_request *r, const char *name, const struct jv *v,
				  struct request_error *err)
{
	static const char *const levels[] = {"low", "medium", "high", "max"};
	char found[96];
	if (jv_is(v, JV_BOOL)) {
		r->thinking = jv_is_true(v) ? THINKING_ON : THINKING_OFF;
		return HOKKU_OK;
	}
	for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
		if (!str_eq_c(jv_str(v), levels[i]))
			continue;
		r->thinking = THINKING_ON;
		r->effort = jv_str(v);
		return HOKKU_OK;
	}
	return bad(err, name, "is %s; it takes true, false, \"low\", \"medium\", \"high\" or \"max\"",
		   field_describe(v, found));
}

enum hokku_code ollama_take_text(struct gen_request *r, const char *name, const struct jv *v,
				 struct request_error *err)
{
	char found[96];
	(void)r;
	return jv_is(v, JV_STRING) ? HOKKU_OK
				   : bad(err, name, "is %s; it takes a string", field_describe(v, found));
}

static enum hokku_code take_prompt(struct gen_request *r, const char *name, const struct jv *v,
				   struct request_error *err)
{
	r->prompt = jv_str(v);
	return ollama_take_text(r, name, v, err);
}

static enum hokku_code take_raw(struct gen_request *r, const char *name, const struct jv *v,
				struct request_error *err)
{
	return field_bool(name, v, &r->parse_special, err);
}

/* The ids that an earlier answer gave. */
static enum hokku_code take_context(struct gen_request *r, const char *name, const struct jv *v,
				    struct request_error *err)
{
	enum hokku_code rc = field_check_ids(name, v, err);
	size_t n = jv_len(v);
	if (rc || n == 0)
		return rc;
	r->before = malloc(n * sizeof *r->before);
	if (!r->before)
		return field_no_memory(err);
	r->n_before = n;
	r->before_name = "context";
	return field_read_ids(name, v, r->before, err);
}

static enum hokku_code take_images(struct gen_request *r, const char *name, const struct jv *v,
				   struct request_error *err)
{
	char found[96];
	(void)r;
	if (!jv_is(v, JV_ARRAY))
		return bad(err, name, "is %s; it takes an array", field_describe(v, found));
	if (jv_len(v))
		return bad(err, name, "holds %zu; this server's models read text alone", jv_len(v));
	return HOKKU_OK;
}

/* Nothing of a prompt is left out here, and nothing of a full context. */
static enum hokku_code take_cut(struct gen_request *r, const char *name, const struct jv *v,
				struct request_error *err)
{
	char text[128];
	bool on = false;
	enum hokku_code rc = field_bool(name, v, &on, err);
	snprintf(text, sizeof text, "%s has no effect here: nothing is cut off", name);
	if (!rc && on)
		field_warn(&r->warnings, text);
	return rc;
}

static enum hokku_code refuse(struct gen_request *r, const char *name, const struct jv *v,
			      struct request_error *err)
{
	return jv_is(v, JV_STRING) && v->n == 0 ? HOKKU_OK : field_refuse(r, name, v, err);
}

/* Of another API: here they are options. */
static enum hokku_code refuse_option(struct gen_request *r, const char *name, const struct jv *v,
				     struct request_error *err)
{
	(void)r;
	(void)v;
	return bad(err, name, "is an option; give it as {\"options\": {\"%s\": ...}}", name);
}

/* ---- what holds between them ---- */

static enum hokku_code check_common(struct gen_request *r, struct request_error *err)
{
	if (!r->model)
		return bad(err, "model", "is required; GET /api/tags lists what there is");
	enum hokku_code rc = request_check_shape(r, err);
	return rc ? rc : request_check_logprobs(r, err);
}

static enum hokku_code check_chat(struct gen_request *r, struct str stray, struct request_error *err)
{
	(void)stray;
	return check_common(r, err);
}

static struct str text_of(const struct gen_request *r, const char *name)
{
	return jv_str(jv_get(&r->json.root, name));
}

/* A prompt that is to be answered, and what the system says, as messages. */
static enum hokku_code make_messages(struct gen_request *r, struct request_error *err)
{
	struct str system = text_of(r, "system");
	r->messages = calloc(2, sizeof *r->messages);
	if (!r->messages)
		return field_no_memory(err);
	if (system.len)
		r->messages[r->n_messages++] =
			(struct chat_message){.role = STR_LIT("system"), .content = system};
	r->messages[r->n_messages++] = (struct chat_message){.role = STR_LIT("user"), .content = r->prompt};
	r->prompt = (struct str){NULL, 0};
	return HOKKU_OK;
}

/* Text before a gap, which may be empty, and behind it: no template, and nothing else. */
static enum hokku_code take_gap(struct gen_request *r, bool raw, struct request_error *err)
{
	if (raw || text_of(r, "system").len || r->n_before)
		return bad(err, "suffix", "goes with a prompt alone, without raw, system and context");
	r->suffix = text_of(r, "suffix");
	if (!r->prompt.ptr)
		r->prompt = STR_LIT("");
	r->keep_ids = true;
	return HOKKU_OK;
}

static enum hokku_code check_generate(struct gen_request *r, struct str stray, struct request_error *err)
{
	bool raw = r->parse_special;
	enum hokku_code rc = check_common(r, err);
	(void)stray;
	if (rc)
		return rc;
	if (raw && (text_of(r, "system").len || r->n_before))
		return bad(err, "raw",
			   "mode does not support template, system, or context: the prompt is all there is");
	if (text_of(r, "suffix").len)
		return take_gap(r, raw, err);
	if (r->prompt.len == 0) {
		r->prompt = (struct str){NULL, 0};
		return HOKKU_OK;
	}
	r->keep_ids = !raw;
	return raw ? HOKKU_OK : make_messages(r, err);
}

/* A request that asks for nothing asks for the model alone. */
static enum hokku_code tell_loaded(const struct request_told *told, bool chat, struct strbuf *out)
{
	const struct gen_request *r = told->request;
	if (r->messages || r->prompt.ptr)
		return HOKKU_OK;
	bool unload = r->has_keep_alive && r->keep_alive_ns == 0;
	ollama_add_loaded(out, chat, r->model, clock_wall_ns(), unload ? "unload" : "load");
	return HOKKU_OK;
}

static enum hokku_code tell_chat(const struct request_told *told, struct strbuf *out,
				 struct request_error *err)
{
	(void)err;
	return tell_loaded(told, true, out);
}

static enum hokku_code tell_generate(const struct request_told *told, struct strbuf *out,
				     struct request_error *err)
{
	(void)err;
	return tell_loaded(told, false, out);
}

/* clang-format off */
#define SHARED_FIELDS \
	{"model", field_model}, \
	{"stream", field_stream}, \
	{"format", field_format}, \
	{"options", ollama_options}, \
	{"think", take_think}, \
	{"keep_alive", ollama_take_keep_alive}, \
	{"logprobs", field_logprobs}, \
	{"top_logprobs", field_top_logprobs}, \
	{"truncate", take_cut}, \
	{"shift", take_cut}, \
	{"temperature", refuse_option}, \
	{"top_k", refuse_option}, \
	{"top_p", refuse_option}, \
	{"min_p", refuse_option}, \
	{"seed", refuse_option}, \
	{"stop", refuse_option}, \
	{"num_ctx", refuse_option}, \
	{"num_predict", refuse_option}, \
	{NULL, NULL}
/* clang-format on */

static const struct field chat_fields[] = {
	{"messages", ollama_messages},
	{"tools", field_function_tools},
	SHARED_FIELDS,
};

static const struct field generate_fields[] = {
	{"prompt", take_prompt},
	{"suffix", ollama_take_text},
	{"system", ollama_take_text},
	{"template", refuse},
	{"context", take_context},
	{"raw", take_raw},
	{"images", take_images},
	{"width", refuse},
	{"height", refuse},
	{"steps", refuse},
	SHARED_FIELDS,
};

const struct request_form request_ollama_chat = {
	.sampling = SAMPLING_OLLAMA,
	.reads = true,
	.stream = true,
	.strict = true,
	.no_sampling = true,
	.fields = chat_fields,
	.check = check_chat,
	.admit = admit,
	.tell = tell_chat,
};

const struct request_form request_ollama_generate = {
	.sampling = SAMPLING_OLLAMA,
	.reads = true,
	.stream = true,
	.strict = true,
	.no_sampling = true,
	.fields = generate_fields,
	.messages = "prompt",
	.check = check_generate,
	.admit = admit,
	.tell = tell_generate,
};
