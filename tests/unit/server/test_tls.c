/* Certificates and keys for a server: good ones, and each way in which they are none, told by the file's
 * name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "server/certificate.h"
#include "server/tls.h"

enum { DAY = 86400 };

static char folder[64];

static const char *file(const char *name)
{
	static char paths[32][128];
	static int n;
	char *path = paths[n++ % 32];
	snprintf(path, sizeof paths[0], "%s/%s", folder, name);
	return path;
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "a");
	fputs(text, f);
	fclose(f);
}

/* A file NAME of certificates: from, to, in days from now, of the first and of a second (0: none). */
static const char *certificate(const char *name, EVP_PKEY *key, long from, long to, long to_2)
{
	const char *path = file(name);
	X509 *x = make_certificate(key, "localhost", from * DAY, to * DAY);
	add_pem(path, x, NULL);
	X509_free(x);
	if (to_2) {
		x = make_certificate(key, "An Authority", -9999L * DAY, to_2 * DAY);
		add_pem(path, x, NULL);
		X509_free(x);
	}
	return path;
}

static void bad(const char *cert, const char *key, enum hokku_code code, const char *words[], size_t n)
{
	struct tls *t;
	struct hokku_error err = {.message = ""};
	assert_int_equal(tls_load(cert, key, &t, &err), code);
	assert_null(t);
	for (size_t i = 0; i < n; i++)
		if (!strstr(err.message, words[i]))
			fail_msg("%s: %s", err.message, words[i]);
}

#define BAD(cert, key, code, ...)                           \
	bad(cert, key, code, (const char *[]){__VA_ARGS__}, \
	    sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))

static void test_files(void **state)
{
	(void)state;
	struct tls *t;
	struct hokku_error err = {.message = ""};
	EVP_PKEY *own = make_key(), *other = make_key();
	const char *key = file("key.pem"), *wrong = file("wrong.pem"), *both = file("both.pem"),
		   *empty = file("empty"), *locked = file("locked.pem"), *text = file("text");
	add_pem(key, NULL, own);
	add_pem(wrong, NULL, other);
	const char *cert = certificate("cert.pem", own, -1, 30, 0);
	assert_int_equal(tls_load(cert, key, &t, &err), HOKKU_OK);
	assert_int_equal(strncmp(tls_words(t), "CN = localhost, until 20", 24), 0);
	tls_free(t);
	tls_free(NULL);
	/* A chain; the key in the same file, before or behind. */
	add_pem(both, NULL, own);
	const char *chain = certificate("both.pem", own, -1, 30, 365);
	assert_int_equal(tls_load(chain, both, &t, &err), HOKKU_OK);
	tls_free(t);

	BAD(cert, wrong, HOKKU_BAD_FILE, "--ssl-key-file: the key in", wrong,
	    "is not that of the first certificate in", cert);
	BAD(file("none.pem"), key, HOKKU_NOT_FOUND, "--ssl-cert-file: ", "none.pem");
	BAD(cert, file("none.pem"), HOKKU_NOT_FOUND, "--ssl-key-file: ", "none.pem");
	BAD(key, cert, HOKKU_BAD_FILE, "--ssl-cert-file: ", key, "has no certificate in it",
	    "the other way round?");
	BAD(cert, cert, HOKKU_BAD_FILE, "--ssl-key-file: ", cert, "has no private key in it",
	    "the other way round?");
	write_text(empty, "");
	write_text(text, "-----BEGIN CERTIFICATE-----\nnot base64 at all!\n-----END CERTIFICATE-----\n");
	BAD(empty, key, HOKKU_BAD_FILE, empty, "has no certificate in it (PEM)");
	BAD(cert, empty, HOKKU_BAD_FILE, empty, "has no private key in it (PEM)");
	BAD(text, key, HOKKU_BAD_FILE, text, "has no certificate in it (PEM)");
	BAD(folder, key, HOKKU_IO_ERROR, "--ssl-cert-file: ", folder);
	/* What is broken behind a good certificate is not passed over. */
	write_text(cert, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	BAD(cert, key, HOKKU_BAD_FILE, "behind certificate 1 of ", cert);

	FILE *f = fopen(locked, "w");
	assert_true(PEM_write_PrivateKey(f, own, EVP_aes_128_cbc(), (const unsigned char *)"pass", 4, NULL,
					 NULL));
	fclose(f);
	BAD(both, locked, HOKKU_BAD_FILE, locked, "is behind a passphrase", "openssl pkey -in");
	EVP_PKEY_free(own);
	EVP_PKEY_free(other);
	const char *const all[] = {key, wrong, cert, both, empty, text, locked};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		unlink(all[i]);
}

static void test_times(void **state)
{
	(void)state;
	EVP_PKEY *own = make_key();
	const char *key = file("key.pem");
	add_pem(key, NULL, own);
	const char *expired = certificate("expired.pem", own, -400, -35, 0);
	BAD(expired, key, HOKKU_BAD_FILE, "--ssl-cert-file: the certificate in ", expired,
	    "(CN = localhost) expired on 20", "UTC, so that no client would accept it");
	const char *early = certificate("early.pem", own, 35, 400, 0);
	BAD(early, key, HOKKU_BAD_FILE, "--ssl-cert-file: the certificate in ", early, "is valid from 20",
	    "UTC on, which is yet to come");
	const char *second = certificate("second.pem", own, -1, 35, -35);
	BAD(second, key, HOKKU_BAD_FILE, "--ssl-cert-file: certificate 2 in ", second,
	    "(CN = An Authority) expired on 20");
	EVP_PKEY_free(own);
	unlink(key);
	unlink(expired);
	unlink(early);
	unlink(second);
}

/* A key that OpenSSL itself finds too weak. */
static void test_weak(void **state)
{
	(void)state;
	EVP_PKEY *own = EVP_RSA_gen(1024);
	const char *key = file("key.pem"), *cert = certificate("weak.pem", own, -1, 30, 0);
	add_pem(key, NULL, own);
	BAD(cert, key, HOKKU_BAD_FILE, "--ssl-cert-file: OpenSSL refuses ", cert, "key too small");
	EVP_PKEY_free(own);
	unlink(key);
	unlink(cert);
}

/* A new pair takes the place of the old one for whoever holds the handle; what is none changes nothing. */
static void test_renewed(void **state)
{
	(void)state;
	struct tls *t;
	struct hokku_error err = {.message = ""};
	char before[TLS_WORDS_BYTES];
	EVP_PKEY *own = make_key(), *other = make_key();
	const char *key = file("key.pem"), *next_key = file("next.key"), *expired;
	add_pem(key, NULL, own);
	add_pem(next_key, NULL, other);
	const char *cert = certificate("cert.pem", own, -1, 30, 0),
		   *next = certificate("next.pem", other, -1, 60, 0);
	assert_int_equal(tls_load(cert, key, &t, &err), HOKKU_OK);
	const struct tls *held = t;
	snprintf(before, sizeof before, "%s", tls_words(t));
	expired = certificate("expired.pem", own, -400, -35, 0);
	const struct {
		const char *cert, *key, *words;
	} bad_pairs[] = {{next, key, "is not that of the first certificate"},
			 {expired, key, "expired on"},
			 {key, key, "has no certificate in it"},
			 {file("none.pem"), key, "none.pem"}};
	for (size_t i = 0; i < sizeof bad_pairs / sizeof *bad_pairs; i++) {
		assert_int_not_equal(tls_renew(t, bad_pairs[i].cert, bad_pairs[i].key, &err), HOKKU_OK);
		assert_non_null(strstr(err.message, bad_pairs[i].words));
		assert_string_equal(tls_words(t), before);
	}
	assert_int_equal(tls_renew(t, next, next_key, &err), HOKKU_OK);
	assert_ptr_equal(held, t);
	assert_string_not_equal(tls_words(t), before);
	tls_free(t);
	EVP_PKEY_free(own);
	EVP_PKEY_free(other);
	const char *const all[] = {key, next_key, cert, next, expired};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		unlink(all[i]);
}

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/hokku_tls.XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_weak),
		cmocka_unit_test(test_renewed),
	};
	return cmocka_run_group_tests_name("tls", tests, make_folder, remove_folder);
}
