/* In place of http.c and transfer.c where hokku is built without libcurl, for a machine that may not have it
 * (HOKKU_STATIC_LIBRARIES): what is in the cache is found, and nothing is pulled. */
#include "hub/http.h"
#include "hub/transfer.h"

enum hokku_code http_create(const struct hub_config *config, const struct observer *observer,
			    struct http **out, struct hokku_error *err)
{
	(void)config, (void)observer;
	*out = NULL;
	return err_set(
		err, HOKKU_INVALID_REQUEST,
		"this hokku was built without libcurl and pulls nothing; --offline finds what is here");
}

void http_destroy(struct http *h)
{
	(void)h;
}

/* None of these is called: nobody has a struct http. */
enum hokku_code http_ask(struct http *h, const char *url, bool head, bool stay, size_t max_body,
			 struct http_reply *out, struct hokku_error *err)
{
	(void)h, (void)head, (void)stay, (void)max_body;
	*out = (struct http_reply){0};
	return err_set(err, HOKKU_INTERNAL, "%s: there is no network", url);
}

enum hokku_code http_ask_first(struct http *h, const char *url, size_t n, struct http_reply *out,
			       struct hokku_error *err)
{
	return http_ask(h, url, false, false, n, out, err);
}

void http_reply_free(struct http_reply *r)
{
	strbuf_free(&r->body);
}

const struct hub_config *http_config(const struct http *h)
{
	(void)h;
	return NULL;
}

void http_add_path(struct strbuf *b, const char *path)
{
	strbuf_add_c(b, path);
}

enum hokku_code transfer_run(struct transfer *t, struct hokku_error *err)
{
	return err_set(err, HOKKU_INTERNAL, "%s: there is no network", t->name);
}
