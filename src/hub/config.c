/* Settings of the environment, by the names that other programs of the hub read. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "hub/hub.h"

#define HUB_ENDPOINT "https://huggingface.co"

enum { MAX_TOKEN = 4096, RETRY_MS = 500 };

/* The first of names that is set and not empty. */
static const char *first_of(const char *const *names, const char **which)
{
	for (; *names; names++) {
		const char *value = getenv(*names);
		if (value && *value) {
			if (which)
				*which = *names;
			return value;
		}
	}
	return NULL;
}

static char *join(const char *folder, const char *rest)
{
	size_t n = strlen(folder), size = n + strlen(rest) + 2;
	char *out = malloc(size);
	while (n > 1 && folder[n - 1] == '/')
		n--;
	if (out)
		snprintf(out, size, "%.*s/%s", (int)n, folder, rest);
	return out;
}

static enum hokku_code no_memory(struct hokku_error *err)
{
	return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the settings of the hub");
}

/* HF_HOME, or where it is by default (malloc). */
static enum hokku_code find_home(char **out, struct hokku_error *err)
{
	const char *home = getenv("HF_HOME"), *cache = getenv("XDG_CACHE_HOME"), *user = getenv("HOME");
	*out = NULL;
	if (home && *home)
		*out = strdup(home);
	else if (cache && *cache)
		*out = join(cache, "huggingface");
	else if (user && *user)
		*out = join(user, ".cache/huggingface");
	else
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "there is no place for models: HOME is not set; set HF_HOME or HF_HUB_CACHE "
			       "to a folder");
	return *out ? HOKKU_OK : no_memory(err);
}

/* Where other programs of the hub do not look. */
static enum hokku_code find_urls(struct hub_config *c, struct hokku_error *err)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *user = getenv("HOME");
	if (cache && *cache)
		c->urls = join(cache, "hokku/urls");
	else if (user && *user)
		c->urls = join(user, ".cache/hokku/urls");
	else
		return HOKKU_OK;
	return c->urls ? HOKKU_OK : no_memory(err);
}

/* A token is one word of printable characters: what else there is would break the header that carries it. */
static enum hokku_code take_token(struct hub_config *c, const char *text, size_t n, const char *where,
				  struct hokku_error *err)
{
	while (n && strchr(" \t\r\n", text[n - 1]))
		n--;
	while (n && strchr(" \t\r\n", *text))
		text++, n--;
	for (size_t i = 0; i < n; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return err_set(err, HOKKU_INVALID_REQUEST,
				       "%s holds no token: byte %zu of it is neither letter, digit nor sign",
				       where, i + 1);
	if (n > MAX_TOKEN)
		return err_set(err, HOKKU_INVALID_REQUEST, "%s holds no token: it is %zu bytes long", where,
			       n);
	c->token = n ? strndup(text, n) : NULL;
	return n && !c->token ? no_memory(err) : HOKKU_OK;
}

/* home may be NULL. */
static enum hokku_code find_token(struct hub_config *c, const char *home, struct hokku_error *err)
{
	static const char *const names[] = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", NULL};
	const char *which = NULL, *value = first_of(names, &which);
	if (value)
		return take_token(c, value, strlen(value), which, err);
	const char *path = getenv("HF_TOKEN_PATH");
	if (!(path && *path) && !home)
		return HOKKU_OK;
	char *file = path && *path ? strdup(path) : join(home, "token"), *bytes;
	size_t n;
	struct hokku_error silent;
	if (!file)
		return no_memory(err);
	enum hokku_code rc = file_read(file, MAX_TOKEN, &bytes, &n, &silent);
	if (!rc) {
		rc = take_token(c, bytes, n, file, err);
		free(bytes);
	} else {
		rc = HOKKU_OK; /* no token is none */
	}
	free(file);
	return rc;
}

static enum hokku_code find_endpoint(struct hub_config *c, struct hokku_error *err)
{
	char quoted[96], shown[HUB_MAX_URL];
	const char *given = getenv("HF_ENDPOINT");
	if (!given || !*given)
		given = HUB_ENDPOINT;
	size_t n = strlen(given);
	const char *host = strstr(given, "://");
	bool known = strncmp(given, "https://", 8) == 0 || strncmp(given, "http://", 7) == 0;
	while (n && given[n - 1] == '/')
		n--;
	if (!known || !host || n <= (size_t)(host - given) + 3 || n > HUB_MAX_URL / 4 ||
	    strcspn(given, " \t\r\n?#\\@") < n)
		return err_set(
			err, HOKKU_INVALID_REQUEST,
			"HF_ENDPOINT is %s; it takes the address of a hub, as " HUB_ENDPOINT,
			str_quote(str_c(str_hide_login(given, shown, sizeof shown)), quoted, sizeof quoted));
	c->endpoint = strndup(given, n);
	return c->endpoint ? HOKKU_OK : no_memory(err);
}

static enum hokku_code find_offline(struct hub_config *c, struct hokku_error *err)
{
	static const char *const yes[] = {"1", "on", "yes", "true", "ON", "YES", "TRUE", "True", NULL};
	static const char *const no[] = {"0", "off", "no", "false", "OFF", "NO", "FALSE", "False", NULL};
	char quoted[64];
	const char *value = getenv("HF_HUB_OFFLINE");
	if (!value || !*value)
		return HOKKU_OK;
	for (size_t i = 0; yes[i]; i++) {
		if (strcmp(value, yes[i]) == 0)
			c->offline = true;
		if (strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0)
			return HOKKU_OK;
	}
	return err_set(err, HOKKU_INVALID_REQUEST, "HF_HUB_OFFLINE is %s; it takes 1 or 0",
		       str_quote(str_c(value), quoted, sizeof quoted));
}

enum hokku_code hub_config_read(struct hub_config *c, struct hokku_error *err)
{
	static const char *const caches[] = {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", NULL};
	static const char *const bundles[] = {"CURL_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", NULL};
	char *home = NULL;
	*c = (struct hub_config){.n_connections = HUB_CONNECTIONS, .retry_ms = RETRY_MS};
	const char *cache = first_of(caches, NULL), *bundle = first_of(bundles, NULL);
	const char *retry = getenv("HOKKU_TEST_RETRY_MS"); /* tests alone: nobody else has a reason */
	if (retry)
		c->retry_ms = (uint32_t)strtoul(retry, NULL, 10);
	enum hokku_code rc = find_endpoint(c, err);
	if (!rc)
		rc = find_offline(c, err);
	if (!rc) {
		rc = find_home(&home, err);
		if (rc == HOKKU_INVALID_REQUEST && cache)
			rc = HOKKU_OK; /* there is a place for models, and none to look for a token */
	}
	if (!rc)
		c->cache = cache ? strdup(cache) : join(home, "hub");
	if (!rc && bundle)
		c->ca_file = strdup(bundle);
	if (!rc && (!c->cache || (bundle && !c->ca_file)))
		rc = no_memory(err);
	if (!rc)
		rc = find_urls(c, err);
	if (!rc)
		rc = find_token(c, home, err);
	free(home);
	return rc;
}

void hub_config_free(struct hub_config *c)
{
	free(c->endpoint);
	free(c->cache);
	free(c->urls);
	free(c->token);
	free(c->ca_file);
	*c = (struct hub_config){0};
}

const char *hub_display(const struct hub_config *c)
{
	return strcmp(c->endpoint, HUB_ENDPOINT) == 0 ? "hf.co" : c->endpoint;
}
