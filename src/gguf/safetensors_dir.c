/* A model's folder: one model.safetensors, or shards under model.safetensors.index.json. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gguf/safetensors.h"
#include "gguf/safetensors_internal.h"

static const char SINGLE_NAME[] = "model.safetensors", INDEX_NAME[] = "model.safetensors.index.json";

/* The shards of an index, each once, in the order of first mention. */
struct shards {
	struct str *names; /* terminated */
	size_t n;
};

static bool plain_name(struct str name)
{
	return name.len > 0 && name.len < 256 && name.ptr[0] != '.' && strlen(name.ptr) == name.len &&
	       !strpbrk(name.ptr, "/\\");
}

static size_t find_shard(const struct shards *s, struct str name)
{
	size_t i = 0;
	while (i < s->n && !str_eq(s->names[i], name))
		i++;
	return i;
}

/* Checks the weight_map and collects its file names. */
static enum hokku_code collect(const struct jv *map, const char *path, struct shards *s,
			       struct hokku_error *err)
{
	char tensor[160], file[160];
	if (!jv_is(map, JV_OBJECT) || map->n == 0)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: weight_map is %s; it must be an object {tensor: file}", path,
			       jv_is(map, JV_OBJECT) ? "empty" : "absent or of another type");
	s->names = calloc(ST_MAX_SHARDS, sizeof *s->names);
	if (!s->names)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its shards", path);
	for (uint32_t i = 0; i < map->n; i++) {
		struct str name = jv_str(jv_value(map, i));
		str_quote(jv_key(map, i), tensor, sizeof tensor);
		if (!name.ptr)
			return err_set(err, HOKKU_BAD_FILE, "%s: weight_map %s is not a string", path,
				       tensor);
		if (!plain_name(name))
			return err_set(err, HOKKU_BAD_FILE,
				       "%s: weight_map %s names the file %s; only a plain file name of the "
				       "same folder is allowed",
				       path, tensor, str_quote(name, file, sizeof file));
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

/* One shard: opens it and puts what the weight_map wants from it into the index. What the map puts into
 * another shard would have two values; what it does not name at all would be weights lost in silence. */
static enum hokku_code add_shard(struct safetensors *st, size_t i, const char *dir, const struct shards *s,
				 const struct jv *map, struct hokku_error *err)
{
	char path[4096], tensor[160];
	struct st_part *part = &st->parts[i];
	enum hokku_code rc = join(path, sizeof path, dir, s->names[i].ptr, err);
	if (!rc)
		rc = st_part_open(st, i, path, err);
	for (uint64_t k = 0; !rc && k < part->n_tensors; k++) {
		struct st_tensor *t = &part->tensors[k];
		struct str file = jv_str(jv_get_str(map, t->name));
		if (!file.ptr)
			rc = err_set(err, HOKKU_BAD_FILE,
				     "%s: has the tensor %s, which the weight_map of %s does not name", path,
				     str_quote(t->name, tensor, sizeof tensor), INDEX_NAME);
		else if (str_eq(file, s->names[i]))
			st->index[st->n_index++] = t;
		else
			rc = err_set(err, HOKKU_BAD_FILE, "%s: has the tensor %s, which %s puts into %.*s",
				     path, str_quote(t->name, tensor, sizeof tensor), INDEX_NAME,
				     STR_ARG(file));
	}
	return rc;
}

static enum hokku_code open_shards(const char *dir, const char *path, struct safetensors *st,
				   const struct shards *s, const struct jv *map, struct hokku_error *err)
{
	char tensor[160];
	enum hokku_code rc = HOKKU_OK;
	st->index = calloc(map->n, sizeof(struct st_tensor *));
	if (!st->index)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its index", path);
	for (size_t i = 0; i < s->n && !rc; i++)
		rc = add_shard(st, i, dir, s, map, err);
	if (rc)
		return rc;
	st_index_sort(st);
	for (uint32_t i = 0; i < map->n; i++)
		if (!st_find_str(st, jv_key(map, i)))
			return err_set(err, HOKKU_BAD_FILE,
				       "%s: weight_map puts tensor %s into %s, which does not have it", path,
				       str_quote(jv_key(map, i), tensor, sizeof tensor),
				       jv_value(map, i)->text);
	return HOKKU_OK;
}

static enum hokku_code open_index(const char *dir, const char *path, struct safetensors **out,
				  struct hokku_error *err)
{
	struct jv_doc index;
	enum hokku_code rc = jv_read_named(path, ST_MAX_INDEX_BYTES, &index, err);
	if (rc)
		return rc;
	struct shards s = {0};
	struct safetensors *st = NULL;
	const struct jv *map = jv_get(&index.root, "weight_map");
	rc = collect(map, path, &s, err);
	if (!rc) {
		st = st_new(s.n);
		rc = st ? open_shards(dir, path, st, &s, map, err)
			: err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for %zu shards", path, s.n);
	}
	free(s.names);
	if (!st || rc) {
		jv_doc_free(&index);
		st_close(st);
		return rc;
	}
	st->map = index;
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
