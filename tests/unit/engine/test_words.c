/* A tokenizer as constraints see it: which tokens may be used, and texts as tokens in the middle of an
 * answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "engine/load.h"
#include "engine/words.h"

static struct tok *open_tok(const char *path)
{
	struct gguf *g;
	struct tok *t;
	struct hokku_error err;
	assert_int_equal(engine_open_file(path, &g, &err), HOKKU_OK);
	assert_int_equal(engine_open_tok(g, &t, NULL, (struct str){NULL, 0}, &err), HOKKU_OK);
	gguf_close(g);
	return t;
}

static const char *const texts[] = {"x",
				    "the cat",
				    " the cat",
				    "{\"name\": \"",
				    "\"}",
				    "\n\n",
				    "  ",
				    "\xc3\xa9t\xc3\xa9",
				    ", \"a\": [",
				    "<s>",
				    "<|im_end|>",
				    "1234567.5",
				    "\xe4\xbf\xb3\xe5\x8f\xa5 \xf0\x9f\x8c\xb8"};

static void check(const char *path)
{
	struct tok *t = open_tok(path);
	struct constrain_words w;
	struct hokku_error err;
	int32_t ids[64];
	assert_int_equal(words_init(t, &w, &err), HOKKU_OK);
	assert_int_equal(w.n, tok_n_vocab(t));
	assert_true(w.n_ends > 0);
	for (uint32_t i = 0; i < w.n_ends; i++)
		assert_true(tok_is_end(t, w.ends[i]) && w.bytes(w.user, (uint32_t)w.ends[i]).len == 0);
	for (uint32_t i = 0; i < w.n; i++)
		if (tok_type(t, (int32_t)i) == TOK_CONTROL)
			assert_int_equal(w.bytes(w.user, i).len, 0);
	assert_int_equal(w.bytes(w.user, w.n).len, 0);
	for (uint32_t i = 0; i < w.n; i++)
		if (tok_type(t, (int32_t)i) == TOK_CONTROL)
			assert_int_equal(w.find(w.user, tok_bytes(t, (int32_t)i)), i);
	assert_int_equal(w.find(w.user, STR_LIT("[no such token]")), -1);
	for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
		struct str text = str_c(texts[k]);
		struct strbuf b = {0};
		size_t n = w.encode(w.user, text, ids, 64);
		assert_in_range(n, 1, 64);
		for (size_t i = 0; i < n; i++) {
			struct str piece = w.bytes(w.user, (uint32_t)ids[i]);
			strbuf_add(&b, piece.ptr, piece.len);
		}
		assert_int_equal(b.len, text.len);
		assert_memory_equal(b.ptr, text.ptr, text.len);
		assert_int_equal(w.encode(w.user, text, NULL, 0), n); /* more than there is room for */
		strbuf_free(&b);
	}
	words_deinit(&w);
	tok_destroy(t);
}

static void test_bundled(void **state)
{
	(void)state;
	if (!bundled_model().len) {
		printf("skipped: built without the bundled model\n");
		skip();
	}
	check(NULL);
}

static void test_vocabularies(void **state)
{
	(void)state;
	if (access(TEST_SHARED_DIR "/vocab/llama-spm.gguf", R_OK) != 0) {
		printf("skipped: no %s/vocab\n", TEST_SHARED_DIR);
		skip();
	}
	check(TEST_SHARED_DIR "/vocab/llama-spm.gguf");
	check(TEST_SHARED_DIR "/vocab/gpt-2.gguf");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_bundled),
					   cmocka_unit_test(test_vocabularies)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
