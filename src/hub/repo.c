#include "hub/repo.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "hub/hash.h"

enum { MAX_INFO_BYTES = 64 << 20, MAX_NEAR = 200, MAX_NEAR_BYTES = 8 << 20 };

/* ---- lists ---- */

bool hub_files_add(struct hub_files *f, struct str path, uint64_t n_bytes, const char *hash)
{
	if (f->n == f->cap) {
		size_t cap = f->cap ? 2 * f->cap : 16;
		struct hub_file *all = realloc(f->all, cap * sizeof *all);
		if (!all)
			return false;
		f->all = all;
		f->cap = cap;
	}
	struct hub_file *to = &f->all[f->n];
	*to = (struct hub_file){.path = strndup(path.ptr, path.len), .n_bytes = n_bytes, .sized = true};
	if (!to->path)
		return false;
	memcpy(to->hash, hash, strlen(hash) + 1);
	f->n++;
	return true;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct hub_file *)a)->path, ((const struct hub_file *)b)->path);
}

void hub_files_sort(struct hub_files *f)
{
	if (f->n)
		qsort(f->all, f->n, sizeof *f->all, by_path);
}

void hub_files_free(struct hub_files *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->all[i].path);
	free(f->all);
	*f = (struct hub_files){0};
}

void hub_repo_free(struct hub_repo *r)
{
	hub_files_free(&r->files);
}

/* ---- refusals ---- */

/* The name, after the slash, of the same user's repository that is nearest (malloc); NULL: none is near, or
 * nobody says. */
static char *nearest_repo(struct http *h, const struct hub_name *name)
{
	const struct hub_config *c = http_config(h);
	struct http_reply reply = {0};
	struct jv_doc doc;
	const char *names[MAX_NEAR + 1];
	char *near = NULL;
	size_t n = 0;
	struct hokku_error silent;
	struct strbuf url = {0};
	strbuf_addf(&url, "%s/api/models?author=%.*s&limit=%d", c->endpoint, (int)strcspn(name->repo, "/"),
		    name->repo, MAX_NEAR);
	bool asked = !url.failed && !http_ask(h, url.ptr, false, true, MAX_NEAR_BYTES, &reply, &silent);
	struct str text = {reply.body.ptr, reply.body.len};
	if (asked && reply.status == 200 && !jv_parse(text, JV_STRICT, &doc, &silent)) {
		for (size_t i = 0; i < jv_len(&doc.root) && n < MAX_NEAR; i++) {
			struct str id = jv_str(jv_get(jv_at(&doc.root, i), "id"));
			if (id.ptr && hub_repo_ok(id) && strlen(id.ptr) == id.len)
				names[n++] = strchr(id.ptr, '/') + 1;
		}
		names[n] = NULL;
		const char *slash = strchr(name->repo, '/'), *found = str_nearest(slash + 1, names);
		near = found ? strdup(found) : NULL;
		jv_doc_free(&doc);
	}
	http_reply_free(&reply);
	strbuf_free(&url);
	return near;
}

static enum hokku_code no_repo(struct http *h, const struct hub_name *name, long status,
			       struct hokku_error *err)
{
	const struct hub_config *c = http_config(h);
	char *near = nearest_repo(h, name);
	enum hokku_code rc = err_set(
		err, status == 404 ? HOKKU_NOT_FOUND : HOKKU_UNAUTHORIZED,
		"%s has no repository \"%s\", or it is private (HTTP %ld)%s%.*s%s%s; check the name%s",
		hub_display(c), name->repo, status, near ? "; did you mean \"" : "",
		near ? (int)strcspn(name->repo, "/") + 1 : 0, name->repo, near ? near : "", near ? "\"?" : "",
		c->token ? ", and that the token may read it"
			 : ", or set HF_TOKEN to a token that may read it");
	free(near);
	return rc;
}

/* What a status means that is not of success. */
static enum hokku_code refused(struct http *h, const struct hub_name *name, const struct http_reply *r,
			       const char *file, struct hokku_error *err)
{
	const struct hub_config *c = http_config(h);
	const char *code = r->headers.error_code;
	char said[160] = "";
	if (strcmp(code, "GatedRepo") == 0 || (r->status == 403 && !*code))
		return err_set(
			err, HOKKU_UNAUTHORIZED,
			"%s is gated (HTTP %ld): its owner wants to be asked; accept the terms at %s/%s, "
			"then set HF_TOKEN to a token of that account%s",
			name->repo, r->status, c->endpoint, name->repo,
			c->token ? " (the token that is set was sent, and is not enough)" : "");
	if (strcmp(code, "RevisionNotFound") == 0)
		return err_set(err, HOKKU_NOT_FOUND, "%s has no branch, tag or commit \"%s\" (HTTP %ld)",
			       name->repo, name->revision, r->status);
	if (file && (strcmp(code, "EntryNotFound") == 0 || r->status == 404))
		return err_set(err, HOKKU_NOT_FOUND, "%s has no file \"%s\" (HTTP %ld)", name->repo, file,
			       r->status);
	if (r->status == 401 && c->token && strcmp(code, "RepoNotFound") != 0)
		return err_set(
			err, HOKKU_UNAUTHORIZED,
			"%s refuses the token (HTTP 401) for %s: it is wrong or has run out; set HF_TOKEN to "
			"one that is valid, or unset it",
			hub_display(c), name->repo);
	if (r->status == 401 || r->status == 404)
		return no_repo(h, name, r->status, err);
	if (r->status == 429)
		return err_set(
			err, HOKKU_RATE_LIMITED,
			"%s has had too many requests from here (HTTP 429%s%s%s), also after %d attempts; try "
			"again later%s",
			hub_display(c), *r->headers.retry_after ? ", in " : "", r->headers.retry_after,
			*r->headers.retry_after ? " seconds" : "", HTTP_ATTEMPTS,
			c->token ? "" : ", or set HF_TOKEN, which allows more");
	if (*r->headers.error_message)
		str_quote(str_c(r->headers.error_message), said, sizeof said);
	return err_set(err, HOKKU_IO_ERROR, "%s: HTTP %ld%s%s", HUB_SHOWN(r->url), r->status,
		       *said ? ": " : "", said);
}

/* ---- what it holds ---- */

static enum hokku_code odd(const struct hub_name *name, const char *what, struct str shown,
			   struct hokku_error *err)
{
	char quoted[160];
	return err_set(err, HOKKU_BAD_FILE, "the hub's answer for %s: %s %s", name->repo, what,
		       shown.ptr ? str_quote(shown, quoted, sizeof quoted) : "");
}

static enum hokku_code take_file(const struct hub_name *name, const struct jv *v, struct hub_repo *out,
				 struct hokku_error *err)
{
	struct str path = jv_str(jv_get(v, "rfilename"));
	const struct jv *lfs = jv_get(v, "lfs");
	bool is_lfs = jv_is(lfs, JV_OBJECT);
	struct str hash = jv_str(is_lfs ? jv_get(lfs, "sha256") : jv_get(v, "blobId"));
	int64_t n = 0, n_lfs = 0;
	if (!path.ptr)
		return odd(name, "a file has no name", path, err);
	if (!hub_file_name_ok(path))
		return odd(name, "no file of a repository can be called", path, err);
	bool sized = jv_get(v, "size") != NULL; /* some hubs list names alone */
	if (sized && (!jv_int(jv_get(v, "size"), &n) || n < 0))
		return odd(name, "no size is told of", path, err);
	if (is_lfs && jv_int(jv_get(lfs, "size"), &n_lfs) && n_lfs != n)
		return err_set(err, HOKKU_BAD_FILE,
			       "the hub's answer for %s: \"%s\" has %" PRIi64 " bytes, and %" PRIi64
			       " as it is stored",
			       name->repo, path.ptr, n, n_lfs);
	if (hash.ptr && (strlen(hash.ptr) != hash.len || !hub_is_hash(hash.ptr)))
		return odd(name, "this is no checksum:", hash, err);
	if (!hub_files_add(&out->files, path, (uint64_t)n, hash.ptr ? hash.ptr : ""))
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the files of %s", name->repo);
	out->files.all[out->files.n - 1].sized = sized;
	return HOKKU_OK;
}

static bool is_commit(struct str s)
{
	return s.ptr && s.len == 40 && strlen(s.ptr) == 40 && hub_is_hash(s.ptr);
}

static enum hokku_code take_info(const struct hub_name *name, const struct jv *root, struct hub_repo *out,
				 struct hokku_error *err)
{
	struct str sha = jv_str(jv_get(root, "sha"));
	const struct jv *files = jv_get(root, "siblings");
	if (!is_commit(sha))
		return odd(name, "it tells no commit, but", sha, err);
	if (!jv_is(files, JV_ARRAY) || jv_len(files) > HUB_MAX_FILES)
		return odd(name, "it lists no files, or more than 100,000", (struct str){NULL, 0}, err);
	memcpy(out->commit, sha.ptr, sizeof out->commit);
	for (size_t i = 0; i < jv_len(files); i++) {
		enum hokku_code rc = take_file(name, jv_at(files, i), out, err);
		if (rc)
			return rc;
	}
	hub_files_sort(&out->files);
	for (size_t i = 1; i < out->files.n; i++)
		if (strcmp(out->files.all[i - 1].path, out->files.all[i].path) == 0)
			return odd(name, "two files are called", str_c(out->files.all[i].path), err);
	return HOKKU_OK;
}

enum hokku_code hub_repo_read(const struct hub_name *name, struct str text, struct hub_repo *out,
			      struct hokku_error *err)
{
	struct jv_doc doc = {0};
	*out = (struct hub_repo){0};
	enum hokku_code rc = jv_parse(text, JV_STRICT, &doc, err);
	if (rc)
		err_prefix(err, rc, "the hub's answer for %s", name->repo);
	else
		rc = take_info(name, &doc.root, out, err);
	jv_doc_free(&doc);
	if (rc)
		hub_repo_free(out);
	return rc;
}

enum hokku_code hub_repo_ask(struct http *h, const struct hub_name *name, struct hub_repo *out,
			     struct hokku_error *err)
{
	struct http_reply reply;
	struct strbuf url = {0};
	*out = (struct hub_repo){0};
	strbuf_addf(&url, "%s/api/models/%s/revision/", http_config(h)->endpoint, name->repo);
	for (const char *c = name->revision; *c; c++) /* the slashes of a branch are part of its name */
		strbuf_addf(&url, *c == '/' || *c == '+' ? "%%%02X" : "%c", *c);
	strbuf_add_c(&url, "?blobs=true");
	if (url.failed) {
		strbuf_free(&url);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory to ask for %s", name->repo);
	}
	enum hokku_code rc = http_ask(h, url.ptr, false, false, MAX_INFO_BYTES, &reply, err);
	strbuf_free(&url);
	if (!rc && reply.status != 200)
		rc = refused(h, name, &reply, NULL, err);
	if (!rc)
		rc = hub_repo_read(name, (struct str){reply.body.ptr, reply.body.len}, out, err);
	http_reply_free(&reply);
	return rc;
}

/* ---- where ---- */

static enum hokku_code check_told(const struct hub_name *name, const char *commit, struct hub_file *file,
				  const struct http_headers *h, struct hokku_error *err)
{
	const char *hash = *h->linked_etag ? h->linked_etag : h->etag;
	const char *size = *h->linked_size || file->sized ? h->linked_size : h->content_length;
	char *end;
	if (!*size && !file->sized)
		return err_set(err, HOKKU_BAD_FILE, "%s: the hub tells no size of \"%s\"", name->repo,
			       file->path);
	if (*size) {
		uint64_t n = strtoull(size, &end, 10);
		if (*end || *size < '0' || *size > '9')
			return err_set(err, HOKKU_BAD_FILE, "%s: the hub tells as size of \"%s\" \"%s\"",
				       name->repo, file->path, size);
		if (!file->sized)
			file->n_bytes = n;
		file->sized = true;
		if (n != file->n_bytes)
			return err_set(err, HOKKU_BAD_FILE,
				       "%s: the hub lists \"%s\" with %" PRIu64
				       " bytes, and offers it with %s; nothing is pulled",
				       name->repo, file->path, file->n_bytes, size);
	}
	if (*h->commit && strcmp(h->commit, commit) != 0)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: \"%s\" of commit %s was asked for; the hub offers that of %s", name->repo,
			       file->path, commit, h->commit);
	if (!hub_is_hash(hash)) {
		if (*file->hash) /* the list had one */
			return HOKKU_OK;
		return err_set(err, HOKKU_BAD_FILE, "%s: the hub tells no checksum of \"%s\", but \"%s\"",
			       name->repo, file->path, hash);
	}
	if (!*file->hash)
		memcpy(file->hash, hash, strlen(hash) + 1); /* hub_is_hash: it fits */
	if (strcmp(file->hash, hash) != 0)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: the hub lists \"%s\" with the checksum %s, and offers it with %s",
			       name->repo, file->path, file->hash, hash);
	return HOKKU_OK;
}

enum hokku_code hub_repo_locate(struct http *h, const struct hub_name *name, const char *commit,
				struct hub_file *file, char url[HUB_MAX_URL], struct hokku_error *err)
{
	struct http_reply reply;
	struct strbuf ask = {0};
	strbuf_addf(&ask, "%s/%s/resolve/%s/", http_config(h)->endpoint, name->repo, commit);
	http_add_path(&ask, file->path);
	if (ask.failed || ask.len >= HUB_MAX_URL) {
		strbuf_free(&ask);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no room for the address of \"%s\"", name->repo,
			       file->path);
	}
	enum hokku_code rc = http_ask(h, ask.ptr, true, true, 0, &reply, err);
	strbuf_free(&ask);
	bool leads_away = reply.status >= 300 && reply.status < 400;
	if (!rc && reply.status != 200 && !leads_away)
		rc = refused(h, name, &reply, file->path, err);
	if (!rc)
		rc = check_told(name, commit, file, &reply.headers, err);
	if (!rc)
		snprintf(url, HUB_MAX_URL, "%s", leads_away ? reply.headers.location : reply.url);
	http_reply_free(&reply);
	return rc;
}
