/* `hokku manual`: pages for man(1), made of what the commands say of themselves. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static int run(int argc, char **argv);

const struct cmd cmd_manual = {
	.name = "manual",
	.usage = "manual [COMMAND...]",
	.summary = "print a manual page",
	.help = "The page of hokku, or that of a command, for man(1) to show. Packages install them.\n\n"
		"Examples:\n"
		"  hokku manual serve | man -l -\n"
		"  hokku manual bench serve | man -l -\n",
	.run = run,
};

/* ---- roff ---- */

static const char specials[] = "-\\'`^~\"";
static const char *const names[] = {"\\-", "\\e", "\\(aq", "\\(ga", "\\(ha", "\\(ti", "\\(dq"};

/* n bytes in which nothing is an escape and no line a request. */
static void put(const char *text, size_t n)
{
	if (n && (text[0] == '.' || text[0] == '\''))
		fputs("\\&", stdout);
	for (size_t i = 0; i < n; i++) {
		const char *special = strchr(specials, text[i]);
		if (text[i] && special)
			fputs(names[special - specials], stdout);
		else
			putchar(text[i]);
	}
}

static void put_c(const char *text)
{
	put(text, strlen(text));
}

/* Lines that begin with blanks stand as they are, others run on; an empty one ends a paragraph. */
static void put_paragraphs(const char *text)
{
	bool as_is = false;
	while (*text) {
		size_t n = strcspn(text, "\n");
		if (as_is != (*text == ' '))
			puts(as_is ? ".fi" : ".PP\n.nf");
		as_is = *text == ' ';
		if (n)
			put(text, n);
		else
			fputs(".PP", stdout);
		putchar('\n');
		text += n + (text[n] == '\n');
	}
	if (as_is)
		puts(".fi");
}

/* "hokku-bench-serve", in capitals where head. */
static void put_title(const char *name, bool head)
{
	fputs(head ? "HOKKU" : "hokku", stdout);
	if (*name)
		fputs("\\-", stdout);
	for (; *name; name++)
		if (*name == ' ')
			fputs("\\-", stdout);
		else
			putchar(head && *name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name);
}

static void put_head(const char *name, const char *summary)
{
	fputs(".TH ", stdout);
	put_title(name, true);
	printf(" 1 \"\" \"hokku %s\" \"User Commands\"\n.SH NAME\n", hokku_version());
	put_title(name, false);
	fputs(" \\- ", stdout);
	put_c(summary);
	fputs("\n.SH SYNOPSIS\n.nf\n", stdout);
}

static void put_foot(void)
{
	fputs(".SH EXIT STATUS\n0: done. 1: failed. 2: the command line is wrong. 130: interrupted.\n.SH SEE ALSO\n"
	      ".BR hokku (1)\n",
	      stdout);
}

/* ---- pages ---- */

static void put_option(const struct opt *o)
{
	char text[512];
	fputs(".TP\n", stdout);
	if (o->letter)
		printf("\\fB\\-%c\\fR, ", o->letter);
	fputs("\\fB\\-\\-", stdout);
	put_c(o->name);
	if (o->alias) {
		fputs("\\fR, \\fB\\-\\-", stdout);
		put_c(o->alias);
	}
	if (o->metavar) {
		fputs("\\fR \\fI", stdout);
		put_c(o->metavar);
	}
	fputs("\\fR\n", stdout);
	put_c(cli_option_text(o, text, sizeof text));
	putchar('\n');
}

/* Ways to call it, between | outside of brackets, a line each. */
static void put_usage(const char *usage)
{
	int depth = 0;
	const char *from = usage;
	for (const char *at = usage;; at++) {
		depth += (*at == '[') - (*at == ']');
		bool ends = depth == 0 && strncmp(at, " | ", 3) == 0;
		if (!ends && *at)
			continue;
		fputs("hokku ", stdout);
		put(from, (size_t)(at - from));
		putchar('\n');
		if (!ends)
			return;
		from = at + 3;
	}
}

struct wanted {
	const char *name; /* "bench serve" */
	bool found;
};

static void put_page(void *user, const struct cmd *cmd, const struct opt *opts, int max_operands)
{
	struct wanted *w = user;
	char name[64];
	bool any_env = false;
	(void)max_operands;
	if (strcmp(cmd->name, w->name) != 0)
		return;
	w->found = true;
	put_head(cmd->name, cmd->summary);
	put_usage(cmd->usage);
	fputs(".fi\n.SH DESCRIPTION\n", stdout);
	put_paragraphs(cmd->help);
	fputs(".SH OPTIONS\n", stdout);
	for (const struct opt *o = opts; o->name; o++) {
		put_option(o);
		any_env |= o->env;
	}
	fputs(".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\na summary of these\n", stdout);
	if (any_env)
		fputs(".SH ENVIRONMENT\nEach stands for the option of its name; one on the command line wins.\n",
		      stdout);
	for (const struct opt *o = opts; o->name; o++) {
		if (!o->env)
			continue;
		cli_variable(o, name, sizeof name);
		printf(".TP\n.B %s\n\\-\\-", name);
		put_c(o->name);
		putchar('\n');
	}
	put_foot();
}

static void list_part(void *user, const struct cmd *cmd, const struct opt *opts, int max_operands)
{
	(void)user;
	(void)opts;
	(void)max_operands;
	fputs(".TP\n.BR ", stdout);
	put_title(cmd->name, false);
	fputs(" (1)\n", stdout);
	put_c(cmd->summary);
	putchar('\n');
}

static void put_main_page(void)
{
	put_head("", "runs language models from GGUF files");
	fputs("hokku COMMAND [OPTIONS]\nhokku COMMAND \\-\\-help\nhokku \\-\\-version\n.fi\n.SH DESCRIPTION\n"
	      "An inference engine: a command, a library and an HTTP server that streams. A model is a GGUF file, a\n"
	      "folder as transformers writes it, or the name of one on a hub; without one the haiku model inside the\n"
	      "program runs.\n.SH COMMANDS\n",
	      stdout);
	for (const struct cmd *const *c = commands; *c; c++)
		cli_tell(*c, list_part, NULL);
	fputs(".SH EXAMPLE\n.nf\nhokku run \\-p \"autumn rain\"\n.fi\n", stdout);
	put_foot();
}

static int run(int argc, char **argv)
{
	static const struct opt opts[] = {{0}};
	const char *words[2] = {NULL};
	char name[64], quoted[96];
	int n, rc = cli_parse(&cmd_manual, opts, argc, argv, words, 2, &n);
	if (rc >= 0)
		return rc;
	if (n == 0) {
		put_main_page();
		return cli_finish(EXIT_OK);
	}
	snprintf(name, sizeof name, "%s%s%s", words[0], n > 1 ? " " : "", n > 1 ? words[1] : "");
	struct wanted w = {.name = name};
	for (const struct cmd *const *c = commands; *c; c++)
		if (!w.found)
			cli_tell(*c, put_page, &w);
	if (!w.found)
		return cli_usage(&cmd_manual, "there is no command %s; `hokku --help` lists them",
				 str_quote(str_c(name), quoted, sizeof quoted));
	return cli_finish(EXIT_OK);
}
