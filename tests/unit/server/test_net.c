/* Sockets that listen: addresses of each family, the files of Unix sockets, who can reach them, and what is
 * in the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/net.h"

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/hokku_net.XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder); /* what a test leaves there is a fault */
}

static const char *in_folder(const char *name)
{
	static char path[512];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static void test_addresses(void **state)
{
	(void)state;
	struct net_listener l, other;
	struct hokku_error err;
	assert_int_equal(net_listen("127.0.0.1", 0, false, false, &l, &err), HOKKU_OK);
	assert_int_equal(strncmp(l.url, "http://127.0.0.1:", 17), 0);
	assert_int_equal(strtoul(l.url + 17, NULL, 10), l.port);
	assert_string_equal(l.file.path, "");
	assert_int_equal(net_listen("127.0.0.1", l.port, false, false, &other, &err), HOKKU_IO_ERROR);
	assert_non_null(strstr(err.message, "in use"));
	close(l.fd);
	assert_int_equal(net_listen("127.0.0.1", l.port, false, true, &other, &err), HOKKU_OK);
	assert_int_equal(strncmp(other.url, "https://127.0.0.1:", 18), 0);
	assert_int_equal(other.port, l.port);
	close(other.fd);
	if (net_listen("::1", 0, false, false, &l, &err) == HOKKU_OK) {
		assert_int_equal(strncmp(l.url, "http://[::1]:", 13), 0);
		close(l.fd);
		assert_int_equal(net_listen("[::1]", 0, false, false, &l, &err), HOKKU_OK);
		assert_int_equal(strncmp(l.url, "http://[::1]:", 13), 0);
		close(l.fd);
		/* Both families, each by its own socket. */
		assert_int_equal(net_listen("::", 0, true, false, &l, &err), HOKKU_OK);
		assert_int_equal(net_listen("0.0.0.0", l.port, true, false, &other, &err), HOKKU_OK);
		close(l.fd);
		close(other.fd);
	}
	assert_int_equal(net_listen("", 0, false, false, &l, &err), HOKKU_INVALID_REQUEST);
	assert_int_equal(net_listen("http://127.0.0.1", 0, false, false, &l, &err), HOKKU_INVALID_REQUEST);
	assert_non_null(strstr(err.message, "not a URL"));
	assert_int_equal(net_listen("192.0.2.7", 0, false, false, &l, &err), HOKKU_IO_ERROR);
	assert_non_null(strstr(err.message, "192.0.2.7"));
	assert_true(net_raise_fd_limit(16) >= 16);
}

static void test_reach(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		enum net_reach reach;
	} cases[] = {{"127.0.0.1", NET_LOOPBACK},
		     {"127.255.255.254", NET_LOOPBACK},
		     {"localhost", NET_LOOPBACK},
		     {"0.0.0.0", NET_OPEN},
		     {"::1", NET_LOOPBACK},
		     {"::ffff:127.0.0.1", NET_LOOPBACK},
		     {"::", NET_OPEN},
		     {"::ffff:0.0.0.0", NET_OPEN}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct net_listener l;
		struct hokku_error err;
		if (net_listen(cases[i].host, 0, false, false, &l, &err)) {
			assert_non_null(strchr(cases[i].host, ':')); /* a machine may have no IPv6 */
			continue;
		}
		if (l.reach != cases[i].reach)
			fail_msg("%s", cases[i].host);
		close(l.fd);
	}
}

static void test_is_path(void **state)
{
	(void)state;
	static const char *const paths[] = {"a.sock", "/a", "./a", "a/b.c", ".sock"};
	static const char *const names[] = {"a", "a.sock.example", "127.0.0.1", "::1", "sock", "asock", ""};
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		assert_true(net_is_path(paths[i]));
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_false(net_is_path(names[i]));
}

static struct net_listener listen_at(const char *path)
{
	struct net_listener l;
	struct hokku_error err = {.message = ""};
	if (net_listen(path, 8080, false, true, &l, &err))
		fail_msg("%s", err.message);
	return l;
}

static void refused(const char *path, enum hokku_code code, const char *words)
{
	struct net_listener l;
	struct hokku_error err = {.message = ""};
	assert_int_equal(net_listen(path, 0, false, false, &l, &err), code);
	if (!strstr(err.message, words) || !strstr(err.message, "--host"))
		fail_msg("%s", err.message);
}

static int dial(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	close(fd);
	return -1;
}

/* A file's life: made with what the umask leaves, refused to a second server, taken from a dead one, removed
 * by its own alone. */
static void test_file(void **state)
{
	(void)state;
	struct stat st;
	const char *path = in_folder("a.sock");
	char url[600];
	snprintf(url, sizeof url, "unix:%s", path);
	static const struct {
		mode_t mask, mode;
	} masks[] = {{022, 0755}, {077, 0700}, {007, 0770}, {0, 0777}};
	for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
		mode_t before = umask(masks[i].mask);
		struct net_listener l = listen_at(path);
		umask(before);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, masks[i].mode);
		assert_int_equal(l.file.others, masks[i].mask == 0);
		assert_int_equal(l.reach, NET_FILE);
		assert_int_equal(l.port, 0);
		assert_string_equal(l.url, url);
		int client = dial(path);
		assert_true(client >= 0);
		refused(path, HOKKU_IO_ERROR, "another server listens there");
		assert_int_equal(stat(path, &st), 0); /* and is still there */
		close(client);
		if (i % 2) { /* dead: nobody removed it */
			close(l.fd);
			assert_int_equal(dial(path), -1);
			l = listen_at(path);
		} else { /* another's by now */
			unlink(path);
			struct net_listener next = listen_at(path);
			net_remove(&l.file);
			assert_int_equal(stat(path, &st), 0);
			close(l.fd);
			l = next;
		}
		net_remove(&l.file);
		close(l.fd);
		assert_int_not_equal(stat(path, &st), 0);
	}
	net_remove(&(struct net_file){0});
}

static void test_in_the_way(void **state)
{
	(void)state;
	const char *path = in_folder("a.sock");
	FILE *f = fopen(path, "w");
	fputs("mine", f);
	fclose(f);
	refused(path, HOKKU_IO_ERROR, "it is no socket");
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 4);
	unlink(path);
	assert_int_equal(symlink("/nowhere/else", path),
			 0); /* what it leads to is not made, nor the link removed */
	refused(path, HOKKU_IO_ERROR, "it is no socket");
	assert_int_equal(lstat(path, &st), 0);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	refused(path, HOKKU_IO_ERROR, "it is no socket");
	rmdir(path);
	refused("/nowhere/at/all.sock", HOKKU_NOT_FOUND, "the folder must be there already");
}

/* Without a descriptor nobody can see whether a server lives: its file is left alone. */
static void test_no_descriptors(void **state)
{
	(void)state;
	struct stat st;
	struct rlimit before, none;
	const char *path = in_folder("a.sock");
	struct net_listener l = listen_at(path);
	int next = dup(l.fd);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	struct net_listener other;
	struct hokku_error err = {.message = ""};
	enum hokku_code rc = net_listen(path, 0, false, false, &other, &err);
	bool there = stat(path, &st) == 0;
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(rc, HOKKU_IO_ERROR);
	assert_true(there);
	int client = dial(path);
	assert_true(client >= 0);
	close(client);
	net_remove(&l.file);
	close(l.fd);
}

static void test_length(void **state)
{
	(void)state;
	char path[NET_MAX_PATH_BYTES + 2];
	for (size_t n = NET_MAX_PATH_BYTES - 1; n <= NET_MAX_PATH_BYTES + 1; n++) {
		int begin = snprintf(path, sizeof path, "%s/", folder);
		memset(path + begin, 'a', n - (size_t)begin);
		path[n] = '\0';
		if (n > NET_MAX_PATH_BYTES) {
			refused(path, HOKKU_INVALID_REQUEST, "has 108 bytes; the system allows 107");
			continue;
		}
		struct net_listener l = listen_at(path);
		int client = dial(path);
		assert_true(client >= 0);
		close(client);
		close(l.fd);
		net_remove(&l.file);
	}
}

/* A listening socket as a service manager makes one; blocking. */
static int made(int family, int type, const char *path, bool listens)
{
	struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
	socklen_t size = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	if (family == AF_INET)
		((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (family == AF_UNIX) { /* "@name": an abstract one */
		struct sockaddr_un *un = (struct sockaddr_un *)&address;
		size_t n = strlen(path);
		memcpy(un->sun_path, path, n);
		if (*path == '@')
			un->sun_path[0] = '\0';
		bool ends = *path != '@' && n < sizeof un->sun_path; /* the longest has no room for a zero */
		size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + ends);
	}
	int fd = socket(family, type, 0);
	if (fd < 0)
		return -1; /* a machine may have no IPv6 */
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	if (listens)
		assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void test_adopted(void **state)
{
	(void)state;
	struct net_listener l;
	struct hokku_error err;
	struct stat st;
	char path[600], url[700];
	int fd = made(AF_INET, SOCK_STREAM, NULL, true);
	assert_int_equal(net_adopt(fd, "web", true, &l, &err), HOKKU_OK);
	snprintf(url, sizeof url, "https://127.0.0.1:%u", l.port);
	assert_true(l.fd == fd && l.port > 0 && l.reach == NET_LOOPBACK);
	assert_string_equal(l.url, url);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
	fd = made(AF_INET6, SOCK_STREAM, NULL, true);
	if (fd >= 0) {
		assert_int_equal(net_adopt(fd, "", false, &l, &err), HOKKU_OK);
		assert_int_equal(strncmp(l.url, "http://[::]:", 12), 0);
		assert_int_equal(l.reach, NET_OPEN);
		close(fd);
	}
	/* A file is the manager's: it stays. Its path may be as long as one can be. */
	for (int mode = 0600; mode <= 0666; mode += 066) {
		size_t n = (size_t)snprintf(path, sizeof path, "%s", in_folder("s.sock"));
		const size_t longest = sizeof((struct sockaddr_un *)0)->sun_path;
		if (mode == 0666 && n < longest)
			memset(path + n, 's', longest - n);
		path[mode == 0666 ? longest : n] = '\0';
		fd = made(AF_UNIX, SOCK_STREAM, path, true);
		assert_int_equal(chmod(path, (mode_t)mode), 0);
		assert_int_equal(net_adopt(fd, "unix", true, &l, &err), HOKKU_OK);
		snprintf(url, sizeof url, "unix:%s", path);
		assert_string_equal(l.url, url);
		assert_true(l.reach == NET_FILE && l.port == 0 && l.file.others == (mode == 0666));
		net_remove(&l.file);
		close(fd);
		assert_int_equal(lstat(path, &st), 0);
		unlink(path);
	}
	snprintf(path, sizeof path, "@hokku\n%d", (int)getpid());
	fd = made(AF_UNIX, SOCK_STREAM, path, true);
	assert_int_equal(net_adopt(fd, "", false, &l, &err), HOKKU_OK);
	snprintf(url, sizeof url, "unix:@hokku\\n%d", (int)getpid());
	assert_string_equal(l.url, url);
	assert_true(l.file.others);
	close(fd);
}

static void unfit(int fd, const char *words)
{
	struct net_listener l;
	struct hokku_error err;
	char begin[64];
	snprintf(begin, sizeof begin, "descriptor %d (\"web\"), which LISTEN_FDS hands over, ", fd);
	assert_int_equal(net_adopt(fd, "web", false, &l, &err), HOKKU_INVALID_REQUEST);
	if (strncmp(err.message, begin, strlen(begin)) != 0 || !strstr(err.message, words))
		fail_msg("%s", err.message);
	assert_int_equal(l.fd, -1);
	if (fcntl(fd, F_GETFD) >= 0)
		close(fd);
}

static void test_unfit(void **state)
{
	(void)state;
	int both[2];
	char name[40]; /* of this process: others may run the same test */
	snprintf(name, sizeof name, "@hokku-datagrams-%d", (int)getpid());
	unfit(999, "is not open");
	assert_int_equal(pipe(both), 0);
	close(both[1]);
	unfit(both[0], "is no socket");
	unfit(open("/dev/null", O_RDONLY), "is no socket");
	unfit(made(AF_INET, SOCK_DGRAM, NULL, false), "is no stream socket");
	unfit(made(AF_UNIX, SOCK_DGRAM, name, false), "is no stream socket");
	unfit(made(AF_INET, SOCK_STREAM, NULL, false), "does not listen");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, both), 0);
	close(both[1]);
	unfit(both[0], "does not listen; a socket unit has Accept=no");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),      cmocka_unit_test(test_reach),
		cmocka_unit_test(test_is_path),        cmocka_unit_test(test_file),
		cmocka_unit_test(test_in_the_way),     cmocka_unit_test(test_length),
		cmocka_unit_test(test_adopted),        cmocka_unit_test(test_unfit),
		cmocka_unit_test(test_no_descriptors),
	};
	return cmocka_run_group_tests_name("net", tests, make_folder, remove_folder);
}
