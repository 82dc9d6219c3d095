#include "cli/load_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/file.h"

enum { MAX_CA_BYTES = 16 << 20 };

struct load_tls {
	const struct load_url *url;
	SSL_CTX *ctx;
	bool insecure, own_authorities;
};

/* Why OpenSSL refuses something; "": it does not say. */
static const char *reason(void)
{
	unsigned long e = ERR_peek_last_error();
	const char *text = e ? ERR_reason_error_string(e) : NULL;
	return text ? text : "";
}

/* The file is opened here first: OpenSSL says of none that there is, and of one without a certificate, the
 * same. */
static enum hokku_code take_authorities(struct load_tls *t, const char *path, struct hokku_error *err)
{
	struct hokku_error why;
	char *text = NULL;
	size_t n;
	enum hokku_code rc = file_read(path, MAX_CA_BYTES, &text, &n, &why);
	free(text);
	if (rc)
		return err_set(err, rc, "--cacert: %s", why.message);
	if (SSL_CTX_load_verify_file(t->ctx, path) != 1)
		return err_set(err, HOKKU_BAD_FILE, "--cacert: %s has no certificate in it (PEM)", path);
	return HOKKU_OK;
}

/* The name, or the address, that the certificate must be of. */
static bool expect_host(SSL_CTX *ctx, const char *host, bool address)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return (address ? X509_VERIFY_PARAM_set1_ip_asc(param, host)
			: X509_VERIFY_PARAM_set1_host(param, host, 0)) == 1;
}

static bool is_address(const char *host)
{
	struct in6_addr at;
	return inet_pton(AF_INET, host, &at) == 1 || inet_pton(AF_INET6, host, &at) == 1;
}

enum hokku_code load_tls_create(const struct load_url *url, const struct load_trust *trust,
				struct load_tls **out, struct hokku_error *err)
{
	struct load_tls *t = calloc(1, sizeof *t);
	*out = NULL;
	if (t)
		t->ctx = SSL_CTX_new(TLS_client_method());
	if (!t || !t->ctx) {
		free(t);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for TLS");
	}
	t->url = url;
	t->insecure = trust->insecure;
	t->own_authorities = trust->cacert != NULL;
	ERR_clear_error();
	SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(t->ctx,
			    SSL_OP_IGNORE_UNEXPECTED_EOF); /* an answer says itself when it is whole */
	SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(t->ctx, trust->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	enum hokku_code rc = HOKKU_OK;
	if (trust->cacert)
		rc = take_authorities(t, trust->cacert, err);
	else
		SSL_CTX_set_default_verify_paths(t->ctx);
	if (!rc && !expect_host(t->ctx, url->host, is_address(url->host)))
		rc = err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for TLS");
	ERR_clear_error();
	if (rc)
		load_tls_destroy(t);
	else
		*out = t;
	return rc;
}

void load_tls_destroy(struct load_tls *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

/* NULL: no memory. */
static SSL *make_ssl(const struct load_tls *t)
{
	static const unsigned char http[] = "\x08http/1.1";
	SSL *ssl = SSL_new(t->ctx);
	if (!ssl)
		return NULL;
	if (SSL_set_alpn_protos(ssl, http, sizeof http - 1) ||
	    (!is_address(t->url->host) && SSL_set_tlsext_host_name(ssl, t->url->host) != 1)) {
		SSL_free(ssl);
		return NULL;
	}
	return ssl;
}

static enum hokku_code no_tls(const struct load_tls *t, SSL *ssl, int ssl_error, int error,
			      struct hokku_error *err)
{
	long verified = SSL_get_verify_result(ssl);
	unsigned long e = ERR_peek_last_error();
	if (verified != X509_V_OK && !t->insecure)
		return err_set(err, HOKKU_IO_ERROR,
			       "the certificate of %s is not accepted: %s; --cacert FILE gives %s, "
			       "--insecure takes any certificate",
			       t->url->place, X509_verify_cert_error_string(verified),
			       t->own_authorities ? "other authorities" : "the authority that it is of");
	if (ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) == SSL_R_WRONG_VERSION_NUMBER)
		return err_set(err, HOKKU_IO_ERROR,
			       "%s does not speak TLS; write http:// for https:// if it speaks plain HTTP",
			       t->url->place);
	if (ssl_error == SSL_ERROR_WANT_READ || ssl_error == SSL_ERROR_WANT_WRITE)
		return err_set(err, HOKKU_IO_ERROR,
			       "%s takes connections, but no TLS handshake came to its end within 10 seconds",
			       t->url->place);
	return err_set(err, HOKKU_IO_ERROR, "no TLS with %s: %s", t->url->place,
		       e       ? reason()
		       : error ? strerror(error)
			       : "the connection was closed in the handshake");
}

enum hokku_code load_tls_try(const struct load_tls *t, int fd, struct hokku_error *err)
{
	SSL *ssl = make_ssl(t);
	ERR_clear_error();
	if (!ssl || SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for TLS");
	}
	enum hokku_code rc = HOKKU_OK;
	errno = 0;
	int done = SSL_connect(ssl), error = errno;
	if (done != 1)
		rc = no_tls(t, ssl, SSL_get_error(ssl, done), error, err);
	else
		SSL_shutdown(ssl);
	ERR_clear_error();
	SSL_free(ssl);
	return rc;
}

struct bufferevent *load_tls_connection(const struct load_tls *t, struct event_base *base)
{
	SSL *ssl = make_ssl(t);
	struct bufferevent *bev =
		ssl ? bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_CONNECTING,
						     BEV_OPT_CLOSE_ON_FREE)
		    : NULL;
	if (bev)
		bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	return bev;
}
