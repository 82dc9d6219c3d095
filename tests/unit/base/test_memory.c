/* Arenas, files, clock, log, random numbers. */
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

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/rng.h"

static void arena_aligns_zeroes_and_reuses(void **state)
{
	(void)state;
	struct arena a = {.chunk_bytes = 1024};
	for (size_t align = 1; align <= 4096; align *= 2) {
		unsigned char *p = arena_alloc(&a, 100, align);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % align, 0);
		for (int i = 0; i < 100; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xAA, 100);
	}
	assert_int_equal(a.used_bytes, 13 * 100);
	void *first = a.first;
	arena_reset(&a);
	assert_int_equal(a.used_bytes, 0);
	unsigned char *p = arena_alloc(&a, 900, 1);
	assert_int_equal(p[899], 0);
	assert_ptr_equal(a.first, first);
	assert_string_equal(arena_strdup(&a, "verse and more", 5), "verse");
	assert_null(arena_array(&a, SIZE_MAX / 2, 4));
	assert_null(arena_alloc(&a, SIZE_MAX - 64, 64));
	arena_free(&a);
	assert_null(a.first);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void files_are_read(void **state)
{
	(void)state;
	char path[] = "/tmp/hokku-test-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	struct hokku_error err;
	struct file file;
	char part[8] = "";
	assert_int_equal(file_open(path, &file, &err), HOKKU_OK);
	assert_int_equal(file.size, 0);
	assert_int_equal(file_unchanged(&file, "x", &err), HOKKU_OK);
	file_close(&file);
	assert_int_equal(file.fd, -1);
	file_close(&file);
	write_file(path, "hello");
	assert_int_equal(file_open(path, &file, &err), HOKKU_OK);
	assert_int_equal(file.size, 5);
	assert_int_equal(file_read_at(&file, "x", 1, part, 3, &err), HOKKU_OK);
	assert_string_equal(part, "ell");
	assert_int_equal(file_read_at(&file, "x", 1, part, 0, &err), HOKKU_OK);
	assert_int_equal(file_read_at(&file, "x", 3, part, 3, &err), HOKKU_IO_ERROR);
	assert_string_equal(err.message, "x: ends at byte 5; it had 5 bytes when it was opened");
	file_close(&file);
	assert_int_equal(file_read_at(&file, "x", 3, part, 1, &err), HOKKU_IO_ERROR);
	assert_string_equal(err.message, "x: byte 3: Bad file descriptor");
	assert_int_equal(file_unchanged(&file, "x", &err), HOKKU_IO_ERROR);
	char *text;
	size_t n;
	assert_int_equal(file_read(path, 5, &text, &n, &err), HOKKU_OK);
	assert_string_equal(text, "hello");
	assert_int_equal(n, 5);
	free(text);
	assert_int_equal(file_read(path, 4, &text, &n, &err), HOKKU_BAD_FILE);
	assert_non_null(strstr(err.message, "longer than the 4 bytes allowed"));
	FILE *f = fopen(path, "w");
	for (int i = 0; i < 10000; i++)
		fputs("line\n", f);
	fclose(f);
	assert_int_equal(file_read(path, 1 << 20, &text, &n, &err), HOKKU_OK);
	assert_int_equal(n, 50000);
	free(text);
	unlink(path);
	assert_int_equal(file_open(path, &file, &err), HOKKU_NOT_FOUND);
	assert_non_null(strstr(err.message, "No such file"));
	assert_int_equal(file_read(path, 9, &text, &n, &err), HOKKU_NOT_FOUND);
	assert_int_equal(file_open("/tmp", &file, &err), HOKKU_IO_ERROR);
	assert_string_equal(err.message, "/tmp: is a directory, not a file");
	assert_int_equal(file_open("/dev/null", &file, &err), HOKKU_IO_ERROR);
	assert_int_equal(file_read("/tmp", 9, &text, &n, &err), HOKKU_IO_ERROR);
}

/* A program may be started without standard input: then the first file that is opened is number 0. */
static void descriptor_0_is_one_too(void **state)
{
	(void)state;
	char path[] = "/tmp/hokku-test-XXXXXX", *text, byte;
	size_t n;
	struct hokku_error err;
	struct file file;
	close(mkstemp(path));
	write_file(path, "hello");
	int saved = dup(STDIN_FILENO);
	close(STDIN_FILENO);
	assert_int_equal(file_open(path, &file, &err), HOKKU_OK);
	assert_int_equal(file.fd, 0);
	assert_int_equal(file_read_at(&file, path, 4, &byte, 1, &err), HOKKU_OK);
	assert_int_equal(byte, 'o');
	assert_int_equal(file_unchanged(&file, path, &err), HOKKU_OK);
	file_close(&file);
	assert_int_equal(file_read(path, 9, &text, &n, &err), HOKKU_OK);
	assert_string_equal(text, "hello");
	free(text);
	assert_int_equal(dup(saved < 0 ? STDOUT_FILENO : saved), 0); /* both closed theirs */
	close(saved);
	unlink(path);
}

/* What was written since the file was opened is told; another file of its name is not this one. */
static void changes_are_noticed(void **state)
{
	(void)state;
	char path[] = "/tmp/hokku-test-XXXXXX", other[sizeof path + 2];
	int fd = mkstemp(path);
	close(fd);
	snprintf(other, sizeof other, "%s.b", path);
	write_file(path, "hello");
	struct hokku_error err;
	struct file file;
	assert_int_equal(file_open(path, &file, &err), HOKKU_OK);
	assert_int_equal(file_unchanged(&file, "x", &err), HOKKU_OK);
	write_file(other, "good bye");
	assert_int_equal(rename(other, path), 0);
	assert_int_equal(file_unchanged(&file, "x", &err), HOKKU_OK);
	file_close(&file);

	assert_int_equal(file_open(path, &file, &err), HOKKU_OK);
	assert_int_equal(truncate(path, 3), 0);
	assert_int_equal(file_unchanged(&file, "x", &err), HOKKU_IO_ERROR);
	assert_string_equal(err.message,
			    "x: was changed while it was read: it had 8 bytes and has 3 now; try "
			    "again when nothing writes to it");
	file_close(&file);

	/* the same length, at another time: nanoseconds and seconds each count */
	assert_int_equal(file_open(path, &file, &err), HOKKU_OK);
	struct timespec times[2] = {file.change, file.change};
	times[1].tv_nsec += times[1].tv_nsec ? -1 : 1;
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	assert_int_equal(file_unchanged(&file, "x", &err), HOKKU_IO_ERROR);
	assert_string_equal(err.message,
			    "x: was changed while it was read; try again when nothing writes to it");
	times[1] = file.change;
	times[1].tv_sec++;
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	assert_int_equal(file_unchanged(&file, "x", &err), HOKKU_IO_ERROR);
	times[1] = file.change;
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	assert_int_equal(file_unchanged(&file, "x", &err), HOKKU_OK);
	file_close(&file);
	unlink(path);
}

static unsigned char pattern(size_t i)
{
	return (unsigned char)(i * 31 + i / 256);
}

/* The head grows where it stands, however it is asked, and reads no more than it must. */
static void heads_grow(void **state)
{
	(void)state;
	enum { BYTES = 3 << 20 };
	char path[] = "/tmp/hokku-test-XXXXXX";
	unsigned char *bytes = malloc(BYTES);
	struct hokku_error err;
	struct file file;
	struct file_head h;
	int fd = mkstemp(path);
	for (size_t i = 0; i < BYTES; i++)
		bytes[i] = pattern(i);
	assert_int_equal(write(fd, bytes, BYTES), BYTES);
	static const uint64_t steps[] = {0, 1, 1, 4095, 4096, 4097, 300000, 299999, 1 << 20, (1 << 20) + 1};
	assert_int_equal(file_open(path, &file, &err), HOKKU_OK);
	assert_int_equal(file_head_open(&h, &file, "x", &err), HOKKU_OK);
	const uint8_t *data = h.data;
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		assert_int_equal(file_head_reach(&h, steps[i], "x", &err), HOKKU_OK);
		assert_true(h.have >= steps[i] && h.have < BYTES);
		assert_ptr_equal(h.data, data);
		assert_memory_equal(data, bytes, h.have);
	}
	file_head_trim(&h);
	assert_memory_equal(data, bytes, h.have);
	file_head_close(&h);
	assert_null(h.data);

	assert_int_equal(file_head_open(&h, &file, "x", &err), HOKKU_OK);
	assert_int_equal(file_head_reach(&h, BYTES - 1, "x", &err), HOKKU_OK);
	assert_int_equal(file_head_reach(&h, BYTES, "x", &err), HOKKU_OK);
	assert_int_equal(h.have, BYTES);
	assert_memory_equal(h.data, bytes, BYTES);
	file_head_trim(&h);
	file_head_close(&h);

	/* cut meanwhile */
	assert_int_equal(file_head_open(&h, &file, "x", &err), HOKKU_OK);
	assert_int_equal(file_head_reach(&h, 10, "x", &err), HOKKU_OK);
	assert_int_equal(ftruncate(fd, 5), 0);
	assert_int_equal(file_head_reach(&h, 10, "x", &err), HOKKU_OK);
	assert_memory_equal(h.data, bytes, 10);
	assert_int_equal(file_head_reach(&h, BYTES, "x", &err), HOKKU_IO_ERROR);
	assert_non_null(strstr(err.message, "x: ends at byte"));
	file_head_close(&h);
	file_close(&file);

	/* none */
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(file_open(path, &file, &err), HOKKU_OK);
	assert_int_equal(file_head_open(&h, &file, "x", &err), HOKKU_OK);
	assert_int_equal(file_head_reach(&h, 0, "x", &err), HOKKU_OK);
	file_head_trim(&h);
	file_head_close(&h);
	file_close(&file);
	close(fd);
	unlink(path);
	free(bytes);
}

/* Known answers of Random123's kat_vectors for philox4x32, 10 rounds. */
static void philox_known_answers(void **state)
{
	(void)state;
	static const struct {
		uint32_t counter[4], key[2], out[4];
	} cases[] = {
		{{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
		 {0xffffffff, 0xffffffff},
		 {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
		 {0xa4093822, 0x299f31d0},
		 {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint32_t out[4];
		philox4x32_10(out, cases[i].counter, cases[i].key);
		assert_memory_equal(out, cases[i].out, sizeof out);
	}
	assert_true(rng_unit(0xffffffff, 0xffffffff) < 1.0);
	assert_true(rng_unit(0, 0) == 0.0);
	uint32_t a[4], b[4];
	rng_words(1, RNG_STREAM_SAMPLER, 2, a);
	rng_words(1, RNG_STREAM_SYNTH, 2, b);
	assert_memory_not_equal(a, b, sizeof a);
	assert_true(rng_os_seed() != rng_os_seed());
}

static void clock_tells_time(void **state)
{
	(void)state;
	char now[32];
	uint64_t start = clock_ns();
	clock_iso8601(now);
	assert_int_equal(strlen(now), 24);
	assert_int_equal(now[10], 'T');
	assert_int_equal(now[23], 'Z');
	assert_true(clock_ms_since(start) >= 0);
}

/* What a function writes to stderr; malloc'ed. */
static char *heard(void (*says)(void), size_t *n)
{
	char path[] = "/tmp/hokku-test-XXXXXX", *text;
	int fd = mkstemp(path), saved = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	says();
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd);
	assert_int_equal(file_read(path, 1 << 16, &text, n, NULL), HOKKU_OK);
	unlink(path);
	return text;
}

static void say_at_levels(void)
{
	log_error("nobody sees this");
	log_level_set(LOG_INFO);
	log_info("two\nlines %d", 7);
	log_debug("too fine");
	log_warn("\rends\r\n");
	log_level_set(LOG_ERROR);
	log_warn("nor this");
	log_error("%s", "");
	log_level_set(LOG_OFF);
}

/* One line a note, line breaks of the text made harmless, levels obeyed. */
static void log_writes_lines(void **state)
{
	(void)state;
	static const char *const wanted[] = {"info  two lines 7", "warn   ends  ", "error "};
	size_t n;
	char *text = heard(say_at_levels, &n), *line = text;
	assert_int_equal(log_level_get(), LOG_OFF);
	for (size_t i = 0; i < 3; i++) {
		char *end = memchr(line, '\n', n - (size_t)(line - text));
		assert_non_null(end);
		*end = '\0';
		assert_int_equal(line[23], 'Z');
		assert_string_equal(line + 25, wanted[i]);
		line = end + 1;
	}
	assert_int_equal(line - text, n);
	free(text);
}

enum { LOG_HEAD = 31, LOG_ROOM = 1023 }; /* the time and the level; what fits a line behind them */

static void say_long(void)
{
	char text[LOG_ROOM + 2];
	memset(text, '\n', sizeof text);
	log_level_set(LOG_WARN);
	for (int n = LOG_ROOM - 1; n <= LOG_ROOM + 1; n++)
		log_warn("%.*s", n, text);
	log_level_set(LOG_OFF);
}

/* Longer ones are cut; the end of the line stays. */
static void log_cuts_lines(void **state)
{
	(void)state;
	static const size_t lengths[] = {LOG_HEAD + LOG_ROOM - 1, LOG_HEAD + LOG_ROOM, LOG_HEAD + LOG_ROOM};
	size_t n, at = 0;
	char *text = heard(say_long, &n);
	for (size_t i = 0; i < 3; i++) {
		char *end = memchr(text + at, '\n', n - at);
		assert_non_null(end);
		assert_int_equal(end - (text + at), lengths[i]);
		assert_int_equal(end[-1], ' ');
		at += lengths[i] + 1;
	}
	assert_int_equal(at, n);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arena_aligns_zeroes_and_reuses),
		cmocka_unit_test(files_are_read),
		cmocka_unit_test(descriptor_0_is_one_too),
		cmocka_unit_test(changes_are_noticed),
		cmocka_unit_test(heads_grow),
		cmocka_unit_test(philox_known_answers),
		cmocka_unit_test(clock_tells_time),
		cmocka_unit_test(log_writes_lines),
		cmocka_unit_test(log_cuts_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
