#include "server/shelf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "engine/load.h"

/* ---- a file's print ---- */

static uint64_t print_of(uint64_t before, const char *path)
{
	struct stat st;
	if (stat(path, &st) || !S_ISREG(st.st_mode))
		return before;
	const uint64_t words[] = {before, st.st_dev, st.st_ino, (uint64_t)st.st_size,
				  (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec};
	uint64_t print = siphash(1, 2, words, sizeof words);
	return print ? print : 1;
}

static bool is_kind(const char *path, mode_t kind)
{
	struct stat st;
	return stat(path, &st) == 0 && (st.st_mode & S_IFMT) == kind;
}

/* Of a folder as transformers writes it: 0 where it is none. */
static uint64_t print_of_folder(const char *path)
{
	static const char *const files[] = {"config.json", "tokenizer.json", "model.safetensors.index.json",
					    "model.safetensors"};
	char file[PATH_MAX];
	uint64_t print = 0;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		uint64_t before = print;
		if (snprintf(file, sizeof file, "%s/%s", path, files[i]) < (int)sizeof file)
			print = print_of(before, file);
		if (i == 0 && !print)
			return 0;
	}
	return print;
}

/* "-00001-of-00003.gguf": the first of so many; 0: no such part, 1: another part. */
static unsigned parts_of(const char *path, size_t *at)
{
	unsigned part, all;
	size_t n = strlen(path);
	if (n < 20 || sscanf(path + n - 20, "-%5u-of-%5u", &part, &all) != 2 || path[n - 20] != '-')
		return 0;
	*at = n - 20;
	return part == 1 ? all : 1;
}

/* 0: there is no such file. */
static uint64_t print_of_model(const char *path)
{
	char part[PATH_MAX];
	size_t at = 0;
	if (is_kind(path, S_IFDIR))
		return print_of_folder(path);
	uint64_t print = print_of(0, path);
	unsigned n = print ? parts_of(path, &at) : 0;
	for (unsigned i = 2; i <= n && i < 1000; i++)
		if (snprintf(part, sizeof part, "%.*s-%05u-of-%05u.gguf", (int)at, path, i, n) <
		    (int)sizeof part)
			print = print_of(print, part);
	return print;
}

/* ---- the list ---- */

/* Room for as many as may be is there from the beginning. */
static struct shelf_model *add_model(struct shelf_list *list, const char *path)
{
	struct shelf_model *m = &list->models[list->n];
	if (list->n == SHELF_MAX_MODELS) {
		list->n_left_out++;
		return NULL;
	}
	*m = (struct shelf_model){.path = strdup(path)};
	if (!m->path)
		return NULL;
	list->n++;
	return m;
}

static bool has_name(const struct shelf_list *list, uint32_t n, const char *name)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(list->models[i].name, name) == 0)
			return true;
	return false;
}

static bool has_print(const struct shelf_list *list, uint64_t print)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (list->models[i].print == print)
			return true;
	return false;
}

/* Each gets as many parts of its path as tell it from all the others. */
static enum hokku_code add_named(const struct shelf_config *config, struct shelf_list *list,
				 struct hokku_error *err)
{
	char name[MODEL_NAME_MAX_BYTES + 1];
	for (uint32_t i = 0; i < config->n_paths; i++) {
		struct shelf_model *m = add_model(list, config->paths[i]);
		if (!m)
			return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for %u models", config->n_paths);
		m->named = true;
		m->print = print_of_model(m->path);
		bool alone = false;
		for (unsigned parts = 1; !alone && model_name_of(m->path, parts, m->name); parts++) {
			alone = true;
			for (uint32_t k = 0; k < config->n_paths && alone; k++)
				alone = k == i || !model_name_of(config->paths[k], parts, name) ||
					strcmp(name, m->name) != 0;
		}
		if (!alone || has_name(list, i, m->name)) /* the same path, or "m.gguf" and "m.GGUF" */
			snprintf(m->name, sizeof m->name, "%.*s", MODEL_NAME_MAX_BYTES, m->path);
	}
	return HOKKU_OK;
}

/* path: below the folder from `from` on. */
static void add_found(struct shelf_list *list, const char *path, size_t from)
{
	char name[MODEL_NAME_MAX_BYTES + 1];
	uint64_t print = print_of_model(path);
	unsigned depth = 1;
	if (!print || has_print(list, print)) /* gone meanwhile; a named one, or a second link to it */
		return;
	for (const char *at = path + from; *at; at++)
		depth += *at == '/';
	if (!model_name_of(path, depth, name)) {
		list->n_left_out++;
		return;
	}
	while (has_name(list, list->n, name)) /* a named one's */
		if (!model_name_of(path, ++depth, name)) {
			list->n_left_out++;
			return;
		}
	struct shelf_model *m = add_model(list, path);
	if (!m)
		return;
	memcpy(m->name, name, sizeof name);
	m->print = print;
}

static bool is_model_file(const char *name)
{
	size_t at = 0, n = strlen(name);
	if (n <= 5 || strcasecmp(name + n - 5, ".gguf") != 0 || strncmp(name, "mmproj", 6) == 0)
		return false;
	return parts_of(name, &at) != 1 || strcmp(name + at, "-00001-of-00001.gguf") == 0;
}

struct walk_state {
	struct shelf_list *list;
	size_t from; /* where names begin in paths */
	uint32_t n_entries;
	int error; /* what kept it from seeing all; 0: nothing did */
};

/* Is it no fault of the folder, but of this moment? */
static bool passes(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOMEM;
}

/* As opendir does. The thread sanitizer sees descriptors made by open, and not those that opendir makes: of
 * one whose number was a connection's it would say that two threads have it. */
static DIR *open_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (fd >= 0 && !d) {
		int error = errno;
		close(fd);
		errno = error;
	}
	return d;
}

/* Depth by depth into a folder; a link to a folder is none, so that there is an end to it. */
static void walk(struct walk_state *w, const char *dir, unsigned depth)
{
	char path[PATH_MAX];
	struct stat st;
	DIR *d = open_folder(dir);
	if (!d && passes(errno))
		w->error = errno;
	for (struct dirent *e; d && !w->error && (e = readdir(d));) {
		if (e->d_name[0] == '.' || ++w->n_entries > SHELF_MAX_ENTRIES)
			continue;
		if (snprintf(path, sizeof path, "%s/%s", dir, e->d_name) >= (int)sizeof path)
			continue;
		if (is_model_file(e->d_name))
			add_found(w->list, path, w->from);
		else if (lstat(path, &st) || !S_ISDIR(st.st_mode))
			continue;
		else if (print_of_folder(path))
			add_found(w->list, path, w->from);
		else if (depth < SHELF_MAX_DEPTH)
			walk(w, path, depth + 1);
	}
	if (d)
		closedir(d);
}

static int by_name(const void *a, const void *b)
{
	const struct shelf_model *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static enum hokku_code add_folder(const struct shelf_config *config, struct shelf_list *list,
				  struct hokku_error *err)
{
	struct walk_state w = {.list = list, .from = strlen(config->dir) + 1};
	uint32_t before = list->n;
	DIR *d = open_folder(config->dir);
	if (!d && !passes(errno)) {
		err_set(&list->err, HOKKU_IO_ERROR, "--models-dir %s: %s", config->dir, strerror(errno));
		return HOKKU_OK;
	}
	if (d)
		closedir(d);
	walk(&w, config->dir, 1);
	if (w.error)
		return err_set(err, HOKKU_IO_ERROR, "--models-dir %s cannot be looked at now: %s",
			       config->dir, strerror(w.error));
	qsort(list->models + before, list->n - before, sizeof *list->models, by_name);
	if (w.n_entries > SHELF_MAX_ENTRIES)
		list->n_left_out += w.n_entries - SHELF_MAX_ENTRIES;
	return HOKKU_OK;
}

void shelf_list_free(struct shelf_list *list)
{
	if (!list)
		return;
	for (uint32_t i = 0; i < list->n; i++) {
		free(list->models[i].path);
		free(list->models[i].look);
	}
	free(list->models);
	free(list);
}

enum hokku_code shelf_scan(const struct shelf_config *config, struct shelf_list **out,
			   struct hokku_error *err)
{
	struct shelf_list *list = calloc(1, sizeof *list);
	if (list)
		list->models = calloc(SHELF_MAX_MODELS, sizeof *list->models);
	*out = list;
	if (!list || !list->models) {
		shelf_list_free(list);
		*out = NULL;
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a list of models");
	}
	enum hokku_code rc = add_named(config, list, err);
	if (!rc && config->dir)
		rc = add_folder(config, list, err);
	if (rc) {
		shelf_list_free(list);
		*out = NULL;
	}
	return rc;
}

/* ---- what a file says ---- */

void shelf_digest(const struct gguf *g, char out[SHELF_DIGEST_BYTES])
{
	struct strbuf text = {0};
	for (uint64_t i = 0; i < gguf_n_kv(g); i++) {
		const struct gguf_kv *kv = gguf_kv_at(g, i);
		strbuf_addf(&text, "%.*s %d ", STR_ARG(kv->key), (int)kv->value.type);
		if (kv->value.type == GGUF_STRING)
			strbuf_add(&text, kv->value.string.ptr, kv->value.string.len);
		else if (kv->value.type != GGUF_ARRAY)
			strbuf_addf(&text, "%" PRIu64, kv->value.u64);
	}
	for (uint64_t i = 0; i < gguf_n_tensors(g); i++) {
		const struct gguf_tensor *t = gguf_tensor_at(g, i);
		strbuf_addf(&text, "%.*s %d %" PRIu64 " ", STR_ARG(t->name), (int)t->type, t->n_bytes);
	}
	for (uint64_t part = 0; part < 4; part++)
		snprintf(out + 16 * part, 17, "%016" PRIx64, siphash(part, 0, text.ptr, text.len));
	strbuf_free(&text);
}

static struct shelf_look *look_at(const struct shelf_config *config, const struct shelf_model *m)
{
	struct shelf_look *look = calloc(1, sizeof *look);
	struct gguf *g = NULL;
	struct stat st;
	if (!look)
		return NULL;
	if (stat(m->path, &st) == 0)
		look->modified_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
	if (engine_open_file(m->path, &g, &look->err))
		return look;
	if (!engine_look(g, &config->engine, &look->model, &look->err))
		shelf_digest(g, look->digest);
	gguf_close(g);
	return look;
}

/* ---- the thread ---- */

struct shelf {
	struct shelf_config config;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* Under the lock. */
	uint64_t asked, begun;   /* the last number that was asked for; that a look was begun for */
	struct shelf_list *list; /* not taken yet */
	bool stop;
	/* The thread's: what was told last, looks left out. */
	struct shelf_list *last;
};

static const struct shelf_model *find(const struct shelf_list *list, const char *name)
{
	for (uint32_t i = 0; list && i < list->n; i++)
		if (strcmp(list->models[i].name, name) == 0)
			return &list->models[i];
	return NULL;
}

static bool is_stopped(struct shelf *s)
{
	pthread_mutex_lock(&s->lock);
	bool stop = s->stop;
	pthread_mutex_unlock(&s->lock);
	return stop;
}

/* Why a look failed, where that is no fault of the file and may be over the next time; HOKKU_OK: it did not.
 */
static enum hokku_code failed_for_now(const struct shelf_look *look)
{
	if (!look)
		return HOKKU_INTERNAL;
	bool passes = look->err.code == HOKKU_IO_ERROR || look->err.code == HOKKU_OUT_OF_MEMORY;
	return passes ? look->err.code : HOKKU_OK;
}

/* What is new, or another one than when it was last told. A look that failed for now is taken again; where it
 * fails so again that is no news. */
static void look_at_new(struct shelf *s, struct shelf_list *list)
{
	for (uint32_t i = 0; i < list->n && !is_stopped(s); i++) {
		struct shelf_model *m = &list->models[i];
		const struct shelf_model *before = find(s->last, m->name);
		bool same = before && before->print == m->print && strcmp(before->path, m->path) == 0;
		if (same && !before->failed)
			continue;
		m->look = look_at(&s->config, m);
		m->failed = failed_for_now(m->look);
		if (same && m->failed == before->failed) {
			free(m->look);
			m->look = NULL;
		}
	}
}

/* Looks that nobody has taken yet go with the newer list, where it has none of its own. */
static void keep_looks(struct shelf_list *from, struct shelf_list *to)
{
	for (uint32_t i = 0; from && i < from->n; i++) {
		struct shelf_model *old = &from->models[i];
		struct shelf_model *new = (struct shelf_model *)find(to, old->name);
		if (!old->look || !new || new->look)
			continue;
		new->look = old->look;
		old->look = NULL;
	}
}

/* A list without looks, for the thread to compare with. */
static struct shelf_list *copy_list(const struct shelf_list *list)
{
	struct shelf_list *copy = calloc(1, sizeof *copy);
	if (copy)
		copy->models = calloc(SHELF_MAX_MODELS, sizeof *copy->models);
	for (uint32_t i = 0; copy && copy->models && i < list->n; i++) {
		struct shelf_model *m = add_model(copy, list->models[i].path);
		if (!m)
			break;
		memcpy(m->name, list->models[i].name, sizeof m->name);
		m->print = list->models[i].print;
		m->named = list->models[i].named;
		m->failed = list->models[i].failed;
	}
	if (copy && copy->models)
		return copy;
	shelf_list_free(copy);
	return NULL;
}

static void scan_once(struct shelf *s, uint64_t number)
{
	struct shelf_list *list = NULL;
	struct hokku_error err;
	if (shelf_scan(&s->config, &list, &err) == HOKKU_OK) {
		look_at_new(s, list);
		shelf_list_free(s->last);
		s->last = copy_list(list);
	} else { /* what cannot be seen now is as it was */
		list = s->last ? copy_list(s->last) : calloc(1, sizeof *list);
		if (!list)
			return; /* without memory there is nothing new */
		list->err = err;
	}
	list->number = number;
	pthread_mutex_lock(&s->lock);
	struct shelf_list *untaken = s->list;
	keep_looks(untaken, list);
	s->list = list;
	pthread_mutex_unlock(&s->lock);
	shelf_list_free(untaken);
	s->config.on_list(s->config.user);
}

static void *run(void *arg)
{
	struct shelf *s = arg;
	struct timespec until;
	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		uint64_t number = s->begun = s->asked;
		pthread_mutex_unlock(&s->lock);
		scan_once(s, number);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += SHELF_PERIOD_MS / 1000;
		pthread_mutex_lock(&s->lock);
		while (!s->stop && s->asked == number &&
		       pthread_cond_timedwait(&s->wake, &s->lock, &until) != ETIMEDOUT) {
		}
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void free_shelf(struct shelf *s)
{
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	shelf_list_free(s->list);
	shelf_list_free(s->last);
	free(s);
}

enum hokku_code shelf_create(const struct shelf_config *config, struct shelf **out, struct hokku_error *err)
{
	struct shelf *s = calloc(1, sizeof *s);
	pthread_condattr_t attr;
	*out = NULL;
	if (!s)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a list of models");
	s->config = *config;
	s->asked = 1;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
	int error = pthread_create(&s->thread, NULL, run, s);
	if (error) {
		free_shelf(s);
		return err_set(err, HOKKU_INTERNAL, "the thread of the models' files cannot be started: %s",
			       strerror(error));
	}
	*out = s;
	return HOKKU_OK;
}

uint64_t shelf_ask(struct shelf *s)
{
	pthread_mutex_lock(&s->lock);
	if (s->asked == s->begun) /* a look that is under way may have passed the place */
		s->asked++;
	uint64_t number = s->asked;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	return number;
}

struct shelf_list *shelf_take(struct shelf *s)
{
	pthread_mutex_lock(&s->lock);
	struct shelf_list *list = s->list;
	s->list = NULL;
	pthread_mutex_unlock(&s->lock);
	return list;
}

void shelf_destroy(struct shelf *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	free_shelf(s);
}
