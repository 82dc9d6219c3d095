/* What people give where a GGUF file is wanted: the message says what it is and what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gguf/gguf.h"

static char folder[] = "/tmp/hokku-stranger-XXXXXX";
static char path[256];

static const char *in_folder(const char *name)
{
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static void put(const char *name, const void *bytes, size_t n)
{
	FILE *f = fopen(in_folder(name), "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

/* wanted: after the path; %s in it is the folder. */
static void expect(const char *file, enum hokku_code code, const char *wanted)
{
	struct gguf *g = (void *)1;
	struct hokku_error err = {0};
	char text[512], whole[600];
	assert_int_equal(gguf_open_file(file, &g, &err), code);
	assert_null(g);
	const char *mark = strstr(wanted, "%s");
	if (mark)
		snprintf(text, sizeof text, "%.*s%s%s", (int)(mark - wanted), wanted, folder, mark + 2);
	else
		snprintf(text, sizeof text, "%s", wanted);
	snprintf(whole, sizeof whole, "%s: %s", file, text);
	assert_string_equal(err.message, whole);
}

#define SAFETENSORS                                                                                    \
	"not a GGUF file: it looks like a safetensors file; turn its folder into a GGUF file: `hokku " \
	"convert "                                                                                     \
	"%s -o MODEL.gguf`"
#define IS(what) "not a GGUF file: it looks like " what

static void test_files(void **state)
{
	(void)state;
	struct hokku_error err = {0};
	struct gguf *g;
	assert_non_null(mkdtemp(folder));
	put("m", "\2\0\0\0\0\0\0\0{}", 10);
	expect(in_folder("m"), HOKKU_BAD_FILE, SAFETENSORS);
	put("m", "\x00\xE1\xF5\x05\0\0\0\0{", 9); /* 100,000,000 is the longest header; the file may be cut */
	expect(in_folder("m"), HOKKU_BAD_FILE, SAFETENSORS);
	put("m", "\x01\xE1\xF5\x05\0\0\0\0{", 9);
	expect(in_folder("m"), HOKKU_BAD_FILE,
	       "not a GGUF file: it begins with \"\\x01\\xe1\\xf5\\x05\"; \"GGUF\" is wanted");
	put("m", "\1\0\0\0\0\0\0\0{}", 10);
	expect(in_folder("m"), HOKKU_BAD_FILE,
	       "not a GGUF file: it begins with \"\\x01\\x00\\x00\\x00\"; \"GGUF\" is wanted");
	put("m", "\2\0\0\0\0\0\0\0", 8);
	expect(in_folder("m"), HOKKU_BAD_FILE,
	       "not a GGUF file: it begins with \"\\x02\\x00\\x00\\x00\"; \"GGUF\" is wanted");
	put("m", "{\"architectures\":", 17);
	expect(in_folder("m"), HOKKU_BAD_FILE, IS("a JSON file"));
	put("m", "\xEF\xBB\xBF{}", 5);
	expect(in_folder("m"), HOKKU_BAD_FILE, IS("a JSON file"));
	put("m", "\x80\x02\x8a\x0a", 4);
	expect(in_folder("m"), HOKKU_BAD_FILE, IS("a Python pickle, as old PyTorch checkpoints are"));
	put("m", "\x89HDF\r\n", 6);
	expect(in_folder("m"), HOKKU_BAD_FILE, IS("an HDF5 file"));
	/* Without a folder in the path, the folder is where one is. */
	put("m", "\2\0\0\0\0\0\0\0{}", 10);
	assert_int_equal(chdir(folder), 0);
	assert_int_equal(gguf_open_file("m", &g, &err), HOKKU_BAD_FILE);
	assert_non_null(strstr(err.message, "`hokku convert . -o MODEL.gguf`"));
	unlink("m");
}

static void test_folders(void **state)
{
	(void)state;
	static const char *const names[] = {"config.json", "tokenizer.json", "x.safetensors"};
	expect(folder, HOKKU_IO_ERROR, "is a directory, not a file");
	for (size_t i = 0; i < 3; i++) {
		put(names[i], "", 0);
		expect(folder, HOKKU_IO_ERROR,
		       "is a directory, not a file: a model as transformers writes it; turn it into a GGUF "
		       "file: `hokku "
		       "convert "
		       "%s -o MODEL.gguf`");
		expect(in_folder("//"), HOKKU_IO_ERROR,
		       "is a directory, not a file: a model as transformers writes it; turn it into a GGUF "
		       "file: `hokku "
		       "convert "
		       "%s -o MODEL.gguf`");
		unlink(in_folder(names[i]));
	}
	put("b.gguf", "", 0);
	put("a.gguf", "", 0);
	expect(folder, HOKKU_IO_ERROR, "is a directory, not a file; give one of its files, such as a.gguf");
	unlink(in_folder("a.gguf"));
	unlink(in_folder("b.gguf"));
	put("gguf", "", 0);
	expect(folder, HOKKU_IO_ERROR, "is a directory, not a file");
	unlink(in_folder("gguf"));
	rmdir(folder);
	expect(folder, HOKKU_NOT_FOUND, "No such file or directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_files), cmocka_unit_test(test_folders)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
