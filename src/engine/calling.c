#include "engine/calling.h"

#include <inttypes.h>
#include <stdio.h>

#include "engine/words.h"

#define blame(fault, place, ...)                                      \
	(snprintf((fault)->field, sizeof(fault)->field, "%s", place), \
	 err_set(&(fault)->error, HOKKU_INVALID_REQUEST, __VA_ARGS__))

enum { TAIL_TOKENS = 64 }; /* of a prompt: markers of thinking lie within its last words */

static enum hokku_code no_memory(struct request_error *err)
{
	return err_set(&err->error, HOKKU_OUT_OF_MEMORY, "no memory for the request");
}

/* Are there tools that the answer may call? */
static bool calls(const struct calling_ask *ask)
{
	return jv_len(ask->tools) && ask->choice != TOOLS_NONE;
}

/* ---- before the prompt ---- */

static void add_kwarg(struct strbuf *b, const char *name, const char *value, bool string)
{
	strbuf_add_c(b, b->len > 1 ? "," : "");
	strbuf_add_json(b, name, strlen(name));
	strbuf_add_c(b, ":");
	if (string)
		strbuf_add_json(b, value, strlen(value));
	else
		strbuf_add_c(b, value);
}

/* The nearest of the words that templates know. */
static const char *known_effort(struct str effort)
{
	static const struct {
		const char *asked, *known;
	} rows[] = {{"minimal", "low"}, {"xhigh", "high"}, {"max", "high"}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (str_eq_c(effort, rows[i].asked))
			return rows[i].known;
	return effort.ptr;
}

static enum hokku_code turn_off(struct strbuf *b, const struct dialect_found *found,
				struct request_error *err)
{
	if (found->switch_argument)
		add_kwarg(b, found->switch_argument, "false", false);
	else if (found->effort_argument && found->effort_none)
		add_kwarg(b, found->effort_argument, found->effort_none, true);
	else if (found->marks_thinking && (found->opens_thinking || found->effort_argument))
		return blame(
			err, "",
			"thinking is turned off, which the model's chat template has no way to do: it thinks before every answer");
	return HOKKU_OK;
}

static void turn_on(struct strbuf *b, struct calling_ask *ask, const struct dialect_found *found)
{
	char text[200], number[16];
	if (!found->marks_thinking) {
		ask->warn(ask->user, "thinking is asked for, and the model's chat template knows of none");
		return;
	}
	if (found->switch_argument && ask->thinking == THINKING_ON)
		add_kwarg(b, found->switch_argument, "true", false);
	if (ask->effort.ptr && found->effort_argument) {
		add_kwarg(b, found->effort_argument, known_effort(ask->effort), true);
	} else if (ask->effort.ptr) {
		snprintf(
			text, sizeof text,
			"how much to think (\"%.20s\") has no effect: the model's chat template does not ask",
			ask->effort.ptr);
		ask->warn(ask->user, text);
	}
	if (ask->budget && found->budget_argument) {
		snprintf(number, sizeof number, "%" PRIu32, ask->budget);
		add_kwarg(b, found->budget_argument, number, false);
	}
}

/* The request's tools outlive its body. */
static enum hokku_code keep_tools(struct calling *c, const struct jv *tools, struct request_error *err)
{
	struct strbuf text = {0};
	jv_write(tools, &text);
	enum hokku_code rc =
		text.failed ? HOKKU_OUT_OF_MEMORY
			    : jv_parse((struct str){text.ptr, text.len}, JV_STRICT, &c->tools, &err->error);
	strbuf_free(&text);
	if (rc)
		c->tools = (struct jv_doc){0};
	return rc ? no_memory(err) : HOKKU_OK;
}

enum hokku_code calling_begin(struct calling *c, struct calling_ask *ask, const struct dialect_found *found,
			      struct request_error *err)
{
	struct strbuf kwargs = {0};
	enum hokku_code rc = HOKKU_OK;
	*c = (struct calling){0};
	strbuf_add_c(&kwargs, "{");
	if (ask->thinking == THINKING_OFF)
		rc = turn_off(&kwargs, found, err);
	else if (ask->thinking == THINKING_ON || ask->effort.ptr)
		turn_on(&kwargs, ask, found);
	strbuf_add_c(&kwargs, "}");
	if (!rc && kwargs.failed)
		rc = no_memory(err);
	if (!rc && kwargs.len > 2 &&
	    jv_parse((struct str){kwargs.ptr, kwargs.len}, JV_STRICT, &c->kwargs, &err->error))
		rc = no_memory(err);
	strbuf_free(&kwargs);
	if (!rc && calls(ask))
		rc = keep_tools(c, ask->tools, err);
	c->how = (struct dialect_reading){
		.dialect = found->dialect,
		.thinking = found->marks_thinking && !ask->thinking_is_text ? found->thinking : NULL,
		.tools = calls(ask) ? &c->tools.root : NULL};
	c->marks = found->marks_thinking ? found->thinking : NULL;
	c->reads = c->how.thinking || c->how.tools;
	if (!rc && c->how.tools && !found->lists_tools)
		ask->warn(ask->user,
			  "the model's chat template lists no tools: the prompt tells of them in a message");
	return rc;
}

/* ---- after it ---- */

static void no_part(void *user, const struct part *part)
{
	(void)user;
	(void)part;
}

/* Is the prompt's end inside thinking? */
static bool is_open(const struct calling *c)
{
	struct dialect_reading how = c->how;
	how.thinking = c->marks;
	struct dialect_reader *r = dialect_reader_new(&how, no_part, NULL);
	bool open = r && dialect_reader_thinks(r);
	dialect_reader_free(r);
	return open;
}

/* Does the prompt's end hold thinking that is over, as templates write it where none is wanted? */
static bool is_over(const struct calling *c)
{
	struct str end = c->how.prompt;
	while (end.len && strchr(" \t\r\n", end.ptr[end.len - 1]))
		end.len--;
	return str_ends(end, str_c(c->marks->close));
}

/* The request's shape as an element of a structural tag; false: it cannot stand in one (the older form of
 * structural tags, which says itself what is free). */
static bool add_shape(struct strbuf *b, const struct calling_ask *ask)
{
	struct str text = {ask->shape_text->ptr ? ask->shape_text->ptr : "", ask->shape_text->len};
	struct hokku_error err;
	struct jv_doc doc;
	const struct jv *format;
	switch (ask->shape_kind) {
	case CONSTRAIN_JSON_SCHEMA:
	case CONSTRAIN_JSON_OBJECT:
		strbuf_add_c(b, "{\"type\":\"json_schema\",\"json_schema\":");
		if (ask->shape_kind == CONSTRAIN_JSON_OBJECT)
			strbuf_add_c(b, "{\"type\":\"object\"}");
		else
			strbuf_add(b, text.ptr, text.len);
		strbuf_add_c(b, "}");
		return true;
	case CONSTRAIN_GBNF:
	case CONSTRAIN_REGEX:
		strbuf_add_c(b, ask->shape_kind == CONSTRAIN_GBNF ? "{\"type\":\"grammar\",\"grammar\":"
								  : "{\"type\":\"regex\",\"pattern\":");
		strbuf_add_json(b, text.ptr, text.len);
		strbuf_add_c(b, "}");
		return true;
	case CONSTRAIN_CHOICE:
		if (jv_parse(text, JV_STRICT, &doc, &err))
			return false;
		strbuf_add_c(b, "{\"type\":\"or\",\"elements\":[");
		for (size_t i = 0; i < jv_len(&doc.root); i++) {
			strbuf_add_c(b, i ? ",{\"type\":\"const_string\",\"value\":"
					  : "{\"type\":\"const_string\",\"value\":");
			jv_write(jv_at(&doc.root, i), b);
			strbuf_add_c(b, "}");
		}
		strbuf_add_c(b, "]}");
		jv_doc_free(&doc);
		return true;
	case CONSTRAIN_STRUCTURE:
		if (jv_parse(text, JV_STRICT, &doc, &err))
			return false;
		format = jv_get(&doc.root, "format");
		if (format)
			jv_write(format, b);
		jv_doc_free(&doc);
		return format != NULL;
	}
	return false;
}

/* The first piece of a marker: a control token that has no text of its own, or what comes before one. */
static struct str first_piece(const struct tok *tok, struct str marker, bool *is_token)
{
	for (size_t i = 0; i < marker.len; i++)
		for (size_t n = 2; i + n <= marker.len && strchr("<[", marker.ptr[i]); n++) {
			int32_t id = strchr(">]", marker.ptr[i + n - 1])
					     ? tok_find_special(tok, (struct str){marker.ptr + i, n})
					     : -1;
			if (id < 0 || tok_type(tok, id) != TOK_CONTROL || tok_is_end(tok, id))
				continue;
			*is_token = i == 0;
			return (struct str){marker.ptr, i ? i : n};
		}
	*is_token = false;
	return marker;
}

static void add_piece(struct strbuf *b, struct str piece, bool is_token)
{
	strbuf_add_c(b,
		     is_token ? "{\"type\":\"token\",\"token\":" : "{\"type\":\"const_string\",\"value\":");
	strbuf_add_json(b, piece.ptr, piece.len);
	strbuf_add_c(b, "}");
}

/* All pieces of a marker, each with a comma before it, or behind it. */
static void add_pieces(struct strbuf *b, const struct tok *tok, struct str marker, bool comma_first)
{
	bool is_token;
	while (marker.len) {
		struct str piece = first_piece(tok, marker, &is_token);
		strbuf_add_c(b, comma_first ? "," : "");
		add_piece(b, piece, is_token);
		strbuf_add_c(b, comma_first ? "" : ",");
		marker = (struct str){marker.ptr + piece.len, marker.len - piece.len};
	}
}

/* Thinking, which holds nothing that a reader would take for its end but that. Control tokens are no text. */
static void add_thought(struct strbuf *b, const struct calling *c, const struct tok *tok)
{
	const char *ends[DIALECT_THINKING_ENDS];
	size_t n = dialect_thinking_ends(c->how.dialect, c->marks, c->how.tools, ends), told = 0;
	strbuf_add_c(b, "{\"type\":\"any_text\"");
	for (size_t i = 1; i < n; i++) { /* the first is what ends the tag */
		int32_t id = tok_find_special(tok, str_c(ends[i]));
		if (id >= 0 && (tok_type(tok, id) == TOK_CONTROL || tok_is_end(tok, id)))
			continue;
		strbuf_add_c(b, told++ ? "," : ",\"excludes\":[");
		strbuf_add_json(b, ends[i], strlen(ends[i]));
	}
	strbuf_add_c(b, told ? "]}" : "}");
}

/* Thinking, and what may lie between it and the answer. Markers that are control tokens are named. */
static void add_thinking(struct strbuf *b, const struct calling *c, const struct tok *tok, bool open)
{
	const struct dialect_thinking *t = c->marks;
	bool token_in_begin, token_in_end;
	struct str begin = str_c(open ? "" : t->open), close = str_c(t->close),
		   first = first_piece(tok, begin, &token_in_begin);
	if (token_in_begin || first.len < begin.len) {
		add_pieces(b, tok, begin, false);
		begin.len = 0;
	}
	strbuf_add_c(b, "{\"type\":\"tag\",\"begin\":");
	strbuf_add_json(b, begin.ptr, begin.len);
	strbuf_add_c(b, ",\"content\":");
	add_thought(b, c, tok);
	strbuf_add_c(b, ",\"end\":");
	first = first_piece(tok, close, &token_in_end);
	if (token_in_end)
		add_piece(b, first, true);
	else
		strbuf_add_json(b, first.ptr, first.len);
	strbuf_add_c(b, "}");
	add_pieces(b, tok, (struct str){close.ptr + first.len, close.len - first.len}, true);
	strbuf_add_c(b, ",{\"type\":\"regex\",\"pattern\":\"[ \\\\n]{0,8}\"},");
}

/* The request's shape behind thinking, which is free. Where the prompt does not end inside thinking the model
 * may begin it, or leave it. */
static void add_behind_thinking(struct strbuf *out, const struct calling *c, const struct tok *tok,
				enum dialect_thinks thinks, const struct strbuf *shape)
{
	strbuf_add_c(out, thinks == DIALECT_MAY_THINK ? "{\"type\":\"or\",\"elements\":[" : "");
	if (thinks != DIALECT_NO_THINKING) {
		strbuf_add_c(out, "{\"type\":\"sequence\",\"elements\":[");
		add_thinking(out, c, tok, thinks == DIALECT_THINKING_OPEN);
		strbuf_add(out, shape->ptr, shape->len);
		strbuf_add_c(out, thinks == DIALECT_MAY_THINK ? "]}," : "]}");
	}
	if (thinks != DIALECT_THINKING_OPEN)
		strbuf_add(out, shape->ptr, shape->len);
	strbuf_add_c(out, thinks == DIALECT_MAY_THINK ? "]}" : "");
}

/* Takes out for the answer's shape; its memory is the request's then. */
static enum hokku_code take_structure(struct calling_ask *ask, struct strbuf *out, struct request_error *err)
{
	if (out->failed) {
		strbuf_free(out);
		return no_memory(err);
	}
	strbuf_free(ask->shape_text);
	(*ask->shape_text) = *out;
	ask->shape_kind = CONSTRAIN_STRUCTURE;
	return HOKKU_OK;
}

static enum hokku_code think_first(struct calling *c, struct calling_ask *ask, const struct tok *tok,
				   enum dialect_thinks thinks, struct request_error *err)
{
	struct strbuf shape = {0}, out = {0};
	enum hokku_code rc = HOKKU_OK;
	if (thinks != DIALECT_NO_THINKING && add_shape(&shape, ask)) {
		strbuf_add_c(&out, "{\"type\":\"structural_tag\",\"format\":");
		add_behind_thinking(&out, c, tok, thinks, &shape);
		strbuf_add_c(&out, "}");
		out.failed |= shape.failed;
		c->wrapped = true;
		rc = take_structure(ask, &out, err);
	}
	strbuf_free(&shape);
	return rc;
}

static bool is_strict(const struct jv *tools)
{
	for (size_t i = 0; i < jv_len(tools); i++)
		if (jv_is_true(jv_get(jv_get(jv_at(tools, i), "function"), "strict")))
			return true;
	return false;
}

/* Calls, or an answer of the shape that the request has besides. */
static enum hokku_code calls_or_shape(struct calling *c, struct calling_ask *ask, const struct tok *tok,
				      enum dialect_thinks thinks, struct request_error *err)
{
	struct strbuf shape = {0}, out = {0};
	struct jv_doc calls = {0};
	enum hokku_code rc = HOKKU_OK;
	if (!add_shape(&shape, ask))
		rc = blame(
			err, ask->shape_field,
			"%s is no shape that an answer beside calls of tools can have: give a structural tag "
			"with a \"format\", or no tools",
			ask->shape_field);
	else if (jv_parse((struct str){c->shape.text.ptr, c->shape.text.len}, JV_STRICT, &calls, &err->error))
		rc = no_memory(err);
	c->beside = true;
	if (!rc) {
		strbuf_add_c(&out, "{\"type\":\"structural_tag\",\"format\":{\"type\":\"or\",\"elements\":[");
		add_behind_thinking(&out, c, tok, thinks, &shape);
		strbuf_add_c(&out, ",");
		jv_write(jv_get(&calls.root, "format"), &out);
		strbuf_add_c(&out, "]}}");
		out.failed |= shape.failed;
		c->wrapped = true;
		rc = take_structure(ask, &out, err);
	}
	strbuf_free(&shape);
	jv_doc_free(&calls);
	return rc;
}

static enum hokku_code shape_calls(struct calling *c, struct calling_ask *ask,
				   const struct dialect_found *found, const struct tok *tok,
				   enum dialect_thinks thinks, struct request_error *err)
{
	bool must = ask->choice == TOOLS_REQUIRED || ask->choice == TOOLS_NAMED;
	char field[128] = "";
	const struct dialect_shaping how = {
		.found = found,
		.tok = tok,
		.tools = &c->tools.root,
		/* Beside another shape: calls alone, or that. */
		.choice = ask->choice == TOOLS_NAMED ? DIALECT_NAMED
			  : must || ask->shape_field ? DIALECT_REQUIRED
						     : DIALECT_AUTO,
		.name = ask->tool_name,
		.parallel = !ask->one_call,
		.thinks = thinks,
	};
	c->lenient = !must && !ask->shape_field && !is_strict(&c->tools.root);
	enum hokku_code rc = dialect_shape(&how, &c->shape, field, &err->error);
	if (rc) {
		snprintf(err->field, sizeof err->field, "%.63s", field);
		return rc;
	}
	if (!c->shape.text.len)
		return ask->shape_field ? think_first(c, ask, tok, thinks, err) : HOKKU_OK;
	if (ask->shape_field && !must)
		return calls_or_shape(c, ask, tok, thinks, err);
	ask->shape_field = "tools";
	struct strbuf text = c->shape.text;
	c->shape.text = (struct strbuf){0};
	return take_structure(ask, &text, err);
}

bool calling_refused(const struct calling *c, const char *place, char field[64])
{
	const char *beside = "/format/elements/1/"; /* where calls_or_shape has put the calls' format */
	char at[128], moved[256];
	field[0] = '\0';
	if (c->beside && strncmp(place, beside, strlen(beside)) == 0) {
		snprintf(moved, sizeof moved, "/format/%.240s", place + strlen(beside));
		place = moved;
	}
	if (!c->shape.n_schemas || !dialect_shape_place(&c->shape, place, at, sizeof at))
		return c->lenient;
	snprintf(field, 64, "%.63s", at);
	field[utf8_valid_prefix(field, strlen(field))] = '\0'; /* it may be cut */
	return c->lenient;
}

const char *calling_own_place(const struct calling *c, const char *message)
{
	static const char *const members[] = {"/json_schema", "/pattern", "/grammar"};
	const char *end = strchr(message, ':');
	for (size_t i = 0; c->wrapped && end && i < sizeof members / sizeof *members; i++) {
		const char *at = strstr(message, members[i]);
		if (at && at < end) {
			at += strlen(members[i]);
			return at == end ? end + 2 : at; /* the whole shape has no place: no ": " either */
		}
	}
	return message;
}

/* Thinking ends when it has had its tokens. */
static enum hokku_code limit(struct calling *c, struct calling_ask *ask, const struct tok *tok,
			     struct request_error *err)
{
	const struct dialect_thinking *t = c->marks;
	bool open = is_open(c);
	int32_t ids[RULES_MAX_CLOSE_BYTES], special = tok_find_special(tok, str_c(t->close));
	size_t n = special < 0 ? words_encode(tok, str_c(t->close), ids, RULES_MAX_CLOSE_BYTES) : 1;
	if (special >= 0)
		ids[0] = special;
	if (is_over(c) || n == 0 || n > RULES_MAX_CLOSE_BYTES)
		return HOKKU_OK;
	for (size_t i = 0; i < n; i++)
		if (tok_ids_push(&c->close, ids[i], &err->error))
			return no_memory(err);
	ask->limit = (struct rules_thinking){.max = ask->budget,
					     .open = str_c(open ? "" : t->open),
					     .close = str_c(t->close),
					     .close_ids = c->close.ids,
					     .n_close = (uint32_t)c->close.n,
					     .how = c->reads ? &c->how : NULL};
	return HOKKU_OK;
}

/* Where the last tokens of what the template wrote begin. */
static size_t tail_begin(const struct tok *tok, const struct tok_ids *ids, size_t begun_bytes)
{
	size_t first = ids->n;
	for (size_t n = 0; first && n < begun_bytes; first--)
		n += tok_bytes(tok, ids->ids[first - 1]).len;
	return first > TAIL_TOKENS ? first - TAIL_TOKENS : 0;
}

enum hokku_code calling_go_on(struct calling *c, struct calling_ask *ask, const struct dialect_found *found,
			      const struct tok *tok, const struct tok_ids *ids, struct request_error *err)
{
	if (!c->reads && !c->marks)
		return HOKKU_OK;
	size_t first = tail_begin(tok, ids, ask->begun_bytes);
	for (size_t i = first; i < ids->n; i++) {
		struct str bytes = tok_bytes(tok, ids->ids[i]);
		strbuf_add(&c->tail, bytes.ptr, bytes.len);
	}
	if (c->tail.failed)
		return no_memory(err);
	if (ask->begun_bytes) { /* is none of what the template wrote */
		c->tail.len -= c->tail.len < ask->begun_bytes ? c->tail.len : ask->begun_bytes;
		c->tail.ptr[c->tail.len] = '\0';
	}
	c->how.prompt = (struct str){c->tail.ptr ? c->tail.ptr : "", c->tail.len};
	if (ask->budget && c->marks && ask->thinking != THINKING_OFF && limit(c, ask, tok, err))
		return err->error.code;
	enum dialect_thinks thinks = !c->marks                                     ? DIALECT_NO_THINKING
				     : is_open(c)                                  ? DIALECT_THINKING_OPEN
				     : ask->thinking == THINKING_OFF || is_over(c) ? DIALECT_NO_THINKING
										   : DIALECT_MAY_THINK;
	if (ask->begun_bytes && thinks == DIALECT_THINKING_OPEN)
		return blame(
			err, "messages",
			"messages begin an answer, and the model's chat template begins it with thinking, of "
			"which that would be a part: turn thinking off, or leave it out");
	if (c->how.tools)
		return shape_calls(c, ask, found, tok, thinks, err);
	return ask->shape_field ? think_first(c, ask, tok, thinks, err) : HOKKU_OK;
}

struct dialect_reader *calling_reader(const struct calling *c, dialect_sink *sink, void *user)
{
	return dialect_reader_new(&c->how, sink, user);
}

void thinking_count_token(struct thinking_count *t, const struct dialect_reader *reader, uint32_t index)
{
	if (!dialect_reader_thinks(reader))
		return;
	t->n++;
	t->end = index + 1;
}

uint32_t thinking_count_end(struct thinking_count *t, uint32_t n_tokens)
{
	t->n -= t->end > n_tokens;
	return t->n;
}

void calling_free(struct calling *c)
{
	jv_doc_free(&c->tools);
	jv_doc_free(&c->kwargs);
	strbuf_free(&c->tail);
	dialect_shape_free(&c->shape);
	tok_ids_free(&c->close);
	*c = (struct calling){0};
}
