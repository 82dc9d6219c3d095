/* tok_encode_parts: special tokens where a template wrote them and nowhere else; everything between them as
 * if there were no parts. */
#include "text/vocab.h"

#include "base/rng.h"

/* 256 "ab", 257 <|x|> and 258 <|x|>y (control), 259 <u> (user-defined). */
static struct tok *open(void)
{
	struct hokku_error err;
	struct vocab v = v_new("gpt-2");
	v_pair(&v, "a", "b");
	v_token(&v, "<|x|>", TOK_CONTROL);
	v_token(&v, "<|x|>y", TOK_CONTROL);
	v_token(&v, "<u>", TOK_USER_DEFINED);
	struct tok *t = v_open(&v, &err);
	assert_non_null(t);
	return t;
}

/* text with trust as a picture: '+' a trusted byte, '-' one that is not. */
static void assert_parts(const struct tok *t, const char *text, const char *trust, const char *ids)
{
	struct tok_part parts[64];
	size_t n = 0, len = strlen(text);
	assert_int_equal(strlen(trust), len);
	for (size_t i = 0; i < len; i++) {
		if (!i || trust[i] != trust[i - 1])
			parts[n++] = (struct tok_part){0, trust[i] == '+'};
		parts[n - 1].len++;
	}
	struct tok_ids got = {0};
	struct hokku_error err;
	char shown[512] = "";
	assert_int_equal(tok_encode_parts(t, str_c(text), parts, n, 0, &got, &err), HOKKU_OK);
	for (size_t i = 0, at = 0; i < got.n; i++)
		at += (size_t)snprintf(shown + at, sizeof shown - at, "%s%d", i ? " " : "", got.ids[i]);
	assert_string_equal(shown, ids);
	tok_ids_free(&got);
}

static void special_tokens_are_trusted_whole(void **state)
{
	(void)state;
	struct tok *t = open();
	assert_parts(t, "<|x|>", "+++++", "257");
	assert_parts(t, "<|x|>", "-----", "60 124 120 124 62");
	for (int i = 0; i < 5; i++) { /* one byte of the request's is enough */
		char trust[] = "+++++";
		trust[i] = '-';
		assert_parts(t, "<|x|>", trust, "60 124 120 124 62");
		for (int k = 0; k < 5; k++)
			trust[k] = k == i ? '+' : '-';
		assert_parts(t, "<|x|>", trust, "60 124 120 124 62");
	}
	assert_parts(t, "<|x|>y", "++++++", "258");
	assert_parts(t, "<|x|>y", "+++++-", "257 121");
	assert_parts(t, "<|x|>y", "-+++++", "60 124 120 124 62 121");
	assert_parts(t, "<|x|><|x|><|x|>", "+++++-----+++++", "257 60 124 120 124 62 257");
	tok_destroy(t);
}

static void other_text_knows_no_parts(void **state)
{
	(void)state;
	struct tok *t = open();
	assert_parts(t, "ab", "+-", "256");
	assert_parts(t, "ab", "-+", "256");
	assert_parts(t, "<u>", "-+-", "259");
	assert_parts(t, "", "", "");
	tok_destroy(t);
}

/* By definition: in one text, names of special tokens that are not wholly trusted are words; so breaking each
 * such name by an escape that cannot match, and encoding with TOK_PARSE_SPECIAL, gives the same. */
static void random_parts(void **state)
{
	(void)state;
	static const char *const words[] = {"<|x|>", "<|x|>y", "<", "|x|>", "y", "ab", "a", "b", "<u>"};
	struct tok *t = open();
	for (int round = 0; round < 20000; round++) {
		char text[256], broken[256];
		bool trust[256];
		size_t n = 0;
		for (int w = 0; w < 8; w++) {
			uint32_t drawn[4];
			rng_words(5, 0, (uint64_t)round * 8 + (uint64_t)w, drawn);
			const char *word = words[drawn[0] % 9];
			bool trusted = drawn[1] % 3 != 0;
			for (const char *c = word; *c; c++) {
				text[n] = *c;
				trust[n++] = trusted;
			}
		}
		struct tok_part parts[256];
		for (size_t i = 0; i < n; i++)
			parts[i] = (struct tok_part){1, trust[i]};
		/* byte 1 stands for an untrusted '<' that begins a name, or one whose name is not wholly
		 * trusted */
		memcpy(broken, text, n);
		for (size_t i = 0; i + 5 <= n; i++) {
			if (memcmp(text + i, "<|x|>", 5) != 0)
				continue;
			bool whole = true;
			for (size_t k = i; k < i + 5; k++)
				whole = whole && trust[k];
			if (!whole)
				broken[i] = 1;
			else if (i + 5 < n && text[i + 5] == 'y' && !trust[i + 5])
				broken[i + 5] = 2; /* the longer name is not */
		}
		struct tok_ids got = {0}, want = {0};
		assert_int_equal(tok_encode_parts(t, (struct str){text, n}, parts, n, 0, &got, NULL),
				 HOKKU_OK);
		assert_int_equal(tok_encode(t, (struct str){broken, n}, TOK_PARSE_SPECIAL, &want, NULL),
				 HOKKU_OK);
		for (size_t i = 0; i < want.n; i++)
			want.ids[i] = want.ids[i] == 1 ? '<' : want.ids[i] == 2 ? 'y' : want.ids[i];
		assert_int_equal(got.n, want.n);
		assert_memory_equal(got.ids, want.ids, got.n * sizeof *got.ids);
		tok_ids_free(&got);
		tok_ids_free(&want);
	}
	tok_destroy(t);
}

static void parts_are_the_text(void **state)
{
	(void)state;
	struct tok *t = open();
	struct tok_ids ids = {0};
	struct hokku_error err;
	const struct tok_part parts[] = {{1, true}, {1, false}};
	assert_int_equal(tok_encode_parts(t, STR_LIT("a"), parts, 2, 0, &ids, &err), HOKKU_INTERNAL);
	assert_int_equal(tok_encode_parts(t, STR_LIT("ab"), parts, 2, 0, &ids, &err), HOKKU_OK);
	assert_int_equal(tok_encode_parts(t, STR_LIT("abc"), parts, 2, 0, &ids, &err), HOKKU_INTERNAL);
	tok_ids_free(&ids);
	tok_destroy(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(special_tokens_are_trusted_whole),
		cmocka_unit_test(other_text_knows_no_parts),
		cmocka_unit_test(random_parts),
		cmocka_unit_test(parts_are_the_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
