/* `hokku detokenize`: token ids to the bytes they stand for. */
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli.h"
#include "cli/open_tok.h"
#include "text/stream.h"

static int run(int argc, char **argv);

const struct cmd cmd_detokenize = {
	.name = "detokenize",
	.usage = "detokenize [MODEL] [ID...] [OPTIONS]",
	.summary = "turn token ids into the bytes they stand for",
	.help = "Without MODEL, a GGUF file, the bundled haiku model's vocabulary is used: the first operand is a model\n"
		"unless it begins with a digit (write ./7b.gguf for such a file). Without ids they are read from standard\n"
		"input; blanks, commas and brackets between them are passed over. The exact bytes are written, with no\n"
		"line end added; special tokens give their name, unused ones ([PAD151700]) nothing. With --text\n"
		"what is no UTF-8 becomes U+FFFD, as in a streamed answer. --json-lines takes a JSON array of ids\n"
		"a line and gives a JSON string a line (as --text).\n\n"
		"Examples:\n"
		"  hokku detokenize 84 312 9\n"
		"  hokku tokenize -p \"autumn rain\" --ids | hokku detokenize\n",
	.run = run,
};

enum { MAX_INPUT_BYTES = 64 << 20, MAX_OPERANDS = 4096 };

struct session {
	struct tok *tok;
	bool text, json_lines;
	struct strbuf out;
};

static enum hokku_code add_token(struct session *s, struct text_stream *stream, int32_t id,
				 struct hokku_error *err)
{
	if (id < 0 || (uint32_t)id >= tok_n_vocab(s->tok))
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "token id %d is not in the vocabulary, which has 0 to %u", id,
			       tok_n_vocab(s->tok) - 1);
	struct str bytes = tok_bytes(s->tok, id);
	if (stream)
		text_stream_push(stream, bytes, &s->out);
	else
		strbuf_add(&s->out, bytes.ptr, bytes.len);
	return HOKKU_OK;
}

/* Adds the tokens whose ids stand in text, after which a zero byte follows. */
static enum hokku_code add_ids(struct session *s, struct text_stream *stream, struct str text,
			       struct hokku_error *err)
{
	for (const char *p = text.ptr, *text_end = p + text.len;;) {
		p += strspn(p, " \t\r\n,[]");
		if (p >= text_end)
			return HOKKU_OK;
		char *end = NULL;
		errno = 0;
		unsigned long id = isdigit((unsigned char)*p) ? strtoul(p, &end, 10) : ULONG_MAX;
		if (id > INT32_MAX || errno || (*end && !strchr(" \t\r\n,[]", *end))) {
			char quoted[48];
			struct str word = {p, strcspn(p, " \t\r\n,[]")};
			return err_set(err, HOKKU_INVALID_REQUEST, "%s is no token id",
				       str_quote(word, quoted, sizeof quoted));
		}
		enum hokku_code rc = add_token(s, stream, (int32_t)id, err);
		if (rc)
			return rc;
		p = end;
	}
}

static int print(struct session *s)
{
	struct hokku_error err;
	if (s->out.failed) {
		err_set(&err, HOKKU_OUT_OF_MEMORY, "no memory to print the text");
		return cli_fail(&err);
	}
	if (s->out.len)
		fwrite(s->out.ptr, 1, s->out.len, stdout);
	strbuf_clear(&s->out);
	return EXIT_OK;
}

/* Adds the tokens of a line, which is a whole JSON array of ids: one that was cut must not pass for a shorter
 * one. */
static enum hokku_code add_array(struct session *s, struct text_stream *stream, struct str line,
				 struct hokku_error *err)
{
	json_error_t bad;
	json_t *value = json_loadb(line.ptr, line.len, 0, &bad);
	enum hokku_code rc = HOKKU_OK;
	if (!value)
		return err_set(err, HOKKU_INVALID_REQUEST, "no JSON array of ids: column %d: %s", bad.column,
			       bad.text);
	if (!json_is_array(value))
		rc = err_set(err, HOKKU_INVALID_REQUEST, "no JSON array of ids but an object");
	for (size_t i = 0; !rc && i < json_array_size(value); i++) {
		const json_t *id = json_array_get(value, i);
		if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INT32_MAX)
			rc = err_set(err, HOKKU_INVALID_REQUEST, "element %zu of the array is no token id",
				     i);
		else
			rc = add_token(s, stream, (int32_t)json_integer_value(id), err);
	}
	json_decref(value);
	return rc;
}

/* Without the byte order mark that some editors and shells put before a text. */
static struct str without_mark(struct str text)
{
	bool marked = str_starts(text, STR_LIT("\xEF\xBB\xBF"));
	return marked ? (struct str){text.ptr + 3, text.len - 3} : text;
}

/* Input that begins as an array and never ends was cut. */
static enum hokku_code check_end(struct str text, struct hokku_error *err)
{
	size_t n_open = 0, n_closed = 0;
	for (size_t i = 0; i < text.len; i++) {
		n_open += text.ptr[i] == '[';
		n_closed += text.ptr[i] == ']';
	}
	if (n_closed < n_open)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "standard input: it ends inside an array of ids; \"]\" is wanted");
	return HOKKU_OK;
}

static int on_line(void *user, struct str line, size_t number)
{
	struct session *s = user;
	struct text_stream stream = {0};
	struct hokku_error err;
	strbuf_clear(&s->out);
	if (number == 1)
		line = without_mark(line);
	if (add_array(s, &stream, line, &err)) {
		err_prefix(&err, err.code, "line %zu", number);
		return cli_fail(&err);
	}
	text_stream_finish(&stream, &s->out);
	struct strbuf text = s->out;
	s->out = (struct strbuf){0};
	strbuf_add_json(&s->out, text.ptr, text.len);
	strbuf_add_c(&s->out, "\n");
	s->out.failed |= text.failed;
	strbuf_free(&text);
	return print(s);
}

static int detokenize_once(struct session *s, const char *const *ids, int n)
{
	struct text_stream stream = {0}, *through = s->text ? &stream : NULL;
	struct hokku_error err;
	enum hokku_code rc = HOKKU_OK;
	if (n == 0) {
		char *text;
		size_t n_bytes;
		rc = file_read("-", MAX_INPUT_BYTES, &text, &n_bytes, &err);
		if (!rc) {
			struct str all = without_mark((struct str){text, n_bytes});
			rc = check_end(all, &err);
			if (!rc)
				rc = add_ids(s, through, all, &err);
			free(text);
		}
	}
	for (int i = 0; !rc && i < n; i++)
		rc = add_ids(s, through, str_c(ids[i]), &err);
	if (rc)
		return cli_fail(&err);
	if (through)
		text_stream_finish(through, &s->out);
	return print(s);
}

static int run(int argc, char **argv)
{
	struct session s = {0};
	struct hokku_error err;
	const struct opt rows[] = {
		{.name = "text",
		 .kind = OPT_FLAG,
		 .target = &s.text,
		 .help = "valid UTF-8 only, as a streamed answer shows it"},
		{.name = "json-lines",
		 .kind = OPT_FLAG,
		 .target = &s.json_lines,
		 .help = "one array of ids in, one JSON string out, line by line"},
		{0},
	};
	const char *operands[MAX_OPERANDS];
	int n = 0, code = cli_parse(&cmd_detokenize, rows, argc, argv, operands, MAX_OPERANDS, &n);
	if (code >= 0)
		return code;
	bool has_model = n > 0 && !isdigit((unsigned char)operands[0][0]) && strcmp(operands[0], "-") != 0;
	const char *const *ids = operands + has_model;
	n -= has_model;
	if (n == 1 && strcmp(ids[0], "-") == 0)
		n = 0;
	if (s.json_lines && n)
		return cli_usage(&cmd_detokenize, "--json-lines reads lines from standard input, not ids");
	if (n == 0 && isatty(STDIN_FILENO))
		return cli_usage(&cmd_detokenize,
				 "there are no ids; give them as operands or through a pipe");
	if (cli_open_tok(has_model ? operands[0] : NULL, &s.tok, NULL, (struct str){NULL, 0}, &err))
		return cli_fail(&err);
	code = s.json_lines ? cli_each_line("-", on_line, &s) : detokenize_once(&s, ids, n);
	tok_destroy(s.tok);
	strbuf_free(&s.out);
	return cli_finish(code);
}
