/* Certificates and keys for tests, made when they are wanted: none that is kept could stay valid. */
#ifndef TESTS_CERTIFICATE_H
#define TESTS_CERTIFICATE_H

#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

/* An elliptic key: the fastest to make. */
static inline EVP_PKEY *make_key(void)
{
	return EVP_EC_gen("P-256");
}

/* Of name, signed with key itself, valid from now + from_s to now + to_s. */
static inline X509 *make_certificate(EVP_PKEY *key, const char *name, long from_s, long to_s)
{
	X509 *cert = X509_new();
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), from_s);
	X509_gmtime_adj(X509_getm_notAfter(cert), to_s);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
				   (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	X509_set_pubkey(cert, key);
	if (!X509_sign(cert, key, EVP_sha256()))
		abort();
	return cert;
}

/* Appends to the file of this name; NULL: nothing of that. */
static inline void add_pem(const char *path, X509 *cert, EVP_PKEY *key)
{
	FILE *f = fopen(path, "a");
	if (!f || (cert && !PEM_write_X509(f, cert)) ||
	    (key && !PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL)))
		abort();
	fclose(f);
}

#endif
