#include "hub/inventory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/cache.h"
#include "hub/hash.h"
#include "hub/partial.h"

struct reading {
	const struct hub_config *c;
	struct hub_inventory *out;
	struct hokku_error *err;
};

static enum hokku_code no_memory(struct hokku_error *err)
{
	return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the list of models");
}

void hub_inventory_free(struct hub_inventory *v)
{
	for (size_t i = 0; i < v->n; i++) {
		free(v->items[i].name);
		free(v->items[i].path);
	}
	free(v->items);
	*v = (struct hub_inventory){0};
}

/* Takes name and path. */
static enum hokku_code add(struct reading *r, const struct hub_item *item)
{
	struct hub_inventory *v = r->out;
	if (v->n == v->cap && item->name && item->path) {
		size_t cap = v->cap ? 2 * v->cap : 16;
		struct hub_item *items = realloc(v->items, cap * sizeof *items);
		if (items) {
			v->items = items;
			v->cap = cap;
		}
	}
	if (v->n == v->cap || !item->name || !item->path) {
		free(item->name);
		free(item->path);
		return no_memory(r->err);
	}
	v->items[v->n++] = *item;
	return HOKKU_OK;
}

/* Calls visit for each entry of a folder, in no order; a folder that is not there has none. */
static enum hokku_code each(struct reading *r, const char *folder, void *user,
			    enum hokku_code (*visit)(struct reading *r, const char *path, const char *name,
						     void *user))
{
	char path[PATH_MAX];
	DIR *d = opendir(folder);
	if (!d)
		return errno == ENOENT || errno == ENOTDIR
			       ? HOKKU_OK
			       : err_set(r->err, HOKKU_IO_ERROR, "%s: %s", folder, strerror(errno));
	enum hokku_code rc = HOKKU_OK;
	for (const struct dirent *e; !rc && (e = readdir(d));)
		if (e->d_name[0] != '.' && snprintf(path, sizeof path, "%s/%s", folder, e->d_name) < PATH_MAX)
			rc = visit(r, path, e->d_name, user);
	closedir(d);
	return rc;
}

static char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *text(const char *format, ...)
{
	char *out = NULL;
	va_list args;
	va_start(args, format);
	if (vasprintf(&out, format, args) < 0)
		out = NULL;
	va_end(args);
	return out;
}

/* ---- snapshots ---- */

struct snapshot {
	const char *repo, *path, *commit;
	char at[HUB_MAX_REVISION + 2]; /* "@v2", "" of main */
	struct hub_files files;
};

/* The name of the model that first is the first file of: by its tag where that means it. */
static char *name_of(const struct snapshot *s, const struct hub_choice *choice)
{
	const char *path = s->files.all[choice->index[0]].path;
	struct str tag = hub_tag(path);
	struct hub_choice same = {0};
	char want[HUB_MAX_FILE + 1];
	if (choice->folder)
		return text("%s%s:safetensors", s->repo, s->at);
	snprintf(want, sizeof want, "%.*s", STR_ARG(tag));
	enum hokku_code rc = *want ? hub_choose(s->repo, &s->files, want, &same, NULL) : HOKKU_NOT_FOUND;
	bool by_tag = !rc && same.n && same.index[0] == choice->index[0];
	hub_choice_free(&same);
	if (rc == HOKKU_OUT_OF_MEMORY)
		return NULL;
	return text("%s%s:%s", s->repo, s->at, by_tag ? want : path);
}

static enum hokku_code add_choice(struct reading *r, const struct snapshot *s,
				  const struct hub_choice *choice)
{
	struct hub_item item = {.kind = choice->folder ? HUB_ITEM_FOLDER : HUB_ITEM_GGUF,
				.n_bytes = choice->n_bytes,
				.n_files = choice->n};
	struct stat st;
	char path[PATH_MAX];
	for (size_t i = 0; i < choice->n; i++) {
		if (snprintf(path, sizeof path, "%s/%s", s->path, s->files.all[choice->index[i]].path) >=
			    PATH_MAX ||
		    hub_cache_inside(r->c->cache, path, NULL) || stat(path, &st))
			return HOKKU_OK; /* no model that may be opened */
		item.used_s = st.st_mtime > item.used_s ? st.st_mtime : item.used_s;
	}
	snprintf(item.repo, sizeof item.repo, "%s", s->repo);
	snprintf(item.commit, sizeof item.commit, "%s", s->commit);
	item.name = name_of(s, choice);
	item.path = choice->folder ? text("%s", s->path)
				   : text("%s/%s", s->path, s->files.all[choice->index[0]].path);
	return add(r, &item);
}

/* What is not there, or lacks a part, is passed over. */
static enum hokku_code add_wanted(struct reading *r, const struct snapshot *s, const char *want)
{
	struct hub_choice choice = {0};
	enum hokku_code rc = hub_choose(s->repo, &s->files, want, &choice, NULL);
	if (rc)
		rc = rc == HOKKU_OUT_OF_MEMORY ? no_memory(r->err) : HOKKU_OK;
	else
		rc = add_choice(r, s, &choice);
	hub_choice_free(&choice);
	return rc;
}

static enum hokku_code is_ref_of(struct reading *r, const char *path, const char *name, void *user)
{
	struct snapshot *s = user;
	char commit[41];
	(void)path;
	enum hokku_code rc = hub_cache_commit(r->c->cache, s->repo, name, commit, NULL);
	if (rc == HOKKU_OUT_OF_MEMORY)
		return no_memory(r->err);
	if (!rc && strcmp(commit, s->commit) == 0 && hub_revision_ok(str_c(name)) && strcmp(s->at, "") != 0)
		snprintf(s->at, sizeof s->at, "%s%s", strcmp(name, "main") ? "@" : "",
			 strcmp(name, "main") ? name : "");
	return HOKKU_OK;
}

static enum hokku_code add_snapshot(struct reading *r, const char *path, const char *name, void *user)
{
	struct snapshot s = {.repo = user, .path = path, .commit = name};
	if (strlen(name) != 40 || !hub_is_hash(name))
		return HOKKU_OK;
	enum hokku_code rc = hub_cache_files(r->c->cache, s.repo, name, &s.files, NULL);
	if (rc)
		return rc == HOKKU_OUT_OF_MEMORY ? no_memory(r->err) : HOKKU_OK;
	snprintf(s.at, sizeof s.at, "@%s", name);
	char *refs = hub_cache_path(r->c->cache, s.repo, "refs");
	rc = refs ? each(r, refs, &s, is_ref_of) : no_memory(r->err);
	free(refs);
	for (size_t i = 0; !rc && i < s.files.n; i++)
		if (hub_is_model(s.files.all[i].path))
			rc = add_wanted(r, &s, s.files.all[i].path);
	if (!rc)
		rc = add_wanted(r, &s, "safetensors");
	hub_files_free(&s.files);
	return rc;
}

/* ---- the rest ---- */

static enum hokku_code add_part(struct reading *r, const char *path, const char *name, void *user)
{
	struct hub_item item = {.kind = HUB_ITEM_PART, .n_files = 1};
	struct stat st;
	if (!str_ends(str_c(name), STR_LIT(PARTIAL_SUFFIX)) || lstat(path, &st) || !S_ISREG(st.st_mode))
		return HOKKU_OK;
	item.n_bytes = (uint64_t)st.st_size;
	item.used_s = st.st_mtime;
	snprintf(item.repo, sizeof item.repo, "%s", (const char *)user);
	item.name = text("%s", item.repo);
	item.path = text("%s", path);
	return add(r, &item);
}

static enum hokku_code add_repo(struct reading *r, const char *path, const char *name, void *user)
{
	char repo[HUB_MAX_REPO + 1], below[PATH_MAX];
	const char *rest = name + strlen("models--");
	(void)user;
	if (strncmp(name, "models--", strlen("models--")) != 0 || hub_cache_inside(r->c->cache, path, NULL))
		return HOKKU_OK;
	const char *cut = strstr(rest, "--");
	if (!cut || strlen(rest) > HUB_MAX_REPO ||
	    snprintf(repo, sizeof repo, "%.*s/%s", (int)(cut - rest), rest, cut + 2) >= (int)sizeof repo ||
	    !hub_repo_ok(str_c(repo)))
		return HOKKU_OK;
	if (snprintf(below, sizeof below, "%s/snapshots", path) >= PATH_MAX)
		return HOKKU_OK;
	enum hokku_code rc = each(r, below, repo, add_snapshot);
	if (!rc && snprintf(below, sizeof below, "%s/blobs", path) < PATH_MAX)
		rc = each(r, below, repo, add_part);
	return rc;
}

static enum hokku_code add_url_file(struct reading *r, const char *path, const char *name, void *user)
{
	struct stat st;
	(void)user;
	if (lstat(path, &st) || !S_ISREG(st.st_mode) || !str_ends(str_c(name), STR_LIT(".gguf")))
		return HOKKU_OK;
	return add(r, &(struct hub_item){.kind = HUB_ITEM_URL,
					 .name = text("%s", path),
					 .path = text("%s", path),
					 .n_bytes = (uint64_t)st.st_size,
					 .n_files = 1,
					 .used_s = st.st_mtime});
}

static enum hokku_code add_url_sum(struct reading *r, const char *path, const char *name, void *user)
{
	(void)name;
	return each(r, path, user, add_url_file);
}

static enum hokku_code add_url_host(struct reading *r, const char *path, const char *name, void *user)
{
	(void)name;
	return each(r, path, user, add_url_sum);
}

static int by_name(const void *a, const void *b)
{
	const struct hub_item *x = a, *y = b;
	int order = strcmp(x->name, y->name);
	return order ? order : strcmp(x->path, y->path);
}

enum hokku_code hub_inventory_read(const struct hub_config *c, struct hub_inventory *out,
				   struct hokku_error *err)
{
	struct reading r = {.c = c, .out = out, .err = err};
	*out = (struct hub_inventory){0};
	enum hokku_code rc = each(&r, c->cache, NULL, add_repo);
	if (!rc && c->urls)
		rc = each(&r, c->urls, NULL, add_url_host);
	if (rc)
		hub_inventory_free(out);
	else if (out->n)
		qsort(out->items, out->n, sizeof *out->items, by_name);
	return rc;
}
