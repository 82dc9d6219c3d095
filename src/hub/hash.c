#include "hub/hash.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

enum { SHA1_DIGITS = 40, SHA256_DIGITS = 64, READ_BYTES = 1 << 20 };

bool hub_is_hash(const char *text)
{
	size_t n = strspn(text, "0123456789abcdef");
	return !text[n] && (n == SHA1_DIGITS || n == SHA256_DIGITS);
}

static void put_hex(const unsigned char *bytes, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

void hub_sha256_hex(const void *bytes, size_t n, char out[65])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	if (!EVP_Digest(bytes, n, sum, &len, EVP_sha256(), NULL))
		memset(sum, 0, len = 32);
	put_hex(sum, 32, out);
}

/* Reads and counts; err is set where it cannot. */
static enum hokku_code add_bytes(EVP_MD_CTX *md, int fd, uint64_t n, char *buffer, const char *path,
				 const struct observer *observer, struct hokku_error *err)
{
	for (uint64_t done = 0; done < n;) {
		uint64_t left = n - done;
		ssize_t got = pread(fd, buffer, left < READ_BYTES ? (size_t)left : READ_BYTES, (off_t)done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return err_set(err, HOKKU_IO_ERROR, "%s: byte %" PRIu64 ": %s", path, done,
				       got ? strerror(errno) : "the file ends here");
		if (!EVP_DigestUpdate(md, buffer, (size_t)got))
			return err_set(err, HOKKU_INTERNAL, "%s: its checksum cannot be counted", path);
		done += (uint64_t)got;
		if (observer_stopped(observer))
			return err_set(err, HOKKU_CANCELLED, "interrupted");
		observer_progress(observer, (double)done / (double)n);
	}
	return HOKKU_OK;
}

enum hokku_code hub_hash_check(int fd, uint64_t n, const char *wanted, const char *path,
			       const struct observer *observer, struct hokku_error *err)
{
	bool git = strlen(wanted) == SHA1_DIGITS;
	unsigned char sum[EVP_MAX_MD_SIZE];
	char head[48], found[2 * EVP_MAX_MD_SIZE + 1], *buffer = malloc(READ_BYTES);
	unsigned int len = 0;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	enum hokku_code rc = HOKKU_OK;
	if (!md || !buffer)
		rc = err_set(err, HOKKU_OUT_OF_MEMORY, "%s: no memory for its checksum", path);
	int n_head = snprintf(head, sizeof head, "blob %" PRIu64, n) + 1;
	if (!rc && (!EVP_DigestInit_ex(md, git ? EVP_sha1() : EVP_sha256(), NULL) ||
		    (git && !EVP_DigestUpdate(md, head, (size_t)n_head))))
		rc = err_set(err, HOKKU_INTERNAL, "%s: this build's OpenSSL has no %s", path,
			     git ? "SHA-1" : "SHA-256");
	if (!rc)
		rc = add_bytes(md, fd, n, buffer, path, observer, err);
	if (!rc && !EVP_DigestFinal_ex(md, sum, &len))
		rc = err_set(err, HOKKU_INTERNAL, "%s: its checksum cannot be counted", path);
	if (!rc) {
		put_hex(sum, len, found);
		if (strcmp(found, wanted) != 0)
			rc = err_set(err, HOKKU_BAD_FILE, "%s: its %s is %s; the hub says %s", path,
				     git ? "SHA-1 (of a git blob)" : "SHA-256", found, wanted);
	}
	EVP_MD_CTX_free(md);
	free(buffer);
	return rc;
}
