#include "convert/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/new_file.h"
#include "base/str.h"

/* What a Hugging Face folder is made of; what else lies there nobody reads. */
static bool is_input_name(const char *name)
{
	static const char *const endings[] = {".json", ".safetensors", ".jinja", ".txt", ".model", ".bin"};
	size_t n = strlen(name);
	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
		size_t m = strlen(endings[i]);
		if (n >= m && strcmp(name + n - m, endings[i]) == 0)
			return true;
	}
	return false;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static enum hokku_code refuse(const char *out, const char *dir, const char *name, struct hokku_error *err)
{
	return err_set(err, HOKKU_INVALID_REQUEST,
		       "%s: is %s%s%s, which the conversion reads; name another file for its result", out,
		       dir, *dir ? "/" : "", name);
}

/* An existing file against each of the folder's, whatever they are called. */
static enum hokku_code compare_all(const char *out, const struct stat *target, const char *dir,
				   struct hokku_error *err)
{
	DIR *d = opendir(dir);
	if (!d) /* who reads it will say why */
		return HOKKU_OK;
	enum hokku_code rc = HOKKU_OK;
	for (const struct dirent *e; !rc && (e = readdir(d));) {
		struct stat st;
		if (is_input_name(e->d_name) && !fstatat(dirfd(d), e->d_name, &st, 0) && is_same(&st, target))
			rc = refuse(out, dir, e->d_name, err);
	}
	closedir(d);
	return rc;
}

/* A file that is not there yet, or that is none of the folder's, in the folder under a name of its kinds. */
static enum hokku_code compare_place(const char *out, const char *resolved, const char *dir,
				     struct hokku_error *err)
{
	struct stat here, there;
	char *folder = file_folder_of(resolved);
	bool same = folder && is_input_name(file_base_name(resolved)) && !stat(folder, &here) &&
		    !stat(dir, &there) && is_same(&here, &there);
	free(folder);
	if (!same)
		return HOKKU_OK;
	return err_set(err, HOKKU_INVALID_REQUEST,
		       "%s: would be taken for a part of the folder that is converted; name a file outside "
		       "of %s, or "
		       "one that ends in .gguf",
		       out, dir);
}

enum hokku_code output_check_folder(const char *out, const char *dir, struct hokku_error *err)
{
	struct stat target;
	char *resolved = new_file_resolve(out, err);
	if (!resolved)
		return err ? err->code : HOKKU_IO_ERROR;
	enum hokku_code rc = HOKKU_OK;
	if (!stat(resolved, &target))
		rc = compare_all(out, &target, dir, err);
	if (!rc)
		rc = compare_place(out, resolved, dir, err);
	free(resolved);
	return rc;
}

enum hokku_code output_check_file(const char *out, const char *input, struct hokku_error *err)
{
	struct stat target, source;
	if (stat(out, &target) || stat(input, &source) || !is_same(&target, &source))
		return HOKKU_OK;
	return refuse(out, "", input, err);
}
