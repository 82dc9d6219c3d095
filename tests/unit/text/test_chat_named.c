/* The templates known by name, against tests/golden/jinja/named.json, and what --chat-template takes. */
#include "text/vocab.h"

#include <unistd.h>

#include "text/chat.h"

/* Ids: 256 <s>, 257 </s>. */
static struct tok *open(struct str source, struct chat *c)
{
	struct vocab v = v_new("qwen2");
	struct hokku_error err;
	struct gguf *g;
	struct tok *t;
	void *copy;
	v_token(&v, "<s>", TOK_CONTROL);
	v_token(&v, "</s>", TOK_CONTROL);
	v_key_u32(&v, "tokenizer.ggml.bos_token_id", 256);
	v_key_u32(&v, "tokenizer.ggml.eos_token_id", 257);
	struct strbuf b = v_file(&v);
	assert_int_equal(b_open(&b, &copy, &g, &err), HOKKU_OK);
	assert_int_equal(tok_create(g, &t, &err), HOKKU_OK);
	assert_int_equal(chat_init(c, g, source, &err), HOKKU_OK);
	gguf_close(g);
	free(copy);
	strbuf_free(&b);
	return t;
}

static void expect(const char *name, const struct chat *c, const struct tok *t, const struct jv *conversation,
		   bool answer, struct str want)
{
	struct chat_message m[8];
	struct jv_doc kwargs;
	struct strbuf got = {0};
	struct hokku_error err;
	const char *text =
		answer ? "{\"add_generation_prompt\": true}" : "{\"add_generation_prompt\": false}";
	assert_int_equal(jv_parse(str_c(text), JV_STRICT, &kwargs, &err), HOKKU_OK);
	for (size_t i = 0; i < jv_len(conversation); i++)
		m[i] = (struct chat_message){.role = jv_str(jv_at(jv_at(conversation, i), 0)),
					     .content = jv_str(jv_at(jv_at(conversation, i), 1))};
	const struct chat_input in = {
		.messages = m, .n_messages = jv_len(conversation), .kwargs = {&kwargs.root}};
	if (chat_render_text(c, t, &in, &got, NULL, &err))
		fail_msg("%s: %s", name, err.message);
	struct str is = {got.ptr, got.len};
	if (str_starts(is, STR_LIT("<s>"))) /* llama.cpp leaves BOS to the tokenizer */
		is = (struct str){is.ptr + 3, is.len - 3};
	if (!str_eq(is, want))
		fail_msg("%s: \"%s\", wanted \"%s\"", name, is.ptr, want.ptr);
	strbuf_free(&got);
	jv_doc_free(&kwargs);
}

static void as_others_have_them(void **state)
{
	(void)state;
	struct jv_doc all;
	struct hokku_error err;
	if (jv_read_file(TEST_GOLDEN_DIR "/jinja/named.json", 1 << 20, &all, &err))
		fail_msg("%s", err.message);
	const struct jv *conversations = jv_get(&all.root, "conversations");
	size_t n = 0;
	for (const char *name; (name = chat_name(n)); n++) {
		const struct jv *texts = jv_get(jv_get(&all.root, "by llama.cpp"), name);
		if (!texts)
			texts = jv_get(jv_get(&all.root, "by hand"), name);
		if (jv_len(texts) != 4)
			fail_msg("%s has no golden", name);
		struct chat c;
		struct tok *t = open(chat_named(name), &c);
		assert_true(c.kind == CHAT_JINJA || (c.kind == CHAT_CHATML && strcmp(name, "chatml") == 0));
		for (size_t i = 0; i < 4; i++)
			if (c.kind != CHAT_CHATML)
				expect(name, &c, t, jv_at(conversations, i / 2), i % 2 == 0,
				       jv_str(jv_at(texts, i)));
		chat_deinit(&c);
		tok_destroy(t);
	}
	assert_int_equal(n, 30);
	assert_null(chat_named("nothing").ptr);
	jv_doc_free(&all);
}

static void what_names_a_template(void **state)
{
	(void)state;
	struct str source;
	struct hokku_error err;
	char *owned, path[] = "/tmp/hokku-template-XXXXXX";
	assert_int_equal(chat_find("llama3", &source, &owned, &err), HOKKU_OK);
	assert_null(owned);
	assert_ptr_equal(source.ptr, chat_named("llama3").ptr);
	assert_int_equal(chat_find("a {{ b }}", &source, &owned, &err), HOKKU_OK);
	assert_true(str_eq_c(source, "a {{ b }}"));
	assert_int_equal(chat_find("llama 3", &source, &owned, &err), HOKKU_NOT_FOUND);
	assert_string_equal(
		err.message,
		"the chat template \"llama 3\" is neither a name known here nor a file; is \"llama3\" meant?");
	assert_int_equal(chat_find("quetzalcoatl", &source, &owned, &err), HOKKU_NOT_FOUND);
	assert_non_null(strstr(err.message, "is neither a file nor one of chatml, "));
	assert_int_equal(chat_find("/nowhere/x", &source, &owned, &err), HOKKU_NOT_FOUND);
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(chat_find(path, &source, &owned, &err), HOKKU_BAD_FILE);
	assert_non_null(strstr(err.message, "is empty"));
	free(owned);
	assert_int_equal(write(fd, "x{{ 1 }}", 8), 8);
	assert_int_equal(chat_find(path, &source, &owned, &err), HOKKU_OK);
	assert_true(str_eq_c(source, "x{{ 1 }}"));
	free(owned);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_others_have_them),
		cmocka_unit_test(what_names_a_template),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
