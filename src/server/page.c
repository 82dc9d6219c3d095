#include "server/page.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZLIB_CONST /* what is read is not written to */
#include <zlib.h>

#include "base/hash.h"
#include "server/accept.h"

/* page.S */
extern const char hokku_page_begin[] __attribute__((visibility("hidden")));
extern const char hokku_page_end[] __attribute__((visibility("hidden")));
extern const char hokku_page_policy[] __attribute__((visibility("hidden")));

bool page_is_wanted(const char *accept)
{
	/* What is named exactly goes before a kind. */
	int html = accept_weight(accept, "text/html"), json = accept_weight(accept, "application/json");
	int page = html >= 0 ? html : accept_weight(accept, "text/*");
	return page > 0 && page >= json;
}

static struct str compressed(void)
{
	return (struct str){hokku_page_begin,
			    (size_t)((uintptr_t)hokku_page_end - (uintptr_t)hokku_page_begin)};
}

/* Of the page as it is: the last four bytes of a gzip file (RFC 1952). */
static size_t plain_bytes(struct str gzip)
{
	const unsigned char *at = (const unsigned char *)gzip.ptr + gzip.len - 4;
	return (size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
}

enum hokku_code page_open(struct page *p, struct hokku_error *err)
{
	struct str gzip = compressed();
	size_t n = plain_bytes(gzip);
	z_stream z = {.avail_in = (uInt)gzip.len, .avail_out = (uInt)n};
	p->plain = malloc(n + 1);
	z.next_in = (const Bytef *)gzip.ptr;
	z.next_out = (Bytef *)p->plain;
	if (!p->plain || inflateInit2(&z, MAX_WBITS + 16) != Z_OK) /* + 16: gzip's frame */
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the page");
	int end = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	if (end != Z_STREAM_END || z.avail_out)
		return err_set(err, HOKKU_INTERNAL, "the page inside this program is damaged");
	p->n_plain = n;
	snprintf(p->tag, sizeof p->tag, "%016" PRIx64, siphash(0, 0, gzip.ptr, gzip.len));
	return HOKKU_OK;
}

void page_close(struct page *p)
{
	free(p->plain);
	*p = (struct page){0};
}

void page_reply(const struct page *p, struct http_request *r)
{
	static const char *const headers[][2] = {
		{"Cache-Control",
		 "no-cache"}, /* asked for anew each time, and got anew where its tag is another */
		{"X-Content-Type-Options", "nosniff"},
		{"Referrer-Policy", "no-referrer"},
		{"Cross-Origin-Opener-Policy", "same-origin"},
		{"Permissions-Policy", "camera=(), geolocation=(), microphone=()"},
	};
	char tag[sizeof p->tag + 8];
	bool gzip = accept_gzip(http_get_header(r, "Accept-Encoding"));
	for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
		http_add_header(r, headers[i][0], headers[i][1]);
	http_add_header(r, "Content-Security-Policy", hokku_page_policy);
	snprintf(tag, sizeof tag, "\"%s%s\"", p->tag, gzip ? "-gzip" : "");
	http_add_header(r, "ETag", tag);
	if (accept_has_tag(http_get_header(r, "If-None-Match"), tag)) {
		http_reply(r, 304, NULL, (struct str){"", 0});
		return;
	}
	if (gzip)
		http_add_header(r, "Content-Encoding", "gzip");
	http_reply(r, 200, "text/html; charset=utf-8",
		   gzip ? compressed() : (struct str){p->plain, p->n_plain});
}
