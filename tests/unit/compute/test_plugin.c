/*
 * The plugin door. plugin_get remembers its first answer for the life of the process, so each case runs in a
 * child process with a HOKKU_PLUGIN_PATH of its own; the child reports the message it got.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "compute/plugin.h"

/* Asks for a device with the variable set to path (NULL: unset); fills message, returns the code. */
static enum hokku_code ask(const char *path, const char *device, char message[600])
{
	int fds[2], status;
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct hokku_error err = {0};
		const struct compute_backend *backend = NULL;
		if (path)
			setenv("HOKKU_PLUGIN_PATH", path, 1);
		else
			unsetenv("HOKKU_PLUGIN_PATH");
		uint32_t index = 0;
		int rc = strcmp(device, "auto") == 0 ? (int)plugin_first_usable(&backend, &index, &err)
						     : (int)plugin_backend(device, &backend, &err);
		char found[64];
		snprintf(found, sizeof found, "%s %u", rc ? "" : backend->name, index);
		const char *text = rc ? err.message : found;
		ssize_t n = write(fds[1], text, strlen(text));
		_exit(n < 0 ? 255 : rc);
	}
	close(fds[1]);
	ssize_t n = read(fds[0], message, 599);
	close(fds[0]);
	message[n > 0 ? n : 0] = '\0';
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return (enum hokku_code)WEXITSTATUS(status);
}

static const struct {
	const char *path, *device;
	enum hokku_code code;
	const char *message; /* a part of it */
} cases[] = {
	{PLUGIN_DIR "/good", "cuda", HOKKU_OK, "fake"},
	{PLUGIN_DIR "/good", "cuda:1", HOKKU_OK, "fake"},
	{PLUGIN_DIR "/good/libhokku-cuda.so", "cuda:0", HOKKU_OK, "fake"},
	{"/nowhere::" PLUGIN_DIR "/good", "cuda", HOKKU_OK, "fake"},
	{PLUGIN_DIR "/good", "cuda:3", HOKKU_INVALID_REQUEST,
	 "there is no device cuda:3; this machine has cuda:0 (Fake One), cuda:1 (Fake Two), cuda:2 (Old "
	 "Card)"},
	{PLUGIN_DIR "/good", "cuda:2", HOKKU_DEVICE_ERROR,
	 "cuda:2 (Old Card) has compute capability 7.0; hokku needs 7.5 or later"},
	{PLUGIN_DIR "/good", "cuda:x", HOKKU_INVALID_REQUEST,
	 "the device is \"cuda:x\"; a GPU is \"cuda\" or \"cuda:N\""},
	{PLUGIN_DIR "/good", "cuda:", HOKKU_INVALID_REQUEST, "a GPU is"},
	{PLUGIN_DIR "/good", "cuda:1000", HOKKU_INVALID_REQUEST, "a GPU is"},
	{PLUGIN_DIR "/good", "cudaX", HOKKU_INVALID_REQUEST, "a GPU is"},
	{PLUGIN_DIR "/none", "cuda", HOKKU_INVALID_REQUEST,
	 "there is no device cuda; this machine has no CUDA device"},
	{PLUGIN_DIR "/nodriver", "cuda", HOKKU_DEVICE_ERROR, "--device cuda: the NVIDIA driver is missing"},
	{PLUGIN_DIR "/abi", "cuda", HOKKU_DEVICE_ERROR,
	 "belongs to another hokku: its interface is number 1, this is"},
	{PLUGIN_DIR "/version", "cuda", HOKKU_DEVICE_ERROR, ", its version 0.0.9, this is hokku 0.1.0"},
	{PLUGIN_DIR "/symbol", "cuda", HOKKU_DEVICE_ERROR,
	 "is no hokku plugin: it lacks hokku_compute_plugin"},
	{PLUGIN_DIR "/text", "cuda", HOKKU_DEVICE_ERROR, "the device plugin does not load: "},
	{PLUGIN_DIR "/good", "auto", HOKKU_OK, "fake 0"},
	{PLUGIN_DIR "/later", "auto", HOKKU_OK, "fake 5"}, /* the first, and 3, are too old */
	{PLUGIN_DIR "/later", "cuda", HOKKU_DEVICE_ERROR, "cuda:0 (Old Card) has compute capability 7.0"},
	{PLUGIN_DIR "/later", "cuda:5", HOKKU_OK, "fake"},
	{PLUGIN_DIR "/later", "cuda:1", HOKKU_INVALID_REQUEST,
	 "there is no device cuda:1; this machine has cuda:0"},
	{PLUGIN_DIR "/old", "auto", HOKKU_DEVICE_ERROR,
	 "cuda:0 (Old Card) has compute capability 7.0; hokku needs 7.5 or later"},
	{PLUGIN_DIR "/none", "auto", HOKKU_NOT_FOUND, "the NVIDIA driver shows no GPU"},
	{PLUGIN_DIR "/nodriver", "auto", HOKKU_NOT_FOUND, "the NVIDIA driver is missing"},
	{PLUGIN_DIR "/version", "auto", HOKKU_DEVICE_ERROR, "install both from one build"},
	{"/nowhere", "auto", HOKKU_NOT_FOUND, "there is no GPU plugin"},
	{"/nowhere:/neither", "cuda", HOKKU_NOT_FOUND,
	 "--device cuda: there is no GPU plugin: libhokku-cuda.so is not in "
	 "/nowhere, /neither, "},
};

static void each_case_says_what_is_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char message[600];
		enum hokku_code rc = ask(cases[i].path, cases[i].device, message);
		if (rc != cases[i].code || !strstr(message, cases[i].message))
			fail_msg("%s with %s: %s, %s\nwanted %s", cases[i].device, cases[i].path,
				 hokku_code_name(rc), message, cases[i].message);
	}
}

/* Without the variable it is looked for beside the program, where this test has none. */
static void beside_the_program(void **state)
{
	(void)state;
	char message[600];
	assert_int_equal(ask(NULL, "cuda", message), HOKKU_NOT_FOUND);
	assert_non_null(strstr(message, TEST_BINARY_DIR "/tests, " TEST_BINARY_DIR "/tests/../lib"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_case_says_what_is_wrong),
		cmocka_unit_test(beside_the_program),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
