#include "server/warnings.h"

static const char more[] = "\"there are more in the body\"]";

/* The character at *at, of valid UTF-8, which *at moves past. */
static uint32_t next_char(const char **at)
{
	unsigned char c = (unsigned char)*(*at)++;
	uint32_t n = c < 0xc0 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	uint32_t code = n ? c & (0x3fu >> n) : c;
	for (; n; n--)
		code = code << 6 | ((unsigned char)*(*at)++ & 0x3f);
	return code;
}

/* A JSON string from *at, which moves past it, in ASCII. */
static void add_string(const char **at, struct strbuf *out)
{
	bool open = false;
	do {
		uint32_t c = next_char(at);
		if (c == '"')
			open = !open;
		if (c == '\\')
			strbuf_addf(out, "\\%c", *(*at)++);
		else if (c >= 0x10000)
			strbuf_addf(out, "\\u%04x\\u%04x", 0xd800 + (c - 0x10000) / 0x400,
				    0xdc00 + (c - 0x10000) % 0x400);
		else if (c < 0x20 || c >= 0x7f)
			strbuf_addf(out, "\\u%04x", c);
		else
			strbuf_addf(out, "%c", (char)c);
	} while (open);
}

void warnings_header(struct str json, struct strbuf *out)
{
	struct strbuf one = {0};
	const char *at = json.ptr, *end = json.ptr + json.len;
	size_t begin = out->len;
	strbuf_add_c(out, "[");
	while (at < end) {
		strbuf_clear(&one);
		add_string(&at, &one);
		at += at < end; /* the comma */
		size_t rest = at < end ? sizeof more : 1;
		if (out->len - begin + one.len + rest > WARNINGS_MAX_HEADER_BYTES) {
			strbuf_add_c(out, more);
			break;
		}
		strbuf_add(out, one.ptr, one.len);
		strbuf_add_c(out, at < end ? "," : "]");
	}
	out->failed |= one.failed;
	strbuf_free(&one);
}
