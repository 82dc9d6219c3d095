/* The line that is drawn while an engine loads: who waits wipes it, and what the engine tells afterwards
 * draws and wipes nothing. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/engine_progress.h"

/* An engine that is told here what it is at (tests/CMakeLists.txt has the linker put these in the place of
 * the true ones). */
enum hokku_code __wrap_engine_create(const struct engine_config *config, struct engine **out,
				     struct hokku_error *err);
enum hokku_code __wrap_engine_wait_ready(struct engine *e, struct hokku_error *err);
void __wrap_engine_get_state(struct engine *e, struct engine_state *out);

static struct engine_state now;
static struct engine_config given;
static enum hokku_code outcome;

static void be(enum engine_phase phase, uint64_t bytes)
{
	now = (struct engine_state){.phase = phase, .load_bytes = bytes, .load_all_bytes = 100, .load_s = 1};
	given.on_state(given.user);
}

enum hokku_code __wrap_engine_create(const struct engine_config *config, struct engine **out,
				     struct hokku_error *err)
{
	(void)err;
	given = *config;
	*out = (struct engine *)&now;
	return HOKKU_OK;
}

enum hokku_code __wrap_engine_wait_ready(struct engine *e, struct hokku_error *err)
{
	(void)err;
	assert_ptr_equal(e, &now);
	be(ENGINE_LOADING, 10);
	be(ENGINE_LOADING, 20);
	be(outcome ? ENGINE_FAILED : ENGINE_READY, 100);
	return outcome;
}

void __wrap_engine_get_state(struct engine *e, struct engine_state *out)
{
	assert_ptr_equal(e, &now);
	*out = now;
}

static int terminal = -1, line = -1, kept = -1; /* its two ends, and what standard error was */

/* What was drawn since the last call, up to a mark that is written behind it. */
static const char *drawn(void)
{
	static char text[1000];
	size_t n = 0;
	assert_int_equal(write(line, "|", 1), 1);
	do {
		ssize_t got = read(terminal, text + n, sizeof text - 1 - n);
		assert_true(got > 0);
		n += (size_t)got;
	} while (text[n - 1] != '|');
	text[n - 1] = '\0';
	return text;
}

static void test_line(void **state)
{
	(void)state;
	struct hokku_error err;
	for (unsigned failing = 0; failing < 2; failing++) {
		struct engine_config config = {.model_path = "fake.gguf"};
		struct engine *e = NULL;
		outcome = failing ? HOKKU_NOT_FOUND : HOKKU_OK;
		dup2(line, STDERR_FILENO);
		enum hokku_code rc = cli_start_engine(&config, &e, &err);
		dup2(kept, STDERR_FILENO);
		assert_int_equal(rc, outcome);
		assert_string_equal(drawn(), "\r\033[Kloading  10%, 10 B of 100 B, 0.0 GB/s"
					     "\r\033[Kloading  20%, 20 B of 100 B, 0.0 GB/s\r\033[K");
		dup2(line, STDERR_FILENO);
		be(outcome ? ENGINE_FAILED : ENGINE_READY, 100); /* heard late: a prompt may stand there */
		be(ENGINE_LOST, 100);
		dup2(kept, STDERR_FILENO);
		assert_string_equal(drawn(), "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_line)};
	terminal = posix_openpt(O_RDWR | O_NOCTTY);
	const char *name =
		terminal >= 0 && !grantpt(terminal) && !unlockpt(terminal) ? ptsname(terminal) : NULL;
	kept = dup(STDERR_FILENO);
	line = name ? open(name, O_RDWR | O_NOCTTY) : -1;
	struct termios raw;
	if (line < 0 || tcgetattr(line, &raw)) {
		fprintf(stderr, "skipped: there is no pseudoterminal\n");
		return 77;
	}
	cfmakeraw(&raw);
	tcsetattr(line, TCSANOW, &raw);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
