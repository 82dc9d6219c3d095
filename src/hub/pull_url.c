/* Files of hosts that are no hub: what is known of them is what their server says, so a file is named by its
 * address. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "hub/hash.h"
#include "hub/pull.h"
#include "hub/transfer.h"

struct fetching {
	const struct hub_pull *p;
	struct http *http;
	const char *url;
	char hash[HUB_HASH_MAX + 1]; /* "": none was told */
	uint64_t n_bytes;
	const char *name; /* the file's */
};

/* ---- where it lies ---- */

/* FOLDER/HOST/SUM/FILE; SUM is of the address without the file and what stands after "?", so that the parts
 * of a split model lie side by side. A name and password before the host are in neither. */
static enum hokku_code place_of(const struct hub_config *c, const char *url, char **out,
				struct hokku_error *err)
{
	char sum[65];
	const char *host = strstr(url, "://") + 3, *scheme_end = host;
	size_t n = strcspn(url, "?#");
	const char *file = url + n, *host_end = host + strcspn(host, "/?#");
	while (file > host && file[-1] != '/')
		file--;
	for (const char *at = host; at < host_end; at++)
		host = *at == '@' ? at + 1 : host;
	struct str name = {file, (size_t)(url + n - file)};
	struct strbuf b = {0}, bare = {0};
	*out = NULL;
	if (!c->urls)
		return err_set(
			err, HOKKU_INVALID_REQUEST,
			"%s: there is no place for it: HOME is not set; set XDG_CACHE_HOME to a folder",
			HUB_SHOWN(url));
	if (!hub_file_name_ok(name) || host == host_end || file <= host_end)
		return err_set(err, HOKKU_INVALID_REQUEST, "%s: this address names no file", HUB_SHOWN(url));
	strbuf_add(&bare, url, (size_t)(scheme_end - url));
	strbuf_add(&bare, host, (size_t)(file - host));
	if (!bare.failed)
		hub_sha256_hex(bare.ptr, bare.len, sum);
	strbuf_addf(&b, "%s/", c->urls);
	for (const char *at = host; at < host_end;
	     at++) /* of a port's colon, and of what a host may not hold */
		strbuf_add(&b, isalnum((unsigned char)*at) || strchr(".-", *at) ? at : "_", 1);
	strbuf_addf(&b, "/%.16s/%.*s", bare.failed ? "" : sum, STR_ARG(name));
	b.failed |= bare.failed;
	strbuf_free(&bare);
	*out = b.ptr;
	if (!b.failed)
		return HOKKU_OK;
	strbuf_free(&b);
	*out = NULL;
	return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the path of %s", HUB_SHOWN(url));
}

/* PATH with a suffix; where that is longer than a file's name may be, a sum of the name stands for its end.
 */
static void add_beside(struct strbuf *b, const char *path, const char *suffix)
{
	const char *name = file_base_name(path);
	char sum[65];
	size_t n = strlen(name), room = NAME_MAX - strlen(suffix);
	if (n <= room) {
		strbuf_addf(b, "%s%s", path, suffix);
		return;
	}
	hub_sha256_hex(name, n, sum);
	strbuf_addf(b, "%.*s%.*s.%.16s%s", (int)(name - path), path, (int)room - 17, name, sum, suffix);
}

static bool is_there(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

enum hokku_code hub_find_url(const struct hub_config *c, const char *url, char **path,
			     struct hokku_error *err)
{
	enum hokku_code rc = place_of(c, url, path, err);
	if (rc || is_there(*path))
		return rc;
	free(*path);
	*path = NULL;
	return err_set(err, HOKKU_NOT_FOUND, "%s is not here (in %s)", HUB_SHOWN(url), c->urls);
}

/* ---- bringing ---- */

static enum hokku_code locate(void *user, char url[HUB_MAX_URL], struct hokku_error *err)
{
	struct fetching *f = user;
	struct http_reply r;
	char *end;
	enum hokku_code rc = http_ask(f->http, f->url, true, false, 0, &r, err);
	const char *size = *r.headers.linked_size ? r.headers.linked_size : r.headers.content_length;
	if (!rc && r.status != 200)
		rc = err_set(err,
			     r.status == 401 || r.status == 403 ? HOKKU_UNAUTHORIZED
			     : r.status == 404                  ? HOKKU_NOT_FOUND
								: HOKKU_IO_ERROR,
			     "%s: the server answers with HTTP %ld", HUB_SHOWN(f->url), r.status);
	if (!rc) {
		uint64_t n = strtoull(size, &end, 10);
		if (!*size || *end)
			rc = err_set(err, HOKKU_IO_ERROR, "%s: the server does not tell its size",
				     HUB_SHOWN(f->url));
		else if (f->n_bytes && n != f->n_bytes)
			rc = err_set(err, HOKKU_BAD_FILE,
				     "%s: it had %" PRIu64 " bytes, and has %" PRIu64 " now",
				     HUB_SHOWN(f->url), f->n_bytes, n);
		else
			f->n_bytes = n;
	}
	if (!rc) {
		const char *hash = *r.headers.linked_etag ? r.headers.linked_etag : "";
		memcpy(f->hash, hub_is_hash(hash) ? hash : "", hub_is_hash(hash) ? strlen(hash) + 1 : 1);
		snprintf(url, HUB_MAX_URL, "%s", r.url);
	}
	http_reply_free(&r);
	return rc;
}

static void on_transfer(void *user, uint64_t done)
{
	const struct fetching *f = user;
	if (f->p->progress)
		f->p->progress(f->p->user, HUB_BRINGING, f->name, done, f->n_bytes);
}

/* A page that asks for a password is no model. */
static enum hokku_code check_bytes(struct fetching *f, struct partial *to, struct hokku_error *err)
{
	char magic[4] = "", shown[32];
	ssize_t n = pread(to->fd, magic, sizeof magic, 0);
	if (n != 4 || memcmp(magic, "GGUF", 4) != 0)
		return err_set(err, HOKKU_BAD_FILE,
			       "%s: what the server sends is no GGUF file: it begins with %s",
			       HUB_SHOWN(f->url),
			       str_quote((struct str){magic, n > 0 ? (size_t)n : 0}, shown, sizeof shown));
	if (!*f->hash) {
		observer_note(f->p->observer, "%s: its server tells no checksum, so none was checked",
			      f->name);
		return HOKKU_OK;
	}
	return hub_hash_check(to->fd, to->size, f->hash, HUB_SHOWN(f->url), f->p->observer, err);
}

/* The lock is held. */
static enum hokku_code bring(struct fetching *f, const char *path, struct hokku_error *err)
{
	struct partial to = {.fd = -1};
	struct strbuf part = {0};
	char url[HUB_MAX_URL], shown[HUB_MAX_URL];
	if (is_there(path))
		return HOKKU_OK;
	enum hokku_code rc = locate(f, url, err);
	add_beside(&part, path, PARTIAL_SUFFIX);
	if (!rc && part.failed)
		rc = err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the path of %s", HUB_SHOWN(f->url));
	if (!rc)
		rc = partial_open(&to, part.ptr, f->n_bytes, err);
	strbuf_free(&part);
	struct transfer t = {.http = f->http,
			     .to = &to,
			     .name = str_hide_login(f->url, shown, sizeof shown),
			     .locate = locate,
			     .progress = on_transfer,
			     .user = f};
	if (rc)
		return rc;
	rc = transfer_run(&t, err);
	if (!rc)
		rc = check_bytes(f, &to, err);
	if (rc == HOKKU_BAD_FILE || (rc && (to.full || !to.n_done_bytes)))
		partial_remove(&to);
	else if (rc)
		partial_close(&to);
	else
		rc = partial_finish(&to, path, err);
	return rc;
}

static enum hokku_code pull_one(const struct hub_pull *p, struct http *h, const char *url, char **path,
				struct hokku_error *err)
{
	struct fetching f = {.p = p, .http = h, .url = url};
	int lock = -1;
	enum hokku_code rc = place_of(p->config, url, path, err);
	if (rc || is_there(*path))
		return rc;
	f.name = file_base_name(*path);
	struct strbuf name = {0};
	add_beside(&name, *path, ".lock");
	if (name.failed)
		rc = err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the path of %s", HUB_SHOWN(url));
	if (!rc)
		rc = hub_cache_make_folders(p->config->urls, *path, err);
	if (!rc)
		rc = hub_lock(name.ptr, p->observer, &lock, err);
	if (!rc)
		rc = bring(&f, *path, err);
	if (lock >= 0)
		unlink(name.ptr);
	hub_unlock(lock);
	strbuf_free(&name);
	return rc;
}

enum hokku_code hub_pull_url(const struct hub_pull *p, char **path, struct hokku_error *err)
{
	struct http *h = NULL;
	uint32_t i, n = 1;
	size_t stem;
	if (p->config->offline) {
		enum hokku_code rc = hub_find_url(p->config, p->name->text, path, err);
		return rc == HOKKU_NOT_FOUND ? err_prefix(err, rc, "offline, so its host is not asked") : rc;
	}
	char *url = strndup(p->name->text, strcspn(p->name->text, "#"));
	size_t file_end = url ? strcspn(url, "?") : 0;
	char *bare = url ? strndup(url, file_end) : NULL;
	enum hokku_code rc =
		bare ? http_create(p->config, p->observer, &h, err)
		     : err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for %s", HUB_SHOWN(p->name->text));
	bool parts = bare && hub_is_part(bare, &i, &n, &stem);
	for (uint32_t part = 1; !rc && part <= (parts ? n : 1); part++) {
		char *at = NULL, digits[16];
		snprintf(digits, sizeof digits, "%05u", part);
		if (parts)
			memcpy(url + stem + 1, digits, 5);
		rc = pull_one(p, h, url, &at, err);
		if (part == 1 && !rc)
			*path = at;
		else
			free(at);
	}
	if (rc) {
		free(*path);
		*path = NULL;
	}
	http_destroy(h);
	free(bare);
	free(url);
	return rc;
}
