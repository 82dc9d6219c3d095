/*
 * TLS for connections that come in: OpenSSL, through libevent's bufferevent_openssl. TLS 1.2 and 1.3,
 * http/1.1 by ALPN, no client certificates.
 *
 * What libevent's filter (2.1) does otherwise than its plain sockets, for whoever uses one: it hands a
 * buffer's parts to OpenSSL whole, so that a part must be small for progress to be seen; what OpenSSL has
 * decrypted and nobody has taken makes no descriptor readable (tls_read_on); reading goes on inside itself
 * after its callbacks have freed it, so that callbacks on its buffers must be gone by then; its output buffer
 * is not frozen.
 */
#ifndef SERVER_TLS_H
#define SERVER_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum {
	TLS_MAX_FILE_BYTES = 1024 * 1024,
	TLS_PART_BYTES = 16 * 1024, /* of an answer, handed over at once: a record of TLS */
	TLS_WORDS_BYTES = 256,
};

struct tls;
struct bufferevent;
struct event_base;

/* A certificate (PEM; those of its chain may follow it) and its private key (PEM, without a passphrase). What
 * is missing, unreadable, no such thing, expired or not valid yet, or a pair that does not belong together is
 * an error that names the file. */
enum hokku_code tls_load(const char *cert_path, const char *key_path, struct tls **out,
			 struct hokku_error *err);

/* The same of files that may be others by now, for connections to come; those that are there go on as they
 * are. After an error t is as before. */
enum hokku_code tls_renew(struct tls *t, const char *cert_path, const char *key_path,
			  struct hokku_error *err);
void tls_free(struct tls *t); /* NULL is allowed; connections may outlive it */

/* Whose the certificate is, and when it expires: "CN = localhost, until 2027-01-31 12:00:00 UTC". */
const char *tls_words(const struct tls *t);

/* A bufferevent whose handshake begins when it is given its descriptor, which it owns. NULL: no memory. */
struct bufferevent *tls_accept(struct tls *t, struct event_base *base);

/* Whether the handshake is done. */
bool tls_is_up(struct bufferevent *bev);

/* Why the handshake has failed, in OpenSSL's words ("": the client left). True: what came is no TLS at all.
 */
bool tls_was_plain(struct bufferevent *bev, char words[TLS_WORDS_BYTES]);

/* Tells the client that no more comes (close_notify); everything before it must have been sent. */
void tls_say_goodbye(struct bufferevent *bev);

/* Decrypted bytes that nobody has taken. */
size_t tls_pending(struct bufferevent *bev);

/* Has the bufferevent look for these in the next loop turn, as no descriptor will. */
void tls_read_on(struct bufferevent *bev);

#endif
