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

void renew_files(struct server *s)
{
	if (s->tls)
		renew_certificate(s);
	else
		log_info("SIGHUP: there is no certificate to be read again (--ssl-cert-file)");
}
