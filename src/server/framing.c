#include "server/framing.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "server/hosts.h"

/* Headers that may come once, as two of them could be read as either. */
enum single { LENGTH, CODING, HOST, ORIGIN, AUTHORIZATION, API_KEY, N_SINGLES };
static const char *const singles[N_SINGLES] = {"Content-Length", "Transfer-Encoding", "Host",
					       "Origin",         "Authorization",     "X-Api-Key"};

/* What a head says. */
struct seen {
	struct str value[N_SINGLES];
	bool has[N_SINGLES];
	bool is_1_1, closes;
};

void framing_restart(struct framing *f)
{
	struct strbuf head = f->head;
	strbuf_clear(&head);
	*f = (struct framing){.head = head};
}

/* blame(fault, 400, FORMAT, ...): false, for `return blame(...)`. */
static bool __attribute__((format(printf, 3, 4)))
blame(struct framing_fault *fault, int status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fault->status = status;
	vsnprintf(fault->text, sizeof fault->text, format, args);
	va_end(args);
	return false;
}

/* Room for a quoted text beside the words around it. */
struct quoted {
	char text[100];
};

static const char *quote(struct str s, struct quoted *out)
{
	return str_quote(s, out->text, sizeof out->text);
}

/* ---- the head ---- */

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

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A control character, which no line may hold; blanks are none. */
static bool is_control(char c)
{
	return ((unsigned char)c < ' ' && c != '\t') || c == 127;
}

static bool is_token_char(char c)
{
	return c > ' ' && c < 127 && !strchr("\"(),/:;<=>?@[\\]{}", c);
}

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_token_char(s.ptr[i]))
			return false;
	return s.len > 0;
}

static struct str trim(struct str s)
{
	while (s.len && is_blank(s.ptr[0]))
		s = (struct str){s.ptr + 1, s.len - 1};
	while (s.len && is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

static bool same_word(struct str s, const char *word)
{
	return s.len == strlen(word) && strncasecmp(s.ptr, word, s.len) == 0;
}

static bool same_start(struct str s, const char *word)
{
	size_t n = strlen(word);
	return s.len >= n && strncasecmp(s.ptr, word, n) == 0;
}

/* Whether a list with commas has word in it. */
static bool has_word(struct str list, const char *word)
{
	while (list.len) {
		const char *comma = memchr(list.ptr, ',', list.len);
		size_t n = comma ? (size_t)(comma - list.ptr) : list.len;
		if (same_word(trim((struct str){list.ptr, n}), word))
			return true;
		n += comma != NULL;
		list = (struct str){list.ptr + n, list.len - n};
	}
	return false;
}

/* NAME: VALUE, taken apart. A line that goes on from the one before begins with a blank and is refused with
 * the rest: RFC 9112, 5.2. */
static bool split_header(struct str line, struct str *name, struct str *value)
{
	const char *colon = memchr(line.ptr, ':', line.len);
	if (!colon)
		return false;
	*name = (struct str){line.ptr, (size_t)(colon - line.ptr)};
	*value = trim((struct str){colon + 1, line.len - name->len - 1});
	for (size_t i = 0; i < value->len; i++)
		if (is_control(value->ptr[i]))
			return false;
	return is_token(*name);
}

static bool read_header(struct str line, struct seen *seen, struct framing_fault *fault)
{
	struct quoted q;
	struct str name, value;
	if (!split_header(line, &name, &value))
		return blame(fault, 400, "%s is no header", quote(line, &q));
	if (same_word(name, "Connection"))
		seen->closes |= has_word(value, "close");
	for (size_t i = 0; i < N_SINGLES; i++) {
		if (!same_word(name, singles[i]))
			continue;
		if (seen->has[i])
			return blame(fault, 400, "%s is there more than once", singles[i]);
		seen->has[i] = true;
		seen->value[i] = value;
	}
	return true;
}

static bool read_version(struct str line, struct str version, struct seen *seen, struct framing_fault *fault)
{
	struct quoted q;
	const char *v = version.ptr;
	if (version.len != 8 || memcmp(v, "HTTP/", 5) != 0 || !is_digit(v[5]) || v[6] != '.' ||
	    !is_digit(v[7]))
		return blame(fault, 400, "the request line is %s; it takes METHOD PATH HTTP/1.1",
			     quote(line, &q));
	seen->is_1_1 = v[7] == '1';
	if (v[5] != '1' || (v[7] != '0' && v[7] != '1'))
		return blame(fault, 505, "the request is %.8s; this server speaks HTTP/1.1", v);
	return true;
}

/* Where the path is, and the authority of a whole URL: RFC 9112, 3.2. */
static bool read_target(struct framing *f, struct str method, struct str target, struct framing_fault *fault)
{
	struct quoted q;
	struct str path = target, name, port;
	size_t from = same_start(target, "http://") ? 7 : same_start(target, "https://") ? 8 : 0;
	for (size_t i = 0; i < target.len; i++)
		if (target.ptr[i] == '#' || is_control(target.ptr[i]) || is_blank(target.ptr[i]))
			return blame(fault, 400, "the path %s has a blank, a control character or a #",
				     quote(target, &q));
	if (from) {
		size_t to = from;
		while (to < target.len && target.ptr[to] != '/' && target.ptr[to] != '?')
			to++;
		struct str authority = {target.ptr + from, to - from};
		if (!hosts_split(authority, &name, &port) || name.len == 0)
			return blame(fault, 400, "%s names no host", quote(target, &q));
		f->authority.at = (size_t)(authority.ptr - f->head.ptr);
		f->authority.len = authority.len;
		path = (struct str){target.ptr + to, target.len - to};
	} else if (target.ptr[0] != '/' && !(str_eq_c(method, "OPTIONS") && str_eq_c(target, "*"))) {
		return blame(fault, 400, "the path is %s; it begins with /", quote(target, &q));
	}
	const char *query = memchr(path.ptr, '?', path.len);
	f->path_at = (size_t)(path.ptr - f->head.ptr);
	f->path_end = f->path_at + (query ? (size_t)(query - path.ptr) : path.len);
	f->query.at = query ? f->path_end + 1 : 0;
	f->query.len = query ? path.len - (size_t)(query + 1 - path.ptr) : 0;
	return true;
}

static bool read_request_line(struct framing *f, struct str line, struct seen *seen,
			      struct framing_fault *fault)
{
	struct quoted q;
	const char *first = memchr(line.ptr, ' ', line.len), *last = memrchr(line.ptr, ' ', line.len);
	struct str method = {line.ptr, first ? (size_t)(first - line.ptr) : 0};
	if (!first || first + 1 >= last || !is_token(method))
		return blame(fault, 400, "the request line is %s; it takes METHOD PATH HTTP/1.1",
			     quote(line, &q));
	struct str target = {first + 1, (size_t)(last - first) - 1};
	struct str version = {last + 1, line.len - (size_t)(last - line.ptr) - 1};
	f->method_end = method.len;
	if (str_eq_c(method, "CONNECT"))
		return blame(fault, 501, "CONNECT is a request to a proxy; this server is none");
	return read_version(line, version, seen, fault) && read_target(f, method, target, fault);
}

static bool check_length(struct str length, size_t max_body, uint64_t *out, struct framing_fault *fault)
{
	struct quoted q;
	size_t digits = 0, zeros = 0;
	while (digits < length.len && is_digit(length.ptr[digits]))
		digits++;
	if (digits == 0 || digits < length.len)
		return blame(fault, 400, "Content-Length is %s; it takes a number of bytes",
			     quote(length, &q));
	while (zeros < digits && length.ptr[zeros] == '0')
		zeros++;
	*out = strtoull(length.ptr, NULL, 10);
	if (digits - zeros > 18 || *out > max_body)
		return blame(fault, 413,
			     "Content-Length is %s; a body may have %zu bytes at most (--max-body)",
			     quote(length, &q), max_body);
	return true;
}

static bool read_body_kind(struct framing *f, const struct seen *seen, size_t max_body,
			   struct framing_fault *fault)
{
	struct quoted q;
	f->part = FRAMING_OVER;
	if (seen->has[CODING] && seen->has[LENGTH])
		return blame(fault, 400, "Content-Length and Transfer-Encoding may not come together");
	if (seen->has[CODING] && !same_word(seen->value[CODING], "chunked"))
		return blame(fault, 501, "Transfer-Encoding is %s; only chunked is known here",
			     quote(seen->value[CODING], &q));
	if (seen->has[CODING] && !seen->is_1_1)
		return blame(fault, 400, "Transfer-Encoding takes HTTP/1.1");
	if (seen->has[LENGTH] && !check_length(seen->value[LENGTH], max_body, &f->left, fault))
		return false;
	if (seen->has[CODING])
		f->part = FRAMING_CHUNK_SIZE;
	else if (f->left)
		f->part = FRAMING_BODY;
	return true;
}

static bool check_host(const struct seen *seen, struct framing_fault *fault)
{
	struct quoted q;
	struct str name, port;
	if (seen->is_1_1 && !seen->has[HOST])
		return blame(fault, 400, "the header Host is missing");
	if (seen->has[HOST] && !hosts_split(seen->value[HOST], &name, &port))
		return blame(fault, 400, "Host is %s; it takes a name or an address, and perhaps a port",
			     quote(seen->value[HOST], &q));
	return true;
}

/* A line of the head is complete: what is wrong with it by itself. The parser judges lines too, as they come,
 * and would be less clear. */
static bool check_line(struct framing *f, struct framing_fault *fault)
{
	struct quoted q;
	struct seen seen = {0};
	struct str rest = {f->head.ptr + f->line_at, f->head.len - f->line_at}, line = next_line(&rest), name,
		   value;
	if (f->line_at == 0)
		return read_request_line(f, line, &seen, fault);
	return line.len == 0 || split_header(line, &name, &value) ||
	       blame(fault, 400, "%s is no header", quote(line, &q));
}

/* Framing first, then Host: whoever reads the answer must not be told less than what was wrong first. */
static bool read_head(struct framing *f, size_t max_body, struct framing_fault *fault)
{
	struct str rest = {f->head.ptr, f->head.len};
	struct seen seen = {0};
	struct str first = next_line(&rest), line;
	if (!read_request_line(f, first, &seen, fault))
		return false;
	for (line = next_line(&rest); line.len; line = next_line(&rest))
		if (!read_header(line, &seen, fault))
			return false;
	f->closes = seen.closes;
	f->head.ptr[f->method_end] = f->head.ptr[f->path_end] = '\0';
	return read_body_kind(f, &seen, max_body, fault) && check_host(&seen, fault);
}

static bool is_too_long(const struct framing *f, const struct framing_limits *limits,
			struct framing_fault *fault)
{
	if (f->n_empty + f->head.len <= limits->max_head)
		return false;
	blame(fault, 400, "the request line and the headers are longer than %zu bytes", limits->max_head);
	return true;
}

/* The line feed has come. */
static void end_line(struct framing *f, const struct framing_limits *limits, struct framing_fault *fault)
{
	size_t n = f->head.len - f->line_at;
	bool empty = n == 1 || (n == 2 && f->head.ptr[f->line_at] == '\r');
	if (f->part == FRAMING_BEFORE) {
		f->n_empty += f->head.len;
		strbuf_clear(&f->head);
	} else if (check_line(f, fault) && empty) {
		read_head(f, limits->max_body, fault);
	}
	f->line_at = f->head.len;
}

/* One byte of the head or of the empty lines before it. */
static void take_head(struct framing *f, char *byte, const struct framing_limits *limits,
		      struct framing_fault *fault)
{
	bool first = f->head.len == 0, after_cr = f->part == FRAMING_BEFORE && !first;
	if (f->part == FRAMING_BEFORE && *byte != '\r' && *byte != '\n')
		f->part = FRAMING_HEAD;
	strbuf_add(&f->head, byte, 1);
	if (f->head.failed || is_too_long(f, limits, fault))
		return;
	if (first && f->part == FRAMING_HEAD && !is_token_char(*byte)) {
		/* Nothing that may follow makes this HTTP, and what comes may never end a line. */
		blame(fault, 400,
		      *byte == 22 ? "this is no HTTP request but TLS, which this port does not speak: "
				    "write http:// for https://"
				  : "this is no HTTP request");
	} else if (after_cr && *byte != '\n') {
		blame(fault, 400, "a carriage return without a line feed is before the request line");
	} else if (*byte == '\n') {
		end_line(f, limits, fault);
	} else if (*byte == '\t') {
		*byte = ' '; /* the parser takes a tab behind a colon for a part of the value */
	}
}

/* ---- chunks ---- */

static bool blame_chunk(struct framing *f, struct framing_fault *fault)
{
	struct quoted q;
	size_t n = f->n_line < sizeof f->line ? f->n_line : sizeof f->line;
	return blame(fault, 400, "a chunk begins with %s; it takes its size in hexadecimal digits, and CR LF",
		     quote((struct str){f->line, n}, &q));
}

/* The line with a chunk's size is complete. */
static void begin_chunk(struct framing *f, const struct framing_limits *limits, struct framing_fault *fault)
{
	f->n_line = 0;
	f->line_at = f->head.len;
	if (f->left > limits->max_body - f->n_body) {
		blame(fault, 413,
		      "the chunks of the body are larger together than the %zu bytes allowed (--max-body)",
		      limits->max_body);
		return;
	}
	f->n_body += f->left;
	f->part = f->left ? FRAMING_CHUNK : FRAMING_TRAILER;
}

/* One byte of a line with a chunk's size. */
static void take_chunk_line(struct framing *f, char *byte, const struct framing_limits *limits,
			    struct framing_fault *fault)
{
	char c = *byte;
	int digit = hex_digit(c);
	if (c == '\n' && f->part == FRAMING_CHUNK_LINE_END) {
		begin_chunk(f, limits, fault);
		return;
	}
	bool ends = c == '\r' && f->n_line > 0 &&
		    (f->part == FRAMING_CHUNK_SIZE || f->part == FRAMING_CHUNK_EXTENSION);
	if (!ends) {
		if (f->n_line < sizeof f->line)
			f->line[f->n_line] = c;
		f->n_line++;
	}
	if (f->n_line > FRAMING_MAX_CHUNK_LINE) {
		blame(fault, 400, "the line with a chunk's size is longer than %d bytes",
		      FRAMING_MAX_CHUNK_LINE);
	} else if (ends) {
		f->part = FRAMING_CHUNK_LINE_END;
	} else if (f->part == FRAMING_CHUNK_SIZE && digit >= 0) {
		/* Sixteen times more than any size allowed is as good as infinitely more. */
		if (f->left <= UINT64_MAX >> 5)
			f->left = f->left << 4 | (unsigned)digit;
	} else if (f->n_line > 1 && c == ';' && f->part != FRAMING_CHUNK_LINE_END) {
		f->part = FRAMING_CHUNK_EXTENSION;
		*byte = ' ';
	} else if (f->n_line > 1 && is_blank(c) && f->part != FRAMING_CHUNK_LINE_END) {
		f->part = f->part == FRAMING_CHUNK_SIZE ? FRAMING_CHUNK_BLANK : f->part;
		*byte = ' ';
	} else if (f->part == FRAMING_CHUNK_EXTENSION && !is_control(c)) {
		*byte = ' ';
	} else {
		blame_chunk(f, fault);
	}
}

/* One byte of the trailers. Nobody has a use for them; the parser, which would add them to the headers, gets
 * to see names and values of x. */
static void take_trailer(struct framing *f, char *byte, const struct framing_limits *limits,
			 struct framing_fault *fault)
{
	struct quoted q;
	struct str name, value;
	strbuf_add(&f->head, byte, 1);
	if (f->head.failed || is_too_long(f, limits, fault))
		return;
	if (*byte == '\n') {
		struct str rest = {f->head.ptr + f->line_at, f->head.len - f->line_at};
		struct str line = next_line(&rest);
		f->line_at = f->head.len;
		if (line.len == 0)
			f->part = FRAMING_OVER;
		else if (!split_header(line, &name, &value))
			blame(fault, 400, "%s behind the last chunk is no header", quote(line, &q));
	} else if (*byte != '\r' && (*byte != ':' || f->head.len - f->line_at == 1)) {
		*byte = 'x';
	}
}

size_t framing_take(struct framing *f, char *bytes, size_t n, const struct framing_limits *limits,
		    struct framing_fault *fault)
{
	size_t i = 0;
	while (i < n && f->part != FRAMING_OVER && !fault->status && !f->head.failed) {
		char *byte = &bytes[i++];
		switch (f->part) {
		case FRAMING_BEFORE:
		case FRAMING_HEAD:
			take_head(f, byte, limits, fault);
			break;
		case FRAMING_BODY:
		case FRAMING_CHUNK: {
			size_t some = f->left < n - i + 1 ? (size_t)f->left : n - i + 1;
			i += some - 1;
			f->left -= some;
			if (f->left == 0)
				f->part = f->part == FRAMING_BODY ? FRAMING_OVER : FRAMING_CHUNK_CR;
			break;
		}
		case FRAMING_CHUNK_CR:
		case FRAMING_CHUNK_LF:
			if (*byte != (f->part == FRAMING_CHUNK_CR ? '\r' : '\n'))
				blame(fault, 400, "a chunk has more bytes than its size says");
			f->part = f->part == FRAMING_CHUNK_CR ? FRAMING_CHUNK_LF : FRAMING_CHUNK_SIZE;
			break;
		case FRAMING_TRAILER:
			take_trailer(f, byte, limits, fault);
			break;
		default:
			take_chunk_line(f, byte, limits, fault);
		}
	}
	return i;
}

const char *framing_method(const struct framing *f)
{
	return f->head.ptr;
}

const char *framing_path(const struct framing *f)
{
	const char *path = f->head.ptr + f->path_at;
	return *path ? path : "/";
}

const char *framing_path_read(struct framing *f)
{
	if (!f->path_end)
		return NULL;
	f->head.ptr[f->path_end] = '\0';
	return framing_path(f);
}

struct str framing_query(const struct framing *f)
{
	return (struct str){f->head.ptr + f->query.at, f->query.len};
}

struct str framing_authority(const struct framing *f)
{
	return (struct str){f->head.ptr + f->authority.at, f->authority.len};
}
