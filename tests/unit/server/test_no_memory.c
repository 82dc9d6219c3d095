/* Each allocation fails once while a request is read and translated: OUT_OF_MEMORY, nothing left behind, or
 * what came of it is whole. The bodies are those that the fuzzer begins with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "failing_alloc.h"
#include "server/llama.h"

static const struct {
	const char *file;
	const struct request_form *form;
	size_t n_messages;
} rows[] = {
	{"messages", &request_native, 0},
	{"chat", &request_openai_chat, 0},
	{"chat_tools", &request_openai_chat, 3},
	{"completion", &request_completion, 0},
	{"anthropic", &request_anthropic, 5},
	{"anthropic", &request_anthropic_kept, 5},
	{"anthropic_count", &request_anthropic_count, 2},
	{"llama_completion", &request_llama_completion, 0},
	{"llama_infill", &request_llama_infill, 0},
	{"llama_tokenize", &request_llama_tokenize, 0},
};

static void test_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char path[512], *body;
		size_t n = 0;
		snprintf(path, sizeof path, "%s/tests/fuzz/corpus/request/%s", TEST_SOURCE_DIR, rows[i].file);
		assert_int_equal(file_read(path, 1 << 20, &body, &n, NULL), HOKKU_OK);
		for (long k = 0, failed = true; failed; k++) {
			struct gen_request r;
			struct request_error err = {0};
			fail_allocation(k);
			enum hokku_code rc =
				request_parse((struct str){body, n}, rows[i].form, NULL, &r, &err);
			failed = stop_failing();
			if (rc && (!failed || rc != HOKKU_OUT_OF_MEMORY || !err.error.message[0]))
				fail_msg("%s, allocation %ld: %s, %s", rows[i].file, k, hokku_code_name(rc),
					 err.error.message);
			if (!rc && rows[i].n_messages)
				assert_int_equal(r.n_messages, rows[i].n_messages);
			request_free(&r);
		}
		free(body);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_requests)};
	return cmocka_run_group_tests_name("no_memory", tests, NULL, NULL);
}
