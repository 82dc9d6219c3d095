/* A model's folder: one model.safetensors, or shards under model.safetensors.index.json. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gguf/safetensors.h"
#include "gguf/safetensors_internal.h"

static const char SINGLE_NAME[] = "model.safetensors", INDEX_NAME[] = "model.safetensors.index.json";

/* The shards of an index, each once, in the order of first mention. */
struct shards {
	const char **names;
	size_t n;
};

static bool plain_name(const char *name)
{
	return name[0] && name[0] != '.' && !strpbrk(name, "/\\") && strlen(name) < 256;
}

static size_t find_shard(const struct shards *s, const char *name)
{
	size_t i = 0;
	while (i < s->n && strcmp(s->names[i], name) != 0)
		i++;
	return i;
}

/* Checks the weight_map and collects its file names. */
static enum hokku_code collect(const json_t *map, const char *path, struct shards *s, struct hokku_error *err)
{
	const char *key;
	json_t *value;
	char tensor[160], file[160];
	if (!json_is_object(map) || json_object_size(map) == 0)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: weight_map is %s; it must be an object {tensor: file}", path,
			       json_is_object(map) ? "empty" : "absent or of another type");
	s->names = calloc(ST_MAX_SHARDS, sizeof *s->names);
	if (!s->names)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its shards", path);
	json_object_foreach((json_t *)map, key, value)
	{
		str_quote(str_c(key), tensor, sizeof tensor);
		if (!json_is_string(value))
			return err_set(err, HOKKU_BAD_FILE, "%s: weight_map %s is not a string", path,
				       tensor);
		const char *name = json_string_value(value);
		struct str whole = {name, json_string_length(value)};
		if (strlen(name) != whole.len || !plain_name(name))
			return err_set(err, HOKKU_BAD_FILE,
				       "%s: weight_map %s names the file %s; only a plain file name of the "
				       "same folder is allowed",
				       path, tensor, str_quote(whole, file, sizeof file));
		if (find_shard(s, name) < s->n)
			continue;
		if (s->n == ST_MAX_SHARDS)
			return err_set(err, HOKKU_BAD_FILE,
				       "%s: weight_map names more than the %d files allowed", path,
				       ST_MAX_SHARDS);
		s->names[s->n++] = name;
	}
	return HOKKU_OK;
}

static enum hokku_code join(char *out, size_t size, const char *dir, const char *name,
			    struct hokku_error *err)
{
	int n = snprintf(out, size, "%s/%s", dir, name);
	if (n < 0 || (size_t)n >= size)
		return err_set(err, HOKKU_INVALID_REQUEST, "the path %.64s... is longer than %zu bytes", dir,
			       size - 1);
	return HOKKU_OK;
}

static int compare_key(const void *key, const void *element)
{
	const struct st_tensor *const *t = element;
	const char *name = key;
	size_t len = strlen(name), n = len < (*t)->name.len ? len : (*t)->name.len;
	int order = n ? memcmp(name, (*t)->name.ptr, n) : 0;
	return order ? order : len < (*t)->name.len ? -1 : len > (*t)->name.len;
}

/* One shard: maps it and puts what the weight_map wants from it into the index. */
static enum hokku_code add_shard(struct safetensors *st, size_t i, const char *dir, const struct shards *s,
				 const json_t *map, struct hokku_error *err)
{
	char path[4096];
	struct st_part *part = &st->parts[i];
	enum hokku_code rc = join(path, sizeof path, dir, s->names[i], err);
	if (!rc)
		rc = file_map(path, &part->map, err);
	if (rc)
		return rc;
	part->owned = true;
	rc = st_part_read(part, path, err);
	for (uint64_t k = 0; !rc && k < part->n_tensors; k++) {
		struct st_tensor *t = &part->tensors[k];
		const char *file = json_string_value(json_object_getn(map, t->name.ptr, t->name.len));
		if (file && strcmp(file, s->names[i]) == 0)
			st->index[st->n_index++] = t;
	}
	return rc;
}

static enum hokku_code open_shards(const char *dir, const char *path, struct safetensors *st,
				   const struct shards *s, const json_t *map, struct hokku_error *err)
{
	const char *key;
	json_t *value;
	char tensor[160];
	enum hokku_code rc = HOKKU_OK;
	st->index = calloc(json_object_size(map), sizeof(struct st_tensor *));
	if (!st->index)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its index", path);
	for (size_t i = 0; i < s->n && !rc; i++)
		rc = add_shard(st, i, dir, s, map, err);
	if (rc)
		return rc;
	st_index_sort(st);
	json_object_foreach((json_t *)map, key, value)
	{
		if (!st->n_index ||
		    !bsearch(key, st->index, st->n_index, sizeof(struct st_tensor *), compare_key))
			return err_set(err, HOKKU_BAD_FILE,
				       "%s: weight_map puts tensor %s into %s, which does not have it", path,
				       str_quote(str_c(key), tensor, sizeof tensor),
				       json_string_value(value));
	}
	return HOKKU_OK;
}

static enum hokku_code open_index(const char *dir, const char *path, struct safetensors **out,
				  struct hokku_error *err)
{
	char *text;
	size_t n;
	enum hokku_code rc = file_read(path, ST_MAX_INDEX_BYTES, &text, &n, err);
	if (rc)
		return rc;
	json_error_t je;
	json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
	free(text);
	if (!root)
		return err_set(err, HOKKU_BAD_FILE, "%s: line %d, column %d: %s", path, je.line, je.column,
			       je.text);
	struct shards s = {0};
	struct safetensors *st = NULL;
	const json_t *map = json_object_get(root, "weight_map");
	rc = collect(map, path, &s, err);
	if (!rc) {
		st = st_new(s.n);
		rc = st ? open_shards(dir, path, st, &s, map, err)
			: err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for %zu shards", path, s.n);
	}
	free(s.names);
	if (!st || rc) {
		json_decref(root);
		st_close(st);
		return rc;
	}
	st->map = root;
	*out = st;
	return HOKKU_OK;
}

enum hokku_code st_open_dir(const char *dir, struct safetensors **out, struct hokku_error *err)
{
	char single[4096], index[4096];
	*out = NULL;
	enum hokku_code rc = join(single, sizeof single, dir, SINGLE_NAME, err);
	if (!rc)
		rc = join(index, sizeof index, dir, INDEX_NAME, err);
	if (rc)
		return rc;
	if (access(single, F_OK) == 0)
		return st_open_file(single, out, err);
	if (access(index, F_OK) == 0)
		return open_index(dir, index, out, err);
	return err_set(err, HOKKU_NOT_FOUND, "%s: holds neither %s nor %s", dir, SINGLE_NAME, INDEX_NAME);
}
