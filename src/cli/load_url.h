/* The URL of a server, as `hokku bench serve` takes it. */
#ifndef CLI_LOAD_URL_H
#define CLI_LOAD_URL_H

#include "cli/load_api.h"

/* Where the server is. */
struct load_url {
	const char *scheme; /* "http" or "https" */
	char host[256];     /* as it was written, [] of IPv6 off */
	char place[280];    /* "host:port", for Host and messages */
	char prefix[512];   /* what stands before a route's path: "" or "/something" */
	uint16_t port;
	bool tls;
	const struct load_api *api; /* whose route the path is; NULL: it is none */
};

/* "http[s]://HOST[:PORT][/PREFIX]", the whole URL of a route, or the same that ends with "/v1". */
enum hokku_code load_url_parse(const char *text, struct load_url *out, struct hokku_error *err);

#endif
