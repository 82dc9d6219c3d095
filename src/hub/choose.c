#include "hub/choose.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/file.h"

/* What most people want of a repository with many, first. */
static const char *const preferred[] = {"Q4_K_M", "Q4_K_XL", "Q4_K_S", "Q4_0", "IQ4_XS", "Q5_K_M", "Q6_K",
					"Q8_0",   "MXFP4",   "Q3_K_M", "F16",  "BF16",   "F32",    NULL};

/* ---- names ---- */

static bool ends_with(const char *path, const char *end)
{
	size_t n = strlen(path), m = strlen(end);
	return n >= m && strcasecmp(path + n - m, end) == 0;
}

static bool digits(const char *at, uint32_t *out)
{
	*out = 0;
	for (int i = 0; i < 5; i++) {
		if (!isdigit((unsigned char)at[i]))
			return false;
		*out = *out * 10 + (uint32_t)(at[i] - '0');
	}
	return true;
}

bool hub_is_part(const char *path, uint32_t *i, uint32_t *n, size_t *stem)
{
	enum { LONG = sizeof "-00001-of-00002" - 1 };
	const char *dot = strrchr(path, '.');
	if (!dot || dot - path < LONG)
		return false;
	const char *at = dot - LONG;
	*stem = (size_t)(at - path);
	return at[0] == '-' && digits(at + 1, i) && memcmp(at + 6, "-of-", 4) == 0 && digits(at + 10, n) &&
	       *n && *i && *i <= *n;
}

/* What a GGUF file's name ends in, as "Q4_K_M" of "m-Q4_K_M-00001-of-00002.gguf", and where all of its name
 * ends. */
static struct str stem_of(const char *path)
{
	uint32_t i, n;
	size_t len;
	if (!hub_is_part(path, &i, &n, &len))
		len = strlen(path) - strlen(".gguf");
	return (struct str){path, len};
}

struct str hub_tag(const char *path)
{
	struct str s = stem_of(path);
	size_t at = s.len;
	while (at && !strchr("-./", s.ptr[at - 1]))
		at--;
	return (struct str){s.ptr + at, s.len - at};
}

bool hub_is_model(const char *path)
{
	uint32_t i, n;
	size_t stem;
	const char *base = file_base_name(path);
	return ends_with(path, ".gguf") && strncasecmp(base, "mmproj", 6) != 0 && !strstr(base, "imatrix") &&
	       (!hub_is_part(path, &i, &n, &stem) || i == 1);
}

/* Does the name end in the tag, behind a sign that parts words, or does its folder have it? */
static bool has_tag(const char *path, const char *tag)
{
	struct str s = stem_of(path);
	size_t n = strlen(tag);
	if (s.len > n && strchr("-._/", s.ptr[s.len - n - 1]) && strncasecmp(s.ptr + s.len - n, tag, n) == 0)
		return true;
	const char *slash = strrchr(path, '/');
	return slash && (size_t)(slash - path) >= n && strncasecmp(slash - n, tag, n) == 0 &&
	       (slash - n == path || slash[-(ptrdiff_t)n - 1] == '/');
}

/* ---- taking ---- */

static bool take(struct hub_choice *c, const struct hub_files *files, size_t i)
{
	size_t *index = realloc(c->index, (c->n + 1) * sizeof *index);
	if (!index)
		return false;
	c->index = index;
	c->index[c->n++] = i;
	c->n_bytes += files->all[i].n_bytes;
	return true;
}

static enum hokku_code no_memory(struct hub_choice *c, struct hokku_error *err)
{
	hub_choice_free(c);
	return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a list of files");
}

void hub_choice_free(struct hub_choice *c)
{
	free(c->index);
	*c = (struct hub_choice){0};
}

/* All parts of which file first is one; each must be there. */
static enum hokku_code take_parts(const char *repo, const struct hub_files *files, size_t first,
				  struct hub_choice *c, struct hokku_error *err)
{
	uint32_t i, n, j, m;
	size_t stem, other;
	const char *path = files->all[first].path;
	if (!hub_is_part(path, &i, &n, &stem))
		return take(c, files, first) ? HOKKU_OK : no_memory(c, err);
	for (uint32_t part = 1; part <= n; part++) {
		size_t at = 0;
		for (; at < files->n; at++)
			if (hub_is_part(files->all[at].path, &j, &m, &other) && j == part && m == n &&
			    other == stem && memcmp(files->all[at].path, path, stem) == 0 &&
			    strcmp(strrchr(files->all[at].path, '.'), strrchr(path, '.')) == 0)
				break;
		if (at == files->n) {
			hub_choice_free(c);
			return err_set(err, HOKKU_BAD_FILE,
				       "%s: \"%s\" is one of %u parts, of which number %u is not there", repo,
				       path, n, part);
		}
		if (!take(c, files, at))
			return no_memory(c, err);
	}
	return HOKKU_OK;
}

/* What a folder of transformers holds that hokku reads. */
static bool is_of_folder(const char *path)
{
	static const char *const names[] = {"tokenizer.json",
					    "tokenizer.model",
					    "tokenizer_config.json",
					    "special_tokens_map.json",
					    "added_tokens.json",
					    "generation_config.json",
					    "chat_template.jinja",
					    "chat_template.json",
					    "vocab.json",
					    "merges.txt",
					    "model.safetensors.index.json",
					    NULL};
	for (size_t i = 0; names[i]; i++)
		if (strcmp(path, names[i]) == 0)
			return true;
	return ends_with(path, ".safetensors") && strncmp(path, "model", 5) == 0 && !strchr(path, '/');
}

static size_t find(const struct hub_files *files, const char *path)
{
	size_t i = 0;
	while (i < files->n && strcmp(files->all[i].path, path) != 0)
		i++;
	return i;
}

static enum hokku_code take_folder(const char *repo, const struct hub_files *files, struct hub_choice *c,
				   struct hokku_error *err)
{
	size_t config = find(files, "config.json");
	uint32_t part, n;
	size_t stem, n_weights = 0;
	bool seen_parts = false;
	if (config == files->n)
		return HOKKU_OK;
	if (!take(c, files, config))
		return no_memory(c, err);
	for (size_t i = 0; i < files->n; i++) {
		const char *path = files->all[i].path;
		if (!is_of_folder(path))
			continue;
		n_weights += ends_with(path, ".safetensors");
		enum hokku_code rc = HOKKU_OK;
		if (!hub_is_part(path, &part, &n, &stem))
			rc = take(c, files, i) ? HOKKU_OK : no_memory(c, err);
		else if (!seen_parts)
			rc = take_parts(repo, files, i, c, err);
		seen_parts |= hub_is_part(path, &part, &n, &stem);
		if (rc)
			return rc;
	}
	c->folder = true;
	if (!n_weights)
		hub_choice_free(c);
	return HOKKU_OK;
}

/* ---- choosing ---- */

/* "Q4_K_M, Q8_0, ..." of the GGUF files, and the one nearest to want. */
static enum hokku_code not_there(const char *repo, const struct hub_files *files, const char *want,
				 struct hokku_error *err)
{
	enum { SHOWN = 24 };
	char tags[SHOWN][64], list[400] = "", quoted[96];
	const char *names[SHOWN + 1];
	size_t n = 0, at = 0, n_all = 0;
	bool is_file = ends_with(want, ".gguf");
	for (size_t i = 0; i < files->n; i++) {
		if (!hub_is_model(files->all[i].path))
			continue;
		struct str tag = is_file ? str_c(files->all[i].path) : hub_tag(files->all[i].path);
		n_all++;
		if (n == SHOWN || tag.len >= sizeof tags[n])
			continue;
		memcpy(tags[n], tag.ptr, tag.len);
		tags[n][tag.len] = '\0';
		names[n] = tags[n];
		if (at + tag.len + 3 < sizeof list)
			at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", at ? ", " : "", tags[n]);
		n++;
	}
	names[n] = NULL;
	const char *near = str_nearest(want, names);
	if (!n_all)
		return err_set(err, HOKKU_NOT_FOUND, "%s has no GGUF file, so none for %s", repo,
			       str_quote(str_c(want), quoted, sizeof quoted));
	return err_set(err, HOKKU_NOT_FOUND, "%s has no model %s%s%s%s; it has %s", repo,
		       str_quote(str_c(want), quoted, sizeof quoted), near ? "; did you mean " : "",
		       near ? near : "", near ? "?" : "", list);
}

static enum hokku_code ambiguous(const char *repo, const char *want, const char *a, const char *b,
				 struct hokku_error *err)
{
	return err_set(err, HOKKU_INVALID_REQUEST,
		       "%s has several models %s: \"%s\" and \"%s\"; name the file, as %s:%s", repo, want, a,
		       b, repo, a);
}

/* The model with the tag, files->n if there is none. */
static enum hokku_code find_tag(const char *repo, const struct hub_files *files, const char *tag,
				bool first_will_do, size_t *out, struct hokku_error *err)
{
	*out = files->n;
	for (size_t i = 0; i < files->n; i++) {
		if (!hub_is_model(files->all[i].path) || !has_tag(files->all[i].path, tag))
			continue;
		if (*out < files->n && !first_will_do)
			return ambiguous(repo, tag, files->all[*out].path, files->all[i].path, err);
		if (*out == files->n)
			*out = i;
	}
	return HOKKU_OK;
}

static size_t find_file(const struct hub_files *files, const char *want)
{
	size_t at = find(files, want);
	for (size_t i = 0; at == files->n && i < files->n; i++)
		if (strcmp(file_base_name(files->all[i].path), want) == 0)
			at = i;
	return at;
}

static enum hokku_code choose_any(const char *repo, const struct hub_files *files, size_t *out,
				  struct hokku_error *err)
{
	*out = files->n;
	for (size_t i = 0; preferred[i] && *out == files->n; i++)
		find_tag(repo, files, preferred[i], true, out, err);
	for (size_t i = 0; i < files->n && *out == files->n; i++)
		if (hub_is_model(files->all[i].path))
			*out = i;
	return HOKKU_OK;
}

enum hokku_code hub_choose(const char *repo, const struct hub_files *files, const char *want,
			   struct hub_choice *out, struct hokku_error *err)
{
	size_t at = files->n;
	enum hokku_code rc = HOKKU_OK;
	bool folder = strcasecmp(want, "safetensors") == 0;
	*out = (struct hub_choice){0};
	if (ends_with(want, ".gguf"))
		at = find_file(files, want);
	else if (*want && !folder)
		rc = find_tag(repo, files, want, false, &at, err);
	else if (!folder)
		rc = choose_any(repo, files, &at, err);
	if (rc)
		return rc;
	if (at < files->n)
		return take_parts(repo, files, at, out, err);
	if (*want && !folder)
		return not_there(repo, files, want, err);
	rc = take_folder(repo, files, out, err);
	if (!rc && !out->n)
		rc = err_set(err, HOKKU_NOT_FOUND,
			     "%s holds no model that hokku reads: no GGUF file, and no config.json with "
			     "safetensors",
			     repo);
	return rc;
}
