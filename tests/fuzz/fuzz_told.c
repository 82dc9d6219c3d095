/* What the server tells of untrusted bytes: a label of /metrics and a field of a line of the log hold them so
 * that they are read back, and nothing of them gets out of its place; a traceparent is passed on when it is
 * one. */
#include <stdlib.h>

#include <jansson.h>

#include "server/access.h"
#include "server/prom.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* n{a="...",b="end"} 1: one line, the value as JSON's reader finds it in the same bytes (its escapes are a
 * superset). */
static void check_label(struct str value)
{
	struct strbuf labels = {0}, line = {0}, json = {0};
	prom_label(&labels, "a", value);
	prom_label(&labels, "b", STR_LIT("end"));
	prom_sample(&line, "n", &labels, 1);
	static const char head[] = "n{a=\"", tail[] = "\",b=\"end\"} 1\n";
	require(!line.failed && str_starts((struct str){line.ptr, line.len}, STR_LIT("n{a=\"")));
	require(str_ends((struct str){line.ptr, line.len}, str_c(tail)));
	require((char *)memchr(line.ptr, '\n', line.len) == line.ptr + line.len - 1);
	require(utf8_valid_prefix(line.ptr, line.len) == line.len);
	struct strbuf back = {0};
	for (size_t i = sizeof head - 1; i < line.len - (sizeof tail - 1); i++) {
		require(line.ptr[i] != '"');
		char c = line.ptr[i];
		if (c == '\\') {
			c = line.ptr[++i];
			require(c == '\\' || c == '"' || c == 'n');
			c = c == 'n' ? '\n' : c;
		}
		strbuf_add(&back, &c, 1);
	}
	/* The same replacements as in JSON, and zeros as what is no UTF-8. */
	char *plain = malloc(value.len + 1);
	require(plain != NULL);
	for (size_t i = 0; i < value.len; i++)
		plain[i] = (char)(value.ptr[i] ? value.ptr[i] : '\xFF');
	strbuf_add_json(&json, plain, value.len);
	free(plain);
	json_t *read = json_loadb(json.ptr, json.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	require(read && json_string_length(read) == back.len);
	require(back.len == 0 || memcmp(json_string_value(read), back.ptr, back.len) == 0);
	json_decref(read);
	strbuf_free(&labels);
	strbuf_free(&line);
	strbuf_free(&json);
	strbuf_free(&back);
}

static void check_trace(const char *text)
{
	if (!access_is_trace(text))
		return;
	size_t n = strlen(text);
	require(n >= ACCESS_TRACE_BYTES);
	for (size_t i = 0; i < ACCESS_TRACE_BYTES; i++)
		require(i == 2 || i == 35 || i == 52 ? text[i] == '-'
						     : hex_digit(text[i]) >= 0 && text[i] != 'A');
	for (size_t i = 0; i < n; i++)
		require(text[i] > ' ' && text[i] <= '~');
	require(n == ACCESS_TRACE_BYTES || text[ACCESS_TRACE_BYTES] == '-');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	require(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	check_label((struct str){text, size});
	check_trace(text);
	free(text);
	return 0;
}
