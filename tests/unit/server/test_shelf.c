/* The files of several models: what a folder's tree becomes, and what is told when files appear, change and
 * vanish. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/load.h"
#include "server/shelf.h"

static char root[256];

static int make_root(void **state)
{
	(void)state;
	snprintf(root, sizeof root, "%s/shelf-XXXXXX", TEST_BINARY_DIR);
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	char command[300];
	(void)state;
	snprintf(command, sizeof command, "rm -rf '%s'", root);
	return system(command);
}

static const char *in_root(const char *name)
{
	static char paths[64][512];
	static unsigned next;
	char *path = paths[next++ % 64];
	snprintf(path, sizeof paths[0], "%s/%s", root, name);
	return path;
}

/* Folders are made on the way. */
static void put(const char *name, const char *bytes, size_t n)
{
	char path[512];
	snprintf(path, sizeof path, "%s", in_root(name));
	for (char *at = path + strlen(root) + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		mkdir(path, 0700);
		*at = '/';
	}
	FILE *f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

static void expect_names(const struct shelf_list *list, const char *const *names)
{
	for (uint32_t i = 0; i < list->n; i++) {
		assert_non_null(names[i]);
		assert_string_equal(list->models[i].name, names[i]);
	}
	assert_null(names[list->n]);
}

static void test_tree(void **state)
{
	struct shelf_list *list;
	struct hokku_error err;
	(void)state;
	const char *paths[] = {in_root("named/m.gguf"), in_root("other/m.gguf"), in_root("alone.gguf"),
			       in_root("missing.gguf")};
	put_text("named/m.gguf", "1");
	put_text("other/m.gguf", "2");
	put_text("alone.gguf", "3");
	put_text("dir/b.gguf", "4");
	put_text("dir/a.gguf", "5");
	put_text("dir/sub/a.gguf", "6");
	put_text("dir/sub/README.md", "no model");
	put_text("dir/sub/mmproj-a.gguf", "no model");
	put_text("dir/.hidden.gguf", "no model");
	put_text("dir/x.gguf.part", "no model");
	put_text("dir/parts/big-00001-of-00002.gguf", "7");
	put_text("dir/parts/big-00002-of-00002.gguf", "8");
	put_text("dir/folder/config.json", "{}");
	put_text("dir/folder/inner.gguf", "is the folder's");
	put_text("dir/alone.gguf", "has a name of those that were named");
	put_text("dir/1/2/3/4/deep.gguf", "9");
	put_text("dir/1/2/3/4/5/deeper.gguf", "too deep");
	assert_int_equal(symlink("../named/m.gguf", in_root("dir/link.gguf")), 0); /* is named already */
	assert_int_equal(symlink("b.gguf", in_root("dir/zlink.gguf")), 0);         /* the same file once */
	assert_int_equal(symlink("nowhere", in_root("dir/broken.gguf")), 0);
	assert_int_equal(symlink("..", in_root("dir/loop")), 0);
	assert_int_equal(mkfifo(in_root("dir/pipe.gguf"), 0600), 0); /* whose opening would wait */
	char dir[512];
	snprintf(dir, sizeof dir, "%s", in_root("dir"));
	const struct shelf_config config = {.paths = paths, .n_paths = 4, .dir = dir};
	assert_int_equal(shelf_scan(&config, &list, &err), HOKKU_OK);
	static const char *const names[] = {"named/m",      "other/m", "alone",     "missing",
					    "1/2/3/4/deep", "a",       "dir/alone", "folder",
					    "parts/big",    "sub/a",   NULL};
	/* Of b and its link one is there, whichever comes first. */
	uint32_t n = 0;
	bool linked = false;
	for (uint32_t i = 0; i < list->n; i++) {
		struct shelf_model *m = &list->models[i];
		if (strcmp(m->name, "b") == 0 || strcmp(m->name, "zlink") == 0) {
			assert_false(linked);
			linked = true;
			free(m->path);
		} else {
			list->models[n++] = *m;
		}
	}
	assert_true(linked);
	list->n = n;
	expect_names(list, names);
	assert_int_equal(list->models[3].print, 0);
	assert_true(list->models[3].named && !list->models[4].named);
	assert_int_equal(list->err.code, 0);
	shelf_list_free(list);
	const struct shelf_config gone = {.dir = "/nowhere/at/all"};
	assert_int_equal(shelf_scan(&gone, &list, &err), HOKKU_OK);
	assert_int_equal(list->n, 0);
	assert_non_null(strstr(list->err.message, "--models-dir /nowhere/at/all: "));
	shelf_list_free(list);
}

static void test_too_many(void **state)
{
	struct shelf_list *list;
	struct hokku_error err;
	char name[32], dir[512];
	(void)state;
	snprintf(dir, sizeof dir, "%s", in_root("many"));
	for (int i = 0; i <= SHELF_MAX_MODELS; i++) {
		snprintf(name, sizeof name, "many/%d.gguf", i);
		put_text(name, "x");
		if (i < SHELF_MAX_MODELS - 2)
			continue;
		const struct shelf_config config = {.dir = dir};
		assert_int_equal(shelf_scan(&config, &list, &err), HOKKU_OK);
		assert_int_equal(list->n, i < SHELF_MAX_MODELS ? i + 1 : SHELF_MAX_MODELS);
		assert_int_equal(list->n_left_out, i < SHELF_MAX_MODELS ? 0 : 1);
		shelf_list_free(list);
	}
}

/* ---- the thread ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told = PTHREAD_COND_INITIALIZER;
static unsigned n_told;

static void on_list(void *user)
{
	(void)user;
	pthread_mutex_lock(&lock);
	n_told++;
	pthread_cond_signal(&told);
	pthread_mutex_unlock(&lock);
}

enum { MAX_WAIT_S = 60 };

/* Waits until more than `seen` lists have come, on the way to the answer to question `number`; how many have.
 */
static unsigned wait_for_more(unsigned seen, uint64_t number)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += MAX_WAIT_S;
	pthread_mutex_lock(&lock);
	int waited = 0;
	while (n_told <= seen && waited != ETIMEDOUT)
		waited = pthread_cond_timedwait(&told, &lock, &until);
	bool none = n_told <= seen;
	seen = n_told;
	pthread_mutex_unlock(&lock);
	if (none)
		fail_msg("no list answers question %u within %d s; %u came", (unsigned)number, MAX_WAIT_S,
			 seen);
	return seen;
}

/* The first list that answers question `number`. */
static struct shelf_list *wait_for(struct shelf *s, uint64_t number)
{
	for (unsigned seen = 0;;) {
		seen = wait_for_more(seen, number);
		struct shelf_list *list = shelf_take(s);
		if (list && list->number >= number)
			return list;
		shelf_list_free(list);
	}
}

static const struct shelf_model *model_of(const struct shelf_list *list, const char *name)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (strcmp(list->models[i].name, name) == 0)
			return &list->models[i];
	return NULL;
}

/* A file that is a model. */
static struct str model_bytes(void)
{
	struct str bytes = bundled_model();
	if (!bytes.len)
		skip();
	return bytes;
}

/* A shelf of the root's folder `name`, which may be NULL, beside what is named. */
static struct shelf *open_shelf(const char *name, struct shelf_config config)
{
	struct shelf *s;
	struct hokku_error err;
	static char dir[512]; /* of one shelf at a time, which borrows it */
	if (name)
		snprintf(dir, sizeof dir, "%s", in_root(name));
	config.dir = name ? dir : NULL;
	config.on_list = on_list;
	assert_int_equal(shelf_create(&config, &s, &err), HOKKU_OK);
	return s;
}

static void test_what_is_new_is_told(void **state)
{
	struct str bytes = model_bytes();
	(void)state;
	put("live/good.gguf", bytes.ptr, bytes.len);
	put("live/bad.gguf", bytes.ptr, bytes.len / 2);
	struct shelf *s = open_shelf("live", (struct shelf_config){.engine = {.kv_grows = true}});
	struct shelf_list *list = wait_for(s, 1);
	const struct shelf_model *good = model_of(list, "good"), *bad = model_of(list, "bad");
	assert_true(good && bad && good->look && bad->look);
	assert_int_equal(good->look->err.code, 0);
	assert_string_equal(good->look->model.architecture, "qwen2");
	assert_int_equal(good->look->model.file_bytes, bytes.len);
	assert_int_equal(strlen(good->look->digest), 64);
	assert_true(good->look->model.weight_bytes > 0 && good->look->model.weight_bytes < bytes.len);
	assert_true(bad->look->err.code && strstr(bad->look->err.message, "bad.gguf"));
	shelf_list_free(list);

	/* Nothing is new: no looks. */
	list = wait_for(s, shelf_ask(s));
	assert_null(model_of(list, "good")->look);
	shelf_list_free(list);

	/* One is mended, one goes, one comes. */
	put("live/bad.gguf", bytes.ptr, bytes.len);
	unlink(in_root("live/good.gguf"));
	put("live/new.gguf", "no GGUF file", 12);
	list = wait_for(s, shelf_ask(s));
	assert_int_equal(list->n, 2);
	assert_int_equal(model_of(list, "bad")->look->err.code, 0);
	assert_int_equal(model_of(list, "new")->look->err.code, HOKKU_BAD_FILE);
	shelf_list_free(list);

	/* What nobody took goes with the next list, beside what was not looked at. */
	pthread_mutex_lock(&lock);
	unsigned seen = n_told;
	pthread_mutex_unlock(&lock);
	put("live/new.gguf", "no GGUF file either", 19);
	seen = wait_for_more(seen, shelf_ask(s));
	uint64_t number = shelf_ask(s);
	wait_for_more(seen, number);
	bool looked = false;
	for (bool over = false; !over; shelf_list_free(list)) {
		list = shelf_take(s);
		if (!list) {
			seen = wait_for_more(seen, number);
			continue;
		}
		over = list->number >= number;
		looked |= model_of(list, "new")->look != NULL;
		assert_null(model_of(list, "bad")->look);
	}
	assert_true(looked);
	shelf_destroy(s);
}

/* ---- descriptors ---- */

static struct rlimit descriptors;

/* Of descriptors there are so many left. */
static void leave(int n)
{
	int next = dup(STDIN_FILENO);
	assert_true(next >= 0);
	close(next);
	struct rlimit few = descriptors;
	few.rlim_cur = (rlim_t)(next + n);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
}

static int feed(void **state)
{
	(void)state;
	return setrlimit(RLIMIT_NOFILE, &descriptors);
}

/* What cannot be seen for want of descriptors is as it was: no model goes, and a file that could not be read
 * is read when it can be. */
static void test_want_of_descriptors(void **state)
{
	struct str bytes = model_bytes();
	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &descriptors), 0);
	put("poor/sub/good.gguf", bytes.ptr, bytes.len);
	put("rich.gguf", bytes.ptr, bytes.len);
	const char *paths[] = {in_root("rich.gguf")};
	const struct shelf_config config = {.paths = paths, .n_paths = 1};
	struct shelf *s = open_shelf("poor", config);
	struct shelf_list *list = wait_for(s, 1);
	assert_int_equal(list->n, 2);
	assert_int_equal(model_of(list, "sub/good")->look->err.code, 0);
	shelf_list_free(list);
	for (int n = 0; n <= 1; n++) { /* none for the folder; none for the one in it */
		leave(n);
		list = wait_for(s, shelf_ask(s));
		feed(NULL);
		assert_int_equal(list->n, 2);
		assert_null(model_of(list, "sub/good")->look);
		assert_int_equal(list->err.code, HOKKU_IO_ERROR);
		assert_non_null(strstr(list->err.message, "Too many open files"));
		shelf_list_free(list);
	}
	list = wait_for(s, shelf_ask(s));
	assert_int_equal(list->err.code, 0);
	assert_null(model_of(list, "sub/good")->look);
	assert_null(model_of(list, "rich")->look);
	shelf_list_free(list);
	shelf_destroy(s);

	leave(0);
	s = open_shelf(NULL, config);
	list = wait_for(s, 1);
	assert_non_null(strstr(model_of(list, "rich")->look->err.message, "Too many open files"));
	shelf_list_free(list);
	list = wait_for(s, shelf_ask(s)); /* the same again is no news */
	assert_null(model_of(list, "rich")->look);
	shelf_list_free(list);
	feed(NULL);
	list = wait_for(s, shelf_ask(s));
	assert_int_equal(model_of(list, "rich")->look->err.code, 0);
	shelf_list_free(list);
	list = wait_for(s, shelf_ask(s));
	assert_null(model_of(list, "rich")->look);
	shelf_list_free(list);
	shelf_destroy(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_what_is_new_is_told),
		cmocka_unit_test_teardown(test_want_of_descriptors, feed),
	};
	return cmocka_run_group_tests(tests, make_root, remove_root);
}
