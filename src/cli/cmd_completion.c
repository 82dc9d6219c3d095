/* `hokku completion`: what a shell needs to complete hokku's command lines, made of the commands' own tables.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static int run(int argc, char **argv);

static const char *const shells[] = {"bash", "zsh", "fish", NULL};

const struct cmd cmd_completion = {
	.name = "completion",
	.usage = "completion bash|zsh|fish",
	.summary = "print what a shell needs to complete hokku's command lines",
	.help = "Packages install them. Without a package each shell reads its own.\n\n"
		"Examples:\n"
		"  source <(hokku completion bash)\n"
		"  source <(hokku completion zsh)\n"
		"  hokku completion fish | source\n",
	.run = run,
	.words = shells,
};

/* ---- what an option or operand may be ---- */

enum takes { TAKES_NOTHING, TAKES_WORDS, TAKES_FILES, TAKES_ANYTHING };

/* *words, for TAKES_WORDS: with blanks between them. */
static enum takes takes(const struct opt *o, struct strbuf *words)
{
	static const char *const files[] = {"FILE", "DIR", "MODEL", "PATH"};
	strbuf_clear(words);
	if (!o->metavar)
		return TAKES_NOTHING;
	for (const char *const *c = o->choices; c && *c; c++)
		strbuf_addf(words, "%s%s", words->len ? " " : "", *c);
	if (words->len)
		return TAKES_WORDS;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (strstr(o->metavar, files[i]))
			return TAKES_FILES;
	if (!strchr(o->metavar, '|'))
		return TAKES_ANYTHING;
	for (const char *at = o->metavar; *at; at++)
		strbuf_add(words, *at == '|' ? " " : at, 1);
	return TAKES_WORDS;
}

/* The operand that comes first: words of the command's, or those of all commands. */
static void operand_words(const struct cmd *cmd, struct strbuf *words)
{
	strbuf_clear(words);
	for (const char *const *w = cmd->words; w && *w; w++)
		strbuf_addf(words, "%s%s", words->len ? " " : "", *w);
	for (const struct cmd *const *c = commands; *c && strcmp(cmd->name, "manual") == 0; c++)
		strbuf_addf(words, "%s%s", words->len ? " " : "", (*c)->name);
}

static bool operand_files(const struct cmd *cmd, int max_operands)
{
	return max_operands > 0 && (!cmd->words || cmd->has_parts) && strcmp(cmd->name, "manual") != 0;
}

/* text with a stroke before each byte of special, and ' as the shell has it between two of them. */
static void put_quoted(const char *text, const char *special, const char *quote)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs(quote, stdout);
		else if (strchr(special, *text))
			printf("\\%c", *text);
		else
			putchar(*text);
	}
}

/* "serve) serve tokenize" of commands that have parts: fn of each. */
static void each_parted(void (*fn)(const struct cmd *cmd, const char *part))
{
	for (const struct cmd *const *c = commands; *c; c++)
		for (const char *const *w = (*c)->words; w && *w && (*c)->has_parts; w++)
			fn(*c, *w);
}

/* ---- bash ---- */

static void bash_names(const struct opt *o, const char *between)
{
	if (o->letter)
		printf("-%c%s", o->letter, between);
	printf("--%s", o->name);
	if (o->alias)
		printf("%s--%s", between, o->alias);
}

static void bash_command(void *user, const struct cmd *cmd, const struct opt *opts, int max_operands)
{
	static const char *const kinds[] = {NULL, "words", "files", "none"};
	struct strbuf *words = user;
	operand_words(cmd, words);
	printf("\t'%s')\n\t\twords='%s' files=%s options='", cmd->name, words->len ? words->ptr : "",
	       operand_files(cmd, max_operands) ? "yes" : "no");
	for (const struct opt *o = opts; o->name; o++) {
		bash_names(o, " ");
		putchar(' ');
	}
	printf("-h --help'\n\t\tcase $prev in\n");
	for (const struct opt *o = opts; o->name; o++) {
		enum takes what = takes(o, words);
		if (what == TAKES_NOTHING)
			continue;
		printf("\t\t");
		bash_names(o, " | ");
		printf(") value=%s", kinds[what]);
		if (what == TAKES_WORDS)
			printf(" words='%s'", words->ptr);
		printf(" ;;\n");
	}
	printf("\t\tesac\n\t\t;;\n");
}

static void bash_part(const struct cmd *cmd, const char *part)
{
	printf("\t'%s %s') [ \"$COMP_CWORD\" -gt 2 ] && command='%s %s' ;;\n", cmd->name, part, cmd->name,
	       part);
}

static void bash(struct strbuf *words)
{
	printf("# bash completion for hokku; `hokku completion bash` prints it\n_hokku() {\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}\n"
	       "\tlocal words= files=no options= value=\n\tCOMPREPLY=()\n"
	       "\tif [ \"$cur\" = = ]; then\n\t\tcur=\n"
	       "\telif [ \"$prev\" = = ] && [ \"$COMP_CWORD\" -gt 2 ]; then\n"
	       "\t\tprev=${COMP_WORDS[COMP_CWORD - 2]}\n\tfi\n"
	       "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\tmapfile -t COMPREPLY < <(compgen -W '");
	for (const struct cmd *const *c = commands; *c; c++)
		printf("%s ", (*c)->name);
	printf("help -h --help --version' -- \"$cur\")\n\t\treturn\n\tfi\n\tcase \"$command ${COMP_WORDS[2]}\" in\n");
	each_parted(bash_part);
	printf("\tesac\n\tcase $command in\n\thelp) words='");
	for (const struct cmd *const *c = commands; *c; c++)
		printf("%s%s", c == commands ? "" : " ", (*c)->name);
	printf("' ;;\n");
	for (const struct cmd *const *c = commands; *c; c++)
		cli_tell(*c, bash_command, words);
	printf("\tesac\n\tcase \"$value$cur\" in\n\tnone*) return ;;\n\tfiles*) words= files=yes ;;\n"
	       "\twords*) files=no ;;\n\t-*) words=$options files=no ;;\n\tesac\n"
	       "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	       "\tif [ \"$files\" = yes ]; then\n\t\tcompopt -o filenames 2>/dev/null\n"
	       "\t\tmapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$cur\")\n\tfi\n}\n"
	       "complete -F _hokku hokku\n");
}

/* ---- zsh ---- */

static void zsh_action(const struct opt *o, struct strbuf *words)
{
	enum takes what = takes(o, words);
	if (what == TAKES_NOTHING)
		return;
	putchar(':');
	put_quoted(o->metavar, "\\:", "'\\''");
	putchar(':');
	if (what == TAKES_WORDS)
		printf("(%s)", words->ptr);
	else
		fputs(what == TAKES_FILES ? "_files" : " ", stdout);
}

static void zsh_spec(const struct opt *o, const char *dashes, const char *name, struct strbuf *words)
{
	printf(" \\\n\t\t'%s%s%s%s[", o->kind == OPT_LIST ? "*" : "", dashes, name,
	       !o->metavar ? ""
	       : dashes[1] ? "="
			   : "+");
	put_quoted(o->help, "\\[]:", "'\\''");
	putchar(']');
	zsh_action(o, words);
	putchar('\'');
}

/* "bench serve" as a part of a function's name. */
static void put_under(const char *name)
{
	for (; *name; name++)
		putchar(*name == ' ' ? '_' : *name);
}

static void zsh_command(void *user, const struct cmd *cmd, const struct opt *opts, int max_operands)
{
	struct strbuf *words = user;
	printf("_hokku_");
	put_under(cmd->name);
	printf("() {\n\t_arguments -s -S :");
	for (const struct opt *o = opts; o->name; o++) {
		char letter[] = {o->letter, '\0'};
		if (o->letter)
			zsh_spec(o, "-", letter, words);
		zsh_spec(o, "--", o->name, words);
		if (o->alias)
			zsh_spec(o, "--", o->alias, words);
	}
	printf(" \\\n\t\t'(- *)'{-h,--help}'[this text]'");
	operand_words(cmd, words);
	if (words->len && operand_files(cmd, max_operands))
		printf(" \\\n\t\t'1:word:{compadd -- %s; _files}'", words->ptr);
	else if (words->len)
		printf(" \\\n\t\t'1:word:(%s)'", words->ptr);
	if (operand_files(cmd, max_operands))
		printf(" \\\n\t\t'*:file:_files'");
	printf("\n}\n");
}

static void zsh_part(const struct cmd *cmd, const char *part)
{
	printf("\tif [[ \"$words[1] $words[2]\" == '%s %s' ]] && (( CURRENT > 2 )); then\n"
	       "\t\tcommand=%s_%s\n\t\tshift words\n\t\t(( CURRENT-- ))\n\tfi\n",
	       cmd->name, part, cmd->name, part);
}

static void zsh(struct strbuf *words)
{
	printf("#compdef hokku\n# `hokku completion zsh` prints it\n");
	for (const struct cmd *const *c = commands; *c; c++)
		cli_tell(*c, zsh_command, words);
	printf("_hokku() {\n\tlocal -a commands=(");
	for (const struct cmd *const *c = commands; *c; c++) {
		printf("\n\t\t'%s:", (*c)->name);
		put_quoted((*c)->summary, "\\:", "'\\''");
		putchar('\'');
	}
	printf("\n\t\t'help:tell of a command'\n\t)\n"
	       "\tif (( CURRENT == 2 )); then\n\t\t_describe -t commands 'command' commands\n\t\treturn\n\tfi\n"
	       "\tlocal command=$words[2]\n\tshift words\n\t(( CURRENT-- ))\n");
	each_parted(zsh_part);
	printf("\tif [[ $command == help ]]; then\n\t\t_describe -t commands 'command' commands\n"
	       "\telif (( $+functions[_hokku_$command] )); then\n\t\t_hokku_$command\n\tfi\n}\n"
	       "if [[ $funcstack[1] == _hokku ]]; then\n\t_hokku \"$@\"\nelse\n\tcompdef _hokku hokku\nfi\n");
}

/* ---- fish ---- */

static void fish_option(const struct cmd *cmd, const struct opt *o, struct strbuf *words)
{
	enum takes what = takes(o, words);
	printf("complete -c hokku -n '__hokku_is %s' -l %s", cmd->name, o->name);
	if (o->alias)
		printf(" -l %s", o->alias);
	if (o->letter)
		printf(" -s %c", o->letter);
	if (what == TAKES_WORDS)
		printf(" -x -a '%s'", words->ptr);
	else if (what != TAKES_NOTHING)
		fputs(what == TAKES_FILES ? " -r -F" : " -x", stdout);
	printf(" -d '");
	put_quoted(o->help, "\\", "\\'");
	printf("'\n");
}

static void fish_command(void *user, const struct cmd *cmd, const struct opt *opts, int max_operands)
{
	struct strbuf *words = user;
	for (const struct opt *o = opts; o->name; o++)
		fish_option(cmd, o, words);
	printf("complete -c hokku -n '__hokku_is %s' -l help -s h -d 'this text'\n", cmd->name);
	operand_words(cmd, words);
	if (words->len)
		printf("complete -c hokku -n '__hokku_is %s' -a '%s'\n", cmd->name, words->ptr);
	if (operand_files(cmd, max_operands))
		printf("complete -c hokku -n '__hokku_is %s' -F\n", cmd->name);
}

static void fish_part(const struct cmd *cmd, const char *part)
{
	printf(" '%s %s'", cmd->name, part);
}

static void fish(struct strbuf *words)
{
	printf("# fish completion for hokku; `hokku completion fish` prints it\nfunction __hokku_is\n"
	       "\tset -l words (commandline -opc)\n\tset -l command \"$words[2]\"\n"
	       "\tcontains -- \"$words[2] $words[3]\"");
	each_parted(fish_part);
	printf("; and set command \"$words[2] $words[3]\"\n\ttest \"$command\" = \"$argv\"\nend\n"
	       "complete -c hokku -f\n");
	for (const struct cmd *const *c = commands; *c; c++) {
		printf("complete -c hokku -n '__hokku_is' -a %s -d '", (*c)->name);
		put_quoted((*c)->summary, "\\", "\\'");
		printf("'\n");
	}
	printf("complete -c hokku -n '__hokku_is' -a help -d 'tell of a command'\n"
	       "complete -c hokku -n '__hokku_is' -l version -d 'tell version, build, compiler and features'\n"
	       "complete -c hokku -n '__hokku_is' -l help -s h -d 'list the commands'\n");
	printf("complete -c hokku -n '__hokku_is help' -a '");
	for (const struct cmd *const *c = commands; *c; c++)
		printf("%s%s", c == commands ? "" : " ", (*c)->name);
	printf("'\n");
	for (const struct cmd *const *c = commands; *c; c++)
		cli_tell(*c, fish_command, words);
}

static int run(int argc, char **argv)
{
	static void (*const print[])(struct strbuf * words) = {bash, zsh, fish};
	static const struct opt opts[] = {{0}};
	const char *shell = NULL;
	char quoted[96];
	struct strbuf words = {0};
	int n, rc = cli_parse(&cmd_completion, opts, argc, argv, &shell, 1, &n);
	if (rc >= 0)
		return rc;
	if (n == 0)
		return cli_usage(&cmd_completion, "of which shell is not said; it takes bash, zsh or fish");
	for (size_t i = 0; shells[i]; i++) {
		if (strcmp(shells[i], shell) != 0)
			continue;
		print[i](&words);
		strbuf_free(&words);
		return cli_finish(EXIT_OK);
	}
	return cli_usage(&cmd_completion, "the shell is %s; it takes bash, zsh or fish",
			 str_quote(str_c(shell), quoted, sizeof quoted));
}
