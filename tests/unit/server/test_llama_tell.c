/* llama-server's routes that need no model: ids of texts, texts of ids, the prompt of a conversation. With a
 * vocabulary made by hand that wants BOS and writes parts of characters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "server/llama.h"
#include "text/vocab.h"

static struct tok *tok;
static struct chat chat;
enum { BOS = 257, MARK = 258, LAST = MARK };

static int set_up(void **state)
{
	(void)state;
	struct hokku_error err;
	struct gguf *g;
	void *copy;
	struct vocab v = v_new("gpt-2");
	v_pair(&v, "h", "a");                 /* 256 */
	v_token(&v, "<s>", TOK_CONTROL);      /* BOS */
	v_token(&v, "<|mark|>", TOK_CONTROL); /* MARK */
	v_key_u32(&v, "tokenizer.ggml.bos_token_id", BOS);
	v_key_bool(&v, "tokenizer.ggml.add_bos_token", true);
	v_key_str(&v, "tokenizer.chat_template",
		  "{{ bos_token }}{% for m in messages %}<|mark|>{{ m.content }}{% endfor %}"
		  "{% if add_generation_prompt %}<|end|>{% endif %}");
	struct strbuf b = v_file(&v);
	if (b_open(&b, &copy, &g, &err) || tok_create(g, &tok, &err) ||
	    chat_init(&chat, g, (struct str){NULL, 0}, &err)) {
		fprintf(stderr, "%s\n", err.message);
		return -1;
	}
	gguf_close(g);
	free(copy);
	strbuf_free(&b);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	chat_deinit(&chat);
	tok_destroy(tok);
	return 0;
}

/* The answer's body without its line end; of an error "FIELD: MESSAGE". */
static const char *tell(const struct api *api, const char *body)
{
	static char text[1024];
	static const struct prepare_chat no_defaults;
	struct prepare_job job = {.form = api->form};
	strbuf_add_c(&job.body, body);
	prepare_run_job(&job, tok, &chat, NULL, &no_defaults);
	if (job.rc)
		snprintf(text, sizeof text, "%s: %s", job.err.field, job.err.error.message);
	else
		snprintf(text, sizeof text, "%.*s", (int)job.told.len - 1, job.told.ptr);
	prepare_job_free(&job);
	return text;
}

#define assert_tells(api, body, want) assert_string_equal(tell(&(api), body), want)

static void test_tokenize(void **state)
{
	(void)state;
	assert_tells(api_llama_tokenize, "{\"content\":\"haa\"}", "{\"tokens\":[256,97]}");
	assert_tells(api_llama_tokenize, "{\"content\":\"\"}", "{\"tokens\":[]}");
	assert_tells(api_llama_tokenize, "{\"content\":\"\",\"add_special\":true}", "{\"tokens\":[257]}");
	assert_tells(api_llama_tokenize, "{\"content\":\"ha\",\"add_special\":true,\"with_pieces\":false}",
		     "{\"tokens\":[257,256]}");
	assert_tells(api_llama_tokenize, "{\"content\":\"a<|mark|>\"}", "{\"tokens\":[97,258]}");
	assert_tells(api_llama_tokenize, "{\"content\":\"<s>\",\"parse_special\":true}",
		     "{\"tokens\":[257]}");
	assert_tells(api_llama_tokenize, "{\"content\":\"<s>\",\"parse_special\":false}",
		     "{\"tokens\":[60,115,62]}");
	/* Parts of a character are bytes. */
	assert_tells(api_llama_tokenize, "{\"content\":\"h\\u00e1\\n<s>\",\"with_pieces\":true}",
		     "{\"tokens\":[{\"id\":104,\"piece\":\"h\"},{\"id\":195,\"piece\":[195]},"
		     "{\"id\":161,\"piece\":[161]},{\"id\":10,\"piece\":\"\\n\"},"
		     "{\"id\":257,\"piece\":\"<s>\"}]}");
	/* Texts and ids: BOS comes before a text that is the first. */
	assert_tells(api_llama_tokenize, "{\"content\":[\"ha\",5,258,\"ha\"],\"add_special\":true}",
		     "{\"tokens\":[257,256,5,258,256]}");
	assert_tells(api_llama_tokenize, "{\"content\":[0,\"ha\"],\"add_special\":true}",
		     "{\"tokens\":[0,256]}");
	assert_tells(api_llama_tokenize, "{\"content\":[]}", "{\"tokens\":[]}");
	assert_tells(api_llama_tokenize, "{\"content\":\"a\",\"with_piece\":true}",
		     "{\"tokens\":[97],\"warnings\":[\"\\\"with_piece\\\" is no field of the request and was "
		     "ignored; did you mean \\\"with_pieces\\\"?\"]}");
}

static void test_bad_tokenize(void **state)
{
	(void)state;
	assert_tells(api_llama_tokenize, "{}",
		     "content: content is missing; it takes a string, or an array of strings and token ids");
	assert_tells(api_llama_tokenize, "{\"content\":null}",
		     "content: content is missing; it takes a string, or an array of strings and token ids");
	assert_tells(
		api_llama_tokenize, "{\"content\":{}}",
		"content: content is an object; it takes a string, or an array of strings and token ids");
	assert_tells(api_llama_tokenize, "{\"content\":[\"a\",259]}",
		     "content[1]: content[1] is 259; this model's token ids run from 0 to 258");
	assert_tells(api_llama_tokenize, "{\"content\":[-1]}",
		     "content[0]: content[0] is -1; this model's token ids run from 0 to 258");
	assert_tells(api_llama_tokenize, "{\"content\":[0.5]}",
		     "content[0]: content[0] is 0.5; this model's token ids run from 0 to 258");
	assert_tells(api_llama_tokenize, "{\"content\":[[97]]}",
		     "content[0]: content[0] is an array of 1; it takes a string or a token id");
	assert_tells(api_llama_tokenize, "{\"content\":\"a\",\"add_special\":1}",
		     "add_special: add_special is 1; it takes true or false");
	assert_tells(api_llama_tokenize, "{\"content\":\"a\",\"parse_special\":\"no\"}",
		     "parse_special: parse_special is the string \"no\"; it takes true or false");
	assert_tells(api_llama_tokenize, "[]", ": the body is an array of 0; it must be a JSON object");
}

static void test_detokenize(void **state)
{
	(void)state;
	assert_tells(api_llama_detokenize, "{\"tokens\":[257,256,32,195,161,258]}",
		     "{\"content\":\"<s>ha \xC3\xA1<|mark|>\"}");
	assert_tells(api_llama_detokenize, "{\"tokens\":[195]}", "{\"content\":\"\xEF\xBF\xBD\"}");
	assert_tells(api_llama_detokenize, "{\"tokens\":[]}", "{\"content\":\"\"}");
	assert_tells(api_llama_detokenize, "{\"tokens\":[258]}", "{\"content\":\"<|mark|>\"}");
	assert_tells(api_llama_detokenize, "{\"tokens\":[0,259]}",
		     "tokens[1]: tokens[1] is 259; this model's token ids run from 0 to 258");
	assert_tells(api_llama_detokenize, "{\"tokens\":\"a\"}",
		     "tokens: tokens is the string \"a\"; it takes an array of token ids");
	assert_tells(api_llama_detokenize, "{}", "tokens: tokens is missing; it takes an array of token ids");
	assert_int_equal(LAST, tok_n_vocab(tok) - 1);
}

/* BOS is left to /completion, which puts it before every prompt. */
static void test_template(void **state)
{
	(void)state;
	assert_tells(
		api_llama_template,
		"{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"<s>\"}]}",
		"{\"prompt\":\"<|mark|>a<|mark|><s><|end|>\"}");
	assert_tells(api_llama_template, "{}",
		     "messages: messages is missing; it takes an array of at least one {role, content}");
	assert_tells(api_llama_template, "{\"message\":[]}",
		     "message: \"message\" is no field of this route; did you mean \"messages\"?");
	assert_tells(api_llama_template,
		     "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"add_generation_prompt\":true}",
		     "{\"prompt\":\"<|mark|>a<|end|>\"}");
	assert_tells(api_llama_template,
		     "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"add_generation_prompt\":false}",
		     "{\"prompt\":\"<|mark|>a\"}");
	assert_tells(api_llama_template,
		     "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"add_generation_prompt\":0}",
		     "add_generation_prompt: add_generation_prompt is 0; it takes true or false");
	/* What an answer would need is checked all the same. */
	assert_tells(api_llama_template,
		     "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"temperature\":1000}",
		     "temperature: temperature is 1000; it takes a number from 0 to 100");
}

static void test_count(void **state)
{
	(void)state;
	const char *body =
		"{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"add_generation_prompt\":false}";
	assert_tells(api_llama_count, body, "{\"input_tokens\":3}"); /* BOS, the mark, a */
	assert_tells(
		api_llama_count, "{\"messages\":[]}",
		"messages: messages is an array of 0; it takes an array of at least one {role, content}");
}

static void test_errors(void **state)
{
	(void)state;
	static const struct {
		int status;
		const char *type;
	} rows[] = {{400, "invalid_request_error"}, {401, "authentication_error"},
		    {403, "permission_error"},      {404, "not_found_error"},
		    {429, "rate_limit_error"},      {499, "invalid_request_error"},
		    {500, "server_error"},          {501, "not_supported_error"},
		    {503, "unavailable_error"},     {504, "server_error"}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct strbuf b = {0};
		char want[160];
		llama_error(&b, rows[i].status, "a \"b\"", i % 2 ? "c" : i ? "" : NULL);
		snprintf(want, sizeof want,
			 "{\"error\":{\"code\":%d,\"message\":\"a \\\"b\\\"\",\"type\":\"%s\"%s}}\n",
			 rows[i].status, rows[i].type, i % 2 ? ",\"field\":\"c\"" : "");
		assert_string_equal(b.ptr, want);
		strbuf_free(&b);
	}
	struct strbuf b = {0};
	api_llama.error(&b, HOKKU_CONTEXT_EXCEEDED, "x", NULL);
	assert_string_equal(
		b.ptr,
		"{\"error\":{\"code\":400,\"message\":\"x\",\"type\":\"exceed_context_size_error\"}}\n");
	strbuf_clear(&b);
	llama_too_long(&b, "x", 600, 512);
	assert_string_equal(
		b.ptr, "{\"error\":{\"code\":400,\"message\":\"x\",\"type\":\"exceed_context_size_error\","
		       "\"n_prompt_tokens\":600,\"n_ctx\":512}}\n");
	strbuf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokenize),   cmocka_unit_test(test_bad_tokenize),
		cmocka_unit_test(test_detokenize), cmocka_unit_test(test_template),
		cmocka_unit_test(test_errors),     cmocka_unit_test(test_count),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
