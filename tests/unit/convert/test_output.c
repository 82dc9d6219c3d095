/* A result never goes over what it is made of, by whatever name or link it is called. */
#include "convert/output.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[] = "/tmp/hokku-output-XXXXXX";
static const char *const files[] = {
	"dir/config.json",         "dir/tokenizer.json", "dir/model.safetensors", "dir/merges.txt",
	"dir/chat_template.jinja", "dir/old.gguf",       "dir/README.md",         "blob",
	"elsewhere.json"};

static const char *at(const char *name)
{
	static char paths[8][256];
	static int next;
	char *out = paths[next++ % 8];
	snprintf(out, 256, "%s/%s", root, name);
	return out;
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(root) || mkdir(at("dir"), 0700))
		return 1;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		int fd = open(at(files[i]), O_CREAT | O_WRONLY, 0600);
		if (fd < 0)
			return 1;
		close(fd);
	}
	/* a shard as a cache has it; links to inputs, of both kinds, and to nothing yet */
	return symlink("../blob", at("dir/shard.safetensors")) ||
	       symlink("dir/model.safetensors", at("soft")) || symlink("soft", at("softer")) ||
	       link(at("dir/tokenizer.json"), at("hard")) || symlink("dir/new.gguf", at("to-new")) ||
	       symlink("dir/new.json", at("to-new-input")) || symlink("dir", at("other-dir"));
}

static int tear_down(void **state)
{
	(void)state;
	char command[300];
	snprintf(command, sizeof command, "rm -r %s", root);
	return system(command);
}

static void folders(void **state)
{
	(void)state;
	static const struct {
		const char *out;
		const char *message; /* after the path; NULL: allowed */
	} cases[] = {
		{"dir/config.json",
		 "is DIR/config.json, which the conversion reads; name another file for its result"},
		{"dir/model.safetensors", "is DIR/model.safetensors, which"},
		{"dir/merges.txt", "is DIR/merges.txt, which"},
		{"dir/chat_template.jinja", "is DIR/chat_template.jinja, which"},
		{"dir/shard.safetensors", "is DIR/shard.safetensors, which"},
		{"blob", "is DIR/shard.safetensors, which"},
		{"soft", "is DIR/model.safetensors, which"},
		{"softer", "is DIR/model.safetensors, which"},
		{"hard", "is DIR/tokenizer.json, which"},
		{"other-dir/config.json", "is DIR/config.json, which"},
		{"dir/../dir/config.json", "is DIR/config.json, which"},
		{"dir/new.json",
		 "would be taken for a part of the folder that is converted; name a file outside of DIR, "
		 "or one that ends in .gguf"},
		{"dir/model-00001-of-00002.safetensors", "would be taken for a part"},
		{"other-dir/new.safetensors", "would be taken for a part"},
		{"to-new-input", "would be taken for a part"},
		{"dir/old.gguf", NULL},
		{"dir/new.gguf", NULL},
		{"dir/README.md", NULL},
		{"to-new", NULL},
		{"new.json", NULL},
		{"elsewhere.json", NULL},
		{"dir/sub/new.json", NULL}, /* the writer will say that there is no such folder */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct hokku_error err = {0};
		const char *out = at(cases[i].out);
		enum hokku_code rc = output_check_folder(out, at("dir"), &err);
		if (!cases[i].message) {
			if (rc)
				fail_msg("%s: %s", cases[i].out, err.message);
			continue;
		}
		char want[800], text[400];
		size_t n = 0; /* DIR written out */
		for (const char *p = cases[i].message; *p;) {
			if (strncmp(p, "DIR", 3) == 0) {
				n += (size_t)snprintf(text + n, sizeof text - n, "%s", at("dir"));
				p += 3;
			} else {
				text[n++] = *p++;
			}
		}
		text[n] = '\0';
		snprintf(want, sizeof want, "%s: %s", out, text);
		assert_int_equal(rc, HOKKU_INVALID_REQUEST);
		if (strncmp(err.message, want, strlen(want)) != 0)
			fail_msg("\n said:   %s\n wanted: %s", err.message, want);
	}
	struct hokku_error err;
	assert_int_equal(output_check_folder(at("x.gguf"), at("nowhere"), &err), HOKKU_OK);
	assert_int_equal(output_check_folder("", at("dir"), &err), HOKKU_IO_ERROR);
	/* seen from within */
	char before[512];
	assert_non_null(getcwd(before, sizeof before));
	assert_int_equal(chdir(at("dir")), 0);
	assert_int_equal(output_check_folder("config.json", ".", &err), HOKKU_INVALID_REQUEST);
	assert_int_equal(output_check_folder("new.json", ".", &err), HOKKU_INVALID_REQUEST);
	assert_int_equal(output_check_folder("new.gguf", ".", &err), HOKKU_OK);
	assert_int_equal(chdir(before), 0);
}

static void single_files(void **state)
{
	(void)state;
	struct hokku_error err;
	char want[800];
	assert_int_equal(output_check_file(at("soft"), at("dir/model.safetensors"), &err),
			 HOKKU_INVALID_REQUEST);
	snprintf(want, sizeof want, "%s: is %s, which the conversion reads; name another file for its result",
		 at("soft"), at("dir/model.safetensors"));
	assert_string_equal(err.message, want);
	assert_int_equal(output_check_file(at("hard"), at("dir/tokenizer.json"), &err),
			 HOKKU_INVALID_REQUEST);
	assert_int_equal(output_check_file(at("blob"), at("dir/tokenizer.json"), &err), HOKKU_OK);
	assert_int_equal(output_check_file(at("none"), at("dir/tokenizer.json"), &err), HOKKU_OK);
	assert_int_equal(output_check_file(at("none"), at("none"), &err), HOKKU_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(folders), cmocka_unit_test(single_files)};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
