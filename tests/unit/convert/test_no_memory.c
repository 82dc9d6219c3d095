/* Each allocation of a conversion and of a synthesis fails once: OUT_OF_MEMORY, and no file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "convert/convert.h"
#include "convert/synth.h"
#include "failing_alloc.h"

static char folder[] = "/tmp/hokku-no-memory-XXXXXX";
static char out_path[128];

typedef enum hokku_code (*run)(struct hokku_error *err);

static char *contents(size_t *n)
{
	char *text;
	struct hokku_error err;
	if (file_read(out_path, 1 << 24, &text, n, &err))
		fail_msg("%s", err.message);
	return text;
}

/* A failure that was told of is the end of it; one that was not must not have changed the file. */
static long fail_each(run what)
{
	struct hokku_error err = {0};
	size_t n_wanted, n_found;
	assert_int_equal(what(&err), HOKKU_OK);
	char *wanted = contents(&n_wanted);
	unlink(out_path);
	for (long n = 0;; n++) {
		err.message[0] = '\0';
		fail_allocation(n);
		enum hokku_code rc = what(&err);
		bool failed = stop_failing();
		if (rc) {
			if (!failed || rc != HOKKU_OUT_OF_MEMORY || !err.message[0])
				fail_msg("allocation %ld: %s, %s", n, hokku_code_name(rc), err.message);
			assert_int_equal(rmdir(folder), 0); /* nothing is in it */
			assert_int_equal(mkdir(folder, 0700), 0);
			continue;
		}
		char *found = contents(&n_found);
		assert_int_equal(n_found, n_wanted);
		assert_memory_equal(found, wanted, n_wanted);
		free(found);
		unlink(out_path);
		if (!failed) {
			free(wanted);
			return n;
		}
	}
}

static enum hokku_code convert(struct hokku_error *err)
{
	const struct convert_options o = {
		.dir = TEST_GOLDEN_DIR "/models/hf", .out = out_path, .type = TENSOR_Q8_0};
	return convert_hf(&o, err);
}

static enum hokku_code convert_vocab(struct hokku_error *err)
{
	const struct convert_options o = {
		.dir = TEST_GOLDEN_DIR "/models/hf", .out = out_path, .type = TENSOR_F16, .vocab_only = true};
	return convert_hf(&o, err);
}

static enum hokku_code synth(struct hokku_error *err)
{
	const struct synth_options o = {
		.shape = TEST_GOLDEN_DIR "/models/hf/config.json", .type = "Q4_K_M", .out = out_path};
	return synth_model(&o, err);
}

static void test_convert(void **state)
{
	(void)state;
	assert_true(fail_each(convert) > 50);
	assert_true(fail_each(convert_vocab) > 30);
}

static void test_synth(void **state)
{
	(void)state;
	assert_true(fail_each(synth) > 20);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(out_path, sizeof out_path, "%s/out.gguf", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_convert), cmocka_unit_test(test_synth)};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
