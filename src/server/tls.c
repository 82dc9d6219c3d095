#include "server/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/bufferevent_struct.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/file.h"

struct tls {
	SSL_CTX *ctx;
	char words[TLS_WORDS_BYTES];
};

/* ---- files ---- */

/* A file of PEM. */
struct pem {
	const char *path, *option;
	char *text;
	size_t n;
	BIO *bio;
};

static enum hokku_code pem_open(struct pem *p, struct hokku_error *err)
{
	struct hokku_error why;
	enum hokku_code rc = file_read(p->path, TLS_MAX_FILE_BYTES, &p->text, &p->n, &why);
	if (rc)
		return err_set(err, rc, "%s: %s", p->option, why.message);
	p->bio = BIO_new_mem_buf(p->text, (int)p->n);
	return p->bio ? HOKKU_OK : err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for %s", p->path);
}

static void pem_close(struct pem *p)
{
	BIO_free(p->bio);
	if (p->text)
		explicit_bzero(p->text, p->n);
	free(p->text);
}

static bool pem_has(const struct pem *p, const char *word)
{
	return p->n && memmem(p->text, p->n, word, strlen(word));
}

/* Why OpenSSL refuses something; "": it does not say. */
static const char *reason(void)
{
	unsigned long e = ERR_peek_last_error();
	const char *text = e ? ERR_reason_error_string(e) : NULL;
	return text ? text : "";
}

/* A passphrase is not asked for: nobody may be there to answer. */
static int no_passphrase(char *buf, int size, int writing, void *asked)
{
	(void)buf;
	(void)size;
	(void)writing;
	*(bool *)asked = true;
	return -1;
}

/* ---- certificates ---- */

static void time_text(const ASN1_TIME *t, char out[32])
{
	struct tm tm = {0};
	if (!ASN1_TIME_to_tm(t, &tm) || strftime(out, 32, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		snprintf(out, 32, "an unreadable time");
}

static void subject_text(X509 *cert, char *out, size_t size)
{
	BIO *b = BIO_new(BIO_s_mem());
	int n = 0;
	if (b && X509_NAME_print_ex(b, X509_get_subject_name(cert), 0,
				    XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB) >= 0)
		n = BIO_read(b, out, (int)size - 1);
	out[n > 0 ? n : 0] = '\0';
	BIO_free(b);
}

/* Number n of a file. */
static enum hokku_code check_times(X509 *cert, const char *path, unsigned n, struct hokku_error *err)
{
	char subject[128], when[32], which[32] = "the certificate";
	const ASN1_TIME *from = X509_get0_notBefore(cert), *to = X509_get0_notAfter(cert);
	if (n > 1)
		snprintf(which, sizeof which, "certificate %u", n);
	subject_text(cert, subject, sizeof subject);
	if (X509_cmp_current_time(to) < 0) {
		time_text(to, when);
		return err_set(
			err, HOKKU_BAD_FILE,
			"--ssl-cert-file: %s in %s (%s) expired on %s, so that no client would accept it; put a new one there",
			which, path, subject, when);
	}
	if (X509_cmp_current_time(from) > 0) {
		time_text(from, when);
		return err_set(
			err, HOKKU_BAD_FILE,
			"--ssl-cert-file: %s in %s (%s) is valid from %s on, which is yet to come; is this machine's "
			"clock right?",
			which, path, subject, when);
	}
	return HOKKU_OK;
}

static enum hokku_code no_certificate(const struct pem *p, struct hokku_error *err)
{
	return err_set(
		err, HOKKU_BAD_FILE, "--ssl-cert-file: %s has no certificate in it (PEM)%s", p->path,
		pem_has(p, "PRIVATE KEY-----") && !pem_has(p, "BEGIN CERTIFICATE")
			? " but a private key; are --ssl-cert-file and --ssl-key-file the other way round?"
			: "");
}

static enum hokku_code refused(const char *option, const char *path, struct hokku_error *err)
{
	return err_set(err, HOKKU_BAD_FILE, "%s: OpenSSL refuses %s: %s", option, path, reason());
}

/* The certificate, and those of its chain behind it. */
static enum hokku_code use_certificates(struct tls *t, const struct pem *p, X509 **first,
					struct hokku_error *err)
{
	X509 *cert;
	unsigned n = 0;
	while ((cert = PEM_read_bio_X509(p->bio, NULL, NULL, NULL))) {
		enum hokku_code rc = check_times(cert, p->path, ++n, err);
		int ok = rc       ? 0
			 : n == 1 ? SSL_CTX_use_certificate(t->ctx, cert)
				  : SSL_CTX_add1_chain_cert(t->ctx, cert) == 1;
		if (!rc && ok != 1)
			rc = refused("--ssl-cert-file", p->path, err);
		if (n == 1)
			*first = cert;
		else
			X509_free(cert);
		if (rc)
			return rc;
	}
	unsigned long e = ERR_peek_last_error();
	bool over = ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
	if (n && !over)
		return err_set(err, HOKKU_BAD_FILE, "--ssl-cert-file: behind certificate %u of %s: %s", n,
			       p->path, reason());
	ERR_clear_error();
	return n ? HOKKU_OK : no_certificate(p, err);
}

static enum hokku_code use_key(struct tls *t, const struct pem *p, const char *cert_path, X509 *cert,
			       struct hokku_error *err)
{
	bool asked = false;
	enum hokku_code rc = HOKKU_OK;
	EVP_PKEY *key = PEM_read_bio_PrivateKey(p->bio, NULL, no_passphrase, &asked);
	if (!key && asked)
		return err_set(
			err, HOKKU_BAD_FILE,
			"--ssl-key-file: the key in %s is behind a passphrase, which a server cannot ask for; write "
			"it without one: openssl pkey -in %s -out NEW",
			p->path, p->path);
	if (!key)
		return err_set(
			err, HOKKU_BAD_FILE, "--ssl-key-file: %s has no private key in it (PEM)%s", p->path,
			pem_has(p, "BEGIN CERTIFICATE") && !pem_has(p, "PRIVATE KEY-----")
				? " but a certificate; are --ssl-cert-file and --ssl-key-file the other way round?"
				: "");
	if (X509_check_private_key(cert, key) != 1)
		rc = err_set(
			err, HOKKU_BAD_FILE,
			"--ssl-key-file: the key in %s is not that of the first certificate in %s; give the key that "
			"it was made with",
			p->path, cert_path);
	else if (SSL_CTX_use_PrivateKey(t->ctx, key) != 1)
		rc = refused("--ssl-key-file", p->path, err);
	EVP_PKEY_free(key);
	return rc;
}

/* ---- the server's side ---- */

/* Of what the client speaks, http/1.1; one that speaks only other things may try. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *n_out, const unsigned char *in,
			   unsigned n_in, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen;
	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, n_out, ours, sizeof ours - 1, in, n_in) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static struct tls *tls_new(void)
{
	struct tls *t = calloc(1, sizeof *t);
	if (t)
		t->ctx = SSL_CTX_new(TLS_server_method());
	if (!t || !t->ctx) {
		free(t);
		return NULL;
	}
	SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
	/* A client that just closes has closed. */
	SSL_CTX_set_options(t->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF |
					    SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(t->ctx, SSL_MODE_RELEASE_BUFFERS); /* 34 KB of each idle connection */
	SSL_CTX_set_alpn_select_cb(t->ctx, choose_protocol, NULL);
	return t;
}

enum hokku_code tls_load(const char *cert_path, const char *key_path, struct tls **out,
			 struct hokku_error *err)
{
	struct pem cert = {.path = cert_path, .option = "--ssl-cert-file"};
	struct pem key = {.path = key_path, .option = "--ssl-key-file"};
	struct tls *t = tls_new();
	X509 *first = NULL;
	char subject[160], until[32];
	*out = NULL;
	if (!t)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for TLS");
	ERR_clear_error();
	enum hokku_code rc = pem_open(&cert, err);
	if (!rc)
		rc = pem_open(&key, err);
	if (!rc)
		rc = use_certificates(t, &cert, &first, err);
	if (!rc)
		rc = use_key(t, &key, cert_path, first, err);
	if (!rc) {
		subject_text(first, subject, sizeof subject);
		time_text(X509_get0_notAfter(first), until);
		snprintf(t->words, sizeof t->words, "%s, until %s", subject, until);
	}
	X509_free(first);
	pem_close(&cert);
	pem_close(&key);
	ERR_clear_error();
	if (rc)
		tls_free(t);
	else
		*out = t;
	return rc;
}

enum hokku_code tls_renew(struct tls *t, const char *cert_path, const char *key_path, struct hokku_error *err)
{
	struct tls *new;
	enum hokku_code rc = tls_load(cert_path, key_path, &new, err);
	if (rc)
		return rc;
	const struct tls old = *t; /* who holds t holds the new one now */
	*t = *new;
	*new = old;
	tls_free(new);
	return HOKKU_OK;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

const char *tls_words(const struct tls *t)
{
	return t->words;
}

/* ---- connections ---- */

struct bufferevent *tls_accept(struct tls *t, struct event_base *base)
{
	SSL *ssl = SSL_new(t->ctx);
	if (!ssl)
		return NULL;
	return bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING,
					      BEV_OPT_CLOSE_ON_FREE);
}

bool tls_is_up(struct bufferevent *bev)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	return ssl && SSL_is_init_finished(ssl);
}

bool tls_was_plain(struct bufferevent *bev, char words[TLS_WORDS_BYTES])
{
	unsigned long e;
	bool plain = false;
	words[0] = '\0';
	while ((e = bufferevent_get_openssl_error(bev))) {
		const char *text = ERR_reason_error_string(e);
		int why = ERR_GET_REASON(e);
		if (text)
			snprintf(words, TLS_WORDS_BYTES, "%s", text);
		plain |= ERR_GET_LIB(e) == ERR_LIB_SSL &&
			 (why == SSL_R_HTTP_REQUEST || why == SSL_R_HTTPS_PROXY_REQUEST ||
			  why == SSL_R_WRONG_VERSION_NUMBER);
	}
	return plain;
}

void tls_say_goodbye(struct bufferevent *bev)
{
	ERR_clear_error();
	SSL_shutdown(bufferevent_openssl_get_ssl(bev)); /* whoever cannot take it goes without */
	ERR_clear_error();
}

size_t tls_pending(struct bufferevent *bev)
{
	int n = SSL_pending(bufferevent_openssl_get_ssl(bev));
	return n > 0 ? (size_t)n : 0;
}

void tls_read_on(struct bufferevent *bev)
{
	event_active(&bev->ev_read, EV_READ, 0);
}
