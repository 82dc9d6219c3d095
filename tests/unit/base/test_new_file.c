/*
 * Files that appear when they are whole: with and without files that have no name (open is ours here and can
 * refuse them), through links, over older files, and what is left when the program is killed: nothing.
 */
#include "base/new_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int refuse_unnamed; /* an errno */

int open(const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
	va_end(args);
	if (refuse_unnamed && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = refuse_unnamed;
		return -1;
	}
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static char dir[] = "/tmp/hokku-new-file-XXXXXX";
static char paths[8][256];

static const char *in_dir(const char *name)
{
	static int next;
	char *out = paths[next++ % 8];
	snprintf(out, 256, "%s/%s", dir, name);
	return out;
}

static int n_files(void)
{
	int n = 0;
	DIR *d = opendir(dir);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* Whether the file system here knows files without a name; not all do. */
static bool knows_unnamed(void)
{
	int fd = open(dir, O_TMPFILE | O_WRONLY, 0600);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void holds(const char *path, const char *want)
{
	char text[64] = "";
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	size_t n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = '\0';
	assert_string_equal(text, want);
}

static struct new_file create(const char *path)
{
	struct new_file f;
	struct hokku_error err;
	if (new_file_create(&f, path, &err))
		fail_msg("%s", err.message);
	assert_int_equal(write(f.fd, "new", 3), 3);
	return f;
}

static void finish(struct new_file *f)
{
	struct hokku_error err;
	if (new_file_finish(f, &err))
		fail_msg("%s", err.message);
	assert_int_equal(f->fd, -1);
	new_file_close(f);
}

static void appears_when_it_is_whole(void **state)
{
	(void)state;
	static const int refusals[] = {0, EOPNOTSUPP, EISDIR, EINVAL};
	for (size_t i = 0; i < 4; i++)
		for (int old = 0; old < 2; old++) {
			const char *path = in_dir("x");
			struct stat st;
			refuse_unnamed = refusals[i];
			if (old)
				write_text(path, "old");
			struct new_file f = create(path);
			bool named = i > 0 || !knows_unnamed();
			assert_int_equal(n_files(), old + named);
			assert_int_equal(f.part != NULL, named); /* beside its place */
			assert_true(!named || strncmp(f.part, path, strlen(path)) == 0);
			if (old)
				holds(path, "old");
			new_file_close(&f); /* given up */
			assert_int_equal(n_files(), old);
			new_file_close(&f);
			f = create(path);
			finish(&f);
			holds(path, "new");
			assert_int_equal(n_files(), 1);
			assert_int_equal(stat(path, &st), 0);
			mode_t mask = umask(022);
			umask(mask);
			assert_int_equal(st.st_mode & 0777, 0666 & ~mask);
			unlink(path);
		}
	refuse_unnamed = 0;
}

static void links_are_followed(void **state)
{
	(void)state;
	const char *target = in_dir("target"), *link = in_dir("link"), *second = in_dir("second");
	struct stat st;
	for (int absolute = 0; absolute < 2; absolute++)
		for (int old = 0; old < 2; old++) {
			if (old)
				write_text(target, "old");
			assert_int_equal(symlink(absolute ? target : "target", link), 0);
			assert_int_equal(symlink(absolute ? link : "link", second), 0);
			struct new_file f = create(second);
			assert_string_equal(strrchr(f.path, '/'), "/target");
			finish(&f);
			holds(target, "new");
			assert_true(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
			assert_true(lstat(second, &st) == 0 && S_ISLNK(st.st_mode));
			assert_int_equal(n_files(), 3);
			unlink(target);
			unlink(link);
			unlink(second);
		}
	/* one name of two: the other keeps what it had */
	write_text(target, "old");
	assert_int_equal(link != NULL && linkat(AT_FDCWD, target, AT_FDCWD, second, 0), 0);
	struct new_file f = create(target);
	finish(&f);
	holds(target, "new");
	holds(second, "old");
	unlink(target);
	unlink(second);
}

static void links_that_lead_nowhere(void **state)
{
	(void)state;
	struct new_file f;
	struct hokku_error err;
	char message[512], name[16], to[16];
	const char *link = in_dir("link");
	assert_int_equal(symlink("/nowhere/else", link), 0);
	assert_int_equal(new_file_create(&f, link, &err), HOKKU_IO_ERROR);
	snprintf(message, sizeof message, "%s: cannot be created: No such file or directory", link);
	assert_string_equal(err.message, message);
	unlink(link);
	assert_int_equal(symlink("link", link), 0); /* round and round */
	assert_int_equal(new_file_create(&f, link, &err), HOKKU_IO_ERROR);
	snprintf(message, sizeof message, "%s: Too many levels of symbolic links", link);
	assert_string_equal(err.message, message);
	unlink(link);
	/* as many as the kernel follows, and one more */
	for (int i = 0; i <= 41; i++) {
		snprintf(name, sizeof name, "l%d", i);
		snprintf(to, sizeof to, "l%d", i + 1);
		assert_int_equal(symlink(to, in_dir(name)), 0);
	}
	f = create(in_dir("l2")); /* 40: l2 to l41, which names l42 */
	assert_string_equal(strrchr(f.path, '/'), "/l42");
	new_file_close(&f);
	assert_int_equal(new_file_create(&f, in_dir("l1"), &err), HOKKU_IO_ERROR);
	assert_non_null(strstr(err.message, "Too many levels"));
	for (int i = 0; i <= 41; i++) {
		snprintf(name, sizeof name, "l%d", i);
		unlink(in_dir(name));
	}
	assert_int_equal(n_files(), 0);
}

static void places_that_are_none(void **state)
{
	(void)state;
	static const struct {
		const char *path, *message;
	} cases[] = {
		{"", "the path of the file to write is empty"},
		{"/tmp", "/tmp: is a directory, not a file"},
		{"/dev/full", "/dev/full: is a device, pipe or socket, not a file"},
		{"/dev/null/x", "/dev/null/x: Not a directory"},
		{"/nowhere/x", "/nowhere/x: cannot be created: No such file or directory"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct new_file f;
		struct hokku_error err;
		assert_int_equal(new_file_create(&f, cases[i].path, &err), HOKKU_IO_ERROR);
		assert_string_equal(err.message, cases[i].message);
		assert_int_equal(f.fd, -1);
		assert_int_equal(new_file_create(&f, cases[i].path, NULL), HOKKU_IO_ERROR);
	}
	struct new_file f = create("hokku-new-file-here"); /* in the folder it is */
	finish(&f);
	holds("hokku-new-file-here", "new");
	unlink("hokku-new-file-here");
}

/* What comes between is told, and leaves nothing but what was there. */
static void finishing_can_fail(void **state)
{
	(void)state;
	for (int named = 0; named < 2; named++) {
		char message[512];
		struct hokku_error err;
		const char *path = in_dir("x");
		refuse_unnamed = named ? EOPNOTSUPP : 0;
		struct new_file f = create(path);
		assert_int_equal(mkdir(path, 0700), 0);
		assert_int_equal(new_file_finish(&f, &err), HOKKU_IO_ERROR);
		snprintf(message, sizeof message, "%s: cannot be finished: Is a directory", path);
		assert_string_equal(err.message, message);
		new_file_close(&f);
		assert_int_equal(n_files(), 1);
		rmdir(path);

		f = create(path);
		close(f.fd);
		f.fd = 999;
		assert_int_equal(new_file_finish(&f, &err), HOKKU_IO_ERROR);
		snprintf(message, sizeof message, "%s: cannot be finished: Bad file descriptor", path);
		assert_string_equal(err.message, message);
		new_file_close(&f);
		assert_int_equal(n_files(), 0);
	}
	refuse_unnamed = 0;
}

static void nothing_is_left_of_a_program_that_is_killed(void **state)
{
	(void)state;
	if (!knows_unnamed())
		skip();
	for (int old = 0; old < 2; old++) {
		const char *path = in_dir("x");
		if (old)
			write_text(path, "old");
		pid_t pid = fork();
		if (pid == 0) {
			create(path);
			raise(SIGKILL);
		}
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		assert_int_equal(n_files(), old);
		if (old)
			holds(path, "old");
		unlink(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appears_when_it_is_whole),
		cmocka_unit_test(links_are_followed),
		cmocka_unit_test(links_that_lead_nowhere),
		cmocka_unit_test(places_that_are_none),
		cmocka_unit_test(finishing_can_fail),
		cmocka_unit_test(nothing_is_left_of_a_program_that_is_killed),
	};
	if (!mkdtemp(dir))
		return 1;
	int result = cmocka_run_group_tests(tests, NULL, NULL);
	return rmdir(dir) ? 1 : result;
}
