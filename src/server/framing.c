#include "server/framing.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* What a head says of its body and host. */
struct seen {
	struct str length, coding;
	unsigned n_length, n_coding, n_host;
	bool is_1_1;
};

void framing_restart(struct framing *f)
{
	strbuf_clear(&f->head);
	f->line_at = 0;
	f->complete = false;
}

void framing_add(struct framing *f, const char *bytes, size_t n, size_t max_head)
{
	for (size_t i = 0; i < n && !f->complete && f->head.len <= max_head && !f->head.failed; i++) {
		strbuf_add(&f->head, &bytes[i], 1);
		if (bytes[i] != '\n' || f->head.failed)
			continue;
		size_t line = f->head.len - f->line_at;
		bool empty = line == 1 || (line == 2 && f->head.ptr[f->line_at] == '\r');
		if (empty && f->line_at == 0) /* RFC 9112, 2.2: before the request line they do not count */
			strbuf_clear(&f->head);
		else
			f->complete = empty;
		f->line_at = f->head.len;
	}
}

static void blame(struct framing_fault *fault, int status, const char *text)
{
	fault->status = status;
	snprintf(fault->text, sizeof fault->text, "%s", text);
}

/* Takes the next line off rest, without its end. */
static struct str next_line(struct str *rest)
{
	const char *end = memchr(rest->ptr, '\n', rest->len);
	size_t n = end ? (size_t)(end - rest->ptr) : rest->len;
	struct str line = {rest->ptr, n};
	rest->ptr += end ? n + 1 : n;
	rest->len -= end ? n + 1 : n;
	if (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	return line;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if (c <= ' ' || c >= 127 || strchr("\"(),/:;<=>?@[\\]{}", c))
			return false;
	}
	return s.len > 0;
}

static bool same_word(struct str s, const char *word)
{
	return s.len == strlen(word) && strncasecmp(s.ptr, word, s.len) == 0;
}

/* One header; false if it is none. A line that goes on from the one before begins with a blank and is refused
 * with the rest: RFC 9112, 5.2. */
static bool read_header(struct str line, struct seen *seen)
{
	const char *colon = memchr(line.ptr, ':', line.len);
	if (!colon || memchr(line.ptr, '\0', line.len))
		return false;
	struct str name = {line.ptr, (size_t)(colon - line.ptr)};
	struct str value = {colon + 1, line.len - name.len - 1};
	while (value.len && is_blank(value.ptr[0])) {
		value.ptr++;
		value.len--;
	}
	while (value.len && is_blank(value.ptr[value.len - 1]))
		value.len--;
	if (same_word(name, "Content-Length")) {
		seen->length = value;
		seen->n_length++;
	} else if (same_word(name, "Transfer-Encoding")) {
		seen->coding = value;
		seen->n_coding++;
	} else if (same_word(name, "Host")) {
		seen->n_host++;
	}
	return is_token(name);
}

static void check_length(const struct seen *seen, size_t max_body, struct framing_fault *fault)
{
	char quoted[80];
	str_quote(seen->length, quoted, sizeof quoted);
	size_t digits = 0;
	while (digits < seen->length.len && seen->length.ptr[digits] >= '0' &&
	       seen->length.ptr[digits] <= '9')
		digits++;
	if (digits == 0 || digits < seen->length.len) {
		fault->status = 400;
		snprintf(fault->text, sizeof fault->text, "Content-Length is %s; it takes a number of bytes",
			 quoted);
	} else if (digits > 18 || strtoull(seen->length.ptr, NULL, 10) > max_body) {
		fault->status = 413;
		snprintf(fault->text, sizeof fault->text,
			 "Content-Length is %s; a body may have %zu bytes at most (--max-body)", quoted,
			 max_body);
	}
}

static void check_body(const struct seen *seen, size_t max_body, struct framing_fault *fault)
{
	char quoted[80];
	if (seen->n_length > 1) {
		blame(fault, 400, "Content-Length is there more than once");
	} else if (seen->n_coding > 1) {
		blame(fault, 400, "Transfer-Encoding is there more than once");
	} else if (seen->n_coding && seen->n_length) {
		blame(fault, 400, "Content-Length and Transfer-Encoding may not come together");
	} else if (seen->n_coding && !same_word(seen->coding, "chunked")) {
		str_quote(seen->coding, quoted, sizeof quoted);
		fault->status = 501;
		snprintf(fault->text, sizeof fault->text,
			 "Transfer-Encoding is %s; only chunked is known here", quoted);
	} else if (seen->n_coding && !seen->is_1_1) {
		blame(fault, 400, "Transfer-Encoding takes HTTP/1.1");
	} else if (seen->n_length) {
		check_length(seen, max_body, fault);
	}
}

void framing_check(const struct framing *f, size_t max_head, size_t max_body, struct framing_fault *fault)
{
	static const char version[] = " HTTP/1.1";
	struct str rest = {f->head.ptr, f->head.len};
	struct seen seen = {0};
	*fault = (struct framing_fault){0};
	if (f->head.len > max_head) {
		fault->status = 400;
		snprintf(fault->text, sizeof fault->text,
			 "the request line and the headers are longer than %zu bytes", max_head);
		return;
	}
	if (!f->complete)
		return;
	struct str line = next_line(&rest);
	size_t n = sizeof version - 1;
	seen.is_1_1 = line.len > n && memcmp(line.ptr + line.len - n, version, n) == 0;
	if (memchr(line.ptr, '\0', line.len)) {
		blame(fault, 400, "the request line has a zero byte");
		return;
	}
	for (line = next_line(&rest); line.len; line = next_line(&rest)) {
		if (!read_header(line, &seen)) {
			char quoted[80];
			str_quote(line, quoted, sizeof quoted);
			fault->status = 400;
			snprintf(fault->text, sizeof fault->text, "%s is no header", quoted);
			return;
		}
	}
	check_body(&seen, max_body, fault);
	if (!fault->status && seen.is_1_1 && seen.n_host != 1)
		blame(fault, 400,
		      seen.n_host ? "Host is there more than once" : "the header Host is missing");
}
