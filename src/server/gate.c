#include "server/gate.h"

#include <stdio.h>

#include "server/reply.h"

/* ---- pages ---- */

/* How a name becomes one that is allowed: name as it would be given, where that is short enough to be one. */
static struct str to_allow(struct str name)
{
	return name.len > 0 && name.len <= HOSTS_MAX_NAME_BYTES ? name : STR_LIT("NAME");
}

/* Whether a request to a server that everybody on this machine may use was made by a page in a browser, under
 * a name of that page's owner or from that page; text becomes what is said to it. */
static bool is_foreign(const struct server *s, const struct http_request *r, char *text, size_t size)
{
	char quoted[160];
	struct str name = {0}, port;
	const char *host = http_get_header(r, "Host"), *origin = http_get_header(r, "Origin");
	const struct str url = http_get_authority(r);
	const struct str asked[] = {url, host ? str_c(host) : (struct str){0}};
	for (size_t i = url.len ? 0 : 1; i < (host ? 2 : 1); i++) {
		if (hosts_split(asked[i], &name, &port) && hosts_allow(&s->config.hosts, name))
			continue;
		snprintf(text, size,
			 "the request asks for the host %s, which is no loopback name or address; start the "
			 "server with --allowed-hosts %.*s if it is to answer to that",
			 str_quote(asked[i], quoted, sizeof quoted), STR_ARG(to_allow(name)));
		return true;
	}
	bool named = origin && hosts_of_origin(str_c(origin), &name);
	if (!origin || (named && hosts_allow(&s->config.hosts, name)) ||
	    origins_allow(&s->config.origins, str_c(origin)))
		return false;
	str_quote(str_c(origin), quoted, sizeof quoted);
	snprintf(
		text, size,
		"the request comes from a page of another host (Origin is %s); start the server with "
		"--cors-origins %s, or for every port of that host with --allowed-hosts %.*s, if that may use it",
		quoted, named || strcmp(origin, "null") == 0 ? quoted : "ORIGIN",
		STR_ARG(to_allow(named ? name : (struct str){0})));
	return true;
}

static void add_header(void *r, const char *name, const char *value)
{
	http_add_header(r, name, value);
}

bool gate_tell_methods(const struct server *s, struct http_request *r, const char *methods)
{
	const char *origin = http_get_header(r, "Origin");
	if (!origin || !http_get_header(r, "Access-Control-Request-Method"))
		return false;
	cors_preflight(&s->config.origins, origin, methods,
		       http_get_header(r, "Access-Control-Request-Headers"),
		       http_get_header(r, "Access-Control-Request-Private-Network"), add_header, r);
	return true;
}

/* ---- keys ---- */

/* The number of the key that r shows; 0: none. */
static uint32_t shown_key(const struct server *s, const struct http_request *r)
{
	if (!s->keys)
		return 0;
	uint32_t owner = keys_find(s->keys, http_get_header(r, "Authorization"));
	return owner ? owner : keys_find_bare(s->keys, http_get_header(r, "x-api-key"));
}

void gate_begin(const struct server *s, struct http_request *r)
{
	http_set_owner(r, shown_key(s, r));
	cors_answer(&s->config.origins, http_get_header(r, "Origin"), add_header, r);
}

bool gate_refuses_page(struct server *s, struct http_request *r)
{
	char text[512];
	bool guarded = s->guarded || (s->guards_loopback && http_get_reach(r) == NET_LOOPBACK);
	if (!guarded || !is_foreign(s, r, text, sizeof text))
		return false;
	reply_error(r, HOKKU_INVALID_REQUEST, 403, text, NULL);
	return true;
}

bool gate_has_key(const struct server *s, const struct http_request *r)
{
	return !s->config.api_key_file || owner_of(s, r);
}

static void answer_no_key(struct http_request *r, bool admin)
{
	bool shown = http_get_header(r, "Authorization") || http_get_header(r, "x-api-key");
	http_add_header(r, "WWW-Authenticate", "Bearer realm=\"hokku\"");
	reply_error(
		r, HOKKU_UNAUTHORIZED, 401,
		shown ? "the API key is wrong"
		: admin ? "this route wants an administrator's API key: Authorization: Bearer KEY or x-api-key: KEY"
			: "this server wants an API key: Authorization: Bearer KEY or x-api-key: KEY",
		NULL);
}

/* An administrator may act for a key: what the request does is that key's. True: refused and answered. */
static bool refuses_other(struct server *s, struct http_request *r)
{
	char text[256], quoted[96];
	const char *name = http_get_header(r, "Hokku-Key");
	uint32_t owner = owner_of(s, r), other = owner && name ? keys_named(s->keys, name) : owner;
	if (other == owner)
		return false;
	str_quote(str_c(name), quoted, sizeof quoted);
	if (!keys_get(s->keys, owner)->admin) {
		snprintf(
			text, sizeof text,
			"Hokku-Key is %s, which is not the key of the request: only an administrator's may act for another",
			quoted);
		reply_error(r, HOKKU_FORBIDDEN, 403, text, NULL);
		return true;
	}
	if (!other) {
		snprintf(text, sizeof text, "Hokku-Key is %s; no key has this name", quoted);
		reply_error(r, HOKKU_NOT_FOUND, 404, text, NULL);
		return true;
	}
	http_set_owner(r, other);
	return false;
}

bool gate_refuses_key(struct server *s, struct http_request *r, enum gate wanted)
{
	char text[512];
	uint32_t owner = owner_of(s, r);
	bool admin = wanted == GATE_ADMIN && s->keys && keys_have_admin(s->keys);
	if (wanted == GATE_OPEN)
		return false;
	if (!owner && (admin || s->config.api_key_file)) {
		answer_no_key(r, admin);
		return true;
	}
	if (admin && !keys_get(s->keys, owner)->admin) {
		snprintf(
			text, sizeof text,
			"the key %s may not use %.10s %.100s, a route of administrators: it takes --admin-key, or a key "
			"with admin=yes",
			owner_name(s, owner), http_get_method_name(r), http_get_path(r));
		reply_error(r, HOKKU_FORBIDDEN, 403, text, NULL);
		return true;
	}
	if (refuses_other(s, r))
		return true;
	if (owner)
		http_add_header(r, "Hokku-Key", owner_name(s, owner_of(s, r)));
	return false;
}

/* ---- models ---- */

bool gate_may_use(const struct server *s, uint32_t owner, const char *model)
{
	return !owner || keys_may_use(keys_get(s->keys, owner), model);
}

enum hokku_code gate_check_model(const struct server *s, uint32_t owner, const char *model,
				 struct hokku_error *err)
{
	char quoted[160];
	if (gate_may_use(s, owner, model))
		return HOKKU_OK;
	return err_set(err, HOKKU_FORBIDDEN,
		       "the key %s may not use the model %s, which is not among its models in the key file",
		       owner_name(s, owner), str_quote(str_c(model), quoted, sizeof quoted));
}
