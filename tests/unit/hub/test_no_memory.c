/* Each allocation fails once: OUT_OF_MEMORY with a message, nothing left behind, and no list that is shorter
 * than it should be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "failing_alloc.h"
#include "hub/cache.h"
#include "hub/inventory.h"
#include "hub/partial.h"

#define COMMIT "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1"
#define SUM    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static char dir[] = "/tmp/hokku-hub-XXXXXX";
static struct hub_config config;
static const struct hub_name name = {.kind = HUB_REPO, .repo = "u/r", .revision = "main", .want = "Q8_0"};

/* What is tried; answers its code. */
typedef enum hokku_code (*trial)(struct hokku_error *err);

static void try_all(trial t, const char *what)
{
	for (long k = 0, failed = true; failed; k++) {
		struct hokku_error err = {0};
		fail_allocation(k);
		enum hokku_code rc = t(&err);
		failed = stop_failing();
		if (failed ? rc != HOKKU_OUT_OF_MEMORY || !err.message[0] : rc != HOKKU_OK)
			fail_msg("%s, allocation %ld: %s, %s", what, k, hokku_code_name(rc), err.message);
	}
}

static enum hokku_code read_list(struct hokku_error *err)
{
	static const char text[] =
		"{\"sha\":\"" COMMIT
		"\",\"siblings\":[{\"rfilename\":\"m-Q8_0-00001-of-00002.gguf\",\"size\":7},"
		"{\"rfilename\":\"m-Q8_0-00002-of-00002.gguf\",\"size\":7},{\"rfilename\":\"config.json\",\"size\":1},"
		"{\"rfilename\":\"model.safetensors\",\"size\":1}]}";
	static const char *const wants[] = {"", "Q8_0", "safetensors", "m-Q8_0-00002-of-00002.gguf"};
	struct hub_repo r;
	enum hokku_code rc = hub_repo_read(&name, (struct str){text, sizeof text - 1}, &r, err);
	for (size_t i = 0; i < sizeof wants / sizeof *wants && !rc; i++) {
		struct hub_choice c;
		rc = hub_choose("u/r", &r.files, wants[i], &c, err);
		if (!rc)
			assert_int_equal(c.n, 2);
		hub_choice_free(&c);
	}
	hub_repo_free(&r);
	return rc;
}

static enum hokku_code read_settings(struct hokku_error *err)
{
	struct hub_config c;
	enum hokku_code rc = hub_config_read(&c, err);
	hub_config_free(&c);
	return rc;
}

static enum hokku_code find(struct hokku_error *err)
{
	char *path;
	enum hokku_code rc = hub_cache_find(&config, &name, &path, err);
	free(path);
	return rc;
}

static enum hokku_code list(struct hokku_error *err)
{
	struct hub_inventory v;
	enum hokku_code rc = hub_inventory_read(&config, &v, err);
	if (!rc)
		assert_int_equal(v.n, 2);
	hub_inventory_free(&v);
	return rc;
}

static enum hokku_code write_it(struct hokku_error *err)
{
	enum hokku_code rc = hub_cache_link(dir, "u/r", COMMIT, "a/m-Q8_0.gguf", SUM, err);
	return rc ? rc : hub_cache_write_ref(dir, "u/r", "main", COMMIT, err);
}

static enum hokku_code lock_it(struct hokku_error *err)
{
	int fd;
	enum hokku_code rc = hub_cache_lock(dir, "u/r", SUM, NULL, &fd, err);
	hub_unlock(fd);
	return rc;
}

static enum hokku_code open_part(struct hokku_error *err)
{
	struct partial p;
	char path[256];
	snprintf(path, sizeof path, "%s/models--u--r/blobs/" SUM PARTIAL_SUFFIX, dir);
	enum hokku_code rc = partial_open(&p, path, 100, err);
	partial_close(&p);
	return rc;
}

static enum hokku_code look(struct hokku_error *err)
{
	struct hub_removed r;
	return hub_remove_look(&config, &name, &r, err);
}

static int set_up(void **state)
{
	char path[256];
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	config = (struct hub_config){.endpoint = (char *)"https://hub.test", .cache = dir};
	setenv("HOME", dir, 1);
	/* As a pull leaves it. */
	snprintf(path, sizeof path, "%s/models--u--r/blobs/" SUM, dir);
	if (hub_cache_make_folders(dir, path, NULL))
		return -1;
	FILE *f = fopen(path, "w");
	return !f || fputs("GGUF", f) < 0 || fclose(f) || write_it(NULL) ? -1 : 0;
}

static int tear_down(void **state)
{
	struct hub_removed r;
	static const struct hub_name all = {.kind = HUB_REPO, .repo = "u/r", .revision = "main"};
	char path[256];
	(void)state;
	hub_remove(&config, &all, NULL, &r, NULL);
	snprintf(path, sizeof path, "%s/.locks/models--u--r/" SUM ".lock", dir);
	unlink(path);
	for (int i = 0; i < 3; i++) {
		*strrchr(path, '/') = '\0';
		rmdir(path);
	}
	return access(dir, F_OK) == 0 ? -1 : 0;
}

static void test_reading(void **state)
{
	(void)state;
	try_all(read_settings, "settings");
	try_all(read_list, "list of files");
}

static void test_cache(void **state)
{
	(void)state;
	try_all(open_part, "part");
	try_all(write_it, "links");
	try_all(lock_it, "lock");
	try_all(find, "find");
	try_all(list, "inventory");
	try_all(look, "remove");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reading),
		cmocka_unit_test(test_cache),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
