/* What tools and thinking of a request ask of its prompt and of the answer's shape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/load.h"
#include "engine/words.h"
#include "server/request.h"

static struct gguf *file;
static struct tok *tok;
static struct request_error err;

static int open_model(void **state)
{
	(void)state;
	struct hokku_error e;
	return engine_open_file(NULL, &file, &e) || engine_open_tok(file, &tok, NULL, (struct str){0}, &e);
}

static int close_model(void **state)
{
	(void)state;
	tok_destroy(tok);
	gguf_close(file);
	return 0;
}

static struct dialect_found thinks(const char *argument)
{
	return (struct dialect_found){.dialect = dialect_find("hermes"),
				      .lists_tools = true,
				      .thinking = dialect_thinking_find("think"),
				      .marks_thinking = true,
				      .switch_argument = argument};
}

static void warn(void *user, const char *text)
{
	struct gen_request *r = user;
	strbuf_add_c(&r->warnings, text);
}

static struct calling_ask ask_of(struct gen_request *r)
{
	return (struct calling_ask){.tools = r->tools,
				    .choice = r->tool_choice,
				    .tool_name = r->tool_name,
				    .one_call = r->one_call,
				    .thinking = r->thinking,
				    .effort = r->effort,
				    .budget = r->thinking_budget,
				    .shape_field = r->shape_field,
				    .shape_kind = r->shape_kind,
				    .shape_text = &r->shape_text,
				    .warn = warn,
				    .user = r};
}

static void parse(struct gen_request *r, const char *rest)
{
	char body[2048];
	snprintf(body, sizeof body, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]%s%s}",
		 *rest ? "," : "", rest);
	if (request_parse(str_c(body), &request_openai_chat, NULL, r, &err))
		fail_msg("%s: %s", rest, err.error.message);
}

/* ---- arguments of the template ---- */

static void arguments(void **state)
{
	(void)state;
	struct dialect_found plain = {.dialect = dialect_find("generic"),
				      .thinking = dialect_thinking_find("think")};
	struct dialect_found switched = thinks("enable_thinking"), effort = thinks(NULL),
			     always = thinks(NULL);
	effort.effort_argument = "reasoning_effort";
	effort.effort_none = "none";
	effort.budget_argument = "thinking_budget";
	always.opens_thinking = true;
	const struct {
		const char *rest;
		const struct dialect_found *found;
		const char *kwargs, *warning; /* kwargs NULL: refused */
	} rows[] = {
		{"", &switched, "", ""},
		{"\"reasoning_effort\":\"none\"", &switched, "{\"enable_thinking\":false}", ""},
		{"\"reasoning_effort\":\"low\"", &switched, "{\"enable_thinking\":true}", "has no effect"},
		{"\"reasoning_effort\":\"low\"", &effort, "{\"reasoning_effort\":\"low\"}", ""},
		{"\"reasoning_effort\":\"minimal\"", &effort, "{\"reasoning_effort\":\"low\"}", ""},
		{"\"reasoning_effort\":\"max\"", &effort, "{\"reasoning_effort\":\"high\"}", ""},
		{"\"reasoning_effort\":\"none\"", &effort, "{\"reasoning_effort\":\"none\"}", ""},
		{"\"reasoning_effort\":\"high\",\"thinking_token_budget\":77", &effort,
		 "{\"reasoning_effort\":\"high\",\"thinking_budget\":77}", ""},
		/* A model that does not think need not be kept from it; one that always does cannot be. */
		{"\"reasoning_effort\":\"none\"", &plain, "", ""},
		{"\"reasoning_effort\":\"low\"", &plain, "", "knows of none"},
		{"\"reasoning_effort\":\"none\"", &always, NULL, ""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct gen_request r;
		struct calling c;
		struct strbuf kwargs = {0};
		parse(&r, rows[i].rest);
		struct calling_ask ask = ask_of(&r);
		enum hokku_code rc = calling_begin(&c, &ask, rows[i].found, &err);
		assert_int_equal(rc, rows[i].kwargs ? HOKKU_OK : HOKKU_INVALID_REQUEST);
		if (c.kwargs.root.n)
			jv_write(&c.kwargs.root, &kwargs);
		assert_string_equal(kwargs.ptr ? kwargs.ptr : "", rows[i].kwargs ? rows[i].kwargs : "");
		assert_non_null(strstr(r.warnings.ptr ? r.warnings.ptr : "", rows[i].warning));
		assert_int_equal(*rows[i].warning != '\0', r.warnings.len > 0);
		strbuf_free(&kwargs);
		calling_free(&c);
		request_free(&r);
	}
}

/* ---- shapes ---- */

#define SCHEMA \
	"\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{\"type\":\"integer\"}}}"
#define TAG(begin)                                                                \
	"{\"type\":\"tag\",\"begin\":\"" begin                                    \
	"\",\"content\":{\"type\":\"any_text\"},\"end\":\"</think>\"},{\"type\":" \
	"\"regex\",\"pattern\":\"[ \\\\n]{0,8}\"},"
#define INTEGER              "{\"type\":\"json_schema\",\"json_schema\":{\"type\":\"integer\"}}"
#define BEHIND(begin, shape) "{\"type\":\"sequence\",\"elements\":[" TAG(begin) shape "]}"
#define WHOLE(format)        "{\"type\":\"structural_tag\",\"format\":" format "}"

static void shapes(void **state)
{
	(void)state;
	static const struct {
		const char *rest, *prompt, *shape; /* NULL: none; "": as the request has it */
	} rows[] = {
		{"", "<think>\n", NULL},
		/* The prompt has opened it, left it open to the model, or said that there is none. */
		{SCHEMA, "x<think>\n", WHOLE(BEHIND("", INTEGER))},
		{SCHEMA, "x",
		 WHOLE("{\"type\":\"or\",\"elements\":[" BEHIND("<think>", INTEGER) "," INTEGER "]}")},
		{SCHEMA, "x<think>\n\n</think>\n\n", ""},
		{SCHEMA ",\"reasoning_effort\":\"none\"", "x", ""},
		/* Each kind of shape can stand there. */
		{"\"response_format\":{\"type\":\"json_object\"}", "<think>",
		 WHOLE(BEHIND("", "{\"type\":\"json_schema\",\"json_schema\":{\"type\":\"object\"}}"))},
		{"\"regex\":\"a\\\"+\"", "<think>",
		 WHOLE(BEHIND("", "{\"type\":\"regex\",\"pattern\":\"a\\\"+\"}"))},
		{"\"grammar\":\"root ::= \\\"a\\\"\"", "<think>",
		 WHOLE(BEHIND("", "{\"type\":\"grammar\",\"grammar\":\"root ::= \\\"a\\\"\"}"))},
		{"\"choice\":[\"a\",\"b\"]", "<think>",
		 WHOLE(BEHIND(
			 "",
			 "{\"type\":\"or\",\"elements\":[{\"type\":\"const_string\",\"value\":\"a\"},{\"type\":"
			 "\"const_string\",\"value\":\"b\"}]}"))},
		{"\"structured_outputs\":{\"structural_tag\":{\"type\":\"structural_tag\",\"format\":{\"type\":"
		 "\"any_text\"}}}",
		 "<think>", WHOLE(BEHIND("", "{\"type\":\"any_text\"}"))},
	};
	const struct dialect_found found = thinks("enable_thinking");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct gen_request r;
		struct calling c;
		struct tok_ids ids = {0};
		parse(&r, rows[i].rest);
		struct calling_ask ask = ask_of(&r);
		char *before = r.shape_text.ptr ? strdup(r.shape_text.ptr) : NULL;
		assert_int_equal(tok_encode(tok, str_c(rows[i].prompt), TOK_PARSE_SPECIAL, &ids, &err.error),
				 HOKKU_OK);
		assert_int_equal(calling_begin(&c, &ask, &found, &err), HOKKU_OK);
		assert_int_equal(calling_go_on(&c, &ask, &found, tok, &ids, &err), HOKKU_OK);
		const char *want = rows[i].shape && !*rows[i].shape ? before : rows[i].shape;
		assert_int_equal(ask.shape_field != NULL, want != NULL);
		if (want)
			assert_string_equal(r.shape_text.ptr, want);
		free(before);
		tok_ids_free(&ids);
		calling_free(&c);
		request_free(&r);
	}
}

/* Markers that are control tokens, whole or in part, are named; those of the bundled model end answers or
 * not. */
static void marker_tokens(void **state)
{
	(void)state;
	static const struct {
		const char *open, *close, *begin, *end;
	} rows[] = {
		{"<|im_start|>", "<|im_start|>",
		 "{\"type\":\"token\",\"token\":\"<|im_start|>\"},{\"type\":\"tag\",\"begin\":\"\",",
		 "\"end\":{\"type\":\"token\",\"token\":\"<|im_start|>\"}},{\"type\":\"regex\""},
		{"a<|im_start|>b", "c<|im_start|>d",
		 "{\"type\":\"const_string\",\"value\":\"a\"},{\"type\":\"token\",\"token\":\"<|im_start|>\"},{\"type\":"
		 "\"const_string\",\"value\":\"b\"},{\"type\":\"tag\",\"begin\":\"\",",
		 "\"end\":\"c\"},{\"type\":\"token\",\"token\":\"<|im_start|>\"},{\"type\":\"const_string\",\"value\":"
		 "\"d\"},{\"type\":\"regex\""},
		/* No such token; one that ends an answer. */
		{"<|start|>", "<|im_end|>", "{\"type\":\"tag\",\"begin\":\"<|start|>\",",
		 "\"end\":\"<|im_end|>\"},{\"type\":\"regex\""},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct dialect_thinking marks = {"x", rows[i].open, rows[i].close, false};
		struct dialect_found found = thinks("enable_thinking");
		struct gen_request r;
		struct calling c;
		struct tok_ids ids = {0};
		struct constrain *shape;
		struct constrain_vocab *vocab;
		struct constrain_words words;
		found.thinking = &marks;
		parse(&r, SCHEMA);
		struct calling_ask ask = ask_of(&r);
		assert_int_equal(tok_encode(tok, STR_LIT("x"), 0, &ids, &err.error), HOKKU_OK);
		assert_int_equal(calling_begin(&c, &ask, &found, &err), HOKKU_OK);
		assert_int_equal(calling_go_on(&c, &ask, &found, tok, &ids, &err), HOKKU_OK);
		if (!strstr(r.shape_text.ptr, rows[i].begin) || !strstr(r.shape_text.ptr, rows[i].end))
			fail_msg("%s", r.shape_text.ptr);
		const struct constrain_shape what = {.kind = ask.shape_kind,
						     .text = {r.shape_text.ptr, r.shape_text.len}};
		assert_int_equal(words_init(tok, &words, &err.error), HOKKU_OK);
		assert_int_equal(constrain_vocab_new(&words, &vocab, &err.error), HOKKU_OK);
		if (constrain_new(vocab, &what, NULL, &shape, NULL, &err.error))
			fail_msg("%s", err.error.message);
		constrain_unref(shape);
		constrain_vocab_free(vocab);
		words_deinit(&words);
		tok_ids_free(&ids);
		calling_free(&c);
		request_free(&r);
	}
}

#define TOOL(name, more)                                        \
	"{\"type\":\"function\",\"function\":{\"name\":\"" name \
	"\",\"parameters\":{\"type\":\"object\"}" more "}}"

/* Whether calls have a shape, and what becomes of it where it is refused. */
static void calls(void **state)
{
	(void)state;
	static const struct {
		const char *rest;
		bool shaped, lenient, beside;
	} rows[] = {
		{"\"tools\":[" TOOL("f", "") "]", true, true, false},
		{"\"tools\":[" TOOL("f", ",\"strict\":true") "]", true, false, false},
		{"\"tools\":[" TOOL("f", "") "],\"tool_choice\":\"required\"", true, false, false},
		{"\"tools\":[" TOOL("f", "") "]," SCHEMA, true, false, true},
		{"\"tools\":[" TOOL("f", "") "],\"tool_choice\":\"none\"", false, false, false},
	};
	const struct dialect_found found = thinks("enable_thinking");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct gen_request r;
		struct calling c;
		struct tok_ids ids = {0};
		parse(&r, rows[i].rest);
		struct calling_ask ask = ask_of(&r);
		assert_int_equal(tok_encode(tok, STR_LIT("x"), 0, &ids, &err.error), HOKKU_OK);
		assert_int_equal(calling_begin(&c, &ask, &found, &err), HOKKU_OK);
		assert_int_equal(calling_go_on(&c, &ask, &found, tok, &ids, &err), HOKKU_OK);
		assert_int_equal(ask.shape_field != NULL, rows[i].shaped);
		assert_int_equal(c.lenient, rows[i].lenient);
		assert_int_equal(c.beside, rows[i].beside);
		assert_int_equal(c.how.tools != NULL, rows[i].shaped);
		if (rows[i].shaped) { /* the compiler names the place of a schema as it is in the shape */
			char place[256];
			assert_true(c.shape.n_schemas > 0);
			const char *at = c.shape.schemas[0].place;
			if (rows[i].beside)
				snprintf(place, sizeof place, "/format/elements/1/%s",
					 at + strlen("/format/"));
			else
				snprintf(place, sizeof place, "%s", at);
			assert_int_equal(calling_refused(&c, place, err.field), rows[i].lenient);
			assert_string_equal(err.field, "tools[0].function.parameters");
			/* All of the shape is the calls': where nobody was promised one, no fault of it is
			 * theirs. */
			assert_int_equal(calling_refused(&c, "/format/nowhere", err.field), rows[i].lenient);
			assert_string_equal(err.field, "");
		}
		tok_ids_free(&ids);
		calling_free(&c);
		request_free(&r);
	}
}

/* Beside a shape, too, thinking holds nothing that would be read as a call out of it: that would have no
 * schema. Where no calls are read, or none comes out of thinking, its markers are text. */
static void calls_are_no_thinking(void **state)
{
	(void)state;
	static const struct {
		const char *dialect, *rest, *content;
	} rows[] = {
		{"qwen3-coder", "\"tools\":[" TOOL("f", "") "]," SCHEMA,
		 "{\"type\":\"any_text\",\"excludes\":[\"<tool_call>\",\"<function=\"]},\"end\":\"</think>\""},
		{"qwen3-coder", SCHEMA, "{\"type\":\"any_text\"},\"end\":\"</think>\""},
		{"hermes", "\"tools\":[" TOOL("f", "") "]," SCHEMA,
		 "{\"type\":\"any_text\"},\"end\":\"</think>\""},
		{"solar-open", SCHEMA,
		 "{\"type\":\"any_text\",\"excludes\":[\"<|content|>\",\"<|begin|>assistant\","},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct dialect_found found = thinks("enable_thinking");
		struct gen_request r;
		struct calling c;
		struct tok_ids ids = {0};
		found.dialect = dialect_find(rows[i].dialect);
		parse(&r, rows[i].rest);
		struct calling_ask ask = ask_of(&r);
		assert_int_equal(tok_encode(tok, STR_LIT("<think>"), 0, &ids, &err.error), HOKKU_OK);
		assert_int_equal(calling_begin(&c, &ask, &found, &err), HOKKU_OK);
		assert_int_equal(calling_go_on(&c, &ask, &found, tok, &ids, &err), HOKKU_OK);
		if (!strstr(r.shape_text.ptr, rows[i].content))
			fail_msg("row %zu: %s", i, r.shape_text.ptr);
		tok_ids_free(&ids);
		calling_free(&c);
		request_free(&r);
	}
}

/* The budget's closing tokens, and what the answer must begin with to have any thinking. */
static void budgets(void **state)
{
	(void)state;
	static const struct {
		const char *rest, *prompt;
		uint32_t max;
		const char *open;
	} rows[] = {
		{"\"thinking_token_budget\":9", "<think>\n", 9, ""},
		{"\"thinking_token_budget\":9", "x", 9, "<think>"},
		{"\"thinking_token_budget\":9", "<think>\n\n</think>\n\n", 0, ""},
		{"\"thinking_token_budget\":9,\"reasoning_effort\":\"none\"", "x", 0, ""},
		{"\"reasoning_effort\":\"low\"", "x", 0, ""},
	};
	const struct dialect_found found = thinks("enable_thinking");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct gen_request r;
		struct calling c;
		struct tok_ids ids = {0};
		struct strbuf text = {0};
		parse(&r, rows[i].rest);
		struct calling_ask ask = ask_of(&r);
		assert_int_equal(tok_encode(tok, str_c(rows[i].prompt), TOK_PARSE_SPECIAL, &ids, &err.error),
				 HOKKU_OK);
		assert_int_equal(calling_begin(&c, &ask, &found, &err), HOKKU_OK);
		assert_int_equal(calling_go_on(&c, &ask, &found, tok, &ids, &err), HOKKU_OK);
		const struct rules_thinking *t = &ask.limit;
		assert_int_equal(t->max, rows[i].max);
		if (t->max)
			assert_true(str_eq_c(t->open, rows[i].open));
		for (uint32_t k = 0; k < t->n_close; k++) {
			struct str bytes = tok_bytes(tok, t->close_ids[k]);
			strbuf_add(&text, bytes.ptr, bytes.len);
		}
		assert_string_equal(text.ptr ? text.ptr : "", t->max ? "</think>" : "");
		strbuf_free(&text);
		tok_ids_free(&ids);
		calling_free(&c);
		request_free(&r);
	}
	for (int n = 0; n <= 1; n++) {
		struct gen_request r;
		char body[160];
		snprintf(
			body, sizeof body,
			"{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"thinking_token_budget\":%d}",
			n);
		assert_int_equal(request_parse(str_c(body), &request_openai_chat, NULL, &r, &err),
				 n ? HOKKU_OK : HOKKU_INVALID_REQUEST);
		request_free(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments),
		cmocka_unit_test(shapes),
		cmocka_unit_test(marker_tokens),
		cmocka_unit_test(calls),
		cmocka_unit_test(calls_are_no_thinking),
		cmocka_unit_test(budgets),
	};
	return cmocka_run_group_tests(tests, open_model, close_model);
}
