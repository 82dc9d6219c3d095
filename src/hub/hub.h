/*
 * The client of a model hub: what a NAME means (name.h), what a repository holds and which of its files are a
 * model (repo.h, choose.h), the cache that other programs share (cache.h), and bringing files into it (pull.h
 * on http.h, transfer.h, partial.h). It knows no models: files are names, sizes and checksums here.
 *
 * What the hub says is untrusted: names, sizes and checksums are checked before they are used, and what was
 * brought is believed only when its checksum is right.
 */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include "base/error.h"
#include "base/observer.h"
#include "base/str.h"

enum {
	HUB_MAX_REPO = 192,     /* bytes of "user/repo" */
	HUB_MAX_REVISION = 192, /* of a branch, tag or commit */
	HUB_MAX_FILE = 1024,    /* of a file's path in its repository */
	HUB_MAX_URL = 4096,
	HUB_MAX_FILES = 100000, /* of a repository */
	HUB_MAX_CONNECTIONS = 16,
	HUB_CONNECTIONS = 4, /* default */
	HUB_HASH_MAX = 64,   /* hexadecimal digits of a checksum */
};

/* Where things are and how to ask. Filled by hub_config_read; strings are its own. */
struct hub_config {
	char *endpoint; /* "https://huggingface.co", no slash at its end */
	char *cache;    /* folder of the hub's layout */
	char *urls;     /* folder of files of other hosts; NULL: there is no place for them */
	char *token;    /* NULL: none */
	char *ca_file;  /* certificates of authorities in place of the system's; NULL: those */
	bool offline;   /* nothing is asked of the hub */
	uint32_t n_connections;
	uint32_t retry_ms; /* before the second attempt; twice as long before each further one */
};

/*
 * From the environment, by the names that other programs of the hub read: HF_ENDPOINT, HF_TOKEN (or the file
 * HF_TOKEN_PATH, HF_HOME/token), HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, HF_HUB_OFFLINE; CURL_CA_BUNDLE,
 * SSL_CERT_FILE. INVALID_REQUEST names the variable at fault. hub_config_free is next, whatever comes of it.
 */
enum hokku_code hub_config_read(struct hub_config *c, struct hokku_error *err);
void hub_config_free(struct hub_config *c);

/* "hf.co" for the hub that everybody means, else the endpoint: how messages call it. */
const char *hub_display(const struct hub_config *c);

/* A URL in a message (str_hide_login), which lives as long as the block it stands in. */
#define HUB_SHOWN(url) str_hide_login((url), (char[HUB_MAX_URL]){0}, HUB_MAX_URL)

#endif
