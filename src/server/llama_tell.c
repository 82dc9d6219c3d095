/* POST /tokenize, /detokenize and /apply-template: what needs the vocabulary and the template, but no model;
 * and the form of llama-server's errors. */
#include <stdio.h>

#include "server/field.h"
#include "server/llama.h"
#include "server/reply.h"

/* ---- errors ---- */

static void add_error(struct strbuf *b, int status, const char *type, const char *message, const char *field)
{
	strbuf_addf(b, "{\"error\":{\"code\":%d,\"message\":", status);
	answer_text(b, message);
	strbuf_addf(b, ",\"type\":\"%s\"", type);
	if (field && *field) {
		strbuf_add_c(b, ",\"field\":");
		answer_text(b, field);
	}
	strbuf_add_c(b, "}}\n");
}

void llama_too_long(struct strbuf *b, const char *message, uint32_t n_prompt, uint32_t n_ctx)
{
	strbuf_add_c(b, "{\"error\":{\"code\":400,\"message\":");
	answer_text(b, message);
	strbuf_addf(b, ",\"type\":\"exceed_context_size_error\",\"n_prompt_tokens\":%u,\"n_ctx\":%u}}\n",
		    n_prompt, n_ctx);
}

void llama_error(struct strbuf *b, int status, const char *message, const char *field)
{
	static const struct {
		int status;
		const char *type;
	} rows[] = {
		{401, "authentication_error"}, {403, "permission_error"},    {404, "not_found_error"},
		{429, "rate_limit_error"},     {501, "not_supported_error"}, {503, "unavailable_error"},
	};
	const char *type = status < 500 ? "invalid_request_error" : "server_error";
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		type = rows[i].status == status ? rows[i].type : type;
	add_error(b, status, type, message, field);
}

void llama_refuse(struct http_request *r, int status, const char *message)
{
	struct strbuf b = {0};
	llama_error(&b, status, message, NULL);
	reply_json(r, status, &b);
	strbuf_free(&b);
}

void llama_error_body(struct strbuf *b, enum hokku_code code, const char *message, const char *field)
{
	int status = hokku_code_http(code);
	if (code == HOKKU_CONTEXT_EXCEEDED)
		add_error(b, status, "exceed_context_size_error", message, field);
	else
		llama_error(b, status, message, field);
}

/* ---- prompts ---- */

static enum hokku_code push_id(const struct tok *tok, const struct jv *v, const char *field,
			       struct tok_ids *out, struct request_error *err)
{
	char found[96];
	int64_t id;
	if (!field_whole(v, &id) || id < 0 || id >= tok_n_vocab(tok))
		return bad(err, field, "is %s; this model's token ids run from 0 to %u",
			   field_describe(v, found), tok_n_vocab(tok) - 1);
	return tok_ids_push(out, (int32_t)id, &err->error);
}

static enum hokku_code push_text(const struct tok *tok, struct str text, const char *field, unsigned flags,
				 struct tok_ids *out, struct request_error *err)
{
	enum hokku_code rc = tok_encode(tok, text, flags, out, &err->error);
	return rc == HOKKU_INVALID_REQUEST ? field_blame(err, field) : rc;
}

enum hokku_code llama_check_prompt(const char *name, const struct jv *v, struct request_error *err)
{
	char found[96];
	if (jv_is(v, JV_STRING) || jv_is(v, JV_ARRAY))
		return HOKKU_OK;
	return bad(err, name, "is %s; it takes a string, or an array of strings and token ids",
		   field_describe(v, found));
}

enum hokku_code llama_encode(const struct tok *tok, const struct jv *v, const char *name, unsigned flags,
			     struct tok_ids *out, struct request_error *err)
{
	char found[96], field[64];
	enum hokku_code checked = llama_check_prompt(name, v, err);
	if (checked)
		return checked;
	if (jv_is(v, JV_STRING))
		return push_text(tok, jv_str(v), name, flags, out, err);
	for (size_t i = 0; i < jv_len(v); i++) {
		const struct jv *item = jv_at(v, i);
		enum hokku_code rc;
		snprintf(field, sizeof field, "%s[%zu]", name, i);
		if (jv_is(item, JV_STRING))
			rc = push_text(tok, jv_str(item), field, i ? flags & ~(unsigned)TOK_ADD_BOS : flags,
				       out, err);
		else if (jv_is(item, JV_NUMBER))
			rc = push_id(tok, item, field, out, err);
		else
			rc = bad(err, field, "is %s; it takes a string or a token id",
				 field_describe(item, found));
		if (rc)
			return rc;
	}
	return HOKKU_OK;
}

/* ---- /tokenize ---- */

static enum hokku_code take_content(struct gen_request *r, const char *name, const struct jv *v,
				    struct request_error *err)
{
	r->llama.content = v;
	return llama_check_prompt(name, v, err);
}

static enum hokku_code take_add_special(struct gen_request *r, const char *name, const struct jv *v,
					struct request_error *err)
{
	return field_bool(name, v, &r->llama.add_special, err);
}

static enum hokku_code take_parse_special(struct gen_request *r, const char *name, const struct jv *v,
					  struct request_error *err)
{
	bool parse = true;
	enum hokku_code rc = field_bool(name, v, &parse, err);
	r->llama.plain_special = !parse;
	return rc;
}

static enum hokku_code take_with_pieces(struct gen_request *r, const char *name, const struct jv *v,
					struct request_error *err)
{
	return field_bool(name, v, &r->llama.with_pieces, err);
}

static enum hokku_code check_content(struct gen_request *r, struct str stray, struct request_error *err)
{
	(void)stray;
	if (!r->llama.content)
		return bad(err, "content",
			   "is missing; it takes a string, or an array of strings and token ids");
	return HOKKU_OK;
}

/* Bytes that are no characters by themselves are told as numbers. */
static void add_piece(struct strbuf *b, const struct tok *tok, int32_t id)
{
	struct str bytes = tok_bytes(tok, id);
	strbuf_addf(b, "{\"id\":%d,\"piece\":", id);
	if (utf8_valid_prefix(bytes.ptr, bytes.len) == bytes.len) {
		strbuf_add_json(b, bytes.ptr, bytes.len);
	} else {
		for (size_t i = 0; i < bytes.len; i++)
			strbuf_addf(b, "%s%u", i ? "," : "[", (unsigned char)bytes.ptr[i]);
		strbuf_add_c(b, "]");
	}
	strbuf_add_c(b, "}");
}

/* What a tell function's answer comes to. */
static enum hokku_code told_all(const struct strbuf *out, struct request_error *err)
{
	return out->failed ? field_no_memory(err) : HOKKU_OK;
}

/* "warnings" where there are any, and the end of the object. */
static enum hokku_code finish(struct strbuf *out, const struct gen_request *r, struct request_error *err)
{
	if (r->warnings.len) {
		strbuf_add_c(out, ",\"warnings\":[");
		strbuf_add(out, r->warnings.ptr, r->warnings.len);
		strbuf_add_c(out, "]");
	}
	strbuf_add_c(out, "}\n");
	return told_all(out, err);
}

static enum hokku_code tell_tokens(const struct request_told *told, struct strbuf *out,
				   struct request_error *err)
{
	const struct llama_fields *f = &told->request->llama;
	struct tok_ids ids = {0};
	unsigned flags = (f->add_special ? TOK_ADD_BOS : 0) | (f->plain_special ? 0 : TOK_PARSE_SPECIAL);
	enum hokku_code rc = llama_encode(told->tok, f->content, "content", flags, &ids, err);
	strbuf_add_c(out, "{\"tokens\":[");
	for (size_t i = 0; i < ids.n && !rc; i++) {
		strbuf_add_c(out, i ? "," : "");
		if (f->with_pieces)
			add_piece(out, told->tok, ids.ids[i]);
		else
			strbuf_addf(out, "%d", ids.ids[i]);
	}
	strbuf_add_c(out, "]");
	tok_ids_free(&ids);
	return rc ? rc : finish(out, told->request, err);
}

static const struct field tokenize_fields[] = {
	/* clang-format off */
	{"content", take_content},
	{"add_special", take_add_special},
	{"parse_special", take_parse_special},
	{"with_pieces", take_with_pieces},
	{NULL, NULL},
	/* clang-format on */
};
const struct request_form request_llama_tokenize = {.no_sampling = true,
						    .untokenized = true,
						    .fields = tokenize_fields,
						    .tell = tell_tokens,
						    .check = check_content};

/* ---- /detokenize ---- */

/* None at all are the empty text. */
static enum hokku_code take_tokens(struct gen_request *r, const char *name, const struct jv *v,
				   struct request_error *err)
{
	r->tokens_name = name;
	return jv_is(v, JV_ARRAY) && jv_len(v) == 0 ? HOKKU_OK : field_tokens(r, name, v, err);
}

static enum hokku_code check_tokens(struct gen_request *r, struct str stray, struct request_error *err)
{
	(void)stray;
	if (!r->tokens_name)
		return bad(err, "tokens", "is missing; it takes an array of token ids");
	return HOKKU_OK;
}

static enum hokku_code tell_content(const struct request_told *told, struct strbuf *out,
				    struct request_error *err)
{
	struct strbuf text = {0};
	for (size_t i = 0; i < told->ids->n; i++) {
		struct str bytes = tok_bytes(told->tok, told->ids->ids[i]);
		strbuf_add(&text, bytes.ptr, bytes.len);
	}
	strbuf_add_c(out, "{\"content\":");
	strbuf_add_json(out, text.ptr ? text.ptr : "", text.len);
	out->failed = out->failed || text.failed;
	strbuf_free(&text);
	return finish(out, told->request, err);
}

static const struct field detokenize_fields[] = {
	{"tokens", take_tokens},
	{NULL, NULL},
};
const struct request_form request_llama_detokenize = {
	.no_sampling = true, .fields = detokenize_fields, .tell = tell_content, .check = check_tokens};

/* ---- /apply-template ---- */

/* The BOS token's name at the front, where /completion will put that token there again. */
static size_t bos_bytes(const struct tok *tok, const struct strbuf *prompt)
{
	struct hokku_error err;
	struct tok_ids ids = {0};
	size_t n = 0;
	if (tok_encode(tok, STR_LIT(""), TOK_ADD_BOS, &ids, &err) == HOKKU_OK && ids.n) {
		struct str name = tok_bytes(tok, ids.ids[0]);
		n = str_starts((struct str){prompt->ptr ? prompt->ptr : "", prompt->len}, name) ? name.len
												: 0;
	}
	tok_ids_free(&ids);
	return n;
}

static enum hokku_code tell_prompt(const struct request_told *told, struct strbuf *out,
				   struct request_error *err)
{
	struct strbuf prompt = {0};
	struct chat_told how;
	enum hokku_code rc = dialect_render_text(told->dialect, told->chat, told->tok, &told->chat_input,
						 &prompt, &how, &err->error);
	if (rc == HOKKU_INVALID_REQUEST && how.message >= 0)
		snprintf(err->field, sizeof err->field, "messages[%td]", how.message);
	else if (rc == HOKKU_INVALID_REQUEST)
		snprintf(err->field, sizeof err->field, "messages");
	if (!rc) {
		size_t skip = bos_bytes(told->tok, &prompt);
		strbuf_add_c(out, "{\"prompt\":");
		strbuf_add_json(out, prompt.ptr ? prompt.ptr + skip : "", prompt.len - skip);
		rc = finish(out, told->request, err);
	}
	strbuf_free(&prompt);
	return rc;
}

static enum hokku_code check_template(struct gen_request *r, struct str stray, struct request_error *err)
{
	return request_openai_chat.check(r, stray, err);
}

const struct request_form request_llama_template = {.sampling = SAMPLING_OPENAI,
						    .strict = true,
						    .untokenized = true,
						    .fields = openai_chat_fields,
						    .tell = tell_prompt,
						    .check = check_template};

/* ---- /v1/chat/completions/input_tokens ---- */

static enum hokku_code tell_n_tokens(const struct request_told *told, struct strbuf *out,
				     struct request_error *err)
{
	strbuf_addf(out, "{\"input_tokens\":%zu", told->ids->n);
	return finish(out, told->request, err);
}

const struct request_form request_llama_count = {.sampling = SAMPLING_OPENAI,
						 .strict = true,
						 .fields = openai_chat_fields,
						 .tell = tell_n_tokens,
						 .check = check_template};

const struct api api_llama_count = {
	.does = API_TELLS, .form = &request_llama_count, .error = llama_error_body};
const struct api api_llama = {.error = llama_error_body};
const struct api api_llama_tokenize = {
	.does = API_TELLS, .form = &request_llama_tokenize, .error = llama_error_body};
const struct api api_llama_detokenize = {
	.does = API_TELLS, .form = &request_llama_detokenize, .error = llama_error_body};
const struct api api_llama_template = {
	.does = API_TELLS, .form = &request_llama_template, .error = llama_error_body};
