#include "server/renew.h"

#include "base/log.h"
#include "server/state.h"
#include "server/tls.h"

/* Connections that are there keep what they have agreed on; later ones get the new certificate. */
static void renew_certificate(struct server *s)
{
	struct hokku_error err;
	const struct server_config *c = &s->config;
	if (tls_renew(s->tls, c->ssl_cert_file, c->ssl_key_file, &err))
		log_error("SIGHUP: %s; new connections go on with the certificate of %s", err.message,
			  tls_words(s->tls));
	else
		log_info("SIGHUP: TLS of new connections with the certificate of %s", tls_words(s->tls));
}

/* Requests that are under way go on as what they were when they came. */
static void renew_keys(struct server *s)
{
	struct hokku_error err;
	if (keys_renew(s->keys, s->config.api_key_file, s->config.admin_key, &err)) {
		log_error("SIGHUP: %s; the keys that are there go on", err.message);
		return;
	}
	for (uint32_t i = 1; i <= keys_count(s->keys); i++) {
		const struct engine_limits limits = hosted_limits(s, i);
		s->allowances[i].tokens_per_minute = keys_get(s->keys, i)->tokens_per_minute;
		for (struct hosted *h = s->hosted; h; h = h->next)
			if (h->engine)
				engine_set_owner(h->engine, i, &limits);
	}
}

void renew_files(struct server *s)
{
	if (s->tls)
		renew_certificate(s);
	if (s->config.api_key_file)
		renew_keys(s);
	if (!s->tls && !s->config.api_key_file)
		log_info("SIGHUP: there is no certificate and no key file to be read again (--ssl-cert-file, "
			 "--api-key-file)");
}
