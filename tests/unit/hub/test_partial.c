/* Files that are being pulled, and checksums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/hash.h"
#include "hub/partial.h"

static char dir[] = "/tmp/hokku-partial-XXXXXX", path[64], name[64];

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/f" PARTIAL_SUFFIX, dir);
	snprintf(name, sizeof name, "%s/f", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	unlink(name);
	return rmdir(dir);
}

/* Descriptor 0 is one like the others, where standard input was closed. */
static void test_descriptor_0(void **state)
{
	(void)state;
	struct partial p;
	struct hokku_error err = {0};
	int kept = dup(STDIN_FILENO);
	close(STDIN_FILENO);
	assert_int_equal(partial_open(&p, path, 5, &err), HOKKU_OK);
	assert_int_equal(p.fd, 0);
	partial_remove(&p);
	assert_int_equal(fcntl(0, F_GETFD), -1);
	if (kept >= 0)
		assert_int_equal(dup2(kept, STDIN_FILENO), STDIN_FILENO);
	close(kept);
}

static void test_pieces_stay(void **state)
{
	(void)state;
	struct partial p;
	struct hokku_error err = {0};
	uint64_t size = 3 * PARTIAL_MIN_PIECE + 5;
	char byte = 'x';
	struct stat st;
	assert_int_equal(partial_open(&p, path, size, &err), HOKKU_OK);
	assert_int_equal(p.n_pieces, 4);
	assert_int_equal(partial_piece_len(&p, 2), PARTIAL_MIN_PIECE);
	assert_int_equal(partial_piece_len(&p, 3), 5);
	assert_int_equal(partial_write(&p, size - 1, &byte, 1, &err), HOKKU_OK);
	assert_int_equal(partial_mark(&p, 3, &err), HOKKU_OK);
	assert_int_equal(partial_mark(&p, 3, &err), HOKKU_OK);
	assert_int_equal(partial_mark(&p, 1, &err), HOKKU_OK);
	assert_int_equal(p.n_done_bytes, PARTIAL_MIN_PIECE + 5);
	partial_close(&p);
	/* What was marked is there when it is opened again; of another size, nothing is. */
	assert_int_equal(partial_open(&p, path, size, &err), HOKKU_OK);
	assert_true(!partial_has(&p, 0) && partial_has(&p, 1) && !partial_has(&p, 2) && partial_has(&p, 3));
	assert_int_equal(p.n_done_bytes, PARTIAL_MIN_PIECE + 5);
	partial_close(&p);
	assert_int_equal(partial_open(&p, path, size + 1, &err), HOKKU_OK);
	assert_int_equal(p.n_done_bytes, 0);
	partial_close(&p);
	/* A file that is none of ours, or was cut, begins anew. */
	assert_int_equal(truncate(path, (off_t)size), 0);
	assert_int_equal(partial_open(&p, path, size, &err), HOKKU_OK);
	assert_int_equal(p.n_done_bytes, 0);
	assert_int_equal(partial_finish(&p, name, &err), HOKKU_OK);
	assert_int_equal(p.fd, -1);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_size, size);
	assert_int_not_equal(access(path, F_OK), 0);
}

static void test_full_disk(void **state)
{
	(void)state;
	struct partial p;
	struct hokku_error err = {0};
	assert_int_equal(partial_open(&p, path, 10, &err), HOKKU_OK);
	int full = open("/dev/full", O_RDWR), own = dup(p.fd);
	assert_true(full >= 0 && dup2(full, p.fd) >= 0);
	assert_int_equal(partial_write(&p, 0, "x", 1, &err), HOKKU_IO_ERROR);
	assert_non_null(strstr(err.message, "f.hokku-part: cannot be written: No space left on device"));
	assert_true(p.full);
	close(full);
	close(own);
	partial_remove(&p);
	assert_int_not_equal(access(path, F_OK), 0);
	/* More than any disk has. */
	for (int d = -1; d <= 1; d++) {
		assert_int_equal(partial_open(&p, path, PARTIAL_MAX_BYTES + (uint64_t)d, &err),
				 d > 0 ? HOKKU_BAD_FILE : HOKKU_IO_ERROR);
		assert_int_not_equal(access(path, F_OK), 0);
	}
	assert_int_equal(partial_open(&p, path, UINT64_MAX, &err), HOKKU_BAD_FILE);
}

static void test_piece_sizes(void **state)
{
	(void)state;
	struct partial p;
	uint64_t limit = (uint64_t)PARTIAL_MIN_PIECE * PARTIAL_PIECES;
	for (int d = -1; d <= 1; d++) {
		assert_int_equal(partial_open(&p, path, limit + (uint64_t)d, NULL), HOKKU_OK);
		assert_int_equal(p.piece_bytes, d < 0 ? PARTIAL_MIN_PIECE : 2 * PARTIAL_MIN_PIECE);
		partial_remove(&p);
	}
	assert_int_equal(partial_open(&p, path, 0, NULL), HOKKU_OK);
	assert_int_equal(p.n_pieces, 0);
	partial_remove(&p);
}

static bool stop(void *user)
{
	(void)user;
	return true;
}

/* FIPS 180-4's example, and what git itself says: printf abc | git hash-object --stdin; git hash-object
 * /dev/null. */
static void test_checksums(void **state)
{
	(void)state;
	static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	char other[65], sum[65];
	struct hokku_error err = {0};
	int fd = open(dir, O_TMPFILE | O_RDWR, 0600);
	if (fd < 0)
		fd = fileno(tmpfile());
	assert_int_equal(write(fd, "abcd", 4), 4);
	assert_int_equal(hub_hash_check(fd, 3, abc, "f", NULL, &err), HOKKU_OK);
	assert_int_equal(hub_hash_check(fd, 3, "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f", "f", NULL, &err),
			 HOKKU_OK);
	assert_int_equal(hub_hash_check(fd, 0, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", "f", NULL, &err),
			 HOKKU_OK);
	assert_int_equal(hub_hash_check(fd, 4, abc, "f", NULL, &err), HOKKU_BAD_FILE);
	assert_non_null(strstr(err.message, "f: its SHA-256 is 88d4266f"));
	assert_int_equal(hub_hash_check(fd, 5, abc, "f", NULL, &err), HOKKU_IO_ERROR);
	assert_int_equal(hub_hash_check(fd, 3, abc, "f", &(struct observer){.stopped = stop}, &err),
			 HOKKU_CANCELLED);
	close(fd);
	hub_sha256_hex("abc", 3, sum);
	assert_string_equal(sum, abc);
	assert_true(hub_is_hash(abc) && hub_is_hash(abc + 24));
	snprintf(other, sizeof other, "%s", abc);
	other[5] = 'G';
	assert_false(hub_is_hash(other) || hub_is_hash(abc + 1) || hub_is_hash("") || hub_is_hash("../../x"));
	other[5] = 'A'; /* only small letters: a name of a file */
	assert_false(hub_is_hash(other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptor_0), cmocka_unit_test(test_pieces_stay),
		cmocka_unit_test(test_full_disk),    cmocka_unit_test(test_piece_sizes),
		cmocka_unit_test(test_checksums),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
