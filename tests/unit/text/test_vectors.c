/* The tokenizers' own test vectors: shared/vocab (its README names the source). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "text/tokenizer.h"

static const char separator[] = "\n__ggml_vocab_test__\n";

/* The ids of the next line of *p; moves past it. */
static size_t read_ids(char **p, int32_t *ids, size_t max)
{
	size_t n = 0;
	while (**p && **p != '\n') {
		if (**p == ' ') {
			++*p;
			continue;
		}
		assert_true(n < max);
		ids[n++] = (int32_t)strtol(*p, p, 10);
	}
	if (**p)
		++*p;
	return n;
}

/* prefix: what encoding puts before a text. */
static void check_file(const char *name, const char *prefix)
{
	char path[512];
	struct gguf *g;
	struct tok *t;
	struct hokku_error err = {0};
	char *inp, *out;
	size_t n_inp, n_out;
	snprintf(path, sizeof path, "%s/vocab/%s.gguf", TEST_SHARED_DIR, name);
	if (gguf_open_file(path, &g, &err) || tok_create(g, &t, &err))
		fail_msg("%s: %s", name, err.message);
	gguf_close(g);
	snprintf(path, sizeof path, "%s/vocab/%s.gguf.inp", TEST_SHARED_DIR, name);
	assert_int_equal(file_read(path, 1 << 20, &inp, &n_inp, &err), HOKKU_OK);
	snprintf(path, sizeof path, "%s/vocab/%s.gguf.out", TEST_SHARED_DIR, name);
	assert_int_equal(file_read(path, 1 << 20, &out, &n_out, &err), HOKKU_OK);
	char *want = out;
	int n_texts = 0;
	for (char *text = inp; text; n_texts++) {
		char *end = strstr(text, separator);
		struct str s = {text, end ? (size_t)(end - text) : strlen(text)};
		static int32_t ids[4096];
		size_t n = read_ids(&want, ids, 4096);
		struct tok_ids got = {0};
		assert_int_equal(tok_encode(t, s, 0, &got, &err), HOKKU_OK);
		bool same = got.n == n && (n == 0 || memcmp(got.ids, ids, n * sizeof *ids) == 0);
		if (!same) {
			fprintf(stderr, "%s, text %d: %.*s\n got:", name, n_texts, STR_ARG(s));
			for (size_t i = 0; i < got.n; i++)
				fprintf(stderr, " %d", got.ids[i]);
			fprintf(stderr, "\nwant:");
			for (size_t i = 0; i < n; i++)
				fprintf(stderr, " %d", ids[i]);
			fprintf(stderr, "\n");
		}
		assert_true(same);
		/* and back */
		struct strbuf back = {0};
		for (size_t i = 0; i < got.n; i++) {
			struct str bytes = tok_bytes(t, got.ids[i]);
			strbuf_add(&back, bytes.ptr, bytes.len);
		}
		size_t n_prefix = s.len ? strlen(prefix) : 0;
		assert_int_equal(back.len, n_prefix + s.len);
		assert_true(s.len == 0 || (memcmp(back.ptr, prefix, n_prefix) == 0 &&
					   memcmp(back.ptr + n_prefix, s.ptr, s.len) == 0));
		strbuf_free(&back);
		tok_ids_free(&got);
		text = end ? end + sizeof separator - 1 : NULL;
	}
	assert_true(n_texts > 40);
	free(inp);
	free(out);
	tok_destroy(t);
}

static void gpt2(void **state)
{
	(void)state;
	check_file("gpt-2", "");
}

static void deepseek_llm(void **state)
{
	(void)state;
	check_file("deepseek-llm", "");
}

static void llama_spm(void **state)
{
	(void)state;
	check_file("llama-spm", " ");
}

static void phi_3(void **state)
{
	(void)state;
	check_file("phi-3", " ");
}

int main(void)
{
	if (access(TEST_SHARED_DIR "/vocab/gpt-2.gguf", R_OK) != 0) {
		printf("skipped: no %s/vocab\n", TEST_SHARED_DIR);
		return 77;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gpt2),
		cmocka_unit_test(deepseek_llm),
		cmocka_unit_test(llama_spm),
		cmocka_unit_test(phi_3),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
