#include "cli/talk.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/new_file.h"
#include "cli/cli.h"

/* ---- what is typed ---- */

static const struct str quotes = {"\"\"\"", 3};

void talk_lines_clear(struct talk_lines *l)
{
	strbuf_clear(&l->text);
	l->begun = l->quoted = l->plain = false;
}

void talk_lines_free(struct talk_lines *l)
{
	strbuf_free(&l->text);
	*l = (struct talk_lines){0};
}

/* Where """ opens in the first line of a text: at its beginning, or behind the name of a command; NULL. */
static const char *find_opening(struct str line)
{
	if (str_starts(line, quotes))
		return line.ptr;
	if (!line.len || line.ptr[0] != '/')
		return NULL;
	const char *blank = memchr(line.ptr, ' ', line.len);
	struct str rest = {blank, blank ? (size_t)(line.ptr + line.len - blank) : 0};
	while (rest.len && *rest.ptr == ' ')
		rest = (struct str){rest.ptr + 1, rest.len - 1};
	return rest.len && str_starts(rest, quotes) ? rest.ptr : NULL;
}

/* A line, or the rest of one, inside quotes. True: it closes them. */
static bool add_quoted(struct talk_lines *l, struct str line, bool first)
{
	bool closes = str_ends(line, quotes);
	if (closes)
		line.len -= quotes.len;
	/* The line ends next to the quotes are no part of the text. */
	if (!first && (line.len || !closes))
		strbuf_add_c(&l->text, l->begun ? "\n" : "");
	strbuf_add(&l->text, line.ptr, line.len);
	l->begun = !first || line.len;
	return closes;
}

bool talk_lines_add(struct talk_lines *l, struct str line)
{
	if (l->quoted) {
		if (!add_quoted(l, line, false))
			return false;
		l->begun = l->quoted = false;
		return true;
	}
	const char *opening = l->begun ? NULL : find_opening(line);
	if (!l->begun)
		talk_lines_clear(l);
	if (opening) {
		size_t before = (size_t)(opening - line.ptr);
		strbuf_add(&l->text, line.ptr, before);
		l->plain = before == 0;
		l->quoted = !add_quoted(l, (struct str){opening + quotes.len, line.len - before - quotes.len},
					true);
		l->begun = l->quoted && l->begun;
		return !l->quoted;
	}
	size_t n_slashes = 0;
	while (n_slashes < line.len && line.ptr[line.len - 1 - n_slashes] == '\\')
		n_slashes++;
	l->begun = n_slashes % 2;
	strbuf_add(&l->text, line.ptr, line.len - l->begun);
	strbuf_add_c(&l->text, l->begun ? "\n" : "");
	return !l->begun;
}

enum takes { NOTHING, SOME, NEEDED };
static const struct {
	enum talk_command command;
	const char *name;
	enum takes takes;
	const char *what, *help;
} commands_of_talk[] = {
	{TALK_SYSTEM, "/system", SOME, "[TEXT]",
	 "the system message from now on; without TEXT there is none"},
	{TALK_SET, "/set", SOME, "[NAME VALUE]",
	 "a setting from now on (VALUE default: as it was); without NAME all of them"},
	{TALK_SHOW, "/show", NOTHING, "", "model, context, system message and settings"},
	{TALK_SAVE, "/save", NEEDED, "FILE", "the conversation into FILE, as JSON"},
	{TALK_LOAD, "/load", NEEDED, "FILE", "go on with the conversation in FILE"},
	{TALK_RETRY, "/retry", SOME, "[TEXT]",
	 "take back the last message and its answer, and ask TEXT, or the same with the same seed"},
	{TALK_REGEN, "/regen", NOTHING, "", "take back the last answer, and draw another"},
	{TALK_CLEAR, "/clear", NOTHING, "", "forget all messages but the system message"},
	{TALK_HELP, "/help", NOTHING, "", "this list"},
	{TALK_BYE, "/bye", NOTHING, "", "end, as Ctrl-D does"},
};
enum { N_COMMANDS = sizeof commands_of_talk / sizeof *commands_of_talk };

static struct str trim(struct str s)
{
	while (s.len && cli_is_space(s.ptr[0]))
		s = (struct str){s.ptr + 1, s.len - 1};
	while (s.len && cli_is_space(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

static enum hokku_code unknown_command(struct str name, struct hokku_error *err)
{
	const char *names[N_COMMANDS + 1] = {0};
	char word[32], quoted[64];
	for (size_t i = 0; i < N_COMMANDS; i++)
		names[i] = commands_of_talk[i].name;
	snprintf(word, sizeof word, "%.*s", STR_ARG(name));
	const char *near = name.len < sizeof word ? str_nearest(word, names) : NULL;
	return err_set(
		err, HOKKU_INVALID_REQUEST,
		"there is no command %s%s%s%s; /help lists them (a message that begins with / is written //)",
		str_quote(name, quoted, sizeof quoted), near ? " (did you mean " : "", near ? near : "",
		near ? "?)" : "");
}

enum hokku_code talk_parse(struct str text, enum talk_command *command, struct str *rest,
			   struct hokku_error *err)
{
	char quoted[64];
	*command = TALK_SAY;
	*rest = text;
	if (!text.len || text.ptr[0] != '/')
		return HOKKU_OK;
	if (text.len > 1 && text.ptr[1] == '/') {
		*rest = (struct str){text.ptr + 1, text.len - 1};
		return HOKKU_OK;
	}
	struct str name = {text.ptr, 0};
	while (name.len < text.len && !cli_is_space(text.ptr[name.len]))
		name.len++;
	*rest = trim((struct str){text.ptr + name.len, text.len - name.len});
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (!str_eq_c(name, commands_of_talk[i].name))
			continue;
		*command = commands_of_talk[i].command;
		if (commands_of_talk[i].takes == NOTHING && rest->len)
			return err_set(err, HOKKU_INVALID_REQUEST, "%s takes nothing behind it, and has %s",
				       commands_of_talk[i].name, str_quote(*rest, quoted, sizeof quoted));
		if (commands_of_talk[i].takes == NEEDED && !rest->len)
			return err_set(err, HOKKU_INVALID_REQUEST, "%s needs a name behind it: %s %s",
				       commands_of_talk[i].name, commands_of_talk[i].name,
				       commands_of_talk[i].what);
		return HOKKU_OK;
	}
	return unknown_command(name, err);
}

void talk_print_help(FILE *out)
{
	char form[32];
	for (size_t i = 0; i < N_COMMANDS; i++) {
		snprintf(form, sizeof form, "%s %s", commands_of_talk[i].name, commands_of_talk[i].what);
		fprintf(out, "  %-18s %s\n", form, commands_of_talk[i].help);
	}
	fputs("Anything else is a message. \"\"\" before and behind it lets it have several lines, as does a \\ at "
	      "the end of each\nbut the last; one that begins with / is written //. Ctrl-C ends an answer, Ctrl-D "
	      "the program.\n",
	      out);
}

/* ---- the messages ---- */

static void free_message(struct talk_message *m)
{
	strbuf_free(&m->content);
	strbuf_free(&m->thinking);
}

void talk_cut(struct talk *t, size_t n)
{
	while (t->n > n)
		free_message(&t->messages[--t->n]);
}

void talk_free(struct talk *t)
{
	talk_cut(t, 0);
	free(t->messages);
	strbuf_free(&t->system);
	*t = (struct talk){0};
}

enum hokku_code talk_add(struct talk *t, bool answer, struct str content, struct str thinking,
			 struct hokku_error *err)
{
	size_t valid = utf8_valid_prefix(content.ptr, content.len);
	if (valid < content.len)
		return err_set(err, HOKKU_INVALID_REQUEST,
			       "byte %zu of the message (0x%02x) is no UTF-8, which messages are written in",
			       valid, (unsigned char)content.ptr[valid]);
	if (t->n == t->max) {
		size_t max = t->max ? 2 * t->max : 16;
		struct talk_message *more = realloc(t->messages, max * sizeof *more);
		if (!more)
			return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for %zu messages", max);
		t->messages = more;
		t->max = max;
	}
	struct talk_message m = {.answer = answer};
	strbuf_add(&m.content, content.ptr, content.len);
	strbuf_add(&m.thinking, thinking.ptr, thinking.len);
	if (m.content.failed || m.thinking.failed) {
		free_message(&m);
		return err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for a message of %zu bytes", content.len);
	}
	t->messages[t->n++] = m;
	return HOKKU_OK;
}

size_t talk_last_asked(const struct talk *t)
{
	for (size_t i = t->n; i-- > 0;)
		if (!t->messages[i].answer)
			return i;
	return t->n;
}

static void write_message(struct strbuf *out, const char *role, const struct strbuf *content,
			  const struct strbuf *thinking)
{
	strbuf_addf(out, "{\"role\":\"%s\",\"content\":", role);
	strbuf_add_json(out, content->ptr ? content->ptr : "", content->len);
	if (thinking && thinking->len) {
		strbuf_add_c(out, ",\"reasoning_content\":");
		strbuf_add_json(out, thinking->ptr, thinking->len);
	}
	strbuf_add_c(out, "}");
}

void talk_write(const struct talk *t, struct strbuf *out)
{
	strbuf_add_c(out, "[");
	if (t->system.len)
		write_message(out, "system", &t->system, NULL);
	for (size_t i = 0; i < t->n; i++) {
		const struct talk_message *m = &t->messages[i];
		strbuf_add_c(out, i || t->system.len ? ",\n" : "");
		write_message(out, m->answer ? "assistant" : "user", &m->content, &m->thinking);
	}
	strbuf_add_c(out, "]");
}

static enum hokku_code write_all(struct new_file *f, const struct strbuf *text, struct hokku_error *err)
{
	for (size_t at = 0; at < text->len;) {
		ssize_t n = write(f->fd, text->ptr + at, text->len - at);
		if (n < 0)
			return err_set(err, HOKKU_IO_ERROR, "%s cannot be written: %m", f->path);
		at += (size_t)n;
	}
	return new_file_finish(f, err);
}

enum hokku_code talk_save(const struct talk *t, const char *path, const char *model, bool may_replace,
			  struct hokku_error *err)
{
	char quoted[128];
	struct new_file f = {.fd = -1};
	struct strbuf text = {0};
	if (!may_replace && access(path, F_OK) == 0)
		return err_set(
			err, HOKKU_INVALID_REQUEST,
			"%s is there already, and is not where this conversation was kept; give another "
			"name, or remove it",
			str_quote(str_c(path), quoted, sizeof quoted));
	strbuf_add_c(&text, "{\"model\":");
	strbuf_add_json(&text, model, strlen(model));
	strbuf_add_c(&text, ",\n\"messages\":");
	talk_write(t, &text);
	strbuf_add_c(&text, "}\n");
	enum hokku_code rc = text.failed ? err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the conversation")
					 : new_file_create(&f, path, err);
	if (!rc)
		rc = write_all(&f, &text, err);
	new_file_close(&f);
	strbuf_free(&text);
	return rc;
}

/* Adds message i of a file. */
static enum hokku_code load_message(struct talk *t, const struct jv *v, size_t i, struct hokku_error *err)
{
	char found[64];
	const struct jv *role = jv_get(v, "role"), *content = jv_get(v, "content"),
			*thinking = jv_get(v, "reasoning_content");
	bool system = str_eq_c(jv_str(role), "system"), answer = str_eq_c(jv_str(role), "assistant");
	if (!system && !answer && !str_eq_c(jv_str(role), "user"))
		return err_set(
			err, HOKKU_BAD_FILE,
			"messages[%zu].role is %s; a conversation has \"system\", \"user\" and \"assistant\"",
			i, jv_text(role, found, sizeof found));
	if (!jv_is(content, JV_STRING))
		return err_set(err, HOKKU_BAD_FILE, "messages[%zu].content is %s; it takes a string", i,
			       jv_text(content, found, sizeof found));
	if (!jv_none(thinking) && !jv_is(thinking, JV_STRING))
		return err_set(err, HOKKU_BAD_FILE,
			       "messages[%zu].reasoning_content is %s; it takes a string", i,
			       jv_text(thinking, found, sizeof found));
	if (system && i)
		return err_set(err, HOKKU_BAD_FILE,
			       "messages[%zu].role is \"system\"; only the first message may be that", i);
	if (!system)
		return talk_add(t, answer, jv_str(content), jv_str(thinking), err);
	strbuf_add(&t->system, content->text, content->n);
	return t->system.failed ? err_set(err, HOKKU_OUT_OF_MEMORY, "no memory for the conversation")
				: HOKKU_OK;
}

enum hokku_code talk_load(struct talk *t, const char *path, struct hokku_error *err)
{
	char *text = NULL, found[64];
	size_t n_bytes = 0;
	struct jv_doc doc = {0};
	struct talk fresh = {0};
	struct hokku_error why = {0};
	enum hokku_code rc = file_read(path, TALK_MAX_FILE_BYTES, &text, &n_bytes, err);
	if (rc)
		return rc;
	rc = jv_parse((struct str){text, n_bytes}, JV_STRICT, &doc, &why);
	if (rc)
		doc = (struct jv_doc){0};
	const struct jv *list = jv_is(&doc.root, JV_ARRAY) ? &doc.root : jv_get(&doc.root, "messages");
	if (!rc && !jv_is(list, JV_ARRAY))
		rc = err_set(
			&why, HOKKU_BAD_FILE,
			"messages is %s; it takes an array, as /save writes it, or the file has that alone",
			jv_text(list, found, sizeof found));
	for (size_t i = 0; i < jv_len(list) && !rc; i++)
		rc = load_message(&fresh, jv_at(list, i), i, &why);
	if (rc) {
		talk_free(&fresh);
		err_set(err, rc, "%.200s: %.280s", path, why.message);
	} else {
		talk_free(t);
		*t = fresh;
	}
	jv_doc_free(&doc);
	free(text);
	return rc;
}
