/* A safetensors file or a folder given where a GGUF file is wanted: both become one by hokku convert. */
#include <dirent.h>
#include <stdio.h>

#include "gguf/gguf_internal.h"
#include "gguf/safetensors.h"

/* A length that a header may have, and the brace that begins it. */
bool gguf_is_safetensors(struct str file)
{
	uint64_t n = 0;
	if (file.len < 9 || file.ptr[8] != '{')
		return false;
	for (int i = 7; i >= 0; i--)
		n = n << 8 | (uint8_t)file.ptr[i];
	return n >= 2 && n <= ST_MAX_HEADER_BYTES;
}

/* What a user would type for the folder at path, which may end in slashes. */
static void tell_convert(struct str dir, char out[300])
{
	while (dir.len > 1 && dir.ptr[dir.len - 1] == '/')
		dir.len--;
	snprintf(out, 300, "`hokku convert %s%.*s -o MODEL.gguf`", dir.len > 200 ? "DIR" : "",
		 dir.len > 200 ? 0 : (int)dir.len, dir.ptr);
}

enum hokku_code gguf_explain_safetensors(const char *path, struct hokku_error *err)
{
	char command[300];
	const char *slash = strrchr(path, '/');
	struct str dir = slash ? (struct str){path, (size_t)(slash - path)} : STR_LIT(".");
	if (slash == path)
		dir = STR_LIT("/");
	tell_convert(dir, command);
	return err_set(
		err, HOKKU_BAD_FILE,
		"%s: not a GGUF file: it looks like a safetensors file; turn its folder into a GGUF file: %s",
		path, command);
}

enum hokku_code gguf_explain_folder(const char *path, enum hokku_code code, struct hokku_error *err)
{
	char command[300], file[256] = "";
	bool is_model = false;
	DIR *d = code == HOKKU_IO_ERROR ? opendir(path) : NULL;
	if (!d)
		return code;
	for (struct dirent *e; (e = readdir(d));) {
		is_model = is_model || strcmp(e->d_name, "config.json") == 0 ||
			   str_ends(str_c(e->d_name), STR_LIT(".safetensors")) ||
			   strcmp(e->d_name, "tokenizer.json") == 0;
		if (str_ends(str_c(e->d_name), STR_LIT(".gguf")) && (!file[0] || strcmp(e->d_name, file) < 0))
			snprintf(file, sizeof file, "%s", e->d_name);
	}
	closedir(d);
	tell_convert(str_c(path), command);
	if (file[0])
		return err_set(err, code, "%s: is a directory, not a file; give one of its files, such as %s",
			       path, file);
	if (is_model)
		return err_set(err, code,
			       "%s: is a directory, not a file: a model as transformers writes it; turn it "
			       "into a GGUF file: %s",
			       path, command);
	return code;
}
