/* Which files of a repository are the model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hub/choose.h"

static struct hub_files list(const char *const *paths)
{
	struct hub_files f = {0};
	for (; *paths; paths++)
		assert_true(hub_files_add(&f, str_c(*paths), 10, ""));
	hub_files_sort(&f);
	return f;
}

/* What is chosen, with spaces between; an error's message. */
static void check(const char *const *paths, const char *want, const char *expected)
{
	struct hub_files f = list(paths);
	struct hub_choice c;
	struct hokku_error err = {0};
	char got[1024] = "";
	if (hub_choose("u/r", &f, want, &c, &err))
		snprintf(got, sizeof got, "!%s", err.message);
	else
		assert_int_equal(c.n_bytes, 10 * c.n);
	for (size_t i = 0; i < c.n; i++)
		strcat(strcat(got, i ? " " : ""), f.all[c.index[i]].path);
	if (*expected == '!' ? !strstr(got, expected + 1) || *got != '!' : strcmp(got, expected) != 0)
		fail_msg("%s: \"%s\" instead of \"%s\"", want, got, expected);
	hub_choice_free(&c);
	hub_files_free(&f);
}

static void test_gguf(void **state)
{
	(void)state;
	static const char *const paths[] = {
		"m-Q8_0.gguf",       "m-Q4_K_M.gguf", "m-IQ4_XS.gguf", "m.F16.GGUF",  "m-UD-Q2_K_XL.gguf",
		"mmproj-m-F32.gguf", "imatrix.gguf",  "README.md",     "config.json", NULL};
	check(paths, "", "m-Q4_K_M.gguf");
	check(paths, "q8_0", "m-Q8_0.gguf");
	check(paths, "F16", "m.F16.GGUF");
	check(paths, "Q2_K_XL", "m-UD-Q2_K_XL.gguf");
	check(paths, "UD-Q2_K_XL", "m-UD-Q2_K_XL.gguf");
	check(paths, "Q4_XS", "!u/r has no model \"Q4_XS\"; did you mean IQ4_XS?; it has ");
	check(paths, "F32", "!u/r has no model \"F32\"");
	check(paths, "m-Q8_0.gguf", "m-Q8_0.gguf");
	check(paths, "mmproj-m-F32.gguf", "mmproj-m-F32.gguf"); /* who names it means it */
	check(paths, "m-Q9_0.gguf", "!did you mean m-Q8_0.gguf?");
	check((const char *const[]){"b.gguf", "a.gguf", NULL}, "", "a.gguf");
	check((const char *const[]){"a-Q8_0.gguf", "b-Q8_0.gguf", NULL}, "Q8_0", "!several models Q8_0");
	check((const char *const[]){"x/a-Q8_0.gguf", "y/b.gguf", NULL}, "b.gguf", "y/b.gguf");
	check((const char *const[]){"README.md", NULL}, "", "!holds no model that hokku reads");
	check((const char *const[]){"README.md", NULL}, "Q8_0", "!has no GGUF file, so none for \"Q8_0\"");
	check((const char *const[]){NULL}, "", "!holds no model");
}

static void test_parts(void **state)
{
	(void)state;
	static const char *const paths[] = {"Q8_0/m-00001-of-00003.gguf",   "Q8_0/m-00002-of-00003.gguf",
					    "Q8_0/m-00003-of-00003.gguf",   "m-Q4_K_M-00001-of-00002.gguf",
					    "m-Q4_K_M-00002-of-00002.gguf", NULL};
	static const char all[] = "m-Q4_K_M-00001-of-00002.gguf m-Q4_K_M-00002-of-00002.gguf";
	check(paths, "", all);
	check(paths, "Q4_K_M", all);
	check(paths, "m-Q4_K_M-00002-of-00002.gguf", all);
	check(paths, "Q8_0",
	      "Q8_0/m-00001-of-00003.gguf Q8_0/m-00002-of-00003.gguf Q8_0/m-00003-of-00003.gguf");
	check((const char *const[]){"m-Q8_0-00001-of-00002.gguf", NULL}, "",
	      "!is one of 2 parts, of which number 2 is not there");
	uint32_t i, n;
	size_t stem;
	assert_true(hub_is_part("m-00002-of-00010.gguf", &i, &n, &stem));
	assert_true(i == 2 && n == 10 && stem == 1);
	assert_false(hub_is_part("m-00003-of-00002.gguf", &i, &n, &stem));
	assert_false(hub_is_part("m-00000-of-00002.gguf", &i, &n, &stem));
	assert_false(hub_is_part("-0001-of-00002.gguf", &i, &n, &stem));
	assert_false(hub_is_part("gguf", &i, &n, &stem));
}

static void test_folders(void **state)
{
	(void)state;
	static const char *const paths[] = {"config.json", "tokenizer.json",    "model.safetensors",
					    "README.md",   "pytorch_model.bin", "onnx/model.safetensors",
					    NULL};
	check(paths, "", "config.json model.safetensors tokenizer.json");
	check((const char *const[]){"config.json", "model-00001-of-00002.safetensors",
				    "model-00002-of-00002.safetensors", "model.safetensors.index.json",
				    "m-Q8_0.gguf", NULL},
	      "safetensors",
	      "config.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors "
	      "model.safetensors.index.json");
	check((const char *const[]){"config.json", "model-00002-of-00002.safetensors", NULL}, "",
	      "!number 1 is not there");
	check((const char *const[]){"config.json", "tokenizer.json", NULL}, "", "!holds no model");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gguf),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_folders),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
