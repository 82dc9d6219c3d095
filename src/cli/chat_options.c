#include "cli/chat_options.h"

#include <stdlib.h>

void opt_add_chat(struct opt_table *t, struct chat_options *o)
{
	const struct opt rows[] = {
		{.name = "chat-template",
		 .kind = OPT_STRING,
		 .target = &o->name,
		 .metavar = "NAME|FILE",
		 .env = true,
		 .help = "a chat template in place of the model's own: a known name (chatml, llama3 ...), a file of Jinja, "
			 "or Jinja itself"},
		{.name = "chat-template-file",
		 .kind = OPT_STRING,
		 .target = &o->file,
		 .metavar = "FILE",
		 .env = true,
		 .help = "the same from a file"},
		{.name = "chat-template-kwargs",
		 .kind = OPT_STRING,
		 .target = &o->kwargs_text,
		 .metavar = "JSON",
		 .env = true,
		 .help = "arguments of the template, as {\"enable_thinking\": false}"},
		{.name = "template-date",
		 .kind = OPT_STRING,
		 .target = &o->date,
		 .metavar = "DATE",
		 .env = true,
		 .help = "what a template takes for now, as 2026-07-31 or 2026-07-31T12:00:00",
		 .fallback = "the clock"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		opt_add(t, &rows[i]);
}

/* A template that is named is read at once: later only messages would find it broken. */
static enum hokku_code check_template(struct str source, struct hokku_error *err)
{
	struct jinja *t;
	enum hokku_code rc = jinja_compile(source, &t, err);
	if (rc)
		return err_prefix(err, rc, "the chat template");
	jinja_destroy(t);
	return HOKKU_OK;
}

static int read_chat(const struct cmd *cmd, struct chat_options *o)
{
	struct hokku_error err;
	char quoted[80];
	if (o->name && o->file)
		return cli_usage(cmd,
				 "--chat-template and --chat-template-file are both given; one is wanted");
	if (o->name && chat_find(o->name, &o->source, &o->owned, &err))
		return cli_fail(&err);
	if (o->file && chat_read_file(o->file, &o->source, &o->owned, &err))
		return cli_fail(&err);
	if (o->source.ptr && check_template(o->source, &err))
		return cli_fail(&err);
	if (o->date && !jinja_time_parse(str_c(o->date), &o->date_value))
		return cli_usage(
			cmd, "--template-date is %s; it takes a date as 2026-07-31 or 2026-07-31T12:00:00",
			str_quote(str_c(o->date), quoted, sizeof quoted));
	o->now = o->date ? &o->date_value : NULL;
	if (!o->kwargs_text)
		return -1;
	if (jv_parse(str_c(o->kwargs_text), JV_STRICT, &o->kwargs_doc, &err))
		return cli_usage(cmd, "--chat-template-kwargs is no JSON, at %s", err.message);
	if (chat_check_kwargs(&o->kwargs_doc.root, &err))
		return cli_usage(cmd, "--chat-template-kwargs %s", err.message);
	o->kwargs = &o->kwargs_doc.root;
	return -1;
}

int cli_read_chat(const struct cmd *cmd, struct chat_options *o)
{
	int code = read_chat(cmd, o);
	if (code >= 0)
		cli_free_chat(o);
	return code;
}

void cli_free_chat(struct chat_options *o)
{
	free(o->owned);
	jv_doc_free(&o->kwargs_doc);
	o->owned = NULL;
}
