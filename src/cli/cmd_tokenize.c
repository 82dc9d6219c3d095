/* `hokku tokenize`: text, or chat messages, to token ids. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/chat_options.h"
#include "cli/open_tok.h"

static int run(int argc, char **argv);

const struct cmd cmd_tokenize = {
	.name = "tokenize",
	.usage = "tokenize [MODEL] [-p TEXT | -f FILE] [OPTIONS]",
	.summary = "turn text into the token ids of a model",
	.help = "Without MODEL, a GGUF file, the bundled haiku model's vocabulary is used. Without -p and -f the text\n"
		"is standard input, taken byte for byte. Prints one token a line: its id, a tab, its text in quotes.\n"
		"--chat takes a JSON array of {\"role\", \"content\"} as the text and prints what the model would be\n"
		"given for it; with --text, as text. --json-lines takes one JSON string (with --chat: array) a line and answers each with\n"
		"one line, an array of ids.\n\n"
		"Examples:\n"
		"  hokku tokenize -p \"autumn rain\"\n"
		"  hokku tokenize model.gguf -f README.md --count\n"
		"  echo '[{\"role\": \"user\", \"content\": \"autumn rain\"}]' | hokku tokenize --chat --ids\n",
	.run = run,
};

enum { MAX_INPUT_BYTES = 64 << 20 };

struct options {
	const char *model, *prompt, *file;
	bool parse_special, no_bos, ids, json, json_lines, count, is_chat, as_text;
	struct chat_options chat;
};

struct session {
	struct options o;
	struct tok *tok;
	struct chat chat;
	struct tok_ids ids; /* of the present text */
	struct strbuf out;
};

static int parse(int argc, char **argv, struct options *o)
{
	struct opt_table table = {0};
	const struct opt rows[] = {
		{.name = "prompt",
		 .letter = 'p',
		 .kind = OPT_STRING,
		 .target = &o->prompt,
		 .metavar = "TEXT",
		 .help = "the text"},
		{.name = "file",
		 .letter = 'f',
		 .kind = OPT_STRING,
		 .target = &o->file,
		 .metavar = "FILE",
		 .help = "read the text from FILE; - is standard input"},
		{.name = "parse-special",
		 .kind = OPT_FLAG,
		 .target = &o->parse_special,
		 .help = "names of special tokens in the text become those tokens"},
		{.name = "no-bos",
		 .kind = OPT_FLAG,
		 .target = &o->no_bos,
		 .help = "leave out the BOS token, which goes first where the model wants one"},
		{.name = "chat",
		 .kind = OPT_FLAG,
		 .target = &o->is_chat,
		 .help = "the text is a JSON array of messages"},
		{.name = "text",
		 .kind = OPT_FLAG,
		 .target = &o->as_text,
		 .help = "with --chat, print the prompt as text, not its tokens"},
		{.name = "ids",
		 .kind = OPT_FLAG,
		 .target = &o->ids,
		 .help = "print the ids alone, as a JSON array"},
		{.name = "count",
		 .kind = OPT_FLAG,
		 .target = &o->count,
		 .help = "print how many tokens there are, and nothing else"},
		{.name = "json", .kind = OPT_FLAG, .target = &o->json, .help = "print a JSON object"},
		{.name = "json-lines",
		 .kind = OPT_FLAG,
		 .target = &o->json_lines,
		 .help = "one JSON string in, one JSON array of ids out, line by line"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		opt_add(&table, &rows[i]);
	opt_add_chat(&table, &o->chat);
	int n = 0, rc = cli_parse(&cmd_tokenize, table.rows, argc, argv, &o->model, 1, &n);
	if (rc >= 0)
		return rc;
	if (o->prompt && o->file)
		return cli_usage(&cmd_tokenize, "-p and -f are both given; one is wanted");
	if (o->ids + o->count + o->json + o->json_lines + o->as_text > 1)
		return cli_usage(&cmd_tokenize,
				 "--ids, --count, --json, --json-lines and --text exclude each other");
	if (o->as_text && !o->is_chat)
		return cli_usage(&cmd_tokenize,
				 "--text shows what --chat makes of messages; it goes with --chat");
	if (o->json_lines && o->prompt)
		return cli_usage(&cmd_tokenize, "--json-lines reads lines from -f or standard input, not -p");
	if (o->is_chat && (o->parse_special || o->no_bos))
		return cli_usage(
			&cmd_tokenize,
			"--chat follows the model's template; it takes no --parse-special and no --no-bos");
	return cli_read_chat(&cmd_tokenize, &o->chat);
}

static enum hokku_code encode_messages(struct session *s, const struct jv *list, struct hokku_error *err)
{
	char field[64];
	size_t n = jv_len(list);
	if (!jv_is(list, JV_ARRAY))
		return err_set(err, HOKKU_INVALID_REQUEST, "the messages are not a JSON array");
	struct chat_message *messages = calloc(n + 1, sizeof *messages);
	if (!messages)
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for %zu messages", n);
	enum hokku_code rc = HOKKU_OK;
	for (size_t i = 0; !rc && i < n; i++)
		rc = chat_message_read(jv_at(list, i), i, &messages[i], field, err);
	const struct chat_input in = {
		.messages = messages, .n_messages = n, .kwargs = {s->o.chat.kwargs}, .now = s->o.chat.now};
	if (!rc && s->o.as_text)
		rc = chat_render_text(&s->chat, s->tok, &in, &s->out, NULL, err);
	else if (!rc)
		rc = chat_render(&s->chat, s->tok, &in, &s->ids, NULL, err);
	free(messages);
	return rc;
}

static enum hokku_code encode_text(struct session *s, struct str text, struct hokku_error *err)
{
	unsigned flags = (s->o.parse_special ? TOK_PARSE_SPECIAL : 0u) | (s->o.no_bos ? 0u : TOK_ADD_BOS);
	return tok_encode(s->tok, text, flags, &s->ids, err);
}

/* text is JSON: a string, or messages. */
static enum hokku_code encode_json(struct session *s, struct str text, struct hokku_error *err)
{
	struct jv_doc doc;
	struct hokku_error bad;
	enum hokku_code rc = jv_parse(text, JV_STRICT, &doc, &bad);
	if (rc)
		return err_set(err, HOKKU_INVALID_REQUEST, "bad JSON at %s", bad.message);
	if (s->o.is_chat)
		rc = encode_messages(s, &doc.root, err);
	else if (jv_is(&doc.root, JV_STRING))
		rc = encode_text(s, jv_str(&doc.root), err);
	else
		rc = err_set(err, HOKKU_INVALID_REQUEST, "the line is no JSON string");
	jv_doc_free(&doc);
	return rc;
}

static void add_ids(struct session *s, const char *comma)
{
	strbuf_add_c(&s->out, "[");
	for (size_t i = 0; i < s->ids.n; i++)
		strbuf_addf(&s->out, "%s%d", i ? comma : "", s->ids.ids[i]);
	strbuf_add_c(&s->out, "]");
}

static void add_token_lines(struct session *s)
{
	char quoted[2 * 4096];
	for (size_t i = 0; i < s->ids.n; i++)
		strbuf_addf(&s->out, "%d\t%s\n", s->ids.ids[i],
			    str_quote(tok_bytes(s->tok, s->ids.ids[i]), quoted, sizeof quoted));
}

static void add_json(struct session *s)
{
	static const char *const types[] = {"undefined",    "normal", "unknown", "control",
					    "user_defined", "unused", "byte"};
	strbuf_addf(&s->out, "{\"tokenizer\": \"%s\", \"count\": %zu, \"tokens\": [", tok_kind(s->tok),
		    s->ids.n);
	for (size_t i = 0; i < s->ids.n; i++) {
		int32_t id = s->ids.ids[i];
		struct str piece = tok_piece(s->tok, id), bytes = tok_bytes(s->tok, id);
		strbuf_addf(&s->out, "%s\n  {\"id\": %d, \"piece\": ", i ? "," : "", id);
		strbuf_add_json(&s->out, piece.ptr, piece.len);
		strbuf_addf(&s->out, ", \"type\": \"%s\", \"bytes\": [", types[tok_type(s->tok, id)]);
		for (size_t k = 0; k < bytes.len; k++)
			strbuf_addf(&s->out, "%s%u", k ? ", " : "", (unsigned char)bytes.ptr[k]);
		strbuf_add_c(&s->out, "]}");
	}
	strbuf_add_c(&s->out, "]}\n");
}

static int print(struct session *s)
{
	struct hokku_error err;
	if (s->out.failed) {
		err_set(&err, HOKKU_OUT_OF_MEMORY, "no memory to print %zu tokens", s->ids.n);
		return cli_fail(&err);
	}
	if (s->out.len)
		fwrite(s->out.ptr, 1, s->out.len, stdout);
	strbuf_clear(&s->out);
	return EXIT_OK;
}

static int on_line(void *user, struct str line, size_t number)
{
	struct session *s = user;
	struct hokku_error err;
	s->ids.n = 0;
	if (encode_json(s, line, &err)) {
		err_prefix(&err, err.code, "line %zu", number);
		return cli_fail(&err);
	}
	add_ids(s, ",");
	strbuf_add_c(&s->out, "\n");
	return print(s);
}

static int tokenize_once(struct session *s)
{
	struct hokku_error err;
	char *owned = NULL;
	struct str text = {s->o.prompt, s->o.prompt ? strlen(s->o.prompt) : 0};
	enum hokku_code rc = HOKKU_OK;
	if (!s->o.prompt) {
		rc = file_read(s->o.file ? s->o.file : "-", MAX_INPUT_BYTES, &owned, &text.len, &err);
		text.ptr = owned;
	}
	if (!rc)
		rc = s->o.is_chat ? encode_json(s, text, &err) : encode_text(s, text, &err);
	free(owned);
	if (rc)
		return cli_fail(&err);
	if (s->o.as_text)
		return print(s);
	if (s->o.count) {
		strbuf_addf(&s->out, "%zu\n", s->ids.n);
	} else if (s->o.ids) {
		add_ids(s, ", ");
		strbuf_add_c(&s->out, "\n");
	} else if (s->o.json) {
		add_json(s);
	} else {
		add_token_lines(s);
	}
	return print(s);
}

static int run(int argc, char **argv)
{
	struct session s = {0};
	struct hokku_error err;
	int code = parse(argc, argv, &s.o);
	if (code >= 0)
		return code;
	if (!s.o.prompt && !s.o.file && isatty(STDIN_FILENO))
		code = cli_usage(&cmd_tokenize, "there is no text; give one with -p, -f or through a pipe");
	else if (cli_open_tok(s.o.model, &s.tok, s.o.is_chat ? &s.chat : NULL, s.o.chat.source, &err))
		code = cli_fail(&err);
	else
		code = s.o.json_lines ? cli_each_line(s.o.file ? s.o.file : "-", on_line, &s)
				      : tokenize_once(&s);
	tok_destroy(s.tok);
	chat_deinit(&s.chat);
	cli_free_chat(&s.o.chat);
	tok_ids_free(&s.ids);
	strbuf_free(&s.out);
	return cli_finish(code);
}
